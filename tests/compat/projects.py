# SPDX-License-Identifier: MIT
"""Managers of projects, with their environments in the root."""

from case import case
from side import pip_index

NAMES = '[project]\nname = "mine"\nversion = "1.0"\nrequires-python = ">=3.9"\n'
PDM = NAMES + 'dependencies = ["idna==3.7"]\n[tool.pdm]\ndistribution = false\n'
HATCHLING = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
WHERE = "import idna, sys; print(sys.prefix)"


def the_env(side, printed):
    """The environment that a project runs in, which must be in the root."""
    path = printed.strip().splitlines()[-1]
    side.expect(path.startswith(f"{side.case}/"), f"it runs in {path}, outside of the root")
    return side.case / path[len(str(side.case)) + 1 :]


@case("poetry", "install, run, add, remove, env remove; virtualenvs.path in the root")
def poetry(side):
    text = NAMES + 'dependencies = ["idna==3.7"]\n[tool.poetry]\npackage-mode = false\n'
    text += f'[[tool.poetry.source]]\nname = "user"\nurl = "{pip_index()}"\npriority = "primary"\n'
    top = side.project("tree", {"pyproject.toml": text})
    env = {"POETRY_VIRTUALENVS_PATH": side.case, "POETRY_NO_INTERACTION": "1"}

    def run(*args, **kw):
        return side.run("poetry", *args, cwd=top, env=env, **kw)

    run("env", "use", side.python)
    run("install")
    x = the_env(side, run("run", "python", "-c", WHERE))
    side.installed(x, "idna", idna="3.7")
    run("add", "six==1.16.0")
    side.installed(x, "idna", "six", idna="3.7", six="1.16.0")
    run("remove", "idna")
    side.installed(x, "six", idna=None)
    run("env", "remove", "--all")
    side.gone(x)
    run("install")
    side.installed(the_env(side, run("run", "python", "-c", WHERE.replace("idna", "six"))), "six", six="1.16.0")


@case("pdm", "venv create, install, add, remove, sync --clean, venv remove; venv.location in the root")
def pdm(side):
    top = side.project("tree", {"pyproject.toml": PDM})
    env = {"PDM_VENV_IN_PROJECT": "0", "PDM_CHECK_UPDATE": "0", "PDM_NON_INTERACTIVE": "1"}

    def run(*args, **kw):
        return side.run("pdm", *args, cwd=top, env=env, **kw)

    run("config", "venv.location", side.case)
    run("venv", "create", "--name", "x", side.python)
    run("use", "--venv", "x")
    run("install")
    x = the_env(side, run("run", "python", "-c", WHERE))
    side.installed(x, "idna", idna="3.7")
    run("add", "six==1.16.0")
    side.installed(x, "idna", "six", six="1.16.0")
    run("remove", "idna")
    run("sync", "--clean")
    side.installed(x, "six", idna=None)
    run("venv", "remove", "-y", "x")
    side.gone(x)


@case("pdm", "install with install.cache, by each cache_method (symlink, hardlink, pth); its cache in the root")
def pdm_cache(side):
    for method in ("symlink", "hardlink", "pth"):
        top = side.project(method, {"pyproject.toml": PDM})
        env = {"PDM_CHECK_UPDATE": "0", "PDM_NON_INTERACTIVE": "1", "PDM_CACHE_DIR": side.case / "cache"}  # hard links
        x = side.env(method)
        side.run("pdm", "config", "--local", "install.cache", "true", cwd=top, env=env)
        side.run("pdm", "config", "--local", "install.cache_method", method, cwd=top, env=env)
        side.run("pdm", "use", x / "bin/python", cwd=top, env=env)
        side.run("pdm", "install", cwd=top, env=env)
        side.installed(x, "idna", idna="3.7")
        side.run("pdm", "remove", "idna", cwd=top, env=env)
        side.installed(x, idna=None)


@case("hatch", "env create, run, a changed dependency, env remove, env prune; its data in the root")
def hatch(side):
    text = HATCHLING + NAMES + 'dependencies = ["idna==3.7"]\n[tool.hatch.envs.default]\npython = "%s"\n' % side.python
    text += '[tool.hatch.build.targets.wheel]\npackages = ["mine"]\n'
    top = side.project("tree", {"pyproject.toml": text, "mine/__init__.py": ""})
    env = {"HATCH_DATA_DIR": side.case / "hatch", "HATCH_INTERACTIVE": "0"}

    def run(*args, **kw):
        return side.run("hatch", *args, cwd=top, env=env, **kw)

    run("env", "create")
    x = the_env(side, run("run", "python", "-c", WHERE + "; import mine"))
    side.installed(x, "idna", "mine", idna="3.7", mine="1.0")
    (top / "pyproject.toml").write_text(text.replace('"idna==3.7"', '"idna==3.7", "six==1.16.0"'))
    run("run", "python", "-c", "import six, idna")
    side.installed(x, "six", six="1.16.0")
    run("env", "remove", "default")
    side.gone(x)
    run("env", "create")
    run("env", "prune")
    side.gone(x)


@case("pipenv", "install, run, update, uninstall, clean, sync, --rm; WORKON_HOME in the root")
def pipenv(side):
    top = side.project("tree", {"README": ""})
    env = {"WORKON_HOME": side.case, "PIPENV_NOSPIN": "1", "PIPENV_YES": "1", "PIPENV_IGNORE_VIRTUALENVS": "1"}

    def run(*args, **kw):
        return side.run("pipenv", *args, cwd=top, env=env, **kw)

    run("--python", side.python, "install", "idna==3.7", "six==1.16.0")
    x = the_env(side, run("run", "python", "-c", WHERE))
    side.installed(x, "idna", "six", idna="3.7", six="1.16.0")
    run("uninstall", "six")
    run("clean")
    side.installed(x, "idna", six=None)
    run("--rm")
    side.gone(x)
    run("--python", side.python, "sync")
    side.installed(the_env(side, run("run", "python", "-c", WHERE)), "idna", idna="3.7")
    run("--rm")
    side.gone(x)
