/* Cases that give a mask and what it is filled with, where an op has a box and an option. */
#include <string.h>

#include "tests/golden/golden.h"

static bool floats_of(struct golden_case *c, const char *name, struct tensor *ret, int64_t *ret_n)
{
    const struct doc *array = doc_get(doc_get(doc_get(c->doc, "arrays"), "transformation"), name);
    struct err err = {0};
    return array != NULL && golden_floats(c, array, ret, &err) == 0 &&
           shape_count(&ret->shape, ret_n) == 0 && *ret_n > 0;
}

/* Columns and rows of the box that is all of what is set: x0, y0, width, height. */
static bool box_of(const float *mask, const struct shape *shape, float ret[4])
{
    const int64_t height = shape->d[1], width = shape->d[2], channels = shape->d[3];
    int64_t left = width, right = 0, top = height, bottom = 0, n = 0;
    for (int64_t i = 0; i < height * width * channels; i++) {
        const int64_t x = i / channels % width, y = i / channels / width;
        if (mask[i] > 0) {
            n++;
            left = x < left ? x : left;
            right = x + 1 > right ? x + 1 : right;
            top = y < top ? y : top;
            bottom = y + 1 > bottom ? y + 1 : bottom;
        }
    }
    ret[0] = (float)left;
    ret[1] = (float)top;
    ret[2] = (float)(right - left);
    ret[3] = (float)(bottom - top);
    return n > 0 && n == (right - left) * (bottom - top) * channels;
}

bool golden_box_values(struct golden_case *c, const char *name, struct tensor *ret)
{
    static const char *const names[] = {"x0", "y0", "width", "height"};
    struct tensor masks;
    int64_t count = 0;
    size_t which = 0;
    while (which < 4 && strcmp(names[which], name) != 0) {
        which++;
    }
    if (which == 4 || !floats_of(c, "batch_masks", &masks, &count) || masks.shape.rank != 4) {
        return false;
    }
    const int64_t n = masks.shape.d[0];
    float *values = arena_array(c->arena, (size_t)n, sizeof *values);
    for (int64_t i = 0; i < n; i++) {
        float box[4];
        if (!box_of((const float *)masks.data + i * (count / n), &masks.shape, box)) {
            return false;
        }
        values[i] = box[which];
    }
    *ret = (struct tensor){.dtype = DTYPE_F32, .shape = shape_make(1, &n), .data = values};
    return true;
}

const struct doc *golden_box_config(struct golden_case *c)
{
    const struct doc *config = doc_get(c->doc, "config");
    struct tensor fill;
    int64_t n = 0;
    if (!floats_of(c, "batch_masks", &fill, &n) || !floats_of(c, "fill_value", &fill, &n)) {
        return config;
    }
    const float *v = fill.data;
    for (int64_t i = 1; i < n; i++) {
        if (v[i] < v[0] || v[i] > v[0]) {
            return config; /* noise: no option says it */
        }
    }
    struct doc *more = doc_new(c->arena);
    doc_set_map(more);
    for (size_t i = 0; config != NULL && i < config->n; i++) {
        *doc_put(more, c->arena, config->pairs[i].key) = config->pairs[i].value;
    }
    doc_put_float(more, c->arena, "fill_value", (double)v[0]);
    return more;
}
