/* Sources of records: csv, jsonl, tfrecord, webdataset. */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/format/crc32c.h"
#include "pipeline/kept.h"
#include "pipeline/source.h"
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

static void read_shared(const char *shared, struct buf *ret)
{
    char path[TEST_PATH];
    test_path(path, "%s/%s", test_shared(), shared);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 64 << 20, ret, NULL), 0);
}

static void add_text(const char *path, const char *text)
{
    fixture_add(&f, "d", path, text, strlen(text));
}

static void put_number(struct buf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        const unsigned char byte = (unsigned char)(value >> (8 * i));
        buf_put(out, &byte, 1);
    }
}

/* ---- TFRecord ---- */

static void put_field(struct buf *out, int number, const void *data, size_t size)
{
    const unsigned char head = (unsigned char)(number << 3 | 2);
    buf_put(out, &head, 1);
    for (uint64_t n = size; n > 0 || size == 0; n >>= 7) {
        const unsigned char byte = (unsigned char)((n & 127) | (n > 127 ? 128 : 0));
        buf_put(out, &byte, 1);
        if (n <= 127) {
            break;
        }
    }
    buf_put(out, data, size);
}

/* {name: list}; which: 1 bytes, 2 floats, 3 whole numbers. */
static void put_feature(struct buf *out, const char *name, int which, const void *data, size_t size)
{
    struct buf list = {0}, feature = {0}, entry = {0};
    put_field(&list, 1, data, size);
    put_field(&feature, which, list.data, list.size);
    put_field(&entry, 1, name, strlen(name));
    put_field(&entry, 2, feature.data, feature.size);
    put_field(out, 1, entry.data, entry.size);
    buf_fini(&list);
    buf_fini(&feature);
    buf_fini(&entry);
}

