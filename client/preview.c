/* preview */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "client/commands.h"
#include "client/sheet.h"

enum { ROWS_MAX = 256, LABELS_SHOWN = 3, TEXTS_MAX = 1000 };

static size_t count(const struct doc *list)
{
    return list != NULL && list->type == DOC_LIST ? list->n : 0;
}

/* ---- the answer ------------------------------------------------------------------------------- */

static int read_field(const struct doc *doc, const struct sock_frame *frame,
                      struct sheet_field *ret, struct err *err)
{
    const struct doc *shape = doc_get(doc, "shape");
    const int dtype = dtype_find(doc_str(doc, "dtype", ""));
    if (dtype < 0 || dtype == DTYPE_STR || count(shape) > SHAPE_RANK_MAX) {
        return err_set(err, ERR_SYNTAX, "the daemon gave a field of an unknown type");
    }
    *ret = (struct sheet_field){.name = doc_str(doc, "name", "?"),
                                .kind = doc_str(doc, "kind", ""),
                                .dtype = (enum dtype)dtype,
                                .shape = {.rank = (int)count(shape)},
                                .data = frame->data,
                                .size = frame->size};
    for (int i = 0; i < ret->shape.rank; i++) {
        const struct doc *d = doc_at(shape, (size_t)i);
        ret->shape.d[i] = d->type == DOC_INT ? d->i : -1;
    }
    return 0;
}

static const char *class_name(const struct doc *answer, double number, struct arena *arena)
{
    const char *name = doc_str(doc_get(answer, "classes"), arena_printf(arena, "%.0f", number), NULL);
    return name != NULL ? name : arena_printf(arena, "%.6g", number);
}

static bool is_whole(const struct sheet_field *field)
{
    return field->dtype != DTYPE_F32 && field->dtype != DTYPE_F64;
}

/* Classes by their numbers (-1 fills up), or the one of the greatest probability; NULL: not there. */
static const char *label_text(const struct doc *answer, const struct sheet_field *field, int row,
                              struct arena *arena)
{
    const char *text = "";
    int64_t n = 0, best = 0, shown = 0;
    size_t bytes = 0;
    if (shape_count(&field->shape, &n) < 0 || n < 1 ||
        shape_bytes(&field->shape, field->dtype, &bytes) < 0 ||
        field->size / bytes <= (size_t)row) {
        return NULL;
    }
    const size_t at = (size_t)(row * n);
    for (int64_t i = 1; i < n && !is_whole(field); i++) {
        best = sheet_number(field, at + (size_t)i) > sheet_number(field, at + (size_t)best) ? i : best;
    }
    if (n > 1 && !is_whole(field)) {
        return class_name(answer, (double)best, arena);
    }
    for (int64_t i = 0; i < n && shown < LABELS_SHOWN; i++) {
        const double number = sheet_number(field, at + (size_t)i);
        if (n == 1 || number >= 0) {
            text = arena_printf(arena, "%s%s%s", text, shown++ > 0 ? ", " : "",
                                class_name(answer, number, arena));
        }
    }
    return text;
}

/* A field of as many labels as there are boxes names them. */
static void name_boxes(const struct doc *answer, struct sheet *sheet, struct sheet_field *boxes,
                       struct arena *arena)
{
    const size_t n = boxes->shape.rank == 2 && boxes->shape.d[0] > 0 ? (size_t)boxes->shape.d[0] : 0;
    const size_t all = n * (size_t)sheet->n_rows;
    for (int i = 0; i < sheet->n_fields && n > 0 && n <= TEXTS_MAX; i++) {
        const struct sheet_field *label = &sheet->fields[i];
        if (strcmp(label->kind, "label") != 0 || label->shape.rank != 1 || !is_whole(label) ||
            label->shape.d[0] != boxes->shape.d[0] ||
            label->size / dtype_bytes(label->dtype) < all) {
            continue;
        }
        const char **texts = arena_array(arena, all + 1, sizeof *texts);
        for (size_t k = 0; k < all; k++) {
            texts[k] = class_name(answer, sheet_number(label, k), arena);
        }
        boxes->texts = texts;
        return;
    }
}

