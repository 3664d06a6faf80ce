/* dataset.manifest and dataset.read: a data set goes out as it came in, the manifest first, then
 * bytes by content id. Who knows an id may have the bytes, as with workers. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/blob.h"
#include "daemon/dataset.h"
#include "daemon/in_place.h"
#include "daemon/store.h"
#include "proto/place.h"

struct read_task {
    struct store_task task;
    struct daemon *daemon;
    struct request request;
    struct arena arena;
    struct doc *answer;
    char manifest[HASH_ID_TEXT]; /* or "" */
    const char *place;           /* the folder of a data set in place, or NULL */
    int place_fd;
    const char **ids;
    size_t n_ids;
    int64_t offset;
    struct buf data;
    struct doc *file; /* in place: the entry of what is open */
};

static int read_some(int fd, int64_t offset, int64_t bytes, struct buf *out, struct err *err)
{
    buf_reserve(out, (size_t)bytes + 1);
    int64_t n = file_pread(fd, out->data + out->size, (size_t)bytes, offset, err);
    out->size += n > 0 ? (size_t)n : 0;
    return n < 0 ? (int)n : 0;
}

static int run_manifest(struct store_task *base, struct db *db, struct err *err)
{
    (void)db;
    struct read_task *task = (struct read_task *)base;
    int fd = -1;
    int rc = dataset_manifest(task->daemon, task->manifest, &fd, err);
    if (rc >= 0) {
        rc = read_some(fd, task->offset, DAEMON_CHUNK_BYTES, &task->data, err);
        close(fd);
    }
    return rc;
}

static int take_placed(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct read_task *task = context;
    const struct place_stamp stamp = {
        .bytes = db_int(row, 1), .mtime_ns = db_int(row, 2), .inode = db_int(row, 3)};
    doc_put_str(task->file, &task->arena, "path", db_text(row, 0));
    place_stamp_put(&stamp, task->file, &task->arena);
    return 0;
}

/* The file of a data set in place that has the id. Only what its list names is opened. */
static int open_placed(struct read_task *task, struct db *db, const char *id,
                       struct blob_place *ret, int *ret_fd, struct err *err)
{
    *ret = (struct blob_place){.bytes = -1};
    task->file = doc_new(&task->arena);
    doc_set_map(task->file);
    int rc =
        task->place_fd < 0 ? in_place_open(task->daemon, task->place, &task->place_fd, err) : 0;
    rc = rc < 0 ? rc : db_each(db, DB_PLACED, take_placed, task, err, "ss", task->manifest, id);
    if (rc < 0 || task->file->n == 0) {
        return rc < 0 ? rc : ERR_NOT_FOUND;
    }
    ret->bytes = doc_int(task->file, "bytes", -1);
    return place_open(task->place_fd, task->file, ret_fd, err);
}

static int open_one(struct read_task *task, struct db *db, const char *id, struct blob_place *ret,
                    int *ret_fd, struct err *err)
{
    *ret_fd = -1;
    if (task->place != NULL) {
        return open_placed(task, db, id, ret, ret_fd, err);
    }
    int rc = blob_find(task->daemon->blobs_fd, db, id, ret, err);
    return rc < 0 ? rc : blob_open(task->daemon->blobs_fd, id, ret, ret_fd, err);
}

