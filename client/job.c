/* submit, check, list, show, logs, cancel, pause, resume */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "client/bar.h"
#include "client/commands.h"
#include "client/show.h"
#include "proto/job.h"

enum { KEY_BYTES = 12, REOPEN_MS = 15000, PROGRESS_COLUMNS = 160 };

/* ---- sending a job
 * ------------------------------------------------------------------------------- */

static int apply_options(struct cli *cli, struct err *err)
{
    const struct cli_options *o = &cli->options;
    struct doc *doc = cli->job_file.doc;
    char number[32];
    int rc = 0;
    for (size_t i = 0; i < o->set.n && rc >= 0; i++) {
        size_t n = strcspn(o->set.v[i], "=");
        rc = o->set.v[i][n] == '='
                 ? job_file_set(&cli->job_file, arena_strndup(&cli->arena, o->set.v[i], n),
                                o->set.v[i] + n + 1, &cli->arena, err)
                 : err_set(err, ERR_USAGE, "--set %s: PATH=VALUE is expected", o->set.v[i]);
    }
    if (rc >= 0 && o->seed >= 0) {
        (void)snprintf(number, sizeof(number), "%lld", (long long)o->seed);
        rc = job_file_set(&cli->job_file, "fit.seed", number, &cli->arena, err);
    }
    if (rc >= 0 && o->epochs > 0) {
        (void)snprintf(number, sizeof(number), "%lld", (long long)o->epochs);
        rc = job_file_set(&cli->job_file, "fit.epochs", number, &cli->arena, err);
    }
    if (rc >= 0 && doc_get(doc, "name") == NULL) {
        const char *slash = strrchr(cli->words[0], '/');
        const char *name = slash != NULL ? slash + 1 : cli->words[0];
        size_t n = strcspn(name, ".");
        doc_put_str(doc, &cli->arena, "name",
                    n > 0 && strcmp(name, "-") != 0 ? arena_strndup(&cli->arena, name, n) : "job");
    }
    return rc;
}

/* A key of its own for each call, so that asking again after a lost answer cannot submit twice. */
static const char *new_key(struct arena *arena)
{
    unsigned char bytes[KEY_BYTES];
    char *text = arena_alloc(arena, 2 * KEY_BYTES + 1);
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return NULL;
    }
    for (size_t i = 0; i < KEY_BYTES; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    return text;
}

int job_prepare(struct cli *cli, struct err *err)
{
    int rc = job_file_read(cli->words[0], &cli->arena, &cli->job_file, err);
    if (rc < 0) {
        cli->job_file.name = cli->job_file.text != NULL ? cli->job_file.name : NULL;
        return rc;
    }
    return apply_options(cli, err);
}

int job_send(struct cli *cli, enum msg_id type, const struct doc **ret, struct err *err)
{
    struct job_spec spec;
    int rc = job_read(cli->job_file.doc, &cli->arena, &spec, err);
    if (rc < 0) {
        return rc;
    }
    struct msg_job_submit body = {.job = cli->job_file.doc, .from = job_model_from(&spec)};
    if (body.from != NULL && strchr(body.from, '/') != NULL) { /* no name of a job has one */
        return err_set_at(err, ERR_UNSUPPORTED, "model.from",
                          "takes the id or the name of a job, not a file: '%s'", body.from);
    }
    body.key = cli->options.key != NULL ? cli->options.key : new_key(&cli->arena);
    job_datasets(&spec, &cli->arena, &body.datasets);
    rc = cli_ask(cli, type, &body, ret, err);
    if (rc == ERR_GONE && body.key != NULL) {
        rc = millrace_reopen(cli->connection, REOPEN_MS, err);
        rc = rc < 0 ? rc : cli_ask(cli, type, &body, ret, err);
    }
    return rc;
}

int job_submit(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = job_prepare(cli, err);
    rc = rc < 0 ? rc : job_send(cli, MSG_JOB_SUBMIT, &answer, err);
    if (rc < 0) {
        return rc;
    }
    if (cli->options.json) {
        cli_print_json(answer);
        return 0;
    }
    printf("%s\n", doc_str(answer, "job", "?"));
    if (!cli->options.quiet) {
        fprintf(stderr, "submitted; `millrace watch %s` shows it\n", doc_str(answer, "job", "?"));
    }
    return 0;
}

/* ---- check
 * --------------------------------------------------------------------------------------- */

