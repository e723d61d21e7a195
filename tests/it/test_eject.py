# SPDX-License-Identifier: MIT
"""`venvfs eject`: an environment becomes an ordinary one where it lies."""

import errno
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from conftest import wait_for_end
from prepared import prepared, site  # noqa: F401

WHEELS = {
    "demo": dict(files={"demo/__init__.py": "x = 1\ndef main(): print('demo', x)\n", "demo/a.py": "a = 1\n",
                        "demo/b.py": "b = 1\n", "demo/big.bin": bytes(range(256)) * 1200},
                 entry_points={"console_scripts": {"demo": "demo:main"}}),
}


@pytest.fixture
def venvfs(prepared, sanitizer_logs, root):
    v = prepared.venvfs(sanitizer_logs)
    v.env["VENVFS_ROOT"] = str(root)
    return v


@pytest.fixture
def env(prepared, mount):
    e = prepared.env(mount.path / "e")
    (site(e) / "demo/b.py").unlink()
    (site(e) / "own.py").write_text("own = 1\n")
    (site(e) / "demo/a.py").write_text("a = 2\n")
    return e


def tree(env, path=None):
    """{path: (mode, bytes)}; `path` in the place of the environment's own. RECORD has the hash of a script
    with that path in it."""
    def text(b):
        return re.sub(rb"bin/demo,sha256=.*", b"", b.replace(str(env).encode(), path.encode()) if path else b)

    return {str(p.relative_to(env)): (oct(p.lstat().st_mode), os.readlink(p) if p.is_symlink() else
            text(p.read_bytes()) if p.is_file() else None) for p in env.rglob("*")}


def runs(env):
    r = subprocess.run([env / "bin/python", "-c", "import demo, own; from demo import a; print(a.a); import demo.b"],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                       env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {
                           "PYTHONDONTWRITEBYTECODE": "1"})
    assert r.stdout == "2\n" and "No module named 'demo.b'" in r.stderr, r.stderr
    assert subprocess.run([env / "bin/demo"], stdout=subprocess.PIPE, text=True, check=True,
                          env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}).stdout == "demo 1\n"


def leftovers(root):
    return [n for n in os.listdir(root) if n.startswith(".venvfs")]


@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "unmounted"])
def test_like_materialize(venvfs, env, mount, mounted, tmp_path):
    (tmp_path / "out").mkdir()
    venvfs("materialize", "e", tmp_path / "out/e")
    runs(env)
    if not mounted:
        mount.umount()
    assert venvfs("eject", "e").stdout == f"{env} is an ordinary environment\n"
    expected = tree(tmp_path / "out/e", str(env))
    assert tree(env) == expected and "venvfs-lock" not in (env / "pyvenv.cfg").read_text()
    runs(env)
    if mounted:
        mount.umount()
    assert tree(env) == expected and leftovers(mount.path) == []
    runs(env)
    mount.mount()
    assert tree(env) == expected
    runs(env)
    (site(env) / "later.py").write_text("later")
    assert (mount.upper / "e" / site(env).relative_to(env) / "later.py").read_text() == "later"


