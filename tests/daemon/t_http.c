/* The status endpoint: what it answers, whom it refuses, and that garbage does not end it. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/daemon/fixture.h"

struct http_case {
    const char *request;
    int status;
    const char *holds; /* part of the answer, or NULL */
};
#define END  "\r\nConnection: close\r\n\r\n"
#define HOST " HTTP/1.1\r\nHost: localhost" END
static const struct http_case http_cases[] = {
    {"GET /healthz" HOST, 200, "\"state\": \"ready\""},
    {"GET /healthz" HOST, 200, "Content-Type: application/json"},
    {"HEAD /healthz" HOST, 200, NULL},
    {"GET /readyz" HOST, 200, "\"state\": \"ready\""},
    {"GET /api/v1" HOST, 200, "\"/api/v1/workers\""},
    {"GET /api/v1/status" HOST, 200, "\"version\""},
    {"GET /api/v1/jobs" HOST, 200, "\"fake-job-1\""},
    {"GET /api/v1/jobs/fake-job-1" HOST, 200, "\"finished\""},
    {"GET /api/v1/jobs/none" HOST, 404, "\"code\": \"not_found\""},
    {"GET /api/v1/jobs/none" HOST, 404, "Content-Type: application/json"},
    {"GET /api/v1/nothing" HOST, 404, "\"no such page\""},
    {"GET /api/v1/workers" HOST, 200, "\"workers\""},
    {"GET /api/v1/datasets" HOST, 200, "\"idx\""},
    {"GET /metrics" HOST, 200, "# EOF"},
    {"GET /" HOST, 200, "<title>millrace</title>"},
    {"GET / HTTP/1.1\r\nHost: [::1]:80" END, 200, "default-src 'none'"},
    {"GET /page.js" HOST, 200, "text/javascript"},
    {"GET /../../etc/passwd" HOST, 404, NULL},
    {"GET /%2e%2e/etc/passwd" HOST, 404, NULL},
    {"GET /healthz HTTP/1.1\r\nHost: evil.example" END, 421, NULL},
    {"GET /healthz HTTP/1.1\r\nHost: localhost@evil.example" END, 421, NULL},
    {"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1.evil.example" END, 421, NULL},
    {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example" END, 400, NULL},
    {"GET /healthz HTTP/1.1" END, 400, NULL},
    {"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0" END, 405,
     "Allow: GET, HEAD"},
    {"DELETE /api/v1/jobs/fake-job-1" HOST, 405, NULL},
    {"OPTIONS /" HOST, 405, NULL},
    {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3" END "abc", 400, NULL},
};

START_TEST(answers)
{
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "d", 2, 100, 1), 2);
    ck_assert_ptr_nonnull(fixture_submit(&f, NULL, "{}"));
    fixture_wait_state(&f, "fake-job-1", "finished");
    for (size_t i = 0; i < sizeof(http_cases) / sizeof(http_cases[0]); i++) {
        struct buf text;
        buf_init(&text);
        int status = fixture_get(&f, http_cases[i].request, &text);
        ck_assert_msg(status == http_cases[i].status, "%s -> %d", http_cases[i].request, status);
        ck_assert_msg(http_cases[i].holds == NULL || strstr(text.data, http_cases[i].holds) != NULL,
                      "%s -> %s", http_cases[i].request, text.data);
        if (status != 400) { /* some of those are the library's own answers */
            ck_assert_ptr_nonnull(strstr(text.data, "Content-Security-Policy: "));
            ck_assert_ptr_nonnull(strstr(text.data, "X-Content-Type-Options: nosniff"));
        }
        ck_assert_ptr_null(strstr(text.data, "Access-Control-Allow"));
        buf_fini(&text);
    }
    fixture_fini(&f);
}
END_TEST

/* Requests of the collection of hostile ones: none may end the daemon or be answered with 200 to a
 * stranger's host. */
START_TEST(hostile)
{
    TEST_NEED_SHARED(shared);
    struct fixture f;
    char folder[TEST_PATH];
    int n = 0;
    fixture_init(&f);
    fixture_start(&f);
    f.http_ms = 200; /* the server waits longer for the rest of a request, which is not what is
                        tried here */
    test_path(folder, "%s/hostile/http", shared);
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct buf request;
        struct buf text;
        buf_init(&request);
        buf_init(&text);
        bool whole = strstr(entry->d_name, ".http") != NULL &&
                     strcmp(entry->d_name, "slow_partial.http") != 0;
        if (whole && file_read(dirfd(dir), entry->d_name, 1 << 20, &request, NULL) >= 0) {
            int status = fixture_send_bytes(&f, request.data, request.size, &text);
            bool stranger = strstr(entry->d_name, "rebind") != NULL ||
                            strstr(entry->d_name, "verb_") != NULL ||
                            strstr(entry->d_name, "evil") != NULL;
            ck_assert_msg(!stranger || status != 200, "%s -> 200", entry->d_name);
            n++;
        }
        buf_fini(&request);
        buf_fini(&text);
    }
    closedir(dir);
    ck_assert_int_gt(n, 50);
    f.http_ms = 0;
    ck_assert_int_eq(fixture_get(&f, "GET /healthz" HOST, NULL), 200);
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_fini(&f);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("http");
    TCase *tcase = tcase_create("http");
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, answers);
    tcase_add_test(tcase, hostile);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
