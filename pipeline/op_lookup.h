/* op_lookup - from terms to their places in a vocabulary and back: what StringLookup, IntegerLookup
 * and TextVectorization share.
 *
 * Owns:     what op_lookup_init makes lives in the arena.
 * Threads:  const after op_lookup_init.
 * Errors:   op_lookup_init: ERR_INVALID, ERR_RANGE, ERR_EXISTS, ERR_MISSING, path of the option.
 *           op_lookup_term: ERR_VALUE, a term that is not in a vocabulary without a place for it.
 * Lifetime: the arena's.
 *
 * Places: the mask token (mode int only), the slots of unknown terms, the terms.
 */
#ifndef PIPELINE_OP_LOOKUP_H
#define PIPELINE_OP_LOOKUP_H

#include "pipeline/op_encode.h"
#include "pipeline/op_salt.h"
#include "pipeline/text/split.h"
#include "pipeline/text/vocab.h"

enum op_oov_method { OP_OOV_FLOORMOD, OP_OOV_FARMHASH };

struct op_lookup { /* options first */
    int64_t max_tokens, num_oov_indices;
    const struct doc *mask_token, *oov_token, *vocabulary, *salt;
    struct opt_floats idf_weights;
    bool invert, pad_to_max_tokens, sparse;
    int output_mode, oov_method;
    const char *vocabulary_dtype, *encoding;

    bool is_number, has_mask, is_ready;
    struct tensor_text mask, oov; /* or */
    int64_t mask_number, oov_number;
    struct op_salt key;
    struct vocab vocab;       /* the terms without the special ones */
    int64_t oov_start, start; /* places of the first slot and of the first term */
    struct op_encode encode;
    const struct split *split; /* what is learned from is texts that are cut; NULL: terms */
};

int op_lookup_init(struct op_lookup *lookup, struct arena *arena, struct err *err);
int op_lookup_check(const struct op_lookup *lookup, const struct op_spec *in, struct op_spec *out,
                    struct err *err);
/* Places of n terms; -1: the mask token where it has none. */
int op_lookup_text(const struct op_lookup *lookup, const struct tensor_text *text, int64_t *ret,
                   struct err *err);
int op_lookup_number(const struct op_lookup *lookup, int64_t number, int64_t *ret, struct err *err);
/* Terms at places; what is no place is the unknown term. */
struct tensor_text op_lookup_text_at(const struct op_lookup *lookup, int64_t place);
int64_t op_lookup_number_at(const struct op_lookup *lookup, int64_t place);

/* The options that StringLookup and IntegerLookup share. noun: what is looked up. */
// clang-format off
#define OP_LOOKUP_ROWS(noun, unknown) \
    OPT_I64_ROW(op_lookup, max_tokens, 0, 0, VOCAB_TERMS_MAX, \
                "Size of the vocabulary, special tokens included; 0 or null: no bound.", .flags = OPT_NULLABLE), \
    OPT_I64_ROW(op_lookup, num_oov_indices, 1, 0, 1 << 24, \
                "Places for " noun "s that are not in the vocabulary; 0: they are refused."), \
    OPT_DOC_ROW(op_lookup, mask_token, "A " noun " that stands for nothing.", .flags = OPT_NULLABLE), \
    OPT_DOC_ROW(op_lookup, oov_token, "What an unknown " noun " is called: " unknown ".", .flags = OPT_NULLABLE), \
    OPT_DOC_ROW(op_lookup, vocabulary, "List of " noun "s; without one it is learned from the data.", .flags = OPT_NULLABLE), \
    OPT_FLOATS_ROW(op_lookup, idf_weights, NULL, 0, 0, 0, 0, \
                   "For tf_idf: a weight of each " noun " of the vocabulary.", .flags = OPT_NULLABLE), \
    OPT_BOOL_ROW(op_lookup, invert, false, "From places back to " noun "s."), \
    OPT_ENUM_ROW(op_lookup, output_mode, OP_ENCODE_INT, op_encode_modes_weighted, "What a place becomes."), \
    OPT_BOOL_ROW(op_lookup, pad_to_max_tokens, false, "As many columns as max_tokens."), \
    OPT_BOOL_ROW(op_lookup, sparse, false, "Accepted; batches are dense.", .flags = OPT_IGNORED)
// clang-format on

/* What is learned: how often each term stands in the data. */
int op_lookup_learn_create(const struct op_lookup *lookup, void **ret, struct err *err);
void op_lookup_learn_destroy(void *state);
int op_lookup_learn_add(void *state, int64_t batch, const struct tensor *in, struct err *err);
int op_lookup_learn_merge(void *state, void *other, struct err *err);
int op_lookup_learn_finish(void *state, struct doc *options, struct arena *arena, struct err *err);
void op_lookup_learn_save(void *state, struct buf *out);
int op_lookup_learn_load(void *state, const void *data, size_t size, struct err *err);
/* A table of them; create_ gives op_lookup_learn_create the lookup of a context. */
#define OP_LOOKUP_LEARN(create_)                                                             \
    {                                                                                        \
        .create = (create_), .destroy = op_lookup_learn_destroy, .add = op_lookup_learn_add, \
        .merge = op_lookup_learn_merge, .finish = op_lookup_learn_finish,                    \
        .save = op_lookup_learn_save, .load = op_lookup_learn_load                           \
    }
/* For a context that is a struct op_lookup. */
extern const struct op_learn op_lookup_learn;

#endif