static uint32_t masked(const void *data, size_t n)
{
    const uint32_t crc = crc32c(0, data, n);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static void put_record(struct buf *out, const struct buf *features)
{
    struct buf example = {0};
    put_field(&example, 1, features->data, features->size);
    const size_t at = out->size;
    put_number(out, example.size, 8);
    put_number(out, masked(out->data + at, 8), 4);
    buf_put(out, example.data, example.size);
    put_number(out, masked(example.data, example.size), 4);
    buf_fini(&example);
}

/* Records {image, raw, ratio: [1 .. 2] floats, label: i}. */
static void add_records(const char *path, int first, int n, bool is_ragged)
{
    struct buf file = {0}, jpeg = {0};
    read_shared("hostile/jpeg/ok_gray.jpg", &jpeg);
    for (int i = first; i < first + n; i++) {
        struct buf features = {0};
        const float ratio[2] = {(float)i, 0.5F};
        const unsigned char label = (unsigned char)i;
        put_feature(&features, "image", 1, jpeg.data, jpeg.size);
        put_feature(&features, "raw", 1, "\1\0\2\0", 4);
        put_feature(&features, "ratio", 2, ratio, is_ragged && i % 2 ? 4 : 8);
        put_feature(&features, "label", 3, &label, 1);
        put_record(&file, &features);
        buf_fini(&features);
    }
    fixture_add(&f, "d", path, file.data, file.size);
    buf_fini(&file);
    buf_fini(&jpeg);
}

/* ---- tar ---- */

static void put_member(struct buf *out, const char *name, const void *data, size_t size)
{
    char block[512] = "";
    unsigned sum = 0;
    (void)snprintf(block, 100, "%s", name);
    (void)snprintf(block + 100, 8, "0000644");
    (void)snprintf(block + 124, 12, "%011zo", size);
    memset(block + 148, ' ', 8);
    block[156] = '0';
    memcpy(block + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof block; i++) {
        sum += (unsigned char)block[i];
    }
    (void)snprintf(block + 148, 8, "%06o", sum);
    buf_put(out, block, sizeof block);
    buf_put(out, data, size);
    memset(block, 0, sizeof block);
    buf_put(out, block, (512 - size % 512) % 512);
}

static void put_sample(struct buf *tar, int i, const struct buf *jpeg, const char *class)
{
    char name[64], text[64];
    (void)snprintf(name, sizeof name, "s/%03d.jpg", i);
    put_member(tar, name, jpeg->data, jpeg->size);
    (void)snprintf(name, sizeof name, "s/%03d.cls", i);
    (void)snprintf(text, sizeof text, class != NULL ? "%s\n" : "%.0s%d\n",
                   class != NULL ? class : "", i);
    put_member(tar, name, text, strlen(text));
}

static void add_shard(const char *path, int first, int n, bool has_text)
{
    struct buf tar = {0}, jpeg = {0};
    char end[1024] = "", name[64];
    read_shared("hostile/jpeg/ok_gray.jpg", &jpeg);
    for (int i = first; i < first + n; i++) {
        put_sample(&tar, i, &jpeg, NULL);
        if (has_text) {
            (void)snprintf(name, sizeof name, "s/%03d.txt", i);
            put_member(&tar, name, "words", 5);
        }
    }
    buf_put(&tar, end, sizeof end);
    fixture_add(&f, "d", path, tar.data, tar.size);
    buf_fini(&tar);
    buf_fini(&jpeg);
}

/* ---- cases of good data ---- */

enum set { CSV, CSV_TWO, JSONL, TFRECORD, SHARDS, TEXT_SHARDS };

static const char *const csv = "a,b,kind,n\n1,0.5,cat,3\n2,1.5,dog,\n3,-2,\"cat\",5\n";
static const char *const jsonl = "{\"a\": 1, \"v\": [[1, 2], [3, 4.5]], \"kind\": \"b\"}\n\n"
                                 "{\"v\": [[5, 6], [7, 8]], \"a\": 2, \"kind\": \"a\"}\n"
                                 "{\"a\": 3, \"v\": [[0, 0], [0, 1]], \"kind\": \"b\"}\n";

static void add_set(enum set set)
{
    switch (set) {
    case CSV: add_text("t.csv", csv); return;
    case CSV_TWO:
        add_text("train-0.csv", csv);
        add_text("train-1.csv", "a,b,kind,n\n0.5,7,ant,9\n");
        add_text("val.csv", "a,b,kind,n\n");
        return;
    case JSONL: add_text("t.jsonl", jsonl); return;
    case TFRECORD:
        add_records("t.tfrecord-00000-of-00002", 0, 2, false);
        add_records("t.tfrecord-00001-of-00002", 2, 1, false);
        return;
    case SHARDS:
        add_shard("train-0.tar", 0, 2, false);
        add_shard("train-1.tar", 2, 1, false);
        return;
    case TEXT_SHARDS: add_shard("train-0.tar", 0, 3, true); return;
    }
}

static const struct good {
    enum set set;
    const char *options, *split; /* of the source */
    const char *field;
    enum dtype dtype;
    const char *kind;
    int n; /* numbers a row */
    double rows[16];
    const char *classes; /* joined by spaces, or NULL */
} goods[] = {
    {CSV,
     "{\"fields\": {\"x\": [\"a\", \"b\"], \"y\": \"kind\"}}",
     "",
     "x",
     DTYPE_F32,
     "numeric",
     2,
     {1, 0.5, 2, 1.5, 3, -2},
     "cat dog"},
    {CSV,
     "{\"fields\": {\"x\": \"a\", \"y\": \"kind\"}}",
     "",
     "y",
     DTYPE_I64,
     "label",
     1,
     {0, 1, 0},
     "cat dog"},
    {CSV,
     "{\"fields\": {\"x\": \"a\", \"y\": \"kind\"}, \"class_names\": [\"dog\", \"cat\"]}",
     "",
     "y",
     DTYPE_I64,
     "label",
     1,
     {1, 0, 1},
     "dog cat"},
    {CSV,
     "{\"fields\": {\"a\": \"a\", \"n\": \"n\"}, \"missing_value\": -1}",
     "",
     "n",
     DTYPE_I64,
     "numeric",
     1,
     {3, -1, 5},
     NULL},
    {CSV,
     "{\"fields\": {\"k\": {\"from\": \"kind\", \"kind\": \"categorical\"}}}",
     "",
     "k",
     DTYPE_I64,
     "categorical",
     1,
     {0, 1, 0},
     NULL},
    {CSV,
     "{\"fields\": {\"x\": \"b\", \"y\": \"a\"}}",
     "",
     "y",
     DTYPE_I64,
     "label",
     1,
     {1, 2, 3},
     "0 1 2 3"},
    {CSV,
     "{\"fields\": {\"x\": {\"from\": \"a\", \"dtype\": \"uint8\", \"shape\": [1, 1]}}}",
     "",
     "x",
     DTYPE_U8,
     "numeric",
     1,
     {1, 2, 3},
     NULL},
    {CSV_TWO,
     "{\"fields\": {\"x\": \"a\", \"y\": \"kind\"}}",
     ", \"split\": \"train\"",
     "x",
     DTYPE_F32,
     "numeric",
     1,
     {1, 2, 3, 0.5},
     "ant cat dog"},
    {JSONL,
     "{\"fields\": {\"x\": \"v\", \"y\": \"kind\"}}",
     "",
     "x",
     DTYPE_F32,
     "numeric",
     4,
     {1, 2, 3, 4.5, 5, 6, 7, 8, 0, 0, 0, 1},
     "a b"},
    {JSONL,
     "{\"fields\": {\"x\": \"v\", \"y\": \"kind\"}}",
     "",
     "y",
     DTYPE_I64,
     "label",
     1,
     {1, 0, 1},
     "a b"},
    {TFRECORD,
     "{\"fields\": {\"x\": \"ratio\", \"y\": \"label\"}}",
     "",
     "x",
     DTYPE_F32,
     "numeric",
     2,
     {0, 0.5, 1, 0.5, 2, 0.5},
     NULL},
    {TFRECORD,
     "{\"fields\": {\"x\": \"ratio\", \"y\": \"label\"}}",
     "",
     "y",
     DTYPE_I64,
     "label",
     1,
     {0, 1, 2},
     NULL},
    {TFRECORD,
     "{\"fields\": {\"x\": {\"from\": \"raw\", \"dtype\": \"uint16\", \"shape\": [2, 1]}}}",
     "",
     "x",
     DTYPE_U16,
     "numeric",
     2,
     {1, 2, 1, 2, 1, 2},
     NULL},
    {TFRECORD,
     "{\"fields\": {\"x\": {\"from\": \"image\", \"kind\": \"image\"}, \"y\": \"label\"}, "
     "\"image_size\": [1, 1]}",
     "",
     "y",
     DTYPE_I64,
     "label",
     1,
     {0, 1, 2},
     NULL},
    {SHARDS,
     "{\"image_size\": [1, 1]}",
     ", \"split\": \"train\"",
     "y",
     DTYPE_I64,
     "label",
     1,
     {0, 1, 2},
     NULL},
    {TEXT_SHARDS,
     "{\"fields\": {\"x\": {\"from\": \"picture\", \"kind\": \"image\"}, \"y\": \"cls\"}, "
     "\"image_size\": [1, 1]}",
     "",
     "y",
     DTYPE_I64,
     "label",
     1,
     {0, 1, 2},
     NULL},
};

static const char *const kinds[] = {"csv", "csv", "jsonl", "tfrecord", "webdataset", "webdataset"};

static int compile(enum set set, const char *options, const char *split)
{
    char job[1024];
    (void)snprintf(job, sizeof job,
                   "{\"data\": {\"train\": {\"dataset\": \"d\", \"source\": {\"%s\": %s}%s}, "
                   "\"on_error\": \"skip\"}}",
                   kinds[set], options, split);
    return fixture_compile(&f, job);
}

static double number(enum dtype dtype, const void *p, int64_t i)
{
    switch ((int)dtype) {
    case DTYPE_U8: return ((const uint8_t *)p)[i];
    case DTYPE_U16: return ((const uint16_t *)p)[i];
    case DTYPE_I64: return (double)((const int64_t *)p)[i];
    default: return (double)((const float *)p)[i];
    }
}

static void check_classes(const char *wanted)
{
    struct buf text = {0};
    struct doc *plan = doc_new(&f.arena);
    pipeline_plan(f.pipeline, plan, &f.arena);
    const struct doc *classes = doc_get(plan, "classes");
    for (size_t i = 0; i < classes->n; i++) {
        buf_printf(&text, "%s%s", i > 0 ? " " : "", classes->items[i].str);
    }
    ck_assert_str_eq(text.data != NULL ? text.data : "", wanted != NULL ? wanted : "");
    buf_fini(&text);
}

static void check_good(const struct good *g)
{
    unsigned char *slab;
    struct opt_groups bad = {0};
    ck_assert_msg(compile(g->set, g->options, g->split) == 0, "%s: %s: %s", g->options, f.err.path,
                  f.err.text);
    ck_assert_msg(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 2, &slab, &bad) == 0, "%s", f.err.text);
    ck_assert_uint_eq(bad.n, 0);
    const struct slab_field *field = fixture_field(&f, PIPELINE_TRAIN, g->field);
    ck_assert_str_eq(field->kind, g->kind);
    ck_assert_int_eq(field->dtype, g->dtype);
    ck_assert_uint_eq(field->row_bytes, (size_t)g->n * dtype_bytes(g->dtype));
    const int64_t rows = pipeline_rows(f.pipeline, PIPELINE_TRAIN, 0);
    ck_assert_int_eq(rows, g->set == CSV_TWO ? 4 : 3);
    for (int64_t i = 0; i < rows * g->n; i++) {
        ck_assert_msg(number(g->dtype, slab + field->offset, i) == g->rows[i], "%s: %lld: %g",
                      g->options, (long long)i, number(g->dtype, slab + field->offset, i));
    }
    check_classes(g->classes);
}

