#include "daemon/upload_list.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "daemon/blob.h"
#include "proto/msg.h"

enum { NAME_MAX_BYTES = 64, PATH_MAX_BYTES = 1024, PART_MAX_BYTES = 255, PIECE_BYTES = 64 << 10 };

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

static bool ends_in(const char *path, const char *const *endings)
{
    for (; *endings != NULL; endings++) {
        if (ends_with(path, *endings)) {
            return true;
        }
    }
    return false;
}

static bool is_image(const char *path)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", NULL};
    return ends_in(path, endings);
}

/* What else a source reads. The daemon does not look into files: which source it is, the worker
 * finds. */
static bool is_data(const char *path)
{
    static const char *const endings[] = {
        ".npy",   ".txt", ".text", ".npz", ".bin",      ".csv",       ".tsv",   ".jsonl", ".ndjson",
        ".tfrec", ".tar", ".tgz",  ".gz",  ".zst",      ".h5",        ".hdf5",  ".wav",   ".flac",
        ".ogg",   ".oga", ".opus", ".avi", ".tfrecord", ".tfrecords", ".saved", NULL};
    return ends_in(path, endings) || strstr(path, ".tfrecord-") != NULL;
}

/* Beside the data, and none of it. */
static bool is_aside(const char *path)
{
    static const char *const endings[] = {".md", "/license", "/readme", NULL};
    const char *slash = strrchr(path, '/');
    return (slash != NULL ? slash[1] : path[0]) == '.' || ends_in(path, endings) ||
           path[strlen(path) - 1] == '/';
}

static bool is_idx(const char *path)
{
    return ends_with(path, "-ubyte") || ends_with(path, "-ubyte.gz") || ends_with(path, ".idx") ||
           ends_with(path, ".idx.gz");
}

/* A relative path of plain parts: no "", ".", "..", no control bytes. */
bool upload_list_is_path(const char *path)
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

int upload_list_by_path(const void *a, const void *b)
{
    return strcmp(((const struct upload_file *)a)->path, ((const struct upload_file *)b)->path);
}

