#include <stdio.h>
#include <string.h>

#include "trainer/callback/callback.h"

const struct opt_name callback_modes[] = {
    {"auto", CALLBACK_AUTO}, {"min", CALLBACK_MIN}, {"max", CALLBACK_MAX}, {NULL, 0}};

static const char *without_val(const char *name)
{
    return strncmp(name, "val_", 4) == 0 ? name + 4 : name;
}

static int find(const struct model *model, const char *name)
{
    for (int i = 0; i < model_n_metrics(model); i++) {
        if (strcmp(model_metric_name(model, i), name) == 0) {
            return i;
        }
    }
    return -1;
}

static int unknown(const struct callback_monitor *watch, const struct callback_setup *setup,
                   struct err *err)
{
    enum { NAMES = 64 };
    const char *names[NAMES];
    char with_val[NAMES / 2][64];
    size_t n = 0;
    for (int i = 0; i < model_n_metrics(setup->model) && i < NAMES / 2; i++) {
        names[n++] = model_metric_name(setup->model, i);
        (void)snprintf(with_val[i], sizeof(with_val[i]), "val_%s",
                       model_metric_name(setup->model, i));
        if (setup->validates) {
            names[n++] = with_val[i];
        }
    }
    const char *near = err_nearest(watch->monitor, names, n);
    bool wants_val = strncmp(watch->monitor, "val_", 4) == 0 && !setup->validates;
    return err_set_at(err, ERR_UNKNOWN, "monitor", "the history has no '%.64s'%s%s%s%s",
                      watch->monitor, near ? "; did you mean '" : "", near ? near : "",
                      near ? "'?" : "",
                      wants_val ? "; there is no validation: give data.validation" : "");
}

int callback_monitor_prepare(struct callback_monitor *watch, const struct callback_setup *setup,
                             struct err *err)
{
    int at = find(setup->model, without_val(watch->monitor));
    bool is_val = without_val(watch->monitor) != watch->monitor;
    if (at < 0 || (is_val && !setup->validates)) {
        return unknown(watch, setup, err);
    }
    bool rises = watch->mode == CALLBACK_MAX ||
                 (watch->mode == CALLBACK_AUTO && model_metric_is_gain(setup->model, at));
    watch->direction = rises ? 1 : -1;
    return 0;
}

bool callback_better(const struct callback_monitor *watch, double value, double than)
{
    return watch->direction > 0 ? value - watch->min_delta > than : value + watch->min_delta < than;
}

bool callback_metric(const struct callback_monitor *watch, const struct callback_epoch *epoch,
                     double *ret)
{
    const struct doc *value = doc_get(epoch->metrics, watch->monitor);
    if (!value || !doc_is_number(value)) {
        return false;
    }
    *ret = doc_number(value);
    return true;
}