static void print_stream(const char *name, const struct doc *stream)
{
    const struct doc *fields = doc_get(stream, "fields");
    char samples[SHOW_TEXT];
    show_count(doc_int(stream, "samples", 0), samples);
    printf("%-11s %s%s%s: %s samples, batches of %lld, %lld steps an epoch\n", name,
           doc_str(stream, "dataset", ""), doc_str(stream, "split", NULL) != NULL ? "/" : "",
           doc_str(stream, "split", ""), samples, (long long)doc_int(stream, "batch", 0),
           (long long)doc_int(stream, "steps", 0));
    for (size_t i = 0; fields != NULL && fields->type == DOC_LIST && i < fields->n; i++) {
        const struct doc *field = doc_at(fields, i);
        struct buf shape = {0};
        if (doc_get(field, "shape") != NULL) {
            doc_write_json(doc_get(field, "shape"), 0, &shape);
        }
        printf("            %s: %s %s\n", doc_str(field, "name", "?"), doc_str(field, "dtype", "?"),
               shape.data != NULL ? shape.data : "");
        buf_fini(&shape);
    }
}

int job_check(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = job_prepare(cli, err);
    rc = rc < 0 ? rc : job_send(cli, MSG_JOB_CHECK, &answer, err);
    if (rc < 0) {
        return rc;
    }
    if (cli->options.json) {
        cli_print_json(answer);
        return 0;
    }
    const struct doc *streams = doc_find(answer, "plan.streams");
    const struct doc *model = doc_find(answer, "plan.model");
    char number[SHOW_TEXT];
    printf("%s: the job is good\n", cli->job_file.name);
    for (size_t i = 0; streams != NULL && streams->type == DOC_MAP && i < streams->n; i++) {
        print_stream(streams->pairs[i].key, &streams->pairs[i].value);
    }
    show_count(doc_int(model, "parameters", 0), number);
    printf("%-11s %s parameters", "model", number);
    show_scaled(doc_float(model, "flops", 0), number);
    printf(", %s operations a sample", number);
    show_bytes(doc_int(model, "memory_bytes", 0), number);
    printf(", %s of memory\n", number);
    return 0;
}

/* ---- list, show
 * ---------------------------------------------------------------------------------- */

static const char *state_color(const struct cli *cli, const char *state)
{
    const struct {
        const char *state, *color;
    } rows[] = {{"finished", cli->term.green},
                {"training", cli->term.blue},
                {"failed", cli->term.red},
                {"paused", cli->term.yellow}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].state, state) == 0) {
            return rows[i].color;
        }
    }
    return "";
}

static void add_job(struct show_table *table, const struct doc *job)
{
    const struct doc *progress = doc_get(job, "progress");
    show_cell(table, "%s", doc_str(job, "job", "?"));
    show_cell(table, "%s", doc_str(job, "state", "?"));
    if (progress != NULL) {
        show_cell(table, "%lld/%lld", (long long)doc_int(progress, "epoch", 0) + 1,
                  (long long)doc_int(progress, "epochs", 0));
    } else {
        show_cell(table, "-");
    }
    show_cell(table, "%s", doc_str(job, "created", ""));
    const char *path = doc_str(job, "path", "");
    show_cell(table, "%s%s%s", path, path[0] != '\0' ? ": " : "", doc_str(job, "reason", ""));
}

int job_list(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = cli_ask(cli, MSG_JOB_LIST, &(struct msg_none){0}, &answer, err);
    if (rc < 0) {
        return rc;
    }
    if (cli->options.json) {
        cli_print_json(answer);
        return 0;
    }
    const struct doc *jobs = doc_get(answer, "jobs");
    struct show_table table;
    struct buf out = {0};
    show_table_init(&table, &cli->arena, 5, 1u << 2);
    show_cell(&table, "JOB");
    show_cell(&table, "STATE");
    show_cell(&table, "EPOCH");
    show_cell(&table, "SUBMITTED");
    show_cell(&table, "REASON");
    for (size_t i = 0; jobs != NULL && i < jobs->n; i++) {
        add_job(&table, doc_at(jobs, i));
    }
    show_table_print(&table, cli->term.bold, cli->term.plain, &out);
    cli_print(&out);
    buf_fini(&out);
    return 0;
}

