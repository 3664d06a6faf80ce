/* idx - pairs of IDX files, images beside labels, named as MNIST names them; held in memory. */
#include <stdio.h>
#include <string.h>

#include "pipeline/source.h"
#include "pipeline/source/idx_file.h"

extern const struct source_desc source_idx;

enum { PAIRS_MAX = 16 };

struct pair {
    const char *images_path, *labels_path;
    struct buf images_storage, labels_storage;
    struct tensor images, labels;
    int64_t first; /* sample */
    size_t item_bytes;
};
struct idx {
    struct pair pairs[PAIRS_MAX];
    int n_pairs;
    struct shape item;
    int64_t label; /* of the last read */
};

static bool has(const char *path, const char *word)
{
    return strstr(source_basename(path), word) != NULL;
}

static bool is_images(const char *path)
{
    return has(path, "images") && has(path, "idx");
}

static bool claims(const struct doc *files)
{
    for (size_t i = 0; i < files->n; i++) {
        if (is_images(doc_str(&files->items[i], "path", ""))) {
            return true;
        }
    }
    return false;
}

/* Does "t10k-images-idx3-ubyte.gz" or "test/images.idx" belong to the split? */
static bool in_split(const char *path, const char *split)
{
    const size_t n = split != NULL ? strlen(split) : 0;
    const char *name = source_basename(path);
    return n == 0 || strncmp(name, split, n) == 0 ||
           (strcmp(split, "test") == 0 && strncmp(name, "t10k", 4) == 0) ||
           (strncmp(path, split, n) == 0 && path[n] == '/');
}

/* The labels beside "train-images-idx3-ubyte.gz": "train-labels-idx1-ubyte", gzipped or not. */
static const struct doc *labels_of(const struct doc *files, const char *images)
{
    const char *name = source_basename(images), *word = strstr(name, "images");
    const size_t n = (size_t)(word - images);
    for (size_t i = 0; i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        if (strncmp(path, images, n) == 0 && strncmp(path + n, "labels", 6) == 0) {
            return &files->items[i];
        }
    }
    return NULL;
}

static int read_file(const struct source_store *store, const struct doc *file, struct buf *storage,
                     struct tensor *ret, struct err *err)
{
    int r = source_read_blob(store, file, IDX_FILE_BYTES_MAX, storage, err);
    r = r < 0 ? r : idx_file_read(storage, IDX_FILE_BYTES_MAX, ret, err);
    if (err_is_data(r)) {
        char text[512];
        (void)snprintf(text, sizeof text, "%.500s", err != NULL ? err->text : "");
        return err_set(err, r, "'%s' of data set '%s': %s", doc_str(file, "path", "?"),
                       store->dataset, text);
    }
    return r;
}

static int check_labels(const struct pair *pair, const struct doc *file, struct err *err)
{
    const char *path = doc_str(file, "path", "?");
    if (pair->labels.shape.rank != 1 || pair->labels.dtype == DTYPE_F32 ||
        pair->labels.dtype == DTYPE_F64) {
        char text[128];
        shape_format(&pair->labels.shape, text, sizeof text);
        return err_set(err, ERR_DATA, "'%s' holds %s %s; labels are a list of whole numbers", path,
                       dtype_name(pair->labels.dtype), text);
    }
    if (pair->labels.shape.d[0] != pair->images.shape.d[0]) {
        return err_set(err, ERR_DATA, "'%s' has %lld labels and '%s' %lld images", path,
                       (long long)pair->labels.shape.d[0], pair->images_path,
                       (long long)pair->images.shape.d[0]);
    }
    return 0;
}

static int open_pair(const struct source_store *store, const struct doc *file, struct pair *pair,
                     struct err *err)
{
    pair->images_path = doc_str(file, "path", "?");
    const struct doc *labels = labels_of(store->files, pair->images_path);
    if (labels == NULL) {
        return err_set(err, ERR_MISSING, "'%s' of data set '%s' has no labels beside it",
                       pair->images_path, store->dataset);
    }
    int r = read_file(store, file, &pair->images_storage, &pair->images, err);
    pair->labels_path = doc_str(labels, "path", "?");
    r = r < 0 ? r : read_file(store, labels, &pair->labels_storage, &pair->labels, err);
    return r < 0 ? r : check_labels(pair, labels, err);
}

/* The shape of an item; a picture without channels gets one. */
static struct shape item_of(const struct tensor *images)
{
    struct shape item = {.rank = images->shape.rank - 1};
    memcpy(item.d, images->shape.d + 1, (size_t)item.rank * sizeof *item.d);
    if (item.rank == 2) {
        item.d[item.rank++] = 1;
    }
    return item;
}

static int64_t label_at(const struct tensor *labels, int64_t i)
{
    switch ((int)labels->dtype) {
    case DTYPE_U8: return ((const uint8_t *)labels->data)[i];
    case DTYPE_I8: return ((const int8_t *)labels->data)[i];
    case DTYPE_I16: return ((const int16_t *)labels->data)[i];
    default: return ((const int32_t *)labels->data)[i];
    }
}

static int64_t find_classes(const struct idx *idx, struct arena *arena, const char **ret_top)
{
    int64_t most = -1, at = 0;
    const char *path = "";
    for (int p = 0; p < idx->n_pairs; p++) {
        for (int64_t i = 0; i < idx->pairs[p].labels.shape.d[0]; i++) {
            const int64_t label = label_at(&idx->pairs[p].labels, i);
            if (label < 0 || label >= SOURCE_CLASSES_MAX) {
                return 0;
            }
            if (label > most) {
                most = label;
                at = i;
                path = idx->pairs[p].labels_path;
            }
        }
    }
    *ret_top = arena_printf(arena, "row %lld of '%s' has label %lld", (long long)at, path,
                            (long long)most);
    return most + 1;
}

