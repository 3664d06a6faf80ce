/* Questions about a pipeline through a real daemon, with a worker that lies, hangs or dies. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/daemon/fixture.h"

static struct fixture f;
static struct arena arena; /* of jobs */

static void setup(void)
{
    arena_init(&arena);
    fixture_init(&f);
    fixture_arg(&f, "--check-seconds=2");
    fixture_arg(&f, "--max-previews=2");
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "d", 2, 100, 1), 2);
}

static void teardown(void)
{
    fixture_fini(&f);
    arena_fini(&arena);
}

/* A job whose worker does what `script` says: JSON of compile.fake. */
static const struct doc *make_job(const char *script)
{
    struct doc *doc = NULL;
    char text[2048];
    struct err err = {0};
    (void)snprintf(text, sizeof(text),
                   "{\"name\": \"ask\", \"data\": {\"train\": {\"dataset\": \"d\"}}, \"compile\": "
                   "{\"fake\": %s}}",
                   script);
    ck_assert_msg(doc_read_json(text, strlen(text), &doc_limits_default, &arena, &doc, &err) >= 0,
                  "%s", err.text);
    return doc;
}

static const struct {
    const char *frames;
    bool is_good;
} frames[] = {
    {"[{'offset': 0, 'bytes': 16}]", true},
    {"[{'offset': 33554416, 'bytes': 16}]", true}, /* the last of 32 MiB */
    {"[]", true},
    {"[{'offset': 33554417, 'bytes': 16}]", false},
    {"[{'offset': -1, 'bytes': 16}]", false},
    {"[{'offset': 0, 'bytes': -1}]", false},
    {"[{'offset': 0, 'bytes': 33554433}]", false},
    {"[{'offset': 16, 'bytes': 9223372036854775807}]", false},
    {"[{'offset': 9223372036854775807, 'bytes': 1}]", false},
    {"[{'bytes': 16}]", false},
    {"[{'offset': '0', 'bytes': 16}]", false},
    {"[1]", false},
    {"[{'offset':0,'bytes':1},{'offset':0,'bytes':1},{'offset':0,'bytes':1},{'offset':0,'bytes':1},"
     "{'offset':0,'bytes':1},{'offset':0,'bytes':1},{'offset':0,'bytes':1},{'offset':0,'bytes':1},"
     "{'offset':0,'bytes':1},{'offset':0,'bytes':1},{'offset':0,'bytes':1},{'offset':0,'bytes':1},"
     "{'offset':0,'bytes':1},{'offset':0,'bytes':1},{'offset':0,'bytes':1},{'offset':0,'bytes':1},"
     "{'offset':0,'bytes':1}]",
     false},
};

/* Only places inside the memory that the worker was given become frames; the daemon lives on. */
START_TEST(believes_no_places)
{
    char script[1024], answer[900];
    (void)snprintf(answer, sizeof(answer), "{'frames': %s}", frames[_i].frames);
    size_t n = (size_t)snprintf(script, sizeof(script), "{\"answer\": \"");
    for (const char *c = answer; *c != '\0' && n + 4 < sizeof(script); c++) {
        n += (size_t)snprintf(script + n, sizeof(script) - n, *c == '\'' ? "\\\"" : "%c", *c);
    }
    (void)snprintf(script + n, sizeof(script) - n, "\"}");
    struct msg_pipeline_preview body = {.job = make_job(script), .rows = 1};
    const struct doc *reply = fixture_ask(&f, MSG_PIPELINE_PREVIEW, &body, NULL, 0);
    ck_assert_msg((reply != NULL) == frames[_i].is_good, "%s: %s", frames[_i].frames, f.err.text);
    ck_assert(reply != NULL || f.err.code == ERR_INTERNAL);
    ck_assert_ptr_nonnull(fixture_ask(&f, MSG_PING, &(struct msg_none){0}, NULL, 0));
}
END_TEST

static const struct {
    const char *script;
    int code;
    const char *word;
} ends[] = {
    {"{\"check_dies\": true}", ERR_INTERNAL, "killed by signal"},
    {"{\"check_hangs\": true}", ERR_TIMEOUT, "check_seconds"},
};

