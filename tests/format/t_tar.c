/* Archives: what the system's tar wrote, samples, zip's opposite number is in t_npy. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/format/samples.h"
#include "tests/test.h"

static struct err err;

/* Writes files and packs them with the system's tar, in one of its forms. */
static void pack(const char *folder, const char *form)
{
    char command[TEST_PATH];
    test_path(command, "--format=%s", form);
    const pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("tar", "tar", "-C", folder, command, "-cf", "t.tar", "--exclude=t.tar",
                     "--sort=name", "in", (char *)NULL);
        _exit(127);
    }
    int status = -1;
    (void)waitpid(pid, &status, 0);
    ck_assert_int_eq(status, 0);
}

static const char *const forms[] = {"ustar", "pax", "gnu", "v7"};
enum { FILES = 40 };

/* Over 100 bytes where the form can. */
static int width_of(int form, int i)
{
    return form == 1 || form == 2 ? 20 + i * 4 : 20 + i;
}

START_TEST(test_forms)
{
    char folder[TEST_PATH], path[TEST_PATH], name[256];
    struct tar_index index = {0};
    struct input in;
    test_dir_make(folder);
    test_path(path, "%s/in", folder);
    ck_assert_int_eq(file_make_dirs(path, &err), 0);
    for (int i = 0; i < FILES; i++) {
        const int width = width_of(_i, i);
        test_path(path, "%s/in/%0*d.txt", folder, width, i);
        FILE *file = fopen(path, "w");
        for (int k = 0; k < i * 100; k++) {
            (void)fputc('a' + i % 26, file);
        }
        (void)fclose(file);
    }
    ck_assert_int_eq(chdir(folder), 0);
    pack(folder, forms[_i]);
    const int fd = open("t.tar", O_RDONLY);
    ck_assert_int_eq(input_open(&in, fd, "t.tar", &err), 0);
    ck_assert_msg(tar_index_build(&index, &in, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(index.n, FILES);
    ck_assert_uint_eq(index.n_folders, 1);
    bool seen[FILES] = {false};
    for (size_t i = 0; i < index.n; i++) {
        const int number = atoi(tar_name(&index, i) + 3);
        char c = 0;
        ck_assert(number >= 0 && number < FILES && !seen[number]);
        seen[number] = true;
        (void)snprintf(name, sizeof name, "in/%0*d.txt", width_of(_i, number), number);
        ck_assert_str_eq(tar_name(&index, i), name);
        ck_assert_int_eq(index.members[i].size, number * 100);
        if (number > 0) {
            ck_assert_int_eq(
                input_read(&in, index.members[i].offset + number * 100 - 1, &c, 1, &err), 0);
            ck_assert_int_eq(c, 'a' + number % 26);
        }
    }
    tar_index_fini(&index);
    (void)close(fd);
    test_dir_remove(folder);
}
END_TEST

/* An index of names alone. */
static void names(struct tar_index *index, const char *list)
{
    static struct tar_member members[16];
    *index = (struct tar_index){.members = members};
    for (const char *p = list; *p != '\0';) {
        const size_t n = strcspn(p, " ");
        members[index->n++] = (struct tar_member){.name = (int64_t)index->names.size};
        buf_put(&index->names, p, n);
        buf_put(&index->names, "", 1);
        p += n + (p[n] == ' ');
    }
}

static const struct {
    const char *names;
    int code;
    const char *want; /* key:members, a blank behind each */
} groups[] = {
    {"a/1.jpg a/1.cls a/2.jpg a/2.seg.png", 0, "a/1:2 a/2:2 "},
    {"1.jpg .hidden readme 1.cls", 0, "1:4 "},
    {"a.b/1.jpg a.b/1.cls", 0, "a.b/1:2 "},
    {"1.jpg 2.jpg 1.cls", ERR_SCHEMA, "'1' do not stand together"},
    {"1.jpg 1.cls 1.jpg", ERR_SCHEMA, "two members '.jpg'"},
    {"1. .x y", 0, ""},
};

START_TEST(test_samples)
{
    struct tar_index index;
    struct samples samples = {0};
    struct buf got = {0};
    names(&index, groups[_i].names);
    const int r = samples_build(&samples, &index, "t.tar", &err);
    ck_assert_int_eq(r, groups[_i].code);
    if (r < 0) {
        ck_assert_msg(strstr(err.text, groups[_i].want) != NULL, "%s", err.text);
    } else {
        buf_puts(&got, "");
        for (size_t i = 0; i < samples.n; i++) {
            buf_printf(&got, "%.*s:%zu ", (int)samples.rows[i].n_key, samples.rows[i].key,
                       samples.rows[i].n);
        }
        ck_assert_str_eq(got.data != NULL ? got.data : "", groups[_i].want);
    }
    if (_i == 0) {
        ck_assert_int_eq(samples_find(&samples, &index, 1, "seg.png"), 3);
        ck_assert_int_eq(samples_find(&samples, &index, 1, "cls"), -1);
    }
    buf_fini(&got);
    samples_fini(&samples);
    buf_fini(&index.names);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("tar");
    TCase *c = tcase_create("tar");
    tcase_add_loop_test(c, test_forms, 0, 4);
    tcase_add_loop_test(c, test_samples, 0, sizeof groups / sizeof groups[0]);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
