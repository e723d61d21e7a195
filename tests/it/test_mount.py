# SPDX-License-Identifier: MIT
"""Mounting and its ends: the commands, other users, tiers, and a daemon that is killed."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import wheelmaker
from conftest import Venvfs, force_umount, is_mounted, wait_for_end

FILES = {"demo/__init__.py": "", "demo/mod.py": "x = 1\n", "demo/big.bin": bytes(300_000)}


@pytest.fixture(scope="module")
def ready(tmp_path_factory, debian_python):
    """A store with one wheel, and the text of an environment's pyvenv.cfg that has it."""
    base = tmp_path_factory.mktemp("ready")
    venvfs = Venvfs(base, None)
    wheel = wheelmaker.make(base, "demo", files=FILES, entry_points={"console_scripts": {"demo": "demo:main"}})
    venvfs("store", "add", "--no-compile", wheel)
    venvfs("create", base / "x", "--without-pip", "--python", debian_python, "--root", base)
    (base / "pins.txt").write_text("demo==1.0\n")
    venvfs("sync", "--no-compile", base / "x", base / "pins.txt", "--root", base)
    return base, (base / "x" / "pyvenv.cfg").read_bytes()


@pytest.fixture
def venvfs(ready, sanitizer_logs):
    return Venvfs(ready[0], sanitizer_logs)


@pytest.fixture
def root(tmp_path, ready):
    """With an environment x in it."""
    d = tmp_path / "envs"
    (d / "x").mkdir(parents=True)
    (d / "x" / "pyvenv.cfg").write_bytes(ready[1])
    return d


def site(env):
    [d] = Path(env).glob("lib/python3*/site-packages")
    return d


