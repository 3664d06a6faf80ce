/* ignore_errors - samples that cannot be read are left out of their batch. */
#include "pipeline/stage.h"

extern const struct stage_desc stage_ignore_errors;

struct ignore_errors {
    bool log_warning;
};
static const struct opt options[] = {
    OPT_BOOL_ROW(ignore_errors, log_warning, false, "Accepted; each bad sample is named and counted.",
                 .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_END_ROW,
};

const struct stage_desc stage_ignore_errors = {
    .name = "ignore_errors",
    .summary = "Leaves samples that cannot be read out of their batch: `on_error: skip` of this "
               "stream, wherever it stands.",
    .options = options,
    .ctx_size = sizeof(struct ignore_errors),
    .kind = STAGE_HINT,
    .flags = STAGE_IGNORES_ERRORS,
};
