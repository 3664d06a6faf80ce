"""What all lints share: the tree, the exceptions, the negative control, the summary.

A lint is a script `NAME.py` with `violations(tree)`, a generator of texts "path: what is wrong". It runs over the repository,
where nothing may be found but what exceptions.txt allows, and over `bad/NAME/`, a tiny tree in which every file whose
name does not hold `good` must be found: a lint that finds nothing there is broken.
"""
import fnmatch
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
FOLDERS = ("base", "proto", "pipeline", "workers", "trainer", "daemon", "client")


class Tree:
    """The C files of a source tree, and its build folder."""

    def __init__(self, root, build=None):
        self.root = pathlib.Path(root).resolve()
        self.build = pathlib.Path(build).resolve() if build else None

    def files(self, pattern, folders=FOLDERS):
        """Paths relative to the root, ordered."""
        for folder in folders:
            top = self.root / folder
            if top.is_dir():
                yield from (path.relative_to(self.root) for path in sorted(top.rglob(pattern)))

    def text(self, path):
        return (self.root / path).read_text(encoding="utf-8")


def without_comments(text):
    """The C text with comments and the insides of literals blanked; lines stay where they are."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[0]
        return re.sub(r"[^\n]", " ", found)

    return pattern.sub(blank, text)


def exceptions(name):
    """Lines `LINT: how a violation begins # reason` of exceptions.txt; `*` stands for anything."""
    for line in (HERE / "exceptions.txt").read_text(encoding="utf-8").splitlines():
        rule, _, reason = line.partition("#")
        lint, _, text = rule.partition(":")
        if lint.strip() == name and text.strip():
            if not reason.strip():
                sys.exit(f"exceptions.txt: no reason for {text.strip()}")
            yield text.strip()


def main(name, violations, control=None, strict=True):
    tree = Tree(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    allowed = list(exceptions(name))
    used = set()
    bad = []
    for text in violations(tree):
        hits = [rule for rule in allowed if fnmatch.fnmatchcase(text, rule + "*")]
        used.update(hits)
        if not hits:
            bad.append(text)
    if strict:
        bad += [f"exceptions.txt: '{rule}' is not needed any more" for rule in allowed if rule not in used]
    for text in bad:
        print(text)
    passed, failed = (0, 1) if bad else (1, 0)
    missed = control(tree) if control else control_by_file(name, violations)
    for text in missed:
        print(f"negative control: {text}")
    print(f"{passed + (0 if missed else 1)} passed, {failed + (1 if missed else 0)} failed")
    sys.exit(1 if bad or missed else 0)


def control_by_file(name, violations):
    """Files of bad/NAME that were not found, and good ones that were."""
    top = HERE / "bad" / name
    found = list(violations(Tree(top)))
    missed = []
    files = [path.relative_to(top) for path in sorted(top.rglob("*")) if path.suffix in (".c", ".h")]
    if not files:
        return [f"{top} is empty"]
    for path in files:
        is_found = any(text.startswith(str(path)) for text in found)
        if is_found == ("good" in path.name):
            missed.append(f"{path} is {'found' if is_found else 'not found'}")
    return missed


def run(*command, cwd=None):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout
