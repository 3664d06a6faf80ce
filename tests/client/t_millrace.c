/* The connection, against a daemon that a thread plays: versions, silence, death, events, strange
 * answers. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/millrace.h"
#include "tests/client/live.h"

/* What the played daemon does with a request. */
enum play {
    PLAY_REPLY,
    PLAY_SILENT,
    PLAY_ERROR,
    PLAY_DIE,
    PLAY_EVENTS_FIRST,
    PLAY_OTHER_ID,
    PLAY_STRANGE,
    PLAY_DIE_ONCE
};

static struct live live;
static char address[TEST_PATH + 32];

struct player {
    pthread_t thread;
    atomic_bool stop, ready;
    enum play hello, other;
    int n_requests, n_hellos;
    struct sock_context *context;
    struct sock *sock;
};
static struct player player;

static void send_reply(const struct sock_peer *peer, int64_t id, const char *key)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_str(map, &arena, "text", key);
    const struct msg_reply body = {.result = map};
    sock_send(player.sock, peer, MSG_REPLY, id, &body, NULL, 0, NULL);
    arena_fini(&arena);
}

static void send_event(const struct sock_peer *peer, int64_t seq, const char *kind)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_int(map, &arena, "n", seq);
    const struct msg_event body = {.job = "j", .seq = seq, .kind = kind, .data = map};
    sock_send(player.sock, peer, MSG_EVENT, 0, &body, NULL, 0, NULL);
    arena_fini(&arena);
}

static void send_error(const struct sock_peer *peer, int64_t id, int64_t code, const char *path)
{
    const struct msg_error body = {.code = code, .line = 0, .path = path, .text = "told so"};
    sock_send(player.sock, peer, MSG_ERROR, id, &body, NULL, 0, NULL);
}

static void open_router(void)
{
    struct err err = {0};
    unlink(address + 6);
    player.context = sock_context_create();
    ck_assert_msg(sock_open_router(player.context, address, NULL, &player.sock, &err) == 0, "%s",
                  err.text);
}

static void close_router(void)
{
    sock_close(player.sock);
    sock_context_destroy(player.context);
}

static void answer(enum play play, const struct sock_peer *peer, const struct msg *msg)
{
    switch (play) {
    case PLAY_REPLY: send_reply(peer, msg->id, "good"); break;
    case PLAY_SILENT: break;
    case PLAY_ERROR:
        send_error(peer, msg->id, msg->type == MSG_HELLO ? ERR_VERSION : ERR_SHAPE, "model[1]");
        break;
    case PLAY_DIE_ONCE:
        player.other = PLAY_EVENTS_FIRST;
        close_router();
        open_router();
        break;
    case PLAY_DIE:
        close_router();
        open_router();
        break;
    case PLAY_EVENTS_FIRST:
        for (int64_t i = 1; i <= 3; i++) {
            send_event(peer, i, "progress");
        }
        send_reply(peer, msg->id, "good");
        send_event(peer, 4, "state");
        break;
    case PLAY_OTHER_ID:
        send_reply(peer, msg->id + 1000, "not yours");
        send_error(peer, msg->id + 1000, ERR_BUSY, "");
        send_reply(peer, msg->id, "good");
        break;
    case PLAY_STRANGE:
        sock_send(player.sock, peer, MSG_PING, msg->id, &(struct msg_none){0}, NULL, 0, NULL);
        break;
    }
}

static void *play(void *arg)
{
    struct arena arena;
    (void)arg;
    arena_init(&arena);
    open_router();
    atomic_store(&player.ready, true);
    while (!atomic_load(&player.stop)) {
        struct sock_peer peer;
        struct msg msg;
        sock_poll(player.sock, NULL, 0, 20);
        while (sock_recv(player.sock, &peer, &arena, &msg, NULL, NULL, NULL, NULL) == 0) {
            bool hello = msg.type == MSG_HELLO;
            player.n_hellos += hello;
            player.n_requests += !hello;
            answer(hello ? player.hello : player.other, &peer, &msg);
            arena_reset(&arena);
        }
    }
    close_router();
    arena_fini(&arena);
    return NULL;
}

static bool is_ready(void *arg)
{
    (void)arg;
    return atomic_load(&player.ready);
}

