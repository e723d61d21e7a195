# SPDX-License-Identifier: MIT
"""`venvfs reset`: private changes and deletions are forgotten, under the eyes of who works there."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import time

import pytest

from conftest import wait_for_end
from prepared import prepared, private, site  # noqa: F401

WHEELS = {
    "demo": dict(files={"demo/__init__.py": "x = 1\n", "demo/a.py": "a = 1\n", "demo/b.py": "b = 1\n",
                        "demo/sub/c.py": "c = 1\n", "demo/sub/d.py": "d = 1\n"},
                 entry_points={"console_scripts": {"demo": "demo:main"}}),
    "other": dict(files={"other.py": "o = 1\n"}),
}


@pytest.fixture
def venvfs(prepared, sanitizer_logs, root):
    v = prepared.venvfs(sanitizer_logs)
    v.env["VENVFS_ROOT"] = str(root)
    return v


@pytest.fixture
def env(prepared, mount):
    return prepared.env(mount.path / "e")


def tree(env):
    return {str(p.relative_to(env)): os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else None
            for p in env.rglob("*")}


def spoil(env):
    s = site(env)
    (s / "demo/a.py").write_text("a = 2\n")
    (s / "demo/b.py").unlink()
    (s / "demo/sub").rename(s / "demo/moved")
    (s / "other.py").chmod(0o600)
    (s / "own").mkdir()
    (s / "own/x.py").write_text("x")
    (env / "bin/demo").unlink()
    (env / "bin/python3").unlink()
    (env / "bin/python3").write_text("#!/bin/sh\n")
    (env / "top").write_text("top")
    subprocess.run(["rm", "-rf", env / "include", s / "demo-1.0.dist-info"], check=True)


def only_cfg(mount):
    return {p for p, b in private(mount, "e").items() if b is not None and not p.startswith(".venvfs/")} == {"pyvenv.cfg"}


@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "unmounted"])
def test_all(venvfs, env, mount, mounted):
    before = tree(env)
    spoil(env)
    assert tree(env) != before
    if not mounted:
        mount.umount()
    text = venvfs("reset", "e").stdout.splitlines()
    if not mounted:
        mount.mount()
    at = site(env).relative_to(env)
    for line in (f"as it was: {at}/demo/a.py", f"back: {at}/demo/b.py", f"removed: {at}/own/x.py", "removed: top",
                 "back: bin/demo", f"as it was: {at}/other.py", f"back: {at}/demo/sub/c.py", f"removed: {at}/demo/moved/c.py"):
        assert line in text, text
    assert tree(env) == before
    assert only_cfg(mount) and not (mount.upper / "e/.venvfs/trash").exists()
    assert venvfs("diff", "e").stdout == f"{env}: as its lock says\n"
    assert venvfs("reset", "e").stdout.endswith("/e: as the lock has it\n")
    assert venvfs("reset", "e", "bin/no-such").stdout.endswith("/e/bin/no-such: as the lock has it\n")
    mount.remount()
    assert tree(env) == before


def test_a_listing_that_the_kernel_remembers(venvfs, env):
    """Names that come and go show in directories that were listed just before."""
    s = site(env)
    (s / "demo/b.py").unlink()
    (s / "demo/own").write_text("")
    (env / "top").write_text("")
    subprocess.run(["rm", "-rf", env / "include"], check=True)
    for _ in range(2):
        assert "own" in os.listdir(s / "demo") and "top" in os.listdir(env)
    venvfs("reset", "e", "lib", "top", "include")
    assert "own" not in os.listdir(s / "demo") and "b.py" in os.listdir(s / "demo")
    assert "top" not in os.listdir(env) and "include" in os.listdir(env)


def test_one_path(venvfs, env):
    before = tree(env)
    spoil(env)
    at = site(env).relative_to(env)
    assert venvfs("reset", "e", at / "demo/a.py").stdout == f"as it was: {at}/demo/a.py\n"
    assert (site(env) / "demo/a.py").read_text() == "a = 1\n" and not (site(env) / "demo/b.py").exists()
    venvfs("reset", "e", env / at / "demo", at / "own")
    now = tree(env)
    assert {p: b for p, b in now.items() if p.startswith(f"{at}/demo/")} == {
        p: b for p, b in before.items() if p.startswith(f"{at}/demo/")}
    assert not (site(env) / "own").exists() and (env / "top").read_text() == "top"
    venvfs("reset", "e", "bin/python3")
    assert os.readlink(env / "bin/python3") == before["bin/python3"]


def test_below_a_deleted_directory(venvfs, env):
    s = site(env)
    at = s.relative_to(env)
    subprocess.run(["rm", "-rf", s / "demo"], check=True)
    r = venvfs("reset", "e", at / "demo/a.py", check=False)
    assert r.returncode == 1 and "reset that directory" in r.stderr
    (s / "demo").mkdir()
    (s / "demo/a.py").write_text("other")
    r = venvfs("reset", "e", at / "demo/a.py", check=False)
    assert r.returncode == 1 and "reset that directory" in r.stderr
    venvfs("reset", "e", at / "demo")
    assert (s / "demo/a.py").read_text() == "a = 1\n"


def test_a_process_inside(venvfs, env):
    """Its directory and what it has open stay; what it looks up is the lock's."""
    s = site(env)
    (s / "demo/a.py").write_text("a = 2\n")
    (s / "demo/b.py").unlink()
    (s / "demo/own.py").write_text("own")
    code = ("import os, sys\nf = open('a.py', 'r+')\ng = open('own.py')\n"
            "for line in sys.stdin:\n"
            " f.seek(0)\n f.write('A')\n f.flush()\n f.seek(0)\n g.seek(0)\n"
            " print(os.getcwd(), f.read(), g.read(), open('a.py').read(), os.path.exists('b.py'), os.path.exists('own.py'),"
            " sorted(x for x in os.listdir('.') if x != '__pycache__'), sep='|', end='\\0', flush=True)\n")
    with subprocess.Popen([sys.executable, "-c", code], cwd=s / "demo", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        def ask():
            p.stdin.write(b"\n")
            p.stdin.flush()
            out = b""
            while not out.endswith(b"\0"):
                out += p.stdout.read(1)
            return out[:-1].decode().split("|")

        assert ask() == [str(s / "demo"), "A = 2\n", "own", "A = 2\n", "False", "True",
                         "['__init__.py', 'a.py', 'own.py', 'sub']"]
        venvfs("reset", "e")
        assert ask() == [str(s / "demo"), "A = 2\n", "own", "a = 1\n", "True", "False",
                         "['__init__.py', 'a.py', 'b.py', 'sub']"]
        p.stdin.close()
        assert p.wait() == 0
    assert venvfs("diff", "e").stdout == f"{env}: as its lock says\n"


def test_a_process_in_a_directory_that_goes(venvfs, env):
    (site(env) / "own").mkdir()
    with subprocess.Popen([sys.executable, "-c", "import os, sys\nprint(os.getcwd(), flush=True)\nsys.stdin.read()\nos.listdir('.')"],
                          cwd=site(env) / "own", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        assert p.stdout.readline()
        venvfs("reset", "e")
        assert not (site(env) / "own").exists()
        p.stdin.close()
        p.wait()
    (site(env) / "own").mkdir()
    (site(env) / "own/new").write_text("new")
    assert os.listdir(site(env) / "own") == ["new"]


def test_another_environment_in_it(venvfs, env, prepared, mount):
    (env / "deep").mkdir()
    prepared.env(env / "deep/f")
    mount.remount()
    r = venvfs("reset", "e", check=False)
    assert r.returncode == 1 and "another environment" in r.stderr
    assert (env / "deep/f/bin/python").is_symlink()


def test_the_other_environment_and_the_store_see_nothing(venvfs, env, prepared, mount):
    f = prepared.env(mount.path / "f")
    (site(f) / "other.py").write_text("mine")
    (site(env) / "other.py").write_text("mine")
    venvfs("reset", "e")
    assert (site(f) / "other.py").read_text() == "mine" and (site(env) / "other.py").read_text() == "o = 1\n"


def test_refusals(venvfs, env, mount, root):
    r = venvfs("reset", "e", "pyvenv.cfg", check=False)
    assert r.returncode == 1 and "undo" in r.stderr
    for path in ("../f", "/etc", "lib/../.."):
        assert venvfs("reset", "e", path, check=False).returncode == 1
    for path in (".venvfs", ".wh.x"):
        assert venvfs("reset", "e", path, check=False).returncode == 1
    assert venvfs("reset", check=False).returncode == 2
    with pytest.raises(OSError):
        os.setxattr(mount.path, "user.venvfs.reset", b"nothing/there")
    (mount.path / "plain").mkdir()
    (mount.path / "plain/x").write_text("x")
    with pytest.raises(OSError):
        os.setxattr(mount.path, "user.venvfs.reset", b"plain/x")
    assert (mount.path / "plain/x").read_text() == "x"


@pytest.mark.parametrize("answer", ["y", "n"])
def test_it_asks_on_a_terminal(venvfs, env, answer):
    (env / "own").write_text("x")
    master, slave = pty.openpty()
    os.write(master, f"{answer}\n".encode())
    r = venvfs("reset", "e", stdin=slave)
    os.close(slave)
    os.close(master)
    assert "removed: own" in r.stderr and "[y/N]" in r.stderr
    assert (env / "own").exists() == (answer == "n")


@pytest.mark.parametrize("step", range(1, 14))
def test_killed(venvfs, env, mount, sanitized, step, tmp_path):
    """Unmounted, at each rename, unlink and sync of the command: the next one finishes it."""
    if sanitized or not shutil.which("strace"):
        pytest.skip("no strace, or a sanitizer that makes calls of its own")
    before = tree(env)
    spoil(env)
    mount.umount()
    calls = "renameat,renameat2,unlinkat,fsync,mkdirat"
    subprocess.run(["strace", "-f", "-o", tmp_path / "trace", "-e", f"trace={calls}", "-e",
                    f"inject={calls}:signal=KILL:when={step * 2}", venvfs.binary, "reset", "e"], env=venvfs.env,
                   stdout=subprocess.DEVNULL, check=False)
    mount.mount()
    now = tree(env)
    assert now["pyvenv.cfg"] == before["pyvenv.cfg"]
    venvfs("reset", "e")
    assert tree(env) == before and only_cfg(mount) and not (mount.upper / "e/.venvfs/trash").exists()


def test_the_daemon_killed_after_it(venvfs, env, mount):
    before = tree(env)
    spoil(env)
    venvfs("reset", "e")
    os.kill(mount.pid, signal.SIGKILL)
    wait_for_end(mount.pid)
    while mount.alive():  # its last thread lets go of the connection
        time.sleep(0.02)
    venvfs("mount", mount.path, "--harvest", "no")
    mount.pid = mount.status()["pid"]
    assert tree(env) == before


def test_as_another_user(other_user, fuse):
    envs = other_user.home / "envs"
    other_user.venvfs("mount", envs)
    other_user.venvfs("create", "--without-pip", "--python", "/usr/bin/python3", "e", "--root", envs)
    other_user.run("touch", envs / "e/own")
    other_user.run("rm", envs / "e/bin/python")
    assert other_user.venvfs("reset", "e", "--root", envs).stdout == "back: bin/python\nremoved: own\n"
    other_user.run("test", "-L", envs / "e/bin/python")
    other_user.venvfs("umount", envs)
