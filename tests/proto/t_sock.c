/* sock: what a peer may do to a ROUTER without harm to the others. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/sock.h"
#include "tests/test.h"

enum { MAX_BYTES = 4096, HIGH_WATER = 20, WAIT_MS = 10000 };

static struct arena arena;
static struct err err;
static char dir[TEST_PATH], address[TEST_PATH];
static struct sock_context *context;
static struct sock *router;

static void setup(void)
{
    struct sock_options options = {.max_bytes = MAX_BYTES, .high_water = HIGH_WATER};
    arena_init(&arena);
    test_dir_make(dir);
    test_path(address, "ipc://%s/s", dir);
    context = sock_context_create();
    ck_assert_int_eq(sock_open_router(context, address, &options, &router, &err), 0);
}

static void teardown(void)
{
    sock_close(router);
    sock_context_destroy(context);
    test_dir_remove(dir);
    arena_fini(&arena);
}

static struct sock *open_dealer(void)
{
    struct sock_options options = {.high_water = HIGH_WATER, .no_reconnect = true};
    struct sock *dealer = NULL;
    ck_assert_msg(sock_open_dealer(context, address, &options, &dealer, &err) == 0, "%s", err.text);
    return dealer;
}

/* The next message that can be read: libzmq takes some rubbish for a peer of its oldest protocol
 * and hands it on. */
static bool receive(struct sock *sock, struct sock_peer *peer, struct msg *msg, int timeout_ms)
{
    int64_t deadline = clock_us() + (int64_t)timeout_ms * 1000;
    int rc;
    do {
        sock_poll(sock, NULL, 0, timeout_ms);
        rc = sock_recv(sock, peer, &arena, msg, NULL, NULL, NULL, &err);
    } while (rc != 0 && clock_us() < deadline);
    return rc == 0;
}

/* The router still answers somebody else. */
static void check_others_are_served(void)
{
    struct sock *dealer = open_dealer();
    struct sock_peer peer;
    struct msg msg;
    ck_assert_int_eq(sock_send(dealer, NULL, MSG_PING, 4, NULL, NULL, 0, &err), 0);
    ck_assert(receive(router, &peer, &msg, WAIT_MS));
    ck_assert_int_eq(sock_send(router, &peer, MSG_PING, msg.id, NULL, NULL, 0, &err), 0);
    ck_assert(receive(dealer, NULL, &msg, WAIT_MS));
    ck_assert_int_eq(msg.id, 4);
    sock_close(dealer);
}

static bool is_lost(void *arg)
{
    return sock_lost(arg);
}

START_TEST(a_frame_over_the_limit_ends_its_connection)
{
    static const char bytes[MAX_BYTES + 1];
    const struct sock_frame frame = {bytes, sizeof(bytes)};
    struct sock *dealer = open_dealer();
    struct msg msg;
    struct sock_peer peer;
    ck_assert_int_eq(sock_send(dealer, NULL, MSG_PING, 1, NULL, &frame, 1, &err), 0);
    ck_assert(test_wait(is_lost, dealer, WAIT_MS));
    ck_assert_int_eq(sock_recv(dealer, NULL, &arena, &msg, NULL, NULL, NULL, &err), ERR_GONE);
    ck_assert_int_eq(sock_recv(router, &peer, &arena, &msg, NULL, NULL, NULL, &err), ERR_TIMEOUT);
    sock_close(dealer);
    check_others_are_served();
}
END_TEST

/* Not even ZeroMQ's greeting. */
START_TEST(rubbish_on_the_wire)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char path[TEST_PATH], bytes[1000];
    test_path(path, "%s/s", dir);
    memcpy(to.sun_path, path, strlen(path) + 1);
    for (int i = 0; i < 30; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
        for (size_t k = 0; k < sizeof(bytes); k++) {
            bytes[k] = (char)(i * 37 + (int)(k * k));
        }
        (void)send(fd, bytes, (size_t)(i * 33), MSG_NOSIGNAL);
        close(fd);
    }
    check_others_are_served();
}
END_TEST

