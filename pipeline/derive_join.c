/* derive_join - several fields of an element to one, by an op; or a field a second time. */
#include "pipeline/derive.h"

struct joined {
    struct stream *in;
    struct op op;
    bool is_copy;
    int from[ELEMENT_FIELDS_MAX], n_from; /* in the order that the op takes them */
    int kept[ELEMENT_FIELDS_MAX], n_kept;
    struct op_scratch made, scratch;
};

static int run_join(struct joined *k, const struct element *from, struct tensor *ret,
                    struct err *err)
{
    struct tensor in[ELEMENT_FIELDS_MAX];
    struct op_spec specs[ELEMENT_FIELDS_MAX];
    struct op op = k->op;
    size_t bytes = 0;
    for (int i = 0; i < k->n_from; i++) {
        in[i] = from->fields[k->from[i]];
        specs[i] = (struct op_spec){.dtype = in[i].dtype, .shape = in[i].shape};
    }
    if (k->is_copy) {
        *ret = in[0];
        return 0;
    }
    int r = op_check_all(&op, specs, k->n_from, err);
    if (r == 0 && (shape_bytes(&op.out.shape, op.out.dtype, &bytes) < 0 || bytes > 1U << 30)) {
        r = err_set(err, ERR_LIMIT, "%s: the sample becomes too large", op.desc->name);
    }
    if (r == 0) {
        ret->data = op_scratch_need(&k->made, bytes + 1);
        r = op_run_all(&op, in, k->n_from, ret, &k->scratch, err);
    }
    return r;
}

static int read_joined(struct source *source, const struct stage_place *place,
                       const struct source_call *call, struct element *ret, struct err *err)
{
    struct joined *k = source->ctx;
    struct element from;
    int r = stream_get(k->in, place, call, &from, err);
    ret->sample = from.sample;
    for (int i = 0; i < k->n_kept && r == 0; i++) {
        ret->fields[i] = from.fields[k->kept[i]];
    }
    return r < 0 ? r : run_join(k, &from, &ret->fields[k->n_kept], err);
}

static int64_t trace(const struct source *source, const struct stage_place *place)
{
    const struct joined *k = source->ctx;
    return derive_trace(k->in, place);
}

static void close_joined(struct source *source)
{
    struct joined *k = source->ctx;
    op_scratch_fini(&k->made);
    op_scratch_fini(&k->scratch);
}

static const struct source_desc joined_desc = {
    .name = "join", .read = read_joined, .trace = trace, .close = close_joined};

static int find_fields(struct joined *k, const struct derive_join *join, struct err *err)
{
    const struct element_spec *spec = &k->in->spec;
    uint32_t used = 0;
    int r = derive_fields(spec, &join->fields, &used, err);
    if (r == 0 && (join->fields.n == 0 || join->fields.n > ELEMENT_FIELDS_MAX)) {
        return err_set_at(err, ERR_MISSING, "fields", "says which fields become one, in order");
    }
    if (r == 0 && k->is_copy && join->fields.n != 1) {
        return err_set_at(err, ERR_INVALID, "into",
                          "is for one field, or for an operation that takes several "
                          "(Concatenate, HashedCrossing)");
    }
    for (size_t i = 0; i < join->fields.n && r == 0; i++) {
        k->from[k->n_from++] = element_find(spec, join->fields.v[i]);
    }
    for (int i = 0; i < spec->n && r == 0; i++) {
        if (join->keep || k->is_copy || (used >> i & 1) == 0) {
            k->kept[k->n_kept++] = i;
        }
    }
    return r;
}

int derive_join(const struct derive *derive, const struct derive_join *join, struct source *ret,
                struct err *err)
{
    struct joined *k = ARENA_NEW(derive->pool->arena, struct joined);
    struct op_spec specs[ELEMENT_FIELDS_MAX];
    struct element_field made = {.name = join->into != NULL ? join->into : "x",
                                 .kind = ELEMENT_NUMERIC};
    *k = (struct joined){.in = derive->in, .is_copy = join->op == NULL};
    int r = find_fields(k, join, err);
    if (r < 0) {
        return r;
    }
    for (int i = 0; i < k->n_from; i++) {
        specs[i] = k->in->spec.fields[k->from[i]].spec;
    }
    if (k->is_copy) {
        made = k->in->spec.fields[k->from[0]];
        made.name = join->into;
    } else {
        k->op = *join->op;
        r = op_check_all(&k->op, specs, k->n_from, err);
        made.spec = k->op.out;
        for (int d = 0; d < made.spec.shape.rank; d++) {
            made.is_varying = made.is_varying || made.spec.shape.d[d] < 0;
        }
    }
    derive_like(ret, k->in, &joined_desc, k);
    ret->spec.n = 0;
    for (int i = 0; i < k->n_kept; i++) {
        element_add(&ret->spec, &k->in->spec.fields[k->kept[i]]);
    }
    return r < 0 ? r : derive_add_field(&ret->spec, &made, err);
}