/* One blob from an offset on, or as many whole ones as go into a chunk. */
static int run_read(struct store_task *base, struct db *db, struct err *err)
{
    struct read_task *task = (struct read_task *)base;
    struct doc *sizes = doc_put(task->answer, &task->arena, "sizes");
    int64_t offset = task->offset;
    int rc = 0;
    doc_set_list(sizes);
    for (size_t i = 0; i < task->n_ids && rc >= 0; i++) {
        struct blob_place place;
        int fd = -1;
        rc = open_one(task, db, task->ids[i], &place, &fd, err);
        if (rc == ERR_NOT_FOUND || (rc >= 0 && offset > place.bytes)) {
            rc = err_set(err, ERR_NOT_FOUND, "there are no such bytes of a blob '%.64s'",
                         task->ids[i]);
        }
        int64_t left = place.bytes - offset;
        int64_t room = DAEMON_CHUNK_BYTES - (int64_t)task->data.size;
        bool fits = rc >= 0 && (left <= room || i == 0);
        if (fits) {
            rc = read_some(fd, place.offset + offset, left < room ? left : room, &task->data, err);
        }
        rc = fits && rc >= 0 && task->place != NULL ? place_check_fd(fd, task->file, err) : rc;
        if (fd >= 0) {
            close(fd);
        }
        if (rc < 0 || !fits) {
            break;
        }
        doc_set_int(doc_push(sizes, &task->arena), left < room ? left : room);
        offset = 0;
    }
    return rc;
}

static void done_read(struct store_task *base)
{
    struct read_task *task = (struct read_task *)base;
    if (base->status < 0) {
        control_error(task->daemon, &task->request, &base->err);
    } else {
        const struct sock_frame frame = {.data = task->data.data, .size = task->data.size};
        control_reply_frames(task->daemon, &task->request, task->answer, &frame, 1);
    }
    if (task->place_fd >= 0) {
        close(task->place_fd);
    }
    buf_fini(&task->data);
    arena_fini(&task->arena);
    free(task);
}

static struct read_task *make_task(struct daemon *daemon, const struct request *request)
{
    struct read_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    task->request = *request;
    task->place_fd = -1;
    arena_init(&task->arena);
    task->answer = doc_new(&task->arena);
    doc_set_map(task->answer);
    return task;
}

void dataset_on_manifest(struct daemon *daemon, const struct request *request, const void *body,
                         const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_dataset_manifest *wanted = body;
    struct dataset *dataset = NULL;
    struct err err = {0};
    if (dataset_get(daemon, wanted->name, &dataset, &err) < 0) {
        control_error(daemon, request, &err);
        return;
    }
    struct read_task *task = make_task(daemon, request);
    memcpy(task->manifest, dataset->id, sizeof(task->manifest));
    task->offset = wanted->offset;
    dataset_write(daemon, dataset, false, task->answer, &task->arena);
    store_task_init(&task->task, run_manifest, done_read, false);
    store_put(daemon->store, &task->task);
}

/* Of a data set in place the files lie in its folder. */
static int find_place(struct read_task *task, const char *name, struct err *err)
{
    struct dataset *dataset = NULL;
    int rc = name != NULL ? dataset_get(task->daemon, name, &dataset, err) : 0;
    if (rc >= 0 && dataset != NULL && dataset->place[0] != '\0') {
        memcpy(task->manifest, dataset->id, sizeof(task->manifest));
        task->place = arena_strdup(&task->arena, dataset->place);
    }
    return rc;
}

void dataset_on_read(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_dataset_read *wanted = body;
    struct read_task *task = make_task(daemon, request);
    int rc = wanted->ids.n > 0 ? find_place(task, wanted->name, &task->task.err)
                               : err_set(&task->task.err, ERR_MISSING, "no ids are given");
    task->ids = arena_array(&task->arena, wanted->ids.n + 1, sizeof(task->ids[0]));
    task->offset = wanted->offset;
    for (size_t i = 0; i < wanted->ids.n && rc >= 0; i++) {
        task->ids[task->n_ids++] = arena_strdup(&task->arena, wanted->ids.v[i]);
        rc = blob_is_id(wanted->ids.v[i])
                 ? 0
                 : err_set_at(&task->task.err, ERR_INVALID, "ids", "'%.64s' is no content id",
                              wanted->ids.v[i]);
    }
    if (rc < 0) {
        control_error(daemon, request, &task->task.err);
        arena_fini(&task->arena);
        free(task);
        return;
    }
    store_task_init(&task->task, run_read, done_read, false);
    store_put(daemon->store, &task->task);
}
