#include "trainer/keras/keras_zip.h"

#include <string.h>
#include <zlib.h>

#include "base/file.h"

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    PAD_ID = 0xD935,      /* the "alignment" extra field that zipalign writes */
    DOS_DATE = 0x21,      /* 1980-01-01: equal inputs give equal archives */
    VERSION_NEEDED = 20,
    COPY_BYTES = 1 << 16,
};

static unsigned char *put_le(unsigned char *p, uint64_t value, int n)
{
    for (int i = 0; i < n; i++) {
        *p++ = (unsigned char)(value >> (8 * i));
    }
    return p;
}

/* The fields that the local and the central header share, from "version needed" to "name length". */
static unsigned char *put_common(unsigned char *p, const struct keras_zip_member *m)
{
    p = put_le(p, VERSION_NEEDED, 2);
    p = put_le(p, 0, 2); /* flags */
    p = put_le(p, 0, 2); /* stored */
    p = put_le(p, 0, 2); /* time */
    p = put_le(p, DOS_DATE, 2);
    p = put_le(p, m->crc, 4);
    p = put_le(p, m->size, 4);
    p = put_le(p, m->size, 4);
    return put_le(p, strlen(m->name), 2);
}

static size_t put_local(unsigned char *buf, const struct keras_zip_member *m, size_t pad)
{
    size_t n = strlen(m->name);
    unsigned char *p = put_le(buf, 0x04034b50, 4);
    p = put_common(p, m);
    p = put_le(p, pad, 2);
    memcpy(p, m->name, n);
    p += n;
    if (pad > 0) {
        p = put_le(p, PAD_ID, 2);
        p = put_le(p, pad - 4, 2);
        memset(p, 0, pad - 4);
        p += pad - 4;
    }
    return (size_t)(p - buf);
}

static int new_member(struct keras_zip *zip, const char *name, uint64_t offset, uint64_t size,
                      struct keras_zip_member **ret, struct err *err)
{
    BUG_ON(zip->n == KERAS_ZIP_MEMBERS_MAX || strlen(name) >= KERAS_ZIP_NAME_MAX);
    if (offset + size + (1 << 20) > UINT32_MAX) {
        return err_set(err, ERR_LIMIT, "a .keras file above 4 GiB (zip64) is not supported");
    }
    struct keras_zip_member *m = &zip->members[zip->n++];
    *m = (struct keras_zip_member){.size = size, .offset = offset};
    memcpy(m->name, name, strlen(name) + 1);
    *ret = m;
    return 0;
}

static int crc_of_range(int fd, uint64_t offset, uint64_t size, uint32_t *ret, struct err *err)
{
    unsigned char block[COPY_BYTES];
    uLong crc = crc32(0, NULL, 0);
    while (size > 0) {
        size_t want = size < sizeof block ? (size_t)size : sizeof block;
        int64_t got = file_pread(fd, block, want, (int64_t)offset, err);
        if (got < 0) {
            return (int)got;
        }
        if (got == 0) {
            return err_set(err, ERR_IO, "the file ended while its checksum was read");
        }
        crc = crc32(crc, block, (uInt)got);
        offset += (uint64_t)got;
        size -= (uint64_t)got;
    }
    *ret = (uint32_t)crc;
    return 0;
}

int keras_zip_wrap(struct keras_zip *zip, const char *name, uint64_t header_offset, uint64_t data_offset, uint64_t size,
                   struct err *err)
{
    unsigned char header[1 << 13];
    struct keras_zip_member *m;
    int r = new_member(zip, name, header_offset, size, &m, err);
    if (r < 0) {
        return r;
    }
    size_t pad = (size_t)(data_offset - header_offset) - LOCAL_BYTES - strlen(name);
    BUG_ON(data_offset - header_offset > sizeof header || pad < 4);
    r = crc_of_range(zip->fd, data_offset, size, &m->crc, err);
    if (r < 0) {
        return r;
    }
    size_t n = put_local(header, m, pad);
    if (data_offset + size > zip->end) {
        zip->end = data_offset + size;
    }
    return file_pwrite_all(zip->fd, header, n, (int64_t)header_offset, err);
}

int keras_zip_add(struct keras_zip *zip, const char *name, const void *data, size_t size, struct err *err)
{
    unsigned char header[LOCAL_BYTES + KERAS_ZIP_NAME_MAX];
    struct keras_zip_member *m;
    int r = new_member(zip, name, zip->end, size, &m, err);
    if (r < 0) {
        return r;
    }
    m->crc = (uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)size);
    size_t n = put_local(header, m, 0);
    r = file_pwrite_all(zip->fd, header, n, (int64_t)zip->end, err);
    if (r == 0) {
        r = file_pwrite_all(zip->fd, data, size, (int64_t)(zip->end + n), err);
    }
    zip->end += n + size;
    return r;
}

int keras_zip_finish(struct keras_zip *zip, struct err *err)
{
    unsigned char buf[KERAS_ZIP_MEMBERS_MAX * (CENTRAL_BYTES + KERAS_ZIP_NAME_MAX) + END_BYTES];
    unsigned char *p = buf;
    for (int i = 0; i < zip->n; i++) {
        const struct keras_zip_member *m = &zip->members[i];
        p = put_le(p, 0x02014b50, 4);
        p = put_le(p, VERSION_NEEDED, 2);
        p = put_common(p, m);
        p = put_le(p, 0, 8); /* extra, comment, disk, internal attributes */
        p = put_le(p, 0, 4); /* external attributes */
        p = put_le(p, m->offset, 4);
        memcpy(p, m->name, strlen(m->name));
        p += strlen(m->name);
    }
    uint64_t central_bytes = (uint64_t)(p - buf);
    p = put_le(p, 0x06054b50, 4);
    p = put_le(p, 0, 4); /* disks */
    p = put_le(p, (uint64_t)zip->n, 2);
    p = put_le(p, (uint64_t)zip->n, 2);
    p = put_le(p, central_bytes, 4);
    p = put_le(p, zip->end, 4);
    p = put_le(p, 0, 2);
    int r = file_pwrite_all(zip->fd, buf, (size_t)(p - buf), (int64_t)zip->end, err);
    zip->end += (uint64_t)(p - buf);
    return r;
}
