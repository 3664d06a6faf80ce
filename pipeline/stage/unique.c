/* unique - the first of elements that are equal. */
#include <stdlib.h>

#include "base/hash.h"
#include "pipeline/derive.h"

extern const struct stage_desc stage_unique;

struct unique {
    struct opt_strs fields;
};
static const struct opt options[] = {
    OPT_STRS_ROW(unique, fields, "The fields that are compared. Without: all."),
    OPT_END_ROW,
};

/* Elements are told apart by 64 bits (XXH3) of their shapes and bytes. */
static int key(const struct derive_select *how, const struct element_spec *spec,
               const struct element *element, int64_t *ret, struct err *err)
{
    const uint32_t *fields = how->context;
    uint64_t hash = 0;
    for (int i = 0; i < spec->n; i++) {
        const struct tensor *x = &element->fields[i];
        size_t bytes;
        if ((*fields >> i & 1) == 0) {
            continue;
        }
        int r = shape_bytes(&x->shape, x->dtype, &bytes);
        if (r < 0) {
            return err_set(err, r, "field '%s' is too large", spec->fields[i].name);
        }
        hash = hash_fast(x->shape.d, (size_t)x->shape.rank * sizeof x->shape.d[0], hash);
        hash = hash_fast(x->data, bytes, hash);
    }
    *ret = (int64_t)hash == DERIVE_KEY_BAD ? 0 : (int64_t)hash;
    return 0;
}

static int64_t choose(const struct derive_select *how, const int64_t *keys, const uint32_t *places,
                      int64_t n, uint32_t *list)
{
    size_t size = 16;
    int64_t m = 0;
    (void)how, (void)places;
    while (size < (size_t)n * 2) {
        size *= 2;
    }
    uint32_t *seen = calloc(size, sizeof *seen); /* positions + 1 */
    if (seen == NULL) {
        return ERR_NO_MEMORY;
    }
    for (int64_t i = 0; i < n; i++) {
        size_t at = (size_t)keys[i] & (size - 1);
        while (seen[at] != 0 && keys[seen[at] - 1] != keys[i]) {
            at = (at + 1) & (size - 1);
        }
        if (seen[at] == 0 || keys[i] == DERIVE_KEY_BAD) {
            seen[at] = (uint32_t)i + 1;
            list[m++] = (uint32_t)i;
        }
    }
    free(seen);
    return m;
}

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct unique *k = stage->ctx;
    uint32_t *fields = ARENA_NEW(derive->pool->arena, uint32_t);
    const struct derive_select how = {
        .low = INT64_MIN + 1, .high = INT64_MAX, .key = key, .select = choose, .context = fields};
    int r = derive_fields(&derive->in->spec, &k->fields, fields, err);
    return r < 0 ? r : derive_select(derive, &how, ret, err);
}

const struct stage_desc stage_unique = {
    .name = "unique",
    .summary = "Keeps the first of elements that are equal.",
    .options = options,
    .ctx_size = sizeof(struct unique),
    .shorthand = "fields",
    .kind = STAGE_DERIVE,
    .derive = derive,
};
