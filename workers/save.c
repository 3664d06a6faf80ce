#include "workers/save.h"

#include <string.h>

#include "pipeline/pipeline_save.h"
#include "workers/jail.h"

enum { SPAN_US = 2000000, FRAMES = 3 };

struct save {
    struct slab slab;
    struct pipeline_save_piece piece;
    struct arena *arena;
};

static int enter(struct inputs *inputs, struct arena *arena, struct err *err)
{
    struct jail jail;
    int rc = jail_files(&jail, SANDBOX_PROFILE_CHECKER, inputs, err);
    rc = rc < 0 ? rc : jail_calls(&jail, err);
    return rc < 0 ? rc : inputs_read(inputs, arena, err);
}

static int make(struct save *s, struct inputs *inputs, struct err *err)
{
    const struct inputs_settings *wish = &inputs->settings;
    int rc = slab_map(inputs->slab_fd, &s->slab, err);
    const struct pipeline_save want = {.stream = (enum pipeline_stream)wish->stream,
                                       .epoch = wish->epoch,
                                       .next = wish->begin,
                                       .kept = wish->kept,
                                       .place = wish->place,
                                       .max_bytes = rc < 0 ? 0 : s->slab.slab_bytes,
                                       .max_us = SPAN_US};
    return rc < 0 ? rc
                  : pipeline_save(&inputs->job, &inputs->store, &want, s->arena, &s->piece, err);
}

static void put_frames(struct save *s, struct doc *map)
{
    const struct buf *parts[FRAMES] = {&s->piece.head, &s->piece.index, &s->piece.data};
    struct doc *frames = doc_put(map, s->arena, "frames");
    size_t used = 0;
    doc_set_list(frames);
    for (int i = 0; i < FRAMES; i++) {
        struct doc *frame = doc_push(frames, s->arena);
        doc_set_map(frame);
        doc_put_int(frame, s->arena, "offset", (int64_t)used);
        doc_put_int(frame, s->arena, "bytes", (int64_t)parts[i]->size);
        if (parts[i]->size > 0) {
            memcpy(slab_at(&s->slab, 0) + used, parts[i]->data, parts[i]->size);
        }
        used += parts[i]->size;
    }
}

static int answer(struct save *s, struct err *err)
{
    if (s->piece.head.size + s->piece.index.size + s->piece.data.size > s->slab.slab_bytes) {
        return err_set(err, ERR_LIMIT,
                       "the names and classes of the data set are more than %zu bytes",
                       s->slab.slab_bytes);
    }
    struct doc *map = doc_new(s->arena);
    doc_set_map(map);
    doc_put_int(map, s->arena, "elements", s->piece.elements);
    doc_put_int(map, s->arena, "next", s->piece.next);
    doc_put_int(map, s->arena, "kept", s->piece.kept);
    doc_put_int(map, s->arena, "begin", s->piece.begin);
    doc_put_int(map, s->arena, "place", s->piece.place);
    put_frames(s, map);
    doc_copy(doc_put(map, s->arena, "bad"), s->arena, s->piece.bad);
    const struct msg_child_result result = {.result = map};
    return child_send(CHILD_FD, MSG_CHILD_RESULT, &result, NULL, err);
}

int save_run(struct inputs *inputs, struct arena *arena, struct err *err)
{
    struct save s = {.arena = arena};
    int rc = enter(inputs, arena, err);
    rc = rc < 0 ? rc : make(&s, inputs, err);
    rc = rc < 0 ? rc : answer(&s, err);
    pipeline_save_fini(&s.piece);
    slab_unmap(&s.slab);
    return rc;
}
