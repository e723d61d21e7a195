# SPDX-License-Identifier: MIT
"""What `venvfs create` puts into an environment from an index or a lock file."""

import pytest

import wheelmaker
from syncing import env, has, index, known, left_behind, library, package, pin, pins, pylock  # noqa: F401


@pytest.fixture
def serve(index, tmp_path):  # noqa: F811
    """Makes wheels and puts them into the index."""
    d = tmp_path / "served"
    d.mkdir()

    def serve(name, version="1.0", **kw):
        wheel = wheelmaker.make(d, name, version, **kw)
        index.add(wheel)
        return wheel

    return serve


@pytest.fixture
def create(venvfs, debian_python):
    def create(*argv, **kw):
        return venvfs("create", "--python", debian_python, *argv, **kw)

    return create


def requested(venvfs, name="x"):
    return {d["name"] for d in venvfs.json("show", name)["distributions"] if d["requested"]}


def test_seed_from_the_index(venvfs, root, create, serve):
    serve("packaging", "9.0")
    serve("wheel", "7.0", requires=("packaging>=1",))
    serve("wheel", "6.0")
    create("x", "--seed", "wheel setuptools")
    assert has(venvfs) == {"wheel": "7.0", "packaging": "9.0", "setuptools": has(venvfs)["setuptools"]}
    assert requested(venvfs) == {"wheel", "setuptools"}
    create("y", "--seed", "wheel==6.0,pip")
    assert has(venvfs, "y") == {"wheel": "6.0", "pip": has(venvfs, "y")["pip"]}
    # over one that is there: what is missing comes, what is newer stays
    create("y", "--seed", "wheel>=5,<7")
    assert has(venvfs, "y")["wheel"] == "6.0"
    create("y", "--seed", "wheel")
    assert has(venvfs, "y")["wheel"] == "7.0" and has(venvfs, "y")["pip"]


def test_seed_that_the_index_does_not_have(venvfs, root, create, env, index):  # noqa: F811
    r = create("x", "--seed", "nowhere-to-be-found", check=False)
    assert r.returncode == 1 and "nowhere-to-be-found" in r.stderr
    assert list(root.iterdir()) == [] and not left_behind(env)


def test_upgrade_deps(venvfs, root, create, serve, pythons):
    serve("pip", "99.0", files={"pip/__init__.py": ""})
    serve("setuptools", "98.0", files={"setuptools/__init__.py": ""})
    create("x", "--upgrade-deps")
    assert has(venvfs) == {"pip": "99.0", "setuptools": "98.0"}
    assert " -m venv --upgrade-deps " in (root / "x/pyvenv.cfg").read_text()
    # one that is there gets them, and keeps the rest
    create("y")
    before = has(venvfs, "y")
    assert before["pip"] != "99.0"
    create("y", "--upgrade-deps", "--upgrade")
    assert has(venvfs, "y") == {**before, "pip": "99.0", "setuptools": "98.0"}
    if "3.12" in pythons:
        venvfs("create", "z", "--upgrade-deps", "--python", pythons["3.12"])
        assert has(venvfs, "z") == {"pip": "99.0"}


def test_upgrade_deps_without_an_index(venvfs, root, create, index):  # noqa: F811
    index.close()
    r = create("x", "--upgrade-deps", check=False)
    assert r.returncode == 1 and "pip" in r.stderr and list(root.iterdir()) == []


def test_from_requirements(venvfs, root, create, serve, pins, known):  # noqa: F811
    a, b = serve("a"), serve("b", "2.0")
    file = pins(pin(a), pin(b))
    create("x", "y", "--from", file)
    assert has(venvfs) == has(venvfs, "y")
    assert has(venvfs).items() >= {"a": "1.0", "b": "2.0"}.items() and "pip" in has(venvfs)
    create("z", "--from", file, "--without-pip")
    assert has(venvfs, "z") == {"a": "1.0", "b": "2.0"}
    create("w")
    venvfs("sync", "w", file)
    lock = [line for line in (root / "w/pyvenv.cfg").read_text().splitlines() if "venvfs-lock" in line]
    assert lock == [line for line in (root / "x/pyvenv.cfg").read_text().splitlines() if "venvfs-lock" in line]


def test_from_pylock_in_a_project(venvfs, root, create, serve, index, tmp_path, known):  # noqa: F811
    a = serve("a")
    (tmp_path / "shop").mkdir()
    file = pylock(tmp_path, package(a, url=index.file_url(a)))
    create(".venv", "--from", file, "--without-pip", cwd=tmp_path / "shop")
    assert has(venvfs, "shop") == {"a": "1.0"} and (tmp_path / "shop/.venv").resolve() == root / "shop"


def test_from_over_one_that_is_there(venvfs, root, create, serve, pins, known):  # noqa: F811
    """As sync: what the file does not name goes, but installers."""
    a, b = serve("a"), serve("b")
    create("x", "--from", pins(pin(a)))
    with_pip = {**has(venvfs)}
    create("x", "--from", pins(pin(b)))
    del with_pip["a"]
    assert has(venvfs) == {**with_pip, "b": "1.0"}
    create("x", "--from", pins(pin(a)), "--clear", "--without-pip")
    assert has(venvfs) == {"a": "1.0"}
    create("x", "--from", pins(name="empty.txt"), "--clear", "--without-pip")
    assert has(venvfs) == {}


@pytest.mark.parametrize("over", [False, True])
def test_from_what_can_not_be_had(venvfs, root, create, serve, pins, known, tmp_path, over):  # noqa: F811
    a = serve("a")
    (tmp_path / "shop").mkdir()
    if over:
        create("x", "--without-pip")
        before = (root / "x/pyvenv.cfg").read_bytes()
    for file in (pins(pin(a), "nowhere-to-be-found==1.0"), pins("not pinned at all"), tmp_path / "no-such-file"):
        for name in ("x", "./shop/.venv"):
            r = create(name, "--from", file, check=False)
            assert r.returncode == 1 and r.stderr.startswith("venvfs: ")
    assert [p.name for p in root.iterdir()] == (["x"] if over else [])
    assert list((tmp_path / "shop").iterdir()) == []
    if over:
        assert (root / "x/pyvenv.cfg").read_bytes() == before
        assert [p.name for p in (root / "x").iterdir()] == ["pyvenv.cfg"]
