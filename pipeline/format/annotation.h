/* annotation - boxes around things in a picture, as COCO, Pascal VOC and YOLO files give them.
 *
 * Owns:     nothing; all lives in the caller's arena.
 * Threads:  a finished one is read-only.
 * Errors:   see coco.h, voc.h, yolo.h.
 * Lifetime: the arena's.
 */
#ifndef FORMAT_ANNOTATION_H
#define FORMAT_ANNOTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ANNOTATION_BOXES_MAX = 10000 /* in a picture */ };

struct annotation_box {
    float x1, y1, x2, y2; /* in pixels, x2 >= x1, y2 >= y1 */
    int32_t class;        /* -1: only the name is known */
    const char *name;     /* NULL: only the number is known */
    bool is_crowd, is_difficult, is_truncated;
};
struct annotation {
    const char *file;      /* as the annotation has it; NULL: it does not say */
    int64_t id;            /* COCO's */
    int64_t width, height; /* 0: it does not say */
    struct annotation_box *boxes;
    size_t n;
};

#endif