START_TEST(says_how_it_ended)
{
    const struct msg_pipeline_explain body = {.job = make_job(ends[_i].script)};
    ck_assert_ptr_null(fixture_ask(&f, MSG_PIPELINE_EXPLAIN, &body, NULL, 0));
    ck_assert_int_eq(f.err.code, ends[_i].code);
    ck_assert_msg(strstr(f.err.text, ends[_i].word) != NULL, "%s", f.err.text);
}
END_TEST

/* A place is free when a worker that was given up is reaped. */
static bool is_answered(void *body)
{
    return fixture_ask(&f, MSG_PIPELINE_EXPLAIN, body, NULL, 0) != NULL;
}

/* Two are looked at, the third is refused; and the daemon can stop in between. */
START_TEST(bounds_them)
{
    const struct msg_pipeline_explain body = {.job = make_job("{\"check_hangs\": true}")};
    int64_t first = fixture_send(&f, MSG_PIPELINE_EXPLAIN, &body, NULL, 0);
    int64_t second = fixture_send(&f, MSG_PIPELINE_EXPLAIN, &body, NULL, 0);
    ck_assert_ptr_null(fixture_ask(&f, MSG_PIPELINE_EXPLAIN, &body, NULL, 0));
    ck_assert_int_eq(f.err.code, ERR_BUSY);
    ck_assert_msg(strstr(f.err.text, "max_previews") != NULL, "%s", f.err.text);
    ck_assert_ptr_null(fixture_answer(&f, first));
    ck_assert_ptr_null(fixture_answer(&f, second));
    ck_assert_int_eq(f.err.code, ERR_TIMEOUT);
    struct msg_pipeline_explain good = {.job = make_job("{}")};
    ck_assert_msg(test_wait(is_answered, &good, 10000), "%s", f.err.text);
    (void)fixture_send(&f, MSG_PIPELINE_EXPLAIN, &body, NULL, 0);
    ck_assert_ptr_nonnull(fixture_ask(&f, MSG_PING, &(struct msg_none){0}, NULL, 0));
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
}
END_TEST

/* A client that goes away takes its pipeline with it, long before check_seconds. */
START_TEST(ends_with_its_client)
{
    const struct msg_pipeline_explain body = {.job = make_job("{\"check_hangs\": true}")};
    fixture_end(&f, SIGKILL);
    fixture_arg(&f, "--check-seconds=3600");
    fixture_arg(&f, "--max-previews=1");
    fixture_start(&f);
    (void)fixture_send(&f, MSG_PIPELINE_EXPLAIN, &body, NULL, 0);
    ck_assert_ptr_null(fixture_ask(&f, MSG_PIPELINE_EXPLAIN, &body, NULL, 0));
    ck_assert_int_eq(f.err.code, ERR_BUSY);
    fixture_connect(&f); /* drops the connection */
    struct msg_pipeline_explain good = {.job = make_job("{}")};
    ck_assert_msg(test_wait(is_answered, &good, 20000), "%s", f.err.text);
}
END_TEST

/* And one that waits keeps it: the negative control. */
START_TEST(goes_on_with_its_client)
{
    const struct msg_pipeline_explain body = {.job = make_job("{\"check_hangs\": true}")};
    fixture_end(&f, SIGKILL);
    fixture_arg(&f, "--check-seconds=3600");
    fixture_arg(&f, "--max-previews=1");
    fixture_start(&f);
    (void)fixture_send(&f, MSG_PIPELINE_EXPLAIN, &body, NULL, 0);
    for (int i = 0; i < 3; i++) { /* of the daemon's ticks */
        (void)fixture_event(&f, NULL);
        ck_assert_msg(f.event != NULL && strcmp(f.event->kind, "working") == 0, "%s",
                      f.event != NULL ? f.event->kind : "none");
    }
    ck_assert_ptr_null(fixture_ask(&f, MSG_PIPELINE_EXPLAIN, &body, NULL, 0));
    ck_assert_int_eq(f.err.code, ERR_BUSY);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("pipeline_ask");
    TCase *tcase = tcase_create("pipeline_ask");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, believes_no_places, 0, sizeof(frames) / sizeof(frames[0]));
    tcase_add_loop_test(tcase, says_how_it_ended, 0, sizeof(ends) / sizeof(ends[0]));
    tcase_add_test(tcase, bounds_them);
    tcase_add_test(tcase, ends_with_its_client);
    tcase_add_test(tcase, goes_on_with_its_client);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
