/* What a person is told about bad input, end to end: the command line, a real daemon, real
 * checkers, workers and trainers. A row each: what is changed in a good job, which exit status,
 * which words. */
#include <errno.h>
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
#include "proto/sock.h"
#include "tests/client/live.h"

enum { SIDE = 12, SAMPLES = 40, CLASSES = 3 };

static struct live live;

/* ---- data
 * ---------------------------------------------------------------------------------------- */

/* A pair of IDX files; n_images is what the header says. */
static void put_idx(const char *name, const char *split, int n_images, int n_labels, int top_label,
                    size_t cut)
{
    unsigned char images[16 + SAMPLES * SIDE * SIDE] = {
        0, 0, 8, 3, 0, 0, 0, (unsigned char)n_images, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    unsigned char labels[8 + SAMPLES] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)n_labels};
    char path[TEST_PATH], file[128];
    for (int i = 0; i < SAMPLES; i++) {
        labels[8 + i] = (unsigned char)(i % CLASSES);
        memset(images + 16 + i * SIDE * SIDE, 60 + 80 * (i % CLASSES), SIDE * SIDE);
    }
    labels[8 + SAMPLES / 2] = (unsigned char)top_label;
    (void)snprintf(file, sizeof(file), "%s/%s-images-idx3-ubyte", name, split);
    live_file(&live, file, images, 16 + (size_t)n_images * SIDE * SIDE - cut, path);
    (void)snprintf(file, sizeof(file), "%s/%s-labels-idx1-ubyte", name, split);
    live_file(&live, file, labels, 8 + (size_t)n_labels, path);
}

