/* feed: a program makes elements, the daemon asks for them */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/commands.h"
#include "client/feed_program.h"
#include "client/line.h"
#include "client/show.h"
#include "proto/feed.h"

enum { DEATHS_MAX = 3, BACK_MS = 600000, TURN_MS = 1000, NEXT_MAX = 1024, TEXT = 200 };

struct feeding {
    struct cli *cli;
    struct program program;
    struct feed_spec spec;
    struct doc *spec_doc;
    struct millrace_feed feed;
    struct line line;
    unsigned char *rows; /* of a message */
    size_t rows_max;     /* elements of it */
    int64_t epoch;       /* that the program is in */
    int64_t deaths;      /* in a row */
    int64_t asked, sent, acknowledged, bad, restarts;
    int64_t stored; /* of the only epoch, as far as we know */
    struct msg_feed_status status;
    struct err bad_put; /* the daemon's refusal of an element */
    bool is_lost, is_taken;
};

/* ---- what a person sees ---- */

static void say(struct feeding *f, const char *text)
{
    struct buf out = {0};
    if (!f->cli->options.quiet && !f->cli->options.json) {
        buf_printf(&out, "%s\n", text);
        line_stay(&f->line, &out);
    }
    buf_fini(&out);
}

static void show_spec(struct feeding *f)
{
    struct buf out = {0};
    char count[SHOW_TEXT];
    char bytes[SHOW_TEXT];
    if (f->spec.elements >= 0) {
        show_count(f->spec.elements, count);
        buf_printf(&out, "feeding %s: %s elements%s of ", f->cli->words[0], count,
                   f->spec.by_epoch ? " an epoch" : "");
    } else {
        buf_printf(&out, "feeding %s: elements of ", f->cli->words[0]);
    }
    for (int i = 0; i < f->spec.n_fields; i++) {
        const struct feed_field *field = &f->spec.fields[i];
        char shape[96];
        shape_format(&field->shape, shape, sizeof(shape));
        buf_printf(&out, "%s%s %s %s", i > 0 ? ", " : "", field->name, dtype_name(field->dtype),
                   field->shape.rank > 0 ? shape : "");
        out.size -= field->shape.rank > 0 ? 0 : 1;
        out.data[out.size] = '\0';
    }
    show_bytes((int64_t)f->spec.row_bytes, bytes);
    buf_printf(&out, "; %s each", bytes);
    if (f->spec.batch > 1) {
        buf_printf(&out, ", made %lld at a time", (long long)f->spec.batch);
    }
    say(f, out.data);
    buf_fini(&out);
}

static void show_progress(struct feeding *f)
{
    struct buf out = {0};
    char have[SHOW_TEXT];
    char all[SHOW_TEXT];
    char wanted[SHOW_TEXT];
    if (f->cli->options.quiet || f->cli->options.json || !line_due(&f->line)) {
        return;
    }
    show_count(f->status.have, have);
    show_count(f->spec.elements, all);
    show_count(f->status.wanted, wanted);
    if (f->spec.by_epoch) {
        buf_printf(&out, "epoch %lld  ", (long long)f->status.epoch + 1);
    }
    buf_printf(&out, f->spec.elements >= 0 ? "%s of %s stored" : "%s stored", have, all);
    if (f->spec.elements >= 0) {
        buf_printf(&out, "  %s wanted", wanted);
    }
    if (f->status.waiting > 0) {
        buf_printf(&out, "  %lld jobs paused", (long long)f->status.waiting);
    }
    line_draw(&f->line, &out);
    buf_fini(&out);
}

/* ---- the program ---- */

static int open_program(struct feeding *f, struct arena *arena, const struct doc **ret,
                        struct err *err)
{
    struct doc *request = doc_new(arena);
    int rc = feed_program_start(&f->program, err);
    doc_set_map(request);
    doc_put_int(request, arena, "open", 1);
    f->epoch = 0;
    return rc < 0 ? rc : feed_program_ask(&f->program, request, arena, ret, err);
}

