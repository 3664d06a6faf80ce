#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/doc.h"
#include "base/rng.h"
#include "tests/test.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_fini(&arena);
}

static const struct doc *read_json(const char *text)
{
    struct doc *doc = NULL;
    struct err err = {0};
    int r = doc_read_json(text, strlen(text), NULL, &arena, &doc, &err);
    ck_assert_msg(r == 0, "%s: %s", text, err.text);
    return doc;
}

/* text, the same again as we write it, its canonical form */
static const struct {
    const char *text, *line, *canonical;
} round_trips[] = {
    {"{}", "{}", "{}"},
    {"[]", "[]", "[]"},
    {" [1 ,2.5,-3e2, true,false,null ]", "[1, 2.5, -300.0, true, false, null]",
     "[1,2.5,-300.0,true,false,null]"},
    {"{\"b\": 1, \"a\": {\"d\": [], \"c\": {}}}", "{\"b\": 1, \"a\": {\"d\": [], \"c\": {}}}",
     "{\"a\":{\"c\":{},\"d\":[]},\"b\":1}"},
    {"\"tab\\tquote\\\" \\u00e9 \\u0001 \\u007f\"", "\"tab\\tquote\\\" \xC3\xA9 \\u0001 \\u007f\"",
     "\"tab\\tquote\\\" \xC3\xA9 \\u0001 \\u007f\""},
    {"9223372036854775807", "9223372036854775807", "9223372036854775807"},
    {"-9223372036854775808", "-9223372036854775808", "-9223372036854775808"},
    {"0.1", "0.1", "0.1"},
    {"1e300", "1e+300", "1e+300"},
};

START_TEST(test_round_trip)
{
    struct buf out = {0};
    const struct doc *doc = read_json(round_trips[_i].text);
    doc_write_json(doc, 0, &out);
    ck_assert_str_eq(out.data, round_trips[_i].line);
    ck_assert(doc_equal(doc, read_json(out.data)));
    buf_clear(&out);
    doc_write_json(doc, 2, &out);
    ck_assert(doc_equal(doc, read_json(out.data)));
    buf_clear(&out);
    doc_write_canonical(doc, &out);
    ck_assert_str_eq(out.data, round_trips[_i].canonical);
    struct doc copy;
    doc_copy(&copy, &arena, doc);
    ck_assert(doc_equal(doc, &copy));
    buf_fini(&out);
}
END_TEST

static const struct {
    const char *text;
    int code, line;
} refusals[] = {
    {"", ERR_SYNTAX, 1},
    {"{\"a\": 1,\n \"a\": 2}", ERR_SYNTAX, 2},
    {"{\"a\": 1", ERR_SYNTAX, 1},
    {"[1,\n2,\n,3]", ERR_SYNTAX, 3},
    {"[1] 2", ERR_SYNTAX, 1},
    {"{1: 2}", ERR_SYNTAX, 1},
    {"[NaN]", ERR_SYNTAX, 1},
    {"[1e999]", ERR_SYNTAX, 1},
    {"[99999999999999999999]", ERR_SYNTAX, 1},
    {"\"\\u0000\"", ERR_SYNTAX, 1},
    {"\"\xFF\"", ERR_SYNTAX, 1},
    {"\"\xC0\x80\"", ERR_SYNTAX, 1},
    {"nul", ERR_SYNTAX, 1},
    {"[1", ERR_SYNTAX, 1},
    {"]", ERR_SYNTAX, 1},
    {"\"open", ERR_SYNTAX, 1},
    {"\"open\\", ERR_SYNTAX, 1},
    {"[[[[[[[[[[1]]]]]]]]]]", ERR_LIMIT, 1},
    {"[1,2,3,4,\n5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]", ERR_LIMIT, 2},
    {"\"a text of more bytes than are allowed here, a text of more bytes than are allowed\"",
     ERR_LIMIT, 0},
};

