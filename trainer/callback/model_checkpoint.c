#include "trainer/callback/callback.h"

enum { EPOCH };

struct model_checkpoint {
    struct callback_monitor watch;
    const char *filepath;
    bool save_best_only, save_weights_only;
    int save_freq;
    int64_t verbose;
    const struct doc *initial_value_threshold;
};
struct memory {
    bool has_best;
    double best;
};

static const struct opt_name freqs[] = {{"epoch", EPOCH}, {NULL, 0}};

static const struct opt options[] = {
    OPT_STR_ROW(model_checkpoint, filepath, NULL,
                "A file in the job's folder, `best.keras` or `{epoch:02d}-{val_loss:.4f}.keras`.",
                .flags = OPT_REQUIRED),
    CALLBACK_MONITOR_ROWS(model_checkpoint),
    OPT_BOOL_ROW(model_checkpoint, save_best_only, false, "Whether only a better model is saved."),
    OPT_BOOL_ROW(model_checkpoint, save_weights_only, false,
                 "Not supported: a .keras file is whole."),
    OPT_ENUM_ROW(model_checkpoint, save_freq, EPOCH, freqs,
                 "Each epoch; fit.checkpoint.every_steps saves by steps."),
    OPT_DOC_ROW(model_checkpoint, initial_value_threshold,
                "A value that the first saved model has to beat.", .flags = OPT_NULLABLE),
    OPT_I64_ROW(model_checkpoint, verbose, 0, 0, 2, "Of Keras; without effect.",
                .flags = OPT_IGNORED),
    OPT_END_ROW,
};

static int prepare(void *opaque, const struct callback_setup *setup, struct err *err)
{
    struct model_checkpoint *o = opaque;
    const struct doc *first = o->initial_value_threshold;
    if (o->save_weights_only) {
        return err_set_at(err, ERR_UNSUPPORTED, "save_weights_only",
                          "is not supported; a .keras file holds the weights too");
    }
    if (first && first->type != DOC_NULL && !doc_is_number(first)) {
        return err_set_at(err, ERR_INVALID, "initial_value_threshold", "takes a number");
    }
    int r = callback_name_check(o->filepath, ".keras", "filepath", setup, err);
    return r < 0 || !o->save_best_only ? r : callback_monitor_prepare(&o->watch, setup, err);
}

static bool is_best(const struct model_checkpoint *o, struct memory *m, double value)
{
    const struct doc *first = o->initial_value_threshold;
    if (!m->has_best && first && doc_is_number(first)) {
        m->has_best = true;
        m->best = doc_number(first);
    }
    if (m->has_best && !callback_better(&o->watch, value, m->best)) {
        return false;
    }
    m->has_best = true;
    m->best = value;
    return true;
}

static void end(const void *opaque, void *memory, const struct callback_epoch *epoch,
                struct callback_wish *wish)
{
    const struct model_checkpoint *o = opaque;
    char name[CALLBACK_NAME_MAX];
    double value;
    if (o->save_best_only &&
        (!callback_metric(&o->watch, epoch, &value) || !is_best(o, memory, value))) {
        return;
    }
    callback_name(o->filepath, epoch, name);
    callback_save(wish, name);
}

const struct callback_desc callback_model_checkpoint = {
    .name = "ModelCheckpoint",
    .summary = "Saves the model under a name of its own, each epoch or when a metric got better.",
    .options = options,
    .size = sizeof(struct model_checkpoint),
    .memory = sizeof(struct memory),
    .prepare = prepare,
    .end = end,
};
