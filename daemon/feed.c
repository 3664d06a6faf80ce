#include "daemon/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "daemon/feed_impl.h"
#include "daemon/upload_list.h"

/* ---- the list ---- */

struct feed *feed_find(const struct daemon *daemon, const char *id)
{
    struct feed *feed = daemon->feeds->head;
    while (feed != NULL && strcmp(feed->id, id) != 0) {
        feed = feed->next;
    }
    return feed;
}

static struct feed *find_name(const struct daemon *daemon, const char *name)
{
    struct feed *feed = daemon->feeds->head;
    while (feed != NULL && (feed->removing || strcmp(feed->name, name) != 0)) {
        feed = feed->next;
    }
    return feed;
}

static struct feed *new_feed(struct daemon *daemon, const char *name)
{
    struct feed *feed = calloc(1, sizeof(*feed));
    BUG_ON(feed == NULL);
    arena_init(&feed->arena);
    feed->daemon = daemon;
    feed->name = arena_strdup(&feed->arena, name);
    feed->epoch_told = -1;
    feed->client.gone_us = clock_us();
    feed->next = daemon->feeds->head;
    daemon->feeds->head = feed;
    return feed;
}

static void free_feed(struct feed *feed)
{
    struct feed **link = &feed->daemon->feeds->head;
    while (*link != feed) {
        link = &(*link)->next;
    }
    *link = feed->next;
    while (feed->epochs != NULL) {
        struct feed_epoch *epoch = feed->epochs;
        feed->epochs = epoch->next;
        feed_epoch_free(epoch);
    }
    arena_fini(&feed->arena);
    free(feed);
}

void feed_free_if_removed(struct feed *feed)
{
    if (feed->removing && feed->n_tasks == 0) {
        feed_spool_remove(feed->daemon, feed->id);
        free_feed(feed);
    }
}

static int read_spec(struct feed *feed, const char *text, struct err *err)
{
    struct doc *doc = NULL;
    int rc = doc_read_json(text, strlen(text), &doc_limits_default, &feed->arena, &doc, err);
    return rc < 0 ? rc : feed_spec_read(doc, &feed->arena, &feed->spec, err);
}

static int load_row(void *context, const struct db_row *row, struct err *err)
{
    struct daemon *daemon = context;
    struct feed *feed = new_feed(daemon, db_text(row, 1));
    snprintf(feed->id, sizeof(feed->id), "%s", db_text(row, 0));
    snprintf(feed->manifest, sizeof(feed->manifest), "%s", db_text(row, 4));
    feed->uid = db_int(row, 2);
    feed->created_us = db_int(row, 5);
    feed->bytes = feed_spool_bytes(daemon, feed->id);
    return read_spec(feed, db_text(row, 3), err);
}

