#include "pipeline/format/samples.h"

#include <stdlib.h>
#include <string.h>

size_t samples_key(const char *name, const char **ret_extension)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    const char *dot = strchr(base, '.');
    *ret_extension = NULL;
    if (dot == NULL || dot == base || dot[1] == '\0') {
        return 0;
    }
    *ret_extension = dot + 1;
    return (size_t)(dot - name);
}

static struct samples_row *add_row(struct samples *samples)
{
    if (samples->n == samples->capacity) {
        const size_t more = samples->capacity == 0 ? 64 : samples->capacity * 2;
        struct samples_row *grown = realloc(samples->rows, more * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        samples->rows = grown;
        samples->capacity = more;
    }
    return &samples->rows[samples->n++];
}

static int compare(const void *a, const void *b)
{
    const struct samples_row *x = *(const struct samples_row *const *)a,
                             *y = *(const struct samples_row *const *)b;
    const int c = memcmp(x->key, y->key, x->n_key < y->n_key ? x->n_key : y->n_key);
    return c != 0 ? c : (x->n_key > y->n_key) - (x->n_key < y->n_key);
}

/* Is there a key in two places? */
static int check_keys(const struct samples *samples, const char *name, struct err *err)
{
    const struct samples_row **order = calloc(samples->n + 1, sizeof *order);
    int r = order == NULL ? err_set(err, ERR_NO_MEMORY, "no memory for the samples' keys") : 0;
    for (size_t i = 0; r == 0 && i < samples->n; i++) {
        order[i] = &samples->rows[i];
    }
    if (r == 0) {
        qsort(order, samples->n, sizeof *order, compare);
    }
    for (size_t i = 1; r == 0 && i < samples->n; i++) {
        if (compare(&order[i - 1], &order[i]) == 0) {
            r = err_set(err, ERR_SCHEMA, "%s: the members of sample '%.*s' do not stand together",
                        name, order[i]->n_key > 100 ? 100 : (int)order[i]->n_key, order[i]->key);
        }
    }
    free(order);
    return r;
}

static int check_extensions(const struct samples_row *row, const struct tar_index *index,
                            size_t last, const char *name, struct err *err)
{
    const char *extension, *other;
    (void)samples_key(tar_name(index, last), &extension);
    for (size_t i = row->first; i < last; i++) {
        if (samples_key(tar_name(index, i), &other) > 0 && strcmp(extension, other) == 0) {
            return err_set(err, ERR_SCHEMA, "%s: sample '%.*s' has two members '.%.60s'", name,
                           row->n_key > 100 ? 100 : (int)row->n_key, row->key, extension);
        }
    }
    return 0;
}

int samples_build(struct samples *samples, const struct tar_index *index, const char *name,
                  struct err *err)
{
    enum { MEMBERS_MAX = 256 };
    struct samples_row *row = NULL;
    for (size_t i = 0; i < index->n; i++) {
        const char *extension, *member = tar_name(index, i);
        const size_t n = samples_key(member, &extension);
        if (n == 0) {
            continue;
        }
        if (row == NULL || row->n_key != n || memcmp(row->key, member, n) != 0) {
            row = add_row(samples);
            if (row == NULL) {
                return err_set(err, ERR_NO_MEMORY, "no memory for %zu samples", samples->n);
            }
            *row = (struct samples_row){.key = member, .n_key = n, .first = i};
        }
        int r = i - row->first >= MEMBERS_MAX
                    ? err_set(err, ERR_LIMIT, "%s: sample '%.*s' has more than %d members", name,
                              n > 100 ? 100 : (int)n, member, MEMBERS_MAX)
                    : check_extensions(row, index, i, name, err);
        if (r < 0) {
            return r;
        }
        row->n = i - row->first + 1;
    }
    return check_keys(samples, name, err);
}

void samples_fini(struct samples *samples)
{
    if (samples != NULL) {
        free(samples->rows);
        *samples = (struct samples){.n = 0};
    }
}

int64_t samples_find(const struct samples *samples, const struct tar_index *index, size_t sample,
                     const char *extension)
{
    const struct samples_row *row = &samples->rows[sample];
    for (size_t i = row->first; i < row->first + row->n; i++) {
        const char *other;
        if (samples_key(tar_name(index, i), &other) == row->n_key &&
            strcmp(extension, other) == 0) {
            return (int64_t)i;
        }
    }
    return -1;
}
