/* zip - elements of several streams side by side. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_zip;

enum { STREAMS_MAX = ELEMENT_FIELDS_MAX };

struct zip {
    const struct doc *datasets;
};
struct zipped {
    struct stream *in[STREAMS_MAX];
    int n;
};
static const struct opt options[] = {
    OPT_DOC_ROW(zip, datasets,
                "A list of {dataset, split, pipeline}: their elements stand beside those of this "
                "stream.",
                .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

static int read_zipped(struct source *source, const struct stage_place *place,
                       const struct source_call *call, struct element *ret, struct err *err)
{
    const struct zipped *k = source->ctx;
    int64_t first = -1;
    int at = 0;
    for (int i = 0; i < k->n; i++) {
        struct element part;
        int r = stream_get(k->in[i], place, call, &part, err);
        if (r < 0) {
            ret->sample = part.sample;
            return r;
        }
        first = i == 0 ? part.sample : first;
        for (int f = 0; f < k->in[i]->spec.n; f++) {
            ret->fields[at++] = part.fields[f];
        }
    }
    ret->sample = first;
    return 0;
}

static int64_t trace(const struct source *source, const struct stage_place *place)
{
    const struct zipped *k = source->ctx;
    return derive_trace(k->in[0], place);
}

static const struct source_desc zipped_desc = {.name = "zip", .read = read_zipped, .trace = trace};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct zip *options_of = stage->ctx;
    struct zipped *k = ARENA_NEW(derive->pool->arena, struct zipped);
    k->in[k->n++] = derive->in;
    int r = derive_open_list(derive, options_of->datasets, k->in, &k->n, STREAMS_MAX, err);
    derive_like(ret, k->in[0], &zipped_desc, k);
    for (int i = 1; i < k->n && r == 0; i++) {
        ret->is_fixed = ret->is_fixed && k->in[i]->is_fixed && !k->in[i]->is_reordered;
        ret->samples = k->in[i]->n < ret->samples ? k->in[i]->n : ret->samples;
        for (int f = 0; f < k->in[i]->spec.n && r == 0; f++) {
            struct element_field field = k->in[i]->spec.fields[f];
            if (element_find(&ret->spec, field.name) >= 0) {
                field.name = arena_printf(derive->pool->arena, "%s_%d", field.name, i);
            }
            r = derive_add_field(&ret->spec, &field, err);
        }
    }
    return r;
}

const struct stage_desc stage_zip = {
    .name = "zip",
    .summary = "Puts the fields of the elements of several streams side by side; ends with the "
               "shortest. A name that is there already gets `_1`, `_2`, by the stream's place in "
               "the list.",
    .options = options,
    .ctx_size = sizeof(struct zip),
    .shorthand = "datasets",
    .kind = STAGE_DERIVE,
    .derive = derive,
};
