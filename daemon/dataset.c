#include "daemon/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/blob.h"
#include "daemon/jobs.h"
#include "daemon/store.h"

enum { VERIFY_SLICE_US = 50000 };

static void free_dataset(struct dataset *dataset)
{
    free(dataset->name);
    free(dataset->kind);
    free(dataset->splits);
    free(dataset);
}

static char *copy(const char *text)
{
    char *ret = strdup(text);
    BUG_ON(ret == NULL);
    return ret;
}

static void forget(struct daemon *daemon, const char *name)
{
    for (struct dataset **link = &daemon->datasets->head; *link != NULL; link = &(*link)->next) {
        struct dataset *dataset = *link;
        if (!strcmp(dataset->name, name)) {
            *link = dataset->next;
            daemon->datasets->n--;
            free_dataset(dataset);
            return;
        }
    }
}

struct dataset *dataset_add(struct daemon *daemon, const struct dataset *values)
{
    forget(daemon, values->name);
    struct dataset *dataset = calloc(1, sizeof(*dataset));
    BUG_ON(dataset == NULL);
    *dataset = *values;
    dataset->name = copy(values->name);
    dataset->kind = copy(values->kind);
    dataset->splits = copy(values->splits);
    struct dataset **link = &daemon->datasets->head;
    while (*link != NULL && strcmp((*link)->name, dataset->name) < 0) {
        link = &(*link)->next;
    }
    dataset->next = *link;
    *link = dataset;
    daemon->datasets->n++;
    return dataset;
}

static int load_row(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct arena arena;
    arena_init(&arena);
    struct dataset values = {
        .files = db_int(row, 3), .bytes = db_int(row, 4), .created_us = db_int(row, 5)};
    values.name = arena_strdup(&arena, db_text(row, 0));
    values.kind = arena_strdup(&arena, db_text(row, 1));
    values.splits = arena_strdup(&arena, db_text(row, 6));
    snprintf(values.id, sizeof(values.id), "%s", db_text(row, 2));
    dataset_add(context, &values);
    arena_fini(&arena);
    return 0;
}

int dataset_open(struct daemon *daemon, struct err *err)
{
    daemon->datasets = calloc(1, sizeof(*daemon->datasets));
    BUG_ON(daemon->datasets == NULL);
    return db_each(store_db(daemon->store), DB_DATASETS, load_row, daemon, err, "");
}

void dataset_close(struct daemon *daemon)
{
    while (daemon->datasets != NULL && daemon->datasets->head != NULL) {
        forget(daemon, daemon->datasets->head->name);
    }
    free(daemon->datasets);
    daemon->datasets = NULL;
}

struct dataset *dataset_find(const struct daemon *daemon, const char *name)
{
    struct dataset *dataset = daemon->datasets->head;
    while (dataset != NULL && (dataset->removing || strcmp(dataset->name, name) != 0)) {
        dataset = dataset->next;
    }
    return dataset;
}

int dataset_get(const struct daemon *daemon, const char *name, struct dataset **ret,
                struct err *err)
{
    *ret = dataset_find(daemon, name);
    if (*ret != NULL) {
        return 0;
    }
    const char **names = calloc((size_t)daemon->datasets->n + 1, sizeof(*names));
    BUG_ON(names == NULL);
    size_t n = 0;
    for (const struct dataset *d = daemon->datasets->head; d != NULL; d = d->next) {
        names[n++] = d->name;
    }
    const char *near = err_nearest(name, names, n);
    int rc = err_set(err, ERR_NOT_FOUND, "no data set '%.64s'%s%s%s", name,
                     near != NULL ? "; the nearest is '" : "", near != NULL ? near : "",
                     near != NULL ? "'"
                     : n > 0      ? "; `millrace dataset list` lists those that are there"
                                  : "; `millrace dataset put NAME PATH` stores one");
    free(names);
    return rc;
}

void dataset_write(const struct daemon *daemon, const struct dataset *dataset, bool full,
                   struct doc *map, struct arena *arena)
{
    char created[32];
    clock_format(dataset->created_us, created, sizeof(created));
    doc_set_map(map);
    doc_put_str(map, arena, "name", dataset->name);
    doc_put_str(map, arena, "kind", dataset->kind);
    doc_put_str(map, arena, "id", dataset->id);
    doc_put_int(map, arena, "files", dataset->files);
    doc_put_int(map, arena, "bytes", dataset->bytes);
    doc_put_str(map, arena, "created", created);
    if (!full) {
        return;
    }
    struct doc *splits = NULL;
    if (doc_read_json(dataset->splits, strlen(dataset->splits), &doc_limits_default, arena, &splits,
                      NULL) >= 0) {
        doc_copy(doc_put(map, arena, "splits"), arena, splits);
    }
    jobs_write_users(daemon, dataset->name, doc_put(map, arena, "used_by"), arena);
}

void dataset_write_all(const struct daemon *daemon, struct doc *map, struct arena *arena)
{
    doc_set_map(map);
    struct doc *list = doc_put(map, arena, "datasets");
    doc_set_list(list);
    for (const struct dataset *d = daemon->datasets->head; d != NULL; d = d->next) {
        if (!d->removing) {
            dataset_write(daemon, d, false, doc_push(list, arena), arena);
        }
    }
}

int dataset_manifest(const struct daemon *daemon, const char *id, int *ret_fd, struct err *err)
{
    char name[HASH_ID_TEXT + 8];
    snprintf(name, sizeof(name), "%.64s.json", id);
    *ret_fd = openat(daemon->datasets_fd, name, O_RDONLY | O_CLOEXEC);
    return *ret_fd < 0 ? err_errno(err, errno, "open the manifest %.16s", id) : 0;
}

