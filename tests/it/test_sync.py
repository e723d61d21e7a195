# SPDX-License-Identifier: MIT
"""sync: from lock files to environments, and what goes wrong on the way. The index is on loopback and
has hand-made wheels; roots are not mounted, and what an environment has is read from its lock."""

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile

import indexserver
import pytest
from indexserver import sha256

LIBRARIES = (
    "packaging==26.2 --hash=sha256:5fc45236b9446107ff2415ce77c807cee2862cb6fac22b8a73826d0693b0980e\n"
)


@pytest.fixture
def index():
    i = indexserver.Index()
    yield i
    i.close()


@pytest.fixture(autouse=True)
def env(venvfs, root, index, tmp_path):
    """The index is the only one that is known, and bytecode is none of these tests' business."""
    work = tmp_path / "work"
    work.mkdir()
    (venvfs.config / "venvfs").mkdir()
    (venvfs.config / "venvfs" / "venvfs.conf").write_text("[store]\ncompile = no\n")
    for name in [n for n in venvfs.env if n.startswith(("PIP_", "UV_"))]:
        del venvfs.env[name]
    venvfs.env.update(
        VENVFS_ROOT=str(root),
        TMPDIR=str(work),
        HOME=str(tmp_path),
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL=f"{index.url}/simple/",
        PIP_NO_CACHE_DIR="1",
        PIP_RETRIES="0",
        no_proxy="127.0.0.1",
    )
    return work


@pytest.fixture(scope="session")
def library(tmp_path_factory, tools):
    """The wheel of the library that lock files are read with."""
    d = tmp_path_factory.mktemp("library")
    (d / "pins").write_text(LIBRARIES)
    subprocess.run(
        [tools / "python", "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
         "--require-hashes", "-r", d / "pins", "-d", d],
        check=True,
    )  # fmt: skip
    return next(d.glob("packaging-*.whl"))


@pytest.fixture
def known(venvfs, library):
    """The store has it: getting it takes pip, and a second or two."""
    venvfs("store", "add", "--no-compile", library)


@pytest.fixture
def x(venvfs, debian_python, root):
    """An environment with nothing in it."""
    venvfs("create", "x", "--without-pip", "--python", debian_python)
    return root / "x"


@pytest.fixture
def pins(tmp_path):
    def write(*lines, name="requirements.txt"):
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


def pin(wheel, version=None):
    name, of, *_ = wheel.name.split("-")
    return f"{name}=={version or of} --hash=sha256:{sha256(wheel)}"


def pylock(tmp_path, *packages, name="pylock.toml", head=""):
    path = tmp_path / name
    path.write_text(
        f'lock-version = "1.0"\ncreated-by = "a test"\n{head}' + ("".join(packages) or "packages = []\n")
    )
    return path


def package(wheel, url=None, path=None, extra="", digest=None):
    name, version, *_ = wheel.name.split("-")
    where = f'url = "{url}"' if url else f'path = "{path}"'
    return (
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\n{extra}'
        f'wheels = [{{name = "{wheel.name}", {where}, '
        f'hashes = {{sha256 = "{digest or sha256(wheel)}"}}}}]\n'
    )


def has(venvfs, env="x"):
    return {d["name"]: d["version"] for d in venvfs.json("show", env)["distributions"]}


def left_behind(work):
    return [p for p in work.iterdir() if p.name.startswith("venvfs-work-")]


def need_strace(sanitized):
    if sanitized:
        pytest.skip("a sanitizer makes calls of its own")
    if not shutil.which("strace"):
        pytest.skip("no strace")


class Unchanged:
    """Within it pyvenv.cfg does not change, and a command that fails says so."""

    def __init__(self, venvfs, env, work):
        self.venvfs, self.env, self.work = venvfs, env, work

    def __enter__(self):
        self.before = (self.env / "pyvenv.cfg").read_bytes()
        return self

    def sync(self, file, *options, **kw):
        r = self.venvfs("sync", self.env, file, *options, check=False, **kw)
        assert r.returncode == 1, r.stdout
        assert f"{self.env} stays as it was" in r.stderr
        return r.stderr

    def __exit__(self, *exc):
        assert (self.env / "pyvenv.cfg").read_bytes() == self.before
        assert sorted(p.name for p in self.env.iterdir()) == ["pyvenv.cfg"]
        assert not left_behind(self.work)


@pytest.fixture
def unchanged(venvfs, x, env):
    return Unchanged(venvfs, x, env)


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
    (site / ".wh.two_b-1.0.dist-info").touch()
    r = venvfs("sync", "x", pins("one==1.0", "two-b==1.0", "three==1.0"))
    told = sorted(r.stderr.splitlines())
    assert len(told) == 2
    assert told[0].startswith("venvfs: one is installed in ") and "pip uninstall one" in told[0]
    assert told[1].startswith("venvfs: two-b stays hidden in ")


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


# what fails


