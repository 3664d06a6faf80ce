/* pipeline [SECONDS [NAME...]] - images per CPU-second of the pipelines of
 * shared/notes/performance.md, one JSON object a line. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/pipeline/fixture.h"

#define KAUG                                                                     \
    "\"RandomFlip\", {\"RandomRotation\": {\"factor\": 0.1}}, {\"RandomZoom\": " \
    "{\"height_factor\": 0.1}}"
#define RRC(size)         "{\"RandomResizedCrop\": {\"size\": " size "}}"
#define STAGES(ops)       ", \"pipeline\": [{\"shuffle\": 1}, {\"map\": [" ops "]}, {\"batch\": 64}]}"
#define JOB(dataset, ops) "{\"data\": {\"train\": {\"dataset\": \"" dataset "\"}}" STAGES(ops)

static const struct work {
    const char *name, *job;
} works[] = {
    {"mnist_rescale", JOB("m28", "{\"Rescaling\": {\"scale\": 0.004}}")},
    {"aug32", JOB("m32", "{\"RandomRotation\": {\"factor\": 0.1}}, {\"RandomZoom\": "
                         "{\"height_factor\": 0.1}}, \"RandomFlip\"")},
    {"aug32_rescale", JOB("m32", "{\"Rescaling\": {\"scale\": 0.004}}, " KAUG)},
    {"flip32",
     JOB("m32",
         "{\"RandomFlip\": {\"mode\": \"horizontal\"}}, {\"Rescaling\": {\"scale\": 0.004}}")},
    {"aug224", JOB("m224", KAUG)},
    {"decode", JOB("jpegs", "{\"CenterCrop\": {\"height\": 224, \"width\": 224}}")},
    {"decode_resize_224",
     JOB("jpegs",
         "{\"Resizing\": {\"height\": 224, \"width\": 224}}, {\"Rescaling\": {\"scale\": 0.004}}")},
    {"decode_val", JOB("jpegs", "{\"Resizing\": {\"height\": 256, \"width\": 256, "
                                "\"crop_to_aspect_ratio\": true, \"antialias\": true}}, "
                                "{\"CenterCrop\": {\"height\": 224, \"width\": 224}}, "
                                "{\"Rescaling\": {\"scale\": 0.004}}")},
    {"decode_rrc_64",
     JOB("jpegs", RRC("64") ", {\"RandomFlip\": {\"mode\": \"horizontal\"}}, "
                            "{\"Rescaling\": {\"scale\": 0.008, \"offset\": -1}}")},
    {"decode_rrc_224",
     JOB("jpegs", RRC("224") ", {\"RandomFlip\": {\"mode\": \"horizontal\"}}, "
                             "{\"Rescaling\": {\"scale\": 0.008, \"offset\": -1}}")},
    {"decode_kaug", JOB("jpegs", "{\"Resizing\": {\"height\": 224, \"width\": 224}}, " KAUG
                                 ", {\"Rescaling\": {\"scale\": 0.004}}")},
};

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec * 1e-6;
}

/* n pictures of side x side x 3 as an IDX pair. */
static void add_colour(struct fixture *f, const char *dataset, int n, int side)
{
    const size_t bytes = (size_t)n * (size_t)(side * side * 3);
    unsigned char *images = malloc(20 + bytes), *labels = calloc(1, 8 + (size_t)n);
    if (images == NULL || labels == NULL) {
        exit(1);
    }
    const int header[] = {n, side, side, 3};
    memcpy(images, "\0\0\x08\4", 4);
    memcpy(labels, "\0\0\x08\1", 4);
    for (int i = 0; i < 16; i++) {
        images[4 + i] = (unsigned char)(header[i / 4] >> (24 - 8 * (i % 4)));
        labels[4 + i % 4] = (unsigned char)(n >> (24 - 8 * (i % 4)));
    }
    for (size_t i = 0; i < bytes; i++) {
        images[20 + i] = (unsigned char)(i * 2654435761u >> 13);
    }
    fixture_add(f, dataset, "train-images-idx4-ubyte", images, 20 + bytes);
    fixture_add(f, dataset, "train-labels-idx1-ubyte", labels, 8 + (size_t)n);
    free(images);
    free(labels);
}

static void run(struct fixture *f, const struct work *work, double seconds)
{
    if (fixture_compile(f, work->job) < 0) {
        (void)fprintf(stderr, "%s: %s: %s\n", work->name, f->err.path, f->err.text);
        exit(1);
    }
    struct arena arena;
    arena_init(&arena);
    unsigned char *slab = arena_alloc(&f->arena, f->layout[0].slab_bytes);
    double best = 0;
    for (int round = 0; round < 3; round++) {
        const double begin = cpu_seconds();
        double now = begin;
        int64_t n = 0;
        for (int64_t step = 0; now - begin < seconds / 3; step++, now = cpu_seconds()) {
            const int64_t steps = pipeline_steps(f->pipeline, PIPELINE_TRAIN);
            const struct msg_chunk_make make = {
                .epoch = step / steps,
                .step = step % steps,
                .end = pipeline_rows(f->pipeline, PIPELINE_TRAIN, step % steps)};
            struct opt_groups bad;
            if (pipeline_run(f->pipeline, &make, &f->layout[0], slab, NULL, &arena, &bad, &f->err) <
                0) {
                (void)fprintf(stderr, "%s: %s: %s\n", work->name, f->err.path, f->err.text);
                exit(1);
            }
            n += make.end;
            arena_reset(&arena);
        }
        best = (double)n / (now - begin) > best ? (double)n / (now - begin) : best;
    }
    struct doc *times = doc_new(&arena);
    struct buf text = {0};
    pipeline_stage_times(f->pipeline, times, &arena);
    doc_write_json(times, 0, &text);
    printf("{\"bench\": \"pipeline\", \"row\": \"%s\", \"unit\": \"images per CPU-second\", "
           "\"ours\": %.0f, \"us\": %s}\n",
           work->name, best, text.data);
    (void)fflush(stdout);
    buf_fini(&text);
    arena_fini(&arena);
}

static struct {
    int argc;
    char **argv;
    double seconds;
} given = {.seconds = 3};

/* Fixtures only work inside a test. */
START_TEST(bench_all)
{
    struct fixture f;
    char path[TEST_PATH];
    fixture_init(&f);
    fixture_add_idx(&f, "m28", "train", 2000, 28, 28);
    add_colour(&f, "m32", 10000, 32);
    add_colour(&f, "m224", 200, 224);
    if (test_shared() != NULL) {
        test_path(path, "%s/data/bench_jpegs", test_shared());
        fixture_add_folder(&f, "jpegs", path);
    }
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        bool is_wanted = given.argc <= 2;
        for (int k = 2; k < given.argc; k++) {
            is_wanted = is_wanted || strcmp(given.argv[k], works[i].name) == 0;
        }
        if (is_wanted && (strncmp(works[i].name, "decode", 6) != 0 || test_shared() != NULL)) {
            run(&f, &works[i], given.seconds);
        }
    }
    fixture_fini(&f);
}
END_TEST

int main(int argc, char **argv)
{
    given.argc = argc;
    given.argv = argv;
    if (argc > 1 && !doc_parse_float(argv[1], &given.seconds)) {
        return 2;
    }
    Suite *suite = suite_create("bench");
    TCase *c = tcase_create("bench");
    tcase_add_test(c, bench_all);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    const int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed > 0;
}
