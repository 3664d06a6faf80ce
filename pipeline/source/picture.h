/* picture - a file's bytes as the picture that a source gives: its channels and its size.
 *
 * Owns:     the decoder and its buffers; what picture_read gives is borrowed until the next call.
 * Threads:  one at a time.
 * Errors:   those of decode_run and of resizing; picture_init: options that do not go together.
 * Lifetime: init .. fini.
 */
#ifndef PIPELINE_SOURCE_PICTURE_H
#define PIPELINE_SOURCE_PICTURE_H

#include "pipeline/image/decode.h"
#include "pipeline/op_resize.h"
#include "pipeline/source.h"

enum picture_colour { PICTURE_AUTO = 0, PICTURE_GREY = 1, PICTURE_RGB = 3, PICTURE_RGBA = 4 };
extern const struct opt_name picture_colours[], picture_methods[];

#define PICTURE_FIELDS                                    \
    int color_mode;             /* enum picture_colour */ \
    struct opt_ints image_size; /* none, or 2 */          \
    int interpolation;          /* enum resize_method */  \
    bool crop_to_aspect_ratio, pad_to_aspect_ratio;       \
    float fill_value;
#define PICTURE_ROWS(S)                                                                           \
    OPT_ENUM_ROW(S, color_mode, PICTURE_AUTO, picture_colours,                                    \
                 "Channels of x: grayscale 1, rgb 3, rgba 4; auto: 1 if all are grey, else 3."),  \
        OPT_INTS_ROW(S, image_size, NULL, 2, 2, 1, 65500,                                         \
                     "Height and width that all are brought to, in float32, as Keras does it; "   \
                     "without it they stay uint8 of their own size.",                             \
                     .flags = OPT_NULLABLE, .unit = "pixels"),                                    \
        OPT_ENUM_ROW(S, interpolation, RESIZE_BILINEAR, picture_methods,                          \
                     "How image_size reads between pixels."),                                     \
        OPT_BOOL_ROW(S, crop_to_aspect_ratio, false,                                              \
                     "Cut pictures to the proportions of image_size first."),                     \
        OPT_BOOL_ROW(S, pad_to_aspect_ratio, false,                                               \
                     "Put a margin around pictures to give them the proportions of image_size."), \
        OPT_F32_ROW(S, fill_value, 0, -1e30, 1e30, "Value of the margin.")

struct picture_options {
    PICTURE_FIELDS
};
struct picture_image {
    int64_t height, width, channels;
};
struct picture {
    const struct picture_options *options;
    int channels;
    bool is_mask; /* numbers of classes: one channel of uint8, resized by taking the nearest */
    struct decode *decode;
    struct op_scratch pixels, floats, sized, resize;
};

int picture_init(struct picture *picture, const struct picture_options *options, const char *kind,
                 struct err *err);
/* A mask beside pictures of these options. */
void picture_init_mask(struct picture *picture, const struct picture_options *options);
void picture_fini(struct picture *picture); /* takes a zeroed one */
/* What comes next is a file of this name; NULL: of none. */
void picture_name(struct picture *picture, const char *path);
int picture_header(struct picture *picture, const void *data, size_t size,
                   struct picture_image *ret, struct err *err);
/* Adds a field of pictures as large as `first`, in colour if that has 3 channels. */
void picture_declare(struct picture *picture, const struct picture_image *first, const char *name,
                     struct element_spec *spec);
int picture_read(struct picture *picture, const void *data, size_t size, struct tensor *ret,
                 struct err *err);
/* As field i of an element, of which perhaps only a part is read. */
int picture_look(struct picture *picture, const void *data, size_t size,
                 const struct look_asker *asker, int i, struct element *ret, struct err *err);

#endif
