/* Every hostile JPEG, PNG, IDX and .npy file of shared/hostile: what the manifest says becomes of
 * it, twice the same. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/doc.h"
#include "base/file.h"
#include "base/hash.h"
#include "pipeline/image/decode.h"
#include "pipeline/source/idx_file.h"
#include "pipeline/source/npy_file.h"
#include "tests/test.h"

struct verdict {
    int code;
    struct shape shape;
    uint64_t hash;
    struct err err;
};

static struct verdict decode_image(struct decode *decode, const struct buf *file)
{
    struct verdict v = {0};
    struct decode_image image;
    v.code = decode_run(decode, file->data, file->size, 0, &image, &v.err);
    if (v.code == 0) {
        v.shape = (struct shape){.rank = 3, .d = {image.height, image.width, image.channels}};
        v.hash = hash_fast(image.data, (size_t)(image.height * image.width * image.channels), 0);
        for (int channels = 1; channels <= 3; channels += 2) {
            struct decode_image other;
            ck_assert_int_eq(decode_run(decode, file->data, file->size, channels, &other, NULL), 0);
            ck_assert_int_eq(other.channels, channels);
            v.hash = hash_fast(other.data, (size_t)(image.height * image.width * channels), v.hash);
        }
    }
    return v;
}

static struct verdict decode_idx(const struct buf *file)
{
    struct verdict v = {0};
    struct tensor tensor;
    struct buf copy = {0};
    buf_put(&copy, file->data, file->size);
    v.code = idx_file_read(&copy, 64 << 20, &tensor, &v.err);
    if (v.code == 0) {
        v.shape = tensor.shape;
        v.hash = hash_fast(tensor.data, copy.size, 0);
    }
    buf_fini(&copy);
    return v;
}

static struct verdict decode_npy(const struct buf *file)
{
    struct verdict v = {0};
    struct tensor tensor;
    struct buf storage = {0};
    v.code = npy_file_read(file->data, file->size, &storage, &tensor, &v.err);
    if (v.code == 0) {
        v.shape = tensor.shape;
        v.hash = hash_fast(storage.data, storage.size, 0);
    }
    buf_fini(&storage);
    return v;
}

static struct verdict decode(struct decode *decoder, const char *format, const struct buf *file)
{
    return strcmp(format, "idx") == 0   ? decode_idx(file)
           : strcmp(format, "npy") == 0 ? decode_npy(file)
                                        : decode_image(decoder, file);
}

/* Returns what is wrong, or NULL. */
static const char *judge(const struct doc *entry, const struct verdict *v)
{
    const struct doc *strict = doc_get(entry, "strict"), *shape = doc_get(strict, "shape");
    const char *wanted = doc_str(strict, "verdict", "");
    if (strcmp(wanted, "reject") == 0) {
        return v->code == 0 ? "accepted" : NULL;
    }
    if (strcmp(wanted, "accept") != 0) {
        return NULL;
    }
    if (v->code < 0) {
        return doc_get(entry, "also") != NULL && v->code == ERR_UNSUPPORTED ? NULL : "rejected";
    }
    for (size_t i = 0; shape != NULL && i < shape->n; i++) {
        if ((size_t)v->shape.rank != shape->n || v->shape.d[i] != shape->items[i].i) {
            return "another shape";
        }
    }
    return NULL;
}

static int run_format(const char *format)
{
    struct arena arena;
    struct doc *manifest = NULL;
    struct buf text = {0};
    char path[TEST_PATH];
    int n = 0, n_wrong = 0;
    struct decode *decoder = decode_create();
    arena_init(&arena);
    test_path(path, "%s/hostile/manifest.json", test_shared());
    ck_assert_int_eq(file_read(AT_FDCWD, path, 64 << 20, &text, NULL), 0);
    ck_assert_int_eq(doc_read_json(text.data, text.size, NULL, &arena, &manifest, NULL), 0);
    const struct doc *files = doc_get(manifest, "files");
    for (size_t i = 0; i < files->n; i++) {
        const struct doc *entry = &files->items[i];
        const bool is_pair =
            doc_get(entry, "pair") != NULL; /* right by itself; t_idx tries the pairs */
        if (strcmp(doc_str(entry, "format", ""), format) != 0 || is_pair) {
            continue;
        }
        struct buf file = {0};
        test_path(path, "%s/hostile/%s", test_shared(), doc_str(entry, "path", ""));
        decode_allow(decoder, decode_formats_of(path) | DECODE_STORED);
        ck_assert_int_eq(file_read(AT_FDCWD, path, 64 << 20, &file, NULL), 0);
        const struct verdict a = decode(decoder, format, &file);
        const struct verdict b = decode(decoder, format, &file);
        const char *wrong = judge(entry, &a);
        if (a.code != b.code || a.hash != b.hash) {
            wrong = "another answer the second time";
        }
        if (wrong != NULL) {
            (void)fprintf(stderr, "%s: %s (%s)\n", doc_str(entry, "path", ""), wrong, a.err.text);
            n_wrong++;
        }
        n++;
        buf_fini(&file);
    }
    ck_assert_int_gt(n, 10);
    buf_fini(&text);
    arena_fini(&arena);
    decode_destroy(decoder);
    return n_wrong;
}

START_TEST(test_hostile)
{
    static const char *const formats[] = {"jpeg", "png", "idx", "npy"};
    TEST_NEED_SHARED(shared);
    (void)shared;
    ck_assert_int_eq(run_format(formats[_i]), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("decode");
    TCase *c = tcase_create("decode");
    tcase_add_loop_test(c, test_hostile, 0, 4);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
