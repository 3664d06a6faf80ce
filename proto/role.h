/* role - what kinds of child processes there are, and how the supervisor treats each: one table (proto/roles.h).
 *
 * Owns:     const tables.
 * Threads:  any.
 * Errors:   none.
 * Lifetime: process.
 */
#ifndef PROTO_ROLE_H
#define PROTO_ROLE_H

enum role {
#define ROLE_ROW(symbol, ...) ROLE_##symbol,
#include "proto/roles.h"
#undef ROLE_ROW
    ROLE_MAX_
};

struct role_desc {
    const char *name;
    const char *program; /* file name below libexec_dir */
    int nice;
    int memory_mib;
    int burst;    /* restarts allowed in the window, then the job fails with the reason */
    int window_s;
    int delay_ms; /* before the first restart; doubles to delay_max_ms */
    int delay_max_ms;
    int grace_s;  /* between asking to stop and SIGKILL */
    int limit_s;  /* of the whole run, 0 = none */
};
extern const struct role_desc role_table[ROLE_MAX_];

/* The environment of every child, NULL-terminated "NAME=value": thread pools wait passively, libraries keep to their
 * choice of code whatever the caller's environment says. */
extern const char *const role_environment[];

#endif
