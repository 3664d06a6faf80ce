#include "daemon/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/actions.h"
#include "daemon/blob_gc.h"
#include "daemon/dataset.h"
#include "daemon/feed.h"
#include "daemon/in_place.h"
#include "daemon/journal.h"
#include "daemon/pipeline.h"
#include "daemon/predict.h"
#include "daemon/shards.h"
#include "daemon/status.h"
#include "daemon/steps.h"
#include "daemon/submit.h"
#include "daemon/upload.h"

enum { CONTROL_BUDGET = 64 }; /* messages a turn of the loop: others get theirs too */

struct watcher {
    struct watcher *next;
    struct sock_peer peer;
    char job[JOBS_ID];
};

struct control {
    struct sock_context *context;
    struct sock *sock;
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_idle_t idle; /* active while messages wait: the descriptor reports edges only, so the loop
                       must not sleep */
    struct arena arena;
    struct watcher *watchers;
    int64_t n_watchers;
    int n_open;
};

static void on_hello(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_hello *hello = body;
    if (hello->protocol_min > MSG_VERSION || hello->protocol_max < MSG_VERSION_MIN) {
        struct err err = {0};
        err_set(&err, ERR_VERSION,
                "this daemon (%s) speaks protocol %d to %d, the client %lld to %lld",
                MILLRACE_VERSION, MSG_VERSION_MIN, MSG_VERSION, (long long)hello->protocol_min,
                (long long)hello->protocol_max);
        control_error(daemon, request, &err);
        return;
    }
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_int(map, &arena, "protocol",
                hello->protocol_max < MSG_VERSION ? hello->protocol_max : MSG_VERSION);
    doc_put_str(map, &arena, "version", MILLRACE_VERSION);
    doc_put_str(map, &arena, "instance", daemon->instance);
    doc_put_str(map, &arena, "status_url", daemon->status_url);
    control_reply(daemon, request, map);
    arena_fini(&arena);
}

static void on_ping(struct daemon *daemon, const struct request *request, const void *body,
                    const struct sock_frame *frames, int n_frames)
{
    (void)body;
    (void)frames;
    (void)n_frames;
    control_reply_empty(daemon, request);
}

static void on_shutdown(struct daemon *daemon, const struct request *request, const void *body,
                        const struct sock_frame *frames, int n_frames)
{
    (void)body;
    (void)frames;
    (void)n_frames;
    control_reply_empty(daemon, request);
    log_put(daemon->log, LOG_LEVEL_INFO, "a client asks for the end", LOG_NUMBER("pid", getpid()));
    daemon_stop(daemon);
}

static control_fn *const control_table[MSG_MAX_] = {
    [MSG_HELLO] = on_hello,
    [MSG_PING] = on_ping,
    [MSG_DATASET_BEGIN] = upload_on_begin,
    [MSG_DATASET_CHUNK] = upload_on_chunk,
    [MSG_DATASET_FILES] = upload_on_files,
    [MSG_DATASET_COMMIT] = upload_on_commit,
    [MSG_DATASET_PLACE] = in_place_on_place,
    [MSG_DATASET_PACK] = shards_on_pack,
    [MSG_DATASET_STEP] = steps_on_step,
    [MSG_DATASET_LIST] = dataset_on_list,
    [MSG_DATASET_SHOW] = dataset_on_show,
    [MSG_DATASET_MANIFEST] = dataset_on_manifest,
    [MSG_DATASET_READ] = dataset_on_read,
    [MSG_DATASET_GC] = blob_gc_on_gc,
    [MSG_DATASET_VERIFY] = dataset_on_verify,
    [MSG_DATASET_REMOVE] = dataset_on_remove,
    [MSG_FEED_OPEN] = feed_on_open,
    [MSG_FEED_PUT] = feed_on_put,
    [MSG_FEED_BAD] = feed_on_bad,
    [MSG_FEED_END] = feed_on_end,
    [MSG_JOB_SUBMIT] = submit_on_submit,
    [MSG_JOB_CHECK] = submit_on_check,
    [MSG_JOB_LIST] = actions_on_list,
    [MSG_JOB_SHOW] = actions_on_show,
    [MSG_JOB_CANCEL] = actions_on_cancel,
    [MSG_JOB_PAUSE] = actions_on_pause,
    [MSG_JOB_RESUME] = actions_on_resume,
    [MSG_JOB_LOGS] = journal_on_logs,
    [MSG_JOB_WATCH] = journal_on_watch,
    [MSG_JOB_PREDICT] = predict_on_predict,
    [MSG_PIPELINE_EXPLAIN] = pipeline_on_explain,
    [MSG_PIPELINE_PREVIEW] = pipeline_on_preview,
    [MSG_PIPELINE_SAVE] = pipeline_on_save,
    [MSG_PIPELINE_RUN] = pipeline_on_run,
    [MSG_WORKER_LIST] = status_on_workers,
    [MSG_STATUS] = status_on_status,
    [MSG_SHUTDOWN] = on_shutdown,
};

