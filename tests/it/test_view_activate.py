# SPDX-License-Identifier: MIT
"""Activate scripts: the base Python's own text, and they work in every shell, whatever the name."""

import os
import re
import shutil
import subprocess

import pytest
from twins import python_version, real_environment

NAMES = (
    ["x", "a b", "it's", 'a"b', "a$b", "a$HOME", "a;b", "a`id`b", "ümläut"]
    + ["a!b", "a\\b", "a*b?[c]", "~a", "#a"]
)

# What each shell is told to do: print what was before, in between and after.
SH = """
PS1='$ '; before=$PATH
. "$ACTIVATE"
printf '%s\\n' "$VIRTUAL_ENV" "$(python -c "$WHO")" "$PS1" "${VIRTUAL_ENV_PROMPT-unset}" "${PYTHONHOME-unset}"
deactivate
test "$PATH" = "$before" && printf '%s\\n' same
printf '%s\\n' "${VIRTUAL_ENV-unset}" "$PS1" "${VIRTUAL_ENV_PROMPT-unset}" "${PYTHONHOME-unset}"
"""
FISH = """
set before "$PATH"
function fish_prompt; printf '$ '; end
source "$ACTIVATE"
set -q VIRTUAL_ENV_PROMPT; and set p "$VIRTUAL_ENV_PROMPT"; or set p unset
set -q PYTHONHOME; and set h $PYTHONHOME; or set h unset
printf '%s\\n' "$VIRTUAL_ENV" (python -c "$WHO") (fish_prompt | string join '') "$p" "$h"
deactivate
test "$PATH" = "$before"; and printf '%s\\n' same
set -q VIRTUAL_ENV; and set v $VIRTUAL_ENV; or set v unset
set -q VIRTUAL_ENV_PROMPT; and set p "$VIRTUAL_ENV_PROMPT"; or set p unset
set -q PYTHONHOME; and set h $PYTHONHOME; or set h unset
printf '%s\\n' "$v" (fish_prompt | string join '') "$p" "$h"
"""
CSH = """
set prompt = '$ '
set before = "$PATH"
source $ACTIVATE:q
printf '%s\\n' $VIRTUAL_ENV:q
python -c $WHO:q
printf '%s\\n' $prompt:q
if ($?VIRTUAL_ENV_PROMPT) then
    printf '%s\\n' $VIRTUAL_ENV_PROMPT:q
else
    echo unset
endif
echo unasked
deactivate
if ("$PATH" == "$before") echo same
if ($?VIRTUAL_ENV) then
    echo set
else
    echo unset
endif
printf '%s\\n' $prompt:q
if ($?VIRTUAL_ENV_PROMPT) then
    echo set
else
    echo unset
endif
echo unasked
"""
WHO = "import sys; print(sys.executable)"
COLOUR = re.compile(r"\x1b(\[[0-9;]*m|\(B)")
SHELLS = {
    "bash": (["bash", "--norc"], "activate", SH),
    "sh": (["sh"], "activate", SH),
    "dash": (["dash"], "activate", SH),
    "ksh": (["ksh"], "activate", SH),
    "zsh": (["zsh", "-f"], "activate", SH),
    "fish": (["fish", "--no-config"], "activate.fish", FISH),
    "tcsh": (["tcsh", "-f"], "activate.csh", CSH),
}


def activate(shell, env, environ, **more):
    argv, name, text = SHELLS[shell]
    if not shutil.which(argv[0]):
        pytest.skip(f"{argv[0]} is not installed")
    home = env.parents[1] / "home"
    home.mkdir(exist_ok=True)
    environ = {k: v for k, v in environ.items() if not k.startswith("VIRTUAL_ENV")}
    if shell != "tcsh":  # its script leaves that alone
        environ["PYTHONHOME"] = "/h"
    r = subprocess.run(
        argv,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environ, "ACTIVATE": str(env / "bin" / name), "WHO": WHO, "HOME": str(home), **more},
    )
    assert r.returncode == 0, r.stdout
    return COLOUR.sub("", r.stdout).splitlines()


def python_of(pythons, version, debian_python):
    if version == "debian":
        return debian_python
    if version not in pythons:
        pytest.skip(f"no CPython {version}")
    return pythons[version]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("version", ["3.8", "3.11", "3.13", "debian"])
def test_g7_in_every_shell(venvfs, mount, root, pythons, debian_python, shell, version):
    """Names with anything in them: 3.8 to 3.13 before their fix paste them raw, and fail."""
    python = python_of(pythons, version, debian_python)
    for name in NAMES:
        if shell == "tcsh" and "!" in name and version != "debian":
            continue  # within double quotes it can not be told from history, quoted or not
        env = root / name
        venvfs("create", env, "--without-pip", "--python", python)
        lines = activate(shell, env, venvfs.env)
        prompt = f"({name}) "
        # 3.8 exports none
        exported = {"3.8": "unset", "3.13": name}.get(version, prompt)
        where, found, shown, told, home = lines[:5]
        assert where == str(env)
        assert found == f"{env}/bin/python"
        assert told == exported
        prompts = [f"{prompt}$ ", f"{prompt} $ "]
        assert shown in (prompts if (shell, version) != ("tcsh", "3.8") else [f"[{name}] $ "]), name
        assert home in ("unset", "unasked")
        assert lines[5:] == ["same", "unset", "$ ", "unset", "unasked" if shell == "tcsh" else "/h"], name


@pytest.mark.parametrize("shell", SHELLS)
def test_g7_prompt(venvfs, mount, root, python, shell):
    for prompt in ("plain", "two words", 'quo"te', "it's", "$HOME"):
        env = root / "x"
        venvfs("create", env, "--without-pip", "--python", python, "--prompt", prompt)
        lines = activate(shell, env, venvfs.env)
        shown = [f"({prompt}) $ ", f"({prompt})  $ "]
        if shell == "tcsh" and python_version(python) == "3.8":
            shown = ["[x] $ "]  # knows only the directory's name
        assert lines[2] in shown, prompt
        venvfs("rm", env)


@pytest.mark.parametrize("shell", ["bash", "sh", "zsh", "fish"])
def test_g7_without_prompt(venvfs, mount, root, debian_python, shell):
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    lines = activate(shell, root / "x", venvfs.env, VIRTUAL_ENV_DISABLE_PROMPT="1")
    assert lines[0] == str(root / "x") and lines[2] == "$ "


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


def test_after_a_rename_and_a_new_prompt(venvfs, mount, root, debian_python):
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    assert activate("sh", root / "x", venvfs.env)[0] == str(root / "x")
    (root / "x").rename(root / "y")
    lines = activate("sh", root / "y", venvfs.env)
    assert lines[:3] == [str(root / "y"), f"{root}/y/bin/python", "(y) $ "]
    cfg = root / "y/pyvenv.cfg"
    cfg.write_text(cfg.read_text() + "prompt = 'other'\n")
    assert activate("sh", root / "y", venvfs.env)[2] == "(other) $ "


def test_through_a_symlink(venvfs, mount, root, tmp_path, debian_python):
    """The path in the text is the environment's own, as with an ordinary one."""
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    (tmp_path / ".venv").symlink_to(root / "x")
    text = (tmp_path / ".venv/bin/activate").read_text()
    assert str(root / "x") in text and ".venv" not in text.replace("pyvenv", "")


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
