/* The files of a run beside its tensors: the state in a checkpoint, the ledger, the names of
 * checkpoints, the plan of batches. */
#include "tests/test.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "trainer/checkpoint_list.h"
#include "trainer/feed_plan.h"
#include "trainer/ledger.h"
#include "trainer/state.h"

static char dir[TEST_PATH];
static int dir_fd;
static struct arena arena;

static void setup(void)
{
    test_dir_make(dir);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    arena_init(&arena);
}

static void teardown(void)
{
    close(dir_fd);
    test_dir_remove(dir);
    arena_fini(&arena);
}

static struct doc *parse(const char *text)
{
    struct doc *doc = NULL;
    struct err err = {0};
    ck_assert_msg(doc_read_json(text, strlen(text), &doc_limits_default, &arena, &doc, &err) == 0,
                  "%s", err.text);
    return doc;
}

/* ---- state
 * --------------------------------------------------------------------------------------------------
 */

START_TEST(test_state_round_trip)
{
    struct state state = {.epoch = 3,
                          .step = 17,
                          .global_step = 485,
                          .seed = 7,
                          .chain = 0xfedcba9876543210u,
                          .job = "digits-1",
                          .pipeline = "abc",
                          .tensors = "def",
                          .fingerprint = parse("{\"threads\": 2}"),
                          .metrics = parse("{\"loss\": {\"sum\": 0.1}}"),
                          .history = parse("[{\"loss\": 0.30000000000000004}]"),
                          .bad = parse("[]")};
    struct state back;
    struct doc *map = doc_new(&arena);
    struct buf text = {0};
    state_write(&state, map, &arena);
    doc_write_json(map, 2, &text);
    ck_assert_int_eq(state_read(parse(text.data), &back, NULL), 0);
    buf_fini(&text);
    ck_assert(back.epoch == 3 && back.step == 17 && back.global_step == 485 && back.seed == 7);
    ck_assert(back.chain == state.chain && !back.finished);
    ck_assert_str_eq(back.pipeline, "abc");
    ck_assert(doc_equal(back.history, state.history) && doc_equal(back.metrics, state.metrics));
}
END_TEST

static const char *const no_states[] = {
    "{}",
    "[]",
    "{\"version\": 2, \"epoch\": 0, \"step\": 0, \"global_step\": 0, \"chain\": "
    "\"0000000000000000\"}",
    "{\"version\": 1, \"epoch\": -1, \"step\": 0, \"global_step\": 0, \"chain\": "
    "\"0000000000000000\"}",
    "{\"version\": 1, \"epoch\": 0, \"step\": 0, \"global_step\": 0, \"chain\": "
    "\"00000000000000\"}",
    "{\"version\": 1, \"epoch\": 0, \"step\": 0, \"global_step\": 0, \"chain\": "
    "\"000000000000000g\"}",
    "{\"version\": 1, \"epoch\": 0, \"step\": 0, \"global_step\": 0, \"chain\": "
    "\"00000000000000000\"}",
};

START_TEST(test_state_refuses)
{
    struct state state;
    ck_assert_int_eq(state_read(parse(no_states[_i]), &state, NULL), ERR_CORRUPT);
}
END_TEST

/* ---- ledger
 * -------------------------------------------------------------------------------------------------
 */

struct tally {
    int starts, steps;
    int64_t ids, last_step;
};

static int add(void *ctx, const struct ledger_record *record, const int64_t *ids)
{
    struct tally *tally = ctx;
    tally->starts += record->kind == LEDGER_START;
    tally->steps += record->kind == LEDGER_STEP;
    tally->last_step = record->step;
    for (uint32_t i = 0; i < record->n_ids; i++) {
        tally->ids += ids[i];
    }
    return 0;
}

