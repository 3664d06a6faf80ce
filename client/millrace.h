/* millrace - libmillrace: a connection to millraced, its requests, uploads and events.
 *
 * Owns:     struct millrace is heap, made by millrace_open, given back by millrace_close. Answers
 * live in the arena given. Threads:  a connection belongs to one thread. Errors:   those of the
 * daemon (code, path into the job, text), and ERR_UNREACHABLE (nobody there), ERR_GONE (the
 * connection was lost), ERR_TIMEOUT, ERR_INTERRUPTED (wake_fd), ERR_VERSION. After ERR_GONE or
 * ERR_TIMEOUT: millrace_reopen. Lifetime: the caller's.
 *
 *     struct millrace *m = NULL;
 *     if (millrace_open(NULL, &m, &err) == 0) {
 *         rc = millrace_request(m, MSG_JOB_LIST, &(struct msg_none){0}, NULL, 0, &arena, &answer,
 * &err);
 *     }
 *     millrace_close(m);
 */
#ifndef CLIENT_MILLRACE_H
#define CLIENT_MILLRACE_H

#include <stdbool.h>

#include "proto/sock.h"

enum { MILLRACE_PATH_MAX = 4096 };

struct millrace;

struct millrace_options {
    const char
        *socket; /* run-time folder or socket; NULL = $MILLRACE_SOCKET, else the usual places */
    const char *program; /* "millrace 0.1.0", shown in the daemon's log; NULL = the library's */
    int timeout_ms;      /* longest wait for an answer; 0 = 180,000 */
    int wake_fd;         /* readable: every wait ends with ERR_INTERRUPTED; 0 = none */
};

/* ---- life ---------------------------------------------------------------------------------------
 */

/* Connects and says hello. options may be NULL. */
int millrace_open(const struct millrace_options *options, struct millrace **ret, struct err *err);
void millrace_close(struct millrace *m); /* takes NULL */
/* The same again after a lost connection; tries until patience_ms have passed. */
int millrace_reopen(struct millrace *m, int patience_ms, struct err *err);
/* wake_fd is readable: what takes long may look between its steps. */
bool millrace_woken(const struct millrace *m);
/* The daemon's answer to hello: {protocol, version, instance, status_url}. */
const struct doc *millrace_daemon(const struct millrace *m);
/* Where a daemon is looked for: `given`, $MILLRACE_SOCKET, $XDG_RUNTIME_DIR/millrace,
 * /run/millrace. */
void millrace_socket_path(const char *given, char path[MILLRACE_PATH_MAX]);

/* ---- requests -----------------------------------------------------------------------------------
 */

/* Sends and waits for the answer. body: struct msg_<body> of the message. ret may be NULL. */
int millrace_request(struct millrace *m, enum msg_id type, const void *body,
                     const struct sock_frame *frames, int n_frames, struct arena *arena,
                     const struct doc **ret, struct err *err);

/* The same with the raw frames behind the answer; at most *ret_n, valid until the next receive. */
int millrace_request_frames(struct millrace *m, enum msg_id type, const void *body,
                            struct arena *arena, const struct doc **ret,
                            struct sock_frame *ret_frames, int *ret_n, struct err *err);

/* The two halves, for several requests under way at once. */
struct millrace_answer {
    int64_t id;                                /* of the request, 0 for an event */
    const struct doc *result;                  /* of a reply, NULL for an error */
    const struct msg_event *event;             /* or NULL */
    const struct msg_feed_want *want;          /* the daemon asks whoever feeds; or NULL */
    const struct msg_feed_status *feed_status; /* likewise */
    struct err error;                          /* of the daemon, code 0 if none */
    int n_frames;                              /* behind a reply */
    struct sock_frame frames[SOCK_FRAMES_MAX];
};
int millrace_send(struct millrace *m, enum msg_id type, const void *body,
                  const struct sock_frame *frames, int n_frames, int64_t *ret_id, struct err *err);
/* ERR_TIMEOUT when nothing comes in timeout_ms. */
int millrace_receive(struct millrace *m, int timeout_ms, struct arena *arena,
                     struct millrace_answer *ret, struct err *err);

/* ---- data sets ----------------------------------------------------------------------------------
 */

