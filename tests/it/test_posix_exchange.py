# SPDX-License-Identifier: MIT
"""renameat2(RENAME_EXCHANGE) between all kinds of names, beside an ordinary directory."""

import ctypes
import errno
import os
import shutil
import subprocess

import pytest
from prepared import code, prepared, site, venvfs, x  # noqa: F401

EXCHANGE = 2
WHEELS = {
    "demo": {"files": {"demo/__init__.py": "name = 1\n", "demo/a.py": "a\n" * 9, "demo/big": bytes(range(256)) * 2000,
                       "demo/sub/b.py": "b\n", "demo/sub/deep/c.py": "c\n", "shared/x.py": "x\n"}},
    "other": {"files": {"other/__init__.py": "", "other/sub/d.py": "d\n", "shared/y.py": "y\n"}},
}


@pytest.fixture
def top(x):
    return site(x)


def exchange(a, b):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), EXCHANGE) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(a))


def tree(d):
    """All that lies below but what is generated: a native copy has the text of another place."""
    return {str(p.relative_to(d)): (p.lstat().st_mode, os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else None)
            for p in d.rglob("*") if p.name != "RECORD"}


def own(top):
    (top / "own").mkdir()
    (top / "own/f").write_text("own f")
    (top / "file").write_text("file")
    (top / "link").symlink_to("file")


NAMES = ("demo", "other", "shared", "demo/a.py", "demo/sub", "other/sub", "own", "own/f", "file", "link", "demo/big", "missing")


@pytest.mark.parametrize("a", NAMES)
def test_any_two(mount, top, tmp_path, a):
    native = tmp_path / "native"
    for b in NAMES:
        own(top)
        shutil.copytree(top, native, symlinks=True)
        assert code(exchange, top / a, top / b) == code(exchange, native / a, native / b), b
        assert tree(top) == tree(native), b
        assert sorted(os.listdir(top)) == sorted(os.listdir(native)), b
        # and every name can be taken away again, and is away then
        for p in (a, b):
            if p != "missing":
                shutil.rmtree(native / p, ignore_errors=True)
                subprocess.run(["rm", "-rf", native / p, top / p], check=True)
        assert tree(top) == tree(native), b
        shutil.rmtree(native)
        env = top.parents[2]
        text = (env / "pyvenv.cfg").read_bytes()
        subprocess.run(["rm", "-rf", env], check=True)
        env.mkdir()
        (env / "pyvenv.cfg").write_bytes(text)


def test_it_lasts(mount, top):
    """Over a new mount; nothing of a directory was copied; and back again it is what it was."""
    before = tree(top)
    exchange(top / "demo", top / "other")
    exchange(top / "other/a.py", top / "demo/sub/d.py")
    exchange(top / "shared", top / "other/sub")
    after = tree(top)
    assert after["other/big"] == before["demo/big"] and after["demo/sub/d.py"] == before["demo/a.py"]
    assert after["other/sub/x.py"] == before["shared/x.py"] and after["shared/deep/c.py"] == before["demo/sub/deep/c.py"]
    copies = [p for p in mount.upper.joinpath("x").rglob("*") if p.is_file() and not p.name.startswith((".wh.", "pyvenv"))]
    assert {p.name for p in copies} == {"a.py", "d.py"}
    mount.remount()
    assert tree(top) == after
    exchange(top / "shared", top / "other/sub")
    exchange(top / "other/a.py", top / "demo/sub/d.py")
    exchange(top / "demo", top / "other")
    assert tree(top) == before
    mount.remount()
    assert tree(top) == before


def test_open_files_go_along(top):
    own(top)
    with open(top / "demo/big", "rb") as big, open(top / "file", "r+b", buffering=0) as file:
        exchange(top / "demo/big", top / "file")
        assert big.read() == WHEELS["demo"]["files"]["demo/big"]
        file.write(b"more")
        assert (top / "demo/big").read_bytes() == b"more" and os.fstat(file.fileno()).st_ino == (top / "demo/big").stat().st_ino
    (top / "file").write_bytes(b"!")
    assert (top / "demo/big").read_bytes() == b"more"


