/* op_colour - what the ops share that change colours and leave places alone. */
#ifndef PIPELINE_OP_COLOUR_H
#define PIPELINE_OP_COLOUR_H

#include "pipeline/op.h"

/* Put these into the op's struct and its rows. */
#define OP_COLOUR_RANGE_FIELD struct opt_floats value_range
#define OP_COLOUR_RANGE_ROW(S) \
    OPT_FLOATS_ROW(S, value_range, "[0,255]", 2, 2, 0, 0, "Least and greatest value of a channel.")

/* The context of an op that draws one factor, for pictures over a value range; h: what the factor
 * is. */
struct op_colour_factor {
    struct opt_floats factor;
    float range[2]; /* of what is drawn: `init` makes it from the factor */
    OP_COLOUR_RANGE_FIELD;
};
#define OP_COLOUR_FACTOR_ROWS(h)                                                          \
    OPT_FLOATS_ROW(op_colour_factor, factor, NULL, 1, 2, 0, 0, h, .flags = OPT_REQUIRED), \
        OP_COLOUR_RANGE_ROW(op_colour_factor)
/* `init` for factors of -1..1, and of 0..1; `draw` for a factor as it is. */
int op_colour_init_signed(void *ctx, struct arena *arena, struct err *err);
int op_colour_init_unsigned(void *ctx, struct arena *arena, struct err *err);
void op_colour_draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn);

/* A picture of 1 or 3 channels, out float32; _float: and not uint8, as Keras; _rgb: 3 channels. */
int op_colour_check(const void *ctx, const struct op_spec *in, struct op_spec *out,
                    struct err *err);
int op_colour_check_float(const void *ctx, const struct op_spec *in, struct op_spec *out,
                          struct err *err);
int op_colour_check_rgb_float(const void *ctx, const struct op_spec *in, struct op_spec *out,
                              struct err *err);
int op_colour_check_rgb(const void *ctx, const struct op_spec *in, struct op_spec *out,
                        struct err *err);
/* value_range is a low end and a higher one. */
int op_colour_check_range(const struct opt_floats *range, struct err *err);
/* The picture as floats in out->data; returns the number of values. */
int64_t op_colour_begin(const struct tensor *in, struct tensor *out);
void op_colour_clip(float *v, int64_t n, const struct opt_floats *range);
float op_colour_clamp(float v, float low, float high);
/* Keras's grey: 0.2989 R + 0.5870 G + 0.1140 B. */
float op_colour_grey(const float rgb[3]);
void op_colour_to_hsv(const float rgb[3], float hsv[3]);
void op_colour_from_hsv(const float hsv[3], float rgb[3]);

#endif
