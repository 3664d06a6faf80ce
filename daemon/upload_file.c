#include "daemon/upload_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/blob.h"
#include "daemon/blob_index.h"
#include "daemon/dataset.h"
#include "daemon/quota.h"

enum { PART_PATH = 128 };

static void part_path(const char *folder, const char *id, char path[PART_PATH])
{
    snprintf(path, PART_PATH, "%.32s/%.64s", folder, id);
}

static int64_t part_bytes(const struct daemon *daemon, const char *folder,
                          const struct upload_file *file)
{
    char path[PART_PATH];
    struct stat st;
    part_path(folder, file->id, path);
    if (fstatat(daemon->uploads_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        st.st_size > file->bytes) {
        return 0;
    }
    /* A whole part that was never moved in is sent again from its last chunk on, so that it is
     * checked. */
    return st.st_size < file->bytes ? st.st_size
                                    : (st.st_size - 1) / DAEMON_CHUNK_BYTES * DAEMON_CHUNK_BYTES;
}

static int run_begin(struct store_task *base, struct db *db, struct err *err)
{
    struct upload_begin_task *task = (struct upload_begin_task *)base;
    const struct upload_list *list = task->list;
    if (mkdirat(task->daemon->uploads_fd, task->folder, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, errno, "make the folder of the upload");
    }
    int64_t more = 0;
    int rc = blob_merge(db, err);
    for (size_t i = 0; i < list->n && rc >= 0; i++) {
        const struct upload_file *file = &list->files[i];
        struct blob_place place;
        rc = blob_find(task->daemon->blobs_fd, db, file->id, &place, err);
        if (rc >= 0 && place.bytes == file->bytes) {
            task->have[i] = file->bytes;
        } else if (file->bytes > DAEMON_CHUNK_BYTES) {
            task->have[i] = part_bytes(task->daemon, task->folder, file);
        }
        rc = rc == ERR_NOT_FOUND ? 0 : rc;
        more += file->bytes - task->have[i];
    }
    return rc < 0 ? rc
                  : quota_check(task->daemon, db, task->request.uid, more + task->fed_bytes, err);
}

static int wrong_bytes(struct upload_chunk_task *task, struct err *err)
{
    char path[PART_PATH];
    part_path(task->folder, task->file.id, path);
    unlinkat(task->daemon->uploads_fd, path, 0);
    task->have = 0;
    return err_set_at(err, ERR_CORRUPT, task->file.path,
                      "the bytes do not have the declared id; send the file again");
}

static int write_part(struct upload_chunk_task *task, int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return err_errno(err, errno, "size of a part");
    }
    int64_t end = task->offset + (int64_t)task->size;
    task->have = st.st_size;
    if (task->offset > st.st_size) {
        return err_set_at(err, ERR_INVALID, task->file.path,
                          "offset %lld, but %lld bytes are stored", (long long)task->offset,
                          (long long)st.st_size);
    }
    if (end > st.st_size) {
        int rc = file_pwrite_all(fd, sock_kept_data(task->frame), task->size, task->offset, err);
        if (rc < 0) {
            int ignored = ftruncate(fd, st.st_size);
            (void)ignored;
            return rc;
        }
        task->have = end;
    }
    if (task->have < task->file.bytes) {
        return 0;
    }
    char id[HASH_ID_TEXT];
    int rc = blob_hash_fd(fd, 0, task->file.bytes, id, err);
    if (rc >= 0 && strcmp(id, task->file.id) != 0) {
        rc = wrong_bytes(task, err);
    }
    task->complete = rc >= 0;
    return rc;
}

static int run_chunk(struct store_task *base, struct db *db, struct err *err)
{
    (void)db;
    struct upload_chunk_task *task = (struct upload_chunk_task *)base;
    char path[PART_PATH];
    if (blob_bytes(task->daemon->blobs_fd, task->file.id) == task->file.bytes) {
        task->have = task->file.bytes;
        return 0;
    }
    int rc = quota_space(task->daemon, task->size, err);
    if (rc < 0) {
        return rc;
    }
    part_path(task->folder, task->file.id, path);
    int fd =
        openat(task->daemon->uploads_fd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_errno(err, errno, "open a part of '%s'", task->file.path);
    }
    rc = write_part(task, fd, err);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    base->sync_fd = fd;
    task->written = true;
    return 0;
}

static int publish_chunk(struct store_task *base, struct db *db, struct err *err)
{
    (void)db;
    struct upload_chunk_task *task = (struct upload_chunk_task *)base;
    char path[PART_PATH];
    part_path(task->folder, task->file.id, path);
    if (base->status < 0 && task->written) {
        unlinkat(task->daemon->uploads_fd, path, 0); /* a failed sync is never retried */
    }
    if (base->status < 0 || !task->complete) {
        return 0;
    }
    return blob_adopt(task->daemon->blobs_fd, task->daemon->uploads_fd, path, task->file.id,
                      &base->dir_fd, err);
}

