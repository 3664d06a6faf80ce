#include "base/fsm.h"

#include <string.h>

static int count(const char *const *names)
{
    int n = 0;
    while (names[n]) {
        n++;
    }
    return n;
}

int fsm_step(const struct fsm *fsm, int *state, int event, struct err *err)
{
    BUG_ON(*state < 0 || *state >= count(fsm->states) || event < 0 || event >= count(fsm->events));
    for (int i = 0; i < fsm->n_transitions; i++) {
        const struct fsm_transition *transition = &fsm->transitions[i];
        if (transition->state == *state && transition->event == event) {
            *state = transition->next;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "a %s that is %s does not take %s", fsm->name,
                   fsm->states[*state], fsm->events[event]);
}

int fsm_state(const struct fsm *fsm, const char *name)
{
    for (int i = 0; fsm->states[i]; i++) {
        if (strcmp(fsm->states[i], name) == 0) {
            return i;
        }
    }
    return ERR_UNKNOWN;
}

void fsm_dot(const struct fsm *fsm, struct buf *out)
{
    buf_printf(out, "digraph %s {\n    rankdir=LR;\n", fsm->name);
    for (int i = 0; fsm->states[i]; i++) {
        buf_printf(out, "    %s;\n", fsm->states[i]);
    }
    for (int i = 0; i < fsm->n_transitions; i++) {
        const struct fsm_transition *transition = &fsm->transitions[i];
        buf_printf(out, "    %s -> %s [label=\"%s\"];\n", fsm->states[transition->state],
                   fsm->states[transition->next], fsm->events[transition->event]);
    }
    buf_puts(out, "}\n");
}
