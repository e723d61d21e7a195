# SPDX-License-Identifier: MIT
"""What lands in site-packages without an installer: packages that write into their own directory,
modules placed by hand, archives."""

import os
import shutil
import zipfile

from case import case


@case("packages", "pycparser 2.21 generates its tables and a module of its own in its own directory")
def writes_into_itself(side):
    x = side.env()
    side.pip(x, "install", "pycparser==2.21")
    side.installed(x, "pycparser", pycparser="2.21")
    top = side.site(x) / "pycparser"
    for name in ("lextab.py", "yacctab.py"):
        (top / name).unlink()
    side.run(x / "bin/python", "_build_tables.py", cwd=top)
    side.saw("made", sorted(p.name for p in top.iterdir() if p.name != "__pycache__"))
    code = "from pycparser import c_parser; print(c_parser.CParser().parse('int a;').ext[0].name)"
    side.expect(side.code(x, code) == "a", "it does not parse")
    side.installed(x, "pycparser.lextab", "pycparser.yacctab", pycparser="2.21")
    side.pip(x, "uninstall", "-y", "pycparser")
    side.installed(x, pycparser=None)
    side.saw("left", sorted(p.name for p in top.iterdir()) if top.exists() else None)


@case("modules", "a module and a package by hand: made, imported, edited, renamed, deleted; a patched distribution")
def by_hand(side):
    x = side.env()
    side.pip(x, "install", "six==1.16.0")
    side.settle(x)
    site = side.site(x)
    (site / "byhand.py").write_text("n = 1\n")
    (site / "handpkg").mkdir()
    (site / "handpkg/__init__.py").write_text("from .deep import n\n")
    (site / "handpkg/deep.py").write_text("n = 2\n")
    side.installed(x, "byhand", "handpkg", six="1.16.0")
    (site / "byhand.py").write_text("n = 1000\n")
    side.expect(side.code(x, "import byhand; print(byhand.n)") == "1000", "the edit is not seen")
    os.rename(site / "handpkg", site / "otherpkg")
    side.expect(side.code(x, "import otherpkg; print(otherpkg.n)") == "2", "the renamed package")
    side.code(x, "import handpkg", ok=False)
    text = (site / "six.py").read_text()
    (site / "six.py").write_text(text + "\npatched = True\n")
    side.installed(x, "six", "byhand", "otherpkg", six="1.16.0")
    side.code(x, "import six; six.patched")
    (site / "byhand.py").unlink()
    shutil.rmtree(site / "otherpkg")
    side.code(x, "import byhand", ok=False)
    side.pip(x, "install", "--force-reinstall", "six==1.16.0")
    side.code(x, "import six; assert not hasattr(six, 'patched')")
    side.installed(x, "six", six="1.16.0")


@case("modules", "a zip on sys.path, by a .pth, through zipimport; replaced, removed")
def zipped(side):
    x = side.env()
    site = side.site(x)
    side.run("pip", "download", "--no-deps", "-d", side.cwd, "six==1.16.0")
    [wheel] = side.cwd.glob("six*.whl")
    shutil.copy(wheel, site / "six.zip")
    (site / "zipped.pth").write_text("six.zip\n")
    code = "import six, zipimport; assert isinstance(six.__loader__, zipimport.zipimporter); print(six.__file__)"
    side.saw("file", side.code(x, code))
    side.settle(x)
    side.saw("after", side.code(x, code))
    with zipfile.ZipFile(site / "new.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("six.py", "new = 1\n")
    os.replace(site / "new.zip", site / "six.zip")
    side.code(x, "import six; six.new")
    (site / "zipped.pth").unlink()
    side.code(x, "import six", ok=False)


@case("packages", ".pth files that distributions bring (a namespace, code that runs at start)")
def pth_files(side):
    x = side.env()
    side.pip(x, "install", "coloredlogs==15.0.1")
    side.installed(x, "coloredlogs", "humanfriendly", coloredlogs="15.0.1")
    side.expect((side.site(x) / "coloredlogs.pth").exists(), "coloredlogs.pth")
    side.code(x, "import coloredlogs", env={"COLOREDLOGS_AUTO_INSTALL": "1"})
    side.pip(x, "uninstall", "-y", "coloredlogs")
    side.gone(side.site(x) / "coloredlogs.pth")
    side.installed(x, "humanfriendly", coloredlogs=None)
