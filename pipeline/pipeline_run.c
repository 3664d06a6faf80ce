/* pipeline_run - makes the rows of a chunk; nothing here depends on what was made before. */
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "pipeline/block.h"
#include "pipeline/pipeline.h"
#include "pipeline/pipeline_impl.h"
#include "pipeline/source/npy_file.h"

/* How far on-error: replace looks for a good sample, and every how manieth row of a long chunk is
 * timed. */
enum { REPLACE_MAX = 1024, TIMED_EVERY = 8 };

struct chunk {
    struct pipeline *pipeline;
    struct stream *stream;
    const struct msg_chunk_make *make;
    unsigned char *fields[ELEMENT_FIELDS_MAX], *sample, *ok; /* of row 0 */
    struct arena *arena;
    struct msg_chunk_bad *bad;
    size_t n_bad;
};

static const struct slab_field *field(const struct slab_layout *layout, const char *name,
                                      size_t row_bytes)
{
    for (int i = 0; i < layout->n_fields; i++) {
        if (strcmp(layout->fields[i].name, name) == 0) {
            BUG_ON(layout->fields[i].row_bytes != row_bytes);
            return &layout->fields[i];
        }
    }
    BUG("the layout of a batch has no field '%s'", name);
}

static bool holds(const struct opt_ints *list, int64_t number)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->v[i] == number) {
            return true;
        }
    }
    return false;
}

/* Writes the fields of a row; ret_sample: whose they are, or who is bad. */
static int make_sample(struct chunk *c, int64_t row, const struct stream_places *places,
                       int64_t weight, int64_t *ret_sample, struct err *err)
{
    struct stream *stream = c->stream;
    struct element out;
    void *rows[ELEMENT_FIELDS_MAX];
    const struct stream_call call = {
        .source = {.epoch = places->epoch,
                   .step = places->step,
                   .skip = &c->make->skip_samples,
                   .weight = weight},
        .weight = weight,
        .rows = rows};
    for (int i = 0; i < stream->spec.n; i++) {
        rows[i] = c->fields[i] + (size_t)row * stream->chains[i].row_bytes;
    }
    int r = stream_read(stream, places, &call, &out, err);
    *ret_sample = out.sample;
    return r;
}

static void record(struct chunk *c, int64_t row, int64_t sample, const struct err *err)
{
    if (c->bad == NULL) {
        c->bad = arena_array(c->arena, (size_t)(c->make->end - c->make->begin), sizeof *c->bad);
    }
    c->bad[c->n_bad++] = (struct msg_chunk_bad){
        .row = row,
        .sample = sample,
        .path = arena_strdup(c->arena, pool_path(&c->pipeline->pools[c->make->stream], sample)),
        .offset = pool_offset(&c->pipeline->pools[c->make->stream], sample),
        .reason = arena_strdup(c->arena, err->text),
    };
}

static int refuse(const struct chunk *c, int64_t sample, int code, const struct err *found,
                  struct err *err)
{
    const char *path = pool_path(&c->pipeline->pools[c->make->stream], sample);
    return err_is_data(code) ? err_set_at(err, ERR_DATA, path, "%s", found->text)
                             : err_set_at(err, code, path, "%s", found->text);
}

/* The next good sample of the stream's order, the epoch's end followed by its beginning. */
static int replace(struct chunk *c, int64_t row, int64_t *ret_sample, struct err *err)
{
    const struct msg_chunk_make *make = c->make;
    for (int64_t ahead = 1; ahead < REPLACE_MAX && ahead < c->stream->rows; ahead++) {
        struct stream_places places;
        stream_place_next(c->stream, make->epoch, make->step, row, ahead, &places);
        if (stream_is_empty(c->stream, &places)) {
            continue;
        }
        int r = make_sample(c, row, &places, 0, ret_sample, err);
        if (r == 0 || !err_is_data(r)) {
            return r;
        }
    }
    return ERR_DATA;
}

static void put_row(struct chunk *c, int64_t row, int64_t sample, enum slab_row ok)
{
    memcpy(c->sample + (size_t)row * sizeof sample, &sample, sizeof sample);
    c->ok[row] = (unsigned char)ok;
    for (int i = 0; i < c->stream->spec.n && (ok == SLAB_ROW_BAD || ok == SLAB_ROW_NONE); i++) {
        const size_t bytes = c->stream->chains[i].row_bytes;
        memset(c->fields[i] + (size_t)row * bytes, 0, bytes);
    }
}

