/* audio - sounds in folders, a folder a class. */
#include <stdio.h>
#include <string.h>

#include "pipeline/format/audio.h"
#include "pipeline/op.h"
#include "pipeline/source/labelled.h"
#include "pipeline/source/parts.h"
#include "pipeline/source/resample.h"

extern const struct source_desc source_audio;

enum { SAMPLES_MAX = 1 << 27, FIRST_MAX = 64 };

struct audio_source {
    union {
        struct {
            LABELLED_FIELDS
        };
        struct labelled_options how;
    };
    int64_t output_sequence_length, sampling_rate;
    bool mono;
    struct source_store store;
    struct labelled files;
    struct buf file;
    struct resample resample;
    struct op_scratch read, made, fitted;
};
static const struct opt options[] = {
    LABELLED_ROWS(audio_source),
    OPT_I64_ROW(audio_source, output_sequence_length, 0, 0, SAMPLES_MAX,
                "Length of x: longer sounds are cut, shorter ones end in silence; 0: each its own.",
                .flags = OPT_NULLABLE, .unit = "samples"),
    OPT_I64_ROW(audio_source, sampling_rate, 0, 0, AUDIO_RATE_MAX,
                "Sounds of another rate are resampled to this one (band-limited, 16 zero crossings "
                "of a sinc under Hann's window); 0: they stay as they are.",
                .flags = OPT_NULLABLE, .unit = "Hz"),
    OPT_BOOL_ROW(audio_source, mono, false, "Make one channel, the mean of all."),
    OPT_END_ROW,
};
static const char *const endings[] = {".wav", ".flac", ".ogg", ".oga", ".opus", NULL};

static bool is_sound(const char *path)
{
    return parts_ends(path, endings);
}

static bool claims(const struct doc *files)
{
    return parts_claim(files, endings) && labelled_claims(files);
}

/* Of one file: (frames, channels) as they are. */
static int decode(struct audio_source *k, const struct doc *file, struct audio_info *ret_info,
                  float **ret, struct err *err)
{
    struct audio *audio = NULL;
    struct input in;
    int r = source_read_blob(&k->store, file, SOURCE_FILE_MAX, &k->file, err);
    if (r < 0) {
        return r;
    }
    input_memory(&in, k->file.data, k->file.size, "");
    r = audio_open(&in, &audio, ret_info, err);
    if (r == 0 && ret_info->frames > SAMPLES_MAX / ret_info->channels) {
        r = err_set(err, ERR_LIMIT, "has more than %d samples", SAMPLES_MAX);
    }
    if (r == 0) {
        const size_t n = (size_t)ret_info->frames * (size_t)ret_info->channels;
        *ret = op_scratch_need(&k->read, (n + 1) * sizeof **ret);
        r = audio_read(audio, 0, ret_info->frames, *ret, err);
    }
    audio_close(audio);
    return r;
}

static void mix(float *v, struct audio_info *info)
{
    for (int64_t i = 0; i < info->frames; i++) {
        float sum = 0;
        for (int c = 0; c < info->channels; c++) {
            sum += v[i * info->channels + c];
        }
        v[i] = sum / (float)info->channels;
    }
    info->channels = 1;
}

/* No more than what fit keeps. */
static int change_rate(struct audio_source *k, const float *in, struct audio_info *info,
                       const float **ret, struct err *err)
{
    int r = resample_init(&k->resample, info->rate, k->sampling_rate, err);
    if (r < 0) {
        return r;
    }
    int64_t n = resample_length(&k->resample, info->frames);
    if (k->output_sequence_length > 0 && n > k->output_sequence_length) {
        n = k->output_sequence_length;
    }
    if (n > SAMPLES_MAX / info->channels) {
        return err_set(err, ERR_LIMIT, "has more than %d samples", SAMPLES_MAX);
    }
    float *out = op_scratch_need(&k->made, ((size_t)n * (size_t)info->channels + 1) * sizeof *out);
    resample_run(&k->resample, in, info->frames, info->channels, out, n);
    info->frames = n;
    info->rate = (int)k->sampling_rate;
    *ret = out;
    return 0;
}

static const float *fit(struct audio_source *k, const float *in, struct audio_info *info)
{
    const int64_t n = k->output_sequence_length;
    const size_t have = (size_t)info->frames * (size_t)info->channels;
    const size_t want = (size_t)n * (size_t)info->channels;
    float *out = op_scratch_need(&k->fitted, (want + 1) * sizeof *out);
    memcpy(out, in, (have < want ? have : want) * sizeof *out);
    if (have < want) {
        memset(out + have, 0, (want - have) * sizeof *out);
    }
    info->frames = n;
    return out;
}

