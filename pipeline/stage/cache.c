/* cache - accepted: a sample is looked up by its index, and its file is in the page cache. */
#include "pipeline/stage.h"

extern const struct stage_desc stage_cache;

struct cache {
    const char *filename;
};
static const struct opt options[] = {
    OPT_STR_ROW(cache, filename, NULL, "Accepted; nothing is written.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_END_ROW,
};

const struct stage_desc stage_cache = {
    .name = "cache",
    .summary =
        "Accepted without effect: samples are read by index, and what was random stays random.",
    .options = options,
    .ctx_size = sizeof(struct cache),
    .shorthand = "filename",
    .kind = STAGE_HINT,
};
