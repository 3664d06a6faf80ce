#include "trainer/optimizer/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/math.h"
#include "trainer/class_name.h"
#include "trainer/schedule/schedule.h"

#define OPTIMIZER_ROW(name) extern const struct optimizer_desc optimizer_##name;
#include "trainer/optimizer/optimizer_rows.h"
#undef OPTIMIZER_ROW

static const struct optimizer_desc *const table[] = {
#define OPTIMIZER_ROW(name) &optimizer_##name,
#include "trainer/optimizer/optimizer_rows.h"
#undef OPTIMIZER_ROW
};

struct optimizer {
    const struct optimizer_desc *desc;
    const void *options;
    struct optimizer_common common;
    struct schedule schedule;
    const struct kernel_backend *backend;
    struct optimizer_param *params;
    int n_params, n_slots, n_vars;
    float **slots; /* [param * n_slots + slot] */
    float **averages, **sums;
    float *scratch;
    float rate; /* the variable learning_rate */
    int64_t iteration;
    struct optimizer_var *vars;
};

const struct optimizer_desc *optimizer_at(size_t n)
{
    return n < sizeof(table) / sizeof(table[0]) ? table[n] : NULL;
}

static const char *name_at(size_t n, const char **ret_aliases)
{
    const struct optimizer_desc *desc = optimizer_at(n);
    *ret_aliases = desc ? desc->aliases : NULL;
    return desc ? desc->name : NULL;
}

static int check_common(const struct optimizer_common *common, struct err *err)
{
    int clips =
        (common->clipnorm > 0.0) + (common->clipvalue > 0.0) + (common->global_clipnorm > 0.0);
    if (clips > 1) {
        return err_set_at(err, ERR_INVALID, "clipnorm",
                          "only one of clipnorm, clipvalue and global_clipnorm can be given");
    }
    return 0;
}

static int read_options(struct optimizer *o, const struct doc *map, struct arena *arena,
                        struct err *err)
{
    void *options = arena_alloc(arena, o->desc->size);
    o->options = options;
    int r = opt_read(o->desc->options, options, class_name_known(o->desc->options, map, arena),
                     arena, err);
    if (r == 0) {
        memcpy(&o->common, options, sizeof(o->common));
        r = check_common(&o->common, err);
    }
    if (r == 0 && o->desc->check) {
        r = o->desc->check(options, err);
    }
    if (r == 0) {
        r = schedule_read(o->common.learning_rate, o->desc->default_rate, arena, &o->schedule, err);
        if (r < 0) {
            err_prefix(err, "learning_rate");
        }
    }
    return r;
}

static struct optimizer_var *add_var(struct optimizer *o, enum dtype dtype,
                                     const struct shape *shape, void *data)
{
    struct optimizer_var *var = &o->vars[o->n_vars++];
    *var = (struct optimizer_var){.dtype = dtype, .shape = *shape, .data = data};
    return var;
}

/* Keras's path of a variable made from another one: "adam/dense_kernel_momentum". */
static char *var_path(const struct optimizer *o, const char *param, const char *name,
                      struct arena *arena)
{
    char prefix[CLASS_NAME_MAX];
    class_name_snake(o->desc->name, prefix, sizeof(prefix));
    char *path = arena_printf(arena, "%s/%s%s%s", prefix, param, param[0] && name ? "_" : "",
                              name ? name : "");
    for (char *p = path + strlen(prefix) + 1; *p; p++) {
        if (*p == '/') {
            *p = '_';
        }
    }
    return path;
}

static struct shape slot_shape(enum optimizer_slot_shape kind, const struct shape *like)
{
    struct shape shape = *like;
    if (kind == OPTIMIZER_SLOT_LIKE) {
        return shape;
    }
    if (kind == OPTIMIZER_SLOT_SINGLE || like->rank < 2) {
        shape.rank = 0;
        return shape;
    }
    if (kind == OPTIMIZER_SLOT_COLS) {
        shape.d[like->rank - 2] = like->d[like->rank - 1];
    }
    shape.rank--;
    return shape;
}

static float *new_slot(struct optimizer *o, const struct optimizer_param *param,
                       const struct optimizer_slot *slot, struct arena *arena)
{
    struct shape shape = slot_shape(slot->shape, &param->shape);
    int64_t count = 0;
    BUG_ON(shape_count(&shape, &count) < 0);
    float *data = arena_array(arena, (size_t)count, sizeof(float));
    for (int64_t i = 0; i < count; i++) {
        data[i] = (float)slot->initial;
    }
    bool single = slot->shape == OPTIMIZER_SLOT_SINGLE;
    add_var(o, DTYPE_F32, &shape, data)->path =
        var_path(o, single ? "" : param->path, slot->name, arena);
    return data;
}

