/* counter - named numbers that the status endpoint shows, declared in one table per program.
 *
 * Owns:     the values array is the caller's.
 * Threads:  one writer; readers on the same thread.
 * Errors:   none.
 * Lifetime: the program's.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdint.h>

#include "base/buf.h"
#include "base/doc.h"

enum counter_kind { COUNTER_TOTAL, COUNTER_GAUGE };

struct counter_desc {
    const char *name; /* "chunks_made" */
    const char *unit; /* "", "bytes", "seconds" */
    enum counter_kind kind;
    const char *help; /* one sentence */
};

/* {"chunks_made": 12, ...} */
void counter_write(const struct counter_desc *table, int n, const int64_t *values, struct doc *map, struct arena *arena);
/* OpenMetrics text, prefix "millrace_". */
void counter_openmetrics(const struct counter_desc *table, int n, const int64_t *values, const char *labels,
                         struct buf *out);

#endif
