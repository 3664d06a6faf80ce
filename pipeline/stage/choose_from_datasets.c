/* choose_from_datasets - the next element from a stream named by a list. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_choose_from_datasets;

struct choose_from {
    const struct doc *datasets;
    struct opt_ints choices;
    bool repeat, stop_on_empty_dataset;
};
static const struct opt options[] = {
    OPT_DOC_ROW(choose_from, datasets,
                "A list of {dataset, split, pipeline}; this stream is the first of all, number 0.",
                .flags = OPT_REQUIRED),
    OPT_INTS_ROW(choose_from, choices, NULL, 1, 65536, 0, DERIVE_PICKS_MAX - 1,
                 "Numbers of streams, one an element.", .flags = OPT_REQUIRED),
    OPT_BOOL_ROW(choose_from, repeat, true, "Begin the list again at its end."),
    OPT_BOOL_ROW(choose_from, stop_on_empty_dataset, true,
                 "End when a stream is chosen that has nothing left; else go on with the others."),
    OPT_END_ROW,
};

static int choose(const struct derive_picks *picks, int64_t draw, const int64_t *used)
{
    (void)used;
    const struct choose_from *k = picks->context;
    const int64_t n = (int64_t)k->choices.n;
    return draw < n || k->repeat ? (int)k->choices.v[draw % n] : -1;
}

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct choose_from *k = stage->ctx;
    struct derive_picks picks = {.in[0] = derive->in,
                                 .n = 1,
                                 .stop_on_empty = k->stop_on_empty_dataset,
                                 .choose = choose,
                                 .context = k};
    int r = derive_open_list(derive, k->datasets, picks.in, &picks.n, DERIVE_PICKS_MAX, err);
    uint64_t chosen = 0;
    for (size_t i = 0; i < k->choices.n && r == 0; i++) {
        if (k->choices.v[i] >= picks.n) {
            r = err_set_at(err, ERR_RANGE, "choices", "there is no stream %lld, there are %d",
                           (long long)k->choices.v[i], picks.n);
        } else {
            chosen |= 1ULL << k->choices.v[i];
        }
    }
    /* A stream that is never chosen would never be empty. */
    if (r == 0 && k->repeat && !k->stop_on_empty_dataset && chosen + 1 != 1ULL << picks.n) {
        r = err_set_at(err, ERR_INVALID, "choices", "leave out a stream and begin again for ever");
    }
    return r < 0 ? r : derive_pick(derive, &picks, ret, err);
}

const struct stage_desc stage_choose_from_datasets = {
    .name = "choose_from_datasets",
    .summary = "Takes each next element from the stream that a list of numbers names.",
    .options = options,
    .ctx_size = sizeof(struct choose_from),
    .kind = STAGE_DERIVE,
    .derive = derive,
};
