#!/usr/bin/env python3
"""Functions of at most 60 lines (numeric kernels 100), files of 800, headers of 200."""
import re

import lint

FUNCTION, KERNEL, FILE, HEADER = 60, 100, 800, 200
NUMERIC = ("trainer/kernel/", "pipeline/op/", "pipeline/vec")


def functions(text):
    """(name, number of lines) of each function body: what stands between `{` and `}` in the first column."""
    lines = lint.without_comments(text).splitlines()
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line.startswith("}") and start is not None:
            head = start - 1
            while head > 0 and (lines[head].startswith(" ") or "(" not in lines[head]):
                head -= 1
            found = re.search(r"(\w+)\s*\(", lines[head])
            yield (found.group(1) if found else "?"), i - start - 1
            start = None


def violations(tree):
    for path in tree.files("*.[ch]", lint.FOLDERS + ("tests", "bench")):
        if "lint/bad" in str(path):
            continue
        text = tree.text(path)
        n_lines = text.count("\n")
        limit = HEADER if path.suffix == ".h" else FILE
        if n_lines > limit:
            yield f"{path}: {n_lines} lines, more than {limit}"
        limit = KERNEL if str(path).startswith(NUMERIC) else FUNCTION
        for name, n in functions(text):
            if n > limit:
                yield f"{path}: {name} has {n} lines, more than {limit}"


if __name__ == "__main__":
    lint.main("size", violations)
