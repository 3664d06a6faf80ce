#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/keras/keras_h5.h"

enum { DEPTH_MAX = 32, TENSORS_MAX = 100000, NAME_MAX_BYTES = 1024, TEXT_MAX = 64 << 20 };

struct reader {
    struct arena *arena;
    struct err *err;
    int code; /* first error */
    size_t left; /* bytes that may still be allocated */
    struct keras_tensor *tensors;
    int n;
    int capacity;
    int depth;
    char path[NAME_MAX_BYTES];
    const char *name; /* attribute of the group being read */
};

static int fail(struct reader *r, int code, const char *what)
{
    if (r->code == 0) {
        r->code = err_set(r->err, code, "'%s': %s", r->path, what);
    }
    return -1;
}

static struct keras_tensor *push(struct reader *r)
{
    if (r->n == r->capacity) {
        int capacity = r->capacity == 0 ? 64 : r->capacity * 2;
        struct keras_tensor *grown = arena_array(r->arena, (size_t)capacity, sizeof *grown);
        if (r->n > 0) {
            memcpy(grown, r->tensors, (size_t)r->n * sizeof *grown);
        }
        r->tensors = grown;
        r->capacity = capacity;
    }
    return &r->tensors[r->n++];
}

/* Keras keeps bfloat16 as 2 opaque bytes with an attribute; anything else opaque is not ours. */
static bool is_bfloat16(hid_t set, hid_t type)
{
    return H5Tget_class(type) == H5T_OPAQUE && H5Tget_size(type) == 2 && H5Aexists(set, "dtype") > 0;
}

/* The dtype we keep and the memory type that HDF5 converts to. Halves become float32. */
static int pick_type(hid_t set, hid_t type, enum dtype *ret_dtype, hid_t *ret_memory)
{
    size_t bytes = H5Tget_size(type);
    H5T_class_t class = H5Tget_class(type);
    if (class == H5T_FLOAT) {
        *ret_dtype = bytes == 8 ? DTYPE_F64 : DTYPE_F32;
        *ret_memory = bytes == 8 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
        return 0;
    }
    if (class == H5T_INTEGER || class == H5T_ENUM) {
        bool narrow = bytes == 4;
        *ret_dtype = narrow ? DTYPE_I32 : DTYPE_I64;
        *ret_memory = narrow ? H5T_NATIVE_INT32 : H5T_NATIVE_INT64;
        return 0;
    }
    if (is_bfloat16(set, type)) {
        *ret_dtype = DTYPE_F32;
        *ret_memory = type;
        return 0;
    }
    return -1;
}

static void widen_bfloat16(float *data, size_t n)
{
    const unsigned char *from = (const unsigned char *)data;
    for (size_t i = n; i-- > 0;) {
        uint32_t bits = (uint32_t)from[2 * i] << 16 | (uint32_t)from[2 * i + 1] << 24;
        memcpy(&data[i], &bits, sizeof bits);
    }
}

static int read_shape(hid_t set, struct shape *ret)
{
    hsize_t dims[SHAPE_RANK_MAX];
    hid_t space = H5Dget_space(set);
    int rank = H5Sget_simple_extent_ndims(space);
    bool usable = rank >= 0 && rank <= SHAPE_RANK_MAX && H5Sget_simple_extent_type(space) != H5S_NULL;
    if (usable && rank > 0) {
        H5Sget_simple_extent_dims(space, dims, NULL);
    }
    H5Sclose(space);
    if (!usable) {
        return -1;
    }
    *ret = (struct shape){.rank = rank};
    for (int i = 0; i < rank; i++) {
        ret->d[i] = dims[i] > (hsize_t)INT32_MAX ? -1 : (int64_t)dims[i];
    }
    return 0;
}

static int read_dataset_typed(struct reader *r, hid_t set, hid_t type)
{
    struct keras_tensor t = {.path = arena_strdup(r->arena, r->path), .name = r->name};
    hid_t memory;
    size_t bytes;
    if (pick_type(set, type, &t.dtype, &memory) < 0) {
        return fail(r, ERR_UNSUPPORTED, "an element type that is no number");
    }
    if (read_shape(set, &t.shape) < 0 || shape_bytes(&t.shape, t.dtype, &bytes) < 0) {
        return fail(r, ERR_CORRUPT, "a shape that cannot be");
    }
    if (bytes > r->left || r->n >= TENSORS_MAX) {
        return fail(r, ERR_LIMIT, "more tensors than the limit");
    }
    r->left -= bytes;
    void *data = arena_try(r->arena, bytes > 0 ? bytes : 1);
    if (data == NULL) {
        return fail(r, ERR_NO_MEMORY, "no memory for the tensor");
    }
    if (H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        return fail(r, ERR_CORRUPT, "its bytes cannot be read");
    }
    if (memory == type) {
        widen_bfloat16(data, bytes / sizeof(float));
    }
    t.data = data;
    *push(r) = t;
    return 0;
}

