/* derive_rows - elements cut along their first axis: unbatch, flat_map, interleave.
 *
 * Where all elements have as many rows the place of a row is arithmetic; else a table, made once an
 * iteration.
 */
#include <stdlib.h>
#include <string.h>

#include "pipeline/derive.h"

enum { TABLE_MAX = 1 << 27 }; /* of 8 bytes */

struct cut { /* a row, in the table */
    uint32_t position, row;
};
struct row_place {
    int64_t position, row;
};
struct rows {
    struct stream *in;
    int64_t cycle, block;
    int64_t each; /* rows of every element, -1 = they differ */
    struct cut *table;
    int64_t n_table, iteration; /* whose table it is */
    struct column lengths;      /* where they are not arithmetic */
    /* The element read last: its rows come one after the other. */
    struct element element;
    struct stage_place element_at;
    struct source_call element_for;
    bool has_element;
};

static int find_length(const struct column *column, const struct element *element, int64_t *ret,
                       struct err *err)
{
    const struct element_spec *spec = &column->in->spec;
    for (int i = 0; i < spec->n; i++) {
        const struct shape *shape = &element->fields[i].shape;
        if (i > 0 && shape->d[0] != *ret) {
            return err_set(err, ERR_SHAPE, "an element has %lld rows of '%s' and %lld of '%s'",
                           (long long)*ret, spec->fields[0].name, (long long)shape->d[0],
                           spec->fields[i].name);
        }
        *ret = shape->d[0];
    }
    return 0;
}

static bool is_arithmetic(const struct stream *in)
{
    return in->n_ops == 0 && !in->source->is_stored && in->source->desc->length != NULL;
}

static int64_t length_of(const struct rows *k, const struct stage_place *place)
{
    struct stream_places places;
    if (!is_arithmetic(k->in)) {
        return *column_at(&k->lengths, place);
    }
    stream_places_of(k->in, place, &places);
    return k->in->source->desc->length(k->in->source, &places.at[0]);
}

static int find_lengths(struct rows *k, int64_t iteration, int64_t *lengths, int64_t *ret_total,
                        struct err *err)
{
    const bool is_there = is_arithmetic(k->in) || column_holds(&k->lengths, iteration);
    k->has_element = k->has_element && is_there;
    int r = is_there ? 0 : column_make(&k->lengths, iteration, err);
    *ret_total = 0;
    for (int64_t i = 0; i < k->in->n && r == 0; i++) {
        const struct stage_place place = {iteration, i};
        lengths[i] = length_of(k, &place);
        *ret_total += lengths[i];
        if (*ret_total > TABLE_MAX) {
            r = err_set(err, ERR_LIMIT, "more than %d rows of elements of unlike lengths",
                        TABLE_MAX);
        }
    }
    return r;
}

/* One of the elements that are open at a time, as tf.data's InterleaveDataset keeps them. */
struct turn {
    int64_t position, row, length; /* position -1: none */
};

static void take_block(const struct rows *k, struct turn *turn, struct cut *table, int64_t *n)
{
    int64_t i = 0;
    for (; i < k->block && turn->row < turn->length; i++, turn->row++) {
        table[(*n)++] = (struct cut){(uint32_t)turn->position, (uint32_t)turn->row};
    }
    if (i < k->block) {
        turn->position = -1; /* found to be at its end: the turn goes on without a new one */
    }
}

static void interleave(const struct rows *k, const int64_t *lengths, struct turn *turns,
                       struct cut *table, int64_t total)
{
    int64_t next = 0, n = 0;
    for (int64_t c = 0; n < total; c = (c + 1) % k->cycle) {
        struct turn *turn = &turns[c];
        while (turn->position < 0 && next < k->in->n) {
            *turn = (struct turn){.position = next, .length = lengths[next]};
            next++;
        }
        if (turn->position >= 0) {
            take_block(k, turn, table, &n);
        }
    }
}

static int make_table(struct rows *k, int64_t iteration, struct err *err)
{
    int64_t *lengths = malloc((size_t)k->in->n * sizeof *lengths);
    struct turn *turns = malloc((size_t)k->cycle * sizeof *turns);
    int64_t total = 0;
    int r = lengths != NULL && turns != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "no memory");
    r = r < 0 ? r : find_lengths(k, iteration, lengths, &total, err);
    struct cut *table = r == 0 ? realloc(k->table, (size_t)(total + 1) * sizeof *table) : NULL;
    if (table != NULL) {
        for (int64_t c = 0; c < k->cycle; c++) {
            turns[c].position = -1;
        }
        interleave(k, lengths, turns, table, total);
        k->table = table;
        k->n_table = total;
        k->iteration = iteration;
    }
    free(lengths);
    free(turns);
    return r < 0 || table != NULL ? r : err_set(err, ERR_NO_MEMORY, "no memory");
}

/* All elements have `each` rows: groups of `cycle` elements go in step, the last one of fewer. */
static struct row_place cut_of(const struct rows *k, int64_t at)
{
    const int64_t group_rows = k->cycle * k->each, group = at / group_rows;
    const int64_t first = group * k->cycle;
    const int64_t width =
        k->in->n == STAGE_ENDLESS || k->in->n - first > k->cycle ? k->cycle : k->in->n - first;
    const int64_t in_group = at - group * group_rows;
    const int64_t round = in_group / (width * k->block), begin = round * k->block;
    const int64_t height = k->each - begin < k->block ? k->each - begin : k->block;
    const int64_t in_round = in_group - round * width * k->block;
    return (struct row_place){first + in_round / height, begin + in_round % height};
}

