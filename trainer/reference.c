#include "trainer/reference.h"

#include <string.h>

#include "base/opt.h"
#include "trainer/callback/callback.h"
#include "trainer/init/init.h"
#include "trainer/layer/layer.h"
#include "trainer/loss/loss.h"
#include "trainer/metric/metric.h"
#include "trainer/optimizer/optimizer.h"
#include "trainer/schedule/schedule.h"

static void write_row(const char *name, const char *summary, const char *more,
                      const struct opt *options, struct buf *out)
{
    buf_printf(out, "\n## %s\n\n%s%s\n", name, summary, more);
    if (options != NULL && options[0].type != OPT_END) {
        buf_puts(out, "\n");
        opt_reference(options, out);
    }
}

static void write_callbacks(struct buf *out)
{
    const struct callback_desc *row;
    buf_puts(out, "# Callbacks\n\nOf `fit.callbacks`: what is done between epochs. Names, "
                  "arguments and meaning are "
                  "those of Keras 3. A job that goes on after a stop goes on with them too; saving "
                  "for that is "
                  "`fit.checkpoint` and always on.\n");
    for (size_t i = 0; (row = callback_at(i)) != NULL; i++) {
        write_row(row->name, row->summary, "", row->options, out);
    }
}

static void write_layers(struct buf *out)
{
    const struct layer_desc *row;
    buf_puts(out, "# Layers\n\nWhat a job's `model` is made of; the ops of [ops.md](ops.md) may "
                  "stand there too. Names, arguments and "
                  "meaning are those of Keras 3.\n");
    for (size_t i = 0; (row = layer_at(i)) != NULL; i++) {
        write_row(row->name, row->summary, row->random ? " Random: only in training." : "",
                  row->options, out);
    }
}

static void write_losses(struct buf *out)
{
    const struct loss_desc *row;
    buf_puts(out, "# Losses\n\nOf `compile.loss`.\n");
    for (size_t i = 0; (row = loss_at(i)) != NULL; i++) {
        write_row(row->name, row->summary, "", row->options, out);
    }
}

static void write_metrics(struct buf *out)
{
    const struct metric_desc *row;
    buf_puts(out, "# Metrics\n\nOf `compile.metrics`.\n");
    for (size_t i = 0; (row = metric_at(i)) != NULL; i++) {
        write_row(row->name, row->summary, "", row->options, out);
    }
}

static void write_optimizers(struct buf *out)
{
    const struct optimizer_desc *row;
    buf_puts(out, "# Optimizers\n\nOf `compile.optimizer`. A learning rate may be a number or one "
                  "of [schedules.md](schedules.md).\n");
    for (size_t i = 0; (row = optimizer_at(i)) != NULL; i++) {
        write_row(row->name, row->summary, "", row->options, out);
    }
}

static void write_schedules(struct buf *out)
{
    const struct schedule_desc *row;
    buf_puts(out, "# Schedules\n\nLearning rates that follow the step.\n");
    for (size_t i = 0; (row = schedule_at(i)) != NULL; i++) {
        write_row(row->name, row->summary, "", row->options, out);
    }
}

static void write_initializers(struct buf *out)
{
    const struct opt *options = NULL;
    const char *summary = NULL;
    const char *name;
    buf_puts(out, "# Initializers\n\nOf a layer's `kernel_initializer`, `bias_initializer` and so "
                  "on; drawn from the job's seed.\n");
    for (size_t i = 0; (name = init_at(i, &options, &summary)) != NULL; i++) {
        write_row(name, summary, "", options, out);
    }
}

static const struct page {
    const char *name;
    void (*write)(struct buf *out);
} pages[] = {
    {"callbacks", write_callbacks}, {"initializers", write_initializers},
    {"layers", write_layers},       {"losses", write_losses},
    {"metrics", write_metrics},     {"optimizers", write_optimizers},
    {"schedules", write_schedules},
};
enum { N_PAGES = sizeof(pages) / sizeof(pages[0]) };

int reference_write(const char *page, struct buf *out, struct err *err)
{
    const char *names[N_PAGES];
    bool list = strcmp(page, "list") == 0;
    for (int i = 0; i < N_PAGES; i++) {
        names[i] = pages[i].name;
        if (list) {
            buf_printf(out, "%s\n", pages[i].name);
        } else if (strcmp(page, pages[i].name) == 0) {
            buf_puts(out, "<!-- Made by `millrace-trainer --reference`; do not edit. -->\n\n");
            pages[i].write(out);
            return 0;
        }
    }
    const char *near = err_nearest(page, names, N_PAGES);
    return list ? 0
                : err_set(err, ERR_UNKNOWN, "no reference page '%s'%s%s%s", page,
                          near ? " (nearest: '" : "", near ? near : "", near ? "')" : "");
}
