/* images - pictures in folders, a folder a class; decoded when they are asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/image/decode.h"
#include "pipeline/source.h"

extern const struct source_desc source_images;

enum { NAME_TEXT = 256, FIRST_MAX = 64, COLOURS_MAX = 16 };

struct item {
    const struct doc *file;
    int64_t label;
};
struct images {
    struct source_store store;
    struct item *items;
    const char **classes;
    int64_t n_classes;
    int channels;
    struct decode *decode;
    struct buf file;
    int64_t label; /* of the last read */
};

/* Where a class's name stands in a path; n = 0: the file is in no class folder. */
struct part {
    const char *text;
    size_t n;
};

static struct part part_of(const char *path, int index)
{
    for (; index > 0; index--) {
        const char *slash = strchr(path, '/');
        if (slash == NULL) {
            return (struct part){path, 0};
        }
        path = slash + 1;
    }
    const char *slash = strchr(path, '/');
    return (struct part){path, slash != NULL ? (size_t)(slash - path) : 0};
}

static bool part_is(const struct part *part, const char *name)
{
    return part->n == strlen(name) && memcmp(part->text, name, part->n) == 0;
}

static bool is_hidden(const char *path)
{
    const char *name = source_basename(path);
    return name[0] == '.' || strcmp(name, "Thumbs.db") == 0;
}

static bool is_folder(const char *path)
{
    const size_t n = strlen(path);
    return n > 0 && path[n - 1] == '/';
}

static bool claims(const struct doc *files)
{
    for (size_t i = 0; i < files->n; i++) {
        if (part_of(doc_str(&files->items[i], "path", ""), 0).n > 0) {
            return true;
        }
    }
    return false;
}

/* With splits, classes are the second folders: everything lies in split/class/, and one of the
 * splits is "train". */
static bool has_splits(const struct doc *files)
{
    bool has_train = false;
    for (size_t i = 0; i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        const struct part split = part_of(path, 0), class = part_of(path, 1);
        if (split.n > 0 && class.n == 0 && !is_hidden(path) && !is_folder(path)) {
            return false;
        }
        has_train = has_train || part_is(&split, "train");
    }
    return has_train;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Class names of all splits, so that a number means the same class in each of them. */
static int find_classes(struct images *k, int level, struct arena *arena, struct err *err)
{
    const struct doc *files = k->store.files;
    size_t n = 0;
    const char **names = arena_array(arena, files->n + 1, sizeof *names);
    for (size_t i = 0; i < files->n; i++) {
        const struct part part = part_of(doc_str(&files->items[i], "path", ""), level);
        if (part.n > 0 && part.n < NAME_TEXT && part.text[0] != '.' &&
            (n == 0 || !part_is(&part, names[n - 1]))) {
            names[n++] = arena_strndup(arena, part.text, part.n);
        }
    }
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        if (k->n_classes == 0 || strcmp(names[k->n_classes - 1], names[i]) != 0) {
            names[k->n_classes++] = names[i];
        }
    }
    k->classes = names;
    return k->n_classes <= SOURCE_CLASSES_MAX
               ? 0
               : err_set(err, ERR_LIMIT, "data set '%s' has more than %d class folders",
                         k->store.dataset, SOURCE_CLASSES_MAX);
}

static int64_t label_of(const struct images *k, const struct part *part)
{
    char name[NAME_TEXT];
    const char *key = name;
    (void)snprintf(name, sizeof name, "%.*s", (int)part->n, part->text);
    const char **found =
        bsearch(&key, k->classes, (size_t)k->n_classes, sizeof *k->classes, by_text);
    return found != NULL ? found - k->classes : -1;
}

static int check_empty(const struct images *k, const int64_t *counts, const bool *is_named,
                       struct err *err)
{
    for (int64_t c = 0; c < k->n_classes; c++) {
        if (is_named[c] && counts[c] == 0) {
            return err_set(err, ERR_DATA, "class folder '%s' of data set '%s' is empty",
                           k->classes[c], k->store.dataset);
        }
    }
    return 0;
}

static int find_items(struct source *source, int level, struct arena *arena, struct err *err)
{
    struct images *k = source->ctx;
    const struct doc *files = k->store.files;
    int64_t *counts = arena_array(arena, (size_t)k->n_classes + 1, sizeof *counts);
    bool *is_named = arena_array(arena, (size_t)k->n_classes + 1, sizeof *is_named);
    k->items = arena_array(arena, files->n + 1, sizeof *k->items);
    for (size_t i = 0; i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        const struct part split = part_of(path, 0), part = part_of(path, level);
        const int64_t label = part.n > 0 ? label_of(k, &part) : -1;
        if (label < 0 || (k->store.split != NULL && !part_is(&split, k->store.split))) {
            continue;
        }
        is_named[label] = true;
        if (!is_folder(path) && !is_hidden(path)) {
            counts[label]++;
            k->items[source->samples++] = (struct item){.file = &files->items[i], .label = label};
        }
    }
    return check_empty(k, counts, is_named, err);
}

