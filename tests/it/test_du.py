# SPDX-License-Identifier: MIT
"""`venvfs du`: blocks of the environment's own files, and who holds what of the store."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import wheelmaker
from conftest import Venvfs, wait_for_end
from prepared import site

BIG = os.urandom(300_000)
WHEELS = {
    "left": dict(files={"left/__init__.py": "l = 1\n" * 2000, "left/big.bin": BIG}),
    "right": dict(files={"right/__init__.py": "r = 1\n" * 3000, "right/big.bin": BIG}),
    "both": dict(files={"both/__init__.py": "b = 1\n" * 4000, "both/own.bin": os.urandom(200_000)}),
}


@pytest.fixture
def venvfs(tmp_path, sanitizer_logs):
    """A store of the test's own with the three wheels; `root` is the default root."""
    v = Venvfs(tmp_path / "venvfs", sanitizer_logs)
    made = [wheelmaker.make(tmp_path, name, **arguments) for name, arguments in WHEELS.items()]
    v("store", "add", "--no-compile", *made)
    v.env["VENVFS_ROOT"] = str(tmp_path / "envs")
    return v


def make(venvfs, name, *dists, python="/usr/bin/python3"):
    venvfs("create", name, "--without-pip", "--python", python)
    sync(venvfs, name, *dists)


def sync(venvfs, name, *dists):
    pins = venvfs.tmp / "pins.txt"
    pins.write_text("".join(f"{d}==1.0\n" for d in dists))
    venvfs("sync", "--no-compile", name, pins)


def du(venvfs, *args):
    answer = venvfs.json("du", *args)
    return {Path(e["env"]).name: e for e in answer["environments"]}, answer["total"]


def on_disk(*paths):
    """What `du` says; of a distribution's directory, a blob, a lock."""
    r = subprocess.run(["du", "-s", "--block-size=1", *paths], check=True, stdout=subprocess.PIPE, text=True)
    return sum(int(line.split()[0]) for line in r.stdout.splitlines())


def blob(venvfs, data):
    [p] = [p for p in (venvfs.store / "blobs").glob("*/*") if p.read_bytes() == data]
    return p


def dist(venvfs, name):
    [p] = (venvfs.store / "dists" / name / "1.0").iterdir()
    return p


def lock(venvfs, env):
    [line] = [x for x in (env / "pyvenv.cfg").read_text().splitlines() if x.startswith("venvfs-lock = sha256:")]
    digest = line.partition(":")[2]
    return venvfs.store / "locks" / digest[:2] / digest[2:]


def test_one_environment(venvfs, root):
    make(venvfs, "x", "left", "both")
    rows, total = du(venvfs)
    x = rows["x"]
    assert x["private"] == on_disk(root / "x") > 0
    store = on_disk(dist(venvfs, "left"), dist(venvfs, "both"), blob(venvfs, BIG),
                    blob(venvfs, WHEELS["both"]["files"]["both/own.bin"]), lock(venvfs, root / "x"))
    assert x["unique"] == store and x["shared"] == 0 and x["freed"] == x["private"] + store
    assert x["distributions"] == 2 and x["missing"] == 0 and x["root"] == str(root)
    files = [f for d in ("left", "both") for f in WHEELS[d]["files"].values()]
    assert x["size"] > sum(map(len, files))  # and METADATA, WHEEL
    assert total == {"private": x["private"], "store": store, "bytecode": 0, "freed": x["freed"], "size": x["size"]}


def test_nothing(venvfs, root):
    assert venvfs.json("du") == {
        "environments": [], "unseen": [],
        "total": {"private": 0, "store": 0, "bytecode": 0, "freed": 0, "size": 0}}
    assert "0 environments" in venvfs("du").stdout


def test_sharing(venvfs, root):
    make(venvfs, "x", "left", "both")
    make(venvfs, "y", "right", "both")
    rows, total = du(venvfs)
    common = on_disk(dist(venvfs, "both"), blob(venvfs, BIG), blob(venvfs, WHEELS["both"]["files"]["both/own.bin"]))
    for name, other in (("x", "left"), ("y", "right")):
        own = on_disk(dist(venvfs, other), lock(venvfs, root / name))
        assert rows[name]["unique"] == own and rows[name]["shared"] == common
    assert total["store"] == common + rows["x"]["unique"] + rows["y"]["unique"]
    assert total["freed"] == total["store"] + total["private"]
    # one alone: what the other holds too stays
    [only], asked = du(venvfs, "x")[0].values(), du(venvfs, "x")[1]
    assert only == rows["x"]
    assert asked["freed"] == rows["x"]["freed"] and asked["store"] == rows["x"]["unique"] + common
    # both by name, one of them twice
    assert du(venvfs, "x", root / "y", "x") == (rows, total)
    venvfs("rm", "y")
    rows, _ = du(venvfs)
    assert rows["x"]["shared"] == 0 and rows["x"]["unique"] == common + on_disk(
        dist(venvfs, "left"), lock(venvfs, root / "x"))


