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
    bool on;
};

static int enter(struct place *p, enum sandbox_profile profile, struct sock_context **context,
                 struct sock **sock)
{
    struct err err = {0};
    struct sock_options options = {.no_reconnect = true};
    struct sandbox_paths paths = {.read_fds = {p->blobs_fd}, .n_read = 1};
    int rc = sandbox_limits(profile, ACTION_MEMORY_BYTES, &err);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (rc == 0) {
        rc = sandbox_landlock(&paths, &err);
    }
    *context = sock_context_create();
    if (rc >= 0) {
        rc = sock_open_dealer(*context, p->address, &options, sock, &err);
    }
    if (rc == 0) {
        rc = sandbox_seccomp(profile, &err);
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
    if (attempt->on && enter(attempt->place, attempt->profile, &context, &sock) < 0) {
        _exit(BROKEN);
    }
    _exit(attempt->try(attempt->place) == 0 ? WORKS : REFUSED);
}

/* Each attempt has a place of its own: what worked leaves traces. */
static int attempt(int (*try)(struct place *place), enum sandbox_profile profile, bool on)
{
    struct place place;
    place_make(&place);
    int status = test_in_child(attempt_in_child, &(struct attempt){&place, try, profile, on});
    place_remove(&place);
    return status;
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
    if (enter(p, SANDBOX_PROFILE_WORKER, &context, &sock) < 0) {
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
    tcase_add_test(tcase, all_works_with_the_sandbox_off);
    tcase_add_test(tcase, worker_works);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
