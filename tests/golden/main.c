/* millrace-golden DIR... - runs every case below the folders and closes with `N passed, N failed, N skipped`. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/golden/golden.h"

enum { CASE_MAX_BYTES = 256 << 20, CLASSES_MAX = 512, DEPTH_MAX = 16 };

struct tally {
    char key[96]; /* "layer Conv2D" */
    long n[3];
};
struct run {
    long n[3];
    int n_tallies;
    struct tally tallies[CLASSES_MAX];
    const char *only; /* a part of the name, or NULL */
    bool verbose;
};

static const struct golden_class *const families[] = {
    golden_image_classes, golden_layer_classes, golden_loss_classes, golden_optim_classes, golden_model_classes,
};

static const struct golden_class *find_class(const struct golden_case *c)
{
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        for (const struct golden_class *k = families[f]; k->kind != NULL; k++) {
            if (strcmp(k->kind, c->kind) == 0 && (k->layer == NULL || strcmp(k->layer, c->layer) == 0)) {
                return k;
            }
        }
    }
    return NULL;
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

static void run_case(struct run *run, const char *folder, const struct doc *doc, struct arena *arena)
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
    const struct golden_class *class = find_class(&c);
    enum golden_verdict verdict = class != NULL ? class->run(&c) : golden_skip(&c, "no such part yet");
    static const char *const words[] = {"passed", "FAILED", "skipped"};
    if (verdict != GOLDEN_PASSED || run->verbose) {
        printf("%s  %s  (%s %s): %s\n", words[verdict], c.name, c.kind, c.layer, c.message);
    }
    count(run, &c, verdict);
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
        printf("FAILED  %s: %s\n", path, err.text);
        run->n[GOLDEN_FAILED]++;
    } else if (doc->type == DOC_MAP && doc_get(doc, "kind") != NULL && doc_get(doc, "name") != NULL) {
        run_case(run, folder, doc, &arena);
    }
    arena_fini(&arena);
    buf_fini(&text);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* 0, or -1 if the folder cannot be read. */
static int run_folder(struct run *run, const char *folder, int depth)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, by_name);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        char path[4096];
        struct stat st;
        size_t length = strlen(name);
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (name[0] != '.' && stat(path, &st) == 0) {
            if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
                run_folder(run, path, depth + 1);
            } else if (length > 5 && strcmp(name + length - 5, ".json") == 0 && strcmp(name, "INDEX.json") != 0) {
                run_file(run, folder, path);
            }
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

int main(int argc, char **argv)
{
    struct run *run = calloc(1, sizeof *run);
    int missing = run == NULL;
    int n_folders = 0;
    for (int i = 1; i < argc && run != NULL; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            run->verbose = true;
        } else if (strncmp(argv[i], "--only=", 7) == 0) {
            run->only = argv[i] + 7;
        } else {
            n_folders++;
            if (run_folder(run, argv[i], 0) < 0) {
                fprintf(stderr, "golden: cannot read '%s'\n", argv[i]);
                missing = 1;
            }
        }
    }
    if (missing != 0 || n_folders == 0) {
        fprintf(stderr, "usage: millrace-golden [--verbose] [--only=PART] DIR...\n");
        free(run);
        return 2;
    }
    print_tallies(run);
    printf("\n%ld passed, %ld failed, %ld skipped\n", run->n[0], run->n[1], run->n[2]);
    int status = run->n[GOLDEN_FAILED] > 0 || run->n[GOLDEN_PASSED] == 0;
    free(run);
    return status;
}