def test_the_same_lock(venvfs, root):
    make(venvfs, "x", "left")
    venvfs("clone", "x", "y")
    rows, total = du(venvfs)
    assert rows["x"]["unique"] == rows["y"]["unique"] == 0
    assert rows["x"]["shared"] == rows["y"]["shared"] == total["store"] > 300_000
    assert total["freed"] == total["store"] + total["private"]
    assert total["size"] == 2 * rows["x"]["size"]


def test_earlier_locks_hold(venvfs, root):
    make(venvfs, "x", "left")
    make(venvfs, "y", "both")
    sync(venvfs, "x", "both")
    rows, _ = du(venvfs)
    assert rows["x"]["distributions"] == 1
    assert rows["x"]["unique"] >= on_disk(dist(venvfs, "left"), blob(venvfs, BIG))
    assert rows["y"]["unique"] == 0  # its lock is x's, too
    shutil.rmtree(root / "x/.venvfs")
    rows, _ = du(venvfs)
    assert rows["x"]["unique"] == 0


def test_other_roots_are_known(venvfs, root, tmp_path):
    """By create, by sync, and by mount: a directory of environments that came from elsewhere."""
    make(venvfs, "x", "left")
    alone, _ = du(venvfs)
    assert alone["x"]["shared"] == 0
    venvfs("create", "far", "--without-pip", "--python", "/usr/bin/python3", "--root", tmp_path / "far")
    notes = [p.read_text() for p in (venvfs.store / "roots").iterdir()]
    assert sorted(notes) == [f"{root}\n", f"{tmp_path}/far\n"]
    shutil.copy(root / "x/pyvenv.cfg", tmp_path / "far/far/pyvenv.cfg")
    rows, _ = du(venvfs)
    assert list(rows) == ["x"] and rows["x"]["unique"] == 0 and rows["x"]["shared"] == alone["x"]["unique"]
    assert venvfs.json("du", "--root", tmp_path / "far")["environments"][0]["root"] == str(tmp_path / "far")
    shutil.rmtree(tmp_path / "far")
    assert du(venvfs)[0] == alone


def test_a_mounted_root_is_known(venvfs, root, tmp_path, mounts):
    make(venvfs, "x", "left")
    (tmp_path / "far/y").mkdir(parents=True)
    shutil.copy(root / "x/pyvenv.cfg", tmp_path / "far/y/pyvenv.cfg")
    assert du(venvfs)[0]["x"]["shared"] == 0
    m = mounts(tmp_path / "far")
    assert du(venvfs)[0]["x"]["unique"] == 0
    m.umount()
    assert du(venvfs)[0]["x"]["unique"] == 0


def test_a_root_that_can_not_be_seen(venvfs, root, tmp_path, mounts):
    make(venvfs, "x", "left")
    (tmp_path / "far").mkdir()
    m = mounts(tmp_path / "far")
    assert list((tmp_path / "far").iterdir()) == []  # which the kernel remembers
    os.kill(m.pid, 9)
    wait_for_end(m.pid)
    try:
        answer = venvfs.json("du")
        assert [u for u in answer["unseen"] if str(tmp_path / "far") in u and "venvfs mount" in u]
        assert "not known" in venvfs("du").stderr
    finally:
        venvfs("mount", tmp_path / "far")
        m.pid = m.status()["pid"]


