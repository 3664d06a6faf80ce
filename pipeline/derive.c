#include "pipeline/derive.h"

#include <stdio.h>
#include <string.h>

enum { ROWS_MAX = 1 << 20 };

struct nested {
    const char *dataset, *split;
    const struct doc *source, *pipeline;
};
static const struct opt nested_options[] = {
    OPT_STR_ROW(nested, dataset, NULL, "A data set of the store.", .flags = OPT_REQUIRED),
    OPT_STR_ROW(nested, split, NULL, "Its split; without: all of it.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(nested, source, "How it is read, as in data.train.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(nested, pipeline, "Stages of its own.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

int derive_open(struct derive *derive, const struct doc *doc, const char *at, struct stream **ret,
                struct err *err)
{
    struct pool *pool = derive->pool;
    struct nested nested = {0};
    struct source *source = NULL;
    int r = opt_read(nested_options, &nested, doc, pool->arena, err);
    if (r == 0) {
        const struct job_stream data = {
            .dataset = nested.dataset, .split = nested.split, .source = nested.source};
        r = pool_open(pool, &data, &source, err);
    }
    if (r == 0) {
        struct stream_want want = *derive->want;
        want.stages = nested.pipeline;
        want.path = arena_printf(pool->arena, "%s.%s.pipeline", derive->path, at);
        want.is_inner = true;
        want.is_unbatched = false;
        *ret = pool_stream(pool);
        r = stream_compile(*ret, source, &want, pool, err);
    }
    if (r < 0) {
        err_prefix(err, "%s", at);
    }
    return r;
}

int derive_open_list(struct derive *derive, const struct doc *list, struct stream **streams, int *n,
                     int max, struct err *err)
{
    if (list->type != DOC_LIST || list->n == 0) {
        return err_set_at(err, ERR_INVALID, "datasets",
                          "takes a list of {dataset, split, pipeline}");
    }
    if (list->n > (size_t)(max - *n)) {
        return err_set_at(err, ERR_LIMIT, "datasets", "more than %d streams", max - *n);
    }
    for (size_t i = 0; i < list->n; i++) {
        char at[32];
        (void)snprintf(at, sizeof at, "datasets[%zu]", i);
        int r = derive_open(derive, &list->items[i], at, &streams[*n], err);
        if (r < 0) {
            return r;
        }
        (*n)++;
    }
    return 0;
}

int derive_unknown_field(const struct element_spec *spec, const char *name, struct err *err)
{
    const char *names[ELEMENT_FIELDS_MAX];
    for (int i = 0; i < spec->n; i++) {
        names[i] = spec->fields[i].name;
    }
    const char *nearest = err_nearest(name, names, (size_t)spec->n);
    return err_set(err, ERR_UNKNOWN, "there is no field '%.64s'%s%s%s", name,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

int derive_fields(const struct element_spec *spec, const struct opt_strs *names, uint32_t *ret,
                  struct err *err)
{
    *ret = names->n == 0 ? (1U << spec->n) - 1 : 0;
    for (size_t i = 0; i < names->n; i++) {
        const int field = element_find(spec, names->v[i]);
        if (field < 0) {
            int r = derive_unknown_field(spec, names->v[i], err);
            err_prefix(err, "fields");
            return r;
        }
        *ret |= 1U << field;
    }
    return 0;
}

void derive_like(struct source *ret, const struct stream *in, const struct source_desc *desc,
                 void *ctx)
{
    *ret = (struct source){.desc = desc,
                           .ctx = ctx,
                           .is_fixed = in->is_fixed && !in->is_reordered,
                           .samples = in->n,
                           .spec = in->spec,
                           .classes = in->source->classes,
                           .n_classes = in->source->n_classes};
}

int derive_check_end(const struct stream *in, const char *what, struct err *err)
{
    return in->n == STAGE_ENDLESS
               ? err_set(err, ERR_UNSUPPORTED,
                         "the stream before it has no end; put repeat behind %s", what)
               : 0;
}

static int not_alike(const struct element_field *a, const struct element_field *b, struct err *err)
{
    char x[128], y[128];
    op_shape_text(&a->spec, x, sizeof x);
    op_shape_text(&b->spec, y, sizeof y);
    return err_set(err, ERR_SHAPE, "one stream has field '%s', %s, the other '%s', %s", a->name, x,
                   b->name, y);
}

static int merge_classes(struct source *a, const struct source *b, struct err *err)
{
    for (int64_t i = 0; i < a->n_classes && i < b->n_classes; i++) {
        if (strcmp(a->classes[i], b->classes[i]) != 0) {
            return err_set(err, ERR_DATA, "class %lld is '%s' in one stream, '%s' in the other",
                           (long long)i, a->classes[i], b->classes[i]);
        }
    }
    if ((a->n_classes == 0) != (b->n_classes == 0)) {
        return err_set(err, ERR_DATA, "the labels of one stream are classes, of the other not");
    }
    if (b->n_classes > a->n_classes) {
        a->n_classes = b->n_classes;
        a->classes = b->classes;
    }
    return 0;
}

int derive_merge(struct source *ret, const struct stream *other, struct err *err)
{
    struct element_spec *a = &ret->spec;
    const struct element_spec *b = &other->spec;
    ret->is_fixed = ret->is_fixed && other->is_fixed && !other->is_reordered;
    if (a->n != b->n) {
        return err_set(err, ERR_SHAPE, "one stream has %d fields, the other %d", a->n, b->n);
    }
    for (int i = 0; i < a->n; i++) {
        struct element_field *x = &a->fields[i];
        const struct element_field *y = &b->fields[i];
        if (strcmp(x->name, y->name) != 0 || x->spec.dtype != y->spec.dtype ||
            x->spec.shape.rank != y->spec.shape.rank) {
            return not_alike(x, y, err);
        }
        for (int k = 0; k < x->spec.shape.rank; k++) {
            if (x->spec.shape.d[k] != y->spec.shape.d[k]) {
                x->spec.shape.d[k] = -1;
            }
        }
        x->is_varying = x->is_varying || y->is_varying;
    }
    return merge_classes(ret, other->source, err);
}

int derive_add_field(struct element_spec *spec, const struct element_field *field, struct err *err)
{
    if (spec->n == ELEMENT_FIELDS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d fields", ELEMENT_FIELDS_MAX);
    }
    if (element_find(spec, field->name) >= 0) {
        return err_set(err, ERR_EXISTS, "there is a field '%s' already", field->name);
    }
    element_add(spec, field);
    return 0;
}

int64_t derive_trace(const struct stream *in, const struct stage_place *place)
{
    struct stream_places places;
    stream_places_of(in, place, &places);
    return source_trace(in->source, &places.at[0]);
}

int derive_stack_spec(const struct element_spec *in, int64_t rows, struct element_spec *ret,
                      struct err *err)
{
    *ret = *in;
    for (int i = 0; i < ret->n; i++) {
        struct shape *shape = &ret->fields[i].spec.shape;
        if (shape->rank == SHAPE_RANK_MAX) {
            return err_set(err, ERR_LIMIT,
                           "field '%s' has %d dimensions already, the most there are",
                           ret->fields[i].name, SHAPE_RANK_MAX);
        }
        if (ret->fields[i].is_varying) {
            return err_set(err, ERR_SHAPE,
                           "field '%s' may have another size in each sample; put Resizing before",
                           ret->fields[i].name);
        }
        memmove(shape->d + 1, shape->d, (size_t)shape->rank * sizeof *shape->d);
        shape->d[0] = rows;
        shape->rank++;
    }
    return 0;
}

void derive_stack_begin(struct derive_stack *stack, int64_t max)
{
    stack->rows = 0;
    stack->max = max;
}

int derive_stack_add(struct derive_stack *stack, const struct element_spec *spec,
                     const struct element *element, struct err *err)
{
    BUG_ON(stack->rows == stack->max);
    for (int i = 0; i < spec->n; i++) {
        const struct tensor *x = &element->fields[i];
        if (stack->rows == 0) {
            size_t all;
            if (shape_bytes(&x->shape, x->dtype, &stack->bytes[i]) < 0 ||
                __builtin_mul_overflow(stack->bytes[i], (size_t)stack->max, &all) ||
                all > (size_t)1 << 30) {
                return err_set(err, ERR_LIMIT, "%lld elements side by side are too large",
                               (long long)stack->max);
            }
            stack->shape[i] = x->shape;
            stack->dtype[i] = x->dtype;
            (void)op_scratch_need(&stack->fields[i], all + 1);
        } else if (!shape_equal(&x->shape, &stack->shape[i])) {
            char a[96], b[96];
            shape_format(&x->shape, a, sizeof a);
            shape_format(&stack->shape[i], b, sizeof b);
            return err_set(err, ERR_SHAPE, "field '%s' is %s, in the element before it %s",
                           spec->fields[i].name, a, b);
        }
        memcpy((unsigned char *)stack->fields[i].data + (size_t)stack->rows * stack->bytes[i],
               x->data, stack->bytes[i]);
    }
    stack->rows++;
    return 0;
}

void derive_stack_end(const struct derive_stack *stack, const struct element_spec *spec,
                      struct element *ret)
{
    for (int i = 0; i < spec->n; i++) {
        struct tensor *x = &ret->fields[i];
        *x = (struct tensor){.dtype = stack->dtype[i], .data = stack->fields[i].data};
        x->shape.rank = stack->shape[i].rank + 1;
        x->shape.d[0] = stack->rows;
        memcpy(x->shape.d + 1, stack->shape[i].d,
               (size_t)stack->shape[i].rank * sizeof x->shape.d[0]);
    }
}

void derive_stack_fini(struct derive_stack *stack)
{
    for (int i = 0; i < ELEMENT_FIELDS_MAX; i++) {
        op_scratch_fini(&stack->fields[i]);
    }
}

struct windows {
    struct stream *in;
    struct derive_window window;
    struct derive_stack stack;
};

static int64_t rows_of(const struct windows *k, int64_t position)
{
    const int64_t first = position * k->window.shift;
    if (k->in->n == STAGE_ENDLESS) {
        return k->window.size;
    }
    const int64_t left = (k->in->n - first - 1) / k->window.stride + 1;
    return left < k->window.size ? left : k->window.size;
}

static int read_window(struct source *source, const struct stage_place *place,
                       const struct source_call *call, struct element *ret, struct err *err)
{
    struct windows *k = source->ctx;
    const int64_t rows = rows_of(k, place->position);
    struct stage_place at = *place;
    int64_t first = -1;
    derive_stack_begin(&k->stack, rows);
    for (int64_t i = 0; i < rows; i++) {
        at.position = place->position * k->window.shift + i * k->window.stride;
        int r = stream_get(k->in, &at, call, ret, err);
        r = r < 0 ? r : derive_stack_add(&k->stack, &k->in->spec, ret, err);
        if (r < 0) {
            return r;
        }
        first = i == 0 ? ret->sample : first;
    }
    derive_stack_end(&k->stack, &k->in->spec, ret);
    ret->sample = first;
    return 0;
}

static int64_t trace_window(const struct source *source, const struct stage_place *place)
{
    const struct windows *k = source->ctx;
    const struct stage_place at = {place->iteration, place->position * k->window.shift};
    return derive_trace(k->in, &at);
}

static void close_window(struct source *source)
{
    struct windows *k = source->ctx;
    derive_stack_fini(&k->stack);
}

static int64_t length_window(const struct source *source, const struct stage_place *place)
{
    return rows_of(source->ctx, place->position);
}

static const struct source_desc windows_desc = {.name = "window",
                                                .read = read_window,
                                                .trace = trace_window,
                                                .length = length_window,
                                                .close = close_window};

/* Windows that begin before the end; of these only the full ones if drop_remainder. */
static int64_t count_windows(const struct derive_window *w, int64_t n)
{
    if (n == STAGE_ENDLESS) {
        return n;
    }
    if (!w->drop_remainder) {
        return (n - 1) / w->shift + 1;
    }
    const int64_t span = (w->size - 1) * w->stride + 1;
    return n < span ? 0 : (n - span) / w->shift + 1;
}

int derive_window(struct derive *derive, const struct derive_window *window, struct source *ret,
                  struct err *err)
{
    struct windows *k = ARENA_NEW(derive->pool->arena, struct windows);
    int64_t span;
    k->in = derive->in;
    k->window = *window;
    if (__builtin_mul_overflow(window->size, window->stride, &span) || window->size > ROWS_MAX) {
        return err_set(err, ERR_LIMIT, "a window of %lld elements, %lld apart, is too large",
                       (long long)window->size, (long long)window->stride);
    }
    derive_like(ret, k->in, &windows_desc, k);
    ret->samples = count_windows(window, k->in->n);
    if (ret->samples == 0) {
        return err_set(err, ERR_DATA, "nothing is left: %lld elements do not fill one window",
                       (long long)k->in->n);
    }
    const bool is_full =
        ret->samples == STAGE_ENDLESS || rows_of(k, ret->samples - 1) == window->size;
    return derive_stack_spec(&k->in->spec, is_full ? window->size : -1, &ret->spec, err);
}
