# SPDX-License-Identifier: MIT
"""What makes environments: venv and virtualenv, on an empty place and over what is there."""

from case import case


def pip_in(side, x, **versions):
    side.pip(x, "install", *(f"{n}=={v}" for n, v in versions.items()))
    side.installed(x, *versions, **versions)


@case("python -m venv", "new, --prompt, --without-pip, --symlinks, --copies, --system-site-packages")
def venv(side):
    for name, options in (
        ("plain", ()),
        ("bare", ("--without-pip", "--prompt", "p")),
        ("copies", ("--copies", "--without-pip")),
        ("links", ("--symlinks", "--without-pip")),
        ("system", ("--system-site-packages", "--without-pip")),
    ):
        x = side.case / name
        side.run(side.python, "-m", "venv", *options, x)
        side.saw(f"{name} prefix", side.code(x, "import sys; print(sys.prefix, sys.base_prefix)"))
        side.saw(f"{name} cfg", "".join(
            line for line in (x / "pyvenv.cfg").read_text().splitlines(True) if not line.startswith("venvfs-lock")
        ))  # fmt: skip
    pip_in(side, side.case / "plain", six="1.16.0")
    side.run("/bin/sh", "-c", f". {side.case}/plain/bin/activate && python -c 'import six' && deactivate")


@case("python -m venv", "over an environment, --upgrade, --upgrade-deps, --clear")
def venv_over(side):
    x = side.env()
    pip_in(side, x, six="1.16.0")
    side.run(side.python, "-m", "venv", x)
    side.installed(x, "six", six="1.16.0")
    side.run(side.python, "-m", "venv", "--upgrade", x)
    side.installed(x, "six", six="1.16.0")
    side.run(side.python, "-m", "venv", "--upgrade-deps", x)
    side.installed(x, "six", six="1.16.0", pip=True)
    (x / "note.txt").write_text("mine\n")
    side.run(side.python, "-m", "venv", "--clear", x)
    side.gone(x / "note.txt", side.site(x) / "six.py")
    side.installed(x, "pip", six=None, pip=True)
    side.run(side.python, "-m", "venv", "--clear", "--without-pip", x)
    side.installed(x, pip=None)
    side.saw("names", sorted(p.name for p in side.site(x).iterdir()))


@case("virtualenv", "new, over an environment, --clear; seeded by app-data and by pip, links and copies")
def virtualenv(side):
    for name, options in (("a", ("--seeder", "app-data")), ("p", ("--seeder", "pip")), ("c", ("--copies",)),
                          ("s", ("--symlink-app-data",)), ("n", ("--no-seed",))):  # fmt: skip
        x = side.case / name
        side.run("virtualenv", "-q", "-p", side.python, *options, x)
        side.saw(f"{name} prefix", side.code(x, "import sys; print(sys.prefix)"))
        if name != "n":
            pip_in(side, x, six="1.16.0")
    x = side.case / "a"
    side.run("virtualenv", "-q", "-p", side.python, x)
    side.installed(x, "six", six="1.16.0")
    (x / "note.txt").write_text("mine\n")
    side.run("virtualenv", "-q", "-p", side.python, "--clear", x)
    side.gone(x / "note.txt", side.site(x) / "six.py")
    side.installed(x, "pip", six=None, pip=True)


@case("virtualenv", "over, and --clear over, an environment of this side's own making")
def virtualenv_over(side):
    x = side.env()
    pip_in(side, x, six="1.16.0")
    side.run("virtualenv", "-q", "-p", side.python, x)
    side.installed(x, "six", "pip", six="1.16.0", pip=True)
    side.run("virtualenv", "-q", "-p", side.python, "--clear", x)
    side.installed(x, "pip", six=None, pip=True)
    side.gone(side.site(x) / "six.py")
