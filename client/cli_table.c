/* The table of commands. */
#include "client/cli.h"
#include "client/commands.h"

#define SET_OPTIONS                                                                           \
    OPT_STRS_ROW(cli_options, set,                                                            \
                 "Changes a value of the job file, as PATH=VALUE; may stand several times."), \
        OPT_I64_ROW(cli_options, seed, -1, -1, OPT_I64_MAX,                                   \
                    "The job's seed instead of the file's; -1 = the file's."),                \
        OPT_I64_ROW(cli_options, epochs, 0, 0, 1e6,                                           \
                    "The number of epochs instead of the file's; 0 = the file's.")
#define KEY_OPTION                                                                              \
    OPT_STR_ROW(cli_options, key, NULL, "Submits once: the same key again gives the same job.", \
                .flags = OPT_NULLABLE)

static const struct opt_name color_names[] = {{"auto", TERM_COLOR_AUTO},
                                              {"always", TERM_COLOR_ALWAYS},
                                              {"never", TERM_COLOR_NEVER},
                                              {NULL, 0}};

const struct opt cli_common[] = {
    OPT_BOOL_ROW(cli_options, help, false, "Prints what the command does."),
    OPT_BOOL_ROW(cli_options, json, false, "Prints JSON, errors too."),
    OPT_STR_ROW(cli_options, socket, NULL,
                "Where the daemon is: its run-time folder or socket. Without it $MILLRACE_SOCKET, "
                "$XDG_RUNTIME_DIR/millrace, /run/millrace.",
                .flags = OPT_NULLABLE),
    OPT_F64_ROW(cli_options, timeout, 180, 0.1, 86400, "Longest wait for an answer.",
                .unit = "seconds"),
    OPT_BOOL_ROW(cli_options, quiet, false, "Prints results and errors only."),
    OPT_ENUM_ROW(cli_options, color, TERM_COLOR_AUTO, color_names, "Colours; auto heeds NO_COLOR."),
    OPT_END_ROW,
};

