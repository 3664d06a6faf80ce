/* Every row of the tables of layers, losses, metrics, optimizers, schedules and initializers:
 * documented, refuses nonsense, and what is written for Keras reads back. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/test.h"
#include "trainer/class_name.h"
#include "trainer/init/init.h"
#include "trainer/layer/layer.h"
#include "trainer/loss/loss.h"
#include "trainer/metric/metric.h"
#include "trainer/optimizer/optimizer.h"
#include "trainer/schedule/schedule.h"

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

static void check_rows(const char *name, const char *summary, const struct opt *rows)
{
    ck_assert_msg(summary && strlen(summary) > 8, "%s has no summary", name);
    for (const struct opt *row = rows; row->type != OPT_END; row++) {
        ck_assert_msg(row->help && strlen(row->help) > 5, "%s.%s has no help", name, row->name);
        bool number = row->type == OPT_F64 || row->type == OPT_I64;
        bool none = (row->flags & OPT_NULLABLE) != 0;
        if (number && !none && (row->min != 0.0 || row->max != 0.0)) {
            ck_assert_msg(row->def >= row->min && row->def <= row->max, "%s.%s: default", name,
                          row->name);
        }
    }
}

START_TEST(is_documented)
{
    for (size_t i = 0; layer_at(i); i++) {
        check_rows(layer_at(i)->name, layer_at(i)->summary, layer_at(i)->options);
    }
    for (size_t i = 0; loss_at(i); i++) {
        check_rows(loss_at(i)->name, loss_at(i)->summary, loss_at(i)->options);
    }
    for (size_t i = 0; metric_at(i); i++) {
        check_rows(metric_at(i)->name, metric_at(i)->summary, metric_at(i)->options);
    }
    for (size_t i = 0; optimizer_at(i); i++) {
        check_rows(optimizer_at(i)->name, optimizer_at(i)->summary, optimizer_at(i)->options);
    }
    for (size_t i = 0; schedule_at(i); i++) {
        check_rows(schedule_at(i)->name, schedule_at(i)->summary, schedule_at(i)->options);
    }
    const struct opt *rows;
    const char *summary, *name;
    for (size_t i = 0; (name = init_at(i, &rows, &summary)) != NULL; i++) {
        check_rows(name, summary, rows);
    }
}
END_TEST

static const struct {
    const char *name, *snake;
} snakes[] = {
    {"Conv2D", "conv2d"},
    {"GlobalAveragePooling2D", "global_average_pooling2d"},
    {"PReLU", "p_re_lu"},
    {"ReLU", "re_lu"},
    {"AdamW", "adam_w"},
    {"RMSprop", "rm_sprop"},
    {"Conv2DTranspose", "conv2d_transpose"},
    {"InputLayer", "input_layer"},
    {"SGD", "sgd"},
    {"LeakyReLU", "leaky_re_lu"},
};

START_TEST(names_are_kerass)
{
    char buf[CLASS_NAME_MAX];
    class_name_snake(snakes[_i].name, buf, sizeof(buf));
    ck_assert_str_eq(buf, snakes[_i].snake);
}
END_TEST

static const char *const schedules[] = {
    "{\"ExponentialDecay\": {\"initial_learning_rate\": 0.1, \"decay_steps\": 4, \"decay_rate\": "
    "0.5}}",
    "{\"CosineDecay\": {\"initial_learning_rate\": 0.1, \"decay_steps\": 4}}",
    "{\"CosineDecayRestarts\": {\"initial_learning_rate\": 0.1, \"first_decay_steps\": 4}}",
    "{\"InverseTimeDecay\": {\"initial_learning_rate\": 0.1, \"decay_steps\": 4, \"decay_rate\": "
    "0.5}}",
    "{\"PolynomialDecay\": {\"initial_learning_rate\": 0.1, \"decay_steps\": 4}}",
    "{\"PiecewiseConstantDecay\": {\"boundaries\": [2], \"values\": [0.1, 0.01]}}",
};

START_TEST(schedules_fall_and_read_back)
{
    struct schedule schedule, again;
    struct doc *config = doc_new(&arena);
    int r = schedule_read(parse(schedules[_i]), 0.0, &arena, &schedule, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
    ck_assert_double_eq_tol(schedule_rate(&schedule, 0), 0.1, 1e-7);
    ck_assert_double_lt(schedule_rate(&schedule, 3), 0.1);
    schedule_config(&schedule, config, &arena);
    r = schedule_read(config, 0.0, &arena, &again, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
    for (int step = 0; step < 20; step++) {
        ck_assert_double_eq(schedule_rate(&schedule, step), schedule_rate(&again, step));
    }
}
END_TEST

static void take_steps(const struct doc *doc, float *w)
{
    float g[4];
    struct optimizer_param param = {"w", {.rank = 2, .d = {2, 2}}, 4, w, g};
    struct optimizer *optimizer;
    int r = optimizer_create(doc, &param, 1, kernel_find("ref"), &arena, &optimizer, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
    for (int step = 0; step < 40; step++) {
        for (int i = 0; i < 4; i++) {
            g[i] = 2.0F * w[i]; /* of the sum of squares */
        }
        optimizer_step(optimizer);
    }
    struct doc *config = doc_new(&arena);
    optimizer_config(optimizer, config, &arena);
    r = optimizer_create(config, &param, 1, kernel_find("ref"), &arena, &optimizer, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
}

