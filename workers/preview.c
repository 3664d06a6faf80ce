#include "workers/preview.h"

#include <stdio.h>
#include <string.h>

#include "workers/checker.h"

enum { CLASSES_MAX = 256 }; /* names in the answer, which is a message of limited size */

static const char *const stream_names[PIPELINE_STREAM_MAX_] = {"train", "validation"};

struct preview {
    const struct inputs_settings *wish;
    struct pipeline *pipeline;
    struct doc *plan;
    struct slab_layout layout; /* of a batch */
    struct slab slab;
    unsigned char *batch;
    int64_t n; /* rows made so far */
    size_t offsets[SLAB_FIELDS_MAX];
    struct doc *answer, *samples, *ok, *bad;
    struct arena *arena;
};

/* Every field's rows one behind the other, then the next field. */
static int lay_out(struct preview *p, struct err *err)
{
    size_t used = 0, each = 0;
    for (int i = 0; i < p->layout.n_fields; i++) {
        each += p->layout.fields[i].row_bytes;
    }
    const int64_t room = (int64_t)(p->slab.slab_bytes / (each > 0 ? each : 1));
    if (p->wish->rows > room) {
        return err_set(err, ERR_LIMIT, "%lld rows of %zu bytes: at most %lld fit into a preview",
                       (long long)p->wish->rows, each, (long long)room);
    }
    for (int i = 0; i < p->layout.n_fields; i++) {
        p->offsets[i] = used;
        used += p->layout.fields[i].row_bytes * (size_t)p->wish->rows;
    }
    p->batch = arena_try(p->arena, p->layout.slab_bytes);
    return p->batch != NULL
               ? 0
               : err_set(err, ERR_NO_MEMORY, "no memory for a batch of %zu bytes",
                         p->layout.slab_bytes);
}

static int open_preview(struct preview *p, const struct inputs *inputs, struct err *err)
{
    const enum pipeline_stream which = (enum pipeline_stream)p->wish->stream;
    if (!pipeline_has(p->pipeline, which)) {
        return err_set(err, ERR_NOT_FOUND, "the job has no %s stream", stream_names[which]);
    }
    const int64_t steps = pipeline_steps(p->pipeline, which);
    if (p->wish->step >= steps) {
        return err_set(err, ERR_RANGE, "step %lld: an epoch of the %s stream has steps 0 to %lld",
                       (long long)p->wish->step, stream_names[which], (long long)steps - 1);
    }
    p->plan = doc_new(p->arena);
    pipeline_plan(p->pipeline, p->plan, p->arena);
    const struct doc *stream = doc_get(doc_get(p->plan, "streams"), stream_names[which]);
    int rc = slab_layout(stream, p->arena, &p->layout, err);
    rc = rc < 0 ? rc : slab_map(inputs->slab_fd, &p->slab, err);
    return rc < 0 ? rc : lay_out(p, err);
}

static int field_named(const struct slab_layout *layout, const char *name)
{
    int i = 0;
    while (i + 1 < layout->n_fields && strcmp(layout->fields[i].name, name) != 0) {
        i++;
    }
    return i;
}

static void take_rows(struct preview *p, int64_t n, const struct opt_groups *bad)
{
    const struct msg_chunk_bad *v = bad->v;
    const unsigned char *samples =
        p->batch + p->layout.fields[field_named(&p->layout, "__sample")].offset;
    const unsigned char *ok = p->batch + p->layout.fields[field_named(&p->layout, "__ok")].offset;
    size_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t sample;
        if (ok[i] == SLAB_ROW_NONE) {
            continue;
        }
        for (int f = 0; f < p->layout.n_fields; f++) {
            const struct slab_field *field = &p->layout.fields[f];
            memcpy(slab_at(&p->slab, 0) + p->offsets[f] + field->row_bytes * (size_t)p->n,
                   p->batch + field->offset + field->row_bytes * (size_t)i, field->row_bytes);
        }
        memcpy(&sample, samples + sizeof sample * (size_t)i, sizeof sample);
        doc_set_int(doc_push(p->samples, p->arena), sample);
        doc_set_bool(doc_push(p->ok, p->arena), ok[i] != SLAB_ROW_BAD);
        for (; at < bad->n && v[at].row == i; at++) {
            struct doc *map = doc_push(p->bad, p->arena);
            doc_set_map(map);
            doc_put_int(map, p->arena, "row", p->n);
            doc_put_str(map, p->arena, "path", v[at].path);
            doc_put_str(map, p->arena, "reason", v[at].reason);
        }
        p->n++;
    }
}

/* Goes on with the next step where a batch has fewer rows than are wanted, to the end of the epoch.
 */