int feed_open(struct daemon *daemon, struct err *err)
{
    daemon->feeds = calloc(1, sizeof(*daemon->feeds));
    BUG_ON(daemon->feeds == NULL);
    uv_timer_init(daemon->loop, &daemon->feeds->timer);
    daemon->feeds->timer.data = daemon;
    return db_each(store_db(daemon->store), DB_FEEDS, load_row, daemon, err, "");
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void feed_close(struct daemon *daemon)
{
    if (daemon->feeds == NULL) {
        return;
    }
    while (daemon->feeds->head != NULL) {
        struct feed *feed = daemon->feeds->head;
        feed_want_fail(feed, ERR_GONE, "the daemon stops");
        free_feed(feed);
    }
    daemon->feeds->timer.data = daemon->feeds;
    uv_close((uv_handle_t *)&daemon->feeds->timer, on_closed);
    daemon->feeds = NULL;
}

int64_t feed_bytes(const struct daemon *daemon, int64_t uid)
{
    int64_t bytes = 0;
    for (const struct feed *feed = daemon->feeds->head; feed != NULL; feed = feed->next) {
        bytes += feed->uid == uid ? feed->bytes + feed->flight_bytes : 0;
    }
    return bytes;
}

bool feed_remove(struct daemon *daemon, const char *name)
{
    struct feed *feed = find_name(daemon, name);
    if (feed == NULL) {
        return false;
    }
    feed->removing = true;
    feed_want_fail(feed, ERR_NOT_FOUND, "the feed was removed");
    feed_free_if_removed(feed);
    return true;
}

bool feed_is_named(const struct daemon *daemon, const char *name)
{
    return find_name(daemon, name) != NULL;
}

void feed_write(const struct daemon *daemon, const char *name, struct doc *map, struct arena *arena)
{
    const struct feed *feed = find_name(daemon, name);
    int64_t wanted = 0;
    doc_set_map(map);
    if (feed == NULL) {
        return;
    }
    const struct feed_epoch *told =
        feed_epoch_find(feed, feed->epoch_told > 0 ? feed->epoch_told : 0);
    for (const struct feed_epoch *e = feed->epochs; e != NULL; e = e->next) {
        wanted += e->n_sent + (int64_t)(e->queue.n - e->queue.head);
    }
    doc_put_bool(map, arena, "client", feed->client.is_there);
    doc_put_int(map, arena, "elements", feed->spec.elements);
    doc_put_bool(map, arena, "by_epoch", feed->spec.by_epoch);
    doc_put_int(map, arena, "bytes", feed->bytes);
    if (told != NULL) {
        doc_put_int(map, arena, "epoch", told->number);
        doc_put_int(map, arena, "stored", told->n_stored);
    }
    doc_put_int(map, arena, "wanted", wanted);
}

/* ---- feed.open ---- */

/* The same but for what the daemon gave and, where it was not said, the number of elements. */
static bool is_same(const struct feed_spec *a, const struct feed_spec *b, struct arena *arena)
{
    struct feed_spec x = *a, y = *b;
    struct doc *dx = doc_new(arena), *dy = doc_new(arena);
    x.id = y.id = NULL;
    x.elements = y.elements = x.elements < 0 || y.elements < 0 ? -1 : x.elements;
    feed_spec_write(&x, dx, arena);
    feed_spec_write(&y, dy, arena);
    return doc_equal(dx, dy) && (x.elements < 0 || a->elements == b->elements);
}

static void reply_opened(struct feed *feed, const struct request *request)
{
    const struct settings *settings = feed->daemon->settings;
    const struct feed_epoch *epoch = feed_epoch_find(feed, 0);
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_str(map, &arena, "feed", feed->id);
    doc_put_str(map, &arena, "name", feed->name);
    doc_put_int(map, &arena, "elements", feed->spec.elements);
    doc_put_int(map, &arena, "credit", settings->feed_credit);
    doc_put_int(map, &arena, "credit_bytes", settings->feed_credit_bytes);
    doc_put_int(map, &arena, "chunk_bytes", DAEMON_CHUNK_BYTES);
    doc_put_int(map, &arena, "have", epoch != NULL ? epoch->n_stored : 0);
    doc_put_int(map, &arena, "first", epoch != NULL ? epoch->first_absent : 0);
    control_reply(feed->daemon, request, map);
    arena_fini(&arena);
}

/* The newest client feeds; another one is told. */
static void take_client(struct feed *feed, const struct request *request)
{
    struct feed_client *client = &feed->client;
    if (client->is_there && (client->peer.size != request->peer.size ||
                             memcmp(client->peer.id, request->peer.id, client->peer.size) != 0)) {
        const struct msg_feed_status status = {.feed = feed->id, .taken = true};
        (void)control_send(feed->daemon, &client->peer, MSG_FEED_STATUS, &status);
    }
    feed_want_lost(feed);
    client->is_there = true;
    client->peer = request->peer;
    client->heard_us = clock_us();
    reply_opened(feed, request);
    log_put(feed->daemon->log, LOG_LEVEL_INFO, "a client feeds", LOG_TEXT("name", feed->name));
    for (struct feed_epoch *epoch = feed->epochs; epoch != NULL; epoch = epoch->next) {
        feed_want_go_on(feed, epoch);
    }
}

/* The first epoch's map is read before the answer, which says how much of it is there. */
struct opening {
    struct store_task task; /* comes after the load: the store keeps the order */
    struct feed *feed;
    struct request request;
};

static int run_nothing(struct store_task *base, struct db *db, struct err *err)
{
    (void)base;
    (void)db;
    (void)err;
    return 0;
}

static void done_opening(struct store_task *base)
{
    struct opening *opening = (struct opening *)base;
    struct feed *feed = opening->feed;
    struct err err = {0};
    const struct feed_epoch *epoch = feed_epoch_find(feed, 0);
    feed->n_tasks--;
    if (feed->removing || base->status < 0) {
        err_set(&err, ERR_NOT_FOUND, "the feed was removed");
        control_error(feed->daemon, &opening->request, &err);
    } else if (epoch != NULL && !epoch->loaded) {
        err_set(&err, ERR_IO, "the spool of '%s' cannot be read", feed->name);
        control_error(feed->daemon, &opening->request, &err);
    } else {
        take_client(feed, &opening->request);
    }
    free(opening);
    feed_free_if_removed(feed);
}

static void go_on_with(struct feed *feed, const struct request *request)
{
    struct opening *opening = calloc(1, sizeof(*opening));
    BUG_ON(opening == NULL);
    opening->feed = feed;
    opening->request = *request;
    feed->n_tasks++;
    feed_epoch_need(feed, 0);
    store_task_init(&opening->task, run_nothing, done_opening, false);
    store_put(feed->daemon->store, &opening->task);
}

static void add_dataset(const struct feed_open_task *task)
{
    struct feed *feed = task->feed;
    struct arena arena;
    arena_init(&arena);
    feed->spec.elements = task->elements;
    memcpy(feed->manifest, task->manifest_id, sizeof(feed->manifest));
    const struct dataset values = {.name = feed->name,
                                   .kind = arena_strdup(&arena, "feed"),
                                   .splits = arena_strdup(&arena, "{}"),
                                   .place = arena_strdup(&arena, ""),
                                   .version = task->version,
                                   .bytes = task->elements * (int64_t)feed->spec.row_bytes,
                                   .uid = feed->uid,
                                   .created_us = feed->created_us};
    dataset_add(feed->daemon, &values, feed->manifest);
    arena_fini(&arena);
}

static void reply_dataset(const struct feed *feed, const struct request *request)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    const struct dataset *dataset = dataset_find(feed->daemon, feed->name);
    if (dataset != NULL) {
        dataset_write(feed->daemon, dataset, true, map, &arena);
    }
    control_reply(feed->daemon, request, map);
    arena_fini(&arena);
}

