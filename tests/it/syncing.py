# SPDX-License-Identifier: MIT
"""What the tests of `venvfs sync` stand on. The index is on loopback and has hand-made wheels; roots are
not mounted, and what an environment has is read from its lock."""

import os
import shutil
import subprocess

import indexserver
import pytest
import wheelmaker
from indexserver import sha256

LIBRARIES = (
    "packaging==26.2 --hash=sha256:5fc45236b9446107ff2415ce77c807cee2862cb6fac22b8a73826d0693b0980e\n"
)


BACKEND = """
import wheelmaker
def build_wheel(directory, config=None, metadata=None):
    return wheelmaker.make(directory, NAME, "1.0", files={NAME + ".py": TEXT}).name
"""


def source_tree(path, name, text):
    """A project of version 1.0 that builds with nothing but itself, to a module with that text."""
    path.mkdir(exist_ok=True)
    (path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n')  # fmt: skip
    (path / "backend.py").write_text(BACKEND.replace("NAME", repr(name)).replace("TEXT", repr(text)))
    shutil.copy(wheelmaker.__file__, path)
    return path


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
