/* An upload of many files while client and daemon are killed at 20 moments that a seed gives: what
 * was acknowledged stays, nothing is damaged, and the same command again ends it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "client/millrace.h"
#include "tests/client/live.h"

enum { N_SMALL = 6000, SMALL_MAX = 16384, BIG = 3 << 20, N_KILLS = 20, N_SEEDS = 1 };

static struct live live;
static const char *const arguments[] = {"--upload-credit=2", NULL};

static void setup(void)
{
    live_start(&live);
}

static void teardown(void)
{
    live_stop(&live);
}

/* Sizes from 0 on, the same bytes now and then, and one file that goes in chunks. */
static void make_files(uint64_t seed, char path[TEST_PATH])
{
    unsigned char *bytes = malloc(BIG);
    char name[64];
    struct rng rng;
    ck_assert_ptr_nonnull(bytes);
    rng_init(&rng, seed, 1, 0, 0);
    for (size_t i = 0; i + 4 <= BIG; i += 4) {
        uint32_t word = rng_u32(&rng);
        memcpy(bytes + i, &word, 4);
    }
    for (int i = 0; i < N_SMALL; i++) {
        size_t offset = i % 50 == 1 ? 0 : rng_u32(&rng) % (BIG - SMALL_MAX);
        (void)snprintf(name, sizeof(name), "set/train/%02d/%04d.jpg", i % 20, i);
        live_file(&live, name, bytes + offset, rng_u32(&rng) % SMALL_MAX, path);
    }
    live_file(&live, "set/train/07/big.jpg", bytes, BIG, path);
    free(bytes);
    test_path(path, "%s/set", live.folder);
}

/* Shared with the client that is killed. */
struct moment {
    int64_t acknowledged; /* most bytes that the daemon ever said it has */
    int64_t n_left;       /* answers until the kill */
    bool kill_client, killed;
};

static void on_progress(void *context, const struct millrace_put_progress *progress)
{
    struct moment *moment = context;
    if (progress->stage != MILLRACE_PUT_SEND) {
        return;
    }
    if (progress->done_bytes > moment->acknowledged) {
        moment->acknowledged = progress->done_bytes;
    }
    if (moment->killed || moment->n_left-- > 0) {
        return;
    }
    moment->killed = true;
    if (moment->kill_client) {
        raise(SIGKILL);
    }
    live_kill(&live, SIGKILL);
}

/* The bytes that the daemon had at the beginning of a try. */
struct first {
    struct moment *moment;
    bool seen;
};

static void on_first(void *context, const struct millrace_put_progress *progress)
{
    struct first *first = context;
    bool sends = progress->stage == MILLRACE_PUT_SEND || progress->stage == MILLRACE_PUT_COMMIT;
    if (sends && !first->seen) {
        first->seen = true;
        ck_assert_msg(progress->kept_bytes >= first->moment->acknowledged,
                      "%lld bytes were acknowledged, %lld are there",
                      (long long)first->moment->acknowledged, (long long)progress->kept_bytes);
    }
    on_progress(first->moment, progress);
}

static int put(const char *path, struct moment *moment, struct err *err)
{
    struct first first = {.moment = moment};
    const struct millrace_options options = {.socket = live.run_dir};
    const struct millrace_put order = {.name = "many",
                                       .kind = "auto",
                                       .path = path,
                                       .progress = on_first,
                                       .context = &first,
                                       .patience_ms = 1};
    struct millrace *m = NULL;
    struct arena arena;
    arena_init(&arena);
    int rc = millrace_open(&options, &m, err);
    rc = rc < 0 ? rc : millrace_put(m, &order, &arena, NULL, err);
    millrace_close(m);
    arena_fini(&arena);
    return rc;
}

/* One try with a kill in it; true when the upload ended before. */
static bool put_and_kill(const char *path, struct moment *moment, struct rng *rng)
{
    int status = 0;
    struct err err = {0};
    moment->n_left = rng_u32(rng) % 2;
    moment->kill_client = rng_u32(rng) % 2 == 0;
    moment->killed = false;
    if (moment->kill_client) {
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            _exit(put(path, moment, NULL) == 0 ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0,
                      "the client ends with %x", (unsigned)status);
        return !moment->killed;
    }
    int rc = put(path, moment, &err);
    ck_assert_msg(moment->killed ? rc == ERR_UNREACHABLE || rc == ERR_GONE : rc == 0, "%d: %s", rc,
                  err.text);
    if (moment->killed) {
        live_daemon(&live, arguments);
    }
    return !moment->killed;
}

static void verify(void)
{
    struct live_result r;
    live_run(&live, &r, "dataset", "verify", "many", NULL);
    ck_assert_msg(r.status == 0 && strstr(r.out.data, "6,001 files") != NULL &&
                      strstr(r.out.data, "0 damaged") != NULL,
                  "%s%s", r.out.data, r.err.data);
    live_free(&r);
}

START_TEST(killed_at_twenty_moments)
{
    char path[TEST_PATH];
    struct rng rng;
    struct err err = {0};
    struct moment *moment =
        mmap(NULL, sizeof(*moment), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(moment, MAP_FAILED);
    rng_init(&rng, (uint64_t)_i, 2, 0, 0);
    make_files((uint64_t)_i, path);
    live_daemon(&live, arguments);
    int n_kills = 0;
    while (n_kills < N_KILLS && !put_and_kill(path, moment, &rng)) {
        n_kills++;
    }
    ck_assert_int_eq(n_kills, N_KILLS);
    moment->killed = true;
    int rc = put(path, moment, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    verify();
    live_kill(&live, SIGKILL);
    live_daemon(&live, arguments);
    verify();
    munmap(moment, sizeof(*moment));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("upload");
    TCase *tcase = tcase_create("upload");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, killed_at_twenty_moments, 0, N_SEEDS);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
