#include "trainer/autotune.h"

#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/doc.h"
#include "base/file.h"

/* Below WAIT_LOW the loop does not suffer; above WAIT_HIGH it does. LOOKS in a row must agree
 * before anything changes. */
static const double wait_low = 0.02, wait_high = 0.05, wait_bad = 0.20, reserve = 1.15;
enum { LOOKS_GROW = 2, LOOKS_SHRINK = 8, DEPTH_START = 2 };
enum { PATH_MOST = 1024, FILE_MOST = 4096 };
static const int64_t settle_us = 1000000;

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

static int comfortable(const struct autotune_limits *limits)
{
    return clamp(limits->processors - limits->threads, 1, limits->max_workers);
}

void autotune_init(struct autotune *tune, const struct autotune_limits *limits)
{
    *tune = (struct autotune){.limits = *limits};
    tune->workers = limits->fixed_workers > 0 ? limits->fixed_workers : comfortable(limits);
    int depth = limits->fixed_depth > 0 ? limits->fixed_depth : DEPTH_START;
    tune->depth = clamp(depth, 1, limits->max_depth);
    if (limits->fixed_workers > 0) {
        snprintf(tune->reason, sizeof(tune->reason), "the job asks for %d worker%s", tune->workers,
                 tune->workers == 1 ? "" : "s");
    } else {
        snprintf(tune->reason, sizeof(tune->reason),
                 "%d of %d processors are left beside %d trainer thread%s", tune->workers,
                 limits->processors, limits->threads, limits->threads == 1 ? "" : "s");
    }
}

static double needed(const struct autotune_sample *sample)
{
    double step_us = (double)(sample->window_us - sample->wait_us) / (double)sample->steps;
    double rows = (double)sample->rows / (double)sample->steps;
    return step_us > 0 ? rows * sample->row_us / step_us * reserve : 1e6;
}

/* More workers than processors help only where the work is waiting (a slow disk, a remote store).
 */
static int ceiling(const struct autotune *tune, const struct autotune_sample *sample, double wait)
{
    const struct autotune_limits *limits = &tune->limits;
    if (sample->row_cpu >= 0 && sample->row_cpu < 0.5) {
        return limits->max_workers;
    }
    if (wait > wait_bad) {
        return clamp(limits->processors, 1, limits->max_workers);
    }
    return tune->workers > comfortable(limits) ? tune->workers : comfortable(limits);
}

static bool choose_workers(struct autotune *tune, const struct autotune_sample *sample, double wait)
{
    if (tune->limits.fixed_workers > 0) {
        return false;
    }
    int want = (int)ceil(fmin(needed(sample), 1e6));
    int most = ceiling(tune, sample, wait);
    if (wait > wait_high && tune->n_slow >= LOOKS_GROW && tune->workers < most) {
        int n = clamp(want, tune->workers + 1, most);
        snprintf(tune->reason, sizeof(tune->reason),
                 "the fit loop waited %.0f %% of its time and one worker makes a row in %.0f us: "
                 "%d workers instead of %d%s",
                 wait * 100, sample->row_us, n, tune->workers,
                 want > most ? " (all that the processors allow)" : "");
        tune->workers = n;
        return true;
    }
    if (wait < wait_low && tune->n_fast >= LOOKS_SHRINK && want < tune->workers) {
        int n = clamp(want, 1, tune->workers - 1);
        snprintf(tune->reason, sizeof(tune->reason),
                 "the queue is full and the step is the slower side: %d of %d workers %s enough", n,
                 tune->workers, n == 1 ? "is" : "are");
        tune->workers = n;
        return true;
    }
    return false;
}

