/* The daemon is killed, or its disk is full, at every kind of call within what a store does: what
 * was acknowledged is whole afterwards, and what was not is there whole or not at all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/rng.h"
#include "tests/daemon/fixture.h"

enum {
    N_KEEP = 26,
    N_MIX = 70,
    N_EXTRA = 3,
    BYTES = 3000,
    SHARD_BYTES = 65536,
    WAIT_US = 20000000
};

struct state {
    struct fixture f;
    char when[TEST_PATH]; /* calls count while it is there */
    char placed[TEST_PATH];
    char job[64];
    bool acknowledged, died;
};

/* ---- a request to a daemon that may die of it ---- */

static const struct doc *try_ask(struct state *s, enum msg_id type, const void *body)
{
    struct fixture *f = &s->f;
    const int64_t end_us = clock_us() + WAIT_US;
    const int64_t id = fixture_send(f, type, body, NULL, 0);
    int status = 0;
    while (clock_us() < end_us) {
        struct sock_frame frames[SOCK_FRAMES_MAX];
        struct msg msg = {.id = 0};
        int n = 0;
        if (!sock_pending(f->sock)) {
            sock_poll(f->sock, NULL, 0, 20);
        }
        if (sock_recv(f->sock, NULL, &f->arena, &msg, frames, &n, NULL, NULL) >= 0 &&
            msg.id == id) {
            const struct msg_error *error = msg.body;
            if (msg.type == MSG_REPLY) {
                return ((const struct msg_reply *)msg.body)->result;
            }
            err_set_at(&f->err, (int)error->code, error->path != NULL ? error->path : "", "%s",
                       error->text);
            return NULL;
        }
        if (waitpid(f->pid, &status, WNOHANG) == f->pid) {
            ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            f->pid = 0;
            s->died = true;
            return NULL;
        }
    }
    ck_abort_msg("neither an answer nor an end");
}

static const struct doc *to_the_end(struct state *s, const struct doc *reply)
{
    while (reply != NULL && doc_get(reply, "version") == NULL) {
        char id[64];
        (void)snprintf(id, sizeof(id), "%s", doc_str(reply, "session", ""));
        const struct msg_dataset_step step = {.session = id};
        reply = try_ask(s, MSG_DATASET_STEP, &step);
    }
    return reply;
}

/* ---- what is done ---- */

static const struct doc *do_gc(struct state *s)
{
    const struct msg_dataset_gc body = {.keep_days = 0};
    return try_ask(s, MSG_DATASET_GC, &body);
}

static const struct doc *do_named(struct state *s, enum msg_id type, const char *name)
{
    const struct msg_named body = {.name = name};
    return try_ask(s, type, &body);
}

static const struct doc *do_remove(struct state *s)
{
    return do_named(s, MSG_DATASET_REMOVE, "extra");
}

static const struct doc *do_verify(struct state *s)
{
    return do_named(s, MSG_DATASET_VERIFY, "keep");
}

static const struct doc *do_get(struct state *s)
{
    const struct doc *reply = NULL;
    unsigned char data[BYTES];
    char id[65];
    const char *ids[1] = {id};
    for (int i = 0; i < N_KEEP; i++) {
        fixture_content(i, BYTES, 1, data);
        hash_bytes(data, BYTES, id);
        const struct msg_dataset_read body = {.ids = {.v = ids, .n = 1}};
        reply = try_ask(s, MSG_DATASET_READ, &body);
        if (reply == NULL) {
            return NULL;
        }
    }
    return reply;
}

static const struct doc *do_pack(struct state *s)
{
    const struct msg_dataset_pack body = {
        .name = "keep", .into = "packed", .shard_bytes = SHARD_BYTES};
    return to_the_end(s, try_ask(s, MSG_DATASET_PACK, &body));
}

static const struct doc *do_place(struct state *s)
{
    const struct msg_dataset_place body = {.name = "placed", .kind = "auto", .path = s->placed};
    return to_the_end(s, try_ask(s, MSG_DATASET_PLACE, &body));
}

static const struct act {
    const char *name;
    const struct doc *(*run)(struct state *s);
    const char *makes, *removes; /* data sets */
} acts[] = {
    {"gc", do_gc, NULL, NULL},         {"remove", do_remove, NULL, "extra"},
    {"verify", do_verify, NULL, NULL}, {"get", do_get, NULL, NULL},
    {"pack", do_pack, "packed", NULL}, {"place", do_place, "placed", NULL},
};
static const char *const calls[] = {"read", "write", "sync", "rename", "unlink"};
static const int moments[] = {1, 2, 3, 5, 8, 13, 21, 34};

/* ---- before and after ---- */