static void make_slots(struct optimizer *o, const struct optimizer_slot *slots, struct arena *arena)
{
    o->slots = arena_array(arena, (size_t)(o->n_params * o->n_slots) + 1, sizeof(*o->slots));
    for (int group = 0; group < OPTIMIZER_SLOTS_MAX; group++) {
        for (int p = 0; p < o->n_params; p++) {
            for (int s = 0; s < o->n_slots; s++) {
                float **slot = &o->slots[p * o->n_slots + s];
                bool first = p == 0 || slots[s].shape != OPTIMIZER_SLOT_SINGLE;
                if (slots[s].group == group) {
                    *slot = first ? new_slot(o, &o->params[p], &slots[s], arena) : o->slots[s];
                }
            }
        }
    }
}

static float **make_copies(struct optimizer *o, const char *name, struct arena *arena)
{
    struct optimizer_slot slot = {.name = name};
    float **copies = arena_array(arena, (size_t)o->n_params + 1, sizeof(*copies));
    for (int p = 0; p < o->n_params; p++) {
        copies[p] = new_slot(o, &o->params[p], &slot, arena);
    }
    return copies;
}

/* In Keras's order: iteration, learning rate, averages, sums, slots. */
static void make_vars(struct optimizer *o, struct arena *arena)
{
    static const struct shape scalar = {0};
    struct optimizer_slot slots[OPTIMIZER_SLOTS_MAX] = {{0}};
    o->n_slots = o->desc->slots ? o->desc->slots(o->options, slots) : 0;
    size_t most = 2 + (size_t)o->n_params * (size_t)(o->n_slots + 2) + 1;
    o->vars = arena_array(arena, most, sizeof(*o->vars));
    add_var(o, DTYPE_I64, &scalar, &o->iteration)->path = var_path(o, "", "iteration", arena);
    if (!o->schedule.desc) {
        o->rate = (float)o->schedule.constant;
        add_var(o, DTYPE_F32, &scalar, &o->rate)->path = var_path(o, "", "learning_rate", arena);
    }
    if (o->common.use_ema) {
        o->averages = make_copies(o, "average", arena);
    }
    if (o->common.gradient_accumulation_steps > 0) {
        o->sums = make_copies(o, "gradient_accumulator", arena);
    }
    make_slots(o, slots, arena);
}

int optimizer_create(const struct doc *doc, const struct optimizer_param *params, int n_params,
                     const struct kernel_backend *backend, struct arena *arena,
                     struct optimizer **ret, struct err *err)
{
    static const struct class_name_family family = {"optimizer", name_at};
    const struct doc *map;
    int r = class_name_read(&family, doc, &map, err);
    if (r < 0) {
        return r;
    }
    struct optimizer *o = ARENA_NEW(arena, struct optimizer);
    o->desc = table[r];
    o->backend = backend;
    r = read_options(o, map, arena, err);
    if (r < 0) {
        err_prefix(err, "%s", o->desc->name);
        return r;
    }
    o->n_params = n_params;
    o->params = arena_array(arena, (size_t)n_params + 1, sizeof(*o->params));
    size_t most = 1;
    for (int p = 0; p < n_params; p++) {
        o->params[p] = params[p];
        most = params[p].count > most ? params[p].count : most;
    }
    o->scratch = arena_array(arena, most, sizeof(float));
    make_vars(o, arena);
    *ret = o;
    return 0;
}

int64_t optimizer_iterations(const struct optimizer *o)
{
    return o->iteration;
}

double optimizer_rate(const struct optimizer *o)
{
    return o->schedule.desc ? schedule_rate(&o->schedule, o->iteration) : (double)o->rate;
}

bool optimizer_rate_is_set(const struct optimizer *o)
{
    return !o->schedule.desc;
}

void optimizer_set_rate(struct optimizer *o, double rate)
{
    BUG_ON(o->schedule.desc);
    o->rate = (float)rate;
}

double optimizer_loss_scale(const struct optimizer *o)
{
    return o->common.loss_scale_factor > 0.0 ? o->common.loss_scale_factor : 1.0;
}

const struct optimizer_var *optimizer_vars(const struct optimizer *o, int *ret_n)
{
    *ret_n = o->n_vars;
    return o->vars;
}

void optimizer_config(const struct optimizer *o, struct doc *map, struct arena *arena)
{
    struct doc *config = class_name_put(map, arena, "keras.optimizers", o->desc->name);
    class_name_write(o->desc->options, o->options, config, arena);
    struct schedule schedule = o->schedule;
    schedule.constant = schedule.desc ? 0.0 : (double)o->rate;
    schedule_config(&schedule, doc_put(config, arena, "learning_rate"), arena);
}

float optimizer_power(double beta, int64_t step)
{
    double base = (double)(float)beta;
    return base > 0.0 ? (float)math_pow(base, (double)step) : 0.0F;
}

float optimizer_adam_rate(const struct optimizer_update *update, double beta_1, double beta_2)
{
    float rate = (float)update->rate;
    return rate * sqrtf(1.0F - optimizer_power(beta_2, update->step)) /
           (1.0F - optimizer_power(beta_1, update->step));
}