static int read_sound(struct audio_source *k, int64_t item, struct audio_info *info,
                      const float **ret, struct err *err)
{
    float *v = NULL;
    int r = decode(k, k->files.items[item].file, info, &v, err);
    if (r < 0) {
        return r;
    }
    if (k->mono && info->channels > 1) {
        mix(v, info);
    }
    *ret = v;
    if (k->sampling_rate > 0 && k->sampling_rate != info->rate) {
        r = change_rate(k, v, info, ret, err);
    }
    if (r == 0 && k->output_sequence_length > 0) {
        *ret = fit(k, *ret, info);
    }
    return r;
}

/* The shape of the first sound that can be read; of many lengths if two of the first differ. */
static int find_shape(struct audio_source *k, struct op_spec *ret, struct err *err)
{
    struct audio_info first = {0};
    bool is_ragged = false;
    const float *ignored;
    int r = 0, seen = 0;
    for (int64_t i = 0;
         i < k->files.n && i < FIRST_MAX && (seen == 0 || k->output_sequence_length == 0); i++) {
        struct audio_info info;
        r = read_sound(k, i, &info, &ignored, err);
        if (r < 0 && !err_is_data(r)) {
            return r;
        }
        if (r == 0) {
            first = seen == 0 ? info : first;
            is_ragged = is_ragged || info.frames != first.frames;
            seen++;
        }
    }
    if (seen == 0) {
        char text[400];
        (void)snprintf(text, sizeof text, "%.390s", err != NULL ? err->text : "");
        return err_set(err, ERR_DATA, "none of the first files of data set '%s' is a sound: %s",
                       k->store.dataset, text);
    }
    *ret = (struct op_spec){
        .dtype = DTYPE_F32,
        .shape = {.rank = 2, .d = {is_ragged ? -1 : first.frames, first.channels}}};
    return 0;
}

static int open_audio(struct source *source, const struct source_store *store, struct arena *arena,
                      struct err *err)
{
    struct audio_source *k = source->ctx;
    struct element_field x = {.name = "x", .kind = ELEMENT_AUDIO};
    k->store = *store;
    k->files = (struct labelled){
        .options = &k->how, .store = &k->store, .takes = is_sound, .what = "sounds"};
    int r = labelled_open(&k->files, "audio", arena, err);
    if (r < 0 || k->files.n == 0) {
        return r;
    }
    r = find_shape(k, &x.spec, err);
    if (r == 0) {
        element_add(&source->spec, &x);
        labelled_declare(&k->files, source);
    }
    return r;
}

static void close_audio(struct source *source)
{
    struct audio_source *k = source->ctx;
    buf_fini(&k->file);
    resample_fini(&k->resample);
    op_scratch_fini(&k->read);
    op_scratch_fini(&k->made);
    op_scratch_fini(&k->fitted);
}

static int read_audio(struct source *source, const struct stage_place *place,
                      const struct source_call *call, struct element *ret, struct err *err)
{
    (void)call;
    struct audio_source *k = source->ctx;
    struct audio_info info;
    const float *v = NULL;
    int r = read_sound(k, place->position, &info, &v, err);
    if (r < 0) {
        return r;
    }
    ret->sample = place->position;
    ret->fields[0] = (struct tensor){.dtype = DTYPE_F32,
                                     .shape = {.rank = 2, .d = {info.frames, info.channels}},
                                     .data = (void *)(uintptr_t)v};
    labelled_put(&k->files, place->position, source, ret);
    return 0;
}

static const char *path_audio(const struct source *source, int64_t sample)
{
    const struct audio_source *k = source->ctx;
    return doc_str(k->files.items[sample].file, "path", "?");
}

const struct source_desc source_audio = {
    .name = "audio",
    .summary = "WAV, FLAC and Ogg files (Vorbis, Opus) in folders, a folder a class, as of Keras's "
               "`audio_dataset_from_directory`; x is float32 (samples, channels) from -1 to 1.",
    .options = options,
    .ctx_size = sizeof(struct audio_source),
    .claims = claims,
    .open = open_audio,
    .close = close_audio,
    .read = read_audio,
    .path = path_audio,
};
