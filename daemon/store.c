#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { STORE_GROUP = 256, STORE_SYNC_ONE_BY_ONE = 3 };

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

static void run_task(struct store *store, struct store_task *task)
{
    if (task->rows && !db_in_transaction(store->db)) {
        task->status = db_begin(store->db, &task->err);
    }
    if (task->status >= 0 && task->rows) {
        task->status = db_savepoint(store->db, &task->err);
    }
    if (task->status < 0) {
        return;
    }
    task->status = task->run(task, store->db, &task->err);
    if (task->rows) {
        struct err err = {0};
        int rc = db_release(store->db, task->status < 0, &err);
        if (rc < 0 && task->status >= 0) {
            task->status = rc;
            task->err = err;
        }
    }
}

/* SQLite takes back the whole transaction on some errors; then what went before in the group is
 * gone too. */
static void fail_before(struct store_task *group, const struct store_task *end)
{
    for (struct store_task *task = group; task != end; task = task->next) {
        if (task->rows && task->status >= 0) {
            task->status = end->status;
            task->err = end->err;
        }
    }
}

static int n_fds(const struct store_task *group, bool dirs)
{
    int n = 0;
    for (const struct store_task *task = group; task != NULL; task = task->next) {
        n += (dirs ? task->dir_fd : task->sync_fd) >= 0;
    }
    return n;
}

/* Syncs the files (or folders) of a group: one by one if few, else the whole file system once. */
static void sync_group(struct store *store, struct store_task *group, bool dirs)
{
    bool whole = n_fds(group, dirs) > STORE_SYNC_ONE_BY_ONE;
    int failed = whole && syncfs(store->root_fd) != 0 ? errno : 0;
    for (struct store_task *task = group; task != NULL; task = task->next) {
        int *fd = dirs ? &task->dir_fd : &task->sync_fd;
        if (*fd < 0) {
            continue;
        }
        int error = failed;
        if (!whole && fsync(*fd) != 0) {
            error = errno;
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
        if (task->rows && task->status >= 0) {
            task->status = rc;
            task->err = err;
        }
    }
}

static void run_group(struct store *store, struct store_task *group)
{
    for (struct store_task *task = group; task != NULL; task = task->next) {
        bool open = db_in_transaction(store->db);
        run_task(store, task);
        if (open && task->rows && task->status < 0 && !db_in_transaction(store->db)) {
            fail_before(group, task);
        }
    }
    sync_group(store, group, false);
    for (struct store_task *task = group; task != NULL; task = task->next) {
        if (task->publish != NULL) {
            int rc = task->publish(task, store->db, task->status < 0 ? NULL : &task->err);
            task->status = task->status < 0 ? task->status : rc;
        }
    }
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
