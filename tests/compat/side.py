# SPDX-License-Identifier: MIT
"""The two places in which a case runs: a root that venvfs has mounted, and an ordinary directory. Each
has a home, caches and a temporary directory of its own; what a case sees there must be the same."""

import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.prefix) / "bin"

# What a developer's shell or a CI machine sets and what would change what the tools do.
UNSET = re.compile(
    r"PYTHON\w*|(PIP|UV|POETRY|PDM|HATCH|PIPENV|TOX|NOX|PIPX|VIRTUALENV|VIRTUAL_ENV|VENVFS|XDG|WORKON)(_\w*)?"
    r"|FORCE_COLOR|CI|SOURCE_DATE_EPOCH|__PYVENV_LAUNCHER__"
)
# ... but how to reach the index is the user's, for whichever tool it is set.
KEEP = re.compile(r"(PIP|UV)_(CERT|CONFIG_FILE|\w*INDEX\w*|PROXY|TRUSTED_HOST|DEFAULT_TIMEOUT|HTTP_TIMEOUT|NATIVE_TLS)")

VERSIONS = """
import importlib.metadata, json
print(json.dumps(sorted((d.metadata["Name"].lower(), d.version) for d in importlib.metadata.distributions())))
"""


class CaseFailed(Exception):
    pass


def user_index():
    """The index of the user's own pip configuration, or None."""
    argv = [TOOLS / "pip", "config", "get", "global.index-url"]
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return os.environ.get("PIP_INDEX_URL") or r.stdout.strip() or None


def pip_index():
    """The one that pip takes, for tools that would rather speak to PyPI's other interfaces."""
    return user_index() or run_python("from pip._internal.models.index import PyPI; print(PyPI.simple_url)")


def run_python(code):
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()


@functools.lru_cache(maxsize=None)
def version_of(tool):
    """As it tells; empty for what is no tool."""
    if tool == "python -m venv":
        return platform.python_version()
    if not (TOOLS / tool).exists():
        return ""
    argv = [TOOLS / tool, "--version"]
    said = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    return re.search(r"\d+(\.\d+)+", said)[0]


