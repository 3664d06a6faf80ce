#include "pipeline/source/detect.h"

#include <stdio.h>
#include <string.h>

#include "pipeline/source/labelled.h"
#include "pipeline/source/parts.h"

enum { FIRST_MAX = 64 };

const struct opt_name detect_forms[] = {
    {"xyxy", DETECT_XYXY},
    {"xywh", DETECT_XYWH},
    {"center_xywh", DETECT_CENTER_XYWH},
    {"rel_xyxy", DETECT_REL_XYXY},
    {NULL, 0},
};

bool detect_is_picture(const char *path)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", NULL};
    return !labelled_is_hidden(path) && parts_ends(path, endings);
}

bool detect_in_split(const char *path, const char *split)
{
    struct labelled_part part = labelled_part(path, 0);
    for (int i = 1; split != NULL && part.n > 0; i++) {
        if (part.n == strlen(split) && memcmp(part.text, split, part.n) == 0) {
            return true;
        }
        part = labelled_part(path, i);
    }
    return split == NULL;
}

int detect_init(struct detect *k, const char *kind, const struct detect_options *options,
                const struct source_store *store, struct err *err)
{
    *k = (struct detect){.kind = kind,
                         .options = options,
                         .store = store,
                         .pictures = {.color_mode = options->color_mode,
                                      .image_size = options->image_size,
                                      .interpolation = options->interpolation,
                                      .crop_to_aspect_ratio = options->crop_to_aspect_ratio,
                                      .pad_to_aspect_ratio = options->pad_to_aspect_ratio,
                                      .fill_value = options->fill_value}};
    arena_init(&k->arena);
    if (options->crop_to_aspect_ratio || options->pad_to_aspect_ratio) {
        err_set_at(err, ERR_UNSUPPORTED,
                   options->crop_to_aspect_ratio ? "crop_to_aspect_ratio" : "pad_to_aspect_ratio",
                   "boxes are only scaled with the picture; leave it out");
        err_prefix(err, "source.%s", kind);
        return ERR_UNSUPPORTED;
    }
    k->classes = options->class_names.v;
    k->n_classes = (int64_t)options->class_names.n;
    return picture_init(&k->picture, &k->pictures, kind, err);
}

void detect_fini(struct detect *k)
{
    picture_fini(&k->picture);
    buf_fini(&k->file);
    buf_fini(&k->text);
    arena_fini(&k->arena);
}

static int read_picture(struct detect *k, const struct detect_item *item, struct err *err)
{
    picture_name(&k->picture, doc_str(item->picture, "path", ""));
    return source_read_blob(k->store, item->picture, SOURCE_FILE_MAX, &k->file, err);
}

static int find_shape(struct detect *k, struct picture_image *ret, struct err *err)
{
    int r = ERR_DATA;
    for (int64_t i = 0; i < k->n && i < FIRST_MAX && r < 0; i++) {
        r = read_picture(k, &k->items[i], err);
        r = r < 0 ? r : picture_header(&k->picture, k->file.data, k->file.size, ret, err);
        if (r < 0 && !err_is_data(r)) {
            return r;
        }
    }
    return r;
}

int detect_declare(struct detect *k, struct source *source, struct arena *arena, struct err *err)
{
    struct picture_image first;
    const int64_t n = k->options->max_boxes;
    int r = find_shape(k, &first, err);
    if (r < 0) {
        return r;
    }
    picture_declare(&k->picture, &first, "x", &source->spec);
    element_add(
        &source->spec,
        &(struct element_field){.name = "boxes",
                                .kind = ELEMENT_BOXES,
                                .spec = {.dtype = DTYPE_F32, .shape = {.rank = 2, .d = {n, 4}}}});
    element_add(&source->spec, &(struct element_field){
                                   .name = "y",
                                   .kind = ELEMENT_LABEL,
                                   .spec = {.dtype = DTYPE_I64, .shape = {.rank = 1, .d = {n}}}});
    k->boxes = arena_array(arena, (size_t)n * 4, sizeof *k->boxes);
    k->labels = arena_array(arena, (size_t)n, sizeof *k->labels);
    source->samples = k->n;
    source->classes = k->classes;
    source->n_classes = k->n_classes;
    return 0;
}

static int64_t class_of(const struct detect *k, const struct annotation_box *box)
{
    if (box->name == NULL) {
        return box->class < k->n_classes ? box->class : -1;
    }
    for (int64_t i = 0; i < k->n_classes; i++) {
        if (strcmp(k->classes[i], box->name) == 0) {
            return i;
        }
    }
    return -1;
}

