/* derive_group - elements of one key side by side: group_by_window, bucket_by_sequence_length.
 *
 * The keys are derive_select's. From them the windows of an iteration are made, as tf.data's
 * GroupByWindowDataset would come by them, and kept in a table: which element stands in which row.
 */
#include <stdlib.h>
#include <string.h>

#include "pipeline/derive_batch.h"

enum { GROUP_MAX = 1 << 26 };

struct keyed { /* an element */
    int64_t key;
    uint32_t at;
};
struct window {
    int64_t key;
    uint32_t first, n; /* of the elements sorted by key */
    uint32_t size;     /* n when it is full */
    uint32_t full;     /* where its last element stands; UINT32_MAX: it never is */
};
struct run { /* the rows of a batch */
    int64_t key;
    uint32_t first, n; /* of the list */
};
struct groups {
    struct stream *in;
    struct derive_group how;
    struct source *keys;
    struct keyed *keyed;
    struct buf windows, list, runs; /* struct window; positions, uint32_t; struct run */
    int64_t iteration, rows;        /* rows: of a batch at most */
    struct op_scratch made[ELEMENT_FIELDS_MAX];
};

static const struct window *windows_of(const struct groups *k)
{
    return (const struct window *)(const void *)k->windows.data;
}

static const struct run *runs_of(const struct groups *k)
{
    return (const struct run *)(const void *)k->runs.data;
}

static int64_t n_list(const struct groups *k)
{
    return (int64_t)(k->list.size / sizeof(uint32_t));
}

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key ? 1 : x->at < y->at ? -1 : x->at > y->at;
}

static int by_full(const void *a, const void *b)
{
    const struct window *x = a, *y = b;
    return x->full < y->full ? -1 : x->full > y->full ? 1 : x->key < y->key ? -1 : x->key > y->key;
}

static int cut_windows(struct groups *k, int64_t iteration, struct err *err)
{
    const int64_t n = k->in->n;
    int64_t size = 1, end = 0;
    for (int64_t i = 0; i < n; i++) { /* what cannot be read has to stand somewhere */
        const int64_t key = derive_select_key(k->keys, &(struct stage_place){iteration, i});
        k->keyed[i] = (struct keyed){key == COLUMN_BAD ? 0 : key, (uint32_t)i};
    }
    qsort(k->keyed, (size_t)n, sizeof *k->keyed, by_key);
    buf_clear(&k->windows);
    for (int64_t i = 0; i < n;) {
        const int64_t key = k->keyed[i].key;
        if (i == end) {
            int r = k->how.size(&k->how, key, &size, err);
            if (r < 0) {
                return r;
            }
            while (end < n && k->keyed[end].key == key) {
                end++;
            }
        }
        const int64_t rows = end - i < size ? end - i : size;
        const struct window window = {.key = key,
                                      .first = (uint32_t)i,
                                      .n = (uint32_t)rows,
                                      .size = (uint32_t)size,
                                      .full =
                                          rows == size ? k->keyed[i + rows - 1].at : UINT32_MAX};
        buf_put(&k->windows, &window, sizeof window);
        i += rows;
    }
    if (k->windows.size > 0) {
        qsort(k->windows.data, k->windows.size / sizeof(struct window), sizeof(struct window), by_full);
    }
    return 0;
}

/* The elements of a window as its stages order them, appended to the list. */
static int order_window(struct groups *k, const struct window *window, int64_t number,
                        struct err *err)
{
    int64_t n[STREAM_STAGES_MAX + 1] = {window->n};
    for (int i = 0; i < k->how.n_orders; i++) {
        const struct stage *stage = &k->how.orders[i];
        int r = stage->desc->count(stage->ctx, n[i], &n[i + 1], err);
        r = r == 0 && (n[i + 1] == STAGE_ENDLESS || n[i + 1] > GROUP_MAX)
                ? err_set(err, ERR_LIMIT, "would make the windows too long")
                : r;
        if (r < 0) {
            err_prefix(err, "%s", stage->desc->name);
            return r;
        }
    }
    for (int64_t at = 0; at < n[k->how.n_orders]; at++) {
        struct stage_place place = {number, at};
        for (int i = k->how.n_orders; i > 0; i--) {
            const struct stage *stage = &k->how.orders[i - 1];
            stage->desc->place(stage, n[i - 1], &place);
        }
        buf_put(&k->list, &k->keyed[window->first + place.position].at, sizeof(uint32_t));
    }
    return n_list(k) > GROUP_MAX
               ? err_set(err, ERR_LIMIT, "more than %d elements in all windows", GROUP_MAX)
               : 0;
}

