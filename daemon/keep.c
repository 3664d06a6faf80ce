#include "daemon/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "daemon/dataset.h"
#include "daemon/store.h"

/* kept/<key>/ and beside it kept/<key>.of, the ids of its manifests; kept/.gone-<key>/ is deleted.
 */
enum { SWEEP_US = 30000000, TEMPORARY_SECONDS = 600, OF_BYTES_MAX = 1 << 20, NAME = 96 };
static const char of_suffix[] = ".of", gone_prefix[] = ".gone-";

struct keep_key {
    struct keep_key *next;
    struct daemon *daemon;
    int64_t users;
    char key[HASH_ID_TEXT];
};
struct keep {
    struct keep_key *used;
    bool sweeping, again;
    int64_t bytes, keys, swept_us;
};

/* ---- a key ---------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The ids, sorted, each once and on a line of its own; their hash is the key. */
static void make_key(const struct job_pin *pins, int64_t n_pins, struct buf *ids,
                     char key[HASH_ID_TEXT])
{
    struct arena arena;
    arena_init(&arena);
    const char **sorted = arena_array(&arena, (size_t)n_pins + 1, sizeof(*sorted));
    for (int64_t i = 0; i < n_pins; i++) {
        sorted[i] = pins[i].id;
    }
    qsort(sorted, (size_t)n_pins, sizeof(*sorted), by_text);
    for (int64_t i = 0; i < n_pins; i++) {
        if (i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0) {
            buf_printf(ids, "%s\n", sorted[i]);
        }
    }
    hash_bytes(ids->data, ids->size, key);
    arena_fini(&arena);
}

static bool is_key(const char *name)
{
    return strlen(name) == HASH_ID_TEXT - 1 && strspn(name, "0123456789abcdef") == HASH_ID_TEXT - 1;
}

static struct keep_key *find_used(const struct keep *keep, const char *key)
{
    struct keep_key *k = keep->used;
    while (k != NULL && strcmp(k->key, key) != 0) {
        k = k->next;
    }
    return k;
}

/* Not synced: without it, or with a torn one, the folder is evicted. */
static int write_of(const struct daemon *daemon, const char *key, const struct buf *ids,
                    struct err *err)
{
    char name[NAME], temporary[NAME];
    snprintf(name, sizeof(name), "%.64s%s", key, of_suffix);
    snprintf(temporary, sizeof(temporary), ".%.64s.tmp", key);
    if (faccessat(daemon->kept_fd, name, R_OK, 0) == 0) {
        return 0;
    }
    int fd = openat(daemon->kept_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_errno(err, errno, "make kept/%s", name);
    }
    int rc = file_write_all(fd, ids->data, ids->size, err);
    close(fd);
    if (rc >= 0 && renameat(daemon->kept_fd, temporary, daemon->kept_fd, name) != 0) {
        rc = err_errno(err, errno, "rename kept/%s", name);
    }
    return rc;
}

static int open_key(const struct daemon *daemon, const char *key, int *ret_fd, struct err *err)
{
    if (mkdirat(daemon->kept_fd, key, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, errno, "make the folder kept/%s", key);
    }
    *ret_fd = openat(daemon->kept_fd, key, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (*ret_fd < 0) {
        return err_errno(err, errno, "open the folder kept/%s", key);
    }
    futimens(*ret_fd, NULL); /* it is the most recently used one now */
    return 0;
}

int keep_take(struct daemon *daemon, const struct job_pin *pins, int64_t n_pins,
              struct keep_key **ret, int *ret_fd, struct err *err)
{
    char key[HASH_ID_TEXT];
    struct buf ids;
    if (daemon->settings->kept_bytes == 0 || n_pins == 0) {
        return err_set(err, ERR_UNSUPPORTED, "nothing is kept");
    }
    buf_init(&ids);
    make_key(pins, n_pins, &ids, key);
    int rc = write_of(daemon, key, &ids, err);
    rc = rc < 0 ? rc : open_key(daemon, key, ret_fd, err);
    buf_fini(&ids);
    if (rc < 0) {
        return rc;
    }
    struct keep *keep = daemon->keep;
    struct keep_key *used = find_used(keep, key);
    if (used == NULL) {
        used = calloc(1, sizeof(*used));
        BUG_ON(used == NULL);
        used->daemon = daemon;
        memcpy(used->key, key, sizeof(used->key));
        used->next = keep->used;
        keep->used = used;
    }
    used->users++;
    *ret = used;
    return 0;
}

void keep_leave(struct keep_key *key)
{
    if (key == NULL || --key->users > 0) {
        return;
    }
    struct daemon *daemon = key->daemon;
    struct keep_key **link = &daemon->keep->used;
    while (*link != key) {
        link = &(*link)->next;
    }
    *link = key->next;
    free(key);
    keep_sweep(daemon);
}

/* ---- the sweep: measured on the store thread, decided on the loop, deleted on the store thread
 * --- */

struct found {
    char key[HASH_ID_TEXT];
    int64_t bytes, used_s, used_ns;
    bool is_dead; /* a data set of it went */
};
struct sweep {
    struct store_task task;
    struct daemon *daemon;
    struct arena arena;
    const char **manifests; /* sorted */
    size_t n_manifests;
    struct buf found; /* struct found, the least recently used first */
    bool has_gone;
};

static bool is_temporary(const char *name)
{
    const size_t n = strlen(name);
    return name[0] == '.' && n > 5 && strcmp(name + n - 4, ".tmp") == 0;
}

/* Bytes on the disk; what a writer left behind goes. */
static int64_t measure_key(int fd)
{
    int64_t bytes = 0;
    struct stat st;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return 0;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
            continue;
        }
        if (is_temporary(entry->d_name) &&
            clock_wall_us() / 1000000 - st.st_mtim.tv_sec > TEMPORARY_SECONDS) {
            unlinkat(fd, entry->d_name, 0);
        } else {
            bytes += (int64_t)st.st_blocks * 512;
        }
    }
    closedir(dir);
    return bytes;
}

