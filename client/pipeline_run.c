/* pipeline run */
#include <stdio.h>

#include "client/commands.h"
#include "client/show.h"

/* Of the time that the client waits, this is left for start and end. */
static const double spare_seconds = 5;

static double all_us(const struct doc *ops)
{
    double sum = 0;
    for (size_t i = 0; ops != NULL && ops->type == DOC_LIST && i < ops->n; i++) {
        sum += doc_float(doc_at(ops, i), "us", 0);
    }
    return sum;
}

static void add_row(struct show_table *table, const char *name, double us, double all)
{
    show_cell(table, "%s", name);
    show_cell(table, "%.2f", us);
    show_cell(table, "%.1f %%", all > 0 ? 100 * us / all : 0);
}

static void add_ops(struct cli *cli, const struct doc *answer, struct buf *out)
{
    const struct doc *ops = doc_get(answer, "ops");
    const double all = all_us(ops);
    struct show_table table;
    show_table_init(&table, &cli->arena, 3, 1u << 1 | 1u << 2);
    show_cell(&table, "OPERATION");
    show_cell(&table, "US/SAMPLE");
    show_cell(&table, "SHARE");
    for (size_t i = 0; ops != NULL && ops->type == DOC_LIST && i < ops->n; i++) {
        const struct doc *op = doc_at(ops, i);
        add_row(&table, doc_str(op, "name", "?"), doc_float(op, "us", 0), all);
    }
    add_row(&table, "all", all, all);
    show_table_print(&table, cli->term.bold, cli->term.plain, out);
}

static void print(struct cli *cli, const struct doc *answer)
{
    const struct doc *wait = doc_get(answer, "wait");
    const int64_t steps = doc_int(answer, "steps", 0), wanted = doc_int(answer, "wanted", 0);
    const int64_t workers = doc_int(answer, "workers", 1), bad = doc_int(answer, "bad", 0);
    const double rows = doc_float(answer, "rows_per_second", 0);
    char number[SHOW_TEXT];
    struct buf out = {0};
    show_count(steps, number);
    buf_printf(&out, "%s batch%s of %lld, %lld worker%s, %lld ahead\n", number,
               steps == 1 ? "" : "es", (long long)doc_int(answer, "batch", 0), (long long)workers,
               workers == 1 ? "" : "s", (long long)doc_int(answer, "prefetch", 0));
    if (steps < wanted) {
        buf_printf(&out, "%sits time was over before %lld (--timeout)%s\n", cli->term.yellow,
                   (long long)wanted, cli->term.plain);
    }
    show_count((int64_t)(rows + 0.5), number);
    buf_printf(&out, "%s%.1f batches/s, %s samples/s%s in %.2f s, the first batch after %.2f s\n",
               cli->term.bold, doc_float(answer, "batches_per_second", 0), number, cli->term.plain,
               doc_float(answer, "seconds", 0), doc_float(answer, "start_seconds", 0));
    buf_printf(&out, "the sink waited %.1f %% of the time: %.2f ms a batch, %.2f ms at most\n",
               100 * doc_float(wait, "share", 0), doc_float(wait, "mean_us", 0) / 1000,
               (double)doc_int(wait, "most_us", 0) / 1000);
    if (bad > 0) {
        buf_printf(&out, "%s%lld bad sample%s left out%s\n", cli->term.red, (long long)bad,
                   bad == 1 ? " was" : "s were", cli->term.plain);
    }
    buf_puts(&out, "\n");
    add_ops(cli, answer, &out);
    buf_printf(&out, "the workers were in these %.0f %% of their time\n",
               100 * all_us(doc_get(answer, "ops")) * 1e-6 * rows / (double)workers);
    cli_print(&out);
    buf_fini(&out);
}

int pipeline_run_command(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    const double most = cli->options.timeout;
    int rc = job_prepare(cli, err);
    if (rc < 0) {
        return rc;
    }
    const struct msg_pipeline_run body = {
        .job = cli->job_file.doc,
        .steps = cli->options.steps,
        .workers = cli->options.workers,
        .seconds = most > 2 * spare_seconds ? most - spare_seconds : most / 2};
    rc = cli_ask(cli, MSG_PIPELINE_RUN, &body, &answer, err);
    if (rc < 0) {
        return rc;
    }
    if (cli->options.json) {
        cli_print_json(answer);
    } else {
        print(cli, answer);
    }
    return 0;
}
