#include "daemon/submit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/check.h"
#include "daemon/dataset.h"
#include "daemon/drain.h"
#include "daemon/jobs_rows.h"
#include "daemon/journal.h"
#include "daemon/schedule.h"
#include "daemon/store.h"
#include "proto/job.h"

enum { JOB_TEXT_MAX = 4 << 20 };

/* What a submission says, read at its top level; everything lives in the arena. */
struct order {
    struct arena arena;
    struct job_spec spec;
    struct job_pin *pins;
    int64_t n_pins;
    struct job *from; /* or NULL */
    char *text;       /* the job as JSON */
    size_t size;
    struct doc *settings;
};

static int pin_datasets(const struct daemon *daemon, struct order *order, struct err *err)
{
    struct opt_strs names;
    job_datasets(&order->spec, &order->arena, &names);
    order->pins = arena_array(&order->arena, names.n + 1, sizeof(order->pins[0]));
    for (size_t i = 0; i < names.n; i++) {
        struct dataset *dataset = NULL;
        int rc = dataset_get(daemon, names.v[i], &dataset, err);
        if (rc < 0) {
            const char *train = order->spec.data.train.dataset;
            bool is_train = train != NULL && !strcmp(train, names.v[i]);
            struct err found = *err;
            return err_set_at(err, rc, is_train ? "data.train.dataset" : "data.validation.dataset",
                              "%s", found.text);
        }
        order->pins[i].name = arena_strdup(&order->arena, names.v[i]); /* "digits@1" stays so */
        order->pins[i].id = arena_strdup(&order->arena, dataset->id);
        order->n_pins++;
    }
    if (names.n == 0) {
        return err_set_at(err, ERR_MISSING, "data.train.dataset",
                          "a job needs a data set to train with");
    }
    return 0;
}

static int find_from(const struct daemon *daemon, const char *from, struct order *order,
                     struct err *err)
{
    const char *name = from != NULL && *from != '\0' ? from : job_model_from(&order->spec);
    if (name == NULL) {
        return 0;
    }
    int rc = jobs_get(daemon, name, &order->from, err);
    if (rc < 0) {
        struct err found = *err;
        return err_set_at(err, rc, "model.from", "%s", found.text);
    }
    if (jobs_newest(order->from) == NULL) {
        return err_set_at(err, ERR_NOT_FOUND, "model.from", "the job %s has no model yet",
                          order->from->id);
    }
    return 0;
}

static void take_settings(struct order *order)
{
    struct arena *arena = &order->arena;
    const struct job_resources *resources = &order->spec.resources;
    order->settings = doc_new(arena);
    doc_set_map(order->settings);
    doc_put_int(order->settings, arena, "workers", resources->workers);
    doc_put_int(order->settings, arena, "max_workers", resources->max_workers);
    doc_put_int(order->settings, arena, "threads", resources->threads);
    doc_put_bool(order->settings, arena, "inline", resources->transport == JOB_TRANSPORT_INLINE);
    doc_put_int(order->settings, arena, "epochs", order->spec.fit.epochs);
}

static int read_order(const struct daemon *daemon, const struct doc *job, const char *from,
                      struct order *order, struct err *err)
{
    struct buf text;
    int rc = job_read(job, &order->arena, &order->spec, err);
    if (rc >= 0) {
        rc = pin_datasets(daemon, order, err);
    }
    if (rc >= 0) {
        rc = find_from(daemon, from, order, err);
    }
    if (rc < 0) {
        return rc;
    }
    buf_init(&text);
    doc_write_json(job, 0, &text);
    order->size = text.size;
    order->text = arena_strndup(&order->arena, text.data, text.size);
    buf_fini(&text);
    take_settings(order);
    return order->size <= JOB_TEXT_MAX
               ? 0
               : err_set(err, ERR_LIMIT, "the job has %zu bytes as JSON", order->size);
}