static bool has_manifests(const struct sweep *sweep, const char *key)
{
    char name[NAME];
    struct buf ids;
    bool has = true;
    snprintf(name, sizeof(name), "%.64s%s", key, of_suffix);
    buf_init(&ids);
    char *rest = file_read(sweep->daemon->kept_fd, name, OF_BYTES_MAX, &ids, NULL) < 0 ||
                         ids.size == 0 || ids.data[ids.size - 1] != '\n'
                     ? NULL
                     : ids.data;
    has = rest != NULL;
    for (const char *id = strsep(&rest, "\n"); id != NULL && has; id = strsep(&rest, "\n")) {
        has = *id == '\0' || bsearch(&id, sweep->manifests, sweep->n_manifests,
                                     sizeof(*sweep->manifests), by_text) != NULL;
    }
    buf_fini(&ids);
    return has;
}

static void measure_one(struct sweep *sweep, const char *name)
{
    struct found found = {.bytes = 0};
    struct stat st;
    sweep->has_gone = sweep->has_gone || strncmp(name, gone_prefix, strlen(gone_prefix)) == 0;
    if (!is_key(name)) {
        return;
    }
    int fd = openat(sweep->daemon->kept_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &st) != 0) {
        close(fd);
        return;
    }
    memcpy(found.key, name, sizeof(found.key));
    found.used_s = st.st_mtim.tv_sec;
    found.used_ns = st.st_mtim.tv_nsec;
    found.bytes = measure_key(fd);
    found.is_dead = !has_manifests(sweep, name);
    buf_put(&sweep->found, &found, sizeof(found));
}

static int by_use(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->used_s != y->used_s) {
        return x->used_s < y->used_s ? -1 : 1;
    }
    return x->used_ns < y->used_ns ? -1 : x->used_ns > y->used_ns;
}

static DIR *list_folder(int fd)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (dir == NULL && again >= 0) {
        close(again);
    }
    return dir;
}

static int run_measure(struct store_task *base, struct db *db, struct err *err)
{
    struct sweep *sweep = (struct sweep *)base;
    DIR *dir = list_folder(sweep->daemon->kept_fd);
    (void)db;
    if (dir == NULL) {
        return err_errno(err, errno, "list the folder kept");
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        measure_one(sweep, entry->d_name);
    }
    closedir(dir);
    if (sweep->found.size > 0) {
        qsort(sweep->found.data, sweep->found.size / sizeof(struct found), sizeof(struct found),
              by_use);
    }
    return 0;
}

static void delete_gone(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        unlinkat(fd, entry->d_name, 0);
    }
    closedir(dir);
    unlinkat(parent, name, AT_REMOVEDIR);
}

static int run_delete(struct store_task *base, struct db *db, struct err *err)
{
    struct sweep *sweep = (struct sweep *)base;
    DIR *dir = list_folder(sweep->daemon->kept_fd);
    (void)db;
    if (dir == NULL) {
        return err_errno(err, errno, "list the folder kept");
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strncmp(entry->d_name, gone_prefix, strlen(gone_prefix)) == 0) {
            delete_gone(sweep->daemon->kept_fd, entry->d_name);
        }
    }
    closedir(dir);
    return 0;
}

