/* Data sets through a real daemon: uploads, resumption, deduplication, damage, full disks. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "tests/daemon/fixture.h"

enum { MIB = 1 << 20 };

START_TEST(put_list_show_verify_remove)
{
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    const struct msg_none none = {.unused = 0};
    ck_assert_int_eq(fixture_put(&f, "d", 20, 1000, 1), 20);
    const struct doc *show = fixture_named(&f, MSG_DATASET_SHOW, "d");
    ck_assert_str_eq(doc_str(show, "kind", ""), "idx");
    ck_assert_int_eq(doc_int(show, "files", 0), 20);
    ck_assert_int_eq(doc_int(show, "bytes", 0), 20000);
    ck_assert_int_eq(doc_int(doc_get(show, "splits"), "train", 0), 20);
    const struct doc *list = fixture_ask(&f, MSG_DATASET_LIST, &none, NULL, 0);
    ck_assert_int_eq((int)doc_get(list, "datasets")->n, 1);
    const struct doc *verify = fixture_named(&f, MSG_DATASET_VERIFY, "d");
    ck_assert_int_eq(doc_int(verify, "files", 0), 20);
    ck_assert_int_eq((int)doc_get(verify, "damaged")->n, 0);
    ck_assert_ptr_null(fixture_named(&f, MSG_DATASET_SHOW, "dd"));
    ck_assert_int_eq(f.err.code, ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(f.err.text, "'d'"));
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "d"));
    ck_assert_ptr_null(fixture_named(&f, MSG_DATASET_SHOW, "d"));
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_fini(&f);
}
END_TEST

/* The same bytes under another name need no chunk; removing one keeps the other whole. */
START_TEST(deduplication)
{
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "a", 8, 3000, 1), 8);
    ck_assert_int_eq(fixture_put(&f, "b", 12, 3000, 1), 4);
    ck_assert_int_eq(fixture_put(&f, "a", 8, 3000, 1), 0);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "a"));
    const struct doc *verify = fixture_named(&f, MSG_DATASET_VERIFY, "b");
    ck_assert_int_eq((int)doc_get(verify, "damaged")->n, 0);
    fixture_fini(&f);
}
END_TEST

static const struct doc *begin(struct fixture *f, const char *name, int n, size_t bytes,
                               unsigned seed)
{
    const struct msg_dataset_begin body = {.name = name, .kind = "idx"};
    struct buf list;
    buf_init(&list);
    fixture_list(n, bytes, seed, &list);
    const struct doc *reply = fixture_ask(f, MSG_DATASET_BEGIN, &body, list.data, list.size);
    buf_fini(&list);
    return reply;
}

/* Kill -9 in the middle of a file: what was acknowledged is there, and the rest is enough. */
START_TEST(resumed_after_kill)
{
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    enum { BYTES = 5 * MIB + 17 };
    unsigned char *data = malloc(BYTES);
    fixture_content(0, BYTES, 5, data);
    for (int kills = 0; kills < 3; kills++) {
        const struct doc *reply = begin(&f, "big", 2, BYTES, 5);
        ck_assert_ptr_nonnull(reply);
        ck_assert_int_eq(doc_at(doc_get(reply, "have"), 0)->i, (int64_t)kills * MIB);
        const struct msg_dataset_chunk chunk = {
            .upload = doc_str(reply, "upload", ""), .file = 0, .offset = (int64_t)kills * MIB};
        reply = fixture_ask(&f, MSG_DATASET_CHUNK, &chunk, data + (size_t)kills * MIB, MIB);
        ck_assert_int_eq(doc_int(reply, "have", 0), (int64_t)(kills + 1) * MIB);
        ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
        fixture_start(&f);
    }
    ck_assert_int_eq(fixture_put(&f, "big", 2, BYTES, 5), 3 + 6);
    ck_assert_int_eq((int)doc_get(fixture_named(&f, MSG_DATASET_VERIFY, "big"), "damaged")->n, 0);
    ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
    fixture_start(&f);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_SHOW, "big"));
    free(data);
    fixture_fini(&f);
}
END_TEST

