/* program - a program of ours asked through its standard input, without a daemon.
 *
 * Owns:     the child process and its pipes, inside the call; the answer is the caller's.
 * Threads:  none shared.
 * Errors:   ERR_NOT_FOUND (no such program), ERR_INVALID with what it said, ERR_INTERNAL (it
 *           crashed), ERR_TIMEOUT.
 * Lifetime: the call's.
 */
#ifndef CLIENT_PROGRAM_H
#define CLIENT_PROGRAM_H

#include "base/buf.h"
#include "base/doc.h"

struct program {
    const char *name;     /* "millrace-trainer" */
    const char *folder;   /* where it is built: "trainer" */
    const char *option;   /* of ours that says where it is: "trainer" */
    const char *argument; /* "--summary" */
    const char *path;     /* given, or NULL: beside `beside` (argv[0] of this one), or in the usual
                             places */
};

int program_ask(const struct program *program, const char *beside, const struct buf *text,
                struct buf *ret, struct err *err);

#endif
