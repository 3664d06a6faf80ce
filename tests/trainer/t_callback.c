/* Callbacks over given histories: when they stop, which rates and files they ask for, and the same
 * when the history is cut anywhere and shown again. Expected: Keras 3.15's own, called with the
 * same numbers. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "tests/test.h"
#include "trainer/callback/callback.h"

enum { SIDE = 4, EPOCHS_MAX = 12 };

static struct arena arena;
static struct err err;
static struct model *model;

static const struct doc *parse(const char *text)
{
    struct doc *doc;
    int r = doc_read_json(text, strlen(text), &doc_limits_default, &arena, &doc, &err);
    ck_assert_msg(r == 0, "%s: %s", text, err.text);
    return doc;
}

static void compile(const char *optimizer)
{
    static struct model_input x = {
        .name = "x", .dtype = DTYPE_U8, .shape = {.rank = 1, .d = {SIDE}}};
    static struct model_input y = {.name = "y", .dtype = DTYPE_I64, .shape = {.rank = 0}};
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "{\"optimizer\": %s, \"loss\": \"SparseCategoricalCrossentropy\", \"metrics\": "
                   "[\"accuracy\"]}",
                   optimizer);
    struct model_options options = {
        .model = parse("[{\"Dense\": {\"units\": 3, \"activation\": \"softmax\"}}]"),
        .compile = parse(text),
        .inputs = &x,
        .n_inputs = 1,
        .label = &y,
        .batch_rows = 2,
        .backend = "ref",
        .threads = 1};
    int r = model_compile(&options, &arena, &model, &err);
    ck_assert_msg(r == 0, "%s: %s", err.path, err.text);
}

static void setup(void)
{
    arena_init(&arena);
    memset(&err, 0, sizeof(err));
    compile("{\"Adam\": {\"learning_rate\": 0.5}}");
}

static void teardown(void)
{
    model_destroy(model);
    arena_fini(&arena);
}

static struct callbacks *make(const char *text)
{
    const struct callback_setup with = {.model = model, .validates = true, .arena = &arena};
    struct callbacks *callbacks;
    int r = callback_list_read(parse(text), &with, &arena, &callbacks, &err);
    ck_assert_msg(r == 0, "%s: %s: %s", text, err.path, err.text);
    return callbacks;
}

/* values: of the watched metric; rates: of each epoch; saves: epochs (from 0) after which the model
 * is saved. */
