/* Whole models: training runs step by step, and model files of Keras. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/golden/golden.h"
#include "tests/golden/golden_npz.h"
#include "trainer/keras/keras_file.h"
#include "trainer/model.h"

enum { FILE_BYTES_MAX = 512 << 20 };

static int load_keras(struct golden_case *c, const char *name, struct keras_file *ret,
                      struct err *err)
{
    int fd = open(arena_printf(c->arena, "%s/%s", c->folder, name), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, ERR_NOT_FOUND, "no file '%s'", name);
    }
    int r = keras_file_load(fd, FILE_BYTES_MAX, c->arena, ret, err);
    close(fd);
    return r;
}

/* Every tensor of the model is overwritten from the file. */
static int take_weights(struct model *model, const struct keras_file *file, struct err *err)
{
    int n;
    const struct model_tensor *tensors = model_tensors(model, &n);
    for (int i = 0; i < n; i++) {
        const struct model_tensor *t = &tensors[i];
        const struct keras_tensor *from = keras_file_weight(file, t->h5_path, t->h5_name);
        size_t bytes;
        if (strncmp(t->h5_path, "optimizer/", 10) == 0) {
            continue;
        }
        if (from == NULL || from->dtype != t->dtype || !shape_equal(&from->shape, &t->shape) ||
            shape_bytes(&t->shape, t->dtype, &bytes) < 0) {
            return err_set(err, ERR_SHAPE, "tensor '%s' is not in the file as it should be",
                           t->h5_path);
        }
        memcpy(t->data, from->data, bytes);
    }
    return 0;
}

/* "mse", "SparseCategoricalCrossentropy(from_logits=True)" -> a name or {Name: {from_logits:
 * true}}. */
static void put_loss(struct golden_case *c, struct doc *compile, const char *text)
{
    const char *bracket = strchr(text, '(');
    struct doc *loss = doc_put(compile, c->arena, "loss");
    if (bracket == NULL) {
        doc_set_str(loss, c->arena, text);
        return;
    }
    doc_set_map(loss);
    struct doc *options =
        doc_put(loss, c->arena, arena_strndup(c->arena, text, (size_t)(bracket - text)));
    doc_set_map(options);
    doc_put_bool(options, c->arena, "from_logits", strstr(bracket, "from_logits=True") != NULL);
}

static const struct doc *compile_doc(struct golden_case *c)
{
    const struct doc *config = doc_get(c->doc, "config");
    const struct doc *optimizer = doc_get(config, "optimizer");
    struct doc *compile = doc_new(c->arena);
    doc_set_map(compile);
    struct doc *named = doc_put(compile, c->arena, "optimizer");
    doc_set_map(named);
    struct doc *options = doc_put(named, c->arena, doc_str(optimizer, "class", ""));
    doc_set_map(options);
    if (doc_get(optimizer, "config") != NULL) {
        doc_copy(options, c->arena, doc_get(optimizer, "config"));
    }
    put_loss(c, compile, doc_str(config, "loss", ""));
    return compile;
}

static struct model_input input_of(const char *name, const struct tensor *batch)
{
    struct model_input input = {
        .name = name, .dtype = batch->dtype, .shape = {.rank = batch->shape.rank - 1}};
    memcpy(input.shape.d, batch->shape.d + 1, sizeof input.shape.d - sizeof input.shape.d[0]);
    return input;
}

struct training {
    struct golden_member *data;
    int n_data;
    const struct tensor *x, *holdout;
    struct tensor y;
    struct model *model;
};

static int64_t row_count(const struct tensor *t)
{
    return t->shape.d[0];
}

static size_t row_bytes(const struct tensor *t)
{
    size_t bytes = 0;
    (void)shape_bytes(&t->shape, t->dtype, &bytes);
    return bytes / (size_t)t->shape.d[0];
}

/* Labels of classes travel as int64. */
static struct tensor wide_labels(struct golden_case *c, const struct tensor *y)
{
    struct tensor wide = *y;
    int64_t n = row_count(y);
    if (y->dtype != DTYPE_I32) {
        return wide;
    }
    wide.dtype = DTYPE_I64;
    wide.data = arena_array(c->arena, (size_t)n, sizeof(int64_t));
    for (int64_t i = 0; i < n; i++) {
        ((int64_t *)wide.data)[i] = ((const int32_t *)y->data)[i];
    }
    return wide;
}

