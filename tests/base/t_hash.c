#include <string.h>

#include "base/hash.h"
#include "tests/test.h"

/* BLAKE2b-256, as Python's hashlib and b2sum -l 256 give it. */
static const struct {
    const char *text;
    const char *id;
} ids[] = {
    {"", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"},
    {"abc", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"},
    {"The quick brown fox jumps over the lazy dog",
     "01718cec35cd3d796dd00020e0bfecb473ad23457d063b75eff29c0ffa2e58a9"},
};

START_TEST(test_ids)
{
    char id[HASH_ID_TEXT];
    hash_bytes(ids[_i].text, strlen(ids[_i].text), id);
    ck_assert_str_eq(id, ids[_i].id);
}
END_TEST

START_TEST(test_parts)
{
    char whole[HASH_ID_TEXT], parts[HASH_ID_TEXT];
    unsigned char data[1000];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (unsigned char)(i * 7);
    }
    hash_bytes(data, sizeof(data), whole);
    for (size_t cut = 0; cut <= sizeof(data); cut += 37) {
        struct hash hash;
        hash_init(&hash);
        hash_update(&hash, data, cut);
        hash_update(&hash, data + cut, sizeof(data) - cut);
        hash_final(&hash, parts);
        ck_assert_str_eq(whole, parts);
    }
}
END_TEST

/* From xxhash's own test suite: XXH3-64 of nothing and of a text. */
START_TEST(test_fast)
{
    ck_assert_uint_eq(hash_fast("", 0, 0), 0x2D06800538D394C2u);
    ck_assert_uint_ne(hash_fast("a", 1, 0), hash_fast("a", 1, 1));
    ck_assert_uint_eq(hash_fast("abc", 3, 0), 0x78AF5F94892F3950u);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("hash");
    TCase *cases = tcase_create("hash");
    tcase_add_loop_test(cases, test_ids, 0, sizeof(ids) / sizeof(ids[0]));
    tcase_add_test(cases, test_parts);
    tcase_add_test(cases, test_fast);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
