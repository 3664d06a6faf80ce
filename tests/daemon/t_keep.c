/* Kept folders through a real daemon: who gets one, and when they go. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "tests/daemon/fixture.h"

enum { KEEP = 400 << 10 };

struct keys {
    struct fixture *f;
    int n; /* folders wanted */
};

static int count_keys(const struct fixture *f, char name[HASH_ID_TEXT])
{
    char path[2 * TEST_PATH];
    int n = 0;
    (void)snprintf(path, sizeof path, "%s/kept", f->state_dir);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strlen(entry->d_name) == HASH_ID_TEXT - 1) {
            n++;
            (void)snprintf(name, HASH_ID_TEXT, "%.64s", entry->d_name);
        }
    }
    closedir(dir);
    return n;
}

static bool has_keys(void *arg)
{
    const struct keys *keys = arg;
    char name[HASH_ID_TEXT];
    return count_keys(keys->f, name) == keys->n;
}

static void wait_keys(struct fixture *f, int n)
{
    char name[HASH_ID_TEXT];
    struct keys keys = {f, n};
    ck_assert_msg(test_wait(has_keys, &keys, 10000), "%d keys instead of %d", count_keys(f, name),
                  n);
}

static void submit(struct fixture *f, const char *dataset, const char *fake, char job[64])
{
    const char *text = arena_printf(
        &f->arena,
        "{\"name\": \"job\", \"data\": {\"train\": {\"dataset\": \"%s\"}}, \"model\": [], "
        "\"compile\": {\"fake\": %s}}",
        dataset, fake);
    struct doc *doc = NULL;
    ck_assert_int_ge(doc_read_json(text, strlen(text), &doc_limits_default, &f->arena, &doc, NULL),
                     0);
    const struct msg_job_submit body = {.job = doc};
    const struct doc *reply = fixture_ask(f, MSG_JOB_SUBMIT, &body, NULL, 0);
    ck_assert_msg(reply != NULL, "%s: %s", f->err.path, f->err.text);
    (void)snprintf(job, 64, "%s", doc_str(reply, "job", ""));
}

static void run_to_end(struct fixture *f, const char *dataset, int64_t keep)
{
    char job[64];
    submit(f, dataset, arena_printf(&f->arena, "{\"steps\": 3, \"keep\": %lld}", (long long)keep),
           job);
    fixture_wait_state(f, job, "finished");
}

static int64_t kept_figure(struct fixture *f, const char *name)
{
    const struct msg_none none = {.unused = 0};
    const struct doc *status = fixture_ask(f, MSG_STATUS, &none, NULL, 0);
    return doc_int(doc_get(status, "kept"), name, -1);
}

struct figure {
    struct fixture *f;
    const char *name;
    int64_t least, most;
};

static bool is_figure(void *arg)
{
    const struct figure *figure = arg;
    const int64_t value = kept_figure(figure->f, figure->name);
    fixture_reset(figure->f);
    return value >= figure->least && value <= figure->most;
}

static void wait_figure(struct fixture *f, const char *name, int64_t least, int64_t most)
{
    struct figure figure = {f, name, least, most};
    ck_assert_msg(test_wait(is_figure, &figure, 10000), "%s is %lld", name,
                  (long long)kept_figure(f, name));
}

/* Jobs of the same bytes share a folder, whatever their data set is called; it goes with the last
 * data set of these bytes. */
START_TEST(a_folder_for_the_bytes_of_a_data_set)
{
    struct fixture f;
    char name[HASH_ID_TEXT];
    fixture_init(&f);
    fixture_start(&f);
    fixture_put(&f, "a", 3, 1000, 1);
    fixture_put(&f, "b", 3, 1000, 1);
    fixture_put(&f, "c", 3, 1000, 2);
    ck_assert_int_eq(count_keys(&f, name), 0);
    run_to_end(&f, "a", KEEP);
    run_to_end(&f, "b", KEEP);
    ck_assert_int_eq(count_keys(&f, name), 1);
    run_to_end(&f, "c", KEEP);
    ck_assert_int_eq(count_keys(&f, name), 2);
    wait_figure(&f, "bytes", 2 * KEEP, 2 * KEEP + (64 << 10));
    wait_figure(&f, "keys", 2, 2);
    wait_figure(&f, "used", 0, 0);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "c"));
    wait_keys(&f, 1);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "a"));
    wait_figure(&f, "keys", 1, 1); /* b has the same bytes */
    ck_assert_int_eq(count_keys(&f, name), 1);
    ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
    fixture_start(&f);
    ck_assert_int_eq(count_keys(&f, name), 1);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "b"));
    wait_keys(&f, 0);
    wait_figure(&f, "bytes", 0, 0);
    fixture_fini(&f);
}
END_TEST

/* Room for two of the three: the one that was not used for longest goes, but not while a job uses
 * it. */
