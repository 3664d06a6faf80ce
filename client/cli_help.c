/* What is printed from the table of commands. */
#include <stdio.h>
#include <string.h>

#include "client/cli.h"

static void program_help(struct buf *out)
{
    buf_puts(out, "millrace: trains networks through millraced\n\nusage: millrace COMMAND "
                  "[ARGUMENTS] [OPTIONS]\n\n");
    for (int i = 0; i < cli_n_commands; i++) {
        char head[64];
        (void)snprintf(head, sizeof(head), "%s %s", cli_table[i].name, cli_table[i].arguments);
        buf_printf(out, "  %-24s %s\n", head, cli_table[i].summary);
    }
    buf_puts(out, "\nOptions of all commands:\n");
    opt_help(cli_common, out);
    buf_puts(out, "\n`millrace COMMAND --help` says more. Exit statuses: 0 done, 1 refused or "
                  "broken, 2 wrong input, 3 not found,\n"
                  "4 the job failed, 5 no daemon, 124 no answer in time, 130 interrupted.\n");
}

static void option_words(const struct opt *table, struct buf *out)
{
    for (const struct opt *row = table; row->type != OPT_END; row++) {
        buf_puts(out, " --");
        for (const char *c = row->name; *c != '\0'; c++) {
            buf_printf(out, "%c", *c == '_' ? '-' : *c);
        }
    }
}

void cli_help(const struct cli_command *command, struct buf *out)
{
    if (command == NULL) {
        program_help(out);
        return;
    }
    buf_printf(out, "usage: millrace %s %s%s[OPTIONS]\n\n%s\n", command->name, command->arguments,
               command->arguments[0] != '\0' ? " " : "", command->summary);
    if (command->more != NULL) {
        buf_printf(out, "%s\n", command->more);
    }
    if (command->options[0].type != OPT_END) {
        buf_puts(out, "\nOptions:\n");
        opt_help(command->options, out);
    }
    buf_puts(out, "\nOptions of all commands (`millrace --help` explains them):\n ");
    option_words(cli_common, out);
    buf_puts(out, "\n");
}

int cli_completion(const char *shell, struct buf *out, struct err *err)
{
    if (strcmp(shell, "bash") != 0) {
        return err_set(err, ERR_UNSUPPORTED, "completion is there for bash, not for '%s'", shell);
    }
    buf_puts(out, "_millrace() {\n    local word=${COMP_WORDS[COMP_CWORD]} words=\n    case "
                  "\"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    for (int i = 0; i < cli_n_commands; i++) {
        buf_printf(out, "    \"%s%s\"*) words=\"", cli_table[i].name,
                   strchr(cli_table[i].name, ' ') != NULL ? "" : " ");
        option_words(cli_table[i].options, out);
        option_words(cli_common, out);
        buf_puts(out, "\" ;;\n");
    }
    buf_puts(out, "    esac\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"");
    for (int i = 0; i < cli_n_commands; i++) {
        const char *space = strchr(cli_table[i].name, ' ');
        if (space == NULL) {
            buf_printf(out, "%s ", cli_table[i].name);
        }
    }
    buf_puts(out, "dataset\"\n    elif [ \"$COMP_CWORD\" -eq 2 ] && [ \"${COMP_WORDS[1]}\" = "
                  "dataset ]; then\n        words=\"");
    for (int i = 0; i < cli_n_commands; i++) {
        const char *space = strchr(cli_table[i].name, ' ');
        if (space != NULL) {
            buf_printf(out, "%s ", space + 1);
        }
    }
    buf_puts(out,
             "\"\n    fi\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}\n"
             "complete -o default -F _millrace millrace\n");
    return 0;
}
