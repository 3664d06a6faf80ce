/* Shapes: output lengths of windows, and networks layer by layer with their parameters. */
#include <stdio.h>
#include <string.h>

#include "tests/golden/golden.h"
#include "trainer/layer/layer.h"

/* The layer read and inferred, without memory for its variables. */
static int infer(struct golden_case *c, const char *class_name, const struct doc *config,
                 const struct shape *input, struct layer **ret, struct err *err)
{
    const struct layer_desc *desc;
    struct shape *shape = ARENA_NEW(c->arena, struct shape);
    *shape = *input;
    int r = layer_find(class_name, &desc, err);
    r = r < 0 ? r : layer_read(desc, config, "shapes", c->arena, ret, err);
    return r < 0 ? r : layer_infer(*ret, shape, 1, c->arena, err);
}

static void put_pair(struct golden_case *c, struct doc *config, const char *key, int64_t a,
                     int64_t b)
{
    struct doc *list = doc_put(config, c->arena, key);
    doc_set_list(list);
    doc_set_int(doc_push(list, c->arena), a);
    doc_set_int(doc_push(list, c->arena), b);
}

/* -- rows of lengths: one axis of a layer with two ------------------------------------------- */

static int64_t cell(const struct doc *columns, const struct doc *row, const char *name,
                    int64_t fallback)
{
    for (size_t i = 0; i < columns->n && row->type == DOC_LIST && i < row->n; i++) {
        const struct doc *column = &columns->items[i];
        if (column->type == DOC_STR && strcmp(column->str, name) == 0) {
            return row->items[i].type == DOC_INT ? row->items[i].i : fallback;
        }
    }
    return fallback;
}

static const char *padding_of(const struct doc *row)
{
    for (size_t i = 0; row->type == DOC_LIST && i < row->n; i++) {
        if (row->items[i].type == DOC_STR) {
            return row->items[i].str;
        }
    }
    return "";
}

static bool check_length(struct golden_case *c, const char *class_name, const char *window,
                         const struct doc *row)
{
    const struct doc *columns = doc_get(c->doc, "columns");
    struct doc *config = doc_new(c->arena);
    struct layer *layer;
    struct err err = {0};
    int64_t n = cell(columns, row, "n", -1), want = cell(columns, row, "out", -1);
    struct shape input = {.rank = 3, .d = {n, 1, 1}};
    bool is_conv = strcmp(class_name, "Conv2D") == 0;
    doc_set_map(config);
    put_pair(c, config, is_conv ? "kernel_size" : "pool_size", cell(columns, row, window, -1), 1);
    put_pair(c, config, "strides", cell(columns, row, "stride", 1), 1);
    doc_put_str(config, c->arena, "padding", padding_of(row));
    if (is_conv) {
        doc_put_int(config, c->arena, "filters", 1);
        put_pair(c, config, "dilation_rate", cell(columns, row, "dilation", 1), 1);
    }
    if (infer(c, class_name, config, &input, &layer, &err) < 0) {
        golden_fail(c, "%lld cells: %s: %s", (long long)n, err.path, err.text);
        return false;
    }
    if (layer->output.d[0] != want) {
        golden_fail(c, "%lld cells give %lld, want %lld", (long long)n,
                    (long long)layer->output.d[0], (long long)want);
        return false;
    }
    return true;
}

static enum golden_verdict run_lengths(struct golden_case *c, const char *class_name,
                                       const char *window)
{
    const struct doc *columns = doc_get(c->doc, "columns"), *rows = doc_get(c->doc, "rows");
    if (!columns || columns->type != DOC_LIST || !rows || rows->type != DOC_LIST || rows->n == 0) {
        return golden_fail(c, "no rows");
    }
    for (size_t i = 0; i < rows->n; i++) {
        if (!check_length(c, class_name, window, &rows->items[i])) {
            return GOLDEN_FAILED;
        }
    }
    return GOLDEN_PASSED;
}

static enum golden_verdict run_conv_lengths(struct golden_case *c)
{
    return run_lengths(c, "Conv2D", "kernel");
}

static enum golden_verdict run_pool_lengths(struct golden_case *c)
{
    return run_lengths(c, "MaxPooling2D", "pool");
}

/* -- layers with their parameters ------------------------------------------------------------ */

