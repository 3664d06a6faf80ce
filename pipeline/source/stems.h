/* stems - files that belong together because their paths are the same but for one folder and the
 * ending: images/a/1.jpg, masks/a/1.png, labels/a/1.txt.
 *
 * Owns:     lists live in the arena given; files are the manifest's.
 * Threads:  const after building.
 * Errors:   none.
 * Lifetime: the arena's.
 */
#ifndef PIPELINE_SOURCE_STEMS_H
#define PIPELINE_SOURCE_STEMS_H

#include "base/arena.h"
#include "base/doc.h"

struct stem {
    const char *key;
    const struct doc *file;
};
struct stems {
    struct stem *v; /* in the order of their keys */
    size_t n;
};

/* "train/images/a.jpg" without "images": "train/a". ret_has: was the folder there? */
const char *stems_key(const char *path, const char *folder, struct arena *arena, bool *ret_has);
/* Files below a folder of that name (NULL: all files) whose path `takes`. */
void stems_build(struct stems *stems, const struct doc *files, const char *folder,
                 bool (*takes)(const char *path), struct arena *arena);
/* The same, whether the folder is there or not. */
void stems_build_any(struct stems *stems, const struct doc *files, const char *folder,
                     bool (*takes)(const char *path), struct arena *arena);
/* By their keys again, without those that several have. */
void stems_sort_unique(struct stems *stems);
/* NULL: there is none. */
const struct doc *stems_find(const struct stems *stems, const char *key);

#endif