static int read_dataset(struct reader *r, hid_t group, const char *name)
{
    hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
    if (set < 0) {
        return fail(r, ERR_CORRUPT, "a data set that cannot be opened");
    }
    hid_t plist = H5Dget_create_plist(set);
    int external = H5Pget_external_count(plist);
    H5Pclose(plist);
    hid_t type = H5Dget_type(set);
    int result = external != 0 ? fail(r, ERR_UNSUPPORTED, "bytes outside the file") : read_dataset_typed(r, set, type);
    H5Tclose(type);
    H5Dclose(set);
    return result;
}

/* A scalar text attribute, or NULL. */
static const char *read_text(struct reader *r, hid_t object, const char *attribute_name)
{
    if (H5Aexists(object, attribute_name) <= 0) {
        return NULL;
    }
    hid_t attribute = H5Aopen(object, attribute_name, H5P_DEFAULT);
    hid_t type = H5Aget_type(attribute);
    hid_t space = H5Aget_space(attribute);
    const char *text = NULL;
    size_t size = H5Tget_size(type);
    if (H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1) {
        size = 0;
    } else if (H5Tis_variable_str(type) > 0) {
        char *value = NULL;
        if (H5Aread(attribute, type, &value) >= 0 && value != NULL) {
            text = strlen(value) <= TEXT_MAX ? arena_strdup(r->arena, value) : NULL;
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, &value);
        }
    } else if (size <= TEXT_MAX) {
        char *value = arena_alloc(r->arena, size + 1);
        text = H5Aread(attribute, type, value) >= 0 ? value : NULL;
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return text;
}

static int read_group(struct reader *r, hid_t parent, const char *name);

static herr_t visit(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    struct reader *r = user;
    size_t at = strlen(r->path);
    if (info->type != H5L_TYPE_HARD) {
        return fail(r, ERR_UNSUPPORTED, "a soft or external link");
    }
    if (at + strlen(name) + 2 > sizeof r->path || r->depth >= DEPTH_MAX) {
        return fail(r, ERR_LIMIT, "nested deeper than the limit");
    }
    if (at > 0) {
        r->path[at] = '/';
    }
    memcpy(r->path + at + (at > 0), name, strlen(name) + 1);
    H5O_info_t object;
    int result = 0;
    if (H5Oget_info_by_name(group, name, &object, H5P_DEFAULT) < 0) {
        result = fail(r, ERR_CORRUPT, "an object that cannot be opened");
    } else if (object.type == H5O_TYPE_GROUP) {
        result = read_group(r, group, name);
    } else if (object.type == H5O_TYPE_DATASET) {
        result = read_dataset(r, group, name);
    }
    r->path[at] = '\0';
    return result;
}

static int read_group(struct reader *r, hid_t parent, const char *name)
{
    hid_t group = H5Gopen2(parent, name, H5P_DEFAULT);
    if (group < 0) {
        return fail(r, ERR_CORRUPT, "a group that cannot be opened");
    }
    const char *outer = r->name;
    r->name = read_text(r, group, "name");
    r->depth++;
    herr_t result = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit, r);
    r->depth--;
    r->name = outer;
    H5Gclose(group);
    return result < 0 ? fail(r, ERR_CORRUPT, "a group that cannot be read") : 0;
}

