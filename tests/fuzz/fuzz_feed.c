/* feed: whatever a client or a program says about its elements, what is taken has sizes that fit
 * together, and is written and taken again alike. */
#include <string.h>

#include "proto/feed.h"
#include "proto/msg.h"
#include "tests/fuzz/fuzz.h"

static const struct doc_limits limits = {.depth = 16, .nodes = 100000, .bytes = 1 << 20};

static void must(int ok, const char *what)
{
    if (!ok) {
        BUG("%s", what);
    }
}

static void check_sizes(const struct feed_spec *spec)
{
    size_t sum = 0;
    must(spec->n_fields > 0 && spec->n_fields <= FEED_FIELDS_MAX, "no fields, or too many");
    for (int i = 0; i < spec->n_fields; i++) {
        must(spec->fields[i].offset == sum && spec->fields[i].bytes > 0, "a field out of place");
        sum += spec->fields[i].bytes;
    }
    must(sum == spec->row_bytes && sum <= FEED_ROW_MAX, "a row of another size");
    must(spec->elements >= -1 && spec->elements != 0 && spec->elements <= FEED_ELEMENTS_MAX,
         "elements out of range");
    must((size_t)spec->batch * spec->row_bytes <= FEED_BATCH_BYTES_MAX, "a batch without bound");
    for (int64_t i = 0; i < spec->elements; i += spec->elements / 7 + 1) {
        int64_t first = 0;
        int64_t n = feed_batch(spec, i, &first);
        must(n > 0 && n <= spec->batch && first >= 0 && first <= i && i < first + n &&
                 first + n <= spec->elements,
             "a batch out of range");
    }
}

static void check_again(const struct feed_spec *spec, struct arena *arena)
{
    struct feed_spec again;
    struct err err = {0};
    struct doc *once = doc_new(arena), *twice = doc_new(arena);
    feed_spec_write(spec, once, arena);
    must(feed_spec_read(once, arena, &again, &err) == 0, "written and not read");
    feed_spec_write(&again, twice, arena);
    must(doc_equal(once, twice), "read otherwise");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct feed_spec spec;
    struct doc *doc = NULL;
    struct err err = {0};
    arena_init(&arena);
    int rc = msg_read_doc(data, size, &limits, &arena, &doc, &err);
    rc = rc < 0 ? rc : feed_spec_read(doc, &arena, &spec, &err);
    must(rc == 0 || (rc == err.code && err.text[0] != '\0'), "a refusal without a reason");
    if (rc == 0) {
        check_sizes(&spec);
        check_again(&spec, &arena);
    }
    arena_fini(&arena);
    return 0;
}

static const char *const texts[] = {
    "{\"fields\": [{\"name\": \"x\"}]}",
    "{\"fields\": [{\"name\": \"x\", \"kind\": \"image\", \"dtype\": \"uint8\", \"shape\": [32, "
    "32, "
    "3]}, {\"name\": \"y\", \"kind\": \"label\", \"dtype\": \"int64\", \"shape\": []}], "
    "\"elements\": 50000, \"by_epoch\": true, \"batch\": 128, \"classes\": [\"a\", \"b\"]}",
    "{\"fields\": [{\"name\": \"x\", \"shape\": [8388608]}], \"elements\": 67108864}",
    "{\"fields\": [{\"name\": \"x\", \"shape\": [65536]}], \"elements\": 5000, \"batch\": 1024}",
    "{\"fields\": [{\"name\": \"x\", \"shape\": [1073741824, 1073741824, 1073741824]}]}",
    "{\"fields\": [{\"name\": \"x\"}, {\"name\": \"x\"}], \"elements\": -1}",
    "{\"fields\": [{\"name\": \"__ok\", \"dtype\": \"string\"}], \"id\": \"../../../etc/passwd\"}",
    "{\"error\": \"no\", \"index\": 3}",
    "{\"n\": 9223372036854775807}",
};

static void seeds(void (*take)(const void *data, size_t size, void *arg), void *arg)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct arena arena;
        struct buf out = {0};
        struct doc *doc = NULL;
        arena_init(&arena);
        must(doc_read_json(texts[i], strlen(texts[i]), NULL, &arena, &doc, NULL) == 0, texts[i]);
        msg_write_doc(doc, &out);
        take(out.data, out.size, arg);
        buf_fini(&out);
        arena_fini(&arena);
    }
}

static const char *const shared[] = {"hostile/msgpack", NULL};
const struct fuzz_corpus fuzz_corpus = {
    .shared = shared, .max_bytes = 1 << 20, .copies = 3000, .seeds = seeds};
