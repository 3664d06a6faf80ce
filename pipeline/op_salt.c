#include "pipeline/op_salt.h"

#include "pipeline/hash/farm.h"
#include "pipeline/hash/sip.h"

int op_salt_read(const struct doc *doc, struct op_salt *ret, struct err *err)
{
    *ret = (struct op_salt){0};
    if (doc == NULL || doc->type == DOC_NULL) {
        return 0;
    }
    const bool is_pair = doc->type == DOC_LIST;
    const struct doc *first = is_pair ? doc_at(doc, 0) : doc,
                     *last = is_pair ? doc_at(doc, 1) : doc;
    if ((is_pair && doc->n != 2) || first->type != DOC_INT || last->type != DOC_INT) {
        return err_set_at(err, ERR_INVALID, "salt", "takes a whole number or a list of two");
    }
    *ret = (struct op_salt){.has = true, .key = {(uint64_t)first->i, (uint64_t)last->i}};
    return 0;
}

uint64_t op_salt_hash(const struct op_salt *salt, const char *text, size_t n)
{
    return salt->has ? sip_hash(salt->key, text, n) : farm_fingerprint(text, n);
}

uint64_t op_salt_hash_number(const struct op_salt *salt, int64_t number)
{
    char text[24];
    size_t at = sizeof text;
    uint64_t v = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    if (number < 0) {
        text[--at] = '-';
    }
    return op_salt_hash(salt, text + at, sizeof text - at);
}
