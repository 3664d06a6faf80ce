#include "daemon/db.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct db {
    sqlite3 *handle;
    sqlite3_stmt *statements[DB_MAX_];
};
enum { DB_VERSION = 4 };

struct db_row {
    sqlite3_stmt *statement;
};

static const char *const db_sql_table[DB_MAX_] = {
#define DB_ROW(symbol, sql) [DB_##symbol] = (sql),
#include "daemon/db_sql.h"
#undef DB_ROW
};

/* One connection and a rollback journal: Debian 12's SQLite has the WAL-reset defect, and a journal
 * needs no second file that a crash could part from the first. */
static const char db_pragmas[] = "PRAGMA journal_mode = TRUNCATE;"
                                 "PRAGMA synchronous = EXTRA;"
                                 "PRAGMA locking_mode = EXCLUSIVE;"
                                 "PRAGMA trusted_schema = OFF;"
                                 "PRAGMA temp_store = MEMORY;";

static const char db_schema[] =
    /* The last version that a name ever had: numbers are not used again. */
    "CREATE TABLE IF NOT EXISTS name(name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;"
    /* Files that are read where they lie (proto/place.h). */
    "CREATE TABLE IF NOT EXISTS placed(manifest INTEGER NOT NULL, blob TEXT NOT NULL, path TEXT "
    "NOT "
    "NULL, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, PRIMARY "
    "KEY(manifest, blob)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS version(name TEXT NOT NULL, version INTEGER NOT NULL, kind TEXT "
    "NOT "
    "NULL, id TEXT NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL, created INTEGER NOT "
    "NULL, splits TEXT NOT NULL, uid INTEGER NOT NULL, place TEXT NOT NULL, PRIMARY KEY(name, "
    "version)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS manifest(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);"
    "CREATE TABLE IF NOT EXISTS holds(manifest INTEGER NOT NULL, blob TEXT NOT NULL, bytes INTEGER "
    "NOT NULL, PRIMARY KEY(manifest, blob)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS holds_blob ON holds(blob);"
    "CREATE TABLE IF NOT EXISTS pack(number INTEGER PRIMARY KEY, name TEXT NOT NULL, created "
    "INTEGER NOT NULL, dead INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS blob(id TEXT PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER "
    "NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS blob_pack ON blob(pack);"
    /* What came since blobs were looked for last: rows at the end cost little, rows in the order
     * of ids touch a page each. */
    "CREATE TABLE IF NOT EXISTS arrival(number INTEGER PRIMARY KEY, id TEXT NOT NULL, pack INTEGER "
    "NOT NULL, offset INTEGER NOT NULL, bytes INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS job(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT "
    "NOT NULL, key TEXT, state TEXT NOT NULL,"
    " code INTEGER NOT NULL, reason TEXT, reason_path TEXT, created INTEGER, started INTEGER, "
    "ended INTEGER, datasets TEXT,"
    " model_from TEXT, settings TEXT, plan TEXT, progress TEXT, result TEXT, last_seq INTEGER NOT "
    "NULL, restarts INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX IF NOT EXISTS job_key ON job(key) WHERE key IS NOT NULL;"
    "CREATE TABLE IF NOT EXISTS event(job TEXT NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT "
    "NULL, kind TEXT NOT NULL,"
    " data TEXT NOT NULL, PRIMARY KEY(job, seq)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS epoch(job TEXT NOT NULL, epoch INTEGER NOT NULL, metrics TEXT NOT "
    "NULL, time INTEGER NOT NULL,"
    " PRIMARY KEY(job, epoch)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS checkpoint(job TEXT NOT NULL, file TEXT NOT NULL, epoch INTEGER, "
    "step INTEGER, global_step INTEGER,"
    " reason TEXT, tensors TEXT, time INTEGER NOT NULL, PRIMARY KEY(job, file));"
    "CREATE TABLE IF NOT EXISTS quarantine(job TEXT NOT NULL, stream TEXT NOT NULL, sample INTEGER "
    "NOT NULL, path TEXT, reason TEXT,"
    " convicted INTEGER NOT NULL, time INTEGER NOT NULL, offset INTEGER NOT NULL DEFAULT -1, "
    "PRIMARY KEY(job, stream, sample)) WITHOUT "
    "ROWID;"
    "CREATE TABLE IF NOT EXISTS feed(id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, uid INTEGER "
    "NOT NULL, spec TEXT NOT NULL, manifest TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT "
    "ROWID;"
    /* What a collection leaves alone: blobs of uploads under way, packs of jobs. */
    "CREATE TEMP TABLE held(id TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TEMP TABLE pinned(manifest TEXT PRIMARY KEY) WITHOUT ROWID;";

