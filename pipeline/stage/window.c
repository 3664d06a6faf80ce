/* window - sets of neighbouring elements, side by side. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_window;

struct window {
    int64_t size, shift, stride;
    bool drop_remainder;
};
static const struct opt options[] = {
    OPT_I64_ROW(window, size, 1, 1, 1 << 20, "Elements of a window.", .flags = OPT_REQUIRED),
    OPT_I64_ROW(window, shift, 0, 0, INT32_MAX,
                "Elements from the beginning of one window to that of the next; 0 = size.",
                .flags = OPT_NULLABLE),
    OPT_I64_ROW(window, stride, 1, 1, INT32_MAX, "Elements from one in the window to the next."),
    OPT_BOOL_ROW(window, drop_remainder, false, "Leave out windows that are not full."),
    OPT_END_ROW,
};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct window *k = stage->ctx;
    const struct derive_window window = {.size = k->size,
                                         .shift = k->shift > 0 ? k->shift : k->size,
                                         .stride = k->stride,
                                         .drop_remainder = k->drop_remainder};
    return derive_window(derive, &window, ret, err);
}

const struct stage_desc stage_window = {
    .name = "window",
    .summary = "Makes elements of `size` neighbours, every field one dimension more: tf.data's "
               "`window` and a `batch` of each window. Windows at the end are shorter, if not left "
               "out.",
    .options = options,
    .ctx_size = sizeof(struct window),
    .shorthand = "size",
    .kind = STAGE_DERIVE,
    .derive = derive,
};
