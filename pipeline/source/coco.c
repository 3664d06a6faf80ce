/* coco - pictures with the boxes of COCO's JSON files. */
#include "pipeline/format/coco.h"

#include <string.h>

#include "pipeline/source/detect.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/stems.h"

extern const struct source_desc source_coco;

struct coco_source {
    union {
        struct {
            DETECT_FIELDS
        };
        struct detect_options how;
    };
    const char *annotations, *images;
    struct source_store store;
    struct detect detect;
};
static const struct opt options[] = {
    DETECT_ROWS(coco_source),
    OPT_STR_ROW(coco_source, annotations, NULL,
                "Path of the JSON file; without it the one .json file of the split.",
                .flags = OPT_NULLABLE),
    OPT_STR_ROW(coco_source, images, "images",
                "The folder of the pictures, beside the file or above."),
    OPT_END_ROW,
};

static bool is_json(const char *path)
{
    static const char *const endings[] = {".json", NULL};
    return parts_ends(path, endings);
}

static bool claims(const struct doc *files)
{
    for (size_t i = 0; i < files->n; i++) {
        const char *name = source_basename(doc_str(&files->items[i], "path", ""));
        if (strcmp(name, "coco.json") == 0 ||
            (strncmp(name, "instances_", 10) == 0 && is_json(name))) {
            return true;
        }
    }
    return false;
}

/* "train/coco.json", or "annotations/instances_train2017.json" of split train2017. */
static bool is_of_split(const char *path, const char *split)
{
    const char *name = source_basename(path);
    const char *found = split != NULL ? strstr(name, split) : NULL;
    return detect_in_split(path, split) || (found != NULL && found[strlen(split)] == '.');
}

static int find_json(const struct coco_source *k, const struct doc **ret, struct err *err)
{
    const struct doc *files = k->store.files;
    int n = 0;
    for (size_t i = 0; i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        const bool is_it = k->annotations != NULL
                               ? strcmp(path, k->annotations) == 0
                               : is_json(path) && is_of_split(path, k->store.split);
        *ret = is_it ? &files->items[i] : *ret;
        n += is_it;
    }
    if (n == 1) {
        return 0;
    }
    const char *split = k->store.split != NULL ? k->store.split : "";
    return err_set_at(err, ERR_MISSING, "source.coco.annotations",
                      "data set '%s' has %d JSON files%s%s%s%s; name one", k->store.dataset, n,
                      split[0] != '\0' ? " of split " : "", split,
                      k->annotations != NULL ? " at " : "",
                      k->annotations != NULL ? k->annotations : "");
}

/* Pictures by what COCO calls them: below the file's folder, else the only one of that name. */
struct finder {
    const struct stems *paths, *names;
    const char *folder; /* of the file, with its slash */
    size_t n_folder;
    struct arena *arena;
};

static const struct doc *find_picture(const struct finder *f, const char *file)
{
    bool has;
    const char *beside = arena_printf(f->arena, "%.*s%s", (int)f->n_folder, f->folder, file);
    const struct doc *found = stems_find(f->paths, stems_key(beside, NULL, f->arena, &has));
    if (found == NULL) {
        found = stems_find(f->paths, stems_key(file, NULL, f->arena, &has));
    }
    return found != NULL
               ? found
               : stems_find(f->names, stems_key(source_basename(file), NULL, f->arena, &has));
}

/* The same by name alone; a name that is there twice names none. */
static void build_names(struct stems *names, const struct stems *paths, struct arena *arena)
{
    *names = (struct stems){.v = arena_array(arena, paths->n + 1, sizeof *names->v)};
    for (size_t i = 0; i < paths->n; i++) {
        names->v[names->n++] =
            (struct stem){.key = source_basename(paths->v[i].key), .file = paths->v[i].file};
    }
    stems_sort_unique(names);
}

static int make_items(struct coco_source *k, const struct coco *coco, const struct doc *json,
                      struct arena *arena, struct err *err)
{
    struct stems paths, names;
    const char *path = doc_str(json, "path", "");
    stems_build_any(&paths, k->store.files, k->images, detect_is_picture, arena);
    build_names(&names, &paths, arena);
    const struct finder finder = {.paths = &paths,
                                  .names = &names,
                                  .folder = path,
                                  .n_folder = (size_t)(source_basename(path) - path),
                                  .arena = arena};
    k->detect.items = arena_array(arena, coco->n + 1, sizeof *k->detect.items);
    for (size_t i = 0; i < coco->n; i++) {
        const struct annotation *image = &coco->images[i];
        const struct doc *picture = image->file != NULL ? find_picture(&finder, image->file) : NULL;
        if (picture == NULL) {
            return err_set(err, ERR_MISSING, "'%s' speaks of '%.200s', which data set '%s' lacks",
                           path, image->file != NULL ? image->file : "?", k->store.dataset);
        }
        k->detect.items[k->detect.n++] =
            (struct detect_item){.picture = picture, .annotation = image};
    }
    return 0;
}

static int open_coco(struct source *source, const struct source_store *store, struct arena *arena,
                     struct err *err)
{
    struct coco_source *k = source->ctx;
    struct coco coco = {0};
    const struct doc *json = NULL;
    k->store = *store;
    int r = detect_init(&k->detect, "coco", &k->how, &k->store, err);
    r = r < 0 ? r : find_json(k, &json, err);
    r = r < 0 ? r : source_read_blob(&k->store, json, COCO_BYTES_MAX, &k->detect.text, err);
    r = r < 0 ? r
              : coco_read(k->detect.text.data, k->detect.text.size, doc_str(json, "path", ""),
                          arena, &coco, err);
    buf_fini(&k->detect.text);
    r = r < 0 ? r : make_items(k, &coco, json, arena, err);
    if (r < 0 || k->detect.n == 0) {
        return r;
    }
    if (k->detect.n_classes == 0) {
        k->detect.classes = coco.classes;
        k->detect.n_classes = (int64_t)coco.n_classes;
    }
    return detect_declare(&k->detect, source, arena, err);
}

static void close_coco(struct source *source)
{
    struct coco_source *k = source->ctx;
    detect_fini(&k->detect);
}

static int read_coco(struct source *source, const struct stage_place *place,
                     const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call;
    struct coco_source *k = source->ctx;
    return detect_read(&k->detect, place->position, ret, err);
}

static int picture_coco(struct source *source, const void *data, size_t size, struct tensor *ret,
                        struct err *err)
{
    struct coco_source *k = source->ctx;
    return detect_picture(&k->detect, data, size, ret, err);
}

static const char *path_coco(const struct source *source, int64_t sample)
{
    const struct coco_source *k = source->ctx;
    return doc_str(k->detect.items[sample].picture, "path", "?");
}

const struct source_desc source_coco = {
    .name = "coco",
    .summary = "Pictures with boxes as a JSON file of COCO gives them: x, boxes and y, one number "
               "of a class a box. The split is the folder of the file (`train/coco.json`) or the "
               "end of its name (`instances_train2017.json`).",
    .options = options,
    .ctx_size = sizeof(struct coco_source),
    .claims = claims,
    .open = open_coco,
    .close = close_coco,
    .read = read_coco,
    .picture = picture_coco,
    .path = path_coco,
};
