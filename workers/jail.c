#include "workers/jail.h"

#include <sys/stat.h>

/* Slabs are mapped as a whole and count as address space. */
static int memory_limit(const struct inputs *inputs, size_t *ret, struct err *err)
{
    struct stat st = {.st_size = 0};
    size_t limit = (size_t)inputs->settings.memory_bytes;
    if (inputs->slab_fd >= 0 && (fstat(inputs->slab_fd, &st) < 0 || st.st_size < 0)) {
        return err_set(err, ERR_IO, "fstat of the slabs fails");
    }
    if (limit > 0 && __builtin_add_overflow(limit, (size_t)st.st_size, &limit)) {
        return err_set(err, ERR_LIMIT,
                       "memory limit and slabs together are over what a process can address");
    }
    *ret = limit;
    return 0;
}

int jail_files(struct jail *ret, enum sandbox_profile profile, struct inputs *inputs,
               struct err *err)
{
    const int keep_fd = inputs->kept.fd;
    const int64_t file_bytes = keep_fd < 0                  ? 0
                               : inputs->kept.max_bytes > 0 ? inputs->kept.max_bytes
                                                            : INT64_MAX;
    *ret = (struct jail){.profile = profile, .on = inputs->settings.sandbox};
    if (!ret->on) {
        return 0;
    }
    size_t limit = 0;
    int rc = memory_limit(inputs, &limit, err);
    if (rc == 0) {
        rc = sandbox_limits(profile, limit, file_bytes, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct sandbox_paths paths = {.keep_fds = {keep_fd}, .n_keep = keep_fd >= 0};
    paths.n_read = child_folders(inputs->start, &inputs->fds, paths.read_fds);
    ret->landlock_abi = sandbox_landlock(&paths, err);
    ret->keeps = keep_fd >= 0 && sandbox_can_keep(ret->landlock_abi);
    inputs->kept.fd = ret->keeps ? keep_fd : -1;
    return ret->landlock_abi < 0 ? ret->landlock_abi : 0;
}

int jail_calls(struct jail *jail, struct err *err)
{
    int rc = jail->on ? sandbox_seccomp(jail->profile, jail->keeps, err) : 0;
    jail->seccomp_on = jail->on && rc == 0;
    return rc;
}

const char *jail_name(const struct jail *jail)
{
    return sandbox_name(jail->landlock_abi, jail->seccomp_on);
}
