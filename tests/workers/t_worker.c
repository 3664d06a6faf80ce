/* worker: a real process between a daemon and a trainer that this test plays, on a pipeline of the
 * test's own. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/workers/play.h"

enum { WORKER = 3, N_SLABS = 2, ROWS = 4 };

struct stage {
    struct play play;
    struct play_worker worker;
};

static void setup(struct stage *stage)
{
    play_init(&stage->play, "tests/workers/fake-worker", N_SLABS, 4096);
    play_spawn(&stage->play, &stage->worker, WORKER);
}

static void teardown(struct stage *stage)
{
    play_worker_fini(&stage->worker);
    play_fini(&stage->play);
}

/* Starts it on a job whose pipeline is `pipeline`. */
static void start(struct stage *stage, const char *mode, const char *transport,
                  const char *pipeline)
{
    struct buf job = {0};
    buf_printf(&job,
               "{\"data\": {\"train\": {\"dataset\": \"digits\"}}, \"pipeline\": %s,"
               " \"resources\": {\"transport\": \"%s\"}}",
               pipeline, transport);
    play_start(&stage->worker, mode, job.data,
               strcmp(mode, "run") == 0 && strcmp(transport, "slab") == 0);
    buf_fini(&job);
}

static void start_run(struct stage *stage, const char *transport, const char *pipeline)
{
    const char *id = NULL;
    start(stage, "run", transport, pipeline);
    play_ready(&stage->worker, &id);
    ck_assert_str_eq(id, "fake");
}

/* ---- check ---------------------------------------------------------------------------------- */

START_TEST(check_gives_the_plan)
{
    struct stage stage;
    setup(&stage);
    start(&stage, "check", "slab", "{}");
    const struct msg_child_result *result = play_from(&stage.worker, MSG_CHILD_RESULT);
    ck_assert_int_eq(doc_int(doc_find(result->result, "streams.train"), "steps", 0), 3);
    ck_assert_int_eq(play_wait(&stage.worker), 0);
    teardown(&stage);
}
END_TEST

START_TEST(check_says_what_is_wrong)
{
    struct stage stage;
    setup(&stage);
    start(&stage, "check", "slab", "{\"fault\": \"compile\"}");
    const struct msg_error *error = play_from(&stage.worker, MSG_CHILD_FAILED);
    ck_assert_int_eq(error->code, ERR_UNKNOWN);
    ck_assert_str_eq(error->path, "pipeline[0].map[0]");
    ck_assert_int_eq(play_wait(&stage.worker), 2);
    teardown(&stage);
}
END_TEST

START_TEST(unknown_mode)
{
    struct stage stage;
    setup(&stage);
    start(&stage, "dance", "slab", "{}");
    const struct msg_error *error = play_from(&stage.worker, MSG_CHILD_FAILED);
    ck_assert_int_eq(error->code, ERR_UNKNOWN);
    ck_assert_int_eq(play_wait(&stage.worker), 2);
    teardown(&stage);
}
END_TEST

/* ---- run ------------------------------------------------------------------------------------ */

static void check_done(const struct msg_chunk_done *done, const struct msg_chunk_make *make)
{
    ck_assert_int_eq(done->stream, make->stream);
    ck_assert_int_eq(done->epoch, make->epoch);
    ck_assert_int_eq(done->step, make->step);
    ck_assert_int_eq(done->begin, make->begin);
    ck_assert_int_eq(done->end, make->end);
    ck_assert_int_eq(done->slab, make->slab);
    ck_assert_int_eq(done->generation, make->generation);
    ck_assert_int_ge(done->us, 0);
}

static void check_rows(const float *x, const struct msg_chunk_make *make)
{
    for (int64_t row = make->begin; row < make->end; row++, x += 3) {
        ck_assert_int_eq((int64_t)x[0], make->step * ROWS + row);
        ck_assert_int_eq((int64_t)x[1], make->epoch);
    }
}