static void put_box(const struct detect *k, const struct annotation_box *box, float scale_x,
                    float scale_y, float ret[4])
{
    const float x1 = box->x1 * scale_x, y1 = box->y1 * scale_y, x2 = box->x2 * scale_x,
                y2 = box->y2 * scale_y;
    switch ((enum detect_form)k->options->bounding_box_format) {
    case DETECT_REL_XYXY:
    case DETECT_XYXY:
        ret[0] = x1;
        ret[1] = y1;
        ret[2] = x2;
        ret[3] = y2;
        return;
    case DETECT_XYWH:
        ret[0] = x1;
        ret[1] = y1;
        break;
    case DETECT_CENTER_XYWH:
        ret[0] = (x1 + x2) / 2;
        ret[1] = (y1 + y2) / 2;
        break;
    }
    ret[2] = x2 - x1;
    ret[3] = y2 - y1;
}

/* height, width: of the picture as it lies in its file; x: as it is given. */
static int put_boxes(struct detect *k, const struct annotation *annotation, int64_t height,
                     int64_t width, const struct tensor *x, struct err *err)
{
    const bool is_rel = k->options->bounding_box_format == DETECT_REL_XYXY;
    const float scale_x = (is_rel ? 1.0F : (float)x->shape.d[1]) / (float)width,
                scale_y = (is_rel ? 1.0F : (float)x->shape.d[0]) / (float)height;
    int64_t n = 0;
    for (int64_t i = 0; i < k->options->max_boxes; i++) {
        k->boxes[4 * i] = k->boxes[4 * i + 1] = k->boxes[4 * i + 2] = k->boxes[4 * i + 3] = -1;
        k->labels[i] = -1;
    }
    for (size_t i = 0; i < annotation->n; i++) {
        const struct annotation_box *box = &annotation->boxes[i];
        if (box->is_crowd || (box->is_difficult && !k->options->difficult)) {
            continue;
        }
        if (n == k->options->max_boxes) {
            return err_set(err, ERR_LIMIT, "has more than max_boxes = %lld boxes", (long long)n);
        }
        k->labels[n] = class_of(k, box);
        if (k->labels[n] < 0) {
            return err_set(
                err, ERR_VALUE, "box %zu is of class '%.64s' (%d), which is none of %lld", i,
                box->name != NULL ? box->name : "", (int)box->class, (long long)k->n_classes);
        }
        put_box(k, box, scale_x, scale_y, k->boxes + 4 * n++);
    }
    return 0;
}

static int read_annotation(struct detect *k, const struct detect_item *item, int64_t height,
                           int64_t width, struct annotation *ret, struct err *err)
{
    *ret = item->annotation != NULL ? *item->annotation : (struct annotation){.n = 0};
    if (item->annotation != NULL || item->note == NULL) {
        return 0;
    }
    arena_reset(&k->arena);
    int r = source_read_blob(k->store, item->note, SOURCE_FILE_MAX, &k->text, err);
    r = r < 0 ? r : k->read(k, item, &k->text, height, width, ret, err);
    /* Text that cannot be read is its sample's fault. */
    if (r == ERR_SYNTAX) {
        char text[400];
        (void)snprintf(text, sizeof text, "%.390s", err != NULL ? err->text : "");
        r = err_set(err, ERR_CORRUPT, "%s", text);
    }
    return r;
}

int detect_read(struct detect *k, int64_t sample, struct element *ret, struct err *err)
{
    const struct detect_item *item = &k->items[sample];
    struct picture_image size;
    struct annotation annotation;
    int r = read_picture(k, item, err);
    r = r < 0 ? r : picture_header(&k->picture, k->file.data, k->file.size, &size, err);
    r = r < 0 ? r : picture_read(&k->picture, k->file.data, k->file.size, &ret->fields[0], err);
    r = r < 0 ? r : read_annotation(k, item, size.height, size.width, &annotation, err);
    r = r < 0 ? r : put_boxes(k, &annotation, size.height, size.width, &ret->fields[0], err);
    if (r < 0) {
        return r;
    }
    const int64_t n = k->options->max_boxes;
    ret->sample = sample;
    ret->fields[1] =
        (struct tensor){.dtype = DTYPE_F32, .shape = {.rank = 2, .d = {n, 4}}, .data = k->boxes};
    ret->fields[2] =
        (struct tensor){.dtype = DTYPE_I64, .shape = {.rank = 1, .d = {n}}, .data = k->labels};
    return 0;
}

int detect_picture(struct detect *k, const void *data, size_t size, struct tensor *ret,
                   struct err *err)
{
    picture_name(&k->picture, NULL);
    return picture_read(&k->picture, data, size, ret, err);
}
