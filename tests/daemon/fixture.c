#include "tests/daemon/fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"

enum { WAIT_MS = 20000, CHUNK = 1 << 20 };

void fixture_init(struct fixture *fixture)
{
    char path[TEST_PATH];
    memset(fixture, 0, sizeof(*fixture));
    test_dir_make(fixture->dir);
    arena_init(&fixture->arena);
    test_path(fixture->state_dir, "%s/s", fixture->dir);
    test_path(path, "%s/x", fixture->dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    static const char *const names[] = {"millrace-worker", "millrace-trainer"};
    for (int i = 0; i < 2; i++) {
        char target[TEST_PATH];
        test_path(target, "%s/tests/daemon/fake-child", test_build_root());
        test_path(path, "%s/x/%s", fixture->dir, names[i]);
        ck_assert_int_eq(symlink(target, path), 0);
    }
}

bool fixture_small_disk(struct fixture *fixture, const char *size)
{
    char options[64];
    snprintf(options, sizeof(options), "size=%s", size);
    ck_assert_int_eq(mkdir(fixture->state_dir, 0700), 0);
    /* In a namespace of its own the mount goes with this process, however it ends. */
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", fixture->state_dir, "tmpfs", 0, options) == 0;
}

void fixture_fill(struct fixture *fixture, off_t bytes)
{
    char path[TEST_PATH];
    test_path(path, "%.400s/filler", fixture->state_dir);
    unlink(path);
    if (bytes > 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ck_assert_int_eq(posix_fallocate(fd, 0, bytes), 0);
        close(fd);
    }
}

void fixture_fill_up(struct fixture *fixture)
{
    char path[TEST_PATH];
    char piece[4096];
    test_path(path, "%.400s/filler", fixture->state_dir);
    memset(piece, 1, sizeof(piece));
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, piece, sizeof(piece)) > 0) {
    }
    close(fd);
}

void fixture_arg(struct fixture *fixture, const char *arg)
{
    ck_assert_int_lt(fixture->n_args, FIXTURE_ARGS_MAX);
    fixture->args[fixture->n_args++] = arg;
}

static void drop_socket(struct fixture *fixture)
{
    if (fixture->raw != NULL) {
        zmq_close(fixture->raw);
        zmq_ctx_term(fixture->raw_context);
        fixture->raw = NULL;
    }
    if (fixture->sock != NULL) {
        sock_close(fixture->sock);
        sock_context_destroy(fixture->context);
    }
    fixture->sock = NULL;
}

void fixture_fini(struct fixture *fixture)
{
    drop_socket(fixture);
    if (fixture->pid > 0) {
        fixture_end(fixture, SIGKILL);
    }
    arena_fini(&fixture->arena);
    test_dir_remove(fixture->dir);
}

pid_t fixture_spawn(struct fixture *fixture)
{
    char program[TEST_PATH];
    char state[TEST_PATH + 16];
    char run[TEST_PATH + 16];
    char libexec[TEST_PATH + 32];
    char log[TEST_PATH];
    test_path(program, "%s/%s", test_build_root(),
              fixture->program != NULL ? fixture->program : "daemon/millraced");
    snprintf(state, sizeof(state), "--state-dir=%s", fixture->state_dir);
    snprintf(run, sizeof(run), "--run-dir=%s/r", fixture->dir);
    snprintf(libexec, sizeof(libexec), "--libexec-dir=%s/%s",
             fixture->real_children ? test_build_root() : fixture->dir,
             fixture->real_children ? "daemon" : "x");
    test_path(log, "%s/log", fixture->dir);
    const char *argv[FIXTURE_ARGS_MAX + 6] = {program, state, run, libexec};
    for (int i = 0; i < fixture->n_args; i++) {
        argv[4 + i] = fixture->args[i];
    }
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, 2);
        dup2(fd, 1);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char *const *args;
        memcpy(&args, &(const char **){argv}, sizeof(args));
        execv(program, args);
        _exit(127);
    }
    return pid;
}

static bool try_connect(void *arg)
{
    struct fixture *fixture = arg;
    char address[TEST_PATH];
    const struct sock_options options = {.linger_ms = 0};
    test_path(address, "ipc://%s/r/control.sock", fixture->dir);
    return sock_open_dealer(fixture->context, address, &options, &fixture->sock, NULL) >= 0;
}

void fixture_connect(struct fixture *fixture)
{
    drop_socket(fixture);
    fixture->context = sock_context_create();
    ck_assert_msg(test_wait(try_connect, fixture, 10000), "no control socket");
}

