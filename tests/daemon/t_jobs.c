/* Jobs and the supervisor through a real daemon, with children that only speak the protocol. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/daemon/fixture.h"

static void start(struct fixture *f)
{
    fixture_init(f);
    fixture_start(f);
    ck_assert_int_eq(fixture_put(f, "d", 2, 100, 1), 2);
}

/* The text of the first log line of a job that holds `part`, or NULL. */
static const char *find_log(struct fixture *f, const char *job, const char *part)
{
    const struct msg_job_logs logs = {.name = job};
    const struct doc *lines = doc_get(fixture_ask(f, MSG_JOB_LOGS, &logs, NULL, 0), "lines");
    for (size_t i = 0; lines != NULL && i < lines->n; i++) {
        const char *text = doc_str(doc_at(lines, i), "text", "");
        if (strstr(text, part) != NULL) {
            return text;
        }
    }
    return NULL;
}

START_TEST(from_submit_to_finish)
{
    struct fixture f;
    start(&f);
    const struct doc *reply = fixture_submit(&f, "k1", "{}");
    ck_assert_msg(reply != NULL, "%s", f.err.text);
    ck_assert_str_eq(doc_str(reply, "job", ""), "fake-job-1");
    ck_assert_int_eq(doc_int(doc_get(reply, "plan"), "slab_bytes", 0), 4096);
    ck_assert_int_eq(doc_int(doc_get(reply, "plan"), "parameters", 0), 12);
    const struct doc *job = fixture_wait_state(&f, "fake-job-1", "finished");
    ck_assert_str_eq(doc_str(doc_get(job, "result"), "file", ""), "fake.keras");
    job = fixture_named(&f, MSG_JOB_SHOW, "Fake job");
    ck_assert_int_eq((int)doc_get(job, "history")->n, 1);
    ck_assert_int_eq((int)doc_get(job, "checkpoints")->n, 1);
    ck_assert_int_eq(doc_int(doc_get(job, "progress"), "global_step", 0), 50);
    const struct msg_job_predict predict = {.name = "fake-job-1"};
    reply = fixture_ask(&f, MSG_JOB_PREDICT, &predict, "x", 1);
    ck_assert_ptr_nonnull(doc_get(reply, "predictions"));
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_start(&f);
    job = fixture_named(&f, MSG_JOB_SHOW, "fake-job-1");
    ck_assert_str_eq(doc_str(job, "state", ""), "finished");
    ck_assert_int_eq((int)doc_get(job, "checkpoints")->n, 1);
    fixture_fini(&f);
}
END_TEST

/* The same key gives the same job, at once, twice on the way, and after a restart. */
START_TEST(submitted_once)
{
    struct fixture f;
    start(&f);
    const char *fake = "{\"steps\": 20}";
    for (int i = 0; i < 3; i++) {
        const struct doc *reply = fixture_submit(&f, "same", fake);
        ck_assert_str_eq(doc_str(reply, "job", ""), "fake-job-1");
    }
    ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
    fixture_start(&f);
    ck_assert_str_eq(doc_str(fixture_submit(&f, "same", fake), "job", ""), "fake-job-1");
    ck_assert_str_eq(doc_str(fixture_submit(&f, "other", fake), "job", ""), "fake-job-2");
    fixture_wait_state(&f, "fake-job-2", "finished");
    fixture_fini(&f);
}
END_TEST

struct bad_job {
    const char *fake, *path;
    int code;
};
static const struct bad_job bad_jobs[] = {
    {"{\"refuse\": \"no op 'RandomFlap'\"}", "pipeline[1].map[0]", ERR_UNKNOWN},
    {"{\"check_dies\": true}", "", ERR_INTERNAL},
    {"{\"check_hangs\": true}", "", ERR_TIMEOUT},
};