int upload_list_check_name(const char *name, struct err *err)
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
    if (!upload_list_is_path(ret->path)) {
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

static int add_file(const struct doc *item, const struct settings *settings, struct arena *arena,
                    struct upload_list *ret, struct err *err)
{
    struct upload_file *file = &ret->files[ret->n];
    int rc = read_file(item, ret->n > 0 ? file[-1].path : NULL, file, err);
    if (rc < 0) {
        return rc;
    }
    if (file->bytes > settings->max_dataset_bytes - ret->bytes) {
        return err_set_at(err, ERR_LIMIT, file->path,
                          "the data set is larger than max_dataset_bytes = %lld",
                          (long long)settings->max_dataset_bytes);
    }
    file->path = arena_strdup(arena, file->path);
    file->id = arena_strdup(arena, file->id);
    ret->bytes += file->bytes;
    ret->n++;
    return 0;
}

/* One frame; the documents that it is read into live in an arena of their own. */
static int read_frame(const struct sock_frame *frame, const struct settings *settings,
                      struct arena *arena, struct arena *scratch, size_t *capacity,
                      struct upload_list *ret, struct err *err)
{
    struct doc_limits limits = {
        .depth = 3, .nodes = (size_t)settings->max_dataset_files * 4 + 16, .bytes = 64u << 20};
    struct doc *items = NULL;
    int rc = msg_read_doc(frame->data, frame->size, &limits, scratch, &items, err);
    if (rc < 0) {
        return rc;
    }
    if (items->type != DOC_LIST) {
        return err_set_at(err, ERR_INVALID, "files", "a list of {path, bytes, id} is expected");
    }
    if (items->n > (size_t)settings->max_dataset_files - ret->n) {
        return err_set_at(err, ERR_LIMIT, "files", "more files than max_dataset_files = %lld",
                          (long long)settings->max_dataset_files);
    }
    if (ret->n + items->n > *capacity) { /* twice as much: what is left behind is as much again */
        *capacity = ret->n + items->n > 2 * *capacity ? ret->n + items->n : 2 * *capacity;
        struct upload_file *files = arena_array(arena, *capacity, sizeof(ret->files[0]));
        if (ret->n > 0) {
            memcpy(files, ret->files, ret->n * sizeof(ret->files[0]));
        }
        ret->files = files;
    }
    for (size_t i = 0; i < items->n && rc >= 0; i++) {
        rc = add_file(&items->items[i], settings, arena, ret, err);
    }
    return rc;
}

static const char *const kinds[] = {
    "auto",
#define KIND_ROW(name) #name,
#include "daemon/source_kinds.h"
#undef KIND_ROW
};
enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* The name as the table has it. */
static int check_kind(const char *kind, const char **ret, struct err *err)
{
    char list[300] = "";
    for (size_t i = 0; i < N_KINDS; i++) {
        const size_t used = strlen(list);
        if (strcmp(kinds[i], kind) == 0) {
            *ret = kinds[i];
            return 0;
        }
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", kinds[i]);
    }
    const char *near = err_nearest(kind, kinds, N_KINDS);
    return err_set_at(err, ERR_UNKNOWN, "kind", "'%.64s' is no kind of data set%s%s%s (%s)", kind,
                      near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                      near != NULL ? "'?" : "", list);
}

/* IDX wins, because a folder of IDX files may hold a picture for the readers. What is named is
 * taken by its name: whether the files are such ones the source finds. */
static int find_kind(struct upload_list *list, const char *kind, struct err *err)
{
    size_t n_images = 0, n_idx = 0, n_data = 0, n_aside = 0;
    for (size_t i = 0; i < list->n; i++) {
        const char *path = list->files[i].path;
        n_images += is_image(path);
        n_idx += is_idx(path);
        n_data += is_data(path);
        n_aside += is_aside(path);
    }
    list->kind = n_idx > 0 ? "idx" : n_images + n_aside == list->n ? "images" : "auto";
    if (kind != NULL && strcmp(kind, "auto") != 0) {
        return check_kind(kind, &list->kind, err);
    }
    if (n_images == 0 && n_data + n_idx == 0) {
        return err_set_at(err, ERR_INVALID, "files",
                          "no file ends in .jpg, .png, .webp, -ubyte[.gz], .npy, .npz, .csv, "
                          ".jsonl, .tfrecord, .tar, .wav, .avi or what else a source reads; "
                          "--kind says what they are");
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

const char *upload_list_split(const struct upload_list *list, const struct upload_file *file)
{
    return file_split(file, strcmp(list->kind, "idx") == 0);
}

/* Counts what belongs to the kind. Folders keep their own names ("validation"), IDX files get the
 * usual ones. */
static void find_splits(struct upload_list *list, struct arena *arena)
{
    bool idx = strcmp(list->kind, "idx") == 0;
    bool all = !idx && strcmp(list->kind, "images") != 0;
    struct doc *map = doc_new(arena);
    doc_set_map(map);
    for (size_t i = 0; i < list->n; i++) {
        if (!(all || (idx ? is_idx(list->files[i].path) : is_image(list->files[i].path)))) {
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

int upload_list_finish(struct upload_list *list, const char *name, const char *kind,
                       struct arena *arena, struct err *err)
{
    int rc = upload_list_check_name(name, err);
    rc = rc < 0 ? rc : find_kind(list, kind, err);
    if (rc < 0) {
        return rc;
    }
    list->name = arena_strdup(arena, name);
    find_splits(list, arena);
    return 0;
}

int upload_list_read(const struct sock_frame *frames, int n_frames, const char *name,
                     const char *kind, const struct settings *settings, struct arena *arena,
                     struct upload_list *ret, struct err *err)
{
    struct arena scratch;
    size_t capacity = 0;
    memset(ret, 0, sizeof(*ret));
    arena_init(&scratch);
    int rc = 0;
    for (int i = 0; i < n_frames && rc >= 0; i++) {
        arena_reset(&scratch);
        rc = read_frame(&frames[i], settings, arena, &scratch, &capacity, ret, err);
    }
    arena_fini(&scratch);
    if (rc >= 0 && ret->n == 0) {
        rc = err_set_at(err, ERR_INVALID, "files", "a list of {path, bytes, id} is expected");
    }
    return rc < 0 ? rc : upload_list_finish(ret, name, kind, arena, err);
}

/* ---- the manifest ---- */

struct writer {
    struct hash hash;
    struct buf text;
    upload_list_fn *fn;
    void *context;
};

static int flush(struct writer *writer, struct err *err)
{
    int rc = writer->fn != NULL
                 ? writer->fn(writer->context, writer->text.data, writer->text.size, err)
                 : 0;
    hash_update(&writer->hash, writer->text.data, writer->text.size);
    buf_clear(&writer->text);
    return rc;
}

static void write_file(const struct upload_list *list, size_t i, struct arena *arena,
                       struct buf *out)
{
    const struct upload_file *file = &list->files[i];
    arena_reset(arena);
    struct doc *map = doc_new(arena);
    doc_set_map(map);
    doc_put_str(map, arena, "path", file->path);
    doc_put_int(map, arena, "bytes", file->bytes);
    doc_put_str(map, arena, "id", file->id);
    if (list->place != NULL) {
        place_stamp_put(&list->stamps[i], map, arena);
    }
    if (list->n_shards > 0) {
        doc_put_int(map, arena, "shard", list->parts[i].shard);
        doc_put_int(map, arena, "offset", list->parts[i].offset);
    }
    doc_write_canonical(map, out);
}

static void write_end(const struct upload_list *list, struct arena *arena, struct buf *out)
{
    buf_printf(out, "],\"kind\":\"%s\"", list->kind);
    arena_reset(arena);
    struct doc *doc = doc_new(arena);
    if (list->place != NULL) {
        doc_set_str(doc, arena, list->place);
        buf_puts(out, ",\"place\":");
        doc_write_canonical(doc, out);
    }
    if (list->n_shards > 0) {
        doc_set_list(doc);
        for (size_t i = 0; i < list->n_shards; i++) {
            struct doc *shard = doc_push(doc, arena);
            doc_set_map(shard);
            doc_put_str(shard, arena, "path", list->shards[i].path);
            doc_put_int(shard, arena, "bytes", list->shards[i].bytes);
            doc_put_str(shard, arena, "id", list->shards[i].id);
        }
        buf_puts(out, ",\"shards\":");
        doc_write_canonical(doc, out);
    }
    buf_puts(out, "}");
}

int upload_list_manifest(const struct upload_list *list, upload_list_fn *fn, void *context,
                         char id[65], struct err *err)
{
    struct writer writer = {.fn = fn, .context = context};
    struct arena arena;
    int rc = 0;
    arena_init(&arena);
    buf_init(&writer.text);
    hash_init(&writer.hash);
    buf_puts(&writer.text, "{\"files\":[");
    for (size_t i = 0; i < list->n && rc >= 0; i++) {
        buf_puts(&writer.text, i > 0 ? "," : "");
        write_file(list, i, &arena, &writer.text);
        rc = writer.text.size > PIECE_BYTES ? flush(&writer, err) : 0;
    }
    write_end(list, &arena, &writer.text);
    rc = rc < 0 ? rc : flush(&writer, err);
    hash_final(&writer.hash, id);
    buf_fini(&writer.text);
    arena_fini(&arena);
    return rc;
}
