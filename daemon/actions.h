/* actions - requests about jobs that are there: list, show, cancel, pause, resume.
 *
 * Owns:     nothing. Threads: the loop's. Errors: answered. Lifetime: none.
 */
#ifndef DAEMON_ACTIONS_H
#define DAEMON_ACTIONS_H

#include "daemon/jobs.h"

control_fn actions_on_list, actions_on_show, actions_on_cancel, actions_on_pause, actions_on_resume;

#endif
