/* A worker and a trainer that only speak the protocol, so that the supervisor is tested alone. What
 * the trainer does stands in the job at compile.fake; which of the two it is says its name. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "proto/child.h"

struct fake {
    struct arena arena;
    struct msg_child_start start;
    struct child_fds fds;
    const struct doc *job;
    const struct doc *script; /* compile.fake */
    int64_t step, n_steps;
    bool stop;
};

static void say(enum msg_id type, const void *body)
{
    struct err err = {0};
    if (child_send(CHILD_FD, type, body, NULL, &err) < 0) {
        _exit(3);
    }
}

static const struct doc *read_doc(struct fake *fake, const char *name)
{
    struct buf text;
    struct doc *doc = NULL;
    struct err err = {0};
    int fd = child_fd(&fake->start, &fake->fds, name);
    buf_init(&text);
    /* The descriptor is shared with others: from the beginning, without moving it. */
    buf_reserve(&text, 1 << 20);
    int64_t n = fd >= 0 ? file_pread(fd, text.data, 1 << 20, 0, &err) : -1;
    text.size = n > 0 ? (size_t)n : 0;
    if (n > 0) {
        doc_read_json(text.data, text.size, &doc_limits_default, &fake->arena, &doc, &err);
    }
    buf_fini(&text);
    return doc;
}

static void fail(int code, const char *path, const char *text)
{
    const struct msg_error error = {.code = code, .path = path, .text = text};
    say(MSG_CHILD_FAILED, &error);
    _exit(1);
}

static void result(struct fake *fake, const char *json)
{
    struct doc *doc = NULL;
    struct err err = {0};
    if (doc_read_json(json, strlen(json), &doc_limits_default, &fake->arena, &doc, &err) < 0) {
        _exit(4);
    }
    const struct msg_child_result body = {.result = doc};
    say(MSG_CHILD_RESULT, &body);
}

/* As a pipeline keeps what it computed. */
static void keep(struct fake *fake)
{
    static const char bytes[4096] = "kept";
    const int64_t n = doc_int(fake->script, "keep", 0);
    const int folder = child_fd(&fake->start, &fake->fds, "kept");
    if (n == 0) {
        return;
    }
    int fd = folder < 0 ? -1 : openat(folder, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(ERR_INTERNAL, "", "no folder to keep in");
    }
    for (int64_t at = 0; at < n; at += (int64_t)sizeof(bytes)) {
        if (write(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes)) {
            fail(ERR_IO, "", "the kept file cannot be written");
        }
    }
    close(fd);
}

static void check(struct fake *fake, bool trainer)
{
    if (!trainer) {
        keep(fake);
    }
    if (!trainer && doc_bool(fake->script, "check_hangs", false)) {
        pause();
    }
    if (!trainer && doc_bool(fake->script, "check_dies", false)) {
        raise(SIGSEGV);
    }
    if (!trainer && doc_str(fake->script, "refuse", NULL) != NULL) {
        fail(ERR_UNKNOWN, "pipeline[1].map[0]", doc_str(fake->script, "refuse", ""));
    }
    if (!trainer && child_fd(&fake->start, &fake->fds, "blobs") < 0) {
        fail(ERR_INTERNAL, "", "no blobs");
    }
    if (!trainer && doc_str(fake->script, "prepare", NULL) != NULL) {
        result(fake, "{\"missing\": {\"path\": \"pipeline[0].filter\", \"what\": \"keys\", "
                     "\"parts\": 4, \"made\": 0, \"part_elements\": 10, \"elements\": 40}}");
        return;
    }
    if (trainer && read_doc(fake, "plan") == NULL) {
        fail(ERR_INTERNAL, "", "no plan");
    }
    result(
        fake,
        trainer
            ? "{\"parameters\": 12}"
            : "{\"slab_bytes\": 4096, \"streams\": {\"train\": {\"prefetch\": 2, \"steps\": 10}}}");
}

