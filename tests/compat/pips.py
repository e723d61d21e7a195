# SPDX-License-Identifier: MIT
"""pip in an environment: what it installs, replaces, takes away, and what it leaves when it fails."""

from case import case

HATCHLING = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
FLIT = '[build-system]\nrequires = ["flit_core>=3.4"]\nbuild-backend = "flit_core.buildapi"\n'
SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
MESON = '[build-system]\nrequires = ["meson-python"]\nbuild-backend = "mesonpy"\n'
PROJECT = '[project]\nname = "mine"\nversion = "1.0"\ndescription = "mine"\nscripts = {mine = "mine:main"}\n'
SOURCE = '"""mine"""\ndef main(): print("one")\n'


@case("pip", "install of a tree of distributions, scripts, freeze, uninstall")
def pip_install(side):
    x = side.env()
    side.pip(x, "install", "flask==3.0.3", "itsdangerous==2.1.2")
    side.installed(x, "flask", "jinja2", "markupsafe", flask="3.0.3", itsdangerous="2.1.2")
    side.saw("flask", side.run(x / "bin/flask", "--version").splitlines()[1])
    side.saw("freeze", side.pip(x, "freeze"))
    side.pip(x, "uninstall", "-y", "flask", "jinja2", "werkzeug")
    side.installed(x, "markupsafe", flask=None, jinja2=None, werkzeug=None, markupsafe=True)
    side.gone(x / "bin/flask", side.site(x) / "flask", side.site(x) / "jinja2", side.site(x) / "flask-3.0.3.dist-info")
    side.code(x, "import flask", ok=False)


@case("pip", "install -U, install of an older version, --force-reinstall")
def pip_upgrade(side):
    x = side.env()
    side.pip(x, "install", "idna==3.4", "six==1.15.0")
    side.installed(x, "idna", "six", idna="3.4", six="1.15.0")
    side.pip(x, "install", "-U", "idna==3.7", "six==1.16.0")
    side.installed(x, idna="3.7", six="1.16.0")
    side.pip(x, "install", "six==1.15.0")
    side.pip(x, "install", "--force-reinstall", "idna==3.7")
    side.installed(x, "idna", idna="3.7", six="1.15.0")
    side.saw("names", sorted(p.name for p in side.site(x).iterdir()))


@case("pip", "install -U pip by itself, and on")
def pip_itself(side):
    x = side.env()
    side.pip(x, "install", "-U", "pip==25.0.1")
    side.installed(x, "pip", pip="25.0.1")
    side.run(x / "bin/pip", "install", "-U", "pip==25.1.1", "six==1.16.0")
    side.installed(x, "pip", "six", pip="25.1.1")
    side.saw("version", side.run(x / "bin/pip3", "--version"))
    side.saw("infos", sorted(p.name for p in side.site(x).glob("pip*")))


@case("pip", "an install that fails half way is rolled back")
def pip_rolls_back(side):
    x = side.env()
    side.pip(x, "install", "idna==3.4")
    side.installed(x, "idna", idna="3.4")
    side.run("pip", "download", "--no-deps", "-d", side.cwd, "idna==3.7")
    [wheel] = side.cwd.glob("idna-3.7*.whl")
    data = bytearray(wheel.read_bytes())
    # the last file of idna/ in the archive: others are unpacked by then, and the old version is aside
    at = data.index(b"idna/uts46data.py") + 2000
    data[at : at + 64] = bytes(64)
    wheel.write_bytes(data)
    said = side.pip(x, "install", "--no-index", wheel, ok=False)
    side.expect("Rolling back" in said or "Bad CRC" in said or "invalid" in said, said)
    side.installed(x, "idna", "idna.uts46data", idna="3.4")
    side.gone(side.site(x) / "idna-3.7.dist-info")
    side.expect(not list(side.site(x).glob("~*")), "what pip put aside is left")


