#include "pipeline/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { FORM = 1, PIECE = 1 << 20, TRIES_MAX = 4, TEMPORARY = HASH_ID_TEXT + 24 };

static const char magic[8] = {'M', 'R', 'K', 'E', 'P', 'T', '\r', '\n'};

struct header {
    char magic[8];
    uint32_t form, is_shared;
    int64_t bytes;
    uint64_t checksum; /* of the bytes; 0 in a shared one */
    unsigned char rest[KEPT_HEADER_BYTES - 32];
};
_Static_assert(sizeof(struct header) == KEPT_HEADER_BYTES, "a header of 64 bytes");

void kept_id(const char *what, int version, const struct doc *of, char ret[HASH_ID_TEXT])
{
    struct arena arena;
    struct buf text = {0};
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_str(map, &arena, "what", what);
    doc_put_int(map, &arena, "version", version);
    doc_copy(doc_put(map, &arena, "of"), &arena, of);
    doc_write_canonical(map, &text);
    hash_bytes(text.data, text.size, ret);
    buf_fini(&text);
    arena_fini(&arena);
}

/* A file under another one's name has another seed. */
static uint64_t seed_of(const char *id)
{
    return hash_fast(id, HASH_ID_TEXT - 1, FORM);
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The checksum goes on from piece to piece, so that writer and reader need no more than one at a
 * time in the processor's memory. */
static uint64_t checksum_of(const char *id, const void *data, size_t size)
{
    uint64_t checksum = seed_of(id);
    for (size_t at = 0; at < size; at += PIECE) {
        const size_t n = size - at < PIECE ? size - at : PIECE;
        checksum = hash_fast((const unsigned char *)data + at, n, checksum);
    }
    return checksum;
}

static int read_all(int fd, const struct header *header, const char *id, void **ret)
{
    const size_t size = (size_t)header->bytes;
    void *data = malloc(size + 1);
    if (data == NULL) {
        return ERR_NO_MEMORY;
    }
    if (file_pread(fd, data, size, KEPT_HEADER_BYTES, NULL) != header->bytes ||
        checksum_of(id, data, size) != header->checksum) {
        free(data);
        return ERR_CORRUPT;
    }
    *ret = data;
    return 0;
}

static int read_header(int fd, struct header *ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        file_pread(fd, ret, sizeof *ret, 0, NULL) != sizeof *ret ||
        memcmp(ret->magic, magic, sizeof magic) != 0 || ret->form != FORM || ret->bytes < 0 ||
        st.st_size - KEPT_HEADER_BYTES != ret->bytes) {
        return ERR_CORRUPT;
    }
    return 0;
}

static int open_file(const struct kept *kept, const char *id, int flags)
{
    return openat(kept->fd, id, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

int kept_read(struct kept *kept, const char *id, size_t max_bytes, void **ret, size_t *ret_size)
{
    struct header header;
    if (kept == NULL) {
        return ERR_NOT_FOUND;
    }
    const int fd = open_file(kept, id, O_RDONLY);
    if (fd < 0) {
        kept->n_missed++;
        return ERR_NOT_FOUND;
    }
    int rc = read_header(fd, &header);
    const bool is_other = rc == 0 && (header.is_shared != 0 || (uint64_t)header.bytes > max_bytes);
    rc = is_other ? ERR_CORRUPT : rc;
    rc = rc < 0 ? rc : read_all(fd, &header, id, ret);
    (void)close(fd);
    if (rc == ERR_CORRUPT) {
        kept->n_damaged++;
        kept_remove(kept, id);
        return ERR_NOT_FOUND;
    }
    if (rc == 0) {
        kept->n_found++;
        *ret_size = (size_t)header.bytes;
    }
    return rc;
}

bool kept_has(struct kept *kept, const char *id)
{
    struct header header;
    const int fd = kept != NULL ? open_file(kept, id, O_RDONLY) : -1;
    const bool has = fd >= 0 && read_header(fd, &header) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return has;
}

void kept_remove(struct kept *kept, const char *id)
{
    if (kept != NULL) {
        (void)unlinkat(kept->fd, id, 0);
    }
}

/* ---- writing -------------------------------------------------------------------------------- */

static struct header header_of(int64_t bytes, uint64_t checksum, bool is_shared)
{
    struct header header = {
        .form = FORM, .is_shared = is_shared, .bytes = bytes, .checksum = checksum};
    memcpy(header.magic, magic, sizeof magic);
    return header;
}

static int open_temporary(const struct kept *kept, const char *id, char name[TEMPORARY],
                          struct err *err)
{
    int fd = -1;
    for (int i = 0; i < TRIES_MAX && fd < 0; i++) {
        uint64_t number = 0;
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
            return err_errno(err, errno, "a random name");
        }
        (void)snprintf(name, TEMPORARY, ".%.64s.%016llx.tmp", id, (unsigned long long)number);
        fd = open_file(kept, name, O_RDWR | O_CREAT | O_EXCL);
        if (fd < 0 && errno != EEXIST) {
            break;
        }
    }
    return fd < 0 ? err_errno(err, errno, "make a kept file") : fd;
}

int kept_put(struct kept *kept, const char *id, const void *data, size_t size, struct err *err)
{
    char temporary[TEMPORARY];
    if (kept == NULL) {
        return err_set(err, ERR_UNSUPPORTED, "nothing is kept here");
    }
    if (size > INT64_MAX / 2 ||
        (kept->max_bytes > 0 && (int64_t)size > kept->max_bytes - KEPT_HEADER_BYTES)) {
        return err_set(err, ERR_LIMIT, "%zu bytes are more than %lld (kept_bytes)", size,
                       (long long)kept->max_bytes);
    }
    const struct header header = header_of((int64_t)size, checksum_of(id, data, size), false);
    const int fd = open_temporary(kept, id, temporary, err);
    if (fd < 0) {
        return fd;
    }
    int rc = file_write_all(fd, &header, sizeof header, err);
    rc = rc < 0 ? rc : file_write_all(fd, data, size, err);
    if (close(fd) < 0 && errno != EINTR && rc == 0) {
        rc = err_errno(err, errno, "close a kept file");
    }
    if (rc == 0 && renameat(kept->fd, temporary, kept->fd, id) < 0) {
        rc = err_errno(err, errno, "rename a kept file");
    }
    if (rc < 0) {
        (void)unlinkat(kept->fd, temporary, 0);
        return rc;
    }
    kept->n_made++;
    return 0;
}

/* ---- shared --------------------------------------------------------------------------------- */

/* Sets the space aside. Where the file system cannot, a full disk shows when a row is written. */
static int reserve(int fd, int64_t bytes, struct err *err)
{
    int r;
    do {
        r = fallocate(fd, 0, 0, bytes);
    } while (r < 0 && errno == EINTR);
    if (r < 0 && errno == EOPNOTSUPP) {
        r = ftruncate(fd, bytes);
    }
    return r < 0 ? err_errno(err, errno, "reserve %lld bytes", (long long)bytes) : 0;
}

/* Whoever comes first or beside others makes it, all of them the same: nothing of it depends on who
 * was. The header comes last. ERR_CORRUPT: it is something else. */
static int make_shared(int fd, int64_t bytes, struct err *err)
{
    const struct header header = header_of(bytes, 0, true), empty = {.form = 0};
    struct header there = {.form = 0};
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > KEPT_HEADER_BYTES + bytes ||
        file_pread(fd, &there, sizeof there, 0, NULL) < 0) {
        return ERR_CORRUPT;
    }
    if (memcmp(&there, &empty, sizeof there) != 0) {
        const bool is_it = memcmp(&there, &header, sizeof there) == 0;
        return is_it && st.st_size == KEPT_HEADER_BYTES + bytes ? 0 : ERR_CORRUPT;
    }
    int rc = reserve(fd, KEPT_HEADER_BYTES + bytes, err);
    return rc < 0 ? rc : file_pwrite_all(fd, &header, sizeof header, 0, err);
}

