/* Elements that are saved as a data set: what a job reads of it is what the pipeline gave. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "pipeline/pipeline_impl.h"
#include "pipeline/pipeline_save.h"
#include "pipeline/saved.h"
#include "tests/pipeline/fixture.h"

static struct fixture f;

static void setup(void)
{
    fixture_init(&f);
}

static void teardown(void)
{
    fixture_fini(&f);
}

/* ---- data sets with fields of all kinds ---- */

static const char csv[] = "name,weight,kind\nZoë,1.5,a\n\"a, b\",2,b\n,3.25,a\nlast,-4,b\n";

static void add_set(const char *name)
{
    static const char *const photos[] = {"Aqua", "Blinds", "Dune", "china", "flower"};
    char folder[TEST_PATH];
    if (strcmp(name, "digits") == 0) {
        fixture_add_idx(&f, name, "train", 30, 8, 8);
    } else if (strcmp(name, "words") == 0) {
        fixture_add(&f, name, "t.csv", csv, sizeof csv - 1);
    } else if (strcmp(name, "boxes") == 0) {
        test_path(folder, "%s/data/stamps_detect/val", test_shared());
        fixture_add_folder(&f, name, folder);
    } else {
        for (size_t i = 0; i < sizeof photos / sizeof photos[0]; i++) {
            char path[64], shared[64];
            (void)snprintf(path, sizeof path, "%c/%zu.jpg", i < 3 ? 'a' : 'b', i);
            (void)snprintf(shared, sizeof shared, "data/photos/%s.jpg", photos[i]);
            fixture_add_shared(&f, name, path, shared);
        }
    }
}

static void read_job(const char *dataset, const char *pipeline, struct job_spec *ret)
{
    char text[1024];
    struct doc *doc = NULL;
    (void)snprintf(text, sizeof text,
                   "{\"name\": \"t\", \"data\": {\"train\": {\"dataset\": \"%s\"}, \"on_error\": "
                   "\"skip\"}, \"pipeline\": [%s], \"fit\": {\"epochs\": 3, \"seed\": 7}}",
                   dataset, pipeline);
    int rc = doc_read_json(text, strlen(text), NULL, &f.arena, &doc, &f.err);
    rc = rc < 0 ? rc : job_read(doc, &f.arena, ret, &f.err);
    ck_assert_msg(rc == 0, "%s: %s", f.err.path, f.err.text);
}

/* ---- saving, as a client puts the pieces together ---- */

static void put_at(struct buf *file, const struct buf *piece, int64_t place)
{
    while (file->size < (size_t)place + piece->size) {
        buf_put(file, "", 1);
    }
    if (piece->size > 0) {
        memcpy(file->data + place, piece->data, piece->size);
    }
}

/* Returns the code; n_pieces, n_bad: how many came. */
static int save(const struct job_spec *job, int64_t epoch, size_t max_bytes, struct buf *file,
                int64_t *n_pieces, int64_t *n_bad)
{
    struct pipeline_save want = {.epoch = epoch, .max_bytes = max_bytes, .max_us = 1000000};
    struct pipeline_save_piece piece;
    struct buf index = {0};
    int rc;
    *n_pieces = *n_bad = 0;
    do {
        rc = pipeline_save(job, &f.store, &want, &f.arena, &piece, &f.err);
        if (rc == 0) {
            put_at(file, &piece.data, piece.begin);
            buf_put(&index, piece.index.data, piece.index.size);
            put_at(file, &piece.head, 0);
            *n_bad += (int64_t)piece.bad->n;
            (*n_pieces)++;
        }
        want.next = piece.next;
        want.kept = piece.kept;
        want.place = piece.place;
        const bool is_end = rc < 0 || piece.next == piece.elements;
        pipeline_save_fini(&piece);
        if (is_end) {
            break;
        }
    } while (true);
    if (rc == 0) {
        put_at(file, &index, want.place);
    }
    buf_fini(&index);
    return rc;
}

/* ---- elements ---- */

