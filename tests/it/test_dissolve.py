# SPDX-License-Identifier: MIT
"""Environments that go, in every way there is: whoever walks and removes finds no surprise, nothing is
left behind the mount, and other environments see none of it.

$VENVFS_DISSOLVE is how many go in each loop (default 50)."""

import mmap
import os
import re
import subprocess
import sys
import threading

import pytest

from prepared import code, prepared, private, site, venvfs  # noqa: F401

COUNT = int(os.environ.get("VENVFS_DISSOLVE", "50"))
WHEELS = {
    "demo": {"files": {f"demo/{d}{f}.py": f"name = '{d}{f}'\n"
                       for d in ("", "sub/", "sub/deep/", "sub/deep/er/") for f in ("__init__", "a", "b")},
             "data": {"share/demo/notes": "notes\n"}, "entry_points": {"console_scripts": {"demo": "demo:main"}}},
    # more than one reply of READDIR takes
    "many": {"files": {f"many/{'x' * 60}{i}.py": "" for i in range(300)}},
    "ns-one": {"files": {"ns/one/__init__.py": "", "ns/one/a.py": ""}},
    "ns-two": {"files": {"ns/two/__init__.py": "", "ns/two/a.py": ""}},
}

# Makes, looks at and removes environments; runs in the Python whose shutil is to be tried.
LOOP = """
import os, shutil, subprocess, sys, traceback
how, count, root, upper, cfg, others = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6], set(sys.argv[6].split(","))
text = open(cfg, "rb").read()

def nothing(env, site): pass
def listing(env, site): os.listdir(env); os.listdir(site)
def walk(env, site):
    for top, dirs, files in os.walk(env):
        for name in files: os.lstat(os.path.join(top, name))
def imports(env, site):
    code = "import demo.sub.deep.a, ns.one.a, ns.two"
    subprocess.run([env + "/bin/python", "-c", code], check=True, env={})
def changes(env, site):
    listing(env, site)
    for name in ("/mine.py", "/demo/a.py", "/demo/sub/mine.py", "/../mine"):
        with open(site + name, "w") as f: f.write("mine")
    os.makedirs(site + "/own/deep/er"); os.symlink("own", site + "/link")
    os.mkdir(site + "/__pycache__"); open(site + "/__pycache__/mine.cpython-311.pyc", "w").close()
    os.unlink(site + "/demo/sub/a.py"); os.unlink(env + "/bin/demo"); os.unlink(env + "/bin/activate")
    shutil.rmtree(site + "/ns/two"); shutil.rmtree(site + "/demo/sub/deep")
    os.mkdir(site + "/demo/sub/deep"); open(site + "/demo/sub/deep/again.py", "w").close()
    os.chmod(site + "/demo/b.py", 0o600)
def both(env, site): walk(env, site); imports(env, site); changes(env, site); walk(env, site)

before = (nothing, listing, walk, imports, changes, both)
for i in range(count):
    env = "%s/x%d" % (root, i % 7)
    os.mkdir(env)
    with open(env + "/pyvenv.cfg", "wb") as f: f.write(text)
    [lib] = os.listdir(env + "/lib")
    what = before[i % len(before)]
    what(env, "%s/lib/%s/site-packages" % (env, lib))
    try:
        if how == "rmtree": shutil.rmtree(env)
        elif how == "find": subprocess.run(["find", env, "-depth", "-delete"], check=True)
        else: subprocess.run(how.split() + ["-r", env], check=True)
    except Exception:
        sys.exit("%d, after %s: %s" % (i, what.__name__, traceback.format_exc()))
    left = [d for d in (root, upper) if set(os.listdir(d)) != others]
    if left or os.path.lexists(env):
        sys.exit("%d, after %s: left: %s" % (i, what.__name__, [os.listdir(d) for d in left]))
"""


@pytest.fixture
def other(prepared, mount):
    """An environment with a change of its own, which has to stay as it is."""
    env = prepared.env(mount.path / "other")
    (site(env) / "demo" / "a.py").write_text("other\n")
    (site(env) / "demo" / "b.py").unlink()
    before = contents(env), private(mount, "other")
    yield env
    assert (contents(env), private(mount, "other")) == before


def contents(env):
    return {str(p.relative_to(env)): p.read_bytes() if p.is_file() and not p.is_symlink() else None
            for p in env.rglob("*")}