START_TEST(rows_into_the_slab)
{
    struct stage stage;
    struct sock_frame frames[SOCK_FRAMES_MAX];
    int n_frames = -1;
    setup(&stage);
    start_run(&stage, "slab", "{}");
    struct msg_chunk_make make = {
        .epoch = 2, .step = 1, .begin = 1, .end = 4, .slab = 1, .generation = 77};
    play_ask(&stage.worker, &make);
    const struct msg_chunk_done *done =
        play_at_trainer(&stage.worker, MSG_CHUNK_DONE, frames, &n_frames);
    check_done(done, &make);
    ck_assert_int_eq(n_frames, 0);
    check_rows((const float *)(const void *)slab_at(&stage.play.slab, 1) + 3, &make);
    ck_assert_uint_eq(done->bad.n, 1);
    const struct msg_chunk_bad *bad = done->bad.v;
    ck_assert_int_eq(bad->row, 3);
    ck_assert_str_eq(bad->path, "c/7.png");
    ck_assert_int_eq(doc_int(done->stages, "Fake", 0), 15);
    ck_assert_int_eq(stage.play.slab.header->in_flight[WORKER].row, -1);
    ck_assert_uint_eq(stage.play.slab.header->in_flight[WORKER].samples, 3);
    struct msg_child_stop stop = {.reason = "cancel"};
    ck_assert_int_eq(child_send(stage.worker.control, MSG_CHILD_STOP, &stop, NULL, &stage.play.err),
                     0);
    ck_assert_int_eq(play_wait(&stage.worker), 0);
    teardown(&stage);
}
END_TEST

START_TEST(rows_inline)
{
    struct stage stage;
    struct sock_frame frames[SOCK_FRAMES_MAX];
    int n_frames = -1;
    setup(&stage);
    start_run(&stage, "inline", "{}");
    struct msg_chunk_make make = {
        .epoch = 1, .step = 0, .begin = 2, .end = 4, .slab = 5, .generation = 1};
    play_ask(&stage.worker, &make);
    check_done(play_at_trainer(&stage.worker, MSG_CHUNK_DONE, frames, &n_frames), &make);
    ck_assert_int_eq(n_frames, 4);
    ck_assert_uint_eq(frames[0].size, 2 * 12);
    ck_assert_uint_eq(frames[1].size, 2 * 8);
    ck_assert_uint_eq(frames[2].size, 2 * 8);
    ck_assert_uint_eq(frames[3].size, 2);
    float x[6];
    memcpy(x, frames[0].data, sizeof(x));
    check_rows(x, &make);
    close(stage.worker.control); /* the daemon is gone */
    stage.worker.control = -1;
    ck_assert_int_ne(play_wait(&stage.worker), 0);
    teardown(&stage);
}
END_TEST

START_TEST(many_chunks_are_small_tokens)
{
    struct stage stage;
    setup(&stage);
    start_run(&stage, "slab", "{}");
    uint64_t before = sock_bytes_received(stage.play.router);
    const int n = 300;
    for (int i = 0; i < n; i++) {
        struct msg_chunk_make make = {
            .epoch = i, .step = i % 3, .begin = 0, .end = 2, .slab = i % N_SLABS};
        play_ask(&stage.worker, &make);
        arena_reset(&stage.play.arena);
        check_done(play_at_trainer(&stage.worker, MSG_CHUNK_DONE, NULL, NULL), &make);
    }
    ck_assert_uint_lt((sock_bytes_received(stage.play.router) - before) / (uint64_t)n, 300);
    teardown(&stage);
}
END_TEST

/* At a job's end the trainer may be gone before the daemon's stop arrives: no error, but said. */
START_TEST(trainer_is_gone)
{
    struct stage stage;
    char said[4096] = "";
    int log[2];
    ck_assert_int_eq(pipe(log), 0);
    const int own = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(log[1], STDERR_FILENO), 0);
    setup(&stage);
    (void)dup2(own, STDERR_FILENO);
    (void)close(own);
    (void)close(log[1]);
    start_run(&stage, "slab", "{}");
    sock_close(stage.play.router);
    stage.play.router = NULL;
    ck_assert_int_eq(play_wait(&stage.worker), 1);
    ck_assert_int_ge(read(log[0], said, sizeof(said) - 1), 0);
    ck_assert_msg(strstr(said, "worker ends") != NULL, "%s", said);
    ck_assert_msg(strstr(said, "\"level\":\"error\"") == NULL, "%s", said);
    (void)close(log[0]);
    teardown(&stage);
}
END_TEST

START_TEST(no_trainer)
{
    struct stage stage;
    setup(&stage);
    test_path(stage.play.address, "ipc://%s/nobody", stage.play.dir);
    start(&stage, "run", "slab", "{}");
    const struct msg_error *error = play_from(&stage.worker, MSG_CHILD_FAILED);
    ck_assert_int_eq(error->code, ERR_UNREACHABLE);
    ck_assert_int_ne(play_wait(&stage.worker), 0);
    teardown(&stage);
}
END_TEST