/* From version 1: data sets had one version each and named their blobs themselves. */
static const char db_from_1[] =
    "INSERT OR IGNORE INTO version SELECT name, 1, kind, id, files, bytes, created, splits, 0, '' "
    "FROM dataset;"
    "INSERT OR IGNORE INTO manifest(id) SELECT DISTINCT id FROM dataset;"
    "INSERT OR IGNORE INTO holds SELECT m.number, b.blob, 0 FROM dataset_blob b JOIN dataset d ON "
    "d.name = b.dataset JOIN manifest m ON m.id = d.id;"
    "DROP TABLE dataset_blob;"
    "DROP TABLE dataset;";

/* From version 2: numbers of versions were used again. */
static const char db_from_2[] =
    "INSERT OR IGNORE INTO name SELECT name, MAX(version) FROM version GROUP BY name;";

/* From version 3: bad samples had no place in their files. */
static const char db_from_3[] =
    "ALTER TABLE quarantine ADD COLUMN offset INTEGER NOT NULL DEFAULT -1;";

static const struct {
    int version; /* a database of this one or an older one needs the step */
    const char *sql;
} db_steps[] = {{1, db_from_1}, {2, db_from_2}, {3, db_from_3}};

static int fail(struct db *db, int rc, const char *what, struct err *err)
{
    const char *text = db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
    int code = ERR_IO;
    switch (rc & 0xff) {
    case SQLITE_FULL: code = ERR_NO_SPACE; break;
    case SQLITE_NOMEM: code = ERR_NO_MEMORY; break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: code = ERR_CORRUPT; break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: code = ERR_BUSY; break;
    default: break;
    }
    return err_set(err, code, "database: %s: %s", what, text);
}

static int exec(struct db *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail(db, rc, "statement", err);
}

static int check_row(void *context, int n, char **values, char **names)
{
    (void)names;
    int *ok = context;
    *ok = n == 1 && values[0] != NULL && !strcmp(values[0], "ok");
    return 0;
}

static int read_version(struct db *db)
{
    sqlite3_stmt *statement = NULL;
    int version = 0;
    if (sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        version = sqlite3_column_int(statement, 0);
    }
    sqlite3_finalize(statement);
    return version;
}

/* Tables, the steps from an older version and its number in one transaction: a crash in between
 * leaves the database as it was. */
static int upgrade(struct db *db, const char *path, struct err *err)
{
    char number[64];
    const int version = read_version(db);
    if (version > DB_VERSION) { /* a newer program's database is not ours to write */
        return err_set(err, ERR_VERSION,
                       "the database %s has version %d, and this program knows up to %d; start the "
                       "newer program that wrote it",
                       path, version, DB_VERSION);
    }
    int rc = exec(db, db_pragmas, err);
    rc = rc < 0 ? rc : exec(db, "BEGIN IMMEDIATE", err);
    rc = rc < 0 ? rc : exec(db, db_schema, err);
    for (size_t i = 0; i < sizeof(db_steps) / sizeof(db_steps[0]) && rc >= 0; i++) {
        rc = version > 0 && version <= db_steps[i].version ? exec(db, db_steps[i].sql, err) : 0;
    }
    snprintf(number, sizeof(number), "PRAGMA user_version = %d", DB_VERSION);
    rc = rc < 0 ? rc : exec(db, number, err);
    return rc < 0 ? rc : db_commit(db, err);
}

