/* arrays - NumPy's .npy and .npz, HDF5: each array a field, each row a sample. */
#include <string.h>

#include "pipeline/format/hdf5.h"
#include "pipeline/format/npz.h"
#include "pipeline/op.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/record.h"

extern const struct source_desc source_arrays;

enum { ARRAYS_MAX = 256 };
#define DEFLATED_MAX ((int64_t)1 << 30) /* bytes of arrays that are held in memory */

struct array {
    const char *path;
    const struct npy *npy; /* or: */
    struct hdf5 *hdf5;
    enum dtype dtype;
    struct shape shape;
    int64_t n_rows;
};
struct column { /* of a field */
    const struct array *array;
    size_t n;               /* numbers in a row */
    void *raw;              /* a row as it lies in the file */
    void *number;           /* the same as the field has it, or NULL */
    struct op_scratch rows; /* as they lie in the file, for those that become other numbers */
};
struct arrays {
    const struct doc *fields;
    struct source_store store;
    struct parts parts;
    struct npz *npz; /* one a part */
    struct npy *npy; /* the same */
    struct array arrays[ARRAYS_MAX];
    const char *names[ARRAYS_MAX];
    size_t n;
    struct column columns[ELEMENT_FIELDS_MAX];
};
static const struct opt options[] = {
    RECORD_FIELDS_ROW(arrays, "arrays"),
    OPT_END_ROW,
};
static const char *const endings[] = {".npy", ".npz", ".h5", ".hdf5", NULL};

static bool claims(const struct doc *files)
{
    return parts_claim(files, endings);
}

static int add(struct arrays *k, const char *name, const struct array *array, struct err *err)
{
    for (size_t i = 0; i < k->n; i++) {
        if (strcmp(k->names[i], name) == 0) {
            return err_set(err, ERR_SCHEMA, "'%s' and '%s' both hold an array '%.64s'%s",
                           k->arrays[i].path, array->path, name,
                           k->store.split == NULL ? "; name a split" : "");
        }
    }
    if (k->n == ARRAYS_MAX) {
        return err_set(err, ERR_LIMIT, "data set '%s' has more than %d arrays", k->store.dataset,
                       ARRAYS_MAX);
    }
    if (array->shape.rank == 0) {
        return err_set(err, ERR_SCHEMA, "'%s' holds one number, no rows of samples", array->path);
    }
    k->names[k->n] = name;
    k->arrays[k->n++] = *array;
    return 0;
}

static int add_npy(struct arrays *k, const char *name, const char *path, const struct npy *npy,
                   struct err *err)
{
    return add(k, name,
               &(struct array){.path = path,
                               .npy = npy,
                               .dtype = npy->dtype,
                               .shape = npy->shape,
                               .n_rows = npy->n_rows},
               err);
}

/* An array of an HDF5 file by its path there; 1: there is none. */
static int try_hdf5(struct arrays *k, const struct part *part, const char *name, const char *path,
                    struct err *err)
{
    struct array array = {.path = part->path};
    struct hdf5_info info;
    int r = hdf5_open(&part->in, path, &array.hdf5, &info, err);
    if (r < 0) {
        return r == ERR_NOT_FOUND ? 1 : r;
    }
    array.dtype = info.dtype;
    array.shape = info.shape;
    array.n_rows = info.n_rows;
    r = add(k, name, &array, err);
    if (r < 0) {
        hdf5_close(array.hdf5);
    }
    return r;
}

/* What a field is made of: a name, or {from: name}. */
static const char *from_of(const struct doc *value)
{
    const struct doc *from = value->type == DOC_MAP ? doc_get(value, "from") : value;
    return from != NULL && from->type == DOC_STR ? from->str : NULL;
}

