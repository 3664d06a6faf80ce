/* fsm - a state machine as a list; fsm_step is the only code that changes a state.
 *
 * Owns:     nothing; machines are const tables.
 * Threads:  the caller's.
 * Errors:   a (state, event) pair that is not listed gives ERR_INVALID, names both, leaves the state and counts it.
 * Lifetime: process.
 */
#ifndef BASE_FSM_H
#define BASE_FSM_H

#include "base/buf.h"
#include "base/err.h"

struct fsm_transition {
    int state, event, next;
};
struct fsm {
    const char *name;
    const char *const *states; /* by enum value, NULL-terminated */
    const char *const *events;
    const struct fsm_transition *transitions;
    int n_transitions;
};

/* Moves *state by event; calls nothing. Returns 0 or ERR_INVALID. */
int fsm_step(const struct fsm *fsm, int *state, int event, struct err *err);
int fsm_state(const struct fsm *fsm, const char *name); /* value or ERR_UNKNOWN */
void fsm_dot(const struct fsm *fsm, struct buf *out);   /* Graphviz text for the docs */

#endif