START_TEST(test_good)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    add_set(goods[_i].set);
    check_good(&goods[_i]);
}
END_TEST

/* ---- indexes in a kept folder ---- */

static void compile_again(void)
{
    pipeline_destroy(f.pipeline);
    f.pipeline = NULL;
}

/* The same file with one of its numbers changed and a right checksum, as a process that was broken
 * in could put it there: whatever comes of it, nothing is read where it must not be (asan looks).
 */
static void put_hostile(struct kept *kept, const char *id, const struct good *g)
{
    static const int64_t hostile[] = {-1, INT64_MIN, INT64_MAX, 0, 1, 7, 1 << 20};
    void *data = NULL;
    size_t size = 0;
    ck_assert_int_eq(kept_read(kept, id, 1 << 20, &data, &size), 0);
    int64_t *words = data;
    for (size_t i = 0; i < size / 8 && i < 40; i++) {
        const int64_t was = words[i];
        for (size_t k = 0; k < sizeof hostile / sizeof hostile[0]; k++) {
            unsigned char *slab;
            struct opt_groups bad = {0};
            words[i] = hostile[k];
            ck_assert_int_eq(kept_put(kept, id, data, size, NULL), 0);
            compile_again();
            if (compile(g->set, g->options, g->split) == 0) {
                (void)fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 2, &slab, &bad);
            }
        }
        words[i] = was;
    }
    free(data);
}

