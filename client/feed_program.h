/* feed_program - a program that makes elements, spoken to over its standard input and output
 * (docs/feed.md): frames of a length and a msgpack map, raw rows behind an answer.
 *
 * Owns:     the process and its pipes; feed_program_stop gives them back.
 * Threads:  one.
 * Errors:   ERR_GONE (it ended), ERR_TIMEOUT (no answer in patience_ms), ERR_DATA (what it says is
 * not the protocol), ERR_INTERRUPTED (wake_fd). Lifetime: start .. stop; may be started again.
 *
 * Its standard error is ours. It is in a process group of its own, so that Ctrl-C reaches us alone,
 * and it is told to end when we die.
 */
#ifndef CLIENT_FEED_PROGRAM_H
#define CLIENT_FEED_PROGRAM_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/doc.h"
#include "base/err.h"

struct program {
    const char *command; /* of a shell */
    int wake_fd;         /* or -1 */
    int patience_ms;
    pid_t pid; /* 0: does not run */
    int pid_fd, in, out;
    struct buf frame;
};

int feed_program_start(struct program *program, struct err *err);
/* {close: 1}, then the end of its input; after a while signals. Takes one that does not run. */
void feed_program_stop(struct program *program, bool is_well);
/* A request and the map that answers it. */
int feed_program_ask(struct program *program, const struct doc *request, struct arena *arena,
                     const struct doc **ret, struct err *err);
/* Exactly so many bytes of rows. */
int feed_program_read(struct program *program, void *data, size_t size, struct err *err);

#endif