static void begin(enum play hello, enum play other)
{
    memset(&player, 0, sizeof(player));
    player.hello = hello;
    player.other = other;
    (void)snprintf(address, sizeof(address), "ipc://%s/control.sock", live.run_dir);
    ck_assert_int_eq(pthread_create(&player.thread, NULL, play, NULL), 0);
    ck_assert(test_wait(is_ready, NULL, 10000));
}

static void end(void)
{
    atomic_store(&player.stop, true);
    ck_assert_int_eq(pthread_join(player.thread, NULL), 0);
}

static void setup(void)
{
    live_start(&live);
}

static void teardown(void)
{
    live_stop(&live);
}

static int open_it(int timeout_ms, struct millrace **ret, struct err *err)
{
    const struct millrace_options options = {.socket = live.run_dir, .timeout_ms = timeout_ms};
    return millrace_open(&options, ret, err);
}

START_TEST(finds_nobody)
{
    struct millrace *m = NULL;
    struct err err = {0};
    ck_assert_int_eq(open_it(0, &m, &err), ERR_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "control.sock"));
    ck_assert_ptr_nonnull(strstr(err.text, "start millraced"));
    ck_assert_ptr_null(m);
    char path[TEST_PATH]; /* a socket that nobody listens to */
    live_text(&live, "run/control.sock", "", path);
    ck_assert_int_eq(open_it(0, &m, &err), ERR_UNREACHABLE);
}
END_TEST

static const struct {
    enum play hello, other;
    int opened, asked;
    const char *says;
} rows[] = {
    {PLAY_REPLY, PLAY_REPLY, 0, 0, ""},
    {PLAY_ERROR, PLAY_REPLY, ERR_VERSION, 0, "told so"},
    {PLAY_SILENT, PLAY_REPLY, ERR_TIMEOUT, 0, "'hello'"},
    {PLAY_REPLY, PLAY_SILENT, 0, ERR_TIMEOUT, "'job.list'"},
    {PLAY_REPLY, PLAY_ERROR, 0, ERR_SHAPE, "told so"},
    {PLAY_REPLY, PLAY_DIE, 0, ERR_GONE, "lost"},
    {PLAY_REPLY, PLAY_EVENTS_FIRST, 0, 0, ""},
    {PLAY_REPLY, PLAY_OTHER_ID, 0, 0, ""},
    {PLAY_REPLY, PLAY_STRANGE, 0, ERR_SYNTAX, "ping"},
};

START_TEST(asks)
{
    struct millrace *m = NULL;
    struct err err = {0};
    struct arena arena;
    const struct doc *result = NULL;
    arena_init(&arena);
    begin(rows[_i].hello, rows[_i].other);
    bool silent = rows[_i].hello == PLAY_SILENT || rows[_i].other == PLAY_SILENT;
    int rc = open_it(silent ? 3000 : 60000, &m, &err);
    ck_assert_msg(rc == rows[_i].opened, "%d: %s", rc, err.text);
    if (rc == 0) {
        ck_assert_str_eq(doc_str(millrace_daemon(m), "text", ""), "good");
        rc = millrace_request(m, MSG_JOB_LIST, &(struct msg_none){0}, NULL, 0, &arena, &result,
                              &err);
        ck_assert_msg(rc == rows[_i].asked, "%d: %s", rc, err.text);
        ck_assert(rc < 0 || strcmp(doc_str(result, "text", ""), "good") == 0);
        ck_assert(rc != ERR_SHAPE || strcmp(err.path, "model[1]") == 0);
    }
    ck_assert_msg(strstr(err.text, rows[_i].says) != NULL, "%s", err.text);
    millrace_close(m);
    end();
    arena_fini(&arena);
}
END_TEST

/* What a person sees when the daemon is of another day. */
START_TEST(tells_of_another_version)
{
    struct live_result r;
    begin(PLAY_ERROR, PLAY_REPLY);
    live_run(&live, &r, "list", NULL);
    ck_assert_int_eq(r.status, 1);
    ck_assert_msg(strstr(r.err.data, "told so") != NULL &&
                      strstr(r.err.data, "different versions") != NULL,
                  "%s", r.err.data);
    live_free(&r);
    end();
}
END_TEST