static int make_row(struct chunk *c, int64_t row, int64_t weight, struct err *err)
{
    struct stream_places places;
    struct err found = {0};
    stream_place(c->stream, c->make->epoch, c->make->step, row, &places);
    int64_t sample = -1;
    if (stream_is_empty(c->stream, &places)) {
        put_row(c, row, sample, SLAB_ROW_NONE);
        return 0;
    }
    const bool is_skipped = holds(&c->make->skip, row);
    int r = is_skipped ? err_set(&found, ERR_DATA, "it ended the workers that opened it")
                       : make_sample(c, row, &places, weight, &sample, &found);
    if (r == 0) {
        put_row(c, row, sample, SLAB_ROW_GOOD);
        return 0;
    }
    sample = is_skipped ? source_trace(c->stream->source, &places.at[0]) : sample;
    if (is_skipped || holds(&c->make->skip_samples, sample)) {
        record(c, row, sample, &found);
        put_row(c, row, sample, SLAB_ROW_BAD);
        return 0;
    }
    if (!err_is_data(r) ||
        (c->pipeline->on_error == JOB_ON_ERROR_FAIL && !c->stream->ignores_errors)) {
        return refuse(c, sample, r, &found, err);
    }
    int64_t other = sample;
    struct err why = {0};
    r = c->pipeline->on_error == JOB_ON_ERROR_REPLACE ? replace(c, row, &other, &why) : ERR_DATA;
    if (r < 0 && !err_is_data(r)) { /* perhaps to be made again: nothing is recorded yet */
        return refuse(c, other, r, &why, err);
    }
    record(c, row, sample, &found);
    put_row(c, row, r == 0 ? other : sample, r == 0 ? SLAB_ROW_REPLACED : SLAB_ROW_BAD);
    return 0;
}

/* Rows of a chunk that wait for elements that a client feeds. */
struct waiting {
    struct slab_in_flight *in_flight; /* or NULL */
    int64_t *rows;
    int64_t n;
};

static void tell_row(const struct waiting *waiting, int64_t row)
{
    if (waiting->in_flight != NULL) {
        atomic_store_explicit(&waiting->in_flight->row, row, memory_order_release);
    }
}

static int make_timed(struct chunk *c, struct waiting *waiting, int64_t row, int64_t weight,
                      struct err *err)
{
    tell_row(waiting, row);
    int r = make_row(c, row, weight, err);
    if (r != ERR_FEED || c->pipeline->asks == NULL || c->pipeline->asks->n == 0) {
        return r;
    }
    if (waiting->rows == NULL) {
        waiting->rows =
            arena_array(c->arena, (size_t)(c->make->end - c->make->begin), sizeof(int64_t));
    }
    waiting->rows[waiting->n++] = row;
    return 0;
}

/* Asks for all that is missing, then makes the rows again; a row may find more missing behind it.
 */
static int make_waiting(struct chunk *c, struct waiting *waiting, struct err *err)
{
    struct asks *asks = c->pipeline->asks;
    int r = 0;
    while (waiting->n > 0 && r == 0) {
        const int64_t n = waiting->n;
        tell_row(waiting, -1); /* waiting for a client is no row's fault */
        asks->collects = false;
        r = asks->wait(asks->context, asks, err);
        asks->collects = true;
        waiting->n = 0;
        for (int64_t i = 0; i < n && r == 0; i++) {
            r = make_timed(c, waiting, waiting->rows[i], 0, err);
        }
    }
    return r;
}

/* Many rows at once; how many, 0 = it has to be one by one. */
static int64_t make_block(struct chunk *c, int64_t row, struct slab_in_flight *in_flight)
{
    const struct msg_chunk_make *make = c->make;
    const int64_t left = make->end - row, most = c->stream->block_rows;
    void *rows[ELEMENT_FIELDS_MAX];
    const struct block_want want = {.epoch = make->epoch,
                                    .step = make->step,
                                    .row = row,
                                    .n = left < most ? left : most,
                                    .skip = &make->skip_samples,
                                    .rows = rows,
                                    .samples = c->sample + (size_t)row * sizeof(int64_t),
                                    .in_flight = in_flight != NULL ? &in_flight->row : NULL};
    if (want.n < 2 || make->skip.n > 0) {
        return 0;
    }
    for (int i = 0; i < c->stream->spec.n; i++) {
        rows[i] = c->fields[i] + (size_t)row * c->stream->chains[i].row_bytes;
    }
    if (!block_make(c->stream, &want)) {
        return 0;
    }
    memset(c->ok + row, SLAB_ROW_GOOD, (size_t)want.n);
    return want.n;
}

