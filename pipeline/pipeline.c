#include "pipeline/pipeline.h"

#include <string.h>

#include "pipeline/numerics.h"
#include "pipeline/pipeline_impl.h"

static const char *const stream_names[PIPELINE_STREAM_MAX_] = {"train", "validation"};

static const struct pipeline_manifest *find_manifest(const struct pipeline_store *store,
                                                     const char *dataset)
{
    for (int i = 0; i < store->n_manifests; i++) {
        if (strcmp(store->manifests[i].dataset, dataset) == 0) {
            return &store->manifests[i];
        }
    }
    return NULL;
}

/* Texts are for what is done before a batch; shared memory has no place for them. */
static int check_texts(const struct stream *stream, const char *name, struct err *err)
{
    for (int i = 0; i < stream->spec.n; i++) {
        const struct element_field *field = &stream->spec.fields[i];
        if (field->spec.dtype == DTYPE_STR) {
            err_set(err, ERR_UNSUPPORTED,
                    "field '%s' is text, which cannot go into a batch: make it numbers "
                    "(TextVectorization, StringLookup, Hashing), leave it out (the source's "
                    "option fields), or read it as kind: categorical or image",
                    field->name);
            err_prefix(err, "data.%s", name);
            return ERR_UNSUPPORTED;
        }
    }
    return 0;
}

static struct stream_want want_of(const struct job_spec *job, int which)
{
    const bool is_own = which == PIPELINE_VALIDATION && job->validation_pipeline != NULL;
    return (struct stream_want){
        .stages = is_own ? job->validation_pipeline : job->pipeline,
        .path = is_own ? "validation_pipeline" : "pipeline",
        .is_training = which == PIPELINE_TRAIN || is_own,
        .seed = (uint64_t)job->fit.seed,
        .epochs = job->fit.epochs > 0 ? job->fit.epochs : 1,
        .steps_per_epoch = which == PIPELINE_TRAIN ? job->fit.steps_per_epoch : 0,
    };
}

static int open_leaf(const struct job_spec *job, int which, struct pool *pool, struct source **ret,
                     struct err *err)
{
    const struct job_stream *stream =
        which == PIPELINE_TRAIN ? &job->data.train : &job->data.validation;
    pool->takes_bad = job->data.on_error != JOB_ON_ERROR_FAIL;
    int r = stream->dataset == NULL ? err_set(err, ERR_MISSING, "the job has no such data")
                                    : pool_open(pool, stream, ret, err);
    if (r < 0) {
        err_prefix(err, "data.%s", stream_names[which]);
    }
    return r;
}

int pipeline_elements(const struct job_spec *job, const struct pipeline_store *store,
                      enum pipeline_stream which, struct arena *arena, struct pool *pool,
                      struct stream *ret, struct err *err)
{
    struct stream_want want = want_of(job, which);
    struct source *source = NULL;
    want.is_inner = want.is_unbatched = true;
    *ret = (struct stream){0};
    pool_init(pool, store, arena);
    int r = open_leaf(job, which, pool, &source, err);
    r = r < 0 ? r : stream_compile(ret, source, &want, pool, err);
    if (r == 0 && ret->n == STAGE_ENDLESS) {
        r = err_set_at(err, ERR_UNSUPPORTED, want.path, "the stream has no end; leave repeat out");
    }
    return r;
}

static int compile_stream(struct pipeline *p, int which, const struct pipeline_store *store,
                          struct arena *arena, struct err *err)
{
    struct stream_want want = want_of(p->job, which);
    want.like = which == PIPELINE_VALIDATION ? &p->streams[PIPELINE_TRAIN].spec : NULL;
    struct pool *pool = &p->pools[which];
    pool_init(pool, store, arena);
    int r = open_leaf(p->job, which, pool, &p->leaves[which], err);
    if (r < 0) {
        return r;
    }
    r = stream_compile(&p->streams[which], p->leaves[which], &want, pool, err);
    r = r < 0 ? r : check_texts(&p->streams[which], stream_names[which], err);
    p->has[which] = r == 0;
    return r;
}