START_TEST(refused_jobs)
{
    struct fixture f;
    fixture_init(&f);
    fixture_arg(&f, "--check-seconds=1");
    fixture_start(&f);
    ck_assert_ptr_null(fixture_submit(&f, "k", "{}"));
    ck_assert_int_eq(f.err.code, ERR_NOT_FOUND);
    ck_assert_str_eq(f.err.path, "data.train.dataset");
    ck_assert_int_eq(fixture_put(&f, "d", 2, 100, 1), 2);
    for (size_t i = 0; i < sizeof(bad_jobs) / sizeof(bad_jobs[0]); i++) {
        ck_assert_ptr_null(fixture_submit(&f, NULL, bad_jobs[i].fake));
        ck_assert_int_eq(f.err.code, bad_jobs[i].code);
        ck_assert_str_eq(f.err.path, bad_jobs[i].path);
    }
    fixture_fini(&f);
}
END_TEST

START_TEST(dataset_in_use)
{
    struct fixture f;
    start(&f);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"steps\": 100000}"));
    ck_assert_ptr_null(fixture_named(&f, MSG_DATASET_REMOVE, "d"));
    ck_assert_int_eq(f.err.code, ERR_BUSY);
    ck_assert_ptr_nonnull(strstr(f.err.text, "fake-job-1"));
    fixture_wait_state(&f, "fake-job-1", "training");
    const struct doc *job = fixture_named(&f, MSG_JOB_CANCEL, "fake-job-1");
    ck_assert_str_eq(doc_str(job, "state", ""), "cancelled");
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "d"));
    fixture_fini(&f);
}
END_TEST

/* A job can be cancelled while it is checked; its submission hears that. */
START_TEST(cancelled_in_check)
{
    struct fixture f;
    start(&f);
    int64_t id = fixture_submit_only(&f, "{\"check_hangs\": true}");
    const struct doc *job = fixture_wait_state(&f, "fake-job-1", "checking");
    ck_assert_ptr_nonnull(job);
    const struct msg_named named = {.name = "fake-job-1"};
    fixture_send(&f, MSG_JOB_CANCEL, &named, NULL, 0);
    ck_assert_ptr_null(fixture_answer(&f, id));
    ck_assert_int_eq(f.err.code, ERR_CANCELLED);
    ck_assert_str_eq(doc_str(fixture_named(&f, MSG_JOB_SHOW, "fake-job-1"), "state", ""),
                     "cancelled");
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{}"));
    fixture_fini(&f);
}
END_TEST

/* Killed while a job is checked: the next daemon checks it again, and a client that asks with the
 * same key gets the outcome. */
START_TEST(killed_in_check)
{
    struct fixture f;
    fixture_init(&f);
    fixture_arg(&f, "--check-seconds=2");
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "d", 2, 100, 1), 2);
    fixture_submit_only(&f, "{\"check_hangs\": true}");
    fixture_wait_state(&f, "fake-job-1", "checking");
    ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
    fixture_start(&f);
    const struct doc *job = fixture_wait_state(&f, "fake-job-1", "failed");
    ck_assert_str_eq(doc_str(job, "error", ""), "timeout");
    fixture_fini(&f);
}
END_TEST

static int count_state(struct fixture *f, const char *state)
{
    const struct msg_none none = {.unused = 0};
    const struct doc *jobs = doc_get(fixture_ask(f, MSG_JOB_LIST, &none, NULL, 0), "jobs");
    int n = 0;
    for (size_t i = 0; i < jobs->n; i++) {
        n += !strcmp(doc_str(doc_at(jobs, i), "state", ""), state);
    }
    return n;
}

/* Two at once, the others wait in the order of their coming. */
START_TEST(queue)
{
    struct fixture f;
    fixture_init(&f);
    fixture_arg(&f, "--max-jobs=2");
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "d", 2, 100, 1), 2);
    for (int i = 0; i < 4; i++) {
        ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"steps\": 100000}"));
    }
    fixture_wait_state(&f, "fake-job-1", "training");
    fixture_wait_state(&f, "fake-job-2", "training");
    ck_assert_int_eq(count_state(&f, "training"), 2);
    ck_assert_int_eq(count_state(&f, "queued"), 2);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_JOB_CANCEL, "fake-job-1"));
    fixture_wait_state(&f, "fake-job-3", "training");
    ck_assert_int_eq(count_state(&f, "queued"), 1);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_JOB_PAUSE, "fake-job-4"));
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_JOB_CANCEL, "fake-job-2"));
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_JOB_CANCEL, "fake-job-3"));
    ck_assert_int_eq(count_state(&f, "paused"), 1);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_JOB_RESUME, "fake-job-4"));
    fixture_wait_state(&f, "fake-job-4", "training");
    fixture_fini(&f);
}
END_TEST

