#include "pipeline/stage.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"

enum { STAGES_MAX = 32 };

const struct stage_desc *stage_find(const char *name)
{
    for (const struct stage_desc *const *row = stage_table; *row != NULL; row++) {
        if (strcmp((*row)->name, name) == 0) {
            return *row;
        }
    }
    return NULL;
}

static int unknown(const char *name, struct err *err)
{
    const char *names[STAGES_MAX];
    char list[256] = "";
    size_t n = 0;
    for (; stage_table[n] != NULL; n++) {
        BUG_ON(n == STAGES_MAX);
        names[n] = stage_table[n]->name;
        const size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", n > 0 ? ", " : "", names[n]);
    }
    const char *nearest = err_nearest(name, names, n);
    return nearest != NULL
               ? err_set_at(err, ERR_UNKNOWN, name, "there is no stage '%.64s'; did you mean '%s'?",
                            name, nearest)
               : err_set_at(err, ERR_UNKNOWN, name, "there is no stage '%.64s'; there are: %s",
                            name, list);
}

/* A bare value stands for the one option that everybody means; so does a map that holds none of the
 * options. */
static bool is_shorthand(const struct stage_desc *desc, const struct doc *value)
{
    if (desc->shorthand == NULL || value == NULL || value->type == DOC_NULL) {
        return false;
    }
    return value->type != DOC_MAP || (desc->kind == STAGE_MAP && value->n == 1 &&
                                      opt_find(desc->options, value->pairs[0].key) == NULL);
}

static int read_options(const struct stage_desc *desc, const struct doc *value, void *ctx,
                        struct arena *arena, struct err *err)
{
    struct doc *options = doc_new(arena);
    doc_set_map(options);
    if (is_shorthand(desc, value)) {
        *doc_put(options, arena, desc->shorthand) = *value;
        value = options;
    }
    return opt_read(desc->options, ctx, value, arena, err);
}

int stage_read(const struct doc *doc, uint64_t seed, struct stage_names *names, struct arena *arena,
               struct stage *ret, struct err *err)
{
    char shown[96];
    doc_describe(doc, shown, sizeof shown);
    const bool is_map = doc->type == DOC_MAP && doc->n == 1;
    if (!is_map && doc->type != DOC_STR) {
        return err_set(err, ERR_INVALID, "a stage is a name or one 'name: {options}', not %s%s",
                       shown, doc->type == DOC_MAP ? " of several names" : "");
    }
    const char *name = is_map ? doc->pairs[0].key : doc->str;
    const struct stage_desc *desc = stage_find(name);
    if (desc == NULL) {
        return unknown(name, err);
    }
    void *ctx = arena_alloc(arena, desc->ctx_size > 0 ? desc->ctx_size : 1);
    int r = read_options(desc, is_map ? &doc->pairs[0].value : NULL, ctx, arena, err);
    if (r < 0) {
        err_prefix(err, "%s", name);
        return r;
    }
    size_t row = 0;
    while (stage_table[row] != desc) {
        row++;
    }
    BUG_ON(row >= sizeof names->n / sizeof names->n[0]);
    char id[64];
    (void)snprintf(id, sizeof id, "%s_%d", name, names->n[row]++);
    *ret = (struct stage){.desc = desc, .ctx = ctx, .id = rng_id(id), .seed = seed};
    return 0;
}

void stage_places(const struct stage *stage, int64_t n, struct stage_place *places, int64_t count)
{
    if (stage->desc->places != NULL) {
        stage->desc->places(stage, n, places, count);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        stage->desc->place(stage, n, &places[i]);
    }
}

void stage_reference(struct buf *out)
{
    for (const struct stage_desc *const *row = stage_table; *row != NULL; row++) {
        buf_printf(out, "## %s\n\n%s", (*row)->name, (*row)->summary);
        if ((*row)->shorthand != NULL) {
            buf_printf(out, " A bare value is `%s`.", (*row)->shorthand);
        }
        buf_puts(out, "\n\n");
        opt_reference((*row)->options, out);
        buf_puts(out, "\n");
    }
}
