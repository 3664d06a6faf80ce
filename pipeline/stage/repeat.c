/* repeat - the stream several times over; a shuffle before it gives each pass its own order. */
#include "pipeline/stage.h"

extern const struct stage_desc stage_repeat;

struct repeat {
    int64_t count;
};
static const struct opt options[] = {
    OPT_I64_ROW(repeat, count, -1, -1, OPT_I64_MAX,
                "How often; -1 = without end (then fit.steps_per_epoch says where an epoch ends).",
                .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int count(const void *ctx, int64_t n, int64_t *ret, struct err *err)
{
    const struct repeat *k = ctx;
    if (k->count < 0 || n == STAGE_ENDLESS) {
        *ret = n > 0 ? STAGE_ENDLESS : 0;
        return 0;
    }
    if (__builtin_mul_overflow(n, k->count, ret) || *ret >= (int64_t)1 << 62) {
        return err_set_at(err, ERR_LIMIT, "count", "%lld times %lld elements are too many",
                          (long long)k->count, (long long)n);
    }
    return 0;
}

static void place(const struct stage *stage, int64_t n, struct stage_place *place)
{
    const struct repeat *k = stage->ctx;
    if (n != STAGE_ENDLESS) {
        /* An endless one never meets the passes of another epoch. */
        const int64_t passes = k->count < 0 ? (int64_t)1 << 32 : k->count;
        place->iteration =
            (int64_t)((uint64_t)place->iteration * (uint64_t)passes) + place->position / n;
        place->position %= n;
    }
}

const struct stage_desc stage_repeat = {
    .name = "repeat",
    .summary = "Repeats the stream.",
    .options = options,
    .ctx_size = sizeof(struct repeat),
    .shorthand = "count",
    .kind = STAGE_ORDER,
    .flags = STAGE_TRAIN_ONLY,
    .count = count,
    .place = place,
};
