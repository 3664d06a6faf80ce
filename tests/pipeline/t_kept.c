/* Kept files: whole or not there, whatever tears, changes or renames them, and with many writers at
 * once. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/kept.h"
#include "tests/test.h"

enum { MANY = 3 << 20, WRITERS = 6, ROUNDS = 40, ROW = 1024, ROWS = 300 };

static char folder[TEST_PATH];
static struct kept kept;

static void begin(void)
{
    test_dir_make(folder);
    kept = (struct kept){.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    ck_assert_int_ge(kept.fd, 0);
}

static void end(void)
{
    close(kept.fd);
    test_dir_remove(folder);
}

static void id_of(const char *text, char id[HASH_ID_TEXT])
{
    const struct doc of = {.type = DOC_STR, .str = text, .n = strlen(text)};
    kept_id("test", 1, &of, id);
}

static void fill(unsigned char *bytes, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (unsigned char)((i * 2654435761U + seed) >> 13);
    }
}

START_TEST(ids_differ_by_what_version_and_of)
{
    const struct doc a = {.type = DOC_STR, .str = "a", .n = 1},
                     b = {.type = DOC_STR, .str = "b", .n = 1};
    char first[HASH_ID_TEXT], other[HASH_ID_TEXT];
    kept_id("table", 1, &a, first);
    kept_id("table", 1, &a, other);
    ck_assert_str_eq(first, other);
    kept_id("table", 2, &a, other);
    ck_assert_str_ne(first, other);
    kept_id("index", 1, &a, other);
    ck_assert_str_ne(first, other);
    kept_id("table", 1, &b, other);
    ck_assert_str_ne(first, other);
}
END_TEST

static const size_t sizes[] = {0, 1, 63, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, MANY};

START_TEST(what_is_put_is_read)
{
    char id[HASH_ID_TEXT];
    const size_t size = sizes[_i];
    unsigned char *bytes = malloc(size + 1);
    void *data = NULL;
    size_t n = 7;
    begin();
    id_of("x", id);
    fill(bytes, size, 3);
    ck_assert_int_eq(kept_read(&kept, id, MANY, &data, &n), ERR_NOT_FOUND);
    ck_assert(!kept_has(&kept, id));
    ck_assert_int_eq(kept_put(&kept, id, bytes, size, NULL), 0);
    ck_assert(kept_has(&kept, id));
    ck_assert_int_eq(kept_read(&kept, id, MANY, &data, &n), 0);
    ck_assert_uint_eq(n, size);
    ck_assert_mem_eq(data, bytes, size);
    ck_assert_int_eq(kept.n_missed, 1);
    ck_assert_int_eq(kept.n_made, 1);
    ck_assert_int_eq(kept.n_found, 1);
    free(data);
    free(bytes);
    end();
}
END_TEST

START_TEST(without_a_folder_nothing_is_kept)
{
    char id[HASH_ID_TEXT];
    void *data = NULL;
    size_t n = 0;
    int fd = -1;
    struct err err = {0};
    id_of("x", id);
    ck_assert_int_eq(kept_read(NULL, id, MANY, &data, &n), ERR_NOT_FOUND);
    ck_assert_int_eq(kept_put(NULL, id, "x", 1, &err), ERR_UNSUPPORTED);
    ck_assert_int_eq(kept_shared(NULL, id, 1, &fd, &err), ERR_UNSUPPORTED);
    ck_assert(!kept_has(NULL, id));
}
END_TEST

/* What a power cut, a bad disk or another program makes of a file. */
enum damage {
    FLIP_MAGIC,
    FLIP_FORM,
    FLIP_LENGTH,
    FLIP_CHECKSUM,
    FLIP_FIRST,
    FLIP_LAST,
    CUT,
    CUT_ALL,
    GROW,
    ZERO_END,
    OTHER_NAME,
    A_FOLDER,
    A_LINK,
    DAMAGE_MAX
};
enum { SIZE = 70000 };

static void flip(const char *path, off_t at)
{
    char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ 4);
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void zero_end(const char *path)
{
    ck_assert_int_eq(truncate(path, KEPT_HEADER_BYTES + SIZE - 4096), 0);
    ck_assert_int_eq(truncate(path, KEPT_HEADER_BYTES + SIZE), 0);
}

