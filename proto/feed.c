#include "proto/feed.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64 };
static const int64_t DIMENSION_MAX = (int64_t)1 << 30;

enum {
#define KIND_ROW(symbol, name) KIND_##symbol,
#include "proto/element_kinds.h"
#undef KIND_ROW
};
static const struct opt_name kinds[] = {
#define KIND_ROW(symbol, name) {(name), KIND_##symbol},
#include "proto/element_kinds.h"
#undef KIND_ROW
    {NULL, 0},
};
static const struct opt_name dtypes[] = {
#define DTYPE_ROW(symbol, name, bytes) {(name), DTYPE_##symbol},
#include "base/dtypes.h"
#undef DTYPE_ROW
    {NULL, 0},
};

struct given_field {
    const char *name;
    int kind, dtype;
    struct opt_ints shape;
};
struct given {
    struct opt_groups fields;
    int64_t elements, batch;
    bool by_epoch;
    struct opt_strs classes;
    const char *id;
};

static const struct opt field_options[] = {
    OPT_STR_ROW(given_field, name, NULL,
                "A word; x is what a model of one input takes, y the label.",
                .flags = OPT_REQUIRED),
    OPT_ENUM_ROW(given_field, kind, KIND_NUMERIC, kinds, "What it is."),
    OPT_ENUM_ROW(given_field, dtype, DTYPE_F32, dtypes, "Element type of its numbers."),
    OPT_INTS_ROW(given_field, shape, "[]", 0, SHAPE_RANK_MAX, 1, DIMENSION_MAX,
                 "Of one element; [] is a number."),
    OPT_END_ROW,
};
const struct opt feed_options[] = {
    OPT_GROUPS_ROW(given, fields, given_field, field_options,
                   "Fields of an element, in the order of a row.", .flags = OPT_REQUIRED),
    OPT_I64_ROW(given, elements, -1, -1, FEED_ELEMENTS_MAX,
                "How many there are; -1: they come one after the other, until the end."),
    OPT_BOOL_ROW(given, by_epoch, 0, "Others in each epoch; else each is asked for once."),
    OPT_I64_ROW(given, batch, 1, 1, FEED_BATCH_MAX, "They are made so many at a time."),
    OPT_STRS_ROW(given, classes, "Names of the classes that the label y counts."),
    OPT_STR_ROW(given, id, NULL, "Of the spool; the daemon gives it.", .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int check_name(const struct feed_spec *spec, const char *name, struct err *err)
{
    size_t n = strlen(name);
    bool is_word = n > 0 && n <= NAME_MAX_BYTES &&
                   (isalpha((unsigned char)name[0]) || name[0] == '_') &&
                   strncmp(name, "__", 2) != 0;
    for (const char *c = name; *c != '\0' && is_word; c++) {
        is_word = isalnum((unsigned char)*c) || *c == '_';
    }
    if (!is_word) {
        return err_set_at(err, ERR_INVALID, "name",
                          "'%.64s': a field's name has 1 to %d letters, digits and _, no digit and "
                          "no __ in front",
                          name, NAME_MAX_BYTES);
    }
    for (int i = 0; i < spec->n_fields; i++) {
        if (strcmp(spec->fields[i].name, name) == 0) {
            return err_set_at(err, ERR_INVALID, "name", "two fields are called '%s'", name);
        }
    }
    return 0;
}

static int add_field(struct feed_spec *spec, const struct given_field *given, struct err *err)
{
    struct feed_field *field = &spec->fields[spec->n_fields];
    int rc = check_name(spec, given->name, err);
    if (rc < 0) {
        return rc;
    }
    if (given->dtype == DTYPE_STR || given->kind == KIND_TEXT) {
        return err_set_at(
            err, ERR_UNSUPPORTED, given->dtype == DTYPE_STR ? "dtype" : "kind",
            "texts have no fixed size and cannot be fed; feed numbers, or upload the files");
    }
    *field = (struct feed_field){.name = given->name,
                                 .kind = given->kind,
                                 .dtype = (enum dtype)given->dtype,
                                 .shape = shape_make((int)given->shape.n, given->shape.v),
                                 .offset = spec->row_bytes};
    if (shape_bytes(&field->shape, field->dtype, &field->bytes) < 0 ||
        field->bytes > FEED_ROW_MAX - spec->row_bytes) {
        return err_set_at(err, ERR_LIMIT, "shape", "an element has more than %d bytes",
                          FEED_ROW_MAX);
    }
    spec->row_bytes += field->bytes;
    spec->n_fields++;
    return 0;
}

static int check_spec(const struct feed_spec *spec, struct err *err)
{
    if (spec->n_fields == 0) {
        return err_set_at(err, ERR_INVALID, "fields", "an element needs a field");
    }
    if (spec->elements == 0) {
        return err_set_at(err, ERR_RANGE, "elements", "0: there is nothing to feed");
    }
    if (spec->elements < 0 && spec->by_epoch) {
        return err_set_at(
            err, ERR_INVALID, "by_epoch",
            "elements that come one after the other are of one epoch; say how many there are");
    }
    if ((size_t)spec->batch > FEED_BATCH_BYTES_MAX / spec->row_bytes) {
        return err_set_at(err, ERR_LIMIT, "batch", "%lld elements of %zu bytes are over %d bytes",
                          (long long)spec->batch, spec->row_bytes, FEED_BATCH_BYTES_MAX);
    }
    if (spec->classes.n > FEED_CLASSES_MAX) {
        return err_set_at(err, ERR_LIMIT, "classes", "more than %d", FEED_CLASSES_MAX);
    }
    return spec->id == NULL || feed_is_id(spec->id) ? 0
                                                    : err_set_at(err, ERR_INVALID, "id", "is none");
}

int feed_spec_read(const struct doc *doc, struct arena *arena, struct feed_spec *ret,
                   struct err *err)
{
    struct given given;
    int rc = opt_read(feed_options, &given, doc, arena, err);
    if (rc < 0) {
        return rc;
    }
    *ret = (struct feed_spec){.id = given.id,
                              .elements = given.elements,
                              .by_epoch = given.by_epoch,
                              .batch = given.batch,
                              .classes = given.classes};
    const struct given_field *fields = given.fields.v;
    if (given.fields.n > FEED_FIELDS_MAX) {
        return err_set_at(err, ERR_LIMIT, "fields", "%zu of them; there may be %d", given.fields.n,
                          FEED_FIELDS_MAX);
    }
    for (size_t i = 0; i < given.fields.n; i++) {
        rc = add_field(ret, &fields[i], err);
        if (rc < 0) {
            err_prefix(err, "fields[%zu]", i);
            return rc;
        }
    }
    return check_spec(ret, err);
}

void feed_spec_write(const struct feed_spec *spec, struct doc *map, struct arena *arena)
{
    struct given_field *fields = arena_array(arena, (size_t)spec->n_fields + 1, sizeof *fields);
    struct given given = {.fields = {.v = fields, .n = (size_t)spec->n_fields},
                          .elements = spec->elements,
                          .by_epoch = spec->by_epoch,
                          .batch = spec->batch,
                          .classes = spec->classes,
                          .id = spec->id};
    for (int i = 0; i < spec->n_fields; i++) {
        const struct feed_field *field = &spec->fields[i];
        fields[i] = (struct given_field){
            .name = field->name,
            .kind = field->kind,
            .dtype = (int)field->dtype,
            .shape = {.v = field->shape.d, .n = (size_t)field->shape.rank},
        };
    }
    struct doc *written = doc_new(arena);
    opt_write(feed_options, &given, false, written, arena);
    doc_copy(map, arena, written); /* opt_write may point into the spec */
}

int64_t feed_batch(const struct feed_spec *spec, int64_t index, int64_t *ret_first)
{
    *ret_first = index - index % spec->batch;
    int64_t left = spec->elements < 0 ? spec->batch : spec->elements - *ret_first;
    return left < spec->batch ? left : spec->batch;
}

bool feed_is_id(const char *id)
{
    return strlen(id) == HASH_ID_TEXT - 1 && strspn(id, "0123456789abcdef") == HASH_ID_TEXT - 1;
}

void feed_path(const char *id, int64_t epoch, const char *what, char path[FEED_PATH])
{
    if (what == NULL) {
        (void)snprintf(path, FEED_PATH, "feeds/%.64s", id);
    } else {
        (void)snprintf(path, FEED_PATH, "feeds/%.64s/%lld.%s", id, (long long)epoch, what);
    }
}