static void say_hello(struct fixture *fixture)
{
    const struct msg_hello hello = {
        .protocol_min = MSG_VERSION_MIN, .protocol_max = MSG_VERSION, .program = "test"};
    const struct doc *reply = fixture_ask(fixture, MSG_HELLO, &hello, NULL, 0);
    ck_assert_msg(reply != NULL, "no hello: %s", fixture->err.text);
    snprintf(fixture->url, sizeof(fixture->url), "%s", doc_str(reply, "status_url", ""));
}

void fixture_start(struct fixture *fixture)
{
    fixture->pid = fixture_spawn(fixture);
    fixture_connect(fixture);
    say_hello(fixture);
}

/* Connected, or the process has ended. */
static bool is_decided(void *arg)
{
    struct fixture *fixture = arg;
    int status = 0;
    if (waitpid(fixture->pid, &status, WNOHANG) == fixture->pid) {
        fixture->pid = 0;
        return true;
    }
    return try_connect(fixture);
}

bool fixture_try_start(struct fixture *fixture)
{
    drop_socket(fixture);
    fixture->context = sock_context_create();
    fixture->pid = fixture_spawn(fixture);
    ck_assert(test_wait(is_decided, fixture, 10000));
    if (fixture->pid == 0) {
        sock_context_destroy(fixture->context);
        return false;
    }
    say_hello(fixture);
    return true;
}

int fixture_end(struct fixture *fixture, int signal_number)
{
    int status = 0;
    kill(fixture->pid, signal_number);
    ck_assert_int_eq(waitpid(fixture->pid, &status, 0), fixture->pid);
    fixture->pid = 0;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void fixture_reset(struct fixture *fixture)
{
    arena_reset(&fixture->arena);
}

int64_t fixture_send(struct fixture *fixture, enum msg_id type, const void *body, const void *frame,
                     size_t size)
{
    const struct sock_frame frames[1] = {{.data = frame, .size = size}};
    struct err err = {0};
    int64_t id = ++fixture->id;
    int rc = sock_send(fixture->sock, NULL, type, id, body, frames, frame != NULL, &err);
    ck_assert_msg(rc >= 0, "send: %s", err.text);
    return id;
}

/* Receives one message; false after the deadline. */
static bool receive(struct fixture *fixture, struct msg *msg, int64_t end_us)
{
    struct sock_frame frames[SOCK_FRAMES_MAX];
    int n = 0;
    while (clock_us() < end_us) {
        if (!sock_pending(fixture->sock)) {
            sock_poll(fixture->sock, NULL, 0, 100);
        }
        if (sock_recv(fixture->sock, NULL, &fixture->arena, msg, frames, &n, NULL, &fixture->err) >=
            0) {
            return true;
        }
    }
    return false;
}

bool fixture_next(struct fixture *fixture, struct msg *ret)
{
    return receive(fixture, ret, clock_us() + test_patience_us(WAIT_MS));
}

void fixture_raw(struct fixture *fixture, const void *data, size_t size)
{
    char address[TEST_PATH];
    const int linger = 1000;
    if (fixture->raw == NULL) {
        test_path(address, "ipc://%s/r/control.sock", fixture->dir);
        fixture->raw_context = zmq_ctx_new();
        fixture->raw = zmq_socket(fixture->raw_context, ZMQ_DEALER);
        zmq_setsockopt(fixture->raw, ZMQ_LINGER, &linger, sizeof(linger));
        ck_assert_int_eq(zmq_connect(fixture->raw, address), 0);
    }
    ck_assert_int_eq(zmq_send(fixture->raw, data, size, 0), (int)size);
}

const struct doc *fixture_answer(struct fixture *fixture, int64_t id)
{
    int64_t end_us = clock_us() + test_patience_us(WAIT_MS);
    struct msg msg = {.id = 0};
    while (receive(fixture, &msg, end_us)) {
        if (msg.id != id) {
            continue; /* an event, or a late answer */
        }
        if (msg.type == MSG_REPLY) {
            return ((const struct msg_reply *)msg.body)->result;
        }
        ck_assert_int_eq((int)msg.type, MSG_ERROR);
        const struct msg_error *error = msg.body;
        err_set_at(&fixture->err, (int)error->code, error->path != NULL ? error->path : "", "%s",
                   error->text);
        return NULL;
    }
    ck_abort_msg("no answer to request %lld", (long long)id);
}

const struct doc *fixture_ask(struct fixture *fixture, enum msg_id type, const void *body,
                              const void *frame, size_t size)
{
    return fixture_answer(fixture, fixture_send(fixture, type, body, frame, size));
}

const struct doc *fixture_named(struct fixture *fixture, enum msg_id type, const char *name)
{
    const struct msg_named body = {.name = name};
    return fixture_ask(fixture, type, &body, NULL, 0);
}

const struct doc *fixture_event(struct fixture *fixture, const char *kind)
{
    int64_t end_us = clock_us() + test_patience_us(WAIT_MS);
    struct msg msg = {.id = 0};
    while (receive(fixture, &msg, end_us)) {
        fixture->event = msg.body;
        if (msg.type == MSG_EVENT && (kind == NULL || !strcmp(fixture->event->kind, kind))) {
            return fixture->event->data;
        }
    }
    return NULL;
}

/* ---- data sets
 * ---------------------------------------------------------------------------------------------- */

void fixture_content(int file, size_t bytes, unsigned seed, void *data)
{
    unsigned char *out = data;
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (unsigned char)((i * 31 + (size_t)file * 7 + seed * 13 + (i >> 11)) & 0xff);
    }
}

