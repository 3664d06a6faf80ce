/* actions - what a sandboxed process may not do, and the place in which it is tried.
 *
 * Owns:     a place owns its folder, sockets and the process that plays trainer and victim.
 * Threads:  place_make and place_remove: the test's. Actions: the process that tries them.
 * Errors:   an action gives 0 when it worked.
 * Lifetime: an attempt: what worked leaves traces.
 */
#ifndef TESTS_SYSTEM_ACTIONS_H
#define TESTS_SYSTEM_ACTIONS_H

#include <netinet/in.h>
#include <sys/types.h>
#include <sys/un.h>

#include "tests/test.h"

/* The address space that a process is given where it is tried. */
enum { ACTION_MEMORY_BYTES = 1 << 30 };

struct place {
    char dir[TEST_PATH], blobs[TEST_PATH], blob[TEST_PATH], outside[TEST_PATH], secret[TEST_PATH],
        address[TEST_PATH], kept[TEST_PATH];
    struct sockaddr_un unix_address;
    struct sockaddr_in tcp_address;
    int blobs_fd, kept_fd, namespace_fd, unix_listener, tcp_listener;
    int unix_fd, tcp_fd,
        log_fd; /* made before the sandbox: the call itself is tried, not socket() */
    pid_t victim, parent;
    void *memory; /* an address in the victim */
};

void place_make(struct place *place);
void place_remove(struct place *place);

/* In sanitizer builds denied to nobody, to workers and checkers, to all. */
enum relaxed { RELAXED_NO, RELAXED_WORKER, RELAXED_ALL };

struct action {
    const char *name; /* NULL at the end of the table */
    int (*try)(struct place *place);
    bool trainer; /* denied to a trainer too */
    enum relaxed relaxed;
};
extern const struct action action_table[];

#endif
