/* Numbers, tables, the progress line at every width, pictures. */
#include <stdio.h>
#include <string.h>

#include "client/bar.h"
#include "client/picture.h"
#include "client/show.h"
#include "tests/test.h"

static const struct term plain_term = {
    .bold = "", .dim = "", .red = "", .green = "", .yellow = "", .blue = "", .plain = ""};
static const struct term color_term = {.utf8 = true,
                                       .bold = "\033[1m",
                                       .dim = "\033[2m",
                                       .red = "\033[31m",
                                       .green = "\033[32m",
                                       .yellow = "\033[33m",
                                       .blue = "\033[34m",
                                       .plain = "\033[0m"};

START_TEST(writes_numbers)
{
    char text[SHOW_TEXT];
    static const struct {
        int64_t n;
        const char *count, *bytes;
    } counts[] = {{0, "0", "0 bytes"},
                  {999, "999", "999 bytes"},
                  {1000, "1,000", "1.0 kB"},
                  {1951358, "1,951,358", "2.0 MB"},
                  {-1234567, "-1,234,567", NULL},
                  {INT64_MAX, "9,223,372,036,854,775,807", NULL}};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        show_count(counts[i].n, text);
        ck_assert_str_eq(text, counts[i].count);
        if (counts[i].bytes != NULL) {
            show_bytes(counts[i].n, text);
            ck_assert_str_eq(text, counts[i].bytes);
        }
    }
    static const struct {
        double seconds;
        const char *text;
    } times[] = {{0, "0:00"},         {31.6, "0:32"}, {59.9, "1:00"}, {3600, "1:00:00"},
                 {86399, "23:59:59"}, {-1, "-:--"},   {1e300, "-:--"}};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        show_duration(times[i].seconds, text);
        ck_assert_str_eq(text, times[i].text);
    }
    static const struct {
        double number;
        const char *text;
    } numbers[] = {{0, "0.0000"},    {0.123456, "0.1235"},     {12.345, "12.35"},
                   {1234.5, "1234"}, {0.00001234, "1.23e-05"}, {-0.5, "-0.5000"}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        show_number(numbers[i].number, text);
        ck_assert_msg(strcmp(text, numbers[i].text) == 0 || numbers[i].number > 1000, "%s", text);
    }
}
END_TEST

START_TEST(aligns_tables)
{
    struct arena arena;
    struct show_table table;
    struct buf out = {0};
    arena_init(&arena);
    show_table_init(&table, &arena, 3, 1u << 1);
    const char *cells[] = {"NAME", "N", "X", "\xC3\xA9t\xC3\xA9", "1,000", "b", "longer", "7", ""};
    for (size_t i = 0; i < 9; i++) {
        show_cell(&table, "%s", cells[i]);
    }
    show_table_print(&table, "<", ">", &out);
    ck_assert_str_eq(out.data,
                     "<NAME        N  X>\n\xC3\xA9t\xC3\xA9     1,000  b\nlonger      7  \n");
    buf_fini(&out);
    arena_fini(&arena);
}
END_TEST

static struct doc *progress_doc(struct arena *arena)
{
    struct doc *doc = NULL;
    static const char text[] = "{\"epoch\": 2, \"epochs\": 10, \"step\": 124, \"steps\": 157, "
                               "\"samples_per_second\": 3210.4, "
                               "\"wait_share\": 0.04, \"workers\": 2, \"eta_seconds\": 32, "
                               "\"metrics\": {\"loss\": 0.1234, "
                               "\"accuracy\": 0.961}}";
    ck_assert_int_eq(doc_read_json(text, strlen(text), NULL, arena, &doc, NULL), 0);
    return doc;
}

/* Columns that a terminal shows: without colour codes. */
static int visible(const char *text)
{
    int n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\033') {
            c += strcspn(c, "m");
        } else {
            n += ((unsigned char)*c & 0xC0) != 0x80;
        }
    }
    return n;
}

START_TEST(fits_every_width)
{
    struct arena arena;
    arena_init(&arena);
    const struct doc *progress = progress_doc(&arena);
    const struct term *terms[] = {&plain_term, &color_term};
    for (int width = 10; width < 200; width++) {
        for (int i = 0; i < 2; i++) {
            struct buf out = {0};
            bar_line(progress, terms[i], width, &out);
            ck_assert_msg(visible(out.data) <= width, "%d columns at %d: %s", visible(out.data),
                          width, out.data);
            ck_assert_msg(width < 12 || strstr(out.data, "epoch 3/10") != NULL, "%d: %s", width,
                          out.data);
            ck_assert_ptr_null(strchr(out.data, '\n'));
            buf_fini(&out);
        }
    }
    arena_fini(&arena);
}
END_TEST

