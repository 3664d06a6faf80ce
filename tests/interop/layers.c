/* layers - each case of tests/grad/layer_cases.h as a line of JSON for a judge: {name, config,
 * inputs, shape, weights, output}; config is what a .keras file holds. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "tests/grad/layer_cases.h"
#include "trainer/single.h"

static size_t count_of(const struct shape *shape)
{
    int64_t count = 0;
    return shape_count(shape, &count) < 0 ? 0 : (size_t)count;
}

static void put_floats(const float *values, size_t n)
{
    (void)printf("[");
    for (size_t i = 0; i < n; i++) {
        (void)printf("%s%.9g", i ? "," : "", (double)values[i]);
    }
    (void)printf("]");
}

static void put_shape(const struct shape *shape)
{
    (void)printf("[");
    for (int i = 0; i < shape->rank; i++) {
        (void)printf("%s%lld", i ? "," : "", (long long)shape->d[i]);
    }
    (void)printf("]");
}

static void put_weights(const struct layer *layer)
{
    (void)printf("{");
    for (int v = 0, n = 0; v < layer->n_vars; v++) {
        if (layer->vars[v].dtype == DTYPE_F32) {
            (void)printf("%s\"%s\":", n++ ? "," : "", layer->vars[v].name);
            put_floats(layer->vars[v].data, layer->vars[v].count);
        }
    }
    (void)printf("}");
}

/* No initializer's zeros and ones: a weight that got lost would not be missed. Variances stay
 * positive. */
static void fill(float *values, size_t n, const char *name)
{
    struct rng rng;
    rng_init(&rng, 7, rng_id(name), 0, 0);
    for (size_t i = 0; i < n; i++) {
        values[i] =
            strstr(name, "variance") ? rng_range(&rng, 0.5F, 2.0F) : rng_range(&rng, -1.0F, 1.0F);
    }
}

static void put_config(const struct layer *layer, struct arena *arena)
{
    struct buf text = {0};
    struct doc *config = doc_new(arena);
    layer_config(layer, config, arena);
    doc_write_json(config, 0, &text);
    (void)fwrite(text.data, 1, text.size, stdout);
    buf_fini(&text);
}

static int put_case(const struct layer_case *row, struct arena *arena, struct err *err)
{
    struct single_layer *single;
    struct doc *config;
    struct shape inputs[LAYER_CASE_INPUTS] = {row->input, row->input, row->input};
    const float *x[LAYER_CASE_INPUTS];
    int n = row->n_inputs ? row->n_inputs : 1;
    int r =
        doc_read_json(row->config, strlen(row->config), &doc_limits_default, arena, &config, err);
    r = r < 0 ? r : single_layer_create(row->layer, config, inputs, n, "auto", arena, &single, err);
    if (r < 0) {
        return r;
    }
    (void)printf("{\"name\":\"%s\",\"options\":%s,\"shape\":", row->layer, row->config);
    put_shape(&row->input);
    (void)printf(",\"inputs\":[");
    for (int k = 0; k < n; k++) {
        char name[8] = {'x', (char)('0' + k)};
        float *values = arena_array(arena, count_of(&row->input), sizeof(float));
        fill(values, count_of(&row->input), name);
        x[k] = values;
        (void)printf("%s", k ? "," : "");
        put_floats(values, count_of(&row->input));
    }
    struct layer *layer = single_layer_layer(single);
    for (int v = 0; v < layer->n_vars; v++) {
        if (layer->vars[v].dtype == DTYPE_F32) {
            fill(layer->vars[v].data, layer->vars[v].count, layer->vars[v].name);
        }
    }
    (void)printf("],\"config\":");
    put_config(layer, arena);
    (void)printf(",\"weights\":");
    put_weights(layer);
    struct shape output = single_layer_output(single);
    (void)printf(",\"output_shape\":");
    put_shape(&output);
    (void)printf(",\"output\":");
    put_floats(single_layer_forward(single, x, false, 1, 0), count_of(&output));
    (void)printf("}\n");
    single_layer_destroy(single);
    return 0;
}

int main(void)
{
    for (size_t i = 0; i < N_LAYER_CASES; i++) {
        struct arena arena;
        struct err err = {0};
        arena_init(&arena);
        int r = put_case(&layer_cases[i], &arena, &err);
        arena_fini(&arena);
        if (r < 0) {
            (void)fprintf(stderr, "%s %s: %s: %s\n", layer_cases[i].layer, layer_cases[i].config,
                          err.path, err.text);
            return 1;
        }
    }
    return 0;
}