static int for_each_kept(const char *folder, struct kept *kept, const struct good *g)
{
    int n = 0;
    DIR *dir = opendir(folder);
    char ids[16][HASH_ID_TEXT];
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            ck_assert_int_lt(n, 16);
            (void)snprintf(ids[n++], HASH_ID_TEXT, "%.64s", entry->d_name);
        }
    }
    closedir(dir);
    for (int i = 0; i < n && g != NULL; i++) {
        put_hostile(kept, ids[i], g);
    }
    return n;
}

START_TEST(test_kept)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct good *g = &goods[_i];
    char folder[TEST_PATH];
    test_dir_make(folder);
    struct kept kept = {.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    f.store.kept = &kept;
    add_set(g->set);
    check_good(g);
    const int64_t n_made = kept.n_made;
    ck_assert_int_ge(n_made, 1);
    ck_assert_int_eq(for_each_kept(folder, &kept, NULL), n_made);
    kept.n_missed = 0;
    compile_again();
    check_good(g);
    ck_assert_int_eq(kept.n_made, n_made);
    ck_assert_int_eq(kept.n_missed, 0);
    ck_assert_int_ge(kept.n_found, n_made);
    ck_assert_int_eq(for_each_kept(folder, &kept, g), n_made);
    f.store.kept = NULL;
    close(kept.fd);
    test_dir_remove(folder);
}
END_TEST

/* ---- what is refused ---- */

