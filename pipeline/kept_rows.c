#include "pipeline/kept_rows.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    FORM = 1,
    SIZE_BITS = 6, /* of the number of a file that is appended to: the logarithm of its size */
    OWN_FIRST = 20,
    OWN_LAST = 26,
    OWN_MAX = 31,
    OPEN_BITS = 5,
};
#define FILE_BYTES ((int64_t)64 << 20)
#define OWN_FLAG   ((uint64_t)1 << 63)

_Static_assert(KEPT_ROWS_OPEN == 1 << OPEN_BITS, "a place is so many bits of a product");

struct entry { /* of a row that has its own size */
    uint64_t checksum, file;
    int64_t place, bytes;
};
struct head { /* of a row of the common size */
    uint64_t checksum;
};

int kept_rows_open(struct kept_rows *ret, struct kept *kept, const char *id,
                   const struct element_spec *spec, int64_t n, struct err *err)
{
    *ret = (struct kept_rows){.kept = kept, .n = n};
    int r = element_pack_init(&ret->pack, spec, err);
    memcpy(ret->id, id, sizeof ret->id);
    ret->salt = hash_fast(id, HASH_ID_TEXT - 1, FORM);
    const size_t bytes = ret->pack.bytes;
    ret->stride = bytes > 0 ? sizeof(struct head) + bytes : sizeof(struct entry);
    int64_t most = FILE_BYTES;
    if (kept != NULL && kept->max_bytes > 0 && kept->max_bytes - KEPT_HEADER_BYTES < most) {
        most = kept->max_bytes - KEPT_HEADER_BYTES;
    }
    ret->per_file = most / (int64_t)ret->stride;
    ret->per_file = ret->per_file > 0 ? ret->per_file : 1;
    return r;
}

void kept_rows_close(struct kept_rows *rows)
{
    for (int i = 0; i < KEPT_ROWS_OPEN; i++) {
        if (rows->files[i].is_known && rows->files[i].fd >= 0) {
            close(rows->files[i].fd);
        }
        rows->files[i] = (struct kept_rows_file){.fd = -1};
    }
    element_pack_fini(&rows->pack);
    buf_fini(&rows->packed);
    op_scratch_fini(&rows->read);
}

static uint64_t checksum_of(const struct kept_rows *rows, int64_t variant, int64_t row,
                            const void *data, size_t size)
{
    const uint64_t name[] = {(uint64_t)variant, (uint64_t)row};
    const uint64_t sum = hash_fast(data, size, hash_fast(name, sizeof name, rows->salt));
    return sum != 0 ? sum : 1; /* 0: nobody wrote it */
}

static bool is_whole(struct kept_rows *rows, uint64_t found, uint64_t wanted)
{
#ifdef MILLRACE_BREAK_ROW_CHECKSUM /* the negative control of t_kept_rows */
    found = found != 0 ? wanted : 0;
#endif
    rows->n_damaged += found != 0 && found != wanted;
    return found == wanted;
}

/* ---- files ---------------------------------------------------------------------------------- */

static void file_id(const struct kept_rows *rows, uint64_t number, char ret[HASH_ID_TEXT])
{
    struct hash hash;
    hash_init(&hash);
    hash_update(&hash, rows->id, sizeof rows->id);
    hash_update(&hash, &number, sizeof number);
    hash_final(&hash, ret);
}

static int64_t file_bytes(const struct kept_rows *rows, uint64_t number)
{
    if ((number & OWN_FLAG) != 0) {
        return (int64_t)1 << (number & ((1U << SIZE_BITS) - 1));
    }
    const int64_t first = (int64_t)(uint32_t)number * rows->per_file, left = rows->n - first;
    return (left < rows->per_file ? left : rows->per_file) * (int64_t)rows->stride;
}

/* No more is written. */
static void stop(struct kept_rows *rows, const struct err *err)
{
    if (!rows->is_full) {
        rows->is_full = true;
        rows->why = *err;
    }
}

