/* derive_measure - the sizes that fields have before they are filled up, as fields of their own. */
#include <string.h>

#include "pipeline/derive_batch.h"

struct measure {
    int field, n_axes, axes[SHAPE_RANK_MAX];
    int64_t sizes[SHAPE_RANK_MAX];
    struct op_scratch mask;
};
struct measured {
    struct stream *in;
    struct measure of[ELEMENT_FIELDS_MAX];
    int n;
    bool lengths, masks;
};

bool derive_is_open(const struct element_field *field, int axis)
{
    return field->spec.shape.d[axis] < 0 || (field->is_varying && axis < 2);
}

static void add_measures(struct measured *k, struct measure *of, struct element *ret, int *at)
{
    const struct tensor *x = &ret->fields[of->field];
    struct shape shape = {.rank = of->n_axes};
    size_t n = 1;
    for (int i = 0; i < of->n_axes; i++) {
        of->sizes[i] = shape.d[i] = x->shape.d[of->axes[i]];
        n *= (size_t)of->sizes[i]; /* no more than the field has values */
    }
    if (k->lengths) {
        const struct shape list = {.rank = of->n_axes > 1, .d = {of->n_axes}};
        ret->fields[(*at)++] =
            (struct tensor){.dtype = DTYPE_I64, .shape = list, .data = of->sizes};
    }
    if (k->masks) {
        void *mask = op_scratch_need(&of->mask, n + 1);
        memset(mask, 1, n);
        ret->fields[(*at)++] = (struct tensor){.dtype = DTYPE_U8, .shape = shape, .data = mask};
    }
}

static int read_measured(struct source *source, const struct stage_place *place,
                         const struct source_call *call, struct element *ret, struct err *err)
{
    struct measured *k = source->ctx;
    int at = k->in->spec.n;
    int r = stream_get(k->in, place, call, ret, err);
    for (int i = 0; i < k->n && r == 0; i++) {
        add_measures(k, &k->of[i], ret, &at);
    }
    return r;
}

static int64_t trace_measured(const struct source *source, const struct stage_place *place)
{
    const struct measured *k = source->ctx;
    return derive_trace(k->in, place);
}

static void close_measured(struct source *source)
{
    struct measured *k = source->ctx;
    for (int i = 0; i < k->n; i++) {
        op_scratch_fini(&k->of[i].mask);
    }
}

static const struct source_desc measured_desc = {
    .name = "measure", .read = read_measured, .trace = trace_measured, .close = close_measured};

static int add_fields(const struct measured *k, const struct measure *of, struct arena *arena,
                      struct element_spec *spec, struct err *err)
{
    const char *name = spec->fields[of->field].name;
    struct element_field length = {.name = arena_printf(arena, "%s_length", name),
                                   .kind = ELEMENT_NUMERIC,
                                   .spec = {.dtype = DTYPE_I64}};
    struct element_field mask = {.name = arena_printf(arena, "%s_mask", name),
                                 .kind = ELEMENT_NUMERIC,
                                 .spec = {.dtype = DTYPE_U8}};
    length.spec.shape = (struct shape){.rank = of->n_axes > 1, .d = {of->n_axes}};
    mask.spec.shape.rank = of->n_axes;
    for (int i = 0; i < of->n_axes; i++) {
        mask.spec.shape.d[i] = -1;
    }
    int r = k->lengths ? derive_add_field(spec, &length, err) : 0;
    return r == 0 && k->masks ? derive_add_field(spec, &mask, err) : r;
}

int derive_measure(struct derive *derive, const struct derive_pad_options *options,
                   struct source *ret, struct err *err)
{
    struct measured *k = ARENA_NEW(derive->pool->arena, struct measured);
    const struct element_spec *spec = &derive->in->spec;
    int r = 0;
    *k = (struct measured){.in = derive->in, .lengths = options->lengths, .masks = options->masks};
    derive_like(ret, k->in, &measured_desc, k);
    for (int f = 0; f < spec->n && r == 0 && (k->lengths || k->masks); f++) {
        struct measure *of = &k->of[k->n];
        of->field = f;
        for (int d = 0; d < spec->fields[f].spec.shape.rank; d++) {
            if (derive_is_open(&spec->fields[f], d)) {
                of->axes[of->n_axes++] = d;
            }
        }
        if (of->n_axes > 0) {
            k->n++;
            r = add_fields(k, of, derive->pool->arena, &ret->spec, err);
        }
    }
    return r;
}

int derive_behind(const struct derive *derive, struct source *source, struct derive *ret,
                  struct err *err)
{
    struct stream_want want = *derive->want;
    *ret = *derive;
    ret->in = pool_stream(derive->pool);
    want.stages = NULL;
    want.is_inner = true;
    return stream_compile(ret->in, source, &want, derive->pool, err);
}
