#!/usr/bin/env python3
"""An object exports only names led by its file's name (op_text.c: op_, op_text_) or by folder and file (op/flip.c: op_flip),
and holds no writable data.

Const tables with pointers land in .data.rel.ro: nm calls them 'D', the section tells the truth.
"""
import json
import pathlib
import tempfile

import lint


def leads_of(path):
    """Names that a file may export: these, or these and an underscore in front of more."""
    words = path.stem.split("_")
    leads = {"_".join(words[:n]) for n in range(1, len(words) + 1)}
    parents = [part for part in path.parent.parts if part not in (".", "")]
    for n in range(len(parents)):
        leads.add("_".join(parents[n:] + [path.stem]))
    return leads


def symbols(obj):
    for line in lint.run("nm", "-f", "sysv", "--defined-only", str(obj)).splitlines():
        columns = [column.strip() for column in line.split("|")]
        if len(columns) == 7 and columns[3] in ("FUNC", "OBJECT"):
            yield columns[0], columns[2], columns[6]


def object_violations(path, obj):
    leads = leads_of(path)
    for name, kind, section in symbols(obj):
        if name == "main" or "asan" in name or name.startswith("__"):
            continue
        is_data = section.startswith((".data", ".bss", "*COM*")) and not section.startswith(".data.rel.ro")
        if is_data:
            yield f"{path}: writable global {name} in {section}"
        if kind.isupper() and kind not in ("W", "V") and not any(name == l or name.startswith(l + "_") for l in leads):
            yield f"{path}: exports {name}"


def violations(tree):
    """Every object of our folders, by the compiler's own list."""
    commands = json.loads((tree.build / "compile_commands.json").read_text(encoding="utf-8"))
    n = 0
    for command in commands:
        source = pathlib.Path(command["directory"], command["file"]).resolve()
        obj = pathlib.Path(command["directory"], command["output"])
        if tree.root in source.parents and obj.is_file():
            path = source.relative_to(tree.root)
            if path.parts[0] in lint.FOLDERS:
                n += 1
                yield from object_violations(path, obj)
    if n < 10:
        yield f"{tree.build}: only {n} objects; build first"


def control(tree):
    """slab_bad.c must be found for each of its names, slab_good.c not at all."""
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted((lint.HERE / "bad" / "symbols").glob("*.c")):
            obj = pathlib.Path(folder, source.stem + ".o")
            lint.run("cc", "-fPIC", "-c", str(source), "-o", str(obj))
            found = "\n".join(object_violations(pathlib.Path("proto") / source.name, obj))
            wanted = [] if "good" in source.name else ["exports lease_slab", "global slab_count", "global hidden"]
            missed += [f"{source.name}: no '{text}'" for text in wanted if text not in found]
            missed += [f"{source.name}: {found}"] if not wanted and found else []
    return missed


if __name__ == "__main__":
    lint.main("symbols", violations, control)
