/* Rows in kept files: what comes back is what was written, or nothing. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "pipeline/kept_rows.h"
#include "tests/test.h"

enum { ROWS = 24, SIDE_MAX = 9, TEXTS = 3 };

static char dir[TEST_PATH];
static struct kept kept;

static void setup(void)
{
    test_dir_make(dir);
    kept = (struct kept){.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    ck_assert_int_ge(kept.fd, 0);
}

static void teardown(void)
{
    close(kept.fd);
    test_dir_remove(dir);
}

static void id_of(const char *what, char ret[HASH_ID_TEXT])
{
    const struct doc of = {.type = DOC_NULL};
    kept_id(what, 1, &of, ret);
}

/* ---- elements that are made of their number alone ---- */

struct made {
    struct element element;
    unsigned char picture[SIDE_MAX * SIDE_MAX * 3], mask[SIDE_MAX * SIDE_MAX];
    float boxes[SIDE_MAX * 4];
    int64_t label;
    uint8_t flag;
    struct tensor_text texts[TEXTS];
    char text[TEXTS][32];
};

static const struct element_spec fixed_spec = {
    .n = 3,
    .fields = {{"x", ELEMENT_IMAGE, {DTYPE_U8, {3, {SIDE_MAX, SIDE_MAX, 3}}}, false},
               {"y", ELEMENT_LABEL, {DTYPE_I64, {0, {0}}}, false},
               {"flag", ELEMENT_NUMERIC, {DTYPE_BOOL, {0, {0}}}, false}}};
static const struct element_spec varying_spec = {
    .n = 6,
    .fields = {{"x", ELEMENT_IMAGE, {DTYPE_U8, {3, {2, 2, 3}}}, true},
               {"y", ELEMENT_LABEL, {DTYPE_I64, {0, {0}}}, false},
               {"flag", ELEMENT_NUMERIC, {DTYPE_BOOL, {0, {0}}}, false},
               {"mask", ELEMENT_MASK, {DTYPE_U8, {3, {2, 2, 1}}}, true},
               {"boxes", ELEMENT_BOXES, {DTYPE_F32, {2, {-1, 4}}}, false},
               {"words", ELEMENT_TEXT, {DTYPE_STR, {1, {-1}}}, false}}};

static void fill(unsigned char *v, size_t n, int64_t variant, int64_t row)
{
    for (size_t i = 0; i < n; i++) {
        v[i] = (unsigned char)(i * 31 + (size_t)row * 7 + (size_t)variant * 101 + 1);
    }
}

static void make(struct made *m, const struct element_spec *spec, int64_t variant, int64_t row)
{
    const bool is_fixed = spec == &fixed_spec;
    const int64_t h = is_fixed ? SIDE_MAX : row % SIDE_MAX + 1;
    const int64_t w = is_fixed ? SIDE_MAX : (row + variant) % 5 + 1, n = row % TEXTS;
    *m = (struct made){.label = row * 3 + variant, .flag = (uint8_t)(row & 1)};
    fill(m->picture, sizeof m->picture, variant, row);
    fill(m->mask, sizeof m->mask, variant, row + 1);
    for (int64_t i = 0; i < h * 4; i++) {
        m->boxes[i] = (float)(row + i) / 7;
    }
    for (int i = 0; i < n; i++) {
        const int size = snprintf(m->text[i], sizeof m->text[i], "Wört %lld/%d", (long long)row, i);
        m->texts[i] = (struct tensor_text){m->text[i], i > 0 ? (size_t)size : 0};
    }
    m->element = (struct element){.sample = row,
                                  .fields = {{DTYPE_U8, {3, {h, w, 3}}, m->picture},
                                             {DTYPE_I64, {0, {0}}, &m->label},
                                             {DTYPE_BOOL, {0, {0}}, &m->flag},
                                             {DTYPE_U8, {3, {h, w, 1}}, m->mask},
                                             {DTYPE_F32, {2, {row % SIDE_MAX, 4}}, m->boxes},
                                             {DTYPE_STR, {1, {n}}, m->texts}}};
}

static bool are_equal(const struct tensor *a, const struct tensor *b)
{
    int64_t n = 0;
    if (a->dtype != b->dtype || !shape_equal(&a->shape, &b->shape) ||
        shape_count(&a->shape, &n) < 0) {
        return false;
    }
    const struct tensor_text *s = a->data, *t = b->data;
    for (int64_t i = 0; a->dtype == DTYPE_STR && i < n; i++) {
        if (s[i].n != t[i].n || memcmp(s[i].text, t[i].text, s[i].n) != 0) {
            return false;
        }
    }
    return a->dtype == DTYPE_STR || n == 0 ||
           memcmp(a->data, b->data, (size_t)n * dtype_bytes(a->dtype)) == 0;
}

