/* ledger - what a run trained on: an append-only file in the job's folder.
 *
 * Owns:     its descriptor and a buffer of one record.
 * Threads:  the fit loop's only.
 * Errors:   ERR_NO_SPACE, ERR_IO; reading: ERR_CORRUPT with the offset (a torn last record is not
 * an error: it ends there). Lifetime: open .. close.
 *
 * Records are little-endian, 40 bytes of head and `ids` sample numbers: each says epoch, step,
 * rows, the hash of the batch's bytes; a start record says from where a (re)started run goes on.
 * Not synced: it is evidence, not state.
 */
#ifndef TRAINER_LEDGER_H
#define TRAINER_LEDGER_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "proto/job.h"

#define LEDGER_NAME "ledger.bin"

enum ledger_kind { LEDGER_START = 1, LEDGER_STEP = 2 };

struct ledger_record {
    uint32_t magic;
    uint16_t kind;
    uint16_t unused;
    uint32_t rows;
    uint32_t n_ids; /* 0, or rows */
    int64_t epoch, step;
    uint64_t hash;
};
struct ledger {
    int fd; /* -1 = off */
    int level;
    unsigned char *record;
    size_t capacity;
};

int ledger_open(struct ledger *ledger, int dir_fd, int level, int64_t max_rows, struct arena *arena,
                struct err *err);
int ledger_start(struct ledger *ledger, int64_t epoch, int64_t step, struct err *err);
int ledger_step(struct ledger *ledger, int64_t epoch, int64_t step, int64_t rows, uint64_t hash,
                const int64_t *ids, struct err *err);
void ledger_close(struct ledger *ledger);

/* Calls fn for each record of the file. */
typedef int (*ledger_fn)(void *ctx, const struct ledger_record *record, const int64_t *ids);
int ledger_read(int fd, ledger_fn fn, void *ctx, struct err *err);
/* `millrace-trainer --ledger`: a JSON line a record on standard output. */
int ledger_print(const char *path, struct err *err);

#endif
