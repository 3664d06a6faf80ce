/* yolo - YOLO's text files: the boxes of one picture.
 *
 * Owns:     nothing; all lives in the caller's arena.
 * Threads:  pure functions.
 * Errors:   ERR_SCHEMA (not five numbers), ERR_VALUE, ERR_LIMIT, ERR_ENCODING, with the line.
 * Lifetime: the arena's.
 *
 * Source: docs.ultralytics.com/datasets/detect. A line a thing: class, then centre and size of its
 * box in parts of the picture's width and height (0 to 1). The picture's sides make them pixels. An
 * empty file is a picture without things.
 */
#ifndef FORMAT_YOLO_H
#define FORMAT_YOLO_H

#include "base/arena.h"
#include "base/err.h"
#include "pipeline/format/annotation.h"

enum { YOLO_CLASSES_MAX = 100000 };

int yolo_read(const char *text, size_t size, const char *name, int64_t width, int64_t height,
              struct arena *arena, struct annotation *ret, struct err *err);

#endif
