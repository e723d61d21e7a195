# SPDX-License-Identifier: MIT
"""`venvfs sync`: from lock files to environments. What fails is in test_sync_faults.py."""

import io
import json
import os
import shutil
import subprocess
import tarfile
import threading

import pytest

from indexserver import sha256
from syncing import (  # noqa: F401 (fixtures are found by name)
    env, has, index, known, left_behind, library, need_strace, package, pin, pins, pylock, source_tree, unchanged, x,
)


# what works


def test_requirements_by_pip(venvfs, x, pins, index, small_wheels, env):
    index.add(small_wheels("one"), small_wheels("two-b", "2.0"), small_wheels("two-b", "3.0"))
    r = venvfs("sync", "x", pins("one==1.0", "Two.B == 2.0  # why"))
    assert has(venvfs) == {"one": "1.0", "two-b": "2.0"}
    assert r.stdout.splitlines() == [
        " + one 1.0",
        " + two-b 2.0",
        f"{x}: 2 distributions, 2 added",
    ]
    assert "/files/two_b-3.0-py3-none-any.whl" not in index.log
    assert not left_behind(env)
    line = next(d for d in venvfs.json("show", "x")["distributions"] if d["name"] == "one")
    assert line["wheel"] == "one-1.0-py3-none-any.whl" and line["installer"] == "venvfs"
    assert line["origin"] is None and line["requested"]


def test_requirements_with_hashes(venvfs, x, pins, index, small_wheels):
    one, two = small_wheels("one"), small_wheels("two")
    index.add(one, two)
    other = f" --hash=sha256:{'0' * 64}"
    venvfs("sync", "x", pins(pin(one) + other, "two==1.0 \\", f"    --hash=sha256:{sha256(two)}"))
    assert has(venvfs) == {"one": "1.0", "two": "1.0"}


def test_difference_is_told(venvfs, x, pins, index, small_wheels):
    index.add(*(small_wheels(n, v) for n in ("a", "b", "c") for v in ("1.0", "2.0")))
    venvfs("sync", "x", pins("a==1.0", "b==1.0"))
    r = venvfs("sync", "x", pins("b==2.0", "c==1.0"))
    assert r.stdout.splitlines() == [
        " - a 1.0",
        " ~ b 1.0 -> 2.0",
        " + c 1.0",
        f"{x}: 2 distributions, 1 added, 1 removed, 1 changed",
    ]
    r = venvfs("sync", "x", pins("b==2.0", "c==1.0"))
    assert r.stdout == f"{x}: 2 distributions, as before\n"


def test_installers_stay(venvfs, root, debian_python, pins, index, small_wheels):
    venvfs("create", "y", "--python", debian_python)
    before = has(venvfs, "y")
    index.add(small_wheels("one"), small_wheels("setuptools", "99.0"))
    venvfs("sync", "y", pins("one==1.0"))
    assert has(venvfs, "y") == {**before, "one": "1.0"}
    venvfs("sync", "y", pins("setuptools==99.0"))
    assert has(venvfs, "y") == {"pip": before["pip"], "setuptools": "99.0"}


def test_empty_file(venvfs, x, pins, index, small_wheels):
    index.add(small_wheels("one"))
    venvfs("sync", "x", pins("one==1.0"))
    venvfs("sync", "x", pins("# nothing"))
    assert has(venvfs) == {}


def test_pylock(venvfs, x, tmp_path, index, small_wheels, library):
    one, two = small_wheels("one"), small_wheels("two")
    index.add(one, two, library)
    lock = pylock(tmp_path, package(one, index.file_url(one)), package(two, path="wheels/" + two.name))
    venvfs("sync", "x", lock)
    assert has(venvfs) == {"one": "1.0", "two": "1.0"}


def test_pylock_markers_and_extras(venvfs, x, tmp_path, index, small_wheels, known):
    wheels = {n: small_wheels(n) for n in ("always", "old", "new", "extra", "grouped")}
    index.add(*wheels.values())

    def p(name, marker=None):
        extra = f'marker = "{marker}"\n' if marker else ""
        return package(wheels[name], index.file_url(wheels[name]), extra=extra)

    lock = pylock(
        tmp_path,
        p("always"),
        p("old", "python_version < '3'"),
        p("new", "python_version >= '3'"),
        p("extra", "'fast' in extras"),
        p("grouped", "'docs' in dependency_groups"),
        head='extras = ["fast"]\ndependency-groups = ["docs"]\n',
    )
    venvfs("sync", "x", lock)
    assert has(venvfs) == {"always": "1.0", "new": "1.0"}


