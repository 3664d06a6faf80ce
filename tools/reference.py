#!/usr/bin/env python3
"""Writes docs/reference from what the programs of a build folder print, or with --check says where the pages differ.

usage: reference.py BUILD [--check]
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def pages(build):
    """(file's name, text) of every page that the programs make."""
    yield "millrace.md", run(build / "client" / "millrace", "--reference")
    yield "millraced.md", run(build / "daemon" / "millraced", "--reference")
    for program in (build / "workers" / "millrace-worker", build / "trainer" / "millrace-trainer"):
        if program.is_file() and "--reference" in run(program, "--help"):
            for name in run(program, "--reference=list").split():
                yield f"{name}.md", run(program, f"--reference={name}")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    check = "--check" in sys.argv[2:]
    wrong = []
    found = dict(pages(build))
    PAGES.mkdir(exist_ok=True)
    for name, text in found.items():
        path = PAGES / name
        if check and (not path.is_file() or path.read_text(encoding="utf-8") != text):
            wrong.append(f"docs/reference/{name} is not what the program prints")
        elif not check:
            path.write_text(text, encoding="utf-8")
    for path in PAGES.glob("*.md"):
        if path.name not in found and path.name != "README.md":
            wrong.append(f"docs/reference/{path.name} is made by no program")
    print("".join(f"{line}; run tools/reference.py {sys.argv[1]}\n" for line in wrong), end="")
    print(f"{len(found) - min(len(wrong), len(found))} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