void dataset_on_list(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    (void)body;
    (void)frames;
    (void)n_frames;
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    dataset_write_all(daemon, map, &arena);
    control_reply(daemon, request, map);
    arena_fini(&arena);
}

void dataset_on_show(struct daemon *daemon, const struct request *request, const void *body,
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
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    dataset_write(daemon, dataset, true, map, &arena);
    control_reply(daemon, request, map);
    arena_fini(&arena);
}

/* ---- verify: a slice of files a task, so that others get their turn
 * ---------------------------------------- */

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

static int open_manifest(struct verify_task *task, struct err *err)
{
    char name[HASH_ID_TEXT + 8];
    struct buf text;
    struct doc *manifest = NULL;
    buf_init(&text);
    snprintf(name, sizeof(name), "%s.json", task->id);
    int rc = file_read(task->daemon->datasets_fd, name, doc_limits_default.bytes, &text, err);
    if (rc >= 0) {
        rc = doc_read_json(text.data, text.size, &doc_limits_default, &task->arena, &manifest, err);
    }
    buf_fini(&text);
    if (rc < 0) {
        return rc;
    }
    char id[HASH_ID_TEXT];
    struct buf canonical;
    buf_init(&canonical);
    doc_write_canonical(manifest, &canonical);
    hash_bytes(canonical.data, canonical.size, id);
    buf_fini(&canonical);
    task->files = doc_get(manifest, "files");
    if (strcmp(id, task->id) != 0 || task->files == NULL || task->files->type != DOC_LIST) {
        return err_set(err, ERR_CORRUPT, "the manifest %s is damaged", task->id);
    }
    return 0;
}

/* A damaged blob goes aside, so that an upload of the same file brings it back whole. */
static int note_damage(struct verify_task *task, const struct doc *file, struct err *err)
{
    const char *id = doc_str(file, "id", "");
    doc_set_str(doc_push(task->damaged, &task->arena), &task->arena, doc_str(file, "path", ""));
    return blob_is_id(id) ? blob_put_aside(task->daemon->blobs_fd, task->daemon->state_fd, id, err)
                          : 0;
}

static int run_verify(struct store_task *base, struct db *db, struct err *err)
{
    (void)db;
    struct verify_task *task = (struct verify_task *)base;
    int rc = task->files == NULL ? open_manifest(task, err) : 0;
    int64_t end_us = clock_us() + VERIFY_SLICE_US;
    while (rc >= 0 && task->next < task->files->n && clock_us() < end_us) {
        const struct doc *file = doc_at(task->files, task->next++);
        const char *id = doc_str(file, "id", "");
        int64_t bytes = doc_int(file, "bytes", 0);
        struct err found = {0};
        int status =
            blob_is_id(id) ? blob_verify(task->daemon->blobs_fd, id, bytes, &found) : ERR_CORRUPT;
        task->bytes += bytes;
        if (status == ERR_CORRUPT || status == ERR_NOT_FOUND || status == ERR_IO) {
            rc = note_damage(task, file, err);
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
    store_task_init(&task->task, run_verify, done_verify, false);
    store_put(daemon->store, &task->task);
}

/* ---- remove: first the rows, then the files that nobody names any more
 * -------------------------------------- */

struct remove_task {
    struct store_task task;
    struct daemon *daemon;
    struct request request;
    char *name;
    char id[HASH_ID_TEXT];
    struct arena arena;
    struct doc *orphans;
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

static int run_remove_rows(struct store_task *base, struct db *db, struct err *err)
{
    struct remove_task *task = (struct remove_task *)base;
    int rc = db_each(db, DB_BLOBS_ORPHANED, add_orphan, task, err, "s", task->name);
    if (rc >= 0) {
        rc = db_run(db, DB_BLOB_UNREF, err, "s", task->name);
    }
    return rc < 0 ? rc : db_run(db, DB_DATASET_REMOVE, err, "s", task->name);
}

/* Asks again: an upload may have named a blob in between. */
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
    bool used = false;
    if (rc >= 0) {
        rc = db_each(db, DB_MANIFEST_USED, set_true, &used, err, "s", task->id);
    }
    if (rc >= 0 && !used) {
        char name[HASH_ID_TEXT + 8];
        snprintf(name, sizeof(name), "%s.json", task->id);
        unlinkat(task->daemon->datasets_fd, name, 0);
    }
    return rc;
}

static void free_remove(struct store_task *base)
{
    struct remove_task *task = (struct remove_task *)base;
    arena_fini(&task->arena);
    free(task->name);
    free(task);
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
    forget(daemon, task->name);
    control_reply_empty(daemon, &task->request);
    log_put(daemon->log, LOG_LEVEL_INFO, "data set removed", LOG_TEXT("name", task->name));
    store_task_init(base, run_remove_files, free_remove, false);
    store_put(daemon->store, base);
}

void dataset_on_remove(struct daemon *daemon, const struct request *request, const void *body,
                       const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_named *named = body;
    struct dataset *dataset = NULL;
    struct err err = {0};
    int rc = dataset_get(daemon, named->name, &dataset, &err);
    const char *user = rc >= 0 ? jobs_user(daemon, named->name) : NULL;
    if (user != NULL) {
        rc = err_set(&err, ERR_BUSY,
                     "the data set '%s' is used by the job %s; cancel it or wait for its end",
                     named->name, user);
    }
    if (rc < 0) {
        control_error(daemon, request, &err);
        return;
    }
    struct remove_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    task->request = *request;
    task->name = copy(dataset->name);
    memcpy(task->id, dataset->id, sizeof(task->id));
    arena_init(&task->arena);
    task->orphans = doc_new(&task->arena);
    doc_set_list(task->orphans);
    dataset->removing = true;
    store_task_init(&task->task, run_remove_rows, done_remove_rows, true);
    store_put(daemon->store, &task->task);
}