int kept_shared(struct kept *kept, const char *id, int64_t bytes, int *ret_fd, struct err *err)
{
    if (kept == NULL) {
        return err_set(err, ERR_UNSUPPORTED, "nothing is kept here");
    }
    if (bytes < 0 || bytes > INT64_MAX / 2 ||
        (kept->max_bytes > 0 && bytes + KEPT_HEADER_BYTES > kept->max_bytes)) {
        return err_set(err, ERR_LIMIT, "%lld bytes are more than %lld (kept_bytes)",
                       (long long)bytes, (long long)kept->max_bytes);
    }
    for (int i = 0; i < TRIES_MAX; i++) {
        const int fd = open_file(kept, id, O_RDWR | O_CREAT);
        if (fd < 0) {
            return err_errno(err, errno, "open a kept file");
        }
        int rc = make_shared(fd, bytes, err);
        if (rc == 0) {
            *ret_fd = fd;
            return 0;
        }
        (void)close(fd);
        kept_remove(kept, id);
        if (rc != ERR_CORRUPT) {
            return rc;
        }
        kept->n_damaged++;
    }
    return err_set(err, ERR_CORRUPT, "a kept file is not what it should be");
}

int kept_shared_write(int fd, int64_t place, const void *data, size_t size, struct err *err)
{
    return file_pwrite_all(fd, data, size, KEPT_HEADER_BYTES + place, err);
}

int kept_shared_read(int fd, int64_t place, void *data, size_t size, struct err *err)
{
    const int64_t n = file_pread(fd, data, size, KEPT_HEADER_BYTES + place, err);
    return n < 0              ? (int)n
           : (size_t)n < size ? err_set(err, ERR_CORRUPT, "a kept file ends before its end")
                              : 0;
}

/* ---- parts ---------------------------------------------------------------------------------- */

static void claims_name(const char *id, char name[TEMPORARY])
{
    (void)snprintf(name, TEMPORARY, "%.64s.claims", id);
}

int kept_claims_open(struct kept *kept, const char *id, struct err *err)
{
    char name[TEMPORARY];
    claims_name(id, name);
    const int fd = open_file(kept, name, O_RDWR | O_CREAT);
    return fd < 0 ? err_errno(err, errno, "open the claims of a kept file") : fd;
}

static bool lock_part(int fd, int64_t part, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = part, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool kept_claim(int fd, int64_t part)
{
    return lock_part(fd, part, F_WRLCK);
}

void kept_unclaim(int fd, int64_t part)
{
    (void)lock_part(fd, part, F_UNLCK);
}

void kept_claims_remove(struct kept *kept, const char *id)
{
    char name[TEMPORARY];
    claims_name(id, name);
    kept_remove(kept, name);
}

void kept_part_id(const char *id, int64_t part, char ret[HASH_ID_TEXT])
{
    char text[HASH_ID_TEXT + 32];
    const int n = snprintf(text, sizeof text, "%.64s part %lld", id, (long long)part);
    hash_bytes(text, (size_t)n, ret);
}
