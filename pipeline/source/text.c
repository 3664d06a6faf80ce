/* text - text files: each a sample in the folder of its class, or a line a sample. */
#include <stdio.h>
#include <string.h>

#include "pipeline/format/lines.h"
#include "pipeline/format/utf8.h"
#include "pipeline/source/index.h"
#include "pipeline/source/labelled.h"
#include "pipeline/source/parts.h"

extern const struct source_desc source_text;

enum { TEXT_FILE, TEXT_LINE };
static const struct opt_name samples[] = {{"file", TEXT_FILE}, {"line", TEXT_LINE}, {NULL, 0}};

struct text_source {
    union {
        struct {
            LABELLED_FIELDS
        };
        struct labelled_options how;
    };
    int sample;
    bool skip_blank;
    struct source_store store;
    struct labelled files; /* TEXT_FILE */
    struct buf file;
    struct parts parts; /* TEXT_LINE */
    struct lines *lines;
    struct tensor_text text; /* of the last read */
};
static const struct opt options[] = {
    LABELLED_ROWS(text_source),
    OPT_ENUM_ROW(text_source, sample, TEXT_FILE, samples,
                 "What a sample is: a file, in the folder of its class, or a line of any file, "
                 "without a class."),
    OPT_BOOL_ROW(text_source, skip_blank, false, "Leave out lines of blanks alone."),
    OPT_END_ROW,
};
static const char *const endings[] = {".txt", ".text", NULL};
static const char *const line_endings[] = {".txt", ".text", ".txt.gz", ".txt.zst", NULL};

static bool is_text(const char *path)
{
    return parts_ends(path, endings);
}

static int open_files(struct source *source, struct arena *arena, struct err *err)
{
    struct text_source *k = source->ctx;
    k->files = (struct labelled){
        .options = &k->how, .store = &k->store, .takes = is_text, .what = "texts"};
    int r = labelled_open(&k->files, "text", arena, err);
    if (r == 0 && k->files.n > 0) {
        labelled_declare(&k->files, source);
    }
    return r;
}

static int open_lines(struct source *source, struct arena *arena, struct err *err)
{
    struct text_source *k = source->ctx;
    int r = parts_find(&k->parts, &k->store, line_endings, arena, err);
    k->lines = arena_array(arena, (size_t)k->parts.n + 1, sizeof *k->lines);
    for (int i = 0; i < k->parts.n && r == 0; i++) {
        r = parts_open(&k->parts, i, err);
        r = r < 0 ? r : index_lines(&k->parts, i, k->skip_blank, &k->lines[i], err);
        if (r == 0) {
            parts_count(&k->parts, i, (int64_t)lines_n(&k->lines[i]), source);
        }
    }
    return r;
}

static int open_text(struct source *source, const struct source_store *store, struct arena *arena,
                     struct err *err)
{
    struct text_source *k = source->ctx;
    k->store = *store;
    element_add(
        &source->spec,
        &(struct element_field){.name = "x", .kind = ELEMENT_TEXT, .spec = {.dtype = DTYPE_STR}});
    return k->sample == TEXT_FILE ? open_files(source, arena, err) : open_lines(source, arena, err);
}

static void close_text(struct source *source)
{
    struct text_source *k = source->ctx;
    for (int i = 0; i < k->parts.n && k->lines != NULL; i++) {
        lines_close(&k->lines[i]);
    }
    parts_close(&k->parts);
    buf_fini(&k->file);
}

static int read_file(struct text_source *k, int64_t item, struct err *err)
{
    int r = source_read_blob(&k->store, k->files.items[item].file, SOURCE_FILE_MAX, &k->file, err);
    const char *text = k->file.data != NULL ? k->file.data : "";
    const size_t bad = r < 0 ? 0 : utf8_good(text, k->file.size);
    if (r == 0 && bad < k->file.size) {
        return err_set(err, ERR_ENCODING, "byte %zu is no UTF-8", bad);
    }
    k->text = (struct tensor_text){.text = text, .n = k->file.size};
    return r;
}

static int read_text(struct source *source, const struct stage_place *place,
                     const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call;
    struct text_source *k = source->ctx;
    int r;
    if (k->sample == TEXT_FILE) {
        r = read_file(k, place->position, err);
        if (r == 0) {
            labelled_put(&k->files, place->position, source, ret);
        }
    } else {
        const int part = parts_of(&k->parts, place->position);
        r = lines_read(&k->lines[part], (size_t)(place->position - k->parts.v[part].first),
                       &k->text.text, &k->text.n, err);
    }
    ret->sample = place->position;
    ret->fields[0] = (struct tensor){.dtype = DTYPE_STR, .data = &k->text};
    return r;
}

static const char *path_text(const struct source *source, int64_t sample)
{
    const struct text_source *k = source->ctx;
    return k->sample == TEXT_FILE ? doc_str(k->files.items[sample].file, "path", "?")
                                  : k->parts.v[parts_of(&k->parts, sample)].path;
}

static int64_t offset_text(const struct source *source, int64_t sample)
{
    const struct text_source *k = source->ctx;
    if (k->sample == TEXT_FILE) {
        return 0;
    }
    const int part = parts_of(&k->parts, sample);
    return k->lines[part].begins.at[sample - k->parts.v[part].first];
}

const struct source_desc source_text = {
    .name = "text",
    .summary = "Text files in UTF-8: a file a sample in the folder of its class, as of Keras's "
               "`text_dataset_from_directory`, or a line a sample, as of tf.data's "
               "`TextLineDataset`. x is text, which goes into no batch as it is.",
    .options = options,
    .ctx_size = sizeof(struct text_source),
    .open = open_text,
    .close = close_text,
    .read = read_text,
    .path = path_text,
    .offset = offset_text,
};