static const struct {
    const char *name, *options;
} optimizers[] = {
    {"SGD", "{\"learning_rate\": 0.05, \"momentum\": 0.5, \"nesterov\": true}"},
    {"Adam", "{\"learning_rate\": 0.05, \"amsgrad\": true}"},
    {"AdamW", "{\"learning_rate\": 0.05}"},
    {"Adamax", "{\"learning_rate\": 0.05}"},
    {"Nadam", "{\"learning_rate\": 0.05, \"clipvalue\": 5}"},
    {"RMSprop", "{\"learning_rate\": 0.05, \"momentum\": 0.1, \"centered\": true}"},
    {"Adagrad", "{\"learning_rate\": 0.5}"},
    {"Adadelta", "{\"learning_rate\": 50}"},
    {"Adafactor", "{\"learning_rate\": 0.1, \"relative_step\": false}"},
    {"Ftrl", "{\"learning_rate\": 0.5}"},
    {"Lamb", "{\"learning_rate\": 0.05}"},
    {"Lion", "{\"learning_rate\": 0.05}"},
};

START_TEST(optimizers_descend)
{
    float w[4] = {1, -2, 3, -4};
    struct doc *doc = doc_new(&arena);
    doc_set_map(doc);
    doc_copy(doc_put(doc, &arena, optimizers[_i].name), &arena, parse(optimizers[_i].options));
    take_steps(doc, w);
    double sum = 0.0;
    for (int k = 0; k < 4; k++) {
        sum += (double)w[k] * (double)w[k];
    }
    ck_assert_msg(sum < 20.0, "%s: %g", optimizers[_i].name, sum);
}
END_TEST

START_TEST(optimizers_are_all_here)
{
    for (size_t i = 0; optimizer_at(i); i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof(optimizers) / sizeof(optimizers[0]); k++) {
            found = found || strcmp(optimizers[k].name, optimizer_at(i)->name) == 0;
        }
        ck_assert_msg(found, "no case for %s", optimizer_at(i)->name);
    }
}
END_TEST