/* A window of chunks without waiting; one more than the credit is refused. */
START_TEST(credit)
{
    struct fixture f;
    fixture_init(&f);
    fixture_arg(&f, "--upload-credit=4");
    fixture_start(&f);
    const struct doc *reply = begin(&f, "c", 40, 2000, 3);
    ck_assert_int_eq(doc_int(reply, "credit", 0), 4);
    unsigned char data[2000];
    int n_taken = 0;
    int n_refused = 0;
    for (int i = 0; i < 40; i++) {
        const struct msg_dataset_chunk chunk = {.upload = doc_str(reply, "upload", ""), .file = i};
        fixture_content(i, sizeof(data), 3, data);
        fixture_send(&f, MSG_DATASET_CHUNK, &chunk, data, sizeof(data));
    }
    for (int i = 0; i < 40; i++) {
        struct msg msg = {.id = 0};
        ck_assert(fixture_next(&f, &msg));
        n_taken += msg.type == MSG_REPLY;
        n_refused +=
            msg.type == MSG_ERROR && ((const struct msg_error *)msg.body)->code == ERR_LIMIT;
    }
    ck_assert_int_eq(n_taken + n_refused, 40);
    ck_assert_int_ge(n_taken, 4);
    ck_assert_int_eq(fixture_put(&f, "c", 40, 2000, 3), n_refused);
    fixture_fini(&f);
}
END_TEST

struct bad_begin {
    const char *name, *kind, *list; /* JSON */
    int code;
};
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static const struct bad_begin bad_begins[] = {
    {"", "auto", "[]", ERR_INVALID},
    {"a/b", "auto", "[]", ERR_INVALID},
    {"a", "auto", "[]", ERR_INVALID},
    {"a", "auto", "{}", ERR_INVALID},
    {"a", "idxx", "[{\"path\": \"a-ubyte\", \"bytes\": 1, \"id\": \"" ID "\"}]", ERR_UNKNOWN},
    {"a", "auto", "[{\"path\": \"a.exe\", \"bytes\": 1, \"id\": \"" ID "\"}]", ERR_INVALID},
    {"a", "auto", "[{\"path\": \"../a.png\", \"bytes\": 1, \"id\": \"" ID "\"}]", ERR_INVALID},
    {"a", "auto", "[{\"path\": \"/a.png\", \"bytes\": 1, \"id\": \"" ID "\"}]", ERR_INVALID},
    {"a", "auto", "[{\"path\": \"x/./a.png\", \"bytes\": 1, \"id\": \"" ID "\"}]", ERR_INVALID},
    {"a", "auto", "[{\"path\": \"x//a.png\", \"bytes\": 1, \"id\": \"" ID "\"}]", ERR_INVALID},
    {"a", "auto", "[{\"path\": \"a\\n.png\", \"bytes\": 1, \"id\": \"" ID "\"}]", ERR_INVALID},
    {"a", "auto", "[{\"path\": \"a.png\", \"bytes\": -1, \"id\": \"" ID "\"}]", ERR_INVALID},
    {"a", "auto", "[{\"path\": \"a.png\", \"bytes\": 1, \"id\": \"XYZ\"}]", ERR_INVALID},
    {"a", "auto", "[{\"path\": \"a.png\", \"bytes\": 5000000, \"id\": \"" ID "\"}]", ERR_LIMIT},
    {"a", "auto",
     "[{\"path\": \"b.png\", \"bytes\": 1, \"id\": \"" ID
     "\"}, {\"path\": \"a.png\", \"bytes\": 1, \"id\": \"" ID "\"}]",
     ERR_INVALID},
    {"a", "auto",
     "[{\"path\": \"a.png\", \"bytes\": 1, \"id\": \"" ID
     "\"}, {\"path\": \"a.png\", \"bytes\": 1, \"id\": \"" ID "\"}]",
     ERR_INVALID},
};

START_TEST(refused_lists)
{
    struct fixture f;
    fixture_init(&f);
    fixture_arg(&f, "--max-dataset-bytes=1000000");
    fixture_start(&f);
    for (size_t i = 0; i < sizeof(bad_begins) / sizeof(bad_begins[0]); i++) {
        const struct bad_begin *c = &bad_begins[i];
        const struct msg_dataset_begin body = {.name = c->name, .kind = c->kind};
        struct doc *doc = NULL;
        struct buf list;
        buf_init(&list);
        ck_assert_int_ge(
            doc_read_json(c->list, strlen(c->list), &doc_limits_default, &f.arena, &doc, NULL), 0);
        msg_write_doc(doc, &list);
        ck_assert_msg(fixture_ask(&f, MSG_DATASET_BEGIN, &body, list.data, list.size) == NULL,
                      "row %zu is taken", i);
        ck_assert_msg(f.err.code == c->code, "row %zu: %d instead of %d (%s)", i, f.err.code,
                      c->code, f.err.text);
        buf_fini(&list);
    }
    fixture_fini(&f);
}
END_TEST

