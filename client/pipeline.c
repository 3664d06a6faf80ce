/* pipeline explain */
#include <stdio.h>
#include <string.h>

#include "client/commands.h"
#include "client/show.h"

enum { FIELD_COLUMNS = SHOW_COLUMNS_MAX - 2 };

static size_t count(const struct doc *list)
{
    return list != NULL && list->type == DOC_LIST ? list->n : 0;
}

/* "float32 (64, 28, 28, 1)"; batch 0: of a sample. */
static const char *spec_text(const struct doc *spec, int64_t batch, struct arena *arena)
{
    const struct doc *shape = doc_get(spec, "shape");
    struct buf out = {0};
    buf_printf(&out, "%s (", doc_str(spec, "dtype", "?"));
    if (batch > 0) {
        buf_printf(&out, "%lld%s", (long long)batch, count(shape) > 0 ? ", " : ",");
    }
    for (size_t i = 0; i < count(shape); i++) {
        const struct doc *d = doc_at(shape, i);
        buf_puts(&out, i > 0 ? ", " : "");
        if (d->type == DOC_INT && d->i >= 0) {
            buf_printf(&out, "%lld", (long long)d->i);
        } else {
            buf_puts(&out, "?");
        }
    }
    buf_puts(&out, batch == 0 && count(shape) == 1 ? ",)" : ")");
    const char *text = arena_strdup(arena, out.data);
    buf_fini(&out);
    return text;
}

static const char *elements_text(const struct doc *stage, struct arena *arena)
{
    const int64_t n = doc_int(stage, "elements", 0), batch = doc_int(stage, "batch", 0);
    char number[SHOW_TEXT] = "endless";
    if (n >= 0) {
        show_count(n, number);
    }
    return batch > 0 ? arena_printf(arena, "%s batch%s of %s%lld", number, n == 1 ? "" : "es",
                                    doc_bool(stage, "fewer_rows", false) ? "at most " : "",
                                    (long long)batch)
                     : arena_printf(arena, "%s sample%s", number, n == 1 ? "" : "s");
}

static const char *stage_text(const struct doc *stage, struct arena *arena)
{
    const char *path = doc_str(stage, "path", NULL);
    const char *index = path != NULL ? strchr(path, '[') : NULL;
    return arena_printf(arena, "%s%s%s%s", index != NULL ? index : "", index != NULL ? " " : "",
                        doc_str(stage, "stage", "?"),
                        doc_bool(stage, "left_out", false) ? " (left out)" : "");
}

static void add_stages(struct cli *cli, const struct doc *stream, struct buf *out)
{
    const struct doc *stages = doc_get(stream, "stages");
    const struct doc *first =
        count(stages) > 0 ? doc_get(doc_at(stages, count(stages) - 1), "fields") : NULL;
    const size_t n = count(first) < FIELD_COLUMNS ? count(first) : FIELD_COLUMNS;
    struct show_table table;
    show_table_init(&table, &cli->arena, (int)n + 2, 0);
    show_cell(&table, "STAGE");
    show_cell(&table, "ELEMENTS");
    for (size_t i = 0; i < n; i++) {
        const struct doc *field = doc_at(first, i);
        show_cell(&table, "%s: %s", doc_str(field, "name", "?"), doc_str(field, "kind", "?"));
    }
    for (size_t i = 0; i < count(stages); i++) {
        const struct doc *stage = doc_at(stages, i), *fields = doc_get(stage, "fields");
        show_cell(&table, "%s", stage_text(stage, &cli->arena));
        show_cell(&table, "%s", elements_text(stage, &cli->arena));
        for (size_t k = 0; k < n; k++) {
            show_cell(&table, "%s",
                      k < count(fields) ? spec_text(doc_at(fields, k), doc_int(stage, "batch", 0),
                                                    &cli->arena)
                                        : "-");
        }
    }
    show_table_print(&table, cli->term.dim, cli->term.plain, out);
    if (count(first) > n) {
        buf_printf(out, "and %zu fields more; --json has them all\n", count(first) - n);
    }
}

