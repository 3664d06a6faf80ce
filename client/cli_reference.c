/* docs/reference/millrace.md, from the table of commands. */
#include "client/cli.h"

void cli_reference(struct buf *out)
{
    buf_puts(out, "# millrace: the command line\n\nMade by `millrace --reference`. Exit statuses: "
                  "[exit-codes.md](exit-codes.md).\n\n"
                  "Answers go to standard output, progress and errors to standard error. With "
                  "`--json` all of standard output is "
                  "JSON, an error is `{\"error\": {\"code\", \"text\", \"path\", \"line\"}}`, and "
                  "`run` and `watch` print an event a line.\n\n"
                  "## Options of all commands\n\n");
    opt_reference(cli_common, out);
    for (int i = 0; i < cli_n_commands; i++) {
        const struct cli_command *row = &cli_table[i];
        buf_printf(out, "\n## millrace %s%s%s\n\n%s%s%s\n", row->name,
                   row->arguments[0] != '\0' ? " " : "", row->arguments, row->summary,
                   row->more != NULL ? " " : "", row->more != NULL ? row->more : "");
        if (row->options[0].type != OPT_END) {
            buf_puts(out, "\n");
            opt_reference(row->options, out);
        }
    }
}
