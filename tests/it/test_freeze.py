# SPDX-License-Identifier: MIT
"""`venvfs freeze`: what it writes syncs back to the same lock, here and where the store is empty."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from conftest import Venvfs
from indexserver import sha256
from syncing import env, has, index, known, library, pin, pins, x  # noqa: F401 (fixtures)

pytestmark = pytest.mark.usefixtures("known")


def distributions(venvfs, env="x"):
    return venvfs.json("show", env)["distributions"]


@pytest.fixture
def elsewhere(venvfs, tmp_path, sanitizer_logs, library, debian_python):
    """elsewhere(FILE) is what another machine, with an empty store and the same index, makes of the file."""

    def sync(file):
        other = Venvfs(tmp_path / "other", sanitizer_logs)
        other.env.update({k: venvfs.env[k] for k in venvfs.env if k.startswith(("PIP_", "no_proxy"))})
        other.env.update(TMPDIR=venvfs.env["TMPDIR"], HOME=str(tmp_path), VENVFS_ROOT=str(tmp_path / "other" / "envs"))
        other("store", "add", "--no-compile", library)
        other("create", "x", "--without-pip", "--python", debian_python)
        other("sync", "--no-compile", "x", file)
        return distributions(other)

    return sync


def write(venvfs, path, *options):
    path.write_text(venvfs("freeze", "x", *options).stdout)
    return path


def test_requirements(venvfs, x, pins, index, small_wheels, tmp_path, elsewhere):
    one, two = small_wheels("one"), small_wheels("two-b", "2.0")
    index.add(one, two)
    venvfs("sync", "x", pins("one==1.0", "two-b==2.0"))
    asked = len(index.log)
    file = write(venvfs, tmp_path / "frozen.txt")
    assert file.read_text() == f"{pin(one)}\ntwo-b==2.0 --hash=sha256:{sha256(two)}\n"
    assert len(index.log) == asked, "nobody is asked"
    r = venvfs("sync", "x", file)
    assert r.stdout == f"{x}: 2 distributions, as before\n"
    assert elsewhere(file) == distributions(venvfs)


def test_installers_are_left_out(venvfs, root, debian_python, index, small_wheels, pins):
    venvfs("create", "x", "--python", debian_python)
    index.add(small_wheels("one"))
    venvfs("sync", "x", pins("one==1.0"))
    assert [line.split("==")[0] for line in venvfs("freeze", "x").stdout.splitlines()] == ["one"]
    assert "pip" in [line.split("==")[0] for line in venvfs("freeze", "x", "--all").stdout.splitlines()]


def test_nothing(venvfs, x):
    assert venvfs("freeze", "x").stdout == ""
    assert venvfs("freeze", "x", "--format", "pylock").stdout == 'lock-version = "1.0"\ncreated-by = "venvfs"\n'


def test_pylock(venvfs, x, index, small_wheels, tmp_path, elsewhere):
    """What was asked for, and what only others need, is told apart on the other side as well."""
    index.add(small_wheels("app", requires=["low"]), small_wheels("low"))
    venvfs("add", "x", "app")
    file = write(venvfs, tmp_path / "pylock.toml", "--format", "pylock")
    before = distributions(venvfs)
    assert [d["requested"] for d in before] == [True, False]
    r = venvfs("sync", "x", file)
    assert r.stdout == f"{x}: 2 distributions, as before\n"
    assert elsewhere(file) == before


def test_pylock_of_the_very_files(venvfs, x, index, small_wheels, pins):
    """The index has other bytes by now under the name that the environment was made of."""
    index.add(small_wheels("one"))
    venvfs("sync", "x", pins("one==1.0"))
    index.add(small_wheels("one", files={"other.py": ""}))
    r = venvfs("freeze", "x", "--format", "pylock", check=False)
    assert r.returncode == 1 and r.stdout == "" and "one==1.0" in r.stderr


def test_from_a_path(venvfs, x, index, small_wheels, tmp_path, elsewhere):
    one = small_wheels("one")
    index.add(small_wheels("low"))
    venvfs("add", "x", one, "low")
    r = venvfs("freeze", "x", check=False)
    assert r.returncode == 1 and r.stdout == ""
    assert "one 1.0 came from a URL or a path" in r.stderr and "--format pylock" in r.stderr
    file = write(venvfs, tmp_path / "pylock.toml", "--format", "pylock")
    assert f'archive = {{ url = "{one.as_uri()}"' in file.read_text()
    assert elsewhere(file) == distributions(venvfs)


def test_what_pip_installed(venvfs, mount, index, small_wheels, debian_python, tmp_path, library):
    """It is harvested first; the file it came from is not known, and so there are no hashes."""
    index.add(small_wheels("low"), small_wheels("app", requires=["low"]))
    venvfs("create", "x", "--python", debian_python)
    subprocess.run([mount.path / "x/bin/python", "-m", "pip", "install", "-q", "app"], check=True, env=venvfs.env)
    r = venvfs("freeze", "x")
    assert r.stdout == "app==1.0\nlow==1.0\n" and "app 1.0 came from is not known" in r.stderr
    file = write(venvfs, tmp_path / "pylock.toml", "--format", "pylock")
    before = distributions(venvfs)
    assert {d["name"]: (d["requested"], d["installer"]) for d in before if d["name"] in ("app", "low")} == {
        "app": (True, "pip"), "low": (False, "pip")}
    r = venvfs("sync", "x", file)
    assert r.stdout.endswith(", as before\n") and distributions(venvfs) == before
    venvfs("create", "y", "--without-pip", "--python", debian_python)
    venvfs("sync", "y", file)

    def same(rows):
        return [{k: v for k, v in d.items() if not k.startswith("wheel")} for d in rows if d["name"] in ("app", "low")]

    assert same(distributions(venvfs, "y")) == same(before)


def test_what_is_left_out_is_told(venvfs, x, root, debian_python):
    """What no lock can hold: an editable installation, say."""
    info = x / "lib/python3.11/site-packages/My_Own-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text("My_Own-1.0.dist-info/RECORD,,\n")
    r = venvfs("freeze", "x")
    assert r.stdout == "" and r.stderr.startswith("venvfs: my-own is private to ") and "`venvfs harvest" in r.stderr
    subprocess.run([debian_python, "-m", "venv", "--without-pip", root / "plain"], check=True)
    r = venvfs("freeze", "plain", check=False)
    assert r.returncode == 1 and r.stdout == "" and "`venvfs adopt` gives it one" in r.stderr


def test_not_while_another_command_is_at_work(venvfs, x, root, tmp_path):
    """What pip installed would be missing."""
    info = x / "lib/python3.11/site-packages/low-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text("low-1.0.dist-info/RECORD,,\n")
    fd = os.open(root, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    r = venvfs("freeze", "x", check=False)
    assert r.returncode == 1 and r.stdout == "" and "another command is at work there; run it again" in r.stderr
    os.close(fd)
    venvfs("freeze", "x")


@pytest.mark.parametrize("arguments", [(), ("x", "y"), ("x", "--format", "conda"), ("x", "--ask", "nobody")])
def test_usage(venvfs, x, arguments):
    r = venvfs("freeze", *arguments, check=False)
    assert r.returncode == 2 and "usage: venvfs freeze" in r.stderr
