/* The board against a simulation: workers that are killed, that stop in the middle of a row and
 * wake later, rows that kill. Virtual time, seeded: a failure can be run again. With
 * -DMILLRACE_BREAK_SLAB_REUSE the same test must fail. */
#include "tests/test.h"

#include <string.h>

#include "base/rng.h"
#include "trainer/board.h"

enum { ROWS = 12, STEPS = 40, LAST_ROWS = 5, SLABS = 6, WORKERS = 4, EPOCHS = 3, TICK_US = 100 };

struct sim_worker {
    bool alive, stopped;
    int index; /* in the board */
    int64_t number;
    int n;
    struct msg_chunk_make work[BOARD_LEASES_MAX];
    int64_t row; /* in the works, -1 */
    int64_t wake_us, reap_us;
};
struct sim {
    struct feed_plan plan;
    struct board board;
    struct arena arena;
    struct rng rng;
    struct sim_worker workers[WORKERS];
    uint64_t slabs[SLABS][ROWS];
    int64_t now_us, next_number;
    struct feed_position next, expected;
    int64_t killer_step, killer_row; /* a row that kills who makes it, -1 = none */
    int n_corrupt, n_batches, n_kills, n_stops, n_convicted;
};

static uint64_t content(const struct feed_position *at, int64_t row)
{
    return ((uint64_t)at->epoch << 40 | (uint64_t)at->step << 20 | (uint64_t)row) *
               0x9e3779b97f4a7c15u +
           1;
}

static void sim_init(struct sim *sim, uint64_t seed)
{
    memset(sim, 0, sizeof(*sim));
    struct feed_stream *train = &sim->plan.stream[FEED_TRAIN];
    sim->plan.epochs = EPOCHS;
    sim->plan.validation_freq = 1;
    *train = (struct feed_stream){
        .given = true, .steps = STEPS, .batch = ROWS, .samples = (STEPS - 1) * ROWS + LAST_ROWS};
    train->layout = (struct slab_layout){.n_fields = 1, .rows = ROWS};
    train->layout.fields[0] = (struct slab_field){.name = "x", .row_bytes = sizeof(uint64_t)};
    arena_init(&sim->arena);
    board_init(&sim->board, &sim->plan, (unsigned char *)sim->slabs, sizeof(sim->slabs[0]), SLABS,
               &sim->arena);
    sim->board.timing.floor_us = 3000;
    rng_init(&sim->rng, seed, 1, 0, 0);
    sim->killer_step = sim->killer_row = -1;
}

static void start_worker(struct sim *sim, struct sim_worker *worker)
{
    *worker = (struct sim_worker){.alive = true, .number = ++sim->next_number, .row = -1};
    worker->index = board_add_worker(&sim->board, worker->number, worker->number);
    ck_assert_int_ge(worker->index, 0);
}

static void note_conviction(struct sim *sim, int64_t row)
{
    if (row >= 0) {
        ck_assert_int_eq(row, sim->killer_row);
        sim->n_convicted++;
    }
}

static void kill_worker(struct sim *sim, struct sim_worker *worker)
{
    worker->alive = false;
    worker->reap_us = sim->now_us + (int64_t)rng_below(&sim->rng, 2000);
}

static void finish_chunk(struct sim *sim, struct sim_worker *worker)
{
    const struct msg_chunk_make *make = &worker->work[0];
    struct msg_chunk_done done = {.stream = make->stream,
                                  .epoch = make->epoch,
                                  .step = make->step,
                                  .begin = make->begin,
                                  .end = make->end,
                                  .slab = make->slab,
                                  .generation = make->generation,
                                  .us = 200};
    worker->row = -1;
    board_done(&sim->board, worker->index, &done);
    worker->n--;
    memmove(&worker->work[0], &worker->work[1], sizeof(worker->work[0]) * (size_t)worker->n);
}

static bool is_skipped(const struct msg_chunk_make *make, int64_t row)
{
    for (size_t i = 0; i < make->skip.n; i++) {
        if (make->skip.v[i] == row) {
            return true;
        }
    }
    return false;
}

/* One row forward: it is begun in one tick and written in the next, so that a stop lands between.
 */
static void work(struct sim *sim, struct sim_worker *worker)
{
    const struct msg_chunk_make *make = &worker->work[0];
    struct feed_position at = {make->epoch, make->stream, make->step};
    if (worker->row < 0) {
        worker->row = make->begin;
        return;
    }
    bool killer = make->step == sim->killer_step && worker->row == sim->killer_row &&
                  !is_skipped(make, worker->row);
    if (killer) {
        kill_worker(sim, worker);
        return;
    }
    sim->slabs[make->slab][worker->row] = content(&at, worker->row);
    if (++worker->row >= make->end) {
        finish_chunk(sim, worker);
    }
}