def loop(python, how, mount, prepared, count=COUNT):
    cfg = prepared.base / "x" / "pyvenv.cfg"
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    r = subprocess.run([python, "-I", "-c", LOOP, how, str(count), mount.path, mount.upper, cfg, "other"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ)
    assert r.returncode == 0, r.stdout


@pytest.mark.timeout(3600)
def test_rmtree(python, mount, prepared, other):
    loop(python, "rmtree", mount, prepared)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", ["rm", "rm -f", "find"])
def test_programs(how, mount, prepared, other):
    loop(sys.executable, how, mount, prepared)


def test_another_takes_its_place(mount, prepared, other):
    """By a rename over what is left of it, which looks empty."""
    env = prepared.env(mount.path / "x")
    site(env)
    (env / "own").mkdir()
    (env / "pyvenv.cfg").unlink()
    assert os.listdir(env) == ["own"]
    new = prepared.env(mount.path / "new")
    assert code(os.rename, new, env) == "ENOTEMPTY"
    (env / "own").rmdir()
    os.rename(new, env)
    assert (site(env) / "demo/a.py").read_text() == "name = 'a'\n" and not new.exists()
    (env / "pyvenv.cfg").unlink()
    (mount.path / "plain").mkdir()
    os.rename(mount.path / "plain", env)
    assert os.listdir(env) == []


# looked at while it changes


def test_a_walk_while_the_lock_changes(mount, prepared):
    """Who asked for a name before the change and is answered after it does not have the old answer for ever."""
    env = prepared.env(mount.path / "x")
    top, cfg, done = site(env) / "many", env / "pyvenv.cfg", threading.Event()
    names = sorted(os.listdir(top))
    without = re.sub(rb"venvfs-lock = .*", b"venvfs-lock = none", prepared.cfg)

    def look():
        while not done.is_set():
            for name in names:
                os.path.lexists(top / name)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for i in range(60):
            cfg.write_bytes(prepared.cfg if i % 2 else without)
            os.getxattr(mount.path, "user.venvfs.settled")
            stale = [name for name in names if os.path.lexists(top / name) != bool(i % 2)]
            assert not stale, f"{i}: {stale}"
    finally:
        done.set()
        for t in threads:
            t.join()


# made anew in place


def untouched(env):
    pass


def walked(env):
    subprocess.run(["find", env], check=True, stdout=subprocess.DEVNULL)


def changed(env):
    walked(env)
    top = site(env)
    (top / "mine.py").write_text("mine\n")
    (env / "note.txt").write_text("mine\n")
    (top / "demo" / "a.py").write_text("mine\n")
    (top / "demo" / "sub" / "a.py").unlink()
    (env / "bin" / "demo").unlink()
    subprocess.run(["rm", "-r", top / "ns"], check=True)
    walked(env)


CLEAR = {
    "venv": lambda tools, python, env: [python, "-m", "venv", "--clear", "--without-pip", env],
    "uv": lambda tools, python, env: [tools / "uv", "--offline", "venv", "-q", "--clear", "--python", python, env],
    "virtualenv": lambda tools, python, env: [
        tools / "virtualenv", "-q", "--clear", "--no-seed", "--no-download", "-p", python, env],
}


def make_anew(which, tools, python, env):
    tmp = env.parent.parent
    cache = {"UV_CACHE_DIR": str(tmp / "uv-cache"), "XDG_DATA_HOME": str(tmp / "tools-data")}
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "UV_", "VIRTUALENV"))}
    r = subprocess.run([str(a) for a in CLEAR[which](tools, python, env)], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, env={**environ, **cache})
    assert r.returncode == 0, r.stdout


def deletions(mount, name):
    """Marks of single names behind the mount; one that makes a whole directory new is none of them."""
    return [p for p in private(mount, name) if "/.wh." in f"/{p}" and not p.endswith("/.wh..wh..opq")]


def files_behind(mount, name):
    mount.venvfs("harvest", mount.path / name)
    return {p for p in private(mount, name) if not p.startswith(".venvfs") and "__pycache__" not in p}


