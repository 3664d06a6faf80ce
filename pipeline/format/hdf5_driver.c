#include "pipeline/format/hdf5_driver.h"

#include <stdlib.h>

struct file { /* libhdf5 sees the first field */
    H5FD_t pub;
    const struct input *in;
    haddr_t eoa; /* what libhdf5 thinks is in use */
};

/* The property list keeps a copy of this. */
struct access {
    const struct input *in;
};

static H5FD_t *open_file(const char *name, unsigned flags, hid_t list, haddr_t most)
{
    const struct access *access = H5Pget_driver_info(list);
    (void)name;
    if (access == NULL || flags != H5F_ACC_RDONLY || most == HADDR_UNDEF) {
        return NULL;
    }
    struct file *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return NULL;
    }
    file->in = access->in;
    return &file->pub;
}

static herr_t close_file(H5FD_t *file)
{
    free(file);
    return 0;
}

static herr_t query(const H5FD_t *file, unsigned long *ret_flags)
{
    (void)file;
    *ret_flags = H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_AGGREGATE_METADATA;
    return 0;
}

static haddr_t get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct file *)(const void *)file)->eoa;
}

static herr_t set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((struct file *)(void *)file)->eoa = address;
    return 0;
}

static haddr_t get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return (haddr_t)((const struct file *)(const void *)file)->in->size;
}

static herr_t read_file(H5FD_t *file, H5FD_mem_t type, hid_t list, haddr_t address, size_t n,
                        void *to)
{
    (void)type, (void)list;
    if (address > INT64_MAX) {
        return -1;
    }
    return input_read(((struct file *)(void *)file)->in, (int64_t)address, to, n, NULL) < 0 ? -1
                                                                                            : 0;
}

static herr_t refuse_write(H5FD_t *file, H5FD_mem_t type, hid_t list, haddr_t address, size_t n,
                           const void *from)
{
    (void)file, (void)type, (void)list, (void)address, (void)n, (void)from;
    return -1;
}

static const H5FD_class_t driver = {
    .name = "millrace_input",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(struct access),
    .open = open_file,
    .close = close_file,
    .query = query,
    .get_eoa = get_eoa,
    .set_eoa = set_eoa,
    .get_eof = get_eof,
    .read = read_file,
    .write = refuse_write,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

hid_t hdf5_driver_list(const struct input *in, hid_t *ret_driver)
{
    const struct access access = {in};
    const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    *ret_driver = H5FDregister(&driver);
    if (*ret_driver < 0 || list < 0 || H5Pset_driver(list, *ret_driver, &access) < 0) {
        if (list >= 0) {
            (void)H5Pclose(list);
        }
        return -1;
    }
    return list;
}
