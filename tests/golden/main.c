/* golden DIR... - runs every case below the folders and closes with `N passed, N failed, N
 * skipped`.
 *
 * A case that computes with kernels runs on every backend, or on the one given, and passes if it
 * does on each. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/golden/golden.h"
#include "trainer/kernel/kernel.h"

enum {
    CASE_MAX_BYTES = 256 << 20,
    CLASSES_MAX = 512,
    DEPTH_MAX = 16,
    PATH_BYTES = 4096,
    CASE_MAX_SECONDS = 120
};
enum { EXIT_USAGE = 2, EXIT_SKIPPED = 77 };

struct tally {
    char key[96]; /* "layer Conv2D" */
    long n[3];
};
struct run {
    long n[3];
    int n_tallies;
    struct tally tallies[CLASSES_MAX];
    const char *only;    /* a part of the name, or NULL */
    const char *backend; /* the one to run on, or NULL */
    bool verbose;
};

static const struct golden_class *const families[] = {
    golden_image_classes, golden_layer_classes,  golden_loss_classes,   golden_optim_classes,
    golden_model_classes, golden_fusion_classes, golden_shapes_classes,
    golden_preproc_classes,
};

/* The class's own row before one for any class. */
static const struct golden_class *find_class(const struct golden_case *c)
{
    const struct golden_class *any = NULL;
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        for (const struct golden_class *k = families[f]; k->kind != NULL; k++) {
            if (strcmp(k->kind, c->kind) != 0) {
                continue;
            }
            if (k->layer != NULL && strcmp(k->layer, c->layer) == 0) {
                return k;
            }
            any = k->layer == NULL && any == NULL ? k : any;
        }
    }
    return any;
}

static void count(struct run *run, const struct golden_case *c, enum golden_verdict verdict)
{
    char key[sizeof run->tallies[0].key];
    snprintf(key, sizeof key, "%s %s", c->kind, c->layer);
    int i = 0;
    while (i < run->n_tallies && strcmp(run->tallies[i].key, key) != 0) {
        i++;
    }
    if (i == CLASSES_MAX) {
        i = CLASSES_MAX - 1;
    } else if (i == run->n_tallies) {
        run->n_tallies++;
        memcpy(run->tallies[i].key, key, sizeof key);
    }
    run->tallies[i].n[verdict]++;
    run->n[verdict]++;
}

static const char *text_of(const struct doc *doc, const char *key)
{
    return doc_str(doc, key, "");
}

static enum golden_verdict run_on_backends(const struct run *run, const struct golden_class *class,
                                           struct golden_case *c)
{
    static const char *const backends[] = {"ref", "blas", "dnnl"};
    enum golden_verdict verdict = GOLDEN_PASSED;
    if (!class->on_backends) {
        return class->run(c);
    }
    for (size_t b = 0; b < sizeof backends / sizeof backends[0] && verdict == GOLDEN_PASSED; b++) {
        bool wanted = run->backend == NULL || strcmp(run->backend, backends[b]) == 0;
        if (!wanted || kernel_find(backends[b]) == NULL) {
            continue;
        }
        c->backend = backends[b];
        verdict = class->run(c);
        if (verdict == GOLDEN_FAILED) {
            size_t used = strlen(c->message);
            (void)snprintf(c->message + used, sizeof c->message - used, " (%s)", backends[b]);
        }
    }
    return verdict;
}

struct outcome {
    enum golden_verdict verdict;
    char message[sizeof((struct golden_case *)NULL)->message];
};

static void run_in_child(const struct run *run, struct golden_case *c, int fd)
{
    const struct golden_class *class = find_class(c);
    struct outcome outcome = {.verdict = class != NULL ? run_on_backends(run, class, c)
                                                       : golden_skip(c, "no such part yet")};
    memcpy(outcome.message, c->message, sizeof outcome.message);
    (void)fflush(NULL);
    _exit(write(fd, &outcome, sizeof outcome) == (ssize_t)sizeof outcome ? 0 : 1);
}

