/* assert_cardinality - says how many elements there have to be. */
#include "pipeline/stage.h"

extern const struct stage_desc stage_assert_cardinality;

struct assert_cardinality {
    int64_t expected_cardinality;
};
static const struct opt options[] = {
    OPT_I64_ROW(assert_cardinality, expected_cardinality, -1, -1, OPT_I64_MAX,
                "How many elements; -1 = without end.", .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

static int count(const void *ctx, int64_t n, int64_t *ret, struct err *err)
{
    const struct assert_cardinality *k = ctx;
    const int64_t wanted = k->expected_cardinality < 0 ? STAGE_ENDLESS : k->expected_cardinality;
    *ret = n;
    if (n == wanted) {
        return 0;
    }
    return n == STAGE_ENDLESS || wanted == STAGE_ENDLESS
               ? err_set(err, ERR_DATA, "the stream has %s end", n == STAGE_ENDLESS ? "no" : "an")
               : err_set(err, ERR_DATA, "there are %lld elements, expected %lld", (long long)n,
                         (long long)wanted);
}

static void place(const struct stage *stage, int64_t n, struct stage_place *place)
{
    (void)stage, (void)n, (void)place;
}

const struct stage_desc stage_assert_cardinality = {
    .name = "assert_cardinality",
    .summary = "Refuses the job when the stream has another number of elements.",
    .options = options,
    .ctx_size = sizeof(struct assert_cardinality),
    .shorthand = "expected_cardinality",
    .kind = STAGE_ORDER,
    .flags = STAGE_KEEPS_ORDER | STAGE_TRAIN_ONLY,
    .count = count,
    .place = place,
};
