#include "pipeline/pool.h"

#include <string.h>

#include "pipeline/stream.h"

struct pool_item {
    struct pool_item *next;
    struct source source;
    struct stream stream;
};

struct pool_step {
    struct pool_step *next;
    const char *text;      /* or NULL */
    const struct doc *doc; /* or NULL */
    bool is_files;         /* doc: the list of a manifest */
    bool is_seed;
    char id[HASH_ID_TEXT]; /* "" before it was asked for */
};

void pool_init(struct pool *pool, const struct pipeline_store *store, struct arena *arena)
{
    *pool = (struct pool){.arena = arena, .store = store};
}

void pool_close(struct pool *pool)
{
    for (struct pool_item *item = pool->first; item != NULL; item = item->next) {
        source_close(&item->source);
        stream_fini(&item->stream);
    }
    pool->first = NULL;
}

static struct pool_item *add(struct pool *pool)
{
    struct pool_item *item = ARENA_NEW(pool->arena, struct pool_item);
    item->next = pool->first;
    pool->first = item;
    return item;
}

struct source *pool_source(struct pool *pool)
{
    return &add(pool)->source;
}

struct stream *pool_stream(struct pool *pool)
{
    return &add(pool)->stream;
}

struct stream *pool_inner(const struct pool *pool, int i)
{
    int n = 0;
    for (const struct pool_item *item = pool->first; item != NULL; item = item->next) {
        n += item->stream.source != NULL;
    }
    for (struct pool_item *item = pool->first; item != NULL; item = item->next) {
        if (item->stream.source != NULL && --n == i) { /* the newest is the first of the list */
            return &item->stream;
        }
    }
    return NULL;
}

static struct pool_step *note(struct pool *pool, const struct pool_step *what)
{
    struct pool_step *step = ARENA_NEW(pool->arena, struct pool_step);
    *step = *what;
    if (pool->last_step != NULL) {
        pool->last_step->next = step;
    } else {
        pool->first_step = step;
    }
    pool->last_step = step;
    return step;
}

void pool_note(struct pool *pool, const char *text, const struct doc *doc)
{
    (void)note(pool, &(struct pool_step){.text = text, .doc = doc});
}

/* A manifest may have many files: no text of it is made. */
static void hash_files(const struct doc *files, char id[HASH_ID_TEXT])
{
    struct hash hash;
    hash_init(&hash);
    for (size_t i = 0; files != NULL && i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        const char *blob = doc_str(&files->items[i], "id", "");
        hash_update(&hash, path, strlen(path) + 1);
        hash_update(&hash, blob, strlen(blob) + 1);
    }
    hash_final(&hash, id);
}

static void name_step(struct pool_step *step)
{
    struct buf text = {0};
    if (step->is_files) {
        hash_files(step->doc, step->id);
        return;
    }
    buf_puts(&text, step->text != NULL ? step->text : "");
    buf_put(&text, "", 1);
    if (step->doc != NULL) {
        doc_write_canonical(step->doc, &text);
    }
    hash_bytes(text.data, text.size, step->id);
    buf_fini(&text);
}

/* Steps from the one to the other. */
static void name_from(struct pool_step *step, const struct pool_step *end, bool has_seed,
                      char ret[HASH_ID_TEXT])
{
    struct hash hash;
    hash_init(&hash);
    for (; step != end; step = step->next) {
        if (step->id[0] == '\0') {
            name_step(step);
        }
        if (has_seed || !step->is_seed) {
            hash_update(&hash, step->id, sizeof step->id);
        }
    }
    hash_final(&hash, ret);
}

void pool_trail(struct pool *pool, char ret[HASH_ID_TEXT])
{
    name_from(pool->first_step, NULL, true, ret);
}

void pool_note_seed(struct pool *pool, uint64_t seed)
{
    const char *text = arena_printf(pool->arena, "seed %llu", (unsigned long long)seed);
    (void)note(pool, &(struct pool_step){.text = text, .is_seed = true});
}

void pool_trail_before(struct pool *pool, char ret[HASH_ID_TEXT])
{
    name_from(pool->first_step, pool->last_step, pool->is_drawn, ret);
}

static const struct pipeline_manifest *find_manifest(const struct pipeline_store *store,
                                                     const char *dataset)
{
    for (int i = 0; i < store->n_manifests; i++) {
        if (strcmp(store->manifests[i].dataset, dataset) == 0) {
            return &store->manifests[i];
        }
    }
    return NULL;
}

int pool_open(struct pool *pool, const struct job_stream *data, struct source **ret,
              struct err *err)
{
    const struct pipeline_manifest *manifest = find_manifest(pool->store, data->dataset);
    if (manifest == NULL) {
        return err_set_at(err, ERR_NOT_FOUND, "dataset", "there is no data set '%s'",
                          data->dataset);
    }
    const bool in_place = doc_get(manifest->files, "place") != NULL;
    if (in_place && manifest->place_fd < 0) {
        return err_set_at(err, ERR_MISSING, "dataset",
                          "the folder of data set '%s' did not come with it", data->dataset);
    }
    struct source_store files = {.blobs_fd = pool->store->blobs_fd,
                                 .in_place = in_place,
                                 .place_fd = manifest->place_fd,
                                 .dataset = data->dataset,
                                 .files = doc_get(manifest->files, "files"),
                                 .shards = doc_get(manifest->files, "shards"),
                                 .takes_bad = pool->takes_bad,
                                 .split = data->split,
                                 .kept = pool->store->kept,
                                 .feed = doc_get(manifest->files, "feed"),
                                 .asks = pool->store->asks};
    struct source *source = pool_source(pool);
    struct source_want want = {.kind = doc_str(manifest->files, "kind", "auto")};
    int r = data->source != NULL ? opt_named(data->source, &want.kind, &want.options, err) : 0;
    if (r < 0) {
        err_prefix(err, "source");
        return r;
    }
    struct pool_step *first = note(pool, &(struct pool_step){.doc = files.files, .is_files = true});
    pool_note(pool, want.kind, want.options);
    pool_note(pool, data->split, NULL);
    if (files.feed != NULL) { /* what is computed of it is not of stored bytes */
        pool->is_fed = true;
        files.kept = NULL;
    }
    if (files.kept != NULL) {
        char *id = arena_alloc(pool->arena, HASH_ID_TEXT);
        name_from(first, NULL, true, id);
        files.id = id;
    }
    r = source_open(source, &want, &files, pool->arena, err);
    if (r == 0) {
        source->is_stored = true;
        source->is_fixed = !source->is_by_epoch;
        source->base = pool->samples;
        pool->samples += source->samples;
        *ret = source;
    }
    return r;
}

static const struct source *source_of(const struct pool *pool, int64_t sample)
{
    for (const struct pool_item *item = pool->first; item != NULL; item = item->next) {
        const struct source *source = &item->source;
        if (source->desc != NULL && source->is_stored && sample >= source->base &&
            sample - source->base < source->samples) {
            return source;
        }
    }
    return NULL;
}

const char *pool_path(const struct pool *pool, int64_t sample)
{
    const struct source *source = source_of(pool, sample);
    return source != NULL ? source->desc->path(source, sample - source->base) : "?";
}

int64_t pool_offset(const struct pool *pool, int64_t sample)
{
    const struct source *source = source_of(pool, sample);
    if (source == NULL) {
        return -1;
    }
    return source->desc->offset != NULL ? source->desc->offset(source, sample - source->base) : 0;
}