static const struct wrong {
    enum set set;
    const char *options, *path, *text;
} wrongs[] = {
    {CSV, "{}", "data.train", "field 'kind' is text, which cannot go into a batch"},
    {CSV, "{\"fields\": {\"x\": \"aa\"}}", "data.train.source.csv.fields.x",
     "there is no column 'aa'; did you mean 'a'?"},
    {CSV, "{\"fields\": {\"x\": [\"kind\", \"a\"]}}", "data.train.source.csv.fields.x",
     "both numbers and texts"},
    {CSV, "{\"fields\": {\"x\": {\"from\": \"a\", \"shape\": [2]}}}",
     "data.train.source.csv.fields.x.shape", "(2,) is not the shape of 1 values"},
    {CSV, "{\"fields\": {\"x\": {\"from\": \"a\", \"dtype\": \"int8\"}}}",
     "data.train.source.csv.fields.x.dtype", "uint8, int64 or float32"},
    {CSV, "{\"delimiter\": \"ab\"}", "data.train.source.csv.delimiter", "takes one character"},
    {CSV, "{\"missing_value\": \"no\"}", "data.train.source.csv.missing_value", "takes a number"},
    {CSV, "{\"class_names\": [\"cat\", \"cat\"], \"fields\": {\"y\": \"kind\"}}",
     "data.train.source.csv.class_names", "twice"},
    {JSONL, "{}", "data.train", "field 'kind' is text"},
    {TFRECORD, "{\"fields\": {\"y\": \"image\"}}", "data.train.source.tfrecord.fields.y",
     "'image' holds bytes that are no text"},
    {TFRECORD, "{\"fields\": {\"x\": {\"from\": \"raw\", \"kind\": \"image\"}}}",
     "data.train.source.tfrecord.fields.x", "the first 'raw' is no picture"},
    {TFRECORD, "{\"fields\": {\"x\": {\"from\": \"raw\", \"dtype\": \"int64\", \"shape\": [1]}}}",
     "data.train.source.tfrecord.fields.x.shape", "takes 8 bytes of int64, the first 'raw' has 4"},
    {TEXT_SHARDS, "{}", "data.train", "field 'txt' is text"},
    {SHARDS, "{\"fields\": {\"x\": \"jpeg\"}}", "data.train.source.webdataset.fields.x",
     "did you mean 'jpg'?"},
};

START_TEST(test_wrong)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct wrong *w = &wrongs[_i];
    add_set(w->set);
    ck_assert_int_lt(compile(w->set, w->options, ""), 0);
    ck_assert_msg(strcmp(f.err.path, w->path) == 0 && strstr(f.err.text, w->text) != NULL,
                  "%s: %s: %s", w->options, f.err.path, f.err.text);
}
END_TEST

/* A bad record is that sample's fault, by its file and its place there. */
static const struct bad {
    enum set set;
    const char *file, *text, *options;
    int row;
    const char *reason;
    int64_t offset;
} bads[] = {
    {CSV, "t.csv", "a,b\n1,2\n3,\n5,6\n", "{}", 1, "column 'b' has no value", 8},
    /* lines that are malformed; what they hold is no part of the columns' types */
    {CSV, "t.csv", "a,b\n1,2\n3,x,4\n5,6\n", "{}", 1, "3 fields, there are 2 columns", 8},
    {CSV, "t.csv", "a,b\n1,2\n3\n\n5,6\n", "{}", 1, "1 fields, there are 2 columns", 8},
    {CSV, "t.csv", "a,b\n1,2\n3,4\n5,\"6\"7\n8,9\n", "{}", 2, "text behind a closing quote", 12},
    {CSV, "t.csv", "a,b\n1,2\n3,4\n5,6\"\n8,9\n", "{}", 2, "a quote inside a field", 12},
    {CSV, "t.csv", "a,b\n1,\xff\n3,4\n", "{}", 0, "no UTF-8 text", 4},
    {CSV, "t.csv", "a,b\n1,2\n3,4\n5", "{}", 2, "1 fields, there are 2 columns", 12},
    {CSV, "t.csv", "a,b\n1,2\n3,300\n5,6\n",
     "{\"fields\": {\"x\": {\"from\": \"b\", \"dtype\": \"uint8\"}}}", 1,
     "column 'b': 300 is not what uint8 takes", 8},
    {JSONL, "t.jsonl", "{\"a\": 1}\n{\"a\" 2}\n{\"a\": 3}\n", "{}", 1, "line 2", 9},
    {JSONL, "t.jsonl", "{\"a\": 1}\n{\"a\": 3}\n{\"b\": 3}\n", "{\"fields\": {\"x\": \"a\"}}", 2,
     "key 'a' has no value", 18},
    {JSONL, "t.jsonl", "{\"a\": [1, 2]}\n{\"a\": [3, [4]]}\n", "{}", 1, "lists of equal lengths",
     14},
    {JSONL, "t.jsonl", "{\"y\": \"a\"}\n{\"y\": \"b\"}\n", "{\"class_names\": [\"a\"]}", 1,
     "'b' is none of the classes", 11},
};

