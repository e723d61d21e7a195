# SPDX-License-Identifier: MIT
"""Activation as people use it, in every shell: under `set -u`, over another environment, by a project's link,
without a prompt, in a shell that somebody types into. Beside an ordinary environment of the same Python."""

import os
import subprocess

import pytest
from conftest import Mount, Venvfs, need_fuse
from shells import COLOUR, OF_KIND, SHELLS, Session
from twins import python_version, real_environment

pytestmark = pytest.mark.tools


class Beside:
    """Two mounted environments and two ordinary ones, of one Python."""

    def __init__(self, tmp, python):
        self.venvfs, self.python = Venvfs(tmp, None), python
        self.real, self.root = tmp / "real", tmp / "envs"
        self.real.mkdir()
        self.root.mkdir()
        for name in ("x", "y"):
            real_environment(python, self.real / name, "--without-pip", "--prompt", f"p-{name}", env=self.venvfs.env)
        self.mount = Mount(self.venvfs, self.root)
        for name in ("x", "y"):
            self.venvfs("create", self.root / name, "--without-pip", "--prompt", f"p-{name}", "--python", python)

    def scripts(self, top):
        return {"A": top / "x" / "bin", "B": top / "y" / "bin"}

    def both(self, session, *steps, **more):
        """What it says here; in an ordinary environment it says the same."""
        ours = session.run(*steps, scripts=self.scripts(self.root), **more)
        theirs = session.run(*steps, scripts=self.scripts(self.real), **more)
        assert ours == [{k: v.replace(str(self.real), str(self.root)) for k, v in said.items()} for said in theirs]
        return ours


@pytest.fixture(scope="module")
def besides(tmp_path_factory):
    need_fuse()
    made = {}

    def get(python):
        if python not in made:
            made[python] = Beside(tmp_path_factory.mktemp("beside"), python)
        return made[python]

    yield get
    faults = [fault for fault in [b.mount.take_down() for b in made.values()] if fault]
    assert not faults, faults


@pytest.fixture(params=["3.8", "3.12", "3.13", "debian"])
def beside(request, besides, pythons, debian_python):
    """The texts that differ most; that each Python's are what venv writes is tested with the view."""
    if request.param == "debian":
        return besides(debian_python)
    if request.param not in pythons:
        pytest.skip(f"no CPython {request.param} on this machine")
    return besides(pythons[request.param])


@pytest.fixture
def debian(besides, debian_python):
    return besides(debian_python)


@pytest.fixture(params=SHELLS)
def session(request, tmp_path, besides):
    return Session(request.param, tmp_path, os.environ)


def check_active(said, top, name):
    assert said["env"] == f"{top}/{name}" and said["python"] == f"{top}/{name}/bin/python"
    assert f"p-{name}" in said["shown"] or f"[{name}]" in said["shown"]
    assert said["home"] == "unset"
    assert said["path"].startswith(f"{top}/{name}/bin:")


def test_a6_there_and_back(beside, session):
    before, active, after = beside.both(session, "say", "activate A", "say", "deactivate", "say")
    assert before == after == session.outside
    check_active(active, beside.root, "x")


def test_a6_no_home_before(debian, session):
    """What was not set is not set afterwards."""
    session.env.pop("PYTHONHOME", None)
    before, active, after = debian.both(session, "say", "activate A", "say", "deactivate", "say")
    assert before == after and before["home"] == active["home"] == "unset"


def test_a6_one_over_another(beside, session):
    """The second takes the first one's place: nothing of that is left, and one `deactivate` ends it."""
    first, second, again, after = beside.both(
        session, "activate A", "say", "activate B", "say", "activate B", "say", "deactivate", "say"
    )
    check_active(first, beside.root, "x")
    check_active(second, beside.root, "y")
    assert again == second and "/x/bin" not in second["path"] and "p-x" not in second["shown"]
    assert after == session.outside