static int open_file(struct kept_rows *rows, uint64_t number, bool may_make)
{
    struct err err = {0};
    char id[HASH_ID_TEXT];
    int fd = -1;
    file_id(rows, number, id);
    if ((may_make && !rows->is_full) || kept_has(rows->kept, id)) {
        if (kept_shared(rows->kept, id, file_bytes(rows, number), &fd, &err) < 0) {
            stop(rows, &err);
            fd = -1;
        }
    }
    return fd;
}

/* -1: it cannot be had. */
static int file_of(struct kept_rows *rows, uint64_t number, bool may_make)
{
    /* Files of one variant, and those of many with one file, are spread over the places. */
    struct kept_rows_file *file = &rows->files[number * 0x9E3779B97F4A7C15u >> (64 - OPEN_BITS)];
    if (!file->is_known || file->number != number) {
        if (file->is_known && file->fd >= 0) {
            close(file->fd);
        }
        *file = (struct kept_rows_file){number, open_file(rows, number, may_make), true};
    }
    return file->fd;
}

/* All rows up to this one, of the size that rows have, stay within kept_bytes: so the bound holds
 * for all processes together, and nobody has to count what others wrote. */
static bool has_room(const struct kept_rows *rows, int64_t variant, int64_t row, double bytes)
{
    const int64_t max = rows->kept->max_bytes;
    const double n = (double)variant * (double)rows->n + (double)row + 1;
    return max <= 0 || n * bytes <= (double)max;
}