START_TEST(test_bad)
{
    const struct bad *b = &bads[_i];
    unsigned char *slab;
    struct opt_groups bad = {0};
    add_text(b->file, b->text);
    ck_assert_msg(compile(b->set, b->options, "") == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 8, &slab, &bad), 0);
    ck_assert_uint_eq(bad.n, 1);
    const struct msg_chunk_bad *row = bad.v;
    ck_assert_int_eq(row->row, b->row);
    ck_assert_str_eq(row->path, b->file);
    ck_assert_int_eq(row->offset, b->offset);
    ck_assert_msg(strstr(row->reason, b->reason) != NULL, "%s", row->reason);
}
END_TEST

/* The control: where a bad sample is to fail the job, a malformed line does so at once. */
START_TEST(test_malformed_is_refused)
{
    add_text("t.csv", "a,b\n1,2\n3,x,4\n5,6\n");
    ck_assert_int_eq(fixture_compile(&f, "{\"data\": {\"train\": {\"dataset\": \"d\", \"source\": "
                                         "\"csv\"}, \"on_error\": \"fail\"}}"),
                     ERR_SCHEMA);
    ck_assert_msg(strstr(f.err.text, "3 fields, there are 2 columns") != NULL, "%s", f.err.text);
    f.store.n_manifests = 0;
    add_text("t.csv", "a,b\n1,2\n3,\"4\n5,6\n");
    ck_assert_int_eq(compile(CSV, "{}", ""), ERR_TRUNCATED); /* what is one row is not known */
}
END_TEST

/* Lists of many lengths have no place in a batch; the message names the field. */
START_TEST(test_ragged)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    add_records("t.tfrecord", 0, 4, true);
    ck_assert_int_eq(compile(TFRECORD, "{\"fields\": {\"x\": \"ratio\"}}", ""), ERR_SHAPE);
    ck_assert_msg(strstr(f.err.text, "field 'x'") != NULL, "%s", f.err.text);
}
END_TEST

/* A picture that is damaged in a shard costs its sample, named by shard and key. */
START_TEST(test_bad_picture)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct buf tar = {0}, good = {0}, bad = {0};
    struct opt_groups rows = {0};
    unsigned char *slab;
    char end[1024] = "";
    read_shared("hostile/jpeg/ok_gray.jpg", &good);
    read_shared("hostile/jpeg/trunc_scan_50.jpg", &bad);
    put_sample(&tar, 0, &good, "cat");
    put_sample(&tar, 1, &bad, "dog");
    put_sample(&tar, 2, &good, "dog");
    buf_put(&tar, end, sizeof end);
    fixture_add(&f, "d", "a.tar", tar.data, tar.size);
    ck_assert_msg(compile(SHARDS, "{\"class_names\": [\"cat\", \"dog\"]}", "") == 0, "%s: %s",
                  f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 8, &slab, &rows), 0);
    ck_assert_uint_eq(rows.n, 1);
    const struct msg_chunk_bad *row = rows.v;
    ck_assert_str_eq(row->path, "a.tar/s/001");
    /* two members of sample 0 stand before it, and its first one's header */
    ck_assert_int_eq(row->offset, 512 + (int64_t)(good.size + 511) / 512 * 512 + 1024 + 512);
    check_classes("cat dog");
    buf_fini(&tar);
    buf_fini(&good);
    buf_fini(&bad);
}
END_TEST

START_TEST(test_iris)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct buf file = {0};
    read_shared("data/tabular/iris.csv", &file);
    fixture_add(&f, "d", "iris.csv", file.data, file.size);
    ck_assert_msg(
        compile(CSV,
                "{\"fields\": {\"x\": [\"sepal_length\", \"sepal_width\", \"petal_length\", "
                "\"petal_width\"], \"y\": \"class\"}}",
                "") == 0,
        "%s: %s", f.err.path, f.err.text);
    check_classes("setosa versicolor virginica");
    buf_fini(&file);
}
END_TEST

/* gzip is unpacked, and found by its name. */
START_TEST(test_packed)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct buf file = {0};
    struct source source;
    read_shared("data/text/movie_reviews_val.tsv.gz", &file);
    fixture_add(&f, "d", "movie_reviews_val.tsv.gz", file.data, file.size);
    const struct source_store store = {.blobs_fd = f.store.blobs_fd,
                                       .dataset = "d",
                                       .files = doc_get(f.manifests[0].files, "files")};
    const struct source_want want = {.kind = "auto"};
    ck_assert_msg(source_open(&source, &want, &store, &f.arena, &f.err) == 0, "%s", f.err.text);
    ck_assert_str_eq(source.desc->name, "csv");
    ck_assert_int_gt(source.samples, 1900);
    struct element element;
    const struct stage_place place = {.position = source.samples - 1};
    const struct source_call call = {0};
    ck_assert_int_eq(source_read(&source, &place, &call, &element, &f.err), 0);
    source_close(&source);
    buf_fini(&file);
}
END_TEST