static int make_rows(struct preview *p, struct err *err)
{
    const enum pipeline_stream which = (enum pipeline_stream)p->wish->stream;
    const int64_t steps = pipeline_steps(p->pipeline, which);
    int rc = 0;
    for (int64_t step = p->wish->step; step < steps && p->n < p->wish->rows && rc == 0; step++) {
        const int64_t all = pipeline_rows(p->pipeline, which, step), left = p->wish->rows - p->n;
        const struct msg_chunk_make make = {.stream = p->wish->stream,
                                            .epoch = p->wish->epoch,
                                            .step = step,
                                            .end = all < left ? all : left};
        struct opt_groups bad = {0};
        rc = pipeline_run(p->pipeline, &make, &p->layout, p->batch, NULL, p->arena, &bad, err);
        if (rc == 0) {
            take_rows(p, make.end, &bad);
        }
    }
    return rc;
}

static void put_frames(struct preview *p)
{
    struct doc *frames = doc_put(p->answer, p->arena, "frames");
    doc_set_list(frames);
    for (int i = 0; i < p->layout.n_fields; i++) {
        const struct slab_field *field = &p->layout.fields[i];
        if (strncmp(field->name, "__", 2) == 0) {
            continue;
        }
        struct doc *map = doc_push(frames, p->arena);
        doc_set_map(map);
        doc_put_str(map, p->arena, "name", field->name);
        doc_put_str(map, p->arena, "kind", field->kind);
        doc_put_str(map, p->arena, "dtype", dtype_name(field->dtype));
        struct doc *shape = doc_put(map, p->arena, "shape");
        doc_set_list(shape);
        for (int d = 0; d < field->shape.rank; d++) {
            doc_set_int(doc_push(shape, p->arena), field->shape.d[d]);
        }
        doc_put_int(map, p->arena, "offset", (int64_t)p->offsets[i]);
        doc_put_int(map, p->arena, "bytes", (int64_t)field->row_bytes * p->n);
    }
}

static void put_class(struct preview *p, struct doc *classes, int64_t label)
{
    const struct doc *all = doc_get(p->plan, "classes");
    char key[24];
    (void)snprintf(key, sizeof key, "%lld", (long long)label);
    if (label >= 0 && all != NULL && (size_t)label < all->n && classes->n < CLASSES_MAX &&
        doc_get(classes, key) == NULL) {
        doc_put_str(classes, p->arena, arena_strdup(p->arena, key), all->items[label].str);
    }
}

/* Names of the classes that occur, or of the first ones where there are probabilities. */
static void put_classes(struct preview *p)
{
    struct doc *classes = doc_put(p->answer, p->arena, "classes");
    doc_set_map(classes);
    for (int f = 0; f < p->layout.n_fields; f++) {
        const struct slab_field *field = &p->layout.fields[f];
        const int64_t each = (int64_t)(field->row_bytes / dtype_bytes(field->dtype));
        if (strcmp(field->kind, "label") != 0) {
            continue;
        }
        for (int64_t i = 0; i < p->n * each && field->dtype == DTYPE_I64; i++) {
            int64_t label;
            memcpy(&label, slab_at(&p->slab, 0) + p->offsets[f] + sizeof label * (size_t)i,
                   sizeof label);
            put_class(p, classes, label);
        }
        for (int64_t i = 0; i < each && field->dtype == DTYPE_F32 && each > 1; i++) {
            put_class(p, classes, i);
        }
    }
}

static int answer(struct preview *p, struct err *err)
{
    const enum pipeline_stream which = (enum pipeline_stream)p->wish->stream;
    doc_put_str(p->answer, p->arena, "stream", stream_names[which]);
    doc_put_int(p->answer, p->arena, "epoch", p->wish->epoch);
    doc_put_int(p->answer, p->arena, "step", p->wish->step);
    doc_put_int(p->answer, p->arena, "steps", pipeline_steps(p->pipeline, which));
    doc_put_int(p->answer, p->arena, "batch", p->layout.rows);
    doc_put_int(p->answer, p->arena, "rows", p->n);
    put_frames(p);
    put_classes(p);
    const struct msg_child_result result = {.result = p->answer};
    return child_send(CHILD_FD, MSG_CHILD_RESULT, &result, NULL, err);
}

int preview_run(struct inputs *inputs, struct arena *arena, struct err *err)
{
    struct preview p = {.wish = &inputs->settings, .arena = arena, .answer = doc_new(arena)};
    doc_set_map(p.answer);
    int rc = checker_compile(inputs, arena, &p.pipeline, err);
    rc = rc < 0 ? rc : open_preview(&p, inputs, err);
    if (rc == 0) {
        p.samples = doc_new(arena); /* put in at the end: a map's growth moves its values */
        p.ok = doc_new(arena);
        p.bad = doc_new(arena);
        doc_set_list(p.samples);
        doc_set_list(p.ok);
        doc_set_list(p.bad);
        rc = make_rows(&p, err);
    }
    if (rc == 0) {
        doc_copy(doc_put(p.answer, arena, "samples"), arena, p.samples);
        doc_copy(doc_put(p.answer, arena, "ok"), arena, p.ok);
        doc_copy(doc_put(p.answer, arena, "bad"), arena, p.bad);
        rc = answer(&p, err);
    }
    slab_unmap(&p.slab);
    pipeline_destroy(p.pipeline);
    return rc;
}
