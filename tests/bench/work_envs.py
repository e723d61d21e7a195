# SPDX-License-Identifier: MIT
"""Environments as such: made, cloned and deleted while store and cache have all they need."""

from measure import Row, Side, alternate, compare
from ours import tree_size
from peers import Uv, seeds
from trace import can_trace, system_calls


class Making:
    """Both ways to make an environment of one requirements file, each time under a new name."""

    def __init__(self, world, mount, uv, requirements, label):
        self.world, self.mount, self.uv = world, mount, uv
        self.requirements, self.label = requirements, label
        self.n = 0
        self.path = None
        self.ours = Side("venvfs", self.make_ours, self.fresh(mount.path), self.remove_ours)
        self.theirs = Side(
            "uv venv, uv pip sync", self.make_uv, self.fresh(world.tmp), self.remove_uv
        )

    def fresh(self, directory):
        def before():
            self.n += 1
            self.path = directory / f"{self.label}-{self.n}"
            self.world.sync()

        return before

    def make_ours(self):
        self.world.create(self.path, self.requirements)
        self.world.ls(self.path)

    def make_uv(self):
        self.uv.create(self.path, self.requirements)
        self.world.ls(self.path)

    def remove_ours(self):
        self.world.ours("rm", self.path)

    def remove_uv(self):
        self.world.remove(self.path)

    def commands(self):
        w = self.world
        ls = ["ls", w.site(self.path)]
        return (
            [
                [w.venvfs, "create", "--without-pip", "--python", w.python, self.path],
                [w.venvfs, "sync", self.path, self.requirements],
                ls,
            ],
            [
                [self.uv.program, "-q", *self.uv.venv_args(self.path)],
                [self.uv.program, "-q", *self.uv.sync_args(self.path, self.requirements)],
                ls,
            ],
        )

    def calls(self):
        """System calls of one run of each."""
        self.ours.before()
        ours = system_calls(self.commands()[0], self.world.env, self.world.cwd, self.mount.pid)
        self.ours.after()
        self.theirs.before()
        env = {**self.world.env, **self.uv.env}
        theirs = system_calls(self.commands()[1], env, self.world.cwd)
        self.theirs.after()
        return ours, theirs


def make(world, n):
    world.full_store()
    uv = Uv(world)
    uv.warm()
    rows = []
    with world.mount() as mount:
        sci = Making(world, mount, uv, world.sci, "sci")
        one = Making(world, mount, uv, world.one, "one")
        alternate(n, sci.ours, sci.theirs, one.ours, one.theirs)
        what = "create, sync, first ls of site-packages"
        rows.append(compare(f"{what}: sci", sci.ours, sci.theirs))
        rows.append(compare(f"{what}: one distribution", one.ours, one.theirs))
        rows.append(
            Row(f"{what}: sci", "venvfs, one distribution", sci.ours.seconds, one.ours.seconds)
        )
        if can_trace(mount.pid):
            for m, label in ((sci, "sci"), (one, "one distribution")):
                ours, theirs = m.calls()
                rows.append(Row(f"the same, {label}", m.theirs.name, [ours], [theirs], "system calls"))
        rows += on_disk(world, mount, uv)
    return rows, []


def on_disk(world, mount, uv):
    world.create(mount / "disk", world.sci)
    world.ls(mount / "disk")
    path = world.tmp / "disk"
    uv.create(path, world.sci)
    ours = mount.inodes_behind("disk")
    theirs = tree_size(path)
    world.ours("rm", mount / "disk")
    world.remove(path)
    return [
        Row("files and directories that sci takes on the disk", "uv, hard links", [ours[0]], [theirs[0]], "files")
    ]


def clone(world, n):
    world.full_store()
    uv = Uv(world)
    uv.warm()
    with world.mount() as mount:
        world.create(mount / "from", world.sci)
        world.ls(mount / "from")
        native = world.tmp / "clone-from"
        uv.create(native, world.sci)
        copy = world.tmp / "clone-to"
        ours = Side(
            "venvfs",
            lambda: world.ours("clone", mount / "from", mount / "to"),
            world.sync,
            lambda: world.ours("rm", mount / "to"),
        )
        theirs = Side(
            "cp -a of uv's",
            lambda: world.run("cp", "-a", native, copy),
            world.sync,
            lambda: world.remove(copy),
        )
        alternate(n, ours, theirs)
        world.ours("rm", mount / "from")
        world.remove(native)
    return [compare("clone of sci", ours, theirs)], []


def remove(world, n):
    world.full_store()
    uv = Uv(world)
    uv.warm()
    rows = []
    with world.mount() as mount:
        native = world.tmp / "remove"

        def pair(look):
            """rm -rf, after `look` has looked at the environment."""

            def ours_before():
                world.create(mount / "remove", world.sci)
                look(mount / "remove")
                world.sync()

            def theirs_before():
                uv.create(native, world.sci)
                look(native)
                world.sync()

            return (
                Side("venvfs", lambda: world.run("rm", "-rf", mount / "remove"), ours_before),
                Side("rm -rf of uv's", lambda: world.run("rm", "-rf", native), theirs_before),
            )

        for label, look in (
            ("rm -rf of sci", world.ls),
            ("rm -rf of sci, after a find through all of it", lambda p: world.run("find", p)),
        ):
            ours, theirs = pair(look)
            alternate(n, ours, theirs)
            rows.append(compare(label, ours, theirs))
    return rows, []


def empty(world, n):
    """An environment with nothing but pip."""
    uv = Uv(world)
    wheels = seeds(world)
    path = world.tmp / "empty"
    peers = [
        Side(
            "virtualenv",
            lambda: world.run(
                world.tools / "virtualenv", "-q", "--python", world.python, "--no-download", path
            ),
        ),
        Side("python -m venv", lambda: world.run(world.python, "-m", "venv", path)),
    ]

    def uv_seeded():  # `uv venv --seed` would ask the index
        uv.venv(path)
        uv("pip", "install", "--python", path / "bin" / "python", "--no-index", "--no-deps", *wheels)

    if wheels:
        peers.insert(0, Side("uv venv, uv pip install of the same", uv_seeded))
    rows = []
    with world.mount() as mount:
        for peer in peers:
            peer.before = world.sync
            peer.after = lambda: world.remove(path)
            ours = Side(
                "venvfs",
                lambda: world.ours("create", "--python", world.python, mount / "empty"),
                world.sync,
                lambda: world.ours("rm", mount / "empty"),
            )
            alternate(n if peer.name.startswith("uv") else max(3, n // 3), ours, peer)
            rows.append(compare("an environment with pip", ours, peer))
    return rows, []
