#include "pipeline/element_pack.h"

#include <string.h>

#include "pipeline/format/utf8.h"

enum { ALIGN = 8 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are stored as they are");

static size_t aligned(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* Bytes of a field of one shape; 0 if it may have others, or nothing in it. */
static size_t fixed_bytes(const struct element_field *field)
{
    size_t bytes = 0;
    if (field->is_varying || field->spec.dtype == DTYPE_STR ||
        shape_bytes(&field->spec.shape, field->spec.dtype, &bytes) < 0) {
        return 0;
    }
    return bytes;
}

int element_pack_init(struct element_pack *ret, const struct element_spec *spec, struct err *err)
{
    bool is_fixed = true;
    size_t all = 0;
    *ret = (struct element_pack){.spec = spec};
    for (int i = 0; i < spec->n; i++) {
        const size_t bytes = ret->field_bytes[i] = fixed_bytes(&spec->fields[i]);
        is_fixed = is_fixed && bytes > 0;
        if (bytes > ELEMENT_PACK_MAX || (all += aligned(bytes)) > ELEMENT_PACK_MAX) {
            return err_set(err, ERR_LIMIT, "an element has more than %d bytes", ELEMENT_PACK_MAX);
        }
    }
    ret->bytes = is_fixed ? all : 0;
    return 0;
}

void element_pack_fini(struct element_pack *pack)
{
    for (int i = 0; i < ELEMENT_FIELDS_MAX; i++) {
        op_scratch_fini(&pack->texts[i]);
    }
}

/* ---- to bytes ------------------------------------------------------------------------------- */

static const char zeros[ALIGN];

static void put(struct buf *out, const void *data, size_t size)
{
    buf_put(out, data, size);
    buf_put(out, zeros, aligned(size) - size);
}

static int check_field(const struct element_field *field, bool is_fixed, const struct tensor *x,
                       struct err *err)
{
    const struct op_spec *spec = &field->spec;
    if (x->dtype == spec->dtype && x->shape.rank == spec->shape.rank &&
        (!is_fixed || shape_equal(&x->shape, &spec->shape))) {
        return 0;
    }
    return err_set(err, ERR_SHAPE, "field '%s' is not what the stream says of it", field->name);
}

static int put_texts(const struct tensor *x, int64_t n, struct buf *out, struct err *err)
{
    const struct tensor_text *texts = x->data;
    size_t all = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t length = texts[i].n;
        put(out, &length, sizeof length);
        if (texts[i].n > ELEMENT_PACK_MAX || (all += texts[i].n) > ELEMENT_PACK_MAX) {
            return err_set(err, ERR_LIMIT, "texts of more than %d bytes", ELEMENT_PACK_MAX);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        buf_put(out, texts[i].text, texts[i].n);
    }
    buf_put(out, zeros, aligned(out->size) - out->size);
    return 0;
}

static int put_varying(const struct tensor *x, struct buf *out, struct err *err)
{
    int64_t n = 0;
    size_t bytes = 0;
    put(out, x->shape.d, (size_t)x->shape.rank * sizeof x->shape.d[0]);
    if (shape_count(&x->shape, &n) < 0 || shape_bytes(&x->shape, x->dtype, &bytes) < 0 ||
        bytes > ELEMENT_PACK_MAX) {
        return err_set(err, ERR_LIMIT, "a field has more than %d bytes", ELEMENT_PACK_MAX);
    }
    if (x->dtype == DTYPE_STR) {
        return put_texts(x, n, out, err);
    }
    put(out, x->data, bytes);
    return 0;
}

int element_pack(const struct element_pack *pack, const struct element *element, struct buf *out,
                 struct err *err)
{
    int r = 0;
    for (int i = 0; i < pack->spec->n && r == 0; i++) {
        const struct tensor *x = &element->fields[i];
        const size_t bytes = pack->field_bytes[i];
        r = check_field(&pack->spec->fields[i], bytes > 0, x, err);
        if (r == 0 && bytes > 0) {
            put(out, x->data, bytes);
        } else if (r == 0) {
            r = put_varying(x, out, err);
        }
        if (r == 0 && out->size > ELEMENT_PACK_MAX) {
            r = err_set(err, ERR_LIMIT, "an element has more than %d bytes", ELEMENT_PACK_MAX);
        }
    }
    return r;
}

/* ---- from bytes ----------------------------------------------------------------------------- */

struct cursor {
    const unsigned char *at;
    size_t left;
};

/* NULL: so much is not there. */
static const void *take(struct cursor *c, size_t size)
{
    const void *at = c->at;
    if (size > c->left || aligned(size) > c->left) {
        return NULL;
    }
    c->at += aligned(size);
    c->left -= aligned(size);
    return at;
}

static int damaged(struct err *err, const struct element_field *field)
{
    return err_set(err, ERR_CORRUPT, "field '%s' is damaged", field->name);
}

/* Sizes that the spec knows are those of the spec; of pictures the first two may differ, and an
 * empty one is none. */
static bool is_possible(const struct element_field *field, const struct shape *shape)
{
    const int64_t least = field->kind == ELEMENT_IMAGE || field->kind == ELEMENT_MASK;
    for (int i = 0; i < shape->rank; i++) {
        const int64_t wanted = field->is_varying && i < 2 ? -1 : field->spec.shape.d[i];
        if (shape->d[i] < least || (wanted >= 0 && shape->d[i] != wanted)) {
            return false;
        }
    }
    return true;
}

static int take_texts(struct cursor *c, const struct element_field *field, int64_t n,
                      struct op_scratch *scratch, struct tensor *ret, struct err *err)
{
    uint64_t length;
    size_t all = 0;
    if ((uint64_t)n > c->left / sizeof length) {
        return damaged(err, field);
    }
    const unsigned char *lengths = take(c, (size_t)n * sizeof length);
    struct tensor_text *texts = op_scratch_need(scratch, ((size_t)n + 1) * sizeof *texts);
    for (int64_t i = 0; i < n; i++) {
        memcpy(&length, lengths + (size_t)i * sizeof length, sizeof length);
        if (length > c->left - all) {
            return damaged(err, field);
        }
        texts[i] = (struct tensor_text){(const char *)c->at + all, (size_t)length};
        all += (size_t)length;
    }
    for (int64_t i = 0; i < n; i++) {
        if (utf8_good(texts[i].text, texts[i].n) != texts[i].n) {
            return damaged(err, field);
        }
    }
    ret->data = texts;
    return take(c, all) != NULL ? 0 : damaged(err, field);
}

static int take_varying(struct cursor *c, const struct element_field *field,
                        struct op_scratch *scratch, struct tensor *ret, struct err *err)
{
    const size_t rank = (size_t)field->spec.shape.rank;
    const void *sizes = take(c, rank * sizeof ret->shape.d[0]);
    int64_t n = 0;
    size_t bytes = 0;
    if (sizes == NULL) {
        return damaged(err, field);
    }
    ret->shape = (struct shape){.rank = (int)rank};
    memcpy(ret->shape.d, sizes, rank * sizeof ret->shape.d[0]);
    if (!is_possible(field, &ret->shape) || shape_count(&ret->shape, &n) < 0 ||
        shape_bytes(&ret->shape, ret->dtype, &bytes) < 0) {
        return damaged(err, field);
    }
    if (ret->dtype == DTYPE_STR) {
        return take_texts(c, field, n, scratch, ret, err);
    }
    ret->data = (void *)(uintptr_t)take(c, bytes);
    return ret->data != NULL ? 0 : damaged(err, field);
}

/* A byte that is no truth value must not be read as one. */
static bool are_truths(const struct tensor *x)
{
    const unsigned char *v = x->data;
    int64_t n = 0;
    bool is_good = shape_count(&x->shape, &n) == 0;
    for (int64_t i = 0; i < n && is_good; i++) {
        is_good = v[i] <= 1;
    }
    return is_good;
}

int element_unpack(struct element_pack *pack, const void *data, size_t size, struct element *ret,
                   struct err *err)
{
    struct cursor c = {data, size};
    for (int i = 0; i < pack->spec->n; i++) {
        const struct element_field *field = &pack->spec->fields[i];
        struct tensor *x = &ret->fields[i];
        int r = 0;
        *x = (struct tensor){.dtype = field->spec.dtype, .shape = field->spec.shape};
        if (pack->field_bytes[i] > 0) {
            x->data = (void *)(uintptr_t)take(&c, pack->field_bytes[i]);
            r = x->data != NULL ? 0 : damaged(err, field);
        } else {
            r = take_varying(&c, field, &pack->texts[i], x, err);
        }
        if (r < 0 || (x->dtype == DTYPE_BOOL && !are_truths(x))) {
            return r < 0 ? r : damaged(err, field);
        }
    }
    return c.left == 0 ? 0 : err_set(err, ERR_CORRUPT, "there are bytes behind the last field");
}
