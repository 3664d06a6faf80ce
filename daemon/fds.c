#include "daemon/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/dataset.h"
#include "daemon/in_place.h"
#include "daemon/keep.h"

int fds_memory(const char *name, const void *data, size_t size, int *ret_fd, struct err *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return err_errno(err, errno, "memory file '%s'", name);
    }
    int rc = file_write_all(fd, data, size, err);
    if (rc >= 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
        rc = err_errno(err, errno, "seal the memory file '%s'", name);
    }
    if (rc >= 0 && lseek(fd, 0, SEEK_SET) != 0) {
        rc = err_errno(err, errno, "rewind the memory file '%s'", name);
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

int fds_add(struct fds *fds, const char *name, int fd, bool own, struct err *err)
{
    int n = fds->list.n;
    if (n >= CHILD_FDS_MAX) {
        if (own) {
            close(fd);
        }
        return err_set(err, ERR_LIMIT, "more than %d files for a child", CHILD_FDS_MAX);
    }
    fds->list.fd[n] = fd;
    fds->names[n] = name;
    fds->own[n] = own;
    fds->list.n++;
    return 0;
}

/* Without it all is computed anew, which is no reason to refuse the work. */
static int add_kept(struct fds *fds, struct daemon *daemon, const struct job_pin *pins,
                    int64_t n_pins, struct err *err)
{
    struct err why = {0};
    int fd = -1;
    if (fds->kept == NULL && keep_take(daemon, pins, n_pins, &fds->kept, &fd, &why) < 0) {
        if (why.code != ERR_UNSUPPORTED) {
            log_err(daemon->log, LOG_LEVEL_WARNING, "nothing is kept for a child", &why);
        }
        return 0;
    }
    fds->kept_bytes = daemon->settings->kept_bytes;
    return fds_add(fds, "kept", fd, true, err);
}

/* The folder of a data set whose files were not copied. */
static int add_place(struct fds *fds, const struct daemon *daemon, const struct job_pin *pin,
                     struct arena *arena, struct err *err)
{
    const struct dataset *dataset = dataset_of(daemon, pin->id);
    int fd = -1;
    if (dataset == NULL || dataset->place[0] == '\0') {
        return 0;
    }
    int rc = in_place_open(daemon, dataset->place, &fd, err);
    return rc < 0 ? rc : fds_add(fds, arena_printf(arena, "place:%s", pin->name), fd, true, err);
}

int fds_add_pins(struct fds *fds, struct daemon *daemon, const struct job_pin *pins, int64_t n_pins,
                 struct arena *arena, struct err *err)
{
    int rc = fds_add(fds, "blobs", daemon->blobs_fd, false, err);
    rc = rc < 0 ? rc : add_kept(fds, daemon, pins, n_pins, err);
    for (int64_t i = 0; i < n_pins && rc >= 0; i++) {
        int fd = -1;
        rc = dataset_manifest(daemon, pins[i].id, &fd, err);
        if (rc >= 0) {
            rc = fds_add(fds, arena_printf(arena, "manifest:%s", pins[i].name), fd, true, err);
        }
        rc = rc < 0 ? rc : add_place(fds, daemon, &pins[i], arena, err);
    }
    return rc;
}

void fds_fini(struct fds *fds)
{
    for (int i = 0; i < fds->list.n; i++) {
        if (fds->own[i]) {
            close(fds->list.fd[i]);
        }
    }
    fds->list.n = 0;
    keep_leave(fds->kept);
    fds->kept = NULL;
}

/* A folder or the slab has no offset that matters. */
static bool has_offset(const char *name)
{
    static const char *const names[] = {"kept", "jobdir", "slab"};
    bool has = !child_is_folder(name);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        has = has && strcmp(name, names[i]) != 0;
    }
    return has;
}

static int open_again(const struct fds *fds, struct child_fds *ret, struct err *err)
{
    for (ret->n = 0; ret->n < fds->list.n; ret->n++) {
        char path[48];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fds->list.fd[ret->n]);
        ret->fd[ret->n] = has_offset(fds->names[ret->n]) ? open(path, O_RDONLY | O_CLOEXEC)
                                                         : fds->list.fd[ret->n];
        if (ret->fd[ret->n] < 0) {
            return err_errno(err, errno, "open '%s' for a child", fds->names[ret->n]);
        }
    }
    return 0;
}

int fds_send_start(const struct fds *fds, struct process *process, struct msg_child_start *start,
                   struct err *err)
{
    struct child_fds list;
    start->fds.v = fds->names;
    start->fds.n = (size_t)fds->list.n;
    start->kept_bytes = fds->kept_bytes;
    int rc = open_again(fds, &list, err);
    if (rc >= 0) {
        rc = process_send(process, MSG_CHILD_START, start, &list, err);
    }
    for (int i = 0; i < list.n; i++) {
        if (list.fd[i] != fds->list.fd[i]) {
            close(list.fd[i]);
        }
    }
    return rc;
}
