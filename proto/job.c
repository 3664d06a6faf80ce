#include "proto/job.h"

#include <string.h>

static const struct opt_name on_error_names[] = {
    {"fail", JOB_ON_ERROR_FAIL},
    {"skip", JOB_ON_ERROR_SKIP},
    {"replace", JOB_ON_ERROR_REPLACE},
    {NULL, 0},
};
static const struct opt_name ledger_names[] = {
    {"none", JOB_LEDGER_NONE},
    {"steps", JOB_LEDGER_STEPS},
    {"samples", JOB_LEDGER_SAMPLES},
    {NULL, 0},
};
static const struct opt_name transport_names[] = {
    {"slab", JOB_TRANSPORT_SLAB},
    {"inline", JOB_TRANSPORT_INLINE},
    {NULL, 0},
};
static const struct opt_name on_fingerprint_names[] = {
    {"pause", JOB_ON_FINGERPRINT_PAUSE},
    {"continue", JOB_ON_FINGERPRINT_CONTINUE},
    {NULL, 0},
};
static const struct opt_name autotune_names[] = {{"AUTOTUNE", 0}, {NULL, 0}};

static const struct opt stream_options[] = {
    OPT_STR_ROW(job_stream, dataset, NULL, "Name of a data set in the store.", .flags = OPT_REQUIRED),
    OPT_STR_ROW(job_stream, split, NULL,
                "Split of the data set (train, test, val, ...); without it all of it.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(job_stream, source,
                "How its files are read: a kind of source or {kind: {options}}; without it by the files.",
                .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static const struct opt data_options[] = {
    OPT_GROUP_ROW(job_data, train, stream_options, "What is trained on."),
    OPT_GROUP_ROW(job_data, validation, stream_options, "What is validated on after an epoch."),
    OPT_ENUM_ROW(job_data, on_error, JOB_ON_ERROR_FAIL, on_error_names,
                 "What a bad sample does: end the job, be left out of its batch, or be replaced by "
                 "the next good one."),
    OPT_F64_ROW(job_data, max_bad, 0.01, 0, 1,
                "Largest share of bad samples before the job fails all the same."),
    OPT_END_ROW,
};

static const struct opt checkpoint_options[] = {
    OPT_I64_ROW(job_checkpoint, every_epochs, 1, 0, 1e9, "Save after so many epochs; 0 = never."),
    OPT_I64_ROW(job_checkpoint, every_steps, 0, 0, 1e12, "Save so early that at most so many steps are lost, while saving takes below 1 % of the time; 0 = never."),
    OPT_F64_ROW(job_checkpoint, every_seconds, 0, 0, 1e9, "Save after so much time; 0 = never.",
                .unit = "seconds"),
    OPT_I64_ROW(job_checkpoint, keep, 3, 1, 1000, "How many of the newest checkpoints are kept."),
    OPT_END_ROW,
};

static const struct opt fit_options[] = {
    OPT_I64_ROW(job_fit, epochs, 1, 1, 1e6, "Passes over the training stream."),
    OPT_I64_ROW(job_fit, seed, 0, 0, OPT_I64_MAX,
                "Seed of everything random: order, augmentation, initial weights, dropout."),
    OPT_I64_ROW(job_fit, steps_per_epoch, 0, 0, 1e12, "Steps of an epoch; 0 = all.",
                .flags = OPT_NULLABLE),
    OPT_I64_ROW(job_fit, validation_freq, 1, 1, 1e6, "Validate after so many epochs."),
    OPT_GROUP_ROW(job_fit, checkpoint, checkpoint_options, "When the state is saved."),
    OPT_DOC_ROW(job_fit, callbacks, "What is done between epochs, a list of [callbacks](callbacks.md).",
                .flags = OPT_NULLABLE),
    OPT_ENUM_ROW(job_fit, ledger, JOB_LEDGER_NONE, ledger_names,
                 "What is recorded of each step: nothing, its hash, or its samples too."),
    OPT_ENUM_ROW(job_fit, on_fingerprint, JOB_ON_FINGERPRINT_PAUSE, on_fingerprint_names,
                 "What a resume under other numerics (libraries, processor, threads) does."),
    OPT_END_ROW,
};

static const struct opt resource_options[] = {
    OPT_I64_ROW(job_resources, workers, 0, 0, 64, "Worker processes; AUTOTUNE chooses.",
                .names = autotune_names),
    OPT_I64_ROW(job_resources, max_workers, 0, 0, 64,
                "Most workers that AUTOTUNE may start; 0 = as many as there are processors."),
    OPT_I64_ROW(job_resources, threads, 0, 0, 256,
                "Threads of the trainer; 0 = by the work of a step and the processors."),
    OPT_STR_ROW(job_resources, backend, "auto", "Kernels of the trainer: auto, ref, blas, dnnl."),
    OPT_ENUM_ROW(job_resources, transport, JOB_TRANSPORT_SLAB, transport_names,
                 "How rows travel: written in place into shared memory, or inside messages."),
    OPT_END_ROW,
};

const struct opt job_options[] = {
    OPT_STR_ROW(job_spec, name, "job", "A short name; the job's id is made from it."),
    OPT_GROUP_ROW(job_spec, data, data_options, "The data sets."),
    OPT_DOC_ROW(job_spec, pipeline, "Stages from source to batch, names and meaning of tf.data.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(job_spec, validation_pipeline,
                "The same for validation; without it: pipeline without shuffle, repeat and random "
                "operations.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(job_spec, model,
                "A list of layers, a graph, a model of Keras, or {from: JOB}.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(job_spec, compile, "Optimizer, loss and metrics.", .flags = OPT_NULLABLE),
    OPT_GROUP_ROW(job_spec, fit, fit_options, "How long, from which seed, what is saved when."),
    OPT_GROUP_ROW(job_spec, resources, resource_options, "What the job may use."),
    OPT_END_ROW,
};

int job_read(const struct doc *doc, struct arena *arena, struct job_spec *ret, struct err *err)
{
    if (doc == NULL || doc->type != DOC_MAP) {
        return err_set(err, ERR_INVALID, "a job is a map with data, pipeline, model, compile and fit");
    }
    return opt_read(job_options, ret, doc, arena, err);
}

enum { DATASETS_MAX = 256 };

static void add_name(const char **names, size_t *n, const char *name)
{
    size_t i = 0;
    while (i < *n && strcmp(names[i], name) != 0) {
        i++;
    }
    if (i == *n && *n < DATASETS_MAX) {
        names[(*n)++] = name;
    }
}

/* Stages such as zip name data sets of their own. */
static void add_below(const char **names, size_t *n, const struct doc *doc)
{
    for (size_t i = 0; doc != NULL && doc->type == DOC_LIST && i < doc->n; i++) {
        add_below(names, n, &doc->items[i]);
    }
    for (size_t i = 0; doc != NULL && doc->type == DOC_MAP && i < doc->n; i++) {
        const struct doc *value = &doc->pairs[i].value;
        if (strcmp(doc->pairs[i].key, "dataset") == 0 && value->type == DOC_STR) {
            add_name(names, n, value->str);
        } else {
            add_below(names, n, value);
        }
    }
}

void job_datasets(const struct job_spec *job, struct arena *arena, struct opt_strs *ret)
{
    const char **names = arena_array(arena, DATASETS_MAX, sizeof *names);
    const struct job_stream *streams[] = {&job->data.train, &job->data.validation};
    size_t n = 0;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        if (streams[i]->dataset != NULL) {
            add_name(names, &n, streams[i]->dataset);
        }
    }
    add_below(names, &n, job->pipeline);
    add_below(names, &n, job->validation_pipeline);
    *ret = (struct opt_strs){.v = names, .n = n};
}

const char *job_model_from(const struct job_spec *job)
{
    return job->model != NULL && job->model->type == DOC_MAP ? doc_str(job->model, "from", NULL) : NULL;
}