static void done_open(struct store_task *base)
{
    struct feed_open_task *task = (struct feed_open_task *)base;
    struct feed *feed = task->feed;
    feed->n_tasks--;
    feed->ending = false;
    if (base->status < 0) {
        control_error(feed->daemon, &task->request, &base->err);
        feed->removing = feed->removing || task->is_new;
    } else if (task->manifest != NULL && !feed->removing) {
        add_dataset(task);
    }
    if (base->status >= 0 && task->is_new) {
        go_on_with(feed, &task->request);
    } else if (base->status >= 0) {
        reply_dataset(feed, &task->request);
    }
    arena_fini(&task->arena);
    free(task);
    feed_free_if_removed(feed);
}

/* Stores a new feed, or the number of elements of one; with that it is a data set. */
static void store_feed(struct feed *feed, const struct request *request, int64_t elements,
                       bool is_new)
{
    struct feed_open_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    arena_init(&task->arena);
    task->feed = feed;
    task->request = *request;
    task->is_new = is_new;
    task->elements = elements;
    if (elements >= 0) {
        struct feed_spec spec = feed->spec;
        spec.id = feed->id;
        spec.elements = elements;
        task->manifest = doc_new(&task->arena);
        doc_set_map(task->manifest);
        doc_put_str(task->manifest, &task->arena, "kind", "feed");
        doc_set_list(doc_put(task->manifest, &task->arena, "files"));
        feed_spec_write(&spec, doc_put(task->manifest, &task->arena, "feed"), &task->arena);
    }
    feed->n_tasks++;
    feed->ending = elements >= 0;
    feed_spool_open(task, done_open);
}

