# SPDX-License-Identifier: MIT
"""Scripts in bin/: pip's own words for every path that an environment can have, and they run."""

import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from twins import demo_wheels

PIP = """
import sys
from pip._internal.operations.install.wheel import PipScriptMaker
from pip._vendor.distlib.scripts import enquote_executable
maker = PipScriptMaker(None, sys.argv[1])
maker.executable = enquote_executable(sys.argv[2])
maker.clobber = True
maker.variants = {""}
maker.set_mode = True
maker.make_multiple(sys.argv[3:])
"""
SPECS = (
    "demo = demo:main",
    "Demo-Extra = demo:main [extra]",
    "demo-attr = demo:App.run",
    "demo-gui = demo:main",
)
NAMES = [s.split()[0] for s in SPECS]


@pytest.fixture
def make(venvfs, mount, root, tmp_path, debian_python):
    """make(NAME) is an environment with the demo wheels."""
    directory = tmp_path / "wheels"
    directory.mkdir()
    venvfs("store", "add", "--no-compile", *demo_wheels(directory))
    pins = tmp_path / "pins"
    pins.write_text("demo-pkg==1.0\nplain==2.0\n")

    def create(name):
        venvfs("create", root / name, "--without-pip", "--python", debian_python)
        venvfs("sync", root / name, pins, "--no-compile")
        return root / name

    return create


def of_length(root, n):
    """A name with which NAME/bin/python below `root` is a path of n bytes."""
    left = n - len(os.fsencode(root)) - len("/" + "/bin/python")
    parts = []
    while left > 100:
        parts.append("d" * 99)
        left -= 100
    assert left > 0
    parts.append("e" * left)
    return "/".join(parts)


def run(script, **kw):
    return subprocess.check_output([script], text=True, stderr=subprocess.STDOUT, cwd="/", **kw)


@pytest.fixture
def pip(twins, debian_python):
    """A Python with the pip whose words ours are."""
    return twins(debian_python).real / "bin/python"


def check(env, tmp_path, pip=None):
    python = str(env / "bin/python")
    if pip:
        out = tmp_path / "pip"
        out.mkdir()
        subprocess.run([pip, "-c", PIP, out, python, *SPECS], check=True)
        for name in NAMES:
            assert (env / "bin" / name).read_text() == (out / name).read_text()
            assert (env / "bin" / name).stat().st_mode == (out / name).stat().st_mode
    for name in NAMES:
        assert run(env / "bin" / name) == "demo\n"
    assert run(env / "bin/demo-python") == f"{env}\n"
    assert run(env / "bin/demo-pythonw") == "w\n"
    assert run(env / "bin/demo-code.py") == "py\n"


@pytest.mark.parametrize("n", [100, 123, 124, 125, 126, 127, 128, 130, 253, 300])
def test_g9_long_paths(make, root, tmp_path, pip, n):
    env = make(of_length(root, n))
    assert len(os.fsencode(env / "bin/python")) == n
    first = (env / "bin/demo").read_text().splitlines()[0]
    assert first == (f"#!{env}/bin/python" if n + 3 <= 127 else "#!/bin/sh")
    check(env, tmp_path, pip)


ODD = ["a b", " a", "it's", 'a"b', "a$b", "a`b", "a;b&c", "ümläut", "a#b", "a\\b", "a*"]
ODDER = ["it's a b", 'a "b" c', "a $b c", "a `b` c", "a \\b", "'''", "a ''' b", "a\\'b c"]


@pytest.mark.parametrize("name", ODD)
def test_g9_odd_paths(make, tmp_path, pip, name):
    check(make(name), tmp_path, pip if "\\" not in name else None)


@pytest.mark.parametrize("name", ODDER)
def test_g9_paths_that_pip_can_not(make, tmp_path, name):
    """distlib quotes nothing but blanks: here every path works."""
    check(make(name), tmp_path)


def test_g9_long_and_odd(make, tmp_path):
    check(make("/".join(["it's $a \"quoted\" \\ path"] * 8)), tmp_path)


def test_g9_after_a_rename(make, root, tmp_path, pip):
    env = make("before")
    check(env, tmp_path, pip)
    env.rename(root / "after")
    (tmp_path / "again").mkdir()
    check(root / "after", tmp_path / "again", pip)
    (root / "deep").mkdir()
    (root / "after").rename(root / "deep/er one")
    (tmp_path / "third").mkdir()
    check(root / "deep/er one", tmp_path / "third", pip)


