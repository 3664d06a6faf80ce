/* Text by the line, JSON by the line. */
#include <string.h>

#include "base/buf.h"
#include "pipeline/format/jsonl.h"
#include "tests/test.h"

static struct err err;

static const struct {
    const char *text;
    bool skips;
    const char *want; /* lines, a | behind each */
} texts[] = {
    {"a\nb\n", false, "a|b|"},  {"a\r\n\r\nb", false, "a||b|"}, {"", false, ""},
    {"\n", false, "|"},         {"\xef\xbb\xbfx", false, "x|"}, {"a\n \t\r\n\nb\n", true, "a|b|"},
    {"a\rb\n", false, "a\rb|"},
};

START_TEST(test_lines)
{
    struct lines lines = {0};
    struct input in;
    struct buf got = {0};
    input_memory(&in, texts[_i].text, strlen(texts[_i].text), "t");
    ck_assert_int_eq(lines_open(&lines, &in, texts[_i].skips, &err), 0);
    for (size_t i = 0; i < lines_n(&lines); i++) {
        const char *text = NULL;
        size_t n = 0;
        ck_assert_int_eq(lines_read(&lines, i, &text, &n, &err), 0);
        buf_printf(&got, "%.*s|", (int)n, text);
    }
    ck_assert_str_eq(got.data != NULL ? got.data : "", texts[_i].want);
    buf_fini(&got);
    lines_close(&lines);
}
END_TEST

static const struct {
    const char *text;
    int code, line;
} rows[] = {
    {"{\"a\": 9007199254740993}\n\n{\"a\": \"x\"}\n", 0, 0},
    {"{}\n\n{\"a\": 1\n", ERR_SYNTAX, 3},
    {"{}\n[1]\n", ERR_SCHEMA, 2},
    {"{}\n{\"a\": 1, \"a\": 2}\n", ERR_SYNTAX, 2},
    {"\n{\"\xff\": 1}\n", ERR_ENCODING, 2},
};

START_TEST(test_jsonl)
{
    struct lines lines = {0};
    struct input in;
    struct arena arena;
    int r = 0;
    arena_init(&arena);
    input_memory(&in, rows[_i].text, strlen(rows[_i].text), "t.jsonl");
    ck_assert_int_eq(jsonl_open(&lines, &in, &err), 0);
    for (size_t i = 0; r == 0 && i < lines_n(&lines); i++) {
        const struct doc *doc = NULL;
        r = jsonl_read(&lines, i, &arena, &doc, &err);
        ck_assert(_i != 0 || i != 0 || doc_int(doc, "a", 0) == 9007199254740993);
    }
    ck_assert_msg(r == rows[_i].code, "%d %s", r, err.text);
    ck_assert(r == 0 || (err.line == rows[_i].line && strstr(err.text, "t.jsonl: ") != NULL));
    lines_close(&lines);
    arena_fini(&arena);
}
END_TEST

START_TEST(test_limit)
{
    struct lines lines = {0};
    struct input in;
    struct buf text = {0};
    buf_reserve(&text, 20u << 20);
    memset(text.data, 'x', 20u << 20);
    input_memory(&in, text.data, 20u << 20, "t");
    ck_assert_int_eq(lines_open(&lines, &in, false, &err), ERR_LIMIT);
    ck_assert_int_eq(err.line, 1);
    input_memory(&in, text.data, 10u << 20, "t"); /* its end is the file's */
    ck_assert_int_eq(lines_open(&lines, &in, false, &err), 0);
    ck_assert_uint_eq(lines_n(&lines), 1);
    lines_close(&lines);
    buf_fini(&text);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("lines");
    TCase *c = tcase_create("lines");
    tcase_add_loop_test(c, test_lines, 0, sizeof texts / sizeof texts[0]);
    tcase_add_loop_test(c, test_jsonl, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(c, test_limit);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
