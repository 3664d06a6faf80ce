/* cache - elements are made once and read from then on. */
#include "pipeline/derive.h"

extern const struct stage_desc stage_cache;

struct cache {
    const char *filename;
};
static const struct opt options[] = {
    OPT_STR_ROW(cache, filename, NULL,
                "Accepted: elements are stored under a name that is made of what they depend on.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_END_ROW,
};

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    (void)stage;
    return derive_keep(derive, 1, ret, err);
}

const struct stage_desc stage_cache = {
    .name = "cache",
    .summary = "Stores elements when they are first made, in the kept folder of the job's data "
               "sets; later epochs and other jobs read them. What was drawn before it stays as the "
               "first epoch drew it, order included.",
    .options = options,
    .ctx_size = sizeof(struct cache),
    .shorthand = "filename",
    .kind = STAGE_DERIVE,
    .derive = derive,
};