def read(path):
    """Without the isatty() that Python's open() asks."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 1 << 20)
    finally:
        os.close(fd)


def options_of(path):
    with open("/proc/self/mountinfo") as f:
        for line in f:
            fields = line.split()
            if fields[4] == os.path.realpath(path):
                return fields[5].split(","), fields[fields.index("-") + 1], fields[-1].split(",")
    return None


def test_mount_and_umount(venvfs, root, mounts):
    m = mounts(root)
    flags, kind, options = options_of(root)
    assert kind == "fuse.venvfs"
    assert {"nosuid", "nodev", "rw"} <= set(flags) and "noexec" not in flags
    assert "default_permissions" in options and "allow_other" not in options
    assert site(root / "x").joinpath("demo/mod.py").read_text() == "x = 1\n"
    [st] = [s for s in venvfs.json("status", check=False) if s["root"] == str(root)]
    assert st["pid"] == m.pid and st["requests"]["LOOKUP"] > 0 and st["faults"] == []
    assert str(root) in venvfs("status", check=False).stdout
    m.umount()
    assert [p.name for p in (root / "x").iterdir()] == ["pyvenv.cfg"]
    r = venvfs("umount", root, check=False)
    assert r.returncode == 1 and "not mounted" in r.stderr


def test_default_root(venvfs, tmp_path, fuse):
    home = tmp_path / "home"
    home.mkdir()
    venvfs.env["HOME"] = str(home)
    try:
        venvfs("mount")
        assert is_mounted(home / "envs")
        venvfs("umount")
        assert not is_mounted(home / "envs")
    finally:
        force_umount(home / "envs")


def test_missing_parents_are_made(venvfs, tmp_path, fuse):
    d = tmp_path / "a" / "b" / "envs"
    try:
        venvfs("mount", d, cwd=tmp_path)
        assert is_mounted(d)
        assert (Path(venvfs.env["XDG_STATE_HOME"]) / "venvfs" / "mount.log").exists()
        venvfs("umount", d)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]
    finally:
        force_umount(d)


def test_a_live_one_is_left_alone(venvfs, root, mounts):
    m = mounts(root)
    r = venvfs("mount", root, check=False)
    assert r.returncode == 1 and "mounted already" in r.stderr and "umount" in r.stderr
    assert m.status()["pid"] == m.pid


@pytest.mark.parametrize("deaths", [1, 3])
def test_dead_ones_are_cleared(venvfs, root, mounts, deaths):
    m = mounts(root)
    private = site(root / "x") / "private.py"
    private.write_text("mine")
    for _ in range(deaths):
        os.kill(m.pid, signal.SIGKILL)
        wait_for_end(m.pid)
        with pytest.raises(OSError):
            os.statvfs(root)
        r = venvfs("status", check=False)
        assert r.returncode == 1 and "does not answer" in r.stdout + r.stderr
        m.mount()
        assert private.read_text() == "mine"
        assert site(root / "x").joinpath("demo/mod.py").read_text() == "x = 1\n"
    m.umount()
    assert not is_mounted(root)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("foreground", [False, True])
def test_signals_unmount(venvfs, root, fuse, sig, foreground):
    p = None
    try:
        if foreground:
            p = venvfs.popen("mount", "-f", root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = time.monotonic() + 30
            while not is_mounted(root) and time.monotonic() < end:
                time.sleep(0.01)
        else:
            venvfs("mount", root)
        [st] = [s for s in venvfs.json("status", check=False) if s["root"] == str(root)]
        os.kill(st["pid"], sig)
        if p:
            assert p.wait(30) == 0
        wait_for_end(st["pid"])
        assert not is_mounted(root)
    finally:
        if p and p.poll() is None:
            p.kill()
        force_umount(root)


@pytest.mark.parametrize("relative", [False, True])
def test_a_root_that_is_a_link(venvfs, root, tmp_path, fuse, relative):
    """It is the directory it leads to: mounted once, and unmounted by either name, also when it is dead."""
    link = tmp_path / "link"
    link.symlink_to("link-2" if relative else root)
    (tmp_path / "link-2").symlink_to(root)
    try:
        venvfs("mount", link)
        r = venvfs("mount", link, check=False)
        assert r.returncode == 1 and "mounted already and alive" in r.stderr
        assert (link / "x/bin/python").is_symlink() and len(mounts_at(root)) == 1
        [pid] = [m["pid"] for m in json.loads(venvfs("status", "--json", check=False).stdout) if m["root"] == str(root)]
        os.kill(pid, 9)
        while mounts_at(root) and answers(root):
            time.sleep(0.01)
        venvfs("mount", f"{link}/")
        assert len(mounts_at(root)) == 1 and (root / "x/bin/python").is_symlink()
        venvfs("umount", link)
        assert not mounts_at(root)
    finally:
        force_umount(root)


def mounts_at(path):
    with open("/proc/self/mountinfo") as f:
        return [line for line in f if line.split()[4] == str(path)]


def answers(path):
    try:
        os.statvfs(path)
    except OSError:
        return False
    return True


def test_in_use_for_a_moment(venvfs, root, fuse):
    """Another command that looks at every mount is no reason to refuse."""
    venvfs("mount", root)
    fd = os.open(root, os.O_RDONLY)
    p = venvfs.popen("umount", root)
    try:
        time.sleep(0.2)
        assert p.poll() is None
    finally:
        os.close(fd)
        code = p.wait(30)
        force_umount(root)
    assert code == 0


def test_busy(venvfs, root, mounts):
    mounts(root)
    with subprocess.Popen(["sleep", "60"], cwd=root / "x") as p:
        r = venvfs("umount", root, check=False)
        assert r.returncode == 1 and "in use" in r.stderr
        assert is_mounted(root)
        p.kill()


def test_read_only(venvfs, root, mounts):
    mounts(root, "-r")
    assert "ro" in options_of(root)[0]
    for change in (lambda: (root / "y").mkdir(), lambda: (root / "x" / "pyvenv.cfg").write_text("home = /"),
                   lambda: site(root / "x").joinpath("demo/mod.py").write_text("y"),
                   lambda: os.chmod(site(root / "x") / "demo/mod.py", 0o600),
                   lambda: site(root / "x").joinpath("demo/mod.py").unlink(), lambda: os.rename(root / "x", root / "y")):
        with pytest.raises(OSError) as e:
            change()
        assert e.value.errno == 30
    r = subprocess.run([root / "x" / "bin" / "python", "-c", "import demo.mod; print(demo.mod.x)"],
                       stdout=subprocess.PIPE, text=True, check=True)
    assert r.stdout == "1\n"


def fewest(mount, caches, work):
    """The requests that `work` takes where all is warm. A kernel may drop a page at any time, so the best of
    a few times counts."""
    counts = []
    for _ in range(10):
        with caches.warm():
            before = mount.requests()
            work()
            after = mount.released(before)
        # GETXATTR is how status asks, of whichever mount
        counts.append({k: after[k] - before[k] for k in after if after[k] != before[k] and k != "GETXATTR"})
    return min(counts, key=lambda c: sum(c.values()))


def test_a_warm_read_only_mount_asks_nothing(venvfs, root, mounts, caches):
    m = mounts(root, "-r")
    top = site(root / "x")

    def work():
        for p in ("demo/mod.py", "demo/big.bin"):
            read(top / p)
            (top / p).stat()
        os.listdir(top / "demo")
        assert not (top / "nothing.py").exists()

    assert fewest(m, caches, work) == {}


def test_opens_are_all_that_a_warm_mount_asks(venvfs, root, mounts, caches):
    m = mounts(root)
    top = site(root / "x")

    def work():
        read(top / "demo/mod.py")
        (top / "demo/mod.py").stat()

    assert fewest(m, caches, work) == {"OPEN": 1, "RELEASE": 1}


def test_a_look_at_the_store_that_finds_nothing_new_costs_nothing(venvfs, root, mounts, caches):
    """Every command that compiles something asks every mount to look, whatever store it compiled into."""
    m = mounts(root)
    top = site(root / "x")

    def work():
        os.setxattr(root, "user.venvfs.refresh", b"")
        read(top / "demo/mod.py")
        for p in [top / "demo", *(root / "x/bin").iterdir(), *next(top.glob("*.dist-info")).iterdir()]:
            p.lstat()

    assert fewest(m, caches, work) == {"SETXATTR": 1, "OPEN": 1, "RELEASE": 1}


def test_pages_are_shared(venvfs, root, mounts, ready, caches):
    """What one environment has read, another reads without asking for a byte."""
    m = mounts(root)
    (root / "y").mkdir()
    (root / "y" / "pyvenv.cfg").write_bytes(ready[1])
    os.listdir(site(root / "y") / "demo")
    with caches.warm():
        data = (site(root / "x") / "demo/big.bin").read_bytes()
        before = m.requests()["READ"]
        assert (site(root / "y") / "demo/big.bin").read_bytes() == data
        assert m.requests()["READ"] == before
    assert os.stat(site(root / "x") / "demo/big.bin").st_ino == os.stat(site(root / "y") / "demo/big.bin").st_ino


def test_root_and_store_apart(venvfs, tmp_path):
    inside = venvfs.store / "envs"
    for d in (venvfs.store, venvfs.store.parent, inside):
        r = venvfs("mount", d, check=False)
        assert r.returncode == 1 and "store" in r.stderr and "another" in r.stderr, r.stderr
        assert not is_mounted(d)
    shutil.rmtree(inside, ignore_errors=True)


def test_bad_usage(venvfs, tmp_path):
    assert venvfs("mount", "a", "b", check=False).returncode == 2
    assert venvfs("mount", "--nonsense", check=False).returncode == 2
    file = tmp_path / "file"
    file.write_text("")
    r = venvfs("mount", file, check=False)
    assert r.returncode == 1 and str(file) in r.stderr
    r = venvfs("--store", "/dev/null", "mount", tmp_path, check=False)
    assert r.returncode == 1 and "/dev/null" in r.stderr


def test_few_descriptors(venvfs, root, mounts, ready):
    """A low limit of open files slows it down, and breaks nothing."""
    program, venvfs.binary = venvfs.binary, venvfs.tmp / "few"
    venvfs.binary.write_text(f'#!/bin/sh\nulimit -Sn 24\nexec "{program}" "$@"\n')
    venvfs.binary.chmod(0o755)
    mounts(root)
    held = [open(p, "rb") for p in site(root / "x").rglob("*") if p.is_file()] * 1
    for i in range(20):
        (root / f"n{i}").mkdir()
        (root / f"n{i}" / "pyvenv.cfg").write_bytes(ready[1])
        (site(root / f"n{i}") / "demo/mod.py").write_text(f"x = {i}\n")
        held.append(open(site(root / f"n{i}") / "demo/mod.py", "rb"))
    assert [f.read() for f in held[-20:]] == [b"x = %d\n" % i for i in range(20)]
    for f in held:
        f.close()


def test_other_users_see_nothing(venvfs, root, mounts, other_user):
    public = other_user.tmp / "envs"
    shutil.copytree(root, public)
    m = mounts(public)
    try:
        r = other_user.run("ls", public, check=False)
        assert r.returncode != 0 and "Permission denied" in r.stderr
    finally:
        m.umount()


def test_second_user_runs_from_a_tier(venvfs, other_user, ready, fuse):
    """An environment of another user, and of a read-only bind mount, without a byte written to the tier."""
    tier = other_user.tmp / "tier"
    shutil.copytree(venvfs.store, tier, symlinks=True)
    for p in [tier, *tier.rglob("*")]:
        p.chmod(0o755 if p.is_dir() else 0o644)
    bind = other_user.tmp / "bind"
    bind.mkdir()
    subprocess.run(["mount", "--bind", tier, bind], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", bind], check=True)
    before = {p: (p.lstat().st_mtime_ns, p.lstat().st_ctime_ns) for p in [tier, *tier.rglob("*")]}
    root = other_user.home / "envs"
    try:
        for which in (tier, bind):
            other_user.venvfs("--tier", which, "mount", root)
            try:
                (env := root / which.name)
                other_user.run("mkdir", env)
                other_user.run("sh", "-c", f"cat >{env}/pyvenv.cfg", input=ready[1].decode(), stdin=None)
                code = "import demo.mod; print(demo.mod.x, len(open(demo.__path__[0] + '/big.bin', 'rb').read()))"
                assert other_user.run(env / "bin/python", "-c", code).stdout == "1 300000\n"
                other_user.run("sh", "-c", f"for f in {env}/lib/python3*/site-packages/demo/mod.py; do echo 'x = 2' >$f; done")
                assert other_user.run(env / "bin/python", "-c", code).stdout == "2 300000\n"
            finally:
                other_user.venvfs("umount", root)
        assert {p: (p.lstat().st_mtime_ns, p.lstat().st_ctime_ns) for p in [tier, *tier.rglob("*")]} == before
    finally:
        subprocess.run(["umount", "-l", bind], check=True)


def test_damage_is_eio(venvfs, root, mounts, tmp_path):
    """Bytes that the store lost are an error, never a file that is not there."""
    v = Venvfs(tmp_path, venvfs.sanitizer_logs)
    shutil.copytree(venvfs.store, v.store, symlinks=True)
    [pack] = v.store.glob("dists/demo/*/*/pack")
    pack.chmod(0o644)
    os.truncate(pack, 10)
    mounts(root, venvfs=v)
    path = site(root / "x") / "demo/mod.py"
    assert path.exists()
    with pytest.raises(OSError) as e:
        path.read_bytes()
    assert e.value.errno == 5


def test_looking_at_the_store_anew_with_clones(venvfs, root, mounts):
    """Environments of one lock share what is made of it, however many they are."""
    m = mounts(root)
    for name in ("b", "c", "d"):
        (root / name).mkdir()
        shutil.copy(root / "x/pyvenv.cfg", root / name)
    before = {n: sorted(os.listdir(site(root / n))) for n in "xbcd"}
    [record] = site(root / "x").glob("*.dist-info/RECORD")
    for _ in range(2):
        record.lstat()
        asked = m.requests()["LOOKUP"]
        m.renew()
        record.lstat()
        assert m.requests()["LOOKUP"] > asked, "its tree is what it was"
        assert {n: sorted(os.listdir(site(root / n))) for n in "xbcd"} == before
    assert m.status()["envs"] == 4
