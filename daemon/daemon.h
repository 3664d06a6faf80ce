/* daemon - what the parts of millraced share: the loop, the settings, the folders and one pointer
 * to each part.
 *
 * Owns:     the descriptors of the folders; parts are made and destroyed by daemon_open and
 * daemon_close. Threads:  the loop's; the descriptors and settings are const and may be used by the
 * store thread. Errors:   as the parts. Lifetime: the process's.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/counter.h"
#include "base/log.h"
#include "daemon/settings.h"

enum daemon_counter {
#define COUNTER_ROW(symbol, name, unit, kind, sentence) COUNT_##symbol,
#include "daemon/counters.h"
#undef COUNTER_ROW
    COUNT_MAX_
};

enum { DAEMON_PATH_MAX = 4096, DAEMON_CHUNK_BYTES = 1 << 20 };

struct daemon {
    uv_loop_t *loop;
    const struct settings *settings;
    struct log *log;
    int state_fd, blobs_fd, datasets_fd, uploads_fd, jobs_fd, kept_fd, run_fd, lock_fd, run_lock_fd;
    struct store *store;
    struct blob_packs *packs; /* the store thread's */
    struct datasets *datasets;
    struct uploads *uploads;
    struct feeds *feeds;
    struct steps *steps;
    struct jobs *jobs;
    struct keep *keep;
    struct control *control;
    struct http *http;
    struct notify *notify;
    struct ask *asks; /* that are under way (pipeline.c) */
    uv_signal_t signals[2];
    uv_timer_t tick;
    char instance[17]; /* another one after each start */
    char status_url[128];
    int64_t started_us;
    int64_t counters[COUNT_MAX_];
    int64_t stop_us;
    bool stopping, unclean;
};

extern const struct counter_desc daemon_counters[COUNT_MAX_];

int daemon_open(struct daemon *daemon, uv_loop_t *loop, const struct settings *settings,
                struct log *log, struct err *err);
/* Begins the clean stop: checkpoints, ends the children, then lets the loop run out. */
void daemon_stop(struct daemon *daemon);
void daemon_close(struct daemon *daemon);

#endif
