/* The other modes of the trainer: check, predict, and its command line. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/system/harness.h"

enum { JOB_TEXT = 4096, ROWS = 100 };

static const char job_form[] =
    "{\"name\": \"modes\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"},"
    "  \"validation\": {\"dataset\": \"digits\", \"split\": \"test\"}},"
    " \"pipeline\": [{\"shuffle\": {}}, {\"take\": {\"count\": 3000}}, {\"map\": [{\"Rescaling\": "
    "{\"scale\": 0.0039}}]},"
    "  {\"batch\": {\"batch_size\": 50}}],"
    " \"model\": [\"Flatten\", %s],"
    " \"compile\": {\"optimizer\": \"Adam\", \"loss\": \"SparseCategoricalCrossentropy\", "
    "\"metrics\": [\"accuracy\"]},"
    " \"fit\": {\"epochs\": 6, \"seed\": 5, \"ledger\": \"steps\"}, \"resources\": {\"workers\": "
    "1, \"threads\": 1}}";
static const char good_layer[] = "{\"Dense\": {\"units\": 10, \"activation\": \"softmax\"}}";
static const char trainer[] = "trainer/millrace-trainer";

static void open_job(struct harness *harness, const char *shared)
{
    static char job[JOB_TEXT];
    snprintf(job, sizeof(job), job_form, good_layer);
    harness_open(harness, shared);
    harness_plan(harness, &(struct harness_options){.job = job, .workers = 1, .sandbox = true});
}

static struct doc *settings(struct harness *harness)
{
    struct doc *map = doc_new(&harness->arena);
    doc_set_map(map);
    doc_put_bool(map, &harness->arena, "sandbox", true);
    return map;
}

/* ---- check
 * --------------------------------------------------------------------------------------------------
 */

static int check(struct harness *harness, const char *layer, const struct doc **ret,
                 struct err *err)
{
    static const char *const names[] = {"job", "plan"};
    char job[JOB_TEXT];
    snprintf(job, sizeof(job), job_form, layer);
    struct child_fds fds = {.n = 2,
                            .fd = {harness_memfd("job", job, strlen(job)), harness->plan_fd}};
    struct msg_child_start start = {
        .mode = "check", .job = "job-1", .fds = {names, 2}, .settings = settings(harness)};
    int rc = harness_ask(harness, trainer, &start, &fds, ret, err);
    close(fds.fd[0]);
    return rc;
}

START_TEST(test_check)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    const struct doc *plan = NULL;
    struct err err = {0};
    open_job(&harness, shared);
    ck_assert_msg(check(&harness, good_layer, &plan, &err) == 0, "%s", err.text);
    ck_assert_int_eq(doc_int(doc_get(plan, "model"), "parameters", 0), 7850);
    ck_assert_int_eq(doc_int(doc_get(plan, "fit"), "steps", 0), 60);
    ck_assert_int_eq(check(&harness, "{\"Dense\": {\"unit\": 10}}", &plan, &err), ERR_UNKNOWN);
    ck_assert_msg(strncmp(err.path, "model[1].Dense", 14) == 0, "%s", err.path);
    ck_assert_msg(strstr(err.text, "units") != NULL, "%s", err.text);
    harness_close(&harness);
}
END_TEST

/* ---- predict
 * ------------------------------------------------------------------------------------------------
 */

static int predict(struct harness *harness, const char *split, int n, const struct doc **ret,
                   struct err *err)
{
    static const char *const names[] = {"job", "blobs", "manifest:digits", "model"};
    struct child_fds fds = {.n = 4,
                            .fd = {harness->job_fd, harness->blobs_fd, harness->manifest_fd}};
    fds.fd[3] = openat(harness->job_dir_fd, "model.keras", O_RDONLY | O_CLOEXEC);
    struct doc *map = settings(harness);
    doc_put_str(map, &harness->arena, "dataset", "digits");
    doc_put_str(map, &harness->arena, "split", split);
    struct doc *rows = doc_put(map, &harness->arena, "rows");
    doc_set_list(rows);
    for (int i = 0; i < n; i++) {
        doc_set_int(doc_push(rows, &harness->arena), 7 * i);
    }
    struct msg_child_start start = {
        .mode = "predict", .job = "job-1", .fds = {names, 4}, .settings = map};
    int rc = harness_ask(harness, trainer, &start, &fds, ret, err);
    close(fds.fd[3]);
    return rc;
}

