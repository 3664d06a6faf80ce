/* npz: any bytes as a zip of arrays, or as an array. What opens can be read, and only what it has.
 */
#include <stdlib.h>

#include "pipeline/format/npz.h"
#include "tests/fuzz/fuzz.h"

enum { BYTES_MAX = 1 << 20 };

static void check(const struct npy *npy)
{
    size_t bytes = 0;
    struct err err = {0};
    if (shape_bytes(&npy->shape, npy->dtype, &bytes) < 0 || bytes > 8 * BYTES_MAX ||
        npy->n_rows > 4096) {
        return;
    }
    unsigned char *all = malloc(bytes + 1), *row = malloc(bytes + 1);
    BUG_ON(all == NULL || row == NULL);
    if (npy_read(npy, 0, npy->n_rows, true, all, &err) == 0) {
        for (int64_t i = 0; i < npy->n_rows; i++) {
            BUG_ON(npy_read(npy, i, 1, true, row, &err) < 0);
        }
    }
    free(all);
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in;
    struct npz npz = {.n = 0};
    struct npy npy;
    struct err err = {0};
    input_memory(&in, data, size, "x");
    int r = npz_open(&npz, &in, BYTES_MAX, &err);
    BUG_ON(r > 0 || r != err.code || (r < 0 && err.text[0] == '\0'));
    for (size_t i = 0; r == 0 && i < npz.n; i++) {
        check(&npz.arrays[i].npy);
    }
    npz_close(&npz);
    err.code = 0;
    r = npy_open(&npy, &in, &err);
    BUG_ON(r > 0 || r != err.code);
    if (r == 0) {
        check(&npy);
    }
    return 0;
}

static const char *const shared[] = {"hostile/npz", "hostile/npy", NULL};
const struct fuzz_corpus fuzz_corpus = {.shared = shared, .max_bytes = 1 << 18, .copies = 200};
