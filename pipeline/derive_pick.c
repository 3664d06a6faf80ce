/* derive_pick - one of several streams at a time: sample_from_datasets, choose_from_datasets.
 *
 * Which stream stands at a place is kept in a table of two bytes an element; how many elements of
 * each stream came before is kept every so many elements.
 */
#include <stdlib.h>
#include <string.h>

#include "pipeline/derive.h"

enum { TABLE_MAX = 1 << 28, MARK_EVERY = 1024 };

struct pick {
    struct derive_picks picks;
    uint16_t *which; /* n of them */
    uint32_t *marks; /* of each stream, every MARK_EVERY elements */
    int64_t n;
};

/* Streams that have elements left, as choosing goes on. */
static int64_t fill(struct pick *k, int64_t max)
{
    const struct derive_picks *p = &k->picks;
    int64_t used[DERIVE_PICKS_MAX] = {0}, n = 0, left = 0;
    for (int i = 0; i < p->n; i++) {
        left += p->in[i]->n > 0;
    }
    for (int64_t draw = 0; n < max && left > 0; draw++) {
        const int which = p->choose(p, draw, used);
        if (which < 0) {
            break;
        }
        if (used[which] == p->in[which]->n) {
            if (p->stop_on_empty) {
                break;
            }
            continue;
        }
        for (int i = 0; n % MARK_EVERY == 0 && i < p->n; i++) {
            k->marks[n / MARK_EVERY * p->n + i] = (uint32_t)used[i];
        }
        k->which[n++] = (uint16_t)which;
        left -= ++used[which] == p->in[which]->n;
    }
    return n;
}

static struct stage_place place_of(const struct pick *k, const struct stage_place *place,
                                   int *ret_which)
{
    const int which = k->which[place->position];
    const int64_t mark = place->position / MARK_EVERY;
    int64_t at = k->marks[mark * k->picks.n + which];
    for (int64_t i = mark * MARK_EVERY; i < place->position; i++) {
        at += k->which[i] == which;
    }
    *ret_which = which;
    return (struct stage_place){place->iteration, at};
}

static int read_pick(struct source *source, const struct stage_place *place,
                     const struct source_call *call, struct element *ret, struct err *err)
{
    const struct pick *k = source->ctx;
    int which;
    const struct stage_place at = place_of(k, place, &which);
    return stream_get(k->picks.in[which], &at, call, ret, err);
}

static int64_t trace_pick(const struct source *source, const struct stage_place *place)
{
    const struct pick *k = source->ctx;
    int which;
    const struct stage_place at = place_of(k, place, &which);
    return derive_trace(k->picks.in[which], &at);
}

static void close_pick(struct source *source)
{
    struct pick *k = source->ctx;
    free(k->which);
    free(k->marks);
    k->which = NULL;
    k->marks = NULL;
}

static const struct source_desc pick_desc = {
    .name = "pick", .read = read_pick, .trace = trace_pick, .close = close_pick};

int derive_pick(struct derive *derive, const struct derive_picks *picks, struct source *ret,
                struct err *err)
{
    struct pick *k = ARENA_NEW(derive->pool->arena, struct pick);
    int64_t total = 0;
    k->picks = *picks;
    derive_like(ret, picks->in[0], &pick_desc, k);
    ret->samples = 0;
    for (int i = 0; i < picks->n; i++) {
        int r = derive_check_end(picks->in[i], "it", err);
        r = r == 0 && i > 0 ? derive_merge(ret, picks->in[i], err) : r;
        if (r < 0) {
            return r;
        }
        total += picks->in[i]->n;
        if (total > TABLE_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d elements in all streams", TABLE_MAX);
        }
    }
    k->which = calloc((size_t)total + 1, sizeof *k->which);
    k->marks = calloc((size_t)(total / MARK_EVERY + 1) * (size_t)picks->n, sizeof *k->marks);
    if (k->which == NULL || k->marks == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the order of %lld elements",
                       (long long)total);
    }
    ret->samples = k->n = fill(k, total);
    return k->n > 0 ? 0 : err_set(err, ERR_DATA, "nothing is chosen");
}
