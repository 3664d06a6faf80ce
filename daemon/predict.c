#include "daemon/predict.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/dataset.h"
#include "daemon/fds.h"
#include "daemon/process.h"

enum { JOB_TEXT_MAX = 8 << 20, PREDICT_INPUTS_MAX = 32 };

struct predict {
    struct daemon *daemon;
    struct request request;
    struct arena arena;
    struct fds fds;
    struct process *process;
    uv_timer_t timer;
    bool answered;
};

static void on_closed(uv_handle_t *handle)
{
    struct predict *predict = handle->data;
    fds_fini(&predict->fds);
    arena_fini(&predict->arena);
    free(predict);
}

static void fail(struct predict *predict, const struct err *err)
{
    if (!predict->answered) {
        predict->answered = true;
        control_error(predict->daemon, &predict->request, err);
    }
}

static void on_message(struct process *process, const struct msg *msg, void *context)
{
    struct predict *predict = context;
    if (msg->type == MSG_CHILD_FAILED) {
        fail(predict, &process->failure);
    } else if (msg->type == MSG_CHILD_RESULT && !predict->answered) {
        predict->answered = true;
        control_reply(predict->daemon, &predict->request,
                      ((const struct msg_child_result *)msg->body)->result);
    }
}

static void on_end(struct process *process, void *context)
{
    struct predict *predict = context;
    char text[256];
    struct err err = {0};
    process_end_text(process, text, sizeof(text));
    err_set(&err, process->end == PROCESS_TIMEOUT ? ERR_TIMEOUT : ERR_INTERNAL, "the predictor %s",
            text);
    fail(predict, &err);
    uv_close((uv_handle_t *)&predict->timer, on_closed);
}

static void on_timeout(uv_timer_t *timer)
{
    struct predict *predict = timer->data;
    process_kill(predict->process, PROCESS_TIMEOUT);
}

static int add_text(struct predict *predict, const char *name, const void *data, size_t size,
                    struct err *err)
{
    int fd = -1;
    int rc = fds_memory(name, data, size, &fd, err);
    return rc >= 0 ? fds_add(&predict->fds, name, fd, true, err) : rc;
}

static int add_files(struct predict *predict, const struct job *job, struct err *err)
{
    struct buf text;
    int folder = -1;
    const char *newest = jobs_newest(job);
    if (newest == NULL || job->plan == NULL) {
        return err_set(err, ERR_NOT_FOUND, "the job %s has no model yet", job->id);
    }
    buf_init(&text);
    int rc = jobs_folder(job, &folder, err);
    if (rc >= 0) {
        rc = file_read(folder, "job.json", JOB_TEXT_MAX, &text, err);
    }
    if (rc >= 0) {
        rc = add_text(predict, "job", text.data, text.size, err);
    }
    if (rc >= 0) {
        buf_clear(&text);
        doc_write_json(job->plan, 0, &text);
        rc = add_text(predict, "plan", text.data, text.size, err);
    }
    if (rc >= 0) {
        int model = openat(folder, newest, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        rc = model < 0 ? err_set(err, ERR_NOT_FOUND, "the model %s of job %s is not there", newest,
                                 job->id)
                       : fds_add(&predict->fds, "model", model, true, err);
    }
    if (rc >= 0) {
        rc = fds_add_pins(&predict->fds, predict->daemon, job->pins, job->n_pins, &predict->arena,
                          err);
    }
    if (folder >= 0) {
        close(folder);
    }
    buf_fini(&text);
    return rc;
}

static int add_inputs(struct predict *predict, const struct sock_frame *frames, int n_frames,
                      struct err *err)
{
    if (n_frames > PREDICT_INPUTS_MAX) {
        return err_set(err, ERR_LIMIT, "at most %d files at once", PREDICT_INPUTS_MAX);
    }
    for (int i = 0; i < n_frames; i++) {
        int rc = add_text(predict, arena_printf(&predict->arena, "input:%d", i), frames[i].data,
                          frames[i].size, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int send_start(struct predict *predict, const struct job *job,
                      const struct msg_job_predict *wish, int n_inputs, struct err *err)
{
    struct msg_child_start start;
    struct arena *arena = &predict->arena;
    opt_defaults(msg_child_start_options, &start, arena);
    struct doc *settings = doc_new(arena);
    doc_set_map(settings);
    doc_put_bool(settings, arena, "sandbox", predict->daemon->settings->sandbox);
    doc_put_int(settings, arena, "memory_bytes", predict->daemon->settings->check_memory_bytes);
    doc_put_int(settings, arena, "inputs", n_inputs);
    if (wish->dataset != NULL) {
        doc_put_str(settings, arena, "dataset", wish->dataset);
    }
    if (wish->split != NULL) {
        doc_put_str(settings, arena, "split", wish->split);
    }
    struct doc *rows = doc_put(settings, arena, "rows");
    doc_set_list(rows);
    for (size_t i = 0; i < wish->rows.n; i++) {
        doc_set_int(doc_push(rows, arena), wish->rows.v[i]);
    }
    start.mode = "predict";
    start.job = job->id;
    start.settings = settings;
    return fds_send_start(&predict->fds, predict->process, &start, err);
}

void predict_on_predict(struct daemon *daemon, const struct request *request, const void *body,
                        const struct sock_frame *frames, int n_frames)
{
    const struct msg_job_predict *wish = body;
    struct err err = {0};
    struct job *job = NULL;
    struct predict *predict = calloc(1, sizeof(*predict));
    BUG_ON(predict == NULL);
    predict->daemon = daemon;
    predict->request = *request;
    arena_init(&predict->arena);
    uv_timer_init(daemon->loop, &predict->timer);
    predict->timer.data = predict;
    int rc = jobs_get(daemon, wish->name, &job, &err);
    if (rc >= 0) {
        rc = add_files(predict, job, &err);
    }
    if (rc >= 0) {
        rc = add_inputs(predict, frames, n_frames, &err);
    }
    if (rc >= 0) {
        rc = process_start(daemon, ROLE_PREDICTOR, 1, on_message, on_end, predict,
                           &predict->process, &err);
    }
    if (rc < 0) {
        fail(predict, &err);
        uv_close((uv_handle_t *)&predict->timer, on_closed);
        return;
    }
    uv_timer_start(&predict->timer, on_timeout, (uint64_t)daemon->settings->check_seconds * 1000,
                   0);
    rc = send_start(predict, job, wish, n_frames, &err);
    if (rc < 0) {
        fail(predict, &err);
        process_kill(predict->process, PROCESS_STOPPED);
    }
}
