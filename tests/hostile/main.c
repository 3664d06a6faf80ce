/* hostile DIR - judges every file of a folder of hostile files by its manifest and closes with `N
 * passed, N failed`. The rules are those of the README beside the manifest, under its
 * strict policy:
 *
 * - each file is read twice, each time in a process of its own that may open and write nothing,
 * within the manifest's seconds and memory; a signal or a timeout fails; so do two answers that
 * differ;
 * - accept: read, with the shape and the counts that the manifest gives (or an error class that it
 * names under `also`);
 * - reject: refused, in the line or record that the manifest gives, by an error that names the
 * file;
 * - either: any answer;
 * - of all rejects 95 in 100 must be of a class that the manifest names, or that is one more
 * failure. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/hostile/hostile.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { IS_SANITIZED = 1 }; /* memory and time are the sanitizer's, not ours */
#else
enum { IS_SANITIZED = 0 };
#endif
enum {
    EXIT_USAGE = 2,
    EXIT_SKIPPED = 77,
    PATH_BYTES = 4096,
    MANIFEST_MAX = 64 << 20,
    FILE_MAX = 256 << 20
};

struct tally {
    long passed, failed, rejects, soft;
};

static int64_t peak_rss_bytes(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}

/* No files, no cores, a bounded time: what is left is reading bytes. */
static void confine(int seconds)
{
    const struct rlimit none = {0, 0}, time = {(rlim_t)seconds, (rlim_t)seconds + 1};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)setrlimit(RLIMIT_CPU, &time);
    if (!IS_SANITIZED) {
        (void)setrlimit(RLIMIT_FSIZE, &none);
        (void)setrlimit(RLIMIT_NOFILE, &none);
    }
}

static void read_in_child(const struct hostile_format *format, const struct hostile_file *file,
                          int seconds, int fd)
{
    struct err err = {0};
    struct hostile_outcome *outcome = calloc(1, sizeof *outcome);
    const int64_t before = peak_rss_bytes();
    outcome->members = outcome->samples = outcome->rows = outcome->columns = outcome->records = -1;
    confine(seconds);
    outcome->code = format->read(file, outcome, &err);
    outcome->line = outcome->code < 0 ? err.line : 0;
    (void)snprintf(outcome->text, sizeof outcome->text, "%s", outcome->code < 0 ? err.text : "");
    outcome->rss_growth_bytes = peak_rss_bytes() - before;
    _exit(write(fd, outcome, sizeof *outcome) == (ssize_t)sizeof *outcome ? 0 : 1);
}

/* Seconds are the processor's, so that a busy machine changes no verdict (RLIMIT_CPU); a process
 * that waits for something instead of working ends by the clock, after this many times as long. */
enum { PATIENCE = 15 };

/* Waits for the outcome; what went wrong, or NULL. */
static const char *collect(pid_t pid, int fd, int seconds, struct hostile_outcome *ret)
{
    const int64_t deadline = clock_us() + (int64_t)seconds * PATIENCE * 1000000;
    size_t got = 0;
    int status = 0;
    bool is_late = false;
    for (;;) {
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        const int64_t left = deadline - clock_us();
        if (left <= 0 || poll(&waiting, 1, (int)(left / 1000) + 1) == 0) {
            is_late = true;
            (void)kill(pid, SIGKILL);
            break;
        }
        const ssize_t n = read(fd, (char *)ret + got, sizeof *ret - got);
        if (n <= 0 && errno != EINTR) {
            break;
        }
        got += n > 0 ? (size_t)n : 0;
        if (got == sizeof *ret) {
            break;
        }
    }
    (void)waitpid(pid, &status, 0);
    const int ended_by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return is_late || ended_by == SIGXCPU ? "a hang"
           : WIFSIGNALED(status)          ? strsignal(ended_by)
           : got != sizeof *ret           ? "a crash"
                                          : NULL;
}

static const char *read_once(const struct hostile_format *format, const struct hostile_file *file,
                             int seconds, struct hostile_outcome *ret)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return "no pipe";
    }
    const pid_t pid = fork();
    if (pid == 0) {
        read_in_child(format, file, seconds, ends[1]);
    }
    (void)close(ends[1]);
    const char *wrong = pid < 0 ? "no process" : collect(pid, ends[0], seconds, ret);
    (void)close(ends[0]);
    return wrong;
}

static bool has_text(const struct doc *list, const char *text)
{
    for (size_t i = 0; list != NULL && i < list->n; i++) {
        if (list->items[i].type == DOC_STR && strcmp(list->items[i].str, text) == 0) {
            return true;
        }
    }
    return false;
}