static uint64_t tensor_hash(const struct tensor *x, uint64_t hash)
{
    int64_t n = 0;
    ck_assert_int_eq(shape_count(&x->shape, &n), 0);
    hash = hash_fast(x->shape.d, (size_t)x->shape.rank * sizeof x->shape.d[0], hash + x->dtype);
    const struct tensor_text *texts = x->data;
    for (int64_t i = 0; x->dtype == DTYPE_STR && i < n; i++) {
        hash = hash_fast(texts[i].text, texts[i].n, hash);
    }
    return x->dtype == DTYPE_STR || n == 0
               ? hash
               : hash_fast(x->data, (size_t)n * dtype_bytes(x->dtype), hash);
}

struct opened {
    struct arena arena;
    struct pool pool;
    struct stream stream;
};

static int open_elements(struct opened *o, const struct job_spec *job)
{
    memset(o, 0, sizeof *o);
    arena_init(&o->arena);
    return pipeline_elements(job, &f.store, PIPELINE_TRAIN, &o->arena, &o->pool, &o->stream,
                             &f.err);
}

static void close_elements(struct opened *o)
{
    pool_close(&o->pool);
    stream_fini(&o->stream);
    arena_fini(&o->arena);
}

/* Hash over all elements of an epoch and what is said of them. */
static uint64_t elements_hash(const struct job_spec *job, int64_t epoch, int64_t *ret_n)
{
    struct opened o;
    uint64_t hash = 1;
    int rc = open_elements(&o, job);
    ck_assert_msg(rc == 0, "%s: %s", f.err.path, f.err.text);
    const struct element_spec *spec = &o.stream.spec;
    *ret_n = o.stream.n;
    for (int i = 0; i < spec->n; i++) {
        const struct element_field *field = &spec->fields[i];
        const int said[] = {(int)field->kind, (int)field->spec.dtype, field->spec.shape.rank,
                            field->is_varying};
        hash = hash_fast(field->name, strlen(field->name), hash);
        hash = hash_fast(said, sizeof said, hash);
        hash = hash_fast(field->spec.shape.d, (size_t)said[2] * sizeof(int64_t), hash);
    }
    for (int64_t i = 0; i < o.stream.source->n_classes; i++) {
        const char *name = o.stream.source->classes[i];
        hash = hash_fast(name, strlen(name) + 1, hash);
    }
    for (int64_t i = 0; i < o.stream.n; i++) {
        const struct stage_place at = {epoch, i};
        const struct source_call call = {.epoch = epoch};
        struct element element;
        rc = stream_get(&o.stream, &at, &call, &element, &f.err);
        ck_assert_msg(rc == 0, "element %lld: %s", (long long)i, f.err.text);
        for (int k = 0; k < spec->n; k++) {
            hash = tensor_hash(&element.fields[k], hash);
        }
    }
    close_elements(&o);
    return hash;
}

static const struct {
    const char *set, *pipeline;
    size_t max_bytes; /* of a piece */
} cases[] = {
    {"digits", "", 1 << 20},
    {"digits", "", 700},
    {"digits",
     "{\"shuffle\": {}}, {\"map\": [{\"RandomRotation\": {\"factor\": 0.2}}]}, {\"batch\": 7}",
     4000},
    {"digits", "{\"batch\": {\"batch_size\": 7, \"drop_remainder\": true}}, {\"prefetch\": 2}",
     1 << 20},
    {"digits", "{\"window\": 4}, {\"cache\": null}", 1 << 20},
    {"digits", "{\"batch\": 4}, {\"unbatch\": null}, {\"skip\": 3}", 1 << 20},
    {"words", "", 480},
    {"words", "{\"shuffle\": {}}, {\"enumerate\": null}", 1 << 20},
    {"photos", "", 16 << 20},
    {"photos", "{\"map\": [{\"Resizing\": {\"height\": 20, \"width\": 24}}]}", 4000},
    {"boxes", "", 4 << 20},
    {"boxes", "{\"take\": 20}, {\"map\": [{\"Rescaling\": {\"scale\": 0.5}}]}", 1 << 20},
};

