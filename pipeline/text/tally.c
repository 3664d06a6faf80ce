#include "pipeline/text/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { TERMS_MAX = 1 << 28, TERM_BYTES_MAX = 1 << 28, BLOCK_BYTES = 1 << 18 };

void tally_init(struct tally *tally)
{
    *tally = (struct tally){0};
    arena_init(&tally->bytes);
}

void tally_fini(struct tally *tally)
{
    if (tally != NULL) {
        arena_fini(&tally->bytes);
        free(tally->terms);
        free(tally->slots);
        *tally = (struct tally){0};
    }
}

void tally_document(struct tally *tally)
{
    tally->documents++;
}

static uint64_t hash_of(const char *text, size_t n)
{
    return hash_fast(text, n, 0);
}

/* The slot of a term, or the empty one where it belongs. */
static uint32_t *slot_of(const struct tally *t, const char *text, size_t n)
{
    size_t at = hash_of(text, n) & t->mask;
    for (;; at = (at + 1) & t->mask) {
        const uint32_t place = t->slots[at];
        if (place == 0) {
            return &t->slots[at];
        }
        const struct tensor_text *have = &t->terms[place - 1].text;
        if (have->n == n && memcmp(have->text, text, n) == 0) {
            return &t->slots[at];
        }
    }
}

static int grow(struct tally *t, struct err *err)
{
    const size_t capacity = t->capacity > 0 ? t->capacity * 2 : 1024;
    if (t->n >= TERMS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d different terms", TERMS_MAX);
    }
    struct tally_term *terms = realloc(t->terms, capacity * sizeof *terms);
    t->terms = terms != NULL ? terms : t->terms;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    if (terms == NULL || slots == NULL) {
        free(slots);
        return err_set(err, ERR_NO_MEMORY, "no memory for %zu different terms", capacity);
    }
    free(t->slots);
    t->slots = slots;
    t->capacity = capacity;
    t->mask = capacity * 2 - 1;
    for (size_t i = 0; i < t->n; i++) {
        *slot_of(t, t->terms[i].text.text, t->terms[i].text.n) = (uint32_t)i + 1;
    }
    return 0;
}

/* Terms are small and many, and an arena's smallest piece is 64 bytes: they share blocks. */
static const char *keep(struct tally *t, const char *text, size_t n)
{
    if (n > t->block_left) {
        const size_t bytes = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        t->block = arena_try(&t->bytes, bytes);
        t->block_left = t->block != NULL ? bytes : 0;
    }
    char *to = t->block;
    if (to != NULL) {
        memcpy(to, text, n);
        t->block += n;
        t->block_left -= n;
    }
    return to;
}

static int find(struct tally *t, const char *text, size_t n, struct tally_term **ret,
                struct err *err)
{
    if (n > TERM_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "a term of %zu bytes", n);
    }
    int r = t->n == t->capacity ? grow(t, err) : 0;
    if (r < 0) {
        return r;
    }
    uint32_t *slot = slot_of(t, text, n);
    if (*slot == 0) {
        const char *kept = keep(t, text, n);
        if (kept == NULL) {
            return err_set(err, ERR_NO_MEMORY, "no memory for %zu different terms", t->n);
        }
        t->terms[t->n] = (struct tally_term){.text = {.text = kept, .n = n}};
        *slot = (uint32_t)++t->n;
    }
    *ret = &t->terms[*slot - 1];
    return 0;
}

int tally_add(struct tally *tally, const char *text, size_t n, struct err *err)
{
    struct tally_term *term;
    int r = find(tally, text, n, &term, err);
    if (r == 0) {
        term->count++;
        term->documents += term->seen != tally->documents + 1;
        term->seen = tally->documents + 1;
    }
    return r;
}

int tally_add_number(struct tally *tally, int64_t number, struct err *err)
{
    char bytes[sizeof number];
    memcpy(bytes, &number, sizeof number);
    return tally_add(tally, bytes, sizeof bytes, err);
}

static int add_counts(struct tally *t, const struct tally_term *from, struct err *err)
{
    struct tally_term *term;
    int r = find(t, from->text.text, from->text.n, &term, err);
    if (r == 0) {
        term->count += from->count;
        term->documents += from->documents;
    }
    return r;
}

