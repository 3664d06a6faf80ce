#include "pipeline/op_lookup.h"

#include <stdlib.h>
#include <string.h>

#include "base/math.h"
#include "pipeline/text/tally.h"

/* ---- reading the options */

static int read_token(const struct op_lookup *k, const struct doc *doc, const char *row,
                      struct tensor_text *text, int64_t *number, struct err *err)
{
    if (k->is_number && doc->type == DOC_INT) {
        *number = doc->i;
        return 0;
    }
    if (!k->is_number && doc->type == DOC_STR) {
        *text = (struct tensor_text){.text = doc->str, .n = doc->n};
        return 0;
    }
    char what[80];
    doc_describe(doc, what, sizeof what);
    return err_set_at(err, ERR_INVALID, row, "takes %s, not %.64s",
                      k->is_number ? "a whole number of 64 bits" : "a text", what);
}

static bool is_given(const struct doc *doc)
{
    return doc != NULL && doc->type != DOC_NULL;
}

static bool is_mask(const struct op_lookup *k, const char *text, size_t n)
{
    return k->has_mask && k->mask.n == n && memcmp(k->mask.text, text, n) == 0;
}

static bool is_text(const struct tensor_text *a, const struct tensor_text *b)
{
    return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

/* Do the first terms say what the special ones are? Then they are left out. */
static bool begins_special(const struct op_lookup *k, const struct tensor_text *texts,
                           const int64_t *numbers, int64_t n)
{
    bool is_special = n >= k->start && k->start > 0;
    for (int64_t i = 0; is_special && i < k->start; i++) {
        is_special = k->is_number
                         ? numbers[i] == (i < k->oov_start ? k->mask_number : k->oov_number)
                         : is_text(&texts[i], i < k->oov_start ? &k->mask : &k->oov);
    }
    return is_special;
}

static int check_terms(const struct op_lookup *k, struct err *err)
{
    const int64_t mask = !k->has_mask   ? -1
                         : k->is_number ? vocab_find_number(&k->vocab, k->mask_number)
                                        : vocab_find(&k->vocab, k->mask.text, k->mask.n);
    const int64_t oov = k->is_number ? vocab_find_number(&k->vocab, k->oov_number)
                                     : vocab_find(&k->vocab, k->oov.text, k->oov.n);
    if (mask >= 0) {
        return err_set_at(err, ERR_INVALID, "vocabulary",
                          "has the mask token at %lld; it belongs before all terms or nowhere",
                          (long long)mask);
    }
    if (oov >= 0 && k->invert) {
        return err_set_at(err, ERR_INVALID, "vocabulary",
                          "has the token of unknown terms at %lld, which with invert has to be "
                          "told from it",
                          (long long)oov);
    }
    if (k->max_tokens > 0 && k->start + k->vocab.n > k->max_tokens) {
        return err_set_at(err, ERR_RANGE, "vocabulary",
                          "has %lld terms beside %lld special ones, and max_tokens is %lld",
                          (long long)k->vocab.n, (long long)k->start, (long long)k->max_tokens);
    }
    return 0;
}

static int read_terms(struct op_lookup *k, bool *ret_special, struct arena *arena, struct err *err)
{
    const struct doc *list = k->vocabulary;
    if (list->type == DOC_STR) {
        return err_set_at(err, ERR_UNSUPPORTED, "vocabulary",
                          "is the name of a file; a job has the list of terms itself");
    }
    if (list->type != DOC_LIST || list->n == 0) {
        return err_set_at(err, ERR_INVALID, "vocabulary", "takes a list of one term at least");
    }
    struct tensor_text *texts = k->is_number ? NULL : arena_array(arena, list->n, sizeof *texts);
    int64_t *numbers = k->is_number ? arena_array(arena, list->n, sizeof *numbers) : NULL;
    for (size_t i = 0; i < list->n; i++) {
        int r = read_token(k, &list->items[i], "vocabulary", texts != NULL ? &texts[i] : NULL,
                           numbers != NULL ? &numbers[i] : NULL, err);
        if (r < 0) {
            return r;
        }
    }
    const int64_t n = (int64_t)list->n;
    const int64_t from = begins_special(k, texts, numbers, n) ? k->start : 0;
    *ret_special = from > 0;
    int r = vocab_init(&k->vocab, texts != NULL ? texts + from : NULL,
                       numbers != NULL ? numbers + from : NULL, n - from, arena, err);
    if (r < 0) {
        err_prefix(err, "vocabulary");
        return r;
    }
    return check_terms(k, err);
}

/* Keras gives what has no weight of its own the mean of all. */
static int read_weights(struct op_lookup *k, bool is_special, struct arena *arena, struct err *err)
{
    const int64_t n = k->vocab.n + (is_special ? k->start : 0);
    if (k->output_mode != OP_ENCODE_TF_IDF) {
        return k->idf_weights.n == 0
                   ? 0
                   : err_set_at(err, ERR_INVALID, "idf_weights", "is for output_mode tf_idf alone");
    }
    if ((int64_t)k->idf_weights.n != n) {
        return err_set_at(err, k->idf_weights.n == 0 ? ERR_MISSING : ERR_SHAPE, "idf_weights",
                          "%zu numbers beside a vocabulary of %lld", k->idf_weights.n,
                          (long long)n);
    }
    float *weights = arena_array(arena, (size_t)k->encode.depth + 1, sizeof *weights);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += k->idf_weights.v[i];
    }
    for (int64_t i = 0; i < k->start && !is_special; i++) {
        weights[i] = (float)(sum / (double)n);
    }
    for (int64_t i = 0; i < n; i++) {
        weights[(is_special ? 0 : k->start) + i] = (float)k->idf_weights.v[i];
    }
    k->encode.weights = weights;
    return 0;
}

