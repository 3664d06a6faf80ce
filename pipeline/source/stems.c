#include "pipeline/source/stems.h"

#include <stdlib.h>
#include <string.h>

const char *stems_key(const char *path, const char *folder, struct arena *arena, bool *ret_has)
{
    const size_t n = folder != NULL ? strlen(folder) : 0;
    char *key = arena_strdup(arena, path);
    *ret_has = false;
    for (char *part = key; folder != NULL && part != NULL && *part != '\0';) {
        if (strncmp(part, folder, n) == 0 && part[n] == '/') {
            memmove(part, part + n + 1, strlen(part + n + 1) + 1);
            *ret_has = true;
            break;
        }
        part = strchr(part, '/');
        part = part != NULL ? part + 1 : NULL;
    }
    char *slash = strrchr(key, '/'), *dot = strrchr(slash != NULL ? slash : key, '.');
    if (dot != NULL) {
        *dot = '\0';
    }
    return key;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct stem *)a)->key, ((const struct stem *)b)->key);
}

static void build(struct stems *stems, const struct doc *files, const char *folder, bool is_needed,
                  bool (*takes)(const char *path), struct arena *arena)
{
    *stems = (struct stems){.v = arena_array(arena, files->n + 1, sizeof *stems->v)};
    for (size_t i = 0; i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        bool has = false;
        if (takes == NULL || takes(path)) {
            const char *key = stems_key(path, folder, arena, &has);
            if (has || !is_needed) {
                stems->v[stems->n++] = (struct stem){.key = key, .file = &files->items[i]};
            }
        }
    }
    qsort(stems->v, stems->n, sizeof *stems->v, by_key);
}

void stems_build(struct stems *stems, const struct doc *files, const char *folder,
                 bool (*takes)(const char *path), struct arena *arena)
{
    build(stems, files, folder, folder != NULL, takes, arena);
}

void stems_build_any(struct stems *stems, const struct doc *files, const char *folder,
                     bool (*takes)(const char *path), struct arena *arena)
{
    build(stems, files, folder, false, takes, arena);
}

void stems_sort_unique(struct stems *stems)
{
    size_t kept = 0;
    qsort(stems->v, stems->n, sizeof *stems->v, by_key);
    for (size_t i = 0; i < stems->n; i++) {
        const bool is_before = i > 0 && strcmp(stems->v[i - 1].key, stems->v[i].key) == 0;
        const bool is_behind =
            i + 1 < stems->n && strcmp(stems->v[i + 1].key, stems->v[i].key) == 0;
        if (!is_before && !is_behind) {
            stems->v[kept++] = stems->v[i];
        }
    }
    stems->n = kept;
}

const struct doc *stems_find(const struct stems *stems, const char *key)
{
    const struct stem wanted = {.key = key};
    const struct stem *found =
        stems->n > 0 ? bsearch(&wanted, stems->v, stems->n, sizeof *stems->v, by_key) : NULL;
    return found != NULL ? found->file : NULL;
}
