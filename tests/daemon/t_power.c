/* The power goes while an upload runs: what was acknowledged is there, byte for byte. With a daemon
 * that answers before the sync the same test finds the loss. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/daemon/fixture.h"

enum { N_FILES = 40, BYTES = 3000, N_SENT = 25 };

static const struct doc *begin(struct fixture *f)
{
    const struct msg_dataset_begin body = {.name = "p", .kind = "auto"};
    struct buf list;
    buf_init(&list);
    fixture_list(N_FILES, BYTES, 4, &list);
    const struct doc *reply = fixture_ask(f, MSG_DATASET_BEGIN, &body, list.data, list.size);
    ck_assert_ptr_nonnull(reply);
    buf_fini(&list);
    return reply;
}

/* Acknowledges N_SENT files, cuts the power, ends the upload; returns how many files are damaged.
 */
static int lost_files(const char *program)
{
    struct fixture f;
    char text[TEST_PATH];
    char upload[64];
    unsigned char data[BYTES];
    fixture_init(&f);
    f.program = program;
    test_path(text, "%s/tests/daemon/libpower-cut.so", test_build_root());
    setenv("LD_PRELOAD", text, 1);
    fixture_start(&f);
    unsetenv("LD_PRELOAD");
    (void)snprintf(upload, sizeof(upload), "%s", doc_str(begin(&f), "upload", ""));
    for (int i = 0; i < N_SENT; i++) {
        const struct msg_dataset_chunk chunk = {.upload = upload, .file = i};
        fixture_content(i, BYTES, 4, data);
        ck_assert_ptr_nonnull(fixture_ask(&f, MSG_DATASET_CHUNK, &chunk, data, BYTES));
    }
    ck_assert_int_eq(fixture_end(&f, SIGUSR2), -SIGKILL);
    f.program = NULL;
    fixture_start(&f);
    const struct doc *have = doc_get(begin(&f), "have");
    for (size_t i = 0; i < N_SENT; i++) {
        ck_assert_int_eq(doc_at(have, i)->i, BYTES);
    }
    ck_assert_int_eq(fixture_put(&f, "p", N_FILES, BYTES, 4), N_FILES - N_SENT);
    int n = (int)doc_get(fixture_named(&f, MSG_DATASET_VERIFY, "p"), "damaged")->n;
    fixture_fini(&f);
    return n;
}

START_TEST(acknowledged_is_durable)
{
    ck_assert_int_eq(lost_files(NULL), 0);
}
END_TEST

START_TEST(another_order_is_found)
{
    ck_assert_int_eq(lost_files("tests/daemon/broken-order"), N_SENT);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("power");
    TCase *tcase = tcase_create("power");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, acknowledged_is_durable);
    tcase_add_test(tcase, another_order_is_found);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
