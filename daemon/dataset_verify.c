/* dataset.verify: a slice of files a task, so that others get their turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/blob.h"
#include "daemon/dataset.h"
#include "daemon/manifest.h"
#include "daemon/store.h"

enum { VERIFY_SLICE_US = 50000 };

struct verify_task {
    struct store_task task;
    struct daemon *daemon;
    struct request request;
    char id[HASH_ID_TEXT];
    struct arena arena;
    struct manifest *manifest;
    size_t n_files, next_shard;
    bool end;
    int64_t bytes;
    struct dataset_files where;
    struct doc *damaged, *reasons;
};

/* A damaged blob goes aside, or its place in a pack is forgotten, so that an upload of the same
 * file brings it back whole; of a shard, so that packing does. */
static int note_damage(struct verify_task *task, const struct doc *file, const char *reason,
                       struct db *db, struct err *err)
{
    const struct doc *shard = dataset_files_shard(&task->where, file);
    const char *id = doc_str(shard != NULL ? shard : file, "id", "");
    doc_set_str(doc_push(task->damaged, &task->arena), &task->arena, doc_str(file, "path", ""));
    doc_set_str(doc_push(task->reasons, &task->arena), &task->arena, reason);
    if (doc_get(task->where.rest, "place") != NULL) { /* a user's own files stay as they are */
        return 0;
    }
    int rc = blob_is_id(id)
                 ? blob_put_aside(task->daemon->blobs_fd, task->daemon->state_fd, id, err)
                 : 0;
    return rc < 0 ? rc : db_run(db, DB_BLOB_REMOVE, err, "s", id);
}

static int verify_one(struct verify_task *task, const struct doc *file, struct db *db,
                      struct err *err)
{
    char id[HASH_ID_TEXT];
    int64_t offset = 0;
    int fd = -1;
    int rc = dataset_files_open(&task->where, db, file, &fd, &offset, err);
    if (rc < 0) {
        return rc;
    }
    rc = blob_hash_fd(fd, offset, doc_int(file, "bytes", 0), id, err);
    rc = rc < 0 ? rc : dataset_files_check(&task->where, fd, file, err);
    close(fd);
    return rc >= 0 && strcmp(id, doc_str(file, "id", "")) != 0
               ? err_set(err, ERR_CORRUPT, "'%s' holds other bytes", doc_str(file, "path", ""))
               : rc;
}

/* The files, then the shards that they lie in; *ret NULL behind the last. */
static int next_entry(struct verify_task *task, const struct doc **ret, struct err *err)
{
    const struct doc *shards = doc_get(task->where.rest, "shards");
    int rc = task->next_shard == 0 ? manifest_next(task->manifest, ret, err) : 0;
    if (rc >= 0 && *ret != NULL) {
        task->n_files++;
        task->bytes += doc_int(*ret, "bytes", 0);
    } else if (rc >= 0 && shards != NULL && shards->type == DOC_LIST &&
               task->next_shard < shards->n) {
        *ret = doc_at(shards, task->next_shard++);
    }
    return rc;
}

static int run_verify(struct store_task *base, struct db *db, struct err *err)
{
    struct verify_task *task = (struct verify_task *)base;
    int rc =
        task->manifest == NULL ? manifest_open(task->daemon, task->id, &task->manifest, err) : 0;
    const int64_t end_us = clock_us() + VERIFY_SLICE_US;
    while (rc >= 0 && !task->end && clock_us() < end_us) {
        struct err found = {0};
        const struct doc *entry = NULL;
        task->where.rest = manifest_rest(task->manifest);
        rc = next_entry(task, &entry, err);
        task->end = entry == NULL;
        int status = task->end ? 0 : verify_one(task, entry, db, &found);
        if (err_is_data(status) || status == ERR_NOT_FOUND || status == ERR_IO) {
            rc = note_damage(task, entry, found.text, db, err);
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
    if (base->status >= 0 && !task->end) {
        store_put(task->daemon->store, base);
        return;
    }
    if (base->status < 0) {
        control_error(task->daemon, &task->request, &base->err);
    } else {
        struct doc *map = doc_new(&task->arena);
        doc_set_map(map);
        doc_put_int(map, &task->arena, "files", (int64_t)task->n_files);
        doc_put_int(map, &task->arena, "bytes", task->bytes);
        doc_copy(doc_put(map, &task->arena, "damaged"), &task->arena, task->damaged);
        doc_copy(doc_put(map, &task->arena, "reasons"), &task->arena, task->reasons);
        control_reply(task->daemon, &task->request, map);
    }
    dataset_files_close(&task->where);
    manifest_close(task->manifest);
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
    task->reasons = doc_new(&task->arena);
    doc_set_list(task->reasons);
    task->where = (struct dataset_files){.daemon = daemon, .place_fd = -1};
    store_task_init(&task->task, run_verify, done_verify, true);
    store_put(daemon->store, &task->task);
}
