/* split - a text to its tokens: standardized, cut, joined to n-grams, byte for byte as Keras does.
 *
 * Owns:     nothing; tokens live in the memory given.
 * Threads:  pure functions.
 * Errors:   none: split_bytes bounds what a text needs before it is cut.
 * Lifetime: the memory's.
 *
 * Lower-casing and punctuation are ASCII's alone; what is no ASCII passes. Tokens stand one behind
 * the other with a blank between them, so that an n-gram is a run of those bytes and costs nothing.
 */
#ifndef TEXT_SPLIT_H
#define TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"

enum split_by { SPLIT_WHITESPACE, SPLIT_CHARACTER, SPLIT_NONE };
enum { SPLIT_WIDTHS_MAX = 8 };

struct split {
    bool lower, strip; /* strip: punctuation is deleted, not made a blank */
    enum split_by by;
    int n_widths; /* of n-grams, in their order; 0: tokens alone */
    int64_t widths[SPLIT_WIDTHS_MAX];
    uint16_t map[256]; /* of a byte: the byte that it becomes, or that it parts or vanishes */
};
/* Fills the map; all else is given. */
void split_init(struct split *split);

struct split_tokens {
    char *bytes;
    size_t *begin, *end; /* of each token in bytes */
    size_t n, used;
};

/* Memory for the tokens of a text (or of several, of so many bytes together); 0: too large. */
size_t split_bytes(const struct split *split, size_t text_bytes, size_t n_texts);
void split_begin(const struct split *split, size_t text_bytes, size_t n_texts, void *memory,
                 struct split_tokens *ret);
/* Adds the tokens of one text. */
void split_add(const struct split *split, const struct tensor_text *text, struct split_tokens *to);
/* Terms that the tokens make: n-grams of every width, one width behind the other. */
size_t split_terms(const struct split *split, const struct split_tokens *tokens);
/* The i-th of them. */
struct tensor_text split_term(const struct split *split, const struct split_tokens *tokens,
                              size_t i);
/* At most so many terms come of so many bytes. */
size_t split_terms_max(const struct split *split, size_t text_bytes, size_t n_texts);

#endif