/* Rows begin..end of the chunk, one by one. */
static int make_rows(struct chunk *c, int64_t begin, int64_t end, struct waiting *waiting,
                     struct err *err)
{
    const int64_t every = end - begin >= 4 * TIMED_EVERY ? TIMED_EVERY : 1;
    int r = 0;
    for (int64_t row = begin; row < end && r == 0; row++) {
        /* Not the first of a chunk: it may open files, which is no time of eight rows. */
        r = make_timed(c, waiting, row, (row - begin) % every == every / 2 ? every : 0, err);
        if (waiting->in_flight != NULL) {
            atomic_fetch_add_explicit(&waiting->in_flight->samples, 1, memory_order_release);
        }
    }
    return r;
}

static int make_chunk(struct chunk *c, struct slab_in_flight *in_flight, struct err *err)
{
    const struct msg_chunk_make *make = c->make;
    const int64_t most = c->stream->block_rows > 0 ? c->stream->block_rows : make->end;
    struct asks *asks = c->pipeline->asks;
    struct waiting waiting = {.in_flight = in_flight};
    int r = 0;
    if (asks != NULL) {
        asks->n = 0;
        asks->collects = true;
    }
    for (int64_t row = make->begin, n; row < make->end && r == 0; row += n) {
        n = c->stream->block_rows > 0 ? make_block(c, row, in_flight) : 0;
        if (n > 0 && in_flight != NULL) {
            atomic_fetch_add_explicit(&in_flight->samples, (uint64_t)n, memory_order_release);
        } else if (n == 0) {
            n = make->end - row < most ? make->end - row : most;
            r = make_rows(c, row, row + n, &waiting, err);
        }
    }
    r = r < 0 ? r : make_waiting(c, &waiting, err);
    tell_row(&waiting, -1);
    if (asks != NULL) {
        asks->collects = false;
    }
    return r;
}

int pipeline_run(struct pipeline *pipeline, const struct msg_chunk_make *chunk,
                 const struct slab_layout *layout, unsigned char *slab,
                 struct pipeline_progress *progress, struct arena *arena,
                 struct opt_groups *ret_bad, struct err *err)
{
    if (chunk->stream < 0 || chunk->stream >= PIPELINE_STREAM_MAX_ ||
        !pipeline->has[chunk->stream]) {
        return err_set(err, ERR_INVALID, "there is no stream %lld", (long long)chunk->stream);
    }
    struct stream *stream = &pipeline->streams[chunk->stream];
    if (chunk->epoch < 0 || chunk->step < 0 || chunk->step >= stream->steps || chunk->begin < 0 ||
        chunk->begin > chunk->end || chunk->end > stream_rows(stream, chunk->step)) {
        return err_set(err, ERR_RANGE,
                       "rows %lld to %lld of step %lld: the stream has %lld steps of %lld rows",
                       (long long)chunk->begin, (long long)chunk->end, (long long)chunk->step,
                       (long long)stream->steps, (long long)stream->batch);
    }
    struct chunk c = {.pipeline = pipeline,
                      .stream = stream,
                      .make = chunk,
                      .sample = slab + field(layout, "__sample", sizeof(int64_t))->offset,
                      .ok = slab + field(layout, "__ok", 1)->offset,
                      .arena = arena};
    for (int i = 0; i < stream->spec.n; i++) {
        const struct stream_chain *chain = &stream->chains[i];
        c.fields[i] = slab + field(layout, chain->name, chain->row_bytes)->offset;
    }
    int r = make_chunk(&c, progress != NULL ? progress->in_flight : NULL, err);
    *ret_bad = (struct opt_groups){.v = c.bad, .n = c.n_bad};
    return r;
}

static void add_time(struct doc *map, struct arena *arena, const char *name, int64_t *us)
{
    if (*us > 0) {
        doc_put_int(map, arena, name, doc_int(map, name, 0) + *us);
        *us = 0;
    }
}