/* Bytes that do not have the declared id are not kept. */
START_TEST(wrong_bytes)
{
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    const struct doc *reply = begin(&f, "w", 1, 2 * MIB, 9);
    char upload[32];
    snprintf(upload, sizeof(upload), "%s", doc_str(reply, "upload", ""));
    unsigned char *data = calloc(1, MIB);
    struct msg_dataset_chunk chunk = {.upload = upload, .file = 0, .offset = 0};
    ck_assert_ptr_nonnull(fixture_ask(&f, MSG_DATASET_CHUNK, &chunk, data, MIB));
    chunk.offset = 3;
    ck_assert_ptr_nonnull(
        fixture_ask(&f, MSG_DATASET_CHUNK, &chunk, data, MIB)); /* an overlap is taken */
    chunk.offset = MIB + 100;
    ck_assert_ptr_null(fixture_ask(&f, MSG_DATASET_CHUNK, &chunk, data, 10)); /* a hole is not */
    ck_assert_int_eq(f.err.code, ERR_INVALID);
    chunk.offset = MIB;
    ck_assert_ptr_null(fixture_ask(&f, MSG_DATASET_CHUNK, &chunk, data, MIB));
    ck_assert_int_eq(f.err.code, ERR_CORRUPT);
    const struct msg_dataset_commit commit = {.upload = upload};
    ck_assert_ptr_null(fixture_ask(&f, MSG_DATASET_COMMIT, &commit, NULL, 0));
    ck_assert_int_eq(f.err.code, ERR_MISSING);
    ck_assert_int_eq(fixture_put(&f, "w", 1, 2 * MIB, 9), 2);
    free(data);
    fixture_fini(&f);
}
END_TEST

/* Changes a byte of the one pack, in the middle of what is given. */
static void damage(struct fixture *f, const void *data, size_t size)
{
    char path[TEST_PATH];
    struct buf pack;
    buf_init(&pack);
    test_path(path, "%s/s/blobs/pack", f->dir);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    const struct dirent *entry = readdir(dir);
    while (entry != NULL && entry->d_name[0] == '.') {
        entry = readdir(dir);
    }
    ck_assert_ptr_nonnull(entry);
    ck_assert_int_eq(file_read(dirfd(dir), entry->d_name, 64 << 20, &pack, NULL), 0);
    const char *at = memmem(pack.data, pack.size, data, size);
    ck_assert_ptr_nonnull(at);
    int fd = openat(dirfd(dir), entry->d_name, O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    const char other = (char)(at[size / 2] ^ 1);
    ck_assert_int_eq(pwrite(fd, &other, 1, (off_t)(at - pack.data) + (off_t)size / 2), 1);
    close(fd);
    closedir(dir);
    buf_fini(&pack);
}

/* A blob that was changed on the disk is found, named, put aside, and comes back with another
 * upload. */
START_TEST(damage_is_found)
{
    struct fixture f;
    unsigned char data[700];
    fixture_init(&f);
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "v", 5, sizeof(data), 2), 5);
    fixture_content(3, sizeof(data), 2, data);
    damage(&f, data, sizeof(data));
    const struct doc *damaged = doc_get(fixture_named(&f, MSG_DATASET_VERIFY, "v"), "damaged");
    ck_assert_int_eq((int)damaged->n, 1);
    ck_assert_str_eq(doc_at(damaged, 0)->str, "train-0003-ubyte");
    ck_assert_int_eq(fixture_put(&f, "v", 5, sizeof(data), 2), 1);
    ck_assert_int_eq((int)doc_get(fixture_named(&f, MSG_DATASET_VERIFY, "v"), "damaged")->n, 0);
    fixture_fini(&f);
}
END_TEST

/* A full disk is an error with a name; what was acknowledged stays, and the upload goes on when
 * there is space. */
START_TEST(full_disk)
{
    struct fixture f;
    fixture_init(&f);
    if (!fixture_small_disk(&f, "6m")) {
        test_skip("a small file system needs root");
        fixture_fini(&f);
        return;
    }
    fixture_arg(&f, "--reserve-bytes=500000");
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "small", 3, 1000, 1), 3);
    fixture_fill(&f, 2 * MIB);
    ck_assert_int_eq(fixture_put(&f, "large", 1, 4 * MIB, 1), -1);
    ck_assert_int_eq(f.err.code, ERR_NO_SPACE);
    const struct doc *reply = begin(&f, "large", 1, 4 * MIB, 1);
    int64_t have = doc_at(doc_get(reply, "have"), 0)->i;
    ck_assert_int_ge(have, MIB);
    ck_assert_int_eq((int)doc_get(fixture_named(&f, MSG_DATASET_VERIFY, "small"), "damaged")->n, 0);
    fixture_fill(&f, 0);
    ck_assert_int_eq(fixture_put(&f, "large", 1, 4 * MIB, 1), (int)(4 - have / MIB));
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_fini(&f);
}
END_TEST