/* [null, 28, 28, 6], or without the batch. */
static bool is_shape(const struct doc *want, const struct shape *got)
{
    size_t batch = want && want->type == DOC_LIST && want->n == (size_t)got->rank + 1 ? 1 : 0;
    if (!want || want->type != DOC_LIST || want->n != (size_t)got->rank + batch) {
        return false;
    }
    for (int i = 0; i < got->rank; i++) {
        const struct doc *size = &want->items[(size_t)i + batch];
        if (size->type != DOC_INT || size->i != got->d[i]) {
            return false;
        }
    }
    return true;
}

static bool check_layer(struct golden_case *c, const char *name, const struct layer *layer,
                        const struct doc *want)
{
    char shape[96];
    shape_format(&layer->output, shape, sizeof shape);
    if (!is_shape(doc_get(want, "output_shape"), &layer->output)) {
        golden_fail(c, "%s: another shape than %s", name, shape);
        return false;
    }
    int64_t params = doc_int(want, "params", -1);
    if (layer_parameters(layer) != params) {
        golden_fail(c, "%s: %lld parameters, want %lld", name, (long long)layer_parameters(layer),
                    (long long)params);
        return false;
    }
    return true;
}

static bool read_shape(const struct doc *doc, struct shape *ret)
{
    if (!doc || doc->type != DOC_LIST || doc->n > SHAPE_RANK_MAX) {
        return false;
    }
    *ret = (struct shape){.rank = (int)doc->n};
    for (size_t i = 0; i < doc->n; i++) {
        ret->d[i] = doc->items[i].type == DOC_INT ? doc->items[i].i : -1;
    }
    return true;
}

static enum golden_verdict run_exercise(struct golden_case *c)
{
    const struct doc *rows = doc_get(c->doc, "rows");
    for (size_t i = 0; rows && rows->type == DOC_LIST && i < rows->n; i++) {
        const struct doc *row = &rows->items[i], *out = doc_get(row, "output_shape");
        struct doc *config = doc_new(c->arena);
        struct shape input, output;
        struct layer *layer;
        struct err err = {0};
        if (!read_shape(doc_get(row, "input"), &input) || !read_shape(out, &output) ||
            output.rank < 1) {
            return golden_fail(c, "row %zu has no shapes", i);
        }
        doc_set_map(config);
        doc_put_int(config, c->arena, "filters", output.d[output.rank - 1]);
        doc_put_int(config, c->arena, "kernel_size", doc_int(row, "kernel", -1));
        doc_put_int(config, c->arena, "strides", doc_int(row, "stride", 1));
        doc_put_str(config, c->arena, "padding", doc_str(row, "padding", ""));
        if (infer(c, c->layer, config, &input, &layer, &err) < 0) {
            return golden_fail(c, "row %zu: %s: %s", i, err.path, err.text);
        }
        if (!check_layer(c, "row", layer, row)) {
            return GOLDEN_FAILED;
        }
    }
    return rows && rows->n > 0 ? GOLDEN_PASSED : golden_fail(c, "no rows");
}

/* -- networks. A case records what layers give, not their options: those stand here. --------- */

struct step {
    const char *class_name, *config; /* ' for " */
};
#define CONV(f, k, more)                                         \
    {                                                            \
        "Conv2D", "{'filters':" #f ",'kernel_size':" #k more "}" \
    }
#define SAME ",'padding':'same'"
#define POOL(p, s)                                              \
    {                                                           \
        "MaxPooling2D", "{'pool_size':" #p ",'strides':" #s "}" \
    }
#define HALF                                  \
    {                                         \
        "AveragePooling2D", "{'pool_size':2}" \
    }
#define FLAT            \
    {                   \
        "Flatten", "{}" \
    }
#define FULL(u)                     \
    {                               \
        "Dense", "{'units':" #u "}" \
    }
#define DROP                      \
    {                             \
        "Dropout", "{'rate':0.5}" \
    }
#define CONV2(f)  CONV(f, 3, SAME), CONV(f, 3, SAME)
#define HEAD      FLAT, FULL(4096), FULL(4096), FULL(1000)
#define HEAD_DROP FLAT, FULL(4096), DROP, FULL(4096), DROP, FULL(1000)
#define POOL2     POOL(2, 2)

static const struct step lenet5_28[] = {
    CONV(6, 5, SAME), HALF, CONV(16, 5, ""), HALF, CONV(120, 5, ""), FLAT, FULL(84), FULL(10), {0}};
static const struct step lenet5_32[] = {
    CONV(6, 5, ""), HALF, CONV(16, 5, ""), HALF, CONV(120, 5, ""), FLAT, FULL(84), FULL(10), {0}};
