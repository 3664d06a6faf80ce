/* What ops learn: parts of the data merge in any order, through memory or saved bytes, to what one
 * pass gives. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "pipeline/bins.h"
#include "pipeline/op.h"
#include "pipeline/sum.h"
#include "tests/test.h"

enum { BATCHES = 12, ROWS = 32, PARTS = 4 };

static struct arena arena;

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_fini(&arena);
}

static const struct {
    const char *op;
    enum dtype dtype;
} cases[] = {
    {"{\"TextVectorization\": {\"ngrams\": 2, \"output_mode\": \"tf_idf\"}}", DTYPE_STR},
    {"{\"StringLookup\": {\"output_mode\": \"tf_idf\", \"max_tokens\": 40}}", DTYPE_STR},
    {"\"IntegerLookup\"", DTYPE_I64},
    {"{\"Discretization\": {\"num_bins\": 7, \"epsilon\": 0.05}}", DTYPE_F32},
    {"\"Normalization\"", DTYPE_F32},
    {"{\"Normalization\": {\"axis\": null}}", DTYPE_F32},
};

/* Words and numbers of a skewed law, the same for a row each time. */
static struct tensor row_of(enum dtype dtype, int64_t row)
{
    struct rng rng;
    rng_init(&rng, 7, 1, 0, (uint64_t)row);
    struct tensor one = {.dtype = dtype};
    if (dtype == DTYPE_STR) {
        struct tensor_text *text = ARENA_NEW(&arena, struct tensor_text);
        char words[128] = "";
        for (int i = 0; i < 6; i++) {
            char word[16];
            (void)snprintf(word, sizeof word, "%sw%u", i > 0 ? " " : "",
                           (unsigned)rng_below(&rng, 1 + rng_below(&rng, 60)));
            strcat(words, word);
        }
        *text = (struct tensor_text){arena_strdup(&arena, words), strlen(words)};
        one.data = text;
        return one;
    }
    one.shape = (struct shape){.rank = 1, .d = {3}};
    one.data = arena_array(&arena, 3, 8);
    for (int i = 0; i < 3; i++) {
        if (dtype == DTYPE_I64) {
            ((int64_t *)one.data)[i] = (int64_t)rng_below(&rng, 1 + rng_below(&rng, 90)) - 20;
        } else {
            ((float *)one.data)[i] = 1e4f + rng_normal(&rng) * (float)(i + 1);
        }
    }
    return one;
}

static struct op read_op(const char *text)
{
    struct op_names names = {0};
    struct op op;
    struct doc *doc = NULL;
    struct err err = {0};
    ck_assert_int_eq(doc_read_json(text, strlen(text), NULL, &arena, &doc, &err), 0);
    ck_assert_msg(op_read(doc, &names, &arena, &op, &err) == 0, "%s", err.text);
    return op;
}

static void add_batch(const struct op_learn *learn, void *state, enum dtype dtype, int64_t batch)
{
    for (int64_t i = 0; i < ROWS; i++) {
        const struct tensor one = row_of(dtype, batch * ROWS + i);
        struct err err = {0};
        ck_assert_msg(learn->add(state, batch, &one, &err) == 0, "%s", err.text);
    }
}

static char *finish(const struct op_learn *learn, void *state, struct buf *saved)
{
    struct doc *learned = doc_new(&arena);
    struct buf text = {0};
    struct err err = {0};
    doc_set_map(learned);
    ck_assert_msg(learn->finish(state, learned, &arena, &err) == 0, "%s", err.text);
    doc_write_json(learned, 0, &text);
    learn->save(state, saved);
    char *copy = arena_strdup(&arena, text.data);
    buf_fini(&text);
    return copy;
}

/* Batches dealt out to parts by a draw; parts merged in the order of another one. */
static char *learn_in_parts(const struct op *op, enum dtype dtype, unsigned seed, bool is_saved,
                            struct buf *saved)
{
    const struct op_learn *learn = op->desc->learn;
    void *parts[PARTS] = {NULL}, *all = NULL;
    struct rng rng;
    rng_init(&rng, seed, 2, 0, 0);
    for (int p = 0; p < PARTS; p++) {
        ck_assert_int_eq(learn->create(op->ctx, &parts[p], NULL), 0);
    }
    ck_assert_int_eq(learn->create(op->ctx, &all, NULL), 0);
    for (int64_t k = 0; k < BATCHES; k++) {
        add_batch(learn, parts[rng_below(&rng, PARTS)], dtype, (k * 5 + seed) % BATCHES);
    }
    for (int k = 0; k < PARTS; k++) {
        const int p = (k + (int)seed) % PARTS;
        struct buf bytes = {0};
        if (is_saved) {
            learn->save(parts[p], &bytes);
            ck_assert_int_eq(learn->load(all, bytes.data, bytes.size, NULL), 0);
        } else {
            ck_assert_int_eq(learn->merge(all, parts[p], NULL), 0);
        }
        buf_fini(&bytes);
        learn->destroy(parts[p]);
    }
    char *text = finish(learn, all, saved);
    learn->destroy(all);
    return text;
}

