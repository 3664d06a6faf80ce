#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/opt.h"
#include "tests/test.h"

struct inner {
    int64_t level;
    const char *label;
};
struct thing {
    bool use_bias;
    int64_t units;
    double rate;
    float scale;
    const char *name;
    int padding;
    struct opt_ints kernel_size;
    struct opt_ints axis;
    struct opt_floats factor;
    struct opt_strs classes;
    struct inner inner;
    struct opt_groups parts;
    const struct doc *initializer;
    struct opt_bin blob;
    const char *password;
    int64_t seed;
    int64_t workers;
};

static const struct opt_name paddings[] = {{"valid", 0}, {"same", 1}, {"causal", 2}, {NULL, 0}};
static const struct opt_name automatic[] = {{"AUTOTUNE", 0}, {NULL, 0}};
static const struct opt inner_table[] = {
    OPT_I64_ROW(inner, level, 3, 0, 9, "How deep."),
    OPT_STR_ROW(inner, label, NULL, "What it is called.", .flags = OPT_REQUIRED),
    OPT_END_ROW,
};
static const struct opt soft_table[] = {
    OPT_I64_ROW(inner, level, 3, 0, 9, "How deep."),
    OPT_STR_ROW(inner, label, "none", "What it is called."),
    OPT_END_ROW,
};
static const struct opt table[] = {
    OPT_BOOL_ROW(thing, use_bias, true, "Whether a bias is added."),
    OPT_I64_ROW(thing, units, 8, 1, 100, "Outputs.", .flags = OPT_REQUIRED, .alias = "n_units"),
    OPT_F64_ROW(thing, rate, 0.5, 0.0, 1.0, "Share that is dropped."),
    OPT_F32_ROW(thing, scale, 0.1, -10.0, HUGE_VAL, "Factor."),
    OPT_STR_ROW(thing, name, NULL, "A name.", .flags = OPT_NULLABLE),
    OPT_ENUM_ROW(thing, padding, 0, paddings, "What is beyond the border."),
    OPT_INTS_ROW(thing, kernel_size, "[3,3]", 2, 2, 1, 64, "Rows | columns."),
    OPT_INTS_ROW(thing, axis, NULL, 1, 4, -4, 3, "Axes.", .flags = OPT_NULLABLE),
    OPT_FLOATS_ROW(thing, factor, "[-0.5, 0.5]", 1, 2, -1.0, 1.0, "Range.", .unit = "turns"),
    OPT_STRS_ROW(thing, classes, "Names of the classes.", .max_n = 3),
    OPT_GROUP_ROW(thing, inner, soft_table, "A nested group."),
    OPT_GROUPS_ROW(thing, parts, inner, inner_table, "A list of groups."),
    OPT_DOC_ROW(thing, initializer, "How weights begin.", .def_str = "\"glorot_uniform\""),
    OPT_BIN_ROW(thing, blob, "Bytes."),
    OPT_STR_ROW(thing, password, "x", "Not for eyes.", .flags = OPT_SECRET),
    OPT_I64_ROW(thing, seed, 0, 0, OPT_I64_MAX, "Seed.", .flags = OPT_NULLABLE),
    OPT_I64_ROW(thing, workers, 0, 1, 64, "Processes.", .names = automatic),
    OPT_END_ROW,
};

static struct arena arena;
static struct thing thing;
static struct err err;

static void setup(void)
{
    arena_init(&arena);
    memset(&thing, 0xEE, sizeof(thing)); /* what a row does not write shows */
    memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
    arena_fini(&arena);
}

static struct doc *parse(const char *text)
{
    struct doc *doc = NULL;
    struct err why;
    ck_assert_msg(doc_read_json(text, strlen(text), NULL, &arena, &doc, &why) == 0, "%s", text);
    return doc;
}

