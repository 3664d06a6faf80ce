/* bar - the line that shows where a job is, and the line that stays after an epoch.
 *
 * Owns:     nothing.
 * Threads:  none shared.
 * Errors:   none.
 * Lifetime: the caller's.
 *
 * Epochs are counted from 0 in documents and from 1 for people. Both are pure functions of a
 * document and a width. What does not fit is left out, the least needed first.
 */
#ifndef CLIENT_BAR_H
#define CLIENT_BAR_H

#include "base/buf.h"
#include "base/doc.h"
#include "client/term.h"

/* progress: a job's, as in struct msg_child_progress. At most width columns, no line feed. */
void bar_line(const struct doc *progress, const struct term *term, int width, struct buf *out);
/* epoch: {epoch, metrics, seconds (or not)}. epochs: 0 = unknown. */
void bar_epoch(const struct doc *epoch, int64_t epochs, const struct term *term, struct buf *out);
/* "adapting pipeline[1].filter  12/40 parts  of its keys  2 workers" */
void bar_parts(const struct doc *adapting, const struct term *term, int width, struct buf *out);
/* "uploading  [=====     ] 12.3 MB of 20.1 MB  name" */
void bar_bytes(const char *what, int64_t done, int64_t total, const char *name,
               const struct term *term, int width, struct buf *out);

#endif
