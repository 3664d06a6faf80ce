/* kept_rows - elements of a stream at known places in kept files, written by many processes at
 * once.
 *
 * Owns:     descriptors of files and memory, given back by kept_rows_close; kept and spec are
 *           borrowed.
 * Threads:  one (it counts).
 * Errors:   none but those of the spec: what cannot be stored or is not whole is made by who asks.
 *           Rows that would not fit into kept_bytes with all those before them are not stored;
 * where the disk is full nothing more is written and what is there is still read. Lifetime: open ..
 * close; an element read lasts until the next one.
 *
 * A row is named by variant and number. Each has a checksum that its name goes into, so a row is
 * whole or it is not there, whoever was killed while writing it: no lock, no sync. Two who make the
 * same row write the same bytes (law 1).
 *
 * Rows of one size stand side by side, each behind its checksum, so many to a file. Others are
 * appended to files of the process that writes them, which it made under a random number; a file of
 * entries {checksum, file, place, bytes} says where.
 */
#ifndef PIPELINE_KEPT_ROWS_H
#define PIPELINE_KEPT_ROWS_H

#include "pipeline/element_pack.h"
#include "pipeline/kept.h"

enum { KEPT_ROWS_OPEN = 32 }; /* files that are open at once */

struct kept_rows_file {
    uint64_t number;
    int fd;
    bool is_known; /* fd -1: it cannot be had */
};
struct kept_rows {
    struct kept *kept; /* NULL: nothing is stored */
    struct element_pack pack;
    char id[HASH_ID_TEXT];
    uint64_t salt;
    int64_t n, per_file; /* rows of a variant, or their entries, and of a file */
    size_t stride;       /* from a row, or an entry, to the next */
    struct kept_rows_file files[KEPT_ROWS_OPEN];
    uint64_t own; /* the file that is appended to; 0 = none yet */
    int64_t own_used, own_bytes;
    struct buf packed;
    struct op_scratch read;
    double packed_bytes, n_packed; /* of rows that have sizes of their own */
    bool is_full;                  /* the disk has no room, or a file would be too large */
    struct err why;
    /* So far, for tests and people. */
    int64_t n_found, n_missed, n_damaged, n_made;
};

/* id: what the rows depend on, by kept_id. n: rows of a variant. */
int kept_rows_open(struct kept_rows *ret, struct kept *kept, const char *id,
                   const struct element_spec *spec, int64_t n, struct err *err);
void kept_rows_close(struct kept_rows *rows);
/* Is it there? ret->sample stays as it is. */
bool kept_rows_read(struct kept_rows *rows, int64_t variant, int64_t row, struct element *ret);
void kept_rows_write(struct kept_rows *rows, int64_t variant, int64_t row,
                     const struct element *element);

#endif