START_TEST(test_there_and_back)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct job_spec job, other;
    struct buf file = {0}, again = {0};
    int64_t pieces, bad, n, saved_n;
    add_set(cases[_i].set);
    read_job(cases[_i].set, cases[_i].pipeline, &job);
    const uint64_t wanted = elements_hash(&job, 2, &n);
    int rc = save(&job, 2, cases[_i].max_bytes, &file, &pieces, &bad);
    ck_assert_msg(rc == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert(cases[_i].max_bytes > 8000 || pieces > 1);
    ck_assert_int_eq(save(&job, 2, 64 << 20, &again, &pieces, &bad), 0);
    ck_assert_int_eq(pieces, 1);
    ck_assert(file.size == again.size && memcmp(file.data, again.data, file.size) == 0);
    fixture_add(&f, "s", "elements.saved", file.data, file.size);
    read_job("s", "", &other);
    ck_assert_uint_eq(elements_hash(&other, 0, &saved_n), wanted);
    ck_assert_int_eq(saved_n, n);
    ck_assert_uint_eq(elements_hash(&other, 5, &saved_n), wanted);
    buf_fini(&file);
    buf_fini(&again);
}
END_TEST

/* A job trains on it as on any data set: shuffled, in splits of several files. */
START_TEST(test_splits)
{
    struct job_spec job;
    struct buf file = {0};
    int64_t pieces, bad, samples[64], seen[64] = {0};
    add_set("digits");
    read_job("digits", "{\"take\": 12}", &job);
    ck_assert_int_eq(save(&job, 0, 1 << 20, &file, &pieces, &bad), 0);
    fixture_add(&f, "s", "test/a.saved", file.data, file.size);
    fixture_add(&f, "s", "train/a.saved", file.data, file.size);
    fixture_add(&f, "s", "train/b.saved", file.data, file.size);
    int rc = fixture_compile(
        &f, "{\"name\": \"t\", \"data\": {\"train\": {\"dataset\": \"s\", \"split\": "
            "\"train\"}, \"validation\": {\"dataset\": \"s\", \"split\": \"test\"}}, "
            "\"pipeline\": [{\"shuffle\": {}}, {\"batch\": 5}]}");
    ck_assert_msg(rc == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_samples(&f, PIPELINE_TRAIN, 0, samples, 64), 24);
    for (int i = 0; i < 24; i++) {
        seen[samples[i]]++;
    }
    for (int i = 0; i < 24; i++) {
        ck_assert_int_eq(seen[i], 1);
    }
    ck_assert_int_eq(fixture_samples(&f, PIPELINE_VALIDATION, 0, samples, 64), 12);
    buf_fini(&file);
}
END_TEST

/* Files that are not alike are no data set. */
START_TEST(test_unlike)
{
    struct job_spec job;
    struct buf file = {0};
    int64_t pieces, bad;
    add_set("digits");
    read_job("digits", "", &job);
    ck_assert_int_eq(save(&job, 0, 1 << 20, &file, &pieces, &bad), 0);
    fixture_add(&f, "s", "a.saved", file.data, file.size);
    buf_clear(&file);
    read_job("digits", "{\"enumerate\": null}", &job);
    ck_assert_int_eq(save(&job, 0, 1 << 20, &file, &pieces, &bad), 0);
    fixture_add(&f, "s", "b.saved", file.data, file.size);
    ck_assert_int_eq(
        fixture_compile(&f, "{\"name\": \"t\", \"data\": {\"train\": {\"dataset\": \"s\"}}}"),
        ERR_SCHEMA);
    ck_assert_str_eq(f.err.path, "data.train.b.saved");
    buf_fini(&file);
}
END_TEST

