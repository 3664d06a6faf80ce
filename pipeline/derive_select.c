/* derive_select - some elements of a stream, in an order of their own: filter, unique, ...
 *
 * A number of each element is found once, by its place in the source, and kept; which elements
 * remain is found once an iteration.
 */
#include <stdlib.h>
#include <string.h>

#include "pipeline/derive.h"

enum { SELECT_MAX = 1 << 27 };

struct select {
    struct stream *in;
    struct derive_select how;
    int64_t *keys; /* by place in the source */
    uint8_t *is_known;
    int64_t *in_order; /* keys and places of an iteration, in the order of the stream */
    uint32_t *places;
    uint32_t *list; /* what is selected */
    int64_t n_list, iteration;
};

static int find_key(struct select *k, const struct stage_place *place, int64_t base,
                    struct err *err)
{
    const struct source_call call = {0};
    struct element element;
    if (k->is_known[base]) {
        return 0;
    }
    int r = stream_get(k->in, place, &call, &element, err);
    r = r < 0 ? r : k->how.key(&k->how, &k->in->spec, &element, &k->keys[base], err);
    if (r < 0 && err_is_data(r)) {
        k->keys[base] = DERIVE_KEY_BAD; /* its reader will say what is wrong with it */
        r = 0;
    }
    k->is_known[base] = r == 0;
    return r;
}

static int make_list(struct select *k, int64_t iteration, struct err *err)
{
    for (int64_t i = 0; i < k->in->n; i++) {
        const struct stage_place place = {iteration, i};
        struct stream_places places;
        stream_places_of(k->in, &place, &places);
        const int64_t base = places.at[0].position;
        int r = find_key(k, &place, base, err);
        if (r < 0) {
            return r;
        }
        k->in_order[i] = k->keys[base];
        k->places[i] = (uint32_t)base;
    }
    k->n_list = k->how.select(&k->how, k->in_order, k->places, k->in->n, k->list);
    k->iteration = iteration;
    return k->n_list < 0 ? err_set(err, (int)k->n_list, "elements cannot be selected") : 0;
}

static int find(struct select *k, const struct stage_place *place, struct stage_place *ret,
                struct err *err)
{
    int r = place->iteration != k->iteration ? make_list(k, place->iteration, err) : 0;
    if (r == 0 && place->position >= k->n_list) {
        r = err_set(err, ERR_DATA, "the number of selected elements changes");
    }
    if (r == 0) {
        *ret = (struct stage_place){place->iteration, k->list[place->position]};
    }
    return r;
}

static int read_select(struct source *source, const struct stage_place *place,
                       const struct source_call *call, struct element *ret, struct err *err)
{
    struct select *k = source->ctx;
    struct stage_place at;
    ret->sample = -1;
    int r = find(k, place, &at, err);
    return r < 0 ? r : stream_get(k->in, &at, call, ret, err);
}

static int64_t trace_select(const struct source *source, const struct stage_place *place)
{
    struct select *k = source->ctx;
    struct stage_place at;
    return find(k, place, &at, NULL) < 0 ? -1 : derive_trace(k->in, &at);
}

static void close_select(struct source *source)
{
    struct select *k = source->ctx;
    free(k->keys);
    free(k->is_known);
    free(k->in_order);
    free(k->places);
    free(k->list);
    *k = (struct select){0};
}

static const struct source_desc select_desc = {
    .name = "select", .read = read_select, .trace = trace_select, .close = close_select};

/* As many elements must remain in every iteration, or an epoch would have no length. */
static int check_count(const struct stream *in, const struct derive_select *how, struct err *err)
{
    if (!in->is_fixed) {
        return err_set(err, ERR_UNSUPPORTED,
                       "stands behind random operations, which would let another number of "
                       "elements through in each epoch; put it before them");
    }
    if (in->is_reordered && (how->is_ordered || in->n != in->source->samples)) {
        return err_set(err, ERR_UNSUPPORTED,
                       "stands behind shuffle, which would let another number of elements through "
                       "in each epoch; put it before shuffle");
    }
    return 0;
}

