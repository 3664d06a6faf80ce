/* web - the files of the status page, built into the program.
 *
 * Owns:     nothing; const data. Threads: any. Errors: NULL for a file that is not there. Lifetime:
 * the process's.
 */
#ifndef DAEMON_WEB_H
#define DAEMON_WEB_H

#include <stddef.h>

struct web_file {
    const char *path; /* below "/" */
    const char *type;
    const char *data;
    size_t size;
};

const struct web_file *web_find(const char *path);

#endif
