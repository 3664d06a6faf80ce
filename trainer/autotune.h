/* autotune - how many workers and how deep a queue a job needs, from what was measured.
 *
 * Owns:     nothing.
 * Threads:  a plain value of the feeder's thread.
 * Errors:   none.
 * Lifetime: the run's.
 *
 * The demand is known (rows a batch over the time of a step without waiting), the supply of one
 * worker too (time a row), so the choice is computed and not searched for; what was seen (the share
 * of waiting) decides only whether to act. Trainer threads and workers together stay within the
 * processors unless the fit loop waits all the same.
 */
#ifndef TRAINER_AUTOTUNE_H
#define TRAINER_AUTOTUNE_H

#include <stdbool.h>
#include <stdint.h>

/* A look judges so many steps at least: where they are slow its window is longer. */
enum { AUTOTUNE_REASON = 200, AUTOTUNE_STEPS = 4 };

struct autotune_limits {
    int processors;    /* of the affinity mask, and of the cgroup's cpu.max */
    int threads;       /* of the trainer */
    int max_workers;   /* never more */
    int max_depth;     /* slabs allow no more */
    int fixed_workers; /* 0 = choose */
    int fixed_depth;   /* 0 = choose */
};
struct autotune_sample { /* since the last look */
    int64_t now_us;
    int64_t window_us;
    int64_t wait_us; /* of the fit loop */
    int64_t steps;
    int64_t rows;
    double row_us;     /* of one worker, recent mean */
    double row_cpu;    /* share of that time that burned a processor, 0..1; < 0 = unknown */
    double queue_mean; /* batches ready when the fit loop came */
    int workers;       /* alive */
};
struct autotune {
    struct autotune_limits limits;
    int workers, depth; /* chosen */
    int64_t changed_us;
    int n_fast, n_slow; /* looks in a row that said so */
    char reason[AUTOTUNE_REASON];
};

void autotune_init(struct autotune *tune, const struct autotune_limits *limits);
/* True when the choice changed; tune->reason says why in one sentence. */
bool autotune_look(struct autotune *tune, const struct autotune_sample *sample);
/* Processors this process may use: affinity mask, then cgroup cpu.max (v2) or cfs quota (v1). Call
 * before the sandbox. */
int autotune_processors(void);
/* The least limit of a cgroup ("/system.slice/x.service") and those above it, below `root`; 0 = none. */
int autotune_quota(const char *root, const char *group);

#endif