def test_every_fault_is_named(unchanged, pins, index, small_wheels):
    index.add(small_wheels("here"), small_wheels("old", "1.0"))
    with unchanged as u:
        said = u.sync(pins("here==1.0", "nowhere==1.0", "old==2.0", "gone==3.0"))
        for name in ("nowhere 1.0: ", "old 2.0: ", "gone 3.0: "):
            assert f"venvfs: {name}" in said
        assert "venvfs: here" not in said
    # What could be had is there for the next time.
    index.files.clear()
    unchanged.venvfs("sync", "x", pins("here==1.0"))


def test_hash_mismatch(unchanged, pins, index, small_wheels):
    one = small_wheels("one")
    index.add(one)
    index.bodies[one.name] = small_wheels("one", files={"one.py": "evil = 1\n"}).read_bytes()
    with unchanged as u:
        assert "one 1.0: " in u.sync(pins(f"one==1.0 --hash=sha256:{'1' * 64}"))


def test_pylock_faults(unchanged, tmp_path, index, small_wheels, known):
    good, bad, gone, short = (small_wheels(n) for n in ("good", "bad", "gone", "short"))
    index.add(good, bad, gone, short)
    index.bodies[bad.name] = good.read_bytes()
    index.status[gone.name] = 404
    index.bodies[short.name] = b"PK"
    lock = pylock(
        tmp_path,
        *(package(w, index.file_url(w)) for w in (good, bad, gone, short)),
    )
    with unchanged as u:
        said = u.sync(lock)
        assert "bad 1.0: bad-1.0-py3-none-any.whl is another file than the one pinned" in said
        assert sha256(bad) in said
        assert "gone 1.0: gone-1.0-py3-none-any.whl: the server does not have it" in said
        assert "short 1.0: " in said and "good 1.0" not in said


def test_pylock_wheel_that_is_refused(unchanged, tmp_path, index, small_wheels, known):
    bad = small_wheels("bad", files={"bad.py": ""}, extra_members=[("../evil.py", "x")])
    index.add(bad)
    with unchanged as u:
        assert "(rule " in u.sync(pylock(tmp_path, package(bad, index.file_url(bad))))


def test_pylock_no_wheel_fits(unchanged, tmp_path, index, small_wheels, known):
    a = small_wheels("a", tag="cp311-cp311-win_amd64", pure=False)
    b = small_wheels("b", tag="cp38-cp38-macosx_11_0_arm64", pure=False)
    index.add(a, b)
    lock = pylock(tmp_path, package(a, index.file_url(a)), package(b, index.file_url(b)))
    with unchanged as u:
        said = u.sync(lock)
        assert "a 1.0: " in said and "b 1.0: " in said


def test_pylock_missing_local_wheel(unchanged, tmp_path, index, small_wheels, known):
    one = small_wheels("one")
    lock = pylock(tmp_path, package(one, path="wheels/" + one.name))
    one.unlink()
    with unchanged as u:
        assert "one 1.0: " in u.sync(lock)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("lock-version = [", "pylock.toml"),
        ('lock-version = "9.0"\ncreated-by = "x"\npackages = []\n', "9.0"),
        ('lock-version = "1.0"\n', "created-by"),
    ],
)
def test_pylock_that_is_none(venvfs, x, tmp_path, index, known, text, reason):
    (tmp_path / "pylock.toml").write_text(text)
    before = (x / "pyvenv.cfg").read_bytes()
    r = venvfs("sync", "x", tmp_path / "pylock.toml", check=False)
    assert r.returncode == 1 and reason in r.stderr
    assert (x / "pyvenv.cfg").read_bytes() == before


def test_login(unchanged, tmp_path, index, small_wheels, library, venvfs):
    one = small_wheels("one")
    index.add(one, library)
    venvfs("sync", "x", pylock(tmp_path, name="pylock.none.toml"))  # gets the library
    index.login = "user:secret"
    lock = pylock(tmp_path, package(one, index.file_url(one)))
    with unchanged as u:
        said = u.sync(lock)
        assert "one 1.0: " in said and "401" in said
    # pip is told of it, so that by pip it can be had
    venvfs.env["PIP_INDEX_URL"] = f"{index.url.replace('//', '//user:secret@')}/simple/"
    venvfs("sync", "x", lock)
    assert has(venvfs) == {"one": "1.0"}


def test_netrc(venvfs, x, tmp_path, index, small_wheels, known):
    one = small_wheels("one")
    index.add(one)
    venvfs("sync", "x", pylock(tmp_path, name="pylock.none.toml"))
    index.login = "user:secret"
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    venvfs.env["PIP_INDEX_URL"] = "http://127.0.0.1:9/"
    venvfs("sync", "x", pylock(tmp_path, package(one, index.file_url(one))))
    assert has(venvfs) == {"one": "1.0"}