/* What the source was asked for: data.train.source: {coco: {bounding_box_format: xywh}}. */
static enum sheet_boxes boxes_of(const struct doc *doc)
{
    static const struct {
        const char *name;
        enum sheet_boxes form;
    } rows[] = {{"xywh", SHEET_CORNER_SIZE}, {"center_xywh", SHEET_CENTER_SIZE}};
    const char *form = doc != NULL ? doc_str(doc, "bounding_box_format", NULL) : NULL;
    for (size_t i = 0; form != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, form) == 0) {
            return rows[i].form;
        }
    }
    return form == NULL && doc != NULL && doc->type == DOC_MAP && doc->n == 1
               ? boxes_of(&doc->pairs[0].value)
               : SHEET_CORNERS;
}

static const char *caption(const struct doc *answer, const struct sheet *sheet, int row,
                           struct arena *arena)
{
    const struct doc *samples = doc_get(answer, "samples");
    const char *text = "";
    int n = 0;
    for (int i = 0; i < sheet->n_fields && sheet->ok[row]; i++) {
        const struct sheet_field *field = &sheet->fields[i];
        const bool is_label =
            strcmp(field->kind, "label") == 0 ||
            (field->shape.rank == 0 && strcmp(field->kind, "text") != 0);
        const char *label = is_label && n < LABELS_SHOWN ? label_text(answer, field, row, arena) : NULL;
        if (label != NULL) {
            text = arena_printf(arena, "%s%s%s", text, n++ > 0 ? ", " : "", label);
        }
    }
    return (size_t)row < count(samples)
               ? arena_printf(arena, "%s\n#%lld", text, (long long)doc_at(samples, (size_t)row)->i)
               : text;
}

static int read_sheet(const struct cli *cli, const struct doc *answer,
                      const struct sock_frame *frames, int n_frames, struct arena *arena,
                      struct sheet *ret, struct err *err)
{
    const struct doc *list = doc_get(answer, "frames"), *ok = doc_get(answer, "ok");
    const int64_t rows = doc_int(answer, "rows", -1);
    if (count(list) != (size_t)n_frames || rows < 0 || rows > ROWS_MAX) {
        return err_set(err, ERR_SYNTAX, "the daemon's answer has %d frames for %zu fields", n_frames,
                       count(list));
    }
    struct sheet_field *fields = arena_array(arena, (size_t)n_frames + 1, sizeof *fields);
    const char **captions = arena_array(arena, (size_t)rows + 1, sizeof *captions);
    bool *good = arena_array(arena, (size_t)rows + 1, sizeof *good);
    *ret = (struct sheet){.fields = fields, .n_fields = n_frames, .n_rows = (int)rows, .ok = good,
                          .captions = captions};
    for (int i = 0; i < n_frames; i++) {
        int rc = read_field(doc_at(list, (size_t)i), &frames[i], &fields[i], err);
        if (rc < 0) {
            return rc;
        }
    }
    for (int i = 0; i < n_frames; i++) {
        if (strcmp(fields[i].kind, "boxes") == 0) {
            const char *path = arena_printf(arena, "data.%s.source", doc_str(answer, "stream", "?"));
            fields[i].boxes = boxes_of(doc_find(cli->job_file.doc, path));
            name_boxes(answer, ret, &fields[i], arena);
        }
    }
    for (int i = 0; i < (int)rows; i++) {
        good[i] = (size_t)i >= count(ok) || doc_at(ok, (size_t)i)->b;
        captions[i] = caption(answer, ret, i, arena);
    }
    ret->title = arena_printf(arena, "%s: %s, epoch %lld, from step %lld of %lld",
                              doc_str(cli->job_file.doc, "name", "job"),
                              doc_str(answer, "stream", "?"),
                              (long long)doc_int(answer, "epoch", 0),
                              (long long)doc_int(answer, "step", 0),
                              (long long)doc_int(answer, "steps", 0));
    return 0;
}