START_TEST(paused_and_resumed)
{
    struct fixture f;
    start(&f);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"steps\": 400, \"step_ms\": 4}"));
    fixture_wait_state(&f, "fake-job-1", "training");
    const struct doc *job = fixture_named(&f, MSG_JOB_PAUSE, "fake-job-1");
    ck_assert_str_eq(doc_str(job, "state", ""), "paused");
    ck_assert_int_ge((int)doc_get(job, "checkpoints")->n, 1);
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_start(&f);
    ck_assert_str_eq(doc_str(fixture_named(&f, MSG_JOB_SHOW, "fake-job-1"), "state", ""), "paused");
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_JOB_RESUME, "fake-job-1"));
    fixture_wait_state(&f, "fake-job-1", "finished");
    ck_assert_ptr_null(fixture_named(&f, MSG_JOB_RESUME, "fake-job-1"));
    ck_assert_int_eq(f.err.code, ERR_INVALID);
    fixture_fini(&f);
}
END_TEST

/* A job that paused for want of space goes on by itself; for other numerics it waits for a person.
 */
START_TEST(space_comes_back)
{
    struct fixture f;
    fixture_init(&f);
    fixture_arg(&f, "--retry-seconds=1");
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "d", 2, 100, 1), 2);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"pause_at\": 20}"));
    fixture_wait_state(&f, "fake-job-1", "finished");
    ck_assert_ptr_nonnull(find_log(&f, "fake-job-1", "there is space again"));
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"pause_at\": 20, \"pause_code\": -18}"));
    const struct doc *job = fixture_wait_state(&f, "fake-job-2", "paused");
    ck_assert_str_eq(doc_str(job, "error", ""), "fingerprint");
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_JOB_RESUME, "fake-job-2"));
    fixture_wait_state(&f, "fake-job-2", "finished");
    fixture_fini(&f);
}
END_TEST

START_TEST(trainer_dies)
{
    struct fixture f;
    start(&f);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"die_at\": 25}"));
    const struct doc *job = fixture_wait_state(&f, "fake-job-1", "finished");
    ck_assert_int_eq(doc_int(job, "restarts", 0), 1);
    ck_assert_ptr_nonnull(find_log(&f, "fake-job-1", "killed by signal 9"));
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"fail_at\": 5}"));
    job = fixture_wait_state(&f, "fake-job-2", "failed");
    ck_assert_str_eq(doc_str(job, "error", ""), "not_finite");
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"always_die_at\": 1}"));
    job = fixture_wait_state(&f, "fake-job-3", "failed");
    ck_assert_ptr_nonnull(strstr(doc_str(job, "reason", ""), "signal 6"));
    fixture_fini(&f);
}
END_TEST

START_TEST(trainer_hangs)
{
    struct fixture f;
    fixture_init(&f);
    fixture_arg(&f, "--hang-seconds=2");
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "d", 2, 100, 1), 2);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"hang_at\": 25}"));
    fixture_wait_state(&f, "fake-job-1", "finished");
    ck_assert_ptr_nonnull(find_log(&f, "fake-job-1", "watchdog"));
    fixture_fini(&f);
}
END_TEST

struct replacement {
    struct fixture *fixture;
    int64_t pid; /* that was killed */
};

