#include "pipeline/format/zip.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "pipeline/format/member.h"
#include "pipeline/format/unpack.h"

enum {
    END = 22,
    END64 = 56,
    LOCATOR64 = 20,
    ENTRY = 46,
    LOCAL = 30,
    COMMENT_MAX = 65535,
    ENCRYPTED = 1 << 0,
    STRONG = 1 << 6,
};

struct directory {
    int64_t offset, bytes, n;
    int64_t end; /* where the end record stands */
};

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t n = 0;
    for (int i = bytes - 1; i >= 0; i--) {
        n = n << 8 | p[i];
    }
    return n;
}

static int read_end64(const struct input *in, struct directory *d, struct err *err)
{
    unsigned char p[END64];
    int r = d->end >= LOCATOR64 ? input_read(in, d->end - LOCATOR64, p, LOCATOR64, err) : 0;
    if (r < 0 || d->end < LOCATOR64 || memcmp(p, "PK\6\7", 4) != 0) {
        return r;
    }
    const int64_t at = (int64_t)(little(p + 8, 8) & INT64_MAX);
    r = input_read(in, at, p, END64, err);
    if (r == 0 && memcmp(p, "PK\6\6", 4) != 0) {
        r = input_fail(in, at, ERR_CORRUPT, err, "no Zip64 end record");
    }
    d->n = (int64_t)(little(p + 32, 8) & INT64_MAX);
    d->bytes = (int64_t)(little(p + 40, 8) & INT64_MAX);
    d->offset = (int64_t)(little(p + 48, 8) & INT64_MAX);
    return r;
}

/* The end record stands in front of a comment at the end of the file. */
static int find_directory(const struct input *in, struct directory *d, struct err *err)
{
    unsigned char magic[4] = {0};
    struct input_window window = {.in = in};
    const unsigned char *p = NULL;
    const size_t n = in->size < END + COMMENT_MAX ? (size_t)in->size : END + COMMENT_MAX;
    if (in->size == 0) {
        return input_fail(in, -1, ERR_EMPTY, err, "has no bytes");
    }
    int r = in->size < 4 ? 0 : input_read(in, 0, magic, 4, err);
    r = r < 0 ? r : input_window_need(&window, in->size - (int64_t)n, n, &p, err);
    d->end = -1;
    for (size_t i = n; r == 0 && d->end < 0 && i >= END; i--) {
        const unsigned char *end = p + i - END;
        if (memcmp(end, "PK\5\6", 4) == 0 && little(end + 20, 2) == n - i) {
            d->end = in->size - (int64_t)n + (int64_t)(i - END);
            d->n = (int64_t)little(end + 10, 2);
            d->bytes = (int64_t)little(end + 12, 4);
            d->offset = (int64_t)little(end + 16, 4);
            r = little(end + 4, 2) != 0 || little(end + 6, 2) != 0
                    ? input_fail(in, d->end, ERR_UNSUPPORTED, err, "one of several disks")
                    : 0;
        }
    }
    input_window_fini(&window);
    if (r == 0 && d->end < 0) {
        r = memcmp(magic, "PK", 2) == 0
                ? input_fail(in, -1, ERR_TRUNCATED, err, "ends without the directory of a zip")
                : input_fail(in, -1, ERR_BAD_MAGIC, err, "is no zip archive");
    }
    r = r < 0 ? r : read_end64(in, d, err);
    if (r == 0 && (d->offset > d->end || d->bytes > d->end - d->offset)) {
        r = input_fail(in, d->end, ERR_CORRUPT, err, "a directory outside of the file");
    }
    if (r == 0 && (d->bytes > ZIP_DIRECTORY_MAX || d->n > ZIP_MEMBERS_MAX)) {
        r = input_fail(in, d->end, ERR_LIMIT, err, "more than %d members or %d bytes of directory",
                       ZIP_MEMBERS_MAX, ZIP_DIRECTORY_MAX);
    }
    return r;
}

/* Sizes that do not fit into 32 bits stand in the extra field 1, in this order. */
static int take_extra64(const struct input *in, int64_t at, const unsigned char *p, size_t n,
                        int64_t *const values[3], struct err *err)
{
    while (n >= 4) {
        const size_t id = little(p, 2), bytes = little(p + 2, 2);
        if (bytes > n - 4) {
            break;
        }
        const unsigned char *value = p + 4, *end = value + bytes;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*values[i] != UINT32_MAX) {
                continue;
            }
            if (end - value < 8) {
                return input_fail(in, at, ERR_CORRUPT, err, "a Zip64 field that is too short");
            }
            *values[i] = (int64_t)(little(value, 8) & INT64_MAX);
            value += 8;
        }
        p = end;
        n -= 4 + bytes;
    }
    return 0;
}

