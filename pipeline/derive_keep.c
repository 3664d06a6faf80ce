/* derive_keep - elements of a stream that are stored when they are first made: cache, snapshot.
 *
 * What iteration v gave is stored as variant v, and read in every iteration that comes to v when
 * the variants are gone through in turn. An element is the same whoever makes it and whether it is
 * stored or not, so nothing is lost with what is not there.
 */
#include "pipeline/derive.h"
#include "pipeline/kept_rows.h"
#include "pipeline/numerics.h"

enum { ROWS_FORM = 1 };

struct keep {
    struct stream *in;
    struct kept_rows rows;
    int64_t variants;
};

/* A convicted sample is bad for everybody, also for who finds an element that it went into. */
static bool may_read(const struct keep *k, const struct source_call *call, int64_t sample)
{
    const size_t n = call->skip != NULL ? call->skip->n : 0;
    bool may = n == 0 || k->in->source->is_stored;
    for (size_t i = 0; i < n && may; i++) {
        may = call->skip->v[i] != sample;
    }
    return may;
}

static int read_kept(struct source *source, const struct stage_place *place,
                     const struct source_call *call, struct element *ret, struct err *err)
{
    struct keep *k = source->ctx;
    const struct stage_place at = {place->iteration % k->variants, place->position};
    const int64_t sample = derive_trace(k->in, &at);
    if (may_read(k, call, sample) && kept_rows_read(&k->rows, at.iteration, at.position, ret)) {
        ret->sample = sample;
        return 0;
    }
    const struct source_call first = {.epoch = at.iteration, .skip = call->skip};
    int r = stream_get(k->in, &at, &first, ret, err);
    if (r == 0) {
        kept_rows_write(&k->rows, at.iteration, at.position, ret);
    }
    return r;
}

static int64_t trace_kept(const struct source *source, const struct stage_place *place)
{
    const struct keep *k = source->ctx;
    const struct stage_place at = {place->iteration % k->variants, place->position};
    return derive_trace(k->in, &at);
}

static void close_kept(struct source *source)
{
    struct keep *k = source->ctx;
    kept_rows_close(&k->rows);
}

static const struct source_desc keep_desc = {
    .name = "keep", .read = read_kept, .trace = trace_kept, .close = close_kept};

int derive_keep(struct derive *derive, int64_t variants, struct source *ret, struct err *err)
{
    struct pool *pool = derive->pool;
    struct keep *k = ARENA_NEW(pool->arena, struct keep);
    struct stream *in = derive->in;
    struct kept *kept = pool->is_fed ? NULL : pool->store->kept;
    char trail[HASH_ID_TEXT], id[HASH_ID_TEXT];
    struct doc *of = doc_new(pool->arena);
    int r = derive_check_end(in, "it", err);
    if (r == 0 && pool->batch_op != NULL) {
        r = err_set(err, ERR_UNSUPPORTED,
                    "%s draws once a batch, and an element that is stored is in no batch; put it "
                    "behind this stage",
                    pool->batch_op);
    }
    if (r < 0) {
        return r;
    }
    *k = (struct keep){.in = in, .variants = in->is_fixed && !in->is_reordered ? 1 : variants};
    derive_like(ret, in, &keep_desc, k);
    ret->is_fixed = k->variants == 1;
    pool_trail_before(pool, trail);
    doc_set_str(of, pool->arena, trail);
    kept_id("rows", ROWS_FORM + (NUMERICS_VERSION << 8), of, id);
    return kept_rows_open(&k->rows, kept, id, &in->spec, in->n, err);
}
