#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "trainer/keras/keras_h5.h"

enum {
    PATH_MAX_BYTES = 512,
    SUPERBLOCK_BASE = 24, /* of "base address" in a version 0 superblock */
    SUPERBLOCK_END = 40,  /* of "end of file address" */
    RESERVE_SLACK = 1 << 14,
    RESERVE_EACH = 1024, /* object headers and group entries a tensor */
};

static hid_t type_of(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: return H5T_STD_U8LE;
    case DTYPE_I8: return H5T_STD_I8LE;
    case DTYPE_U16: return H5T_STD_U16LE;
    case DTYPE_I16: return H5T_STD_I16LE;
    case DTYPE_I32: return H5T_STD_I32LE;
    case DTYPE_I64: return H5T_STD_I64LE;
    case DTYPE_F32: return H5T_IEEE_F32LE;
    case DTYPE_F64: return H5T_IEEE_F64LE;
    case DTYPE_STR:
    case DTYPE_MAX_: break;
    }
    BUG("dtype %d", (int)dtype);
}

/* h5py marks the user's name of a layer on its `vars` group; a group that has it already is left alone. */
static int name_group(hid_t file, const char *path, const char *name)
{
    char group[PATH_MAX_BYTES];
    const char *slash = strrchr(path, '/');
    if (name == NULL || slash == NULL || (size_t)(slash - path) >= sizeof group) {
        return 0;
    }
    memcpy(group, path, (size_t)(slash - path));
    group[slash - path] = '\0';
    hid_t object = H5Gopen2(file, group, H5P_DEFAULT);
    if (object < 0) {
        return -1;
    }
    int r = 0;
    if (H5Aexists(object, "name") == 0) {
        hid_t space = H5Screate(H5S_SCALAR);
        hid_t type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, H5T_VARIABLE);
        H5Tset_cset(type, H5T_CSET_UTF8);
        hid_t attribute = H5Acreate2(object, "name", type, space, H5P_DEFAULT, H5P_DEFAULT);
        r = attribute < 0 || H5Awrite(attribute, type, &name) < 0 ? -1 : 0;
        if (attribute >= 0 && H5Aclose(attribute) < 0) {
            r = -1;
        }
        H5Tclose(type);
        H5Sclose(space);
    }
    return H5Gclose(object) < 0 ? -1 : r;
}

static int write_tensor(hid_t file, hid_t link_plist, const struct keras_tensor *t)
{
    hsize_t dims[SHAPE_RANK_MAX];
    for (int i = 0; i < t->shape.rank; i++) {
        dims[i] = (hsize_t)t->shape.d[i];
    }
    hid_t space = t->shape.rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(t->shape.rank, dims, NULL);
    hid_t type = type_of(t->dtype);
    hid_t set = H5Dcreate2(file, t->path, type, space, link_plist, H5P_DEFAULT, H5P_DEFAULT);
    int r = set < 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->data) < 0 ? -1 : 0;
    if (set >= 0 && H5Dclose(set) < 0) {
        r = -1;
    }
    H5Sclose(space);
    return r < 0 ? r : name_group(file, t->path, t->name);
}

static uint64_t bytes_needed(const struct keras_tensor *tensors, int n)
{
    uint64_t sum = KERAS_H5_USER_BLOCK + RESERVE_SLACK;
    for (int i = 0; i < n; i++) {
        size_t bytes = 0;
        if (shape_bytes(&tensors[i].shape, tensors[i].dtype, &bytes) < 0) {
            BUG("tensor %s has no size", tensors[i].path);
        }
        sum += bytes + RESERVE_EACH;
    }
    return sum;
}

/* The base address is that of the user block; readers that get the member cut out of the zip want 0. */
static int cut_superblock(int fd, uint64_t size, struct err *err)
{
    unsigned char head[9];
    int64_t got = file_pread(fd, head, sizeof head, KERAS_H5_USER_BLOCK, err);
    if (got < 0) {
        return (int)got;
    }
    BUG_ON(got != sizeof head || memcmp(head, "\x89HDF\r\n\x1a\n", 8) != 0 || head[8] != 0);
    unsigned char zero[8] = {0};
    unsigned char end[8];
    for (int i = 0; i < 8; i++) {
        end[i] = (unsigned char)(size >> (8 * i));
    }
    int r = file_pwrite_all(fd, zero, sizeof zero, KERAS_H5_USER_BLOCK + SUPERBLOCK_BASE, err);
    return r < 0 ? r : file_pwrite_all(fd, end, sizeof end, KERAS_H5_USER_BLOCK + SUPERBLOCK_END, err);
}

/* Space first: a full disk is found before the bytes are written, not in the middle of them. */
static int reserve(int fd, const struct keras_tensor *tensors, int n, struct err *err)
{
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes_needed(tensors, n)) < 0 && errno != EOPNOTSUPP) {
        return err_errno(err, errno, "reserve space for a checkpoint");
    }
    return 0;
}

static int write_all(hid_t file, int fd, const struct keras_tensor *tensors, int n, struct err *err)
{
    int r = reserve(fd, tensors, n, err);
    if (r < 0) {
        return r;
    }
    hid_t link_plist = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(link_plist, 1);
    for (int i = 0; i < n && r == 0; i++) {
        errno = 0;
        if (write_tensor(file, link_plist, &tensors[i]) < 0) {
            r = err_errno(err, errno != 0 ? errno : EIO, "write tensor '%s'", tensors[i].path);
        }
    }
    H5Pclose(link_plist);
    return r;
}

int keras_h5_write(const char *path, int fd, const struct keras_tensor *tensors, int n, uint64_t *ret_size,
                   struct err *err)
{
    int r = reserve(fd, tensors, n, err); /* libhdf5 cannot say that the disk is full, and gives it back at its open */
    if (r < 0) {
        return r;
    }
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(create, KERAS_H5_USER_BLOCK);
    errno = 0;
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, create, H5P_DEFAULT);
    H5Pclose(create);
    if (file < 0) {
        return err_errno(err, errno != 0 ? errno : EIO, "create '%s'", path);
    }
    r = write_all(file, fd, tensors, n, err);
    errno = 0;
    if (H5Fclose(file) < 0 && r == 0) {
        r = err_errno(err, errno != 0 ? errno : EIO, "close '%s'", path);
    }
    struct stat st;
    if (r == 0 && fstat(fd, &st) < 0) {
        r = err_errno(err, errno, "stat '%s'", path);
    }
    if (r < 0) {
        return r;
    }
    *ret_size = (uint64_t)st.st_size - KERAS_H5_USER_BLOCK;
    return cut_superblock(fd, *ret_size, err);
}
