/* The readers of millrace, a row a format: what a worker would do with the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "pipeline/format/csv.h"
#include "pipeline/format/example.h"
#include "pipeline/format/npz.h"
#include "pipeline/format/samples.h"
#include "pipeline/format/tfrecord.h"
#include "pipeline/format/unpack.h"
#include "pipeline/image/decode.h"
#include "pipeline/source/idx_file.h"
#include "tests/hostile/hostile.h"

enum { FILE_MAX = 64 << 20, CLASSES = 10 /* of the corpus's labels */ };

static void add(struct hostile_outcome *ret, const void *data, size_t n)
{
    ret->hash = hash_fast(data, n, ret->hash);
}

static int read_picture(const void *data, size_t size, const char *name,
                        struct hostile_outcome *ret, struct err *err)
{
    struct decode *decode = decode_create();
    struct decode_image image;
    decode_allow(decode, decode_formats_of(name) | DECODE_STORED);
    int r = decode_run(decode, data, size, 0, &image, err);
    if (r == 0) {
        add(ret, image.data, (size_t)(image.height * image.width * image.channels));
    }
    for (int channels = 1; r == 0 && channels <= 3; channels += 2) {
        struct decode_image other;
        r = decode_run(decode, data, size, channels, &other, err);
        if (r == 0) {
            add(ret, other.data, (size_t)(other.height * other.width * other.channels));
        }
    }
    ret->shape = (struct shape){.rank = 3, .d = {image.height, image.width, image.channels}};
    decode_destroy(decode);
    return r;
}

static int read_image(const struct hostile_file *file, struct hostile_outcome *ret, struct err *err)
{
    ret->has_shape = true;
    return read_picture(file->data.data, file->data.size, file->name, ret, err);
}

static int check_labels(const struct tensor *labels, const struct hostile_file *file,
                        struct err *err)
{
    struct buf images = {0};
    struct tensor pair;
    buf_put(&images, file->pair.data, file->pair.size);
    int r = idx_file_read(&images, FILE_MAX, &pair, err);
    if (r == 0 && labels->shape.d[0] != pair.shape.d[0]) {
        r = err_set(err, ERR_SCHEMA, "%lld labels, the pair has %lld items",
                    (long long)labels->shape.d[0], (long long)pair.shape.d[0]);
    }
    for (int64_t i = 0; r == 0 && labels->dtype == DTYPE_U8 && i < labels->shape.d[0]; i++) {
        if (((const uint8_t *)labels->data)[i] >= CLASSES) {
            r = err_set(err, ERR_VALUE, "label %lld is not below %d", (long long)i, CLASSES);
        }
    }
    buf_fini(&images);
    return r;
}

static int read_idx(const struct hostile_file *file, struct hostile_outcome *ret, struct err *err)
{
    struct buf storage = {0};
    struct tensor tensor;
    buf_put(&storage, file->data.data, file->data.size);
    int r = idx_file_read(&storage, FILE_MAX, &tensor, err);
    if (r == 0) {
        ret->has_shape = true;
        ret->shape = tensor.shape;
        add(ret, storage.data, storage.size);
        r = file->pair.data != NULL ? check_labels(&tensor, file, err) : 0;
    }
    buf_fini(&storage);
    return r;
}

static int read_array(const struct npy *npy, struct hostile_outcome *ret, struct err *err)
{
    size_t bytes = 0;
    int r = shape_bytes(&npy->shape, npy->dtype, &bytes);
    if (r < 0 || bytes > 8 * (size_t)FILE_MAX) {
        return err_set(err, ERR_LIMIT, "an array of %zu bytes", bytes);
    }
    void *numbers = calloc(1, bytes + 1);
    r = npy_read(npy, 0, npy->n_rows, false, numbers, err);
    if (r == 0) {
        add(ret, numbers, bytes);
    }
    free(numbers);
    return r;
}

static int read_npy(const struct hostile_file *file, struct hostile_outcome *ret, struct err *err)
{
    struct input in;
    struct npy npy;
    input_memory(&in, file->data.data, file->data.size, file->name);
    int r = npy_open(&npy, &in, err);
    ret->has_shape = true;
    ret->shape = npy.shape;
    return r < 0 ? r : read_array(&npy, ret, err);
}

