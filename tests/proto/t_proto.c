/* proto: messages round trip, hostile msgpack, shared memory, descriptors to a child, sockets. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "proto/child.h"
#include "proto/job.h"
#include "proto/slab.h"
#include "proto/sock.h"
#include "tests/test.h"

/* Every row of the table: a body of defaults survives encode and decode. */
START_TEST(messages_round_trip)
{
    struct arena arena;
    arena_init(&arena);
    for (int i = 0; i < MSG_MAX_; i++) {
        const struct msg_desc *desc = &msg_table[i];
        void *body = arena_alloc(&arena, desc->body_size);
        struct buf data = {0};
        struct msg got;
        struct err err = {0};
        opt_defaults(desc->options, body, &arena);
        for (const struct opt *row = desc->options; row->type != OPT_END; row++) {
            if (row->type == OPT_STR) {
                *(const char **)(void *)((char *)body + row->offset) = "text \xc3\xa9";
            } else if (row->type == OPT_I64) {
                /* A row with narrower bounds takes its end that is not the default. */
                int64_t value = -1234567890123;
                if (row->min > (double)value) {
                    value = (int64_t)(row->def == row->min ? row->max : row->min);
                }
                *(int64_t *)(void *)((char *)body + row->offset) = value;
            } else if (row->type == OPT_DOC) {
                struct doc *doc = doc_new(&arena);
                doc_set_map(doc);
                doc_put_float(doc, &arena, "loss", 0.1);
                *(const struct doc **)(void *)((char *)body + row->offset) = doc;
            }
        }
        msg_encode((enum msg_id)i, 77, body, &data);
        ck_assert_msg(msg_decode(data.data, data.size, &arena, &got, &err) == 0, "%s: %s %s", desc->name, err.path,
                      err.text);
        struct buf again = {0};
        msg_encode(got.type, got.id, got.body, &again);
        ck_assert_int_eq((int)got.type, i);
        ck_assert_uint_eq(again.size, data.size);
        ck_assert_mem_eq(again.data, data.data, data.size);
        buf_fini(&data);
        buf_fini(&again);
    }
    arena_fini(&arena);
}
END_TEST

/* Something of the row's type inside its bounds. */
static void fill(const struct opt *row, void *ctx, struct rng *rng, struct arena *arena);

static void fill_all(const struct opt *table, void *ctx, struct rng *rng, struct arena *arena)
{
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        fill(row, ctx, rng, arena);
    }
}

static const char *random_text(struct rng *rng, struct arena *arena)
{
    static const char *const parts[] = {"", "a", "\xc3\xa9", "\xf0\x9f\x90\x98", " ", "\n", "/", "\x7f"};
    const char *text = "";
    for (uint64_t n = rng_below(rng, 40); n > 0; n--) {
        text = arena_printf(arena, "%s%s", text, parts[rng_below(rng, 8)]);
    }
    return text;
}

static int64_t random_int(const struct opt *row, struct rng *rng)
{
    double low = row->min < -9e15 ? -9e15 : row->min, high = row->max > 9e15 ? 9e15 : row->max;
    double edge[] = {low, high, low + floor(rng_f64(rng) * (high - low)), row->def};
    return (int64_t)edge[rng_below(rng, 4)];
}

static struct doc *random_doc(struct rng *rng, struct arena *arena, int depth)
{
    struct doc *doc = doc_new(arena);
    switch (rng_below(rng, depth > 0 ? 7 : 5)) {
    case 0: doc_set_bool(doc, rng_below(rng, 2) != 0); break;
    case 1: doc_set_int(doc, (int64_t)rng_u64(rng)); break;
    case 2: doc_set_float(doc, rng_f64(rng) * 1e300 - 5e299); break;
    case 3: doc_set_str(doc, arena, random_text(rng, arena)); break;
    case 4: doc_set_bin(doc, arena, "\0\xff", 2); break;
    case 5:
        doc_set_list(doc);
        for (uint64_t n = rng_below(rng, 20); n > 0; n--) {
            *doc_push(doc, arena) = *random_doc(rng, arena, depth - 1);
        }
        break;
    default:
        doc_set_map(doc);
        for (uint64_t n = rng_below(rng, 20); n > 0; n--) {
            *doc_put(doc, arena, random_text(rng, arena)) = *random_doc(rng, arena, depth - 1);
        }
        break;
    }
    return doc;
}

