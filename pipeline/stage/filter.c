/* filter - elements for which a formula holds. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_filter;

struct filter {
    const char *predicate;
};
static const struct opt options[] = {
    OPT_STR_ROW(filter, predicate, NULL,
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
    for (int64_t i = 0; i < n; i++) {
        if (keys[i] != 0) {
            list[m++] = (uint32_t)i;
        }
    }
    return m;
}

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct filter *k = stage->ctx;
    return derive_predicate(derive, k->predicate, choose, false, ret, err);
}

const struct stage_desc stage_filter = {
    .name = "filter",
    .summary = "Keeps the elements for which a formula holds. One that cannot be read is kept, so "
               "that it is named and treated as `on_error` says.",
    .options = options,
    .ctx_size = sizeof(struct filter),
    .shorthand = "predicate",
    .kind = STAGE_DERIVE,
    .derive = derive,
};
