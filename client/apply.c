/* apply: layers on a few samples, in a worker of its own */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "client/commands.h"
#include "client/program.h"
#include "client/yaml.h"

enum { DATA_MAX = 500 << 20, LINES_MAX = 1 << 24 };

struct samples { /* bytes of a file, or a document that stands in the layers' file */
    const char *name;
    struct buf bytes;
};
struct wish {
    const struct doc *layers;
    struct doc *options;
    struct samples adapt, data;
};

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static int read_input(struct buf *ret, struct err *err)
{
    char piece[65536];
    ssize_t n = 0;
    while ((n = read(STDIN_FILENO, piece, sizeof piece)) > 0) {
        if (ret->size + (size_t)n > DATA_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d MiB of data", DATA_MAX >> 20);
        }
        buf_put(ret, piece, (size_t)n);
    }
    return n < 0 ? err_set(err, ERR_IO, "reading standard input fails") : 0;
}

static int read_samples(const char *name, struct samples *ret, struct err *err)
{
    ret->name = name;
    return strcmp(name, "-") == 0 ? read_input(&ret->bytes, err)
                                  : file_read(AT_FDCWD, name, DATA_MAX, &ret->bytes, err);
}

/* The lines of a file as a list. */
static int read_list(const char *name, struct arena *arena, struct buf *ret, struct err *err)
{
    struct buf text = {0};
    struct doc *list = doc_new(arena);
    doc_set_list(list);
    int r = file_read(AT_FDCWD, name, DATA_MAX, &text, err);
    for (size_t at = 0; r == 0 && at < text.size;) {
        const char *end = memchr(text.data + at, '\n', text.size - at);
        size_t n = end != NULL ? (size_t)(end - text.data) - at : text.size - at;
        const size_t next = at + n + 1;
        n -= n > 0 && text.data[at + n - 1] == '\r';
        if (list->n == LINES_MAX || memchr(text.data + at, '\0', n) != NULL) {
            r = err_set(err, ERR_SYNTAX, "'%s' is no list of lines", name);
            break;
        }
        doc_set_strn(doc_push(list, arena), arena, text.data + at, n);
        at = next;
    }
    doc_write_json(list, 0, ret);
    buf_fini(&text);
    return r;
}