static const struct step alexnet[] = {CONV(96, 11, ",'strides':4"),
                                      POOL(3, 2),
                                      CONV(256, 5, SAME),
                                      POOL(3, 2),
                                      CONV(384, 3, SAME),
                                      CONV(384, 3, SAME),
                                      CONV(256, 3, SAME),
                                      POOL(3, 2),
                                      HEAD_DROP,
                                      {0}};
static const struct step alexnet_grouped[] = {CONV(96, 11, ",'strides':4"),
                                              POOL(3, 2),
                                              CONV(256, 5, SAME ",'groups':2"),
                                              POOL(3, 2),
                                              CONV(384, 3, SAME),
                                              CONV(384, 3, SAME ",'groups':2"),
                                              CONV(256, 3, SAME ",'groups':2"),
                                              POOL(3, 2),
                                              HEAD_DROP,
                                              {0}};
static const struct step vgg16[] = {CONV2(64), POOL2,      CONV2(128),
                                    POOL2,     CONV2(256), CONV(256, 3, SAME),
                                    POOL2,     CONV2(512), CONV(512, 3, SAME),
                                    POOL2,     CONV2(512), CONV(512, 3, SAME),
                                    POOL2,     HEAD,       {0}};
static const struct step vgg19[] = {CONV2(64),  POOL2,      CONV2(128), POOL2,      CONV2(256),
                                    CONV2(256), POOL2,      CONV2(512), CONV2(512), POOL2,
                                    CONV2(512), CONV2(512), POOL2,      HEAD,       {0}};

static const struct {
    const char *name;
    struct shape input;
    const struct step *steps;
} networks[] = {
    {"summary_lenet5_28", {3, {28, 28, 1}}, lenet5_28},
    {"summary_lenet5_32", {3, {32, 32, 1}}, lenet5_32},
    {"summary_alexnet_227", {3, {227, 227, 3}}, alexnet},
    {"summary_alexnet_grouped", {3, {227, 227, 3}}, alexnet_grouped},
    {"summary_vgg16", {3, {224, 224, 3}}, vgg16},
    {"summary_vgg19", {3, {224, 224, 3}}, vgg19},
};

static const struct doc *config_of(struct golden_case *c, const struct step *step)
{
    char *text = arena_strdup(c->arena, step->config);
    struct doc *doc = NULL;
    struct err err = {0};
    for (char *p = text; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    BUG_ON(doc_read_json(text, strlen(text), &doc_limits_default, c->arena, &doc, &err) < 0);
    return doc;
}

static enum golden_verdict run_network(struct golden_case *c, const struct step *steps,
                                       const struct shape *input)
{
    const struct doc *layers = doc_get(c->doc, "layers");
    struct shape shape = *input;
    struct err err = {0};
    int64_t total = 0;
    for (size_t i = 0; layers && layers->type == DOC_LIST && i < layers->n; i++) {
        const struct doc *want = &layers->items[i];
        const char *class_name = doc_str(want, "class", ""), *name = doc_str(want, "name", "");
        struct layer *layer;
        if (strcmp(class_name, "InputLayer") == 0) {
            continue;
        }
        if (!steps->class_name || strcmp(steps->class_name, class_name) != 0) {
            return golden_fail(c, "%s is no %s", name, steps->class_name);
        }
        if (infer(c, class_name, config_of(c, steps), &shape, &layer, &err) < 0) {
            return golden_fail(c, "%s: %s: %s", name, err.path, err.text);
        }
        if (!check_layer(c, name, layer, want)) {
            return GOLDEN_FAILED;
        }
        total += layer_parameters(layer);
        shape = layer->output;
        steps++;
    }
    if (steps->class_name || total != doc_int(c->doc, "total_params", -1)) {
        return golden_fail(c, "%lld parameters in all", (long long)total);
    }
    return GOLDEN_PASSED;
}

static enum golden_verdict run_summary(struct golden_case *c)
{
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        if (strcmp(networks[i].name, c->name) == 0) {
            return run_network(c, networks[i].steps, &networks[i].input);
        }
    }
    return golden_skip(c, "a network of layers that are not there yet, or unknown here");
}

const struct golden_class golden_shapes_classes[] = {
    {"shapes", "Conv1D", run_conv_lengths, false},
    {"shapes", "MaxPooling1D", run_pool_lengths, false},
    {"shapes", "Conv2D", run_exercise, false},
    {"shapes", "Functional", run_summary, false},
    {"shapes", "Sequential", run_summary, false},
    {NULL, NULL, NULL, false},
};
