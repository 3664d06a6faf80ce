#include "pipeline/format/hdf5.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/format/hdf5_driver.h"

struct hdf5 {
    struct input in;
    struct hdf5_info info;
    hid_t driver, file, set, space, memory_type;
    bool is_u64;
};

/* A step of opening: the first that fails names the error. */
#define CHECK(hdf5, condition, code, ...)                                 \
    do {                                                                  \
        if (!(condition)) {                                               \
            return input_fail(&(hdf5)->in, -1, (code), err, __VA_ARGS__); \
        }                                                                 \
    } while (0)

/* Every part of the path is a hard link: others may lead into other files. */
static int check_links(struct hdf5 *h, const char *path, struct err *err)
{
    char part[HDF5_PATH_MAX];
    const size_t n = strlen(path);
    CHECK(h, n > 0 && n < HDF5_PATH_MAX, ERR_NOT_FOUND, "a dataset's name of %zu bytes", n);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        H5L_info_t link;
        memcpy(part, path, i);
        part[i] = '\0';
        CHECK(h, H5Lexists(h->file, part, H5P_DEFAULT) > 0, ERR_NOT_FOUND,
              "has no dataset '%.100s'", path);
        CHECK(h, H5Lget_info(h->file, part, &link, H5P_DEFAULT) >= 0, ERR_CORRUPT,
              "the link '%.100s' cannot be read", part);
        CHECK(h, link.type == H5L_TYPE_HARD, ERR_UNSAFE_TYPE, "'%.100s' is a link to elsewhere",
              part);
    }
    return 0;
}

static int check_layout(struct hdf5 *h, hid_t list, struct err *err)
{
    static const H5Z_filter_t allowed[] = {H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE,
                                           H5Z_FILTER_FLETCHER32};
    hsize_t chunk[SHAPE_RANK_MAX] = {0};
    const H5D_layout_t layout = H5Pget_layout(list);
    CHECK(h, layout != H5D_LAYOUT_ERROR, ERR_CORRUPT, "its layout cannot be read");
    CHECK(h, layout != H5D_VIRTUAL && H5Pget_external_count(list) == 0, ERR_UNSAFE_TYPE,
          "its data lie in other files");
    const int n = H5Pget_nfilters(list);
    for (int i = 0; i < n; i++) {
        unsigned flags, config;
        size_t n_values = 0;
        const H5Z_filter_t filter =
            H5Pget_filter2(list, (unsigned)i, &flags, &n_values, NULL, 0, NULL, &config);
        bool is_allowed = false;
        for (size_t k = 0; k < sizeof allowed / sizeof allowed[0]; k++) {
            is_allowed = is_allowed || filter == allowed[k];
        }
        CHECK(h, is_allowed, ERR_UNSUPPORTED, "its data went through filter %d", (int)filter);
    }
    if (layout == H5D_CHUNKED) {
        double bytes = 8;
        const int rank = H5Pget_chunk(list, SHAPE_RANK_MAX, chunk);
        for (int i = 0; i < rank && i < SHAPE_RANK_MAX; i++) {
            bytes *= (double)chunk[i];
        }
        CHECK(h, rank >= 0 && bytes <= HDF5_CHUNK_MAX, ERR_LIMIT, "its chunks are over %d bytes",
              HDF5_CHUNK_MAX);
    }
    return 0;
}

/* A row a class, size and sign of the file's type: ours, and what libhdf5 converts to. */
static const struct {
    H5T_class_t class;
    size_t bytes;
    H5T_sign_t sign;
    enum dtype dtype;
} types[] = {
    {H5T_INTEGER, 1, H5T_SGN_NONE, DTYPE_U8},  {H5T_INTEGER, 1, H5T_SGN_2, DTYPE_I8},
    {H5T_INTEGER, 2, H5T_SGN_NONE, DTYPE_U16}, {H5T_INTEGER, 2, H5T_SGN_2, DTYPE_I16},
    {H5T_INTEGER, 4, H5T_SGN_NONE, DTYPE_I64}, {H5T_INTEGER, 4, H5T_SGN_2, DTYPE_I32},
    {H5T_INTEGER, 8, H5T_SGN_NONE, DTYPE_I64}, {H5T_INTEGER, 8, H5T_SGN_2, DTYPE_I64},
    {H5T_FLOAT, 2, H5T_SGN_ERROR, DTYPE_F32},  {H5T_FLOAT, 4, H5T_SGN_ERROR, DTYPE_F32},
    {H5T_FLOAT, 8, H5T_SGN_ERROR, DTYPE_F64},
};