/* A process of its own: a case that crashes fails, and the others go on. */
static enum golden_verdict run_apart(const struct run *run, struct golden_case *c)
{
    struct outcome outcome;
    int fds[2], status = 0;
    (void)fflush(NULL);
    pid_t pid = pipe(fds) == 0 ? fork() : -1;
    if (pid < 0) {
        return golden_fail(c, "no process for the case");
    }
    if (pid == 0) {
        (void)close(fds[0]);
        (void)alarm(CASE_MAX_SECONDS);
        run_in_child(run, c, fds[1]);
    }
    (void)close(fds[1]);
    bool whole = read(fds[0], &outcome, sizeof outcome) == (ssize_t)sizeof outcome;
    (void)close(fds[0]);
    if (waitpid(pid, &status, 0) != pid || !whole) {
        return golden_fail(c, "it ended by %s %d", WIFSIGNALED(status) ? "signal" : "status",
                           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    memcpy(c->message, outcome.message, sizeof outcome.message);
    return outcome.verdict;
}

static void run_case(struct run *run, const char *folder, const struct doc *doc,
                     struct arena *arena)
{
    const struct doc *tolerance = doc_get(doc, "tolerance");
    struct golden_case c = {
        .name = text_of(doc, "name"),
        .kind = text_of(doc, "kind"),
        .layer = text_of(doc, "layer"),
        .group = text_of(doc, "group"),
        .doc = doc,
        .folder = folder,
        .arena = arena,
        .rtol = tolerance != NULL ? doc_float(tolerance, "rtol", 1e-5) : 1e-5,
        .atol = tolerance != NULL ? doc_float(tolerance, "atol", 1e-6) : 1e-6,
        .expected_error = doc_bool(doc, "expected_error", false),
    };
    if (run->only != NULL && strstr(c.name, run->only) == NULL) {
        return;
    }
    enum golden_verdict verdict = run_apart(run, &c);
    static const char *const words[] = {"passed", "FAILED", "skipped"};
    if (verdict != GOLDEN_PASSED || run->verbose) {
        printf("%s  %s  (%s %s): %s\n", words[verdict], c.name, c.kind, c.layer, c.message);
    }
    count(run, &c, verdict);
}

static void fail_path(struct run *run, const char *path, const char *why)
{
    printf("FAILED  %s: %s\n", path, why);
    run->n[GOLDEN_FAILED]++;
}

static void run_file(struct run *run, const char *folder, const char *path)
{
    struct buf text = {0};
    struct arena arena;
    struct err err = {0};
    struct doc *doc = NULL;
    struct doc_limits limits = doc_limits_default;
    limits.bytes = CASE_MAX_BYTES;
    limits.nodes = CASE_MAX_BYTES / 2;
    arena_init(&arena);
    int r = file_read(AT_FDCWD, path, CASE_MAX_BYTES, &text, &err);
    r = r < 0 ? r : doc_read_json(text.data, text.size, &limits, &arena, &doc, &err);
    if (r < 0) {
        char why[1024];
        err_format(&err, why, sizeof why);
        fail_path(run, path, why);
    } else if (doc->type == DOC_MAP && doc_get(doc, "kind") != NULL &&
               doc_get(doc, "name") != NULL) {
        run_case(run, folder, doc, &arena);
    }
    arena_fini(&arena);
    buf_fini(&text);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool is_case_name(const char *name)
{
    size_t length = strlen(name);
    return length > 5 && strcmp(name + length - 5, ".json") == 0 && strcmp(name, "INDEX.json") != 0;
}

/* 0, or -1 if the folder cannot be read. */
static int run_folder(struct run *run, const char *folder, int depth)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, by_name);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        char path[PATH_BYTES];
        struct stat st;
        bool fits = snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path;
        if (name[0] == '.') {
            /* hidden */
        } else if (!fits || stat(path, &st) < 0) {
            fail_path(run, path, "cannot be read");
        } else if (S_ISDIR(st.st_mode)) {
            if (depth == DEPTH_MAX || run_folder(run, path, depth + 1) < 0) {
                fail_path(run, path, "a folder that cannot be read, or lies too deep");
            }
        } else if (is_case_name(name)) {
            run_file(run, folder, path);
        }
        free(names[i]);
    }
    free(names);
    return n < 0 ? -1 : 0;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct tally *)a)->key, ((const struct tally *)b)->key);
}

