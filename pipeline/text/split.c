#include "pipeline/text/split.h"

#include <string.h>

#define SPLIT_BYTES_MAX ((size_t)1 << 32)

enum { PARTS = 256, VANISHES = 257 };

static bool is_blank(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_upper(int c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_punctuation(int c)
{
    return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
           !is_upper(c);
}

void split_init(struct split *split)
{
    for (int c = 0; c < 256; c++) {
        int to = split->lower && is_upper(c) ? c + ('a' - 'A') : c;
        to = split->strip && is_punctuation(c) ? VANISHES : to;
        split->map[c] = (uint16_t)(split->by == SPLIT_WHITESPACE && is_blank(c) ? PARTS : to);
    }
}

static size_t tokens_max(const struct split *split, size_t text_bytes, size_t n_texts)
{
    return split->by == SPLIT_NONE        ? n_texts
           : split->by == SPLIT_CHARACTER ? text_bytes
                                          : (text_bytes + n_texts) / 2 + 1;
}

size_t split_bytes(const struct split *split, size_t text_bytes, size_t n_texts)
{
    if (text_bytes > SPLIT_BYTES_MAX / 64 || n_texts > SPLIT_BYTES_MAX / 64) {
        return 0;
    }
    const size_t tokens = tokens_max(split, text_bytes, n_texts);
    return 2 * tokens * sizeof(size_t) + text_bytes + tokens + 1;
}

void split_begin(const struct split *split, size_t text_bytes, size_t n_texts, void *memory,
                 struct split_tokens *ret)
{
    const size_t tokens = tokens_max(split, text_bytes, n_texts);
    size_t *places = memory;
    *ret = (struct split_tokens){
        .begin = places, .end = places + tokens, .bytes = (char *)(places + 2 * tokens)};
}

static void close_token(struct split_tokens *to, size_t begin, size_t end)
{
    to->begin[to->n] = begin;
    to->end[to->n++] = end;
    to->bytes[end] = ' ';
    to->used = end + 1;
}

static void add_words(const struct split *split, const unsigned char *p, size_t n,
                      struct split_tokens *to)
{
    char *const bytes = to->bytes;
    size_t begin = to->used, at = begin;
    for (size_t i = 0; i < n; i++) {
        const unsigned c = split->map[p[i]];
        if (c < PARTS) {
            bytes[at++] = (char)c;
        } else if (c == PARTS && at > begin) {
            close_token(to, begin, at);
            begin = at = to->used;
        }
    }
    if (at > begin) {
        close_token(to, begin, at);
    }
}

static bool is_continued(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

static void add_characters(const struct split *split, const unsigned char *p, size_t n,
                           struct split_tokens *to)
{
    size_t begin = to->used, at = begin;
    for (size_t i = 0; i < n; i++) {
        const unsigned c = split->map[p[i]];
        if (c < PARTS) {
            to->bytes[at++] = (char)c;
        }
        if (at > begin && (i + 1 == n || !is_continued(p[i + 1]))) {
            close_token(to, begin, at);
            begin = at = to->used;
        }
    }
}

static void add_whole(const struct split *split, const unsigned char *p, size_t n,
                      struct split_tokens *to)
{
    size_t at = to->used;
    for (size_t i = 0; i < n; i++) {
        const unsigned c = split->map[p[i]];
        if (c < PARTS) {
            to->bytes[at++] = (char)c;
        }
    }
    close_token(to, to->used, at);
}

void split_add(const struct split *split, const struct tensor_text *text, struct split_tokens *to)
{
    const unsigned char *p = (const unsigned char *)text->text;
    switch (split->by) {
    case SPLIT_WHITESPACE: add_words(split, p, text->n, to); break;
    case SPLIT_CHARACTER: add_characters(split, p, text->n, to); break;
    case SPLIT_NONE: add_whole(split, p, text->n, to); break;
    }
}

static size_t grams(size_t tokens, int64_t width)
{
    return tokens + 1 > (size_t)width ? tokens + 1 - (size_t)width : 0;
}

static size_t terms_of(const struct split *split, size_t tokens)
{
    size_t n = split->n_widths == 0 ? tokens : 0;
    for (int i = 0; i < split->n_widths; i++) {
        n += grams(tokens, split->widths[i]);
    }
    return n;
}

size_t split_terms(const struct split *split, const struct split_tokens *tokens)
{
    return terms_of(split, tokens->n);
}

size_t split_terms_max(const struct split *split, size_t text_bytes, size_t n_texts)
{
    return terms_of(split, tokens_max(split, text_bytes, n_texts));
}

struct tensor_text split_term(const struct split *split, const struct split_tokens *tokens,
                              size_t i)
{
    size_t last = i;
    for (int w = 0; w < split->n_widths; w++) {
        const size_t n = grams(tokens->n, split->widths[w]);
        if (i < n) {
            last = i + (size_t)split->widths[w] - 1;
            break;
        }
        i -= n;
    }
    return (struct tensor_text){.text = tokens->bytes + tokens->begin[i],
                                .n = tokens->end[last] - tokens->begin[i]};
}
