#include "daemon/blob_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { OPEN_MAX = 32 };

struct blob_packs {
    int blobs_fd, pack_fd;
    int64_t last_number;
    struct blob_pack *head;
};

static int make_folder(int blobs_fd, const char *name, struct err *err)
{
    if (mkdirat(blobs_fd, name, 0700) != 0) {
        return errno == EEXIST ? 0 : err_errno(err, errno, "make blobs/%s", name);
    }
    return fsync(blobs_fd) != 0 ? err_errno(err, errno, "sync the folder of blobs") : 0;
}

int blob_pack_open(int blobs_fd, struct db *db, struct blob_packs **ret, struct err *err)
{
    struct blob_packs *packs = calloc(1, sizeof(*packs));
    BUG_ON(packs == NULL);
    packs->blobs_fd = blobs_fd;
    int rc = make_folder(blobs_fd, "pack", err);
    rc = rc < 0 ? rc : make_folder(blobs_fd, "at", err);
    rc = rc < 0 ? rc : db_each(db, DB_PACK_LAST, db_take_int, &packs->last_number, err, "");
    packs->pack_fd = rc < 0 ? -1 : openat(blobs_fd, "pack", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (packs->pack_fd < 0) {
        rc = rc < 0 ? rc : err_errno(err, errno, "open blobs/pack");
        free(packs);
        return rc;
    }
    *ret = packs;
    return 0;
}

static void free_pack(struct blob_packs *packs, struct blob_pack *pack)
{
    struct blob_pack **link = &packs->head;
    while (*link != pack) {
        link = &(*link)->next;
    }
    *link = pack->next;
    close(pack->fd);
    free(pack);
}

void blob_pack_close(struct blob_packs *packs)
{
    if (packs == NULL) {
        return;
    }
    while (packs->head != NULL) {
        free_pack(packs, packs->head);
    }
    close(packs->pack_fd);
    free(packs);
}

static void leave(struct blob_packs *packs, struct blob_pack *pack)
{
    pack->left = true;
    if (pack->n_users == 0) {
        free_pack(packs, pack);
    }
}

static struct blob_pack *find(const struct blob_packs *packs, const char *owner)
{
    struct blob_pack *pack = packs->head;
    while (pack != NULL && (pack->left || strcmp(pack->owner, owner) != 0)) {
        pack = pack->next;
    }
    return pack;
}

/* A name that nobody guesses: a worker may open what it can name. */
static int make_name(char name[PACK_NAME], struct err *err)
{
    unsigned char random[(PACK_NAME - 1) / 2];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return err_errno(err, errno, "random bytes for a pack's name");
    }
    for (size_t i = 0; i < sizeof(random); i++) {
        snprintf(name + 2 * i, 3, "%02x", random[i]);
    }
    return 0;
}

/* An upload whose client is gone keeps its pack open; the one that is longest here makes room. */
static void make_room(struct blob_packs *packs)
{
    struct blob_pack *oldest = NULL;
    int n = 0;
    for (struct blob_pack *pack = packs->head; pack != NULL; pack = pack->next) {
        oldest = pack->left ? oldest : pack;
        n++;
    }
    if (n >= OPEN_MAX && oldest != NULL) {
        leave(packs, oldest);
    }
}

static int open_pack(struct blob_packs *packs, const char *owner, struct blob_pack **ret,
                     struct err *err)
{
    struct blob_pack *pack = calloc(1, sizeof(*pack));
    char path[PACK_PATH];
    BUG_ON(pack == NULL);
    make_room(packs);
    int rc = make_name(pack->name, err);
    pack_path(pack->name, path);
    pack->fd =
        rc < 0 ? -1 : openat(packs->blobs_fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (pack->fd < 0) {
        rc = rc < 0 ? rc : err_errno(err, errno, "make a pack");
        free(pack);
        return rc;
    }
    if (fsync(packs->pack_fd) != 0) {
        rc = err_errno(err, errno, "sync the folder of packs");
        unlinkat(packs->blobs_fd, path, 0);
        close(pack->fd);
        free(pack);
        return rc;
    }
    snprintf(pack->owner, sizeof(pack->owner), "%s", owner);
    pack->number = ++packs->last_number;
    pack->created_us = clock_wall_us();
    pack->next = packs->head;
    packs->head = pack;
    *ret = pack;
    return 0;
}

int blob_pack_append(struct blob_packs *packs, const char *owner, const void *data, size_t size,
                     struct blob_pack **ret, int64_t *ret_offset, struct err *err)
{
    struct blob_pack *pack = find(packs, owner);
    if (pack != NULL && (pack->failed || pack->end + (int64_t)size > BLOB_PACK_BYTES)) {
        leave(packs, pack);
        pack = NULL;
    }
    int rc = pack == NULL ? open_pack(packs, owner, &pack, err) : 0;
    if (rc < 0 || pack == NULL) {
        return rc;
    }
    rc = file_pwrite_all(pack->fd, data, size, pack->end, err);
    if (rc < 0) {
        int ignored = ftruncate(pack->fd, pack->end);
        (void)ignored;
        return rc;
    }
    /* The disk begins now, so that the sync has less to wait for. */
    sync_file_range(pack->fd, pack->end, (off64_t)size, SYNC_FILE_RANGE_WRITE);
    *ret_offset = pack->end;
    pack->end += (int64_t)size;
    pack->n_users++;
    *ret = pack;
    return 0;
}

int blob_pack_sync(struct blob_pack *pack, int64_t end, struct err *err)
{
    if (end <= pack->synced) {
        return 0;
    }
    if (!pack->failed && fdatasync(pack->fd) == 0) {
        pack->synced = pack->end;
        return 0;
    }
    int why = pack->failed ? EIO : errno;
    pack->failed = true; /* a failed sync is never tried again */
    return err_errno(err, why, "sync a pack");
}

int blob_pack_enter(const struct blob_pack *pack, struct db *db, const char *id, int64_t offset,
                    int64_t bytes, struct err *err)
{
    int rc = db_run(db, DB_PACK_ADD, err, "isi", pack->number, pack->name, pack->created_us);
    return rc < 0 ? rc : db_run(db, DB_ARRIVE, err, "siii", id, pack->number, offset, bytes);
}

void blob_pack_done(struct blob_packs *packs, struct blob_pack *pack)
{
    if (--pack->n_users == 0 && pack->left) {
        free_pack(packs, pack);
    }
}

void blob_pack_release(struct blob_packs *packs, const char *owner)
{
    struct blob_pack *pack = find(packs, owner);
    if (pack != NULL) {
        leave(packs, pack);
    }
}

bool blob_pack_is_open(const struct blob_packs *packs, int64_t number)
{
    const struct blob_pack *pack = packs->head;
    while (pack != NULL && pack->number != number) {
        pack = pack->next;
    }
    return pack != NULL;
}
