# SPDX-License-Identifier: MIT
"""The first time: from wheels, or from the index, while store and cache are empty."""

import time

from measure import Side, alternate, compare
from peers import Uv


class FirstTime:
    """Each run gets a store, a mount and a cache of its own. Timed is the way to an environment that
    can be used, its bytes on the disk for both; wheels are in the page cache."""

    def __init__(self, world):
        self.world = world
        self.n = 0
        self.mount = None

    def before_ours(self):
        w = self.world
        self.n += 1
        self.data = w.directory(f"first-{self.n}")
        self.env = {"XDG_DATA_HOME": str(self.data)}
        self.root = f"first-envs-{self.n}"
        self.mount = w.mount(self.root, env=self.env)
        self.mount.__enter__()
        self.quiet()

    def after_ours(self):
        self.mount.__exit__()
        self.world.remove(self.data)
        self.world.remove(self.world.tmp / self.root)

    def before_uv(self):
        self.n += 1
        self.uv = Uv(self.world, f"first-cache-{self.n}")
        self.uv_env = self.world.tmp / f"first-env-{self.n}"
        self.quiet()

    def after_uv(self):
        self.world.remove(self.uv.cache)
        self.world.remove(self.uv_env)

    def quiet(self):
        for wheel in self.world.wheel_files():
            wheel.read_bytes()
        self.world.sync()

    def ours_env(self):
        w, path = self.world, self.mount / "env"
        w.ours("create", "--without-pip", "--python", w.python, path, env=self.env)
        w.ours("sync", path, w.sci, env=self.env)
        w.ls(path)
        w.sync()

    def add(self):
        w = self.world
        start = time.perf_counter()
        w.ours("store", "add", "--no-compile", *w.wheel_files(), env=self.env)
        w.sync()
        added = time.perf_counter() - start
        self.ours_env()
        return {"add": added}

    def uv_local(self):
        self.uv.create(self.uv_env, self.world.sci)
        self.world.ls(self.uv_env)
        self.world.sync()

    def uv_online(self):
        args = ["--python", self.uv_env / "bin" / "python", "--require-hashes", self.world.sci]
        env = {"UV_CACHE_DIR": str(self.uv.cache)}
        self.world.run(self.uv.program, "-q", *self.uv.venv_args(self.uv_env), env=env)
        self.world.run(self.uv.program, "-q", "pip", "sync", *args, env=env)
        self.world.ls(self.uv_env)
        self.world.sync()


def add(world, n):
    f = FirstTime(world)
    ours = Side("venvfs", f.add, f.before_ours, f.after_ours)
    theirs = Side(
        "uv venv, uv pip sync --find-links, empty cache", f.uv_local, f.before_uv, f.after_uv
    )
    alternate(max(3, n // 2), ours, theirs)
    return [
        compare("store add of sci's wheels, empty store", ours, theirs, part="add"),
        compare("store add, create, sync: from wheels to an environment", ours, theirs),
    ], []


def online(world, n):
    f = FirstTime(world)
    ours = Side("venvfs", f.ours_env, f.before_ours, f.after_ours)
    theirs = Side("uv venv, uv pip sync, empty cache", f.uv_online, f.before_uv, f.after_uv)
    alternate(max(3, n // 3), ours, theirs, warm=False)
    return [compare("create, sync of sci from the index, empty store", ours, theirs)], []
