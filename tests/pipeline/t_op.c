#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "pipeline/op.h"
#include "pipeline/source.h"
#include "pipeline/stage.h"
#include "tests/pipeline/fixture.h"

enum { H = 11, W = 9 };
static struct arena arena;

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_fini(&arena);
}

static const struct doc *json(const char *text)
{
    struct doc *doc = NULL;
    ck_assert_int_eq(doc_read_json(text, strlen(text), NULL, &arena, &doc, NULL), 0);
    return doc;
}

static int read_op(const char *text, struct op *ret, struct err *err)
{
    struct op_names names = {0};
    return op_read(json(text), &names, &arena, ret, err);
}

START_TEST(test_tables)
{
    struct buf text = {0};
    for (const struct op_desc *const *row = op_table; *row != NULL; row++) {
        const struct op_desc *d = *row;
        ck_assert(d->name && d->summary && d->options);
        ck_assert_ptr_eq(op_find(d->name), d);
        ck_assert_msg(((d->flags & OP_GEOMETRIC) != 0) == (d->affine != NULL), "%s", d->name);
        const bool is_join = (d->flags & OP_JOIN) != 0;
        ck_assert_msg((d->run != NULL) + (d->affine != NULL) + (d->run_part != NULL) + is_join == 1,
                      "%s", d->name);
        ck_assert_msg(!is_join || (d->run_all != NULL && d->check_all != NULL), "%s", d->name);
        ck_assert_msg(((d->flags & OP_RANDOM) != 0) == (d->draw != NULL), "%s", d->name);
        ck_assert_msg((d->draw != NULL) == (d->params != NULL), "%s", d->name);
        ck_assert_msg(((d->flags & OP_CHANNELS) != 0) == (d->linear != NULL), "%s", d->name);
        ck_assert_int_le(op_params(d), OP_PARAMS_MAX);
    }
    op_reference(&text);
    stage_reference(&text);
    source_reference(&text);
    ck_assert_ptr_nonnull(strstr(text.data, "## RandomRotation"));
    ck_assert_ptr_nonnull(strstr(text.data, "## shuffle"));
    ck_assert_ptr_nonnull(strstr(text.data, "## images"));
    buf_fini(&text);
}
END_TEST

START_TEST(test_names)
{
    static const struct {
        const char *text, *name;
    } cases[] = {
        {"\"RandomFlip\"", "random_flip"},
        {"{\"RandomFlip\": {}}", "random_flip_1"},
        {"{\"RandomFlip\": {\"name\": \"a\"}}", "a"},
        {"{\"class_name\": \"RandomFlip\", \"config\": {\"mode\": \"vertical\", \"seed\": 3, "
         "\"dtype\": \"float32\"}}",
         "random_flip_2"},
        {"{\"CenterCrop\": {\"height\": 1, \"width\": 2, \"data_format\": \"channels_last\"}}",
         "center_crop"},
    };
    struct op_names names = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op op;
        struct err err = {0};
        ck_assert_msg(op_read(json(cases[i].text), &names, &arena, &op, &err) == 0, "%s: %s",
                      err.path, err.text);
        ck_assert_str_eq(op.name, cases[i].name);
        ck_assert_uint_eq(op.id, rng_id(cases[i].name));
        ck_assert_int_eq(op.has_seed, i == 3);
    }
}
END_TEST

