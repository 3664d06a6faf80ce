/* random_color_jitter - brightness, contrast, saturation and hue, one after the other. */
#include <string.h>

#include "pipeline/op_colour.h"

extern const struct op_desc op_random_color_jitter;
extern const struct op_desc op_random_brightness, op_random_contrast, op_random_saturation,
    op_random_hue;

enum { PARTS = 4 };
static const struct op_desc *const part_descs[PARTS] = {&op_random_brightness, &op_random_contrast,
                                                        &op_random_saturation, &op_random_hue};
static const char *const part_rows[PARTS] = {"brightness_factor", "contrast_factor",
                                             "saturation_factor", "hue_factor"};

struct random_color_jitter {
    struct opt_floats brightness_factor, contrast_factor, saturation_factor, hue_factor;
    OP_COLOUR_RANGE_FIELD;
    const void *parts[PARTS]; /* contexts of the four; NULL: no factor given */
};
static const struct opt options[] = {
    OP_COLOUR_RANGE_ROW(random_color_jitter),
    OPT_FLOATS_ROW(random_color_jitter, brightness_factor, NULL, 1, 2, 0, 0,
                   "As RandomBrightness's factor; left out if not given.", .flags = OPT_NULLABLE),
    OPT_FLOATS_ROW(random_color_jitter, contrast_factor, NULL, 1, 2, 0, 0,
                   "As RandomContrast's factor; left out if not given.", .flags = OPT_NULLABLE),
    OPT_FLOATS_ROW(random_color_jitter, saturation_factor, NULL, 1, 2, 0, 0,
                   "As RandomSaturation's factor; left out if not given.", .flags = OPT_NULLABLE),
    OPT_FLOATS_ROW(random_color_jitter, hue_factor, NULL, 1, 2, 0, 0,
                   "As RandomHue's factor; left out if not given.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};
static const struct op_param params[] = {{"rgb_delta", 1},
                                         {"contrast_factor", 1},
                                         {"saturation_factor", 1},
                                         {"hue_factor", 1},
                                         {NULL, 0}};

static void put_floats(struct doc *map, struct arena *arena, const char *key,
                       const struct opt_floats *floats)
{
    struct doc *list = doc_put(map, arena, key);
    doc_set_list(list);
    for (size_t i = 0; i < floats->n; i++) {
        doc_set_float(doc_push(list, arena), floats->v[i]);
    }
}

/* The part's own rows and `init` read its factor. */
static int make_part(struct random_color_jitter *k, int i, const struct opt_floats *factor,
                     struct arena *arena, struct err *err)
{
    struct op_names names = {0};
    struct op op = {.ctx = NULL};
    struct doc *config = doc_new(arena);
    if (factor->n == 0) {
        return 0;
    }
    doc_set_map(config);
    put_floats(config, arena, "factor", factor);
    put_floats(config, arena, "value_range", &k->value_range);
    int r = op_make(part_descs[i], config, &names, arena, &op, err);
    k->parts[i] = op.ctx;
    return r;
}

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct random_color_jitter *k = ctx;
    const struct opt_floats *const factors[PARTS] = {&k->brightness_factor, &k->contrast_factor,
                                                     &k->saturation_factor, &k->hue_factor};
    int r = op_colour_check_range(&k->value_range, err);
    for (int i = 0; i < PARTS && r == 0; i++) {
        struct err found = {0};
        r = make_part(k, i, factors[i], arena, &found);
        if (r < 0) {
            return err_set_at(err, r, part_rows[i], "%s", found.text);
        }
    }
    return r;
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct random_color_jitter *k = ctx;
    return k->parts[2] != NULL || k->parts[3] != NULL ? op_colour_check_rgb(ctx, in, out, err)
                                                      : op_colour_check(ctx, in, out, err);
}

static void draw(const void *ctx, const struct op_spec *in, struct rng *rng, float *drawn)
{
    const struct random_color_jitter *k = ctx;
    for (int i = 0; i < PARTS; i++) {
        if (k->parts[i] != NULL) {
            part_descs[i]->draw(k->parts[i], in, rng, drawn + i);
        }
    }
}

static int run(const void *ctx, const float *drawn, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct random_color_jitter *k = ctx;
    const size_t bytes = (size_t)op_colour_begin(in, out) * sizeof(float);
    struct tensor before = {DTYPE_F32, in->shape, op_scratch_need(scratch, bytes)};
    int r = 0;
    for (int i = 0; i < PARTS && r == 0; i++) {
        if (k->parts[i] != NULL) {
            memcpy(before.data, out->data, bytes);
            r = part_descs[i]->run(k->parts[i], drawn + i, key, &before, out, NULL, err);
        }
    }
    return r;
}

const struct op_desc op_random_color_jitter = {
    .name = "RandomColorJitter",
    .summary = "RandomBrightness, RandomContrast, RandomSaturation and RandomHue in turn, those "
               "whose factors are given.",
    .options = options,
    .ctx_size = sizeof(struct random_color_jitter),
    .flags = OP_RANDOM,
    .params = params,
    .init = init,
    .check = check,
    .draw = draw,
    .run = run,
};
