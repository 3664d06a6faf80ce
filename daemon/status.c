#include "daemon/status.h"

#include "base/clock.h"
#include "daemon/dataset.h"
#include "daemon/jobs.h"
#include "daemon/keep.h"
#include "daemon/run.h"
#include "daemon/store.h"

enum { LAG_LIMIT_US = 15000000 };

void status_write(const struct daemon *daemon, struct doc *map, struct arena *arena)
{
    const char *why = NULL;
    doc_set_map(map);
    doc_put_str(map, arena, "version", MILLRACE_VERSION);
    doc_put_str(map, arena, "instance", daemon->instance);
    doc_put_str(map, arena, "state",
                daemon->stopping               ? "stopping"
                : status_is_well(daemon, &why) ? "ready"
                                               : why);
    doc_put_float(map, arena, "uptime_seconds", (double)(clock_us() - daemon->started_us) / 1e6);
    doc_put_str(map, arena, "status_url", daemon->status_url);
    struct doc *jobs = doc_put(map, arena, "jobs");
    doc_set_map(jobs);
    for (int state = 0; state < JOB_STATE_MAX_; state++) {
        doc_put_int(jobs, arena, jobs_fsm.states[state], jobs_count(daemon, state));
    }
    doc_put_int(map, arena, "datasets", daemon->datasets->n);
    keep_write(daemon, doc_put(map, arena, "kept"), arena);
    doc_put_int(map, arena, "store_queue", store_queued(daemon->store));
    struct doc *counters = doc_put(map, arena, "counters");
    doc_set_map(counters);
    counter_write(daemon_counters, COUNT_MAX_, daemon->counters, counters, arena);
    opt_write(settings_options, daemon->settings, false, doc_put(map, arena, "settings"), arena);
}

void status_write_workers(const struct daemon *daemon, struct doc *map, struct arena *arena)
{
    doc_set_map(map);
    struct doc *list = doc_put(map, arena, "workers");
    doc_set_list(list);
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        struct doc *workers = doc_new(arena);
        run_write(job->run, workers, arena);
        for (size_t i = 0; i < workers->n; i++) {
            struct doc *item = doc_push(list, arena);
            doc_set_map(item);
            doc_put_str(item, arena, "job", job->id);
            for (size_t k = 0; k < workers->items[i].n; k++) {
                const struct doc_pair *pair = &workers->items[i].pairs[k];
                doc_copy(doc_put(item, arena, pair->key), arena, &pair->value);
            }
        }
    }
}

bool status_is_well(const struct daemon *daemon, const char **why)
{
    if (store_lag_us(daemon->store) > LAG_LIMIT_US) {
        *why = "the store has not ended a task for 15 seconds";
        return false;
    }
    return true;
}

static void answer(struct daemon *daemon, const struct request *request,
                   void (*write)(const struct daemon *daemon, struct doc *map, struct arena *arena))
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    write(daemon, map, &arena);
    control_reply(daemon, request, map);
    arena_fini(&arena);
}

void status_on_workers(struct daemon *daemon, const struct request *request, const void *body,
                       const struct sock_frame *frames, int n_frames)
{
    (void)body;
    (void)frames;
    (void)n_frames;
    answer(daemon, request, status_write_workers);
}

void status_on_status(struct daemon *daemon, const struct request *request, const void *body,
                      const struct sock_frame *frames, int n_frames)
{
    (void)body;
    (void)frames;
    (void)n_frames;
    answer(daemon, request, status_write);
}