static void put(const char *name)
{
    char path[TEST_PATH];
    struct live_result r;
    test_path(path, "%s/%s", live.folder, name);
    live_run(&live, &r, "dataset", "put", name, path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
}

static void setup(void)
{
    live_start(&live);
}

static void teardown(void)
{
    live_stop(&live);
}

static void begin_with_tiny(void)
{
    live_daemon(&live, NULL);
    put_idx("tiny", "train", SAMPLES, SAMPLES, 1, 0);
    put_idx("tiny", "test", SAMPLES, SAMPLES, 1, 0);
    put("tiny");
}

/* ---- jobs
 * ---------------------------------------------------------------------------------------- */

static const char good_job[] = "name: tiny\n"                                               /* 1 */
                               "data:\n"                                                    /* 2 */
                               "  train: {dataset: tiny, split: train}\n"                   /* 3 */
                               "  validation: {dataset: tiny, split: test}\n"               /* 4 */
                               "pipeline:\n"                                                /* 5 */
                               "  - shuffle: {}\n"                                          /* 6 */
                               "  - map:\n"                                                 /* 7 */
                               "      - Rescaling: {scale: 0.004}\n"                        /* 8 */
                               "      - RandomFlip: {mode: horizontal}\n"                   /* 9 */
                               "  - batch: {batch_size: 8}\n"                               /* 10 */
                               "model:\n"                                                   /* 11 */
                               "  - Conv2D: {filters: 2, kernel_size: 3, padding: valid}\n" /* 12 */
                               "  - MaxPooling2D: {}\n"                                     /* 13 */
                               "  - Flatten: {}\n"                                          /* 14 */
                               "  - Dense: {units: 3, activation: softmax}\n"               /* 15 */
                               "compile:\n"                                                 /* 16 */
                               "  optimizer: {Adam: {learning_rate: 0.01}}\n"               /* 17 */
                               "  loss: SparseCategoricalCrossentropy\n"                    /* 18 */
                               "  metrics: [accuracy]\n"                                    /* 19 */
                               "fit: {epochs: 1, seed: 3}\n";                               /* 20 */

/* The good job with one text replaced by another; NULL changes nothing. */
static void write_job(const char *find, const char *with, char path[TEST_PATH])
{
    struct buf text = {0};
    const char *at = find != NULL ? strstr(good_job, find) : NULL;
    ck_assert_msg(find == NULL || at != NULL, "'%s' is not in the job", find);
    if (at == NULL) {
        buf_puts(&text, good_job);
    } else {
        buf_put(&text, good_job, (size_t)(at - good_job));
        buf_printf(&text, "%s%s", with, at + strlen(find));
    }
    live_text(&live, "job.yaml", text.data, path);
    buf_fini(&text);
}

static void expect(const struct live_result *r, int status, const char *const *says, size_t n,
                   const char *what)
{
    ck_assert_msg(r->status == status, "%s: status %d\n%s%s", what, r->status, r->out.data,
                  r->err.data);
    for (size_t i = 0; i < n && says[i] != NULL; i++) {
        ck_assert_msg(strstr(r->err.data, says[i]) != NULL, "%s: no '%s' in\n%s", what, says[i],
                      r->err.data);
    }
}

static const struct {
    const char *find, *with;
    bool trainer; /* only the trainer can know */
    int status;
    const char *says[4];
} rows[] = {
    /* ops and stages */
    {"RandomFlip:",
     "RandomFlp:",
     false,
     2,
     {"job.yaml:9: pipeline[1].map[1]", "'RandomFlp'", "'RandomFlip'", "     9 |"}},
    {"mode: horizontal",
     "mod: horizontal",
     false,
     2,
     {"job.yaml:9: pipeline[1].map[1].RandomFlip", "'mod'", "'mode'"}},
    {"RandomFlip: {mode: horizontal}",
     "RandomRotation: {factor: 0.1, fill_mode: reflet}",
     false,
     2,
     {"job.yaml:9: pipeline[1].map[1].RandomRotation.fill_mode", "reflet", "reflect"}},
    {"scale: 0.004",
     "scale: much",
     false,
     2,
     {"job.yaml:8: pipeline[1].map[0].Rescaling.scale", "number", "much"}},
    {"shuffle: {}", "shufle: {}", false, 2, {"job.yaml:6: pipeline[0]", "'shufle'", "'shuffle'"}},
    {"batch_size: 8",
     "batch_size: 0",
     false,
     2,
     {"job.yaml:10: pipeline[2].batch.batch_size", "0"}},
    {"batch_size: 8", "batch_sizes: 8", false, 2, {"job.yaml:10:", "'batch_size'"}},
    /* data */
    {"train: {dataset: tiny",
     "train: {dataset: tny",
     false,
     3,
     {"job.yaml:3: data.train.dataset", "'tny'", "'tiny'"}},
    {"split: train", "split: trian", false, 2, {"job.yaml:3: data.train", "'trian'"}},
    /* the top level */
    {"epochs: 1", "epoch: 1", false, 2, {"job.yaml:20: fit.epoch", "epochs"}},
    {"epochs: 1", "epochs: 0", false, 2, {"job.yaml:20: fit.epochs", "0"}},
    {"fit:", "fitt:", false, 2, {"job.yaml:20: fitt", "fit"}},
    {"  - batch: {batch_size: 8}\n", "  - batch: {batch_size: 8\n", false, 2, {"job.yaml:1"}},
    /* layers, losses, optimizers */
    {"Conv2D:", "Conv2d:", true, 2, {"job.yaml:12: model[0]", "Conv2d", "Conv2D"}},
    {"filters: 2", "filtres: 2", true, 2, {"job.yaml:12: model[0].Conv2D", "filtres", "filters"}},
    {"filters: 2", "filters: -2", true, 2, {"job.yaml:12: model[0].Conv2D.filters", "-2"}},
    {"padding: valid",
     "padding: vlaid",
     true,
     2,
     {"job.yaml:12: model[0].Conv2D.padding", "vlaid", "valid"}},
    {"activation: softmax",
     "activation: softmx",
     true,
     2,
     {"job.yaml:15: model[3].Dense.activation", "softmx", "softmax"}},
    {"Adam:", "Adm:", true, 2, {"job.yaml:17: compile.optimizer", "Adm", "Adam"}},
    {"learning_rate: 0.01",
     "learning_rte: 0.01",
     true,
     2,
     {"job.yaml:17: compile.optimizer", "learning_rte", "learning_rate"}},
    {"loss: SparseCategoricalCrossentropy",
     "loss: SparseCategoricalCrosentropy",
     true,
     2,
     {"job.yaml:18: compile.loss", "SparseCategoricalCrosentropy",
      "SparseCategoricalCrossentropy"}},
    {"metrics: [accuracy]",
     "metrics: [acuracy]",
     true,
     2,
     {"job.yaml:19: compile.metrics", "acuracy", "Accuracy"}},
    /* shapes: both layers, both shapes */
    {"kernel_size: 3, padding: valid",
     "kernel_size: 13, padding: valid",
     true,
     2,
     {"job.yaml:12: model[0]", "12", "13"}},
    {"MaxPooling2D: {}\n  - Flatten: {}",
     "Flatten: {}\n  - MaxPooling2D: {}",
     true,
     2,
     {"job.yaml:14: model[2]", "flatten", "(None, 200)", "max_pooling2d"}},
};

static void check_row(size_t i)
{
    char path[TEST_PATH];
    struct live_result r;
    write_job(rows[i].find, rows[i].with, path);
    live_run(&live, &r, "check", path, NULL);
    expect(&r, rows[i].status, rows[i].says, 4, rows[i].with);
    live_free(&r);
}

/* What a newcomer meets first: the job's data set is not there yet. */
START_TEST(says_how_to_store_a_data_set)
{
    static const char *const none[] = {"job.yaml:3: data.train.dataset", "no data set 'tiny'",
                                       "`millrace dataset put NAME PATH` stores one"};
    static const char *const other[] = {"no data set 'quite-another'", "`millrace dataset list`"};
    char path[TEST_PATH];
    struct live_result r;
    live_daemon(&live, NULL);
    write_job(NULL, NULL, path);
    live_run(&live, &r, "check", path, NULL);
    expect(&r, 3, none, 3, "none");
    live_free(&r);
    put_idx("tiny", "train", SAMPLES, SAMPLES, 1, 0);
    put_idx("tiny", "test", SAMPLES, SAMPLES, 1, 0);
    put("tiny");
    live_run(&live, &r, "dataset", "show", "quite-another", NULL);
    expect(&r, 3, other, 2, "another");
    live_free(&r);
}
END_TEST

START_TEST(names_what_is_wrong_in_a_job)
{
    begin_with_tiny();
    bool trainer = live_has("trainer/millrace-trainer");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (trainer || !rows[i].trainer) {
            check_row(i);
        }
    }
    if (!trainer) {
        test_skip("no millrace-trainer is built: layers, losses and shapes are not tried");
    }
}
END_TEST

