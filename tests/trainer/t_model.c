/* Models end to end: the digits network learns, shapes, refusals, files' names, no allocation in a
 * step. */
#include "trainer/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "tests/test.h"
#include "trainer/model_impl.h" /* how many nodes there are */

enum { ROWS = 32, SIDE = 12 };

static struct arena arena;
static struct err err;

static void setup(void)
{
    arena_init(&arena);
    memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
    arena_fini(&arena);
}

static const struct doc *parse(const char *text)
{
    struct doc *doc;
    int r = doc_read_json(text, strlen(text), &doc_limits_default, &arena, &doc, &err);
    ck_assert_msg(r == 0, "%s: %s", text, err.text);
    return doc;
}

static const char *const cnn =
    "[{\"Rescaling\": {\"scale\": 0.01}},"
    " {\"Conv2D\": {\"filters\": 8, \"kernel_size\": 3, \"padding\": \"same\", \"activation\": "
    "\"relu\"}},"
    " {\"MaxPooling2D\": {}}, \"Flatten\", {\"Dense\": {\"units\": 16, \"activation\": \"relu\"}},"
    " {\"Dense\": {\"units\": 4, \"activation\": \"softmax\"}}]";
static const char *const compile_adam = "{\"optimizer\": {\"Adam\": {\"learning_rate\": 0.01}}, "
                                        "\"loss\": \"SparseCategoricalCrossentropy\","
                                        " \"metrics\": [\"accuracy\"]}";

struct made {
    struct model_input x, y;
    struct model_options options;
    struct model *model;
};

static void prepare(struct made *made, const char *model, const char *compile)
{
    *made = (struct made){
        .x = {.name = "x", .dtype = DTYPE_U8, .shape = {.rank = 3, .d = {SIDE, SIDE, 1}}},
        .y = {.name = "y", .dtype = DTYPE_I64, .shape = {.rank = 0}},
    };
    made->options = (struct model_options){
        .model = parse(model),
        .compile = compile ? parse(compile) : NULL,
        .inputs = &made->x,
        .n_inputs = 1,
        .label = compile ? &made->y : NULL,
        .batch_rows = ROWS,
        .seed = 7,
        .backend = "ref",
        .threads = 1,
    };
}

