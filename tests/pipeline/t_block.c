/* Rows that are made many at once beside the same rows made one by one: the same bytes. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pipeline/pipeline_impl.h"
#include "tests/pipeline/fixture.h"

enum { N = 700, MANY = 70000 }; /* MANY is more than a table of orders holds */

static struct fixture f;

static void add_npy(const char *dataset, const char *path, const char *type, const char *shape,
                    const void *data, size_t size)
{
    char header[128];
    struct buf file = {0};
    const int n = snprintf(header, sizeof header,
                           "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", type, shape);
    const unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)n, 0};
    buf_put(&file, head, sizeof head);
    buf_put(&file, header, (size_t)n);
    buf_put(&file, data, size);
    fixture_add(&f, dataset, path, file.data, file.size);
    buf_fini(&file);
}

/* Arrays of numbers of one type, rows of (3, 2, 3), (5) and single ones. */
static void add_arrays(const char *dataset, const char *type, size_t each)
{
    static unsigned char bytes[N * 18 * 8];
    struct rng rng;
    rng_init(&rng, 3, each, 5, 6);
    for (size_t i = 0; i < sizeof bytes;
         i++) { /* small numbers whatever they are: no top bits of floats and int64 */
        bytes[i] = i % each == each - 1 && each > 1 ? 0x3f : (unsigned char)rng_u32(&rng);
    }
    add_npy(dataset, "a.npy", type, "(700, 3, 2, 3)", bytes, N * 18 * each);
    add_npy(dataset, "b.npy", type, "(700, 5)", bytes + 8, N * 5 * each);
    add_npy(dataset, "c.npy", type, "(700,)", bytes + 16, N * each);
}

static void add_many(void)
{
    static int32_t numbers[MANY];
    for (int i = 0; i < MANY; i++) {
        numbers[i] = i;
    }
    add_npy("many", "x.npy", "<i4", "(70000,)", numbers, sizeof numbers);
}

static void setup(void)
{
    static float numbers[N * 2];
    static uint8_t labels[N], pixels[64 * 3073];
    fixture_init(&f);
    add_arrays("u8", "|u1", 1);
    add_arrays("f4", "<f4", 4);
    add_arrays("f8", "<f8", 8);
    add_arrays("swapped", ">i2", 2);
    add_many();
    for (int i = 0; i < N; i++) {
        numbers[2 * i] = (float)i;
        labels[i] = (uint8_t)(i % 7);
    }
    numbers[2 * 411 + 1] = NAN;
    add_npy("bad", "x.npy", "<f4", "(700, 2)", numbers, sizeof numbers);
    add_npy("bad", "y.npy", "|u1", "(700,)", labels, sizeof labels);
    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = i % 3073 == 0 ? (uint8_t)(i % 10) : (uint8_t)(i * 2654435761u >> 13);
    }
    fixture_add(&f, "cifar", "data_batch_1.bin", pixels, 40 * 3073);
    fixture_add(&f, "cifar", "data_batch_2.bin", pixels + 40 * 3073, 24 * 3073);
    fixture_add_idx(&f, "idx", "train", 500, 4, 5);
}

static void teardown(void)
{
    fixture_fini(&f);
}

#define JOB(dataset, fields, stages)                              \
    "{\"data\": {\"train\": {\"dataset\": \"" dataset "\"" fields \
    "}}, \"fit\": {\"epochs\": 3, \"seed\": 5},"                  \
    " \"pipeline\": [" stages "]}"
#define ARRAYS \
    ", \"source\": {\"arrays\": {\"fields\": {\"a\": \"a\", \"b\": \"b\", \"c\": \"c\"}}}"
#define TYPED                                                                                     \
    ", \"source\": {\"arrays\": {\"fields\": {\"a\": {\"from\": \"a\", \"dtype\": \"float32\"}, " \
    "\"c\": {\"from\": \"c\", "                                                                   \
    "\"dtype\": \"int64\"}}}}"
#define RESCALE "{\"Rescaling\": {\"scale\": 0.0037, \"offset\": -0.3}}"
#define NORMAL  "{\"Normalization\": {\"mean\": [1.5, 2.5, 3.5], \"variance\": [2, 3, 4]}}"

