#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "trainer/callback/callback.h"

struct csv_logger {
    const char *filename, *separator;
    bool append;
};
struct memory {
    struct buf text;
};

static const struct opt options[] = {
    OPT_STR_ROW(csv_logger, filename, NULL, "A file in the job's folder, `log.csv`.",
                .flags = OPT_REQUIRED),
    OPT_STR_ROW(csv_logger, separator, ",", "What stands between two values."),
    OPT_BOOL_ROW(csv_logger, append, false, "Of Keras; a job that goes on always keeps its rows.",
                 .flags = OPT_IGNORED),
    OPT_END_ROW,
};

static int prepare(void *opaque, const struct callback_setup *setup, struct err *err)
{
    struct csv_logger *o = opaque;
    if (strlen(o->separator) != 1) {
        return err_set_at(err, ERR_INVALID, "separator", "takes one letter");
    }
    if (strchr(o->filename, '{')) {
        return err_set_at(err, ERR_INVALID, "filename",
                          "takes no places in braces: there is one file");
    }
    return callback_name_check(o->filename, ".csv", "filename", setup, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All that any row has: validation may come seldom. Keras's order: by name, behind the epoch. */
static size_t find_names(const struct doc *history, const char **names, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < history->n; i++) {
        const struct doc *row = &history->items[i];
        for (size_t k = 0; row->type == DOC_MAP && k < row->n; k++) {
            size_t at = 0;
            while (at < n && strcmp(names[at], row->pairs[k].key) != 0) {
                at++;
            }
            if (at == n && n < max) {
                names[n++] = row->pairs[k].key;
            }
        }
    }
    qsort(names, n, sizeof(*names), by_name);
    return n;
}

/* The whole file each time: it is as the history is, whatever was cut off. */
static void end(const void *opaque, void *memory, const struct callback_epoch *epoch,
                struct callback_wish *wish)
{
    enum { NAMES = 256 };
    const struct csv_logger *o = opaque;
    struct buf *text = &((struct memory *)memory)->text;
    const char *names[NAMES];
    size_t n = find_names(epoch->history, names, NAMES);
    buf_clear(text);
    buf_puts(text, "epoch");
    for (size_t k = 0; k < n; k++) {
        buf_printf(text, "%c%s", o->separator[0], names[k]);
    }
    buf_puts(text, "\n");
    for (size_t i = 0; i < epoch->history->n; i++) {
        buf_printf(text, "%zu", i);
        for (size_t k = 0; k < n; k++) {
            const struct doc *value = doc_get(&epoch->history->items[i], names[k]);
            buf_printf(text, "%c", o->separator[0]);
            if (value && doc_is_number(value)) {
                buf_printf(text, "%.17g", doc_number(value));
            } else {
                buf_puts(text, "NA");
            }
        }
        buf_puts(text, "\n");
    }
    BUG_ON(wish->n_files >= CALLBACKS_MAX);
    struct callback_file *file = &wish->files[wish->n_files++];
    callback_name(o->filename, epoch, file->name);
    file->text = text;
}

static void fini(void *memory)
{
    buf_fini(&((struct memory *)memory)->text);
}

const struct callback_desc callback_csv_logger = {
    .name = "CSVLogger",
    .summary = "Writes the history as a table, a row an epoch.",
    .options = options,
    .size = sizeof(struct csv_logger),
    .memory = sizeof(struct memory),
    .prepare = prepare,
    .end = end,
    .fini = fini,
};
