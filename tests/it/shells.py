# SPDX-License-Identifier: MIT
"""The shells that activate scripts are for, and a row of steps done in any of them.

A step is "say", "activate A" (B, ...: a script of Session.scripts), "deactivate", or a line of the shell's
own words. What a shell says is a dict of what activation is about; "unset" is what is not there.
"""

import re
import shutil
import subprocess

import pytest

FIELDS = ("env", "python", "shown", "prompt", "home", "path")
MARK = "--said--"

SH_START = """
PS1='$ '
say() {
    printf '%s\\n' "$MARK" "${VIRTUAL_ENV-unset}" "$(python -c "$WHO")" "${PS1-unset}" \\
        "${VIRTUAL_ENV_PROMPT-unset}" "${PYTHONHOME-unset}" "$PATH"
}
"""
FISH_START = """
function fish_prompt; printf '$ '; end
function say
    set -q VIRTUAL_ENV; and set -l env "$VIRTUAL_ENV"; or set -l env unset
    set -q VIRTUAL_ENV_PROMPT; and set -l prompt "$VIRTUAL_ENV_PROMPT"; or set -l prompt unset
    set -q PYTHONHOME; and set -l home "$PYTHONHOME"; or set -l home unset
    printf '%s\\n' "$MARK" "$env" (python -c "$WHO") (fish_prompt | string join '') "$prompt" "$home" \\
        (string join : $PATH)
end
"""
CSH_START = """
set prompt = '$ '
"""
CSH_SAY = """
printf '%s\\n' "$MARK"
if ($?VIRTUAL_ENV) then
    printf '%s\\n' $VIRTUAL_ENV:q
else
    echo unset
endif
python -c $WHO:q
printf '%s\\n' $prompt:q
if ($?VIRTUAL_ENV_PROMPT) then
    printf '%s\\n' $VIRTUAL_ENV_PROMPT:q
else
    echo unset
endif
if ($?PYTHONHOME) then
    printf '%s\\n' $PYTHONHOME:q
else
    echo unset
endif
printf '%s\\n' $PATH:q
"""

# What each kind of shell reads, and how it is told what to do.
KINDS = {
    "sh": dict(script="activate", start=SH_START, say="say", source='. "$SCRIPT_%s"'),
    "fish": dict(script="activate.fish", start=FISH_START, say="say", source='source "$SCRIPT_%s"'),
    "csh": dict(script="activate.csh", start=CSH_START, say=CSH_SAY, source="source $SCRIPT_%s:q"),
}
SHELLS = {
    "bash": ("sh", ["bash", "--norc"]),
    "dash": ("sh", ["dash"]),
    "ksh93": ("sh", ["ksh93"]),
    "mksh": ("sh", ["mksh"]),
    "posh": ("sh", ["posh"]),
    "busybox": ("sh", ["busybox", "sh"]),
    "yash": ("sh", ["yash", "--norcfile"]),
    "zsh": ("sh", ["zsh", "-f"]),
    "fish": ("fish", ["fish", "--no-config"]),
    "tcsh": ("csh", ["tcsh", "-f"]),
    "bsd-csh": ("csh", ["bsd-csh", "-f"]),
}
OF_KIND = {kind: [s for s, (k, _) in SHELLS.items() if k == kind] for kind in KINDS}
COLOUR = re.compile(r"\x1b(\[[0-9;]*m|\(B)")
WHO = "import sys; print(sys.executable)"


class Session:
    """One run of a shell, in a directory of its own with a `python` that is found where nothing is active."""

    def __init__(self, shell, tmp, environ):
        self.kind, self.argv = SHELLS[shell]
        if not shutil.which(self.argv[0]):
            pytest.skip(f"{self.argv[0]} is not installed")
        self.words = KINDS[self.kind]
        bin, home = tmp / "outside", tmp / "home"
        for d in (bin, home):
            d.mkdir(exist_ok=True)
        (bin / "python").write_text("#!/bin/sh\necho outside\n")
        (bin / "python").chmod(0o755)
        self.env = {k: v for k, v in environ.items() if not k.startswith(("VIRTUAL_ENV", "PYTHON"))}
        self.env.update(HOME=str(home), WHO=WHO, MARK=MARK, PATH=f"{bin}:/usr/local/bin:/usr/bin:/bin")
        if self.kind != "csh":  # its script leaves that alone
            self.env["PYTHONHOME"] = "/h"
        self.outside = {"env": "unset", "python": "outside", "shown": "$ ", "prompt": "unset",
                        "home": self.env.get("PYTHONHOME", "unset"), "path": self.env["PATH"]}  # fmt: skip

    def text(self, steps):
        lines = [self.words["start"]]
        for step in steps:
            verb, _, which = step.partition(" ")
            if verb == "activate":
                step = self.words["source"] % which
            lines.append(self.words["say"] if verb == "say" else step)
        return "\n".join(lines) + "\n"

    def run(self, *steps, scripts, check=True, **more):
        """What it said, in that order. `scripts`: {"A": bin directory}"""
        where = {f"SCRIPT_{k}": str(d / self.words["script"]) for k, d in scripts.items()}
        r = subprocess.run(self.argv, input=self.text(steps), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, env={**self.env, **where, **more}, cwd="/")  # fmt: skip
        said = [dict(zip(FIELDS, part.splitlines())) for part in COLOUR.sub("", r.stdout).split(f"{MARK}\n")]
        if check:
            assert r.returncode == 0 and said[0] == {}, r.stdout
            assert len(said) == 1 + steps.count("say"), r.stdout
        return said[1:]
