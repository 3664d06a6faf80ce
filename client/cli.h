/* cli - the command line: which command, its options, its answer as text or JSON, its exit status.
 *
 * Owns:     struct cli is main's; the arena holds everything a command makes.
 * Threads:  one.
 * Errors:   a command returns a code and fills err; cli_main prints it and turns it into the exit
 * status. Lifetime: the program's.
 *
 * A command is a row of cli_table. Answers go to standard output, progress and errors to standard
 * error; with --json all of standard output is JSON, errors too.
 */
#ifndef CLIENT_CLI_H
#define CLIENT_CLI_H

#include "base/opt.h"
#include "client/job_file.h"
#include "client/millrace.h"
#include "client/term.h"

enum { CLI_WORDS_MAX = 256 };

/* Every option of every command; a command's table names those it takes. */
struct cli_options {
    bool help, json, quiet;
    int color; /* enum term_color */
    const char *socket;
    double timeout;
    const char *key, *kind, *dataset, *split;
    bool detach, follow, progress, in_place, shards, follow_links;
    int64_t after, seed, epochs;
    struct opt_ints rows;
    int stream; /* 0 train, 1 validation */
    int64_t epoch, step, samples, steps, workers;
    int64_t n, days;
    const char *output, *into;
    int64_t shard_bytes;
    const char *trainer, *worker, *adapt;
    const struct doc *option;
    struct opt_strs set;
    const char *shell;
    const char *exec;
    double patience;
};

struct cli {
    struct cli_options options;
    const struct cli_command *command;
    const char *words[CLI_WORDS_MAX]; /* arguments that are no options */
    int n_words;
    struct doc *rest; /* options taken for a row of OPT_REST: texts by name */
    const char *program_path; /* argv[0]'s file */
    struct arena arena;
    struct term term;
    int wake_fd; /* readable after Ctrl-C */
    struct millrace *connection;
    struct job_file job_file; /* name NULL until a command has read one */
};

struct cli_command {
    const char *name;      /* "dataset put" */
    const char *arguments; /* "NAME PATH" */
    int n_min, n_max;
    const struct opt *options;
    const char *summary; /* one sentence */
    const char *more;    /* paragraphs for --help, or NULL */
    int (*run)(struct cli *cli, struct err *err);
};

extern const struct cli_command cli_table[];
extern const int cli_n_commands;
extern const struct opt cli_common[];

/* The program: returns the exit status. */
int cli_main(int argc, char **argv);

/* The row that argv begins with; "dataset put" takes two of them. NULL if there is none. */
const struct cli_command *cli_find(char *const *argv, int argc, int *ret_used);
/* Says that argv begins no command. */
int cli_unknown(char *const *argv, int argc, struct err *err);
/* Opens cli->connection (once). */
int cli_connect(struct cli *cli, struct err *err);
/* Request and answer over cli->connection. */
int cli_ask(struct cli *cli, enum msg_id type, const void *body, const struct doc **ret,
            struct err *err);
/* The answer as JSON on standard output, with a line feed. */
void cli_print_json(const struct doc *doc);
/* Writes a text to standard output. */
void cli_print(const struct buf *text);

/* The texts (client/cli_help.c). */
void cli_help(const struct cli_command *command, struct buf *out); /* NULL: of the program */
void cli_reference(struct buf *out);                               /* docs/reference/millrace.md */
int cli_completion(const char *shell, struct buf *out, struct err *err);

#endif
