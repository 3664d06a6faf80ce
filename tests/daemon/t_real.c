/* The whole service with its real children: kills of any process at seeded moments change nothing
 * of what was learned. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "tests/daemon/fixture.h"

enum { N_KILLS = 30 };

static const char *const backends[] = {"blas", "dnnl"};

/* 1,000 samples that the batch size does not divide, drawn and turned at random. */
static const char job_text[] =
    "{\"name\": \"kills\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"}},"
    " \"pipeline\": [{\"take\": {\"count\": 1000}}, {\"shuffle\": {}},"
    "  {\"map\": [{\"Rescaling\": {\"scale\": 0.00392156862745098}}, {\"RandomFlip\": {}}, "
    "{\"RandomRotation\": {\"factor\": 0.1}}]},"
    "  {\"batch\": {\"batch_size\": 48}}],"
    " \"model\": [{\"Conv2D\": {\"filters\": 12, \"kernel_size\": 5, \"activation\": \"relu\"}}, "
    "{\"MaxPooling2D\": {}},"
    "  {\"Conv2D\": {\"filters\": 16, \"kernel_size\": 3}}, {\"Flatten\": {}}, {\"Dropout\": "
    "{\"rate\": 0.2}}, {\"Dense\": {\"units\": 10, "
    "\"activation\": \"softmax\"}}],"
    " \"compile\": {\"optimizer\": {\"Adam\": {\"learning_rate\": 0.002}}, \"loss\": "
    "\"SparseCategoricalCrossentropy\"},"
    " \"fit\": {\"epochs\": 40, \"seed\": 5, \"checkpoint\": {\"every_steps\": 15}}, "
    "\"resources\": {\"backend\": \"%s\"}}";

static void submit(struct fixture *f, const char *backend, char job[64])
{
    const char *text = arena_printf(&f->arena, job_text, backend);
    struct doc *doc = NULL;
    ck_assert_int_ge(doc_read_json(text, strlen(text), &doc_limits_default, &f->arena, &doc, NULL),
                     0);
    const struct msg_job_submit body = {.job = doc};
    const struct doc *reply = fixture_ask(f, MSG_JOB_SUBMIT, &body, NULL, 0);
    ck_assert_msg(reply != NULL, "%s: %s", f->err.path, f->err.text);
    snprintf(job, 64, "%s", doc_str(reply, "job", ""));
}

/* Kills one of the processes, or the daemon; false if the job is over. */
static bool kill_one(struct fixture *f, struct rng *rng)
{
    const struct msg_none none = {.unused = 0};
    if (rng_below(rng, 3) == 0) {
        ck_assert_int_eq(fixture_end(f, SIGKILL), -SIGKILL);
        fixture_start(f);
        return true;
    }
    const struct doc *list = doc_get(fixture_ask(f, MSG_WORKER_LIST, &none, NULL, 0), "workers");
    if (list->n == 0) {
        return false;
    }
    int64_t pid = doc_int(doc_at(list, rng_below(rng, list->n)), "pid", 0);
    if (pid > 0) {
        kill((pid_t)pid, SIGKILL);
    }
    return true;
}

static void final_tensors(struct fixture *f, const char *job, char tensors[80])
{
    fixture_wait_state(f, job, "finished");
    const struct doc *list = doc_get(fixture_named(f, MSG_JOB_SHOW, job), "checkpoints");
    const struct doc *last = doc_at(list, list->n - 1);
    ck_assert_str_eq(doc_str(last, "reason", ""), "end");
    snprintf(tensors, 80, "%s", doc_str(last, "tensors", ""));
}

START_TEST(killed_and_resumed)
{
    struct fixture f;
    struct rng rng;
    char job[64];
    char alone[80];
    char killed[80];
    int n_kills = 0;
    fixture_init(&f);
    f.real_children = true;
    fixture_start(&f);
    fixture_put_digits(&f);
    submit(&f, backends[_i], job);
    final_tensors(&f, job, alone);
    ck_assert_uint_eq(strlen(alone), 64);
    rng_init(&rng, 2026, rng_id("kills"), 0, 0);
    submit(&f, backends[_i], job);
    for (; n_kills < N_KILLS; n_kills++) {
        const struct msg_job_watch watch = {.name = job};
        ck_assert_ptr_nonnull(fixture_ask(&f, MSG_JOB_WATCH, &watch, NULL, 0));
        bool over = false;
        for (uint64_t n = 1 + rng_below(&rng, 4); n > 0 && !over; n--) {
            const struct doc *data = fixture_event(&f, NULL);
            ck_assert_ptr_nonnull(data);
            over = !strcmp(doc_str(data, "state", ""), "finished");
            n += strcmp(f.event->kind, "progress") != 0;
        }
        if (over || !kill_one(&f, &rng)) {
            break;
        }
        fixture_reset(&f);
    }
    final_tensors(&f, job, killed);
    ck_assert_str_eq(alone, killed);
    ck_assert_msg(n_kills >= 10, "only %d kills before the end", n_kills);
    printf("%s: %d kills, the same tensors %.16s\n", backends[_i], n_kills, alone);
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_fini(&f);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("real");
    TCase *tcase = tcase_create("real");
    tcase_set_timeout(tcase, 150);
    tcase_add_loop_test(tcase, killed_and_resumed, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    char path[TEST_PATH];
    (void)snprintf(path, sizeof(path), "%.400s/trainer/millrace-trainer", test_build_root());
    if (access(path, X_OK) != 0) {
        test_skip_all("no millrace-trainer");
    }
    return test_main(make_suite());
}
