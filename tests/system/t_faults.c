/* What a trainer does when something goes wrong beside it: samples that kill or hang workers, bad
 * samples, a full disk, numbers that are not finite, a stop, a damaged checkpoint, other numerics.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/system/harness.h"
#include "trainer/ledger.h"

enum { JOB_TEXT = 4096, SAMPLES = 960 };

static const char job_form[] =
    "{\"name\": \"fault\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"}, "
    "\"on_error\": \"%s\"},"
    " \"pipeline\": [{\"take\": {\"count\": 960}}, {\"shuffle\": {}},"
    "  {\"map\": [{\"Rescaling\": {\"scale\": 0.00392156862745098}}%s]}, {\"batch\": "
    "{\"batch_size\": 32}}],"
    " \"model\": [\"Flatten\", {\"Dense\": {\"units\": %d, \"activation\": \"relu\"}}, {\"Dense\": "
    "{\"units\": 10,"
    "  \"activation\": \"softmax\"}}],"
    " \"compile\": {\"optimizer\": {\"SGD\": {\"learning_rate\": %s}}, \"loss\": "
    "\"SparseCategoricalCrossentropy\","
    "  \"metrics\": [\"accuracy\"]},"
    " \"fit\": {\"epochs\": %d, \"seed\": 4, \"ledger\": \"samples\", \"on_fingerprint\": \"%s\"},"
    " \"resources\": {\"workers\": 2, \"backend\": \"%s\", \"threads\": 1}}";

struct fault_job {
    const char *on_error, *op, *rate;
    int units, epochs;
    const char *backend, *on_fingerprint; /* NULL = blas, pause */
};
static const struct fault_job plain = {"fail", "", "0.1", 16, 2, NULL, NULL};

static void plan_job(struct harness *harness, const struct fault_job *job,
                     const struct harness_options *options)
{
    static char text[JOB_TEXT];
    struct harness_options all = *options;
    snprintf(text, sizeof(text), job_form, job->on_error, job->op, job->units, job->rate,
             job->epochs, job->on_fingerprint != NULL ? job->on_fingerprint : "pause",
             job->backend != NULL ? job->backend : "blas");
    all.job = text;
    all.sandbox = true;
    harness_plan(harness, &all);
}

static void open_job(struct harness *harness, const char *shared, const struct fault_job *job,
                     const struct harness_options *options)
{
    harness_open(harness, shared);
    plan_job(harness, job, options);
}

static int64_t count_rows(const struct harness *harness);

/* ---- samples
 * ------------------------------------------------------------------------------------------------
 */

struct sample_case {
    const char *name, *on_error, *op;
    int convicted, bad, rows; /* an epoch */
    int least_lost;           /* workers */
};
static const struct sample_case samples[] = {
    {"a sample that kills", "fail", ", {\"Fault\": {\"sample\": [%d], \"action\": \"segfault\"}}",
     1, 1, SAMPLES - 1, 4},
    {"a sample that hangs", "fail", ", {\"Fault\": {\"sample\": [%d], \"action\": \"hang\"}}", 1, 1,
     SAMPLES - 1, 4},
    {"a bad sample", "skip", ", {\"Fault\": {\"sample\": [%d], \"action\": \"bad\"}}", 0, 1,
     SAMPLES - 1, 0},
};

static int first_sample(void *ctx, const struct ledger_record *record, const int64_t *ids)
{
    int64_t *sample = ctx;
    if (record->kind == LEDGER_STEP && record->step == 7 && record->epoch == 0) {
        *sample = ids[5];
    }
    return 0;
}

static void open_ledger(const struct harness *harness, ledger_fn fn, void *ctx)
{
    int fd = openat(harness->job_dir_fd, LEDGER_NAME, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ledger_read(fd, fn, ctx, NULL), 0);
    close(fd);
}

/* A sample that is in the training set of this seed. */
static int64_t pick_sample(const char *shared)
{
    static struct harness harness;
    int64_t sample = -1;
    open_job(&harness, shared, &plain, &(struct harness_options){.workers = 2});
    ck_assert(harness_run(&harness)->finished);
    open_ledger(&harness, first_sample, &sample);
    harness_close(&harness);
    ck_assert_int_ge(sample, 0);
    return sample;
}

static int add_rows(void *ctx, const struct ledger_record *record, const int64_t *ids)
{
    (void)ids;
    *(int64_t *)ctx += record->kind == LEDGER_STEP ? record->rows : 0;
    return 0;
}

static int64_t count_rows(const struct harness *harness)
{
    int64_t rows = 0;
    open_ledger(harness, add_rows, &rows);
    return rows;
}

