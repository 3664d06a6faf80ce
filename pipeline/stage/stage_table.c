#include "pipeline/stage.h"

#define STAGE_ROW(n) extern const struct stage_desc stage_##n;
#include "pipeline/stage/stage_rows.h"
#undef STAGE_ROW

const struct stage_desc *const stage_table[] = {
#define STAGE_ROW(n) &stage_##n,
#include "pipeline/stage/stage_rows.h"
#undef STAGE_ROW
    NULL,
};
