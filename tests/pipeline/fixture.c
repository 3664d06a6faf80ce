#include "tests/pipeline/fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->arena);
    test_dir_make(f->dir);
    f->store.blobs_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(f->store.blobs_fd, 0);
    f->store.manifests = f->manifests;
}

void fixture_fini(struct fixture *f)
{
    pipeline_destroy(f->pipeline);
    close(f->store.blobs_fd);
    test_dir_remove(f->dir);
    arena_fini(&f->arena);
}

static struct doc *files_of(struct fixture *f, const char *dataset)
{
    for (int i = 0; i < f->store.n_manifests; i++) {
        if (strcmp(f->manifests[i].dataset, dataset) == 0) {
            return doc_put((struct doc *)(uintptr_t)f->manifests[i].files, &f->arena, "files");
        }
    }
    ck_assert_int_lt(f->store.n_manifests, FIXTURE_SETS);
    struct doc *manifest = doc_new(&f->arena);
    doc_set_map(manifest);
    doc_put_str(manifest, &f->arena, "kind", "auto");
    struct doc *files = doc_put(manifest, &f->arena, "files");
    doc_set_list(files);
    f->manifests[f->store.n_manifests++] =
        (struct pipeline_manifest){.dataset = arena_strdup(&f->arena, dataset), .files = manifest};
    return files;
}

/* doc_put replaces; this finds. */
static struct doc *list_of(struct fixture *f, const char *dataset)
{
    for (int i = 0; i < f->store.n_manifests; i++) {
        if (strcmp(f->manifests[i].dataset, dataset) == 0) {
            return (struct doc *)(uintptr_t)doc_get(f->manifests[i].files, "files");
        }
    }
    return files_of(f, dataset);
}

void fixture_add(struct fixture *f, const char *dataset, const char *path, const void *data,
                 size_t size)
{
    char id[HASH_ID_TEXT], folder[3], name[HASH_ID_TEXT + 3];
    struct doc *file = doc_push(list_of(f, dataset), &f->arena);
    hash_bytes(data, size, id);
    doc_set_map(file);
    doc_put_str(file, &f->arena, "path", path);
    doc_put_int(file, &f->arena, "bytes", (int64_t)size);
    doc_put_str(file, &f->arena, "id", id);
    (void)snprintf(folder, sizeof folder, "%.2s", id);
    (void)mkdirat(f->store.blobs_fd, folder, 0700);
    (void)snprintf(name, sizeof name, "%s/%s", folder, id);
    int fd = openat(f->store.blobs_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(file_write_all(fd, data, size, &f->err), 0);
    close(fd);
}

void fixture_add_shared(struct fixture *f, const char *dataset, const char *path,
                        const char *shared)
{
    char from[TEST_PATH];
    struct buf data = {0};
    test_path(from, "%s/%s", test_shared(), shared);
    ck_assert_int_eq(file_read(AT_FDCWD, from, 64 << 20, &data, &f->err), 0);
    fixture_add(f, dataset, path, data.data, data.size);
    buf_fini(&data);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_below(struct fixture *f, const char *dataset, const char *root, const char *below)
{
    struct dirent **names = NULL;
    char folder[TEST_PATH];
    test_path(folder, "%s/%s", root, below);
    const int n = scandir(folder, &names, NULL, by_name);
    for (int i = 0; i < n; i++) {
        char path[TEST_PATH], at[TEST_PATH];
        struct stat st;
        test_path(path, "%s%s%s", below, below[0] ? "/" : "", names[i]->d_name);
        test_path(at, "%s/%s", root, path);
        if (names[i]->d_name[0] != '.' && stat(at, &st) == 0 && S_ISDIR(st.st_mode)) {
            add_below(f, dataset, root, path);
        } else if (names[i]->d_name[0] != '.' && stat(at, &st) == 0) {
            struct buf data = {0};
            ck_assert_int_eq(file_read(AT_FDCWD, at, 64 << 20, &data, &f->err), 0);
            fixture_add(f, dataset, path, data.data != NULL ? data.data : "", data.size);
            buf_fini(&data);
        }
        free(names[i]);
    }
    free(names);
}

void fixture_add_folder(struct fixture *f, const char *dataset, const char *folder)
{
    add_below(f, dataset, folder, "");
}

static void put32(unsigned char *p, int n)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (unsigned char)(n >> (24 - 8 * i));
    }
}

