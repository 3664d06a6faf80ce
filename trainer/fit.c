#include "trainer/fit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "trainer/resume.h"

void fit_init(struct fit *fit, const struct state *state)
{
    arena_init(&fit->arena);
    arena_init(&fit->epoch);
    arena_init(&fit->scratch);
    fit->state = *state;
    fit->history = doc_new(&fit->arena);
    doc_set_list(fit->history);
    if (state->history != NULL && state->history->type == DOC_LIST) {
        doc_copy(fit->history, &fit->arena, state->history);
    }
    fit->state.history = fit->history;
    struct callback_wish wish = {0};
    callback_list_replay(fit->callbacks, fit->history, &wish);
    fit->stopped = wish.stop;
    fit->restore = wish.restore;
    fit->shown_us = clock_us();
    fit->epoch_us = fit->shown_us;
    fit->begun_step = fit->kept_step = state->global_step;
    fit->write_steps = fit->job->fit.checkpoint.every_steps / 4; /* until the first is written */
}

void fit_fini(struct fit *fit)
{
    arena_fini(&fit->arena);
    arena_fini(&fit->epoch);
    arena_fini(&fit->scratch);
}

/* ---- checkpoints
 * -------------------------------------------------------------------------------------------- */

static int save_as(struct fit *fit, const struct checkpoint_why *why, struct err *err)
{
    arena_reset(&fit->scratch);
    struct state state = fit->state;
    if (fit->metrics == NULL) {
        struct doc *metrics = doc_new(&fit->scratch);
        model_save_metrics(fit->model, metrics, &fit->scratch);
        state.metrics = metrics;
    } /* else those of the training steps were put aside when the validation began */
    struct doc *bad = doc_new(&fit->scratch);
    feeder_bad(fit->feeder, bad, &fit->scratch);
    state.bad = bad;
    state.finished = why->final;
    fit->due = NULL;
    fit->begun_step = state.global_step;
    return checkpoint_save(fit->checkpoint, &state, why, err);
}

static int save(struct fit *fit, const char *reason, bool final, struct err *err)
{
    return save_as(fit, &(struct checkpoint_why){.reason = reason, .final = final}, err);
}

/* Has a save come to the disk since the last look? How many steps it took says when the next one
 * has to begin. */
static void look_at_disk(struct fit *fit)
{
    int64_t kept = checkpoint_durable_step(fit->checkpoint);
    if (kept > fit->kept_step) {
        fit->kept_step = kept;
        fit->write_steps = fit->state.global_step - kept + 1;
    }
    const int64_t most = fit->job->fit.checkpoint.every_steps / 2;
    fit->write_steps = fit->write_steps < most ? fit->write_steps : most;
}

/* By steps, a save begins so early that it is on the disk before `every_steps` are trained after
 * the one before: that many a kill may cost, and no more. */
static void find_due(struct fit *fit)
{
    const struct job_checkpoint *wish = &fit->job->fit.checkpoint;
    look_at_disk(fit);
    if (fit->due == NULL && wish->every_steps > 0 &&
        fit->state.global_step - fit->begun_step >= wish->every_steps - fit->write_steps) {
        fit->due = "steps";
    }
    if (fit->due == NULL && wish->every_seconds > 0 &&
        (double)(clock_us() - fit->checkpoint->saved_us) >= wish->every_seconds * 1e6) {
        fit->due = "seconds";
    }
}

/* Would another step be more than may be lost? Only a save under way is waited for: one that is put
 * off because it would cost too much time stretches the interval. */
static bool must_wait(struct fit *fit)
{
    const int64_t every = fit->job->fit.checkpoint.every_steps;
    look_at_disk(fit);
    return every > 0 && fit->state.global_step - fit->kept_step >= every &&
           checkpoint_busy(fit->checkpoint);
}

