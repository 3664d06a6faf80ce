#include "pipeline/source/parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pipeline/format/unpack.h"

bool parts_ends(const char *path, const char *const *endings)
{
    const size_t n = strlen(path);
    for (; *endings != NULL; endings++) {
        const size_t end = strlen(*endings);
        if (n > end && strcasecmp(path + n - end, *endings) == 0) {
            return true;
        }
    }
    return false;
}

bool parts_claim(const struct doc *files, const char *const *endings)
{
    static const char *const beside[] = {".md", ".txt", ".json", ".yaml", "LICENSE", NULL};
    bool is_one = false;
    for (size_t i = 0; i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        const bool ends = parts_ends(path, endings);
        if (!ends && source_basename(path)[0] != '.' && !parts_ends(path, beside)) {
            return false;
        }
        is_one = is_one || ends;
    }
    return is_one;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) != 0;
}

/* The split as a word at the beginning or the end of a name; what is left of it goes to ret. */
static bool take_word(const char *name, size_t n, const char *split, struct arena *arena,
                      const char **ret)
{
    const size_t s = strlen(split);
    if (n < s) {
        return false;
    }
    if (strncmp(name, split, s) == 0 && (n == s || !is_word(name[s]))) {
        *ret = n == s ? "" : arena_strndup(arena, name + s + 1, n - s - 1);
        return true;
    }
    if (strncmp(name + n - s, split, s) == 0 && !is_word(name[n - s - 1])) {
        *ret = arena_strndup(arena, name, n - s - 1);
        return true;
    }
    return false;
}

bool parts_in_split(const char *path, const char *split, struct arena *arena, const char **ret_stem)
{
    const char *name = source_basename(path);
    const size_t n = strcspn(name, ".");
    const size_t s = split != NULL ? strlen(split) : 0;
    *ret_stem = arena_strndup(arena, name, n);
    return split == NULL || (strncmp(path, split, s) == 0 && path[s] == '/') ||
           take_word(name, n, split, arena, ret_stem);
}

static int none(const struct parts *parts, const char *const *endings, struct err *err)
{
    char list[256] = "", wanted[96] = "";
    const struct source_store *store = parts->store;
    for (size_t i = 0; endings[i] != NULL; i++) {
        const size_t used = strlen(wanted);
        (void)snprintf(wanted + used, sizeof wanted - used, "%s%s", i > 0 ? ", " : "", endings[i]);
    }
    for (size_t i = 0; i < store->files->n && i < 8; i++) {
        const size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%.60s", i > 0 ? ", " : "",
                       doc_str(&store->files->items[i], "path", "?"));
    }
    return err_set_at(err, ERR_MISSING, store->split != NULL ? "split" : "",
                      "data set '%s' has no file (%s)%s%s; it has %s", store->dataset, wanted,
                      store->split != NULL ? " of split " : "",
                      store->split != NULL ? store->split : "", list);
}

int parts_find(struct parts *parts, const struct source_store *store, const char *const *endings,
               struct arena *arena, struct err *err)
{
    return parts_find_by(parts, store, endings, NULL, arena, err);
}

int parts_find_by(struct parts *parts, const struct source_store *store, const char *const *endings,
                  bool (*takes)(const char *path), struct arena *arena, struct err *err)
{
    int64_t bytes = 0;
    *parts = (struct parts){.store = store};
    parts->v = arena_array(arena, store->files->n + 1, sizeof *parts->v);
    for (size_t i = 0; i < store->files->n; i++) {
        const struct doc *file = &store->files->items[i];
        const char *path = doc_str(file, "path", ""), *stem;
        const bool is_one = parts_ends(path, endings) || (takes != NULL && takes(path));
        if (source_basename(path)[0] == '.' || !is_one ||
            !parts_in_split(path, store->split, arena, &stem)) {
            continue;
        }
        struct part *part = &parts->v[parts->n++];
        *part =
            (struct part){.file = file, .path = path, .bytes = doc_int(file, "bytes", 0), .fd = -1};
        bytes += part->bytes > 0 && part->bytes <= PARTS_MAP_MAX ? part->bytes : PARTS_MAP_MAX;
        bytes = bytes > PARTS_MAP_MAX ? PARTS_MAP_MAX + 1 : bytes;
    }
    /* A file in place may become shorter: reading it then is an error, touching it a signal. */
    parts->is_mapped = bytes <= PARTS_MAP_MAX && !store->in_place;
    return parts->n > 0 ? 0 : none(parts, endings, err);
}

static void close_part(struct part *part)
{
    if (part->map != NULL) {
        munmap(part->map, part->map_bytes);
    }
    if (part->fd >= 0) {
        close(part->fd);
    }
    part->map = NULL;
    part->fd = -1;
}

