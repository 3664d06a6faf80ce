#include "tests/golden/golden_npz.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS_MAX = 256, MEMBER_BYTES_MAX = 256 << 20 };

/* "'descr': '<f4'" and "'shape': (32, 28, 28, 1)" of a version 1 header that numpy wrote. */
static int read_header(const char *header, enum dtype *ret_dtype, struct shape *ret_shape)
{
    static const struct {
        const char *descr;
        enum dtype dtype;
    } dtypes[] = {{"|u1", DTYPE_U8},  {"|b1", DTYPE_BOOL}, {"<f4", DTYPE_F32}, {"<f8", DTYPE_F64},
                  {"<i4", DTYPE_I32}, {"<i8", DTYPE_I64},  {"|i1", DTYPE_I8}};
    const char *descr = strstr(header, "'descr': '");
    const char *shape = strstr(header, "'shape': (");
    int found = -1;
    for (size_t i = 0; descr != NULL && i < sizeof dtypes / sizeof dtypes[0]; i++) {
        found = strncmp(descr + 10, dtypes[i].descr, 3) == 0 && descr[13] == '\''
                    ? (int)dtypes[i].dtype
                    : found;
    }
    if (found < 0 || shape == NULL) {
        return -1;
    }
    *ret_dtype = (enum dtype)found;
    *ret_shape = (struct shape){0};
    for (const char *p = shape + 10; *p != ')' && *p != '\0' && ret_shape->rank < SHAPE_RANK_MAX;) {
        char *end;
        long n = strtol(p, &end, 10);
        if (end == p) {
            p++;
            continue;
        }
        ret_shape->d[ret_shape->rank++] = n;
        p = end;
    }
    return 0;
}

/* 1 if the member is an array of numbers. */
static int parse_npy(struct golden_case *c, const unsigned char *data, size_t size,
                     struct tensor *ret)
{
    size_t header = size >= 10 ? 10 + (size_t)data[8] + ((size_t)data[9] << 8) : size + 1;
    size_t bytes = 0;
    if (header > size || memcmp(data, "\x93NUMPY\x01", 7) != 0) {
        return 0;
    }
    const char *text = arena_strndup(c->arena, (const char *)data + 10, header - 10);
    if (read_header(text, &ret->dtype, &ret->shape) < 0 ||
        shape_bytes(&ret->shape, ret->dtype, &bytes) < 0 || header + bytes != size) {
        return 0;
    }
    ret->data = arena_alloc(c->arena, bytes + 1);
    memcpy(ret->data, data + header, bytes);
    return 1;
}

int golden_npz(struct golden_case *c, const char *file, struct golden_member **ret, int *ret_n,
               struct err *err)
{
    struct golden_member *members = arena_array(c->arena, MEMBERS_MAX, sizeof *members);
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    int n = 0;
    archive_read_support_format_zip_seekable(archive);
    int r = archive_read_open_filename(archive, arena_printf(c->arena, "%s/%s", c->folder, file),
                                       1 << 16);
    while (r == ARCHIVE_OK && (r = archive_read_next_header(archive, &entry)) == ARCHIVE_OK &&
           n < MEMBERS_MAX) {
        int64_t size = archive_entry_size(entry);
        const char *name = archive_entry_pathname(entry);
        size_t length = strlen(name);
        if (size <= 0 || size > MEMBER_BYTES_MAX || length < 4) {
            continue;
        }
        unsigned char *data = malloc((size_t)size);
        if (data == NULL || archive_read_data(archive, data, (size_t)size) != size) {
            r = ARCHIVE_FATAL;
        } else if (parse_npy(c, data, (size_t)size, &members[n].array)) {
            members[n++].name = arena_strndup(c->arena, name, length - 4);
        }
        free(data);
    }
    archive_read_free(archive);
    *ret = members;
    *ret_n = n;
    return r == ARCHIVE_EOF ? 0 : err_set(err, ERR_CORRUPT, "%s cannot be read", file);
}

const struct tensor *golden_npz_find(const struct golden_member *members, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(members[i].name, name) == 0) {
            return &members[i].array;
        }
    }
    return NULL;
}
