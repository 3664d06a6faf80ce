/* jsonl - JSON by the line: a map a sample. */
#include <stdio.h>
#include <string.h>

#include "pipeline/format/jsonl.h"
#include "pipeline/source/index.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/table.h"

extern const struct source_desc source_jsonl;

enum { LOOKED_AT = 64, VALUES_MAX = 1 << 24 };

struct jsonl {
    union {
        struct {
            TABLE_FIELDS
        };
        struct table_options table_how;
    };
    struct source_store store;
    struct parts parts;
    struct lines *files; /* one a part */
    struct arena arena;  /* of the row */
    struct table table;
};
static const struct opt options[] = {
    TABLE_ROWS(jsonl, "keys"),
    OPT_END_ROW,
};
static const char *const endings[] = {".jsonl",     ".ndjson",     ".jsonl.gz", ".ndjson.gz",
                                      ".jsonl.zst", ".ndjson.zst", NULL};

static bool claims(const struct doc *files)
{
    return parts_claim(files, endings);
}

/* A line that is no JSON is its sample's fault, not the job's. */
static int read_row(struct jsonl *k, int64_t sample, const struct doc **ret, struct err *err)
{
    const int part = parts_of(&k->parts, sample);
    arena_reset(&k->arena);
    int r =
        jsonl_read(&k->files[part], (size_t)(sample - k->parts.v[part].first), &k->arena, ret, err);
    if (r == ERR_SYNTAX) {
        char text[400];
        (void)snprintf(text, sizeof text, "%.390s", err != NULL ? err->text : "");
        r = err_set(
            err, ERR_CORRUPT, "line %lld: %s",
            (long long)lines_number(&k->files[part], (size_t)(sample - k->parts.v[part].first)),
            text);
    }
    return r;
}

struct flat {
    struct table_value *value;
    int64_t *i;
    double *f;
    struct tensor_text *t;
};

static int64_t count(const struct doc *doc)
{
    int64_t n = doc->type == DOC_LIST ? 0 : 1;
    for (size_t k = 0; doc->type == DOC_LIST && k < doc->n; k++) {
        n += count(&doc->items[k]);
    }
    return n;
}

/* The numbers or texts of lists in lists, one after the other. */
static bool flatten(struct flat *to, const struct doc *doc, int depth)
{
    struct table_value *value = to->value;
    if (doc->type == DOC_LIST) {
        const bool is_first = depth == value->shape.rank;
        if (depth >= SHAPE_RANK_MAX || (is_first && value->n > 0) ||
            (!is_first && value->shape.d[depth] != (int64_t)doc->n)) {
            return false;
        }
        if (is_first) {
            value->shape.d[value->shape.rank++] = (int64_t)doc->n;
        }
        bool is_good = true;
        for (size_t k = 0; k < doc->n && is_good; k++) {
            is_good = flatten(to, &doc->items[k], depth + 1);
        }
        return is_good;
    }
    const enum table_type type = doc->type == DOC_STR                            ? TABLE_TEXT
                                 : doc->type == DOC_FLOAT                        ? TABLE_FLOAT
                                 : doc->type == DOC_INT || doc->type == DOC_BOOL ? TABLE_INT
                                                                                 : TABLE_NONE;
    const int64_t at = value->n++;
    if (type == TABLE_NONE || depth != value->shape.rank ||
        (at > 0 && (type == TABLE_TEXT) != (value->type == TABLE_TEXT))) {
        return false;
    }
    value->type = type > value->type ? type : value->type;
    to->i[at] = doc->type == DOC_BOOL ? doc->b : doc->type == DOC_INT ? doc->i : 0;
    to->f[at] = doc->type == DOC_FLOAT ? doc->f : (double)to->i[at];
    to->t[at] =
        type == TABLE_TEXT ? (struct tensor_text){doc->str, doc->n} : (struct tensor_text){"", 0};
    return true;
}

static int take_value(struct jsonl *k, const char *name, const struct doc *doc,
                      struct table_value *ret, struct err *err)
{
    *ret = (struct table_value){.type = TABLE_NONE};
    if (doc == NULL || doc->type == DOC_NULL) {
        return 0;
    }
    const int64_t n = count(doc);
    if (n > VALUES_MAX) {
        return err_set(err, ERR_LIMIT, "key '%.64s' has more than %d values", name, VALUES_MAX);
    }
    struct flat to = {.value = ret,
                      .i = arena_array(&k->arena, (size_t)n + 1, sizeof(int64_t)),
                      .f = arena_array(&k->arena, (size_t)n + 1, sizeof(double)),
                      .t = arena_array(&k->arena, (size_t)n + 1, sizeof(struct tensor_text))};
    if (!flatten(&to, doc, 0)) {
        return err_set(err, ERR_SCHEMA,
                       "key '%.64s' is neither numbers nor texts, in lists of equal lengths", name);
    }
    ret->i = to.i;
    ret->f = to.f;
    ret->t = to.t;
    ret->type = ret->type == TABLE_NONE ? TABLE_FLOAT : ret->type; /* an empty list */
    return 0;
}

