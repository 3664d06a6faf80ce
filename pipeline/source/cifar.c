/* cifar - the binary files of CIFAR-10 and CIFAR-100. */
#include <string.h>

#include "pipeline/format/cifar.h"
#include "pipeline/source/parts.h"

extern const struct source_desc source_cifar;

struct cifar_source {
    int label_mode;
    struct source_store store;
    struct parts parts;
    struct cifar *files; /* one a part */
    unsigned char pixels[CIFAR_PIXELS];
    int64_t label; /* of the last read */
};
enum { FINE, COARSE };
static const struct opt_name modes[] = {{"fine", FINE}, {"coarse", COARSE}, {NULL, 0}};
static const struct opt options[] = {
    OPT_ENUM_ROW(cifar_source, label_mode, FINE, modes,
                 "Which label of CIFAR-100 is y: of the 100 classes (fine) or of the 20 groups "
                 "(coarse)."),
    OPT_END_ROW,
};
static const char *const endings[] = {".bin", ".bin.gz", NULL};

static bool claims(const struct doc *files)
{
    bool is_one = false;
    for (size_t i = 0; i < files->n; i++) {
        const char *name = source_basename(doc_str(&files->items[i], "path", ""));
        is_one = is_one || strncmp(name, "data_batch_", 11) == 0 || strcmp(name, "test.bin") == 0 ||
                 strcmp(name, "train.bin") == 0;
    }
    return is_one && parts_claim(files, endings);
}

/* data_batch_1.bin .. 5 are the split train of CIFAR-10, test_batch.bin is test. */
static bool is_batch_of(const char *path, const char *split)
{
    return split != NULL && strcmp(split, "train") == 0 &&
           strncmp(source_basename(path), "data_batch", 10) == 0;
}

static int find_parts(struct cifar_source *k, struct arena *arena, struct err *err)
{
    struct source_store *all = ARENA_NEW(arena, struct source_store);
    int kept = 0;
    *all = k->store;
    all->split = NULL;
    int r = parts_find(&k->parts, all, endings, arena, err);
    for (int i = 0; i < k->parts.n && r == 0; i++) {
        const char *path = k->parts.v[i].path, *stem;
        if (parts_in_split(path, k->store.split, arena, &stem) ||
            is_batch_of(path, k->store.split)) {
            k->parts.v[kept++] = k->parts.v[i];
        }
    }
    k->parts.n = kept;
    return r < 0 || kept > 0
               ? r
               : err_set_at(err, ERR_MISSING, "split",
                            "data set '%s' has no file of split '%s' (data_batch_1.bin and "
                            "train.bin are train, test_batch.bin and test.bin test)",
                            k->store.dataset, k->store.split);
}

static int open_cifar(struct source *source, const struct source_store *store, struct arena *arena,
                      struct err *err)
{
    struct cifar_source *k = source->ctx;
    int n_labels = 0;
    k->store = *store;
    int r = find_parts(k, arena, err);
    k->files = arena_array(arena, (size_t)k->parts.n + 1, sizeof *k->files);
    for (int i = 0; i < k->parts.n && r == 0; i++) {
        r = parts_open(&k->parts, i, err);
        r = r < 0 ? r : cifar_open(&k->files[i], &k->parts.v[i].in, n_labels, err);
        if (r == 0) {
            n_labels = k->files[i].n_labels;
            parts_count(&k->parts, i, k->files[i].n, source);
        }
    }
    if (r < 0) {
        return r;
    }
    source_set_xy(source, ELEMENT_IMAGE,
                  &(struct op_spec){.dtype = DTYPE_U8,
                                    .shape = {.rank = 3, .d = {CIFAR_SIDE, CIFAR_SIDE, 3}}},
                  false);
    source->gives_rows = true;
    source_name_numbers(source, n_labels == 1 ? 10 : k->label_mode == COARSE ? 20 : 100, arena);
    return 0;
}

static void close_cifar(struct source *source)
{
    struct cifar_source *k = source->ctx;
    parts_close(&k->parts);
}

static int read_sample(struct cifar_source *k, int64_t sample, unsigned char *pixels,
                       int64_t *label, struct err *err)
{
    const int part = parts_of(&k->parts, sample);
    int labels[2] = {0};
    int r = cifar_read(&k->files[part], sample - k->parts.v[part].first, pixels, labels, err);
    *label = labels[k->files[part].n_labels == 2 && k->label_mode == FINE];
    return r;
}

static int read_cifar(struct source *source, const struct stage_place *place,
                      const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call;
    struct cifar_source *k = source->ctx;
    const struct tensor x = {.dtype = DTYPE_U8,
                             .shape = {.rank = 3, .d = {CIFAR_SIDE, CIFAR_SIDE, 3}},
                             .data = k->pixels};
    int r = read_sample(k, place->position, k->pixels, &k->label, err);
    source_put_xy(ret, place->position, &x, &k->label);
    return r;
}

static int read_rows_cifar(struct source *source, const struct source_rows *rows,
                           void *const *fields, struct err *err)
{
    struct cifar_source *k = source->ctx;
    unsigned char *pixels = fields[0];
    int r = 0;
    for (int64_t i = 0; i < rows->n && r == 0; i++) {
        source_rows_at(rows, i);
        r = read_sample(k, rows->places[i].position, pixels + (size_t)i * CIFAR_PIXELS, &k->label,
                        err);
        memcpy((unsigned char *)fields[1] + (size_t)i * sizeof k->label, &k->label,
               sizeof k->label);
    }
    return r;
}

static const char *path_cifar(const struct source *source, int64_t sample)
{
    const struct cifar_source *k = source->ctx;
    return k->parts.v[parts_of(&k->parts, sample)].path;
}

static int64_t offset_cifar(const struct source *source, int64_t sample)
{
    const struct cifar_source *k = source->ctx;
    const int part = parts_of(&k->parts, sample);
    const int64_t each = k->files[part].n_labels + CIFAR_PIXELS;
    return (sample - k->parts.v[part].first) * each;
}

const struct source_desc source_cifar = {
    .name = "cifar",
    .summary = "The binary files of CIFAR-10 (`data_batch_1.bin` to `5` are the split train, "
               "`test_batch.bin` is test) and CIFAR-100 (`train.bin`, `test.bin`).",
    .options = options,
    .ctx_size = sizeof(struct cifar_source),
    .claims = claims,
    .open = open_cifar,
    .close = close_cifar,
    .read = read_cifar,
    .read_rows = read_rows_cifar,
    .path = path_cifar,
    .offset = offset_cifar,
};