static void make(struct made *made, const char *model, const char *compile)
{
    prepare(made, model, compile);
    int r = model_compile(&made->options, &arena, &made->model, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
}

/* The class is the quadrant that is bright. */
static void draw(unsigned char *x, int64_t *y, int64_t step)
{
    struct rng rng;
    rng_init(&rng, 1, rng_id("test"), 0, (uint64_t)step);
    for (int r = 0; r < ROWS; r++) {
        int label = (int)rng_below(&rng, 4);
        y[r] = label;
        for (int i = 0; i < SIDE * SIDE; i++) {
            int quadrant = (i / SIDE >= SIDE / 2 ? 2 : 0) + (i % SIDE >= SIDE / 2 ? 1 : 0);
            x[r * SIDE * SIDE + i] =
                (unsigned char)(rng_below(&rng, 100) + (quadrant == label ? 30 : 0));
        }
    }
}

static unsigned char x[ROWS * SIDE * SIDE];
static int64_t y[ROWS];

static void train(struct made *made, int steps)
{
    const void *inputs[] = {x};
    for (int i = 0; i < steps; i++) {
        draw(x, y, i);
        int r = model_train_step(made->model, inputs, y, NULL, ROWS, &err);
        ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
    }
}

START_TEST(learns)
{
    struct made made;
    char before[65], after[65];
    make(&made, cnn, compile_adam);
    model_tensors_id(made.model, before);
    train(&made, 60);
    model_reset_metrics(made.model);
    const void *inputs[] = {x};
    draw(x, y, 1000);
    ck_assert_int_eq(model_test_step(made.model, inputs, y, ROWS, &err), 0);
    ck_assert_int_eq(model_n_metrics(made.model), 2);
    ck_assert_str_eq(model_metric_name(made.model, 0), "loss");
    ck_assert_str_eq(model_metric_name(made.model, 1), "accuracy");
    ck_assert_double_gt(model_metric_value(made.model, 1), 0.9);
    ck_assert_double_lt(model_metric_value(made.model, 0), 0.5);
    ck_assert_int_eq(model_step(made.model), 60);
    model_tensors_id(made.model, after);
    ck_assert_str_ne(before, after);
    model_destroy(made.model);
}
END_TEST

START_TEST(is_a_pure_function)
{
    struct made a, b;
    char id_a[65], id_b[65];
    make(&a, cnn, compile_adam);
    make(&b, cnn, compile_adam);
    train(&a, 5);
    train(&b, 5);
    model_tensors_id(a.model, id_a);
    model_tensors_id(b.model, id_b);
    ck_assert_str_eq(id_a, id_b);
    model_destroy(a.model);
    model_destroy(b.model);
}
END_TEST

/* `relu`: the activation behind a normalization and behind a sum. What is computed with the layer
 * before it gives the weights of the two apart; what another layer reads too stays apart. */
#define RESIDUAL(relu, last)                                                                     \
    "[{\"Conv2D\": {\"name\": \"a\", \"filters\": 8, \"kernel_size\": 3, \"padding\": "          \
    "\"same\"}}, "                                                                               \
    "{\"BatchNormalization\": {\"name\": \"b\", \"inputs\": \"a\"}}, {\"ReLU\": {\"name\": "     \
    "\"c\", "                                                                                    \
    "\"inputs\": \"b\"" relu                                                                     \
    "}}, {\"Conv2D\": {\"name\": \"d\", \"inputs\": \"c\", \"filters\": 8, "                     \
    "\"kernel_size\": 3, \"padding\": \"same\"}}, {\"BatchNormalization\": {\"name\": \"e\", "   \
    "\"inputs\": \"d\"}}, {\"Add\": {\"name\": \"f\", \"inputs\": [\"c\", \"e\"]}}, {\"ReLU\": " \
    "{\"name\": \"g\", \"inputs\": \"f\"" relu "}}, " last "{\"Flatten\": {\"name\": \"i\", "    \
    "\"inputs\": \"h\"}}, {\"Dense\": {\"name\": \"j\", \"inputs\": \"i\", \"units\": 4, "       \
    "\"activation\": \"softmax\"}}]"
#define ONE   "{\"MaxPooling2D\": {\"name\": \"h\", \"inputs\": \"g\"}}, "
#define BOTH  "{\"Add\": {\"name\": \"h\", \"inputs\": [\"g\", \"f\", \"b\"]}}, "
#define APART ", \"max_value\": 1e30"

static const struct fusion {
    const char *backend, *together, *apart;
    int fewer; /* nodes */
} fusions[] = {
    {"ref", RESIDUAL("", ONE), RESIDUAL(APART, ONE), 2},
    {"blas", RESIDUAL("", ONE), RESIDUAL(APART, ONE), 2},
    {"auto", RESIDUAL("", ONE), RESIDUAL(APART, ONE), 2},
    {"auto", RESIDUAL("", BOTH), RESIDUAL(APART, BOTH), 0},
};

START_TEST(fuses_activations)
{
    const struct fusion *c = &fusions[_i];
    struct made made[2];
    char id[2][65];
    double loss[2];
    const void *inputs[] = {x};
    for (int i = 0; i < 2; i++) {
        prepare(&made[i], i == 0 ? c->together : c->apart, compile_adam);
        made[i].options.backend = c->backend;
        int r = model_compile(&made[i].options, &arena, &made[i].model, &err);
        ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
        train(&made[i], 3);
        model_tensors_id(made[i].model, id[i]);
        model_reset_metrics(made[i].model);
        draw(x, y, 1000);
        ck_assert_int_eq(model_test_step(made[i].model, inputs, y, ROWS, &err), 0);
        loss[i] = model_metric_value(made[i].model, 0);
    }
    ck_assert_str_eq(id[0], id[1]);
    ck_assert(loss[0] <= loss[1] && loss[0] >= loss[1]);
    ck_assert_int_eq(made[1].model->n_nodes - made[0].model->n_nodes, c->fewer);
    model_destroy(made[0].model);
    model_destroy(made[1].model);
}
END_TEST

START_TEST(predicts_probabilities)
{
    struct made made;
    const float *output;
    int64_t width;
    const void *inputs[] = {x};
    make(&made, cnn, NULL);
    draw(x, y, 0);
    ck_assert_int_eq(model_predict(made.model, inputs, 3, &output, &width, &err), 0);
    ck_assert_int_eq(width, 4);
    for (int r = 0; r < 3; r++) {
        double sum = 0;
        for (int c = 0; c < 4; c++) {
            sum += (double)output[r * 4 + c];
        }
        ck_assert_double_eq_tol(sum, 1.0, 1e-5);
    }
    model_destroy(made.model);
}
END_TEST

START_TEST(names_tensors_as_keras_does)
{
    struct made made;
    int n;
    make(&made, cnn, compile_adam);
    const struct model_tensor *tensors = model_tensors(made.model, &n);
    ck_assert_int_eq(n, 6 + 2 + 12);
    ck_assert_str_eq(tensors[0].path, "conv2d/kernel");
    ck_assert_str_eq(tensors[0].h5_path, "layers/conv2d/vars/0");
    ck_assert_str_eq(tensors[5].path, "dense_1/bias");
    ck_assert_str_eq(tensors[5].h5_path, "layers/dense_1/vars/1");
    ck_assert_str_eq(tensors[6].path, "adam/iteration");
    ck_assert_str_eq(tensors[7].path, "adam/learning_rate");
    ck_assert_str_eq(tensors[8].path, "adam/conv2d_kernel_momentum");
    ck_assert_str_eq(tensors[9].h5_path, "optimizer/vars/3");
    model_destroy(made.model);
}
END_TEST

START_TEST(gives_the_sizes_of_the_exercise)
{
    static const int64_t want[] = {48, 24, 44, 14};
    struct model *model;
    struct model_options options = {.batch_rows = 1, .backend = "ref"};
    options.model =
        parse("[{\"InputLayer\": {\"name\": \"image\", \"shape\": [48, 48, 1]}},"
              " {\"Conv2D\": {\"inputs\": \"image\", \"filters\": 8, \"kernel_size\": 3, "
              "\"padding\": \"same\"}},"
              " {\"Conv2D\": {\"inputs\": \"image\", \"filters\": 8, \"kernel_size\": 3, "
              "\"padding\": \"same\", \"strides\": 2}},"
              " {\"Conv2D\": {\"inputs\": \"image\", \"filters\": 8, \"kernel_size\": 5}},"
              " {\"Conv2D\": {\"inputs\": \"image\", \"filters\": 8, \"kernel_size\": 7, "
              "\"strides\": 3}}]");
    int r = model_compile(&options, &arena, &model, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
    struct doc *summary = doc_new(&arena);
    model_summary(model, summary, &arena);
    for (int i = 0; i < 4; i++) {
        const struct doc *layer = doc_at(doc_get(summary, "layers"), (size_t)i + 1);
        ck_assert_int_eq(doc_get(layer, "output_shape")->items[1].i, want[i]);
        ck_assert_int_eq(doc_get(layer, "output_shape")->items[2].i, want[i]);
    }
    model_destroy(model);
}
END_TEST

static const struct refusal {
    const char *model, *compile;
    int code;
    const char *path, *text;
} refusals[] = {
    {"[{\"Conv2\": {}}, {\"Dens\": {\"units\": 1}}, \"Flatten\"]", NULL, ERR_UNKNOWN, "model[0]",
     "Dense"},
    {"[{\"Conv2D\": {\"filter\": 3}}]", NULL, ERR_UNKNOWN, "model[0].Conv2D.filter", "filters"},
    {"[{\"Conv2D\": {\"filters\": 3, \"kernel_size\": 13}}]", NULL, ERR_SHAPE, "model[0].Conv2D",
     "(None, 12, 12, 1)"},
    {"[\"Flatten\", {\"Conv2D\": {\"filters\": 3, \"kernel_size\": 3}}]", NULL, ERR_SHAPE,
     "model[1].Conv2D", "flatten"},
    {"[{\"Dense\": {\"units\": 3, \"activation\": \"rellu\"}}]", NULL, ERR_UNKNOWN,
     "model[0].Dense.activation", "relu"},
    {"[{\"Dense\": {\"units\": 3, \"kernel_regularizer\": \"l2\"}}]", NULL, ERR_UNSUPPORTED,
     "model[0].Dense.kernel_regularizer", ""},
    {"[{\"Dense\": {\"units\": 3, \"dtype\": \"float16\"}}]", NULL, ERR_UNSUPPORTED,
     "model[0].Dense.dtype", "float32"},
    {"[{\"Dense\": {\"units\": 3, \"inputs\": \"flaten\"}}, \"Flatten\"]", NULL, ERR_NOT_FOUND,
     "model[0].Dense", "flatten"},
    {"[{\"Conv2D\": {\"filters\": 3, \"kernel_size\": 3, \"data_format\": \"channels_first\"}}]",
     NULL, ERR_INVALID, "model[0].Conv2D.data_format", "channels_last"},
    {"[\"Flatten\", {\"Dense\": {\"units\": 4}}]", "{\"optimizer\": \"Adm\", \"loss\": \"mse\"}",
     ERR_SHAPE, "compile.loss", "4"},
    {"[\"Flatten\", {\"Dense\": {\"units\": 1}}]", "{\"optimizer\": \"Adm\", \"loss\": \"mse\"}",
     ERR_UNKNOWN, "compile.optimizer", "Adam"},
    {"[]", NULL, ERR_MISSING, "model", ""},
};

START_TEST(refuses)
{
    const struct refusal *row = &refusals[_i];
    struct made made;
    prepare(&made, row->model, row->compile);
    int r = model_compile(&made.options, &arena, &made.model, &err);
    ck_assert_msg(r == row->code, "%s: %d at %s: %s", row->model, r, err.path, err.text);
    ck_assert_msg(strncmp(err.path, row->path, strlen(row->path)) == 0, "%s: path %s: %s",
                  row->model, err.path, err.text);
    ck_assert_msg(strstr(err.text, row->text) != NULL, "%s: %s", row->model, err.text);
}
END_TEST

START_TEST(refuses_labels_out_of_range)
{
    struct made made;
    make(&made, cnn, compile_adam);
    const void *inputs[] = {x};
    draw(x, y, 0);
    y[5] = 4;
    ck_assert_int_eq(model_train_step(made.model, inputs, y, NULL, ROWS, &err), ERR_RANGE);
    ck_assert_str_eq(err.path, "y");
    ck_assert_msg(strstr(err.text, "row 5") && strstr(err.text, "label 4"), "%s", err.text);
    model_destroy(made.model);
}
END_TEST

/* Numbers that leave all bounds end the training, and the weights before are kept. */
START_TEST(refuses_inputs_out_of_range)
{
    struct made made;
    memset(x, 0, sizeof(x));
    memset(y, 0, sizeof(y));
    make(&made,
         "[{\"Embedding\": {\"input_dim\": 4, \"output_dim\": 2, \"name\": \"words\"}}, "
         "\"Flatten\", {\"Dense\": {\"units\": 4, \"activation\": \"softmax\"}}]",
         compile_adam);
    const void *inputs[] = {x};
    ck_assert_int_eq(model_train_step(made.model, inputs, y, NULL, ROWS, &err), 0);
    x[5 * SIDE * SIDE + 7] = 4;
    ck_assert_int_eq(model_train_step(made.model, inputs, y, NULL, ROWS, &err), ERR_RANGE);
    ck_assert_str_eq(err.path, "words");
    ck_assert_msg(strstr(err.text, "row 5 has 4"), "%s", err.text);
    model_destroy(made.model);
}
END_TEST

START_TEST(stops_where_numbers_end)
{
    struct made made;
    make(&made, cnn,
         "{\"optimizer\": {\"SGD\": {\"learning_rate\": 1e25}}, \"loss\": "
         "\"SparseCategoricalCrossentropy\"}");
    const void *inputs[] = {x};
    int r = 0;
    for (int step = 0; step < 10 && r == 0; step++) {
        draw(x, y, step);
        r = model_train_step(made.model, inputs, y, NULL, ROWS, &err);
    }
    ck_assert_int_eq(r, ERR_NOT_FINITE);
    ck_assert_msg(strstr(err.text, "learning rate") != NULL, "%s", err.text);
    int n;
    const struct model_tensor *tensors = model_tensors(made.model, &n);
    for (int i = 0; i < n; i++) {
        int64_t count = 0;
        ck_assert_int_eq(shape_count(&tensors[i].shape, &count), 0);
        for (int64_t k = 0; tensors[i].dtype == DTYPE_F32 && k < count; k++) {
            ck_assert_msg(!isnan(((const float *)tensors[i].data)[k]), "%s", tensors[i].path);
        }
    }
    model_destroy(made.model);
}
END_TEST

/* Several rows a sample: one softmax for each place of an image. */
START_TEST(trains_maps_of_labels)
{
    static unsigned char maps[ROWS * SIDE * SIDE];
    struct made made;
    prepare(
        &made,
        "[{\"Rescaling\": {\"scale\": 0.01}}, {\"Conv2D\": {\"filters\": 2, \"kernel_size\": 1, "
        "\"activation\": \"softmax\"}}]",
        compile_adam);
    made.y = (struct model_input){
        .name = "y", .dtype = DTYPE_U8, .shape = {.rank = 2, .d = {SIDE, SIDE}}};
    int r = model_compile(&made.options, &arena, &made.model, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
    const void *inputs[] = {x};
    float weights[ROWS] = {1};
    for (int step = 0; step < 400; step++) {
        draw(x, y, step);
        for (int i = 0; i < ROWS * SIDE * SIDE; i++) {
            maps[i] = x[i] > 60;
        }
        model_reset_metrics(made.model);
        ck_assert_int_eq(model_train_step(made.model, inputs, maps, NULL, ROWS, &err), 0);
    }
    ck_assert_double_gt(model_metric_value(made.model, 1), 0.9);
    ck_assert_int_eq(model_train_step(made.model, inputs, maps, weights, ROWS, &err),
                     ERR_UNSUPPORTED);
    model_destroy(made.model);
}
END_TEST

START_TEST(keeps_metrics)
{
    struct made made;
    make(&made, cnn, compile_adam);
    train(&made, 3);
    struct doc *saved = doc_new(&arena);
    model_save_metrics(made.model, saved, &arena);
    double loss = model_metric_value(made.model, 0), accuracy = model_metric_value(made.model, 1);
    model_reset_metrics(made.model);
    ck_assert_int_eq(model_load_metrics(made.model, saved, &err), 0);
    ck_assert_double_eq(model_metric_value(made.model, 0), loss);
    ck_assert_double_eq(model_metric_value(made.model, 1), accuracy);
    model_destroy(made.model);
}
END_TEST

/* Keras's config of a model makes the same model. */
START_TEST(reads_its_own_config)
{
    struct made a, b;
    make(&a, cnn, compile_adam);
    struct doc *config = doc_new(&arena);
    model_config(a.model, config, &arena);
    struct buf text = {0};
    doc_write_json(config, 0, &text);
    make(&b, text.data, compile_adam);
    struct doc *again = doc_new(&arena);
    model_config(b.model, again, &arena);
    ck_assert_msg(doc_equal(config, again), "%s", text.data);
    buf_fini(&text);
    model_destroy(a.model);
    model_destroy(b.model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *tcase = tcase_create("model");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, learns);
    tcase_add_test(tcase, is_a_pure_function);
    tcase_add_loop_test(tcase, fuses_activations, 0, sizeof(fusions) / sizeof(fusions[0]));
    tcase_add_test(tcase, predicts_probabilities);
    tcase_add_test(tcase, names_tensors_as_keras_does);
    tcase_add_test(tcase, gives_the_sizes_of_the_exercise);
    tcase_add_loop_test(tcase, refuses, 0, (int)(sizeof(refusals) / sizeof(refusals[0])));
    tcase_add_test(tcase, refuses_labels_out_of_range);
    tcase_add_test(tcase, refuses_inputs_out_of_range);
    tcase_add_test(tcase, stops_where_numbers_end);
    tcase_add_test(tcase, trains_maps_of_labels);
    tcase_add_test(tcase, keeps_metrics);
    tcase_add_test(tcase, reads_its_own_config);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
