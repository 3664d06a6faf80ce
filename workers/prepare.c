#include "workers/prepare.h"

#include "workers/jail.h"

/* A part that cannot be told of is made all the same; the daemon looks at the folder. */
static void tell(struct kept *kept, int64_t part, bool is_made)
{
    const struct msg_child_part body = {.part = part, .made = is_made};
    (void)kept;
    (void)child_send(CHILD_FD, MSG_CHILD_PART, &body, NULL, NULL);
}

int prepare_run(struct inputs *inputs, struct arena *arena, struct err *err)
{
    struct pipeline *pipeline = NULL;
    struct jail jail;
    struct kept *kept = &inputs->kept;
    const struct msg_child_start *start = inputs->start;
    kept->how = KEPT_MAKE_PARTS;
    kept->maker = start->worker - 1;
    kept->makers = start->max_workers;
    kept->tell = tell;
    int rc = jail_files(&jail, SANDBOX_PROFILE_WORKER, inputs, err);
    rc = rc < 0 ? rc : jail_calls(&jail, err);
    rc = rc < 0 ? rc : inputs_read(inputs, arena, err);
    rc = rc < 0 ? rc : pipeline_compile(&inputs->job, &inputs->store, arena, &pipeline, err);
    pipeline_destroy(pipeline);
    if (rc < 0 && rc != ERR_NOT_MADE) {
        return rc;
    }
    struct doc *none = doc_new(arena);
    doc_set_map(none);
    const struct msg_child_result result = {.result = none};
    return child_send(CHILD_FD, MSG_CHILD_RESULT, &result, NULL, err);
}