static int read_spec(const struct doc *answer, struct arena *arena, struct feed_spec *ret,
                     struct doc **ret_doc, struct err *err)
{
    const char *error = doc_str(answer, "error", NULL);
    if (error != NULL) {
        return err_set(err, ERR_DATA, "the program says: %s", error);
    }
    *ret_doc = doc_new(arena);
    doc_copy(*ret_doc, arena, answer);
    int rc = feed_spec_read(*ret_doc, arena, ret, err);
    if (rc < 0) {
        err_prefix(err, "the program's answer");
        return rc;
    }
    ret->id = NULL;
    feed_spec_write(ret, *ret_doc, arena);
    return 0;
}

/* Another program would mix its elements with those that are stored. */
static int check_same(const struct feeding *f, const struct doc *answer, struct arena *arena,
                      struct err *err)
{
    struct feed_spec spec;
    struct doc *doc = NULL;
    int rc = read_spec(answer, arena, &spec, &doc, err);
    return rc < 0 || doc_equal(doc, f->spec_doc)
               ? rc
               : err_set(err, ERR_DATA, "the program answers open in another way than before");
}

/* The first answer says what is fed; a program that comes after has to answer alike. */
static int greet_program(struct feeding *f, struct err *err)
{
    struct arena arena;
    const struct doc *answer = NULL;
    arena_init(&arena);
    int rc = open_program(f, &arena, &answer, err);
    if (rc == 0 && f->spec_doc == NULL) {
        rc = read_spec(answer, &f->cli->arena, &f->spec, &f->spec_doc, err);
    } else if (rc == 0) {
        rc = check_same(f, answer, &arena, err);
    }
    arena_fini(&arena);
    return rc;
}

/* Ends it and starts another one. */
static int restart_program(struct feeding *f, struct err *err)
{
    char text[TEXT + 100];
    int rc = 0;
    do {
        feed_program_stop(&f->program, false);
        if (++f->deaths > DEATHS_MAX) {
            struct err last = *err;
            return err_set(err, last.code, "%s; it was started again %d times", last.text,
                           DEATHS_MAX);
        }
        (void)snprintf(text, sizeof(text), "%.200s; it is started again", err->text);
        say(f, text);
        f->restarts++;
        rc = greet_program(f, err);
    } while (rc == ERR_GONE || rc == ERR_TIMEOUT);
    return rc;
}

/* Tells the program of the epochs that ended before this one. */
static int reach_epoch(struct feeding *f, int64_t epoch, struct err *err)
{
    int rc = 0;
    while (f->epoch < epoch && rc == 0) {
        struct arena arena;
        const struct doc *answer = NULL;
        arena_init(&arena);
        struct doc *request = doc_new(&arena);
        doc_set_map(request);
        doc_put_int(request, &arena, "epoch_end", f->epoch);
        rc = feed_program_ask(&f->program, request, &arena, &answer, err);
        const char *error = rc == 0 ? doc_str(answer, "error", NULL) : NULL;
        if (error != NULL) {
            rc = err_set(err, ERR_DATA, "the program says at the end of epoch %lld: %s",
                         (long long)f->epoch + 1, error);
        }
        f->epoch += rc == 0;
        arena_fini(&arena);
    }
    return rc;
}

/* ---- the daemon's answers ---- */

static void take_answer(struct feeding *f, const struct millrace_answer *answer)
{
    if (answer->feed_status != NULL) {
        f->status = *answer->feed_status;
        f->status.feed = NULL;
        f->is_taken = f->is_taken || answer->feed_status->taken;
    } else if (answer->error.code == ERR_NOT_FOUND || answer->error.code == ERR_GONE) {
        f->is_lost = true; /* it was started again, or is about to be */
    } else if (answer->error.code != 0 && f->bad_put.code == 0) {
        f->bad_put = answer->error;
    } else if (answer->result != NULL && answer->id > 0) {
        int64_t n = doc_int(answer->result, "n", 0);
        f->acknowledged += n;
        f->stored += n;
        f->status.have += n;
    }
}

static int check_daemon(const struct feeding *f, struct err *err)
{
    if (f->is_taken) {
        return err_set(err, ERR_BUSY, "another client feeds '%s' now", f->cli->words[0]);
    }
    if (f->bad_put.code != 0 && err != NULL) {
        *err = f->bad_put;
    }
    return f->bad_put.code;
}

