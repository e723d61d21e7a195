# SPDX-License-Identifier: MIT
"""Derived bytecode: made once by the store, seen by every environment, never stale."""

import json
import os
import shutil
import subprocess
import time

import pytest

FILES = {
    "demo/__init__.py": "from . import a\n",
    "demo/a.py": "def where():\n    return (lambda: 0).__code__.co_filename\nvalue = 'store'\n",
    "demo/sub/deep.py": "class C:\n    def f(self):\n        return [i for i in range(3)]\n",
    "demo/broken.py": "def (:\n",
    "demo/latin.py": "# -*- coding: latin-1 -*-\ns = 'ü'\n".encode("latin-1"),
    "single.py": "x = 'single'\n",
    "demo/data.txt": "not code\n",
}
MODULES = ("demo", "demo.a", "demo.sub.deep", "demo.latin", "single")
LOADED = f"""
import importlib.util, json, sys
import demo.a, demo.sub.deep, demo.latin, single
out = dict(where=demo.a.where(), value=demo.a.value, dont=sys.dont_write_bytecode)
for name in {MODULES}:
    m = sys.modules[name]
    source = open(m.__file__, "rb").read()
    out[name] = m.__file__, m.__cached__, importlib.util.source_hash(source).hex()
print(json.dumps(out))
"""


class Envs:
    def __init__(self, venvfs, mount, root, pins):
        self.venvfs, self.mount, self.root, self.pins = venvfs, mount, root, pins

    def make(self, name, python):
        self.venvfs("create", self.root / name, "--without-pip", "--python", python)
        self.venvfs("sync", self.root / name, self.pins, "--no-compile")
        return self.root / name

    def private(self, name):
        """What lies behind the mount but pyvenv.cfg."""
        top = self.mount.upper / name
        return sorted(str(p.relative_to(top)) for p in top.rglob("*") if p.name != "pyvenv.cfg")


@pytest.fixture
def envs(venvfs, mount, root, tmp_path, small_wheels):
    assert "PYTHONDONTWRITEBYTECODE" not in venvfs.env
    (venvfs.config / "venvfs").mkdir()
    (venvfs.config / "venvfs/venvfs.conf").write_text("[store]\ncompile = no\n")
    venvfs("store", "add", small_wheels("demo", files=FILES))
    (tmp_path / "pins").write_text("demo==1.0\n")
    return Envs(venvfs, mount, root, tmp_path / "pins")


def run(env, code, *options, environ=None, **more):
    return subprocess.check_output(
        [env / "bin/python", *options, "-c", code], text=True, stderr=subprocess.STDOUT,
        env={**environ, **more} if environ else more or None, cwd="/",
    )  # fmt: skip


def site(env):
    (found,) = env.glob("lib/python3*/site-packages")
    return found


def tag(version):
    return "cpython-" + version.replace(".", "")


def version_of(env):
    return site(env).parent.name[len("python") :]


def test_a_new_environment_writes_none(envs, python, venvfs):
    """After `store compile` imports find what they need, in an environment that nobody used before."""
    venvfs("store", "compile", "--python", python)
    env = envs.make("x", python)
    before = envs.mount.requests()
    loaded = json.loads(run(env, LOADED, environ=venvfs.env))
    after = envs.mount.requests()
    assert envs.private("x") == [] and loaded["dont"] is False
    for op in ("CREATE", "MKDIR", "WRITE", "RENAME", "UNLINK"):
        assert after[op] == before[op], op
    for name in MODULES:
        file, cached, source_hash = loaded[name]
        data = open(cached, "rb").read()
        assert data[4:8] == b"\1\0\0\0", "not of the unchecked kind"
        assert data[8:16].hex() == source_hash
        assert tag(version_of(env)) in cached
    assert loaded["where"] == str(site(env) / "demo/a.py")
    assert not list(site(env).glob("demo/__pycache__/broken*"))


