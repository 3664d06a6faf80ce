#include "pipeline/format/tfrecord.h"

#include "pipeline/format/crc32c.h"

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t n = 0;
    for (int i = bytes - 1; i >= 0; i--) {
        n = n << 8 | p[i];
    }
    return n;
}

static uint32_t masked(const unsigned char *p, size_t n)
{
    const uint32_t crc = crc32c(0, p, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* The length that a record declares. */
static int read_head(struct input_window *w, int64_t at, size_t record, uint64_t *ret,
                     struct err *err)
{
    const unsigned char *p = NULL;
    const int64_t got = input_window_peek(w, at, TFRECORD_HEAD, &p, err);
    if (got < 0) {
        return (int)got;
    }
    if (got < TFRECORD_HEAD) {
        return input_fail(w->in, at, ERR_TRUNCATED, err, "record %zu ends inside its length",
                          record);
    }
    *ret = little(p, 8);
    if (masked(p, 8) != little(p + 8, 4)) {
        return input_fail(w->in, at, ERR_CORRUPT, err,
                          "record %zu: the checksum of its length is wrong", record);
    }
    return *ret <= TFRECORD_BYTES_MAX
               ? 0
               : input_fail(w->in, at, ERR_LIMIT, err, "record %zu of %llu bytes, more than %d",
                            record, (unsigned long long)*ret, TFRECORD_BYTES_MAX);
}

int tfrecord_index(struct offsets *index, const struct input *in, struct err *err)
{
    struct input_window window = {.in = in};
    int64_t at = 0;
    int r = offsets_add(index, at, err);
    while (r == 0 && at < in->size) {
        const size_t record = index->n - 1;
        uint64_t length = 0;
        r = read_head(&window, at, record, &length, err);
        if (r < 0) {
            break;
        }
        const int64_t whole = TFRECORD_HEAD + (int64_t)length + TFRECORD_FOOT;
        r = whole > in->size - at
                ? input_fail(in, at, ERR_TRUNCATED, err, "record %zu of %llu bytes, %lld are left",
                             record, (unsigned long long)length,
                             (long long)(in->size - at - TFRECORD_HEAD))
                : offsets_add(index, at += whole, err);
    }
    input_window_fini(&window);
    return r;
}

bool tfrecord_load(struct offsets *index, const struct input *in, const void *data, size_t size)
{
    const int64_t *at = data;
    const size_t n = size / sizeof *at;
    return size == n * sizeof *at && n > 0 && at[0] == 0 && at[n - 1] == in->size &&
           offsets_set(index, at, n, TFRECORD_HEAD + TFRECORD_FOOT, in->size + 1);
}

int tfrecord_read(const struct offsets *index, struct input_window *window, size_t record,
                  const unsigned char **ret, size_t *ret_size, struct err *err)
{
    const unsigned char *p = NULL;
    BUG_ON(record + 1 >= index->n);
    const int64_t at = index->at[record];
    const size_t whole = (size_t)(index->at[record + 1] - at);
    int r = input_window_need(window, at, whole, &p, err);
    if (r < 0) {
        return r;
    }
    *ret = p + TFRECORD_HEAD;
    *ret_size = whole - TFRECORD_HEAD - TFRECORD_FOOT;
    if (little(p, 8) != *ret_size || masked(*ret, *ret_size) != little(*ret + *ret_size, 4)) {
        return input_fail(window->in, at, ERR_CORRUPT, err,
                          "record %zu: the checksum of its data is wrong", record);
    }
    return 0;
}
