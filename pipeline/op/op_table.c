#include "pipeline/op.h"

#define OP_ROW(n) extern const struct op_desc op_##n;
#include "pipeline/op/op_rows.h"
#undef OP_ROW

const struct op_desc *const op_table[] = {
#define OP_ROW(n) &op_##n,
#include "pipeline/op/op_rows.h"
#undef OP_ROW
    NULL,
};