START_TEST(test_defaults)
{
    opt_defaults(table, &thing, &arena);
    ck_assert(thing.use_bias);
    ck_assert_int_eq(thing.units, 8);
    ck_assert(thing.rate == 0.5);
    ck_assert(thing.scale == 0.1F);
    ck_assert_ptr_null(thing.name);
    ck_assert_int_eq(thing.padding, 0);
    ck_assert_uint_eq(thing.kernel_size.n, 2);
    ck_assert_int_eq(thing.kernel_size.v[1], 3);
    ck_assert_uint_eq(thing.axis.n, 0);
    ck_assert(thing.factor.v[0] == -0.5 && thing.factor.v[1] == 0.5);
    ck_assert_uint_eq(thing.classes.n, 0);
    ck_assert_int_eq(thing.inner.level, 3);
    ck_assert_str_eq(thing.inner.label, "none");
    ck_assert_uint_eq(thing.parts.n, 0);
    ck_assert_str_eq(thing.initializer->str, "glorot_uniform");
    ck_assert_ptr_null(thing.blob.data);
    ck_assert_int_eq(thing.seed, 0);
}
END_TEST

START_TEST(test_read)
{
    const struct doc *map = parse("{\"units\": 5.0, \"use_bias\": false, \"rate\": 1, \"scale\": "
                                  "2.5, \"name\": \"x\", \"padding\": \"same\","
                                  "\"kernel_size\": 7, \"axis\": [-1, 2], \"factor\": 0.25, "
                                  "\"classes\": \"one\", \"inner\": {\"level\": 1},"
                                  "\"parts\": [{\"label\": \"a\"}, {\"label\": \"b\", \"level\": "
                                  "9}], \"initializer\": {\"Zeros\": null},"
                                  "\"seed\": 9007199254740992}");
    ck_assert_int_eq(opt_read(table, &thing, map, &arena, &err), 0);
    ck_assert_int_eq(thing.units, 5);
    ck_assert(!thing.use_bias);
    ck_assert(thing.rate == 1.0);
    ck_assert(thing.scale == 2.5F);
    ck_assert_str_eq(thing.name, "x");
    ck_assert_int_eq(thing.padding, 1);
    ck_assert_uint_eq(thing.kernel_size.n, 2);
    ck_assert_int_eq(thing.kernel_size.v[0], 7);
    ck_assert_int_eq(thing.kernel_size.v[1], 7);
    ck_assert_uint_eq(thing.axis.n, 2);
    ck_assert_int_eq(thing.axis.v[0], -1);
    ck_assert_uint_eq(thing.factor.n, 1);
    ck_assert(thing.factor.v[0] == 0.25);
    ck_assert_uint_eq(thing.classes.n, 1);
    ck_assert_str_eq(thing.classes.v[0], "one");
    ck_assert_int_eq(thing.inner.level, 1);
    ck_assert_str_eq(thing.inner.label, "none");
    const struct inner *parts = thing.parts.v;
    ck_assert_uint_eq(thing.parts.n, 2);
    ck_assert_int_eq(parts[0].level, 3);
    ck_assert_str_eq(parts[1].label, "b");
    ck_assert_int_eq(parts[1].level, 9);
    ck_assert_ptr_nonnull(doc_get(thing.initializer, "Zeros"));
    ck_assert_int_eq(thing.seed, 9007199254740992);
}
END_TEST

START_TEST(test_alias_and_null)
{
    ck_assert_int_eq(
        opt_read(table, &thing,
                 parse("{\"n_units\": 4, \"name\": null, \"axis\": null, \"seed\": null}"), &arena,
                 &err),
        0);
    ck_assert_int_eq(thing.units, 4);
    ck_assert_ptr_null(thing.name);
    ck_assert_uint_eq(thing.axis.n, 0);
    ck_assert_int_eq(thing.seed, 0);
}
END_TEST

