# SPDX-License-Identifier: MIT
"""The store as a person handles it: adding, listing, checking, tiers; and what must hold when two do it
at once, when one is killed, and when the disk is full."""

import fcntl
import hashlib
import os
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

import badwheels
import wheelmaker


def test_add_and_list(venvfs, small_wheels):
    wheel = small_wheels("Demo.Pkg", "1.0+local", files={"demo_pkg/__init__.py": "", "demo_pkg/big.bin": b"x" * 300_000})
    r = venvfs("store", "add", "--no-compile", wheel)
    assert "1 wheel in the store" in r.stdout and r.stderr == ""
    [row] = venvfs.json("store", "ls")
    assert (row["name"], row["version"], row["wheel"]) == ("demo-pkg", "1.0+local", wheel.name)
    assert row["wheel_digest"] == "sha256:" + hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert row["store"] == str(venvfs.store)
    for name in ("demo-pkg", "Demo_Pkg"):
        assert "demo-pkg" in venvfs("store", "ls", name).stdout
    r = venvfs("store", "ls", "other", check=False)
    assert "other: nothing of that name" in r.stderr
    assert r.returncode == 1 and "store ls" in r.stderr
    verdict = venvfs.json("store", "verify")
    assert verdict["bad"] == 0 and verdict["distributions"] == 1 and verdict["blobs"] == 1


def test_json_of_add(venvfs, small_wheels):
    wheels = [small_wheels("one"), small_wheels("two")]
    rows = venvfs.json("store", "add", "--no-compile", *wheels)
    assert [r["name"] for r in rows] == ["one", "two"]
    assert {r["address"] for r in rows} == {r["address"] for r in venvfs.json("store", "ls")}


@pytest.mark.parametrize("together", [True, False])
def test_wheels_of_one_content(venvfs, tmp_path, together):
    """A wheel that was packed anew has the same in it: one distribution, known by both."""
    wheels = [tmp_path / badwheels.FILE, tmp_path / badwheels.FILE.replace("-py3", "-1-py3")]
    wheels[0].write_bytes(badwheels.wheel())
    wheels[1].write_bytes(badwheels.wheel(comment=b"packed anew"))
    for batch in [wheels] if together else [[w] for w in wheels]:
        venvfs("store", "add", "--no-compile", *batch, wheels[0])
    rows = venvfs.json("store", "ls")
    assert len({r["address"] for r in rows}) == 1
    assert {(r["wheel"], r["wheel_digest"]) for r in rows} == {
        (w.name, "sha256:" + hashlib.sha256(w.read_bytes()).hexdigest()) for w in wheels}
    assert venvfs.json("store", "verify")["bad"] == 0
    assert list((venvfs.store / "tmp").iterdir()) == []


def snapshot(store):
    return {str(p.relative_to(store)): (p.stat().st_ino, p.stat().st_mtime_ns, p.stat().st_size)
            for p in store.rglob("*") if p.is_file() and not p.is_relative_to(store / "notes")}


def test_adding_again_stores_nothing(venvfs, small_wheels):
    wheel = small_wheels("demo", files={"demo.py": "x = 1\n", "big.bin": b"y" * 200_000})
    venvfs("store", "add", "--no-compile", wheel)
    before = snapshot(venvfs.store)
    venvfs("store", "add", "--no-compile", wheel)
    assert snapshot(venvfs.store) == before


def test_wrappers_are_left_out(venvfs, small_wheels):
    """Scripts of an entry point's name, as some tools put them in: they are made anew in each environment."""
    names = ["run", "run.exe", "run-script.py", "run.pya", "runner", "ru", "run.py", "x.exe"]
    wheel = small_wheels("demo", scripts={n: "#!python\n" for n in names},
                         entry_points={"console_scripts": {"run": "demo:main", "walk": "demo:walk"}})
    venvfs("store", "add", "--no-compile", wheel)
    [manifest] = venvfs.store.glob("dists/demo/*/*/manifest")
    found = re.findall(r"^file bin .* (\S+)$", manifest.read_text(), re.M)
    assert sorted(found) == ["ru", "run.py", "runner", "x.exe"]


def on_a_terminal(venvfs, columns, *args):
    """Runs it with a terminal of so many columns as stderr: returns the exit code, stdout and what that got."""
    own, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    got = bytearray()

    def read():
        while True:
            try:
                part = os.read(own, 65536)
            except OSError:  # EIO: nobody has the other end any more
                return
            if not part:
                return
            got.extend(part)

    with venvfs.popen(*args, stdout=subprocess.PIPE, stderr=theirs, stdin=subprocess.DEVNULL) as p:
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        out = p.communicate(timeout=120)[0]
        reader.join(60)
    os.close(own)
    return p.returncode, out, got.decode()


