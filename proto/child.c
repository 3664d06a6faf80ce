#include "proto/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATAGRAM_MAX = 1 << 18 };

int child_pair(int ret_fd[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fd) < 0) {
        return err_errno(err, errno, "socketpair");
    }
    /* The default of about 200 KiB a socket would refuse the largest plan. */
    int bytes = 4 * DATAGRAM_MAX;
    for (int i = 0; i < 2; i++) {
        setsockopt(ret_fd[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    if (fcntl(ret_fd[0], F_SETFL, O_NONBLOCK) < 0) {
        int r = err_errno(err, errno, "F_SETFL");
        close(ret_fd[0]);
        close(ret_fd[1]);
        return r;
    }
    return 0;
}

static int send_datagram(int fd, const struct buf *data, const struct child_fds *fds, struct err *err)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * CHILD_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = data->data, .iov_len = data->size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fds != NULL && fds->n > 0) {
        size_t bytes = sizeof(int) * (size_t)fds->n;
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(c), fds->fd, bytes);
    }
    ssize_t n;
    do {
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return 0;
    }
    if (errno == EAGAIN) {
        return err_set(err, ERR_BUSY, "the child does not read its messages");
    }
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) {
        return err_set(err, ERR_GONE, "the other process is gone");
    }
    return err_errno(err, errno, "send to the other process");
}

int child_send(int fd, enum msg_id type, const void *body, const struct child_fds *fds, struct err *err)
{
    struct buf data = {0};
    BUG_ON(fds != NULL && (fds->n < 0 || fds->n > CHILD_FDS_MAX));
    msg_encode(type, 0, body, &data);
    int r = data.size > DATAGRAM_MAX
                ? err_set(err, ERR_LIMIT, "message '%s' of %zu bytes, over %d", msg_table[type].name, data.size,
                          DATAGRAM_MAX)
                : send_datagram(fd, &data, fds, err);
    buf_fini(&data);
    return r;
}

static void take_fds(struct msghdr *message, struct child_fds *fds)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (fds != NULL && fds->n < CHILD_FDS_MAX) {
                fds->fd[fds->n++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

static void close_fds(struct child_fds *fds)
{
    for (int i = 0; fds != NULL && i < fds->n; i++) {
        close(fds->fd[i]);
    }
    if (fds != NULL) {
        fds->n = 0;
    }
}

static int wait_readable(int fd, int timeout_ms, struct err *err)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;
    do {
        n = poll(&p, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return err_errno(err, errno, "poll");
    }
    return n > 0 ? 0 : err_set(err, ERR_TIMEOUT, "no message in %d ms", timeout_ms);
}

int child_recv(int fd, int timeout_ms, struct arena *arena, struct msg *ret, struct child_fds *fds, struct err *err)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * CHILD_FDS_MAX)];
    } control;
    if (fds != NULL) {
        fds->n = 0;
    }
    int r = wait_readable(fd, timeout_ms, err);
    if (r < 0) {
        return r;
    }
    ssize_t size = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    size_t room = size > 0 && size < DATAGRAM_MAX ? (size_t)size : DATAGRAM_MAX;
    void *data = arena_alloc(arena, room);
    struct iovec iov = {.iov_base = data, .iov_len = room};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return err_set(err, ERR_TIMEOUT, "no message");
    }
    if (n >= 0) {
        take_fds(&message, fds); /* with an empty or a broken message too: they would stay open */
    }
    r = n <= 0 ? err_set(err, ERR_GONE, "the other process is gone")
        : (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0
            ? err_set(err, ERR_LIMIT, "a datagram over %d bytes or %d descriptors", DATAGRAM_MAX, CHILD_FDS_MAX)
            : msg_decode(data, (size_t)n, arena, ret, err);
    if (r < 0) {
        close_fds(fds);
    }
    return r;
}

int child_fd(const struct msg_child_start *start, const struct child_fds *fds, const char *name)
{
    for (size_t i = 0; i < start->fds.n && i < (size_t)fds->n; i++) {
        if (strcmp(start->fds.v[i], name) == 0) {
            return fds->fd[i];
        }
    }
    return -1;
}

/* A colon at the end: any name may follow. */
static const char *const child_folder_names[] = {"blobs", "place:"};

bool child_is_folder(const char *name)
{
    for (size_t i = 0; i < sizeof child_folder_names / sizeof child_folder_names[0]; i++) {
        const char *folder = child_folder_names[i];
        size_t n = strlen(folder);
        if (folder[n - 1] == ':' ? strncmp(name, folder, n) == 0 : strcmp(name, folder) == 0) {
            return true;
        }
    }
    return false;
}

int child_folders(const struct msg_child_start *start, const struct child_fds *fds, int ret_fd[CHILD_FDS_MAX])
{
    int n = 0;
    for (size_t i = 0; i < start->fds.n && i < (size_t)fds->n; i++) {
        if (child_is_folder(start->fds.v[i])) {
            ret_fd[n++] = fds->fd[i];
        }
    }
    return n;
}

int child_begin(struct err *err)
{
    struct rlimit none = {0, 0};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
        return err_errno(err, errno, "PR_SET_PDEATHSIG");
    }
    /* The parent may have died before the call: then the socket pair is closed, whoever the parent is now. */
    char byte;
    ssize_t n = recv(CHILD_FD, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
    if (n == 0) {
        return err_set(err, ERR_GONE, "the daemon is gone");
    }
    if (n < 0 && (errno == ENOTSOCK || errno == EBADF)) {
        return err_set(err, ERR_USAGE, "the daemon starts this program, with a socket as descriptor %d", CHILD_FD);
    }
    prctl(PR_SET_DUMPABLE, 0);
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}