static int open_model(const struct job *from, int *ret_fd, struct err *err)
{
    int folder = -1;
    int rc = jobs_folder(from, &folder, err);
    if (rc < 0) {
        return rc;
    }
    *ret_fd = openat(folder, jobs_newest(from), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    rc = *ret_fd < 0 ? err_errno(err, errno, "open the model of job %s", from->id) : 0;
    close(folder);
    return rc;
}

int submit_read(const struct daemon *daemon, const struct doc *job, struct arena *arena,
                struct check_input *ret, struct err *err)
{
    struct order order = {.n_pins = 0};
    arena_init(&order.arena);
    int rc = read_order(daemon, job, NULL, &order, err);
    struct job_pin *pins = arena_array(arena, (size_t)order.n_pins + 1, sizeof(*pins));
    for (int64_t i = 0; i < order.n_pins; i++) {
        pins[i].name = arena_strdup(arena, order.pins[i].name);
        pins[i].id = arena_strdup(arena, order.pins[i].id);
    }
    *ret = (struct check_input){.id = "preview", .pins = pins, .n_pins = order.n_pins};
    ret->size = rc < 0 ? 0 : order.size;
    ret->text = rc < 0 ? NULL : arena_strndup(arena, order.text, order.size);
    ret->model_fd = -1;
    arena_fini(&order.arena);
    return rc < 0 ? rc : 0;
}

/* ---- job.check
 * ---------------------------------------------------------------------------------------------- */

struct question {
    struct daemon *daemon;
    struct request request;
};

static void on_question_checked(void *context, const struct doc *plan, const struct err *err)
{
    struct question *question = context;
    if (plan == NULL) {
        control_error(question->daemon, &question->request, err);
    } else {
        struct arena arena;
        arena_init(&arena);
        struct doc *map = doc_new(&arena);
        doc_set_map(map);
        doc_copy(doc_put(map, &arena, "plan"), &arena, plan);
        control_reply(question->daemon, &question->request, map);
        arena_fini(&arena);
    }
    free(question);
}

void submit_on_check(struct daemon *daemon, const struct request *request, const void *body,
                     const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_job_submit *submit = body;
    struct order order = {.n_pins = 0};
    struct err err = {0};
    arena_init(&order.arena);
    int model_fd = -1;
    int rc = read_order(daemon, submit->job, submit->from, &order, &err);
    if (rc >= 0 && order.from != NULL) {
        rc = open_model(order.from, &model_fd, &err);
    }
    if (rc >= 0) {
        struct question *question = calloc(1, sizeof(*question));
        BUG_ON(question == NULL);
        question->daemon = daemon;
        question->request = *request;
        const struct check_input input = {.id = "check",
                                          .text = order.text,
                                          .size = order.size,
                                          .pins = order.pins,
                                          .n_pins = order.n_pins,
                                          .model_fd = model_fd};
        struct check *check = NULL;
        rc = check_start(daemon, &input, on_question_checked, question, &check, &err);
        if (rc < 0) {
            free(question);
        }
    }
    if (rc < 0) {
        control_error(daemon, request, &err);
    }
    arena_fini(&order.arena);
}

/* ---- job.submit
 * --------------------------------------------------------------------------------------------- */

struct waiting {
    struct waiting *next;
    struct request request;
    enum submit_until until;
};

void submit_wait(struct job *job, const struct request *request, enum submit_until until)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    BUG_ON(waiting == NULL);
    waiting->request = *request;
    waiting->until = until;
    waiting->next = job->waiting;
    job->waiting = waiting;
}

static void answer(struct job *job)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    jobs_write(job, true, map, &arena);
    struct waiting **link = &job->waiting;
    while (*link != NULL) {
        struct waiting *waiting = *link;
        bool checked = job->plan != NULL || job->adapting != NULL || jobs_is_over(job);
        if ((waiting->until == SUBMIT_UNTIL_CHECKED && !checked) ||
            (waiting->until == SUBMIT_UNTIL_LEFT && job->run != NULL)) {
            link = &waiting->next;
            continue;
        }
        *link = waiting->next;
        if (waiting->until == SUBMIT_UNTIL_CHECKED && job->plan == NULL && job->reason.code != 0) {
            control_error(job->daemon, &waiting->request, &job->reason);
        } else {
            control_reply(job->daemon, &waiting->request, map);
        }
        free(waiting);
    }
    arena_fini(&arena);
}

void submit_saved(struct job *job)
{
    job->stored = true;
    if (job->state == JOB_QUEUED) {
        schedule_kick(job->daemon);
    }
    answer(job);
}

