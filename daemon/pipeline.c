#include "daemon/pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/drain.h"
#include "daemon/fds.h"
#include "daemon/process.h"
#include "daemon/run.h"
#include "daemon/submit.h"
#include "proto/slab.h"

enum { PREVIEW_BYTES = 32 << 20, FRAMES_MAX = SLAB_FIELDS_MAX };

struct ask {
    struct ask *next;
    struct daemon *daemon;
    struct request request;
    struct arena arena;
    struct fds fds;
    struct process *process;
    uv_timer_t timer;
    int slab_fd; /* of a preview or of what is saved, or -1 */
    bool answered;
    struct check_input input;
    struct drain_input drain; /* of a run; workers 0: it is none */
    struct drain *running;
};

/* ---- the end ----------------------------------------------------------------------------------
 */

static void on_closed(uv_handle_t *handle)
{
    struct ask *ask = handle->data;
    fds_fini(&ask->fds);
    if (ask->slab_fd >= 0) {
        close(ask->slab_fd);
    }
    arena_fini(&ask->arena);
    free(ask);
}

static void leave(struct ask *ask)
{
    struct ask **link = &ask->daemon->asks;
    while (*link != ask) {
        link = &(*link)->next;
    }
    *link = ask->next;
    uv_close((uv_handle_t *)&ask->timer, on_closed);
}

static void fail(struct ask *ask, const struct err *err)
{
    if (!ask->answered) {
        ask->answered = true;
        control_error(ask->daemon, &ask->request, err);
    }
}

static void on_timeout(uv_timer_t *timer)
{
    struct ask *ask = timer->data;
    struct err err = {0};
    err_set(&err, ERR_TIMEOUT, "it took longer than %lld seconds (check_seconds)",
            (long long)ask->daemon->settings->check_seconds);
    fail(ask, &err);
    process_kill(ask->process, PROCESS_TIMEOUT);
}

static void on_drained(void *context, const struct doc *result, const struct err *err)
{
    struct ask *ask = context;
    ask->running = NULL;
    if (result == NULL) {
        fail(ask, err);
    } else if (!ask->answered) {
        ask->answered = true;
        control_reply(ask->daemon, &ask->request, result);
    }
    leave(ask);
}

/* The plan is there: now those who carry it out. */
static void go_on(struct ask *ask)
{
    struct err err = {0};
    uv_timer_stop(&ask->timer);
    if (ask->daemon->stopping ||
        drain_start(ask->daemon, &ask->drain, on_drained, ask, &ask->running, &err) < 0) {
        err_set(&err, err.code != 0 ? err.code : ERR_GONE, "%s",
                err.code != 0 ? err.text : "the daemon is stopping");
        fail(ask, &err);
        leave(ask);
    }
}

static void on_end(struct process *process, void *context)
{
    struct ask *ask = context;
    ask->process = NULL;
    if (ask->drain.plan != NULL && !ask->answered) {
        go_on(ask);
        return;
    }
    char text[256];
    struct err err = {0};
    process_end_text(process, text, sizeof(text));
    err_set(&err, ERR_INTERNAL, "the worker that looks at the pipeline %s", text);
    fail(ask, &err);
    leave(ask);
}

static void stop(struct ask *ask)
{
    if (ask->process != NULL) {
        process_kill(ask->process, PROCESS_STOPPED);
    }
    if (ask->running != NULL) {
        drain_stop(ask->running);
    }
}

void pipeline_stop(struct daemon *daemon)
{
    for (struct ask *ask = daemon->asks; ask != NULL; ask = ask->next) {
        stop(ask);
    }
}

