/* take_while - elements until a formula fails. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_take_while;

struct take_while {
    const char *predicate;
};
static const struct opt options[] = {
    OPT_STR_ROW(take_while, predicate, NULL,
                "A formula over the fields, one value an element: `y < 5`, `reduce_mean(x) > 0.1` "
                "(docs/expressions.md).",
                .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

static int64_t choose(const struct derive_select *how, const int64_t *keys, const uint32_t *places,
                      int64_t n, uint32_t *list)
{
    int64_t m = 0;
    (void)how, (void)places;
    for (; m < n && keys[m] != 0; m++) {
        list[m] = (uint32_t)m;
    }
    return m;
}

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct take_while *k = stage->ctx;
    return derive_predicate(derive, k->predicate, choose, true, ret, err);
}

const struct stage_desc stage_take_while = {
    .name = "take_while",
    .summary = "Keeps the elements before the first for which a formula does not hold.",
    .options = options,
    .ctx_size = sizeof(struct take_while),
    .shorthand = "predicate",
    .kind = STAGE_DERIVE,
    .derive = derive,
};
