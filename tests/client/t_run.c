/* Watching a job: leaving it, losing the daemon, pausing, events as JSON. Real programs throughout.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/doc.h"
#include "tests/client/live.h"

enum { SIDE = 8, SAMPLES = 16, WAIT_MS = 60000 };

static struct live live;
static char job[TEST_PATH];

/* Each epoch takes 16 x 4 ms of a worker: slow enough to be met in the middle. */
static void setup(void)
{
    unsigned char images[16 + SAMPLES * SIDE * SIDE] = {0, 0, 8, 3,    0, 0, 0, SAMPLES,
                                                        0, 0, 0, SIDE, 0, 0, 0, SIDE};
    unsigned char labels[8 + SAMPLES] = {0, 0, 8, 1, 0, 0, 0, SAMPLES};
    char path[TEST_PATH];
    struct live_result r;
    for (int i = 0; i < SAMPLES; i++) {
        labels[8 + i] = (unsigned char)(i % 2);
        memset(images + 16 + i * SIDE * SIDE, 50 + 150 * (i % 2), SIDE * SIDE);
    }
    live_start(&live);
    live_file(&live, "two/train-images-idx3-ubyte", images, sizeof(images), path);
    live_file(&live, "two/train-labels-idx1-ubyte", labels, sizeof(labels), path);
    live_text(
        &live, "two.yaml",
        "name: two\n"
        "data: {train: {dataset: two, split: train}}\n"
        "pipeline: [{map: [{Rescaling: {scale: 0.004}}, {Sleep: {microseconds: 4000}}]}, {batch: "
        "{batch_size: 4}}]\n"
        "model: [{Flatten: {}}, {Dense: {units: 2, activation: softmax}}]\n"
        "compile: {optimizer: SGD, loss: SparseCategoricalCrossentropy, metrics: [accuracy]}\n"
        "fit: {epochs: 20, seed: 1}\n"
        "resources: {workers: 1}\n",
        job);
    live_daemon(&live, NULL);
    test_path(path, "%s/two", live.folder);
    live_run(&live, &r, "dataset", "put", "two", path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
}

static void teardown(void)
{
    live_stop(&live);
}

#define NEED_TRAINER()                             \
    if (!live_has("trainer/millrace-trainer")) {   \
        test_skip("no millrace-trainer is built"); \
        return;                                    \
    }

/* `millrace ...` running beside the test; what it says on standard error is read as it comes. */
struct beside {
    pid_t pid;
    int fd;
    struct buf said;
};

static void start(struct beside *b, const char *a1, const char *a2)
{
    char program[TEST_PATH];
    int fds[2];
    test_path(program, "%s/client/millrace", test_build_root());
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    *b = (struct beside){.fd = fds[0]};
    b->pid = fork();
    ck_assert_int_ge(b->pid, 0);
    if (b->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("MILLRACE_SOCKET", live.run_dir, 1);
        dup2(fds[1], STDERR_FILENO);
        dup2(fds[1], STDOUT_FILENO);
        execl(program, program, a1, a2, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
}

/* Reads until the text is there; false at the end or after WAIT_MS. text NULL: to the end. */
static bool hear(struct beside *b, const char *text)
{
    int64_t deadline = clock_us() + (int64_t)WAIT_MS * 1000;
    while (text == NULL || b->said.data == NULL || strstr(b->said.data, text) == NULL) {
        struct pollfd item = {.fd = b->fd, .events = POLLIN};
        char piece[1024];
        int64_t left = deadline - clock_us();
        if (left <= 0 || poll(&item, 1, (int)(left / 1000 + 1)) <= 0) {
            return false;
        }
        ssize_t n = read(b->fd, piece, sizeof(piece));
        if (n <= 0) {
            return text == NULL;
        }
        buf_put(&b->said, piece, (size_t)n);
    }
    return true;
}

static int end(struct beside *b)
{
    int status = 0;
    ck_assert_msg(hear(b, NULL), "it does not end: %s", b->said.data);
    ck_assert_int_eq(waitpid(b->pid, &status, 0), b->pid);
    close(b->fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        n++;
    }
    return n;
}

START_TEST(leaves_and_comes_back)
{
    struct beside b;
    NEED_TRAINER();
    start(&b, "run", job);
    ck_assert_msg(hear(&b, "epoch 2/20"), "%s", b.said.data);
    kill(b.pid, SIGINT);
    ck_assert_int_eq(end(&b), 130);
    ck_assert_ptr_nonnull(strstr(b.said.data, "millrace watch two-1"));
    buf_fini(&b.said);
    start(&b, "watch", "two-1");
    ck_assert_msg(end(&b) == 0, "%s", b.said.data);
    for (int epoch = 1; epoch <= 20; epoch++) {
        char line[32];
        (void)snprintf(line, sizeof(line), "epoch %d/20 ", epoch);
        ck_assert_msg(count(b.said.data, line) == 1, "%s %d times in\n%s", line,
                      count(b.said.data, line), b.said.data);
    }
    ck_assert_ptr_nonnull(strstr(b.said.data, "two-1 finished"));
    buf_fini(&b.said);
}
END_TEST

START_TEST(outlives_the_daemon)
{
    struct beside b;
    NEED_TRAINER();
    start(&b, "run", job);
    ck_assert_msg(hear(&b, "epoch 3/20"), "%s", b.said.data);
    live_kill(&live, SIGKILL);
    ck_assert_msg(hear(&b, "the daemon is gone"), "%s", b.said.data);
    live_daemon(&live, NULL);
    ck_assert_msg(hear(&b, "the daemon is back"), "%s", b.said.data);
    ck_assert_msg(end(&b) == 0, "%s", b.said.data);
    for (int epoch = 1; epoch <= 20; epoch++) {
        char line[32];
        (void)snprintf(line, sizeof(line), "epoch %d/20 ", epoch);
        ck_assert_msg(count(b.said.data, line) == 1, "%s %d times in\n%s", line,
                      count(b.said.data, line), b.said.data);
    }
    buf_fini(&b.said);
}
END_TEST

START_TEST(pauses_and_goes_on)
{
    struct beside b;
    struct live_result r;
    NEED_TRAINER();
    start(&b, "run", job);
    ck_assert_msg(hear(&b, "epoch 2/20"), "%s", b.said.data);
    live_run(&live, &r, "pause", "two", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    ck_assert_msg(end(&b) == 0, "%s", b.said.data);
    ck_assert_ptr_nonnull(strstr(b.said.data, "paused"));
    buf_fini(&b.said);
    live_run(&live, &r, "list", NULL);
    ck_assert_ptr_nonnull(strstr(r.out.data, "paused"));
    live_free(&r);
    live_run(&live, &r, "resume", "two", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    live_run(&live, &r, "watch", "two", "--quiet", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    ck_assert_uint_eq(r.err.size, 0);
    live_free(&r);
    live_run(&live, &r, "resume", "two", NULL);
    ck_assert_int_ne(r.status, 0);
    live_free(&r);
}
END_TEST

START_TEST(cancelled_is_a_status)
{
    struct beside b;
    struct live_result r;
    NEED_TRAINER();
    start(&b, "run", job);
    ck_assert_msg(hear(&b, "epoch 1/20"), "%s", b.said.data);
    live_run(&live, &r, "cancel", "two", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    ck_assert_int_eq(end(&b), 4);
    ck_assert_ptr_nonnull(strstr(b.said.data, "cancelled"));
    buf_fini(&b.said);
}
END_TEST

START_TEST(prints_events_as_json)
{
    struct live_result r;
    struct arena arena;
    char last[32] = "";
    int n_epochs = 0;
    NEED_TRAINER();
    arena_init(&arena);
    live_run(&live, &r, "run", job, "--json", "--epochs=3", "--seed=5", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    ck_assert_uint_eq(r.err.size, 0);
    for (char *line = r.out.data; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        struct doc *event = NULL;
        struct err err = {0};
        ck_assert_msg(doc_read_json(line, n, NULL, &arena, &event, &err) == 0, "%.*s: %s", (int)n,
                      line, err.text);
        n_epochs += strcmp(doc_str(event, "kind", ""), "epoch") == 0;
        if (doc_str(doc_get(event, "data"), "state", NULL) != NULL &&
            strcmp(doc_str(event, "kind", ""), "workers") != 0) {
            (void)snprintf(last, sizeof(last), "%s", doc_str(doc_get(event, "data"), "state", ""));
        }
        line += n + (line[n] == '\n');
    }
    ck_assert_str_eq(last, "finished");
    ck_assert_int_le(n_epochs, 3);
    live_free(&r);
    arena_fini(&arena);
}
END_TEST

/* A validation is as long as the training here, and not silent; time counts from the epoch's begin.
 */
START_TEST(tells_of_validation)
{
    struct live_result r;
    struct arena arena;
    char slow[TEST_PATH];
    int n_validation = 0;
    double seconds = 0, of_epoch = 0;
    NEED_TRAINER();
    arena_init(&arena);
    live_text(&live, "slow.yaml",
              "name: slow\n"
              "data: {train: {dataset: two, split: train}, validation: {dataset: two, split: "
              "train}}\n"
              "pipeline: [{map: [{Rescaling: {scale: 0.004}}, {Sleep: {microseconds: 30000}}]}, "
              "{batch: {batch_size: 4}}]\n"
              "model: [{Flatten: {}}, {Dense: {units: 2, activation: softmax}}]\n"
              "compile: {optimizer: SGD, loss: SparseCategoricalCrossentropy}\n"
              "fit: {epochs: 1, seed: 1}\n"
              "resources: {workers: 1}\n",
              slow);
    live_run(&live, &r, "run", slow, "--json", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    for (char *line = r.out.data; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        struct doc *event = NULL;
        ck_assert_int_eq(doc_read_json(line, n, NULL, &arena, &event, NULL), 0);
        const struct doc *data = doc_get(event, "data");
        if (strcmp(doc_str(event, "kind", ""), "progress") == 0 &&
            doc_int(data, "validation_step", 0) > 0) {
            ck_assert_int_eq(doc_int(data, "validation_steps", 0), SAMPLES / 4);
            ck_assert_ptr_nonnull(doc_get(doc_get(data, "metrics"), "val_loss"));
            seconds = doc_float(data, "epoch_seconds", 0);
            n_validation++;
        }
        if (strcmp(doc_str(event, "kind", ""), "epoch") == 0) {
            of_epoch = doc_float(data, "seconds", 0);
        }
        line += n + (line[n] == '\n');
    }
    ck_assert_int_ge(n_validation, 1);
    ck_assert_double_gt(seconds, 0.03 * SAMPLES);
    ck_assert_double_ge(of_epoch, seconds); /* its own message says how long it took */
    live_free(&r);
    arena_fini(&arena);
}
END_TEST

START_TEST(submits_once)
{
    struct live_result r;
    NEED_TRAINER();
    for (int i = 0; i < 2; i++) {
        live_run(&live, &r, "submit", job, "--key=k1", "--epochs=1", NULL);
        ck_assert_msg(r.status == 0, "%s", r.err.data);
        ck_assert_str_eq(r.out.data, "two-1\n");
        live_free(&r);
    }
    live_run(&live, &r, "submit", job, "--epochs=1", "--quiet", NULL);
    ck_assert_str_eq(r.out.data, "two-2\n");
    ck_assert_uint_eq(r.err.size, 0);
    live_free(&r);
    live_run(&live, &r, "watch", "two-2", NULL);
    ck_assert_int_eq(r.status, 0);
    live_free(&r);
}
END_TEST

START_TEST(shows_and_logs)
{
    struct live_result r;
    NEED_TRAINER();
    live_run(&live, &r, "run", job, "--epochs=2", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    static const char *const want[] = {"two-1",    "finished", "epoch 1", "epoch 2",
                                       "accuracy", ".keras",   "name two"};
    live_run(&live, &r, "show", "two", NULL);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        ck_assert_msg(strstr(r.out.data, want[i]) != NULL, "no %s in %s", want[i], r.out.data);
    }
    live_free(&r);
    live_run(&live, &r, "logs", "two", "--follow", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    live_run(&live, &r, "show", "tow", NULL);
    ck_assert_int_eq(r.status, 3);
    ck_assert_ptr_nonnull(strstr(r.err.data, "two"));
    live_free(&r);
    live_run(&live, &r, "status", NULL);
    ck_assert_ptr_nonnull(strstr(r.out.data, "1 finished"));
    live_free(&r);
    live_run(&live, &r, "shutdown", NULL);
    ck_assert_int_eq(r.status, 0);
    live_free(&r);
    int status = 0;
    ck_assert_int_eq(waitpid(live.pid, &status, 0), live.pid);
    live.pid = 0;
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

/* What each policy makes of two bad lines of nine, and the list of them. The control: without a
 * policy, and with a smaller share, the job fails. */
static const struct {
    const char *options; /* of data */
    int status;
    const char *list, *said; /* of the quarantine; of the failure */
} policies[] = {
    {"on_error: skip, max_bad: 0.5", 0,
     "train        2  a.csv      25  a.csv: 3 fields, there are 4 columns\n"
     "train        6  a.csv      57  a.csv: 5 fields, there are 4 columns\n",
     NULL},
    {"on_error: replace, max_bad: 0.3", 0, "train        6  a.csv      57  a.csv: 5 fields", NULL},
    {"on_error: skip, max_bad: 0.2", 4, "train        2  a.csv      25", "too many bad samples"},
    {"on_error: replace, max_bad: 0.2", 4, NULL, "too many bad samples"},
    {"on_error: fail", 1, NULL, "there are 4 columns"},
};

START_TEST(lists_bad_samples)
{
    struct live_result r;
    char folder[TEST_PATH], file[TEST_PATH], bad[TEST_PATH], yaml[1024], name[16];
    NEED_TRAINER();
    (void)snprintf(name, sizeof(name), "bad%d", _i);
    live_text(&live, "rows/a.csv",
              "a,b,c,y\n.5,1,2,0\n1,2,3,1\n1.5,2,1\n0,1,2,0\n1,3,2,1\n3,3,3,0\n1,2,3,4,5\n0,1,2,1\n"
              "2,2,2,0\n",
              file);
    test_path(folder, "%s/rows", live.folder);
    live_run(&live, &r, "dataset", "put", "rows", folder, NULL);
    live_free(&r);
    (void)snprintf(
        yaml, sizeof(yaml),
        "name: %s\n"
        "data: {train: {dataset: rows, source: {csv: {fields: {x: [a, b, c], y: y}}}}, %s}\n"
        "pipeline: [{batch: 3}]\n"
        "model: [{Dense: {units: 2, activation: softmax}}]\n"
        "compile: {optimizer: SGD, loss: SparseCategoricalCrossentropy}\n"
        "fit: {epochs: 2, seed: 1}\n",
        name, policies[_i].options);
    live_text(&live, "bad.yaml", yaml, bad);
    live_run(&live, &r, "run", bad, NULL);
    ck_assert_msg(r.status == policies[_i].status, "%d: %s%s", r.status, r.out.data, r.err.data);
    if (policies[_i].said != NULL) {
        ck_assert_msg(strstr(r.err.data, policies[_i].said) != NULL, "%s", r.err.data);
    }
    live_free(&r);
    if (policies[_i].list != NULL) {
        live_run(&live, &r, "quarantine", name, NULL);
        ck_assert_msg(strstr(r.out.data, policies[_i].list) != NULL, "%s", r.out.data);
        live_free(&r);
        live_run(&live, &r, "quarantine", name, "--json", NULL);
        ck_assert_ptr_nonnull(strstr(r.out.data, "\"offset\": 25"));
        live_free(&r);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("run");
    TCase *tcase = tcase_create("run");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, leaves_and_comes_back);
    tcase_add_test(tcase, outlives_the_daemon);
    tcase_add_test(tcase, pauses_and_goes_on);
    tcase_add_test(tcase, cancelled_is_a_status);
    tcase_add_test(tcase, prints_events_as_json);
    tcase_add_test(tcase, tells_of_validation);
    tcase_add_test(tcase, submits_once);
    tcase_add_test(tcase, shows_and_logs);
    tcase_add_loop_test(tcase, lists_bad_samples, 0, sizeof(policies) / sizeof(policies[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
