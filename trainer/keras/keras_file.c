#include "trainer/keras/keras_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "trainer/keras/keras_h5.h"
#include "trainer/keras/keras_zip.h"

static const char keras_version[] = "3.15.1"; /* the layout that we write */

enum { JSON_MAX_BYTES = 64 << 20, MEMBERS_MAX = 64 };

static void metadata_text(struct buf *out)
{
    char date[32];
    clock_format(clock_wall_us(), date, sizeof date); /* Keras has "2026-11-24@16:05:08" */
    date[10] = '@';
    date[19] = '\0';
    buf_printf(out, "{\"keras_version\": \"%s\", \"date_saved\": \"%s\"}", keras_version, date);
}

static int add_doc(struct keras_zip *zip, const char *name, const struct doc *doc, struct err *err)
{
    struct buf text = {0};
    doc_write_json(doc, 0, &text);
    int r = keras_zip_add(zip, name, text.data, text.size, err);
    buf_fini(&text);
    return r;
}

static int add_members(struct keras_zip *zip, const struct doc *config, const struct doc *state, struct err *err)
{
    struct buf text = {0};
    metadata_text(&text);
    int r = keras_zip_add(zip, "metadata.json", text.data, text.size, err);
    buf_fini(&text);
    if (r == 0) {
        r = add_doc(zip, "config.json", config, err);
    }
    if (r == 0 && state != NULL) {
        r = add_doc(zip, "millrace.json", state, err);
    }
    return r < 0 ? r : keras_zip_finish(zip, err);
}

int keras_file_save(int dir_fd, const char *name, const struct doc *config, const struct doc *state,
                    const struct keras_tensor *tensors, int n_tensors, struct err *err)
{
    struct file_atomic file;
    char path[64 + sizeof file.temporary];
    uint64_t h5_bytes = 0;
    int r = file_atomic_open(&file, dir_fd, name, 0, err);
    if (r < 0) {
        return r;
    }
    /* libhdf5 opens by path only; through the folder's descriptor it cannot be led elsewhere. */
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir_fd, file.temporary);
    r = keras_h5_write(path, file.fd, tensors, n_tensors, &h5_bytes, err);
    struct keras_zip zip = {.fd = file.fd};
    if (r == 0) {
        r = keras_zip_wrap(&zip, "model.weights.h5", 0, KERAS_H5_USER_BLOCK, h5_bytes, err);
    }
    if (r == 0) {
        r = add_members(&zip, config, state, err);
    }
    if (r == 0 && ftruncate(file.fd, (off_t)zip.end) < 0) { /* gives back what was reserved too much */
        r = err_errno(err, errno, "end '%s'", name);
    }
    if (r < 0) {
        file_atomic_abort(&file);
        return r;
    }
    return file_atomic_commit(&file, err);
}

/* ---- loading ------------------------------------------------------------------------------------------------ */

struct member {
    const char *name;
    size_t max_bytes;
    void *data;
    size_t size;
};

static int read_member(struct archive *archive, struct archive_entry *entry, struct member *m, struct arena *arena,
                       struct err *err)
{
    if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0 ||
        (uint64_t)archive_entry_size(entry) > m->max_bytes) {
        return err_set(err, ERR_LIMIT, "member '%s' is larger than %zu bytes", m->name, m->max_bytes);
    }
    m->size = (size_t)archive_entry_size(entry);
    m->data = arena_try(arena, m->size + 1);
    if (m->data == NULL) {
        return err_set(err, ERR_NO_MEMORY, "member '%s' of %zu bytes", m->name, m->size);
    }
    size_t got = 0;
    while (got < m->size) {
        la_ssize_t n = archive_read_data(archive, (char *)m->data + got, m->size - got);
        if (n <= 0) {
            return err_set(err, ERR_CORRUPT, "member '%s' ends after %zu of %zu bytes", m->name, got, m->size);
        }
        got += (size_t)n;
    }
    /* The checksum is compared when the end is read. */
    char rest;
    if (archive_read_data(archive, &rest, 1) != 0) {
        return err_set(err, ERR_CORRUPT, "member '%s' is damaged (checksum or size)", m->name);
    }
    return 0;
}

