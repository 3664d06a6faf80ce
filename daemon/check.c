#include "daemon/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fds.h"
#include "daemon/prepare.h"
#include "daemon/process.h"

enum { STUCK_MAX = 3 };

struct check {
    struct daemon *daemon;
    struct arena arena;
    const char *id;
    struct fds worker_fds, trainer_fds;
    int job_fd, model_fd;
    struct process *worker, *trainer; /* NULL when not alive */
    struct doc *plan;                 /* the worker's half, then the whole */
    struct prepare *prepare;          /* what the plan lacks is being made */
    const struct doc *missing;        /* of the last answer, or NULL */
    void (*adapt)(void *context, const struct doc *progress); /* NULL: nothing may be missing */
    int64_t workers, last_made, stuck;
    const char *last_path;
    bool trainer_asked, answered, cancelled, timer_closed;
    struct err failure;
    uv_timer_t timer;
    check_fn *done;
    void *context;
};

static void on_timer_closed(uv_handle_t *handle)
{
    struct check *check = handle->data;
    fds_fini(&check->worker_fds);
    fds_fini(&check->trainer_fds);
    close(check->job_fd);
    if (check->model_fd >= 0) {
        close(check->model_fd);
    }
    arena_fini(&check->arena);
    free(check);
}

static void begin_prepare(struct check *check);

/* Answers when both children are gone, so that nothing of a check is left when its job goes on. */
static void settle(struct check *check)
{
    if (check->worker != NULL || check->trainer != NULL || check->prepare != NULL ||
        check->timer_closed) {
        return;
    }
    if (check->missing != NULL && check->failure.code == 0 && !check->cancelled) {
        begin_prepare(check);
        return;
    }
    if (!check->cancelled) {
        check->done(check->context, check->failure.code == 0 ? check->plan : NULL, &check->failure);
    }
    check->timer_closed = true;
    uv_close((uv_handle_t *)&check->timer, on_timer_closed);
}

static void give_up(struct check *check, enum process_end why)
{
    if (check->worker != NULL) {
        process_kill(check->worker, why);
    }
    if (check->trainer != NULL) {
        process_kill(check->trainer, why);
    }
    if (check->prepare != NULL) {
        prepare_stop(check->prepare);
    }
}

static void on_timeout(uv_timer_t *timer)
{
    struct check *check = timer->data;
    if (check->failure.code == 0) {
        err_set(&check->failure, ERR_TIMEOUT,
                "checking took longer than %lld seconds (check_seconds)",
                (long long)check->daemon->settings->check_seconds);
    }
    give_up(check, PROCESS_TIMEOUT);
}

static int send_start(struct check *check, struct process *process, struct fds *fds,
                      struct err *err)
{
    struct msg_child_start start = {.mode = "check", .job = check->id, .address = ""};
    struct doc *settings = doc_new(&check->arena);
    opt_defaults(msg_child_start_options, &start, &check->arena);
    start.mode = "check";
    start.job = check->id;
    doc_set_map(settings);
    doc_put_bool(settings, &check->arena, "sandbox", check->daemon->settings->sandbox);
    doc_put_int(settings, &check->arena, "memory_bytes",
                check->daemon->settings->check_memory_bytes);
    if (check->adapt != NULL && process->role == ROLE_WORKER_CHECKER) {
        doc_put_int(settings, &check->arena, "make_ms", check->daemon->settings->check_make_ms);
    }
    start.settings = settings;
    return fds_send_start(fds, process, &start, err);
}

/* The trainer was started beside the worker, so that its libraries are loaded when the data half is
 * there. */
static int ask_trainer(struct check *check, struct err *err)
{
    struct buf text;
    int fd = -1;
    buf_init(&text);
    doc_write_json(check->plan, 0, &text);
    int rc = fds_memory("plan", text.data, text.size, &fd, err);
    buf_fini(&text);
    if (rc >= 0) {
        rc = fds_add(&check->trainer_fds, "plan", fd, true, err);
    }
    if (rc >= 0 && check->model_fd >= 0) {
        rc = fds_add(&check->trainer_fds, "model", check->model_fd, false, err);
    }
    if (rc >= 0) {
        rc = send_start(check, check->trainer, &check->trainer_fds, err);
    }
    check->trainer_asked = rc >= 0;
    return rc;
}

