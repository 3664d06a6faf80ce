/* fixture - a real daemon on folders of its own, and a client to speak to it.
 *
 * Owns:     the folders, the process, the socket; fixture_fini takes all of them.
 * Threads:  one. Errors: what must not fail fails the test; requests return codes.
 * Lifetime: fixture_init .. fixture_fini.
 */
#ifndef TESTS_DAEMON_FIXTURE_H
#define TESTS_DAEMON_FIXTURE_H

#include <sys/types.h>

#include "proto/sock.h"
#include "tests/test.h"

enum { FIXTURE_ARGS_MAX = 24 };

struct fixture {
    char dir[TEST_PATH];       /* state in dir/s, sockets in dir/r, children in dir/x */
    char state_dir[TEST_PATH]; /* dir/s unless the test changes it before the start */
    const char *args[FIXTURE_ARGS_MAX];
    int n_args;
    char url[128];
    const char *program; /* in the build folder; NULL = daemon/millraced */
    bool real_children;  /* of the build, not the pretended ones */
    int http_ms;         /* patience with an answer; 0 = 10 s */
    pid_t pid;
    struct sock_context *context;
    struct sock *sock;
    void *raw_context, *raw;
    int64_t id;
    struct arena arena;
    struct err err;                /* of the last request */
    const struct msg_event *event; /* of fixture_event */
};

void fixture_init(struct fixture *fixture);
void fixture_fini(struct fixture *fixture);
/* The state folder on a file system of that size, before the start; false without root. */
bool fixture_small_disk(struct fixture *fixture, const char *size);
/* Takes so many bytes of it, or gives them back (0). */
void fixture_fill(struct fixture *fixture, off_t bytes);
void fixture_fill_up(struct fixture *fixture); /* to the last byte */
void fixture_arg(struct fixture *fixture, const char *arg);
/* Starts the daemon and says hello. */
void fixture_start(struct fixture *fixture);
/* The same, for a daemon that may refuse to start; then it is reaped. */
bool fixture_try_start(struct fixture *fixture);
/* Runs it without waiting for hello; log to dir/log. */
pid_t fixture_spawn(struct fixture *fixture);
/* Signal and reap; returns the exit status, or minus the signal. */
int fixture_end(struct fixture *fixture, int signal_number);
void fixture_connect(struct fixture *fixture);

/* Sends and waits for the answer: the result, or NULL with fixture->err. Lives till the next
 * fixture_reset. */
const struct doc *fixture_ask(struct fixture *fixture, enum msg_id type, const void *body,
                              const void *frame, size_t size);
int64_t fixture_send(struct fixture *fixture, enum msg_id type, const void *body, const void *frame,
                     size_t size);
const struct doc *fixture_answer(struct fixture *fixture, int64_t id);
/* The next event within 10 s, of that kind if not NULL; its data, or NULL. */
const struct doc *fixture_event(struct fixture *fixture, const char *kind);
/* Whatever comes next; false after the deadline. */
bool fixture_next(struct fixture *fixture, struct msg *ret);
/* Bytes that are no message, from a socket of its own. */
void fixture_raw(struct fixture *fixture, const void *data, size_t size);
const struct doc *fixture_named(struct fixture *fixture, enum msg_id type, const char *name);
void fixture_reset(struct fixture *fixture);

/* A small data set of IDX names: n files of some bytes; the list, and the upload as a whole. */
void fixture_list(int n, size_t bytes, unsigned seed, struct buf *list);
void fixture_content(int file, size_t bytes, unsigned seed, void *data);
/* Returns the number of chunks that were sent. */
/* The digits of examples/ as data set "digits". */
void fixture_put_digits(struct fixture *fixture);
int fixture_put(struct fixture *fixture, const char *name, int n, size_t bytes, unsigned seed);
/* Submits a job whose compile.fake is this JSON; the result. */
const struct doc *fixture_submit(struct fixture *fixture, const char *key, const char *fake);
/* The same without waiting for the answer; its id. */
int64_t fixture_submit_only(struct fixture *fixture, const char *fake);
/* Watches until the job is in that state; the snapshot or event data. */
const struct doc *fixture_wait_state(struct fixture *fixture, const char *job, const char *state);
int fixture_send_bytes(struct fixture *fixture, const void *data, size_t size, struct buf *out);
/* GET; the status, and the body into out (may be NULL). */
int fixture_get(struct fixture *fixture, const char *request, struct buf *out);

#endif
