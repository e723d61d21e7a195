# SPDX-License-Identifier: MIT
"""Paths and names of any length, and what is left once they are deleted: nothing."""

import os
import shutil
import subprocess

import pytest
from prepared import prepared, site, venvfs, x  # noqa: F401

WHEELS = {"demo": {"files": {"demo/__init__.py": "", "demo/a.py": "a\n" * 9}}}


@pytest.fixture
def demo(x):
    return site(x) / "demo"


@pytest.fixture
def anywhere(request):
    """Back to where it was, whatever a test does."""
    fd = os.open(".", os.O_PATH)
    yield
    os.fchdir(fd)
    os.close(fd)


@pytest.mark.parametrize("name, n", [("d" * 100, 300), ("d", 2000)])
def test_deeper_than_a_path_can_tell(mount, demo, anywhere, name, n):
    """30 KiB of path, and 2,000 directories: made, used, renamed, listed and removed step by step."""
    top = mount.path / "plain"
    top.mkdir()
    for place in (top, demo):
        os.chdir(place)
        for _ in range(n):
            os.mkdir(name)
            os.chdir(name)
        with open("f", "w") as f:
            f.write("deep")
        os.rename("f", "g")
        os.symlink("g", "link")
        os.link("g", "h")
        os.chmod("g", 0o600)
        assert open("link").read() == "deep" and sorted(os.listdir()) == ["g", "h", "link"]
        assert os.stat("h").st_nlink == 2 and os.stat("h").st_mode & 0o777 == 0o600
        os.mkdir("e")
        os.rename("e", "e2")
        os.rmdir("e2")
        os.chdir(place)
        os.rename(name, "moved")
        subprocess.run(["rm", "-rf", place / "moved"], check=True)
        assert "moved" not in os.listdir(place) and name not in os.listdir(place)


def test_paths_of_path_max(demo):
    """As long as a path may be, and one byte more."""
    base = os.fsencode(demo)
    for length in (4094, 4095):
        path = base + b"/" * (length - len(base) - 4) + b"a.py"
        assert len(path) == length and os.stat(path).st_size == 18
    with pytest.raises(OSError, match="File name too long"):
        os.stat(base + b"/" * (4096 - len(base) - 4) + b"a.py")


def test_nothing_is_left(mount, x, demo):
    (demo / ("n" * 255)).mkdir()
    (demo / ("n" * 255) / ("m" * 255)).write_text("")
    shutil.rmtree(demo)
    assert not demo.exists()
    shutil.rmtree(x)
    assert os.listdir(mount.upper) == []
