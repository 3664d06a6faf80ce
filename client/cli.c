#include "client/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/file.h"

/* ---- reading the command line
 * -------------------------------------------------------------------- */

static bool starts_command(const char *name, const char *word)
{
    size_t n = strlen(word);
    return strncmp(name, word, n) == 0 && (name[n] == ' ' || name[n] == '\0');
}

const struct cli_command *cli_find(char *const *argv, int argc, int *ret_used)
{
    for (int i = 0; i < cli_n_commands; i++) {
        const struct cli_command *row = &cli_table[i];
        const char *space = strchr(row->name, ' ');
        if (space == NULL ? strcmp(row->name, argv[0]) == 0
                          : argc > 1 && starts_command(row->name, argv[0]) &&
                                strcmp(space + 1, argv[1]) == 0) {
            *ret_used = space == NULL ? 1 : 2;
            return row;
        }
    }
    return NULL;
}

static int no_second(const char *group, struct err *err)
{
    const char *last = NULL;
    char text[160] = "";
    for (int i = 0; i < cli_n_commands; i++) {
        const char *space = strchr(cli_table[i].name, ' ');
        if (space != NULL && starts_command(cli_table[i].name, group)) {
            const size_t used = strlen(text);
            if (last != NULL) {
                (void)snprintf(text + used, sizeof(text) - used, "%s%s", used > 0 ? ", " : "",
                               last);
            }
            last = space + 1;
        }
    }
    return err_set(err, ERR_USAGE, "'%s' needs a second word: %s%s%s", group, text,
                   text[0] != '\0' ? " or " : "", last);
}

int cli_unknown(char *const *argv, int argc, struct err *err)
{
    const char *names[64];
    char word[128];
    size_t n = 0;
    const char *group = NULL;
    for (int i = 0; i < cli_n_commands && n < 64; i++) {
        names[n++] = cli_table[i].name;
        group = strchr(cli_table[i].name, ' ') != NULL && starts_command(cli_table[i].name, argv[0])
                    ? argv[0]
                    : group;
    }
    (void)snprintf(word, sizeof(word), "%s%s%s", argv[0], group != NULL && argc > 1 ? " " : "",
                   group != NULL && argc > 1 ? argv[1] : "");
    const char *near = err_nearest(word, names, n);
    if (group != NULL && (argc < 2 || argv[1][0] == '-')) {
        return no_second(group, err);
    }
    return err_set(err, ERR_USAGE, "no command '%s'%s%s%s; `millrace --help` lists them", word,
                   near != NULL ? "; the nearest is '" : "", near != NULL ? near : "",
                   near != NULL ? "'" : "");
}

