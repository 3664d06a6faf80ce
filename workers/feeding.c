#include "workers/feeding.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "proto/child.h"
#include "proto/feed.h"

enum { BEAT_MS = 500 };

static int by_place(const void *a, const void *b)
{
    const struct ask *x = a, *y = b;
    int order = x->feed == y->feed ? 0 : strcmp(x->feed, y->feed);
    if (order == 0) {
        order = (x->epoch > y->epoch) - (x->epoch < y->epoch);
    }
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

static bool same_epoch(const struct ask *a, const struct ask *b)
{
    return a->epoch == b->epoch && strcmp(a->feed, b->feed) == 0;
}

/* A message an epoch of a feed, or several; *ret_at: behind what it holds. */
static int send_some(struct feeding *feeding, size_t *ret_at, struct err *err)
{
    const struct asks *asks = &feeding->asks;
    const struct ask *first = &asks->v[*ret_at];
    int64_t indices[FEED_INDICES_MAX];
    size_t n = 0;
    size_t at = *ret_at;
    for (; at < asks->n && n < FEED_INDICES_MAX && same_epoch(first, &asks->v[at]); at++) {
        if (n == 0 || indices[n - 1] != asks->v[at].index) {
            indices[n++] = asks->v[at].index;
        }
    }
    const struct msg_child_want want = {.seq = ++feeding->seq,
                                        .feed = first->feed,
                                        .epoch = first->epoch,
                                        .indices = {.v = indices, .n = n}};
    *ret_at = at;
    return child_send(feeding->fd, MSG_CHILD_WANT, &want, NULL, err);
}

/* Waits until the wants after `before` are answered. */
static int wait_answers(struct feeding *feeding, int64_t before, int64_t n, struct err *err)
{
    int rc = 0;
    while (n > 0 && rc == 0) {
        struct msg msg;
        arena_reset(&feeding->arena);
        rc = child_recv(feeding->fd, BEAT_MS, &feeding->arena, &msg, NULL, err);
        if (rc == ERR_TIMEOUT) {
            rc = feeding->beat != NULL ? feeding->beat(feeding->context, err) : 0;
        } else if (rc == 0 && msg.type == MSG_CHILD_STOP) {
            rc = err_set(err, ERR_GONE, "the daemon asks for the end");
        } else if (rc == 0 && msg.type == MSG_CHILD_HAVE) {
            const struct msg_child_have *have = msg.body;
            n -= have->seq > before;
            if (have->seq > before && have->code < 0) {
                rc = err_set(err, have->code > -1000 ? (int)have->code : ERR_INTERNAL, "%s",
                             have->text != NULL ? have->text : "the feed fails");
            }
        }
    }
    return rc;
}

static int wait_for(void *context, struct asks *asks, struct err *err)
{
    struct feeding *feeding = context;
    const int64_t before = feeding->seq, begin_us = clock_us();
    int rc = feeding->beat != NULL ? feeding->beat(feeding->context, err) : 0;
    qsort(asks->v, asks->n, sizeof asks->v[0], by_place);
    for (size_t at = 0; at < asks->n && rc == 0;) {
        rc = send_some(feeding, &at, err);
    }
    asks->n = 0;
    rc = rc < 0 ? rc : wait_answers(feeding, before, feeding->seq - before, err);
    if (rc == 0 && feeding->beat != NULL) { /* from here on the time counts again */
        rc = feeding->beat(feeding->context, err);
    }
    feeding->waited_us += clock_us() - begin_us;
    return rc;
}

void feeding_init(struct feeding *feeding, int fd)
{
    arena_init(&feeding->arena);
    feeding->asks.wait = wait_for;
    feeding->asks.context = feeding;
    feeding->asks.collects = false;
    feeding->asks.n = 0;
    feeding->fd = fd;
    feeding->seq = feeding->waited_us = 0;
    feeding->beat = NULL;
    feeding->context = NULL;
}

void feeding_fini(struct feeding *feeding)
{
    if (feeding != NULL) {
        arena_fini(&feeding->arena);
    }
}
