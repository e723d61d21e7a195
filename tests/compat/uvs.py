# SPDX-License-Identifier: MIT
"""uv: environments, its pip, and projects."""

import os
import shutil

from case import case

PROJECT = '[project]\nname = "mine"\nversion = "1.0"\nrequires-python = ">=3.9"\ndependencies = ["idna==3.7"]\n'


def uv(side, *args, **kw):
    return side.run("uv", *args, **kw)


def uv_pip(side, x, verb, *args, **kw):
    return uv(side, "pip", verb, "--python", x / "bin/python", *args, **kw)


@case("uv", "venv, venv --seed, venv over one (refused), venv --clear, --allow-existing")
def uv_venv(side):
    x = side.case / "x"
    uv(side, "venv", "-q", "--python", side.python, x)
    uv_pip(side, x, "install", "six==1.16.0")
    side.installed(x, "six", six="1.16.0")
    uv(side, "venv", "-q", "--python", side.python, "--allow-existing", x)
    side.installed(x, "six", six="1.16.0")
    uv(side, "venv", "-q", "--python", side.python, x, ok=False)
    (x / "note.txt").write_text("mine\n")
    uv(side, "venv", "-q", "--python", side.python, "--clear", x)
    side.gone(x / "note.txt", side.site(x) / "six.py")
    side.installed(x, six=None)
    uv(side, "venv", "-q", "--python", side.python, "--seed", side.case / "seeded")
    side.installed(side.case / "seeded", "pip", pip=True)


@case("uv", "venv --clear over an environment of this side's own making")
def uv_venv_clear(side):
    x = side.env()
    side.pip(x, "install", "flask==3.0.3")
    side.installed(x, "flask", flask="3.0.3")
    uv(side, "venv", "-q", "--python", side.python, "--clear", x)
    side.installed(x, flask=None, pip=None)
    side.gone(side.site(x) / "flask", x / "bin/flask", x / "bin/pip")
    side.saw("names", sorted(p.name for p in side.site(x).iterdir()))


def link_mode(side, mode, cache):
    x = side.env()
    env = {"UV_CACHE_DIR": cache, "UV_LINK_MODE": mode}
    uv_pip(side, x, "install", "flask==3.0.3", "six==1.15.0", env=env)
    side.installed(x, "flask", "six", flask="3.0.3", six="1.15.0")
    uv_pip(side, x, "install", "-U", "six==1.16.0", env=env)
    pins = side.cwd / "pins.txt"
    pins.write_text("six==1.16.0\nidna==3.7\n")
    uv_pip(side, x, "sync", pins, env=env)
    side.installed(x, "six", "idna", flask=None, idna="3.7", six="1.16.0")
    uv_pip(side, x, "uninstall", "idna", env=env)
    side.installed(x, "six", idna=None)
    side.gone(side.site(x) / "idna", x / "bin/flask")
    y = side.env("y")
    uv_pip(side, y, "install", "six==1.16.0", env=env)
    with open(side.site(y) / "six.py", "a") as f:
        f.write("mine = 1\n")
    side.code(y, "import six; six.mine")
    if mode == "copy" or side.name == "venvfs":  # natively a link shares its bytes with uv's cache
        side.code(x, "import six; assert not hasattr(six, 'mine')")


@case("uv", "pip install, -U, sync, uninstall; --link-mode clone, cache outside of the root")
def uv_clone(side):
    link_mode(side, "clone", side.tmp / "uv-cache")


@case("uv", "the same, --link-mode copy")
def uv_copy(side):
    link_mode(side, "copy", side.tmp / "uv-cache")


@case("uv", "the same, --link-mode hardlink (from another file system, uv copies)")
def uv_hardlink(side):
    link_mode(side, "hardlink", side.tmp / "uv-cache")


