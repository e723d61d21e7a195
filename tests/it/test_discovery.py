# SPDX-License-Identifier: MIT
"""How tools find environments: the rules of editors written out here (python-environment-tools of VS
Code, PyCharm, pyright, Poetry, Pipenv), and uv, virtualenv and direnv themselves, on a mounted root
that is ~/envs."""

import errno
import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys

import pytest

from prepared import prepared, site, venvfs  # noqa: F401

WHEELS = {"demo": {"files": {"demo.py": "x = 1\n"}, "entry_points": "[console_scripts]\ndemo = demo:x\n"}}
FICLONE = 0x40049409


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / "envs").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for variable in ("WORKON_HOME", "XDG_DATA_HOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture
def envs(mounts, home):
    return mounts(home / "envs").path


@pytest.fixture
def web(envs, prepared):  # noqa: F811
    return prepared.env(envs / "web")


@pytest.fixture
def project(web, tmp_path):
    """A project whose .venv is a link, as `venvfs create .venv` makes it."""
    project = tmp_path / "project"
    project.mkdir()
    (project / ".venv").symlink_to(web)
    return project


def shell_env(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("UV_", "PIP_", "PYTHON", "VIRTUAL_ENV", "XDG_"))}
    return {**env, **{k: str(v) for k, v in more.items()}}


def said(*argv, env=None, cwd=None):
    return subprocess.run([*map(str, argv)], env=env or shell_env(), cwd=cwd, check=True, text=True,
                          capture_output=True).stdout.strip()


# VS Code: python-environment-tools


def places(workspace):
    """The directories whose children are environments, in its order."""
    home = os.environ["HOME"]
    found = [os.environ.get("WORKON_HOME"), os.environ.get("XDG_DATA_HOME", "") + "/virtualenvs"]
    found += [f"{home}/{name}" for name in ("envs", ".direnv", ".venvs", ".virtualenvs",
                                            ".local/share/virtualenvs", "Envs")]
    return [p for p in found if p and os.path.isdir(p)] + [workspace]


def candidates(workspace):
    """One level of names, links followed; the variable's own."""
    found = [os.environ["VIRTUAL_ENV"]] if "VIRTUAL_ENV" in os.environ else []
    for place in places(workspace):
        found += [entry.path for entry in os.scandir(place) if entry.is_dir()]
    return found


def kind(env):
    """What it takes the directory for, or None; "broken" is shown with a warning."""
    if os.path.isdir(f"{env}/conda-meta"):
        return "conda"
    python = [e for e in os.scandir(f"{env}/bin") if re.fullmatch(r"python[0-9.]*", e.name) and e.is_file()] \
        if os.path.isdir(f"{env}/bin") else []
    if os.path.isfile(f"{env}/pyvenv.cfg"):
        with open(f"{env}/pyvenv.cfg") as f:
            lines = f.read().splitlines()
        if not python:
            return "broken"
        if any(line.startswith("uv = ") for line in lines) and any(x.startswith("version_info = ") for x in lines):
            return "uv"
        return "venv"
    if python and any(name.startswith("activate") for name in os.listdir(f"{env}/bin")):
        return "virtualenv"
    return None


def version_of(env):
    """From pyvenv.cfg, as a whole line alone."""
    with open(f"{env}/pyvenv.cfg") as f:
        found = re.search(r"^version\s*=\s*(\d+\.\d+\.\d+)$", f.read(), re.M)
    return found and found[1]


def test_t1_vscode_finds_them_in_envs(envs, web, prepared, tmp_path):  # noqa: F811
    (envs / "linked").symlink_to(web)
    (envs / "plain").mkdir()
    found = {c for c in candidates(str(tmp_path)) if kind(c)}
    assert found == {f"{envs}/web", f"{envs}/linked"}


@pytest.mark.parametrize("variable", ["WORKON_HOME", "VIRTUAL_ENV"])
def test_t1_vscode_finds_another_root_by_variable(mounts, home, prepared, tmp_path, monkeypatch, variable):  # noqa: F811
    (tmp_path / "elsewhere").mkdir()
    root = mounts(tmp_path / "elsewhere").path
    env = prepared.env(root / "web")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    assert f"{env}" not in candidates(str(workspace))
    monkeypatch.setenv(variable, str(root if variable == "WORKON_HOME" else env))
    assert f"{env}" in candidates(str(workspace))


def test_t1_vscode_finds_the_link_of_a_project(home, project):
    assert f"{project}/.venv" in [c for c in candidates(str(project)) if kind(c) == "venv"]


def test_t2_vscode_knows_what_it_is(web, debian_python):
    assert kind(web) == "venv"
    assert version_of(web) == said(debian_python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])")
    # the version of the interpreter itself is only looked for where its directory is called bin
    assert os.path.basename(os.path.dirname(os.path.realpath(web / "bin/python"))) == "bin"


