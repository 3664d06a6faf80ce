/* dataset put, list, show, verify, remove */
#include <stdio.h>
#include <string.h>

#include "client/bar.h"
#include "client/commands.h"
#include "client/line.h"
#include "client/show.h"

struct put_show {
    struct cli *cli;
    struct line line;
    enum millrace_put_stage stage;
};

static void on_put(void *context, const struct millrace_put_progress *progress)
{
    static const char *const words[] = {[MILLRACE_PUT_HASH] = "reading",
                                        [MILLRACE_PUT_SEND] = "sending",
                                        [MILLRACE_PUT_LOST] = "",
                                        [MILLRACE_PUT_COMMIT] = "storing"};
    struct put_show *show = context;
    struct buf out = {0};
    if (show->cli->options.quiet || show->cli->options.json) {
        return;
    }
    if (progress->stage == MILLRACE_PUT_LOST) {
        buf_puts(&out, "the daemon is gone; going on when it is back\n");
        line_stay(&show->line, &out);
    } else if (line_due(&show->line) || (show->cli->term.live && progress->stage != show->stage)) {
        bar_bytes(words[progress->stage], progress->done_bytes, progress->total_bytes,
                  progress->path, &show->cli->term, term_width() - 1, &out);
        line_draw(&show->line, &out);
    }
    show->stage = progress->stage;
    buf_fini(&out);
}

static void print_splits(const struct doc *splits, struct buf *out)
{
    for (size_t i = 0; splits != NULL && splits->type == DOC_MAP && i < splits->n; i++) {
        buf_printf(out, "%s%s ", i > 0 ? ", " : "", splits->pairs[i].key);
        doc_write_json(&splits->pairs[i].value, 0, out);
    }
}

static void print_feed(const struct doc *feed, struct buf *out)
{
    char all[SHOW_TEXT];
    char stored[SHOW_TEXT];
    char bytes[SHOW_TEXT];
    const bool by_epoch = doc_bool(feed, "by_epoch", false);
    show_count(doc_int(feed, "elements", 0), all);
    show_count(doc_int(feed, "stored", 0), stored);
    show_bytes(doc_int(feed, "bytes", 0), bytes);
    buf_printf(out, "  %-10s %s%s, %s on the disk", "elements", all, by_epoch ? " an epoch" : "",
               bytes);
    if (doc_get(feed, "stored") != NULL && by_epoch) {
        buf_printf(out, ", %s of epoch %lld", stored, (long long)doc_int(feed, "epoch", 0) + 1);
    } else if (doc_get(feed, "stored") != NULL) {
        buf_printf(out, ", %s stored", stored);
    }
    buf_printf(out, "\n  %-10s %s\n", "client",
               doc_bool(feed, "client", false) ? "feeds it" : "none; `millrace feed` starts one");
}

static void print_dataset(const struct cli *cli, const struct doc *dataset, struct buf *out)
{
    const struct doc *users = doc_get(dataset, "used_by");
    char files[SHOW_TEXT];
    char bytes[SHOW_TEXT];
    show_count(doc_int(dataset, "files", 0), files);
    show_bytes(doc_int(dataset, "bytes", 0), bytes);
    buf_printf(out, "%s%s%s  %s, %s files, %s\n", cli->term.bold, doc_str(dataset, "name", "?"),
               cli->term.plain, doc_str(dataset, "kind", "?"), files, bytes);
    buf_printf(out, "  %-10s %s\n", "id", doc_str(dataset, "id", "?"));
    if (doc_str(dataset, "created", NULL) != NULL) {
        buf_printf(out, "  %-10s %s\n", "created", doc_str(dataset, "created", ""));
    }
    if (doc_str(dataset, "place", NULL) != NULL) {
        buf_printf(out, "  %-10s %s (not copied)\n", "in place", doc_str(dataset, "place", ""));
    }
    if (doc_get(dataset, "feed") != NULL) {
        print_feed(doc_get(dataset, "feed"), out);
    } else {
        buf_printf(out, "  %-10s ", "files of");
        print_splits(doc_get(dataset, "splits"), out);
        buf_puts(out, "\n");
    }
    for (size_t i = 0; users != NULL && users->type == DOC_LIST && i < users->n; i++) {
        const struct doc *user = doc_at(users, i);
        buf_printf(out, "  %-10s %s\n", i == 0 ? "used by" : "",
                   user->type == DOC_STR ? user->str : "?");
    }
}

static int print_one(struct cli *cli, const struct doc *dataset)
{
    struct buf out = {0};
    if (cli->options.json) {
        cli_print_json(dataset);
    } else {
        print_dataset(cli, dataset, &out);
        cli_print(&out);
    }
    buf_fini(&out);
    return 0;
}

int dataset_put_what(struct cli *cli, const struct millrace_put *what, struct err *err)
{
    struct put_show show = {.cli = cli};
    struct millrace_put put = *what;
    put.progress = on_put;
    put.context = &show;
    const struct doc *dataset = NULL;
    line_init(&show.line, &cli->term);
    int rc = cli_connect(cli, err);
    rc = rc < 0 ? rc : millrace_put(cli->connection, &put, &cli->arena, &dataset, err);
    line_clear(&show.line);
    if (rc < 0 && err != NULL && strcmp(err->path, "files") == 0) { /* those of the folder */
        (void)snprintf(err->path, sizeof(err->path), "%s", what->path);
    }
    if (rc == ERR_INTERRUPTED) {
        return err_set(err, rc, "interrupted; the same command again goes on where this one ended");
    }
    if (rc == ERR_NO_SPACE && err != NULL) {
        size_t n = strlen(err->text);
        (void)snprintf(err->text + n, sizeof(err->text) - n,
                       "; when there is space the same command again goes on where this one ended");
    }
    return rc < 0 ? rc : print_one(cli, dataset);
}