/* An HDF5 file is not searched: it has what the fields name, as it is or below the split. */
static int add_hdf5(struct arrays *k, const struct part *part, bool is_in_split,
                    struct arena *arena, struct err *err)
{
    static const char *const usual[] = {"x", "y"};
    const char *split = k->store.split;
    const size_t n = k->fields != NULL && k->fields->type == DOC_MAP ? k->fields->n : 2;
    int r = 0;
    for (size_t i = 0; i < n && r >= 0; i++) {
        const bool is_given = k->fields != NULL && k->fields->type == DOC_MAP;
        const char *name = is_given ? from_of(&k->fields->pairs[i].value) : usual[i];
        if (name == NULL ||
            record_find(&(struct record_names){.v = k->names, .n = k->n}, name) >= 0) {
            continue;
        }
        r = is_in_split ? try_hdf5(k, part, name, name, err) : 1;
        if (r == 1 && split != NULL) {
            r = try_hdf5(k, part, name, arena_printf(arena, "%s/%s", split, name), err);
        }
        if (r == 1 && split != NULL) {
            r = try_hdf5(k, part, name, arena_printf(arena, "%s_%s", name, split), err);
        }
    }
    return r < 0 ? r : 0;
}

/* The split may be the file's or, as in mnist.npz, the array's (x_train). */
static int add_npz(struct arrays *k, int part, bool is_in_split, struct arena *arena,
                   struct err *err)
{
    struct npz *npz = &k->npz[part];
    int r = npz_open(npz, &k->parts.v[part].in, DEFLATED_MAX, err);
    for (size_t i = 0; i < npz->n && r == 0; i++) {
        const char *name = npz->arrays[i].name;
        if (is_in_split || parts_in_split(name, k->store.split, arena, &name)) {
            r = add_npy(k, name, k->parts.v[part].path, &npz->arrays[i].npy, err);
        }
    }
    return r;
}

static int add_part(struct arrays *k, int i, struct arena *arena, struct err *err)
{
    static const char *const npz[] = {".npz", NULL}, *const npy[] = {".npy", NULL};
    const struct part *part = &k->parts.v[i];
    const char *name;
    const bool is_in_split = parts_in_split(part->path, k->store.split, arena, &name);
    const bool is_npy = parts_ends(part->path, npy);
    if (is_npy && !is_in_split) {
        return 0;
    }
    int r = parts_open(&k->parts, i, err);
    if (r < 0) {
        return r;
    }
    if (is_npy) {
        r = npy_open(&k->npy[i], &part->in, err);
        return r < 0 ? r : add_npy(k, name, part->path, &k->npy[i], err);
    }
    return parts_ends(part->path, npz) ? add_npz(k, i, is_in_split, arena, err)
                                       : add_hdf5(k, part, is_in_split, arena, err);
}

static int find_arrays(struct arrays *k, struct arena *arena, struct err *err)
{
    struct source_store *all = ARENA_NEW(arena, struct source_store);
    *all = k->store;
    all->split = NULL;
    int r = parts_find(&k->parts, all, endings, arena, err);
    k->npz = arena_array(arena, (size_t)k->parts.n + 1, sizeof *k->npz);
    k->npy = arena_array(arena, (size_t)k->parts.n + 1, sizeof *k->npy);
    for (int i = 0; i < k->parts.n && r == 0; i++) {
        r = add_part(k, i, arena, err);
    }
    if (r == 0 && k->n == 0 && k->store.split == NULL) {
        r = err_set_at(err, ERR_MISSING, "source.arrays.fields",
                       "data set '%s' has no array x or y; say which arrays are fields",
                       k->store.dataset);
    } else if (r == 0 && k->n == 0) {
        r = err_set_at(err, ERR_MISSING, "split",
                       "data set '%s' has no array of split '%s' (%s/x.npy, x_%s.npy, or x_%s in a "
                       ".npz)",
                       k->store.dataset, k->store.split, k->store.split, k->store.split,
                       k->store.split);
    }
    return r;
}

static int check_rows(const struct record *record, struct arrays *k, struct source *source,
                      struct err *err)
{
    const struct array *first = k->columns[0].array;
    source->samples = first->n_rows;
    for (int i = 1; i < record->n; i++) {
        const struct array *array = k->columns[i].array;
        if (array->n_rows != first->n_rows) {
            return err_set(err, ERR_SCHEMA,
                           "array '%s' of data set '%s' has %lld rows, '%s' has %lld%s",
                           record->fields[0].from.v[0], k->store.dataset, (long long)first->n_rows,
                           record->fields[i].from.v[0], (long long)array->n_rows,
                           k->store.split == NULL ? "; name a split, or choose fields" : "");
        }
    }
    return 0;
}