static int read_npz(const struct hostile_file *file, struct hostile_outcome *ret, struct err *err)
{
    struct input in;
    struct npz npz = {.n = 0};
    int64_t rows = 0;
    input_memory(&in, file->data.data, file->data.size, file->name);
    int r = npz_open(&npz, &in, FILE_MAX, err);
    r = r < 0 ? r : npz_rows(&npz, &rows, err);
    for (size_t i = 0; r == 0 && i < npz.n; i++) {
        if (i < HOSTILE_ARRAYS_MAX) {
            struct hostile_array *array = &ret->arrays[ret->n_arrays++];
            (void)snprintf(array->name, sizeof array->name, "%s", npz.arrays[i].name);
            array->shape = npz.arrays[i].npy.shape;
        }
        r = read_array(&npz.arrays[i].npy, ret, err);
    }
    npz_close(&npz);
    return r;
}

/* Is a sample as the others: pictures that decode, the first sample's extensions or more? */
static bool is_good_sample(const struct samples *samples, const struct tar_index *index, size_t i,
                           const struct input *in, struct hostile_outcome *ret)
{
    const struct samples_row *row = &samples->rows[i];
    bool is_good = true;
    for (size_t k = row->first; k < row->first + row->n; k++) {
        const char *extension;
        const struct tar_member *member = &index->members[k];
        struct err ignored;
        struct hostile_outcome picture = *ret;
        (void)samples_key(tar_name(index, k), &extension);
        if (extension != NULL && strcmp(extension, "jpg") == 0) {
            is_good = is_good && read_picture(in->data + member->offset, (size_t)member->size,
                                              tar_name(index, k), &picture, &ignored) == 0;
        }
    }
    for (size_t other = 0; is_good && other < samples->n; other++) {
        const char *extension;
        (void)samples_key(tar_name(index, samples->rows[other].first), &extension);
        is_good = samples_find(samples, index, i, "cls") >= 0 ||
                  samples_find(samples, index, other, "cls") < 0;
    }
    return is_good;
}

static int read_members(const struct input *in, struct hostile_outcome *ret, struct err *err)
{
    struct tar_index index = {0};
    struct samples samples = {0};
    int r = tar_index_build(&index, in, err);
    ret->members = (int64_t)(index.n + index.n_folders);
    for (size_t i = 0; i < index.n; i++) {
        add(ret, tar_name(&index, i), strlen(tar_name(&index, i)));
        add(ret, in->data + index.members[i].offset, (size_t)index.members[i].size);
    }
    r = r < 0 ? r : samples_build(&samples, &index, in->name, err);
    ret->samples = 0;
    for (size_t i = 0; r == 0 && i < samples.n; i++) {
        if (is_good_sample(&samples, &index, i, in, ret)) {
            ret->samples++;
        } else {
            const size_t used = strlen(ret->bad_samples);
            (void)snprintf(ret->bad_samples + used, HOSTILE_TEXT - used, "%.*s ",
                           (int)samples.rows[i].n_key, samples.rows[i].key);
        }
    }
    samples_fini(&samples);
    tar_index_fini(&index);
    return r;
}

static int read_tar(const struct hostile_file *file, struct hostile_outcome *ret, struct err *err)
{
    struct input in;
    struct buf spool = {0};
    enum unpack_kind kind = UNPACK_NONE;
    input_memory(&in, file->data.data, file->data.size, file->name);
    int r = unpack_kind(&in, false, &kind, err);
    if (r == 0 && kind != UNPACK_NONE) {
        r = unpack_to_buf(&in, kind, FILE_MAX, &spool, err);
        input_memory(&in, spool.data, spool.size, file->name);
    }
    r = r < 0 ? r : read_members(&in, ret, err);
    buf_fini(&spool);
    return r;
}

/* "i64", "f32", "str" of the manifest's schema. */
static enum csv_type type_of(const char *name)
{
    return strcmp(name, "i64") == 0 ? CSV_INT : strcmp(name, "f32") == 0 ? CSV_FLOAT32 : CSV_TEXT;
}

static bool is_class(const struct doc *classes, const struct csv_value *value)
{
    for (size_t i = 0; i < classes->n; i++) {
        if (classes->items[i].n == value->n &&
            memcmp(classes->items[i].str, value->text, value->n) == 0) {
            return true;
        }
    }
    return false;
}

static int read_rows(struct csv *csv, const struct hostile_file *file, struct hostile_outcome *ret,
                     struct err *err)
{
    const struct doc *classes = doc_get(file->entry, "classes");
    size_t n = 0;
    const struct csv_column *columns = csv_columns(csv, &n);
    ret->columns = (int64_t)n;
    for (size_t i = 0; i < csv_rows(csv); i++) {
        const struct csv_value *values = NULL;
        int r = csv_row(csv, i, &values, err);
        for (size_t c = 0; r == 0 && c < n; c++) {
            add(ret, values[c].text, values[c].n);
            add(ret, &values[c].i, sizeof values[c].i);
            add(ret, &values[c].f, sizeof values[c].f);
            if (classes != NULL && strcmp(columns[c].name, "label") == 0 &&
                !is_class(classes, &values[c])) {
                r = err_set(err, ERR_SCHEMA, "%s: row %zu: a label that is no class", file->name,
                            i);
            }
        }
        if (r < 0) {
            return r;
        }
    }
    ret->rows = (int64_t)csv_rows(csv);
    return 0;
}

