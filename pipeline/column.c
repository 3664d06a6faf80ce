#include "pipeline/column.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "pipeline/kept.h"
#include "pipeline/numerics.h"

enum { FORM = 1, PART_ROWS = 256, PARTS_MAX = 1024 };

/* One column on its way. */
struct make {
    struct column *column;
    struct kept *kept;
    uint8_t *is_needed; /* bit of a row; NULL: all are */
    int64_t rows, part_rows, n_parts;
    int64_t until_us; /* 0 = there is time */
    char id[HASH_ID_TEXT];
};

/* ---- rows ----------------------------------------------------------------------------------- */

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
        if (m->until_us > 0 && clock_us() > m->until_us) {
            return ERR_NOT_MADE;
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

/* ---- what is kept --------------------------------------------------------------------------- */

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

/* ---- parts ---------------------------------------------------------------------------------- */

struct part {
    int64_t number, begin, end;
    char id[HASH_ID_TEXT];
};

static struct part part_of(const struct make *m, int64_t number)
{
    struct part part = {.number = number, .begin = number * m->part_rows};
    part.end = m->rows - part.begin < m->part_rows ? m->rows : part.begin + m->part_rows;
    kept_part_id(m->id, number, part.id);
    return part;
}

static size_t part_bytes(const struct make *m, const struct part *part)
{
    return (size_t)(out_rows(m->column, part->end - part->begin) * m->column->width) *
           sizeof(int64_t);
}

/* In the order of the parts, whoever made them; rows stand where they stand. */
static void join(const struct make *m, const struct part *part, const int64_t *v)
{
    const struct column *c = m->column;
    if (c->is_folded) {
        fold(c, v, c->v);
    } else {
        memcpy(c->v + part->begin * c->width, v, part_bytes(m, part));
    }
}

static void tell(const struct make *m, const struct part *part, bool is_made)
{
    if (m->kept->tell != NULL) {
        m->kept->tell(m->kept, part->number, is_made);
    }
}

/* ERR_NOT_MADE: time is over. */
static int make_part(const struct make *m, const struct part *part, int64_t **ret, struct err *err)
{
    const size_t bytes = part_bytes(m, part);
    int64_t *v = calloc(1, bytes + 1);
    int r = v == NULL ? err_set(err, ERR_NO_MEMORY, "no memory for a part of a table")
                      : make_rows(m, part->begin, part->end, v, err);
    if (r == 0 && m->kept->how != KEPT_MAKE_ALL) {
        r = kept_put(m->kept, part->id, v, bytes, err);
    }
    if (r < 0) {
        free(v);
        v = NULL;
    }
    *ret = v;
    return r;
}

static int find_part(const struct make *m, const struct part *part, int64_t **ret, struct err *err)
{
    const bool is_late = m->until_us > 0 && clock_us() > m->until_us;
    int r = find_kept(m, part->id, out_rows(m->column, part->end - part->begin), ret);
    if (r == ERR_NOT_FOUND) {
        r = is_late ? ERR_NOT_MADE : make_part(m, part, ret, err);
    }
    return r;
}

/* All parts that are there already or are made in the time there is, into the column. */
static int join_parts(struct make *m, struct err *err)
{
    int64_t n_made = 0;
    int r = 0;
    for (int64_t i = 0; i < m->n_parts && r == 0; i++) {
        const struct part part = part_of(m, i);
        int64_t *v = NULL;
        r = find_part(m, &part, &v, err);
        if (r == 0) {
            join(m, &part, v);
            n_made++;
        }
        r = r == ERR_NOT_MADE ? 0 : r; /* those behind it may be there */
        free(v);
    }
    m->kept->missing.made = n_made;
    return r == 0 && n_made < m->n_parts ? ERR_NOT_MADE : r;
}

static int make_claimed(const struct make *m, int claims, const struct part *part, struct err *err)
{
    int64_t *v = NULL;
    if (kept_has(m->kept, part->id) || !kept_claim(claims, part->number)) {
        return 0;
    }
    int r = 0;
    if (!kept_has(m->kept, part->id)) { /* nor was it made in between */
        tell(m, part, false);
        r = make_part(m, part, &v, err);
        free(v);
    }
    kept_unclaim(claims, part->number);
    if (r == 0) {
        tell(m, part, true);
    }
    return r;
}

/* Parts that nobody makes, from a place of its own on, until there is none. */
static int make_parts(struct make *m, struct err *err)
{
    const int64_t first = m->kept->makers > 0 ? m->n_parts * m->kept->maker / m->kept->makers : 0;
    const int claims = kept_claims_open(m->kept, m->id, err);
    int r = claims < 0 ? claims : 0;
    for (int64_t i = 0; i < m->n_parts && r == 0; i++) {
        const struct part part = part_of(m, (first + i) % m->n_parts);
        r = make_claimed(m, claims, &part, err);
    }
    if (claims >= 0) {
        (void)close(claims);
    }
    return r < 0 ? r : ERR_NOT_MADE;
}

static void remove_parts(const struct make *m)
{
    for (int64_t i = 0; i < m->n_parts; i++) {
        const struct part part = part_of(m, i);
        kept_remove(m->kept, part.id);
    }
    kept_claims_remove(m->kept, m->id);
}

/* ---- all ------------------------------------------------------------------------------------ */

static void describe(struct make *m)
{
    struct kept_missing *missing = &m->kept->missing;
    m->part_rows = (m->rows + PARTS_MAX - 1) / PARTS_MAX;
    m->part_rows = m->part_rows > PART_ROWS ? m->part_rows : PART_ROWS;
    m->n_parts = (m->rows + m->part_rows - 1) / m->part_rows;
    *missing = (struct kept_missing){.what = m->column->what,
                                     .parts = m->n_parts,
                                     .part_elements = m->part_rows,
                                     .elements = m->rows};
    (void)snprintf(missing->path, sizeof missing->path, "%s", m->column->path);
    m->until_us = m->kept->how == KEPT_MAKE_BRIEFLY ? m->kept->until_us : 0;
}

static int make_kept(struct make *m, struct err *err)
{
    const struct column *c = m->column;
    const size_t bytes = (size_t)(out_rows(c, m->rows) * c->width) * sizeof *c->v;
    describe(m);
    int r = m->kept->how == KEPT_MAKE_PARTS ? make_parts(m, err) : join_parts(m, err);
    if (r == 0 && kept_put(m->kept, m->id, c->v, bytes, NULL) == 0) {
        remove_parts(m);
    }
    return r == ERR_NOT_MADE ? err_set(err, r, "its %s are still to be made", c->what)
                             : r;
}

static int make_all(struct make *m, struct err *err)
{
    struct column *c = m->column;
    c->v = calloc((size_t)(out_rows(c, m->rows) * c->width) + 1, sizeof *c->v);
    if (c->v == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the numbers of %lld elements",
                       (long long)m->rows);
    }
    int r = find_needed(m, err);
    if (r < 0) {
        return r;
    }
    return m->kept != NULL ? make_kept(m, err) : make_rows(m, 0, m->rows, c->v, err);
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
    if (r < 0) {
        column_fini(column);
    }
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
