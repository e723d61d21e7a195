# SPDX-License-Identifier: MIT
"""The place where a benchmark runs: a temporary directory with a store, a root, uv's cache and all
that the programs would otherwise keep in a home directory; and the wheels and tools they get."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Failed, run
from ours import Mount

SOURCES = Path(__file__).resolve().parents[2]
SMALL = "six"  # the environment of one distribution
IMPORT = "import numpy, pandas, scipy.stats, sympy"

# What would change what is measured.
UNSET = (
    "PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH PYTHONPYCACHEPREFIX PYTHONSTARTUP PYTHONOPTIMIZE "
    "PIP_FIND_LINKS PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV VIRTUAL_ENV UV_PYTHON "
    "UV_FIND_LINKS UV_LINK_MODE UV_COMPILE_BYTECODE UV_PROJECT_ENVIRONMENT VENVFS_ROOT __PYVENV_LAUNCHER__"
).split()


class World:
    def __init__(self, venvfs, where=None):
        self.venvfs = Path(venvfs).resolve()
        if not os.access(self.venvfs, os.X_OK):
            raise Failed(f"{self.venvfs} is not there: make builds it, $VENVFS names another")
        self.tools = Path(fetch("tools")).parent
        self.wheels = Path(fetch("sci"))
        self.sci = SOURCES / "tests" / "sci.txt"
        self.python = base_python(self.tools / "python")
        self.mounts = []
        self.tmp = Path(tempfile.mkdtemp(prefix="venvfs-bench-", dir=where))
        self.cwd = self.directory("cwd")
        self.env = self._environment()
        self.one = self.tmp / "one.txt"
        self.one.write_text(pin_of(self.sci.read_text(), SMALL))
        self._full = False

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for mount in reversed(self.mounts[:]):
            try:
                mount.__exit__()
            except Failed as e:
                print(f"bench: {e}; left behind: {self.tmp}", file=sys.stderr)
                return  # a tree is not removed through a mount that would not go away
        shutil.rmtree(self.tmp, ignore_errors=True)

    def _environment(self):
        env = {k: v for k, v in os.environ.items() if k not in UNSET}
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        # The index of --online is the user's own.
        for key, path in (
            ("PIP_CONFIG_FILE", config / "pip" / "pip.conf"),
            ("UV_CONFIG_FILE", config / "uv" / "uv.toml"),
        ):
            if key not in env and os.access(path, os.R_OK):
                env[key] = str(path)
        for key, name in (
            ("XDG_DATA_HOME", "data"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
        ):
            env[key] = str(self.directory(name))
        # Nothing may compile in the background of a timed run.
        conf = self.directory("config/venvfs") / "venvfs.conf"
        conf.write_text("[store]\ncompile = no\n")
        env.update(
            UV_CACHE_DIR=str(self.tmp / "uv-cache"),
            UV_LINK_MODE="hardlink",
            UV_NO_PROGRESS="1",
            UV_PYTHON_DOWNLOADS="never",
            PIP_DISABLE_PIP_VERSION_CHECK="1",
            LC_ALL="C.UTF-8",
            PATH=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
        )
        return env

    def directory(self, name):
        d = self.tmp / name
        d.mkdir(parents=True, exist_ok=True)
        return d

    def run(self, *argv, env=None):
        return run(argv, {**self.env, **(env or {})}, cwd=self.cwd)

    def remove(self, path):
        """An ordinary tree, by the fastest there is: it is never timed."""
        run(["rm", "-rf", "--one-file-system", path], self.env)

    def sync(self):
        """Earlier writes are not to be paid for by whoever runs next."""
        run(["sync", "-f", self.tmp], self.env)

    def site(self, env):
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        return Path(env) / "lib" / version / "site-packages"

    def ls(self, env):
        self.run("ls", self.site(env))

    # ours

    def ours(self, *args, env=None):
        return self.run(self.venvfs, *args, env=env)

    def full_store(self):
        """The store has sci, with its bytecode."""
        if not self._full:
            self.ours("store", "add", "--no-compile", *self.wheel_files())
            self.ours("store", "compile", "--python", self.python)
            self._full = True

    def wheel_files(self):
        return sorted(self.wheels.glob("*.whl"))

    def create(self, path, requirements):
        self.ours("create", "--without-pip", "--python", self.python, path)
        self.ours("sync", path, requirements)

    def mount(self, name="envs", *options, env=None):
        """A context: the root of that name, mounted."""
        return Mount(self, self.directory(name), *options, env=env)


def fetch(what):
    r = subprocess.run(
        [str(SOURCES / "tests" / "fetch"), what], stdout=subprocess.PIPE, text=True
    )
    if r.returncode != 0:
        raise Failed(f"tests/fetch {what} failed")
    return r.stdout.strip()


def base_python(python):
    """The interpreter behind the tools' environment: the wheels are for its version."""
    code = "import os, sys; print(os.path.realpath(getattr(sys, '_base_executable', sys.executable)))"
    path = subprocess.check_output([str(python), "-c", code], text=True).strip()
    version = subprocess.check_output(
        [path, "-c", "import sys; print(*sys.version_info[:2])"], text=True
    )
    if version.split() != [str(sys.version_info[0]), str(sys.version_info[1])]:
        raise Failed(f"run this with {python}, as `make bench` does: the wheels are for its version")
    return path


def pin_of(text, name):
    """The lines of one pin, with its hashes."""
    found = re.search(rf"^{re.escape(name)}==(?:.*\\\n)*.*\n", text, re.M)
    if not found:
        raise Failed(f"tests/sci.txt does not pin {name}")
    return found[0]