START_TEST(shows_all_when_wide)
{
    static const char *const parts[] = {"epoch 3/10",      "124/157",        "loss 0.1234",
                                        "accuracy 0.9610", "3,210 images/s", "input wait 4 %",
                                        "ETA 0:32",        "2 workers",      "====="};
    struct arena arena;
    struct buf out = {0};
    arena_init(&arena);
    bar_line(progress_doc(&arena), &plain_term, 160, &out);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        ck_assert_msg(strstr(out.data, parts[i]) != NULL, "no '%s' in %s", parts[i], out.data);
    }
    static const char *const narrow[] = {"epoch 3/10", "124/157",  "loss 0.1234", "acc 0.9610",
                                         "3,210/s",    "wait 4 %", "ETA 0:32",    "===="};
    buf_clear(&out);
    bar_line(progress_doc(&arena), &plain_term, 79, &out);
    for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++) {
        ck_assert_msg(strstr(out.data, narrow[i]) != NULL, "no '%s' in %s", narrow[i], out.data);
    }
    buf_clear(&out);
    bar_line(progress_doc(&arena), &plain_term, 60, &out);
    ck_assert_ptr_nonnull(strstr(out.data, "loss 0.1234"));
    ck_assert_ptr_nonnull(strstr(out.data, "ETA 0:32"));
    ck_assert_ptr_null(strstr(out.data, "workers"));
    buf_fini(&out);
    arena_fini(&arena);
}
END_TEST

START_TEST(shows_validation)
{
    struct arena arena;
    struct buf out = {0};
    arena_init(&arena);
    struct doc *progress = progress_doc(&arena);
    doc_put_int(progress, &arena, "validation_steps", 32);
    doc_put_int(progress, &arena, "validation_step", 12);
    bar_line(progress, &plain_term, 160, &out);
    ck_assert_msg(strstr(out.data, " validation 12/32") != NULL, "%s", out.data);
    buf_clear(&out);
    bar_line(progress, &plain_term, 79, &out);
    ck_assert_msg(strstr(out.data, " val 12/32") != NULL, "%s", out.data);
    doc_put_int(progress, &arena, "validation_step", 0);
    buf_clear(&out);
    bar_line(progress, &plain_term, 79, &out);
    ck_assert_msg(strstr(out.data, " 124/157") != NULL, "%s", out.data);
    buf_fini(&out);
    arena_fini(&arena);
}
END_TEST

/* What comes from a daemon of another day may lack anything. */
START_TEST(bears_strange_progress)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"metrics\": 3}",
        "{\"step\": 9, \"steps\": 0}",
        "{\"step\": -5, \"steps\": 3}",
        "{\"step\": 900, \"steps\": 3, \"eta_seconds\": -1, \"samples_per_second\": 1e30}",
        "{\"metrics\": {\"a\": \"x\", \"loss\": \"NaN\"}, \"wait_share\": 1e9}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct arena arena;
        struct doc *doc = NULL;
        struct buf out = {0};
        arena_init(&arena);
        ck_assert_int_eq(doc_read_json(texts[i], strlen(texts[i]), NULL, &arena, &doc, NULL), 0);
        bar_line(doc, &color_term, 79, &out);
        bar_epoch(doc, 3, &color_term, &out);
        ck_assert_ptr_nonnull(strchr(out.data, '\n'));
        buf_fini(&out);
        arena_fini(&arena);
    }
}
END_TEST

START_TEST(keeps_a_line_an_epoch)
{
    static const char text[] =
        "{\"epoch\": 1, \"seconds\": 4.25, \"metrics\": {\"loss\": 0.5, \"accuracy\": 0.75, "
        "\"val_loss\": 0.25, \"val_accuracy\": 1}}";
    struct arena arena;
    struct doc *doc = NULL;
    struct buf out = {0};
    arena_init(&arena);
    ck_assert_int_eq(doc_read_json(text, strlen(text), NULL, &arena, &doc, NULL), 0);
    bar_epoch(doc, 10, &plain_term, &out);
    ck_assert_str_eq(
        out.data,
        "epoch 2/10  loss 0.5000  accuracy 0.7500  val_loss 0.2500  val_accuracy 1.0000  4.2 s\n");
    buf_fini(&out);
    arena_fini(&arena);
}
END_TEST

START_TEST(draws_pictures)
{
    static const unsigned char a[] = {255, 0, 255, 255, 0, 255}; /* 2 x 3 */
    static const unsigned char b[] = {0, 255, 255, 0};           /* 2 x 2 */
    const struct picture pictures[] = {
        {.height = 2, .width = 3, .pixels = a, .caption = "a"},
        {.height = 2, .width = 2, .pixels = b, .caption = "toolong"}};
    struct buf out = {0};
    picture_draw(pictures, 2, 80, true, &out);
    ck_assert_str_eq(out.data, "\u2588 \u2588  \u2584\u2580\na    to\n");
    buf_clear(&out);
    picture_draw(pictures, 2, 5, false, &out);
    ck_assert_str_eq(out.data, "# #\na\n++\nto\n");
    buf_fini(&out);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("show");
    TCase *tcase = tcase_create("show");
    tcase_add_test(tcase, writes_numbers);
    tcase_add_test(tcase, aligns_tables);
    tcase_add_test(tcase, fits_every_width);
    tcase_add_test(tcase, shows_all_when_wide);
    tcase_add_test(tcase, shows_validation);
    tcase_add_test(tcase, bears_strange_progress);
    tcase_add_test(tcase, keeps_a_line_an_epoch);
    tcase_add_test(tcase, draws_pictures);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