def test_a_process_inside(venvfs, env):
    """Its directory stays, what it has open goes on, new files are the ordinary ones."""
    s = site(env)
    code = ("import os, sys\nf, g, h = open('demo/a.py'), open('demo/__init__.py'), open('../../../bin/demo')\n"
            "first = h.read()\n"
            "for line in sys.stdin:\n"
            " f.seek(0), g.seek(0), h.seek(0)\n"
            " print(os.getcwd(), f.read() == open('demo/a.py').read() == 'a = 2\\n', g.read() == open('demo/__init__.py').read(),\n"
            "  h.read() == first, os.path.exists('demo/b.py'), os.stat('demo/__init__.py').st_blocks > 0, sep='|', flush=True)\n")
    with subprocess.Popen([sys.executable, "-c", code], cwd=s, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        for k in range(2):
            p.stdin.write("\n")
            p.stdin.flush()
            assert p.stdout.readline().strip() == f"{s}|True|True|True|False|True"
            if k == 0:
                venvfs("eject", "e")
        p.stdin.close()
        assert p.wait() == 0


def test_a_script_that_is_open(venvfs, env):
    """It was generated, and is asked for by descriptor alone: read() makes its atime unknown."""
    with open(env / "bin/demo") as f:
        first = f.read()
        venvfs("eject", "e")
        st = os.fstat(f.fileno())
        assert st.st_size == len(first.encode()) and st.st_nlink == 0
        assert f.seek(0) == 0 and f.read() == first


def test_there_and_back(venvfs, env, mount):
    """Ejected, adopted, with another lock, ejected again."""
    venvfs("eject", "e")
    r = venvfs("eject", "e", check=False)
    assert r.returncode == 1 and "ordinary environment already" in r.stderr
    venvfs("adopt", "e")
    runs(env)
    venvfs("eject", "e")
    runs(env)
    mount.remount()
    runs(env)


def test_others_and_refusals(venvfs, env, mount, prepared):
    f = prepared.env(mount.path / "f")
    (env / "deep").mkdir()
    prepared.env(env / "deep/g")
    r = venvfs("eject", "e", check=False)
    assert r.returncode == 1 and "another environment" in r.stderr and leftovers(mount.upper) == []
    runs(env)
    venvfs("eject", "f")
    assert (env / "deep/g/bin/python").is_symlink() and (f / "bin/python").is_symlink()
    assert "venvfs-lock" in (env / "pyvenv.cfg").read_text()
    assert venvfs("eject", check=False).returncode == 2
    assert venvfs("eject", "gone", check=False).returncode == 1
    for value in (b"", b"x", b"0 .venvfs-tmp.1.eject e", b"9223372036854775807 .venvfs-tmp.1.eject f",
                  b"9223372036854775807 pyvenv.cfg e"):
        with pytest.raises(OSError):
            os.setxattr(mount.path, "user.venvfs.replace", value)
    runs(env)


def test_a_change_meanwhile(venvfs, env, mount):
    """What is written after the copy was begun is not lost: it says so and leaves all as it was."""
    (mount.upper / ".venvfs-tmp.1.eject").mkdir()
    (site(env) / "own.py").write_text("own = 2\n")
    with pytest.raises(OSError) as e:
        os.setxattr(mount.path, "user.venvfs.replace", b"1 .venvfs-tmp.1.eject e")
    assert e.value.errno == errno.ETXTBSY
    assert (site(env) / "own.py").read_text() == "own = 2\n"
    (mount.upper / ".venvfs-tmp.1.eject").rmdir()


def test_in_a_deeper_directory(venvfs, mount, prepared):
    (mount.path / "a/b").mkdir(parents=True)
    e = prepared.env(mount.path / "a/b/e")
    (site(e) / "demo/b.py").unlink()
    (site(e) / "own.py").write_text("")
    (site(e) / "demo/a.py").write_text("a = 2\n")
    venvfs("eject", e)
    runs(e)
    assert leftovers(mount.upper / "a/b") == []


@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "unmounted"])
@pytest.mark.parametrize("step", [1, 5, 20, 40, "exchange", "sweep"])
def test_killed(venvfs, env, mount, sanitized, step, mounted, tmp_path):
    """It is the one or the other, whole; the next eject sweeps."""
    if sanitized or not shutil.which("strace"):
        pytest.skip("no strace, or a sanitizer that makes calls of its own")
    before = tree(env)
    (tmp_path / "out").mkdir()
    venvfs("materialize", "e", tmp_path / "out/e")
    after = tree(tmp_path / "out/e", str(env))
    if not mounted:
        mount.umount()
    calls, when = {"exchange": ("setxattr" if mounted else "renameat2", 1), "sweep": ("unlinkat", 3)}.get(
        step, ("mkdirat,openat,fchmod,symlinkat,syncfs", step if isinstance(step, str) else step * 4))
    subprocess.run(["strace", "-f", "-o", tmp_path / "trace", "-e", f"trace={calls}",
                    "-e", f"inject={calls}:signal=KILL:when={when}", venvfs.binary, "eject", "e"],
                   env=venvfs.env, stdout=subprocess.DEVNULL, check=False)
    if not mounted:
        mount.mount()
    now = tree(env)
    assert now == before or now == after
    assert venvfs("eject", "e", check=False).returncode == (0 if now == before else 1)
    assert tree(env) == after and leftovers(mount.upper) == []


def test_the_daemon_killed_after_it(venvfs, env, mount):
    venvfs("eject", "e")
    os.kill(mount.pid, 9)
    wait_for_end(mount.pid)
    while mount.alive():  # its last thread lets go of the connection
        time.sleep(0.02)
    venvfs("mount", mount.path, "--harvest", "no")
    mount.pid = mount.status()["pid"]
    runs(env)


def test_as_another_user(other_user, fuse):
    envs = other_user.home / "envs"
    other_user.venvfs("mount", envs)
    other_user.venvfs("create", "--python", "/usr/bin/python3", "e", "--root", envs)
    other_user.venvfs("eject", "e", "--root", envs)
    other_user.run(envs / "e/bin/python", "-m", "pip", "--version")
    other_user.venvfs("umount", envs)
    other_user.run(envs / "e/bin/python", "-m", "pip", "--version")
    assert "venvfs-lock" not in (envs / "e/pyvenv.cfg").read_text()
