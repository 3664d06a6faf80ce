/* millrace apply: the examples of the slides with their answers, options, formats, and what is
 * refused. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/doc.h"
#include "base/file.h"
#include "base/hash.h"
#include "tests/client/live.h"

static struct live live;

static void setup(void)
{
    if (!live_has("workers/millrace-worker")) {
        test_skip_all("no millrace-worker is built");
    }
    live_start(&live);
}

static void teardown(void)
{
    live_stop(&live);
}

/* Every file of examples/slides: its answer stands beside it, or its answer's hash where that is
 * long. */
static void check_slide(const char *folder, const char *name)
{
    char path[TEST_PATH], stem[TEST_PATH], beside[TEST_PATH], id[HASH_ID_TEXT + 1];
    struct live_result r;
    struct buf wanted = {0};
    test_path(path, "%s/%s", folder, name);
    test_path(stem, "%.*s", (int)(strlen(path) - strlen(".yaml")), path);
    live_run(&live, &r, "apply", path, NULL);
    ck_assert_msg(r.status == 0, "%s: %s", name, r.err.data);
    test_path(beside, "%s.out", stem);
    if (file_read(AT_FDCWD, beside, 1 << 20, &wanted, NULL) == 0) {
        ck_assert_msg(strcmp(r.out.data, wanted.data) == 0, "%s:\n%s", name, r.out.data);
    } else {
        test_path(beside, "%s.b2", stem);
        ck_assert_int_eq(file_read(AT_FDCWD, beside, 1 << 20, &wanted, NULL), 0);
        hash_bytes(r.out.data, r.out.size, id);
        strcat(id, "\n");
        ck_assert_str_eq(id, wanted.data);
    }
    buf_fini(&wanted);
    live_free(&r);
}

START_TEST(runs_the_slides)
{
    char folder[TEST_PATH];
    struct dirent *entry;
    int n = 0;
    test_path(folder, "%s/examples/slides", test_source_root());
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');
        if (end != NULL && strcmp(end, ".yaml") == 0) {
            check_slide(folder, entry->d_name);
            n++;
        }
    }
    closedir(dir);
    ck_assert_int_ge(n, 6);
}
END_TEST

static const struct {
    const char *words[4]; /* behind `apply`; FILE stands for the file */
    const char *name, *text;
    const char *wanted;
} good[] = {
    {{"StringLookup", "--vocabulary=a,b,c", "--output-mode=one_hot", "FILE"},
     "x.json",
     "[\"a\", \"c\", \"d\", \"\"]",
     "[0, 1, 0, 0]\n[0, 0, 0, 1]\n[1, 0, 0, 0]\n[1, 0, 0, 0]\n"},
    {{"IntegerLookup", "--vocabulary=3,5", "FILE"},
     "x.csv",
     "3\n5\n9223372036854775807\n",
     "1\n2\n0\n"},
    {{"IntegerLookup", "--vocabulary=3,5", "--invert", "FILE"},
     "x.json",
     "1\n2\n0\n",
     "3\n5\n-1\n"},
    {{"TextVectorization", "--vocabulary=the,sky", "FILE"},
     "x.txt",
     "The wide sky\n\nsky!",
     "[2, 1, 3]\n[]\n[3]\n"},
    {{"TextVectorization", "--vocabulary=the,sky", "--ngrams=2", "FILE"},
     "x.json",
     "[\"the sky\"]",
     "[2, 3, 1]\n"},
    {{"Rescaling", "--scale=0.5", "FILE"}, "x.tsv", "1\t2\n3\t4\n", "[0.5, 1.0]\n[1.5, 2.0]\n"},
    {{"HashedCrossing", "--num-bins=5", "FILE"}, "x.json", "[[\"a\", 3], [\"b\", 4]]", "1\n0\n"},
    {{"Concatenate", "FILE"}, "x.json", "[[1, 2.5], [3, 4]]", "[1.0, 2.5]\n[3.0, 4.0]\n"},
    {{"[{Discretization: {bin_boundaries: [0, 1]}}, {CategoryEncoding: {num_tokens: 3}}]", "FILE"},
     "x.json",
     "[[0.5, -3]]",
     "[1.0, 1.0, 0.0]\n"},
    {{"CategoryEncoding", "--num-tokens=3", "--output-mode=count", "FILE"},
     "x.json",
     "[0, 2, 2]\n[1, 1, 7]\n",
     "[1.0, 0.0, 2.0]\n[0.0, 2.0, 0.0]\n"},
};

static void run_case(struct live_result *r, const char *const words[4], const char *name,
                     const char *text, size_t n)
{
    char path[TEST_PATH];
    const char *w[4] = {NULL};
    live_file(&live, name, text, n, path);
    for (int i = 0; i < 4 && words[i] != NULL; i++) {
        w[i] = strcmp(words[i], "FILE") == 0 ? path : words[i];
    }
    live_run(&live, r, "apply", w[0], w[1], w[2], w[3], NULL);
}

START_TEST(applies)
{
    struct live_result r;
    run_case(&r, good[_i].words, good[_i].name, good[_i].text, strlen(good[_i].text));
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    ck_assert_str_eq(r.out.data, good[_i].wanted);
    live_free(&r);
}
END_TEST