/* A copy of a good document with one thing wrong: code, path and what the sentence must hold. */
static const struct {
    const char *json;
    int code;
    const char *path, *words;
} refusals[] = {
    {"{}", ERR_MISSING, "units", "required"},
    {"null", ERR_MISSING, "units", "required"},
    {"[1]", ERR_INVALID, "", "not a list of 1"},
    {"\"x\"", ERR_INVALID, "", "not 'x'"},
    {"{\"units\": 1, \"unitz\": 2}", ERR_UNKNOWN, "unitz", "did you mean 'units'?"},
    {"{\"units\": 1, \"Padding\": \"same\"}", ERR_UNKNOWN, "Padding", "did you mean 'padding'?"},
    {"{\"units\": 1, \"qqqqqqqq\": 2}", ERR_UNKNOWN, "qqqqqqqq", "there are: use_bias, units"},
    {"{\"units\": 1, \"n_units\": 2}", ERR_INVALID, "n_units", "given twice"},
    {"{\"units\": 0}", ERR_RANGE, "units", "0 is outside 1..100"},
    {"{\"units\": 101}", ERR_RANGE, "units", "101 is outside 1..100"},
    {"{\"units\": 1.5}", ERR_INVALID, "units", "takes a whole number, not 1.5"},
    {"{\"units\": 1e30}", ERR_INVALID, "units", "whole number"},
    {"{\"units\": true}", ERR_INVALID, "units", "not true"},
    {"{\"units\": \"5\"}", ERR_INVALID, "units", "not '5'"},
    {"{\"units\": null}", ERR_INVALID, "units", "not null"},
    {"{\"units\": [1]}", ERR_INVALID, "units", "not a list of 1"},
    {"{\"units\": 1, \"seed\": 9007199254740993}", ERR_RANGE, "seed", "outside"},
    {"{\"units\": 1, \"seed\": -1}", ERR_RANGE, "seed", "outside"},
    {"{\"units\": 1, \"use_bias\": 1}", ERR_INVALID, "use_bias", "true or false, not 1"},
    {"{\"units\": 1, \"rate\": 1.01}", ERR_RANGE, "rate", "1.01 is outside 0..1"},
    {"{\"units\": 1, \"rate\": true}", ERR_INVALID, "rate", "a number, not true"},
    {"{\"units\": 1, \"rate\": \"NaN\"}", ERR_INVALID, "rate", "not 'NaN'"},
    {"{\"units\": 1, \"scale\": 1e300}", ERR_RANGE, "scale", "outside"},
    {"{\"units\": 1, \"name\": 3}", ERR_INVALID, "name", "a text, not 3"},
    {"{\"units\": 1, \"padding\": \"sam\"}", ERR_INVALID, "padding",
     "'sam' is not one of valid, same, causal; did you mean 'same'?"},
    {"{\"units\": 1, \"padding\": 1}", ERR_INVALID, "padding", "one of valid, same, causal, not 1"},
    {"{\"units\": 1, \"kernel_size\": [3]}", ERR_INVALID, "kernel_size",
     "takes 2 whole numbers, not 1"},
    {"{\"units\": 1, \"kernel_size\": [3, 0]}", ERR_RANGE, "kernel_size[1]", "0 is outside 1..64"},
    {"{\"units\": 1, \"kernel_size\": [3, \"x\"]}", ERR_INVALID, "kernel_size[1]", "not 'x'"},
    {"{\"units\": 1, \"kernel_size\": 65}", ERR_RANGE, "kernel_size", "65 is outside 1..64"},
    {"{\"units\": 1, \"kernel_size\": {}}", ERR_INVALID, "kernel_size",
     "a list of whole numbers, not an empty map"},
    {"{\"units\": 1, \"axis\": []}", ERR_INVALID, "axis", "1 to 4 whole numbers, not 0"},
    {"{\"units\": 1, \"factor\": [0, 2]}", ERR_RANGE, "factor[1]", "2 is outside -1..1"},
    {"{\"units\": 1, \"factor\": [0, null]}", ERR_INVALID, "factor[1]", "a number, not null"},
    {"{\"units\": 1, \"classes\": [\"a\", 1]}", ERR_INVALID, "classes[1]", "a text, not 1"},
    {"{\"units\": 1, \"classes\": [\"a\", \"b\", \"c\", \"d\"]}", ERR_INVALID, "classes",
     "0 to 3 texts, not 4"},
    {"{\"units\": 1, \"inner\": {\"levle\": 1}}", ERR_UNKNOWN, "inner.levle",
     "did you mean 'level'?"},
    {"{\"units\": 1, \"inner\": {\"level\": 10}}", ERR_RANGE, "inner.level", "10 is outside 0..9"},
    {"{\"units\": 1, \"inner\": 3}", ERR_INVALID, "inner", "a map of options, not 3"},
    {"{\"units\": 1, \"parts\": {}}", ERR_INVALID, "parts", "a list of maps"},
    {"{\"units\": 1, \"parts\": [{\"label\": \"a\"}, {}]}", ERR_MISSING, "parts[1].label",
     "required"},
    {"{\"units\": 1, \"parts\": [{\"label\": \"a\"}, 7]}", ERR_INVALID, "parts[1]", "not 7"},
    {"{\"units\": 1, \"workers\": \"auto\"}", ERR_INVALID, "workers",
     "a whole number or AUTOTUNE, not 'auto'"},
    {"{\"units\": 1, \"blob\": \"text\"}", ERR_INVALID, "blob", "bytes, not 'text'"},
};

