# SPDX-License-Identifier: MIT
"""`venvfs run`: a command in an environment of its own, which is gone afterwards, whoever was killed."""

import os
import signal
import subprocess
import time

import pytest

from syncing import env, has, index, known, left_behind, library, pins, source_tree  # noqa: F401 (fixtures)

pytestmark = pytest.mark.usefixtures("known")
PREFIX = "import sys; print(sys.prefix)"


@pytest.fixture
def run(venvfs, mount, debian_python):
    def go(*arguments, **kw):
        return venvfs("run", "--python", debian_python, *arguments, **kw)

    return go


def runs(mount, behind=True):
    return os.listdir((mount.upper if behind else mount.path) / ".run")


def eventually(condition):
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_an_environment_of_its_own(run, mount, venvfs):
    venvfs.env["PYTHONHOME"] = "/nonexistent"
    out = run("--", "sh", "-c", "echo $VIRTUAL_ENV; command -v python; python -c 'import sys; print(sys.prefix)'")
    prefix, python, own = out.stdout.splitlines()
    assert prefix == own and prefix.startswith(f"{mount.path}/.run/") and python == f"{prefix}/bin/python"
    assert not os.path.exists(prefix) and runs(mount) == runs(mount, behind=False) == []
    other = run("--", "python", "-c", PREFIX).stdout.strip()
    assert other != prefix


def test_what_it_writes_goes_with_it(run, mount):
    run("--", "sh", "-c", "echo x > $VIRTUAL_ENV/lib/python3*/site-packages/x.py; mkdir -p $VIRTUAL_ENV/a/b; "
                          "echo y > $VIRTUAL_ENV/a/b/c; rm $VIRTUAL_ENV/bin/activate")  # fmt: skip
    assert runs(mount) == []


@pytest.mark.parametrize("command, status", [("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137), ("true", 0)])
def test_exit_status(run, mount, command, status):
    assert run("--", "sh", "-c", command, check=False).returncode == status
    assert runs(mount) == []


def test_no_such_command(run, mount):
    r = run("--", "no-such-command-there", check=False)
    assert r.returncode == 127 and r.stderr == "venvfs: no-such-command-there: there is no such command\n"
    assert runs(mount) == []


@pytest.mark.parametrize("arguments", [("--store", "x"), ("--root=x", "--tier", "y"), ("--help",), ("-h",), ("--version",),
                                       ("-p", "3", "--with", "rich", "-U", "--", "--root", "z")])  # fmt: skip
def test_arguments_are_the_commands(run, mount, tmp_path, arguments):
    script = tmp_path / "s.py"
    script.write_text("import sys; print(sys.argv[1:])")
    for before in ((), ("-p", "3.11"), ("--python=3.11", "--ask", "pip")):
        assert run(*before, script, *arguments).stdout == f"{list(arguments)!r}\n"
        assert run(*before, "--", "python", script, *arguments).stdout == f"{list(arguments)!r}\n"
    assert "usage: venvfs run" in run("--python", "3.11", "--help").stdout
    assert not (tmp_path / "x").exists() and runs(mount) == []


def test_standard_streams(run):
    r = run("--", "sh", "-c", "cat; echo error >&2", input="through\n")
    assert r.stdout == "through\n" and r.stderr == "error\n"


def test_with(run, mount, index, small_wheels, env):
    index.add(small_wheels("app", requires=["low"], files={"app.py": "import low\nx = 5\n"}),
              small_wheels("low", files={"low.py": ""}))  # fmt: skip
    r = run("--with", "app", "--", "python", "-c", "import app; print(app.x)")
    assert r.stdout == "5\n" and not left_behind(env)
    asked = len(index.log)
    index.add(small_wheels("low", "2.0", files={"low.py": ""}))
    version = "import importlib.metadata as m; print(m.version('low'))"
    assert run("--with", "app", "--", "python", "-c", version).stdout == "1.0\n"
    assert len(index.log) == asked, "what is known is not asked again"
    assert run("--with", "app", "-U", "--", "python", "-c", version).stdout == "2.0\n"
    r = run("--with", "nothing-like-it", "--", "true", check=False)
    assert r.returncode == 1 and "nothing-like-it" in r.stderr and runs(mount) == []


def test_with_a_source_tree(run, tmp_path, index):
    """It may be another at any time."""
    for text in ("one", "two"):
        tree = source_tree(tmp_path / "tree", "mine", f"print({text!r})")
        assert run("--with", tree, "--", "python", "-c", "import mine").stdout == f"{text}\n"


def test_with_scripts(run, index, small_wheels):
    index.add(small_wheels("tool", files={"tool.py": "def main(): print('ran')\n"},
                           entry_points={"console_scripts": {"its-tool": "tool:main"}}))  # fmt: skip
    assert run("--with", "tool", "--", "its-tool").stdout == "ran\n"


def test_from_a_lock(run, index, small_wheels, pins):
    index.add(*(small_wheels("one", v, files={"one.py": f"v = '{v}'"}) for v in ("1.0", "2.0")),
              small_wheels("two", requires=["one"], files={"two.py": ""}))  # fmt: skip
    command = ("--", "python", "-c", "import one; print(one.v)")
    assert run("--from", pins("one==1.0"), *command).stdout == "1.0\n"
    assert run("--from", pins("one==1.0"), "--with", "two", *command).stdout == "1.0\n"


SCRIPT = """#!/usr/bin/env python
# /// script
# requires-python = "%s"
# dependencies = [
#   "one<2",
#
# ]
# ///
import one, sys
print(one.v, *sys.argv[1:])
"""


def test_script(run, index, small_wheels, tmp_path):
    index.add(*(small_wheels("one", v, files={"one.py": f"v = '{v}'"}) for v in ("1.0", "2.0")))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT % ">=3.8")
    assert run(script, "--flag", "b").stdout == "1.0 --flag b\n"
    asked = len(index.log)
    assert run("--", script).stdout == "1.0\n" and len(index.log) == asked
    script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))
    assert run("--", script).stdout == "1.0\n"
    script.write_text(SCRIPT % ">=4")
    r = run(script, check=False)
    assert r.returncode == 1 and "the script wants Python >=4" in r.stderr and "--python" in r.stderr