static const struct opt no_options[] = {OPT_END_ROW};
static const struct opt run_options[] = {
    SET_OPTIONS,
    KEY_OPTION,
    OPT_END_ROW,
};
static const struct opt submit_options[] = {
    SET_OPTIONS,
    KEY_OPTION,
    OPT_END_ROW,
};
static const struct opt check_options[] = {SET_OPTIONS, OPT_END_ROW};
static const struct opt watch_options[] = {
    OPT_I64_ROW(cli_options, after, 0, 0, OPT_I64_MAX, "Shows the events after this one too."),
    OPT_END_ROW,
};
static const struct opt logs_options[] = {
    OPT_I64_ROW(cli_options, after, 0, 0, OPT_I64_MAX, "Only lines after this sequence number."),
    OPT_BOOL_ROW(cli_options, follow, false,
                 "Goes on with the lines that come, until the job is over."),
    OPT_END_ROW,
};
static const struct opt head_options[] = {
    OPT_I64_ROW(cli_options, n, 10, 1, 1000000, "Number of files. Short: -n."),
    OPT_END_ROW,
};
static const struct opt gc_options[] = {
    OPT_I64_ROW(cli_options, days, -1, -1, 3650,
                "What broken uploads left stays if it is younger; -1 = the daemon's setting "
                "upload_keep_days."),
    OPT_END_ROW,
};
static const struct opt put_options[] = {
    OPT_STR_ROW(cli_options, kind, "auto", "What the files are: the name of a source (docs/reference/sources.md), or auto."),
    OPT_BOOL_ROW(cli_options, follow_links, false,
                 "Takes what links lead to outside of the folder, too."),
    OPT_BOOL_ROW(cli_options, in_place, false,
                 "Registers a folder of the daemon's machine without copying it; the daemon's "
                 "setting in_place_roots says where that may be."),
    OPT_END_ROW,
};
static const struct opt get_options[] = {
    OPT_BOOL_ROW(cli_options, shards, false, "The tar shards of a packed data set, not its files."),
    OPT_END_ROW,
};
static const struct opt pack_options[] = {
    OPT_STR_ROW(cli_options, into, NULL,
                "Name of the data set that is made; without it the next version of the same.",
                .flags = OPT_NULLABLE),
    OPT_I64_ROW(cli_options, shard_bytes, 268435456, 65536, OPT_I64_MAX,
                "Size from which on the next shard begins.", .unit = "bytes"),
    OPT_END_ROW,
};
static const struct opt feed_options_rows[] = {
    OPT_STR_ROW(cli_options, exec, NULL, "The program that makes the elements, for a shell.",
                .flags = OPT_NULLABLE),
    OPT_F64_ROW(cli_options, patience, 300, 0.1, 86400,
                "Longest wait for an answer of the program; then it is started again.",
                .unit = "seconds"),
    OPT_END_ROW,
};
static const struct opt predict_options[] = {
    OPT_STR_ROW(cli_options, dataset, NULL,
                "A data set of the job; without it and without files: the validation data.",
                .flags = OPT_NULLABLE),
    OPT_STR_ROW(cli_options, split, NULL,
                "Split of the data set, that of the training or the validation data.",
                .flags = OPT_NULLABLE),
    OPT_INTS_ROW(cli_options, rows, "[0,1,2,3,4]", 0, 1000, 0, OPT_I64_MAX,
                 "Rows of the data set, as 0,1,2."),
    OPT_END_ROW,
};
static const struct opt_name stream_names[] = {{"train", 0}, {"validation", 1}, {NULL, 0}};
static const struct opt preview_options[] = {
    SET_OPTIONS,
    OPT_STR_ROW(cli_options, output, "sheet.png", "The PNG file; - is standard output. Short: -o."),
    OPT_I64_ROW(cli_options, samples, 16, 1, 256, "How many. Short: -n."),
    OPT_ENUM_ROW(cli_options, stream, 0, stream_names, "Of training or of validation."),
    OPT_I64_ROW(cli_options, epoch, 0, 0, INT32_MAX, "Of which epoch, from 0."),
    OPT_I64_ROW(cli_options, step, 0, 0, OPT_I64_MAX, "From which step of the epoch on, from 0."),
    OPT_END_ROW,
};
static const struct opt pipeline_run_options[] = {
    SET_OPTIONS,
    OPT_I64_ROW(cli_options, steps, 100, 1, 1e9, "Batches; one epoch follows the other."),
    OPT_I64_ROW(cli_options, workers, 0, 0, 64,
                "Worker processes; 0 = as many as the job says, else one a processor."),
    OPT_END_ROW,
};
static const struct opt pipeline_save_options[] = {
    SET_OPTIONS,
    OPT_ENUM_ROW(cli_options, stream, 0, stream_names, "Of training or of validation."),
    OPT_I64_ROW(cli_options, epoch, 0, 0, INT32_MAX, "Of which epoch, from 0."),
    OPT_END_ROW,
};
static const struct opt summary_options[] = {
    SET_OPTIONS,
    OPT_STR_ROW(cli_options, trainer, NULL,
                "The program millrace-trainer, if no daemon is asked; without it: beside millrace.",
                .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static const struct opt apply_options[] = {
    OPT_STR_ROW(cli_options, adapt, NULL,
                "A file of samples from which the layer learns first: a vocabulary, boundaries, "
                "mean and variance.",
                .flags = OPT_NULLABLE),
    OPT_STR_ROW(cli_options, worker, NULL,
                "The program millrace-worker; without it: beside millrace.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(cli_options, option, "Each option of the layer, under its own name.",
                .flags = OPT_NULLABLE | OPT_REST),
    OPT_END_ROW,
};

const struct cli_command cli_table[] = {
    {"run", "FILE", 1, 1, run_options, "Submits a job and watches it to its end.",
     "Ctrl-C leaves the job running and says how to come back to it. The exit status is that of "
     "the job: 0 finished, 4 failed or "
     "cancelled.",
     run_command},
    {"submit", "FILE", 1, 1, submit_options, "Submits a job, checked, and prints its id.",
     "The job runs as soon as its turn comes; `millrace watch JOB` shows it.", job_submit},
    {"check", "FILE", 1, 1, check_options, "Checks a job without running it and prints its plan.",
     NULL, job_check},
    {"summary", "FILE", 1, 1, summary_options,
     "Prints the layers of a job's model: shapes, parameters, work and memory.",
     "With data and a daemon that can be reached the job is checked whole; otherwise the model "
     "alone is compiled here, which "
     "needs an Input layer or an input_shape.",
     summary_command},
    {"apply", "LAYER [FILE]", 1, 2, apply_options,
     "Prints what a preprocessing layer makes of samples, a line each.",
     "LAYER is a name, with options as --num-bins=64 (of layers: docs/reference/ops.md; "
     "--vocabulary=@FILE takes the\nlines of a file), a list such as '[{Hashing: {num_bins: 64}}, "
     "{CategoryEncoding: {num_tokens: 64}}]', or a YAML\nfile with layers, data and adapt (see "
     "examples/slides). FILE, or standard input, is samples: one JSON list or a\nline of JSON "
     "each, .csv, .npy, or .txt by lines. They are read in a sandbox; no daemon is asked.",
     apply_command},
    {"watch", "JOB", 1, 1, watch_options, "Shows a job as it runs, to its end.",
     "JOB is an id or a name; a name means its newest job.", run_watch},
    {"list", "", 0, 0, no_options, "Lists the jobs, newest first.", NULL, job_list},
    {"show", "JOB", 1, 1, no_options, "Prints everything about a job.", NULL, job_show},
    {"quarantine", "JOB", 1, 1, no_options,
     "Lists the samples of a job that could not be read: file, offset, reason.",
     "The offset is where the sample begins in the file, unpacked. A sample is convicted when it "
     "ended three workers that\nhad nothing else in hand; others were refused by a decoder.",
     job_quarantine},
    {"logs", "JOB", 1, 1, logs_options, "Prints a job's log.", NULL, job_logs},
    {"cancel", "JOB", 1, 1, no_options, "Ends a job.", NULL, job_cancel},
    {"pause", "JOB", 1, 1, no_options, "Saves a job's state and pauses it.", NULL, job_pause},
    {"resume", "JOB", 1, 1, no_options, "Goes on with a paused job.", NULL, job_resume},
    {"predict", "JOB [FILE...]", 1, CLI_WORDS_MAX, predict_options,
     "Predicts with a job's newest model.",
     "Files are pictures (PNG, JPEG) or .npy arrays; without files rows of a data set of the job "
     "are taken.",
     predict_command},
    {"preview", "FILE", 1, 1, preview_options,
     "Draws samples as the trainer will see them, with labels, into a PNG file.",
     "They are the rows that a run of the job would get: augmentations drawn, numbers rescaled for "
     "the eye; the sheet\nsays how. Masks, boxes and keypoints are drawn in.",
     preview_command},
    {"pipeline explain", "FILE", 1, 1, check_options,
     "Prints what a job's pipeline does: the elements after every stage, passes, memory.",
     "The model is not looked at. An op that is a pass of its own comes with the reason.",
     pipeline_explain_command},
    {"pipeline run", "FILE", 1, 1, pipeline_run_options,
     "Runs a job's training stream alone and prints how fast it is, operation by operation.",
     "Workers, shared memory and queue are those of a job; a sink takes the batches as they come. "
     "It "
     "ends a little before\n--timeout, whatever was made.",
     pipeline_run_command},
    {"feed", "NAME", 1, 1, feed_options_rows,
     "Feeds a data set with elements that a program makes when they are asked for.",
     "The program speaks over its standard input and output (docs/feed.md; examples/feed has one in "
     "Python that takes a\nkeras.utils.Sequence or a generator). What it made once is stored and not "
     "asked for again; jobs that wait for it\npause when this command ends, and go on when it is "
     "given again.",
     feed_command},
    {"pipeline save", "FILE NAME", 2, 2, pipeline_save_options,
     "Stores the elements of a job's stream as a data set, as they stand before batches.",
     "A job reads them with data: {train: {dataset: NAME}}: fields, kinds, types, shapes and "
     "classes "
     "are kept, texts\nand pictures of many sizes too. It is one epoch, drawn as a run of the job "
     "would draw it.",
     pipeline_save_command},
    {"dataset put", "NAME PATH", 2, 2, put_options, "Uploads a folder or file as a data set.",
     "With --in-place the files stay where they are and are read there: leave them as they are, "
     "because a file\nthat was changed since is a bad sample. Broken off, it goes on where it was when the same command is given again; files that the "
     "daemon has are not sent. Other files under a name that is there become its next version, "
     "NAME@2; NAME alone is the newest.",
     dataset_put},
    {"dataset pack", "NAME", 1, 1, pack_options,
     "Packs the files of a data set into tar shards, as WebDataset has them.",
     "A job reads the same samples in the same order from them; `dataset get --shards` hands them "
     "out.\nPictures in folders get their class's number beside them (.cls).",
     dataset_pack},
    {"dataset get", "NAME DIR", 2, 2, get_options, "Downloads a data set into a folder.",
     "Every byte is compared with its content id. Broken off, it goes on where it was when the "
     "same "
     "command is given again. NAME@1 is an older version.",
     dataset_get},
    {"dataset head", "NAME", 1, 1, head_options,
     "Prints the first files of a data set: path, size, class.", NULL, dataset_get_head},
    {"dataset gc", "", 0, 0, gc_options,
     "Removes what no data set names and makes packs anew that are mostly empty.",
     "What uploads under way have stays, and so do the packs that a job reads.", dataset_get_gc},
    {"dataset list", "", 0, 0, no_options, "Lists the data sets.", NULL, dataset_list},
    {"dataset show", "NAME", 1, 1, no_options, "Prints what a data set holds.", NULL, dataset_show},
    {"dataset verify", "NAME", 1, 1, no_options,
     "Reads every byte of a data set again and compares.", NULL, dataset_verify},
    {"dataset remove", "NAME", 1, 1, no_options, "Removes a data set that no job uses.",
     "NAME@1 removes that version, NAME all of them.", dataset_remove},
    {"status", "", 0, 0, no_options, "Prints how the daemon is.", NULL, daemon_status},
    {"workers", "", 0, 0, no_options, "Lists the worker processes.", NULL, daemon_workers},
    {"shutdown", "", 0, 0, no_options,
     "Ends the daemon; jobs go on from where they are when it is started again.", NULL,
     daemon_shutdown},
    {"completion", "SHELL", 1, 1, no_options, "Prints a completion script for bash.",
     "source <(millrace completion bash)", daemon_completion},
    {"help", "[COMMAND...]", 0, 2, no_options, "Prints what a command does.",
     "The same as `millrace COMMAND --help`.", daemon_help},
    {"version", "", 0, 0, no_options, "Prints the versions of this program and of the daemon.",
     NULL, daemon_version},
};
const int cli_n_commands = sizeof(cli_table) / sizeof(cli_table[0]);
