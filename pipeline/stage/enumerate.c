/* enumerate - numbers the elements. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_enumerate;

struct enumerate {
    int64_t start;
    const char *name;
};
struct numbered {
    struct stream *in;
    int64_t start, number;
};
static const struct opt options[] = {
    OPT_I64_ROW(enumerate, start, 0, INT64_MIN / 2, INT64_MAX / 2, "Number of the first."),
    OPT_STR_ROW(enumerate, name, "index", "Name of the new field."),
    OPT_END_ROW,
};

static int read_numbered(struct source *source, const struct stage_place *place,
                         const struct source_call *call, struct element *ret, struct err *err)
{
    struct numbered *k = source->ctx;
    k->number = k->start + place->position;
    ret->fields[k->in->spec.n] = (struct tensor){.dtype = DTYPE_I64, .data = &k->number};
    return stream_get(k->in, place, call, ret, err);
}

static int64_t trace(const struct source *source, const struct stage_place *place)
{
    const struct numbered *k = source->ctx;
    return derive_trace(k->in, place);
}

static const struct source_desc numbered_desc = {
    .name = "enumerate", .read = read_numbered, .trace = trace};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct enumerate *options_of = stage->ctx;
    struct numbered *k = ARENA_NEW(derive->pool->arena, struct numbered);
    k->in = derive->in;
    k->start = options_of->start;
    derive_like(ret, k->in, &numbered_desc, k);
    const struct element_field field = {
        .name = options_of->name, .kind = ELEMENT_NUMERIC, .spec = {.dtype = DTYPE_I64}};
    return derive_add_field(&ret->spec, &field, err);
}

const struct stage_desc stage_enumerate = {
    .name = "enumerate",
    .summary = "Adds a field with the element's number in the stream.",
    .options = options,
    .ctx_size = sizeof(struct enumerate),
    .shorthand = "start",
    .kind = STAGE_DERIVE,
    .derive = derive,
};