/* Saves what is due as soon as that does not hold up the loop. */
static int save_if_due(struct fit *fit, struct err *err)
{
    int rc = must_wait(fit) ? checkpoint_wait(fit->checkpoint, err)
                            : checkpoint_poll(fit->checkpoint, err);
    find_due(fit);
    if (rc < 0 || fit->due == NULL) {
        return rc;
    }
    const bool is_epoch = strcmp(fit->due, "epoch") == 0;
    const bool is_ready = is_epoch ? !checkpoint_busy(fit->checkpoint)
                                   : checkpoint_affordable(fit->checkpoint, clock_us());
    rc = is_ready ? save(fit, fit->due, false, err) : 0;
    return rc == 0 && must_wait(fit) ? checkpoint_wait(fit->checkpoint, err) : rc;
}

/* ---- epochs
 * -------------------------------------------------------------------------------------------------
 */

static void put_metrics(const struct fit *fit, const char *prefix, struct doc *map,
                        struct arena *arena)
{
    for (int i = 0; i < model_n_metrics(fit->model); i++) {
        char *key = arena_printf(arena, "%s%s", prefix, model_metric_name(fit->model, i));
        doc_put_float(map, arena, key, model_metric_value(fit->model, i));
    }
}

/* ---- callbacks
 * ---------------------------------------------------------------------------------------------- */

static int write_texts(struct fit *fit, const struct callback_wish *wish, struct err *err)
{
    int rc = 0;
    for (int i = 0; i < wish->n_files && rc == 0; i++) {
        const struct callback_file *file = &wish->files[i];
        rc = file_write_atomic(fit->checkpoint->dir_fd, file->name, file->text->data,
                               file->text->size, err);
    }
    return rc;
}

static void take_rate(struct fit *fit, const struct callback_wish *wish)
{
    if (wish->rate > 0.0) {
        model_set_rate(fit->model, wish->rate);
    }
}

static void begin_callbacks(struct fit *fit)
{
    struct callback_wish wish = {0};
    callback_list_begin(fit->callbacks, fit->state.epoch, &wish);
    take_rate(fit, &wish);
}

/* The epoch is in the history and counted. The rate is set before a save, which holds it. */
static int end_callbacks(struct fit *fit, const struct doc *row, struct err *err)
{
    struct callback_wish *wish = ARENA_NEW(&fit->epoch, struct callback_wish);
    const char *names[CALLBACKS_MAX];
    const struct callback_epoch epoch = {fit->state.epoch - 1, row, fit->history};
    callback_list_end(fit->callbacks, &epoch, wish);
    take_rate(fit, wish);
    fit->stopped = wish->stop;
    fit->restore = wish->restore;
    for (int i = 0; i < wish->n_says; i++) {
        control_log(fit->control, LOG_LEVEL_INFO, "%s", wish->says[i]);
    }
    if (!fit->stopped && fit->state.epoch < fit->plan->epochs) {
        begin_callbacks(fit);
    }
    for (int i = 0; i < wish->n_saves; i++) {
        names[i] = wish->saves[i];
    }
    const struct checkpoint_why why = {
        .reason = "callback", .also = names, .n_also = wish->n_saves};
    int rc = write_texts(fit, wish, err);
    return rc == 0 && wish->n_saves > 0 ? save_as(fit, &why, err) : rc;
}

/* The writer rests: HDF5 is one thread's at a time. */
static int restore_best(struct fit *fit, struct err *err)
{
    struct keras_file file;
    arena_reset(&fit->scratch);
    int rc = checkpoint_wait(fit->checkpoint, err);
    int fd = rc < 0
                 ? -1
                 : openat(fit->checkpoint->dir_fd, fit->restore, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return rc < 0 ? rc : err_errno(err, errno, "open '%s'", fit->restore);
    }
    rc = keras_file_load(fd, resume_max_bytes(fit->model), &fit->scratch, &file, err);
    close(fd);
    rc = rc < 0 ? rc : resume_load_tensors(fit->model, &file, false, err);
    arena_reset(&fit->scratch);
    return rc;
}

