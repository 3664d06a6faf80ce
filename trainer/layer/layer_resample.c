#include "trainer/layer/layer_resample.h"

#include <string.h>

#include "pipeline/image/resize.h"

enum { SIDE_MAX = 4096 };

/* Cell i of an axis' output is the sum of weights[i * taps ...] times the cells from first[i] on.
 */
struct axis {
    int64_t in, out, taps;
    int64_t *first;
    float *weights;
};
struct resample {
    struct axis rows, cols;
    size_t channels;
};

/* A linear map is what it makes of each cell alone: `in` cells with a channel each. */
static float *matrix_of(int64_t in, int64_t out, enum resize_method method, struct arena *arena)
{
    float *ones = arena_array(arena, (size_t)(in * in), sizeof(float));
    float *matrix = arena_array(arena, (size_t)(out * in), sizeof(float));
    const struct resize_image image = {DTYPE_F32, in, 1, in, in, ones};
    void *scratch = arena_alloc(arena, resize_scratch(&image, out, 1, method, false) + 64);
    for (int64_t i = 0; i < in; i++) {
        ones[i * in + i] = 1.0F;
    }
    resize_run(&image, out, 1, method, false, scratch, matrix, in);
    return matrix;
}

static void make_axis(struct axis *axis, int64_t in, int64_t out, enum resize_method method,
                      struct arena *arena)
{
    const float *matrix = matrix_of(in, out, method, arena);
    *axis = (struct axis){.in = in, .out = out};
    axis->first = arena_array(arena, (size_t)out, sizeof(*axis->first));
    for (int64_t i = 0; i < out; i++) {
        int64_t first = 0, last = in - 1;
        while (first < last && matrix[i * in + first] == 0.0F) {
            first++;
        }
        while (last > first && matrix[i * in + last] == 0.0F) {
            last--;
        }
        axis->first[i] = first;
        axis->taps = last - first + 1 > axis->taps ? last - first + 1 : axis->taps;
    }
    axis->weights = arena_array(arena, (size_t)(out * axis->taps), sizeof(float));
    for (int64_t i = 0; i < out; i++) {
        /* All rows of weights are as long: the window moves in from the end. */
        axis->first[i] = axis->first[i] + axis->taps > in ? in - axis->taps : axis->first[i];
        memcpy(axis->weights + i * axis->taps, matrix + i * in + axis->first[i],
               (size_t)axis->taps * sizeof(float));
    }
}

int layer_resample_infer(struct layer *layer, int method, struct arena *arena, struct err *err)
{
    const struct shape *in = &layer->inputs[0], *out = &layer->output;
    struct resample *resample = ARENA_NEW(arena, struct resample);
    if (out->d[0] > SIDE_MAX || out->d[1] > SIDE_MAX) {
        return err_set_at(err, ERR_LIMIT, "size", "makes an image of more than %d rows or columns",
                          SIDE_MAX);
    }
    make_axis(&resample->rows, in->d[0], out->d[0], (enum resize_method)method, arena);
    make_axis(&resample->cols, in->d[1], out->d[1], (enum resize_method)method, arena);
    resample->channels = (size_t)in->d[2];
    layer->kernel = resample;
    return 0;
}

/* Scratch: an image with all columns of the output and the rows of the input. */
int layer_resample_prepare(struct layer *layer, const struct layer_setup *setup, struct err *err)
{
    (void)setup;
    (void)err;
    const struct resample *resample = layer->kernel;
    layer->scratch_bytes =
        (size_t)(resample->rows.in * resample->cols.out) * resample->channels * sizeof(float);
    return 0;
}

/* outer times (in, inner) to (out, inner). */
static void spread(const struct kernel_vec_ops *vec, const struct axis *axis, int64_t outer,
                   size_t inner, const float *x, float *y)
{
    for (int64_t i = 0; i < outer * axis->out; i++, y += inner) {
        int64_t at = i % axis->out;
        const float *weights = axis->weights + at * axis->taps;
        const float *from = x + (size_t)(i / axis->out * axis->in + axis->first[at]) * inner;
        vec->scale(inner, weights[0], from, y);
        for (int64_t t = 1; t < axis->taps; t++) {
            vec->axpy(inner, weights[t], from + (size_t)t * inner, y);
        }
    }
}

/* Its transpose: outer times (out, inner) to (in, inner). */
static void gather(const struct kernel_vec_ops *vec, const struct axis *axis, int64_t outer,
                   size_t inner, const float *dy, float *dx)
{
    memset(dx, 0, (size_t)(outer * axis->in) * inner * sizeof(float));
    for (int64_t i = 0; i < outer * axis->out; i++, dy += inner) {
        int64_t at = i % axis->out;
        float *to = dx + (size_t)(i / axis->out * axis->in + axis->first[at]) * inner;
        for (int64_t t = 0; t < axis->taps; t++) {
            vec->axpy(inner, axis->weights[at * axis->taps + t], dy, to + (size_t)t * inner);
        }
    }
}

void layer_resample_forward(struct layer *layer, const struct layer_call *call)
{
    const struct resample *re = layer->kernel;
    for (int64_t n = 0; n < call->rows; n++) {
        const float *x = (const float *)call->x[0] + (size_t)n * layer_count(&layer->inputs[0], 1);
        float *y = call->y + (size_t)n * layer_count(&layer->output, 1);
        spread(call->backend->vec, &re->cols, re->rows.in, re->channels, x, call->scratch);
        spread(call->backend->vec, &re->rows, 1, (size_t)re->cols.out * re->channels, call->scratch,
               y);
    }
}

void layer_resample_backward(struct layer *layer, const struct layer_call *call)
{
    const struct resample *re = layer->kernel;
    for (int64_t n = 0; n < call->rows; n++) {
        const float *dy = call->dy + (size_t)n * layer_count(&layer->output, 1);
        float *dx = call->dx[0] + (size_t)n * layer_count(&layer->inputs[0], 1);
        gather(call->backend->vec, &re->rows, 1, (size_t)re->cols.out * re->channels, dy,
               call->scratch);
        gather(call->backend->vec, &re->cols, re->rows.in, re->channels, call->scratch, dx);
    }
}