static int read_members(struct archive *archive, struct member *members, int n, struct arena *arena, struct err *err)
{
    struct archive_entry *entry;
    for (int count = 0; count < MEMBERS_MAX; count++) {
        int r = archive_read_next_header(archive, &entry);
        if (r == ARCHIVE_EOF) {
            return 0;
        }
        const char *name = r == ARCHIVE_OK ? archive_entry_pathname(entry) : NULL;
        if (name == NULL) {
            return err_set(err, ERR_CORRUPT, "not a whole zip archive");
        }
        for (int i = 0; i < n; i++) {
            if (strcmp(members[i].name, name) != 0) {
                continue;
            }
            if (members[i].data != NULL) {
                return err_set(err, ERR_CORRUPT, "member '%s' is there twice", name);
            }
            r = read_member(archive, entry, &members[i], arena, err);
            if (r < 0) {
                return r;
            }
        }
    }
    return err_set(err, ERR_LIMIT, "more than %d members", MEMBERS_MAX);
}

static int parse_member(const struct member *m, struct arena *arena, struct doc **ret, struct err *err)
{
    *ret = NULL;
    if (m->data == NULL) {
        return 0;
    }
    int r = doc_read_json(m->data, m->size, &doc_limits_default, arena, ret, err);
    if (r < 0) {
        err_prefix(err, "%s", m->name);
    }
    return r;
}

static int load_zip(const void *image, size_t size, size_t max_bytes, struct arena *arena, struct keras_file *ret,
                    struct err *err)
{
    struct member members[] = {
        {.name = "metadata.json", .max_bytes = JSON_MAX_BYTES},
        {.name = "config.json", .max_bytes = JSON_MAX_BYTES},
        {.name = "millrace.json", .max_bytes = JSON_MAX_BYTES},
        {.name = "model.weights.h5", .max_bytes = max_bytes},
    };
    struct archive *archive = archive_read_new();
    BUG_ON(archive == NULL);
    archive_read_support_format_zip_seekable(archive);
    int r = archive_read_open_memory(archive, image, size) != ARCHIVE_OK
                ? err_set(err, ERR_CORRUPT, "not a zip archive")
                : read_members(archive, members, 4, arena, err);
    archive_read_free(archive);
    struct doc **docs[] = {&ret->metadata, &ret->config, &ret->state};
    for (int i = 0; i < 3 && r == 0; i++) {
        r = parse_member(&members[i], arena, docs[i], err);
    }
    if (r == 0 && (ret->config == NULL || members[3].data == NULL)) {
        r = err_set(err, ERR_CORRUPT, "the archive has no %s", ret->config == NULL ? "config.json" : "model.weights.h5");
    }
    return r < 0 ? r : keras_h5_read(members[3].data, members[3].size, max_bytes, arena, ret, err);
}

int keras_file_load(int fd, size_t max_bytes, struct arena *arena, struct keras_file *ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return err_errno(err, errno, "stat a model file");
    }
    if (st.st_size < 8 || (uint64_t)st.st_size > max_bytes) {
        return err_set(err, st.st_size < 8 ? ERR_CORRUPT : ERR_LIMIT, "a model file of %jd bytes", (intmax_t)st.st_size);
    }
    size_t size = (size_t)st.st_size;
    void *image = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (image == MAP_FAILED) {
        return err_errno(err, errno, "map a model file");
    }
    *ret = (struct keras_file){0};
    int r;
    if (memcmp(image, "PK", 2) == 0) {
        r = load_zip(image, size, max_bytes, arena, ret, err);
    } else {
        r = keras_h5_read(image, size, max_bytes, arena, ret, err);
    }
    munmap(image, size);
    return r;
}

const struct keras_tensor *keras_file_find(const struct keras_file *file, const char *path)
{
    for (int i = 0; i < file->n_tensors; i++) {
        if (strcmp(file->tensors[i].path, path) == 0) {
            return &file->tensors[i];
        }
    }
    return NULL;
}

const struct keras_tensor *keras_file_weight(const struct keras_file *file, const char *path, const char *layer)
{
    const char *slash = strrchr(path, '/');
    int64_t left = -1;
    if (!file->legacy || layer == NULL || slash == NULL || !doc_parse_int(slash + 1, &left)) {
        return keras_file_find(file, path);
    }
    for (int i = 0; i < file->n_tensors; i++) {
        const char *name = file->tensors[i].name;
        if (name != NULL && strcmp(name, layer) == 0 && left-- == 0) {
            return &file->tensors[i];
        }
    }
    return NULL;
}