static enum element_kind kind_of(const struct record_field *field, const struct op_spec *spec)
{
    const int rank = spec->shape.rank;
    const int64_t channels = rank == 3 ? spec->shape.d[2] : 0;
    if (field->kind != RECORD_KIND_AUTO) {
        return (enum element_kind)field->kind;
    }
    if (strcmp(field->name, "y") == 0) {
        return ELEMENT_LABEL;
    }
    return channels == 1 || channels == 3 || channels == 4 ? ELEMENT_IMAGE : ELEMENT_NUMERIC;
}

/* The shape of a row, or the one that is given if it has as many numbers. */
static int find_shape(const struct record_field *field, const struct record_names *names,
                      const struct array *array, struct op_spec *ret, struct err *err)
{
    char have[96], want[96];
    int64_t n = 0, given = 0;
    ret->shape.rank = array->shape.rank - 1;
    memcpy(ret->shape.d, array->shape.d + 1, (size_t)ret->shape.rank * sizeof *ret->shape.d);
    if (!field->has_shape) {
        if (field->kind == ELEMENT_IMAGE && ret->shape.rank == 2) {
            ret->shape.d[ret->shape.rank++] = 1;
        }
        return 0;
    }
    if (shape_count(&ret->shape, &n) < 0 || shape_count(&field->shape, &given) < 0 || n != given) {
        shape_format(&ret->shape, have, sizeof have);
        shape_format(&field->shape, want, sizeof want);
        return record_fail(names, field, "shape", ERR_SHAPE, err,
                           "%s has other than as many numbers as %s, the rows of '%s'", want, have,
                           field->from.v[0]);
    }
    ret->shape = field->shape;
    return 0;
}

/* Whole numbers without dimensions are labels, in int64 as everywhere. */
static enum dtype dtype_of(const struct record_field *field, const struct array *array,
                           const struct op_spec *spec, enum element_kind kind)
{
    const bool is_whole = array->dtype != DTYPE_F32 && array->dtype != DTYPE_F64;
    if (field->dtype != RECORD_DTYPE_AUTO) {
        return (enum dtype)field->dtype;
    }
    return kind == ELEMENT_LABEL && is_whole && spec->shape.rank == 0 ? DTYPE_I64 : array->dtype;
}

static int make_column(const struct record_field *field, const struct record_names *names,
                       struct arrays *k, struct column *ret, struct element_field *spec,
                       struct arena *arena, struct err *err)
{
    const struct array *array = &k->arrays[record_find(names, field->from.v[0])];
    size_t bytes = 0;
    *ret = (struct column){.array = array};
    *spec = (struct element_field){.name = field->name};
    if (field->from.n != 1) {
        return record_fail(names, field, "from", ERR_INVALID, err, "takes one array, not %zu",
                           field->from.n);
    }
    int r = find_shape(field, names, array, &spec->spec, err);
    if (r < 0) {
        return r;
    }
    spec->kind = kind_of(field, &spec->spec);
    spec->spec.dtype = dtype_of(field, array, &spec->spec, spec->kind);
    if (spec->spec.dtype != array->dtype && spec->spec.dtype != DTYPE_F32 &&
        (spec->spec.dtype != DTYPE_I64 || array->dtype == DTYPE_F32 || array->dtype == DTYPE_F64)) {
        return record_fail(names, field, "dtype", ERR_UNSUPPORTED, err,
                           "'%s' holds %s, which is given as such, as float32 or, whole numbers, "
                           "as int64",
                           field->from.v[0], dtype_name(array->dtype));
    }
    if (shape_bytes(&spec->spec.shape, DTYPE_I64, &bytes) < 0 || bytes > (size_t)1 << 30) {
        return err_set(err, ERR_LIMIT, "a row of array '%s' is too large", field->from.v[0]);
    }
    ret->n = bytes / sizeof(int64_t);
    ret->raw = arena_alloc(arena, bytes + 1);
    ret->number = spec->spec.dtype != array->dtype ? arena_alloc(arena, bytes + 1) : NULL;
    return 0;
}

static int64_t whole_at(enum dtype dtype, const void *p, size_t i)
{
    switch ((int)dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: return ((const uint8_t *)p)[i];
    case DTYPE_I8: return ((const int8_t *)p)[i];
    case DTYPE_U16: return ((const uint16_t *)p)[i];
    case DTYPE_I16: return ((const int16_t *)p)[i];
    case DTYPE_I32: return ((const int32_t *)p)[i];
    default: return ((const int64_t *)p)[i];
    }
}

