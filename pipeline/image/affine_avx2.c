/* affine_avx2 - eight pixels at a time: places, folds, four gathers, three products. Every
 * operation is that of affine.c in the same order, so the bits are the same; there is no
 * contraction into fused operations. */
#include <immintrin.h>
#include <string.h>

#include "pipeline/image/affine.h"

#define INLINE static inline __attribute__((always_inline))

struct span {
    __m256 n, last;
    int fill;
};
struct source {
    const unsigned char *bytes;
    const float *floats;
    __m256i end;      /* last byte offset where four bytes can be read */
    __m256i pair_end; /* the same for eight */
    __m256 fill_value;
};
struct corner { /* offsets of eight pixels in elements, and which of them are outside */
    __m256i offset;
    __m256 outside;
};

INLINE __m256 truncate(__m256 v)
{
    return _mm256_round_ps(v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

INLINE __m256 negate(__m256 v)
{
    return _mm256_xor_ps(v, _mm256_set1_ps(-0.0f));
}

INLINE __m256 fold_reflect(__m256 v, const struct span *s)
{
    const __m256 one = _mm256_set1_ps(1), period = _mm256_add_ps(s->n, s->n);
    const __m256 below = _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_LT_OQ);
    __m256 a = _mm256_add_ps(v, _mm256_mul_ps(period, truncate(_mm256_div_ps(negate(v), period))));
    a = _mm256_blendv_ps(_mm256_sub_ps(negate(a), one), _mm256_add_ps(a, period),
                         _mm256_cmp_ps(a, negate(s->n), _CMP_LT_OQ));
    __m256 b = _mm256_sub_ps(v, _mm256_mul_ps(period, truncate(_mm256_div_ps(v, period))));
    b = _mm256_blendv_ps(b, _mm256_sub_ps(_mm256_sub_ps(period, b), one),
                         _mm256_cmp_ps(b, s->n, _CMP_GE_OQ));
    v = _mm256_blendv_ps(v, b, _mm256_cmp_ps(v, s->last, _CMP_GT_OQ));
    return _mm256_blendv_ps(v, a, below);
}

INLINE __m256 fold_wrap(__m256 v, const struct span *s)
{
    const __m256 one = _mm256_set1_ps(1), size = s->last;
    const __m256 below = _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_LT_OQ);
    const __m256 above = _mm256_cmp_ps(v, s->last, _CMP_GT_OQ);
    const __m256 a = _mm256_add_ps(
        v, _mm256_mul_ps(s->n, _mm256_add_ps(truncate(_mm256_div_ps(negate(v), size)), one)));
    const __m256 b = _mm256_sub_ps(v, _mm256_mul_ps(s->n, truncate(_mm256_div_ps(v, size))));
    return _mm256_blendv_ps(_mm256_blendv_ps(v, b, above), a, below);
}

INLINE __m256 fold(__m256 v, const struct span *s)
{
    const __m256 zero = _mm256_setzero_ps();
    const __m256 inside =
        _mm256_and_ps(_mm256_cmp_ps(v, zero, _CMP_GE_OQ), _mm256_cmp_ps(v, s->last, _CMP_LE_OQ));
    if (_mm256_movemask_ps(inside) == 0xff) {
        return v;
    }
    if (s->fill == AFFINE_REFLECT) {
        v = fold_reflect(v, s);
    } else if (s->fill == AFFINE_WRAP && _mm256_cvtss_f32(s->last) > 0) {
        v = fold_wrap(v, s);
    }
    return _mm256_min_ps(_mm256_max_ps(v, zero), s->last);
}

INLINE __m256 outside_of(__m256 v, __m256 last)
{
    return _mm256_or_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NGE_UQ),
                        _mm256_cmp_ps(v, last, _CMP_NLE_UQ));
}

INLINE struct corner corner_at(__m256 y, __m256 x, const struct span *sy, const struct span *sx,
                               int channels, bool constant)
{
    struct corner c = {.outside = _mm256_setzero_ps()};
    __m256i iy = _mm256_cvttps_epi32(y), ix = _mm256_cvttps_epi32(x);
    const __m256i width = _mm256_cvttps_epi32(sx->n);
    c.offset = _mm256_add_epi32(_mm256_mullo_epi32(iy, width), ix);
    if (channels != 1) {
        c.offset = _mm256_mullo_epi32(c.offset, _mm256_set1_epi32(channels));
    }
    if (constant) {
        c.outside = _mm256_or_ps(outside_of(y, sy->last), outside_of(x, sx->last));
        c.offset = _mm256_andnot_si256(_mm256_castps_si256(c.outside), c.offset);
    }
    return c;
}