class Side:
    """An ordinary directory."""

    name = "native"

    def __init__(self, tmp, python):
        self.tmp, self.python = Path(tmp), python
        self.root, self.cwd = self.directory("envs"), self.directory("cwd")
        self.initial = self._make_environ()
        self.environ = dict(self.initial)
        self.case = None  # directory of the case in the root
        self.codes, self.seen = [], {}

    def _make_environ(self):
        env = {k: v for k, v in os.environ.items() if not UNSET.fullmatch(k) or KEEP.fullmatch(k)}
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        for key, path in (("PIP_CONFIG_FILE", config / "pip/pip.conf"), ("UV_CONFIG_FILE", config / "uv/uv.toml")):
            if key not in env and os.access(path, os.R_OK):
                env[key] = str(path)
        env["HOME"] = str(self.directory("home"))
        for name in ("DATA", "CONFIG", "STATE", "CACHE"):
            env[f"XDG_{name}_HOME"] = str(self.directory(f"home/{name.lower()}"))
        env["TMPDIR"] = str(self.directory("tmp"))
        index = user_index()
        if index:
            env.update(UV_DEFAULT_INDEX=index, PDM_PYPI_URL=index, PIPENV_PYPI_MIRROR=index)
        env.update(
            LC_ALL="C.UTF-8",
            NO_COLOR="1",
            PIP_DISABLE_PIP_VERSION_CHECK="1",
            PIP_NO_INPUT="1",
            UV_PYTHON_DOWNLOADS="never",
            UV_NO_PROGRESS="1",
            PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring",
        )
        return env

    def directory(self, name):
        path = self.tmp / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    # what cases use

    def begin(self, name):
        self.case = self.root / name
        self.case.mkdir()
        self.cwd = self.directory(f"cwd/{name}")
        self.environ = dict(self.initial)
        self.codes, self.seen = [], {}

    def run(self, *argv, cwd=None, env=None, ok=True):
        """Runs a program to its end and returns what it printed. A name without a slash is one of the
        tools. `ok` False: it must fail; its exit code is compared either way."""
        argv = [str(a) for a in argv]
        if "/" not in argv[0] and (TOOLS / argv[0]).exists():
            argv[0] = str(TOOLS / argv[0])
        r = subprocess.run(
            argv,
            cwd=cwd or self.cwd,
            env={**self.environ, **{k: str(v) for k, v in (env or {}).items()}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=600,
        )
        self.codes.append((Path(argv[0]).name, r.returncode))
        if (r.returncode == 0) != ok:
            raise CaseFailed(f"{' '.join(argv)}: exit {r.returncode}\n{r.stdout[-3000:]}")
        return r.stdout

    def saw(self, what, value):
        """To be the same on both sides, but for the directory's name."""
        self.seen[what] = str(value).replace(str(self.tmp), "TMP")
        return value

    def expect(self, truth, what):
        if not truth:
            raise CaseFailed(what)

    def env(self, name="x"):
        """An environment with the pip of tests/compat/requirements, as each side makes one."""
        return self.seeded(self.case / name)

    def seeded(self, path):
        self.bare(path)
        self.run("uv", "pip", "install", "-q", "--python", path / "bin/python", f"pip=={version_of('pip')}")
        return path

    def bare(self, path):
        self.run(self.python, "-m", "venv", "--without-pip", path)

    def pip(self, x, *args, **kw):
        return self.run(x / "bin/python", "-m", "pip", *args, **kw)

    def code(self, x, code, **kw):
        return self.run(x / "bin/python", "-c", code, **kw).strip()

    def versions(self, env):
        return dict(json.loads(self.code(env, VERSIONS)))

    def site(self, env):
        [path] = env.glob("lib/python3*/site-packages")
        return path

    def installed(self, env, *imports, **versions):
        """The environment is whole: exactly these versions are there of what is named (None: it is not),
        `imports` work, `pip check` is content."""

        def look():
            found = self.versions(env)
            for name, version in versions.items():
                have = found.get(name.replace("_", "-"))
                wrong = have is None if version is True else have != version
                self.expect(not wrong, f"{name}: {have} is installed, {version} should be")
            if imports:
                self.code(env, f"import {', '.join(imports)}")
            self.run("pip", "--python", env / "bin/python", "check")
            return found

        found = self.saw(f"installed, {len(self.seen) + 1}", look())
        self.settle(env)
        if look() != found:
            raise CaseFailed("a harvest changed what is installed")

    def gone(self, *paths):
        for path in paths:
            self.expect(not os.path.lexists(path), f"{path} is still there")

    def project(self, name, files):
        """A directory outside of the root with these files."""
        top = self.cwd / name
        for path, text in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_text(text)
        return top

    # what happens between and after

    def settle(self, env):
        """What time would do to the environment."""

    def end(self):
        """Removes all that the case has made in the root."""
        self.run("/bin/rm", "-rf", self.case)
        self.gone(self.case)
        shutil.rmtree(self.cwd, ignore_errors=True)
        self.cwd = self.tmp

    def close(self):
        shutil.rmtree(self.tmp, ignore_errors=True)


class Mounted(Side):
    """A root that venvfs has mounted, with another environment in it that nothing may touch."""

    name = "venvfs"

    def __init__(self, tmp, python, venvfs):
        super().__init__(tmp, python)
        self.venvfs = venvfs
        self.upper_fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        self.ours("mount", self.root)
        self.witness = self.seeded(self.root / "witness")
        self.run(self.witness / "bin/pip", "install", "-q", "six", "idna", "click")
        self.ours("harvest", self.witness)
        self.before = fingerprint(self.witness)

    def ours(self, *args):
        return self.run(self.venvfs, *args)

    def bare(self, path):
        self.ours("create", "--without-pip", path, "--python", self.python)

    def settle(self, env):
        self.ours("harvest", env)

    def end(self):
        super().end()
        behind = os.listdir(self.upper_fd)
        self.expect(self.case.name not in behind, f"{self.case.name} is left behind the mount")
        self.expect(fingerprint(self.witness) == self.before, "another environment has changed")
        verified = json.loads(self.ours("store", "verify", "--json"))
        self.expect(verified["bad"] == 0, f"the store: {verified}")

    def close(self):
        end = time.monotonic() + 10
        argv = [self.venvfs, "umount", self.root]
        while subprocess.run(argv, env=self.environ, stderr=subprocess.DEVNULL).returncode:
            if time.monotonic() > end:
                print(f"run: {self.root} can not be unmounted and is left", file=sys.stderr)
                return
            time.sleep(0.2)
        os.close(self.upper_fd)
        super().close()


def fingerprint(top):
    """Names and bytes of all that is there, but bytecode."""
    found = {}
    for path in sorted(top.rglob("*")):
        if "__pycache__" not in path.parts and path.is_file() and not path.is_symlink():
            found[str(path.relative_to(top))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
