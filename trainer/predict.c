#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/kept.h"
#include "pipeline/pipeline.h"
#include "trainer/modes.h"

enum {
    PREDICT_ROWS = 64,
    PREDICT_MAX = 4096,
    INPUT_BYTES_MAX = 64 << 20,
    PICTURES_MAX = 24, /* what fits into child.result */
    PICTURE_SIDE_MAX = 48,
};

struct predict {
    struct kept kept;
    struct setup *setup;
    struct pipeline *pipeline;
    unsigned char *rows; /* PREDICT_ROWS rows of field x */
    size_t row_bytes;
    struct doc *predictions, *labels, *pictures;
    int64_t height, width; /* of the pictures, 0 = none are shown */
};

static int read_store(struct predict *predict, struct pipeline_store *ret, struct err *err)
{
    struct setup *setup = predict->setup;
    static const char prefix[] = "manifest:";
    const struct opt_strs *names = &setup->start->fds;
    struct pipeline_manifest *manifests =
        arena_array(&setup->arena, names->n + 1, sizeof(*manifests));
    predict->kept =
        (struct kept){.fd = setup_fd(setup, "kept"), .max_bytes = setup->start->kept_bytes};
    *ret = (struct pipeline_store){.blobs_fd = setup_fd(setup, "blobs"),
                                   .manifests = manifests,
                                   .kept = predict->kept.fd >= 0 ? &predict->kept : NULL};
    for (size_t i = 0; i < names->n; i++) {
        if (strncmp(names->v[i], prefix, sizeof(prefix) - 1) != 0) {
            continue;
        }
        struct doc *files = NULL;
        int rc =
            setup_read_doc(setup_fd(setup, names->v[i]), names->v[i], &setup->arena, &files, err);
        if (rc < 0) {
            return rc;
        }
        const char *dataset = names->v[i] + sizeof(prefix) - 1;
        manifests[ret->n_manifests++] = (struct pipeline_manifest){
            .dataset = dataset,
            .files = files,
            .place_fd = setup_fd(setup, arena_printf(&setup->arena, "place:%s", dataset))};
    }
    return 0;
}

static int read_parts(struct predict *predict, struct err *err)
{
    struct setup *setup = predict->setup;
    struct pipeline_store store;
    int rc;
    if ((rc = setup_read_doc(setup_fd(setup, "job"), "job", &setup->arena, &setup->job_doc, err)) <
            0 ||
        (rc = job_read(setup->job_doc, &setup->arena, &setup->job, err)) < 0 ||
        (rc = read_store(predict, &store, err)) < 0 ||
        (rc = pipeline_compile(&setup->job, &store, &setup->arena, &predict->pipeline, err)) < 0) {
        return rc;
    }
    setup->plan_doc = doc_new(&setup->arena);
    pipeline_plan(predict->pipeline, setup->plan_doc, &setup->arena);
    if ((rc = feed_plan_read(setup->plan_doc, &setup->job, &setup->arena, &setup->plan, err)) < 0) {
        return rc;
    }
    int fd = setup_fd(setup, "model");
    if (fd < 0) {
        return err_set(err, ERR_MISSING, "the job has no trained model yet");
    }
    setup->has_source = true;
    rc = keras_file_load(fd, (size_t)8 << 30, &setup->arena, &setup->source, err);
    setup->job.compile = NULL;
    setup->least_rows = PREDICT_ROWS;
    return rc < 0 ? rc : setup_model(setup, err);
}

/* Small grey inputs go back as they were seen, for a person to look at: 0..255 between the least
 * and the greatest value. */
static void add_picture(struct predict *predict, int64_t row)
{
    size_t n = (size_t)(predict->height * predict->width);
    const unsigned char *data = predict->rows + (size_t)row * predict->row_bytes;
    unsigned char bytes[PICTURE_SIDE_MAX * PICTURE_SIDE_MAX];
    float lo = 0;
    float hi = 0;
    for (size_t i = 0; i < n; i++) {
        float value = ((const float *)(const void *)data)[i];
        lo = i == 0 || value < lo ? value : lo;
        hi = i == 0 || value > hi ? value : hi;
    }
    for (size_t i = 0; i < n; i++) {
        float value = ((const float *)(const void *)data)[i];
        bytes[i] = hi > lo ? (unsigned char)((value - lo) / (hi - lo) * 255.0F) : 0;
    }
    doc_set_bin(doc_push(predict->pictures, &predict->setup->arena), &predict->setup->arena, bytes,
                n);
}

