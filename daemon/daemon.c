#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/check.h"
#include "daemon/control.h"
#include "daemon/dataset.h"
#include "daemon/feed.h"
#include "daemon/http.h"
#include "daemon/jobs.h"
#include "daemon/keep.h"
#include "daemon/notify.h"
#include "daemon/pipeline.h"
#include "daemon/run.h"
#include "daemon/schedule.h"
#include "daemon/steps.h"
#include "daemon/store.h"
#include "daemon/upload.h"

enum { TICK_MS = 1000 };

const struct counter_desc daemon_counters[COUNT_MAX_] = {
#define COUNTER_ROW(symbol, text, measure, type, sentence) \
    [COUNT_##                                              \
        symbol] = {.name = (text), .unit = (measure), .kind = COUNTER_##type, .help = (sentence)},
#include "daemon/counters.h"
#undef COUNTER_ROW
};

/* ---- folders
 * ------------------------------------------------------------------------------------------------
 */

static int open_folder(int parent, const char *name, int *ret_fd, struct err *err)
{
    if (parent != AT_FDCWD && mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, errno, "make the folder '%s'", name);
    }
    *ret_fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd < 0 ? err_errno(err, errno, "open the folder '%s'", name) : 0;
}

/* The lock says who holds it; it goes with the process, however that ends. */
static int lock_folder(int folder, const char *path, int *ret_fd, struct err *err)
{
    char owner[32] = "";
    int fd = openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_errno(err, errno, "open '%s/lock'", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int64_t n = file_pread(fd, owner, sizeof(owner) - 1, 0, NULL);
        owner[n > 0 ? n : 0] = '\0';
        owner[strcspn(owner, "\n")] = '\0';
        close(fd);
        return err_set(err, ERR_BUSY, "another millraced (pid %s) uses the folder '%s'",
                       owner[0] != '\0' ? owner : "?", path);
    }
    int n = snprintf(owner, sizeof(owner), "%d\n", getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, owner, (size_t)n, 0) != n) {
        errno = 0; /* a full disk: the lock holds without the number */
    }
    *ret_fd = fd;
    return 0;
}

static int open_folders(struct daemon *daemon, struct err *err)
{
    const struct settings *settings = daemon->settings;
    int quarantine = -1;
    int rc = file_make_dirs(settings->state_dir, err);
    if (rc >= 0) {
        rc = file_make_dirs(settings->run_dir, err);
    }
    if (rc >= 0) {
        rc = open_folder(AT_FDCWD, settings->state_dir, &daemon->state_fd, err);
    }
    if (rc >= 0) {
        rc = lock_folder(daemon->state_fd, settings->state_dir, &daemon->lock_fd, err);
    }
    if (rc >= 0) {
        rc = open_folder(AT_FDCWD, settings->run_dir, &daemon->run_fd, err);
    }
    if (rc >= 0 && strcmp(settings->state_dir, settings->run_dir) != 0) {
        rc = lock_folder(daemon->run_fd, settings->run_dir, &daemon->run_lock_fd, err);
    }
    struct {
        const char *name;
        int *fd;
    } const folders[] = {{"blobs", &daemon->blobs_fd},     {"datasets", &daemon->datasets_fd},
                         {"uploads", &daemon->uploads_fd}, {"jobs", &daemon->jobs_fd},
                         {"kept", &daemon->kept_fd},       {"quarantine", &quarantine}};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && rc >= 0; i++) {
        rc = open_folder(daemon->state_fd, folders[i].name, folders[i].fd, err);
    }
    if (quarantine >= 0) {
        close(quarantine);
    }
    return rc >= 0 && fsync(daemon->state_fd) != 0 ? err_errno(err, errno, "sync the state folder")
                                                   : rc;
}

/* ---- the clean stop
 * ----------------------------------------------------------------------------------------- */

static bool is_quiet(const struct daemon *daemon)
{
    bool quiet = store_queued(daemon->store) == 0 && daemon->asks == NULL;
    for (const struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        quiet = quiet && job->run == NULL && job->check == NULL && !job->saving;
    }
    return quiet;
}

/* The store first: what is queued in it still needs the others. */
static void close_parts(struct daemon *daemon)
{
    uv_close((uv_handle_t *)&daemon->tick, NULL);
    http_close(daemon);
    control_close(daemon);
    store_close(daemon->store);
    jobs_close(daemon);
    upload_close(daemon);
    feed_close(daemon);
    steps_destroy(daemon);
    dataset_close(daemon);
    notify_close(daemon);
}

void daemon_stop(struct daemon *daemon)
{
    if (daemon->stopping) {
        return;
    }
    daemon->stopping = true;
    daemon->stop_us = clock_us();
    notify_stopping(daemon);
    log_put(daemon->log, LOG_LEVEL_INFO, "stopping",
            LOG_NUMBER("running", schedule_running(daemon)));
    for (struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        schedule_retry_stop(job);
        if (job->check != NULL) {
            check_cancel(job->check);
            job->check = NULL;
        }
        if (job->run != NULL) {
            run_stop(job->run, RUN_SHUTDOWN);
        }
    }
    pipeline_stop(daemon);
    uv_timer_start(&daemon->tick, daemon->tick.timer_cb, 0, 20);
}

