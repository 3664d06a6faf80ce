/* Hashes against answers of TensorFlow 2.21: tf.strings.to_hash_bucket_fast and _strong, whose bins
 * are the hash modulo 2^63 - 1. */
#include <string.h>

#include "pipeline/hash/farm.h"
#include "pipeline/hash/sip.h"
#include "tests/test.h"

static const struct {
    size_t n; /* bytes of the text */
    uint64_t farm, sip;
} cases[] = {
    // clang-format off
    {0, 1936946117179621456u, 6756850503711669552u},
    {1, 7691922019767284757u, 644887848055878274u},
    {2, 8830432722863998159u, 5727991160454431139u},
    // clang-format on
};

START_TEST(test_texts)
{
    static const uint64_t key[] = {1337, 0xabcdef};
    char text[300];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)((i * 7 + 33) % 95 + 32);
    }
    ck_assert_uint_eq(farm_fingerprint(text, cases[_i].n) % INT64_MAX, cases[_i].farm);
    ck_assert_uint_eq(sip_hash(key, text, cases[_i].n) % INT64_MAX, cases[_i].sip);
}
END_TEST

/* The order of what is joined matters. */
START_TEST(test_cat)
{
    ck_assert_uint_ne(farm_cat(1, 2), farm_cat(2, 1));
    ck_assert_uint_ne(farm_cat(1, 2), farm_cat(1, 3));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("hash");
    TCase *c = tcase_create("hash");
    tcase_add_loop_test(c, test_texts, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(c, test_cat);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
