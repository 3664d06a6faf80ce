/* Texts, lookups, hashing, categories, bins: ops of the pipeline, a sample at a time, on batches
 * with texts and ragged rows; what is learned is compared with what Keras learned. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/op.h"
#include "tests/golden/golden.h"

enum { INPUTS_MAX = 4 };

/* Rows side by side: of one shape, or of lengths of their own. */
struct rows {
    struct tensor all; /* ragged: all elements in one axis, then the inner ones */
    int64_t n;         /* -1: no rows, one sample */
    const struct doc *lengths;
};

static const char *const without_counterpart[] = {
    /* A list that Keras refuses in Python is a tuple, which it takes, once it stands in a file. */
    "text_err_ngrams_list",
    NULL,
};

static int read_texts(struct golden_case *c, const struct doc *data, struct tensor *ret)
{
    struct tensor_text *texts = arena_array(c->arena, data->n + 1, sizeof *texts);
    for (size_t i = 0; i < data->n; i++) {
        texts[i] = (struct tensor_text){.text = data->items[i].str, .n = data->items[i].n};
    }
    ret->dtype = DTYPE_STR;
    ret->data = texts;
    return 0;
}

static int read_shape(const struct doc *list, int from, struct shape *shape)
{
    for (size_t i = 0; list != NULL && i < list->n && from + (int)i < SHAPE_RANK_MAX; i++) {
        shape->d[from + (int)i] = list->items[i].i;
        shape->rank = from + (int)i + 1;
    }
    return 0;
}

/* The same as an array of one axis more than the inner ones. */
static struct doc *flat_of(struct golden_case *c, const struct doc *doc)
{
    const struct doc *lengths = doc_get(doc, "row_lengths"), *inner = doc_get(doc, "inner_shape");
    struct doc *flat = doc_new(c->arena);
    int64_t total = 0;
    for (size_t i = 0; i < lengths->n; i++) {
        total += lengths->items[i].i;
    }
    doc_set_map(flat);
    doc_put_str(flat, c->arena, "dtype", doc_str(doc, "dtype", ""));
    struct doc *shape = doc_put(flat, c->arena, "shape");
    doc_set_list(shape);
    doc_set_int(doc_push(shape, c->arena), total);
    for (size_t i = 0; inner != NULL && i < inner->n; i++) {
        doc_set_int(doc_push(shape, c->arena), inner->items[i].i);
    }
    *doc_put(flat, c->arena, "data") = *doc_get(doc, "data");
    return flat;
}

static int read_rows(struct golden_case *c, const struct doc *doc, struct rows *ret,
                     struct err *err)
{
    *ret = (struct rows){.lengths = doc_get(doc, "row_lengths")};
    const struct doc *flat = ret->lengths != NULL ? flat_of(c, doc) : doc;
    if (strcmp(doc_str(flat, "dtype", ""), "string") == 0) {
        read_shape(doc_get(flat, "shape"), 0, &ret->all.shape);
        read_texts(c, doc_get(flat, "data"), &ret->all);
    } else {
        int r = golden_array(c, flat, &ret->all, err);
        if (r < 0) {
            return r;
        }
    }
    ret->n = ret->lengths != NULL      ? (int64_t)ret->lengths->n
             : ret->all.shape.rank > 0 ? ret->all.shape.d[0]
                                       : -1;
    return 0;
}

/* Row i; its elements begin at *at, which moves on. */
static struct tensor row_of(const struct rows *rows, int64_t i, int64_t *at)
{
    struct tensor one = {.dtype = rows->all.dtype};
    const struct shape *all = &rows->all.shape;
    int64_t count = 0;
    if (rows->n < 0) {
        one.shape = *all;
    } else if (rows->lengths != NULL) {
        one.shape = (struct shape){.rank = 1, .d = {rows->lengths->items[i].i}};
    } else {
        one.shape = shape_make(all->rank - 1, all->d + 1);
    }
    one.data = (unsigned char *)rows->all.data + (size_t)*at * dtype_bytes(one.dtype);
    *at += shape_count(&one.shape, &count) == 0 ? count : 0;
    return one;
}

