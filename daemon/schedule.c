#include "daemon/schedule.h"

#include <sys/statvfs.h>

#include "daemon/journal.h"
#include "daemon/run.h"
#include "daemon/submit.h"

enum { CHECKS_MAX = 2, RETRY_MAX_MS = 60000 };

int64_t schedule_running(const struct daemon *daemon)
{
    int64_t n = 0;
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        n += job->run != NULL;
    }
    return n;
}

void schedule_kick(struct daemon *daemon)
{
    int64_t n_running = schedule_running(daemon);
    int64_t n_checks = 0;
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        n_checks += job->check != NULL;
    }
    for (struct job *job = daemon->jobs->head; job != NULL && !daemon->stopping; job = job->next) {
        if (job->state != JOB_QUEUED || !job->stored || job->run != NULL || job->check != NULL) {
            continue;
        }
        if (job->plan == NULL && n_checks < CHECKS_MAX) {
            n_checks++;
            submit_check_job(job);
        } else if (job->plan != NULL && n_running < daemon->settings->max_jobs) {
            n_running++;
            run_start(job);
        }
    }
}

static bool has_space(const struct daemon *daemon)
{
    struct statvfs fs;
    return fstatvfs(daemon->jobs_fd, &fs) == 0 &&
           (int64_t)((uint64_t)fs.f_bavail * fs.f_frsize) > daemon->settings->reserve_bytes &&
           (fs.f_files == 0 || fs.f_favail > 0);
}

static void on_retry(uv_timer_t *timer)
{
    struct job *job = timer->data;
    if (job->state != JOB_PAUSED || job->reason.code != ERR_NO_SPACE || job->daemon->stopping) {
        return;
    }
    if (!has_space(job->daemon)) {
        schedule_retry(job);
        return;
    }
    journal_log(job, LOG_LEVEL_INFO, "there is space again; the job goes on");
    if (jobs_step(job, JOB_EVENT_RESUME, NULL, NULL) >= 0) {
        schedule_kick(job->daemon);
    }
}

void schedule_retry(struct job *job)
{
    if (!job->retry_open) {
        uv_timer_init(job->daemon->loop, &job->retry);
        job->retry_open = true;
        job->retry_wait_ms = job->daemon->settings->retry_seconds * 500;
    }
    job->retry_wait_ms =
        job->retry_wait_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : job->retry_wait_ms * 2;
    job->retry.data = job;
    uv_timer_start(&job->retry, on_retry, (uint64_t)job->retry_wait_ms, 0);
}

void schedule_retry_stop(struct job *job)
{
    if (job->retry_open) {
        uv_timer_stop(&job->retry);
        job->retry_wait_ms = job->daemon->settings->retry_seconds * 500;
    }
}