/* ---- whole files, into a pack ---- */

static int check_ids(const struct upload_files_task *task, struct err *err)
{
    const unsigned char *data = sock_kept_data(task->frame);
    for (size_t i = 0; i < task->n; i++) {
        const struct upload_file *file = task->files[i];
        char id[HASH_ID_TEXT];
        hash_bytes(data, (size_t)file->bytes, id);
        if (strcmp(id, file->id) != 0) {
            return err_set_at(err, ERR_CORRUPT, file->path,
                              "the bytes do not have the declared id; send the file again");
        }
        data += file->bytes;
    }
    return 0;
}

static int run_files(struct store_task *base, struct db *db, struct err *err)
{
    (void)db;
    struct upload_files_task *task = (struct upload_files_task *)base;
    int rc = check_ids(task, err);
    rc = rc < 0 ? rc : quota_space(task->daemon, task->size, err);
    return rc < 0 ? rc
                  : blob_pack_append(task->daemon->packs, task->folder, sock_kept_data(task->frame),
                                     task->size, &task->pack, &task->offset, err);
}

static int sync_files(struct store_task *base, struct db *db, struct err *err)
{
    (void)db;
    struct upload_files_task *task = (struct upload_files_task *)base;
    return blob_pack_sync(task->pack, task->offset + (int64_t)task->size, err);
}

static int publish_files(struct store_task *base, struct db *db, struct err *err)
{
    struct upload_files_task *task = (struct upload_files_task *)base;
    int64_t offset = task->offset;
    int rc = 0;
    for (size_t i = 0; i < task->n && base->status >= 0 && rc >= 0; i++) {
        const struct upload_file *file = task->files[i];
        rc = blob_pack_enter(task->pack, db, file->id, offset, file->bytes, err);
        offset += file->bytes;
    }
    if (task->pack != NULL) {
        blob_pack_done(task->daemon->packs, task->pack);
        task->pack = NULL;
    }
    return rc;
}

/* ---- the commit ---- */

/* Empty files have no chunk. */
static int make_empty(struct daemon *daemon, const struct upload_file *file, struct err *err)
{
    char id[HASH_ID_TEXT];
    hash_bytes("", 0, id);
    if (strcmp(id, file->id) != 0) {
        return err_set_at(err, ERR_CORRUPT, file->path, "an empty file has another id");
    }
    int dir_fd = -1;
    int rc = file_write_atomic(daemon->uploads_fd, id, "", 0, err);
    if (rc >= 0) {
        rc = blob_adopt(daemon->blobs_fd, daemon->uploads_fd, id, id, &dir_fd, err);
    }
    if (dir_fd >= 0) {
        close(dir_fd);
    }
    return rc;
}

/* Every file is there; where, goes into the index. */
static int find_files(struct upload_commit_task *task, struct db *db, struct blob_index *index,
                      struct err *err)
{
    const struct upload_list *list = task->list;
    int rc = blob_merge(db, err);
    for (size_t i = 0; i < list->n && rc >= 0; i++) {
        const struct upload_file *file = &list->files[i];
        struct blob_place place;
        rc = blob_find(task->daemon->blobs_fd, db, file->id, &place, err);
        if (rc == ERR_NOT_FOUND && file->bytes == 0) {
            place = (struct blob_place){.bytes = 0};
            rc = make_empty(task->daemon, file, err);
        }
        if (rc == ERR_NOT_FOUND || (rc >= 0 && place.bytes != file->bytes)) {
            rc = err_set_at(err, ERR_MISSING, file->path,
                            "the file is not here yet; begin again and send the rest");
        }
        blob_index_add(index, file->id, &place);
    }
    return rc;
}

static int write_piece(void *context, const char *text, size_t size, struct err *err)
{
    const struct file_atomic *file = context;
    return file_write_all(file->fd, text, size, err);
}

static int write_manifest(struct upload_commit_task *task, struct err *err)
{
    struct file_atomic file;
    char name[HASH_ID_TEXT + 8];
    int rc = upload_list_manifest(task->list, NULL, NULL, task->id, err);
    snprintf(name, sizeof(name), "%s.json", task->id);
    rc = rc < 0 ? rc : file_atomic_open(&file, task->daemon->datasets_fd, name, 0, err);
    if (rc < 0) {
        return rc;
    }
    rc = upload_list_manifest(task->list, write_piece, &file, task->id, err);
    if (rc < 0) {
        file_atomic_abort(&file);
        return rc;
    }
    return file_atomic_commit(&file, err);
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(const struct upload_file *const *)a)->id,
                  (*(const struct upload_file *const *)b)->id);
}

static int hold(const struct upload_list *list, int64_t manifest, const struct upload_file *file,
                struct db *db, struct err *err)
{
    if (list->place == NULL || list->n_shards > 0) {
        return db_run(db, DB_HOLD, err, "isi", manifest, file->id, file->bytes);
    }
    const struct place_stamp *stamp = &list->stamps[file - list->files];
    return db_run(db, DB_PLACE, err, "issiii", manifest, file->id, file->path, file->bytes,
                  stamp->mtime_ns, stamp->inode);
}