/* Kills the first ready worker that it sees, then waits for another in its place. */
static bool is_replaced(void *arg)
{
    struct replacement *replacement = arg;
    const struct msg_none none = {.unused = 0};
    const struct doc *list =
        doc_get(fixture_ask(replacement->fixture, MSG_WORKER_LIST, &none, NULL, 0), "workers");
    const struct doc *worker = doc_at(list, 1);
    int64_t pid = doc_int(worker, "pid", 0);
    if (pid == 0 || list->n < 3 || strcmp(doc_str(worker, "state", ""), "ready") != 0) {
        return false;
    }
    if (replacement->pid == 0) {
        replacement->pid = pid;
        kill((pid_t)pid, SIGKILL);
    }
    return pid != replacement->pid && doc_int(worker, "restarts", 0) == 1;
}

START_TEST(workers)
{
    struct fixture f;
    const struct msg_none none = {.unused = 0};
    start(&f);
    /* A lease that expires: killed, reaped, told, replaced. */
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"kill_worker\": true, \"step_ms\": 20}"));
    fixture_wait_state(&f, "fake-job-1", "finished");
    ck_assert_ptr_nonnull(find_log(&f, "fake-job-1", "is killed: its lease expired"));
    ck_assert_ptr_nonnull(find_log(&f, "fake-job-1", "told that worker 1 is gone"));
    /* A worker that never comes up fails the job. */
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"worker_dies\": true, \"steps\": 100000}"));
    const struct doc *job = fixture_wait_state(&f, "fake-job-2", "failed");
    ck_assert_ptr_nonnull(strstr(doc_str(job, "reason", ""), "ended with status 9"));
    /* AUTOTUNE's wish, and a worker killed from outside. */
    ck_assert_ptr_nonnull(
        fixture_submit(&f, NULL, "{\"workers_at\": 5, \"workers\": 2, \"steps\": 100000}"));
    fixture_wait_state(&f, "fake-job-3", "training");
    struct replacement replacement = {.fixture = &f};
    ck_assert(test_wait(is_replaced, &replacement, 10000));
    const struct doc *list = doc_get(fixture_ask(&f, MSG_WORKER_LIST, &none, NULL, 0), "workers");
    ck_assert_int_ge((int)list->n, 2);
    ck_assert_str_eq(doc_str(doc_at(list, 0), "role", ""), "trainer");
    fixture_fini(&f);
}
END_TEST

START_TEST(quarantine)
{
    struct fixture f;
    start(&f);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"quarantine_at\": 5, \"steps\": 100}"));
    fixture_wait_state(&f, "fake-job-1", "finished");
    ck_assert_ptr_nonnull(find_log(&f, "fake-job-1", "told that the conviction is durable"));
    ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
    fixture_start(&f);
    const struct doc *list = doc_get(fixture_named(&f, MSG_JOB_SHOW, "fake-job-1"), "quarantine");
    ck_assert_int_eq((int)list->n, 1);
    ck_assert_str_eq(doc_str(doc_at(list, 0), "path", ""), "a/b.jpg");
    ck_assert_int_eq(doc_int(doc_at(list, 0), "offset", -1), 4096);
    fixture_fini(&f);
}
END_TEST

static int count_children(const char *dir)
{
    char command[TEST_PATH + 64];
    int n = 0;
    snprintf(command, sizeof(command), "pgrep -c -f %s/x/", dir);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    ck_assert_int_eq(fscanf(pipe, "%d", &n), 1);
    pclose(pipe);
    return n - 1; /* the shell that asks */
}

static bool no_children(void *arg)
{
    return count_children(arg) <= 0;
}

/* Killed in the middle of training, ten times: the children die with it, and the job goes on and
 * ends. */
START_TEST(daemon_dies)
{
    struct fixture f;
    start(&f);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"steps\": 300, \"step_ms\": 3}"));
    for (int i = 0; i < 10; i++) {
        fixture_wait_state(&f, "fake-job-1", "training");
        ck_assert_ptr_nonnull(fixture_event(&f, "checkpoint"));
        ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
        ck_assert(test_wait(no_children, f.dir, 5000));
        fixture_start(&f);
    }
    fixture_wait_state(&f, "fake-job-1", "finished");
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    ck_assert_int_le(count_children(f.dir), 0);
    fixture_fini(&f);
}
END_TEST

