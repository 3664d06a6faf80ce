/* cache and snapshot: what they give is what the pipeline gives without them in the epochs that are
 * stored, whoever made it, and nothing is made twice. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "pipeline/kept.h"
#include "pipeline/stream.h"
#include "tests/pipeline/fixture.h"

enum { SAMPLES = 30, STEPS = 5, EPOCHS = 6, WORKERS_MAX = 5 };

static struct fixture f;
static struct kept kept;

static void setup(void)
{
    fixture_init(&f);
    ck_assert_int_eq(mkdirat(f.store.blobs_fd, "kept", 0700), 0);
    kept =
        (struct kept){.fd = openat(f.store.blobs_fd, "kept", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    ck_assert_int_ge(kept.fd, 0);
    f.store.kept = &kept;
    fixture_add_idx(&f, "d", "train", SAMPLES, 8, 8);
}

static void teardown(void)
{
    close(kept.fd);
    fixture_fini(&f);
}

/* ---- jobs ---------------------------------------------------------------------------------------
 */

#define DRAWN "{\"map\": [{\"RandomRotation\": {\"factor\": 0.2}}, {\"RandomFlip\": {}}]}"

/* A job whose pipeline is `stages` and a batch of six. */
static void compile(const char *stages, int seed)
{
    char job[1024];
    (void)snprintf(
        job, sizeof job,
        "{\"name\": \"t\", \"data\": {\"train\": {\"dataset\": \"d\", \"split\": "
        "\"train\"}}, \"pipeline\": [%s%s{\"batch\": 6}], \"fit\": {\"epochs\": 9, \"seed\": "
        "%d}}",
        stages, stages[0] != '\0' ? ", " : "", seed);
    int rc = fixture_compile(&f, job);
    ck_assert_msg(rc == 0, "%s: %s: %s", stages, f.err.path, f.err.text);
}

/* All rows of an epoch, and whose they are. */
static uint64_t epoch_hash(int64_t epoch)
{
    const struct slab_field *x = fixture_field(&f, PIPELINE_TRAIN, "x");
    const struct slab_field *y = fixture_field(&f, PIPELINE_TRAIN, "y");
    const struct slab_field *sample = fixture_field(&f, PIPELINE_TRAIN, "__sample");
    uint64_t hash = 1;
    for (int64_t step = 0; step < pipeline_steps(f.pipeline, PIPELINE_TRAIN); step++) {
        const size_t rows = (size_t)pipeline_rows(f.pipeline, PIPELINE_TRAIN, step);
        unsigned char *slab;
        int rc = fixture_batch(&f, PIPELINE_TRAIN, epoch, step, 4, &slab, NULL);
        ck_assert_msg(rc == 0, "%s: %s", f.err.path, f.err.text);
        hash = hash_fast(slab + x->offset, x->row_bytes * rows, hash);
        hash = hash_fast(slab + y->offset, y->row_bytes * rows, hash);
        hash = hash_fast(slab + sample->offset, sample->row_bytes * rows, hash);
    }
    return hash;
}

/* The epoch that each of the six gives, with the stage behind all that is drawn. */
static const struct {
    const char *stages;
    int64_t epochs[EPOCHS];
} variants[] = {
    {"\"cache\"", {0, 0, 0, 0, 0, 0}},
    {"{\"cache\": \"name\"}", {0, 0, 0, 0, 0, 0}},
    {"\"snapshot\"", {0, 0, 0, 0, 0, 0}},
    {"{\"snapshot\": \"name\"}", {0, 0, 0, 0, 0, 0}},
    {"{\"snapshot\": {\"variants\": 2}}", {0, 1, 0, 1, 0, 1}},
    {"{\"snapshot\": {\"variants\": 4}}", {0, 1, 2, 3, 0, 1}},
    {"{\"snapshot\": {\"variants\": 2}}, {\"cache\": null}", {0, 0, 0, 0, 0, 0}},
};
enum { N_VARIANTS = sizeof variants / sizeof variants[0] };

/* Equal to the bit to the epochs of the pipeline without the stage: stored nowhere, while it is
 * stored, read again, and by a second job. */
