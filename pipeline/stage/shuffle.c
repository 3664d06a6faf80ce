/* shuffle - a permutation that is computed (perm.h); its buffer is always the whole stream. */
#include "base/perm.h"
#include "pipeline/stage.h"

extern const struct stage_desc stage_shuffle;

enum { BLOCK = 256 }; /* places at once */

struct shuffle {
    int64_t buffer_size, seed;
    bool reshuffle_each_iteration;
};
static const struct opt options[] = {
    OPT_I64_ROW(shuffle, buffer_size, 0, 0, OPT_I64_MAX,
                "Accepted; the shuffle is always of the whole stream.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_I64_ROW(shuffle, seed, -1, -1, OPT_I64_MAX,
                "Seed of this shuffle instead of the job's; -1 = the job's.",
                .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(shuffle, reshuffle_each_iteration, true, "Another order in each epoch.",
                 .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static int count(const void *ctx, int64_t n, int64_t *ret, struct err *err)
{
    (void)ctx;
    if (n == STAGE_ENDLESS) {
        return err_set(err, ERR_UNSUPPORTED,
                       "an endless stream cannot be shuffled whole; put repeat behind shuffle");
    }
    *ret = n;
    return 0;
}

/* Orders of the iterations that were asked for last: a batch may reach from one into the next. */
enum { KEPT = 2 };
struct state {
    struct {
        struct perm perm; /* n = 0: none yet */
        int64_t iteration;
    } kept[KEPT];
    int next;          /* to be replaced */
    uint16_t tables[]; /* one each, if n is small enough */
};

static size_t state_bytes(int64_t n)
{
    return sizeof(struct state) + KEPT * perm_bytes((uint64_t)n);
}

static const struct perm *perm_of(const struct stage *stage, int64_t n, int64_t iteration)
{
    const struct shuffle *k = stage->ctx;
    struct state *s = stage->state;
    const int64_t epoch = k->reshuffle_each_iteration ? iteration : 0;
    for (int i = 0; i < KEPT; i++) {
        if (s->kept[i].perm.n > 0 && s->kept[i].iteration == epoch) {
            return &s->kept[i].perm;
        }
    }
    const int i = s->next;
    s->next = (i + 1) % KEPT;
    s->kept[i].iteration = epoch;
    const struct perm_key key = {.seed = k->seed >= 0 ? (uint64_t)k->seed : stage->seed,
                                 .stage_id = stage->id,
                                 .epoch = (uint64_t)epoch};
    perm_init(&s->kept[i].perm, (uint64_t)n, &key,
              s->tables + (size_t)i * (perm_bytes((uint64_t)n) / sizeof *s->tables));
    return &s->kept[i].perm;
}

static void place(const struct stage *stage, int64_t n, struct stage_place *place)
{
    const struct perm *perm = perm_of(stage, n, place->iteration);
    place->position = (int64_t)perm_at(perm, (uint64_t)place->position);
}

/* How many places from the first on follow each other, in one iteration. */
static int64_t run_of(const struct stage_place *places, int64_t count)
{
    int64_t n = 1;
    while (n < count && places[n].iteration == places[0].iteration &&
           places[n].position == places[0].position + n) {
        n++;
    }
    return n;
}

static void places(const struct stage *stage, int64_t n, struct stage_place *places, int64_t count)
{
    int64_t out[BLOCK];
    for (int64_t done = 0, run; done < count; done += run) {
        struct stage_place *at = places + done;
        run = run_of(at, count - done < BLOCK ? count - done : BLOCK);
        perm_block(perm_of(stage, n, at->iteration), (uint64_t)at->position, (size_t)run, out);
        for (int64_t i = 0; i < run; i++) {
            at[i].position = out[i];
        }
    }
}

const struct stage_desc stage_shuffle = {
    .name = "shuffle",
    .summary = "Puts the elements into a random order, another one in each epoch.",
    .options = options,
    .ctx_size = sizeof(struct shuffle),
    .shorthand = "buffer_size",
    .kind = STAGE_ORDER,
    .flags = STAGE_TRAIN_ONLY | STAGE_REORDERS,
    .count = count,
    .place = place,
    .places = places,
    .state_bytes = state_bytes,
};
