/* steps - work on data sets that takes long, done a moment at a time, as often as the client asks:
 * what a client left ends by itself, and the store thread is never kept from others.
 *
 * Owns:     struct steps owns the sessions; what a kind allocates it frees in `fini`.
 * Threads:  begin and step run on the store thread while the session has a task; all else is the
 * loop's. Errors: those of the kind end the session; ERR_NOT_FOUND, ERR_BUSY, ERR_LIMIT. Lifetime:
 * steps_create .. steps_destroy.
 *
 * A kind embeds struct steps_session as its first member and fills `list`; when a step says that it
 * was the last, the list is committed as a version of a data set.
 */
#ifndef DAEMON_STEPS_H
#define DAEMON_STEPS_H

#include "daemon/control.h"
#include "daemon/store.h"
#include "daemon/upload_list.h"

enum { STEPS_ID = 17, STEPS_SLICE_US = 100000 };

struct steps_session {
    struct steps_session *next;
    char id[STEPS_ID];
    struct daemon *daemon;
    const struct steps_kind *kind;
    struct arena arena;
    struct upload_list list;
    int64_t uid, total_bytes, done_bytes;
    int64_t fed_bytes; /* of the user's feeds */
    const char *path; /* where it is, for progress; or NULL */
    bool has_task;
    int64_t last_us;
};
struct steps_kind {
    size_t size;
    int (*begin)(struct steps_session *session, struct db *db, struct err *err);
    /* Works for about STEPS_SLICE_US. */
    int (*step)(struct steps_session *session, struct db *db, bool *ret_end, struct err *err);
    void (*fini)(struct steps_session *session);
};

void steps_create(struct daemon *daemon);
void steps_destroy(struct daemon *daemon);
/* A zeroed session with its arena, or NULL and err: too many. Then steps_begin. */
struct steps_session *steps_new(struct daemon *daemon, const struct steps_kind *kind,
                                const struct request *request, struct err *err);
void steps_begin(struct steps_session *session, const struct request *request);

control_fn steps_on_step;

#endif