/* Returns the time of all ops. */
static int64_t add_ops(struct stream *stream, struct doc *map, struct arena *arena)
{
    int64_t all = 0;
    for (int f = 0; f < stream->spec.n; f++) {
        struct stream_chain *chain = &stream->chains[f];
        for (int k = 0; k < chain->n_nodes; k++) {
            all += chain->nodes[k].us;
            add_time(map, arena, chain->nodes[k].name, &chain->nodes[k].us);
        }
    }
    return all;
}

/* The time of a stream's source holds that of the ops of the streams inside of it. */
void pipeline_stage_times(struct pipeline *pipeline, struct doc *map, struct arena *arena)
{
    doc_set_map(map);
    for (int i = 0; i < PIPELINE_STREAM_MAX_; i++) {
        struct stream *stream = &pipeline->streams[i], *inner;
        for (int k = 0; (inner = pool_inner(&pipeline->pools[i], k)) != NULL; k++) {
            stream->source_us -= add_ops(inner, map, arena);
            inner->source_us = 0;
        }
        add_time(map, arena, "source", &stream->source_us);
        (void)add_ops(stream, map, arena);
    }
}

/* Makes the row of a picture from elsewhere. */
static int predict_tensor(struct stream *predict, const struct tensor *x, void *ret_row,
                          struct err *err)
{
    const int input = element_input(&predict->spec);
    const struct stream_places places = {.at[0] = {.position = 0}};
    void *rows[ELEMENT_FIELDS_MAX] = {NULL};
    const struct stream_call call = {.rows = rows};
    struct tensor ignored;
    rows[input] = ret_row;
    return stream_apply_field(predict, &predict->chains[input], x, &places, &call, &ignored, err);
}

/* Stages that make other elements may leave no way from a single file to a row. */
static int check_predict(const struct pipeline *p, struct err *err)
{
    if (p->predicts[PIPELINE_TRAIN].source == NULL && err != NULL) {
        *err = p->predict_err;
    }
    return p->predicts[PIPELINE_TRAIN].source == NULL ? p->predict_err.code : 0;
}

static int64_t label_of(const struct element_spec *spec, const struct element *element)
{
    const int y = element_find(spec, "y");
    int64_t label = 0;
    if (y >= 0 && element->fields[y].dtype == DTYPE_I64 && element->fields[y].shape.rank == 0) {
        memcpy(&label, element->fields[y].data, sizeof label);
    }
    return label;
}

/* A row of a data set; fields that are joined come of several of its own. */
static int predict_row(struct stream *predict, int64_t sample, void *ret_row, int64_t *ret_label,
                       struct err *err)
{
    const struct stream_places places = {.at[0] = {.position = sample}};
    void *rows[ELEMENT_FIELDS_MAX] = {NULL};
    const struct stream_call call = {.rows = rows};
    struct element made = {0};
    rows[element_input(&predict->spec)] = ret_row;
    int r = stream_read(predict, &places, &call, &made, err);
    if (r == 0) {
        *ret_label = label_of(&predict->spec, &made);
    }
    return r;
}

int pipeline_predict_sample(struct pipeline *pipeline, enum pipeline_stream stream, int64_t sample,
                            void *ret_row, int64_t *ret_label, struct err *err)
{
    if (stream < 0 || stream >= PIPELINE_STREAM_MAX_ || !pipeline->has[stream]) {
        return err_set(err, ERR_NOT_FOUND, "the job has no such stream");
    }
    struct source *source = pipeline->leaves[stream];
    struct stream *predict = &pipeline->predicts[stream];
    if (sample < 0 || sample >= source->samples) {
        return err_set(err, ERR_RANGE, "row %lld: the data set has %lld", (long long)sample,
                       (long long)source->samples);
    }
    int r = check_predict(pipeline, err);
    return r < 0 ? r : predict_row(predict, sample, ret_row, ret_label, err);
}

/* Numbers as the data set's element type, if that holds every one of them. */
static int to_dtype(struct pipeline *p, struct tensor *x, enum dtype dtype, struct err *err)
{
    int64_t n = 0;
    if (x->dtype == dtype) {
        return 0;
    }
    if (shape_count(&x->shape, &n) < 0 || (dtype != DTYPE_U8 && dtype != DTYPE_F32)) {
        return err_set(err, ERR_SHAPE, "holds %s, the data set %s", dtype_name(x->dtype),
                       dtype_name(dtype));
    }
    float *v = op_scratch_need(&p->numbers, (size_t)n * sizeof *v);
    op_to_floats(x, n, v);
    if (dtype == DTYPE_U8) {
        unsigned char *bytes = (unsigned char *)(void *)p->npy.data;
        for (int64_t i = 0; i < n; i++) {
            if (!(v[i] >= 0 && v[i] <= 255) || (float)(unsigned char)v[i] < v[i]) {
                return err_set(err, ERR_RANGE, "number %lld is %g, the data set holds uint8",
                               (long long)i, (double)v[i]);
            }
        }
        for (int64_t i = 0; i < n; i++) {
            bytes[i] = (unsigned char)v[i];
        }
    } else {
        buf_clear(&p->npy);
        buf_put(&p->npy, v, (size_t)n * sizeof *v);
    }
    x->data = p->npy.data;
    x->dtype = dtype;
    return 0;
}

