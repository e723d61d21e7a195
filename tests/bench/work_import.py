# SPDX-License-Identifier: MIT
"""Environments in use: what an import costs beside the native file system, and what it asks the
daemon. Natively means uv's environment, its files hard links into uv's cache."""

from measure import Side, alternate, compare
from peers import Uv
from trace import requests
from world import IMPORT


def python(world, env):
    """The import, in a process of its own."""
    return lambda: world.run(env / "bin" / "python", "-c", IMPORT)


def ask(world, n):
    """Requests, which are counted once each: they do not vary as times do."""
    world.full_store()
    counts = []
    with world.mount("envs-asked") as mount:
        first, second = mount / "first", mount / "second"
        world.create(first, world.sci)
        world.create(second, world.sci)
        counts.append(requests("first import in the first environment", mount, python(world, first)))
        python(world, first)()
        counts.append(requests("third import in it", mount, python(world, first)))
        counts.append(requests("first import in a second environment", mount, python(world, second)))
        counts.append(requests("second import there", mount, python(world, second)))
    with world.mount("envs-asked", "-r") as mount:
        for _ in range(2):
            python(world, mount / "first")()
        counts.append(
            requests("third import, read-only mount", mount, python(world, mount / "first"))
        )
    return [], counts


def warm(world, n):
    """The same environment again and again."""
    n = max(n, 9)
    world.full_store()
    uv = Uv(world)
    native_env = world.tmp / "warm"
    uv.create(native_env, world.sci, "--compile-bytecode")
    with world.mount("envs-read") as made:
        world.create(made / "warm", world.sci)
    with world.mount() as plain, world.mount("envs-read", "-r") as read_only:
        world.create(plain / "warm", world.sci)
        native = Side("native, with pycs", python(world, native_env))
        ours = Side("venvfs", python(world, plain / "warm"))
        ours_read_only = Side("venvfs -r", python(world, read_only / "warm"))
        alternate(n, native, ours, ours_read_only)
        world.ours("rm", plain / "warm")
    world.remove(native_env)
    return [
        compare("warm import", ours, native),
        compare("warm import, read-only mount", ours_read_only, native),
    ], []


def first(world, n):
    """An environment that nobody has used before, while others have been."""
    n = max(3, n // 2)
    world.full_store()
    uv = Uv(world)
    uv.warm()
    native_env, fresh_env = world.tmp / "first-native", world.tmp / "first-fresh"
    uv.create(native_env, world.sci, "--compile-bytecode")
    with world.mount() as mount:
        ours = Side(
            "venvfs",
            python(world, mount / "first"),
            lambda: world.create(mount / "first", world.sci),
            lambda: world.ours("rm", mount / "first"),
        )
        fresh = Side(
            "uv's fresh environment, no pycs",
            python(world, fresh_env),
            lambda: uv.create(fresh_env, world.sci),
            lambda: world.remove(fresh_env),
        )
        native = Side("native, with pycs, warm", python(world, native_env))
        alternate(n, ours, fresh, native)
    world.remove(native_env)
    what = "first import in a new environment"
    return [compare(what, ours, fresh), compare(what, ours, native)], []