def test_pylock_takes_the_wheel_for_this_python(venvfs, x, tmp_path, index, small_wheels, known):
    pure = small_wheels("one", files={"one.py": "x = 'any'\n"})
    fit = small_wheels("one", tag="cp311-none-any", files={"one.py": "x = 'fit'\n"})
    foreign = small_wheels("one", tag="cp311-cp311-win_amd64", pure=False)
    index.add(pure, fit, foreign)
    rows = ", ".join(
        f'{{name = "{w.name}", url = "{index.file_url(w)}", hashes = {{sha256 = "{sha256(w)}"}}}}'
        for w in (foreign, pure, fit)
    )
    lock = pylock(tmp_path, f'[[packages]]\nname = "one"\nversion = "1.0"\nwheels = [{rows}]\n')
    venvfs("sync", "x", lock)
    assert venvfs.json("show", "x")["distributions"][0]["wheel"] == fit.name
    out = tmp_path / "out"
    venvfs("materialize", "x", out)
    assert (out / "lib/python3.11/site-packages/one.py").read_text() == "x = 'fit'\n"


def test_pylock_archive_has_an_origin(venvfs, x, tmp_path, index, small_wheels, known, debian_python):
    one = small_wheels("one")
    index.add(one)
    url = index.file_url(one)
    lock = pylock(
        tmp_path,
        f'[[packages]]\nname = "one"\nversion = "1.0"\n'
        f'archive = {{url = "{url}", hashes = {{sha256 = "{sha256(one)}"}}}}\n',
    )
    venvfs("sync", "x", lock)
    out = tmp_path / "out"
    venvfs("materialize", "x", out)
    origin = json.loads(
        (out / "lib/python3.11/site-packages/one-1.0.dist-info/direct_url.json").read_text()
    )
    assert origin["url"] == url
    assert origin["archive_info"]["hashes"] == {"sha256": sha256(one)}


def test_requirements_markers(venvfs, x, pins, index, small_wheels, known):
    index.add(small_wheels("one"), small_wheels("two", "1.0"), small_wheels("two", "2.0"))
    venvfs(
        "sync", "x",
        pins("one==1.0 ; sys_platform == 'linux'", "two==1.0; python_version < '3'",
             "two==2.0; python_version >= '3'"),
    )  # fmt: skip
    assert has(venvfs) == {"one": "1.0", "two": "2.0"}


def test_find_links_in_the_file(venvfs, x, pins, small_wheels, index):
    small_wheels("one")
    venvfs("sync", "x", pins("--no-index", "--find-links wheels", "one==1.0"))
    assert has(venvfs) == {"one": "1.0"} and index.log == []


def test_uv_is_asked_where_it_is_configured(venvfs, x, pins, index, small_wheels, known, tools):
    one = small_wheels("one")
    index.add(one)
    venvfs.env.update(
        UV_INDEX_URL=f"{index.url}/simple/", UV_NO_CACHE="1", PATH=f"{tools}:{os.environ['PATH']}",
        PIP_INDEX_URL="http://127.0.0.1:9/",
    )  # fmt: skip
    venvfs("sync", "x", pins(pin(one)))
    assert has(venvfs) == {"one": "1.0"}


def test_what_pip_has_just_installed_goes_too(venvfs, mount, pins, index, small_wheels, debian_python):
    """It is as the file says, however little time pip's work is ago."""
    one, two = small_wheels("one", files={"one.py": ""}), small_wheels("two", files={"two.py": ""})
    index.add(one, two)
    venvfs("create", "y", "--python", debian_python)
    subprocess.run([mount.path / "y/bin/python", "-m", "pip", "install", "-q", "two"], check=True, env=venvfs.env)
    venvfs("sync", "y", pins(pin(one)))
    assert {d["name"] for d in venvfs.json("show", "y")["distributions"]} - {"pip", "setuptools"} == {"one"}
    r = subprocess.run([mount.path / "y/bin/python", "-c", "import one, two"], stderr=subprocess.PIPE, text=True)
    assert "No module named 'two'" in r.stderr