static void write_placed(const struct state *s)
{
    ck_assert(mkdir(s->placed, 0755) == 0 || errno == EEXIST);
    for (int i = 0; i < 5; i++) {
        char path[TEST_PATH + 32];
        unsigned char data[BYTES];
        (void)snprintf(path, sizeof(path), "%s/train-%d-ubyte", s->placed, i);
        fixture_content(i, BYTES, 7, data);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        ck_assert(fd >= 0 && write(fd, data, BYTES) == BYTES);
        close(fd);
    }
}

static void init(struct state *s)
{
    memset(s, 0, sizeof(*s));
    fixture_init(&s->f);
    test_path(s->when, "%s/when", s->f.dir);
    test_path(s->placed, "%s/placed", s->f.dir);
    write_placed(s);
    fixture_arg(&s->f, "--in-place-roots=/");
    (void)fixture_small_disk(&s->f, "64m"); /* what a kill leaves does not depend on the disk */
}

/* keep lies in a pack that is mostly dead: gc makes it anew. */
static void prepare(struct state *s)
{
    static const char *const names[] = {"mix", "extra", "packed", "placed"};
    struct fixture *f = &s->f;
    for (size_t i = 0; i < 4; i++) {
        fixture_named(f, MSG_DATASET_REMOVE, names[i]);
    }
    if (s->job[0] == '\0') { /* a job holds "d" from the first to the last */
        ck_assert_int_ge(fixture_put(f, "d", 2, BYTES, 3), 0);
        const struct doc *reply = fixture_submit(f, "k", "{\"steps\": 100000, \"step_ms\": 50}");
        ck_assert_msg(reply != NULL, "%s", f->err.text);
        (void)snprintf(s->job, sizeof(s->job), "%s", doc_str(reply, "job", ""));
    }
    fixture_named(f, MSG_DATASET_REMOVE, "keep");
    const struct msg_dataset_gc gc = {.keep_days = 0};
    ck_assert_ptr_nonnull(fixture_ask(f, MSG_DATASET_GC, &gc, NULL, 0));
    ck_assert_int_ge(fixture_put(f, "mix", N_MIX, BYTES, 1), 0);
    ck_assert_int_ge(fixture_put(f, "keep", N_KEEP, BYTES, 1), 0);
    ck_assert_int_ge(fixture_put(f, "extra", N_EXTRA, BYTES, 5), 0);
    ck_assert_ptr_nonnull(fixture_named(f, MSG_DATASET_REMOVE, "mix"));
    fixture_reset(f);
}

static bool is_there(struct state *s, const char *name)
{
    return fixture_named(&s->f, MSG_DATASET_SHOW, name) != NULL;
}

/* How many things are not as they should be. */
static int wrongs(struct state *s, const struct act *act)
{
    static const char *const names[] = {"keep", "extra", "packed", "placed", "d"};
    const bool done = s->acknowledged;
    int n = 0;
    for (size_t i = 0; i < 5; i++) {
        const bool there = is_there(s, names[i]);
        const bool touched = (act->makes != NULL && !strcmp(act->makes, names[i])) ||
                             (act->removes != NULL && !strcmp(act->removes, names[i]));
        const bool made = act->makes != NULL && touched;
        n += done && touched && there != made;
        n += !touched && there != (i == 0 || i == 1 || i == 4);
        const struct doc *verify =
            there ? fixture_named(&s->f, MSG_DATASET_VERIFY, names[i]) : NULL;
        n += there && (verify == NULL || doc_get(verify, "damaged")->n > 0);
    }
    /* What the job holds cannot be removed, before and after. */
    n += fixture_named(&s->f, MSG_DATASET_REMOVE, "d") != NULL || s->f.err.code != ERR_BUSY;
    return n;
}

static void set_fault(const struct state *s, const char *call, int at, int why)
{
    char text[TEST_PATH];
    test_path(text, "%s/tests/daemon/libfail-call.so", test_build_root());
    setenv("LD_PRELOAD", text, 1);
    setenv("FAIL_CALL", call, 1);
    setenv("FAIL_WHEN", s->when, 1);
    test_path(text, "%d", at);
    setenv("FAIL_AT", text, 1);
    test_path(text, "%d", why);
    setenv("FAIL_ERRNO", text, 1);
    if (why != 0) {
        setenv("FAIL_EVER", "1", 1);
    }
}

static void clear_fault(void)
{
    static const char *const names[] = {"LD_PRELOAD", "FAIL_CALL", "FAIL_AT",
                                        "FAIL_ERRNO", "FAIL_EVER", "FAIL_WHEN"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unsetenv(names[i]);
    }
}

