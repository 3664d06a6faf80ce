#include "trainer/loss/loss.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "trainer/class_name.h"
#include "trainer/loss/labels.h"

#define LOSS_ROW(name) extern const struct loss_desc loss_##name;
#include "trainer/loss/loss_rows.h"
#undef LOSS_ROW

static const struct loss_desc *const table[] = {
#define LOSS_ROW(name) &loss_##name,
#include "trainer/loss/loss_rows.h"
#undef LOSS_ROW
};

const struct opt_name loss_reductions[] = {
    {"sum_over_batch_size", LOSS_SUM_OVER_BATCH_SIZE},
    {"mean", LOSS_SUM_OVER_BATCH_SIZE},
    {"sum", LOSS_SUM},
    {"mean_with_sample_weight", LOSS_MEAN_WITH_SAMPLE_WEIGHT},
    {"none", LOSS_NONE},
    {NULL, 0},
};

struct loss {
    const struct loss_desc *desc;
    const void *options;
    struct loss_common common;
    struct loss_setup setup;
    bool fused;
    int32_t *labels;
    float *targets, *scale, *values, *scratch;
    double *wide;
};

const struct loss_desc *loss_at(size_t n)
{
    return n < sizeof(table) / sizeof(table[0]) ? table[n] : NULL;
}

static const char *name_at(size_t n, const char **ret_aliases)
{
    const struct loss_desc *desc = loss_at(n);
    *ret_aliases = desc ? desc->aliases : NULL;
    return desc ? desc->name : NULL;
}

static int check_setup(const struct loss_desc *desc, const struct loss_setup *setup,
                       struct err *err)
{
    size_t wanted = desc->sparse ? 1 : setup->cols;
    if (setup->label_cols == wanted) {
        return 0;
    }
    if (desc->sparse) {
        return err_set(err, ERR_SHAPE, "takes one class number a row, but labels are %zu wide",
                       setup->label_cols);
    }
    const char *hint = desc->head == LOSS_HEAD_SOFTMAX && setup->label_cols == 1
                           ? "; for class numbers there is SparseCategoricalCrossentropy"
                           : "";
    return err_set(err, ERR_SHAPE,
                   "labels are %zu wide and the model's output is %zu wide; they must be equal%s",
                   setup->label_cols, setup->cols, hint);
}

int loss_create(const struct doc *doc, const struct loss_setup *setup, struct arena *arena,
                struct loss **ret, struct err *err)
{
    static const struct class_name_family family = {"loss", name_at};
    const struct doc *map;
    int r = class_name_read(&family, doc, &map, err);
    if (r < 0) {
        return r;
    }
    const struct loss_desc *desc = table[r];
    void *options = arena_alloc(arena, desc->size);
    r = opt_read(desc->options, options, class_name_known(desc->options, map, arena), arena, err);
    if (r == 0) {
        r = check_setup(desc, setup, err);
    }
    if (r < 0) {
        err_prefix(err, "%s", desc->name);
        return r;
    }
    struct loss *loss = ARENA_NEW(arena, struct loss);
    loss->desc = desc;
    loss->options = options;
    memcpy(&loss->common, options, sizeof(loss->common));
    loss->setup = *setup;
    size_t cells = setup->rows * setup->cols;
    loss->labels = arena_array(arena, setup->rows, sizeof(*loss->labels));
    loss->targets = arena_array(arena, desc->sparse ? 1 : cells, sizeof(float));
    loss->scale = arena_array(arena, setup->rows, sizeof(float));
    loss->values = arena_array(arena, setup->rows, sizeof(float));
    loss->scratch = arena_array(arena, cells, sizeof(float));
    loss->wide = arena_array(arena, setup->cols, sizeof(*loss->wide));
    *ret = loss;
    return 0;
}

enum loss_head loss_head(const struct loss *loss)
{
    return loss->desc->head;
}

void loss_fuse(struct loss *loss)
{
    loss->fused = true;
}

bool loss_takes_logits(const struct loss *loss)
{
    return loss->fused || loss->common.from_logits;
}

bool loss_is_sparse(const struct loss *loss)
{
    return loss->desc->sparse;
}

const char *loss_name(const struct loss *loss)
{
    return loss->desc->name;
}

const float *loss_values(const struct loss *loss)
{
    return loss->values;
}

const int32_t *loss_labels(const struct loss *loss)
{
    return loss->desc->sparse ? loss->labels : NULL;
}

void loss_config(const struct loss *loss, struct doc *map, struct arena *arena)
{
    struct doc *config = class_name_put(map, arena, "keras.losses", loss->desc->name);
    class_name_write(loss->desc->options, loss->options, config, arena);
}

/* Keras smooths to y * (1 - s) + s / classes, with one column to y * (1 - s) + s / 2. */
static void smooth(const struct loss *loss, float *targets, size_t rows)
{
    double s = loss->common.label_smoothing;
    if (s > 0.0) {
        double classes = loss->desc->binary ? 2.0 : (double)loss->setup.cols;
        loss->setup.backend->vec->affine(rows * loss->setup.cols, (float)(1.0 - s),
                                         (float)(s / classes), targets, targets);
    }
}

