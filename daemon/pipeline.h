/* pipeline - what a job's data half would do, asked without running the job: a sandboxed worker
 * compiles it and answers; the daemon moves the bytes and looks into none. To run it alone, workers
 * and a trainer without a model are started behind that (drain.h).
 *
 * Owns:     an ask frees itself after its answer, when its worker is reaped.
 * Threads:  the loop's.
 * Errors:   answered, with the path into the job; ERR_TIMEOUT after check_seconds, ERR_BUSY over
 * max_previews. Lifetime: the request's; pipeline_stop ends all.
 */
#ifndef DAEMON_PIPELINE_H
#define DAEMON_PIPELINE_H

#include "daemon/control.h"

control_fn pipeline_on_explain, pipeline_on_preview, pipeline_on_run, pipeline_on_save;

void pipeline_stop(struct daemon *daemon);
/* Ends those whose client has left. */
void pipeline_tick(struct daemon *daemon);

#endif