static void take_result(struct check *check, const struct doc *result)
{
    if (check->plan == NULL) {
        check->plan = doc_new(&check->arena);
        doc_set_map(check->plan);
    }
    for (size_t i = 0; result != NULL && result->type == DOC_MAP && i < result->n; i++) {
        doc_copy(doc_put(check->plan, &check->arena, result->pairs[i].key), &check->arena,
                 &result->pairs[i].value);
    }
}

static void on_message(struct process *process, const struct msg *msg, void *context)
{
    struct check *check = context;
    if (msg->type == MSG_CHILD_FAILED && check->failure.code == 0) {
        check->failure = process->failure;
        give_up(check, PROCESS_STOPPED);
    }
    if (msg->type != MSG_CHILD_RESULT || check->failure.code != 0) {
        return;
    }
    const struct doc *result = ((const struct msg_child_result *)msg->body)->result;
    if (process->role == ROLE_WORKER_CHECKER && check->adapt != NULL &&
        doc_get(result, "missing") != NULL) {
        struct doc *missing = doc_new(&check->arena);
        doc_copy(missing, &check->arena, doc_get(result, "missing"));
        check->missing = missing;
        give_up(check, PROCESS_STOPPED);
        return;
    }
    take_result(check, result);
    if (process->role == ROLE_TRAINER_CHECKER) {
        check->answered = true;
    } else if (!check->trainer_asked) {
        struct err err = {0};
        if (check->trainer == NULL || ask_trainer(check, &err) < 0) {
            check->failure = err;
            give_up(check, PROCESS_STOPPED);
        }
    }
}

static void on_end(struct process *process, void *context)
{
    struct check *check = context;
    bool expected = process->role == ROLE_WORKER_CHECKER ? check->trainer_asked : check->answered;
    expected = expected || check->missing != NULL;
    if (process->role == ROLE_WORKER_CHECKER) {
        check->worker = NULL;
    } else {
        check->trainer = NULL;
    }
    if (!expected && check->failure.code == 0) {
        char text[256];
        process_end_text(process, text, sizeof(text));
        err_set(&check->failure, process->failure.code != 0 ? process->failure.code : ERR_INTERNAL,
                "the checker of the %s %s", process->role == ROLE_WORKER_CHECKER ? "data" : "model",
                text);
        give_up(check, PROCESS_STOPPED);
    }
    settle(check);
}

static int start_children(struct check *check, struct err *err)
{
    uv_timer_start(&check->timer, on_timeout,
                   (uint64_t)check->daemon->settings->check_seconds * 1000, 0);
    int rc = process_start(check->daemon, ROLE_WORKER_CHECKER, 1, on_message, on_end, check,
                           &check->worker, err);
    if (rc >= 0) {
        rc = process_start(check->daemon, ROLE_TRAINER_CHECKER, 1, on_message, on_end, check,
                           &check->trainer, err);
    }
    return rc >= 0 ? send_start(check, check->worker, &check->worker_fds, err) : rc;
}

static int add_files(struct check *check, const struct check_input *input, struct err *err)
{
    int rc = fds_memory("job", input->text, input->size, &check->job_fd, err);
    if (rc >= 0) {
        rc = fds_add(&check->worker_fds, "job", check->job_fd, false, err);
    }
    if (rc >= 0) {
        rc = fds_add(&check->trainer_fds, "job", check->job_fd, false, err);
    }
    return rc < 0 ? rc
                  : fds_add_pins(&check->worker_fds, check->daemon, input->pins, input->n_pins,
                                 &check->arena, err);
}

/* ---- what the plan lacks is made ------------------------------------------------------------ */

