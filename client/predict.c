/* predict */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "client/commands.h"
#include "client/picture.h"
#include "client/show.h"

enum { FILES_AT_ONCE = 32, FILE_BYTES_MAX = 32 << 20, ALL_BYTES_MAX = 48 << 20, PICTURES_MAX = 64 };

struct prediction {
    const char *name; /* file, or "row 12" */
    int64_t label;    /* -1 unknown */
    size_t best;
    double probability;
};

/* ---- asking
 * -------------------------------------------------------------------------------------- */

/* The validation stream of the job, else the training stream, unless told otherwise. */
static int choose_dataset(struct cli *cli, struct msg_job_predict *body, struct err *err)
{
    const struct msg_named named = {.name = cli->words[0]};
    const struct doc *job = NULL;
    if (cli->options.dataset != NULL) {
        body->dataset = cli->options.dataset;
        body->split = cli->options.split;
        return 0;
    }
    int rc = cli_ask(cli, MSG_JOB_SHOW, &named, &job, err);
    const struct doc *stream = rc >= 0 ? doc_find(job, "plan.streams.validation") : NULL;
    stream = rc >= 0 && stream == NULL ? doc_find(job, "plan.streams.train") : stream;
    if (rc >= 0 && stream == NULL) {
        return err_set(err, ERR_MISSING, "name the data set with --dataset, or files");
    }
    body->dataset = rc >= 0 ? doc_str(stream, "dataset", NULL) : NULL;
    body->split = rc < 0                       ? NULL
                  : cli->options.split != NULL ? cli->options.split
                                               : doc_str(stream, "split", NULL);
    return rc;
}

static int ask_rows(struct cli *cli, const struct doc **ret, struct err *err)
{
    struct msg_job_predict body = {.name = cli->words[0], .rows = cli->options.rows};
    int rc = choose_dataset(cli, &body, err);
    return rc < 0 ? rc : cli_ask(cli, MSG_JOB_PREDICT, &body, ret, err);
}

static int ask_files(struct cli *cli, int begin, int n, const struct doc **ret, struct err *err)
{
    const struct msg_job_predict body = {.name = cli->words[0]};
    struct buf files[FILES_AT_ONCE] = {{0}};
    struct sock_frame frames[FILES_AT_ONCE];
    size_t total = 0;
    int rc = cli_connect(cli, err);
    for (int i = 0; i < n && rc >= 0; i++) {
        rc = file_read(AT_FDCWD, cli->words[begin + i], FILE_BYTES_MAX, &files[i], err);
        total += files[i].size;
        frames[i] = (struct sock_frame){.data = files[i].data, .size = files[i].size};
        if (rc >= 0 && total > ALL_BYTES_MAX) {
            rc = err_set(err, ERR_LIMIT, "the files hold more than 48 MiB; give fewer at once");
        }
    }
    rc = rc < 0 ? rc
                : millrace_request(cli->connection, MSG_JOB_PREDICT, &body, frames, n, &cli->arena,
                                   ret, err);
    for (int i = 0; i < n; i++) {
        buf_fini(&files[i]);
    }
    return rc < 0 ? rc : 0;
}

/* ---- showing
 * ------------------------------------------------------------------------------------- */

static const char *class_name(const struct doc *answer, size_t index, struct arena *arena)
{
    const struct doc *classes = doc_get(answer, "classes");
    const struct doc *name = classes != NULL && classes->type == DOC_LIST && index < classes->n
                                 ? doc_at(classes, index)
                                 : NULL;
    return name != NULL && name->type == DOC_STR ? name->str : arena_printf(arena, "%zu", index);
}

static struct prediction best_of(const struct doc *row)
{
    struct prediction ret = {.label = -1, .probability = -1e300};
    for (size_t i = 0; row->type == DOC_LIST && i < row->n; i++) {
        const struct doc *value = doc_at(row, i);
        if (doc_is_number(value) && doc_number(value) > ret.probability) {
            ret.probability = doc_number(value);
            ret.best = i;
        }
    }
    return ret;
}

/* Pictures come as one text of bytes each, `picture_shape` says how many rows and columns. */
static bool get_picture(const struct doc *answer, size_t index, struct picture *ret)
{
    const struct doc *shape = doc_get(answer, "picture_shape");
    const struct doc *list = doc_get(answer, "pictures");
    const struct doc *bytes =
        list != NULL && list->type == DOC_LIST && index < list->n ? doc_at(list, index) : NULL;
    if (bytes == NULL || bytes->type != DOC_BIN || shape == NULL || shape->type != DOC_LIST ||
        shape->n != 2) {
        return false;
    }
    const struct doc *height = doc_at(shape, 0);
    const struct doc *width = doc_at(shape, 1);
    if (height->type != DOC_INT || width->type != DOC_INT || height->i < 1 || width->i < 1 ||
        height->i > PICTURE_MAX || width->i > PICTURE_MAX ||
        bytes->n != (size_t)(height->i * width->i)) {
        return false;
    }
    *ret = (struct picture){.height = (int)height->i,
                            .width = (int)width->i,
                            .pixels = (const unsigned char *)bytes->str};
    return true;
}