static void add_passes(struct cli *cli, const struct doc *stream, struct buf *out)
{
    const struct doc *passes = doc_get(stream, "passes");
    for (size_t i = 0; i < count(passes); i++) {
        const struct doc *pass = doc_at(passes, i);
        const size_t n_ops = count(doc_get(pass, "ops"));
        buf_printf(out, "  %s: %s%s%s  %s%s -> %s", doc_str(pass, "field", "?"), cli->term.bold,
                   doc_str(pass, "name", "?"), cli->term.plain, n_ops > 1 ? "fused; " : "",
                   spec_text(doc_get(pass, "in"), 0, &cli->arena),
                   spec_text(doc_get(pass, "out"), 0, &cli->arena));
        buf_puts(out, "\n");
        if (doc_str(pass, "apart", NULL) != NULL) {
            buf_printf(out, "     %snot one with the next: %s%s\n", cli->term.dim,
                       doc_str(pass, "apart", ""), cli->term.plain);
        }
    }
    if (count(passes) == 0) {
        buf_puts(out, "  none: samples are copied as they are\n");
    }
}

static void add_stream(struct cli *cli, const char *name, const struct doc *stream, struct buf *out)
{
    char batch[SHOW_TEXT], row[SHOW_TEXT], steps[SHOW_TEXT];
    const int64_t rows = doc_int(stream, "rows", 0), size = doc_int(stream, "batch", 1);
    show_bytes(doc_int(stream, "batch_bytes", 0), batch);
    show_bytes(doc_int(stream, "row_bytes", 0), row);
    show_count(doc_int(stream, "steps", 0), steps);
    buf_printf(out, "%s%s%s  %s%s%s\n", cli->term.bold, name, cli->term.plain,
               doc_str(stream, "dataset", ""), doc_str(stream, "split", NULL) != NULL ? "/" : "",
               doc_str(stream, "split", ""));
    add_stages(cli, stream, out);
    buf_puts(out, "passes over a sample\n");
    add_passes(cli, stream, out);
    buf_printf(out, "an epoch: %s step%s", steps,
               doc_int(stream, "steps", 0) == 1 ? "" : "s");
    if (size > 0 && rows % size != 0) {
        buf_printf(out, ", the last one of %lld rows", (long long)(rows % size));
    }
    buf_printf(out, "; a batch: %s, %s a row\n\n", batch, row);
}

static void add_memory(const struct doc *answer, struct buf *out)
{
    const struct doc *memory = doc_get(answer, "memory");
    const struct doc *train = doc_find(answer, "streams.train");
    const int64_t prefetch = train != NULL ? doc_int(train, "prefetch", 0) : 0;
    char shared[SHOW_TEXT], limit[SHOW_TEXT], slab[SHOW_TEXT], worker[SHOW_TEXT], most[SHOW_TEXT];
    show_bytes(doc_int(memory, "shared_bytes", 0), shared);
    show_bytes(doc_int(memory, "shared_limit_bytes", 0), limit);
    show_bytes(doc_int(memory, "slab_bytes", 0), slab);
    show_bytes(doc_int(memory, "worker_bytes", 0), worker);
    show_bytes(doc_int(memory, "worker_limit_bytes", 0), most);
    buf_printf(out, "memory: %lld batches of %s in shared memory = %s (prefetch ",
               (long long)doc_int(memory, "slabs", 0), slab, shared);
    if (prefetch > 0) {
        buf_printf(out, "%lld and two in use", (long long)prefetch);
    } else {
        buf_puts(out, "AUTOTUNE: at most so many");
    }
    buf_printf(out, "; limit %s)\n", limit);
    buf_printf(out, "        a worker: %s before its first sample (limit %s)\n", worker, most);
}

int pipeline_explain_command(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    struct buf out = {0};
    int rc = job_prepare(cli, err);
    if (rc < 0) {
        return rc;
    }
    const struct msg_pipeline_explain body = {.job = cli->job_file.doc};
    rc = cli_ask(cli, MSG_PIPELINE_EXPLAIN, &body, &answer, err);
    if (rc < 0) {
        return rc;
    }
    if (cli->options.json) {
        cli_print_json(answer);
        return 0;
    }
    const struct doc *streams = doc_get(answer, "streams");
    for (size_t i = 0; streams != NULL && streams->type == DOC_MAP && i < streams->n; i++) {
        add_stream(cli, streams->pairs[i].key, &streams->pairs[i].value, &out);
    }
    add_memory(answer, &out);
    cli_print(&out);
    buf_fini(&out);
    return 0;
}
