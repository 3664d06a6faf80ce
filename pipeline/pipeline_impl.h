/* pipeline_impl - what pipeline.c compiles and pipeline_run.c, block.c and pipeline_save.c use; no
 * one else includes it. */
#ifndef PIPELINE_PIPELINE_IMPL_H
#define PIPELINE_PIPELINE_IMPL_H

#include "base/hash.h"
#include "pipeline/image/decode.h"
#include "pipeline/pipeline.h"
#include "pipeline/stream.h"

struct pipeline {
    const struct job_spec *job;
    struct asks *asks; /* or NULL */
    int on_error; /* enum job_on_error */
    struct pool pools[PIPELINE_STREAM_MAX_];
    struct source *leaves[PIPELINE_STREAM_MAX_]; /* of data.train, data.validation */
    struct stream streams[PIPELINE_STREAM_MAX_];
    bool has[PIPELINE_STREAM_MAX_];
    /* The deterministic part, on the data sets of both; files go through the first. */
    struct stream predicts[PIPELINE_STREAM_MAX_];
    struct pool predict_pools[PIPELINE_STREAM_MAX_];
    struct err predict_err;      /* why there is none */
    struct buf npy;              /* numbers of an array to predict */
    struct op_scratch numbers;   /* the same as floats */
    struct decode *decode; /* of files to predict; made when the first comes */
    char id[HASH_ID_TEXT];
};

/* The elements of a stream before batches, in the order of an epoch (stream_get). pool and ret are
 * closed with pool_close and stream_fini, on an error too. */
int pipeline_elements(const struct job_spec *job, const struct pipeline_store *store,
                      enum pipeline_stream which, struct arena *arena, struct pool *pool,
                      struct stream *ret, struct err *err);

#endif