static const struct wrong {
    const char *text, *path;
    int code;
} wrongs[] = {
    {"\"RandomFlop\"", "RandomFlop", ERR_UNKNOWN},
    {"{\"RandomRotation\": {}}", "RandomRotation.factor", ERR_MISSING},
    {"{\"RandomRotation\": {\"factor\": 1.5}}", "RandomRotation.factor", ERR_RANGE},
    {"{\"RandomRotation\": {\"factor\": [1.5, 2]}}", "RandomRotation.factor", ERR_RANGE},
    {"{\"RandomRotation\": {\"factor\": 0.1, \"fill_mode\": \"mirror\"}}",
     "RandomRotation.fill_mode", ERR_INVALID},
    {"{\"RandomZoom\": {\"height_factor\": [-1, 0.5]}}", "RandomZoom.height_factor", ERR_RANGE},
    {"{\"RandomTranslation\": {\"height_factor\": 2, \"width_factor\": 0.1}}",
     "RandomTranslation.height_factor", ERR_RANGE},
    {"{\"Resizing\": {\"height\": 2}}", "Resizing.width", ERR_MISSING},
    {"{\"Resizing\": {\"height\": 2, \"width\": 2, \"interpolation\": \"gaussian\"}}",
     "Resizing.interpolation", ERR_INVALID},
    {"{\"Resizing\": {\"height\": 2, \"width\": 2, \"crop_to_aspect_ratio\": true, "
     "\"pad_to_aspect_ratio\": true}}",
     "Resizing.pad_to_aspect_ratio", ERR_INVALID},
    {"{\"Normalization\": {\"mean\": [1, 2], \"variance\": 1}}", "Normalization.variance",
     ERR_SHAPE},
    {"{\"Normalization\": {\"mean\": 1}}", "Normalization.variance", ERR_MISSING},
    {"{\"Sleep\": {\"microseconds\": -1}}", "Sleep.microseconds", ERR_RANGE},
    {"{\"RandomPerspective\": {\"scale\": 1.2}}", "RandomPerspective.scale", ERR_RANGE},
    {"{\"RandomPerspective\": {\"factor\": [2, 3]}}", "RandomPerspective.factor", ERR_RANGE},
    {"{\"RandomColorJitter\": {\"hue_factor\": [2, 3]}}", "RandomColorJitter.hue_factor",
     ERR_RANGE},
    {"{\"RandomErasing\": {\"factor\": -0.5}}", "RandomErasing.factor", ERR_RANGE},
    {"{\"RandomErasing\": {\"scale\": [1.5, 2]}}", "RandomErasing.scale", ERR_RANGE},
    {"\"RandomResizedCrop\"", "RandomResizedCrop.size", ERR_MISSING},
    {"{\"RandomResizedCrop\": {\"height\": 3}}", "RandomResizedCrop.width", ERR_MISSING},
    {"{\"RandomResizedCrop\": {\"size\": 3, \"width\": 3}}", "RandomResizedCrop.size", ERR_INVALID},
    {"{\"RandomResizedCrop\": {\"size\": 3, \"shrink\": 3}}", "RandomResizedCrop.shrink",
     ERR_INVALID},
    {"{\"RandomResizedCrop\": {\"size\": 3, \"scale\": [1, 0.5]}}", "RandomResizedCrop.scale",
     ERR_INVALID},
    {"{\"RandomResizedCrop\": {\"size\": 3, \"ratio\": [0, 0.5]}}", "RandomResizedCrop.ratio[0]",
     ERR_RANGE},
    {"\"Lambda\"", "Lambda.expression", ERR_MISSING},
    {"{\"Lambda\": {\"expression\": \"255 - \"}}", "Lambda.expression", ERR_SYNTAX},
    {"{\"Lambda\": {\"expression\": \"255 - y\"}}", "Lambda.expression", ERR_UNKNOWN},
    {"{\"Lambda\": {\"function\": \"lambda x: x\"}}", "Lambda.function", ERR_UNKNOWN},
    {"{\"Lambda\": {\"function\": \"x\", \"expression\": \"x\"}}", "Lambda.function", ERR_INVALID},
    {"{\"RandomCrop\": {\"height\": 2, \"width\": 2, \"data_format\": \"channels_first\"}}",
     "RandomCrop.data_format", ERR_UNSUPPORTED},
};

START_TEST(test_wrong_options)
{
    struct op op;
    struct err err = {0};
    ck_assert_int_eq(read_op(wrongs[_i].text, &op, &err), wrongs[_i].code);
    ck_assert_str_eq(err.path, wrongs[_i].path);
}
END_TEST

