/* saved - elements that `millrace pipeline save` stored: tf.data's Dataset.load. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/saved.h"
#include "pipeline/source/parts.h"

extern const struct source_desc source_saved;

struct saved_part {
    struct source_blob blob;
    struct saved saved;
};
struct saved_source {
    struct source_store store;
    struct parts parts;
    struct saved_part *v;
    struct element_pack pack;
    char path[512]; /* of the last asked for */
};
static const char *const endings[] = {".saved", NULL};

static bool claims(const struct doc *files)
{
    return parts_claim(files, endings);
}

/* Elements of all files are of one kind, as the first says. */
static int open_part(struct saved_source *k, int i, struct source *source, struct arena *arena,
                     struct err *err)
{
    struct source of = {0};
    const struct part *part = &k->parts.v[i];
    int r = source_open_blob(&k->store, part->file, &k->v[i].blob, err);
    r = r < 0 ? r : saved_open(&k->v[i].saved, &k->v[i].blob, arena, i == 0 ? source : &of, err);
    if (r == 0 && i > 0 && strcmp(k->v[i].saved.text, k->v[0].saved.text) != 0) {
        r = err_set(err, ERR_SCHEMA, "its elements are not like those of '%s'", k->parts.v[0].path);
    }
    if (r < 0) {
        err_prefix(err, "%s", part->path);
        return r;
    }
    parts_count(&k->parts, i, k->v[i].saved.n, source);
    return 0;
}

static int open_saved(struct source *source, const struct source_store *store, struct arena *arena,
                      struct err *err)
{
    struct saved_source *k = source->ctx;
    k->store = *store;
    int r = parts_find(&k->parts, &k->store, endings, arena, err);
    if (r < 0) {
        return r;
    }
    if (k->parts.n > PARTS_OPEN_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d files", PARTS_OPEN_MAX);
    }
    k->v = arena_array(arena, (size_t)k->parts.n + 1, sizeof *k->v);
    for (int i = 0; i < k->parts.n; i++) {
        k->v[i].blob.fd = -1;
    }
    for (int i = 0; i < k->parts.n && r == 0; i++) {
        r = open_part(k, i, source, arena, err);
    }
    return r < 0 ? r : element_pack_init(&k->pack, &source->spec, err);
}

static void close_saved(struct source *source)
{
    struct saved_source *k = source->ctx;
    for (int i = 0; k->v != NULL && i < k->parts.n; i++) {
        saved_close(&k->v[i].saved);
        if (k->v[i].blob.fd >= 0) {
            close(k->v[i].blob.fd);
        }
    }
    element_pack_fini(&k->pack);
    parts_close(&k->parts);
}

static int read_saved(struct source *source, const struct stage_place *place,
                      const struct source_call *call, struct element *ret, struct err *err)
{
    struct saved_source *k = source->ctx;
    const int part = parts_of(&k->parts, place->position);
    (void)call;
    return saved_read(&k->v[part].saved, place->position - k->parts.v[part].first, &k->pack, ret,
                      err);
}

static const char *path_of(const struct source *source, int64_t sample)
{
    struct saved_source *k = source->ctx;
    const struct part *part = &k->parts.v[parts_of(&k->parts, sample)];
    (void)snprintf(k->path, sizeof k->path, "%.480s[%lld]", part->path,
                   (long long)(sample - part->first));
    return k->path;
}

static int64_t offset_saved(const struct source *source, int64_t sample)
{
    (void)source, (void)sample;
    return -1; /* its bytes are not the user's */
}

const struct source_desc source_saved = {
    .name = "saved",
    .summary = "Elements of a pipeline that `millrace pipeline save` stored as a data set, with "
               "their fields, kinds, element types, shapes and classes: tf.data's "
               "`Dataset.save` and `Dataset.load`.",
    .ctx_size = sizeof(struct saved_source),
    .claims = claims,
    .open = open_saved,
    .close = close_saved,
    .read = read_saved,
    .path = path_of,
    .offset = offset_saved,
};