static void print_list(const struct cli *cli, const char *head, const struct doc *list,
                       struct buf *out)
{
    if (list == NULL || list->type != DOC_LIST || list->n == 0) {
        return;
    }
    buf_printf(out, "%s%s%s\n", cli->term.bold, head, cli->term.plain);
    for (size_t i = 0; i < list->n; i++) {
        const struct doc *item = doc_at(list, i);
        buf_puts(out, "  ");
        bool any = false;
        for (size_t k = 0; item->type == DOC_MAP && k < item->n; k++) {
            const struct doc *value = &item->pairs[k].value;
            if (value->type == DOC_STR && value->str[0] == '\0') {
                continue; /* nothing to say */
            }
            buf_printf(out, "%s%s ", any ? "  " : "", item->pairs[k].key);
            any = true;
            if (value->type == DOC_STR) {
                buf_puts(out, value->str);
            } else {
                doc_write_json(value, 0, out);
            }
        }
        buf_puts(out, "\n");
    }
}

/* How far it is, and what AUTOTUNE chose and why. */
static void print_progress(const struct cli *cli, const struct doc *progress, struct buf *out)
{
    buf_printf(out, "  %-10s ", "progress");
    bar_line(progress, &cli->term, PROGRESS_COLUMNS, out);
    buf_puts(out, "\n");
    if (doc_str(progress, "choice", NULL) != NULL) {
        buf_printf(out, "  %-10s %lld worker%s, prefetch %lld: %s\n", "autotune",
                   (long long)doc_int(progress, "workers", 0),
                   doc_int(progress, "workers", 0) == 1 ? "" : "s",
                   (long long)doc_int(progress, "prefetch", 0), doc_str(progress, "choice", ""));
    }
}

static void print_job(const struct cli *cli, const struct doc *job, struct buf *out)
{
    static const char *const texts[] = {"name",   "created", "started", "ended",
                                        "folder", "model",   "from"};
    const char *state = doc_str(job, "state", "?");
    const struct doc *history = doc_get(job, "history");
    buf_printf(out, "%s%s%s  %s%s%s\n", cli->term.bold, doc_str(job, "job", "?"), cli->term.plain,
               state_color(cli, state), state, cli->term.plain);
    if (doc_str(job, "reason", NULL) != NULL) {
        buf_printf(out, "  %-10s %s%s%s\n", "reason", doc_str(job, "path", ""),
                   doc_str(job, "path", NULL) != NULL ? ": " : "", doc_str(job, "reason", ""));
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (doc_str(job, texts[i], NULL) != NULL) {
            buf_printf(out, "  %-10s %s\n", texts[i], doc_str(job, texts[i], ""));
        }
    }
    buf_printf(out, "  %-10s %lld\n", "restarts", (long long)doc_int(job, "restarts", 0));
    if (doc_get(job, "progress") != NULL && doc_str(job, "ended", NULL) == NULL) {
        print_progress(cli, doc_get(job, "progress"), out);
    }
    if (doc_get(job, "adapting") != NULL) {
        buf_puts(out, "  ");
        bar_parts(doc_get(job, "adapting"), &cli->term, PROGRESS_COLUMNS, out);
        buf_puts(out, "\n");
    }
    for (size_t i = 0; history != NULL && history->type == DOC_LIST && i < history->n; i++) {
        buf_puts(out, "  ");
        bar_epoch(doc_at(history, i), 0, &cli->term, out);
    }
    print_list(cli, "data sets", doc_get(job, "datasets"), out);
    print_list(cli, "checkpoints", doc_get(job, "checkpoints"), out);
    print_list(cli, "workers", doc_get(job, "workers"), out);
    print_list(cli, "quarantine", doc_get(job, "quarantine"), out);
}

/* Requests that name one job. */
static int ask_named(struct cli *cli, enum msg_id type, const struct doc **ret, struct err *err)
{
    const struct msg_named body = {.name = cli->words[0]};
    int rc = cli_ask(cli, type, &body, ret, err);
    if (rc >= 0 && cli->options.json) {
        cli_print_json(*ret);
    }
    return rc;
}

int job_show(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    struct buf out = {0};
    int rc = ask_named(cli, MSG_JOB_SHOW, &answer, err);
    if (rc >= 0 && !cli->options.json) {
        print_job(cli, answer, &out);
        cli_print(&out);
    }
    buf_fini(&out);
    return rc;
}