void fixture_list(int n, size_t bytes, unsigned seed, struct buf *list)
{
    struct arena arena;
    arena_init(&arena);
    unsigned char *data = malloc(bytes + 1);
    ck_assert_ptr_nonnull(data);
    struct doc *items = doc_new(&arena);
    doc_set_list(items);
    for (int i = 0; i < n; i++) {
        char id[HASH_ID_TEXT];
        fixture_content(i, bytes, seed, data);
        hash_bytes(data, bytes, id);
        struct doc *item = doc_push(items, &arena);
        doc_set_map(item);
        doc_put_str(item, &arena, "path", arena_printf(&arena, "train-%04d-ubyte", i));
        doc_put_int(item, &arena, "bytes", (int64_t)bytes);
        doc_put_str(item, &arena, "id", id);
    }
    msg_write_doc(items, list);
    free(data);
    arena_fini(&arena);
}

/* Sends what is missing, one chunk after the other. */
static int send_missing(struct fixture *fixture, const char *upload, const struct doc *have, int n,
                        size_t bytes, unsigned seed)
{
    unsigned char *data = malloc(bytes + 1);
    int n_chunks = 0;
    ck_assert_ptr_nonnull(data);
    for (int file = 0; file < n; file++) {
        fixture_content(file, bytes, seed, data);
        for (int64_t at = doc_at(have, (size_t)file)->i; at < (int64_t)bytes; at += CHUNK) {
            const struct msg_dataset_chunk chunk = {.upload = upload, .file = file, .offset = at};
            size_t size = bytes - (size_t)at < CHUNK ? bytes - (size_t)at : CHUNK;
            const struct doc *reply =
                fixture_ask(fixture, MSG_DATASET_CHUNK, &chunk, data + at, size);
            n_chunks++;
            if (reply == NULL) {
                free(data);
                return -1;
            }
        }
    }
    free(data);
    return n_chunks;
}

int fixture_put(struct fixture *fixture, const char *name, int n, size_t bytes, unsigned seed)
{
    const struct msg_dataset_begin begin = {.name = name, .kind = "auto"};
    struct buf list;
    buf_init(&list);
    fixture_list(n, bytes, seed, &list);
    const struct doc *reply = fixture_ask(fixture, MSG_DATASET_BEGIN, &begin, list.data, list.size);
    buf_fini(&list);
    if (reply == NULL) {
        return -1;
    }
    char upload[64];
    snprintf(upload, sizeof(upload), "%s", doc_str(reply, "upload", ""));
    int n_chunks = send_missing(fixture, upload, doc_get(reply, "have"), n, bytes, seed);
    const struct msg_dataset_commit commit = {.upload = upload};
    return n_chunks >= 0 && fixture_ask(fixture, MSG_DATASET_COMMIT, &commit, NULL, 0) == NULL
               ? -1
               : n_chunks;
}

/* ---- jobs
 * ---------------------------------------------------------------------------------------------------
 */

static int64_t send_job(struct fixture *fixture, const char *key, const char *fake)
{
    struct doc *job = NULL;
    struct buf text;
    struct err err = {0};
    buf_init(&text);
    buf_printf(
        &text,
        "{\"name\": \"Fake job\", \"data\": {\"train\": {\"dataset\": \"d\"}}, \"model\": [], "
        "\"compile\": {\"fake\": %s}}",
        fake);
    ck_assert_int_ge(
        doc_read_json(text.data, text.size, &doc_limits_default, &fixture->arena, &job, &err), 0);
    buf_fini(&text);
    const struct msg_job_submit submit = {.key = key, .job = job};
    return fixture_send(fixture, MSG_JOB_SUBMIT, &submit, NULL, 0);
}

