/* Law 3 through the real daemon: a job whose daemon, trainer and worker are killed at random
 * moments ends in the same tensors as one left alone. */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/doc.h"
#include "base/file.h"
#include "base/rng.h"
#include "tests/client/live.h"

enum { ROUNDS = 4, TRAINER = 0, WORKER, DAEMON, VICTIMS_, TENSORS_TEXT = 80, APPEAR_MS = 20000 };

static const char *const backends[] = {"blas", "dnnl"};
static const char *const victims[VICTIMS_] = {"millrace-traine", "millrace-worker", "millraced"};

static const char job_form[] =
    "name: %s\n"
    "data: {train: {dataset: digits, split: train}}\n"
    "pipeline: [{shuffle: {}}, {take: {count: 2000}}, {map: [{Rescaling: {scale: 0.004}},\n"
    "  {RandomRotation: {factor: 0.1}}, {Sleep: {microseconds: 500}}]}, {batch: {batch_size: "
    "48}}]\n"
    "model: [{Conv2D: {filters: 4, kernel_size: 3, activation: relu}}, {MaxPooling2D: {}}, "
    "{Flatten: {}},\n"
    "  {Dropout: {rate: 0.2}}, {Dense: {units: 10, activation: softmax}}]\n"
    "compile: {optimizer: Adam, loss: SparseCategoricalCrossentropy, metrics: [accuracy]}\n"
    "fit: {epochs: 6, seed: 9, checkpoint: {every_steps: 10}}\n"
    "resources: {workers: 1, threads: 1, backend: %s}\n";

/* The process of that name whose parent is `parent`, or 0. */
static pid_t find_child(pid_t parent, const char *name)
{
    DIR *dir = opendir("/proc");
    pid_t found = 0;
    for (const struct dirent *entry; dir != NULL && found == 0 && (entry = readdir(dir)) != NULL;) {
        char path[300], word[64];
        struct buf text = {0};
        long of = 0;
        (void)snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            file_read(-100, path, 4096, &text, NULL) >= 0 &&
            sscanf(text.data, "%*d (%60[^)]) %*c %ld", word, &of) == 2 && of == (long)parent &&
            strcmp(word, name) == 0) {
            found = (pid_t)strtol(entry->d_name, NULL, 10);
        }
        buf_fini(&text);
    }
    closedir(dir);
    return found;
}

struct hunt {
    const struct live *live;
    int victim;
};

static bool is_there(void *arg)
{
    const struct hunt *hunt = arg;
    return find_child(hunt->live->pid, victims[hunt->victim]) > 0;
}

/* At a random moment of its life, however long its start takes on a busy machine. */
static bool kill_one(struct live *live, int victim, struct rng *rng)
{
    struct hunt hunt = {.live = live, .victim = victim};
    if (victim != DAEMON && !test_wait(is_there, &hunt, APPEAR_MS)) {
        return false;
    }
    (void)poll(NULL, 0, (int)rng_below(rng, 500));
    if (victim == DAEMON) {
        live_kill(live, SIGKILL);
        live_daemon(live, NULL);
        return true;
    }
    pid_t pid = find_child(live->pid, victims[victim]);
    return pid > 0 && kill(pid, SIGKILL) == 0;
}

static void submit(struct live *live, const char *name, const char *backend)
{
    char text[2048], path[TEST_PATH];
    struct live_result r;
    (void)snprintf(text, sizeof(text), job_form, name, backend);
    live_text(live, "job.yaml", text, path);
    live_run(live, &r, "submit", path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
}

static void finish(struct live *live, const char *name, char tensors[TENSORS_TEXT])
{
    struct live_result r;
    struct arena arena;
    struct doc *shown = NULL;
    struct err err = {0};
    live_run(live, &r, "watch", name, "--quiet", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    arena_init(&arena);
    live_run(live, &r, "show", name, "--json", NULL);
    ck_assert_msg(doc_read_json(r.out.data, strlen(r.out.data), NULL, &arena, &shown, &err) == 0,
                  "%s", err.text);
    const struct doc *list = doc_get(shown, "checkpoints");
    ck_assert(list != NULL && list->type == DOC_LIST && list->n > 0);
    const struct doc *last = &list->items[list->n - 1];
    ck_assert_str_eq(doc_str(last, "file", ""), "model.keras");
    (void)snprintf(tensors, TENSORS_TEXT, "%s", doc_str(last, "tensors", ""));
    ck_assert_uint_eq(strlen(tensors), 64);
    live_free(&r);
    arena_fini(&arena);
}

START_TEST(ends_in_the_same_tensors)
{
    struct live live;
    struct live_result r;
    struct rng rng;
    char path[TEST_PATH], want[TENSORS_TEXT], got[TENSORS_TEXT];
    int n[VICTIMS_] = {0};
    if (!live_has("trainer/millrace-trainer") || !live_has("workers/millrace-worker")) {
        test_skip("no trainer");
        return;
    }
    live_start(&live);
    live_daemon(&live, NULL);
    test_path(path, "%s/examples/digits", test_source_root());
    live_run(&live, &r, "dataset", "put", "digits", path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    submit(&live, "alone", backends[_i]);
    finish(&live, "alone", want);
    submit(&live, "hunted", backends[_i]);
    rng_init(&rng, 31, (uint64_t)_i, 0, 0);
    for (int i = 0; i < ROUNDS * VICTIMS_; i++) {
        n[i % VICTIMS_] += kill_one(&live, i % VICTIMS_, &rng);
    }
    finish(&live, "hunted", got);
    printf("# %s: killed trainer %d, worker %d, daemon %d times\n", backends[_i], n[TRAINER],
           n[WORKER], n[DAEMON]);
    ck_assert_str_eq(want, got);
    ck_assert(n[TRAINER] >= 2 && n[WORKER] >= 2 && n[DAEMON] == ROUNDS);
    live_stop(&live);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kills");
    TCase *tcase = tcase_create("kills");
    signal(SIGPIPE, SIG_IGN);
    tcase_set_timeout(tcase, 150);
    tcase_add_loop_test(tcase, ends_in_the_same_tensors, 0,
                        (int)(sizeof(backends) / sizeof(backends[0])));
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