void submit_unsaved(struct job *job, int status)
{
    if (job->stored || jobs_is_over(job)) {
        answer(job);
        return;
    }
    struct err err = {0};
    err_set(&err, status, "the job cannot be stored: %s", err_find(status)->sentence);
    job->key = NULL; /* so that the client may try again */
    jobs_step(job, JOB_EVENT_FAIL, &err, NULL);
    answer(job);
}

static void on_job_checked(void *context, const struct doc *plan, const struct err *err)
{
    struct job *job = context;
    job->check = NULL;
    job->adapting = NULL;
    if (plan == NULL) {
        jobs_step(job, JOB_EVENT_FAIL, err, NULL);
    } else {
        struct doc *kept = doc_new(&job->arena);
        doc_copy(kept, &job->arena, plan);
        job->plan = kept;
        jobs_step(job, JOB_EVENT_CHECKED, NULL, NULL);
    }
    schedule_kick(job->daemon);
}

/* What its pipeline computes once takes a while: the client hears that the job is there. */
static void on_job_adapting(void *context, const struct doc *progress)
{
    struct job *job = context;
    if (progress == NULL) {
        jobs_step(job, JOB_EVENT_CHECK, NULL, NULL);
        return;
    }
    arena_reset(&job->progress_arena);
    job->progress = NULL;
    job->adapting = doc_new(&job->progress_arena);
    doc_copy(job->adapting, &job->progress_arena, progress);
    if (job->state == JOB_CHECKING) {
        jobs_step(job, JOB_EVENT_ADAPT, NULL, NULL);
    }
    journal_send(job, "adapting", job->adapting);
}

static int64_t count_workers(const struct job *job)
{
    const int64_t workers = job->settings != NULL ? doc_int(job->settings, "workers", 0) : 0;
    const int64_t most = job->settings != NULL ? doc_int(job->settings, "max_workers", 0) : 0;
    return drain_workers(job->settings, workers > 0 ? workers : most);
}

