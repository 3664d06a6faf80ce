#include "pipeline/column.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/kept.h"
#include "pipeline/numerics.h"

enum { FORM = 1 };

/* One column on its way. */
struct make {
    struct column *column;
    struct kept *kept;
    uint8_t *is_needed; /* bit of a row; NULL: all are */
    int64_t rows;
    char id[HASH_ID_TEXT];
};

/* ---- parts ---------------------------------------------------------------------------------- */

static int64_t out_rows(const struct column *c, int64_t rows)
{
    return c->is_folded ? 1 : rows;
}

static bool is_needed(const struct make *m, int64_t row)
{
    return m->is_needed == NULL || (m->is_needed[row / 8] >> (row % 8) & 1) != 0;
}

/* Rows that the stream comes to; of a reordered one another iteration may come to others. */
static int find_needed(struct make *m, struct err *err)
{
    const struct stream *in = m->column->in;
    if (!m->column->is_by_source || in->is_reordered) {
        return 0;
    }
    m->is_needed = calloc((size_t)m->rows / 8 + 1, 1);
    if (m->is_needed == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for %lld elements", (long long)m->rows);
    }
    for (int64_t i = 0; i < in->n; i++) {
        const struct stage_place place = {0, i};
        struct stream_places places;
        stream_places_of(in, &place, &places);
        const int64_t row = places.at[0].position;
        m->is_needed[row / 8] = (uint8_t)(m->is_needed[row / 8] | 1U << (row % 8));
    }
    return 0;
}

static int read_element(const struct column *c, int64_t row, struct element *ret, struct err *err)
{
    const struct stream_call call = {.weight = 0};
    const struct stage_place place = {c->iteration < 0 ? 0 : c->iteration, row};
    struct stream_places places = {.epoch = 0};
    if (!c->is_by_source) {
        stream_places_of(c->in, &place, &places);
        return stream_read(c->in, &places, &call, ret, err);
    }
    for (int i = 0; i <= c->in->n_orders; i++) { /* no op draws anything */
        places.at[i] = place;
    }
    return stream_read(c->in, &places, &call, ret, err);
}

static int make_row(const struct column *c, int64_t row, int64_t *ret, struct err *err)
{
    struct element element;
    int r = read_element(c, row, &element, err);
    r = r < 0 ? r : c->numbers(c, &element, ret, err);
    if (r < 0 && c->takes_bad && err_is_data(r)) { /* its reader will say what is wrong with it */
        for (int i = 0; i < c->width; i++) {
            ret[i] = COLUMN_BAD;
        }
        r = 0;
    }
    return r;
}

static void fold(const struct column *c, const int64_t *row, int64_t *into)
{
    for (int i = 0; i < c->width; i++) {
        into[i] = row[i] > into[i] ? row[i] : into[i];
    }
}

/* Rows begin..end; `out` is all zeros. */
static int make_rows(const struct make *m, int64_t begin, int64_t end, int64_t *out,
                     struct err *err)
{
    const struct column *c = m->column;
    int64_t one[COLUMN_WIDTH_MAX];
    for (int64_t row = begin; row < end; row++) {
        int64_t *to = c->is_folded ? one : out + (row - begin) * c->width;
        if (!is_needed(m, row)) {
            continue;
        }
        int r = make_row(c, row, to, err);
        if (r < 0) {
            return r;
        }
        if (c->is_folded) {
            fold(c, one, out);
        }
        if (m->kept != NULL) {
            m->kept->n_elements++;
        }
    }
    return 0;
}

/* ---- all ------------------------------------------------------------------------------------ */

static bool is_sound(const struct column *c, const int64_t *v, int64_t rows)
{
    for (int64_t i = 0; i < rows * c->width; i++) {
        const bool is_bad = c->takes_bad && v[i] == COLUMN_BAD;
        if (!is_bad && (v[i] < c->low || v[i] > c->high)) {
            return false;
        }
    }
    return true;
}

/* What was kept is believed as far as it can be used. */
static int find_kept(const struct make *m, const char *id, int64_t rows, int64_t **ret)
{
    const struct column *c = m->column;
    const size_t wanted = (size_t)(rows * c->width) * sizeof **ret;
    void *data = NULL;
    size_t size = 0;
    int r = kept_read(m->kept, id, wanted, &data, &size);
    if (r == 0 && (size != wanted || !is_sound(c, data, rows))) {
        m->kept->n_damaged++;
        kept_remove(m->kept, id);
        free(data);
        r = ERR_NOT_FOUND;
    }
    if (r == 0) {
        *ret = data;
    }
    return r;
}

static void make_id(struct make *m)
{
    const struct column *c = m->column;
    struct arena arena;
    char trail[HASH_ID_TEXT];
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    pool_trail(c->pool, trail);
    doc_put_str(map, &arena, "trail", trail);
    doc_put_int(map, &arena, "numerics", NUMERICS_VERSION);
    doc_put_str(map, &arena, "numbers", c->what);
    doc_put_int(map, &arena, "width", c->width);
    doc_put_int(map, &arena, "rows", m->rows);
    doc_put_int(map, &arena, "iteration", c->iteration);
    doc_put_bool(map, &arena, "by_source", c->is_by_source);
    kept_id("column", FORM, map, m->id);
    arena_fini(&arena);
}

static int make_all(struct make *m, struct err *err)
{
    struct column *c = m->column;
    const size_t n = (size_t)(out_rows(c, m->rows) * c->width);
    c->v = calloc(n + 1, sizeof *c->v);
    if (c->v == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the numbers of %lld elements",
                       (long long)m->rows);
    }
    int r = find_needed(m, err);
    r = r < 0 ? r : make_rows(m, 0, m->rows, c->v, err);
    if (r == 0) {
        (void)kept_put(m->kept, m->id, c->v, n * sizeof *c->v, NULL); /* or made again next time */
    }
    return r;
}

static int find_rows(struct column *c, int64_t iteration, int64_t *ret, struct err *err)
{
    const struct stream *in = c->in;
    c->is_by_source = in->is_fixed && in->source->samples <= COLUMN_ELEMENTS_MAX;
    c->iteration = in->is_fixed && (c->is_by_source || !in->is_reordered) ? -1 : iteration;
    if (in->n > COLUMN_ELEMENTS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d elements", COLUMN_ELEMENTS_MAX);
    }
    *ret = c->is_by_source ? in->source->samples : in->n;
    return 0;
}

int column_make(struct column *column, int64_t iteration, struct err *err)
{
    struct make m = {.column = column,
                     .kept = column->pool->is_fed ? NULL : column->pool->store->kept};
    int r = find_rows(column, iteration, &m.rows, err);
    if (r < 0) {
        return r;
    }
    free(column->v);
    column->v = NULL;
    column->n = m.rows;
    if (m.kept != NULL) {
        make_id(&m);
        r = find_kept(&m, m.id, out_rows(column, m.rows), &column->v);
    }
    if (column->v == NULL && r != ERR_NO_MEMORY) {
        r = make_all(&m, err);
    }
    free(m.is_needed);
    return r;
}

void column_fini(struct column *column)
{
    free(column->v);
    column->v = NULL;
}

const int64_t *column_at(const struct column *column, const struct stage_place *place)
{
    int64_t row = place->position;
    if (column->is_by_source) {
        struct stream_places places;
        stream_places_of(column->in, place, &places);
        row = places.at[0].position;
    }
    return column->v + row * column->width;
}