def test_t2_vscode_never_sees_a_broken_one(web):
    """While pyvenv.cfg shows, so does the interpreter; deleted, all is gone."""
    assert kind(web) == "venv"
    (web / "pyvenv.cfg").unlink()
    assert kind(web) is None


def test_t2_vscode_names_what_uv_made(envs, tools):
    said(tools / "uv", "venv", "--python", "/usr/bin/python3", envs / "u", env=shell_env(UV_CACHE_DIR=envs.parent / "uv"))
    assert kind(envs / "u") == "uv"


# PyCharm, pyright, Poetry, Pipenv


def pycharm(directory):
    """Its interpreters: the shortest name in each environment's bin."""
    found = {}
    for env in sorted(os.listdir(directory)):
        bin_ = os.path.join(directory, env, "bin")
        names = [n for n in os.listdir(bin_) if re.match(r"^(pypy|pythonw?)(\d+(\.\d+)*)?t?$", n)
                 and os.path.isfile(os.path.join(bin_, n))] if os.path.isdir(bin_) else []
        if names:
            found[env] = min(names, key=len)
    return found


def test_t3_pycharm(envs, web, monkeypatch):
    monkeypatch.setenv("WORKON_HOME", str(envs))
    (envs / "plain").mkdir()
    assert pycharm(os.environ["WORKON_HOME"]) == {"web": "python"}


def pyright(env):
    """Its search paths: those of lib, lib64 and Lib, and what .pth files add."""
    found = []
    for lib in ("lib", "lib64", "Lib"):
        directory = os.path.join(env, lib)
        if not os.path.isdir(directory):
            continue
        if os.path.isdir(os.path.join(directory, "site-packages")):
            found.append(os.path.join(directory, "site-packages"))
            continue
        for name in os.listdir(directory):
            if name.startswith("python3.") and os.path.isdir(os.path.join(directory, name, "site-packages")):
                found.append(os.path.join(directory, name, "site-packages"))
                break
    for path in list(found):
        for name in sorted(os.listdir(path)):
            if name.endswith(".pth") and os.path.getsize(os.path.join(path, name)) < 64 * 1024:
                with open(os.path.join(path, name)) as f:
                    lines = [line.strip() for line in f if line.strip() and not line.startswith(("import", "#"))]
                found += [p for p in (os.path.join(path, line) for line in lines) if os.path.isdir(p)]
    return found


def test_t4_pyright(web, tmp_path):
    (tmp_path / "source").mkdir()
    (site(web) / "there.pth").write_text(f"import os\n{tmp_path}/source\n")
    found = pyright(web)
    assert [os.path.realpath(p) for p in found[:2]] == [str(site(web))] * 2
    assert found[2:] == [f"{tmp_path}/source"] * 2
    assert os.path.isfile(os.path.join(found[0], "demo.py"))


def test_t6_poetry_and_pipenv(web, project):
    assert (project / ".venv").is_dir()
    assert (project / ".venv" / "bin" / "activate").is_file()
    # Pipenv: a file with a path, or with a name in WORKON_HOME
    (project / ".venv").unlink()
    (project / ".venv").write_text(f"{os.path.relpath(web, project)}\n")
    named = project / (project / ".venv").read_text().strip()
    assert (named / "bin" / "activate").is_file() and (named / "bin" / "python").exists()


def test_t6_the_launcher_of_unix(web):
    """py runs $VIRTUAL_ENV/bin/python."""
    assert said("sh", "-c", 'exec "$VIRTUAL_ENV/bin/python" -c "import demo, sys; print(sys.prefix)"',
                env=shell_env(VIRTUAL_ENV=web)) == str(web)


def test_t6_direnv(web, project, tmp_path):
    if not shutil.which("direnv"):
        pytest.skip("no direnv")
    env = shell_env(XDG_DATA_HOME=tmp_path / "direnv-data", XDG_CONFIG_HOME=tmp_path / "direnv-config")
    where = "command -v python; python -c 'import demo, sys; print(sys.prefix)'; echo $VIRTUAL_ENV"
    for text in (f"export VIRTUAL_ENV={web}\nlayout python3\n", "source .venv/bin/activate\nunset PS1\n"):
        (project / ".envrc").write_text(text)
        said("direnv", "allow", project, env=env)
        out = said("direnv", "exec", project, "sh", "-c", where, env=env, cwd=project).splitlines()
        assert out == [f"{web}/bin/python", str(web), str(web)]


# uv, virtualenv, links


