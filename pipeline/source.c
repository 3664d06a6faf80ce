#include "pipeline/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "proto/pack.h"
#include "proto/place.h"

enum { INDEX_BYTES_MAX = 64 << 20, SOURCES_MAX = 64, PATH_BYTES = 8192 };

/* Where the files of one list lie; without an index each is a blob of its own. */
struct source_packs {
    struct arena *arena;
    char path[PACK_INDEX_PATH];
    struct pack_index index;
};

static const struct source_desc *find(const char *kind, const struct doc *files)
{
    for (const struct source_desc *const *row = source_table; *row != NULL; row++) {
        if (strcmp(kind, "auto") == 0 ? (*row)->claims != NULL && (*row)->claims(files)
                                      : strcmp((*row)->name, kind) == 0) {
            return *row;
        }
    }
    return NULL;
}

static int read_packs(const struct source_store *store, struct source_packs *packs, struct err *err)
{
    struct stat st;
    packs->index = (struct pack_index){0};
    int fd = openat(store->blobs_fd, packs->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno == ENOENT ? 0 : err_errno(err, errno, "open the index of packs");
    }
    int64_t size = fstat(fd, &st) == 0 && st.st_size <= INDEX_BYTES_MAX ? st.st_size : 0;
    void *data = arena_alloc(packs->arena, (size_t)size + 1);
    int64_t n = file_pread(fd, data, (size_t)size, 0, err);
    close(fd);
    return n < 0 ? (int)n : pack_index_decode(data, (size_t)n, &packs->index, err);
}

/* A store of its own for the source, that knows the packs. */
static int find_packs(const struct source_store *store, struct arena *arena,
                      const struct source_store **ret, struct err *err)
{
    struct source_store *own = ARENA_NEW(arena, struct source_store);
    struct hash hash;
    *own = *store;
    *ret = own;
    if (store->in_place) {
        return 0;
    }
    own->packs = ARENA_NEW(arena, struct source_packs);
    own->packs->arena = arena;
    pack_path_init(&hash);
    for (size_t i = 0; i < store->files->n; i++) {
        const char *id = doc_str(&store->files->items[i], "id", "");
        if (strlen(id) == HASH_ID_TEXT - 1) {
            pack_path_add(&hash, id);
        }
    }
    pack_path_final(&hash, own->packs->path);
    return read_packs(own, own->packs, err);
}

static int unknown(const char *kind, const char *dataset, struct err *err)
{
    const char *names[SOURCES_MAX];
    char list[512] = "";
    size_t n = 0;
    for (; source_table[n] != NULL; n++) {
        BUG_ON(n == SOURCES_MAX);
        names[n] = source_table[n]->name;
        const size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", n > 0 ? ", " : "", names[n]);
    }
    const char *nearest = err_nearest(kind, names, n);
    if (strcmp(kind, "auto") == 0) {
        return err_set_at(
            err, ERR_UNSUPPORTED, "source",
            "the files of data set '%s' look like none that can be read; name one of: %s", dataset,
            list);
    }
    return nearest != NULL
               ? err_set_at(err, ERR_UNKNOWN, "source",
                            "there is no source '%.64s'; did you mean '%s'?", kind, nearest)
               : err_set_at(err, ERR_UNKNOWN, "source", "there is no source '%.64s'; there are: %s",
                            kind, list);
}

static int read_options(struct source *source, const struct doc *options, struct arena *arena,
                        struct err *err)
{
    static const struct opt none[] = {OPT_END_ROW};
    const struct source_desc *desc = source->desc;
    int r =
        opt_read(desc->options != NULL ? desc->options : none, source->ctx, options, arena, err);
    if (r < 0) {
        err_prefix(err, "source.%s", desc->name);
    }
    return r;
}

int source_open(struct source *ret, const struct source_want *want,
                const struct source_store *store, struct arena *arena, struct err *err)
{
    *ret = (struct source){0};
    if (store->files == NULL || store->files->type != DOC_LIST) {
        return err_set(err, ERR_CORRUPT, "data set '%s' has no list of files", store->dataset);
    }
    const struct source_desc *desc = find(want->kind, store->files);
    if (desc == NULL) {
        return unknown(want->kind, store->dataset, err);
    }
    const struct source_store *own = NULL;
    int r = find_packs(store, arena, &own, err);
    if (r < 0) {
        return r;
    }
    ret->ctx = arena_alloc(arena, desc->ctx_size);
    ret->desc = desc;
    ret->store = own->in_place ? own : NULL;
    r = read_options(ret, want->options, arena, err);
    r = r < 0 ? r : desc->open(ret, own, arena, err);
    ret->gives_rows = ret->gives_rows && !own->in_place; /* each sample is looked at: check_place */
    if (r == 0 && ret->samples == 0) {
        r = err_set(err, ERR_DATA, "data set '%s' has no samples%s%s", store->dataset,
                    store->split ? " in split " : "", store->split ? store->split : "");
    }
    if (r < 0) {
        source_close(ret);
    }
    return r;
}