/* ---- answers
 * ------------------------------------------------------------------------------------------------
 */

struct sock_kept *control_keep(struct daemon *daemon, const struct sock_frame *frame)
{
    return sock_keep(daemon->control->sock, frame);
}

void control_reply_frames(struct daemon *daemon, const struct request *request,
                          const struct doc *result, const struct sock_frame *frames, int n_frames)
{
    struct msg_reply reply = {.result = result};
    daemon->counters[COUNT_REQUESTS]++;
    if (daemon->control != NULL) {
        sock_send(daemon->control->sock, &request->peer, MSG_REPLY, request->id, &reply, frames,
                  n_frames, NULL);
    }
}

void control_reply(struct daemon *daemon, const struct request *request, const struct doc *result)
{
    control_reply_frames(daemon, request, result, NULL, 0);
}

void control_reply_empty(struct daemon *daemon, const struct request *request)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    control_reply(daemon, request, map);
    arena_fini(&arena);
}

void control_error(struct daemon *daemon, const struct request *request, const struct err *err)
{
    struct msg_error error = {
        .code = err->code, .line = err->line, .path = err->path, .text = err->text};
    daemon->counters[COUNT_REQUESTS]++;
    daemon->counters[COUNT_REFUSALS]++;
    if (daemon->control != NULL) {
        sock_send(daemon->control->sock, &request->peer, MSG_ERROR, request->id, &error, NULL, 0,
                  NULL);
    }
}

int control_send(struct daemon *daemon, const struct sock_peer *peer, enum msg_id type,
                 const void *body)
{
    return daemon->control != NULL
               ? sock_send(daemon->control->sock, peer, type, 0, body, NULL, 0, NULL)
               : ERR_GONE;
}

/* ---- watchers
 * -----------------------------------------------------------------------------------------------
 */

bool control_may_watch(const struct daemon *daemon)
{
    return daemon->control->n_watchers < daemon->settings->max_watchers;
}

void control_watch(struct daemon *daemon, const struct request *request, const char *job)
{
    struct control *control = daemon->control;
    for (const struct watcher *w = control->watchers; w != NULL; w = w->next) {
        if (w->peer.size == request->peer.size &&
            !memcmp(w->peer.id, request->peer.id, w->peer.size) && !strcmp(w->job, job)) {
            return;
        }
    }
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    BUG_ON(watcher == NULL);
    watcher->peer = request->peer;
    snprintf(watcher->job, sizeof(watcher->job), "%s", job);
    watcher->next = control->watchers;
    control->watchers = watcher;
    control->n_watchers++;
}

bool control_is_watched(const struct daemon *daemon, const char *job)
{
    const struct watcher *w = daemon->control != NULL ? daemon->control->watchers : NULL;
    while (w != NULL && strcmp(w->job, job) != 0) {
        w = w->next;
    }
    return w != NULL;
}

static int send_event(struct daemon *daemon, const struct sock_peer *peer, const char *job,
                      int64_t seq, const char *kind, const struct doc *data)
{
    struct msg_event event = {.job = job, .seq = seq, .kind = kind, .data = data};
    return sock_send(daemon->control->sock, peer, MSG_EVENT, 0, &event, NULL, 0, NULL);
}

void control_event_to(struct daemon *daemon, const struct sock_peer *peer, const char *job,
                      int64_t seq, const char *kind, const struct doc *data)
{
    if (daemon->control != NULL) {
        send_event(daemon, peer, job, seq, kind, data);
    }
}

bool control_is_there(struct daemon *daemon, const struct sock_peer *peer)
{
    return daemon->control == NULL || send_event(daemon, peer, "", 0, "working", NULL) >= 0;
}

/* Who is gone or does not read is dropped, not waited for. */
void control_event(struct daemon *daemon, const char *job, int64_t seq, const char *kind,
                   const struct doc *data)
{
    struct watcher **link = daemon->control != NULL ? &daemon->control->watchers : NULL;
    while (link != NULL && *link != NULL) {
        struct watcher *watcher = *link;
        if (strcmp(watcher->job, job) != 0 ||
            send_event(daemon, &watcher->peer, job, seq, kind, data) >= 0) {
            link = &watcher->next;
            continue;
        }
        *link = watcher->next;
        free(watcher);
        daemon->control->n_watchers--;
        daemon->counters[COUNT_WATCHERS_DROPPED]++;
    }
}

/* ---- the socket
 * --------------------------------------------------------------------------------------------- */

static bool is_allowed(const struct daemon *daemon, int64_t uid)
{
    const struct opt_ints *uids = &daemon->settings->allow_uids;
    bool allowed = (uid < 0 && uids->n == 0) || uid == 0 || uid == (int64_t)geteuid();
    for (size_t i = 0; i < uids->n && !allowed; i++) {
        allowed = uids->v[i] == uid;
    }
    return allowed;
}