/* ---- the file --------------------------------------------------------------------------------- */

static int write_file(const char *path, const struct buf *png, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char folder[4096] = ".";
    if (strcmp(path, "-") == 0) {
        return file_write_all(STDOUT_FILENO, png->data, png->size, err);
    }
    if (slash != NULL) {
        (void)snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    }
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_at(err, ERR_NOT_FOUND, path, "there is no folder '%s'", folder);
    }
    const char *name = slash != NULL ? slash + 1 : path;
    int rc = file_write_atomic(fd, name, png->data, png->size, err);
    const mode_t mask = umask(0);
    (void)umask(mask);
    if (rc >= 0 && fchmodat(fd, name, 0666 & ~mask, 0) != 0) {
        rc = err_errno(err, errno, "the mode of '%s'", path);
    }
    close(fd);
    return rc;
}

static void print(struct cli *cli, const struct doc *answer, const struct sheet *sheet,
                  const char *note)
{
    const struct doc *bad = doc_get(answer, "bad");
    struct buf out = {0};
    buf_printf(&out, "%s: %d row%s; %s\n%s\n", cli->options.output, sheet->n_rows,
               sheet->n_rows == 1 ? "" : "s", sheet->title, note);
    for (size_t i = 0; i < count(bad); i++) {
        const struct doc *row = doc_at(bad, i);
        buf_printf(&out, "%sbad%s row %lld: %s: %s\n", cli->term.red, cli->term.plain,
                   (long long)doc_int(row, "row", 0), doc_str(row, "path", "?"),
                   doc_str(row, "reason", "?"));
    }
    cli_print(&out);
    buf_fini(&out);
}

static void print_json(const struct cli *cli, const struct doc *answer, const char *note,
                       struct arena *arena)
{
    struct doc *map = doc_new(arena);
    doc_copy(map, arena, answer);
    doc_put_str(map, arena, "sheet", cli->options.output);
    doc_put_str(map, arena, "note", note);
    cli_print_json(map);
}

static int draw(struct cli *cli, const struct doc *answer, const struct sheet *sheet,
                struct err *err)
{
    const bool is_stdout = strcmp(cli->options.output, "-") == 0;
    struct canvas canvas = {0};
    struct buf png = {0};
    int rc = sheet_draw(sheet, &cli->arena, &canvas, err);
    rc = rc < 0 ? rc : canvas_png(&canvas, &png, err);
    rc = rc < 0 ? rc : write_file(cli->options.output, &png, err);
    const char *note = sheet_note(sheet, &cli->arena);
    if (rc >= 0 && cli->options.json) {
        print_json(cli, answer, note, &cli->arena);
    } else if (rc >= 0 && !cli->options.quiet && !is_stdout) {
        print(cli, answer, sheet, note);
    }
    canvas_fini(&canvas);
    buf_fini(&png);
    return rc;
}

int preview_command(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    struct sock_frame frames[SOCK_FRAMES_MAX];
    struct sheet sheet;
    int n_frames = SOCK_FRAMES_MAX;
    if (cli->options.json && strcmp(cli->options.output, "-") == 0) {
        return err_set(err, ERR_USAGE, "--output - and --json both write to standard output");
    }
    int rc = job_prepare(cli, err);
    rc = rc < 0 ? rc : cli_connect(cli, err);
    if (rc < 0) {
        return rc;
    }
    const struct msg_pipeline_preview body = {.job = cli->job_file.doc,
                                              .stream = cli->options.stream,
                                              .epoch = cli->options.epoch,
                                              .step = cli->options.step,
                                              .rows = cli->options.samples};
    rc = millrace_request_frames(cli->connection, MSG_PIPELINE_PREVIEW, &body, &cli->arena, &answer,
                                 frames, &n_frames, err);
    rc = rc < 0 ? rc : read_sheet(cli, answer, frames, n_frames, &cli->arena, &sheet, err);
    return rc < 0 ? rc : draw(cli, answer, &sheet, err);
}
