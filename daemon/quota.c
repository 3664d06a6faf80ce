#include "daemon/quota.h"

#include <errno.h>
#include <sys/statvfs.h>

int quota_check(const struct daemon *daemon, struct db *db, int64_t uid, int64_t more,
                struct err *err)
{
    int64_t quota = daemon->settings->quota_bytes;
    int64_t used = 0;
    int rc = quota > 0 ? db_each(db, DB_QUOTA_USED, db_take_int, &used, err, "i", uid) : 0;
    if (rc < 0 || quota == 0 || (used <= quota && more <= quota - used)) {
        return rc;
    }
    return err_set(err, ERR_LIMIT,
                   "the data sets of user %lld would have %lld bytes; quota_bytes is %lld: remove "
                   "one, or ask for more",
                   (long long)uid, (long long)(used + more), (long long)quota);
}

int quota_space(const struct daemon *daemon, size_t size, struct err *err)
{
    struct statvfs fs;
    if (fstatvfs(daemon->uploads_fd, &fs) != 0) {
        return err_errno(err, errno, "free space of the state folder");
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes < (uint64_t)daemon->settings->reserve_bytes + size) {
        return err_set(err, ERR_NO_SPACE,
                       "the disk is full: %llu bytes are free, %lld are kept back (reserve_bytes)",
                       (unsigned long long)free_bytes, (long long)daemon->settings->reserve_bytes);
    }
    return 0;
}