static void on_tick(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    notify_tick(daemon);
    pipeline_tick(daemon);
    keep_tick(daemon);
    for (struct job *job = daemon->jobs->head; job != NULL; job = job->next) {
        if (job->run != NULL) {
            run_watch(job->run);
        }
        if (job->check != NULL) {
            check_watch(job->check);
        }
    }
    feed_tick(daemon);
    if (daemon->stopping && is_quiet(daemon)) {
        close_parts(daemon);
    } else if (daemon->stopping &&
               clock_us() - daemon->stop_us > (daemon->settings->stop_seconds + 10) * 1000000) {
        log_put(daemon->log, LOG_LEVEL_ERROR,
                "children or the store do not end; leaving without them",
                LOG_NUMBER("running", schedule_running(daemon)));
        daemon->unclean = true;
        uv_stop(daemon->loop);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    log_put(daemon->log, LOG_LEVEL_INFO, "a signal asks for the end", LOG_NUMBER("signal", number));
    daemon_stop(daemon);
}

/* ---- the start
 * ---------------------------------------------------------------------------------------------- */

static void set_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur =
            limit.rlim_max; /* libzmq ends the process when it has no descriptor left */
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    umask(0077);
}

static void make_instance(struct daemon *daemon)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        random = (uint64_t)clock_us() ^ ((uint64_t)getpid() << 40);
    }
    snprintf(daemon->instance, sizeof(daemon->instance), "%016llx", (unsigned long long)random);
}

static int open_parts(struct daemon *daemon, struct err *err)
{
    keep_open(daemon);
    int rc = open_folders(daemon, err);
    if (rc >= 0) {
        rc = store_open(daemon->loop, daemon->settings->state_dir, &daemon->store, err);
    }
    if (rc >= 0) {
        rc = dataset_open(daemon, err);
    }
    if (rc >= 0) {
        rc = jobs_open(daemon, err);
    }
    if (rc >= 0) {
        steps_create(daemon);
        rc = upload_open(daemon, err);
    }
    if (rc >= 0) {
        rc = feed_open(daemon, err);
    }
    if (rc >= 0) {
        rc = http_open(daemon, err);
    }
    return rc >= 0 ? control_open(daemon, err) : rc;
}

int daemon_open(struct daemon *daemon, uv_loop_t *loop, const struct settings *settings,
                struct log *log, struct err *err)
{
    memset(daemon, 0, sizeof(*daemon));
    int *const fds[] = {&daemon->state_fd,   &daemon->blobs_fd,    &daemon->datasets_fd,
                        &daemon->uploads_fd, &daemon->jobs_fd,     &daemon->run_fd,
                        &daemon->lock_fd,    &daemon->run_lock_fd, &daemon->kept_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        *fds[i] = -1;
    }
    daemon->loop = loop;
    daemon->settings = settings;
    daemon->log = log;
    daemon->started_us = clock_us();
    set_limits();
    make_instance(daemon);
    uv_timer_init(loop, &daemon->tick);
    daemon->tick.data = daemon;
    int rc = open_parts(daemon, err);
    if (rc < 0) {
        close_parts(daemon);
        return rc;
    }
    const int numbers[2] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        uv_signal_init(loop, &daemon->signals[i]);
        daemon->signals[i].data = daemon;
        uv_signal_start(&daemon->signals[i], on_signal, numbers[i]);
        /* Open to the very end, or a second signal would kill us while we save. */
        uv_unref((uv_handle_t *)&daemon->signals[i]);
    }
    uv_timer_start(&daemon->tick, on_tick, TICK_MS, TICK_MS);
    notify_open(daemon);
    jobs_recover(daemon);
    keep_sweep(daemon);
    notify_ready(daemon);
    log_put(log, LOG_LEVEL_INFO, "ready", LOG_TEXT("version", MILLRACE_VERSION),
            LOG_TEXT("state_dir", settings->state_dir), LOG_TEXT("run_dir", settings->run_dir),
            LOG_TEXT("status_url", daemon->status_url));
    return 0;
}

/* The handles of the signals were open to the end; from here on a second signal waits for ever. */
static void close_loop(struct daemon *daemon)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 2; i++) {
        if (daemon->signals[i].data != NULL) {
            uv_close((uv_handle_t *)&daemon->signals[i], NULL);
        }
    }
    uv_run(daemon->loop, UV_RUN_DEFAULT);
    uv_loop_close(daemon->loop);
}

void daemon_close(struct daemon *daemon)
{
    if (!daemon->unclean) {
        close_loop(daemon);
    }
    keep_close(daemon); /* what children had open is given back as their handles close */
    const int fds[] = {daemon->state_fd,   daemon->blobs_fd,    daemon->datasets_fd,
                       daemon->uploads_fd, daemon->jobs_fd,     daemon->run_fd,
                       daemon->lock_fd,    daemon->run_lock_fd, daemon->kept_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}
