#include "pipeline/sum.h"

#include <string.h>

enum { UNIT = -384, CARRY_EVERY = 1 << 28 };
#define LIMB_MASK 0xffffffffu

__extension__ typedef __float128 quad;

void sum_settle(struct sum *sum)
{
    for (int i = 0; i + 1 < SUM_LIMBS; i++) {
        const int64_t carry = sum->limb[i] >> 32; /* towards minus infinity */
        sum->limb[i] &= LIMB_MASK;
        sum->limb[i + 1] += carry;
    }
    sum->n = 0;
}

void sum_add(struct sum *sum, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & 0xfffffffffffffu;
    if (exponent == 0) {
        return; /* 0: nothing so small comes of float32 */
    }
    mantissa |= 1ull << 52;
    int place = exponent - 1075 - UNIT; /* of the mantissa's last bit */
    if (place < 0) {
        mantissa >>= -place; /* those bits are 0 */
        place = 0;
    }
    const int64_t sign = bits >> 63 != 0 ? -1 : 1;
    const uint64_t low = (mantissa & LIMB_MASK) << (place & 31), high = (mantissa >> 32)
                                                                        << (place & 31);
    int64_t *limb = sum->limb + place / 32;
    limb[0] += sign * (int64_t)(low & LIMB_MASK);
    limb[1] += sign * (int64_t)((low >> 32) + (high & LIMB_MASK));
    limb[2] += sign * (int64_t)(high >> 32);
    if (++sum->n == CARRY_EVERY) {
        sum_settle(sum);
    }
}

void sum_merge(struct sum *sum, struct sum *other)
{
    sum_settle(sum);
    sum_settle(other);
    for (int i = 0; i < SUM_LIMBS; i++) {
        sum->limb[i] += other->limb[i];
    }
    sum_settle(sum);
}

static quad value_of(struct sum *sum)
{
    quad value = 0;
    sum_settle(sum);
    for (int i = SUM_LIMBS - 1; i >= 0; i--) {
        value = value * 4294967296.0 + sum->limb[i];
    }
    return value * 0x1p-384;
}

void sum_moments(struct sum *numbers, struct sum *squares, uint64_t n, double *ret_mean,
                 double *ret_variance)
{
    const quad all = (quad)n, mean = value_of(numbers) / all,
               variance = value_of(squares) / all - mean * mean;
    *ret_mean = (double)mean;
    *ret_variance = variance > 0 ? (double)variance : 0;
}
