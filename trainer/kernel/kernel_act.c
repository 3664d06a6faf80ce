#include "trainer/kernel/kernel_act.h"

#include <string.h>

static const struct kernel_act_desc rows[] = {
#define KERNEL_ACT_ROW(symbol, name, alpha, from_output) \
    {name, {KERNEL_ACT_##symbol, alpha, __builtin_inff(), 0.0F}, from_output},
    KERNEL_ACT_LIST
#undef KERNEL_ACT_ROW
};

/* Keras knows some by two names. */
static const struct {
    const char *name;
    enum kernel_act_kind kind;
} aliases[] = {{"swish", KERNEL_ACT_SILU}, {"hard_swish", KERNEL_ACT_HARD_SILU}};

const struct kernel_act_desc *kernel_act_find(const char *name)
{
    for (size_t i = 0; i < KERNEL_ACT_MAX_; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(aliases[i].name, name) == 0) {
            return &rows[aliases[i].kind];
        }
    }
    return NULL;
}

const struct kernel_act_desc *kernel_act_row(enum kernel_act_kind kind)
{
    return &rows[kind];
}

bool kernel_act_is_fusible(enum kernel_act_kind kind)
{
    return kind < KERNEL_ACT_MAX_ && rows[kind].from_output;
}
