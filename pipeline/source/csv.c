/* csv - tables as text: a row a sample. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/format/csv.h"
#include "pipeline/source/index.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/table.h"

extern const struct source_desc source_csv;

struct csv_source {
    union {
        struct {
            TABLE_FIELDS
        };
        struct table_options table_how;
    };
    const char *delimiter;
    bool header;
    struct opt_strs missing;
    struct source_store store;
    struct parts parts;
    struct csv **files; /* one a part */
    struct csv_column *columns;
    struct table table;
    struct tensor_text *texts; /* of the values of a row */
};
static const struct opt options[] = {
    TABLE_ROWS(csv_source, "columns"),
    OPT_STR_ROW(csv_source, delimiter, NULL,
                "What stands between the values; without it a comma, in .tsv files a tab.",
                .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(csv_source, header, true,
                 "Is the first line the columns' names? Else they are 0, 1, ..."),
    OPT_STRS_ROW(csv_source, missing, "Words that mean a missing number, beside nothing at all."),
    OPT_END_ROW,
};
static const char *const endings[] = {".csv",     ".tsv",     ".csv.gz", ".tsv.gz",
                                      ".csv.zst", ".tsv.zst", NULL};

static bool claims(const struct doc *files)
{
    return parts_claim(files, endings);
}

static int find_delimiter(const struct csv_source *k, const char *path, char *ret, struct err *err)
{
    if (k->delimiter == NULL) {
        *ret = strstr(source_basename(path), ".tsv") != NULL ? '\t' : ',';
        return 0;
    }
    *ret = k->delimiter[0];
    return strlen(k->delimiter) == 1 && strchr("\"\r\n", k->delimiter[0]) == NULL
               ? 0
               : err_set_at(err, ERR_INVALID, "source.csv.delimiter",
                            "takes one character that is no quote and no end of a line");
}

static int open_file(struct csv_source *k, int part, const struct csv_column *columns, size_t n,
                     struct arena *arena, struct err *err)
{
    const char **missing = arena_array(arena, k->missing.n + 1, sizeof *missing);
    struct csv_options how = {.has_header = k->header,
                              .takes_missing = true,
                              .takes_bad = k->store.takes_bad,
                              .missing = missing,
                              .columns = columns,
                              .n_columns = n};
    for (size_t i = 0; i < k->missing.n; i++) {
        missing[i] = k->missing.v[i];
    }
    csv_close(k->files[part]);
    k->files[part] = NULL;
    int r = find_delimiter(k, k->parts.v[part].path, &how.delimiter, err);
    return r < 0 ? r : index_csv(&k->parts, part, &how, &k->files[part], err);
}

/* Of two types one that holds both. */
static enum csv_type join(enum csv_type a, enum csv_type b)
{
    return a > b ? a : b;
}

/* The types of all files together; *ret_differs: some were read with others. */
static int join_columns(struct csv_source *k, bool *ret_differs, struct arena *arena,
                        struct err *err)
{
    size_t n = 0, n_first = 0;
    const struct csv_column *first = csv_columns(k->files[0], &n_first);
    k->columns = arena_array(arena, n_first + 1, sizeof *k->columns);
    for (size_t c = 0; c < n_first; c++) {
        k->columns[c] =
            (struct csv_column){.name = arena_strdup(arena, first[c].name), .type = first[c].type};
    }
    *ret_differs = false;
    for (int i = 1; i < k->parts.n; i++) {
        const struct csv_column *columns = csv_columns(k->files[i], &n);
        for (size_t c = 0; c < n_first; c++) {
            if (n != n_first || strcmp(columns[c].name, k->columns[c].name) != 0) {
                return err_set(err, ERR_SCHEMA, "'%s' has other columns than '%s'",
                               k->parts.v[i].path, k->parts.v[0].path);
            }
            *ret_differs = *ret_differs || columns[c].type != k->columns[c].type;
            k->columns[c].type = join(k->columns[c].type, columns[c].type);
        }
    }
    return 0;
}

static int open_files(struct csv_source *k, struct source *source, struct arena *arena,
                      struct err *err)
{
    bool differs = false;
    int r = parts_find(&k->parts, &k->store, endings, arena, err);
    k->files = arena_array(arena, (size_t)k->parts.n + 1, sizeof *k->files);
    for (int i = 0; i < k->parts.n && r == 0; i++) {
        r = parts_open(&k->parts, i, err);
        r = r < 0 ? r : open_file(k, i, NULL, 0, arena, err);
    }
    r = r < 0 ? r : join_columns(k, &differs, arena, err);
    for (int i = 0; i < k->parts.n && r == 0; i++) {
        if (differs) {
            size_t n;
            (void)csv_columns(k->files[i], &n);
            r = open_file(k, i, k->columns, n, arena, err);
        }
        if (r == 0) {
            parts_count(&k->parts, i, (int64_t)csv_rows(k->files[i]), source);
        }
    }
    return r;
}

static int row(struct source *source, int64_t sample, struct table_value *values, struct err *err)
{
    struct csv_source *k = source->ctx;
    const int part = parts_of(&k->parts, sample);
    const struct csv_value *read;
    int r = csv_row(k->files[part], (size_t)(sample - k->parts.v[part].first), &read, err);
    for (size_t c = 0; c < k->table.n_names && r == 0; c++) {
        const bool is_text = k->columns[c].type == CSV_TEXT || k->columns[c].type == CSV_AUTO;
        k->texts[c] = (struct tensor_text){.text = read[c].text, .n = read[c].n};
        values[c] = (struct table_value){.type = is_text                         ? TABLE_TEXT
                                                 : read[c].is_missing            ? TABLE_NONE
                                                 : k->columns[c].type == CSV_INT ? TABLE_INT
                                                                                 : TABLE_FLOAT,
                                         .n = 1,
                                         .i = &read[c].i,
                                         .f = &read[c].f,
                                         .t = &k->texts[c]};
    }
    return r;
}

static int open_csv(struct source *source, const struct source_store *store, struct arena *arena,
                    struct err *err)
{
    struct csv_source *k = source->ctx;
    k->store = *store;
    int r = open_files(k, source, arena, err);
    if (r < 0 || source->samples == 0) {
        return r;
    }
    size_t n;
    (void)csv_columns(k->files[0], &n);
    const char **names = arena_array(arena, n + 1, sizeof *names);
    for (size_t c = 0; c < n; c++) {
        names[c] = k->columns[c].name;
    }
    k->texts = arena_array(arena, n + 1, sizeof *k->texts);
    k->table = (struct table){.kind = "csv",
                              .what = "column",
                              .options = &k->table_how,
                              .is_scanned = true,
                              .store = &k->store,
                              .names = names,
                              .n_names = n,
                              .row = row};
    return table_open(&k->table, source, arena, err);
}

static void close_csv(struct source *source)
{
    struct csv_source *k = source->ctx;
    table_fini(&k->table);
    for (int i = 0; i < k->parts.n && k->files != NULL; i++) {
        csv_close(k->files[i]);
    }
    parts_close(&k->parts);
}

static int read_csv(struct source *source, const struct stage_place *place,
                    const struct source_call *call, struct element *ret, struct err *err)
{
    struct csv_source *k = source->ctx;
    return table_read(&k->table, source, place->position, call->asker, ret, err);
}

static const char *path_csv(const struct source *source, int64_t sample)
{
    const struct csv_source *k = source->ctx;
    return k->parts.v[parts_of(&k->parts, sample)].path;
}

static int64_t offset_csv(const struct source *source, int64_t sample)
{
    const struct csv_source *k = source->ctx;
    const int part = parts_of(&k->parts, sample);
    return csv_offset(k->files[part], (size_t)(sample - k->parts.v[part].first));
}

const struct source_desc source_csv = {
    .name = "csv",
    .summary = "Tables as text (RFC 4180): a row a sample, each column a field of one number: "
               "int64, float32 or text, whichever holds all of the column. Texts of field y and of "
               "fields of kind categorical become the numbers of the words, in the order of their "
               "bytes; several columns side by side become one field of float32. A split is a file "
               "(`train.csv`) or a folder. gzip and Zstandard are read too.",
    .options = options,
    .ctx_size = sizeof(struct csv_source),
    .claims = claims,
    .open = open_csv,
    .close = close_csv,
    .read = read_csv,
    .path = path_csv,
    .offset = offset_csv,
};