static const struct job {
    const char *text;
    bool is_block;
} jobs[] = {
    {JOB("u8", ARRAYS, "{\"batch\": 64}"), true},
    {JOB("u8", ARRAYS, "\"shuffle\", {\"batch\": 64}"), true},
    {JOB("u8", ARRAYS, "\"shuffle\", \"repeat\", {\"batch\": 300}, {\"take\": 5}"), true},
    {JOB("u8", ARRAYS,
         "\"shuffle\", {\"batch\": {\"batch_size\": 64, \"drop_remainder\": true}}, \"shuffle\""),
     true},
    {JOB("u8", ARRAYS,
         "{\"shard\": {\"num_shards\": 3, \"index\": 1}}, \"shuffle\", {\"batch\": 50}"),
     true},
    {JOB("u8", ARRAYS, "{\"map\": [" RESCALE "]}, \"shuffle\", {\"batch\": 64}"), true},
    {JOB("u8", ARRAYS,
         "{\"map\": {\"ops\": [" RESCALE "], \"fields\": [\"a\", \"b\", \"c\"]}}, {\"batch\": 64}"),
     true},
    {JOB("u8", ARRAYS, "{\"map\": [" RESCALE ", " NORMAL "]}, \"shuffle\", {\"batch\": 64}"), true},
    {JOB("u8", ARRAYS,
         "{\"map\": {\"ops\": [" RESCALE ", " NORMAL "], \"exact\": true}}, {\"batch\": 64}"),
     true},
    {JOB("u8", ARRAYS, "{\"map\": [\"RandomFlip\", " RESCALE "]}, {\"batch\": 64}"), false},
    {JOB("u8", ARRAYS, "{\"window\": 2}, {\"batch\": 30}"), false},
    {JOB("f4", ARRAYS, "{\"map\": [" NORMAL "]}, \"shuffle\", {\"batch\": 64}"), true},
    {JOB("f8", ARRAYS, "\"shuffle\", {\"batch\": 64}"), true},
    {JOB("swapped", ARRAYS, "\"shuffle\", {\"batch\": 64}"), true},
    {JOB("swapped", TYPED, "{\"map\": [" RESCALE "]}, \"shuffle\", {\"batch\": 64}"), true},
    {JOB("many", "", "\"shuffle\", {\"batch\": 10000}"), true},
    {JOB("many", "", "\"shuffle\", \"repeat\", {\"batch\": 30000}, {\"take\": 4}"), true},
    {JOB("idx", "", "{\"map\": [" RESCALE "]}, \"shuffle\", {\"batch\": 128}"), true},
    {JOB("cifar", "", "{\"map\": [" NORMAL "]}, \"shuffle\", {\"batch\": 20}"), true},
};
enum { N_JOBS = sizeof jobs / sizeof jobs[0] };

static void compile(const char *job)
{
    const int r = fixture_compile(&f, job);
    ck_assert_msg(r == 0, "%s: %s: %s", job, f.err.path, f.err.text);
}

/* Chunks of one row are made one by one; others in blocks, and in blocks that end elsewhere. */
static void compare(int64_t epoch, int64_t step)
{
    static const int64_t sizes[] = {1 << 20, 7, 33};
    const struct slab_layout *layout = &f.layout[PIPELINE_TRAIN];
    unsigned char *slow = NULL, *fast = NULL;
    struct opt_groups bad;
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, epoch, step, 1, &slow, &bad), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, epoch, step, sizes[i], &fast, &bad), 0);
        for (int k = 0; k < layout->n_fields; k++) {
            const struct slab_field *field = &layout->fields[k];
            const size_t bytes =
                field->row_bytes * (size_t)pipeline_rows(f.pipeline, PIPELINE_TRAIN, step);
            ck_assert_msg(memcmp(slow + field->offset, fast + field->offset, bytes) == 0,
                          "field %s of step %d differs in chunks of %d", field->name, (int)step,
                          (int)sizes[i]);
        }
    }
}

START_TEST(test_same_bytes)
{
    const struct job *job = &jobs[_i];
    compile(job->text);
    ck_assert_int_eq(f.pipeline->streams[PIPELINE_TRAIN].block_rows > 1, job->is_block);
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        for (int64_t step = 0; step < pipeline_steps(f.pipeline, PIPELINE_TRAIN); step++) {
            compare(epoch, step);
        }
    }
}
END_TEST

/* Row 411 is not finite: found in a block, then named as when it is made alone. */
#define BAD(how)                                                          \
    "{\"data\": {\"train\": {\"dataset\": \"bad\"}, \"on_error\": \"" how \
    "\"}, \"pipeline\": [{\"batch\": 256}]}"