static void fill_list(const struct opt *row, void *field, struct rng *rng, struct arena *arena)
{
    size_t n = row->min_n + (size_t)rng_below(rng, 5);
    n = row->max_n > 0 && n > row->max_n ? row->max_n : n;
    int64_t *numbers = arena_array(arena, n + 1, sizeof(*numbers));
    const char **texts = arena_array(arena, n + 1, sizeof(*texts));
    char *groups = arena_array(arena, n + 1, row->group_size + 1);
    for (size_t i = 0; i < n; i++) {
        numbers[i] = row->type == OPT_INTS ? random_int(row, rng) : 0;
        texts[i] = random_text(rng, arena);
        if (row->type == OPT_GROUPS) {
            opt_defaults(row->group, groups + i * row->group_size, arena);
            fill_all(row->group, groups + i * row->group_size, rng, arena);
        }
    }
    if (row->type == OPT_INTS) {
        *(struct opt_ints *)field = (struct opt_ints){numbers, n};
    } else if (row->type == OPT_STRS) {
        *(struct opt_strs *)field = (struct opt_strs){texts, n};
    } else {
        *(struct opt_groups *)field = (struct opt_groups){groups, n};
    }
}

static void fill(const struct opt *row, void *ctx, struct rng *rng, struct arena *arena)
{
    void *field = (char *)ctx + row->offset;
    switch ((int)row->type) {
    case OPT_BOOL: *(bool *)field = rng_below(rng, 2) != 0; break;
    case OPT_I64: *(int64_t *)field = random_int(row, rng); break;
    case OPT_F64: {
        double low = row->min < -1e300 ? -1e300 : row->min, high = row->max > 1e300 ? 1e300 : row->max;
        *(double *)field = low + rng_f64(rng) * (high / 2 - low / 2);
        break;
    }
    case OPT_STR: *(const char **)field = random_text(rng, arena); break;
    case OPT_DOC: *(const struct doc **)field = random_doc(rng, arena, 3); break;
    default: fill_list(row, field, rng, arena); break;
    }
}

/* Random bodies of every row come out as they went in. */
START_TEST(random_bodies_round_trip)
{
    const struct msg_desc *desc = &msg_table[_i];
    struct arena arena;
    struct rng rng;
    arena_init(&arena);
    rng_init(&rng, 99, (uint64_t)_i, 0, 0);
    for (int k = 0; k < 200; k++) {
        struct buf data = {0}, again = {0};
        struct msg got;
        struct err err = {0};
        arena_reset(&arena);
        void *body = arena_alloc(&arena, desc->body_size);
        opt_defaults(desc->options, body, &arena);
        fill_all(desc->options, body, &rng, &arena);
        int64_t id = (int64_t)rng_below(&rng, INT64_MAX);
        msg_encode((enum msg_id)_i, id, body, &data);
        int rc = msg_decode(data.data, data.size, &arena, &got, &err);
        if (data.size > desc->max_bytes) {
            ck_assert_int_eq(rc, ERR_LIMIT);
        } else {
            ck_assert_msg(rc == 0, "%s: %s %s", desc->name, err.path, err.text);
            ck_assert_int_eq(got.id, id);
            msg_encode(got.type, got.id, got.body, &again);
            ck_assert_uint_eq(again.size, data.size);
            ck_assert_mem_eq(again.data, data.data, data.size);
        }
        buf_fini(&data);
        buf_fini(&again);
    }
    arena_fini(&arena);
}
END_TEST

