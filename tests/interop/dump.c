/* dump FORMAT FILE [NAME] - what a reader of millrace finds in a file, in a form that a script
 * compares: a line of text, then bytes, or lines alone. On an error its code's word and text, and
 * exit status 1. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/format/audio.h"
#include "pipeline/format/avi.h"
#include "pipeline/format/cifar.h"
#include "pipeline/format/coco.h"
#include "pipeline/format/csv.h"
#include "pipeline/format/example.h"
#include "pipeline/format/hdf5.h"
#include "pipeline/format/jsonl.h"
#include "pipeline/format/npz.h"
#include "pipeline/format/tar.h"
#include "pipeline/format/tfrecord.h"
#include "pipeline/format/unpack.h"
#include "pipeline/format/voc.h"
#include "pipeline/format/yolo.h"
#include "pipeline/image/decode.h"

enum { BYTES_MAX = 1 << 28, EXIT_USAGE = 2 };

static void put(const void *data, size_t n)
{
    (void)fwrite(data, 1, n, stdout);
}

static void put_hex(const void *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)printf("%02x", ((const unsigned char *)data)[i]);
    }
}

static void put_shape(enum dtype dtype, const struct shape *shape)
{
    (void)printf("%s", dtype_name(dtype));
    for (int i = 0; i < shape->rank; i++) {
        (void)printf(" %lld", (long long)shape->d[i]);
    }
    (void)printf("\n");
}

static int dump_image(const struct input *in, const char *channels, struct err *err)
{
    struct decode *decode = decode_create();
    struct buf file = {0};
    struct decode_image image;
    int r = unpack_to_buf(in, UNPACK_NONE, BYTES_MAX, &file, err);
    r = r < 0 ? r : decode_run(decode, file.data, file.size, channels[0] - '0', &image, err);
    if (r == 0) {
        (void)printf("%lld %lld %lld\n", (long long)image.height, (long long)image.width,
                     (long long)image.channels);
        put(image.data, (size_t)(image.height * image.width * image.channels));
    }
    buf_fini(&file);
    decode_destroy(decode);
    return r;
}

static int put_array(const struct npy *npy, struct err *err)
{
    size_t bytes = 0;
    (void)shape_bytes(&npy->shape, npy->dtype, &bytes);
    void *numbers = calloc(1, bytes + 1);
    int r = npy_read(npy, 0, npy->n_rows, true, numbers, err);
    if (r == 0) {
        put_shape(npy->dtype, &npy->shape);
        put(numbers, bytes);
    }
    free(numbers);
    return r;
}

static int dump_npy(const struct input *in, const char *name, struct err *err)
{
    struct npy npy;
    (void)name;
    int r = npy_open(&npy, in, err);
    return r < 0 ? r : put_array(&npy, err);
}

static int dump_npz(const struct input *in, const char *name, struct err *err)
{
    struct npz npz = {.n = 0};
    int r = npz_open(&npz, in, BYTES_MAX, err);
    if (r == 0) {
        const struct npy *npy = npz_find(&npz, name);
        r = npy != NULL ? put_array(npy, err) : err_set(err, ERR_NOT_FOUND, "no array '%s'", name);
    }
    npz_close(&npz);
    return r;
}

static int dump_hdf5(const struct input *in, const char *name, struct err *err)
{
    struct hdf5 *hdf5 = NULL;
    struct hdf5_info info;
    int r = hdf5_open(in, name, &hdf5, &info, err);
    if (r == 0) {
        const size_t row = (size_t)info.row * dtype_bytes(info.dtype);
        unsigned char *numbers = calloc(1, row * (size_t)info.n_rows + 1);
        for (int64_t i = 0; r == 0 && i < info.n_rows; i++) { /* a row at a time */
            r = hdf5_read(hdf5, i, 1, true, numbers + (size_t)i * row, err);
        }
        if (r == 0) {
            put_shape(info.dtype, &info.shape);
            put(numbers, row * (size_t)info.n_rows);
        }
        free(numbers);
    }
    hdf5_close(hdf5);
    return r;
}

static void put_value(const struct csv_column *column, const struct csv_value *value)
{
    if (value->is_missing) {
        (void)printf("M");
    } else if (column->type == CSV_INT) {
        (void)printf("I%lld", (long long)value->i);
    } else if (column->type == CSV_FLOAT) {
        (void)printf("F%a", value->f);
    } else {
        (void)printf("T");
        put_hex(value->text, value->n);
    }
}

