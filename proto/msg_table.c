/* The option tables of all message bodies and the table made from proto/messages.h. */
#include "proto/feed.h"
#include "proto/msg.h"

#define I64(S, f, h, ...) OPT_I64_ROW(S, f, 0, -OPT_I64_MAX, OPT_I64_MAX, h, ##__VA_ARGS__)
#define F64(S, f, h) OPT_F64_ROW(S, f, 0, -1e300, 1e300, h)
#define STR(S, f, h) OPT_STR_ROW(S, f, NULL, h, .flags = OPT_NULLABLE)
#define STR_REQUIRED(S, f, h) OPT_STR_ROW(S, f, NULL, h, .flags = OPT_REQUIRED)
#define DOC(S, f, h) OPT_DOC_ROW(S, f, h, .flags = OPT_NULLABLE)

const struct opt msg_hello_options[] = {
    I64(msg_hello, protocol_min, "Oldest protocol version that the client speaks.", .flags = OPT_REQUIRED),
    I64(msg_hello, protocol_max, "Newest protocol version that the client speaks.", .flags = OPT_REQUIRED),
    STR(msg_hello, program, "Program and version, for the log."),
    OPT_END_ROW,
};
const struct opt msg_none_options[] = {OPT_END_ROW};
const struct opt msg_named_options[] = {
    STR_REQUIRED(msg_named, name, "Data set or job."),
    OPT_END_ROW,
};
const struct opt msg_dataset_begin_options[] = {
    STR_REQUIRED(msg_dataset_begin, name, "Name of the data set."),
    OPT_STR_ROW(msg_dataset_begin, kind, "auto", "Name of a source, or auto."),
    OPT_END_ROW,
};
const struct opt msg_dataset_chunk_options[] = {
    STR_REQUIRED(msg_dataset_chunk, upload, "Upload that dataset.begin named."),
    I64(msg_dataset_chunk, file, "Index in the list of dataset.begin.", .flags = OPT_REQUIRED),
    I64(msg_dataset_chunk, offset, "Of the bytes in the file.", .flags = OPT_REQUIRED, .unit = "bytes"),
    OPT_END_ROW,
};
const struct opt msg_dataset_files_options[] = {
    STR_REQUIRED(msg_dataset_files, upload, "Upload that dataset.begin named."),
    OPT_INTS_ROW(msg_dataset_files, files, NULL, 1, 4096, 0, OPT_I64_MAX,
                 "Indices in the list of dataset.begin."),
    OPT_END_ROW,
};
const struct opt msg_dataset_commit_options[] = {
    STR_REQUIRED(msg_dataset_commit, upload, "Upload that dataset.begin named."),
    OPT_END_ROW,
};
const struct opt msg_dataset_place_options[] = {
    STR_REQUIRED(msg_dataset_place, name, "Name of the data set."),
    OPT_STR_ROW(msg_dataset_place, kind, "auto", "Name of a source, or auto."),
    STR_REQUIRED(msg_dataset_place, path, "The folder, absolute and without links."),
    OPT_END_ROW,
};
const struct opt msg_dataset_pack_options[] = {
    STR_REQUIRED(msg_dataset_pack, name, "Data set, also as name@version."),
    STR(msg_dataset_pack, into, "Name of what is made; without it the next version of the same."),
    OPT_I64_ROW(msg_dataset_pack, shard_bytes, 268435456, 65536, OPT_I64_MAX, "Size from which on the next shard begins.",
                .unit = "bytes"),
    OPT_END_ROW,
};
const struct opt msg_dataset_step_options[] = {
    STR_REQUIRED(msg_dataset_step, session, "What dataset.place or dataset.pack named."),
    OPT_END_ROW,
};
const struct opt msg_dataset_manifest_options[] = {
    STR_REQUIRED(msg_dataset_manifest, name, "Data set, also as name@version."),
    OPT_I64_ROW(msg_dataset_manifest, offset, 0, 0, OPT_I64_MAX, "Of the text.", .unit = "bytes"),
    OPT_END_ROW,
};
const struct opt msg_dataset_read_options[] = {
    STR(msg_dataset_read, name, "Data set that the files are of, also as name@version; needed if they lie in place."),
    OPT_STRS_ROW(msg_dataset_read, ids, "Content ids."),
    OPT_I64_ROW(msg_dataset_read, offset, 0, 0, OPT_I64_MAX, "Of the bytes in the first one.", .unit = "bytes"),
    OPT_END_ROW,
};
const struct opt msg_dataset_gc_options[] = {
    OPT_I64_ROW(msg_dataset_gc, keep_days, -1, -1, 3650,
                "What broken uploads left stays if it is younger; -1 = the setting upload_keep_days."),
    OPT_END_ROW,
};
#define FEED(S)    STR_REQUIRED(S, feed, "Feed that the reply to feed.open named.")
#define EPOCH(S)   OPT_I64_ROW(S, epoch, 0, 0, FEED_EPOCHS_MAX, "Epoch, from 0; 0 if they are the same in each.")
#define INDICES(S) OPT_INTS_ROW(S, indices, NULL, 1, FEED_INDICES_MAX, 0, FEED_ELEMENTS_MAX, "Of the elements.")
const struct opt msg_feed_open_options[] = {
    STR_REQUIRED(msg_feed_open, name, "Name of the data set."),
    OPT_DOC_ROW(msg_feed_open, spec, "{fields: [{name, kind, dtype, shape}], elements, by_epoch, batch, classes}.",
                .flags = OPT_REQUIRED),
    OPT_END_ROW,
};
const struct opt msg_feed_put_options[] = {
    FEED(msg_feed_put),
    EPOCH(msg_feed_put),
    INDICES(msg_feed_put),
    OPT_END_ROW,
};
const struct opt msg_feed_bad_options[] = {
    FEED(msg_feed_bad),
    EPOCH(msg_feed_bad),
    INDICES(msg_feed_bad),
    STR(msg_feed_bad, reason, "One sentence for people."),
    OPT_END_ROW,
};
const struct opt msg_feed_end_options[] = {FEED(msg_feed_end), OPT_END_ROW};
const struct opt msg_feed_want_options[] = {
    FEED(msg_feed_want),
    EPOCH(msg_feed_want),
    INDICES(msg_feed_want),
    OPT_END_ROW,
};
const struct opt msg_feed_status_options[] = {
    STR(msg_feed_status, feed, "Feed."),
    I64(msg_feed_status, epoch, "Epoch that is asked for, from 0."),
    I64(msg_feed_status, have, "Elements of it that are stored."),
    I64(msg_feed_status, wanted, "Elements that workers wait for."),
    I64(msg_feed_status, waiting, "Jobs that are paused for want of elements."),
    OPT_BOOL_ROW(msg_feed_status, taken, 0, "Another client feeds it now."),
    OPT_END_ROW,
};
const struct opt msg_child_want_options[] = {
    I64(msg_child_want, seq, "Of the answer."),
    STR_REQUIRED(msg_child_want, feed, "Id of the spool."),
    EPOCH(msg_child_want),
    INDICES(msg_child_want),
    OPT_END_ROW,
};
const struct opt msg_child_have_options[] = {
    I64(msg_child_have, seq, "Of the message that is answered."),
    I64(msg_child_have, code, "0, or a negative code, see the reference of errors."),
    STR(msg_child_have, text, "One sentence."),
    OPT_END_ROW,
};
const struct opt msg_chunk_wait_options[] = {
    I64(msg_chunk_wait, worker, "Number of the worker."),
    OPT_END_ROW,
};
#undef FEED
#undef EPOCH
#undef INDICES
const struct opt msg_job_submit_options[] = {
    STR(msg_job_submit, key, "Idempotency key: the same key gives the same job."),
    OPT_DOC_ROW(msg_job_submit, job, "The job document.", .flags = OPT_REQUIRED),
    OPT_STRS_ROW(msg_job_submit, datasets, "Names of the data sets that it needs."),
    STR(msg_job_submit, from, "Job whose model it starts from."),
    OPT_END_ROW,
};
const struct opt msg_job_logs_options[] = {
    STR_REQUIRED(msg_job_logs, name, "Job."),
    I64(msg_job_logs, after, "Only lines after this sequence number."),
    OPT_END_ROW,
};
const struct opt msg_job_watch_options[] = {
    STR_REQUIRED(msg_job_watch, name, "Job."),
    I64(msg_job_watch, after, "Only events after this sequence number."),
    OPT_END_ROW,
};
const struct opt msg_job_predict_options[] = {
    STR_REQUIRED(msg_job_predict, name, "Job."),
    STR(msg_job_predict, dataset, "Data set whose rows are predicted, if no files follow."),
    STR(msg_job_predict, split, "Split of it."),
    OPT_INTS_ROW(msg_job_predict, rows, NULL, 0, 4096, 0, OPT_I64_MAX, "Rows of it."),
    OPT_END_ROW,
};
const struct opt msg_pipeline_explain_options[] = {
    OPT_DOC_ROW(msg_pipeline_explain, job, "The job document.", .flags = OPT_REQUIRED),
    OPT_END_ROW,
};
const struct opt msg_pipeline_preview_options[] = {
    OPT_DOC_ROW(msg_pipeline_preview, job, "The job document.", .flags = OPT_REQUIRED),
    OPT_I64_ROW(msg_pipeline_preview, stream, 0, 0, 1, "0 train, 1 validation."),
    OPT_I64_ROW(msg_pipeline_preview, epoch, 0, 0, INT32_MAX, "Epoch, from 0."),
    OPT_I64_ROW(msg_pipeline_preview, step, 0, 0, OPT_I64_MAX, "Step of the epoch where it begins, from 0."),
    OPT_I64_ROW(msg_pipeline_preview, rows, 16, 1, 256, "Rows; fewer come at the end of the epoch."),
    OPT_END_ROW,
};
const struct opt msg_pipeline_save_options[] = {
    OPT_DOC_ROW(msg_pipeline_save, job, "The job document.", .flags = OPT_REQUIRED),
    OPT_I64_ROW(msg_pipeline_save, stream, 0, 0, 1, "0 train, 1 validation."),
    OPT_I64_ROW(msg_pipeline_save, epoch, 0, 0, INT32_MAX, "Epoch, from 0."),
    OPT_I64_ROW(msg_pipeline_save, begin, 0, 0, OPT_I64_MAX, "The first element; then `next` of the reply before."),
    OPT_I64_ROW(msg_pipeline_save, kept, 0, 0, OPT_I64_MAX, "Elements so far; then `kept` of the reply before."),
    OPT_I64_ROW(msg_pipeline_save, place, 0, 0, OPT_I64_MAX, "Bytes so far; then `place` of the reply before.", .unit = "bytes"),
    OPT_END_ROW,
};
const struct opt msg_pipeline_run_options[] = {
    OPT_DOC_ROW(msg_pipeline_run, job, "The job document.", .flags = OPT_REQUIRED),
    OPT_I64_ROW(msg_pipeline_run, steps, 100, 1, 1e9, "Batches of the training stream; epochs follow each other."),
    OPT_I64_ROW(msg_pipeline_run, workers, 0, 0, 64, "Workers; 0 = the job's, else one a processor."),
    OPT_F64_ROW(msg_pipeline_run, seconds, 60, 0.1, 86400, "It ends after so long, whatever was made.", .unit = "seconds"),
    OPT_END_ROW,
};
const struct opt msg_reply_options[] = {
    DOC(msg_reply, result, "As the request says."),
    OPT_END_ROW,
};
const struct opt msg_error_options[] = {
    I64(msg_error, code, "Negative code, see the reference of errors."),
    I64(msg_error, line, "Line of the document, 0 if unknown."),
    STR(msg_error, path, "Path into the document."),
    STR(msg_error, text, "One sentence."),
    OPT_END_ROW,
};
const struct opt msg_event_options[] = {
    STR(msg_event, job, "Job."),
    I64(msg_event, seq, "Sequence number within the job."),
    STR(msg_event, kind, "snapshot, state, progress, epoch, checkpoint, log, quarantine or workers; working: an answer is on its way."),
    DOC(msg_event, data, "As the kind says."),
    OPT_END_ROW,
};
const struct opt msg_child_start_options[] = {
    STR_REQUIRED(msg_child_start, mode, "check, explain, preview, prepare, run, drain or predict."),
    STR(msg_child_start, job, "Job."),
    I64(msg_child_start, worker, "Number of the worker, from 1."),
    STR(msg_child_start, address, "Data socket: the trainer binds it, workers connect."),
    I64(msg_child_start, max_workers, "Most workers that may be asked for."),
    I64(msg_child_start, n_slabs, "Batches that the shared memory holds."),
    I64(msg_child_start, kept_bytes, "Greatest size of a kept file; 0 = no bound."),
    OPT_STRS_ROW(msg_child_start, fds, "Names of the descriptors beside the message, in their order."),
    DOC(msg_child_start, settings, "What the mode needs besides."),
    OPT_END_ROW,
};
const struct opt msg_child_ready_options[] = {
    I64(msg_child_ready, pid, "Process."),
    STR(msg_child_ready, sandbox, "Which parts of the sandbox are on."),
    OPT_END_ROW,
};
const struct opt msg_child_result_options[] = {
    DOC(msg_child_result, result, "The answer."),
    OPT_END_ROW,
};
const struct opt msg_child_progress_options[] = {
    I64(msg_child_progress, epoch, "Epoch, from 0."),
    I64(msg_child_progress, epochs, "Epochs of the job."),
    I64(msg_child_progress, step, "Finished steps of the epoch."),
    I64(msg_child_progress, steps, "Steps of an epoch."),
    I64(msg_child_progress, global_step, "Finished steps of the job."),
    I64(msg_child_progress, validation_step, "Finished steps of the epoch's validation; 0 while training."),
    I64(msg_child_progress, validation_steps, "Steps of a validation."),
    F64(msg_child_progress, epoch_seconds, "Since the epoch began."),
    DOC(msg_child_progress, metrics, "Running means of the epoch, or with val_ before of its validation."),
    F64(msg_child_progress, samples_per_second, "Since the last message."),
    F64(msg_child_progress, wait_share, "Share of the time that the fit loop waited for input."),
    I64(msg_child_progress, queue, "Batches ready."),
    I64(msg_child_progress, workers, "Workers connected."),
    I64(msg_child_progress, prefetch, "Batches made ahead."),
    STR(msg_child_progress, choice, "Why so many workers and batches, for people."),
    F64(msg_child_progress, eta_seconds, "Until the end of the job."),
    DOC(msg_child_progress, stages, "Time a sample of each operation, in microseconds."),
    DOC(msg_child_progress, counters, "Counters of the trainer."),
    OPT_END_ROW,
};
const struct opt msg_child_epoch_options[] = {
    I64(msg_child_epoch, epoch, "Epoch that ended, from 0."),
    F64(msg_child_epoch, seconds, "How long it took, its validation included; after a resume what came behind that."),
    DOC(msg_child_epoch, metrics, "Its means, validation's with val_ before."),
    OPT_END_ROW,
};
const struct opt msg_child_checkpoint_options[] = {
    STR(msg_child_checkpoint, file, "Name in the job's folder."),
    I64(msg_child_checkpoint, epoch, "Epoch, from 0."),
    I64(msg_child_checkpoint, step, "Finished steps of the epoch."),
    I64(msg_child_checkpoint, global_step, "Finished steps of the job."),
    STR(msg_child_checkpoint, reason, "epoch, steps, seconds, callback, stop or end."),
    STR(msg_child_checkpoint, tensors, "Content id over the named tensors."),
    OPT_END_ROW,
};
const struct opt msg_child_workers_options[] = {
    I64(msg_child_workers, n, "Workers wanted."),
    I64(msg_child_workers, prefetch, "Batches made ahead."),
    STR(msg_child_workers, reason, "One sentence for people."),
    OPT_END_ROW,
};
const struct opt msg_child_worker_options[] = {
    I64(msg_child_worker, worker, "Number of the worker."),
    I64(msg_child_worker, pid, "Its process."),
    STR(msg_child_worker, reason, "One sentence for people."),
    OPT_END_ROW,
};
const struct opt msg_child_quarantine_options[] = {
    I64(msg_child_quarantine, seq, "Answered by child.quarantined with the same."),
    STR(msg_child_quarantine, stream, "train or validation."),
    I64(msg_child_quarantine, sample, "Index in the split."),
    STR(msg_child_quarantine, path, "File in the data set."),
    I64(msg_child_quarantine, offset, "Where the sample begins in the file, unpacked; -1 where that is not known."),
    STR(msg_child_quarantine, reason, "One sentence for people."),
    OPT_BOOL_ROW(msg_child_quarantine, convicted, 0, "It killed three workers that had nothing else in hand."),
    OPT_END_ROW,
};
const struct opt msg_child_seq_options[] = {
    I64(msg_child_seq, seq, "Of the message that is answered."),
    OPT_END_ROW,
};
const struct opt msg_child_part_options[] = {
    I64(msg_child_part, part, "Its number, from 0."),
    OPT_BOOL_ROW(msg_child_part, made, 0, "It is kept now; else it is begun."),
    OPT_END_ROW,
};
const struct opt msg_child_log_options[] = {
    I64(msg_child_log, level, "0 error, 1 warning, 2 information, 3 debugging."),
    STR(msg_child_log, text, "One line."),
    OPT_END_ROW,
};
const struct opt msg_child_paused_options[] = {
    I64(msg_child_paused, code, "Negative code, see the reference of errors."),
    STR(msg_child_paused, text, "One sentence."),
    OPT_END_ROW,
};
const struct opt msg_child_stop_options[] = {
    STR(msg_child_stop, reason, "checkpoint (save, then end) or cancel (end)."),
    OPT_END_ROW,
};
const struct opt msg_chunk_hello_options[] = {
    I64(msg_chunk_hello, worker, "Number of the worker."),
    I64(msg_chunk_hello, pid, "Its process."),
    STR(msg_chunk_hello, pipeline, "Content id of its pipeline."),
    OPT_END_ROW,
};
const struct opt msg_chunk_make_options[] = {
    I64(msg_chunk_make, stream, "0 train, 1 validation."),
    I64(msg_chunk_make, epoch, "Epoch, from 0."),
    I64(msg_chunk_make, step, "Step of the epoch, from 0."),
    I64(msg_chunk_make, begin, "First row of the batch."),
    I64(msg_chunk_make, end, "Row behind the last."),
    I64(msg_chunk_make, slab, "Where to write."),
    I64(msg_chunk_make, generation, "Of the slab's use."),
    OPT_INTS_ROW(msg_chunk_make, skip, NULL, 0, 65536, 0, OPT_I64_MAX, "Convicted rows."),
    OPT_INTS_ROW(msg_chunk_make, skip_samples, NULL, 0, 65536, 0, OPT_I64_MAX,
                 "Samples of the stream that were convicted before."),
    OPT_END_ROW,
};
static const struct opt chunk_bad_options[] = {
    I64(msg_chunk_bad, row, "Of the batch."),
    I64(msg_chunk_bad, sample, "Index in the split."),
    STR(msg_chunk_bad, path, "File in the data set."),
    I64(msg_chunk_bad, offset, "Where the sample begins in the file, unpacked; -1 where that is not known."),
    STR(msg_chunk_bad, reason, "One sentence for people."),
    OPT_END_ROW,
};
const struct opt msg_chunk_done_options[] = {
    I64(msg_chunk_done, stream, "0 train, 1 validation."),
    I64(msg_chunk_done, epoch, "Epoch, from 0."),
    I64(msg_chunk_done, step, "Step of the epoch, from 0."),
    I64(msg_chunk_done, begin, "First row of the batch."),
    I64(msg_chunk_done, end, "Row behind the last."),
    I64(msg_chunk_done, slab, "Where it was written."),
    I64(msg_chunk_done, generation, "Of the slab's use."),
    I64(msg_chunk_done, us, "Time that it took.", .unit = "us"),
    OPT_GROUPS_ROW(msg_chunk_done, bad, msg_chunk_bad, chunk_bad_options, "Bad rows."),
    DOC(msg_chunk_done, stages, "Time of each operation, in microseconds."),
    OPT_END_ROW,
};

const struct msg_desc msg_table[MSG_MAX_] = {
#define MSG_ROW(symbol, text, kind, body, max, words)                                                       \
    [MSG_##symbol] = {.name = (text),                                                                       \
                      .family = MSG_FAMILY_##kind,                                                          \
                      .options = msg_##body##_options,                                                      \
                      .body_size = sizeof(struct msg_##body),                                               \
                      .max_bytes = (max),                                                                   \
                      .sentence = (words)},
#include "proto/messages.h"
#undef MSG_ROW
};
