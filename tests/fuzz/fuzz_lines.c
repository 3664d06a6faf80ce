/* lines: any bytes as text by the line and as JSON by the line. */
#include <string.h>

#include "pipeline/format/jsonl.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int skips = 0; skips < 2; skips++) {
        struct lines lines = {0};
        struct input in;
        struct err err = {0};
        struct arena arena;
        size_t bytes = 0;
        arena_init(&arena);
        input_memory(&in, data, size, "x");
        int r = lines_open(&lines, &in, skips != 0, &err);
        BUG_ON(r > 0 || r != err.code);
        for (size_t i = 0; r == 0 && i < lines_n(&lines); i++) {
            const char *text = NULL;
            size_t n = 0;
            const struct doc *doc = NULL;
            if (lines_read(&lines, i, &text, &n, &err) == 0) {
                bytes += n;
                BUG_ON(memchr(text, '\n', n) != NULL);
            }
            r = 0;
            BUG_ON(jsonl_read(&lines, i, &arena, &doc, &err) == 0 && doc->type != DOC_MAP);
        }
        BUG_ON(bytes > size);
        lines_close(&lines);
        arena_fini(&arena);
    }
    return 0;
}

static void seeds(void (*take)(const void *data, size_t size, void *arg), void *arg)
{
    static const char *const texts[] = {
        "one\n\ntwo\r\n  \nthree", "\xef\xbb\xbf{\"a\": 1}\n\n{\"b\": [1, 2, {\"c\": null}]}\n",
        "{\"text\": \"\\u00e9\", \"label\": 3}\n{\"text\": 1e999}\n[1]\n{\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        take(texts[i], strlen(texts[i]), arg);
    }
}

const struct fuzz_corpus fuzz_corpus = {.max_bytes = 1 << 16, .copies = 3000, .seeds = seeds};