/* Cuts what was appended to the list into batches. */
static void cut_batches(struct groups *k, const struct window *window, int64_t first)
{
    const int64_t end = n_list(k);
    const int64_t size = k->how.batch_size > 0 ? k->how.batch_size : window->size;
    for (int64_t i = first; i < end; i += size) {
        const int64_t rows = end - i < size ? end - i : size;
        const struct run run = {window->key, (uint32_t)i, (uint32_t)rows};
        if (rows == size || !k->how.drop_remainder) {
            buf_put(&k->runs, &run, sizeof run);
        }
    }
}

static int make_table(struct groups *k, int64_t iteration, struct err *err)
{
    int r = cut_windows(k, iteration, err);
    buf_clear(&k->list);
    buf_clear(&k->runs);
    const int64_t n = (int64_t)(k->windows.size / sizeof(struct window));
    for (int64_t i = 0; i < n && r == 0; i++) {
        const int64_t first = n_list(k);
        r = order_window(k, &windows_of(k)[i], iteration * n + i, err);
        if (r == 0 && k->how.is_batched) {
            cut_batches(k, &windows_of(k)[i], first);
        }
    }
    k->iteration = r == 0 ? iteration : -1;
    return r;
}

/* The run that has the row, or NULL: a hole. Elements that are not in batches have none. */
static int find(struct groups *k, const struct stage_place *place, struct stage_place *ret,
                const struct run **ret_run, struct err *err)
{
    int r = place->iteration != k->iteration ? make_table(k, place->iteration, err) : 0;
    int64_t at = place->position;
    *ret_run = NULL;
    if (r == 0 && k->how.is_batched) {
        const int64_t batch = at / k->rows, row = at % k->rows;
        const int64_t n = (int64_t)(k->runs.size / sizeof(struct run));
        const struct run *run = batch < n ? &runs_of(k)[batch] : NULL;
        *ret_run = run != NULL && row < run->n ? run : NULL;
        at = *ret_run != NULL ? run->first + row : n_list(k);
    }
    if (r == 0 && at >= n_list(k)) {
        r = err_set(err, ERR_DATA, "a batch has no such row");
    }
    if (r == 0) {
        *ret = (struct stage_place){place->iteration,
                                    ((const uint32_t *)(const void *)k->list.data)[at]};
    }
    return r;
}

/* Axes of unknown size are filled up to what belongs to the key. */
static int fill_row(struct groups *k, int64_t key, struct element *ret, struct err *err)
{
    int64_t size = 0;
    int r = k->how.fill != NULL ? k->how.fill(&k->how, key, &size, err) : 0;
    const struct derive_pads *pads = k->how.pads;
    for (int f = 0; f < k->in->spec.n && r == 0 && size > 0 && pads != NULL; f++) {
        const struct element_field *field = &k->in->spec.fields[f];
        struct shape wanted = ret->fields[f].shape;
        for (int d = 0; d < wanted.rank; d++) {
            const bool is_open = pads->shape[f].d[d] < 0 && derive_is_open(field, d);
            wanted.d[d] = is_open ? size : wanted.d[d];
        }
        r = derive_pad_field(field->name, &wanted, pads->value[f], &k->made[f], &ret->fields[f],
                             err);
    }
    return r;
}

