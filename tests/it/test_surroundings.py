# SPDX-License-Identifier: MIT
"""What goes with the program follows what --help says: manual page, README, completions. And the
completions answer in their shells, the user unit is one."""

import os
import re
import shutil
import subprocess

import pytest

from conftest import BINARY, SOURCES

MANUAL = SOURCES / "docs" / "man" / "venvfs.1"
COMPLETIONS = SOURCES / "contrib" / "completions"
OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][A-Za-z-]*")


def help_of(*command):
    return subprocess.run([BINARY, *command, "--help"], check=True, capture_output=True, text=True).stdout


def commands():
    listed = help_of().split("commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines()]


def options(text, command=""):
    """Those of the usage line, of lines that tell of a subcommand, and those that are described."""
    found = set()
    for line in text.splitlines():
        if line.startswith(("usage: ", f"{command} ") if command else "usage: "):
            found |= set(OPTION.findall(line))
        elif re.match(r" +-", line):
            found |= set(OPTION.findall(re.split(r"  ", line.strip())[0]))
    return found


def manual():
    """{command: its options} of the manual page; "" has those of every command."""
    sections = {"": set()}
    current = ""
    for line in MANUAL.read_text().splitlines():
        if line.startswith((".Ss", ".Sh")):
            words = line.split()
            current = words[2] if line.startswith(".Ss venvfs ") else ""
            sections.setdefault(current, set())
        elif line.startswith(".It Fl"):
            sections[current] |= {f"-{flag}" for flag in re.findall(r"\bFl (-?[A-Za-z][A-Za-z-]*)", line)}
    return sections


def test_help_is_read_as_meant():
    assert {"mount", "create", "store", "rm"} <= set(commands())
    assert options(help_of("mount")) == {"-f", "--foreground", "-r", "--read-only", "--harvest", "--allow-other"}
    assert {"--json", "--compile", "--jobs"} <= options(help_of("store"), "store")


def test_each_command_has_an_example():
    for command in commands():
        text = help_of(command)
        behind_usage = text.split("\n", 1)[1]
        assert f"venvfs {command}" in behind_usage, f"venvfs {command} --help has no example"


def test_manual_has_each_command_and_option():
    known = manual()
    assert options(help_of()) <= known[""]
    for command in commands():
        assert command in known, f"venvfs.1 does not have venvfs {command}"
        missing = options(help_of(command), command) - known[command]
        assert not missing, f"venvfs.1 does not have {' '.join(sorted(missing))} of venvfs {command}"


def test_readme_has_each_command():
    text = (SOURCES / "README.md").read_text()
    missing = [c for c in commands() if not re.search(rf"\bvenvfs {c}\b", text)]
    assert not missing, f"README.md does not have venvfs {', '.join(missing)}"


def test_manual_has_each_key_of_the_configuration():
    text = (SOURCES / "docs" / "man" / "venvfs.conf.5").read_text()
    keys = re.findall(r'^\t\{"(store|mount)", "(\w+)", set_', (SOURCES / "src/store/config.c").read_text(), re.M)
    assert len(keys) >= 5
    for section, key in keys:
        assert f".It Cm {key} " in text.split(f".Ss [{section}]")[1].split(".Ss")[0], key


# completions


class Shell:
    """complete("venvfs show w") gives the candidates of a shell."""

    def __init__(self, name, venvfs, tmp_path):
        self.name = name
        self.tmp = tmp_path
        self.env = {**venvfs.env, "PATH": f"{venvfs.binary.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def run(self, script, *args):
        r = subprocess.run([*script, *args], env=self.env, text=True, capture_output=True, timeout=60,
                           stdin=subprocess.DEVNULL, cwd=self.tmp)
        assert r.returncode == 0 and not r.stderr, r.stderr + r.stdout
        return r.stdout.splitlines()

    def complete(self, line):
        return set(getattr(self, self.name)(line))

    def bash(self, line):
        script = f'''. {COMPLETIONS}/venvfs
            read -ra COMP_WORDS <<<"$1"; [[ $1 == *" " ]] && COMP_WORDS+=("")
            COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _venvfs; printf '%s\\n' "${{COMPREPLY[@]}}"'''
        return [w.replace("\\ ", " ") for w in self.run(["bash", "-c", script, "bash"], line) if w]

    def fish(self, line):
        script = f"source {COMPLETIONS}/venvfs.fish; complete -C $argv[1]"
        return [w.split("\t")[0] for w in self.run(["fish", "--no-config", "-c", script], line)]

    def zsh(self, line):
        """compadd as the completion calls it, for its words alone: the rest is the shell's own."""
        script = f'''
            compadd() {{ local prefix=$words[CURRENT] w; [[ $1 == -a ]] || {{ for w; do print -r -- $w; done; return }}
                for w in "${{(@P)2}}"; do [[ $w == $prefix* ]] && print -r -- $w; done; return 0 }}
            _describe() {{ local w; for w in "${{(@P)2}}"; do [[ $w == $words[CURRENT]* ]] && print -r -- ${{w%%:*}}; done }}
            _files() {{ print FILES }}
            _command_names() {{ print COMMANDS }}
            words=(${{(z)1}}); [[ $1 == *" " ]] && words+=(""); CURRENT=$#words
            . {COMPLETIONS}/_venvfs
            return 0'''
        return self.run(["zsh", "-f", "-c", script, "zsh"], line)


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, venvfs, root, tmp_path):
    if not shutil.which(request.param):
        pytest.skip(f"no {request.param}")
    venvfs.env["VENVFS_ROOT"] = str(root)
    return Shell(request.param, venvfs, tmp_path)


def test_completions_of_commands_and_options(shell):
    assert shell.complete("venvfs ") == set(commands())
    assert shell.complete("venvfs cr") == {"create"}
    assert options(help_of()) <= shell.complete("venvfs --") | {"-h"}
    for command in commands():
        wanted = {o for o in options(help_of(command)) if o.startswith("--")}
        assert wanted <= shell.complete(f"venvfs {command} --"), command


def test_completions_of_subcommands(shell):
    assert shell.complete("venvfs store ") == {"add", "ls", "verify", "compile"}
    found = shell.complete("venvfs store add --")
    assert {"--json", "--compile"} <= found and "--jobs" not in found


def test_completions_of_environments_and_distributions(shell, venvfs, root, debian_python, small_wheels, tmp_path):
    venvfs("store", "add", "--no-compile", small_wheels("demo"), small_wheels("other"))
    (tmp_path / "pins.txt").write_text("demo==1.0\n")
    venvfs("create", "web", "web two", "x", "--without-pip", "--python", debian_python)
    venvfs("sync", "--no-compile", "web", tmp_path / "pins.txt")
    assert shell.complete("venvfs show ") == {"web", "web two", "x"}
    assert shell.complete("venvfs clone w") == {"web", "web two"}
    assert shell.complete("venvfs rm x w") == {"web", "web two"}
    assert shell.complete("venvfs store ls ") == {"demo", "other"}
    assert shell.complete("venvfs store ls d") == {"demo"}
    assert shell.complete("venvfs sync web --ask ") == {"pip", "uv"}
    if "remove" in commands():
        assert shell.complete("venvfs remove web ") == {"demo"}


def test_completions_follow_the_common_options(shell, venvfs, tmp_path, debian_python):
    other = tmp_path / "other"
    other.mkdir()
    venvfs("create", "there", "--without-pip", "--python", debian_python, "--root", other, env={"VENVFS_ROOT": ""})
    assert shell.complete(f"venvfs --root {other} show ") == {"there"}


# systemd


def test_user_unit(venvfs, tmp_path):
    text = (SOURCES / "contrib" / "systemd" / "venvfs.service.in").read_text()
    unit = tmp_path / "venvfs.service"
    unit.write_text(text.replace("@bindir@", str(venvfs.binary.parent)))
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    r = subprocess.run(["systemd-analyze", "verify", "--user", "--man=no", unit], capture_output=True, text=True,
                       env={**venvfs.env, "XDG_RUNTIME_DIR": str(tmp_path)})
    assert r.returncode == 0 and "venvfs.service" not in r.stderr, r.stderr


def test_commands_of_the_user_unit(venvfs, tmp_path, fuse):
    """Type=forking: when ExecStart ends the root is mounted, and what goes on is one process."""
    text = (SOURCES / "contrib" / "systemd" / "venvfs.service.in").read_text()
    start, stop = (re.search(rf"^{key}=@bindir@/venvfs (.*)$", text, re.M)[1].split() for key in
                   ("ExecStart", "ExecStop"))
    env = {"HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    venvfs(*start, env=env)
    try:
        assert os.path.ismount(tmp_path / "home" / "envs")
    finally:
        venvfs(*stop, env=env)
    assert not os.path.ismount(tmp_path / "home" / "envs")
