# SPDX-License-Identifier: MIT
"""Environments beside what `python -m venv` and pip make: the same path, the same wheels.

The ordinary one is made first, at the very path that the mounted one will have, and moved aside;
so every text in it names that path, and both can be compared byte for byte.
"""

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest
import wheelmaker
from conftest import Mount, Venvfs, need_fuse, sanitizer_reports

# What distlib's shebang-writing scripts, data files and directories of several owners can look like.
WHEELS = (
    dict(
        name="Demo.Pkg",
        version="1.0",
        files={
            "demo/__init__.py": "def main():\n    print('demo')\n\n\nclass App:\n    run = staticmethod(main)\n",
            "demo/tool": "#!/bin/sh\necho tool\n",
            "demo/empty": "",
            "demo/with, comma": "x",
            "demo/sub/deep/mod.py": "def where():\n    return (lambda: 0).__code__.co_filename\n",
            "demo.pth": "import sys; sys.demo_pth = True\n",
            "shared/demo_part.py": "part = 'demo'\n",
            "demo-ümläut.txt": "y",
        },
        entry_points={
            "console_scripts": {
                "demo": "demo:main",
                "Demo-Extra": "demo:main [extra]",
                "demo-attr": "demo:App.run",
            },
            "gui_scripts": {"demo-gui": "demo:main"},
            "demo.plugins": {"one": "demo:main"},
        },
        scripts={
            "demo-python": "#!python -E\nimport sys\nprint(sys.prefix)\n",
            "demo-pythonw": "#!pythonw\nprint('w')\n",
            "demo-sh": "#!/bin/sh\necho sh\n",
            "demo-envpy": "#!/usr/bin/env python\nprint('env')\n",
            "demo-code.py": "#!python\nprint('py')\n",
        },
        data={
            "share/demo/a b.txt": "data\n",
            "etc/demo/demo.conf": "k = v\n",
            "bin/from-data": "#!python\nprint('left as it is')\n",
        },
        headers={"demo.h": "#define DEMO 1\n", "sub/more.h": "\n"},
        requires=("plain>=2",),
        metadata="License-File: LICENSE\nSummary: shows everything a wheel can have\n",
        dist_info={"licenses/LICENSE": "free\n", "top_level.txt": "demo\nshared\n"},
        executable=(
            "demo/tool",
            *(f"Demo_Pkg-1.0.data/scripts/demo-{s}" for s in ("python", "pythonw", "sh", "envpy", "code.py")),
        ),
    ),
    dict(
        name="plain",
        version="2.0",
        files={"plain/__init__.py": "version = '2.0'\n", "shared/plain_part.py": "part = 'plain'\n"},
    ),
    dict(name="wanting", version="1", files={"wanting.py": ""}, requires=("nowhere-to-be-found>=3",)),
)
NAMES = ("demo-pkg", "plain", "wanting")


def demo_wheels(directory):
    return [wheelmaker.make(directory, **w) for w in WHEELS]


# As venv does it, but by the name bin/python: scripts get the name that ensurepip is run by.
VENV = """
import os, subprocess, sys, venv
def seed(self, context, *_):
    python = os.path.join(context.env_dir, "bin/python")
    subprocess.check_output([python, "-Im", "ensurepip", "--upgrade", "--default-pip"])
venv.EnvBuilder._setup_pip = seed
venv.main(sys.argv[1:])
"""


def real_environment(python, path, *options, env):
    """What `python -m venv` makes of `path`."""
    subprocess.run([python, "-c", VENV, *options, path], check=True, env=env)


def real_install(path, wheels, names, env):
    """By name, as from an index: with a path pip would note a direct_url.json."""
    subprocess.run(
        [path / "bin/python", "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile",
         "--find-links", wheels, *names],
        check=True,
        env={**env, "PIP_CONFIG_FILE": os.devnull},
    )  # fmt: skip


def pins():
    return "".join(f"{w['name']}=={w['version']}\n" for w in WHEELS)