static int make_id(char id[HASH_ID_TEXT], struct err *err)
{
    unsigned char bytes[HASH_ID_BYTES];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return err_set(err, ERR_IO, "no random numbers");
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    }
    return 0;
}

static int check_open(const struct daemon *daemon, const char *name, const struct feed *old,
                      const struct feed_spec *spec, struct arena *arena, struct err *err)
{
    int rc = upload_list_check_name(name, err);
    if (rc >= 0 && old == NULL && dataset_find(daemon, name) != NULL) {
        return err_set_at(err, ERR_EXISTS, "name",
                          "'%s' is a data set of files; remove it, or feed another name", name);
    }
    if (rc >= 0 && old != NULL && !is_same(&old->spec, spec, arena)) {
        return err_set_at(err, ERR_EXISTS, "spec",
                          "'%s' was fed with other fields, elements or batches; remove it "
                          "(`millrace dataset remove %s`), or feed another name",
                          name, name);
    }
    return rc;
}

static int open_new(struct daemon *daemon, const struct request *request,
                    const struct msg_feed_open *body, struct err *err)
{
    struct feed *feed = new_feed(daemon, body->name);
    int rc = make_id(feed->id, err);
    struct doc *spec = doc_new(&feed->arena);
    doc_copy(spec, &feed->arena, body->spec);
    rc = rc < 0 ? rc : feed_spec_read(spec, &feed->arena, &feed->spec, err);
    if (rc < 0) {
        free_feed(feed);
        return rc;
    }
    feed->spec.id = NULL;
    feed->uid = request->uid;
    feed->created_us = clock_wall_us();
    store_feed(feed, request, feed->spec.elements, true);
    return 0;
}

void feed_on_open(struct daemon *daemon, const struct request *request, const void *message,
                  const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_feed_open *body = message;
    struct feed *old = find_name(daemon, body->name);
    struct feed_spec spec;
    struct arena arena;
    struct err err = {0};
    arena_init(&arena);
    int rc = feed_spec_read(body->spec, &arena, &spec, &err);
    if (rc < 0) {
        err_prefix(&err, "spec");
    }
    rc = rc < 0 ? rc : check_open(daemon, body->name, old, &spec, &arena, &err);
    if (rc >= 0 && old == NULL) {
        rc = open_new(daemon, request, body, &err);
    } else if (rc >= 0) {
        go_on_with(old, request);
    }
    if (rc < 0) {
        control_error(daemon, request, &err);
    }
    arena_fini(&arena);
}

/* ---- feed.put, feed.bad, feed.end ---- */

static int find_mine(const struct daemon *daemon, const struct request *request, const char *id,
                     struct feed **ret, struct err *err)
{
    struct feed *feed = feed_find(daemon, id);
    *ret = feed;
    if (feed == NULL || feed->removing) {
        return err_set(err, ERR_NOT_FOUND, "no feed '%.16s'; open it again", id);
    }
    const struct sock_peer *peer = &feed->client.peer;
    if (!feed->client.is_there || peer->size != request->peer.size ||
        memcmp(peer->id, request->peer.id, peer->size) != 0) {
        return err_set(err, feed->client.is_there ? ERR_BUSY : ERR_NOT_FOUND,
                       feed->client.is_there ? "another client feeds '%s' now"
                                             : "open the feed '%s' again",
                       feed->name);
    }
    return 0;
}

