#include "daemon/blob_gc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/blob_index.h"
#include "daemon/blob_pack.h"
#include "daemon/blob_sweep.h"
#include "daemon/dataset.h"
#include "daemon/jobs.h"
#include "daemon/keep.h"
#include "daemon/manifest.h"
#include "daemon/store.h"
#include "daemon/upload.h"

static const int64_t day_us = 86400000000;

struct gc_task {
    struct store_task task;
    struct daemon *daemon;
    struct request request;
    bool has_request;
    struct arena arena;
    struct doc *held, *pinned; /* ids of blobs, of manifests */
    int64_t limit_us;          /* packs that are older are collected */
    struct doc *packs;         /* names and numbers of those that are to be made anew */
    struct doc *manifests;
    size_t next;
    int64_t n_blobs, n_bytes, n_packs;
};

static int fill(const struct doc *ids, enum db_sql clear, enum db_sql add, struct db *db,
                struct err *err)
{
    int rc = db_run(db, clear, err, "");
    for (size_t i = 0; i < ids->n && rc >= 0; i++) {
        rc = db_run(db, add, err, "s", doc_at(ids, i)->str);
    }
    return rc;
}

static int take_count(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct gc_task *task = context;
    task->n_blobs += db_int(row, 0);
    task->n_bytes += db_int(row, 1);
    return 0;
}

static int take_pack(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct gc_task *task = context;
    char path[PACK_PATH];
    struct stat st;
    int64_t live = db_int(row, 2);
    pack_path(db_text(row, 1), path);
    if (live > 0 && !blob_pack_is_open(task->daemon->packs, db_int(row, 0)) &&
        fstatat(task->daemon->blobs_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        live < st.st_size / 2) {
        struct doc *pack = doc_push(task->packs, &task->arena);
        doc_set_map(pack);
        doc_put_int(pack, &task->arena, "number", db_int(row, 0));
        doc_put_str(pack, &task->arena, "name", db_text(row, 1));
    }
    return 0;
}

static int take_manifest(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct gc_task *task = context;
    doc_set_str(doc_push(task->manifests, &task->arena), &task->arena, db_text(row, 0));
    return 0;
}

static int run_orphans(struct store_task *base, struct db *db, struct err *err)
{
    struct gc_task *task = (struct gc_task *)base;
    int rc = blob_merge(db, err);
    rc = rc < 0 ? rc : fill(task->held, DB_GC_CLEAR_HELD, DB_GC_HOLD, db, err);
    rc = rc < 0 ? rc : fill(task->pinned, DB_GC_CLEAR_PINNED, DB_GC_PIN, db, err);
    rc = rc < 0 ? rc : db_each(db, DB_GC_COUNT, take_count, task, err, "i", task->limit_us);
    rc = rc < 0 ? rc : db_run(db, DB_GC_ORPHANS, err, "i", task->limit_us);
    if (rc >= 0) {
        blob_sweep_loose(task->daemon, db, task->limit_us, &task->n_blobs, &task->n_bytes);
        rc = blob_sweep_packs(task->daemon, db, &task->n_packs, err);
    }
    return rc < 0 ? rc : db_each(db, DB_GC_PACKS, take_pack, task, err, "");
}

/* ---- a pack is made anew ---- */

struct moving {
    const char *id;
    int64_t offset, bytes;
};
struct move {
    struct arena arena;
    struct buf list; /* struct moving */
    struct blob_pack *pack;
    int from_fd;
    unsigned char *piece;
};

static int take_moving(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct move *move = context;
    const struct moving moving = {.id = arena_strdup(&move->arena, db_text(row, 0)),
                                  .offset = db_int(row, 1),
                                  .bytes = db_int(row, 2)};
    buf_put(&move->list, &moving, sizeof(moving));
    return 0;
}

static int move_blob(struct gc_task *task, struct move *move, const struct moving *moving,
                     struct db *db, struct err *err)
{
    struct blob_pack *pack = NULL;
    int64_t offset = 0;
    int64_t n = file_pread(move->from_fd, move->piece, (size_t)moving->bytes, moving->offset, err);
    if (n < moving->bytes) {
        return n < 0 ? (int)n : err_set(err, ERR_CORRUPT, "a pack is too short; verify data sets");
    }
    int rc = blob_pack_append(task->daemon->packs, "gc", move->piece, (size_t)moving->bytes, &pack,
                              &offset, err);
    if (rc < 0) {
        return rc;
    }
    if (move->pack != pack) {
        rc = move->pack != NULL ? blob_pack_sync(move->pack, move->pack->end, err) : 0;
        if (move->pack != NULL) {
            blob_pack_done(task->daemon->packs, move->pack);
        }
        move->pack = pack;
    } else {
        blob_pack_done(task->daemon->packs, pack); /* once is enough */
    }
    rc = rc < 0 ? rc
                : db_run(db, DB_PACK_ADD, err, "isi", pack->number, pack->name, pack->created_us);
    return rc < 0 ? rc : db_run(db, DB_GC_MOVE, err, "sii", moving->id, pack->number, offset);
}

static int move_all(struct gc_task *task, struct move *move, struct db *db, struct err *err)
{
    const struct moving *list = (const struct moving *)(const void *)move->list.data;
    size_t n = move->list.size / sizeof(*list);
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++) {
        rc = list[i].bytes >= 0 && list[i].bytes <= DAEMON_CHUNK_BYTES
                 ? move_blob(task, move, &list[i], db, err)
                 : err_set(err, ERR_CORRUPT, "a pack has a blob of %lld bytes",
                           (long long)list[i].bytes);
    }
    if (move->pack != NULL) {
        rc = rc < 0 ? rc : blob_pack_sync(move->pack, move->pack->end, err);
        blob_pack_done(task->daemon->packs, move->pack);
    }
    return rc;
}

