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

static const char *const shared[] = {"hostile/jpeg", "hostile/png", NULL};
const struct fuzz_corpus fuzz_corpus = {.shared = shared, .max_bytes = 1 << 16, .copies = 10};