/* A draw depends on seed, name, epoch and position, and on nothing else. */
START_TEST(test_draws)
{
    struct op a, b;
    const struct op_spec spec = {.dtype = DTYPE_U8, .shape = {.rank = 3, .d = {H, W, 3}}};
    const struct op_key keys[] = {
        {.seed = 1}, {.seed = 2}, {.seed = 1, .epoch = 1}, {.seed = 1, .position = 1}};
    float first[OP_PARAMS_MAX], other[OP_PARAMS_MAX];
    ck_assert_int_eq(
        read_op("{\"RandomZoom\": {\"height_factor\": 0.5, \"width_factor\": 0.5}}", &a, NULL), 0);
    ck_assert_int_eq(
        read_op(
            "{\"RandomZoom\": {\"height_factor\": 0.5, \"width_factor\": 0.5, \"name\": \"z\"}}",
            &b, NULL),
        0);
    op_draw(&a, &spec, &keys[0], first);
    for (size_t i = 0; i < 4; i++) {
        op_draw(&a, &spec, &keys[i], other);
        ck_assert_int_eq(memcmp(first, other, 2 * sizeof *first) == 0, i == 0);
    }
    op_draw(&b, &spec, &keys[0], other);
    ck_assert(memcmp(first, other, 2 * sizeof *first) != 0);
    struct op_key sample = keys[0];
    sample.sample = 99;
    op_draw(&a, &spec, &sample, other);
    ck_assert(memcmp(first, other, 2 * sizeof *first) == 0);
}
END_TEST

/* Drawn numbers that leave a picture as it is. */
static const struct identity {
    const char *op;
    float params[OP_PARAMS_MAX];
} identities[] = {
    {"\"RandomFlip\"", {0}},
    {"{\"RandomRotation\": {\"factor\": 0.5}}", {0}},
    {"{\"RandomZoom\": {\"height_factor\": 0.5}}", {1, 1}},
    {"{\"RandomTranslation\": {\"height_factor\": 0.5, \"width_factor\": 0.5}}", {0, 0}},
    {"\"RandomShear\"", {0, 0}},
    {"\"RandomErasing\"", {0, 2, 2, 5, 5}},
    {"\"RandomColorJitter\"", {0}},
    {"{\"RandomColorJitter\": {\"value_range\": [0, 1], \"saturation_factor\": 0.5}}",
     {0, 0, 1, 0}},
    {"{\"RandomErasing\": {\"fill_value\": [1, 2, 3]}}", {1, 2.5f, 3, 0.25f, 5}},
    {"\"RandomPerspective\"", {0}},
    {"\"RandomPerspective\"", {1, 0, 0, 8, 0, 0, 10, 8, 10}},
    {"{\"RandomBrightness\": {\"factor\": 0.5}}", {0}},
    {"{\"RandomContrast\": {\"factor\": 0.5}}", {1}},
    {"{\"RandomHue\": {\"factor\": 0.5}}", {0}},
    {"{\"RandomSaturation\": {\"factor\": 0.5, \"value_range\": [0, 1]}}", {1}},
    {"\"RandomGrayscale\"", {0}},
    {"{\"RandomColorDegeneration\": {\"factor\": 0.5}}", {0}},
    {"{\"RandomSharpness\": {\"factor\": 0.5}}", {0.5f}},
    {"\"RandomInvert\"", {0}},
    {"{\"RandomPosterization\": {\"factor\": 4}}", {0}},
    {"\"Solarization\"", {0, 256}},
    {"\"AutoContrast\"", {0}},
    {"{\"Normalization\": {\"mean\": 0, \"variance\": 1}}", {0}},
    {"{\"CenterCrop\": {\"height\": 11, \"width\": 9}}", {0}},
    {"{\"Lambda\": {\"expression\": \"255 - (255 - x)\"}}", {0}},
    {"{\"Lambda\": {\"expression\": \"random() < 2 ? x : 0\"}}", {0}},
    {"{\"Resizing\": {\"height\": 11, \"width\": 9, \"interpolation\": \"bicubic\"}}", {0}},
};

