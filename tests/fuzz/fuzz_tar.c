/* tar: any bytes as an archive, packed or not. What is found lies in the file, names are safe. */
#include <string.h>

#include "pipeline/format/samples.h"
#include "pipeline/format/unpack.h"
#include "tests/fuzz/fuzz.h"

enum { UNPACKED_MAX = 1 << 20 };

static void check(const struct tar_index *index, const struct input *in)
{
    struct samples samples = {0};
    struct err err = {0};
    for (size_t i = 0; i < index->n; i++) {
        const struct tar_member *m = &index->members[i];
        const char *name = tar_name(index, i);
        BUG_ON(m->offset < 0 || m->size < 0 || m->offset + m->size > in->size);
        BUG_ON(name[0] == '\0' || name[0] == '/' || strncmp(name, "../", 3) == 0 ||
               strstr(name, "/../") != NULL);
    }
    const int r = samples_build(&samples, index, "x", &err);
    BUG_ON(r < 0 && err.text[0] == '\0');
    for (size_t i = 0; r == 0 && i < samples.n; i++) {
        BUG_ON(samples.rows[i].first + samples.rows[i].n > index->n || samples.rows[i].n == 0);
    }
    samples_fini(&samples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tar_index index = {0};
    struct buf spool = {0};
    struct input in;
    struct err err = {0};
    enum unpack_kind kind;
    input_memory(&in, data, size, "x");
    int r = unpack_kind(&in, true, &kind, &err);
    if (r == 0 && kind != UNPACK_NONE) {
        r = unpack_to_buf(&in, kind, UNPACKED_MAX, &spool, &err);
        BUG_ON(r == 0 && spool.size > UNPACKED_MAX);
        input_memory(&in, spool.data, spool.size, "x");
    }
    r = r < 0 ? r : tar_index_build(&index, &in, &err);
    BUG_ON(r > 0 || r != err.code || (r < 0 && err.text[0] == '\0'));
    check(&index, &in);
    tar_index_fini(&index);
    buf_fini(&spool);
    return 0;
}

static const char *const shared[] = {"hostile/tar", NULL};
const struct fuzz_corpus fuzz_corpus = {.shared = shared, .max_bytes = 1 << 20, .copies = 60};
