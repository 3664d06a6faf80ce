#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "trainer/modes.h"

enum { SUMMARY_BYTES_MAX = 64 << 20 };

int check_mode(struct setup *setup, struct err *err)
{
    int rc;
    const struct sandbox_paths paths = {.n_read = 0};
    if ((rc = setup_sandbox(setup, &paths, err)) < 0 || (rc = setup_seccomp(setup, err)) < 0 ||
        (rc = setup_ready(setup, err)) < 0 || (rc = setup_read(setup, err)) < 0 ||
        (rc = setup_model(setup, err)) < 0 || (rc = setup_callbacks(setup, err)) < 0) {
        return rc;
    }
    struct arena *arena = &setup->arena;
    struct doc *result = doc_new(arena);
    doc_set_map(result);
    model_summary(setup->model, doc_put(result, arena, "model"), arena);
    model_fingerprint(setup->model, doc_put(result, arena, "fingerprint"), arena);
    const struct feed_stream *train = &setup->plan.stream[FEED_TRAIN];
    struct doc *fit = doc_put(result, arena, "fit");
    doc_set_map(fit);
    doc_put_int(fit, arena, "epochs", setup->plan.epochs);
    doc_put_int(fit, arena, "steps", train->steps);
    doc_put_int(fit, arena, "total_steps", setup->plan.epochs * train->steps);
    struct msg_child_result body = {.result = result};
    return control_send(setup->control, MSG_CHILD_RESULT, &body, err);
}

/* ---- the command line
 * --------------------------------------------------------------------------------------- */

static int summarize(const struct doc *doc, struct arena *arena, struct err *err)
{
    const struct doc *model = doc_get(doc, "model");
    struct model_options options = {.model = model != NULL ? model : doc,
                                    .compile = doc_get(doc, "compile"),
                                    .batch_rows = 1,
                                    .backend = "auto"};
    struct model *compiled = NULL;
    int rc = model_compile(&options, arena, &compiled, err);
    if (rc < 0) {
        return rc;
    }
    struct doc *summary = doc_new(arena);
    struct buf text = {0};
    model_summary(compiled, summary, arena);
    doc_write_json(summary, 2, &text);
    buf_puts(&text, "\n");
    rc = file_write_all(STDOUT_FILENO, text.data, text.size, err);
    buf_fini(&text);
    model_destroy(compiled);
    return rc;
}

int check_summary(struct err *err)
{
    struct buf text = {0};
    struct arena arena;
    struct doc *doc = NULL;
    arena_init(&arena);
    char part[65536];
    ssize_t n;
    while ((n = read(STDIN_FILENO, part, sizeof(part))) > 0 && text.size < SUMMARY_BYTES_MAX) {
        buf_put(&text, part, (size_t)n);
    }
    int rc = doc_read_json(text.data != NULL ? text.data : "", text.size, &doc_limits_default,
                           &arena, &doc, err);
    rc = rc < 0 ? rc : summarize(doc, &arena, err);
    buf_fini(&text);
    arena_fini(&arena);
    return rc;
}