def test_g24_no_compilation(envs, python, venvfs):
    venvfs("store", "compile", "--python", python)
    env = envs.make("x", python)
    out = run(env, "import demo.a, demo.sub.deep", "-v", environ=venvfs.env)
    lines = [line for line in out.splitlines() if "site-packages/demo" in line]
    assert any("matches" in line for line in lines)
    assert not [line for line in lines if "wrote" in line or "bytecode is stale" in line]


def test_g24_co_filename_of_nested_code(envs, debian_python, venvfs):
    venvfs("store", "compile", "--python", debian_python)
    code = """
import types, demo.sub.deep as d
def walk(c):
    yield c.co_filename
    for k in c.co_consts:
        if isinstance(k, types.CodeType):
            yield from walk(k)
print(*set(walk(d.C.f.__code__)), sep="\\n")
import traceback
try: d.C.f()
except TypeError: pass
"""
    for name in "xy":
        env = envs.make(name, debian_python)
        assert run(env, code, environ=venvfs.env) == f"{site(env)}/demo/sub/deep.py\n"


def test_each_python_sees_its_own(envs, pythons, venvfs):
    made = {v: envs.make(f"e{v}", p) for v, p in pythons.items()}
    venvfs("store", "compile")
    for version, env in made.items():
        found = {p.name for p in site(env).rglob("*.pyc")}
        assert found == {
            f"{m}.{tag(version)}.pyc" for m in ("__init__", "a", "deep", "latin", "single")
        }, version
        magic = subprocess.check_output(
            [env / "bin/python", "-c", "import importlib.util as u; print(u.MAGIC_NUMBER.hex())"], text=True
        ).strip()
        assert {p.read_bytes()[:4].hex() for p in site(env).rglob("*.pyc")} == {magic}
        json.loads(run(env, LOADED, environ=venvfs.env))
        assert envs.private(f"e{version}") == []


def test_it_appears_in_running_environments(envs, debian_python, venvfs):
    """Environments that are in use see it without being touched."""
    env = envs.make("x", debian_python)
    assert os.listdir(site(env) / "demo").count("__pycache__") == 0
    with pytest.raises(FileNotFoundError):
        os.stat(site(env) / "demo/__pycache__/a.cpython-311.pyc")
    venvfs("store", "compile", "--python", debian_python)
    end = time.monotonic() + 60
    while "__pycache__" not in os.listdir(site(env) / "demo") and time.monotonic() < end:
        time.sleep(0.05)
    assert (site(env) / "demo/__pycache__/a.cpython-311.pyc").read_bytes()
    run(env, LOADED, environ=venvfs.env)
    assert envs.private("x") == []


def test_a_private_source_hides_it(envs, debian_python, venvfs):
    """What is edited is what runs; elsewhere nothing changed."""
    venvfs("store", "compile", "--python", debian_python)
    x, y = envs.make("x", debian_python), envs.make("y", debian_python)
    assert "store" in run(x, LOADED, environ=venvfs.env)
    a = site(x) / "demo/a.py"
    a.write_text(a.read_text().replace("'store'", "'edited'"))
    assert not (site(x) / "demo/__pycache__/a.cpython-311.pyc").exists()
    assert json.loads(run(x, LOADED, environ=venvfs.env))["value"] == "edited"
    assert json.loads(run(y, LOADED, environ=venvfs.env))["value"] == "store"
    assert (site(y) / "demo/__pycache__/a.cpython-311.pyc").exists()
    # its own bytecode is private now
    assert "lib/python3.11/site-packages/demo/__pycache__/a.cpython-311.pyc" in envs.private("x")
    assert not any("deep" in p for p in envs.private("x"))
    assert envs.private("y") == []