START_TEST(test_samples)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    const struct sample_case *c = &samples[_i];
    char op[256];
    int n = (int)pick_sample(shared);
    /* The form has one number in it. */
    const char *hole = strstr(c->op, "%d");
    snprintf(op, sizeof(op), "%.*s%d%s", (int)(hole - c->op), c->op, n, hole + 2);
    struct fault_job job = {c->on_error, op, "0.1", 16, 2, NULL, NULL};
    open_job(&harness, shared, &job, &(struct harness_options){.workers = 2, .lease_ms = 150});
    struct harness_outcome outcome = *harness_run(&harness);
    printf("# %s: %.2f s, %d workers lost, %d in quarantine (%s)\n", c->name, outcome.seconds,
           outcome.n_lost, outcome.n_quarantine, outcome.path);
    ck_assert_msg(outcome.finished, "%s: %s: %s", c->name, outcome.path, outcome.text);
    ck_assert_int_eq(outcome.n_convicted, c->convicted);
    ck_assert_int_eq(outcome.n_quarantine, c->bad);
    ck_assert_int_eq(outcome.sample, n);
    ck_assert_int_eq(count_rows(&harness), 2 * c->rows);
    ck_assert_int_ge(outcome.n_lost, c->least_lost);
    harness_close(&harness);
}
END_TEST

START_TEST(test_bad_sample_fails)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    char op[256];
    int n = (int)pick_sample(shared);
    snprintf(op, sizeof(op), ", {\"Fault\": {\"sample\": [%d], \"action\": \"bad\"}}", n);
    struct fault_job job = {"fail", op, "0.1", 16, 1, NULL, NULL};
    open_job(&harness, shared, &job, &(struct harness_options){.workers = 2});
    const struct harness_outcome *outcome = harness_run(&harness);
    ck_assert(outcome->failed);
    ck_assert_int_eq(outcome->code, ERR_DATA);
    ck_assert_msg(strstr(outcome->text, "is bad because Fault says so") != NULL, "%s",
                  outcome->text);
    ck_assert_msg(outcome->path[0] != '\0', "the file is not named");
    harness_close(&harness);
}
END_TEST

/* ---- numbers
 * ------------------------------------------------------------------------------------------------
 */

START_TEST(test_not_finite)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    struct fault_job job = {"fail", "", "1e30", 16, 3, NULL, NULL};
    open_job(&harness, shared, &job, &(struct harness_options){.workers = 2});
    const struct harness_outcome *outcome = harness_run(&harness);
    ck_assert(outcome->failed);
    ck_assert_int_eq(outcome->code, ERR_NOT_FINITE);
    ck_assert_int_eq(outcome->n_checkpoints, 0);
    ck_assert_msg(strstr(outcome->text, "step") != NULL, "%s", outcome->text);
    harness_close(&harness);
}
END_TEST

/* ---- stop and resume
 * ---------------------------------------------------------------------------------------- */

static void stop_hook(struct harness *harness, const struct msg *msg)
{
    const struct msg_child_progress *progress =
        msg != NULL && msg->type == MSG_CHILD_PROGRESS ? msg->body : NULL;
    if (progress != NULL && progress->global_step >= 10 && !harness->stopping) {
        harness->stopping = true;
        if (harness->hook_ctx != NULL) {
            harness_stop(harness, harness->hook_ctx);
        } else {
            harness_kill_trainer(harness, SIGTERM);
        }
    }
}

static int count_steps(void *ctx, const struct ledger_record *record, const int64_t *ids)
{
    (void)ids;
    *(int *)ctx += record->kind == LEDGER_STEP;
    return 0;
}

/* By signal, by message: saved, paused, and nothing is replayed. */
START_TEST(test_stop)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    static char checkpoint[] = "checkpoint";
    struct fault_job job = {"fail", ", {\"Sleep\": {\"microseconds\": 1000}}", "0.1", 16, 2, NULL,
                            NULL};
    open_job(&harness, shared, &job, &(struct harness_options){.workers = 2});
    struct harness_outcome want = *harness_run(&harness);
    ck_assert(want.finished);
    for (int i = 0; i < 2; i++) {
        harness_new_job(&harness);
        harness.hook = stop_hook;
        harness.hook_ctx = i == 0 ? NULL : checkpoint;
        harness.stopping = false;
        struct harness_outcome outcome = *harness_run(&harness);
        ck_assert(!outcome.finished && !outcome.failed && !outcome.killed);
        ck_assert_int_eq(outcome.status, 0);
        ck_assert_int_eq(outcome.n_checkpoints, 1);
        harness.hook = NULL;
        outcome = *harness_run(&harness);
        ck_assert(outcome.finished);
        ck_assert_str_eq(outcome.tensors, want.tensors);
        ck_assert_str_eq(outcome.chain, want.chain);
        int steps = 0;
        open_ledger(&harness, count_steps, &steps);
        ck_assert_int_eq(steps, 2 * SAMPLES / 32);
    }
    harness_close(&harness);
}
END_TEST