static void print_quarantine(struct cli *cli, const struct doc *list, struct buf *out)
{
    struct show_table table;
    const size_t n = list != NULL && list->type == DOC_LIST ? list->n : 0;
    show_table_init(&table, &cli->arena, 5, 1u << 1 | 1u << 3);
    show_cell(&table, "STREAM");
    show_cell(&table, "SAMPLE");
    show_cell(&table, "FILE");
    show_cell(&table, "OFFSET");
    show_cell(&table, "REASON");
    for (size_t i = 0; i < n; i++) {
        const struct doc *bad = doc_at(list, i);
        char offset[SHOW_TEXT] = "-";
        if (doc_int(bad, "offset", -1) >= 0) {
            (void)snprintf(offset, sizeof(offset), "%lld", (long long)doc_int(bad, "offset", 0));
        }
        show_cell(&table, "%s", doc_str(bad, "stream", ""));
        show_cell(&table, "%lld", (long long)doc_int(bad, "sample", 0));
        show_cell(&table, "%s", doc_str(bad, "path", ""));
        show_cell(&table, "%s", offset);
        show_cell(&table, "%s", doc_str(bad, "reason", ""));
    }
    if (n == 0) {
        buf_puts(out, "no bad sample\n");
    } else {
        show_table_print(&table, cli->term.dim, cli->term.plain, out);
    }
}

int job_quarantine(struct cli *cli, struct err *err)
{
    const struct msg_named body = {.name = cli->words[0]};
    const struct doc *answer = NULL;
    struct buf out = {0};
    int rc = cli_ask(cli, MSG_JOB_SHOW, &body, &answer, err);
    const struct doc *list = rc >= 0 ? doc_get(answer, "quarantine") : NULL;
    if (rc >= 0 && cli->options.json && list != NULL) {
        cli_print_json(list);
    } else if (rc >= 0) {
        print_quarantine(cli, list, &out);
        cli_print(&out);
    }
    buf_fini(&out);
    return rc;
}

/* ---- logs
 * ---------------------------------------------------------------------------------------- */

static void print_line(const struct cli *cli, const struct doc *line, struct buf *out)
{
    int64_t level = doc_int(line, "level", LOG_LEVEL_INFO);
    const char *on = level == LOG_LEVEL_ERROR     ? cli->term.red
                     : level == LOG_LEVEL_WARNING ? cli->term.yellow
                                                  : "";
    if (doc_str(line, "time", NULL) != NULL) {
        buf_printf(out, "%s%s%s ", cli->term.dim, doc_str(line, "time", ""), cli->term.plain);
    }
    buf_printf(out, "%s%s%s\n", on, doc_str(line, "text", ""),
               on[0] != '\0' ? cli->term.plain : "");
}

static int on_log_event(void *context, const struct msg_event *event)
{
    static const char *const over[] = {"finished", "failed", "cancelled"};
    struct cli *cli = context;
    struct buf out = {0};
    const char *state = doc_str(event->data, "state", "");
    if (strcmp(event->kind, "log") == 0) {
        if (cli->options.json) {
            doc_write_json(event->data, 0, &out);
            buf_puts(&out, "\n");
        } else {
            print_line(cli, event->data, &out);
        }
        cli_print(&out);
    }
    buf_fini(&out);
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(state, over[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

int job_logs(struct cli *cli, struct err *err)
{
    const struct msg_job_logs body = {.name = cli->words[0], .after = cli->options.after};
    const struct doc *answer = NULL;
    struct buf out = {0};
    int rc = cli_ask(cli, MSG_JOB_LOGS, &body, &answer, err);
    const struct doc *lines = rc >= 0 ? doc_get(answer, "lines") : NULL;
    if (rc >= 0 && cli->options.json && !cli->options.follow) {
        cli_print_json(answer);
        return 0;
    }
    for (size_t i = 0; lines != NULL && i < lines->n; i++) {
        print_line(cli, doc_at(lines, i), &out);
    }
    cli_print(&out);
    buf_fini(&out);
    if (rc >= 0 && cli->options.follow) {
        int64_t last =
            lines != NULL && lines->n > 0 ? doc_int(doc_at(lines, lines->n - 1), "seq", 0) : 0;
        rc = millrace_watch(cli->connection, cli->words[0], last, on_log_event, cli, err);
    }
    return rc < 0 ? rc : 0;
}

/* ---- cancel, pause, resume
 * ----------------------------------------------------------------------- */

static int change(struct cli *cli, enum msg_id type, const char *what, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = ask_named(cli, type, &answer, err);
    if (rc >= 0 && !cli->options.json && !cli->options.quiet) {
        fprintf(stderr, "%s: %s%s\n", cli->words[0], what, doc_str(answer, "state", ""));
    }
    return rc;
}

int job_cancel(struct cli *cli, struct err *err)
{
    return change(cli, MSG_JOB_CANCEL, "asked to end; now ", err);
}

int job_pause(struct cli *cli, struct err *err)
{
    return change(cli, MSG_JOB_PAUSE, "asked to save and pause; now ", err);
}

int job_resume(struct cli *cli, struct err *err)
{
    return change(cli, MSG_JOB_RESUME, "goes on; now ", err);
}