START_TEST(test_identities)
{
    enum { SIZE = H * W * 3 };
    static float in[SIZE], out[SIZE];
    struct op op;
    struct err err = {0};
    struct op_scratch scratch = {0};
    const struct op_key key = {.seed = 1};
    const struct op_spec spec = {.dtype = DTYPE_F32, .shape = {.rank = 3, .d = {H, W, 3}}};
    struct tensor x = {DTYPE_F32, spec.shape, in}, y = {.data = out};
    for (int i = 0; i < SIZE; i++) {
        in[i] = (float)(i * 37 % 256);
    }
    in[0] = in[1] = in[2] = 0;
    in[3] = in[4] = in[5] = 255;
    ck_assert_msg(read_op(identities[_i].op, &op, &err) == 0, "%s: %s", err.path, err.text);
    ck_assert_msg(op_check(&op, &spec, &err) == 0, "%s: %s", err.path, err.text);
    ck_assert_int_eq(op_run_given(&op, identities[_i].params, &key, &x, &y, &scratch, &err), 0);
    for (int i = 0; i < SIZE; i++) {
        ck_assert_msg(fabsf(in[i] - out[i]) < 1e-3f, "%s: value %d is %g, not %g",
                      identities[_i].op, i, (double)out[i], (double)in[i]);
    }
    op_scratch_fini(&scratch);
}
END_TEST

/* The jitter is the four ops in turn, bit for bit. */
START_TEST(test_jitter)
{
    enum { SIZE = H * W * 3 };
    static float in[SIZE], turn[2][SIZE], all[SIZE];
    static const char *const parts[] = {
        "{\"RandomBrightness\": {\"factor\": 0.5}}", "{\"RandomContrast\": {\"factor\": 0.5}}",
        "{\"RandomSaturation\": {\"factor\": 0.5}}", "{\"RandomHue\": {\"factor\": 0.5}}"};
    const float drawn[OP_PARAMS_MAX] = {20, 1.25f, 0.5f, 0.3f};
    const struct op_key key = {.seed = 1};
    const struct shape shape = {.rank = 3, .d = {H, W, 3}};
    struct op_scratch scratch = {0};
    struct op op;
    for (int i = 0; i < SIZE; i++) {
        in[i] = (float)(i * 37 % 256);
    }
    const struct tensor x = {DTYPE_F32, shape, in};
    struct tensor from = x, to = {.data = all};
    ck_assert_int_eq(read_op("{\"RandomColorJitter\": {\"brightness_factor\": 0.5, "
                             "\"contrast_factor\": 0.5, \"saturation_factor\": 0.5, "
                             "\"hue_factor\": 0.5}}",
                             &op, NULL),
                     0);
    ck_assert_int_eq(op_run_given(&op, drawn, &key, &x, &to, &scratch, NULL), 0);
    for (int i = 0; i < 4; i++) {
        to.data = turn[i % 2];
        ck_assert_int_eq(read_op(parts[i], &op, NULL), 0);
        ck_assert_int_eq(op_run_given(&op, drawn + i, &key, &from, &to, &scratch, NULL), 0);
        from = to;
    }
    ck_assert_mem_eq(all, from.data, sizeof all);
    op_scratch_fini(&scratch);
}
END_TEST

/* Noise is drawn anew for each position and is the same for the same one; it stays in its box. */
START_TEST(test_erasing)
{
    enum { SIZE = H * W * 3 };
    static float in[SIZE], out[3][SIZE];
    const struct tensor x = {DTYPE_F32, {.rank = 3, .d = {H, W, 3}}, in};
    const float drawn[OP_PARAMS_MAX] = {1, 1.5f, 3, 4, 2.5f}; /* columns 2..5, rows 3..5 */
    const uint64_t positions[] = {7, 7, 8};
    struct op_scratch scratch = {0};
    struct op op;
    ck_assert_int_eq(read_op("\"RandomErasing\"", &op, NULL), 0);
    for (int i = 0; i < SIZE; i++) {
        in[i] = 100;
    }
    for (int k = 0; k < 3; k++) {
        const struct op_key key = {.seed = 1, .position = positions[k]};
        struct tensor y = {.data = out[k]};
        ck_assert_int_eq(op_run_given(&op, drawn, &key, &x, &y, &scratch, NULL), 0);
    }
    ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
    ck_assert(memcmp(out[0], out[2], sizeof out[0]) != 0);
    for (int i = 0; i < SIZE; i++) {
        const int column = i / 3 % W, row = i / 3 / W;
        const bool is_in = column >= 2 && column <= 5 && row >= 3 && row <= 5;
        ck_assert_msg((out[0][i] < 100 || out[0][i] > 100) == is_in, "value %d", i);
        ck_assert(out[0][i] >= 0 && out[0][i] <= 255);
    }
    op_scratch_fini(&scratch);
}
END_TEST