static bool is_element(const struct element *got, const struct element_spec *spec, int64_t variant,
                       int64_t row)
{
    struct made wanted;
    bool is_same = true;
    make(&wanted, spec, variant, row);
    for (int i = 0; i < spec->n; i++) {
        is_same = is_same && are_equal(&got->fields[i], &wanted.element.fields[i]);
    }
    return is_same;
}

static const struct element_spec *const specs[] = {&fixed_spec, &varying_spec};

static void open_rows(struct kept_rows *rows, const struct element_spec *spec)
{
    char id[HASH_ID_TEXT];
    id_of(spec == &fixed_spec ? "fixed" : "varying", id);
    ck_assert_int_eq(kept_rows_open(rows, &kept, id, spec, ROWS, NULL), 0);
}

static void write_row(struct kept_rows *rows, const struct element_spec *spec, int64_t variant,
                      int64_t row)
{
    struct made m;
    make(&m, spec, variant, row);
    kept_rows_write(rows, variant, row, &m.element);
}

START_TEST(test_there_and_back)
{
    const struct element_spec *spec = specs[_i];
    struct kept_rows a, b;
    struct element got;
    open_rows(&a, spec);
    open_rows(&b, spec);
    for (int64_t i = 0; i < ROWS; i++) { /* two writers, rows in turns; the first one also half of
                                            what the second writes */
        ck_assert(!kept_rows_read(&a, i & 1, i, &got));
        write_row(i % 2 == 0 ? &a : &b, spec, i & 1, i);
        if (i % 4 == 1) {
            write_row(&a, spec, i & 1, i);
        }
    }
    ck_assert_int_eq(a.n_made + b.n_made, ROWS + ROWS / 4);
    kept_rows_close(&b);
    open_rows(&b, spec);
    for (int64_t i = 0; i < ROWS; i++) {
        ck_assert(kept_rows_read(&a, i & 1, i, &got) && is_element(&got, spec, i & 1, i));
        ck_assert(kept_rows_read(&b, i & 1, i, &got) && is_element(&got, spec, i & 1, i));
        ck_assert(!kept_rows_read(&b, (i & 1) ^ 1, i, &got));
    }
    ck_assert_int_eq(b.n_found, ROWS);
    ck_assert_int_eq(b.n_missed, ROWS);
    ck_assert_int_eq(a.n_damaged + b.n_damaged, 0);
    kept_rows_close(&a);
    kept_rows_close(&b);
}
END_TEST

/* Every byte of every file, one after the other: what is read then is the element or nothing. With
 * the checksum off this fails. */
static void flip(const char *name, int64_t at)
{
    unsigned char byte;
    const int fd = openat(kept.fd, name, O_RDWR);
    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static int64_t count_good(const struct element_spec *spec, int64_t *ret_damaged)
{
    struct kept_rows rows;
    int64_t n = 0;
    open_rows(&rows, spec);
    for (int64_t i = 0; i < ROWS; i++) {
        struct element got;
        if (kept_rows_read(&rows, 0, i, &got)) {
            ck_assert_msg(is_element(&got, spec, 0, i), "row %lld is wrong", (long long)i);
            n++;
        }
    }
    *ret_damaged = rows.n_damaged;
    kept_rows_close(&rows);
    return n;
}

static int64_t list_files(char names[][HASH_ID_TEXT], int64_t max)
{
    int64_t n = 0;
    DIR *list = opendir(dir);
    ck_assert_ptr_nonnull(list);
    for (const struct dirent *e = readdir(list); e != NULL; e = readdir(list)) {
        if (e->d_name[0] != '.') {
            ck_assert_int_lt(n, max);
            (void)snprintf(names[n++], HASH_ID_TEXT, "%.64s", e->d_name);
        }
    }
    closedir(list);
    return n;
}

START_TEST(test_damage)
{
    const struct element_spec *spec = specs[_i];
    char names[8][HASH_ID_TEXT];
    struct kept_rows rows;
    int64_t damaged = 0, all = 0;
    open_rows(&rows, spec);
    for (int64_t i = 0; i < ROWS; i++) {
        write_row(&rows, spec, 0, i);
    }
    kept_rows_close(&rows);
    const int64_t n = list_files(names, 8);
    ck_assert_int_eq(n, spec == &fixed_spec ? 1 : 2);
    for (int64_t f = 0; f < n; f++) {
        for (int64_t at = KEPT_HEADER_BYTES; at < KEPT_HEADER_BYTES + 3000; at += 5) {
            struct stat st;
            ck_assert_int_eq(fstatat(kept.fd, names[f], &st, 0), 0);
            if (at >= st.st_size) {
                break;
            }
            flip(names[f], at);
            ck_assert_int_ge(count_good(spec, &damaged), ROWS - 1);
            all += damaged;
            flip(names[f], at);
        }
    }
    ck_assert_int_eq(count_good(spec, &damaged), ROWS);
    ck_assert_int_eq(damaged, 0);
    ck_assert_int_gt(all, 100);
}
END_TEST

/* Killed in the middle of writing, again and again: what it wrote is whole or not there. */
START_TEST(test_killed)
{
    const struct element_spec *spec = specs[_i];
    for (int round = 0; round < 20; round++) {
        const pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            struct kept_rows rows;
            open_rows(&rows, spec);
            for (int64_t i = 0;; i++) {
                write_row(&rows, spec, 0, (i * 7 + round) % ROWS);
            }
        }
        int64_t damaged;
        (void)count_good(spec, &damaged); /* while it writes */
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        (void)count_good(spec, &damaged);
    }
    struct kept_rows rows;
    int64_t damaged;
    open_rows(&rows, spec);
    for (int64_t i = 0; i < ROWS; i++) {
        write_row(&rows, spec, 0, i);
    }
    kept_rows_close(&rows);
    ck_assert_int_eq(count_good(spec, &damaged), ROWS);
    ck_assert_int_eq(damaged, 0);
}
END_TEST

