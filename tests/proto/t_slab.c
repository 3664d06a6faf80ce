/* slab: the layout of a batch follows from the plan alone, and nothing is mapped that does not hold
 * what it says. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/slab.h"
#include "tests/test.h"

static struct arena arena;
static struct err err;

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_fini(&arena);
}

static const struct doc *read_json(const char *text)
{
    struct doc *doc = NULL;
    ck_assert_msg(doc_read_json(text, strlen(text), &doc_limits_default, &arena, &doc, &err) == 0,
                  "%s: %s", text, err.text);
    return doc;
}

static const char good[] =
    "{\"batch\": 5, \"fields\": [{\"name\": \"x\", \"kind\": \"image\", \"dtype\": \"float32\", "
    "\"shape\": "
    "[3, 3, 1]}, {\"name\": \"y\", \"kind\": \"label\", \"dtype\": \"int64\", \"shape\": []}]}";

START_TEST(layout_of_a_plan)
{
    struct slab_layout layout;
    ck_assert_msg(slab_layout(read_json(good), &arena, &layout, &err) == 0, "%s", err.text);
    static const struct {
        const char *name, *kind;
        enum dtype dtype;
        size_t row_bytes, offset;
    } fields[] = {
        {"x", "image", DTYPE_F32, 36, 0},
        {"y", "label", DTYPE_I64, 8, 192},
        {"__sample", "numeric", DTYPE_I64, 8, 256},
        {"__ok", "numeric", DTYPE_U8, 1, 320},
    };
    ck_assert_int_eq(layout.rows, 5);
    ck_assert_int_eq(layout.n_fields, 4);
    for (int i = 0; i < layout.n_fields; i++) {
        ck_assert_str_eq(layout.fields[i].name, fields[i].name);
        ck_assert_str_eq(layout.fields[i].kind, fields[i].kind);
        ck_assert_int_eq((int)layout.fields[i].dtype, (int)fields[i].dtype);
        ck_assert_uint_eq(layout.fields[i].row_bytes, fields[i].row_bytes);
        ck_assert_uint_eq(layout.fields[i].offset, fields[i].offset);
    }
    ck_assert_uint_eq(layout.slab_bytes, 384);
}
END_TEST

#define FIELD(dtype, shape) "{\"name\": \"x\", \"dtype\": \"" dtype "\", \"shape\": " shape "}"
#define PLAN(batch, fields) "{\"batch\": " batch ", \"fields\": [" fields "]}"
static const char *const bad_plans[] = {
    "{}",
    "{\"batch\": 4}",
    PLAN("0", FIELD("uint8", "[1]")),
    PLAN("-3", FIELD("uint8", "[1]")),
    PLAN("99999999999", FIELD("uint8", "[1]")),
    PLAN("4", FIELD("complex64", "[1]")),
    PLAN("4", FIELD("uint8", "7")),
    PLAN("4", FIELD("uint8", "[-1]")),
    PLAN("4", FIELD("uint8", "[null]")),
    PLAN("4", FIELD("uint8", "[\"a\"]")),
    PLAN("4", FIELD("float64", "[4294967296, 4294967296]")),
    PLAN("1000000", FIELD("float64", "[100000000]")),
    PLAN("4", FIELD("uint8", "[1,1,1,1,1,1,1,1,1]")),
    PLAN("4", "{\"dtype\": \"uint8\", \"shape\": []}"),
};

START_TEST(bad_plan)
{
    struct slab_layout out;
    int rc = slab_layout(read_json(bad_plans[_i]), &arena, &out, &err);
    ck_assert_msg(rc == ERR_CORRUPT || rc == ERR_LIMIT, "%s: %d", bad_plans[_i], rc);
    ck_assert_int_eq(rc, err.code);
}
END_TEST

START_TEST(too_many_fields)
{
    struct slab_layout out;
    struct buf text = {0};
    buf_puts(&text, "{\"batch\": 1, \"fields\": [");
    for (int i = 0; i < SLAB_FIELDS_MAX; i++) {
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", FIELD("uint8", "[]"));
    }
    buf_puts(&text, "]}");
    ck_assert_int_eq(slab_layout(read_json(text.data), &arena, &out, &err), ERR_LIMIT);
    buf_fini(&text);
}
END_TEST

static const struct {
    int64_t n;
    size_t bytes;
} bad_sizes[] = {{0, 100},          {-1, 100}, {1, 0}, {INT64_MAX, 100}, {1 << 20, (size_t)1 << 40},
                 {2, SIZE_MAX - 10}};

START_TEST(bad_size)
{
    int fd = -1;
    ck_assert_int_eq(slab_create(bad_sizes[_i].n, bad_sizes[_i].bytes, &fd, &err), ERR_LIMIT);
    ck_assert_int_eq(fd, -1);
}
END_TEST

/* What a process could be given in a slab's place. */
START_TEST(not_a_slab)
{
    struct slab slab;
    int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(slab_map(file, &slab, &err), ERR_CORRUPT);
    close(file);
    int unsealed = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_eq(ftruncate(unsealed, 8192), 0);
    ck_assert_int_eq(slab_map(unsealed, &slab, &err), ERR_CORRUPT); /* could shrink: SIGBUS */
    ck_assert_int_eq(fcntl(unsealed, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    ck_assert_int_eq(slab_map(unsealed, &slab, &err), ERR_CORRUPT); /* no header */
    close(unsealed);
    ck_assert_int_eq(slab_map(-1, &slab, &err), ERR_CORRUPT);
}
END_TEST

START_TEST(cannot_change_size)
{
    int fd = -1;
    struct slab slab;
    ck_assert_int_eq(slab_create(2, 5000, &fd, &err), 0);
    ck_assert_int_lt(ftruncate(fd, 0), 0);
    ck_assert_int_lt(ftruncate(fd, 1 << 24), 0);
    ck_assert_int_lt(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    ck_assert_int_eq(slab_map(fd, &slab, &err), 0);
    ck_assert_uint_eq((size_t)slab_at(&slab, 1) % 4096, 0);
    ck_assert_uint_eq((size_t)(slab_at(&slab, 1) - slab_at(&slab, 0)), 8192);
    ck_assert_uint_eq((size_t)(slab_at(&slab, 2) - (unsigned char *)slab.header), slab.map_bytes);
    slab_unmap(&slab);
    slab_unmap(&slab); /* twice does no harm */
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slab");
    TCase *tcase = tcase_create("slab");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, layout_of_a_plan);
    tcase_add_loop_test(tcase, bad_plan, 0, (int)(sizeof(bad_plans) / sizeof(bad_plans[0])));
    tcase_add_test(tcase, too_many_fields);
    tcase_add_loop_test(tcase, bad_size, 0, (int)(sizeof(bad_sizes) / sizeof(bad_sizes[0])));
    tcase_add_test(tcase, not_a_slab);
    tcase_add_test(tcase, cannot_change_size);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
