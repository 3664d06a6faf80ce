/* jail - law 4 in a worker: the two halves of the sandbox around the moment when it connects.
 *
 * Owns, Lifetime: the process.
 * Threads:  jail_files before any other thread exists; jail_calls covers all threads.
 * Errors:   ERR_UNSUPPORTED when the kernel has no seccomp: such a worker does not run. Landlock
 * may be missing, and then jail_name says so.
 */
#ifndef WORKERS_JAIL_H
#define WORKERS_JAIL_H

#include "proto/sandbox.h"
#include "workers/inputs.h"

struct jail {
    enum sandbox_profile profile;
    bool on, keeps;
    int landlock_abi;
    int seccomp_on;
};

/* Limits, then Landlock: only files below the folders given can be opened from here on, and kept
 * files opened and made. Without Landlock nothing is kept: inputs->kept.fd becomes -1. */
int jail_files(struct jail *ret, enum sandbox_profile profile, struct inputs *inputs,
               struct err *err);
/* seccomp: no new sockets, files to write elsewhere, processes or code. */
int jail_calls(struct jail *jail, struct err *err);
const char *jail_name(const struct jail *jail);

#endif
