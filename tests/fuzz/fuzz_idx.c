/* idx: any bytes as an IDX file, gzipped or not. What is taken has as many numbers as its shape
 * says. */
#include "pipeline/source/idx_file.h"
#include "tests/fuzz/fuzz.h"

enum { INFLATED_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf storage = {0};
    struct tensor tensor;
    struct err err = {0};
    size_t bytes = 0;
    buf_put(&storage, data, size);
    int rc = idx_file_read(&storage, INFLATED_MAX, &tensor, &err);
    BUG_ON(rc > 0 || rc != err.code || (rc < 0 && err.text[0] == '\0'));
    if (rc == 0) {
        BUG_ON(shape_bytes(&tensor.shape, tensor.dtype, &bytes) < 0);
        const char *begin = tensor.data;
        BUG_ON(bytes > 0 && (begin < storage.data || begin + bytes > storage.data + storage.size));
    }
    buf_fini(&storage);
    return 0;
}

static const char *const shared[] = {"hostile/idx", NULL};
const struct fuzz_corpus fuzz_corpus = {.shared = shared, .max_bytes = 1 << 20, .copies = 200};
