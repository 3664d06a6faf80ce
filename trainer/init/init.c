#include "trainer/init/init.h"

#include <math.h>

#include "base/rng.h"
#include "trainer/class_name.h"

/* One struct for all: each initializer's rows name the fields that it has. */
struct init_options {
    double value, mean, stddev, minval, maxval, scale, gain;
    int64_t seed;
    int mode, distribution;
};
enum init_mode { INIT_FAN_IN, INIT_FAN_OUT, INIT_FAN_AVG };
enum init_distribution { INIT_TRUNCATED_NORMAL, INIT_UNTRUNCATED_NORMAL, INIT_UNIFORM };

struct init_call {
    const struct init_options *options;
    const struct shape *shape;
    size_t count;
    struct rng rng;
};

struct init_desc {
    const char *name, *aliases, *summary;
    const struct opt *options;
    bool square; /* takes matrices only */
    void (*fill)(struct init_call *call, float *data);
};

#define NO_SEED (-1.0)
#define SEED_ROW                                                                             \
    OPT_I64_ROW(init_options, seed, NO_SEED, 0, OPT_I64_MAX, "A seed instead of the job's.", \
                .flags = OPT_NULLABLE)

static void fill_value(struct init_call *call, float value, float *data)
{
    for (size_t i = 0; i < call->count; i++) {
        data[i] = value;
    }
}

static void fill_zeros(struct init_call *call, float *data)
{
    fill_value(call, 0.0F, data);
}

static void fill_ones(struct init_call *call, float *data)
{
    fill_value(call, 1.0F, data);
}

static void fill_constant(struct init_call *call, float *data)
{
    fill_value(call, (float)call->options->value, data);
}

static void uniform(struct init_call *call, double low, double high, float *data)
{
    for (size_t i = 0; i < call->count; i++) {
        data[i] = rng_range(&call->rng, (float)low, (float)high);
    }
}

static void normal(struct init_call *call, double mean, double stddev, bool truncates, float *data)
{
    for (size_t i = 0; i < call->count; i++) {
        float x = rng_normal(&call->rng);
        while (truncates && fabsf(x) > 2.0F) {
            x = rng_normal(&call->rng);
        }
        data[i] = (float)(mean + stddev * (double)x);
    }
}

static void fill_random_normal(struct init_call *call, float *data)
{
    normal(call, call->options->mean, call->options->stddev, false, data);
}

static void fill_truncated_normal(struct init_call *call, float *data)
{
    normal(call, call->options->mean, call->options->stddev, true, data);
}

static void fill_random_uniform(struct init_call *call, float *data)
{
    uniform(call, call->options->minval, call->options->maxval, data);
}

static double fan_of(const struct shape *shape, enum init_mode mode)
{
    double receptive = 1.0;
    for (int i = 0; i + 2 < shape->rank; i++) {
        receptive *= (double)shape->d[i];
    }
    double in = 1.0, out = 1.0;
    if (shape->rank == 1) {
        in = out = (double)shape->d[0];
    } else if (shape->rank >= 2) {
        in = receptive * (double)shape->d[shape->rank - 2];
        out = receptive * (double)shape->d[shape->rank - 1];
    }
    switch (mode) {
    case INIT_FAN_IN: return in;
    case INIT_FAN_OUT: return out;
    case INIT_FAN_AVG:
    default: return (in + out) / 2.0;
    }
}

static void scaled(struct init_call *call, double scale, enum init_mode mode,
                   enum init_distribution distribution, float *data)
{
    double variance = scale / fmax(1.0, fan_of(call->shape, mode));
    if (distribution == INIT_UNIFORM) {
        double limit = sqrt(3.0 * variance);
        uniform(call, -limit, limit, data);
        return;
    }
    /* What cutting at two deviations takes away from the deviation. */
    bool truncates = distribution == INIT_TRUNCATED_NORMAL;
    normal(call, 0.0, sqrt(variance) / (truncates ? 0.87962566103423978 : 1.0), truncates, data);
}

