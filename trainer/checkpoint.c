#include "trainer/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "trainer/checkpoint_list.h"
#include "trainer/model_id.h"

static size_t tensor_bytes(const struct model_tensor *tensor)
{
    size_t size = 0;
    BUG_ON(shape_bytes(&tensor->shape, tensor->dtype, &size) < 0);
    return size;
}

/* ---- the writer
 * --------------------------------------------------------------------------------------------- */

static bool all_finite(const struct model_tensor *tensors, int n, const char **ret_path)
{
    for (int i = 0; i < n; i++) {
        size_t count =
            tensors[i].dtype == DTYPE_F32 ? tensor_bytes(&tensors[i]) / sizeof(float) : 0;
        const uint32_t *bits = tensors[i].data;
        uint32_t bad = 0;
        for (size_t k = 0; k < count; k++) {
            bad |= (uint32_t)((bits[k] & 0x7f800000u) == 0x7f800000u);
        }
        if (bad) {
            *ret_path = tensors[i].path;
            return false;
        }
    }
    return true;
}

static int write_files(struct checkpoint *checkpoint, struct err *err)
{
    char id[HASH_ID_TEXT], name[64];
    const char *bad = NULL;
    if (!all_finite(checkpoint->tensors, checkpoint->n, &bad)) {
        return err_set(err, ERR_NOT_FINITE, "'%s' holds a number that is not finite: not saved",
                       bad);
    }
    model_id_hash(checkpoint->tensors, checkpoint->n, id);
    checkpoint->state.tensors = id;
    struct doc *state = doc_new(&checkpoint->arena);
    state_write(&checkpoint->state, state, &checkpoint->arena);
    checkpoint_list_name(checkpoint->state.global_step, name, sizeof(name));
    /* First: who goes on from the checkpoint counts on them. */
    int rc = 0;
    for (int i = 0; rc == 0 && i < checkpoint->n_also; i++) {
        rc = checkpoint_list_save(checkpoint->dir_fd, checkpoint->also[i], checkpoint->config,
                                  state, checkpoint->named, checkpoint->n, err);
    }
    rc = rc < 0 ? rc
                : checkpoint_list_save(checkpoint->dir_fd, name, checkpoint->config, state,
                                       checkpoint->named, checkpoint->n, err);
    if (rc == 0 && checkpoint->final) {
        rc = checkpoint_list_save(checkpoint->dir_fd, CHECKPOINT_FINAL, checkpoint->config, state,
                                  checkpoint->named, checkpoint->n, err);
    }
    if (rc < 0) {
        err_prefix(err, "checkpoint");
        return rc;
    }
    struct msg_child_checkpoint body = {.file = checkpoint->final ? CHECKPOINT_FINAL : name,
                                        .epoch = checkpoint->state.epoch,
                                        .step = checkpoint->state.step,
                                        .global_step = checkpoint->state.global_step,
                                        .reason = checkpoint->reason,
                                        .tensors = id};
    control_send(checkpoint->control, MSG_CHILD_CHECKPOINT, &body, NULL);
    checkpoint_list_prune(checkpoint->dir_fd, checkpoint->keep);
    return 0;
}

static void *run_writer(void *arg)
{
    struct checkpoint *checkpoint = arg;
    pthread_mutex_lock(&checkpoint->lock);
    for (;;) {
        while (!checkpoint->busy && !checkpoint->quit) {
            pthread_cond_wait(&checkpoint->changed, &checkpoint->lock);
        }
        if (!checkpoint->busy) {
            break;
        }
        pthread_mutex_unlock(&checkpoint->lock);
        struct err err = {0};
        int rc = write_files(checkpoint, &err);
        pthread_mutex_lock(&checkpoint->lock);
        if (rc < 0) {
            checkpoint->err = err;
        } else {
            checkpoint->n_saved++;
            checkpoint->durable_step = checkpoint->state.global_step;
        }
        checkpoint->cost_us = clock_us() - checkpoint->saved_us;
        checkpoint->busy = false;
        pthread_cond_broadcast(&checkpoint->changed);
    }
    pthread_mutex_unlock(&checkpoint->lock);
    return NULL;
}

/* ---- the fit loop's side
 * ------------------------------------------------------------------------------------ */

static int make_copy(struct checkpoint *checkpoint, struct arena *arena, struct err *err)
{
    checkpoint->source = model_tensors(checkpoint->model, &checkpoint->n);
    size_t total = 0;
    for (int i = 0; i < checkpoint->n; i++) {
        total += (tensor_bytes(&checkpoint->source[i]) + 63) / 64 * 64;
    }
    checkpoint->copy_bytes = total;
    checkpoint->copy = arena_try(arena, total > 0 ? total : 64);
    if (checkpoint->copy == NULL) {
        return err_set(err, ERR_NO_MEMORY, "a copy of the model for checkpoints needs %zu bytes",
                       total);
    }
    checkpoint->tensors = arena_array(arena, (size_t)checkpoint->n, sizeof(*checkpoint->tensors));
    checkpoint->named = arena_array(arena, (size_t)checkpoint->n, sizeof(*checkpoint->named));
    size_t offset = 0;
    for (int i = 0; i < checkpoint->n; i++) {
        const struct model_tensor *from = &checkpoint->source[i];
        checkpoint->tensors[i] = *from;
        checkpoint->tensors[i].data = checkpoint->copy + offset;
        checkpoint->named[i] = (struct keras_tensor){.path = from->h5_path,
                                                     .name = from->h5_name,
                                                     .dtype = from->dtype,
                                                     .shape = from->shape,
                                                     .data = checkpoint->copy + offset};
        offset += (tensor_bytes(from) + 63) / 64 * 64;
    }
    return 0;
}