static int run_move(struct store_task *base, struct db *db, struct err *err)
{
    struct gc_task *task = (struct gc_task *)base;
    const struct doc *pack = doc_at(task->packs, task->next++);
    int64_t number = doc_int(pack, "number", 0);
    struct move move = {.piece = malloc(DAEMON_CHUNK_BYTES)};
    char path[PACK_PATH];
    BUG_ON(move.piece == NULL);
    arena_init(&move.arena);
    pack_path(doc_str(pack, "name", ""), path);
    move.from_fd = openat(task->daemon->blobs_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int rc = move.from_fd < 0 ? err_errno(err, errno, "open a pack")
                              : db_each(db, DB_GC_MOVING, take_moving, &move, err, "i", number);
    rc = rc < 0 ? rc : move_all(task, &move, db, err);
    rc = rc < 0 ? rc : db_run(db, DB_GC_DEAD, err, "i", number);
    task->n_packs += rc >= 0;
    if (move.from_fd >= 0) {
        close(move.from_fd);
    }
    free(move.piece);
    buf_fini(&move.list);
    arena_fini(&move.arena);
    return rc;
}

/* ---- then every index is written again, then the dead packs go ---- */

static int run_list(struct store_task *base, struct db *db, struct err *err)
{
    struct gc_task *task = (struct gc_task *)base;
    blob_pack_release(task->daemon->packs, "gc");
    return db_each(db, DB_MANIFESTS, take_manifest, task, err, "");
}

static int run_index(struct store_task *base, struct db *db, struct err *err)
{
    struct gc_task *task = (struct gc_task *)base;
    struct blob_index index;
    struct manifest *manifest = NULL;
    const struct doc *file = NULL;
    blob_index_init(&index);
    int rc =
        manifest_open(task->daemon, doc_at(task->manifests, task->next++)->str, &manifest, err);
    rc = rc < 0 ? rc : manifest_next(manifest, &file, err);
    while (rc >= 0 && file != NULL) {
        const char *id = doc_str(file, "id", "");
        struct blob_place place;
        rc = blob_find(task->daemon->blobs_fd, db, id, &place, err);
        rc = rc == ERR_NOT_FOUND ? 0 : rc; /* damaged, and aside: reading it says so */
        blob_index_add(&index, id, &place);
        rc = rc < 0 ? rc : manifest_next(manifest, &file, err);
    }
    manifest_close(manifest);
    rc = rc == ERR_NOT_FOUND || rc == ERR_CORRUPT
             ? 0 /* removed in between, or damaged: verify says so */
         : rc < 0 ? rc
                  : blob_index_write(&index, task->daemon->blobs_fd, err);
    blob_index_fini(&index);
    return rc;
}

static int take_dead(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct gc_task *task = context;
    char path[PACK_PATH];
    pack_path(db_text(row, 1), path);
    unlinkat(task->daemon->blobs_fd, path, 0);
    doc_set_int(doc_push(task->packs, &task->arena), db_int(row, 0));
    return 0;
}

static int run_drop(struct store_task *base, struct db *db, struct err *err)
{
    struct gc_task *task = (struct gc_task *)base;
    doc_set_list(task->packs);
    int rc = db_each(db, DB_GC_DEAD_PACKS, take_dead, task, err, "");
    for (size_t i = 0; i < task->packs->n && rc >= 0; i++) {
        rc = db_run(db, DB_PACK_REMOVE, err, "i", doc_at(task->packs, i)->i);
    }
    return rc;
}

static void answer(struct gc_task *task)
{
    if (task->task.status < 0) {
        if (task->has_request) {
            control_error(task->daemon, &task->request, &task->task.err);
        }
        log_err(task->daemon->log, LOG_LEVEL_WARNING, "the collection ended early",
                &task->task.err);
    } else if (task->has_request) {
        struct doc *map = doc_new(&task->arena);
        doc_set_map(map);
        doc_put_int(map, &task->arena, "blobs", task->n_blobs);
        doc_put_int(map, &task->arena, "bytes", task->n_bytes);
        doc_put_int(map, &task->arena, "packs", task->n_packs);
        control_reply(task->daemon, &task->request, map);
    }
    arena_fini(&task->arena);
    free(task);
}

static void done_step(struct store_task *base)
{
    struct gc_task *task = (struct gc_task *)base;
    store_fn *run = base->run;
    bool moves = run == run_orphans || run == run_move;
    if (base->status < 0 || run == run_drop) {
        answer(task);
        return;
    }
    if (moves && task->next < task->packs->n) {
        run = run_move;
    } else if (moves) {
        run = run_list;
        task->next = 0;
    } else {
        run = task->next < task->manifests->n ? run_index : run_drop;
    }
    store_task_init(base, run, done_step, true);
    store_put(task->daemon->store, base);
}

static struct gc_task *make_task(struct daemon *daemon)
{
    struct gc_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    arena_init(&task->arena);
    struct doc **const lists[] = {&task->held, &task->pinned, &task->packs, &task->manifests};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        *lists[i] = doc_new(&task->arena);
        doc_set_list(*lists[i]);
    }
    return task;
}

