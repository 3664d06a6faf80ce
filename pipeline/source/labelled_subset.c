/* labelled_subset - which files are training and which validation.
 *
 * By the hash of a path, below a bound: no other file has a say, so those that are added move none.
 * Then shares are as a fair draw gives them. Exact shares cannot be had so: whichever function of
 * the files gives every number of them its exact share moves one that was in training some time. So
 * `stratified` is the user's choice: the files with the smallest hashes of each class.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "pipeline/source/labelled_impl.h"

struct ranked {
    int64_t label;
    uint64_t hash;
    int64_t item;
};

static uint64_t hash_of(const struct labelled_options *options, const struct doc *file)
{
    const char *path = doc_str(file, "path", "");
    return hash_fast(path, strlen(path), (uint64_t)options->seed);
}

bool labelled_in_subset(const struct labelled_options *options, const struct doc *file)
{
    const double at = (double)(hash_of(options, file) >> 11) * 0x1p-53;
    return options->subset == LABELLED_ALL || options->stratified ||
           (at < options->validation_split) == (options->subset == LABELLED_VALIDATION);
}

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->label != y->label) {
        return x->label < y->label ? -1 : 1;
    }
    if (x->hash != y->hash) {
        return x->hash < y->hash ? -1 : 1;
    }
    return x->item < y->item ? -1 : x->item > y->item;
}

static bool *find_validation(const struct labelled *k, const struct ranked *ranked,
                             struct arena *arena)
{
    bool *ret = arena_array(arena, (size_t)k->n + 1, sizeof *ret);
    for (int64_t begin = 0, end; begin < k->n; begin = end) {
        for (end = begin; end < k->n && ranked[end].label == ranked[begin].label; end++) {
        }
        const int64_t n = (int64_t)((double)(end - begin) * k->options->validation_split + 0.5);
        for (int64_t i = begin; i < begin + n; i++) {
            ret[ranked[i].item] = true;
        }
    }
    return ret;
}

void labelled_stratify(struct labelled *k, struct arena *arena)
{
    if (k->options->subset == LABELLED_ALL || !k->options->stratified) {
        return;
    }
    struct ranked *ranked = arena_array(arena, (size_t)k->n + 1, sizeof *ranked);
    for (int64_t i = 0; i < k->n; i++) {
        ranked[i] = (struct ranked){k->items[i].label, hash_of(k->options, k->items[i].file), i};
    }
    qsort(ranked, (size_t)k->n, sizeof *ranked, by_rank);
    const bool *in_validation = find_validation(k, ranked, arena);
    const int64_t n = k->n;
    k->n = 0;
    for (int64_t i = 0; i < n; i++) {
        if (in_validation[i] == (k->options->subset == LABELLED_VALIDATION)) {
            k->items[k->n++] = k->items[i];
        }
    }
}
