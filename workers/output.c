#include "workers/output.h"

#include <stdlib.h>

struct output_form {
    int (*open)(struct output *output, const struct inputs *inputs, struct err *err);
    int (*place)(const struct output *output, const struct msg_chunk_make *chunk,
                 unsigned char **ret, struct err *err);
    int (*frames)(const struct output *output, const struct msg_chunk_make *chunk,
                  const unsigned char *batch, struct sock_frame *frames);
    void (*close)(struct output *output);
};

/* ---- slab ----------------------------------------------------------------------------------- */

static int slab_form_open(struct output *output, const struct inputs *inputs, struct err *err)
{
    int rc = slab_map(inputs->slab_fd, &output->slab, err);
    if (rc < 0) {
        return rc;
    }
    if (output->batch_bytes > output->slab.slab_bytes) {
        return err_set(err, ERR_CORRUPT, "a batch of %zu bytes does not fit into a slab of %zu",
                       output->batch_bytes, output->slab.slab_bytes);
    }
    output->in_flight = &output->slab.header->in_flight[inputs->start->worker % SLAB_WORKERS_MAX];
    return 0;
}

static int slab_form_place(const struct output *output, const struct msg_chunk_make *chunk,
                           unsigned char **ret, struct err *err)
{
    if (chunk->slab < 0 || chunk->slab >= output->slab.n_slabs) {
        return err_set(err, ERR_RANGE, "slab %lld of %lld", (long long)chunk->slab,
                       (long long)output->slab.n_slabs);
    }
    *ret = slab_at(&output->slab, chunk->slab);
    return 0;
}

static int slab_form_frames(const struct output *output, const struct msg_chunk_make *chunk,
                            const unsigned char *batch, struct sock_frame *frames)
{
    (void)output, (void)chunk, (void)batch, (void)frames;
    return 0;
}

static void slab_form_close(struct output *output)
{
    slab_unmap(&output->slab);
}

/* ---- inline --------------------------------------------------------------------------------- */

static int inline_form_open(struct output *output, const struct inputs *inputs, struct err *err)
{
    (void)inputs;
    size_t size = (output->batch_bytes + 63) / 64 * 64;
    if (size < output->batch_bytes || (output->scratch = aligned_alloc(64, size)) == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for a batch of %zu bytes",
                       output->batch_bytes);
    }
    return 0;
}

static int inline_form_place(const struct output *output, const struct msg_chunk_make *chunk,
                             unsigned char **ret, struct err *err)
{
    (void)chunk, (void)err;
    *ret = output->scratch;
    return 0;
}

static int inline_form_frames(const struct output *output, const struct msg_chunk_make *chunk,
                              const unsigned char *batch, struct sock_frame *frames)
{
    const struct slab_layout *layout = &output->layout[chunk->stream];
    for (int i = 0; i < layout->n_fields; i++) {
        const struct slab_field *field = &layout->fields[i];
        frames[i].data = batch + field->offset + (size_t)chunk->begin * field->row_bytes;
        frames[i].size = (size_t)(chunk->end - chunk->begin) * field->row_bytes;
    }
    return layout->n_fields;
}

static void inline_form_close(struct output *output)
{
    free(output->scratch);
    output->scratch = NULL;
}

static const struct output_form forms[] = {
    [JOB_TRANSPORT_SLAB] = {slab_form_open, slab_form_place, slab_form_frames, slab_form_close},
    [JOB_TRANSPORT_INLINE] = {inline_form_open, inline_form_place, inline_form_frames,
                              inline_form_close},
};

/* ---- both ----------------------------------------------------------------------------------- */

static const char *const stream_names[PIPELINE_STREAM_MAX_] = {
    [PIPELINE_TRAIN] = "train",
    [PIPELINE_VALIDATION] = "validation",
};

static int make_layouts(struct output *output, struct arena *arena, struct err *err)
{
    struct doc *plan = doc_new(arena);
    doc_set_map(plan);
    pipeline_plan(output->pipeline, plan, arena);
    const struct doc *streams = doc_get(plan, "streams");
    for (int i = 0; i < PIPELINE_STREAM_MAX_; i++) {
        output->given[i] = pipeline_has(output->pipeline, (enum pipeline_stream)i);
        if (!output->given[i]) {
            continue;
        }
        const struct doc *stream = doc_get(streams, stream_names[i]);
        BUG_ON(stream == NULL);
        int rc = slab_layout(stream, arena, &output->layout[i], err);
        if (rc < 0) {
            return rc;
        }
        if (output->layout[i].slab_bytes > output->batch_bytes) {
            output->batch_bytes = output->layout[i].slab_bytes;
        }
    }
    return 0;
}

int output_open(struct output *ret, const struct inputs *inputs, const struct pipeline *pipeline,
                struct arena *arena, struct err *err)
{
    *ret = (struct output){.pipeline = pipeline};
    ret->in_flight = &ret->own;
    /* A worker on another machine has no slabs, whatever the job file says. */
    ret->form =
        &forms[inputs->slab_fd < 0 ? JOB_TRANSPORT_INLINE : inputs->job.resources.transport];
    int rc = make_layouts(ret, arena, err);
    if (rc == 0) {
        rc = ret->form->open(ret, inputs, err);
    }
    if (rc == 0) {
        ret->in_flight->row = -1;
    }
    return rc;
}

void output_close(struct output *output)
{
    if (output->form != NULL) {
        output->form->close(output);
        output->form = NULL;
    }
}

int output_place(const struct output *output, const struct msg_chunk_make *chunk,
                 unsigned char **ret, struct err *err)
{
    if (chunk->stream < 0 || chunk->stream >= PIPELINE_STREAM_MAX_ ||
        !output->given[chunk->stream]) {
        return err_set(err, ERR_RANGE, "no stream %lld in this job", (long long)chunk->stream);
    }
    enum pipeline_stream stream = (enum pipeline_stream)chunk->stream;
    if (chunk->step < 0 || chunk->step >= pipeline_steps(output->pipeline, stream)) {
        return err_set(err, ERR_RANGE, "step %lld of %lld", (long long)chunk->step,
                       (long long)pipeline_steps(output->pipeline, stream));
    }
    int64_t rows = pipeline_rows(output->pipeline, stream, chunk->step);
    if (chunk->begin < 0 || chunk->begin >= chunk->end || chunk->end > rows ||
        rows > output->layout[stream].rows) {
        return err_set(err, ERR_RANGE, "rows %lld to %lld of a batch of %lld",
                       (long long)chunk->begin, (long long)chunk->end, (long long)rows);
    }
    return output->form->place(output, chunk, ret, err);
}

int output_frames(const struct output *output, const struct msg_chunk_make *chunk,
                  const unsigned char *batch, struct sock_frame frames[SLAB_FIELDS_MAX])
{
    return output->form->frames(output, chunk, batch, frames);
}
