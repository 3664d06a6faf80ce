/* voc - pictures with the boxes of Pascal VOC's XML files: JPEGImages/a.jpg, Annotations/a.xml. */
#include "pipeline/format/voc.h"

#include <string.h>

#include "pipeline/source/detect.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/stems.h"
#include "pipeline/source/vocabulary.h"

extern const struct source_desc source_voc;

struct voc_source {
    union {
        struct {
            DETECT_FIELDS
        };
        struct detect_options how;
    };
    const char *images, *annotations;
    struct source_store store;
    struct detect detect;
    struct vocabulary names;   /* of classes */
    struct vocabulary members; /* of the split, by ImageSets */
};
static const struct opt options[] = {
    DETECT_ROWS(voc_source),
    OPT_STR_ROW(voc_source, images, "JPEGImages", "The folder of the pictures."),
    OPT_STR_ROW(voc_source, annotations, "Annotations",
                "The folder of the XML files: of JPEGImages/a.jpg it is Annotations/a.xml."),
    OPT_END_ROW,
};

static bool is_xml(const char *path)
{
    static const char *const endings[] = {".xml", NULL};
    return parts_ends(path, endings);
}

static bool claims(const struct doc *files)
{
    for (size_t i = 0; i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        if (is_xml(path) && detect_in_split(path, "Annotations")) {
            return true;
        }
    }
    return false;
}

/* ImageSets/Main/train.txt: a line a picture, its name first. */
static int read_set(struct voc_source *k, struct arena *arena, struct err *err)
{
    const struct doc *files = k->store.files;
    struct buf *text = &k->detect.text;
    int r = 0;
    for (size_t i = 0; i < files->n && k->store.split != NULL && r == 0; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        const char *name = source_basename(path);
        const size_t n = strlen(k->store.split);
        if (!detect_in_split(path, "Main") || strncmp(name, k->store.split, n) != 0 ||
            strcmp(name + n, ".txt") != 0) {
            continue;
        }
        r = source_read_blob(&k->store, &files->items[i], 16 << 20, text, err);
        for (const char *line = r < 0 ? NULL : text->data;
             line != NULL && *line != '\0' && r == 0;) {
            const size_t word = strcspn(line, " \t\r\n");
            r = word > 0 ? vocabulary_add(&k->members, line, word, arena, err) : 0;
            line += strcspn(line, "\n");
            line += *line == '\n';
        }
    }
    return r;
}

static bool is_of_split(const struct voc_source *k, const char *path)
{
    const char *name = source_basename(path);
    return k->members.n > 0 ? vocabulary_find(&k->members, name, strcspn(name, ".")) >= 0
                            : detect_in_split(path, k->store.split);
}

static int read_note(struct detect *detect, const struct detect_item *item, const struct buf *text,
                     int64_t height, int64_t width, struct annotation *ret, struct err *err)
{
    (void)height, (void)width;
    return voc_read(text->data != NULL ? text->data : "", text->size,
                    doc_str(item->note, "path", ""), &detect->arena, ret, err);
}

static int find_items(struct voc_source *k, struct arena *arena, struct err *err)
{
    const struct doc *files = k->store.files;
    struct stems notes;
    bool has;
    stems_build(&notes, files, k->annotations, is_xml, arena);
    k->detect.items = arena_array(arena, files->n + 1, sizeof *k->detect.items);
    for (size_t i = 0; i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        const char *key = stems_key(path, k->images, arena, &has);
        if (!has || !detect_is_picture(path) || !is_of_split(k, path)) {
            continue;
        }
        const struct detect_item item = {.picture = &files->items[i],
                                         .note = stems_find(&notes, key)};
        if (item.note == NULL) {
            return err_set_at(err, ERR_MISSING, "source.voc.annotations",
                              "'%s' has no .xml file at the same place below '%s'", path,
                              k->annotations);
        }
        k->detect.items[k->detect.n++] = item;
    }
    return k->detect.n > 0
               ? 0
               : err_set_at(err, ERR_MISSING, "source.voc.images",
                            "data set '%s' has no pictures below a folder '%s'%s%s",
                            k->store.dataset, k->images, k->store.split != NULL ? " of split " : "",
                            k->store.split != NULL ? k->store.split : "");
}

/* The names of all things, of all splits, so that a number means the same class in each. A file
 * that cannot be read is its sample's fault later. */
static int find_classes(struct voc_source *k, struct arena *arena, struct err *err)
{
    const struct doc *files = k->store.files;
    for (size_t i = 0; i < files->n; i++) {
        const struct detect_item item = {.note = &files->items[i]};
        struct annotation annotation = {.n = 0};
        if (!is_xml(doc_str(item.note, "path", ""))) {
            continue;
        }
        arena_reset(&k->detect.arena);
        int r = source_read_blob(&k->store, item.note, VOC_BYTES_MAX, &k->detect.text, err);
        if (r == 0 && read_note(&k->detect, &item, &k->detect.text, 0, 0, &annotation, err) < 0) {
            annotation.n = 0;
        }
        for (size_t b = 0; b < annotation.n && r == 0; b++) {
            const char *name = annotation.boxes[b].name;
            r = name != NULL ? vocabulary_add(&k->names, name, strlen(name), arena, err) : 0;
        }
        if (r < 0) {
            return r;
        }
    }
    k->detect.classes = k->names.v;
    k->detect.n_classes = (int64_t)k->names.n;
    return 0;
}

static int open_voc(struct source *source, const struct source_store *store, struct arena *arena,
                    struct err *err)
{
    struct voc_source *k = source->ctx;
    k->store = *store;
    int r = detect_init(&k->detect, "voc", &k->how, &k->store, err);
    k->detect.read = read_note;
    r = r < 0 ? r : read_set(k, arena, err);
    r = r < 0 ? r : find_items(k, arena, err);
    if (r == 0 && k->detect.n_classes == 0) {
        r = find_classes(k, arena, err);
    }
    return r < 0 ? r : detect_declare(&k->detect, source, arena, err);
}

static void close_voc(struct source *source)
{
    struct voc_source *k = source->ctx;
    detect_fini(&k->detect);
}

static int read_voc(struct source *source, const struct stage_place *place,
                    const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call;
    struct voc_source *k = source->ctx;
    return detect_read(&k->detect, place->position, ret, err);
}

static int picture_voc(struct source *source, const void *data, size_t size, struct tensor *ret,
                       struct err *err)
{
    struct voc_source *k = source->ctx;
    return detect_picture(&k->detect, data, size, ret, err);
}

static const char *path_voc(const struct source *source, int64_t sample)
{
    const struct voc_source *k = source->ctx;
    return doc_str(k->detect.items[sample].picture, "path", "?");
}

const struct source_desc source_voc = {
    .name = "voc",
    .summary = "Pictures with boxes as Pascal VOC's XML files give them: x, boxes and y, one "
               "number of a class a box; class names in the order of their bytes. The split is a "
               "list (`ImageSets/Main/train.txt`) or a folder.",
    .options = options,
    .ctx_size = sizeof(struct voc_source),
    .claims = claims,
    .open = open_voc,
    .close = close_voc,
    .read = read_voc,
    .picture = picture_voc,
    .path = path_voc,
};
