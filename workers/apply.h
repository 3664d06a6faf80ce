/* apply - `millrace-worker --apply`: layers on a few samples, from standard input to standard
 * output.
 *
 * Owns, Lifetime: nothing beyond the call. Threads: the main thread.
 * Errors:   ERR_UNSUPPORTED without a sandbox; what is wrong with layers or data is an answer.
 *
 * In: a line of JSON {layers, options, adapt: {name, bytes}, data: {name, bytes}}, then the bytes
 * of both. Out: a line of JSON {rows, learned, sandbox} or {error: {code, path, text, line}}, then a line a
 * sample. The sandbox is closed before the first byte is read.
 */
#ifndef WORKERS_APPLY_H
#define WORKERS_APPLY_H

#include "base/arena.h"
#include "base/err.h"

int apply_answer(struct arena *arena, struct err *err);

#endif