START_TEST(test_refusals)
{
    const struct doc *map = parse(refusals[_i].json);
    ck_assert_int_eq(opt_read(table, &thing, map, &arena, &err), refusals[_i].code);
    ck_assert_int_eq(err.code, refusals[_i].code);
    ck_assert_str_eq(err.path, refusals[_i].path);
    ck_assert_msg(strstr(err.text, refusals[_i].words) != NULL, "'%s' does not say '%s'", err.text,
                  refusals[_i].words);
    ck_assert_int_eq(opt_read(table, &thing, map, &arena, NULL), refusals[_i].code);
}
END_TEST

/* Not a number never passes, in whatever row; a range that ends at infinity takes it. */
START_TEST(test_not_finite)
{
    static const char *const names[] = {"units", "rate", "scale", "kernel_size", "factor"};
    struct doc value = {.type = DOC_FLOAT, .f = (double)NAN};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        opt_defaults(table, &thing, &arena);
        ck_assert_int_lt(opt_set(table, &thing, names[i], &value, &arena, &err), 0);
        ck_assert_str_eq(err.path, names[i]);
    }
    value.f = HUGE_VAL;
    ck_assert_int_eq(opt_set(table, &thing, "rate", &value, &arena, &err), ERR_RANGE);
    ck_assert_int_eq(opt_set(table, &thing, "scale", &value, &arena, &err), 0);
}
END_TEST

START_TEST(test_line)
{
    ck_assert_int_eq(opt_read(table, &thing, parse("{\"units\": 1,\n\n\"rate\": 7}"), &arena, &err),
                     ERR_RANGE);
    ck_assert_int_eq(err.line, 3);
}
END_TEST

/* name, text, code, the row as JSON afterwards */
static const struct {
    const char *name, *text;
    int code;
    const char *want;
} texts[] = {
    {"units", "12", 0, "12"},
    {"n-units", "12", 0, NULL},
    {"units", "twelve", ERR_INVALID, NULL},
    {"units", "", ERR_INVALID, NULL},
    {"units", "0", ERR_RANGE, NULL},
    {"use_bias", "true", 0, "true"},
    {"use-bias", "no", 0, NULL},
    {"use_bias", "off", 0, "false"},
    {"use_bias", "0", 0, "false"},
    {"use_bias", "maybe", ERR_INVALID, NULL},
    {"rate", "0.25", 0, "0.25"},
    {"rate", "1", 0, "1.0"},
    {"rate", "nan", ERR_INVALID, NULL},
    {"scale", "0.1", 0, "0.1"},
    {"name", "12", 0, "\"12\""},
    {"padding", "same", 0, "\"same\""},
    {"padding", "smae", ERR_INVALID, NULL},
    {"kernel_size", "3,5", 0, "[3, 5]"},
    {"kernel_size", "[3,5]", 0, "[3, 5]"},
    {"kernel_size", "5", 0, "[5, 5]"},
    {"kernel_size", "[3", ERR_SYNTAX, NULL},
    {"kernel_size", "3,x", ERR_INVALID, NULL},
    {"factor", "0.5", 0, "[0.5]"},
    {"factor", "-1,1", 0, "[-1.0, 1.0]"},
    {"classes", "a,b", 0, "[\"a\", \"b\"]"},
    {"classes", "12", 0, "[\"12\"]"},
    {"initializer", "zeros", 0, "\"zeros\""},
    {"initializer", "{\"Constant\": {\"value\": 1}}", 0, "{\"Constant\": {\"value\": 1}}"},
    {"inner", "{\"level\": 2}", 0, "{\"level\": 2, \"label\": \"none\"}"},
    {"inner", "level", ERR_SYNTAX, NULL},
    {"inner.level", "4", 0, NULL},
    {"inner.level", "10", ERR_RANGE, NULL},
    {"inner.depth", "4", ERR_UNKNOWN, NULL},
    {"units.x", "4", ERR_UNKNOWN, NULL},
    {"nothing", "4", ERR_UNKNOWN, NULL},
    {"no.thing", "4", ERR_UNKNOWN, NULL},
    {"blob", "abc", ERR_INVALID, NULL},
    {"workers", "AUTOTUNE", 0, "\"AUTOTUNE\""},
    {"workers", "3", 0, "3"},
    {"workers", "0", ERR_RANGE, NULL},
    {"workers", "some", ERR_INVALID, NULL},
};

