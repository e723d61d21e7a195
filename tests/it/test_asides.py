# SPDX-License-Identifier: MIT
"""What pip had put aside while it uninstalled, after the daemon died under it: gone with the next mount, and
nothing else is."""

import os
import time

import pytest

from conftest import wait_for_end
from prepared import prepared, site, venvfs, x  # noqa: F401

WHEELS = {"plain": {"files": {"plain/__init__.py": "", "plain/sub/a.py": "", "other/__init__.py": ""}}}


def die(mount):
    os.kill(mount.pid, 9)
    wait_for_end(mount.pid)
    while mount.alive():  # its other threads end later
        time.sleep(0.01)
    mount.mount()


@pytest.fixture
def own(x):
    """A distribution that pip put there and no harvest took."""
    info = site(x) / "own-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("own_pack/__init__.py,,\nown-1.0.dist-info/RECORD,,\nown.py,,\n../../../bin/own,,\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (site(x) / "own_pack").mkdir()
    (site(x) / "own_pack" / "__init__.py").write_text("")
    return x


@pytest.mark.parametrize("aside", [("plain", "~lain"), ("plain", "~-ain"), ("other", "~~~er"), ("other", "~%other"),
                                   ("plain-1.0.dist-info", "~lain-1.0.dist-info")])  # fmt: skip
def test_of_the_store(x, mount, aside):
    name, put = aside
    before = set(os.listdir(site(x)))
    os.rename(site(x) / name, site(x) / put)
    assert os.listdir(site(x) / put)
    die(mount)
    assert set(os.listdir(site(x))) == before - {name}
    assert not (site(x) / put).exists()


@pytest.mark.parametrize("first", [True, False])
def test_of_an_installer(own, mount, first):
    """first: pip came as far as the directory alone."""
    before = set(os.listdir(site(own)))
    os.rename(site(own) / "own_pack", site(own) / "~wn_pack")
    gone = {"own_pack"}
    if not first:
        os.rename(site(own) / "own-1.0.dist-info", site(own) / "~wn-1.0.dist-info")
        gone.add("own-1.0.dist-info")
    upper = mount.upper
    die(mount)
    assert set(os.listdir(site(own))) == before - gone
    left = [p for p in (upper / "x").rglob("*") if p.name.startswith(("~", ".venvfs-tmp"))]
    assert not left


def test_nothing_else(own, mount):
    """Names of the user's own, and those that a pip has put aside while the daemon lives."""
    top = site(own)
    for name in ("~mine", "~", "~~", "~ther.pth", "~wn", "~lain-2.0.dist-info"):
        (top / name).mkdir()
        (top / name / "file").write_text("mine\n")
    (top / "~ther").write_text("a file\n")
    (own / "~lain").mkdir()
    before = set(os.listdir(top))
    mount.venvfs("show", own)
    assert set(os.listdir(top)) == before
    die(mount)
    assert set(os.listdir(top)) == before
    assert (own / "~lain").is_dir()
    assert (top / "~mine" / "file").read_text() == "mine\n"