/* The bytes of eight pixels, a pixel a lane, channel 0 lowest. The last pixels are read from a
 * little before and shifted. */
INLINE __m256i gather_bytes(const struct source *s, const struct corner *c, int channels)
{
    const int *base = (const int *)(const void *)s->bytes;
    if (channels == 4) {
        return _mm256_i32gather_epi32(base, c->offset, 1);
    }
    const __m256i at = _mm256_min_epi32(c->offset, s->end);
    const __m256i shift = _mm256_slli_epi32(_mm256_sub_epi32(c->offset, at), 3);
    return _mm256_srlv_epi32(_mm256_i32gather_epi32(base, at, 1), shift);
}

INLINE __m256 channel_of(const struct source *s, const struct corner *c, __m256i packed,
                         int channel, bool bytes, bool constant)
{
    __m256 v;
    if (bytes) {
        v = _mm256_cvtepi32_ps(
            _mm256_and_si256(_mm256_srli_epi32(packed, 8 * channel), _mm256_set1_epi32(255)));
    } else {
        v = _mm256_i32gather_ps(s->floats + channel, c->offset, 4);
    }
    return constant ? _mm256_blendv_ps(v, s->fill_value, c->outside) : v;
}

/* Eight bytes at each of two offsets. */
INLINE __m128i eight_at(const unsigned char *bytes, int32_t a, int32_t b)
{
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(bytes + a)),
                              _mm_loadl_epi64((const __m128i *)(const void *)(bytes + b)));
}

/* Eight pixels and their right neighbours, which lie beside them: half the reads of a gather, and
 * plain ones. A neighbour beyond the row's end is rubbish that has the weight 0. */
INLINE void read_pairs(const unsigned char *bytes, __m256i offset, int channels, __m256i *left,
                       __m256i *right)
{
    int32_t at[8] __attribute__((aligned(32)));
    if (channels == 1) {
        *left = _mm256_i32gather_epi32((const int *)(const void *)bytes, offset, 1);
        *right = _mm256_srli_epi32(*left, 8);
        return;
    }
    _mm256_store_si256((__m256i *)(void *)at, offset);
    const __m256i a =
        _mm256_set_m128i(eight_at(bytes, at[4], at[5]), eight_at(bytes, at[0], at[1]));
    const __m256i b =
        _mm256_set_m128i(eight_at(bytes, at[6], at[7]), eight_at(bytes, at[2], at[3]));
    const __m256 fa = _mm256_castsi256_ps(a), fb = _mm256_castsi256_ps(b);
    *left = _mm256_castps_si256(_mm256_shuffle_ps(fa, fb, 0x88));
    if (channels == 4) {
        *right = _mm256_castps_si256(_mm256_shuffle_ps(fa, fb, 0xdd));
    } else {
        *right = _mm256_castps_si256(
            _mm256_shuffle_ps(_mm256_castsi256_ps(_mm256_srli_epi64(a, 24)),
                              _mm256_castsi256_ps(_mm256_srli_epi64(b, 24)), 0x88));
    }
}

INLINE bool is_below(__m256i offset, __m256i end)
{
    return _mm256_testz_si256(_mm256_cmpgt_epi32(offset, end), _mm256_set1_epi32(-1));
}

struct weights {
    __m256 x0, x1, y0, y1;
};

INLINE __m256 mix(const struct weights *w, __m256 a, __m256 b, __m256 c, __m256 d)
{
    const __m256 top = _mm256_add_ps(_mm256_mul_ps(w->x0, a), _mm256_mul_ps(w->x1, b));
    const __m256 low = _mm256_add_ps(_mm256_mul_ps(w->x0, c), _mm256_mul_ps(w->x1, d));
    return _mm256_add_ps(_mm256_mul_ps(w->y0, top), _mm256_mul_ps(w->y1, low));
}

INLINE bool bilinear_pairs(const struct source *s, const struct corner at[4],
                           const struct weights *w, int channels, bool constant, __m256 out[4])
{
    if (!is_below(at[0].offset, s->pair_end) || !is_below(at[2].offset, s->pair_end)) {
        return false;
    }
    if (constant && _mm256_movemask_ps(_mm256_or_ps(_mm256_or_ps(at[0].outside, at[1].outside),
                                                    _mm256_or_ps(at[2].outside, at[3].outside)))) {
        return false;
    }
    __m256i packed[4];
    read_pairs(s->bytes, at[0].offset, channels, &packed[0], &packed[1]);
    read_pairs(s->bytes, at[2].offset, channels, &packed[2], &packed[3]);
    for (int c = 0; c < channels; c++) {
        out[c] = mix(w, channel_of(s, at, packed[0], c, true, false),
                     channel_of(s, at, packed[1], c, true, false),
                     channel_of(s, at, packed[2], c, true, false),
                     channel_of(s, at, packed[3], c, true, false));
    }
    return true;
}

