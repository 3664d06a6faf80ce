#include "pipeline/format/example.h"

#include <math.h>
#include <string.h>

#include "pipeline/format/utf8.h"

enum wire { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

struct scan {
    const unsigned char *p, *end;
};
struct field {
    uint32_t number;
    unsigned wire;
    uint64_t value; /* of a varint */
    struct scan content;
};

static int take_varint(struct scan *s, uint64_t *ret, struct err *err)
{
    *ret = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (s->p == s->end) {
            return err_set(err, ERR_TRUNCATED, "Example: ends inside a number");
        }
        const unsigned char c = *s->p++;
        if (shift == 63 && c > 1) {
            break;
        }
        *ret |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            return 0;
        }
    }
    return err_set(err, ERR_CORRUPT, "Example: a number of more than 64 bits");
}

static int take_content(struct scan *s, uint64_t n, struct field *ret, struct err *err)
{
    if (n > (uint64_t)(s->end - s->p)) {
        return err_set(err, ERR_TRUNCATED, "Example: a field of %llu bytes, %zu are left",
                       (unsigned long long)n, (size_t)(s->end - s->p));
    }
    ret->content = (struct scan){s->p, s->p + n};
    s->p += n;
    return 0;
}

static int take_field(struct scan *s, struct field *ret, struct err *err)
{
    uint64_t key = 0, n = 0;
    int r = take_varint(s, &key, err);
    if (r < 0) {
        return r;
    }
    *ret = (struct field){.number = (uint32_t)(key >> 3), .wire = (unsigned)(key & 7)};
    if (key >> 3 == 0 || key >> 32 != 0) {
        return err_set(err, ERR_CORRUPT, "Example: a field with the number %llu",
                       (unsigned long long)(key >> 3));
    }
    switch (ret->wire) {
    case VARINT: return take_varint(s, &ret->value, err);
    case FIXED64: return take_content(s, 8, ret, err);
    case FIXED32: return take_content(s, 4, ret, err);
    case LENGTH: r = take_varint(s, &n, err); return r < 0 ? r : take_content(s, n, ret, err);
    default: return err_set(err, ERR_CORRUPT, "Example: a field of wire type %u", ret->wire);
    }
}

/* How many values a list of that kind holds; all of it is walked. */
static int count_list(enum example_kind kind, struct scan list, int64_t *ret, struct err *err)
{
    *ret = 0;
    while (list.p < list.end) {
        struct field f;
        uint64_t ignored;
        int r = take_field(&list, &f, err);
        if (r < 0) {
            return r;
        }
        if (f.number != 1) {
            continue;
        }
        const unsigned plain = kind == EXAMPLE_BYTES    ? LENGTH
                               : kind == EXAMPLE_FLOATS ? FIXED32
                                                        : VARINT;
        if (f.wire == plain) {
            ++*ret;
        } else if (f.wire != LENGTH) {
            return err_set(err, ERR_CORRUPT, "Example: a value of wire type %u in a list", f.wire);
        } else if (kind == EXAMPLE_FLOATS) {
            if ((f.content.end - f.content.p) % 4 != 0) {
                return err_set(err, ERR_CORRUPT, "Example: floats of %zu bytes",
                               (size_t)(f.content.end - f.content.p));
            }
            *ret += (f.content.end - f.content.p) / 4;
        } else {
            for (; f.content.p < f.content.end; ++*ret) {
                r = take_varint(&f.content, &ignored, err);
                if (r < 0) {
                    return r;
                }
            }
        }
    }
    return 0;
}