START_TEST(test_texts)
{
    opt_defaults(table, &thing, &arena);
    ck_assert_int_eq(opt_set_text(table, &thing, texts[_i].name, texts[_i].text, &arena, &err),
                     texts[_i].code);
    if (texts[_i].want) {
        struct buf out = {0};
        struct doc *map = doc_new(&arena);
        opt_write(table, &thing, true, map, &arena);
        doc_write_json(doc_get(map, texts[_i].name), 0, &out);
        ck_assert_str_eq(out.data, texts[_i].want);
        buf_fini(&out);
    } else if (texts[_i].code < 0) {
        ck_assert_uint_gt(strlen(err.path), 0);
    }
}
END_TEST

START_TEST(test_write_and_read)
{
    struct thing again;
    struct doc *map = doc_new(&arena), *second = doc_new(&arena);
    ck_assert_int_eq(
        opt_read(table, &thing,
                 parse("{\"units\": 5, \"axis\": [1], \"classes\": [\"a\"], \"scale\": 0.001,"
                       "\"parts\": [{\"label\": \"a\"}]}"),
                 &arena, &err),
        0);
    thing.blob = (struct opt_bin){.data = "\0\1", .n = 2};
    opt_write(table, &thing, true, map, &arena);
    ck_assert_ptr_null(doc_get(map, "name"));
    ck_assert(doc_float(map, "scale", 0.0) == 0.001);
    ck_assert_str_eq(doc_str(map, "password", ""), "x");
    ck_assert_int_eq(opt_read(table, &again, map, &arena, &err), 0);
    opt_write(table, &again, true, second, &arena);
    ck_assert(doc_equal(map, second));
    opt_write(table, &thing, false, map, &arena);
    ck_assert_str_eq(doc_str(map, "password", ""), "***");
}
END_TEST

