#include "tests/workers/play.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

void play_init(struct play *play, const char *program, int64_t n_slabs, size_t slab_bytes)
{
    *play = (struct play){
        .program = program, .manifest = "{\"kind\": \"auto\", \"files\": []}", .slab_fd = -1};
    arena_init(&play->arena);
    test_dir_make(play->dir);
    test_path(play->blobs, "%s/blobs", play->dir);
    ck_assert_int_eq(mkdir(play->blobs, 0700), 0);
    test_path(play->address, "ipc://%s/data", play->dir);
    ck_assert_int_eq(slab_create(n_slabs, slab_bytes, &play->slab_fd, &play->err), 0);
    ck_assert_int_eq(slab_map(play->slab_fd, &play->slab, &play->err), 0);
    play->context = sock_context_create();
    ck_assert_int_eq(
        sock_open_router(play->context, play->address, NULL, &play->router, &play->err), 0);
}

void play_fini(struct play *play)
{
    sock_close(play->router);
    sock_context_destroy(play->context);
    slab_unmap(&play->slab);
    close(play->slab_fd);
    test_dir_remove(play->dir);
    arena_fini(&play->arena);
}

int play_file(struct play *play, const char *name, const void *data, size_t size)
{
    char path[TEST_PATH];
    test_path(path, "%s/%s", play->dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    return fd;
}

void play_spawn(struct play *play, struct play_worker *ret, int64_t number)
{
    int pair[2];
    char program[TEST_PATH];
    test_path(program, "%s/%s", test_build_root(), play->program);
    ck_assert_int_eq(child_pair(pair, &play->err), 0);
    *ret = (struct play_worker){.play = play, .number = number, .control = pair[0], .pid = fork()};
    ck_assert_int_ge(ret->pid, 0);
    if (ret->pid == 0) {
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
}

void play_start(struct play_worker *worker, const char *mode, const char *job, bool with_slab)
{
    static const char *const names[] = {"job", "manifest:digits", "blobs", "slab"};
    struct play *play = worker->play;
    struct child_fds fds = {.n = with_slab ? 4 : 3};
    fds.fd[0] = play_file(play, "job", job, strlen(job));
    fds.fd[1] = play_file(play, "manifest", play->manifest, strlen(play->manifest));
    fds.fd[2] = open(play->blobs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fds.fd[3] = play->slab_fd;
    struct doc *settings = doc_new(&play->arena);
    doc_set_map(settings);
    doc_put_bool(settings, &play->arena, "sandbox", !play->sandbox_off);
    doc_put_int(settings, &play->arena, "memory_bytes", play->memory_bytes);
    struct msg_child_start body = {.mode = mode,
                                   .job = "digits-1",
                                   .worker = worker->number,
                                   .address = strcmp(mode, "run") == 0 ? play->address : NULL,
                                   .max_workers = SLAB_WORKERS_MAX,
                                   .n_slabs = play->slab.n_slabs,
                                   .fds = {.v = names, .n = (size_t)fds.n},
                                   .settings = settings};
    ck_assert_msg(child_send(worker->control, MSG_CHILD_START, &body, &fds, &play->err) == 0, "%s",
                  play->err.text);
    for (int i = 0; i < 3; i++) {
        close(fds.fd[i]);
    }
}

void play_ask(struct play_worker *worker, const struct msg_chunk_make *make)
{
    ck_assert_int_eq(sock_send(worker->play->router, &worker->peer, MSG_CHUNK_MAKE, 9, make, NULL,
                               0, &worker->play->err),
                     0);
}

const void *play_from(struct play_worker *worker, enum msg_id type)
{
    struct msg msg;
    struct play *play = worker->play;
    int rc = child_recv(worker->control, PLAY_WAIT_MS, &play->arena, &msg, NULL, &play->err);
    ck_assert_msg(rc == 0, "%s", play->err.text);
    if (msg.type == MSG_CHILD_FAILED && type != MSG_CHILD_FAILED) {
        const struct msg_error *error = msg.body;
        ck_abort_msg("the worker says: %s: %s", error->path, error->text);
    }
    ck_assert_str_eq(msg_table[msg.type].name, msg_table[type].name);
    return msg.body;
}

bool play_receive(struct play *play, int timeout_ms, struct sock_peer *peer, struct msg *msg,
                  struct sock_frame *frames, int *n_frames)
{
    int64_t deadline = clock_us() + (int64_t)timeout_ms * 1000;
    int rc;
    do {
        int64_t left = (deadline - clock_us()) / 1000;
        sock_poll(play->router, NULL, 0, left > 0 ? (int)left : 0);
        rc = sock_recv(play->router, peer, &play->arena, msg, frames, n_frames, NULL, &play->err);
    } while (rc == ERR_TIMEOUT && clock_us() < deadline);
    ck_assert_msg(rc == 0 || rc == ERR_TIMEOUT, "%s", play->err.text);
    return rc == 0;
}

bool play_is_dead(struct play_worker *worker)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

static bool is_dead(void *arg)
{
    return play_is_dead(arg);
}

const void *play_at_trainer(struct play_worker *worker, enum msg_id type, struct sock_frame *frames,
                            int *n_frames)
{
    struct msg msg;
    int64_t deadline = clock_us() + test_patience_us(PLAY_WAIT_MS);
    bool dead = false;
    while (!play_receive(worker->play, 200, &worker->peer, &msg, frames, n_frames)) {
        ck_assert_msg(!dead, "worker %d ends with %d", (int)worker->number, play_wait(worker));
        ck_assert_msg(clock_us() < deadline, "nothing arrives at the trainer");
        dead = is_dead(worker);
    }
    ck_assert_str_eq(msg_table[msg.type].name, msg_table[type].name);
    return msg.body;
}

void play_ready(struct play_worker *worker, const char **ret_pipeline)
{
    const struct msg_child_ready *ready = play_from(worker, MSG_CHILD_READY);
    ck_assert_int_eq(ready->pid, worker->pid);
    const char *expected = worker->play->sandbox_off ? "off" : "seccomp";
    ck_assert_msg(strstr(ready->sandbox, expected) || strstr(ready->sandbox, "relaxed"),
                  "sandbox %s", ready->sandbox);
    const struct msg_chunk_hello *hello = play_at_trainer(worker, MSG_CHUNK_HELLO, NULL, NULL);
    ck_assert_int_eq(hello->worker, worker->number);
    ck_assert_int_eq(hello->pid, worker->pid);
    if (ret_pipeline != NULL) {
        *ret_pipeline = hello->pipeline;
    }
}

int play_wait(struct play_worker *worker)
{
    int status = 0;
    ck_assert_msg(test_wait(is_dead, worker, PLAY_WAIT_MS), "the worker does not end");
    ck_assert_int_eq(waitpid(worker->pid, &status, 0), worker->pid);
    worker->pid = 0;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void play_worker_fini(struct play_worker *worker)
{
    if (worker->pid > 0) {
        kill(worker->pid, SIGKILL);
        waitpid(worker->pid, NULL, 0);
    }
    if (worker->control >= 0) {
        close(worker->control);
    }
    *worker = (struct play_worker){.control = -1};
}