START_TEST(the_least_recently_used_goes)
{
    struct fixture f;
    char name[HASH_ID_TEXT], first[HASH_ID_TEXT], job[64], path[2 * TEST_PATH];
    fixture_init(&f);
    fixture_arg(&f, "--kept-bytes=1000000");
    fixture_start(&f);
    fixture_put(&f, "a", 3, 1000, 1);
    fixture_put(&f, "b", 3, 1000, 2);
    fixture_put(&f, "c", 3, 1000, 3);
    run_to_end(&f, "a", KEEP);
    ck_assert_int_eq(count_keys(&f, first), 1);
    run_to_end(&f, "b", KEEP);
    ck_assert_int_eq(count_keys(&f, name), 2);
    run_to_end(&f, "a", 0); /* used again: now b is the oldest */
    run_to_end(&f, "c", KEEP);
    wait_keys(&f, 2);
    (void)snprintf(path, sizeof path, "%s/kept/%s", f.state_dir, first);
    ck_assert_int_eq(access(path, F_OK), 0);
    wait_figure(&f, "bytes", 2 * KEEP, 1000000);
    submit(&f, "a", "{\"steps\": 100000, \"step_ms\": 20}", job);
    fixture_wait_state(&f, job, "training");
    wait_figure(&f, "used", 1, 1);
    submit(&f, "b", arena_printf(&f.arena, "{\"steps\": 1, \"keep\": %d}", KEEP), name);
    wait_figure(&f, "keys", 2, 2); /* checked at once; c is the oldest that nobody uses */
    wait_figure(&f, "bytes", 2 * KEEP, 1000000);
    ck_assert_int_eq(access(path, F_OK), 0);
    fixture_fini(&f);
}
END_TEST

START_TEST(without_space_nothing_is_kept)
{
    struct fixture f;
    char name[HASH_ID_TEXT];
    fixture_init(&f);
    fixture_arg(&f, "--kept-bytes=0");
    fixture_start(&f);
    fixture_put(&f, "a", 3, 1000, 1);
    run_to_end(&f, "a", 0);
    ck_assert_int_eq(count_keys(&f, name), 0);
    const char *text =
        "{\"name\": \"job\", \"data\": {\"train\": {\"dataset\": \"a\"}}, \"model\": "
        "[], \"compile\": {\"fake\": {\"keep\": 1}}}";
    struct doc *doc = NULL;
    ck_assert_int_ge(doc_read_json(text, strlen(text), &doc_limits_default, &f.arena, &doc, NULL),
                     0);
    const struct msg_job_submit body = {.job = doc};
    ck_assert_ptr_null(fixture_ask(&f, MSG_JOB_SUBMIT, &body, NULL, 0));
    ck_assert_ptr_nonnull(strstr(f.err.text, "no folder to keep in"));
    fixture_fini(&f);
}
END_TEST

static void make(const char *path, time_t age_s)
{
    const struct timespec at = {.tv_sec = clock_wall_us() / 1000000 - age_s};
    const struct timespec times[2] = {at, at};
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(futimens(fd, times), 0);
    close(fd);
}

static bool is_gone(void *arg)
{
    return access(arg, F_OK) != 0;
}

/* What a killed writer left goes with dataset.gc, not what one still writes. */
START_TEST(temporaries_are_cleaned)
{
    struct fixture f;
    char name[HASH_ID_TEXT], old[2 * TEST_PATH + 128], fresh[2 * TEST_PATH + 128];
    fixture_init(&f);
    fixture_start(&f);
    fixture_put(&f, "a", 3, 1000, 1);
    run_to_end(&f, "a", KEEP);
    ck_assert_int_eq(count_keys(&f, name), 1);
    (void)snprintf(old, sizeof old, "%s/kept/%s/.x.0123.tmp", f.state_dir, name);
    (void)snprintf(fresh, sizeof fresh, "%s/kept/%s/.y.0123.tmp", f.state_dir, name);
    wait_figure(&f, "used", 0, 0);
    make(old, 3600);
    make(fresh, 0);
    const struct msg_dataset_gc gc = {.keep_days = -1};
    ck_assert_ptr_nonnull(fixture_ask(&f, MSG_DATASET_GC, &gc, NULL, 0));
    ck_assert(test_wait(is_gone, old, 10000));
    ck_assert_int_eq(access(fresh, F_OK), 0);
    fixture_fini(&f);
}
END_TEST

/* A folder that does not say whose it is, as after a power cut, goes when nobody uses it. */
START_TEST(a_folder_of_nobody_goes)
{
    struct fixture f;
    char name[HASH_ID_TEXT], of[2 * TEST_PATH + 128];
    fixture_init(&f);
    fixture_start(&f);
    fixture_put(&f, "a", 3, 1000, 1);
    run_to_end(&f, "a", KEEP);
    ck_assert_int_eq(count_keys(&f, name), 1);
    ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
    (void)snprintf(of, sizeof of, "%s/kept/%s.of", f.state_dir, name);
    ck_assert_int_eq(truncate(of, 10), 0);
    fixture_start(&f);
    wait_keys(&f, 0);
    run_to_end(&f, "a", KEEP);
    ck_assert_int_eq(count_keys(&f, name), 1);
    fixture_fini(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keep");
    TCase *tcase = tcase_create("keep");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_folder_for_the_bytes_of_a_data_set);
    tcase_add_test(tcase, the_least_recently_used_goes);
    tcase_add_test(tcase, without_space_nothing_is_kept);
    tcase_add_test(tcase, temporaries_are_cleaned);
    tcase_add_test(tcase, a_folder_of_nobody_goes);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