static int end_epoch(struct fit *fit, struct err *err)
{
    struct doc *row = doc_push(fit->history, &fit->arena);
    doc_copy(row, &fit->arena, fit->metrics);
    if (callback_list_n(fit->callbacks) > 0) {
        doc_put_float(row, &fit->arena, "learning_rate", model_learning_rate(fit->model));
    }
    fit->state.epoch++;
    fit->state.step = 0;
    fit_show_epoch(fit, row);
    fit->epoch_us = clock_us();
    fit->validation_step = 0;
    fit->shown_validation = 0;
    fit->metrics = NULL;
    fit->state.metrics = NULL;
    model_reset_metrics(fit->model);
    arena_reset(&fit->epoch);
    int rc = end_callbacks(fit, row, err);
    int64_t every = fit->job->fit.checkpoint.every_epochs;
    if (every > 0 && fit->state.epoch % every == 0 && fit->state.epoch < fit->plan->epochs) {
        fit->due = fit->begun_step < fit->state.global_step ? "epoch" : fit->due;
    }
    return rc < 0 ? rc : save_if_due(fit, err);
}

/* The training steps of an epoch are done: its metrics are put aside, the model's start again for
 * the validation. */
static int end_training(struct fit *fit, struct err *err)
{
    fit_show_progress(fit, fit->state.step, FIT_SHOW_AT_ONCE);
    fit->metrics = doc_new(&fit->epoch);
    doc_set_map(fit->metrics);
    put_metrics(fit, "", fit->metrics, &fit->epoch);
    struct doc *sums = doc_new(&fit->epoch);
    model_save_metrics(fit->model, sums, &fit->epoch);
    fit->state.metrics = sums;
    model_reset_metrics(fit->model);
    return feed_plan_validates(fit->plan, fit->state.epoch) ? 0 : end_epoch(fit, err);
}

/* ---- steps
 * --------------------------------------------------------------------------------------------------
 */

static const void *find_inputs(const struct fit *fit, const struct feeder_batch *batch,
                               const void **ret_inputs)
{
    const struct feed_stream *stream = &fit->plan->stream[batch->at.stream];
    const void *label = NULL;
    int n = 0;
    for (int i = 0; i < stream->layout.n_fields; i++) {
        const void *data = batch->data + stream->layout.fields[i].offset;
        if (i == stream->label) {
            label = data;
        } else if (i != stream->sample && i != stream->ok) {
            ret_inputs[n++] = data;
        }
    }
    return label;
}

static int name_step(const struct feeder_batch *batch, int rc, struct err *err)
{
    if (rc < 0 && err != NULL) {
        char text[sizeof(err->text)];
        memcpy(text, err->text, sizeof(text));
        snprintf(err->text, sizeof(err->text), "%.600s (step %lld of epoch %lld)", text,
                 (long long)batch->at.step + 1, (long long)batch->at.epoch + 1);
    }
    return rc;
}

static int train(struct fit *fit, const struct feeder_batch *batch, struct err *err)
{
    const void *inputs[SLAB_FIELDS_MAX];
    const void *label = find_inputs(fit, batch, inputs);
    int rc = 0;
    if (batch->rows > 0) {
        rc = name_step(batch, model_train_step(fit->model, inputs, label, NULL, batch->rows, err),
                       err);
    }
    if (rc == 0) {
        rc = ledger_step(fit->ledger, batch->at.epoch, batch->at.step, batch->rows, batch->hash,
                         batch->samples, err);
    }
    if (rc < 0) {
        return rc;
    }
    fit->state.chain = hash_fast(&batch->hash, sizeof(batch->hash), fit->state.chain);
    fit->state.step++;
    fit->state.global_step++;
    fit->rows += batch->rows;
    fit->steps_done++;
    return 0;
}

static int test(struct fit *fit, const struct feeder_batch *batch, struct err *err)
{
    const void *inputs[SLAB_FIELDS_MAX];
    const void *label = find_inputs(fit, batch, inputs);
    fit->validation_step++;
    fit->rows += batch->rows;
    if (batch->rows == 0) {
        return 0;
    }
    return name_step(batch, model_test_step(fit->model, inputs, label, batch->rows, err), err);
}