static int dump_csv(const struct input *in, const char *name, struct err *err)
{
    const struct csv_options options = {.has_header = true,
                                        .takes_missing = true,
                                        .delimiter = strcmp(name, "tab") == 0 ? '\t' : ','};
    struct csv *csv = NULL;
    size_t n = 0;
    int r = csv_open(in, &options, &csv, err);
    const struct csv_column *columns = r < 0 ? NULL : csv_columns(csv, &n);
    for (size_t i = 0; r == 0 && i < csv_rows(csv); i++) {
        const struct csv_value *values = NULL;
        r = csv_row(csv, i, &values, err);
        for (size_t c = 0; r == 0 && c < n; c++) {
            put_value(&columns[c], &values[c]);
            (void)printf(c + 1 < n ? " " : "\n");
        }
    }
    csv_close(csv);
    return r;
}

static int dump_lines(const struct input *in, const char *name, struct err *err)
{
    struct lines lines = {0};
    (void)name;
    int r = lines_open(&lines, in, false, err);
    for (size_t i = 0; r == 0 && i < lines_n(&lines); i++) {
        const char *text = NULL;
        size_t n = 0;
        r = lines_read(&lines, i, &text, &n, err);
        put_hex(text, r < 0 ? 0 : n);
        (void)printf("\n");
    }
    lines_close(&lines);
    return r;
}

static int dump_jsonl(const struct input *in, const char *name, struct err *err)
{
    struct lines lines = {0};
    struct arena arena;
    struct buf out = {0};
    (void)name;
    arena_init(&arena);
    int r = jsonl_open(&lines, in, err);
    for (size_t i = 0; r == 0 && i < lines_n(&lines); i++) {
        const struct doc *doc = NULL;
        r = jsonl_read(&lines, i, &arena, &doc, err);
        if (r == 0) {
            buf_clear(&out);
            doc_write_json(doc, 0, &out);
            (void)printf("%s\n", out.data);
        }
        arena_reset(&arena);
    }
    buf_fini(&out);
    arena_fini(&arena);
    lines_close(&lines);
    return r;
}

static int put_feature(const struct example_feature *f, struct err *err)
{
    int r = 0;
    void *values = calloc((size_t)f->n + 1, 8);
    (void)printf(" %.*s:%d", (int)f->n_name, f->name, (int)f->kind);
    if (f->kind == EXAMPLE_INTS) {
        example_ints(f, values);
    } else if (f->kind == EXAMPLE_FLOATS) {
        r = example_floats(f, true, values, err);
    }
    for (int64_t i = 0; r == 0 && i < f->n; i++) {
        const unsigned char *text = NULL;
        size_t n = 0;
        (void)printf(",");
        if (f->kind == EXAMPLE_BYTES) {
            example_bytes(f, i, &text, &n);
            put_hex(text, n);
        } else if (f->kind == EXAMPLE_INTS) {
            (void)printf("%lld", (long long)((const int64_t *)values)[i]);
        } else {
            put_hex((const float *)values + i, 4);
        }
    }
    free(values);
    return r;
}

static int dump_tfrecord(const struct input *in, const char *name, struct err *err)
{
    enum { FEATURES_MAX = 64 };
    struct example_feature features[FEATURES_MAX];
    struct offsets index = {0};
    struct input_window window = {.in = in};
    (void)name;
    int r = tfrecord_index(&index, in, err);
    for (size_t i = 0; r == 0 && i + 1 < index.n; i++) {
        const unsigned char *data = NULL;
        size_t size = 0, n = 0;
        r = tfrecord_read(&index, &window, i, &data, &size, err);
        r = r < 0 ? r : example_read(data, size, features, FEATURES_MAX, &n, err);
        for (size_t k = 0; r == 0 && k < n; k++) {
            r = put_feature(&features[k], err);
        }
        (void)printf("\n");
    }
    input_window_fini(&window);
    offsets_fini(&index);
    return r;
}

static int dump_tar(const struct input *in, const char *name, struct err *err)
{
    struct tar_index index = {0};
    (void)name;
    int r = tar_index_build(&index, in, err);
    for (size_t i = 0; r == 0 && i < index.n; i++) {
        (void)printf("%s\t%lld\t%lld\n", tar_name(&index, i), (long long)index.members[i].offset,
                     (long long)index.members[i].size);
    }
    tar_index_fini(&index);
    return r;
}