static int start_check(struct job *job, struct err *err)
{
    struct buf text;
    int folder = -1;
    int model_fd = -1;
    buf_init(&text);
    int rc = jobs_folder(job, &folder, err);
    if (rc >= 0) {
        rc = file_read(folder, "job.json", JOB_TEXT_MAX + 1, &text, err);
    }
    if (rc >= 0 && job->from != NULL) {
        model_fd = openat(folder, "from.keras", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        rc = model_fd < 0 ? err_errno(err, errno, "open the model of job %s", job->from) : 0;
    }
    if (rc >= 0) {
        const struct check_input input = {.id = job->id,
                                          .text = text.data,
                                          .size = text.size,
                                          .pins = job->pins,
                                          .n_pins = job->n_pins,
                                          .model_fd = model_fd,
                                          .adapt = on_job_adapting,
                                          .workers = count_workers(job)};
        rc = check_start(job->daemon, &input, on_job_checked, job, &job->check, err);
    }
    if (folder >= 0) {
        close(folder);
    }
    buf_fini(&text);
    return rc;
}

void submit_check_job(struct job *job)
{
    struct err err = {0};
    if (jobs_step(job, JOB_EVENT_CHECK, NULL, &err) >= 0 && start_check(job, &err) >= 0) {
        return;
    }
    jobs_step(job, JOB_EVENT_FAIL, &err, NULL);
}

/* Writes job.json, and the model that it starts from as a link of its own: that other job may prune
 * its checkpoints. */
struct folder_task {
    struct store_task task;
    struct daemon *daemon;
    char id[JOBS_ID];
    int folder, from_folder;
    char *text, *from_file;
    size_t size;
};

static int run_folder(struct store_task *base, struct db *db, struct err *err)
{
    (void)db;
    struct folder_task *task = (struct folder_task *)base;
    int rc = file_write_atomic(task->folder, "job.json", task->text, task->size, err);
    if (rc >= 0 && task->from_file != NULL &&
        linkat(task->from_folder, task->from_file, task->folder, "from.keras", 0) != 0 &&
        errno != EEXIST) {
        rc = err_errno(err, errno, "link the model '%s'", task->from_file);
    }
    if (rc >= 0 && (fsync(task->folder) != 0 || fsync(task->daemon->jobs_fd) != 0)) {
        rc = err_errno(err, errno, "sync the folder of job %s", task->id);
    }
    return rc;
}

static void done_folder(struct store_task *base)
{
    struct folder_task *task = (struct folder_task *)base;
    struct job *job = jobs_find(task->daemon, task->id);
    if (base->status < 0) {
        job->key = NULL;
        jobs_step(job, JOB_EVENT_FAIL, &base->err, NULL);
    } else {
        task->daemon->counters[COUNT_JOBS_SUBMITTED]++;
        jobs_save(job);
    }
    close(task->folder);
    if (task->from_folder >= 0) {
        close(task->from_folder);
    }
    free(task->text);
    free(task->from_file);
    free(task);
}

static int store_folder(struct job *job, const struct order *order, struct err *err)
{
    struct folder_task *task = calloc(1, sizeof(*task));
    BUG_ON(task == NULL);
    task->daemon = job->daemon;
    task->from_folder = -1;
    memcpy(task->id, job->id, sizeof(task->id));
    int rc = jobs_folder(job, &task->folder, err);
    if (rc >= 0 && order->from != NULL) {
        rc = jobs_folder(order->from, &task->from_folder, err);
        task->from_file = strdup(jobs_newest(order->from));
    }
    if (rc < 0) {
        free(task->from_file);
        free(task);
        return rc;
    }
    task->text = strdup(order->text);
    task->size = order->size;
    BUG_ON(task->text == NULL);
    store_task_init(&task->task, run_folder, done_folder, false);
    store_put(job->daemon->store, &task->task);
    return 0;
}

static struct job *make_job(struct daemon *daemon, const struct order *order, const char *key)
{
    struct job *job = jobs_new(daemon, order->spec.name);
    job->key = key != NULL && *key != '\0' ? arena_strdup(&job->arena, key) : NULL;
    job->from = order->from != NULL ? arena_strdup(&job->arena, order->from->id) : NULL;
    job->pins = arena_array(&job->arena, (size_t)order->n_pins + 1, sizeof(job->pins[0]));
    job->n_pins = order->n_pins;
    for (int64_t i = 0; i < order->n_pins; i++) {
        job->pins[i].name = arena_strdup(&job->arena, order->pins[i].name);
        job->pins[i].id = arena_strdup(&job->arena, order->pins[i].id);
    }
    struct doc *settings = doc_new(&job->arena);
    doc_copy(settings, &job->arena, order->settings);
    job->settings = settings;
    return job;
}

/* The same key gives the same job, whether it is being checked, trains or is over. */
static bool answer_known(struct daemon *daemon, const struct request *request, const char *key)
{
    struct job *job = jobs_find_key(daemon, key != NULL && *key != '\0' ? key : NULL);
    if (job == NULL) {
        return false;
    }
    submit_wait(job, request, SUBMIT_UNTIL_CHECKED);
    answer(job);
    return true;
}

void submit_on_submit(struct daemon *daemon, const struct request *request, const void *body,
                      const struct sock_frame *frames, int n_frames)
{
    (void)frames;
    (void)n_frames;
    const struct msg_job_submit *submit = body;
    struct order order = {.n_pins = 0};
    struct err err = {0};
    if (answer_known(daemon, request, submit->key)) {
        return;
    }
    arena_init(&order.arena);
    int rc = read_order(daemon, submit->job, submit->from, &order, &err);
    int64_t n_waiting = jobs_count(daemon, JOB_QUEUED) + jobs_count(daemon, JOB_CHECKING);
    if (rc >= 0 && n_waiting >= daemon->settings->max_queue) {
        rc = err_set(&err, ERR_LIMIT, "%lld jobs wait already (max_queue)", (long long)n_waiting);
    }
    if (rc < 0) {
        control_error(daemon, request, &err);
        arena_fini(&order.arena);
        return;
    }
    struct job *job = make_job(daemon, &order, submit->key);
    submit_wait(job, request, SUBMIT_UNTIL_CHECKED);
    if (store_folder(job, &order, &err) < 0) {
        jobs_step(job, JOB_EVENT_FAIL, &err, NULL);
    }
    arena_fini(&order.arena);
}
