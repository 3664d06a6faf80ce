/* Texts to tokens, and vocabularies. Keras's own answers are in the golden cases; here are the
 * edges of the code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/text/split.h"
#include "pipeline/text/vocab.h"
#include "tests/test.h"

static const struct {
    const char *text;
    bool lower, strip;
    enum split_by by;
    int n_widths;
    int64_t widths[3];
    const char *want; /* terms with | between them */
} cases[] = {
    {"", false, false, SPLIT_WHITESPACE, 0, {0}, ""},
    {" \t\n\v\f\r ", false, false, SPLIT_WHITESPACE, 0, {0}, ""},
    {"a", false, false, SPLIT_WHITESPACE, 0, {0}, "a"},
    {"  a  b ", false, false, SPLIT_WHITESPACE, 0, {0}, "a|b"},
    {"The Brain--is!", true, true, SPLIT_WHITESPACE, 0, {0}, "the|brainis"},
    {"... , ?", true, true, SPLIT_WHITESPACE, 0, {0}, ""},
    {"CAF\xc3\x89 \xc3\x84", true, true, SPLIT_WHITESPACE, 0, {0}, "caf\xc3\x89|\xc3\x84"},
    {"a b c", false, false, SPLIT_WHITESPACE, 2, {1, 2}, "a|b|c|a b|b c"},
    {"a b c", false, false, SPLIT_WHITESPACE, 1, {2}, "a b|b c"},
    {"a b c", false, false, SPLIT_WHITESPACE, 2, {3, 1}, "a b c|a|b|c"},
    {"a b", false, false, SPLIT_WHITESPACE, 2, {1, 3}, "a|b"},
    {"a\xe2\x82\xac \xf0\x9f\x99\x82",
     false,
     false,
     SPLIT_CHARACTER,
     0,
     {0},
     "a|\xe2\x82\xac| |\xf0\x9f\x99\x82"},
    {"a,B", true, true, SPLIT_CHARACTER, 1, {2}, "a b"},
    {" A b ", true, false, SPLIT_NONE, 0, {0}, " a b "},
    {"", true, false, SPLIT_NONE, 0, {0}, ""},
};

/* What was cut lies in memory of just the size that was asked for: sanitizers see a byte beyond. */
START_TEST(test_split)
{
    struct split split = {.lower = cases[_i].lower,
                          .strip = cases[_i].strip,
                          .by = cases[_i].by,
                          .n_widths = cases[_i].n_widths};
    const struct tensor_text text = {cases[_i].text, strlen(cases[_i].text)};
    struct split_tokens tokens;
    char got[256] = "";
    memcpy(split.widths, cases[_i].widths, sizeof cases[_i].widths);
    split_init(&split);
    void *memory = malloc(split_bytes(&split, text.n, 1));
    split_begin(&split, text.n, 1, memory, &tokens);
    split_add(&split, &text, &tokens);
    const size_t n = split_terms(&split, &tokens);
    ck_assert_uint_le(n, split_terms_max(&split, text.n, 1));
    for (size_t i = 0; i < n; i++) {
        const struct tensor_text term = split_term(&split, &tokens, i);
        strcat(got, i > 0 ? "|" : "");
        strncat(got, term.text, term.n);
    }
    ck_assert_str_eq(got, cases[_i].want);
    free(memory);
}
END_TEST

START_TEST(test_too_long)
{
    struct split split = {.by = SPLIT_WHITESPACE};
    split_init(&split);
    ck_assert_uint_gt(split_bytes(&split, (size_t)50 << 20, 1), 0);
    ck_assert_uint_eq(split_bytes(&split, (size_t)1 << 40, 1), 0);
    ck_assert_uint_eq(split_bytes(&split, 0, SIZE_MAX), 0);
}
END_TEST

START_TEST(test_vocab)
{
    enum { N = 5000 };
    struct arena arena;
    struct vocab vocab;
    struct err err = {0};
    struct tensor_text *texts = calloc(N, sizeof *texts);
    char(*names)[16] = calloc(N, sizeof *names);
    arena_init(&arena);
    for (int i = 0; i < N; i++) {
        texts[i] = (struct tensor_text){
            names[i], (size_t)snprintf(names[i], sizeof names[i], "%d", i * 7919)};
    }
    texts[17] = (struct tensor_text){"", 0};
    ck_assert_int_eq(vocab_init(&vocab, texts, NULL, N, &arena, &err), 0);
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(vocab_find(&vocab, texts[i].text, texts[i].n), i);
    }
    ck_assert_int_eq(vocab_find(&vocab, "no such", 7), -1);
    ck_assert_int_eq(vocab_find(&vocab, names[1], texts[1].n - 1), -1);
    texts[4000] = texts[3];
    ck_assert_int_eq(vocab_init(&vocab, texts, NULL, N, &arena, &err), ERR_EXISTS);
    ck_assert_str_eq(err.text, "'23757' stands at 3 and again at 4000");
    free(names);
    free(texts);
    arena_fini(&arena);
}
END_TEST

START_TEST(test_numbers)
{
    static const int64_t numbers[] = {0, -1, INT64_MAX, INT64_MIN, 1LL << 32, 7};
    static const int64_t twice[] = {5, INT64_MIN, 5};
    struct arena arena;
    struct vocab vocab;
    struct err err = {0};
    arena_init(&arena);
    ck_assert_int_eq(vocab_init(&vocab, NULL, numbers, 6, &arena, &err), 0);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(vocab_find_number(&vocab, numbers[i]), i);
    }
    ck_assert_int_eq(vocab_find_number(&vocab, 8), -1);
    ck_assert_int_eq(vocab_init(&vocab, NULL, twice, 3, &arena, &err), ERR_EXISTS);
    ck_assert_str_eq(err.text, "5 stands at 0 and again at 2");
    arena_fini(&arena);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("split");
    TCase *c = tcase_create("split");
    tcase_add_loop_test(c, test_split, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(c, test_too_long);
    tcase_add_test(c, test_vocab);
    tcase_add_test(c, test_numbers);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