def test_plain_du_agrees(venvfs, root, mount):
    """A store file and a generated one that are not empty show one block each, all else is private."""
    make(venvfs, "x", "left", "both")
    x = root / "x"
    (site(x) / "own.bin").write_bytes(os.urandom(500_000))
    (site(x) / "both/__init__.py").write_text("changed\n")
    (site(x) / "dir").mkdir()
    os.link(site(x) / "own.bin", site(x) / "dir/again.bin")
    venvfs("sync", "--no-compile", "x", venvfs.tmp / "pins.txt")  # not another lock: nothing is kept
    assert not (mount.upper / "x/.venvfs").exists()
    before = {p.relative_to(mount.upper) for p in (mount.upper / "x").rglob("*")}
    views = sum(1 for p in x.rglob("*") if p.is_file() and not p.is_symlink() and p.lstat().st_size
                and p.relative_to(root) not in before)
    assert views > 10
    [row] = du(venvfs, "x")[0].values()
    assert row["private"] == on_disk(x) - 512 * views == on_disk(mount.upper / "x")
    assert row["private"] > 500_000 and row["private"] < 600_000
    assert {p.relative_to(mount.upper) for p in (mount.upper / "x").rglob("*")} == before  # it changes nothing
    mount.umount()
    assert du(venvfs, "x")[0]["x"] == row
    mount.mount()


def test_bytecode_is_told_apart(venvfs, root):
    make(venvfs, "x", "left", "both")
    before, _ = du(venvfs)
    venvfs("store", "compile", "--python", "/usr/bin/python3")
    rows, total = du(venvfs)
    made = on_disk(*(venvfs.store / "pyc").iterdir())
    pycs = [p.parent.parent.name for p in (venvfs.store / "pyc").rglob("manifest")]
    assert dist(venvfs, "left").name in pycs
    held = on_disk(*(venvfs.store / "pyc" / dist(venvfs, n).name for n in ("left", "both")))
    assert 0 < held < made  # right's is nobody's
    assert rows["x"]["bytecode"] == total["bytecode"] == held
    assert rows["x"]["unique"] == before["x"]["unique"] + held


def test_a_read_only_tier_is_not_freed(venvfs, root, tmp_path, sanitizer_logs):
    make(venvfs, "x", "left")
    cfg = (root / "x/pyvenv.cfg").read_text()
    other = Venvfs(tmp_path / "other", sanitizer_logs)
    other.env["VENVFS_ROOT"] = str(tmp_path / "others")
    (tmp_path / "others/y").mkdir(parents=True)
    (tmp_path / "others/y/pyvenv.cfg").write_text(cfg)
    [y] = other.json("du", "--tier", venvfs.store)["environments"]
    assert y["unique"] == 0 and y["shared"] > 300_000 and y["freed"] == y["private"]
    assert y["missing"] == 0
    [y] = other.json("du")["environments"]
    assert y["shared"] == y["unique"] == 0  # not even the lock


def test_what_is_missing(venvfs, root):
    make(venvfs, "x", "left", "both")
    shutil.rmtree(dist(venvfs, "left"))
    [row] = du(venvfs, "x")[0].values()
    assert row["missing"] == 1 and row["distributions"] == 2
    (root / "x/pyvenv.cfg").write_text("torn")
    [row] = du(venvfs, "x")[0].values()
    assert row["private"] == on_disk(root / "x") and row["unique"] == 0


def test_ordinary_environments(venvfs, root, tmp_path):
    """They hold nothing of the store; outside of a root, too."""
    for place in (root / "plain", tmp_path / "elsewhere/plain"):
        place.mkdir(parents=True)
        (place / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n")
        (place / "data").write_bytes(os.urandom(10_000))
        [row] = du(venvfs, place)[0].values()
        assert row["private"] == row["freed"] == on_disk(place) and row["unique"] == row["shared"] == 0


def test_text(venvfs, root):
    make(venvfs, "x", "left")
    make(venvfs, "longer-name", "both")
    lines = venvfs("du").stdout.splitlines()
    assert lines[0].split() == ["private", "unique", "shared", "if", "removed", "as", "files"]
    assert [line.split()[0] for line in lines[1:4]] == ["longer-name", "x", "total"]
    assert " KiB" in lines[1] and lines[4].startswith("2 environments: ") and "bytecode" in lines[4]
    assert len(venvfs("du", "x").stdout.splitlines()) == 3


def test_refusals(venvfs, root):
    r = venvfs("du", "gone", check=False)
    assert r.returncode == 1 and "gone" in r.stderr and "venvfs create" in r.stderr
    assert venvfs("du", "--frob", check=False).returncode == 2


def test_as_another_user(other_user):
    envs = other_user.home / "envs"
    other_user.venvfs("create", "--without-pip", "--python", "/usr/bin/python3", "e", "--root", envs)
    r = other_user.venvfs("du", "--root", envs)
    assert r.stdout.splitlines()[1].split()[0] == "e" and r.stderr == ""