/* The daemon's credit bounds what is on its way: nothing waits here for a reply. */
static int send_rows(struct feeding *f, int64_t epoch, const int64_t *indices, size_t n,
                     struct err *err)
{
    if (f->is_lost) {
        return 0; /* the rest of an answer is read, and forgotten */
    }
    int rc = millrace_feed_put(f->cli->connection, &f->feed, epoch, indices, n, f->rows,
                               n * f->spec.row_bytes, err);
    if (rc == ERR_GONE || rc == ERR_BUSY) {
        f->is_lost = true;
        return 0;
    }
    f->sent += (int64_t)n;
    return rc;
}

static int send_bad(struct feeding *f, int64_t epoch, const int64_t *indices, size_t n,
                    const char *reason, struct err *err)
{
    char text[FEED_REASON];
    (void)snprintf(text, sizeof(text), "%s", reason);
    int rc = f->is_lost
                 ? 0
                 : millrace_feed_bad(f->cli->connection, &f->feed, epoch, indices, n, text, err);
    f->is_lost = f->is_lost || rc == ERR_GONE || rc == ERR_BUSY;
    f->bad += (int64_t)n;
    return rc == ERR_GONE || rc == ERR_BUSY ? 0 : rc;
}

/* ---- a question ---- */

static int read_rows(struct feeding *f, int64_t epoch, const int64_t *indices, size_t n,
                     size_t *ret_done, struct err *err)
{
    int rc = 0;
    for (size_t at = 0; at < n && rc == 0;) {
        size_t k = n - at < f->rows_max ? n - at : f->rows_max;
        rc = feed_program_read(&f->program, f->rows, k * f->spec.row_bytes, err);
        rc = rc < 0 ? rc : send_rows(f, epoch, indices + at, k, err);
        at += rc == 0 ? k : 0;
        *ret_done = at;
    }
    return rc;
}

/* {error} means all that were asked for, {error, index} one of them; the others are asked for
 * again. */
static int take_bad(struct feeding *f, int64_t epoch, int64_t *indices, size_t *n,
                    const struct doc *answer, struct err *err)
{
    const char *reason = doc_str(answer, "error", "?");
    const struct doc *index = doc_get(answer, "index");
    if (index == NULL) {
        int rc = send_bad(f, epoch, indices, *n, reason, err);
        *n = 0;
        return rc;
    }
    for (size_t i = 0; i < *n && index->type == DOC_INT; i++) {
        if (indices[i] == index->i) {
            int rc = send_bad(f, epoch, &indices[i], 1, reason, err);
            memmove(&indices[i], &indices[i + 1], (*n - i - 1) * sizeof(indices[0]));
            (*n)--;
            return rc;
        }
    }
    return err_set(err, ERR_DATA,
                   "the program cannot make an element that it was not asked for (index)");
}

static int check_count(const struct doc *answer, size_t n, struct err *err)
{
    const struct doc *got = doc_get(answer, "n");
    if (got == NULL || got->type != DOC_INT) {
        return err_set(err, ERR_DATA, "the program's answer has neither n nor error");
    }
    return got->i == (int64_t)n
               ? 0
               : err_set(err, ERR_DATA, "the program was asked for %zu elements and says n: %lld",
                         n, (long long)got->i);
}

/* One question; *n: what is left to be asked for. */
static int ask_once(struct feeding *f, int64_t epoch, int64_t *indices, size_t *n, struct err *err)
{
    struct arena arena;
    const struct doc *answer = NULL;
    size_t done = 0;
    arena_init(&arena);
    struct doc *request = doc_new(&arena);
    doc_set_map(request);
    struct doc *list = doc_put(request, &arena, "get");
    doc_set_list(list);
    for (size_t i = 0; i < *n; i++) {
        doc_set_int(doc_push(list, &arena), indices[i]);
    }
    doc_put_int(request, &arena, "epoch", epoch);
    int rc = reach_epoch(f, epoch, err);
    f->asked += rc == 0 ? (int64_t)*n : 0;
    rc = rc < 0 ? rc : feed_program_ask(&f->program, request, &arena, &answer, err);
    if (rc == 0 && doc_get(answer, "error") != NULL) {
        rc = take_bad(f, epoch, indices, n, answer, err);
    } else if (rc == 0) {
        rc = check_count(answer, *n, err);
        rc = rc < 0 ? rc : read_rows(f, epoch, indices, *n, &done, err);
        memmove(indices, indices + done, (*n - done) * sizeof(indices[0]));
        *n -= done;
    }
    f->deaths = rc == 0 || done > 0 ? 0 : f->deaths;
    arena_fini(&arena);
    return rc;
}

