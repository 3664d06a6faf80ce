/* job: any text as a job file: taken alike each time, or refused with a reason. */
#include <string.h>

#include "proto/job.h"
#include "tests/fuzz/fuzz.h"

static void write_job(const struct job_spec *job, struct arena *arena, struct buf *out)
{
    struct doc *map = doc_new(arena);
    doc_set_map(map);
    opt_write(job_options, job, true, map, arena);
    doc_write_canonical(map, out);
}

/* Taken from a text; false when it is refused. */
static int read_job(const void *data, size_t size, struct arena *arena, struct job_spec *ret)
{
    const struct doc_limits limits = {.depth = 32, .nodes = 100000, .bytes = 1 << 20};
    struct doc *doc = NULL;
    struct err err = {0};
    int rc = doc_read_json(data, size, &limits, arena, &doc, &err);
    rc = rc == 0 ? job_read(doc, arena, ret, &err) : rc;
    BUG_ON(rc > 0 || rc != err.code || (rc < 0 && err.text[0] == '\0'));
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct job_spec job;
    struct buf once = {0}, twice = {0};
    struct opt_strs names;
    arena_init(&arena);
    if (read_job(data, size, &arena, &job) == 0) {
        job_datasets(&job, &arena, &names);
        (void)job_model_from(&job);
        write_job(&job, &arena, &once);
        BUG_ON(read_job(data, size, &arena, &job) < 0);
        write_job(&job, &arena, &twice);
        BUG_ON(once.size != twice.size || memcmp(once.data, twice.data, once.size) != 0);
    }
    buf_fini(&once);
    buf_fini(&twice);
    arena_fini(&arena);
    return 0;
}

static const char *const texts[] = {
    "{\"name\": \"digits\", \"data\": {\"train\": {\"dataset\": \"digits\", \"split\": \"train\"}, "
    "\"validation\": "
    "{\"dataset\": \"digits\", \"split\": \"test\"}, \"on_error\": \"skip\", \"max_bad\": 0.5}, "
    "\"pipeline\": [{\"shuffle\": {}}, "
    "{\"batch\": {\"batch_size\": 64}}, {\"prefetch\": \"AUTOTUNE\"}], \"model\": {\"from\": "
    "\"digits-1\"}}",
    "{\"data\": {\"train\": {\"dataset\": \"a\"}}, \"fit\": {\"epochs\": 5, \"seed\": 7, "
    "\"checkpoint\": {\"every_seconds\": 1.5, "
    "\"keep\": 2}, \"ledger\": \"samples\"}, \"resources\": {\"workers\": \"AUTOTUNE\", "
    "\"threads\": 2, \"transport\": \"inline\"}}",
    ("{\"model\": [{\"Dense\": {\"units\": 10}}], \"compile\": {\"optimizer\": {\"Adam\": {}}, "
     "\"loss\": \"mse\"}}"),
};

static void seeds(void (*take)(const void *data, size_t size, void *arg), void *arg)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        take(texts[i], strlen(texts[i]), arg);
    }
}

const struct fuzz_corpus fuzz_corpus = {.max_bytes = 1 << 16, .copies = 5000, .seeds = seeds};
