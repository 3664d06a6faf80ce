#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "tests/test.h"

START_TEST(test_blocks)
{
    struct arena arena;
    struct rng rng;
    arena_init(&arena);
    rng_init(&rng, 1, 1, 0, 0);
    for (int round = 0; round < 3; round++) {
        unsigned char *last = NULL;
        size_t last_size = 0;
        for (int i = 0; i < 2000; i++) {
            size_t size = (size_t)rng_below(&rng, i % 100 == 0 ? 3000000 : 300);
            unsigned char *block = arena_alloc(&arena, size);
            ck_assert_uint_eq((uintptr_t)block % 64, 0);
            for (size_t k = 0; k < size; k += size < 4096 ? 1 : 997) {
                ck_assert_uint_eq(block[k], 0);
            }
            memset(block, 0xAB, size);
            ck_assert(last_size == 0 || last[last_size - 1] == 0xAB);
            last = block;
            last_size = size;
        }
        arena_reset(&arena);
        ck_assert_uint_eq(arena.used_bytes, 0);
    }
    arena_fini(&arena);
    arena_fini(&arena);
    arena_fini(NULL);
}
END_TEST

/* The step loop lives from this: what was there once is used again. */
START_TEST(test_reset_keeps_memory)
{
    struct arena arena = {0};
    void *first[64], *second[64];
    for (size_t i = 0; i < 64; i++) {
        first[i] = arena_alloc(&arena, 1000 * i);
    }
    arena_reset(&arena);
    for (size_t i = 0; i < 64; i++) {
        second[i] = arena_alloc(&arena, 1000 * i);
    }
    ck_assert_mem_eq(first, second, sizeof(first));
    arena_fini(&arena);
}
END_TEST

START_TEST(test_texts)
{
    struct arena arena = {0};
    ck_assert_str_eq(arena_strdup(&arena, "abc"), "abc");
    ck_assert_ptr_null(arena_strdup(&arena, NULL));
    ck_assert_str_eq(arena_strndup(&arena, "abcdef", 3), "abc");
    ck_assert_str_eq(arena_printf(&arena, "%d-%s", 12, "x"), "12-x");
    ck_assert_str_eq(arena_printf(&arena, "%s", ""), "");
    arena_fini(&arena);
}
END_TEST

static void overflow(void *arg)
{
    struct arena arena = {0};
    (void)arena_array(&arena, SIZE_MAX / 2, *(size_t *)arg);
}

START_TEST(test_limits)
{
    struct arena arena = {0};
    size_t three = 3;
    ck_assert_ptr_null(arena_try(&arena, SIZE_MAX - 10));
    ck_assert_ptr_null(arena_try(&arena, SIZE_MAX / 4 + 1));
    ck_assert_ptr_nonnull(arena_try(&arena, 0));
    ck_assert_int_eq(test_in_child(overflow, &three), -SIGABRT);
    arena_fini(&arena);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("arena");
    TCase *cases = tcase_create("arena");
    tcase_add_test(cases, test_blocks);
    tcase_add_test(cases, test_reset_keeps_memory);
    tcase_add_test(cases, test_texts);
    tcase_add_test(cases, test_limits);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
