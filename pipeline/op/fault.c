/* fault - goes wrong on purpose on chosen samples; only in builds with tests. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/op.h"

extern const struct op_desc op_fault;

enum action { ACTION_BAD, ACTION_SEGFAULT, ACTION_EXIT, ACTION_HANG };
struct fault {
    struct opt_ints sample;
    int action;
};
static const struct opt_name actions[] = {{"bad", ACTION_BAD},
                                          {"segfault", ACTION_SEGFAULT},
                                          {"exit", ACTION_EXIT},
                                          {"hang", ACTION_HANG},
                                          {NULL, 0}};
static const struct opt options[] = {
    OPT_INTS_ROW(fault, sample, NULL, 1, 0, 0, OPT_I64_MAX,
                 "Index of a sample in its data set, or several.", .flags = OPT_REQUIRED),
    OPT_ENUM_ROW(fault, action, ACTION_BAD, actions,
                 "What happens: a bad sample, or the end of the process, or no end."),
    OPT_END_ROW,
};

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    (void)ctx, (void)err;
    *out = *in;
    return 0;
}

static int strike(const struct fault *k, const struct op_key *key, struct err *err)
{
    switch ((enum action)k->action) {
    case ACTION_SEGFAULT: {
        volatile int *volatile nowhere = NULL;
        *nowhere = 1;
        break;
    }
    case ACTION_EXIT: _exit(3);
    case ACTION_HANG:
        for (;;) {
            (void)poll(NULL, 0, 1000);
        }
    case ACTION_BAD: break;
    }
    return err_set(err, ERR_DATA, "sample %lld is bad because Fault says so",
                   (long long)key->sample);
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct fault *k = ctx;
    (void)params, (void)scratch;
    for (size_t i = 0; i < k->sample.n; i++) {
        if (k->sample.v[i] == key->sample) {
            return strike(k, key, err);
        }
    }
    size_t bytes = 0;
    (void)shape_bytes(&in->shape, in->dtype, &bytes);
    memcpy(out->data, in->data, bytes);
    return 0;
}

const struct op_desc op_fault = {
    .name = "Fault",
    .summary = "Fails on purpose on chosen samples; only in builds with tests.",
    .options = options,
    .ctx_size = sizeof(struct fault),
    .flags = OP_TEST,
    .check = check,
    .run = run,
};
