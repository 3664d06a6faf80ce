/* batches: law 2 with real workers, in their sandboxes, on the real pipeline. The hash over all
 * batches of some epochs is the same for any number of workers, any cut into chunks, slabs or
 * inline, and while workers are killed. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/rng.h"
#include "tests/workers/play.h"

enum {
    SAMPLES = 61,
    SIDE = 9,
    BATCH = 8,
    EPOCHS = 3,
    WORKERS_MAX = 5,
    N_SLABS = 4,
    STEPS = (SAMPLES + BATCH - 1) / BATCH
};

static const char worker_program[] = "workers/millrace-worker";
/* Its generator is keyed by the process: tests/system/broken_seed.c. */
static const char broken_program[] = "tests/system/broken-worker";

static const char job_format[] =
    "{\"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"}}, \"fit\": "
    "{\"epochs\": 3, \"seed\": 7},"
    " \"pipeline\": [{\"shuffle\": {\"buffer_size\": 100}},"
    "  {\"map\": [{\"Rescaling\": {\"scale\": 0.00392156862745098}}, {\"RandomFlip\": {}},"
    "   {\"RandomRotation\": {\"factor\": 0.1}}%s]}, {\"batch\": {\"batch_size\": 8}}],"
    " \"resources\": {\"transport\": \"%s\"}}";

/* ---- a data set ----------------------------------------------------------------------------- */

static void put_blob(struct play *play, const void *data, size_t size, char id[HASH_ID_TEXT])
{
    char path[TEST_PATH];
    hash_bytes(data, size, id);
    test_path(path, "%s/%.2s", play->blobs, id);
    (void)mkdir(path, 0700);
    test_path(path, "blobs/%.2s/%s", id, id);
    close(play_file(play, path, data, size));
}

static void make_dataset(struct play *play)
{
    static unsigned char images[16 + SAMPLES * SIDE * SIDE] = {0, 0, 8, 3,    0, 0, 0, SAMPLES,
                                                               0, 0, 0, SIDE, 0, 0, 0, SIDE};
    static unsigned char labels[8 + SAMPLES] = {0, 0, 8, 1, 0, 0, 0, SAMPLES};
    char images_id[HASH_ID_TEXT], labels_id[HASH_ID_TEXT];
    struct rng rng;
    rng_init(&rng, 5, 5, 5, 5);
    for (size_t i = 16; i < sizeof(images); i++) {
        images[i] = (unsigned char)rng_u32(&rng);
    }
    for (size_t i = 8; i < sizeof(labels); i++) {
        labels[i] = (unsigned char)(i % 10);
    }
    put_blob(play, images, sizeof(images), images_id);
    put_blob(play, labels, sizeof(labels), labels_id);
    play->manifest =
        arena_printf(&play->arena,
                     "{\"kind\": \"idx\", \"files\": ["
                     "{\"path\": \"train-images-idx3-ubyte\", \"bytes\": %zu, \"id\": \"%s\"},"
                     "{\"path\": \"train-labels-idx1-ubyte\", \"bytes\": %zu, \"id\": \"%s\"}]}",
                     sizeof(images), images_id, sizeof(labels), labels_id);
}

/* ---- the trainer ---------------------------------------------------------------------------- */

struct chunk {
    struct msg_chunk_make make;
    bool asked, done;
};

/* Batches are made one after the other, their chunks by whoever is free. */
struct run {
    struct play play;
    const char *job;
    bool with_slab;
    int64_t chunk_rows;
    int kill_every; /* chunks; 0 = never */
    int n_workers, n_killed, n_chunks;
    struct play_worker workers[WORKERS_MAX];
    int chunk_of[WORKERS_MAX]; /* -1 = free */
    struct chunk chunks[BATCH];
    int n;
    struct slab_layout layout;
    unsigned char *batch; /* inline: put together here */
    struct rng rng;
    char epoch_id[EPOCHS][HASH_ID_TEXT];
};

static void start_worker(struct run *run, int w)
{
    play_spawn(&run->play, &run->workers[w], w + 1);
    play_start(&run->workers[w], "run", run->job, run->with_slab);
    (void)play_from(&run->workers[w], MSG_CHILD_READY);
    run->chunk_of[w] = -1;
}

