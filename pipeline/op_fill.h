/* op_fill - the options that all ops share which move pixels: how to read between them and beside
 * them. */
#ifndef PIPELINE_OP_FILL_H
#define PIPELINE_OP_FILL_H

#include "pipeline/op.h"

extern const struct opt_name op_fill_modes[], op_fill_interpolations[];

/* Put these into the op's struct and its rows. */
#define OP_FILL_FIELDS \
    int fill_mode;     \
    int interpolation; \
    float fill_value
#define OP_FILL_ROWS(S)                                                                           \
    OPT_ENUM_ROW(S, fill_mode, AFFINE_REFLECT, op_fill_modes,                                     \
                 "Beside the picture: its mirror image, a constant, itself again, or its edge."), \
        OPT_ENUM_ROW(S, interpolation, AFFINE_BILINEAR, op_fill_interpolations,                   \
                     "Between pixels: a mean, or the nearest one."),                              \
        OPT_F32_ROW(S, fill_value, 0, -1e30, 1e30,                                                \
                    "Value beside the picture for fill_mode constant.")

#endif