static int check_options(const struct op_lookup *k, struct err *err)
{
    if (k->max_tokens == 1) {
        return err_set_at(err, ERR_RANGE, "max_tokens", "has to be above 1");
    }
    if (k->pad_to_max_tokens && (k->max_tokens == 0 || k->output_mode == OP_ENCODE_INT)) {
        return err_set_at(err, ERR_INVALID, "pad_to_max_tokens",
                          "needs max_tokens, and another output_mode than int");
    }
    if (k->sparse && k->output_mode == OP_ENCODE_INT) {
        return err_set_at(err, ERR_INVALID, "sparse", "is not for output_mode int");
    }
    if (k->invert && k->output_mode != OP_ENCODE_INT) {
        return err_set_at(err, ERR_INVALID, "invert", "needs output_mode int");
    }
    if (k->idf_weights.n > 0 && k->output_mode != OP_ENCODE_TF_IDF) {
        return err_set_at(err, ERR_INVALID, "idf_weights", "is for output_mode tf_idf alone");
    }
    if (k->is_number && k->key.has && k->oov_method == OP_OOV_FLOORMOD) {
        return err_set_at(err, ERR_INVALID, "salt", "needs oov_method farmhash");
    }
    if (k->vocabulary_dtype != NULL &&
        strcmp(k->vocabulary_dtype, k->is_number ? "int64" : "string") != 0) {
        return err_set_at(err, ERR_INVALID, "vocabulary_dtype", "is %s here, not '%.32s'",
                          k->is_number ? "int64" : "string", k->vocabulary_dtype);
    }
    if (k->encoding != NULL && strcmp(k->encoding, "utf-8") != 0) {
        return err_set_at(err, ERR_UNSUPPORTED, "encoding", "is utf-8, not '%.32s'", k->encoding);
    }
    return 0;
}

static int read_special(struct op_lookup *k, struct err *err)
{
    k->has_mask = is_given(k->mask_token);
    k->oov = (struct tensor_text){.text = "[UNK]", .n = 5};
    k->oov_number = -1;
    k->mask = (struct tensor_text){.text = ""};
    int r = k->has_mask ? read_token(k, k->mask_token, "mask_token", &k->mask, &k->mask_number, err)
                        : 0;
    r = r < 0 || !is_given(k->oov_token)
            ? r
            : read_token(k, k->oov_token, "oov_token", &k->oov, &k->oov_number, err);
    k->oov_start = k->has_mask && k->output_mode == OP_ENCODE_INT;
    k->start = k->oov_start + k->num_oov_indices;
    return r;
}

int op_lookup_init(struct op_lookup *k, struct arena *arena, struct err *err)
{
    bool is_special = false;
    int r = op_salt_read(k->salt, &k->key, err);
    r = r < 0 ? r : check_options(k, err);
    r = r < 0 ? r : read_special(k, err);
    if (r < 0 || !is_given(k->vocabulary)) {
        return r;
    }
    r = read_terms(k, &is_special, arena, err);
    if (r < 0) {
        return r;
    }
    k->is_ready = true;
    k->encode = (struct op_encode){
        .mode = (enum op_encode_mode)k->output_mode,
        .depth = k->pad_to_max_tokens ? k->max_tokens : k->start + k->vocab.n,
        .int_dtype = DTYPE_I64,
        .dtype = k->output_mode == OP_ENCODE_TF_IDF ? DTYPE_F32 : DTYPE_I64,
    };
    return read_weights(k, is_special, arena, err);
}

