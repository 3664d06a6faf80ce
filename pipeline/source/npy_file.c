#include "pipeline/source/npy_file.h"

#include <string.h>

#include "pipeline/format/npy.h"

bool npy_file_is(const void *data, size_t size)
{
    return size >= 6 && memcmp(data, "\x93NUMPY", 6) == 0;
}

int npy_file_read(const void *data, size_t size, struct buf *storage, struct tensor *ret,
                  struct err *err)
{
    struct input in;
    struct npy npy;
    size_t bytes = 0;
    input_memory(&in, data, size, "");
    int r = npy_open(&npy, &in, err);
    r = r < 0 ? r : shape_bytes(&npy.shape, npy.dtype, &bytes);
    if (r < 0) {
        return r;
    }
    buf_clear(storage);
    buf_reserve(storage, bytes);
    storage->size = bytes;
    *ret = (struct tensor){.dtype = npy.dtype, .shape = npy.shape, .data = storage->data};
    return npy_read(&npy, 0, npy.n_rows, false, storage->data, err);
}
