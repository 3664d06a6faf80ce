#!/usr/bin/env python3
"""No call of functions that overflow, block, depend on the locale, on the CPU or on the clock on the wall."""
import re

import lint

ANYWHERE = {
    "strcpy|strcat|sprintf|vsprintf|gets|strncpy|strncat": "unbounded, or not terminated: snprintf, memcpy",
    "strtok": "keeps state",
    "atoi|atol|atoll|atof|strtod|strtof|strtold|strtol|strtoll|strtoul|strtoull": "doc_parse_int, doc_parse_float",
    "rand|srand|random|srandom|drand48|lrand48": "base/rng.h",
    "system|popen": "runs a shell",
    "alloca": "no bound",
    "sleep|usleep": "wait on an event",
    "localtime|localtime_r|gmtime|ctime|asctime|time|gettimeofday|clock": "base/clock.h",
    "strerror": "err_errno",
    "assert": "BUG_ON",
    "setlocale": "locale-free",
    "mktemp|tmpnam|tempnam": "base/file.h",
}
# folders: functions: instead
IN = {
    ("base", "proto", "pipeline"): {"printf|fprintf|vfprintf|puts|fputs|putchar|perror|exit": "libraries return errors"},
    ("pipeline",): {
        "(exp|exp2|expm1|log|log2|log10|log1p|sin|cos|tan|asin|acos|atan|atan2|sinh|cosh|tanh|pow|cbrt|hypot|erf)[fl]?":
            "other bits on another CPU: base/math.h",
        "fma|fmaf|_mm\\w*_f?n?m(add|sub)_\\w+": "other bits than the plain code",
    },
    ("base", "proto", "pipeline", "trainer", "workers", "daemon"): {"clock_gettime": "base/clock.h"},
}
DECLARATION = re.compile(r"^\s*typedef\s+(?:const\s+)?struct\s+\w*\s*(?:\{|\w+\s*;)", re.M)


def calls(text, names):
    for match in re.finditer(rf"(?<![\w.>])(?:{names})\s*\(", text):
        yield match.group(0).rstrip("( \t\n"), text.count("\n", 0, match.start()) + 1


def violations(tree):
    for path in tree.files("*.[ch]"):
        text = lint.without_comments(tree.text(path))
        rules = dict(ANYWHERE)
        for folders, more in IN.items():
            if path.parts[0] in folders:
                rules.update(more)
        for names, instead in rules.items():
            for name, line in calls(text, names):
                yield f"{path}: {name} in line {line}: {instead}"
        for match in DECLARATION.finditer(text):
            yield f"{path}: typedef of a struct in line {text.count(chr(10), 0, match.start()) + 1}"


if __name__ == "__main__":
    lint.main("banned", violations)