static void fill_variance_scaling(struct init_call *call, float *data)
{
    scaled(call, call->options->scale, (enum init_mode)call->options->mode,
           (enum init_distribution)call->options->distribution, data);
}

static void fill_glorot_uniform(struct init_call *call, float *data)
{
    scaled(call, 1.0, INIT_FAN_AVG, INIT_UNIFORM, data);
}

static void fill_glorot_normal(struct init_call *call, float *data)
{
    scaled(call, 1.0, INIT_FAN_AVG, INIT_TRUNCATED_NORMAL, data);
}

static void fill_he_uniform(struct init_call *call, float *data)
{
    scaled(call, 2.0, INIT_FAN_IN, INIT_UNIFORM, data);
}

static void fill_he_normal(struct init_call *call, float *data)
{
    scaled(call, 2.0, INIT_FAN_IN, INIT_TRUNCATED_NORMAL, data);
}

static void fill_lecun_uniform(struct init_call *call, float *data)
{
    scaled(call, 1.0, INIT_FAN_IN, INIT_UNIFORM, data);
}

static void fill_lecun_normal(struct init_call *call, float *data)
{
    scaled(call, 1.0, INIT_FAN_IN, INIT_TRUNCATED_NORMAL, data);
}

static void fill_identity(struct init_call *call, float *data)
{
    fill_value(call, 0.0F, data);
    int64_t rows = call->shape->d[0], cols = call->shape->d[1];
    for (int64_t i = 0; i < rows && i < cols; i++) {
        data[i * cols + i] = (float)call->options->gain;
    }
}

static const struct opt no_rows[] = {OPT_END_ROW};
static const struct opt seed_rows[] = {SEED_ROW, OPT_END_ROW};
static const struct opt constant_rows[] = {
    OPT_F64_ROW(init_options, value, 0.0, -1e30, 1e30, "The value."),
    OPT_END_ROW,
};
static const struct opt normal_rows[] = {
    OPT_F64_ROW(init_options, mean, 0.0, -1e30, 1e30, "The mean."),
    OPT_F64_ROW(init_options, stddev, 0.05, 0.0, 1e30, "The standard deviation."),
    SEED_ROW,
    OPT_END_ROW,
};
static const struct opt uniform_rows[] = {
    OPT_F64_ROW(init_options, minval, -0.05, -1e30, 1e30, "The lower bound."),
    OPT_F64_ROW(init_options, maxval, 0.05, -1e30, 1e30, "The upper bound."),
    SEED_ROW,
    OPT_END_ROW,
};
static const struct opt_name modes[] = {
    {"fan_in", INIT_FAN_IN}, {"fan_out", INIT_FAN_OUT}, {"fan_avg", INIT_FAN_AVG}, {NULL, 0}};
static const struct opt_name distributions[] = {{"truncated_normal", INIT_TRUNCATED_NORMAL},
                                                {"normal", INIT_TRUNCATED_NORMAL},
                                                {"untruncated_normal", INIT_UNTRUNCATED_NORMAL},
                                                {"uniform", INIT_UNIFORM},
                                                {NULL, 0}};
static const struct opt scaling_rows[] = {
    OPT_F64_ROW(init_options, scale, 1.0, 1e-30, 1e30, "The factor of the variance."),
    OPT_ENUM_ROW(init_options, mode, INIT_FAN_IN, modes, "What the variance is divided by."),
    OPT_ENUM_ROW(init_options, distribution, INIT_TRUNCATED_NORMAL, distributions,
                 "The law that values follow."),
    SEED_ROW,
    OPT_END_ROW,
};
static const struct opt gain_rows[] = {
    OPT_F64_ROW(init_options, gain, 1.0, -1e30, 1e30, "The factor."),
    OPT_END_ROW,
};

