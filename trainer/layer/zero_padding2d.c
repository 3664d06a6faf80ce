#include <string.h>

#include "trainer/layer/layer.h"

struct zero_padding2d {
    LAYER_FIELDS
    const struct doc *padding;
    int data_format;
};

static const struct opt options[] = {
    LAYER_ROWS(zero_padding2d),
    OPT_DOC_ROW(zero_padding2d, padding,
                "Rows and columns of zeros: a number, [rows, columns], or [[top, bottom], [left, "
                "right]]; 1 if not given.",
                .flags = OPT_NULLABLE),
    LAYER_FORMAT_ROW(zero_padding2d),
    OPT_END_ROW,
};

struct pads {
    int64_t top, bottom, left, right;
};

static bool read_pair(const struct doc *doc, int64_t *before, int64_t *after)
{
    bool is_pair = doc->type == DOC_LIST && doc->n == 2;
    const struct doc *a = is_pair ? &doc->items[0] : doc, *b = is_pair ? &doc->items[1] : doc;
    enum { PAD_MAX = 1 << 16 };
    if (a->type != DOC_INT || b->type != DOC_INT || a->i < 0 || b->i < 0 || a->i > PAD_MAX ||
        b->i > PAD_MAX) {
        return false;
    }
    *before = a->i;
    *after = b->i;
    return true;
}

static bool read_pads(const struct doc *doc, struct pads *pads)
{
    static const struct doc one = {.type = DOC_INT, .i = 1};
    doc = doc ? doc : &one;
    bool is_list = doc->type == DOC_LIST && doc->n == 2;
    return read_pair(is_list ? &doc->items[0] : doc, &pads->top, &pads->bottom) &&
           read_pair(is_list ? &doc->items[1] : doc, &pads->left, &pads->right);
}

static int infer(struct layer *layer, struct arena *arena, struct err *err)
{
    const struct zero_padding2d *o = layer->options;
    struct pads *pads = ARENA_NEW(arena, struct pads);
    int r = layer_want_rank(layer, 3, err);
    if (r < 0) {
        return r;
    }
    if (!read_pads(o->padding, pads)) {
        return err_set_at(err, ERR_INVALID, "padding",
                          "takes a number, two numbers, or two pairs of them");
    }
    layer->kernel = pads;
    layer->output = layer->inputs[0];
    layer->output.d[0] += pads->top + pads->bottom;
    layer->output.d[1] += pads->left + pads->right;
    return 0;
}

static void forward(struct layer *layer, const struct layer_call *call)
{
    const struct pads *pads = layer->kernel;
    const struct shape *in = &layer->inputs[0], *out = &layer->output;
    size_t in_row = (size_t)(in->d[1] * in->d[2]), out_row = (size_t)(out->d[1] * out->d[2]);
    memset(call->y, 0, (size_t)(call->rows * out->d[0]) * out_row * sizeof(float));
    for (int64_t r = 0; r < call->rows * in->d[0]; r++) {
        int64_t to = r / in->d[0] * out->d[0] + r % in->d[0] + pads->top;
        memcpy(call->y + (size_t)to * out_row + (size_t)(pads->left * in->d[2]),
               (const float *)call->x[0] + (size_t)r * in_row, in_row * sizeof(float));
    }
}

static void backward(struct layer *layer, const struct layer_call *call)
{
    const struct pads *pads = layer->kernel;
    const struct shape *in = &layer->inputs[0], *out = &layer->output;
    size_t in_row = (size_t)(in->d[1] * in->d[2]), out_row = (size_t)(out->d[1] * out->d[2]);
    for (int64_t r = 0; r < call->rows * in->d[0]; r++) {
        int64_t from = r / in->d[0] * out->d[0] + r % in->d[0] + pads->top;
        memcpy(call->dx[0] + (size_t)r * in_row,
               call->dy + (size_t)from * out_row + (size_t)(pads->left * in->d[2]),
               in_row * sizeof(float));
    }
}

const struct layer_desc layer_zero_padding2d = {
    .name = "ZeroPadding2D",
    .summary = "Rows and columns of zeros around an image.",
    .options = options,
    .size = sizeof(struct zero_padding2d),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
