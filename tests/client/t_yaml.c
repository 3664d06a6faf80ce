/* What YAML a job file may hold, and what is said about the rest. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "client/yaml.h"
#include "tests/test.h"

#include <fcntl.h>

static const struct {
    const char *text;
    const char *json;
} good[] = {
    {"a: 1\n", "{\"a\":1}"},
    {"a: -12\nb: +7\n", "{\"a\":-12,\"b\":7}"},
    {"{a: 1.5, b: [1, 2e3, -0.5]}", "{\"a\":1.5,\"b\":[1,2000.0,-0.5]}"},
    {"a: true\nb: False\nc: null\nd: ~\ne:\n",
     "{\"a\":true,\"b\":false,\"c\":null,\"d\":null,\"e\":null}"},
    {"a: 'true'\nb: \"12\"\nc: 'yes'\n", "{\"a\":\"true\",\"b\":\"12\",\"c\":\"yes\"}"},
    {"a: AUTOTUNE\nb: 3x3\nc: 1:30\nd: 1_000\n",
     "{\"a\":\"AUTOTUNE\",\"b\":\"3x3\",\"c\":\"1:30\",\"d\":\"1_000\"}"},
    {"a: .inf\nb: -.inf\nc: .nan\n", "{\"a\":\"Infinity\",\"b\":\"-Infinity\",\"c\":\"NaN\"}"},
    {"a: 9223372036854775807\n", "{\"a\":9223372036854775807}"},
    {"a: |\n  two\n  lines\n", "{\"a\":\"two\\nlines\\n\"}"},
    {"# note\n- Conv2D: {filters: 3}\n- Flatten: {}\n",
     "[{\"Conv2D\":{\"filters\":3}},{\"Flatten\":{}}]"},
    {"\xEF\xBB\xBF"
     "a: 1\r\nb: 2\r\n",
     "{\"a\":1,\"b\":2}"},
    {"---\na: 1\n...\n", "{\"a\":1}"},
    {"a: \xC3\xA9t\xC3\xA9\n", "{\"a\":\"\xC3\xA9t\xC3\xA9\"}"},
    {"{\"a\": {\"b\": [true, null, \"x\"]}}", "{\"a\":{\"b\":[true,null,\"x\"]}}"},
};

static const struct {
    const char *text;
    int code;
    int line;
    const char *says;
} bad[] = {
    {"", ERR_SYNTAX, 0, "empty"},
    {"# nothing\n", ERR_SYNTAX, 0, "empty"},
    {"a: 1\nb: &x 2\n", ERR_UNSUPPORTED, 2, "anchors"},
    {"a: &x 1\nb: *x\n", ERR_UNSUPPORTED, 1, "anchors"},
    {"a: *none\n", ERR_UNSUPPORTED, 1, "anchors"},
    {"a: 1\n\nb: !!python/object:os.system x\n", ERR_UNSUPPORTED, 3, "tags"},
    {"a: !mine 1\n", ERR_UNSUPPORTED, 1, "tags"},
    {"a: 1\nb: 2\na: 3\n", ERR_SYNTAX, 3, "'a' stands here a second time"},
    {"a: {b: 1,\n  b: 2}\n", ERR_SYNTAX, 2, "second time"},
    {"a: 1\n---\na: 2\n", ERR_UNSUPPORTED, 2, "one document"},
    {"%YAML 1.2\n---\na: 1\n", ERR_UNSUPPORTED, 1, "directives"},
    {"<<: {a: 1}\n", ERR_UNSUPPORTED, 1, "merge"},
    {"[1, 2]: 3\n", ERR_UNSUPPORTED, 1, "key"},
    {"a: 010\n", ERR_SYNTAX, 1, "leading zero"},
    {"a: 1\nb: no\n", ERR_SYNTAX, 2, "true or false"},
    {"a: On\n", ERR_SYNTAX, 1, "true or false"},
    {"a: 92233720368547758080\n", ERR_RANGE, 1, "64 bits"},
    {"a: 1\nb: \xFF\n", ERR_SYNTAX, 2, "UTF-8"},
    {"a: \xED\xA0\x80\n", ERR_SYNTAX, 1, "UTF-8"},
    {"a: \xC0\x80\n", ERR_SYNTAX, 1, "UTF-8"},
    {"a: \x01\n", ERR_SYNTAX, 1, "control"},
    {"a: \"\\0\"\n", ERR_SYNTAX, 1, "zero byte"},
    {"a: [1, 2\nb: 3\n", ERR_SYNTAX, -1, ""},
    {"a: 'open\n", ERR_SYNTAX, -1, ""},
    {"a:\n  b: 1\n c: 2\n", ERR_SYNTAX, -1, ""},
    {"a: {x: 1,,}\n", ERR_SYNTAX, -1, ""},
};

START_TEST(reads_what_is_clear)
{
    struct arena arena;
    struct doc *doc = NULL;
    struct err err = {0};
    struct buf json = {0};
    arena_init(&arena);
    int rc = yaml_read(good[_i].text, strlen(good[_i].text), false, &arena, &doc, &err);
    ck_assert_msg(rc == 0, "%s: %s", good[_i].text, err.text);
    doc_write_json(doc, 0, &json);
    struct doc *want = NULL;
    ck_assert_int_eq(doc_read_json(good[_i].json, strlen(good[_i].json), NULL, &arena, &want, &err),
                     0);
    struct doc *again = NULL; /* non-finite numbers are texts in JSON */
    ck_assert_int_eq(doc_read_json(json.data, json.size, NULL, &arena, &again, &err), 0);
    ck_assert_msg(doc_equal(again, want), "%s gives %s, not %s", good[_i].text, json.data,
                  good[_i].json);
    buf_fini(&json);
    arena_fini(&arena);
}
END_TEST

