/* submit - a job comes in: read at its top level, its data sets pinned, stored, checked, queued.
 *
 * Owns:     nothing beyond the requests that wait for an answer.
 * Threads:  the loop's.
 * Errors:   answered to the client with the path into the job.
 * Lifetime: none of its own.
 */
#ifndef DAEMON_SUBMIT_H
#define DAEMON_SUBMIT_H

#include "daemon/check.h"
#include "daemon/jobs.h"

control_fn submit_on_submit, submit_on_check;

/* A job that is only asked about: its text and pins, in the arena. */
int submit_read(const struct daemon *daemon, const struct doc *job, struct arena *arena,
                struct check_input *ret, struct err *err);
/* Checks a stored job (again, after a restart of the daemon). */
void submit_check_job(struct job *job);
/* The request is answered with the job as it is after a commit of its row: the next one, the one
 * after its check, or the one after nobody runs for it any more. */
enum submit_until { SUBMIT_UNTIL_SAVED, SUBMIT_UNTIL_CHECKED, SUBMIT_UNTIL_LEFT };
void submit_wait(struct job *job, const struct request *request, enum submit_until until);
/* The row is durable: starts the first check, answers who waits. */
void submit_saved(struct job *job);
/* The row could not be written: a job that was never stored fails, and its client hears it. */
void submit_unsaved(struct job *job, int status);

#endif
