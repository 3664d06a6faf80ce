/* The epochs of a feed that are open: their files and what is known of each element. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/feed_impl.h"

void feed_list_put(struct feed_list *list, int64_t i)
{
    if (list->n == list->max && list->head > list->n / 2) {
        memmove(list->v, list->v + list->head, (list->n - list->head) * sizeof(*list->v));
        list->n -= list->head;
        list->head = 0;
    } else if (list->n == list->max) {
        list->max = list->max * 2 + 64;
        list->v = realloc(list->v, list->max * sizeof(*list->v));
        BUG_ON(list->v == NULL);
    }
    list->v[list->n++] = i;
}

/* Room for element i: where they come one after the other, their number is not known. */
static void grow(struct feed_epoch *epoch, int64_t i)
{
    if (i < epoch->n_marks) {
        return;
    }
    int64_t n = (i + 1) * 2 < 4096 ? 4096 : (i + 1) * 2;
    n = n > FEED_ELEMENTS_MAX ? FEED_ELEMENTS_MAX : n;
    BUG_ON(i >= n);
    epoch->marks = realloc(epoch->marks, (size_t)n / 4 + 1);
    BUG_ON(epoch->marks == NULL);
    memset(epoch->marks + (epoch->n_marks > 0 ? epoch->n_marks / 4 + 1 : 0), 0,
           (size_t)(n / 4 + 1 - (epoch->n_marks > 0 ? epoch->n_marks / 4 + 1 : 0)));
    epoch->n_marks = n;
}

void feed_epoch_mark(struct feed_epoch *epoch, int64_t i, enum feed_mark mark)
{
    grow(epoch, i);
    int shift = (int)(i & 3) * 2;
    unsigned char *at = &epoch->marks[i >> 2];
    *at = (unsigned char)((*at & ~(3 << shift)) | ((int)mark << shift));
}

struct feed_epoch *feed_epoch_find(const struct feed *feed, int64_t number)
{
    struct feed_epoch *epoch = feed->epochs;
    while (epoch != NULL && epoch->number != number) {
        epoch = epoch->next;
    }
    return epoch;
}

