/* Records, their sums, Examples. */
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "pipeline/format/crc32c.h"
#include "pipeline/format/example.h"
#include "pipeline/format/tfrecord.h"
#include "tests/test.h"

static struct err err;

START_TEST(test_crc)
{
    unsigned char bytes[300];
    struct rng rng;
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283u); /* RFC 3720 */
    ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
    rng_init(&rng, 1, 2, 3, 4);
    for (size_t n = 0; n < sizeof bytes; n++) {
        for (size_t i = 0; i < n; i++) {
            bytes[i] = (unsigned char)rng_u32(&rng);
        }
        ck_assert_uint_eq(crc32c(7, bytes, n), crc32c_plain(7, bytes, n));
    }
}
END_TEST

/* Lengths whose sum is right and which no file has. */
START_TEST(test_lengths)
{
    static const uint64_t lengths[] = {INT64_MAX, UINT64_MAX, (uint64_t)INT64_MAX + 1,
                                       TFRECORD_BYTES_MAX + 1, TFRECORD_BYTES_MAX};
    unsigned char head[TFRECORD_HEAD];
    struct offsets index = {0};
    struct input in;
    memcpy(head, &lengths[_i], 8);
    uint32_t sum = crc32c(0, head, 8);
    sum = (sum >> 15 | sum << 17) + 0xa282ead8u;
    memcpy(head + 8, &sum, 4);
    input_memory(&in, head, sizeof head, "x");
    ck_assert_int_eq(tfrecord_index(&index, &in, &err), _i < 4 ? ERR_LIMIT : ERR_TRUNCATED);
    offsets_fini(&index);
}
END_TEST

START_TEST(test_records)
{
    TEST_NEED_SHARED(shared);
    char path[TEST_PATH];
    struct input in;
    struct offsets index = {0};
    struct example_feature features[8];
    test_path(path, "%s/hostile/tfrecord/ok_3.tfrecord", shared);
    const int fd = open(path, O_RDONLY);
    ck_assert_int_eq(input_open(&in, fd, "ok_3", &err), 0);
    struct input_window window = {.in = &in};
    ck_assert_int_eq(tfrecord_index(&index, &in, &err), 0);
    ck_assert_uint_eq(index.n, 4);
    for (size_t i = 3; i > 0; i--) {
        const unsigned char *data = NULL;
        size_t size = 0, n = 0;
        int64_t label = -1;
        ck_assert_int_eq(tfrecord_read(&index, &window, i - 1, &data, &size, &err), 0);
        ck_assert_int_eq(example_read(data, size, features, 8, &n, &err), 0);
        const struct example_feature *f = example_find(features, n, "label");
        ck_assert(f != NULL && f->kind == EXAMPLE_INTS && f->n == 1);
        example_ints(f, &label);
        ck_assert_int_eq(label, (int64_t)i - 1);
    }
    input_window_fini(&window);
    offsets_fini(&index);
    (void)close(fd);
}
END_TEST

static const struct {
    const char *data;
    size_t size;
    int code;
    enum example_kind kind;
    int64_t n;
} examples[] = {
    {"", 0, 0, EXAMPLE_NONE, 0},
    /* "x": int64_list {value: [5, -1]} packed, then the same in single values */
    {"\x0a\x16\x0a\x14\x0a\x01x\x12\x0f\x1a\x0d\x0a\x0b\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff"
     "\x01",
     24, 0, EXAMPLE_INTS, 2},
    {"\x0a\x0d\x0a\x0b\x0a\x01x\x12\x06\x1a\x04\x08\x05\x08\x06", 15, 0, EXAMPLE_INTS, 2},
    /* bytes_list {"", "ab"} */
    {"\x0a\x0f\x0a\x0d\x0a\x01x\x12\x08\x0a\x06\x0a\x00\x0a\x02"
     "ab",
     17, 0, EXAMPLE_BYTES, 2},
    /* a name without a feature */
    {"\x0a\x05\x0a\x03\x0a\x01x", 7, 0, EXAMPLE_NONE, 0},
    /* the same name twice */
    {"\x0a\x0a\x0a\x03\x0a\x01x\x0a\x03\x0a\x01x", 12, ERR_SCHEMA, 0, 0},
    /* a group, a cut field, a number of 11 bytes, floats of 3 bytes */
    {"\x0b\x0c", 2, ERR_CORRUPT, 0, 0},
    {"\x0a\x05\x0a", 3, ERR_TRUNCATED, 0, 0},
    {"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, ERR_CORRUPT, 0, 0},
    {"\x0a\x0e\x0a\x0c\x0a\x01x\x12\x07\x12\x05\x0a\x03"
     "abc",
     16, ERR_CORRUPT, 0, 0},
};

START_TEST(test_examples)
{
    struct example_feature f[4];
    size_t n = 0;
    const int r = example_read(examples[_i].data, examples[_i].size, f, 4, &n, &err);
    ck_assert_msg(r == examples[_i].code, "%d %s", r, err.text);
    if (r == 0 && n > 0) {
        ck_assert_int_eq(f[0].kind, examples[_i].kind);
        ck_assert_int_eq(f[0].n, examples[_i].n);
    }
    if (_i == 1) {
        int64_t values[2];
        example_ints(&f[0], values);
        ck_assert(values[0] == 5 && values[1] == -1);
    }
    if (_i == 3) {
        const unsigned char *text = NULL;
        size_t bytes = 0;
        example_bytes(&f[0], 1, &text, &bytes);
        ck_assert_uint_eq(bytes, 2);
        ck_assert_mem_eq(text, "ab", 2);
    }
}
END_TEST

START_TEST(test_not_finite)
{
    struct example_feature f[1];
    float values[1];
    size_t n = 0;
    ck_assert_int_eq(example_read("\x0a\x0f\x0a\x0d\x0a\x01x\x12\x08\x12\x06\x0a\x04\0\0\xc0\x7f",
                                  17, f, 1, &n, &err),
                     0);
    ck_assert_int_eq(example_floats(&f[0], false, values, &err), ERR_NOT_FINITE);
    ck_assert_int_eq(example_floats(&f[0], true, values, &err), 0);
    ck_assert(isnan(values[0]));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("tfrecord");
    TCase *c = tcase_create("tfrecord");
    tcase_add_test(c, test_crc);
    tcase_add_loop_test(c, test_lengths, 0, 5);
    tcase_add_test(c, test_records);
    tcase_add_loop_test(c, test_examples, 0, sizeof examples / sizeof examples[0]);
    tcase_add_test(c, test_not_finite);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