/* A worker that makes no part: it dies at one, hangs the first time, or says that it is done. */
static void prepare(struct fake *fake)
{
    const char *how = doc_str(fake->script, "prepare", "");
    const struct msg_child_part part = {.part = 2};
    const int folder = child_fd(&fake->start, &fake->fds, "kept");
    say(MSG_CHILD_PART, &part);
    if (!strcmp(how, "dies")) {
        raise(SIGSEGV);
    }
    if (!strcmp(how, "hangs") &&
        openat(folder, "hung", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0) {
        pause();
    }
    if (!strcmp(how, "fails")) {
        fail(ERR_DATA, "pipeline[0].filter", "a sample is bad");
    }
    result(fake, "{}");
}

/* Whatever the job says, as a text of JSON. */
static void answer(struct fake *fake)
{
    if (doc_bool(fake->script, "check_hangs", false)) {
        pause();
    }
    if (doc_bool(fake->script, "check_dies", false)) {
        raise(SIGSEGV);
    }
    result(fake, doc_str(fake->script, "answer", "{}"));
}

/* Waits and does what the daemon says meanwhile. */
static void listen(struct fake *fake, int ms)
{
    struct arena arena;
    struct child_fds fds = {.n = 0};
    struct msg msg = {.id = 0};
    struct err err = {0};
    arena_init(&arena);
    int rc = child_recv(CHILD_FD, ms, &arena, &msg, &fds, &err);
    if (rc == ERR_GONE) {
        _exit(2);
    }
    if (rc >= 0 && msg.type == MSG_CHILD_STOP) {
        fake->stop = true;
    }
    if (rc >= 0 && msg.type == MSG_CHILD_WORKER_GONE) {
        const struct msg_child_worker *gone = msg.body;
        char text[64];
        snprintf(text, sizeof(text), "told that worker %lld is gone", (long long)gone->worker);
        const struct msg_child_log line = {.level = 2, .text = text};
        say(MSG_CHILD_LOG, &line);
    }
    if (rc >= 0 && msg.type == MSG_CHILD_WORKER_NEW &&
        doc_bool(fake->script, "kill_worker", false) && fake->step < 10) {
        struct msg_child_worker kill_it = *(const struct msg_child_worker *)msg.body;
        kill_it.reason = "its lease expired";
        say(MSG_CHILD_KILL, &kill_it);
    }
    if (rc >= 0 && msg.type == MSG_CHILD_QUARANTINED) {
        const struct msg_child_log line = {.level = 2,
                                           .text = "told that the conviction is durable"};
        say(MSG_CHILD_LOG, &line);
    }
    arena_fini(&arena);
}

static void save(struct fake *fake, const char *reason)
{
    char text[32];
    struct err err = {0};
    int folder = child_fd(&fake->start, &fake->fds, "jobdir");
    int n = snprintf(text, sizeof(text), "%lld", (long long)fake->step);
    if (file_write_atomic(folder, "fake.keras", text, (size_t)n, &err) < 0) {
        const struct msg_child_paused paused = {.code = err.code, .text = err.text};
        say(MSG_CHILD_PAUSED, &paused);
        _exit(0);
    }
    const struct msg_child_checkpoint body = {.file = "fake.keras",
                                              .epoch = 0,
                                              .step = fake->step,
                                              .global_step = fake->step,
                                              .reason = reason,
                                              .tensors = "t"};
    say(MSG_CHILD_CHECKPOINT, &body);
}

static void load(struct fake *fake)
{
    struct buf text;
    int64_t step = 0;
    int folder = child_fd(&fake->start, &fake->fds, "jobdir");
    buf_init(&text);
    if (file_read(folder, "fake.keras", 64, &text, NULL) >= 0 && doc_parse_int(text.data, &step)) {
        fake->step = step;
    }
    buf_fini(&text);
}

/* True once: a marker in the job's folder remembers it over deaths. */
static bool once(struct fake *fake, const char *name)
{
    int folder = child_fd(&fake->start, &fake->fds, "jobdir");
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void at_step(struct fake *fake)
{
    const struct doc *script = fake->script;
    if (fake->step == doc_int(script, "die_at", -1) && once(fake, "died")) {
        raise(SIGKILL);
    }
    if (fake->step == doc_int(script, "always_die_at", -1)) {
        abort();
    }
    if (fake->step == doc_int(script, "fail_at", -1)) {
        fail(ERR_NOT_FINITE, "", "the loss is NaN");
    }
    if (fake->step == doc_int(script, "hang_at", -1) && once(fake, "hung")) {
        pause();
    }
    if (fake->step == doc_int(script, "pause_at", -1) && once(fake, "paused")) {
        const struct msg_child_paused paused = {.code = doc_int(script, "pause_code", ERR_NO_SPACE),
                                                .text = "made up"};
        say(MSG_CHILD_PAUSED, &paused);
        _exit(0);
    }
    if (fake->step == doc_int(script, "workers_at", -1)) {
        const struct msg_child_workers body = {
            .n = doc_int(script, "workers", 1), .prefetch = 2, .reason = "made up"};
        say(MSG_CHILD_WORKERS, &body);
    }
    if (fake->step == doc_int(script, "quarantine_at", -1)) {
        const struct msg_child_quarantine body = {.seq = 7,
                                                  .stream = "train",
                                                  .sample = 3,
                                                  .path = "a/b.jpg",
                                                  .offset = 4096,
                                                  .reason = "made up",
                                                  .convicted = true};
        say(MSG_CHILD_QUARANTINE, &body);
    }
}

static void train(struct fake *fake)
{
    int64_t step_ms = doc_int(fake->script, "step_ms", 2);
    fake->n_steps = doc_int(fake->script, "steps", 50);
    load(fake);
    while (fake->step < fake->n_steps && !fake->stop) {
        listen(fake, (int)step_ms);
        fake->step++;
        const struct msg_child_progress progress = {
            .epochs = 1, .step = fake->step, .steps = fake->n_steps, .global_step = fake->step};
        say(MSG_CHILD_PROGRESS, &progress);
        at_step(fake);
        if (fake->step % 10 == 0) {
            save(fake, "steps");
        }
    }
    if (fake->stop) {
        save(fake, "stop");
        _exit(0);
    }
    const struct msg_child_epoch epoch = {.epoch = 0};
    say(MSG_CHILD_EPOCH, &epoch);
    save(fake, "end");
    result(fake, "{\"file\": \"fake.keras\"}");
}

int main(int argc, char **argv)
{
    struct fake fake = {.step = 0};
    struct msg msg = {.id = 0};
    struct err err = {0};
    bool trainer = argc > 0 && strstr(argv[0], "trainer") != NULL;
    arena_init(&fake.arena);
    if (child_begin(&err) < 0 ||
        child_recv(CHILD_FD, 10000, &fake.arena, &msg, &fake.fds, &err) < 0 ||
        msg.type != MSG_CHILD_START) {
        _exit(5);
    }
    fake.start = *(const struct msg_child_start *)msg.body;
    fake.job = read_doc(&fake, "job");
    fake.script = doc_find(fake.job, "compile.fake");
    if (!strcmp(fake.start.mode, "check")) {
        check(&fake, trainer);
        _exit(0);
    }
    if (!strcmp(fake.start.mode, "explain") || !strcmp(fake.start.mode, "preview")) {
        answer(&fake);
        _exit(0);
    }
    if (!strcmp(fake.start.mode, "prepare")) {
        prepare(&fake);
        _exit(0);
    }
    if (!strcmp(fake.start.mode, "predict")) {
        result(&fake, "{\"predictions\": [[0.25, 0.75]]}");
        _exit(0);
    }
    if (!trainer && doc_bool(fake.script, "worker_dies", false)) {
        _exit(9);
    }
    const struct msg_child_ready ready = {.pid = getpid(), .sandbox = "fake"};
    say(MSG_CHILD_READY, &ready);
    if (trainer) {
        train(&fake);
        _exit(0);
    }
    while (!fake.stop) {
        listen(&fake, -1);
    }
    _exit(0);
}