START_TEST(test_refusals)
{
    const struct doc_limits limits = {.depth = 8, .nodes = 16, .bytes = 70};
    struct doc *doc = NULL;
    struct err err = {0};
    const char *text = refusals[_i].text;
    ck_assert_int_eq(doc_read_json(text, strlen(text), &limits, &arena, &doc, &err),
                     refusals[_i].code);
    ck_assert_int_eq(err.code, refusals[_i].code);
    ck_assert_int_eq(err.line, refusals[_i].line);
    ck_assert_int_eq(doc_read_json(text, strlen(text), &limits, &arena, &doc, NULL),
                     refusals[_i].code);
}
END_TEST

START_TEST(test_lines)
{
    const struct doc *doc =
        read_json("{\n \"a\": [1,\n  {\"b\": \"x\",\n\n \"c\": [[], 2.5]}],\n \"d\": \"e\\\"\"}");
    ck_assert_uint_eq(doc->line, 1);
    ck_assert_uint_eq(doc_find(doc, "a")->line, 2);
    ck_assert_uint_eq(doc_find(doc, "a[0]")->line, 2);
    ck_assert_uint_eq(doc_find(doc, "a[1]")->line, 3);
    ck_assert_uint_eq(doc_find(doc, "a[1].b")->line, 3);
    ck_assert_uint_eq(doc_find(doc, "a[1].c[0]")->line, 5);
    ck_assert_uint_eq(doc_find(doc, "a[1].c[1]")->line, 5);
    ck_assert_uint_eq(doc_find(doc, "d")->line, 6);
}
END_TEST

static const struct {
    const char *path;
    bool is_there;
} finds[] = {
    {"", true},        {"a", true},    {"a[1].b", true},   {"a[2]", false},
    {"a[1].x", false}, {"a[", false},  {"a[]", false},     {"a[x]", false},
    {"b", false},      {"a.b", false}, {"a[1][0]", false}, {"a[99999999999999999999999]", false},
    {"[0]", false},    {".", false},
};

START_TEST(test_find)
{
    const struct doc *doc = read_json("{\"a\": [1, {\"b\": null}]}");
    ck_assert_int_eq(doc_find(doc, finds[_i].path) != NULL, finds[_i].is_there);
}
END_TEST

START_TEST(test_typed)
{
    const struct doc *doc =
        read_json("{\"i\": 3, \"f\": 2.5, \"s\": \"x\", \"b\": true, \"n\": null}");
    ck_assert_int_eq(doc_int(doc, "i", 9), 3);
    ck_assert_int_eq(doc_int(doc, "f", 9), 9);
    ck_assert_int_eq(doc_int(doc, "none", 9), 9);
    ck_assert(doc_float(doc, "f", 9.0) == 2.5);
    ck_assert(doc_float(doc, "i", 9.0) == 3.0);
    ck_assert(doc_float(doc, "s", 9.0) == 9.0);
    ck_assert_str_eq(doc_str(doc, "s", "-"), "x");
    ck_assert_str_eq(doc_str(doc, "i", "-"), "-");
    ck_assert(doc_bool(doc, "b", false));
    ck_assert(!doc_bool(doc, "i", false));
    ck_assert_ptr_null(doc_get(NULL, "x"));
    ck_assert_ptr_null(doc_get(doc_get(doc, "i"), "x"));
    ck_assert_ptr_null(doc_at(NULL, 0));
    ck_assert_ptr_null(doc_at(doc, 0));
}
END_TEST

static const struct {
    const char *json, *want;
} descriptions[] = {
    {"null", "null"},
    {"true", "true"},
    {"12", "12"},
    {"2.0", "2.0"},
    {"\"relu\"", "'relu'"},
    {"\"a\\nb\"", "'a?b'"},
    {"[1,2,3]", "a list of 3"},
    {"[]", "an empty list"},
    {"{}", "an empty map"},
    {"{\"a\": 1}", "a map"},
    {"\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
     "'012345678901234567890123456789012345678901234567890123456789...'"},
};

START_TEST(test_describe)
{
    char text[128];
    doc_describe(read_json(descriptions[_i].json), text, sizeof(text));
    ck_assert_str_eq(text, descriptions[_i].want);
}
END_TEST

