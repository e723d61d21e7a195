# SPDX-License-Identifier: MIT
"""Bytecode that a process wrote before the store had it: it goes when the store's is there, and an
environment is one file again. What belongs to an edited source stays."""

import subprocess

import pytest


@pytest.fixture
def env(venvfs, mount, small_wheels, debian_python, tmp_path):
    wheel = small_wheels("demo", files={f"demo/{n}.py": f"x = {n!r}\n" for n in ("__init__", "a", "b")})
    venvfs("store", "add", "--no-compile", wheel)
    pins = tmp_path / "pins.txt"
    pins.write_text("demo==1.0\n")
    for name in ("x", "y"):
        venvfs("create", mount.path / name, "--without-pip", "--python", debian_python)
        venvfs("sync", "--no-compile", mount.path / name, pins)
    return mount.path / "x"


def run(env, code):
    r = subprocess.run([env / "bin" / "python", "-c", code], stdout=subprocess.PIPE, text=True, check=True,
                       env={"PATH": "/usr/bin:/bin"})
    return r.stdout.strip()


def private(mount, name="x"):
    top = mount.upper / name
    return sorted(str(p.relative_to(top)) for p in top.rglob("*"))


def site(env):
    [d] = env.glob("lib/python3*/site-packages")
    return d


def test_goes_when_the_stores_is_there(venvfs, mount, env):
    run(env, "import demo.a, demo.b")
    assert sum(p.endswith(".pyc") for p in private(mount)) == 3
    assert private(mount, "y") == ["pyvenv.cfg"]
    held = [p.open("rb") for p in site(env).glob("demo/__pycache__/*.pyc")]
    before = [f.read() for f in held]
    venvfs("store", "compile", "--python", "/usr/bin/python3", "demo")
    assert private(mount) == ["pyvenv.cfg"]
    assert len(list(site(env).glob("demo/__pycache__/*.pyc"))) == 3
    for f, data in zip(held, before):
        f.seek(0)
        assert f.read() == data, "an open file changed"
        f.close()
    assert run(env, "import demo.a; print(demo.a.x)") == "a"
    assert private(mount) == ["pyvenv.cfg"], "it was written again"


def test_of_an_edited_source_stays(venvfs, mount, env):
    (site(env) / "demo" / "a.py").write_text("x = 'edited'\n")
    (site(env) / "demo" / "mine.py").write_text("x = 'mine'\n")
    run(env, "import demo.a, demo.b, demo.mine")
    venvfs("store", "compile", "--python", "/usr/bin/python3", "demo")
    pycs = [p.rpartition("/")[2].split(".")[0] for p in private(mount) if p.endswith(".pyc")]
    assert pycs == ["a", "mine"]
    assert run(env, "import demo.a, demo.b, demo.mine as m; print(demo.a.x, demo.b.x, m.x)") == "edited b mine"


def test_goes_with_a_new_lock(venvfs, mount, env, small_wheels, tmp_path):
    """Bytecode of an earlier version does not hide the store's of the next one."""
    new = small_wheels("demo", "2.0", files={f"demo/{n}.py": f"x = {n + '2'!r}\n" for n in ("__init__", "a", "b")})
    venvfs("store", "add", "--no-compile", new)
    venvfs("store", "compile", "--python", "/usr/bin/python3", "demo")
    venvfs("sync", "--no-compile", env, tmp_path / "pins.txt")
    (site(env) / "demo" / "__pycache__").mkdir(exist_ok=True)
    for p in list(site(env).glob("demo/__pycache__/*.pyc")):
        p.write_bytes(p.read_bytes())  # private now
    assert sum(p.endswith(".pyc") for p in private(mount)) == 3
    (tmp_path / "pins.txt").write_text("demo==2.0\n")
    venvfs("sync", "--no-compile", env, tmp_path / "pins.txt")
    assert [p for p in private(mount) if p.endswith(".pyc")] == []
    assert run(env, "import demo.a; print(demo.a.x)") == "a2"
