/* concatenate - one stream after the other. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_concatenate;

enum { STREAMS_MAX = 64 };

struct concatenate {
    const struct doc *datasets;
};
struct joined {
    struct stream *in[STREAMS_MAX];
    int n;
};
static const struct opt options[] = {
    OPT_DOC_ROW(
        concatenate, datasets,
        "A list of {dataset, split, pipeline} that follow this stream, one after the other.",
        .flags = OPT_REQUIRED),
    OPT_END_ROW,
};

static struct stream *find(const struct joined *k, struct stage_place *place)
{
    int i = 0;
    while (i + 1 < k->n && place->position >= k->in[i]->n) {
        place->position -= k->in[i++]->n;
    }
    return k->in[i];
}

static int read_joined(struct source *source, const struct stage_place *place,
                       const struct source_call *call, struct element *ret, struct err *err)
{
    struct stage_place at = *place;
    return stream_get(find(source->ctx, &at), &at, call, ret, err);
}

static int64_t trace(const struct source *source, const struct stage_place *place)
{
    struct stage_place at = *place;
    const struct stream *in = find(source->ctx, &at);
    return derive_trace(in, &at);
}

static const struct source_desc joined_desc = {
    .name = "concatenate", .read = read_joined, .trace = trace};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct concatenate *options_of = stage->ctx;
    struct joined *k = ARENA_NEW(derive->pool->arena, struct joined);
    k->in[k->n++] = derive->in;
    int r = derive_open_list(derive, options_of->datasets, k->in, &k->n, STREAMS_MAX, err);
    r = r < 0 ? r : derive_check_end(k->in[0], "concatenate", err);
    derive_like(ret, k->in[0], &joined_desc, k);
    for (int i = 1; i < k->n && r == 0; i++) {
        ret->samples = k->in[i]->n == STAGE_ENDLESS ? STAGE_ENDLESS : ret->samples + k->in[i]->n;
        r = derive_merge(ret, k->in[i], err);
        if (r == 0 && ret->samples == STAGE_ENDLESS && i + 1 < k->n) {
            r = derive_check_end(k->in[i], "the last stream", err);
        }
    }
    return r;
}

const struct stage_desc stage_concatenate = {
    .name = "concatenate",
    .summary = "Appends other streams with the same fields.",
    .options = options,
    .ctx_size = sizeof(struct concatenate),
    .shorthand = "datasets",
    .kind = STAGE_DERIVE,
    .derive = derive,
};
