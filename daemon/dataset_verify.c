/* dataset.verify: a slice of files a task, so that others get their turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/blob.h"
#include "daemon/dataset.h"
#include "daemon/store.h"

enum { VERIFY_SLICE_US = 50000 };

struct verify_task {
    struct store_task task;
    struct daemon *daemon;
    struct request request;
    char id[HASH_ID_TEXT];
    struct arena arena;
    const struct doc *files;
    size_t next;
    int64_t bytes;
    struct doc *damaged;
};

/* A damaged blob goes aside, or its place in a pack is forgotten, so that an upload of the same
 * file brings it back whole. */
static int note_damage(struct verify_task *task, const struct doc *file, struct db *db,
                       struct err *err)
{
    const char *id = doc_str(file, "id", "");
    doc_set_str(doc_push(task->damaged, &task->arena), &task->arena, doc_str(file, "path", ""));
    int rc = blob_is_id(id)
                 ? blob_put_aside(task->daemon->blobs_fd, task->daemon->state_fd, id, err)
                 : 0;
    return rc < 0 ? rc : db_run(db, DB_BLOB_REMOVE, err, "s", id);
}

static int run_verify(struct store_task *base, struct db *db, struct err *err)
{
    struct verify_task *task = (struct verify_task *)base;
    int rc = task->files == NULL
                 ? dataset_read(task->daemon, task->id, &task->arena, &task->files, err)
                 : 0;
    int64_t end_us = clock_us() + VERIFY_SLICE_US;
    while (rc >= 0 && task->next < task->files->n && clock_us() < end_us) {
        const struct doc *file = doc_at(task->files, task->next++);
        const char *id = doc_str(file, "id", "");
        int64_t bytes = doc_int(file, "bytes", 0);
        struct err found = {0};
        int status = blob_is_id(id) ? blob_verify(task->daemon->blobs_fd, db, id, bytes, &found)
                                    : ERR_CORRUPT;
        task->bytes += bytes;
        if (status == ERR_CORRUPT || status == ERR_NOT_FOUND || status == ERR_IO) {
            rc = note_damage(task, file, db, err);
        } else if (status < 0) {
            *err = found;
            rc = status;
        }
    }
    return rc;
}

static void done_verify(struct store_task *base)
{
    struct verify_task *task = (struct verify_task *)base;
    if (base->status >= 0 && task->next < task->files->n) {
        store_put(task->daemon->store, base);
        return;
    }
    if (base->status < 0) {
        control_error(task->daemon, &task->request, &base->err);
    } else {
        struct doc *map = doc_new(&task->arena);
        doc_set_map(map);
        doc_put_int(map, &task->arena, "files", (int64_t)task->files->n);
        doc_put_int(map, &task->arena, "bytes", task->bytes);
        doc_copy(doc_put(map, &task->arena, "damaged"), &task->arena, task->damaged);
        control_reply(task->daemon, &task->request, map);
    }
    arena_fini(&task->arena);
    free(task);
}

void dataset_on_verify(struct daemon *daemon, const struct request *request, const void *body,
                       const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_named *named = body;
    struct dataset *dataset = NULL;
    struct err err = {0};
    if (dataset_get(daemon, named->name, &dataset, &err) < 0) {
        control_error(daemon, request, &err);
        return;
    }
    struct verify_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    task->request = *request;
    memcpy(task->id, dataset->id, sizeof(task->id));
    arena_init(&task->arena);
    task->damaged = doc_new(&task->arena);
    doc_set_list(task->damaged);
    store_task_init(&task->task, run_verify, done_verify, true);
    store_put(daemon->store, &task->task);
}
