/* summary */
#include <stdio.h>
#include <string.h>

#include "client/commands.h"
#include "client/program.h"
#include "client/show.h"

/* "(None, 48, 48, 8)" */
static const char *shape_text(const struct doc *shape, struct arena *arena)
{
    struct buf out = {0};
    if (shape == NULL || shape->type != DOC_LIST) {
        return shape != NULL && shape->type == DOC_STR ? shape->str : "?";
    }
    buf_puts(&out, "(None");
    for (size_t i = 0; i < shape->n; i++) {
        const struct doc *d = doc_at(shape, i);
        bool batch = i == 0 && d->type != DOC_INT;
        if (!batch && d->type == DOC_INT && d->i >= 0) {
            buf_printf(&out, ", %lld", (long long)d->i);
        } else if (!batch) {
            buf_puts(&out, ", None");
        }
    }
    buf_puts(&out, ")");
    const char *text = arena_strdup(arena, out.data);
    buf_fini(&out);
    return text;
}

static void add_layer(struct show_table *table, const struct doc *layer, struct arena *arena)
{
    char number[SHOW_TEXT];
    show_cell(table, "%s (%s)", doc_str(layer, "name", "?"), doc_str(layer, "class", "?"));
    show_cell(table, "%s", shape_text(doc_get(layer, "output_shape"), arena));
    show_count(doc_int(layer, "parameters", 0), number);
    show_cell(table, "%s", number);
    show_scaled(doc_float(layer, "flops", 0), number);
    show_cell(table, "%s", number);
}

static void add_total(struct buf *out, const char *head, int64_t n)
{
    char number[SHOW_TEXT];
    char bytes[SHOW_TEXT];
    show_count(n, number);
    show_bytes(n * 4, bytes);
    buf_printf(out, " %-26s %s (%s)\n", head, number, bytes);
}

static void print(struct cli *cli, const struct doc *model)
{
    const struct doc *layers = doc_get(model, "layers");
    struct show_table table;
    struct buf out = {0};
    struct buf body = {0};
    char number[SHOW_TEXT];
    show_table_init(&table, &cli->arena, 4, 1u << 2 | 1u << 3);
    show_cell(&table, "Layer (type)");
    show_cell(&table, "Output Shape");
    show_cell(&table, "Param #");
    show_cell(&table, "FLOPs");
    for (size_t i = 0; layers != NULL && layers->type == DOC_LIST && i < layers->n; i++) {
        add_layer(&table, doc_at(layers, i), &cli->arena);
    }
    show_table_print(&table, "", "", &body);
    size_t head = body.data != NULL ? strcspn(body.data, "\n") : 0;
    buf_printf(&out, "%sModel: \"%s\"%s\n", cli->term.bold,
               doc_str(cli->job_file.doc, "name", "model"), cli->term.plain);
    for (size_t i = 0; i < head + 2; i++) {
        buf_puts(&out, cli->term.utf8 ? "\u2501" : "=");
    }
    buf_printf(&out, "\n %s%.*s%s\n", cli->term.bold, (int)head, body.data, cli->term.plain);
    for (size_t i = 0; i < head + 2; i++) {
        buf_puts(&out, cli->term.utf8 ? "\u2500" : "-");
    }
    buf_puts(&out, "\n");
    for (const char *line = body.data + head + 1; head > 0 && *line != '\0';
         line += strcspn(line, "\n") + 1) {
        buf_printf(&out, " %.*s\n", (int)strcspn(line, "\n"), line);
    }
    for (size_t i = 0; i < head + 2; i++) {
        buf_puts(&out, cli->term.utf8 ? "\u2501" : "=");
    }
    buf_puts(&out, "\n");
    add_total(&out, "Total params:", doc_int(model, "parameters", 0));
    add_total(&out, "Trainable params:", doc_int(model, "trainable", 0));
    add_total(&out, "Non-trainable params:", doc_int(model, "non_trainable", 0));
    if (doc_int(model, "optimizer_parameters", 0) > 0) {
        add_total(&out, "Optimizer params:", doc_int(model, "optimizer_parameters", 0));
    }
    show_scaled(doc_float(model, "flops", 0), number);
    buf_printf(&out, " %-26s %s\n", "FLOPs (a sample, forward):", number);
    show_bytes(doc_int(model, "memory_bytes", 0), number);
    buf_printf(&out, " %-26s %s\n", "Memory:", number);
    cli_print(&out);
    buf_fini(&body);
    buf_fini(&out);
}

static int ask_daemon(struct cli *cli, const struct doc **ret, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = job_send(cli, MSG_JOB_CHECK, &answer, err);
    if (rc < 0) {
        return rc;
    }
    *ret = doc_find(answer, "plan.model");
    return *ret != NULL ? 0 : err_set(err, ERR_SYNTAX, "the daemon's plan has no model");
}

/* Without a daemon. */
static int ask_program(struct cli *cli, const struct doc **ret, struct err *err)
{
    const struct program trainer = {.name = "millrace-trainer",
                                    .folder = "trainer",
                                    .option = "trainer",
                                    .argument = "--summary",
                                    .path = cli->options.trainer};
    struct buf job = {0}, answer = {0};
    struct doc *doc = NULL;
    doc_write_json(cli->job_file.doc, 0, &job);
    int rc = program_ask(&trainer, cli->program_path, &job, &answer, err);
    rc = rc < 0 ? rc
                : doc_read_json(answer.data != NULL ? answer.data : "", answer.size,
                                &doc_limits_default, &cli->arena, &doc, err);
    *ret = doc;
    buf_fini(&job);
    buf_fini(&answer);
    return rc;
}

int summary_command(struct cli *cli, struct err *err)
{
    const struct doc *model = NULL;
    int rc = job_prepare(cli, err);
    if (rc < 0) {
        return rc;
    }
    bool reachable = doc_find(cli->job_file.doc, "data.train") != NULL &&
                     cli->options.trainer == NULL && cli_connect(cli, NULL) >= 0;
    rc = reachable ? ask_daemon(cli, &model, err) : ask_program(cli, &model, err);
    if (rc < 0) {
        return rc;
    }
    if (cli->options.json) {
        cli_print_json(model);
    } else {
        print(cli, model);
    }
    return 0;
}
