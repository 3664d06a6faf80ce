/* Law 3: a run whose trainer is killed with SIGKILL at any moment and started again ends in the
 * same weights, bit for bit, as one left alone; each sample is trained on once an epoch but for
 * what is replayed, and a replay brings the same bytes. Nothing half-written is ever seen (law 5):
 * after every kill each checkpoint of the folder can be read. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/system/harness.h"
#include "trainer/keras/keras_file.h"
#include "trainer/ledger.h"

enum {
    EPOCHS = 4,
    SAMPLES = 2000,
    BATCH = 24,
    STEPS = 84,
    INTERVAL = 20,
    KILLS = 30,
    MID_EPOCH = 15,
    IN_SAVE = 3,
    RUNS_MAX = 120,
    JOB_TEXT = 4096,
    SET = 10000
};

static const char job_form[] =
    "{\"name\": \"law\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"}},"
    " \"pipeline\": [{\"shuffle\": {}}, {\"take\": {\"count\": 2000}},"
    "  {\"map\": [{\"Rescaling\": {\"scale\": 0.00392156862745098}}, {\"RandomFlip\": {\"mode\": "
    "\"horizontal\"}},"
    "   {\"RandomRotation\": {\"factor\": 0.1}}, {\"Sleep\": {\"microseconds\": 200}}]},"
    "  {\"batch\": {\"batch_size\": 24}}],"
    " \"model\": [{\"Conv2D\": {\"filters\": 4, \"kernel_size\": 3, \"activation\": \"relu\"}}, "
    "\"MaxPooling2D\","
    "  \"Flatten\", {\"Dropout\": {\"rate\": 0.2}}, {\"Dense\": {\"units\": 10, \"activation\": "
    "\"softmax\"}}],"
    " \"compile\": {\"optimizer\": \"Adam\", \"loss\": \"SparseCategoricalCrossentropy\", "
    "\"metrics\": [\"accuracy\"]},"
    /* What callbacks remember comes back too: the rate falls each epoch, the fourth one ends it
       with the weights of the first. */
    " \"fit\": {\"epochs\": 6, \"seed\": 11, \"ledger\": \"samples\", \"checkpoint\": "
    "{\"every_steps\": 20, \"keep\": 3}, \"callbacks\": ["
    "  {\"ReduceLROnPlateau\": {\"monitor\": \"accuracy\", \"min_delta\": 9, \"patience\": 1}},"
    "  {\"EarlyStopping\": {\"monitor\": \"loss\", \"min_delta\": 9, \"patience\": 3, "
    "\"restore_best_weights\": true}},"
    "  {\"CSVLogger\": {\"filename\": \"log.csv\"}}]},"
    " \"resources\": {\"workers\": 2, \"backend\": \"%s\", \"threads\": 1}}";

static const char *const backends[] = {"blas", "dnnl"};

/* ---- when to kill
 * ------------------------------------------------------------------------------------------- */

struct killer {
    struct rng rng;
    int inotify;           /* of the job's folder */
    const char *save_name; /* how the file begins whose appearance is a save; NULL: "." */
    bool in_save, is_armed;
    int64_t kill_us; /* 0 = not yet decided */
    bool mid_epoch;  /* a checkpoint in the middle of an epoch came before */
    bool done;
};

static int count_files(const struct harness *harness, bool temporary)
{
    DIR *dir = opendir(harness->job_dir);
    int n = 0;
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        const char *end = strrchr(entry->d_name, '.');
        bool is_temporary = entry->d_name[0] == '.' && end != NULL && strcmp(end, ".tmp") == 0;
        n += temporary ? is_temporary : strncmp(entry->d_name, "ckpt-", 5) == 0;
    }
    closedir(dir);
    return n;
}

/* Nothing when there is no ledger yet. */
static void read_ledger(const struct harness *harness, ledger_fn fn, void *ctx)
{
    int fd = openat(harness->job_dir_fd, LEDGER_NAME, O_RDONLY | O_CLOEXEC);
    ck_assert(fd < 0 || ledger_read(fd, fn, ctx, NULL) == 0);
    if (fd >= 0) {
        close(fd);
    }
}

static void kill_hook(struct harness *harness, const struct msg *msg)
{
    struct killer *killer = harness->hook_ctx;
    const struct msg_child_checkpoint *checkpoint =
        msg != NULL && msg->type == MSG_CHILD_CHECKPOINT ? msg->body : NULL;
    if (killer->done || harness->outcome.finished) {
        return;
    }
    if (checkpoint != NULL && killer->kill_us == 0 && !killer->in_save) {
        killer->mid_epoch = checkpoint->step > 0;
        killer->kill_us = clock_us() + (int64_t)rng_below(&killer->rng, 40000);
    }
    if (killer->kill_us != 0 && clock_us() >= killer->kill_us) {
        harness_kill_trainer(harness, SIGKILL);
        killer->done = true;
    }
}

