#include "tests/client/pictures.h"

#include <stdio.h>
#include <string.h>

#include "base/doc.h"
#include "base/rng.h"

enum { SIDE = 8, HEAD = 54, BYTES = HEAD + SIDE * SIDE * 3 };

void pictures_write(const struct live *live, const char *name, unsigned seed)
{
    unsigned char bytes[BYTES] = {'B', 'M', BYTES, 0,    0, 0, 0, 0,    0, 0, HEAD, 0, 0, 0, 40,
                                  0,   0,   0,     SIDE, 0, 0, 0, SIDE, 0, 0, 0,    1, 0, 24};
    char path[TEST_PATH];
    struct rng rng;
    rng_init(&rng, seed, 5, 0, 0);
    for (int i = HEAD; i < BYTES; i++) {
        bytes[i] = (unsigned char)rng_below(&rng, 256);
    }
    live_file(live, name, bytes, sizeof(bytes), path);
}

void pictures_folder(const struct live *live, const char *folder, int n)
{
    static const char *const classes[] = {"cat", "dog", "owl"};
    for (unsigned c = 0; c < 3; c++) {
        for (int i = 0; i < n; i++) {
            char name[200];
            (void)snprintf(name, sizeof(name), "%s/%s/%02d.bmp", folder, classes[c], i);
            pictures_write(live, name, c * 1000 + (unsigned)i);
        }
    }
}

static const char job_form[] =
    "name: %s\n"
    "data: {train: {dataset: %s}}\n"
    "pipeline: [{shuffle: {}}, {map: [{Rescaling: {scale: 0.004}}, {RandomFlip: {}}]},\n"
    "  {batch: {batch_size: 4}}]\n"
    "model: [{Flatten: {}}, {Dense: {units: 3, activation: softmax}}]\n"
    "compile: {optimizer: Adam, loss: SparseCategoricalCrossentropy}\n"
    "fit: {epochs: 2, seed: 9}\n"
    "resources: {workers: 1, threads: 1}\n";

static void read_tensors(const struct live *live, const char *name, char tensors[PICTURES_TENSORS])
{
    struct live_result r;
    struct arena arena;
    struct doc *shown = NULL;
    arena_init(&arena);
    live_run(live, &r, "show", name, "--json", NULL);
    ck_assert_int_eq(doc_read_json(r.out.data, strlen(r.out.data), NULL, &arena, &shown, NULL), 0);
    const struct doc *list = doc_get(shown, "checkpoints");
    ck_assert(list != NULL && list->type == DOC_LIST && list->n > 0);
    (void)snprintf(tensors, PICTURES_TENSORS, "%s",
                   doc_str(&list->items[list->n - 1], "tensors", ""));
    ck_assert_uint_eq(strlen(tensors), 64);
    live_free(&r);
    arena_fini(&arena);
}

bool pictures_train(const struct live *live, const char *dataset, char tensors[PICTURES_TENSORS],
                    struct live_result *ret)
{
    char text[2048], path[TEST_PATH], name[80];
    size_t n = strcspn(dataset, "@");
    (void)snprintf(name, sizeof(name), "job-%.*s", (int)n, dataset);
    (void)snprintf(text, sizeof(text), job_form, name, dataset);
    live_text(live, "job.yaml", text, path);
    live_run(live, ret, "run", path, "--quiet", NULL);
    if (ret->status != 0) {
        return false;
    }
    read_tensors(live, name, tensors);
    live_free(ret);
    return true;
}

void pictures_good(const struct live *live, const char *a, const char *b, const char *c,
                   const char *d)
{
    struct live_result r;
    live_run(live, &r, a, b, c, d, NULL);
    ck_assert_msg(r.status == 0, "%s %s %s: %s%s", a, b, c != NULL ? c : "", r.out.data,
                  r.err.data);
    live_free(&r);
}
