/* The index of packs: round trip, and every damaged form of it refused. */
#include <string.h>

#include "proto/pack.h"
#include "tests/test.h"

static const char packs[2][PACK_NAME] = {"00112233445566778899aabbccddeeff",
                                         "ffeeddccbbaa99887766554433221100"};
static const struct pack_entry entries[] = {{0, 0}, {1, 0}, {2, 77}, {1, INT64_MAX}};
enum { N_FILES = sizeof entries / sizeof entries[0] };

START_TEST(goes_round)
{
    struct buf text;
    struct pack_index index;
    struct err err = {0};
    char name[PACK_NAME];
    buf_init(&text);
    pack_index_encode(packs, 2, entries, N_FILES, &text);
    ck_assert_int_eq(pack_index_decode(text.data, text.size, &index, &err), 0);
    ck_assert_uint_eq(index.n_files, N_FILES);
    for (uint32_t i = 0; i < N_FILES; i++) {
        struct pack_entry entry = pack_index_at(&index, i);
        ck_assert_uint_eq(entry.pack, entries[i].pack);
        ck_assert(entry.offset == entries[i].offset);
    }
    pack_index_pack(&index, 2, name);
    ck_assert_str_eq(name, packs[1]);
    buf_fini(&text);
}
END_TEST

struct damage {
    size_t at; /* byte that is changed */
    char value;
    size_t cut; /* bytes taken off the end */
};
static const struct damage damages[] = {
    {0, 'x', 0},
    {7, '2', 0},
    {8, 3, 0},
    {12, 5, 0},
    {12, 3, 0},
    {16, 'X', 0},
    {16, '/', 0},
    {16, '\0', 0},
    {16 + 64 + 16, 3, 0},
    {16 + 64 + 16 + 15, (char)0x80, 0},
    {0, 'm', 1},
    {0, 'm', 16},
    {0, 'm', 140},
};

START_TEST(damage_is_refused)
{
    const struct damage *damage = &damages[_i];
    struct buf text;
    struct pack_index index;
    struct err err = {0};
    buf_init(&text);
    pack_index_encode(packs, 2, entries, N_FILES, &text);
    text.data[damage->at] = damage->value;
    ck_assert_int_eq(pack_index_decode(text.data, text.size - damage->cut, &index, &err),
                     ERR_CORRUPT);
    buf_fini(&text);
}
END_TEST

START_TEST(another_list_has_another_name)
{
    static const char *const ids[] = {
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
    char paths[3][PACK_INDEX_PATH];
    for (int i = 0; i < 3; i++) {
        struct hash hash;
        pack_path_init(&hash);
        pack_path_add(&hash, ids[i == 1]);
        pack_path_add(&hash, ids[i == 0]);
        pack_path_final(&hash, paths[i]);
    }
    ck_assert_str_ne(paths[0], paths[1]);
    ck_assert_str_ne(paths[0], paths[2]);
    ck_assert_int_eq(strncmp(paths[0], "at/", 3), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("pack");
    TCase *tcase = tcase_create("pack");
    tcase_add_test(tcase, goes_round);
    tcase_add_loop_test(tcase, damage_is_refused, 0, sizeof damages / sizeof damages[0]);
    tcase_add_test(tcase, another_list_has_another_name);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