START_TEST(test_bad_row)
{
    unsigned char *slab = NULL;
    struct opt_groups bad;
    compile(BAD("skip"));
    ck_assert_int_gt(f.pipeline->streams[PIPELINE_TRAIN].block_rows, 1);
    compare(0, 0);
    compare(0, 1);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 1, 256, &slab, &bad), 0);
    const struct msg_chunk_bad *row = bad.v;
    ck_assert_uint_eq(bad.n, 1);
    ck_assert_int_eq(row->row, 411 - 256);
    ck_assert_int_eq(row->sample, 411);
    ck_assert_ptr_nonnull(strstr(row->reason, "row 411 is not finite"));
    const unsigned char *ok = slab + fixture_field(&f, PIPELINE_TRAIN, "__ok")->offset;
    for (int i = 0; i < 256; i++) {
        ck_assert_int_eq(ok[i], i != 411 - 256);
    }
    compile(BAD("fail"));
    ck_assert_int_lt(fixture_batch(&f, PIPELINE_TRAIN, 0, 1, 256, &slab, &bad), 0);
    ck_assert_ptr_nonnull(strstr(f.err.text, "row 411 is not finite"));
}
END_TEST

/* What was convicted is left out of a block too. */
START_TEST(test_convicted)
{
    int64_t sample = 13, row = 20;
    unsigned char *slab;
    struct opt_groups bad;
    struct slab_in_flight in_flight = {.row = 7};
    struct pipeline_progress progress = {.in_flight = &in_flight};
    compile(BAD("skip"));
    const struct slab_layout *layout = &f.layout[PIPELINE_TRAIN];
    slab = arena_alloc(&f.arena, layout->slab_bytes);
    struct msg_chunk_make make = {.end = 100, .skip_samples = {&sample, 1}};
    ck_assert_int_eq(
        pipeline_run(f.pipeline, &make, layout, slab, &progress, &f.arena, &bad, &f.err), 0);
    ck_assert_uint_eq(bad.n, 1);
    ck_assert_int_eq(((const struct msg_chunk_bad *)bad.v)->sample, 13);
    make = (struct msg_chunk_make){.end = 100, .skip = {&row, 1}};
    ck_assert_int_eq(
        pipeline_run(f.pipeline, &make, layout, slab, &progress, &f.arena, &bad, &f.err), 0);
    ck_assert_uint_eq(bad.n, 1);
    ck_assert_int_eq(((const struct msg_chunk_bad *)bad.v)->row, 20);
    ck_assert_int_eq(in_flight.row, -1);
    ck_assert_uint_eq(in_flight.samples, 200);
}
END_TEST

/* A page of the file that cannot be read ends the worker on the very row. */
static void read_beyond(void *arg)
{
    struct slab_in_flight *in_flight = arg;
    struct pipeline_progress progress = {.in_flight = in_flight};
    struct opt_groups bad;
    char path[TEST_PATH];
    (void)signal(SIGBUS, SIG_DFL); /* sanitizers take it */
    const struct doc *files = doc_get(f.manifests[0].files, "files");
    const char *id = doc_str(&files->items[0], "id", "");
    test_path(path, "%s/%.2s/%s", f.dir, id, id);
    if (truncate(path, 4096) == 0) {
        const struct msg_chunk_make make = {.end = N};
        const struct slab_layout *layout = &f.layout[PIPELINE_TRAIN];
        unsigned char *slab = arena_alloc(&f.arena, layout->slab_bytes);
        (void)pipeline_run(f.pipeline, &make, layout, slab, &progress, &f.arena, &bad, &f.err);
    }
}

START_TEST(test_death_names_its_row)
{
    struct slab_in_flight *in_flight =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(in_flight != MAP_FAILED);
    compile(JOB("u8", ARRAYS, "{\"batch\": 700}"));
    ck_assert_int_eq(test_in_child(read_beyond, in_flight), -SIGBUS);
    /* 18 bytes a row behind a header: the first one that reaches into the second page. */
    const int64_t header =
        10 +
        (int64_t)strlen("{'descr': '|u1', 'fortran_order': False, 'shape': (700, 3, 2, 3), }\n");
    ck_assert_int_eq(in_flight->row, (4096 - header) / 18);
    munmap(in_flight, 4096);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("block");
    TCase *c = tcase_create("block");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_same_bytes, 0, N_JOBS);
    tcase_add_test(c, test_bad_row);
    tcase_add_test(c, test_convicted);
    tcase_add_test(c, test_death_names_its_row);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
