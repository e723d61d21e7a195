# SPDX-License-Identifier: MIT
"""`venvfs add` and `venvfs remove`: the user's installer resolves, the lock changes in one step."""

import os
import subprocess

import pytest

from syncing import env, has, index, known, left_behind, library, pins, unchanged, x  # noqa: F401 (fixtures)

pytestmark = pytest.mark.usefixtures("known")


@pytest.fixture(params=["pip", "uv"])
def asker(request, venvfs, index, tools):
    """Each of the two, with an index that is told to it alone."""
    if request.param == "uv":
        if not (tools / "uv").exists():
            pytest.skip("no uv among the tools")
        del venvfs.env["PIP_INDEX_URL"]
        venvfs.env.update(UV_INDEX_URL=f"{index.url}/simple/", UV_NO_CACHE="1", PATH=f"{tools}:{os.environ['PATH']}")
    return request.param


def lines(venvfs, env="x"):
    return {d["name"]: d for d in venvfs.json("show", env)["distributions"]}


def test_with_what_it_needs(venvfs, x, env, index, small_wheels, asker):
    index.add(small_wheels("app", requires=["low>=1"]), *(small_wheels("low", v) for v in ("1.0", "2.0")))
    r = venvfs("add", "x", "App")
    assert r.stdout.splitlines() == [" + app 1.0", " + low 2.0", f"{x}: 2 distributions, 2 added"]
    found = lines(venvfs)
    assert found["app"]["requested"] and not found["low"]["requested"]
    assert found["low"]["wheel"] == "low-2.0-py3-none-any.whl"
    assert sorted(p.name for p in x.iterdir()) == ["pyvenv.cfg"] and not left_behind(env)


def test_what_is_there_stays_where_it_can(venvfs, x, index, small_wheels, asker):
    index.add(*(small_wheels("low", v) for v in ("1.0", "2.0", "3.0")))
    index.add(small_wheels("any", requires=["low"]), small_wheels("new", requires=["low>=2"]))
    venvfs("add", "x", "low==1.0")
    venvfs("add", "x", "any")
    assert has(venvfs) == {"low": "1.0", "any": "1.0"}
    venvfs("add", "x", "new")
    assert has(venvfs)["low"] in ("2.0", "3.0") and lines(venvfs)["low"]["requested"]
    r = venvfs("add", "x", "new", "any")
    assert r.stdout == f"{x}: 3 distributions, as before\n"


def test_what_was_only_needed_is_asked_for(venvfs, x, index, small_wheels):
    index.add(small_wheels("app", requires=["low"]), small_wheels("low"))
    venvfs("add", "x", "app")
    assert not lines(venvfs)["low"]["requested"]
    venvfs("add", "x", "low")
    assert lines(venvfs)["low"]["requested"] and has(venvfs) == {"app": "1.0", "low": "1.0"}


def test_upgrade_is_of_what_is_named(venvfs, x, index, small_wheels, asker):
    for v in ("1.0", "2.0"):
        index.add(small_wheels("low", v), small_wheels("app", v, requires=["low"]))
    venvfs("add", "x", "app==1.0", "low==1.0")
    venvfs("add", "x", "-U", "app")
    assert has(venvfs) == {"app": "2.0", "low": "1.0"}
    venvfs("add", "x", "--upgrade", "low")
    assert has(venvfs) == {"app": "2.0", "low": "2.0"}


def test_no_deps(venvfs, x, index, small_wheels, asker):
    index.add(small_wheels("app", requires=["low"]), small_wheels("low"))
    venvfs("add", "x", "--no-deps", "app")
    assert has(venvfs) == {"app": "1.0"}


def test_files_of_requirements_and_paths(venvfs, x, pins, index, small_wheels, asker):
    index.add(small_wheels("one"), small_wheels("low"))
    app = small_wheels("app", requires=["low"])
    venvfs("add", "x", "-r", pins("one>=1  # why", "", "# no more"), os.path.relpath(app))
    assert has(venvfs) == {"app": "1.0", "low": "1.0", "one": "1.0"}
    found = lines(venvfs)
    assert found["one"]["requested"] and not found["low"]["requested"]
    assert found["app"]["requested"] and found["app"]["origin"] is not None