/* True when such a file has appeared in the folder: the trainer is at a save. */
static bool sees_save(int inotify, const char *begins)
{
    char events[4096] __attribute__((aligned(8)));
    ssize_t n = read(inotify, events, sizeof(events));
    bool seen = false;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event =
            (const struct inotify_event *)(const void *)(events + at);
        seen = seen || (event->len > 0 && strncmp(event->name, begins, strlen(begins)) == 0);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    return seen;
}

static void save_hook(struct harness *harness, const struct msg *msg)
{
    struct killer *killer = harness->hook_ctx;
    (void)msg;
    bool seen = sees_save(killer->inotify, killer->save_name ? killer->save_name : ".");
    /* The second save, so that there is a checkpoint to fall back on. */
    if (!killer->done && seen && killer->is_armed) {
        harness_kill_trainer(harness, SIGKILL);
        killer->done = true;
    }
    killer->is_armed = harness->outcome.n_checkpoints >= 1;
}

/* ---- what is left behind
 * ------------------------------------------------------------------------------------ */

static int count_unreadable(const struct harness *harness)
{
    DIR *dir = opendir(harness->job_dir);
    int n = 0;
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, "ckpt-", 5) != 0) {
            continue;
        }
        struct arena arena;
        struct keras_file file;
        arena_init(&arena);
        int fd = openat(harness->job_dir_fd, entry->d_name, O_RDONLY | O_CLOEXEC);
        int rc = keras_file_load(fd, (size_t)64 << 20, &arena, &file, NULL);
        n += rc < 0 || file.state == NULL;
        close(fd);
        arena_fini(&arena);
    }
    closedir(dir);
    return n;
}

struct law_ledger {
    uint64_t hash[EPOCHS][STEPS];
    int seen[EPOCHS][SET]; /* of the last time a step was trained */
    int64_t ids[EPOCHS][STEPS][BATCH];
    int64_t trained; /* position after the last record */
    int n_starts, n_past_zero;
    int64_t most_replayed;
    const int64_t *announced; /* before each start: global step of the newest durable checkpoint */
};

static int add_record(void *ctx, const struct ledger_record *record, const int64_t *ids)
{
    struct law_ledger *law = ctx;
    int64_t position = record->epoch * STEPS + record->step;
    if (record->kind == LEDGER_START) {
        int64_t replayed = law->trained - position;
        /* Nothing is replayed that a checkpoint held. */
        ck_assert_int_ge(position, law->announced[law->n_starts]);
        law->most_replayed = replayed > law->most_replayed ? replayed : law->most_replayed;
        law->n_starts++;
        law->n_past_zero += position > 0;
        law->trained = position;
        return 0;
    }
    ck_assert(record->epoch < EPOCHS && record->step < STEPS && record->n_ids <= BATCH);
    uint64_t *hash = &law->hash[record->epoch][record->step];
    ck_assert_msg(*hash == 0 || *hash == record->hash,
                  "a replay of epoch %lld step %lld brought other bytes", (long long)record->epoch,
                  (long long)record->step);
    for (uint32_t i = 0; i < record->n_ids; i++) {
        ck_assert(ids[i] >= 0 && ids[i] < SET);
        law->seen[record->epoch][ids[i]] += *hash == 0;
    }
    *hash = record->hash;
    law->trained = position + 1;
    return 0;
}

struct tally {
    int kills, mid_epoch, in_save, past_zero, unreadable;
    int64_t most_replayed;
    int n_starts; /* of the job at hand */
    int64_t announced[RUNS_MAX + 1];
};

static void check_ledger(const struct harness *harness, struct tally *tally)
{
    static struct law_ledger law;
    memset(&law, 0, sizeof(law));
    law.announced = tally->announced;
    read_ledger(harness, add_record, &law);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int n = 0;
        for (int i = 0; i < SET; i++) {
            ck_assert_int_le(law.seen[epoch][i], 1);
            n += law.seen[epoch][i];
        }
        ck_assert_int_eq(n, SAMPLES);
    }
    tally->most_replayed =
        law.most_replayed > tally->most_replayed ? law.most_replayed : tally->most_replayed;
    tally->past_zero += law.n_past_zero;
}

/* ---- the law
 * ------------------------------------------------------------------------------------------------
 */

static void plan_job(struct harness *harness, const char *shared, const char *backend,
                     const char *trainer)
{
    static char job[JOB_TEXT];
    snprintf(job, sizeof(job), job_form, backend);
    harness_open(harness, shared);
    harness_plan(harness, &(struct harness_options){.job = job,
                                                    .workers = 2,
                                                    .n_slabs = 6,
                                                    .sandbox = true,
                                                    .checkpoint_share = 1,
                                                    .trainer = trainer,
                                                    .seed = 3});
}

