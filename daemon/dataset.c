#include "daemon/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "daemon/feed.h"
#include "daemon/jobs.h"
#include "daemon/store.h"

static void free_dataset(struct dataset *dataset)
{
    free(dataset->name);
    free(dataset->kind);
    free(dataset->splits);
    free(dataset->place);
    free(dataset);
}

static char *copy(const char *text)
{
    char *ret = strdup(text);
    BUG_ON(ret == NULL);
    return ret;
}

void dataset_forget(struct daemon *daemon, const char *name, int64_t version)
{
    for (struct dataset **link = &daemon->datasets->head; *link != NULL; link = &(*link)->next) {
        struct dataset *dataset = *link;
        if (dataset->version == version && !strcmp(dataset->name, name)) {
            *link = dataset->next;
            daemon->datasets->n--;
            free_dataset(dataset);
            return;
        }
    }
}

static bool comes_before(const struct dataset *a, const struct dataset *b)
{
    int order = strcmp(a->name, b->name);
    return order < 0 || (order == 0 && a->version < b->version);
}

struct dataset *dataset_add(struct daemon *daemon, const struct dataset *values, const char *id)
{
    dataset_forget(daemon, values->name, values->version);
    struct dataset *dataset = calloc(1, sizeof(*dataset));
    BUG_ON(dataset == NULL);
    *dataset = *values;
    dataset->name = copy(values->name);
    dataset->kind = copy(values->kind);
    dataset->splits = copy(values->splits);
    dataset->place = copy(values->place);
    snprintf(dataset->id, sizeof(dataset->id), "%s", id);
    struct dataset **link = &daemon->datasets->head;
    while (*link != NULL && comes_before(*link, dataset)) {
        link = &(*link)->next;
    }
    dataset->next = *link;
    *link = dataset;
    daemon->datasets->n++;
    return dataset;
}

static int load_row(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    struct arena arena;
    arena_init(&arena);
    struct dataset values = {.version = db_int(row, 1),
                             .files = db_int(row, 4),
                             .bytes = db_int(row, 5),
                             .created_us = db_int(row, 6),
                             .uid = db_int(row, 8)};
    values.name = arena_strdup(&arena, db_text(row, 0));
    values.kind = arena_strdup(&arena, db_text(row, 2));
    values.splits = arena_strdup(&arena, db_text(row, 7));
    values.place = arena_strdup(&arena, db_text(row, 9));
    dataset_add(context, &values, db_text(row, 3));
    arena_fini(&arena);
    return 0;
}

int dataset_open(struct daemon *daemon, struct err *err)
{
    daemon->datasets = calloc(1, sizeof(*daemon->datasets));
    BUG_ON(daemon->datasets == NULL);
    return db_each(store_db(daemon->store), DB_DATASETS, load_row, daemon, err, "");
}

void dataset_close(struct daemon *daemon)
{
    while (daemon->datasets != NULL && daemon->datasets->head != NULL) {
        const struct dataset *dataset = daemon->datasets->head;
        dataset_forget(daemon, dataset->name, dataset->version);
    }
    free(daemon->datasets);
    daemon->datasets = NULL;
}

/* "digits@2" -> the length of "digits", and 2; without a version 0. */
static size_t split_name(const char *name, int64_t *ret_version)
{
    const char *at = strrchr(name, '@');
    *ret_version = 0;
    if (at == NULL || !doc_parse_int(at + 1, ret_version) || *ret_version < 1) {
        *ret_version = 0;
        return strlen(name);
    }
    return (size_t)(at - name);
}

struct dataset *dataset_find(const struct daemon *daemon, const char *name)
{
    struct dataset *found = NULL;
    int64_t version = 0;
    size_t n = split_name(name, &version);
    for (struct dataset *d = daemon->datasets->head; d != NULL; d = d->next) {
        if (!d->removing && strlen(d->name) == n && !memcmp(d->name, name, n) &&
            (version == 0 || d->version == version)) {
            found = d; /* the last one is the newest */
        }
    }
    return found;
}

const struct dataset *dataset_of(const struct daemon *daemon, const char *id)
{
    const struct dataset *d = daemon->datasets->head;
    while (d != NULL && strcmp(d->id, id) != 0) {
        d = d->next;
    }
    return d;
}