INLINE void bilinear(const struct source *s, __m256 y, __m256 x, const struct span *sy,
                     const struct span *sx, int channels, bool bytes, bool constant, __m256 out[4])
{
    const __m256 one = _mm256_set1_ps(1);
    const __m256 x0 = _mm256_floor_ps(x), y0 = _mm256_floor_ps(y);
    __m256 x1 = _mm256_add_ps(x0, one), y1 = _mm256_add_ps(y0, one);
    const struct weights w = {_mm256_sub_ps(x1, x), _mm256_sub_ps(x, x0), _mm256_sub_ps(y1, y),
                              _mm256_sub_ps(y, y0)};
    if (!constant) {
        x1 = _mm256_min_ps(x1, sx->last);
        y1 = _mm256_min_ps(y1, sy->last);
    }
    const struct corner at[4] = {corner_at(y0, x0, sy, sx, channels, constant),
                                 corner_at(y0, x1, sy, sx, channels, constant),
                                 corner_at(y1, x0, sy, sx, channels, constant),
                                 corner_at(y1, x1, sy, sx, channels, constant)};
    if (bytes && bilinear_pairs(s, at, &w, channels, constant, out)) {
        return;
    }
    __m256i packed[4] = {_mm256_setzero_si256()};
    for (int i = 0; bytes && i < 4; i++) {
        packed[i] = gather_bytes(s, &at[i], channels);
    }
    for (int c = 0; c < channels; c++) {
        out[c] = mix(&w, channel_of(s, &at[0], packed[0], c, bytes, constant),
                     channel_of(s, &at[1], packed[1], c, bytes, constant),
                     channel_of(s, &at[2], packed[2], c, bytes, constant),
                     channel_of(s, &at[3], packed[3], c, bytes, constant));
    }
}

INLINE __m256 round_half_away(__m256 v)
{
    const __m256 sign = _mm256_and_ps(v, _mm256_set1_ps(-0.0f));
    return truncate(_mm256_add_ps(v, _mm256_or_ps(sign, _mm256_set1_ps(0x1.fffffep-2f))));
}

INLINE void nearest(const struct source *s, __m256 y, __m256 x, const struct span *sy,
                    const struct span *sx, int channels, bool bytes, bool constant, __m256 out[4])
{
    const struct corner at =
        corner_at(round_half_away(y), round_half_away(x), sy, sx, channels, constant);
    const __m256i packed = bytes ? gather_bytes(s, &at, channels) : _mm256_setzero_si256();
    for (int c = 0; c < channels; c++) {
        out[c] = channel_of(s, &at, packed, c, bytes, constant);
    }
}

INLINE void scale(const struct affine *affine, int channels, __m256 v[4])
{
    for (int c = 0; affine->factor != NULL && c < channels; c++) {
        v[c] = _mm256_add_ps(_mm256_mul_ps(v[c], _mm256_set1_ps(affine->factor[c])),
                             _mm256_set1_ps(affine->term[c]));
    }
}

INLINE void store_3(float *out, const __m256 v[4])
{
    const __m256 m0 = _mm256_shuffle_ps(v[0], v[1], _MM_SHUFFLE(2, 0, 2, 0));
    const __m256 m1 = _mm256_shuffle_ps(v[1], v[2], _MM_SHUFFLE(3, 1, 3, 1));
    const __m256 m2 = _mm256_shuffle_ps(v[2], v[0], _MM_SHUFFLE(3, 1, 2, 0));
    const __m256 o0 = _mm256_shuffle_ps(m0, m2, _MM_SHUFFLE(2, 0, 2, 0));
    const __m256 o1 = _mm256_shuffle_ps(m1, m0, _MM_SHUFFLE(3, 1, 2, 0));
    const __m256 o2 = _mm256_shuffle_ps(m2, m1, _MM_SHUFFLE(3, 1, 3, 1));
    _mm256_storeu_ps(out, _mm256_permute2f128_ps(o0, o1, 0x20));
    _mm256_storeu_ps(out + 8, _mm256_permute2f128_ps(o2, o0, 0x30));
    _mm256_storeu_ps(out + 16, _mm256_permute2f128_ps(o1, o2, 0x31));
}

