/* sandbox: what a worker may not do. Every action is tried from inside a process that put on
 * limits, Landlock and seccomp in a worker's order, with its data socket connected; from inside a
 * real worker, between two rows; and again with the sandbox off, where it must work: an action that
 * is denied by something else proves nothing. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/sandbox.h"
#include "tests/system/actions.h"
#include "tests/workers/play.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { RELAXED = 1 };
#else
enum { RELAXED = 0 };
#endif

enum { WORKS = 0, REFUSED = 1, BROKEN = 2, ACTIONS_NEEDED = 20 };

static int count_actions(void)
{
    int n = 0;
    while (action_table[n].name != NULL) {
        n++;
    }
    return n;
}

/* ---- a sandboxed process -------------------------------------------------------------------- */

struct attempt {
    struct place *place;
    int (*try)(struct place *place);
    enum sandbox_profile profile;
    bool on, keeps;
};
enum { KEPT_BYTES = 1 << 20 };

static int enter(struct place *p, enum sandbox_profile profile, bool keeps,
                 struct sock_context **context, struct sock **sock)
{
    struct err err = {0};
    struct sock_options options = {.no_reconnect = true};
    struct sandbox_paths paths = {
        .read_fds = {p->blobs_fd}, .n_read = 1, .keep_fds = {p->kept_fd}, .n_keep = keeps};
    int rc = sandbox_limits(profile, ACTION_MEMORY_BYTES, keeps ? KEPT_BYTES : 0, &err);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (rc == 0) {
        rc = sandbox_landlock(&paths, &err);
        keeps = keeps && sandbox_can_keep(rc);
    }
    *context = sock_context_create();
    if (rc >= 0) {
        rc = sock_open_dealer(*context, p->address, &options, sock, &err);
    }
    if (rc == 0) {
        rc = sandbox_seccomp(profile, keeps, &err);
    }
    if (rc < 0) {
        (void)dprintf(2, "enter the sandbox: %s\n", err.text);
    }
    return rc;
}

static void attempt_in_child(void *arg)
{
    struct attempt *attempt = arg;
    struct sock_context *context = NULL;
    struct sock *sock = NULL;
    if (attempt->on &&
        enter(attempt->place, attempt->profile, attempt->keeps, &context, &sock) < 0) {
        _exit(BROKEN);
    }
    _exit(attempt->try(attempt->place) == 0 ? WORKS : REFUSED);
}

/* Each attempt has a place of its own: what worked leaves traces. */
static int attempt_with(int (*try)(struct place *place), enum sandbox_profile profile, bool on,
                        bool keeps)
{
    struct place place;
    place_make(&place);
    int status =
        test_in_child(attempt_in_child, &(struct attempt){&place, try, profile, on, keeps});
    place_remove(&place);
    return status;
}

static int attempt(int (*try)(struct place *place), enum sandbox_profile profile, bool on)
{
    return attempt_with(try, profile, on, false);
}

static bool is_denied(int status)
{
    return status == REFUSED || status == -SIGSYS || status == -SIGXFSZ;
}

static void check_denied(const struct action *action, enum sandbox_profile profile)
{
    if (RELAXED &&
        action->relaxed < (profile == SANDBOX_PROFILE_TRAINER ? RELAXED_ALL : RELAXED_WORKER)) {
        return;
    }
    int status = attempt(action->try, profile, true);
    ck_assert_msg(is_denied(status), "%s: %s (%d)", action->name,
                  status == WORKS ? "worked" : "ended oddly", status);
}

START_TEST(worker_is_denied)
{
    check_denied(&action_table[_i], SANDBOX_PROFILE_WORKER);
}
END_TEST

START_TEST(checker_is_denied)
{
    check_denied(&action_table[_i], SANDBOX_PROFILE_CHECKER);
}
END_TEST

START_TEST(trainer_is_denied)
{
    if (action_table[_i].trainer) {
        check_denied(&action_table[_i], SANDBOX_PROFILE_TRAINER);
    }
}
END_TEST