static int find(struct rows *k, const struct stage_place *place, struct row_place *ret,
                struct err *err)
{
    if (k->each > 0) {
        *ret = cut_of(k, place->position);
        return 0;
    }
    const bool holds = !k->in->is_reordered && k->in->is_fixed;
    int r = holds || place->iteration == k->iteration ? 0 : make_table(k, place->iteration, err);
    if (r == 0 && place->position >= k->n_table) {
        return err_set(err, ERR_DATA, "the elements' lengths change from epoch to epoch");
    }
    if (r == 0) {
        const struct cut *cut = &k->table[place->position];
        *ret = (struct row_place){cut->position, cut->row};
    }
    return r;
}

static int get_element(struct rows *k, const struct stage_place *at, const struct source_call *call,
                       struct element *ret, struct err *err)
{
    const struct source_call *last = &k->element_for;
    int r = 0;
    if (!k->has_element || at->position != k->element_at.position ||
        at->iteration != k->element_at.iteration || call->epoch != last->epoch ||
        call->step != last->step || (call->skip != NULL && call->skip->n > 0)) {
        k->has_element = false;
        r = stream_get(k->in, at, call, &k->element, err);
        k->has_element = r == 0;
        k->element_at = *at;
        k->element_for = *call;
    }
    *ret = k->element;
    return r;
}

static int read_rows(struct source *source, const struct stage_place *place,
                     const struct source_call *call, struct element *ret, struct err *err)
{
    struct rows *k = source->ctx;
    struct row_place cut = {0};
    ret->sample = -1;
    int r = find(k, place, &cut, err);
    if (r < 0) {
        return r;
    }
    const struct stage_place at = {place->iteration, cut.position};
    r = get_element(k, &at, call, ret, err);
    for (int i = 0; i < k->in->spec.n && r == 0; i++) {
        struct tensor *x = &ret->fields[i];
        size_t bytes;
        if (x->shape.rank < 1 || cut.row >= x->shape.d[0]) {
            return err_set(err, ERR_SHAPE, "field '%s' has no row %lld", k->in->spec.fields[i].name,
                           (long long)cut.row);
        }
        x->shape.rank--;
        memmove(x->shape.d, x->shape.d + 1, (size_t)x->shape.rank * sizeof x->shape.d[0]);
        r = shape_bytes(&x->shape, x->dtype, &bytes);
        x->data = (unsigned char *)x->data + bytes * (size_t)cut.row;
    }
    return r;
}

static int64_t trace_rows(const struct source *source, const struct stage_place *place)
{
    struct rows *k = source->ctx;
    struct row_place cut = {0};
    if (find(k, place, &cut, NULL) < 0) {
        return -1;
    }
    const struct stage_place at = {place->iteration, cut.position};
    return derive_trace(k->in, &at);
}

static void close_rows(struct source *source)
{
    struct rows *k = source->ctx;
    column_fini(&k->lengths);
    free(k->table);
    k->table = NULL;
}

static const struct source_desc rows_desc = {
    .name = "rows", .read = read_rows, .trace = trace_rows, .close = close_rows};

static int cut_spec(const struct rows *k, struct element_spec *spec, int64_t *each, struct err *err)
{
    *each = -2;
    for (int i = 0; i < spec->n; i++) {
        struct shape *shape = &spec->fields[i].spec.shape;
        if (shape->rank == 0) {
            return err_set(err, ERR_SHAPE, "field '%s' is a single value and has no rows",
                           spec->fields[i].name);
        }
        const int64_t rows = spec->fields[i].is_varying ? -1 : shape->d[0];
        if (*each >= 0 && rows >= 0 && rows != *each) {
            return err_set(err, ERR_SHAPE, "field '%s' has %lld rows, the others %lld",
                           spec->fields[i].name, (long long)rows, (long long)*each);
        }
        *each = *each == -2 || rows < 0 ? rows : *each;
        shape->rank--;
        memmove(shape->d, shape->d + 1, (size_t)shape->rank * sizeof shape->d[0]);
        (void)k;
    }
    return 0;
}

int derive_rows(struct derive *derive, int64_t cycle, int64_t block, struct source *ret,
                struct err *err)
{
    struct rows *k = ARENA_NEW(derive->pool->arena, struct rows);
    *k = (struct rows){.in = derive->in, .cycle = cycle, .block = block, .iteration = -1};
    k->lengths = (struct column){.in = derive->in,
                                 .pool = derive->pool,
                                 .what = "lengths",
                                 .path = derive->path,
                                 .width = 1,
                                 .high = INT64_MAX / COLUMN_ELEMENTS_MAX,
                                 .numbers = find_length,
                                 .context = k};
    derive_like(ret, k->in, &rows_desc, k);
    ret->samples = 0;
    int r = cut_spec(k, &ret->spec, &k->each, err);
    if (r < 0) {
        return r;
    }
    if (k->each > 0) {
        const bool is_endless = k->in->n == STAGE_ENDLESS;
        if (is_endless || __builtin_mul_overflow(k->in->n, k->each, &ret->samples)) {
            ret->samples = STAGE_ENDLESS;
        }
        return 0;
    }
    r = derive_check_end(k->in, "it", err);
    if (r == 0 && k->in->n > TABLE_MAX) {
        r = err_set(err, ERR_LIMIT, "more than %d elements of unlike lengths", TABLE_MAX);
    }
    r = r < 0 ? r : make_table(k, 0, err);
    ret->samples = k->n_table;
    return r == 0 && k->n_table == 0 ? err_set(err, ERR_DATA, "no element has a row") : r;
}
