/* text_vectorization - a text to numbers of its words, as Keras's TextVectorization. */
#include <string.h>

#include "pipeline/op_lookup.h"

extern const struct op_desc op_text_vectorization;

enum { STANDARDIZE_NONE, STANDARDIZE_LOWER, STANDARDIZE_STRIP, STANDARDIZE_BOTH };

struct text_vectorization {
    int64_t max_tokens, output_sequence_length;
    const struct doc *standardize, *split, *ngrams, *vocabulary;
    struct opt_floats idf_weights;
    int output_mode;
    bool pad_to_max_tokens, ragged, sparse;
    const char *encoding;

    struct doc mask;
    struct split cut;
    struct op_lookup lookup;
};
static const struct opt_name standardizes[] = {
    {"lower_and_strip_punctuation", STANDARDIZE_BOTH},
    {"lower", STANDARDIZE_LOWER},
    {"strip_punctuation", STANDARDIZE_STRIP},
    {NULL, 0},
};
static const struct opt_name splits[] = {
    {"whitespace", SPLIT_WHITESPACE}, {"character", SPLIT_CHARACTER}, {NULL, 0}};
static const struct opt options[] = {
    OPT_I64_ROW(text_vectorization, max_tokens, 0, 0, VOCAB_TERMS_MAX,
                "Size of the vocabulary, special tokens included; 0 or null: no bound.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(text_vectorization, standardize,
                "lower_and_strip_punctuation (the default), lower, strip_punctuation or null."),
    OPT_DOC_ROW(text_vectorization, split,
                "whitespace (the default), character, or null: a text is one token."),
    OPT_DOC_ROW(text_vectorization, ngrams,
                "Joins neighbours: 2 for one and two tokens, [2] for two alone.",
                .flags = OPT_NULLABLE),
    OPT_ENUM_ROW(text_vectorization, output_mode, OP_ENCODE_INT, op_encode_modes_weighted,
                 "int: a number a token; else columns of the vocabulary."),
    OPT_I64_ROW(text_vectorization, output_sequence_length, 0, 0, 1 << 28,
                "For int: cut or filled with 0 to this length; 0 or null: as long as the text.",
                .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(text_vectorization, pad_to_max_tokens, false, "As many columns as max_tokens."),
    OPT_DOC_ROW(text_vectorization, vocabulary,
                "List of tokens; without one it is learned from the data.", .flags = OPT_NULLABLE),
    OPT_FLOATS_ROW(text_vectorization, idf_weights, NULL, 0, 0, 0, 0,
                   "For tf_idf: a weight of each token of the vocabulary.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(text_vectorization, ragged, false,
                 "For int: rows stay as long as their texts, and are cut only."),
    OPT_BOOL_ROW(text_vectorization, sparse, false, "Accepted; batches are dense.",
                 .flags = OPT_IGNORED),
    OPT_STR_ROW(text_vectorization, encoding, "utf-8", "utf-8 alone.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

/* Null is a choice of its own here, so the rows take documents. */
static int choose(const struct doc *doc, const char *row, const struct opt_name *names, int absent,
                  int null, int *ret, struct err *err)
{
    if (doc == NULL || doc->type == DOC_NULL) {
        *ret = doc == NULL ? absent : null;
        return 0;
    }
    for (const struct opt_name *name = names; name->name != NULL; name++) {
        if (doc->type == DOC_STR && strcmp(doc->str, name->name) == 0) {
            *ret = name->value;
            return 0;
        }
    }
    char what[80];
    doc_describe(doc, what, sizeof what);
    return err_set_at(err, ERR_INVALID, row, "takes %s, %s or null, not %.64s", names[0].name,
                      names[1].name, what);
}

static int read_widths(const struct doc *doc, struct split *cut, struct err *err)
{
    const bool is_list = doc != NULL && doc->type == DOC_LIST;
    if (doc == NULL || doc->type == DOC_NULL) {
        return 0;
    }
    const int64_t n = is_list ? (int64_t)doc->n : doc->type == DOC_INT ? doc->i : 0;
    if (n < 1 || n > SPLIT_WIDTHS_MAX) {
        return err_set_at(err, ERR_INVALID, "ngrams",
                          "takes a whole number or a list of them, of 1 to %d", SPLIT_WIDTHS_MAX);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t width = is_list && doc->items[i].type == DOC_INT ? doc->items[i].i
                              : is_list                                ? 0
                                                                       : i + 1;
        if (width < 1 || width > 1000) {
            return err_set_at(err, ERR_RANGE, "ngrams", "takes widths of 1 to 1000");
        }
        cut->widths[cut->n_widths++] = width;
    }
    return 0;
}

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct text_vectorization *k = ctx;
    int standardize = STANDARDIZE_BOTH, by = SPLIT_WHITESPACE;
    int r = choose(k->standardize, "standardize", standardizes, STANDARDIZE_BOTH, STANDARDIZE_NONE,
                   &standardize, err);
    r = r < 0 ? r : choose(k->split, "split", splits, SPLIT_WHITESPACE, SPLIT_NONE, &by, err);
    r = r < 0 ? r : read_widths(k->ngrams, &k->cut, err);
    if (r < 0) {
        return r;
    }
    k->cut.lower = standardize == STANDARDIZE_LOWER || standardize == STANDARDIZE_BOTH;
    k->cut.strip = standardize == STANDARDIZE_STRIP || standardize == STANDARDIZE_BOTH;
    k->cut.by = (enum split_by)by;
    split_init(&k->cut);
    if (k->output_sequence_length > 0 && k->output_mode != OP_ENCODE_INT) {
        return err_set_at(err, ERR_INVALID, "output_sequence_length", "is for output_mode int");
    }
    if (k->ragged && k->output_mode != OP_ENCODE_INT) {
        return err_set_at(err, ERR_INVALID, "ragged", "is for output_mode int");
    }
    doc_set_str(&k->mask, arena, "");
    k->lookup = (struct op_lookup){.max_tokens = k->max_tokens,
                                   .num_oov_indices = 1,
                                   .mask_token = &k->mask,
                                   .vocabulary = k->vocabulary,
                                   .idf_weights = k->idf_weights,
                                   .pad_to_max_tokens = k->pad_to_max_tokens,
                                   .sparse = k->sparse,
                                   .output_mode = k->output_mode,
                                   .encoding = k->encoding,
                                   .split = &k->cut};
    return op_lookup_init(&k->lookup, arena, err);
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct text_vectorization *k = ctx;
    const bool is_one = in->shape.rank == 0 || (in->shape.rank == 1 && in->shape.d[0] == 1);
    if (in->dtype != DTYPE_STR || in->shape.rank > 1 || (k->cut.by != SPLIT_NONE && !is_one)) {
        char text[128];
        op_shape_text(in, text, sizeof text);
        return err_set(err, ERR_SHAPE, "takes one text a sample%s, not %s",
                       k->cut.by == SPLIT_NONE ? ", or a list of tokens" : "", text);
    }
    const bool is_fixed = k->output_sequence_length > 0 && !k->ragged;
    struct op_spec terms = {.dtype = DTYPE_STR, .shape = {.rank = 1, .d = {-1}}};
    terms.shape.d[0] = is_fixed ? k->output_sequence_length : -1;
    return op_lookup_check(&k->lookup, &terms, out, err);
}

static int measure(const struct text_vectorization *k, const struct tensor *in, int64_t *ret_texts,
                   size_t *ret_bytes, struct err *err)
{
    const struct tensor_text *texts = in->data;
    int r = shape_count(&in->shape, ret_texts);
    *ret_bytes = 0;
    for (int64_t i = 0; i < *ret_texts && r == 0; i++) {
        *ret_bytes += texts[i].n;
    }
    if (r < 0 || split_bytes(&k->cut, *ret_bytes, (size_t)*ret_texts) == 0) {
        return err_set(err, ERR_LIMIT, "a text of %zu bytes is too long", *ret_bytes);
    }
    return 0;
}

static int room(const void *ctx, const struct tensor *in, size_t *ret, struct err *err)
{
    const struct text_vectorization *k = ctx;
    const struct op_encode *encode = &k->lookup.encode;
    int64_t n = 0;
    size_t bytes = 0;
    int r = measure(k, in, &n, &bytes, err);
    if (r < 0) {
        return r;
    }
    const size_t terms =
                     split_terms_max(&k->cut, bytes, (size_t)n) + (size_t)k->output_sequence_length,
                 rows = encode->mode == OP_ENCODE_ONE_HOT ? terms : 1,
                 row = encode->mode == OP_ENCODE_INT ? terms : (size_t)encode->depth;
    return __builtin_mul_overflow(rows * sizeof(int64_t), row, ret)
               ? err_set(err, ERR_LIMIT, "a text of %zu bytes is too long", bytes)
               : 0;
}

/* How long a row of indices becomes. */
static int64_t length_of(const struct text_vectorization *k, int64_t terms)
{
    const int64_t wanted = k->output_sequence_length;
    return wanted > 0 && (!k->ragged || terms > wanted) ? wanted : terms;
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct text_vectorization *k = ctx;
    const struct op_encode *encode = &k->lookup.encode;
    const struct tensor_text *texts = in->data;
    struct split_tokens tokens;
    int64_t n = 0;
    size_t bytes = 0;
    (void)params, (void)key;
    int r = measure(k, in, &n, &bytes, err);
    if (r < 0) {
        return r;
    }
    const size_t need = (split_bytes(&k->cut, bytes, (size_t)n) + 7) / 8 * 8;
    const size_t most = split_terms_max(&k->cut, bytes, (size_t)n) * sizeof(int64_t);
    unsigned char *memory =
        op_scratch_need(scratch, need + (encode->mode == OP_ENCODE_INT ? 0 : most));
    split_begin(&k->cut, bytes, (size_t)n, memory, &tokens);
    for (int64_t i = 0; i < n; i++) {
        split_add(&k->cut, &texts[i], &tokens);
    }
    const int64_t terms = (int64_t)split_terms(&k->cut, &tokens), length = length_of(k, terms);
    int64_t *indices = encode->mode == OP_ENCODE_INT ? out->data : (void *)(memory + need);
    for (int64_t i = 0; i < terms && i < length && r == 0; i++) {
        const struct tensor_text term = split_term(&k->cut, &tokens, (size_t)i);
        r = op_lookup_text(&k->lookup, &term, &indices[i], err);
    }
    for (int64_t i = terms; i < length; i++) {
        indices[i] = 0;
    }
    const struct shape shape = {.rank = 1, .d = {length}};
    if (r == 0 && encode->mode == OP_ENCODE_ONE_HOT && length == 1) {
        op_encode_run(encode, indices, &shape, out);
        out->shape = (struct shape){.rank = 2, .d = {1, encode->depth}};
    } else if (r == 0) {
        op_encode_run(encode, indices, &shape, out);
    }
    return r;
}

static int learn(const void *ctx, void **ret, struct err *err)
{
    return op_lookup_learn_create(&((const struct text_vectorization *)ctx)->lookup, ret, err);
}

static const struct op_learn learning = OP_LOOKUP_LEARN(learn);

const struct op_desc op_text_vectorization = {
    .name = "TextVectorization",
    .summary = "Cuts a text into tokens and turns them into their places in a vocabulary, or into "
               "columns of it.",
    .options = options,
    .ctx_size = sizeof(struct text_vectorization),
    .flags = OP_TEXTS,
    .init = init,
    .check = check,
    .run = run,
    .room = room,
    .learn = &learning,
};
