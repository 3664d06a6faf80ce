/* sleep - waits with each sample, for tests of asynchrony; only in builds with tests. */
#include <poll.h>
#include <string.h>
#include <time.h>

#include "pipeline/op.h"

extern const struct op_desc op_sleep;

struct sleep {
    int64_t microseconds;
};
static const struct opt options[] = {
    OPT_I64_ROW(sleep, microseconds, 0, 0, 60000000, "How long.", .flags = OPT_REQUIRED,
                .unit = "us", .alias = "delay"),
    OPT_END_ROW,
};

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    (void)ctx, (void)err;
    *out = *in;
    return 0;
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct sleep *k = ctx;
    const struct timespec wait = {.tv_sec = k->microseconds / 1000000,
                                  .tv_nsec = k->microseconds % 1000000 * 1000};
    (void)params, (void)key, (void)scratch, (void)err;
    size_t bytes = 0;
    /* The sandbox lets poll through, as ZeroMQ needs it. */
    (void)ppoll(NULL, 0, &wait, NULL);
    (void)shape_bytes(&in->shape, in->dtype, &bytes);
    memcpy(out->data, in->data, bytes);
    return 0;
}

const struct op_desc op_sleep = {
    .name = "Sleep",
    .summary = "Waits with each sample; only in builds with tests.",
    .options = options,
    .ctx_size = sizeof(struct sleep),
    .flags = OP_TEST,
    .check = check,
    .run = run,
};
