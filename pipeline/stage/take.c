/* take - the first elements of the stream. */
#include "pipeline/stage.h"

extern const struct stage_desc stage_take;

struct take {
    int64_t count;
};
static const struct opt options[] = {
    OPT_I64_ROW(take, count, 0, -1, OPT_I64_MAX, "How many elements; -1 = all.",
                .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

static int count(const void *ctx, int64_t n, int64_t *ret, struct err *err)
{
    const struct take *k = ctx;
    (void)err;
    *ret = k->count >= 0 && k->count < n ? k->count : n;
    return 0;
}

static void place(const struct stage *stage, int64_t n, struct stage_place *place)
{
    (void)stage, (void)n, (void)place;
}

const struct stage_desc stage_take = {
    .name = "take",
    .summary = "Keeps the first `count` elements.",
    .options = options,
    .ctx_size = sizeof(struct take),
    .shorthand = "count",
    .kind = STAGE_ORDER,
    .flags = STAGE_KEEPS_ORDER,
    .count = count,
    .place = place,
};
