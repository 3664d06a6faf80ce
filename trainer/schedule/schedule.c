#include "trainer/schedule/schedule.h"

#include <math.h>

#include "trainer/class_name.h"

#define SCHEDULE_ROW(name) extern const struct schedule_desc schedule_##name;
#include "trainer/schedule/schedule_rows.h"
#undef SCHEDULE_ROW

static const struct schedule_desc *const table[] = {
#define SCHEDULE_ROW(name) &schedule_##name,
#include "trainer/schedule/schedule_rows.h"
#undef SCHEDULE_ROW
};

const struct schedule_desc *schedule_at(size_t n)
{
    return n < sizeof(table) / sizeof(table[0]) ? table[n] : NULL;
}

static const char *name_at(size_t n, const char **ret_aliases)
{
    *ret_aliases = NULL;
    const struct schedule_desc *desc = schedule_at(n);
    return desc ? desc->name : NULL;
}

static int read_number(const struct doc *doc, struct schedule *ret, struct err *err)
{
    double rate = doc_number(doc);
    if (!isfinite(rate)) {
        return err_set(err, ERR_RANGE, "the learning rate is not a finite number");
    }
    *ret = (struct schedule){.constant = rate};
    return 0;
}

int schedule_read(const struct doc *doc, double fallback, struct arena *arena, struct schedule *ret,
                  struct err *err)
{
    static const struct class_name_family family = {"learning rate schedule", name_at};
    *ret = (struct schedule){.constant = fallback};
    if (!doc || doc->type == DOC_NULL) {
        return 0;
    }
    if (doc_is_number(doc)) {
        return read_number(doc, ret, err);
    }
    const struct doc *map;
    int r = class_name_read(&family, doc, &map, err);
    if (r < 0) {
        return r;
    }
    const struct schedule_desc *desc = table[r];
    void *options = arena_alloc(arena, desc->size);
    r = opt_read(desc->options, options, class_name_known(desc->options, map, arena), arena, err);
    if (r == 0 && desc->check) {
        r = desc->check(options, err);
    }
    if (r < 0) {
        err_prefix(err, "%s", desc->name);
        return r;
    }
    *ret = (struct schedule){.desc = desc, .options = options};
    return 0;
}

double schedule_rate(const struct schedule *schedule, int64_t step)
{
    double rate = schedule->constant;
    if (schedule->desc) {
        rate = schedule->desc->rate(schedule->options, (double)step);
    }
    return (double)(float)rate;
}

void schedule_config(const struct schedule *schedule, struct doc *doc, struct arena *arena)
{
    if (!schedule->desc) {
        doc_set_float(doc, (double)(float)schedule->constant);
        return;
    }
    struct doc *config =
        class_name_put(doc, arena, "keras.optimizers.schedules", schedule->desc->name);
    class_name_write(schedule->desc->options, schedule->options, config, arena);
}