/* Our codes by the manifest's words: most are the same. */
static const char *class_of(int code)
{
    static const struct {
        int code;
        const char *name;
    } others[] = {{ERR_NOT_FINITE, "value"},
                  {ERR_RANGE, "value"},
                  {ERR_DATA, "schema"},
                  {ERR_SHAPE, "schema"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (others[i].code == code) {
            return others[i].name;
        }
    }
    return err_find(code)->name;
}

static bool shape_is(const struct doc *wanted, const struct shape *shape)
{
    bool is_same = wanted->n == (size_t)shape->rank;
    for (size_t i = 0; is_same && i < wanted->n; i++) {
        is_same = wanted->items[i].type == DOC_INT && wanted->items[i].i == shape->d[i];
    }
    return is_same;
}

static bool has_arrays(const struct doc *wanted, const struct hostile_outcome *o)
{
    if (wanted->n != (size_t)o->n_arrays) {
        return false;
    }
    for (int i = 0; i < o->n_arrays; i++) {
        const struct doc *shape = doc_get(wanted, o->arrays[i].name);
        if (shape == NULL || !shape_is(shape, &o->arrays[i].shape)) {
            return false;
        }
    }
    return true;
}

static bool has_bad_samples(const struct doc *wanted, const struct hostile_outcome *o)
{
    char text[HOSTILE_TEXT] = "";
    for (size_t i = 0; i < wanted->n; i++) {
        const size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%s ", wanted->items[i].str);
    }
    return strcmp(text, o->bad_samples) == 0;
}

/* What a file that was accepted should have given. */
static const char *check_accepted(const struct doc *entry, const struct doc *strict,
                                  const struct hostile_outcome *o)
{
    const struct {
        const struct doc *in;
        const char *key;
        int64_t got;
    } counts[] = {{strict, "members", o->members},
                  {entry, "samples", o->samples},
                  {strict, "rows", o->rows},
                  {strict, "columns", o->columns},
                  {strict, "records", o->records}};
    const struct doc *shape = doc_get(strict, "shape"), *arrays = doc_get(strict, "arrays"),
                     *bad = doc_get(entry, "bad_samples");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (doc_get(counts[i].in, counts[i].key) != NULL &&
            doc_int(counts[i].in, counts[i].key, 0) != counts[i].got) {
            return counts[i].key;
        }
    }
    return shape != NULL && (!o->has_shape || !shape_is(shape, &o->shape)) ? "another shape"
           : arrays != NULL && !has_arrays(arrays, o)                      ? "other arrays"
           : bad != NULL && !has_bad_samples(bad, o)                       ? "other bad samples"
                                                                           : NULL;
}

/* Where a file that was refused should have been found wrong. */
static const char *check_refused(const struct doc *entry, const struct hostile_outcome *o)
{
    char record[32];
    (void)snprintf(record, sizeof record, "record %lld",
                   (long long)doc_int(entry, "error_record", 0));
    if (doc_get(entry, "error_line") != NULL && doc_int(entry, "error_line", 0) != o->line) {
        return "the error is in another line";
    }
    if (doc_get(entry, "error_record") != NULL && strstr(o->text, record) == NULL) {
        return "the error is in another record";
    }
    if (doc_get(entry, "members_ok") != NULL && doc_int(entry, "members_ok", 0) != o->members) {
        return "the error is behind another member";
    }
    return o->text[0] == '\0' ? "no reason given" : NULL;
}

static const char *judge(const struct doc *entry, const struct hostile_outcome *o,
                         struct tally *tally, bool *ret_soft)
{
    const struct doc *strict = doc_get(entry, "strict");
    const char *verdict = doc_str(strict, "verdict", "");
    if (strcmp(verdict, "accept") == 0) {
        return o->code == 0 ? check_accepted(entry, strict, o)
               : has_text(doc_get(entry, "also"), class_of(o->code)) ? NULL
                                                                     : "refused";
    }
    if (strcmp(verdict, "reject") != 0) {
        return o->code == 0 || err_is_data(o->code) ? NULL : "no error of the data";
    }
    tally->rejects++;
    if (o->code == 0) {
        return "accepted";
    }
    *ret_soft = !has_text(doc_get(strict, "errors"), class_of(o->code));
    tally->soft += *ret_soft;
    return check_refused(entry, o);
}

static const char *try_file(const struct hostile_format *format, const struct hostile_file *file,
                            const struct doc *limits, struct hostile_outcome *ret)
{
    struct hostile_outcome again;
    const int given = (int)doc_int(limits, "worker_seconds", 10);
    const int seconds = IS_SANITIZED ? 60 : (int)doc_int(file->entry, "max_seconds", given);
    const int64_t rss =
        doc_int(file->entry, "max_rss_growth", doc_int(limits, "worker_rss_bytes", INT64_MAX));
    const char *wrong = read_once(format, file, seconds, ret);
    wrong = wrong != NULL ? wrong : read_once(format, file, seconds, &again);
    if (wrong == NULL && !IS_SANITIZED && ret->rss_growth_bytes > rss) {
        wrong = "more memory than allowed";
    }
    again.rss_growth_bytes = ret->rss_growth_bytes;
    return wrong != NULL                            ? wrong
           : memcmp(ret, &again, sizeof again) != 0 ? "another answer the second time"
                                                    : NULL;
}