class Twin:
    """`env` is the mounted environment, `real` the ordinary one, made at the same path."""

    def __init__(self, python, env, real, environ, mount):
        self.python, self.env, self.real, self.environ = python, env, real, environ
        self.mount = mount
        self.version = python_version(python)
        self.lib = f"lib/python{self.version}/site-packages"
        self.site = env / self.lib

    def run(self, where, *argv, **kw):
        """A program of one of the two. Whatever it prints names `env`."""
        r = subprocess.run(
            [where / argv[0], *argv[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**self.environ, "PIP_CONFIG_FILE": os.devnull},
            cwd="/",
            **kw,
        )
        return r.returncode, r.stdout.replace(str(self.real), str(self.env))

    def both(self, *argv, **kw):
        return self.run(self.env, *argv, **kw), self.run(self.real, *argv, **kw)


def python_version(python):
    return subprocess.run(
        [python, "-ISc", "import sys; print('%d.%d' % sys.version_info[:2])"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()


def bytecode(path):
    """What tree() leaves out: pip compiles, and names are by version."""
    return path.name == "__pycache__" or path.suffix == ".pyc"


def tree(top, skip=bytecode, content=Path.read_bytes):
    """{path: (mode, symlink's target or content(path) or None)} of all below `top`."""
    found = {}
    for directory, dirs, files in os.walk(top):
        dirs[:] = [d for d in dirs if not skip(top / directory / d)]
        for name in dirs + files:
            path = top / directory / name
            if skip(path):
                continue
            st = path.lstat()
            if stat.S_ISLNK(st.st_mode):
                what = os.readlink(path)
            elif stat.S_ISREG(st.st_mode):
                what = content(path)
            else:
                what = None
            found[str(path.relative_to(top))] = (stat.filemode(st.st_mode), what)
    return found


def digest(path):
    """For trees too large for memory: bytes of what comparable() looks into, else a digest."""
    if path.name in ("RECORD", "INSTALLER", "pyvenv.cfg"):
        return path.read_bytes()
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def without_lock(text):
    return b"".join(line for line in text.splitlines(True) if not line.startswith(b"venvfs-lock"))


def comparable(found, installer=b"pip\n"):
    """A tree with what is right to differ made equal: our line of pyvenv.cfg, the order of RECORD's
    rows, rows of pycs, and who installed it."""
    out = dict(found)
    for path, (mode, content) in found.items():
        name = path.rpartition("/")[2]
        if path == "pyvenv.cfg":
            out[path] = mode, without_lock(content)
        elif path.endswith(".dist-info/RECORD"):
            assert content.endswith(b"\r\n") or not content
            rows = content.split(b"\r\n")[:-1]
            assert len(rows) == len(set(rows)), path
            out[path] = (
                mode,
                {r for r in rows if b".pyc," not in r and b".dist-info/INSTALLER," not in r},
            )
        elif name == "INSTALLER" and ".dist-info/" in path:
            assert content in (installer, b"venvfs\n"), path
            out[path] = mode, None
    return out


def assert_same(ours, theirs):
    """As ==, but the failure tells what differs and not two whole trees."""
    assert sorted(ours.keys() - theirs.keys()) == [], "more than in the ordinary environment"
    assert sorted(theirs.keys() - ours.keys()) == [], "less than in the ordinary environment"
    for path in sorted(ours):
        assert ours[path] == theirs[path], path


class Twins:
    """twins(PYTHON) is the Twin of that Python: a root of its own, where the ordinary environment is
    made while nothing is mounted."""

    def __init__(self, tmp, logs):
        self.tmp = tmp
        self.venvfs = Venvfs(tmp, logs)
        self.venvfs.env["PYTHONDONTWRITEBYTECODE"] = "1"
        (self.venvfs.config / "venvfs").mkdir()
        (self.venvfs.config / "venvfs/venvfs.conf").write_text("[store]\ncompile = no\n")
        self.wheels = tmp / "wheels"
        self.wheels.mkdir()
        self.pins = tmp / "pins"
        self.pins.write_text(pins())
        self.venvfs("store", "add", *demo_wheels(self.wheels))
        self.mounts, self.made = [], {}

    def __call__(self, python, name="x", options=()):
        key = (str(python), name, options)
        if key not in self.made:
            base = self.tmp / f"root{len(list(self.tmp.glob('root*')))}"  # one that failed made it, too
            env, real = base / "envs" / name, base / "real"
            env.parent.mkdir(parents=True)
            real_environment(python, env, *options, env=self.venvfs.env)
            real_install(env, self.wheels, NAMES, self.venvfs.env)
            env.rename(real)
            self.mounts.append(Mount(self.venvfs, env.parent))
            self.venvfs("create", env, "--python", python, *options)
            self.venvfs("sync", env, self.pins, "--no-compile")
            self.made[key] = Twin(python, env, real, self.venvfs.env, self.mounts[-1])
        return self.made[key]


@pytest.fixture(scope="session")
def twins(tmp_path_factory):
    """twins(PYTHON) is a Twin with the demo wheels; made once, never changed by a test."""
    need_fuse()
    tmp, logs = tmp_path_factory.mktemp("twins"), tmp_path_factory.mktemp("sanitizer")
    made = Twins(tmp, logs)
    yield made
    faults = [fault for fault in [m.take_down() for m in made.mounts] if fault]
    reports = sanitizer_reports(logs)
    assert not faults and not reports, f"{faults} {reports}"


@pytest.fixture
def twin(twins, python):
    """The one of each Python in turn."""
    return twins(python)
