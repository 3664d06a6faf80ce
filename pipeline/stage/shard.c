/* shard - every n-th element of the stream. */
#include "pipeline/stage.h"

extern const struct stage_desc stage_shard;

struct shard {
    int64_t num_shards, index;
};
static const struct opt options[] = {
    OPT_I64_ROW(shard, num_shards, 1, 1, 1 << 20, "Every how manieth element is kept.",
                .flags = OPT_REQUIRED),
    OPT_I64_ROW(shard, index, 0, 0, OPT_I64_MAX, "The first that is kept, from 0.",
                .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

static int count(const void *ctx, int64_t n, int64_t *ret, struct err *err)
{
    const struct shard *k = ctx;
    if (k->index >= k->num_shards) {
        return err_set_at(err, ERR_RANGE, "index", "%lld is not below num_shards, %lld",
                          (long long)k->index, (long long)k->num_shards);
    }
    if (n == STAGE_ENDLESS) {
        *ret = n;
    } else {
        *ret = n > k->index ? (n - k->index - 1) / k->num_shards + 1 : 0;
    }
    return 0;
}

static void place(const struct stage *stage, int64_t n, struct stage_place *place)
{
    const struct shard *k = stage->ctx;
    (void)n;
    place->position = place->position * k->num_shards + k->index;
}

const struct stage_desc stage_shard = {
    .name = "shard",
    .summary = "Keeps the elements `index`, `index` + `num_shards`, and so on.",
    .options = options,
    .ctx_size = sizeof(struct shard),
    .kind = STAGE_ORDER,
    .flags = STAGE_KEEPS_ORDER,
    .count = count,
    .place = place,
};
