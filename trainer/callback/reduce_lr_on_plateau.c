#include <inttypes.h>

#include "trainer/callback/callback.h"

struct reduce_lr_on_plateau {
    struct callback_monitor watch;
    double factor, min_lr;
    int64_t patience, cooldown, verbose;
};
struct memory {
    bool has_best;
    double best;
    int64_t wait, cooldown;
};

static const struct opt options[] = {
    CALLBACK_MONITOR_ROWS(reduce_lr_on_plateau),
    CALLBACK_DELTA_ROW(reduce_lr_on_plateau, 1e-4),
    OPT_F64_ROW(reduce_lr_on_plateau, factor, 0.1, 0.0, 0.999999,
                "What the learning rate is multiplied by."),
    OPT_I64_ROW(reduce_lr_on_plateau, patience, 10, 0, 1000000,
                "Epochs without a better value before it does."),
    OPT_I64_ROW(reduce_lr_on_plateau, cooldown, 0, 0, 1000000,
                "Epochs after that in which it does not count."),
    OPT_F64_ROW(reduce_lr_on_plateau, min_lr, 0.0, 0.0, 1e30, "The least learning rate."),
    OPT_I64_ROW(reduce_lr_on_plateau, verbose, 0, 0, 2, "Of Keras; the log always says it.",
                .flags = OPT_IGNORED),
    OPT_END_ROW,
};

static int prepare(void *opaque, const struct callback_setup *setup, struct err *err)
{
    struct reduce_lr_on_plateau *o = opaque;
    int r = callback_rate_check(setup, err);
    return r < 0 ? r : callback_monitor_prepare(&o->watch, setup, err);
}

static void reduce(const struct reduce_lr_on_plateau *o, struct memory *m,
                   const struct callback_epoch *epoch, struct callback_wish *wish)
{
    double old = doc_float(epoch->metrics, "learning_rate", 0.0), rate = old * o->factor;
    if (old <= (double)(float)o->min_lr) {
        return;
    }
    wish->rate = rate > o->min_lr ? rate : o->min_lr;
    m->cooldown = o->cooldown;
    m->wait = 0;
    callback_say(wish, "ReduceLROnPlateau: the learning rate is %.6g after epoch %" PRId64,
                 wish->rate, epoch->epoch + 1);
}

static void end(const void *opaque, void *memory, const struct callback_epoch *epoch,
                struct callback_wish *wish)
{
    const struct reduce_lr_on_plateau *o = opaque;
    struct memory *m = memory;
    double value;
    if (!callback_metric(&o->watch, epoch, &value)) {
        return;
    }
    if (m->cooldown > 0) {
        m->cooldown--;
        m->wait = 0;
    }
    if (!m->has_best || callback_better(&o->watch, value, m->best)) {
        m->has_best = true;
        m->best = value;
        m->wait = 0;
    } else if (m->cooldown == 0 && ++m->wait >= o->patience) {
        reduce(o, m, epoch, wish);
    }
}

const struct callback_desc callback_reduce_lr_on_plateau = {
    .name = "ReduceLROnPlateau",
    .summary = "Lowers the learning rate when a metric has stopped to improve.",
    .options = options,
    .size = sizeof(struct reduce_lr_on_plateau),
    .memory = sizeof(struct memory),
    .prepare = prepare,
    .end = end,
};