/* Feature: oneof bytes_list = 1, float_list = 2, int64_list = 3. */
static int take_feature(struct scan s, struct example_feature *feature, struct err *err)
{
    while (s.p < s.end) {
        struct field f;
        int r = take_field(&s, &f, err);
        if (r < 0) {
            return r;
        }
        if (f.number > EXAMPLE_INTS) {
            continue;
        }
        if (f.wire != LENGTH || feature->kind != EXAMPLE_NONE) {
            return err_set(err, ERR_CORRUPT, "Example: a feature with %s",
                           f.wire != LENGTH ? "no list" : "two lists");
        }
        feature->kind = (enum example_kind)f.number;
        feature->list = f.content.p;
        feature->list_bytes = (size_t)(f.content.end - f.content.p);
        r = count_list(feature->kind, f.content, &feature->n, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* An entry of the map: key = 1, value = 2. */
static int take_entry(struct scan s, struct example_feature *ret, struct err *err)
{
    *ret = (struct example_feature){.name = ""};
    while (s.p < s.end) {
        struct field f;
        int r = take_field(&s, &f, err);
        if (r == 0 && f.number <= 2 && f.wire != LENGTH) {
            r = err_set(err, ERR_CORRUPT, "Example: a feature's name or value of wire type %u",
                        f.wire);
        }
        if (r < 0) {
            return r;
        }
        const size_t n = (size_t)(f.content.end - f.content.p);
        if (f.number == 1) {
            ret->name = (const char *)f.content.p;
            ret->n_name = n;
            if (utf8_good(ret->name, n) != n) {
                return err_set(err, ERR_ENCODING, "Example: a feature's name is not UTF-8");
            }
        } else if (f.number == 2) {
            r = take_feature(f.content, ret, err);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static bool is_same(const struct example_feature *a, const char *name, size_t n)
{
    return a->n_name == n && memcmp(a->name, name, n) == 0;
}

static int take_map(struct scan s, struct example_feature *ret, size_t max, size_t *ret_n,
                    struct err *err)
{
    while (s.p < s.end) {
        struct field f;
        int r = take_field(&s, &f, err);
        if (r == 0 && f.number != 1) {
            continue;
        }
        if (r == 0 && (f.wire != LENGTH || *ret_n == max)) {
            r = f.wire != LENGTH
                    ? err_set(err, ERR_CORRUPT, "Example: a feature of wire type %u", f.wire)
                    : err_set(err, ERR_LIMIT, "Example: more than %zu features", max);
        }
        r = r < 0 ? r : take_entry(f.content, &ret[*ret_n], err);
        if (r < 0) {
            return r;
        }
        const struct example_feature *made = &ret[*ret_n];
        for (size_t i = 0; i < *ret_n; i++) {
            if (is_same(&ret[i], made->name, made->n_name)) {
                return err_set(err, ERR_SCHEMA, "Example: the feature '%.*s' comes twice",
                               made->n_name > 100 ? 100 : (int)made->n_name, made->name);
            }
        }
        ++*ret_n;
    }
    return 0;
}

int example_read(const void *data, size_t size, struct example_feature *ret, size_t max,
                 size_t *ret_n, struct err *err)
{
    struct scan s = {data, (const unsigned char *)data + size};
    *ret_n = 0;
    while (s.p < s.end) {
        struct field f;
        int r = take_field(&s, &f, err);
        if (r == 0 && f.number == 1) {
            r = f.wire != LENGTH
                    ? err_set(err, ERR_CORRUPT, "Example: features of wire type %u", f.wire)
                    : take_map(f.content, ret, max, ret_n, err);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

const struct example_feature *example_find(const struct example_feature *features, size_t n,
                                           const char *name)
{
    const size_t n_name = strlen(name);
    for (size_t i = 0; i < n; i++) {
        if (is_same(&features[i], name, n_name)) {
            return &features[i];
        }
    }
    return NULL;
}

/* The next field 1 of a list that was checked. */
static bool next_value(struct scan *list, struct field *ret)
{
    while (list->p < list->end) {
        BUG_ON(take_field(list, ret, NULL) < 0);
        if (ret->number == 1) {
            return true;
        }
    }
    return false;
}

static struct scan list_of(const struct example_feature *feature, enum example_kind kind)
{
    BUG_ON(feature->kind != kind);
    return (struct scan){feature->list, feature->list + feature->list_bytes};
}

void example_ints(const struct example_feature *feature, int64_t *ret)
{
    struct scan list = list_of(feature, EXAMPLE_INTS);
    struct field f;
    while (next_value(&list, &f)) {
        if (f.wire == VARINT) {
            *ret++ = (int64_t)f.value;
            continue;
        }
        while (f.content.p < f.content.end) {
            uint64_t value;
            BUG_ON(take_varint(&f.content, &value, NULL) < 0);
            *ret++ = (int64_t)value;
        }
    }
}

int example_floats(const struct example_feature *feature, bool takes_all, float *ret,
                   struct err *err)
{
    struct scan list = list_of(feature, EXAMPLE_FLOATS);
    float *begin = ret;
    struct field f;
    while (next_value(&list, &f)) { /* IEEE 754, little-endian, as this machine's */
        const size_t n = (size_t)(f.content.end - f.content.p);
        if (n > 0) {
            memcpy(ret, f.content.p, n);
        }
        ret += n / 4;
    }
    for (float *p = begin; !takes_all && p < ret; p++) {
        if (!isfinite(*p)) {
            return err_set(err, ERR_NOT_FINITE, "Example: number %zu of '%.*s' is not finite",
                           (size_t)(p - begin), feature->n_name > 100 ? 100 : (int)feature->n_name,
                           feature->name);
        }
    }
    return 0;
}

void example_bytes(const struct example_feature *feature, int64_t i, const unsigned char **ret,
                   size_t *ret_size)
{
    struct scan list = list_of(feature, EXAMPLE_BYTES);
    struct field f;
    do {
        BUG_ON(!next_value(&list, &f));
    } while (i-- > 0);
    *ret = f.content.p;
    *ret_size = (size_t)(f.content.end - f.content.p);
}