@pytest.mark.parametrize(
    "lines, reason",
    [
        (["one==1.0", "requests"], 'requirements.txt:2: "requests": not pinned'),
        (["one>=1.0"], "requirements.txt:1:"),
        (["one==1.*"], "not pinned"),
        (["one==1.0", "one==2.0"], "pinned twice"),
        (["-r other.txt"], "another file is not followed"),
        (["-e ."], "editable"),
        (["one @ https://example.org/one-1.0-py3-none-any.whl"], "a URL is not a pin"),
        (["one==1.0 --hash=md5:abc"], "not a SHA-256"),
    ],
)
def test_lines_that_are_no_pins(venvfs, x, pins, index, small_wheels, lines, reason):
    index.add(small_wheels("one"))
    before = (x / "pyvenv.cfg").read_bytes()
    r = venvfs("sync", "x", pins(*lines), check=False)
    assert r.returncode == 1 and reason in r.stderr
    assert (x / "pyvenv.cfg").read_bytes() == before and index.log == []


def test_conflicting_pins(unchanged, pins, index, small_wheels, known):
    index.add(small_wheels("one", "1.0"), small_wheels("one", "2.0"))
    with unchanged as u:
        said = u.sync(pins("one==1.0; python_version > '3'", "one==2.0; sys_platform == 'linux'"))
        assert "line 2 pins one 2.0, and a line before it pins 1.0" in said


def test_bad_marker(unchanged, pins, index, small_wheels, known):
    with unchanged as u:
        assert "nonsense" in u.sync(pins("one==1.0; nonsense == 'x'"))


def test_no_such_file_or_environment(venvfs, x, pins, tmp_path, debian_python):
    r = venvfs("sync", "x", tmp_path / "nowhere.txt", check=False)
    assert r.returncode == 1 and "nowhere.txt" in r.stderr
    r = venvfs("sync", "y", pins(), check=False)
    assert r.returncode == 1 and "venvfs create" in r.stderr
    subprocess.run([debian_python, "-m", "venv", "--without-pip", tmp_path / "real"], check=True)
    before = (tmp_path / "real" / "pyvenv.cfg").read_bytes()
    r = venvfs("sync", tmp_path / "real", pins(), check=False)
    assert r.returncode == 1 and "lies in no root" in r.stderr
    assert (tmp_path / "real" / "pyvenv.cfg").read_bytes() == before


def test_library_that_can_not_be_had(venvfs, x, tmp_path, index):
    r = venvfs("sync", "x", pylock(tmp_path), check=False)
    assert r.returncode == 1 and "packaging-26.2-py3-none-any.whl" in r.stderr
    assert "venvfs store add" in r.stderr


def test_killed(venvfs, x, tmp_path, index, small_wheels, library, env):
    """kill -9 in the middle of a download leaves the environment as it was, and nothing for ever."""
    first, slow = small_wheels("first"), small_wheels("slow", files={"slow.py": "x = 1\n" * 50000})
    index.add(first, slow, library)
    lock = pylock(tmp_path, *(package(w, index.file_url(w)) for w in (first, slow)))
    before = (x / "pyvenv.cfg").read_bytes()
    index.stall.add(slow.name)
    with venvfs.popen("sync", "x", lock, stdout=subprocess.DEVNULL) as p:
        assert index.stalled.wait(60)
        p.send_signal(signal.SIGKILL)
    assert (x / "pyvenv.cfg").read_bytes() == before
    assert len(left_behind(env)) == 1
    index.stall.clear()
    index.released.set()
    venvfs("sync", "x", lock)
    assert has(venvfs) == {"first": "1.0", "slow": "1.0"}
    assert not left_behind(env)
    assert not [p for p in (venvfs.store / "tmp").iterdir()]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB."""
    d = tmp_path / "disk"
    d.mkdir()
    r = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", d], stderr=subprocess.PIPE, text=True
    )
    if r.returncode != 0:
        pytest.skip(f"can not mount a small tmpfs: {r.stderr.strip()}")
    yield d
    subprocess.run(["umount", "-l", d], check=True)


@pytest.mark.parametrize("what", ["store", "work"])
def test_disk_full(venvfs, x, tmp_path, index, small_wheels, library, small_disk, env, what):
    small, big = small_wheels("small"), small_wheels("big", files={"big.bin": os.urandom(8 << 20)})
    index.add(small, big, library)
    venvfs("sync", "x", pylock(tmp_path, name="pylock.none.toml"))
    if what == "store":
        shutil.copytree(venvfs.store, small_disk / "store", symlinks=True)
        (small_disk / "store").chmod(0o700)
        options = ("--store", small_disk / "store")
    else:
        venvfs.env["TMPDIR"] = str(small_disk)
        options = ()
    before = (x / "pyvenv.cfg").read_bytes()
    lock = pylock(tmp_path, package(small, index.file_url(small)), package(big, index.file_url(big)))
    r = venvfs(*options, "sync", "x", lock, check=False)
    assert r.returncode == 1 and "No space left" in r.stderr and "big" in r.stderr
    assert (x / "pyvenv.cfg").read_bytes() == before
    assert not left_behind(small_disk)
    # With room again it works.
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    venvfs(*options, "sync", "x", lock)
    assert {d["name"] for d in venvfs.json(*options, "show", "x")["distributions"]} == {"small", "big"}


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
