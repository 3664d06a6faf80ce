/* feed - the spool of a client that makes elements while they are read: rows of fixed size by epoch
 * and index, and a map that says which are there (proto/feed.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/asks.h"
#include "pipeline/source.h"
#include "proto/feed.h"

enum { OPEN_MAX_ = 4, BLOCK = 4096 };

/* The files of an epoch; what a block of the map once said stays true. */
struct epoch {
    int64_t number;
    bool is_open;
    int rows_fd, seen_fd;
    int64_t used, block; /* block: which of the map stands in `seen`, -1 none */
    unsigned char seen[BLOCK];
};
struct feed {
    struct feed_spec spec;
    int blobs_fd;
    const char *dataset, *path;
    struct asks *asks;
    struct epoch epochs[OPEN_MAX_];
    int64_t clock;
    unsigned char *row;
    int64_t label; /* whole numbers without dimensions are given as int64 */
    int y;         /* the field that is, or -1 */
};

static void close_epoch(struct epoch *epoch)
{
    if (epoch->is_open) {
        close(epoch->rows_fd);
        close(epoch->seen_fd);
        epoch->is_open = false;
    }
}

static int open_part(const struct feed *k, int64_t number, const char *what, int *ret,
                     struct err *err)
{
    char path[FEED_PATH];
    feed_path(k->spec.id, number, what, path);
    *ret = openat(k->blobs_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return *ret >= 0         ? 0
           : errno == ENOENT ? ERR_NOT_FOUND
                             : err_errno(err, errno, "open '%s' (%s)", k->dataset, path);
}

/* ERR_NOT_FOUND, without a text: nobody asked for any of it yet. */
static int find_epoch(struct feed *k, int64_t number, struct epoch **ret, struct err *err)
{
    struct epoch *oldest = NULL;
    for (int i = 0; i < OPEN_MAX_; i++) {
        struct epoch *epoch = &k->epochs[i];
        if (epoch->is_open && epoch->number == number) {
            epoch->used = ++k->clock;
            *ret = epoch;
            return 0;
        }
        if (oldest == NULL ||
            (oldest->is_open && (!epoch->is_open || epoch->used < oldest->used))) {
            oldest = epoch;
        }
    }
    close_epoch(oldest);
    int r = open_part(k, number, "seen", &oldest->seen_fd, err);
    if (r < 0) {
        return r;
    }
    r = open_part(k, number, "rows", &oldest->rows_fd, err);
    if (r < 0) {
        close(oldest->seen_fd);
        return r;
    }
    oldest->is_open = true;
    oldest->number = number;
    oldest->block = -1;
    oldest->used = ++k->clock;
    *ret = oldest;
    return 0;
}

static int look(struct epoch *epoch, int64_t index, enum feed_state *ret, struct err *err)
{
    const int64_t block = index / BLOCK;
    if (epoch->block != block || epoch->seen[index % BLOCK] == FEED_ABSENT) {
        epoch->block = -1;
        memset(epoch->seen, FEED_ABSENT, BLOCK);
        int64_t n = file_pread(epoch->seen_fd, epoch->seen, BLOCK, block * BLOCK, err);
        if (n < 0) {
            return (int)n;
        }
        epoch->block = block;
    }
    *ret = (enum feed_state)epoch->seen[index % BLOCK];
    return 0;
}

/* Absent as long as the epoch has no files. */
static int state_of(struct feed *k, int64_t number, int64_t index, struct epoch **ret_epoch,
                    enum feed_state *ret, struct err *err)
{
    *ret = FEED_ABSENT;
    int r = find_epoch(k, number, ret_epoch, err);
    return r == ERR_NOT_FOUND ? 0 : r < 0 ? r : look(*ret_epoch, index, ret, err);
}

static int absent(const struct feed *k, int64_t number, int64_t index, struct err *err)
{
    return err_set(err, ERR_FEED,
                   "element %lld of epoch %lld of '%s' is not there yet; `millrace feed %s` has to "
                   "feed it first",
                   (long long)index, (long long)number + 1, k->dataset, k->dataset);
}

/* Outside of a chunk: what follows is wanted soon. */
static int wait_ahead(struct feed *k, int64_t number, int64_t index, struct err *err)
{
    for (int64_t i = index; i < index + ASKS_AHEAD && i < k->spec.elements; i++) {
        struct epoch *epoch = NULL;
        enum feed_state state = FEED_ABSENT;
        int r = state_of(k, number, i, &epoch, &state, err);
        if (r < 0) {
            return r;
        }
        if (state == FEED_ABSENT) {
            asks_add(k->asks, k->spec.id, number, i);
        }
    }
    return k->asks->wait(k->asks->context, k->asks, err);
}

static int bad(const struct feed *k, int64_t number, int64_t index, struct err *err)
{
    struct feed_bad record;
    char path[FEED_PATH];
    feed_path(k->spec.id, number, "bad", path);
    int fd = openat(k->blobs_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    const char *reason = "its client cannot make it";
    for (int64_t at = 0; fd >= 0; at += (int64_t)sizeof record) {
        if (file_pread(fd, &record, sizeof record, at, NULL) < (int64_t)sizeof record) {
            break;
        }
        if (record.index == index) {
            record.reason[FEED_REASON - 1] = '\0';
            reason = record.reason;
            break;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return err_set(err, ERR_DATA, "element %lld of epoch %lld: %s", (long long)index,
                   (long long)number + 1, reason);
}

static int64_t whole_at(enum dtype dtype, const unsigned char *p)
{
    int64_t v = 0;
    memcpy(&v, p, dtype_bytes(dtype));
    switch ((int)dtype) {
    case DTYPE_I8: return (int8_t)v;
    case DTYPE_I16: return (int16_t)v;
    case DTYPE_I32: return (int32_t)v;
    default: return v;
    }
}

static int read_row(struct feed *k, const struct epoch *epoch, int64_t index, struct element *ret,
                    struct err *err)
{
    const struct feed_spec *spec = &k->spec;
    int64_t n =
        file_pread(epoch->rows_fd, k->row, spec->row_bytes, index * (int64_t)spec->row_bytes, err);
    if (n < (int64_t)spec->row_bytes) {
        return n < 0 ? (int)n
                     : err_set(err, ERR_TRUNCATED, "element %lld of '%s' ends early",
                               (long long)index, k->dataset);
    }
    for (int i = 0; i < spec->n_fields; i++) {
        const struct feed_field *field = &spec->fields[i];
        ret->fields[i] = (struct tensor){
            .dtype = field->dtype, .shape = field->shape, .data = k->row + field->offset};
    }
    if (k->y < 0) {
        return 0;
    }
    k->label = whole_at(spec->fields[k->y].dtype, k->row + spec->fields[k->y].offset);
    ret->fields[k->y] = (struct tensor){.dtype = DTYPE_I64, .data = &k->label};
    if (spec->classes.n > 0 && (k->label < 0 || k->label >= (int64_t)spec->classes.n)) {
        return err_set(err, ERR_DATA, "element %lld has label %lld, there are %zu classes",
                       (long long)index, (long long)k->label, spec->classes.n);
    }
    return 0;
}

static int read_feed(struct source *source, const struct stage_place *place,
                     const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call;
    struct feed *k = source->ctx;
    const int64_t number = k->spec.by_epoch ? place->iteration : 0, index = place->position;
    struct epoch *epoch = NULL;
    enum feed_state state = FEED_ABSENT;
    ret->sample = index;
    if (number < 0 || number > FEED_EPOCHS_MAX) {
        return err_set(err, ERR_LIMIT, "a feed has at most %d epochs", FEED_EPOCHS_MAX);
    }
    int r = state_of(k, number, index, &epoch, &state, err);
    if (r == 0 && state == FEED_ABSENT && k->asks != NULL && !k->asks->collects) {
        r = wait_ahead(k, number, index, err);
        r = r < 0 ? r : state_of(k, number, index, &epoch, &state, err);
    } else if (r == 0 && state == FEED_ABSENT && k->asks != NULL) {
        asks_add(k->asks, k->spec.id, number, index);
    }
    if (r < 0) {
        return r;
    }
    return state == FEED_ABSENT ? absent(k, number, index, err)
           : state == FEED_BAD  ? bad(k, number, index, err)
                                : read_row(k, epoch, index, ret, err);
}

static int add_fields(struct source *source, struct feed *k, struct err *err)
{
    const struct feed_spec *spec = &k->spec;
    BUG_ON((int)FEED_FIELDS_MAX != (int)ELEMENT_FIELDS_MAX);
    k->y = -1;
    for (int i = 0; i < spec->n_fields; i++) {
        const struct feed_field *from = &spec->fields[i];
        const bool is_whole = from->dtype != DTYPE_F32 && from->dtype != DTYPE_F64;
        struct element_field field = {.name = from->name,
                                      .kind = (enum element_kind)from->kind,
                                      .spec = {.dtype = from->dtype, .shape = from->shape}};
        if (field.kind == ELEMENT_LABEL && is_whole && from->shape.rank == 0 &&
            strcmp(from->name, "y") == 0) {
            k->y = i;
            field.spec.dtype = DTYPE_I64;
        }
        element_add(&source->spec, &field);
    }
    return k->y < 0 && spec->classes.n > 0
               ? err_set(err, ERR_SCHEMA,
                         "'%s' names classes, but has no whole number y of kind label", k->dataset)
               : 0;
}

static int open_feed(struct source *source, const struct source_store *store, struct arena *arena,
                     struct err *err)
{
    struct feed *k = source->ctx;
    *k = (struct feed){.blobs_fd = store->blobs_fd, .dataset = store->dataset, .asks = store->asks};
    if (store->feed == NULL) {
        return err_set(err, ERR_DATA, "data set '%s' is not fed by a client; see `millrace feed`",
                       store->dataset);
    }
    int r = feed_spec_read(store->feed, arena, &k->spec, err);
    if (r < 0) {
        err_prefix(err, "feed");
        return r;
    }
    if (k->spec.id == NULL || k->spec.elements < 0) {
        return err_set(err, ERR_CORRUPT, "the manifest of '%s' has no id or number of elements",
                       store->dataset);
    }
    if (store->split != NULL) {
        return err_set_at(
            err, ERR_UNSUPPORTED, "split",
            "'%s' is fed and has no splits; feed the other one under a name of its own",
            store->dataset);
    }
    r = add_fields(source, k, err);
    k->row = arena_alloc(arena, k->spec.row_bytes);
    k->path = arena_strdup(arena, store->dataset);
    source->samples = k->spec.elements;
    source->is_by_epoch = k->spec.by_epoch;
    source->classes = k->spec.classes.v;
    source->n_classes = (int64_t)k->spec.classes.n;
    return r;
}

static void close_feed(struct source *source)
{
    struct feed *k = source->ctx;
    for (int i = 0; i < OPEN_MAX_; i++) {
        close_epoch(&k->epochs[i]);
    }
}

static const char *path_feed(const struct source *source, int64_t sample)
{
    (void)sample;
    const struct feed *k = source->ctx;
    return k->path;
}

static int64_t offset_feed(const struct source *source, int64_t sample)
{
    (void)source, (void)sample;
    return -1; /* it has no file of its own */
}

const struct source_desc source_feed = {
    .name = "feed",
    .summary = "Elements that a client makes when they are asked for, or pushed before "
               "(`millrace feed`): the fields that its program named, in each epoch the same or "
               "others. What came once is stored and read from there.",
    .ctx_size = sizeof(struct feed),
    .open = open_feed,
    .close = close_feed,
    .read = read_feed,
    .path = path_feed,
    .offset = offset_feed,
};
