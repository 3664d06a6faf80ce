/* yolo - pictures with the boxes of YOLO's text files: images/a.jpg, labels/a.txt. */
#include "pipeline/format/yolo.h"

#include <string.h>

#include "pipeline/source/detect.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/stems.h"

extern const struct source_desc source_yolo;

struct yolo_source {
    union {
        struct {
            DETECT_FIELDS
        };
        struct detect_options how;
    };
    const char *images, *labels;
    struct source_store store;
    struct detect detect;
};
static const struct opt options[] = {
    DETECT_ROWS(yolo_source),
    OPT_STR_ROW(yolo_source, images, "images", "The folder of the pictures."),
    OPT_STR_ROW(yolo_source, labels, "labels",
                "The folder of the texts: of images/a.jpg it is labels/a.txt. A picture without "
                "one shows nothing."),
    OPT_END_ROW,
};

static bool is_text(const char *path)
{
    static const char *const endings[] = {".txt", NULL};
    return parts_ends(path, endings);
}

static bool claims(const struct doc *files)
{
    bool has_labels = false, has_images = false;
    for (size_t i = 0; i < files->n && !(has_labels && has_images); i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        has_labels = has_labels || (is_text(path) && detect_in_split(path, "labels"));
        has_images = has_images || (detect_is_picture(path) && detect_in_split(path, "images"));
    }
    return has_labels && has_images;
}

/* classes.txt: a line a class. */
static int read_classes(struct yolo_source *k, struct arena *arena, struct err *err)
{
    const struct doc *files = k->store.files, *file = NULL;
    for (size_t i = 0; i < files->n; i++) {
        const char *name = source_basename(doc_str(&files->items[i], "path", ""));
        if (strcmp(name, "classes.txt") == 0 || strcmp(name, "obj.names") == 0) {
            file = &files->items[i];
        }
    }
    if (file == NULL) {
        return err_set_at(err, ERR_MISSING, "source.yolo.class_names",
                          "data set '%s' has no classes.txt: say the names of the classes",
                          k->store.dataset);
    }
    struct buf *text = &k->detect.text;
    int r = source_read_blob(&k->store, file, 1 << 20, text, err);
    const char **names = arena_array(arena, text->size + 1, sizeof *names);
    for (char *line = r < 0 ? NULL : text->data; line != NULL && *line != '\0';) {
        const size_t n = strcspn(line, "\r\n");
        if (n > 0) {
            names[k->detect.n_classes++] = arena_strndup(arena, line, n);
        }
        line += n + strspn(line + n, "\r\n");
    }
    k->detect.classes = names;
    return r;
}

static int read_note(struct detect *detect, const struct detect_item *item, const struct buf *text,
                     int64_t height, int64_t width, struct annotation *ret, struct err *err)
{
    return yolo_read(text->data != NULL ? text->data : "", text->size,
                     doc_str(item->note, "path", ""), width, height, &detect->arena, ret, err);
}

static void find_items(struct yolo_source *k, struct arena *arena)
{
    const struct doc *files = k->store.files;
    struct stems notes;
    bool has;
    stems_build(&notes, files, k->labels, is_text, arena);
    k->detect.items = arena_array(arena, files->n + 1, sizeof *k->detect.items);
    for (size_t i = 0; i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        const char *key = stems_key(path, k->images, arena, &has);
        if (has && detect_is_picture(path) && detect_in_split(path, k->store.split)) {
            k->detect.items[k->detect.n++] =
                (struct detect_item){.picture = &files->items[i], .note = stems_find(&notes, key)};
        }
    }
}

static int open_yolo(struct source *source, const struct source_store *store, struct arena *arena,
                     struct err *err)
{
    struct yolo_source *k = source->ctx;
    k->store = *store;
    int r = detect_init(&k->detect, "yolo", &k->how, &k->store, err);
    k->detect.read = read_note;
    if (r == 0 && k->detect.n_classes == 0) {
        r = read_classes(k, arena, err);
    }
    if (r < 0) {
        return r;
    }
    find_items(k, arena);
    if (k->detect.n == 0) {
        return err_set_at(err, ERR_MISSING, "source.yolo.images",
                          "data set '%s' has no pictures below a folder '%s'%s%s", k->store.dataset,
                          k->images, k->store.split != NULL ? " of split " : "",
                          k->store.split != NULL ? k->store.split : "");
    }
    return detect_declare(&k->detect, source, arena, err);
}

static void close_yolo(struct source *source)
{
    struct yolo_source *k = source->ctx;
    detect_fini(&k->detect);
}

static int read_yolo(struct source *source, const struct stage_place *place,
                     const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call;
    struct yolo_source *k = source->ctx;
    return detect_read(&k->detect, place->position, ret, err);
}

static int picture_yolo(struct source *source, const void *data, size_t size, struct tensor *ret,
                        struct err *err)
{
    struct yolo_source *k = source->ctx;
    return detect_picture(&k->detect, data, size, ret, err);
}

static const char *path_yolo(const struct source *source, int64_t sample)
{
    const struct yolo_source *k = source->ctx;
    return doc_str(k->detect.items[sample].picture, "path", "?");
}

const struct source_desc source_yolo = {
    .name = "yolo",
    .summary = "Pictures with boxes as YOLO's text files give them: x, boxes and y, one number of "
               "a class a box. Class names stand in class_names or in `classes.txt`. The split is "
               "a folder, above or below (`images/train/`).",
    .options = options,
    .ctx_size = sizeof(struct yolo_source),
    .claims = claims,
    .open = open_yolo,
    .close = close_yolo,
    .read = read_yolo,
    .picture = picture_yolo,
    .path = path_yolo,
};
