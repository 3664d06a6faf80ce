/* The command line itself: help for every row of the table, exit statuses, what is said about a
 * wrong word. */
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli.h"
#include "tests/client/live.h"

static struct live live;

static void setup(void)
{
    live_start(&live);
}

static void teardown(void)
{
    live_stop(&live);
}

/* A wrong command line, its exit status and what is said. */
static const struct {
    const char *words[6];
    int status;
    const char *says;
} wrong[] = {
    {{"foo"}, 2, "no command 'foo'"},
    {{"lst"}, 2, "the nearest is 'list'"},
    {{"dataset"}, 2, "needs a second word"},
    {{"dataset", "--json=false"}, 2, "needs a second word"},
    {{"help", "lst"}, 2, "the nearest is 'list'"},
    {{"help", "list", "x"}, 2, "no command 'list'"},
    {{"dataset", "pt"}, 2, "the nearest is 'dataset put'"},
    {{"run"}, 2, "usage: millrace run FILE"},
    {{"run", "a", "b"}, 2, "one argument too many: 'b'"},
    {{"list", "a"}, 2, "usage: millrace list\n"},
    {{"list", "--jsn"}, 2, "no option --jsn; the nearest is --json"},
    {{"list", "-x"}, 2, "no option --x"},
    {{"list", "--socket"}, 2, "--socket needs a value"},
    {{"list", "--timeout=0"}, 2, "--timeout"},
    {{"list", "--timeout=soon"}, 2, "--timeout"},
    {{"list", "--color=blue"}, 2, "--color"},
    {{"list", "--no-socket"}, 2, "no option"},
    {{"predict", "job", "--rows=1,x"}, 2, "--rows"},
    {{"--hepl"}, 2, "no option '--hepl'"},
    {{"completion", "fish"}, 2, "bash, not for 'fish'"},
    {{"list"}, 5, "no daemon at"},
    {{"run", "/nonexistent.yaml"}, 3, "/nonexistent.yaml"},
    {{"summary", "/nonexistent.yaml"}, 3, "/nonexistent.yaml"},
    {{"dataset", "put", "x", "/nonexistent"}, 5, "no daemon at"},
};

START_TEST(says_what_is_wrong)
{
    struct live_result r;
    const char *const *w = wrong[_i].words;
    live_run(&live, &r, w[0], w[1], w[2], w[3], w[4], NULL);
    ck_assert_msg(r.status == wrong[_i].status, "%s: status %d, %s", w[0], r.status, r.err.data);
    ck_assert_msg(strstr(r.err.data, wrong[_i].says) != NULL, "%s: %s", w[0], r.err.data);
    ck_assert_uint_eq(r.out.size, 0);
    ck_assert_ptr_null(strchr(r.err.data, '\033'));
    live_free(&r);
}
END_TEST

START_TEST(says_it_in_json)
{
    struct live_result r;
    struct arena arena;
    struct doc *doc = NULL;
    arena_init(&arena);
    live_run(&live, &r, "list", "--json", NULL);
    ck_assert_int_eq(r.status, 5);
    ck_assert_int_eq(doc_read_json(r.out.data, r.out.size, NULL, &arena, &doc, NULL), 0);
    ck_assert_str_eq(doc_str(doc_get(doc, "error"), "code", ""), "unreachable");
    ck_assert_uint_eq(r.err.size, 0);
    live_free(&r);
    static const char *const wrong_words[][3] = {
        {"frob", "--json", NULL}, {"list", "--bad", "--json"}, {"--json", "dataset", NULL}};
    for (size_t i = 0; i < 3; i++) {
        live_run(&live, &r, wrong_words[i][0], wrong_words[i][1], wrong_words[i][2], NULL);
        ck_assert_int_eq(r.status, 2);
        ck_assert_msg(doc_read_json(r.out.data, r.out.size, NULL, &arena, &doc, NULL) == 0, "%s",
                      r.out.data);
        ck_assert_str_eq(doc_str(doc_get(doc, "error"), "code", ""), "usage");
        ck_assert_uint_eq(r.err.size, 0);
        live_free(&r);
    }
    char path[TEST_PATH];
    live_text(&live, "bad.yaml", "name: x\nfit: {epoch: 3}\n", path);
    live_run(&live, &r, "submit", path, "--json", NULL);
    ck_assert_int_eq(r.status, 2);
    ck_assert_int_eq(doc_read_json(r.out.data, r.out.size, NULL, &arena, &doc, NULL), 0);
    ck_assert_str_eq(doc_str(doc_get(doc, "error"), "code", ""), "unknown");
    ck_assert_str_eq(doc_str(doc_get(doc, "error"), "path", ""), "fit.epoch");
    ck_assert_int_eq(doc_int(doc_get(doc, "error"), "line", 0), 2);
    live_free(&r);
    arena_fini(&arena);
}
END_TEST

