/* feed - what a client feeds: the fields of an element, how many there are, and where the daemon
 * keeps them.
 *
 * Owns:     nothing; a spec read from a document lives in the arena given.
 * Threads:  none shared.
 * Errors:   ERR_INVALID, ERR_RANGE, ERR_LIMIT, ERR_UNKNOWN with the path into the document.
 * Lifetime: the arena's.
 *
 * Three sides read it: the client from its program, the daemon from feed.open, the source `feed`
 * from a manifest. An epoch is a file of rows, element i at i * row_bytes, and a map with a byte an
 * element; what the map does not say is not there. Below the folder of blobs:
 * "feeds/<id>/<epoch>.rows", ".map" (durable), ".seen" (a copy of it for workers, written after it
 * is durable and made anew by each daemon) and ".bad" (struct feed_bad, one behind the other).
 */
#ifndef PROTO_FEED_H
#define PROTO_FEED_H

#include "base/hash.h"
#include "base/opt.h"
#include "base/tensor.h"

enum {
    FEED_FIELDS_MAX = 14, /* ELEMENT_FIELDS_MAX */
    FEED_ELEMENTS_MAX = 1 << 26,
    FEED_EPOCHS_MAX = 1000000,
    FEED_ROW_MAX = 32 << 20, /* bytes */
    FEED_BATCH_MAX = 4096,   /* elements */
    FEED_BATCH_BYTES_MAX = 256 << 20,
    FEED_CLASSES_MAX = 1 << 16,
    FEED_INDICES_MAX = 4096, /* in a message */
    FEED_REASON = 240,
    FEED_PATH = 112,
};
enum feed_state { FEED_ABSENT, FEED_HAVE, FEED_BAD }; /* a byte of a map */

struct feed_bad {
    int64_t index;
    char reason[FEED_REASON];
};

struct feed_field {
    const char *name;
    int kind; /* a row of element_kinds.h */
    enum dtype dtype;
    struct shape shape;
    size_t offset, bytes; /* in the row */
};
struct feed_spec {
    const char *id;   /* of the spool; NULL before the daemon gave one */
    int64_t elements; /* -1: as many as come before the end */
    bool by_epoch;    /* others in each epoch */
    int64_t batch; /* they are made so many at a time, from a multiple of it on; 1 = one by one */
    struct opt_strs classes;
    int n_fields;
    struct feed_field fields[FEED_FIELDS_MAX];
    size_t row_bytes;
};

extern const struct opt feed_options[];
/* {fields: [{name, kind, dtype, shape}], elements, by_epoch, batch, classes, id} */
int feed_spec_read(const struct doc *doc, struct arena *arena, struct feed_spec *ret,
                   struct err *err);
/* The same, every key given but an id that is NULL: equal specs give equal documents. */
void feed_spec_write(const struct feed_spec *spec, struct doc *map, struct arena *arena);
/* Elements that are made with this one: from *ret_first on so many. */
int64_t feed_batch(const struct feed_spec *spec, int64_t index, int64_t *ret_first);
bool feed_is_id(const char *id);
/* what: "rows", "map", "seen", "bad"; NULL: the folder. id: feed_is_id. */
void feed_path(const char *id, int64_t epoch, const char *what, char path[FEED_PATH]);

#endif
