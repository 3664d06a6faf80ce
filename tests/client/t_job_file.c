/* Job files: lines of paths, what is shown of an error, --set. */
#include <stdio.h>
#include <string.h>

#include "client/job_file.h"
#include "tests/client/live.h"

static const char job_text[] = "name: digits\n"
                               "data:\n"
                               "  train: {dataset: digits}\n"
                               "model:\n"
                               "  - Conv2D: {filters: 3,\n"
                               "             kernel_size: 3}\n"
                               "  - Dense: {unitz: 10}\n"
                               "fit: {epochs: 3}\n";

static struct arena arena;
static struct live live;
static struct job_file file;

static void setup(void)
{
    char path[TEST_PATH];
    struct err err = {0};
    arena_init(&arena);
    live_start(&live);
    live_text(&live, "digits.yaml", job_text, path);
    ck_assert_msg(job_file_read(arena_strdup(&arena, path), &arena, &file, &err) == 0, "%s",
                  err.text);
}

static void teardown(void)
{
    live_stop(&live);
    arena_fini(&arena);
}

static const struct {
    const char *path;
    int line;
} lines[] = {
    {"name", 1},
    {"data.train", 3},
    {"data.train.split", 3},
    {"data.validation", 2},
    {"model", 4},
    {"model[0].Conv2D", 5},
    {"model[0].Conv2D.kernel_size", 6},
    {"model[1].Dense.unitz", 7},
    {"model[1].Dense.units", 7},
    {"model[9]", 4},
    {"model[1].Conv2D.a.b.c[3]", 7},
    {"fit.epochs", 8},
    {"", 0},
    {"train/a.jpg", 0},
    {"..[[]..", 0},
};

START_TEST(finds_lines)
{
    ck_assert_msg(job_file_line(&file, lines[_i].path) == lines[_i].line, "%s: %d", lines[_i].path,
                  job_file_line(&file, lines[_i].path));
}
END_TEST

START_TEST(shows_the_line)
{
    struct err err = {
        .code = ERR_UNKNOWN, .path = "model[1].Dense.unitz", .text = "no such option"};
    struct buf out = {0};
    file.name = "digits.yaml";
    job_file_complain(&file, &err, "", "", &out);
    ck_assert_str_eq(
        out.data,
        "digits.yaml:7: model[1].Dense.unitz: no such option\n     7 |   - Dense: {unitz: 10}\n");
    buf_clear(&out);
    err = (struct err){.code = ERR_SYNTAX, .line = 2, .text = "bad"};
    job_file_complain(&file, &err, "<", ">", &out);
    ck_assert_str_eq(out.data, "<digits.yaml:2:> bad\n     2 | data:\n");
    buf_clear(&out);
    err = (struct err){.code = ERR_SYNTAX, .line = 99, .text = "bad"};
    job_file_complain(&file, &err, "", "", &out);
    ck_assert_str_eq(out.data, "digits.yaml:99: bad\n");
    buf_fini(&out);
    ck_assert(job_file_holds(&file, "model[1].Dense.unitz"));
    ck_assert(job_file_holds(&file, "resources.threads")); /* not in the file, but its matter */
    ck_assert(!job_file_holds(&file, "cats/12.jpg") && !job_file_holds(&file, ""));
}
END_TEST

static const struct {
    const char *path, *value;
    const char *json; /* of the node; NULL = refused */
} sets[] = {
    {"fit.epochs", "7", "7"},
    {"fit.checkpoint.every_steps", "10", "10"},
    {"model[0].Conv2D.filters", "16", "16"},
    {"name", "other", "\"other\""},
    {"resources.backend", "ref", "\"ref\""},
    {"model[1]", "{\"Flatten\": {}}", "{\"Flatten\": {}}"},
    {"model[7].Dense", "1", NULL},
    {"model[x]", "1", NULL},
    {"model[0", "1", NULL},
    {"name.more", "1", NULL},
    {"", "1", NULL},
    {"fit..epochs", "1", NULL},
};

START_TEST(sets_values)
{
    struct err err = {0};
    int rc = job_file_set(&file, sets[_i].path, sets[_i].value, &arena, &err);
    if (sets[_i].json == NULL) {
        ck_assert_int_eq(rc, ERR_USAGE);
        return;
    }
    struct buf json = {0};
    ck_assert_int_eq(rc, 0);
    ck_assert_ptr_nonnull(doc_find(file.doc, sets[_i].path));
    doc_write_json(doc_find(file.doc, sets[_i].path), 0, &json);
    ck_assert_str_eq(json.data, sets[_i].json);
    buf_fini(&json);
}
END_TEST

static const struct {
    const char *name, *text;
    int code, line;
} others[] = {
    {"a.json", "{\n  \"name\": \"x\",\n  \"fit\": {\"epochs\": 3}\n}", 0, 3},
    {"a.json", "{\n\t\"name\": \"x\",\n\t\"fit\": {\"epochs\": 3}\n}", 0, -1},
    {"a.json", "{\"a\": 1,}", ERR_SYNTAX, 1},
    {"a.json", "{\"a\": 1, \"a\": 2}", ERR_SYNTAX, 1},
    {"a.yaml", "- 1\n", ERR_INVALID, 1},
    {"a.yaml", "text\n", ERR_INVALID, 1},
    {"a.yaml", "", ERR_SYNTAX, 0},
};

START_TEST(reads_other_files)
{
    char path[TEST_PATH];
    struct job_file other;
    struct err err = {0};
    live_text(&live, others[_i].name, others[_i].text, path);
    int rc = job_file_read(path, &arena, &other, &err);
    ck_assert_msg(rc == others[_i].code, "%s: %d %s", others[_i].text, rc, err.text);
    if (rc == 0 && others[_i].line >= 0) {
        ck_assert_int_eq(job_file_line(&other, "fit.epochs"), others[_i].line);
    } else if (rc < 0) {
        ck_assert_int_eq(err.line, others[_i].line);
    }
}
END_TEST

START_TEST(names_a_missing_file)
{
    struct job_file other;
    struct err err = {0};
    ck_assert_int_eq(job_file_read("/nonexistent/job.yaml", &arena, &other, &err), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/job.yaml"));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("job_file");
    TCase *tcase = tcase_create("job_file");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, finds_lines, 0, sizeof(lines) / sizeof(lines[0]));
    tcase_add_test(tcase, shows_the_line);
    tcase_add_loop_test(tcase, sets_values, 0, sizeof(sets) / sizeof(sets[0]));
    tcase_add_loop_test(tcase, reads_other_files, 0, sizeof(others) / sizeof(others[0]));
    tcase_add_test(tcase, names_a_missing_file);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