/* Keras takes a single axis for one sample where categories are summed. */
static void join_single(const struct golden_case *c, struct rows *rows)
{
    const char *fallback = strcmp(c->layer, "CategoryEncoding") == 0 ? "multi_hot" : "int";
    const char *mode = doc_str(doc_get(c->doc, "config"), "output_mode", fallback);
    const bool is_summed = strcmp(mode, "int") != 0 && strcmp(mode, "one_hot") != 0;
    if (is_summed && rows->lengths == NULL && rows->all.shape.rank == 1 &&
        strcmp(c->layer, "TextVectorization") != 0) {
        rows->n = -1;
    }
}

/* ---- what is learned */

static bool compare_terms(struct golden_case *c, const struct doc *got, const struct doc *want)
{
    const struct doc *terms = doc_get(want, "data");
    const size_t special = terms->n - got->n;
    if (terms->n < got->n) {
        golden_fail(c, "%zu terms learned, want %zu", got->n, terms->n);
        return false;
    }
    for (size_t i = 0; i < got->n; i++) {
        if (!doc_equal(&got->items[i], &terms->items[special + i])) {
            char a[80], b[80];
            doc_describe(&got->items[i], a, sizeof a);
            doc_describe(&terms->items[special + i], b, sizeof b);
            golden_fail(c, "term %zu is %s, want %s", i, a, b);
            return false;
        }
    }
    return true;
}

static bool compare_numbers(struct golden_case *c, const char *name, const struct doc *got,
                            const struct doc *want, size_t special)
{
    struct tensor values, wanted;
    struct err err = {0};
    if (golden_floats(c, want, &wanted, &err) < 0) {
        golden_fail(c, "%s: %s", name, err.text);
        return false;
    }
    int64_t n = 0;
    values = wanted;
    (void)shape_count(&wanted.shape, &n);
    values.data = arena_array(c->arena, (size_t)n + 1, sizeof(float));
    memcpy(values.data, wanted.data, (size_t)n * sizeof(float));
    if (special + got->n > (size_t)n) {
        golden_fail(c, "%s: %zu numbers learned, want %lld", name, got->n, (long long)n);
        return false;
    }
    for (size_t i = 0; i < got->n; i++) {
        ((float *)values.data)[special + i] = (float)doc_number(&got->items[i]);
    }
    return golden_compare(c, name, &values, want, c->rtol, c->atol);
}

static bool compare_learned(struct golden_case *c, const struct doc *learned)
{
    const struct doc *want = doc_get(c->doc, "state_after_adapt");
    const struct doc *terms = doc_get(learned, "vocabulary"),
                     *weights = doc_get(learned, "idf_weights"),
                     *boundaries = doc_get(learned, "bin_boundaries");
    if (want == NULL || want->type != DOC_MAP) {
        return true;
    }
    if (terms != NULL) {
        const struct doc *wanted = doc_get(want, "vocabulary");
        return compare_terms(c, terms, wanted) &&
               (weights == NULL ||
                compare_numbers(c, "idf_weights", weights, doc_get(want, "idf_weights"),
                                doc_get(wanted, "data")->n - terms->n));
    }
    return boundaries == NULL ||
           compare_numbers(c, "bin_boundaries", boundaries, doc_get(want, "bin_boundaries"), 0);
}

static int add_batches(struct golden_case *c, const struct op_learn *learn, void *state,
                       struct err *err)
{
    const struct doc *batches = doc_get(c->doc, "adapt");
    int r = 0;
    for (size_t b = 0; b < batches->n && r == 0; b++) {
        struct rows rows;
        int64_t at = 0;
        r = read_rows(c, &batches->items[b], &rows, err);
        for (int64_t i = 0; i < rows.n && r == 0; i++) {
            const struct tensor one = row_of(&rows, i, &at);
            r = learn->add(state, (int64_t)b, &one, err);
        }
    }
    return r;
}

