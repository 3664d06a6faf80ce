#include "daemon/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/dataset.h"
#include "daemon/jobs.h"
#include "daemon/status.h"
#include "daemon/web.h"

enum { PATH_BYTES = 256, TIMEOUT_S = 10 };

struct http {
    struct MHD_Daemon *server;
    uv_poll_t poll;
    uv_timer_t timer;
    int n_open;
};

struct answer {
    unsigned status;
    const char *type;
    struct buf text;
};

typedef void http_fn(const struct daemon *daemon, const char *rest, struct answer *answer);

/* ---- the answers
 * -------------------------------------------------------------------------------------------- */

static void put_doc(struct answer *answer, const struct doc *doc)
{
    answer->type = "application/json";
    doc_write_json(doc, 1, &answer->text);
    buf_puts(&answer->text, "\n");
}

/* {"error": {"code", "text"}}, as `millrace --json` has it. */
static void put_error(struct answer *answer, unsigned status, int code, const char *text)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    struct doc *error = doc_put(map, &arena, "error");
    doc_set_map(error);
    doc_put_str(error, &arena, "code", err_find(code)->name);
    doc_put_str(error, &arena, "text", text);
    buf_clear(&answer->text);
    put_doc(answer, map);
    answer->status = status;
    arena_fini(&arena);
}

static void put_state(struct answer *answer, unsigned status, const char *state)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_str(map, &arena, "state", state);
    put_doc(answer, map);
    answer->status = status;
    arena_fini(&arena);
}

static void answer_with(const struct daemon *daemon, struct answer *answer,
                        void (*write)(const struct daemon *daemon, struct doc *map,
                                      struct arena *arena))
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    write(daemon, map, &arena);
    put_doc(answer, map);
    arena_fini(&arena);
}

static void get_health(const struct daemon *daemon, const char *rest, struct answer *answer)
{
    (void)rest;
    const char *why = NULL;
    bool well = status_is_well(daemon, &why);
    put_state(answer, well ? 200 : 503, well ? "ready" : why);
}

static void get_ready(const struct daemon *daemon, const char *rest, struct answer *answer)
{
    if (daemon->stopping) {
        put_state(answer, 503, "stopping");
    } else {
        get_health(daemon, rest, answer);
    }
}

static void get_status(const struct daemon *daemon, const char *rest, struct answer *answer)
{
    (void)rest;
    answer_with(daemon, answer, status_write);
}

static void get_jobs(const struct daemon *daemon, const char *rest, struct answer *answer)
{
    (void)rest;
    answer_with(daemon, answer, jobs_write_all);
}

static void get_job(const struct daemon *daemon, const char *rest, struct answer *answer)
{
    const struct job *job = jobs_find(daemon, rest);
    if (job == NULL) {
        put_error(answer, 404, ERR_NOT_FOUND, "no such job; /api/v1/jobs lists them");
        return;
    }
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    jobs_write(job, true, map, &arena);
    put_doc(answer, map);
    arena_fini(&arena);
}

static void get_workers(const struct daemon *daemon, const char *rest, struct answer *answer)
{
    (void)rest;
    answer_with(daemon, answer, status_write_workers);
}

static void get_datasets(const struct daemon *daemon, const char *rest, struct answer *answer)
{
    (void)rest;
    answer_with(daemon, answer, dataset_write_all);
}

static void get_metrics(const struct daemon *daemon, const char *rest, struct answer *answer)
{
    (void)rest;
    answer->type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    counter_openmetrics(daemon_counters, COUNT_MAX_, daemon->counters, NULL, &answer->text);
    for (int state = 0; state < JOB_STATE_MAX_; state++) {
        buf_printf(&answer->text, "%smillrace_jobs{state=\"%s\"} %lld\n",
                   state == 0 ? "# TYPE millrace_jobs gauge\n# HELP millrace_jobs Jobs by state.\n"
                              : "",
                   jobs_fsm.states[state], (long long)jobs_count(daemon, state));
    }
    buf_puts(&answer->text, "# EOF\n");
}

static void get_page(const struct daemon *daemon, const char *rest, struct answer *answer)
{
    (void)daemon;
    const struct web_file *file = web_find(rest);
    if (file == NULL) {
        put_error(answer, 404, ERR_NOT_FOUND, "no such page");
        return;
    }
    answer->type = file->type;
    buf_put(&answer->text, file->data, file->size);
}

static http_fn get_routes;