/* The same with files that go into a pack. */
START_TEST(full_disk_under_a_pack)
{
    enum { N = 150, BYTES = 20000 };
    struct fixture f;
    int n_have = 0;
    fixture_init(&f);
    if (!fixture_small_disk(&f, "6m")) {
        test_skip("a small file system needs root");
        fixture_fini(&f);
        return;
    }
    fixture_arg(&f, "--reserve-bytes=500000");
    fixture_start(&f);
    fixture_fill(&f, 3 * MIB);
    ck_assert_int_eq(fixture_put(&f, "many", N, BYTES, 1), -1);
    ck_assert_int_eq(f.err.code, ERR_NO_SPACE);
    const struct doc *have = doc_get(begin(&f, "many", N, BYTES, 1), "have");
    for (size_t i = 0; i < N; i++) {
        ck_assert(doc_at(have, i)->i == 0 || doc_at(have, i)->i == BYTES);
        n_have += doc_at(have, i)->i == BYTES;
    }
    ck_assert_int_gt(n_have, 0);
    ck_assert_int_lt(n_have, N);
    fixture_fill(&f, 0);
    ck_assert_int_eq(fixture_put(&f, "many", N, BYTES, 1), N - n_have);
    ck_assert_int_eq((int)doc_get(fixture_named(&f, MSG_DATASET_VERIFY, "many"), "damaged")->n, 0);
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_fini(&f);
}
END_TEST

static bool saw_garbage(void *arg)
{
    const struct msg_none none = {.unused = 0};
    const struct doc *status = fixture_ask(arg, MSG_STATUS, &none, NULL, 0);
    const struct doc *counters = doc_get(status, "counters");
    return doc_int(counters, "garbage", 0) + doc_int(counters, "refusals", 0) >= 2000;
}

/* Requests in any order and of any kind: 2,000 frames of garbage, and the daemon still serves. */
START_TEST(garbage_frames)
{
    struct fixture f;
    struct buf good;
    unsigned seed = 12345;
    fixture_init(&f);
    fixture_start(&f);
    buf_init(&good);
    const struct msg_dataset_chunk chunk = {.upload = "abcdef", .file = 3, .offset = 17};
    msg_encode(MSG_DATASET_CHUNK, 77, &chunk, &good);
    for (int i = 0; i < 2000; i++) {
        unsigned char frame[300];
        size_t n = 0;
        seed = seed * 1103515245u + 12345u;
        if (i % 2 == 0) {
            n = good.size;
            memcpy(frame, good.data, n);
            frame[(seed >> 8) % n] = (unsigned char)(seed >> 20);
        } else {
            n = (seed >> 10) % sizeof(frame);
            for (size_t k = 0; k < n; k++) {
                seed = seed * 1103515245u + 12345u;
                frame[k] = (unsigned char)(seed >> 16);
            }
        }
        fixture_raw(&f, frame, n);
    }
    const struct msg_none none = {.unused = 0};
    ck_assert_ptr_nonnull(fixture_ask(&f, MSG_PING, &none, NULL, 0));
    ck_assert(test_wait(saw_garbage, &f, 20000));
    buf_fini(&good);
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_fini(&f);
}
END_TEST

/* A user's bytes are bounded; the same bytes count once, and what is removed counts no more. */
START_TEST(quota)
{
    struct fixture f;
    fixture_init(&f);
    fixture_arg(&f, "--quota-bytes=50000");
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "a", 10, 3000, 1), 10);
    ck_assert_int_eq(fixture_put(&f, "b", 10, 3000, 1), 0);
    ck_assert_int_eq(fixture_put(&f, "c", 10, 3001, 2), -1);
    ck_assert_int_eq(f.err.code, ERR_LIMIT);
    ck_assert_ptr_nonnull(strstr(f.err.text, "quota_bytes"));
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "a"));
    ck_assert_int_eq(fixture_put(&f, "c", 10, 3001, 2), -1);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "b"));
    ck_assert_int_eq(fixture_put(&f, "c", 10, 3001, 2), 10);
    fixture_fini(&f);
}
END_TEST