static struct tally read_back(void)
{
    struct tally tally = {0};
    int fd = openat(dir_fd, LEDGER_NAME, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(ledger_read(fd, add, &tally, NULL), 0);
    close(fd);
    return tally;
}

/* A kill in the middle of a record: what is appended after the next start is read all the same. */
START_TEST(test_ledger_torn)
{
    static const int64_t ids[4] = {1, 2, 3, 4};
    struct ledger ledger;
    ck_assert_int_eq(ledger_open(&ledger, dir_fd, JOB_LEDGER_SAMPLES, 4, &arena, NULL), 0);
    ck_assert_int_eq(ledger_start(&ledger, 0, 0, NULL), 0);
    ck_assert_int_eq(ledger_step(&ledger, 0, 0, 4, 99, ids, NULL), 0);
    ck_assert_int_eq(ledger_step(&ledger, 0, 1, 4, 98, ids, NULL), 0);
    off_t size = lseek(ledger.fd, 0, SEEK_END);
    ck_assert_int_eq(ftruncate(ledger.fd, size - _i), 0);
    ledger_close(&ledger);
    struct tally tally = read_back();
    ck_assert_int_eq(tally.steps, _i == 0 ? 2 : 1);
    ck_assert_int_eq(ledger_open(&ledger, dir_fd, JOB_LEDGER_SAMPLES, 4, &arena, NULL), 0);
    ck_assert_int_eq(ledger_start(&ledger, 0, 1, NULL), 0);
    ck_assert_int_eq(ledger_step(&ledger, 0, 1, 2, 98, ids, NULL), 0);
    ledger_close(&ledger);
    tally = read_back();
    ck_assert_int_eq(tally.starts, 2);
    ck_assert_int_eq(tally.steps, _i == 0 ? 3 : 2);
    ck_assert_int_eq(tally.last_step, 1);
}
END_TEST

START_TEST(test_ledger_off_and_damaged)
{
    struct ledger ledger;
    ck_assert_int_eq(ledger_open(&ledger, dir_fd, JOB_LEDGER_NONE, 4, &arena, NULL), 0);
    ck_assert_int_eq(ledger_step(&ledger, 0, 0, 4, 99, NULL, NULL), 0);
    ledger_close(&ledger);
    ck_assert_int_lt(openat(dir_fd, LEDGER_NAME, O_RDONLY | O_CLOEXEC), 0);
    ck_assert_int_eq(
        file_write_atomic(dir_fd, "junk", "this is not a ledger of any run at all .", 40, NULL), 0);
    int fd = openat(dir_fd, "junk", O_RDONLY | O_CLOEXEC);
    struct tally tally = {0};
    ck_assert_int_eq(ledger_read(fd, add, &tally, NULL), ERR_CORRUPT);
    close(fd);
}
END_TEST

/* ---- names of checkpoints
 * ----------------------------------------------------------------------------------- */

static void touch(const char *name)
{
    ck_assert_int_eq(file_write_atomic(dir_fd, name, "x", 1, NULL), 0);
}

START_TEST(test_names)
{
    static const int64_t want[] = {120, 20, 0};
    int64_t steps[CHECKPOINT_LIST_MAX];
    char name[64];
    checkpoint_list_name(20, name, sizeof(name));
    ck_assert_str_eq(name, "ckpt-0000000020.keras");
    touch(name);
    touch("ckpt-0000000120.keras");
    touch("ckpt-0000000000.keras");
    touch("ckpt-12.keras");
    touch("ckpt-000000012x.keras");
    touch("model.keras");
    ck_assert_int_eq(checkpoint_list_read(dir_fd, steps), 3);
    ck_assert_mem_eq(steps, want, sizeof(want));
    checkpoint_list_prune(dir_fd, 2);
    ck_assert_int_eq(checkpoint_list_read(dir_fd, steps), 2);
    ck_assert_mem_eq(steps, want, 2 * sizeof(int64_t));
}
END_TEST

/* ---- the sequence of batches
 * -------------------------------------------------------------------------------- */

static const char plan_text[] =
    "{\"pipeline\": \"p\", \"streams\": {"
    "\"train\": {\"samples\": 10, \"batch\": 4, \"steps\": 3, \"prefetch\": 2, \"fields\": ["
    "{\"name\": \"x\", \"kind\": \"image\", \"dtype\": \"uint8\", \"shape\": [2, 2, 1]},"
    "{\"name\": \"y\", \"kind\": \"label\", \"dtype\": \"int64\", \"shape\": []}]},"
    "\"validation\": {\"samples\": 5, \"batch\": 4, \"steps\": 2, \"prefetch\": 2, \"fields\": ["
    "{\"name\": \"x\", \"kind\": \"image\", \"dtype\": \"uint8\", \"shape\": [2, 2, 1]},"
    "{\"name\": \"y\", \"kind\": \"label\", \"dtype\": \"int64\", \"shape\": []}]}}}";

START_TEST(test_plan)
{
    struct job_spec job = {.fit = {.epochs = 3, .validation_freq = 2}};
    struct feed_plan plan;
    struct err err = {0};
    ck_assert_msg(feed_plan_read(parse(plan_text), &job, &arena, &plan, &err) == 0, "%s", err.text);
    ck_assert_int_eq(plan.stream[FEED_TRAIN].n_input, 1);
    char walk[128] = "";
    struct feed_position at = {0};
    int64_t rows = 0;
    for (; !feed_plan_is_end(&plan, &at); at = feed_plan_next(&plan, &at)) {
        walk[strlen(walk)] = at.stream == FEED_TRAIN ? 't' : 'v';
        rows += feed_plan_rows(&plan, &at);
    }
    ck_assert_str_eq(walk, "tttttt"
                           "vv"
                           "ttt");
    ck_assert_int_eq(rows, 3 * 10 + 5);
    at = feed_plan_at(&plan, 1, 3); /* all steps of the epoch done: its validation comes next */
    ck_assert(at.epoch == 1 && at.stream == FEED_VALIDATION && at.step == 0);
    at = feed_plan_at(&plan, 0, 3);
    ck_assert(at.epoch == 1 && at.stream == FEED_TRAIN && at.step == 0);
}
END_TEST

START_TEST(test_plan_refuses)
{
    struct job_spec job = {.fit = {.epochs = 3}};
    struct feed_plan plan;
    struct err err = {0};
    ck_assert_int_eq(feed_plan_read(parse("{}"), &job, &arena, &plan, &err), ERR_MISSING);
    ck_assert_int_eq(
        feed_plan_read(parse("{\"streams\": {\"train\": {}}}"), &job, &arena, &plan, &err),
        ERR_INVALID);
    ck_assert_str_eq(err.path, "streams.train");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("run_files");
    TCase *tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_state_round_trip);
    tcase_add_loop_test(tcase, test_state_refuses, 0,
                        (int)(sizeof(no_states) / sizeof(no_states[0])));
    tcase_add_loop_test(tcase, test_ledger_torn, 0, 72);
    tcase_add_test(tcase, test_ledger_off_and_damaged);
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_plan);
    tcase_add_test(tcase, test_plan_refuses);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