static void handle(struct daemon *daemon, const struct request *request, const struct msg *msg,
                   const struct sock_frame *frames, int n_frames)
{
    struct err err = {0};
    if (!is_allowed(daemon, request->uid)) {
        err_set(&err, ERR_DENIED, "user %lld may not use this daemon (allow_uids)",
                (long long)request->uid);
        control_error(daemon, request, &err);
    } else if (control_table[msg->type] == NULL) {
        err_set(&err, ERR_UNKNOWN, "'%s' is no request to the daemon", msg_table[msg->type].name);
        control_error(daemon, request, &err);
    } else if (daemon->stopping && msg->type != MSG_HELLO && msg->type != MSG_PING &&
               msg->type != MSG_STATUS) {
        err_set(&err, ERR_GONE, "the daemon is stopping");
        control_error(daemon, request, &err);
    } else {
        control_table[msg->type](daemon, request, msg->body, frames, n_frames);
    }
}

static void receive_one(struct daemon *daemon)
{
    struct control *control = daemon->control;
    struct sock_frame frames[SOCK_FRAMES_MAX];
    struct request request = {.uid = -1};
    struct msg msg = {.id = 0};
    struct err err = {0};
    int n_frames = 0;
    int rc = sock_recv(control->sock, &request.peer, &control->arena, &msg, frames, &n_frames,
                       &request.uid, &err);
    request.id = msg.id;
    if (rc >= 0) {
        handle(daemon, &request, &msg, frames, n_frames);
    } else if (rc != ERR_TIMEOUT) {
        daemon->counters[COUNT_GARBAGE]++;
        control_error(daemon, &request, &err);
    }
    arena_reset(&control->arena);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events; /* only wakes the loop: the prepare callback drains */
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct daemon *daemon = prepare->data;
    struct control *control = daemon->control;
    for (int n = 0; n < CONTROL_BUDGET && control != NULL && sock_pending(control->sock); n++) {
        receive_one(daemon);
    }
    if (sock_pending(control->sock)) {
        uv_idle_start(&control->idle, on_idle);
    } else {
        uv_idle_stop(&control->idle);
    }
}

static int open_socket(struct daemon *daemon, struct control *control, struct err *err)
{
    char address[256];
    const struct sock_options options = {.high_water = 4096, .linger_ms = 200};
    int n = snprintf(address, sizeof(address), "ipc://%s/control.sock", daemon->settings->run_dir);
    if (n > 106) {
        return err_set_at(err, ERR_LIMIT, "run_dir", "'%s' is too long for a socket (%d bytes)",
                          daemon->settings->run_dir, n);
    }
    unlink(address + 6); /* we hold the lock, so it is a dead daemon's */
    control->context = sock_context_create();
    int rc = sock_open_router(control->context, address, &options, &control->sock, err);
    if (rc >= 0 && chmod(address + 6, daemon->settings->allow_uids.n > 0 ? 0666 : 0600) != 0) {
        rc = err_set(err, ERR_IO, "the mode of %s cannot be set", address + 6);
    }
    return rc;
}

int control_open(struct daemon *daemon, struct err *err)
{
    struct control *control = calloc(1, sizeof(*control));
    BUG_ON(control == NULL);
    int rc = open_socket(daemon, control, err);
    if (rc < 0) {
        if (control->context != NULL) {
            sock_context_destroy(control->context);
        }
        free(control);
        return rc;
    }
    arena_init(&control->arena);
    uv_poll_init(daemon->loop, &control->poll, sock_fd(control->sock));
    uv_prepare_init(daemon->loop, &control->prepare);
    uv_idle_init(daemon->loop, &control->idle);
    control->prepare.data = daemon;
    uv_poll_start(&control->poll, UV_READABLE, on_poll);
    uv_prepare_start(&control->prepare, on_prepare);
    daemon->control = control;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;
    if (--control->n_open > 0) {
        return;
    }
    sock_close(control->sock);
    sock_context_destroy(control->context);
    arena_fini(&control->arena);
    while (control->watchers != NULL) {
        struct watcher *next = control->watchers->next;
        free(control->watchers);
        control->watchers = next;
    }
    free(control);
}

void control_close(struct daemon *daemon)
{
    struct control *control = daemon->control;
    if (control == NULL) {
        return;
    }
    daemon->control = NULL;
    uv_handle_t *handles[] = {(uv_handle_t *)&control->poll, (uv_handle_t *)&control->prepare,
                              (uv_handle_t *)&control->idle};
    control->n_open = 3;
    for (int i = 0; i < 3; i++) {
        handles[i]->data = control;
        uv_close(handles[i], on_closed);
    }
}
