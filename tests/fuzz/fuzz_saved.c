/* saved: any bytes as a file of saved elements. Its checksums are set right first, so that what
 * they guard is reached. What opens can be read, or is refused element by element. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "pipeline/saved.h"
#include "tests/fuzz/fuzz.h"

/* Places in the head (pipeline/saved.c). */
enum { N_AT = 16, INDEX_AT = 24, TEXT_BYTES_AT = 32, TEXT_SUM_AT = 40, HEAD = 48, FORM = 1 };

static uint64_t number(const struct buf *file, size_t at)
{
    uint64_t value = 0;
    if (at <= file->size && file->size - at >= sizeof value) {
        memcpy(&value, file->data + at, sizeof value);
    }
    return value;
}

static void set_sum(struct buf *file, uint64_t at, uint64_t bytes, uint64_t sum_at)
{
    if (at <= file->size && bytes <= file->size - at && sum_at + 8 <= file->size) {
        const uint64_t sum = hash_fast(file->data + at, (size_t)bytes, FORM);
        memcpy(file->data + sum_at, &sum, sizeof sum);
    }
}

static void set_sums(struct buf *file)
{
    const uint64_t n = number(file, N_AT), index = number(file, INDEX_AT);
    set_sum(file, HEAD, number(file, TEXT_BYTES_AT), TEXT_SUM_AT);
    for (uint64_t i = 0; i < n && i < 64 && index < file->size; i++) {
        const size_t entry = (size_t)(index + i * sizeof(struct saved_entry));
        set_sum(file, number(file, entry), number(file, entry + 8), entry + 16);
    }
}

static void read_all(struct saved *saved, const struct source *source)
{
    struct element_pack pack;
    struct element element;
    struct err err = {0};
    if (element_pack_init(&pack, &source->spec, &err) < 0) {
        return;
    }
    for (int64_t i = 0; i < saved->n && i < 64; i++) {
        int r = saved_read(saved, i, &pack, &element, &err);
        BUG_ON(r != 0 && r != ERR_CORRUPT && r != ERR_TRUNCATED);
        for (int k = 0; k < source->spec.n && r == 0; k++) {
            const struct tensor *x = &element.fields[k];
            int64_t count = 0;
            BUG_ON(shape_count(&x->shape, &count) < 0);
            if (x->dtype != DTYPE_STR && count > 0) { /* all of it is there */
                (void)hash_fast(x->data, (size_t)count * dtype_bytes(x->dtype), 0);
            }
        }
    }
    element_pack_fini(&pack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf file = {0};
    struct arena arena;
    struct saved saved = {0};
    struct source source = {0};
    struct err err = {0};
    const int fd = memfd_create("saved", MFD_CLOEXEC);
    BUG_ON(fd < 0);
    arena_init(&arena);
    buf_put(&file, data, size);
    set_sums(&file);
    BUG_ON(file_pwrite_all(fd, file.data, file.size, 0, NULL) < 0);
    const struct source_blob blob = {.fd = fd, .bytes = (int64_t)file.size};
    int r = saved_open(&saved, &blob, &arena, &source, &err);
    BUG_ON(r > 0 || r != err.code || (r < 0 && err.text[0] == '\0'));
    if (r == 0) {
        read_all(&saved, &source);
    }
    saved_close(&saved);
    arena_fini(&arena);
    buf_fini(&file);
    close(fd);
    return 0;
}

/* A file of three elements with a picture, a number and texts. */
static void seeds(void (*take)(const void *data, size_t size, void *arg), void *arg)
{
    static const struct element_spec spec = {
        .n = 3,
        .fields = {{"x", ELEMENT_IMAGE, {DTYPE_U8, {3, {2, 2, 1}}}, true},
                   {"y", ELEMENT_LABEL, {DTYPE_I64, {0, {0}}}, false},
                   {"t", ELEMENT_TEXT, {DTYPE_STR, {1, {-1}}}, false}}};
    static const char *const classes[] = {"a", "b"};
    const struct source of = {.classes = classes, .n_classes = 2};
    struct tensor_text texts[] = {{"one", 3}, {"", 0}};
    unsigned char pixels[] = {1, 2, 3, 4, 5, 6};
    int64_t label = 1;
    const struct element element = {.fields = {{DTYPE_U8, {3, {3, 2, 1}}, pixels},
                                               {DTYPE_I64, {0, {0}}, &label},
                                               {DTYPE_STR, {1, {2}}, texts}}};
    struct element_pack pack;
    struct buf head = {0}, bytes = {0}, index = {0};
    BUG_ON(element_pack_init(&pack, &spec, NULL) < 0);
    saved_head(&of, &spec, 0, 0, &head);
    const int64_t begin = (int64_t)head.size;
    for (int i = 0; i < 3; i++) {
        BUG_ON(saved_add(&pack, &element, begin, &bytes, &index, NULL) < 0);
    }
    saved_head(&of, &spec, 3, begin + (int64_t)bytes.size, &head);
    buf_put(&head, bytes.data, bytes.size);
    buf_put(&head, index.data, index.size);
    take(head.data, head.size, arg);
    element_pack_fini(&pack);
    buf_fini(&head);
    buf_fini(&bytes);
    buf_fini(&index);
}

const struct fuzz_corpus fuzz_corpus = {.max_bytes = 1 << 18, .copies = 3000, .seeds = seeds};
