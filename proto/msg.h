/* msg - messages: one table (proto/messages.h), each with an option table as its body.
 *
 * Owns:     encoded bytes are the caller's buf; decoded bodies live in the arena given.
 * Threads:  none shared.
 * Errors:   ERR_SYNTAX (not msgpack, not our envelope), ERR_LIMIT (depth, nodes, size), ERR_UNKNOWN (message),
 *           ERR_VERSION; those of opt_read for the body, path from "body".
 * Lifetime: the arena's.
 *
 * Envelope, one msgpack map: {"v": version, "m": name, "id": request id (0 = none), "b": body map}. Unknown keys of the
 * envelope are ignored; unknown keys of a body are errors within one protocol version. Bytes and tensors travel as raw frames behind the
 * envelope, never inside. Three families: client and daemon (control socket), daemon and child (inherited socket
 * pair, one datagram a message, descriptors beside it), trainer and worker (data socket).
 */
#ifndef PROTO_MSG_H
#define PROTO_MSG_H

#include "base/opt.h"

enum { MSG_VERSION_MIN = 1, MSG_VERSION = 1 };

enum msg_family { MSG_FAMILY_CONTROL, MSG_FAMILY_CHILD, MSG_FAMILY_CHUNK };

enum msg_id {
#define MSG_ROW(symbol, name, family, body, max_bytes, sentence) MSG_##symbol,
#include "proto/messages.h"
#undef MSG_ROW
    MSG_MAX_
};

struct msg_desc {
    const char *name;
    enum msg_family family;
    const struct opt *options;
    size_t body_size;
    size_t max_bytes;
    const char *sentence;
};
extern const struct msg_desc msg_table[MSG_MAX_];

struct msg {
    enum msg_id type;
    int version;
    int64_t id;
    void *body; /* struct msg_<body> of the row */
};

/* body is a struct msg_<body> of the row, with its options filled. */
void msg_encode(enum msg_id type, int64_t id, const void *body, struct buf *out);
int msg_decode(const void *data, size_t size, struct arena *arena, struct msg *ret, struct err *err);
/* Documents as msgpack, bounded: a size is never believed before the bytes are seen (proto/msgpack.c). */
int msg_read_doc(const void *data, size_t size, const struct doc_limits *limits, struct arena *arena, struct doc **ret,
                 struct err *err);
void msg_write_doc(const struct doc *doc, struct buf *out);

/* ---- control: client and daemon ---------------------------------------------------------------------------- */
struct msg_hello {
    int64_t protocol_min, protocol_max;
    const char *program; /* "millrace 0.1.0" */
};
struct msg_none {
    int64_t unused;
};
struct msg_named { /* dataset.show, dataset.remove, job.show, ... */
    const char *name;
};
struct msg_dataset_begin { /* payload frames: msgpack lists of {path, bytes, id}, sorted by path from the first to the last */
    const char *name;
    const char *kind; /* "auto", "idx", "images" */
};
struct msg_dataset_chunk { /* payload frame 1: the bytes */
    const char *upload;
    int64_t file; /* index in the list of dataset.begin */
    int64_t offset;
};
struct msg_dataset_files { /* payload frame 1: their bytes, one file behind the other */
    const char *upload;
    struct opt_ints files; /* indices in the list of dataset.begin */
};
struct msg_dataset_commit {
    const char *upload;
};
struct msg_dataset_place {
    const char *name;
    const char *kind;
    const char *path; /* absolute, without links */
};
struct msg_dataset_pack {
    const char *name, *into; /* into: or NULL */
    int64_t shard_bytes;
};
struct msg_dataset_step {
    const char *session;
};
struct msg_dataset_manifest {
    const char *name;
    int64_t offset; /* of the text */
};
struct msg_dataset_read {
    const char *name; /* or NULL */
    struct opt_strs ids;
    int64_t offset; /* in the first one */
};
struct msg_dataset_gc {
    int64_t keep_days; /* blobs of broken uploads that are younger stay; -1 = upload_keep_days */
};
struct msg_feed_open {
    const char *name;
    const struct doc *spec; /* feed_options (proto/feed.h) */
};
struct msg_feed_put { /* payload frame 1: their rows */
    const char *feed; /* as the reply to feed.open says */
    int64_t epoch;
    struct opt_ints indices;
};
struct msg_feed_bad {
    const char *feed;
    int64_t epoch;
    struct opt_ints indices;
    const char *reason;
};
struct msg_feed_end {
    const char *feed;
};
struct msg_feed_want { /* daemon to client, without id */
    const char *feed;
    int64_t epoch;
    struct opt_ints indices;
};
struct msg_feed_status { /* daemon to client, without id */
    const char *feed;
    int64_t epoch, have; /* stored of the epoch that is asked for */
    int64_t wanted;      /* by workers, and not stored */
    int64_t waiting;     /* jobs that are paused for want of it */
    bool taken;          /* another client feeds it now */
};
struct msg_job_submit {
    const char *key; /* idempotency key: the same key gives the same job */
    const struct doc *job;
    struct opt_strs datasets; /* what job_datasets says, so that the daemon need not look into the job */
    const char *from;         /* a job whose model it starts from, or NULL */
};
struct msg_job_logs {
    const char *name;
    int64_t after; /* sequence number; 0 = all */
};
struct msg_job_watch {
    const char *name;
    int64_t after; /* events after this sequence number; a snapshot comes first */
};
struct msg_job_predict { /* payload frames: one input file each (PNG, JPEG, .npy); or rows of a data set */
    const char *name;    /* job */
    const char *dataset; /* or NULL */
    const char *split;
    struct opt_ints rows;
};
struct msg_pipeline_explain {
    const struct doc *job;
};
struct msg_pipeline_preview {
    const struct doc *job;
    int64_t stream; /* 0 train, 1 validation */
    int64_t epoch, step;
    int64_t rows;
};
struct msg_pipeline_save {
    const struct doc *job;
    int64_t stream; /* 0 train, 1 validation */
    int64_t epoch;
    int64_t begin, kept, place; /* 0, then what the reply before said */
};
struct msg_pipeline_run {
    const struct doc *job;
    int64_t steps;
    int64_t workers; /* 0 = the job's, else one a processor */
    double seconds;  /* ends after so long, whatever was made */
};
struct msg_reply {
    const struct doc *result;
};
struct msg_error {
    int64_t code; /* enum err_code */
    int64_t line;
    const char *path;
    const char *text;
};
struct msg_event { /* daemon to a watching client, without id */
    const char *job;
    int64_t seq;
    const char *kind; /* "snapshot", "state", "progress", "epoch", "checkpoint", "log", "quarantine", "workers", "adapting"; "working" */
    const struct doc *data;
};

