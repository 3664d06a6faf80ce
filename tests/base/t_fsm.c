#include <signal.h>
#include <string.h>

#include "base/fsm.h"
#include "tests/test.h"

enum { DOOR_OPEN, DOOR_SHUT, DOOR_LOCKED, DOOR_MAX_ };
enum { EVENT_OPEN, EVENT_SHUT, EVENT_LOCK, EVENT_MAX_ };
static const char *const states[] = {"open", "shut", "locked", NULL};
static const char *const events[] = {"open", "shut", "lock", NULL};
static const struct fsm_transition transitions[] = {
    {DOOR_OPEN, EVENT_SHUT, DOOR_SHUT},
    {DOOR_SHUT, EVENT_OPEN, DOOR_OPEN},
    {DOOR_SHUT, EVENT_LOCK, DOOR_LOCKED},
    {DOOR_LOCKED, EVENT_OPEN, DOOR_OPEN},
};
static const struct fsm door = {"door", states, events, transitions, 4};

/* state after the event, or -1 where the pair is not listed */
static const int want[DOOR_MAX_][EVENT_MAX_] = {
    [DOOR_OPEN] = {-1, DOOR_SHUT, -1},
    [DOOR_SHUT] = {DOOR_OPEN, -1, DOOR_LOCKED},
    [DOOR_LOCKED] = {DOOR_OPEN, -1, -1},
};

START_TEST(test_all_pairs)
{
    for (int state = 0; state < DOOR_MAX_; state++) {
        for (int event = 0; event < EVENT_MAX_; event++) {
            struct err err = {0};
            int now = state;
            int r = fsm_step(&door, &now, event, &err);
            if (want[state][event] >= 0) {
                ck_assert_int_eq(r, 0);
                ck_assert_int_eq(now, want[state][event]);
                continue;
            }
            ck_assert_int_eq(r, ERR_INVALID);
            ck_assert_int_eq(now, state);
            ck_assert_ptr_nonnull(strstr(err.text, states[state]));
            ck_assert_ptr_nonnull(strstr(err.text, events[event]));
        }
    }
}
END_TEST

START_TEST(test_names)
{
    struct buf out = {0};
    ck_assert_int_eq(fsm_state(&door, "locked"), DOOR_LOCKED);
    ck_assert_int_eq(fsm_state(&door, "ajar"), ERR_UNKNOWN);
    fsm_dot(&door, &out);
    ck_assert_ptr_nonnull(strstr(out.data, "shut -> locked [label=\"lock\"];"));
    buf_fini(&out);
}
END_TEST

static void step_from_nowhere(void *arg)
{
    (void)fsm_step(&door, arg, EVENT_OPEN, NULL);
}

START_TEST(test_bug)
{
    int state = 17;
    ck_assert_int_eq(test_in_child(step_from_nowhere, &state), -SIGABRT);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("fsm");
    TCase *cases = tcase_create("fsm");
    tcase_add_test(cases, test_all_pairs);
    tcase_add_test(cases, test_names);
    tcase_add_test(cases, test_bug);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