static int row(struct source *source, int64_t sample, struct table_value *values, struct err *err)
{
    struct jsonl *k = source->ctx;
    const struct doc *doc = NULL;
    int r = read_row(k, sample, &doc, err);
    for (size_t c = 0; c < k->table.n_names && r == 0; c++) {
        values[c] = (struct table_value){.type = TABLE_NONE};
        if (k->table.is_used[c]) {
            r = take_value(k, k->table.names[c], doc_get(doc, k->table.names[c]), &values[c], err);
        }
    }
    return r;
}

/* The keys of the first maps. */
static int find_names(struct jsonl *k, int64_t samples, struct arena *arena, struct err *err)
{
    const char **names = arena_array(arena, TABLE_COLUMNS_MAX, sizeof *names);
    struct record_names all = {.v = names};
    int r = 0;
    for (int64_t i = 0; i < samples && i < LOOKED_AT; i++) {
        const struct doc *doc = NULL;
        r = read_row(k, i, &doc, err);
        if (r < 0 && !err_is_data(r)) {
            return r;
        }
        for (size_t p = 0; r == 0 && p < doc->n; p++) {
            if (record_find(&all, doc->pairs[p].key) < 0 && all.n < TABLE_COLUMNS_MAX) {
                names[all.n++] = arena_strdup(arena, doc->pairs[p].key);
            }
        }
    }
    k->table.names = names;
    k->table.n_names = all.n;
    return all.n > 0 ? 0 : r;
}

static int open_jsonl(struct source *source, const struct source_store *store, struct arena *arena,
                      struct err *err)
{
    struct jsonl *k = source->ctx;
    k->store = *store;
    arena_init(&k->arena);
    k->table = (struct table){.kind = "jsonl",
                              .what = "key",
                              .options = &k->table_how,
                              .is_scanned = true,
                              .store = &k->store,
                              .row = row};
    int r = parts_find(&k->parts, &k->store, endings, arena, err);
    k->files = arena_array(arena, (size_t)k->parts.n + 1, sizeof *k->files);
    for (int i = 0; i < k->parts.n && r == 0; i++) {
        r = parts_open(&k->parts, i, err);
        r = r < 0 ? r : index_lines(&k->parts, i, true, &k->files[i], err);
        if (r == 0) {
            parts_count(&k->parts, i, (int64_t)lines_n(&k->files[i]), source);
        }
    }
    if (r < 0 || source->samples == 0) {
        return r;
    }
    r = find_names(k, source->samples, arena, err);
    return r < 0 ? r : table_open(&k->table, source, arena, err);
}

static void close_jsonl(struct source *source)
{
    struct jsonl *k = source->ctx;
    table_fini(&k->table);
    for (int i = 0; i < k->parts.n && k->files != NULL; i++) {
        lines_close(&k->files[i]);
    }
    parts_close(&k->parts);
    arena_fini(&k->arena);
}

static int read_jsonl(struct source *source, const struct stage_place *place,
                      const struct source_call *call, struct element *ret, struct err *err)
{
    struct jsonl *k = source->ctx;
    return table_read(&k->table, source, place->position, call->asker, ret, err);
}

static const char *path_jsonl(const struct source *source, int64_t sample)
{
    const struct jsonl *k = source->ctx;
    return k->parts.v[parts_of(&k->parts, sample)].path;
}

static int64_t offset_jsonl(const struct source *source, int64_t sample)
{
    const struct jsonl *k = source->ctx;
    const int part = parts_of(&k->parts, sample);
    return k->files[part].begins.at[sample - k->parts.v[part].first];
}

const struct source_desc source_jsonl = {
    .name = "jsonl",
    .summary = "JSON by the line: a map a sample, each key a field: a number, a text, or lists of "
               "numbers of one shape. Types are those of the first 64 samples; words, splits and "
               "compression as in csv.",
    .options = options,
    .ctx_size = sizeof(struct jsonl),
    .claims = claims,
    .open = open_jsonl,
    .close = close_jsonl,
    .read = read_jsonl,
    .path = path_jsonl,
    .offset = offset_jsonl,
};