enum millrace_put_stage {
    MILLRACE_PUT_HASH,
    MILLRACE_PUT_SEND,
    MILLRACE_PUT_LOST,
    MILLRACE_PUT_COMMIT
};
struct millrace_put_progress {
    enum millrace_put_stage stage;
    int64_t n_files;
    int64_t total_bytes;
    int64_t done_bytes; /* sent: on the daemon's disk, by its own word */
    int64_t kept_bytes; /* of done_bytes: the daemon had them before */
    const char *path;   /* in the data set, or NULL */
};
typedef void millrace_put_fn(void *context, const struct millrace_put_progress *progress);

struct millrace_put {
    const char *name;          /* of the data set */
    const char *kind;          /* "auto", or the name of a source */
    const char *path;          /* a folder or a file */
    bool follow_links;         /* those that lead out of the folder */
    bool in_place;             /* the daemon reads the folder where it lies, nothing is copied */
    millrace_put_fn *progress; /* or NULL */
    void *context;
    int patience_ms; /* how long a lost daemon is waited for; 0 = 30,000 */
};
/* Packs a stored data set into tar shards; into: NULL = its next version. ret: as millrace_put. */
struct millrace_pack {
    const char *name, *into;
    int64_t shard_bytes;
    millrace_put_fn *progress; /* or NULL */
    void *context;
};
int millrace_pack(struct millrace *m, const struct millrace_pack *pack, struct arena *arena,
                  const struct doc **ret, struct err *err);
/* Uploads, going on where an earlier try ended; ret: the data set as in dataset.show. */
int millrace_put(struct millrace *m, const struct millrace_put *put, struct arena *arena,
                 const struct doc **ret, struct err *err);

struct millrace_get {
    const char *name;          /* of the data set, also as name@version */
    const char *path;          /* the folder that the files go to; made if it is not there */
    bool shards;               /* the shards of a packed data set, not its files */
    millrace_put_fn *progress; /* or NULL; kept_bytes: were in the folder already */
    void *context;
};
/* Downloads, every byte compared with its id; what is in the folder already is not asked for again.
 * ret: the data set as in dataset.list. A file appears under its name when it is whole. */
struct millrace_got {
    int64_t n_files, bytes, n_kept; /* kept: were in the folder already */
};
int millrace_get(struct millrace *m, const struct millrace_get *get, struct arena *arena,
                 const struct doc **ret, struct millrace_got *ret_got, struct err *err);
/* The data set as in dataset.list, and its manifest: {files: [{path, bytes, id}], kind, ...}. */
int millrace_manifest(struct millrace *m, const char *name, struct arena *arena,
                      const struct doc **ret, const struct doc **ret_manifest, struct err *err);

/* ---- feeding (docs/feed.md) ---------------------------------------------------------------------
 */

struct millrace_feed { /* the reply to feed.open */
    char id[65];
    int64_t elements;
    int64_t credit, credit_bytes; /* asked for, and not stored; of what is pushed too */
    int64_t chunk_bytes;          /* of rows in a message, but for one row */
    int64_t have, first;          /* stored of epoch 0; the first that is not */
};
/* A data set of elements that this client makes: goes on with it if the name was fed with an equal
 * spec (feed_options in proto/feed.h). From then on millrace_receive gives questions too; after
 * ERR_GONE it is opened again. */
int millrace_feed_open(struct millrace *m, const char *name, const struct doc *spec,
                       struct millrace_feed *ret, struct err *err);
/* Sends n rows (n of an answer are stored when the reply comes), or says that they cannot be made.
 */
int millrace_feed_put(struct millrace *m, const struct millrace_feed *feed, int64_t epoch,
                      const int64_t *indices, size_t n, const void *rows, size_t size,
                      struct err *err);
int millrace_feed_bad(struct millrace *m, const struct millrace_feed *feed, int64_t epoch,
                      const int64_t *indices, size_t n, const char *reason, struct err *err);
/* All that was pushed is acknowledged: it is a data set now, as in dataset.show. */
int millrace_feed_end(struct millrace *m, const struct millrace_feed *feed, struct arena *arena,
                      const struct doc **ret, struct err *err);

/* ---- events -------------------------------------------------------------------------------------
 */

/* kind as in struct msg_event; besides "lost" and "back" (data NULL) when the daemon went away and
 * came again. Returning other than 0 ends the watch with that value. */
typedef int millrace_watch_fn(void *context, const struct msg_event *event);
/* Calls fn for a snapshot and everything after sequence number `after`, in order, until fn ends it.
 */
int millrace_watch(struct millrace *m, const char *job, int64_t after, millrace_watch_fn *fn,
                   void *context, struct err *err);

#endif