static int add_pair(struct source *source, const struct source_store *store, const struct doc *file,
                    struct err *err)
{
    struct idx *idx = source->ctx;
    if (idx->n_pairs == PAIRS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d pairs of IDX files in data set '%s'",
                       PAIRS_MAX, store->dataset);
    }
    struct pair *pair = &idx->pairs[idx->n_pairs++];
    int r = open_pair(store, file, pair, err);
    if (r < 0) {
        return r;
    }
    const struct shape item = item_of(&pair->images);
    if (idx->n_pairs > 1 &&
        (!shape_equal(&item, &idx->item) || pair->images.dtype != idx->pairs[0].images.dtype)) {
        return err_set(err, ERR_DATA, "'%s' and '%s' hold pictures of different shapes",
                       idx->pairs[0].images_path, pair->images_path);
    }
    idx->item = item;
    pair->first = source->samples;
    source->samples += pair->images.shape.d[0];
    return shape_bytes(&item, pair->images.dtype, &pair->item_bytes);
}

static int open_idx(struct source *source, const struct source_store *store, struct arena *arena,
                    struct err *err)
{
    struct idx *idx = source->ctx;
    for (size_t i = 0; i < store->files->n; i++) {
        const struct doc *file = &store->files->items[i];
        const char *path = doc_str(file, "path", "");
        if (is_images(path) && in_split(path, store->split)) {
            int r = add_pair(source, store, file, err);
            if (r < 0) {
                return r;
            }
        }
    }
    if (idx->n_pairs == 0) {
        return err_set(err, ERR_MISSING,
                       "data set '%s' has no IDX files for split '%s' (%s-images-idx3-ubyte)",
                       store->dataset, store->split ? store->split : "",
                       store->split && strcmp(store->split, "test") == 0 ? "t10k" : "train");
    }
    source_set_xy(source, idx->item.rank == 3 ? ELEMENT_IMAGE : ELEMENT_NUMERIC,
                  &(struct op_spec){.dtype = idx->pairs[0].images.dtype, .shape = idx->item},
                  false);
    source->gives_rows = true;
    source_name_numbers(source, find_classes(idx, arena, &source->top_class), arena);
    return 0;
}

static void close_idx(struct source *source)
{
    struct idx *idx = source->ctx;
    for (int i = 0; i < idx->n_pairs; i++) {
        buf_fini(&idx->pairs[i].images_storage);
        buf_fini(&idx->pairs[i].labels_storage);
    }
    idx->n_pairs = 0;
}

static const struct pair *pair_of(const struct idx *idx, int64_t sample)
{
    int p = idx->n_pairs - 1;
    while (p > 0 && idx->pairs[p].first > sample) {
        p--;
    }
    return &idx->pairs[p];
}

static int read_idx(struct source *source, const struct stage_place *place,
                    const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call, (void)err;
    struct idx *idx = source->ctx;
    const struct pair *pair = pair_of(idx, place->position);
    const int64_t at = place->position - pair->first;
    const struct tensor x = {.dtype = pair->images.dtype,
                             .shape = idx->item,
                             .data = (unsigned char *)pair->images.data +
                                     (size_t)at * pair->item_bytes};
    idx->label = label_at(&pair->labels, at);
    source_put_xy(ret, place->position, &x, &idx->label);
    return 0;
}

static const unsigned char *item_at(const struct idx *idx, int64_t sample)
{
    const struct pair *pair = pair_of(idx, sample);
    return (const unsigned char *)pair->images.data +
           (size_t)(sample - pair->first) * pair->item_bytes;
}

static int read_rows_idx(struct source *source, const struct source_rows *rows, void *const *fields,
                         struct err *err)
{
    (void)err;
    const struct idx *idx = source->ctx;
    const size_t bytes = idx->pairs[0].item_bytes;
    for (int64_t i = 0; i < rows->n; i++) {
        const int64_t ahead = i + SOURCE_AHEAD < rows->n ? i + SOURCE_AHEAD : i;
        const int64_t sample = rows->places[i].position;
        const struct pair *pair = pair_of(idx, sample);
        const int64_t label = label_at(&pair->labels, sample - pair->first);
        __builtin_prefetch(item_at(idx, rows->places[ahead].position));
        source_rows_at(rows, i);
        memcpy((unsigned char *)fields[0] + (size_t)i * bytes, item_at(idx, sample), bytes);
        memcpy((unsigned char *)fields[1] + (size_t)i * sizeof label, &label, sizeof label);
    }
    return 0;
}

static const char *path_idx(const struct source *source, int64_t sample)
{
    const struct idx *idx = source->ctx;
    return pair_of(idx, sample)->images_path;
}

static int64_t offset_idx(const struct source *source, int64_t sample)
{
    (void)source, (void)sample;
    return -1; /* held in memory, in another form */
}

const struct source_desc source_idx = {
    .name = "idx",
    .summary = "Pairs of IDX files as MNIST names them: `train-images-idx3-ubyte` and "
               "`train-labels-idx1-ubyte`, split `test` is "
               "`t10k-...`; gzipped or not. Held in memory. A picture without channels gets one.",
    .ctx_size = sizeof(struct idx),
    .claims = claims,
    .open = open_idx,
    .close = close_idx,
    .read = read_idx,
    .read_rows = read_rows_idx,
    .path = path_idx,
    .offset = offset_idx,
};
