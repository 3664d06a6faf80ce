/* Documents as msgpack. Reading is a walk of our own that believes no size before the bytes are there
 * (msgpack-c allocates what a header declares); writing goes through msgpack-c's packer. */
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "proto/msg.h"

struct reader {
    const unsigned char *p, *end;
    const struct doc_limits *limits;
    struct arena *arena;
    struct err *err;
    size_t nodes;
};

static int truncated(const struct reader *r)
{
    return err_set(r->err, ERR_SYNTAX, "the message ends in the middle of a value");
}

static size_t left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

static int take_be(struct reader *r, size_t n, uint64_t *ret)
{
    *ret = 0;
    if (left(r) < n) {
        return truncated(r);
    }
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v << 8 | *r->p++;
    }
    *ret = v;
    return 0;
}

/* Strict UTF-8 without NUL (RFC 3629). */
static bool is_text(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned char c = p[i++];
        int more = c < 0x80 ? 0 : c >= 0xC2 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : -1;
        if (c == 0 || more < 0 || (size_t)more > n - i) {
            return false;
        }
        unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        for (int k = 0; k < more; k++, i++) {
            if (p[i] < low || p[i] > high) {
                return false;
            }
            low = 0x80;
            high = 0xBF;
        }
    }
    return true;
}

static int read_value(struct reader *r, struct doc *ret, unsigned depth);

static int read_bytes(struct reader *r, uint64_t n, bool text, struct doc *ret)
{
    if (n > left(r)) {
        return truncated(r);
    }
    if (text && !is_text(r->p, (size_t)n)) {
        return err_set(r->err, ERR_SYNTAX, "a text that is not UTF-8");
    }
    if (text) {
        doc_set_strn(ret, r->arena, (const char *)r->p, (size_t)n);
    } else {
        doc_set_bin(ret, r->arena, r->p, (size_t)n);
    }
    r->p += n;
    return 0;
}

/* Counts values before memory is taken for them: however often sizes are declared, all lists and maps together
 * take no more than the limit allows. */
static int charge(struct reader *r, size_t n)
{
    if (n > r->limits->nodes - r->nodes) {
        return err_set(r->err, ERR_LIMIT, "more than %zu values", r->limits->nodes);
    }
    r->nodes += n;
    return 0;
}

static int read_list(struct reader *r, uint64_t n, struct doc *ret, unsigned depth)
{
    if (n > left(r)) { /* an item is a byte at least */
        return truncated(r);
    }
    int e = charge(r, (size_t)n);
    if (e < 0) {
        return e;
    }
    doc_set_list(ret);
    ret->items = n > 0 ? arena_array(r->arena, (size_t)n, sizeof(*ret->items)) : NULL;
    ret->capacity = (size_t)n;
    for (; ret->n < n && e == 0; ret->n++) {
        e = read_value(r, &ret->items[ret->n], depth + 1);
    }
    return e;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* By sorting: comparing each with each would let one message hold a process up for minutes. */
static int refuse_twice(struct reader *r, const struct doc *map)
{
    if (map->n < 2) {
        return 0;
    }
    const char **keys = arena_array(r->arena, map->n, sizeof(*keys));
    for (size_t i = 0; i < map->n; i++) {
        keys[i] = map->pairs[i].key;
    }
    qsort(keys, map->n, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < map->n; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            return err_set(r->err, ERR_SYNTAX, "key '%.64s' stands twice in a map", keys[i]);
        }
    }
    return 0;
}

static int read_pair(struct reader *r, struct doc_pair *pair, unsigned depth)
{
    struct doc key;
    int e = read_value(r, &key, depth);
    if (e < 0) {
        return e;
    }
    if (key.type != DOC_STR) {
        return err_set(r->err, ERR_SYNTAX, "a map key that is no text");
    }
    pair->key = key.str;
    return read_value(r, &pair->value, depth);
}

static int read_map(struct reader *r, uint64_t n, struct doc *ret, unsigned depth)
{
    if (n > left(r) / 2) {
        return truncated(r);
    }
    int e = charge(r, 2 * (size_t)n);
    if (e < 0) {
        return e;
    }
    doc_set_map(ret);
    ret->pairs = n > 0 ? arena_array(r->arena, (size_t)n, sizeof(*ret->pairs)) : NULL;
    ret->capacity = (size_t)n;
    for (; ret->n < n && e == 0; ret->n++) {
        e = read_pair(r, &ret->pairs[ret->n], depth + 1);
    }
    return e < 0 ? e : refuse_twice(r, ret);
}

static int read_unsigned(struct reader *r, size_t bytes, struct doc *ret)
{
    uint64_t v = 0;
    int e = take_be(r, bytes, &v);
    if (e < 0) {
        return e;
    }
    if (v > INT64_MAX) { /* as JSON readers do: the nearest float; no row of ours takes it as a whole number */
        doc_set_float(ret, (double)v);
    } else {
        doc_set_int(ret, (int64_t)v);
    }
    return 0;
}

static int read_signed(struct reader *r, size_t bytes, struct doc *ret)
{
    uint64_t v = 0;
    int e = take_be(r, bytes, &v);
    if (e == 0) {
        unsigned shift = (unsigned)(64 - 8 * bytes);
        doc_set_int(ret, (int64_t)(v << shift) >> shift);
    }
    return e;
}

