/* vocab - the terms of a vocabulary and the place of each: an open-addressing hash over texts or
 * numbers.
 *
 * Owns:     its slots live in the arena; the terms are its maker's.
 * Threads:  const after vocab_init.
 * Errors:   ERR_EXISTS: a term stands there twice (both places in the text). ERR_LIMIT.
 * Lifetime: the arena's.
 */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H

#include "base/arena.h"
#include "base/tensor.h"

enum { VOCAB_TERMS_MAX = 1 << 28 };

struct vocab {
    const struct tensor_text *texts; /* or */
    const int64_t *numbers;
    int64_t n;
    uint64_t mask;
    struct vocab_slot *slots;
};

/* One of texts and numbers; n of them. */
int vocab_init(struct vocab *vocab, const struct tensor_text *texts, const int64_t *numbers,
               int64_t n, struct arena *arena, struct err *err);
/* Its place from 0, or -1. */
int64_t vocab_find(const struct vocab *vocab, const char *text, size_t n);
int64_t vocab_find_number(const struct vocab *vocab, int64_t number);

#endif