def test_while_a_program_writes_into_it(venvfs, mount, pins, index, small_wheels, debian_python):
    """It is not refused; that the last of it may stay private is told."""
    one = small_wheels("one")
    index.add(one)
    venvfs("create", "y", "--without-pip", "--python", debian_python)
    done = threading.Event()

    def write():
        while not done.is_set():
            (mount.path / "y/log").write_text("more\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        r = venvfs("sync", "y", pins(pin(one)))
    finally:
        done.set()
        writer.join()
    assert {d["name"] for d in venvfs.json("show", "y")["distributions"]} == {"one"}
    assert r.stderr == "" or "y is being changed at this moment" in r.stderr
    assert (mount.path / "y/log").read_text() == "more\n"


@pytest.mark.parametrize("place", ["home, a file", "home, a link", "system", "unreadable"])
def test_uv_is_not_asked_where_only_pip_is_configured(venvfs, x, pins, index, small_wheels, known, tmp_path, place):
    """The public index may have something else under the name of one's own."""
    one = small_wheels("one")
    index.add(one)
    fake = tmp_path / "bin/uv"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho $* >>{tmp_path}/asked\nexit 1\n")
    fake.chmod(0o755)
    env = {k: v for k, v in venvfs.env.items() if not k.startswith(("PIP_", "UV_"))}
    config = tmp_path / ("xdg" if place == "system" else "config") / "pip/pip.conf"
    config.parent.mkdir(parents=True)
    text = f"[global]\nindex-url = {index.url}/simple/\n"
    if place == "home, a link":
        (tmp_path / "dotfiles").write_text(text)
        config.symlink_to(tmp_path / "dotfiles")
    elif place == "unreadable":
        config.mkdir()
    else:
        config.write_text(text)
    env.update(PATH=f"{fake.parent}:{env['PATH']}", HOME=str(tmp_path / "nowhere"), XDG_CONFIG_DIRS=str(tmp_path / "xdg"),
               XDG_CONFIG_HOME=str(tmp_path / "config"))  # fmt: skip
    r = subprocess.run([venvfs.binary, "sync", "x", pins(pin(one))], env=env, text=True, capture_output=True)
    assert not (tmp_path / "asked").exists()
    assert (r.returncode == 0 and has(venvfs) == {"one": "1.0"}) or place == "unreadable", r.stderr


def test_a_file_by_a_link_or_a_pipe(venvfs, x, pins, index, small_wheels, tmp_path):
    one, two = small_wheels("one"), small_wheels("two")
    index.add(one, two)
    (tmp_path / "link.txt").symlink_to(pins(pin(one)))
    venvfs("sync", "x", tmp_path / "link.txt")
    assert has(venvfs) == {"one": "1.0"}
    venvfs("sync", "x", "/dev/stdin", input=pin(two) + "\n")
    assert has(venvfs) == {"two": "1.0"}


def test_many(venvfs, x, pins, index, small_wheels):
    """More than one pip at a time, and a file with hashes for some lines only."""
    wheels = [small_wheels(f"p{i}") for i in range(30)]
    index.add(*wheels)
    lines = [pin(w) if i % 3 else f"p{i}==1.0" for i, w in enumerate(wheels)]
    venvfs("sync", "x", pins(*lines))
    assert has(venvfs) == {f"p{i}": "1.0" for i in range(30)}


def test_private_distributions_are_told(venvfs, x, pins, index, small_wheels):
    index.add(small_wheels("one"), small_wheels("two-b"), small_wheels("three"))
    site = x / "lib/python3.11/site-packages"
    (site / "one-0.9.dist-info").mkdir(parents=True)
    (site / "other-1.dist-info").mkdir()
    (site / ".wh.two_b-1.0.dist-info").touch()  # of nothing: it goes
    r = venvfs("sync", "x", pins("one==1.0", "two-b==1.0", "three==1.0"))
    [told] = r.stderr.splitlines()
    assert told.startswith("venvfs: one is installed in ") and "pip uninstall one" in told
    assert not (site / ".wh.two_b-1.0.dist-info").exists()


@pytest.mark.parametrize("asker", ["pip", "uv"])
def test_a_local_version(venvfs, x, pins, index, small_wheels, tools, known, asker):
    """What `==1.0` means by PEP 440 is 1.0+cu1 too; what the store has of another kind is not taken unasked."""
    other = small_wheels("one", "1.0+cpu")
    venvfs("store", "add", other)
    index.add(small_wheels("one", "1.0+cu1"))
    venvfs.env.update(UV_INDEX_URL=f"{index.url}/simple/", UV_NO_CACHE="1", PATH=f"{tools}:{os.environ['PATH']}")
    venvfs("sync", "x", pins("one==1.0"), "--ask", asker)
    assert has(venvfs) == {"one": "1.0+cu1"}


# sources

BACKEND = """
import os, sys, zipfile
sys.path.insert(0, os.path.dirname(__file__))
import wheelmaker
def build_wheel(directory, config_settings=None, metadata_directory=None):
    if FAIL:
        raise SystemExit("the compiler is missing")
    return wheelmaker.make(directory, "src", "1.0", files={"src.py": "x = 'built'\\n"}).name
"""


@pytest.fixture
def sdist(tmp_path):
    """A source distribution that builds with nothing but itself."""
    import wheelmaker

    def make(fail=False):
        directory = tmp_path / "sources"
        directory.mkdir(exist_ok=True)
        path = directory / "src-1.0.tar.gz"
        files = {
            "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
            'backend-path = ["."]\n[project]\nname = "src"\nversion = "1.0"\n',
            "backend.py": BACKEND.replace("FAIL", str(fail)),
            "wheelmaker.py": open(wheelmaker.__file__).read(),
            "PKG-INFO": "Metadata-Version: 2.1\nName: src\nVersion: 1.0\n",
        }
        with tarfile.open(path, "w:gz") as t:
            for name, text in files.items():
                info = tarfile.TarInfo(f"src-1.0/{name}")
                info.size = len(text)
                t.addfile(info, io.BytesIO(text.encode()))
        return path

    return make


def test_a_build_of_ones_own_is_not_the_release(venvfs, x, known, root, pins, index, small_wheels, tmp_path, debian_python):
    tree = source_tree(tmp_path / "tree", "one", "x = 'mine'\n")
    venvfs("add", "x", tree)
    index.add(small_wheels("one", files={"one.py": "x = 'released'\n"}))
    venvfs("create", root / "y", "--without-pip", "--python", debian_python)
    venvfs("sync", "y", pins("one==1.0"))
    (tmp_path / "out").mkdir()
    for env, text in (("x", "mine"), ("y", "released")):
        venvfs("materialize", env, tmp_path / "out" / env)
        assert text in (tmp_path / "out" / env / "lib/python3.11/site-packages/one.py").read_text()


@pytest.mark.parametrize("hashed", [False, True])
def test_source_is_built(venvfs, x, root, pins, index, sdist, tmp_path, hashed, debian_python):
    path = sdist()
    index.add(path)
    venvfs("sync", "x", pins(pin(path, "1.0") if hashed else "src==1.0"))
    out = tmp_path / "out"
    venvfs("materialize", "x", out)
    assert (out / "lib/python3.11/site-packages/src.py").read_text() == "x = 'built'\n"
    line = venvfs.json("show", "x")["distributions"][0]
    assert line["wheel"] is None  # nobody else can fetch it
    # Known by another file as well, it is not built again.
    if hashed:
        index.files.clear()
        venvfs("create", "y", "--without-pip", "--python", debian_python)
        venvfs("sync", "y", pins("# another file", pin(path, "1.0"), name="other.txt"))
        assert has(venvfs, "y") == {"src": "1.0"}


def test_source_in_a_pylock(venvfs, x, tmp_path, index, sdist, known):
    path = sdist()
    index.add(path)
    row = (
        f'[[packages]]\nname = "src"\nversion = "1.0"\nsdist = {{name = "{path.name}", '
        f'url = "{index.file_url(path)}", hashes = {{sha256 = "%s"}}}}\n'
    )
    with_fault = pylock(tmp_path, row % ("0" * 64))
    r = venvfs("sync", "x", with_fault, check=False)
    assert r.returncode == 1 and "src 1.0: src-1.0.tar.gz is another file than the one pinned" in r.stderr
    venvfs("sync", "x", pylock(tmp_path, row % sha256(path)))
    assert has(venvfs) == {"src": "1.0"}


def test_source_that_does_not_build(unchanged, pins, index, sdist, small_wheels):
    index.add(sdist(fail=True), small_wheels("one"))
    with unchanged as u:
        said = u.sync(pins("one==1.0", "src==1.0"))
        assert "src 1.0: " in said and "one 1.0" not in said


# what was synced before


@pytest.mark.parametrize("kind", ["requirements", "pylock"])
def test_known_lock_touches_no_package_file_and_starts_nothing(
    venvfs, x, pins, tmp_path, index, small_wheels, known, debian_python, sanitized, kind
):
    need_strace(sanitized)
    one, two = small_wheels("one"), small_wheels("two")
    index.add(one, two)
    if kind == "pylock":
        lock = pylock(tmp_path, package(one, index.file_url(one)), package(two, index.file_url(two)))
    else:
        lock = pins(pin(one), "two==1.0 ; python_version >= '3'")
    venvfs("sync", "x", lock)
    venvfs("create", "y", "--without-pip", "--python", debian_python)
    asked = len(index.log)
    trace = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-o", trace, venvfs.binary, "sync", "y", lock],
        check=True,
        env=venvfs.env,
        stdout=subprocess.DEVNULL,
    )
    text = trace.read_text()
    assert has(venvfs, "y") == {"one": "1.0", "two": "1.0"}
    assert text.count("execve(") == 1 and "clone" not in text and "fork" not in text
    assert "connect(" not in text and "socket(" not in text
    opened = [line for line in text.splitlines() if "open" in line.split("(")[0]]
    assert not [line for line in opened if ".whl" in line or "/pack\"" in line or "manifest" in line]
    assert len(index.log) == asked


