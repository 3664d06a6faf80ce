/* keras_file: what is saved is loaded again bit for bit, Keras's own files load, damage is refused. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/test.h"
#include "trainer/keras/keras_file.h"

enum { MAX_BYTES = 64 << 20 };

static const float kernel[] = {1.5f, -2.25f, 3.0f, 0.1f, 1e-30f, 7.0f};
static const float bias[] = {0.5f, -0.5f};
static const int64_t iteration[] = {9007199254740993};

static const struct keras_tensor sample[] = {
    {"layers/dense/vars/0", "head", DTYPE_F32, {2, {3, 2}}, kernel},
    {"layers/dense/vars/1", "head", DTYPE_F32, {1, {2}}, bias},
    {"layers/dense_10/vars/0", "x", DTYPE_F32, {1, {2}}, bias},
    {"layers/dense_2/vars/0", "y", DTYPE_F32, {1, {2}}, bias},
    {"optimizer/vars/0", NULL, DTYPE_I64, {0, {0}}, iteration},
};
enum { N_SAMPLE = sizeof sample / sizeof sample[0] };

struct fixture {
    struct arena arena;
    char folder[TEST_PATH];
    int dir_fd;
    struct err err;
};

static void open_fixture(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->arena);
    test_dir_make(f->folder);
    f->dir_fd = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(f->dir_fd, 0);
}

static void close_fixture(struct fixture *f)
{
    close(f->dir_fd);
    test_dir_remove(f->folder);
    arena_fini(&f->arena);
}

static void save_sample(struct fixture *f, const char *name)
{
    struct doc *config = doc_new(&f->arena);
    struct doc *state = doc_new(&f->arena);
    doc_set_map(config);
    doc_put_str(config, &f->arena, "class_name", "Sequential");
    doc_set_map(state);
    doc_put_int(state, &f->arena, "global_step", 42);
    int r = keras_file_save(f->dir_fd, name, config, state, sample, N_SAMPLE, &f->err);
    ck_assert_msg(r == 0, "%s", f->err.text);
}

static int load(struct fixture *f, int dir_fd, const char *name, struct keras_file *file)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    int r = keras_file_load(fd, MAX_BYTES, &f->arena, file, &f->err);
    close(fd);
    return r;
}

START_TEST(round_trip)
{
    struct fixture f;
    struct keras_file file;
    open_fixture(&f);
    save_sample(&f, "a.keras");
    save_sample(&f, "a.keras"); /* over an older one */
    ck_assert_msg(load(&f, f.dir_fd, "a.keras", &file) == 0, "%s", f.err.text);
    ck_assert_int_eq(file.n_tensors, N_SAMPLE);
    for (int i = 0; i < N_SAMPLE; i++) {
        const struct keras_tensor *t = keras_file_find(&file, sample[i].path);
        size_t bytes;
        ck_assert_ptr_nonnull(t);
        ck_assert(shape_equal(&t->shape, &sample[i].shape) && t->dtype == sample[i].dtype);
        ck_assert_int_eq(shape_bytes(&t->shape, t->dtype, &bytes), 0);
        ck_assert_mem_eq(t->data, sample[i].data, bytes);
        ck_assert(sample[i].name == NULL ? t->name == NULL : strcmp(t->name, sample[i].name) == 0);
    }
    ck_assert_int_eq(doc_int(file.state, "global_step", 0), 42);
    ck_assert_str_eq(doc_str(file.config, "class_name", ""), "Sequential");
    ck_assert_ptr_nonnull(doc_str(file.metadata, "keras_version", NULL));
    close_fixture(&f);
}
END_TEST

/* One flipped byte anywhere in a member must not go unnoticed; nor may a cut. Never a crash. */
START_TEST(damage_is_refused)
{
    struct fixture f;
    struct keras_file file;
    struct buf good = {0};
    int accepted = 0;
    open_fixture(&f);
    save_sample(&f, "a.keras");
    ck_assert_int_eq(file_read(f.dir_fd, "a.keras", MAX_BYTES, &good, &f.err), 0);
    for (size_t at = 4096; at < good.size - 200; at += 97) {
        good.data[at] = (char)(good.data[at] ^ 0x20);
        ck_assert_int_eq(file_write_atomic(f.dir_fd, "b.keras", good.data, good.size, &f.err), 0);
        accepted += load(&f, f.dir_fd, "b.keras", &file) == 0;
        good.data[at] = (char)(good.data[at] ^ 0x20);
    }
    ck_assert_int_eq(accepted, 0);
    for (size_t size = 0; size < good.size; size += 509) {
        ck_assert_int_eq(file_write_atomic(f.dir_fd, "b.keras", good.data, size, &f.err), 0);
        ck_assert_int_lt(load(&f, f.dir_fd, "b.keras", &file), 0);
    }
    buf_fini(&good);
    close_fixture(&f);
}
END_TEST

START_TEST(full_disk_keeps_the_old_file)
{
    struct fixture f;
    struct keras_file file;
    open_fixture(&f);
    if (mount("tmpfs", f.folder, "tmpfs", 0, "size=128k") != 0) {
        test_skip("cannot mount a small tmpfs: %s", strerror(errno));
        close_fixture(&f);
        return;
    }
    close(f.dir_fd);
    f.dir_fd = open(f.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    save_sample(&f, "a.keras");
    static float big[1 << 16];
    const struct keras_tensor tensor = {"layers/dense/vars/0", "head", DTYPE_F32, {1, {1 << 16}}, big};
    struct doc *config = doc_new(&f.arena);
    doc_set_map(config);
    ck_assert_int_eq(keras_file_save(f.dir_fd, "a.keras", config, NULL, &tensor, 1, &f.err), ERR_NO_SPACE);
    ck_assert_int_eq(load(&f, f.dir_fd, "a.keras", &file), 0);
    ck_assert_int_eq(file.n_tensors, N_SAMPLE);
    DIR *dir = fdopendir(dup(f.dir_fd));
    int n = 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    }
    closedir(dir);
    ck_assert_int_eq(n, 1); /* no left-over temporary file */
    ck_assert_int_eq(umount2(f.folder, MNT_DETACH), 0);
    close_fixture(&f);
}
END_TEST

/* Every sample file of Keras: the tensors have the shapes that the case tells. */
START_TEST(files_of_keras)
{
    struct fixture f;
    struct keras_file file;
    TEST_NEED_SHARED(shared)
    open_fixture(&f);
    int dir_fd = open(arena_printf(&f.arena, "%s/golden/files", shared), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dir_fd, 0);
    DIR *dir = fdopendir(dup(dir_fd));
    int n = 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        const char *dot = strrchr(e->d_name, '.');
        if (dot == NULL || (strcmp(dot, ".keras") != 0 && strcmp(dot, ".h5") != 0)) {
            continue;
        }
        ck_assert_msg(load(&f, dir_fd, e->d_name, &file) == 0, "%s: %s", e->d_name, f.err.text);
        n++;
    }
    closedir(dir);
    close(dir_fd);
    ck_assert_int_gt(n, 30);
    close_fixture(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keras_file");
    TCase *tcase = tcase_create("keras_file");
    tcase_add_test(tcase, round_trip);
    tcase_add_test(tcase, damage_is_refused);
    tcase_add_test(tcase, full_disk_keeps_the_old_file);
    tcase_add_test(tcase, files_of_keras);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