START_TEST(test_parts)
{
    const struct op op = read_op(cases[_i].op);
    const struct op_learn *learn = op.desc->learn;
    struct buf wanted_bytes = {0};
    void *state = NULL;
    ck_assert_int_eq(learn->create(op.ctx, &state, NULL), 0);
    for (int64_t k = 0; k < BATCHES; k++) {
        add_batch(learn, state, cases[_i].dtype, k);
    }
    const char *wanted = finish(learn, state, &wanted_bytes);
    learn->destroy(state);
    for (unsigned seed = 0; seed < 6; seed++) {
        struct buf bytes = {0};
        ck_assert_str_eq(learn_in_parts(&op, cases[_i].dtype, seed, seed % 2 == 1, &bytes), wanted);
        ck_assert_uint_eq(bytes.size, wanted_bytes.size);
        ck_assert_mem_eq(bytes.data, wanted_bytes.data, bytes.size);
        buf_fini(&bytes);
    }
    buf_fini(&wanted_bytes);
}
END_TEST

/* Saved bytes that are cut or foreign are refused, wherever the cut is. */
START_TEST(test_cut)
{
    const struct op op = read_op(cases[_i].op);
    const struct op_learn *learn = op.desc->learn;
    struct buf bytes = {0};
    void *state = NULL;
    ck_assert_int_eq(learn->create(op.ctx, &state, NULL), 0);
    add_batch(learn, state, cases[_i].dtype, 0);
    learn->save(state, &bytes);
    learn->destroy(state);
    for (size_t n = 1; n < bytes.size; n += 1 + bytes.size / 97) {
        ck_assert_int_eq(learn->create(op.ctx, &state, NULL), 0);
        void *part = malloc(n);
        memcpy(part, bytes.data, n);
        const int r = learn->load(state, part, n, NULL);
        /* A whole number of summaries is a state, too. */
        ck_assert(r < 0 || strcmp(op.desc->name, "Discretization") == 0);
        free(part);
        learn->destroy(state);
    }
    buf_fini(&bytes);
}
END_TEST

/* Nothing is learned of nothing, of what has it already, and of numbers that are none. */
START_TEST(test_refused)
{
    const struct op op = read_op(cases[_i].op);
    const struct op_learn *learn = op.desc->learn;
    struct doc *learned = doc_new(&arena);
    struct err err = {0};
    void *state = NULL;
    doc_set_map(learned);
    ck_assert_int_eq(learn->create(op.ctx, &state, NULL), 0);
    ck_assert_int_eq(learn->finish(state, learned, &arena, &err), ERR_EMPTY);
    if (cases[_i].dtype == DTYPE_F32) {
        struct tensor one = row_of(DTYPE_F32, 0);
        ((float *)one.data)[1] = NAN;
        ck_assert_int_eq(learn->add(state, 0, &one, &err), ERR_NOT_FINITE);
        ck_assert_ptr_nonnull(strstr(err.text, "value 1 is"));
        ((float *)one.data)[1] = -INFINITY;
        ck_assert_int_eq(learn->add(state, 0, &one, &err), ERR_NOT_FINITE);
    } else {
        const struct tensor one = row_of(DTYPE_F32, 0);
        ck_assert_int_eq(learn->add(state, 0, &one, &err), ERR_SHAPE);
    }
    learn->destroy(state);
}
END_TEST

/* 2^100 and 1 and -2^100: what doubles lose. */
START_TEST(test_sum)
{
    struct sum sum = {{0}, 0}, squares = {{0}, 0};
    double mean, variance;
    sum_add(&sum, 0x1p100);
    sum_add(&sum, 1);
    sum_add(&sum, -0x1p100);
    sum_moments(&sum, &squares, 1, &mean, &variance);
    ck_assert(mean >= 1 && mean <= 1);
    /* The smallest float32 and its square. */
    struct sum small = {{0}, 0}, square = {{0}, 0};
    sum_add(&small, 0x1p-149);
    sum_add(&square, 0x1p-298);
    sum_moments(&small, &square, 1, &mean, &variance);
    ck_assert(mean >= 0x1p-149 && mean <= 0x1p-149);
    ck_assert(variance >= 0 && variance <= 0);
    /* Far from 0 and close together. */
    struct sum a = {{0}, 0}, b = {{0}, 0};
    for (int i = 0; i < 1000; i++) {
        const double value = (double)(16777216.0f + (float)(2 * (i % 2)));
        sum_add(&a, value);
        sum_add(&b, value * value);
    }
    sum_moments(&a, &b, 1000, &mean, &variance);
    ck_assert(mean >= 16777217 && mean <= 16777217);
    ck_assert(variance >= 1 && variance <= 1);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("learn");
    TCase *c = tcase_create("learn");
    const int n = sizeof cases / sizeof cases[0];
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_parts, 0, n);
    tcase_add_loop_test(c, test_cut, 0, n);
    tcase_add_loop_test(c, test_refused, 0, n);
    tcase_add_test(c, test_sum);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
