# SPDX-License-Identifier: MIT
"""What `venvfs sync` can not do: it names the thing and the reason, and the environment stays as it was."""

import os
import shutil
import signal
import subprocess

import pytest

from indexserver import sha256
from syncing import (  # noqa: F401 (fixtures are found by name)
    env, has, index, known, left_behind, library, package, pin, pins, pylock, unchanged, x,
)


# what fails


def test_every_fault_is_named(unchanged, pins, index, small_wheels):
    index.add(small_wheels("here"), small_wheels("old", "1.0"))
    with unchanged as u:
        said = u.sync(pins("here==1.0", "nowhere==1.0", "old==2.0", "gone==3.0"))
        for name in ("nowhere 1.0: ", "old 2.0: ", "gone 3.0: "):
            assert f"venvfs: {name}" in said
        assert "venvfs: here" not in said
    # What could be had is there for the next time.
    index.files.clear()
    unchanged.venvfs("sync", "x", pins("here==1.0"))


def test_hash_mismatch(unchanged, pins, index, small_wheels):
    one = small_wheels("one")
    index.add(one)
    index.bodies[one.name] = small_wheels("one", files={"one.py": "evil = 1\n"}).read_bytes()
    with unchanged as u:
        assert "one 1.0: " in u.sync(pins(f"one==1.0 --hash=sha256:{'1' * 64}"))


def test_pylock_faults(unchanged, tmp_path, index, small_wheels, known):
    good, bad, gone, short = (small_wheels(n) for n in ("good", "bad", "gone", "short"))
    index.add(good, bad, gone, short)
    index.bodies[bad.name] = good.read_bytes()
    index.status[gone.name] = 404
    index.bodies[short.name] = b"PK"
    lock = pylock(
        tmp_path,
        *(package(w, index.file_url(w)) for w in (good, bad, gone, short)),
    )
    with unchanged as u:
        said = u.sync(lock)
        assert "bad 1.0: bad-1.0-py3-none-any.whl is another file than the one pinned" in said
        assert sha256(bad) in said
        assert "gone 1.0: gone-1.0-py3-none-any.whl: the server does not have it" in said
        assert "short 1.0: " in said and "good 1.0" not in said


def test_pylock_wheel_that_is_refused(unchanged, tmp_path, index, small_wheels, known):
    bad = small_wheels("bad", files={"bad.py": ""}, extra_members=[("../evil.py", "x")])
    index.add(bad)
    with unchanged as u:
        assert "(rule " in u.sync(pylock(tmp_path, package(bad, index.file_url(bad))))


def test_pylock_no_wheel_fits(unchanged, tmp_path, index, small_wheels, known):
    a = small_wheels("a", tag="cp311-cp311-win_amd64", pure=False)
    b = small_wheels("b", tag="cp38-cp38-macosx_11_0_arm64", pure=False)
    index.add(a, b)
    lock = pylock(tmp_path, package(a, index.file_url(a)), package(b, index.file_url(b)))
    with unchanged as u:
        said = u.sync(lock)
        assert "a 1.0: " in said and "b 1.0: " in said


def test_pylock_missing_local_wheel(unchanged, tmp_path, index, small_wheels, known):
    one = small_wheels("one")
    lock = pylock(tmp_path, package(one, path="wheels/" + one.name))
    one.unlink()
    with unchanged as u:
        assert "one 1.0: " in u.sync(lock)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("lock-version = [", "pylock.toml"),
        ('lock-version = "9.0"\ncreated-by = "x"\npackages = []\n', "9.0"),
        ('lock-version = "1.0"\n', "created-by"),
    ],
)
def test_pylock_that_is_none(venvfs, x, tmp_path, index, known, text, reason):
    (tmp_path / "pylock.toml").write_text(text)
    before = (x / "pyvenv.cfg").read_bytes()
    r = venvfs("sync", "x", tmp_path / "pylock.toml", check=False)
    assert r.returncode == 1 and reason in r.stderr
    assert (x / "pyvenv.cfg").read_bytes() == before


def test_login(unchanged, tmp_path, index, small_wheels, library, venvfs):
    one = small_wheels("one")
    index.add(one, library)
    venvfs("sync", "x", pylock(tmp_path, name="pylock.none.toml"))  # gets the library
    index.login = "user:secret"
    lock = pylock(tmp_path, package(one, index.file_url(one)))
    with unchanged as u:
        said = u.sync(lock)
        assert "one 1.0: " in said and "401" in said
    # pip is told of it, so that by pip it can be had
    venvfs.env["PIP_INDEX_URL"] = f"{index.url.replace('//', '//user:secret@')}/simple/"
    venvfs("sync", "x", lock)
    assert has(venvfs) == {"one": "1.0"}


def test_netrc(venvfs, x, tmp_path, index, small_wheels, known):
    one = small_wheels("one")
    index.add(one)
    venvfs("sync", "x", pylock(tmp_path, name="pylock.none.toml"))
    index.login = "user:secret"
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    venvfs.env["PIP_INDEX_URL"] = "http://127.0.0.1:9/"
    venvfs("sync", "x", pylock(tmp_path, package(one, index.file_url(one))))
    assert has(venvfs) == {"one": "1.0"}