/* One run with a kill in it; true if it came to its end all the same. */
static bool run_killed(struct harness *harness, struct killer *killer, struct tally *tally)
{
    killer->done = false;
    killer->kill_us = 0;
    killer->mid_epoch = false;
    killer->is_armed = false;
    killer->in_save = tally->in_save < IN_SAVE && rng_below(&killer->rng, 3) == 0;
    killer->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    inotify_add_watch(killer->inotify, harness->job_dir, IN_CREATE);
    harness->hook = killer->in_save ? save_hook : kill_hook;
    harness->watch_fd = killer->in_save ? killer->inotify : 0;
    harness->hook_ctx = killer;
    if (!killer->in_save &&
        rng_below(&killer->rng, 4) == 0) { /* at any time, before a checkpoint too */
        killer->kill_us = clock_us() + 1 + (int64_t)rng_below(&killer->rng, 400000);
    }
    const struct harness_outcome *outcome = harness_run(harness);
    close(killer->inotify);
    if (outcome->killed) {
        ck_assert_msg(killer->done && WTERMSIG(outcome->status) == SIGKILL,
                      "the trainer died by itself, signal %d", WTERMSIG(outcome->status));
        tally->kills++;
        tally->mid_epoch += killer->mid_epoch;
        tally->in_save += killer->in_save && count_files(harness, true) > 0;
        tally->unreadable += count_unreadable(harness);
    } else {
        ck_assert_msg(outcome->finished, "%s: %s", outcome->path, outcome->text);
    }
    return !outcome->killed;
}

static int count_start(void *ctx, const struct ledger_record *record, const int64_t *ids)
{
    (void)ids;
    *(int *)ctx += record->kind == LEDGER_START;
    return 0;
}

/* What holds at the next start; a run that was killed before it said that it starts changed
 * nothing. */
static void note_run(const struct harness *harness, struct tally *tally)
{
    int starts = 0;
    read_ledger(harness, count_start, &starts);
    if (starts == tally->n_starts) {
        ck_assert_int_eq(harness->outcome.n_checkpoints, 0);
        return;
    }
    int64_t before = tally->announced[tally->n_starts];
    tally->n_starts = starts;
    tally->announced[starts] =
        harness->outcome.n_checkpoints > 0 ? harness->outcome.checkpoint_step : before;
}

static bool enough(const struct tally *tally)
{
    return tally->kills >= KILLS && tally->mid_epoch >= MID_EPOCH && tally->in_save >= IN_SAVE;
}

START_TEST(test_resume)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    struct tally tally = {0};
    struct killer killer = {.done = true};
    rng_init(&killer.rng, 17, (uint64_t)_i, 0, 0);
    plan_job(&harness, shared, backends[_i], NULL);
    struct harness_outcome want = *harness_run(&harness);
    ck_assert_msg(want.finished, "%s: %s", want.path, want.text);
    printf("# %s: left alone %.2f s, accuracy %.3f, %d checkpoints\n", backends[_i], want.seconds,
           want.accuracy, want.n_checkpoints);
    int runs = 0, jobs = 0;
    for (bool finished = true; !(finished && enough(&tally)) && runs < RUNS_MAX; runs++) {
        if (finished) {
            harness_new_job(&harness);
            jobs++;
            tally.n_starts = 0;
            tally.announced[0] = 0;
        }
        if (enough(&tally)) {
            harness.hook = NULL;
            harness.watch_fd = 0;
            ck_assert(harness_run(&harness)->finished);
            finished = true;
        } else {
            finished = run_killed(&harness, &killer, &tally);
        }
        note_run(&harness, &tally);
        if (finished) {
            ck_assert_str_eq(want.tensors, harness.outcome.tensors);
            ck_assert_str_eq(want.chain, harness.outcome.chain);
            check_ledger(&harness, &tally);
        }
    }
    printf("# %s: %d jobs, %d kills, %d in the middle of an epoch after a checkpoint, %d during a "
           "save, "
           "%d resumes past step 0, at most %lld steps replayed\n",
           backends[_i], jobs, tally.kills, tally.mid_epoch, tally.in_save, tally.past_zero,
           (long long)tally.most_replayed);
    ck_assert_int_eq(tally.unreadable, 0);
    ck_assert_msg(enough(&tally), "too few kills in %d runs", runs);
    ck_assert_int_gt(tally.past_zero, 0);
    ck_assert_int_le(tally.most_replayed, INTERVAL);
    harness_close(&harness);
}
END_TEST

/* Negative control: a checkpoint that is written under its own name is seen half-written. It is
 * killed when that name appears; a renamed one is whole by then. */
START_TEST(test_control_no_rename)
{
    TEST_NEED_SHARED(shared);
    static struct harness harness;
    struct tally tally = {0};
    struct killer killer = {.done = true, .save_name = "ckpt-"};
    rng_init(&killer.rng, 23, 0, 0, 0);
    plan_job(&harness, shared, "blas", "trainer/millrace-trainer-no-rename");
    for (int runs = 0; tally.unreadable == 0 && runs < 20; runs++) {
        harness_new_job(&harness);
        run_killed(&harness, &killer, &tally);
        tally.in_save = 0;
    }
    ck_assert_int_gt(tally.unreadable, 0);
    harness_close(&harness);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("law_resume");
    TCase *tcase = tcase_create("law 3");
    tcase_set_timeout(tcase, 400);
    tcase_add_loop_test(tcase, test_resume, 0, (int)(sizeof(backends) / sizeof(backends[0])));
    tcase_add_test(tcase, test_control_no_rename);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    return test_main(make_suite());
}
