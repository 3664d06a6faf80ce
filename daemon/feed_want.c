/* What workers want of a feed, what its client was asked for, and what happens when nothing comes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/feed_impl.h"
#include "daemon/jobs.h"
#include "daemon/process.h"
#include "daemon/run.h"
#include "daemon/schedule.h"

/* An epoch of which a job leaves some out counts as ended when it was quiet for so long. */
enum { QUIET_MS = 250, SWEEP_MIN = 1024 };

/* ---- workers ---- */

static void answer(const struct feed_waiter *waiter, int code, const char *text)
{
    const struct msg_child_have body = {.seq = waiter->seq, .code = code, .text = text};
    process_send(waiter->process, MSG_CHILD_HAVE, &body, NULL, NULL);
}

static void drop(struct feed_waiter **link)
{
    struct feed_waiter *waiter = *link;
    *link = waiter->next;
    free(waiter->indices);
    free(waiter);
}

/* Answers those of whom everything is stored. */
static void answer_waiters(struct feed *feed, const struct feed_epoch *epoch)
{
    for (struct feed_waiter **link = &feed->waiters; *link != NULL;) {
        struct feed_waiter *w = *link;
        while (w->epoch == epoch->number && w->at < w->n &&
               feed_mark_at(epoch, w->indices[w->at]) == FEED_STORED) {
            w->at++;
        }
        if (w->at == w->n) {
            answer(w, 0, NULL);
            drop(link);
        } else {
            link = &w->next;
        }
    }
}

void feed_want_fail(struct feed *feed, int code, const char *text)
{
    while (feed->waiters != NULL) {
        answer(feed->waiters, code, text);
        drop(&feed->waiters);
    }
}

/* What is made together is asked for together. */
static void put_wanted(struct feed *feed, struct feed_epoch *epoch, int64_t index)
{
    int64_t first = 0;
    int64_t n = feed_batch(&feed->spec, index, &first);
    for (int64_t i = first; i < first + n; i++) {
        if (feed_mark_at(epoch, i) == FEED_NONE) {
            feed_epoch_mark(epoch, i, FEED_WANTED);
            feed_list_put(&epoch->queue, i);
        }
    }
}

void feed_want_loaded(struct feed *feed, struct feed_epoch *epoch)
{
    for (const struct feed_waiter *w = feed->waiters; w != NULL; w = w->next) {
        for (size_t i = w->at; w->epoch == epoch->number && i < w->n; i++) {
            if (feed_mark_at(epoch, w->indices[i]) == FEED_NONE) {
                put_wanted(feed, epoch, w->indices[i]);
            }
        }
    }
    if (epoch->number <= feed->epoch_told) {
        feed->quiet_us = clock_us();
    }
    feed_want_go_on(feed, epoch);
}

static int64_t count_waiters(const struct feed *feed, const struct process *process)
{
    int64_t n = 0;
    for (const struct feed_waiter *w = feed->waiters; w != NULL; w = w->next) {
        n += w->process == process;
    }
    return n;
}

static int check_want(const struct feed *feed, const struct process *process,
                      const struct msg_child_want *want, struct err *err)
{
    if (feed == NULL || feed->removing) {
        return err_set(err, ERR_NOT_FOUND, "the feed was removed");
    }
    if (count_waiters(feed, process) >= FEED_WAITERS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d wants of a worker", FEED_WAITERS_MAX);
    }
    bool in_range = feed->spec.by_epoch || want->epoch == 0;
    for (size_t i = 0; i < want->indices.n; i++) {
        in_range = in_range && want->indices.v[i] < feed->spec.elements;
    }
    return in_range ? 0 : err_set(err, ERR_RANGE, "an element that the feed does not have");
}

void feed_child_wants(struct process *process, const struct msg_child_want *want)
{
    struct feed *feed = feed_find(process->daemon, want->feed);
    struct feed_waiter *waiter = calloc(1, sizeof(*waiter));
    struct feed_epoch *epoch = NULL;
    struct err err = {0};
    BUG_ON(waiter == NULL);
    waiter->process = process;
    waiter->seq = want->seq;
    int rc = check_want(feed, process, want, &err);
    epoch = rc < 0 ? NULL : feed_epoch_need(feed, want->epoch);
    if (rc >= 0 && epoch == NULL) {
        rc = err_set(&err, ERR_LIMIT, "more than %d epochs of a feed are in use",
                     FEED_OPEN_EPOCHS_MAX);
    }
    if (rc < 0) {
        answer(waiter, rc, err.text);
        free(waiter);
        return;
    }
    waiter->epoch = want->epoch;
    waiter->n = want->indices.n;
    waiter->indices = calloc(waiter->n + 1, sizeof(*waiter->indices));
    BUG_ON(waiter->indices == NULL);
    memcpy(waiter->indices, want->indices.v, waiter->n * sizeof(*waiter->indices));
    waiter->next = feed->waiters;
    feed->waiters = waiter;
    if (epoch->loaded) {
        feed_want_loaded(feed, epoch);
    }
}