static void choose_pictures(struct predict *predict)
{
    const struct model_input *input = &predict->setup->inputs[0];
    const struct shape *shape = &input->shape;
    bool grey = shape->rank == 2 || (shape->rank == 3 && shape->d[2] == 1);
    if (grey && input->dtype == DTYPE_F32 && shape->d[0] > 0 && shape->d[0] <= PICTURE_SIDE_MAX &&
        shape->d[1] > 0 && shape->d[1] <= PICTURE_SIDE_MAX) {
        predict->height = shape->d[0];
        predict->width = shape->d[1];
    }
}

static int flush(struct predict *predict, int64_t n, struct err *err)
{
    struct arena *arena = &predict->setup->arena;
    const void *inputs[1] = {predict->rows};
    const float *output = NULL;
    int64_t width = 0;
    int rc = n > 0 ? model_predict(predict->setup->model, inputs, n, &output, &width, err) : 0;
    for (int64_t i = 0; rc == 0 && i < n; i++) {
        struct doc *row = doc_push(predict->predictions, arena);
        if (predict->height > 0 && predict->pictures->n < PICTURES_MAX) {
            add_picture(predict, i);
        }
        doc_set_list(row);
        for (int64_t k = 0; k < width; k++) {
            doc_set_float(doc_push(row, arena), (double)output[i * width + k]);
        }
    }
    return rc;
}

static int predict_files(struct predict *predict, int64_t n, struct err *err)
{
    int64_t filled = 0;
    for (int64_t i = 0; i < n; i++) {
        struct buf bytes = {0};
        const char *name = arena_printf(&predict->setup->arena, "input:%lld", (long long)i);
        int rc = setup_read_fd(setup_fd(predict->setup, name), name, INPUT_BYTES_MAX, &bytes, err);
        if (rc >= 0) {
            rc = pipeline_predict_file(predict->pipeline, bytes.data, bytes.size,
                                       predict->rows + (size_t)filled * predict->row_bytes, err);
        }
        buf_fini(&bytes);
        if (rc >= 0 && ++filled == PREDICT_ROWS) {
            rc = flush(predict, filled, err);
            filled = 0;
        }
        if (rc < 0) {
            err_prefix(err, "inputs[%lld]", (long long)i);
            return rc;
        }
    }
    return flush(predict, filled, err);
}

static bool is_stream(const struct job_stream *stream, const char *dataset, const char *split)
{
    return stream->dataset != NULL && strcmp(stream->dataset, dataset) == 0 &&
           (split == NULL || (stream->split != NULL && strcmp(stream->split, split) == 0));
}

static int find_stream(const struct predict *predict, enum pipeline_stream *ret, struct err *err)
{
    const struct job_data *data = &predict->setup->job.data;
    const char *dataset = doc_str(predict->setup->start->settings, "dataset", "");
    const char *split = doc_str(predict->setup->start->settings, "split", NULL);
    if (is_stream(&data->validation, dataset, split)) {
        *ret = PIPELINE_VALIDATION;
        return 0;
    }
    if (is_stream(&data->train, dataset, split)) {
        *ret = PIPELINE_TRAIN;
        return 0;
    }
    bool validates = data->validation.dataset != NULL;
    return err_set(
        err, ERR_NOT_FOUND, "the job has no data '%s%s%s'; it has '%s%s%s' to train on%s%s%s%s%s",
        dataset, split != NULL ? "/" : "", split != NULL ? split : "", data->train.dataset,
        data->train.split != NULL ? "/" : "", data->train.split != NULL ? data->train.split : "",
        validates ? " and '" : "", validates ? data->validation.dataset : "",
        validates && data->validation.split != NULL ? "/" : "",
        validates && data->validation.split != NULL ? data->validation.split : "",
        validates ? "' held out" : "");
}

