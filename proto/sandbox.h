/* sandbox - law 4: limits, Landlock and seccomp for a process that parses untrusted bytes.
 *
 * Owns, Lifetime: the process. Threads: limits and Landlock before any thread exists; seccomp for all threads (TSYNC).
 * Errors:   ERR_UNSUPPORTED when the kernel lacks a part (the caller decides and says so), ERR_IO.
 *
 * Order: sandbox_limits, sandbox_landlock, connect and HELLO, sandbox_seccomp (sketches/sandbox.c).
 * In sanitizer builds the profile is relaxed by name (SANDBOX_PROFILE_RELAXED).
 */
#ifndef PROTO_SANDBOX_H
#define PROTO_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum sandbox_profile {
    SANDBOX_PROFILE_WORKER,  /* read given files, shared memory, connected sockets */
    SANDBOX_PROFILE_TRAINER, /* the same, threads, generated code, files in its own folder */
    SANDBOX_PROFILE_CHECKER,
};

struct sandbox_paths {
    int read_fds[64];/* folders below which files may be opened for reading */
    int n_read;
    int write_fds[2]; /* folders in which files may be made, written, renamed, removed */
    int n_write;
    int keep_fds[1]; /* the same for files alone, in a folder that cannot be listed */
    int n_keep;
};

/* file_bytes: greatest size of a file that workers and checkers write; 0 = they write none. */
int sandbox_limits(enum sandbox_profile profile, size_t memory_bytes, int64_t file_bytes,
                   struct err *err);
/* Returns the ABI used (>= 1), 0 when the kernel has none. */
int sandbox_landlock(const struct sandbox_paths *paths, struct err *err);
/* May a worker write files at all? Only where something says in which folder. */
bool sandbox_can_keep(int landlock_abi);
/* keeps: files in the folder of keep_fds are made and written. */
int sandbox_seccomp(enum sandbox_profile profile, bool keeps, struct err *err);
/* "landlock+seccomp" ... for child.ready */
const char *sandbox_name(int landlock_abi, int seccomp_on);

#endif