static int dump_audio(const struct input *in, const char *name, struct err *err)
{
    struct audio *audio = NULL;
    struct audio_info info;
    (void)name;
    int r = audio_open(in, &audio, &info, err);
    if (r == 0) {
        const size_t n = (size_t)info.frames * (size_t)info.channels;
        float *samples = calloc(n + 1, sizeof *samples);
        r = audio_read(audio, 0, info.frames, samples, err);
        if (r == 0) {
            (void)printf("%d %d %lld\n", info.rate, info.channels, (long long)info.frames);
            put(samples, n * sizeof *samples);
        }
        free(samples);
    }
    audio_close(audio);
    return r;
}

static int dump_avi(const struct input *in, const char *name, struct err *err)
{
    struct avi avi = {0};
    (void)name;
    int r = avi_open(&avi, in, err);
    for (size_t i = 0; r == 0 && i < avi.begins.n; i++) {
        if (i == 0) {
            (void)printf("%lld %lld %u %u\n", (long long)avi.width, (long long)avi.height, avi.rate,
                         avi.scale);
        }
        (void)printf("%lld %lld\n", (long long)avi.begins.at[i], (long long)avi.sizes.at[i]);
    }
    avi_close(&avi);
    return r;
}

static int dump_cifar(const struct input *in, const char *name, struct err *err)
{
    unsigned char pixels[CIFAR_PIXELS];
    struct cifar cifar;
    int labels[2];
    (void)name;
    int r = cifar_open(&cifar, in, 0, err);
    for (int64_t i = 0; r == 0 && i < cifar.n; i++) {
        r = cifar_read(&cifar, i, pixels, labels, err);
        (void)printf("%d ", labels[cifar.n_labels - 1]);
        put_hex(pixels, sizeof pixels);
        (void)printf("\n");
    }
    return r;
}

static void put_boxes(const struct annotation *a)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct annotation_box *b = &a->boxes[i];
        (void)printf("%s %s %d %.9g %.9g %.9g %.9g\n", a->file != NULL ? a->file : "-",
                     b->name != NULL ? b->name : "-", b->class, (double)b->x1, (double)b->y1,
                     (double)b->x2, (double)b->y2);
    }
}

static int dump_boxes(const struct input *in, const char *name, struct err *err)
{
    struct buf file = {0};
    struct arena arena;
    struct coco coco = {.n = 0};
    struct annotation a = {.n = 0};
    arena_init(&arena);
    int r = unpack_to_buf(in, UNPACK_NONE, BYTES_MAX, &file, err);
    const char *text = file.data != NULL ? file.data : "";
    if (r == 0 && strcmp(name, "coco") == 0) {
        r = coco_read(text, file.size, in->name, &arena, &coco, err);
    } else if (r == 0) {
        r = strcmp(name, "voc") == 0
                ? voc_read(text, file.size, in->name, &arena, &a, err)
                : yolo_read(text, file.size, in->name, 640, 480, &arena, &a, err);
    }
    for (size_t i = 0; r == 0 && i < coco.n; i++) {
        put_boxes(&coco.images[i]);
    }
    if (r == 0) {
        put_boxes(&a);
    }
    buf_fini(&file);
    arena_fini(&arena);
    return r;
}

static int dump_unpacked(const struct input *in, const char *name, struct err *err)
{
    enum unpack_kind kind;
    struct buf out = {0};
    (void)name;
    int r = unpack_kind(in, true, &kind, err);
    r = r < 0 ? r : unpack_to_buf(in, kind, BYTES_MAX, &out, err);
    put(out.data, r < 0 ? 0 : out.size);
    buf_fini(&out);
    return r;
}

static const struct {
    const char *name;
    int (*dump)(const struct input *in, const char *name, struct err *err);
} formats[] = {
    {"audio", dump_audio},       {"avi", dump_avi},         {"boxes", dump_boxes},
    {"cifar", dump_cifar},       {"csv", dump_csv},         {"hdf5", dump_hdf5},
    {"image", dump_image},       {"jsonl", dump_jsonl},     {"lines", dump_lines},
    {"npy", dump_npy},           {"npz", dump_npz},         {"tar", dump_tar},
    {"tfrecord", dump_tfrecord}, {"unpack", dump_unpacked},
};

int main(int argc, char **argv)
{
    struct input in;
    struct err err = {0};
    int r = ERR_UNKNOWN;
    const int fd = argc >= 3 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || input_open(&in, fd, argv[2], &err) < 0) {
        (void)fprintf(stderr, "usage: dump FORMAT FILE [NAME]\n");
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, argv[1]) == 0) {
            r = formats[i].dump(&in, argc > 3 ? argv[3] : "", &err);
        }
    }
    (void)close(fd);
    if (r < 0) {
        (void)fprintf(stderr, "%s: line %d: %s\n", err_find(r)->name, err.line, err.text);
    }
    return r < 0;
}
