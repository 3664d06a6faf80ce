/* dataset.remove: first the rows, then the files that nobody names any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/blob_index.h"
#include "daemon/blob_sweep.h"
#include "daemon/dataset.h"
#include "daemon/feed.h"
#include "daemon/jobs.h"
#include "daemon/keep.h"
#include "daemon/manifest.h"
#include "daemon/store.h"

struct remove_one {
    int64_t version;
    char id[HASH_ID_TEXT];
    bool unnamed; /* no version has this manifest any more */
};
struct remove_task {
    struct store_task task;
    struct daemon *daemon;
    struct request request;
    struct arena arena;
    const char *name;
    struct remove_one *ones;
    int64_t n;
    struct doc *orphans; /* ids of blobs that are files of their own */
};

static int add_orphan(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct remove_task *task = context;
    doc_set_str(doc_push(task->orphans, &task->arena), &task->arena, db_text(row, 0));
    return 0;
}

static int set_true(void *context, const struct db_row *row, struct err *err)
{
    (void)row;
    (void)err;
    *(bool *)context = true;
    return 0;
}

static int remove_rows(struct remove_task *task, struct remove_one *one, struct db *db,
                       struct err *err)
{
    bool used = false;
    int64_t number = 0;
    int rc = db_run(db, DB_DATASET_REMOVE, err, "si", task->name, one->version);
    rc = rc < 0 ? rc : db_each(db, DB_MANIFEST_USED, set_true, &used, err, "s", one->id);
    rc = rc < 0 ? rc : db_each(db, DB_MANIFEST_NUMBER, db_take_int, &number, err, "s", one->id);
    if (rc < 0 || used) {
        return rc;
    }
    one->unnamed = true;
    rc = db_each(db, DB_ORPHANS_LOOSE, add_orphan, task, err, "i", number);
    rc = rc < 0 ? rc : db_run(db, DB_ORPHANS_REMOVE, err, "i", number);
    rc = rc < 0 ? rc : db_run(db, DB_UNHOLD, err, "i", number);
    rc = rc < 0 ? rc : db_run(db, DB_UNPLACE, err, "i", number);
    return rc < 0 ? rc : db_run(db, DB_MANIFEST_REMOVE, err, "i", number);
}

static int run_remove_rows(struct store_task *base, struct db *db, struct err *err)
{
    struct remove_task *task = (struct remove_task *)base;
    int rc = 0;
    for (int64_t i = 0; i < task->n && rc >= 0; i++) {
        rc = remove_rows(task, &task->ones[i], db, err);
    }
    return rc;
}

/* The index of a list is that of every manifest with the same ids in the same order: as long as
 * another one names its first file, it stays. */
static bool index_is_used(const char *id, struct db *db)
{
    bool used = false;
    return db_each(db, DB_BLOB_USED, set_true, &used, NULL, "s", id) < 0 || used;
}

static void remove_index(const struct remove_task *task, struct db *db, const char *id)
{
    char path[PACK_INDEX_PATH];
    struct manifest *manifest = NULL;
    const struct doc *file = NULL;
    struct hash hash;
    bool used = false;
    int rc = manifest_open(task->daemon, id, &manifest, NULL);
    pack_path_init(&hash);
    rc = rc < 0 ? rc : manifest_next(manifest, &file, NULL);
    used = file == NULL || index_is_used(doc_str(file, "id", ""), db);
    while (rc >= 0 && !used && file != NULL) {
        pack_path_add(&hash, doc_str(file, "id", ""));
        rc = manifest_next(manifest, &file, NULL);
    }
    manifest_close(manifest);
    if (rc >= 0 && !used) {
        pack_path_final(&hash, path);
        unlinkat(task->daemon->blobs_fd, path, 0);
    }
}

static void remove_manifest(struct remove_task *task, struct db *db, const char *id)
{
    char name[HASH_ID_TEXT + 8];
    remove_index(task, db, id);
    snprintf(name, sizeof(name), "%.64s.json", id);
    unlinkat(task->daemon->datasets_fd, name, 0);
}

/* Asks again: an upload may have named a blob or the manifest in between. */
static int run_remove_files(struct store_task *base, struct db *db, struct err *err)
{
    struct remove_task *task = (struct remove_task *)base;
    char path[BLOB_PATH];
    int rc = 0;
    for (size_t i = 0; i < task->orphans->n && rc >= 0; i++) {
        bool used = false;
        const char *id = doc_at(task->orphans, i)->str;
        rc = db_each(db, DB_BLOB_USED, set_true, &used, err, "s", id);
        if (rc >= 0 && !used) {
            blob_path(id, path);
            unlinkat(task->daemon->blobs_fd, path, 0);
        }
    }
    for (int64_t i = 0; i < task->n && rc >= 0; i++) {
        bool used = !task->ones[i].unnamed;
        rc = db_each(db, DB_MANIFEST_USED, set_true, &used, err, "s", task->ones[i].id);
        if (rc >= 0 && !used) {
            remove_manifest(task, db, task->ones[i].id);
        }
    }
    return rc < 0 ? rc : blob_sweep_packs(task->daemon, db, NULL, err);
}

