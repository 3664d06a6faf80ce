/* Packed files: what was packed comes out, cut or changed ones are refused, limits hold. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "pipeline/format/unpack.h"
#include "tests/test.h"

static struct err err;
static struct buf plain, packed, out;

static void setup(void)
{
    for (int i = 0; i < 60000; i++) {
        buf_printf(&plain, "%d ", i * 7919 % 100003);
    }
}

static void teardown(void)
{
    buf_fini(&plain);
    buf_fini(&packed);
    buf_fini(&out);
}

static void pack(enum unpack_kind kind)
{
    const size_t room = plain.size + 4096;
    buf_reserve(&packed, room);
    char *to = packed.data + packed.size;
    if (kind == UNPACK_ZSTD) {
        packed.size += ZSTD_compress(to, room, plain.data, plain.size, 3);
        return;
    }
    z_stream z = {.next_in = (const unsigned char *)plain.data,
                  .avail_in = (uInt)plain.size,
                  .next_out = (unsigned char *)to,
                  .avail_out = (uInt)room};
    const int bits = kind == UNPACK_GZIP ? 31 : kind == UNPACK_ZLIB ? 15 : -15;
    ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.size += room - z.avail_out;
    (void)deflateEnd(&z);
}

static const enum unpack_kind kinds[] = {UNPACK_GZIP, UNPACK_ZLIB, UNPACK_ZSTD, UNPACK_DEFLATE};

START_TEST(test_back)
{
    struct input in;
    enum unpack_kind found;
    const bool is_many = kinds[_i] == UNPACK_GZIP || kinds[_i] == UNPACK_ZSTD;
    pack(kinds[_i]);
    const size_t one = packed.size;
    if (is_many) {
        pack(kinds[_i]);
    }
    char folder[TEST_PATH], path[TEST_PATH];
    test_dir_make(folder);
    test_path(path, "%s/x", folder);
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, packed.data, packed.size), (ssize_t)packed.size);
    ck_assert_int_eq(input_open(&in, fd, "x", &err), 0);
    ck_assert_int_eq(unpack_kind(&in, true, &found, &err), 0);
    ck_assert(kinds[_i] == UNPACK_DEFLATE || found == kinds[_i]);
    ck_assert_msg(unpack_to_buf(&in, kinds[_i], 1 << 24, &out, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(out.size, plain.size * (is_many ? 2 : 1));
    ck_assert_mem_eq(out.data, plain.data, plain.size);
    ck_assert_mem_eq(out.data + out.size - plain.size, plain.data, plain.size);
    ck_assert_int_eq(unpack_to_buf(&in, kinds[_i], (int64_t)plain.size - 1, &out, &err), ERR_LIMIT);
    for (size_t n = 0; n < one; n += 1 + n / 3) { /* cut */
        input_memory(&in, packed.data, n, "x");
        ck_assert_int_eq(unpack_to_buf(&in, kinds[_i], 1 << 24, &out, &err), ERR_TRUNCATED);
    }
    buf_puts(&packed, "behind");
    input_memory(&in, packed.data, packed.size, "x");
    ck_assert_int_eq(unpack_to_buf(&in, kinds[_i], 1 << 24, &out, &err), ERR_CORRUPT);
    (void)close(fd);
    test_dir_remove(folder);
}
END_TEST

START_TEST(test_sum)
{
    struct input in;
    pack(UNPACK_GZIP);
    packed.data[packed.size - 5] ^= 1;
    input_memory(&in, packed.data, packed.size, "x");
    ck_assert_int_eq(unpack_to_buf(&in, UNPACK_GZIP, 1 << 24, &out, &err), ERR_CORRUPT);
}
END_TEST

START_TEST(test_ratio)
{
    struct input in;
    memset(plain.data, 0, plain.size);
    buf_reserve(&plain, plain.size * 128);
    for (int i = 0; i < 7; i++) {
        buf_put(&plain, plain.data, plain.size);
    }
    pack(kinds[_i]);
    input_memory(&in, packed.data, packed.size, "x");
    ck_assert_int_eq(unpack_to_buf(&in, kinds[_i], INT64_MAX, &out, &err), ERR_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.text, "1000 times"));
}
END_TEST

START_TEST(test_fd)
{
    struct input in;
    char folder[TEST_PATH], path[TEST_PATH];
    pack(UNPACK_ZSTD);
    test_dir_make(folder);
    test_path(path, "%s/spool", folder);
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    input_memory(&in, packed.data, packed.size, "x");
    ck_assert_int_eq(unpack_to_fd(&in, UNPACK_ZSTD, 1 << 24, fd, &err), 0);
    ck_assert_int_eq(input_open(&in, fd, "spool", &err), 0);
    ck_assert_int_eq(in.size, (int64_t)plain.size);
    char text[8];
    ck_assert_int_eq(input_read(&in, in.size - 8, text, 8, &err), 0);
    ck_assert_mem_eq(text, plain.data + plain.size - 8, 8);
    ck_assert_int_eq(input_read(&in, in.size - 7, text, 8, &err), ERR_TRUNCATED);
    (void)close(fd);
    test_dir_remove(folder);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("unpack");
    TCase *c = tcase_create("unpack");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_back, 0, 4);
    tcase_add_test(c, test_sum);
    tcase_add_loop_test(c, test_ratio, 2, 3); /* deflate cannot grow so much */
    tcase_add_test(c, test_fd);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