void source_close(struct source *source)
{
    if (source != NULL && source->desc != NULL) {
        if (source->desc->close != NULL) {
            source->desc->close(source);
        }
        source->desc = NULL;
    }
}

static int by_path(const void *key, const void *item)
{
    return strcmp(key, doc_str(item, "path", ""));
}

/* A path's place in the list, which is sorted by path. */
static size_t number_of_path(const struct doc *files, const char *path)
{
    const struct doc *found = bsearch(path, files->items, files->n, sizeof *files->items, by_path);
    return found != NULL ? (size_t)(found - files->items) : files->n;
}

/* "shard.tar/key" is a sample of the file "shard.tar". */
static int check_path(const struct source_store *store, const char *path, struct err *err)
{
    char file[PATH_BYTES];
    (void)snprintf(file, sizeof file, "%s", path);
    for (char *end = file + strlen(file); end != NULL; end = strrchr(file, '/')) {
        *end = '\0';
        const size_t number = number_of_path(store->files, file);
        if (number < store->files->n) {
            return place_check(store->place_fd, &store->files->items[number], err);
        }
    }
    return err_set(err, ERR_DATA, "'%s' is none of the files of the data set", path);
}

/* A file in place may change while it is open: what was read of it counts only if it did not. */
static int check_place(const struct source *source, int64_t position, struct err *err)
{
    const struct source_desc *desc = source->desc;
    const char *path = desc->path(source, position);
    int r = 0;
    for (int i = 0; path != NULL && r == 0; i++) {
        r = check_path(source->store, path, err);
        path = desc->path_beside != NULL ? desc->path_beside(source, position, i) : NULL;
    }
    return r;
}

static bool is_skipped(const struct source_call *call, int64_t sample)
{
    for (size_t i = 0; call->skip != NULL && i < call->skip->n; i++) {
        if (call->skip->v[i] == sample) {
            return true;
        }
    }
    return false;
}

int source_read(struct source *source, const struct stage_place *place,
                const struct source_call *call, struct element *ret, struct err *err)
{
    memset(ret->parts, 0, sizeof ret->parts);
    if (!source->is_stored) {
        return source->desc->read(source, place, call, ret, err);
    }
    ret->sample = source->base + place->position;
    if (is_skipped(call, ret->sample)) {
        return err_set(err, ERR_DATA, "it ended the workers that opened it");
    }
    int r = source->desc->read(source, place, call, ret, err);
    r = r < 0 || source->store == NULL ? r : check_place(source, place->position, err);
    ret->sample = source->base + place->position;
    return r;
}

/* An id names a file below the folder of blobs; anything but hex digits is no id. */
static bool blob_name(const char *id, char name[HASH_ID_TEXT + 3])
{
    const size_t n = strlen(id);
    if (n < 2 || n >= HASH_ID_TEXT || strspn(id, "0123456789abcdef") != n) {
        return false;
    }
    (void)snprintf(name, HASH_ID_TEXT + 3, "%.2s/%s", id, id);
    return true;
}

