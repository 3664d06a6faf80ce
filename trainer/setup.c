#include "trainer/setup.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "trainer/resume.h"

enum { DOC_BYTES_MAX = 64 << 20 };
static const size_t source_bytes_max = (size_t)8 << 30;

int setup_fd(const struct setup *setup, const char *name)
{
    return child_fd(setup->start, setup->fds, name);
}

/* The descriptor's offset is shared with other children of the daemon: read by position. */
int setup_read_fd(int fd, const char *name, size_t max_bytes, struct buf *out, struct err *err)
{
    if (fd < 0) {
        return err_set(err, ERR_MISSING, "no descriptor '%s' came with child.start", name);
    }
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size < 0 || (size_t)st.st_size > max_bytes) {
        return err_set(err, ERR_LIMIT, "'%s' cannot be read, or has more than %zu bytes", name,
                       max_bytes);
    }
    buf_reserve(out, (size_t)st.st_size + 1);
    int64_t n = file_pread(fd, out->data, (size_t)st.st_size, 0, err);
    if (n < 0) {
        return (int)n;
    }
    out->size = (size_t)n;
    out->data[n] = '\0';
    return 0;
}

int setup_read_doc(int fd, const char *name, struct arena *arena, struct doc **ret, struct err *err)
{
    struct buf text = {0};
    int rc = setup_read_fd(fd, name, DOC_BYTES_MAX, &text, err);
    if (rc >= 0) {
        bool is_json = text.size > 0 && strchr("{[ \t\r\n", text.data[0]) != NULL;
        rc = is_json ? doc_read_json(text.data, text.size, &doc_limits_default, arena, ret, err)
                     : msg_read_doc(text.data, text.size, &doc_limits_default, arena, ret, err);
    }
    buf_fini(&text);
    return rc < 0 ? rc : 0;
}

static bool wants_sandbox(const struct setup *setup)
{
    return doc_bool(setup->start->settings, "sandbox", true);
}

int setup_sandbox(struct setup *setup, const struct sandbox_paths *paths, struct err *err)
{
    if (!wants_sandbox(setup)) {
        return 0;
    }
    int64_t memory = doc_int(setup->start->settings, "memory_bytes", 0);
    int rc = sandbox_limits(SANDBOX_PROFILE_TRAINER, memory > 0 ? (size_t)memory : 0, 0, err);
    if (rc < 0) {
        return rc;
    }
    rc = sandbox_landlock(paths, err);
    if (rc < 0) {
        return rc;
    }
    setup->landlock_abi = rc;
    return 0;
}

int setup_seccomp(struct setup *setup, struct err *err)
{
    if (!wants_sandbox(setup)) {
        return 0;
    }
    struct err why = {0};
    int rc = sandbox_seccomp(SANDBOX_PROFILE_TRAINER, false, &why);
    setup->seccomp = rc >= 0;
    if (rc == ERR_UNSUPPORTED) { /* child.ready says what is on; who starts us decides whether that
                                    is enough */
        control_log(setup->control, LOG_LEVEL_WARNING, "%s", why.text);
        return 0;
    }
    if (rc < 0) {
        *err = why;
    }
    return rc < 0 ? rc : 0;
}

int setup_ready(struct setup *setup, struct err *err)
{
    struct msg_child_ready body = {.pid = getpid(),
                                   .sandbox = sandbox_name(setup->landlock_abi, setup->seccomp)};
    return control_send(setup->control, MSG_CHILD_READY, &body, err);
}

int setup_read(struct setup *setup, struct err *err)
{
    int rc;
    if ((rc = setup_read_doc(setup_fd(setup, "job"), "job", &setup->arena, &setup->job_doc, err)) <
            0 ||
        (rc = job_read(setup->job_doc, &setup->arena, &setup->job, err)) < 0 ||
        (rc = setup_read_doc(setup_fd(setup, "plan"), "plan", &setup->arena, &setup->plan_doc,
                             err)) < 0) {
        return rc;
    }
    if ((rc = feed_plan_read(setup->plan_doc, &setup->job, &setup->arena, &setup->plan, err)) < 0) {
        err_prefix(err, "plan");
        return rc;
    }
    int fd = setup_fd(setup, "model");
    if (fd >= 0) {
        setup->has_source = true;
        rc = keras_file_load(fd, source_bytes_max, &setup->arena, &setup->source, err);
        if (rc == 0 && setup->source.config == NULL) {
            rc = err_set(err, ERR_UNSUPPORTED,
                         "the file has no config.json: weights alone do not describe a model");
        }
        if (rc < 0) {
            err_prefix(err, "model.from");
        }
    }
    return rc;
}

static void find_inputs(struct setup *setup)
{
    const struct feed_stream *stream = &setup->plan.stream[FEED_TRAIN];
    for (int i = 0; i < stream->layout.n_fields; i++) {
        const struct slab_field *field = &stream->layout.fields[i];
        struct model_input input = {
            .name = field->name, .dtype = field->dtype, .shape = field->shape};
        if (i == stream->label) {
            setup->label = input;
        } else if (i != stream->sample && i != stream->ok) {
            setup->inputs[setup->n_inputs++] = input;
        }
    }
}

int setup_model(struct setup *setup, struct err *err)
{
    find_inputs(setup);
    const struct feed_stream *train = &setup->plan.stream[FEED_TRAIN];
    const struct feed_stream *validation = &setup->plan.stream[FEED_VALIDATION];
    struct model_options options = {
        .model = setup->has_source ? setup->source.config : setup->job.model,
        .compile = setup->job.compile,
        .inputs = setup->inputs,
        .n_inputs = setup->n_inputs,
        .label = train->label >= 0 ? &setup->label : NULL,
        .n_classes = doc_int(setup->plan_doc, "n_classes", 0),
        .top_class = doc_str(setup->plan_doc, "top_class", NULL),
        .batch_rows = train->batch > validation->batch ? train->batch : validation->batch,
        .total_steps = setup->plan.epochs * train->steps,
        .seed = (uint64_t)setup->job.fit.seed,
        .backend = setup->job.resources.backend,
        .threads = (int)setup->job.resources.threads,
    };
    if (options.compile == NULL && setup->has_source) {
        options.compile = doc_get(setup->source.config, "compile_config");
    }
    options.batch_rows =
        options.batch_rows < setup->least_rows ? setup->least_rows : options.batch_rows;
    int rc = model_compile(&options, &setup->arena, &setup->model, err);
    if (rc == 0 && setup->has_source) {
        /* The job's own compile section means a new optimizer, as in Keras. */
        rc = resume_load_tensors(setup->model, &setup->source, setup->job.compile == NULL, err);
        if (rc < 0) {
            err_prefix(err, "model.from");
        }
    }
    return rc;
}

int setup_callbacks(struct setup *setup, struct err *err)
{
    const struct callback_setup with = {.model = setup->model,
                                        .validates = setup->plan.stream[FEED_VALIDATION].given,
                                        .arena = &setup->arena};
    return callback_list_read(setup->job.fit.callbacks, &with, &setup->arena, &setup->callbacks, err);
}

void setup_fini(struct setup *setup)
{
    callback_list_fini(setup->callbacks);
    model_destroy(setup->model);
    arena_fini(&setup->arena);
}
