/* sheet - a contact sheet: the rows of a batch as small pictures with their labels.
 *
 * Owns:     the canvas drawn is the caller's; texts live in the arena given.
 * Threads:  one at a time.
 * Errors:   ERR_SHAPE for numbers that are fewer than their shape says, ERR_LIMIT.
 * Lifetime: the call's.
 *
 * The picture of a row is its first field of kind image (or video: its first frame); without one, the first
 * field of numbers as a curve. Fields of kind mask are laid over it in colours (0 = nothing), boxes
 * and keypoints (x, y, ...) are drawn into it: in pixels, or as shares of the picture if all of a row lie in
 * 0..1. Numbers that are no bytes are rescaled, and a line of the sheet says how.
 */
#ifndef CLIENT_SHEET_H
#define CLIENT_SHEET_H

#include "base/arena.h"
#include "base/tensor.h"
#include "client/canvas.h"

enum sheet_boxes { SHEET_CORNERS, SHEET_CORNER_SIZE, SHEET_CENTER_SIZE };
struct sheet_field {
    const char *name, *kind;
    enum dtype dtype;
    struct shape shape; /* of a row */
    const void *data;   /* all rows */
    size_t size;        /* in bytes */
    enum sheet_boxes boxes;   /* what the four numbers of a box are */
    const char *const *texts; /* of each box or keypoint, row by row; or NULL */
};
struct sheet {
    const char *title;
    const struct sheet_field *fields;
    int n_fields, n_rows;
    const char *const *captions; /* a row; "\n" begins a second line */
    const bool *ok;              /* false: the row is bad and has no numbers */
};

int sheet_draw(const struct sheet *sheet, struct arena *arena, struct canvas *ret, struct err *err);
/* How the numbers of the picture became colours: "x: float32 (28, 28, 1), 0 is black and 1 white". */
const char *sheet_note(const struct sheet *sheet, struct arena *arena);
/* A number of a field; for captions. */
double sheet_number(const struct sheet_field *field, size_t index);

#endif