static size_t field_bytes(const struct opt *row)
{
    switch (row->type) {
    case OPT_BOOL: return sizeof(bool);
    case OPT_STR:
    case OPT_DOC: return sizeof(void *);
    case OPT_INTS: return sizeof(struct opt_ints);
    case OPT_STRS: return sizeof(struct opt_strs);
    case OPT_GROUPS: return sizeof(struct opt_groups);
    case OPT_I64: return sizeof(int64_t);
    case OPT_F64: return sizeof(double);
    case OPT_F32:
    case OPT_ENUM:
    case OPT_FLOATS:
    case OPT_GROUP:
    case OPT_BIN:
    case OPT_END: break;
    }
    ck_abort_msg("a message with a field of type %d", (int)row->type);
}

/* A field of a body that has no row would be lost on the way: rows cover the struct but for padding. */
START_TEST(fields_have_rows)
{
    const struct msg_desc *desc = &msg_table[_i];
    size_t end = 0;
    for (const struct opt *row = desc->options; row->type != OPT_END; row++) {
        ck_assert_msg(row->offset >= end && row->offset - end < 8, "%s: what stands before '%s'?", desc->name, row->name);
        end = row->offset + field_bytes(row);
    }
    if (desc->options != msg_none_options) {
        ck_assert_msg(desc->body_size - end < 8, "%s: its last field has no row", desc->name);
    }
}
END_TEST

static const struct {
    const char *bytes;
    size_t n;
    int code;
} bad_messages[] = {
    {"", 0, ERR_SYNTAX},
    {"\xc1", 1, ERR_SYNTAX},
    {"\xdd\xff\x00\x00\x00", 5, ERR_SYNTAX},                       /* 4 billion items declared */
    {"\xdf\xff\xff\xff\xff", 5, ERR_SYNTAX},
    {"\x81\xa1m\xa4ping", 8, ERR_VERSION},
    {"\x82\xa1v\x01\xa1m\xa4pong", 11, ERR_UNKNOWN},
    {"\x82\xa1v\x63\xa1m\xa4ping", 11, ERR_VERSION},
    {"\x83\xa1v\x01\xa1m\xa4ping\xa1""b\x81\xa1x\x01", 17, ERR_UNKNOWN},
    {"\x82\xa1v\x01\xa1v\x01", 7, ERR_SYNTAX},                     /* a key twice */
    {"\x82\xa1v\x01\xa1m\xa4ping\x00", 13, ERR_SYNTAX},            /* bytes behind */
};

START_TEST(bad_message)
{
    struct arena arena;
    struct msg msg;
    struct err err = {0};
    arena_init(&arena);
    int r = msg_decode(bad_messages[_i].bytes, bad_messages[_i].n, &arena, &msg, &err);
    ck_assert_msg(r == bad_messages[_i].code, "row %d: %d %s", _i, r, err.text);
    arena_fini(&arena);
}
END_TEST

/* The corpus tells which files are one whole msgpack object of ours; schemas aside. */
START_TEST(hostile_corpus)
{
    TEST_NEED_SHARED(shared)
    struct arena arena;
    struct buf text = {0};
    struct err err = {0};
    struct doc *manifest = NULL;
    char path[TEST_PATH];
    int n = 0;
    arena_init(&arena);
    test_path(path, "%s/hostile/manifest.json", shared);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 64 << 20, &text, &err), 0);
    ck_assert_int_eq(doc_read_json(text.data, text.size, &doc_limits_default, &arena, &manifest, &err), 0);
    const struct doc *files = doc_get(manifest, "files");
    const struct doc_limits limits = {.depth = 32, .nodes = 100000, .bytes = 1 << 20};
    for (size_t i = 0; i < files->n; i++) {
        const struct doc *file = &files->items[i];
        struct buf data = {0};
        struct doc *doc = NULL;
        if (strcmp(doc_str(file, "format", ""), "msgpack") != 0) {
            continue;
        }
        test_path(path, "%s/hostile/%s", shared, doc_str(file, "path", ""));
        ck_assert_int_eq(file_read(AT_FDCWD, path, 64 << 20, &data, &err), 0);
        int r = msg_read_doc(data.data, data.size, &limits, &arena, &doc, &err);
        bool accept = strcmp(doc_str(doc_get(file, "strict"), "verdict", ""), "accept") == 0;
        if (!doc_bool(file, "wellformed", true)) {
            ck_assert_msg(r < 0, "%s was taken", path);
        } else if (accept) {
            ck_assert_msg(r == 0, "%s: %s", path, err.text);
        }
        buf_fini(&data);
        n++;
    }
    ck_assert_int_gt(n, 50);
    buf_fini(&text);
    arena_fini(&arena);
}
END_TEST

