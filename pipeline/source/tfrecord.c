/* tfrecord - TFRecord files of tf.train.Example: a record a sample, each feature a field. */
#include <string.h>

#include "pipeline/format/example.h"
#include "pipeline/format/tfrecord.h"
#include "pipeline/source/index.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/table.h"

extern const struct source_desc source_tfrecord;

enum { LOOKED_AT = 64 };

struct tfrecord {
    union {
        struct {
            TABLE_FIELDS
        };
        struct table_options table_how;
    };
    union {
        struct {
            PICTURE_FIELDS
        };
        struct picture_options picture_how;
    };
    struct source_store store;
    struct parts parts;
    struct offsets *indexes; /* one a part */
    struct input_window window;
    struct example_feature features[EXAMPLE_FEATURES_MAX];
    size_t n_features;
    struct arena arena; /* of the row */
    struct table table;
};
static const struct opt options[] = {
    TABLE_ROWS(tfrecord, "features"),
    PICTURE_ROWS(tfrecord),
    OPT_END_ROW,
};
static const char *const endings[] = {".tfrecord",     ".tfrecords",    ".tfrec", ".tfrecord.gz",
                                      ".tfrecords.gz", ".tfrecord.zst", NULL};

/* Names as TensorFlow writes them: train.tfrecord-00000-of-00010. */
static bool is_shard(const char *path)
{
    return strstr(source_basename(path), ".tfrecord-") != NULL;
}

static bool claims(const struct doc *files)
{
    for (size_t i = 0; i < files->n; i++) {
        if (is_shard(doc_str(&files->items[i], "path", ""))) {
            return true;
        }
    }
    return parts_claim(files, endings);
}

static int read_record(struct tfrecord *k, int64_t sample, struct err *err)
{
    const int part = parts_of(&k->parts, sample);
    const unsigned char *data;
    size_t size;
    int r = parts_switch(&k->parts, part, err);
    if (r < 0) {
        return r;
    }
    if (k->window.in != &k->parts.v[part].in) {
        input_window_fini(&k->window);
        k->window = (struct input_window){.in = &k->parts.v[part].in};
    }
    r = tfrecord_read(&k->indexes[part], &k->window, (size_t)(sample - k->parts.v[part].first),
                      &data, &size, err);
    return r < 0 ? r
                 : example_read(data, size, k->features, EXAMPLE_FEATURES_MAX, &k->n_features, err);
}

static int take_feature(struct tfrecord *k, const struct example_feature *feature,
                        struct table_value *ret, struct err *err)
{
    const int64_t n = feature->n;
    void *memory = NULL;
    *ret = (struct table_value){
        .n = n, .shape = {.rank = n == 1 ? 0 : 1, .d = {n}}, .type = TABLE_NONE};
    if (feature->kind == EXAMPLE_NONE || n == 0) {
        return 0;
    }
    memory = arena_array(&k->arena, (size_t)n, sizeof(struct tensor_text));
    switch (feature->kind) {
    case EXAMPLE_INTS:
        example_ints(feature, memory);
        ret->type = TABLE_INT;
        ret->i = memory;
        ret->data = memory;
        ret->dtype = DTYPE_I64;
        return 0;
    case EXAMPLE_FLOATS:
        ret->type = TABLE_FLOAT;
        ret->data = memory;
        ret->dtype = DTYPE_F32;
        return example_floats(feature, false, memory, err);
    case EXAMPLE_BYTES:
        for (int64_t i = 0; i < n; i++) {
            const unsigned char *text;
            size_t size;
            example_bytes(feature, i, &text, &size);
            ((struct tensor_text *)memory)[i] = (struct tensor_text){(const char *)text, size};
        }
        ret->type = TABLE_TEXT;
        ret->t = memory;
        return 0;
    case EXAMPLE_NONE: break;
    }
    return 0;
}

static int row(struct source *source, int64_t sample, struct table_value *values, struct err *err)
{
    struct tfrecord *k = source->ctx;
    arena_reset(&k->arena);
    int r = read_record(k, sample, err);
    for (size_t c = 0; c < k->table.n_names && r == 0; c++) {
        const struct example_feature *feature =
            !k->table.is_used[c] ? NULL
                                 : example_find(k->features, k->n_features, k->table.names[c]);
        values[c] = (struct table_value){.type = TABLE_NONE};
        r = feature != NULL ? take_feature(k, feature, &values[c], err) : 0;
    }
    return r;
}

