/* labelled_list - labels from a file of the data set: a CSV or JSONL table of files and classes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/format/csv.h"
#include "pipeline/format/jsonl.h"
#include "pipeline/source/labelled_impl.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/vocabulary.h"

static const char *const file_names[] = {"file", "path", "filename", "file_name", "image", NULL};
static const char *const label_names[] = {"label", "class", "y", "target", NULL};

/* A row: which file, which class; text NULL: the class is a number. */
struct entry {
    const char *file;
    const char *text;
    int64_t number;
};
struct list {
    struct labelled *labelled;
    const char *path; /* of the table */
    size_t n_folder;  /* of it, with the slash */
    struct entry *entries;
    size_t n;
    struct arena *arena;
};

static const struct doc *find_table(const struct labelled *k, const char *path)
{
    for (size_t i = 0; i < k->store->files->n; i++) {
        const struct doc *file = &k->store->files->items[i];
        if (strcmp(doc_str(file, "path", ""), path) == 0) {
            return file;
        }
    }
    return NULL;
}

static int no_column(const struct list *l, const char *what, const char *option, struct err *err)
{
    return err_set_at(err, ERR_SCHEMA, option, "'%s' has no column of %s; name it", l->path, what);
}

/* The column that is named, or the first with one of the usual names; -1: none. */
static int64_t pick(const char *given, const char *const *usual, const struct csv_column *columns,
                    size_t n)
{
    for (; given != NULL || *usual != NULL; usual++) {
        for (size_t c = 0; c < n; c++) {
            if (strcmp(columns[c].name, given != NULL ? given : *usual) == 0) {
                return (int64_t)c;
            }
        }
        if (given != NULL) {
            return -1;
        }
    }
    return -1;
}

static int read_csv(struct list *l, const struct input *in, struct err *err)
{
    static const char *const tabs[] = {".tsv", NULL};
    const struct labelled_options *o = l->labelled->options;
    const struct csv_options how = {.delimiter = parts_ends(l->path, tabs) ? '\t' : ',',
                                    .has_header = true};
    struct csv *csv = NULL;
    size_t n = 0;
    int r = csv_open(in, &how, &csv, err);
    const struct csv_column *columns = r < 0 ? NULL : csv_columns(csv, &n);
    const int64_t file = pick(o->file_column, file_names, columns, n),
                  label = pick(o->label_column, label_names, columns, n);
    if (r == 0 && (file < 0 || label < 0)) {
        r = file < 0 ? no_column(l, "files", "file_column", err)
                     : no_column(l, "labels", "label_column", err);
    }
    l->entries = arena_array(l->arena, r < 0 ? 1 : csv_rows(csv) + 1, sizeof *l->entries);
    for (size_t i = 0; r == 0 && i < csv_rows(csv); i++) {
        const struct csv_value *row;
        r = csv_row(csv, i, &row, err);
        if (r == 0) {
            const struct csv_value *y = &row[label];
            l->entries[l->n++] = (struct entry){
                .file = arena_strndup(l->arena, row[file].text, row[file].n),
                .text =
                    columns[label].type == CSV_INT ? NULL : arena_strndup(l->arena, y->text, y->n),
                .number = y->i};
        }
    }
    csv_close(csv);
    return r;
}

static const struct doc *value_of(const struct doc *row, const char *given,
                                  const char *const *usual)
{
    const struct doc *value = given != NULL ? doc_get(row, given) : NULL;
    for (; given == NULL && value == NULL && *usual != NULL; usual++) {
        value = doc_get(row, *usual);
    }
    return value;
}

static int read_line(struct list *l, struct lines *lines, size_t i, struct arena *arena,
                     struct err *err)
{
    const struct labelled_options *o = l->labelled->options;
    const struct doc *row = NULL;
    int r = jsonl_read(lines, i, arena, &row, err);
    if (r < 0) {
        return r;
    }
    const struct doc *file = value_of(row, o->file_column, file_names),
                     *label = value_of(row, o->label_column, label_names);
    if (file == NULL || file->type != DOC_STR) {
        return no_column(l, "files", "file_column", err);
    }
    if (label == NULL || (label->type != DOC_STR && label->type != DOC_INT)) {
        return no_column(l, "labels", "label_column", err);
    }
    l->entries[l->n++] =
        (struct entry){.file = arena_strdup(l->arena, file->str),
                       .text = label->type == DOC_STR ? arena_strdup(l->arena, label->str) : NULL,
                       .number = label->type == DOC_INT ? label->i : 0};
    return 0;
}