/* Other files under the name are its next version; the same files again are not. */
START_TEST(versions)
{
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "a", 8, 3000, 1), 8);
    ck_assert_int_eq(fixture_put(&f, "a", 8, 3000, 1), 0);
    ck_assert_int_eq(fixture_put(&f, "a", 9, 3000, 1), 1);
    const struct doc *show = fixture_named(&f, MSG_DATASET_SHOW, "a");
    ck_assert_int_eq(doc_int(show, "version", 0), 2);
    ck_assert_int_eq(doc_int(show, "files", 0), 9);
    ck_assert_int_eq((int)doc_get(show, "versions")->n, 2);
    show = fixture_named(&f, MSG_DATASET_SHOW, "a@1");
    ck_assert_int_eq(doc_int(show, "files", 0), 8);
    ck_assert_ptr_null(fixture_named(&f, MSG_DATASET_SHOW, "a@3"));
    ck_assert_int_eq(f.err.code, ERR_NOT_FOUND);
    const struct msg_none none = {.unused = 0};
    const struct doc *list = fixture_ask(&f, MSG_DATASET_LIST, &none, NULL, 0);
    ck_assert_int_eq((int)doc_get(list, "datasets")->n, 1);
    ck_assert_int_eq(fixture_end(&f, SIGTERM), 0);
    fixture_start(&f);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "a@1"));
    ck_assert_ptr_null(fixture_named(&f, MSG_DATASET_SHOW, "a@1"));
    ck_assert_int_eq((int)doc_get(fixture_named(&f, MSG_DATASET_VERIFY, "a"), "damaged")->n, 0);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "a"));
    ck_assert_ptr_null(fixture_named(&f, MSG_DATASET_SHOW, "a@2"));
    fixture_fini(&f);
}
END_TEST

/* A number that was said once means those files for ever. */
START_TEST(numbers_are_not_used_again)
{
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "a", 2, 3000, 1), 2);
    ck_assert_int_eq(fixture_put(&f, "a", 3, 3000, 1), 1);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "a@2"));
    ck_assert_int_eq(fixture_put(&f, "a", 4, 3000, 1), 2);
    ck_assert_int_eq(doc_int(fixture_named(&f, MSG_DATASET_SHOW, "a"), "version", 0), 3);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "a"));
    ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
    fixture_start(&f);
    ck_assert_int_ge(fixture_put(&f, "a", 2, 3000, 1), 0);
    ck_assert_int_eq(doc_int(fixture_named(&f, MSG_DATASET_SHOW, "a"), "version", 0), 4);
    fixture_fini(&f);
}
END_TEST

/* Two lists with the same files in the same order share the index of packs. */
START_TEST(a_shared_index_stays)
{
    struct fixture f;
    char command[TEST_PATH + 64];
    fixture_init(&f);
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "a", 3, 3000, 1), 3);
    const struct msg_dataset_begin begin = {.name = "b", .kind = "auto"};
    struct buf list = {0};
    struct doc *items = doc_new(&f.arena);
    doc_set_list(items);
    for (int i = 0; i < 3; i++) {
        unsigned char data[3000];
        char id[HASH_ID_TEXT];
        fixture_content(i, sizeof(data), 1, data);
        hash_bytes(data, sizeof(data), id);
        struct doc *item = doc_push(items, &f.arena);
        doc_set_map(item);
        doc_put_str(item, &f.arena, "path", arena_printf(&f.arena, "test-%d-ubyte", i));
        doc_put_int(item, &f.arena, "bytes", 3000);
        doc_put_str(item, &f.arena, "id", id);
    }
    msg_write_doc(items, &list);
    const struct doc *reply = fixture_ask(&f, MSG_DATASET_BEGIN, &begin, list.data, list.size);
    buf_fini(&list);
    ck_assert_ptr_nonnull(reply);
    const struct msg_dataset_commit commit = {.upload = doc_str(reply, "upload", "")};
    ck_assert_ptr_nonnull(fixture_ask(&f, MSG_DATASET_COMMIT, &commit, NULL, 0));
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "a"));
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_VERIFY, "b")); /* behind the removal */
    test_path(command, "test $(ls %s/blobs/at | wc -l) = 1", f.state_dir);
    ck_assert_int_eq(system(command), 0);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "b"));
    ck_assert_ptr_null(fixture_named(&f, MSG_DATASET_SHOW, "b"));
    fixture_fini(&f);
}
END_TEST