void feed_child_gone(struct process *process)
{
    struct feed *feed = process->daemon->feeds != NULL ? process->daemon->feeds->head : NULL;
    for (; feed != NULL; feed = feed->next) {
        for (struct feed_waiter **link = &feed->waiters; *link != NULL;) {
            if ((*link)->process == process) {
                drop(link);
            } else {
                link = &(*link)->next;
            }
        }
    }
}

/* ---- the client ---- */

static int64_t count_sent(const struct feed *feed)
{
    int64_t n = 0;
    for (const struct feed_epoch *e = feed->epochs; e != NULL; e = e->next) {
        n += e->n_sent;
    }
    return n;
}

/* Something is to be asked for; what came by another way is left out of the list. */
static bool has_wanted(struct feed_epoch *epoch)
{
    struct feed_list *queue = &epoch->queue;
    while (queue->head < queue->n && feed_mark_at(epoch, queue->v[queue->head]) != FEED_WANTED) {
        queue->head++;
    }
    return queue->head < queue->n;
}

static void ask_client(struct feed *feed);

static void on_timer(uv_timer_t *timer)
{
    const struct daemon *daemon = timer->data;
    for (struct feed *feed = daemon->feeds->head; feed != NULL; feed = feed->next) {
        ask_client(feed);
    }
}

/* One timer for all feeds: the first that is due wakes it, and the others set it again. */
static void look_again(const struct daemon *daemon, int64_t left_us)
{
    if (!uv_is_active((uv_handle_t *)&daemon->feeds->timer)) {
        uv_timer_start(&daemon->feeds->timer, on_timer, (uint64_t)(left_us / 1000 + 1), 0);
    }
}

/* The end of an epoch is told to a program by the first question of the next one: the questions of
 * one epoch go first, although workers are at two of them. NULL: none, or not yet. */
static struct feed_epoch *next_epoch(struct feed *feed)
{
    bool under_way = false;
    bool ended = feed->epoch_told < 0;
    for (struct feed_epoch *e = feed->epochs; e != NULL; e = e->next) {
        ended = ended || (e->number == feed->epoch_told && e->n_stored == feed->spec.elements);
        if (has_wanted(e) && e->number <= feed->epoch_told) {
            return e;
        }
        if (has_wanted(e)) {
            int64_t left_us = feed->quiet_us + (int64_t)QUIET_MS * 1000 - clock_us();
            if (!under_way && !ended && left_us > 0) {
                look_again(feed->daemon, left_us);
            }
            if (under_way || (!ended && left_us > 0)) {
                return NULL;
            }
            return e;
        }
        under_way = under_way || e->n_sent > 0;
    }
    return NULL;
}

/* How many elements may be asked for now. */
static int64_t room(const struct feed *feed)
{
    const struct settings *settings = feed->daemon->settings;
    int64_t sent = count_sent(feed);
    int64_t most = settings->feed_credit_bytes / (int64_t)feed->spec.row_bytes;
    most = most < settings->feed_credit ? most : settings->feed_credit;
    most = most < feed->spec.batch ? feed->spec.batch : most;
    int64_t left = most - sent;
    return left < feed->spec.batch ? 0 : left < FEED_WANT_MAX ? left : FEED_WANT_MAX;
}

/* Of one batch if they are made in batches. */
static size_t take_wanted(struct feed *feed, struct feed_epoch *epoch, int64_t most,
                          int64_t indices[FEED_INDICES_MAX])
{
    const int64_t batch = feed->spec.batch;
    size_t n = 0;
    most = batch > 1 ? batch : most;
    while ((int64_t)n < most && has_wanted(epoch)) {
        int64_t index = epoch->queue.v[epoch->queue.head];
        if (batch > 1 && n > 0 && index / batch != indices[0] / batch) {
            break;
        }
        epoch->queue.head++;
        feed_epoch_mark(epoch, index, FEED_SENT);
        feed_list_put(&epoch->sent, index);
        indices[n++] = index;
    }
    epoch->n_sent += (int64_t)n;
    return n;
}

/* Forgets those that are stored. */
static void sweep_sent(struct feed_epoch *epoch)
{
    struct feed_list *sent = &epoch->sent;
    size_t n = 0;
    if (sent->n < 2 * (size_t)epoch->n_sent + SWEEP_MIN) {
        return;
    }
    for (size_t i = 0; i < sent->n; i++) {
        if (feed_mark_at(epoch, sent->v[i]) == FEED_SENT) {
            sent->v[n++] = sent->v[i];
        }
    }
    sent->n = n;
}

static void ask_client(struct feed *feed)
{
    struct feed_epoch *epoch = NULL;
    int64_t most = 0;
    while (feed->client.is_there && (most = room(feed)) > 0 && (epoch = next_epoch(feed)) != NULL) {
        int64_t indices[FEED_INDICES_MAX];
        struct msg_feed_want want = {.feed = feed->id, .epoch = epoch->number};
        if (count_sent(feed) == 0) {
            feed->client.heard_us = clock_us();
        }
        want.indices.v = indices;
        want.indices.n = take_wanted(feed, epoch, most, indices);
        feed->epoch_told = epoch->number > feed->epoch_told ? epoch->number : feed->epoch_told;
        feed->daemon->counters[COUNT_FEED_WANTED] += (int64_t)want.indices.n;
        sweep_sent(epoch);
        if (control_send(feed->daemon, &feed->client.peer, MSG_FEED_WANT, &want) < 0) {
            feed_want_lost(feed);
        }
    }
}