def test_wheels_in_the_store_need_no_index(venvfs, x, pins, index, small_wheels, debian_python):
    one, two = small_wheels("one"), small_wheels("two")
    index.add(one, two)
    venvfs("sync", "x", pins(pin(one), pin(two)))
    index.files.clear()
    asked = len(index.log)
    venvfs("create", "y", "--without-pip", "--python", debian_python)
    venvfs("sync", "y", pins(pin(two), name="other.txt"))
    assert has(venvfs, "y") == {"two": "1.0"} and len(index.log) == asked


def test_what_vanished_from_the_store_comes_again(venvfs, x, pins, index, small_wheels, store):
    one = small_wheels("one")
    index.add(one)
    file = pins(pin(one))
    venvfs("sync", "x", file)
    shutil.rmtree(store / "dists" / "one")
    venvfs("sync", "x", file)
    assert venvfs.json("show", "x")["state"] == "ok"


def test_another_tier_has_it(venvfs, x, pins, index, small_wheels, tmp_path, root, debian_python):
    one = small_wheels("one")
    index.add(one)
    file = pins(pin(one))
    venvfs("sync", "x", file)
    os.rename(venvfs.store, tmp_path / "tier")
    index.files.clear()
    before = sorted(str(p) for p in (tmp_path / "tier").rglob("*"))
    tier = ("--tier", tmp_path / "tier")
    venvfs(*tier, "create", "y", "--without-pip", "--python", debian_python)
    venvfs(*tier, "sync", "y", file)
    assert venvfs.json(*tier, "show", "y")["state"] == "ok"
    assert sorted(str(p) for p in (tmp_path / "tier").rglob("*")) == before


