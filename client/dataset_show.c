/* dataset show: what the files of a data set are, by their names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/commands.h"
#include "client/show.h"

enum { SHOWN = 8, WORD_BYTES = 64 };

/* Files that have a word in common: an ending, a class. */
struct tally {
    char word[WORD_BYTES];
    int64_t n, bytes;
};
struct tallies {
    struct tally *v;
    size_t n, capacity;
};

static void count(struct tallies *t, const char *word, size_t n_word, int64_t bytes)
{
    const int n = (int)(n_word < WORD_BYTES ? n_word : WORD_BYTES - 1);
    size_t i = t->n; /* neighbours are mostly alike */
    while (i > 0 &&
           (strncmp(t->v[i - 1].word, word, (size_t)n) != 0 || t->v[i - 1].word[n] != '\0')) {
        i--;
    }
    if (i == 0) {
        if (t->n == t->capacity) {
            t->capacity = t->capacity > 0 ? t->capacity * 2 : 16;
            t->v = realloc(t->v, t->capacity * sizeof(*t->v));
            BUG_ON(t->v == NULL);
        }
        i = ++t->n;
        t->v[i - 1] = (struct tally){.n = 0};
        (void)snprintf(t->v[i - 1].word, WORD_BYTES, "%.*s", n, word);
    }
    t->v[i - 1].n++;
    t->v[i - 1].bytes += bytes;
}

static int by_bytes(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : strcmp(x->word, y->word);
}

static int by_word(const void *a, const void *b)
{
    return strcmp(((const struct tally *)a)->word, ((const struct tally *)b)->word);
}

static void print(const struct tallies *t, const char *what, bool sizes, struct buf *out)
{
    for (size_t i = 0; i < t->n && i < SHOWN; i++) {
        char n[SHOW_TEXT], bytes[SHOW_TEXT];
        show_count(t->v[i].n, n);
        show_bytes(t->v[i].bytes, bytes);
        if (i == 0) {
            buf_printf(out, "  %-10s ", what);
        }
        buf_printf(out, "%s%s %s", i > 0 ? ", " : "", n, t->v[i].word);
        if (sizes) {
            buf_printf(out, " (%s)", bytes);
        }
    }
    if (t->n > SHOWN) {
        buf_printf(out, " and %zu more", t->n - SHOWN);
    }
    buf_puts(out, t->n > 0 ? "\n" : "");
}

static void sort(struct tallies *tallies, int (*order)(const void *a, const void *b))
{
    if (tallies->n > 0) { /* qsort takes no NULL */
        qsort(tallies->v, tallies->n, sizeof(*tallies->v), order);
    }
}

/* ".tar.gz" and ".gz" are told apart; a name without a dot has no ending. */
static void count_ending(struct tallies *endings, const struct doc *file)
{
    static const char none[] = "without ending";
    const char *path = doc_str(file, "path", "");
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    const bool packed = dot != NULL && (strcmp(dot, ".gz") == 0 || strcmp(dot, ".zst") == 0);
    const char *before = packed ? memrchr(name, '.', (size_t)(dot - name)) : NULL;
    const char *word = before != NULL ? before : dot != NULL ? dot : none;
    count(endings, word, strlen(word), doc_int(file, "bytes", 0));
}

/* The folder that a file lies in, as the source of pictures takes classes. */
static void count_class(struct tallies *classes, const struct doc *file)
{
    const char *path = doc_str(file, "path", "");
    const char *end = strrchr(path, '/');
    const char *first = strchr(path, '/');
    if (end != NULL) {
        const char *begin = first < end ? first + 1 : path;
        count(classes, begin, strcspn(begin, "/"), doc_int(file, "bytes", 0));
    }
}

static void print_files(const struct doc *dataset, const struct doc *manifest, struct buf *out)
{
    const struct doc *files = doc_get(manifest, "files");
    const struct doc *shards = doc_get(manifest, "shards");
    const struct doc *largest = NULL;
    struct tallies endings = {0}, classes = {0};
    const char *kind = doc_str(dataset, "kind", "");
    const bool by_folder = strcmp(kind, "images") == 0 || strcmp(kind, "audio") == 0 ||
                           strcmp(kind, "video") == 0 || strcmp(kind, "text") == 0;
    for (size_t i = 0; i < files->n; i++) {
        const struct doc *file = doc_at(files, i);
        count_ending(&endings, file);
        if (by_folder) {
            count_class(&classes, file);
        }
        largest = largest == NULL || doc_int(file, "bytes", 0) > doc_int(largest, "bytes", 0)
                      ? file
                      : largest;
    }
    sort(&endings, by_bytes);
    sort(&classes, by_word);
    print(&endings, "files", true, out);
    print(&classes, "classes", false, out);
    if (largest != NULL && files->n > 1) {
        char bytes[SHOW_TEXT];
        show_bytes(doc_int(largest, "bytes", 0), bytes);
        buf_printf(out, "  %-10s %s, %s\n", "largest", doc_str(largest, "path", ""), bytes);
    }
    if (shards != NULL && shards->type == DOC_LIST) {
        int64_t sum = 0;
        char bytes[SHOW_TEXT];
        for (size_t i = 0; i < shards->n; i++) {
            sum += doc_int(doc_at(shards, i), "bytes", 0);
        }
        show_bytes(sum, bytes);
        buf_printf(out, "  %-10s %zu tar files, %s\n", "shards", shards->n, bytes);
    }
    free(endings.v);
    free(classes.v);
}

int dataset_show_files(struct cli *cli, const struct doc *dataset, struct err *err)
{
    struct buf out = {0};
    const struct doc *shown = NULL;
    const struct doc *manifest = NULL;
    const char *name = arena_printf(&cli->arena, "%s@%lld", doc_str(dataset, "name", ""),
                                    (long long)doc_int(dataset, "version", 1));
    int rc = millrace_manifest(cli->connection, name, &cli->arena, &shown, &manifest, err);
    if (rc >= 0) {
        print_files(dataset, manifest, &out);
        cli_print(&out);
    }
    buf_fini(&out);
    return rc;
}
