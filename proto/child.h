/* child - the inherited socket pair between the daemon and a child: typed messages with descriptors beside them.
 *
 * Owns:     received descriptors are the caller's (child_recv fills fds; O_CLOEXEC); none are left after an error.
 * Threads:  one per end.
 * Errors:   ERR_GONE when the other end is closed, ERR_TIMEOUT, those of msg_decode.
 * Lifetime: the process's. SOCK_SEQPACKET: one datagram a message, whole or not at all.
 */
#ifndef PROTO_CHILD_H
#define PROTO_CHILD_H

#include "proto/msg.h"

enum { CHILD_FD = 3, CHILD_FDS_MAX = 64 };

struct child_fds {
    int n;
    int fd[CHILD_FDS_MAX];
};

/* [0] the daemon's end (non-blocking), [1] the child's end (blocking). Both CLOEXEC; the spawner dups [1] to CHILD_FD. */
int child_pair(int ret_fd[2], struct err *err);
/* fds may be NULL; descriptors stay the caller's. Daemon's end: ERR_BUSY when the socket is full. */
int child_send(int fd, enum msg_id type, const void *body, const struct child_fds *fds, struct err *err);
/* Waits at most timeout_ms (-1 for ever, 0 not at all: then ERR_TIMEOUT means none there). */
int child_recv(int fd, int timeout_ms, struct arena *arena, struct msg *ret, struct child_fds *fds, struct err *err);
/* The descriptor called `name` in a start message, or -1. */
int child_fd(const struct msg_child_start *start, const struct child_fds *fds, const char *name);
/* Is this the name of a folder below which a child may read? "blobs", or "place:NAME" of a data set in place. */
bool child_is_folder(const char *name);
/* Those of a start message; returns how many, at most CHILD_FDS_MAX. */
int child_folders(const struct msg_child_start *start, const struct child_fds *fds, int ret_fd[CHILD_FDS_MAX]);
/* First thing in a child's main(): PDEATHSIG SIGKILL, a look whether the daemon lives, dumpable off, core limit. */
int child_begin(struct err *err);

#endif
