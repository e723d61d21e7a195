# SPDX-License-Identifier: MIT
"""`venvfs diff`: what is private, by distribution, with the root mounted and without."""

import os
import subprocess

import pytest

import wheelmaker
from prepared import Prepared, site

WHEELS = {
    "demo": dict(files={"demo/__init__.py": "x = 1\n", "demo/a.py": "a = 1\n", "demo/b.py": "b = 1\n",
                        "demo/sub/c.py": "c = 1\n", "demo/sub/d.py": "d = 1\n"},
                 entry_points={"console_scripts": {"demo": "demo:main"}}),
    "other": dict(files={"other.py": "o = 1\n"}),
}
SITE = "lib/python3.{}/site-packages"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, debian_python):
    return Prepared(tmp_path_factory.mktemp("diff"), debian_python, WHEELS)


@pytest.fixture
def venvfs(prepared, sanitizer_logs):
    return prepared.venvfs(sanitizer_logs)


@pytest.fixture
def env(prepared, mount):
    return prepared.env(mount.path / "e")


def lines(venvfs, env, mount=None):
    """What it prints; unmounted it is the same."""
    text = venvfs("diff", env).stdout
    if mount:
        mount.umount()
        assert venvfs("diff", env, "--root", env.parent).stdout == text
        mount.mount()
    return text.splitlines()


def test_nothing(venvfs, env, mount):
    assert lines(venvfs, env, mount) == [f"{env}: as its lock says"]


def test_each_kind(venvfs, env, mount):
    s = site(env)
    at = s.relative_to(env)
    (s / "demo/a.py").write_text("a = 2\n")
    (s / "demo/b.py").unlink()
    (s / "demo/__init__.py").chmod(0o600)
    (s / "demo/own.txt").write_text("mine")
    os.setxattr(s / "demo/sub/c.py", "user.note", b"x")
    os.utime(s / "demo/sub/d.py")
    (s / "other.py").write_text("longer than it was\n")
    (env / "bin/demo").write_text("#!/bin/sh\n")
    (env / "var/empty").mkdir(parents=True)
    (env / "bin/python3").unlink()
    assert lines(venvfs, env, mount) == [
        "demo 1.0",
        "  ~ bin/demo",
        f"  mode {at}/demo/__init__.py",
        f"  ~ {at}/demo/a.py",
        f"  - {at}/demo/b.py",
        f"  xattr {at}/demo/sub/c.py",
        f"  same {at}/demo/sub/d.py",
        "other 1.0",
        f"  ~ {at}/other.py",
        "of no distribution",
        "  - bin/python3",
        f"  + {at}/demo/own.txt",
        "  + var/empty/",
    ]


def test_whole_directories(venvfs, env, mount):
    """What a deleted or replaced directory hides is told file by file."""
    s = site(env)
    at = s.relative_to(env)
    for p in (s / "demo/sub/c.py", s / "demo/sub/d.py"):
        p.unlink()
    subprocess.run(["rm", "-rf", s / "demo/sub"], check=True)
    assert lines(venvfs, env, mount) == ["demo 1.0", f"  - {at}/demo/sub/c.py", f"  - {at}/demo/sub/d.py"]
    (s / "demo/sub").mkdir()
    (s / "demo/sub/c.py").write_text("c = 1\n")  # there again, with the bytes it had
    (s / "demo/sub/e.py").write_text("")
    assert lines(venvfs, env, mount) == [
        "demo 1.0", f"  same {at}/demo/sub/c.py", f"  - {at}/demo/sub/d.py",
        "of no distribution", f"  + {at}/demo/sub/e.py"]


def test_a_directory_that_moved(venvfs, env, mount):
    s = site(env)
    at = s.relative_to(env)
    (s / "demo/sub").rename(s / "demo/moved")
    assert lines(venvfs, env, mount) == [
        "demo 1.0", f"  - {at}/demo/sub/c.py", f"  - {at}/demo/sub/d.py",
        "of no distribution", f"  + {at}/demo/moved/c.py", f"  + {at}/demo/moved/d.py"]


def test_a_file_in_a_directorys_place_and_back(venvfs, env, mount):
    s = site(env)
    at = s.relative_to(env)
    subprocess.run(["rm", "-rf", s / "demo"], check=True)
    (s / "demo").write_text("a file")
    (s / "other.py").unlink()
    (s / "other.py").mkdir()
    (s / "other.py/x").write_text("")
    got = lines(venvfs, env, mount)
    assert f"  + {at}/demo" in got and f"  - {at}/demo/a.py" in got
    assert f"  - {at}/other.py" in got and f"  + {at}/other.py/x" in got


def test_private_installation(venvfs, env, mount, tools, tmp_path):
    wheel = wheelmaker.make(tmp_path, "fresh", files={"fresh/__init__.py": "", "fresh/more.py": "m = 1\n"},
                            entry_points={"console_scripts": {"fresh": "fresh:main"}})
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
    subprocess.run([tools / "python", "-m", "pip", "--disable-pip-version-check", "--python", env / "bin/python",
                    "install", "--no-index", "--no-compile", wheel], check=True, env=environ,
                   stdout=subprocess.DEVNULL)
    (site(env) / "loose.py").write_text("")
    at = site(env).relative_to(env)
    record = (site(env) / "fresh-1.0.dist-info/RECORD").read_text().splitlines()
    assert lines(venvfs, env, mount) == [
        f"fresh 1.0 installed privately, {len(record)} files", "of no distribution", f"  + {at}/loose.py"]
    got = venvfs.json("diff", env)
    assert got["env"] == str(env)
    assert got["installed"] == [{"name": "fresh", "version": "1.0", "files": len(record)}]
    assert {(c["path"], c["change"], c["distribution"]) for c in got["changes"] if not c["installed"]} == {
        (f"{at}/loose.py", "added", None)}
    assert sum(c["installed"] == "fresh" for c in got["changes"]) == len(record)


def test_it_changes_nothing(venvfs, env, mount):
    (site(env) / "demo/b.py").unlink()
    (site(env) / "own.py").write_text("")
    before = {p: p.lstat().st_mtime_ns for p in (mount.upper / "e").rglob("*")}
    lines(venvfs, env)
    assert {p: p.lstat().st_mtime_ns for p in (mount.upper / "e").rglob("*")} == before


def test_refusals(venvfs, root):
    (root / "plain/bin").mkdir(parents=True)
    (root / "plain/pyvenv.cfg").write_text("home = /usr/bin\n")
    (root / "none").mkdir()
    for name, why in (("plain", "ordinary environment"), ("none", "no environment"), ("gone", "no such environment")):
        r = venvfs("diff", root / name, "--root", root, check=False)
        assert r.returncode == 1 and why in r.stderr, r.stderr
    assert venvfs("diff", check=False).returncode == 2
    assert venvfs("diff", "--frob", "x", check=False).returncode == 2


def test_as_another_user(other_user):
    """A user's own root, of which nothing is mounted."""
    r = other_user.venvfs("create", "--without-pip", "--python", "/usr/bin/python3", "e", "--root", other_user.home / "envs")
    assert r.returncode == 0
    (other_user.home / "envs/e/own.txt").write_text("")
    got = other_user.venvfs("diff", "e", "--root", other_user.home / "envs").stdout
    assert got == "of no distribution\n  + own.txt\n"