def test_the_resolver_speaks_for_itself(venvfs, x, index, small_wheels, asker):
    index.add(small_wheels("app", requires=["low>=2"]), small_wheels("low"))
    before = (x / "pyvenv.cfg").read_bytes()
    r = venvfs("add", "x", "app", check=False)
    assert r.returncode == 1 and r.stdout == ""
    own = "low>=2" if asker == "uv" else "ERROR: No matching distribution found for low>=2"
    assert own in r.stderr and r.stderr.splitlines()[-1] == f"venvfs: {x} stays as it was"
    assert (x / "pyvenv.cfg").read_bytes() == before


@pytest.mark.parametrize("arguments", [("x",), (), ("x", "-r"), ("x", "--nonsense"), ("x", "--ask", "conda")])
def test_usage(venvfs, x, arguments):
    r = venvfs("add", *arguments, check=False)
    assert r.returncode == 2 and "usage: venvfs add" in r.stderr


def test_bad_arguments(venvfs, x, tmp_path):
    r = venvfs("add", "x", "-r", tmp_path / "none.txt", check=False)
    assert r.returncode == 1 and f"{tmp_path}/none.txt: No such file" in r.stderr
    r = venvfs("add", "x", "", check=False)
    assert r.returncode == 1 and '"" is no requirement' in r.stderr
    r = venvfs("add", "nowhere", "one", check=False)
    assert r.returncode == 1 and "nowhere" in r.stderr


def test_remove(venvfs, x, index, small_wheels):
    index.add(*(small_wheels(n) for n in ("one", "two-b", "three")))
    venvfs("add", "x", "one", "two-b", "three")
    r = venvfs("remove", "x", "Two_B", "one")
    assert r.stdout.splitlines() == [" - one 1.0", " - two-b 1.0", f"{x}: 1 distribution, 2 removed"]
    venvfs("undo", "x")
    assert has(venvfs) == {"one": "1.0", "two-b": "1.0", "three": "1.0"}
    r = venvfs("remove", "x", "one", "none", "nor-this", check=False)
    assert r.returncode == 1 and "none is not in the lock" in r.stderr and "nor-this is not in" in r.stderr
    assert has(venvfs) == {"one": "1.0", "two-b": "1.0", "three": "1.0"}
    venvfs("remove", "x", "one", "two-b", "three")
    assert has(venvfs) == {}
    assert venvfs("remove", "x", check=False).returncode == 2


def test_two_at_once(venvfs, x, index, small_wheels):
    """What another command put there meanwhile is not lost."""
    index.add(small_wheels("one"), small_wheels("slow"))
    index.stall.add("slow-1.0-py3-none-any.whl")
    p = venvfs.popen("add", "x", "slow", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert index.stalled.wait(120)
    venvfs("add", "x", "one")
    index.stall.clear()
    index.released.set()
    out, err = p.communicate(timeout=120)
    assert p.returncode == 1 and "was given another lock meanwhile; run the command again" in err
    assert has(venvfs) == {"one": "1.0"}
    venvfs("add", "x", "slow")
    assert has(venvfs) == {"one": "1.0", "slow": "1.0"}


def test_what_pip_installed_is_known(venvfs, mount, index, small_wheels, debian_python):
    """It is private at first; both commands harvest before they look."""
    index.add(small_wheels("app", requires=["low"], files={"app.py": ""}))
    index.add(*(small_wheels("low", v, files={"low.py": ""}) for v in ("1.0", "2.0")))
    venvfs("create", "x", "--python", debian_python)
    x = mount.path / "x"

    def python(*arguments):
        subprocess.run([x / "bin/python", *arguments], check=True, env=venvfs.env)

    python("-m", "pip", "install", "-q", "low==1.0")
    venvfs("add", "x", "app")
    found = lines(venvfs)
    assert found["low"]["version"] == "1.0" and found["low"]["installer"] == "pip" and found["low"]["requested"]
    assert found["app"]["installer"] == "venvfs"
    python("-c", "import app, low")
    python("-m", "pip", "install", "-q", "low==2.0")
    venvfs("remove", "x", "low")
    assert not list(x.glob("lib/python3*/site-packages/low*"))