static const struct opt *find_option(const struct cli *cli, const char *name,
                                     const struct opt **ret_table)
{
    const struct opt *tables[] = {cli->command != NULL ? cli->command->options : NULL, cli_common};
    char plain[64];
    (void)snprintf(plain, sizeof(plain), "%s", name);
    for (char *c = plain; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    for (int i = 0; i < 2; i++) {
        const struct opt *row = tables[i] != NULL ? opt_find(tables[i], plain) : NULL;
        if (row != NULL) {
            *ret_table = tables[i];
            return row;
        }
    }
    return NULL;
}

static int unknown_option(const struct cli *cli, const char *name, struct err *err)
{
    const char *near = cli->command != NULL ? opt_nearest(cli->command->options, name) : NULL;
    near = near != NULL ? near : opt_nearest(cli_common, name);
    return err_set(err, ERR_USAGE, "%s%s has no option --%s%s%s",
                   cli->command != NULL ? cli->command->name : "millrace", "", name,
                   near != NULL ? "; the nearest is --" : "", near != NULL ? near : "");
}

/* --set may stand several times: each one is added. */
static int set_value(struct cli *cli, const struct opt *table, const struct opt *row,
                     const char *value, struct err *err)
{
    struct opt_strs *set = &cli->options.set;
    if (row->type != OPT_STRS) {
        int rc = opt_set_text(table, &cli->options, row->name, value, &cli->arena, err);
        if (rc < 0 && err != NULL) {
            char path[64];
            (void)snprintf(path, sizeof(path), "--%.60s", row->name);
            (void)snprintf(err->path, sizeof(err->path), "%s", path);
        }
        return rc;
    }
    const char **all = arena_array(&cli->arena, set->n + 1, sizeof(*all));
    for (size_t i = 0; i < set->n; i++) {
        all[i] = set->v[i];
    }
    all[set->n] = value;
    *set = (struct opt_strs){.v = all, .n = set->n + 1};
    return 0;
}

/* Of several rows the one that the command has. */
static const char *long_name(const struct cli *cli, const char *word)
{
    static const char *const rows[][2] = {
        {"-h", "--help"}, {"-n", "--samples"}, {"-n", "--n"}, {"-o", "--output"}};
    const char *name = word;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool has = cli->command != NULL && cli->command->options != NULL &&
                   opt_find(cli->command->options, rows[i][1] + 2) != NULL;
        if (strcmp(rows[i][0], word) == 0 && (has || name == word)) {
            name = rows[i][1];
        }
    }
    return name;
}

static bool takes_rest(const struct cli *cli)
{
    const struct opt *row = cli->command != NULL ? cli->command->options : NULL;
    while (row != NULL && row->type != OPT_END && (row->flags & OPT_REST) == 0) {
        row++;
    }
    return row != NULL && row->type != OPT_END;
}

/* For a command whose options are another program's to judge. */
static int take_rest(struct cli *cli, char *name, const char *value)
{
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    if (cli->rest == NULL) {
        cli->rest = doc_new(&cli->arena);
        doc_set_map(cli->rest);
    }
    doc_put_str(cli->rest, &cli->arena, arena_strdup(&cli->arena, name),
                value != NULL ? value : "true");
    return 0;
}

/* One option at argv[i]; *ret_used of argv are taken. */
static int read_option(struct cli *cli, char **argv, int i, int argc, int *ret_used,
                       struct err *err)
{
    const char *text = long_name(cli, argv[i]);
    const struct opt *table = NULL;
    char name[64];
    size_t n = strcspn(text + 2, "=");
    (void)snprintf(name, sizeof(name), "%.*s", (int)(n < sizeof(name) ? n : sizeof(name) - 1),
                   text + 2);
    bool negated = strncmp(name, "no-", 3) == 0;
    const struct opt *row = find_option(cli, negated ? name + 3 : name, &table);
    const char *value = text[2 + n] == '=' ? text + 3 + n : NULL;
    *ret_used = 1;
    if (row == NULL && text[1] == '-' && takes_rest(cli)) {
        return take_rest(cli, name, value);
    }
    if (row == NULL || text[1] != '-' || (negated && row->type != OPT_BOOL)) {
        return unknown_option(cli, text[1] == '-' ? name : text + 1, err);
    }
    if (row->type == OPT_BOOL) {
        value = value != NULL ? value : negated ? "false" : "true";
    } else if (value == NULL) {
        if (i + 1 >= argc) {
            return err_set(err, ERR_USAGE, "--%s needs a value", name);
        }
        value = argv[i + 1];
        *ret_used = 2;
    }
    return set_value(cli, table, row, value, err);
}

static int read_words(struct cli *cli, char **argv, int argc, struct err *err)
{
    bool only_words = false;
    for (int i = 0; i < argc;) {
        int used = 1;
        int rc = 0;
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0') {
            rc = read_option(cli, argv, i, argc, &used, err);
        } else if (cli->n_words == CLI_WORDS_MAX) {
            rc = err_set(err, ERR_USAGE, "more than %d arguments", CLI_WORDS_MAX);
        } else {
            cli->words[cli->n_words++] = argv[i];
        }
        if (rc < 0) {
            return rc;
        }
        i += used;
    }
    return 0;
}

