/* millrace-trainer: fits a model on batches that workers make, checks one, or predicts with it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "trainer/ledger.h"
#include "trainer/modes.h"
#include "trainer/reference.h"

static const struct {
    const char *name;
    int (*run)(struct setup *setup, struct err *err);
} modes[] = {
    {"check", check_mode},
    {"run", run_mode},
    {"drain", drain_mode},
    {"predict", predict_mode},
};
enum { START_MS = 30000 };

struct main_options {
    bool help, version, summary;
    const char *ledger, *reference;
};
static const struct opt main_rows[] = {
    OPT_BOOL_ROW(main_options, help, false, "Prints this."),
    OPT_BOOL_ROW(main_options, version, false, "Prints the version."),
    OPT_BOOL_ROW(main_options, summary, false,
                 "Reads a job or a model as JSON and prints its layers as JSON."),
    OPT_STR_ROW(main_options, reference, NULL,
                "Prints a page of docs/reference: a name, or 'list'.", .flags = OPT_NULLABLE),
    OPT_STR_ROW(main_options, ledger, NULL, "Prints a ledger file as JSON lines.",
                .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int run_child(struct control *control, struct setup *setup, struct err *err)
{
    struct msg msg;
    struct child_fds fds = {.n = 0};
    int rc = child_begin(err);
    if (rc < 0 || (rc = child_recv(control->fd, START_MS, &setup->arena, &msg, &fds, err)) < 0) {
        return rc;
    }
    if (msg.type != MSG_CHILD_START) {
        return err_set(err, ERR_INVALID, "the first message is '%s', not child.start",
                       msg_table[msg.type].name);
    }
    setup->start = msg.body;
    setup->fds = &fds;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (setup->start->mode != NULL && strcmp(modes[i].name, setup->start->mode) == 0) {
            return modes[i].run(setup, err);
        }
    }
    return err_set(err, ERR_UNKNOWN, "no mode '%s'",
                   setup->start->mode != NULL ? setup->start->mode : "");
}

static int child_main(void)
{
    struct control control;
    struct setup setup = {.control = &control};
    struct err err = {0};
    control_init(&control, CHILD_FD);
    arena_init(&setup.arena);
    int rc = run_child(&control, &setup, &err);
    if (rc < 0) {
        err.code = rc;
        control_failed(&control, &err);
    }
    setup_fini(&setup);
    return rc < 0 ? err_find(rc)->exit_status : 0;
}

static int complain(const struct err *err)
{
    char text[1200];
    err_format(err, text, sizeof(text));
    fprintf(stderr, "millrace-trainer: %s\n", text);
    return err_find(err->code)->exit_status;
}

static int print_help(void)
{
    struct buf text = {0};
    opt_help(main_rows, &text);
    printf("millrace-trainer: started by millraced; by hand it takes one of\n%s",
           text.data != NULL ? text.data : "");
    buf_fini(&text);
    return 0;
}

static int print_reference(const char *page, struct err *err)
{
    struct buf text = {0};
    int rc = reference_write(page, &text, err);
    if (rc == 0) {
        fputs(text.data, stdout);
    }
    buf_fini(&text);
    return rc;
}

/* --name or --name=VALUE, each a row above. */
static int read_options(int argc, char **argv, struct main_options *options, struct arena *arena,
                        struct err *err)
{
    opt_defaults(main_rows, options, arena);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            return err_set(err, ERR_USAGE, "'%s' is not an option", argv[i]);
        }
        const char *equal = strchr(argv[i], '=');
        char *name = equal != NULL
                         ? arena_strndup(arena, argv[i] + 2, (size_t)(equal - argv[i] - 2))
                         : arena_strdup(arena, argv[i] + 2);
        const struct opt *row = opt_find(main_rows, name);
        const char *value = equal != NULL ? equal + 1 : "true";
        if (equal == NULL && row != NULL && row->type != OPT_BOOL && i + 1 < argc) {
            value = argv[++i];
        }
        int rc = opt_set_text(main_rows, options, name, value, arena, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        return child_main();
    }
    struct err err = {0};
    struct arena arena;
    struct main_options options;
    arena_init(&arena);
    int rc = read_options(argc, argv, &options, &arena, &err);
    if (rc < 0 || options.help) {
        rc = rc < 0 ? complain(&err) : print_help();
    } else if (options.version) {
        printf("millrace-trainer %s\n", MILLRACE_VERSION);
    } else if (options.summary) {
        rc = check_summary(&err) < 0 ? complain(&err) : 0;
    } else if (options.reference != NULL) {
        rc = print_reference(options.reference, &err) < 0 ? complain(&err) : 0;
    } else if (options.ledger != NULL) {
        rc = ledger_print(options.ledger, &err) < 0 ? complain(&err) : 0;
    }
    arena_fini(&arena);
    return rc;
}
