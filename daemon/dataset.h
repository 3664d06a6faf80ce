/* dataset - the named data sets: a manifest of content ids each, a row in the database, all of them
 * in memory.
 *
 * Owns:     struct datasets owns its entries; names handed out live till the data set is removed.
 * Threads:  the loop's; tasks do the reading and writing on the store thread.
 * Errors:   ERR_NOT_FOUND, ERR_BUSY (a job uses it), ERR_EXISTS.
 * Lifetime: dataset_open .. dataset_close.
 */
#ifndef DAEMON_DATASET_H
#define DAEMON_DATASET_H

#include "daemon/control.h"
#include "daemon/db.h"

struct dataset {          /* a version of one */
    struct dataset *next; /* sorted by name, then by version */
    char *name, *kind;
    char id[65]; /* of the manifest: datasets/<id>.json */
    int64_t version, files, bytes, created_us;
    int64_t uid;  /* who put it; -1 if unknown */
    char *splits; /* JSON */
    char *place;  /* the folder, if its files were not copied; else "" */
    bool removing;
};
struct datasets {
    struct dataset *head;
    int64_t n;
};

int dataset_open(struct daemon *daemon,
                 struct err *err); /* reads the rows; before the store has work */
void dataset_close(struct daemon *daemon);

/* "name" is the newest version, "name@2" that one. */
struct dataset *dataset_find(const struct daemon *daemon, const char *name);
/* As dataset_find, with ERR_NOT_FOUND and the nearest name. */
int dataset_get(const struct daemon *daemon, const char *name, struct dataset **ret,
                struct err *err);
/* The version that has this manifest, or NULL. */
const struct dataset *dataset_of(const struct daemon *daemon, const char *id);
/* The number of a name's next version, which no other gets. Store thread, in a task with rows. */
int dataset_number(struct db *db, const char *name, int64_t *ret, struct err *err);
/* Takes the texts by copy, and the manifest's id; an entry of the same name and version is
 * replaced. */
struct dataset *dataset_add(struct daemon *daemon, const struct dataset *values, const char *id);
void dataset_forget(struct daemon *daemon, const char *name, int64_t version);
/* {name, version, kind, id, files, bytes, created}; with versions, splits and used_by when full. */
void dataset_write(const struct daemon *daemon, const struct dataset *dataset, bool full,
                   struct doc *map, struct arena *arena);
/* {datasets: [...]}, the newest version of each. */
void dataset_write_all(const struct daemon *daemon, struct doc *map, struct arena *arena);
/* Opens the manifest for a child. */
int dataset_manifest(const struct daemon *daemon, const char *id, int *ret_fd, struct err *err);
/* The bytes of the files of a manifest, wherever they lie. Store thread. */
struct dataset_files {
    const struct daemon *daemon;
    const struct doc *rest; /* manifest_rest */
    int place_fd; /* -1 at first; closed by dataset_files_close */
};
/* file: one of manifest.files. ERR_NOT_FOUND, ERR_CORRUPT, ERR_DATA (in place: it was changed). */
int dataset_files_open(struct dataset_files *files, struct db *db, const struct doc *file,
                       int *ret_fd, int64_t *ret_offset, struct err *err);
/* Is what was read of it still the file? */
int dataset_files_check(const struct dataset_files *files, int fd, const struct doc *file,
                        struct err *err);
void dataset_files_close(struct dataset_files *files);
/* The entry of the shard that a file lies in, or NULL. */
const struct doc *dataset_files_shard(const struct dataset_files *files, const struct doc *file);

control_fn dataset_on_list, dataset_on_show, dataset_on_verify, dataset_on_remove;
control_fn dataset_on_manifest, dataset_on_read;

#endif