/* Bad samples are left out where the job lets them be, and named. */
START_TEST(test_bad)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct job_spec job;
    struct buf file = {0};
    int64_t pieces, bad, n;
    add_set("photos");
    fixture_add(&f, "photos", "b/9.jpg", "no picture", 10);
    read_job("photos", "{\"map\": [{\"Resizing\": {\"height\": 20, \"width\": 24}}]}", &job);
    ck_assert_int_eq(save(&job, 0, 1 << 20, &file, &pieces, &bad), 0);
    ck_assert_int_eq(bad, 1);
    fixture_add(&f, "s", "a.saved", file.data, file.size);
    struct job_spec other;
    read_job("s", "", &other);
    (void)elements_hash(&other, 0, &n);
    ck_assert_int_eq(n, 5);
    job.data.on_error = JOB_ON_ERROR_FAIL;
    ck_assert_int_eq(save(&job, 0, 1 << 20, &file, &pieces, &bad), ERR_DATA);
    ck_assert_str_eq(f.err.path, "b/9.jpg");
    buf_fini(&file);
}
END_TEST

static const struct {
    const char *pipeline, *path, *text;
    size_t max_bytes;
    int code;
} refused[] = {
    {"{\"repeat\": {}}", "pipeline", "has no end", 1 << 20, ERR_UNSUPPORTED},
    {"{\"batch\": 4}, {\"take\": 2}", "pipeline", "take stands behind batch", 1 << 20,
     ERR_UNSUPPORTED},
    {"", "", "does not fit into 40 bytes", 40, ERR_LIMIT},
};

START_TEST(test_refused)
{
    struct job_spec job;
    struct buf file = {0};
    int64_t pieces, bad;
    add_set("digits");
    read_job("digits", refused[_i].pipeline, &job);
    ck_assert_int_eq(save(&job, 0, refused[_i].max_bytes, &file, &pieces, &bad), refused[_i].code);
    ck_assert_str_eq(f.err.path, refused[_i].path);
    ck_assert_msg(strstr(f.err.text, refused[_i].text) != NULL, "%s", f.err.text);
    buf_fini(&file);
}
END_TEST

/* Files from elsewhere: cut, changed, made of anything. They are read or refused. */
START_TEST(test_hostile)
{
    struct job_spec job;
    struct buf file = {0};
    int64_t pieces, bad, refusals = 0, good = 0;
    struct rng rng;
    add_set("words");
    read_job("words", "", &job);
    ck_assert_int_eq(save(&job, 0, 1 << 20, &file, &pieces, &bad), 0);
    rng_init(&rng, 3, 1, 0, 0);
    for (int i = 0; i < 1000; i++) {
        struct buf copy = {0};
        struct opened o;
        buf_put(&copy, file.data, file.size);
        const size_t changes = rng_u32(&rng) % 4;
        for (size_t k = 0; k < changes; k++) {
            copy.data[rng_u32(&rng) % copy.size] = (char)rng_u32(&rng);
        }
        const size_t size = i % 5 == 0 ? rng_u32(&rng) % copy.size : copy.size;
        f.store.n_manifests = 1;
        struct arena before = f.arena;
        arena_init(&f.arena);
        fixture_add(&f, "s", "a.saved", copy.data, size);
        read_job("s", "", &job);
        int rc = open_elements(&o, &job);
        ck_assert(rc == 0 || rc == ERR_CORRUPT || rc == ERR_TRUNCATED || rc == ERR_BAD_MAGIC ||
                  rc == ERR_VERSION || rc == ERR_LIMIT || rc == ERR_DATA || rc == ERR_SYNTAX);
        refusals += rc < 0;
        for (int64_t k = 0; rc == 0 && k < o.stream.n; k++) {
            const struct stage_place at = {0, k};
            const struct source_call call = {0};
            struct element element;
            if (stream_get(&o.stream, &at, &call, &element, &f.err) == 0) {
                for (int j = 0; j < o.stream.spec.n; j++) {
                    (void)tensor_hash(&element.fields[j], 1);
                }
                good++;
            }
        }
        close_elements(&o);
        arena_fini(&f.arena);
        f.arena = before;
        buf_fini(&copy);
    }
    ck_assert_int_gt(refusals, 200);
    ck_assert_int_gt(good, 200);
    buf_fini(&file);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("saved");
    TCase *tcase = tcase_create("saved");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_there_and_back, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tcase, test_splits);
    tcase_add_test(tcase, test_unlike);
    tcase_add_test(tcase, test_bad);
    tcase_add_loop_test(tcase, test_refused, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(tcase, test_hostile);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
