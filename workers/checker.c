#include "workers/checker.h"

#include "workers/jail.h"

static int answer(const struct pipeline *pipeline, struct arena *arena, struct err *err)
{
    struct doc *plan = doc_new(arena);
    doc_set_map(plan);
    pipeline_plan(pipeline, plan, arena);
    struct msg_child_result result = {.result = plan};
    return child_send(CHILD_FD, MSG_CHILD_RESULT, &result, NULL, err);
}

int checker_compile(struct inputs *inputs, struct arena *arena, struct pipeline **ret,
                    struct err *err)
{
    struct jail jail;
    int rc = jail_files(&jail, SANDBOX_PROFILE_CHECKER, inputs, err);
    if (rc == 0) {
        rc = jail_calls(&jail, err);
    }
    if (rc == 0) {
        rc = inputs_read(inputs, arena, err);
    }
    return rc < 0 ? rc : pipeline_compile(&inputs->job, &inputs->store, arena, ret, err);
}

int checker_run(struct inputs *inputs, struct arena *arena, struct err *err)
{
    struct pipeline *pipeline = NULL;
    int rc = checker_compile(inputs, arena, &pipeline, err);
    if (rc == 0) {
        rc = answer(pipeline, arena, err);
    }
    pipeline_destroy(pipeline);
    return rc;
}