static int check_indices(const struct feed *feed, int64_t epoch, const struct opt_ints *indices,
                         struct err *err)
{
    int64_t elements = feed->spec.elements >= 0 ? feed->spec.elements : FEED_ELEMENTS_MAX;
    if (!feed->spec.by_epoch && epoch != 0) {
        return err_set_at(err, ERR_RANGE, "epoch", "%lld: the elements are the same in each epoch",
                          (long long)epoch);
    }
    for (size_t i = 0; i < indices->n; i++) {
        if (indices->v[i] >= elements) {
            return err_set_at(err, ERR_RANGE, "indices", "%lld of %lld elements",
                              (long long)indices->v[i], (long long)elements);
        }
    }
    return feed->ending ? err_set(err, ERR_BUSY, "the feed is being ended") : 0;
}

static int check_rows(const struct feed *feed, size_t n, const struct sock_frame *frames,
                      int n_frames, struct err *err)
{
    const size_t bytes = n * feed->spec.row_bytes;
    const size_t most = feed->spec.row_bytes > DAEMON_CHUNK_BYTES ? feed->spec.row_bytes
                                                                  : (size_t)DAEMON_CHUNK_BYTES;
    const int64_t credit = feed->daemon->settings->feed_credit_bytes;
    if (n_frames != 1 || frames[0].size != bytes || bytes > most) {
        return err_set(err, ERR_INVALID,
                       "%zu elements are one frame of %zu bytes, which may have %zu; %d came, the "
                       "first of %zu",
                       n, bytes, most, n_frames, n_frames > 0 ? frames[0].size : 0);
    }
    if (feed->flight_bytes > 0 && feed->flight_bytes + (int64_t)bytes > credit + (int64_t)most) {
        return err_set(err, ERR_LIMIT,
                       "%lld bytes are on their way to the disk; wait for the replies "
                       "(feed_credit_bytes = %lld)",
                       (long long)feed->flight_bytes, (long long)credit);
    }
    return 0;
}

static void note_flight(struct feed *feed, int64_t bytes)
{
    int64_t *counters = feed->daemon->counters;
    feed->flight_bytes += bytes;
    counters[COUNT_FEED_FLIGHT] += bytes;
    if (feed->flight_bytes > counters[COUNT_FEED_FLIGHT_MAX]) {
        counters[COUNT_FEED_FLIGHT_MAX] = feed->flight_bytes;
    }
}

static void reply_put(const struct feed_put_task *task)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_int(map, &arena, "n", (int64_t)task->n);
    control_reply(task->feed->daemon, &task->request, map);
    arena_fini(&arena);
}

static void done_put(struct store_task *base)
{
    struct feed_put_task *task = (struct feed_put_task *)base;
    struct feed *feed = task->feed;
    struct feed_epoch *epoch = task->epoch;
    feed->n_tasks--;
    epoch->n_tasks--;
    note_flight(feed, task->frame != NULL ? -(int64_t)(task->n * feed->spec.row_bytes) : 0);
    if (base->status < 0) {
        feed->daemon->counters[COUNT_STORE_ERRORS]++;
        control_error(feed->daemon, &task->request, &base->err);
    } else {
        feed_epoch_stored(feed, epoch, task->indices, task->n,
                          task->frame != NULL ? FEED_HAVE : FEED_BAD);
        if (epoch->number <= feed->epoch_told) {
            feed->quiet_us = clock_us();
        }
        reply_put(task);
        feed_want_go_on(feed, epoch);
    }
    sock_kept_free(task->frame);
    free(task);
    feed_free_if_removed(feed);
}

