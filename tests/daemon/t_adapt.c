/* What a pipeline computes once is made by workers in parts: by any number of them, killed or not,
 * and after the daemon was killed, the same bytes come of it. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "tests/daemon/fixture.h"

enum { WORKERS_MAX = 8, PARTS = 8 };

/* A filter behind a dear operation: the pass over the elements takes seconds. The 2,000 held-out
 * digits are eight parts. */
static const char job_text[] =
    "{\"name\": \"adapt\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"test\"}},"
    " \"pipeline\": [{\"map\": [{\"Resizing\": {\"height\": %d, \"width\": %d}}]},"
    "  {\"filter\": {\"predicate\": \"%s\"}},"
    "  {\"map\": [{\"Resizing\": {\"height\": 8, \"width\": 8}}]},"
    "  {\"take\": {\"count\": 100}}, {\"batch\": {\"batch_size\": 20}}],"
    " \"model\": [{\"Flatten\": {}}, {\"Dense\": {\"units\": 10, \"activation\": \"softmax\"}}],"
    " \"compile\": {\"optimizer\": {\"SGD\": {\"learning_rate\": 0.00001}}, \"loss\": "
    "\"SparseCategoricalCrossentropy\"},"
    " \"fit\": {\"epochs\": 1, \"seed\": 5}, \"resources\": {\"workers\": %d}}";
static const char predicate[] = "y < 5 && reduce_mean(x) > 1";

static void start(struct fixture *f, const char *make_ms)
{
    fixture_init(f);
    f->real_children = true;
    fixture_arg(f, make_ms);
    fixture_start(f);
    fixture_put_digits(f);
}

static const struct doc *try_submit(struct fixture *f, int side, const char *keep, int workers)
{
    const char *text = arena_printf(&f->arena, job_text, side, side, keep, workers);
    struct doc *doc = NULL;
    ck_assert_int_ge(doc_read_json(text, strlen(text), &doc_limits_default, &f->arena, &doc, NULL),
                     0);
    const struct msg_job_submit body = {.job = doc};
    return fixture_ask(f, MSG_JOB_SUBMIT, &body, NULL, 0);
}

static void submit(struct fixture *f, int side, int workers, char job[64])
{
    const struct doc *reply = try_submit(f, side, predicate, workers);
    ck_assert_msg(reply != NULL, "%s: %s", f->err.path, f->err.text);
    (void)snprintf(job, 64, "%s", doc_str(reply, "job", ""));
}

static void final_tensors(struct fixture *f, const char *job, char tensors[80])
{
    fixture_wait_state(f, job, "finished");
    const struct doc *list = doc_get(fixture_named(f, MSG_JOB_SHOW, job), "checkpoints");
    (void)snprintf(tensors, 80, "%s", doc_str(doc_at(list, list->n - 1), "tensors", ""));
}