// clang-format off
static const struct init_desc table[] = {
    {"Zeros", "zero", "All values are 0.", no_rows, false, fill_zeros},
    {"Ones", "one", "All values are 1.", no_rows, false, fill_ones},
    {"Constant", NULL, "All values are one number.", constant_rows, false, fill_constant},
    {"RandomNormal", "normal", "Normal numbers.", normal_rows, false, fill_random_normal},
    {"RandomUniform", "uniform", "Uniform numbers.", uniform_rows, false, fill_random_uniform},
    {"TruncatedNormal", NULL, "Normal numbers within two deviations.", normal_rows, false, fill_truncated_normal},
    {"VarianceScaling", NULL, "Numbers whose variance follows from the shape.", scaling_rows, false, fill_variance_scaling},
    {"GlorotUniform", "xavier_uniform", "Uniform, variance 2 / (fan in + fan out).", seed_rows, false, fill_glorot_uniform},
    {"GlorotNormal", "xavier_normal", "Truncated normal, variance 2 / (fan in + fan out).", seed_rows, false, fill_glorot_normal},
    {"HeUniform", NULL, "Uniform, variance 2 / fan in.", seed_rows, false, fill_he_uniform},
    {"HeNormal", NULL, "Truncated normal, variance 2 / fan in.", seed_rows, false, fill_he_normal},
    {"LecunUniform", NULL, "Uniform, variance 1 / fan in.", seed_rows, false, fill_lecun_uniform},
    {"LecunNormal", NULL, "Truncated normal, variance 1 / fan in.", seed_rows, false, fill_lecun_normal},
    {"Identity", "IdentityInitializer", "A multiple of the identity.", gain_rows, true, fill_identity},
};
// clang-format on

const char *init_at(size_t n, const struct opt **ret_options, const char **ret_summary)
{
    if (n >= sizeof(table) / sizeof(table[0])) {
        return NULL;
    }
    *ret_options = table[n].options;
    *ret_summary = table[n].summary;
    return table[n].name;
}

static const char *name_at(size_t n, const char **ret_aliases)
{
    bool is = n < sizeof(table) / sizeof(table[0]);
    *ret_aliases = is ? table[n].aliases : NULL;
    return is ? table[n].name : NULL;
}

int init_read(const struct doc *doc, const char *fallback, struct arena *arena, struct init *ret,
              struct err *err)
{
    static const struct class_name_family family = {"initializer", name_at};
    const struct doc *map = NULL;
    int r =
        doc ? class_name_read(&family, doc, &map, err) : class_name_find(&family, fallback, err);
    if (r < 0) {
        return r;
    }
    struct init_options *options = ARENA_NEW(arena, struct init_options);
    options->seed = (int64_t)NO_SEED;
    *ret = (struct init){.desc = &table[r], .options = options};
    map = class_name_known(ret->desc->options, map, arena);
    r = opt_read(ret->desc->options, options, map, arena, err);
    if (r < 0) {
        err_prefix(err, "%s", ret->desc->name);
    }
    return r;
}

int init_check(const struct init *init, const struct shape *shape, struct err *err)
{
    if (init->desc->square && shape->rank != 2) {
        return err_set(err, ERR_SHAPE, "%s takes matrices, not rank %d", init->desc->name,
                       shape->rank);
    }
    return 0;
}

void init_fill(const struct init *init, const struct shape *shape, uint64_t seed, const char *path,
               float *data)
{
    int64_t count = 0;
    BUG_ON(shape_count(shape, &count) < 0);
    const struct init_options *options = init->options;
    struct init_call call = {.options = options, .shape = shape, .count = (size_t)count};
    rng_init(&call.rng, options->seed >= 0 ? (uint64_t)options->seed : seed, rng_id(path), 0, 0);
    init->desc->fill(&call, data);
}

void init_config(const struct init *init, struct doc *map, struct arena *arena)
{
    struct doc *config = class_name_put(map, arena, "keras.initializers", init->desc->name);
    class_name_write(init->desc->options, init->options, config, arena);
}