START_TEST(test_build)
{
    struct buf out = {0};
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_int(map, &arena, "a", 1);
    doc_put_float(map, &arena, "b", 2);
    doc_put_str(map, &arena, "c", NULL);
    doc_put_bool(map, &arena, "d", true);
    doc_put_str(map, &arena, "a", "again");
    doc_set_bin(doc_put(map, &arena, "e"), &arena, "\0\xFF", 2);
    struct doc *list = doc_put(map, &arena, "f");
    doc_set_list(list);
    for (int i = 0; i < 20; i++) {
        doc_set_int(doc_push(list, &arena), i);
    }
    doc_put_float(map, &arena, "g", (double)NAN);
    doc_put_float(map, &arena, "h", -HUGE_VAL);
    doc_set_strn(doc_put(map, &arena, "i"), &arena, "a\xFF\xED\xA0\x80z", 6);
    doc_write_canonical(map, &out);
    ck_assert_str_eq(out.data,
                     "{\"a\":\"again\",\"b\":2.0,\"c\":null,\"d\":true,\"e\":\"AP8=\","
                     "\"f\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19],\"g\":\"NaN\","
                     "\"h\":\"-Infinity\",\"i\":\"a\\ufffd\\ufffd\\ufffd\\ufffdz\"}");
    ck_assert_ptr_null(doc_duplicate(map));
    doc_set_null(doc_append(map, &arena, "d"));
    ck_assert_str_eq(doc_duplicate(map), "d");
    buf_fini(&out);
}
END_TEST

