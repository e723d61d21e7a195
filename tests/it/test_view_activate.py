# SPDX-License-Identifier: MIT
"""Activate scripts: the base Python's own text, and they work in every shell, whatever the name."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Mount, Venvfs, need_fuse
from shells import SHELLS, Session
from twins import python_version, real_environment

pytestmark = pytest.mark.tools

NAMES = (
    ["x", "a b", "it's", 'a"b', "a$b", "a$HOME", "a;b", "a`id`b", "ümläut"]
    + ["a!b", "a\\b", "a*b?[c]", "~a", "#a"]
)

VERSIONS = ["3.8", "3.11", "3.13", "debian"]


def python_of(pythons, version, debian_python):
    if version == "debian":
        return debian_python
    if version not in pythons:
        pytest.skip(f"no CPython {version}")
    return pythons[version]


class Ready:
    """ready(VERSION, NAME, PROMPT) is an environment in a mounted root of the module's: made once."""

    def __init__(self, tmp, logs):
        self.venvfs = Venvfs(tmp, logs)
        self.root = tmp / "envs"
        self.root.mkdir()
        self.mount = Mount(self.venvfs, self.root)
        self.made = {}

    def __call__(self, python, name, prompt=None):
        key = (str(python), name, prompt)
        if key not in self.made:
            env = self.root / f"{len(self.made)}" / name
            options = [] if prompt is None else ["--prompt", prompt]
            self.venvfs("create", env, "--without-pip", "--python", python, *options)
            self.made[key] = env
        return self.made[key]


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    need_fuse()
    made = Ready(tmp_path_factory.mktemp("ready"), None)
    yield made
    fault = made.mount.take_down()
    assert not fault, fault


def prompt_of(kind, version, prompt, name):
    """What is shown before the prompt, and what is exported."""
    if version == "3.8" and kind == "csh":  # knows only the directory's name
        return [f"[{name}] $ "], "unset"
    exported = "unset" if version in ("3.8", "3.9") else prompt if version == "3.13" else f"({prompt}) "
    return [f"({prompt}) $ ", f"({prompt})  $ "], exported


def there_and_back(session, env, prompt, exported):
    active, after = session.run("say", "activate A", "say", "deactivate", "say", scripts={"A": env / "bin"})[1:]
    assert after == session.outside, env.name
    assert active.pop("shown") in prompt, env.name
    assert active == {"env": str(env), "python": f"{env}/bin/python", "prompt": exported, "home": "unset",
                      "path": f"{env}/bin:{session.outside['path']}"}, env.name  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("version", VERSIONS)
def test_g7_in_every_shell(ready, pythons, debian_python, tmp_path, shell, version):
    """Names with anything in them: 3.8 to 3.13 before their fix paste them raw, and fail."""
    python = python_of(pythons, version, debian_python)
    session = Session(shell, tmp_path, ready.venvfs.env)
    for name in NAMES:
        env = ready(python, name)
        there_and_back(session, env, *prompt_of(session.kind, version, name, name))


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("version", VERSIONS)
def test_g7_prompt(ready, pythons, debian_python, tmp_path, shell, version):
    python, session = python_of(pythons, version, debian_python), Session(shell, tmp_path, ready.venvfs.env)
    for prompt in ("plain", "two words", 'quo"te', "it's", "$HOME", "back\\slash", "`id`"):
        env = ready(python, "x", prompt)
        there_and_back(session, env, *prompt_of(session.kind, version, prompt, "x"))


@pytest.mark.parametrize("name", ["a b", "it's", "a$b", "ümläut", "a!b"])
def test_text_where_the_base_quotes(venvfs, mounts, root, tmp_path, debian_python, name):
    """Debian's Python has the fixed templates: every value is quoted as venv itself quotes it."""
    real_environment(debian_python, root / name, "--without-pip", env=venvfs.env)
    wanted = {p.name: p.read_bytes() for p in (root / name / "bin").iterdir() if "ctivate" in p.name}
    shutil.rmtree(root / name)
    mounts(root)
    venvfs("create", root / name, "--without-pip", "--python", debian_python)
    found = {p.name: p.read_bytes() for p in (root / name / "bin").iterdir() if "ctivate" in p.name}
    assert found.keys() == wanted.keys()
    if "!" in name:  # an interactive csh looks into quotes for that: ours has a backslash there
        del wanted["activate.csh"]
    for script in wanted:
        assert found[script] == wanted[script], script


def scripts_of(env):
    """{name: (mode, bytes)}"""
    return {p.name: (p.stat().st_mode, p.read_bytes()) for p in (env / "bin").iterdir() if "ctivate" in p.name}


@pytest.mark.parametrize("prompt", [None, "two words"])
def test_a1_text_of_every_base(ready, python, prompt):
    """What is plain is pasted as venv pastes it: the same bytes, 0644, and no other script."""
    env = ready(python, "plain", prompt)
    real = env.parent.with_name(f"{env.parent.name}-real")  # both have their own path in their texts
    options = [] if prompt is None else ["--prompt", prompt]
    real_environment(python, real / "plain", "--without-pip", *options, env=ready.venvfs.env)
    wanted = {name: (mode, text.replace(os.fsencode(real), os.fsencode(env.parent)))
              for name, (mode, text) in scripts_of(real / "plain").items()}  # fmt: skip
    assert scripts_of(env) == wanted
    assert wanted.keys() == {"activate", "activate.csh", "activate.fish", "Activate.ps1"}


def test_a5_powershell(ready, python):
    """No test machine has PowerShell. Its script is served as the base has it, which is what venv does, and all
    that it takes from the environment are its own place and two lines of pyvenv.cfg."""
    for name, prompt in (("a b", None), ("it's", 'quo"te')):
        env = ready(python, name, prompt)
        version = python_version(python)
        [base] = Path(python).resolve().parents[1].glob(f"lib/python{version}/venv/scripts/common/Activate.ps1")
        assert (env / "bin/Activate.ps1").read_bytes() == base.read_bytes()
        lines = (env / "pyvenv.cfg").read_text().splitlines()
        told = [line.partition(" = ")[2] for line in lines if line.startswith("prompt = ")]
        assert [t[1:-1] for t in told] == ([] if prompt is None else [prompt])


def test_after_a_rename_and_a_new_prompt(venvfs, mount, root, tmp_path, debian_python):
    session = Session("dash", tmp_path, venvfs.env)

    def active(env):
        return session.run("activate A", "say", scripts={"A": env / "bin"})[0]

    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    assert active(root / "x")["env"] == str(root / "x")
    (root / "x").rename(root / "y")
    said = active(root / "y")
    assert (said["env"], said["python"], said["shown"]) == (str(root / "y"), f"{root}/y/bin/python", "(y) $ ")
    cfg = root / "y/pyvenv.cfg"
    cfg.write_text(cfg.read_text() + "prompt = 'other'\n")
    assert active(root / "y")["shown"] == "(other) $ "


def test_a_private_one_wins(venvfs, mount, root, debian_python):
    """An edit stays, and once deleted the name stays away."""
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    script = root / "x/bin/activate"
    with script.open("a") as f:
        f.write("export MINE=1\n")
    out = subprocess.check_output(["sh", "-c", f". '{script}'; echo $MINE $VIRTUAL_ENV"], text=True)
    assert out == f"1 {root}/x\n"
    script.unlink()
    assert not script.exists() and "activate" not in os.listdir(root / "x/bin")
    mount.remount()
    assert not script.exists() and (root / "x/bin/activate.fish").exists()
