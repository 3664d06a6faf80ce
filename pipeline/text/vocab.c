#include "pipeline/text/vocab.h"

#include <string.h>

#include "base/hash.h"

struct vocab_slot {
    uint32_t tag;  /* of the hash: most other terms are told apart without being looked at */
    int32_t place; /* + 1; 0 is empty */
};

static uint64_t hash_number(int64_t number)
{
    uint64_t v = (uint64_t)number * 0x9e3779b97f4a7c15u;
    v ^= v >> 32;
    v *= 0xd6e8feb86659fd93u;
    return v ^ v >> 32;
}

__extension__ typedef unsigned __int128 wide;

static uint64_t mixed(uint64_t a, uint64_t b)
{
    const wide product = (wide)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd6e8feb86659fd93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t read64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t read32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Words are short: a call would take longer than the hash. */
static inline uint64_t hash_text(const char *text, size_t n)
{
    if (n > 16) {
        return hash_fast(text, n, 0);
    }
    if (n >= 8) {
        return mixed(read64(text) ^ n, read64(text + n - 8));
    }
    if (n >= 4) {
        return mixed(read32(text) | read32(text + n - 4) << 32, n);
    }
    const unsigned char *p = (const unsigned char *)text;
    return n == 0 ? 0
                  : mixed((uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16, n);
}

static inline bool same_bytes(const char *a, const char *b, size_t n)
{
    if (n > 16) {
        return memcmp(a, b, n) == 0;
    }
    if (n >= 8) {
        return read64(a) == read64(b) && read64(a + n - 8) == read64(b + n - 8);
    }
    if (n >= 4) {
        return read32(a) == read32(b) && read32(a + n - 4) == read32(b + n - 4);
    }
    return n == 0 || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
}

static bool is_text(const struct vocab *v, int64_t place, const char *text, size_t n)
{
    return v->texts[place].n == n && same_bytes(v->texts[place].text, text, n);
}

int64_t vocab_find(const struct vocab *vocab, const char *text, size_t n)
{
    const uint64_t hash = hash_text(text, n);
    for (uint64_t at = hash & vocab->mask;; at = (at + 1) & vocab->mask) {
        const struct vocab_slot *slot = &vocab->slots[at];
        if (slot->place == 0) {
            return -1;
        }
        if (slot->tag == (uint32_t)(hash >> 32) && is_text(vocab, slot->place - 1, text, n)) {
            return slot->place - 1;
        }
    }
}

int64_t vocab_find_number(const struct vocab *vocab, int64_t number)
{
    for (uint64_t at = hash_number(number) & vocab->mask;; at = (at + 1) & vocab->mask) {
        const struct vocab_slot *slot = &vocab->slots[at];
        if (slot->place == 0) {
            return -1;
        }
        if (vocab->numbers[slot->place - 1] == number) {
            return slot->place - 1;
        }
    }
}

static void put(struct vocab *v, int64_t place)
{
    const uint64_t hash = v->texts != NULL ? hash_text(v->texts[place].text, v->texts[place].n)
                                           : hash_number(v->numbers[place]);
    uint64_t at = hash & v->mask;
    while (v->slots[at].place != 0) {
        at = (at + 1) & v->mask;
    }
    v->slots[at] = (struct vocab_slot){.tag = (uint32_t)(hash >> 32), .place = (int32_t)place + 1};
}

static int twice(const struct vocab *v, int64_t place, int64_t first, struct err *err)
{
    if (v->texts != NULL) {
        const int shown = v->texts[place].n < 64 ? (int)v->texts[place].n : 64;
        return err_set(err, ERR_EXISTS, "'%.*s' stands at %lld and again at %lld", shown,
                       v->texts[place].text, (long long)first, (long long)place);
    }
    return err_set(err, ERR_EXISTS, "%lld stands at %lld and again at %lld",
                   (long long)v->numbers[place], (long long)first, (long long)place);
}

int vocab_init(struct vocab *vocab, const struct tensor_text *texts, const int64_t *numbers,
               int64_t n, struct arena *arena, struct err *err)
{
    uint64_t slots = 16;
    if (n < 0 || n > VOCAB_TERMS_MAX) {
        return err_set(err, ERR_LIMIT, "%lld terms, at most %d", (long long)n, VOCAB_TERMS_MAX);
    }
    while (slots < (uint64_t)n * 2) {
        slots *= 2;
    }
    *vocab = (struct vocab){.texts = texts, .numbers = numbers, .n = n, .mask = slots - 1};
    vocab->slots = arena_try(arena, slots * sizeof *vocab->slots);
    if (vocab->slots == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for %lld terms", (long long)n);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t first = texts != NULL ? vocab_find(vocab, texts[i].text, texts[i].n)
                                            : vocab_find_number(vocab, numbers[i]);
        if (first >= 0) {
            return twice(vocab, i, first, err);
        }
        put(vocab, i);
    }
    return 0;
}
