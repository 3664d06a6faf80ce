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


def symbols(objects):
    """For each object (name, kind, section) of what it defines; one nm for all of them, as there are hundreds."""
    found = {str(obj): [] for obj in objects}
    obj = str(objects[0])
    for line in lint.run("nm", "-f", "sysv", "--defined-only", *found).splitlines():
        if line.startswith("Symbols from "):
            obj = line[len("Symbols from ") : -1]
        columns = [column.strip() for column in line.split("|")]
        if len(columns) == 7 and columns[3] in ("FUNC", "OBJECT"):
            found[obj].append((columns[0], columns[2], columns[6]))
    return found


def object_violations(path, defined):
    leads = leads_of(path)
    for name, kind, section in defined:
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
    paths = {}
    for command in commands:
        source = pathlib.Path(command["directory"], command["file"]).resolve()
        obj = pathlib.Path(command["directory"], command["output"])
        if tree.root in source.parents and obj.is_file():
            path = source.relative_to(tree.root)
            if path.parts[0] in lint.FOLDERS:
                paths[str(obj)] = path
    if len(paths) < 10:
        yield f"{tree.build}: only {len(paths)} objects; build first"
        return
    for obj, defined in symbols(list(paths)).items():
        yield from object_violations(paths[obj], defined)


def control(tree):
    """slab_bad.c must be found for each of its names, slab_good.c not at all."""
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted((lint.HERE / "bad" / "symbols").glob("*.c")):
            obj = pathlib.Path(folder, source.stem + ".o")
            lint.run("cc", "-fPIC", "-c", str(source), "-o", str(obj))
            found = "\n".join(object_violations(pathlib.Path("proto") / source.name, symbols([obj])[str(obj)]))
            wanted = [] if "good" in source.name else ["exports lease_slab", "global slab_count", "global hidden"]
            missed += [f"{source.name}: no '{text}'" for text in wanted if text not in found]
            missed += [f"{source.name}: {found}"] if not wanted and found else []
    return missed


if __name__ == "__main__":
    lint.main("symbols", violations, control)
