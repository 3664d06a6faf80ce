#include "workers/loop.h"

#include <unistd.h>

#include "base/clock.h"
#include "workers/jail.h"
#include "workers/output.h"

enum {
    LOOK_MS = 1000,           /* how often a silent connection is looked at */
    LOOK_EVERY_US = 2000,     /* how often the daemon is listened to between chunks */
    LINGER_MS = 2000,         /* for the last message */
    STAGES_EVERY_US = 200000, /* times an op travel only so often: a token stays small */
    STOP = 1,
};

struct loop {
    const struct inputs *inputs;
    struct sock_context *context;
    struct sock *sock;
    struct pipeline *pipeline;
    struct output output;
    struct arena chunk; /* reset for each message */
    int64_t stages_sent_us, looked_us;
};

/* ---- a chunk -------------------------------------------------------------------------------- */

static const struct doc *stage_times(struct loop *loop, int64_t now_us)
{
    struct doc *times = doc_new(&loop->chunk);
    doc_set_map(times);
    pipeline_stage_times(loop->pipeline, times,
                         &loop->chunk); /* always: it starts the next chunk from zero */
    if (!loop->inputs->settings.profile && now_us - loop->stages_sent_us < STAGES_EVERY_US) {
        return NULL;
    }
    loop->stages_sent_us = now_us;
    return times;
}

static int make_rows(struct loop *loop, const struct msg_chunk_make *make,
                     struct msg_chunk_done *done, unsigned char **batch, struct err *err)
{
    int rc = output_place(&loop->output, make, batch, err);
    if (rc < 0) {
        return rc;
    }
    int64_t begin_us = clock_us();
    int64_t waited_us = loop->inputs->feeding->waited_us;
    struct pipeline_progress progress = {.in_flight = loop->output.in_flight};
    rc = pipeline_run(loop->pipeline, make, &loop->output.layout[make->stream], *batch, &progress,
                      &loop->chunk, &done->bad, err);
    loop->output.in_flight->row = -1;
    if (rc < 0) {
        return rc;
    }
    int64_t end_us = clock_us();
    done->us = end_us - begin_us - (loop->inputs->feeding->waited_us - waited_us);
    done->stages = stage_times(loop, end_us);
    return 0;
}

static void send_failed(struct loop *loop, int64_t id, const struct err *failure)
{
    struct msg_error body = {
        .code = failure->code, .line = failure->line, .path = failure->path, .text = failure->text};
    /* Its end says enough if this does not arrive. */
    (void)sock_send(loop->sock, NULL, MSG_CHUNK_FAILED, id, &body, NULL, 0, NULL);
}

static int make_chunk(struct loop *loop, int64_t id, const struct msg_chunk_make *make,
                      struct err *err)
{
    struct sock_frame frames[SLAB_FIELDS_MAX];
    unsigned char *batch = NULL;
    struct msg_chunk_done done = {
        .stream = make->stream,
        .epoch = make->epoch,
        .step = make->step,
        .begin = make->begin,
        .end = make->end,
        .slab = make->slab,
        .generation = make->generation,
    };
    int rc = make_rows(loop, make, &done, &batch, err);
    if (rc == ERR_GONE) { /* while it waited for a client */
        return rc;
    }
    if (rc < 0) {
        send_failed(loop, id, err);
        return rc;
    }
    int n_frames = output_frames(&loop->output, make, batch, frames);
    return sock_send(loop->sock, NULL, MSG_CHUNK_DONE, id, &done, frames, n_frames, err);
}

/* ---- waiting for a client ---------------------------------------------------------------------
 */

static int tell_waiting(void *context, struct err *err)
{
    struct loop *loop = context;
    const struct msg_chunk_wait body = {.worker = loop->inputs->start->worker};
    if (sock_lost(loop->sock)) {
        return err_set(err, ERR_GONE, "the trainer is gone");
    }
    return sock_send(loop->sock, NULL, MSG_CHUNK_WAIT, 0, &body, NULL, 0, err);
}

/* ---- messages ------------------------------------------------------------------------------- */

/* ret_is_idle: nothing was there. */
static int on_trainer(struct loop *loop, bool *ret_is_idle, struct err *err)
{
    struct msg msg;
    arena_reset(&loop->chunk);
    int rc = sock_recv(loop->sock, NULL, &loop->chunk, &msg, NULL, NULL, NULL, err);
    *ret_is_idle = rc == ERR_TIMEOUT;
    if (rc < 0) {
        return *ret_is_idle ? 0 : rc;
    }
    if (msg.type != MSG_CHUNK_MAKE) {
        return err_set(err, ERR_INVALID, "the trainer sent '%s'", msg_table[msg.type].name);
    }
    return make_chunk(loop, msg.id, msg.body, err);
}

