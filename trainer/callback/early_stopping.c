#include <inttypes.h>

#include "trainer/callback/callback.h"

struct early_stopping {
    struct callback_monitor watch;
    int64_t patience, start_from_epoch, verbose;
    const struct doc *baseline;
    bool restore_best_weights;
};
struct memory {
    bool has_best;
    double best;
    int64_t best_epoch, wait;
};

/* Of the best epoch so far. */
static const char best_file[] = "best-weights.keras";

static const struct opt options[] = {
    CALLBACK_MONITOR_ROWS(early_stopping),
    CALLBACK_DELTA_ROW(early_stopping, 0.0),
    OPT_I64_ROW(early_stopping, patience, 0, 0, 1000000,
                "Epochs without a better value before it stops."),
    OPT_DOC_ROW(early_stopping, baseline, "A value that has to be beaten.", .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(early_stopping, restore_best_weights, false,
                 "Whether the model ends with the weights of the best epoch."),
    OPT_I64_ROW(early_stopping, start_from_epoch, 0, 0, 1000000,
                "Epochs before it begins to watch."),
    OPT_I64_ROW(early_stopping, verbose, 0, 0, 2, "Of Keras; the log always says why.",
                .flags = OPT_IGNORED),
    OPT_END_ROW,
};

static int prepare(void *opaque, const struct callback_setup *setup, struct err *err)
{
    struct early_stopping *o = opaque;
    if (o->baseline && o->baseline->type != DOC_NULL && !doc_is_number(o->baseline)) {
        return err_set_at(err, ERR_INVALID, "baseline", "takes a number");
    }
    return callback_monitor_prepare(&o->watch, setup, err);
}

static bool beats_baseline(const struct early_stopping *o, double value)
{
    return !o->baseline || o->baseline->type == DOC_NULL ||
           callback_better(&o->watch, value, doc_number(o->baseline));
}

static void take_best(const struct early_stopping *o, struct memory *m,
                      const struct callback_epoch *epoch, double value, struct callback_wish *wish)
{
    m->best = value;
    m->best_epoch = epoch->epoch;
    m->has_best = true;
    m->wait = beats_baseline(o, value) ? 0 : m->wait;
    if (o->restore_best_weights) {
        callback_save(wish, best_file);
    }
}

static void end(const void *opaque, void *memory, const struct callback_epoch *epoch,
                struct callback_wish *wish)
{
    const struct early_stopping *o = opaque;
    struct memory *m = memory;
    double value;
    if (callback_metric(&o->watch, epoch, &value) && epoch->epoch >= o->start_from_epoch) {
        m->wait++;
        if (!m->has_best || callback_better(&o->watch, value, m->best)) {
            take_best(o, m, epoch, value, wish);
        } else if (m->wait >= o->patience && epoch->epoch > 0) {
            wish->stop = true;
            callback_say(wish, "EarlyStopping: %.60s was best in epoch %" PRId64 ", %.6g",
                         o->watch.monitor, m->best_epoch + 1, m->best);
        }
    }
    if (o->restore_best_weights && m->has_best) {
        wish->restore = best_file;
    }
}

const struct callback_desc callback_early_stopping = {
    .name = "EarlyStopping",
    .summary = "Ends the training when a metric has stopped to improve.",
    .options = options,
    .size = sizeof(struct early_stopping),
    .memory = sizeof(struct memory),
    .prepare = prepare,
    .end = end,
};