int db_open(const char *path, struct db **ret, struct err *err)
{
    struct db *db = calloc(1, sizeof(*db));
    BUG_ON(db == NULL);
    int ok = 0;
    int rc = sqlite3_open_v2(
        path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(db->handle, 1);
        sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        rc = sqlite3_exec(db->handle, "PRAGMA quick_check(1)", check_row, &ok, NULL);
    }
    if (rc != SQLITE_OK) {
        rc = fail(db, rc, path, err);
    } else if (!ok) {
        rc = err_set(err, ERR_CORRUPT, "database %s: quick_check finds damage", path);
    } else {
        rc = upgrade(db, path, err);
    }
    for (int i = 0; rc >= 0 && i < DB_MAX_; i++) {
        int prepared = sqlite3_prepare_v3(db->handle, db_sql_table[i], -1,
                                          SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL);
        rc = prepared == SQLITE_OK ? 0 : fail(db, prepared, db_sql_table[i], err);
    }
    if (rc < 0) {
        db_close(db);
        return rc;
    }
    *ret = db;
    return 0;
}

void db_close(struct db *db)
{
    if (db == NULL) {
        return;
    }
    for (int i = 0; i < DB_MAX_; i++) {
        sqlite3_finalize(db->statements[i]);
    }
    sqlite3_close(db->handle);
    free(db);
}

static void bind(sqlite3_stmt *statement, const char *types, va_list ap)
{
    for (int i = 0; types[i] != '\0'; i++) {
        const char *text = NULL;
        switch (types[i]) {
        case 'i': sqlite3_bind_int64(statement, i + 1, va_arg(ap, int64_t)); break;
        case 'f': sqlite3_bind_double(statement, i + 1, va_arg(ap, double)); break;
        case 's':
            text = va_arg(ap, const char *);
            sqlite3_bind_text(statement, i + 1, text, -1, SQLITE_TRANSIENT);
            break;
        default: BUG("bind type '%c'", types[i]);
        }
    }
}

static int step_all(struct db *db, enum db_sql sql, db_row_fn *fn, void *context, struct err *err)
{
    sqlite3_stmt *statement = db->statements[sql];
    struct db_row row = {.statement = statement};
    int ret = 0;
    int rc = SQLITE_ROW;
    while (ret >= 0 && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        ret = fn != NULL ? fn(context, &row, err) : 0;
    }
    if (ret >= 0 && rc != SQLITE_DONE) {
        ret = fail(db, rc, "statement", err);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return ret < 0 ? ret : 0;
}

int db_run(struct db *db, enum db_sql sql, struct err *err, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    bind(db->statements[sql], types, ap);
    va_end(ap);
    return step_all(db, sql, NULL, NULL, err);
}

int db_each(struct db *db, enum db_sql sql, db_row_fn *fn, void *context, struct err *err,
            const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    bind(db->statements[sql], types, ap);
    va_end(ap);
    return step_all(db, sql, fn, context, err);
}

int db_take_int(void *context, const struct db_row *row, struct err *err)
{
    (void)err;
    *(int64_t *)context = db_int(row, 0);
    return 0;
}

int64_t db_int(const struct db_row *row, int column)
{
    return sqlite3_column_int64(row->statement, column);
}

double db_float(const struct db_row *row, int column)
{
    return sqlite3_column_double(row->statement, column);
}

const char *db_text(const struct db_row *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row->statement, column);
    return text != NULL ? (const char *)text : "";
}

int db_begin(struct db *db, struct err *err)
{
    return exec(db, "BEGIN IMMEDIATE", err);
}

int db_commit(struct db *db, struct err *err)
{
    int rc = exec(db, "COMMIT", err);
    if (rc < 0 && db_in_transaction(db)) {
        exec(db, "ROLLBACK", NULL);
    }
    return rc;
}

int db_savepoint(struct db *db, struct err *err)
{
    return exec(db, "SAVEPOINT task", err);
}

int db_release(struct db *db, int undo, struct err *err)
{
    if (!db_in_transaction(db)) {
        return err_set(err, ERR_IO, "database: the transaction was rolled back");
    }
    if (undo) {
        exec(db, "ROLLBACK TO task", NULL);
    }
    return exec(db, "RELEASE task", err);
}

int db_in_transaction(const struct db *db)
{
    return !sqlite3_get_autocommit(db->handle);
}
