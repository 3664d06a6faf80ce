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

enum { ROWS_MAX = 256, LABELS_SHOWN = 3 };

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

/* A class by its number, or by the greatest of its probabilities; NULL: not there. */
static const char *label_text(const struct doc *answer, const struct sheet_field *field, int row,
                              struct arena *arena)
{
    int64_t n = 0, best = 0;
    size_t bytes = 0;
    if (shape_count(&field->shape, &n) < 0 || n < 1 ||
        shape_bytes(&field->shape, field->dtype, &bytes) < 0 ||
        field->size / bytes <= (size_t)row) {
        return NULL;
    }
    for (int64_t i = 1; i < n; i++) {
        const size_t at = (size_t)(row * n);
        best = sheet_number(field, at + (size_t)i) > sheet_number(field, at + (size_t)best) ? i : best;
    }
    const double number = n > 1 ? (double)best : sheet_number(field, (size_t)row);
    const char *name = doc_str(doc_get(answer, "classes"), arena_printf(arena, "%.0f", number), NULL);
    return name != NULL ? name : arena_printf(arena, "%.6g", number);
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