int dataset_pack(struct cli *cli, struct err *err)
{
    struct put_show show = {.cli = cli};
    const struct millrace_pack pack = {.name = cli->words[0],
                                       .into = cli->options.into,
                                       .shard_bytes = cli->options.shard_bytes,
                                       .progress = on_put,
                                       .context = &show};
    const struct doc *dataset = NULL;
    line_init(&show.line, &cli->term);
    int rc = cli_connect(cli, err);
    rc = rc < 0 ? rc : millrace_pack(cli->connection, &pack, &cli->arena, &dataset, err);
    line_clear(&show.line);
    return rc < 0 ? rc : print_one(cli, dataset);
}

int dataset_put(struct cli *cli, struct err *err)
{
    const struct millrace_put put = {.name = cli->words[0],
                                     .kind = cli->options.kind,
                                     .path = cli->words[1],
                                     .follow_links = cli->options.follow_links,
                                     .in_place = cli->options.in_place};
    return dataset_put_what(cli, &put, err);
}

int dataset_list(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = cli_ask(cli, MSG_DATASET_LIST, &(struct msg_none){0}, &answer, err);
    if (rc < 0) {
        return rc;
    }
    if (cli->options.json) {
        cli_print_json(answer);
        return 0;
    }
    const struct doc *list = doc_get(answer, "datasets");
    static const char *const heads[] = {"NAME", "KIND", "FILES", "SIZE", "CREATED"};
    struct show_table table;
    struct buf out = {0};
    show_table_init(&table, &cli->arena, 5, 1u << 2 | 1u << 3);
    for (size_t i = 0; i < 5; i++) {
        show_cell(&table, "%s", heads[i]);
    }
    for (size_t i = 0; list != NULL && i < list->n; i++) {
        const struct doc *dataset = doc_at(list, i);
        char files[SHOW_TEXT];
        char bytes[SHOW_TEXT];
        show_count(doc_int(dataset, "files", 0), files);
        show_bytes(doc_int(dataset, "bytes", 0), bytes);
        show_cell(&table, "%s", doc_str(dataset, "name", "?"));
        show_cell(&table, "%s", doc_str(dataset, "kind", "?"));
        show_cell(&table, "%s", files);
        show_cell(&table, "%s", bytes);
        show_cell(&table, "%s", doc_str(dataset, "created", ""));
    }
    show_table_print(&table, cli->term.bold, cli->term.plain, &out);
    cli_print(&out);
    buf_fini(&out);
    return 0;
}

static int ask_named(struct cli *cli, enum msg_id type, const struct doc **ret, struct err *err)
{
    const struct msg_named body = {.name = cli->words[0]};
    return cli_ask(cli, type, &body, ret, err);
}

int dataset_show(struct cli *cli, struct err *err)
{
    const struct doc *dataset = NULL;
    int rc = ask_named(cli, MSG_DATASET_SHOW, &dataset, err);
    rc = rc < 0 ? rc : print_one(cli, dataset);
    return rc < 0 || cli->options.json ? rc : dataset_show_files(cli, dataset, err);
}

int dataset_verify(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = ask_named(cli, MSG_DATASET_VERIFY, &answer, err);
    if (rc < 0) {
        return rc;
    }
    const struct doc *damaged = doc_get(answer, "damaged");
    const struct doc *reasons = doc_get(answer, "reasons");
    size_t n = damaged != NULL && damaged->type == DOC_LIST ? damaged->n : 0;
    if (cli->options.json) {
        cli_print_json(answer);
    } else {
        char files[SHOW_TEXT];
        char bytes[SHOW_TEXT];
        show_count(doc_int(answer, "files", 0), files);
        show_bytes(doc_int(answer, "bytes", 0), bytes);
        printf("%s: %s files, %s read, %zu damaged\n", cli->words[0], files, bytes, n);
        for (size_t i = 0; i < n; i++) {
            const struct doc *why = reasons != NULL ? doc_at(reasons, i) : NULL;
            const char *reason = why != NULL && why->type == DOC_STR ? why->str : "damaged";
            const char *path = doc_at(damaged, i)->type == DOC_STR ? doc_at(damaged, i)->str : "?";
            printf("  %s%s%s\n", reason[0] == '\'' ? "" : path, reason[0] == '\'' ? "" : ": ",
                   reason);
        }
    }
    if (n > 0 && err != NULL) {
        err->text[0] = '\0'; /* said above */
    }
    return n > 0 ? ERR_CORRUPT : 0;
}

int dataset_remove(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    int rc = ask_named(cli, MSG_DATASET_REMOVE, &answer, err);
    if (rc >= 0 && cli->options.json) {
        cli_print_json(answer);
    } else if (rc >= 0 && !cli->options.quiet) {
        fprintf(stderr, "removed %s\n", cli->words[0]);
    }
    return rc;
}
