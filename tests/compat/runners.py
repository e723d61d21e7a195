# SPDX-License-Identifier: MIT
"""Runners of tests and of tools, with their homes in the root."""

from case import case
from side import TOOLS

BUILD = '[build-system]\nrequires = ["flit_core>=3.4"]\nbuild-backend = "flit_core.buildapi"\n'
PROJECT = BUILD + '[project]\nname = "mine"\nversion = "1.0"\ndescription = "mine"\n'
MINE = '"""mine"""\n'


@case("tox", "run, again, -r (recreate), changed deps, the project itself; work_dir in the root")
def tox(side):
    ini = "[tox]\nenv_list = a, b\n[testenv]\nbase_python = {}\ndeps = {}\ncommands = python -c 'import mine, {}'\n"
    text = ini.format(side.python, "six==1.16.0", "six")
    top = side.project("tree", {"pyproject.toml": PROJECT, "mine.py": MINE, "tox.ini": text})
    work = side.case / "tox"

    def run(*args):
        side.run("tox", "--workdir", work, "-q", *args, cwd=top)

    run()
    run()
    side.installed(work / "a", "six", "mine", six="1.16.0", mine="1.0")
    run("-r")
    side.installed(work / "b", "six", "mine", six="1.16.0", mine="1.0")
    (top / "tox.ini").write_text(ini.format(side.python, "idna==3.7", "idna"))
    run()
    side.installed(work / "a", "idna", "mine", six=None, idna="3.7")
    (work / "b/note.txt").write_text("mine\n")
    run("-r", "-e", "b")
    side.gone(work / "b/note.txt")


@case("nox", "run, again, -R (reuse), recreate; backends virtualenv, venv, uv; envdir in the root")
def nox(side):
    text = "".join(
        f"@nox.session(python={side.python!r}, venv_backend={b!r})\n"
        f"def {b}(session):\n    session.install('six==1.16.0', '.')\n"
        "    session.run('python', '-c', 'import six, mine')\n"
        for b in ("virtualenv", "venv", "uv")
    )
    files = {"pyproject.toml": PROJECT, "mine.py": MINE, "noxfile.py": f"import nox\n\n{text}"}
    top = side.project("tree", files)
    work = side.case / "nox"
    env = {"PATH": f"{TOOLS}:{side.environ['PATH']}"}

    def run(*args):
        side.run("nox", "--envdir", work, *args, cwd=top, env=env)

    run()
    for b in ("virtualenv", "venv", "uv"):
        side.installed(work / b, "six", "mine", six="1.16.0", mine="1.0")
        (work / b / "note.txt").write_text("mine\n")
    run("-r")
    side.expect((work / "venv/note.txt").exists(), "-r has made it anew")
    run()
    for b in ("virtualenv", "venv", "uv"):
        side.gone(work / b / "note.txt")
        side.installed(work / b, "six", "mine", six="1.16.0", mine="1.0")


@case("pipx", "install, inject, runpip, upgrade, reinstall, uninject, uninstall; PIPX_HOME in the root")
def pipx(side):
    home = side.case / "pipx"
    env = {"PIPX_HOME": home, "PIPX_BIN_DIR": side.case / "bin", "PIPX_MAN_DIR": side.case / "man",
           "PIPX_DEFAULT_PYTHON": side.python, "USE_EMOJI": "0"}  # fmt: skip

    def run(*args, **kw):
        return side.run("pipx", *args, env=env, **kw)

    run("install", "pycowsay==0.0.0.1")
    x = home / "venvs/pycowsay"
    side.installed(x, "pycowsay", pycowsay="0.0.0.1")
    side.expect("hello" in side.run(side.case / "bin/pycowsay", "hello"), "pycowsay")
    run("inject", "pycowsay", "six==1.16.0")
    side.installed(x, "six", six="1.16.0")
    run("runpip", "pycowsay", "install", "idna==3.7")
    run("upgrade", "pycowsay")
    run("uninject", "pycowsay", "six")
    side.installed(x, "pycowsay", "idna", six=None, idna="3.7")
    run("reinstall", "pycowsay")
    side.expect("hello" in side.run(side.case / "bin/pycowsay", "hello"), "pycowsay, installed again")
    run("install", "--force", "pycowsay==0.0.0.2")
    side.installed(x, "pycowsay", pycowsay="0.0.0.2")
    run("uninstall", "pycowsay")
    side.gone(x, side.case / "bin/pycowsay")
    run("run", "pycowsay==0.0.0.2", "hello")
