/* save - mode "save": packs elements of a stream into the memory file "slab" (pipeline_save.h).
 *
 * Owns, Lifetime: nothing beyond the call. Threads: the main thread.
 * Errors:   those of the documents, with the path from the root of the job, and of pipeline_save.
 *
 * The answer: {elements, next, kept, begin, place, bad: [{path, reason}], frames: [{offset,
 * bytes}]}; frames are the head, the index entries and the bytes of a piece.
 */
#ifndef WORKERS_SAVE_H
#define WORKERS_SAVE_H

#include "workers/inputs.h"

int save_run(struct inputs *inputs, struct arena *arena, struct err *err);

#endif