static const struct {
    const char *metric;
    size_t cols, label_cols;
    float pred[4], label[4];
    double want;
} metrics[] = {
    {"\"accuracy\"", 2, 1, {0.2F, 0.8F, 0.7F, 0.3F}, {1, 1}, 0.5},
    {"\"accuracy\"", 2, 2, {0.2F, 0.8F, 0.7F, 0.3F}, {0, 1, 1, 0}, 1.0},
    {"\"accuracy\"", 1, 1, {0.2F, 0.8F}, {0, 0}, 0.5},
    {"{\"Accuracy\": {}}", 2, 2, {1, 0, 1, 1}, {1, 0, 1, 0}, 0.75},
    {"{\"BinaryAccuracy\": {\"threshold\": 0.75}}",
     2,
     2,
     {0.8F, 0.1F, 0.7F, 0.9F},
     {1, 0, 1, 1},
     0.75},
    {"\"CategoricalAccuracy\"", 2, 2, {0.2F, 0.8F, 0.7F, 0.3F}, {0, 1, 0, 1}, 0.5},
    {"\"SparseCategoricalAccuracy\"", 2, 1, {0.5F, 0.5F, 0.7F, 0.3F}, {0, 0}, 1.0},
    {"{\"TopKCategoricalAccuracy\": {\"k\": 2}}",
     2,
     2,
     {0.2F, 0.8F, 0.7F, 0.3F},
     {1, 0, 0, 1},
     1.0},
    {"{\"SparseTopKCategoricalAccuracy\": {\"k\": 1}}",
     2,
     1,
     {0.2F, 0.8F, 0.7F, 0.3F},
     {1, 1},
     0.5},
    {"\"mse\"", 2, 2, {1, 2, 3, 4}, {1, 2, 3, 2}, 1.0},
    {"{\"Precision\": {}}", 2, 2, {0.2F, 0.8F, 0.7F, 0.3F}, {1, 1, 0, 1}, 0.5},
    {"{\"Recall\": {\"top_k\": 1}}", 2, 2, {0.2F, 0.8F, 0.7F, 0.3F}, {1, 1, 0, 1}, 1.0 / 3.0},
    {"{\"AUC\": {}}", 1, 1, {0.2F, 0.8F}, {0, 1}, 1.0},
    {"{\"F1Score\": {\"average\": \"micro\"}}", 2, 2, {1, 0, 0, 1}, {1, 0, 1, 0}, 0.49999995},
    {"{\"MeanIoU\": {\"num_classes\": 2}}", 1, 1, {0, 1}, {0, 0}, 0.25},
    {"{\"RootMeanSquaredError\": {}}", 2, 2, {1, 2, 3, 4}, {1, 2, 3, 2}, 1.0},
    {"{\"ConcordanceCorrelation\": {}}", 2, 2, {1, 2, 3, 5}, {1, 2, 3, 5}, 1.0},
    {"{\"OneHotIoU\": {\"num_classes\": 2, \"target_class_ids\": [0]}}",
     2,
     2,
     {1, 0, 1, 0},
     {1, 0, 0, 1},
     0.5},
    {"{\"R2Score\": {}}", 1, 1, {1, 3}, {1, 2}, -1.0},
};