int dataset_number(struct db *db, const char *name, int64_t *ret, struct err *err)
{
    *ret = 0;
    int rc = db_each(db, DB_NAME_LAST, db_take_int, ret, err, "s", name);
    ++*ret;
    return rc < 0 ? rc : db_run(db, DB_NAME_PUT, err, "si", name, *ret);
}

int dataset_get(const struct daemon *daemon, const char *name, struct dataset **ret,
                struct err *err)
{
    *ret = dataset_find(daemon, name);
    if (*ret != NULL) {
        return 0;
    }
    const char **names = calloc((size_t)daemon->datasets->n + 1, sizeof(*names));
    BUG_ON(names == NULL);
    size_t n = 0;
    for (const struct dataset *d = daemon->datasets->head; d != NULL; d = d->next) {
        names[n++] = d->name;
    }
    const char *near = err_nearest(name, names, n);
    int rc = err_set(err, ERR_NOT_FOUND, "no data set '%.64s'%s%s%s", name,
                     near != NULL ? "; the nearest is '" : "", near != NULL ? near : "",
                     near != NULL ? "'"
                     : n > 0      ? "; `millrace dataset list` lists those that are there"
                                  : "; `millrace dataset put NAME PATH` stores one");
    free(names);
    return rc;
}

void dataset_write(const struct daemon *daemon, const struct dataset *dataset, bool full,
                   struct doc *map, struct arena *arena)
{
    char created[32];
    clock_format(dataset->created_us, created, sizeof(created));
    doc_set_map(map);
    doc_put_str(map, arena, "name", dataset->name);
    doc_put_int(map, arena, "version", dataset->version);
    doc_put_str(map, arena, "kind", dataset->kind);
    doc_put_str(map, arena, "id", dataset->id);
    doc_put_int(map, arena, "files", dataset->files);
    doc_put_int(map, arena, "bytes", dataset->bytes);
    doc_put_str(map, arena, "created", created);
    if (dataset->place[0] != '\0') {
        doc_put_str(map, arena, "place", dataset->place);
    }
    if (!full) {
        return;
    }
    struct doc *versions = doc_put(map, arena, "versions");
    doc_set_list(versions);
    for (const struct dataset *d = daemon->datasets->head; d != NULL; d = d->next) {
        if (!d->removing && !strcmp(d->name, dataset->name)) {
            doc_set_int(doc_push(versions, arena), d->version);
        }
    }
    struct doc *splits = NULL;
    if (doc_read_json(dataset->splits, strlen(dataset->splits), &doc_limits_default, arena, &splits,
                      NULL) >= 0) {
        doc_copy(doc_put(map, arena, "splits"), arena, splits);
    }
    if (!strcmp(dataset->kind, "feed")) {
        feed_write(daemon, dataset->name, doc_put(map, arena, "feed"), arena);
    }
    jobs_write_users(daemon, dataset->id, doc_put(map, arena, "used_by"), arena);
}

void dataset_write_all(const struct daemon *daemon, struct doc *map, struct arena *arena)
{
    doc_set_map(map);
    struct doc *list = doc_put(map, arena, "datasets");
    doc_set_list(list);
    for (const struct dataset *d = daemon->datasets->head; d != NULL; d = d->next) {
        if (!d->removing && dataset_find(daemon, d->name) == d) {
            dataset_write(daemon, d, false, doc_push(list, arena), arena);
        }
    }
}

int dataset_manifest(const struct daemon *daemon, const char *id, int *ret_fd, struct err *err)
{
    char name[HASH_ID_TEXT + 8];
    snprintf(name, sizeof(name), "%.64s.json", id);
    *ret_fd = openat(daemon->datasets_fd, name, O_RDONLY | O_CLOEXEC);
    return *ret_fd < 0 ? err_errno(err, errno, "open the manifest %.16s", id) : 0;
}

void dataset_on_list(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    (void)body;
    (void)frames;
    (void)n_frames;
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    dataset_write_all(daemon, map, &arena);
    control_reply(daemon, request, map);
    arena_fini(&arena);
}

void dataset_on_show(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_named *named = body;
    struct dataset *dataset = NULL;
    struct err err = {0};
    if (dataset_get(daemon, named->name, &dataset, &err) < 0) {
        control_error(daemon, request, &err);
        return;
    }
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    dataset_write(daemon, dataset, true, map, &arena);
    control_reply(daemon, request, map);
    arena_fini(&arena);
}