START_TEST(refuses_what_is_not)
{
    struct arena arena;
    struct doc *doc = NULL;
    struct err err = {0};
    arena_init(&arena);
    int rc = yaml_read(bad[_i].text, strlen(bad[_i].text), false, &arena, &doc, &err);
    ck_assert_msg(rc == bad[_i].code, "%s: code %d, text %s", bad[_i].text, rc, err.text);
    ck_assert_msg(bad[_i].line < 0 || err.line == bad[_i].line, "%s: line %d", bad[_i].text,
                  err.line);
    ck_assert_msg(bad[_i].line >= 0 || err.line > 0, "%s: no line", bad[_i].text);
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s: %s", bad[_i].text, err.text);
    ck_assert_uint_gt(strlen(err.text), 0);
    arena_fini(&arena);
}
END_TEST

START_TEST(says_where_nodes_stand)
{
    static const char text[] =
        "name: x\n\npipeline:\n  - shuffle: {}\n  - map:\n      - Rescaling: {scale: 2}\n"
        "      - RandomFlip:\n          mode: horizontal\nmodel: [\n  {Dense: {units: 3}},\n"
        "  {Dense:\n    {units: 4}}]\n";
    static const struct {
        const char *path;
        unsigned line;
    } rows[] = {
        {"name", 1},
        {"pipeline", 3},
        {"pipeline[0]", 4},
        {"pipeline[1].map", 5},
        {"pipeline[1].map[0].Rescaling.scale", 6},
        {"pipeline[1].map[1].RandomFlip", 7},
        {"pipeline[1].map[1].RandomFlip.mode", 8},
        {"model[0].Dense.units", 10},
        {"model[1].Dense", 11},
        {"model[1].Dense.units", 12},
    };
    struct arena arena;
    struct doc *doc = NULL;
    struct err err = {0};
    arena_init(&arena);
    ck_assert_int_eq(yaml_read(text, strlen(text), false, &arena, &doc, &err), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct doc *node = doc_find(doc, rows[i].path);
        ck_assert_msg(node != NULL && node->line == rows[i].line, "%s: line %u", rows[i].path,
                      node != NULL ? node->line : 0);
    }
    arena_fini(&arena);
}
END_TEST