/* ---- arrays in shards: of every type, at any address, read as every type that takes them ---- */

static const struct numbers {
    const char *type;
    const char *bytes; /* 1, 2, 3, 100 */
    size_t each;
    const char *given; /* what the field becomes without a dtype */
} numbers[] = {
    {"|u1", "\1\2\3\144", 1, "float32"},
    {"|i1", "\1\2\3\144", 1, "float32"},
    {"<u2", "\1\0\2\0\3\0\144\0", 2, "float32"},
    {"<i2", "\1\0\2\0\3\0\144\0", 2, "float32"},
    {">i2", "\0\1\0\2\0\3\0\144", 2, "float32"},
    {"<i4", "\1\0\0\0\2\0\0\0\3\0\0\0\144\0\0\0", 4, "float32"},
    {"<i8", "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\144\0\0\0\0\0\0\0", 8, "int64"},
    {"<f4", "\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\xc8\x42", 4, "float32"},
    {">f4", "\x3f\x80\0\0\x40\0\0\0\x40\x40\0\0\x42\xc8\0\0", 4, "float32"},
    {"<f8", "\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\x08\x40\0\0\0\0\0\0\x59\x40", 8,
     "float32"},
};
enum { N_NUMBERS = sizeof numbers / sizeof numbers[0] };

/* blanks: moves the numbers away from where they are aligned. */
static void put_npy(struct buf *tar, int i, const struct numbers *of, const char *bytes,
                    const char *blanks)
{
    char header[128], name[64];
    struct buf file = {0};
    const int n =
        snprintf(header, sizeof header,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (4,), }%s\n", of->type, blanks);
    const unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)n, 0};
    buf_put(&file, head, sizeof head);
    buf_put(&file, header, (size_t)n);
    buf_put(&file, bytes, 4 * of->each);
    (void)snprintf(name, sizeof name, "%03d.npy", i);
    put_member(tar, name, file.data, file.size);
    buf_fini(&file);
}

static double number_at(const unsigned char *slab, int64_t i)
{
    const struct slab_field *x = fixture_field(&f, PIPELINE_TRAIN, "x");
    const unsigned char *at = slab + x->offset;
    return x->dtype == DTYPE_U8    ? at[i]
           : x->dtype == DTYPE_I64 ? (double)((const int64_t *)(const void *)at)[i]
                                   : (double)((const float *)(const void *)at)[i];
}

static void check_numbers(const struct numbers *of, const char *dtype)
{
    static const double wanted[] = {1, 2, 3, 100};
    const bool is_given = dtype == NULL;
    char fields[128];
    unsigned char *slab;
    struct opt_groups bad = {0};
    (void)snprintf(fields, sizeof fields, "{\"fields\": {\"x\": {\"from\": \"npy\"%s%s%s}}}",
                   is_given ? "" : ", \"dtype\": \"", is_given ? "" : dtype, is_given ? "" : "\"");
    ck_assert_msg(compile(SHARDS, fields, "") == 0, "%s as %s: %s: %s", of->type, dtype, f.err.path,
                  f.err.text);
    ck_assert_str_eq(dtype_name(fixture_field(&f, PIPELINE_TRAIN, "x")->dtype),
                     is_given ? of->given : dtype);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 8, &slab, &bad), 0);
    ck_assert_uint_eq(bad.n, 0);
    for (int64_t i = 0; i < 8; i++) {
        ck_assert_msg(fabs(number_at(slab, i) - wanted[i % 4]) < 1e-9, "%s as %s: number %d is %g",
                      of->type, dtype, (int)i, number_at(slab, i));
    }
}

START_TEST(test_npy_members)
{
    const struct numbers *of = &numbers[_i];
    struct buf tar = {0};
    char end[1024] = "";
    put_npy(&tar, 0, of, of->bytes, "");
    put_npy(&tar, 1, of, of->bytes, " ");
    buf_put(&tar, end, sizeof end);
    fixture_add(&f, "d", "a.tar", tar.data, tar.size);
    check_numbers(of, NULL);
    check_numbers(of, "float32");
    check_numbers(of, "uint8");
    check_numbers(of, "int64");
    buf_fini(&tar);
}
END_TEST

