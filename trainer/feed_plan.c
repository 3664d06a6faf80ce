#include "trainer/feed_plan.h"

#include <string.h>

static const char *const stream_names[FEED_STREAM_MAX_] = {"train", "validation"};

static int find_fields(struct feed_stream *stream, struct err *err)
{
    stream->label = stream->sample = stream->ok = -1;
    for (int i = 0; i < stream->layout.n_fields; i++) {
        const char *name = stream->layout.fields[i].name;
        if (strcmp(name, "y") == 0) {
            stream->label = i;
        } else if (strcmp(name, "__sample") == 0) {
            stream->sample = i;
        } else if (strcmp(name, "__ok") == 0) {
            stream->ok = i;
        } else {
            stream->n_input++;
        }
    }
    if (stream->sample < 0 || stream->ok < 0) {
        return err_set(err, ERR_INVALID, "the layout has no __sample or __ok field");
    }
    if (stream->n_input == 0) {
        return err_set(err, ERR_INVALID, "the data plan has no input field");
    }
    return 0;
}

static int read_stream(const struct doc *doc, int64_t steps, struct arena *arena,
                       struct feed_stream *ret, struct err *err)
{
    ret->given = true;
    ret->steps = doc_int(doc, "steps", 0);
    ret->samples = doc_int(doc, "samples", 0);
    ret->batch = doc_int(doc, "batch", 0);
    ret->prefetch = doc_int(doc, "prefetch", 0);
    ret->whole_batch = doc_bool(doc, "whole_batch", false);
    if (ret->batch < 1 || ret->steps < 1 || ret->samples < 1 || ret->prefetch < 0) {
        return err_set(
            err, ERR_INVALID,
            "the stream has %lld samples in %lld steps of %lld rows: nothing to train on",
            (long long)ret->samples, (long long)ret->steps, (long long)ret->batch);
    }
    if (steps > 0 && steps < ret->steps) {
        ret->steps = steps;
    }
    int rc = slab_layout(doc, arena, &ret->layout, err);
    return rc < 0 ? rc : find_fields(ret, err);
}

int feed_plan_read(const struct doc *plan, const struct job_spec *job, struct arena *arena,
                   struct feed_plan *ret, struct err *err)
{
    *ret = (struct feed_plan){
        .epochs = job->fit.epochs,
        .validation_freq = job->fit.validation_freq > 0 ? job->fit.validation_freq : 1,
        .pipeline = doc_str(plan, "pipeline", ""),
    };
    const struct doc *streams = doc_get(plan, "streams");
    for (int i = 0; i < FEED_STREAM_MAX_; i++) {
        const struct doc *doc = doc_get(streams, stream_names[i]);
        if (doc == NULL || doc->type != DOC_MAP) {
            continue;
        }
        int64_t steps = i == FEED_TRAIN ? job->fit.steps_per_epoch : 0;
        int rc = read_stream(doc, steps, arena, &ret->stream[i], err);
        if (rc < 0) {
            err_prefix(err, "streams.%s", stream_names[i]);
            return rc;
        }
        if (ret->stream[i].layout.slab_bytes > ret->slab_bytes) {
            ret->slab_bytes = ret->stream[i].layout.slab_bytes;
        }
    }
    if (!ret->stream[FEED_TRAIN].given) {
        return err_set_at(err, ERR_MISSING, "streams.train",
                          "the data plan has no training stream");
    }
    return 0;
}

bool feed_plan_validates(const struct feed_plan *plan, int64_t epoch)
{
    return plan->stream[FEED_VALIDATION].given && (epoch + 1) % plan->validation_freq == 0;
}

struct feed_position feed_plan_at(const struct feed_plan *plan, int64_t epoch, int64_t step)
{
    struct feed_position at = {.epoch = epoch, .stream = FEED_TRAIN, .step = step};
    if (step >= plan->stream[FEED_TRAIN].steps) {
        at.step = 0;
        if (feed_plan_validates(plan, epoch)) {
            at.stream = FEED_VALIDATION;
        } else {
            at.epoch++;
        }
    }
    return at;
}

bool feed_plan_is_end(const struct feed_plan *plan, const struct feed_position *at)
{
    return at->epoch >= plan->epochs;
}

struct feed_position feed_plan_next(const struct feed_plan *plan, const struct feed_position *at)
{
    if (at->stream == FEED_TRAIN) {
        return feed_plan_at(plan, at->epoch, at->step + 1);
    }
    if (at->step + 1 < plan->stream[FEED_VALIDATION].steps) {
        return (struct feed_position){at->epoch, FEED_VALIDATION, at->step + 1};
    }
    return (struct feed_position){at->epoch + 1, FEED_TRAIN, 0};
}

int64_t feed_plan_rows(const struct feed_plan *plan, const struct feed_position *at)
{
    const struct feed_stream *stream = &plan->stream[at->stream];
    int64_t left = stream->samples - at->step * stream->batch;
    return left < stream->batch ? left : stream->batch;
}
