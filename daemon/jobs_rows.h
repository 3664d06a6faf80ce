/* jobs_rows - a job as rows of the database.
 *
 * Owns, Lifetime: tasks own copies of what they write. Threads: reading at the start; saving on the
 * loop, through the store. Errors:   ERR_CORRUPT for a row that cannot be understood; a save
 * reports its status.
 */
#ifndef DAEMON_JOBS_ROWS_H
#define DAEMON_JOBS_ROWS_H

#include "daemon/db.h"
#include "daemon/jobs.h"

struct jobs_rows_part {
    struct daemon *daemon;
    void (*read)(struct job *job, const struct db_row *row);
};

int jobs_rows_read(struct job *job, const struct db_row *row, struct err *err);
void jobs_rows_epoch(struct job *job, const struct db_row *row);
void jobs_rows_checkpoint(struct job *job, const struct db_row *row);
void jobs_rows_quarantine(struct job *job, const struct db_row *row);

void jobs_rows_save(struct job *job, void (*done)(void *context, int status), void *context);

/* The same lists in memory, from messages or rows. */
void jobs_rows_add_epoch(struct job *job, int64_t epoch, const struct doc *metrics,
                         int64_t time_us);
void jobs_rows_add_checkpoint(struct job *job, const struct msg_child_checkpoint *checkpoint,
                              int64_t time_us);
void jobs_rows_add_quarantine(struct job *job, const struct msg_child_quarantine *bad,
                              int64_t time_us);
/* Reads a JSON text into the job's arena, NULL if it is "" or wrong. */
const struct doc *jobs_rows_json(struct arena *arena, const char *text);
char *jobs_rows_text(const struct doc *doc); /* heap; NULL for NULL */

#endif
