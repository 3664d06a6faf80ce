/* Gradients of every layer against finite differences, on each backend. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "tests/grad/layer_cases.h"
#include "tests/test.h"
#include "trainer/single.h"

enum { INPUTS = LAYER_CASE_INPUTS, PROBES = 12 };

static const char *const backends[] = {"ref", "blas", "dnnl"};
enum { N_BACKENDS = sizeof(backends) / sizeof(backends[0]) };

struct probe {
    const struct layer_case *row;
    struct arena arena;
    struct single_layer *single;
    size_t count, out_count;
    float *x[INPUTS];
    float *dy;
};

static void fill(float *values, size_t n, const char *name)
{
    struct rng rng;
    rng_init(&rng, 3, rng_id(name), 0, 0);
    for (size_t i = 0; i < n; i++) {
        values[i] = rng_range(&rng, -1.0F, 1.0F);
    }
}

static double run(struct probe *probe)
{
    const float *in[INPUTS];
    for (int k = 0; k < INPUTS; k++) {
        in[k] = probe->x[k];
    }
    const float *y = single_layer_forward(probe->single, in, true, 1, 0);
    double sum = 0.0;
    for (size_t i = 0; i < probe->out_count; i++) {
        sum += (double)y[i] * (double)probe->dy[i];
    }
    return sum;
}

static size_t count_of(const struct shape *shape)
{
    int64_t count = 0;
    ck_assert_int_eq(shape_count(shape, &count), 0);
    return (size_t)count;
}

static bool begin(struct probe *probe, const struct layer_case *row, const char *backend)
{
    struct doc *config;
    struct err err = {0};
    struct shape inputs[INPUTS];
    if (!kernel_find(backend)) {
        return false;
    }
    *probe = (struct probe){.row = row};
    arena_init(&probe->arena);
    int n = row->n_inputs ? row->n_inputs : 1;
    probe->count = count_of(&row->input);
    for (int k = 0; k < INPUTS; k++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "x%d", k);
        inputs[k] = row->input;
        probe->x[k] = arena_array(&probe->arena, probe->count, sizeof(float));
        fill(probe->x[k], probe->count, name);
    }
    ck_assert_int_eq(doc_read_json(row->config, strlen(row->config), &doc_limits_default,
                                   &probe->arena, &config, &err),
                     0);
    int r = single_layer_create(row->layer, config, inputs, n, backend, &probe->arena,
                                &probe->single, &err);
    ck_assert_msg(r == 0, "%s %s: %s: %s", row->layer, row->config, err.path, err.text);
    struct shape output = single_layer_output(probe->single);
    probe->out_count = count_of(&output);
    probe->dy = arena_array(&probe->arena, probe->out_count, sizeof(float));
    fill(probe->dy, probe->out_count, "dy");
    return true;
}

static void end(struct probe *probe)
{
    single_layer_destroy(probe->single);
    arena_fini(&probe->arena);
}

/* d sum(y dy) / d values[i], by central differences in two sizes: where they differ lies a kink. */
static bool slope(struct probe *probe, float *value, double *ret)
{
    const float old = *value;
    double slopes[2];
    for (int s = 0; s < 2; s++) {
        float h = s == 0 ? 1e-2F : 5e-3F;
        *value = old + h;
        float up = *value;
        double above = run(probe);
        *value = old - h;
        double below = run(probe);
        slopes[s] = (above - below) / ((double)up - (double)*value);
    }
    *value = old;
    *ret = slopes[1];
    return fabs(slopes[0] - slopes[1]) < 0.01 * (1.0 + fabs(slopes[1]));
}