void feed_epoch_free(struct feed_epoch *epoch)
{
    const int fds[] = {epoch->rows_fd, epoch->map_fd, epoch->seen_fd};
    for (size_t i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    free(epoch->marks);
    free(epoch->queue.v);
    free(epoch->sent.v);
    free(epoch);
}

static bool is_idle(const struct feed *feed, const struct feed_epoch *epoch)
{
    /* One that could not be opened is no use to anybody. */
    bool idle = !epoch->loading && epoch->n_tasks == 0 && epoch->n_sent == 0 &&
                epoch->queue.head == epoch->queue.n;
    for (const struct feed_waiter *w = feed->waiters; w != NULL; w = w->next) {
        idle = idle && w->epoch != epoch->number;
    }
    return idle;
}

/* Closes the one that rested longest; false: all are in use. */
static bool make_room(struct feed *feed)
{
    struct feed_epoch **oldest = NULL;
    int n = 0;
    for (struct feed_epoch **link = &feed->epochs; *link != NULL; link = &(*link)->next) {
        n++;
        if (is_idle(feed, *link) && (oldest == NULL || (*link)->used_us < (*oldest)->used_us)) {
            oldest = link;
        }
    }
    if (n < FEED_OPEN_EPOCHS_MAX) {
        return true;
    }
    if (oldest == NULL) {
        return false;
    }
    struct feed_epoch *epoch = *oldest;
    *oldest = epoch->next;
    feed_epoch_free(epoch);
    return true;
}

static void take_map(struct feed_epoch *epoch, const struct feed_load_task *task)
{
    epoch->rows_fd = task->rows_fd;
    epoch->map_fd = task->map_fd;
    epoch->seen_fd = task->seen_fd;
    epoch->loaded = true;
    for (int64_t i = 0; i < task->n; i++) {
        if (task->map[i] != FEED_ABSENT) {
            feed_epoch_mark(epoch, i, FEED_STORED);
            epoch->n_stored++;
        }
    }
    while (feed_mark_at(epoch, epoch->first_absent) == FEED_STORED) {
        epoch->first_absent++;
    }
}

static void done_load(struct store_task *base)
{
    struct feed_load_task *task = (struct feed_load_task *)base;
    struct feed *feed = task->feed;
    struct feed_epoch *epoch = task->epoch;
    epoch->loading = false;
    feed->n_tasks--;
    if (base->status < 0) {
        const int fds[] = {task->rows_fd, task->map_fd, task->seen_fd};
        for (size_t i = 0; i < 3; i++) {
            if (fds[i] >= 0) {
                close(fds[i]);
            }
        }
        feed->daemon->counters[COUNT_STORE_ERRORS]++;
        feed_want_fail(feed, base->status, base->err.text);
    } else {
        take_map(epoch, task);
        feed_want_loaded(feed, epoch);
    }
    free(task->map);
    free(task);
    feed_free_if_removed(feed);
}

static void load(struct feed *feed, struct feed_epoch *epoch)
{
    struct feed_load_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->feed = feed;
    task->epoch = epoch;
    epoch->loading = true;
    feed->n_tasks++;
    feed_spool_load(task, done_load);
}

struct feed_epoch *feed_epoch_need(struct feed *feed, int64_t number)
{
    struct feed_epoch *epoch = feed_epoch_find(feed, number);
    if (epoch == NULL && !make_room(feed)) {
        return NULL;
    }
    if (epoch == NULL) {
        epoch = calloc(1, sizeof(*epoch));
        BUG_ON(epoch == NULL);
        epoch->number = number;
        epoch->rows_fd = epoch->map_fd = epoch->seen_fd = -1;
        struct feed_epoch **link = &feed->epochs;
        while (*link != NULL && (*link)->number < number) {
            link = &(*link)->next;
        }
        epoch->next = *link;
        *link = epoch;
    }
    epoch->used_us = clock_us();
    if (!epoch->loaded && !epoch->loading) {
        load(feed, epoch);
    }
    return epoch;
}

/* Workers look here first; one that does not see it asks, so a write that fails costs a message. */
static void show(const struct feed_epoch *epoch, const int64_t *indices, size_t n, int state)
{
    unsigned char bytes[FEED_INDICES_MAX];
    memset(bytes, state, sizeof(bytes));
    for (size_t i = 0; i < n;) {
        size_t k = 1;
        while (i + k < n && indices[i + k] == indices[i] + (int64_t)k) {
            k++;
        }
        (void)file_pwrite_all(epoch->seen_fd, bytes, k, indices[i], NULL);
        i += k;
    }
}

void feed_epoch_stored(struct feed *feed, struct feed_epoch *epoch, const int64_t *indices,
                       size_t n, int state)
{
    int64_t news[FEED_INDICES_MAX];
    size_t n_news = 0;
    for (size_t i = 0; i < n; i++) {
        enum feed_mark mark = feed_mark_at(epoch, indices[i]);
        if (mark == FEED_STORED) {
            continue;
        }
        epoch->n_sent -= mark == FEED_SENT;
        feed_epoch_mark(epoch, indices[i], FEED_STORED);
        epoch->n_stored++;
        news[n_news++] = indices[i];
    }
    while (feed_mark_at(epoch, epoch->first_absent) == FEED_STORED) {
        epoch->first_absent++;
    }
    show(epoch, news, n_news, state);
    feed->bytes += state == FEED_HAVE ? (int64_t)(n_news * feed->spec.row_bytes) : 0;
    feed->daemon->counters[state == FEED_HAVE ? COUNT_FEED_STORED : COUNT_FEED_BAD] +=
        (int64_t)n_news;
}