/* A list of texts (fixed-length, as h5py's numpy bytes; or variable), e.g. layer_names. Long lists are split into name0, name1, ... */
static int read_names_one(struct reader *r, hid_t object, const char *attribute_name, struct doc *list)
{
    hid_t attribute = H5Aopen(object, attribute_name, H5P_DEFAULT);
    hid_t type = H5Aget_type(attribute);
    hid_t space = H5Aget_space(attribute);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    size_t size = H5Tget_size(type);
    int result = 0;
    if (H5Tget_class(type) != H5T_STRING || n < 0 || n > TENSORS_MAX || size > NAME_MAX_BYTES) {
        result = n == 0 ? 0 : fail(r, ERR_UNSUPPORTED, "a list of names in an odd form");
    } else if (H5Tis_variable_str(type) > 0) {
        char **values = arena_array(r->arena, (size_t)n + 1, sizeof *values);
        result = H5Aread(attribute, type, values) < 0 ? fail(r, ERR_CORRUPT, "names that cannot be read") : 0;
        for (hssize_t i = 0; i < n && result == 0; i++) {
            doc_set_str(doc_push(list, r->arena), r->arena, values[i]);
        }
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, values);
    } else {
        char *values = arena_alloc(r->arena, (size_t)n * size + 1);
        result = H5Aread(attribute, type, values) < 0 ? fail(r, ERR_CORRUPT, "names that cannot be read") : 0;
        for (hssize_t i = 0; i < n && result == 0; i++) {
            const char *value = values + (size_t)i * size;
            doc_set_strn(doc_push(list, r->arena), r->arena, value, strnlen(value, size));
        }
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return result;
}

static int read_names(struct reader *r, hid_t object, const char *name, struct doc *list)
{
    doc_set_list(list);
    if (H5Aexists(object, name) > 0) {
        return read_names_one(r, object, name, list);
    }
    for (int i = 0; i < TENSORS_MAX; i++) {
        const char *part = arena_printf(r->arena, "%s%d", name, i);
        if (H5Aexists(object, part) <= 0) {
            break;
        }
        if (read_names_one(r, object, part, list) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_legacy_layer(struct reader *r, hid_t weights, const char *layer)
{
    hid_t group = H5Gopen2(weights, layer, H5P_DEFAULT);
    if (group < 0) {
        return fail(r, ERR_CORRUPT, "a layer of layer_names is absent");
    }
    struct doc *names = doc_new(r->arena);
    int result = read_names(r, group, "weight_names", names);
    r->name = arena_strdup(r->arena, layer);
    for (size_t i = 0; i < names->n && result == 0; i++) {
        int n = snprintf(r->path, sizeof r->path, "model_weights/%s/%s", layer, names->items[i].str);
        result = n < 0 || (size_t)n >= sizeof r->path ? fail(r, ERR_LIMIT, "a name too long")
                                                      : read_dataset(r, group, names->items[i].str);
    }
    H5Gclose(group);
    return result;
}

static int read_legacy(struct reader *r, hid_t file, struct keras_file *ret)
{
    const char *config = read_text(r, file, "model_config");
    ret->legacy = true;
    if (config == NULL || doc_read_json(config, strlen(config), &doc_limits_default, r->arena, &ret->config, r->err) < 0) {
        return fail(r, ERR_CORRUPT, "model_config is no JSON");
    }
    hid_t weights = H5Gopen2(file, "model_weights", H5P_DEFAULT);
    if (weights < 0) {
        return fail(r, ERR_CORRUPT, "model_weights is absent");
    }
    struct doc *layers = doc_new(r->arena);
    int result = read_names(r, weights, "layer_names", layers);
    for (size_t i = 0; i < layers->n && result == 0; i++) {
        result = read_legacy_layer(r, weights, layers->items[i].str);
    }
    H5Gclose(weights);
    return result;
}

int keras_h5_read(const void *image, size_t size, size_t max_bytes, struct arena *arena, struct keras_file *ret,
                  struct err *err)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    struct reader r = {.arena = arena, .err = err, .left = max_bytes};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, false);
    void *copy = malloc(size > 0 ? size : 1); /* the driver wants bytes it may own; it copies from here */
    BUG_ON(copy == NULL);
    memcpy(copy, image, size);
    herr_t set = H5Pset_file_image(access, copy, size);
    free(copy);
    hid_t file = set < 0 ? -1 : H5Fopen("image", H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (file < 0) {
        return err_set(err, ERR_CORRUPT, "not an HDF5 file");
    }
    bool legacy = H5Aexists(file, "model_config") > 0;
    int result = legacy ? read_legacy(&r, file, ret) : read_group(&r, file, "/");
    H5Fclose(file);
    if (result < 0) {
        return r.code != 0 ? r.code : err_set(err, ERR_CORRUPT, "the HDF5 file cannot be read");
    }
    ret->tensors = r.tensors;
    ret->n_tensors = r.n;
    return 0;
}
