#include "pipeline/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

enum { SOURCES_MAX = 64 };

static const struct source_desc *find(const char *kind, const struct doc *files)
{
    for (const struct source_desc *const *row = source_table; *row != NULL; row++) {
        if (strcmp(kind, "auto") == 0 ? (*row)->claims(files) : strcmp((*row)->name, kind) == 0) {
            return *row;
        }
    }
    return NULL;
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
    ret->ctx = arena_alloc(arena, desc->ctx_size);
    ret->desc = desc;
    int r = read_options(ret, want->options, arena, err);
    r = r < 0 ? r : desc->open(ret, store, arena, err);
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
    if (!source->is_stored) {
        return source->desc->read(source, place, call, ret, err);
    }
    ret->sample = source->base + place->position;
    if (is_skipped(call, ret->sample)) {
        return err_set(err, ERR_DATA, "it ended the workers that opened it");
    }
    int r = source->desc->read(source, place, call, ret, err);
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

int source_open_blob(const struct source_store *store, const struct doc *file, int *ret_fd,
                     struct err *err)
{
    char name[HASH_ID_TEXT + 3];
    const char *path = doc_str(file, "path", "?");
    if (!blob_name(doc_str(file, "id", ""), name)) {
        return err_set(err, ERR_CORRUPT, "the manifest gives '%s' no content id", path);
    }
    *ret_fd = openat(store->blobs_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return *ret_fd < 0 ? err_errno(err, errno, "open '%s' (%s)", path, name) : 0;
}

int source_read_blob(const struct source_store *store, const struct doc *file, size_t max_bytes,
                     struct buf *out, struct err *err)
{
    int fd;
    int r = source_open_blob(store, file, &fd, err);
    if (r < 0) {
        return r;
    }
    buf_clear(out);
    r = file_read_fd(fd, max_bytes, out, err);
    close(fd);
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