@pytest.mark.parametrize("how", ["rename-over", "append", "unlink-and-write", "sed"])
def test_every_way_to_edit_hides_it(envs, debian_python, venvfs, how):
    venvfs("store", "compile", "--python", debian_python)
    x = envs.make("x", debian_python)
    run(x, LOADED, environ=venvfs.env)
    path = site(x) / "demo/a.py"
    text = path.read_text()
    if how == "rename-over":
        (site(x) / "demo/new").write_text(text.replace("store", "other"))
        (site(x) / "demo/new").rename(path)
    elif how == "append":
        with path.open("a") as f:
            f.write("value = 'other'\n")
    elif how == "unlink-and-write":
        path.unlink()
        path.write_text(text.replace("store", "other"))
    else:
        subprocess.run(["sed", "-i", "s/store/other/", path], check=True)
    assert json.loads(run(x, LOADED, environ=venvfs.env))["value"] == "other"


def test_a_removed_source(envs, debian_python, venvfs):
    """It stays until it is removed itself, and no other source may ever find it."""
    venvfs("store", "compile", "--python", debian_python)
    x = envs.make("x", debian_python)
    cached = site(x) / "demo/__pycache__/a.cpython-311.pyc"
    source = site(x) / "demo/a.py"
    text = source.read_text()
    for how in ("write", "link", "symlink", "rename", "store's again"):
        assert cached.exists()
        source.unlink()
        assert cached.exists()
        other = site(x) / "other.py"
        other.write_text(text.replace("'store'", repr(how)))
        if how == "write":
            source.write_text(other.read_text())
        elif how == "link":
            source.hardlink_to(other)
        elif how == "symlink":
            source.symlink_to("../other.py")
        else:
            other.rename(source)
        assert not cached.exists() and cached.name not in os.listdir(cached.parent), how
        code = "import demo.a; print(demo.a.value)"
        assert run(x, code, environ=venvfs.env, PYTHONDONTWRITEBYTECODE="1") == f"{how}\n"
        source.unlink()
        other.unlink(missing_ok=True)
        with pytest.raises(subprocess.CalledProcessError):
            run(x, code, environ=venvfs.env)
        assert cached.exists() and envs.mount.path
        venvfs("rm", x)
        x = envs.make("x", debian_python)
    assert cached.exists()
    cached.unlink()
    assert not cached.exists() and source.exists()


def test_rmtree_of_a_package(envs, debian_python, venvfs):
    """Derived bytecode never keeps a directory from being removed."""
    venvfs("store", "compile", "--python", debian_python)
    x = envs.make("x", debian_python)
    run(x, LOADED, environ=venvfs.env)
    assert (site(x) / "demo/__pycache__").is_dir()
    shutil.rmtree(site(x) / "demo")
    assert not (site(x) / "demo").exists() and "demo" not in os.listdir(site(x))
    envs.mount.remount()
    assert not (site(x) / "demo").exists()


def test_rmdir_once_the_sources_are_gone(envs, debian_python, venvfs):
    """First the sources, then the directories."""
    venvfs("store", "compile", "--python", debian_python)
    x = envs.make("x", debian_python)
    sub = site(x) / "demo/sub"
    assert os.listdir(sub / "__pycache__")
    (sub / "deep.py").unlink()
    sub.rmdir()
    assert not sub.exists()
    again = envs.make("y", debian_python)
    subprocess.run(["rm", "-r", site(again) / "demo/sub"], check=True)
    assert sorted(os.listdir(site(again) / "demo")) == sorted(
        {"__init__.py", "__pycache__", "a.py", "broken.py", "latin.py", "data.txt"}
    )