@pytest.mark.parametrize("before", [untouched, walked, changed])
@pytest.mark.parametrize("which", CLEAR)
def test_clear(which, before, mount, prepared, other, tools, debian_python):
    """What is behind the mount is what the tool leaves of a new environment: no deletions stay."""
    if which != "venv" and not (tools / which).exists():
        pytest.skip(f"no {which} among the tools")
    make_anew(which, tools, debian_python, mount.path / "new")
    shown, behind = sorted(contents(mount.path / "new")), files_behind(mount, "new")
    for i in range(max(2, COUNT // 10)):
        x = prepared.env(mount.path / f"x{i}")
        before(x)
        make_anew(which, tools, debian_python, x)
        assert sorted(contents(x)) == shown and deletions(mount, x.name) == []
        assert files_behind(mount, x.name) == behind
        assert subprocess.run([x / "bin/python", "-c", "import demo"], stderr=subprocess.DEVNULL).returncode != 0
        subprocess.run(["rm", "-r", x], check=True)
    assert sorted(os.listdir(mount.upper)) == ["new", "other"]


def test_clear_by_each_python(python, mount, prepared, other, tools):
    """venv empties a directory by its own code, which is another in each version."""
    for i, before in enumerate((untouched, walked, changed)):
        x = prepared.env(mount.path / f"x{i}")
        before(x)
        make_anew("venv", tools, python, x)
        assert not (x / "note.txt").exists()
        assert all(os.listdir(d) == [] for d in x.glob("lib/python3*/site-packages"))
        assert deletions(mount, x.name) == []
        subprocess.run([x / "bin/python", "-c", ""], check=True)


def test_a_link_that_the_kernel_asks_for_late(mount, prepared):
    """It may have dropped the link, and then ask by number, between a walker's steps: it is told to walk
    again. As ENOENT it would make lib64 no link for shutil.rmtree, and the tree behind it no tree."""
    x = prepared.env(mount.path / "x")
    held = os.open(x / "lib64", os.O_PATH | os.O_NOFOLLOW)
    os.readlink(x / "lib64")  # from here its atime has to be asked for
    (x / "pyvenv.cfg").unlink()
    assert code(os.fstat, held) == "ESTALE"
    assert os.readlink(x / "lib64") == "lib" and os.lstat(x / "lib64").st_mode & 0o170000 == 0o120000
    os.close(held)


@pytest.mark.parametrize("before", [None, untouched, changed])
def test_copies(python, before, mount, prepared, other):
    """venv makes bin/, then pyvenv.cfg, and then copies the interpreter: it must not find it there."""
    x = mount.path / "x"
    if before:
        before(prepared.env(x))
    subprocess.run([python, "-m", "venv", "--clear", "--copies", "--without-pip", x], check=True)
    assert not (x / "bin/python3").is_symlink() and (x / "bin/python3").read_bytes() == python.read_bytes()
    assert deletions(mount, "x") == []
    mount.venvfs("harvest", x)
    assert not (x / "bin/python3").is_symlink()


@pytest.mark.parametrize("which", CLEAR)
def test_what_comes_after_a_clear(which, mount, prepared, other, tools, debian_python):
    """A lock that is put into a cleared environment shows, also before anything was harvested."""
    if which != "venv" and not (tools / which).exists():
        pytest.skip(f"no {which} among the tools")
    for before in (untouched, changed):
        x = prepared.env(mount.path / "x")
        before(x)
        make_anew(which, tools, debian_python, x)
        (x / "pyvenv.cfg").write_bytes(prepared.cfg)
        assert (site(x) / "demo/sub/a.py").read_text() == "name = 'sub/a'\n"
        subprocess.run([x / "bin/python", "-B", "-c", "import demo, ns.one, ns.two"], check=True)
        subprocess.run(["rm", "-r", x], check=True)


def test_virtualenv_over(mount, prepared, other, tools, debian_python):
    if not (tools / "virtualenv").exists():
        pytest.skip("no virtualenv among the tools")
    for before in (untouched, walked, changed):
        x = prepared.env(mount.path / "x")
        before(x)
        shown = set(contents(x))
        argv = [a for a in CLEAR["virtualenv"](tools, debian_python, x) if a != "--clear"]
        data = str(mount.path.parent / "tools-data")
        subprocess.run([str(a) for a in argv], check=True, env={**os.environ, "XDG_DATA_HOME": data})
        assert shown - set(contents(x)) == set()
        subprocess.run([x / "bin/python", "-B", "-c", "import demo.b"], check=True)
        subprocess.run(["rm", "-r", x], check=True)
    assert os.listdir(mount.upper) == ["other"]


# while somebody is in it


def test_open_files_go_on(mount, prepared, other):
    x = prepared.env(mount.path / "x")
    view, mine = site(x) / "demo" / "b.py", site(x) / "mine.py"
    mine.write_text("mine\n")
    with open(view, "rb") as a, open(mine, "r+b") as b, mmap.mmap(a.fileno(), 0, prot=mmap.PROT_READ) as m:
        subprocess.run(["rm", "-r", x], check=True)
        assert a.read() == m[:] == b"name = 'b'\n" and b.read() == b"mine\n"
        b.write(b"more\n")
        b.seek(0)
        assert b.read() == b"mine\nmore\n"
    assert os.listdir(mount.upper) == ["other"]


def test_a_process_is_in_it(mount, prepared, other):
    """Its directory goes, it does not; as natively, it can name nothing there any more."""
    x = prepared.env(mount.path / "x")
    code = "import demo; print(1, flush=True); input(); import json, decimal; print(2)"
    with subprocess.Popen([x / "bin/python", "-B", "-c", code],
                          cwd=site(x), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline() == "1\n"
        subprocess.run(["rm", "-r", x], check=True)
        assert p.communicate("go\n")[0] == "2\n" and p.returncode == 0
    assert os.listdir(mount.upper) == ["other"]
