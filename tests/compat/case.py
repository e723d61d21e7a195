# SPDX-License-Identifier: MIT
"""What a case is: a function that works in a Side with one tool, and a line of the table."""

from dataclasses import dataclass

CASES = []


@dataclass
class Case:
    name: str
    tool: str  # whose version stands in the table
    what: str
    differs: str  # why it does not come out as natively, where it does not
    run: object


def case(tool, what, differs=""):
    def add(function):
        CASES.append(Case(function.__name__.replace("_", "-"), tool, what, differs, function))
        return function

    return add
