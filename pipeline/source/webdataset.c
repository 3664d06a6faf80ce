/* webdataset - tar shards: the members with one basename are a sample, their extensions its
 * fields. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pipeline/format/npy.h"
#include "pipeline/format/number.h"
#include "pipeline/format/samples.h"
#include "pipeline/source/index.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/table.h"

extern const struct source_desc source_webdataset;

enum { LOOKED_AT = 64 };

struct shard {
    struct tar_index index;
    struct samples samples;
};
struct webdataset {
    union {
        struct {
            TABLE_FIELDS
        };
        struct table_options table_how;
    };
    union {
        struct {
            PICTURE_FIELDS
        };
        struct picture_options picture_how;
    };
    struct source_store store;
    struct parts parts;
    struct shard *shards; /* one a part */
    struct arena arena;   /* of the row */
    struct table table;
    struct buf path; /* of the last that was asked for */
};
static const struct opt options[] = {
    TABLE_ROWS(webdataset, "extensions"),
    PICTURE_ROWS(webdataset),
    OPT_END_ROW,
};
static const char *const endings[] = {".tar", ".tar.gz", ".tgz", ".tar.zst", NULL};
static const char *const pictures[] = {"jpg", "jpeg", "png", "webp", "bmp", "gif"};
enum { N_PICTURES = sizeof pictures / sizeof pictures[0] };
/* The name of whichever picture a sample has. */
static const char *const any_picture = "picture";

static bool claims(const struct doc *files)
{
    return parts_claim(files, endings);
}

static bool is_picture(const char *extension)
{
    for (int i = 0; i < N_PICTURES; i++) {
        if (strcasecmp(extension, pictures[i]) == 0) {
            return true;
        }
    }
    return false;
}

struct place {
    const struct shard *shard;
    const struct input *in;
    size_t sample;
};

static int place_of(struct webdataset *k, int64_t sample, struct place *ret, struct err *err)
{
    const int part = parts_of(&k->parts, sample);
    *ret = (struct place){.shard = &k->shards[part],
                          .in = &k->parts.v[part].in,
                          .sample = (size_t)(sample - k->parts.v[part].first)};
    return parts_switch(&k->parts, part, err);
}

/* The member of a column, or -1. */
static int64_t member_of(const struct place *at, const char *column)
{
    int64_t member = -1;
    if (column != any_picture) {
        return samples_find(&at->shard->samples, &at->shard->index, at->sample, column);
    }
    for (int i = 0; i < N_PICTURES && member < 0; i++) {
        member = samples_find(&at->shard->samples, &at->shard->index, at->sample, pictures[i]);
    }
    return member;
}

/* The numbers of a .npy member. */
static int take_npy(struct webdataset *k, const struct place *at, const struct tar_member *member,
                    struct table_value *ret, struct err *err)
{
    const struct input in = input_part(at->in, member->offset, member->size);
    struct npy npy;
    size_t bytes = 0;
    int r = npy_open(&npy, &in, err);
    if (r < 0) {
        return r;
    }
    if (shape_bytes(&npy.shape, DTYPE_I64, &bytes) < 0 || bytes > SOURCE_FILE_MAX * 8UL) {
        return err_set(err, ERR_LIMIT, "has too many numbers");
    }
    const int64_t n = (int64_t)(bytes / sizeof(int64_t));
    const void *data = npy_memory(&npy);
    if (data == NULL || (uintptr_t)data % dtype_bytes(npy.dtype) != 0 ||
        !npy_is_finite(&npy, npy.n_rows, data)) {
        void *read = arena_alloc(&k->arena, bytes + 1);
        data = read;
        r = n > 0 ? npy_read(&npy, 0, npy.n_rows, false, read, err) : 0;
    }
    *ret = (struct table_value){
        .type = TABLE_FLOAT, .shape = npy.shape, .n = n, .data = data, .dtype = npy.dtype};
    if (npy.dtype == DTYPE_I64) {
        ret->type = TABLE_INT;
        ret->i = data;
    } else if (npy.dtype == DTYPE_F64) {
        ret->f = data;
    }
    return r;
}

/* "7\n" is a number, all else is bytes. */
static bool take_number(struct webdataset *k, const char *text, size_t n, struct table_value *ret)
{
    int64_t *number = ARENA_NEW(&k->arena, int64_t);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' ')) {
        n--;
    }
    *ret = (struct table_value){.type = TABLE_INT, .n = 1, .i = number};
    return number_i64(text, n, number);
}

