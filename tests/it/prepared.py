# SPDX-License-Identifier: MIT
"""A store with hand-made wheels, and the text of a pyvenv.cfg that has them: written into a directory
of a mounted root it is an environment, so that a test starts without a command."""

import errno
from pathlib import Path

import pytest

import wheelmaker
from conftest import Venvfs


@pytest.fixture(scope="module")
def prepared(request, tmp_path_factory, debian_python):
    """A store with the module's WHEELS. To be imported, as are the two that follow."""
    return Prepared(tmp_path_factory.mktemp("prepared"), debian_python, request.module.WHEELS)


@pytest.fixture
def venvfs(prepared, sanitizer_logs):
    return prepared.venvfs(sanitizer_logs)


@pytest.fixture
def x(mount, prepared):
    return prepared.env(mount.path / "x")


def code(call, *args):
    """What it returns, or the name of its errno."""
    try:
        return call(*args)
    except OSError as e:
        return errno.errorcode[e.errno]


class Prepared:
    def __init__(self, base, python, wheels, without_pip=True):
        """wheels: {name: arguments of wheelmaker.make()}"""
        self.base = base
        venvfs = self.venvfs(None)
        made = [wheelmaker.make(base, name, **arguments) for name, arguments in wheels.items()]
        venvfs("store", "add", "--no-compile", *made)
        options = ["--without-pip"] if without_pip else []
        venvfs("create", base / "x", *options, "--python", python, "--root", base)
        (base / "pins.txt").write_text("".join(f"{name}==1.0\n" for name in wheels))
        venvfs("sync", "--no-compile", base / "x", base / "pins.txt", "--root", base)
        self.cfg = (base / "x" / "pyvenv.cfg").read_bytes()

    def venvfs(self, sanitizer_logs):
        return Venvfs(self.base, sanitizer_logs)

    def env(self, path):
        path.mkdir()
        (path / "pyvenv.cfg").write_bytes(self.cfg)
        return path


def site(env):
    [directory] = Path(env).glob("lib/python3*/site-packages")
    return directory


def private(mount, name):
    """What is really on the disk for an environment: {path: bytes, or None for a directory}."""
    top = mount.upper / name
    return {str(p.relative_to(top)): None if p.is_dir() and not p.is_symlink() else
            p.readlink() if p.is_symlink() else p.read_bytes() for p in top.rglob("*")}
