/* images - pictures in folders, a folder a class; decoded when they are asked for. */
#include <stdio.h>
#include <string.h>

#include "pipeline/image/decode.h"
#include "pipeline/source/labelled.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/picture.h"
#include "pipeline/source/stems.h"

extern const struct source_desc source_images;

enum { FIRST_MAX = 64, COLOURS_MAX = 16 };

struct images {
    union {
        struct {
            LABELLED_FIELDS
        };
        struct labelled_options how;
    };
    union {
        struct {
            PICTURE_FIELDS
        };
        struct picture_options picture_how;
    };
    const char *masks, *images, *mask_field;
    struct source_store store;
    struct labelled files;
    struct picture picture;
    struct buf file;
    const struct doc **mask_files; /* one an item; NULL without masks */
    struct picture mask;
};
static const struct opt options[] = {
    LABELLED_ROWS(images),
    PICTURE_ROWS(images),
    OPT_STR_ROW(images, masks, NULL,
                "A folder of masks (`masks`): of images/a.jpg it is masks/a.png, field mask, uint8 "
                "of one channel: the number of the colour in a palette, or the grey. Without "
                "further folders label_mode is none.",
                .flags = OPT_NULLABLE),
    OPT_STR_ROW(images, images, "images", "The folder of pictures beside that of masks."),
    OPT_STR_ROW(images, mask_field, "mask", "The field's name (y: what the loss is given)."),
    OPT_END_ROW,
};

static int read_file(struct images *k, int64_t item, struct err *err)
{
    const struct doc *file = k->files.items[item].file;
    picture_name(&k->picture, doc_str(file, "path", ""));
    return source_read_blob(&k->store, file, SOURCE_FILE_MAX, &k->file, err);
}

/* Size of the first picture that has one; colour if the first picture of any class has. */
static int find_shape(struct images *k, struct picture_image *ret, struct err *err)
{
    struct picture_image first = {0};
    int tried = 0, seen = 0;
    bool is_colour = false;
    for (int64_t i = 0; i < k->files.n && tried < FIRST_MAX; i++) {
        const bool is_new = i == 0 || k->files.items[i].label != k->files.items[i - 1].label;
        struct picture_image image;
        if ((first.height > 0 && !is_new) || seen == COLOURS_MAX) {
            continue;
        }
        tried++;
        if (read_file(k, i, err) < 0 ||
            picture_header(&k->picture, k->file.data, k->file.size, &image, err) < 0) {
            continue;
        }
        seen++;
        first = first.height == 0 ? image : first;
        is_colour = is_colour || image.channels >= 3;
    }
    *ret = first;
    ret->channels = is_colour ? 3 : 1;
    if (first.height == 0) {
        char text[512];
        (void)snprintf(text, sizeof text, "%.500s", err != NULL ? err->text : "");
        return err_set(err, ERR_DATA,
                       "none of the first %d files of data set '%s' is a picture; the last one %s",
                       tried, k->store.dataset, text);
    }
    return 0;
}

static int no_mask(const struct images *k, const struct labelled_item *item, struct err *err)
{
    err_set_at(err, ERR_MISSING, "source.images.masks",
               "'%s' has no mask: the same path with '%s' in the place of '%s', and any ending",
               doc_str(item->file, "path", ""), k->masks, k->images);
    return ERR_MISSING;
}

static int find_masks(struct images *k, struct arena *arena, struct err *err)
{
    struct stems stems;
    stems_build(&stems, k->store.files, k->masks, NULL, arena);
    k->mask_files = arena_array(arena, (size_t)k->files.n + 1, sizeof *k->mask_files);
    for (int64_t i = 0; i < k->files.n; i++) {
        bool has;
        const char *path = doc_str(k->files.items[i].file, "path", "");
        k->mask_files[i] = stems_find(&stems, stems_key(path, k->images, arena, &has));
        if (k->mask_files[i] == NULL) {
            return no_mask(k, &k->files.items[i], err);
        }
    }
    picture_init_mask(&k->mask, &k->picture_how);
    return 0;
}

static bool is_picture(const char *path)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", NULL};
    return parts_ends(path, endings);
}