/* Words with one space between them, however the lines are broken. */
static void put_plain(const char *text, struct buf *out)
{
    for (text += strspn(text, " \n"); *text != '\0'; text += strspn(text, " \n")) {
        size_t n = strcspn(text, " \n");
        buf_printf(out, "%.*s ", (int)n, text);
        text += n;
    }
}

static bool says_words(const char *text, const char *words)
{
    struct buf a = {0}, b = {0};
    put_plain(text, &a);
    put_plain(words, &b);
    bool found = strstr(a.data, b.data) != NULL;
    buf_fini(&a);
    buf_fini(&b);
    return found;
}

/* Each row of the table has help, in which each of its options stands. */
START_TEST(helps)
{
    const struct cli_command *row = &cli_table[_i];
    const char *space = strchr(row->name, ' ');
    char first[32];
    struct live_result r;
    (void)snprintf(first, sizeof(first), "%.*s", space != NULL ? (int)(space - row->name) : 31,
                   row->name);
    if (space != NULL) {
        live_run(&live, &r, first, space + 1, "--help", NULL);
    } else {
        live_run(&live, &r, first, "-h", NULL);
    }
    ck_assert_msg(r.status == 0, "%s: %s", row->name, r.err.data);
    ck_assert_ptr_nonnull(strstr(r.out.data, row->summary));
    ck_assert_ptr_nonnull(strstr(r.out.data, row->arguments));
    for (const struct opt *opt = row->options; opt->type != OPT_END; opt++) {
        ck_assert_msg(says_words(r.out.data, opt->help), "%s: %s", row->name, opt->name);
        ck_assert_msg(opt_find(cli_common, opt->name) == NULL, "%s: %s is common too", row->name,
                      opt->name);
    }
    ck_assert_int_le(row->n_min, row->n_max);
    struct live_result same;
    live_run(&live, &same, "help", first, space != NULL ? space + 1 : NULL, NULL);
    ck_assert_str_eq(same.out.data, r.out.data);
    live_free(&same);
    live_free(&r);
    struct buf out = {0};
    cli_help(NULL, &out);
    ck_assert_ptr_nonnull(strstr(out.data, row->summary));
    cli_reference(&out);
    ck_assert_ptr_nonnull(strstr(out.data, row->summary));
    buf_fini(&out);
}
END_TEST

/* On a terminal there are colours, unless something says no. */
static const struct {
    const char *no_color, *term, *option;
    bool colored;
} terminals[] = {
    {NULL, "xterm", "--color=auto", true},   {"", "xterm", "--color=auto", true},
    {"1", "xterm", "--color=auto", false},   {NULL, "dumb", "--color=auto", false},
    {NULL, "xterm", "--color=never", false}, {"1", "dumb", "--color=always", true},
};

/* The program with a terminal as all of its three streams; its exit status. */
static int run_on_terminal(size_t i, struct buf *out)
{
    char program[TEST_PATH];
    char bytes[512];
    int fd = -1, status = 0;
    test_path(program, "%s/client/millrace", test_build_root());
    pid_t pid = forkpty(&fd, NULL, NULL, NULL);
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        setenv("MILLRACE_SOCKET", live.run_dir, 1);
        setenv("TERM", terminals[i].term, 1);
        unsetenv("NO_COLOR");
        if (terminals[i].no_color != NULL) {
            setenv("NO_COLOR", terminals[i].no_color, 1);
        }
        execl(program, program, "list", terminals[i].option, (char *)NULL);
        _exit(127);
    }
    for (ssize_t n = read(fd, bytes, sizeof(bytes)); n > 0; n = read(fd, bytes, sizeof(bytes))) {
        buf_put(out, bytes, (size_t)n);
    }
    buf_puts(out, "");
    close(fd);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(heeds_the_terminal)
{
    struct buf out = {0};
    ck_assert_int_eq(run_on_terminal((size_t)_i, &out), 5);
    ck_assert_msg(strstr(out.data, "no daemon at") != NULL, "%s", out.data);
    ck_assert_msg((strchr(out.data, '\033') != NULL) == terminals[_i].colored, "%d: %s", _i,
                  out.data);
    buf_fini(&out);
}
END_TEST

