#include "workers/reference.h"

#include <string.h>

#include "base/opt.h"
#include "pipeline/op.h"
#include "pipeline/source.h"
#include "pipeline/stage.h"
#include "proto/job.h"
#include "proto/msg.h"
#include "proto/role.h"

static const char generated[] = "<!-- Made by `millrace-worker --reference`; do not edit. -->\n\n";

/* ---- job.md --------------------------------------------------------------------------------- */

static void write_options(const struct opt *table, const char *title, unsigned depth,
                          struct buf *out)
{
    buf_printf(out, "\n%.*s %s\n\n", (int)(depth < 5 ? depth : 5), "#####", title);
    opt_reference(table, out);
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        if (row->group != NULL) {
            struct buf name = {0};
            buf_printf(&name, "%s%s%s", depth > 2 ? title : "", depth > 2 ? "." : "", row->name);
            write_options(row->group, name.data, depth + 1, out);
            buf_fini(&name);
        }
    }
}

static void write_job(struct buf *out)
{
    buf_puts(out, "# The job file\n\nYAML or JSON. Names and arguments inside `pipeline`, `model` "
                  "and `compile` are those of "
                  "tf.data and Keras.\n");
    write_options(job_options, "The top level", 2, out);
}

/* ---- messages.md ---------------------------------------------------------------------------- */

static const char *const family_titles[] = {
    [MSG_FAMILY_CONTROL] = "Control: client and daemon",
    [MSG_FAMILY_CHILD] = "Child: daemon and its children",
    [MSG_FAMILY_CHUNK] = "Chunk: trainer and workers",
};

static void write_messages(struct buf *out)
{
    buf_printf(out,
               "# Messages\n\nProtocol version %d. The envelope is one msgpack map: `{\"v\": "
               "version, \"m\": name, \"id\": request "
               "id (0 = none), \"b\": body}`; bytes and tensors follow as raw frames.\n",
               MSG_VERSION);
    for (size_t family = 0; family < sizeof(family_titles) / sizeof(family_titles[0]); family++) {
        buf_printf(out, "\n## %s\n", family_titles[family]);
        for (int i = 0; i < MSG_MAX_; i++) {
            const struct msg_desc *desc = &msg_table[i];
            if (desc->family != (enum msg_family)family) {
                continue;
            }
            buf_printf(out, "\n### %s\n\n%s At most %zu bytes.\n\n", desc->name, desc->sentence,
                       desc->max_bytes);
            opt_reference(desc->options, out);
        }
    }
}

/* ---- exit-codes.md -------------------------------------------------------------------------- */

static void write_errors(struct buf *out)
{
    static const struct err_desc rows[] = {
#define ERR_ROW(symbol, number, word, status, who, text) \
    {.code = (number), .name = (word), .exit_status = (status), .blame = (who), .sentence = (text)},
#include "base/errors.h"
#undef ERR_ROW
    };
    static const char *const blame[] = {[ERR_BLAME_USER] = "the request",
                                        [ERR_BLAME_US] = "millrace",
                                        [ERR_BLAME_MACHINE] = "the machine"};
    buf_puts(out, "# Error codes and exit statuses\n\n| code | name | exit status | what to look "
                  "at | meaning |\n"
                  "|---|---|---|---|---|\n| 0 | | 0 | | success |\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_printf(out, "| %d | `%s` | %d | %s | %s |\n", rows[i].code, rows[i].name,
                   rows[i].exit_status, blame[rows[i].blame], rows[i].sentence);
    }
}

/* ---- roles.md ------------------------------------------------------------------------------- */

static void write_roles(struct buf *out)
{
    buf_puts(
        out,
        "# Child processes\n\n| role | program | nice | memory, MiB | restarts in window, s | "
        "first delay, ms | "
        "greatest delay, ms | grace, s | time limit, s |\n|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < ROLE_MAX_; i++) {
        const struct role_desc *role = &role_table[i];
        buf_printf(out, "| %s | `%s` | %d | %d | %d in %d | %d | %d | %d | %d |\n", role->name,
                   role->program, role->nice, role->memory_mib, role->burst, role->window_s,
                   role->delay_ms, role->delay_max_ms, role->grace_s, role->limit_s);
    }
    buf_puts(out, "\n0 means no limit. Every child's environment holds:\n\n");
    for (const char *const *entry = role_environment; *entry != NULL; entry++) {
        buf_printf(out, "- `%s`\n", *entry);
    }
}

/* ---- the pipeline's ------------------------------------------------------------------------- */

static void write_ops(struct buf *out)
{
    buf_puts(out, "# Ops\n\nWhat `map` does to a sample, and the preprocessing and augmentation "
                  "layers of a model. Names, "
                  "arguments and semantics are those of Keras 3.\n\n");
    op_reference(out);
}

static void write_stages(struct buf *out)
{
    buf_puts(out, "# Stages\n\nWhat a job's `pipeline` is made of. Names and meaning are those of "
                  "tf.data.\n\n");
    stage_reference(out);
}

static void write_sources(struct buf *out)
{
    buf_puts(out, "# Sources\n\nKinds of data sets.\n\n");
    source_reference(out);
}

/* ---- pages ---------------------------------------------------------------------------------- */

static const struct page {
    const char *name;
    void (*write)(struct buf *out);
} pages[] = {
    {"exit-codes", write_errors}, {"job", write_job},     {"messages", write_messages},
    {"ops", write_ops},           {"roles", write_roles}, {"sources", write_sources},
    {"stages", write_stages},
};
enum { N_PAGES = sizeof(pages) / sizeof(pages[0]) };

void reference_list(struct buf *out)
{
    for (int i = 0; i < N_PAGES; i++) {
        buf_printf(out, "%s\n", pages[i].name);
    }
}

int reference_write(const char *page, struct buf *out, struct err *err)
{
    const char *names[N_PAGES];
    const bool all = strcmp(page, "all") == 0;
    bool found = false;
    for (int i = 0; i < N_PAGES; i++) {
        names[i] = pages[i].name;
        if (all) {
            buf_printf(out, "<!-- %s.md -->\n", pages[i].name);
        }
        if (all || strcmp(page, pages[i].name) == 0) {
            buf_puts(out, generated);
            pages[i].write(out);
            found = true;
        }
    }
    if (found) {
        return 0;
    }
    const char *nearest = err_nearest(page, names, N_PAGES);
    return err_set(err, ERR_UNKNOWN, "no reference page '%s'%s%s%s", page,
                   nearest ? " (nearest: '" : "", nearest ? nearest : "", nearest ? "')" : "");
}