/* A formula with chance in it is a random op; its draws follow law 1, its own seed takes the job's
 * place, and an op of another name draws others. */
START_TEST(test_lambda)
{
    static const char *const texts[] = {
        "{\"Lambda\": {\"expression\": \"x + random_like(x)\"}}",
        "{\"Lambda\": {\"expression\": \"x + random_like(x)\", \"name\": \"other\"}}",
        "{\"Lambda\": {\"expression\": \"x + random_like(x)\", \"seed\": 2}}",
        "{\"Lambda\": {\"expression\": \"cast(x > 3, uint8)\"}}",
    };
    const struct op_key keys[] = {
        {.seed = 1}, {.seed = 2}, {.seed = 1, .epoch = 1}, {.seed = 1, .position = 1}};
    uint8_t in[6] = {0, 1, 2, 3, 4, 5};
    const struct tensor x = {DTYPE_U8, {3, {1, 2, 3}}, in};
    const struct op_spec spec = {x.dtype, x.shape};
    float first[6], other[6];
    struct op_scratch scratch = {0};
    struct tensor out = {.data = first};
    struct op op;
    for (size_t t = 0; t < 4; t++) {
        ck_assert_int_eq(read_op(texts[t], &op, NULL), 0);
        ck_assert_int_eq((op.flags & OP_RANDOM) != 0, t < 3);
        ck_assert_int_eq(op_check(&op, &spec, NULL), 0);
        ck_assert_int_eq(op.out.dtype, t < 3 ? DTYPE_F32 : DTYPE_U8);
        for (size_t i = 0; i < 4 && t < 3; i++) {
            out.data = t == 0 && i == 0 ? first : other;
            ck_assert_int_eq(op_run(&op, &keys[i], &x, &out, &scratch, NULL), 0);
            ck_assert((t == 0 && i == 0) || memcmp(first, other, sizeof first) != 0);
        }
    }
    ck_assert_int_eq(read_op(texts[0], &op, NULL), 0);
    ck_assert_int_eq(op_check(&op, &(struct op_spec){.dtype = DTYPE_STR}, NULL), ERR_SHAPE);
    out.data = other;
    ck_assert_int_eq(op_run(&op, &keys[0], &x, &out, &scratch, NULL), 0);
    ck_assert_mem_eq(first, other, sizeof first);
    op_scratch_fini(&scratch);
}
END_TEST

/* In validation a formula with chance is left out and one without stays. */
START_TEST(test_lambda_in_validation)
{
    struct fixture f;
    unsigned char *slabs[2];
    fixture_init(&f);
    fixture_add_idx(&f, "d", "train", 20, H, W);
    ck_assert_msg(
        fixture_compile(
            &f,
            "{\"data\": {\"train\": {\"dataset\": \"d\"}, \"validation\": {\"dataset\": \"d\"}}, "
            "\"pipeline\": [{\"map\": [{\"Lambda\": {\"expression\": \"255 - x\"}}, {\"Lambda\": "
            "{\"expression\": \"x * 0 + random() + 1000\"}}]}]}") == 0,
        "%s: %s", f.err.path, f.err.text);
    for (int i = 0; i < 2; i++) {
        const enum pipeline_stream stream = i == 0 ? PIPELINE_TRAIN : PIPELINE_VALIDATION;
        ck_assert_int_eq(fixture_batch(&f, stream, 0, 0, 20, &slabs[i], NULL), 0);
        const struct slab_field *x = fixture_field(&f, stream, "x");
        const float v = ((float *)(void *)(slabs[i] + x->offset))[0];
        ck_assert(i == 0 ? v > 999 : v <= 255);
    }
    fixture_fini(&f);
}
END_TEST

