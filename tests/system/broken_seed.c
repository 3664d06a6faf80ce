/* A negative control, linked in front of pipeline_compile: a generator keyed by the worker besides.
 * Law 2 must notice. */
#include <unistd.h>

#include "pipeline/pipeline.h"

int __real_pipeline_compile(const struct job_spec *job, const struct pipeline_store *store,
                            struct arena *arena, struct pipeline **ret, struct err *err);
int __wrap_pipeline_compile(const struct job_spec *job, const struct pipeline_store *store,
                            struct arena *arena, struct pipeline **ret, struct err *err);

int __wrap_pipeline_compile(const struct job_spec *job, const struct pipeline_store *store,
                            struct arena *arena, struct pipeline **ret, struct err *err)
{
    struct job_spec *broken = ARENA_NEW(arena, struct job_spec);
    *broken = *job;
    broken->fit.seed += getpid();
    return __real_pipeline_compile(broken, store, arena, ret, err);
}