START_TEST(takes_options_anywhere)
{
    struct live_result r;
    char path[TEST_PATH];
    live_text(&live, "job.yaml", "fit: {epochs: -3}\n", path);
    static const char *const ways[][4] = {{"--timeout=2", "--quiet"},
                                          {"--timeout", "2", "--no-quiet"},
                                          {"--quiet=false", "--no-json", "--timeout=2"}};
    for (size_t i = 0; i < 3; i++) {
        live_run(&live, &r, "submit", ways[i][0], ways[i][1], path, ways[i][2], NULL);
        ck_assert_msg(r.status == 2 && strstr(r.err.data, "job.yaml:1: fit.epochs") != NULL, "%s",
                      r.err.data);
        live_free(&r);
    }
}
END_TEST

START_TEST(changes_the_job)
{
    struct live_result r;
    char path[TEST_PATH];
    live_text(&live, "job.yaml", "fit: {epochs: 3}\n", path);
    live_run(&live, &r, "submit", path, "--set", "fit.epochs=-1", "--set=name=x", NULL);
    ck_assert_msg(r.status == 2 && strstr(r.err.data, "fit.epochs") != NULL, "%s", r.err.data);
    live_free(&r);
    live_run(&live, &r, "submit", path, "--set", "fit.epochs", NULL);
    ck_assert_msg(r.status == 2 && strstr(r.err.data, "PATH=VALUE") != NULL, "%s", r.err.data);
    live_free(&r);
    live_run(&live, &r, "submit", path, "--set", "model[3].a=1", NULL);
    ck_assert_msg(r.status == 2 && strstr(r.err.data, "no such place") != NULL, "%s", r.err.data);
    live_free(&r);
    live_run(&live, &r, "submit", path, "--set", "model={\"from\": \"../x.keras\"}", NULL);
    ck_assert_msg(r.status == 2 && strstr(r.err.data, "not a file: '../x.keras'") != NULL, "%s",
                  r.err.data);
    live_free(&r);
    live_run(&live, &r, "submit", path, "--set", "fit.epochs=5", NULL);
    ck_assert_msg(r.status == 5, "%s", r.err.data);
    live_free(&r);
}
END_TEST

START_TEST(works_without_a_daemon)
{
    struct live_result r;
    live_run(&live, &r, "version", NULL);
    ck_assert_int_eq(r.status, 0);
    ck_assert_ptr_nonnull(strstr(r.out.data, "millrace " MILLRACE_VERSION));
    ck_assert_ptr_nonnull(strstr(r.out.data, "no daemon"));
    live_free(&r);
    live_run(&live, &r, "completion", "bash", NULL);
    ck_assert_int_eq(r.status, 0);
    char path[TEST_PATH];
    live_file(&live, "completion.sh", r.out.data, r.out.size, path);
    live_free(&r);
    char more[TEST_PATH];
    live_text(&live, "try.sh",
              "source \"$(dirname \"$0\")/completion.sh\"\n"
              "COMP_WORDS=(millrace da) COMP_CWORD=1; _millrace; [ \"${COMPREPLY[*]}\" = dataset ] "
              "|| exit 1\n"
              "COMP_WORDS=(millrace dataset v) COMP_CWORD=2; _millrace; [ \"${COMPREPLY[*]}\" = "
              "verify ] || exit 2\n"
              "COMP_WORDS=(millrace predict j --spl) COMP_CWORD=3; _millrace; [ "
              "\"${COMPREPLY[*]}\" = --split ] || exit 3\n",
              more);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/bash", "bash", more, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "bash: %d", WEXITSTATUS(status));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("cli");
    TCase *tcase = tcase_create("cli");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, says_what_is_wrong, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(tcase, says_it_in_json);
    tcase_add_loop_test(tcase, helps, 0, cli_n_commands);
    tcase_add_loop_test(tcase, heeds_the_terminal, 0, sizeof(terminals) / sizeof(terminals[0]));
    tcase_add_test(tcase, takes_options_anywhere);
    tcase_add_test(tcase, changes_the_job);
    tcase_add_test(tcase, works_without_a_daemon);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
