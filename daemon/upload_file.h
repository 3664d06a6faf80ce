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
#include "daemon/blob_pack.h"
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
    int64_t fed_bytes;  /* of the user's feeds */
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
    struct sock_kept *frame;
    size_t size;
    int64_t have; /* answer */
    bool written, complete;
};
/* Whole files for a pack. */
struct upload_files_task {
    struct store_task task;
    struct daemon *daemon;
    struct upload_session *session;
    struct request request;
    const char *folder;
    struct sock_kept *frame;
    size_t n, size;
    bool single; /* answers as to dataset.chunk */
    int64_t index;
    struct blob_pack *pack;
    int64_t offset;
    const struct upload_file *files[];
};
struct upload_commit_task {
    struct store_task task;
    struct daemon *daemon;
    void *context; /* whose list it is */
    struct request request;
    const struct upload_list *list;
    const char *folder;    /* or NULL: nothing was sent */
    int64_t fed_bytes;     /* of the user's feeds */
    char id[HASH_ID_TEXT]; /* answer, as what follows */
    bool is_new;           /* else the newest version has these very files */
    int64_t version, uid, created_us;
};

void upload_file_begin(struct upload_begin_task *task, void (*done)(struct store_task *task));
void upload_file_chunk(struct upload_chunk_task *task, void (*done)(struct store_task *task));
void upload_file_whole(struct upload_files_task *task, void (*done)(struct store_task *task));
void upload_file_commit(struct upload_commit_task *task, void (*done)(struct store_task *task));

#endif