void feed_want_go_on(struct feed *feed, struct feed_epoch *epoch)
{
    answer_waiters(feed, epoch);
    ask_client(feed);
}

void feed_want_lost(struct feed *feed)
{
    feed->client.is_there = false;
    feed->client.gone_us = clock_us();
    for (struct feed_epoch *e = feed->epochs; e != NULL; e = e->next) {
        struct feed_list queue = {0};
        for (size_t i = e->sent.head; i < e->sent.n; i++) {
            if (feed_mark_at(e, e->sent.v[i]) == FEED_SENT) {
                feed_epoch_mark(e, e->sent.v[i], FEED_WANTED);
                feed_list_put(&queue, e->sent.v[i]);
            }
        }
        for (size_t i = e->queue.head; i < e->queue.n; i++) {
            feed_list_put(&queue, e->queue.v[i]);
        }
        free(e->queue.v);
        e->queue = queue;
        e->sent.n = e->sent.head = 0;
        e->n_sent = 0;
    }
}

bool feed_want_is_silent(const struct feed *feed)
{
    return feed->client.is_there && count_sent(feed) > 0 &&
           clock_us() - feed->client.heard_us >
               feed->daemon->settings->feed_seconds * (int64_t)1000000;
}

/* ---- pausing and going on ---- */

/* Jobs pause; who is no job's worker (a preview, a checker) is told that nothing will come. */
static void starve(struct feed *feed, const struct err *why)
{
    for (struct feed_waiter **link = &feed->waiters; *link != NULL;) {
        struct feed_waiter *w = *link;
        const struct job *job = w->process->job;
        if (job != NULL && job->run != NULL) {
            run_starve(job->run, why);
            link = &w->next;
        } else {
            answer(w, why->code, why->text);
            drop(link);
        }
    }
}

static void look(struct feed *feed)
{
    struct err why = {0};
    int64_t gone_us = clock_us() - feed->client.gone_us;
    if (!feed->client.is_there &&
        gone_us > feed->daemon->settings->feed_gone_seconds * (int64_t)1000000) {
        err_set(&why, ERR_FEED,
                "nobody feeds '%s' (feed_gone_seconds); the job goes on when its client is back",
                feed->name);
    } else if (feed_want_is_silent(feed)) {
        err_set(&why, ERR_FEED,
                "the client that feeds '%s' does not answer (feed_seconds); the job goes on when "
                "it does",
                feed->name);
    }
    if (why.code != 0) {
        starve(feed, &why);
    }
}

static bool is_whole(const struct feed *feed)
{
    const struct feed_epoch *epoch = feed_epoch_find(feed, 0);
    return !feed->spec.by_epoch && epoch != NULL && epoch->n_stored == feed->spec.elements;
}

static bool waits_for(const struct job *job, const struct feed *feed)
{
    bool uses = false;
    for (int64_t i = 0; i < job->n_pins; i++) {
        uses = uses || strcmp(job->pins[i].id, feed->manifest) == 0;
    }
    return uses && job->state == JOB_PAUSED && job->reason.code == ERR_FEED;
}

static bool may_go_on(const struct job *job)
{
    bool may = true;
    for (const struct feed *f = job->daemon->feeds->head; f != NULL; f = f->next) {
        may = may && (!waits_for(job, f) || is_whole(f) ||
                      (f->client.is_there && !feed_want_is_silent(f)));
    }
    return may;
}

static void go_on_with_jobs(struct daemon *daemon)
{
    for (struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        if (job->state == JOB_PAUSED && job->reason.code == ERR_FEED && job->run == NULL &&
            may_go_on(job)) {
            jobs_step(job, JOB_EVENT_RESUME, NULL, NULL);
            schedule_kick(daemon);
        }
    }
}

static void tell_client(struct feed *feed)
{
    int64_t told = feed->epoch_told > 0 ? feed->epoch_told : 0;
    const struct feed_epoch *epoch = feed_epoch_find(feed, told);
    struct msg_feed_status status = {.feed = feed->id, .epoch = told};
    status.have = epoch != NULL ? epoch->n_stored : 0;
    for (const struct feed_epoch *e = feed->epochs; e != NULL; e = e->next) {
        status.wanted += e->n_sent + (int64_t)(e->queue.n - e->queue.head);
    }
    for (const struct job *job = feed->daemon->jobs->head; job != NULL; job = job->next) {
        status.waiting += waits_for(job, feed);
    }
    if (feed->client.is_there &&
        control_send(feed->daemon, &feed->client.peer, MSG_FEED_STATUS, &status) < 0) {
        feed_want_lost(feed);
    }
}

void feed_tick(struct daemon *daemon)
{
    for (struct feed *feed = daemon->feeds->head; feed != NULL && !daemon->stopping;
         feed = feed->next) {
        tell_client(feed);
        look(feed);
    }
    if (!daemon->stopping) {
        go_on_with_jobs(daemon);
    }
}