/* Every random op draws another picture at another position, the same one at the same. */
START_TEST(test_all_draw)
{
    for (const struct op_desc *const *row = op_table; *row != NULL; row++) {
        const struct op_spec spec = {.dtype = DTYPE_F32, .shape = {.rank = 3, .d = {H, W, 3}}};
        struct op_names names = {0};
        struct op op;
        bool differs = false;
        if (((*row)->flags & OP_RANDOM) == 0) {
            continue;
        }
        struct buf text = {0};
        const bool has_factor = opt_find((*row)->options, "factor") != NULL;
        buf_puts(&text, has_factor ? "{\"factor\": 1}" : "{}");
        if (strcmp((*row)->name, "RandomCrop") == 0) {
            buf_clear(&text);
            buf_puts(&text, "{\"height\": 4, \"width\": 3}");
        } else if (strcmp((*row)->name, "RandomResizedCrop") == 0) {
            buf_clear(&text);
            buf_puts(&text, "{\"size\": 4}");
        } else if (opt_find((*row)->options, "height_factor") != NULL) {
            buf_clear(&text);
            buf_puts(&text, "{\"height_factor\": 0.5, \"width_factor\": 0.5}");
        } else if (strcmp((*row)->name, "RandomColorJitter") == 0) {
            buf_clear(&text);
            buf_puts(&text, "{\"contrast_factor\": 0.5}");
        } else if (strcmp((*row)->name, "RandomPosterization") == 0) {
            buf_clear(&text);
            buf_puts(&text, "{\"factor\": 7}");
        } else if (strcmp((*row)->name, "RandomShear") == 0) {
            buf_clear(&text);
            buf_puts(&text, "{\"x_factor\": 0.5}");
        } else if (strcmp((*row)->name, "RandomGrayscale") == 0) {
            buf_clear(&text);
            buf_puts(&text, "{}");
        } else if (strcmp((*row)->name, "Solarization") == 0) {
            buf_clear(&text);
            buf_puts(&text, "{\"addition_factor\": 1}");
        }
        ck_assert_int_eq(op_make(*row, json(text.data), &names, &arena, &op, NULL), 0);
        float first[OP_PARAMS_MAX] = {0}, other[OP_PARAMS_MAX] = {0};
        for (uint64_t position = 0; position < 50; position++) {
            const struct op_key key = {.seed = 3, .position = position, .step = position};
            op_draw(&op, &spec, &key, position == 0 ? first : other);
            differs = differs || (position > 0 && memcmp(first, other, sizeof first) != 0);
        }
        ck_assert_msg(differs, "%s", (*row)->name);
        buf_fini(&text);
    }
}
END_TEST

/* ---- fusion
 * -----------------------------------------------------------------------------------------------------
 */

static const struct fused {
    const char *ops;
    int nodes;
} fuseds[] = {
    {"\"RandomFlip\", {\"RandomRotation\": {\"factor\": 0.1}}, {\"RandomZoom\": "
     "{\"height_factor\": 0.1}}",
     1},
    {"{\"Rescaling\": {\"scale\": 0.5, \"offset\": 3}}, {\"RandomRotation\": {\"factor\": 0.1}}",
     1},
    {"{\"RandomRotation\": {\"factor\": 0.1}}, {\"Rescaling\": {\"scale\": 0.5, \"offset\": 3}}",
     1},
    {"{\"Rescaling\": {\"scale\": 0.5}}, {\"Normalization\": {\"mean\": 3, \"variance\": 4}}", 1},
    {"{\"Rescaling\": {\"scale\": 0.5, \"offset\": 1}}, \"RandomFlip\", {\"RandomTranslation\": "
     "{\"height_factor\": 0.2, "
     "\"width_factor\": 0.2, \"fill_mode\": \"constant\", \"fill_value\": 7}}, {\"Rescaling\": "
     "{\"scale\": 2}}",
     2},
    {"{\"Rescaling\": {\"scale\": 0.5, \"offset\": 1}}, {\"RandomTranslation\": "
     "{\"height_factor\": 0.2, "
     "\"width_factor\": 0.2, \"fill_mode\": \"constant\", \"fill_value\": 7}}, \"RandomFlip\", "
     "{\"Rescaling\": {\"scale\": 2}}",
     1},
    {"{\"RandomRotation\": {\"factor\": 0.1}}, {\"RandomRotation\": {\"factor\": 0.1, "
     "\"fill_mode\": \"wrap\"}}",
     2},
    {"\"RandomFlip\", {\"CenterCrop\": {\"height\": 5, \"width\": 5}}, {\"Rescaling\": {\"scale\": "
     "2}}",
     3},
};

