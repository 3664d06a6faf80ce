/* run, watch */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/bar.h"
#include "client/commands.h"
#include "client/line.h"
#include "client/show.h"

enum { OVER = 1, FAILED, CANCELLED, PAUSED };

struct watch {
    struct cli *cli;
    struct line line;
    const char *job; /* its id once known */
    int64_t epochs, last_epoch, start_us;
    size_t n_bad;
    char state[24];
    char said[200];     /* the last warning: a process that dies again and again says it once */
    struct arena arena; /* of the last job document */
    const struct doc *over;
};

/* A word of the watch's own: what the job waits for before its first step. */
static void draw_state(struct watch *watch, const char *text)
{
    struct buf out = {0};
    buf_printf(&out, "%s%s: %s%s", watch->cli->term.dim, watch->job, text, watch->cli->term.plain);
    line_draw(&watch->line, &out);
    buf_fini(&out);
}

static void stay(struct watch *watch, const char *on, const char *format, const char *a,
                 const char *b)
{
    struct buf out = {0};
    const char *off = on[0] != '\0' ? watch->cli->term.plain : "";
    if (!watch->cli->options.quiet && !watch->cli->options.json) {
        buf_puts(&out, on);
        buf_printf(&out, "%s%s%s%s\n", format, a, b, off);
        line_stay(&watch->line, &out);
    }
    buf_fini(&out);
}

static void on_progress(struct watch *watch, const struct doc *data)
{
    watch->epochs = doc_int(data, "epochs", watch->epochs);
    if (line_due(&watch->line) && !watch->cli->options.quiet && !watch->cli->options.json) {
        struct buf out = {0};
        bar_line(data, &watch->cli->term, term_width() - 1, &out);
        line_draw(&watch->line, &out);
        buf_fini(&out);
    }
}

static void on_epoch(struct watch *watch, const struct doc *data)
{
    int64_t epoch = doc_int(data, "epoch", 0);
    if (epoch <= watch->last_epoch) {
        return;
    }
    watch->last_epoch = epoch;
    if (!watch->cli->options.quiet && !watch->cli->options.json) {
        struct buf out = {0};
        bar_epoch(data, watch->epochs, &watch->cli->term, &out);
        line_stay(&watch->line, &out);
        buf_fini(&out);
    }
}

static void show_bad(struct watch *watch, const struct doc *bad)
{
    char text[600];
    (void)snprintf(text, sizeof(text), "%.300s: %.250s", doc_str(bad, "path", "?"),
                   doc_str(bad, "reason", ""));
    stay(watch, watch->cli->term.yellow, "bad sample ", text, "");
}

/* What happened before the watch began, or while the daemon was away. */
static void catch_up(struct watch *watch, const struct doc *job)
{
    const struct doc *history = doc_get(job, "history");
    const struct doc *bad = doc_get(job, "quarantine");
    for (size_t i = watch->n_bad; bad != NULL && bad->type == DOC_LIST && i < bad->n; i++) {
        show_bad(watch, doc_at(bad, i));
        watch->n_bad++;
    }
    for (size_t i = 0; history != NULL && history->type == DOC_LIST && i < history->n; i++) {
        on_epoch(watch, doc_at(history, i));
    }
}

static int on_job(struct watch *watch, const struct doc *job)
{
    static const struct {
        const char *state;
        int end;
    } ends[] = {
        {"finished", OVER}, {"failed", FAILED}, {"cancelled", CANCELLED}, {"paused", PAUSED}};
    const char *state = doc_str(job, "state", "");
    const struct doc *progress = doc_get(job, "progress");
    if (progress != NULL) {
        watch->epochs = doc_int(progress, "epochs", watch->epochs);
    }
    catch_up(watch, job);
    bool changed = strcmp(state, watch->state) != 0;
    (void)snprintf(watch->state, sizeof(watch->state), "%s", state);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (strcmp(state, ends[i].state) == 0) {
            struct doc *over = doc_new(&watch->arena);
            doc_copy(over, &watch->arena, job);
            watch->over = over;
            return ends[i].end;
        }
    }
    if (changed && !watch->cli->options.json && !watch->cli->options.quiet) {
        draw_state(watch, state);
    }
    return 0;
}