START_TEST(test_cancel)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    static char cancel[] = "cancel";
    struct fault_job job = {"fail", ", {\"Sleep\": {\"microseconds\": 1000}}", "0.1", 16, 2, NULL,
                            NULL};
    open_job(&harness, shared, &job, &(struct harness_options){.workers = 2});
    harness.hook = stop_hook;
    harness.hook_ctx = cancel;
    const struct harness_outcome *outcome = harness_run(&harness);
    ck_assert(!outcome->finished && !outcome->failed && outcome->status == 0);
    ck_assert_int_eq(outcome->n_checkpoints, 0);
    harness_close(&harness);
}
END_TEST

/* Other kernels give other bits: the run asks before it goes on, or says that it does. */
START_TEST(test_fingerprint)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    struct fault_job job = {"fail", ", {\"Sleep\": {\"microseconds\": 500}}", "0.1", 16, 2, NULL,
                            NULL};
    open_job(&harness, shared, &job, &(struct harness_options){.workers = 2});
    harness.hook = stop_hook;
    ck_assert_int_eq(harness_run(&harness)->n_checkpoints, 1);
    harness.hook = NULL;
    job.backend = "ref";
    plan_job(&harness, &job, &(struct harness_options){.workers = 2, .same_folder = true});
    struct harness_outcome outcome = *harness_run(&harness);
    ck_assert(outcome.paused);
    ck_assert_int_eq(outcome.code, ERR_FINGERPRINT);
    ck_assert_msg(strstr(outcome.text, "backend") != NULL, "%s", outcome.text);
    job.on_fingerprint = "continue";
    plan_job(&harness, &job, &(struct harness_options){.workers = 2, .same_folder = true});
    outcome = *harness_run(&harness);
    ck_assert_msg(outcome.finished, "%s", outcome.text);
    ck_assert_msg(strstr(outcome.log, "going on") != NULL, "%s", outcome.log);
    harness_close(&harness);
}
END_TEST

/* ---- files
 * --------------------------------------------------------------------------------------------------
 */

static void newest_checkpoint(const struct harness *harness, char path[TEST_PATH])
{
    char best[256] = "";
    DIR *dir = opendir(harness->job_dir);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, "ckpt-", 5) == 0 && strcmp(entry->d_name, best) > 0) {
            snprintf(best, sizeof(best), "%s", entry->d_name);
        }
    }
    closedir(dir);
    ck_assert(best[0] != '\0');
    test_path(path, "%s/%s", harness->job_dir, best);
}

static void kill_after_two(struct harness *harness, const struct msg *msg)
{
    (void)msg;
    if (harness->outcome.n_checkpoints >= 2) {
        harness_kill_trainer(harness, SIGKILL);
    }
}

