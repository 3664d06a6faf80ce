#include "pipeline/format/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 6, TEXT = 64, KEYS = 3, PIECE = 8192 };

/* How an element of a file becomes one of ours, n of them, from this machine's byte order. */
struct npy_type {
    const char *name;
    enum dtype dtype;
    size_t bytes;                                               /* in the file */
    int (*widen)(const unsigned char *in, size_t n, void *out); /* NULL: the same */
};

static int widen_u32(const unsigned char *in, size_t n, void *out)
{
    int64_t *to = out;
    for (size_t i = 0; i < n; i++) {
        uint32_t value;
        memcpy(&value, in + 4 * i, 4);
        to[i] = value;
    }
    return 0;
}

static int widen_u64(const unsigned char *in, size_t n, void *out)
{
    int64_t *to = out;
    memcpy(to, in, 8 * n);
    for (size_t i = 0; i < n; i++) {
        if (to[i] < 0) {
            return ERR_VALUE;
        }
    }
    return 0;
}

/* IEEE 754 half: 1, 5, 10 bits. */
static int widen_f16(const unsigned char *in, size_t n, void *out)
{
    float *to = out;
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, in + 2 * i, 2);
        const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31,
                       mantissa = half & 1023;
        const uint32_t bits =
            sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | mantissa << 13;
        memcpy(to + i, &bits, 4);
        if (exponent == 0) { /* subnormal: the mantissa counts 2^-24 */
            const float value = (float)mantissa * 0x1p-24F;
            to[i] = sign != 0 ? -value : value;
        }
    }
    return 0;
}

static const struct npy_type types[] = {
    {"b1", DTYPE_BOOL, 1, NULL},     {"u1", DTYPE_U8, 1, NULL},
    {"i1", DTYPE_I8, 1, NULL},       {"u2", DTYPE_U16, 2, NULL},
    {"i2", DTYPE_I16, 2, NULL},      {"i4", DTYPE_I32, 4, NULL},
    {"i8", DTYPE_I64, 8, NULL},      {"f4", DTYPE_F32, 4, NULL},
    {"f8", DTYPE_F64, 8, NULL},      {"u4", DTYPE_I64, 4, widen_u32},
    {"u8", DTYPE_I64, 8, widen_u64}, {"f2", DTYPE_F32, 2, widen_f16},
};

