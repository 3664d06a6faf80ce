/* coco - COCO's JSON files of detections.
 *
 * Owns:     nothing; all lives in the caller's arena.
 * Threads:  pure functions.
 * Errors:   ERR_EMPTY, ERR_SYNTAX, ERR_LIMIT, ERR_SCHEMA (a key that is missing, a picture or
 * category that is not there), ERR_VALUE (a box), naming the annotation. Lifetime: the arena's.
 *
 * Source: cocodataset.org/#format-data. Classes are the categories in the order of their ids,
 * numbered from 0. bbox [x, y, width, height] becomes x1, y1, x2, y2. Segmentations are not read.
 */
#ifndef FORMAT_COCO_H
#define FORMAT_COCO_H

#include "base/arena.h"
#include "base/err.h"
#include "pipeline/format/annotation.h"

enum { COCO_BYTES_MAX = 1 << 29, COCO_NODES_MAX = 1 << 25, COCO_DEPTH_MAX = 16 };

struct coco {
    struct annotation *images; /* in the order of the file */
    size_t n;
    const char **classes;
    size_t n_classes;
};
int coco_read(const char *text, size_t size, const char *name, struct arena *arena,
              struct coco *ret, struct err *err);

#endif