void pipeline_tick(struct daemon *daemon)
{
    for (struct ask *ask = daemon->asks; ask != NULL; ask = ask->next) {
        if (!ask->answered && !control_is_there(daemon, &ask->request.peer)) {
            ask->answered = true; /* nobody is there to be told */
            log_put(daemon->log, LOG_LEVEL_INFO, "a client left; its pipeline is stopped",
                    LOG_NUMBER("uid", ask->request.uid));
            stop(ask);
        }
    }
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* What a job of this pipeline takes: the batches that all its processes share, and each worker. */
static void put_memory(const struct ask *ask, struct doc *map, struct arena *arena)
{
    const struct settings *settings = ask->daemon->settings;
    const struct doc *train = doc_find(map, "streams.train");
    const int64_t prefetch = train != NULL ? doc_int(train, "prefetch", 0) : 0;
    const int64_t slab_bytes = doc_int(map, "slab_bytes", 0);
    const int64_t slabs = run_slabs(ask->daemon, slab_bytes, prefetch);
    const int64_t resident = doc_int(map, "resident_bytes", 0);
    const int64_t scratch = doc_int(map, "scratch_bytes", 0);
    struct doc *memory = doc_put(map, arena, "memory");
    doc_set_map(memory);
    doc_put_int(memory, arena, "slab_bytes", slab_bytes);
    doc_put_int(memory, arena, "slabs", slabs);
    doc_put_int(memory, arena, "shared_bytes", slabs * slab_bytes);
    doc_put_int(memory, arena, "shared_limit_bytes", settings->slab_memory_bytes);
    doc_put_int(memory, arena, "worker_bytes", resident + scratch);
    doc_put_int(memory, arena, "worker_limit_bytes", settings->worker_memory_bytes);
}

/* Frames lie in memory that the worker wrote: only places inside it are believed. */
static int find_frames(const struct doc *result, const struct slab *slab,
                       struct sock_frame frames[FRAMES_MAX], struct err *err)
{
    const struct doc *list = doc_get(result, "frames");
    const size_t n = list != NULL && list->type == DOC_LIST ? list->n : 0;
    if (n > FRAMES_MAX) {
        return err_set(err, ERR_INTERNAL, "the worker gave %zu frames", n);
    }
    for (size_t i = 0; i < n; i++) {
        const int64_t offset = doc_int(&list->items[i], "offset", -1);
        const int64_t bytes = doc_int(&list->items[i], "bytes", -1);
        if (offset < 0 || bytes < 0 || (uint64_t)offset > slab->slab_bytes ||
            (uint64_t)bytes > slab->slab_bytes - (uint64_t)offset) {
            return err_set(err, ERR_INTERNAL, "the worker gave a frame outside its memory");
        }
        frames[i] = (struct sock_frame){slab_at(slab, 0) + offset, (size_t)bytes};
    }
    return (int)n;
}

static void answer_rows(struct ask *ask, const struct doc *result)
{
    struct sock_frame frames[FRAMES_MAX];
    struct slab slab = {.header = NULL};
    struct err err = {0};
    int rc = slab_map(ask->slab_fd, &slab, &err);
    rc = rc < 0 ? rc : find_frames(result, &slab, frames, &err);
    if (rc < 0) {
        fail(ask, &err);
    } else {
        ask->answered = true;
        control_reply_frames(ask->daemon, &ask->request, result, frames, rc);
    }
    slab_unmap(&slab);
}

static void on_message(struct process *process, const struct msg *msg, void *context)
{
    struct ask *ask = context;
    if (msg->type == MSG_CHILD_FAILED) {
        fail(ask, &process->failure);
    }
    if (msg->type != MSG_CHILD_RESULT || ask->answered) {
        return;
    }
    const struct doc *result = ((const struct msg_child_result *)msg->body)->result;
    if (ask->slab_fd >= 0) {
        answer_rows(ask, result);
        return;
    }
    struct doc *map = doc_new(&ask->arena);
    doc_copy(map, &ask->arena, result);
    if (ask->drain.workers > 0) {
        ask->drain.plan = map;
        return;
    }
    put_memory(ask, map, &ask->arena);
    ask->answered = true;
    control_reply(ask->daemon, &ask->request, map);
}

/* ---- the start --------------------------------------------------------------------------------
 */

static int add_files(struct ask *ask, const struct check_input *input, struct err *err)
{
    int fd = -1;
    int rc = fds_memory("job", input->text, input->size, &fd, err);
    rc = rc < 0 ? rc : fds_add(&ask->fds, "job", fd, true, err);
    if (rc >= 0) {
        rc = fds_add_pins(&ask->fds, ask->daemon, input->pins, input->n_pins, &ask->arena, err);
    }
    return rc < 0 || ask->slab_fd < 0 ? rc : fds_add(&ask->fds, "slab", ask->slab_fd, false, err);
}

static int send_start(struct ask *ask, const char *mode, const struct doc *settings,
                      struct err *err)
{
    struct msg_child_start start;
    opt_defaults(msg_child_start_options, &start, &ask->arena);
    start.mode = mode;
    start.job = "preview";
    start.settings = settings;
    return fds_send_start(&ask->fds, ask->process, &start, err);
}

static int count_asks(const struct daemon *daemon)
{
    int n = 0;
    for (const struct ask *ask = daemon->asks; ask != NULL; ask = ask->next) {
        n++;
    }
    return n;
}

static int start_worker(struct ask *ask, const struct doc *job, struct err *err)
{
    struct check_input *input = &ask->input;
    if (count_asks(ask->daemon) > ask->daemon->settings->max_previews) {
        return err_set(err, ERR_BUSY, "%lld pipelines are looked at already (max_previews)",
                       (long long)ask->daemon->settings->max_previews);
    }
    int rc = submit_read(ask->daemon, job, &ask->arena, input, err);
    ask->drain.job = input;
    rc = rc < 0 ? rc : add_files(ask, input, err);
    return rc < 0 ? rc
                  : process_start(ask->daemon, ROLE_WORKER_CHECKER, 1, on_message, on_end, ask,
                                  &ask->process, err);
}

static struct ask *new_ask(struct daemon *daemon, const struct request *request)
{
    struct ask *ask = calloc(1, sizeof(*ask));
    BUG_ON(ask == NULL);
    ask->daemon = daemon;
    ask->request = *request;
    ask->slab_fd = -1;
    ask->next = daemon->asks;
    daemon->asks = ask;
    daemon->counters[COUNT_PREVIEWS]++;
    arena_init(&ask->arena);
    uv_timer_init(daemon->loop, &ask->timer);
    ask->timer.data = ask;
    return ask;
}

static void go(struct ask *ask, const char *mode, const struct doc *job, struct doc *settings)
{
    struct err err = {0};
    if (start_worker(ask, job, &err) < 0) {
        fail(ask, &err);
        leave(ask);
        return;
    }
    const struct settings *limits = ask->daemon->settings;
    uv_timer_start(&ask->timer, on_timeout, (uint64_t)limits->check_seconds * 1000, 0);
    doc_put_bool(settings, &ask->arena, "sandbox", limits->sandbox);
    doc_put_int(settings, &ask->arena, "memory_bytes", limits->check_memory_bytes);
    if (send_start(ask, mode, settings, &err) < 0) {
        fail(ask, &err);
        process_kill(ask->process, PROCESS_STOPPED);
    }
}

void pipeline_on_explain(struct daemon *daemon, const struct request *request, const void *body,
                         const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_pipeline_explain *wish = body;
    struct ask *ask = new_ask(daemon, request);
    struct doc *settings = doc_new(&ask->arena);
    doc_set_map(settings);
    go(ask, "explain", wish->job, settings);
}

/* With memory for what the worker makes. */
static void go_with_memory(struct ask *ask, const char *mode, const struct doc *job,
                           struct doc *settings)
{
    struct err err = {0};
    if (slab_create(1, PREVIEW_BYTES, &ask->slab_fd, &err) < 0) {
        fail(ask, &err);
        leave(ask);
        return;
    }
    go(ask, mode, job, settings);
}

void pipeline_on_preview(struct daemon *daemon, const struct request *request, const void *body,
                         const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_pipeline_preview *wish = body;
    struct ask *ask = new_ask(daemon, request);
    struct doc *settings = doc_new(&ask->arena);
    doc_set_map(settings);
    doc_put_int(settings, &ask->arena, "stream", wish->stream);
    doc_put_int(settings, &ask->arena, "epoch", wish->epoch);
    doc_put_int(settings, &ask->arena, "step", wish->step);
    doc_put_int(settings, &ask->arena, "rows", wish->rows);
    go_with_memory(ask, "preview", wish->job, settings);
}

void pipeline_on_save(struct daemon *daemon, const struct request *request, const void *body,
                      const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_pipeline_save *wish = body;
    struct ask *ask = new_ask(daemon, request);
    struct doc *settings = doc_new(&ask->arena);
    doc_set_map(settings);
    doc_put_int(settings, &ask->arena, "stream", wish->stream);
    doc_put_int(settings, &ask->arena, "epoch", wish->epoch);
    doc_put_int(settings, &ask->arena, "begin", wish->begin);
    doc_put_int(settings, &ask->arena, "kept", wish->kept);
    doc_put_int(settings, &ask->arena, "place", wish->place);
    go_with_memory(ask, "save", wish->job, settings);
}

void pipeline_on_run(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_pipeline_run *wish = body;
    const double most = (double)daemon->settings->drain_seconds;
    struct ask *ask = new_ask(daemon, request);
    struct doc *settings = doc_new(&ask->arena);
    doc_set_map(settings);
    ask->drain = (struct drain_input){.steps = wish->steps,
                                      .workers = drain_workers(wish->job, wish->workers),
                                      .seconds = wish->seconds < most ? wish->seconds : most};
    go(ask, "check", wish->job, settings);
}
