#include "trainer/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put_doc(struct doc *map, struct arena *arena, const char *key, const struct doc *value)
{
    if (value != NULL) {
        doc_copy(doc_put(map, arena, key), arena, value);
    }
}

void state_write(const struct state *state, struct doc *map, struct arena *arena)
{
    char chain[24];
    snprintf(chain, sizeof(chain), "%016" PRIx64, state->chain);
    doc_set_map(map);
    doc_put_int(map, arena, "version", STATE_VERSION);
    doc_put_str(map, arena, "job", state->job);
    doc_put_str(map, arena, "pipeline", state->pipeline);
    doc_put_int(map, arena, "seed", state->seed);
    doc_put_int(map, arena, "epoch", state->epoch);
    doc_put_int(map, arena, "step", state->step);
    doc_put_int(map, arena, "global_step", state->global_step);
    doc_put_bool(map, arena, "finished", state->finished);
    doc_put_str(map, arena, "chain", chain);
    doc_put_str(map, arena, "tensors", state->tensors);
    put_doc(map, arena, "fingerprint", state->fingerprint);
    put_doc(map, arena, "metrics", state->metrics);
    put_doc(map, arena, "history", state->history);
    put_doc(map, arena, "quarantine", state->bad);
}

static bool read_chain(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
        if (digit == NULL) {
            return false;
        }
        value = value << 4 | (uint64_t)(digit - digits);
    }
    *ret = value;
    return text[16] == '\0';
}

int state_read(const struct doc *map, struct state *ret, struct err *err)
{
    *ret = (struct state){
        .epoch = doc_int(map, "epoch", -1),
        .step = doc_int(map, "step", -1),
        .global_step = doc_int(map, "global_step", -1),
        .seed = doc_int(map, "seed", 0),
        .finished = doc_bool(map, "finished", false),
        .job = doc_str(map, "job", ""),
        .pipeline = doc_str(map, "pipeline", ""),
        .tensors = doc_str(map, "tensors", ""),
        .fingerprint = doc_get(map, "fingerprint"),
        .metrics = doc_get(map, "metrics"),
        .history = doc_get(map, "history"),
        .bad = doc_get(map, "quarantine"),
    };
    if (doc_int(map, "version", 0) != STATE_VERSION || ret->epoch < 0 || ret->step < 0 ||
        ret->global_step < 0 || !read_chain(doc_str(map, "chain", ""), &ret->chain)) {
        return err_set(err, ERR_CORRUPT, "millrace.json is not the state of a run of version %d",
                       STATE_VERSION);
    }
    return 0;
}
