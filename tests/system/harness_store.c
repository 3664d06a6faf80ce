#include "tests/system/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "tests/system/harness_impl.h"

static const char *const digit_files[] = {"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
                                          "train-images-idx3-ubyte.gz",
                                          "train-labels-idx1-ubyte.gz"};

int harness_memfd(const char *name, const void *data, size_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(file_pwrite_all(fd, data, size, 0, NULL), 0);
    return fd;
}

int harness_store_json(const char *name, const struct doc *doc)
{
    struct buf text = {0};
    doc_write_json(doc, 0, &text);
    int fd = harness_memfd(name, text.data, text.size);
    buf_fini(&text);
    return fd;
}

static void put_blob(struct harness *harness, const char *path, const char *name, struct doc *files)
{
    struct buf bytes = {0};
    char id[HASH_ID_TEXT], folder[8], full[TEST_PATH];
    test_path(full, "%s/%s", path, name);
    ck_assert_int_ge(file_read(AT_FDCWD, full, (size_t)64 << 20, &bytes, NULL), 0);
    hash_bytes(bytes.data, bytes.size, id);
    memcpy(folder, id, 2);
    folder[2] = '\0';
    ck_assert(mkdirat(harness->blobs_fd, folder, 0700) == 0 || errno == EEXIST);
    int folder_fd = openat(harness->blobs_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(file_write_atomic(folder_fd, id, bytes.data, bytes.size, NULL), 0);
    close(folder_fd);
    struct doc *file = doc_push(files, &harness->arena);
    doc_set_map(file);
    doc_put_str(file, &harness->arena, "path", name);
    doc_put_int(file, &harness->arena, "bytes", (int64_t)bytes.size);
    doc_put_str(file, &harness->arena, "id", id);
    buf_fini(&bytes);
}

void harness_store_make(struct harness *harness, const char *shared)
{
    char path[TEST_PATH];
    test_path(path, "%s/blobs", harness->dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    harness->blobs_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(harness->blobs_fd, 0);
    test_path(path, "%s/kept", harness->dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    harness->kept_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(harness->kept_fd, 0);
    test_path(path, "%s/blobs", harness->dir);
    test_path(path, "%s/data/mnist", shared);
    struct doc *manifest = doc_new(&harness->arena);
    doc_set_map(manifest);
    doc_put_str(manifest, &harness->arena, "kind", "idx");
    struct doc *files = doc_put(manifest, &harness->arena, "files");
    doc_set_list(files);
    for (size_t i = 0; i < sizeof(digit_files) / sizeof(digit_files[0]); i++) {
        put_blob(harness, path, digit_files[i], files);
    }
    harness->manifest_fd = harness_store_json("manifest", manifest);
}
