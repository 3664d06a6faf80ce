#include "pipeline/image/resize_impl.h"

#include "pipeline/image/resize_kernel.h"

const struct resize_passes resize_avx2_passes = {vertical_bytes, vertical_floats, round_bytes};