/* Where the data begin: behind the local header, which must be of the same member. */
static int find_data(const struct input *in, const char *name, size_t n_name, int64_t limit,
                     struct zip_member *m, struct err *err)
{
    unsigned char p[LOCAL + MEMBER_NAME_MAX];
    if (m->offset > limit - LOCAL - (int64_t)n_name) {
        return input_fail(in, m->offset, ERR_CORRUPT, err, "'%.100s' begins outside of the file",
                          name);
    }
    int r = input_read(in, m->offset, p, LOCAL + n_name, err);
    if (r < 0) {
        return r;
    }
    if (memcmp(p, "PK\3\4", 4) != 0 || little(p + 26, 2) != n_name ||
        memcmp(p + LOCAL, name, n_name) != 0) {
        return input_fail(in, m->offset, ERR_CORRUPT, err, "the header of '%.100s' is another one",
                          name);
    }
    m->offset += LOCAL + (int64_t)n_name + (int64_t)little(p + 28, 2);
    if (m->offset > limit || m->packed_bytes > limit - m->offset) {
        return input_fail(in, m->offset, ERR_CORRUPT, err, "'%.100s' ends outside of the file",
                          name);
    }
    return 0;
}

static int check_entry(const struct input *in, int64_t at, const unsigned char *p,
                       const struct zip_member *m, struct err *err)
{
    const unsigned flags = (unsigned)little(p + 8, 2), method = (unsigned)little(p + 10, 2);
    if ((flags & (ENCRYPTED | STRONG)) != 0) {
        return input_fail(in, at, ERR_UNSUPPORTED, err, "an encrypted member");
    }
    if (method != 0 && method != 8) {
        return input_fail(in, at, ERR_UNSUPPORTED, err,
                          "a member packed by method %u; 0 and 8 are read", method);
    }
    if (method == 0 && m->bytes != m->packed_bytes) {
        return input_fail(in, at, ERR_CORRUPT, err, "a stored member of two sizes");
    }
    if ((m->bytes - UNPACK_SLACK) / UNPACK_RATIO_MAX > m->packed_bytes) {
        return input_fail(in, at, ERR_LIMIT, err, "a member that grows more than %d times",
                          UNPACK_RATIO_MAX);
    }
    return 0;
}

/* One entry of the directory; *ret_bytes: how long it is. */
static int take_entry(struct zip *zip, const struct directory *d, int64_t at,
                      const unsigned char *p, size_t left, size_t *ret_bytes, struct err *err)
{
    const struct input *in = zip->in;
    if (left < ENTRY || memcmp(p, "PK\1\2", 4) != 0) {
        return input_fail(in, at, ERR_CORRUPT, err, "the directory has fewer members than it says");
    }
    const size_t n_name = little(p + 28, 2), n_extra = little(p + 30, 2),
                 n_comment = little(p + 32, 2);
    *ret_bytes = ENTRY + n_name + n_extra + n_comment;
    if (*ret_bytes > left) {
        return input_fail(in, at, ERR_CORRUPT, err, "a member that leaves the directory");
    }
    const char *name = (const char *)p + ENTRY;
    struct zip_member m = {.crc = (uint32_t)little(p + 16, 4),
                           .packed_bytes = (int64_t)little(p + 20, 4),
                           .bytes = (int64_t)little(p + 24, 4),
                           .offset = (int64_t)little(p + 42, 4),
                           .is_deflated = little(p + 10, 2) == 8,
                           .name = (int64_t)zip->names.size};
    int64_t *const values[3] = {&m.bytes, &m.packed_bytes, &m.offset};
    int r = member_check_name(in, at, name, n_name, err);
    r = r < 0 ? r : take_extra64(in, at, p + ENTRY + n_name, n_extra, values, err);
    r = r < 0 ? r : check_entry(in, at, p, &m, err);
    if (r < 0 || name[n_name - 1] == '/') {
        return r;
    }
    buf_put(&zip->names, name, n_name);
    buf_put(&zip->names, "", 1);
    r = find_data(in, zip->names.data + m.name, n_name, d->offset, &m, err);
    zip->members[zip->n++] = m;
    return r;
}