static int on_state(struct watch *watch, const struct msg_event *event)
{
    return on_job(watch, event->data);
}

static int on_step(struct watch *watch, const struct msg_event *event)
{
    on_progress(watch, event->data);
    return 0;
}

static int on_adapting(struct watch *watch, const struct msg_event *event)
{
    if (line_due(&watch->line) && !watch->cli->options.quiet && !watch->cli->options.json) {
        struct buf out = {0};
        bar_parts(event->data, &watch->cli->term, term_width() - 1, &out);
        line_draw(&watch->line, &out);
        buf_fini(&out);
    }
    return 0;
}

static int on_epoch_end(struct watch *watch, const struct msg_event *event)
{
    on_epoch(watch, event->data);
    return 0;
}

static int on_log(struct watch *watch, const struct msg_event *event)
{
    int64_t level = doc_int(event->data, "level", LOG_LEVEL_INFO);
    const char *text = doc_str(event->data, "text", "");
    if (level <= LOG_LEVEL_WARNING && strncmp(text, watch->said, sizeof(watch->said) - 1) != 0) {
        (void)snprintf(watch->said, sizeof(watch->said), "%s", text);
        stay(watch, level == LOG_LEVEL_ERROR ? watch->cli->term.red : watch->cli->term.yellow, "",
             text, "");
    }
    return 0;
}

static int on_quarantine(struct watch *watch, const struct msg_event *event)
{
    watch->n_bad++;
    show_bad(watch, event->data);
    return 0;
}

static int on_lost(struct watch *watch, const struct msg_event *event)
{
    (void)event;
    stay(watch, watch->cli->term.yellow, "the daemon is gone; waiting for it (Ctrl-C leaves)", "",
         "");
    return 0;
}

static int on_back(struct watch *watch, const struct msg_event *event)
{
    (void)event;
    stay(watch, watch->cli->term.green, "the daemon is back", "", "");
    return 0;
}

static int on_event(void *context, const struct msg_event *event)
{
    static const struct {
        const char *kind;
        int (*take)(struct watch *watch, const struct msg_event *event);
    } kinds[] = {
        {"snapshot", on_state},    {"state", on_state}, {"progress", on_step},
        {"epoch", on_epoch_end},   {"log", on_log},     {"quarantine", on_quarantine},
        {"adapting", on_adapting}, {"lost", on_lost},   {"back", on_back},
    };
    struct watch *watch = context;
    if (watch->cli->options.json && event->data != NULL) {
        struct buf out = {0};
        buf_printf(&out, "{\"seq\": %lld, \"kind\": \"%s\", \"data\": ", (long long)event->seq,
                   event->kind);
        doc_write_json(event->data, 0, &out);
        buf_puts(&out, "}\n");
        cli_print(&out);
        buf_fini(&out);
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].kind, event->kind) == 0) {
            return kinds[i].take(watch, event);
        }
    }
    return 0;
}

/* ---- the end
 * ------------------------------------------------------------------------------------- */

static void print_result(const struct watch *watch, const struct doc *metrics)
{
    struct cli *cli = watch->cli;
    struct buf out = {0};
    char time[SHOW_TEXT];
    show_duration((double)(clock_us() - watch->start_us) / 1e6, time);
    buf_printf(&out, "%s%s finished%s", cli->term.green, watch->job, cli->term.plain);
    for (size_t i = 0; metrics != NULL && metrics->type == DOC_MAP && i < metrics->n; i++) {
        char number[SHOW_TEXT];
        if (doc_is_number(&metrics->pairs[i].value)) {
            show_number(doc_number(&metrics->pairs[i].value), number);
            buf_printf(&out, "  %s %s", metrics->pairs[i].key, number);
        }
    }
    buf_printf(&out, "  (watched for %s)\n", time);
    if (doc_str(watch->over, "model", NULL) != NULL) {
        buf_printf(&out, "model  %s\n", doc_str(watch->over, "model", ""));
    }
    cli_print(&out);
    buf_fini(&out);
}

