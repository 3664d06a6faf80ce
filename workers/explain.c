#include "workers/explain.h"

#include <sys/resource.h>

#include "pipeline/explain.h"
#include "workers/checker.h"

/* Of this process, which has done what a worker does before its first row. */
static int64_t resident_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

int explain_run(struct inputs *inputs, struct arena *arena, struct err *err)
{
    struct pipeline *pipeline = NULL;
    int rc = checker_compile(inputs, arena, &pipeline, err);
    if (rc == 0) {
        struct doc *map = doc_new(arena);
        pipeline_explain(pipeline, map, arena);
        doc_put_int(map, arena, "resident_bytes", resident_bytes());
        const struct msg_child_result result = {.result = map};
        rc = child_send(CHILD_FD, MSG_CHILD_RESULT, &result, NULL, err);
    }
    pipeline_destroy(pipeline);
    return rc;
}
