# SPDX-License-Identifier: MIT
"""Environments that go, by what people and tools do: rm, shutil.rmtree, a new environment in place."""

import shutil

from measure import Side, alternate, compare
from peers import Uv, seeds


class Going:
    """One way for an environment to go, ours and uv's with the same distributions in it."""

    def __init__(self, world, mount, uv, what, run, look):
        self.world, self.what = world, what
        self.here, self.there = mount / "go", world.tmp / "go"
        self.look = look
        self.ours = self.side("venvfs", run, self.here, world.create)
        self.theirs = self.side("uv's, natively", run, self.there, uv.create)

    def side(self, name, run, path, create):
        return Side(name, lambda: run(path), lambda: self.before(path, create), self.after)

    def before(self, path, create):
        create(path, self.world.sci)
        self.look(path)
        self.world.sync()

    def after(self):
        """Of --clear an environment is left."""
        self.world.remove(self.here)
        self.world.remove(self.there)

    def row(self, n):
        alternate(n, self.ours, self.theirs)
        return compare(self.what, self.ours, self.theirs)


def dissolve(world, n):
    world.full_store()
    uv = Uv(world)
    uv.warm()
    ways = {
        "rm -rf": lambda p: world.run("rm", "-rf", p),
        "shutil.rmtree": shutil.rmtree,
        "venv --clear --without-pip": lambda p: world.run(world.python, "-m", "venv", "--clear", "--without-pip", p),
        "uv venv --clear": lambda p: uv("venv", "--clear", "--python", world.python, p),
    }
    looks = {"": world.ls, ", after a find through all of it": lambda p: world.run("find", p)}
    rows = []
    with world.mount() as mount:
        for label, look in looks.items():
            for way, run in ways.items():
                rows.append(Going(world, mount, uv, f"{way} of sci{label}", run, look).row(n))
        rows += many(world, mount, uv, n)
    return rows, []


def many(world, mount, uv, n):
    """A thousand small ones, by rmtree in one process."""
    wheels = seeds(world)
    if not wheels:
        return []
    world.ours("create", "--python", world.python, mount / "seed")
    text = (mount / "seed" / "pyvenv.cfg").read_bytes()
    here, there = mount / "loop", world.tmp / "loop"

    def ours_before():
        here.mkdir()
        (here / "pyvenv.cfg").write_bytes(text)
        world.ls(here)
        world.sync()

    def theirs_before():
        uv.venv(there)
        uv("pip", "install", "--python", there / "bin" / "python", "--no-index", "--no-deps", *wheels)
        world.ls(there)
        world.sync()

    ours = Side("venvfs", lambda: shutil.rmtree(here), ours_before)
    theirs = Side("uv's, natively", lambda: shutil.rmtree(there), theirs_before)
    alternate(1000 if n >= 9 else 10 * n, ours, theirs)
    world.ours("rm", mount / "seed")
    return [compare("shutil.rmtree of an environment with pip", ours, theirs)]