static int open_training(struct golden_case *c, struct training *t, struct err *err)
{
    struct keras_file file;
    const struct doc *files = doc_get(c->doc, "files");
    int r = golden_npz(c, doc_str(files, "data", ""), &t->data, &t->n_data, err);
    r = r < 0 ? r : load_keras(c, doc_str(files, "model", ""), &file, err);
    if (r < 0) {
        return r;
    }
    t->x = golden_npz_find(t->data, t->n_data, "x");
    t->holdout = golden_npz_find(t->data, t->n_data, "holdout");
    const struct tensor *y = golden_npz_find(t->data, t->n_data, "y");
    if (t->x == NULL || y == NULL || t->holdout == NULL) {
        return err_set(err, ERR_UNSUPPORTED, "several inputs or outputs");
    }
    t->y = wide_labels(c, y);
    struct model_input input = input_of("x", t->x);
    struct model_input label = input_of("y", &t->y);
    struct model_options options = {.model = file.config,
                                    .compile = compile_doc(c),
                                    .inputs = &input,
                                    .n_inputs = 1,
                                    .label = &label,
                                    .batch_rows = doc_int(c->doc, "batch_size", 8),
                                    .backend = c->backend,
                                    .threads = 1};
    r = model_compile(&options, c->arena, &t->model, err);
    return r < 0 ? r : take_weights(t->model, &file, err);
}

static bool check_step(struct golden_case *c, struct training *t, int64_t step, double want,
                       double atol)
{
    struct err err = {0};
    int64_t batch = doc_int(c->doc, "batch_size", 8);
    int64_t stored = doc_int(c->doc, "stored_rows", row_count(t->x));
    int64_t at = step * batch % stored;
    const void *inputs[] = {(const char *)t->x->data + (size_t)at * row_bytes(t->x)};
    const void *label = (const char *)t->y.data + (size_t)at * row_bytes(&t->y);
    if (model_train_step(t->model, inputs, label, NULL, batch, &err) < 0) {
        golden_fail(c, "step %jd: %s", (intmax_t)step, err.text);
        return false;
    }
    double got = model_loss_of_step(t->model);
    if (fabs(got - want) > atol + c->rtol * fabs(want)) {
        golden_fail(c, "step %jd: loss %.9g, want %.9g within %.3g", (intmax_t)step, got, want,
                    atol);
        return false;
    }
    return true;
}

static bool check_prediction(struct golden_case *c, struct training *t)
{
    struct err err = {0};
    struct tensor got = {.dtype = DTYPE_F32};
    const void *inputs[] = {t->holdout->data};
    const float *output;
    int64_t width;
    if (model_predict(t->model, inputs, row_count(t->holdout), &output, &width, &err) < 0) {
        golden_fail(c, "prediction: %s", err.text);
        return false;
    }
    got.shape = (struct shape){.rank = 2, .d = {row_count(t->holdout), width}};
    got.data = arena_array(c->arena, (size_t)(row_count(t->holdout) * width), sizeof(float));
    memcpy(got.data, output, (size_t)(row_count(t->holdout) * width) * sizeof(float));
    return golden_compare(c, "prediction", &got, doc_get(c->doc, "expected"), c->rtol, c->atol);
}

/* final_weight_atol is keyed by Keras's variable path; ours is that without the model's name. */
static bool check_weights(struct golden_case *c, struct training *t)
{
    struct golden_member *final;
    int n_final, n;
    struct err err = {0};
    if (golden_npz(c, doc_str(doc_get(c->doc, "files"), "final_weights", ""), &final, &n_final,
                   &err) < 0) {
        golden_fail(c, "%s", err.text);
        return false;
    }
    const struct model_tensor *tensors = model_tensors(t->model, &n);
    const struct doc *atols = doc_get(c->doc, "final_weight_atol");
    int at = 0;
    for (int i = 0; i < n && at < n_final; i++) {
        int64_t count = 0;
        if (strncmp(tensors[i].h5_path, "optimizer/", 10) == 0 || tensors[i].dtype != DTYPE_F32) {
            continue;
        }
        const char *key = NULL;
        size_t length = strlen(tensors[i].path);
        for (int k = 0; k < n_final && key == NULL; k++) {
            char path[256];
            snprintf(path, sizeof path, "%s", final[k].name);
            for (char *p = path; *p != '\0'; p++) {
                *p = *p == '|' ? '/' : *p;
            }
            size_t whole = strlen(path);
            if (whole >= length && strcmp(path + whole - length, tensors[i].path) == 0 &&
                (whole == length || path[whole - length - 1] == '/')) {
                key = arena_strdup(c->arena, path);
                at = k;
            }
        }
        if (key == NULL || shape_count(&tensors[i].shape, &count) < 0 ||
            !shape_equal(&tensors[i].shape, &final[at].array.shape)) {
            golden_fail(c, "final weights: no '%s' of that shape", tensors[i].path);
            return false;
        }
        double atol = doc_float(atols, key, c->atol);
        for (int64_t k = 0; k < count; k++) {
            double got = (double)((const float *)tensors[i].data)[k];
            double want = (double)((const float *) final[at].array.data)[k];
            if (!(fabs(got - want) <= atol + c->rtol * fabs(want))) {
                golden_fail(c, "final %s: %.9g at %jd, want %.9g within %.3g", key, got,
                            (intmax_t)k, want, atol);
                return false;
            }
        }
        at = 0;
    }
    return true;
}

