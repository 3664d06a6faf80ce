/* upload_file - the store thread's half of an upload: what lies where, chunks, the end of a file,
 * the commit.
 *
 * Owns:     each task owns itself; upload_file_* put it into the store, `done` of the caller frees
 * it. Threads:  made and freed on the loop, run on the store thread. Errors:   in the task.
 * Lifetime: a task's.
 */
#ifndef DAEMON_UPLOAD_FILE_H
#define DAEMON_UPLOAD_FILE_H

#include "base/hash.h"
#include "daemon/control.h"
#include "daemon/store.h"
#include "daemon/upload_list.h"

struct upload_session;

struct upload_begin_task {
    struct store_task task;
    struct daemon *daemon;
    struct upload_session *session;
    struct request request;
    const struct upload_list *list;
    const char *folder; /* in uploads/ */
    int64_t *have;      /* a file, list->n of them */
};
struct upload_chunk_task {
    struct store_task task;
    struct daemon *daemon;
    struct upload_session *session;
    struct request request;
    const char *folder;
    struct upload_file file; /* texts live as long as the session */
    int64_t index, offset;
    size_t size;
    int64_t have; /* answer */
    bool written, complete;
    unsigned char data[];
};
struct upload_commit_task {
    struct store_task task;
    struct daemon *daemon;
    struct upload_session *session;
    struct request request;
    const struct upload_list *list;
    const char *folder;
    char id[HASH_ID_TEXT]; /* answer */
    int64_t created_us;
};

void upload_file_begin(struct upload_begin_task *task, void (*done)(struct store_task *task));
void upload_file_chunk(struct upload_chunk_task *task, void (*done)(struct store_task *task));
void upload_file_commit(struct upload_commit_task *task, void (*done)(struct store_task *task));
/* Removes parts older than so many days; and blobs that no data set names and are as old. */
void upload_file_sweep(struct daemon *daemon);

#endif
