/* Mixed columns and texts: each field its own ops, joined into x; what comes out, row by row. */
#include <stdio.h>
#include <string.h>

#include "tests/pipeline/fixture.h"

static struct fixture f;

static const char table[] = "sex,port,age,fare,note,survived\n"
                            "female,S,29,7.5,The Sky,1\n"
                            "male,C,1,151,\"is, wide\",0\n"
                            "male,,40,0,,1\n"
                            "female,Q,63,77.25,wide sky,0\n";

#define SOURCE                                                                                   \
    "\"data\": {\"train\": {\"dataset\": \"d\", \"source\": {\"csv\": {\"fields\": {\"sex\": "   \
    "{\"from\": \"sex\", \"kind\": \"text\"}, \"port\": {\"from\": \"port\", \"kind\": "         \
    "\"text\"}, "                                                                                \
    "\"age\": \"age\", \"fare\": \"fare\", \"note\": {\"from\": \"note\", \"kind\": \"text\"}, " \
    "\"y\": \"survived\"}}}}}"
#define SEX                                                                            \
    "{\"map\": {\"fields\": [\"sex\"], \"ops\": [{\"StringLookup\": {\"vocabulary\": " \
    "[\"female\", \"male\"], \"num_oov_indices\": 0, \"output_mode\": \"one_hot\"}}]}}"
#define PORT                                                                                    \
    "{\"map\": {\"fields\": [\"port\"], \"ops\": [{\"StringLookup\": {\"vocabulary\": [\"S\", " \
    "\"C\"], \"output_mode\": \"one_hot\"}}]}}"
#define NOTE                                                                                 \
    "{\"map\": {\"fields\": [\"note\"], \"ops\": [{\"TextVectorization\": {\"vocabulary\": " \
    "[\"sky\", \"wide\"], \"output_mode\": \"count\"}}]}}"
#define FARE "{\"map\": {\"fields\": [\"fare\"], \"ops\": [{\"Rescaling\": {\"scale\": 0.5}}]}}"
#define JOIN                                                                             \
    "{\"map\": {\"fields\": [\"age\", \"fare\", \"sex\", \"port\", \"note\"], \"ops\": " \
    "[\"Concatenate\"]}}"

static void setup(void)
{
    fixture_init(&f);
    fixture_add(&f, "d", "train.csv", table, strlen(table));
}

static void teardown(void)
{
    fixture_fini(&f);
}

static const void *at(const unsigned char *slab, const char *name)
{
    return slab + fixture_field(&f, PIPELINE_TRAIN, name)->offset;
}

static const float wanted[4][10] = {
    {29, 3.75f, 1, 0, 0, 1, 0, 1, 1, 0},
    {1, 75.5f, 0, 1, 0, 0, 1, 1, 0, 1},
    {40, 0, 0, 1, 1, 0, 0, 0, 0, 0},
    {63, 38.625f, 1, 0, 1, 0, 0, 0, 1, 1},
};

START_TEST(test_join)
{
    unsigned char *slab;
    int r = fixture_compile(&f, "{" SOURCE ", \"pipeline\": [" SEX ", " PORT ", " NOTE ", " FARE
                                ", " JOIN ", {\"batch\": 4}]}");
    ck_assert_msg(r == 0, "%s: %s", f.err.path, f.err.text);
    const struct slab_field *x = fixture_field(&f, PIPELINE_TRAIN, "x");
    ck_assert_int_eq(x->dtype, DTYPE_F32);
    ck_assert_int_eq(x->shape.rank, 1);
    ck_assert_int_eq(x->shape.d[0], 10);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 3, &slab, NULL), 0);
    ck_assert_mem_eq(at(slab, "x"), wanted, sizeof wanted);
    ck_assert_mem_eq(at(slab, "y"), ((const int64_t[]){1, 0, 1, 0}), 32);
}
END_TEST

/* What is joined stands behind shuffles and repeats as before them, and predictions see the same.
 */
START_TEST(test_order)
{
    unsigned char *slab;
    int r = fixture_compile(&f, "{" SOURCE ", \"pipeline\": [{\"shuffle\": {}}, " SEX ", " PORT
                                ", " NOTE ", " FARE ", " JOIN
                                ", {\"repeat\": 2}, {\"shuffle\": {}}, {\"batch\": 8}]}");
    ck_assert_msg(r == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 1, 0, 3, &slab, NULL), 0);
    for (int row = 0; row < 8; row++) {
        const int64_t sample = ((const int64_t *)at(slab, "__sample"))[row];
        ck_assert_mem_eq((const float *)at(slab, "x") + 10 * row, wanted[sample], sizeof wanted[0]);
    }
    for (int64_t sample = 0; sample < 4; sample++) {
        float made[10];
        int64_t label = -1;
        ck_assert_int_eq(
            pipeline_predict_sample(f.pipeline, PIPELINE_TRAIN, sample, made, &label, &f.err), 0);
        ck_assert_mem_eq(made, wanted[sample], sizeof made);
        ck_assert_int_eq(label, 1 - sample % 2);
    }
}
END_TEST