int op_lookup_check(const struct op_lookup *k, const struct op_spec *in, struct op_spec *out,
                    struct err *err)
{
    const bool is_text = in->dtype == DTYPE_STR,
               is_whole = !is_text && in->dtype != DTYPE_F32 && in->dtype != DTYPE_F64;
    if (!k->is_ready) {
        return err_set_at(err, ERR_MISSING, "vocabulary", "is not given, and none was learned");
    }
    if (k->is_number || k->invert ? !is_whole : !is_text) {
        char text[128];
        op_shape_text(in, text, sizeof text);
        return err_set(err, ERR_SHAPE, "takes %s, not %s",
                       k->is_number || k->invert ? "whole numbers" : "texts", text);
    }
    int r = op_encode_check(&k->encode, in, out, err);
    out->dtype = k->invert && !k->is_number ? DTYPE_STR : out->dtype;
    return r;
}

/* ---- looking up */

static int unknown(const struct op_lookup *k, const char *what, int n, struct err *err)
{
    (void)k;
    return err_set(err, ERR_VALUE,
                   "'%.*s' is not in the vocabulary, and num_oov_indices is 0: there is no place "
                   "for it",
                   n < 64 ? n : 64, what);
}

int op_lookup_text(const struct op_lookup *k, const struct tensor_text *text, int64_t *ret,
                   struct err *err)
{
    const int64_t place = vocab_find(&k->vocab, text->text, text->n);
    if (place >= 0) {
        *ret = k->start + place;
        return 0;
    }
    if (is_mask(k, text->text, text->n)) {
        *ret = k->oov_start - 1; /* 0, or no place */
        return 0;
    }
    if (k->num_oov_indices == 0) {
        return unknown(k, text->text, (int)(text->n < 64 ? text->n : 64), err);
    }
    *ret = k->oov_start;
    if (k->num_oov_indices > 1) {
        *ret +=
            (int64_t)(op_salt_hash(&k->key, text->text, text->n) % (uint64_t)k->num_oov_indices);
    }
    return 0;
}

int op_lookup_number(const struct op_lookup *k, int64_t number, int64_t *ret, struct err *err)
{
    const int64_t place = vocab_find_number(&k->vocab, number), slots = k->num_oov_indices;
    if (place >= 0) {
        *ret = k->start + place;
    } else if (k->has_mask && number == k->mask_number) {
        *ret = k->oov_start - 1;
    } else if (slots == 0) {
        char text[32];
        opt_number_text((double)number, text, sizeof text);
        return unknown(k, text, (int)strlen(text), err);
    } else if (k->oov_method == OP_OOV_FARMHASH) {
        *ret = k->oov_start + (int64_t)(op_salt_hash_number(&k->key, number) % (uint64_t)slots);
    } else {
        const int64_t rest = number % slots;
        *ret = k->oov_start + (rest < 0 ? rest + slots : rest);
    }
    return 0;
}

struct tensor_text op_lookup_text_at(const struct op_lookup *k, int64_t place)
{
    if (place >= k->start && place - k->start < k->vocab.n) {
        return k->vocab.texts[place - k->start];
    }
    return place >= 0 && place < k->oov_start ? k->mask : k->oov;
}

int64_t op_lookup_number_at(const struct op_lookup *k, int64_t place)
{
    if (place >= k->start && place - k->start < k->vocab.n) {
        return k->vocab.numbers[place - k->start];
    }
    return place >= 0 && place < k->oov_start ? k->mask_number : k->oov_number;
}

/* ---- learning */

struct learned {
    const struct op_lookup *lookup;
    struct tally tally;
    struct op_scratch scratch;
};

int op_lookup_learn_create(const struct op_lookup *lookup, void **ret, struct err *err)
{
    if (lookup->is_ready) {
        return err_set_at(err, ERR_INVALID, "vocabulary", "is given; there is nothing to learn");
    }
    struct learned *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory to learn");
    }
    state->lookup = lookup;
    tally_init(&state->tally);
    *ret = state;
    return 0;
}

static int create(const void *ctx, void **ret, struct err *err)
{
    return op_lookup_learn_create(ctx, ret, err);
}

void op_lookup_learn_destroy(void *state)
{
    struct learned *k = state;
    if (k != NULL) {
        tally_fini(&k->tally);
        op_scratch_fini(&k->scratch);
        free(k);
    }
}

