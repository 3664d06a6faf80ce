#include "pipeline/op_fill.h"

const struct opt_name op_fill_modes[] = {
    {"reflect", AFFINE_REFLECT},
    {"constant", AFFINE_CONSTANT},
    {"wrap", AFFINE_WRAP},
    {"nearest", AFFINE_EDGE},
    {NULL, 0},
};
const struct opt_name op_fill_interpolations[] = {
    {"bilinear", AFFINE_BILINEAR}, {"nearest", AFFINE_NEAREST}, {NULL, 0}};