# real packages


def test_sci_from_the_store(sci, sci_pins, debian_python, root, tmp_path, sanitized):
    """Wheels that `store add` put there: no index, no Python, nothing of a package read."""
    need_strace(sanitized)
    env = {
        **sci.env,
        "VENVFS_ROOT": str(root),
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "UV_INDEX_URL": "http://127.0.0.1:9/",
    }
    sci("create", "x", "y", "--python", debian_python, env=env)
    for name in ("x", "y"):
        trace = tmp_path / f"trace-{name}"
        subprocess.run(
            ["strace", "-f", "-o", trace, sci.binary, "sync", "--no-compile", name, sci_pins],
            check=True,
            env=env,
            stdout=subprocess.DEVNULL,
        )
        text = trace.read_text()
        assert text.count("execve(") == 1 and "connect(" not in text
        opened = [line for line in text.splitlines() if "open" in line.split("(")[0]]
        assert not [line for line in opened if ".whl" in line or "/pack\"" in line]
    shown = sci.json("show", "x", env=env)
    assert shown["state"] == "ok" and len(shown["distributions"]) == 110
    assert shown["lock"] == sci.json("show", "y", env=env)["lock"]


# through a mount


def test_sync_on_a_mounted_root(venvfs, mount, pins, index, small_wheels, debian_python):
    root = mount.path
    venvfs("create", "x", "--python", debian_python)
    index.add(
        small_wheels("one", files={"one.py": "x = 1\n"}), small_wheels("one", "2.0", files={"one.py": "x = 2\n"})
    )
    venvfs("sync", "x", pins("one==1.0"))
    python = root / "x/bin/python"

    def value():
        r = subprocess.run(
            [python, "-c", "import one, importlib.metadata as m; print(one.x, m.version('one'))"],
            check=True, stdout=subprocess.PIPE, text=True,
            env={**venvfs.env, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        return r.stdout.split()

    assert value() == ["1", "1.0"]
    venvfs("sync", "x", pins("one==2.0"))
    assert value() == ["2", "2.0"]
    venvfs("sync", "x", pins("# none"))
    assert not (root / "x/lib/python3.11/site-packages/one.py").exists()
    assert set(os.listdir(mount.upper / "x")) <= {"pyvenv.cfg", ".venvfs"}