int64_t fixture_submit_only(struct fixture *fixture, const char *fake)
{
    return send_job(fixture, NULL, fake);
}

const struct doc *fixture_submit(struct fixture *fixture, const char *key, const char *fake)
{
    return fixture_answer(fixture, send_job(fixture, key, fake));
}

const struct doc *fixture_wait_state(struct fixture *fixture, const char *job, const char *state)
{
    const struct msg_job_watch watch = {.name = job};
    char name[64];
    snprintf(name, sizeof(name), "%s", job);
    ck_assert_ptr_nonnull(fixture_ask(fixture, MSG_JOB_WATCH, &watch, NULL, 0));
    for (;;) {
        const struct doc *data = fixture_event(fixture, NULL);
        ck_assert_msg(data != NULL, "job %s never came to '%s'", name, state);
        bool kind =
            !strcmp(fixture->event->kind, "snapshot") || !strcmp(fixture->event->kind, "state");
        if (kind && !strcmp(doc_str(data, "state", ""), state)) {
            return data;
        }
    }
}

/* ---- HTTP
 * ---------------------------------------------------------------------------------------------------
 */

int fixture_get(struct fixture *fixture, const char *request, struct buf *out)
{
    return fixture_send_bytes(fixture, request, strlen(request), out);
}

int fixture_send_bytes(struct fixture *fixture, const void *data, size_t size, struct buf *out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *colon = strrchr(fixture->url, ':');
    struct buf text;
    char piece[4096];
    int port = 0;
    int status = 0;
    ssize_t n = 0;
    ck_assert(colon != NULL && sscanf(colon, ":%d", &port) == 1);
    address.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int ms = fixture->http_ms > 0 ? fixture->http_ms : 10000;
    const struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    /* The server may close before it has read everything. */
    (void)!send(fd, data, size, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    buf_init(&text);
    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0) {
        buf_put(&text, piece, (size_t)n);
    }
    close(fd);
    if (text.data == NULL || sscanf(text.data, "HTTP/1.1 %d", &status) != 1) {
        status = 0;
    }
    if (out != NULL && text.data != NULL) {
        buf_put(out, text.data, text.size);
    }
    buf_fini(&text);
    return status;
}

void fixture_put_digits(struct fixture *f)
{
    enum { N_FILES = 4 };
    static const char *const files[N_FILES] = {
        "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz"};
    struct doc *list = doc_new(&f->arena);
    struct buf data[N_FILES];
    struct buf text;
    doc_set_list(list);
    for (int i = 0; i < N_FILES; i++) {
        char id[HASH_ID_TEXT], path[2 * TEST_PATH];
        buf_init(&data[i]);
        (void)snprintf(path, sizeof(path), "%s/examples/digits/%s", test_source_root(), files[i]);
        ck_assert_int_ge(file_read(AT_FDCWD, path, 1 << 24, &data[i], NULL), 0);
        hash_bytes(data[i].data, data[i].size, id);
        struct doc *item = doc_push(list, &f->arena);
        doc_set_map(item);
        doc_put_str(item, &f->arena, "path", files[i]);
        doc_put_int(item, &f->arena, "bytes", (int64_t)data[i].size);
        doc_put_str(item, &f->arena, "id", id);
    }
    buf_init(&text);
    msg_write_doc(list, &text);
    const struct msg_dataset_begin begin = {.name = "digits", .kind = "auto"};
    const struct doc *reply = fixture_ask(f, MSG_DATASET_BEGIN, &begin, text.data, text.size);
    ck_assert_msg(reply != NULL, "%s", f->err.text);
    for (int i = 0; i < N_FILES; i++) {
        for (size_t at = 0; at < data[i].size; at += CHUNK) {
            const struct msg_dataset_chunk chunk = {
                .upload = doc_str(reply, "upload", ""), .file = i, .offset = (int64_t)at};
            const size_t size = data[i].size - at < CHUNK ? data[i].size - at : CHUNK;
            ck_assert_ptr_nonnull(
                fixture_ask(f, MSG_DATASET_CHUNK, &chunk, data[i].data + at, size));
        }
        buf_fini(&data[i]);
    }
    const struct msg_dataset_commit commit = {.upload = doc_str(reply, "upload", "")};
    ck_assert_ptr_nonnull(fixture_ask(f, MSG_DATASET_COMMIT, &commit, NULL, 0));
    buf_fini(&text);
}
