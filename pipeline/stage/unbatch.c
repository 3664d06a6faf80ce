/* unbatch - rows of elements, one after the other. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_unbatch;

static const struct opt options[] = {OPT_END_ROW};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    (void)stage;
    return derive_rows(derive, 1, 1, ret, err);
}

const struct stage_desc stage_unbatch = {
    .name = "unbatch",
    .summary = "Cuts elements along their first axis: each row becomes an element.",
    .options = options,
    .kind = STAGE_DERIVE,
    .derive = derive,
};
