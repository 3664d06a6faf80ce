#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { STORE_GROUP = 256, STORE_SYNC_EACH = 8 };

struct store_list {
    struct store_task *head;
    struct store_task **tail;
};

struct store {
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t wake;
    uv_async_t async;
    struct store_list queue; /* under the mutex */
    struct store_list ended; /* under the mutex */
    bool stop;               /* under the mutex */
    bool ended_for_good;     /* the loop\'s */
    int64_t n_queued;        /* the loop's */
    int64_t last_us;         /* the loop's: when something ended, or the queue began to fill */
    int root_fd;             /* state folder: syncfs */
    struct db *db;
};

static void list_init(struct store_list *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

static void list_put(struct store_list *list, struct store_task *task)
{
    task->next = NULL;
    *list->tail = task;
    list->tail = &task->next;
}

void store_task_init(struct store_task *task, store_fn *run, void (*done)(struct store_task *task),
                     bool rows)
{
    memset(task, 0, sizeof(*task));
    task->run = run;
    task->done = done;
    task->rows = rows;
    task->sync_fd = -1;
    task->dir_fd = -1;
}

/* Calls run or publish, inside a savepoint of the group's transaction if it writes rows. */
static int call(struct store *store, struct store_task *task, store_fn *fn, bool rows)
{
    struct err err = {0};
    int rc = 0;
    if (rows && !db_in_transaction(store->db)) {
        rc = db_begin(store->db, &err);
    }
    rc = rc < 0 || !rows ? rc : db_savepoint(store->db, &err);
    if (rc < 0) {
        task->err = err;
        if (fn == task->publish) {
            task->status = rc;
            fn(task, store->db, NULL);
        }
        return rc;
    }
    rc = fn(task, store->db, &task->err);
    if (rows) {
        int released = db_release(store->db, rc < 0, &err);
        if (released < 0 && rc >= 0) {
            task->err = err;
            rc = released;
        }
    }
    return rc;
}

/* SQLite takes back the whole transaction on some errors; then what went before in the group is
 * gone too. */
static void fail_before(struct store_task *group, const struct store_task *end)
{
    for (struct store_task *task = group; task != end; task = task->next) {
        if ((task->rows || task->late_rows) && task->status >= 0) {
            task->status = end->status;
            task->err = end->err;
        }
    }
}

struct file_key {
    dev_t device;
    ino_t inode;
};

static struct file_key key_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (struct file_key){st.st_dev, st.st_ino} : (struct file_key){0, 0};
}

static bool same_file(struct file_key a, struct file_key b)
{
    return a.inode == b.inode && a.device == b.device && a.inode != 0;
}

/* How many different files (or folders) in a row a group has to sync. */
static int n_files(const struct store_task *group, bool dirs)
{
    struct file_key last = {0, 0};
    int n = 0;
    for (const struct store_task *task = group; task != NULL; task = task->next) {
        int fd = dirs ? task->dir_fd : task->sync_fd;
        if (fd >= 0) {
            struct file_key key = key_of(fd);
            n += !same_file(key, last);
            last = key;
        }
    }
    return n;
}

/* Syncs the files (or folders) of a group: each once if few, else the whole file system. Chunks of
 * one file stand in a row, so the last of them syncs for all. */
static void sync_group(struct store *store, struct store_task *group, bool dirs)
{
    bool whole = n_files(group, dirs) > STORE_SYNC_EACH;
    int error = whole && syncfs(store->root_fd) != 0 ? errno : 0;
    struct file_key last = {0, 0};
    for (struct store_task *task = group; task != NULL; task = task->next) {
        int *fd = dirs ? &task->dir_fd : &task->sync_fd;
        if (*fd < 0) {
            continue;
        }
        struct file_key key = key_of(*fd);
        if (!whole && !same_file(key, last)) {
            error = fsync(*fd) != 0 ? errno : 0;
            last = key;
        }
        if (error != 0 && task->status >= 0) {
            task->status = err_errno(&task->err, error, "sync");
        }
        close(*fd);
        *fd = -1;
    }
}

static void commit_group(struct store *store, struct store_task *group)
{
    struct err err = {0};
    int rc = db_in_transaction(store->db) ? db_commit(store->db, &err) : 0;
    for (struct store_task *task = group; rc < 0 && task != NULL; task = task->next) {
        if ((task->rows || task->late_rows) && task->status >= 0) {
            task->status = rc;
            task->err = err;
        }
    }
}