static void unscale(struct optimizer *o, float by)
{
    for (int p = 0; p < o->n_params; p++) {
        o->backend->vec->scale(o->params[p].count, by, o->params[p].g, o->params[p].g);
    }
}

static void clip_each(struct optimizer *o, double norm)
{
    for (int p = 0; p < o->n_params; p++) {
        struct optimizer_param *param = &o->params[p];
        double got = sqrt(o->backend->vec->sum_squares(param->count, param->g));
        if (!(got <= norm)) {
            o->backend->vec->scale(param->count, (float)(norm / got), param->g, param->g);
        }
    }
}

static void clip_all(struct optimizer *o, double norm)
{
    double sum = 0.0;
    for (int p = 0; p < o->n_params; p++) {
        sum += o->backend->vec->sum_squares(o->params[p].count, o->params[p].g);
    }
    if (!(sqrt(sum) <= norm)) {
        unscale(o, (float)(norm / sqrt(sum)));
    }
}

static void clip(struct optimizer *o)
{
    const struct optimizer_common *c = &o->common;
    if (c->clipnorm > 0.0) {
        clip_each(o, c->clipnorm);
    } else if (c->global_clipnorm > 0.0) {
        clip_all(o, c->global_clipnorm);
    } else if (c->clipvalue > 0.0) {
        for (int p = 0; p < o->n_params; p++) {
            o->backend->vec->clip(o->params[p].count, (float)-c->clipvalue, (float)c->clipvalue,
                                  o->params[p].g, o->params[p].g);
        }
    }
}

static void decay(struct optimizer *o, double rate)
{
    if (o->common.weight_decay > 0.0) {
        float keep = 1.0F - (float)o->common.weight_decay * (float)rate;
        for (int p = 0; p < o->n_params; p++) {
            o->backend->vec->scale(o->params[p].count, keep, o->params[p].w, o->params[p].w);
        }
    }
}

static void set_slots(struct optimizer *o, struct optimizer_update *update, int p)
{
    update->param = &o->params[p];
    for (int s = 0; s < o->n_slots; s++) {
        update->slots[s] = o->slots[p * o->n_slots + s];
    }
}

static void update_all(struct optimizer *o, int64_t iterations)
{
    struct optimizer_update update = {.backend = o->backend,
                                      .scratch = o->scratch,
                                      .rate = optimizer_rate(o),
                                      .step = iterations + 1};
    clip(o);
    decay(o, update.rate);
    if (o->n_params > 0 && o->desc->begin) {
        set_slots(o, &update, 0);
        o->desc->begin(o->options, &update);
    }
    for (int p = 0; p < o->n_params; p++) {
        set_slots(o, &update, p);
        o->desc->update(o->options, &update);
    }
    if (o->n_params > 0 && o->desc->end) {
        set_slots(o, &update, 0);
        o->desc->end(o->options, &update);
    }
}

/* True if this step updates: the gradients are then the means of those since the last update. */
static bool accumulate(struct optimizer *o, int64_t steps)
{
    bool updates = (o->iteration + 1) % steps == 0;
    for (int p = 0; p < o->n_params; p++) {
        struct optimizer_param *param = &o->params[p];
        o->backend->vec->add(param->count, param->g, o->sums[p], updates ? param->g : o->sums[p]);
        if (updates) {
            o->backend->vec->scale(param->count, 1.0F / (float)steps, param->g, param->g);
            memset(o->sums[p], 0, param->count * sizeof(float));
        }
    }
    return updates;
}

void optimizer_finalize(struct optimizer *o)
{
    for (int p = 0; o->common.use_ema && p < o->n_params; p++) {
        memcpy(o->params[p].w, o->averages[p], o->params[p].count * sizeof(float));
    }
}

static void average(struct optimizer *o, int64_t iterations)
{
    float momentum = iterations == 0 ? 0.0F : (float)o->common.ema_momentum;
    for (int p = 0; p < o->n_params; p++) {
        o->backend->vec->lerp(o->params[p].count, momentum, o->params[p].w, o->averages[p]);
    }
    int64_t every = o->common.ema_overwrite_frequency;
    if (every > 0 && (iterations + 1) % every == 0) {
        optimizer_finalize(o);
    }
}

void optimizer_step(struct optimizer *o)
{
    int64_t steps = o->common.gradient_accumulation_steps;
    int64_t iterations = steps > 0 ? o->iteration / steps : o->iteration;
    if (o->common.loss_scale_factor > 0.0) {
        unscale(o, (float)(1.0 / o->common.loss_scale_factor));
    }
    if (steps == 0 || accumulate(o, steps)) {
        update_all(o, iterations);
    }
    if (o->common.use_ema) {
        average(o, iterations);
    }
    o->iteration++;
}