/* The number of rows that count; with ignore_class those of that class do not. */
static int64_t take_labels(struct loss *loss, const struct loss_args *args, struct err *err)
{
    struct labels_classes classes = {
        .n_classes = (int64_t)loss->setup.cols,
        .ignores = (double)loss->common.ignore_class != LOSS_NO_CLASS,
        .ignored = loss->common.ignore_class,
    };
    return labels_to_classes(loss->setup.label_dtype, args->y_true, args->rows, &classes,
                             loss->labels, err);
}

static float weight_of(const struct loss *loss, const struct loss_args *args, size_t r,
                       double valid_share)
{
    float weight = args->sample_weight ? args->sample_weight[r] : 1.0F;
    if (loss->desc->sparse && loss->labels[r] < 0) {
        return 0.0F;
    }
    return loss->common.reduction == LOSS_SUM_OVER_BATCH_SIZE
               ? (float)((double)weight / valid_share)
               : weight;
}

/* scale[r] becomes the row's weight; returns what the sum is divided by. */
static double weigh(struct loss *loss, const struct loss_args *args, int64_t n_valid)
{
    double sum = 0.0;
    double share = n_valid > 0 ? (double)n_valid / (double)args->rows : 1.0;
    for (size_t r = 0; r < args->rows; r++) {
        loss->scale[r] = weight_of(loss, args, r, share);
        sum += (double)loss->scale[r];
    }
    switch ((enum loss_reduction)loss->common.reduction) {
    case LOSS_SUM_OVER_BATCH_SIZE: return (double)args->rows;
    case LOSS_MEAN_WITH_SAMPLE_WEIGHT: return sum;
    case LOSS_SUM:
    case LOSS_NONE:
    default: return 1.0;
    }
}

static double reduce(struct loss *loss, const struct loss_args *args, const float *weights,
                     double divisor)
{
    double sum = 0.0;
    for (size_t r = 0; r < args->rows; r++) {
        loss->values[r] *= weights[r];
        sum += (double)loss->values[r];
    }
    if (loss->common.reduction == LOSS_NONE) {
        return args->rows > 0 ? sum / (double)args->rows : 0.0;
    }
    return divisor != 0.0 ? sum / divisor : 0.0;
}

void loss_run_means(const struct loss_call *call,
                    double (*value)(const void *ctx, double p, double t, double *slope),
                    const void *ctx)
{
    for (size_t r = 0; r < call->rows; r++) {
        double sum = 0.0;
        for (size_t i = r * call->cols; i < (r + 1) * call->cols; i++) {
            double slope;
            sum += value(ctx, (double)call->y_pred[i], (double)call->targets[i], &slope);
            if (call->grad) {
                call->grad[i] = (float)(slope * (double)call->scale[r] / (double)call->cols);
            }
        }
        call->values[r] = (float)(sum / (double)call->cols);
    }
}

int loss_run(struct loss *loss, const struct loss_args *args, double *ret_value, struct err *err)
{
    int64_t n_valid = (int64_t)args->rows;
    BUG_ON(args->rows > loss->setup.rows);
    if (loss->desc->sparse) {
        n_valid = take_labels(loss, args, err);
        if (n_valid < 0) {
            return (int)n_valid;
        }
    } else {
        labels_to_floats(loss->setup.label_dtype, args->y_true, args->rows * loss->setup.cols,
                         loss->targets);
        smooth(loss, loss->targets, args->rows);
    }
    double divisor = weigh(loss, args, n_valid);
    /* The kernels take the whole factor of a row; the values take the weight alone. */
    double factor = divisor != 0.0 ? (double)args->grad_scale / divisor : 0.0;
    loss->setup.backend->vec->scale(args->rows, (float)factor, loss->scale, loss->scale);
    struct loss_call call = {
        .rows = args->rows,
        .cols = loss->setup.cols,
        .y_pred = args->y_pred,
        .targets = loss->desc->sparse ? NULL : loss->targets,
        .labels = loss->desc->sparse ? loss->labels : NULL,
        .scale = loss->scale,
        .values = loss->values,
        .grad = args->grad,
        .scratch = loss->scratch,
        .wide = loss->wide,
        .backend = loss->setup.backend,
        .from_logits = loss_takes_logits(loss),
    };
    loss->desc->run(loss->options, &call);
    (void)weigh(loss, args, n_valid);
    *ret_value = reduce(loss, args, loss->scale, divisor);
    return 0;
}

bool loss_is_binary(const struct loss_call *call)
{
    for (size_t i = 0; i < call->rows * call->cols; i++) {
        if (call->targets[i] != 0.0F && call->targets[i] != 1.0F) {
            return false;
        }
    }
    return true;
}
