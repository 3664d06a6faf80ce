/* preprocess FOLDER SECONDS WORK - samples a CPU-second of one op into the rows of a batch, on the
 * files that bench/preprocess.py made, as one JSON object; for works of numbers the bytes a second
 * too, beside memcpy's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/file.h"
#include "pipeline/apply.h"

enum { BATCH = 1024, FILE_MAX = 1 << 30 };
#define BATCH_BYTES ((size_t)256 << 20)

static const struct work {
    const char *name, *file, *op;
    bool learns;
} works[] = {
    {"text_int", "texts.txt",
     "{\"TextVectorization\": {\"max_tokens\": 20000, \"output_sequence_length\": 64}}", true},
    {"text_tf_idf", "texts.txt",
     "{\"TextVectorization\": {\"max_tokens\": 1000, \"output_mode\": \"tf_idf\"}}", true},
    {"string_lookup", "words.txt", "{\"StringLookup\": {\"max_tokens\": 20000}}", true},
    {"hashing", "words.txt", "{\"Hashing\": {\"num_bins\": 1000}}", false},
    {"hashing_salt", "words.txt", "{\"Hashing\": {\"num_bins\": 1000, \"salt\": 1337}}", false},
    {"discretization", "floats.npy", "{\"Discretization\": {\"num_bins\": 10}}", true},
    {"rescaling", "pictures.npy", "{\"Rescaling\": {\"scale\": 0.5, \"offset\": 1}}", false},
    {"normalization", "pictures.npy",
     "{\"Normalization\": {\"mean\": [0.4, 0.5, 0.6], \"variance\": [0.1, 0.2, 0.3]}}", false},
    {"resizing", "photos.npy",
     "{\"Resizing\": {\"height\": 224, \"width\": 224, \"antialias\": true}}", false},
};

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec * 1e-6;
}

static void fail(const struct err *err)
{
    (void)fprintf(stderr, "preprocess: %s: %s\n", err->path, err->text);
    exit(1);
}

static size_t bytes_of(const struct tensor *t)
{
    size_t bytes = 0;
    (void)shape_bytes(&t->shape, t->dtype, &bytes);
    return bytes;
}

/* A row of the batch for each sample, around the batch again and again. */
static void run(const struct op *op, const struct apply_rows *rows, double seconds,
                const char *name)
{
    struct op_scratch scratch = {0};
    struct err err = {0};
    const struct tensor *first = &rows->fields[0][0];
    size_t row_bytes = 0, moved = 0;
    if (op_room(op, first, &row_bytes, &err) < 0) {
        fail(&err);
    }
    const int64_t fit = (int64_t)(BATCH_BYTES / (row_bytes + 1)), n = fit < BATCH ? fit : BATCH;
    unsigned char *batch = malloc((size_t)n * row_bytes + 1);
    const double begin = cpu_seconds();
    double spent = 0;
    int64_t done = 0;
    struct tensor out = {.data = batch};
    for (int64_t at = 0; spent < seconds; spent = cpu_seconds() - begin) {
        for (int64_t i = 0; i < n; i++, done++) {
            const struct op_key key = {.position = (uint64_t)done};
            out.data = batch + (size_t)i * row_bytes;
            if (op_run(op, &key, &rows->fields[0][at], &out, &scratch, &err) < 0) {
                fail(&err);
            }
            at = at + 1 < rows->n ? at + 1 : 0;
        }
    }
    moved = (size_t)done * (bytes_of(first) + bytes_of(&out));
    printf("{\"work\": \"%s\", \"rate\": %.1f, \"bytes\": %.1f}\n", name, (double)done / spent,
           (double)moved / spent);
    free(batch);
    op_scratch_fini(&scratch);
}

/* The same rows copied. */
static void run_copy(const struct apply_rows *rows, double seconds)
{
    const size_t bytes = bytes_of(&rows->fields[0][0]);
    const int64_t fit = (int64_t)(BATCH_BYTES / (bytes + 1)), n = fit < BATCH ? fit : BATCH;
    unsigned char *batch = malloc((size_t)n * bytes + 1);
    const double begin = cpu_seconds();
    double spent = 0;
    int64_t done = 0;
    for (; spent < seconds; spent = cpu_seconds() - begin) {
        for (int64_t i = 0; i < n; i++, done++) {
            memcpy(batch + (size_t)i * bytes, rows->fields[0][done % rows->n].data, bytes);
        }
    }
    printf("{\"work\": \"copy\", \"rate\": %.1f, \"bytes\": %.1f}\n", (double)done / spent,
           2 * (double)done * (double)bytes / spent);
    free(batch);
}

int main(int argc, char **argv)
{
    struct arena arena;
    struct apply apply;
    struct apply_rows rows;
    struct buf data = {0};
    struct doc *doc = NULL;
    struct err err = {0};
    size_t w = 0;
    if (argc != 4) {
        return 2;
    }
    while (w < sizeof works / sizeof works[0] && strcmp(works[w].name, argv[3]) != 0) {
        w++;
    }
    const bool is_copy = strcmp(argv[3], "copy") == 0;
    if (w == sizeof works / sizeof works[0] && !is_copy) {
        return 2;
    }
    const struct work *work = is_copy ? NULL : &works[w];
    const char *file = is_copy ? "pictures.npy" : work->file;
    char path[4096];
    arena_init(&arena);
    (void)snprintf(path, sizeof path, "%s/%s", argv[1], file);
    if (file_read(AT_FDCWD, path, FILE_MAX, &data, &err) < 0 ||
        apply_read(data.data, data.size, file, false, &arena, &rows, &err) < 0) {
        fail(&err);
    }
    if (is_copy) {
        run_copy(&rows, atof(argv[2]));
    } else {
        if (doc_read_json(work->op, strlen(work->op), NULL, &arena, &doc, &err) < 0 ||
            apply_compile(doc, NULL, &arena, &apply, &err) < 0 ||
            (work->learns && apply_learn(&apply, &rows, &arena, &err) < 0)) {
            fail(&err);
        }
        run(&apply.ops[0], &rows, atof(argv[2]), work->name);
    }
    buf_fini(&data);
    arena_fini(&arena);
    return 0;
}
