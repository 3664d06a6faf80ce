/* fds - the descriptors of a start message with their names.
 *
 * Owns:     those that were made here (fds_memory); the others are borrowed. fds_fini closes its
 * own. Threads:  one at a time. Errors: ERR_IO, ERR_LIMIT. Lifetime: a start's or a run's.
 */
#ifndef DAEMON_FDS_H
#define DAEMON_FDS_H

#include "daemon/jobs.h"
#include "daemon/process.h"
#include "proto/child.h"

struct fds {
    struct child_fds list;
    const char *names[CHILD_FDS_MAX];
    bool own[CHILD_FDS_MAX];
    struct keep_key *kept; /* whose folder "kept" is */
    int64_t kept_bytes;
};

/* A sealed memory file with these bytes. */
int fds_memory(const char *name, const void *data, size_t size, int *ret_fd, struct err *err);
int fds_add(struct fds *fds, const char *name, int fd, bool own, struct err *err);
/* "manifest:NAME" of each pin, "place:NAME" if its files were not copied, "blobs", and "kept" if
 * there can be one. */
int fds_add_pins(struct fds *fds, struct daemon *daemon, const struct job_pin *pins, int64_t n_pins,
                 struct arena *arena, struct err *err);
void fds_fini(struct fds *fds);
/* Fills start->fds and sends it. Files go as descriptions of their own, because an offset is shared
 * by all who hold a description. */
int fds_send_start(const struct fds *fds, struct process *process, struct msg_child_start *start,
                   struct err *err);

#endif
