/* video - clips in folders, a folder a class: Motion JPEG in AVI files, or folders of frames. */
#include <stdio.h>
#include <string.h>

#include "pipeline/format/avi.h"
#include "pipeline/source/labelled.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/picture.h"

extern const struct source_desc source_video;

enum { FRAMES_MAX = 4096, CLIP_BYTES_MAX = 1 << 30 };

struct clip { /* of a folder of frames */
    const struct doc *first;
    int64_t n;
};
struct video {
    union {
        struct {
            LABELLED_FIELDS
        };
        struct labelled_options how;
    };
    union {
        struct {
            PICTURE_FIELDS
        };
        struct picture_options picture_how;
    };
    int64_t frames, frame_step;
    struct source_store store, clips; /* clips: its files are the folders of frames */
    struct clip *folders;             /* NULL: AVI files */
    struct labelled files;
    struct picture picture;
    struct buf file, frame;
    struct op_scratch made;
};
static const struct opt options[] = {
    LABELLED_ROWS(video),
    PICTURE_ROWS(video),
    OPT_I64_ROW(video, frames, 16, 1, FRAMES_MAX, "Frames of a sample."),
    OPT_I64_ROW(video, frame_step, 0, 0, FRAMES_MAX,
                "Every how manieth frame is taken, from the first on, the last one again where the "
                "clip is too short; 0: they are spread over the clip."),
    OPT_END_ROW,
};

static bool is_film(const char *path)
{
    static const char *const endings[] = {".avi", NULL};
    return parts_ends(path, endings);
}

static bool is_frame(const char *path)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp", NULL};
    return parts_ends(path, endings);
}

static bool claims(const struct doc *files)
{
    static const char *const endings[] = {".avi", NULL};
    return parts_claim(files, endings) && labelled_claims(files);
}

/* ---- folders of frames ---- */

static size_t folder_of(const char *path)
{
    return (size_t)(source_basename(path) - path);
}

/* Frames of a folder stand together, in the order of their paths. */
static void find_folders(struct video *k, struct arena *arena)
{
    const struct doc *files = k->store.files;
    struct doc *list = doc_new(arena);
    const char *last = NULL;
    doc_set_list(list);
    k->folders = arena_array(arena, files->n + 1, sizeof *k->folders);
    for (size_t i = 0; i < files->n; i++) {
        const char *path = doc_str(&files->items[i], "path", "");
        const size_t n = folder_of(path);
        if (n == 0 || !is_frame(path) || labelled_is_hidden(path)) {
            continue;
        }
        if (last == NULL || folder_of(last) != n || strncmp(last, path, n) != 0) {
            struct doc *clip = doc_push(list, arena);
            doc_set_map(clip);
            *doc_put(clip, arena, "path") =
                (struct doc){.type = DOC_STR, .n = n - 1, .str = arena_strndup(arena, path, n - 1)};
            k->folders[list->n - 1] = (struct clip){.first = &files->items[i]};
        }
        k->folders[list->n - 1].n = &files->items[i] - k->folders[list->n - 1].first + 1;
        last = path;
    }
    k->clips = k->store;
    k->clips.files = list;
}

/* ---- frames ---- */

struct opened {
    int64_t n;
    const struct clip *folder; /* else: */
    struct avi avi;
    struct input in;
};

static int open_clip(struct video *k, int64_t item, struct opened *ret, struct err *err)
{
    const struct doc *file = k->files.items[item].file;
    *ret = (struct opened){.n = 0};
    if (k->folders != NULL) {
        ret->folder = &k->folders[file - k->clips.files->items];
        ret->n = ret->folder->n;
        return 0;
    }
    int r = source_read_blob(&k->store, file, SOURCE_FILE_MAX, &k->file, err);
    if (r < 0) {
        return r;
    }
    input_memory(&ret->in, k->file.data, k->file.size, "");
    r = avi_open(&ret->avi, &ret->in, err);
    ret->n = (int64_t)ret->avi.begins.n;
    return r == 0 && ret->n == 0 ? err_set(err, ERR_EMPTY, "has no frames") : r;
}

/* The bytes of a frame. One of none repeats the one before it. */
static int frame_bytes(struct video *k, struct opened *clip, int64_t frame, const void **ret,
                       size_t *ret_size, struct err *err)
{
    if (clip->folder != NULL) {
        const struct doc *file = clip->folder->first + frame;
        picture_name(&k->picture, doc_str(file, "path", ""));
        int r = source_read_blob(&k->store, file, SOURCE_FILE_MAX, &k->frame, err);
        *ret = k->frame.data;
        *ret_size = k->frame.size;
        return r;
    }
    while (frame > 0 && clip->avi.sizes.at[frame] == 0) {
        frame--;
    }
    *ret_size = (size_t)clip->avi.sizes.at[frame];
    *ret = clip->in.data + clip->avi.begins.at[frame];
    picture_name(&k->picture, NULL);
    return 0;
}

static int64_t frame_at(const struct video *k, int64_t i, int64_t n)
{
    const int64_t at = k->frame_step > 0 ? i * k->frame_step : i * n / k->frames;
    return at < n ? at : n - 1;
}

/* ---- the source ---- */