/* The plan from a checker, as the daemon gets it. */
static void read_plan(struct run *run)
{
    struct play_worker checker;
    play_spawn(&run->play, &checker, 1);
    play_start(&checker, "check", run->job, false);
    const struct msg_child_result *result = play_from(&checker, MSG_CHILD_RESULT);
    const struct doc *train = doc_find(result->result, "streams.train");
    ck_assert_int_eq(doc_int(train, "steps", 0), STEPS);
    ck_assert_int_eq(slab_layout(train, &run->play.arena, &run->layout, &run->play.err), 0);
    ck_assert_uint_le(run->layout.slab_bytes, run->play.slab.slab_bytes);
    ck_assert_int_eq(play_wait(&checker), 0);
    play_worker_fini(&checker);
}

/* A killed worker is reaped before its rows are asked for again, into the same slab. */
static void kill_one(struct run *run)
{
    int w = (int)rng_below(&run->rng, (uint64_t)run->n_workers);
    kill(run->workers[w].pid, SIGKILL);
    play_worker_fini(&run->workers[w]);
    if (run->chunk_of[w] >= 0) {
        run->chunks[run->chunk_of[w]].asked = false;
    }
    run->n_killed++;
    start_worker(run, w);
}

static void hand_out(struct run *run)
{
    for (int w = 0; w < run->n_workers; w++) {
        for (int i = 0; i < run->n && run->chunk_of[w] < 0 && run->workers[w].peer.size > 0; i++) {
            if (!run->chunks[i].asked) {
                run->chunks[i].asked = true;
                run->chunk_of[w] = i;
                play_ask(&run->workers[w], &run->chunks[i].make);
            }
        }
    }
}

static void take_frames(struct run *run, const struct chunk *chunk, const struct sock_frame *frames,
                        int n_frames)
{
    ck_assert_int_eq(n_frames, run->with_slab ? 0 : run->layout.n_fields);
    for (int i = 0; i < n_frames; i++) {
        const struct slab_field *field = &run->layout.fields[i];
        ck_assert_uint_eq(frames[i].size,
                          (size_t)(chunk->make.end - chunk->make.begin) * field->row_bytes);
        memcpy(run->batch + field->offset + (size_t)chunk->make.begin * field->row_bytes,
               frames[i].data, frames[i].size);
    }
}

static bool receive(struct run *run)
{
    struct sock_peer peer;
    struct sock_frame frames[SOCK_FRAMES_MAX];
    struct msg msg;
    int n_frames = 0;
    ck_assert_msg(play_receive(&run->play, PLAY_WAIT_MS, &peer, &msg, frames, &n_frames),
                  "no worker says anything");
    if (msg.type == MSG_CHUNK_HELLO) {
        const struct msg_chunk_hello *hello = msg.body;
        struct play_worker *worker = &run->workers[hello->worker - 1];
        if (hello->pid == worker->pid) { /* not of one that was killed meanwhile */
            worker->peer = peer;
        }
        return false;
    }
    ck_assert_str_eq(msg_table[msg.type].name, "chunk.done");
    for (int w = 0; w < run->n_workers; w++) {
        const struct play_worker *worker = &run->workers[w];
        if (run->chunk_of[w] >= 0 && worker->peer.size == peer.size &&
            memcmp(worker->peer.id, peer.id, peer.size) == 0) {
            struct chunk *chunk = &run->chunks[run->chunk_of[w]];
            take_frames(run, chunk, frames, n_frames);
            chunk->done = true;
            run->chunk_of[w] = -1;
            return true;
        }
    }
    return false; /* of the dead */
}