START_TEST(a_death_names_its_row)
{
    struct stage stage;
    setup(&stage);
    start_run(&stage, "slab", "{\"fault\": \"crash\", \"at\": 6}");
    play_ask(&stage.worker, &(struct msg_chunk_make){.step = 1, .begin = 0, .end = 4});
    ck_assert_int_ne(play_wait(&stage.worker), 0);
    ck_assert_int_eq(stage.play.slab.header->in_flight[WORKER].row, 2);
    teardown(&stage);
}
END_TEST

START_TEST(bad_data_is_named)
{
    struct stage stage;
    setup(&stage);
    start_run(&stage, "slab", "{\"fault\": \"data\", \"at\": 1}");
    play_ask(&stage.worker, &(struct msg_chunk_make){.step = 0, .begin = 0, .end = 4});
    const struct msg_error *error = play_at_trainer(&stage.worker, MSG_CHUNK_FAILED, NULL, NULL);
    ck_assert_int_eq(error->code, ERR_DATA);
    ck_assert_str_eq(error->path, "a/b.png");
    ck_assert_int_eq(play_wait(&stage.worker), 4);
    teardown(&stage);
}
END_TEST

static const struct msg_chunk_make wrong_chunks[] = {
    {.stream = 1, .begin = 0, .end = 1},
    {.stream = 0, .step = 3, .begin = 0, .end = 1},
    {.stream = 0, .step = 2, .begin = 0, .end = 3},
    {.stream = 0, .begin = 2, .end = 2},
    {.stream = 0, .begin = 0, .end = 5},
    {.stream = 0, .begin = 0, .end = 1, .slab = N_SLABS},
};

START_TEST(wrong_chunk)
{
    struct stage stage;
    setup(&stage);
    start_run(&stage, "slab", "{}");
    play_ask(&stage.worker, &wrong_chunks[_i]);
    const struct msg_error *error = play_at_trainer(&stage.worker, MSG_CHUNK_FAILED, NULL, NULL);
    ck_assert_int_eq(error->code, ERR_RANGE);
    ck_assert_int_eq(play_wait(&stage.worker), 2);
    teardown(&stage);
}
END_TEST

/* ---- command line --------------------------------------------------------------------------- */

static const struct {
    const char *arguments, *text;
    int status;
} command_lines[] = {
    {"--version", "millrace-worker 0.", 0},
    {"--help", "--reference", 0},
    {"--reference=list", "messages", 0},
    {"--reference=messages", "chunk.make", 0},
    {"--reference=job", "every_epochs", 0},
    {"--reference=exit-codes", "`not_found`", 0},
    {"--reference=ops", "## Fake", 0},
    {"--reference=roles", "`millrace-trainer`", 0},
    {"--reference", "<!-- stages.md -->", 0},
    {"--reference=mesages", "", 2},
    {"--dance", "", 2},
    {"dance", "", 2},
};

START_TEST(command_line)
{
    char command[2 * TEST_PATH], *text = calloc(1, 1 << 20);
    (void)snprintf(command, sizeof(command), "%s/tests/workers/fake-worker %s 2>/dev/null",
                   test_build_root(), command_lines[_i].arguments);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t n = fread(text, 1, (1 << 20) - 1, pipe);
    text[n] = '\0';
    int status = pclose(pipe);
    ck_assert_int_eq(WEXITSTATUS(status), command_lines[_i].status);
    ck_assert_ptr_nonnull(strstr(text, command_lines[_i].text));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker");
    TCase *tcase = tcase_create("worker");
    signal(SIGPIPE, SIG_IGN);
    tcase_add_test(tcase, check_gives_the_plan);
    tcase_add_test(tcase, check_says_what_is_wrong);
    tcase_add_test(tcase, unknown_mode);
    tcase_add_test(tcase, rows_into_the_slab);
    tcase_add_test(tcase, rows_inline);
    tcase_add_test(tcase, many_chunks_are_small_tokens);
    tcase_add_test(tcase, trainer_is_gone);
    tcase_add_test(tcase, no_trainer);
    tcase_add_test(tcase, a_death_names_its_row);
    tcase_add_test(tcase, bad_data_is_named);
    tcase_add_loop_test(tcase, wrong_chunk, 0,
                        (int)(sizeof(wrong_chunks) / sizeof(wrong_chunks[0])));
    tcase_add_loop_test(tcase, command_line, 0,
                        (int)(sizeof(command_lines) / sizeof(command_lines[0])));
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