/* Where a row of the common size, or an entry, stands. */
static int fixed_place(struct kept_rows *rows, int64_t variant, int64_t row, int64_t *ret)
{
    const int64_t file = row / rows->per_file;
    *ret = row % rows->per_file * (int64_t)rows->stride;
    if (rows->kept == NULL || variant > INT32_MAX || file > UINT32_MAX ||
        !has_room(rows, variant, row, (double)rows->stride)) {
        return -1;
    }
    return file_of(rows, (uint64_t)variant << 32 | (uint64_t)file, true);
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool read_fixed(struct kept_rows *rows, int fd, int64_t place, int64_t variant, int64_t row,
                       struct element *ret)
{
    const size_t bytes = rows->pack.bytes;
    unsigned char *data = op_scratch_need(&rows->read, rows->stride);
    struct head head;
    if (kept_shared_read(fd, place, data, rows->stride, NULL) < 0) {
        return false;
    }
    memcpy(&head, data, sizeof head);
    return head.checksum != 0 &&
           is_whole(rows, head.checksum,
                    checksum_of(rows, variant, row, data + sizeof head, bytes)) &&
           element_unpack(&rows->pack, data + sizeof head, bytes, ret, NULL) == 0;
}

static bool read_varying(struct kept_rows *rows, int fd, int64_t place, int64_t variant,
                         int64_t row, struct element *ret)
{
    struct entry entry;
    if (kept_shared_read(fd, place, &entry, sizeof entry, NULL) < 0 || entry.checksum == 0) {
        return false;
    }
    const int log = (int)(entry.file & ((1U << SIZE_BITS) - 1));
    const int64_t size = (int64_t)1 << (log <= OWN_MAX ? log : 0);
    if ((entry.file & OWN_FLAG) == 0 || entry.bytes < 0 || entry.bytes > ELEMENT_PACK_MAX ||
        entry.place < 0 || entry.bytes > size - entry.place) {
        rows->n_damaged++;
        return false;
    }
    fd = file_of(rows, entry.file, false);
    unsigned char *data = op_scratch_need(&rows->read, (size_t)entry.bytes + 1);
    return fd >= 0 && kept_shared_read(fd, entry.place, data, (size_t)entry.bytes, NULL) == 0 &&
           is_whole(rows, entry.checksum,
                    checksum_of(rows, variant, row, data, (size_t)entry.bytes)) &&
           element_unpack(&rows->pack, data, (size_t)entry.bytes, ret, NULL) == 0;
}

bool kept_rows_read(struct kept_rows *rows, int64_t variant, int64_t row, struct element *ret)
{
    int64_t place;
    const int fd = fixed_place(rows, variant, row, &place);
    bool is_there = false;
    if (fd >= 0) {
        is_there = rows->pack.bytes > 0 ? read_fixed(rows, fd, place, variant, row, ret)
                                        : read_varying(rows, fd, place, variant, row, ret);
    }
    rows->n_found += is_there;
    rows->n_missed += !is_there;
    return is_there;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* A file of the process's own with room for a row: each twice as large as the one before. */
static int make_own(struct kept_rows *rows, int64_t bytes, struct err *err)
{
    uint64_t number = 0;
    int log = rows->own == 0 ? OWN_FIRST : (int)(rows->own & ((1U << SIZE_BITS) - 1)) + 1;
    log = log < OWN_LAST ? log : OWN_LAST;
    const int64_t most = rows->kept->max_bytes;
    while (most > 0 && ((int64_t)1 << log) + KEPT_HEADER_BYTES > most && log > 0) {
        log--;
    }
    while (bytes > (int64_t)1 << log) {
        log++;
    }
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
        return err_set(err, ERR_IO, "no random number");
    }
    number = (number << SIZE_BITS | (uint64_t)log) | OWN_FLAG;
    rows->own = number;
    rows->own_used = 0;
    rows->own_bytes = (int64_t)1 << log;
    return file_of(rows, number, true) >= 0 ? 0 : err_set(err, ERR_NO_SPACE, "%s", rows->why.text);
}

static int append(struct kept_rows *rows, uint64_t checksum, struct entry *ret, struct err *err)
{
    const int64_t bytes = (int64_t)rows->packed.size;
    int r = bytes > rows->own_bytes - rows->own_used ? make_own(rows, bytes, err) : 0;
    const int fd = r == 0 ? file_of(rows, rows->own, false) : -1;
    if (fd < 0) {
        rows->own_bytes = rows->own_used = 0; /* evicted: the next row begins another one */
        return r;
    }
    *ret = (struct entry){checksum, rows->own, rows->own_used, bytes};
    rows->own_used += (bytes + 7) / 8 * 8;
    r = kept_shared_write(fd, ret->place, rows->packed.data, rows->packed.size, err);
    return r < 0 ? r : 1;
}

/* The bytes with their checksum in front. */
static int write_fixed(struct kept_rows *rows, int fd, int64_t place, int64_t variant, int64_t row,
                       const struct element *element, struct err *err)
{
    struct head head = {0};
    buf_put(&rows->packed, &head, sizeof head);
    int r = element_pack(&rows->pack, element, &rows->packed, err);
    if (r < 0) {
        return r;
    }
    head.checksum = checksum_of(rows, variant, row, rows->packed.data + sizeof head,
                                rows->packed.size - sizeof head);
    memcpy(rows->packed.data, &head, sizeof head);
    return kept_shared_write(fd, place, rows->packed.data, rows->packed.size, err);
}

/* 1: it is not stored. The entry comes last: till then the row is not there. Its file is asked for
 * anew, because the one that is appended to may have taken its place among those that are open. */
static int write_varying(struct kept_rows *rows, int64_t variant, int64_t row,
                         const struct element *element, struct err *err)
{
    struct entry entry;
    int64_t place;
    int r = element_pack(&rows->pack, element, &rows->packed, err);
    if (r < 0) {
        return r;
    }
    rows->packed_bytes += (double)(rows->packed.size + rows->stride);
    rows->n_packed++;
    if (!has_room(rows, variant, row, rows->packed_bytes / rows->n_packed)) {
        return 1;
    }
    r = append(rows, checksum_of(rows, variant, row, rows->packed.data, rows->packed.size), &entry,
               err);
    const int fd = r > 0 ? fixed_place(rows, variant, row, &place) : -1;
    return fd < 0 ? (r < 0 ? r : 1) : kept_shared_write(fd, place, &entry, sizeof entry, err);
}

void kept_rows_write(struct kept_rows *rows, int64_t variant, int64_t row,
                     const struct element *element)
{
    struct err err = {0};
    int64_t place;
    const int fd = fixed_place(rows, variant, row, &place);
    if (fd < 0 || rows->is_full) {
        return;
    }
    buf_clear(&rows->packed);
    int r = rows->pack.bytes > 0 ? write_fixed(rows, fd, place, variant, row, element, &err)
                                 : write_varying(rows, variant, row, element, &err);
    rows->n_made += r == 0;
    if (r < 0 && r != ERR_SHAPE) {
        stop(rows, &err);
    }
}