/* The metrics of the last epoch, from the daemon: the state event does not carry the history. */
static int show_result(struct watch *watch, struct err *err)
{
    const struct msg_named body = {.name = watch->job};
    const struct doc *job = NULL;
    if (watch->cli->options.json) {
        return 0;
    }
    int rc = cli_ask(watch->cli, MSG_JOB_SHOW, &body, &job, err);
    if (rc >= 0) {
        const struct doc *history = doc_get(job, "history");
        const struct doc *last =
            history != NULL && history->n > 0 ? doc_at(history, history->n - 1) : NULL;
        watch->over = job;
        print_result(watch, doc_get(last, "metrics"));
    }
    return rc;
}

/* A path into the job file becomes its line; another one (a picture's) belongs to the sentence. */
static int failed(const struct watch *watch, const char *path, const char *reason, struct err *err)
{
    const struct cli *cli = watch->cli;
    bool in_file = cli->job_file.name != NULL && job_file_line(&cli->job_file, path) > 0;
    if (in_file || cli->options.json || path[0] == '\0') {
        return err_set_at(err, ERR_JOB_FAILED, path, "%s failed: %s", watch->job, reason);
    }
    return err_set(err, ERR_JOB_FAILED, "%s failed: %s: %s", watch->job, path, reason);
}

static int result(struct watch *watch, int end, struct err *err)
{
    const struct doc *job = watch->over;
    const char *reason = doc_str(job, "reason", "no reason given");
    if (end == OVER) {
        return show_result(watch, err);
    }
    if (end == CANCELLED) {
        return err_set(err, ERR_CANCELLED, "%s was cancelled", watch->job);
    }
    if (end == FAILED) {
        return failed(watch, doc_str(job, "path", ""), reason, err);
    }
    if (doc_str(job, "reason", NULL) == NULL) {
        stay(watch, watch->cli->term.yellow, watch->job, " is paused; `millrace resume` goes on",
             "");
        return 0;
    }
    int64_t code = doc_int(job, "code", ERR_JOB_FAILED);
    if (code == ERR_CANCELLED) { /* somebody's wish is no fault */
        stay(watch, watch->cli->term.yellow, watch->job, " is paused; `millrace resume` goes on",
             "");
        return 0;
    }
    bool again = code == ERR_NO_SPACE; /* the daemon looks for space from time to time */
    return err_set_at(err, code < 0 && code > -1000 ? (int)code : ERR_JOB_FAILED,
                      doc_str(job, "path", ""), "%s is paused: %s; %s`millrace %s %s` %s",
                      watch->job, reason, again ? "it goes on by itself when there is space, " : "",
                      again ? "watch" : "resume", watch->job, again ? "shows it" : "goes on");
}

int run_watch_job(struct cli *cli, const char *job, struct err *err)
{
    struct watch watch = {.cli = cli, .job = job, .start_us = clock_us(), .last_epoch = -1};
    line_init(&watch.line, &cli->term);
    arena_init(&watch.arena);
    int rc = cli_connect(cli, err);
    rc = rc < 0 ? rc
                : millrace_watch(cli->connection, job, cli->options.after, on_event, &watch, err);
    line_clear(&watch.line);
    if (rc == ERR_INTERRUPTED) {
        fprintf(stderr,
                "left %s running; `millrace watch%s%s %s` comes back to it, `millrace cancel %s` "
                "ends it\n",
                job, cli->options.socket != NULL ? " --socket " : "",
                cli->options.socket != NULL ? cli->options.socket : "", job, job);
        if (err != NULL) {
            err->text[0] = '\0';
        }
    }
    if (rc > 0) {
        rc = result(&watch, rc, err);
    }
    arena_fini(&watch.arena);
    return rc;
}

int run_watch(struct cli *cli, struct err *err)
{
    return run_watch_job(cli, cli->words[0], err);
}

int run_command(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = job_prepare(cli, err);
    rc = rc < 0 ? rc : job_send(cli, MSG_JOB_SUBMIT, &answer, err);
    const char *job = rc >= 0 ? doc_str(answer, "job", NULL) : NULL;
    if (rc < 0) {
        return rc;
    }
    if (job == NULL) {
        return err_set(err, ERR_SYNTAX, "the daemon's answer names no job");
    }
    return run_watch_job(cli, job, err);
}
