#include "daemon/manifest.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "daemon/dataset.h"

enum { WINDOW = 1 << 16, REST_MAX = 32 << 20 };
static const char files_begin[] =
    "{\"files\":["; /* "files" is the first key of those that list any */
enum { FILES_BEGIN = sizeof(files_begin) - 1 };

struct manifest {
    int fd;
    struct arena arena, entry;
    struct doc *rest;
    int64_t at, end; /* of the files in the text; end: of their "]" */
    int64_t begin;   /* of the window */
    size_t size;
    char window[WINDOW];
};

/* Where a text stands between braces and brackets, outside of strings. */
struct scan {
    int depth;
    bool in_string, escaped;
};

/* True at the byte that closes what was opened at depth 0, or at a "]" of depth 0. */
static bool step(struct scan *scan, char c)
{
    if (scan->in_string) {
        scan->in_string = scan->escaped || c != '"';
        scan->escaped = !scan->escaped && c == '\\';
        return false;
    }
    scan->in_string = c == '"';
    scan->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    return (c == '}' && scan->depth == 0) || scan->depth < 0;
}

static int damaged(const char *id, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "the manifest %.64s is damaged", id);
}

static int fill(struct manifest *m, int64_t offset, struct err *err)
{
    int64_t n = file_pread(m->fd, m->window, WINDOW, offset, err);
    m->begin = offset;
    m->size = n > 0 ? (size_t)n : 0;
    return n < 0 ? (int)n : 0;
}

/* The end of the files in a window, while the text is read for the first time. */
static void find_end(struct manifest *m, struct scan *scan, int64_t skip)
{
    for (size_t i = (size_t)skip; i < m->size && m->end < 0; i++) {
        if (step(scan, m->window[i]) && scan->depth < 0) {
            m->end = m->begin + (int64_t)i;
        }
    }
}

/* Everything once: the id, and what stands behind the files. */
static int read_all(struct manifest *m, const char *id, struct buf *rest, struct err *err)
{
    char found[HASH_ID_TEXT];
    struct hash hash;
    struct scan scan = {0};
    int rc = fill(m, 0, err);
    const bool lists = m->size >= FILES_BEGIN && !memcmp(m->window, files_begin, FILES_BEGIN);
    m->at = FILES_BEGIN;
    m->end = lists ? -1 : m->at;
    hash_init(&hash);
    while (rc >= 0 && m->size > 0 && rest->size <= REST_MAX) {
        hash_update(&hash, m->window, m->size);
        size_t from = 0;
        if (lists && m->end < 0) {
            find_end(m, &scan, m->begin == 0 ? FILES_BEGIN : 0);
            from = m->end >= 0 ? (size_t)(m->end + 1 - m->begin) : m->size;
        }
        buf_put(rest, m->window + from, m->size - from);
        rc = fill(m, m->begin + (int64_t)m->size, err);
    }
    hash_final(&hash, found);
    return rc < 0 ? rc : strcmp(found, id) != 0 || m->end < 0 ? damaged(id, err) : 0;
}

int manifest_open(const struct daemon *daemon, const char *id, struct manifest **ret,
                  struct err *err)
{
    struct manifest *m = calloc(1, sizeof(*m));
    struct buf rest = {0};
    BUG_ON(m == NULL);
    m->fd = -1;
    arena_init(&m->arena);
    arena_init(&m->entry);
    int rc = dataset_manifest(daemon, id, &m->fd, err);
    rc = rc < 0 ? rc : read_all(m, id, &rest, err);
    if (rc >= 0) {
        const char *text = rest.size > 0 ? rest.data : "";
        if (text[0] != '{') { /* ",KEY:..}" or "}" behind the files */
            text = arena_printf(&m->arena, "{%.*s", (int)rest.size - (text[0] == ','),
                                text + (text[0] == ','));
        }
        rc = doc_read_json(text, strlen(text), &doc_limits_default, &m->arena, &m->rest, err);
    }
    buf_fini(&rest);
    if (rc < 0) {
        manifest_close(m);
        return rc;
    }
    *ret = m;
    return 0;
}

void manifest_close(struct manifest *manifest)
{
    if (manifest == NULL) {
        return;
    }
    if (manifest->fd >= 0) {
        close(manifest->fd);
    }
    arena_fini(&manifest->entry);
    arena_fini(&manifest->arena);
    free(manifest);
}

const struct doc *manifest_rest(const struct manifest *manifest)
{
    return manifest->rest;
}

void manifest_rewind(struct manifest *manifest)
{
    manifest->at = FILES_BEGIN;
}

/* The length of the entry at `at`, 0 if the window does not hold it whole. */
static size_t length(const struct manifest *m)
{
    struct scan scan = {0};
    const int64_t from = m->at - m->begin;
    for (size_t i = (size_t)from; from >= 0 && i < m->size; i++) {
        if (step(&scan, m->window[i])) {
            return i + 1 - (size_t)from;
        }
    }
    return 0;
}

int manifest_next(struct manifest *m, const struct doc **ret, struct err *err)
{
    struct doc *entry = NULL;
    *ret = NULL;
    if (m->at >= m->end) {
        return 0;
    }
    size_t n = length(m);
    if (n == 0) {
        int rc = fill(m, m->at, err);
        if (rc < 0) {
            return rc;
        }
        n = length(m);
    }
    if (n == 0) {
        return err_set(err, ERR_CORRUPT, "a manifest is damaged");
    }
    arena_reset(&m->entry);
    int rc = doc_read_json(m->window + (m->at - m->begin), n, &doc_limits_default, &m->entry,
                           &entry, err);
    m->at += (int64_t)n + 1; /* the comma, or the bracket */
    *ret = rc >= 0 ? entry : NULL;
    return rc < 0 ? rc : 0;
}