#define NEED_TRAINER()                             \
    if (!live_has("trainer/millrace-trainer")) {   \
        test_skip("no millrace-trainer is built"); \
        return;                                    \
    }

START_TEST(runs_the_good_job)
{
    char path[TEST_PATH];
    struct live_result r;
    NEED_TRAINER();
    begin_with_tiny();
    write_job(NULL, NULL, path);
    live_run(&live, &r, "run", path, NULL);
    expect(&r, 0, NULL, 0, "the good job");
    ck_assert_ptr_nonnull(strstr(r.err.data, "epoch 1/1"));
    ck_assert_ptr_nonnull(strstr(r.out.data, "val_accuracy"));
    ck_assert_ptr_nonnull(strstr(r.out.data, ".keras"));
    ck_assert_ptr_null(strchr(r.err.data, '\r')); /* no terminal: no drawing */
    live_free(&r);
    live_run(&live, &r, "predict", "tiny", "--rows=0,1", NULL);
    expect(&r, 0, NULL, 0, "predict");
    ck_assert_ptr_nonnull(strstr(r.out.data, "row 1"));
    live_free(&r);
    static const struct {
        const char *words[3];
        int status;
        const char *says[4];
    } wrong[] = {
        {{"predict", "tiny", "--rows=0,4000"}, 2, {"4000"}},
        {{"predict", "tiny", "--split=val"},
         3,
         {"'tiny/val'", "'tiny/train' to train on", "'tiny/test' held out"}},
        {{"predict", "tiny", "--dataset=other"}, 3, {"'other'", "'tiny/train' to train on"}},
        {{"cancel", "tiny-1", NULL}, 2, {"cannot cancel tiny-1: it is finished"}},
        {{"resume", "tiny-1", NULL}, 2, {"cannot resume tiny-1: it is finished"}},
        {{"show", "tinny", NULL}, 3, {"'tinny'", "'tiny-1'"}},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *const *w = wrong[i].words;
        live_run(&live, &r, w[0], w[1], w[2], NULL);
        expect(&r, wrong[i].status, wrong[i].says, 4, w[2] != NULL ? w[2] : w[0]);
        live_free(&r);
    }
}
END_TEST

