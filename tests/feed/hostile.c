/* A client that feeds otherwise than it should: each row is one message and the code it must get.
 * usage: hostile RUN_DIR */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/millrace.h"
#include "proto/feed.h"

enum { ROW = 72, FRAME = 1 << 20, ANSWER_MS = 30000, PUSHED = 40000 };

static const char spec_text[] =
    "{\"fields\": [{\"name\": \"x\", \"dtype\": \"uint8\", \"shape\": [8, 8]}, {\"name\": \"y\", "
    "\"kind\": \"label\", \"dtype\": \"int64\"}], \"elements\": 30}";
static const char push_text[] =
    "{\"fields\": [{\"name\": \"x\", \"dtype\": \"uint8\", \"shape\": [4096]}]}";

static int n_passed, n_failed;

static void judge(const char *what, int code, int want, const char *text)
{
    bool good = code == want;
    n_passed += good;
    n_failed += !good;
    if (!good) {
        printf("FAILED %s: code %d, not %d: %s\n", what, code, want, text);
    }
}

/* The code of the answer to the message sent last. */
static int answer_code(struct millrace *m, char text[256])
{
    struct arena arena;
    struct err err = {0};
    struct millrace_answer answer = {0};
    int rc = 0;
    arena_init(&arena);
    do {
        rc = millrace_receive(m, ANSWER_MS, &arena, &answer, &err);
    } while (rc == 0 && answer.id <= 0 && answer.error.code == 0);
    (void)snprintf(text, 256, "%.255s", rc < 0 ? err.text : answer.error.text);
    int code = rc < 0 ? rc : answer.error.code;
    arena_fini(&arena);
    return code;
}

struct put_case {
    const char *name;
    int64_t epoch;
    int64_t indices[4];
    size_t n, bytes;
    int want;
};
static const struct put_case puts_[] = {
    {"one element", 0, {3}, 1, ROW, 0},
    {"the same again", 0, {3}, 1, ROW, 0},
    {"twice in one message", 0, {5, 5}, 2, 2 * ROW, 0},
    {"backwards", 0, {9, 8, 7}, 3, 3 * ROW, 0},
    {"a byte short", 0, {4}, 1, ROW - 1, ERR_INVALID},
    {"a byte long", 0, {4}, 1, ROW + 1, ERR_INVALID},
    {"no bytes", 0, {4}, 1, 0, ERR_INVALID},
    {"a row too few", 0, {4, 6}, 2, ROW, ERR_INVALID},
    {"behind the end", 0, {30}, 1, ROW, ERR_RANGE},
    {"far behind the end", 0, {FEED_ELEMENTS_MAX}, 1, ROW, ERR_RANGE},
    {"an epoch that it has not", 1, {3}, 1, ROW, ERR_RANGE},
    {"the last epoch", FEED_EPOCHS_MAX, {3}, 1, ROW, ERR_RANGE},
    {"too large a frame", 0, {4}, 1, FRAME, ERR_INVALID},
};

static unsigned char bytes[FRAME + 1];

static void try_puts(struct millrace *m, const struct millrace_feed *feed)
{
    for (size_t i = 0; i < sizeof(puts_) / sizeof(puts_[0]); i++) {
        const struct put_case *c = &puts_[i];
        char text[256];
        struct err err = {0};
        int rc = millrace_feed_put(m, feed, c->epoch, c->indices, c->n, bytes, c->bytes, &err);
        judge(c->name, rc < 0 ? rc : answer_code(m, text), c->want, rc < 0 ? err.text : text);
    }
    const int64_t bad[] = {11, 31};
    char text[256];
    millrace_feed_bad(m, feed, 0, bad, 2, "no", NULL);
    judge("bad behind the end", answer_code(m, text), ERR_RANGE, text);
    millrace_feed_bad(m, feed, 0, bad, 1, NULL, NULL);
    judge("bad without a reason", answer_code(m, text), 0, text);
    struct millrace_feed other = *feed;
    memset(other.id, 'f', 64);
    millrace_feed_put(m, &other, 0, bad, 1, bytes, ROW, NULL);
    judge("a feed that is not there", answer_code(m, text), ERR_NOT_FOUND, text);
    const struct msg_feed_want want = {.feed = feed->id, .indices = {.v = bad, .n = 1}};
    millrace_send(m, MSG_FEED_WANT, &want, NULL, 0, NULL, NULL);
    judge("a question to the daemon", answer_code(m, text), ERR_UNKNOWN, text);
    const struct msg_feed_put two = {.feed = feed->id, .indices = {.v = bad, .n = 1}};
    const struct sock_frame frames[] = {{bytes, ROW}, {bytes, ROW}};
    millrace_send(m, MSG_FEED_PUT, &two, frames, 2, NULL, NULL);
    judge("two frames", answer_code(m, text), ERR_INVALID, text);
    millrace_send(m, MSG_FEED_PUT, &two, NULL, 0, NULL, NULL);
    judge("no frame", answer_code(m, text), ERR_INVALID, text);
    const struct msg_feed_put none = {.feed = feed->id};
    millrace_send(m, MSG_FEED_PUT, &none, frames, 1, NULL, NULL);
    int code = answer_code(m, text);
    judge("no indices", code < 0 ? ERR_RANGE : 0, ERR_RANGE, text);
}

