/* reference - the pages of docs/reference that are made from the tables a worker knows.
 *
 * Owns, Lifetime: nothing; the text goes into the buffer given. Threads: any.
 * Errors:   ERR_UNKNOWN (no such page, with the nearest name).
 */
#ifndef WORKERS_REFERENCE_H
#define WORKERS_REFERENCE_H

#include "base/buf.h"
#include "base/err.h"

/* One page as Markdown, or "all": each page behind a line "<!-- NAME.md -->". */
int reference_write(const char *page, struct buf *out, struct err *err);
/* The names of the pages, one a line. */
void reference_list(struct buf *out);

#endif