static void tell(void *context, int64_t made)
{
    struct check *check = context;
    struct arena arena;
    if (check->cancelled) {
        return;
    }
    arena_init(&arena);
    struct doc *progress = doc_new(&arena);
    doc_copy(progress, &arena, check->missing);
    doc_put_int(progress, &arena, "made", made);
    doc_put_int(progress, &arena, "workers", check->workers);
    check->adapt(check->context, progress);
    arena_fini(&arena);
}

/* Where nothing more can be kept the check does all by itself, as it would without a folder. */
static bool is_for_want_of_space(const struct err *err)
{
    return err->code == ERR_NO_SPACE || err->code == ERR_LIMIT || err->code == ERR_DENIED;
}

static void on_prepared(void *context, const struct err *why)
{
    struct check *check = context;
    struct err err = {0};
    void (*adapt)(void *context, const struct doc *progress) = check->adapt;
    check->prepare = NULL;
    check->missing = NULL;
    if (is_for_want_of_space(why)) {
        check->adapt = NULL;
    } else if (why->code != 0 && check->failure.code == 0) {
        check->failure = *why;
    }
    if (check->failure.code == 0 && !check->cancelled) {
        adapt(check->context, NULL);
        if (start_children(check, &err) < 0) {
            check->failure = err;
            give_up(check, PROCESS_STOPPED);
        }
    }
    settle(check);
}

/* Is it the same again, and nothing was made in between? */
static bool is_stuck(struct check *check)
{
    const char *path = doc_str(check->missing, "path", "");
    const int64_t made = doc_int(check->missing, "made", 0);
    const bool is_same = check->last_path != NULL && strcmp(path, check->last_path) == 0;
    check->stuck = is_same && made <= check->last_made ? check->stuck + 1 : 0;
    check->last_path = path;
    check->last_made = made;
    return check->stuck >= STUCK_MAX;
}

static void begin_prepare(struct check *check)
{
    const struct doc *missing = check->missing;
    const struct prepare_input input = {
        .job = check->id,
        .fds = &check->worker_fds,
        .parts = doc_int(missing, "parts", 1),
        .made = doc_int(missing, "made", 0),
        .part_elements = doc_int(missing, "part_elements", 1),
        .what = arena_printf(&check->arena, "the %s of %s", doc_str(missing, "what", "numbers"),
                             doc_str(missing, "path", "the pipeline")),
        .workers = check->workers,
        .tell = tell,
        .done = on_prepared,
        .context = check};
    uv_timer_stop(&check->timer);
    if (is_stuck(check)) {
        err_set(&check->failure, ERR_INTERNAL,
                "%s cannot be made: they are not there after %d times", input.what, STUCK_MAX);
        check->missing = NULL;
        settle(check);
        return;
    }
    tell(check, input.made);
    prepare_start(check->daemon, &input, &check->prepare);
}

void check_watch(struct check *check)
{
    if (check->prepare != NULL) {
        prepare_watch(check->prepare);
    }
}

/* ---- the start ------------------------------------------------------------------------------ */

int check_start(struct daemon *daemon, const struct check_input *input, check_fn *done,
                void *context, struct check **ret, struct err *err)
{
    struct check *check = calloc(1, sizeof(*check));
    BUG_ON(check == NULL);
    arena_init(&check->arena);
    check->daemon = daemon;
    check->id = arena_strdup(&check->arena, input->id);
    check->model_fd = input->model_fd;
    check->job_fd = -1;
    check->done = done;
    check->context = context;
    daemon->counters[COUNT_CHECKS]++;
    uv_timer_init(daemon->loop, &check->timer);
    check->timer.data = check;
    check->adapt = input->adapt;
    check->workers = input->workers;
    int rc = add_files(check, input, err);
    rc = rc < 0 ? rc : start_children(check, err);
    if (rc < 0) {
        check_cancel(check);
        return rc;
    }
    *ret = check;
    return 0;
}

void check_cancel(struct check *check)
{
    check->cancelled = true;
    give_up(check, PROCESS_STOPPED);
    settle(check);
}
