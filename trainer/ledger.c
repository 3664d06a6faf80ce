#include "trainer/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { LEDGER_MAGIC = 0x4c444c4d, LEDGER_IDS_MAX = 1 << 24 };

/* A kill may leave half a record at the end; what is appended next must not stand behind it. */
static int cut_torn_end(int fd, struct err *err)
{
    int64_t offset = 0;
    struct ledger_record record;
    int64_t size = lseek(fd, 0, SEEK_END);
    while (offset + (int64_t)sizeof(record) <= size) {
        int64_t n = file_pread(fd, &record, sizeof(record), offset, err);
        if (n < (int64_t)sizeof(record)) {
            return n < 0 ? (int)n : 0;
        }
        int64_t next = offset + (int64_t)(sizeof(record) + record.n_ids * sizeof(int64_t));
        if (record.magic != LEDGER_MAGIC || next > size) {
            break;
        }
        offset = next;
    }
    return offset == size || ftruncate(fd, offset) == 0
               ? 0
               : err_errno(err, errno, "cut '%s'", LEDGER_NAME);
}

int ledger_open(struct ledger *ledger, int dir_fd, int level, int64_t max_rows, struct arena *arena,
                struct err *err)
{
    *ledger = (struct ledger){.fd = -1, .level = level};
    if (level == JOB_LEDGER_NONE) {
        return 0;
    }
    size_t ids = level == JOB_LEDGER_SAMPLES ? (size_t)max_rows : 0;
    ledger->capacity = sizeof(struct ledger_record) + ids * sizeof(int64_t);
    ledger->record = arena_alloc(arena, ledger->capacity);
    ledger->fd = openat(dir_fd, LEDGER_NAME, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (ledger->fd < 0) {
        return err_errno(err, errno, "open '%s'", LEDGER_NAME);
    }
    return cut_torn_end(ledger->fd, err);
}

static int put(struct ledger *ledger, const struct ledger_record *record, const int64_t *ids,
               struct err *err)
{
    if (ledger->fd < 0) {
        return 0;
    }
    size_t size = sizeof(*record) + record->n_ids * sizeof(int64_t);
    memcpy(ledger->record, record, sizeof(*record));
    if (ids != NULL && record->n_ids > 0) {
        memcpy(ledger->record + sizeof(*record), ids, record->n_ids * sizeof(int64_t));
    }
    return file_write_all(ledger->fd, ledger->record, size, err);
}

int ledger_start(struct ledger *ledger, int64_t epoch, int64_t step, struct err *err)
{
    struct ledger_record record = {
        .magic = LEDGER_MAGIC, .kind = LEDGER_START, .epoch = epoch, .step = step};
    return put(ledger, &record, NULL, err);
}

int ledger_step(struct ledger *ledger, int64_t epoch, int64_t step, int64_t rows, uint64_t hash,
                const int64_t *ids, struct err *err)
{
    struct ledger_record record = {.magic = LEDGER_MAGIC,
                                   .kind = LEDGER_STEP,
                                   .rows = (uint32_t)rows,
                                   .epoch = epoch,
                                   .step = step,
                                   .hash = hash};
    record.n_ids = ledger->level == JOB_LEDGER_SAMPLES ? (uint32_t)rows : 0;
    return put(ledger, &record, ids, err);
}

void ledger_close(struct ledger *ledger)
{
    if (ledger->fd >= 0) {
        close(ledger->fd);
    }
    ledger->fd = -1;
}

int ledger_read(int fd, ledger_fn fn, void *ctx, struct err *err)
{
    int64_t *ids = NULL;
    size_t capacity = 0;
    int64_t offset = 0;
    int rc = 0;
    while (rc == 0) {
        struct ledger_record record;
        int64_t n = file_pread(fd, &record, sizeof(record), offset, err);
        if (n < (int64_t)sizeof(record)) {
            rc = n < 0 ? (int)n : 0;
            break;
        }
        if (record.magic != LEDGER_MAGIC || record.n_ids > LEDGER_IDS_MAX) {
            rc = err_set(err, ERR_CORRUPT, "no ledger record at byte %lld", (long long)offset);
            break;
        }
        size_t size = record.n_ids * sizeof(int64_t);
        if (size > capacity) {
            capacity = size;
            int64_t *more = realloc(ids, capacity);
            BUG_ON(more == NULL);
            ids = more;
        }
        n = size > 0 ? file_pread(fd, ids, size, offset + (int64_t)sizeof(record), err) : 0;
        if (n < (int64_t)size) {
            rc = n < 0 ? (int)n : 0;
            break;
        }
        rc = fn(ctx, &record, ids);
        offset += (int64_t)(sizeof(record) + size);
    }
    free(ids);
    return rc;
}

static int print_record(void *ctx, const struct ledger_record *record, const int64_t *ids)
{
    struct buf *line = ctx;
    buf_clear(line);
    buf_printf(line, "{\"kind\": \"%s\", \"epoch\": %lld, \"step\": %lld",
               record->kind == LEDGER_START ? "start" : "step", (long long)record->epoch,
               (long long)record->step);
    if (record->kind == LEDGER_STEP) {
        buf_printf(line, ", \"rows\": %u, \"hash\": \"%016llx\"", record->rows,
                   (unsigned long long)record->hash);
    }
    for (uint32_t i = 0; i < record->n_ids; i++) {
        buf_printf(line, "%s%lld", i == 0 ? ", \"samples\": [" : ", ", (long long)ids[i]);
    }
    buf_puts(line, record->n_ids > 0 ? "]}\n" : "}\n");
    return fwrite(line->data, 1, line->size, stdout) == line->size ? 0 : ERR_IO;
}

int ledger_print(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(err, errno, "open '%s'", path);
    }
    struct buf line = {0};
    int rc = ledger_read(fd, print_record, &line, err);
    buf_fini(&line);
    close(fd);
    return rc;
}
