# SPDX-License-Identifier: MIT
"""Alternating runs and what comes of them. A machine that others use drifts by more than what is to
be seen, so two programs are only ever compared within one series in which they took turns."""

import statistics
import subprocess
import time
from dataclasses import dataclass, field


class Failed(Exception):
    """A command of a benchmark did not do what it should: no figure may come of that."""


def run(argv, env, cwd=None, timeout=1800):
    """Runs one command to its end. Its output is only wanted when it fails."""
    r = subprocess.run(
        [str(a) for a in argv],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout,
    )
    if r.returncode != 0:
        words = " ".join(str(a) for a in argv)
        raise Failed(f"{words}: exit {r.returncode}\n{r.stdout[-4000:]}")
    return r.stdout


@dataclass
class Side:
    """One of those that take turns: `run` is timed, `before` and `after` are not. What `run` returns,
    if anything, is its time by parts: {part: seconds}, for a run of which a part counts by itself."""

    name: str
    run: object
    before: object = None
    after: object = None
    seconds: list = field(default_factory=list)
    parts: dict = field(default_factory=dict)

    def once(self, keep):
        if self.before:
            self.before()
        try:
            start = time.perf_counter()
            parts = self.run()
            took = time.perf_counter() - start
        finally:
            if self.after:
                self.after()
        if keep:
            self.seconds.append(took)
            for part, seconds in parts.items() if isinstance(parts, dict) else ():
                self.parts.setdefault(part, []).append(seconds)


def alternate(n, *sides, warm=True):
    """`n` rounds in each of which every side runs once; who begins changes from round to round. One
    round more, at the start, is thrown away, unless being cold is the point."""
    if warm:
        for side in sides:
            side.once(keep=False)
    for k in range(n):
        for side in sides if k % 2 == 0 else reversed(sides):
            side.once(keep=True)


@dataclass
class Row:
    """A line of the table. The ratio is of medians, ours by the peer's: below 1 is faster."""

    work: str
    peer: str
    ours: list
    theirs: list
    unit: str = "s"

    @property
    def ratio(self):
        theirs = statistics.median(self.theirs)
        return statistics.median(self.ours) / theirs if theirs else float("inf")

    def as_json(self):
        return {
            "work": self.work,
            "peer": self.peer,
            "unit": self.unit,
            "ours": self.ours,
            "peers": self.theirs,
            "ours_median": statistics.median(self.ours),
            "peers_median": statistics.median(self.theirs),
            "ratio": self.ratio,
            "n": len(self.ours),
        }


def compare(work, ours, theirs, part=None):
    """The row of two sides that took turns; `part` is ours alone."""
    return Row(work, theirs.name, ours.parts[part] if part else ours.seconds, theirs.seconds)


def text_of(value, unit):
    if unit != "s":
        return f"{value:,.0f}"
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    return f"{value:.2f} s"


def ratio_of(ratio):
    if ratio < 0.5:
        return f"{ratio:.2g} (1/{1 / ratio:.{0 if ratio < 0.1 else 1}f})"
    return f"{ratio:.2f}"


def table(rows):
    lines = [
        "| work | peer | venvfs | peer's | ratio | n |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        ours, theirs = statistics.median(r.ours), statistics.median(r.theirs)
        lines.append(
            f"| {r.work} | {r.peer} | {text_of(ours, r.unit)} | {text_of(theirs, r.unit)} "
            f"| {ratio_of(r.ratio)} | {len(r.ours)} |"
        )
    return "\n".join(lines)


@dataclass
class Count:
    """Requests that the daemon got while something ran once: by opcode, and READs of store files."""

    work: str
    requests: dict
    store_reads: int
    source: str  # "strace", or "status" where strace may not attach

    def as_json(self):
        return {
            "work": self.work,
            "requests": self.requests,
            "store_reads": self.store_reads,
            "source": self.source,
        }


def count_table(counts):
    lines = ["| work | requests | READ of store files | seen by |", "|---|---|---|---|"]
    for c in counts:
        requests = ", ".join(f"{n:,} {op}" for op, n in sorted(c.requests.items(), key=by_number))
        reads = "?" if c.store_reads is None else f"{c.store_reads:,}"
        lines.append(f"| {c.work} | {requests or 'none'} | {reads} | {c.source} |")
    return "\n".join(lines)


def by_number(item):
    return -item[1], item[0]