static void compare(struct probe *probe, const char *what, float *values, const float *grad,
                    size_t count)
{
    struct rng rng;
    double tolerance = probe->row->tolerance > 0.0 ? probe->row->tolerance : 5e-3;
    rng_init(&rng, 5, rng_id(what), 0, 0);
    /* The probing forwards move the moving averages and the state; gradients were taken before. */
    float *taken = arena_array(&probe->arena, count, sizeof(float));
    memcpy(taken, grad, count * sizeof(float));
    for (int i = 0; i < PROBES; i++) {
        size_t at = (size_t)rng_below(&rng, count);
        double want, got = (double)taken[at];
        if (slope(probe, &values[at], &want)) {
            ck_assert_msg(fabs(got - want) <= tolerance * (1.0 + fabs(want)),
                          "%s %s: gradient of %s[%zu] is %g, differences say %g", probe->row->layer,
                          probe->row->config, what, at, got, want);
        }
    }
}

START_TEST(matches_differences)
{
    struct probe probe;
    if (!begin(&probe, &layer_cases[_i / N_BACKENDS], backends[_i % N_BACKENDS])) {
        return;
    }
    int n = probe.row->n_inputs ? probe.row->n_inputs : 1;
    const float *in[INPUTS] = {probe.x[0], probe.x[1], probe.x[2]};
    (void)run(&probe);
    single_layer_backward(probe.single, in, probe.dy);
    struct layer *layer = single_layer_layer(probe.single);
    /* All gradients are kept before any is compared. */
    float *grads[INPUTS + LAYER_VARS_MAX] = {NULL};
    for (int k = 0; k < n; k++) {
        grads[k] = arena_array(&probe.arena, probe.count, sizeof(float));
        memcpy(grads[k], single_layer_dx(probe.single, k), probe.count * sizeof(float));
    }
    for (int k = 0; k < n; k++) {
        compare(&probe, "input", probe.x[k], grads[k], probe.count);
    }
    for (int v = 0; v < layer->n_vars; v++) {
        if (layer->vars[v].grad) {
            compare(&probe, layer->vars[v].name, layer->vars[v].data, layer->vars[v].grad,
                    layer->vars[v].count);
        }
    }
    end(&probe);
}
END_TEST

/* An initializer that does not exist is refused under the name of its option. */
static void check_initializer(const struct layer_case *row, const char *option)
{
    struct probe probe = {.row = row};
    struct doc *config;
    struct err err = {0};
    struct shape inputs[INPUTS] = {row->input, row->input, row->input};
    arena_init(&probe.arena);
    ck_assert_int_eq(doc_read_json(row->config, strlen(row->config), &doc_limits_default,
                                   &probe.arena, &config, &err),
                     0);
    doc_put_str(config, &probe.arena, option, "no_such_initializer");
    int r = single_layer_create(row->layer, config, inputs, row->n_inputs ? row->n_inputs : 1,
                                "ref", &probe.arena, &probe.single, &err);
    if (r < 0) {
        ck_assert_msg(strstr(err.path, option) != NULL, "%s: %s is blamed for %s", row->layer,
                      err.path, option);
    }
    end(&probe);
}

START_TEST(initializers_are_named)
{
    const struct layer_desc *desc;
    ck_assert_int_eq(layer_find(layer_cases[_i].layer, &desc, NULL), 0);
    for (const struct opt *row = desc->options; row->type != OPT_END; row++) {
        if (strstr(row->name, "_initializer")) {
            check_initializer(&layer_cases[_i], row->name);
        }
    }
}
END_TEST

/* A layer that is not in the table above is not tested. */
START_TEST(covers_every_layer)
{
    for (size_t i = 0; layer_at(i); i++) {
        bool found = strcmp(layer_at(i)->name, "InputLayer") == 0;
        for (size_t c = 0; c < N_LAYER_CASES; c++) {
            found = found || strcmp(layer_cases[c].layer, layer_at(i)->name) == 0;
        }
        ck_assert_msg(found, "no gradient case for %s", layer_at(i)->name);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layer gradients");
    TCase *tcase = tcase_create("layers");
    tcase_add_loop_test(tcase, matches_differences, 0, N_LAYER_CASES * N_BACKENDS);
    tcase_add_loop_test(tcase, initializers_are_named, 0, N_LAYER_CASES);
    tcase_add_test(tcase, covers_every_layer);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