START_TEST(names_a_label_out_of_range)
{
    static const char *const says[] = {"job.yaml:15: model[3].Dense", "8 classes", "3 wide",
                                       "row 20 of 'train-labels-idx1-ubyte' has label 7"};
    char path[TEST_PATH];
    struct live_result r;
    NEED_TRAINER();
    live_daemon(&live, NULL);
    put_idx("tiny", "train", SAMPLES, SAMPLES, 7, 0);
    put_idx("tiny", "test", SAMPLES, SAMPLES, 1, 0);
    put("tiny");
    write_job(NULL, NULL, path);
    live_run(&live, &r, "run", path, NULL);
    expect(&r, 2, says, 4, "label");
    live_free(&r);
}
END_TEST

/* Only the held-out data has it: no step of training would ever meet it. */
START_TEST(names_a_label_out_of_range_behind_training)
{
    static const char *const says[] = {"job.yaml:4: data.validation", "8 classes",
                                       "data.train has 3",
                                       "row 20 of 'test-labels-idx1-ubyte' has label 7"};
    char path[TEST_PATH];
    struct live_result r;
    live_daemon(&live, NULL);
    put_idx("tiny", "train", SAMPLES, SAMPLES, 1, 0);
    put_idx("tiny", "test", SAMPLES, SAMPLES, 7, 0);
    put("tiny");
    write_job(NULL, NULL, path);
    live_run(&live, &r, "check", path, NULL);
    ck_assert_int_ne(r.status, 0);
    expect(&r, r.status, says, 4, "label of validation");
    live_free(&r);
}
END_TEST

/* ---- files
 * --------------------------------------------------------------------------------------- */

static const struct {
    int n_images, n_labels;
    size_t cut;
    const char *says[3];
} sizes[] = {
    {SAMPLES, SAMPLES - 1, 0, {"train-", "40", "39"}},
    {SAMPLES, SAMPLES, 100, {"train-images-idx3-ubyte"}},
};

START_TEST(names_idx_files_with_wrong_sizes)
{
    char path[TEST_PATH];
    struct live_result r;
    live_daemon(&live, NULL);
    put_idx("tiny", "train", sizes[_i].n_images, sizes[_i].n_labels, 1, sizes[_i].cut);
    put_idx("tiny", "test", SAMPLES, SAMPLES, 1, 0);
    put("tiny");
    write_job(NULL, NULL, path);
    live_run(&live, &r, "check", path, NULL);
    ck_assert_int_ne(r.status, 0);
    expect(&r, r.status, sizes[_i].says, 3, "sizes");
    live_free(&r);
}
END_TEST