static int predict_rows(struct predict *predict, const struct doc *rows, struct err *err)
{
    struct arena *arena = &predict->setup->arena;
    enum pipeline_stream stream = PIPELINE_TRAIN;
    int rc = find_stream(predict, &stream, err);
    int64_t filled = 0;
    for (size_t i = 0; rc >= 0 && i < rows->n; i++) {
        const struct doc *row = doc_at(rows, i);
        int64_t label = -1;
        if (row->type != DOC_INT) {
            return err_set_at(err, ERR_INVALID, "rows", "a row is a whole number");
        }
        rc = pipeline_predict_sample(predict->pipeline, stream, row->i,
                                     predict->rows + (size_t)filled * predict->row_bytes, &label,
                                     err);
        if (rc < 0) {
            err_prefix(err, "rows[%zu]", i);
            return rc;
        }
        doc_set_int(doc_push(predict->labels, arena), label);
        if (++filled == PREDICT_ROWS) {
            rc = flush(predict, filled, err);
            filled = 0;
        }
    }
    return rc < 0 ? rc : flush(predict, filled, err);
}

static void put_pictures(const struct predict *predict, struct doc *result)
{
    struct arena *arena = &predict->setup->arena;
    if (predict->pictures->n > 0) {
        struct doc *shape = doc_put(result, arena, "picture_shape");
        doc_set_list(shape);
        doc_set_int(doc_push(shape, arena), predict->height);
        doc_set_int(doc_push(shape, arena), predict->width);
        doc_copy(doc_put(result, arena, "pictures"), arena, predict->pictures);
    }
}

static int answer(struct predict *predict, struct err *err)
{
    struct setup *setup = predict->setup;
    const struct feed_stream *train = &setup->plan.stream[FEED_TRAIN];
    if (setup->n_inputs != 1) {
        return err_set(err, ERR_UNSUPPORTED,
                       "predictions are made for models of one input, this has %d",
                       setup->n_inputs);
    }
    for (int i = 0; i < train->layout.n_fields; i++) {
        if (strcmp(train->layout.fields[i].name, setup->inputs[0].name) == 0) {
            predict->row_bytes = train->layout.fields[i].row_bytes;
        }
    }
    predict->rows = arena_array(&setup->arena, PREDICT_ROWS, predict->row_bytes);
    struct doc *result = doc_new(&setup->arena);
    doc_set_map(result);
    const struct doc *classes = doc_get(setup->plan_doc, "classes");
    if (classes != NULL) {
        doc_copy(doc_put(result, &setup->arena, "classes"), &setup->arena, classes);
    }
    predict->predictions = doc_new(&setup->arena);
    predict->labels = doc_new(&setup->arena);
    doc_set_list(predict->predictions);
    doc_set_list(predict->labels);
    predict->pictures = doc_new(&setup->arena);
    doc_set_list(predict->pictures);
    choose_pictures(predict);
    const struct doc *rows = doc_get(setup->start->settings, "rows");
    int64_t inputs = doc_int(setup->start->settings, "inputs", 0);
    if (inputs > PREDICT_MAX || (rows != NULL && rows->type == DOC_LIST && rows->n > PREDICT_MAX)) {
        return err_set(err, ERR_LIMIT, "at most %d predictions at once", PREDICT_MAX);
    }
    int rc = rows != NULL && rows->type == DOC_LIST && rows->n > 0
                 ? predict_rows(predict, rows, err)
                 : predict_files(predict, inputs, err);
    if (rc < 0) {
        return rc;
    }
    doc_copy(doc_put(result, &setup->arena, "predictions"), &setup->arena, predict->predictions);
    doc_copy(doc_put(result, &setup->arena, "labels"), &setup->arena, predict->labels);
    put_pictures(predict, result);
    struct msg_child_result body = {.result = result};
    return control_send(setup->control, MSG_CHILD_RESULT, &body, err);
}

int predict_mode(struct setup *setup, struct err *err)
{
    struct predict predict = {.setup = setup};
    const int kept = setup_fd(setup, "kept");
    struct sandbox_paths paths = {.keep_fds = {kept}, .n_keep = kept >= 0};
    paths.n_read = child_folders(setup->start, setup->fds, paths.read_fds);
    int rc;
    if ((rc = setup_sandbox(setup, &paths, err)) < 0 || (rc = setup_seccomp(setup, err)) < 0 ||
        (rc = setup_ready(setup, err)) < 0) {
        return rc;
    }
    rc = read_parts(&predict, err);
    rc = rc < 0 ? rc : answer(&predict, err);
    pipeline_destroy(predict.pipeline);
    return rc;
}
