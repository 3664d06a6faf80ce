#include <stdio.h>

#include "client/millrace.h"

int millrace_feed_open(struct millrace *m, const char *name, const struct doc *spec,
                       struct millrace_feed *ret, struct err *err)
{
    const struct msg_feed_open body = {.name = name, .spec = spec};
    const struct doc *answer = NULL;
    struct arena arena;
    arena_init(&arena);
    int rc = millrace_request(m, MSG_FEED_OPEN, &body, NULL, 0, &arena, &answer, err);
    if (rc >= 0) {
        *ret = (struct millrace_feed){.elements = doc_int(answer, "elements", -1),
                                      .credit = doc_int(answer, "credit", 0),
                                      .credit_bytes = doc_int(answer, "credit_bytes", 0),
                                      .chunk_bytes = doc_int(answer, "chunk_bytes", 0),
                                      .have = doc_int(answer, "have", 0),
                                      .first = doc_int(answer, "first", 0)};
        (void)snprintf(ret->id, sizeof ret->id, "%s", doc_str(answer, "feed", ""));
        if (ret->credit < 1 || ret->credit_bytes < 1 || ret->chunk_bytes < 1) {
            rc = err_set(err, ERR_SYNTAX, "the daemon's answer to feed.open is not understood");
        }
    }
    arena_fini(&arena);
    return rc;
}

int millrace_feed_put(struct millrace *m, const struct millrace_feed *feed, int64_t epoch,
                      const int64_t *indices, size_t n, const void *rows, size_t size,
                      struct err *err)
{
    const struct msg_feed_put body = {
        .feed = feed->id, .epoch = epoch, .indices = {.v = indices, .n = n}};
    const struct sock_frame frame = {.data = rows, .size = size};
    return millrace_send(m, MSG_FEED_PUT, &body, &frame, 1, NULL, err);
}

int millrace_feed_bad(struct millrace *m, const struct millrace_feed *feed, int64_t epoch,
                      const int64_t *indices, size_t n, const char *reason, struct err *err)
{
    const struct msg_feed_bad body = {
        .feed = feed->id, .epoch = epoch, .indices = {.v = indices, .n = n}, .reason = reason};
    return millrace_send(m, MSG_FEED_BAD, &body, NULL, 0, NULL, err);
}

int millrace_feed_end(struct millrace *m, const struct millrace_feed *feed, struct arena *arena,
                      const struct doc **ret, struct err *err)
{
    const struct msg_feed_end body = {.feed = feed->id};
    return millrace_request(m, MSG_FEED_END, &body, NULL, 0, arena, ret, err);
}
