/* Files that lie in packs: read like files of their own, and found again after the packs were made
 * anew under an open source. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "pipeline/source.h"
#include "proto/pack.h"
#include "tests/test.h"

static const char *const texts[] = {"first", "", "the third one", "fourth"};
enum { N = sizeof texts / sizeof texts[0], LOOSE = 3 };

static char folder[TEST_PATH];
static int blobs_fd;
static struct arena arena;
static struct doc *files;

/* A source whose samples nobody reads: only its store is looked at. */
static const struct source_store *opened;

static bool claims(const struct doc *list)
{
    (void)list;
    return true;
}

static int open_source(struct source *source, const struct source_store *store, struct arena *a,
                       struct err *err)
{
    (void)a;
    (void)err;
    opened = store;
    source->samples = 1;
    return 0;
}

static void close_source(struct source *source)
{
    (void)source;
}

static const struct source_desc source_plain = {
    .name = "plain", .ctx_size = 1, .claims = claims, .open = open_source, .close = close_source};
const struct source_desc *const source_table[] = {&source_plain, NULL};

static const struct source_want want = {.kind = "auto"};

static void write_packs(const char *name, size_t gap)
{
    char path[PACK_PATH];
    char index_path[PACK_INDEX_PATH];
    struct pack_entry entries[N];
    struct buf pack, index;
    struct hash hash;
    buf_init(&pack);
    buf_init(&index);
    pack_path_init(&hash);
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k < gap; k++) {
            buf_puts(&pack, "-");
        }
        entries[i] = (struct pack_entry){.pack = i != LOOSE, .offset = (int64_t)pack.size};
        buf_puts(&pack, i != LOOSE ? texts[i] : "");
        pack_path_add(&hash, doc_str(doc_at(files, (size_t)i), "id", ""));
    }
    char names[1][PACK_NAME];
    memcpy(names[0], name, PACK_NAME);
    pack_index_encode((const char(*)[PACK_NAME])names, 1, entries, N, &index);
    pack_path_final(&hash, index_path);
    pack_path(name, path);
    int pack_fd = openat(blobs_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int index_fd = openat(blobs_fd, index_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(pack_fd, 0);
    ck_assert_int_ge(index_fd, 0);
    ck_assert_int_eq(file_write_all(pack_fd, pack.data, pack.size, NULL), 0);
    ck_assert_int_eq(file_write_all(index_fd, index.data, index.size, NULL), 0);
    close(pack_fd);
    close(index_fd);
    buf_fini(&pack);
    buf_fini(&index);
}

static void setup(void)
{
    char path[HASH_ID_TEXT + 8];
    char id[HASH_ID_TEXT];
    test_dir_make(folder);
    arena_init(&arena);
    blobs_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(mkdirat(blobs_fd, "pack", 0700), 0);
    ck_assert_int_eq(mkdirat(blobs_fd, "at", 0700), 0);
    files = doc_new(&arena);
    doc_set_list(files);
    for (int i = 0; i < N; i++) {
        struct doc *file = doc_push(files, &arena);
        hash_bytes(texts[i], strlen(texts[i]), id);
        doc_set_map(file);
        doc_put_str(file, &arena, "path", arena_printf(&arena, "f%d", i));
        doc_put_int(file, &arena, "bytes", (int64_t)strlen(texts[i]));
        doc_put_str(file, &arena, "id", id);
    }
    ck_assert_int_eq(mkdirat(blobs_fd, arena_strndup(&arena, id, 2), 0700), 0);
    (void)snprintf(path, sizeof path, "%.2s/%s", id, id);
    int fd = openat(blobs_fd, path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(file_write_all(fd, texts[LOOSE], strlen(texts[LOOSE]), NULL), 0);
    close(fd);
}

static void teardown(void)
{
    close(blobs_fd);
    arena_fini(&arena);
    test_dir_remove(folder);
}

static void check_all(void)
{
    struct buf out;
    struct err err = {0};
    buf_init(&out);
    for (int i = 0; i < N; i++) {
        int rc = source_read_blob(opened, doc_at(files, (size_t)i), 100, &out, &err);
        ck_assert_msg(rc == 0, "file %d: %s", i, err.text);
        ck_assert_str_eq(out.data, texts[i]);
    }
    buf_fini(&out);
}

START_TEST(packed_files_are_read)
{
    const struct source_store store = {.blobs_fd = blobs_fd, .dataset = "d", .files = files};
    struct source source;
    struct err err = {0};
    write_packs("00112233445566778899aabbccddeeff", 0);
    ck_assert_int_eq(source_open(&source, &want, &store, &arena, &err), 0);
    check_all();
    ck_assert_int_eq(unlinkat(blobs_fd, "pack/00112233445566778899aabbccddeeff", 0), 0);
    write_packs("ffeeddccbbaa99887766554433221100", 5);
    check_all();
    source_close(&source);
}
END_TEST

START_TEST(too_large_and_gone)
{
    const struct source_store store = {.blobs_fd = blobs_fd, .dataset = "d", .files = files};
    struct source source;
    struct err err = {0};
    struct buf out;
    buf_init(&out);
    write_packs("00112233445566778899aabbccddeeff", 0);
    ck_assert_int_eq(source_open(&source, &want, &store, &arena, &err), 0);
    ck_assert_int_eq(source_read_blob(opened, doc_at(files, 2), 12, &out, &err), ERR_LIMIT);
    ck_assert_int_eq(
        truncate(arena_printf(&arena, "%s/pack/00112233445566778899aabbccddeeff", folder), 7), 0);
    ck_assert_int_eq(source_read_blob(opened, doc_at(files, 2), 100, &out, &err), ERR_CORRUPT);
    ck_assert_int_eq(unlinkat(blobs_fd, "pack/00112233445566778899aabbccddeeff", 0), 0);
    ck_assert_int_eq(source_read_blob(opened, doc_at(files, 2), 100, &out, &err), ERR_NOT_FOUND);
    buf_fini(&out);
    source_close(&source);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("packs");
    TCase *tcase = tcase_create("packs");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, packed_files_are_read);
    tcase_add_test(tcase, too_large_and_gone);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
