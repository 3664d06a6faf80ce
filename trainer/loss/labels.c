#include "trainer/loss/labels.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static int64_t float_to_int(double value)
{
    /* No class has such a number. */
    return fabs(value) < 1e15 ? (int64_t)value : INT64_MAX;
}

static int64_t int_at(enum dtype dtype, const void *labels, size_t i)
{
    switch (dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: return ((const uint8_t *)labels)[i];
    case DTYPE_I8: return ((const int8_t *)labels)[i];
    case DTYPE_U16: return ((const uint16_t *)labels)[i];
    case DTYPE_I16: return ((const int16_t *)labels)[i];
    case DTYPE_I32: return ((const int32_t *)labels)[i];
    case DTYPE_I64: return ((const int64_t *)labels)[i];
    case DTYPE_F32: return float_to_int((double)((const float *)labels)[i]);
    case DTYPE_F64: return float_to_int(((const double *)labels)[i]);
    case DTYPE_STR:
    case DTYPE_MAX_:
    default: BUG("a label of type %d", (int)dtype);
    }
}

int64_t labels_to_classes(enum dtype dtype, const void *labels, size_t count,
                          const struct labels_classes *classes, int32_t *ret, struct err *err)
{
    int64_t valid = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t label = int_at(dtype, labels, i);
        if (classes->ignores && label == classes->ignored) {
            ret[i] = -1;
            continue;
        }
        if (label < 0 || label >= classes->n_classes) {
            return err_set_at(err, ERR_RANGE, "y",
                              "row %zu has label %" PRId64 ", but classes are 0 to %" PRId64, i,
                              label, classes->n_classes - 1);
        }
        ret[i] = (int32_t)label;
        valid++;
    }
    return valid;
}

void labels_to_floats(enum dtype dtype, const void *labels, size_t count, float *ret)
{
    if (dtype == DTYPE_F32) {
        memcpy(ret, labels, count * sizeof(float));
        return;
    }
    if (dtype == DTYPE_F64) {
        for (size_t i = 0; i < count; i++) {
            ret[i] = (float)((const double *)labels)[i];
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        ret[i] = (float)int_at(dtype, labels, i);
    }
}