/* The config with what the op learns of the batches. */
static int learn(struct golden_case *c, const struct op *op, struct doc *config, struct err *err)
{
    void *state = NULL;
    if (op->desc->learn == NULL) {
        return err_set(err, ERR_UNSUPPORTED, "the op learns nothing");
    }
    int r = op->desc->learn->create(op->ctx, &state, err);
    r = r < 0 ? r : add_batches(c, op->desc->learn, state, err);
    r = r < 0 ? r : op->desc->learn->finish(state, config, c->arena, err);
    op->desc->learn->destroy(state);
    return r;
}

static int make(struct golden_case *c, const char *layer, const struct doc *config, struct op *ret,
                struct err *err)
{
    struct op_names names = {0};
    return op_make(op_find(layer), config, &names, c->arena, ret, err);
}

/* The call of this one had a second argument that its record lacks. */
static const char weights_refused[] = "catenc_err_weights_multi_hot";

/* 1: the op; 0: the verdict stands. */
static int make_learned(struct golden_case *c, struct op *op, enum golden_verdict *verdict)
{
    const struct doc *adapt = doc_get(c->doc, "adapt");
    struct doc *config = doc_new(c->arena);
    struct err err = {0};
    doc_copy(config, c->arena, doc_get(c->doc, "config"));
    if (doc_get(c->doc, "call_kwargs") != NULL || strcmp(c->name, weights_refused) == 0) {
        doc_put_bool(config, c->arena, "count_weights", true);
    }
    int r = make(c, c->layer, config, op, &err);
    if (r == 0 && adapt != NULL && adapt->type == DOC_LIST && adapt->n > 0) {
        r = learn(c, op, config, &err);
        if (r == 0 && !compare_learned(c, config)) {
            *verdict = GOLDEN_FAILED;
            return 0;
        }
        r = r < 0 ? r : make(c, c->layer, config, op, &err);
    }
    *verdict = r < 0 ? golden_refused(c, &err) : GOLDEN_PASSED;
    return r == 0;
}

/* ---- running */

struct results {
    struct tensor *rows;
    int64_t n, longest;
};

static int run_one(struct golden_case *c, struct op *op, const struct tensor *in, int n,
                   struct tensor *out, struct err *err)
{
    struct op_scratch scratch = {0};
    struct op_spec specs[INPUTS_MAX];
    struct op_key key = {0};
    size_t bytes = 0;
    for (int i = 0; i < n; i++) {
        specs[i] = (struct op_spec){in[i].dtype, in[i].shape};
    }
    int r = (op->flags & OP_JOIN) != 0 ? op_check_all(op, specs, n, err) : op_check(op, specs, err);
    r = r < 0                        ? r
        : (op->flags & OP_JOIN) != 0 ? shape_bytes(&op->out.shape, op->out.dtype, &bytes)
                                     : op_room(op, in, &bytes, err);
    if (r == 0) {
        *out = (struct tensor){.data = arena_alloc(c->arena, bytes + 1)};
        r = (op->flags & OP_JOIN) != 0 ? op_run_all(op, in, n, out, &scratch, err)
                                       : op_run(op, &key, in, out, &scratch, err);
    }
    op_scratch_fini(&scratch);
    return r;
}

static int run_rows(struct golden_case *c, struct op *op, const struct rows *in, int n,
                    struct results *ret, struct err *err)
{
    int64_t at[INPUTS_MAX] = {0};
    int r = 0;
    *ret = (struct results){.n = in->n < 0 ? 1 : in->n};
    ret->rows = arena_array(c->arena, (size_t)ret->n + 1, sizeof *ret->rows);
    for (int64_t i = 0; i < ret->n && r == 0; i++) {
        struct tensor one[INPUTS_MAX];
        for (int k = 0; k < n; k++) {
            one[k] = row_of(&in[k], i, &at[k]);
        }
        r = run_one(c, op, one, n, &ret->rows[i], err);
        const struct shape *shape = &ret->rows[i].shape;
        if (r == 0 && shape->rank > 0 && shape->d[0] > ret->longest) {
            ret->longest = shape->d[0];
        }
    }
    return r;
}

