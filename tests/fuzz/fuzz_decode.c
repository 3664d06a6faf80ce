/* decode: any bytes as a picture. The header says what comes, and the same bytes give the same
 * pixels twice. */
#include <string.h>

#include "base/hash.h"
#include "pipeline/image/decode.h"
#include "tests/fuzz/fuzz.h"

enum { PIXELS_MAX = 1 << 20 }; /* more are legal and only slow */

static uint64_t hash_image(const struct decode_image *image)
{
    return hash_fast(image->data, (size_t)(image->height * image->width * image->channels), 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decode *decode = decode_create();
    struct decode_image header, image;
    struct err err = {0};
    int rc = decode_header(decode, data, size, &header, &err);
    BUG_ON(rc > 0 || rc != err.code || (rc < 0 && err.text[0] == '\0'));
    if (rc == 0 && header.height * header.width <= PIXELS_MAX) {
        BUG_ON(header.height < 1 || header.width < 1 || header.channels < 1 || header.channels > 4);
        uint64_t first = 0;
        for (int i = 0; i < 2; i++) {
            int again = decode_run(decode, data, size, 0, &image, &err);
            BUG_ON(i == 1 && again != rc);
            rc = again;
            if (rc == 0) {
                BUG_ON(image.height != header.height || image.width != header.width ||
                       image.channels != header.channels);
                uint64_t hash = hash_image(&image);
                BUG_ON(i == 1 && hash != first);
                first = hash;
            }
        }
        int gray = decode_run(decode, data, size, 1, &image, &err);
        BUG_ON(gray == 0 && image.channels != 1);
    }
    decode_destroy(decode);
    return 0;
}

/* A small picture of each of the formats that the shared folders hold only large. */
static const char bmp[] = "BM\0\0\0\0\0\0\0\0\x46\0\0\0\x28\0\0\0\2\0\0\0\2\0\0\0\1\0\10\0\1\0\0\0"
                          "\0\0\0\0\0\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0"
                          "\0\0\0\0\xff\0\0\0\0\xff\0\0\0\0\xff\0\2\3\0\0\1\2\1\1\0\1";
static const char gif[] =
    "GIF89a\2\0\2\0\x80\0\0\1\2\3\4\5\6!\xf9\4\1\0\0\0\0,\1\0\1\0\1\0\1\0\0\2\2\x4c\1\0;";
static const char webp[] =
    "RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\7\0";

static void seeds(void (*take)(const void *data, size_t size, void *arg), void *arg)
{
    for (int i = 0; i < 30; i++) {
        take(bmp, sizeof bmp - 1, arg);
        take(gif, sizeof gif - 1, arg);
        take(webp, sizeof webp - 1, arg);
    }
}

static const char *const shared[] = {"hostile/jpeg", "hostile/png", "data/photos/variants", NULL};
const struct fuzz_corpus fuzz_corpus = {
    .shared = shared, .max_bytes = 1 << 16, .copies = 10, .seeds = seeds};
