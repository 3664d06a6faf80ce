/* sample_from_datasets - the next element from a stream drawn at random. */
#include "base/rng.h"
#include "pipeline/derive.h"

extern const struct stage_desc stage_sample_from_datasets;

struct sample_from {
    const struct doc *datasets;
    struct opt_floats weights;
    int64_t seed;
    bool stop_on_empty_dataset;
};
struct draws {
    double sums[DERIVE_PICKS_MAX], all; /* of the weights */
    uint64_t seed, id;
};
static const struct opt options[] = {
    OPT_DOC_ROW(sample_from, datasets,
                "A list of {dataset, split, pipeline}; this stream is the first of all.",
                .flags = OPT_REQUIRED),
    OPT_FLOATS_ROW(sample_from, weights, NULL, 0, DERIVE_PICKS_MAX, 0, 1e9,
                   "How often each stream is drawn, this one first. Without: all as often.",
                   .flags = OPT_NULLABLE),
    OPT_I64_ROW(sample_from, seed, -1, -1, OPT_I64_MAX,
                "Seed of the draws instead of the job's; -1 = the job's.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(sample_from, stop_on_empty_dataset, false,
                 "End when a stream is drawn that has nothing left; else go on with the others."),
    OPT_END_ROW,
};

static int choose(const struct derive_picks *picks, int64_t draw, const int64_t *used)
{
    (void)used;
    const struct draws *k = picks->context;
    struct rng rng;
    int which = 0;
    rng_init(&rng, k->seed, k->id, 0, (uint64_t)draw);
    const double u = (double)rng_u32(&rng) * 0x1p-32 * k->all;
    while (which + 1 < picks->n && u >= k->sums[which]) {
        which++;
    }
    return which;
}

static int add_weights(const struct sample_from *k, int n, struct draws *ret, struct err *err)
{
    if (k->weights.n != 0 && k->weights.n != (size_t)n) {
        return err_set_at(err, ERR_INVALID, "weights", "has %zu numbers for %d streams",
                          k->weights.n, n);
    }
    for (int i = 0; i < n; i++) {
        const double weight = k->weights.n != 0 ? k->weights.v[i] : 1;
        /* A stream that is never drawn would never be empty. */
        if (!(weight > 0) && !k->stop_on_empty_dataset) {
            return err_set_at(err, ERR_RANGE, "weights",
                              "stream %d is never drawn; leave it out, or end with "
                              "stop_on_empty_dataset: true",
                              i);
        }
        ret->all += weight;
        ret->sums[i] = ret->all;
    }
    return ret->all > 0 ? 0 : err_set_at(err, ERR_RANGE, "weights", "are all 0");
}

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct sample_from *k = stage->ctx;
    struct draws *draws = ARENA_NEW(derive->pool->arena, struct draws);
    struct derive_picks picks = {.in[0] = derive->in,
                                 .n = 1,
                                 .stop_on_empty = k->stop_on_empty_dataset,
                                 .choose = choose,
                                 .context = draws};
    draws->seed = k->seed >= 0 ? (uint64_t)k->seed : stage->seed;
    draws->id = stage->id;
    int r = derive_open_list(derive, k->datasets, picks.in, &picks.n, DERIVE_PICKS_MAX, err);
    r = r < 0 ? r : add_weights(k, picks.n, draws, err);
    return r < 0 ? r : derive_pick(derive, &picks, ret, err);
}

const struct stage_desc stage_sample_from_datasets = {
    .name = "sample_from_datasets",
    .summary = "Takes each next element from one of several streams, drawn by weight; the same "
               "draws in each epoch. A stream's elements keep their order.",
    .options = options,
    .ctx_size = sizeof(struct sample_from),
    .kind = STAGE_DERIVE,
    .derive = derive,
};
