#include "pipeline/format/tar.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/format/member.h"

enum { BLOCK = 512, NAME = 100, PREFIX = 155 };
struct header { /* POSIX ustar */
    char name[NAME], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100],
        magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[PREFIX], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

struct extension { /* what extended headers say of the next member */
    struct buf name;
    int64_t size; /* -1: as in the header */
    bool has_name;
    int n;
};
struct walk {
    const struct input *in;
    struct input_window window;
    struct tar_index *index;
    struct extension next;
    int64_t at; /* of the header */
    struct header h;
};

#define FAIL(w, code, ...) input_fail((w)->in, (w)->at, (code), err, __VA_ARGS__)

static bool is_zero(const struct header *h)
{
    const unsigned char *p = (const unsigned char *)h;
    return p[0] == 0 && memcmp(p, p + 1, BLOCK - 1) == 0;
}

/* Octal digits, blanks around them, or base 256 with the highest bit set. */
static int take_number(const struct walk *w, const char *field, size_t n, int64_t *ret,
                       struct err *err)
{
    const unsigned char *p = (const unsigned char *)field, *end = p + n;
    *ret = 0;
    if ((p[0] & 0x80) != 0) {
        bool is_much = (p[0] & 0x7f) != 0;
        for (p++; p < end; p++) {
            is_much = is_much || *ret >> 54 != 0;
            *ret = (int64_t)((uint64_t)*ret << 8) | *p;
        }
        return is_much || *ret < 0 ? FAIL(w, ERR_VALUE, "a size that is negative or over 2^62") : 0;
    }
    while (p < end && *p == ' ') {
        p++;
    }
    const unsigned char *begin = p;
    for (; p < end && *p >= '0' && *p <= '7'; p++) {
        *ret = *ret * 8 + (*p - '0');
    }
    return p == begin || (p < end && *p != ' ' && *p != '\0')
               ? FAIL(w, ERR_VALUE, "a number of its header is none: '%.12s'", field)
               : 0;
}

/* Old archives were summed with signed characters. */
static bool is_summed(const struct walk *w)
{
    const unsigned char *p = (const unsigned char *)&w->h;
    const size_t from = offsetof(struct header, checksum), to = from + sizeof w->h.checksum;
    int64_t sum = 0, signed_sum = 0, declared = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        const unsigned char c = i >= from && i < to ? ' ' : p[i];
        sum += c;
        signed_sum += (signed char)c;
    }
    return take_number(w, w->h.checksum, sizeof w->h.checksum, &declared, NULL) == 0 &&
           (declared == sum || declared == signed_sum);
}

/* The member's name: from an extended header, or prefix and name. NUL-terminated in next.name. */
static int take_name(struct walk *w, struct err *err)
{
    struct buf *name = &w->next.name;
    if (!w->next.has_name) {
        const bool has_prefix = memcmp(w->h.magic, "ustar\0", 6) == 0 && w->h.prefix[0] != '\0';
        buf_clear(name);
        if (has_prefix) {
            buf_put(name, w->h.prefix, strnlen(w->h.prefix, PREFIX));
            buf_puts(name, "/");
        }
        buf_put(name, w->h.name, strnlen(w->h.name, NAME));
    }
    size_t skip = 0;
    while (name->size - skip > 2 && memcmp(name->data + skip, "./", 2) == 0) {
        skip += 2;
    }
    memmove(name->data, name->data + skip, name->size - skip + 1);
    name->size -= skip;
    return member_check_name(w->in, w->at, name->data, name->size, err);
}

static int take_path(struct walk *w, const char *value, size_t n, struct err *err)
{
    buf_clear(&w->next.name);
    buf_put(&w->next.name, value, n);
    w->next.has_name = true;
    return member_check_name(w->in, w->at, value, n, err);
}

static int take_size(struct walk *w, const char *value, size_t n, struct err *err)
{
    int64_t size = 0;
    for (size_t i = 0; i < n; i++) {
        if (value[i] < '0' || value[i] > '9' || size > INT64_MAX / 16) {
            return FAIL(w, ERR_VALUE, "an extended header gives the size '%.*s'",
                        n > 40 ? 40 : (int)n, value);
        }
        size = size * 10 + (value[i] - '0');
    }
    w->next.size = size;
    return n > 0 ? 0 : FAIL(w, ERR_VALUE, "an extended header gives an empty size");
}

static int take_pair(struct walk *w, const char *key, size_t n_key, const char *value, size_t n,
                     struct err *err)
{
    if (n_key == 4 && memcmp(key, "path", 4) == 0) {
        return w->h.type == 'g' ? FAIL(w, ERR_UNSUPPORTED, "a global header that names members")
                                : take_path(w, value, n, err);
    }
    if (n_key == 4 && memcmp(key, "size", 4) == 0) {
        return w->h.type == 'g' ? FAIL(w, ERR_UNSUPPORTED, "a global header that sizes members")
                                : take_size(w, value, n, err);
    }
    if (n_key >= 10 && memcmp(key, "GNU.sparse", 10) == 0) {
        return FAIL(w, ERR_UNSUPPORTED, "a sparse file");
    }
    return 0;
}

