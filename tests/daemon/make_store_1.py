#!/usr/bin/env python3
"""Writes tests/daemon/store-1: a state folder as the first version of the store left it (schema version 1)."""
import hashlib
import json
import pathlib
import shutil
import sqlite3

HERE = pathlib.Path(__file__).parent / "store-1"
SCHEMA = """
CREATE TABLE dataset(name TEXT PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, files INTEGER NOT NULL,
 bytes INTEGER NOT NULL, created INTEGER NOT NULL, splits TEXT NOT NULL);
CREATE TABLE dataset_blob(dataset TEXT NOT NULL, blob TEXT NOT NULL, PRIMARY KEY(dataset, blob)) WITHOUT ROWID;
CREATE INDEX dataset_blob_blob ON dataset_blob(blob);
CREATE TABLE job(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, key TEXT, state TEXT NOT NULL,
 code INTEGER NOT NULL, reason TEXT, reason_path TEXT, created INTEGER, started INTEGER, ended INTEGER, datasets TEXT,
 model_from TEXT, settings TEXT, plan TEXT, progress TEXT, result TEXT, last_seq INTEGER NOT NULL, restarts INTEGER NOT NULL);
CREATE UNIQUE INDEX job_key ON job(key) WHERE key IS NOT NULL;
CREATE TABLE event(job TEXT NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL,
 data TEXT NOT NULL, PRIMARY KEY(job, seq)) WITHOUT ROWID;
CREATE TABLE epoch(job TEXT NOT NULL, epoch INTEGER NOT NULL, metrics TEXT NOT NULL, time INTEGER NOT NULL,
 PRIMARY KEY(job, epoch)) WITHOUT ROWID;
CREATE TABLE checkpoint(job TEXT NOT NULL, file TEXT NOT NULL, epoch INTEGER, step INTEGER, global_step INTEGER,
 reason TEXT, tensors TEXT, time INTEGER NOT NULL, PRIMARY KEY(job, file));
CREATE TABLE quarantine(job TEXT NOT NULL, stream TEXT NOT NULL, sample INTEGER NOT NULL, path TEXT, reason TEXT,
 convicted INTEGER NOT NULL, time INTEGER NOT NULL, PRIMARY KEY(job, stream, sample)) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def content(number):
    """The bytes of fixture_content(number, 200, 1)."""
    return bytes((i * 31 + number * 7 + 13 + (i >> 11)) & 0xFF for i in range(200))


def blake(data):
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    (HERE / "datasets").mkdir(parents=True)
    db = sqlite3.connect(HERE / "state.db")
    db.execute("PRAGMA page_size = 512")
    db.executescript(SCHEMA)
    for name, numbers in (("old", range(3)), ("older", range(2))):
        files = []
        for number in numbers:
            data = content(number)
            path = HERE / "blobs" / blake(data)[:2] / blake(data)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            files.append({"bytes": len(data), "id": blake(data), "path": f"train-{number:04d}-ubyte"})
            db.execute("INSERT OR IGNORE INTO dataset_blob VALUES(?, ?)", (name, blake(data)))
        text = json.dumps({"files": files, "kind": "idx"}, sort_keys=True, separators=(",", ":"))
        (HERE / "datasets" / f"{blake(text.encode())}.json").write_text(text)
        db.execute("INSERT INTO dataset VALUES(?, 'idx', ?, ?, ?, ?, ?)",
                   (name, blake(text.encode()), len(files), 200 * len(files), 1700000000000000, f'{{"train":{len(files)}}}'))
    db.execute("INSERT INTO job(number, id, name, state, code, created, datasets, settings, last_seq, restarts) "
               "VALUES(1, 'was-1', 'was', 'cancelled', 0, 1700000000000000, '[]', '{}', 0, 0)")
    db.commit()
    db.execute("VACUUM")
    db.close()


main()