/* One function of every task of a group that is well so far; publish hears of failures too. */
static void call_all(struct store *store, struct store_task *group, bool publish)
{
    for (struct store_task *task = group; task != NULL; task = task->next) {
        bool open = db_in_transaction(store->db);
        bool rows = publish ? task->late_rows : task->rows;
        if (publish && task->publish != NULL && task->status < 0) {
            task->publish(task, store->db, NULL);
        } else if (!publish || task->publish != NULL) {
            task->status = call(store, task, publish ? task->publish : task->run, rows);
        }
        if (open && rows && task->status < 0 && !db_in_transaction(store->db)) {
            fail_before(group, task);
        }
    }
}

static void run_group(struct store *store, struct store_task *group)
{
    call_all(store, group, false);
    for (struct store_task *task = group; task != NULL; task = task->next) {
        if (task->sync != NULL && task->status >= 0) {
            task->status = task->sync(task, store->db, &task->err);
        }
    }
    sync_group(store, group, false);
    call_all(store, group, true);
    sync_group(store, group, true);
    commit_group(store, group);
}

/* Takes at most STORE_GROUP tasks off the queue; NULL when it is empty. Under the mutex. */
static struct store_task *take_group(struct store *store)
{
    struct store_task *group = store->queue.head;
    struct store_task *last = group;
    for (int n = 1; last != NULL && last->next != NULL && n < STORE_GROUP; n++) {
        last = last->next;
    }
    if (last != NULL) {
        store->queue.head = last->next;
        if (last->next == NULL) {
            store->queue.tail = &store->queue.head;
        }
        last->next = NULL;
    }
    return group;
}

static void thread_main(void *arg)
{
    struct store *store = arg;
    uv_mutex_lock(&store->mutex);
    for (;;) {
        struct store_task *group = take_group(store);
        if (group == NULL && store->stop) {
            break;
        }
        if (group == NULL) {
            uv_cond_wait(&store->wake, &store->mutex);
            continue;
        }
        uv_mutex_unlock(&store->mutex);
        run_group(store, group);
        uv_mutex_lock(&store->mutex);
        while (group != NULL) {
            struct store_task *next = group->next;
            list_put(&store->ended, group);
            group = next;
        }
        uv_async_send(&store->async);
    }
    uv_mutex_unlock(&store->mutex);
}

static void take_ended(struct store *store)
{
    uv_mutex_lock(&store->mutex);
    struct store_task *task = store->ended.head;
    list_init(&store->ended);
    uv_mutex_unlock(&store->mutex);
    while (task != NULL) {
        struct store_task *next = task->next;
        store->n_queued--;
        store->last_us = clock_us();
        task->done(task);
        task = next;
    }
}

static void on_async(uv_async_t *async)
{
    take_ended(async->data);
}

int store_open(uv_loop_t *loop, const char *state_dir, struct store **ret, struct err *err)
{
    struct store *store = calloc(1, sizeof(*store));
    BUG_ON(store == NULL);
    list_init(&store->queue);
    list_init(&store->ended);
    char path[4096];
    snprintf(path, sizeof(path), "%s/state.db", state_dir);
    store->root_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = store->root_fd < 0 ? err_errno(err, errno, "open '%s'", state_dir)
                                : db_open(path, &store->db, err);
    if (rc < 0) {
        if (store->root_fd >= 0) {
            close(store->root_fd);
        }
        free(store);
        return rc;
    }
    uv_mutex_init(&store->mutex);
    uv_cond_init(&store->wake);
    uv_async_init(loop, &store->async, on_async);
    store->async.data = store;
    BUG_ON(uv_thread_create(&store->thread, thread_main, store) != 0);
    *ret = store;
    return 0;
}

static void on_async_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    uv_mutex_lock(&store->mutex);
    store->stop = true;
    uv_cond_signal(&store->wake);
    uv_mutex_unlock(&store->mutex);
    uv_thread_join(&store->thread);
    store->ended_for_good = true;
    take_ended(store);
    db_close(store->db);
    close(store->root_fd);
    uv_cond_destroy(&store->wake);
    uv_mutex_destroy(&store->mutex);
    uv_close((uv_handle_t *)&store->async, on_async_closed);
}

struct db *store_db(struct store *store)
{
    return store->db;
}

void store_put(struct store *store, struct store_task *task)
{
    if (store->ended_for_good) {
        task->status = err_set(&task->err, ERR_GONE, "the store is closed");
        task->done(task);
        return;
    }
    if (store->n_queued++ == 0) {
        store->last_us = clock_us();
    }
    uv_mutex_lock(&store->mutex);
    list_put(&store->queue, task);
    uv_cond_signal(&store->wake);
    uv_mutex_unlock(&store->mutex);
}

int64_t store_queued(const struct store *store)
{
    return store->n_queued;
}

int64_t store_lag_us(const struct store *store)
{
    return store->n_queued > 0 ? clock_us() - store->last_us : 0;
}