static void take_work(struct sim *sim, struct sim_worker *worker)
{
    struct msg_chunk_make make;
    while (worker->n < BOARD_LEASES_MAX &&
           board_lease(&sim->board, worker->index, sim->now_us, &make)) {
        worker->work[worker->n++] = make;
    }
}

static void tick_worker(struct sim *sim, struct sim_worker *worker)
{
    if (!worker->alive && sim->now_us >= worker->reap_us) {
        int batch = -1;
        if (worker->number > 0) {
            note_conviction(sim, board_gone(&sim->board, worker->index, worker->row, &batch));
        }
        start_worker(sim, worker);
    }
    if (worker->alive && worker->stopped && sim->now_us >= worker->wake_us) {
        worker->stopped = false;
    }
    if (worker->alive && !worker->stopped) {
        take_work(sim, worker);
        if (worker->n > 0) {
            work(sim, worker);
        }
    }
}

static void expire(struct sim *sim)
{
    int index;
    while ((index = board_overdue(&sim->board, sim->now_us)) >= 0) {
        for (int i = 0; i < WORKERS; i++) {
            struct sim_worker *worker = &sim->workers[i];
            if (worker->number > 0 && worker->index == index) {
                int batch = -1;
                note_conviction(sim, board_expire(&sim->board, index, worker->row, &batch));
                /* The kill takes a while to arrive: a stopped one may wake and write before it
                 * does. */
                worker->reap_us = sim->now_us + 4000 + (int64_t)rng_below(&sim->rng, 4000);
            }
        }
    }
}

static void reap_doomed(struct sim *sim)
{
    for (int i = 0; i < WORKERS; i++) {
        struct sim_worker *worker = &sim->workers[i];
        if (worker->alive && worker->reap_us > 0 && sim->now_us >= worker->reap_us) {
            worker->alive = false;
        }
    }
}

static void consume(struct sim *sim, int index)
{
    struct board_batch *batch = &sim->board.batches[index];
    ck_assert(batch->at.epoch == sim->expected.epoch && batch->at.step == sim->expected.step);
    for (int64_t row = 0; row < batch->rows; row++) {
        bool skipped = batch->n_skip > 0 && batch->skip[0] == row;
        sim->n_corrupt += !skipped && sim->slabs[batch->slab][row] != content(&batch->at, row);
    }
    board_release(&sim->board, index);
    board_return(&sim->board, index);
    sim->expected = feed_plan_next(&sim->plan, &sim->expected);
    sim->n_batches++;
}

static void disturb(struct sim *sim, unsigned one_in)
{
    struct sim_worker *worker = &sim->workers[rng_below(&sim->rng, WORKERS)];
    if (one_in == 0 || rng_below(&sim->rng, one_in) != 0 || !worker->alive) {
        return;
    }
    if (rng_below(&sim->rng, 2) == 0) {
        kill_worker(sim, worker);
        sim->n_kills++;
    } else {
        worker->stopped = true;
        worker->wake_us = sim->now_us + (int64_t)rng_below(&sim->rng, 12000);
        sim->n_stops++;
    }
}

static void run(struct sim *sim, unsigned disturb_one_in)
{
    for (int64_t tick = 0; !feed_plan_is_end(&sim->plan, &sim->expected); tick++) {
        ck_assert_msg(tick < 4000000, "stuck at epoch %lld step %lld",
                      (long long)sim->expected.epoch, (long long)sim->expected.step);
        sim->now_us += TICK_US;
        while (!feed_plan_is_end(&sim->plan, &sim->next) && sim->board.n_open < 4 &&
               board_has_room(&sim->board)) {
            board_open(&sim->board, &sim->next, (int)rng_below(&sim->rng, 5));
            sim->next = feed_plan_next(&sim->plan, &sim->next);
        }
        reap_doomed(sim);
        for (int i = 0; i < WORKERS; i++) {
            tick_worker(sim, &sim->workers[i]);
        }
        disturb(sim, disturb_one_in);
        expire(sim);
        int index = board_ready(&sim->board);
        if (index >= 0 && rng_below(&sim->rng, 3) == 0) {
            consume(sim, index);
        }
    }
    arena_fini(&sim->arena);
}

