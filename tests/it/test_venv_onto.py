# SPDX-License-Identifier: MIT
"""`python -m venv` and virtualenv onto a mounted root: the same tree as on an ordinary directory, made
first at the very path and moved aside. And over an environment that is in use."""

import os
import subprocess
import threading

import pytest

from twins import assert_same, tree, without_lock

pytestmark = pytest.mark.tools

DEMO = {"demo": {"files": {"demo.py": "where = __file__\n"}}}


@pytest.fixture
def clean(tmp_path):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON", "VIRTUAL"))}
    return {**env, "PYTHONDONTWRITEBYTECODE": "1", "XDG_DATA_HOME": str(tmp_path / "tools-data"),
            "XDG_CACHE_HOME": str(tmp_path / "tools-cache")}  # fmt: skip


@pytest.fixture
def both(venvfs, mounts, root, tmp_path, clean):
    """both(STEP...): each step, a function of the environment's path, is done on either side."""

    def both(*steps, names=("x",), more=()):
        for step in steps:
            step(root / names[0])
        real = tmp_path / "real"
        real.mkdir()
        for name in names:
            (root / name).rename(real / name)
        mount = mounts(root)
        for step in steps:
            step(root / names[0])
        for name in names:
            compare(root / name, real / name, more)
        mount.remount()
        for name in names:
            compare(root / name, real / name, more)
        return mount

    return both


def compare(env, real, more):
    """`more`: what the mounted one has in any case, whatever the tool would make."""
    ours, theirs = tree(env), tree(real)
    ours["pyvenv.cfg"] = (ours["pyvenv.cfg"][0], without_lock(ours["pyvenv.cfg"][1]))
    for path in more:
        assert ours.pop(path, None), f"{path} does not show"
        theirs.pop(path, None)
    for found in (ours, theirs):  # rows of bytecode, which is not compared; order
        for path, (mode, content) in list(found.items()):
            if path.endswith("dist-info/RECORD"):
                rows = {row for row in content.splitlines() if b".pyc," not in row}
                found[path] = (mode, rows)
    assert_same(ours, theirs)


STEPS = {
    "plain": [("--without-pip",)],
    "copies": [("--without-pip", "--copies")],
    "symlinks": [("--without-pip", "--symlinks")],
    "system": [("--without-pip", "--system-site-packages")],
    "prompt": [("--without-pip", "--prompt", "it's \"x\"")],
    "again": [("--without-pip",), ("--without-pip",)],
    "upgrade": [("--without-pip",), ("--without-pip", "--upgrade")],
    "clear": [("--without-pip", "--prompt", "p"), ("--without-pip", "--clear")],
    "copies upgraded": [("--without-pip", "--copies"), ("--without-pip", "--upgrade", "--copies")],
    "copies cleared": [("--without-pip", "--copies"), ("--without-pip", "--clear")],
    "no ignore": [("--without-pip", "--without-scm-ignore-files")],
    "linked, then copies": [("--without-pip",), ("--without-pip", "--clear", "--copies")],
}


@pytest.mark.parametrize("options", STEPS.values(), ids=STEPS)
def test_g18_venv(both, python, clean, options):
    if "--without-scm-ignore-files" in options[0] and not python.name.endswith("3.13"):
        pytest.skip("3.13 brings it")

    def run(argv):
        return lambda x: subprocess.run([python, "-m", "venv", *argv, x], check=True, env=clean)

    both(*map(run, options))


def test_g18_venv_with_debian(both, debian_python, clean):
    both(lambda x: subprocess.run([debian_python, "-m", "venv", x], check=True, env=clean))


@pytest.mark.parametrize("version", ["3.8", "3.11", "3.13"])
def test_g18_venv_with_pip(both, pythons, clean, version):
    if version not in pythons:
        pytest.skip(f"no CPython {version}")
    both(lambda x: subprocess.run([pythons[version], "-m", "venv", x], check=True, env=clean))


def test_g18_several_paths(both, python, clean):
    def run(x):
        paths = [x, x.parent / "y", "envs/z"]
        subprocess.run([python, "-m", "venv", "--without-pip", *paths], check=True, env=clean, cwd=x.parent.parent)

    both(run, names=("x", "y", "z"))


