#include "pipeline/explain.h"

#include "pipeline/pipeline_impl.h"

/* ---- while a stream is compiled --------------------------------------------------------------- */

/* Runs a spec down the ops read so far; false if one of them does not take it. */
static bool run_spec(const struct stream *stream, int field, struct op_spec *spec)
{
    for (int i = 0; i < stream->n_ops; i++) {
        struct op op = stream->ops[i].op; /* a copy: the compile has not checked it yet */
        if ((stream->ops[i].fields >> field & 1) != 0) {
            if (op_check(&op, spec, NULL) < 0) {
                return false;
            }
            *spec = op.out;
        }
    }
    return true;
}

static void add_field(struct explain_mark *mark, const struct stream *stream, int i)
{
    struct element_field any = stream->source->spec.fields[i], like = any;
    if (any.is_varying && any.spec.shape.rank >= 2) {
        any.spec.shape.d[0] = any.spec.shape.d[1] = -1;
    }
    (void)run_spec(stream, i, &like.spec); /* what is wrong is the compile's to say */
    if (!run_spec(stream, i, &any.spec)) {
        any.spec = like.spec;
    }
    element_add(&mark->spec, &any);
    element_add(&mark->like, &like);
}

void explain_add(struct explain_marks *marks, const struct stream *stream,
                 const struct explain_mark *what, struct arena *arena)
{
    struct explain_mark *mark = ARENA_NEW(arena, struct explain_mark);
    *mark = *what;
    for (int i = 0; i < stream->source->spec.n; i++) {
        add_field(mark, stream, i);
    }
    if (marks->last != NULL) {
        marks->last->next = mark;
    } else {
        marks->first = mark;
    }
    marks->last = mark;
}

/* ---- for people ------------------------------------------------------------------------------- */

static void put_spec(struct doc *map, struct arena *arena, const struct op_spec *spec)
{
    doc_put_str(map, arena, "dtype", dtype_name(spec->dtype));
    struct doc *shape = doc_put(map, arena, "shape");
    doc_set_list(shape);
    for (int i = 0; i < spec->shape.rank; i++) {
        doc_set_int(doc_push(shape, arena), spec->shape.d[i]);
    }
}

static void put_fields(struct doc *list, struct arena *arena, const struct element_spec *spec)
{
    doc_set_list(list);
    for (int i = 0; i < spec->n; i++) {
        struct doc *map = doc_push(list, arena);
        doc_set_map(map);
        doc_put_str(map, arena, "name", spec->fields[i].name);
        doc_put_str(map, arena, "kind", element_kind_name(spec->fields[i].kind));
        put_spec(map, arena, &spec->fields[i].spec);
    }
}

static bool is_known(const struct op_spec *spec)
{
    for (int i = 0; i < spec->shape.rank; i++) {
        if (spec->shape.d[i] < 0) {
            return false;
        }
    }
    return true;
}

/* A field that no op gives one size: all samples have to be as large as the first. */
static void fix_sizes(struct explain_mark *mark, const struct explain_mark *last)
{
    for (int i = 0; i < mark->spec.n && i < last->spec.n; i++) {
        if (!is_known(&last->spec.fields[i].spec)) {
            mark->spec.fields[i] = mark->like.fields[i];
        }
    }
}

static void put_stage(struct doc *list, struct arena *arena, const struct explain_mark *mark)
{
    struct doc *map = doc_push(list, arena);
    doc_set_map(map);
    doc_put_str(map, arena, "stage", mark->stage);
    doc_put_str(map, arena, "path",
                mark->at >= 0 ? arena_printf(arena, "%s[%lld]", mark->path, (long long)mark->at)
                              : NULL);
    doc_put_int(map, arena, "elements", mark->elements == STAGE_ENDLESS ? -1 : mark->elements);
    doc_put_int(map, arena, "batch", mark->batch);
    if (mark->has_fewer) {
        doc_put_bool(map, arena, "fewer_rows", true);
    }
    if (mark->is_left_out) {
        doc_put_bool(map, arena, "left_out", true);
    }
    put_fields(doc_put(map, arena, "fields"), arena, &mark->spec);
}