struct scan {
    const char *p, *end;
};
struct header {
    char type[TEXT];
    bool is_record; /* the type is a list */
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

/* A type that is a list of fields: only looked at for the message. */
static bool take_type(struct scan *s, struct header *h)
{
    skip_blanks(s);
    h->is_record = s->p < s->end && *s->p == '[';
    if (h->is_record) { /* the quotes in it pair up, so brackets outside of them do too */
        const char *end = memchr(s->p, ']', (size_t)(s->end - s->p));
        for (const char *p = s->p; p + 1 < s->end; p++) {
            h->type[0] = p[0] == '|' && p[1] == 'O' ? 'O' : h->type[0];
        }
        s->p = end != NULL ? end + 1 : s->end;
        return end != NULL;
    }
    return take_text(s, h->type);
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
        return take_type(s, h);
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

static int find_type(struct npy *npy, const struct header *h, struct err *err)
{
    const char order = h->type[0];
    if (h->is_record || order == '\0') {
        return input_fail(&npy->in, -1, order == 'O' ? ERR_UNSAFE_TYPE : ERR_UNSUPPORTED, err,
                          "holds records, not plain numbers");
    }
    if (strchr(h->type, 'O') != NULL) {
        return input_fail(&npy->in, -1, ERR_UNSAFE_TYPE, err,
                          "holds Python objects, which are never loaded");
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if ((order == '<' || order == '>' || order == '|' || order == '=') &&
            strcmp(h->type + 1, types[i].name) == 0) {
            npy->type = &types[i];
            npy->dtype = types[i].dtype;
            npy->swaps = order == '>' && types[i].bytes > 1;
            return 0;
        }
    }
    return input_fail(&npy->in, -1, ERR_UNSUPPORTED, err,
                      "holds elements of type '%.32s', not plain numbers", h->type);
}

/* Where the literal lies; the numbers begin behind it. */
static int find_header(struct npy *npy, size_t *ret_n, struct err *err)
{
    unsigned char p[12] = {0};
    const struct input *in = &npy->in;
    const size_t got = in->size < 12 ? (size_t)in->size : 12;
    int r = input_read(in, 0, p, got, err);
    if (r < 0) {
        return r;
    }
    if (got == 0) {
        return input_fail(in, -1, ERR_EMPTY, err, "has no bytes");
    }
    if (memcmp(p, "\x93NUMPY", got < MAGIC ? got : MAGIC) != 0) {
        return input_fail(in, -1, ERR_BAD_MAGIC, err, "is no .npy file");
    }
    if (got < 12) {
        return input_fail(in, -1, ERR_TRUNCATED, err, "ends inside its header");
    }
    if (p[6] < 1 || p[6] > 3) {
        return input_fail(in, -1, ERR_UNSUPPORTED, err, "is of version %u of the .npy format",
                          p[6]);
    }
    const int64_t at = p[6] == 1 ? 10 : 12;
    *ret_n = (size_t)p[8] | (size_t)p[9] << 8;
    if (p[6] > 1) {
        *ret_n |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    }
    npy->begin = at + (int64_t)*ret_n;
    if (*ret_n > NPY_HEADER_MAX) {
        return input_fail(in, -1, ERR_LIMIT, err, "declares a header of %zu bytes, more than %d",
                          *ret_n, NPY_HEADER_MAX);
    }
    return npy->begin <= in->size ? 0
                                  : input_fail(in, -1, ERR_TRUNCATED, err,
                                               "declares a header of %zu bytes, %lld are left",
                                               *ret_n, (long long)(in->size - at));
}

static int check_size(struct npy *npy, struct err *err)
{
    int64_t count = 0;
    const int64_t left = npy->in.size - npy->begin, each = (int64_t)npy->type->bytes;
    char text[128];
    shape_format(&npy->shape, text, sizeof text);
    if (shape_count(&npy->shape, &count) < 0 || count > INT64_MAX / 8) {
        return input_fail(&npy->in, -1, ERR_LIMIT, err, "declares %s numbers", text);
    }
    if (count > left / each) {
        return input_fail(&npy->in, -1, ERR_TRUNCATED, err,
                          "declares %s numbers of %lld bytes, %lld bytes are left", text,
                          (long long)each, (long long)left);
    }
    npy->n_rows = npy->shape.rank > 0 ? npy->shape.d[0] : 1;
    npy->row = 1;
    for (int i = 1; i < npy->shape.rank; i++) {
        npy->row *= npy->shape.d[i];
    }
    return 0;
}

int npy_open(struct npy *npy, const struct input *in, struct err *err)
{
    struct header h = {.seen = 0};
    struct input_window window = {.in = in};
    const unsigned char *p = NULL;
    size_t n = 0;
    *npy = (struct npy){.in = *in};
    int r = find_header(npy, &n, err);
    r = r < 0 ? r : input_window_need(&window, npy->begin - (int64_t)n, n, &p, err);
    if (r == 0) {
        struct scan scan = {(const char *)p, (const char *)p + n};
        r = take_header(&scan, &h) ? find_type(npy, &h, err)
                                   : input_fail(in, -1, ERR_CORRUPT, err,
                                                "has a header that describes no plain array");
    }
    input_window_fini(&window);
    npy->shape = h.shape;
    npy->is_fortran = h.is_fortran && h.shape.rank > 1;
    return r < 0 ? r : check_size(npy, err);
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

/* Numbers at..at+n in the order of the file. */
static int read_run(const struct npy *npy, int64_t at, size_t n, void *to, struct err *err)
{
    const size_t each = npy->type->bytes;
    unsigned char piece[PIECE * 8];
    unsigned char *out = to;
    while (n > 0) {
        const size_t some = npy->type->widen == NULL ? n : n < PIECE ? n : PIECE;
        unsigned char *raw = npy->type->widen == NULL ? out : piece;
        int r = input_read(&npy->in, npy->begin + at * (int64_t)each, raw, some * each, err);
        if (r < 0) {
            return r;
        }
        if (npy->swaps) {
            swap(raw, some * each, each);
        }
        if (npy->type->widen != NULL && npy->type->widen(raw, some, out) < 0) {
            return input_fail(&npy->in, npy->begin + at * (int64_t)each, ERR_VALUE, err,
                              "holds a uint64 that int64 cannot hold");
        }
        out += some * dtype_bytes(npy->dtype);
        at += (int64_t)some;
        n -= some;
    }
    return 0;
}

/* Where number c of a row stands in a row whose dimensions are the other way round. */
static int64_t turned(const struct npy *npy, int64_t c)
{
    int64_t place = 0;
    for (int i = 1; i < npy->shape.rank; i++) {
        place = place * npy->shape.d[i];
        int64_t step = 1;
        for (int k = 1; k < i; k++) {
            step *= npy->shape.d[k];
        }
        place += c / step % npy->shape.d[i];
    }
    return place;
}

/* Column-major: a run of rows for each number of a row. */
static int read_fortran(const struct npy *npy, int64_t first, int64_t n, unsigned char *to,
                        struct err *err)
{
    const size_t each = dtype_bytes(npy->dtype);
    unsigned char piece[PIECE * 8];
    for (int64_t c = 0; c < npy->row; c++) {
        unsigned char *out = to + (size_t)turned(npy, c) * each;
        for (int64_t i = 0; i < n; i += PIECE) {
            const int64_t some = n - i < PIECE ? n - i : PIECE;
            int r = read_run(npy, c * npy->n_rows + first + i, (size_t)some, piece, err);
            if (r < 0) {
                return r;
            }
            for (int64_t k = 0; k < some; k++) {
                memcpy(out + (size_t)((i + k) * npy->row) * each, piece + (size_t)k * each, each);
            }
        }
    }
    return 0;
}

static bool is_finite_at(enum dtype dtype, const void *data, int64_t i)
{
    return dtype == DTYPE_F32   ? isfinite(((const float *)data)[i]) != 0
           : dtype == DTYPE_F64 ? isfinite(((const double *)data)[i]) != 0
                                : true;
}

static int check_finite(const struct npy *npy, int64_t first, int64_t n, const void *data,
                        struct err *err)
{
    if (npy->dtype != DTYPE_F32 && npy->dtype != DTYPE_F64) {
        return 0;
    }
    for (int64_t i = 0; i < n * npy->row; i++) {
        if (!is_finite_at(npy->dtype, data, i)) {
            return input_fail(&npy->in, -1, ERR_NOT_FINITE, err,
                              "number %lld of row %lld is not finite", (long long)(i % npy->row),
                              (long long)(first + i / npy->row));
        }
    }
    return 0;
}

int npy_read(const struct npy *npy, int64_t first, int64_t n, bool takes_all, void *ret,
             struct err *err)
{
    BUG_ON(first < 0 || n < 0 || first > npy->n_rows || n > npy->n_rows - first);
    int r = npy->is_fortran ? read_fortran(npy, first, n, ret, err)
                            : read_run(npy, first * npy->row, (size_t)(n * npy->row), ret, err);
    return r < 0 || takes_all ? r : check_finite(npy, first, n, ret, err);
}

const void *npy_memory(const struct npy *npy)
{
    const bool is_as_given =
        npy->in.fd < 0 && npy->type->widen == NULL && !npy->swaps && !npy->is_fortran;
    return is_as_given ? npy->in.data + npy->in.begin + npy->begin : NULL;
}

/* Without a branch a number: the exponent of what is not finite is all ones. */
static bool is_finite_f32(const unsigned char *p, int64_t n)
{
    uint32_t is_bad = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, p + 4 * i, sizeof bits);
        is_bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return is_bad == 0;
}

bool npy_is_finite(const struct npy *npy, int64_t n, const void *rows)
{
    return npy->dtype == DTYPE_F32 ? is_finite_f32(rows, n * npy->row)
                                   : check_finite(npy, 0, n, rows, NULL) == 0;
}
