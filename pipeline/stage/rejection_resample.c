/* rejection_resample - leaves elements out so that classes come as often as wanted. */
#include "base/rng.h"
#include "pipeline/derive.h"

extern const struct stage_desc stage_rejection_resample;

enum { CLASSES_MAX = 1 << 16 };

struct resample {
    const char *class_func;
    struct opt_floats target_dist, initial_dist;
    int64_t seed;
};
struct state {
    struct derive_expr expr;
    const struct resample *options;
    double *keep; /* chance of an element of each class */
    uint64_t seed, id;
};
static const struct opt options[] = {
    OPT_STR_ROW(resample, class_func, "y", "A formula that gives an element's class, from 0.",
                .flags = OPT_REQUIRED),
    OPT_FLOATS_ROW(resample, target_dist, NULL, 1, CLASSES_MAX, 0, 1e9,
                   "Wanted share of each class.", .flags = OPT_REQUIRED),
    OPT_FLOATS_ROW(resample, initial_dist, NULL, 0, CLASSES_MAX, 0, 1e9,
                   "Share of each class in the stream. Without: counted.", .flags = OPT_NULLABLE),
    OPT_I64_ROW(resample, seed, -1, -1, OPT_I64_MAX,
                "Seed of the draws instead of the job's; -1 = the job's.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int key(const struct derive_select *how, const struct element_spec *spec,
               const struct element *element, int64_t *ret, struct err *err)
{
    struct state *k = how->context;
    double value = 0;
    (void)spec;
    int r = derive_expr_run(&k->expr, element, &value, err);
    if (r == 0 && !(value >= 0 && value < (double)k->options->target_dist.n)) {
        return err_set_at(err, ERR_RANGE, "class_func", "gives class %g, target_dist has %zu",
                          value, k->options->target_dist.n);
    }
    *ret = (int64_t)value;
    return r;
}

/* An element of class c is kept with a chance that falls with how much more often than wanted c
 * comes: target / initial, the greatest of these being 1. */
static bool find_chances(struct state *k, const int64_t *keys, int64_t n)
{
    const struct resample *o = k->options;
    double most = 0;
    for (size_t c = 0; c < o->target_dist.n; c++) {
        double initial = o->initial_dist.n > 0 ? o->initial_dist.v[c] : 0;
        for (int64_t i = 0; i < n && o->initial_dist.n == 0; i++) {
            initial += keys[i] == (int64_t)c;
        }
        k->keep[c] = initial > 0 ? o->target_dist.v[c] / initial : 0;
        most = k->keep[c] > most ? k->keep[c] : most;
    }
    for (size_t c = 0; c < o->target_dist.n && most > 0; c++) {
        k->keep[c] /= most;
    }
    return most > 0;
}

static int64_t choose(const struct derive_select *how, const int64_t *keys, const uint32_t *places,
                      int64_t n, uint32_t *list)
{
    struct state *k = how->context;
    int64_t m = 0;
    const bool has_chances = find_chances(k, keys, n);
    for (int64_t i = 0; i < n; i++) {
        struct rng rng;
        rng_init(&rng, k->seed, k->id, 0, places[i]);
        const double u = (double)rng_u32(&rng) * 0x1p-32;
        if (keys[i] == DERIVE_KEY_BAD || (has_chances && u < k->keep[keys[i]])) {
            list[m++] = (uint32_t)i;
        }
    }
    return m;
}

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    struct state *k = ARENA_NEW(derive->pool->arena, struct state);
    k->options = stage->ctx;
    const struct derive_select how = {
        .high = (int64_t)k->options->target_dist.n - 1, .key = key, .select = choose, .context = k};
    k->seed = k->options->seed >= 0 ? (uint64_t)k->options->seed : stage->seed;
    k->id = stage->id;
    k->keep = arena_array(derive->pool->arena, k->options->target_dist.n, sizeof *k->keep);
    if (k->options->initial_dist.n != 0 &&
        k->options->initial_dist.n != k->options->target_dist.n) {
        return err_set_at(err, ERR_INVALID, "initial_dist", "has %zu shares, target_dist %zu",
                          k->options->initial_dist.n, k->options->target_dist.n);
    }
    int r = derive_select_expr(derive->pool->arena, &derive->in->spec, k->options->class_func,
                               "class_func", &k->expr, err);
    r = r < 0 ? r : derive_select(derive, &how, ret, err);
    op_scratch_fini(&k->expr.scratch);
    return r;
}

const struct stage_desc stage_rejection_resample = {
    .name = "rejection_resample",
    .summary = "Leaves elements out at random, the same ones in each epoch, so that their classes "
               "come as often as wanted.",
    .options = options,
    .ctx_size = sizeof(struct resample),
    .kind = STAGE_DERIVE,
    .derive = derive,
};