static void put_pass(struct doc *list, struct arena *arena, const struct stream_chain *chain,
                     const struct stream_node *node)
{
    struct doc *map = doc_push(list, arena);
    doc_set_map(map);
    doc_put_str(map, arena, "field", chain->name);
    doc_put_str(map, arena, "name", node->name);
    struct doc *ops = doc_put(map, arena, "ops");
    doc_set_list(ops);
    for (int i = 0; i < node->n_ops; i++) {
        struct doc *op = doc_push(ops, arena);
        doc_set_map(op);
        doc_put_str(op, arena, "name", node->ops[i].op.desc->name);
        doc_put_str(op, arena, "path", node->ops[i].path);
    }
    struct doc *in = doc_put(map, arena, "in"), *out;
    doc_set_map(in);
    put_spec(in, arena, &node->in);
    out = doc_put(map, arena, "out");
    doc_set_map(out);
    put_spec(out, arena, &node->out);
    doc_put_str(map, arena, "apart", node->apart);
}

static void put_passes(struct doc *list, struct arena *arena, const struct stream *s)
{
    for (int f = 0; f < s->spec.n; f++) {
        for (int i = 0; i < s->chains[f].n_nodes; i++) {
            put_pass(list, arena, &s->chains[f], &s->chains[f].nodes[i]);
        }
    }
}

static void put_stream(const struct pipeline *p, int which, struct doc *map, struct arena *arena)
{
    const struct stream *s = &p->streams[which];
    const struct job_stream *data =
        which == PIPELINE_TRAIN ? &p->job->data.train : &p->job->data.validation;
    size_t row_bytes = 0;
    doc_set_map(map);
    doc_put_str(map, arena, "dataset", data->dataset);
    doc_put_str(map, arena, "split", data->split);
    struct doc *stages = doc_put(map, arena, "stages"), *passes = doc_put(map, arena, "passes");
    doc_set_list(stages);
    doc_set_list(passes);
    const struct explain_mark *last = s->marks; /* there is the source's at least */
    while (last->next != NULL) {
        last = last->next;
    }
    for (const struct explain_mark *mark = s->marks; mark != NULL; mark = mark->next) {
        struct explain_mark shown = *mark;
        fix_sizes(&shown, last);
        put_stage(stages, arena, &shown);
    }
    for (int i = 0; pool_inner(&p->pools[which], i) != NULL; i++) {
        put_passes(passes, arena, pool_inner(&p->pools[which], i));
    }
    put_passes(passes, arena, s);
    for (int f = 0; f < s->spec.n; f++) {
        row_bytes += s->chains[f].row_bytes;
    }
    doc_put_int(map, arena, "steps", s->steps);
    doc_put_int(map, arena, "rows", s->rows);
    doc_put_int(map, arena, "batch", s->batch);
    doc_put_int(map, arena, "prefetch", s->prefetch);
    doc_put_int(map, arena, "row_bytes", (int64_t)row_bytes);
    doc_put_int(map, arena, "batch_bytes", (int64_t)row_bytes * s->batch);
}

/* What stands between two passes of a sample; 0 as long as it depends on the sample. */
static size_t scratch_bytes(const struct stream *s)
{
    size_t most = 0;
    for (int f = 0; f < s->spec.n; f++) {
        for (int i = 0; i + 1 < s->chains[f].n_nodes; i++) {
            const size_t bytes = s->chains[f].nodes[i].out_bytes;
            most = bytes > most ? bytes : most;
        }
    }
    return 2 * most;
}

void pipeline_explain(const struct pipeline *pipeline, struct doc *map, struct arena *arena)
{
    static const char *const names[PIPELINE_STREAM_MAX_] = {"train", "validation"};
    struct doc *plan = doc_new(arena);
    size_t scratch = 0;
    pipeline_plan(pipeline, plan, arena);
    doc_set_map(map);
    doc_put_str(map, arena, "pipeline", pipeline_id(pipeline));
    struct doc *streams = doc_put(map, arena, "streams");
    doc_set_map(streams);
    for (int i = 0; i < PIPELINE_STREAM_MAX_; i++) {
        if (pipeline->has[i]) {
            const size_t bytes = scratch_bytes(&pipeline->streams[i]);
            put_stream(pipeline, i, doc_put(streams, arena, names[i]), arena);
            scratch = bytes > scratch ? bytes : scratch;
        }
    }
    doc_put_int(map, arena, "n_classes", doc_int(plan, "n_classes", 0));
    doc_put_int(map, arena, "slab_bytes", doc_int(plan, "slab_bytes", 0));
    doc_put_int(map, arena, "scratch_bytes", (int64_t)scratch);
}
