/* millraced - the training service: reads its settings, opens its parts and turns the loop until it
 * is asked to end. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/daemon.h"

static int print_text(enum settings_action action, const struct settings *settings)
{
    struct buf text;
    buf_init(&text);
    settings_text(action, settings, &text);
    size_t n = fwrite(text.data, 1, text.size, stdout);
    int status = n == text.size && fflush(stdout) == 0 ? 0 : 1;
    buf_fini(&text);
    return status;
}

static int fail(const struct err *err)
{
    char text[1200];
    err_format(err, text, sizeof(text));
    fprintf(stderr, "millraced: %s\n", text);
    return err_find(err->code)->exit_status;
}

enum { LARGE_BYTES = 256 << 10 };

static int run(const struct settings *settings)
{
    uv_loop_t loop;
    struct daemon daemon;
    struct log log;
    struct err err = {0};
    /* What is large comes from the system and goes back to it: chunks of uploads leave no holes. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
    log_init(&log, "millraced", STDERR_FILENO, (enum log_level)settings->log_level,
             (enum log_form)settings->log_form);
    uv_loop_init(&loop);
    int rc = daemon_open(&daemon, &loop, settings, &log, &err);
    if (rc < 0) {
        log_err(&log, LOG_LEVEL_ERROR, "cannot start", &err);
        daemon_close(&daemon);
        return err_find(err.code)->exit_status;
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    daemon_close(&daemon);
    log_put(&log, LOG_LEVEL_INFO, "ended", LOG_NUMBER("pid", getpid()));
    return daemon.unclean ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct arena arena;
    struct settings settings;
    struct err err = {0};
    arena_init(&arena);
    int action = settings_read(argc, argv, &arena, &settings, &err);
    int status = 0;
    if (action < 0) {
        status = fail(&err);
    } else if (action != SETTINGS_RUN) {
        status = print_text((enum settings_action)action, &settings);
    } else {
        status = run(&settings);
    }
    arena_fini(&arena);
    return status;
}