static void damage(enum damage how, const char *path)
{
    static const off_t places[] = {
        [FLIP_MAGIC] = 0,     [FLIP_FORM] = 8,   [FLIP_LENGTH] = 16,
        [FLIP_CHECKSUM] = 24, [FLIP_FIRST] = 64, [FLIP_LAST] = 64 + SIZE - 1};
    char other[TEST_PATH], id[HASH_ID_TEXT];
    switch (how) {
    case FLIP_MAGIC:
    case FLIP_FORM:
    case FLIP_LENGTH:
    case FLIP_CHECKSUM:
    case FLIP_FIRST:
    case FLIP_LAST: flip(path, places[how]); break;
    case CUT: ck_assert_int_eq(truncate(path, 30000), 0); break;
    case CUT_ALL: ck_assert_int_eq(truncate(path, 0), 0); break;
    case GROW: ck_assert_int_eq(truncate(path, KEPT_HEADER_BYTES + SIZE + 1), 0); break;
    case ZERO_END: zero_end(path); break;
    case OTHER_NAME:
        id_of("other", id);
        ck_assert_int_eq(kept_put(&kept, id, "x", 1, NULL), 0);
        test_path(other, "%s/%s", folder, id);
        ck_assert_int_eq(rename(other, path), 0);
        break;
    case A_FOLDER:
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        break;
    case A_LINK:
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(symlink("/etc/passwd", path), 0);
        break;
    case DAMAGE_MAX: break;
    }
}

START_TEST(damage_is_noticed_and_made_anew)
{
    static unsigned char bytes[SIZE];
    char id[HASH_ID_TEXT], path[TEST_PATH];
    void *data = NULL;
    size_t n = 0;
    begin();
    id_of("x", id);
    test_path(path, "%s/%s", folder, id);
    fill(bytes, SIZE, 1);
    ck_assert_int_eq(kept_put(&kept, id, bytes, SIZE, NULL), 0);
    damage((enum damage)_i, path);
    ck_assert_int_eq(kept_read(&kept, id, MANY, &data, &n), ERR_NOT_FOUND);
    if (_i != A_FOLDER) {
        ck_assert_int_eq(kept_put(&kept, id, bytes, SIZE, NULL), 0);
        ck_assert_int_eq(kept_read(&kept, id, MANY, &data, &n), 0);
        ck_assert_mem_eq(data, bytes, SIZE);
        free(data);
    }
    end();
}
END_TEST

/* The negative control: it is the checksum that notices. With the checksum of the changed bytes in
 * its place they are believed. */
START_TEST(a_right_checksum_is_believed)
{
    unsigned char bytes[100];
    char id[HASH_ID_TEXT], path[TEST_PATH];
    uint64_t checksum;
    void *data = NULL;
    size_t n = 0;
    begin();
    id_of("x", id);
    test_path(path, "%s/%s", folder, id);
    fill(bytes, sizeof bytes, 1);
    ck_assert_int_eq(kept_put(&kept, id, bytes, sizeof bytes, NULL), 0);
    flip(path, KEPT_HEADER_BYTES);
    bytes[0] ^= 4;
    checksum = hash_fast(bytes, sizeof bytes, hash_fast(id, HASH_ID_TEXT - 1, 1));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, &checksum, sizeof checksum, 24), sizeof checksum);
    close(fd);
    ck_assert_int_eq(kept_read(&kept, id, MANY, &data, &n), 0);
    ck_assert_mem_eq(data, bytes, sizeof bytes);
    free(data);
    end();
}
END_TEST

START_TEST(limits)
{
    char id[HASH_ID_TEXT];
    void *data = NULL;
    size_t n = 0;
    int fd = -1;
    struct err err = {0};
    static const char bytes[1000];
    begin();
    id_of("x", id);
    ck_assert_int_eq(kept_put(&kept, id, bytes, sizeof bytes, NULL), 0);
    ck_assert_int_eq(kept_read(&kept, id, sizeof bytes - 1, &data, &n), ERR_NOT_FOUND);
    kept.max_bytes = KEPT_HEADER_BYTES + 999;
    ck_assert_int_eq(kept_put(&kept, id, bytes, sizeof bytes, &err), ERR_LIMIT);
    ck_assert_int_eq(kept_shared(&kept, id, 1000, &fd, &err), ERR_LIMIT);
    ck_assert_int_eq(kept_put(&kept, id, bytes, 999, &err), 0);
    end();
}
END_TEST

/* ---- many at once --------------------------------------------------------------------------- */

static void read_or_put(unsigned who, const unsigned char *bytes)
{
    char id[HASH_ID_TEXT], text[16];
    for (unsigned i = 0; i < ROUNDS; i++) {
        void *data = NULL;
        size_t n = 0;
        (void)snprintf(text, sizeof text, "%u", (i + who) % 5);
        id_of(text, id);
        if (kept_read(&kept, id, MANY, &data, &n) == 0) {
            if (n != SIZE || memcmp(data, bytes, SIZE) != 0) {
                _exit(2);
            }
            free(data);
        } else if (kept_put(&kept, id, bytes, SIZE, NULL) < 0) {
            _exit(3);
        }
        if ((i + who) % 7 == 0) {
            kept_remove(&kept, id);
        }
    }
    _exit(kept.n_damaged == 0 ? 0 : 4);
}

