/* flat_map - rows of elements, one after the other. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_flat_map;

static const struct opt options[] = {OPT_END_ROW};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    (void)stage;
    return derive_rows(derive, 1, 1, ret, err);
}

const struct stage_desc stage_flat_map = {
    .name = "flat_map",
    .summary = "Each row of an element becomes an element, in the order of the elements: tf.data's "
               "`flat_map` with `from_tensor_slices`.",
    .options = options,
    .kind = STAGE_DERIVE,
    .derive = derive,
};
