#include "pipeline/source/index.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/kept.h"

enum { FORM = 1 };
#define BYTES_A_BYTE 32 /* most that an index takes of a byte of its file */

struct found {
    struct kept *kept;
    char id[HASH_ID_TEXT];
    void *data; /* NULL: it is to be made */
    size_t size;
};

/* `how`: what else it depends on, besides the file. */
static int find(const struct parts *parts, int part, const char *what, const struct doc *how,
                struct found *ret)
{
    const struct part *p = &parts->v[part];
    struct arena arena;
    *ret = (struct found){.kept = parts->store->kept};
    if (ret->kept == NULL) {
        return ERR_NOT_FOUND;
    }
    arena_init(&arena);
    struct doc *of = doc_new(&arena);
    doc_set_map(of);
    doc_put_str(of, &arena, "blob", doc_str(p->file, "id", ""));
    doc_put_str(of, &arena, "path", p->path); /* its ending says whether it is packed */
    if (how != NULL) {
        doc_copy(doc_put(of, &arena, "how"), &arena, how);
    }
    kept_id(what, FORM, of, ret->id);
    arena_fini(&arena);
    const size_t max = ((size_t)p->in.size + 4096) * BYTES_A_BYTE;
    return kept_read(ret->kept, ret->id, max, &ret->data, &ret->size);
}

/* What was found is let go: `is_sound` = 0, it was of use. */
static void leave(struct found *found, bool is_sound)
{
    if (found->data != NULL && !is_sound) {
        found->kept->n_damaged++;
        kept_remove(found->kept, found->id);
    }
    free(found->data);
    found->data = NULL;
}

static void keep(const struct found *found, struct buf *text)
{
    if (found->kept != NULL) {
        (void)kept_put(found->kept, found->id, text->data, text->size, NULL);
    }
    buf_fini(text);
}

int index_lines(const struct parts *parts, int part, bool skips_blank, struct lines *ret,
                struct err *err)
{
    const struct doc how = {.type = DOC_BOOL, .b = skips_blank};
    const struct input *in = &parts->v[part].in;
    struct found found;
    const bool is_there = find(parts, part, "lines", &how, &found) == 0 &&
                          lines_load(ret, in, skips_blank, found.data, found.size);
    leave(&found, is_there);
    int r = is_there ? 0 : lines_open(ret, in, skips_blank, err);
    if (r == 0 && !is_there && found.kept != NULL) {
        struct buf text = {0};
        lines_save(ret, &text);
        keep(&found, &text);
    }
    return r;
}

int index_tfrecord(const struct parts *parts, int part, struct offsets *ret, struct err *err)
{
    const struct input *in = &parts->v[part].in;
    struct found found;
    const bool is_there = find(parts, part, "tfrecord", NULL, &found) == 0 &&
                          tfrecord_load(ret, in, found.data, found.size);
    leave(&found, is_there);
    int r = is_there ? 0 : tfrecord_index(ret, in, err);
    if (r == 0 && !is_there && found.kept != NULL) {
        struct buf text = {0};
        buf_put(&text, ret->at, ret->n * sizeof *ret->at);
        keep(&found, &text);
    }
    return r;
}

int index_tar(const struct parts *parts, int part, struct tar_index *ret, struct err *err)
{
    const struct input *in = &parts->v[part].in;
    struct found found;
    const bool is_there = find(parts, part, "tar", NULL, &found) == 0 &&
                          tar_index_load(ret, in, found.data, found.size);
    leave(&found, is_there);
    int r = is_there ? 0 : tar_index_build(ret, in, err);
    if (r == 0 && !is_there && found.kept != NULL) {
        struct buf text = {0};
        tar_index_save(ret, &text);
        keep(&found, &text);
    }
    return r;
}

static struct doc *csv_how(const struct csv_options *o, struct arena *arena)
{
    struct doc *how = doc_new(arena);
    doc_set_map(how);
    doc_put_int(how, arena, "delimiter", o->delimiter);
    doc_put_bool(how, arena, "header", o->has_header);
    doc_put_bool(how, arena, "takes_missing", o->takes_missing);
    doc_put_bool(how, arena, "takes_all", o->takes_all);
    if (o->takes_bad) {
        doc_put_bool(how, arena, "takes_bad", true);
    }
    struct doc *missing = doc_put(how, arena, "missing");
    doc_set_list(missing);
    for (size_t i = 0; o->missing != NULL && o->missing[i] != NULL; i++) {
        doc_set_str(doc_push(missing, arena), arena, o->missing[i]);
    }
    struct doc *types = doc_put(how, arena, "types");
    doc_set_list(types);
    for (size_t i = 0; o->columns != NULL && i < o->n_columns; i++) {
        doc_set_int(doc_push(types, arena), o->columns[i].type);
    }
    return how;
}

int index_csv(const struct parts *parts, int part, const struct csv_options *options,
              struct csv **ret, struct err *err)
{
    struct arena arena;
    struct found found;
    struct csv_options how = *options;
    arena_init(&arena);
    if (find(parts, part, "csv", csv_how(options, &arena), &found) == 0) {
        how.known = found.data;
        how.known_bytes = found.size;
    }
    arena_fini(&arena);
    int r = csv_open(&parts->v[part].in, &how, ret, err);
    const bool is_there = r == 0 && csv_was_known(*ret);
    leave(&found, r < 0 || is_there);
    if (r == 0 && !is_there && found.kept != NULL) {
        struct buf text = {0};
        csv_save(*ret, &text);
        keep(&found, &text);
    }
    return r;
}
