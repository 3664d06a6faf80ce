#include "daemon/blob_sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/blob.h"
#include "daemon/blob_pack.h"
#include "daemon/store.h"

struct sweep_task {
    struct store_task task;
    struct daemon *daemon;
};

/* What goes from a folder of folders: what is older; with a database, only blobs that no data set
 * names and no upload holds. */
struct sweep {
    struct db *db; /* or NULL */
    int64_t limit_us;
    int64_t n, n_bytes; /* went */
};

static int64_t keep_limit_us(const struct daemon *daemon)
{
    return clock_wall_us() - daemon->settings->upload_keep_days * 86400000000;
}

static int set_used(void *context, const struct db_row *row, struct err *err)
{
    (void)row;
    (void)err;
    *(bool *)context = true;
    return 0;
}

static bool is_wanted(const struct sweep *sweep, const char *name)
{
    bool wanted = false;
    return sweep->db != NULL &&
           (db_each(sweep->db, DB_BLOB_USED, set_used, &wanted, NULL, "s", name) < 0 ||
            db_each(sweep->db, DB_GC_HELD, set_used, &wanted, NULL, "s", name) < 0 || wanted);
}

/* One folder's files; then the folder, if it is empty. */
static void sweep_folder(struct sweep *sweep, int parent_fd, const char *folder)
{
    int fd = openat(parent_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct stat st;
        if (entry->d_name[0] != '.' && fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            (int64_t)st.st_mtim.tv_sec * 1000000 <= sweep->limit_us &&
            !is_wanted(sweep, entry->d_name) && unlinkat(fd, entry->d_name, 0) == 0) {
            sweep->n++;
            sweep->n_bytes += st.st_size;
        }
    }
    closedir(dir);
    unlinkat(parent_fd, folder, AT_REMOVEDIR);
}

static void sweep_folders(struct sweep *sweep, int dir_fd)
{
    int fd = dup(dir_fd);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        return;
    }
    rewinddir(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        bool packs = !strcmp(entry->d_name, "pack") || !strcmp(entry->d_name, "at");
        if (entry->d_name[0] != '.' && !packs) {
            sweep_folder(sweep, dir_fd, entry->d_name);
        }
    }
    closedir(dir);
}

void blob_sweep_loose(struct daemon *daemon, struct db *db, int64_t limit_us, int64_t *ret_n,
                      int64_t *ret_bytes)
{
    struct sweep sweep = {.db = db, .limit_us = limit_us};
    sweep_folders(&sweep, daemon->blobs_fd);
    *ret_n += sweep.n;
    *ret_bytes += sweep.n_bytes;
}

/* Shards that were being written: no session outlives its daemon. */
static void sweep_shards(int uploads_fd)
{
    int fd = openat(uploads_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        if (strncmp(entry->d_name, "shard-", 6) == 0) {
            unlinkat(uploads_fd, entry->d_name, 0);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

/* A pack without a row holds nothing that was acknowledged. */
static void sweep_unknown(struct daemon *daemon, struct db *db)
{
    int fd = openat(daemon->blobs_fd, "pack", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        bool known = entry->d_name[0] == '.';
        if (!known &&
            db_each(db, DB_PACK_EXISTS, set_used, &known, NULL, "s", entry->d_name) >= 0 &&
            !known) {
            unlinkat(fd, entry->d_name, 0);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

struct empty_packs {
    struct daemon *daemon;
    struct arena arena;
    struct doc *numbers;
    int64_t n_packs;
};

static int take_empty(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct empty_packs *empty = context;
    char path[PACK_PATH];
    if (blob_pack_is_open(empty->daemon->packs, db_int(row, 0))) {
        return 0;
    }
    pack_path(db_text(row, 1), path);
    unlinkat(empty->daemon->blobs_fd, path, 0);
    doc_set_int(doc_push(empty->numbers, &empty->arena), db_int(row, 0));
    return 0;
}

int blob_sweep_packs(struct daemon *daemon, struct db *db, int64_t *ret_n, struct err *err)
{
    struct empty_packs empty = {.daemon = daemon};
    arena_init(&empty.arena);
    empty.numbers = doc_new(&empty.arena);
    doc_set_list(empty.numbers);
    int rc = db_each(db, DB_PACKS_EMPTY, take_empty, &empty, err, "");
    for (size_t i = 0; i < empty.numbers->n && rc >= 0; i++) {
        rc = db_run(db, DB_PACK_REMOVE, err, "i", doc_at(empty.numbers, i)->i);
    }
    if (ret_n != NULL) {
        *ret_n = (int64_t)empty.numbers->n;
    }
    arena_fini(&empty.arena);
    return rc;
}

static int run_sweep(struct store_task *base, struct db *db, struct err *err)
{
    struct sweep_task *task = (struct sweep_task *)base;
    struct sweep parts = {.limit_us = keep_limit_us(task->daemon)};
    struct sweep blobs = {.limit_us = parts.limit_us, .db = db};
    sweep_folders(&parts, task->daemon->uploads_fd);
    sweep_folders(&blobs, task->daemon->blobs_fd);
    sweep_shards(task->daemon->uploads_fd);
    sweep_unknown(task->daemon, db);
    int rc = blob_merge(db, err);
    rc = rc < 0 ? rc : blob_sweep_packs(task->daemon, db, NULL, err);
    if (rc < 0) {
        return rc;
    }
    return file_sweep(task->daemon->datasets_fd, err);
}

static void done_sweep(struct store_task *base)
{
    free(base);
}

void blob_sweep_start(struct daemon *daemon)
{
    struct sweep_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = daemon;
    store_task_init(&task->task, run_sweep, done_sweep, true);
    store_put(daemon->store, &task->task);
}
