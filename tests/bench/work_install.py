# SPDX-License-Identifier: MIT
"""Installers into an environment on the mount and into a native one; and the harvest behind them."""

import base64
import hashlib
import os
import zipfile

from measure import Row, Side, alternate, compare
from peers import Uv

SMALL = b"".join(b"def f%d(x):\n    return x + %d\n\n" % (k, k) for k in range(60))
MIB = 1 << 20


def wheel(directory, name, files):
    """A wheel of these files, not compressed: what is measured is writing."""
    files = dict(files)
    info = f"{name}-1.0.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    path = directory / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as z:
        for member, data in files.items():
            z.writestr(member, data)
    return path


def many(directory):
    return wheel(directory, "many", {f"many/d{i % 20}/m{i}.py": b"# %d\n" % i + SMALL for i in range(1000)})


def large(directory):
    block = os.urandom(MIB)
    data = b"".join(i.to_bytes(4, "big") + block[4:] for i in range(1024))
    return wheel(directory, "large", {"large/__init__.py": b"", "large/library.so": data})


def pip(world, *options):
    def install(env, path):
        world.run(world.tools / "python", "-m", "pip", "-q", "--python", env / "bin" / "python", "install",
                  "--no-index", "--no-deps", *options, path)

    return install


def install(world, n):
    uv = Uv(world)
    wheels = {"1,000 files": many(world.directory("many")), "1 GB in one file": large(world.directory("large"))}
    ways = {
        "pip install": pip(world),
        "pip install --no-compile": pip(world, "--no-compile"),
        "uv pip install, links": lambda env, path: uv("pip", "install", "--python", env / "bin" / "python", "--no-index",
                                                      "--no-deps", path),
        "uv pip install, copies": lambda env, path: uv("pip", "install", "--python", env / "bin" / "python", "--no-index",
                                                       "--no-deps", path, env={"UV_LINK_MODE": "copy"}),
    }
    rows = []
    there = world.tmp / "native"
    with world.mount("envs", "--harvest", "no") as mount:
        here = mount / "install"

        def new(path, create):
            world.remove(path)
            create()
            world.ls(path)
            world.sync()

        for label, path in wheels.items():
            for way, run in ways.items():
                ours = Side("venvfs", lambda run=run, path=path: run(here, path),
                            lambda: new(here, lambda: world.ours("create", "--without-pip", "--python", world.python, here)))
                theirs = Side("native", lambda run=run, path=path: run(there, path),
                              lambda: new(there, lambda: uv.venv(there)))
                alternate(n, ours, theirs)
                rows.append(compare(f"{way} of {label}", ours, theirs))
            rows.append(harvest(world, n, here, ways["uv pip install, copies"], path, label))
        world.remove(here)
    world.remove(there)
    return rows, []


def harvest(world, n, here, run, path, label):
    """Beside the native installation by copies it follows on: it is work that comes on top, in the background."""
    known = world.tmp / "data" / "venvfs" / "store" / "dists"

    def before():
        world.remove(here)
        world.ours("create", "--without-pip", "--python", world.python, here)
        run(here, path)
        for name in ("many", "large"):
            world.remove(known / name)
        world.sync()

    first = Side("harvest", lambda: world.ours("harvest", here), before)
    again = Side("harvest of what the store has", lambda: world.ours("harvest", here),
                 lambda: (world.remove(here), world.ours("create", "--without-pip", "--python", world.python, here),
                          run(here, path), world.sync()))
    alternate(n, first, again)
    return Row(f"harvest of {label}", again.name, first.seconds, again.seconds)