int tally_merge(struct tally *tally, const struct tally *other, struct err *err)
{
    int r = 0;
    for (size_t i = 0; i < other->n && r == 0; i++) {
        r = add_counts(tally, &other->terms[i], err);
    }
    tally->documents += other->documents;
    return r;
}

static int by_bytes(const struct tensor_text *a, const struct tensor_text *b)
{
    const int order = memcmp(a->text, b->text, a->n < b->n ? a->n : b->n);
    return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

int64_t tally_number(const struct tally_term *term)
{
    int64_t number = 0;
    memcpy(&number, term->text.text, term->text.n < sizeof number ? term->text.n : sizeof number);
    return number;
}

static int saved_order(const void *a, const void *b, void *terms)
{
    const struct tally_term *t = terms;
    return by_bytes(&t[*(const uint32_t *)a].text, &t[*(const uint32_t *)b].text);
}

static int by_count(const struct tally_term *a, const struct tally_term *b)
{
    return (a->count < b->count) - (a->count > b->count);
}

static int text_order(const void *a, const void *b, void *terms)
{
    const struct tally_term *x = (const struct tally_term *)terms + *(const uint32_t *)a,
                            *y = (const struct tally_term *)terms + *(const uint32_t *)b;
    const int order = by_count(x, y);
    return order != 0 ? order : -by_bytes(&x->text, &y->text);
}

static int number_order(const void *a, const void *b, void *terms)
{
    const struct tally_term *x = (const struct tally_term *)terms + *(const uint32_t *)a,
                            *y = (const struct tally_term *)terms + *(const uint32_t *)b;
    const int64_t m = tally_number(x), n = tally_number(y);
    const int order = by_count(x, y);
    return order != 0 ? order : (m < n) - (m > n);
}

static uint32_t *ordered(const struct tally *t, int (*order)(const void *, const void *, void *))
{
    uint32_t *places = malloc((t->n + 1) * sizeof *places);
    if (places == NULL) {
        BUG("no memory to order %zu terms", t->n);
    }
    for (size_t i = 0; i < t->n; i++) {
        places[i] = (uint32_t)i;
    }
    if (t->n > 0) {
        qsort_r(places, t->n, sizeof *places, order, t->terms);
    }
    return places;
}

uint32_t *tally_order(const struct tally *tally, bool is_number)
{
    return ordered(tally, is_number ? number_order : text_order);
}

/* documents, terms; of each term count, documents, bytes, and the bytes. */
void tally_save(const struct tally *tally, struct buf *out)
{
    uint32_t *places = ordered(tally, saved_order);
    const uint64_t head[] = {tally->documents, tally->n};
    buf_put(out, head, sizeof head);
    for (size_t i = 0; i < tally->n; i++) {
        const struct tally_term *term = &tally->terms[places[i]];
        const uint64_t counts[] = {term->count, term->documents, term->text.n};
        buf_put(out, counts, sizeof counts);
        buf_put(out, term->text.text, term->text.n);
    }
    free(places);
}

static bool take(const unsigned char **data, size_t *left, void *to, size_t n)
{
    if (*left < n) {
        return false;
    }
    memcpy(to, *data, n);
    *data += n;
    *left -= n;
    return true;
}

int tally_load(struct tally *tally, const void *data, size_t size, struct err *err)
{
    const unsigned char *p = data;
    uint64_t head[2], counts[3];
    int r = take(&p, &size, head, sizeof head) ? 0 : ERR_CORRUPT;
    for (uint64_t i = 0; r == 0 && i < head[1]; i++) {
        if (!take(&p, &size, counts, sizeof counts) || counts[2] > size) {
            r = ERR_CORRUPT;
            break;
        }
        const struct tally_term from = {.text = {.text = (const char *)p, .n = counts[2]},
                                        .count = counts[0],
                                        .documents = counts[1]};
        r = add_counts(tally, &from, err);
        p += counts[2];
        size -= counts[2];
    }
    if (r == ERR_CORRUPT || (r == 0 && size > 0)) {
        return err_set(err, ERR_CORRUPT, "a tally that is cut short or too long");
    }
    tally->documents += r == 0 ? head[0] : 0;
    return r;
}
