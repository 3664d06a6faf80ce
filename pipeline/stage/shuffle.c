/* shuffle - a permutation that is computed and never stored; its buffer is always the whole stream.
 */
#include "base/perm.h"
#include "pipeline/stage.h"

extern const struct stage_desc stage_shuffle;

struct shuffle {
    int64_t buffer_size, seed;
    bool reshuffle_each_iteration;
};
static const struct opt options[] = {
    OPT_I64_ROW(shuffle, buffer_size, 0, 0, OPT_I64_MAX,
                "Accepted; the shuffle is always of the whole stream.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_I64_ROW(shuffle, seed, -1, -1, OPT_I64_MAX,
                "Seed of this shuffle instead of the job's; -1 = the job's.",
                .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(shuffle, reshuffle_each_iteration, true, "Another order in each epoch.",
                 .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int count(const void *ctx, int64_t n, int64_t *ret, struct err *err)
{
    (void)ctx;
    if (n == STAGE_ENDLESS) {
        return err_set(err, ERR_UNSUPPORTED,
                       "an endless stream cannot be shuffled whole; put repeat behind shuffle");
    }
    *ret = n;
    return 0;
}

static void place(const struct stage *stage, int64_t n, struct stage_place *place)
{
    const struct shuffle *k = stage->ctx;
    struct perm perm;
    perm_init(&perm, (uint64_t)n, k->seed >= 0 ? (uint64_t)k->seed : stage->seed, stage->id,
              k->reshuffle_each_iteration ? (uint64_t)place->iteration : 0);
    place->position = (int64_t)perm_at(&perm, (uint64_t)place->position);
}

const struct stage_desc stage_shuffle = {
    .name = "shuffle",
    .summary = "Puts the elements into a random order, another one in each epoch.",
    .options = options,
    .ctx_size = sizeof(struct shuffle),
    .shorthand = "buffer_size",
    .kind = STAGE_ORDER,
    .flags = STAGE_TRAIN_ONLY | STAGE_REORDERS,
    .count = count,
    .place = place,
};