void fixture_add_idx(struct fixture *f, const char *dataset, const char *split, int n, int height,
                     int width)
{
    char path[TEST_PATH];
    const int size = height * width;
    unsigned char *images = arena_alloc(&f->arena, 16 + (size_t)n * (size_t)size);
    unsigned char *labels = arena_alloc(&f->arena, 8 + (size_t)n);
    memcpy(images, "\0\0\x08\3", 4);
    memcpy(labels, "\0\0\x08\1", 4);
    put32(images + 4, n);
    put32(images + 8, height);
    put32(images + 12, width);
    put32(labels + 4, n);
    for (int i = 0; i < n; i++) {
        labels[8 + i] = (unsigned char)(i % 10);
        for (int k = 0; k < size; k++) {
            images[16 + i * size + k] = (unsigned char)(i * 7 + k);
        }
    }
    test_path(path, "%s-images-idx3-ubyte", split);
    fixture_add(f, dataset, path, images, 16 + (size_t)n * (size_t)size);
    test_path(path, "%s-labels-idx1-ubyte", split);
    fixture_add(f, dataset, path, labels, 8 + (size_t)n);
}

static int read_layouts(struct fixture *f)
{
    static const char *const names[] = {"train", "validation"};
    struct doc *plan = doc_new(&f->arena);
    pipeline_plan(f->pipeline, plan, &f->arena);
    for (int i = 0; i < PIPELINE_STREAM_MAX_; i++) {
        if (pipeline_has(f->pipeline, (enum pipeline_stream)i)) {
            const struct doc *stream = doc_get(doc_get(plan, "streams"), names[i]);
            int r = slab_layout(stream, &f->arena, &f->layout[i], &f->err);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

int fixture_compile(struct fixture *f, const char *job)
{
    struct doc *doc = NULL;
    pipeline_destroy(f->pipeline);
    f->pipeline = NULL;
    f->err = (struct err){0};
    int r = doc_read_json(job, strlen(job), NULL, &f->arena, &doc, &f->err);
    r = r < 0 ? r : job_read(doc, &f->arena, &f->job, &f->err);
    ck_assert_msg(r == 0, "%s: %s", f->err.path, f->err.text);
    r = pipeline_compile(&f->job, &f->store, &f->arena, &f->pipeline, &f->err);
    return r < 0 ? r : read_layouts(f);
}

int fixture_batch(struct fixture *f, enum pipeline_stream stream, int64_t epoch, int64_t step,
                  int64_t rows, unsigned char **ret_slab, struct opt_groups *ret_bad)
{
    const int64_t n = pipeline_rows(f->pipeline, stream, step);
    *ret_slab = arena_alloc(&f->arena, f->layout[stream].slab_bytes);
    for (int64_t at = 0; at < n; at += rows) {
        const struct msg_chunk_make make = {.stream = stream,
                                            .epoch = epoch,
                                            .step = step,
                                            .begin = at,
                                            .end = at + rows < n ? at + rows : n};
        struct opt_groups bad;
        int r = pipeline_run(f->pipeline, &make, &f->layout[stream], *ret_slab, NULL, &f->arena,
                             &bad, &f->err);
        if (r < 0) {
            return r;
        }
        if (ret_bad != NULL && bad.n > 0) {
            *ret_bad = bad;
        }
    }
    return 0;
}

const struct slab_field *fixture_field(const struct fixture *f, enum pipeline_stream stream,
                                       const char *name)
{
    const struct slab_layout *layout = &f->layout[stream];
    for (int i = 0; i < layout->n_fields; i++) {
        if (strcmp(layout->fields[i].name, name) == 0) {
            return &layout->fields[i];
        }
    }
    ck_abort_msg("no field %s", name);
}

int64_t fixture_samples(struct fixture *f, enum pipeline_stream stream, int64_t epoch, int64_t *ret,
                        int64_t max)
{
    int64_t n = 0;
    for (int64_t step = 0; step < pipeline_steps(f->pipeline, stream); step++) {
        unsigned char *slab;
        ck_assert_int_eq(fixture_batch(f, stream, epoch, step, 1 << 20, &slab, NULL), 0);
        const unsigned char *ok = slab + fixture_field(f, stream, "__ok")->offset;
        const unsigned char *sample = slab + fixture_field(f, stream, "__sample")->offset;
        for (int64_t row = 0; row < pipeline_rows(f->pipeline, stream, step); row++) {
            ck_assert_int_lt(n, max);
            memcpy(&ret[n], sample + (size_t)row * 8, 8);
            if (!ok[row]) {
                ret[n] = -1;
            }
            n++;
        }
    }
    return n;
}
