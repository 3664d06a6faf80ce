#include "trainer/callback/callback.h"
#include "trainer/schedule/schedule.h"

struct learning_rate_scheduler {
    const struct doc *schedule;
    int64_t verbose;
    struct schedule rates;
};

static const struct opt options[] = {
    OPT_DOC_ROW(learning_rate_scheduler, schedule,
                "A number or one of schedules.md, whose steps are epochs.", .flags = OPT_REQUIRED),
    OPT_I64_ROW(learning_rate_scheduler, verbose, 0, 0, 2, "Of Keras; without effect.",
                .flags = OPT_IGNORED),
    OPT_END_ROW,
};

static int prepare(void *opaque, const struct callback_setup *setup, struct err *err)
{
    struct learning_rate_scheduler *o = opaque;
    int r = callback_rate_check(setup, err);
    if (r < 0) {
        return r;
    }
    r = schedule_read(o->schedule, 0.0, setup->arena, &o->rates, err);
    if (r < 0) {
        err_prefix(err, "schedule");
    }
    return r;
}

static void begin(const void *opaque, void *memory, int64_t epoch, struct callback_wish *wish)
{
    (void)memory;
    const struct learning_rate_scheduler *o = opaque;
    wish->rate = schedule_rate(&o->rates, epoch);
}

const struct callback_desc callback_learning_rate_scheduler = {
    .name = "LearningRateScheduler",
    .summary = "Sets the learning rate at the begin of each epoch.",
    .options = options,
    .size = sizeof(struct learning_rate_scheduler),
    .prepare = prepare,
    .begin = begin,
};
