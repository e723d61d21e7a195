# SPDX-License-Identifier: MIT
"""Run by the CPython under test: its own test modules, in the current directory. Writes {test: result} as JSON,
where a result is "ok", "skipped", or what went wrong.

    python cpython.py OUTPUT test_os test_shutil ...
"""

import json
import sys
import unittest

from test import support

support.use_resources = ["cpu", "subprocess", "walltime"]  # no network, no files of gigabytes


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.all = {}

    def startTest(self, test):
        super().startTest(test)
        self.all.setdefault(test.id(), "ok")

    def note(self, test, err):
        kind, value, _ = err
        self.all[test.id()] = f"{kind.__name__}: {value}".strip()[-4000:]

    def addError(self, test, err):  # also of setUpClass() and the like
        super().addError(test, err)
        self.note(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.note(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.all[test.id()] = "skipped"

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.all[test.id()] = "unexpected success"


def main():
    output, *modules = sys.argv[1:]
    result = Result()
    for module in modules:
        unittest.defaultTestLoader.loadTestsFromName(f"test.{module}").run(result)
    with open(output, "w") as f:
        json.dump(result.all, f)


if __name__ == "__main__":
    main()