/* SIGTERM: the trainer saves, the daemon ends with 0 in time, and the next one goes on. */
START_TEST(clean_stop)
{
    struct fixture f;
    start(&f);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"steps\": 100, \"step_ms\": 10}"));
    fixture_wait_state(&f, "fake-job-1", "training");
    ck_assert_ptr_nonnull(fixture_event(&f, "progress"));
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    ck_assert_int_le(count_children(f.dir), 0);
    fixture_start(&f);
    const struct doc *list = doc_get(fixture_named(&f, MSG_JOB_SHOW, "fake-job-1"), "checkpoints");
    ck_assert_int_ge((int)list->n, 1);
    fixture_wait_state(&f, "fake-job-1", "finished");
    fixture_fini(&f);
}
END_TEST

/* Not a byte is left: the job pauses with the reason, nothing that was acknowledged is lost (the
 * database could not be written either), a submission is refused, and all goes on by itself when
 * there is space. */
START_TEST(full_disk)
{
    struct fixture f;
    fixture_init(&f);
    if (!fixture_small_disk(&f, "4m")) {
        test_skip("a small file system needs root");
        fixture_fini(&f);
        return;
    }
    fixture_arg(&f, "--reserve-bytes=200000");
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "d", 2, 100, 1), 2);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{\"steps\": 500, \"step_ms\": 4}"));
    fixture_wait_state(&f, "fake-job-1", "training");
    ck_assert_ptr_nonnull(fixture_event(&f, "checkpoint"));
    fixture_fill_up(&f);
    fixture_wait_state(&f, "fake-job-1", "paused");
    const struct doc *job = fixture_named(&f, MSG_JOB_SHOW, "fake-job-1");
    ck_assert_str_eq(doc_str(job, "error", ""), "no_space");
    ck_assert_ptr_null(fixture_submit(&f, "again", "{}"));
    ck_assert_int_eq(f.err.code, ERR_NO_SPACE);
    fixture_fill(&f, 0);
    fixture_wait_state(&f, "fake-job-1", "finished");
    ck_assert_ptr_nonnull(fixture_submit(&f, "again", "{\"steps\": 3}"));
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_start(&f);
    job = fixture_named(&f, MSG_JOB_SHOW, "fake-job-1");
    ck_assert_str_eq(doc_str(job, "state", ""), "finished");
    ck_assert_int_eq(doc_int(job, "restarts", -1), 0);
    fixture_fini(&f);
}
END_TEST

/* Events missed are sent again by number. */
START_TEST(watch_again)
{
    struct fixture f;
    start(&f);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{}"));
    fixture_wait_state(&f, "fake-job-1", "finished");
    const struct msg_job_watch watch = {.name = "fake-job-1", .after = 1};
    ck_assert_ptr_nonnull(fixture_ask(&f, MSG_JOB_WATCH, &watch, NULL, 0));
    ck_assert_ptr_nonnull(fixture_event(&f, "snapshot"));
    int64_t last = f.event->seq;
    int64_t seq = 1;
    while (seq < last) {
        ck_assert_ptr_nonnull(fixture_event(&f, NULL));
        ck_assert_int_eq(f.event->seq, seq + 1);
        seq = f.event->seq;
    }
    fixture_fini(&f);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("jobs");
    TCase *tcase = tcase_create("jobs");
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, from_submit_to_finish);
    tcase_add_test(tcase, submitted_once);
    tcase_add_test(tcase, refused_jobs);
    tcase_add_test(tcase, dataset_in_use);
    tcase_add_test(tcase, cancelled_in_check);
    tcase_add_test(tcase, killed_in_check);
    tcase_add_test(tcase, queue);
    tcase_add_test(tcase, paused_and_resumed);
    tcase_add_test(tcase, space_comes_back);
    tcase_add_test(tcase, trainer_dies);
    tcase_add_test(tcase, trainer_hangs);
    tcase_add_test(tcase, workers);
    tcase_add_test(tcase, quarantine);
    tcase_add_test(tcase, daemon_dies);
    tcase_add_test(tcase, clean_stop);
    tcase_add_test(tcase, full_disk);
    tcase_add_test(tcase, watch_again);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