/* (1, height, width, channels) and (height, width) of one channel are pictures too. */
static void fit_rank(struct shape *shape, const struct shape *wanted)
{
    if (shape->rank == wanted->rank + 1 && shape->d[0] == 1) {
        shape->rank--;
        memmove(shape->d, shape->d + 1, (size_t)shape->rank * sizeof *shape->d);
    }
    if (shape->rank == wanted->rank - 1 && wanted->d[wanted->rank - 1] == 1) {
        shape->d[shape->rank++] = 1;
    }
}

static const struct op_spec *input_spec(const struct stream *stream)
{
    const struct element_spec *spec = &stream->source->spec;
    return &spec->fields[element_input(spec)].spec;
}

static int predict_npy(struct pipeline *p, const void *data, size_t size, void *ret_row,
                       struct err *err)
{
    const struct op_spec *wanted = input_spec(&p->predicts[PIPELINE_TRAIN]);
    struct tensor x;
    int r = npy_file_read(data, size, &p->npy, &x, err);
    if (r < 0) {
        return r;
    }
    fit_rank(&x.shape, &wanted->shape);
    const bool has_channels = x.shape.rank == wanted->shape.rank &&
                              (x.shape.rank == 0 || x.shape.d[x.shape.rank - 1] ==
                                                        wanted->shape.d[wanted->shape.rank - 1]);
    if (!has_channels) {
        char a[96], b[96];
        shape_format(&x.shape, a, sizeof a);
        shape_format(&wanted->shape, b, sizeof b);
        return err_set(err, ERR_SHAPE, "is %s, the data set's samples are %s", a, b);
    }
    for (int i = 0; i < x.shape.rank; i++) {
        if (x.shape.d[i] < 1) {
            return err_set(err, ERR_SHAPE, "is empty");
        }
    }
    r = to_dtype(p, &x, wanted->dtype, err);
    return r < 0 ? r : predict_tensor(&p->predicts[PIPELINE_TRAIN], &x, ret_row, err);
}

/* A data set of numbers that are shaped like pictures takes picture files too. */
static int decode_file(struct pipeline *p, const void *data, size_t size, struct tensor *ret,
                       struct err *err)
{
    const struct op_spec *x = input_spec(&p->predicts[PIPELINE_TRAIN]);
    struct decode_image image;
    if (x->shape.rank != 3 || x->dtype != DTYPE_U8 || (x->shape.d[2] != 1 && x->shape.d[2] != 3)) {
        return err_set(err, ERR_UNSUPPORTED, "the job was not trained on pictures");
    }
    if (p->decode == NULL) {
        p->decode = decode_create();
    }
    int r = decode_run(p->decode, data, size, (int)x->shape.d[2], &image, err);
    if (r == 0) {
        *ret =
            (struct tensor){.dtype = DTYPE_U8,
                            .shape = {.rank = 3, .d = {image.height, image.width, image.channels}},
                            .data = (void *)(uintptr_t)image.data};
    }
    return r;
}

int pipeline_predict_file(struct pipeline *pipeline, const void *data, size_t size, void *ret_row,
                          struct err *err)
{
    struct stream *predict = &pipeline->predicts[PIPELINE_TRAIN];
    struct tensor x;
    int r = check_predict(pipeline, err);
    if (r < 0) {
        return r;
    }
    if (npy_file_is(data, size)) {
        return predict_npy(pipeline, data, size, ret_row, err);
    }
    const struct source_desc *desc = predict->source->desc;
    r = desc->picture != NULL ? desc->picture(predict->source, data, size, &x, err)
                              : decode_file(pipeline, data, size, &x, err);
    return r < 0 ? r : predict_tensor(predict, &x, ret_row, err);
}