static int after_step(struct fit *fit, const struct feed_position *at, struct err *err)
{
    if (at->stream == FEED_TRAIN) {
        fit_show_progress(fit, fit->state.step, FIT_SHOW_SELDOM);
        return fit->state.step >= fit->plan->stream[FEED_TRAIN].steps ? end_training(fit, err)
                                                                      : save_if_due(fit, err);
    }
    fit_show_progress(fit, fit->state.step, FIT_SHOW_SELDOM);
    if (at->step + 1 < fit->plan->stream[FEED_VALIDATION].steps) {
        return checkpoint_poll(fit->checkpoint, err);
    }
    put_metrics(fit, "val_", fit->metrics, &fit->epoch);
    return end_epoch(fit, err);
}

static int step(struct fit *fit, struct err *err)
{
    struct feeder_batch batch;
    int rc = feeder_next(fit->feeder, &batch, err);
    if (rc == ERR_TIMEOUT) { /* a sign of life: the daemon takes silence for a hang */
        fit_show_progress(fit, fit->state.step, FIT_SHOW_ALIVE);
        return checkpoint_poll(fit->checkpoint, err);
    }
    if (rc < 0) {
        return rc;
    }
    BUG_ON(batch.at.epoch != fit->state.epoch);
    BUG_ON(batch.at.stream == FEED_TRAIN && batch.at.step != fit->state.step);
    rc = batch.at.stream == FEED_TRAIN ? train(fit, &batch, err) : test(fit, &batch, err);
    struct feed_position at = batch.at;
    feeder_return(fit->feeder, &batch);
    return rc < 0 ? rc : after_step(fit, &at, err);
}

/* Resumed between the last training step of an epoch and the end of its validation. */
static int begin(struct fit *fit, struct err *err)
{
    if (fit->state.metrics != NULL) {
        int rc = model_load_metrics(fit->model, fit->state.metrics, err);
        if (rc < 0) {
            return rc;
        }
        fit->state.metrics = NULL;
    }
    if (fit->state.step == 0 && !fit->stopped) {
        begin_callbacks(fit);
    }
    return fit->state.step >= fit->plan->stream[FEED_TRAIN].steps ? end_training(fit, err) : 0;
}

int fit_run(struct fit *fit, struct err *err)
{
    int rc = begin(fit, err);
    while (rc == 0 && !fit->stopped && fit->state.epoch < fit->plan->epochs) {
        rc = step(fit, err);
    }
    rc = rc == 0 && fit->restore ? restore_best(fit, err) : rc;
    if (rc == 0) {
        rc = save(fit, "end", true, err);
        return rc < 0 ? rc : checkpoint_wait(fit->checkpoint, err);
    }
    if (rc == ERR_INTERRUPTED) {
        struct err failure = {0};
        int saved = save(fit, "stop", false, &failure);
        saved = saved < 0 ? saved : checkpoint_wait(fit->checkpoint, &failure);
        if (saved < 0) {
            *err = failure;
            rc = saved;
        }
    }
    return rc;
}

void fit_result(const struct fit *fit, struct doc *map, struct arena *arena)
{
    char chain[24];
    snprintf(chain, sizeof(chain), "%016llx", (unsigned long long)fit->state.chain);
    doc_set_map(map);
    doc_put_str(map, arena, "file", CHECKPOINT_FINAL);
    doc_put_int(map, arena, "epochs", fit->state.epoch);
    doc_put_int(map, arena, "global_step", fit->state.global_step);
    doc_put_str(map, arena, "chain", chain);
    const struct doc *last = fit->history->n > 0 ? doc_at(fit->history, fit->history->n - 1) : NULL;
    if (last != NULL) {
        doc_copy(doc_put(map, arena, "metrics"), arena, last);
    }
}