def test_a_process_inside(top):
    here = os.getcwd()
    os.chdir(top / "demo/sub")
    try:
        exchange(top / "demo", top / "other")
        assert os.getcwd() == str(top / "other/sub") and os.listdir("deep") == ["c.py"]
    finally:
        os.chdir(here)


def test_between_environments(mount, prepared, top):
    y = site(prepared.env(mount.path / "y"))
    exchange(top / "demo/a.py", y / "demo/big")
    assert (top / "demo/a.py").stat().st_size == 512000 and (y / "demo/big").read_text() == "a\n" * 9
    own(top)
    exchange(top / "own", y / "demo/a.py")
    assert (y / "demo/a.py/f").read_text() == "own f" and (top / "own").read_text() == "a\n" * 9
    before = tree(top), tree(y)
    assert code(exchange, top / "demo", y / "other") == "EXDEV"
    assert code(exchange, top / "demo", mount.path / "y") == "EXDEV"
    (mount.path / "plain").mkdir()
    assert code(exchange, mount.path / "plain", top / "demo") == "EXDEV"
    assert (tree(top), tree(y)) == before


def test_whole_environments(mount, prepared, x, top):
    y = prepared.env(mount.path / "y")
    (top / "in-x").write_text("")
    exchange(x, y)
    for _ in range(2):
        assert (site(y) / "in-x").exists() and not (site(x) / "in-x").exists()
        for e in (x, y):
            assert str(e) in (e / "bin/activate").read_text()
            assert subprocess.check_output([e / "bin/python", "-c", "import sys; print(sys.prefix)"], text=True).strip() == str(e)
        mount.remount()
    (mount.path / "plain").mkdir()
    (mount.path / "plain/f").write_text("f")
    exchange(mount.path / "plain", x)
    assert (x / "f").read_text() == "f" and site(mount.path / "plain").is_dir() and os.listdir(x) == ["f"]


def test_not_what_makes_an_environment(mount, x, top):
    """Its text is published as a whole or not at all, which an exchange is not."""
    own(x)
    text = (x / "pyvenv.cfg").read_bytes()
    (mount.path / "plain").mkdir()
    (mount.path / "plain/pyvenv.cfg").write_text("not one")
    for a, b in ((x / "pyvenv.cfg", x / "file"), (x / "file", x / "pyvenv.cfg"), (x / "own", x / "pyvenv.cfg"),
                 (mount.path / "plain/pyvenv.cfg", x / "pyvenv.cfg"), (x / "file", mount.path / "plain/pyvenv.cfg")):
        assert code(exchange, a, b) == "EINVAL"
    assert (x / "pyvenv.cfg").read_bytes() == text and (x / "file").read_text() == "file" and (top / "demo/a.py").exists()
    (x / ".venvfs-tmp.1").write_text("")
    assert code(exchange, x / ".venvfs-tmp.1", x / "file") == code(exchange, x / "file", x / ".venvfs-tmp.1") == "EPERM"


def test_source_and_bytecode(x, top):
    """A module's source that changes places is the one that is imported."""
    python = [x / "bin/python", "-c", "import demo.one; print(demo.one.v)"]
    (top / "demo/one.py").write_text("v = 1\n")
    (top / "demo/two.py").write_text("v = 22\n")
    assert subprocess.check_output(python) == b"1\n"
    exchange(top / "demo/one.py", top / "demo/two.py")
    assert subprocess.check_output(python) == b"22\n"
    exchange(top / "demo/__init__.py", top / "demo/two.py")
    assert subprocess.check_output([x / "bin/python", "-c", "import demo.two; print(demo.v, demo.two.name)"]) == b"1 1\n"