/* Where the row lies in memory as the field has it, or NULL. */
static void *borrow(const struct column *column, int64_t row)
{
    const struct npy *npy = column->array->npy;
    const unsigned char *memory = npy != NULL && column->number == NULL ? npy_memory(npy) : NULL;
    const size_t each = dtype_bytes(column->array->dtype);
    if (memory == NULL || (uintptr_t)memory % each != 0) {
        return NULL;
    }
    memory += (size_t)row * column->n * each;
    return npy_is_finite(npy, 1, memory) ? (void *)(uintptr_t)memory : NULL;
}

static int read_column(const struct column *column, const struct op_spec *spec, int64_t row,
                       struct tensor *ret, struct err *err)
{
    const struct array *array = column->array;
    const size_t n = column->n;
    *ret = (struct tensor){.dtype = array->dtype, .shape = spec->shape, .data = column->raw};
    ret->data = borrow(column, row);
    if (ret->data != NULL) {
        return 0;
    }
    ret->data = column->raw;
    int r = array->npy != NULL ? npy_read(array->npy, row, 1, false, column->raw, err)
                               : hdf5_read(array->hdf5, row, 1, false, column->raw, err);
    if (r < 0 || column->number == NULL) {
        return r;
    }
    if (spec->dtype == DTYPE_F32) {
        op_to_floats(ret, (int64_t)n, column->number);
    }
    for (size_t i = 0; i < n && spec->dtype == DTYPE_I64; i++) {
        ((int64_t *)column->number)[i] = whole_at(array->dtype, column->raw, i);
    }
    ret->dtype = spec->dtype;
    ret->data = column->number;
    return 0;
}

/* Rows as they lie in the file. */
static int gather(const struct array *array, const struct source_rows *rows, size_t bytes,
                  void *out, struct err *err)
{
    const void *memory = npy_memory(array->npy);
    int r = 0;
    if (memory != NULL) {
        source_gather(rows, memory, 0, bytes, out);
        return npy_is_finite(array->npy, rows->n, out) ? 0 : ERR_NOT_FINITE;
    }
    for (int64_t i = 0; i < rows->n && r == 0; i++) {
        source_rows_at(rows, i);
        r = npy_read(array->npy, rows->places[i].position, 1, false,
                     (unsigned char *)out + (size_t)i * bytes, err);
    }
    return r;
}

static int read_column_rows(struct column *column, const struct op_spec *spec,
                            const struct source_rows *rows, void *out, struct err *err)
{
    const struct array *array = column->array;
    const size_t bytes = column->n * dtype_bytes(array->dtype);
    const int64_t n = rows->n * (int64_t)column->n;
    void *raw =
        column->number == NULL ? out : op_scratch_need(&column->rows, bytes * (size_t)rows->n + 1);
    int r = gather(array, rows, bytes, raw, err);
    if (r < 0 || column->number == NULL) {
        return r;
    }
    if (spec->dtype == DTYPE_F32) {
        op_to_floats(&(struct tensor){.dtype = array->dtype, .data = raw}, n, out);
    }
    for (int64_t i = 0; i < n && spec->dtype == DTYPE_I64; i++) {
        ((int64_t *)out)[i] = whole_at(array->dtype, raw, (size_t)i);
    }
    return 0;
}

static int read_rows_arrays(struct source *source, const struct source_rows *rows,
                            void *const *fields, struct err *err)
{
    struct arrays *k = source->ctx;
    int r = 0;
    for (int i = 0; i < source->spec.n && r == 0; i++) {
        r = read_column_rows(&k->columns[i], &source->spec.fields[i].spec, rows, fields[i], err);
    }
    return r;
}