@pytest.mark.parametrize(
    "lines, reason",
    [
        (["one==1.0", "requests"], 'requirements.txt:2: "requests": not pinned'),
        (["one>=1.0"], "requirements.txt:1:"),
        (["one==1.*"], "not pinned"),
        (["one==1.0", "one==2.0"], "pinned twice"),
        (["-r other.txt"], "another file is not followed"),
        (["-e ."], "editable"),
        (["one @ https://example.org/one-1.0-py3-none-any.whl"], "a URL is not a pin"),
        (["one==1.0 --hash=md5:abc"], "not a SHA-256"),
    ],
)
def test_lines_that_are_no_pins(venvfs, x, pins, index, small_wheels, lines, reason):
    index.add(small_wheels("one"))
    before = (x / "pyvenv.cfg").read_bytes()
    r = venvfs("sync", "x", pins(*lines), check=False)
    assert r.returncode == 1 and reason in r.stderr
    assert (x / "pyvenv.cfg").read_bytes() == before and index.log == []


def test_conflicting_pins(unchanged, pins, index, small_wheels, known):
    index.add(small_wheels("one", "1.0"), small_wheels("one", "2.0"))
    with unchanged as u:
        said = u.sync(pins("one==1.0; python_version > '3'", "one==2.0; sys_platform == 'linux'"))
        assert "line 2 pins one 2.0, and a line before it pins 1.0" in said


def test_bad_marker(unchanged, pins, index, small_wheels, known):
    with unchanged as u:
        assert "nonsense" in u.sync(pins("one==1.0; nonsense == 'x'"))


def test_no_such_file_or_environment(venvfs, x, pins, tmp_path, debian_python):
    r = venvfs("sync", "x", tmp_path / "nowhere.txt", check=False)
    assert r.returncode == 1 and "nowhere.txt" in r.stderr
    r = venvfs("sync", "y", pins(), check=False)
    assert r.returncode == 1 and "venvfs create" in r.stderr
    subprocess.run([debian_python, "-m", "venv", "--without-pip", tmp_path / "real"], check=True)
    before = (tmp_path / "real" / "pyvenv.cfg").read_bytes()
    r = venvfs("sync", tmp_path / "real", pins(), check=False)
    assert r.returncode == 1 and "lies in no root" in r.stderr
    assert (tmp_path / "real" / "pyvenv.cfg").read_bytes() == before


def test_library_that_can_not_be_had(venvfs, x, tmp_path, index):
    r = venvfs("sync", "x", pylock(tmp_path), check=False)
    assert r.returncode == 1 and "packaging-26.2-py3-none-any.whl" in r.stderr
    assert "venvfs store add" in r.stderr


def test_killed(venvfs, x, tmp_path, index, small_wheels, library, env):
    """kill -9 in the middle of a download leaves the environment as it was, and nothing for ever."""
    first, slow = small_wheels("first"), small_wheels("slow", files={"slow.py": "x = 1\n" * 50000})
    index.add(first, slow, library)
    lock = pylock(tmp_path, *(package(w, index.file_url(w)) for w in (first, slow)))
    before = (x / "pyvenv.cfg").read_bytes()
    index.stall.add(slow.name)
    with venvfs.popen("sync", "x", lock, stdout=subprocess.DEVNULL) as p:
        assert index.stalled.wait(60)
        p.send_signal(signal.SIGKILL)
    assert (x / "pyvenv.cfg").read_bytes() == before
    assert len(left_behind(env)) == 1
    index.stall.clear()
    index.released.set()
    venvfs("sync", "x", lock)
    assert has(venvfs) == {"first": "1.0", "slow": "1.0"}
    assert not left_behind(env)
    assert not [p for p in (venvfs.store / "tmp").iterdir()]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB."""
    d = tmp_path / "disk"
    d.mkdir()
    r = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", d], stderr=subprocess.PIPE, text=True
    )
    if r.returncode != 0:
        pytest.skip(f"can not mount a small tmpfs: {r.stderr.strip()}")
    yield d
    subprocess.run(["umount", "-l", d], check=True)


@pytest.mark.parametrize("what", ["store", "work"])
def test_disk_full(venvfs, x, tmp_path, index, small_wheels, library, small_disk, env, what):
    small, big = small_wheels("small"), small_wheels("big", files={"big.bin": os.urandom(8 << 20)})
    index.add(small, big, library)
    venvfs("sync", "x", pylock(tmp_path, name="pylock.none.toml"))
    if what == "store":
        shutil.copytree(venvfs.store, small_disk / "store", symlinks=True)
        (small_disk / "store").chmod(0o700)
        options = ("--store", small_disk / "store")
    else:
        venvfs.env["TMPDIR"] = str(small_disk)
        options = ()
    before = (x / "pyvenv.cfg").read_bytes()
    lock = pylock(tmp_path, package(small, index.file_url(small)), package(big, index.file_url(big)))
    r = venvfs(*options, "sync", "x", lock, check=False)
    assert r.returncode == 1 and "No space left" in r.stderr and "big" in r.stderr
    assert (x / "pyvenv.cfg").read_bytes() == before
    assert not left_behind(small_disk)
    # With room again it works.
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    venvfs(*options, "sync", "x", lock)
    assert {d["name"] for d in venvfs.json(*options, "show", "x")["distributions"]} == {"small", "big"}