static bool is_same(const struct tensor *got, int64_t n, const struct doc *data)
{
    const struct tensor_text *texts = got->data;
    for (int64_t i = 0; i < n; i++) {
        const struct doc *want = &data->items[i];
        if (texts[i].n != want->n || memcmp(texts[i].text, want->str, want->n) != 0) {
            return false;
        }
    }
    return (int64_t)data->n == n;
}

static bool compare(struct golden_case *c, const struct tensor *got, const struct doc *want)
{
    int64_t n = 0;
    if (got->dtype != DTYPE_STR) {
        return golden_compare(c, "output", got, want, c->rtol, c->atol);
    }
    struct shape shape = {0};
    read_shape(doc_get(want, "shape"), 0, &shape);
    if (shape_count(&got->shape, &n) < 0 || !shape_equal(&shape, &got->shape) ||
        !is_same(got, n, doc_get(want, "data"))) {
        golden_fail(c, "the texts differ");
        return false;
    }
    return true;
}

/* All rows in one: filled up with 0 to the longest, or one behind the other. */
static struct tensor gather(struct golden_case *c, const struct results *results, bool is_ragged)
{
    const struct tensor *first = &results->rows[0];
    struct tensor all = {.dtype = first->dtype, .shape = first->shape};
    int64_t line = 1, total = 0, n = 0;
    for (int d = 1; d < first->shape.rank; d++) {
        line *= first->shape.d[d];
    }
    const size_t each = (size_t)line * dtype_bytes(all.dtype);
    for (int64_t i = 0; i < results->n; i++) {
        total += first->shape.rank > 0 ? results->rows[i].shape.d[0] : 1;
    }
    const int64_t padded = first->shape.rank > 0 ? results->longest : 1;
    unsigned char *to =
        arena_array(c->arena, (size_t)(is_ragged ? total : results->n * padded) + 1, each);
    all.data = to;
    for (int64_t i = 0; i < results->n; i++) {
        const struct tensor *row = &results->rows[i];
        (void)shape_count(&row->shape, &n);
        memcpy(to, row->data, (size_t)n * dtype_bytes(all.dtype));
        to += is_ragged ? (size_t)n * dtype_bytes(all.dtype) : (size_t)padded * each;
    }
    if (is_ragged) {
        all.shape.d[0] = total;
    } else {
        all.shape.rank = first->shape.rank + 1;
        all.shape.d[0] = results->n;
        memcpy(all.shape.d + 1, first->shape.d, (SHAPE_RANK_MAX - 1) * sizeof all.shape.d[0]);
        if (first->shape.rank > 0) {
            all.shape.d[1] = padded;
        }
    }
    return all;
}

static enum golden_verdict check_results(struct golden_case *c, const struct results *results,
                                         bool is_one)
{
    const struct doc *want = doc_get(c->doc, "expected"), *lengths = doc_get(want, "row_lengths");
    if (is_one) {
        return compare(c, &results->rows[0], want) ? GOLDEN_PASSED : GOLDEN_FAILED;
    }
    for (size_t i = 0; lengths != NULL && i < lengths->n; i++) {
        if (results->rows[i].shape.d[0] != lengths->items[i].i) {
            return golden_fail(c, "row %zu has %lld, want %lld", i,
                               (long long)results->rows[i].shape.d[0],
                               (long long)lengths->items[i].i);
        }
    }
    const struct tensor all = gather(c, results, lengths != NULL);
    return compare(c, &all, lengths != NULL ? flat_of(c, want) : want) ? GOLDEN_PASSED
                                                                       : GOLDEN_FAILED;
}

static int read_inputs(struct golden_case *c, struct rows in[INPUTS_MAX], int *n, struct err *err)
{
    const struct doc *input = doc_get(c->doc, "input");
    const struct doc *weights = doc_find(c->doc, "arrays.count_weights");
    const bool is_list = input->type == DOC_LIST;
    *n = is_list ? (int)input->n : 1;
    int r = 0;
    for (int i = 0; i < *n && i < INPUTS_MAX && r == 0; i++) {
        r = read_rows(c, is_list ? &input->items[i] : input, &in[i], err);
        join_single(c, &in[i]);
    }
    if (r == 0 && weights != NULL) {
        r = read_rows(c, weights, &in[*n], err);
        join_single(c, &in[(*n)++]);
    }
    return r;
}