static const struct {
    const char *words[4];
    const char *name, *text;
    const char *says;
} bad[] = {
    {{"Hash", "FILE"}, "x.json", "[1]", "Hash: there is no op 'Hash'"},
    {{"Hashing", "--num_bin=3", "FILE"}, "x.json", "[1]", "did you mean 'num_bins'?"},
    {{"Hashing", "--num-bins=0", "FILE"}, "x.json", "[1]", "Hashing.num_bins"},
    {{"StringLookup", "--vocabulary=a,b,a", "FILE"},
     "x.json",
     "[\"a\"]",
     "StringLookup.vocabulary: 'a' stands at 0 and again at 2"},
    {{"IntegerLookup", "--vocabulary=1,99999999999999999999", "FILE"},
     "x.json",
     "[1]",
     "takes a whole number of 64 bits, not '99999999999999999999'"},
    {{"IntegerLookup", "--vocabulary=1,2", "FILE"},
     "x.json",
     "[1, 9223372036854775808]",
     "too big integer"},
    {{"IntegerLookup", "--vocabulary=1,2", "FILE"},
     "x.json",
     "[1, \"a\"]",
     "row 2 has 'a', and there are numbers before it"},
    {{"Rescaling", "--scale=2", "FILE"},
     "x.csv",
     "1,2\n3,4\n5,six\n",
     "row 3, column 2: 'six' is no number, and Rescaling takes numbers"},
    {{"TextVectorization", "--vocabulary=a,b", "FILE"},
     "x.txt",
     "good\nb\xc3(d\n",
     "line 2, byte 2 is not UTF-8"},
    {{"StringLookup", "--vocabulary=a,b", "FILE"}, "x.json", "[\"\xff\"]", "line 1"},
    {{"StringLookup", "--vocabulary=a,b", "FILE"}, "x.csv", "\"a\"b\n", "x.csv"},
    {{"CategoryEncoding", "--num-tokens=3", "FILE"},
     "x.json",
     "[[0, -1]]",
     "row 1: category -1 at 1: they are counted from 0"},
    {{"StringLookup", "--num-oov-indices=0", "--vocabulary=a,b", "FILE"},
     "x.json",
     "[\"a\", \"q\"]",
     "row 2: 'q' is not in the vocabulary"},
    {{"StringLookup", "FILE"}, "x.json", "[\"a\"]", "none was learned"},
    {{"Rescaling", "--scale=1", "FILE"}, "x.json", "[]", "there is nothing in it"},
    {{"Rescaling", "--scale=1", "FILE"}, "x.json", "[[1, [2]]]", "a list beside single values"},
    {{"Rescaling", "--scale=1", "FILE"}, "x.npy", "\x93NUMPY junk", "x.npy"},
    {{"[]", "FILE"}, "x.json", "[1]", "there is no layer in the list"},
};

START_TEST(refuses)
{
    struct live_result r;
    run_case(&r, bad[_i].words, bad[_i].name, bad[_i].text, strlen(bad[_i].text));
    ck_assert_msg(r.status > 0 && r.status < 100, "status %d: %s", r.status, r.err.data);
    ck_assert_msg(strstr(r.err.data, bad[_i].says) != NULL, "%s", r.err.data);
    ck_assert_uint_eq(r.out.size, 0);
    live_free(&r);
}
END_TEST

/* What is learned is printed where no samples are given, and used where they are. */
START_TEST(learns)
{
    char data[TEST_PATH], words[TEST_PATH], adapt[TEST_PATH + 16];
    struct live_result r;
    live_text(&live, "d.csv", "1\n2\n3\n4\n5\n6\n7\n", data);
    test_path(adapt, "--adapt=%s", data);
    live_run(&live, &r, "apply", "Normalization", adapt, NULL);
    ck_assert_str_eq(r.out.data, "mean: [4.0]\nvariance: [4.0]\n");
    live_free(&r);
    live_run(&live, &r, "apply", "Normalization", adapt, data, NULL);
    ck_assert_str_eq(r.out.data, "-1.5\n-1.0\n-0.5\n0.0\n0.5\n1.0\n1.5\n");
    live_free(&r);
    live_run(&live, &r, "apply", "Discretization", "--num-bins=2", adapt, NULL);
    ck_assert_str_eq(r.out.data, "bin_boundaries: [3.5]\n");
    live_free(&r);
    live_run(&live, &r, "apply", "Hashing", "--num-bins=2", adapt, data, NULL);
    ck_assert_ptr_nonnull(strstr(r.err.data, "no layer here learns anything"));
    live_free(&r);
    live_text(&live, "v.txt", "sky\nsea\n", words);
    test_path(adapt, "--vocabulary=@%s", words);
    live_run(&live, &r, "apply", "StringLookup", adapt, words, NULL);
    ck_assert_str_eq(r.out.data, "1\n2\n");
    live_free(&r);
}
END_TEST

/* Law 4: the samples are read behind the sandbox. Sanitizers need a looser one, by name. */
START_TEST(is_in_a_sandbox)
{
    char path[TEST_PATH];
    struct arena arena;
    struct live_result r;
    struct doc *doc = NULL;
    arena_init(&arena);
    live_text(&live, "x.json", "[1]", path);
    live_run(&live, &r, "apply", "Hashing", "--num-bins=2", "--json", path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    ck_assert_int_eq(doc_read_json(r.out.data, r.out.size, NULL, &arena, &doc, NULL), 0);
    const char *sandbox = doc_str(doc, "sandbox", "");
    ck_assert_msg(strstr(sandbox, "seccomp") != NULL || strstr(sandbox, "relaxed") != NULL, "%s",
                  sandbox);
    ck_assert_uint_eq(doc_get(doc, "rows")->n, 1);
    live_free(&r);
    arena_fini(&arena);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("apply");
    TCase *c = tcase_create("apply");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, runs_the_slides);
    tcase_add_loop_test(c, applies, 0, sizeof good / sizeof good[0]);
    tcase_add_loop_test(c, refuses, 0, sizeof bad / sizeof bad[0]);
    tcase_add_test(c, learns);
    tcase_add_test(c, is_in_a_sandbox);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