START_TEST(test_epochs)
{
    const char *before[] = {DRAWN, "{\"shuffle\": {}}, " DRAWN, "{\"shuffle\": {}}"};
    for (size_t b = 0; b < sizeof before / sizeof before[0]; b++) {
        uint64_t wanted[EPOCHS];
        char stages[512];
        compile(before[b], 7);
        for (int64_t e = 0; e < EPOCHS; e++) {
            wanted[e] = epoch_hash(e);
            ck_assert(e == 0 || wanted[e] != wanted[0]);
        }
        (void)snprintf(stages, sizeof stages, "%s, %s", before[b], variants[_i].stages);
        for (int round = 0; round < 4; round++) {
            f.store.kept = round > 0 ? &kept : NULL;
            compile(stages, 7);
            for (int64_t e = EPOCHS - 1; e >= 0;
                 e--) { /* who makes the last first stores the same */
                ck_assert_msg(epoch_hash(e) == wanted[variants[_i].epochs[e]],
                              "%s, round %d: epoch %lld is another one", stages, round,
                              (long long)e);
            }
        }
    }
}
END_TEST

/* ---- what is made twice -------------------------------------------------------------------------
 */

/* Behind shuffle and repeat elements still come from what stands before them. */
START_TEST(test_order_behind)
{
    int64_t first[SAMPLES], second[SAMPLES];
    compile("{\"shuffle\": {}}, \"cache\"", 7);
    ck_assert_int_eq(fixture_samples(&f, PIPELINE_TRAIN, 0, first, SAMPLES), SAMPLES);
    ck_assert_int_eq(fixture_samples(&f, PIPELINE_TRAIN, 3, second, SAMPLES), SAMPLES);
    ck_assert_mem_eq(first, second, sizeof first);
    compile("\"cache\", {\"shuffle\": {}}", 7);
    ck_assert_int_eq(fixture_samples(&f, PIPELINE_TRAIN, 0, first, SAMPLES), SAMPLES);
    ck_assert_int_eq(fixture_samples(&f, PIPELINE_TRAIN, 3, second, SAMPLES), SAMPLES);
    ck_assert_mem_ne(first, second, sizeof first);
}
END_TEST

/* What is drawn behind the stage is what is drawn without it. */
START_TEST(test_draws_behind)
{
    uint64_t wanted[EPOCHS];
    compile("{\"shuffle\": {\"reshuffle_each_iteration\": false}}, " DRAWN, 7);
    for (int64_t e = 0; e < EPOCHS; e++) {
        wanted[e] = epoch_hash(e);
    }
    compile("{\"shuffle\": {\"reshuffle_each_iteration\": false}}, \"cache\", " DRAWN, 7);
    for (int64_t e = EPOCHS - 1; e >= 0; e--) {
        ck_assert_uint_eq(epoch_hash(e), wanted[e]);
    }
}
END_TEST

/* A folder of pictures of many sizes. */
static void add_pictures(void)
{
    static const char *const names[] = {"Aqua",  "Blinds", "Bridge", "BytheWater",
                                        "Dune",  "Garden", "china",  "flower",
                                        "Storm", "Wine",   "life",   "sunset"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64], shared[64];
        (void)snprintf(path, sizeof path, "%c/%02zu.jpg", i < 6 ? 'a' : 'b', i);
        (void)snprintf(shared, sizeof shared, "data/photos/%s.jpg", names[i]);
        fixture_add_shared(&f, "p", path, shared);
    }
}

/* All but the first, which a source opens to see what its samples are. */
static void remove_pictures(void)
{
    const struct doc *files = doc_get(f.manifests[1].files, "files");
    for (size_t i = 1; i < files->n; i++) {
        char path[TEST_PATH];
        const char *id = doc_str(&files->items[i], "id", "");
        test_path(path, "%.2s/%s", id, id);
        ck_assert_int_eq(unlinkat(f.store.blobs_fd, path, 0), 0);
    }
}

#define PICTURES                                                                                \
    "{\"name\": \"t\", \"data\": {\"train\": {\"dataset\": \"p\"}}, \"fit\": {\"epochs\": 9}, " \
    "\"pipeline\": [%s]}"