/* A program that dies is started again and asked for what it owes. */
static int serve(struct feeding *f, const struct msg_feed_want *want, struct err *err)
{
    int64_t indices[FEED_INDICES_MAX];
    size_t n = want->indices.n < FEED_INDICES_MAX ? want->indices.n : FEED_INDICES_MAX;
    int rc = 0;
    memcpy(indices, want->indices.v, n * sizeof(indices[0]));
    while (n > 0 && rc == 0 && !f->is_lost) {
        rc = ask_once(f, want->epoch, indices, &n, err);
        if (rc == ERR_GONE || rc == ERR_TIMEOUT) {
            rc = restart_program(f, err);
        }
    }
    return rc;
}

/* ---- the loop ---- */

static int come_back(struct feeding *f, struct err *err)
{
    f->is_lost = false;
    say(f, "the daemon is gone; going on when it is back");
    int rc = millrace_reopen(f->cli->connection, BACK_MS, err);
    rc = rc < 0
             ? rc
             : millrace_feed_open(f->cli->connection, f->cli->words[0], f->spec_doc, &f->feed, err);
    if (rc == ERR_GONE || rc == ERR_TIMEOUT) { /* it went again */
        f->is_lost = true;
        return 0;
    }
    f->stored = f->feed.have;
    return rc;
}

/* One message of the daemon; a question is answered before it returns. */
static int turn(struct feeding *f, int timeout_ms, struct err *err)
{
    struct arena arena;
    struct millrace_answer answer;
    if (f->is_lost) {
        return come_back(f, err);
    }
    arena_init(&arena);
    int rc = millrace_receive(f->cli->connection, timeout_ms, &arena, &answer, err);
    if (rc == ERR_TIMEOUT || rc == ERR_GONE) {
        f->is_lost = rc == ERR_GONE;
        rc = 0;
    } else if (rc == 0 && answer.want != NULL) {
        rc = serve(f, answer.want, err);
    } else if (rc == 0) {
        take_answer(f, &answer);
    }
    show_progress(f);
    arena_fini(&arena);
    return rc < 0 ? rc : check_daemon(f, err);
}

/* By index, when asked. Without an end if the elements are others in each epoch. */
static int pull(struct feeding *f, struct err *err)
{
    int rc = 0;
    while (rc == 0 && (f->spec.by_epoch || f->stored < f->spec.elements)) {
        rc = turn(f, TURN_MS, err);
    }
    return rc;
}

/* One after the other: {next: most, index: of the first}. *ret_n 0: there are no more. */
static int push_some(struct feeding *f, int64_t first, int64_t most, size_t *ret_n, struct err *err)
{
    int64_t indices[NEXT_MAX];
    struct arena arena;
    const struct doc *answer = NULL;
    size_t done = 0;
    arena_init(&arena);
    struct doc *request = doc_new(&arena);
    doc_set_map(request);
    doc_put_int(request, &arena, "next", most);
    doc_put_int(request, &arena, "index", first);
    int rc = feed_program_ask(&f->program, request, &arena, &answer, err);
    const char *error = rc == 0 ? doc_str(answer, "error", NULL) : NULL;
    int64_t n = rc == 0 ? doc_int(answer, "n", -1) : 0;
    if (error != NULL) {
        rc =
            err_set(err, ERR_DATA, "the program says at element %lld: %s", (long long)first, error);
    } else if (n < 0 || n > most) {
        rc = err_set(err, ERR_DATA, "the program was asked for 0 to %lld elements (n)",
                     (long long)most);
    }
    for (int64_t i = 0; i < n && i < NEXT_MAX; i++) {
        indices[i] = first + i;
    }
    rc = rc < 0 ? rc : read_rows(f, 0, indices, (size_t)n, &done, err);
    f->asked += (int64_t)done;
    f->deaths = rc == 0 || done > 0 ? 0 : f->deaths;
    *ret_n = done;
    arena_fini(&arena);
    return rc;
}

