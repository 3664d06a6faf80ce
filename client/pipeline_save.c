/* pipeline save */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "client/commands.h"
#include "client/line.h"
#include "client/show.h"

enum { HEAD, INDEX, DATA, N_FRAMES, FOLDER_MAX = 512 };

/* A file that is put together from the daemon's answers. */
struct save {
    struct cli *cli;
    struct line line;
    char folder[FOLDER_MAX], path[FOLDER_MAX + 32];
    int fd; /* -1: not made yet */
    int64_t elements, next, kept, place;
    struct buf head, index;
    const struct doc *bad; /* of the last answer that names some */
    int64_t n_bad;
};

static int make_file(struct save *s, struct err *err)
{
    const char *folder = getenv("TMPDIR");
    (void)snprintf(s->folder, sizeof s->folder, "%.480s/millrace-save-XXXXXX",
                   folder != NULL && folder[0] != '\0' ? folder : "/tmp");
    if (mkdtemp(s->folder) == NULL) {
        const int why = errno;
        s->folder[0] = '\0';
        return err_errno(err, why, "make a folder for the elements ($TMPDIR)");
    }
    (void)snprintf(s->path, sizeof s->path, "%s/elements.saved", s->folder);
    s->fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return s->fd < 0 ? err_errno(err, errno, "make '%s'", s->path) : 0;
}

static void remove_file(struct save *s)
{
    if (s->fd >= 0) {
        close(s->fd);
        (void)unlink(s->path);
    }
    if (s->folder[0] != '\0') {
        (void)rmdir(s->folder);
    }
    buf_fini(&s->head);
    buf_fini(&s->index);
}

static void show(struct save *s)
{
    char done[SHOW_TEXT], all[SHOW_TEXT];
    struct buf out = {0};
    if (s->cli->options.quiet || s->cli->options.json || !line_due(&s->line)) {
        return;
    }
    show_count(s->next, done);
    show_count(s->elements, all);
    buf_printf(&out, "making  %s of %s elements", done, all);
    line_draw(&s->line, &out);
    buf_fini(&out);
}

static int take_answer(struct save *s, const struct doc *answer, const struct sock_frame *frames,
                       int n, struct err *err)
{
    const struct doc *bad = doc_get(answer, "bad");
    const int64_t begin = doc_int(answer, "begin", -1), next = doc_int(answer, "next", -1);
    if (n != N_FRAMES || next <= s->next || begin < s->place) {
        return err_set(err, ERR_SYNTAX, "the daemon gave no elements");
    }
    s->elements = doc_int(answer, "elements", 0);
    s->n_bad += next - s->next - (doc_int(answer, "kept", 0) - s->kept);
    s->bad = bad != NULL && bad->type == DOC_LIST && bad->n > 0 ? bad : s->bad;
    s->next = next;
    s->kept = doc_int(answer, "kept", 0);
    s->place = doc_int(answer, "place", 0);
    buf_clear(&s->head);
    buf_put(&s->head, frames[HEAD].data, frames[HEAD].size);
    buf_put(&s->index, frames[INDEX].data, frames[INDEX].size);
    return file_pwrite_all(s->fd, frames[DATA].data, frames[DATA].size, begin, err);
}

static int ask(struct save *s, struct err *err)
{
    struct sock_frame frames[SOCK_FRAMES_MAX];
    const struct doc *answer = NULL;
    int n = SOCK_FRAMES_MAX;
    const struct msg_pipeline_save body = {.job = s->cli->job_file.doc,
                                           .stream = s->cli->options.stream,
                                           .epoch = s->cli->options.epoch,
                                           .begin = s->next,
                                           .kept = s->kept,
                                           .place = s->place};
    int rc = millrace_request_frames(s->cli->connection, MSG_PIPELINE_SAVE, &body, &s->cli->arena,
                                     &answer, frames, &n, err);
    return rc < 0 ? rc : take_answer(s, answer, frames, n, err);
}

static int fill(struct save *s, struct err *err)
{
    int rc = 0;
    do {
        rc = ask(s, err);
        show(s);
    } while (rc == 0 && s->next < s->elements);
    if (rc == 0 && s->kept == 0) {
        rc = err_set(err, ERR_DATA, "no element is left: all of them are bad");
    }
    rc = rc < 0 ? rc : file_pwrite_all(s->fd, s->head.data, s->head.size, 0, err);
    return rc < 0 ? rc : file_pwrite_all(s->fd, s->index.data, s->index.size, s->place, err);
}

static void print_bad(const struct save *s)
{
    struct buf out = {0};
    if (s->n_bad > 0 && !s->cli->options.json) {
        const struct doc *first = s->bad != NULL ? doc_at(s->bad, 0) : NULL;
        buf_printf(&out, "%s%lld bad element%s left out%s", s->cli->term.red, (long long)s->n_bad,
                   s->n_bad == 1 ? " was" : "s were", s->cli->term.plain);
        if (first != NULL) {
            buf_printf(&out, ": %s: %s", doc_str(first, "path", "?"),
                       doc_str(first, "reason", "?"));
        }
        buf_puts(&out, "\n");
        cli_print(&out);
    }
    buf_fini(&out);
}

int pipeline_save_command(struct cli *cli, struct err *err)
{
    struct save s = {.cli = cli, .fd = -1};
    line_init(&s.line, &cli->term);
    int rc = job_prepare(cli, err);
    rc = rc < 0 ? rc : cli_connect(cli, err);
    rc = rc < 0 ? rc : make_file(&s, err);
    rc = rc < 0 ? rc : fill(&s, err);
    line_clear(&s.line);
    const struct millrace_put put = {.name = cli->words[1], .kind = "auto", .path = s.path};
    rc = rc < 0 ? rc : dataset_put_what(cli, &put, err);
    if (rc == 0) {
        print_bad(&s);
    }
    remove_file(&s);
    return rc;
}
