#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/kept.h"
#include "pipeline/source.h"
#include "tests/pipeline/fixture.h"

static struct fixture f;

static void setup(void)
{
    fixture_init(&f);
}

static void teardown(void)
{
    fixture_fini(&f);
}

static void add_text(const char *path, const char *text)
{
    fixture_add(&f, "d", path, text, strlen(text));
}

static int open_source(struct source *ret, const char *text, const char *split)
{
    struct doc *options = NULL;
    const struct source_store store = {.blobs_fd = f.store.blobs_fd,
                                       .dataset = "d",
                                       .files = doc_get(f.manifests[0].files, "files"),
                                       .split = split,
                                       .kept = f.store.kept};
    ck_assert_int_eq(doc_read_json(text, strlen(text), NULL, &f.arena, &options, &f.err), 0);
    return source_open(ret, &(struct source_want){.kind = "text", .options = options}, &store,
                       &f.arena, &f.err);
}

static int read_text(struct source *source, int64_t sample, char text[64], int64_t *ret_label)
{
    struct element element;
    const struct stage_place place = {.position = sample};
    const struct source_call call = {0};
    int r = source_read(source, &place, &call, &element, &f.err);
    if (r == 0) {
        const struct tensor_text *x = element.fields[0].data;
        (void)snprintf(text, 64, "%.*s", (int)x->n, x->text);
        *ret_label = source->spec.n > 1 ? *(const int64_t *)element.fields[1].data : -1;
    }
    return r;
}

static const struct good {
    const char *options, *split;
    int n;
    const char *texts[4];
    int64_t labels[4];
} goods[] = {
    {"{}", "train", 3, {"good\nday", "", "bad"}, {1, 1, 0}},
    {"{\"class_names\": [\"pos\", \"neg\"]}", "train", 3, {"good\nday", "", "bad"}, {0, 0, 1}},
    {"{\"sample\": \"line\"}", "train", 3, {"bad", "good", "day"}, {-1, -1, -1}},
    {"{\"sample\": \"line\"}", "val", 3, {"a", "", "b"}, {-1, -1, -1}},
    {"{\"sample\": \"line\", \"skip_blank\": true}", "val", 2, {"a", "b"}, {-1, -1}},
};

START_TEST(test_good)
{
    const struct good *g = &goods[_i];
    struct source source;
    bool is_seen[4] = {false};
    add_text("train/neg/1.txt", "bad");
    add_text("train/pos/1.txt", "good\nday");
    add_text("train/pos/2.txt", "");
    add_text("val/neg/1.txt", "a\n\nb\n");
    ck_assert_msg(open_source(&source, g->options, g->split) == 0, "%s: %s", f.err.path,
                  f.err.text);
    ck_assert_int_eq(source.samples, g->n);
    for (int i = 0; i < g->n; i++) {
        char text[64];
        int64_t label = -1;
        bool is_found = false;
        ck_assert_int_eq(read_text(&source, i, text, &label), 0);
        for (int k = 0; k < g->n && !is_found; k++) {
            is_found = !is_seen[k] && strcmp(text, g->texts[k]) == 0 && label == g->labels[k];
            is_seen[k] = is_seen[k] || is_found;
        }
        ck_assert_msg(is_found, "%s: '%s' %d", g->options, text, (int)label);
    }
    source_close(&source);
}
END_TEST

/* Where the lines stand is kept: the second to open the file finds it. */
START_TEST(test_kept)
{
    static const char *const texts[] = {"a", "b"};
    char folder[TEST_PATH];
    test_dir_make(folder);
    struct kept kept = {.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    f.store.kept = &kept;
    add_text("val/neg/1.txt", "a\n\nb\n");
    for (int i = 0; i < 2; i++) {
        struct source source;
        ck_assert_int_eq(open_source(&source, "{\"sample\": \"line\", \"skip_blank\": true}", NULL),
                         0);
        ck_assert_int_eq(source.samples, 2);
        for (int k = 0; k < 2; k++) {
            char text[64];
            int64_t label;
            ck_assert_int_eq(read_text(&source, k, text, &label), 0);
            ck_assert_str_eq(text, texts[k]);
        }
        source_close(&source);
        ck_assert_int_eq(kept.n_made, 1);
        ck_assert_int_eq(kept.n_found, i);
    }
    f.store.kept = NULL;
    close(kept.fd);
    test_dir_remove(folder);
}
END_TEST

/* Bytes that are no text are their sample's fault; texts go into no batch. */
START_TEST(test_bad)
{
    struct source source;
    char text[64];
    int64_t label;
    add_text("a/1.txt", "fine");
    add_text("a/2.txt", "no\xff");
    ck_assert_int_eq(open_source(&source, "{}", NULL), 0);
    ck_assert_int_eq(read_text(&source, 0, text, &label), 0);
    ck_assert_int_eq(read_text(&source, 1, text, &label), ERR_ENCODING);
    ck_assert_msg(strstr(f.err.text, "byte 2") != NULL, "%s", f.err.text);
    source_close(&source);
    ck_assert_int_eq(fixture_compile(&f, "{\"data\": {\"train\": {\"dataset\": \"d\", \"source\": "
                                         "\"text\"}}}"),
                     ERR_UNSUPPORTED);
    ck_assert_msg(strstr(f.err.text, "field 'x' is text") != NULL, "%s", f.err.text);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("text");
    TCase *c = tcase_create("text");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_good, 0, sizeof goods / sizeof goods[0]);
    tcase_add_test(c, test_kept);
    tcase_add_test(c, test_bad);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
