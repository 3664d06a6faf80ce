/* dataset get, head, gc */
#include <stdio.h>
#include <string.h>

#include "client/bar.h"
#include "client/commands.h"
#include "client/line.h"
#include "client/show.h"

struct get_show {
    struct cli *cli;
    struct line line;
};

static void on_get(void *context, const struct millrace_put_progress *progress)
{
    struct get_show *show = context;
    struct buf out = {0};
    if (!show->cli->options.quiet && !show->cli->options.json && line_due(&show->line)) {
        bar_bytes("getting", progress->done_bytes, progress->total_bytes, progress->path,
                  &show->cli->term, term_width() - 1, &out);
        line_draw(&show->line, &out);
    }
    buf_fini(&out);
}

int dataset_get(struct cli *cli, struct err *err)
{
    struct get_show show = {.cli = cli};
    const struct millrace_get get = {.name = cli->words[0],
                                     .path = cli->words[1],
                                     .shards = cli->options.shards,
                                     .progress = on_get,
                                     .context = &show};
    const struct doc *dataset = NULL;
    struct millrace_got d = {0};
    line_init(&show.line, &cli->term);
    int rc = cli_connect(cli, err);
    rc = rc < 0 ? rc : millrace_get(cli->connection, &get, &cli->arena, &dataset, &d, err);
    line_clear(&show.line);
    if (rc == ERR_INTERRUPTED) {
        return err_set(err, rc, "interrupted; the same command again goes on where this one ended");
    }
    if (rc < 0) {
        return rc;
    }
    struct doc *answer = doc_new(&cli->arena);
    doc_copy(answer, &cli->arena, dataset);
    doc_put_int(answer, &cli->arena, "kept", d.n_kept);
    if (cli->options.json) {
        cli_print_json(answer);
        return 0;
    }
    char files[SHOW_TEXT], bytes[SHOW_TEXT], were[SHOW_TEXT];
    show_count(d.n_files, files);
    show_bytes(d.bytes, bytes);
    show_count(d.n_kept, were);
    printf("%s@%lld: %s %s, %s in %s (%s were there)\n", doc_str(dataset, "name", "?"),
           (long long)doc_int(dataset, "version", 1), files,
           cli->options.shards ? "shards" : "files", bytes, cli->words[1], were);
    return 0;
}

/* "train/cat/1.jpg" and "cat/1.jpg" are of class cat, as the source of pictures takes them. */
static const char *class_of(const char *path, struct arena *arena)
{
    const char *end = strrchr(path, '/');
    if (end == NULL) {
        return NULL;
    }
    const char *first = strchr(path, '/');
    const char *begin = first < end ? first + 1 : path;
    return arena_strndup(arena, begin, strcspn(begin, "/"));
}

static void put_entries(struct cli *cli, const struct doc *dataset, const struct doc *files,
                        struct doc *list)
{
    const bool pictures = strcmp(doc_str(dataset, "kind", ""), "images") == 0;
    for (size_t i = 0; i < files->n && (int64_t)i < cli->options.n; i++) {
        const struct doc *file = doc_at(files, i);
        const char *path = doc_str(file, "path", "");
        struct doc *entry = doc_push(list, &cli->arena);
        doc_set_map(entry);
        doc_put_str(entry, &cli->arena, "path", path);
        doc_put_int(entry, &cli->arena, "bytes", doc_int(file, "bytes", 0));
        doc_put_str(entry, &cli->arena, "class", pictures ? class_of(path, &cli->arena) : NULL);
    }
}

int dataset_get_head(struct cli *cli, struct err *err)
{
    const struct doc *dataset = NULL;
    const struct doc *manifest = NULL;
    int rc = cli_connect(cli, err);
    rc = rc < 0 ? rc
                : millrace_manifest(cli->connection, cli->words[0], &cli->arena, &dataset,
                                    &manifest, err);
    if (rc < 0) {
        return rc;
    }
    struct doc *answer = doc_new(&cli->arena);
    doc_copy(answer, &cli->arena, dataset);
    struct doc *list = doc_put(answer, &cli->arena, "entries");
    doc_set_list(list);
    put_entries(cli, dataset, doc_get(manifest, "files"), list);
    if (cli->options.json) {
        cli_print_json(answer);
        return 0;
    }
    static const char *const heads[] = {"PATH", "SIZE", "CLASS"};
    struct show_table table;
    struct buf out = {0};
    show_table_init(&table, &cli->arena, 3, 1u << 1);
    for (size_t i = 0; i < 3; i++) {
        show_cell(&table, "%s", heads[i]);
    }
    for (size_t i = 0; i < list->n; i++) {
        char bytes[SHOW_TEXT];
        show_bytes(doc_int(doc_at(list, i), "bytes", 0), bytes);
        show_cell(&table, "%s", doc_str(doc_at(list, i), "path", ""));
        show_cell(&table, "%s", bytes);
        show_cell(&table, "%s", doc_str(doc_at(list, i), "class", ""));
    }
    show_table_print(&table, cli->term.bold, cli->term.plain, &out);
    cli_print(&out);
    buf_fini(&out);
    return 0;
}

int dataset_get_gc(struct cli *cli, struct err *err)
{
    const struct msg_dataset_gc body = {.keep_days = cli->options.days};
    const struct doc *answer = NULL;
    int rc = cli_ask(cli, MSG_DATASET_GC, &body, &answer, err);
    if (rc >= 0 && cli->options.json) {
        cli_print_json(answer);
    } else if (rc >= 0) {
        char blobs[SHOW_TEXT], bytes[SHOW_TEXT], packs[SHOW_TEXT];
        show_count(doc_int(answer, "blobs", 0), blobs);
        show_bytes(doc_int(answer, "bytes", 0), bytes);
        show_count(doc_int(answer, "packs", 0), packs);
        printf(
            "%s files that no data set names are gone (%s); %s packs were removed or made anew\n",
            blobs, bytes, packs);
    }
    return rc;
}
