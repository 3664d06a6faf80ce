#!/usr/bin/env python3
"""The programs of a release have no test op: no file of pipeline/op with OP_TEST is a row of a release build's table.

A release build is configured as ./dev does it, and the rows are read that meson wrote for op_table.c.
"""
import re
import shlex
import tempfile

import lint


def test_ops(tree):
    """Files' names of the ops that only tests need."""
    return {path.stem for path in (tree.root / "pipeline" / "op").glob("*.c") if "OP_TEST" in path.read_text(encoding="utf-8")}


def rows(build):
    """The ops in the table of a configured build folder."""
    with open(f"{build}/pipeline/op/op_rows.h", encoding="utf-8") as file:
        return set(re.findall(r"OP_ROW\((\w+)\)", file.read()))


def release_rows(tree):
    """The same with what ./dev gives meson for `build release`."""
    options = re.search(r"^ *release\) options=\((.*?)\)", tree.text("dev"), re.M | re.S).group(1)
    with tempfile.TemporaryDirectory() as folder:
        lint.run("meson", "setup", *shlex.split(options), folder, str(tree.root))
        return rows(folder)


def violations(tree):
    found = release_rows(tree)
    if not found:
        yield "pipeline/op/meson.build: a release has no ops"
    for op in sorted(found & test_ops(tree)):
        yield f"pipeline/op/{op}.c: a test op in a release"


def control(tree):
    """This build, with tests, has them all."""
    missed = test_ops(tree) - rows(tree.build)
    return [f"{op} is not found in a build with tests" for op in sorted(missed)] + ([] if test_ops(tree) else ["no test ops"])


if __name__ == "__main__":
    lint.main("release", violations, control)
