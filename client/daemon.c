/* status, workers, shutdown, version, completion */
#include <stdio.h>

#include "client/commands.h"
#include "client/show.h"

static int ask(struct cli *cli, enum msg_id type, const struct doc **ret, struct err *err)
{
    int rc = cli_ask(cli, type, &(struct msg_none){0}, ret, err);
    if (rc >= 0 && cli->options.json) {
        cli_print_json(*ret);
    }
    return rc;
}

int daemon_status(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = ask(cli, MSG_STATUS, &answer, err);
    if (rc < 0 || cli->options.json) {
        return rc;
    }
    const struct doc *jobs = doc_get(answer, "jobs");
    char time[SHOW_TEXT];
    show_duration(doc_float(answer, "uptime_seconds", 0), time);
    printf("millraced %s  %s  up %s\n", doc_str(answer, "version", "?"),
           doc_str(answer, "state", ""), time);
    printf("status     %s\n", doc_str(answer, "status_url", "off"));
    printf("data sets  %lld\njobs      ", (long long)doc_int(answer, "datasets", 0));
    bool any = false;
    for (size_t i = 0; jobs != NULL && jobs->type == DOC_MAP && i < jobs->n; i++) {
        if (doc_is_number(&jobs->pairs[i].value) && doc_number(&jobs->pairs[i].value) > 0) {
            printf("%s %.0f %s", any ? "," : "", doc_number(&jobs->pairs[i].value),
                   jobs->pairs[i].key);
            any = true;
        }
    }
    printf("%s\n", any ? "" : " none");
    return 0;
}

int daemon_workers(struct cli *cli, struct err *err)
{
    static const char *const heads[] = {"JOB",   "WORKER",   "ROLE",  "PID",
                                        "STATE", "RESTARTS", "REASON"};
    const struct doc *answer = NULL;
    int rc = ask(cli, MSG_WORKER_LIST, &answer, err);
    if (rc < 0 || cli->options.json) {
        return rc;
    }
    const struct doc *list = doc_get(answer, "workers");
    struct show_table table;
    struct buf out = {0};
    show_table_init(&table, &cli->arena, 7, 1u << 1 | 1u << 3 | 1u << 5);
    for (size_t i = 0; i < 7; i++) {
        show_cell(&table, "%s", heads[i]);
    }
    for (size_t i = 0; list != NULL && i < list->n; i++) {
        const struct doc *worker = doc_at(list, i);
        show_cell(&table, "%s", doc_str(worker, "job", "?"));
        show_cell(&table, "%lld", (long long)doc_int(worker, "worker", 0));
        show_cell(&table, "%s", doc_str(worker, "role", "?"));
        show_cell(&table, "%lld", (long long)doc_int(worker, "pid", 0));
        show_cell(&table, "%s", doc_str(worker, "state", "?"));
        show_cell(&table, "%lld", (long long)doc_int(worker, "restarts", 0));
        show_cell(&table, "%s", doc_str(worker, "reason", ""));
    }
    show_table_print(&table, cli->term.bold, cli->term.plain, &out);
    cli_print(&out);
    buf_fini(&out);
    return 0;
}

int daemon_shutdown(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = ask(cli, MSG_SHUTDOWN, &answer, err);
    if (rc >= 0 && !cli->options.json && !cli->options.quiet) {
        fprintf(stderr, "the daemon saves its jobs and ends\n");
    }
    return rc;
}

int daemon_help(struct cli *cli, struct err *err)
{
    char *words[2] = {(char *)(uintptr_t)cli->words[0], (char *)(uintptr_t)cli->words[1]};
    int used = 0;
    const struct cli_command *row = cli->n_words > 0 ? cli_find(words, cli->n_words, &used) : NULL;
    if (cli->n_words > used) {
        return cli_unknown(words, cli->n_words, err);
    }
    struct buf out = {0};
    cli_help(row, &out);
    cli_print(&out);
    buf_fini(&out);
    return 0;
}

/* Without a daemon this is no error: one asks for the version when something is wrong. */
int daemon_version(struct cli *cli, struct err *err)
{
    struct doc *map = doc_new(&cli->arena);
    doc_set_map(map);
    doc_put_str(map, &cli->arena, "millrace", MILLRACE_VERSION);
    doc_put_int(map, &cli->arena, "protocol", MSG_VERSION);
    int rc = cli_connect(cli, err);
    const struct doc *daemon = rc >= 0 ? millrace_daemon(cli->connection) : NULL;
    if (daemon != NULL) {
        doc_copy(doc_put(map, &cli->arena, "millraced"), &cli->arena, daemon);
    }
    if (cli->options.json) {
        cli_print_json(map);
        return 0;
    }
    printf("millrace %s, protocol %d\n", MILLRACE_VERSION, MSG_VERSION);
    if (daemon != NULL) {
        printf("millraced %s, protocol %lld\n", doc_str(daemon, "version", "?"),
               (long long)doc_int(daemon, "protocol", 0));
    } else {
        printf("millraced: %s\n", err->text);
    }
    return 0;
}

int daemon_completion(struct cli *cli, struct err *err)
{
    struct buf out = {0};
    int rc = cli_completion(cli->words[0], &out, err);
    cli_print(&out);
    buf_fini(&out);
    return rc;
}