static void take_old_store(const struct fixture *f)
{
    char command[3 * TEST_PATH];
    (void)snprintf(command, sizeof(command), "cp -r %s/tests/daemon/store-1 %s && chmod -R u+w %s",
                   test_source_root(), f->state_dir, f->state_dir);
    ck_assert_int_eq(system(command), 0);
}

/* A store of schema version 1 reads as it did, and goes on. */
START_TEST(an_old_store_opens)
{
    struct fixture f;
    fixture_init(&f);
    take_old_store(&f);
    for (int i = 0; i < 2; i++) { /* migrated, then as migrated */
        fixture_start(&f);
        const struct doc *show = fixture_named(&f, MSG_DATASET_SHOW, "old@1");
        ck_assert_ptr_nonnull(show);
        ck_assert_int_eq(doc_int(show, "files", 0), 3);
        ck_assert_str_eq(doc_str(show, "kind", ""), "idx");
        ck_assert_int_eq(doc_int(doc_get(show, "splits"), "train", 0), 3);
        ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_SHOW, "older@1"));
        ck_assert_ptr_nonnull(fixture_named(&f, MSG_JOB_SHOW, "was-1"));
        const struct doc *verify = fixture_named(&f, MSG_DATASET_VERIFY, "old");
        ck_assert_ptr_nonnull(verify);
        ck_assert_int_eq((int)doc_get(verify, "damaged")->n, 0);
        ck_assert_int_eq(doc_int(verify, "bytes", 0), 600);
        ck_assert_int_eq(fixture_end(&f, SIGKILL), -SIGKILL);
    }
    fixture_start(&f);
    ck_assert_int_eq(fixture_put(&f, "old", 3, 200, 1), 0); /* the same files are there */
    ck_assert_int_eq(fixture_put(&f, "old", 4, 200, 1), 1);
    ck_assert_int_eq(doc_int(fixture_named(&f, MSG_DATASET_SHOW, "old"), "version", 0), 2);
    ck_assert_ptr_nonnull(fixture_named(&f, MSG_DATASET_REMOVE, "older"));
    const struct msg_dataset_gc gc = {.keep_days = 0};
    ck_assert_ptr_nonnull(fixture_ask(&f, MSG_DATASET_GC, &gc, NULL, 0));
    ck_assert_int_eq((int)doc_get(fixture_named(&f, MSG_DATASET_VERIFY, "old@1"), "damaged")->n, 0);
    fixture_fini(&f);
}
END_TEST

/* The number of the schema stands at byte 60 of the file, big-endian. */
START_TEST(a_store_of_the_future_is_refused)
{
    struct fixture f;
    char path[TEST_PATH];
    struct buf log = {0};
    fixture_init(&f);
    take_old_store(&f);
    test_path(path, "%s/state.db", f.state_dir);
    int fd = open(path, O_WRONLY);
    ck_assert(fd >= 0 && pwrite(fd, "\0\0\1\0", 4, 60) == 4);
    close(fd);
    ck_assert(!fixture_try_start(&f));
    test_path(path, "%s/log", f.dir);
    ck_assert_int_ge(file_read(AT_FDCWD, path, 1 << 20, &log, NULL), 0);
    ck_assert_msg(strstr(log.data, "has version 256, and this program knows up to ") != NULL &&
                      strstr(log.data, "; start the newer program that wrote it") != NULL,
                  "%s", log.data);
    buf_fini(&log);
    fixture_fini(&f);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("store");
    TCase *tcase = tcase_create("store");
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, put_list_show_verify_remove);
    tcase_add_test(tcase, deduplication);
    tcase_add_test(tcase, resumed_after_kill);
    tcase_add_test(tcase, versions);
    tcase_add_test(tcase, numbers_are_not_used_again);
    tcase_add_test(tcase, a_shared_index_stays);
    tcase_add_test(tcase, an_old_store_opens);
    tcase_add_test(tcase, a_store_of_the_future_is_refused);
    tcase_add_test(tcase, quota);
    tcase_add_test(tcase, credit);
    tcase_add_test(tcase, refused_lists);
    tcase_add_test(tcase, wrong_bytes);
    tcase_add_test(tcase, damage_is_found);
    tcase_add_test(tcase, full_disk);
    tcase_add_test(tcase, full_disk_under_a_pack);
    tcase_add_test(tcase, garbage_frames);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
