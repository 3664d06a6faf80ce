#include "daemon/actions.h"

#include "daemon/check.h"
#include "daemon/run.h"
#include "daemon/schedule.h"
#include "daemon/submit.h"

void actions_on_list(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    (void)body;
    (void)frames;
    (void)n_frames;
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    jobs_write_all(daemon, map, &arena);
    control_reply(daemon, request, map);
    arena_fini(&arena);
}

static struct job *find_job(struct daemon *daemon, const struct request *request, const char *name)
{
    struct job *job = NULL;
    struct err err = {0};
    if (jobs_get(daemon, name, &job, &err) < 0) {
        control_error(daemon, request, &err);
        return NULL;
    }
    return job;
}

static void answer_now(struct job *job, const struct request *request)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    jobs_write(job, true, map, &arena);
    control_reply(job->daemon, request, map);
    arena_fini(&arena);
}

void actions_on_show(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    struct job *job = find_job(daemon, request, ((const struct msg_named *)body)->name);
    if (job != NULL) {
        answer_now(job, request);
    }
}

/* A running job moves when its children are reaped; another one at once. Either way the answer
 * comes after the commit. */
static void end_or_pause(struct job *job, const struct request *request, enum run_intent intent)
{
    bool cancel = intent == RUN_CANCEL;
    struct err reason = {0};
    struct err err = {0};
    err_set(&reason, ERR_CANCELLED, cancel ? "cancelled by a client" : "paused by a client");
    if (job->run != NULL) {
        submit_wait(job, request, SUBMIT_UNTIL_LEFT);
        run_stop(job->run, intent);
        return;
    }
    if (jobs_step(job, cancel ? JOB_EVENT_CANCEL : JOB_EVENT_PAUSE, &reason, &err) < 0) {
        control_error(job->daemon, request, &err);
        return;
    }
    schedule_retry_stop(job);
    if (job->check != NULL) {
        check_cancel(job->check);
        job->check = NULL;
        schedule_kick(job->daemon);
    }
    submit_wait(job, request, SUBMIT_UNTIL_SAVED);
}

void actions_on_cancel(struct daemon *daemon, const struct request *request, const void *body,
                       const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    struct job *job = find_job(daemon, request, ((const struct msg_named *)body)->name);
    if (job != NULL && job->state == JOB_CANCELLED) {
        answer_now(job, request);
    } else if (job != NULL) {
        end_or_pause(job, request, RUN_CANCEL);
    }
}

void actions_on_pause(struct daemon *daemon, const struct request *request, const void *body,
                      const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    struct job *job = find_job(daemon, request, ((const struct msg_named *)body)->name);
    if (job != NULL && job->state == JOB_PAUSED) {
        answer_now(job, request);
    } else if (job != NULL) {
        end_or_pause(job, request, RUN_PAUSE);
    }
}

/* A person who resumes a job that waits because of other numerics agrees to them. */
void actions_on_resume(struct daemon *daemon, const struct request *request, const void *body,
                       const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    struct job *job = find_job(daemon, request, ((const struct msg_named *)body)->name);
    struct err err = {0};
    if (job == NULL) {
        return;
    }
    bool agreed = job->reason.code == ERR_FINGERPRINT;
    if (jobs_step(job, JOB_EVENT_RESUME, NULL, &err) < 0) {
        control_error(daemon, request, &err);
        return;
    }
    job->agreed = agreed;
    schedule_retry_stop(job);
    submit_wait(job, request, SUBMIT_UNTIL_SAVED);
    schedule_kick(daemon);
}