/* Nothing is dropped in silence: a full queue is an error to the one who sends. */
START_TEST(a_full_queue_is_busy)
{
    struct sock *dealer = open_dealer();
    int rc = 0, n = 0;
    for (; n < 100000 && rc == 0; n++) {
        rc = sock_send(dealer, NULL, MSG_PING, n, NULL, NULL, 0, &err);
    }
    ck_assert_int_eq(rc, ERR_BUSY);
    struct msg msg;
    struct sock_peer peer;
    for (int64_t i = 0; i < n - 1; i++) { /* all that was taken arrives, in order */
        ck_assert(receive(router, &peer, &msg, WAIT_MS));
        ck_assert_int_eq(msg.id, i);
        arena_reset(&arena);
    }
    sock_close(dealer);
}
END_TEST

/* A peer that does not read costs the router an error, not time. */
START_TEST(a_slow_peer_is_busy)
{
    struct sock *dealer = open_dealer();
    struct sock_peer peer;
    struct msg msg;
    ck_assert_int_eq(sock_send(dealer, NULL, MSG_PING, 1, NULL, NULL, 0, &err), 0);
    ck_assert(receive(router, &peer, &msg, WAIT_MS));
    int rc = 0;
    for (int i = 0; i < 100000 && rc == 0; i++) {
        rc = sock_send(router, &peer, MSG_PING, i, NULL, NULL, 0, &err);
    }
    ck_assert_int_eq(rc, ERR_BUSY);
    check_others_are_served();
    sock_close(dealer);
    struct sock *other = open_dealer();
    ck_assert_int_eq(sock_send(other, NULL, MSG_PING, 1, NULL, NULL, 0, &err), 0);
    struct sock_peer gone = peer;
    ck_assert(receive(router, &peer, &msg, WAIT_MS));
    for (int i = 0; i < 1000 && rc != ERR_GONE; i++) { /* it takes a moment to be noticed */
        rc = sock_send(router, &gone, MSG_PING, 1, NULL, NULL, 0, &err);
        sock_poll(router, NULL, 0, 10);
    }
    ck_assert_int_eq(rc, ERR_GONE);
    sock_close(other);
}
END_TEST

/* An undecodable message names its peer, so that it can be answered, and is consumed. */
START_TEST(a_bad_message_can_be_answered)
{
    struct sock *dealer = open_dealer();
    struct sock_peer peer;
    struct msg msg;
    struct msg_named nobody = {.name = NULL}; /* required by the table */
    ck_assert_int_eq(sock_send(dealer, NULL, MSG_JOB_SHOW, 8, &nobody, NULL, 0, &err), 0);
    sock_poll(router, NULL, 0, WAIT_MS);
    int rc = sock_recv(router, &peer, &arena, &msg, NULL, NULL, NULL, &err);
    ck_assert_int_eq(rc, ERR_MISSING);
    ck_assert_str_eq(err.path, "body.name");
    ck_assert_int_eq(msg.id, 8);
    struct msg_error refusal = {.code = rc, .path = err.path, .text = err.text};
    ck_assert_int_eq(sock_send(router, &peer, MSG_ERROR, msg.id, &refusal, NULL, 0, &err), 0);
    ck_assert(receive(dealer, NULL, &msg, WAIT_MS));
    ck_assert_int_eq(((const struct msg_error *)msg.body)->code, ERR_MISSING);
    ck_assert_int_eq(sock_recv(router, &peer, &arena, &msg, NULL, NULL, NULL, &err), ERR_TIMEOUT);
    sock_close(dealer);
}
END_TEST

START_TEST(frames_travel)
{
    struct sock *dealer = open_dealer();
    struct sock_frame out[SOCK_FRAMES_MAX], in[SOCK_FRAMES_MAX];
    struct msg msg;
    struct sock_peer peer;
    int n = SOCK_FRAMES_MAX - 2, n_in = 0;
    char bytes[SOCK_FRAMES_MAX];
    for (int i = 0; i < n; i++) {
        bytes[i] = (char)i;
        out[i] = (struct sock_frame){&bytes[i], i % 2 == 0};
    }
    ck_assert_int_eq(sock_send(dealer, NULL, MSG_PING, 1, NULL, out, n, &err), 0);
    sock_poll(router, NULL, 0, WAIT_MS);
    ck_assert_int_eq(sock_recv(router, &peer, &arena, &msg, in, &n_in, NULL, &err), 0);
    ck_assert_int_eq(n_in, n);
    for (int i = 0; i < n; i++) {
        ck_assert_uint_eq(in[i].size, i % 2 == 0);
        ck_assert(i % 2 != 0 || *(const char *)in[i].data == (char)i);
    }
    ck_assert_uint_gt(sock_bytes_sent(dealer), 0);
    ck_assert_uint_ge(sock_bytes_received(router), sock_bytes_sent(dealer));
    sock_close(dealer);
}
END_TEST