struct route {
    const char *path;
    bool below; /* also what follows the path */
    http_fn *fn;
    const char *summary;
};
static const struct route routes[] = {
    {"/healthz", false, get_health, "200 while the daemon works, 503 and why when it does not."},
    {"/readyz", false, get_ready, "The same, and 503 while it stops."},
    {"/metrics", false, get_metrics, "Counters as OpenMetrics text."},
    {"/api/v1", false, get_routes, "This list."},
    {"/api/v1/status", false, get_status, "Version, counters, settings."},
    {"/api/v1/jobs", false, get_jobs, "All jobs with their progress."},
    {"/api/v1/jobs/", true, get_job, "One job by id or name: plan, history, checkpoints, workers."},
    {"/api/v1/workers", false, get_workers, "All processes of all jobs."},
    {"/api/v1/datasets", false, get_datasets, "All data sets."},
    {"/", true, get_page, "The page for people."},
};

static void get_routes(const struct daemon *daemon, const char *rest, struct answer *answer)
{
    (void)daemon;
    (void)rest;
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    struct doc *list = doc_put(map, &arena, "pages");
    doc_set_list(list);
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        struct doc *item = doc_push(list, &arena);
        doc_set_map(item);
        doc_put_str(item, &arena, "path", routes[i].path);
        doc_put_str(item, &arena, "summary", routes[i].summary);
    }
    put_doc(answer, map);
    arena_fini(&arena);
}

static void find_answer(const struct daemon *daemon, const char *url, struct answer *answer)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        size_t n = strlen(routes[i].path);
        if (routes[i].below ? !strncmp(url, routes[i].path, n) : !strcmp(url, routes[i].path)) {
            routes[i].fn(daemon, url + n, answer);
            return;
        }
    }
    put_error(answer, 404, ERR_NOT_FOUND, "no such page");
}

/* ---- who may ask
 * -------------------------------------------------------------------------------------------- */

/* "localhost:8080", "[::1]:80", "127.0.0.1": the name without the port. */
static bool split_host(const char *host, char name[PATH_BYTES])
{
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (n == 0 || n >= PATH_BYTES || n > strlen(host)) {
        return false;
    }
    memcpy(name, host, n);
    name[n] = '\0';
    return host[n] == '\0' ||
           (host[n] == ':' && strspn(host + n + 1, "0123456789") == strlen(host + n + 1));
}

/* A page of another site that points its own name at our address must not read us (DNS rebinding).
 */
static bool is_our_host(const struct daemon *daemon, const char *host)
{
    char name[PATH_BYTES];
    const struct settings *settings = daemon->settings;
    const char *const ours[] = {"localhost", "127.0.0.1", "[::1]", settings->http_address};
    if (host == NULL || !split_host(host, name)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (!strcasecmp(name, ours[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < settings->http_hosts.n; i++) {
        if (!strcasecmp(name, settings->http_hosts.v[i])) {
            return true;
        }
    }
    return false;
}

static enum MHD_Result count_hosts(void *context, enum MHD_ValueKind kind, const char *key,
                                   const char *value)
{
    (void)kind;
    (void)value;
    *(int *)context += key != NULL && !strcasecmp(key, "Host");
    return MHD_YES;
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding") != NULL ||
           (length != NULL && strcmp(length, "0") != 0);
}

/* Returns false and fills the answer when the request is refused. */
static bool may_ask(const struct daemon *daemon, struct MHD_Connection *connection, const char *url,
                    const char *method, const char *version, struct answer *answer)
{
    int n_hosts = 0;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_hosts, &n_hosts);
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0) {
        put_error(answer, 505, ERR_UNSUPPORTED, "HTTP/1.0 or HTTP/1.1");
    } else if (n_hosts > 1 || (n_hosts == 0 && !strcmp(version, "HTTP/1.1"))) {
        put_error(answer, 400, ERR_INVALID, "one Host, please");
    } else if (n_hosts == 1 && !is_our_host(daemon, host)) {
        put_error(answer, 421, ERR_DENIED, "this host name is not served here (http_hosts)");
    } else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        put_error(answer, 405, ERR_DENIED, "only GET and HEAD: nothing is changed over HTTP");
    } else if (has_body(connection)) {
        put_error(answer, 400, ERR_INVALID, "a GET has no body");
    } else if (url[0] != '/' || strlen(url) >= PATH_BYTES) {
        put_error(answer, url[0] == '/' ? 414 : 400, ERR_INVALID, "the path is wrong");
    } else {
        return true;
    }
    return false;
}