/* Linear things and flips commute exactly or nearly; two resamplings become one and so differ more.
 */
static double largest_difference(struct fixture *f, const char *ops, int *ret_nodes)
{
    unsigned char *slabs[2];
    double largest = 0;
    for (int exact = 0; exact < 2; exact++) {
        struct buf job = {0};
        struct doc *plan = doc_new(&f->arena);
        buf_printf(&job,
                   "{\"data\": {\"train\": {\"dataset\": \"d\"}}, \"pipeline\": [{\"map\": "
                   "{\"ops\": [%s], \"exact\": %s}}, "
                   "{\"batch\": 20}]}",
                   ops, exact ? "true" : "false");
        ck_assert_msg(fixture_compile(f, job.data) == 0, "%s: %s", f->err.path, f->err.text);
        pipeline_plan(f->pipeline, plan, &f->arena);
        if (!exact) {
            *ret_nodes = (int)doc_find(plan, "streams.train.ops")->n;
        }
        ck_assert_int_eq(fixture_batch(f, PIPELINE_TRAIN, 2, 0, 7, &slabs[exact], NULL), 0);
        buf_fini(&job);
    }
    const struct slab_field *x = fixture_field(f, PIPELINE_TRAIN, "x");
    for (size_t i = 0; i < 20 * x->row_bytes / sizeof(float); i++) {
        const double a = (double)((float *)(void *)(slabs[0] + x->offset))[i],
                     b = (double)((float *)(void *)(slabs[1] + x->offset))[i];
        largest = fabs(a - b) > largest ? fabs(a - b) : largest;
    }
    return largest;
}

START_TEST(test_fusion)
{
    struct fixture f;
    int nodes = 0;
    fixture_init(&f);
    fixture_add_idx(&f, "d", "train", 20, H, W);
    const double largest = largest_difference(&f, fuseds[_i].ops, &nodes);
    ck_assert_int_eq(nodes, fuseds[_i].nodes);
    if (_i != 0) {
        ck_assert_msg(largest < 1e-3, "%s: %g", fuseds[_i].ops, largest);
    }
    fixture_fini(&f);
}
END_TEST

START_TEST(test_fault_and_sleep)
{
    struct fixture f;
    unsigned char *slab;
    fixture_init(&f);
    fixture_add_idx(&f, "d", "train", 20, H, W);
    ck_assert_int_eq(
        fixture_compile(
            &f,
            "{\"data\": {\"train\": {\"dataset\": \"d\"}}, \"pipeline\": [{\"map\": [{\"Sleep\": "
            "{\"microseconds\": 1}}, {\"Fault\": {\"sample\": [3, 5]}}]}]}"),
        0);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 20, &slab, NULL), ERR_DATA);
    ck_assert_ptr_nonnull(strstr(f.err.text, "sample 3"));
    fixture_fini(&f);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("op");
    TCase *c = tcase_create("op");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_tables);
    tcase_add_test(c, test_names);
    tcase_add_loop_test(c, test_wrong_options, 0, sizeof wrongs / sizeof wrongs[0]);
    tcase_add_test(c, test_draws);
    tcase_add_test(c, test_all_draw);
    tcase_add_test(c, test_jitter);
    tcase_add_test(c, test_erasing);
    tcase_add_test(c, test_lambda);
    tcase_add_test(c, test_lambda_in_validation);
    tcase_add_loop_test(c, test_identities, 0, sizeof identities / sizeof identities[0]);
    tcase_add_loop_test(c, test_fusion, 0, sizeof fuseds / sizeof fuseds[0]);
    tcase_add_test(c, test_fault_and_sleep);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