START_TEST(names_an_empty_class_folder)
{
    static const char *const says[] = {"train/b", "no files"};
    char path[TEST_PATH];
    struct live_result r;
    live_daemon(&live, NULL);
    live_text(&live, "set/train/a/1.jpg", "x", path);
    live_text(&live, "set/train/c/1.jpg", "x", path);
    test_path(path, "%s/set/train/b", live.folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    test_path(path, "%s/set", live.folder);
    live_run(&live, &r, "dataset", "put", "set", path, NULL);
    expect(&r, 2, says, 2, "empty class");
    live_free(&r);
    test_path(path, "%s/notes", live.folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    live_text(&live, "notes/a.odt", "x", path);
    test_path(path, "%s/notes", live.folder);
    live_run(&live, &r, "dataset", "put", "set", path, NULL);
    const char *const nothing[] = {path, "no file ends in .jpg"};
    expect(&r, 2, nothing, 2, "no pictures");
    live_free(&r);
    live_run(&live, &r, "dataset", "put", "set", "/nonexistent/set", NULL);
    static const char *const missing[] = {"/nonexistent/set"};
    expect(&r, 3, missing, 1, "no folder");
    live_free(&r);
    live_run(&live, &r, "dataset", "put", "../x", path, NULL);
    ck_assert_int_ne(r.status, 0);
    live_free(&r);
}
END_TEST

static const char image_job[] =
    "name: pictures\n"
    "data:\n"
    "  train: {dataset: pictures, split: train}\n"
    "  on_error: %s\n"
    "  max_bad: 0.5\n"
    "pipeline:\n"
    "  - map: [{Rescaling: {scale: 0.004}}]\n"
    "  - batch: {batch_size: 4}\n"
    "model: [{GlobalAveragePooling2D: {}}, {Dense: {units: 2, activation: softmax}}]\n"
    "compile: {optimizer: SGD, loss: SparseCategoricalCrossentropy}\n"
    "fit: {epochs: 12}\n"; /* one bad sample an epoch is not twelve */

/* Twelve good pictures of two classes, and one that is cut off. */
static void put_pictures(const char *shared)
{
    static const char *const classes[] = {"cups", "dune"};
    char from[TEST_PATH], to[128], path[TEST_PATH];
    for (int i = 0; i < 12; i++) {
        struct buf bytes = {0};
        test_path(from, "%s/data/photo_patches/train/%s", shared, classes[i % 2]);
        (void)snprintf(to, sizeof(to), "pictures/train/%s/%02d.jpg", classes[i % 2], i);
        test_path(path, "%s/%03d.jpg", from, i);
        ck_assert_msg(file_read(AT_FDCWD, path, 1 << 20, &bytes, NULL) >= 0, "%s", path);
        live_file(&live, to, bytes.data, i == 5 ? bytes.size / 4 : bytes.size, path);
        buf_fini(&bytes);
    }
    put("pictures");
}

START_TEST(names_a_broken_picture)
{
    static const char *const says[] = {"train/dune/05.jpg: "};
    TEST_NEED_SHARED(shared);
    NEED_TRAINER();
    live_daemon(&live, NULL);
    put_pictures(shared);
    static const struct {
        const char *on_error;
        int status;
    } ways[] = {{"fail", 4}, {"skip", 0}, {"replace", 0}};
    for (size_t i = 0; i < 3; i++) {
        char path[TEST_PATH], text[1024];
        struct live_result r;
        (void)snprintf(text, sizeof(text), image_job, ways[i].on_error);
        live_text(&live, "pictures.yaml", text, path);
        live_run(&live, &r, "run", path, NULL);
        expect(&r, ways[i].status, says, 1, ways[i].on_error);
        live_free(&r);
        if (ways[i].status == 0) {
            live_run(&live, &r, "show", "pictures", "--json", NULL);
            ck_assert_ptr_nonnull(strstr(r.out.data, "train/dune/05.jpg"));
            ck_assert_ptr_nonnull(strstr(r.out.data, "\"samples_bad\""));
            live_free(&r);
        } else {
            live_run(&live, &r, "list", NULL);
            ck_assert_msg(strstr(r.out.data, says[0]) != NULL, "%s", r.out.data);
            live_free(&r);
        }
    }
}
END_TEST

/* ---- the daemon
 * ---------------------------------------------------------------------------------- */

START_TEST(keeps_a_data_set_in_use)
{
    static const char *const says[] = {"tiny", "tiny-1"};
    char path[TEST_PATH];
    struct live_result r;
    NEED_TRAINER();
    begin_with_tiny();
    write_job("epochs: 1", "epochs: 100000", path);
    live_run(&live, &r, "submit", path, NULL);
    expect(&r, 0, NULL, 0, "submit");
    live_free(&r);
    live_run(&live, &r, "dataset", "remove", "tiny", NULL);
    expect(&r, 1, says, 2, "remove");
    live_free(&r);
    live_run(&live, &r, "cancel", "tiny", NULL);
    expect(&r, 0, NULL, 0, "cancel");
    live_free(&r);
    live_run(&live, &r, "watch", "tiny", NULL);
    ck_assert_int_eq(r.status, 4);
    live_free(&r);
    live_run(&live, &r, "dataset", "remove", "tiny", NULL);
    expect(&r, 0, NULL, 0, "remove after the job");
    live_free(&r);
}
END_TEST

START_TEST(refuses_a_second_daemon)
{
    char program[TEST_PATH], run_dir[TEST_PATH], state_dir[TEST_PATH], log[TEST_PATH];
    struct buf said = {0};
    int status = 0;
    live_daemon(&live, NULL);
    test_path(program, "%s/daemon/millraced", test_build_root());
    test_path(run_dir, "--run-dir=%s/run2", live.folder);
    test_path(state_dir, "--state-dir=%s/state", live.folder);
    test_path(log, "%s/second.log", live.folder);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT, 0600);
        dup2(fd, STDERR_FILENO);
        execl(program, program, run_dir, state_dir, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_ge(file_read(AT_FDCWD, log, 1 << 20, &said, NULL), 0);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%s", said.data);
    ck_assert_msg(strstr(said.data, "state") != NULL && strstr(said.data, "another") != NULL, "%s",
                  said.data);
    buf_fini(&said);
    struct live_result r;
    live_run(&live, &r, "status", NULL);
    ck_assert_int_eq(r.status, 0);
    live_free(&r);
}
END_TEST

/* A client that only speaks a later protocol is told which one is spoken here. */
START_TEST(refuses_another_protocol)
{
    const struct msg_hello hello = {
        .protocol_min = 99, .protocol_max = 100, .program = "millrace 9.9"};
    char address[TEST_PATH + 32];
    struct sock *sock = NULL;
    struct msg msg = {.id = 0};
    struct arena arena;
    struct err err = {0};
    live_daemon(&live, NULL);
    arena_init(&arena);
    struct sock_context *context = sock_context_create();
    (void)snprintf(address, sizeof(address), "ipc://%s/control.sock", live.run_dir);
    ck_assert_msg(sock_open_dealer(context, address, NULL, &sock, &err) == 0, "%s", err.text);
    ck_assert_int_eq(sock_send(sock, NULL, MSG_HELLO, 1, &hello, NULL, 0, &err), 0);
    ck_assert_int_ne(sock_poll(sock, NULL, 0, 60000), 0);
    ck_assert_msg(sock_recv(sock, NULL, &arena, &msg, NULL, NULL, NULL, &err) == 0, "%s", err.text);
    ck_assert_int_eq(msg.type, MSG_ERROR);
    const struct msg_error *error = msg.body;
    ck_assert_int_eq(error->code, ERR_VERSION);
    ck_assert_msg(strstr(error->text, "99") != NULL && strstr(error->text, "1") != NULL, "%s",
                  error->text);
    sock_close(sock);
    sock_context_destroy(context);
    arena_fini(&arena);
}
END_TEST

/* A small disk of our own, that vanishes with this process. */
static bool small_disk(const char *path, const char *size)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", path, "tmpfs", 0, size) == 0;
}

START_TEST(says_that_the_disk_is_full)
{
    static const char *const says[] = {"space", "same command again"};
    static const char *const no_reserve[] = {"--reserve-bytes=0", NULL};
    enum { BIG = 12 << 20 };
    char state[TEST_PATH], path[TEST_PATH];
    struct live_result r;
    unsigned char *bytes = malloc(BIG);
    test_path(state, "%s/state", live.folder);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    if (!small_disk(state, "size=8m")) {
        free(bytes);
        test_skip("a small tmpfs needs root");
        return;
    }
    struct rng rng;
    rng_init(&rng, 1, 2, 3, 4);
    for (size_t i = 0; i < BIG; i++) {
        bytes[i] = (unsigned char)rng_u32(&rng);
    }
    live_file(&live, "big/train-images-idx3-ubyte", bytes, BIG, path);
    free(bytes);
    test_path(path, "%s/big", live.folder);
    live_daemon(&live, no_reserve);
    live_run(&live, &r, "dataset", "put", "big", path, NULL);
    expect(&r, 1, says, 2, "full disk");
    live_free(&r);
    ck_assert_int_eq(mount("tmpfs", state, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    live_run(&live, &r, "dataset", "put", "big", path, NULL);
    expect(&r, 0, NULL, 0, "room again");
    live_free(&r);
    live_run(&live, &r, "dataset", "verify", "big", NULL);
    expect(&r, 0, NULL, 0, "verify");
    live_free(&r);
    live_kill(&live, SIGTERM);
    umount2(state, MNT_DETACH);
}
END_TEST

static bool is_over(void *arg)
{
    struct live_result r;
    live_run(&live, &r, "watch", "tiny", NULL);
    bool over = r.status == 0;
    *(int *)arg = r.status;
    live_free(&r);
    return over;
}

static bool has_checkpoint(void *arg)
{
    struct live_result r;
    (void)arg;
    live_run(&live, &r, "show", "tiny", "--json", NULL);
    bool has = strstr(r.out.data, "ckpt-") != NULL;
    live_free(&r);
    return has;
}

/* The disk fills in the middle of a job: it pauses and says why, and goes on when there is room. */
START_TEST(pauses_when_the_disk_is_full)
{
    static const char *const says[] = {"is paused", "No space left"};
    static const char *const no_reserve[] = {"--reserve-bytes=0", "--retry-seconds=1", NULL};
    static const char zeros[1 << 16];
    char state[TEST_PATH], path[TEST_PATH], filler[TEST_PATH];
    struct live_result r;
    int status = 0;
    NEED_TRAINER();
    test_path(state, "%s/state", live.folder);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    if (!small_disk(state, "size=6m")) {
        test_skip("a small tmpfs needs root");
        return;
    }
    live_daemon(&live, no_reserve);
    put_idx("tiny", "train", SAMPLES, SAMPLES, 1, 0);
    put_idx("tiny", "test", SAMPLES, SAMPLES, 1, 0);
    put("tiny");
    write_job("      - Rescaling", "      - Sleep: {microseconds: 2000}\n      - Rescaling", path);
    live_run(&live, &r, "submit", path, "--epochs=40", NULL);
    expect(&r, 0, NULL, 0, "submit");
    live_free(&r);
    ck_assert(test_wait(has_checkpoint, NULL, 60000));
    test_path(filler, "%s/filler", state);
    int fd = open(filler, O_WRONLY | O_CREAT, 0600);
    while (write(fd, zeros, sizeof(zeros)) > 0) {
    }
    close(fd);
    live_run(&live, &r, "watch", "tiny", NULL);
    expect(&r, 1, says, 2, "full disk");
    live_free(&r);
    ck_assert_int_eq(unlink(filler), 0);
    ck_assert_msg(test_wait(is_over, &status, 90000), "it does not go on: %d", status);
    live_kill(&live, SIGTERM);
    umount2(state, MNT_DETACH);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("messages");
    TCase *tcase = tcase_create("messages");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, says_how_to_store_a_data_set);
    tcase_add_test(tcase, names_what_is_wrong_in_a_job);
    tcase_add_test(tcase, runs_the_good_job);
    tcase_add_test(tcase, names_a_label_out_of_range);
    tcase_add_test(tcase, names_a_label_out_of_range_behind_training);
    tcase_add_loop_test(tcase, names_idx_files_with_wrong_sizes, 0,
                        sizeof(sizes) / sizeof(sizes[0]));
    tcase_add_test(tcase, names_an_empty_class_folder);
    tcase_add_test(tcase, names_a_broken_picture);
    tcase_add_test(tcase, keeps_a_data_set_in_use);
    tcase_add_test(tcase, refuses_a_second_daemon);
    tcase_add_test(tcase, refuses_another_protocol);
    tcase_add_test(tcase, says_that_the_disk_is_full);
    tcase_add_test(tcase, pauses_when_the_disk_is_full);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