static void show_pictures(struct cli *cli, const struct doc *answer, const struct prediction *all,
                          size_t n)
{
    struct picture pictures[PICTURES_MAX];
    struct buf out = {0};
    int count = 0;
    for (size_t i = 0; i < n && count < PICTURES_MAX; i++) {
        if (get_picture(answer, i, &pictures[count])) {
            pictures[count++].caption = arena_printf(&cli->arena, "%s  %.1f %%",
                                                     class_name(answer, all[i].best, &cli->arena),
                                                     100 * all[i].probability);
        }
    }
    if (count > 0 && !cli->options.quiet) {
        picture_draw(pictures, count, term_width(), cli->term.utf8, &out);
        buf_puts(&out, "\n");
        cli_print(&out);
    }
    buf_fini(&out);
}

static void show(struct cli *cli, const struct doc *answer, const char *const *names,
                 size_t n_names)
{
    const struct doc *rows = doc_get(answer, "predictions");
    const struct doc *labels = doc_get(answer, "labels");
    size_t n = rows != NULL && rows->type == DOC_LIST ? rows->n : 0;
    struct prediction *all = arena_array(&cli->arena, n + 1, sizeof(*all));
    struct show_table table;
    struct buf out = {0};
    show_table_init(&table, &cli->arena, 4, 1u << 2);
    show_cell(&table, "INPUT");
    show_cell(&table, "CLASS");
    show_cell(&table, "PROBABILITY");
    show_cell(&table, " ");
    for (size_t i = 0; i < n; i++) {
        all[i] = best_of(doc_at(rows, i));
        const struct doc *label =
            labels != NULL && labels->type == DOC_LIST && i < labels->n ? doc_at(labels, i) : NULL;
        all[i].label = label != NULL && label->type == DOC_INT ? label->i : -1;
        show_cell(&table, "%s", i < n_names ? names[i] : "?");
        show_cell(&table, "%s", class_name(answer, all[i].best, &cli->arena));
        show_cell(&table, "%.1f %%", 100 * all[i].probability);
        bool right = all[i].label == (int64_t)all[i].best;
        show_cell(
            &table, "%s%s",
            all[i].label < 0 ? ""
            : right          ? "right"
                             : "wrong, it is ",
            all[i].label < 0 || right ? "" : class_name(answer, (size_t)all[i].label, &cli->arena));
    }
    show_pictures(cli, answer, all, n);
    show_table_print(&table, cli->term.bold, cli->term.plain, &out);
    cli_print(&out);
    buf_fini(&out);
}

/* "inputs[2]" is the daemon's name for a file that has a better one here. */
static void name_file(const char *const *names, int n, struct err *err)
{
    static const char prefix[] = "inputs[";
    int64_t index = -1;
    if (err == NULL || strncmp(err->path, prefix, sizeof(prefix) - 1) != 0) {
        return;
    }
    char number[16];
    (void)snprintf(number, sizeof(number), "%.*s",
                   (int)strcspn(err->path + sizeof(prefix) - 1, "]") & 15,
                   err->path + sizeof(prefix) - 1);
    if (doc_parse_int(number, &index) && index >= 0 && index < n) {
        (void)snprintf(err->path, sizeof(err->path), "%s", names[index]);
    }
}

static int predict_files(struct cli *cli, struct err *err)
{
    int rc = 0;
    for (int begin = 1; begin < cli->n_words && rc >= 0; begin += FILES_AT_ONCE) {
        const struct doc *answer = NULL;
        int n = cli->n_words - begin < FILES_AT_ONCE ? cli->n_words - begin : FILES_AT_ONCE;
        rc = ask_files(cli, begin, n, &answer, err);
        if (rc < 0) {
            name_file(cli->words + begin, n, err);
        }
        if (rc >= 0 && cli->options.json) {
            cli_print_json(answer);
        } else if (rc >= 0) {
            show(cli, answer, cli->words + begin, (size_t)n);
        }
    }
    return rc;
}

int predict_command(struct cli *cli, struct err *err)
{
    const struct doc *answer = NULL;
    if (cli->n_words > 1) {
        return predict_files(cli, err);
    }
    int rc = ask_rows(cli, &answer, err);
    if (rc < 0) {
        return rc;
    }
    if (cli->options.json) {
        cli_print_json(answer);
        return 0;
    }
    size_t n = cli->options.rows.n;
    const char **names = arena_array(&cli->arena, n + 1, sizeof(*names));
    for (size_t i = 0; i < n; i++) {
        names[i] = arena_printf(&cli->arena, "row %lld", (long long)cli->options.rows.v[i]);
    }
    show(cli, answer, names, n);
    return 0;
}
