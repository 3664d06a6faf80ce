#!/usr/bin/env python3
"""A commit's subject: `folder: what it does`, at most 72 columns, no full stop. The folder, or file, is one that it touches."""
import re
import subprocess

import lint

SUBJECT = re.compile(r"^([\w./-]+(?:, [\w./-]+)*): \S")
FREE = ("Merge ", "Revert ", "Initial commit")


def problem(subject, files):
    if subject.startswith(FREE):
        return None
    if len(subject) > 72:
        return f"{len(subject)} columns"
    match = SUBJECT.match(subject)
    if not match:
        return "no 'folder: ' in front"
    if subject.endswith("."):
        return "a full stop at the end"
    words = {part for file in files for part in re.split(r"[/.]", file) if part} | set(files)
    for word in re.split(r", |/", match.group(1)):
        if files and word not in words:
            return f"touches no '{word}'"
    return None


def violations(tree):
    try:
        log = lint.run("git", "log", "--no-merges", "--name-only", "--format=%x01%h%x02%s", "-n", "500", cwd=tree.root)
    except (OSError, subprocess.CalledProcessError):
        return  # a tarball has no history
    for entry in log.split("\x01")[1:]:
        head, *files = entry.strip().splitlines()
        commit, subject = head.split("\x02")
        found = problem(subject, [file for file in files if file])
        if found:
            yield f"{commit}: {found}: {subject}"


def control(_tree):
    bad = [
        ("x" * 80, []),
        ("base: " + "x" * 80, ["base/err.c"]),
        ("fixed things", ["base/err.c"]),
        ("base: fix things.", ["base/err.c"]),
        ("proto: fix things", ["base/err.c"]),
    ]
    good = [
        ("base: fix things", ["base/err.c"]),
        ("dev: add a command", ["dev"]),
        ("base, proto: move", ["base/a.c", "proto/b.c"]),
        ("kernel: speed up", ["trainer/kernel/conv.c"]),
    ]
    return [f"not found: {subject}" for subject, files in bad if not problem(subject, files)] + [
        f"found: {subject}" for subject, files in good if problem(subject, files)
    ]


if __name__ == "__main__":
    lint.main("commits", violations, control)