START_TEST(test_npy_not_finite)
{
    static const struct numbers of = {.type = "<f4", .each = 4};
    struct buf tar = {0};
    struct opt_groups bad = {0};
    unsigned char *slab;
    char end[1024] = "";
    put_npy(&tar, 0, &of, numbers[7].bytes, "");
    put_npy(&tar, 1, &of, "\0\0\x80\x3f\0\0\0\x40\0\0\x80\x7f\0\0\xc8\x42", "");
    buf_put(&tar, end, sizeof end);
    fixture_add(&f, "d", "a.tar", tar.data, tar.size);
    ck_assert_int_eq(compile(SHARDS, "{\"fields\": {\"x\": \"npy\"}}", ""), 0);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 8, &slab, &bad), 0);
    ck_assert_uint_eq(bad.n, 1);
    const struct msg_chunk_bad *row = bad.v;
    ck_assert_int_eq(row->sample, 1);
    ck_assert_ptr_nonnull(strstr(row->reason, "not finite"));
    buf_fini(&tar);
}
END_TEST

/* Text labels without names given: the classes are those of the data, in the order of their bytes,
 * and with a kept folder they are found once. */
START_TEST(test_found_classes)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    static const char *const words[] = {"sheep", "ant", "sheep", "bee"};
    char folder[TEST_PATH], end[1024] = "";
    struct buf jpeg = {0}, tar = {0}, records = {0};
    unsigned char *slab;
    read_shared("hostile/jpeg/ok_gray.jpg", &jpeg);
    for (int i = 0; i < 4; i++) {
        struct buf features = {0};
        put_sample(&tar, i, &jpeg, words[i]);
        put_feature(&features, "image", 1, jpeg.data, jpeg.size);
        put_feature(&features, "kind", 1, words[i], strlen(words[i]));
        put_record(&records, &features);
        buf_fini(&features);
    }
    buf_put(&tar, end, sizeof end);
    test_dir_make(folder);
    struct kept kept = {.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    f.store.kept = &kept;
    for (int k = 0; k < 4; k++) { /* a shard, records; each made and then found */
        const bool is_tar = k < 2;
        f.store.n_manifests = 0;
        fixture_add(&f, "d", is_tar ? "a.tar" : "a.tfrecord", is_tar ? tar.data : records.data,
                    is_tar ? tar.size : records.size);
        kept.n_made = 0;
        ck_assert_msg(
            compile(is_tar ? SHARDS : TFRECORD,
                    is_tar ? "{}"
                           : "{\"fields\": {\"x\": {\"from\": \"image\", \"kind\": \"image\"}, "
                             "\"y\": \"kind\"}}",
                    "") == 0,
            "%s: %s", f.err.path, f.err.text);
        check_classes("ant bee sheep");
        ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 8, &slab, NULL), 0);
        const int64_t *y =
            (const int64_t *)(void *)(slab + fixture_field(&f, PIPELINE_TRAIN, "y")->offset);
        ck_assert(y[0] == 2 && y[1] == 0 && y[2] == 2 && y[3] == 1);
        ck_assert_int_eq(kept.n_made, k % 2 == 0 ? 2 : 0); /* places of records, and words */
    }
    f.store.kept = NULL;
    close(kept.fd);
    test_dir_remove(folder);
    buf_fini(&jpeg);
    buf_fini(&tar);
    buf_fini(&records);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("table");
    TCase *c = tcase_create("table");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_good, 0, sizeof goods / sizeof goods[0]);
    tcase_add_loop_test(c, test_kept, 0, sizeof goods / sizeof goods[0]);
    tcase_add_loop_test(c, test_wrong, 0, sizeof wrongs / sizeof wrongs[0]);
    tcase_add_loop_test(c, test_bad, 0, sizeof bads / sizeof bads[0]);
    tcase_add_test(c, test_malformed_is_refused);
    tcase_add_test(c, test_found_classes);
    tcase_add_test(c, test_ragged);
    tcase_add_test(c, test_bad_picture);
    tcase_add_loop_test(c, test_npy_members, 0, N_NUMBERS);
    tcase_add_test(c, test_npy_not_finite);
    tcase_add_test(c, test_iris);
    tcase_add_test(c, test_packed);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
