#include "workers/checker.h"

#include "base/clock.h"
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

/* {missing: ...}: the plan is known when that is there. */
static int answer_missing(const struct kept_missing *missing, struct arena *arena, struct err *err)
{
    struct doc *plan = doc_new(arena);
    doc_set_map(plan);
    struct doc *map = doc_put(plan, arena, "missing");
    doc_set_map(map);
    doc_put_str(map, arena, "path", missing->path);
    doc_put_str(map, arena, "what", missing->what);
    doc_put_int(map, arena, "parts", missing->parts);
    doc_put_int(map, arena, "made", missing->made);
    doc_put_int(map, arena, "part_elements", missing->part_elements);
    doc_put_int(map, arena, "elements", missing->elements);
    struct msg_child_result result = {.result = plan};
    return child_send(CHILD_FD, MSG_CHILD_RESULT, &result, NULL, err);
}

int checker_run(struct inputs *inputs, struct arena *arena, struct err *err)
{
    struct pipeline *pipeline = NULL;
    if (inputs->settings.make_ms >= 0) {
        inputs->kept.how = KEPT_MAKE_BRIEFLY;
        inputs->kept.until_us = clock_us() + inputs->settings.make_ms * 1000 - 1;
    }
    int rc = checker_compile(inputs, arena, &pipeline, err);
    if (rc == 0) {
        rc = answer(pipeline, arena, err);
    } else if (rc == ERR_NOT_MADE) {
        rc = answer_missing(&inputs->kept.missing, arena, err);
    }
    pipeline_destroy(pipeline);
    return rc;
}
