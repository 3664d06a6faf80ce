/* The store thread's half of feed: folders, rows, maps. A row is synced before its byte in the map
 * is written, and that before anybody hears of it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/feed_impl.h"
#include "daemon/quota.h"

/* ---- a new feed, or its number of elements ---- */

static int make_folder(struct feed_open_task *task, struct err *err)
{
    int blobs_fd = task->feed->daemon->blobs_fd;
    char path[FEED_PATH];
    feed_path(task->feed->id, 0, NULL, path);
    bool is_first = mkdirat(blobs_fd, "feeds", 0700) == 0;
    if (mkdirat(blobs_fd, path, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, errno, "make the folder of a feed");
    }
    task->task.dir_fd = openat(blobs_fd, "feeds", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (task->task.dir_fd < 0 || (is_first && fsync(blobs_fd) != 0)) {
        return err_errno(err, errno, "sync the folder of feeds");
    }
    return 0;
}

static int put_dataset(struct feed_open_task *task, struct db *db, struct err *err)
{
    const struct feed *feed = task->feed;
    char name[HASH_ID_TEXT + 8];
    struct buf text = {0};
    doc_write_canonical(task->manifest, &text);
    hash_bytes(text.data, text.size, task->manifest_id);
    snprintf(name, sizeof(name), "%s.json", task->manifest_id);
    int rc = file_write_atomic(feed->daemon->datasets_fd, name, text.data, text.size, err);
    buf_fini(&text);
    rc = rc < 0 ? rc : dataset_number(db, feed->name, &task->version, err);
    rc = rc < 0 ? rc : db_run(db, DB_MANIFEST_ADD, err, "s", task->manifest_id);
    return rc < 0 ? rc
                  : db_run(db, DB_DATASET_PUT, err, "sissiiisis", feed->name, task->version, "feed",
                           task->manifest_id, (int64_t)0,
                           task->elements * (int64_t)feed->spec.row_bytes, feed->created_us, "{}",
                           feed->uid, "");
}

static int run_open(struct store_task *base, struct db *db, struct err *err)
{
    struct feed_open_task *task = (struct feed_open_task *)base;
    const struct feed *feed = task->feed;
    int rc = make_folder(task, err);
    if (rc >= 0 && task->manifest != NULL) {
        rc = put_dataset(task, db, err);
    }
    struct doc *map = doc_new(&task->arena);
    struct feed_spec spec = feed->spec;
    struct buf text = {0};
    spec.elements = task->elements;
    feed_spec_write(&spec, map, &task->arena);
    doc_write_canonical(map, &text);
    rc = rc < 0 ? rc
                : db_run(db, DB_FEED_PUT, err, "ssissi", feed->id, feed->name, feed->uid, text.data,
                         task->manifest_id, feed->created_us);
    buf_fini(&text);
    return rc;
}

void feed_spool_open(struct feed_open_task *task, void (*done)(struct store_task *task))
{
    store_task_init(&task->task, run_open, done, true);
    store_put(task->feed->daemon->store, &task->task);
}

/* ---- an epoch ---- */

static int open_part(const struct feed_load_task *task, const char *what, int flags, int *ret_fd,
                     struct err *err)
{
    char path[FEED_PATH];
    feed_path(task->feed->id, task->epoch->number, what, path);
    *ret_fd = openat(task->feed->daemon->blobs_fd, path,
                     O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    return *ret_fd < 0 ? err_errno(err, errno, "open the %s of a feed", what) : 0;
}

static int read_map(struct feed_load_task *task, struct err *err)
{
    struct stat st;
    if (fstat(task->map_fd, &st) != 0) {
        return err_errno(err, errno, "size of a feed's map");
    }
    size_t size = st.st_size < FEED_ELEMENTS_MAX ? (size_t)st.st_size : FEED_ELEMENTS_MAX;
    task->map = malloc(size + 1);
    if (task->map == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the map of a feed");
    }
    task->n = file_pread(task->map_fd, task->map, size, 0, err);
    return task->n < 0 ? (int)task->n
                       : file_pwrite_all(task->seen_fd, task->map, (size_t)task->n, 0, err);
}

static int run_load(struct store_task *base, struct db *db, struct err *err)
{
    (void)db;
    struct feed_load_task *task = (struct feed_load_task *)base;
    char path[FEED_PATH];
    int rc = open_part(task, "rows", 0, &task->rows_fd, err);
    rc = rc < 0 ? rc : open_part(task, "map", 0, &task->map_fd, err);
    rc = rc < 0 ? rc : open_part(task, "seen", O_TRUNC, &task->seen_fd, err);
    rc = rc < 0 ? rc : read_map(task, err);
    feed_path(task->feed->id, 0, NULL, path);
    base->dir_fd = openat(task->feed->daemon->blobs_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc >= 0 && base->dir_fd < 0) { /* without it no name would be made durable */
        rc = err_errno(err, errno, "open the folder of a feed");
    }
    return rc;
}

void feed_spool_load(struct feed_load_task *task, void (*done)(struct store_task *task))
{
    task->rows_fd = task->map_fd = task->seen_fd = -1;
    store_task_init(&task->task, run_load, done, false);
    store_put(task->feed->daemon->store, &task->task);
}

/* ---- elements ---- */

/* Indices from `at` on that follow each other. */
static size_t run_length(const struct feed_put_task *task, size_t at)
{
    size_t n = 1;
    while (at + n < task->n && task->indices[at + n] == task->indices[at] + (int64_t)n) {
        n++;
    }
    return n;
}

/* Writes those of a run that the map does not have; a row that is there stays as it was read. */
static int write_run(const struct feed_put_task *task, size_t at, size_t n, struct err *err)
{
    unsigned char map[FEED_INDICES_MAX] = {0};
    const size_t row_bytes = task->feed->spec.row_bytes;
    const unsigned char *rows = sock_kept_data(task->frame);
    int64_t first = task->indices[at];
    int64_t got = file_pread(task->epoch->map_fd, map, n, first, err);
    int rc = got < 0 ? (int)got : 0;
    for (size_t i = 0; i < n && rc >= 0;) {
        size_t k = 0;
        while (i + k < n && map[i + k] == FEED_ABSENT) {
            k++;
        }
        if (k > 0) {
            rc = file_pwrite_all(task->epoch->rows_fd, rows + (at + i) * row_bytes, k * row_bytes,
                                 (first + (int64_t)i) * (int64_t)row_bytes, err);
        }
        i += k > 0 ? k : 1;
    }
    return rc;
}

static int write_rows(struct feed_put_task *task, struct err *err)
{
    const struct daemon *daemon = task->feed->daemon;
    int rc = quota_space(daemon, task->n * task->feed->spec.row_bytes, err);
    for (size_t i = 0; i < task->n && rc >= 0; i += run_length(task, i)) {
        rc = write_run(task, i, run_length(task, i), err);
    }
    task->task.sync_fd = rc < 0 ? -1 : fcntl(task->epoch->rows_fd, F_DUPFD_CLOEXEC, 0);
    return rc >= 0 && task->task.sync_fd < 0 ? err_errno(err, errno, "the rows of a feed") : rc;
}

/* Whole records only: what a crash tore is written over. */
static int write_reasons(struct feed_put_task *task, struct err *err)
{
    char path[FEED_PATH];
    struct stat st;
    feed_path(task->feed->id, task->epoch->number, "bad", path);
    int fd =
        openat(task->feed->daemon->blobs_fd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int broken = err_errno(err, errno, "open the bad elements of a feed");
        if (fd >= 0) {
            close(fd);
        }
        return broken;
    }
    int rc = 0;
    int64_t at = st.st_size / (int64_t)sizeof(struct feed_bad);
    for (size_t i = 0; i < task->n && rc >= 0; i++) {
        struct feed_bad bad = {.index = task->indices[i]};
        snprintf(bad.reason, sizeof(bad.reason), "%s", task->reason);
        rc = file_pwrite_all(fd, &bad, sizeof(bad), (at + (int64_t)i) * (int64_t)sizeof(bad), err);
    }
    task->task.sync_fd = fd;
    return rc;
}

static int run_put(struct store_task *base, struct db *db, struct err *err)
{
    struct feed_put_task *task = (struct feed_put_task *)base;
    int rc = quota_check(task->feed->daemon, db, task->uid, task->used, err);
    if (rc >= 0) {
        rc = task->frame != NULL ? write_rows(task, err) : write_reasons(task, err);
    }
    return rc;
}

static int mark_run(const struct feed_put_task *task, size_t at, size_t n, struct err *err)
{
    unsigned char map[FEED_INDICES_MAX] = {0};
    int fd = task->epoch->map_fd;
    int64_t first = task->indices[at];
    int64_t got = file_pread(fd, map, n, first, err);
    for (size_t i = 0; i < n && got >= 0; i++) {
        map[i] = map[i] != FEED_ABSENT ? map[i] : task->frame != NULL ? FEED_HAVE : FEED_BAD;
    }
    return got < 0 ? (int)got : file_pwrite_all(fd, map, n, first, err);
}

/* After the rows are synced; the map is synced before `done`. */
static int publish_put(struct store_task *base, struct db *db, struct err *err)
{
    (void)db;
    struct feed_put_task *task = (struct feed_put_task *)base;
    int rc = 0;
    for (size_t i = 0; i < task->n && base->status >= 0 && rc >= 0; i += run_length(task, i)) {
        rc = mark_run(task, i, run_length(task, i), err);
    }
    if (base->status >= 0 && rc >= 0) {
        base->dir_fd = fcntl(task->epoch->map_fd, F_DUPFD_CLOEXEC, 0);
        rc = base->dir_fd < 0 ? err_errno(err, errno, "the map of a feed") : 0;
    }
    return rc;
}

void feed_spool_put(struct feed_put_task *task, void (*done)(struct store_task *task))
{
    store_task_init(&task->task, run_put, done, false);
    task->task.publish = publish_put;
    store_put(task->feed->daemon->store, &task->task);
}

/* ---- the end ---- */

struct remove_task {
    struct store_task task;
    struct daemon *daemon;
    char id[HASH_ID_TEXT];
};

static int run_remove(struct store_task *base, struct db *db, struct err *err)
{
    const struct remove_task *task = (struct remove_task *)base;
    char path[FEED_PATH];
    feed_path(task->id, 0, NULL, path);
    int fd = openat(task->daemon->blobs_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && dir == NULL) {
        close(fd);
    }
    for (const struct dirent *entry = NULL; dir != NULL && (entry = readdir(dir)) != NULL;) {
        unlinkat(fd, entry->d_name, 0);
    }
    if (dir != NULL) {
        closedir(dir);
        unlinkat(task->daemon->blobs_fd, path, AT_REMOVEDIR);
    }
    return db_run(db, DB_FEED_REMOVE, err, "s", task->id);
}

static void done_remove(struct store_task *base)
{
    free(base);
}

void feed_spool_remove(struct daemon *daemon, const char *id)
{
    struct remove_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    memcpy(task->id, id, sizeof(task->id));
    store_task_init(&task->task, run_remove, done_remove, true);
    store_put(daemon->store, &task->task);
}

int64_t feed_spool_bytes(const struct daemon *daemon, const char *id)
{
    char path[FEED_PATH];
    struct stat st;
    int64_t bytes = 0;
    feed_path(id, 0, NULL, path);
    int fd = openat(daemon->blobs_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && dir == NULL) {
        close(fd);
    }
    for (const struct dirent *entry = NULL; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
            bytes += (int64_t)st.st_blocks * 512;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return bytes;
}