static void compile_pictures(const char *stages)
{
    char job[1024];
    (void)snprintf(job, sizeof job, PICTURES, stages);
    int rc = fixture_compile(&f, job);
    ck_assert_msg(rc == 0, "%s: %s: %s", stages, f.err.path, f.err.text);
}

#define RESIZED "{\"map\": [{\"Resizing\": {\"height\": 24, \"width\": 20}}]}"
#define TURNED  "{\"map\": [{\"RandomRotation\": {\"factor\": 0.2}}]}"

/* The files are taken away behind the first epoch: only what is stored can be read, by this job and
 * by another one. */
START_TEST(test_nothing_twice)
{
    static const char *const lists[] = {"\"cache\", " RESIZED, RESIZED ", \"cache\"",
                                        RESIZED ", {\"shuffle\": {}}, \"cache\", " TURNED,
                                        "\"snapshot\", " RESIZED ", {\"shuffle\": {}}"};
    TEST_NEED_SHARED(shared);
    (void)shared;
    unsigned char *slab;
    uint64_t wanted[3];
    add_pictures();
    compile_pictures(lists[_i]);
    for (int64_t e = 0; e < 3; e++) {
        wanted[e] = epoch_hash(e);
    }
    remove_pictures();
    for (int64_t e = 0; e < 3; e++) {
        ck_assert_uint_eq(epoch_hash(e), wanted[e]);
    }
    compile_pictures(lists[_i]);
    for (int64_t e = 0; e < 3; e++) {
        ck_assert_uint_eq(epoch_hash(e), wanted[e]);
    }
    f.store.kept = NULL; /* the control: with nothing stored they are missed */
    compile_pictures(lists[_i]);
    ck_assert_int_lt(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 99, &slab, NULL), 0);
}
END_TEST

static int count_files(void)
{
    int n = 0;
    char path[TEST_PATH];
    test_path(path, "%s/kept", f.dir);
    DIR *list = opendir(path);
    ck_assert_ptr_nonnull(list);
    for (const struct dirent *e = readdir(list); e != NULL; e = readdir(list)) {
        n += e->d_name[0] != '.';
    }
    closedir(list);
    return n;
}

/* Who shares with whom: what an element depends on, and nothing else, is in the name. */
START_TEST(test_who_shares)
{
    static const struct {
        const char *stages;
        int seed, files; /* in the folder after it */
    } jobs[] = {
        {"\"cache\"", 7, 1},
        {"\"cache\"", 8, 1},
        {"{\"prefetch\": 3}, \"cache\"", 8, 1},
        {"{\"cache\": \"name\"}, " DRAWN, 9, 1},
        {"{\"snapshot\": {\"variants\": 3}}, " DRAWN, 9, 1},
        {DRAWN ", \"cache\"", 7, 2},
        {DRAWN ", {\"snapshot\": {\"variants\": 2}}", 7, 3},
        {DRAWN ", \"cache\"", 8, 4},
        {"{\"shuffle\": {}}, \"cache\"", 7, 5},
        {"{\"shuffle\": {}}, \"cache\"", 8, 6},
        {"{\"skip\": 0}, \"cache\"", 8, 7},
        {"{\"map\": [{\"Rescaling\": {\"scale\": 2.0}}]}, \"cache\"", 8, 8},
        {"{\"map\": [{\"Rescaling\": {\"scale\": 3.0}}]}, \"cache\"", 8, 9},
    };
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        compile(jobs[i].stages, jobs[i].seed);
        for (int64_t e = 0; e < 3; e++) {
            (void)epoch_hash(e);
        }
        ck_assert_msg(count_files() == jobs[i].files, "%s, seed %d: %d files, wanted %d",
                      jobs[i].stages, jobs[i].seed, count_files(), jobs[i].files);
    }
}
END_TEST

/* ---- processes ----------------------------------------------------------------------------------
 */

struct shared {
    _Atomic int next; /* chunk */
    uint64_t hash[EPOCHS * STEPS];
};

