#include "proto/msg.h"

#include <string.h>

/* An envelope is small; what may be large is bounded a message by its row. */
static const struct doc_limits msg_limits = {.depth = 32, .nodes = 1000000, .bytes = 64 << 20};

void msg_encode(enum msg_id type, int64_t id, const void *body, struct buf *out)
{
    BUG_ON((int)type < 0 || type >= MSG_MAX_);
    struct arena arena;
    arena_init(&arena);
    struct doc *envelope = doc_new(&arena);
    doc_set_map(envelope);
    doc_put_int(envelope, &arena, "v", MSG_VERSION);
    doc_put_str(envelope, &arena, "m", msg_table[type].name);
    doc_put_int(envelope, &arena, "id", id);
    struct doc *map = doc_put(envelope, &arena, "b");
    doc_set_map(map);
    if (body != NULL) {
        opt_write(msg_table[type].options, body, /* with_secrets= */ true, map, &arena);
    }
    msg_write_doc(envelope, out);
    arena_fini(&arena);
}

static int find(const char *name, struct err *err)
{
    const char *names[MSG_MAX_];
    for (int i = 0; i < MSG_MAX_; i++) {
        if (strcmp(msg_table[i].name, name) == 0) {
            return i;
        }
        names[i] = msg_table[i].name;
    }
    const char *nearest = err_nearest(name, names, MSG_MAX_);
    return err_set_at(err, ERR_UNKNOWN, "m", "there is no message '%.64s'%s%s%s", name,
                      nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static int read_body(const struct doc *envelope, struct arena *arena, struct msg *ret, struct err *err)
{
    const struct msg_desc *desc = &msg_table[ret->type];
    ret->body = arena_alloc(arena, desc->body_size);
    int r = opt_read(desc->options, ret->body, doc_get(envelope, "b"), arena, err);
    if (r < 0) {
        err_prefix(err, "body");
    }
    return r;
}

int msg_decode(const void *data, size_t size, struct arena *arena, struct msg *ret, struct err *err)
{
    struct doc *envelope = NULL;
    int r = msg_read_doc(data, size, &msg_limits, arena, &envelope, err);
    if (r < 0) {
        return r;
    }
    const char *name = envelope->type == DOC_MAP ? doc_str(envelope, "m", NULL) : NULL;
    if (name == NULL) {
        return err_set(err, ERR_SYNTAX, "not a message: a map with v, m, id and b");
    }
    *ret = (struct msg){.id = doc_int(envelope, "id", 0)}; /* first, so that a refusal can be answered */
    int64_t version = doc_int(envelope, "v", 0);
    if (version < MSG_VERSION_MIN || version > MSG_VERSION) {
        return err_set_at(err, ERR_VERSION, "v", "protocol version %jd; spoken here: %d to %d", (intmax_t)version,
                          MSG_VERSION_MIN, MSG_VERSION);
    }
    ret->version = (int)version;
    r = find(name, err);
    if (r < 0) {
        return r;
    }
    ret->type = (enum msg_id)r;
    if (size > msg_table[r].max_bytes) {
        return err_set(err, ERR_LIMIT, "message '%s' of %zu bytes, over %zu", name, size, msg_table[r].max_bytes);
    }
    return read_body(envelope, arena, ret, err);
}
