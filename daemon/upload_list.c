#include "daemon/upload_list.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "daemon/blob.h"
#include "proto/msg.h"

enum { NAME_MAX_BYTES = 64, PATH_MAX_BYTES = 1024, PART_MAX_BYTES = 255 };

struct split_name {
    const char *word; /* a folder's name, or the beginning of an IDX file's */
    const char *split;
};
static const struct split_name split_names[] = {
    {"train", "train"}, {"training", "train"}, {"test", "test"},      {"t10k", "test"},
    {"val", "val"},     {"valid", "val"},      {"validation", "val"},
};
enum { N_SPLIT_NAMES = sizeof(split_names) / sizeof(split_names[0]) };

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && !strcasecmp(text + n - m, end);
}

static bool is_image(const char *path)
{
    return ends_with(path, ".jpg") || ends_with(path, ".jpeg") || ends_with(path, ".png");
}

static bool is_idx(const char *path)
{
    return ends_with(path, "-ubyte") || ends_with(path, "-ubyte.gz") || ends_with(path, ".idx") ||
           ends_with(path, ".idx.gz");
}

/* A relative path of plain parts: no "", ".", "..", no control bytes. */
static bool is_path(const char *path)
{
    if (*path == '\0' || strlen(path) > PATH_MAX_BYTES) {
        return false;
    }
    for (const char *part = path;; part += strcspn(part, "/") + 1) {
        size_t n = strcspn(part, "/");
        if (n == 0 || n > PART_MAX_BYTES || (n <= 2 && !strncmp(part, "..", n))) {
            return false;
        }
        if (part[n] == '\0') {
            break;
        }
    }
    for (const char *c = path; *c != '\0'; c++) {
        if (iscntrl((unsigned char)*c) || *c == '\\') {
            return false;
        }
    }
    return true;
}

static int check_name(const char *name, struct err *err)
{
    size_t n = name != NULL ? strlen(name) : 0;
    if (n == 0 || n > NAME_MAX_BYTES || !isalnum((unsigned char)name[0])) {
        return err_set_at(err, ERR_INVALID, "name",
                          "a data set's name has 1 to 64 letters, digits and ._-");
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL) {
            return err_set_at(err, ERR_INVALID, "name",
                              "'%s': a data set's name has letters, digits and ._-", name);
        }
    }
    return 0;
}

static int read_file(const struct doc *item, const char *before, struct upload_file *ret,
                     struct err *err)
{
    ret->path = doc_str(item, "path", "");
    ret->id = doc_str(item, "id", "");
    ret->bytes = doc_int(item, "bytes", -1);
    if (!is_path(ret->path)) {
        return err_set_at(err, ERR_INVALID, "files",
                          "'%.100s' is not a relative path of plain names", ret->path);
    }
    if (before != NULL && strcmp(before, ret->path) >= 0) {
        return err_set_at(err, ERR_INVALID, ret->path,
                          "the list must be sorted by path, each path once");
    }
    if (!blob_is_id(ret->id)) {
        return err_set_at(err, ERR_INVALID, ret->path, "the id must be 64 lower-case hex digits");
    }
    if (ret->bytes < 0) {
        return err_set_at(err, ERR_INVALID, ret->path, "the size in bytes is missing");
    }
    return 0;
}

static int read_files(const struct doc *items, const struct settings *settings, struct arena *arena,
                      struct upload_list *ret, struct err *err)
{
    ret->files = arena_array(arena, items->n, sizeof(ret->files[0]));
    ret->n = items->n;
    for (size_t i = 0; i < items->n; i++) {
        int rc =
            read_file(&items->items[i], i > 0 ? ret->files[i - 1].path : NULL, &ret->files[i], err);
        if (rc < 0) {
            return rc;
        }
        if (ret->files[i].bytes > settings->max_dataset_bytes - ret->bytes) {
            return err_set_at(err, ERR_LIMIT, ret->files[i].path,
                              "the data set is larger than max_dataset_bytes = %lld",
                              (long long)settings->max_dataset_bytes);
        }
        ret->bytes += ret->files[i].bytes;
    }
    return 0;
}