static uint64_t step_hash(int64_t epoch, int64_t step)
{
    const struct slab_field *x = fixture_field(&f, PIPELINE_TRAIN, "x");
    unsigned char *slab;
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, epoch, step, 4, &slab, NULL), 0);
    return hash_fast(slab + x->offset,
                     x->row_bytes * (size_t)pipeline_rows(f.pipeline, PIPELINE_TRAIN, step), 1);
}

static pid_t start_worker(struct shared *shared, const char *stages)
{
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        compile(stages, 7);
        for (;;) {
            const int at = shared->next++;
            if (at >= EPOCHS * STEPS) {
                _exit(0);
            }
            shared->hash[at] = step_hash(at / STEPS, at % STEPS);
        }
    }
    return pid;
}

/* 1, 2, 5 processes that share a folder, of which one is killed again and again. */
START_TEST(test_workers)
{
    static const int counts[] = {1, 2, 5};
    static const char stages[] = DRAWN ", {\"snapshot\": {\"variants\": 2}}, {\"shuffle\": {}}";
    uint64_t wanted[EPOCHS * STEPS];
    const int n = counts[_i];
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    f.store.kept = NULL;
    compile(stages, 7);
    for (int i = 0; i < EPOCHS * STEPS; i++) {
        wanted[i] = step_hash(i / STEPS, i % STEPS);
    }
    f.store.kept = &kept;
    for (int kills = 0; kills <= 6; kills++) {
        pid_t pids[WORKERS_MAX];
        int status;
        memset(shared, 0, sizeof *shared);
        for (int w = 0; w < n; w++) {
            pids[w] = start_worker(shared, stages);
        }
        for (int i = 0; i < kills; i++) { /* where it is then is anybody's guess */
            const int at = shared->next;
            while (shared->next == at && at < EPOCHS * STEPS &&
                   waitpid(pids[0], &status, WNOHANG) == 0) {
            }
            (void)kill(pids[0], SIGKILL);
            (void)waitpid(pids[0], NULL, 0);
            pids[0] = start_worker(shared, stages);
        }
        for (int w = 0; w < n; w++) {
            (void)waitpid(pids[w], NULL, 0);
        }
        for (int i = 0; i < EPOCHS * STEPS; i++) { /* 0: the killed one had it */
            ck_assert_msg(shared->hash[i] == wanted[i] || (kills > 0 && shared->hash[i] == 0),
                          "%d workers, %d kills: step %d", n, kills, i);
        }
    }
    munmap(shared, sizeof *shared);
    compile(stages, 7);
    for (int i = 0; i < EPOCHS * STEPS; i++) {
        ck_assert_uint_eq(step_hash(i / STEPS, i % STEPS), wanted[i]);
    }
}
END_TEST

/* ---- what cannot be stored ----------------------------------------------------------------------
 */

/* No room: the job goes on. */
START_TEST(test_no_room)
{
    uint64_t wanted[3];
    f.store.kept = NULL;
    compile(DRAWN ", {\"snapshot\": {\"variants\": 2}}", 7);
    for (int64_t e = 0; e < 3; e++) {
        wanted[e] = epoch_hash(e);
    }
    f.store.kept = &kept;
    kept.max_bytes = 100;
    compile(DRAWN ", {\"snapshot\": {\"variants\": 2}}", 7);
    for (int64_t e = 0; e < 3; e++) {
        ck_assert_uint_eq(epoch_hash(e), wanted[e]);
    }
    ck_assert_int_eq(count_files(), 0);
}
END_TEST

/* A picture that cannot be read is bad in each epoch, and is not stored. */
START_TEST(test_bad_sample)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    int64_t samples[16];
    add_pictures();
    fixture_add(&f, "p", "b/99.jpg", "no picture", 10);
    char job[1024];
    (void)snprintf(job, sizeof job,
                   "{\"name\": \"t\", \"data\": {\"train\": {\"dataset\": \"p\"}, \"on_error\": "
                   "\"skip\"}, \"fit\": {\"epochs\": 9}, \"pipeline\": [%s, \"cache\"]}",
                   RESIZED);
    ck_assert_msg(fixture_compile(&f, job) == 0, "%s: %s", f.err.path, f.err.text);
    for (int64_t e = 0; e < 2; e++) {
        ck_assert_int_eq(fixture_samples(&f, PIPELINE_TRAIN, e, samples, 16), 13);
        for (int i = 0; i < 13; i++) {
            ck_assert_int_eq(samples[i], i < 12 ? i : -1);
        }
    }
}
END_TEST