int checkpoint_start(struct checkpoint *checkpoint, const struct model *model,
                     struct control *control, int dir_fd, int64_t keep, double share,
                     struct arena *arena, struct err *err)
{
    *checkpoint = (struct checkpoint){.model = model,
                                      .control = control,
                                      .dir_fd = dir_fd,
                                      .keep = keep > 0 ? keep : 1,
                                      .share = share,
                                      .last_step = -1,
                                      .durable_step = -1,
                                      .saved_us = clock_us()};
    checkpoint->config = doc_new(arena);
    model_config(model, checkpoint->config, arena);
    int rc = make_copy(checkpoint, arena, err);
    if (rc < 0) {
        return rc;
    }
    arena_init(&checkpoint->arena);
    pthread_mutex_init(&checkpoint->lock, NULL);
    pthread_cond_init(&checkpoint->changed, NULL);
    if (pthread_create(&checkpoint->thread, NULL, run_writer, checkpoint) != 0) {
        return err_set(err, ERR_NO_MEMORY, "cannot start the thread that writes checkpoints");
    }
    checkpoint->started = true;
    return 0;
}

static const struct doc *keep_doc(struct arena *arena, const struct doc *doc)
{
    if (doc == NULL) {
        return NULL;
    }
    struct doc *copy = doc_new(arena);
    doc_copy(copy, arena, doc);
    return copy;
}

int checkpoint_save(struct checkpoint *checkpoint, const struct state *state,
                    const struct checkpoint_why *why, struct err *err)
{
    BUG_ON(why->n_also > CHECKPOINT_ALSO_MAX);
    int rc = checkpoint_wait(checkpoint, err);
    if (rc < 0) {
        return rc;
    }
    checkpoint->saved_us = clock_us();
    checkpoint->last_step = state->global_step;
    arena_reset(&checkpoint->arena);
    checkpoint->state = *state;
    checkpoint->state.fingerprint = keep_doc(&checkpoint->arena, state->fingerprint);
    checkpoint->state.metrics = keep_doc(&checkpoint->arena, state->metrics);
    checkpoint->state.history = keep_doc(&checkpoint->arena, state->history);
    checkpoint->state.bad = keep_doc(&checkpoint->arena, state->bad);
    checkpoint->reason = why->reason;
    checkpoint->final = why->final;
    checkpoint->n_also = why->n_also;
    for (int i = 0; i < why->n_also; i++) {
        checkpoint->also[i] = arena_strdup(&checkpoint->arena, why->also[i]);
    }
    for (int i = 0; i < checkpoint->n; i++) {
        memcpy(checkpoint->tensors[i].data, checkpoint->source[i].data,
               tensor_bytes(&checkpoint->source[i]));
    }
    pthread_mutex_lock(&checkpoint->lock);
    checkpoint->busy = true;
    pthread_cond_broadcast(&checkpoint->changed);
    pthread_mutex_unlock(&checkpoint->lock);
    return 0;
}

bool checkpoint_busy(struct checkpoint *checkpoint)
{
    pthread_mutex_lock(&checkpoint->lock);
    bool busy = checkpoint->busy;
    pthread_mutex_unlock(&checkpoint->lock);
    return busy;
}

bool checkpoint_affordable(struct checkpoint *checkpoint, int64_t now_us)
{
    pthread_mutex_lock(&checkpoint->lock);
    double spent = (double)checkpoint->cost_us;
    bool affordable =
        !checkpoint->busy && (double)(now_us - checkpoint->saved_us) * checkpoint->share >= spent;
    pthread_mutex_unlock(&checkpoint->lock);
    return affordable;
}

int64_t checkpoint_durable_step(struct checkpoint *checkpoint)
{
    pthread_mutex_lock(&checkpoint->lock);
    int64_t step = checkpoint->durable_step;
    pthread_mutex_unlock(&checkpoint->lock);
    return step;
}

static int take_error(struct checkpoint *checkpoint, struct err *err)
{
    int code = checkpoint->err.code;
    if (code != 0 && err != NULL) {
        *err = checkpoint->err;
    }
    checkpoint->err.code = 0;
    return code;
}

int checkpoint_poll(struct checkpoint *checkpoint, struct err *err)
{
    pthread_mutex_lock(&checkpoint->lock);
    int code = take_error(checkpoint, err);
    pthread_mutex_unlock(&checkpoint->lock);
    return code;
}

int checkpoint_wait(struct checkpoint *checkpoint, struct err *err)
{
    pthread_mutex_lock(&checkpoint->lock);
    while (checkpoint->busy) {
        pthread_cond_wait(&checkpoint->changed, &checkpoint->lock);
    }
    int code = take_error(checkpoint, err);
    pthread_mutex_unlock(&checkpoint->lock);
    return code;
}

void checkpoint_stop(struct checkpoint *checkpoint)
{
    if (!checkpoint->started) {
        return;
    }
    pthread_mutex_lock(&checkpoint->lock);
    checkpoint->quit = true;
    pthread_cond_broadcast(&checkpoint->changed);
    pthread_mutex_unlock(&checkpoint->lock);
    pthread_join(checkpoint->thread, NULL);
    arena_fini(&checkpoint->arena);
    checkpoint->started = false;
}