/* One act with a fault in it; then a daemon without one. */
static void run(struct state *s, const struct act *act, const char *call, int at, int why)
{
    struct fixture *f = &s->f;
    set_fault(s, call, at, why);
    fixture_start(f);
    clear_fault();
    prepare(s);
    int fd = open(s->when, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    s->died = false;
    s->acknowledged = act->run(s) != NULL;
    ck_assert_msg(s->died || s->acknowledged || why != 0, "%s: %s: %s", act->name, f->err.path,
                  f->err.text);
    ck_assert_int_eq(unlink(s->when), 0);
    if (f->pid > 0) {
        ck_assert_int_eq(fixture_end(f, SIGKILL), -SIGKILL);
    }
    fixture_start(f);
    int n = wrongs(s, act);
    ck_assert_msg(n == 0, "%s, %s %d: %d things are wrong", act->name, call, at, n);
    ck_assert_int_eq(fixture_end(f, SIGKILL), -SIGKILL);
}

static int count_shards(const struct state *s)
{
    char path[TEST_PATH + 16];
    int n = 0;
    (void)snprintf(path, sizeof(path), "%s/uploads", s->f.state_dir);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        n += strncmp(entry->d_name, "shard-", 6) == 0;
    }
    closedir(dir);
    return n;
}

START_TEST(a_kill_loses_nothing)
{
    const struct act *act = &acts[_i];
    struct state s;
    int n_died = 0, n_tries = 0;
    init(&s);
    for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++) {
        s.died = true;
        for (size_t m = 0; s.died && m < sizeof(moments) / sizeof(moments[0]); m++) {
            run(&s, act, calls[c], moments[m], 0);
            n_died += s.died;
            n_tries++;
        }
    }
    printf("# %s: died %d times in %d tries\n", act->name, n_died, n_tries);
    ck_assert_int_ge(n_died, 2);
    fixture_start(&s.f);
    ck_assert_ptr_nonnull(do_gc(&s)); /* behind the sweep of the start */
    ck_assert_int_eq(count_shards(&s), 0);
    fixture_fini(&s.f);
}
END_TEST

START_TEST(a_full_disk_loses_nothing)
{
    const struct act *act = &acts[_i];
    struct state s;
    init(&s);
    for (size_t m = 0; m < 5; m++) {
        run(&s, act, "write", moments[m], ENOSPC);
        ck_assert(!s.died);
    }
    fixture_fini(&s.f);
}
END_TEST

/* At any moment, not only at a call. */
START_TEST(a_kill_at_random_loses_nothing)
{
    struct state s;
    struct rng rng;
    rng_init(&rng, 17, (uint64_t)_i, 0, 0);
    init(&s);
    for (int i = 0; i < 4; i++) {
        fixture_start(&s.f);
        prepare(&s);
        const int wait_ms = (int)rng_below(&rng, 30);
        pid_t killer = fork();
        ck_assert_int_ge(killer, 0);
        if (killer == 0) {
            (void)poll(NULL, 0, wait_ms);
            kill(s.f.pid, SIGKILL);
            _exit(0);
        }
        s.acknowledged = acts[_i].run(&s) != NULL;
        waitpid(killer, NULL, 0);
        if (s.f.pid > 0) {
            fixture_end(&s.f, SIGKILL);
        }
        fixture_start(&s.f);
        ck_assert_int_eq(wrongs(&s, &acts[_i]), 0);
        fixture_end(&s.f, SIGKILL);
    }
    fixture_fini(&s.f);
}
END_TEST

/* The negative control: a daemon that answers without a commit is found. */
START_TEST(a_lost_commit_is_found)
{
    struct state s;
    init(&s);
    fixture_start(&s.f);
    prepare(&s);
    ck_assert_int_eq(fixture_end(&s.f, SIGKILL), -SIGKILL);
    s.f.program = "tests/daemon/broken-commit";
    fixture_start(&s.f);
    s.acknowledged = do_remove(&s) != NULL;
    ck_assert(s.acknowledged);
    ck_assert_int_eq(fixture_end(&s.f, SIGKILL), -SIGKILL);
    s.f.program = NULL;
    fixture_start(&s.f);
    ck_assert_int_gt(wrongs(&s, &acts[1]), 0);
    fixture_fini(&s.f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_kills");
    TCase *tcase = tcase_create("store_kills");
    const int n = (int)(sizeof(acts) / sizeof(acts[0]));
    tcase_set_timeout(tcase, 200);
    tcase_add_loop_test(tcase, a_kill_loses_nothing, 0, n);
    tcase_add_loop_test(tcase, a_full_disk_loses_nothing, 0, n);
    tcase_add_loop_test(tcase, a_kill_at_random_loses_nothing, 0, n);
    tcase_add_test(tcase, a_lost_commit_is_found);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
