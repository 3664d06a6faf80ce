#!/usr/bin/env python3
"""The runner of hostile files must find what it is there for: a crash, a hang, memory, wrong verdicts, wrong counts."""
import json
import pathlib
import subprocess
import sys
import tempfile

CSV = "id,label\n1,a\n2,b\n"
SCHEMA = {"columns": [["id", "i64"], ["label", "str"]], "header": True}
ACCEPT, REJECT = {"verdict": "accept"}, {"verdict": "reject", "errors": ["corrupt"]}
# format, content, entry, does it pass
CASES = [
    ("control", "a", {"strict": ACCEPT}, True),
    ("control", "r", {"strict": REJECT}, True),
    ("control", "r", {"strict": ACCEPT}, False),
    ("control", "r", {"strict": ACCEPT, "also": ["corrupt"]}, True),
    ("control", "a", {"strict": REJECT}, False),
    ("control", "c", {"strict": {"verdict": "either"}}, False),
    ("control", "h", {"strict": {"verdict": "either"}, "max_seconds": 1}, False),
    ("control", "m", {"strict": ACCEPT, "max_rss_growth": 1 << 26}, False),
    ("control", "o", {"strict": {"verdict": "either"}}, False),
    ("csv", CSV, {"strict": {**ACCEPT, "rows": 2, "columns": 2}, "schema": SCHEMA}, True),
    ("csv", CSV, {"strict": {**ACCEPT, "rows": 3}, "schema": SCHEMA}, False),
    ("csv", CSV + "x,c\n", {"strict": {"verdict": "reject", "errors": ["value"]}, "schema": SCHEMA, "error_line": 4}, True),
    ("csv", CSV + "x,c\n", {"strict": {"verdict": "reject", "errors": ["value"]}, "schema": SCHEMA, "error_line": 3}, False),
    ("http", "GET /", {"strict": REJECT}, None),
]


def run(hostile, cases):
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for i, (form, content, entry, _) in enumerate(cases):
            pathlib.Path(folder, str(i)).write_text(content)
            files.append({"path": str(i), "format": form, **entry})
        pathlib.Path(folder, "manifest.json").write_text(json.dumps({"limits": {"worker_seconds": 10}, "files": files}))
        done = subprocess.run([hostile, folder], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1], done.stdout


def main():
    wrong = 0
    for case in CASES:
        code, last, out = run(sys.argv[1], [case])
        want = {True: "1 passed, 0 failed", False: "0 passed, 1 failed",
                None: "0 passed, 0 failed"}[case[3]]
        if last != want or code != (case[3] is False) or (case[3] is None and "skipped: 1 files" not in out):
            wrong += 1
            print(f"FAILED {case}: {code} {out}")
    soft = ("control", "r", {"strict": {"verdict": "reject", "errors": ["limit"]}}, True)
    code, last, out = run(sys.argv[1], [soft])
    if code != 1 or last != "1 passed, 1 failed":
        wrong += 1
        print(f"FAILED a class that is not named: {out}")
    code, _, _ = run(sys.argv[1], [CASES[0]] * 3)
    wrong += code != 0
    print(f"{len(CASES) + 2 - wrong} passed, {wrong} failed")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
