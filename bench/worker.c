/* worker FOLDER JOB SECONDS [ROWS] - how fast one real worker makes the batches of a job: the files
 * of FOLDER are data set "digits", JOB is a job as JSON. The program plays daemon and trainer: it
 * asks for whole batches in order (of each the first ROWS alone), four ahead, and gives each slab
 * back at once. One JSON object: rows, batches, bytes (of the batches), seconds, cpu_s (of the
 * worker), own_cpu_s (of this program), make_s (what the worker says it took to make the rows),
 * round_us (least time from a question to its answer, one at a time, without making), best_us (a
 * batch without making, in the fastest 256 that followed each other). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/pipeline/fixture.h"
#include "tests/workers/play.h"

enum { AHEAD = 4, ALONE = 200, PATIENCE = 30, PART = 256 };

static struct {
    const char *folder, *job;
    double seconds, rows;
} given = {.rows = 1e9};

struct bench {
    struct fixture f;
    struct play play;
    struct play_worker worker;
    int64_t steps, asked, done, rows, make_us;
};

static void ask(struct bench *b)
{
    const int64_t step = b->asked % b->steps,
                  rows = pipeline_rows(b->f.pipeline, PIPELINE_TRAIN, step);
    const struct msg_chunk_make make = {.epoch = b->asked / b->steps,
                                        .step = step,
                                        .end =
                                            (double)rows < given.rows ? rows : (int64_t)given.rows,
                                        .slab = b->asked % AHEAD,
                                        .generation = b->asked};
    /* Not play_ask: each assertion of check writes to a file. */
    if (sock_send(b->play.router, &b->worker.peer, MSG_CHUNK_MAKE, 9, &make, NULL, 0,
                  &b->play.err) < 0) {
        ck_abort_msg("%s", b->play.err.text);
    }
    b->asked++;
}

/* Returns what the worker took to make the rows. */
static int64_t take(struct bench *b)
{
    struct msg msg;
    int r = ERR_TIMEOUT;
    arena_reset(&b->play.arena);
    /* As the feeder drains its socket: a look at what is there, and only then waiting for it. */
    for (int i = 0; i < PATIENCE && r == ERR_TIMEOUT; i++) {
        r = sock_recv(b->play.router, &b->worker.peer, &b->play.arena, &msg, NULL, NULL, NULL,
                      &b->play.err);
        if (r == ERR_TIMEOUT) {
            (void)sock_poll(b->play.router, NULL, 0, 1000);
        }
    }
    if (r < 0 || msg.type != MSG_CHUNK_DONE) {
        ck_abort_msg("no chunk: %s", b->play.err.text);
    }
    const struct msg_chunk_done *done = msg.body;
    if (done->generation != b->done || done->bad.n > 0) {
        ck_abort_msg("another chunk than asked for, or bad rows");
    }
    b->done++;
    b->rows += done->end - done->begin;
    b->make_us += done->us;
    return done->us;
}

static double cpu_seconds(clockid_t clock)
{
    struct timespec t;
    ck_assert_int_eq(clock_gettime(clock, &t), 0);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t round_trip(struct bench *b)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < ALONE; i++) {
        const int64_t begin = clock_us();
        ask(b);
        const int64_t us = take(b), all = clock_us() - begin;
        least = all - us < least ? all - us : least;
    }
    return least;
}

/* So many batches one after the other: microseconds for each, without making it. */
static double part(struct bench *b)
{
    const int64_t begin = clock_us(), made = b->make_us;
    for (int i = 0; i < PART; i++) {
        take(b);
        ask(b);
    }
    return (double)(clock_us() - begin - (b->make_us - made)) / PART;
}

static void start(struct bench *b, const char *job)
{
    struct buf manifest = {0};
    ck_assert_msg(fixture_compile(&b->f, job) == 0, "%s: %s", b->f.err.path, b->f.err.text);
    b->steps = pipeline_steps(b->f.pipeline, PIPELINE_TRAIN);
    play_init(&b->play, "workers/millrace-worker", AHEAD, b->f.layout[PIPELINE_TRAIN].slab_bytes);
    doc_write_json(b->f.manifests[0].files, 0, &manifest);
    b->play.manifest = manifest.data;
    test_path(b->play.blobs, "%s", b->f.dir);
    play_spawn(&b->play, &b->worker, 0);
    play_start(&b->worker, "run", job, true);
    play_ready(&b->worker, NULL);
    memset(b->play.slab.base, 0,
           b->play.slab.map_bytes -
               (size_t)(b->play.slab.base - (unsigned char *)b->play.slab.header));
    buf_fini(&manifest);
}

START_TEST(bench)
{
    struct bench b = {.asked = 0};
    struct buf job = {0};
    clockid_t clock;
    fixture_init(&b.f);
    fixture_add_folder(&b.f, "digits", given.folder);
    ck_assert_int_eq(file_read(AT_FDCWD, given.job, 1 << 20, &job, &b.f.err), 0);
    start(&b, job.data);
    ck_assert_int_eq(clock_getcpuclockid(b.worker.pid, &clock), 0);
    const int64_t round_us = round_trip(&b);
    for (int i = 0; i < AHEAD; i++) {
        ask(&b);
    }
    take(&b);
    ask(&b);
    b.rows = b.make_us = 0;
    const int64_t first = b.done, begin = clock_us();
    const double cpu = cpu_seconds(clock), own = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    double best_us = 1e12;
    while (clock_us() - begin < (int64_t)(given.seconds * 1e6)) {
        const double us = part(&b);
        best_us = us < best_us ? us : best_us;
    }
    const double seconds = (double)(clock_us() - begin) * 1e-6, used = cpu_seconds(clock) - cpu,
                 own_used = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - own;
    printf("{\"rows\": %lld, \"batches\": %lld, \"bytes\": %zu, \"seconds\": %.6f, ",
           (long long)b.rows, (long long)(b.done - first), b.f.layout[PIPELINE_TRAIN].slab_bytes,
           seconds);
    printf("\"cpu_s\": %.6f, \"own_cpu_s\": %.6f, \"make_s\": %.6f, \"round_us\": %lld, "
           "\"best_us\": %.1f}\n",
           used, own_used, (double)b.make_us * 1e-6, (long long)round_us, best_us);
    play_worker_fini(&b.worker);
    play_fini(&b.play);
    fixture_fini(&b.f);
    buf_fini(&job);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5 || !doc_parse_float(argv[3], &given.seconds) ||
        (argc == 5 && !doc_parse_float(argv[4], &given.rows))) {
        (void)fprintf(stderr, "worker FOLDER JOB SECONDS [ROWS]\n");
        return 2;
    }
    given.folder = argv[1];
    given.job = argv[2];
    Suite *suite = suite_create("bench");
    TCase *c = tcase_create("bench");
    tcase_add_test(c, bench);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    const int n_failed = srunner_ntests_failed(runner);
    if (n_failed > 0) {
        srunner_print(runner, CK_NORMAL);
    }
    srunner_free(runner);
    return n_failed > 0;
}
