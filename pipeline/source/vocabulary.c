#include "pipeline/source/vocabulary.h"

#include <stdbool.h>
#include <string.h>

static int compare(const char *a, const char *text, size_t n)
{
    const int c = strncmp(a, text, n);
    return c != 0 ? c : a[n] != '\0';
}

static const char *at(const struct vocabulary *k, size_t i)
{
    return k->v[k->order != NULL ? k->order[i] : i];
}

/* The first that is not before the text. */
static size_t place(const struct vocabulary *k, const char *text, size_t n, bool *ret_is_there)
{
    size_t low = 0, high = k->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (compare(at(k, middle), text, n) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_is_there = low < k->n && compare(at(k, low), text, n) == 0;
    return low;
}

int vocabulary_add(struct vocabulary *k, const char *text, size_t n, struct arena *arena,
                   struct err *err)
{
    bool is_there;
    const size_t i = place(k, text, n, &is_there);
    if (is_there) {
        return 0;
    }
    if (k->n == VOCABULARY_MAX || k->bytes + n > VOCABULARY_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "has more than %d different texts, or more than %d MiB",
                       VOCABULARY_MAX, VOCABULARY_BYTES_MAX >> 20);
    }
    if (k->n == k->capacity) {
        const char **old = k->v;
        k->capacity = k->capacity > 0 ? 2 * k->capacity : 64;
        k->v = arena_array(arena, k->capacity, sizeof *k->v);
        memcpy(k->v, old != NULL ? old : k->v, k->n * sizeof *k->v);
    }
    memmove(k->v + i + 1, k->v + i, (k->n - i) * sizeof *k->v);
    k->v[i] = arena_strndup(arena, text, n);
    k->n++;
    k->bytes += n;
    return 0;
}

int vocabulary_set(struct vocabulary *k, const char *const *v, size_t n, struct arena *arena,
                   struct err *err)
{
    *k = (struct vocabulary){.v = arena_array(arena, n + 1, sizeof *k->v),
                             .order = arena_array(arena, n + 1, sizeof *k->order)};
    for (size_t i = 0; i < n; i++) {
        bool is_there;
        const size_t to = place(k, v[i], strlen(v[i]), &is_there);
        if (is_there || n > VOCABULARY_MAX) {
            return err_set(err, ERR_INVALID, "'%.64s' stands there twice, or there are over %d",
                           v[i], VOCABULARY_MAX);
        }
        k->v[i] = v[i];
        memmove(k->order + to + 1, k->order + to, (k->n - to) * sizeof *k->order);
        k->order[to] = i;
        k->n++;
    }
    return 0;
}

int64_t vocabulary_find(const struct vocabulary *k, const char *text, size_t n)
{
    bool is_there;
    const size_t i = place(k, text, n, &is_there);
    if (!is_there) {
        return -1;
    }
    return (int64_t)(k->order != NULL ? k->order[i] : i);
}