/* A sample that was convicted is bad whether its element is stored or not. */
START_TEST(test_convicted)
{
    static const struct {
        const char *stages;
        size_t n; /* elements that the sample went into */
    } lists[] = {{DRAWN ", \"cache\"", 1}, {"{\"window\": 3}, {\"flat_map\": null}, \"cache\"", 3}};
    int64_t bad = 3;
    compile(lists[_i].stages, 7);
    (void)epoch_hash(0);
    for (int round = 0; round < 2; round++) {
        unsigned char *slab = arena_alloc(&f.arena, f.layout[0].slab_bytes);
        struct opt_groups list = {0};
        const struct msg_chunk_make make = {.end = 6, .skip_samples = {.v = &bad, .n = 1}};
        f.store.kept = round > 0 ? NULL : &kept;
        int rc = pipeline_run(f.pipeline, &make, &f.layout[0], slab, NULL, &f.arena, &list, &f.err);
        ck_assert_msg(rc == 0, "%s", f.err.text);
        ck_assert_uint_eq(list.n, lists[_i].n);
        ck_assert_int_eq(((const struct msg_chunk_bad *)list.v)[0].row, 3);
        compile(lists[_i].stages, 7);
    }
}
END_TEST

static const struct {
    const char *stages, *path, *text;
} refused[] = {
    {"{\"repeat\": {}}, \"cache\"", "pipeline[1].cache", "has no end"},
    {"{\"map\": [{\"RandomCrop\": {\"height\": 4, \"width\": 4}}]}, \"cache\"", "pipeline[1].cache",
     "RandomCrop draws once a batch"},
    {"{\"snapshot\": {\"variants\": 0}}", "pipeline[0].snapshot.variants", "1"},
    {"{\"snapshot\": {\"variant\": 2}}", "pipeline[0].snapshot.variant", "variants"},
};

START_TEST(test_refused)
{
    char job[1024];
    (void)snprintf(
        job, sizeof job,
        "{\"name\": \"t\", \"data\": {\"train\": {\"dataset\": \"d\", \"split\": "
        "\"train\"}}, \"pipeline\": [%s], \"fit\": {\"epochs\": 2, \"steps_per_epoch\": 2}}",
        refused[_i].stages);
    ck_assert_int_lt(fixture_compile(&f, job), 0);
    ck_assert_str_eq(f.err.path, refused[_i].path);
    ck_assert_msg(strstr(f.err.text, refused[_i].text) != NULL, "%s", f.err.text);
}
END_TEST

/* ---- fields of all kinds ------------------------------------------------------------------------
 */

struct reader {
    struct arena arena;
    struct pool pool;
    struct stream stream;
};

static void open_reader(struct reader *r, const char *dataset, const char *stages)
{
    const struct doc text = {.type = DOC_STR, .n = 4, .str = "text"};
    const bool is_text = strcmp(dataset, "lines") == 0;
    const struct job_stream data = {.dataset = dataset, .source = is_text ? &text : NULL};
    struct stream_want want = {
        .path = "pipeline", .is_training = true, .is_inner = true, .seed = 7, .epochs = 1};
    struct source *source = NULL;
    struct doc *doc = NULL;
    struct err err = {0};
    memset(r, 0, sizeof *r);
    arena_init(&r->arena);
    ck_assert_int_eq(doc_read_json(stages, strlen(stages), NULL, &r->arena, &doc, NULL), 0);
    want.stages = doc;
    pool_init(&r->pool, &f.store, &r->arena);
    int rc = pool_open(&r->pool, &data, &source, &err);
    rc = rc < 0 ? rc : stream_compile(&r->stream, source, &want, &r->pool, &err);
    ck_assert_msg(rc == 0, "%s: %s", err.path, err.text);
}