static int push_all(struct feeding *f, struct err *err)
{
    int64_t most = f->feed.credit_bytes / 2 / (int64_t)f->spec.row_bytes;
    int64_t next = f->feed.first;
    int rc = 0;
    bool more = true;
    most = most < 1 ? 1 : most < f->feed.credit / 2 ? most : (f->feed.credit + 1) / 2;
    most = most < NEXT_MAX ? most : NEXT_MAX;
    while (rc == 0 && (more || next > f->stored)) {
        size_t n = 0;
        if (f->is_lost || !more || next - f->stored >= most) {
            bool was_lost = f->is_lost;
            rc = turn(f, TURN_MS, err);
            if (was_lost && !f->is_lost) { /* from what is stored on, again */
                next = f->stored = f->feed.first;
                more = true;
            }
            continue;
        }
        rc = push_some(f, next, most, &n, err);
        more = n > 0 || rc < 0;
        next += (int64_t)n;
        if (rc == ERR_GONE || rc == ERR_TIMEOUT) {
            rc = restart_program(f, err);
        }
    }
    return rc;
}

/* ---- the command ---- */

static void print_end(struct feeding *f, const struct doc *dataset)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_str(map, &arena, "name", f->cli->words[0]);
    doc_put_str(map, &arena, "feed", f->feed.id);
    doc_put_int(map, &arena, "asked", f->asked);
    doc_put_int(map, &arena, "stored", f->acknowledged);
    doc_put_int(map, &arena, "bad", f->bad);
    doc_put_int(map, &arena, "restarts", f->restarts);
    if (dataset != NULL) {
        doc_copy(doc_put(map, &arena, "dataset"), &arena, dataset);
    }
    if (f->cli->options.json) {
        cli_print_json(map);
    } else if (!f->cli->options.quiet) {
        char stored[SHOW_TEXT];
        struct buf out = {0};
        show_count(f->stored, stored);
        buf_printf(&out, "%s: all %s elements are stored\n", f->cli->words[0], stored);
        line_stay(&f->line, &out);
        buf_fini(&out);
    }
    arena_fini(&arena);
}

static int run(struct feeding *f, struct err *err)
{
    const struct doc *dataset = NULL;
    int rc = greet_program(f, err);
    rc = rc == ERR_GONE || rc == ERR_TIMEOUT ? restart_program(f, err) : rc;
    rc = rc < 0 ? rc : cli_connect(f->cli, err);
    rc = rc < 0
             ? rc
             : millrace_feed_open(f->cli->connection, f->cli->words[0], f->spec_doc, &f->feed, err);
    while (rc == ERR_GONE || (rc == 0 && f->is_lost)) {
        rc = come_back(f, err);
    }
    if (rc < 0) {
        return rc;
    }
    f->rows_max = (size_t)f->feed.chunk_bytes / f->spec.row_bytes;
    f->rows_max = f->rows_max < 1                  ? 1
                  : f->rows_max < FEED_INDICES_MAX ? f->rows_max
                                                   : FEED_INDICES_MAX;
    f->rows = malloc(f->rows_max * f->spec.row_bytes);
    if (f->rows == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for %zu rows", f->rows_max);
    }
    f->stored = f->spec.elements < 0 ? f->feed.first : f->feed.have;
    show_spec(f);
    rc = f->spec.elements < 0 ? push_all(f, err) : pull(f, err);
    if (rc == 0 && f->spec.elements < 0) {
        rc = millrace_feed_end(f->cli->connection, &f->feed, &f->cli->arena, &dataset, err);
    }
    line_clear(&f->line);
    if (rc == 0) {
        print_end(f, dataset);
    }
    return rc;
}

int feed_command(struct cli *cli, struct err *err)
{
    struct feeding f = {.cli = cli,
                        .program = {.command = cli->options.exec,
                                    .wake_fd = cli->wake_fd,
                                    .patience_ms = (int)(cli->options.patience * 1000)}};
    if (cli->options.exec == NULL) {
        return err_set(err, ERR_USAGE,
                       "say which program makes the elements: --exec 'python3 make.py'");
    }
    line_init(&f.line, &cli->term);
    int rc = run(&f, err);
    line_clear(&f.line);
    feed_program_stop(&f.program, rc == 0 || rc == ERR_INTERRUPTED);
    free(f.rows);
    if (rc == ERR_INTERRUPTED) {
        return err_set(
            err, rc,
            "stopped; what came stays stored, jobs that wait for more pause until the same "
            "command is given again");
    }
    return rc;
}
