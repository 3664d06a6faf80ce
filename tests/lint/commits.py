#!/usr/bin/env python3
"""A commit's subject: `folder: what it does`, at most 72 columns, no full stop."""
import re
import subprocess

import lint

SUBJECT = re.compile(r"^([\w./-]+(?:, [\w./-]+)*): \S")
FREE = ("Merge ", "Revert ", "Initial commit")


def problem(subject):
    if subject.startswith(FREE):
        return None
    if len(subject) > 72:
        return f"{len(subject)} columns"
    match = SUBJECT.match(subject)
    if not match:
        return "no 'folder: ' in front"
    if subject.endswith("."):
        return "a full stop at the end"
    return None


def violations(tree):
    try:
        log = lint.run("git", "log", "--no-merges", "--format=%h %s", "-n", "500", cwd=tree.root)
    except (OSError, subprocess.CalledProcessError):
        return  # a tarball has no history
    for line in log.splitlines():
        commit, _, subject = line.partition(" ")
        found = problem(subject)
        if found:
            yield f"{commit}: {found}: {subject}"


def control(_tree):
    bad = ["x" * 80, "base: " + "x" * 80, "fixed things", "base: fix things.", "base:fix things"]
    good = ["base: fix things", "dev: add a command", "base, proto: move", "tests/lint: speed up"]
    return [f"not found: {subject}" for subject in bad if not problem(subject)] + [
        f"found: {subject}" for subject in good if problem(subject)
    ]


if __name__ == "__main__":
    lint.main("commits", violations, control, strict=False)  # a clone may be shallow