void parts_close(struct parts *parts)
{
    for (int i = 0; i < parts->n; i++) {
        close_part(&parts->v[i]);
        buf_fini(&parts->v[i].unpacked);
    }
    parts->n = 0;
}

/* The descriptor is not needed behind this. */
static int map_part(struct part *part, struct err *err)
{
    const long page = sysconf(_SC_PAGESIZE);
    const int64_t before = part->in.begin % page;
    part->map_bytes = (size_t)(part->in.size + before);
    part->map = mmap(NULL, part->map_bytes, PROT_READ, MAP_PRIVATE, part->fd,
                     (off_t)(part->in.begin - before));
    if (part->map == MAP_FAILED) {
        part->map = NULL;
        return err_errno(err, errno, "map '%s'", part->path);
    }
    input_memory(&part->in, (const unsigned char *)part->map + before, (size_t)part->in.size,
                 part->path);
    close(part->fd);
    part->fd = -1;
    return 0;
}

static bool is_packed(const char *path)
{
    static const char *const packed[] = {".gz", ".tgz", ".zst", NULL};
    return parts_ends(path, packed);
}

static int unpack(struct parts *parts, struct part *part, struct err *err)
{
    enum unpack_kind kind;
    const int64_t left = PARTS_UNPACKED_MAX - parts->unpacked_bytes;
    int r = unpack_kind(&part->in, false, &kind, err);
    if (r == 0 && kind == UNPACK_NONE) {
        r = input_fail(&part->in, 0, ERR_BAD_MAGIC, err, "is neither gzip nor Zstandard");
    }
    r = r < 0 ? r : unpack_to_buf(&part->in, kind, left, &part->unpacked, err);
    close(part->fd);
    part->fd = -1;
    parts->unpacked_bytes += (int64_t)part->unpacked.size;
    input_memory(&part->in, part->unpacked.data != NULL ? part->unpacked.data : "",
                 part->unpacked.size, part->path);
    return r == ERR_LIMIT
               ? err_set(err, ERR_LIMIT,
                         "'%s' of data set '%s' unpacks to too much: packed files are "
                         "held in memory, %lld MiB together at most; unpack them",
                         part->path, parts->store->dataset, (long long)(PARTS_UNPACKED_MAX >> 20))
               : r;
}

static int open_part(struct parts *parts, struct part *part, struct err *err)
{
    struct source_blob blob;
    int r = source_open_blob(parts->store, part->file, &blob, err);
    part->fd = blob.fd;
    r = r < 0 ? r : input_open(&part->in, part->fd, part->path, err);
    if (r == 0 && blob.offset >= 0 && blob.bytes >= 0 && blob.bytes <= part->in.size &&
        blob.offset <= part->in.size - blob.bytes) {
        part->in = input_part(&part->in, blob.offset, blob.bytes);
    }
    if (r == 0 && part->in.size != part->bytes) {
        r = err_set(err, ERR_CORRUPT, "'%s' has %lld bytes, the manifest says %lld", part->path,
                    (long long)part->in.size, (long long)part->bytes);
    }
    r = r == 0 && is_packed(part->path) ? unpack(parts, part, err) : r;
    return r == 0 && parts->is_mapped && part->in.size > 0 && part->fd >= 0 ? map_part(part, err)
                                                                            : r;
}

int parts_open(struct parts *parts, int part, struct err *err)
{
    if (!parts->is_mapped && parts->n > PARTS_OPEN_MAX) {
        return err_set(
            err, ERR_LIMIT,
            "data set '%s' has %d files of together more than %lld MiB; of so many bytes "
            "%d files are read at most",
            parts->store->dataset, parts->n, (long long)(PARTS_MAP_MAX >> 20), PARTS_OPEN_MAX);
    }
    return open_part(parts, &parts->v[part], err);
}

int parts_switch(struct parts *parts, int part, struct err *err)
{
    struct part *wanted = &parts->v[part];
    if (wanted->map != NULL || wanted->fd >= 0 || wanted->unpacked.data != NULL) {
        return 0;
    }
    for (int i = 0; i < parts->n && !parts->is_mapped; i++) {
        close_part(&parts->v[i]);
    }
    return open_part(parts, wanted, err);
}

void parts_count(struct parts *parts, int part, int64_t n, struct source *source)
{
    parts->v[part].first = source->samples;
    parts->v[part].n = n;
    source->samples += n;
}

int parts_of(const struct parts *parts, int64_t sample)
{
    int low = 0, high = parts->n - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (parts->v[middle].first <= sample) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}