/* Labels that are whole numbers from 0 on are classes. */
static int find_classes(struct source *source, struct arrays *k, struct arena *arena,
                        struct err *err)
{
    const int y = element_find(&source->spec, "y");
    int64_t most = -1, row = 0;
    if (y < 0 || source->spec.fields[y].spec.dtype != DTYPE_I64 ||
        source->spec.fields[y].spec.shape.rank != 0) {
        return 0;
    }
    for (int64_t i = 0; i < source->samples; i++) {
        struct tensor label;
        int r = read_column(&k->columns[y], &source->spec.fields[y].spec, i, &label, err);
        if (r < 0) {
            return r;
        }
        const int64_t at = *(const int64_t *)label.data;
        if (at < 0 || at >= SOURCE_CLASSES_MAX) {
            return 0;
        }
        row = at > most ? i : row;
        most = at > most ? at : most;
    }
    source->top_class = arena_printf(arena, "row %lld of '%s' has label %lld", (long long)row,
                                     k->columns[y].array->path, (long long)most);
    source_name_numbers(source, most + 1, arena);
    return 0;
}

static int open_arrays(struct source *source, const struct source_store *store, struct arena *arena,
                       struct err *err)
{
    struct arrays *k = source->ctx;
    struct record record;
    k->store = *store;
    int r = find_arrays(k, arena, err);
    if (r < 0) {
        return r;
    }
    const struct record_names names = {.kind = "arrays", .what = "array", .v = k->names, .n = k->n};
    r = record_read(&record, k->fields, &names, arena, err);
    for (int i = 0; i < record.n && r == 0; i++) {
        struct element_field field;
        r = make_column(&record.fields[i], &names, k, &k->columns[i], &field, arena, err);
        if (r == 0) {
            element_add(&source->spec, &field);
        }
    }
    source->gives_rows = true;
    for (int i = 0; i < record.n && r == 0; i++) {
        const struct npy *npy = k->columns[i].array->npy;
        source->gives_rows = source->gives_rows && npy != NULL && !npy->is_fortran;
    }
    r = r < 0 ? r : check_rows(&record, k, source, err);
    return r < 0 ? r : find_classes(source, k, arena, err);
}

static void close_arrays(struct source *source)
{
    struct arrays *k = source->ctx;
    for (size_t i = 0; i < k->n; i++) {
        hdf5_close(k->arrays[i].hdf5);
    }
    k->n = 0;
    for (int i = 0; i < ELEMENT_FIELDS_MAX; i++) {
        op_scratch_fini(&k->columns[i].rows);
    }
    for (int i = 0; i < k->parts.n && k->npz != NULL; i++) {
        npz_close(&k->npz[i]);
    }
    parts_close(&k->parts);
}

static int read_arrays(struct source *source, const struct stage_place *place,
                       const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call;
    struct arrays *k = source->ctx;
    int r = 0;
    ret->sample = place->position;
    for (int i = 0; i < source->spec.n && r == 0; i++) {
        r = read_column(&k->columns[i], &source->spec.fields[i].spec, place->position,
                        &ret->fields[i], err);
    }
    return r;
}

static const char *path_arrays(const struct source *source, int64_t sample)
{
    (void)sample;
    const struct arrays *k = source->ctx;
    return k->columns[0].array->path;
}

static const char *path_beside(const struct source *source, int64_t sample, int i)
{
    (void)sample;
    const struct arrays *k = source->ctx;
    return i + 1 < source->spec.n ? k->columns[i + 1].array->path : NULL;
}

static int64_t offset_arrays(const struct source *source, int64_t sample)
{
    const struct arrays *k = source->ctx;
    const struct npy *npy = k->columns[0].array->npy; /* of x, whose file is named */
    return npy != NULL && npy->n_rows > 0 && !npy->is_fortran
               ? npy->begin + sample * ((npy->in.size - npy->begin) / npy->n_rows)
               : -1;
}

const struct source_desc source_arrays = {
    .name = "arrays",
    .summary =
        "NumPy's files, `x.npy` beside `y.npy` or the arrays of `.npz` files, and HDF5 files "
        "(the arrays that fields names, else x and y); each array "
        "is a field, each row of it a sample. A split is a folder (`train/x.npy`) or a word "
        "in the name (`x_train.npy`, `x_train` in a `.npz`, `train/x` in an HDF5 file).",
    .options = options,
    .ctx_size = sizeof(struct arrays),
    .claims = claims,
    .open = open_arrays,
    .close = close_arrays,
    .read = read_arrays,
    .read_rows = read_rows_arrays,
    .path = path_arrays,
    .offset = offset_arrays,
    .path_beside = path_beside,
};