static bool is_signalled(struct sock *sock, int timeout_ms)
{
    struct pollfd fd = {.fd = sock_fd(sock), .events = POLLIN};
    return poll(&fd, 1, timeout_ms) > 0;
}

static bool is_past(void *arg)
{
    return clock_us() > *(const int64_t *)arg;
}

/* Waiting looks at a descriptor that tells of changes alone: what came before has to be seen too.
 */
START_TEST(a_wait_sees_what_came_before)
{
    enum { MESSAGES = 3 };
    struct sock *dealer = open_dealer();
    struct sock_peer peer;
    struct msg msg;
    ck_assert_int_eq(sock_poll(dealer, NULL, 0, 0), 0);
    ck_assert_int_eq(sock_recv(router, &peer, &arena, &msg, NULL, NULL, NULL, &err), ERR_TIMEOUT);
    ck_assert_int_eq(sock_send(dealer, NULL, MSG_PING, 1, NULL, NULL, 0, &err), 0);
    ck_assert_int_eq(sock_poll(router, NULL, 0, WAIT_MS), 1); /* comes after nothing was there */
    ck_assert_int_eq(sock_poll(router, NULL, 0, WAIT_MS), 1); /* is not taken yet */
    ck_assert_int_eq(sock_recv(router, &peer, &arena, &msg, NULL, NULL, NULL, &err), 0);
    ck_assert_int_eq(sock_poll(router, NULL, 0, 0), 0);
    for (int i = 0; i < MESSAGES; i++) {
        ck_assert_int_eq(sock_send(router, &peer, MSG_PING, i, NULL, NULL, 0, &err), 0);
    }
    for (int i = 0; i < MESSAGES; i++) { /* several behind one signal */
        ck_assert_int_eq(sock_poll(dealer, NULL, 0, WAIT_MS), 1);
        ck_assert_int_eq(sock_recv(dealer, NULL, &arena, &msg, NULL, NULL, NULL, &err), 0);
        ck_assert_int_eq(msg.id, i);
    }
    sock_close(dealer);
}
END_TEST

START_TEST(a_wait_sees_what_a_send_took_in)
{
    struct sock *dealer = open_dealer();
    struct sock_peer peer;
    struct msg msg;
    ck_assert_int_eq(sock_send(dealer, NULL, MSG_PING, 1, NULL, NULL, 0, &err), 0);
    ck_assert(receive(router, &peer, &msg, WAIT_MS));
    ck_assert_int_eq(sock_recv(dealer, NULL, &arena, &msg, NULL, NULL, NULL, &err), ERR_TIMEOUT);
    ck_assert_int_eq(sock_send(router, &peer, MSG_PING, 2, NULL, NULL, 0, &err), 0);
    ck_assert(is_signalled(dealer, WAIT_MS));
    /* A send looks for signals at most once a millisecond or so. */
    int64_t later = clock_us() + 20000;
    ck_assert(test_wait(is_past, &later, WAIT_MS));
    ck_assert_int_eq(sock_send(dealer, NULL, MSG_PING, 3, NULL, NULL, 0, &err), 0);
    ck_assert(!is_signalled(dealer, 0));
    ck_assert_int_eq(sock_poll(dealer, NULL, 0, WAIT_MS), 1);
    ck_assert_int_eq(sock_recv(dealer, NULL, &arena, &msg, NULL, NULL, NULL, &err), 0);
    ck_assert_int_eq(msg.id, 2);
    sock_close(dealer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sock");
    TCase *tcase = tcase_create("sock");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_frame_over_the_limit_ends_its_connection);
    tcase_add_test(tcase, rubbish_on_the_wire);
    tcase_add_test(tcase, a_full_queue_is_busy);
    tcase_add_test(tcase, a_slow_peer_is_busy);
    tcase_add_test(tcase, a_bad_message_can_be_answered);
    tcase_add_test(tcase, frames_travel);
    tcase_add_test(tcase, a_wait_sees_what_came_before);
    tcase_add_test(tcase, a_wait_sees_what_a_send_took_in);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
