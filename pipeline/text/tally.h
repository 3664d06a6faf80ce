/* tally - how often each term stands in the data and in how many documents: what a vocabulary is
 * learned from.
 *
 * Owns:     its terms and counts, on the heap.
 * Threads:  one.
 * Errors:   ERR_LIMIT: more terms or bytes than its bounds. tally_load: ERR_CORRUPT.
 * Lifetime: tally_init .. tally_fini.
 *
 * Counts only add up, so tallies of parts merge in any order to the tally of the whole. What
 * tally_save writes is ordered by the terms' bytes, whatever the order in which they came: equal
 * tallies are equal bytes, and saved ones may be merged as sorted runs.
 */
#ifndef TEXT_TALLY_H
#define TEXT_TALLY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/tensor.h"

struct tally_term {
    struct tensor_text text; /* or 8 bytes: a number, see tally_number */
    uint64_t count, documents;
    uint64_t seen; /* the last document, + 1 */
};

struct tally {
    struct arena bytes; /* of the terms, in blocks that many share */
    char *block;
    size_t block_left;
    struct tally_term *terms;
    uint32_t *slots; /* place + 1 */
    size_t n, capacity, mask;
    uint64_t documents;
};

void tally_init(struct tally *tally);
void tally_fini(struct tally *tally);
/* What is added next belongs to another document. */
void tally_document(struct tally *tally);
int tally_add(struct tally *tally, const char *text, size_t n, struct err *err);
int tally_add_number(struct tally *tally, int64_t number, struct err *err);
int tally_merge(struct tally *tally, const struct tally *other, struct err *err);
void tally_save(const struct tally *tally, struct buf *out);
/* Merges what was saved. */
int tally_load(struct tally *tally, const void *data, size_t size, struct err *err);
int64_t tally_number(const struct tally_term *term);
/* Places of all terms as a vocabulary has them: by count, the larger first, then by bytes, the
 * larger first (numbers: by value). free() it. */
uint32_t *tally_order(const struct tally *tally, bool is_number);

#endif
