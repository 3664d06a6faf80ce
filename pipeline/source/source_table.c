#include "pipeline/source.h"

#define SOURCE_ROW(n) extern const struct source_desc source_##n;
#include "pipeline/source/source_rows.h"
#undef SOURCE_ROW

const struct source_desc *const source_table[] = {
#define SOURCE_ROW(n) &source_##n,
#include "pipeline/source/source_rows.h"
#undef SOURCE_ROW
    NULL,
};
