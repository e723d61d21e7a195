# SPDX-License-Identifier: MIT
"""One command in a throw-away environment, where store and cache have everything."""

from measure import Side, alternate, compare
from peers import Uv

CODE = "pass"


def throwaway(world, n):
    world.full_store()
    uv = Uv(world)
    uv.warm()
    rows = []
    with world.mount() as mount:
        for what, pins in (("sci", world.sci), ("one distribution", one(world))):
            ours = Side("venvfs run --from", lambda pins=pins: world.ours(
                "run", "--root", mount.path, "--python", world.python, "--from", pins, "--", "python", "-c", CODE))
            theirs = Side("uv run --with-requirements", lambda pins=pins: uv(
                "run", "--no-project", "--python", world.python, "--no-index", "--find-links", world.wheels,
                "--with-requirements", pins, "--", "python", "-c", CODE))
            bare = Side("the interpreter alone", lambda: world.run(world.python, "-c", CODE))
            alternate(n, ours, theirs, bare)
            rows += [compare(f"run a command with {what}", ours, theirs), compare(f"the same, {what}", ours, bare)]
    return rows, []


def one(world):
    """The first pin of sci with its hashes."""
    lines = []
    for line in world.sci.read_text().splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        lines.append(line)
        if not line.rstrip().endswith("\\"):
            break
    path = world.tmp / "one.txt"
    path.write_text("\n".join(lines) + "\n")
    return path