static int read_jsonl(struct list *l, const struct input *in, struct err *err)
{
    struct lines lines = {.skips_blank = true};
    struct arena arena;
    arena_init(&arena);
    int r = jsonl_open(&lines, in, err);
    l->entries = arena_array(l->arena, r < 0 ? 1 : lines_n(&lines) + 1, sizeof *l->entries);
    for (size_t i = 0; r == 0 && i < lines_n(&lines); i++) {
        arena_reset(&arena);
        r = read_line(l, &lines, i, &arena, err);
    }
    lines_close(&lines);
    arena_fini(&arena);
    return r;
}

/* Numbers are the classes' own, texts get theirs in the order of their bytes or of class_names. */
static int number_entries(struct list *l, struct err *err)
{
    struct labelled *k = l->labelled;
    const struct opt_strs *given = &k->options->class_names;
    struct vocabulary words = {.n = 0};
    int64_t most = 0;
    bool is_text = false;
    int r = 0;
    for (size_t i = 0; i < l->n && r == 0; i++) {
        const struct entry *e = &l->entries[i];
        is_text = is_text || e->text != NULL;
        if (e->text == NULL && (e->number < 0 || e->number >= SOURCE_CLASSES_MAX)) {
            return err_set(err, ERR_VALUE, "'%s': '%.200s' has label %lld; classes are 0 to %d",
                           l->path, e->file, (long long)e->number, SOURCE_CLASSES_MAX - 1);
        }
        most = e->number > most ? e->number : most;
        r = e->text == NULL || given->n > 0
                ? 0
                : vocabulary_add(&words, e->text, strlen(e->text), l->arena, err);
    }
    if (r == 0 && given->n > 0) {
        r = vocabulary_set(&words, given->v, given->n, l->arena, err);
    }
    if (r < 0 || !is_text) {
        return r < 0 ? r : labelled_name_numbers(k, most, l->arena, err);
    }
    k->classes = words.v;
    k->n_classes = (int64_t)words.n;
    for (size_t i = 0; i < l->n; i++) {
        struct entry *e = &l->entries[i];
        e->number = e->text != NULL ? vocabulary_find(&words, e->text, strlen(e->text)) : -1;
        if (e->number < 0) {
            return err_set(err, ERR_VALUE,
                           "'%s': '%.200s' is of class '%.64s', which is not in "
                           "class_names",
                           l->path, e->file, e->text != NULL ? e->text : "");
        }
    }
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp((const char *)a, doc_str(b, "path", ""));
}

static const struct doc *find_file(const struct list *l, const char *name)
{
    const struct doc *files = l->labelled->store->files;
    const char *beside = arena_printf(l->arena, "%.*s%s", (int)l->n_folder, l->path, name);
    const struct doc *found =
        bsearch(beside, files->items, files->n, sizeof *files->items, by_path);
    return found != NULL ? found
                         : bsearch(name, files->items, files->n, sizeof *files->items, by_path);
}

int labelled_by_list(struct labelled *k, const char *path, struct arena *arena, struct err *err)
{
    static const char *const lines[] = {".jsonl", ".ndjson", NULL};
    struct list l = {.labelled = k,
                     .path = path,
                     .n_folder = (size_t)(source_basename(path) - path),
                     .arena = arena};
    const struct doc *table = find_table(k, path);
    struct buf text = {0};
    struct input in;
    if (table == NULL) {
        return err_set_at(err, ERR_NOT_FOUND, "labels",
                          "data set '%s' has no file '%.200s' (inferred, a list, or the path of a "
                          "CSV or JSONL file)",
                          k->store->dataset, path);
    }
    int r = source_read_blob(k->store, table, SOURCE_FILE_MAX, &text, err);
    input_memory(&in, text.data, text.size, path);
    if (r == 0) {
        r = parts_ends(path, lines) ? read_jsonl(&l, &in, err) : read_csv(&l, &in, err);
    }
    r = r < 0 ? r : number_entries(&l, err);
    k->items = arena_array(arena, l.n + 1, sizeof *k->items);
    for (size_t i = 0; i < l.n && r == 0; i++) {
        const struct doc *file = find_file(&l, l.entries[i].file);
        if (file == NULL) {
            r = err_set(err, ERR_MISSING, "'%s' names '%.200s', which data set '%s' lacks", path,
                        l.entries[i].file, k->store->dataset);
        } else if (labelled_in_split(k, doc_str(file, "path", ""))) {
            labelled_add(k, file, l.entries[i].number);
        }
    }
    buf_fini(&text);
    return r;
}
