#include "pipeline/format/audio.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sndfile.h>

struct audio {
    struct input in;
    SNDFILE *codec;
    SF_INFO info;
    int64_t at; /* of the codec's reading */
};

static sf_count_t get_size(void *arg)
{
    return ((struct audio *)arg)->in.size;
}

static sf_count_t seek(sf_count_t offset, int whence, void *arg)
{
    struct audio *audio = arg;
    const int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? audio->at : audio->in.size;
    int64_t to = 0;
    if (__builtin_add_overflow(base, offset, &to) || to < 0) {
        return -1;
    }
    audio->at = to;
    return to;
}

static sf_count_t take(void *to, sf_count_t n, void *arg)
{
    struct audio *audio = arg;
    const int64_t left = audio->in.size - audio->at;
    n = n < left ? n : left;
    if (n <= 0 || input_read(&audio->in, audio->at, to, (size_t)n, NULL) < 0) {
        return 0;
    }
    audio->at += n;
    return n;
}

static sf_count_t refuse(const void *from, sf_count_t n, void *arg)
{
    (void)from, (void)n, (void)arg;
    return 0;
}

static sf_count_t tell(void *arg)
{
    return ((struct audio *)arg)->at;
}

static uint32_t little32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Does the chunk of samples end inside the file? */
static int check_wav(const struct input *in, struct err *err)
{
    unsigned char head[8];
    for (int64_t at = 12; at + 8 <= in->size;) {
        int r = input_read(in, at, head, sizeof head, err);
        if (r < 0) {
            return r;
        }
        const int64_t size = little32(head + 4), left = in->size - at - 8;
        if (size > left) {
            return input_fail(in, at, ERR_TRUNCATED, err, "a chunk of %lld bytes, %lld are left",
                              (long long)size, (long long)left);
        }
        if (memcmp(head, "data", 4) == 0) {
            return 0;
        }
        at += 8 + size + size % 2;
    }
    return input_fail(in, -1, ERR_TRUNCATED, err, "WAV: has no samples");
}

static int check_kind(const struct input *in, struct err *err)
{
    unsigned char p[12] = {0};
    const size_t n = in->size < 12 ? (size_t)in->size : 12;
    int r = input_read(in, 0, p, n, err);
    if (r < 0) {
        return r;
    }
    if (n == 0) {
        return input_fail(in, -1, ERR_EMPTY, err, "has no bytes");
    }
    if (memcmp(p, "RIFF", 4) == 0 && memcmp(p + 8, "WAVE", 4) == 0) {
        return check_wav(in, err);
    }
    return memcmp(p, "fLaC", 4) == 0 || memcmp(p, "OggS", 4) == 0
               ? 0
               : input_fail(in, -1, ERR_BAD_MAGIC, err, "is neither WAV nor FLAC, Ogg");
}

static int check_info(const struct audio *audio, struct err *err)
{
    const SF_INFO *info = &audio->info;
    if (info->channels < 1 || info->channels > AUDIO_CHANNELS_MAX || info->samplerate < 1 ||
        info->samplerate > AUDIO_RATE_MAX || info->frames < 0 ||
        info->frames > AUDIO_FRAMES_MAX / info->channels) {
        return input_fail(&audio->in, -1, ERR_LIMIT, err,
                          "declares %lld samples of %d channels at %d a second",
                          (long long)info->frames, info->channels, info->samplerate);
    }
    return 0;
}

static int open_codec(struct audio *audio, struct err *err)
{
    SF_VIRTUAL_IO io = {get_size, seek, take, refuse, tell};
    audio->codec = sf_open_virtual(&io, SFM_READ, &audio->info, audio);
    if (audio->codec == NULL) {
        const int code = sf_error(NULL);
        return input_fail(&audio->in, -1,
                          code == SF_ERR_UNSUPPORTED_ENCODING || code == SF_ERR_UNRECOGNISED_FORMAT
                              ? ERR_UNSUPPORTED
                              : ERR_CORRUPT,
                          err, "%s", sf_strerror(NULL));
    }
    return check_info(audio, err);
}

int audio_open(const struct input *in, struct audio **ret, struct audio_info *ret_info,
               struct err *err)
{
    *ret = NULL;
    int r = check_kind(in, err);
    if (r < 0) {
        return r;
    }
    struct audio *audio = calloc(1, sizeof *audio);
    if (audio == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for a sound");
    }
    audio->in = *in;
    r = open_codec(audio, err);
    if (r < 0) {
        audio_close(audio);
        return r;
    }
    *ret = audio;
    *ret_info = (struct audio_info){.frames = audio->info.frames,
                                    .channels = audio->info.channels,
                                    .rate = audio->info.samplerate};
    return 0;
}

void audio_close(struct audio *audio)
{
    if (audio != NULL) {
        if (audio->codec != NULL) {
            (void)sf_close(audio->codec);
        }
        free(audio);
    }
}

int audio_read(struct audio *audio, int64_t first, int64_t n, float *ret, struct err *err)
{
    BUG_ON(first < 0 || n < 0 || n > audio->info.frames - first);
    if (sf_seek(audio->codec, first, SEEK_SET) != first) {
        return input_fail(&audio->in, -1, ERR_CORRUPT, err, "sample %lld cannot be found: %s",
                          (long long)first, sf_strerror(audio->codec));
    }
    const int64_t got = sf_readf_float(audio->codec, ret, n);
    if (got != n || sf_error(audio->codec) != SF_ERR_NO_ERROR) {
        return input_fail(&audio->in, -1, got != n ? ERR_TRUNCATED : ERR_CORRUPT, err,
                          "its data are damaged behind sample %lld", (long long)(first + got));
    }
    for (int64_t i = 0; i < n * audio->info.channels; i++) {
        if (!isfinite(ret[i])) {
            return input_fail(&audio->in, -1, ERR_NOT_FINITE, err, "sample %lld is not finite",
                              (long long)(first + i / audio->info.channels));
        }
    }
    return 0;
}
