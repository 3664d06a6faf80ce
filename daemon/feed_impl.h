/* feed_impl - what the files of feed share. Not for others.
 *
 * Owns, Threads, Errors, Lifetime: see feed.h.
 */
#ifndef DAEMON_FEED_IMPL_H
#define DAEMON_FEED_IMPL_H

#include "daemon/feed.h"
#include "daemon/store.h"
#include "proto/feed.h"

enum {
    FEED_OPEN_EPOCHS_MAX = 8,
    FEED_WAITERS_MAX = 64, /* of a child */
    FEED_WANT_MAX = 256,   /* elements in a message to the client, but for a larger batch */
};

enum feed_mark { FEED_NONE, FEED_WANTED, FEED_SENT, FEED_STORED };

/* A growing list of indices; taken from at `head`. */
struct feed_list {
    int64_t *v;
    size_t n, head, max;
};

struct feed_epoch {
    struct feed_epoch *next; /* by number */
    int64_t number;
    bool loading, loaded;
    int rows_fd, map_fd, seen_fd;
    unsigned char *marks; /* two bits an element, enum feed_mark */
    int64_t n_marks;      /* elements that it has room for */
    int64_t n_stored, first_absent;
    struct feed_list queue; /* wanted and not sent */
    struct feed_list sent;  /* and not stored; some may be, until it is swept */
    int64_t n_sent;
    int64_t n_tasks; /* of it in the store */
    int64_t used_us;
};

struct feed_waiter {
    struct feed_waiter *next;
    struct process *process;
    int64_t seq, epoch;
    int64_t *indices;
    size_t n, at; /* those before `at` are stored */
};

struct feed_client {
    bool is_there;
    struct sock_peer peer;
    int64_t heard_us; /* when it was asked with nothing else under way, or put last */
    int64_t gone_us;
};

struct feed {
    struct feed *next;
    struct daemon *daemon;
    struct arena arena;
    char *name;
    char id[HASH_ID_TEXT];
    char manifest[HASH_ID_TEXT]; /* "" before the number of elements is known */
    struct feed_spec spec;
    int64_t uid, created_us;
    int64_t bytes;        /* on the disk, by what was stored since it was counted */
    int64_t flight_bytes; /* of frames that the store has not written */
    int64_t epoch_told;   /* the last one that the client was asked for */
    int64_t quiet_us;     /* since when nothing happens in the epochs before the one that waits */
    struct feed_epoch *epochs;
    struct feed_waiter *waiters;
    struct feed_client client;
    int64_t n_tasks;
    bool removing, ending;
};

struct feeds {
    struct feed *head;
    uv_timer_t timer; /* an epoch that was not asked for to its end */
};

static inline enum feed_mark feed_mark_at(const struct feed_epoch *epoch, int64_t i)
{
    return i < epoch->n_marks ? (enum feed_mark)(epoch->marks[i >> 2] >> ((i & 3) * 2) & 3)
                              : FEED_NONE;
}

/* feed.c */
struct feed *feed_find(const struct daemon *daemon, const char *id);
void feed_free_if_removed(struct feed *feed);
/* feed_epoch.c */
struct feed_epoch *feed_epoch_find(const struct feed *feed, int64_t number);
/* Opens it in the store if need be; NULL: too many are open and in use. */
struct feed_epoch *feed_epoch_need(struct feed *feed, int64_t number);
void feed_epoch_mark(struct feed_epoch *epoch, int64_t i, enum feed_mark mark);
void feed_epoch_free(struct feed_epoch *epoch);
void feed_list_put(struct feed_list *list, int64_t i);
/* Elements were stored (or are bad); tells workers. state: enum feed_state. */
void feed_epoch_stored(struct feed *feed, struct feed_epoch *epoch, const int64_t *indices,
                       size_t n, int state);
/* feed_want.c */
void feed_want_loaded(struct feed *feed, struct feed_epoch *epoch);
/* Answers who has all that it waits for, then asks the client for as much as the credit allows. */
void feed_want_go_on(struct feed *feed, struct feed_epoch *epoch);
void feed_want_lost(struct feed *feed);
bool feed_want_is_silent(const struct feed *feed);
void feed_want_fail(struct feed *feed, int code, const char *text);
/* feed_spool.c: tasks of the store thread; done is called on the loop. */
struct feed_open_task {
    struct store_task task;
    struct feed *feed;
    struct request request;
    struct doc *manifest; /* or NULL: the number of elements is not known */
    struct arena arena;
    char manifest_id[HASH_ID_TEXT];
    bool is_new;
    int64_t version, elements;
};
struct feed_load_task {
    struct store_task task;
    struct feed *feed;
    struct feed_epoch *epoch;
    int rows_fd, map_fd, seen_fd;
    unsigned char *map;
    int64_t n;
};
struct feed_put_task {
    struct store_task task;
    struct feed *feed;
    struct feed_epoch *epoch;
    struct request request;
    struct sock_kept *frame; /* NULL: they are bad */
    const char *reason;
    int64_t uid, used; /* of the user's feeds, with these */
    size_t n;
    int64_t indices[];
};
void feed_spool_open(struct feed_open_task *task, void (*done)(struct store_task *task));
void feed_spool_load(struct feed_load_task *task, void (*done)(struct store_task *task));
void feed_spool_put(struct feed_put_task *task, void (*done)(struct store_task *task));
void feed_spool_remove(struct daemon *daemon, const char *id);
/* The bytes of a spool as the disk counts them; at the start, before the store has work. */
int64_t feed_spool_bytes(const struct daemon *daemon, const char *id);

#endif