INLINE void store_4(float *out, const __m256 v[4])
{
    const __m256 t0 = _mm256_unpacklo_ps(v[0], v[1]), t1 = _mm256_unpackhi_ps(v[0], v[1]);
    const __m256 t2 = _mm256_unpacklo_ps(v[2], v[3]), t3 = _mm256_unpackhi_ps(v[2], v[3]);
    const __m256 a = _mm256_shuffle_ps(t0, t2, _MM_SHUFFLE(1, 0, 1, 0));
    const __m256 b = _mm256_shuffle_ps(t0, t2, _MM_SHUFFLE(3, 2, 3, 2));
    const __m256 c = _mm256_shuffle_ps(t1, t3, _MM_SHUFFLE(1, 0, 1, 0));
    const __m256 d = _mm256_shuffle_ps(t1, t3, _MM_SHUFFLE(3, 2, 3, 2));
    _mm256_storeu_ps(out, _mm256_permute2f128_ps(a, b, 0x20));
    _mm256_storeu_ps(out + 8, _mm256_permute2f128_ps(c, d, 0x20));
    _mm256_storeu_ps(out + 16, _mm256_permute2f128_ps(a, b, 0x31));
    _mm256_storeu_ps(out + 24, _mm256_permute2f128_ps(c, d, 0x31));
}

INLINE void store(float *out, const __m256 v[4], int channels)
{
    if (channels == 3) {
        store_3(out, v);
    } else if (channels == 4) {
        store_4(out, v);
    } else {
        _mm256_storeu_ps(out, v[0]);
    }
}

INLINE void image_rows(const struct affine *affine, const struct affine_image *image, float *out,
                       int channels, bool bytes, bool constant)
{
    const float *m = affine->m;
    const struct span sx = {_mm256_set1_ps((float)image->width),
                            _mm256_set1_ps((float)(image->width - 1)), affine->fill};
    const struct span sy = {_mm256_set1_ps((float)image->height),
                            _mm256_set1_ps((float)(image->height - 1)), affine->fill};
    const struct source s = {
        .bytes = image->data,
        .floats = image->data,
        .end = _mm256_set1_epi32((int)(image->height * image->width * channels - 4)),
        .pair_end = _mm256_set1_epi32((int)(image->height * image->width * channels - 8)),
        .fill_value = _mm256_set1_ps(affine->fill_value),
    };
    const __m256 lane = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
    for (int64_t row = 0; row < image->height; row++) {
        const __m256 x_row = _mm256_set1_ps(m[1] * (float)row),
                     y_row = _mm256_set1_ps(m[4] * (float)row);
        for (int64_t column = 0; column < image->width; column += 8) {
            const __m256 u = _mm256_add_ps(_mm256_set1_ps((float)column), lane);
            __m256 x = _mm256_add_ps(_mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(m[0]), u), x_row),
                                     _mm256_set1_ps(m[2]));
            __m256 y = _mm256_add_ps(_mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(m[3]), u), y_row),
                                     _mm256_set1_ps(m[5]));
            __m256 v[4];
            if (!constant) {
                x = fold(x, &sx);
                y = fold(y, &sy);
            }
            if (affine->interpolation == AFFINE_BILINEAR) {
                bilinear(&s, y, x, &sy, &sx, channels, bytes, constant, v);
            } else {
                nearest(&s, y, x, &sy, &sx, channels, bytes, constant, v);
            }
            scale(affine, channels, v);
            const int64_t left = image->width - column;
            if (left >= 8) {
                store(out, v, channels);
                out += 8 * channels;
            } else {
                float rest[32];
                store(rest, v, channels);
                memcpy(out, rest, (size_t)(left * channels) * sizeof *rest);
                out += left * channels;
            }
        }
    }
}

#define ROWS(channels, bytes)                                   \
    if (affine->fill == AFFINE_CONSTANT) {                      \
        image_rows(affine, image, out, channels, bytes, true);  \
    } else {                                                    \
        image_rows(affine, image, out, channels, bytes, false); \
    }

void affine_run_avx2(const struct affine *affine, const struct affine_image *image, float *out)
{
    const bool bytes = image->dtype == DTYPE_U8;
    if (image->channels == 1 && bytes) {
        ROWS(1, true)
    } else if (image->channels == 1) {
        ROWS(1, false)
    } else if (image->channels == 3 && bytes) {
        ROWS(3, true)
    } else if (image->channels == 3) {
        ROWS(3, false)
    } else if (bytes) {
        ROWS(4, true)
    } else {
        ROWS(4, false)
    }
}