static void make_batch(struct run *run, int64_t epoch, int64_t step)
{
    int64_t rows = step < STEPS - 1 ? BATCH : SAMPLES - (STEPS - 1) * BATCH;
    int64_t slab = step % N_SLABS;
    run->n = 0;
    for (int64_t begin = 0; begin < rows; begin += run->chunk_rows) {
        int64_t end = begin + run->chunk_rows < rows ? begin + run->chunk_rows : rows;
        run->chunks[run->n++] = (struct chunk){.make = {.epoch = epoch,
                                                        .step = step,
                                                        .begin = begin,
                                                        .end = end,
                                                        .slab = slab,
                                                        .generation = epoch}};
    }
    for (int n_done = 0; n_done < run->n;) {
        hand_out(run);
        if (run->kill_every > 0 && ++run->n_chunks % run->kill_every == 0) {
            kill_one(run);
            continue;
        }
        n_done += receive(run);
    }
    if (run->with_slab) {
        run->batch = slab_at(&run->play.slab, slab);
    }
}

static void hash_rows(const struct run *run, int64_t step, struct hash *hash)
{
    size_t rows = step < STEPS - 1 ? BATCH : SAMPLES - (STEPS - 1) * BATCH;
    for (int i = 0; i < run->layout.n_fields; i++) {
        const struct slab_field *field = &run->layout.fields[i];
        hash_update(hash, run->batch + field->offset, rows * field->row_bytes);
    }
}

static void run_all(struct run *run)
{
    unsigned char *own = arena_alloc(&run->play.arena, run->play.slab.slab_bytes);
    rng_init(&run->rng, 11, 12, 13, 14);
    read_plan(run);
    for (int w = 0; w < run->n_workers; w++) {
        start_worker(run, w);
    }
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        struct hash hash;
        hash_init(&hash);
        for (int64_t step = 0; step < STEPS; step++) {
            run->batch = own;
            make_batch(run, epoch, step);
            hash_rows(run, step, &hash);
        }
        hash_final(&hash, run->epoch_id[epoch]);
    }
    for (int w = 0; w < run->n_workers; w++) {
        play_worker_fini(&run->workers[w]);
    }
    play_fini(&run->play);
}

struct plan {
    int n_workers;
    bool with_slab;
    int64_t chunk_rows;
    int kill_every;
};

static void run_plan(struct run *run, const struct plan *plan, const char *program)
{
    *run = (struct run){.n_workers = plan->n_workers,
                        .with_slab = plan->with_slab,
                        .chunk_rows = plan->chunk_rows,
                        .kill_every = plan->kill_every};
    play_init(&run->play, program, N_SLABS, 8192);
    make_dataset(&run->play);
    run->job = arena_printf(&run->play.arena, job_format, "", plan->with_slab ? "slab" : "inline");
    run_all(run);
}

/* One worker, whole batches, inline: what the others are compared with. */
static const struct plan reference = {1, false, BATCH, 0};
static const struct plan plans[] = {
    {1, true, BATCH, 0}, {2, true, BATCH, 0}, {3, true, 3, 0}, {5, true, 1, 0},  {2, false, 3, 0},
    {3, false, 1, 0},    {5, false, 5, 0},    {3, true, 2, 7}, {2, false, 3, 5}, {5, true, 1, 11},
};

START_TEST(batches_are_equal)
{
    static struct run one, other;
    run_plan(&one, &reference, worker_program);
    ck_assert_str_ne(one.epoch_id[0], one.epoch_id[1]);
    ck_assert_str_ne(one.epoch_id[1], one.epoch_id[2]);
    run_plan(&other, &plans[_i], worker_program);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        ck_assert_str_eq(one.epoch_id[epoch], other.epoch_id[epoch]);
    }
    ck_assert_int_eq(other.n_killed > 0, plans[_i].kill_every > 0);
}
END_TEST

/* The negative control: what this test compares does see such a thing. */
START_TEST(a_generator_keyed_by_worker_shows)
{
    static struct run one, other;
    run_plan(&one, &reference, worker_program);
    run_plan(&other, &plans[2], broken_program);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        ck_assert_str_ne(one.epoch_id[epoch], other.epoch_id[epoch]);
    }
}
END_TEST

/* ---- single chunks -------------------------------------------------------------------------- */

static void start_one(struct run *run, const char *op)
{
    *run = (struct run){.n_workers = 1, .with_slab = true};
    play_init(&run->play, worker_program, N_SLABS, 8192);
    make_dataset(&run->play);
    run->job = arena_printf(&run->play.arena, job_format, op, "slab");
    read_plan(run);
    play_spawn(&run->play, &run->workers[0], 1);
    play_start(&run->workers[0], "run", run->job, true);
    play_ready(&run->workers[0], NULL);
}

