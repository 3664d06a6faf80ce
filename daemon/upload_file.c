#include "daemon/upload_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/blob.h"

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
    if (blob_bytes(daemon->blobs_fd, file->id) == file->bytes) {
        return file->bytes;
    }
    part_path(folder, file->id, path);
    if (fstatat(daemon->uploads_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        st.st_size > file->bytes) {
        return 0;
    }
    return st.st_size;
}

static int run_begin(struct store_task *base, struct db *db, struct err *err)
{
    (void)db;
    struct upload_begin_task *task = (struct upload_begin_task *)base;
    if (mkdirat(task->daemon->uploads_fd, task->folder, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, errno, "make the folder of the upload");
    }
    for (size_t i = 0; i < task->list->n; i++) {
        task->have[i] = part_bytes(task->daemon, task->folder, &task->list->files[i]);
        /* A whole part that was never moved in is sent again from its last chunk on, so that it is
         * checked. */
        if (task->have[i] == task->list->files[i].bytes && task->have[i] > 0 &&
            blob_bytes(task->daemon->blobs_fd, task->list->files[i].id) < 0) {
            task->have[i] = (task->have[i] - 1) / DAEMON_CHUNK_BYTES * DAEMON_CHUNK_BYTES;
        }
    }
    return 0;
}

static int check_space(const struct daemon *daemon, size_t size, struct err *err)
{
    struct statvfs fs;
    if (fstatvfs(daemon->uploads_fd, &fs) != 0) {
        return err_errno(err, errno, "free space of the state folder");
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes < (uint64_t)daemon->settings->reserve_bytes + size) {
        return err_set(err, ERR_NO_SPACE,
                       "the disk is full: %llu bytes are free, %lld are kept back (reserve_bytes)",
                       (unsigned long long)free_bytes, (long long)daemon->settings->reserve_bytes);
    }
    return 0;
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

/* A file of one chunk needs no second reading. */
static int write_whole(struct upload_chunk_task *task, int fd, struct err *err)
{
    char id[HASH_ID_TEXT];
    hash_bytes(task->data, task->size, id);
    if (strcmp(id, task->file.id) != 0) {
        return wrong_bytes(task, err);
    }
    int rc = ftruncate(fd, 0) != 0 ? err_errno(err, errno, "truncate a part") : 0;
    if (rc >= 0) {
        rc = file_pwrite_all(fd, task->data, task->size, 0, err);
    }
    task->have = rc < 0 ? 0 : task->file.bytes;
    task->complete = rc >= 0;
    return rc;
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
        int rc = file_pwrite_all(fd, task->data, task->size, task->offset, err);
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
    int rc = blob_hash_fd(fd, id, err);
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
    int rc = check_space(task->daemon, task->size, err);
    if (rc < 0) {
        return rc;
    }
    part_path(task->folder, task->file.id, path);
    int fd =
        openat(task->daemon->uploads_fd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_errno(err, errno, "open a part of '%s'", task->file.path);
    }
    bool whole = task->offset == 0 && (int64_t)task->size == task->file.bytes;
    rc = whole ? write_whole(task, fd, err) : write_part(task, fd, err);
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

static int write_manifest(struct upload_commit_task *task, struct err *err)
{
    struct arena arena;
    struct buf text;
    char name[HASH_ID_TEXT + 8];
    arena_init(&arena);
    buf_init(&text);
    struct doc *map = doc_new(&arena);
    upload_list_manifest(task->list, &arena, map, task->id);
    doc_write_json(map, 0, &text);
    snprintf(name, sizeof(name), "%s.json", task->id);
    int rc = file_write_atomic(task->daemon->datasets_fd, name, text.data, text.size, err);
    buf_fini(&text);
    arena_fini(&arena);
    return rc;
}

static int run_commit(struct store_task *base, struct db *db, struct err *err)
{
    struct upload_commit_task *task = (struct upload_commit_task *)base;
    const struct upload_list *list = task->list;
    for (size_t i = 0; i < list->n; i++) {
        int64_t bytes = blob_bytes(task->daemon->blobs_fd, list->files[i].id);
        int rc = bytes < 0 && list->files[i].bytes == 0
                     ? make_empty(task->daemon, &list->files[i], err)
                     : 0;
        if (rc < 0) {
            return rc;
        }
        if (bytes != list->files[i].bytes && list->files[i].bytes > 0) {
            return err_set_at(err, ERR_MISSING, list->files[i].path,
                              "the file is not here yet; begin again and send the rest");
        }
    }
    int rc = write_manifest(task, err);
    task->created_us = clock_wall_us();
    if (rc >= 0) {
        rc = db_run(db, DB_DATASET_PUT, err, "sssiiis", list->name, list->kind, task->id,
                    (int64_t)list->n, list->bytes, task->created_us, list->splits);
    }
    for (size_t i = 0; i < list->n && rc >= 0; i++) {
        rc = db_run(db, DB_BLOB_REF, err, "ss", list->name, list->files[i].id);
    }
    if (rc >= 0) {
        unlinkat(task->daemon->uploads_fd, task->folder, AT_REMOVEDIR);
    }
    return rc;
}

void upload_file_begin(struct upload_begin_task *task, void (*done)(struct store_task *task))
{
    store_task_init(&task->task, run_begin, done, false);
    store_put(task->daemon->store, &task->task);
}

void upload_file_chunk(struct upload_chunk_task *task, void (*done)(struct store_task *task))
{
    store_task_init(&task->task, run_chunk, done, false);
    task->task.publish = publish_chunk;
    store_put(task->daemon->store, &task->task);
}

void upload_file_commit(struct upload_commit_task *task, void (*done)(struct store_task *task))
{
    store_task_init(&task->task, run_commit, done, true);
    store_put(task->daemon->store, &task->task);
}

/* ---- what broken uploads left
 * ------------------------------------------------------------------------------ */

struct sweep_task {
    struct store_task task;
    struct daemon *daemon;
};

static bool is_old(const struct daemon *daemon, int dir_fd, const char *name)
{
    struct stat st;
    int64_t limit_us = daemon->settings->upload_keep_days * 86400000000;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           clock_wall_us() - (int64_t)st.st_mtim.tv_sec * 1000000 > limit_us;
}

static int set_used(void *context, const struct db_row *row, struct err *err)
{
    (void)row;
    (void)err;
    *(bool *)context = true;
    return 0;
}

/* Removes what is old in a folder; with a database, only blobs that no data set names. Then the
 * folder, if it is empty. */
static void sweep_folder(struct daemon *daemon, int parent_fd, const char *folder, struct db *db)
{
    int fd = openat(parent_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        bool used = false;
        if (entry->d_name[0] == '.' || !is_old(daemon, fd, entry->d_name)) {
            continue;
        }
        if (db != NULL &&
            db_each(db, DB_BLOB_USED, set_used, &used, NULL, "s", entry->d_name) < 0) {
            used = true;
        }
        if (!used) {
            unlinkat(fd, entry->d_name, 0);
        }
    }
    closedir(dir);
    unlinkat(parent_fd, folder, AT_REMOVEDIR);
}

static void sweep_folders(struct daemon *daemon, int dir_fd, struct db *db)
{
    int fd = dup(dir_fd);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        return;
    }
    rewinddir(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            sweep_folder(daemon, dir_fd, entry->d_name, db);
        }
    }
    closedir(dir);
}

static int run_sweep(struct store_task *base, struct db *db, struct err *err)
{
    struct sweep_task *task = (struct sweep_task *)base;
    sweep_folders(task->daemon, task->daemon->uploads_fd, NULL);
    sweep_folders(task->daemon, task->daemon->blobs_fd, db);
    return file_sweep(task->daemon->datasets_fd, err);
}

static void done_sweep(struct store_task *base)
{
    free(base);
}

void upload_file_sweep(struct daemon *daemon)
{
    struct sweep_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    store_task_init(&task->task, run_sweep, done_sweep, false);
    store_put(daemon->store, &task->task);
}
