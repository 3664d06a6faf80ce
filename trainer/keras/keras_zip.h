/* keras_zip - writes a zip of stored members around a region that something else writes.
 *
 * Owns:     nothing; the descriptor is the caller's.
 * Threads:  none shared.
 * Errors:   those of file_pwrite_all; ERR_LIMIT above 4 GiB (zip64 is not written).
 * Lifetime: a struct keras_zip lives through one save.
 *
 * Source: PKWARE APPNOTE 6.3.
 */
#ifndef TRAINER_KERAS_KERAS_ZIP_H
#define TRAINER_KERAS_KERAS_ZIP_H

#include <stdint.h>

#include "base/err.h"

enum { KERAS_ZIP_MEMBERS_MAX = 8, KERAS_ZIP_NAME_MAX = 48 };

struct keras_zip_member {
    char name[KERAS_ZIP_NAME_MAX];
    uint32_t crc;
    uint64_t size;
    uint64_t offset; /* of its local header */
};
struct keras_zip {
    int fd;
    uint64_t end; /* where the next member starts */
    int n;
    struct keras_zip_member members[KERAS_ZIP_MEMBERS_MAX];
};

/* Adds a member whose `size` bytes already lie at `data_offset`: its local header goes right before them, padded so that it
 * starts at `header_offset`. The CRC is computed by reading the bytes again. */
int keras_zip_wrap(struct keras_zip *zip, const char *name, uint64_t header_offset, uint64_t data_offset, uint64_t size,
                   struct err *err);
/* Appends a member. */
int keras_zip_add(struct keras_zip *zip, const char *name, const void *data, size_t size, struct err *err);
/* Writes the central directory. */
int keras_zip_finish(struct keras_zip *zip, struct err *err);

#endif