def test_pip_uninstall(envs, debian_python, venvfs, small_wheels):
    """pip finds the derived ones as well and moves them away, in whatever order."""
    names = ("Upper.py", "lower.py", "_u/__init__.py", "U/x.py")
    wheel = small_wheels("upper", files={name: "x = 1\n" for name in names})
    venvfs("store", "add", wheel)
    envs.pins.write_text("demo==1.0\nupper==1.0\n")
    x, env = envs.root / "x", {**venvfs.env, "PIP_CONFIG_FILE": os.devnull}
    venvfs("create", x, "--python", debian_python)
    venvfs("sync", x, envs.pins, "--compile")
    venvfs("store", "compile", "--python", debian_python)
    assert (site(x) / "__pycache__/Upper.cpython-311.pyc").exists()
    subprocess.run([x / "bin/python", "-m", "pip", "uninstall", "-qy", "upper", "demo"], check=True, env=env)
    left = {p.name for p in site(x).iterdir()}
    assert not {n for n in left if n.startswith(("~", "demo", "Upper", "upper", "lower", "_u", "U", "single"))}
    subprocess.run([x / "bin/python", "-m", "pip", "check"], check=True, env=env)
    envs.mount.remount()
    assert {p.name for p in site(x).iterdir()} == left


def test_what_a_process_writes_stays_with_it(envs, debian_python, venvfs):
    x, y = envs.make("x", debian_python), envs.make("y", debian_python)
    run(x, LOADED, environ=venvfs.env)
    pycs = [p for p in envs.private("x") if p.endswith(".pyc")]
    assert len(pycs) == 5
    assert envs.private("y") == [] and not list(site(y).rglob("*.pyc"))
    # nor can it put code into another: bytecode of the same name with other code in it
    evil = site(x) / "single.py"
    evil.write_text("x = 'evil'\n")
    run(x, LOADED, environ=venvfs.env)
    assert run(y, "import single; print(single.x)", environ=venvfs.env) == "single\n"


