#include "pipeline/format/npz.h"

#include <stdlib.h>
#include <string.h>

static int open_array(struct npz *npz, size_t i, int64_t *left, struct err *err)
{
    struct npz_array *array = &npz->arrays[npz->n++];
    const char *name = zip_name(&npz->zip, i);
    const size_t n = strlen(name);
    const bool has_ending = n > 4 && strcmp(name + n - 4, ".npy") == 0;
    struct input in;
    array->name = strndup(name, has_ending ? n - 4 : n);
    if (array->name == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for an array's name");
    }
    int r = 0;
    if (npz->zip.members[i].is_deflated) {
        r = zip_read(&npz->zip, i, *left, &array->storage, err);
        input_memory(&in, array->storage.data, array->storage.size, name);
        *left -= (int64_t)array->storage.size;
    } else {
        r = zip_part(&npz->zip, i, true, &in, err);
    }
    return r < 0 ? r : npy_open(&array->npy, &in, err);
}

int npz_open(struct npz *npz, const struct input *in, int64_t max_bytes, struct err *err)
{
    int r = zip_open(&npz->zip, in, err);
    npz->n = 0;
    if (r == 0 && npz->zip.n > NPZ_ARRAYS_MAX) {
        r = input_fail(in, -1, ERR_LIMIT, err, "%zu arrays, more than %d", npz->zip.n,
                       NPZ_ARRAYS_MAX);
    }
    for (size_t i = 0; r == 0 && i < npz->zip.n; i++) {
        r = open_array(npz, i, &max_bytes, err);
    }
    if (r < 0) {
        npz_close(npz);
    }
    return r;
}

void npz_close(struct npz *npz)
{
    if (npz != NULL) {
        for (size_t i = 0; i < npz->n; i++) {
            free(npz->arrays[i].name);
            buf_fini(&npz->arrays[i].storage);
            npz->arrays[i] = (struct npz_array){.name = NULL};
        }
        npz->n = 0;
        zip_close(&npz->zip);
    }
}

const struct npy *npz_find(const struct npz *npz, const char *name)
{
    for (size_t i = 0; i < npz->n; i++) {
        if (strcmp(npz->arrays[i].name, name) == 0) {
            return &npz->arrays[i].npy;
        }
    }
    return NULL;
}

int npz_rows(const struct npz *npz, int64_t *ret, struct err *err)
{
    *ret = npz->n > 0 ? npz->arrays[0].npy.n_rows : 0;
    for (size_t i = 1; i < npz->n; i++) {
        if (npz->arrays[i].npy.n_rows != *ret) {
            return input_fail(npz->zip.in, -1, ERR_SCHEMA, err,
                              "'%.60s' has %lld rows and '%.60s' %lld", npz->arrays[0].name,
                              (long long)*ret, npz->arrays[i].name,
                              (long long)npz->arrays[i].npy.n_rows);
        }
    }
    return 0;
}