static int compile_predict(struct pipeline *p, int which, struct arena *arena, struct err *err)
{
    const struct stream_want want = {
        .stages =
            p->job->validation_pipeline != NULL ? p->job->validation_pipeline : p->job->pipeline,
        .path = p->job->validation_pipeline != NULL ? "validation_pipeline" : "pipeline",
        .is_ops_only = true,
        .like = &p->streams[PIPELINE_TRAIN].spec,
        .seed = (uint64_t)p->job->fit.seed,
        .epochs = 1,
    };
    struct pool *pool = &p->predict_pools[which];
    pool_init(pool, p->pools[which].store, arena);
    int r = stream_compile(&p->predicts[which], p->leaves[which], &want, pool, &p->predict_err);
    if (r < 0 && p->streams[which].source == p->leaves[which]) {
        if (err != NULL) {
            *err = p->predict_err;
        }
        return r;
    }
    if (r < 0) {
        p->predicts[which].source = NULL;
    }
    return 0;
}

static int compile_predicts(struct pipeline *p, struct arena *arena, struct err *err)
{
    int r = 0;
    for (int i = 0; i < PIPELINE_STREAM_MAX_ && r == 0; i++) {
        r = p->has[i] ? compile_predict(p, i, arena, err) : 0;
    }
    return r;
}

static int check_field(const struct element_field *train, const struct element_field *validation,
                       struct err *err)
{
    const struct op_spec *a = &train->spec, *b = &validation->spec;
    if (strcmp(train->name, validation->name) == 0 && a->dtype == b->dtype &&
        shape_equal(&a->shape, &b->shape)) {
        return 0;
    }
    char made[128], wanted[128];
    op_shape_text(a, wanted, sizeof wanted);
    op_shape_text(b, made, sizeof made);
    return err_set_at(err, ERR_SHAPE, "data.validation",
                      "the validation stream makes %s of '%s', the training stream %s of '%s'",
                      made, validation->name, wanted, train->name);
}

/* A number has to mean the same class in both. */
static int check_classes(const struct source *train, const struct source *validation,
                         struct err *err)
{
    for (int64_t i = 0; i < train->n_classes || i < validation->n_classes; i++) {
        const char *a = i < train->n_classes ? train->classes[i] : NULL;
        const char *b = i < validation->n_classes ? validation->classes[i] : NULL;
        if (a == NULL) {
            return err_set_at(err, ERR_DATA, "data.validation",
                              "it has %lld classes and data.train has %lld: %s",
                              (long long)validation->n_classes, (long long)train->n_classes,
                              validation->top_class != NULL ? validation->top_class : b);
        }
        if (b != NULL && strcmp(a, b) != 0) {
            return err_set_at(err, ERR_DATA, "data.validation",
                              "its class %lld is '%s', that of data.train '%s'", (long long)i, b,
                              a);
        }
    }
    return 0;
}

static int check_streams(const struct pipeline *p, struct err *err)
{
    const struct element_spec *train = &p->streams[PIPELINE_TRAIN].spec,
                              *validation = &p->streams[PIPELINE_VALIDATION].spec;
    if (!p->has[PIPELINE_VALIDATION]) {
        return 0;
    }
    if (train->n != validation->n) {
        return err_set_at(err, ERR_SHAPE, "data.validation",
                          "the validation stream makes %d fields, the training stream %d",
                          validation->n, train->n);
    }
    for (int i = 0; i < train->n; i++) {
        int r = check_field(&train->fields[i], &validation->fields[i], err);
        if (r < 0) {
            return r;
        }
    }
    const struct source *source = p->streams[PIPELINE_TRAIN].source;
    if (source->n_classes > 0) {
        return check_classes(source, p->streams[PIPELINE_VALIDATION].source, err);
    }
    return 0;
}

