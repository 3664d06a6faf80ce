/* fixture - a store of data sets in a temporary folder and a compiled pipeline on it.
 *
 * Owns:     the folder and the pipeline; fixture_fini gives both back.
 * Threads:  one.
 * Errors:   a helper that cannot do its work fails the test; fixture_compile returns what
 * pipeline_compile does. Lifetime: a test.
 */
#ifndef TESTS_PIPELINE_FIXTURE_H
#define TESTS_PIPELINE_FIXTURE_H

#include "base/arena.h"
#include "pipeline/pipeline.h"
#include "tests/test.h"

enum { FIXTURE_SETS = 8 };

struct fixture {
    char dir[TEST_PATH];
    struct arena arena;
    struct pipeline_store store;
    struct pipeline_manifest manifests[FIXTURE_SETS];
    struct job_spec job;
    struct pipeline *pipeline;
    struct slab_layout layout[PIPELINE_STREAM_MAX_];
    struct err err;
};

void fixture_init(struct fixture *f);
void fixture_fini(struct fixture *f);
/* Adds a file to a data set (made when it is new, of kind "auto"). Files are to be added in the
 * order of their paths. */
void fixture_add(struct fixture *f, const char *dataset, const char *path, const void *data,
                 size_t size);
/* A file of the shared folder. */
void fixture_add_shared(struct fixture *f, const char *dataset, const char *path,
                        const char *shared);
/* All files below a folder, sorted; paths below it. */
void fixture_add_folder(struct fixture *f, const char *dataset, const char *folder);
/* An IDX pair `split`-images-idx3-ubyte and labels of n pictures of height x width; byte k of
 * picture i is (i * 7 + k) & 255, label i % 10. */
void fixture_add_idx(struct fixture *f, const char *dataset, const char *split, int n, int height,
                     int width);
/* Reads a job (JSON) and compiles it. */
int fixture_compile(struct fixture *f, const char *job);
/* A batch, made in chunks of at most `rows` rows, into a new slab of the arena. Returns
 * pipeline_run's code. */
int fixture_batch(struct fixture *f, enum pipeline_stream stream, int64_t epoch, int64_t step,
                  int64_t rows, unsigned char **ret_slab, struct opt_groups *ret_bad);
/* Sample indices of an epoch's rows in order, rows marked bad as -1. Returns their number. */
int64_t fixture_samples(struct fixture *f, enum pipeline_stream stream, int64_t epoch, int64_t *ret,
                        int64_t max);
const struct slab_field *fixture_field(const struct fixture *f, enum pipeline_stream stream,
                                       const char *name);

#endif
