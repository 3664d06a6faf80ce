/* Data sets packed into tar shards, against a real daemon: the same batches as from the folder,
 * files and shards come out whole, other programs read them, damage is found. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/client/pictures.h"

enum { EACH = 300 };

static struct live live;

static void setup(void)
{
    live_start(&live);
    live_daemon(&live, NULL);
}

static void teardown(void)
{
    live_stop(&live);
}

/* A script about $A and $B. */
static void shell(const char *script, const char *a, const char *b)
{
    ck_assert(setenv("A", a, 1) == 0 && setenv("B", b, 1) == 0);
    ck_assert_msg(system(script) == 0, "%s", script);
}

static int count(const char *folder)
{
    DIR *dir = opendir(folder);
    int n = 0;
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        n += entry->d_name[0] != '.';
    }
    closedir(dir);
    return n;
}

static void pack(const char *name, const char *more)
{
    struct live_result r;
    live_run(&live, &r, "dataset", "pack", name, "--shard-bytes=65536", more, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
}

START_TEST(gives_what_the_folder_gives)
{
    char folder[TEST_PATH], out[TEST_PATH], shards[TEST_PATH];
    char plain[PICTURES_TENSORS], packed[PICTURES_TENSORS];
    struct live_result r;
    if (!live_has("trainer/millrace-trainer") || !live_has("workers/millrace-worker")) {
        test_skip("no trainer");
        return;
    }
    pictures_folder(&live, "pets", EACH);
    test_path(folder, "%s/pets", live.folder);
    test_path(out, "%s/out", live.folder);
    test_path(shards, "%s/shards", live.folder);
    pictures_good(&live, "dataset", "put", "pets", folder);
    ck_assert(pictures_train(&live, "pets", plain, &r));
    pack("pets", "--into=packed");
    ck_assert(pictures_train(&live, "packed", packed, &r));
    ck_assert_str_eq(plain, packed);
    pictures_good(&live, "dataset", "get", "packed", out);
    shell("diff -r $A $B", folder, out);
    live_run(&live, &r, "dataset", "get", "packed", shards, "--shards", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    ck_assert_int_gt(count(shards), 5);
    /* Another program reads them; and so does the source of shards, labels and order too. */
    shell("mkdir $A/x && cd $A/x && for f in ../shards/*.tar; do tar xf $f; done", live.folder,
          live.folder);
    shell("cat $A/x/dog/*.cls | tr -d 1 | wc -c | grep -qx 0 && find $A/x -name '*.cls' -delete",
          live.folder, live.folder);
    shell("diff -r $A/x $B", live.folder, folder);
    pictures_good(&live, "dataset", "put", "wds", shards);
    ck_assert(pictures_train(&live, "wds", packed, &r));
    ck_assert_str_eq(plain, packed);
    /* The folder's version is not needed any more. */
    pictures_good(&live, "dataset", "remove", "pets", NULL);
    pictures_good(&live, "dataset", "gc", "--days=0", NULL);
    ck_assert(pictures_train(&live, "packed", packed, &r));
    ck_assert_str_eq(plain, packed);
    pictures_good(&live, "dataset", "verify", "packed", NULL);
}
END_TEST

/* Splits have shards of their own, the files of one sample stay together, any name goes. */
START_TEST(keeps_splits_samples_and_names)
{
    char folder[TEST_PATH], out[TEST_PATH], name[900], path[TEST_PATH];
    pictures_folder(&live, "set/train", 40);
    pictures_folder(&live, "set/val", 20);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof(name), "set/train/cat/%02d.note.txt", i);
        live_text(&live, name, "beside", path);
    }
    (void)snprintf(name, sizeof(name), "set/train/dog/%0150d/%0150d.bmp", 1, 2);
    pictures_write(&live, name, 1);
    live_text(&live, "set/val/owl/empty.txt", "", path);
    test_path(folder, "%s/set", live.folder);
    test_path(out, "%s/out", live.folder);
    pictures_good(&live, "dataset", "put", "set", folder);
    pack("set", NULL);
    pictures_good(&live, "dataset", "verify", "set@2", NULL);
    pictures_good(&live, "dataset", "get", "set@2", out);
    shell("diff -r $A $B", folder, out);
    test_path(out, "%s/shards", live.folder);
    struct live_result r;
    live_run(&live, &r, "dataset", "get", "set", out, "--shards", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    shell("cd $A && test $(ls | grep -c '^train-0') -ge 2 && test $(ls | grep -c '^val-0') = 1 && "
          "test $(ls | wc -l) = $(ls | grep -c '^train-0\\|^val-0')",
          out, "");
    /* No sample is in two shards. */
    shell("cd $A && for f in *.tar; do tar tf $f | sed 's/\\.[^/]*$//' | sort -u; done | sort | "
          "uniq -d "
          "| wc -l | grep -qx 0",
          out, "");
    /* Packed again it is what it was. */
    live_run(&live, &r, "dataset", "pack", "set@1", "--shard-bytes=65536", "--json", NULL);
    ck_assert_msg(r.status == 0 && strstr(r.out.data, "\"version\": 2") != NULL, "%s", r.out.data);
    live_free(&r);
}
END_TEST

static void flip(const char *find)
{
    char command[2 * TEST_PATH];
    (void)snprintf(command, sizeof(command),
                   "f=$(%s | head -1) && test -n \"$f\" && printf X | dd of=$f bs=1 seek=40000 "
                   "conv=notrunc 2>/dev/null",
                   find);
    ck_assert_msg(system(command) == 0, "%s", command);
}

START_TEST(damage_is_found_and_mended)
{
    char folder[TEST_PATH], find[TEST_PATH + 200];
    struct live_result r;
    pictures_folder(&live, "pets", EACH);
    test_path(folder, "%s/pets", live.folder);
    pictures_good(&live, "dataset", "put", "pets", folder);
    pack("pets", "--into=packed");
    (void)snprintf(find, sizeof(find), "find %s/state/blobs/?? -type f -size +50k", live.folder);
    flip(find);
    live_run(&live, &r, "dataset", "verify", "packed", NULL);
    ck_assert_msg(r.status != 0 && strstr(r.out.data, "holds other bytes") != NULL, "%s",
                  r.out.data);
    live_free(&r);
    pack("pets", "--into=packed");
    pictures_good(&live, "dataset", "verify", "packed", NULL);
    /* A damaged file is not packed as if it were whole. */
    (void)snprintf(find, sizeof(find), "find %s/state/blobs/pack -type f", live.folder);
    flip(find);
    live_run(&live, &r, "dataset", "pack", "pets", "--into=other", NULL);
    ck_assert_msg(r.status != 0 && strstr(r.err.data, "are damaged") != NULL, "%s", r.err.data);
    live_free(&r);
    live_run(&live, &r, "dataset", "show", "other", NULL);
    ck_assert_int_eq(r.status, 3);
    live_free(&r);
}
END_TEST

START_TEST(refuses_what_cannot_be)
{
    static const struct {
        const char *name, *more, *say;
    } cases[] = {
        {"none", NULL, "no data set 'none'"},
        {"pets", "--into=a/b", "letters, digits"},
        {"pets", "--shard-bytes=1", "shard"},
    };
    char folder[TEST_PATH];
    struct live_result r;
    pictures_folder(&live, "pets", 1);
    test_path(folder, "%s/pets", live.folder);
    pictures_good(&live, "dataset", "put", "pets", folder);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        live_run(&live, &r, "dataset", "pack", cases[i].name, cases[i].more, NULL);
        ck_assert_msg(r.status != 0 && strstr(r.err.data, cases[i].say) != NULL, "%s", r.err.data);
        live_free(&r);
    }
    live_run(&live, &r, "dataset", "get", "pets", folder, "--shards", NULL);
    ck_assert_msg(r.status != 0 && strstr(r.err.data, "has no shards") != NULL, "%s", r.err.data);
    live_free(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shards");
    TCase *tcase = tcase_create("shards");
    signal(SIGPIPE, SIG_IGN);
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, gives_what_the_folder_gives);
    tcase_add_test(tcase, keeps_splits_samples_and_names);
    tcase_add_test(tcase, damage_is_found_and_mended);
    tcase_add_test(tcase, refuses_what_cannot_be);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
