#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "trainer/resume.h"

#include "trainer/checkpoint_list.h"

enum { GROWTH = 4 };
static const size_t load_floor = (size_t)64 << 20;

static int load_tensor(const struct model_tensor *to, const struct keras_file *file,
                       struct err *err)
{
    const struct keras_tensor *from = keras_file_weight(file, to->h5_path, to->h5_name);
    if (from == NULL) {
        return err_set_at(err, ERR_MISSING, to->h5_path, "the file has no tensor for '%s'",
                          to->path);
    }
    if (from->dtype != to->dtype || !shape_equal(&from->shape, &to->shape)) {
        char have[128], want[128];
        shape_format(&from->shape, have, sizeof(have));
        shape_format(&to->shape, want, sizeof(want));
        return err_set_at(err, ERR_SHAPE, to->h5_path,
                          "'%s' is %s %s in the file, the model has %s %s", to->path,
                          dtype_name(from->dtype), have, dtype_name(to->dtype), want);
    }
    size_t size = 0;
    BUG_ON(shape_bytes(&to->shape, to->dtype, &size) < 0);
    memcpy(to->data, from->data, size);
    return 0;
}

int resume_load_tensors(struct model *model, const struct keras_file *file, bool with_optimizer,
                        struct err *err)
{
    static const char optimizer[] = "optimizer/";
    int n = 0;
    const struct model_tensor *tensors = model_tensors(model, &n);
    for (int i = 0; i < n; i++) {
        if (!with_optimizer && strncmp(tensors[i].h5_path, optimizer, sizeof(optimizer) - 1) == 0) {
            continue;
        }
        int rc = load_tensor(&tensors[i], file, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

size_t resume_max_bytes(const struct model *model)
{
    int n = 0;
    size_t total = load_floor;
    const struct model_tensor *tensors = model_tensors(model, &n);
    for (int i = 0; i < n; i++) {
        size_t size = 0;
        BUG_ON(shape_bytes(&tensors[i].shape, tensors[i].dtype, &size) < 0);
        total += GROWTH * size;
    }
    return total;
}

static int load(struct model *model, int dir_fd, const char *name, struct arena *arena,
                struct state *ret, struct err *err)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return err_errno(err, errno, "open '%s'", name);
    }
    struct keras_file file;
    int rc = keras_file_load(fd, resume_max_bytes(model), arena, &file, err);
    close(fd);
    if (rc < 0) {
        return rc;
    }
    if (file.state == NULL) {
        return err_set(err, ERR_CORRUPT, "it has no millrace.json");
    }
    if ((rc = state_read(file.state, ret, err)) < 0 ||
        (rc = resume_load_tensors(model, &file, true, err)) < 0) {
        return rc;
    }
    char id[65];
    model_tensors_id(model, id);
    if (strcmp(id, ret->tensors) != 0) {
        return err_set(err, ERR_CORRUPT, "its tensors are not those that were saved");
    }
    return 0;
}

int resume_newest(struct model *model, struct control *control, int dir_fd, struct arena *arena,
                  char ret_found[64], struct state *ret, struct err *err)
{
    int64_t steps[CHECKPOINT_LIST_MAX];
    int n = checkpoint_list_read(dir_fd, steps);
    ret_found[0] = '\0';
    for (int i = 0; i < n; i++) {
        char name[64];
        struct err why = {0};
        checkpoint_list_name(steps[i], name, sizeof(name));
        if (load(model, dir_fd, name, arena, ret, &why) == 0) {
            memcpy(ret_found, name, sizeof(name));
            return 0;
        }
        char text[1024];
        err_format(&why, text, sizeof(text));
        control_log(control, LOG_LEVEL_WARNING, "checkpoint %s is passed over: %s", name, text);
    }
    if (n > 0) { /* weights of a damaged file may be in the model by now, and starting over would
                    hide the loss */
        return err_set(err, ERR_CORRUPT, "none of the %d checkpoints can be read", n);
    }
    return 0;
}
