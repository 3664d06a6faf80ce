#include "pipeline/source/npy_file.h"

#include <math.h>
#include <string.h>

enum { MAGIC = 6, HEADER_MAX = 65536, TEXT = 64, KEYS = 3 };

struct scan {
    const char *p, *end;
};
struct header {
    char type[TEXT];
    bool is_fortran;
    struct shape shape;
    unsigned seen; /* a bit a key */
};

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n')) {
        s->p++;
    }
}

static bool take(struct scan *s, const char *text)
{
    const size_t n = strlen(text);
    skip_blanks(s);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0) {
        return false;
    }
    s->p += n;
    return true;
}

static bool take_text(struct scan *s, char buf[TEXT])
{
    skip_blanks(s);
    const char quote = s->p < s->end ? *s->p : '\0';
    size_t n = 0;
    if (quote != '\'' && quote != '"') {
        return false;
    }
    for (s->p++; s->p < s->end && *s->p != quote && n + 1 < TEXT; s->p++) {
        if (*s->p < ' ' || *s->p == '\\') {
            return false;
        }
        buf[n++] = *s->p;
    }
    buf[n] = '\0';
    return take(s, quote == '"' ? "\"" : "'");
}

static bool take_size(struct scan *s, int64_t *ret)
{
    skip_blanks(s);
    const char *begin = s->p;
    for (*ret = 0; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
        if (*ret > ((int64_t)1 << 40)) {
            return false;
        }
        *ret = *ret * 10 + (*s->p - '0');
    }
    return s->p > begin;
}

/* (), (3,), (3, 4) */
static bool take_shape(struct scan *s, struct shape *ret)
{
    *ret = (struct shape){.rank = 0};
    if (!take(s, "(")) {
        return false;
    }
    while (!take(s, ")")) {
        if (ret->rank == SHAPE_RANK_MAX || !take_size(s, &ret->d[ret->rank])) {
            return false;
        }
        ret->rank++;
        if (!take(s, ",")) {
            return ret->rank > 1 && take(s, ")");
        }
    }
    return true;
}

static bool take_pair(struct scan *s, struct header *h)
{
    static const char *const keys[KEYS] = {"descr", "fortran_order", "shape"};
    char key[TEXT];
    unsigned i = 0;
    if (!take_text(s, key) || !take(s, ":")) {
        return false;
    }
    while (i < KEYS && strcmp(keys[i], key) != 0) {
        i++;
    }
    if (i == KEYS || (h->seen & 1u << i) != 0) {
        return false;
    }
    h->seen |= 1u << i;
    if (i == 0) {
        return take_text(s, h->type);
    }
    if (i == 1) {
        h->is_fortran = take(s, "True");
        return h->is_fortran || take(s, "False");
    }
    return take_shape(s, &h->shape);
}

static bool take_header(struct scan *s, struct header *h)
{
    if (!take(s, "{")) {
        return false;
    }
    while (!take(s, "}")) {
        if (!take_pair(s, h) || (!take(s, ",") && !take(s, "}"))) {
            return false;
        }
        if (s->p[-1] == '}') {
            break;
        }
    }
    skip_blanks(s);
    return s->p == s->end && h->seen == (1u << KEYS) - 1;
}

static int find_type(const char *type, enum dtype *ret, bool *ret_swaps, struct err *err)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } types[] = {{"b1", DTYPE_BOOL}, {"u1", DTYPE_U8},  {"i1", DTYPE_I8},
                 {"u2", DTYPE_U16},  {"i2", DTYPE_I16}, {"i4", DTYPE_I32},
                 {"i8", DTYPE_I64},  {"f4", DTYPE_F32}, {"f8", DTYPE_F64}};
    const char order = type[0];
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if ((order == '<' || order == '>' || order == '|') &&
            strcmp(type + 1, types[i].name) == 0) {
            *ret = types[i].dtype;
            *ret_swaps = order == '>';
            return 0;
        }
    }
    return err_set(err, ERR_UNSUPPORTED, "holds elements of type '%.32s', not plain numbers", type);
}

bool npy_file_is(const void *data, size_t size)
{
    return size >= MAGIC && memcmp(data, "\x93NUMPY", MAGIC) == 0;
}

/* The literal of the header, and where the numbers begin. */
static int find_header(const unsigned char *p, size_t size, struct scan *ret, size_t *ret_begin,
                       struct err *err)
{
    if (!npy_file_is(p, size) || size < MAGIC + 6) {
        return err_set(err, ERR_CORRUPT, "is no .npy file, or one that ends inside its header");
    }
    if (p[6] < 1 || p[6] > 3) {
        return err_set(err, ERR_UNSUPPORTED, "is of version %u of the .npy format", p[6]);
    }
    const size_t at = p[6] == 1 ? 10 : 12;
    size_t n = (size_t)p[8] | (size_t)p[9] << 8;
    if (p[6] > 1) {
        n |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    }
    if (n > HEADER_MAX || n > size - at) {
        return err_set(err, ERR_CORRUPT, "declares a header of %zu bytes, %zu are left", n,
                       size - at);
    }
    *ret = (struct scan){(const char *)p + at, (const char *)p + at + n};
    *ret_begin = at + n;
    return 0;
}

static void swap(unsigned char *p, size_t bytes, size_t each)
{
    for (size_t i = 0; i < bytes; i += each) {
        for (size_t k = 0; k < each / 2; k++) {
            const unsigned char t = p[i + k];
            p[i + k] = p[i + each - 1 - k];
            p[i + each - 1 - k] = t;
        }
    }
}

static int check_finite(const struct tensor *t, size_t bytes, struct err *err)
{
    for (size_t i = 0; t->dtype == DTYPE_F32 && i < bytes / 4; i++) {
        if (!isfinite(((const float *)t->data)[i])) {
            return err_set(err, ERR_NOT_FINITE, "number %zu is not finite", i);
        }
    }
    for (size_t i = 0; t->dtype == DTYPE_F64 && i < bytes / 8; i++) {
        if (!isfinite(((const double *)t->data)[i])) {
            return err_set(err, ERR_NOT_FINITE, "number %zu is not finite", i);
        }
    }
    return 0;
}

int npy_file_read(const void *data, size_t size, struct buf *storage, struct tensor *ret,
                  struct err *err)
{
    struct header h = {.seen = 0};
    struct scan scan = {NULL, NULL};
    size_t begin = 0, bytes = 0;
    bool swaps = false;
    int r = find_header(data, size, &scan, &begin, err);
    if (r < 0) {
        return r;
    }
    if (!take_header(&scan, &h)) {
        return err_set(err, ERR_CORRUPT, "has a header that describes no plain array");
    }
    if (h.is_fortran) {
        return err_set(err, ERR_UNSUPPORTED, "is in column-major order; write it with order='C'");
    }
    r = find_type(h.type, &ret->dtype, &swaps, err);
    if (r < 0) {
        return r;
    }
    ret->shape = h.shape;
    if (shape_bytes(&h.shape, ret->dtype, &bytes) < 0 || bytes > size - begin) {
        return err_set(err, ERR_CORRUPT, "declares more numbers than its %zu bytes hold",
                       size - begin);
    }
    buf_clear(storage);
    buf_put(storage, (const char *)data + begin, bytes);
    ret->data = storage->data;
    if (swaps) {
        swap((unsigned char *)storage->data, bytes, dtype_bytes(ret->dtype));
    }
    return check_finite(ret, bytes, err);
}
