/* job_file - a job file as a person wrote it: its text, its document, and where in it an error
 * lies.
 *
 * Owns:     the arena given.
 * Threads:  none shared.
 * Errors:   ERR_NOT_FOUND, ERR_DENIED, ERR_LIMIT; those of yaml_read with err->line.
 * Lifetime: the arena's.
 */
#ifndef CLIENT_JOB_FILE_H
#define CLIENT_JOB_FILE_H

#include "base/doc.h"

struct job_file {
    const char *name; /* as given; "-" is standard input */
    const char *text;
    size_t size;
    struct doc *doc; /* NULL when it could not be read */
};

int job_file_read(const char *name, struct arena *arena, struct job_file *ret, struct err *err);
/* Puts a value (JSON, or a text as it is) at a path such as "fit.epochs" or
 * "model[0].Conv2D.filters"; maps are made on the way, lists are not. */
int job_file_set(struct job_file *file, const char *path, const char *value, struct arena *arena,
                 struct err *err);
/* The line of the deepest part of `path` that the document has, 0 if none: "model[2].Dense.unitz"
 * is the line of the Dense. */
int job_file_line(const struct job_file *file, const char *path);
/* Whether the path leads into the job, though nothing may stand there. */
bool job_file_holds(const struct job_file *file, const char *path);
/* "digits.yaml:14: model[2].Dense.unit: text", then the line itself with its number. bold, plain:
 * terminal codes or "". */
void job_file_complain(const struct job_file *file, const struct err *err, const char *bold,
                       const char *plain, struct buf *out);

#endif