START_TEST(metrics_count)
{
    struct metric *metric;
    struct metric_setup made = {kernel_find("ref"), 2, metrics[_i].cols, metrics[_i].label_cols};
    int r = metric_create(parse(metrics[_i].metric), &made, &arena, &metric, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
    struct metric_batch batch = {.rows = 2,
                                 .cols = metrics[_i].cols,
                                 .label_cols = metrics[_i].label_cols,
                                 .y_pred = metrics[_i].pred,
                                 .y_true = metrics[_i].label};
    metric_update(metric, &batch);
    metric_update(metric, &batch);
    ck_assert_double_eq_tol(metric_value(metric, 0), metrics[_i].want, 1e-6);
    metric_reset(metric);
    ck_assert_double_eq(metric_value(metric, 0), 0.0);
}
END_TEST

/* Mean and deviation of what is drawn, and that the same path draws the same. */
static const struct {
    const char *init;
    double mean, deviation, bound;
} inits[] = {
    {"\"zeros\"", 0, 0, 0},
    {"\"Ones\"", 1, 0, 1},
    {"{\"Constant\": {\"value\": 0.5}}", 0.5, 0, 0.5},
    {"\"glorot_uniform\"", 0, 0.1, 0.1733},
    {"\"GlorotNormal\"", 0, 0.1, 0.2275},
    {"\"he_normal\"", 0, 0.14142, 0.3217},
    {"\"HeUniform\"", 0, 0.14142, 0.2450},
    {"\"LecunNormal\"", 0, 0.1, 0.2275},
    {"\"lecun_uniform\"", 0, 0.1, 0.1733},
    {"{\"RandomNormal\": {\"mean\": 1, \"stddev\": 0.2}}", 1, 0.2, 3},
    {"{\"RandomUniform\": {\"minval\": 0, \"maxval\": 1}}", 0.5, 0.288675, 1},
    {"{\"TruncatedNormal\": {\"stddev\": 1}}", 0, 0.8796, 2},
    {"{\"VarianceScaling\": {\"scale\": 4, \"mode\": \"fan_out\", \"distribution\": "
     "\"untruncated_normal\"}}",
     0, 0.2, 2},
};

START_TEST(initializers_have_their_laws)
{
    enum { N = 100 * 100 };
    static float a[N], b[N];
    struct init init;
    struct shape shape = {.rank = 2, .d = {100, 100}};
    int r = init_read(parse(inits[_i].init), "Zeros", &arena, &init, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
    init_fill(&init, &shape, 5, "dense/kernel", a);
    init_fill(&init, &shape, 5, "dense/kernel", b);
    ck_assert_mem_eq(a, b, sizeof(a));
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < N; i++) {
        sum += (double)a[i];
        ck_assert_double_le(fabs((double)a[i]), inits[_i].bound + 1e-4);
    }
    for (int i = 0; i < N; i++) {
        squares += ((double)a[i] - sum / N) * ((double)a[i] - sum / N);
    }
    double deviation = sqrt(squares / N);
    ck_assert_double_eq_tol(sum / N, inits[_i].mean, 0.04 * inits[_i].deviation + 1e-6);
    ck_assert_double_eq_tol(deviation, inits[_i].deviation, 0.03 * inits[_i].deviation + 1e-6);
}
END_TEST

static const struct {
    const char *doc, *path;
    int code;
} refused[] = {
    {"{\"SGD\": {\"momentum\": 1.5}}", "SGD.momentum", ERR_RANGE},
    {"{\"SGD\": {\"momentun\": 0.5}}", "SGD.momentun", ERR_UNKNOWN},
    {"{\"AdamW\": {\"weight_decay\": null}}", "AdamW.weight_decay", ERR_INVALID},
    {"{\"Adam\": {\"clipnorm\": 1, \"clipvalue\": 1}}", "Adam.clipnorm", ERR_INVALID},
    {"{\"Adam\": {\"learning_rate\": {\"CosineDecay\": {\"decay_steps\": 3}}}}",
     "Adam.learning_rate.CosineDecay.initial_learning_rate", ERR_MISSING},
    {"\"Adan\"", "", ERR_UNKNOWN},
};

START_TEST(optimizers_refuse)
{
    struct optimizer *optimizer;
    int r = optimizer_create(parse(refused[_i].doc), NULL, 0, kernel_find("ref"), &arena,
                             &optimizer, &err);
    ck_assert_msg(r == refused[_i].code, "%s: %d at %s: %s", refused[_i].doc, r, err.path,
                  err.text);
    ck_assert_str_eq(err.path, refused[_i].path);
}
END_TEST

#define LENGTH(rows) ((int)(sizeof(rows) / sizeof((rows)[0])))

int main(void)
{
    Suite *suite = suite_create("tables of the trainer");
    TCase *tcase = tcase_create("tables");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, is_documented);
    tcase_add_loop_test(tcase, names_are_kerass, 0, LENGTH(snakes));
    tcase_add_loop_test(tcase, schedules_fall_and_read_back, 0, LENGTH(schedules));
    tcase_add_loop_test(tcase, optimizers_descend, 0, LENGTH(optimizers));
    tcase_add_test(tcase, optimizers_are_all_here);
    tcase_add_loop_test(tcase, metrics_count, 0, LENGTH(metrics));
    tcase_add_loop_test(tcase, initializers_have_their_laws, 0, LENGTH(inits));
    tcase_add_loop_test(tcase, optimizers_refuse, 0, LENGTH(refused));
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