/* The names of the first records' features. */
static int find_names(struct tfrecord *k, int64_t samples, struct arena *arena, struct err *err)
{
    const char **names = arena_array(arena, TABLE_COLUMNS_MAX, sizeof *names);
    struct record_names all = {.v = names};
    int r = 0;
    for (int64_t i = 0; i < samples && i < LOOKED_AT; i++) {
        r = read_record(k, i, err);
        if (r < 0 && !err_is_data(r)) {
            return r;
        }
        for (size_t f = 0; r == 0 && f < k->n_features; f++) {
            const char *name = arena_strndup(arena, k->features[f].name, k->features[f].n_name);
            if (record_find(&all, name) < 0 && all.n < TABLE_COLUMNS_MAX) {
                names[all.n++] = name;
            }
        }
    }
    k->table.names = names;
    k->table.n_names = all.n;
    return all.n > 0 || r < 0 ? (all.n > 0 ? 0 : r)
                              : err_set(err, ERR_SCHEMA, "the records hold no features");
}

static int open_parts(struct tfrecord *k, struct source *source, struct arena *arena,
                      struct err *err)
{
    int r = 0;
    k->indexes = arena_array(arena, (size_t)k->parts.n + 1, sizeof *k->indexes);
    for (int i = 0; i < k->parts.n && r == 0; i++) {
        r = parts_switch(&k->parts, i, err);
        r = r < 0 ? r : index_tfrecord(&k->parts, i, &k->indexes[i], err);
        if (r == 0) {
            parts_count(&k->parts, i, k->indexes[i].n > 0 ? (int64_t)k->indexes[i].n - 1 : 0,
                        source);
        }
    }
    return r;
}

static int open_tfrecord(struct source *source, const struct source_store *store,
                         struct arena *arena, struct err *err)
{
    struct tfrecord *k = source->ctx;
    k->store = *store;
    arena_init(&k->arena);
    k->table = (struct table){.kind = "tfrecord",
                              .what = "feature",
                              .options = &k->table_how,
                              .pictures = &k->picture_how,
                              .store = &k->store,
                              .row = row};
    int r = parts_find_by(&k->parts, &k->store, endings, is_shard, arena, err);
    r = r < 0 ? r : open_parts(k, source, arena, err);
    if (r < 0 || source->samples == 0) {
        return r;
    }
    r = find_names(k, source->samples, arena, err);
    return r < 0 ? r : table_open(&k->table, source, arena, err);
}

static void close_tfrecord(struct source *source)
{
    struct tfrecord *k = source->ctx;
    table_fini(&k->table);
    for (int i = 0; i < k->parts.n && k->indexes != NULL; i++) {
        offsets_fini(&k->indexes[i]);
    }
    input_window_fini(&k->window);
    parts_close(&k->parts);
    arena_fini(&k->arena);
}

static int read_tfrecord(struct source *source, const struct stage_place *place,
                         const struct source_call *call, struct element *ret, struct err *err)
{
    struct tfrecord *k = source->ctx;
    return table_read(&k->table, source, place->position, call->asker, ret, err);
}

static int picture_tfrecord(struct source *source, const void *data, size_t size,
                            struct tensor *ret, struct err *err)
{
    struct tfrecord *k = source->ctx;
    return table_picture(&k->table, source, data, size, ret, err);
}

static const char *path_tfrecord(const struct source *source, int64_t sample)
{
    const struct tfrecord *k = source->ctx;
    return k->parts.v[parts_of(&k->parts, sample)].path;
}

static int64_t offset_tfrecord(const struct source *source, int64_t sample)
{
    const struct tfrecord *k = source->ctx;
    const int part = parts_of(&k->parts, sample);
    return k->indexes[part].at[sample - k->parts.v[part].first];
}

const struct source_desc source_tfrecord = {
    .name = "tfrecord",
    .summary = "TFRecord files of `tf.train.Example`: a record a sample, each feature a field: "
               "int64, float32, or bytes, which are a picture with kind: image, numbers with a "
               "dtype (as of tf.io.decode_raw), else text. A split is a word at the beginning of "
               "the name (`train-00000.tfrecord`) or a folder.",
    .options = options,
    .ctx_size = sizeof(struct tfrecord),
    .claims = claims,
    .open = open_tfrecord,
    .close = close_tfrecord,
    .read = read_tfrecord,
    .picture = picture_tfrecord,
    .path = path_tfrecord,
    .offset = offset_tfrecord,
};