/* What stands beside masks is a picture by its name: there may be lists of boxes too. */
static void expect_masks(struct images *k)
{
    k->how.label_mode = LABELLED_NONE;
    k->files.aside = k->masks;
    k->files.takes = is_picture;
}

static int read_mask(struct images *k, int64_t item, struct element *element, struct err *err)
{
    const struct tensor *x = &element->fields[0];
    const struct look_part *part = &element->parts[0];
    const int64_t height = part->height > 0 ? part->height : x->shape.d[0],
                  width = part->height > 0 ? part->width : x->shape.d[1];
    struct tensor *ret = &element->fields[1];
    const struct doc *file = k->mask_files[item];
    const char *path = doc_str(file, "path", "");
    char text[400];
    picture_name(&k->mask, path);
    int r = source_read_blob(&k->store, file, SOURCE_FILE_MAX, &k->file, err);
    r = r < 0 ? r : picture_read(&k->mask, k->file.data, k->file.size, ret, err);
    if (err_is_data(r)) {
        (void)snprintf(text, sizeof text, "%.390s", err != NULL ? err->text : "");
        return err_set(err, r, "its mask '%s' %s", path, text);
    }
    if (r == 0 && (height != ret->shape.d[0] || width != ret->shape.d[1])) {
        return err_set(err, ERR_SHAPE, "is %lld x %lld, its mask '%s' %lld x %lld",
                       (long long)height, (long long)width, path, (long long)ret->shape.d[0],
                       (long long)ret->shape.d[1]);
    }
    return r;
}

static int open_images(struct source *source, const struct source_store *store, struct arena *arena,
                       struct err *err)
{
    struct images *k = source->ctx;
    struct picture_image first;
    k->store = *store;
    k->files = (struct labelled){.options = &k->how, .store = &k->store, .what = "pictures"};
    if (k->masks != NULL) {
        expect_masks(k);
    }
    int r = picture_init(&k->picture, &k->picture_how, "images", err);
    r = r < 0 ? r : labelled_open(&k->files, "images", arena, err);
    if (r < 0 || k->files.n == 0) {
        return r;
    }
    r = k->masks != NULL ? find_masks(k, arena, err) : 0;
    r = r < 0 ? r : find_shape(k, &first, err);
    if (r < 0) {
        return r;
    }
    picture_declare(&k->picture, &first, "x", &source->spec);
    if (k->masks != NULL) {
        picture_declare(&k->mask, &first, k->mask_field, &source->spec);
    }
    labelled_declare(&k->files, source);
    return 0;
}

static void close_images(struct source *source)
{
    struct images *k = source->ctx;
    picture_fini(&k->picture);
    picture_fini(&k->mask);
    buf_fini(&k->file);
}

static int read_images(struct source *source, const struct stage_place *place,
                       const struct source_call *call, struct element *ret, struct err *err)
{
    struct images *k = source->ctx;
    int r = read_file(k, place->position, err);
    r = r < 0 ? r : picture_look(&k->picture, k->file.data, k->file.size, call->asker, 0, ret, err);
    if (r == 0 && k->mask_files != NULL) {
        r = read_mask(k, place->position, ret, err);
    }
    if (r < 0) {
        return r;
    }
    ret->sample = place->position;
    labelled_put(&k->files, place->position, source, ret);
    return 0;
}

static int picture_images(struct source *source, const void *data, size_t size, struct tensor *ret,
                          struct err *err)
{
    struct images *k = source->ctx;
    picture_name(&k->picture, NULL);
    return picture_read(&k->picture, data, size, ret, err);
}

static const char *path_images(const struct source *source, int64_t sample)
{
    const struct images *k = source->ctx;
    return doc_str(k->files.items[sample].file, "path", "?");
}

const struct source_desc source_images = {
    .name = "images",
    .summary = "JPEG, PNG, WebP, BMP and GIF files (told apart by content; first frame; EXIF "
               "orientation applied), a folder a class, class names in the "
               "order of their bytes. Folders such as "
               "`train/` and `val/` above the classes are splits. Options as of Keras's "
               "`image_dataset_from_directory`.",
    .options = options,
    .ctx_size = sizeof(struct images),
    .claims = labelled_claims,
    .open = open_images,
    .close = close_images,
    .read = read_images,
    .picture = picture_images,
    .path = path_images,
};
