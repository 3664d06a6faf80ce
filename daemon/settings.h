/* settings - what a person may choose: one option table, read from a file, the environment and
 * flags, in that order.
 *
 * Owns:     texts live in the arena given to settings_read.
 * Threads:  const after settings_read.
 * Errors:   ERR_USAGE and those of opt_set_text; path names the flag, the variable or "FILE:LINE".
 * Lifetime: the process's.
 */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include "base/opt.h"

struct settings {
    const char *config;
    const char *state_dir;
    const char *run_dir;
    const char *libexec_dir;
    bool http;
    const char *http_address;
    int64_t http_port;
    struct opt_strs http_hosts;
    int64_t http_connections;
    struct opt_ints allow_uids;
    int64_t max_jobs;
    int64_t max_queue;
    int64_t max_watchers;
    int64_t max_previews;
    int64_t max_uploads;
    int64_t upload_credit;
    int64_t upload_keep_days;
    struct opt_strs in_place_roots;
    int64_t max_dataset_bytes;
    int64_t max_dataset_files;
    int64_t quota_bytes;
    int64_t reserve_bytes;
    int64_t kept_bytes;
    int64_t max_events;
    int64_t check_seconds;
    int64_t check_memory_bytes;
    int64_t check_make_ms;
    int64_t drain_seconds;
    int64_t worker_memory_bytes;
    int64_t slab_memory_bytes;
    int64_t stop_seconds;
    int64_t hang_seconds;
    int64_t retry_seconds;
    int64_t feed_credit;
    int64_t feed_credit_bytes;
    int64_t feed_gone_seconds;
    int64_t feed_seconds;
    bool sandbox;
    int log_level;
    int log_form;
};

extern const struct opt settings_options[];

enum settings_action {
    SETTINGS_RUN,
    SETTINGS_HELP,
    SETTINGS_REFERENCE,
    SETTINGS_VERSION,
    SETTINGS_PRINT
};

/* Returns an enum settings_action or an error. program_path: argv[0]'s file, beside which the
 * children are looked for. */
int settings_read(int argc, char **argv, struct arena *arena, struct settings *ret,
                  struct err *err);
/* The text of --help, --reference, --version or --print-config. */
void settings_text(enum settings_action action, const struct settings *settings, struct buf *out);

#endif
