/* tfrecord: any bytes as records, and any bytes as an Example: its lists lie in it and are read. */
#include <stdlib.h>

#include "pipeline/format/example.h"
#include "pipeline/format/tfrecord.h"
#include "tests/fuzz/fuzz.h"

static void check_feature(const struct example_feature *f, const unsigned char *data, size_t size)
{
    struct err err = {0};
    BUG_ON(f->n < 0 || (uint64_t)f->n > size);
    void *values = calloc((size_t)f->n + 1, 8);
    BUG_ON(values == NULL);
    if (f->kind == EXAMPLE_INTS) {
        example_ints(f, values);
    } else if (f->kind == EXAMPLE_FLOATS) {
        (void)example_floats(f, true, values, &err);
    }
    for (int64_t i = 0; f->kind == EXAMPLE_BYTES && i < f->n && i < 16; i++) {
        const unsigned char *p = NULL;
        size_t n = 0;
        example_bytes(f, i, &p, &n);
        BUG_ON(p < data || n > size || p + n > data + size);
    }
    free(values);
}

static void check_example(const unsigned char *data, size_t size)
{
    enum { MAX = 64 };
    struct example_feature features[MAX];
    struct err err = {0};
    size_t n = 0;
    const int r = example_read(data, size, features, MAX, &n, &err);
    BUG_ON(r > 0 || r != err.code || (r < 0 && err.text[0] == '\0') || n > MAX);
    for (size_t i = 0; r == 0 && i < n; i++) {
        check_feature(&features[i], data, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in;
    struct offsets index = {0};
    struct err err = {0};
    input_memory(&in, data, size, "x");
    struct input_window window = {.in = &in};
    int r = tfrecord_index(&index, &in, &err);
    BUG_ON(r > 0 || r != err.code || (r < 0 && err.text[0] == '\0'));
    for (size_t i = 0; r == 0 && i + 1 < index.n; i++) {
        const unsigned char *record = NULL;
        size_t n = 0;
        if (tfrecord_read(&index, &window, i, &record, &n, &err) == 0) {
            check_example(record, n);
        }
    }
    check_example(data, size);
    if (size > 12) { /* the first record without its frame: sums are no help there */
        check_example(data + 12, size - 12);
    }
    input_window_fini(&window);
    offsets_fini(&index);
    return 0;
}

static const char *const shared[] = {"hostile/tfrecord", NULL};
const struct fuzz_corpus fuzz_corpus = {.shared = shared, .max_bytes = 1 << 17, .copies = 500};
