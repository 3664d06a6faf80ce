/* trainer - the program millrace-trainer, asked for a model's summary without a daemon.
 *
 * Owns:     the child process and its pipes, inside the call.
 * Threads:  none shared.
 * Errors:   ERR_NOT_FOUND (no such program), ERR_INVALID with what it said, ERR_INTERNAL (it
 * crashed). Lifetime: the arena's.
 */
#ifndef CLIENT_TRAINER_H
#define CLIENT_TRAINER_H

#include "base/doc.h"

/* program: its path, or NULL for the one beside `beside` (argv[0] of this program) or in the usual
 * places. */
int trainer_summary(const char *program, const char *beside, const struct doc *job,
                    struct arena *arena, const struct doc **ret, struct err *err);

#endif