START_TEST(readers_beside_writers_see_whole_files)
{
    static unsigned char bytes[SIZE];
    pid_t pids[WRITERS];
    begin();
    fill(bytes, SIZE, 9);
    for (unsigned i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            read_or_put(i, bytes);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = -1;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_int_eq(status, 0);
    }
    end();
}
END_TEST

static void row_of(unsigned row, unsigned char bytes[ROW])
{
    fill(bytes, ROW, row);
}

static void write_rows(unsigned who, const char *id)
{
    unsigned char bytes[ROW];
    int fd = -1;
    if (kept_shared(&kept, id, (int64_t)ROW * ROWS, &fd, NULL) < 0) {
        _exit(2);
    }
    for (unsigned row = who; row < ROWS; row += WRITERS) {
        row_of(row, bytes);
        if (kept_shared_write(fd, (int64_t)ROW * row, bytes, ROW, NULL) < 0) {
            _exit(3);
        }
    }
    _exit(kept.n_damaged == 0 ? 0 : 4);
}

START_TEST(all_write_into_one_shared_file)
{
    unsigned char bytes[ROW], wanted[ROW];
    char id[HASH_ID_TEXT];
    pid_t pids[WRITERS];
    int fd = -1;
    begin();
    id_of("rows", id);
    for (unsigned i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            write_rows(i, id);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = -1;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(kept_shared(&kept, id, (int64_t)ROW * ROWS, &fd, NULL), 0);
    for (unsigned row = 0; row < ROWS; row++) {
        row_of(row, wanted);
        ck_assert_int_eq(kept_shared_read(fd, (int64_t)ROW * row, bytes, ROW, NULL), 0);
        ck_assert_mem_eq(bytes, wanted, ROW);
    }
    ck_assert_int_lt(kept_shared_read(fd, (int64_t)ROW * ROWS, bytes, 1, NULL), 0);
    close(fd);
    end();
}
END_TEST

START_TEST(a_shared_file_of_another_size_is_made_anew)
{
    unsigned char byte = 5;
    char id[HASH_ID_TEXT];
    int fd = -1;
    begin();
    id_of("rows", id);
    ck_assert_int_eq(kept_shared(&kept, id, 1000, &fd, NULL), 0);
    ck_assert_int_eq(kept_shared_write(fd, 999, &byte, 1, NULL), 0);
    close(fd);
    ck_assert_int_eq(kept_shared(&kept, id, 1000, &fd, NULL), 0);
    ck_assert_int_eq(kept_shared_read(fd, 999, &byte, 1, NULL), 0);
    ck_assert_int_eq(byte, 5);
    close(fd);
    ck_assert_int_eq(kept.n_damaged, 0);
    ck_assert_int_eq(kept_shared(&kept, id, 2000, &fd, NULL), 0);
    ck_assert_int_eq(kept_shared_read(fd, 999, &byte, 1, NULL), 0);
    ck_assert_int_eq(byte, 0);
    close(fd);
    ck_assert_int_eq(kept.n_damaged, 1);
    void *data = NULL;
    size_t n = 0;
    ck_assert_int_eq(kept_read(&kept, id, MANY, &data, &n), ERR_NOT_FOUND);
    end();
}
END_TEST

/* A claim is held by one process, and goes with it. */
START_TEST(a_claim_goes_with_its_process)
{
    char id[HASH_ID_TEXT], byte;
    int pipe_fds[2];
    begin();
    id_of("table", id);
    ck_assert_int_eq(pipe(pipe_fds), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        const int fd = kept_claims_open(&kept, id, NULL);
        if (fd >= 0 && kept_claim(fd, 7) && write(pipe_fds[1], "x", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
    const int fd = kept_claims_open(&kept, id, NULL);
    ck_assert_int_ge(fd, 0);
    ck_assert(kept_claim(fd, 6));
    ck_assert(!kept_claim(fd, 7));
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert(kept_claim(fd, 7));
    kept_unclaim(fd, 7);
    close(fd);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kept");
    TCase *tcase = tcase_create("kept");
    tcase_add_test(tcase, ids_differ_by_what_version_and_of);
    tcase_add_loop_test(tcase, what_is_put_is_read, 0, (int)(sizeof sizes / sizeof sizes[0]));
    tcase_add_test(tcase, without_a_folder_nothing_is_kept);
    tcase_add_loop_test(tcase, damage_is_noticed_and_made_anew, 0, DAMAGE_MAX);
    tcase_add_test(tcase, a_right_checksum_is_believed);
    tcase_add_test(tcase, limits);
    tcase_add_test(tcase, readers_beside_writers_see_whole_files);
    tcase_add_test(tcase, all_write_into_one_shared_file);
    tcase_add_test(tcase, a_claim_goes_with_its_process);
    tcase_add_test(tcase, a_shared_file_of_another_size_is_made_anew);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