/* STOP, 0 or an error. */
static int on_daemon(struct loop *loop, struct err *err)
{
    struct msg msg;
    arena_reset(&loop->chunk);
    int rc = child_recv(CHILD_FD, 0, &loop->chunk, &msg, NULL, err);
    if (rc == ERR_TIMEOUT) {
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    return msg.type == MSG_CHILD_STOP ? STOP : 0;
}

/* What is no chunk: the daemon's word, the end of the connection. */
static int look_around(struct loop *loop, int timeout_ms, struct err *err)
{
    static const int daemon_fd = CHILD_FD;
    const int ready = sock_poll(loop->sock, &daemon_fd, 1, timeout_ms);
    const int rc = (ready & 2) != 0 ? on_daemon(loop, err) : 0;
    loop->looked_us = clock_us();
    return rc == 0 && sock_lost(loop->sock) ? err_set(err, ERR_GONE, "the trainer is gone") : rc;
}

/* A look costs as much as a small chunk, so while there are chunks it is taken only so often. */
static int serve(struct loop *loop, struct err *err)
{
    for (;;) {
        bool is_idle = false;
        int rc = on_trainer(loop, &is_idle, err);
        if (rc == 0 && (is_idle || clock_us() - loop->looked_us >= LOOK_EVERY_US)) {
            rc = look_around(loop, is_idle ? LOOK_MS : 0, err);
        }
        if (rc != 0) {
            return rc == STOP ? 0 : rc;
        }
    }
}

/* ---- start ---------------------------------------------------------------------------------- */

static int connect_trainer(struct loop *loop, struct err *err)
{
    const char *address = loop->inputs->start->address;
    if (address == NULL) {
        return err_set(err, ERR_MISSING, "the start message has no address");
    }
    struct sock_options options = {.no_reconnect = true, .linger_ms = LINGER_MS};
    loop->context = sock_context_create();
    return sock_open_dealer(loop->context, address, &options, &loop->sock, err);
}

static int build(struct loop *loop, struct inputs *inputs, struct arena *arena, struct err *err)
{
    int rc = inputs_read(inputs, arena, err);
    if (rc == 0) {
        inputs->feeding->beat = tell_waiting;
        inputs->feeding->context = loop;
        rc = pipeline_compile(&inputs->job, &inputs->store, arena, &loop->pipeline, err);
    }
    return rc < 0 ? rc : output_open(&loop->output, inputs, loop->pipeline, arena, err);
}

static int report(struct loop *loop, const struct jail *jail, struct err *err)
{
    struct msg_chunk_hello hello = {.worker = loop->inputs->start->worker,
                                    .pid = getpid(),
                                    .pipeline = pipeline_id(loop->pipeline)};
    int rc = sock_send(loop->sock, NULL, MSG_CHUNK_HELLO, 0, &hello, NULL, 0, err);
    struct msg_child_ready ready = {.pid = getpid(), .sandbox = jail_name(jail)};
    return rc < 0 ? rc : child_send(CHILD_FD, MSG_CHILD_READY, &ready, NULL, err);
}

static int start(struct loop *loop, struct inputs *inputs, struct arena *arena, struct err *err)
{
    struct jail jail;
    int rc = jail_files(&jail, SANDBOX_PROFILE_WORKER, inputs, err);
    if (rc == 0) {
        rc = connect_trainer(loop, err);
    }
    if (rc == 0) {
        rc = jail_calls(&jail, err);
    }
    if (rc == 0) {
        rc = build(loop, inputs, arena, err);
    }
    return rc < 0 ? rc : report(loop, &jail, err);
}

int loop_run(struct inputs *inputs, struct arena *arena, struct err *err)
{
    struct loop loop = {.inputs = inputs};
    arena_init(&loop.chunk);
    int rc = start(&loop, inputs, arena, err);
    if (rc == 0) {
        rc = serve(&loop, err);
    }
    output_close(&loop.output);
    pipeline_destroy(loop.pipeline);
    sock_close(loop.sock);
    sock_context_destroy(loop.context);
    arena_fini(&loop.chunk);
    return rc;
}
