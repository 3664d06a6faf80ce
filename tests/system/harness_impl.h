/* harness_impl - what the harness's files share. Owns, Threads, Errors, Lifetime: as harness.h. */
#ifndef TESTS_SYSTEM_HARNESS_IMPL_H
#define TESTS_SYSTEM_HARNESS_IMPL_H

#include "tests/system/harness.h"

/* harness_store.c */
void harness_store_make(struct harness *harness, const char *shared);
int harness_store_json(const char *name, const struct doc *doc);
/* harness_child.c: starts a program of the build folder with its start message; returns its pid,
 * the parent's socket and a pidfd. */
pid_t harness_child_spawn(const char *program, const struct msg_child_start *start,
                          const struct child_fds *fds, int *ret_fd, int *ret_pid_fd);
void harness_child_end(pid_t pid, int signal, int *fd, int *pid_fd, int *ret_status);

#endif
