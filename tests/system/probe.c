/* Linked in front of a worker's pipeline_run: row `generation` of the table of actions is tried
 * where a hostile sample would be parsed. The place comes as a file in descriptor $MILLRACE_PROBE,
 * read before the sandbox. */
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/pipeline.h"
#include "proto/child.h"
#include "tests/system/actions.h"

static struct place place;

int __real_child_begin(struct err *err);
int __wrap_child_begin(struct err *err);
int __real_pipeline_run(struct pipeline *pipeline, const struct msg_chunk_make *chunk,
                        const struct slab_layout *layout, unsigned char *slab,
                        struct pipeline_progress *progress, struct arena *arena,
                        struct opt_groups *ret_bad, struct err *err);
int __wrap_pipeline_run(struct pipeline *pipeline, const struct msg_chunk_make *chunk,
                        const struct slab_layout *layout, unsigned char *slab,
                        struct pipeline_progress *progress, struct arena *arena,
                        struct opt_groups *ret_bad, struct err *err);

int __wrap_child_begin(struct err *err)
{
    const char *text = getenv("MILLRACE_PROBE");
    int64_t fd = -1;
    if (text == NULL || !doc_parse_int(text, &fd) ||
        file_pread((int)fd, &place, sizeof(place), 0, err) != sizeof(place)) {
        return err_set(err, ERR_USAGE, "no place");
    }
    return __real_child_begin(err);
}

int __wrap_pipeline_run(struct pipeline *pipeline, const struct msg_chunk_make *chunk,
                        const struct slab_layout *layout, unsigned char *slab,
                        struct pipeline_progress *progress, struct arena *arena,
                        struct opt_groups *ret_bad, struct err *err)
{
    if (action_table[chunk->generation].try(&place) != 0) {
        return err_set(err, ERR_DENIED, "%s", action_table[chunk->generation].name);
    }
    return __real_pipeline_run(pipeline, chunk, layout, slab, progress, arena, ret_bad, err);
}
