/* voc - Pascal VOC's XML files: the boxes of one picture.
 *
 * Owns:     nothing; all lives in the caller's arena.
 * Threads:  pure functions.
 * Errors:   ERR_EMPTY, ERR_SYNTAX with the line, ERR_UNSAFE_TYPE (a document type: entities),
 *           ERR_LIMIT, ERR_SCHEMA, ERR_VALUE.
 * Lifetime: the arena's.
 *
 * Source: the VOC2012 development kit. <annotation> with <filename>, <size>, and an <object> of
 * <name> and <bndbox> a thing; parts of things and what else is there are passed over. Coordinates
 * are given as they stand in the file (VOC counts pixels from 1 and includes the last).
 */
#ifndef FORMAT_VOC_H
#define FORMAT_VOC_H

#include "base/arena.h"
#include "base/err.h"
#include "pipeline/format/annotation.h"

enum { VOC_BYTES_MAX = 1 << 24, VOC_DEPTH_MAX = 16, VOC_TEXT_MAX = 4096 };

int voc_read(const char *text, size_t size, const char *name, struct arena *arena,
             struct annotation *ret, struct err *err);

#endif
