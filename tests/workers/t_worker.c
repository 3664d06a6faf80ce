/* worker: a real process between a daemon and a trainer that this test plays, on a pipeline of the
 * test's own. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/child.h"
#include "proto/slab.h"
#include "proto/sock.h"
#include "tests/test.h"

enum { WAIT_MS = 20000, WORKER = 3, N_SLABS = 2, ROWS = 4 };

struct stage { /* what the test plays */
    char dir[TEST_PATH], address[TEST_PATH];
    struct arena arena;
    struct err err;
    int control; /* the daemon's end */
    int slab_fd;
    struct slab slab;
    struct sock_context *context;
    struct sock *router;
    struct sock_peer peer;
    pid_t pid;
};

static int write_file(struct stage *stage, const char *name, const char *text)
{
    char path[TEST_PATH];
    test_path(path, "%s/%s", stage->dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

static void spawn(struct stage *stage)
{
    int pair[2];
    char program[TEST_PATH];
    test_path(program, "%s/tests/workers/fake-worker", test_build_root());
    ck_assert_int_eq(child_pair(pair, &stage->err), 0);
    stage->pid = fork();
    ck_assert_int_ge(stage->pid, 0);
    if (stage->pid == 0) {
        char *const argv[] = {(char[]){"millrace-worker"}, NULL};
        if (pair[1] == CHILD_FD) {
            fcntl(CHILD_FD, F_SETFD, 0);
        } else {
            dup2(pair[1], CHILD_FD);
        }
        execv(program, argv);
        _exit(127);
    }
    close(pair[1]);
    stage->control = pair[0];
}

/* Sends the start message with a job whose pipeline is `pipeline`. */
static void start(struct stage *stage, const char *mode, const char *transport,
                  const char *pipeline)
{
    struct buf job = {0};
    buf_printf(&job,
               "{\"data\": {\"train\": {\"dataset\": \"digits\"}}, \"pipeline\": %s, "
               "\"resources\": {\"transport\": \"%s\"}}",
               pipeline, transport);
    static const char *const names[] = {"job", "manifest:digits", "blobs", "slab"};
    bool run = strcmp(mode, "run") == 0;
    struct child_fds fds = {.n = run && strcmp(transport, "slab") == 0 ? 4 : 3};
    fds.fd[0] = write_file(stage, "job", job.data);
    fds.fd[1] = write_file(stage, "manifest", "{\"kind\": \"images\", \"files\": []}");
    fds.fd[2] = open(stage->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fds.fd[3] = stage->slab_fd;
    struct msg_child_start body = {.mode = mode,
                                   .job = "digits-1",
                                   .worker = WORKER,
                                   .address = run ? stage->address : NULL,
                                   .max_workers = 4,
                                   .n_slabs = N_SLABS,
                                   .fds = {.v = names, .n = (size_t)fds.n}};
    ck_assert_msg(child_send(stage->control, MSG_CHILD_START, &body, &fds, &stage->err) == 0, "%s",
                  stage->err.text);
    for (int i = 0; i < 3; i++) {
        close(fds.fd[i]);
    }
    buf_fini(&job);
}

static void setup(struct stage *stage)
{
    *stage = (struct stage){.slab_fd = -1};
    arena_init(&stage->arena);
    test_dir_make(stage->dir);
    test_path(stage->address, "ipc://%s/data", stage->dir);
    ck_assert_int_eq(slab_create(N_SLABS, 4096, &stage->slab_fd, &stage->err), 0);
    ck_assert_int_eq(slab_map(stage->slab_fd, &stage->slab, &stage->err), 0);
    spawn(stage); /* before the trainer's threads exist */
    stage->context = sock_context_create();
    ck_assert_int_eq(
        sock_open_router(stage->context, stage->address, NULL, &stage->router, &stage->err), 0);
}

static bool is_dead(void *arg)
{
    const struct stage *stage = arg;
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)stage->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

static int wait_exit(struct stage *stage)
{
    int status = 0;
    ck_assert_msg(test_wait(is_dead, stage, WAIT_MS), "the worker does not end");
    ck_assert_int_eq(waitpid(stage->pid, &status, 0), stage->pid);
    stage->pid = 0;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void teardown(struct stage *stage)
{
    if (stage->pid > 0) {
        kill(stage->pid, SIGKILL);
        waitpid(stage->pid, NULL, 0);
    }
    close(stage->control);
    sock_close(stage->router);
    sock_context_destroy(stage->context);
    slab_unmap(&stage->slab);
    close(stage->slab_fd);
    test_dir_remove(stage->dir);
    arena_fini(&stage->arena);
}

static const void *from_worker(struct stage *stage, enum msg_id type)
{
    struct msg msg;
    int rc = child_recv(stage->control, WAIT_MS, &stage->arena, &msg, NULL, &stage->err);
    ck_assert_msg(rc == 0, "%s", stage->err.text);
    ck_assert_str_eq(msg_table[msg.type].name, msg_table[type].name);
    return msg.body;
}

static const void *at_trainer(struct stage *stage, enum msg_id type, struct sock_frame *frames,
                              int *n_frames)
{
    struct msg msg;
    int64_t deadline = clock_us() + (int64_t)WAIT_MS * 1000;
    int rc;
    do {
        ck_assert_msg(clock_us() < deadline, "nothing arrives at the trainer");
        bool dead = is_dead(stage);
        ck_assert_msg(sock_poll(stage->router, NULL, 0, 1000) != 0 || !dead, "the worker died");
        rc = sock_recv(stage->router, &stage->peer, &stage->arena, &msg, frames, n_frames, NULL,
                       &stage->err);
    } while (rc == ERR_TIMEOUT);
    ck_assert_msg(rc == 0, "%s", stage->err.text);
    ck_assert_str_eq(msg_table[msg.type].name, msg_table[type].name);
    return msg.body;
}

static void ask(struct stage *stage, const struct msg_chunk_make *make)
{
    ck_assert_int_eq(
        sock_send(stage->router, &stage->peer, MSG_CHUNK_MAKE, 9, make, NULL, 0, &stage->err), 0);
}

static void start_run(struct stage *stage, const char *transport, const char *pipeline)
{
    start(stage, "run", transport, pipeline);
    const struct msg_chunk_hello *hello = at_trainer(stage, MSG_CHUNK_HELLO, NULL, NULL);
    ck_assert_int_eq(hello->worker, WORKER);
    ck_assert_int_eq(hello->pid, stage->pid);
    ck_assert_str_eq(hello->pipeline, "fake");
    const struct msg_child_ready *ready = from_worker(stage, MSG_CHILD_READY);
    ck_assert_int_eq(ready->pid, stage->pid);
    ck_assert_ptr_nonnull(
        strstr(ready->sandbox, strstr(ready->sandbox, "relaxed") ? "relaxed" : "seccomp"));
}

/* ---- check ---------------------------------------------------------------------------------- */

START_TEST(check_gives_the_plan)
{
    struct stage stage;
    setup(&stage);
    start(&stage, "check", "slab", "{}");
    const struct msg_child_result *result = from_worker(&stage, MSG_CHILD_RESULT);
    ck_assert_int_eq(doc_int(doc_find(result->result, "streams.train"), "steps", 0), 3);
    ck_assert_int_eq(wait_exit(&stage), 0);
    teardown(&stage);
}
END_TEST

START_TEST(check_says_what_is_wrong)
{
    struct stage stage;
    setup(&stage);
    start(&stage, "check", "slab", "{\"fault\": \"compile\"}");
    const struct msg_error *error = from_worker(&stage, MSG_CHILD_FAILED);
    ck_assert_int_eq(error->code, ERR_UNKNOWN);
    ck_assert_str_eq(error->path, "pipeline[0].map[0]");
    ck_assert_int_eq(wait_exit(&stage), 2);
    teardown(&stage);
}
END_TEST

START_TEST(unknown_mode)
{
    struct stage stage;
    setup(&stage);
    start(&stage, "dance", "slab", "{}");
    const struct msg_error *error = from_worker(&stage, MSG_CHILD_FAILED);
    ck_assert_int_eq(error->code, ERR_UNKNOWN);
    ck_assert_int_eq(wait_exit(&stage), 2);
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
    ask(&stage, &make);
    const struct msg_chunk_done *done = at_trainer(&stage, MSG_CHUNK_DONE, frames, &n_frames);
    check_done(done, &make);
    ck_assert_int_eq(n_frames, 0);
    check_rows((const float *)(const void *)slab_at(&stage.slab, 1) + 3, &make);
    ck_assert_uint_eq(done->bad.n, 1);
    const struct msg_chunk_bad *bad = done->bad.v;
    ck_assert_int_eq(bad->row, 3);
    ck_assert_str_eq(bad->path, "c/7.png");
    ck_assert_int_eq(doc_int(done->stages, "Fake", 0), 15);
    ck_assert_int_eq(stage.slab.header->in_flight[WORKER].row, -1);
    ck_assert_uint_eq(stage.slab.header->in_flight[WORKER].samples, 3);
    struct msg_child_stop stop = {.reason = "cancel"};
    ck_assert_int_eq(child_send(stage.control, MSG_CHILD_STOP, &stop, NULL, &stage.err), 0);
    ck_assert_int_eq(wait_exit(&stage), 0);
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
    ask(&stage, &make);
    check_done(at_trainer(&stage, MSG_CHUNK_DONE, frames, &n_frames), &make);
    ck_assert_int_eq(n_frames, 4);
    ck_assert_uint_eq(frames[0].size, 2 * 12);
    ck_assert_uint_eq(frames[1].size, 2 * 8);
    ck_assert_uint_eq(frames[2].size, 2 * 8);
    ck_assert_uint_eq(frames[3].size, 2);
    float x[6];
    memcpy(x, frames[0].data, sizeof(x));
    check_rows(x, &make);
    close(stage.control); /* the daemon is gone */
    stage.control = -1;
    ck_assert_int_ne(wait_exit(&stage), 0);
    teardown(&stage);
}
END_TEST

START_TEST(many_chunks_are_small_tokens)
{
    struct stage stage;
    setup(&stage);
    start_run(&stage, "slab", "{}");
    uint64_t before = sock_bytes_received(stage.router);
    const int n = 300;
    for (int i = 0; i < n; i++) {
        struct msg_chunk_make make = {
            .epoch = i, .step = i % 3, .begin = 0, .end = 2, .slab = i % N_SLABS};
        ask(&stage, &make);
        arena_reset(&stage.arena);
        check_done(at_trainer(&stage, MSG_CHUNK_DONE, NULL, NULL), &make);
    }
    ck_assert_uint_lt((sock_bytes_received(stage.router) - before) / (uint64_t)n, 300);
    teardown(&stage);
}
END_TEST

START_TEST(trainer_is_gone)
{
    struct stage stage;
    setup(&stage);
    start_run(&stage, "slab", "{}");
    sock_close(stage.router);
    stage.router = NULL;
    ck_assert_int_eq(wait_exit(&stage), 1);
    teardown(&stage);
}
END_TEST

START_TEST(no_trainer)
{
    struct stage stage;
    setup(&stage);
    test_path(stage.address, "ipc://%s/nobody", stage.dir);
    start(&stage, "run", "slab", "{}");
    const struct msg_error *error = from_worker(&stage, MSG_CHILD_FAILED);
    ck_assert_int_eq(error->code, ERR_UNREACHABLE);
    ck_assert_int_ne(wait_exit(&stage), 0);
    teardown(&stage);
}
END_TEST

START_TEST(a_death_names_its_row)
{
    struct stage stage;
    setup(&stage);
    start_run(&stage, "slab", "{\"fault\": \"crash\", \"at\": 6}");
    ask(&stage, &(struct msg_chunk_make){.step = 1, .begin = 0, .end = 4});
    ck_assert_int_ne(wait_exit(&stage), 0);
    ck_assert_int_eq(stage.slab.header->in_flight[WORKER].row, 2);
    teardown(&stage);
}
END_TEST

START_TEST(bad_data_is_named)
{
    struct stage stage;
    setup(&stage);
    start_run(&stage, "slab", "{\"fault\": \"data\", \"at\": 1}");
    ask(&stage, &(struct msg_chunk_make){.step = 0, .begin = 0, .end = 4});
    const struct msg_error *error = at_trainer(&stage, MSG_CHUNK_FAILED, NULL, NULL);
    ck_assert_int_eq(error->code, ERR_DATA);
    ck_assert_str_eq(error->path, "a/b.png");
    ck_assert_int_eq(wait_exit(&stage), 4);
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
    ask(&stage, &wrong_chunks[_i]);
    const struct msg_error *error = at_trainer(&stage, MSG_CHUNK_FAILED, NULL, NULL);
    ck_assert_int_eq(error->code, ERR_RANGE);
    ck_assert_int_eq(wait_exit(&stage), 2);
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
