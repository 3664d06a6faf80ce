#include "pipeline/format/avi.h"

#include <stdbool.h>
#include <string.h>

enum { HEAD = 8, STREAMS_MAX = 16 };

struct walk {
    struct avi *avi;
    const struct input *in;
    struct input_window window;
    int n_streams, video; /* the number of the film's stream, -1: none yet */
    bool is_video;        /* the stream header that was read last */
};
struct chunk {
    char id[5];
    int64_t at, size; /* of the content */
};

static uint32_t little32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int take_chunk(struct walk *w, int64_t at, int64_t end, struct chunk *ret, struct err *err)
{
    const unsigned char *p = NULL;
    if (end - at < HEAD) {
        return input_fail(w->in, at, ERR_CORRUPT, err, "a chunk that leaves its list");
    }
    int r = input_window_need(&w->window, at, HEAD, &p, err);
    if (r < 0) {
        return r;
    }
    memcpy(ret->id, p, 4);
    ret->id[4] = '\0';
    ret->at = at + HEAD;
    ret->size = little32(p + 4);
    return ret->size <= end - ret->at
               ? 0
               : input_fail(w->in, at, end == w->in->size ? ERR_TRUNCATED : ERR_CORRUPT, err,
                            "a chunk of %lld bytes, %lld are left", (long long)ret->size,
                            (long long)(end - ret->at));
}

static bool is(const char *id, const char *other)
{
    return memcmp(id, other, 4) == 0;
}

/* strh: what kind of stream; strf: its pictures' form. */
static int take_stream_chunk(struct walk *w, const struct chunk *c, struct err *err)
{
    const unsigned char *p = NULL;
    if (is(c->id, "strh")) {
        int r = c->size < 32 ? input_fail(w->in, c->at, ERR_CORRUPT, err, "a short stream header")
                             : input_window_need(&w->window, c->at, 32, &p, err);
        w->is_video = r == 0 && memcmp(p, "vids", 4) == 0 && w->video < 0;
        if (w->is_video) {
            w->video = w->n_streams;
            w->avi->scale = little32(p + 20);
            w->avi->rate = little32(p + 24);
        }
        return r;
    }
    if (!is(c->id, "strf") || !w->is_video) {
        return 0;
    }
    int r = c->size < 40 ? input_fail(w->in, c->at, ERR_CORRUPT, err, "a short picture header")
                         : input_window_need(&w->window, c->at, 40, &p, err);
    if (r < 0) {
        return r;
    }
    const int32_t width = (int32_t)little32(p + 4), height = (int32_t)little32(p + 8);
    w->avi->width = width;
    w->avi->height = height < 0 ? -(int64_t)height : height;
    if (memcmp(p + 16, "MJPG", 4) != 0 && memcmp(p + 16, "mjpg", 4) != 0) {
        return input_fail(w->in, c->at, ERR_UNSUPPORTED, err,
                          "a film of codec %02x %02x %02x %02x; Motion JPEG is read", p[16], p[17],
                          p[18], p[19]);
    }
    return width >= 1 && w->avi->height >= 1
               ? 0
               : input_fail(w->in, c->at, ERR_CORRUPT, err, "pictures of %d x %d", width, height);
}

static int add_frame(struct walk *w, const struct chunk *c, struct err *err)
{
    struct avi *avi = w->avi;
    int64_t at = c->at, size = c->size;
    if (size > AVI_FRAME_MAX || avi->begins.n >= AVI_FRAMES_MAX) {
        return input_fail(w->in, c->at, ERR_LIMIT, err, "frame %zu of %lld bytes", avi->begins.n,
                          (long long)size);
    }
    if (size == 0) {
        if (avi->begins.n == 0) {
            return input_fail(w->in, c->at, ERR_CORRUPT, err, "the first frame is empty");
        }
        at = avi->begins.at[avi->begins.n - 1];
        size = avi->sizes.at[avi->sizes.n - 1];
    }
    int r = offsets_add(&avi->begins, at, err);
    return r < 0 ? r : offsets_add(&avi->sizes, size, err);
}

/* "00dc" of stream 0: a picture. */
static int take_movie_chunk(struct walk *w, const struct chunk *c, struct err *err)
{
    const int stream = (c->id[0] - '0') * 10 + c->id[1] - '0';
    const bool is_picture = c->id[2] == 'd' && (c->id[3] == 'c' || c->id[3] == 'b');
    return w->video >= 0 && is_picture && stream == w->video ? add_frame(w, c, err) : 0;
}