static bool choose_depth(struct autotune *tune, const struct autotune_sample *sample, double wait)
{
    if (tune->limits.fixed_depth > 0) {
        return false;
    }
    int least =
        clamp(tune->workers > DEPTH_START ? tune->workers : DEPTH_START, 1, tune->limits.max_depth);
    bool enough = needed(sample) <= tune->workers;
    if (tune->depth < least || (wait > wait_high && tune->n_slow >= LOOKS_GROW && enough &&
                                tune->depth < tune->limits.max_depth)) {
        tune->depth =
            clamp(tune->depth < least ? least : tune->depth * 2, 1, tune->limits.max_depth);
        snprintf(tune->reason, sizeof(tune->reason),
                 "%d worker%s keep up on average but the fit loop waited %.0f %%: a queue of %d "
                 "batches evens it out",
                 tune->workers, tune->workers == 1 ? "" : "s", wait * 100, tune->depth);
        return true;
    }
    if (wait < wait_low && tune->n_fast >= 2 * LOOKS_SHRINK && tune->depth > least &&
        sample->queue_mean > 0.8 * tune->depth) {
        tune->depth--;
        tune->n_fast = 0;
        snprintf(tune->reason, sizeof(tune->reason),
                 "the queue of %d batches never ran low: %d are enough", tune->depth + 1,
                 tune->depth);
        return true;
    }
    return false;
}

bool autotune_look(struct autotune *tune, const struct autotune_sample *sample)
{
    if (sample->steps < AUTOTUNE_STEPS || sample->row_us <= 0 || sample->window_us <= 0) {
        return false;
    }
    /* A wait counts when it ends, so that it may be longer than the window. */
    double wait = fmin((double)sample->wait_us / (double)sample->window_us, 1);
    tune->n_slow = wait > wait_high ? tune->n_slow + 1 : 0;
    tune->n_fast = wait < wait_low ? tune->n_fast + 1 : 0;
    if (sample->workers < tune->workers || sample->now_us - tune->changed_us < settle_us) {
        return false; /* what was chosen last is not in force yet */
    }
    bool changed = choose_workers(tune, sample, wait);
    if (!changed) {
        changed = choose_depth(tune, sample, wait);
    }
    if (changed) {
        tune->changed_us = sample->now_us;
        tune->n_slow = 0;
        tune->n_fast = 0;
    }
    return changed;
}

/* "200000 100000" -> 2; "max 100000", "-1" and unreadable -> 0 (no limit). */
static int quota(char *text)
{
    int64_t limit = 0, period = 100000;
    text[strcspn(text, "\n")] = '\0';
    char *space = strchr(text, ' ');
    if (space != NULL) {
        *space = '\0';
        if (!doc_parse_int(space + 1, &period)) {
            return 0;
        }
    }
    if (!doc_parse_int(text, &limit) || limit <= 0 || period <= 0) {
        return 0;
    }
    int64_t n = (limit + period - 1) / period;
    return n > INT32_MAX ? 0 : (int)n;
}

static int quota_of(const char *file)
{
    struct buf text = {0};
    int n = file_read(AT_FDCWD, file, FILE_MOST, &text, NULL) == 0 ? quota(text.data) : 0;
    buf_fini(&text);
    return n;
}

int autotune_quota(const char *root, const char *group)
{
    char path[PATH_MOST], file[PATH_MOST + 32];
    int least = 0;
    if (snprintf(path, sizeof(path), "%s%s", root, group) >= (int)sizeof(path)) {
        return 0;
    }
    for (size_t n = strlen(path);; n = (size_t)(strrchr(path, '/') - path)) {
        path[n] = '\0';
        snprintf(file, sizeof(file), "%s/cpu.max", path);
        int most = quota_of(file);
        least = most > 0 && (least == 0 || most < least) ? most : least;
        if (n <= strlen(root) || strrchr(path, '/') == NULL) {
            return least;
        }
    }
}

/* "0::/system.slice/millraced.service": where this process is in the one hierarchy of version 2. */
static int quota_of_ours(void)
{
    struct buf text = {0};
    int n = 0;
    if (file_read(AT_FDCWD, "/proc/self/cgroup", FILE_MOST, &text, NULL) == 0) {
        char *line = strstr(text.data, "0::/");
        if (line != NULL && (line == text.data || line[-1] == '\n')) {
            line[strcspn(line, "\n")] = '\0';
            n = autotune_quota("/sys/fs/cgroup", line + strlen("0::"));
        }
    }
    buf_fini(&text);
    return n;
}

int autotune_processors(void)
{
    cpu_set_t set;
    int n = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
        n = CPU_COUNT(&set);
    }
    const int limits[] = {quota_of_ours(), quota_of("/sys/fs/cgroup/cpu.max"),
                          quota_of("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        n = limits[i] > 0 && limits[i] < n ? limits[i] : n;
    }
    return n;
}
