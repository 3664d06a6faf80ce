/* Optimizers step by step, with their variables, and schedules. */
#include <string.h>

#include "tests/golden/golden.h"
#include "trainer/optimizer/optimizer.h"
#include "trainer/schedule/schedule.h"

enum { PARAMS_MAX = 8 };

struct run {
    struct optimizer *optimizer;
    struct optimizer_param params[PARAMS_MAX];
    struct tensor gradients[PARAMS_MAX], weights[PARAMS_MAX]; /* steps first */
    int n;
};

static bool has_optimizer(const char *name)
{
    for (size_t i = 0; optimizer_at(i); i++) {
        if (strcmp(optimizer_at(i)->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The cases write {class, config} where Keras has {class_name, config}. */
static void copy_config(struct golden_case *c, const struct doc *from, struct doc *to)
{
    doc_copy(to, c->arena, from);
    for (size_t i = 0; to->type == DOC_MAP && i < to->n; i++) {
        if (strcmp(to->pairs[i].key, "class") == 0) {
            to->pairs[i].key = "class_name";
        }
        if (to->pairs[i].value.type == DOC_MAP) {
            struct doc inner;
            copy_config(c, &to->pairs[i].value, &inner);
            to->pairs[i].value = inner;
        }
    }
}

static struct doc *named(struct golden_case *c)
{
    struct doc *doc = doc_new(c->arena);
    const struct doc *config = doc_get(c->doc, "config");
    doc_set_map(doc);
    struct doc *options = doc_put(doc, c->arena, c->layer);
    doc_set_map(options);
    if (config && config->type == DOC_MAP) {
        copy_config(c, config, options);
    }
    return doc;
}

static int read_params(struct golden_case *c, struct run *run, struct err *err)
{
    const struct doc *initial = doc_find(c->doc, "arrays.initial");
    const struct doc *gradients = doc_find(c->doc, "arrays.gradients");
    for (size_t i = 0; initial && initial->type == DOC_MAP && i < initial->n; i++) {
        const char *name = initial->pairs[i].key;
        struct tensor w;
        int64_t count = 0;
        int r = golden_floats(c, &initial->pairs[i].value, &w, err);
        r = r < 0 ? r : golden_floats(c, doc_get(gradients, name), &run->gradients[run->n], err);
        r = r < 0 ? r : shape_count(&w.shape, &count);
        if (r < 0 || run->n == PARAMS_MAX) {
            return r;
        }
        run->params[run->n] = (struct optimizer_param){
            .path = name, .shape = w.shape, .count = (size_t)count, .w = w.data};
        run->params[run->n].g = arena_array(c->arena, (size_t)count, sizeof(float));
        run->weights[run->n] = run->gradients[run->n];
        if (run->gradients[run->n].shape.rank < 1) {
            return err_set(err, ERR_SHAPE, "gradients without steps");
        }
        run->weights[run->n].data = arena_array(
            c->arena, (size_t)(count * run->gradients[run->n].shape.d[0]), sizeof(float));
        run->n++;
    }
    return 0;
}

/* Every gradient is its parameter's, once a step. */
static bool fits(const struct run *run)
{
    for (int p = 0; p < run->n; p++) {
        const struct shape *g = &run->gradients[p].shape;
        struct shape one = g->rank > 0 ? shape_make(g->rank - 1, g->d + 1) : *g;
        if (g->rank < 1 || g->d[0] != run->gradients[0].shape.d[0] ||
            !shape_equal(&one, &run->params[p].shape)) {
            return false;
        }
    }
    return true;
}

static void take_steps(struct run *run)
{
    int64_t steps = run->n > 0 ? run->gradients[0].shape.d[0] : 0;
    for (int64_t s = 0; s < steps; s++) {
        for (int p = 0; p < run->n; p++) {
            size_t at = (size_t)s * run->params[p].count;
            memcpy(run->params[p].g, (float *)run->gradients[p].data + at,
                   run->params[p].count * sizeof(float));
        }
        optimizer_step(run->optimizer);
        for (int p = 0; p < run->n; p++) {
            size_t at = (size_t)s * run->params[p].count;
            memcpy((float *)run->weights[p].data + at, run->params[p].w,
                   run->params[p].count * sizeof(float));
        }
    }
}

/* Paths but for the number that Keras gives to names, and values. */
static bool compare_vars(struct golden_case *c, struct run *run)
{
    const struct doc *paths = doc_find(c->doc, "state_after_call.paths.data");
    const struct doc *values = doc_find(c->doc, "state_after_call.values");
    int n;
    const struct optimizer_var *vars = optimizer_vars(run->optimizer, &n);
    if (!paths || paths->type != DOC_LIST) {
        return true;
    }
    if (paths->n != (size_t)n) {
        golden_fail(c, "%d variables, not %zu", n, paths->n);
        return false;
    }
    for (int i = 0; i < n; i++) {
        const char *got = strchr(vars[i].path, '/'), *want = strchr(paths->items[i].str, '/');
        bool generated = want && strncmp(want, "/variable", 9) == 0;
        if (!generated && (!got || !want || strcmp(got, want) != 0)) {
            golden_fail(c, "variable %d is %s, not %s", i, vars[i].path, paths->items[i].str);
            return false;
        }
        struct tensor value = {vars[i].dtype, vars[i].shape, vars[i].data};
        if (values &&
            !golden_compare(c, vars[i].path, &value, doc_at(values, (size_t)i), c->rtol, c->atol)) {
            return false;
        }
    }
    return true;
}

static bool compare_weights(struct golden_case *c, struct run *run)
{
    for (int p = 0; p < run->n; p++) {
        const struct doc *want = doc_get(doc_get(c->doc, "expected"), run->params[p].path);
        if (!golden_compare(c, run->params[p].path, &run->weights[p], want, c->rtol, c->atol)) {
            return false;
        }
    }
    if (!compare_vars(c, run)) {
        return false;
    }
    optimizer_finalize(run->optimizer);
    for (int p = 0; p < run->n; p++) {
        const char *key = arena_printf(c->arena, "after_finalize_%s", run->params[p].path);
        const struct doc *want = doc_get(doc_get(c->doc, "expected"), key);
        struct tensor got = {DTYPE_F32, run->params[p].shape, run->params[p].w};
        if (want && !golden_compare(c, key, &got, want, c->rtol, c->atol)) {
            return false;
        }
    }
    return true;
}

static enum golden_verdict run_optimizer(struct golden_case *c)
{
    struct run run = {0};
    struct err err = {0};
    if (!has_optimizer(c->layer)) {
        return golden_skip(c, "no such optimizer yet");
    }
    if (strcmp(c->name, "opt_adamw_exclude_bias") == 0) {
        return golden_skip(c, "excluding variables is a method of Keras, not an argument");
    }
    if (read_params(c, &run, &err) < 0) {
        return golden_fail(c, "arrays: %s", err.text);
    }
    if (optimizer_create(named(c), run.params, run.n, kernel_find(c->backend), c->arena,
                         &run.optimizer, &err) < 0) {
        return golden_refused(c, &err);
    }
    if (c->expected_error) {
        return golden_fail(c, "not refused");
    }
    if (run.n == 0 && strcmp(c->kind, "accepts") != 0) {
        return golden_fail(c, "no parameters");
    }
    if (!fits(&run)) {
        return golden_fail(c, "gradients of another shape than the parameters");
    }
    take_steps(&run);
    return compare_weights(c, &run) ? GOLDEN_PASSED : GOLDEN_FAILED;
}

static enum golden_verdict run_schedule(struct golden_case *c)
{
    struct schedule schedule;
    struct tensor steps;
    struct err err = {0};
    bool there = false;
    for (size_t i = 0; schedule_at(i); i++) {
        there = there || strcmp(schedule_at(i)->name, c->layer) == 0;
    }
    if (!there) {
        return golden_skip(c, "no such schedule yet");
    }
    if (schedule_read(named(c), 0.0, c->arena, &schedule, &err) < 0) {
        return golden_refused(c, &err);
    }
    if (c->expected_error) {
        return golden_fail(c, "not refused");
    }
    if (golden_floats(c, doc_get(c->doc, "input"), &steps, &err) < 0) {
        return golden_fail(c, "input: %s", err.text);
    }
    int64_t count = 0;
    (void)shape_count(&steps.shape, &count);
    for (int64_t i = 0; i < count; i++) {
        float *step = (float *)steps.data + i;
        *step = (float)schedule_rate(&schedule, (int64_t)*step);
    }
    return golden_compare(c, "rates", &steps, doc_get(c->doc, "expected"), c->rtol, c->atol)
               ? GOLDEN_PASSED
               : GOLDEN_FAILED;
}

const struct golden_class golden_optim_classes[] = {
    {"optimizer", NULL, run_optimizer, true},
    {"accepts", "SGD", run_optimizer, true},
    {"schedule", NULL, run_schedule, false},
    {NULL, NULL, NULL, false},
};
