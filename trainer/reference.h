/* reference - the pages of docs/reference that are made from the tables a trainer knows.
 *
 * Owns, Lifetime: nothing; the text goes into the buffer given. Threads: any.
 * Errors:   ERR_UNKNOWN (no such page, with the nearest name).
 */
#ifndef TRAINER_REFERENCE_H
#define TRAINER_REFERENCE_H

#include "base/buf.h"
#include "base/err.h"

/* One page as Markdown; "list" gives the names of the pages, one a line. */
int reference_write(const char *page, struct buf *out, struct err *err);

#endif
