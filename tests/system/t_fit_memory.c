/* The whole fit loop, with its feeder beside it, takes no memory in a step: counted in a trainer
 * that ends with BUG() when one does (count_fit.c). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/system/harness.h"

enum { JOB_TEXT = 4096, STEPS = 40, EPOCHS = 3 };

static const char job_form[] =
    "{\"name\": \"memory\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"},"
    "  \"validation\": {\"dataset\": \"digits\", \"split\": \"test\"}},"
    " \"pipeline\": [{\"shuffle\": {}}, {\"take\": {\"count\": 640}}, {\"map\": [{\"Rescaling\": "
    "{\"scale\": 0.0039}}, {\"RandomRotation\": {\"factor\": 0.05}}]}, {\"batch\": "
    "{\"batch_size\": 16}}],"
    " \"model\": [{\"Conv2D\": {\"filters\": 4, \"kernel_size\": 3, \"activation\": \"relu\"}}, "
    "\"MaxPooling2D\", \"Flatten\", {\"Dropout\": {\"rate\": 0.2}}, {\"Dense\": {\"units\": 10, "
    "\"activation\": \"softmax\"}}],"
    " \"compile\": {\"optimizer\": \"Adam\", \"loss\": \"SparseCategoricalCrossentropy\", "
    "\"metrics\": [\"accuracy\"]},"
    " \"fit\": {\"epochs\": 3, \"seed\": 5, \"ledger\": \"samples\", \"checkpoint\": "
    "{\"every_epochs\": 0}},"
    " \"resources\": {\"workers\": 2, \"backend\": \"%s\", \"threads\": 1}}";
static const char *const backends[] = {"ref", "blas", "dnnl"};

static struct harness_outcome run(const char *shared, const char *backend)
{
    static struct harness harness;
    static char job[JOB_TEXT];
    snprintf(job, sizeof(job), job_form, backend);
    harness_open(&harness, shared);
    harness_plan(&harness, &(struct harness_options){.job = job,
                                                     .workers = 2,
                                                     .sandbox = true,
                                                     .trainer = "tests/system/counting-trainer"});
    struct harness_outcome outcome = *harness_run(&harness);
    harness_close(&harness);
    return outcome;
}

START_TEST(takes_nothing_in_a_step)
{
    TEST_NEED_SHARED(shared);
    struct harness_outcome outcome = run(shared, backends[_i]);
    ck_assert_msg(outcome.finished, "status %#x: %s: %s", (unsigned)outcome.status, outcome.path,
                  outcome.text);
    ck_assert_int_eq(outcome.global_step, STEPS * EPOCHS);
}
END_TEST

/* The control: a step that takes one byte is seen. */
START_TEST(sees_what_is_taken)
{
    TEST_NEED_SHARED(shared);
    setenv("COUNT_FIT_TAKE", "1", 1);
    struct harness_outcome outcome = run(shared, backends[0]);
    unsetenv("COUNT_FIT_TAKE");
    ck_assert(outcome.killed && WTERMSIG(outcome.status) == SIGABRT);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("fit_memory");
    TCase *tcase = tcase_create("memory");
    tcase_add_loop_test(tcase, takes_nothing_in_a_step, 0,
                        (int)(sizeof(backends) / sizeof(backends[0])));
    tcase_add_test(tcase, sees_what_is_taken);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