/* kept_bytes: the rows that fit are stored, the others are not, and nothing goes wrong. */
START_TEST(test_quota)
{
    const struct element_spec *spec = specs[_i];
    struct kept_rows rows;
    struct element got;
    int64_t n = 0;
    open_rows(&rows, spec);
    const int64_t stride = (int64_t)rows.stride;
    kept_rows_close(&rows);
    kept.max_bytes = spec == &fixed_spec ? 10 * stride + KEPT_HEADER_BYTES : 4096;
    for (int round = 0; round < 2; round++) {
        open_rows(&rows, spec);
        for (int64_t v = 0; v < 2; v++) {
            for (int64_t i = 0; i < ROWS; i++) {
                if (kept_rows_read(&rows, v, i, &got)) {
                    ck_assert(is_element(&got, spec, v, i));
                    n += round;
                } else {
                    write_row(&rows, spec, v, i);
                }
            }
        }
        ck_assert(!rows.is_full);
        kept_rows_close(&rows);
    }
    ck_assert_msg(spec == &fixed_spec ? n == 10 : n > 2 && n < ROWS, "%lld rows", (long long)n);
}
END_TEST

/* A full disk: what is there is read, no more is written. */
enum { NO_MOUNT = 77 };

static void fill_disk(void *arg)
{
    const struct element_spec *spec = arg;
    struct kept_rows rows;
    struct element got;
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", dir, "tmpfs", 0, "size=8k") < 0) {
        _exit(NO_MOUNT);
    }
    kept.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_rows(&rows, spec);
    for (int64_t v = 0; v < 3; v++) {
        for (int64_t i = 0; i < ROWS; i++) {
            write_row(&rows, spec, v, i);
        }
    }
    if (!rows.is_full || rows.why.code != ERR_NO_SPACE) {
        _exit(10);
    }
    for (int64_t v = 0; v < 3; v++) {
        for (int64_t i = 0; i < ROWS; i++) {
            if (kept_rows_read(&rows, v, i, &got) && !is_element(&got, spec, v, i)) {
                _exit(11);
            }
        }
    }
    /* One variant of the fixed ones is 6.5 kB; the first file of the others has a megabyte. */
    if (rows.n_found != (spec == &fixed_spec ? ROWS : 0)) {
        _exit(12);
    }
    kept_rows_close(&rows);
}

START_TEST(test_full_disk)
{
    int r = test_in_child(fill_disk, (void *)(uintptr_t)specs[_i]);
    if (r == NO_MOUNT) {
        test_skip("no right to mount a small tmpfs");
        return;
    }
    ck_assert_int_eq(r, 0);
}
END_TEST

/* Nowhere to store: the same without a folder. */
START_TEST(test_nowhere)
{
    struct kept_rows rows;
    struct element got;
    char id[HASH_ID_TEXT];
    id_of("nowhere", id);
    ck_assert_int_eq(kept_rows_open(&rows, NULL, id, specs[_i], ROWS, NULL), 0);
    write_row(&rows, specs[_i], 0, 0);
    ck_assert(!kept_rows_read(&rows, 0, 0, &got));
    kept_rows_close(&rows);
}
END_TEST

