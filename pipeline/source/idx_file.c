#include "pipeline/source/idx_file.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

struct element {
    unsigned char code;
    enum dtype dtype;
};
static const struct element elements[] = {
    {0x08, DTYPE_U8},  {0x09, DTYPE_I8},  {0x0B, DTYPE_I16},
    {0x0C, DTYPE_I32}, {0x0D, DTYPE_F32}, {0x0E, DTYPE_F64},
};

static uint32_t big32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int inflate_all(z_stream *z, size_t max_bytes, struct buf *out, struct err *err)
{
    unsigned char chunk[65536];
    for (;;) {
        z->next_out = chunk;
        z->avail_out = sizeof chunk;
        const int code = inflate(z, Z_NO_FLUSH);
        buf_put(out, chunk, sizeof chunk - z->avail_out);
        if (out->size > max_bytes) {
            return err_set(err, ERR_LIMIT, "inflates to more than %zu bytes", max_bytes);
        }
        if (code == Z_STREAM_END) {
            /* Several members one after the other are one file. */
            if (z->avail_in == 0) {
                return 0;
            }
            if (inflateReset(z) != Z_OK) {
                return err_set(err, ERR_CORRUPT, "bytes behind the end of the gzip data");
            }
        } else if (code != Z_OK) {
            return err_set(err, ERR_CORRUPT, "broken or cut gzip data: %s",
                           z->msg != NULL ? z->msg : "ends early");
        }
    }
}

static int gunzip(struct buf *storage, size_t max_bytes, struct err *err)
{
    struct buf out = {0};
    z_stream z = {.next_in = (unsigned char *)storage->data, .avail_in = (uInt)storage->size};
    if (storage->size > UINT32_MAX) {
        return err_set(err, ERR_LIMIT, "%zu compressed bytes", storage->size);
    }
    const size_t by_ratio = storage->size * IDX_FILE_RATIO_MAX + 65536;
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
        return err_set(err, ERR_NO_MEMORY, "no memory to inflate");
    }
    const int r = inflate_all(&z, by_ratio < max_bytes ? by_ratio : max_bytes, &out, err);
    (void)inflateEnd(&z);
    if (r == 0) {
        buf_fini(storage);
        *storage = out;
    } else {
        buf_fini(&out);
    }
    return r;
}

static int read_header(const unsigned char *p, size_t size, struct tensor *ret, size_t *ret_header,
                       struct err *err)
{
    if (size < 4 || p[0] != 0 || p[1] != 0) {
        return err_set(err, size == 0 ? ERR_EMPTY : ERR_BAD_MAGIC, "is no IDX file: %s",
                       size < 4 ? "shorter than its magic" : "it does not begin with two zeros");
    }
    const struct element *element = NULL;
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        element = elements[i].code == p[2] ? &elements[i] : element;
    }
    const int rank = p[3];
    if (element == NULL) {
        return err_set(err, ERR_UNSUPPORTED,
                       "element type 0x%02x of an IDX file is none of 08, 09, 0B, 0C, 0D, 0E",
                       p[2]);
    }
    if (rank < 1 || rank > IDX_FILE_RANK_MAX) {
        return err_set(err, rank < 1 ? ERR_UNSUPPORTED : ERR_LIMIT,
                       "an IDX file of %d dimensions; 1 to %d are read", rank, IDX_FILE_RANK_MAX);
    }
    *ret_header = 4 + 4 * (size_t)rank;
    if (size < *ret_header) {
        return err_set(err, ERR_TRUNCATED, "ends inside its header: %zu bytes for %d dimensions",
                       size, rank);
    }
    *ret = (struct tensor){.dtype = element->dtype, .shape = {.rank = rank}};
    for (int i = 0; i < rank; i++) {
        ret->shape.d[i] = big32(p + 4 + 4 * i);
        if (i > 0 && ret->shape.d[i] == 0) {
            return err_set(err, ERR_CORRUPT, "dimension %d of an IDX file is 0", i);
        }
    }
    return 0;
}

static void swap(unsigned char *p, size_t bytes, size_t each)
{
    for (size_t i = 0; i < bytes && each > 1; i += each) {
        for (size_t k = 0; k < each / 2; k++) {
            const unsigned char t = p[i + k];
            p[i + k] = p[i + each - 1 - k];
            p[i + each - 1 - k] = t;
        }
    }
}

int idx_file_read(struct buf *storage, size_t max_bytes, struct tensor *ret, struct err *err)
{
    const unsigned char *p = (const unsigned char *)storage->data;
    if (storage->size >= 2 && p[0] == 0x1f && p[1] == 0x8b) {
        int r = gunzip(storage, max_bytes, err);
        if (r < 0) {
            return r;
        }
        p = (const unsigned char *)storage->data;
    }
    size_t header = 0, bytes = 0;
    int r = read_header(p, storage->size, ret, &header, err);
    if (r < 0) {
        return r;
    }
    char text[128];
    shape_format(&ret->shape, text, sizeof text);
    if (shape_bytes(&ret->shape, ret->dtype, &bytes) < 0 || bytes > max_bytes) {
        return err_set(err, ERR_LIMIT, "declares %s numbers, more than %zu bytes", text, max_bytes);
    }
    if (bytes != storage->size - header) {
        return err_set(err, bytes > storage->size - header ? ERR_TRUNCATED : ERR_CORRUPT,
                       "declares %s, %zu bytes behind its header, and has %zu", text, bytes,
                       storage->size - header);
    }
    /* The numbers move to the front: there they are aligned. */
    if (bytes > 0) {
        memmove(storage->data, storage->data + header, bytes);
    }
    storage->size = bytes;
    swap((unsigned char *)storage->data, bytes, dtype_bytes(ret->dtype));
    ret->data = storage->data;
    return 0;
}
