#!/usr/bin/env python3
"""Sums up the testlog.json files of meson: prints `N passed, N failed[, N skipped]` as its last line.

A program that prints check's summary ("Checks: 12, Failures: 0, Errors: 0") or a line "N passed, N failed" counts with its
cases, any other one counts as one. A case that prints "SKIP: why" is skipped. Under CI a skip for the missing ../shared
is a failure: there it must be there.
"""
import json
import os
import re
import sys

CHECK = re.compile(r"Checks: (\d+), Failures: (\d+), Errors: (\d+)")
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
SKIP = re.compile(r"^SKIP: (.*)$", re.M)


def count(test, is_ci):
    """(passed, failed, skipped, reasons) of one test program."""
    output = test.get("stdout", "") + "\n" + test.get("stderr", "")
    result = test["result"]
    reasons = SKIP.findall(output)
    refused = [why for why in reasons if is_ci and "shared" in why]
    if result == "SKIP":
        return (0, 1, 0, refused) if refused else (0, 0, 1, reasons or ["no reason given"])
    if result in ("EXPECTEDFAIL", "UNEXPECTEDPASS"):
        return (1, 0, 0, []) if result == "EXPECTEDFAIL" else (0, 1, 0, [])
    passed = failed = skipped = 0
    for checks, failures, errors in CHECK.findall(output):
        failed += int(failures) + int(errors)
        passed += int(checks) - int(failures) - int(errors)
    for good, bad, left in COUNTS.findall(output):
        passed, failed, skipped = passed + int(good), failed + int(bad), skipped + int(left or 0)
    if passed + failed + skipped == 0:
        passed = 1
    passed = max(0, passed - len(reasons))
    skipped += len(reasons) - len(refused)
    failed += len(refused)
    if result != "OK" and failed == 0:
        failed = 1  # it died, or ran out of time
        passed = max(0, passed - 1)
    return passed, failed, skipped, reasons


def main(paths):
    is_ci = bool(os.environ.get("CI"))
    totals = [0, 0, 0]
    for path in paths:
        build = os.path.basename(path).split(".")[0].split("-")[-1]
        with open(path, encoding="utf-8") as file:
            for line in file:
                test = json.loads(line)
                *numbers, reasons = count(test, is_ci)
                totals = [a + b for a, b in zip(totals, numbers)]
                for why in reasons:
                    print(f"skipped in {build}: {test['name']}: {why}")
                if numbers[1]:
                    print(f"failed in {build}: {test['name']}: {numbers[1]} of {sum(numbers)}")
    passed, failed, skipped = totals
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
