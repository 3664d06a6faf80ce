/* hostile - what becomes of one file of a folder of hostile files, and the readers that say so.
 *
 * Owns:     nothing; an outcome is plain bytes that cross a pipe.
 * Threads:  none; each file is read in a process of its own.
 * Errors:   are the outcome.
 * Lifetime: the process's.
 */
#ifndef TESTS_HOSTILE_HOSTILE_H
#define TESTS_HOSTILE_HOSTILE_H

#include "base/buf.h"
#include "base/doc.h"
#include "base/tensor.h"

enum { HOSTILE_ARRAYS_MAX = 8, HOSTILE_TEXT = 200 };

struct hostile_array {
    char name[32];
    struct shape shape;
};
struct hostile_outcome {
    int code; /* 0: accepted */
    int line; /* of the error, 0: none */
    char text[768];
    bool has_shape;
    struct shape shape;
    int64_t members, samples, rows, columns, records; /* -1: not counted */
    char bad_samples[HOSTILE_TEXT];                   /* keys, a blank behind each */
    int n_arrays;
    struct hostile_array arrays[HOSTILE_ARRAYS_MAX];
    uint64_t hash; /* of all that was read */
    int64_t rss_growth_bytes;
};

struct hostile_file {
    const struct doc *entry; /* of the manifest */
    const char *name;        /* its path there */
    struct buf data, pair;   /* pair: the file that belongs to it, if the entry names one */
};

struct hostile_format {
    const char *name;
    /* Reads all of the file; the error, or 0. */
    int (*read)(const struct hostile_file *file, struct hostile_outcome *ret, struct err *err);
};
/* Ends with a row without a name. */
extern const struct hostile_format hostile_formats[];

#endif
