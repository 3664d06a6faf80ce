#include "proto/slab.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, FIELD_ALIGN = 64, ROWS_MAX = 1 << 20 };

static const uint64_t slab_magic = 0x6D696C6C72616365; /* "millrace" */

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static int read_shape(const struct doc *doc, struct shape *ret, struct err *err)
{
    if (doc == NULL || doc->type != DOC_LIST || doc->n > SHAPE_RANK_MAX) {
        return err_set(err, ERR_CORRUPT, "the plan has a field without a shape");
    }
    *ret = (struct shape){.rank = (int)doc->n};
    for (size_t i = 0; i < doc->n; i++) {
        ret->d[i] = doc->items[i].type == DOC_INT ? doc->items[i].i : -1;
    }
    return 0;
}

/* Puts a field behind the others. */
static int add_field(struct slab_layout *layout, const char *name, const char *kind, enum dtype dtype,
                     const struct shape *shape, struct err *err)
{
    size_t row_bytes, bytes;
    if (layout->n_fields == SLAB_FIELDS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d fields", SLAB_FIELDS_MAX);
    }
    int r = shape_bytes(shape, dtype, &row_bytes);
    if (r < 0 || __builtin_mul_overflow(row_bytes, (size_t)layout->rows, &bytes) || bytes > ((size_t)1 << 40)) {
        return err_set(err, ERR_LIMIT, "field '%s' of a batch is too large", name);
    }
    layout->fields[layout->n_fields++] = (struct slab_field){.name = name,
                                                             .kind = kind,
                                                             .dtype = dtype,
                                                             .shape = *shape,
                                                             .row_bytes = row_bytes,
                                                             .offset = layout->slab_bytes};
    layout->slab_bytes += round_up(bytes, FIELD_ALIGN);
    return 0;
}

static int add_planned(struct slab_layout *layout, const struct doc *field, struct arena *arena, struct err *err)
{
    struct shape shape;
    int dtype = dtype_find(doc_str(field, "dtype", ""));
    const char *name = doc_str(field, "name", NULL);
    if (dtype < 0 || name == NULL) {
        return err_set(err, ERR_CORRUPT, "the plan has a field without a name or an element type");
    }
    if (dtype == DTYPE_STR) {
        return err_set(err, ERR_UNSUPPORTED, "field '%s' holds texts, which no batch does", name);
    }
    int r = read_shape(doc_get(field, "shape"), &shape, err);
    return r < 0 ? r
                 : add_field(layout, arena_strdup(arena, name), arena_strdup(arena, doc_str(field, "kind", "numeric")),
                             (enum dtype)dtype, &shape, err);
}

int slab_layout(const struct doc *stream_plan, struct arena *arena, struct slab_layout *ret, struct err *err)
{
    const struct doc *fields = doc_get(stream_plan, "fields");
    static const struct shape scalar = {.rank = 0};
    *ret = (struct slab_layout){.rows = doc_int(stream_plan, "batch", 0)};
    if (fields == NULL || fields->type != DOC_LIST || ret->rows < 1 || ret->rows > ROWS_MAX) {
        return err_set(err, ERR_CORRUPT, "the plan has a stream without fields or batch");
    }
    int r = 0;
    for (size_t i = 0; i < fields->n && r == 0; i++) {
        r = add_planned(ret, &fields->items[i], arena, err);
    }
    r = r < 0 ? r : add_field(ret, "__sample", "numeric", DTYPE_I64, &scalar, err);
    return r < 0 ? r : add_field(ret, "__ok", "numeric", DTYPE_U8, &scalar, err);
}

int slab_create(int64_t n_slabs, size_t slab_bytes, int *ret_fd, struct err *err)
{
    size_t each = round_up(slab_bytes, PAGE_BYTES);
    size_t total;
    if (n_slabs < 1 || each == 0 || __builtin_mul_overflow(each, (size_t)n_slabs, &total) ||
        total > ((size_t)1 << 42)) {
        return err_set(err, ERR_LIMIT, "%jd slabs of %zu bytes", (intmax_t)n_slabs, slab_bytes);
    }
    struct slab_header header = {.magic = slab_magic, .n_slabs = (uint64_t)n_slabs, .slab_bytes = each};
    header.header_bytes = round_up(sizeof header, PAGE_BYTES);
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        header.in_flight[i].row = -1;
    }
    int fd = memfd_create("millrace-slab", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return err_errno(err, errno, "memfd_create");
    }
    if (ftruncate(fd, (off_t)(header.header_bytes + total)) < 0 ||
        pwrite(fd, &header, sizeof header, 0) != (ssize_t)sizeof header ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int r = err_errno(err, errno, "make shared memory of %zu bytes", total);
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int slab_map(int fd, struct slab *ret, struct err *err)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (fstat(fd, &st) < 0 || st.st_size < PAGE_BYTES || seals < 0 ||
        (seals & (F_SEAL_SHRINK | F_SEAL_SEAL)) != (F_SEAL_SHRINK | F_SEAL_SEAL)) {
        return err_set(err, ERR_CORRUPT, "the shared memory is not a sealed slab");
    }
    size_t bytes = (size_t)st.st_size;
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        return err_errno(err, errno, "map shared memory of %zu bytes", bytes);
    }
    /* Read once: a hostile worker may write here later. */
    struct slab_header *header = map;
    uint64_t n = header->n_slabs, each = header->slab_bytes, at = header->header_bytes, total;
    if (header->magic != slab_magic || at < sizeof *header || __builtin_mul_overflow(n, each, &total) ||
        __builtin_add_overflow(total, at, &total) || total != bytes) {
        munmap(map, bytes);
        return err_set(err, ERR_CORRUPT, "the shared memory has another size than its header says");
    }
    *ret = (struct slab){.header = header,
                         .base = (unsigned char *)map + at,
                         .map_bytes = bytes,
                         .n_slabs = (int64_t)n,
                         .slab_bytes = (size_t)each};
    return 0;
}

int slab_reserve(int fd, const struct slab *slab, struct err *err)
{
    if (fallocate(fd, 0, 0, (off_t)slab->map_bytes) < 0) {
        return err_set(err, ERR_NO_MEMORY, "no memory for %zu bytes of batches: %s", slab->map_bytes,
                       strerrordesc_np(errno));
    }
    return 0;
}

void slab_unmap(struct slab *slab)
{
    if (slab != NULL && slab->header != NULL) {
        munmap(slab->header, slab->map_bytes);
        *slab = (struct slab){0};
    }
}
