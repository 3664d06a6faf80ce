/* db - the database: one SQLite connection, its statements as a table (daemon/db_sql.h).
 *
 * Owns:     struct db owns the connection and its prepared statements.
 * Threads:  the store thread's alone (db_open and db_close too, or before it starts and after it
 * ended). Errors:   ERR_NO_SPACE (full disk), ERR_NO_MEMORY, ERR_CORRUPT, ERR_BUSY (another
 * program), ERR_IO. Lifetime: open .. close. Texts of a row live till the row callback returns.
 */
#ifndef DAEMON_DB_H
#define DAEMON_DB_H

#include <stdint.h>

#include "base/err.h"

enum db_sql {
#define DB_ROW(symbol, sql) DB_##symbol,
#include "daemon/db_sql.h"
#undef DB_ROW
    DB_MAX_
};

struct db;
struct db_row;
typedef int db_row_fn(void *context, const struct db_row *row, struct err *err);

int db_open(const char *path, struct db **ret, struct err *err);
void db_close(struct db *db);

/* types: one letter an argument: i int64_t, f double, s const char * (may be NULL). db_run is for
 * statements without rows. */
int db_run(struct db *db, enum db_sql sql, struct err *err, const char *types, ...);
int db_each(struct db *db, enum db_sql sql, db_row_fn *fn, void *context, struct err *err,
            const char *types, ...);
/* For db_each of one number: into the int64_t that context is. */
int db_take_int(void *context, const struct db_row *row, struct err *err);
int64_t db_int(const struct db_row *row, int column);
double db_float(const struct db_row *row, int column);
const char *db_text(const struct db_row *row, int column); /* "" for NULL */

int db_begin(struct db *db, struct err *err);
int db_commit(struct db *db, struct err *err); /* rolls back when it fails */
int db_savepoint(struct db *db, struct err *err);
int db_release(struct db *db, int undo,
               struct err *err); /* ends the savepoint, undoing it if asked */
int db_in_transaction(const struct db *db);

#endif
