/* table_scan - what was found in all rows of a table, kept: {most, at, words: [[text, ...], ...]},
 * a list a field of words.
 */
#include <stdlib.h>

#include "pipeline/kept.h"
#include "pipeline/source/table.h"

enum { FORM = 1, NODES_MAX = ELEMENT_FIELDS_MAX * (VOCABULARY_MAX + 1) + 16 };
#define BYTES_MAX ((size_t)4 * ELEMENT_FIELDS_MAX * VOCABULARY_BYTES_MAX)

static bool has_words(const struct table_field *field)
{
    return field->is_word && field->words.order == NULL;
}

static void make_id(const struct table *k, char id[HASH_ID_TEXT])
{
    const struct doc of = {.type = DOC_STR, .str = k->store->id, .n = HASH_ID_TEXT - 1};
    kept_id("table scan", FORM, &of, id);
}

static struct kept *kept_of(const struct table *k)
{
    return k->store != NULL && k->store->id != NULL ? k->store->kept : NULL;
}

static bool take_words(struct table *k, const struct doc *lists, struct arena *arena)
{
    size_t n = 0;
    for (int f = 0; f < k->record.n; f++) {
        if (!has_words(&k->fields[f])) {
            continue;
        }
        const struct doc *words = lists != NULL && n < lists->n ? doc_at(lists, n) : NULL;
        n++;
        if (words == NULL || words->type != DOC_LIST) {
            return false;
        }
        for (size_t i = 0; i < words->n; i++) {
            const struct doc *word = doc_at(words, i);
            if (word->type != DOC_STR ||
                vocabulary_add(&k->fields[f].words, word->str, word->n, arena, NULL) < 0) {
                return false;
            }
        }
    }
    return lists != NULL && n == lists->n;
}

bool table_scan_load(struct table *k, int64_t rows, struct table_scan *ret, struct arena *arena)
{
    const struct doc_limits limits = {.depth = 4, .nodes = NODES_MAX, .bytes = BYTES_MAX};
    char id[HASH_ID_TEXT];
    struct doc *doc = NULL;
    void *text = NULL;
    size_t size = 0;
    struct kept *kept = kept_of(k);
    if (kept == NULL) {
        return false;
    }
    make_id(k, id);
    if (kept_read(kept, id, BYTES_MAX, &text, &size) < 0) {
        return false;
    }
    bool is_sound = doc_read_json(text, size, &limits, arena, &doc, NULL) == 0 &&
                    doc->type == DOC_MAP && take_words(k, doc_get(doc, "words"), arena);
    if (is_sound) {
        ret->most = doc_int(doc, "most", -2);
        ret->at = doc_int(doc, "at", -1);
        is_sound = ret->most >= -1 && ret->at >= 0 && ret->at < rows;
    }
    free(text);
    if (!is_sound) {
        for (int f = 0; f < k->record.n; f++) {
            if (has_words(&k->fields[f])) {
                k->fields[f].words = (struct vocabulary){.n = 0};
            }
        }
        *ret = (struct table_scan){.most = -1};
        kept->n_damaged++;
        kept_remove(kept, id);
    }
    return is_sound;
}

void table_scan_save(const struct table *k, const struct table_scan *scan)
{
    struct arena arena;
    struct buf text = {0};
    char id[HASH_ID_TEXT];
    if (kept_of(k) == NULL) {
        return;
    }
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    doc_put_int(map, &arena, "most", scan->most);
    doc_put_int(map, &arena, "at", scan->at);
    struct doc *lists = doc_put(map, &arena, "words");
    doc_set_list(lists);
    for (int f = 0; f < k->record.n; f++) {
        if (!has_words(&k->fields[f])) {
            continue;
        }
        struct doc *words = doc_push(lists, &arena);
        doc_set_list(words);
        for (size_t i = 0; i < k->fields[f].words.n; i++) {
            doc_set_str(doc_push(words, &arena), &arena, k->fields[f].words.v[i]);
        }
    }
    doc_write_json(map, 0, &text);
    make_id(k, id);
    (void)kept_put(kept_of(k), id, text.data, text.size, NULL);
    buf_fini(&text);
    arena_fini(&arena);
}