/* The bytes of a member: where they lie, or read. */
static int member_bytes(struct webdataset *k, const struct place *at,
                        const struct tar_member *member, const char **ret, struct err *err)
{
    const size_t size = (size_t)member->size;
    *ret = input_look(at->in, member->offset, size);
    if (*ret != NULL) {
        return 0;
    }
    char *text = arena_alloc(&k->arena, size + 1);
    *ret = text;
    return input_read(at->in, member->offset, text, size, err);
}

static int take_member(struct webdataset *k, const struct place *at, const char *column,
                       int64_t number, struct table_value *ret, struct err *err)
{
    const struct tar_member *member = &at->shard->index.members[number];
    if (member->size > SOURCE_FILE_MAX) {
        return err_set(err, ERR_LIMIT, "'%s' has %lld bytes",
                       tar_name(&at->shard->index, (size_t)number), (long long)member->size);
    }
    if (strcasecmp(column, "npy") == 0) {
        return take_npy(k, at, member, ret, err);
    }
    struct tensor_text *value = ARENA_NEW(&k->arena, struct tensor_text);
    const char *text = NULL;
    int r = member_bytes(k, at, member, &text, err);
    if (r < 0) {
        return r;
    }
    const bool is_number = strcmp(column, "cls") == 0 || strcmp(column, "cls2") == 0 ||
                           strcmp(column, "index") == 0 || strcmp(column, "id") == 0;
    if (is_number && take_number(k, text, (size_t)member->size, ret)) {
        return 0;
    }
    *value = (struct tensor_text){.text = text, .n = (size_t)member->size};
    while (is_number && value->n > 0 && text[value->n - 1] == '\n') {
        value->n--; /* a class by its name */
    }
    *ret = (struct table_value){.type = TABLE_TEXT, .n = 1, .t = value};
    return 0;
}

static int row(struct source *source, int64_t sample, struct table_value *values, struct err *err)
{
    struct webdataset *k = source->ctx;
    struct place at;
    arena_reset(&k->arena);
    int r = place_of(k, sample, &at, err);
    for (size_t c = 0; c < k->table.n_names && r == 0; c++) {
        values[c] = (struct table_value){.type = TABLE_NONE};
        const char *column = k->table.names[c];
        const int64_t member = k->table.is_used[c] ? member_of(&at, column) : -1;
        r = member >= 0 ? take_member(k, &at, column, member, &values[c], err) : 0;
    }
    return r;
}

/* ---- opening ---- */

static void add_name(struct record_names *all, const char **names, const char *name,
                     struct arena *arena)
{
    if (record_find(all, name) < 0 && all->n < TABLE_COLUMNS_MAX) {
        names[all->n++] = name == any_picture ? name : arena_strdup(arena, name);
    }
}

/* The extensions of the first samples. */
static int find_names(struct webdataset *k, int64_t samples, struct arena *arena, struct err *err)
{
    const char **names = arena_array(arena, TABLE_COLUMNS_MAX + 1, sizeof *names);
    struct record_names all = {.v = names};
    for (int64_t i = 0; i < samples && i < LOOKED_AT; i++) {
        struct place at;
        int r = place_of(k, i, &at, err);
        if (r < 0) {
            return r;
        }
        const struct samples_row *group = &at.shard->samples.rows[at.sample];
        for (size_t m = group->first; m < group->first + group->n; m++) {
            const char *extension = NULL;
            (void)samples_key(tar_name(&at.shard->index, m), &extension);
            if (extension != NULL) {
                add_name(&all, names, is_picture(extension) ? any_picture : extension, arena);
            }
            if (extension != NULL && is_picture(extension)) {
                add_name(&all, names, extension, arena);
            }
        }
    }
    k->table.names = names;
    k->table.n_names = all.n;
    return 0;
}

/* Without `fields`: the picture is x, cls is y, the rest are fields of their own names. */
static void default_fields(struct webdataset *k, struct arena *arena)
{
    struct doc *fields = doc_new(arena);
    doc_set_map(fields);
    for (size_t c = 0; c < k->table.n_names; c++) {
        const char *name = k->table.names[c];
        if (name == any_picture) {
            struct doc *x = doc_put(fields, arena, "x");
            doc_set_map(x);
            doc_put_str(x, arena, "from", name);
            doc_put_str(x, arena, "kind", "image");
        } else if (!is_picture(name)) {
            doc_put_str(fields, arena, strcmp(name, "cls") == 0 ? "y" : name, name);
        }
    }
    k->fields = fields;
}