/* A bit flips in the newest checkpoint: the one before it is used, and the result is the same. */
START_TEST(test_damaged_checkpoint)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    char path[TEST_PATH];
    struct fault_job job = {"fail", ", {\"Sleep\": {\"microseconds\": 500}}", "0.1", 16, 4, NULL,
                            NULL};
    open_job(&harness, shared, &job, &(struct harness_options){.workers = 2});
    struct harness_outcome want = *harness_run(&harness);
    ck_assert(want.finished);
    harness_new_job(&harness);
    harness.hook = kill_after_two;
    ck_assert(harness_run(&harness)->killed);
    newest_checkpoint(&harness, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    ck_assert_int_eq(fstat(fd, &st), 0);
    for (off_t at = st.st_size / 3; at < st.st_size / 3 + 64; at++) { /* inside the weights */
        unsigned char byte = 0;
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    harness.hook = NULL;
    const struct harness_outcome *outcome = harness_run(&harness);
    ck_assert_msg(outcome->finished, "%s", outcome->text);
    ck_assert_msg(strstr(outcome->log, "passed over") != NULL, "log: %s", outcome->log);
    ck_assert_str_eq(outcome->tensors, want.tensors);
    harness_close(&harness);
}
END_TEST

/* The job's folder is full: the run pauses with a reason, the last good checkpoint is untouched,
 * and with space it goes on. */
START_TEST(test_full_disk)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    struct fault_job job = {"fail", "", "0.1", 700, 3, NULL, NULL}; /* some 2.2 MB a checkpoint */
    open_job(&harness, shared, &job, &(struct harness_options){.workers = 2});
    struct harness_outcome want = *harness_run(&harness);
    ck_assert_msg(want.finished, "%s", want.text);
    harness_new_job(&harness);
    close(harness.job_dir_fd);
    if (mount("tmpfs", harness.job_dir, "tmpfs", 0, "size=16m") != 0) {
        test_skip("mounting a small file system: %s", strerror(errno));
        harness.job_dir_fd = -1;
        harness_close(&harness);
        return;
    }
    harness.job_dir_fd = open(harness.job_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int filler = openat(harness.job_dir_fd, "filler", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(posix_fallocate(filler, 0, 13 << 20),
                     0); /* room for one checkpoint, not for two */
    struct harness_outcome outcome = *harness_run(&harness);
    ck_assert_msg(outcome.paused, "%s", outcome.text);
    ck_assert_int_eq(outcome.code, ERR_NO_SPACE);
    ck_assert_int_eq(outcome.n_checkpoints, 1);
    ck_assert_int_eq(ftruncate(filler, 0), 0);
    close(filler);
    outcome = *harness_run(&harness);
    ck_assert_msg(outcome.finished, "%s", outcome.text);
    ck_assert_msg(strstr(outcome.log, "goes on from") != NULL, "log: %s", outcome.log);
    ck_assert_str_eq(outcome.tensors, want.tensors);
    close(harness.job_dir_fd);
    harness.job_dir_fd = -1;
    ck_assert_int_eq(umount2(harness.job_dir, MNT_DETACH), 0);
    harness_close(&harness);
}
END_TEST

/* ---- two trainers
 * -------------------------------------------------------------------------------------------- */

#define LOCK_NAME "trainer.lock"

struct holder {
    int fd;      /* of the lock; -1 once let go */
    int inotify; /* says when somebody opens it: the trainer tries it from then on */
};

static void let_go(struct harness *harness, const struct msg *msg)
{
    struct holder *holder = harness->hook_ctx;
    char event[sizeof(struct inotify_event) + NAME_MAX + 1];
    (void)msg;
    if (holder->fd >= 0 && read(holder->inotify, event, sizeof(event)) > 0) {
        ck_assert(!harness->trainer_ready);
        close(holder->fd);
        holder->fd = -1;
    }
}

static int hold_lock(const struct harness *harness)
{
    int fd = openat(harness->job_dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    return fd;
}

/* Another trainer holds the job's folder. One that is about to die is waited for; one that stays
 * makes the new one end, and it has touched nothing. */
START_TEST(test_two_trainers)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    char path[TEST_PATH];
    struct fault_job job = plain;
    job.epochs = 1;
    open_job(&harness, shared, &job, &(struct harness_options){.workers = 2});
    struct holder holder = {.fd = hold_lock(&harness)};
    holder.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    test_path(path, "%s/" LOCK_NAME, harness.job_dir);
    ck_assert_int_ge(inotify_add_watch(holder.inotify, path, IN_OPEN), 0);
    harness.hook = let_go;
    harness.hook_ctx = &holder;
    struct harness_outcome outcome = *harness_run(&harness);
    close(holder.inotify);
    ck_assert_msg(outcome.finished, "%s", outcome.text);
    ck_assert_int_eq(holder.fd, -1);
    harness.hook = NULL;
    harness_new_job(&harness);
    holder.fd = hold_lock(&harness);
    outcome = *harness_run(&harness);
    ck_assert(outcome.failed && !outcome.killed);
    ck_assert_int_eq(outcome.code, ERR_BUSY);
    ck_assert_msg(strstr(outcome.text, "another trainer") != NULL, "%s", outcome.text);
    ck_assert(!harness.trainer_ready);
    ck_assert_int_ne(faccessat(harness.job_dir_fd, LEDGER_NAME, F_OK, 0), 0);
    close(holder.fd);
    outcome = *harness_run(&harness);
    ck_assert_msg(outcome.finished, "%s", outcome.text);
    harness_close(&harness);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("faults");
    TCase *tcase = tcase_create("faults");
    tcase_set_timeout(tcase, 200);
    tcase_add_loop_test(tcase, test_samples, 0, (int)(sizeof(samples) / sizeof(samples[0])));
    tcase_add_test(tcase, test_bad_sample_fails);
    tcase_add_test(tcase, test_not_finite);
    tcase_add_test(tcase, test_stop);
    tcase_add_test(tcase, test_cancel);
    tcase_add_test(tcase, test_fingerprint);
    tcase_add_test(tcase, test_damaged_checkpoint);
    tcase_add_test(tcase, test_full_disk);
    tcase_add_test(tcase, test_two_trainers);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    return test_main(make_suite());
}
