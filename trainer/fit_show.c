#include "base/clock.h"
#include "trainer/fit.h"

static const int64_t show_us = 100000;

static struct doc *metrics_now(struct fit *fit)
{
    struct doc *map = doc_new(&fit->scratch);
    doc_set_map(map);
    for (int i = 0; i < model_n_metrics(fit->model); i++) {
        const char *name = model_metric_name(fit->model, i);
        name = fit->validation_step > 0 ? arena_printf(&fit->scratch, "val_%s", name) : name;
        doc_put_float(map, &fit->scratch, name, model_metric_value(fit->model, i));
    }
    return map;
}

static struct doc *stages_now(struct fit *fit, const struct feeder_stats *stats)
{
    struct doc *map = doc_new(&fit->scratch);
    doc_set_map(map);
    for (int i = 0; i < stats->n_stages; i++) {
        doc_put_float(map, &fit->scratch, stats->stages[i].name, stats->stages[i].row_us);
    }
    return map;
}

static bool is_due(const struct fit *fit, enum fit_show when, int64_t window_us)
{
    bool news = fit->steps_done != fit->shown_step || fit->validation_step != fit->shown_validation;
    bool first = fit->steps_done == 1 && fit->shown_step == 0;
    return when == FIT_SHOW_ALIVE ||
           (news && (first || when == FIT_SHOW_AT_ONCE || window_us >= show_us));
}

void fit_show_progress(struct fit *fit, int64_t step, enum fit_show when)
{
    int64_t now = clock_us();
    int64_t window = now - fit->shown_us;
    if (!is_due(fit, when, window)) {
        return;
    }
    struct feeder_stats stats;
    feeder_stats(fit->feeder, &stats);
    int64_t steps = fit->steps_done - fit->shown_step;
    if (fit->validation_step == 0) {
        double mean = (double)window / (double)(steps > 0 ? steps : 1);
        fit->step_us = fit->step_us > 0 ? fit->step_us + (mean - fit->step_us) / 4 : mean;
    }
    int64_t left = fit->plan->epochs * fit->plan->stream[FEED_TRAIN].steps - fit->state.global_step;
    arena_reset(&fit->scratch);
    struct doc *counters = doc_new(&fit->scratch);
    counter_write(feeder_counters, FEEDER_COUNTER_MAX_, stats.counters, counters, &fit->scratch);
    struct msg_child_progress body = {
        .epoch = fit->state.epoch,
        .epochs = fit->plan->epochs,
        .step = step,
        .steps = fit->plan->stream[FEED_TRAIN].steps,
        .global_step = fit->state.global_step,
        .validation_step = fit->validation_step,
        .validation_steps = fit->plan->stream[FEED_VALIDATION].steps,
        .epoch_seconds = (double)(now - fit->epoch_us) / 1e6,
        .metrics = metrics_now(fit),
        .samples_per_second =
            window > 0 ? (double)(fit->rows - fit->shown_rows) * 1e6 / (double)window : 0,
        .wait_share =
            window > 0 ? (double)(stats.wait_us - fit->shown_wait_us) / (double)window : 0,
        .queue = stats.queue,
        .workers = stats.workers,
        .prefetch = stats.depth,
        .choice = stats.choice,
        .eta_seconds = (double)left * fit->step_us / 1e6,
        .stages = stages_now(fit, &stats),
        .counters = counters,
    };
    body.wait_share = body.wait_share > 1 ? 1 : body.wait_share;
    if (control_try(fit->control, MSG_CHILD_PROGRESS, &body)) {
        fit->shown_us = now;
        fit->shown_rows = fit->rows;
        fit->shown_wait_us = stats.wait_us;
        fit->shown_step = fit->steps_done;
        fit->shown_validation = fit->validation_step;
    }
}

void fit_show_epoch(struct fit *fit, const struct doc *metrics)
{
    struct msg_child_epoch body = {.epoch = fit->state.epoch - 1,
                                   .seconds = (double)(clock_us() - fit->epoch_us) / 1e6,
                                   .metrics = metrics};
    control_send(fit->control, MSG_CHILD_EPOCH, &body, NULL);
}