void blob_gc_on_gc(struct daemon *daemon, const struct request *request, const void *body,
                   const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_dataset_gc *wanted = body;
    struct gc_task *task = make_task(daemon);
    int64_t days = wanted->keep_days >= 0 ? wanted->keep_days : daemon->settings->upload_keep_days;
    task->request = *request;
    task->has_request = true;
    task->limit_us = clock_wall_us() - days * day_us;
    upload_hold(daemon, task->held, &task->arena);
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        for (int64_t i = 0; i < job->n_pins && !jobs_is_over(job); i++) {
            doc_set_str(doc_push(task->pinned, &task->arena), &task->arena, job->pins[i].id);
        }
    }
    store_task_init(&task->task, run_orphans, done_step, true);
    store_put(daemon->store, &task->task);
    keep_sweep(daemon);
}

static int set_true(void *context, const struct db_row *row, struct err *err)
{
    (void)row;
    (void)err;
    *(bool *)context = true;
    return 0;
}

/* Lists nothing if nothing is dead, so that a start costs no reading of manifests. */
static int run_recover(struct store_task *base, struct db *db, struct err *err)
{
    bool any = false;
    int rc = db_each(db, DB_GC_DEAD_PACKS, set_true, &any, err, "");
    return rc < 0 || !any ? rc : run_list(base, db, err);
}

void blob_gc_recover(struct daemon *daemon)
{
    struct gc_task *task = make_task(daemon);
    store_task_init(&task->task, run_recover, done_step, true);
    store_put(daemon->store, &task->task);
}
