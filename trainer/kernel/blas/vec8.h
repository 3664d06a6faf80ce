/* vec8 - vectors of 8 floats through GCC's vector extension: one source for every instruction set.
 *
 * Owns, Threads, Errors, Lifetime: values.
 *
 * Built with -mavx2 a vec8 is one register, without it two of SSE2: the bits are the same, unless
 * the file is built with -ffp-contract=fast, which the convolutions are (the fingerprint names the
 * instruction set).
 */
#ifndef TRAINER_KERNEL_BLAS_VEC8_H
#define TRAINER_KERNEL_BLAS_VEC8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef float vec8 __attribute__((vector_size(32)));
typedef int32_t vec8i __attribute__((vector_size(32)));

/* The name of a table for the instruction set this file is built for: KERNEL_ISA is base, avx2, ...
 */
#define VEC8_PASTE_(name, isa) name##_##isa
#define VEC8_PASTE(name, isa)  VEC8_PASTE_(name, isa)
#define VEC8_NAME(name)        VEC8_PASTE(name, KERNEL_ISA)
#define VEC8_TEXT_(isa)        #isa
#define VEC8_TEXT(isa)         VEC8_TEXT_(isa)

#define VEC8_INLINE static inline __attribute__((always_inline))

VEC8_INLINE vec8 vec8_load(const float *x)
{
    vec8 v;
    memcpy(&v, x, sizeof(v));
    return v;
}

VEC8_INLINE void vec8_store(float *y, vec8 v)
{
    memcpy(y, &v, sizeof(v));
}

VEC8_INLINE vec8 vec8_set(float x)
{
    return (vec8){x, x, x, x, x, x, x, x};
}

/* n of 1 .. 7; lanes behind are 0. */
VEC8_INLINE vec8 vec8_load_part(const float *x, size_t n)
{
    float lanes[8] = {0};
    size_t at = 0;
    if (n & 4) {
        memcpy(lanes, x, 16);
        at = 4;
    }
    if (n & 2) {
        memcpy(lanes + at, x + at, 8);
        at += 2;
    }
    if (n & 1) {
        lanes[at] = x[at];
    }
    return vec8_load(lanes);
}

VEC8_INLINE void vec8_store_part(float *y, vec8 v, size_t n)
{
    float lanes[8];
    vec8_store(lanes, v);
    size_t at = 0;
    if (n & 4) {
        memcpy(y, lanes, 16);
        at = 4;
    }
    if (n & 2) {
        memcpy(y + at, lanes + at, 8);
        at += 2;
    }
    if (n & 1) {
        y[at] = lanes[at];
    }
}

VEC8_INLINE vec8 vec8_select(vec8i mask, vec8 yes, vec8 no)
{
    return (vec8)(((vec8i)yes & mask) | ((vec8i)no & ~mask));
}

VEC8_INLINE vec8 vec8_max(vec8 a, vec8 b)
{
    return vec8_select(a > b, a, b);
}

#endif