/* Names and bytes of all that is kept, in the order of the names: {n files, their hash}. */
struct kept_state {
    int n;
    char id[HASH_ID_TEXT];
};

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void find_folder(const struct fixture *f, char path[2 * TEST_PATH])
{
    char root[2 * TEST_PATH - 128];
    (void)snprintf(root, sizeof root, "%s/kept", f->state_dir);
    DIR *dir = opendir(root);
    path[0] = '\0';
    for (const struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        if (strlen(e->d_name) == HASH_ID_TEXT - 1) {
            (void)snprintf(path, 2 * TEST_PATH, "%s/%.64s", root, e->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static struct kept_state look(const struct fixture *f)
{
    char folder[2 * TEST_PATH], names[64][HASH_ID_TEXT + 16];
    struct kept_state state = {.n = 0};
    struct hash hash;
    find_folder(f, folder);
    DIR *dir = folder[0] != '\0' ? opendir(folder) : NULL;
    for (const struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        if (strlen(e->d_name) == HASH_ID_TEXT - 1 && state.n < 64) {
            (void)snprintf(names[state.n++], sizeof names[0], "%.64s", e->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    qsort(names, (size_t)state.n, sizeof names[0], by_text);
    hash_init(&hash);
    for (int i = 0; i < state.n; i++) {
        struct buf bytes = {0};
        char path[2 * TEST_PATH + 128];
        (void)snprintf(path, sizeof path, "%s/%.64s", folder, names[i]);
        if (file_read(AT_FDCWD, path, 1 << 24, &bytes, NULL) >= 0) {
            hash_update(&hash, names[i], strlen(names[i]) + 1);
            hash_update(&hash, bytes.data, bytes.size);
        }
        buf_fini(&bytes);
    }
    hash_final(&hash, state.id);
    return state;
}

/* ---- the daemon's workers ------------------------------------------------------------------- */

static pid_t parent_of(pid_t pid)
{
    char path[64];
    struct buf text = {0};
    int64_t parent = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (file_read(AT_FDCWD, path, 4096, &text, NULL) >= 0) {
        char *end = strrchr(text.data, ')');
        char *word = end != NULL && strlen(end) > 4 ? end + 4 : NULL;
        if (word != NULL) {
            word[strcspn(word, " ")] = '\0';
            (void)doc_parse_int(word, &parent);
        }
    }
    buf_fini(&text);
    return (pid_t)parent;
}

static int find_workers(const struct fixture *f, pid_t pids[WORKERS_MAX])
{
    int n = 0;
    DIR *dir = opendir("/proc");
    for (const struct dirent *e = readdir(dir); e != NULL && n < WORKERS_MAX; e = readdir(dir)) {
        char path[300], program[512];
        int64_t pid = 0;
        if (!isdigit((unsigned char)e->d_name[0]) || !doc_parse_int(e->d_name, &pid) ||
            parent_of((pid_t)pid) != f->pid) {
            continue;
        }
        (void)snprintf(path, sizeof path, "/proc/%s/exe", e->d_name);
        const ssize_t size = readlink(path, program, sizeof program - 1);
        program[size > 0 ? size : 0] = '\0';
        if (strstr(program, "millrace-worker") != NULL) {
            pids[n++] = (pid_t)pid;
        }
    }
    closedir(dir);
    return n;
}

/* Parts made, of the next event that says so; -1 at the end of adapting. */
static int64_t next_made(struct fixture *f)
{
    for (;;) {
        const struct doc *data = fixture_event(f, NULL);
        ck_assert_ptr_nonnull(data);
        if (strcmp(f->event->kind, "adapting") == 0) {
            ck_assert_int_eq(doc_int(data, "parts", 0), PARTS);
            ck_assert_str_eq(doc_str(data, "path", ""), "pipeline[1].filter");
            return doc_int(data, "made", -1);
        }
        const char *state = doc_str(data, "state", "");
        if (strcmp(f->event->kind, "state") == 0 && strcmp(state, "adapting") != 0) {
            return -1;
        }
    }
}

static void watch(struct fixture *f, const char *job)
{
    const struct msg_job_watch body = {.name = job};
    ck_assert_ptr_nonnull(fixture_ask(f, MSG_JOB_WATCH, &body, NULL, 0));
}

/* ---- cases ---------------------------------------------------------------------------------- */

static struct kept_state reference;
static char reference_tensors[80];

/* What comes of it where the check makes all by itself. */
static void make_reference(int side)
{
    struct fixture f;
    char job[64];
    start(&f, "--check-make-ms=600000");
    submit(&f, side, 1, job);
    final_tensors(&f, job, reference_tensors);
    reference = look(&f);
    ck_assert_int_eq(reference.n, 1);
    fixture_fini(&f);
}

static void check_same(struct fixture *f, const char *job)
{
    char tensors[80];
    final_tensors(f, job, tensors);
    const struct kept_state state = look(f);
    ck_assert_int_eq(state.n, reference.n);
    ck_assert_str_eq(state.id, reference.id);
    ck_assert_str_eq(tensors, reference_tensors);
}

static const int counts[] = {1, 2, 5};

START_TEST(any_number_of_workers)
{
    struct fixture f;
    char job[64];
    make_reference(64);
    start(&f, "--check-make-ms=0");
    submit(&f, 64, counts[_i], job);
    check_same(&f, job);
    /* Who comes after finds it: no adapting. */
    submit(&f, 64, counts[_i], job);
    const struct doc *show = fixture_named(&f, MSG_JOB_SHOW, job);
    ck_assert_ptr_nonnull(doc_get(show, "plan"));
    fixture_fini(&f);
}
END_TEST

START_TEST(killed_workers)
{
    struct fixture f;
    char job[64];
    int n_killed = 0;
    enum { SIDE = 256 };
    make_reference(SIDE);
    start(&f, "--check-make-ms=0");
    submit(&f, SIDE, 2, job);
    watch(&f, job);
    for (int64_t made = 0; made >= 0;) {
        pid_t pids[WORKERS_MAX];
        const int n = made > 0 && made < PARTS ? find_workers(&f, pids) : 0;
        for (int i = 0; i < n && n_killed < 6; i++) {
            n_killed += kill(pids[i], SIGKILL) == 0;
        }
        made = next_made(&f);
    }
    ck_assert_int_ge(n_killed, 2);
    check_same(&f, job);
    fixture_fini(&f);
}
END_TEST

/* Killed in the middle; what was made before is not made again, unless it is lost (the control). */
START_TEST(killed_daemon)
{
    struct fixture f;
    char job[64], folder[2 * TEST_PATH];
    int64_t made = 0;
    enum { SIDE = 256 };
    const bool is_lost = _i == 1;
    make_reference(SIDE);
    start(&f, "--check-make-ms=0");
    submit(&f, SIDE, 1, job);
    watch(&f, job);
    while (made < 3) {
        made = next_made(&f);
        ck_assert_int_ge(made, 0);
    }
    ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
    find_folder(&f, folder);
    if (is_lost) {
        test_dir_remove(folder);
    }
    fixture_start(&f);
    watch(&f, job);
    const int64_t again = next_made(&f);
    if (is_lost) {
        ck_assert_int_lt(again, 3);
    } else {
        ck_assert_int_ge(again, made);
    }
    check_same(&f, job);
    fixture_fini(&f);
}
END_TEST

/* Cancelled in the middle nothing goes on; what was made stays for the next. */
START_TEST(cancelled)
{
    struct fixture f;
    char job[64];
    start(&f, "--check-make-ms=0");
    submit(&f, 256, 2, job);
    const struct doc *show = fixture_named(&f, MSG_JOB_SHOW, job);
    ck_assert_str_eq(doc_str(show, "state", ""), "adapting");
    ck_assert_ptr_nonnull(doc_get(show, "adapting"));
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_JOB_CANCEL, job));
    fixture_wait_state(&f, job, "cancelled");
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_fini(&f);
}
END_TEST

/* The submission itself hears of it if it came before the answer. */
static void check_failed(struct fixture *f, const struct doc *reply, const char *path,
                         const char *reason)
{
    char job[64];
    const char *found_path = f->err.path, *found = f->err.text;
    if (reply != NULL) {
        (void)snprintf(job, 64, "%s", doc_str(reply, "job", ""));
        const struct doc *failed = fixture_wait_state(f, job, "failed");
        found_path = doc_str(failed, "path", "");
        found = doc_str(failed, "reason", "");
    }
    ck_assert_msg(strstr(found, reason) != NULL, "%s", found);
    ck_assert_str_eq(found_path, path);
}

/* An error in what comes behind the table is found when the table is there. */
START_TEST(error_behind_it)
{
    struct fixture f;
    start(&f, "--check-make-ms=0");
    check_failed(&f, try_submit(&f, 32, "y > 100", 2), "pipeline[1].filter", "no element is left");
    fixture_fini(&f);
}
END_TEST

/* No room for a part: the check makes all by itself, as it would without a folder. */
START_TEST(without_space)
{
    struct fixture f;
    char job[64];
    fixture_init(&f);
    f.real_children = true;
    fixture_arg(&f, "--check-make-ms=0");
    fixture_arg(&f, "--kept-bytes=1000");
    fixture_start(&f);
    fixture_put_digits(&f);
    submit(&f, 32, 2, job);
    fixture_wait_state(&f, job, "finished");
    fixture_fini(&f);
}
END_TEST

/* Workers that make nothing: pretended ones. */
static const struct {
    const char *how, *path, *reason;
} fruitless[] = {
    {"dies", "",
     "workers that make the keys of pipeline[0].filter died 21 times, the last at "
     "elements 20 to 29"},
    {"nothing", "", "the keys of pipeline[0].filter cannot be made"},
    {"hangs", "", "the keys of pipeline[0].filter cannot be made"}, /* and was not waited for */
    {"fails", "pipeline[0].filter", "a sample is bad"},
};

START_TEST(fruitless_workers)
{
    struct fixture f;
    fixture_init(&f);
    fixture_arg(&f, "--hang-seconds=1");
    fixture_start(&f);
    fixture_put(&f, "d", 3, 1000, 1);
    const struct doc *reply = fixture_submit(
        &f, NULL, arena_printf(&f.arena, "{\"prepare\": \"%s\"}", fruitless[_i].how));
    check_failed(&f, reply, fruitless[_i].path, fruitless[_i].reason);
    fixture_fini(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("adapt");
    TCase *tcase = tcase_create("adapt");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, any_number_of_workers, 0, 3);
    tcase_add_test(tcase, killed_workers);
    tcase_add_loop_test(tcase, killed_daemon, 0, 2);
    tcase_add_test(tcase, cancelled);
    tcase_add_test(tcase, error_behind_it);
    tcase_add_test(tcase, without_space);
    tcase_add_loop_test(tcase, fruitless_workers, 0, sizeof fruitless / sizeof fruitless[0]);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