/* ---- one that keeps files ------------------------------------------------------------------- */

static int keep_file(struct place *p, const char *name)
{
    int fd = openat(p->kept_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "bytes", 5) != 5 || pwrite(fd, "x", 1, 100) != 1 ||
        ftruncate(fd, 50) != 0) {
        return -1;
    }
    return close(fd);
}
static int make_and_rename(struct place *p)
{
    return keep_file(p, "a") == 0 && renameat(p->kept_fd, "a", p->kept_fd, "b") == 0 &&
                   keep_file(p, "c") == 0 && unlinkat(p->kept_fd, "c", 0) == 0 &&
                   close(openat(p->kept_fd, "b", O_RDONLY | O_CLOEXEC)) == 0
               ? 0
               : -1;
}
static int make_kept_folder(struct place *p)
{
    return mkdirat(p->kept_fd, "folder", 0700);
}
static int make_kept_link(struct place *p)
{
    return symlinkat(p->secret, p->kept_fd, "link");
}
static int make_kept_pipe(struct place *p)
{
    return mknodat(p->kept_fd, "pipe", S_IFIFO | 0600, 0);
}
static int list_kept(struct place *p)
{
    char entries[1024];
    int fd = openat(p->kept_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && syscall(SYS_getdents64, fd, entries, sizeof entries) > 0 ? close(fd) : -1;
}
static int leave_kept(struct place *p)
{
    return keep_file(p, "a") == 0 && renameat(p->kept_fd, "a", p->blobs_fd, "a") == 0 ? 0 : -1;
}
static int write_upwards(struct place *p)
{
    int fd = openat(p->kept_fd, "../outside/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}
static int keep_too_much(struct place *p)
{
    int fd = openat(p->kept_fd, "large", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && pwrite(fd, "x", 1, KEPT_BYTES) == 1 ? close(fd) : -1;
}

static const struct action keep_table[] = {
    {"make a folder in kept", make_kept_folder, false, RELAXED_WORKER},
    {"make a link in kept", make_kept_link, false, RELAXED_WORKER},
    {"make a pipe in kept", make_kept_pipe, false, RELAXED_WORKER},
    {"list kept", list_kept, false, RELAXED_NO},
    {"rename a file out of kept", leave_kept, false, RELAXED_NO},
    {"write a file through kept/..", write_upwards, false, RELAXED_NO},
    {"keep a file over the limit", keep_too_much, false, RELAXED_WORKER},
};
enum { N_KEEP = sizeof keep_table / sizeof keep_table[0] };

START_TEST(keeper_makes_files)
{
    ck_assert_int_eq(attempt_with(make_and_rename, SANDBOX_PROFILE_WORKER, true, true), WORKS);
    ck_assert_int_eq(attempt_with(make_and_rename, SANDBOX_PROFILE_CHECKER, true, true), WORKS);
    ck_assert(is_denied(attempt_with(make_and_rename, SANDBOX_PROFILE_WORKER, true, false)) ||
              RELAXED);
}
END_TEST

START_TEST(keeper_is_denied_the_rest_of_kept)
{
    const struct action *action = &keep_table[_i];
    if (RELAXED && action->relaxed < RELAXED_WORKER) {
        return;
    }
    ck_assert_int_eq(attempt_with(action->try, SANDBOX_PROFILE_WORKER, false, false), WORKS);
    int status = attempt_with(action->try, SANDBOX_PROFILE_WORKER, true, true);
    ck_assert_msg(is_denied(status), "%s: %s (%d)", action->name,
                  status == WORKS ? "worked" : "ended oddly", status);
}
END_TEST

/* All that a worker is denied; a descriptor that it should not have it may write, as a trainer may.
 */
START_TEST(keeper_is_denied)
{
    const struct action *action = &action_table[_i];
    const bool is_relaxed = RELAXED && action->relaxed < RELAXED_ALL;
    if (is_relaxed || strcmp(action->name, "write through an inherited descriptor") == 0) {
        return;
    }
    int status = attempt_with(action->try, SANDBOX_PROFILE_WORKER, true, true);
    ck_assert_msg(is_denied(status), "%s: %s (%d)", action->name,
                  status == WORKS ? "worked" : "ended oddly", status);
}
END_TEST

/* The negative control. A machine may lack one or the other call; most must work. */
START_TEST(all_works_with_the_sandbox_off)
{
    int n_work = 0, n = count_actions();
    for (int i = 0; i < n; i++) {
        int status = attempt(action_table[i].try, SANDBOX_PROFILE_WORKER, false);
        if (status == WORKS) {
            n_work++;
        } else {
            printf("does not work here even without a sandbox: %s (%d)\n", action_table[i].name,
                   status);
        }
    }
    printf("%d of %d actions work without a sandbox\n", n_work, n);
    ck_assert_int_ge(n_work, ACTIONS_NEEDED);
}
END_TEST

/* ---- a real worker -------------------------------------------------------------------------- */

/* Its descriptors are inherited, as if a bug had left them open. */
static void lend(const struct place *place)
{
    const int fds[] = {place->blobs_fd, place->namespace_fd, place->unix_fd, place->tcp_fd,
                       place->log_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        ck_assert_int_eq(fcntl(fds[i], F_SETFD, 0), 0);
    }
}

static void lend_place(struct play *play, const struct place *place)
{
    char number[16];
    int fd = play_file(play, "place", place, sizeof(*place));
    lend(place);
    ck_assert_int_eq(fcntl(fd, F_SETFD, 0), 0);
    (void)snprintf(number, sizeof(number), "%d", fd);
    ck_assert_int_eq(setenv("MILLRACE_PROBE", number, 1), 0);
}

/* WORKS when its rows come or its place is taken by another program. */
static int ask_worker(struct play_worker *worker, int action)
{
    struct sock_peer peer;
    struct msg msg;
    struct msg_chunk_make make = {.begin = 0, .end = 1, .generation = action};
    play_ask(worker, &make);
    bool heard = false;
    for (int i = 0; i < 300 && !heard && !play_is_dead(worker); i++) {
        heard = play_receive(worker->play, 50, &peer, &msg, NULL, NULL);
    }
    if (heard || play_receive(worker->play, 50, &peer, &msg, NULL, NULL)) {
        const struct msg_error *error = msg.body;
        return msg.type == MSG_CHUNK_DONE                                  ? WORKS
               : msg.type == MSG_CHUNK_FAILED && error->code == ERR_DENIED ? REFUSED
                                                                           : BROKEN;
    }
    return play_wait(worker);
}

static int attempt_in_worker(int action, bool on)
{
    struct place place;
    struct play play;
    struct play_worker worker;
    place_make(&place);
    play_init(&play, "tests/system/probe-worker", 1, 4096);
    test_path(play.blobs, "%s", place.blobs);
    play.sandbox_off = !on;
    play.memory_bytes = ACTION_MEMORY_BYTES;
    lend_place(&play, &place);
    play_spawn(&play, &worker, 1);
    play_start(&worker, "run",
               "{\"data\": {\"train\": {\"dataset\": \"digits\"}}, \"resources\": {\"transport\": "
               "\"slab\"}}",
               true);
    play_ready(&worker, NULL);
    int status = ask_worker(&worker, action);
    play_worker_fini(&worker);
    play_fini(&play);
    place_remove(&place);
    return status;
}

START_TEST(denied_inside_a_worker)
{
    const struct action *action = &action_table[_i];
    if (RELAXED && action->relaxed < RELAXED_WORKER) {
        return;
    }
    int status = attempt_in_worker(_i, true);
    ck_assert_msg(is_denied(status), "%s: %s (%d)", action->name,
                  status == WORKS ? "worked" : "ended oddly", status);
}
END_TEST

START_TEST(all_works_in_a_worker_without_sandbox)
{
    int n_work = 0, n = count_actions();
    for (int i = 0; i < n; i++) {
        int status = attempt_in_worker(i, false);
        n_work += status == WORKS;
        if (status != WORKS) {
            printf("does not work in a worker even without a sandbox: %s (%d)\n",
                   action_table[i].name, status);
        }
    }
    printf("%d of %d actions work in a worker without a sandbox\n", n_work, n);
    ck_assert_int_ge(n_work, ACTIONS_NEEDED);
}
END_TEST

/* ---- what must still work ------------------------------------------------------------------- */

static int read_a_blob(struct place *p)
{
    char bytes[8];
    int fd = openat(p->blobs_fd, "blob", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && pread(fd, bytes, sizeof bytes, 0) == 5 && close(fd) == 0 ? 0 : -1;
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Sources map files and sort lists of them; a long list makes qsort look at the machine. */
static int map_and_sort(struct place *p)
{
    static int numbers[4096];
    int fd = openat(p->blobs_fd, "blob", O_RDONLY | O_CLOEXEC);
    char *map = fd >= 0 ? mmap(NULL, 5, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    for (int i = 0; i < 4096; i++) {
        numbers[i] = (i * 7919) % 4096;
    }
    qsort(numbers, 4096, sizeof numbers[0], by_number);
    return map != MAP_FAILED && close(fd) == 0 && munmap(map, 5) == 0 && numbers[4095] == 4095 ? 0
                                                                                               : -1;
}

static void work_in_child(void *arg)
{
    struct place *p = arg;
    struct sock_context *context = NULL;
    struct sock *sock = NULL;
    struct arena arena;
    struct msg msg;
    struct err err = {0};
    if (enter(p, SANDBOX_PROFILE_WORKER, false, &context, &sock) < 0) {
        _exit(BROKEN);
    }
    arena_init(&arena);
    char *bytes = malloc((size_t)8 << 20);
    memset(bytes, 1, (size_t)8 << 20);
    bool well = read_a_blob(p) == 0 && map_and_sort(p) == 0 &&
                sock_send(sock, NULL, MSG_PING, 1, NULL, NULL, 0, &err) == 0 &&
                (sock_poll(sock, NULL, 0, 5000) & 1) != 0 &&
                sock_recv(sock, NULL, &arena, &msg, NULL, NULL, NULL, &err) == 0 &&
                msg.type == MSG_PING;
    free(bytes);
    arena_fini(&arena);
    sock_close(sock);
    sock_context_destroy(context);
    exit(well ? WORKS : REFUSED); /* exit handlers run in the sandbox too */
}

START_TEST(worker_works)
{
    struct place place;
    place_make(&place);
    ck_assert_int_eq(test_in_child(work_in_child, &place), WORKS);
    place_remove(&place);
}
END_TEST

int main(void)
{
    const int n_actions = count_actions();
    Suite *suite = suite_create("sandbox");
    TCase *tcase = tcase_create("sandbox");
    signal(SIGPIPE, SIG_IGN);
    tcase_add_loop_test(tcase, worker_is_denied, 0, n_actions);
    tcase_add_loop_test(tcase, denied_inside_a_worker, 0, n_actions);
    tcase_add_test(tcase, all_works_in_a_worker_without_sandbox);
    tcase_add_loop_test(tcase, checker_is_denied, 0, n_actions);
    tcase_add_loop_test(tcase, trainer_is_denied, 0, n_actions);
    tcase_add_test(tcase, keeper_makes_files);
    tcase_add_loop_test(tcase, keeper_is_denied_the_rest_of_kept, 0, N_KEEP);
    tcase_add_loop_test(tcase, keeper_is_denied, 0, n_actions);
    tcase_add_test(tcase, all_works_with_the_sandbox_off);
    tcase_add_test(tcase, worker_works);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