static void put_doc(struct doc *map, struct arena *arena, const char *key, const struct doc *value)
{
    if (value != NULL) {
        doc_copy(doc_put(map, arena, key), arena, value);
    }
}

static struct doc *new_map(struct doc *list, struct arena *arena)
{
    struct doc *map = doc_push(list, arena);
    doc_set_map(map);
    return map;
}

static void put_stream(struct doc *list, struct arena *arena, const struct job_stream *stream,
                       const struct pipeline_store *store)
{
    struct doc *map = doc_push(list, arena);
    doc_set_map(map);
    if (stream->dataset != NULL) {
        doc_put_str(map, arena, "split", stream->split);
        put_doc(map, arena, "source", stream->source);
        const struct pipeline_manifest *manifest = find_manifest(store, stream->dataset);
        put_doc(map, arena, "manifest", manifest != NULL ? manifest->files : NULL);
    }
}

static void make_id(struct pipeline *p, const struct pipeline_store *store)
{
    struct arena arena;
    struct buf text = {0};
    arena_init(&arena);
    struct doc *root = doc_new(&arena);
    doc_set_map(root);
    doc_put_int(root, &arena, "numerics", NUMERICS_VERSION);
    doc_put_int(root, &arena, "seed", p->job->fit.seed);
    doc_put_int(root, &arena, "steps_per_epoch", p->job->fit.steps_per_epoch);
    doc_put_int(root, &arena, "on_error", p->on_error);
    put_doc(root, &arena, "pipeline", p->job->pipeline);
    put_doc(root, &arena, "validation_pipeline", p->job->validation_pipeline);
    struct doc *data = doc_put(root, &arena, "data");
    doc_set_list(data);
    put_stream(data, &arena, &p->job->data.train, store);
    put_stream(data, &arena, &p->job->data.validation, store);
    for (int i = 0; i < store->n_manifests; i++) { /* those that stages name, too */
        put_doc(new_map(data, &arena), &arena, "manifest", store->manifests[i].files);
    }
    doc_write_canonical(root, &text);
    hash_bytes(text.data, text.size, p->id);
    buf_fini(&text);
    arena_fini(&arena);
}

int pipeline_compile(const struct job_spec *job, const struct pipeline_store *store,
                     struct arena *arena, struct pipeline **ret, struct err *err)
{
    if (job->data.train.dataset == NULL) {
        return err_set_at(err, ERR_MISSING, "data.train", "a job names the data set it trains on");
    }
    struct pipeline *p = ARENA_NEW(arena, struct pipeline);
    p->job = job;
    p->asks = store->asks;
    p->on_error = job->data.on_error;
    int r = compile_stream(p, PIPELINE_TRAIN, store, arena, err);
    if (r == 0 && job->data.validation.dataset != NULL) {
        r = compile_stream(p, PIPELINE_VALIDATION, store, arena, err);
    }
    r = r < 0 ? r : compile_predicts(p, arena, err);
    r = r < 0 ? r : check_streams(p, err);
    if (r < 0) {
        pipeline_destroy(p);
        return r;
    }
    make_id(p, store);
    *ret = p;
    return 0;
}

void pipeline_destroy(struct pipeline *pipeline)
{
    if (pipeline != NULL) {
        for (int i = 0; i < PIPELINE_STREAM_MAX_; i++) {
            pool_close(&pipeline->pools[i]);
            stream_fini(&pipeline->streams[i]);
            pool_close(&pipeline->predict_pools[i]);
            stream_fini(&pipeline->predicts[i]);
        }
        op_scratch_fini(&pipeline->numbers);
        decode_destroy(pipeline->decode);
        buf_fini(&pipeline->npy);
    }
}

static void put_field(struct doc *fields, struct arena *arena, const struct element_field *from)
{
    const struct op_spec *spec = &from->spec;
    struct doc *field = doc_push(fields, arena);
    doc_set_map(field);
    doc_put_str(field, arena, "name", from->name);
    doc_put_str(field, arena, "kind", element_kind_name(from->kind));
    doc_put_str(field, arena, "dtype", dtype_name(spec->dtype));
    struct doc *shape = doc_put(field, arena, "shape");
    doc_set_list(shape);
    for (int i = 0; i < spec->shape.rank; i++) {
        doc_set_int(doc_push(shape, arena), spec->shape.d[i]);
    }
}

