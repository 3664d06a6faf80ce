/* preview - mode "preview": makes rows as the trainer will get them, into the memory file "slab".
 *
 * Owns, Lifetime: nothing beyond the call. Threads: the main thread.
 * Errors:   those of the documents, with the path from the root of the job; ERR_RANGE for a step that
 * the stream does not have, ERR_LIMIT for rows that do not fit, ERR_DATA with the path of a bad file.
 *
 * The answer: {stream, epoch, step, steps, batch, rows, frames: [{name, kind, dtype, shape, offset,
 * bytes}], samples: [number], ok: [bool], bad: [{row, path, reason}], classes: {number: name}}. A
 * frame is all rows of one field.
 */
#ifndef WORKERS_PREVIEW_H
#define WORKERS_PREVIEW_H

#include "workers/inputs.h"

enum { PREVIEW_ROWS_MAX = 256 };

int preview_run(struct inputs *inputs, struct arena *arena, struct err *err);

#endif