@pytest.mark.parametrize("columns", [80, 20])
def test_progress_on_a_terminal(venvfs, tmp_path, small_wheels, columns):
    wheels = [small_wheels(f"demo{i}") for i in range(5)]
    bad = tmp_path / "bad-1-py3-none-any.whl"
    bad.write_bytes(b"no archive")
    code, out, shown = on_a_terminal(venvfs, columns, "store", "add", "--no-compile", *wheels, bad)
    assert code == 1 and out == "5 wheels in the store\n"
    erase = "\r\x1b[K"
    lines = shown.split(erase)
    drawn = [line for line in lines if line.startswith("adding ")]
    assert drawn and all(len(line) < columns and "\n" not in line for line in drawn), shown
    # the complaint has a line of its own, and nothing is left behind
    [complaint] = [line for line in lines if bad.name in line]
    assert complaint.startswith("venvfs: ") and complaint.count("\n") == 1
    assert lines[-1] == "" or lines[-1] == complaint, shown


def test_usage(venvfs):
    for args in (["store"], ["store", "frobnicate"], ["store", "add"], ["store", "add", "--nonsense", "x"],
                 ["store", "verify", "x"]):
        r = venvfs(*args, check=False)
        assert r.returncode == 2 and "usage: venvfs store" in r.stderr, (args, r.stderr)
    assert "store add" in venvfs("store", "--help").stdout