static enum golden_verdict run_preproc(struct golden_case *c)
{
    struct op op;
    struct rows in[INPUTS_MAX];
    struct results results;
    struct err err = {0};
    enum golden_verdict verdict;
    int n = 0;
    for (size_t i = 0; without_counterpart[i] != NULL; i++) {
        if (strcmp(without_counterpart[i], c->name) == 0) {
            return golden_skip(c, "the difference is Python's and has no counterpart in a file");
        }
    }
    if (!make_learned(c, &op, &verdict)) {
        return verdict;
    }
    const struct doc *input = doc_get(c->doc, "input");
    if (input == NULL || input->type == DOC_NULL) {
        return c->expected_error ? golden_fail(c, "was taken, but has to be refused")
                                 : GOLDEN_PASSED;
    }
    int r = read_inputs(c, in, &n, &err);
    r = r < 0 ? r : run_rows(c, &op, in, n, &results, &err);
    if (r < 0) {
        return golden_refused(c, &err);
    }
    return c->expected_error ? golden_fail(c, "was taken, but has to be refused")
                             : check_results(c, &results, in[0].n < 0);
}

/* Hashing, then CategoryEncoding of all bins as in the slides. */
static enum golden_verdict run_chain(struct golden_case *c)
{
    const struct doc *config = doc_get(c->doc, "config"), *want = doc_get(c->doc, "expected");
    struct op hashing, encoding;
    struct rows in;
    struct results hashed, encoded;
    struct err err = {0};
    int r = make(c, "Hashing", doc_get(config, "hashing"), &hashing, &err);
    r = r < 0 ? r : make(c, "CategoryEncoding", doc_get(config, "encoding"), &encoding, &err);
    r = r < 0 ? r : read_rows(c, doc_get(c->doc, "input"), &in, &err);
    r = r < 0 ? r : run_rows(c, &hashing, &in, 1, &hashed, &err);
    if (r < 0) {
        return golden_refused(c, &err);
    }
    const struct tensor bins = gather(c, &hashed, false);
    const struct rows second = {.all = bins, .n = hashed.n};
    r = run_rows(c, &encoding, &second, 1, &encoded, &err);
    if (r < 0) {
        return golden_refused(c, &err);
    }
    struct tensor columns = gather(c, &encoded, false), sums = {.dtype = DTYPE_F32};
    sums.shape = shape_make(1, columns.shape.d + 1);
    float *sum = arena_array(c->arena, (size_t)sums.shape.d[0], sizeof *sum);
    sums.data = sum;
    for (int64_t i = 0; i < columns.shape.d[0] * columns.shape.d[1]; i++) {
        sum[i % columns.shape.d[1]] += ((const float *)columns.data)[i];
    }
    bool good = golden_compare(c, "hashed", &bins, doc_get(want, "hashed"), 0, 0) &&
                golden_compare(c, "columns", &sums, doc_get(want, "encoded_column_sums"), 0, 0);
    columns.shape.d[0] = 16;
    good =
        good && golden_compare(c, "rows", &columns, doc_get(want, "encoded_first_16_rows"), 0, 0);
    return good ? GOLDEN_PASSED : GOLDEN_FAILED;
}

const struct golden_class golden_preproc_classes[] = {
    {"layer", "CategoryEncoding", run_preproc, false},
    {"layer", "Discretization", run_preproc, false},
    {"layer", "HashedCrossing", run_preproc, false},
    {"layer", "Hashing", run_preproc, false},
    {"layer", "IntegerLookup", run_preproc, false},
    {"layer", "StringLookup", run_preproc, false},
    {"layer", "TextVectorization", run_preproc, false},
    {"chain", "Hashing+CategoryEncoding", run_chain, false},
    {NULL, NULL, NULL, false},
};