/* "LENGTH KEY=VALUE\n" again and again. */
static int take_pax(struct walk *w, const char *p, size_t size, struct err *err)
{
    while (size > 0) {
        size_t length = 0, i = 0;
        for (; i < size && i < 8 && p[i] >= '0' && p[i] <= '9'; i++) {
            length = length * 10 + (size_t)(p[i] - '0');
        }
        const char *key = p + i + 1;
        const char *equals =
            i > 0 && length > i + 2 && length <= size ? memchr(key, '=', length - i - 2) : NULL;
        if (equals == NULL || p[i] != ' ' || p[length - 1] != '\n') {
            return FAIL(w, ERR_CORRUPT, "an extended header whose lines do not fit");
        }
        int r = take_pair(w, key, (size_t)(equals - key), equals + 1,
                          (size_t)(p + length - 1 - (equals + 1)), err);
        if (r < 0) {
            return r;
        }
        p += length;
        size -= length;
    }
    return 0;
}

/* x, g, L, K: about the next member, or all. */
static int take_extension(struct walk *w, int64_t size, struct err *err)
{
    const unsigned char *data = NULL;
    if (++w->next.n > TAR_HEADERS_MAX) {
        return FAIL(w, ERR_LIMIT, "more than %d extended headers for a member", TAR_HEADERS_MAX);
    }
    if (size > TAR_HEADER_BYTES_MAX) {
        return FAIL(w, ERR_LIMIT, "an extended header of %lld bytes, more than %d", (long long)size,
                    TAR_HEADER_BYTES_MAX);
    }
    int r = input_window_need(&w->window, w->at + BLOCK, (size_t)size, &data, err);
    if (r < 0 || w->h.type == 'K') {
        return r;
    }
    const char *text = (const char *)data;
    if (w->h.type == 'L') {
        return take_path(w, text != NULL ? text : "", strnlen(text, (size_t)size), err);
    }
    return take_pax(w, text, (size_t)size, err);
}

static int add_member(struct walk *w, int64_t size, struct err *err)
{
    struct tar_index *index = w->index;
    if (index->n == index->capacity) {
        const size_t more = index->capacity == 0 ? 64 : index->capacity * 2;
        struct tar_member *grown =
            more > TAR_MEMBERS_MAX ? NULL : realloc(index->members, more * sizeof *grown);
        if (grown == NULL) {
            return FAIL(w, ERR_LIMIT, "more than %zu members", index->n);
        }
        index->members = grown;
        index->capacity = more;
    }
    index->members[index->n++] = (struct tar_member){
        .offset = w->at + BLOCK, .size = size, .name = (int64_t)index->names.size};
    buf_put(&index->names, w->next.name.data, w->next.name.size + 1);
    return 0;
}

static int take_file(struct walk *w, int64_t size, struct err *err)
{
    int r = take_name(w, err);
    if (r == 0 && size > TAR_MEMBER_MAX) {
        r = FAIL(w, ERR_LIMIT, "'%.100s' has %lld bytes, more than %d", w->next.name.data,
                 (long long)size, TAR_MEMBER_MAX);
    }
    if (r == 0 && (size + BLOCK - 1) / BLOCK * BLOCK > w->in->size - w->at - BLOCK) {
        r = FAIL(w, ERR_TRUNCATED, "'%.100s' has %lld bytes, %lld are left", w->next.name.data,
                 (long long)size, (long long)(w->in->size - w->at - BLOCK));
    }
    return r < 0 ? r : add_member(w, size, err);
}

static int take_folder(struct walk *w, int64_t size, struct err *err)
{
    w->index->n_folders++;
    return size != 0 ? FAIL(w, ERR_CORRUPT, "a folder of %lld bytes", (long long)size)
                     : take_name(w, err);
}

static int refuse_type(struct walk *w, int64_t size, struct err *err)
{
    (void)size;
    return FAIL(w, ERR_UNSAFE_TYPE, "'%.100s' is a link, a device or a pipe (type %c)", w->h.name,
                w->h.type);
}

static int refuse_kind(struct walk *w, int64_t size, struct err *err)
{
    (void)size;
    return FAIL(w, ERR_UNSUPPORTED, "'%.100s' is of type '%c': no plain file", w->h.name,
                w->h.type >= ' ' && w->h.type < 0x7f ? w->h.type : '?');
}

static const struct type {
    const char *letters;
    bool is_extension;
    int (*take)(struct walk *w, int64_t size, struct err *err);
} types[] = {
    {"07", false, take_file},      {"5", false, take_folder}, {"xgLK", true, take_extension},
    {"12346", false, refuse_type}, {"", false, refuse_kind},
};

static const struct type *find_type(char letter)
{
    const struct type *row = types;
    while (row->letters[0] != '\0' && (letter == '\0' || strchr(row->letters, letter) == NULL)) {
        row++;
    }
    return letter == '\0' ? types : row;
}