static int put(struct feed *feed, const struct request *request, int64_t number,
               const struct opt_ints *indices, const struct sock_frame *frame, const char *reason,
               struct err *err)
{
    struct feed_epoch *epoch = feed_epoch_find(feed, number);
    if (epoch == NULL || !epoch->loaded) { /* nobody asked: what is asked for is open */
        return err_set(err, ERR_INVALID, "elements of epoch %lld were not asked for",
                       (long long)number);
    }
    size_t text = reason != NULL ? strlen(reason) + 1 : 0;
    size_t head = sizeof(struct feed_put_task) + indices->n * sizeof(indices->v[0]);
    struct feed_put_task *task = calloc(1, head + text);
    BUG_ON(task == NULL);
    task->feed = feed;
    task->epoch = epoch;
    task->request = *request;
    task->n = indices->n;
    memcpy(task->indices, indices->v, indices->n * sizeof(indices->v[0]));
    task->reason = text > 0 ? memcpy((char *)task + head, reason, text) : NULL;
    task->frame = frame != NULL ? control_keep(feed->daemon, frame) : NULL;
    feed->client.heard_us = clock_us();
    feed->n_tasks++;
    epoch->n_tasks++;
    note_flight(feed, frame != NULL ? (int64_t)frame->size : 0);
    task->uid = feed->uid;
    task->used = feed_bytes(feed->daemon, feed->uid);
    feed_spool_put(task, done_put);
    return 0;
}

void feed_on_put(struct daemon *daemon, const struct request *request, const void *message,
                 const struct sock_frame *frames, int n_frames)
{
    const struct msg_feed_put *body = message;
    struct feed *feed = NULL;
    struct err err = {0};
    int rc = find_mine(daemon, request, body->feed, &feed, &err);
    rc = rc < 0 ? rc : check_indices(feed, body->epoch, &body->indices, &err);
    rc = rc < 0 ? rc : check_rows(feed, body->indices.n, frames, n_frames, &err);
    rc = rc < 0 ? rc : put(feed, request, body->epoch, &body->indices, &frames[0], NULL, &err);
    if (rc < 0) {
        control_error(daemon, request, &err);
    }
}

void feed_on_bad(struct daemon *daemon, const struct request *request, const void *message,
                 const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_feed_bad *body = message;
    const char *reason = body->reason != NULL ? body->reason : "its client cannot make it";
    struct feed *feed = NULL;
    struct err err = {0};
    int rc = find_mine(daemon, request, body->feed, &feed, &err);
    rc = rc < 0 ? rc : check_indices(feed, body->epoch, &body->indices, &err);
    rc = rc < 0 ? rc : put(feed, request, body->epoch, &body->indices, NULL, reason, &err);
    if (rc < 0) {
        control_error(daemon, request, &err);
    }
}

void feed_on_end(struct daemon *daemon, const struct request *request, const void *message,
                 const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_feed_end *body = message;
    struct feed *feed = NULL;
    struct err err = {0};
    int rc = find_mine(daemon, request, body->feed, &feed, &err);
    const struct feed_epoch *epoch = rc < 0 ? NULL : feed_epoch_find(feed, 0);
    if (rc >= 0 && feed->spec.elements >= 0 && !feed->ending) {
        reply_dataset(feed, request);
        return;
    }
    if (rc >= 0 && (epoch == NULL || !epoch->loaded || epoch->n_stored == 0)) {
        rc = err_set(&err, ERR_EMPTY, "nothing was pushed into '%s'", feed->name);
    } else if (rc >= 0 && (epoch->n_tasks > 0 || feed->ending)) {
        rc = err_set(&err, ERR_BUSY, "wait for the replies of what was pushed");
    } else if (rc >= 0 && epoch->first_absent != epoch->n_stored) {
        rc = err_set(&err, ERR_MISSING, "element %lld of %lld is not there",
                     (long long)epoch->first_absent, (long long)epoch->n_stored);
    }
    if (rc < 0) {
        control_error(daemon, request, &err);
        return;
    }
    store_feed(feed, request, epoch->n_stored, false);
}