int derive_select(struct derive *derive, const struct derive_select *how, struct source *ret,
                  struct err *err)
{
    struct select *k = ARENA_NEW(derive->pool->arena, struct select);
    const struct stream *in = derive->in;
    *k = (struct select){.in = derive->in, .how = *how, .iteration = -1};
    derive_like(ret, in, &select_desc, k);
    int r = derive_check_end(in, "it", err);
    r = r < 0 ? r : check_count(in, how, err);
    if (r == 0 && (in->n > SELECT_MAX || in->source->samples > SELECT_MAX)) {
        r = err_set(err, ERR_LIMIT, "more than %d elements", SELECT_MAX);
    }
    if (r < 0) {
        return r;
    }
    const size_t n = (size_t)in->n, n_base = (size_t)in->source->samples;
    k->keys = calloc(n_base, sizeof *k->keys);
    k->is_known = calloc(n_base, 1);
    k->in_order = calloc(n, sizeof *k->in_order);
    k->places = calloc(n, sizeof *k->places);
    k->list = calloc(n, sizeof *k->list);
    if (k->keys == NULL || k->is_known == NULL || k->in_order == NULL || k->places == NULL ||
        k->list == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the numbers of %zu elements", n);
    }
    r = make_list(k, 0, err);
    ret->samples = k->n_list;
    return r == 0 && k->n_list == 0 ? err_set(err, ERR_DATA, "no element is left of %zu", n) : r;
}

int derive_select_expr(struct derive *derive, const char *text, const char *row,
                       struct derive_expr *ret, struct err *err)
{
    const struct element_spec *spec = &derive->in->spec;
    struct op_spec out = {0};
    int r = expr_compile(text, spec, 0, derive->pool->arena, &ret->expr, err);
    r = r < 0 ? r : expr_check(ret->expr, spec, &out, err);
    int64_t n = 1;
    for (int i = 0; r == 0 && i < out.shape.rank; i++) {
        n = out.shape.d[i] == 1 ? n : 0;
    }
    if (r == 0 && n != 1) {
        char shape[96];
        shape_format(&out.shape, shape, sizeof shape);
        r = err_set(
            err, ERR_SHAPE,
            "gives %s values an element; it has to be one: reduce_mean(x), reduce_all(x > 0)",
            shape);
    }
    if (r == 0 && expr_is_random(ret->expr)) {
        r = err_set(err, ERR_UNSUPPORTED, "may not be random");
    }
    if (r < 0) {
        err_prefix(err, "%s", row);
    }
    return r;
}

int derive_expr_run(struct derive_expr *k, const struct element *element, double *ret,
                    struct err *err)
{
    const struct expr_key key = {0};
    union {
        bool b;
        uint8_t u8;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
    } v = {0};
    struct tensor out = {.data = &v};
    int r = expr_run(k->expr, element, &key, &out, &k->scratch, err);
    if (r == 0) {
        float as_float = 0;
        *ret = out.dtype == DTYPE_I64 ? (double)v.i64 : 0;
        if (out.dtype != DTYPE_I64) {
            op_to_floats(&out, 1, &as_float);
            *ret = (double)as_float;
        }
    }
    return r;
}

static int key_of_predicate(const struct derive_select *how, const struct element_spec *spec,
                            const struct element *element, int64_t *ret, struct err *err)
{
    double value = 0;
    (void)spec;
    int r = derive_expr_run(how->context, element, &value, err);
    *ret = value < 0 || value > 0;
    return r;
}

int derive_predicate(struct derive *derive, const char *predicate,
                     int64_t (*select)(const struct derive_select *how, const int64_t *keys,
                                       const uint32_t *places, int64_t n, uint32_t *list),
                     bool is_ordered, struct source *ret, struct err *err)
{
    struct derive_expr *expr = ARENA_NEW(derive->pool->arena, struct derive_expr);
    const struct derive_select how = {
        .key = key_of_predicate, .select = select, .context = expr, .is_ordered = is_ordered};
    int r = derive_select_expr(derive, predicate, "predicate", expr, err);
    r = r < 0 ? r : derive_select(derive, &how, ret, err);
    op_scratch_fini(&expr->scratch);
    return r;
}