static int take_header(struct walk *w, struct err *err)
{
    int64_t size = 0;
    if (!is_summed(w)) {
        return FAIL(w, w->at == 0 ? ERR_BAD_MAGIC : ERR_CORRUPT,
                    "a header whose checksum is wrong%s", w->at == 0 ? ": no tar archive" : "");
    }
    int r = take_number(w, w->h.size, sizeof w->h.size, &size, err);
    if (r < 0) {
        return r;
    }
    const struct type *type = find_type(w->h.type);
    if (!type->is_extension && w->next.size >= 0) {
        size = w->next.size;
    }
    r = type->take(w, size, err);
    if (!type->is_extension) {
        w->next.size = -1;
        w->next.has_name = false;
        w->next.n = 0;
    }
    w->at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    return r;
}

/* 1: there is a header in w->h; 0: the end. */
static int next_header(struct walk *w, struct err *err)
{
    const unsigned char *block = NULL;
    bool was_zero = false;
    for (;; w->at += BLOCK) {
        const int64_t got = input_window_peek(&w->window, w->at, BLOCK, &block, err);
        if (got < 0) {
            return (int)got;
        }
        if (got == 0 || (was_zero && got < BLOCK)) {
            return 0;
        }
        memcpy(&w->h, block, (size_t)got);
        if (got < BLOCK) {
            return FAIL(w, w->at == 0 ? ERR_BAD_MAGIC : ERR_TRUNCATED, "ends inside a header");
        }
        if (!is_zero(&w->h)) {
            return was_zero && !is_summed(w) ? 0 : 1;
        }
        was_zero = true;
    }
}

int tar_index_build(struct tar_index *index, const struct input *in, struct err *err)
{
    struct walk w = {.in = in, .window.in = in, .index = index, .next.size = -1};
    int r = in->size == 0 ? FAIL(&w, ERR_EMPTY, "has no bytes") : 0;
    while (r == 0 && (r = next_header(&w, err)) == 1) {
        r = take_header(&w, err);
    }
    if (r == 0 && w.next.n > 0) {
        r = FAIL(&w, ERR_TRUNCATED, "ends behind an extended header, without its member");
    }
    buf_fini(&w.next.name);
    input_window_fini(&w.window);
    return r;
}

void tar_index_fini(struct tar_index *index)
{
    if (index != NULL) {
        free(index->members);
        buf_fini(&index->names);
        *index = (struct tar_index){.n = 0};
    }
}

/* Numbers of members, folders and bytes of names; then the members, then the names. */
struct saved {
    int64_t n, n_folders, n_names;
};

void tar_index_save(const struct tar_index *index, struct buf *out)
{
    const struct saved saved = {(int64_t)index->n, (int64_t)index->n_folders,
                                (int64_t)index->names.size};
    buf_put(out, &saved, sizeof saved);
    buf_put(out, index->members, index->n * sizeof *index->members);
    buf_put(out, index->names.data, index->names.size);
}

static bool is_sound(const struct tar_index *index, const struct input *in)
{
    const int64_t n_names = (int64_t)index->names.size;
    for (size_t i = 0; i < index->n; i++) {
        const struct tar_member *m = &index->members[i];
        if (m->offset < 0 || m->size < 0 || m->size > TAR_MEMBER_MAX || m->offset > in->size ||
            m->size > in->size - m->offset || m->name < 0 || m->name >= n_names) {
            return false;
        }
        const char *name = tar_name(index, i);
        if (member_check_name(in, 0, name, strlen(name), NULL) < 0) {
            return false;
        }
    }
    return true;
}

bool tar_index_load(struct tar_index *index, const struct input *in, const void *data, size_t size)
{
    struct saved saved;
    if (size < sizeof saved) {
        return false;
    }
    memcpy(&saved, data, sizeof saved);
    const char *members = (const char *)data + sizeof saved;
    const size_t rest = size - sizeof saved, each = sizeof *index->members;
    if (saved.n < 0 || saved.n > TAR_MEMBERS_MAX || saved.n_folders < 0 || saved.n_names < 0 ||
        (uint64_t)saved.n > rest / each || rest - (size_t)saved.n * each != (size_t)saved.n_names) {
        return false;
    }
    const char *names = members + (size_t)saved.n * each;
    index->members = malloc((size_t)saved.n * each + 1);
    if (index->members == NULL || (saved.n_names > 0 && names[saved.n_names - 1] != '\0')) {
        tar_index_fini(index);
        return false;
    }
    memcpy(index->members, members, (size_t)saved.n * each);
    index->n = index->capacity = (size_t)saved.n;
    index->n_folders = (size_t)saved.n_folders;
    buf_put(&index->names, names, (size_t)saved.n_names);
    const bool is_good = is_sound(index, in);
    if (!is_good) {
        tar_index_fini(index);
    }
    return is_good;
}