/* Events that came before the reply are not lost and keep their order. */
START_TEST(keeps_events)
{
    struct millrace *m = NULL;
    struct err err = {0};
    struct arena arena;
    arena_init(&arena);
    begin(PLAY_REPLY, PLAY_EVENTS_FIRST);
    ck_assert_int_eq(open_it(60000, &m, &err), 0);
    ck_assert_int_eq(
        millrace_request(m, MSG_PING, &(struct msg_none){0}, NULL, 0, &arena, NULL, &err), 0);
    for (int64_t i = 1; i <= 4; i++) {
        struct millrace_answer got;
        ck_assert_int_eq(millrace_receive(m, 60000, &arena, &got, &err), 0);
        ck_assert_ptr_nonnull(got.event);
        ck_assert_int_eq(got.event->seq, i);
        ck_assert_int_eq(doc_int(got.event->data, "n", 0), i);
    }
    struct millrace_answer none;
    ck_assert_int_eq(millrace_receive(m, 10, &arena, &none, &err), ERR_TIMEOUT);
    millrace_close(m);
    end();
    arena_fini(&arena);
}
END_TEST

struct seen {
    int n_events, n_lost, n_back;
};
static int see(void *context, const struct msg_event *event)
{
    struct seen *seen = context;
    seen->n_lost += strcmp(event->kind, "lost") == 0;
    seen->n_back += strcmp(event->kind, "back") == 0;
    seen->n_events += strcmp(event->kind, "progress") == 0;
    return strcmp(event->kind, "state") == 0 ? 7 : 0;
}

START_TEST(watches_to_the_end)
{
    struct millrace *m = NULL;
    struct err err = {0};
    struct seen seen = {0};
    begin(PLAY_REPLY, PLAY_EVENTS_FIRST);
    ck_assert_int_eq(open_it(60000, &m, &err), 0);
    ck_assert_int_eq(millrace_watch(m, "j", 0, see, &seen, &err), 7);
    ck_assert_int_eq(seen.n_events, 3);
    millrace_close(m);
    end();
}
END_TEST

START_TEST(opens_again)
{
    struct millrace *m = NULL;
    struct err err = {0};
    struct arena arena;
    arena_init(&arena);
    begin(PLAY_REPLY, PLAY_DIE_ONCE);
    ck_assert_int_eq(open_it(60000, &m, &err), 0);
    ck_assert_int_eq(
        millrace_request(m, MSG_PING, &(struct msg_none){0}, NULL, 0, &arena, NULL, &err),
        ERR_GONE);
    ck_assert_int_eq(
        millrace_request(m, MSG_PING, &(struct msg_none){0}, NULL, 0, &arena, NULL, &err),
        ERR_GONE);
    ck_assert_msg(millrace_reopen(m, 60000, &err) == 0, "%s", err.text);
    ck_assert_int_eq(
        millrace_request(m, MSG_PING, &(struct msg_none){0}, NULL, 0, &arena, NULL, &err), 0);
    millrace_close(m);
    end();
    arena_fini(&arena);
}
END_TEST

START_TEST(knows_where_to_look)
{
    char path[MILLRACE_PATH_MAX], want[TEST_PATH];
    test_path(want, "%s/control.sock", live.run_dir);
    millrace_socket_path(live.run_dir, path);
    ck_assert_str_eq(path, want);
    millrace_socket_path("ipc:///x/y.sock", path);
    ck_assert_str_eq(path, "/x/y.sock");
    setenv("MILLRACE_SOCKET", live.run_dir, 1);
    millrace_socket_path(NULL, path);
    ck_assert_str_eq(path, want);
    setenv("MILLRACE_SOCKET", "", 1);
    setenv("XDG_RUNTIME_DIR", live.folder, 1);
    live_text(&live, "millrace/control.sock", "", want);
    millrace_socket_path(NULL, path);
    ck_assert_str_eq(path, want);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("millrace");
    TCase *tcase = tcase_create("millrace");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, finds_nobody);
    tcase_add_loop_test(tcase, asks, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, tells_of_another_version);
    tcase_add_test(tcase, keeps_events);
    tcase_add_test(tcase, watches_to_the_end);
    tcase_add_test(tcase, opens_again);
    tcase_add_test(tcase, knows_where_to_look);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