static int add_texts(struct learned *k, const struct tensor_text *texts, int64_t n, struct err *err)
{
    const struct split *split = k->lookup->split;
    struct split_tokens tokens;
    size_t bytes = 0;
    int r = 0;
    if (split == NULL) {
        for (int64_t i = 0; i < n && r == 0; i++) {
            r = tally_add(&k->tally, texts[i].text, texts[i].n, err);
        }
        return r;
    }
    for (int64_t i = 0; i < n; i++) {
        bytes += texts[i].n;
    }
    const size_t need = split_bytes(split, bytes, (size_t)n);
    if (need == 0) {
        return err_set(err, ERR_LIMIT, "a text of %zu bytes is too long", bytes);
    }
    split_begin(split, bytes, (size_t)n, op_scratch_need(&k->scratch, need), &tokens);
    for (int64_t i = 0; i < n; i++) {
        split_add(split, &texts[i], &tokens);
    }
    const size_t terms = split_terms(split, &tokens);
    for (size_t i = 0; i < terms && r == 0; i++) {
        const struct tensor_text term = split_term(split, &tokens, i);
        r = tally_add(&k->tally, term.text, term.n, err);
    }
    return r;
}

int op_lookup_learn_add(void *state, int64_t batch, const struct tensor *in, struct err *err)
{
    struct learned *k = state;
    int64_t n = 0;
    int r = shape_count(&in->shape, &n);
    (void)batch;
    if (r < 0 || (in->dtype == DTYPE_STR) == k->lookup->is_number || in->dtype == DTYPE_F32 ||
        in->dtype == DTYPE_F64) {
        return err_set(err, ERR_SHAPE, "takes %s, not %s",
                       k->lookup->is_number ? "whole numbers" : "texts", dtype_name(in->dtype));
    }
    if (k->lookup->split != NULL && k->lookup->split->by != SPLIT_NONE && n != 1) {
        return err_set(err, ERR_SHAPE, "takes one text a sample, not %lld", (long long)n);
    }
    tally_document(&k->tally);
    if (in->dtype == DTYPE_STR) {
        return add_texts(k, in->data, n, err);
    }
    for (int64_t i = 0; i < n && r == 0; i++) {
        r = tally_add_number(&k->tally, op_integer(in, i), err);
    }
    return r;
}

int op_lookup_learn_merge(void *state, void *other, struct err *err)
{
    return tally_merge(&((struct learned *)state)->tally, &((struct learned *)other)->tally, err);
}

static bool is_special(const struct op_lookup *k, const struct tally_term *term)
{
    if (k->is_number) {
        const int64_t number = tally_number(term);
        return number == k->oov_number || (k->has_mask && number == k->mask_number);
    }
    return is_text(&term->text, &k->oov) || (k->has_mask && is_text(&term->text, &k->mask));
}

/* ln(1 + documents / (1 + documents with the term)), rounded to float32 when it is used. */
static double idf_of(const struct tally *tally, const struct tally_term *term)
{
    return math_log(1 + (double)tally->documents / (1 + (double)term->documents));
}

int op_lookup_learn_finish(void *state, struct doc *options, struct arena *arena, struct err *err)
{
    const struct learned *k = state;
    const struct op_lookup *lookup = k->lookup;
    struct doc *terms = doc_new(arena), *weights = doc_new(arena);
    const int64_t room = lookup->max_tokens > 0 ? lookup->max_tokens - lookup->start : INT64_MAX;
    int64_t n = 0;
    const bool is_weighted = lookup->output_mode == OP_ENCODE_TF_IDF;
    doc_set_list(terms);
    doc_set_list(weights);
    uint32_t *places = tally_order(&k->tally, lookup->is_number);
    for (size_t i = 0; i < k->tally.n && n < room; i++) {
        const struct tally_term *term = &k->tally.terms[places[i]];
        if (is_special(lookup, term)) {
            continue;
        }
        n++;
        if (lookup->is_number) {
            doc_set_int(doc_push(terms, arena), tally_number(term));
        } else {
            doc_set_strn(doc_push(terms, arena), arena, term->text.text, term->text.n);
        }
        if (is_weighted) {
            doc_set_float(doc_push(weights, arena), idf_of(&k->tally, term));
        }
    }
    free(places);
    *doc_put(options, arena, "vocabulary") = *terms;
    if (is_weighted) {
        *doc_put(options, arena, "idf_weights") = *weights;
    }
    return n > 0 ? 0
                 : err_set_at(err, ERR_EMPTY, "vocabulary",
                              room < 1 ? "max_tokens leaves no place for a term"
                                       : "there is no term in the data");
}

void op_lookup_learn_save(void *state, struct buf *out)
{
    tally_save(&((struct learned *)state)->tally, out);
}

int op_lookup_learn_load(void *state, const void *data, size_t size, struct err *err)
{
    return tally_load(&((struct learned *)state)->tally, data, size, err);
}

const struct op_learn op_lookup_learn = OP_LOOKUP_LEARN(create);