/* A field twice, crossed with another one; the rest stays. */
START_TEST(test_into)
{
    unsigned char *slab;
    int r = fixture_compile(
        &f, "{" SOURCE ", \"pipeline\": [{\"map\": {\"fields\": [\"age\"], \"into\": \"old\", "
            "\"ops\": [{\"Discretization\": {\"bin_boundaries\": [18, 40]}}]}}, {\"map\": "
            "{\"fields\": [\"sex\", \"port\"], \"into\": \"cross\", \"ops\": [{\"HashedCrossing\": "
            "{\"num_bins\": 100}}]}}, " NOTE ", {\"batch\": 4}]}");
    ck_assert_msg(r == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &slab, NULL), 0);
    ck_assert_mem_eq(at(slab, "old"), ((const int32_t[]){1, 0, 2, 2}), 16);
    ck_assert_int_eq(((const int64_t *)at(slab, "age"))[3], 63);
    const int64_t *cross = at(slab, "cross");
    for (int i = 0; i < 4; i++) {
        ck_assert(cross[i] >= 0 && cross[i] < 100);
    }
}
END_TEST

/* Rows as long as their texts: padded to the longest. */
START_TEST(test_padded)
{
    unsigned char *slab;
    int r = fixture_compile(
        &f,
        "{" SOURCE ", \"pipeline\": [" SEX ", " PORT
        ", {\"map\": {\"fields\": [\"note\"], \"into\": \"x\", \"ops\": [{\"TextVectorization\": "
        "{\"vocabulary\": [\"sky\", \"wide\"]}}]}}, " NOTE ", {\"padded_batch\": 4}]}");
    ck_assert_msg(r == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &slab, NULL), 0);
    ck_assert_mem_eq(at(slab, "x"), ((const int64_t[]){1, 2, 1, 3, 0, 0, 3, 2}), 64);
}
END_TEST

static const struct {
    const char *stages, *path, *text;
} refused[] = {
    {SEX, "data.train", "field 'port' is text, which cannot go into a batch"},
    {"{\"map\": [\"Concatenate\"]}", "pipeline[0].map[0].fields", "says which fields become one"},
    {"{\"map\": {\"fields\": [\"age\", \"sex\"], \"ops\": [\"Concatenate\"]}}",
     "pipeline[0].map.ops[0].Concatenate", "takes numbers, not string"},
    {"{\"map\": {\"fields\": [\"age\", \"sx\"], \"ops\": [\"Concatenate\"]}}",
     "pipeline[0].map.fields", "did you mean 'sex'?"},
    {"{\"map\": {\"fields\": [\"age\", \"fare\"], \"into\": \"y\", \"ops\": [\"Concatenate\"]}}",
     "pipeline[0].map.ops[0]", "'y'"},
    {"{\"map\": {\"fields\": [\"age\", \"fare\"], \"into\": \"a\", \"ops\": [{\"Rescaling\": "
     "{\"scale\": "
     "1}}]}}",
     "pipeline[0].map.into", "is for one field"},
    {"{\"batch\": 2}, {\"map\": {\"fields\": [\"age\", \"fare\"], \"ops\": [\"Concatenate\"]}}",
     "pipeline[1].map.ops[0].into", "before batch"},
    {"{\"map\": {\"fields\": [\"sex\"], \"ops\": [{\"IntegerLookup\": {\"vocabulary\": [1]}}]}}",
     "pipeline[0].map.ops[0].IntegerLookup", "takes whole numbers, not string ()"},
    {"{\"map\": {\"fields\": [\"sex\"], \"ops\": [{\"StringLookup\": {\"vocabulary\": [\"a\", "
     "\"b\", "
     "\"a\"]}}]}}",
     "pipeline[0].map.ops[0].StringLookup.vocabulary", "'a' stands at 0 and again at 2"},
    {"{\"map\": {\"fields\": [\"sex\"], \"ops\": [\"StringLookup\"]}}",
     "pipeline[0].map.ops[0].StringLookup.vocabulary", "none was learned"},
    {"{\"map\": {\"fields\": [\"note\"], \"ops\": [{\"TextVectorization\": {\"vocabulary\": "
     "[\"sky\"]}}]}}, "
     "{\"map\": {\"fields\": [\"sex\", \"port\"], \"ops\": [{\"Hashing\": {\"num_bins\": 4}}]}}",
     "pipeline", "output_sequence_length"},
};

START_TEST(test_refused)
{
    char job[4096];
    (void)snprintf(job, sizeof job, "{" SOURCE ", \"pipeline\": [%s]}", refused[_i].stages);
    ck_assert_int_lt(fixture_compile(&f, job), 0);
    ck_assert_str_eq(f.err.path, refused[_i].path);
    ck_assert_msg(strstr(f.err.text, refused[_i].text) != NULL, "%s", f.err.text);
}
END_TEST

/* Terms that a vocabulary has no place for are the sample's fault, by its row. */
START_TEST(test_unknown)
{
    unsigned char *slab;
    struct opt_groups bad = {0};
    int r = fixture_compile(
        &f, "{" SOURCE
            ", \"pipeline\": [{\"map\": {\"fields\": [\"port\"], \"ops\": [{\"StringLookup\": "
            "{\"vocabulary\": [\"S\", \"C\", \"Q\"], \"num_oov_indices\": 0}}]}}, " SEX ", " NOTE
            ", {\"batch\": 4}]}");
    ck_assert_msg(r == 0, "%s: %s", f.err.path, f.err.text);
    r = fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &slab, &bad);
    ck_assert_int_lt(r, 0);
    ck_assert_msg(strstr(f.err.text, "'' is not in the vocabulary") != NULL, "%s", f.err.text);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("columns");
    TCase *c = tcase_create("columns");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_join);
    tcase_add_test(c, test_order);
    tcase_add_test(c, test_into);
    tcase_add_test(c, test_padded);
    tcase_add_loop_test(c, test_refused, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(c, test_unknown);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