static int open_shards(struct webdataset *k, struct source *source, struct arena *arena,
                       struct err *err)
{
    int r = 0;
    k->shards = arena_array(arena, (size_t)k->parts.n + 1, sizeof *k->shards);
    for (int i = 0; i < k->parts.n && r == 0; i++) {
        struct shard *shard = &k->shards[i];
        r = parts_switch(&k->parts, i, err);
        r = r < 0 ? r : index_tar(&k->parts, i, &shard->index, err);
        r = r < 0 ? r : samples_build(&shard->samples, &shard->index, k->parts.v[i].path, err);
        if (r == 0) {
            parts_count(&k->parts, i, (int64_t)shard->samples.n, source);
        }
    }
    return r;
}

static int open_webdataset(struct source *source, const struct source_store *store,
                           struct arena *arena, struct err *err)
{
    struct webdataset *k = source->ctx;
    k->store = *store;
    arena_init(&k->arena);
    k->table = (struct table){.kind = "webdataset",
                              .what = "extension",
                              .options = &k->table_how,
                              .pictures = &k->picture_how,
                              .store = &k->store,
                              .row = row};
    int r = parts_find(&k->parts, &k->store, endings, arena, err);
    r = r < 0 ? r : open_shards(k, source, arena, err);
    if (r < 0 || source->samples == 0) {
        return r;
    }
    r = find_names(k, source->samples, arena, err);
    if (r == 0 && k->fields == NULL) {
        default_fields(k, arena);
    }
    return r < 0 ? r : table_open(&k->table, source, arena, err);
}

static void close_webdataset(struct source *source)
{
    struct webdataset *k = source->ctx;
    table_fini(&k->table);
    for (int i = 0; i < k->parts.n && k->shards != NULL; i++) {
        samples_fini(&k->shards[i].samples);
        tar_index_fini(&k->shards[i].index);
    }
    parts_close(&k->parts);
    arena_fini(&k->arena);
    buf_fini(&k->path);
}

static int read_webdataset(struct source *source, const struct stage_place *place,
                           const struct source_call *call, struct element *ret, struct err *err)
{
    struct webdataset *k = source->ctx;
    return table_read(&k->table, source, place->position, call->asker, ret, err);
}

/* "train-0001.tar/0007": the shard and the key of the sample. */
static const char *path_webdataset(const struct source *source, int64_t sample)
{
    struct webdataset *k = source->ctx;
    const int part = parts_of(&k->parts, sample);
    const struct samples_row *group =
        &k->shards[part].samples.rows[sample - k->parts.v[part].first];
    buf_clear(&k->path);
    buf_printf(&k->path, "%s/%.*s", k->parts.v[part].path, (int)group->n_key, group->key);
    return k->path.data;
}

static int picture_webdataset(struct source *source, const void *data, size_t size,
                              struct tensor *ret, struct err *err)
{
    struct webdataset *k = source->ctx;
    return table_picture(&k->table, source, data, size, ret, err);
}

static int64_t offset_webdataset(const struct source *source, int64_t sample)
{
    const struct webdataset *k = source->ctx;
    const int part = parts_of(&k->parts, sample);
    const struct samples_row *group =
        &k->shards[part].samples.rows[sample - k->parts.v[part].first];
    return k->shards[part].index.members[group->first].offset;
}

const struct source_desc source_webdataset = {
    .name = "webdataset",
    .summary = "Tar shards of WebDataset: the members with one basename are a sample, read at "
               "random by an index of the headers. Without fields the picture (jpg, png, webp, "
               "bmp, gif) is x and `cls` is y; `picture` stands for whichever of them a sample "
               "has, npy is numbers, json and txt are texts. A split is a word at the beginning of "
               "the name (`train-0000.tar`) or a folder.",
    .options = options,
    .ctx_size = sizeof(struct webdataset),
    .claims = claims,
    .open = open_webdataset,
    .close = close_webdataset,
    .read = read_webdataset,
    .picture = picture_webdataset,
    .path = path_webdataset,
    .offset = offset_webdataset,
};