static int count_right(const struct doc *result)
{
    int right = 0;
    for (int i = 0; i < ROWS; i++) {
        const struct doc *row = doc_at(doc_get(result, "predictions"), (size_t)i);
        double sum = 0, best = -1;
        int64_t at = -1;
        for (size_t k = 0; k < row->n; k++) {
            double p = doc_number(doc_at(row, k));
            sum += p;
            at = p > best ? (int64_t)k : at;
            best = p > best ? p : best;
        }
        ck_assert_msg(sum > 0.999 && sum < 1.001, "row %d sums to %f", i, sum);
        right += at == doc_at(doc_get(result, "labels"), (size_t)i)->i;
    }
    return right;
}

START_TEST(test_predict)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    const struct doc *result = NULL, *again = NULL;
    struct err err = {0};
    open_job(&harness, shared);
    ck_assert(harness_run(&harness)->finished);
    ck_assert_msg(predict(&harness, "test", ROWS, &result, &err) == 0, "%s: %s", err.path,
                  err.text);
    ck_assert_uint_eq(doc_get(result, "predictions")->n, ROWS);
    ck_assert_uint_eq(doc_get(result, "classes")->n, 10);
    ck_assert_int_ge(count_right(result), 80);
    ck_assert_int_eq(predict(&harness, "test", ROWS, &again, &err), 0);
    ck_assert(doc_equal(result, again));
    ck_assert_int_eq(predict(&harness, "other", 1, &result, &err), ERR_NOT_FOUND);
    harness_close(&harness);
}
END_TEST

/* ---- command line
 * ------------------------------------------------------------------------------------------- */

static int run_line(const char *arguments, const char *input, char *output, size_t size)
{
    char command[2 * TEST_PATH];
    test_path(command, "%s/%s %s 2>&1", test_build_root(), trainer, arguments);
    int in = harness_memfd("input", input, strlen(input));
    int saved = dup(STDIN_FILENO);
    dup2(in, STDIN_FILENO);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t n = fread(output, 1, size - 1, pipe);
    output[n] = '\0';
    int status = pclose(pipe);
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(in);
    return WEXITSTATUS(status);
}

static const struct line_case {
    const char *arguments, *input;
    int status;
    const char *says;
} lines[] = {
    {"--version", "", 0, "millrace-trainer "},
    {"--help", "", 0, "--summary"},
    {"--summry", "", 2, "summary"},
    {"nonsense", "", 2, "nonsense"},
    {"--ledger /nowhere/at/all", "", 3, "/nowhere/at/all"},
    {"--summary",
     "{\"model\": [{\"InputLayer\": {\"shape\": [8, 8, 1]}}, \"Flatten\", {\"Dense\": {\"units\": "
     "3}}]}",
     0, "\"parameters\": 195"},
    {"--summary", "[", 2, "line"},
};

START_TEST(test_lines)
{
    char output[65536];
    const struct line_case *c = &lines[_i];
    int status = run_line(c->arguments, c->input, output, sizeof(output));
    ck_assert_msg(status == c->status, "%s: status %d: %s", c->arguments, status, output);
    ck_assert_msg(strstr(output, c->says) != NULL, "%s: %s", c->arguments, output);
}
END_TEST

START_TEST(test_ledger_line)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    static char output[65536];
    char arguments[TEST_PATH];
    open_job(&harness, shared);
    ck_assert(harness_run(&harness)->finished);
    test_path(arguments, "--ledger=%s/ledger.bin", harness.job_dir);
    ck_assert_int_eq(run_line(arguments, "", output, sizeof(output)), 0);
    static const char begin[] =
        "{\"kind\": \"start\", \"epoch\": 0, \"step\": 0}\n{\"kind\": \"step\"";
    ck_assert_msg(strncmp(output, begin, strlen(begin)) == 0, "%.200s", output);
    int n = 0;
    for (const char *at = output; (at = strchr(at, '\n')) != NULL; at++) {
        n++;
    }
    ck_assert_int_eq(n, 1 + 6 * 60);
    harness_close(&harness);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("modes");
    TCase *tcase = tcase_create("modes");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_check);
    tcase_add_test(tcase, test_predict);
    tcase_add_loop_test(tcase, test_lines, 0, (int)(sizeof(lines) / sizeof(lines[0])));
    tcase_add_test(tcase, test_ledger_line);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    return test_main(make_suite());
}