START_TEST(test_order)
{
    struct sim sim;
    sim_init(&sim, 1);
    run(&sim, 0);
    ck_assert_int_eq(sim.n_batches, STEPS * EPOCHS);
    ck_assert_int_eq(sim.n_corrupt, 0);
    ck_assert_int_eq(sim.board.n_remade, 0);
}
END_TEST

START_TEST(test_deaths_and_stops)
{
    int kills = 0, stops = 0, moved = 0, corrupt = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct sim sim;
        sim_init(&sim, seed);
        run(&sim, 15);
        corrupt += sim.n_corrupt;
        kills += sim.n_kills;
        stops += sim.n_stops;
        moved += (int)sim.board.n_moved;
        ck_assert_int_eq(sim.n_batches, STEPS * EPOCHS);
        ck_assert_int_eq(sim.n_convicted, 0);
    }
    ck_assert_msg(corrupt == 0, "%d rows were overwritten", corrupt);
    ck_assert_int_gt(kills, 100);
    ck_assert_int_gt(stops, 100);
    ck_assert_int_gt(moved, 20);
}
END_TEST

START_TEST(test_conviction)
{
    struct sim sim;
    sim_init(&sim, 7);
    sim.killer_step = 11;
    sim.killer_row = 3;
    run(&sim, 0);
    ck_assert_int_eq(sim.n_convicted,
                     EPOCHS); /* the position, not the sample, is told here: once an epoch */
    ck_assert_int_eq(sim.n_corrupt, 0);
    ck_assert_int_eq(sim.next_number, WORKERS + EPOCHS * (BOARD_STRIKES + 1));
}
END_TEST

/* Tokens that are not those of a lease: none marks a row as made, and the right one still does. */
START_TEST(test_wrong_tokens)
{
    struct sim sim;
    struct msg_chunk_make make;
    sim_init(&sim, 3);
    struct board *board = &sim.board;
    int index = board_open(board, &sim.next, 2);
    int worker = board_add_worker(board, 0, 100), other = board_add_worker(board, 1, 101);
    ck_assert(board_lease(board, worker, 0, &make));
    const struct msg_chunk_done right = {.stream = make.stream,
                                         .begin = make.begin,
                                         .end = make.end,
                                         .slab = make.slab,
                                         .generation = make.generation,
                                         .us = 100};
    struct msg_chunk_done wrong[] = {right, right, right, right, right, right};
    wrong[0].generation++;
    wrong[1].generation = 0;
    wrong[2].begin++;
    wrong[3].end = INT64_MAX;
    wrong[4].slab++;
    wrong[5].slab = -1;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_int_eq(board_done(board, worker, &wrong[i]), -1);
    }
    ck_assert_int_eq(board_done(board, other, &right), -1);
    ck_assert_int_eq(board->batches[index].n_done, 0);
    ck_assert_int_eq(board->n_late, 7);
    ck_assert_int_eq(board_done(board, worker, &right), index);
    ck_assert_int_eq(board_done(board, worker, &right), -1); /* once */
    ck_assert_int_eq(board->batches[index].n_done, 1);
    arena_fini(&sim.arena);
}
END_TEST

/* What a worker says of its time sets deadlines; none may make them absurd. */
START_TEST(test_wrong_times)
{
    static const int64_t said[] = {INT64_MIN, -1, 0, INT64_MAX};
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        struct sim sim;
        struct msg_chunk_make make;
        sim_init(&sim, 3);
        board_open(&sim.board, &sim.next, 2);
        int worker = board_add_worker(&sim.board, 0, 100);
        ck_assert(board_lease(&sim.board, worker, 1000, &make));
        const struct msg_chunk_done done = {.begin = make.begin,
                                            .end = make.end,
                                            .slab = make.slab,
                                            .generation = make.generation,
                                            .us = said[i]};
        ck_assert_int_ge(board_done(&sim.board, worker, &done), 0);
        ck_assert(board_lease(&sim.board, worker, 1000, &make));
        int64_t next = board_next_deadline(&sim.board);
        ck_assert_msg(next >= 1000 + sim.board.timing.floor_us && next < (int64_t)1 << 50,
                      "said %lld: %lld", (long long)said[i], (long long)next);
        arena_fini(&sim.arena);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("board");
    TCase *tcase = tcase_create("simulation");
    tcase_add_test(tcase, test_order);
    tcase_add_test(tcase, test_deaths_and_stops);
    tcase_add_test(tcase, test_conviction);
    tcase_add_test(tcase, test_wrong_tokens);
    tcase_add_test(tcase, test_wrong_times);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
