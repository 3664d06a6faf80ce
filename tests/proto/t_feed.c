/* The description of a feed: what is taken, what is refused and where. */
#include <string.h>

#include "proto/feed.h"
#include "tests/test.h"

static int read_text(const char *text, struct arena *arena, struct feed_spec *ret, struct err *err)
{
    struct doc *doc = NULL;
    ck_assert_int_eq(doc_read_json(text, strlen(text), NULL, arena, &doc, err), 0);
    return feed_spec_read(doc, arena, ret, err);
}

static const struct {
    const char *text, *path, *word;
    int code;
} refused[] = {
    {"{}", "fields", "", ERR_MISSING},
    {"{\"fields\": []}", "fields", "a field", ERR_INVALID},
    {"{\"fields\": [{\"kind\": \"image\"}]}", "fields[0].name", "", ERR_MISSING},
    {"{\"fields\": [{\"name\": \"x\", \"kind\": \"imagee\"}]}", "fields[0].kind", "image",
     ERR_INVALID},
    {"{\"fields\": [{\"name\": \"x\", \"dtype\": \"uint9\"}]}", "fields[0].dtype", "", ERR_INVALID},
    {"{\"fields\": [{\"name\": \"x\", \"dtype\": \"string\"}]}", "fields[0].dtype", "texts",
     ERR_UNSUPPORTED},
    {"{\"fields\": [{\"name\": \"x\", \"kind\": \"text\"}]}", "fields[0].kind", "texts",
     ERR_UNSUPPORTED},
    {"{\"fields\": [{\"name\": \"x\"}, {\"name\": \"x\"}]}", "fields[1].name", "two", ERR_INVALID},
    {"{\"fields\": [{\"name\": \"__ok\"}]}", "fields[0].name", "__ok", ERR_INVALID},
    {"{\"fields\": [{\"name\": \"a b\"}]}", "fields[0].name", "a b", ERR_INVALID},
    {"{\"fields\": [{\"name\": \"x\", \"shape\": [0]}]}", "fields[0].shape", "", ERR_RANGE},
    {"{\"fields\": [{\"name\": \"x\", \"shape\": [-1, 3]}]}", "fields[0].shape", "", ERR_RANGE},
    {"{\"fields\": [{\"name\": \"x\", \"shape\": [1073741824, 1073741824, 1073741824]}]}",
     "fields[0].shape", "bytes", ERR_LIMIT},
    {"{\"fields\": [{\"name\": \"x\", \"shape\": [4194304]}, {\"name\": \"y\", \"shape\": "
     "[8000000]}]}",
     "fields[1].shape", "bytes", ERR_LIMIT},
    {"{\"fields\": [{\"name\": \"x\"}], \"elements\": 0}", "elements", "nothing", ERR_RANGE},
    {"{\"fields\": [{\"name\": \"x\"}], \"elements\": -2}", "elements", "", ERR_RANGE},
    {"{\"fields\": [{\"name\": \"x\"}], \"elements\": 1e9}", "elements", "", ERR_RANGE},
    {"{\"fields\": [{\"name\": \"x\"}], \"by_epoch\": true}", "by_epoch", "how many", ERR_INVALID},
    {"{\"fields\": [{\"name\": \"x\"}], \"elements\": 5, \"batch\": 0}", "batch", "", ERR_RANGE},
    {"{\"fields\": [{\"name\": \"x\", \"shape\": [1000000]}], \"elements\": 5, \"batch\": 4000}",
     "batch", "over", ERR_LIMIT},
    {"{\"fields\": [{\"name\": \"x\"}], \"elements\": 5, \"id\": \"../../etc\"}", "id", "",
     ERR_INVALID},
    {"{\"fields\": [{\"name\": \"x\"}], \"element\": 5}", "element", "elements", ERR_UNKNOWN},
};

START_TEST(refuses)
{
    struct arena arena;
    struct feed_spec spec;
    struct err err = {0};
    arena_init(&arena);
    ck_assert_int_eq(read_text(refused[_i].text, &arena, &spec, &err), refused[_i].code);
    ck_assert_msg(strncmp(err.path, refused[_i].path, strlen(refused[_i].path)) == 0, "%s: %s",
                  err.path, err.text);
    ck_assert_msg(strstr(err.text, refused[_i].word) != NULL, "%s: %s", err.path, err.text);
    arena_fini(&arena);
}
END_TEST

START_TEST(reads_and_writes)
{
    static const char text[] =
        "{\"fields\": [{\"name\": \"x\", \"kind\": \"image\", \"dtype\": \"uint8\", \"shape\": [3, "
        "5, "
        "1]}, {\"name\": \"y\", \"kind\": \"label\", \"dtype\": \"int64\", \"shape\": []}], "
        "\"elements\": 10, \"by_epoch\": true, \"batch\": 4, \"classes\": [\"a\", \"b\"]}";
    struct arena arena;
    struct feed_spec spec, again;
    struct err err = {0};
    int64_t first = 0;
    arena_init(&arena);
    ck_assert_msg(read_text(text, &arena, &spec, &err) == 0, "%s: %s", err.path, err.text);
    ck_assert_uint_eq(spec.row_bytes, 15 + 8);
    ck_assert_uint_eq(spec.fields[1].offset, 15);
    ck_assert_int_eq(feed_batch(&spec, 7, &first), 4);
    ck_assert_int_eq(first, 4);
    ck_assert_int_eq(feed_batch(&spec, 9, &first), 2); /* the last one is shorter */
    ck_assert_int_eq(first, 8);
    struct doc *once = doc_new(&arena), *twice = doc_new(&arena);
    feed_spec_write(&spec, once, &arena);
    ck_assert_int_eq(feed_spec_read(once, &arena, &again, &err), 0);
    feed_spec_write(&again, twice, &arena);
    ck_assert(doc_equal(once, twice));
    arena_fini(&arena);
}
END_TEST

START_TEST(names_files)
{
    char path[FEED_PATH];
    char id[HASH_ID_TEXT];
    memset(id, 'a', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    ck_assert(feed_is_id(id));
    feed_path(id, FEED_EPOCHS_MAX, "rows", path);
    ck_assert_uint_eq(strlen(path), strlen("feeds/") + 64 + strlen("/1000000.rows"));
    id[3] = '/';
    ck_assert(!feed_is_id(id));
    ck_assert(!feed_is_id("abc"));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("feed");
    TCase *tests = tcase_create("feed");
    tcase_add_loop_test(tests, refuses, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tests, reads_and_writes);
    tcase_add_test(tests, names_files);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