static enum golden_verdict run_training(struct golden_case *c)
{
    struct training t = {0};
    struct err err = {0};
    int r = open_training(c, &t, &err);
    if (r < 0) {
        bool absent = r == ERR_UNSUPPORTED || r == ERR_UNKNOWN;
        model_destroy(t.model);
        return absent ? golden_skip(c, "%s", err.text) : golden_refused(c, &err);
    }
    const struct doc *losses = doc_get(doc_get(doc_get(c->doc, "arrays"), "loss_per_step"), "data");
    const struct doc *atols =
        doc_get(doc_get(doc_get(c->doc, "arrays"), "loss_atol_per_step"), "data");
    bool good = losses != NULL && losses->type == DOC_LIST && losses->n > 0;
    if (!good) {
        golden_fail(c, "no losses");
    }
    for (size_t i = 0; good && i < losses->n; i++) {
        double atol = atols != NULL && i < atols->n ? doc_number(&atols->items[i]) : 1e-5;
        good = check_step(c, &t, (int64_t)i, doc_number(&losses->items[i]), atol);
    }
    good = good && check_weights(c, &t) && check_prediction(c, &t);
    model_destroy(t.model);
    return good ? GOLDEN_PASSED : GOLDEN_FAILED;
}

/* The model that a file describes (`config`: of another file, for weights alone), with its weights,
 * predicts. */
static enum golden_verdict run_one_file(struct golden_case *c, const char *name,
                                        const struct tensor *x, const struct doc **config)
{
    struct keras_file file;
    struct err err = {0};
    struct training t = {.holdout = x};
    if (load_keras(c, name, &file, &err) < 0) {
        return golden_refused(c, &err);
    }
    *config = file.config != NULL ? file.config : *config;
    if (*config == NULL || x->shape.rank < 1) {
        return golden_fail(c, "%s: no config, or no batch", name);
    }
    struct model_input in = input_of("x", x);
    struct model_options options = {.model = *config,
                                    .inputs = &in,
                                    .n_inputs = 1,
                                    .batch_rows = row_count(x),
                                    .backend = c->backend,
                                    .threads = 1};
    int r = model_compile(&options, c->arena, &t.model, &err);
    if (r == ERR_UNSUPPORTED || r == ERR_UNKNOWN) {
        return golden_skip(c, "%s: %s", name, err.text);
    }
    r = r < 0 ? r : take_weights(t.model, &file, &err);
    enum golden_verdict verdict = GOLDEN_FAILED;
    if (r < 0) {
        verdict = golden_fail(c, "%s: %s", name, err.text);
    } else if (check_prediction(c, &t)) {
        verdict = GOLDEN_PASSED;
    } else {
        size_t used = strlen(c->message);
        (void)snprintf(c->message + used, sizeof c->message - used, " (%s)", name);
    }
    model_destroy(t.model);
    return verdict;
}

static enum golden_verdict run_file(struct golden_case *c)
{
    static const char *const kinds[] = {"keras", "weights_h5", "legacy_h5"};
    const struct doc *files = doc_get(c->doc, "files"), *input = doc_get(c->doc, "input"),
                     *config = NULL;
    struct tensor x;
    struct err err = {0};
    int r = input != NULL && doc_get(input, "dtype") != NULL ? golden_array(c, input, &x, &err)
                                                             : ERR_UNSUPPORTED;
    if (r == ERR_UNSUPPORTED) {
        return golden_skip(c, "several inputs, or texts");
    }
    enum golden_verdict verdict = r < 0 ? golden_fail(c, "input: %s", err.text) : GOLDEN_PASSED;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && verdict == GOLDEN_PASSED; i++) {
        const char *name = doc_str(files, kinds[i], NULL);
        verdict = name != NULL ? run_one_file(c, name, &x, &config) : verdict;
    }
    return config != NULL || verdict != GOLDEN_PASSED ? verdict : golden_fail(c, "no file");
}

const struct golden_class golden_model_classes[] = {
    {"training", "Model", run_training, true},
    {"file", "Model", run_file, true},
    {NULL, NULL, NULL, false},
};
