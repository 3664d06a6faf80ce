/* lambda - a formula over the values of a field. */
#include "pipeline/expr.h"
#include "pipeline/op.h"

extern const struct op_desc op_lambda;

struct lambda {
    const char *expression, *function;
    const struct expr *expr;
};
static const struct opt options[] = {
    OPT_STR_ROW(lambda, expression, NULL, "Formula over `x`, the field that the op works on.",
                .flags = OPT_NULLABLE),
    OPT_STR_ROW(lambda, function, NULL, "Keras's name of `expression`; a formula too, not code.",
                .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

/* Every element type is read as float32, so that it can be compiled before the field is known. */
static int init(void *ctx, struct arena *arena, struct err *err)
{
    static const struct element_spec spec = {
        .n = 1, .fields = {{.name = "x", .kind = ELEMENT_NUMERIC, .spec = {.dtype = DTYPE_F32}}}};
    struct lambda *k = ctx;
    const char *const text = k->expression != NULL ? k->expression : k->function;
    struct expr *expr = NULL;
    if (text == NULL) {
        return err_set_at(err, ERR_MISSING, "expression", "is not given");
    }
    if (k->expression != NULL && k->function != NULL) {
        return err_set_at(err, ERR_INVALID, "function", "is given together with expression");
    }
    int r = expr_compile(text, &spec, EXPR_FLOATS, arena, &expr, err);
    if (r < 0) {
        err_prefix(err, k->expression != NULL ? "expression" : "function");
    }
    k->expr = expr;
    return r;
}

static unsigned flags_of(const void *ctx)
{
    const struct lambda *k = ctx;
    return expr_is_random(k->expr) ? OP_RANDOM : 0;
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct lambda *k = ctx;
    const struct element_spec spec = {.n = 1, .fields = {{.name = "x", .spec = *in}}};
    int r = expr_check(k->expr, &spec, out, err);
    if (r < 0) {
        err_prefix(err, "expression");
    }
    return r;
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct lambda *k = ctx;
    const struct element element = {.sample = key->sample, .fields = {*in}};
    const struct expr_key draws = {
        .seed = key->seed, .id = key->op, .epoch = key->epoch, .position = key->position};
    (void)params;
    return expr_run(k->expr, &element, &draws, out, scratch, err);
}

const struct op_desc op_lambda = {
    .name = "Lambda",
    .summary = "Computes a formula, such as `255 - x`, in float32. With random() in it, it is left "
               "out of validation and predictions.",
    .options = options,
    .ctx_size = sizeof(struct lambda),
    .init = init,
    .check = check,
    .flags_of = flags_of,
    .run = run,
};