static const char job_text[] =
    "{\"name\": \"digits\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"},"
    " \"validation\": {\"dataset\": \"digits\", \"split\": \"test\"}}, \"model\": {\"from\": \"digits-1\"},"
    " \"resources\": {\"workers\": \"AUTOTUNE\", \"transport\": \"inline\"}, \"fit\": {\"epochs\": 3}}";

START_TEST(job_is_read)
{
    struct arena arena;
    struct doc *doc = NULL;
    struct job_spec job;
    struct opt_strs names;
    struct err err = {0};
    arena_init(&arena);
    ck_assert_int_eq(doc_read_json(job_text, strlen(job_text), &doc_limits_default, &arena, &doc, &err), 0);
    ck_assert_msg(job_read(doc, &arena, &job, &err) == 0, "%s %s", err.path, err.text);
    job_datasets(&job, &arena, &names);
    ck_assert_uint_eq(names.n, 1);
    ck_assert_str_eq(names.v[0], "digits");
    ck_assert_str_eq(job_model_from(&job), "digits-1");
    ck_assert_int_eq(job.resources.workers, 0);
    ck_assert_int_eq(job.resources.transport, JOB_TRANSPORT_INLINE);
    ck_assert_int_eq(job.fit.epochs, 3);
    ck_assert_int_eq(job.fit.checkpoint.keep, 3);
    arena_fini(&arena);
}
END_TEST

START_TEST(slab_is_shared_and_sealed)
{
    struct err err = {0};
    struct slab a, b;
    int fd = -1;
    ck_assert_int_eq(slab_create(3, 10000, &fd, &err), 0);
    ck_assert_int_eq(slab_map(fd, &a, &err), 0);
    ck_assert_int_eq(slab_map(fd, &b, &err), 0);
    ck_assert_int_eq(slab_reserve(fd, &a, &err), 0);
    ck_assert_int_eq(a.n_slabs, 3);
    ck_assert_uint_ge(a.slab_bytes, 10000);
    memset(slab_at(&a, 2), 7, 10000);
    ck_assert_int_eq(slab_at(&b, 2)[9999], 7);
    ck_assert_int_eq(a.header->in_flight[SLAB_WORKERS_MAX - 1].row, -1);
    ck_assert_int_lt(ftruncate(fd, 4096), 0);
    a.header->n_slabs = 1000; /* a hostile worker lies */
    struct slab c;
    ck_assert_int_eq(slab_map(fd, &c, &err), ERR_CORRUPT);
    slab_unmap(&a);
    slab_unmap(&b);
    close(fd);
}
END_TEST

START_TEST(child_gets_descriptors)
{
    struct arena arena;
    struct err err = {0};
    struct msg msg;
    struct child_fds in, out = {.n = 2};
    int pair[2];
    static const char *const names[] = {"job", "plan"};
    arena_init(&arena);
    ck_assert_int_eq(child_pair(pair, &err), 0);
    out.fd[0] = open("/dev/null", O_RDONLY);
    out.fd[1] = open("/dev/zero", O_RDONLY);
    struct msg_child_start start = {.mode = "check", .fds = {.v = names, .n = 2}};
    ck_assert_int_eq(child_send(pair[0], MSG_CHILD_START, &start, &out, &err), 0);
    ck_assert_msg(child_recv(pair[1], 1000, &arena, &msg, &in, &err) == 0, "%s", err.text);
    ck_assert_int_eq((int)msg.type, MSG_CHILD_START);
    ck_assert_int_eq(in.n, 2);
    char byte = 1;
    ck_assert_int_eq(read(child_fd(msg.body, &in, "plan"), &byte, 1), 1);
    ck_assert_int_eq(byte, 0);
    ck_assert_int_eq(child_fd(msg.body, &in, "model"), -1);
    ck_assert_int_eq(child_recv(pair[1], 0, &arena, &msg, &in, &err), ERR_TIMEOUT);
    close(pair[0]);
    ck_assert_int_eq(child_recv(pair[1], 1000, &arena, &msg, &in, &err), ERR_GONE);
    ck_assert_int_eq(child_send(pair[1], MSG_CHILD_START, &start, NULL, &err), ERR_GONE);
    close(pair[1]);
    close(out.fd[0]);
    close(out.fd[1]);
    arena_fini(&arena);
}
END_TEST