struct named {
    const char *name;
};
static int compare(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static int check_twice(const struct zip *zip, struct err *err)
{
    struct named *sorted = calloc(zip->n + 1, sizeof *sorted);
    int r = sorted == NULL ? err_set(err, ERR_NO_MEMORY, "no memory for a zip's names") : 0;
    for (size_t i = 0; r == 0 && i < zip->n; i++) {
        sorted[i].name = zip_name(zip, i);
    }
    if (r == 0) {
        qsort(sorted, zip->n, sizeof *sorted, compare);
    }
    for (size_t i = 1; r == 0 && i < zip->n; i++) {
        if (strcmp(sorted[i - 1].name, sorted[i].name) == 0) {
            r = input_fail(zip->in, -1, ERR_CORRUPT, err, "two members are called '%.100s'",
                           sorted[i].name);
        }
    }
    free(sorted);
    return r;
}

static int read_directory(struct zip *zip, const struct directory *d, struct err *err)
{
    struct input_window window = {.in = zip->in};
    const unsigned char *p = NULL;
    int64_t at = 0;
    int r = input_window_need(&window, d->offset, (size_t)d->bytes, &p, err);
    for (int64_t i = 0; r == 0 && i < d->n; i++) {
        size_t bytes = 0;
        r = take_entry(zip, d, d->offset + at, p + at, (size_t)(d->bytes - at), &bytes, err);
        at += (int64_t)bytes;
    }
    input_window_fini(&window);
    return r < 0 ? r : check_twice(zip, err);
}

int zip_open(struct zip *zip, const struct input *in, struct err *err)
{
    struct directory d = {.end = -1};
    *zip = (struct zip){.in = in};
    int r = find_directory(in, &d, err);
    if (r == 0) {
        zip->members = calloc((size_t)d.n + 1, sizeof *zip->members);
        r = zip->members == NULL ? err_set(err, ERR_NO_MEMORY, "no memory for a zip's directory")
                                 : read_directory(zip, &d, err);
    }
    if (r < 0) {
        zip_close(zip);
    }
    return r;
}

void zip_close(struct zip *zip)
{
    if (zip != NULL) {
        free(zip->members);
        buf_fini(&zip->names);
        *zip = (struct zip){.n = 0};
    }
}

struct sum {
    uint32_t crc;
    int64_t bytes;
    struct buf *out; /* NULL: only summed */
};

static int take(void *arg, const void *data, size_t n, struct err *err)
{
    struct sum *sum = arg;
    (void)err;
    sum->crc = (uint32_t)crc32(sum->crc, data, (uInt)n);
    sum->bytes += (int64_t)n;
    if (sum->out != NULL) {
        buf_put(sum->out, data, n);
    }
    return 0;
}

static int run(const struct zip *zip, size_t i, struct buf *out, struct err *err)
{
    const struct zip_member *m = &zip->members[i];
    const struct input part = input_part(zip->in, m->offset, m->packed_bytes);
    struct sum sum = {.out = out};
    const struct unpack_sink sink = {take, &sum};
    int r = unpack_run(&part, m->is_deflated ? UNPACK_DEFLATE : UNPACK_NONE, m->bytes, &sink, err);
    if (r == 0 && (sum.bytes != m->bytes || sum.crc != m->crc)) {
        r = input_fail(zip->in, m->offset, ERR_CORRUPT, err,
                       "'%.100s': %lld bytes with the checksum %08x, %lld with %08x are declared",
                       zip_name(zip, i), (long long)sum.bytes, sum.crc, (long long)m->bytes,
                       m->crc);
    }
    return r;
}

int zip_read(const struct zip *zip, size_t i, int64_t max_bytes, struct buf *out, struct err *err)
{
    BUG_ON(i >= zip->n);
    if (zip->members[i].bytes > max_bytes) {
        return input_fail(zip->in, zip->members[i].offset, ERR_LIMIT, err,
                          "'%.100s' has %lld bytes, more than %lld", zip_name(zip, i),
                          (long long)zip->members[i].bytes, (long long)max_bytes);
    }
    return run(zip, i, out, err);
}

int zip_part(const struct zip *zip, size_t i, bool is_checked, struct input *ret, struct err *err)
{
    const struct zip_member *m = &zip->members[i];
    BUG_ON(i >= zip->n || m->is_deflated);
    *ret = input_part(zip->in, m->offset, m->bytes);
    ret->name = zip_name(zip, i);
    return is_checked ? run(zip, i, NULL, err) : 0;
}