static void end_one(struct run *run)
{
    play_worker_fini(&run->workers[0]);
    play_fini(&run->play);
}

static int64_t sample_at(const struct run *run, int64_t row)
{
    const struct slab_field *field = &run->layout.fields[run->layout.n_fields - 2];
    int64_t sample;
    ck_assert_str_eq(field->name, "__sample");
    memcpy(&sample, slab_at(&run->play.slab, 0) + field->offset + (size_t)row * 8, sizeof(sample));
    return sample;
}

static bool is_ok(const struct run *run, int64_t row)
{
    const struct slab_field *field = &run->layout.fields[run->layout.n_fields - 1];
    return slab_at(&run->play.slab, 0)[field->offset + (size_t)row] != 0;
}

START_TEST(convicted_rows_are_not_touched)
{
    static struct run run;
    start_one(&run, "");
    struct msg_chunk_make make = {.begin = 0, .end = BATCH};
    play_ask(&run.workers[0], &make);
    (void)play_at_trainer(&run.workers[0], MSG_CHUNK_DONE, NULL, NULL);
    const int64_t rows[] = {2};
    const int64_t samples[] = {sample_at(&run, 5)};
    make.skip = (struct opt_ints){rows, 1};
    make.skip_samples = (struct opt_ints){samples, 1};
    play_ask(&run.workers[0], &make);
    const struct msg_chunk_done *done =
        play_at_trainer(&run.workers[0], MSG_CHUNK_DONE, NULL, NULL);
    ck_assert_uint_eq(done->bad.n, 2);
    for (int64_t row = 0; row < BATCH; row++) {
        ck_assert_int_eq(is_ok(&run, row), row != 2 && row != 5);
    }
    end_one(&run);
}
END_TEST

/* A sample that ends the process: its row stands in the table of what is in flight. */
START_TEST(a_killer_is_named)
{
    static struct run run;
    start_one(&run, ", {\"Fault\": {\"sample\": 17, \"action\": \"segfault\"}}");
    struct slab_in_flight *in_flight = &run.play.slab.header->in_flight[1];
    int64_t step = -1;
    while (++step < STEPS) { /* shuffled: it stands in one of them */
        struct msg_chunk_make make = {
            .step = step, .begin = 0, .end = step < STEPS - 1 ? BATCH : SAMPLES % BATCH};
        struct sock_peer peer;
        struct msg msg;
        play_ask(&run.workers[0], &make);
        if (!play_receive(&run.play, 3000, &peer, &msg, NULL, NULL)) {
            break;
        }
    }
    ck_assert_int_lt(step, STEPS);
    ck_assert_int_ne(play_wait(&run.workers[0]), 0);
    int64_t row = in_flight->row;
    ck_assert_int_ge(row, 0);
    /* The same row, skipped, does no harm; and it was sample 17. */
    play_spawn(&run.play, &run.workers[0], 1);
    play_start(&run.workers[0], "run", run.job, true);
    play_ready(&run.workers[0], NULL);
    struct msg_chunk_make make = {.step = step,
                                  .begin = 0,
                                  .end = step < STEPS - 1 ? BATCH : SAMPLES % BATCH,
                                  .skip = {&row, 1}};
    play_ask(&run.workers[0], &make);
    const struct msg_chunk_done *done =
        play_at_trainer(&run.workers[0], MSG_CHUNK_DONE, NULL, NULL);
    ck_assert_uint_eq(done->bad.n, 1);
    ck_assert_int_eq(((const struct msg_chunk_bad *)done->bad.v)->sample, 17);
    end_one(&run);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batches");
    TCase *tcase = tcase_create("batches");
    signal(SIGPIPE, SIG_IGN);
    tcase_add_loop_test(tcase, batches_are_equal, 0, (int)(sizeof(plans) / sizeof(plans[0])));
    tcase_add_test(tcase, a_generator_keyed_by_worker_shows);
    tcase_add_test(tcase, convicted_rows_are_not_touched);
    tcase_add_test(tcase, a_killer_is_named);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
