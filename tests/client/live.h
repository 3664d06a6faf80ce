/* live - a real millraced in a folder of its own, and commands that are run against it.
 *
 * Owns:     the folder and the daemon; live_stop ends both.
 * Threads:  one at a time.
 * Errors:   what cannot be done fails the test.
 * Lifetime: live_start .. live_stop.
 */
#ifndef TESTS_CLIENT_LIVE_H
#define TESTS_CLIENT_LIVE_H

#include <sys/types.h>

#include "base/buf.h"
#include "tests/test.h"

struct live {
    char folder[TEST_PATH]; /* run/ and state/ in it */
    char run_dir[TEST_PATH];
    pid_t pid; /* 0: not running */
};

/* Makes the folder; the daemon is started by live_daemon. */
void live_start(struct live *live);
void live_stop(struct live *live);
/* extra: more flags, NULL-terminated, or NULL. Waits until it answers. */
void live_daemon(struct live *live, const char *const *extra);
void live_kill(struct live *live, int signal); /* and reaps */
/* The program in the build folder that has the parts of a job, or false. */
bool live_has(const char *path_in_build);

struct live_result {
    int status; /* exit status, or -signal */
    struct buf out, err;
};
/* Runs `millrace ...` with MILLRACE_SOCKET set; arguments end with NULL. */
void live_run(const struct live *live, struct live_result *ret, const char *first, ...)
    __attribute__((sentinel));
void live_free(struct live_result *result);
/* Writes a file below the folder; folders are made. Returns its path in `path`. */
void live_file(const struct live *live, const char *name, const void *data, size_t size,
               char path[TEST_PATH]);
void live_text(const struct live *live, const char *name, const char *text, char path[TEST_PATH]);

#endif