/* Lists that lie in each other, and what to do with the chunks in them. */
static const struct list {
    const char *name, *in;
    int (*take)(struct walk *w, const struct chunk *chunk, struct err *err);
} lists[] = {
    {"hdrl", "RIFF", NULL},
    {"strl", "hdrl", take_stream_chunk},
    {"movi", "RIFF", take_movie_chunk},
    {"rec ", "movi", take_movie_chunk},
};
enum { N_LISTS = sizeof lists / sizeof lists[0], DEPTH_MAX = 4 };

struct level {
    const struct list *list; /* NULL: a RIFF part */
    int64_t end;
};

static int enter(struct walk *w, const struct chunk *c, struct level *levels, int *depth,
                 bool *ret_entered, struct err *err)
{
    const unsigned char *p = NULL;
    const struct list *now = levels[*depth].list;
    int r = c->size < 4 ? input_fail(w->in, c->at, ERR_CORRUPT, err, "a list without a name")
                        : input_window_need(&w->window, c->at, 4, &p, err);
    *ret_entered = false;
    for (int i = 0; r == 0 && i < N_LISTS && !*ret_entered; i++) {
        if (memcmp(p, lists[i].name, 4) == 0 &&
            strcmp(lists[i].in, now != NULL ? now->name : "RIFF") == 0 && *depth + 1 < DEPTH_MAX) {
            levels[++*depth] = (struct level){&lists[i], c->at + c->size};
            *ret_entered = true;
        }
    }
    return r;
}

/* Behind a chunk: even, and out of the lists that end there. */
static int64_t leave(const struct walk *w, int64_t at, const struct level *levels, int *depth)
{
    at += at % 2 != 0 && at < w->in->size;
    while (*depth >= 0 && at >= levels[*depth].end) {
        --*depth;
    }
    return at;
}

static int walk_part(struct walk *w, const struct chunk *riff, struct err *err)
{
    struct level levels[DEPTH_MAX] = {{NULL, riff->at + riff->size}};
    int depth = 0;
    int64_t at = riff->at + 4;
    while (depth >= 0 && at < levels[0].end) {
        struct chunk c;
        bool entered = false;
        int r = take_chunk(w, at, levels[depth].end, &c, err);
        if (r == 0 && is(c.id, "LIST")) {
            r = enter(w, &c, levels, &depth, &entered, err);
            w->n_streams += entered && is(levels[depth].list->name, "strl");
        } else if (r == 0 && levels[depth].list != NULL && levels[depth].list->take != NULL) {
            r = levels[depth].list->take(w, &c, err);
        }
        if (r < 0) {
            return r;
        }
        at = leave(w, entered ? c.at + 4 : c.at + c.size, levels, &depth);
    }
    return 0;
}

static int open_film(struct walk *w, struct err *err)
{
    const struct input *in = w->in;
    char name[4];
    int64_t at = 0;
    while (at < in->size) {
        struct chunk riff;
        if (in->size < 12) {
            return input_fail(in, at, ERR_BAD_MAGIC, err, "is no AVI file");
        }
        if (in->size - at < 12 && at > 0) {
            return 0; /* padding */
        }
        int r = take_chunk(w, at, in->size, &riff, err);
        const bool is_riff = memcmp(riff.id, "RIFF", 4) == 0;
        if (at == 0 && !is_riff) {
            return input_fail(in, at, ERR_BAD_MAGIC, err, "is no AVI file");
        }
        if (r < 0 || !is_riff) { /* what is no RIFF part behind the first is not looked at */
            return r;
        }
        r = input_read(in, riff.at, name, 4, err);
        if (r == 0 && !is(name, at == 0 ? "AVI " : "AVIX")) {
            return at > 0 ? 0 : input_fail(in, at, ERR_BAD_MAGIC, err, "is RIFF, but no AVI file");
        }
        r = r < 0 ? r : walk_part(w, &riff, err);
        if (r < 0) {
            return r;
        }
        at = riff.at + riff.size + riff.size % 2;
    }
    return 0;
}

int avi_open(struct avi *avi, const struct input *in, struct err *err)
{
    struct walk w = {.avi = avi, .in = in, .window.in = in, .n_streams = -1, .video = -1};
    int r = in->size == 0 ? input_fail(in, -1, ERR_EMPTY, err, "has no bytes") : open_film(&w, err);
    input_window_fini(&w.window);
    if (r == 0 && avi->begins.n == 0) {
        r = input_fail(in, -1, ERR_EMPTY, err, "has no frames");
    }
    if (r < 0) {
        avi_close(avi);
    }
    return r;
}

void avi_close(struct avi *avi)
{
    if (avi != NULL) {
        offsets_fini(&avi->begins);
        offsets_fini(&avi->sizes);
    }
}
