/* skip - all but the first elements of the stream. */
#include "pipeline/stage.h"

extern const struct stage_desc stage_skip;

struct skip {
    int64_t count;
};
static const struct opt options[] = {
    OPT_I64_ROW(skip, count, 0, -1, OPT_I64_MAX, "How many elements; -1 = all.",
                .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

static int count(const void *ctx, int64_t n, int64_t *ret, struct err *err)
{
    const struct skip *k = ctx;
    (void)err;
    if (n == STAGE_ENDLESS && k->count >= 0) {
        *ret = n;
    } else {
        *ret = k->count >= 0 && k->count < n ? n - k->count : 0;
    }
    return 0;
}

static void place(const struct stage *stage, int64_t n, struct stage_place *place)
{
    const struct skip *k = stage->ctx;
    (void)n;
    place->position += k->count;
}

const struct stage_desc stage_skip = {
    .name = "skip",
    .summary = "Leaves out the first `count` elements.",
    .options = options,
    .ctx_size = sizeof(struct skip),
    .shorthand = "count",
    .kind = STAGE_ORDER,
    .flags = STAGE_KEEPS_ORDER,
    .count = count,
    .place = place,
};