static int find_shape(struct video *k, struct picture_image *ret, struct err *err)
{
    int r = ERR_DATA;
    for (int64_t i = 0; i < k->files.n && i < 64 && r < 0; i++) {
        struct opened clip;
        const void *data;
        size_t size;
        r = open_clip(k, i, &clip, err);
        r = r < 0 ? r : frame_bytes(k, &clip, 0, &data, &size, err);
        r = r < 0 ? r : picture_header(&k->picture, data, size, ret, err);
        avi_close(&clip.avi);
        if (r < 0 && !err_is_data(r)) {
            return r;
        }
    }
    return r;
}

/* The field of one frame becomes that of all. */
static int declare(struct video *k, const struct picture_image *first, struct source *source,
                   struct err *err)
{
    size_t bytes = 0;
    picture_declare(&k->picture, first, "x", &source->spec);
    struct element_field *x = &source->spec.fields[0];
    x->kind = ELEMENT_VIDEO;
    x->is_varying = false;
    memmove(x->spec.shape.d + 1, x->spec.shape.d, 3 * sizeof *x->spec.shape.d);
    x->spec.shape.d[0] = k->frames;
    x->spec.shape.rank = 4;
    if (shape_bytes(&x->spec.shape, x->spec.dtype, &bytes) < 0 || bytes > CLIP_BYTES_MAX) {
        return err_set_at(err, ERR_LIMIT, "source.video.frames", "a sample has more than %d MiB",
                          CLIP_BYTES_MAX >> 20);
    }
    labelled_declare(&k->files, source);
    return 0;
}

static int open_video(struct source *source, const struct source_store *store, struct arena *arena,
                      struct err *err)
{
    struct video *k = source->ctx;
    struct picture_image first;
    bool is_films = false;
    k->store = *store;
    for (size_t i = 0; i < store->files->n; i++) {
        is_films = is_films || is_film(doc_str(&store->files->items[i], "path", ""));
    }
    if (!is_films) {
        find_folders(k, arena);
    }
    k->files = (struct labelled){.options = &k->how,
                                 .store = is_films ? &k->store : &k->clips,
                                 .takes = is_films ? is_film : NULL,
                                 .what = "clips"};
    int r = picture_init(&k->picture, &k->picture_how, "video", err);
    r = r < 0 ? r : labelled_open(&k->files, "video", arena, err);
    if (r < 0 || k->files.n == 0) {
        return r;
    }
    r = find_shape(k, &first, err);
    return r < 0 ? r : declare(k, &first, source, err);
}

static void close_video(struct source *source)
{
    struct video *k = source->ctx;
    picture_fini(&k->picture);
    buf_fini(&k->file);
    buf_fini(&k->frame);
    op_scratch_fini(&k->made);
}

static int read_frames(struct video *k, struct opened *clip, const struct op_spec *spec,
                       struct tensor *ret, struct err *err)
{
    const size_t bytes =
        (size_t)(spec->shape.d[1] * spec->shape.d[2] * spec->shape.d[3]) * dtype_bytes(spec->dtype);
    const struct shape one = {.rank = 3,
                              .d = {spec->shape.d[1], spec->shape.d[2], spec->shape.d[3]}};
    unsigned char *to = op_scratch_need(&k->made, bytes * (size_t)k->frames);
    int64_t last = -1;
    *ret = (struct tensor){.dtype = spec->dtype, .shape = spec->shape, .data = to};
    for (int64_t i = 0; i < k->frames; i++, to += bytes) {
        const int64_t at = frame_at(k, i, clip->n);
        const void *data;
        size_t size;
        struct tensor frame;
        if (at == last) {
            memcpy(to, to - bytes, bytes);
            continue;
        }
        int r = frame_bytes(k, clip, at, &data, &size, err);
        r = r < 0 ? r : picture_read(&k->picture, data, size, &frame, err);
        if (r == 0 && !shape_equal(&frame.shape, &one)) {
            r = err_set(err, ERR_SHAPE, "is %lld x %lld, the others %lld x %lld",
                        (long long)frame.shape.d[0], (long long)frame.shape.d[1],
                        (long long)one.d[0], (long long)one.d[1]);
        }
        if (r < 0) {
            char text[400];
            (void)snprintf(text, sizeof text, "%.390s", err != NULL ? err->text : "");
            return err_set(err, r, "frame %lld %s", (long long)at, text);
        }
        memcpy(to, frame.data, bytes);
        last = at;
    }
    return 0;
}

static int read_video(struct source *source, const struct stage_place *place,
                      const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call;
    struct video *k = source->ctx;
    struct opened clip;
    int r = open_clip(k, place->position, &clip, err);
    r = r < 0 ? r : read_frames(k, &clip, &source->spec.fields[0].spec, &ret->fields[0], err);
    avi_close(&clip.avi);
    ret->sample = place->position;
    if (r == 0) {
        labelled_put(&k->files, place->position, source, ret);
    }
    return r;
}

static const char *path_video(const struct source *source, int64_t sample)
{
    const struct video *k = source->ctx;
    return doc_str(k->files.items[sample].file, "path", "?");
}

const struct source_desc source_video = {
    .name = "video",
    .summary = "Clips in folders, a folder a class: Motion JPEG in AVI files, or a folder of "
               "frames a clip (`train/run/clip7/0001.jpg`); x is (frames, height, width, "
               "channels).",
    .options = options,
    .ctx_size = sizeof(struct video),
    .claims = claims,
    .open = open_video,
    .close = close_video,
    .read = read_video,
    .path = path_video,
};
