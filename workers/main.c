/* millrace-worker: makes chunks of batches, or checks the data half of a job. The daemon starts it.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "workers/apply.h"
#include "workers/checker.h"
#include "workers/explain.h"
#include "workers/loop.h"
#include "workers/prepare.h"
#include "workers/preview.h"
#include "workers/reference.h"
#include "workers/save.h"

/* ---- command line --------------------------------------------------------------------------- */

struct arguments {
    bool help;
    bool version;
    bool apply;
    const char *reference;
};

static const struct opt argument_options[] = {
    OPT_BOOL_ROW(arguments, help, 0, "Prints this text."),
    OPT_BOOL_ROW(arguments, version, 0, "Prints the version."),
    OPT_BOOL_ROW(arguments, apply, 0,
                 "Applies layers to samples, both from standard input (`millrace apply`)."),
    OPT_STR_ROW(arguments, reference, NULL,
                "Prints a page of docs/reference: a name, 'list', or all of them."),
    OPT_END_ROW,
};

/* "--name" stands for true, or for "all" where a text is wanted. */
static int read_argument(struct arguments *arguments, const char *argument, struct arena *arena,
                         struct err *err)
{
    if (strncmp(argument, "--", 2) != 0) {
        return err_set(err, ERR_USAGE, "'%s' is no option; see --help", argument);
    }
    const char *equals = strchr(argument, '=');
    const char *name = equals == NULL
                           ? arena_strdup(arena, argument + 2)
                           : arena_strndup(arena, argument + 2, (size_t)(equals - argument - 2));
    const struct opt *row = opt_find(argument_options, name);
    const char *text = equals != NULL                        ? equals + 1
                       : row != NULL && row->type == OPT_STR ? "all"
                                                             : "true";
    int rc = opt_set_text(argument_options, arguments, name, text, arena, err);
    return rc < 0 && err->code == ERR_UNKNOWN
               ? err_set(err, ERR_USAGE, "no option '--%s'; see --help", name)
               : rc;
}

static void write_help(struct buf *out)
{
    buf_puts(out, "usage: millrace-worker [OPTION]\n\nThe daemon starts it with a socket as "
                  "descriptor 3; for people it only "
                  "prints.\n\n");
    opt_help(argument_options, out);
}

static int print(const struct arguments *arguments, struct err *err)
{
    struct buf out = {0};
    int rc = 0;
    if (arguments->help) {
        write_help(&out);
    } else if (arguments->version) {
        buf_puts(&out, "millrace-worker " MILLRACE_VERSION "\n");
    } else if (strcmp(arguments->reference, "list") == 0) {
        reference_list(&out);
    } else {
        rc = reference_write(arguments->reference, &out, err);
    }
    if (rc == 0 && (fwrite(out.data, 1, out.size, stdout) != out.size || fflush(stdout) != 0)) {
        rc = err_set(err, ERR_IO, "write to standard output fails");
    }
    buf_fini(&out);
    return rc;
}

/* ---- child ---------------------------------------------------------------------------------- */

static const struct mode {
    const char *name;
    int (*run)(struct inputs *inputs, struct arena *arena, struct err *err);
} modes[] = {
    {"check", checker_run},
    {"explain", explain_run},
    {"prepare", prepare_run},
    {"preview", preview_run},
    {"run", loop_run},
    {"save", save_run},
};

static int run_mode(struct inputs *inputs, struct arena *arena, struct err *err)
{
    const char *name = inputs->start->mode == NULL ? "" : inputs->start->mode;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].name, name) == 0) {
            return modes[i].run(inputs, arena, err);
        }
    }
    return err_set(err, ERR_UNKNOWN, "a worker has no mode '%s'", name);
}

static int child(struct arena *arena, struct err *err)
{
    struct inputs inputs;
    int rc = child_begin(err);
    if (rc == 0) {
        rc = inputs_receive(&inputs, CHILD_FD, arena, err);
    }
    if (rc == 0) {
        rc = run_mode(&inputs, arena, err);
        feeding_fini(inputs.feeding);
    }
    if (rc < 0 && rc != ERR_GONE) {
        struct msg_error failure = {
            .code = rc, .line = err->line, .path = err->path, .text = err->text};
        (void)child_send(CHILD_FD, MSG_CHILD_FAILED, &failure, NULL, NULL);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct arena arena;
    struct log log;
    struct arguments arguments;
    int rc = 0;
    arena_init(&arena);
    log_init(&log, "millrace-worker", 2, LOG_LEVEL_INFO, LOG_FORM_AUTO);
    opt_defaults(argument_options, &arguments, &arena);
    for (int i = 1; i < argc && rc == 0; i++) {
        rc = read_argument(&arguments, argv[i], &arena, &err);
    }
    if (rc == 0) {
        rc = arguments.apply ? apply_answer(&arena, &err)
             : argc > 1      ? print(&arguments, &err)
                             : child(&arena, &err);
    }
    if (rc < 0) { /* the daemon knows how the trainer ended, and says so if it was no job's end */
        log_err(&log, rc == ERR_GONE ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "worker ends", &err);
    }
    arena_fini(&arena);
    return rc < 0 ? err_find(rc)->exit_status : 0;
}
