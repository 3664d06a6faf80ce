/* A pipeline of ten samples whose rows follow from their position, and which fails where the job
 * file says: pipeline: {fault: compile | data | crash | hang, at: sample}. What a worker does with
 * it is what is tested. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/apply.h"
#include "pipeline/explain.h"
#include "pipeline/op.h"
#include "pipeline/pipeline.h"
#include "pipeline/pipeline_save.h"
#include "pipeline/source.h"
#include "pipeline/stage.h"

enum { SAMPLES = 10, BATCH = 4, STEPS = 3, FIELDS = 2 };

struct pipeline {
    const char *fault;
    int64_t at;
    int64_t us;
};

int pipeline_compile(const struct job_spec *job, const struct pipeline_store *store,
                     struct arena *arena, struct pipeline **ret, struct err *err)
{
    struct pipeline *pipeline = ARENA_NEW(arena, struct pipeline);
    pipeline->fault = doc_str(job->pipeline, "fault", "");
    pipeline->at = doc_int(job->pipeline, "at", -1);
    if (store->n_manifests != 1 || strcmp(store->manifests[0].dataset, "digits") != 0) {
        return err_set(err, ERR_MISSING, "no manifest of 'digits'");
    }
    if (strcmp(pipeline->fault, "compile") == 0) {
        return err_set_at(err, ERR_UNKNOWN, "pipeline[0].map[0]",
                          "no op 'Rescalling' (nearest: 'Rescaling')");
    }
    *ret = pipeline;
    return 0;
}

void pipeline_destroy(struct pipeline *pipeline)
{
    (void)pipeline;
}

static void put_field(struct doc *fields, struct arena *arena, const char *name, const char *dtype,
                      int64_t size)
{
    struct doc *field = doc_push(fields, arena);
    doc_set_map(field);
    doc_put_str(field, arena, "name", name);
    doc_put_str(field, arena, "kind", "numeric");
    doc_put_str(field, arena, "dtype", dtype);
    struct doc *shape = doc_put(field, arena, "shape");
    doc_set_list(shape);
    if (size > 0) {
        doc_set_int(doc_push(shape, arena), size);
    }
}

void pipeline_explain(const struct pipeline *pipeline, struct doc *map, struct arena *arena)
{
    pipeline_plan(pipeline, map, arena);
}

void pipeline_plan(const struct pipeline *pipeline, struct doc *map, struct arena *arena)
{
    doc_put_str(map, arena, "pipeline", pipeline_id(pipeline));
    struct doc *streams = doc_put(map, arena, "streams");
    doc_set_map(streams);
    struct doc *train = doc_put(streams, arena, "train");
    doc_set_map(train);
    doc_put_int(train, arena, "samples", SAMPLES);
    doc_put_int(train, arena, "batch", BATCH);
    doc_put_int(train, arena, "steps", STEPS);
    struct doc *fields = doc_put(train, arena, "fields");
    doc_set_list(fields);
    put_field(fields, arena, "x", "float32", 3);
    put_field(fields, arena, "y", "int64", 0);
}

const char *pipeline_id(const struct pipeline *pipeline)
{
    (void)pipeline;
    return "fake";
}

bool pipeline_has(const struct pipeline *pipeline, enum pipeline_stream stream)
{
    (void)pipeline;
    return stream == PIPELINE_TRAIN;
}

int64_t pipeline_steps(const struct pipeline *pipeline, enum pipeline_stream stream)
{
    (void)pipeline, (void)stream;
    return STEPS;
}

int64_t pipeline_rows(const struct pipeline *pipeline, enum pipeline_stream stream, int64_t step)
{
    (void)pipeline, (void)stream;
    return step < STEPS - 1 ? BATCH : SAMPLES - (STEPS - 1) * BATCH;
}

static int fail(const struct pipeline *pipeline, int64_t sample, struct err *err)
{
    if (sample != pipeline->at) {
        return 0;
    }
    if (strcmp(pipeline->fault, "crash") == 0) {
        raise(SIGSEGV);
    }
    while (strcmp(pipeline->fault, "hang") == 0) {
        sleep(1);
    }
    return strcmp(pipeline->fault, "data") == 0
               ? err_set_at(err, ERR_DATA, "a/b.png", "not a PNG file")
               : 0;
}

int pipeline_run(struct pipeline *pipeline, const struct msg_chunk_make *chunk,
                 const struct slab_layout *layout, unsigned char *slab,
                 struct pipeline_progress *progress, struct arena *arena,
                 struct opt_groups *ret_bad, struct err *err)
{
    struct msg_chunk_bad *bad =
        arena_array(arena, (size_t)(chunk->end - chunk->begin), sizeof(*bad));
    size_t n_bad = 0;
    for (int64_t row = chunk->begin; row < chunk->end; row++) {
        int64_t sample = chunk->step * BATCH + row;
        unsigned char ok = 1;
        if (progress != NULL) {
            progress->in_flight->row = row;
        }
        int rc = fail(pipeline, sample, err);
        if (rc < 0) {
            return rc;
        }
        if (sample == 7) {
            ok = 0;
            bad[n_bad++] = (struct msg_chunk_bad){
                .row = row, .sample = sample, .path = "c/7.png", .reason = "cut off"};
        }
        const float x[3] = {(float)sample, (float)chunk->epoch, 0.5F};
        const struct slab_field *fields = layout->fields;
        memcpy(slab + fields[0].offset + (size_t)row * fields[0].row_bytes, x, sizeof(x));
        memcpy(slab + fields[1].offset + (size_t)row * fields[1].row_bytes, &row, sizeof(row));
        memcpy(slab + fields[FIELDS].offset + (size_t)row * 8, &sample, sizeof(sample));
        slab[fields[FIELDS + 1].offset + (size_t)row] = ok;
        if (progress != NULL) {
            progress->in_flight->samples++;
        }
        pipeline->us += 5;
    }
    *ret_bad = (struct opt_groups){.v = bad, .n = n_bad};
    return 0;
}

void pipeline_stage_times(struct pipeline *pipeline, struct doc *map, struct arena *arena)
{
    doc_put_int(map, arena, "Fake", pipeline->us);
    pipeline->us = 0;
}

int pipeline_save(const struct job_spec *job, const struct pipeline_store *store,
                  const struct pipeline_save *want, struct arena *arena,
                  struct pipeline_save_piece *ret, struct err *err)
{
    (void)job, (void)store, (void)err;
    *ret = (struct pipeline_save_piece){.elements = SAMPLES,
                                        .next = want->next + 1,
                                        .kept = want->kept + 1,
                                        .begin = want->place,
                                        .place = want->place + 1,
                                        .bad = doc_new(arena)};
    doc_set_list(ret->bad);
    buf_puts(&ret->data, "x");
    return 0;
}

void pipeline_save_fini(struct pipeline_save_piece *piece)
{
    buf_fini(&piece->data);
}

void op_reference(struct buf *out)
{
    buf_puts(out, "## Fake\n");
}

void source_reference(struct buf *out)
{
    (void)out;
}

void stage_reference(struct buf *out)
{
    (void)out;
}

int apply_compile(const struct doc *layers, const struct doc *options, struct arena *arena,
                  struct apply *ret, struct err *err)
{
    (void)layers, (void)options, (void)arena, (void)ret;
    return err_set(err, ERR_UNSUPPORTED, "a fake pipeline has no layers");
}

bool apply_is_split(const struct apply *apply)
{
    (void)apply;
    return false;
}

int apply_read(const void *data, size_t size, const char *name, bool is_split, struct arena *arena,
               struct apply_rows *ret, struct err *err)
{
    (void)data, (void)size, (void)name, (void)is_split, (void)arena, (void)ret;
    return err_set(err, ERR_UNSUPPORTED, "a fake pipeline reads no samples");
}

int apply_learn(struct apply *apply, const struct apply_rows *rows, struct arena *arena,
                struct err *err)
{
    (void)apply, (void)rows, (void)arena;
    return err_set(err, ERR_UNSUPPORTED, "a fake pipeline learns nothing");
}

int apply_run(struct apply *apply, const struct apply_rows *rows, struct arena *arena,
              struct apply_rows *ret, struct err *err)
{
    (void)apply, (void)rows, (void)arena, (void)ret;
    return err_set(err, ERR_UNSUPPORTED, "a fake pipeline has no layers");
}

void apply_write(const struct tensor *sample, struct buf *out)
{
    (void)sample, (void)out;
}
