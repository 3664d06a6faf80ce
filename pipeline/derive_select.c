/* derive_select - some elements of a stream, in an order of their own: filter, unique, ...
 *
 * A number of each element is found once (column.h); which elements remain is found once an
 * iteration.
 */
#include <stdlib.h>
#include <string.h>

#include "pipeline/derive.h"

struct select {
    struct derive_select how;
    struct column keys;
    uint32_t *list; /* what is selected, of an iteration */
    int64_t n_list, iteration;
};

static int key_of(const struct column *column, const struct element *element, int64_t *ret,
                  struct err *err)
{
    const struct select *k = column->context;
    return k->how.key(&k->how, &column->in->spec, element, ret, err);
}

/* Keys and places in the source, in the order of the stream. */
struct in_order {
    int64_t *keys;
    uint32_t *places;
};

static int put_in_order(const struct select *k, int64_t iteration, struct in_order *ret,
                        struct err *err)
{
    const struct stream *in = k->keys.in;
    const size_t n = (size_t)in->n;
    ret->keys = malloc(n * sizeof *ret->keys);
    ret->places = malloc(n * sizeof *ret->places);
    if (ret->keys == NULL || ret->places == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the numbers of %zu elements", n);
    }
    for (int64_t i = 0; i < in->n; i++) {
        const struct stage_place place = {iteration, i};
        struct stream_places places;
        stream_places_of(in, &place, &places);
        ret->keys[i] = *column_at(&k->keys, &place);
        ret->places[i] = (uint32_t)places.at[0].position;
    }
    return 0;
}

static int make_list(struct select *k, int64_t iteration, struct err *err)
{
    struct in_order in = {NULL, NULL};
    int r = put_in_order(k, iteration, &in, err);
    if (r == 0) {
        k->n_list = k->how.select(&k->how, in.keys, in.places, k->keys.in->n, k->list);
        k->iteration = iteration;
        r = k->n_list < 0 ? err_set(err, (int)k->n_list, "elements cannot be selected") : 0;
    }
    free(in.keys);
    free(in.places);
    return r;
}

static int find(struct select *k, const struct stage_place *place, struct stage_place *ret,
                struct err *err)
{
    const bool is_other = k->keys.in->is_reordered && place->iteration != k->iteration;
    int r = is_other ? make_list(k, place->iteration, err) : 0;
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
    return r < 0 ? r : stream_get(k->keys.in, &at, call, ret, err);
}

static int64_t trace_select(const struct source *source, const struct stage_place *place)
{
    struct select *k = source->ctx;
    struct stage_place at;
    return find(k, place, &at, NULL) < 0 ? -1 : derive_trace(k->keys.in, &at);
}

static void close_select(struct source *source)
{
    struct select *k = source->ctx;
    column_fini(&k->keys);
    free(k->list);
    k->list = NULL;
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
    *k = (struct select){.how = *how, .iteration = -1};
    k->keys = (struct column){.in = derive->in,
                              .pool = derive->pool,
                              .what = "keys",
                              .path = derive->path,
                              .width = 1,
                              .low = how->low,
                              .high = how->high,
                              .takes_bad = true,
                              .numbers = key_of,
                              .context = k};
    derive_like(ret, in, &select_desc, k);
    int r = derive_check_end(in, "it", err);
    r = r < 0 ? r : check_count(in, how, err);
    if (r == 0 && (in->n > COLUMN_ELEMENTS_MAX || in->source->samples > COLUMN_ELEMENTS_MAX)) {
        r = err_set(err, ERR_LIMIT, "more than %d elements", COLUMN_ELEMENTS_MAX);
    }
    r = r < 0 ? r : column_make(&k->keys, 0, err);
    if (r < 0) {
        return r;
    }
    k->list = calloc((size_t)in->n, sizeof *k->list);
    r = k->list == NULL
            ? err_set(err, ERR_NO_MEMORY, "no memory for %lld elements", (long long)in->n)
            : make_list(k, 0, err);
    ret->samples = k->n_list;
    return r == 0 && k->n_list == 0
               ? err_set(err, ERR_DATA, "no element is left of %lld", (long long)in->n)
               : r;
}

int64_t derive_select_key(const struct source *select, const struct stage_place *place)
{
    const struct select *k = select->ctx;
    return *column_at(&k->keys, place);
}

int derive_select_expr(struct arena *arena, const struct element_spec *spec, const char *text,
                       const char *row, struct derive_expr *ret, struct err *err)
{
    struct op_spec out = {0};
    int r = expr_compile(text, spec, 0, arena, &ret->expr, err);
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
    const struct derive_select how = {.low = 0,
                                      .high = 1,
                                      .key = key_of_predicate,
                                      .select = select,
                                      .context = expr,
                                      .is_ordered = is_ordered};
    int r = derive_select_expr(derive->pool->arena, &derive->in->spec, predicate, "predicate", expr,
                               err);
    r = r < 0 ? r : derive_select(derive, &how, ret, err);
    op_scratch_fini(&expr->scratch);
    return r;
}