def test_scripts_run_in_any_environment(twin):
    for name in (*NAMES, "demo-python", "demo-pythonw", "demo-sh", "demo-code.py"):
        assert twin.run(twin.env, f"bin/{name}") == twin.run(twin.real, f"bin/{name}"), name
    assert twin.run(twin.env, "bin/pip", "--version") == twin.run(twin.real, "bin/pip", "--version")


def test_s7_scripts_of_a_wheel(venvfs, mount, root, tmp_path, small_wheels, debian_python):
    """A first line of "#!python" gets the environment's, whatever stood behind it; all are 0755."""
    scripts = {
        "args": "#!python -E -s\nprint('args')\n",
        "bare": "#!python",
        "crlf": "#!python\r\nprint('crlf')\r\n",
        "three": "#!python3\nprint('three')\n",
        "w": "#!pythonw -O\nprint('w')\n",
        "env": "#!/usr/bin/env python\nprint()\n",
        "abs": "#!/usr/bin/python\nprint()\n",
        "text": "no interpreter\n",
        "space": "#! python\n",
        "binary": b"\x7fELF\0\1\2\3",
        "empty": "",
    }
    wheel = small_wheels("scripts", files={}, scripts=scripts, data={"bin/data": "#!python\n"})
    venvfs("store", "add", "--no-compile", wheel)
    (tmp_path / "pins").write_text("scripts==1.0\n")
    env = root / "x"
    venvfs("create", env, "--without-pip", "--python", debian_python)
    venvfs("sync", env, tmp_path / "pins", "--no-compile")
    ours = f"#!{env}/bin/python\n".encode()
    for name, text in scripts.items():
        text = text if isinstance(text, bytes) else text.encode()
        path = env / "bin" / name
        if text.startswith(b"#!python"):
            assert path.read_bytes() == ours + text.partition(b"\n")[2]
        else:
            assert path.read_bytes() == text
        assert path.stat().st_mode & 0o7777 == 0o755
    assert (env / "bin/data").read_bytes() == b"#!python\n"
    assert run(env / "bin/args") == "args\n" and run(env / "bin/three") == "three\n"


def test_s9_no_wheel_takes_the_interpreters_names(venvfs, mount, root, tmp_path, small_wheels, debian_python):
    wheel = small_wheels("evil", entry_points={"console_scripts": {"python": "evil:main"}})
    r = venvfs("store", "add", wheel, check=False)
    if r.returncode == 0:  # accepted: the link must win all the same
        (tmp_path / "pins").write_text("evil==1.0\n")
        venvfs("create", root / "x", "--without-pip", "--python", debian_python)
        venvfs("sync", root / "x", tmp_path / "pins", "--no-compile")
        assert (root / "x/bin/python").resolve() == debian_python.resolve()
    else:
        assert wheel.name in r.stderr and "python" in r.stderr


@pytest.mark.parametrize("version", ["3.8", "3.12"])
def test_s10_pips_names(venvfs, mount, root, tmp_path, pythons, version):
    """A store's pip is of one wheel; its versioned scripts are those of the environment."""
    if version not in pythons:
        pytest.skip(f"no CPython {version}")
    venvfs("create", root / "x", "--python", pythons[version])
    names = {p.name for p in (root / "x/bin").iterdir() if p.name.startswith("pip")}
    assert names == {"pip", "pip3", f"pip{version}"}
    for name in names:
        out = subprocess.check_output([root / "x/bin" / name, "--version"], text=True)
        assert out.rstrip().endswith(f"(python {version})")


def test_a_script_that_is_open_while_its_environment_moves(make, root):
    """It is read to the end that it had; who opens it when it was closed sees the new path, and never something
    between the two. The kernel tells of the close a little later, and is told of the new text a little later:
    most of all while another environment moves, whose scripts it is told of too."""
    old, new = make("x"), root / "longer"
    stop = threading.Event()

    def move(here, there):
        while not stop.is_set():
            for p in (here / "bin").iterdir():
                p.lstat()
            here.rename(there)
            here, there = there, here

    with ThreadPoolExecutor() as pool:
        moving = pool.submit(move, make("y"), root / "z")
        try:
            for _ in range(500):
                with open(old / "bin/demo-gui") as f:
                    before = f.read()
                    assert f"{old}/bin/python" in before
                    old.rename(new)
                    assert os.fstat(f.fileno()).st_size == len(before.encode())
                    assert f.seek(0) == 0 and f.read() == before
                after = before.replace(str(old), str(new))
                end = time.monotonic() + 30
                text = before
                while text == before and time.monotonic() < end:
                    text = (new / "bin/demo-gui").read_text()
                assert text == after
                old, new = new, old
        finally:
            stop.set()
        moving.result()
