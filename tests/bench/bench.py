# SPDX-License-Identifier: MIT
"""Measures venvfs beside its peers and prints the tables of docs/benchmarks.md.

    make bench
    make bench BENCH_FLAGS="--quick make clone"

$VENVFS is the program under test (default: ./venvfs beside the sources). Everything happens in a
temporary directory with a store, a root and caches of its own; what it mounts it unmounts."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import work_dissolve  # noqa: E402
import work_envs  # noqa: E402
import work_import  # noqa: E402
import work_install  # noqa: E402
import work_run  # noqa: E402
import work_store  # noqa: E402
from measure import Failed, count_table, table  # noqa: E402
from world import SOURCES, World  # noqa: E402

WORKS = {
    "make": (work_envs.make, "make an environment from what store and cache have"),
    "clone": (work_envs.clone, "clone it"),
    "remove": (work_envs.remove, "delete it"),
    "dissolve": (work_dissolve.dissolve, "environments that go, by rm, rmtree and --clear; a loop of 1,000"),
    "empty": (work_envs.empty, "make an environment with pip alone"),
    "requests": (work_import.ask, "what an import asks the daemon, by strace"),
    "warm": (work_import.warm, "import where everything is warm"),
    "first": (work_import.first, "import in an environment that is new"),
    "install": (work_install.install, "installers into an environment, and the harvest behind them"),
    "run": (work_run.throwaway, "a command in a throw-away environment"),
    "add": (work_store.add, "wheels into an empty store"),
    "online": (work_store.online, "from the index into an empty store (with --online)"),
}


def arguments():
    p = argparse.ArgumentParser(
        prog="bench.py",
        description="Measures venvfs beside uv and others; prints tables in Markdown.",
        epilog="works: " + "; ".join(f"{name}: {text}" for name, (_, text) in WORKS.items()),
    )
    p.add_argument("works", nargs="*", metavar="WORK", help="which works to run (default: all)")
    p.add_argument("-n", type=int, help="rounds, in each of which every side runs once (default 9)")
    p.add_argument("--quick", action="store_true", help="three rounds: to see that it runs")
    p.add_argument("--online", action="store_true", help="also what downloads from the index")
    p.add_argument("--json", metavar="FILE", help="write every single figure to FILE")
    p.add_argument("--dir", metavar="DIR", help="where to work (default: $TMPDIR, else /tmp)")
    a = p.parse_args()
    unknown = [w for w in a.works if w not in WORKS]
    if unknown:
        p.error(f"no work is called {unknown[0]}; there are {', '.join(WORKS)}")
    if a.n is not None and a.n < 1:
        p.error("-n takes a number of rounds")
    a.n = a.n or (3 if a.quick else 9)
    a.online = a.online or "online" in a.works
    a.works = a.works or list(WORKS)
    return a


def machine(world):
    memory = next(line for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    file_system = subprocess.check_output(
        ["findmnt", "-no", "FSTYPE", "-T", str(world.tmp)], text=True
    ).strip()
    return {
        "venvfs": world.run(world.venvfs, "--version").split()[-1],
        "commit": commit(),
        "uv": world.run(world.tools / "uv", "--version").split()[1],
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory.split()[1]) / 2**20, 1),
        "file_system": file_system,
        "date": time.strftime("%Y-%m-%d"),
    }


def commit():
    r = subprocess.run(
        ["git", "-C", str(SOURCES), "describe", "--always", "--dirty"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return r.stdout.strip() or None


def run_works(world, args):
    rows, counts, failed = [], [], []
    for name in args.works:
        if name == "online" and not args.online:
            continue
        print(f"bench: {name}: {WORKS[name][1]}", file=sys.stderr, flush=True)
        start = time.monotonic()
        try:
            more_rows, more_counts = WORKS[name][0](world, args.n)
        except Failed as e:
            # The other works are worth having; that this one is missing must show.
            failed.append(name)
            print(f"bench: {name} failed: {e}", file=sys.stderr, flush=True)
            continue
        rows += more_rows
        counts += more_counts
        if more_rows:
            print(table(more_rows), file=sys.stderr)
        if more_counts:
            print(count_table(more_counts), file=sys.stderr)
        print(f"bench: {name} took {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return rows, counts, failed


def stop(_signal, _frame):
    raise SystemExit(130)  # through every `with`, so that all is unmounted


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    try:
        with World(os.environ.get("VENVFS") or SOURCES / "venvfs", args.dir) as world:
            facts = machine(world)
            rows, counts, failed = run_works(world, args)
    except (Failed, OSError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    print(
        "venvfs {venvfs} ({commit}), uv {uv}, Python {python}, Linux {kernel}, {cores} cores, "
        "{memory_gib} GiB, {file_system}, {date}\n".format(**facts)
    )
    if rows:
        print(table(rows))
    if counts:
        print(("\n" if rows else "") + count_table(counts))
    if args.json:
        result = {
            "machine": facts,
            "rows": [r.as_json() for r in rows],
            "requests": [c.as_json() for c in counts],
            "failed": failed,
        }
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