/* A file that was evicted is made anew, while others have it open. */
START_TEST(test_evicted)
{
    const struct element_spec *spec = specs[_i];
    char names[8][HASH_ID_TEXT];
    struct kept_rows a, b;
    struct element got;
    open_rows(&a, spec);
    write_row(&a, spec, 0, 1);
    const int64_t n = list_files(names, 8);
    for (int64_t i = 0; i < n; i++) {
        kept_remove(&kept, names[i]);
    }
    open_rows(&b, spec);
    ck_assert(!kept_rows_read(&b, 0, 1, &got));
    /* Of two files one may have been closed for the other: then it is gone for this one too. */
    const bool is_there = kept_rows_read(&a, 0, 1, &got);
    ck_assert(is_there ? is_element(&got, spec, 0, 1) : spec == &varying_spec);
    write_row(&b, spec, 0, 1);
    ck_assert(kept_rows_read(&b, 0, 1, &got) && is_element(&got, spec, 0, 1));
    kept_rows_close(&a);
    kept_rows_close(&b);
}
END_TEST

/* More files than are open at once. */
START_TEST(test_many_files)
{
    const struct element_spec *spec = specs[_i];
    struct kept_rows rows;
    open_rows(&rows, spec);
    for (int64_t v = 0; v < 3 * (int64_t)KEPT_ROWS_OPEN; v++) {
        write_row(&rows, spec, v, v % ROWS);
    }
    for (int64_t v = 0; v < 3 * (int64_t)KEPT_ROWS_OPEN; v++) {
        struct element got;
        ck_assert(kept_rows_read(&rows, v, v % ROWS, &got) && is_element(&got, spec, v, v % ROWS));
    }
    ck_assert_int_eq(rows.n_damaged, 0);
    kept_rows_close(&rows);
}
END_TEST

/* Bytes from elsewhere: an element of the spec, or an error. */
START_TEST(test_hostile)
{
    const struct element_spec *spec = &varying_spec;
    struct element_pack pack;
    struct buf bytes = {0};
    struct rng rng;
    int64_t refused = 0;
    ck_assert_int_eq(element_pack_init(&pack, spec, NULL), 0);
    rng_init(&rng, 7, 1, 0, 0);
    for (int i = 0; i < 20000; i++) {
        struct made m;
        struct element got;
        make(&m, spec, 0, i % ROWS);
        buf_clear(&bytes);
        ck_assert_int_eq(element_pack(&pack, &m.element, &bytes, NULL), 0);
        ck_assert_int_eq(bytes.size % 8, 0);
        void *copy = malloc(bytes.size + 1);
        const int changes = (int)(rng_u32(&rng) % 4);
        for (int k = 0; k < changes; k++) {
            bytes.data[rng_u32(&rng) % bytes.size] = (char)rng_u32(&rng);
        }
        const size_t size = changes == 3 ? rng_u32(&rng) % bytes.size : bytes.size;
        memcpy(copy, bytes.data, size);
        int rc = element_unpack(&pack, copy, size, &got, NULL);
        ck_assert(rc == 0 || rc == ERR_CORRUPT);
        ck_assert(changes > 0 || (rc == 0 && is_element(&got, spec, 0, i % ROWS)));
        refused += rc < 0;
        for (int f = 0; f < spec->n && rc == 0; f++) { /* all of it can be read */
            struct made other;
            make(&other, spec, 0, 0);
            (void)are_equal(&got.fields[f], &got.fields[f]);
            ck_assert(got.fields[f].shape.rank == other.element.fields[f].shape.rank);
        }
        free(copy);
    }
    ck_assert_int_gt(refused, 4000);
    element_pack_fini(&pack);
    buf_fini(&bytes);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("kept_rows");
    TCase *tcase = tcase_create("kept_rows");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_there_and_back, 0, 2);
    tcase_add_loop_test(tcase, test_damage, 0, 2);
    tcase_add_loop_test(tcase, test_killed, 0, 2);
    tcase_add_loop_test(tcase, test_quota, 0, 2);
    tcase_add_loop_test(tcase, test_full_disk, 0, 2);
    tcase_add_loop_test(tcase, test_nowhere, 0, 2);
    tcase_add_loop_test(tcase, test_evicted, 0, 2);
    tcase_add_loop_test(tcase, test_many_files, 0, 2);
    tcase_add_test(tcase, test_hostile);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