static int read_float(struct reader *r, size_t bytes, struct doc *ret)
{
    uint64_t v = 0;
    int e = take_be(r, bytes, &v);
    if (e < 0) {
        return e;
    }
    double d;
    if (bytes == 4) {
        uint32_t bits = (uint32_t)v;
        float f;
        memcpy(&f, &bits, sizeof f);
        d = (double)f;
    } else {
        memcpy(&d, &v, sizeof d);
    }
    doc_set_float(ret, d);
    return 0;
}

/* What follows a size of 1, 2 or 4 bytes. */
static int read_sized(struct reader *r, unsigned char tag, struct doc *ret, unsigned depth)
{
    static const unsigned char size_of[] = {[0x04] = 1, [0x05] = 2, [0x06] = 4, [0x19] = 1, [0x1A] = 2,
                                            [0x1B] = 4, [0x1C] = 2, [0x1D] = 4, [0x1E] = 2, [0x1F] = 4};
    uint64_t n = 0;
    int e = take_be(r, size_of[tag - 0xC0], &n);
    if (e < 0) {
        return e;
    }
    if (tag <= 0xC6) {
        return read_bytes(r, n, false, ret);
    }
    if (tag <= 0xDB) {
        return read_bytes(r, n, true, ret);
    }
    return tag <= 0xDD ? read_list(r, n, ret, depth) : read_map(r, n, ret, depth);
}

static int read_scalar(struct reader *r, unsigned char tag, struct doc *ret)
{
    switch (tag) {
    case 0xC0: doc_set_null(ret); return 0;
    case 0xC2:
    case 0xC3: doc_set_bool(ret, tag == 0xC3); return 0;
    case 0xCA: return read_float(r, 4, ret);
    case 0xCB: return read_float(r, 8, ret);
    case 0xCC:
    case 0xCD:
    case 0xCE:
    case 0xCF: return read_unsigned(r, (size_t)1 << (tag - 0xCC), ret);
    case 0xD0:
    case 0xD1:
    case 0xD2:
    case 0xD3: return read_signed(r, (size_t)1 << (tag - 0xD0), ret);
    default: return err_set(r->err, ERR_SYNTAX, "byte 0x%02x starts no value that is taken here", (unsigned)tag);
    }
}

static int read_value(struct reader *r, struct doc *ret, unsigned depth)
{
    uint64_t tag = 0;
    int e = take_be(r, 1, &tag);
    if (e < 0) {
        return e;
    }
    if (depth > r->limits->depth) {
        return err_set(r->err, ERR_LIMIT, "nested deeper than %u", r->limits->depth);
    }
    *ret = (struct doc){.type = DOC_NULL};
    if (tag < 0x80 || tag >= 0xE0) {
        doc_set_int(ret, (int8_t)tag);
        return 0;
    }
    if (tag < 0x90) {
        return read_map(r, tag & 0x0F, ret, depth);
    }
    if (tag < 0xA0) {
        return read_list(r, tag & 0x0F, ret, depth);
    }
    if (tag < 0xC0) {
        return read_bytes(r, tag & 0x1F, true, ret);
    }
    if ((tag >= 0xC4 && tag <= 0xC6) || tag >= 0xD9) {
        return read_sized(r, (unsigned char)tag, ret, depth);
    }
    return read_scalar(r, (unsigned char)tag, ret);
}

int msg_read_doc(const void *data, size_t size, const struct doc_limits *limits, struct arena *arena,
                 struct doc **ret, struct err *err)
{
    struct reader r = {.p = data, .limits = limits, .arena = arena, .err = err};
    if (size > limits->bytes) {
        return err_set(err, ERR_LIMIT, "a message of %zu bytes, over %zu", size, limits->bytes);
    }
    r.end = r.p + size;
    struct doc *doc = doc_new(arena);
    int e = read_value(&r, doc, 0);
    if (e == 0 && r.p != r.end) {
        e = err_set(err, ERR_SYNTAX, "%zu bytes behind the value", left(&r));
    }
    if (e == 0) {
        *ret = doc;
    }
    return e;
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

static int to_buf(void *user, const char *data, size_t size)
{
    buf_put(user, data, size);
    return 0;
}

static void write_value(msgpack_packer *p, const struct doc *doc)
{
    switch (doc->type) {
    case DOC_NULL: msgpack_pack_nil(p); break;
    case DOC_BOOL: doc->b ? msgpack_pack_true(p) : msgpack_pack_false(p); break;
    case DOC_INT: msgpack_pack_int64(p, doc->i); break;
    case DOC_FLOAT: msgpack_pack_double(p, doc->f); break;
    case DOC_STR: msgpack_pack_str_with_body(p, doc->str, doc->n); break;
    case DOC_BIN: msgpack_pack_bin_with_body(p, doc->str, doc->n); break;
    case DOC_LIST:
        msgpack_pack_array(p, doc->n);
        for (size_t i = 0; i < doc->n; i++) {
            write_value(p, &doc->items[i]);
        }
        break;
    case DOC_MAP:
        msgpack_pack_map(p, doc->n);
        for (size_t i = 0; i < doc->n; i++) {
            msgpack_pack_str_with_body(p, doc->pairs[i].key, strlen(doc->pairs[i].key));
            write_value(p, &doc->pairs[i].value);
        }
        break;
    }
}

void msg_write_doc(const struct doc *doc, struct buf *out)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, to_buf);
    write_value(&packer, doc);
}