static hid_t native_of(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_U8: return H5T_NATIVE_UINT8;
    case DTYPE_I8: return H5T_NATIVE_INT8;
    case DTYPE_U16: return H5T_NATIVE_UINT16;
    case DTYPE_I16: return H5T_NATIVE_INT16;
    case DTYPE_I32: return H5T_NATIVE_INT32;
    case DTYPE_I64: return H5T_NATIVE_INT64;
    case DTYPE_F32: return H5T_NATIVE_FLOAT;
    case DTYPE_F64: return H5T_NATIVE_DOUBLE;
    case DTYPE_BOOL:
    case DTYPE_STR:
    case DTYPE_MAX_:
    default: return -1;
    }
}

/* h5py's bool: FALSE = 0, TRUE = 1 in a byte. */
static bool is_bool(hid_t type)
{
    signed char values[2] = {9, 9};
    if (H5Tget_class(type) != H5T_ENUM || H5Tget_size(type) != 1 || H5Tget_nmembers(type) != 2) {
        return false;
    }
    return H5Tenum_valueof(type, "FALSE", &values[0]) >= 0 &&
           H5Tenum_valueof(type, "TRUE", &values[1]) >= 0 && values[0] == 0 && values[1] == 1;
}

static int find_type(struct hdf5 *h, hid_t type, struct err *err)
{
    const H5T_class_t class = H5Tget_class(type);
    const size_t bytes = H5Tget_size(type);
    if (is_bool(type)) {
        h->info.dtype = DTYPE_BOOL;
        h->memory_type = H5Tcopy(type);
        return 0;
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].class == class && types[i].bytes == bytes &&
            (class == H5T_FLOAT || types[i].sign == H5Tget_sign(type))) {
            h->info.dtype = types[i].dtype;
            h->is_u64 = class == H5T_INTEGER && bytes == 8 && types[i].sign == H5T_SGN_NONE;
            h->memory_type = H5Tcopy(h->is_u64 ? H5T_NATIVE_UINT64 : native_of(types[i].dtype));
            CHECK(h, h->memory_type >= 0, ERR_NO_MEMORY, "no memory for a type");
            return 0;
        }
    }
    return input_fail(&h->in, -1, ERR_UNSUPPORTED, err,
                      "holds elements of class %d and %zu bytes, not plain numbers", (int)class,
                      bytes);
}

static int find_shape(struct hdf5 *h, struct err *err)
{
    hsize_t sides[SHAPE_RANK_MAX] = {0};
    int64_t count = 0;
    h->space = H5Dget_space(h->set);
    CHECK(h, h->space >= 0, ERR_CORRUPT, "its shape cannot be read");
    CHECK(h, H5Sget_simple_extent_type(h->space) != H5S_NULL, ERR_EMPTY, "the dataset is null");
    const int rank = H5Sget_simple_extent_ndims(h->space);
    CHECK(h, rank >= 0 && rank <= SHAPE_RANK_MAX, ERR_LIMIT, "has %d dimensions, more than %d",
          rank, SHAPE_RANK_MAX);
    CHECK(h, H5Sget_simple_extent_dims(h->space, sides, NULL) == rank, ERR_CORRUPT,
          "its shape cannot be read");
    h->info.shape.rank = rank;
    for (int i = 0; i < rank; i++) {
        CHECK(h, sides[i] <= INT64_MAX / 8, ERR_LIMIT, "its dimension %d is %llu", i,
              (unsigned long long)sides[i]);
        h->info.shape.d[i] = (int64_t)sides[i];
    }
    CHECK(h, shape_count(&h->info.shape, &count) == 0 && count <= INT64_MAX / 8, ERR_LIMIT,
          "declares too many numbers");
    h->info.n_rows = rank > 0 ? h->info.shape.d[0] : 1;
    h->info.row = 1;
    for (int i = 1; i < rank; i++) {
        h->info.row *= h->info.shape.d[i];
    }
    return 0;
}

static int open_file(struct hdf5 *h, struct err *err)
{
    const hid_t list = hdf5_driver_list(&h->in, &h->driver);
    CHECK(h, list >= 0, ERR_NO_MEMORY, "libhdf5 takes no driver");
    /* No file has that name; a relative one would make libhdf5 ask for the folder it is in. */
    h->file = H5Fopen("/input", H5F_ACC_RDONLY, list);
    (void)H5Pclose(list);
    CHECK(h, h->file >= 0, ERR_CORRUPT, "libhdf5 cannot read it");
    return 0;
}

