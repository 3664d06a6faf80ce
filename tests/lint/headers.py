#!/usr/bin/env python3
"""A header begins with `/* NAME - what it is`, and its guard is FOLDER_NAME_H. Lists that are read several times have none."""
import re

import lint


def violations(tree):
    for path in tree.files("*.h", lint.FOLDERS + ("tests",)):
        if "lint/bad" in str(path):
            continue
        text = tree.text(path)
        if re.search(r"[Nn]o include[\s*]+guard on purpose", text):
            continue
        if not re.match(rf"/\* {re.escape(path.stem)} - \S", text):
            yield f"{path}: does not begin with `/* {path.stem} - what it is`"
        folder = re.sub(r"\W", "_", path.parent.name).upper()
        stem = re.sub(r"\W", "_", path.stem).upper()
        guards = re.findall(r"^#ifndef (\w+)\n#define (\w+)$", text, re.M)
        whole = re.sub(r"\W", "_", str(path)).upper()
        if not guards or guards[0][0] != guards[0][1] or guards[0][0] not in (f"{folder}_{stem}_H", whole):
            yield f"{path}: its guard is not {whole}"


if __name__ == "__main__":
    lint.main("headers", violations)