static const struct history {
    const char *callback, *metric;
    int n;
    double values[EPOCHS_MAX];
    int stop; /* epoch (from 0), -1: not */
    double rates[EPOCHS_MAX];
    const char *saves;
} histories[] = {
    {"{\"EarlyStopping\": {\"patience\": 2}}",
     "val_loss",
     5,
     {1, 0.9, 0.95, 0.92, 0.8},
     3,
     {0.5, 0.5, 0.5, 0.5},
     ""},
    {"{\"EarlyStopping\": {\"patience\": 1, \"min_delta\": 0.1}}",
     "val_loss",
     3,
     {1, 0.95, 0.8},
     1,
     {0.5, 0.5},
     ""},
    {"{\"EarlyStopping\": {\"patience\": 1, \"monitor\": \"val_accuracy\"}}",
     "val_accuracy",
     4,
     {0.5, 0.6, 0.55, 0.7},
     2,
     {0.5, 0.5, 0.5},
     ""},
    {"{\"EarlyStopping\": {\"patience\": 2, \"baseline\": 0.5}}",
     "val_loss",
     4,
     {0.9, 0.8, 0.7, 0.6},
     -1,
     {0.5, 0.5, 0.5, 0.5},
     ""},
    {"{\"EarlyStopping\": {\"patience\": 2, \"baseline\": 0.5}}",
     "val_loss",
     3,
     {0.9, 0.95, 0.1},
     1,
     {0.5, 0.5},
     ""},
    {"{\"EarlyStopping\": {\"patience\": 2, \"start_from_epoch\": 2}}",
     "val_loss",
     6,
     {0.1, 0.2, 0.9, 0.95, 0.96, 0.01},
     4,
     {0.5, 0.5, 0.5, 0.5, 0.5},
     ""},
    {"{\"EarlyStopping\": {}}", "val_loss", 2, {1, 1.1}, 1, {0.5, 0.5}, ""},
    {"{\"EarlyStopping\": {\"patience\": 9, \"restore_best_weights\": true}}",
     "val_loss",
     4,
     {1, 0.8, 0.9, 0.7},
     -1,
     {0.5, 0.5, 0.5, 0.5},
     "0:best-weights.keras 1:best-weights.keras 3:best-weights.keras "},
    {"{\"ReduceLROnPlateau\": {\"patience\": 2, \"factor\": 0.5}}",
     "val_loss",
     6,
     {1, 1, 1, 1, 1, 1},
     -1,
     {0.5, 0.5, 0.5, 0.25, 0.25, 0.125},
     ""},
    {"{\"ReduceLROnPlateau\": {\"patience\": 1, \"factor\": 0.5, \"cooldown\": 2}}",
     "val_loss",
     8,
     {1, 1, 1, 1, 1, 1, 1, 1},
     -1,
     {0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625},
     ""},
    {"{\"ReduceLROnPlateau\": {\"patience\": 0, \"factor\": 0.5, \"min_lr\": 0.2}}",
     "val_loss",
     5,
     {1, 2, 3, 4, 5},
     -1,
     {0.5, 0.5, 0.25, 0.2, 0.2},
     ""},
    {"{\"ReduceLROnPlateau\": {\"patience\": 1, \"factor\": 0.5, \"min_delta\": 0.1}}",
     "val_loss",
     4,
     {1, 0.95, 0.85, 0.84},
     -1,
     {0.5, 0.5, 0.25, 0.25},
     ""},
    {"{\"LearningRateScheduler\": {\"schedule\": {\"PiecewiseConstantDecay\": {\"boundaries\": "
     "[1], \"values\": [0.5, 0.25]}}}}",
     "loss",
     3,
     {1, 1, 1},
     -1,
     {0.5, 0.5, 0.25},
     ""},
    {"{\"ModelCheckpoint\": {\"filepath\": \"{epoch:02d}-{val_loss:.2f}.keras\", "
     "\"save_best_only\": true}}",
     "val_loss",
     4,
     {1, 1.5, 0.25, 0.3},
     -1,
     {0.5, 0.5, 0.5, 0.5},
     "0:01-1.00.keras 2:03-0.25.keras "},
    {"{\"ModelCheckpoint\": {\"filepath\": \"newest.keras\"}}",
     "loss",
     2,
     {1, 1.5},
     -1,
     {0.5, 0.5},
     "0:newest.keras 1:newest.keras "},
    {"{\"ModelCheckpoint\": {\"filepath\": \"b.keras\", \"save_best_only\": true, \"monitor\": "
     "\"accuracy\", \"initial_value_threshold\": 0.5}}",
     "accuracy",
     3,
     {0.4, 0.6, 0.5},
     -1,
     {0.5, 0.5, 0.5},
     "1:b.keras "},
};
enum { N_HISTORIES = sizeof(histories) / sizeof(histories[0]) };

/* Runs the history from epoch `cut` on, with what stands before it shown again. */
static void check(const struct history *row, int cut)
{
    struct callbacks *callbacks = make(row->callback);
    struct doc *history = doc_new(&arena);
    struct callback_wish shown = {0};
    char saves[512] = "";
    double rate = 0.5;
    int stop = -1;
    doc_set_list(history);
    for (int e = 0; e < row->n && stop < 0; e++) {
        struct callback_wish wish = {0};
        if (e == cut) { /* another process, that knows the history and the rate */
            callback_list_fini(callbacks);
            callbacks = make(row->callback);
            callback_list_replay(callbacks, history, &shown);
        }
        callback_list_begin(callbacks, e, &wish);
        rate = wish.rate > 0.0 ? (double)(float)wish.rate : rate;
        ck_assert_msg(rate == (double)(float)row->rates[e],
                      "%s, cut %d: epoch %d has the rate %g, not %g", row->callback, cut, e, rate,
                      row->rates[e]);
        struct doc *metrics = doc_push(history, &arena);
        doc_set_map(metrics);
        doc_put_float(metrics, &arena, row->metric, row->values[e]);
        doc_put_float(metrics, &arena, "learning_rate", rate);
        memset(&wish, 0, sizeof(wish));
        callback_list_end(callbacks, &(struct callback_epoch){e, &history->items[e], history},
                          &wish);
        rate = wish.rate > 0.0 ? (double)(float)wish.rate : rate;
        for (int i = 0; i < wish.n_saves; i++) {
            size_t n = strlen(saves);
            (void)snprintf(saves + n, sizeof(saves) - n, "%d:%s ", e, wish.saves[i]);
        }
        stop = wish.stop ? e : -1;
    }
    ck_assert_msg(stop == row->stop, "%s, cut %d: stopped after %d, not %d", row->callback, cut,
                  stop, row->stop);
    ck_assert_str_eq(saves, row->saves);
    callback_list_fini(callbacks);
}

START_TEST(does_as_keras_does)
{
    for (int cut = 0; cut <= histories[_i].n; cut++) {
        check(&histories[_i], cut);
    }
}
END_TEST