/* ---- child: daemon and its children ------------------------------------------------------------------------ */
struct msg_child_start { /* descriptors beside it, in the order of `fds` */
    const char *mode;    /* "check", "explain", "preview", "prepare", "run", "drain", "predict" */
    const char *job;     /* job id */
    int64_t worker;      /* worker's number, 1.. (workers only) */
    const char *address; /* data socket: the trainer binds it, workers connect */
    int64_t max_workers;
    int64_t n_slabs;
    int64_t kept_bytes; /* greatest size of a file in "kept"; 0 = no bound */
    struct opt_strs fds; /* "job", "plan", "slab", "blobs", "kept", "jobdir", "model", "input:N" (0..), "manifest:NAME". Job, plan and
                          * manifests are JSON files; blobs, kept and jobdir are folders; model is a .keras; read from offset 0 (pread) */
    const struct doc *settings; /* {sandbox: true, memory_bytes: 0 = no limit}; predict: + {dataset, split, rows: [], inputs: n} */
};
struct msg_child_ready {
    int64_t pid;
    const char *sandbox; /* "landlock+seccomp", "seccomp", "off" */
};
struct msg_child_result { /* checker: plan (the daemon puts the trainer's keys over the worker's); predictor: {predictions, ...};
                           * trainer: {file, metrics, ...} */
    const struct doc *result;
};
struct msg_child_progress {
    int64_t epoch, epochs, step, steps; /* step within the epoch, 1-based count of finished steps */
    int64_t global_step;
    int64_t validation_step, validation_steps; /* the same of the epoch's validation; step 0 while training */
    double epoch_seconds;                      /* since the epoch began */
    const struct doc *metrics; /* {"loss": 0.1, "accuracy": 0.97} running means of the epoch; validation's: val_loss */
    double samples_per_second;
    double wait_share; /* of the fit loop's time since the last message */
    int64_t queue;     /* batches ready */
    int64_t workers;
    int64_t prefetch;   /* batches made ahead */
    const char *choice; /* why so many workers and batches: one sentence */
    double eta_seconds;
    const struct doc *stages; /* per op: {name: us a sample}, busy/starved/blocked shares, or NULL */
    const struct doc *counters;
};
struct msg_child_epoch {
    int64_t epoch;
    double seconds; /* from its begin, or from where this process went on with it */
    const struct doc *metrics; /* with val_ ones */
};
struct msg_child_checkpoint {
    const char *file; /* name in the job's folder */
    int64_t epoch, step, global_step;
    const char *reason; /* "epoch", "steps", "seconds", "stop", "end" */
    const char *tensors; /* content id over the named tensors */
};
struct msg_child_workers { /* trainer asks for so many */
    int64_t n;
    int64_t prefetch;
    const char *reason; /* one sentence for people */
};
struct msg_child_worker { /* kill_worker (trainer to daemon), worker_new, worker_gone (daemon to trainer, after the reap) */
    int64_t worker;
    int64_t pid;
    const char *reason;
};
struct msg_child_quarantine { /* trainer to daemon; answered by quarantined with the same seq once it is durable */
    int64_t seq;
    const char *stream; /* "train", "validation" */
    int64_t sample;     /* index in the data set's split */
    const char *path;   /* of the file in the data set */
    int64_t offset;     /* where it begins there, of the file unpacked; -1: nowhere that is known */
    const char *reason;
    bool convicted; /* killed three workers alone; false: bad bytes, named by the decoder */
};
struct msg_child_seq {
    int64_t seq;
};
struct msg_child_part {
    int64_t part;
    bool made;
};
struct msg_child_log {
    int64_t level; /* enum log_level */
    const char *text;
};
struct msg_child_paused {
    int64_t code; /* enum err_code */
    const char *text;
};
struct msg_child_want {
    int64_t seq;
    const char *feed; /* id of the spool, which only a manifest tells */
    int64_t epoch;
    struct opt_ints indices;
};
struct msg_child_have {
    int64_t seq;
    int64_t code; /* 0 or enum err_code */
    const char *text;
};
struct msg_child_stop {
    const char *reason; /* "checkpoint" (save and end: paused or shutdown), "cancel" (end) */
};