/* ---- the server
 * --------------------------------------------------------------------------------------------- */

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer *answer)
{
    static const char *const headers[][2] = {
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "
                                    "connect-src 'self'; img-src 'self'; "
                                    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    };
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->text.size, answer->text.data, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", answer->type);
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    }
    if (answer->status == 405) {
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    }
    if (answer->status >= 400) {
        MHD_add_response_header(response, "Connection", "close");
    }
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **state)
{
    (void)data;
    (void)data_size;
    (void)state; /* answered at the headers, so that no body is ever read */
    struct daemon *daemon = context;
    struct answer answer = {.status = 200, .type = "text/plain"};
    buf_init(&answer.text);
    buf_puts(&answer.text, "");
    daemon->counters[COUNT_HTTP_REQUESTS]++;
    if (may_ask(daemon, connection, url, method, version, &answer)) {
        find_answer(daemon, url, &answer);
    }
    daemon->counters[COUNT_HTTP_REFUSALS] += answer.status >= 400;
    enum MHD_Result result = send_answer(connection, &answer);
    buf_fini(&answer.text);
    return result;
}

/* "%" stays as it is: no name of ours needs an escape, so that nothing can be written in two ways.
 */
static size_t on_unescape(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static void arm_timer(struct http *http);

static void run_server(struct http *http)
{
    MHD_run(http->server);
    arm_timer(http);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run_server(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
    run_server(timer->data);
}

static void arm_timer(struct http *http)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    if (MHD_get_timeout(http->server, &wait_ms) == MHD_YES) {
        uv_timer_start(&http->timer, on_timer, wait_ms, 0);
    } else {
        uv_timer_stop(&http->timer);
    }
}

static int bind_address(const struct settings *settings, struct sockaddr_storage *ret,
                        socklen_t *ret_size, struct err *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, settings->http_address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)settings->http_port);
        *ret_size = sizeof(*v4);
        return 0;
    }
    if (inet_pton(AF_INET6, settings->http_address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)settings->http_port);
        *ret_size = sizeof(*v6);
        return 0;
    }
    return err_set_at(err, ERR_INVALID, "http_address", "'%s' is no address",
                      settings->http_address);
}

static int start_server(struct daemon *daemon, struct http *http, struct err *err)
{
    const struct settings *settings = daemon->settings;
    struct sockaddr_storage address;
    socklen_t size = 0;
    int rc = bind_address(settings, &address, &size, err);
    if (rc < 0) {
        return rc;
    }
    unsigned flags = MHD_USE_EPOLL | (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    http->server =
        MHD_start_daemon(flags, 0, NULL, NULL, on_request, daemon,                          /* */
                         MHD_OPTION_SOCK_ADDR, &address,                                    /* */
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)settings->http_connections, /* */
                         MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)settings->http_connections,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, /* */
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384,  /* */
                         MHD_OPTION_STRICT_FOR_CLIENT, 1,                    /* */
                         MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,             /* */
                         MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_END);
    if (http->server == NULL) {
        return err_set_at(err, ERR_IO, "http_address",
                          "the status endpoint cannot listen at %s port %lld",
                          settings->http_address, (long long)settings->http_port);
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->server, MHD_DAEMON_INFO_BIND_PORT);
    bool v6 = address.ss_family == AF_INET6;
    snprintf(daemon->status_url, sizeof(daemon->status_url), "http://%s%s%s:%u/", v6 ? "[" : "",
             settings->http_address, v6 ? "]" : "", info != NULL ? info->port : 0u);
    return 0;
}

int http_open(struct daemon *daemon, struct err *err)
{
    if (!daemon->settings->http) {
        return 0;
    }
    struct http *http = calloc(1, sizeof(*http));
    BUG_ON(http == NULL);
    int rc = start_server(daemon, http, err);
    const union MHD_DaemonInfo *info =
        rc >= 0 ? MHD_get_daemon_info(http->server, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (rc < 0 || info == NULL) {
        free(http);
        return rc < 0 ? rc : err_set(err, ERR_IO, "the status endpoint has no epoll descriptor");
    }
    uv_poll_init(daemon->loop, &http->poll, info->epoll_fd);
    uv_timer_init(daemon->loop, &http->timer);
    http->poll.data = http;
    http->timer.data = http;
    http->n_open = 2;
    uv_poll_start(&http->poll, UV_READABLE, on_poll);
    arm_timer(http);
    daemon->http = http;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct http *http = handle->data;
    if (--http->n_open == 0) {
        MHD_stop_daemon(http->server);
        free(http);
    }
}

void http_close(struct daemon *daemon)
{
    struct http *http = daemon->http;
    daemon->http = NULL;
    if (http != NULL) {
        uv_close((uv_handle_t *)&http->poll, on_closed);
        uv_close((uv_handle_t *)&http->timer, on_closed);
    }
}
