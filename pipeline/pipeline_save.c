#include "pipeline/pipeline_save.h"

#include "base/clock.h"
#include "pipeline/pipeline_impl.h"
#include "pipeline/saved.h"

enum { BAD_MAX = 100 };

struct save {
    const struct job_spec *job;
    const struct pipeline_save *want;
    struct pool pool;
    struct stream stream;
    struct element_pack pack;
    struct pipeline_save_piece *piece;
    struct arena *arena;
};

/* Left out, if the job lets it be. */
static int on_bad(struct save *s, int64_t sample, int code, const struct err *found,
                  struct err *err)
{
    const char *path = pool_path(&s->pool, sample);
    if (!err_is_data(code) ||
        (s->job->data.on_error == JOB_ON_ERROR_FAIL && !s->stream.ignores_errors)) {
        return err_set_at(err, err_is_data(code) ? ERR_DATA : code, path, "%s", found->text);
    }
    if (s->piece->bad->n < BAD_MAX) {
        struct doc *map = doc_push(s->piece->bad, s->arena);
        doc_set_map(map);
        doc_put_str(map, s->arena, "path", path);
        doc_put_str(map, s->arena, "reason", found->text);
    }
    return 0;
}

/* 1: the element does not fit any more. */
static int add_element(struct save *s, struct err *err)
{
    struct pipeline_save_piece *p = s->piece;
    const struct stage_place at = {s->want->epoch, p->next};
    const struct source_call call = {.epoch = at.iteration};
    struct element element = {.sample = -1};
    struct err found = {0};
    int r = stream_get(&s->stream, &at, &call, &element, &found);
    if (r < 0) {
        p->next++;
        return on_bad(s, element.sample, r, &found, err);
    }
    const size_t before = p->data.size, entries = p->index.size;
    r = saved_add(&s->pack, &element, p->begin, &p->data, &p->index, err);
    if (r == 0 && p->head.size + p->index.size + p->data.size > s->want->max_bytes) {
        p->data.size = before;
        p->index.size = entries;
        return before > 0 ? 1
                          : err_set(err, ERR_LIMIT, "element %lld does not fit into %zu bytes",
                                    (long long)p->next, s->want->max_bytes);
    }
    p->next++;
    p->kept += r == 0;
    return r;
}

static int add_elements(struct save *s, struct err *err)
{
    struct pipeline_save_piece *p = s->piece;
    const int64_t end_us = clock_us() + s->want->max_us;
    int r = 0;
    saved_head(s->stream.source, &s->stream.spec, 0, 0, &p->head);
    p->elements = s->stream.n;
    p->next = s->want->next;
    p->kept = s->want->kept;
    p->begin = s->want->place > 0 ? s->want->place : (int64_t)p->head.size;
    if (p->next >= p->elements) {
        return err_set(err, ERR_RANGE, "element %lld of %lld", (long long)p->next,
                       (long long)p->elements);
    }
    do {
        r = add_element(s, err);
    } while (r == 0 && p->next < p->elements && clock_us() < end_us);
    p->place = p->begin + (int64_t)p->data.size;
    saved_head(s->stream.source, &s->stream.spec, p->kept, p->place, &p->head);
    return r < 0 ? r : 0;
}

int pipeline_save(const struct job_spec *job, const struct pipeline_store *store,
                  const struct pipeline_save *want, struct arena *arena,
                  struct pipeline_save_piece *ret, struct err *err)
{
    struct save s = {.job = job, .want = want, .piece = ret, .arena = arena};
    *ret = (struct pipeline_save_piece){.bad = doc_new(arena)};
    doc_set_list(ret->bad);
    int r = pipeline_elements(job, store, want->stream, arena, &s.pool, &s.stream, err);
    r = r < 0 ? r : element_pack_init(&s.pack, &s.stream.spec, err);
    r = r < 0 ? r : add_elements(&s, err);
    element_pack_fini(&s.pack);
    pool_close(&s.pool);
    stream_fini(&s.stream);
    return r;
}

void pipeline_save_fini(struct pipeline_save_piece *piece)
{
    buf_fini(&piece->head);
    buf_fini(&piece->index);
    buf_fini(&piece->data);
}