static int check_words(const struct cli *cli, struct err *err)
{
    const struct cli_command *row = cli->command;
    if (cli->n_words >= row->n_min && cli->n_words <= row->n_max) {
        return 0;
    }
    const char *gap = row->arguments[0] != '\0' ? " " : "";
    if (cli->n_words > row->n_max) {
        return err_set(err, ERR_USAGE, "one argument too many: '%s'; usage: millrace %s%s%s",
                       cli->words[row->n_max], row->name, gap, row->arguments);
    }
    return err_set(err, ERR_USAGE, "usage: millrace %s%s%s", row->name, gap, row->arguments);
}

/* ---- what commands use
 * --------------------------------------------------------------------------- */

int cli_connect(struct cli *cli, struct err *err)
{
    const struct millrace_options options = {
        .socket = cli->options.socket,
        .program = "millrace " MILLRACE_VERSION,
        .timeout_ms = (int)(cli->options.timeout * 1000.0),
        .wake_fd = cli->wake_fd,
    };
    return cli->connection != NULL ? 0 : millrace_open(&options, &cli->connection, err);
}

int cli_ask(struct cli *cli, enum msg_id type, const void *body, const struct doc **ret,
            struct err *err)
{
    int rc = cli_connect(cli, err);
    return rc < 0 ? rc
                  : millrace_request(cli->connection, type, body, NULL, 0, &cli->arena, ret, err);
}

void cli_print(const struct buf *text)
{
    if (text->size > 0) {
        (void)file_write_all(STDOUT_FILENO, text->data, text->size,
                             NULL); /* nobody reads: the exit status still says how it went */
    }
}

void cli_print_json(const struct doc *doc)
{
    struct buf text = {0};
    doc_write_json(doc, 2, &text);
    buf_puts(&text, "\n");
    cli_print(&text);
    buf_fini(&text);
}

/* ---- the program
 * --------------------------------------------------------------------------------- */

static void complain_json(const struct err *err, int line)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    struct doc *error = doc_put(map, &arena, "error");
    doc_set_map(error);
    doc_put_str(error, &arena, "code", err_find(err->code)->name);
    doc_put_str(error, &arena, "text", err->text);
    if (err->path[0] != '\0') {
        doc_put_str(error, &arena, "path", err->path);
    }
    if (line > 0) {
        doc_put_int(error, &arena, "line", line);
    }
    cli_print_json(map);
    arena_fini(&arena);
}

/* What a person can do about it, where the code says that much. */
static const char *advice(int code)
{
    static const struct {
        int code;
        const char *text;
    } rows[] = {
        {ERR_VERSION, "this program and the daemon are of different versions: restart millraced, "
                      "or use its own millrace"},
        {ERR_INTERNAL, "this is a defect of millrace: please report it with `millrace version` and "
                       "the daemon's log"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].code == code) {
            return rows[i].text;
        }
    }
    return NULL;
}

static void complain(const struct cli *cli, const struct err *err)
{
    struct buf text = {0};
    bool in_file = cli->job_file.name != NULL && (err->line > 0 || cli->job_file.doc == NULL ||
                                                  job_file_holds(&cli->job_file, err->path));
    int line = !in_file               ? 0
               : err->path[0] != '\0' ? job_file_line(&cli->job_file, err->path)
                                      : err->line;
    if (cli->options.json) {
        complain_json(err, line);
        return;
    }
    if (in_file) {
        job_file_complain(&cli->job_file, err, cli->term.bold, cli->term.plain, &text);
    } else {
        char plain[1200];
        err_format(err, plain, sizeof(plain));
        buf_printf(&text, "%smillrace:%s %s\n", cli->term.bold, cli->term.plain, plain);
    }
    if (advice(err->code) != NULL) {
        buf_printf(&text, "%s%s%s\n", cli->term.dim, advice(err->code), cli->term.plain);
    }
    (void)file_write_all(STDERR_FILENO, text.data, text.size, NULL);
    buf_fini(&text);
}

