/* jsonl - JSON by the line: each a map, read at random.
 *
 * Owns:     as lines; a document lives in the caller's arena.
 * Threads:  one at a time.
 * Errors:   ERR_SYNTAX, ERR_LIMIT, ERR_ENCODING, ERR_SCHEMA (no map), with the line in err->line.
 * Lifetime: {0}, jsonl_open .. lines_close.
 *
 * Source: jsonlines.org, RFC 8259. Blank lines are left out.
 */
#ifndef FORMAT_JSONL_H
#define FORMAT_JSONL_H

#include "base/doc.h"
#include "pipeline/format/lines.h"

enum { JSONL_DEPTH_MAX = 32, JSONL_NODES_MAX = 1 << 20 };

int jsonl_open(struct lines *lines, const struct input *in, struct err *err);
int jsonl_read(struct lines *lines, size_t i, struct arena *arena, const struct doc **ret,
               struct err *err);

#endif