static void print_tallies(struct run *run)
{
    qsort(run->tallies, (size_t)run->n_tallies, sizeof run->tallies[0], by_key);
    printf("\n%-56s %8s %8s %8s\n", "class", "passed", "failed", "skipped");
    for (int i = 0; i < run->n_tallies; i++) {
        const struct tally *t = &run->tallies[i];
        printf("%-56s %8ld %8ld %8ld\n", t->key, t->n[0], t->n[1], t->n[2]);
    }
}

/* A folder or a single case; -1 if there is none such. */
static int run_path(struct run *run, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        const char *slash = strrchr(path, '/');
        char folder[PATH_BYTES];
        (void)snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) : 1,
                       slash != NULL ? path : ".");
        run_file(run, folder, path);
        return 0;
    }
    return run_folder(run, path, 0);
}

/* The folder of Keras's answers beside the repository; without it the test is skipped. */
static int run_shared(struct run *run)
{
    const char *given = getenv("MILLRACE_SHARED");
    char folder[PATH_BYTES];
    struct stat st;
    (void)snprintf(folder, sizeof folder, "%s/golden",
                   given != NULL ? given : GOLDEN_SOURCE_ROOT "/../shared");
    if (stat(folder, &st) < 0) {
        printf("SKIP: no ../shared/golden beside the sources\n");
        return EXIT_SKIPPED;
    }
    return run_path(run, folder) < 0 ? EXIT_USAGE : 0;
}

/* 0, or an exit status. */
static int run_argument(struct run *run, const char *argument, int *n_paths)
{
    if (strcmp(argument, "--verbose") == 0) {
        run->verbose = true;
    } else if (strncmp(argument, "--only=", 7) == 0) {
        run->only = argument + 7;
    } else if (strncmp(argument, "--backend=", 10) == 0) {
        run->backend = argument + 10;
        if (kernel_find(run->backend) == NULL) {
            fprintf(stderr, "golden: there is no backend '%s' here\n", run->backend);
            return EXIT_USAGE;
        }
    } else if (strcmp(argument, "--shared") == 0) {
        ++*n_paths;
        return run_shared(run);
    } else if (argument[0] == '-') {
        return EXIT_USAGE;
    } else {
        ++*n_paths;
        if (run_path(run, argument) < 0) {
            fprintf(stderr, "golden: cannot read '%s'\n", argument);
            return EXIT_USAGE;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct run *run = calloc(1, sizeof *run);
    int status = run == NULL ? EXIT_USAGE : 0;
    int n_paths = 0;
    for (int i = 1; i < argc && status == 0; i++) {
        status = run_argument(run, argv[i], &n_paths);
    }
    if (status == EXIT_SKIPPED) {
        free(run);
        return status;
    }
    if (status != 0 || n_paths == 0) {
        fprintf(stderr, "usage: golden [--verbose] [--only=PART] [--backend=ref|blas|dnnl] "
                        "DIR|FILE|--shared...\n");
        free(run);
        return EXIT_USAGE;
    }
    print_tallies(run);
    printf("\n%ld passed, %ld failed, %ld skipped\n", run->n[0], run->n[1], run->n[2]);
    status = run->n[GOLDEN_FAILED] > 0 || run->n[GOLDEN_PASSED] == 0;
    free(run);
    return status;
}