/* Opens the pack that holds the file; 1 if the file is a blob of its own. */
static int open_packed(const struct source_store *store, size_t file, struct source_blob *ret)
{
    const struct pack_index *index = &store->packs->index;
    const struct pack_entry entry =
        file < index->n_files ? pack_index_at(index, (uint32_t)file) : (struct pack_entry){0};
    char name[PACK_NAME];
    char path[PACK_PATH];
    if (entry.pack == 0) {
        return 1;
    }
    pack_index_pack(index, entry.pack, name);
    pack_path(name, path);
    ret->fd = openat(store->blobs_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ret->offset = entry.offset;
    return ret->fd < 0 ? -errno : 0;
}

static int open_whole(const struct source_store *store, const char *name, struct source_blob *ret)
{
    struct stat st;
    ret->fd = openat(store->blobs_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (ret->fd >= 0 && fstat(ret->fd, &st) == 0) {
        ret->bytes = st.st_size;
    }
    return ret->fd < 0 ? -errno : 0;
}

/* A part of a shard, which is a blob of its own; 1 if the file is in none. */
static int open_shard(const struct source_store *store, const struct doc *file,
                      struct source_blob *ret, struct err *err)
{
    char name[HASH_ID_TEXT + 3];
    const int64_t number = doc_int(file, "shard", -1), bytes = ret->bytes;
    const bool has = store->shards != NULL && store->shards->type == DOC_LIST && number >= 0 &&
                     (size_t)number < store->shards->n;
    if (!has) {
        return 1;
    }
    const struct doc *shard = &store->shards->items[number];
    if (!blob_name(doc_str(shard, "id", ""), name)) {
        return err_set(err, ERR_CORRUPT, "the manifest gives '%s' no content id",
                       doc_str(shard, "path", "?"));
    }
    const int why = open_whole(store, name, ret);
    ret->bytes = bytes;
    ret->offset = doc_int(file, "offset", 0);
    return why < 0 ? err_errno(err, -why, "open '%s' (%s) of shard '%s'",
                               doc_str(file, "path", "?"), name, doc_str(shard, "path", "?"))
                   : 0;
}

int source_open_blob(const struct source_store *store, const struct doc *file,
                     struct source_blob *ret, struct err *err)
{
    char name[HASH_ID_TEXT + 3];
    const char *path = doc_str(file, "path", "?");
    *ret = (struct source_blob){.fd = -1, .bytes = doc_int(file, "bytes", 0)};
    if (store->in_place) {
        return place_open(store->place_fd, file, &ret->fd, err);
    }
    const int sharded = open_shard(store, file, ret, err);
    if (sharded <= 0) {
        return sharded;
    }
    if (!blob_name(doc_str(file, "id", ""), name)) {
        return err_set(err, ERR_CORRUPT, "the manifest gives '%s' no content id", path);
    }
    const bool packed = store->packs != NULL && store->packs->index.n_files > 0;
    const size_t number = packed ? number_of_path(store->files, path) : 0;
    int why = packed ? open_packed(store, number, ret) : 1;
    if (why == -ENOENT && read_packs(store, store->packs, NULL) >= 0) {
        why = open_packed(store, number, ret); /* the packs were made anew meanwhile */
    }
    why = why == 1 ? open_whole(store, name, ret) : why;
    return why < 0 ? err_errno(err, -why, "open '%s' (%s)", path, name) : 0;
}

int source_read_blob(const struct source_store *store, const struct doc *file, size_t max_bytes,
                     struct buf *out, struct err *err)
{
    struct source_blob blob;
    int r = source_open_blob(store, file, &blob, err);
    if (r < 0) {
        return r;
    }
    buf_clear(out);
    if (blob.bytes < 0 || (uint64_t)blob.bytes > max_bytes) {
        r = err_set(err, ERR_LIMIT, "'%s' has %lld bytes; %zu are read at most",
                    doc_str(file, "path", "?"), (long long)blob.bytes, max_bytes);
    } else {
        buf_reserve(out, (size_t)blob.bytes + 1);
        int64_t n = file_pread(blob.fd, out->data, (size_t)blob.bytes, blob.offset, err);
        out->size = n < 0 ? 0 : (size_t)n;
        out->data[out->size] = '\0';
        r = n < 0 ? (int)n : 0;
    }
    r = r < 0 || !store->in_place ? r : place_check_fd(blob.fd, file, err);
    close(blob.fd);
    if (r == 0 && (int64_t)out->size != doc_int(file, "bytes", (int64_t)out->size)) {
        r = err_set(err, ERR_CORRUPT, "'%s' has %zu bytes, the manifest says %lld",
                    doc_str(file, "path", "?"), out->size, (long long)doc_int(file, "bytes", 0));
    }
    return r;
}

void source_set_xy(struct source *source, enum element_kind kind, const struct op_spec *x,
                   bool is_varying)
{
    source->spec.n = 0;
    element_add(&source->spec, &(struct element_field){"x", kind, *x, is_varying});
    element_add(&source->spec,
                &(struct element_field){"y", ELEMENT_LABEL, {.dtype = DTYPE_I64}, false});
}

void source_gather(const struct source_rows *rows, const void *memory, int64_t first, size_t bytes,
                   void *out)
{
    const unsigned char *from = memory;
    unsigned char *to = out;
    for (int64_t i = 0; i < rows->n; i++) {
        const int64_t ahead = i + SOURCE_AHEAD < rows->n ? i + SOURCE_AHEAD : i;
        __builtin_prefetch(from + (size_t)(rows->places[ahead].position - first) * bytes);
        source_rows_at(rows, i);
        memcpy(to + (size_t)i * bytes, from + (size_t)(rows->places[i].position - first) * bytes,
               bytes);
    }
}

void source_name_numbers(struct source *source, int64_t n, struct arena *arena)
{
    const char **names = arena_array(arena, (size_t)n + 1, sizeof *names);
    for (int64_t i = 0; i < n; i++) {
        names[i] = arena_printf(arena, "%lld", (long long)i);
    }
    source->classes = names;
    source->n_classes = n;
}

const char *source_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

void source_reference(struct buf *out)
{
    for (const struct source_desc *const *row = source_table; *row != NULL; row++) {
        buf_printf(out, "## %s\n\n%s\n\n", (*row)->name, (*row)->summary);
        if ((*row)->options != NULL) {
            opt_reference((*row)->options, out);
            buf_puts(out, "\n");
        }
    }
}
