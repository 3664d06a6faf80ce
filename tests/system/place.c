#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/sock.h"
#include "tests/system/actions.h"

static void write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "bytes", 5), 5);
    close(fd);
}

static void make_folders(struct place *p)
{
    char path[TEST_PATH];
    test_dir_make(p->dir);
    test_path(path, "%s/blobs", p->dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    test_path(p->blobs, "%s", path);
    p->blobs_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    test_path(p->blob, "%s/blob", path);
    write_file(p->blob);
    test_path(p->kept, "%s/kept", p->dir);
    ck_assert_int_eq(mkdir(p->kept, 0700), 0);
    p->kept_fd = open(p->kept, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    test_path(p->outside, "%s/outside", p->dir);
    ck_assert_int_eq(mkdir(p->outside, 0700), 0);
    test_path(p->secret, "%s/secret", p->outside);
    write_file(p->secret);
    test_path(path, "%s/mount", p->outside);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    test_path(path, "%s/log", p->outside);
    p->log_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    p->namespace_fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
}

static void make_sockets(struct place *p)
{
    p->unix_address.sun_family = AF_UNIX;
    char path[TEST_PATH];
    test_path(path, "%s/control", p->dir);
    ck_assert_uint_lt(strlen(path), sizeof p->unix_address.sun_path);
    memcpy(p->unix_address.sun_path, path, strlen(path) + 1);
    p->unix_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(
        bind(p->unix_listener, (const struct sockaddr *)&p->unix_address, sizeof p->unix_address),
        0);
    ck_assert_int_eq(listen(p->unix_listener, 4), 0);
    socklen_t size = sizeof p->tcp_address;
    p->tcp_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    p->tcp_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(p->tcp_listener, (const struct sockaddr *)&p->tcp_address, size), 0);
    ck_assert_int_eq(listen(p->tcp_listener, 4), 0);
    ck_assert_int_eq(getsockname(p->tcp_listener, (struct sockaddr *)&p->tcp_address, &size), 0);
    p->unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_path(p->address, "ipc://%s/work", p->dir);
}

/* The trainer's end of the data socket and the victim. A process of its own: the sandboxed ones are
 * forked from a process without threads. */
static void serve(const struct place *p, int ready_fd)
{
    struct sock *router = NULL;
    struct sock_peer peer;
    struct arena arena;
    struct msg msg;
    struct err err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    arena_init(&arena);
    if (sock_open_router(sock_context_create(), p->address, NULL, &router, &err) < 0 ||
        write(ready_fd, "", 1) != 1) {
        _exit(2);
    }
    for (;;) {
        sock_poll(router, NULL, 0, 1000);
        arena_reset(&arena);
        if (sock_recv(router, &peer, &arena, &msg, NULL, NULL, NULL, &err) == 0) {
            (void)sock_send(router, &peer, MSG_PING, msg.id, NULL, NULL, 0, &err);
        }
    }
}

void place_make(struct place *p)
{
    int pipe_fds[2];
    char byte;
    *p = (struct place){.parent = getpid(), .memory = p};
    make_folders(p);
    make_sockets(p);
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    p->victim = fork();
    ck_assert_int_ge(p->victim, 0);
    if (p->victim == 0) {
        serve(p, pipe_fds[1]);
    }
    close(pipe_fds[1]);
    ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
    close(pipe_fds[0]);
}

void place_remove(struct place *p)
{
    kill(p->victim, SIGKILL);
    waitpid(p->victim, NULL, 0);
    const int fds[] = {p->blobs_fd,     p->kept_fd,      p->namespace_fd, p->log_fd, p->unix_listener,
                       p->tcp_listener, p->unix_fd,      p->tcp_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        close(fds[i]);
    }
    test_dir_remove(p->dir);
}
