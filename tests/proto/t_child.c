/* child: the socket pair between the daemon and a child that may be hostile. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/child.h"
#include "tests/test.h"

static struct arena arena;
static struct err err;
static int pair[2]; /* the daemon's end, the child's */

static void setup(void)
{
    arena_init(&arena);
    ck_assert_int_eq(child_pair(pair, &err), 0);
}

static void teardown(void)
{
    close(pair[0]);
    close(pair[1]);
    arena_fini(&arena);
}

static int count_fds(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n;
}

/* What a hostile child can do: any bytes, any descriptors. */
static void send_raw(const void *data, size_t size, int n_fds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 128)];
    } control;
    char bytes[1] = "";
    struct iovec iov = {.iov_len = size};
    memcpy(&iov.iov_base, &data, sizeof(data));
    iov.iov_base = size > 0 ? iov.iov_base : bytes;
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    memset(&control, 0, sizeof(control));
    if (n_fds > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
        for (int i = 0; i < n_fds; i++) {
            memcpy(CMSG_DATA(c) + sizeof(int) * (size_t)i, &pair[1], sizeof(int));
        }
    }
    ck_assert_int_eq(sendmsg(pair[1], &message, 0), (ssize_t)size);
}

static const char ping[] = "\x83\xa1v\x01\xa1m\xa4ping\xa2id\x05";
static const struct {
    const char *name;
    const char *data;
    size_t size;
    int n_fds;
    int code;
} hostile[] = {
    {"an empty datagram with descriptors", "", 0, 3, ERR_GONE},
    {"rubbish with descriptors", "\xc1\xc1", 2, 3, ERR_SYNTAX},
    {"more descriptors than are taken", ping, sizeof(ping) - 1, CHILD_FDS_MAX + 20, ERR_LIMIT},
    {"a message with descriptors nobody wants", ping, sizeof(ping) - 1, CHILD_FDS_MAX, 0},
};

START_TEST(no_descriptor_stays)
{
    struct child_fds fds;
    struct msg msg;
    int before = count_fds();
    for (int with = 0; with < 2; with++) {
        send_raw(hostile[_i].data, hostile[_i].size, hostile[_i].n_fds);
        int rc = child_recv(pair[0], 1000, &arena, &msg, with ? &fds : NULL, &err);
        ck_assert_msg(rc == hostile[_i].code, "%s: %d %s", hostile[_i].name, rc, err.text);
        for (int i = 0; with && rc == 0 && i < fds.n; i++) {
            close(fds.fd[i]);
        }
        ck_assert_msg(count_fds() == before, "%s: descriptors stay open", hostile[_i].name);
    }
}
END_TEST

START_TEST(a_large_plan_passes)
{
    struct msg msg;
    struct doc *plan = doc_new(&arena);
    char *text = arena_alloc(&arena, 130000);
    memset(text, 'x', 129000);
    doc_set_map(plan);
    doc_put_str(plan, &arena, "text", text);
    struct msg_child_result result = {.result = plan};
    ck_assert_msg(child_send(pair[1], MSG_CHILD_RESULT, &result, NULL, &err) == 0, "%s", err.text);
    ck_assert_msg(child_recv(pair[0], 1000, &arena, &msg, NULL, &err) == 0, "%s", err.text);
    const struct msg_child_result *got = msg.body;
    ck_assert_str_eq(doc_str(got->result, "text", ""), text);
}
END_TEST

START_TEST(too_large_is_refused)
{
    struct msg msg;
    struct doc *plan = doc_new(&arena);
    char *text = arena_alloc(&arena, 300001);
    memset(text, 'x', 300000);
    doc_set_map(plan);
    doc_put_str(plan, &arena, "text", text);
    struct msg_child_result result = {.result = plan};
    ck_assert_int_eq(child_send(pair[1], MSG_CHILD_RESULT, &result, NULL, &err), ERR_LIMIT);
    text[200000] = '\0'; /* one datagram, but over what the row of the table allows */
    doc_put_str(plan, &arena, "text", text);
    ck_assert_int_eq(child_send(pair[1], MSG_CHILD_RESULT, &result, NULL, &err), 0);
    ck_assert_int_eq(child_recv(pair[0], 1000, &arena, &msg, NULL, &err), ERR_LIMIT);
}
END_TEST

/* A child that reads nothing does not stop the daemon. */
START_TEST(a_full_socket_is_busy)
{
    struct msg_child_stop stop = {.reason = "cancel"};
    int rc = 0;
    for (int i = 0; i < 100000 && rc == 0; i++) {
        rc = child_send(pair[0], MSG_CHILD_STOP, &stop, NULL, &err);
    }
    ck_assert_int_eq(rc, ERR_BUSY);
}
END_TEST

/* child_begin looks at descriptor 3. */
static void begin_with(void *arg)
{
    const int *fd = arg;
    *fd < 0 ? close(CHILD_FD) : dup2(*fd, CHILD_FD);
    struct err at = {0};
    _exit(-child_begin(&at));
}

START_TEST(begin)
{
    int none = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int alive = pair[1];
    ck_assert_int_eq(test_in_child(begin_with, &alive), 0);
    ck_assert_int_eq(test_in_child(begin_with, &none), -ERR_USAGE);
    ck_assert_int_eq(test_in_child(begin_with, &null), -ERR_USAGE);
    int other[2];
    ck_assert_int_eq(child_pair(other, &err), 0);
    close(other[0]);
    ck_assert_int_eq(test_in_child(begin_with, &other[1]), -ERR_GONE);
    close(other[1]);
    close(null);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("child");
    TCase *tcase = tcase_create("child");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, no_descriptor_stays, 0, (int)(sizeof(hostile) / sizeof(hostile[0])));
    tcase_add_test(tcase, a_large_plan_passes);
    tcase_add_test(tcase, too_large_is_refused);
    tcase_add_test(tcase, a_full_socket_is_busy);
    tcase_add_test(tcase, begin);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