START_TEST(sockets)
{
    char dir[TEST_PATH], address[TEST_PATH];
    struct arena arena;
    struct err err = {0};
    struct sock *router = NULL, *dealer = NULL;
    struct sock_peer peer;
    struct sock_frame frames[SOCK_FRAMES_MAX];
    struct msg msg;
    int n_frames;
    int64_t uid = -1;
    arena_init(&arena);
    test_dir_make(dir);
    test_path(address, "ipc://%s/s", dir);
    struct sock_context *context = sock_context_create();
    ck_assert_int_eq(sock_open_dealer(context, address, &(struct sock_options){.no_reconnect = true}, &dealer, &err),
                     ERR_UNREACHABLE);
    ck_assert_int_eq(sock_open_router(context, address, NULL, &router, &err), 0);
    ck_assert_msg(sock_open_dealer(context, address, NULL, &dealer, &err) == 0, "%s", err.text);
    const struct sock_frame payload = {"bytes", 5};
    struct msg_named named = {.name = "digits"};
    ck_assert_int_eq(sock_send(dealer, NULL, MSG_DATASET_SHOW, 5, &named, &payload, 1, &err), 0);
    ck_assert_int_eq(sock_poll(router, NULL, 0, 2000), 1);
    ck_assert_msg(sock_recv(router, &peer, &arena, &msg, frames, &n_frames, &uid, &err) == 0, "%s", err.text);
    ck_assert_int_eq((int)msg.type, MSG_DATASET_SHOW);
    ck_assert_int_eq(msg.id, 5);
    ck_assert_str_eq(((struct msg_named *)msg.body)->name, "digits");
    ck_assert_int_eq(n_frames, 1);
    ck_assert_mem_eq(frames[0].data, "bytes", 5);
    ck_assert_int_eq(uid, (int64_t)getuid());
    ck_assert_int_eq(sock_send(router, &peer, MSG_PING, 5, NULL, NULL, 0, &err), 0);
    ck_assert_int_eq(sock_poll(dealer, NULL, 0, 2000), 1);
    ck_assert_int_eq(sock_recv(dealer, NULL, &arena, &msg, NULL, NULL, NULL, &err), 0);
    ck_assert_int_eq(sock_recv(dealer, NULL, &arena, &msg, NULL, NULL, NULL, &err), ERR_TIMEOUT);
    peer.id[0] ^= 0x55;
    ck_assert_int_eq(sock_send(router, &peer, MSG_PING, 5, NULL, NULL, 0, &err), ERR_GONE);
    sock_close(router);
    ck_assert_int_eq(sock_poll(dealer, NULL, 0, 5000), 1);
    ck_assert_int_eq(sock_recv(dealer, NULL, &arena, &msg, NULL, NULL, NULL, &err), ERR_GONE);
    sock_close(dealer);
    sock_context_destroy(context);
    test_dir_remove(dir);
    arena_fini(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proto");
    TCase *tcase = tcase_create("proto");
    tcase_add_test(tcase, messages_round_trip);
    tcase_add_loop_test(tcase, fields_have_rows, 0, MSG_MAX_);
    tcase_add_loop_test(tcase, random_bodies_round_trip, 0, MSG_MAX_);
    tcase_add_loop_test(tcase, bad_message, 0, (int)(sizeof bad_messages / sizeof bad_messages[0]));
    tcase_add_test(tcase, hostile_corpus);
    tcase_add_test(tcase, job_is_read);
    tcase_add_test(tcase, slab_is_shared_and_sealed);
    tcase_add_test(tcase, child_gets_descriptors);
    tcase_add_test(tcase, sockets);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