/* In the order of ids, so that rows that come together lie together. */
static int hold_files(const struct upload_list *list, const char *manifest, struct db *db,
                      struct err *err)
{
    const bool sharded = list->n_shards > 0;
    const size_t n = sharded ? list->n_shards : list->n;
    const struct upload_file **files = malloc((n + 1) * sizeof(*files));
    int64_t number = 0;
    BUG_ON(files == NULL);
    for (size_t i = 0; i < n; i++) {
        files[i] = sharded ? &list->shards[i] : &list->files[i];
    }
    qsort(files, n, sizeof(*files), by_id);
    int rc = db_run(db, DB_MANIFEST_ADD, err, "s", manifest);
    rc = rc < 0 ? rc : db_each(db, DB_MANIFEST_NUMBER, db_take_int, &number, err, "s", manifest);
    for (size_t i = 0; i < n && rc >= 0; i++) {
        rc = hold(list, number, files[i], db, err);
    }
    free(files);
    return rc;
}

static int take_latest(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct upload_commit_task *task = context;
    task->version = db_int(row, 0);
    task->is_new = strcmp(db_text(row, 1), task->id) != 0;
    task->created_us = db_int(row, 2);
    task->uid = db_int(row, 3);
    return 0;
}

static int take_fed(void *context, const struct db_row *row, struct err *err)
{
    (void)row;
    return err_set_at(err, ERR_EXISTS, "name",
                      "'%s' is fed by a client; remove it, or take another name",
                      (const char *)context);
}

/* The same files again are the version that they were; others are the next one, and no number is
 * used twice. */
static int put_version(struct upload_commit_task *task, struct db *db, struct err *err)
{
    const struct upload_list *list = task->list;
    const char *place = list->place != NULL ? list->place : "";
    task->version = 0;
    task->is_new = true;
    int rc =
        db_each(db, DB_FEED_NAMED, take_fed, (void *)(uintptr_t)list->name, err, "s", list->name);
    rc = rc < 0 ? rc : db_each(db, DB_DATASET_LATEST, take_latest, task, err, "s", list->name);
    if (rc < 0 || !task->is_new) {
        return rc;
    }
    rc = dataset_number(db, list->name, &task->version, err);
    if (rc < 0) {
        return rc;
    }
    task->created_us = clock_wall_us();
    task->uid = task->request.uid;
    return db_run(db, DB_DATASET_PUT, err, "sissiiisis", list->name, task->version, list->kind,
                  task->id, (int64_t)list->n, list->bytes, task->created_us, list->splits,
                  task->uid, place);
}

static int write_index(struct upload_commit_task *task, struct db *db, struct err *err)
{
    struct blob_index index;
    blob_index_init(&index);
    int rc = find_files(task, db, &index, err);
    rc = rc < 0 ? rc : blob_index_write(&index, task->daemon->blobs_fd, err);
    blob_index_fini(&index);
    return rc;
}

static int run_commit(struct store_task *base, struct db *db, struct err *err)
{
    struct upload_commit_task *task = (struct upload_commit_task *)base;
    const struct upload_list *list = task->list;
    const bool whole = list->place == NULL && list->n_shards == 0; /* a blob a file */
    int rc = whole ? write_index(task, db, err) : 0;
    rc = rc < 0 ? rc : write_manifest(task, err);
    rc = rc < 0 ? rc : hold_files(list, task->id, db, err);
    rc = rc < 0 ? rc : put_version(task, db, err);
    rc = rc < 0 ? rc : quota_check(task->daemon, db, task->uid, task->fed_bytes, err);
    if (rc >= 0 && task->folder != NULL) {
        blob_pack_release(task->daemon->packs, task->folder);
        unlinkat(task->daemon->uploads_fd, task->folder, AT_REMOVEDIR);
    }
    return rc;
}

void upload_file_begin(struct upload_begin_task *task, void (*done)(struct store_task *task))
{
    store_task_init(&task->task, run_begin, done, true);
    store_put(task->daemon->store, &task->task);
}

void upload_file_chunk(struct upload_chunk_task *task, void (*done)(struct store_task *task))
{
    store_task_init(&task->task, run_chunk, done, false);
    task->task.publish = publish_chunk;
    store_put(task->daemon->store, &task->task);
}

void upload_file_whole(struct upload_files_task *task, void (*done)(struct store_task *task))
{
    store_task_init(&task->task, run_files, done, false);
    task->task.sync = sync_files;
    task->task.publish = publish_files;
    task->task.late_rows = true;
    store_put(task->daemon->store, &task->task);
}

void upload_file_commit(struct upload_commit_task *task, void (*done)(struct store_task *task))
{
    store_task_init(&task->task, run_commit, done, true);
    store_put(task->daemon->store, &task->task);
}
