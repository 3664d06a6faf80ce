#!/usr/bin/env python3
"""Each word of a family's meson list is a file with one documented descriptor, and its name occurs in a test.

pipeline/op/meson.build lists 'flip': pipeline/op/flip.c defines `const struct op_desc op_flip` with a name and a sentence of
help, and "RandomFlip" stands in a test (a row of the golden classes, a case, a job). Each option row has its sentence too.
"""
import os
import pathlib
import re

import lint

FAMILIES = (
    "pipeline/source", "pipeline/op", "pipeline/stage", "trainer/layer", "trainer/loss", "trainer/optimizer",
    "trainer/schedule", "trainer/metric", "trainer/callback",
)
LIST = re.compile(r"^\s*\w+\s*\+?=\s*(\[[^\]]*\]|'\w+'$)", re.M)
ROW = re.compile(r"\bOPT_\w+_ROW\s*\(")
SENTENCE = re.compile(r'\.(?:help|summary|sentence)\s*=\s*((?:"(?:\\.|[^"\\])*"\s*)+)')


def listed(tree, folder):
    """Words of the lists in the folder's meson.build that are files there."""
    path = tree.root / folder / "meson.build"
    if not path.is_file():
        return []
    text = re.sub(r"#[^\n]*", "", path.read_text(encoding="utf-8"))
    words = [word for found in LIST.findall(text) for word in re.findall(r"'([\w.]+)'", found)]
    return [word for word in words if not word.endswith(".c")]


def descriptors(text, family):
    """(symbol, name for users, sentence) of each descriptor in a file."""
    for match in re.finditer(rf"^const struct {family}_desc ({family}_\w+) = \{{(.*?)^\}};", text, re.M | re.S):
        body = match.group(2)
        name = re.search(r'\.name\s*=\s*"([^"]*)"', body)
        sentence = SENTENCE.search(body)
        yield match.group(1), name.group(1) if name else "", sentence.group(1) if sentence else ""


def option_rows(text):
    """(name, help) of the option rows; the help is the last plain text in the row."""
    for match in ROW.finditer(text):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        body = text[match.end() : end - 1]
        words = [word.strip() for word in body.split(",")]
        texts = re.findall(r'"((?:\\.|[^"\\])*)"', re.sub(r"\.\w+\s*=\s*\"[^\"]*\"", "", body))
        yield words[1] if len(words) > 1 else "?", texts[-1] if texts else ""


def golden_names(tree):
    """The golden runner finds the part that a case names: the names of ../shared's cases are tested by it. None without it."""
    top = pathlib.Path(os.environ.get("MILLRACE_SHARED") or tree.root.parent / "shared") / "golden"
    if not (tree.root / "tests" / "golden" / "main.c").is_file():
        return set()
    if not top.is_dir():
        return None
    names = set()
    for path in sorted(top.glob("*/INDEX.json")):
        names.update(re.findall(r'"layer": "(\w+)"', path.read_text(encoding="utf-8")))
    return names


def tested_names(tree):
    """All texts in the tests and examples; names stand there in quotes or as a key of a job file."""
    texts = []
    for folder in ("tests", "examples", "bench"):
        top = tree.root / folder
        for path in sorted(top.rglob("*")) if top.is_dir() else []:
            if path.is_file() and "lint" not in path.relative_to(tree.root).parts and path.suffix in (".c", ".h", ".py", ".yaml", ".json", ".sh"):
                texts.append(path.read_text(encoding="utf-8", errors="replace"))
    names = golden_names(tree)
    return None if names is None else set(re.findall(r"\w+", "\n".join(texts))) | names


def file_violations(path, text, family, word, tested):
    found = list(descriptors(text, family))
    if [symbol for symbol, _, _ in found] != [f"{family}_{word}"]:
        yield f"{path}: does not define just `const struct {family}_desc {family}_{word}`"
    for symbol, name, sentence in found:
        if not name:
            yield f"{path}: {symbol} has no name"
        elif tested is not None and name not in tested:
            yield f"{path}: no test names {name}"
        if len(sentence) < 12:
            yield f"{path}: {symbol} has no sentence of help"
    for name, sentence in option_rows(text):
        if len(sentence) < 6:
            yield f"{path}: option {name} has no sentence of help"


def violations(tree):
    tested = tested_names(tree)
    if tested is None:
        print("SKIP: no ../shared beside the repository: which parts its golden cases test is not known")
    for folder in FAMILIES:
        family = folder.split("/")[1]
        words = listed(tree, folder)
        for word in words:
            path = f"{folder}/{word}.c"
            if not (tree.root / path).is_file():
                yield f"{path}: is in the list of {folder}/meson.build and not there"
                continue
            yield from file_violations(path, tree.text(path), family, word, tested)
        for path in sorted((tree.root / folder).glob("*.c")) if words else []:
            text = path.read_text(encoding="utf-8")
            if path.stem not in words and re.search(rf"^const struct {family}_desc {family}_\w+ =", text, re.M):
                yield f"{folder}/{path.name}: has a descriptor and is not in the list"


if __name__ == "__main__":
    lint.main("tables", violations)
