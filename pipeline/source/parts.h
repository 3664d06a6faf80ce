/* parts - the files of a data set that hold many samples each: which belong to a split, and their
 * bytes.
 *
 * Owns:     maps and descriptors, given back by parts_close; lists live in the arena given.
 * Threads:  one at a time.
 * Errors:   ERR_MISSING, ERR_LIMIT, those of source_open_blob.
 * Lifetime: parts_find .. parts_close; an input lasts as long, or until the next parts_switch.
 */
#ifndef PIPELINE_SOURCE_PARTS_H
#define PIPELINE_SOURCE_PARTS_H

#include "base/buf.h"
#include "pipeline/format/input.h"
#include "pipeline/source.h"

enum { PARTS_OPEN_MAX = 48 };
#define PARTS_MAP_MAX      ((int64_t)512 << 20) /* bytes of a data set that are mapped whole */
#define PARTS_UNPACKED_MAX ((int64_t)512 << 20) /* of packed files, together */

struct part {
    const struct doc *file;
    const char *path;
    int64_t first, n; /* samples */
    int64_t bytes;
    int fd;
    void *map;
    size_t map_bytes;
    struct buf unpacked; /* of a packed file */
    struct input in;
};
struct parts {
    const struct source_store *store;
    struct part *v;
    int n;
    int64_t unpacked_bytes;
    bool is_mapped;
};

/* The files with one of the endings (".csv", NULL at the end) that belong to the split. */
int parts_find(struct parts *parts, const struct source_store *store, const char *const *endings,
               struct arena *arena, struct err *err);
/* Those whose path `takes` says yes to as well. */
int parts_find_by(struct parts *parts, const struct source_store *store, const char *const *endings,
                  bool (*takes)(const char *path), struct arena *arena, struct err *err);
void parts_close(struct parts *parts);
/* Opens one for good: its input stays. A packed file (gzip, Zstandard) is unpacked into memory,
 * here and in parts_switch, and stays too. */
int parts_open(struct parts *parts, int part, struct err *err);
/* Opens one in the place of those that parts_switch opened before. */
int parts_switch(struct parts *parts, int part, struct err *err);
/* Gives a part its samples, behind those of the parts before it. */
void parts_count(struct parts *parts, int part, int64_t n, struct source *source);
int parts_of(const struct parts *parts, int64_t sample);
/* "train/x.npy", "train.csv", "train-0001.tar", "x_train.npy": does it name the split? NULL: all
 * do. ret_stem: the name without folders, ending, and split (it may become empty). */
bool parts_in_split(const char *path, const char *split, struct arena *arena,
                    const char **ret_stem);
bool parts_ends(const char *path, const char *const *endings);
/* Do all files but hidden ones and texts beside them end so? At least one must. */
bool parts_claim(const struct doc *files, const char *const *endings);

#endif