VIRTUALENV = {
    "plain": [()],
    "no seed": [("--no-seed",)],
    "copies": [("--no-seed", "--copies")],
    "clear": [("--no-seed",), ("--no-seed", "--clear")],
    "again": [("--no-seed",), ("--no-seed",)],
    "no ignore": [("--no-seed", "--no-vcs-ignore")],
    "system": [("--no-seed", "--system-site-packages")],
}


@pytest.mark.parametrize("version", ["3.11", "3.13"])
@pytest.mark.parametrize("options", VIRTUALENV.values(), ids=VIRTUALENV)
def test_g18_virtualenv(both, pythons, tools, clean, options, version):
    if not (tools / "virtualenv").exists():
        pytest.skip("no virtualenv among the tools")
    if version not in pythons:
        pytest.skip(f"no CPython {version}")
    base = [tools / "virtualenv", "-q", "--no-download", "-p", pythons[version]]

    def run(argv):
        return lambda x: subprocess.run([*base, *argv, x], check=True, env=clean)

    # what venv makes shows in every environment, and virtualenv leaves a .gitignore that it finds
    more = ["bin/Activate.ps1", f"include/python{version}", "lib64"] + [".gitignore"] * (version == "3.13")
    both(*map(run, options), more=more)


@pytest.mark.parametrize("how", ["venv", "venv --upgrade", "venv --system", "venvfs create", "virtualenv"])
def test_g19_g20_in_use(venvfs, mount, python, small_wheels, tools, clean, how):
    """A process starts in it all the time, and never finds the base in its place, or its packages gone;
    afterwards the lock is what it was. virtualenv takes bin/python away before it makes it anew, so that a
    start fails between the two on any file system; with it none is made."""
    x = mount.path / "x"
    venvfs("store", "add", "--no-compile", small_wheels("demo", **DEMO["demo"]))
    (mount.path.parent / "pins").write_text("demo==1.0\n")
    venvfs("create", x, "--without-pip", "--python", python)
    venvfs("sync", x, mount.path.parent / "pins", "--no-compile")
    lock = [line for line in (x / "pyvenv.cfg").read_text().splitlines() if line.startswith("venvfs-lock = sha256:")]
    assert len(lock) == 1
    argv = {
        "venv": [python, "-m", "venv", "--without-pip"],
        "venv --upgrade": [python, "-m", "venv", "--without-pip", "--upgrade"],
        "venv --system": [python, "-m", "venv", "--without-pip", "--system-site-packages"],
        "venvfs create": [venvfs.binary, "create", "--without-pip", "--prompt", "p"],
        "virtualenv": [tools / "virtualenv", "-q", "--no-download", "--no-seed", "-p", python],
    }[how]
    if how == "virtualenv" and python.name in ("python3.8",):
        pytest.skip("virtualenv makes none for 3.8 any more")
    stop, faults, starts = threading.Event(), [], 0

    def start():
        nonlocal starts
        code = "import sys, demo; print(sys.prefix, demo.where.startswith(sys.prefix))"
        while how != "virtualenv" and (not stop.is_set() or starts < 2):
            r = subprocess.run([x / "bin/python", "-B", "-c", code], capture_output=True, text=True, env=clean)
            if (r.returncode, r.stdout) != (0, f"{x} True\n"):
                faults.append((r.returncode, r.stdout, r.stderr[-300:]))
            starts += 1

    t = threading.Thread(target=start)
    t.start()
    try:
        for _ in range(5):
            subprocess.run([*argv, x], check=True, env={**clean, **venvfs.env}, stdout=subprocess.DEVNULL)
    finally:
        stop.set()
        t.join()
    assert not faults, faults[:2]
    now = [line for line in (x / "pyvenv.cfg").read_text().splitlines() if line.startswith("venvfs-lock")]
    assert now == lock
    mount.remount()
    out = subprocess.check_output([x / "bin/python", "-B", "-c", "import demo; print(demo.where)"], text=True, env=clean)
    assert out.startswith(f"{x}/lib/")