static int load(const char *folder, const char *name, struct buf *out, struct err *err)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return file_read(AT_FDCWD, path, FILE_MAX, out, err);
}

static void run_file(const char *folder, const struct hostile_format *format,
                     const struct doc *entry, const struct doc *limits, struct tally *tally)
{
    struct hostile_file file = {.entry = entry, .name = doc_str(entry, "path", "")};
    struct hostile_outcome outcome = {.code = 0};
    struct err err = {0};
    bool is_soft = false;
    int r = load(folder, file.name, &file.data, &err);
    if (r == 0 && doc_get(entry, "pair") != NULL) {
        r = load(folder, doc_str(entry, "pair", ""), &file.pair, &err);
    }
    const char *wrong = r < 0 ? err.text : try_file(format, &file, limits, &outcome);
    wrong = wrong != NULL ? wrong : judge(entry, &outcome, tally, &is_soft);
    if (wrong != NULL || is_soft) {
        (void)printf("%s %s: %s (%s%s%s)\n", wrong != NULL ? "FAILED" : "soft  ", file.name,
                     wrong != NULL ? wrong : "another class of error",
                     outcome.code < 0 ? class_of(outcome.code) : "accepted",
                     outcome.text[0] != '\0' ? ": " : "", outcome.text);
    }
    *(wrong != NULL ? &tally->failed : &tally->passed) += 1;
    buf_fini(&file.data);
    buf_fini(&file.pair);
}

static const struct hostile_format *find_format(const char *name)
{
    const struct hostile_format *row = hostile_formats;
    while (row->name != NULL && strcmp(row->name, name) != 0) {
        row++;
    }
    return row->name != NULL ? row : NULL;
}

/* Which formats are others' to read, and how many files. */
static void print_skipped(const struct doc *files)
{
    for (size_t i = 0; i < files->n; i++) {
        const char *name = doc_str(&files->items[i], "format", "?");
        long n = 0;
        bool is_first = find_format(name) == NULL;
        for (size_t k = 0; k < files->n; k++) {
            const bool is_same = strcmp(doc_str(&files->items[k], "format", "?"), name) == 0;
            is_first = is_first && !(is_same && k < i);
            n += is_same;
        }
        if (is_first) {
            (void)printf("skipped: %ld files of the format '%s', which no worker reads\n", n, name);
        }
    }
}

static int run_folder(const char *folder)
{
    struct arena arena;
    struct buf text = {0};
    struct doc *manifest = NULL;
    struct err err = {0};
    struct tally tally = {0};
    arena_init(&arena);
    int r = load(folder, "manifest.json", &text, &err);
    r = r < 0 ? r : doc_read_json(text.data, text.size, NULL, &arena, &manifest, &err);
    const struct doc *files = r < 0 ? NULL : doc_get(manifest, "files");
    if (files == NULL || files->type != DOC_LIST) {
        (void)fprintf(stderr, "hostile: %s/manifest.json: %s\n", folder,
                      r < 0 ? err.text : "has no list 'files'");
        r = EXIT_USAGE;
    }
    for (size_t i = 0; r == 0 && i < files->n; i++) {
        const struct hostile_format *format = find_format(doc_str(&files->items[i], "format", ""));
        if (format != NULL) {
            run_file(folder, format, &files->items[i], doc_get(manifest, "limits"), &tally);
        }
    }
    if (r == 0) {
        print_skipped(files);
        const bool is_soft = tally.soft * 20 > tally.rejects;
        (void)printf("%ld of %ld refusals are of a class that the manifest names%s\n",
                     tally.rejects - tally.soft, tally.rejects,
                     is_soft ? ": FAILED, fewer than 95 in 100" : "");
        tally.failed += is_soft;
        (void)printf("%ld passed, %ld failed\n", tally.passed, tally.failed);
        r = tally.failed > 0;
    }
    buf_fini(&text);
    arena_fini(&arena);
    return r;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: hostile DIR | --shared\n");
        return EXIT_USAGE;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(argv[1], "--shared") != 0) {
        return run_folder(argv[1]);
    }
    const char *shared = getenv("MILLRACE_SHARED");
    char folder[PATH_BYTES];
    (void)snprintf(folder, sizeof folder, "%s/hostile",
                   shared != NULL ? shared : HOSTILE_SOURCE_ROOT "/../shared");
    if (access(folder, R_OK) != 0) {
        (void)printf("SKIP: no %s\n", folder);
        return EXIT_SKIPPED;
    }
    return run_folder(folder);
}
