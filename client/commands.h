/* commands - the functions behind the rows of cli_table, by file.
 *
 * Owns, Threads, Errors, Lifetime: as struct cli_command.
 */
#ifndef CLIENT_COMMANDS_H
#define CLIENT_COMMANDS_H

#include "client/cli.h"

typedef int cli_fn(struct cli *cli, struct err *err);

cli_fn run_command, run_watch;
cli_fn job_submit, job_check, job_list, job_show, job_quarantine, job_logs, job_cancel, job_pause,
    job_resume;
cli_fn dataset_get, dataset_get_head, dataset_get_gc;
cli_fn dataset_put, dataset_pack, dataset_list, dataset_show, dataset_verify, dataset_remove;
cli_fn feed_command;
cli_fn predict_command;
cli_fn pipeline_explain_command, pipeline_run_command, pipeline_save_command;
cli_fn preview_command;
cli_fn summary_command;
cli_fn apply_command;
cli_fn daemon_status, daemon_workers, daemon_shutdown, daemon_version, daemon_completion;
cli_fn daemon_help;

/* Uploads a file or folder and prints the data set. */
int dataset_put_what(struct cli *cli, const struct millrace_put *what, struct err *err);
/* What kinds of files a data set has, by its manifest; nothing if it lists none. */
int dataset_show_files(struct cli *cli, const struct doc *dataset, struct err *err);
/* Reads the job file of the first argument into cli->job_file and applies --set, --seed, --epochs.
 */
int job_prepare(struct cli *cli, struct err *err);
/* Asks `type` (job.submit, job.check) about it. */
int job_send(struct cli *cli, enum msg_id type, const struct doc **ret, struct err *err);
/* Watches until the job is over; gives the state's code: 0, ERR_JOB_FAILED, ERR_CANCELLED, the
 * reason's of a pause. */
int run_watch_job(struct cli *cli, const char *job, struct err *err);

#endif