static void done_delete(struct store_task *base)
{
    struct sweep *sweep = (struct sweep *)base;
    struct daemon *daemon = sweep->daemon;
    struct keep *keep = daemon->keep;
    const bool again = keep->again && !daemon->stopping;
    keep->sweeping = keep->again = false;
    buf_fini(&sweep->found);
    arena_fini(&sweep->arena);
    free(sweep);
    if (again) {
        keep_sweep(daemon);
    }
}

/* Renamed at once, here where keys are taken; so nobody begins to use one that is being deleted. */
static bool evict(struct daemon *daemon, const struct found *found)
{
    char gone[NAME], of[NAME];
    snprintf(gone, sizeof(gone), "%s%s", gone_prefix, found->key);
    snprintf(of, sizeof(of), "%s%s", found->key, of_suffix);
    if (renameat(daemon->kept_fd, found->key, daemon->kept_fd, gone) != 0) {
        return false;
    }
    unlinkat(daemon->kept_fd, of, 0);
    daemon->counters[COUNT_KEPT_EVICTED]++;
    return true;
}

static void done_measure(struct store_task *base)
{
    struct sweep *sweep = (struct sweep *)base;
    struct daemon *daemon = sweep->daemon;
    struct keep *keep = daemon->keep;
    const struct found *list = (const struct found *)(const void *)sweep->found.data;
    const size_t n = sweep->found.size / sizeof(*list);
    bool has_gone = sweep->has_gone;
    keep->bytes = 0;
    keep->keys = (int64_t)n;
    for (size_t i = 0; i < n; i++) {
        keep->bytes += list[i].bytes;
    }
    for (size_t i = 0; i < n; i++) {
        const bool is_over = keep->bytes > daemon->settings->kept_bytes;
        if (find_used(keep, list[i].key) == NULL && (is_over || list[i].is_dead) &&
            evict(daemon, &list[i])) {
            keep->bytes -= list[i].bytes;
            keep->keys--;
            has_gone = true;
        }
    }
    daemon->counters[COUNT_KEPT_BYTES] = keep->bytes;
    if (base->status < 0) {
        log_err(daemon->log, LOG_LEVEL_WARNING, "what is kept cannot be measured", &base->err);
    }
    if (has_gone && !daemon->stopping) {
        store_task_init(base, run_delete, done_delete, false);
        store_put(daemon->store, base);
    } else {
        done_delete(base);
    }
}

void keep_sweep(struct daemon *daemon)
{
    struct keep *keep = daemon->keep;
    if (keep == NULL || keep->sweeping || daemon->stopping) {
        if (keep != NULL) {
            keep->again = true;
        }
        return;
    }
    struct sweep *sweep = calloc(1, sizeof(*sweep));
    BUG_ON(sweep == NULL);
    arena_init(&sweep->arena);
    sweep->daemon = daemon;
    sweep->manifests =
        arena_array(&sweep->arena, (size_t)daemon->datasets->n + 1, sizeof(*sweep->manifests));
    for (const struct dataset *d = daemon->datasets->head; d != NULL; d = d->next) {
        if (sweep->n_manifests < (size_t)daemon->datasets->n) {
            sweep->manifests[sweep->n_manifests++] = arena_strdup(&sweep->arena, d->id);
        }
    }
    qsort(sweep->manifests, sweep->n_manifests, sizeof(*sweep->manifests), by_text);
    keep->sweeping = true;
    keep->swept_us = clock_us();
    store_task_init(&sweep->task, run_measure, done_measure, false);
    store_put(daemon->store, &sweep->task);
}

void keep_tick(struct daemon *daemon)
{
    if (daemon->keep->used != NULL && clock_us() - daemon->keep->swept_us > SWEEP_US) {
        keep_sweep(daemon);
    }
}

void keep_open(struct daemon *daemon)
{
    daemon->keep = calloc(1, sizeof(*daemon->keep));
    BUG_ON(daemon->keep == NULL);
}

void keep_close(struct daemon *daemon)
{
    free(daemon->keep);
    daemon->keep = NULL;
}

void keep_write(const struct daemon *daemon, struct doc *map, struct arena *arena)
{
    const struct keep *keep = daemon->keep;
    int64_t used = 0;
    for (const struct keep_key *k = keep->used; k != NULL; k = k->next) {
        used++;
    }
    doc_set_map(map);
    doc_put_int(map, arena, "bytes", keep->bytes);
    doc_put_int(map, arena, "keys", keep->keys);
    doc_put_int(map, arena, "used", used);
    doc_put_int(map, arena, "limit_bytes", daemon->settings->kept_bytes);
}
