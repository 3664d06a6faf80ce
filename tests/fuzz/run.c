/* A fuzz target as a normal test: its seeds, its files below ../shared, and changed copies of both,
 * the same ones in every run. With file names it runs those: a crash that libFuzzer found. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "tests/fuzz/fuzz.h"
#include "tests/test.h"

struct run {
    struct rng rng;
    int n;
};

/* Flips, overwrites, removes, doubles a few bytes: nothing clever, libFuzzer does that. */
static void change(struct rng *rng, struct buf *buf)
{
    size_t at = buf->size > 0 ? (size_t)rng_below(rng, buf->size) : 0;
    size_t rest = buf->size - at;
    size_t n = rest > 0 ? 1 + (size_t)rng_below(rng, rest < 8 ? rest : 8) : 0;
    switch (rng_below(rng, 5)) {
    case 0: n > 0 ? buf->data[at] = (char)(buf->data[at] ^ (1 << rng_below(rng, 8))) : 0; break;
    case 1: n > 0 ? buf->data[at] = (char)rng_u32(rng) : 0; break;
    case 2: buf->size = at; break;
    case 3:
        memmove(buf->data + at, buf->data + at + n, rest - n);
        buf->size -= n;
        break;
    default:
        buf_reserve(buf, n);
        memmove(buf->data + at + n, buf->data + at, rest);
        buf->size += n;
        break;
    }
}

static void take(const void *data, size_t size, void *arg)
{
    struct run *run = arg;
    LLVMFuzzerTestOneInput(data, size);
    run->n++;
    for (int i = 0; i < fuzz_corpus.copies && size <= 4096; i++) {
        struct buf copy = {0};
        buf_reserve(&copy, 1);
        buf_put(&copy, data, size);
        for (uint64_t k = 1 + rng_below(&run->rng, 4); k > 0; k--) {
            change(&run->rng, &copy);
        }
        LLVMFuzzerTestOneInput((const uint8_t *)copy.data, copy.size);
        run->n++;
        buf_fini(&copy);
    }
}

static void take_file(const char *path, struct run *run)
{
    struct buf data = {0};
    struct err err = {0};
    if (file_read(AT_FDCWD, path, fuzz_corpus.max_bytes, &data, &err) == 0) {
        take(data.data, data.size, run);
    }
    buf_fini(&data);
}

static void take_folder(const char *folder, struct run *run)
{
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char path[TEST_PATH];
        if (entry->d_name[0] != '.') {
            test_path(path, "%s/%s", folder, entry->d_name);
            take_file(path, run);
        }
    }
    closedir(dir);
}

static void take_shared(struct run *run)
{
    const char *shared = test_shared();
    if (shared == NULL && fuzz_corpus.shared != NULL) {
        test_skip("no ../shared beside the repository");
        return;
    }
    for (const char *const *name = fuzz_corpus.shared; name != NULL && *name != NULL; name++) {
        char folder[TEST_PATH];
        test_path(folder, "%s/%s", shared, *name);
        take_folder(folder, run);
    }
}

static struct run run;

START_TEST(corpus)
{
    rng_init(&run.rng, 1, 2, 3, 4);
    if (fuzz_corpus.seeds != NULL) {
        fuzz_corpus.seeds(take, &run);
    }
    take_shared(&run);
    printf("%d inputs\n", run.n);
    ck_assert_int_gt(run.n, 100);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) {
        rng_init(&run.rng, 1, 2, 3, 4);
        for (int i = 1; i < argc; i++) {
            take_file(argv[i], &run);
        }
        return 0;
    }
    Suite *suite = suite_create("fuzz");
    TCase *tcase = tcase_create("fuzz");
    tcase_add_test(tcase, corpus);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