def test_a6_deactivate_ends_with_it(debian, session):
    """It is no command any more."""
    session.run("activate A", "deactivate", scripts=debian.scripts(debian.root))
    know = {"sh": "command -v deactivate && echo still", "fish": "functions -q deactivate; and echo still",
            "csh": "alias deactivate"}  # fmt: skip
    text = session.text(["activate A", know[session.kind], "echo between", "deactivate", know[session.kind]])
    r = subprocess.run(session.argv, input=text, stdout=subprocess.PIPE, text=True,
                       env={**session.env, "SCRIPT_A": str(debian.root / "x/bin" / session.words["script"])})  # fmt: skip
    active, ended = r.stdout.split("between\n")
    assert active.strip() and not ended.strip()


def test_a6_without_a_prompt(debian, session):
    active, after = debian.both(
        session, "activate A", "say", "deactivate", "say", VIRTUAL_ENV_DISABLE_PROMPT="1"
    )
    assert active["env"] == str(debian.root / "x") and active["shown"] == "$ "
    assert after == session.outside


def test_a6_by_a_projects_link(debian, session, tmp_path):
    """The environment's own path is told, whatever path the script was found by."""
    link = tmp_path / ".venv"
    link.symlink_to(debian.root / "x")
    active, after = session.run("activate A", "say", "deactivate", "say", scripts={"A": link / "bin"})
    check_active(active, debian.root, "x")
    assert after == session.outside


# posh has no `hash`, which venv's own text calls: it ends there with -e, as by an ordinary environment.
STRICT = [(s, o) for s in OF_KIND["sh"] for o in ("set -u", "set -e", "set -eu") if s != "posh" or o == "set -u"]


@pytest.mark.parametrize("shell, options", STRICT)
def test_a6_in_strict_shells(beside, tmp_path, shell, options):
    """A script of a user may well begin like that."""
    session = Session(shell, tmp_path, beside.venvfs.env)
    if python_version(beside.python) == "3.12" and "u" in options:
        # Early 3.12 asks for $OSTYPE, which is bash's and zsh's: there the ordinary one ends as well.
        text = (beside.root / "x/bin/activate").read_text()
        if '"$OSTYPE"' in text:
            session.env["OSTYPE"] = "linux"
    before, active, after = beside.both(
        session, options, "say", "activate A", "say", "activate B", "deactivate", "say"
    )
    assert before == after == session.outside
    check_active(active, beside.root, "x")


def test_a6_a_program_of_the_environment(debian, session):
    """What a shell remembers of where programs are is forgotten."""
    ask = "python -c 'import sys; print(sys.prefix)'"
    text = session.text([ask, "activate A", ask, "deactivate", ask])
    r = subprocess.run(session.argv, input=text, stdout=subprocess.PIPE, text=True,
                       env={**session.env, "SCRIPT_A": str(debian.root / "x/bin" / session.words["script"])})  # fmt: skip
    assert r.stdout.splitlines() == ["outside", str(debian.root / "x"), "outside"]


TYPED = {
    "bash": ["bash", "--norc", "--noediting", "-i"],
    "dash": ["dash", "-i"],
    "ksh93": ["ksh93", "-i", "+E"],
    "mksh": ["mksh", "-i"],
    "posh": ["posh", "-i"],
    "busybox": ["busybox", "sh", "-i"],
    "yash": ["yash", "--norcfile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}


@pytest.mark.parametrize("shell", TYPED)
def test_a6_the_prompt_that_is_seen(debian, tmp_path, shell):
    """The shell itself writes it before each line that it reads (the others do so on terminals alone)."""
    session = Session(shell, tmp_path, debian.venvfs.env)
    source = session.words["source"] % "A"
    text = f"PS1='here: '\n{source}\necho inside\ndeactivate\necho outside\nexit\n"
    r = subprocess.run(TYPED[shell], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       env={**session.env, "SCRIPT_A": str(debian.root / "x/bin" / session.words["script"]),
                            "TERM": "dumb"})  # fmt: skip
    seen = COLOUR.sub("", r.stdout)
    inside, outside = seen.split("inside\n")[0], seen.split("inside\n")[1].split("outside\n")[1]
    assert inside.endswith("(p-x) here: "), seen
    assert "here: " in outside and "p-x" not in outside, seen