/* Names of the passes, field by field; a pass that several fields share stands there once. */
static void put_ops(struct doc *list, struct arena *arena, const struct stream *s)
{
    doc_set_list(list);
    for (int f = 0; f < s->spec.n; f++) {
        for (int i = 0; i < s->chains[f].n_nodes; i++) {
            const char *name = s->chains[f].nodes[i].name;
            bool is_there = false;
            for (size_t k = 0; k < list->n && f > 0; k++) {
                is_there = is_there || strcmp(list->items[k].str, name) == 0;
            }
            if (!is_there) {
                doc_set_str(doc_push(list, arena), arena, name);
            }
        }
    }
}

static void put_plan(const struct pipeline *p, int which, struct doc *map, struct arena *arena)
{
    const struct stream *s = &p->streams[which];
    const struct job_stream *data =
        which == PIPELINE_TRAIN ? &p->job->data.train : &p->job->data.validation;
    doc_set_map(map);
    doc_put_str(map, arena, "dataset", data->dataset);
    doc_put_str(map, arena, "split", data->split);
    doc_put_int(map, arena, "samples", s->rows);
    doc_put_int(map, arena, "dataset_samples", p->pools[which].samples);
    doc_put_int(map, arena, "batch", s->batch);
    doc_put_int(map, arena, "steps", s->steps);
    doc_put_bool(map, arena, "repeat", s->is_endless);
    doc_put_int(map, arena, "prefetch", s->prefetch);
    struct doc *fields = doc_put(map, arena, "fields");
    doc_set_list(fields);
    for (int i = 0; i < s->spec.n; i++) {
        put_field(fields, arena, &s->spec.fields[i]);
    }
    put_ops(doc_put(map, arena, "ops"), arena, s);
}

void pipeline_plan(const struct pipeline *pipeline, struct doc *map, struct arena *arena)
{
    size_t slab_bytes = 0;
    doc_set_map(map);
    doc_put_str(map, arena, "pipeline", pipeline->id);
    struct doc *streams = doc_put(map, arena, "streams");
    doc_set_map(streams);
    for (int i = 0; i < PIPELINE_STREAM_MAX_; i++) {
        struct slab_layout layout;
        if (pipeline->has[i]) {
            struct doc *stream = doc_put(streams, arena, stream_names[i]);
            put_plan(pipeline, i, stream, arena);
            if (slab_layout(stream, arena, &layout, NULL) == 0 && layout.slab_bytes > slab_bytes) {
                slab_bytes = layout.slab_bytes;
            }
        }
    }
    const struct source *source = pipeline->streams[PIPELINE_TRAIN].source;
    struct doc *classes = doc_put(map, arena, "classes");
    doc_set_list(classes);
    for (int64_t i = 0; i < source->n_classes; i++) {
        doc_set_str(doc_push(classes, arena), arena, source->classes[i]);
    }
    doc_put_int(map, arena, "n_classes", source->n_classes);
    if (source->top_class != NULL) {
        doc_put_str(map, arena, "top_class", source->top_class);
    }
    doc_put_int(map, arena, "slab_bytes", (int64_t)slab_bytes);
}

const char *pipeline_id(const struct pipeline *pipeline)
{
    return pipeline->id;
}

bool pipeline_has(const struct pipeline *pipeline, enum pipeline_stream stream)
{
    return pipeline->has[stream];
}

int64_t pipeline_steps(const struct pipeline *pipeline, enum pipeline_stream stream)
{
    return pipeline->streams[stream].steps;
}

int64_t pipeline_rows(const struct pipeline *pipeline, enum pipeline_stream stream, int64_t step)
{
    return stream_rows(&pipeline->streams[stream], step);
}