@pytest.mark.parametrize("how", ["variable", "link", "parent", "inside"])
def test_t5_uv_finds_it(web, project, tools, tmp_path, how):
    (project / "sub").mkdir()
    env = shell_env(UV_CACHE_DIR=tmp_path / "uv", **({"VIRTUAL_ENV": web} if how == "variable" else {}))
    cwd = {"variable": tmp_path, "link": project, "parent": project / "sub", "inside": web}[how]
    assert "demo" in said(tools / "uv", "pip", "list", "--offline", env=env, cwd=cwd)
    found = os.path.realpath(os.path.dirname(said(tools / "uv", "python", "find", "--offline", env=env, cwd=cwd)))
    assert found == str(web / "bin")


def test_t8_pre_commit_compares_the_whole_version(envs, tools):
    """It makes its environments by virtualenv, and looks at what that wrote."""
    said(tools / "virtualenv", "-q", "--no-seed", "-p", "/usr/bin/python3", envs / "hook")
    text = (envs / "hook" / "pyvenv.cfg").read_text()
    full = said(envs / "hook/bin/python", "-c", "import sys; print('.'.join(str(p) for p in sys.version_info))")
    assert f"version_info = {full}\n" in text


def test_t9_a_link_in_a_project(web, project):
    link = project / ".venv"
    assert said(link / "bin/python", "-c", "import demo, sys; print(sys.prefix)") == str(link)
    assert said("sh", "-c", f". {link}/bin/activate && command -v python && echo $VIRTUAL_ENV").split() == \
        [f"{web}/bin/python", str(web)]
    assert (link / "bin" / "demo").read_text().splitlines()[0] == f"#!{web}/bin/python"


# what they ask of the file system


def test_g33_it_is_the_mounting_users(web):
    assert web.stat().st_uid == os.geteuid() and web.owner()
    assert os.access(site(web), os.W_OK)


def test_g34_an_entry_is_a_directory(envs, web):
    (found,) = [e for e in os.scandir(envs) if e.name == "web"]
    assert found.is_dir(follow_symlinks=False) and not found.is_symlink()


def test_g36_links_and_clones_from_elsewhere(web, tmp_path):
    """What uv tries before it copies is refused at once."""
    source = tmp_path / "source"
    source.write_text("x")
    with pytest.raises(OSError) as e:
        os.link(source, site(web) / "linked")
    assert e.value.errno == errno.EXDEV
    with open(source) as f, open(site(web) / "cloned", "w") as to, pytest.raises(OSError) as e:
        fcntl.ioctl(to, FICLONE, f.fileno())
    assert e.value.errno in (errno.EXDEV, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM)


def test_g36_a_lock_keeps_the_second_process_out(web):
    program = "import fcntl, sys\nwith open(sys.argv[1]) as f:\n    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"

    def second():
        return subprocess.run([sys.executable, "-c", program, web / ".lock"], capture_output=True, text=True)

    with open(web / ".lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert "BlockingIOError" in second().stderr
    assert second().returncode == 0
    assert stat.S_ISREG((web / ".lock").stat().st_mode)


# Jupyter

ASK = """
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name=sys.argv[1], startup_timeout=120)
try:
    said = []
    client.execute_interactive("import sys; print(1 + 1, sys.prefix)", timeout=120,
                               output_hook=lambda m: said.append(m["content"].get("text", "")))
    print("".join(said).strip())
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


def test_t7_a_kernel_from_an_environment(sci, mounts, home, sci_pins, debian_python, tmp_path):
    """`python -m ipykernel install` in one environment, and a client in another that starts it."""
    mounts(home / "envs", venvfs=sci)
    data, lab = home / "envs" / "data", home / "envs" / "lab"
    sci("create", data, "--python", debian_python)
    sci("sync", data, sci_pins, "--no-compile")
    sci("clone", data, lab)
    env = shell_env(HOME=home, JUPYTER_RUNTIME_DIR=tmp_path / "runtime", IPYTHONDIR=tmp_path / "ipython")
    said(data / "bin/python", "-m", "ipykernel", "install", "--prefix", data, "--name", "data", env=env)
    assert (data / "share/jupyter/kernels/data/kernel.json").is_file()
    listed = said(data / "bin/jupyter", "kernelspec", "list", env=env)
    assert re.search(rf"^ *data +{data}/share/jupyter/kernels/data$", listed, re.M)
    out = said(lab / "bin/python", "-c", ASK, "data", env={**env, "JUPYTER_PATH": str(data / "share/jupyter")})
    assert out == f"2 {data}"


def test_t7_its_own_kernels_win(sci, mounts, home, sci_pins, debian_python, tmp_path):
    """Jupyter looks into the environment before the user's directories, if the environment is the user's."""
    mounts(home / "envs", venvfs=sci)
    lab = home / "envs" / "lab"
    sci("create", lab, "--python", debian_python)
    sci("sync", lab, sci_pins, "--no-compile")
    out = said(lab / "bin/python", "-c", "from jupyter_core.paths import jupyter_path; print(*jupyter_path()[:2])",
               env=shell_env(HOME=home))
    assert out == f"{lab}/share/jupyter {home}/.local/share/jupyter"
