#!/usr/bin/env python3
"""The golden runner on folders of its own: nested, read-only, with broken cases; closes with `N passed, N failed`."""
import json
import os
import re
import subprocess
import sys
import tempfile

GOOD = {"name": "good", "kind": "layer", "layer": "Rescaling", "config": {"scale": 2.0, "offset": 1.0},
        "input": {"dtype": "float32", "shape": [1, 2], "data": [1.0, 2.0]},
        "expected": {"dtype": "float32", "shape": [1, 2], "data": [3.0, 5.0]},
        "tolerance": {"rtol": 1e-6, "atol": 1e-6}}


def changed(**changes):
    return json.dumps({**GOOD, **changes})


WRONG = {"dtype": "float32", "shape": [1, 2], "data": [3.0, 5.1]}
ABSENT = {"dtype": "float32", "shape": [1, 2], "file": "absent.npy"}
# name, text of the case, (passed, failed, skipped), what the output says
CASES = [
    ("good", changed(), (1, 0, 0), None),
    ("wrong", changed(name="wrong", expected=WRONG), (0, 1, 0), "largest difference"),
    ("no file", changed(name="absent", expected=ABSENT), (0, 1, 0), "absent.npy"),
    ("no data", changed(input={"dtype": "float32", "shape": [1, 2]}), (0, 1, 0), "data"),
    ("no expected", changed(expected=None), (0, 1, 0), "good"),
    ("odd shape", changed(input={"dtype": "float32", "shape": [-1, 2], "data": []}), (0, 1, 0), "axis"),
    ("broken", '{"name": "broken", ', (0, 1, 0), "case.json"),
    ("empty", "", (0, 1, 0), "case.json"),
    ("unknown layer", changed(layer="Nowhere"), (0, 0, 1), "no such"),
    ("unknown kind", changed(kind="nothing"), (0, 0, 1), "no such part yet"),
    ("refused", changed(config={"scale": "x"}, expected_error=True), (1, 0, 0), None),
    ("not refused", changed(expected_error=True), (0, 1, 0), "not refused"),
    ("no case", '{"a": 1}', (0, 0, 0), None),
]


def run(golden, *arguments):
    done = subprocess.run([golden, *arguments], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", done.stdout, re.M)
    return done, tuple(int(n) for n in found.groups()) if found else None


def check_case(golden, root, case):
    name, text, want, says = case
    folder = os.path.join(root, name, "nested", "deep")
    os.makedirs(folder)
    with open(os.path.join(folder, "case.json"), "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(folder, 0o555)
    done, got = run(golden, os.path.join(root, name))
    os.chmod(folder, 0o755)
    if got != want or (says and says not in done.stdout) or done.returncode != (0 if want[0] and not want[1] else 1):
        return f"{name}: {got}, exit {done.returncode}, want {want} and '{says}': {done.stdout[:400]}"
    return None


def check_usage(golden, root):
    good = os.path.join(root, "good", "nested", "deep", "case.json")
    checks = [(["--backend=ref", good], 0), (["--backend=nothing", good], 2), ([os.path.join(root, "nowhere")], 2), ([], 2)]
    for arguments, want in checks:
        done, _ = run(golden, *arguments)
        if done.returncode != want:
            return f"{arguments}: exit {done.returncode}, want {want}"
    return None


def main(golden):
    with tempfile.TemporaryDirectory() as root:
        problems = [check_case(golden, root, case) for case in CASES] + [check_usage(golden, root)]
    for problem in filter(None, problems):
        print(problem)
    failed = sum(1 for problem in problems if problem)
    print(f"{len(problems) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