START_TEST(test_help)
{
    struct buf out = {0};
    opt_help(table, &out);
    ck_assert_ptr_nonnull(strstr(out.data, "--use-bias=BOOL"));
    ck_assert_ptr_nonnull(strstr(out.data, "Outputs. [1..100; default 8] (required)\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "[valid, same, causal; default valid]"));
    ck_assert_ptr_nonnull(strstr(out.data, "[1..64, 2 values; default [3,3]]"));
    ck_assert_ptr_nonnull(strstr(out.data, "[1..64 or AUTOTUNE; default AUTOTUNE]"));
    buf_clear(&out);
    opt_reference(table, &out);
    ck_assert_ptr_nonnull(strstr(out.data, "| `units` | int | `required` | 1..100 | Outputs. |\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "Rows \\| columns. |"));
    ck_assert_ptr_nonnull(strstr(out.data, "| `factor` | floats (turns) |"));
    buf_fini(&out);
}
END_TEST

START_TEST(test_schema)
{
    struct doc *map = doc_new(&arena);
    opt_schema(table, map, &arena);
    ck_assert_str_eq(doc_find(map, "properties.units.type")->str, "integer");
    ck_assert(doc_number(doc_find(map, "properties.units.maximum")) == 100.0);
    ck_assert_str_eq(doc_find(map, "required[0]")->str, "units");
    ck_assert_uint_eq(doc_get(map, "required")->n, 1);
    ck_assert_str_eq(doc_find(map, "properties.name.type[1]")->str, "null");
    ck_assert_str_eq(doc_find(map, "properties.padding.enum[2]")->str, "causal");
    ck_assert_str_eq(doc_find(map, "properties.kernel_size.anyOf[0].type")->str, "integer");
    ck_assert_int_eq(doc_find(map, "properties.kernel_size.anyOf[1].minItems")->i, 2);
    ck_assert_ptr_null(doc_find(map, "properties.scale.maximum"));
    ck_assert_str_eq(doc_find(map, "properties.parts.items.properties.label.type")->str, "string");
    ck_assert_str_eq(doc_find(map, "properties.workers.anyOf[1].enum[0]")->str, "AUTOTUNE");
    ck_assert(!doc_bool(map, "additionalProperties", true));
}
END_TEST

/* document, code, name, options as JSON or NULL */
static const struct {
    const char *json;
    int code;
    const char *name, *options;
} names[] = {
    {"\"Adam\"", 0, "Adam", NULL},
    {"{\"Adam\": {\"learning_rate\": 0.1}}", 0, "Adam", "{\"learning_rate\": 0.1}"},
    {"{\"Adam\": null}", 0, "Adam", NULL},
    {"{\"class_name\": \"Adam\", \"config\": {\"a\": 1}, \"module\": \"keras.optimizers\"}", 0,
     "Adam", "{\"a\": 1}"},
    {"{\"class_name\": \"Zeros\"}", 0, "Zeros", NULL},
    {"{\"module\": \"builtins\", \"class_name\": \"function\", \"config\": \"relu\"}", 0, "relu",
     NULL},
    {"{\"class_name\": \"Adam\", \"config\": 3}", ERR_INVALID, NULL, NULL},
    {"{\"class_name\": 3}", ERR_INVALID, NULL, NULL},
    {"{\"Adam\": 0.1}", ERR_INVALID, NULL, NULL},
    {"{\"Adam\": {}, \"SGD\": {}}", ERR_INVALID, NULL, NULL},
    {"{}", ERR_INVALID, NULL, NULL},
    {"[]", ERR_INVALID, NULL, NULL},
    {"3", ERR_INVALID, NULL, NULL},
    {"null", ERR_INVALID, NULL, NULL},
};

START_TEST(test_named)
{
    const char *name = NULL;
    const struct doc *options = NULL;
    ck_assert_int_eq(opt_named(parse(names[_i].json), &name, &options, &err), names[_i].code);
    if (names[_i].code == 0) {
        ck_assert_str_eq(name, names[_i].name);
        ck_assert_int_eq(options != NULL, names[_i].options != NULL);
        ck_assert(!options || doc_equal(options, parse(names[_i].options)));
    }
}
END_TEST

static void use_wrong_table(void *arg)
{
    static const struct opt wrong[] = {
        OPT_INTS_ROW(thing, kernel_size, "[0]", 2, 2, 1, 64, "Its default is outside of it."),
        OPT_END_ROW,
    };
    opt_defaults(wrong, arg, &arena);
}

START_TEST(test_wrong_table)
{
    ck_assert_int_eq(test_in_child(use_wrong_table, &thing), -SIGABRT);
    ck_assert_str_eq(opt_nearest(table, "usebias"), "use_bias");
    ck_assert_ptr_null(opt_nearest(table, "qqqqqqq"));
}
END_TEST

#define LOOP(cases, test, rows) \
    tcase_add_loop_test(cases, test, 0, sizeof(rows) / sizeof((rows)[0]))

static Suite *make_suite(void)
{
    Suite *suite = suite_create("opt");
    TCase *cases = tcase_create("opt");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_defaults);
    tcase_add_test(cases, test_read);
    tcase_add_test(cases, test_alias_and_null);
    LOOP(cases, test_refusals, refusals);
    tcase_add_test(cases, test_not_finite);
    tcase_add_test(cases, test_line);
    LOOP(cases, test_texts, texts);
    tcase_add_test(cases, test_write_and_read);
    tcase_add_test(cases, test_help);
    tcase_add_test(cases, test_schema);
    LOOP(cases, test_named, names);
    tcase_add_test(cases, test_wrong_table);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
