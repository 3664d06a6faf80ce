/* yaml: whatever the bytes, the reader of job files ends and stays inside its bounds; lines lie in
 * the text; what it takes is the same when it is written as JSON and read again; each error has a
 * text and can be shown. */
#include <string.h>

#include "client/job_file.h"
#include "client/yaml.h"
#include "tests/fuzz/fuzz.h"

static void must(int ok, const char *what)
{
    if (!ok) {
        BUG("%s", what);
    }
}

static unsigned depth_of(const struct doc *doc, uint32_t last_line, bool *ret_finite)
{
    unsigned deepest = 0;
    if (!(doc->line >= 1 && doc->line <= last_line)) {
        BUG("line %u of %u, type %d", doc->line, last_line, (int)doc->type);
    }
    if (doc->type == DOC_FLOAT && !(doc->f - doc->f == 0)) {
        *ret_finite = false;
    }
    for (size_t i = 0; (doc->type == DOC_LIST || doc->type == DOC_MAP) && i < doc->n; i++) {
        const struct doc *child = doc->type == DOC_LIST ? &doc->items[i] : &doc->pairs[i].value;
        unsigned depth = depth_of(child, last_line, ret_finite);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

static void check_good(const struct doc *doc, uint32_t last_line, struct arena *arena)
{
    struct buf json = {0};
    struct doc *again = NULL;
    struct err err = {0};
    bool finite = true;
    must(depth_of(doc, last_line, &finite) <= YAML_DEPTH_MAX + 1, "deeper than its limit");
    doc_write_json(doc, 0, &json);
    if (doc->type == DOC_LIST || doc->type == DOC_MAP) {
        must(doc_read_json(json.data, json.size, NULL, arena, &again, &err) == 0, "not JSON");
        must(!finite || doc_equal(doc, again), "not the same as JSON");
    }
    buf_fini(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int json = 0; json < 2; json++) {
        struct arena arena;
        struct doc *doc = NULL;
        struct err err = {0};
        struct buf shown = {0};
        uint32_t last_line = 1;
        arena_init(&arena);
        for (size_t i = 0; i < size; i++) {
            last_line += data[i] == '\n';
        }
        const char *text = size > 0 ? (const char *)data : "";
        int rc = yaml_read(text, size, json != 0, &arena, &doc, &err);
        must(rc == 0 || (rc == err.code && err.text[0] != '\0'), "a refusal without a reason");
        if (rc == 0) {
            check_good(doc, last_line, &arena);
        } else {
            const struct job_file file = {.name = "x", .text = text, .size = size};
            job_file_complain(&file, &err, "", "", &shown);
            must(err.line >= 0 && (uint32_t)err.line <= last_line + 1,
                 "an error outside of the text");
        }
        buf_fini(&shown);
        arena_fini(&arena);
    }
    return 0;
}

static void seeds(void (*take)(const void *data, size_t size, void *arg), void *arg)
{
    static const char *const texts[] = {
        ("name: x\ndata: {train: {dataset: d}}\npipeline:\n  - map: [{Rescaling: {scale: "
         "0.1}}]\nfit: {epochs: 3}\n"),
        "a: 'it''s'\nb: \"\\u00e9\\n\"\nc: |\n  one\n  two\nd: >-\n  folded\n  text\n",
        "{\"a\": [1, -2.5e3, true, null, \"x\"], \"b\": {}}",
        "? a\n: b\n",
        "- - - 1\n- {a: [b, {c: d}]}\n- &x *y\n- !t z\n",
        "%YAML 1.2\n---\na: 1\n...\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        take(texts[i], strlen(texts[i]), arg);
    }
}

static const char *const folders[] = {"hostile/yaml", NULL};
const struct fuzz_corpus fuzz_corpus = {
    .shared = folders, .max_bytes = 8192, .copies = 1500, .seeds = seeds};
