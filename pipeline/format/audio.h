/* audio - WAV, FLAC and Ogg (Vorbis, Opus) sounds: any stretch of them as floats from -1 to 1.
 *
 * Owns:     a sound owns its codec; the input is borrowed.
 * Threads:  one at a time.
 * Errors:   ERR_EMPTY, ERR_BAD_MAGIC, ERR_TRUNCATED (also a WAV whose data end early, which
 *           libsndfile lets pass), ERR_CORRUPT, ERR_UNSUPPORTED, ERR_LIMIT, ERR_NOT_FINITE.
 * Lifetime: audio_open .. audio_close.
 *
 * By libsndfile, in a sandboxed process only. Whole numbers of n bits are divided by 2^(n-1);
 * nothing is clipped or resampled.
 */
#ifndef FORMAT_AUDIO_H
#define FORMAT_AUDIO_H

#include "pipeline/format/input.h"

enum { AUDIO_CHANNELS_MAX = 64, AUDIO_FRAMES_MAX = 1 << 30, AUDIO_RATE_MAX = 1 << 20 };

struct audio;
struct audio_info {
    int64_t frames;
    int channels, rate;
};
int audio_open(const struct input *in, struct audio **ret, struct audio_info *ret_info,
               struct err *err);
void audio_close(struct audio *audio); /* takes NULL */
/* Frames first .. first + n, channels side by side. */
int audio_read(struct audio *audio, int64_t first, int64_t n, float *ret, struct err *err);

#endif