static void close_reader(struct reader *r)
{
    pool_close(&r->pool);
    stream_fini(&r->stream);
    arena_fini(&r->arena);
}

static uint64_t tensor_hash(const struct tensor *x, uint64_t hash)
{
    int64_t n = 0;
    ck_assert_int_eq(shape_count(&x->shape, &n), 0);
    hash = hash_fast(x->shape.d, (size_t)x->shape.rank * sizeof x->shape.d[0], hash + x->dtype);
    const struct tensor_text *texts = x->data;
    for (int64_t i = 0; x->dtype == DTYPE_STR && i < n; i++) {
        hash = hash_fast(texts[i].text, texts[i].n, hash);
    }
    return x->dtype == DTYPE_STR || n == 0
               ? hash
               : hash_fast(x->data, (size_t)n * dtype_bytes(x->dtype), hash);
}

static uint64_t read_hash(struct reader *r, int64_t *ret_n)
{
    uint64_t hash = 1;
    *ret_n = r->stream.n;
    for (int64_t i = 0; i < r->stream.n; i++) {
        const struct stage_place place = {2, i};
        const struct source_call call = {.epoch = 2};
        struct element element;
        struct err err = {0};
        int rc = stream_get(&r->stream, &place, &call, &element, &err);
        ck_assert_msg(rc == 0, "element %lld: %s", (long long)i, err.text);
        hash = hash_fast(&element.sample, sizeof element.sample, hash);
        for (int k = 0; k < r->stream.spec.n; k++) {
            hash = tensor_hash(&element.fields[k], hash);
        }
    }
    return hash;
}

static void add_all_kinds(void)
{
    static const char csv[] = "name,weight,kind\nZoë,1.5,a\n\"a, b\",2,b\n,3.25,a\nlast,-4,b\n";
    add_pictures();
    fixture_add(&f, "words", "t.csv", csv, sizeof csv - 1);
    fixture_add(&f, "lines", "a/1.txt", "one\ntwo three", 13);
    fixture_add(&f, "lines", "a/2.txt", "", 0);
    fixture_add(&f, "lines", "b/3.txt", "vier", 4);
    char folder[TEST_PATH];
    test_path(folder, "%s/data/stamps_detect/val", test_shared());
    fixture_add_folder(&f, "boxes", folder);
}

START_TEST(test_kinds)
{
    static const char *const sets[] = {"p", "words", "lines", "boxes", "d"};
    static const char *const lists[] = {"[\"cache\"]", "[{\"snapshot\": {\"variants\": 2}}]",
                                        "[{\"shuffle\": {\"reshuffle_each_iteration\": false}}, "
                                        "\"cache\"]"};
    static const char *const plain[] = {"[]", "[]",
                                        "[{\"shuffle\": {\"reshuffle_each_iteration\": false}}]"};
    TEST_NEED_SHARED(shared);
    (void)shared;
    add_all_kinds();
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        for (int k = 0; k < 3; k++) {
            struct reader r;
            int64_t n, wanted_n;
            open_reader(&r, sets[i], plain[k]);
            const uint64_t wanted = read_hash(&r, &wanted_n);
            close_reader(&r);
            for (int round = 0; round < 3; round++) {
                open_reader(&r, sets[i], lists[k]);
                ck_assert_msg(read_hash(&r, &n) == wanted && n == wanted_n, "%s: %s, round %d",
                              sets[i], lists[k], round);
                close_reader(&r);
            }
        }
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("derive_keep");
    TCase *tcase = tcase_create("derive_keep");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_epochs, 0, N_VARIANTS);
    tcase_add_test(tcase, test_order_behind);
    tcase_add_test(tcase, test_draws_behind);
    tcase_add_loop_test(tcase, test_nothing_twice, 0, 4);
    tcase_add_test(tcase, test_who_shares);
    tcase_add_loop_test(tcase, test_workers, 0, 3);
    tcase_add_test(tcase, test_no_room);
    tcase_add_test(tcase, test_bad_sample);
    tcase_add_loop_test(tcase, test_convicted, 0, 2);
    tcase_add_loop_test(tcase, test_refused, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(tcase, test_kinds);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