@pytest.mark.parametrize("victim", ["pack", "blob", "manifest"])
def test_verify_finds_a_flipped_byte(venvfs, small_wheels, victim):
    wheel = small_wheels("demo", files={"demo.py": "x = 1\n" * 50, "big.bin": os.urandom(200_000)})
    venvfs("store", "add", "--no-compile", wheel)
    assert venvfs.json("store", "verify")["bad"] == 0
    where = {"pack": "dists/*/*/*/pack", "blob": "blobs/*/*", "manifest": "dists/*/*/*/manifest"}[victim]
    [path] = venvfs.store.glob(where)
    data = bytearray(path.read_bytes())
    data[len(data) // 3 if victim != "pack" else 3] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    r = venvfs("store", "verify", check=False)
    assert r.returncode == 1
    assert len([line for line in r.stdout.splitlines() if str(venvfs.store) in line]) >= 1
    assert "demo" in r.stdout or path.name in r.stdout
    # the way out that it names
    venvfs("store", "add", "--no-compile", wheel)
    assert venvfs.json("store", "verify")["bad"] == 0


def test_blobs_are_shared(venvfs, small_wheels):
    same = os.urandom(500_000)
    wheels = [small_wheels("demo", v, files={"demo/big.bin": same, "demo/v.py": v}) for v in ("1", "2")]
    venvfs("store", "add", "--no-compile", *wheels)
    assert len(list(venvfs.store.glob("blobs/*/*"))) == 1
    times = {p.stat().st_mtime_ns // 10**9 for p in venvfs.store.glob("dists/demo/*/*/manifest")}
    assert len(times) == 2, "two manifests of a name show the same second"


def test_two_at_once(venvfs, small_wheels):
    wheels = [small_wheels(f"demo{i}", files={f"demo{i}.py": f"{i}\n" * 999, f"b{i}.bin": bytes([i]) * 200_000})
              for i in range(20)]
    running = [venvfs.popen("store", "add", "--no-compile", *random.sample(wheels, 20),
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(4)]
    for p in running:
        assert p.wait(120) == 0, p.stderr.read()
        p.stderr.close()
    assert len(venvfs.json("store", "ls")) == 20
    assert venvfs.json("store", "verify")["bad"] == 0
    assert list((venvfs.store / "tmp").iterdir()) == []


def test_killed_anywhere(venvfs, tmp_path):
    """SIGKILL at moments spread over the whole run: a store is never half of anything."""
    directory = tmp_path / "w"
    directory.mkdir()
    wheels = [wheelmaker.make(directory, f"demo{i}", files={f"demo{i}/{k}.py": f"{k}\n" * 300 for k in range(40)} |
                              {f"demo{i}/big.bin": random.Random(i).randbytes(400_000)}) for i in range(12)]
    start = time.monotonic()
    venvfs("store", "add", "--no-compile", *wheels)
    whole = time.monotonic() - start
    shutil.rmtree(venvfs.store)
    killed = 0
    for k in range(24):
        p = venvfs.popen("store", "add", "--no-compile", *wheels, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
        time.sleep(whole * k / 20)
        p.send_signal(signal.SIGKILL)
        killed += p.wait() == -signal.SIGKILL
        verdict = venvfs.json("store", "verify", check=False)
        assert verdict["bad"] == 0, verdict
        if verdict["distributions"] == len(wheels):
            shutil.rmtree(venvfs.store)
    assert killed > 5, "it was over before it could be killed"
    venvfs("store", "add", "--no-compile", *wheels)
    assert len(venvfs.json("store", "ls")) == len(wheels)
    assert list((venvfs.store / "tmp").iterdir()) == [], "what the killed ones left is still there"


@pytest.fixture
def small_disk(tmp_path):
    """A directory on a disk of its own, of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "venvfs-test", disk],
                       stderr=subprocess.PIPE, text=True)
    if r.returncode != 0:
        pytest.skip(f"can not mount a small tmpfs: {r.stderr.strip().splitlines()[0]}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_full_disk(venvfs, small_disk, small_wheels):
    store = small_disk / "store"
    good = small_wheels("demo", files={"demo.py": "x = 1\n"})
    large = small_wheels("large", files={"large.bin": os.urandom(6_000_000)})
    venvfs("--store", store, "store", "add", "--no-compile", good)
    r = venvfs("--store", store, "store", "add", "--no-compile", large, check=False)
    assert r.returncode == 1 and "No space left" in r.stderr and "large" in r.stderr, r.stderr
    assert [d["name"] for d in venvfs.json("--store", store, "store", "ls")] == ["demo"]
    assert venvfs.json("--store", store, "store", "verify")["bad"] == 0
    assert list((store / "tmp").iterdir()) == []
    venvfs("--store", store, "store", "add", "--no-compile", good)


def test_tiers_are_read_only(venvfs, tmp_path, small_wheels):
    tier = tmp_path / "tier"
    wheel = small_wheels("demo", files={"demo.py": "x = 1\n", "big.bin": b"z" * 200_000})
    venvfs("--store", tier, "store", "add", "--no-compile", wheel)
    before = {p: p.lstat().st_mtime_ns for p in [tier, *tier.rglob("*")]}
    rows = venvfs.json("--tier", tier, "store", "ls")
    assert [(r["name"], r["store"]) for r in rows] == [("demo", str(tier))]
    venvfs("--tier", tier, "store", "add", "--no-compile", wheel)
    assert list(venvfs.store.glob("dists/*")) == [], "it was stored again above the tier that has it"
    other = small_wheels("other")
    venvfs("--tier", tier, "store", "add", "--no-compile", other)
    assert [p.name for p in venvfs.store.glob("dists/*")] == ["other"]
    assert {p: p.lstat().st_mtime_ns for p in [tier, *tier.rglob("*")]} == before


def test_refused_stores(venvfs, tmp_path, small_wheels):
    wheel = small_wheels("demo")
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    r = venvfs("--store", open_to_all, "store", "add", wheel, check=False)
    assert r.returncode == 1 and "chmod go-w" in r.stderr
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("all my work")
    r = venvfs("--store", foreign, "store", "add", wheel, check=False)
    assert r.returncode == 1 and "not empty" in r.stderr
    assert [p.name for p in foreign.iterdir()] == ["thesis.tex"]
    r = venvfs("--tier", tmp_path / "missing", "store", "ls", check=False)
    assert r.returncode == 1 and "missing" in r.stderr


def twins():
    """Two files of 512 bytes with equal XXH3-64 and XXH3-128: where the low half of a word is that of the
    hash's secret, its high half is only added, and what one word gains another can lose."""
    a = bytearray(ord("A") + i % 26 for i in range(512))
    a[0:4], a[64:68] = bytes.fromhex("b8fe6c39"), bytes.fromhex("7c01812c")
    b = bytearray(a)
    for at, delta in ((4, 0x01010101), (68, -0x01010101)):
        word = int.from_bytes(b[at : at + 4], "little") + delta
        b[at : at + 4] = (word % 2**32).to_bytes(4, "little")
    return bytes(a), bytes(b)


def test_equal_xxh3_is_no_identity(venvfs, tmp_path, small_wheels):
    a, b = twins()
    assert a != b
    # large enough to be blobs, which are shared by name
    files = {"one.bin": a, "two.bin": b, "big_one.bin": a + bytes(200_000), "big_two.bin": b + bytes(200_000)}
    venvfs("store", "add", "--no-compile", small_wheels("one", files=files))
    venvfs("store", "add", "--no-compile", small_wheels("two", files={"two.bin": b}), small_wheels("three", files={"one.bin": a}))
    [manifest] = venvfs.store.glob("dists/one/*/*/manifest")
    for data in files.values():
        assert hashlib.sha256(data).hexdigest() in manifest.read_text()
    assert len(list(venvfs.store.glob("blobs/*/*"))) == 2
    assert venvfs.json("store", "verify")["bad"] == 0