def editable(side, files, *options, prepare=()):
    """-e, a change of the source, and away again."""
    x = side.env()
    side.environ["PATH"] = f"{x}/bin:{side.environ['PATH']}"
    top = side.project("tree", files)
    if prepare:
        side.pip(x, "install", *prepare)
    side.pip(x, "install", *options, "-e", top)
    side.saw("site", sorted(p.name for p in side.site(x).iterdir() if "mine" in p.name))
    side.installed(x, "mine", mine="1.0")
    side.expect(side.run(x / "bin/mine").strip() == "one", "bin/mine")
    [source] = [top / f for f in files if f.endswith(("mine/__init__.py", "mine.py"))]
    source.write_text(SOURCE.replace("one", "two more"))
    side.expect(side.run(x / "bin/mine").strip() == "two more", "the changed source is not seen")
    side.settle(x)
    side.expect(side.run(x / "bin/mine").strip() == "two more", "gone after a harvest")
    side.pip(x, "uninstall", "-y", "mine")
    side.installed(x, mine=None)
    side.gone(x / "bin/mine")
    side.expect(not list(side.site(x).glob("*mine*")), "something of it is left")
    side.code(x, "import mine", ok=False)


@case("pip", "install -e: setuptools, flat layout (.pth)")
def editable_setuptools(side):
    editable(side, {"pyproject.toml": SETUPTOOLS + PROJECT, "mine/__init__.py": SOURCE})


@case("pip", "install -e: setuptools, a layout that takes a finder hook")
def editable_setuptools_finder(side):
    text = SETUPTOOLS + PROJECT + '[tool.setuptools]\npackages = ["mine"]\npackage-dir = {mine = "code/mine"}\n'
    editable(side, {"pyproject.toml": text, "code/mine/__init__.py": SOURCE})


@case("pip", "install -e: setuptools, editable_mode=compat")
def editable_setuptools_compat(side):
    files = {"pyproject.toml": SETUPTOOLS + PROJECT, "mine/__init__.py": SOURCE}
    editable(side, files, "--config-settings", "editable_mode=compat")


@case("pip", "install -e: setuptools, editable_mode=strict")
def editable_setuptools_strict(side):
    files = {"pyproject.toml": SETUPTOOLS + PROJECT, "src/mine/__init__.py": SOURCE}
    editable(side, files, "--config-settings", "editable_mode=strict")


@case("pip", "install -e: hatchling (.pth)")
def editable_hatchling(side):
    editable(side, {"pyproject.toml": HATCHLING + PROJECT, "src/mine/__init__.py": SOURCE})


@case("pip", "install -e: flit (.pth)")
def editable_flit(side):
    editable(side, {"pyproject.toml": FLIT + PROJECT, "mine/__init__.py": SOURCE})


@case("pip", "install -e: meson-python (a loader that builds at import)")
def editable_meson(side):
    build = "project('mine', version: '1.0')\npy = import('python').find_installation(pure: true)\n"
    files = {
        "pyproject.toml": MESON + PROJECT,
        "meson.build": build + "py.install_sources('mine/__init__.py', subdir: 'mine')\n",
        "mine/__init__.py": SOURCE,
    }
    editable(side, files, "--no-build-isolation", prepare=("meson-python==0.18.0", "ninja==1.11.1.4"))


@case("pip", "setup.py develop (.egg-link, easy-install.pth), pip uninstall of it")
def egg_link(side):
    x = side.env()
    side.pip(x, "install", "setuptools==68.2.2")
    setup = "from setuptools import setup\nsetup(name='mine', version='1.0', packages=['mine'])\n"
    top = side.project("tree", {"setup.py": setup, "mine/__init__.py": SOURCE})
    side.run(x / "bin/python", "setup.py", "-q", "develop", cwd=top)
    side.expect((side.site(x) / "mine.egg-link").exists(), "no .egg-link")
    side.installed(x, "mine", mine="1.0")
    side.pip(x, "uninstall", "-y", "mine")
    side.gone(side.site(x) / "mine.egg-link")
    side.installed(x, mine=None)


@case("pip", "install --target and --prefix into the environment, --no-compile, --user refused")
def pip_elsewhere(side):
    x = side.env()
    side.pip(x, "install", "--no-compile", "six==1.16.0")
    side.pip(x, "install", "--target", x / "vendored", "idna==3.7")
    side.pip(x, "install", "--prefix", x, "iniconfig==2.0.0")
    side.installed(x, "six", "iniconfig", six="1.16.0", iniconfig="2.0.0", idna=None)
    side.code(x, f"import sys; sys.path.insert(0, {str(x / 'vendored')!r}); import idna")
    side.pip(x, "install", "--user", "click", ok=False)
