/* Every stage against tf.data: cases.json holds what it gives, made by make_cases.py. Each case is
 * read in order, in any order, in the next iteration, by several workers of which one is replaced,
 * and in shards. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/kept.h"
#include "pipeline/stream.h"
#include "tests/pipeline/fixture.h"

enum { ELEMENTS_MAX = 512, WORKERS_MAX = 5 };

static struct fixture f;
static struct kept stored; /* of all cases but test_kept */
static struct arena arena;
static const struct doc *cases;

static const struct doc *load(void)
{
    struct buf text = {0};
    struct doc *doc = NULL;
    char path[TEST_PATH];
    (void)snprintf(path, sizeof path, "%s/tests/stages/cases.json", test_source_root());
    if (file_read(AT_FDCWD, path, 16 << 20, &text, NULL) < 0 ||
        doc_read_json(text.data, text.size, NULL, &arena, &doc, NULL) < 0) {
        doc = NULL;
    }
    buf_fini(&text);
    return doc;
}

static void setup(void)
{
    fixture_init(&f);
    ck_assert_int_eq(mkdirat(f.store.blobs_fd, "kept", 0700), 0);
    stored =
        (struct kept){.fd = openat(f.store.blobs_fd, "kept", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    f.store.kept = &stored;
    arena_init(&arena);
    const struct doc *doc = load();
    ck_assert_msg(doc != NULL, "cases.json cannot be read");
    cases = doc_get(doc, "cases");
    const struct doc *sets = doc_get(doc, "sets");
    for (size_t i = 0; i < sets->n; i++) {
        const struct doc *size = &sets->pairs[i].value;
        fixture_add_idx(&f, sets->pairs[i].key, "train", (int)size->items[0].i,
                        (int)size->items[1].i, (int)size->items[2].i);
    }
}

static void teardown(void)
{
    close(stored.fd);
    fixture_fini(&f);
    arena_fini(&arena);
}

struct reader {
    struct arena arena;
    struct pool pool;
    struct stream stream;
};

/* shards > 0: {shard: {num_shards, index}} at the end of the list. */
static const struct doc *stages_of(const struct doc *test, int shards, int index, struct arena *mem)
{
    struct doc *list = doc_new(mem);
    doc_copy(list, mem, doc_get(test, "pipeline"));
    if (shards > 0) {
        struct doc *item = doc_push(list, mem);
        doc_set_map(item);
        struct doc *shard = doc_put(item, mem, "shard");
        doc_set_map(shard);
        doc_put_int(shard, mem, "num_shards", shards);
        doc_put_int(shard, mem, "index", index);
    }
    return list;
}

static void open_reader(struct reader *r, const struct doc *test, int shards, int index)
{
    const char *name = doc_str(test, "name", "?");
    const struct job_stream data = {.dataset = doc_str(test, "dataset", "")};
    struct stream_want want = {
        .path = "pipeline", .is_training = true, .is_inner = true, .seed = 7, .epochs = 1};
    struct source *source = NULL;
    struct err err = {0};
    memset(r, 0, sizeof *r);
    arena_init(&r->arena);
    want.stages = stages_of(test, shards, index, &r->arena);
    pool_init(&r->pool, &f.store, &r->arena);
    int rc = pool_open(&r->pool, &data, &source, &err);
    rc = rc < 0 ? rc : stream_compile(&r->stream, source, &want, &r->pool, &err);
    ck_assert_msg(rc == 0, "%s: %s: %s", name, err.path, err.text);
}

static void close_reader(struct reader *r)
{
    pool_close(&r->pool);
    stream_fini(&r->stream);
    arena_fini(&r->arena);
}

static double value_at(const struct tensor *x, int64_t i)
{
    switch ((int)x->dtype) {
    case DTYPE_U8: return ((const uint8_t *)x->data)[i];
    case DTYPE_I64: return (double)((const int64_t *)x->data)[i];
    case DTYPE_F32: return (double)((const float *)x->data)[i];
    default: ck_abort_msg("element type %s", dtype_name(x->dtype));
    }
}

/* "x uint8 (1, 2, 1) 0 1; y int64 () 3;" */
static const char *element_text(struct reader *r, int64_t iteration, int64_t position,
                                const char *name)
{
    const struct stage_place place = {iteration, position};
    const struct source_call call = {.epoch = iteration};
    struct element element;
    struct err err = {0};
    struct buf out = {0};
    int rc = stream_get(&r->stream, &place, &call, &element, &err);
    ck_assert_msg(rc == 0, "%s: element %lld: %s", name, (long long)position, err.text);
    for (int i = 0; i < r->stream.spec.n; i++) {
        const struct tensor *x = &element.fields[i];
        char shape[96];
        int64_t n = 0;
        shape_format(&x->shape, shape, sizeof shape);
        ck_assert_int_eq(shape_count(&x->shape, &n), 0);
        buf_printf(&out, "%s %s %s", r->stream.spec.fields[i].name, dtype_name(x->dtype), shape);
        for (int64_t k = 0; k < n; k++) {
            buf_printf(&out, " %g", value_at(x, k));
        }
        buf_puts(&out, "; ");
    }
    const char *text = arena_strdup(&arena, out.data);
    buf_fini(&out);
    return text;
}

static double number(const struct doc *doc)
{
    return doc->type == DOC_INT ? (double)doc->i : doc->f;
}

static const char *wanted_text(const struct doc *element)
{
    struct buf out = {0};
    for (size_t i = 0; i < element->n; i++) {
        const struct doc *x = &element->pairs[i].value, *shape = doc_get(x, "shape"),
                         *v = doc_get(x, "v");
        struct shape dims = {.rank = (int)shape->n};
        char text[96];
        for (size_t k = 0; k < shape->n; k++) {
            dims.d[k] = shape->items[k].i;
        }
        shape_format(&dims, text, sizeof text);
        buf_printf(&out, "%s %s %s", element->pairs[i].key, doc_str(x, "dtype", "?"), text);
        for (size_t k = 0; k < v->n; k++) {
            buf_printf(&out, " %g", number(&v->items[k]));
        }
        buf_puts(&out, "; ");
    }
    const char *text = arena_strdup(&arena, out.data);
    buf_fini(&out);
    return text;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct list {
    const char *v[ELEMENTS_MAX];
    int64_t n;
};

static void compare(const struct doc *test, const char *how, const struct list *got_in,
                    const struct list *wanted_in, bool as_set)
{
    const char *name = doc_str(test, "name", "?");
    struct list got = *got_in, wanted = *wanted_in;
    ck_assert_msg(got.n == wanted.n, "%s, %s: %lld elements, wanted %lld", name, how,
                  (long long)got.n, (long long)wanted.n);
    if (as_set) {
        qsort(got.v, (size_t)got.n, sizeof got.v[0], by_text);
        qsort(wanted.v, (size_t)wanted.n, sizeof wanted.v[0], by_text);
    }
    for (int64_t i = 0; i < got.n; i++) {
        ck_assert_msg(strcmp(got.v[i], wanted.v[i]) == 0, "%s, %s, element %lld: %s\n  wanted %s",
                      name, how, (long long)i, got.v[i], wanted.v[i]);
    }
}

static struct list wanted_of(const struct doc *test)
{
    const struct doc *elements = doc_get(test, "elements");
    struct list list = {.n = (int64_t)elements->n};
    ck_assert_uint_le(elements->n, ELEMENTS_MAX);
    for (size_t i = 0; i < elements->n; i++) {
        list.v[i] = wanted_text(&elements->items[i]);
    }
    return list;
}

static struct list read_all(const struct doc *test, int64_t iteration, int shards, int index)
{
    struct reader r;
    struct list list = {0};
    open_reader(&r, test, shards, index);
    ck_assert_int_le(r.stream.n, ELEMENTS_MAX);
    for (; list.n < r.stream.n; list.n++) {
        list.v[list.n] = element_text(&r, iteration, list.n, doc_str(test, "name", "?"));
    }
    close_reader(&r);
    return list;
}

START_TEST(test_elements)
{
    const struct doc *test = &cases->items[_i];
    const struct list wanted = wanted_of(test);
    const bool as_set = doc_bool(test, "as_set", false);
    const struct list first = read_all(test, 0, 0, 0), next = read_all(test, 1, 0, 0);
    compare(test, "in order", &first, &wanted, as_set);
    compare(test, "iteration 1", &next, &wanted, as_set);
}
END_TEST

/* A restore at every position is a read there by one who has read nothing else, or all else. */
START_TEST(test_restored)
{
    const struct doc *test = &cases->items[_i];
    const char *name = doc_str(test, "name", "?");
    const struct list wanted = read_all(test, 0, 0, 0);
    struct reader all;
    struct list backwards = {.n = wanted.n}, fresh = {.n = wanted.n};
    open_reader(&all, test, 0, 0);
    for (int64_t i = wanted.n - 1; i >= 0; i--) {
        struct reader one;
        (void)element_text(&all, 1, i, name);
        backwards.v[i] = element_text(&all, 0, i, name);
        open_reader(&one, test, 0, 0);
        fresh.v[i] = element_text(&one, 0, i, name);
        close_reader(&one);
    }
    close_reader(&all);
    compare(test, "backwards", &backwards, &wanted, false);
    compare(test, "restored", &fresh, &wanted, false);
}
END_TEST

START_TEST(test_workers)
{
    static const int counts[] = {1, 2, 5};
    const struct doc *test = &cases->items[_i];
    const char *name = doc_str(test, "name", "?");
    const struct list wanted = read_all(test, 0, 0, 0);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        struct reader workers[WORKERS_MAX];
        struct list got = {.n = wanted.n};
        for (int w = 0; w < counts[c]; w++) {
            open_reader(&workers[w], test, 0, 0);
        }
        for (int64_t i = 0; i < wanted.n; i++) {
            struct reader *worker = &workers[i % counts[c]];
            if (i == wanted.n / 2) { /* it dies; another one takes its place */
                close_reader(worker);
                open_reader(worker, test, 0, 0);
            }
            got.v[i] = element_text(worker, 0, i, name);
        }
        for (int w = 0; w < counts[c]; w++) {
            close_reader(&workers[w]);
        }
        compare(test, "by workers", &got, &wanted, false);
    }
}
END_TEST

START_TEST(test_shards)
{
    const struct doc *test = &cases->items[_i];
    const struct list wanted = read_all(test, 0, 0, 0);
    for (int shards = 1; shards <= 3 && wanted.n >= 3; shards++) {
        struct list got = {.n = wanted.n};
        for (int s = 0; s < shards; s++) {
            const struct list part = read_all(test, 0, shards, s);
            ck_assert_int_eq(part.n, (wanted.n - s + shards - 1) / shards);
            for (int64_t i = 0; i < part.n; i++) {
                got.v[i * shards + s] = part.v[i];
            }
        }
        compare(test, "in shards", &got, &wanted, false);
    }
}
END_TEST

/* Who compiles the same again finds what was made and reads no element for it; a damaged file is
 * made anew. */
static void damage_all(const char *folder)
{
    char path[2 * TEST_PATH];
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char byte = 0;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        const off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
        if (end > 0) {
            ck_assert_int_eq(pread(fd, &byte, 1, end - 1), 1);
            byte = (char)(byte ^ 1);
            ck_assert_int_eq(pwrite(fd, &byte, 1, end - 1), 1);
        }
        close(fd);
    }
    closedir(dir);
}

START_TEST(test_kept)
{
    const struct doc *test = &cases->items[_i];
    const struct list wanted = read_all(test, 0, 0, 0), next = read_all(test, 1, 0, 0);
    char folder[TEST_PATH];
    test_dir_make(folder);
    struct kept kept = {.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    f.store.kept = &kept;
    const struct list first = read_all(test, 0, 0, 0), first_next = read_all(test, 1, 0, 0);
    const int64_t n_made = kept.n_made, n_elements = kept.n_elements;
    ck_assert_int_eq(kept.n_damaged, 0);
    const struct list again = read_all(test, 0, 0, 0), again_next = read_all(test, 1, 0, 0);
    ck_assert_int_eq(kept.n_made, n_made);
    ck_assert_int_eq(kept.n_elements, n_elements);
    damage_all(folder);
    const struct list anew = read_all(test, 0, 0, 0), anew_next = read_all(test, 1, 0, 0);
    ck_assert_int_eq(kept.n_damaged, n_made);
    ck_assert_int_eq(kept.n_made, 2 * n_made);
    ck_assert_int_eq(kept.n_elements, 2 * n_elements);
    const struct list *const lists[] = {&first,      &again,      &anew,
                                        &first_next, &again_next, &anew_next};
    for (int i = 0; i < 6; i++) {
        compare(test, "kept", lists[i], i < 3 ? &wanted : &next, false);
    }
    f.store.kept = NULL;
    close(kept.fd);
    test_dir_remove(folder);
}
END_TEST

/* A new stage cannot escape. */
START_TEST(test_all_stages_have_cases)
{
    for (const struct stage_desc *const *row = stage_table; *row != NULL; row++) {
        bool is_there = false;
        for (size_t i = 0; i < cases->n; i++) {
            const struct doc *stages = doc_get(&cases->items[i], "pipeline");
            for (size_t k = 0; k < stages->n; k++) {
                is_there = is_there || strcmp(stages->items[k].pairs[0].key, (*row)->name) == 0;
            }
        }
        ck_assert_msg(is_there, "stage %s has no case in tests/stages/make_cases.py", (*row)->name);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("stages");
    TCase *tcase = tcase_create("stages");
    arena_init(&arena);
    const struct doc *doc = load();
    const int n = doc != NULL ? (int)doc_get(doc, "cases")->n : 1;
    arena_fini(&arena);
    tcase_add_unchecked_fixture(tcase, setup, teardown); /* the files are only read */
    tcase_add_loop_test(tcase, test_elements, 0, n);
    tcase_add_loop_test(tcase, test_restored, 0, n);
    tcase_add_loop_test(tcase, test_workers, 0, n);
    tcase_add_loop_test(tcase, test_shards, 0, n);
    tcase_add_loop_test(tcase, test_kept, 0, n);
    tcase_add_test(tcase, test_all_stages_have_cases);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
