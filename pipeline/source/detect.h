/* detect - pictures with boxes around things: what the sources coco, voc and yolo share.
 *
 * Owns:     the decoder and buffers, given back by detect_fini; lists live in the arena given.
 * Threads:  one at a time.
 * Errors:   those of picture_read; ERR_VALUE, ERR_LIMIT of the boxes of a sample; options with
 *           their path.
 * Lifetime: detect_init .. detect_fini.
 */
#ifndef PIPELINE_SOURCE_DETECT_H
#define PIPELINE_SOURCE_DETECT_H

#include "pipeline/format/annotation.h"
#include "pipeline/source/picture.h"

enum { DETECT_BOXES_MAX = 1000 };
enum detect_form { DETECT_XYXY, DETECT_XYWH, DETECT_CENTER_XYWH, DETECT_REL_XYXY };
extern const struct opt_name detect_forms[];

#define DETECT_FIELDS        \
    PICTURE_FIELDS           \
    int64_t max_boxes;       \
    int bounding_box_format; \
    bool difficult;          \
    struct opt_strs class_names;
#define DETECT_ROWS(S)                                                                            \
    PICTURE_ROWS(S),                                                                              \
        OPT_I64_ROW(S, max_boxes, 100, 1, DETECT_BOXES_MAX,                                       \
                    "Boxes of each sample: boxes is (max_boxes, 4), y is (max_boxes); what is "   \
                    "not there is -1. A picture with more is a bad sample."),                     \
        OPT_ENUM_ROW(S, bounding_box_format, DETECT_XYXY, detect_forms,                           \
                     "What the four numbers are: corners, corner and size, centre and size, all " \
                     "in pixels; or corners as parts of width and height."),                      \
        OPT_BOOL_ROW(S, difficult, true,                                                          \
                     "Take things that are marked as difficult (VOC); crowds (COCO) never."),     \
        OPT_STRS_ROW(S, class_names,                                                              \
                     "Names of the classes in the order of their numbers; without it those of "   \
                     "the data set.")

struct detect_options {
    DETECT_FIELDS
};
struct detect_item {
    const struct doc *picture;           /* a file of the manifest */
    const struct doc *note;              /* the file of its boxes, or NULL */
    const struct annotation *annotation; /* if they were read already */
};
struct detect {
    const char *kind;
    const struct detect_options *options;
    struct picture_options pictures; /* a copy: what picture.h wants */
    const struct source_store *store;
    struct detect_item *items;
    int64_t n;
    const char *const *classes;
    int64_t n_classes;
    struct picture picture;
    struct buf file, text;
    float *boxes;
    int64_t *labels;
    struct arena arena; /* of the annotation of a sample */
    /* Reads an item's annotation from its file's text; for a picture of that size. */
    int (*read)(struct detect *detect, const struct detect_item *item, const struct buf *text,
                int64_t height, int64_t width, struct annotation *ret, struct err *err);
};

int detect_init(struct detect *detect, const char *kind, const struct detect_options *options,
                const struct source_store *store, struct err *err);
void detect_fini(struct detect *detect); /* takes a zeroed one */
/* With items and classes found: the fields of the source. */
int detect_declare(struct detect *detect, struct source *source, struct arena *arena,
                   struct err *err);
int detect_read(struct detect *detect, int64_t sample, struct element *ret, struct err *err);
int detect_picture(struct detect *detect, const void *data, size_t size, struct tensor *ret,
                   struct err *err);
bool detect_is_picture(const char *path);
/* Is the file of the split: one of its folders is named so? NULL: all are. */
bool detect_in_split(const char *path, const char *split);

#endif