@case("uv", "the same, --link-mode symlink")
def uv_symlink(side):
    x = side.env()
    env = {"UV_LINK_MODE": "symlink", "UV_CACHE_DIR": side.tmp / "uv-cache-symlink"}
    uv_pip(side, x, "install", "flask==3.0.3", env=env)
    side.installed(x, "flask", flask="3.0.3")
    side.saw("symlink", (side.site(x) / "flask/__init__.py").is_symlink())
    uv_pip(side, x, "uninstall", "flask", env=env)
    side.installed(x, "jinja2", flask=None)
    side.gone(side.site(x) / "flask")


@case("uv", "the same with uv's cache in the root, --link-mode hardlink")
def uv_hardlink_inside(side):
    x = side.env()
    env = {"UV_LINK_MODE": "hardlink", "UV_CACHE_DIR": side.case / "uv-cache"}
    uv_pip(side, x, "install", "flask==3.0.3", env=env)
    side.installed(x, "flask", flask="3.0.3")
    y = side.env("y")
    uv_pip(side, y, "install", "flask==3.0.3", env=env)
    side.installed(y, "flask", flask="3.0.3")
    uv_pip(side, x, "uninstall", "flask", env=env)
    side.installed(x, "jinja2", flask=None)
    side.installed(y, "flask", flask="3.0.3")


@case("uv", "pip install --compile-bytecode, -e, from a directory, from a wheel")
def uv_more(side):
    x = side.env()
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    top = side.project("tree", {"pyproject.toml": build + PROJECT, "mine/__init__.py": "n = 1\n"})
    uv_pip(side, x, "install", "--compile-bytecode", "-e", top)
    side.installed(x, "mine", "idna", mine="1.0", idna="3.7")
    uv_pip(side, x, "install", "--reinstall-package", "mine", top)
    side.installed(x, "mine", mine="1.0")
    side.expect((side.site(x) / "mine/__init__.py").exists(), "it is an editable installation still")
    uv(side, "build", "-q", "--wheel", "-o", side.cwd / "dist", top)
    [wheel] = (side.cwd / "dist").glob("*.whl")
    uv_pip(side, x, "install", "--force-reinstall", wheel)
    side.installed(x, "mine", mine="1.0")


def project(side, x):
    """A uv project whose .venv is a link to `x`, through sync, add, remove and run."""
    top = side.project("tree", {"pyproject.toml": PROJECT})
    os.symlink(x, top / ".venv")
    env = {"UV_PYTHON": side.python}
    uv(side, "sync", cwd=top, env=env)
    side.installed(x, "idna", idna="3.7")
    uv(side, "add", "-q", "six==1.16.0", cwd=top, env=env)
    side.installed(x, "six", six="1.16.0", idna="3.7")
    uv(side, "remove", "-q", "idna", cwd=top, env=env)
    side.installed(x, "six", idna=None)
    prefix = uv(side, "run", "-q", "python", "-c", "import six, sys; print(sys.prefix)", cwd=top, env=env)
    side.saw("prefix", prefix.strip())
    side.expect((top / ".venv").is_symlink(), ".venv is no link any more")
    shutil.rmtree(top)


@case("uv", "project: sync, add, remove, run; .venv is a link to an environment of the root")
def uv_project(side):
    project(side, side.env())


@case("uv", "project: the same, .venv is a link to a directory made by uv venv")
def uv_project_own(side):
    x = side.case / "x"
    uv(side, "venv", "-q", "--python", side.python, x)
    project(side, x)


@case("uv", "tool install, upgrade, uninstall; UV_TOOL_DIR in the root")
def uv_tool(side):
    env = {"UV_TOOL_DIR": side.case / "tools", "UV_TOOL_BIN_DIR": side.case / "bin", "UV_PYTHON": side.python}
    uv(side, "tool", "install", "pycowsay==0.0.0.2", env=env)
    side.expect("hello" in side.run(side.case / "bin/pycowsay", "hello"), "pycowsay")
    uv(side, "tool", "install", "--reinstall", "pycowsay==0.0.0.2", env=env)
    uv(side, "tool", "upgrade", "--all", env=env)
    side.run(side.case / "bin/pycowsay", "hello")
    uv(side, "tool", "uninstall", "pycowsay", env=env)
    side.gone(side.case / "tools/pycowsay", side.case / "bin/pycowsay")
