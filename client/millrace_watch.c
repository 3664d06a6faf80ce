#include "client/millrace.h"

enum { PATIENCE_MS = 600000, WAIT_MS = 3600000 };

static int begin(struct millrace *m, const char *job, int64_t after, struct err *err)
{
    const struct msg_job_watch body = {.name = job, .after = after};
    struct arena arena;
    arena_init(&arena);
    int rc = millrace_request(m, MSG_JOB_WATCH, &body, NULL, 0, &arena, NULL, err);
    arena_fini(&arena);
    return rc;
}

static int tell(millrace_watch_fn *fn, void *context, const char *job, const char *kind)
{
    const struct msg_event event = {.job = job, .kind = kind};
    return fn(context, &event);
}

/* The daemon comes again and goes on with the job: so do we. */
static int come_back(struct millrace *m, const char *job, int64_t after, millrace_watch_fn *fn,
                     void *context, int *ret_end, struct err *err)
{
    *ret_end = tell(fn, context, job, "lost");
    if (*ret_end != 0) {
        return 0;
    }
    int rc = millrace_reopen(m, PATIENCE_MS, err);
    rc = rc < 0 ? rc : begin(m, job, after, err);
    *ret_end = rc < 0 ? 0 : tell(fn, context, job, "back");
    return rc;
}

int millrace_watch(struct millrace *m, const char *job, int64_t after, millrace_watch_fn *fn,
                   void *context, struct err *err)
{
    struct arena arena;
    int end = 0;
    int rc = begin(m, job, after, err);
    arena_init(&arena);
    while (rc >= 0 && end == 0) {
        struct millrace_answer answer;
        arena_reset(&arena);
        rc = millrace_receive(m, WAIT_MS, &arena, &answer, err);
        if (rc == ERR_TIMEOUT) {
            rc = 0; /* a quiet hour */
        } else if (rc == ERR_GONE) {
            rc = come_back(m, job, after, fn, context, &end, err);
        } else if (rc >= 0 && answer.event != NULL) {
            after = answer.event->seq > after ? answer.event->seq : after;
            end = fn(context, answer.event);
        }
    }
    arena_fini(&arena);
    return rc < 0 ? rc : end;
}
