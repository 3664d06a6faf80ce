#include "workers/inputs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "workers/preview.h"

enum { START_TIMEOUT_MS = 30000 };

/* A manifest has a line a file, and a data set may have a million of them. */
static const struct doc_limits manifest_limits = {
    .depth = 16, .nodes = 16000000, .bytes = 512u << 20};
static const struct doc_limits job_limits = {.depth = 64, .nodes = 1000000, .bytes = 64u << 20};

static const char manifest_prefix[] = "manifest:";

const struct opt inputs_settings_options[] = {
    OPT_BOOL_ROW(inputs_settings, sandbox, 1,
                 "Limits, Landlock and seccomp around everything that is parsed."),
    OPT_I64_ROW(inputs_settings, memory_bytes, 0, 0, OPT_I64_MAX,
                "Address space that is allowed beside the slabs; 0 = no limit.", .unit = "bytes"),
    OPT_BOOL_ROW(inputs_settings, profile, 0, "Tells the times of operations with every chunk."),
    OPT_I64_ROW(
        inputs_settings, make_ms, -1, -1, INT32_MAX,
        "Of a check: time for what the pipeline computes once, the rest is left to workers; "
        "-1 = all of it is made.",
        .unit = "ms"),
    OPT_I64_ROW(inputs_settings, stream, 0, 0, PIPELINE_STREAM_MAX_ - 1,
                "Of a preview, and of what is saved: 0 train, 1 validation."),
    OPT_I64_ROW(inputs_settings, epoch, 0, 0, INT32_MAX, "Of a preview, and of what is saved."),
    OPT_I64_ROW(inputs_settings, step, 0, 0, OPT_I64_MAX, "Of a preview: where it begins."),
    OPT_I64_ROW(inputs_settings, rows, 0, 0, PREVIEW_ROWS_MAX, "Of a preview."),
    OPT_I64_ROW(inputs_settings, begin, 0, 0, OPT_I64_MAX, "Of what is saved: the first element."),
    OPT_I64_ROW(inputs_settings, kept, 0, 0, OPT_I64_MAX, "Of what is saved: elements so far."),
    OPT_I64_ROW(inputs_settings, place, 0, 0, OPT_I64_MAX, "Of what is saved: bytes so far.",
                .unit = "bytes"),
    OPT_END_ROW,
};

int inputs_receive(struct inputs *ret, int fd, struct arena *arena, struct err *err)
{
    *ret = (struct inputs){.blobs_fd = -1, .slab_fd = -1, .kept = {.fd = -1}};
    struct msg msg;
    int rc = child_recv(fd, START_TIMEOUT_MS, arena, &msg, &ret->fds, err);
    if (rc < 0) {
        return rc;
    }
    if (msg.type != MSG_CHILD_START) {
        return err_set(err, ERR_INVALID, "the first message is '%s', not '%s'",
                       msg_table[msg.type].name, msg_table[MSG_CHILD_START].name);
    }
    ret->start = msg.body;
    rc = opt_read(inputs_settings_options, &ret->settings, ret->start->settings, arena, err);
    if (rc < 0) {
        err_prefix(err, "settings");
        return rc;
    }
    ret->slab_fd = child_fd(ret->start, &ret->fds, "slab");
    ret->blobs_fd = child_fd(ret->start, &ret->fds, "blobs");
    ret->kept = (struct kept){.fd = child_fd(ret->start, &ret->fds, "kept"),
                              .max_bytes = ret->start->kept_bytes};
    return ret->blobs_fd < 0
               ? err_set(err, ERR_MISSING, "no descriptor 'blobs' came with the start message")
               : 0;
}

/* The descriptor's offset is shared with other children of the daemon: read by position. */
static int read_json(int fd, const struct doc_limits *limits, struct arena *arena, struct doc **ret,
                     struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size < 0) {
        return err_set(err, ERR_IO, "fstat fails");
    }
    size_t size = (size_t)st.st_size;
    if (size > limits->bytes) {
        return err_set(err, ERR_LIMIT, "%zu bytes, over %zu", size, limits->bytes);
    }
    char *text = malloc(size + 1);
    if (text == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for %zu bytes", size);
    }
    int64_t n = file_pread(fd, text, size, 0, err);
    int rc = n < 0 ? (int)n : doc_read_json(text, (size_t)n, limits, arena, ret, err);
    free(text);
    return rc;
}

static int read_job(struct inputs *inputs, struct arena *arena, struct err *err)
{
    struct doc *doc = NULL;
    int fd = child_fd(inputs->start, &inputs->fds, "job");
    if (fd < 0) {
        return err_set(err, ERR_MISSING, "no descriptor 'job' came with the start message");
    }
    int rc = read_json(fd, &job_limits, arena, &doc, err);
    return rc < 0 ? rc : job_read(doc, arena, &inputs->job, err);
}

static int read_manifest(const struct inputs *inputs, int fd, const char *dataset,
                         struct arena *arena, struct pipeline_manifest *ret, struct err *err)
{
    struct doc *doc = NULL;
    const char *place = arena_printf(arena, "place:%s", dataset);
    int rc = read_json(fd, &manifest_limits, arena, &doc, err);
    if (rc < 0) {
        err_prefix(err, "manifest of '%s'", dataset);
        return rc;
    }
    *ret = (struct pipeline_manifest){
        .dataset = dataset, .files = doc, .place_fd = child_fd(inputs->start, &inputs->fds, place)};
    return 0;
}

int inputs_read(struct inputs *inputs, struct arena *arena, struct err *err)
{
    int rc = read_job(inputs, arena, err);
    if (rc < 0) {
        return rc;
    }
    size_t n_fds =
        (size_t)inputs->fds.n < inputs->start->fds.n ? (size_t)inputs->fds.n : inputs->start->fds.n;
    struct pipeline_manifest *manifests = arena_array(arena, n_fds + 1, sizeof(*manifests));
    int n = 0;
    for (size_t i = 0; i < n_fds; i++) {
        const char *name = inputs->start->fds.v[i];
        if (strncmp(name, manifest_prefix, sizeof(manifest_prefix) - 1) != 0) {
            continue;
        }
        rc = read_manifest(inputs, inputs->fds.fd[i], name + sizeof(manifest_prefix) - 1, arena,
                           &manifests[n], err);
        if (rc < 0) {
            return rc;
        }
        n++;
    }
    inputs->feeding = ARENA_NEW(arena, struct feeding);
    feeding_init(inputs->feeding, CHILD_FD);
    inputs->store = (struct pipeline_store){.blobs_fd = inputs->blobs_fd,
                                            .manifests = manifests,
                                            .n_manifests = n,
                                            .kept = inputs->kept.fd >= 0 ? &inputs->kept : NULL,
                                            .asks = &inputs->feeding->asks};
    return 0;
}