static int open_wake(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

struct program_options {
    bool help, version, reference;
};
static const struct opt program_rows[] = {
    OPT_BOOL_ROW(program_options, help, false, "Prints this."),
    OPT_BOOL_ROW(program_options, version, false, "Prints the version."),
    OPT_BOOL_ROW(program_options, reference, false, "Prints docs/reference/millrace.md."),
    OPT_END_ROW,
};

/* Options before any command. */
static int run_program(const char *text, struct arena *arena, struct err *err)
{
    struct program_options options = {0};
    struct buf out = {0};
    const char *name = strcmp(text, "-h") == 0 ? "help" : text + strspn(text, "-");
    if (opt_set_text(program_rows, &options, name, "true", arena, NULL) < 0) {
        return err_set(err, ERR_USAGE,
                       "no option '%s' before a command; `millrace --help` says what there is",
                       text);
    }
    if (options.reference) {
        cli_reference(&out);
    } else if (options.version) {
        buf_puts(&out, "millrace " MILLRACE_VERSION "\n");
    } else {
        cli_help(NULL, &out);
    }
    cli_print(&out);
    buf_fini(&out);
    return 0;
}

/* `millrace --json list` is `millrace list --json`: words that begin with a dash go behind a
 * command. */
static void options_last(int argc, char **argv)
{
    for (int moved = 1; moved < argc && argv[1][0] == '-'; moved++) {
        char *first = argv[1];
        memmove(&argv[1], &argv[2], (size_t)(argc - 2) * sizeof *argv);
        argv[argc - 1] = first;
    }
}

static int run_command_line(struct cli *cli, int argc, char **argv, struct err *err)
{
    int used = 0;
    options_last(argc, argv);
    if (argc < 2 || argv[1][0] == '-') {
        return run_program(argc < 2 ? "--help" : argv[1], &cli->arena, err);
    }
    cli->command = cli_find(argv + 1, argc - 1, &used);
    if (cli->command == NULL) {
        return cli_unknown(argv + 1, argc - 1, err);
    }
    int rc = read_words(cli, argv + 1 + used, argc - 1 - used, err);
    term_init(&cli->term, (enum term_color)cli->options.color);
    if (rc < 0) {
        return rc;
    }
    if (cli->options.help) {
        struct buf out = {0};
        cli_help(cli->command, &out);
        cli_print(&out);
        buf_fini(&out);
        return 0;
    }
    rc = check_words(cli, err);
    return rc < 0 ? rc : cli->command->run(cli, err);
}

/* Wrong words may end the reading before --json is met. */
static bool asks_for_json(int argc, char **argv)
{
    bool json = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        json = json || strcmp(argv[i], "--json") == 0;
    }
    return json;
}

int cli_main(int argc, char **argv)
{
    struct cli cli = {.program_path = argc > 0 ? argv[0] : "millrace"};
    struct err err = {0};
    arena_init(&cli.arena);
    term_init(&cli.term, TERM_COLOR_AUTO);
    cli.wake_fd = open_wake();
    for (int i = 0; i < cli_n_commands; i++) {
        opt_defaults(cli_table[i].options, &cli.options, &cli.arena);
    }
    opt_defaults(cli_common, &cli.options, &cli.arena);
    int rc = run_command_line(&cli, argc, argv, &err);
    if (rc < 0) {
        err.code = rc;
        cli.options.json = cli.options.json || (err.code == ERR_USAGE && asks_for_json(argc, argv));
        if (err.text[0] != '\0') {
            complain(&cli, &err);
        }
    }
    millrace_close(cli.connection);
    arena_fini(&cli.arena);
    return rc < 0 ? err_find(rc)->exit_status : 0;
}
