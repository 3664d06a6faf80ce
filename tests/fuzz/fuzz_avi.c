/* avi: any bytes as a film: its frames lie in the file. */
#include "pipeline/format/avi.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct avi avi = {0};
    struct input in;
    struct err err = {0};
    input_memory(&in, data, size, "x");
    const int r = avi_open(&avi, &in, &err);
    BUG_ON(r > 0 || r != err.code || (r < 0 && err.text[0] == '\0') ||
           (r == 0 && avi.begins.n == 0));
    for (size_t i = 0; r == 0 && i < avi.begins.n; i++) {
        BUG_ON(avi.begins.at[i] < 0 || avi.begins.at[i] + avi.sizes.at[i] > in.size);
    }
    avi_close(&avi);
    return 0;
}

#define ZERO4  "\0\0\0\0"
#define ZERO16 ZERO4 ZERO4 ZERO4 ZERO4
static void seeds(void (*take)(const void *data, size_t size, void *arg), void *arg)
{
    static const char film[] =
        "RIFF\x94\0\0\0"
        "AVI LIST\x68\0\0\0hdrlLIST\x5c\0\0\0strlstrh\x20\0\0\0vidsMJPG" ZERO4 ZERO4 ZERO4
        "\1\0\0\0\x0a\0\0\0" ZERO4
        "strf\x28\0\0\0\x28\0\0\0\x10\0\0\0\x08\0\0\0\1\0\x18\0MJPG" ZERO16 ZERO4
        "LIST\x18\0\0\0movi00dc\4\0\0\0\xff\xd8\xff\xd9"
        "00dc\0\0\0\0";
    struct avi avi = {0};
    struct input in;
    input_memory(&in, film, sizeof film - 1, "x");
    BUG_ON(avi_open(&avi, &in, NULL) < 0 ||
           avi.begins.n != 2); /* else all copies are refused early */
    avi_close(&avi);
    take(film, sizeof film - 1, arg);
}

static const char *const shared[] = {"data/video", NULL};
const struct fuzz_corpus fuzz_corpus = {
    .shared = shared, .max_bytes = 1 << 22, .copies = 5000, .seeds = seeds};