static int read_options(struct cli *cli, struct wish *wish, struct err *err)
{
    wish->options = doc_new(&cli->arena);
    doc_set_map(wish->options);
    for (size_t i = 0; cli->rest != NULL && i < cli->rest->n; i++) {
        const struct doc_pair *pair = &cli->rest->pairs[i];
        struct buf text = {0};
        int r = 0;
        if (pair->value.str[0] == '@') {
            r = read_list(pair->value.str + 1, &cli->arena, &text, err);
        } else {
            buf_puts(&text, pair->value.str);
        }
        if (r == 0) {
            doc_put_str(wish->options, &cli->arena, pair->key, text.data);
        }
        buf_fini(&text);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Samples that a layers' file has in itself, or names: relative to itself. */
static int take_samples(const char *file, const struct doc *doc, const char *key,
                        struct arena *arena, struct samples *ret, struct err *err)
{
    if (ret->name != NULL || doc == NULL) {
        return 0;
    }
    if (doc->type == DOC_STR) {
        const char *slash = strrchr(file, '/');
        const int folder = slash != NULL ? (int)(slash - file) + 1 : 0;
        return read_samples(
            doc->str[0] == '/' ? doc->str : arena_printf(arena, "%.*s%s", folder, file, doc->str),
            ret, err);
    }
    if (doc->type != DOC_LIST) {
        return err_set_at(err, ERR_INVALID, key, "takes a list of samples, or a file's name");
    }
    ret->name = key;
    doc_write_json(doc, 0, &ret->bytes);
    return 0;
}

static int read_file(struct cli *cli, const char *name, struct wish *wish, struct err *err)
{
    int r = job_file_read(name, &cli->arena, &cli->job_file, err);
    const struct doc *doc = cli->job_file.doc;
    if (r < 0) {
        return r;
    }
    wish->layers = doc_get(doc, "layers");
    if (wish->layers == NULL) {
        return err_set_at(err, ERR_MISSING, "layers", "is not there: a layer or a list of them");
    }
    r = take_samples(name, doc_get(doc, "adapt"), "adapt", &cli->arena, &wish->adapt, err);
    return r < 0 ? r
                 : take_samples(name, doc_get(doc, "data"), "data", &cli->arena, &wish->data, err);
}

static int read_layers(struct cli *cli, const char *text, struct wish *wish, struct err *err)
{
    struct doc *doc = NULL;
    if (ends_with(text, ".yaml") || ends_with(text, ".yml") || ends_with(text, ".json")) {
        return read_file(cli, text, wish, err);
    }
    int r = yaml_read(text, strlen(text), false, &cli->arena, &doc, err);
    wish->layers = doc;
    return r;
}

static void put_file(struct doc *head, struct arena *arena, const char *key,
                     const struct samples *samples)
{
    if (samples->name != NULL) {
        struct doc *map = doc_put(head, arena, key);
        doc_set_map(map);
        doc_put_str(map, arena, "name", samples->name);
        doc_put_int(map, arena, "bytes", (int64_t)samples->bytes.size);
    }
}

static void write_request(const struct wish *wish, struct arena *arena, struct buf *out)
{
    struct doc *head = doc_new(arena);
    doc_set_map(head);
    doc_copy(doc_put(head, arena, "layers"), arena, wish->layers);
    doc_copy(doc_put(head, arena, "options"), arena, wish->options);
    put_file(head, arena, "adapt", &wish->adapt);
    put_file(head, arena, "data", &wish->data);
    doc_write_json(head, 0, out);
    buf_puts(out, "\n");
    buf_put(out, wish->adapt.bytes.data, wish->adapt.bytes.size);
    buf_put(out, wish->data.bytes.data, wish->data.bytes.size);
}

/* The first line says how it went. */
static int read_answer(const struct buf *answer, struct arena *arena, struct doc **ret_head,
                       const char **ret_rows, struct err *err)
{
    const char *end = answer->size > 0 ? memchr(answer->data, '\n', answer->size) : NULL;
    int r = end == NULL ? err_set(err, ERR_INTERNAL, "millrace-worker said nothing")
                        : doc_read_json(answer->data, (size_t)(end - answer->data), NULL, arena,
                                        ret_head, err);
    if (r < 0) {
        return r;
    }
    const struct doc *error = doc_get(*ret_head, "error");
    *ret_rows = end + 1;
    if (error == NULL) {
        return 0;
    }
    const struct err_desc *desc = err_find_name(doc_str(error, "code", ""));
    return err_set_at(err, desc != NULL ? desc->code : ERR_INTERNAL, doc_str(error, "path", ""),
                      "%s", doc_str(error, "text", "?"));
}

/* {"rows": [...], "learned": [...]} around lines that are JSON already. */
static void print_json(const struct doc *head, const char *rows, size_t n, struct buf *out)
{
    buf_puts(out, "{\"rows\": [");
    for (size_t at = 0; at < n;) {
        const char *end = memchr(rows + at, '\n', n - at);
        const size_t line = end != NULL ? (size_t)(end - rows) - at : n - at;
        buf_puts(out, at > 0 ? ",\n" : "\n");
        buf_put(out, rows + at, line);
        at += line + 1;
    }
    buf_puts(out, "],\n\"learned\": ");
    doc_write_json(doc_get(head, "learned"), 0, out);
    buf_printf(out, ",\n\"sandbox\": \"%s\"}\n", doc_str(head, "sandbox", "?"));
}

/* What was learned, where no samples were given to see it on. */
static void print_learned(const struct doc *head, struct buf *out)
{
    const struct doc *learned = doc_get(head, "learned");
    for (size_t i = 0; learned != NULL && i < learned->n; i++) {
        for (size_t k = 0; learned->items[i].type == DOC_MAP && k < learned->items[i].n; k++) {
            if (learned->items[i].pairs[k].value.type == DOC_NULL) {
                continue;
            }
            buf_printf(out, "%s: ", learned->items[i].pairs[k].key);
            doc_write_json(&learned->items[i].pairs[k].value, 0, out);
            buf_puts(out, "\n");
        }
    }
}

static int ask(struct cli *cli, const struct wish *wish, struct err *err)
{
    const struct program worker = {.name = "millrace-worker",
                                   .folder = "workers",
                                   .option = "worker",
                                   .argument = "--apply",
                                   .path = cli->options.worker};
    struct buf request = {0}, answer = {0}, out = {0};
    struct doc *head = NULL;
    const char *rows = NULL;
    write_request(wish, &cli->arena, &request);
    int r = program_ask(&worker, cli->program_path, &request, &answer, err);
    r = r < 0 ? r : read_answer(&answer, &cli->arena, &head, &rows, err);
    if (r == 0) {
        const size_t n = answer.size - (size_t)(rows - answer.data);
        if (cli->options.json) {
            print_json(head, rows, n, &out);
        } else if (wish->data.name == NULL) {
            print_learned(head, &out);
        } else {
            buf_put(&out, rows, n);
        }
        cli_print(&out);
    }
    buf_fini(&request);
    buf_fini(&answer);
    buf_fini(&out);
    return r;
}

int apply_command(struct cli *cli, struct err *err)
{
    struct wish wish = {0};
    int r = 0;
    if (cli->n_words > 1) {
        r = read_samples(cli->words[1], &wish.data, err);
    }
    if (r == 0 && cli->options.adapt != NULL) {
        r = read_samples(cli->options.adapt, &wish.adapt, err);
    }
    r = r < 0 ? r : read_layers(cli, cli->words[0], &wish, err);
    r = r < 0 ? r : read_options(cli, &wish, err);
    if (r == 0 && wish.data.name == NULL && wish.adapt.name == NULL) {
        r = read_samples("-", &wish.data, err);
    }
    r = r < 0 ? r : ask(cli, &wish, err);
    buf_fini(&wish.adapt.bytes);
    buf_fini(&wish.data.bytes);
    return r;
}