def test_g25_touching_a_source(envs, debian_python, venvfs):
    """+1 s: compiled once more, in this environment; +0.5 s within the same second: not."""
    venvfs("store", "compile", "--python", debian_python)
    x = envs.make("x", debian_python)
    source = site(x) / "demo/a.py"
    st = source.stat()
    os.utime(source, ns=(st.st_atime_ns, (st.st_mtime_ns // 10**9 + 1) * 10**9))
    run(x, "import demo.a", environ=venvfs.env)
    (pyc,) = [p for p in envs.private("x") if p.endswith("a.cpython-311.pyc")]
    first = (x / pyc).stat().st_mtime_ns
    run(x, "import demo.a", environ=venvfs.env)
    assert (x / pyc).stat().st_mtime_ns == first
    st = source.stat()
    os.utime(source, ns=(st.st_atime_ns, st.st_mtime_ns // 10**9 * 10**9 + 500_000_000))
    run(x, "import demo.a", environ=venvfs.env)
    assert (x / pyc).stat().st_mtime_ns == first
    os.utime(source, ns=(st.st_atime_ns, (st.st_mtime_ns // 10**9 + 1) * 10**9))
    run(x, "import demo.a", environ=venvfs.env)
    assert (x / pyc).stat().st_mtime_ns > first


def test_g26_a_new_module_is_found_by_a_running_process(envs, python, venvfs):
    """Directory times move with every new name, also within one millisecond and by `sync`."""
    env = envs.make("x", python)
    code = """
import sys
import demo
for line in sys.stdin:
    try: __import__(line.strip()); print("found", flush=True)
    except ImportError: print("missing", flush=True)
"""
    p = subprocess.Popen([env / "bin/python", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True, env=venvfs.env)  # fmt: skip

    def ask(module):
        p.stdin.write(module + "\n")
        p.stdin.flush()
        return p.stdout.readline().strip()

    assert ask("new0") == "missing"
    for i in range(30):
        (site(env) / f"new{i}.py").touch()
        assert ask(f"new{i}") == "found", i
        assert ask(f"demo.part{i}") == "missing"
        (site(env) / f"demo/part{i}.py").touch()
        assert ask(f"demo.part{i}") == "found", i
    (site(env) / "demo/part_two").mkdir()
    assert ask("demo.part_two") == "found"
    p.stdin.close()
    assert p.wait(10) == 0


def test_g26_what_sync_adds_is_found(envs, debian_python, venvfs, small_wheels, tmp_path):
    env = envs.make("x", debian_python)
    code = """
import sys
for line in sys.stdin:
    try: __import__(line.strip()); print("found", flush=True)
    except ImportError: print("missing", flush=True)
"""
    p = subprocess.Popen([env / "bin/python", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True, env=venvfs.env)  # fmt: skip
    said = []
    for step in ("late", "late", "late"):
        p.stdin.write(step + "\n")
        p.stdin.flush()
        said.append(p.stdout.readline().strip())
        if len(said) == 1:
            venvfs("store", "add", small_wheels("late"))
            envs.pins.write_text("demo==1.0\nlate==1.0\n")
            venvfs("sync", env, envs.pins, "--no-compile")
    p.stdin.close()
    p.wait(10)
    assert said == ["missing", "found", "found"]


def test_g27_optimised(envs, python, venvfs):
    """-O and -OO write names of their own, beside the derived ones."""
    venvfs("store", "compile", "--python", python)
    env = envs.make("x", python)
    for option, level in (("-O", "opt-1"), ("-OO", "opt-2")):
        run(env, "import demo.a", option, environ=venvfs.env)
        name = f"a.{tag(version_of(env))}.{level}.pyc"
        assert (site(env) / "demo/__pycache__" / name).exists()
        assert any(p.endswith(name) for p in envs.private("x"))
        stamp = (site(env) / "demo/__pycache__" / name).stat().st_mtime_ns
        run(env, "import demo.a", option, environ=venvfs.env)
        assert (site(env) / "demo/__pycache__" / name).stat().st_mtime_ns == stamp
    assert (site(env) / f"demo/__pycache__/a.{tag(version_of(env))}.pyc").exists()
    assert not [p for p in envs.private("x") if p.endswith(f"a.{tag(version_of(env))}.pyc")]


def test_g27_nothing_is_written_where_not_wanted(envs, debian_python, venvfs):
    x = envs.make("x", debian_python)
    run(x, LOADED, environ=venvfs.env, PYTHONDONTWRITEBYTECODE="1")
    assert envs.private("x") == []
    elsewhere = envs.root.parent / "pycache"
    run(x, LOADED, environ=venvfs.env, PYTHONPYCACHEPREFIX=str(elsewhere))
    assert envs.private("x") == [] and list(elsewhere.rglob("*.pyc"))


def test_g27_read_only_mount(envs, python, venvfs):
    env = envs.make("x", python)
    envs.mount.remount("-r")
    json.loads(run(env, LOADED, environ=venvfs.env))
    assert not list(site(env).rglob("*.pyc"))
    envs.mount.remount("--")
    venvfs("store", "compile", "--python", python)
    envs.mount.remount("-r")
    out = run(env, "import demo.a", "-v", environ=venvfs.env)
    assert "matches" in "".join(line for line in out.splitlines() if "demo/__pycache__" in line)
    assert envs.private("x") == []


def test_sync_compiles_when_told(envs, debian_python, venvfs):
    venvfs("create", envs.root / "x", "--without-pip", "--python", debian_python)
    venvfs("sync", envs.root / "x", envs.pins, "--compile")
    assert {p.name for p in site(envs.root / "x").rglob("*.pyc")} == {
        f"{m}.cpython-311.pyc" for m in ("__init__", "a", "deep", "latin", "single")
    }


def test_in_the_background(envs, debian_python, venvfs):
    """The default: it comes by itself, soon."""
    (venvfs.config / "venvfs/venvfs.conf").write_text("")
    x = envs.root / "x"
    venvfs("create", x, "--without-pip", "--python", debian_python)
    venvfs("sync", x, envs.pins)
    end = time.monotonic() + 120  # it is nice
    while not list(site(x).rglob("*.pyc")) and time.monotonic() < end:
        time.sleep(0.1)
    run(x, LOADED, environ=venvfs.env)
    assert envs.private("x") == []
