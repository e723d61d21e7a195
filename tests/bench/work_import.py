# SPDX-License-Identifier: MIT
"""Environments in use: what an import costs beside the native file system, and what it asks the
daemon. Natively means uv's environment, its files hard links into uv's cache."""

from measure import Side, alternate, compare
from peers import Uv
from trace import TRIES, requests
from world import IMPORT


def python(world, env):
    """The import, in a process of its own."""
    return lambda: world.run(env / "bin" / "python", "-c", IMPORT)


def ask(world, n):
    """Requests: counts, which do not vary as times do."""
    world.full_store()
    counts = []
    with world.mount("envs-asked") as mount:
        names = [f"env-{k}" for k in range(TRIES + 1)]
        for name in names:
            world.create(mount / name, world.sci)
        imports = [python(world, mount / name) for name in names]
        imports[0]()
        imports[0]()
        counts.append(requests("third import in one environment", mount, imports[0]))
        counts.append(requests("first import in another one", mount, *imports[1:]))
        counts.append(requests("second import there", mount, *imports[1:]))
    with world.mount("envs-asked", "-r") as mount:
        again = python(world, mount / names[0])
        again()
        again()
        counts.append(requests("third import, read-only mount", mount, again))
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