@pytest.mark.parametrize("text", [
    "print('ran')\n",
    "# /// script\n# dependencies = ['none-such']\nprint('ran')\n",  # never closed: a comment
    "# /// other\n# dependencies = ['none-such']\n# ///\nprint('ran')",
    "# /// script\n# ///\nprint('ran')\n",
    "x = 1\n# /// script\n# dependencies = []\n# ///\nprint('ran')\n",
])  # fmt: skip
def test_scripts_that_need_nothing(run, text, tmp_path):
    (tmp_path / "s.py").write_text(text)
    assert run(tmp_path / "s.py").stdout == "ran\n"


@pytest.mark.parametrize("text, told", [
    ("# /// script\n# dependencies = [\n# ///\n", "what the script says about itself"),
    ("# /// script\n# dependencies = 3\n# ///\n", "a list of strings"),
    ("# /// script\n# dependencies = ['one', 3]\n# ///\n", "a list of strings"),
    ("# /// script\n# dependencies = ['mine']\n# tool.uv.sources.mine = {path = 'mine'}\n# ///\n", "only `uv run` follows"),
    ("# /// script\n# dependencies = ['a b c']\n# ///\n", "what the script says about itself"),
    ("# /// script\n# requires-python = 'new'\n# ///\n", "what the script says about itself"),
    ("# /// script\n# ///\n# /// script\n# ///\n", "more than one block"),
])  # fmt: skip
def test_bad_scripts(run, mount, text, told, tmp_path):
    (tmp_path / "s.py").write_text(text)
    r = run(tmp_path / "s.py", check=False)
    assert r.returncode == 1 and told in r.stderr


def started(venvfs, debian_python, note):
    """A run that waits in its command: (process, number of the command, its environment)."""
    command = f"echo $$ $VIRTUAL_ENV > {note}.new; mv {note}.new {note}; exec cat"
    p = venvfs.popen("run", "--python", debian_python, "--", "sh", "-c", command, stdin=subprocess.PIPE,
                     preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # fmt: skip
    assert eventually(note.exists)
    pid, path = note.read_text().split()
    return p, int(pid), path


def test_killed(venvfs, mount, debian_python, tmp_path):
    """The command lives on in its environment, and takes it along when it ends."""
    p, pid, path = started(venvfs, debian_python, tmp_path / "note")
    p.kill()
    p.wait()
    subprocess.run([f"{path}/bin/python", "-c", ""], check=True)
    assert runs(mount) == [os.path.basename(path)]
    p.stdin.close()
    assert eventually(lambda: runs(mount) == [])
    assert not os.path.exists(path)


def test_all_killed(venvfs, mount, debian_python, tmp_path, run):
    """Nobody is left to remove it: the next run does, and leaves alone what is in use."""
    p, pid, path = started(venvfs, debian_python, tmp_path / "note")
    other = started(venvfs, debian_python, tmp_path / "other")
    guards = [int(c) for c in open(f"/proc/{p.pid}/task/{p.pid}/children").read().split() if int(c) != pid]
    assert len(guards) == 1
    for n in (p.pid, *guards, pid):
        os.kill(n, signal.SIGKILL)
    p.wait()
    assert sorted(runs(mount)) == sorted(map(os.path.basename, (path, other[2])))
    run("--", "true")
    assert runs(mount) == [os.path.basename(other[2])]
    other[0].stdin.close()
    assert other[0].wait() == 0 and runs(mount) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_the_commands(venvfs, mount, debian_python, tmp_path, number):
    p, _, path = started(venvfs, debian_python, tmp_path / "note")
    p.send_signal(number)
    assert p.wait() == 128 + number and runs(mount) == []


def test_not_mounted(venvfs, root, debian_python):
    r = venvfs("run", "--python", debian_python, "--", "true", check=False)
    assert r.returncode == 1 and f"`venvfs mount {root}` mounts it" in r.stderr
    assert not (root / ".run").exists()


@pytest.mark.parametrize("arguments", [(), ("--",), ("--with",), ("--nonsense", "--", "true")])
def test_usage(venvfs, arguments):
    r = venvfs("run", *arguments, check=False)
    assert r.returncode == 2 and "usage: venvfs run" in r.stderr