START_TEST(bounds_depth_count_and_length)
{
    static const struct {
        char c;
        size_t n;
        int code;
    } rows[] = {{'[', 31, ERR_SYNTAX}, {'[', 33, ERR_LIMIT},    {'[', 100000, ERR_LIMIT},
                {'x', 65536, 0},       {'x', 65537, ERR_LIMIT}, {'x', 5 << 20, ERR_LIMIT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena;
        struct doc *doc = NULL;
        struct err err = {0};
        struct buf text = {0};
        arena_init(&arena);
        for (size_t k = 0; k < rows[i].n; k++) {
            buf_put(&text, &rows[i].c, 1);
        }
        int64_t start = test_cpu_us();
        int rc = yaml_read(text.data, text.size, false, &arena, &doc, &err);
        ck_assert_msg(rc == rows[i].code, "%c x %zu: %d %s", rows[i].c, rows[i].n, rc, err.text);
        ck_assert_int_lt(test_cpu_us() - start, 2000000);
        buf_fini(&text);
        arena_fini(&arena);
    }
}
END_TEST

/* ---- the corpus
 * ---------------------------------------------------------------------------------- */

/* Files whose fault lies in their meaning as a job (a batch of 0, an unknown key), not in YAML:
 * read here, refused by the option tables later. Their keys are not ours, so the schema itself is
 * tested elsewhere. */
static bool is_about_meaning(const char *name)
{
    static const char *const rows[] = {
        "batch_float",    "batch_huge",  "batch_negative", "batch_sexagesimal",
        "batch_string",   "batch_wrap",  "batch_zero",     "colon_no_space",
        "dataset_dotdot", "dataset_env", "dataset_list",   "lr_comma",
        "lr_inf",         "lr_nan",      "lr_negative",    "missing_key",
        "name_newline",   "name_null",   "top_list",       "top_scalar",
        "unknown_key",    "wide_20k"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strncmp(name, rows[i], strlen(rows[i])) == 0 &&
            strcmp(name + strlen(rows[i]), ".yaml") == 0) {
            return true;
        }
    }
    return false;
}

static void check_file(const char *folder, const struct doc *entry)
{
    const char *path = doc_str(entry, "path", "");
    const char *name = strchr(path, '/') != NULL ? strchr(path, '/') + 1 : path;
    const char *verdict = doc_str(doc_get(entry, "strict"), "verdict", "");
    const struct doc *also = doc_get(entry, "also");
    char full[TEST_PATH];
    struct buf text = {0};
    struct arena arena;
    struct doc *doc = NULL;
    struct err err = {0};
    arena_init(&arena);
    test_path(full, "%s/%s", folder, path);
    ck_assert_int_ge(file_read(AT_FDCWD, full, 16 << 20, &text, &err), 0);
    int64_t start = test_cpu_us();
    int rc = yaml_read(text.data != NULL ? text.data : "", text.size, false, &arena, &doc, &err);
    double seconds = (double)(test_cpu_us() - start) / 1e6;
    ck_assert_msg(seconds < doc_float(entry, "max_seconds", 2), "%s took %.2f s", name, seconds);
    if (strcmp(verdict, "accept") == 0) {
        ck_assert_msg(rc == 0 || (also != NULL && rc == ERR_UNSUPPORTED), "%s: %s", name, err.text);
    } else if (!is_about_meaning(name)) {
        ck_assert_msg(rc < 0, "%s was taken", name);
        ck_assert_msg(err.text[0] != '\0', "%s: no text", name);
    }
    buf_fini(&text);
    arena_fini(&arena);
}

START_TEST(judges_the_corpus)
{
    TEST_NEED_SHARED(shared);
    char path[TEST_PATH];
    struct buf text = {0};
    struct arena arena;
    struct doc *manifest = NULL;
    struct err err = {0};
    int n = 0;
    arena_init(&arena);
    test_path(path, "%s/hostile/manifest.json", shared);
    ck_assert_int_ge(file_read(AT_FDCWD, path, 64 << 20, &text, &err), 0);
    ck_assert_msg(doc_read_json(text.data, text.size, NULL, &arena, &manifest, &err) == 0, "%s",
                  err.text);
    test_path(path, "%s/hostile", shared);
    const struct doc *files = doc_get(manifest, "files");
    ck_assert_ptr_nonnull(files);
    for (size_t i = 0; i < files->n; i++) {
        if (strcmp(doc_str(doc_at(files, i), "format", ""), "yaml") == 0) {
            check_file(path, doc_at(files, i));
            n++;
        }
    }
    ck_assert_int_ge(n, 60);
    buf_fini(&text);
    arena_fini(&arena);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("yaml");
    TCase *tcase = tcase_create("yaml");
    tcase_add_loop_test(tcase, reads_what_is_clear, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tcase, refuses_what_is_not, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tcase, says_where_nodes_stand);
    tcase_add_test(tcase, bounds_depth_count_and_length);
    tcase_add_test(tcase, judges_the_corpus);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
