/* msg: whatever the bytes, the reader of messages ends, stays inside its bounds, and what it takes
 * it writes and takes again alike. */
#include <stdlib.h>
#include <string.h>

#include "proto/msg.h"
#include "tests/fuzz/fuzz.h"

static const struct doc_limits limits = {.depth = 32, .nodes = 100000, .bytes = 1 << 20};

static void must(int ok, const char *what)
{
    if (!ok) {
        BUG("%s", what);
    }
}

/* One reading gives `once`; reading that again must give the same bytes. */
static void check_doc(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buf once = {0}, twice = {0};
    struct doc *doc = NULL;
    struct err err = {0};
    arena_init(&arena);
    int rc = msg_read_doc(data, size, &limits, &arena, &doc, &err);
    must(rc == 0 || (rc == err.code && err.text[0] != '\0'), "a refusal without a reason");
    if (rc == 0) {
        msg_write_doc(doc, &once);
        must(msg_read_doc(once.data, once.size, &limits, &arena, &doc, &err) == 0,
             "written and not read");
        msg_write_doc(doc, &twice);
        must(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0,
             "read and written otherwise");
    }
    /* 40 bytes a value, 64 a small block: a message cannot ask for much more than it brings. */
    must(arena.used_bytes <= 4096 + 512 * size, "memory out of proportion");
    buf_fini(&once);
    buf_fini(&twice);
    arena_fini(&arena);
}

static void check_msg(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buf once = {0}, twice = {0};
    struct msg msg;
    struct err err = {0};
    arena_init(&arena);
    int rc = msg_decode(data, size, &arena, &msg, &err);
    must(rc == 0 || (rc == err.code && err.text[0] != '\0'), "a refusal without a reason");
    if (rc == 0) {
        msg_encode(msg.type, msg.id, msg.body, &once);
        if (once.size <=
            msg_table[msg.type].max_bytes) { /* defaults may make it longer than it came */
            must(msg_decode(once.data, once.size, &arena, &msg, &err) == 0,
                 "encoded and not decoded");
            msg_encode(msg.type, msg.id, msg.body, &twice);
            must(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0,
                 "decoded otherwise");
        }
    }
    buf_fini(&once);
    buf_fini(&twice);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_doc(data, size);
    check_msg(data, size);
    return 0;
}

/* One message of each row, with its defaults and with something in every field that takes a
 * document. */
static void seeds(void (*take)(const void *data, size_t size, void *arg), void *arg)
{
    struct arena arena;
    arena_init(&arena);
    for (int i = 0; i < MSG_MAX_; i++) {
        const struct msg_desc *desc = &msg_table[i];
        void *body = arena_alloc(&arena, desc->body_size);
        opt_defaults(desc->options, body, &arena);
        for (const struct opt *row = desc->options; row->type != OPT_END; row++) {
            if (row->type == OPT_STR) {
                *(const char **)(void *)((char *)body + row->offset) = "text";
            } else if (row->type == OPT_DOC) {
                struct doc *doc = doc_new(&arena);
                doc_set_map(doc);
                doc_put_float(doc, &arena, "loss", 0.1);
                doc_set_list(doc_put(doc, &arena, "list"));
                *(const struct doc **)(void *)((char *)body + row->offset) = doc;
            }
        }
        struct buf data = {0};
        msg_encode((enum msg_id)i, i, body, &data);
        take(data.data, data.size, arg);
        buf_fini(&data);
    }
    arena_fini(&arena);
}

static const char *const shared[] = {"hostile/msgpack", NULL};
const struct fuzz_corpus fuzz_corpus = {
    .shared = shared, .max_bytes = 1 << 20, .copies = 400, .seeds = seeds};