/* ---- chunk: trainer and workers ---------------------------------------------------------------------------- */
struct msg_chunk_hello {
    int64_t worker;
    int64_t pid;
    const char *pipeline; /* content id */
};
struct msg_chunk_make {
    int64_t stream; /* 0 train, 1 validation */
    int64_t epoch, step;
    int64_t begin, end; /* rows of the batch */
    int64_t slab, generation;
    struct opt_ints skip; /* rows that are convicted: not touched, marked bad (__ok 0 and a record in `bad`) */
    struct opt_ints skip_samples; /* samples of the stream that were convicted before: likewise */
};
struct msg_chunk_wait {
    int64_t worker;
};
struct msg_chunk_bad {
    int64_t row, sample;
    const char *path;
    int64_t offset; /* in the file */
    const char *reason;
};
struct msg_chunk_done { /* inline mode: one raw frame a field follows */
    int64_t stream, epoch, step, begin, end, slab, generation;
    int64_t us; /* time to make it */
    struct opt_groups bad;    /* of struct msg_chunk_bad */
    const struct doc *stages; /* {op name: us} of this chunk, or NULL */
};

#define MSG_OPT(body) extern const struct opt msg_##body##_options[];
MSG_OPT(hello)
MSG_OPT(none)
MSG_OPT(named)
MSG_OPT(dataset_begin)
MSG_OPT(dataset_chunk)
MSG_OPT(dataset_files)
MSG_OPT(dataset_commit)
MSG_OPT(dataset_place)
MSG_OPT(dataset_pack)
MSG_OPT(dataset_step)
MSG_OPT(dataset_manifest)
MSG_OPT(dataset_read)
MSG_OPT(dataset_gc)
MSG_OPT(feed_open)
MSG_OPT(feed_put)
MSG_OPT(feed_bad)
MSG_OPT(feed_end)
MSG_OPT(feed_want)
MSG_OPT(feed_status)
MSG_OPT(job_submit)
MSG_OPT(job_logs)
MSG_OPT(job_watch)
MSG_OPT(job_predict)
MSG_OPT(pipeline_explain)
MSG_OPT(pipeline_preview)
MSG_OPT(pipeline_save)
MSG_OPT(pipeline_run)
MSG_OPT(reply)
MSG_OPT(error)
MSG_OPT(event)
MSG_OPT(child_start)
MSG_OPT(child_ready)
MSG_OPT(child_result)
MSG_OPT(child_progress)
MSG_OPT(child_epoch)
MSG_OPT(child_checkpoint)
MSG_OPT(child_workers)
MSG_OPT(child_worker)
MSG_OPT(child_quarantine)
MSG_OPT(child_seq)
MSG_OPT(child_part)
MSG_OPT(child_log)
MSG_OPT(child_paused)
MSG_OPT(child_want)
MSG_OPT(child_have)
MSG_OPT(child_stop)
MSG_OPT(chunk_hello)
MSG_OPT(chunk_make)
MSG_OPT(chunk_wait)
MSG_OPT(chunk_done)
#undef MSG_OPT

#endif