static int read_csv(const struct hostile_file *file, struct hostile_outcome *ret, struct err *err)
{
    enum { COLUMNS_MAX = 16 };
    const struct doc *schema = doc_get(file->entry, "schema"), *given = doc_get(schema, "columns");
    struct csv_column columns[COLUMNS_MAX];
    struct csv_options options = {.has_header = true};
    struct csv *csv = NULL;
    struct input in;
    for (size_t i = 0; given != NULL && i < given->n && i < COLUMNS_MAX; i++) {
        columns[i] = (struct csv_column){.name = given->items[i].items[0].str,
                                         .type = type_of(given->items[i].items[1].str)};
        options.columns = columns;
        options.n_columns = i + 1;
    }
    input_memory(&in, file->data.data, file->data.size, file->name);
    int r = csv_open(&in, &options, &csv, err);
    r = r < 0 ? r : read_rows(csv, file, ret, err);
    csv_close(csv);
    return r;
}

/* A record of the corpus's schema: one picture in image/encoded, whole numbers in label. */
static int read_example(const unsigned char *data, size_t size, struct hostile_outcome *ret,
                        struct err *err)
{
    enum { FEATURES_MAX = 64 };
    struct example_feature features[FEATURES_MAX];
    size_t n = 0;
    int r = example_read(data, size, features, FEATURES_MAX, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        float *floats = calloc((size_t)features[i].n + 1, sizeof *floats);
        if (features[i].kind == EXAMPLE_FLOATS) {
            r = example_floats(&features[i], false, floats, err);
        }
        free(floats);
        add(ret, features[i].list, features[i].list_bytes);
    }
    if (r < 0) {
        return r;
    }
    const struct example_feature *image = example_find(features, n, "image/encoded");
    if (image == NULL || image->kind != EXAMPLE_BYTES || image->n != 1) {
        return err_set(err, ERR_SCHEMA, "not one picture in 'image/encoded'");
    }
    const unsigned char *picture = NULL;
    size_t picture_bytes = 0;
    example_bytes(image, 0, &picture, &picture_bytes);
    return read_picture(picture, picture_bytes, "", ret, err);
}

static int read_tfrecord(const struct hostile_file *file, struct hostile_outcome *ret,
                         struct err *err)
{
    struct input in;
    struct offsets index = {0};
    input_memory(&in, file->data.data, file->data.size, file->name);
    struct input_window window = {.in = &in};
    int r = tfrecord_index(&index, &in, err);
    ret->records = index.n == 0 ? 0 : (int64_t)index.n - 1;
    for (size_t i = 0; r == 0 && i + 1 < index.n; i++) {
        const unsigned char *data = NULL;
        size_t size = 0;
        r = tfrecord_read(&index, &window, i, &data, &size, err);
        if (r == 0 && (r = read_example(data, size, ret, err)) < 0) {
            char text[400];
            (void)snprintf(text, sizeof text, "%.399s", err->text);
            (void)input_fail(&in, index.at[i], r, err, "record %zu: %s", i, text);
        }
    }
    input_window_fini(&window);
    offsets_fini(&index);
    return r;
}

/* What the runner must find out, by the first letter of the file: for its own test alone. */
static int read_control(const struct hostile_file *file, struct hostile_outcome *ret,
                        struct err *err)
{
    volatile bool is_waiting = true;
    switch (file->data.data[0]) {
    case 'c': abort();
    case 'h':
        while (is_waiting) {
        }
        return 0;
    case 'm': {
        const size_t bytes = 256 << 20;
        char *memory = malloc(bytes);
        memset(memory, file->data.data[0], bytes);
        add(ret, memory, bytes);
        free(memory);
        return 0;
    }
    case 'r': return err_set(err, ERR_CORRUPT, "refused");
    case 'o': return file->data.size > 1 ? 0 : err_set(err, ERR_IO, "the machine's fault");
    default: return 0;
    }
}

const struct hostile_format hostile_formats[] = {
    {"jpeg", read_image},      {"png", read_image}, {"tar", read_tar}, {"csv", read_csv},
    {"npy", read_npy},         {"npz", read_npz},   {"idx", read_idx}, {"tfrecord", read_tfrecord},
    {"control", read_control}, {NULL, NULL},
};
