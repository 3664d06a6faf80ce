/* snapshot - some variants of each element, made once: augmentation before training. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_snapshot;

enum { VARIANTS_MAX = 1 << 16 };

struct snapshot {
    const char *path;
    int64_t variants;
};
static const struct opt options[] = {
    OPT_STR_ROW(snapshot, path, NULL,
                "Accepted: elements are stored under a name that is made of what they depend on.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_I64_ROW(snapshot, variants, 1, 1, VARIANTS_MAX,
                "So many epochs are stored, each as it is drawn without this stage; epoch e gives "
                "what epoch e modulo variants gave."),
    OPT_END_ROW,
};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct snapshot *k = stage->ctx;
    return derive_keep(derive, k->variants, ret, err);
}

const struct stage_desc stage_snapshot = {
    .name = "snapshot",
    .summary = "Stores elements when they are first made, as `cache` does, but those of several "
               "epochs: augmentation is made `variants` times for each element and then read.",
    .options = options,
    .ctx_size = sizeof(struct snapshot),
    .shorthand = "path",
    .kind = STAGE_DERIVE,
    .derive = derive,
};