static void free_remove(struct store_task *base)
{
    struct remove_task *task = (struct remove_task *)base;
    arena_fini(&task->arena);
    free(task);
}

static void done_remove_files(struct store_task *base)
{
    keep_sweep(((struct remove_task *)base)->daemon);
    free_remove(base);
}

static void done_remove_rows(struct store_task *base)
{
    struct remove_task *task = (struct remove_task *)base;
    struct daemon *daemon = task->daemon;
    if (base->status < 0) {
        for (struct dataset *d = daemon->datasets->head; d != NULL; d = d->next) {
            d->removing = d->removing && strcmp(d->name, task->name) != 0;
        }
        control_error(daemon, &task->request, &base->err);
        free_remove(base);
        return;
    }
    for (int64_t i = 0; i < task->n; i++) {
        dataset_forget(daemon, task->name, task->ones[i].version);
    }
    (void)feed_remove(daemon, task->name); /* a feed has no other version */
    control_reply_empty(daemon, &task->request);
    log_put(daemon->log, LOG_LEVEL_INFO, "data set removed", LOG_TEXT("name", task->name),
            LOG_NUMBER("versions", task->n));
    store_task_init(base, run_remove_files, done_remove_files, true);
    store_put(daemon->store, base);
}

/* Is the manifest that of a version that stays? Then a job that uses it loses nothing. */
static bool stays(const struct daemon *daemon, const char *id)
{
    const struct dataset *d = daemon->datasets->head;
    while (d != NULL && (d->removing || strcmp(d->id, id) != 0)) {
        d = d->next;
    }
    return d != NULL;
}

/* Marks what goes: one version, or all of the name; takes it back if a job uses one of them. */
static int mark(struct daemon *daemon, const char *word, const struct dataset *first,
                struct remove_task *task, struct err *err)
{
    bool all = strchr(word, '@') == NULL;
    int rc = 0;
    task->ones = arena_array(&task->arena, (size_t)daemon->datasets->n, sizeof(task->ones[0]));
    for (struct dataset *d = daemon->datasets->head; d != NULL; d = d->next) {
        if (d == first || (all && !d->removing && !strcmp(d->name, first->name))) {
            struct remove_one *one = &task->ones[task->n++];
            one->version = d->version;
            memcpy(one->id, d->id, sizeof(one->id));
            d->removing = true;
        }
    }
    for (int64_t i = 0; i < task->n && rc >= 0; i++) {
        const char *user = jobs_user(daemon, task->ones[i].id);
        if (user != NULL && !stays(daemon, task->ones[i].id)) {
            rc = err_set(
                err, ERR_BUSY,
                "version %lld of the data set '%s' is used by the job %s; cancel it or wait "
                "for its end",
                (long long)task->ones[i].version, first->name, user);
        }
    }
    for (struct dataset *d = daemon->datasets->head; d != NULL && rc < 0; d = d->next) {
        for (int64_t i = 0; i < task->n; i++) {
            d->removing = d->removing && (d->version != task->ones[i].version ||
                                          strcmp(d->name, first->name) != 0);
        }
    }
    return rc;
}

void dataset_on_remove(struct daemon *daemon, const struct request *request, const void *body,
                       const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_named *named = body;
    struct dataset *dataset = NULL;
    struct err err = {0};
    struct remove_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    arena_init(&task->arena);
    int rc = dataset_get(daemon, named->name, &dataset, &err);
    if (rc < 0 && feed_remove(daemon, named->name)) { /* it was pushed, and not ended */
        control_reply_empty(daemon, request);
        free_remove(&task->task);
        return;
    }
    rc = rc < 0 ? rc : mark(daemon, named->name, dataset, task, &err);
    if (rc < 0) {
        control_error(daemon, request, &err);
        free_remove(&task->task);
        return;
    }
    task->daemon = daemon;
    task->request = *request;
    task->name = arena_strdup(&task->arena, dataset->name);
    task->orphans = doc_new(&task->arena);
    doc_set_list(task->orphans);
    store_task_init(&task->task, run_remove_rows, done_remove_rows, true);
    store_put(daemon->store, &task->task);
}