static int open_feed(struct millrace *m, const char *name, const char *text,
                     struct millrace_feed *ret, struct err *err)
{
    struct arena arena;
    struct doc *spec = NULL;
    arena_init(&arena);
    int rc = doc_read_json(text, strlen(text), NULL, &arena, &spec, err);
    rc = rc < 0 ? rc : millrace_feed_open(m, name, spec, ret, err);
    arena_fini(&arena);
    return rc;
}

/* Sends without waiting for a reply; past the credit the daemon refuses, and holds no more. */
static void flood(struct millrace *m, const struct millrace_feed *feed)
{
    int n_refused = 0, n_sent = 0;
    char text[256] = "";
    for (int64_t i = 0; i < 400; i++) {
        n_sent += millrace_feed_put(m, feed, 0, &i, 1, bytes, 4096, NULL) == 0;
    }
    for (int i = 0; i < n_sent; i++) {
        n_refused += answer_code(m, text) == ERR_LIMIT;
    }
    printf("# %d of %d refused\n", n_refused, n_sent);
}

static void try_push(struct millrace *m)
{
    struct millrace_feed feed;
    struct err err = {0};
    char text[256];
    const int64_t first = 0, third = 600;
    judge("open", open_feed(m, "pushed", push_text, &feed, &err), 0, err.text);
    struct arena arena;
    arena_init(&arena);
    judge("the end of nothing", millrace_feed_end(m, &feed, &arena, NULL, &err), ERR_EMPTY,
          err.text);
    flood(m, &feed);
    millrace_feed_put(m, &feed, 0, &first, 1, bytes, 4096, NULL);
    judge("the first", answer_code(m, text), 0, text);
    millrace_feed_put(m, &feed, 0, &third, 1, bytes, 4096, NULL);
    judge("one that leaves a hole", answer_code(m, text), 0, text);
    judge("the end with a hole", millrace_feed_end(m, &feed, &arena, NULL, &err), ERR_MISSING,
          err.text);
    arena_fini(&arena);
}

static const struct {
    const char *name, *feed, *spec;
    int want;
} opens[] = {
    {"a name with a slash", "../x", spec_text, ERR_INVALID},
    {"no name", "", spec_text, ERR_INVALID},
    {"no fields", "x", "{}", ERR_MISSING},
    {"a list", "x", "[1]", ERR_INVALID},
    {"an id of its own", "x",
     "{\"fields\": [{\"name\": \"x\"}], \"elements\": 3, \"id\": \"../../../etc/passwd\"}",
     ERR_INVALID},
    {"too large a row", "x", "{\"fields\": [{\"name\": \"x\", \"shape\": [1000000000]}]}",
     ERR_LIMIT},
};

int main(int argc, char **argv)
{
    const struct millrace_options options = {.socket = argc > 1 ? argv[1] : NULL};
    struct millrace *m = NULL, *other = NULL;
    struct millrace_feed feed;
    struct err err = {0};
    char text[256];
    if (millrace_open(&options, &m, &err) < 0 || millrace_open(&options, &other, &err) < 0) {
        printf("%s\n", err.text);
        return 1;
    }
    for (size_t i = 0; i < sizeof(opens) / sizeof(opens[0]); i++) {
        int rc = open_feed(m, opens[i].feed, opens[i].spec, &feed, &err);
        judge(opens[i].name, rc, opens[i].want, err.text);
    }
    judge("open", open_feed(m, "hostile", spec_text, &feed, &err), 0, err.text);
    try_puts(m, &feed);
    const int64_t index = 12;
    millrace_feed_put(other, &feed, 0, &index, 1, bytes, ROW, NULL);
    judge("another's feed", answer_code(other, text), ERR_BUSY, text);
    try_push(other);
    millrace_close(m);
    millrace_close(other);
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed > 0;
}