static int read_group(struct source *source, const struct stage_place *place,
                      const struct source_call *call, struct element *ret, struct err *err)
{
    struct groups *k = source->ctx;
    struct stage_place at;
    const struct run *run;
    ret->sample = -1;
    int r = find(k, place, &at, &run, err);
    r = r < 0 ? r : stream_get(k->in, &at, call, ret, err);
    return r == 0 && run != NULL ? fill_row(k, run->key, ret, err) : r;
}

static bool is_hole(const struct source *source, const struct stage_place *place)
{
    struct groups *k = source->ctx;
    struct stage_place at;
    const struct run *run;
    if (place->iteration != k->iteration && make_table(k, place->iteration, NULL) < 0) {
        return false; /* whoever reads it is told why */
    }
    (void)find(k, place, &at, &run, NULL);
    return k->how.is_batched && run == NULL;
}

static int64_t trace_group(const struct source *source, const struct stage_place *place)
{
    struct groups *k = source->ctx;
    struct stage_place at;
    const struct run *run;
    return find(k, place, &at, &run, NULL) < 0 ? -1 : derive_trace(k->in, &at);
}

static void close_group(struct source *source)
{
    struct groups *k = source->ctx;
    k->how.close(&k->how);
    free(k->keyed);
    k->keyed = NULL;
    buf_fini(&k->windows);
    buf_fini(&k->list);
    buf_fini(&k->runs);
    for (int f = 0; f < ELEMENT_FIELDS_MAX; f++) {
        op_scratch_fini(&k->made[f]);
    }
}

static const struct source_desc group_desc = {.name = "group",
                                              .read = read_group,
                                              .trace = trace_group,
                                              .is_hole = is_hole,
                                              .close = close_group};

static int64_t keep_all(const struct derive_select *how, const int64_t *keys,
                        const uint32_t *places, int64_t n, uint32_t *list)
{
    (void)how, (void)keys, (void)places;
    for (int64_t i = 0; i < n; i++) {
        list[i] = (uint32_t)i;
    }
    return n;
}

/* Sizes of batches depend on how often each key comes alone, so they are those of every epoch. */
static void count(struct derive *derive, struct groups *k, struct source *ret)
{
    const int64_t n = (int64_t)(k->runs.size / sizeof(struct run));
    bool has_holes = false;
    for (int64_t i = 0; i < n; i++) {
        k->rows = runs_of(k)[i].n > k->rows ? runs_of(k)[i].n : k->rows;
    }
    for (int64_t i = 0; i < n; i++) {
        has_holes = has_holes || runs_of(k)[i].n < k->rows;
    }
    ret->samples = k->how.is_batched ? n * k->rows : n_list(k);
    derive->batch.options.batch_size = k->how.is_batched ? k->rows : 0;
    derive->batch.options.drop_remainder = false;
    derive->batch.has_holes = has_holes;
}

int derive_group(struct derive *derive, const struct derive_group *how, struct source *ret,
                 struct err *err)
{
    struct groups *k = ARENA_NEW(derive->pool->arena, struct groups);
    const struct derive_select select = {.low = how->low,
                                         .high = how->high,
                                         .key = how->key,
                                         .select = keep_all,
                                         .context = how->context};
    *k = (struct groups){.in = how->rows, .how = *how, .iteration = -1};
    k->keys = pool_source(derive->pool);
    derive_like(ret, k->in, &group_desc, k);
    ret->samples = 0;
    if (k->in->n > GROUP_MAX && k->in->n != STAGE_ENDLESS) {
        return err_set(err, ERR_LIMIT, "more than %d elements", GROUP_MAX);
    }
    int r = derive_select(derive, &select, k->keys, err);
    if (r < 0) {
        return r;
    }
    k->keyed = malloc((size_t)k->in->n * sizeof *k->keyed);
    if (k->keyed == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the windows of %lld elements",
                       (long long)k->in->n);
    }
    r = make_table(k, 0, err);
    if (r == 0) {
        count(derive, k, ret);
        r = ret->samples == 0 ? err_set(err, ERR_DATA, "no window is left") : 0;
    }
    return r;
}