static int read_header(struct images *k, const struct item *item, struct decode_image *ret,
                       struct err *err)
{
    decode_allow(k->decode, decode_formats_of(doc_str(item->file, "path", "")));
    int r = source_read_blob(&k->store, item->file, SOURCE_FILE_MAX, &k->file, err);
    return r < 0 ? r : decode_header(k->decode, k->file.data, k->file.size, ret, err);
}

/* Size of the first picture that has one; colour if the first picture of any class has. */
static int find_shape(struct source *source, struct err *err)
{
    struct images *k = source->ctx;
    struct decode_image first = {0};
    int tried = 0, colours = 0;
    for (int64_t i = 0; i < source->samples && tried < FIRST_MAX; i++) {
        const bool is_new = i == 0 || k->items[i].label != k->items[i - 1].label;
        struct decode_image image;
        if ((first.height > 0 && !is_new) || colours == COLOURS_MAX) {
            continue;
        }
        tried++;
        if (read_header(k, &k->items[i], &image, err) < 0) {
            continue;
        }
        colours++;
        first = first.height == 0 ? image : first;
        k->channels = image.channels >= 3 ? 3 : k->channels;
    }
    if (first.height == 0) {
        char text[512];
        (void)snprintf(text, sizeof text, "%.500s", err != NULL ? err->text : "");
        return err_set(err, ERR_DATA,
                       "none of the first %d files of data set '%s' is a picture; the last one %s",
                       tried, k->store.dataset, text);
    }
    const struct op_spec x = {.dtype = DTYPE_U8,
                              .shape = {.rank = 3, .d = {first.height, first.width, k->channels}}};
    source_set_xy(source, ELEMENT_IMAGE, &x, true);
    return 0;
}

static int no_split(const struct images *k, struct err *err)
{
    char list[256] = "";
    struct part last = {"", 0};
    for (size_t i = 0; i < k->store.files->n; i++) {
        const struct part split = part_of(doc_str(&k->store.files->items[i], "path", ""), 0);
        if (split.n > 0 && (split.n != last.n || memcmp(split.text, last.text, split.n) != 0)) {
            const size_t used = strlen(list);
            (void)snprintf(list + used, sizeof list - used, "%s%.*s", used > 0 ? ", " : "",
                           (int)split.n, split.text);
            last = split;
        }
    }
    return err_set_at(err, ERR_MISSING, "split",
                      "data set '%s' has no pictures in %s/CLASS/; it has the folders %s",
                      k->store.dataset, k->store.split, list);
}

static int open_images(struct source *source, const struct source_store *store, struct arena *arena,
                       struct err *err)
{
    struct images *k = source->ctx;
    const int level = store->split != NULL || has_splits(store->files) ? 1 : 0;
    k->store = *store;
    k->channels = 1;
    k->decode = decode_create();
    int r = find_classes(k, level, arena, err);
    r = r < 0 ? r : find_items(source, level, arena, err);
    if (r == 0 && source->samples == 0 && store->split != NULL) {
        r = no_split(k, err);
    }
    if (r < 0 || source->samples == 0) {
        return r;
    }
    source->classes = k->classes;
    source->n_classes = k->n_classes;
    source->top_class =
        arena_printf(arena, "class %lld is the folder '%s'", (long long)k->n_classes - 1,
                     k->n_classes > 0 ? k->classes[k->n_classes - 1] : "");
    return find_shape(source, err);
}

static void close_images(struct source *source)
{
    struct images *k = source->ctx;
    decode_destroy(k->decode);
    k->decode = NULL;
    buf_fini(&k->file);
}

static int read_images(struct source *source, const struct stage_place *place,
                       const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call;
    struct images *k = source->ctx;
    const struct item *item = &k->items[place->position];
    struct decode_image image;
    decode_allow(k->decode, decode_formats_of(doc_str(item->file, "path", "")));
    int r = source_read_blob(&k->store, item->file, SOURCE_FILE_MAX, &k->file, err);
    r = r < 0 ? r : decode_run(k->decode, k->file.data, k->file.size, k->channels, &image, err);
    if (r < 0) {
        return r;
    }
    const struct tensor x = {.dtype = DTYPE_U8,
                             .shape = {.rank = 3, .d = {image.height, image.width, image.channels}},
                             .data = (void *)(uintptr_t)image.data};
    k->label = item->label;
    source_put_xy(ret, place->position, &x, &k->label);
    return 0;
}

static const char *path_images(const struct source *source, int64_t sample)
{
    const struct images *k = source->ctx;
    return doc_str(k->items[sample].file, "path", "?");
}

const struct source_desc source_images = {
    .name = "images",
    .summary = "JPEG, PNG, WebP, BMP and GIF files (told apart by content; first frame; EXIF "
               "orientation applied), a folder a class, class names in the "
               "order of their bytes. Folders such as "
               "`train/` and `val/` above the classes are splits. All pictures grey: one channel; "
               "else three.",
    .ctx_size = sizeof(struct images),
    .claims = claims,
    .open = open_images,
    .close = close_images,
    .read = read_images,
    .path = path_images,
};