START_TEST(writes_a_table)
{
    struct callbacks *callbacks =
        make("[{\"CSVLogger\": {\"filename\": \"log.csv\"}}, \"TerminateOnNaN\"]");
    const struct doc *history =
        parse("[{\"loss\": 1, \"val_loss\": 2.5}, {\"loss\": 0.5, \"accuracy\": 0.75}]");
    struct callback_wish wish = {0};
    callback_list_end(callbacks, &(struct callback_epoch){1, &history->items[1], history}, &wish);
    ck_assert_int_eq(wish.n_files, 1);
    ck_assert_str_eq(wish.files[0].name, "log.csv");
    ck_assert_mem_eq(wish.files[0].text->data,
                     "epoch,accuracy,loss,val_loss\n0,NA,1,2.5\n1,0.75,0.5,NA\n",
                     wish.files[0].text->size);
    callback_list_fini(callbacks);
}
END_TEST

static const struct {
    const char *callbacks, *optimizer, *path, *text;
} refused[] = {
    {"[\"EarlyStoping\"]", NULL, "fit.callbacks[0]", "did you mean 'EarlyStopping'?"},
    {"[\"TerminateOnNaN\", {\"EarlyStopping\": {\"monitor\": \"val_acuracy\"}}]", NULL,
     "fit.callbacks[1].EarlyStopping.monitor", "did you mean 'val_accuracy'?"},
    {"[{\"EarlyStopping\": {\"patience\": -1}}]", NULL, "fit.callbacks[0].EarlyStopping.patience",
     ""},
    {"{\"EarlyStopping\": {\"baseline\": \"low\"}}", NULL, "fit.callbacks.EarlyStopping.baseline",
     "a number"},
    {"[{\"ReduceLROnPlateau\": {}}]",
     "{\"SGD\": {\"learning_rate\": {\"CosineDecay\": {\"initial_learning_rate\": 1, "
     "\"decay_steps\": 9}}}}",
     "fit.callbacks[0].ReduceLROnPlateau", "is a schedule"},
    {"[{\"ModelCheckpoint\": {}}]", NULL, "fit.callbacks[0].ModelCheckpoint.filepath", ""},
    {"[{\"ModelCheckpoint\": {\"filepath\": \"../x.keras\"}}]", NULL,
     "fit.callbacks[0].ModelCheckpoint.filepath", "not '/'"},
    {"[{\"ModelCheckpoint\": {\"filepath\": \"ckpt-1.keras\"}}]", NULL,
     "fit.callbacks[0].ModelCheckpoint.filepath", "uses itself"},
    {"[{\"ModelCheckpoint\": {\"filepath\": \"x.h5\"}}]", NULL,
     "fit.callbacks[0].ModelCheckpoint.filepath", "ends in .keras"},
    {"[{\"ModelCheckpoint\": {\"filepath\": \"{los}.keras\"}}]", NULL,
     "fit.callbacks[0].ModelCheckpoint.filepath", "no 'los'"},
    {"[{\"ModelCheckpoint\": {\"filepath\": \"{epoch:.2f}.keras\"}}]", NULL,
     "fit.callbacks[0].ModelCheckpoint.filepath", "whole number"},
    {"[{\"CSVLogger\": {\"filename\": \"a.csv\", \"separator\": \"\"}}]", NULL,
     "fit.callbacks[0].CSVLogger.separator", "one letter"},
};

START_TEST(refuses)
{
    const struct callback_setup with = {.model = model, .validates = true, .arena = &arena};
    struct callback_setup other = with;
    struct callbacks *callbacks;
    if (refused[_i].optimizer) {
        model_destroy(model);
        compile(refused[_i].optimizer);
        other.model = model;
    }
    int r = callback_list_read(parse(refused[_i].callbacks), &other, &arena, &callbacks, &err);
    ck_assert_msg(r < 0, "%s was taken", refused[_i].callbacks);
    ck_assert_str_eq(err.path, refused[_i].path);
    ck_assert_msg(strstr(err.text, refused[_i].text) != NULL, "%s: %s", refused[_i].callbacks,
                  err.text);
}
END_TEST

START_TEST(every_row_has_a_case)
{
    for (size_t n = 0; callback_at(n); n++) {
        bool found = strcmp(callback_at(n)->name, "CSVLogger") == 0 ||
                     strcmp(callback_at(n)->name, "TerminateOnNaN") == 0;
        for (size_t i = 0; i < N_HISTORIES; i++) {
            found = found || strstr(histories[i].callback, callback_at(n)->name) != NULL;
        }
        ck_assert_msg(found, "no history for %s", callback_at(n)->name);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("callbacks");
    TCase *tcase = tcase_create("callbacks");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, does_as_keras_does, 0, N_HISTORIES);
    tcase_add_test(tcase, writes_a_table);
    tcase_add_loop_test(tcase, refuses, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, every_row_has_a_case);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