/* IDX wins, because a folder of IDX files may hold a picture for the readers. */
static int find_kind(struct upload_list *list, const char *kind, struct err *err)
{
    static const char *const kinds[] = {"auto", "idx", "images"};
    size_t n_images = 0;
    size_t n_idx = 0;
    for (size_t i = 0; i < list->n; i++) {
        n_images += is_image(list->files[i].path);
        n_idx += is_idx(list->files[i].path);
    }
    list->kind = n_idx > 0 ? "idx" : "images";
    if (kind != NULL && strcmp(kind, "auto") != 0) {
        if (strcmp(kind, "idx") != 0 && strcmp(kind, "images") != 0) {
            const char *near = err_nearest(kind, kinds, 3);
            return err_set_at(err, ERR_UNKNOWN, "kind",
                              "'%s' is no kind of data set%s%s (auto, idx, images)", kind,
                              near != NULL ? "; the nearest is " : "", near != NULL ? near : "");
        }
        list->kind = strcmp(kind, "idx") == 0 ? "idx" : "images";
    }
    if (strcmp(list->kind, "images") == 0 ? n_images == 0 : list->n == 0) {
        return err_set_at(err, ERR_INVALID, "files",
                          "no file ends in .jpg, .jpeg, .png or -ubyte[.gz]");
    }
    return 0;
}

static const char *file_split(const struct upload_file *file, bool idx)
{
    const char *slash = strrchr(file->path, '/');
    const char *word = idx && slash != NULL ? slash + 1 : file->path;
    size_t n = strcspn(word, idx ? "-_." : "/");
    for (int i = 0; i < N_SPLIT_NAMES; i++) {
        if (strlen(split_names[i].word) == n && !strncasecmp(word, split_names[i].word, n)) {
            return idx ? split_names[i].split : split_names[i].word;
        }
    }
    return "all";
}

/* Counts what belongs to the kind. Folders keep their own names ("validation"), IDX files get the
 * usual ones. */
static void find_splits(struct upload_list *list, struct arena *arena)
{
    bool idx = strcmp(list->kind, "idx") == 0;
    struct doc *map = doc_new(arena);
    doc_set_map(map);
    for (size_t i = 0; i < list->n; i++) {
        if (!(idx ? is_idx(list->files[i].path) : is_image(list->files[i].path))) {
            continue;
        }
        const char *split = file_split(&list->files[i], idx);
        doc_put_int(map, arena, split, doc_int(map, split, 0) + 1);
    }
    struct buf text;
    buf_init(&text);
    doc_write_json(map, 0, &text);
    list->splits = arena_strdup(arena, text.data);
    buf_fini(&text);
}

int upload_list_read(const void *data, size_t size, const char *name, const char *kind,
                     const struct settings *settings, struct arena *arena, struct upload_list *ret,
                     struct err *err)
{
    struct doc_limits limits = {
        .depth = 3, .nodes = (size_t)settings->max_dataset_files * 4 + 16, .bytes = 64u << 20};
    struct doc *items = NULL;
    memset(ret, 0, sizeof(*ret));
    int rc = check_name(name, err);
    if (rc >= 0) {
        rc = msg_read_doc(data, size, &limits, arena, &items, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (items->type != DOC_LIST || items->n == 0) {
        return err_set_at(err, ERR_INVALID, "files", "a list of {path, bytes, id} is expected");
    }
    if (items->n > (size_t)settings->max_dataset_files) {
        return err_set_at(err, ERR_LIMIT, "files", "%zu files; max_dataset_files is %lld", items->n,
                          (long long)settings->max_dataset_files);
    }
    rc = read_files(items, settings, arena, ret, err);
    if (rc >= 0) {
        rc = find_kind(ret, kind, err);
    }
    if (rc < 0) {
        return rc;
    }
    ret->name = arena_strdup(arena, name);
    find_splits(ret, arena);
    return 0;
}

void upload_list_manifest(const struct upload_list *list, struct arena *arena, struct doc *map,
                          char id[65])
{
    doc_set_map(map);
    doc_put_str(map, arena, "kind", list->kind);
    struct doc *files = doc_put(map, arena, "files");
    doc_set_list(files);
    for (size_t i = 0; i < list->n; i++) {
        struct doc *file = doc_push(files, arena);
        doc_set_map(file);
        doc_put_str(file, arena, "path", list->files[i].path);
        doc_put_int(file, arena, "bytes", list->files[i].bytes);
        doc_put_str(file, arena, "id", list->files[i].id);
    }
    struct buf text;
    buf_init(&text);
    doc_write_canonical(map, &text);
    hash_bytes(text.data, text.size, id);
    buf_fini(&text);
}