static int open_set(struct hdf5 *h, const char *path, struct err *err)
{
    int r = check_links(h, path, err);
    if (r < 0) {
        return r;
    }
    h->set = H5Dopen2(h->file, path, H5P_DEFAULT);
    CHECK(h, h->set >= 0, ERR_NOT_FOUND, "'%.100s' is no dataset", path);
    const hid_t list = H5Dget_create_plist(h->set), type = H5Dget_type(h->set);
    r = list < 0 || type < 0 ? input_fail(&h->in, -1, ERR_CORRUPT, err, "'%.100s' is damaged", path)
                             : check_layout(h, list, err);
    r = r < 0 ? r : find_type(h, type, err);
    if (list >= 0) {
        (void)H5Pclose(list);
    }
    if (type >= 0) {
        (void)H5Tclose(type);
    }
    return r < 0 ? r : find_shape(h, err);
}

/* The signature may stand at 0, 512, 1024, 2048, ...: behind a user's block. */
static int check_magic(const struct input *in, struct err *err)
{
    char p[8];
    if (in->size == 0) {
        return input_fail(in, -1, ERR_EMPTY, err, "has no bytes");
    }
    for (int64_t at = 0; at + 8 <= in->size && at <= 1 << 20; at = at == 0 ? 512 : 2 * at) {
        int r = input_read(in, at, p, sizeof p, err);
        if (r < 0 || memcmp(p, "\x89HDF\r\n\x1a\n", sizeof p) == 0) {
            return r;
        }
    }
    return input_fail(in, -1, ERR_BAD_MAGIC, err, "is no HDF5 file");
}

int hdf5_open(const struct input *in, const char *path, struct hdf5 **ret,
              struct hdf5_info *ret_info, struct err *err)
{
    *ret = NULL;
    int r = check_magic(in, err);
    if (r < 0) {
        return r;
    }
    struct hdf5 *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for an array");
    }
    h->in = *in;
    h->driver = h->file = h->set = h->space = h->memory_type = -1;
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* it would print */
    (void)H5PLset_loading_state(0);              /* no plug-ins */
    r = open_file(h, err);
    r = r < 0 ? r : open_set(h, path, err);
    if (r < 0) {
        hdf5_close(h);
        return r;
    }
    *ret = h;
    *ret_info = h->info;
    return 0;
}

void hdf5_close(struct hdf5 *h)
{
    if (h == NULL) {
        return;
    }
    if (h->memory_type >= 0) {
        (void)H5Tclose(h->memory_type);
    }
    if (h->space >= 0) {
        (void)H5Sclose(h->space);
    }
    if (h->set >= 0) {
        (void)H5Dclose(h->set);
    }
    if (h->file >= 0) {
        (void)H5Fclose(h->file);
    }
    if (h->driver >= 0) {
        (void)H5FDunregister(h->driver);
    }
    free(h);
}

static int check_numbers(const struct hdf5 *h, int64_t count, bool takes_all, const void *data,
                         struct err *err)
{
    for (int64_t i = 0; i < count; i++) {
        const bool is_good = h->is_u64                    ? ((const int64_t *)data)[i] >= 0
                             : takes_all                  ? true
                             : h->info.dtype == DTYPE_F32 ? isfinite(((const float *)data)[i]) != 0
                             : h->info.dtype == DTYPE_F64 ? isfinite(((const double *)data)[i]) != 0
                                                          : true;
        CHECK(h, is_good, h->is_u64 ? ERR_VALUE : ERR_NOT_FINITE, "number %lld is %s", (long long)i,
              h->is_u64 ? "over 2^63" : "not finite");
    }
    return 0;
}

int hdf5_read(struct hdf5 *h, int64_t first, int64_t n, bool takes_all, void *ret, struct err *err)
{
    hsize_t begin[SHAPE_RANK_MAX] = {(hsize_t)first}, count[SHAPE_RANK_MAX] = {(hsize_t)n};
    const int rank = h->info.shape.rank;
    BUG_ON(first < 0 || n < 0 || n > h->info.n_rows - first);
    if (n * h->info.row == 0) {
        return 0;
    }
    for (int i = 1; i < rank; i++) {
        count[i] = (hsize_t)h->info.shape.d[i];
    }
    const hid_t memory = H5Screate_simple(rank, count, NULL);
    herr_t r = memory < 0 ? -1 : 0;
    if (r >= 0 && rank > 0) {
        r = H5Sselect_hyperslab(h->space, H5S_SELECT_SET, begin, NULL, count, NULL);
    }
    r = r < 0 ? r : H5Dread(h->set, h->memory_type, memory, h->space, H5P_DEFAULT, ret);
    if (memory >= 0) {
        (void)H5Sclose(memory);
    }
    CHECK(h, r >= 0, ERR_CORRUPT, "rows %lld to %lld cannot be read", (long long)first,
          (long long)(first + n));
    return check_numbers(h, n * h->info.row, takes_all, ret, err);
}