static const struct {
    const char *a, *b;
    bool equal;
} equals[] = {
    {"1", "1", true},
    {"1", "1.0", false},
    {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
    {"{\"a\":1}", "{\"b\":1}", false},
    {"[1,2]", "[2,1]", false},
    {"[1]", "[1,1]", false},
    {"\"a\"", "\"b\"", false},
    {"null", "null", true},
    {"null", "false", false},
};

START_TEST(test_equal)
{
    ck_assert_int_eq(doc_equal(read_json(equals[_i].a), read_json(equals[_i].b)), equals[_i].equal);
}
END_TEST

static const struct {
    const char *text;
    bool is_int, is_float;
    int64_t i;
    double f;
} numbers[] = {
    {"0", true, true, 0, 0.0},
    {"-17", true, true, -17, -17.0},
    {"+5", true, true, 5, 5.0},
    {"9223372036854775807", true, true, INT64_MAX, 9223372036854775807.0},
    {"-9223372036854775808", true, true, INT64_MIN, -9223372036854775808.0},
    {"9223372036854775808", false, true, 0, 9223372036854775808.0},
    {"1.5", false, true, 0, 1.5},
    {"1e-3", false, true, 0, 1e-3},
    {".5", false, true, 0, 0.5},
    {"", false, false, 0, 0.0},
    {"-", false, false, 0, 0.0},
    {"1x", false, false, 0, 0.0},
    {" 1", false, false, 0, 0.0},
    {"1 ", false, false, 0, 0.0},
    {"0x10", false, false, 0, 0.0},
    {"nan", false, false, 0, 0.0},
    {"inf", false, false, 0, 0.0},
    {"1e999", false, false, 0, 0.0},
    {"1,5", false, false, 0, 0.0},
};

START_TEST(test_numbers)
{
    int64_t i = 0;
    double f = 0.0;
    ck_assert_int_eq(doc_parse_int(numbers[_i].text, &i), numbers[_i].is_int);
    ck_assert_int_eq(i, numbers[_i].i);
    ck_assert_int_eq(doc_parse_float(numbers[_i].text, &f), numbers[_i].is_float);
    ck_assert(f == numbers[_i].f);
}
END_TEST

/* Any bits but NaN's come back, in a locale with a comma too where the machine has one. */
START_TEST(test_float_texts)
{
    struct rng rng;
    rng_init(&rng, 3, 0, 0, 0);
    (void)setlocale(LC_ALL, _i == 0 ? "C" : "de_DE.UTF-8");
    for (int i = 0; i < 200000; i++) {
        char text[64];
        double f, back = 0.0;
        uint64_t bits = rng_u64(&rng);
        bits = i % 100 == 0 ? bits & 0x800FFFFFFFFFFFFFu : bits; /* subnormal */
        memcpy(&f, &bits, sizeof(f));
        if (!isfinite(f)) {
            continue;
        }
        doc_format_float(f, text, sizeof(text));
        ck_assert(doc_parse_float(text, &back));
        ck_assert_msg(memcmp(&f, &back, sizeof(f)) == 0, "%s", text);
    }
    (void)setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(test_shortest)
{
    static const struct {
        double f;
        const char *text;
    } cases[] = {{0.1, "0.1"},    {1.0, "1.0"},       {-0.0, "-0.0"},
                 {1e22, "1e+22"}, {5e-324, "5e-324"}, {1.0 / 3.0, "0.3333333333333333"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        doc_format_float(cases[i].f, text, sizeof(text));
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

/* Bytes of good texts changed, cut, doubled: each is refused with a code or gives a tree that
 * writes and reads the same. */
START_TEST(test_mutations)
{
    static const char *const seeds[] = {
        "{\"model\": [{\"Dense\": {\"units\": 10, \"activation\": \"softmax\"}}], \"n\": -1.5e-3}",
        "[[[[]]], {}, {\"\": null}, \"\\ud83d\\ude00 \\u00e9\", true, false, 0, -0.0, 1e22]",
    };
    struct rng rng;
    rng_init(&rng, 17, 0, 0, (uint64_t)_i);
    int n_good = 0;
    for (int round = 0; round < 20000; round++) {
        char text[256];
        const char *seed = seeds[round % 2];
        size_t n = strlen(seed);
        memcpy(text, seed, n);
        for (uint64_t k = 0; k < 1 + rng_below(&rng, 3); k++) {
            size_t at = (size_t)rng_below(&rng, n);
            static const char bytes[] = "{}[]\",:\\0e-. \n\xFF";
            text[at] = rng_below(&rng, 2) ? bytes[rng_below(&rng, sizeof(bytes))]
                                          : text[rng_below(&rng, n)];
        }
        n = rng_below(&rng, 4) ? n : (size_t)rng_below(&rng, n);
        struct doc *doc = NULL;
        struct err err = {0};
        int r = doc_read_json(text, n, NULL, &arena, &doc, &err);
        if (r < 0) {
            ck_assert(r == ERR_SYNTAX || r == ERR_LIMIT);
            ck_assert_uint_gt(strlen(err.text), 0);
            continue;
        }
        struct buf out = {0};
        doc_write_json(doc, round % 3, &out);
        ck_assert(doc_equal(doc, read_json(out.data)));
        buf_fini(&out);
        arena_reset(&arena);
        n_good++;
    }
    ck_assert_int_gt(n_good, 100);
}
END_TEST

#define LOOP(cases, test, rows) \
    tcase_add_loop_test(cases, test, 0, sizeof(rows) / sizeof((rows)[0]))

static Suite *make_suite(void)
{
    Suite *suite = suite_create("doc");
    TCase *cases = tcase_create("doc");
    tcase_add_checked_fixture(cases, setup, teardown);
    LOOP(cases, test_round_trip, round_trips);
    LOOP(cases, test_refusals, refusals);
    tcase_add_test(cases, test_lines);
    LOOP(cases, test_find, finds);
    tcase_add_test(cases, test_typed);
    LOOP(cases, test_describe, descriptions);
    tcase_add_test(cases, test_build);
    LOOP(cases, test_equal, equals);
    LOOP(cases, test_numbers, numbers);
    tcase_add_loop_test(cases, test_float_texts, 0, 2);
    tcase_add_test(cases, test_shortest);
    tcase_add_loop_test(cases, test_mutations, 0, 2);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
