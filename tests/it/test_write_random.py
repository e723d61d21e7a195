# SPDX-License-Identifier: MIT
"""A mounted environment beside an ordinary directory with the same files: whatever a long row of random
changes does to the one, it does to the other, errno by errno, and a new mount shows it still."""

import errno
import hashlib
import mmap
import os
import random
import shutil
import threading

import pytest

import wheelmaker
from conftest import Venvfs
from model import Sides, Walk, tree

BLOB = bytes(range(256)) * 700  # over the pack's limit
DEMO = {f"demo/{d}{f}": f"{d}{f}\n" * n for d in ("", "a/", "a/b/", "a/b/c/", "d/") for n, f in enumerate(
    ("__init__.py", "x.py", "y.py", "z.txt"))}
WHEELS = {
    "demo": {**DEMO, "demo/blob.bin": BLOB, "demo/d/blob.bin": BLOB[::-1]},
    "one": {"ns/one.py": "1\n", "ns/both/one.py": "1\n", "ns/shared.py": "one\n"},
    "two": {"ns/two.py": "2\n", "ns/both/two.py": "2\n"},
}
STEPS = int(os.environ.get("VENVFS_TEST_STEPS", "1200"))  # of each seed
SEEDS = int(os.environ.get("VENVFS_TEST_SEEDS", "6"))
ROUND = 1200  # operations on one environment: after many more it has little left of the view


@pytest.fixture(scope="module")
def ready(tmp_path_factory, debian_python):
    base = tmp_path_factory.mktemp("ready")
    venvfs = Venvfs(base, None)
    (venvfs.config / "venvfs").mkdir()
    (venvfs.config / "venvfs/venvfs.conf").write_text("[store]\ncompile = no\n")
    venvfs("store", "add", "--no-compile", *[wheelmaker.make(base, n, files=f) for n, f in WHEELS.items()])
    venvfs("create", base / "x", "--without-pip", "--python", debian_python, "--root", base)
    (base / "pins.txt").write_text("".join(f"{n}==1.0\n" for n in WHEELS))
    venvfs("sync", "--no-compile", base / "x", base / "pins.txt", "--root", base)
    return base, (base / "x" / "pyvenv.cfg").read_bytes()


@pytest.fixture
def venvfs(ready, sanitizer_logs):
    return Venvfs(ready[0], sanitizer_logs)


def originals(site):
    return [p.read_bytes() for p in site.rglob("*") if p.is_file()]


def beside(venvfs, mount, cfg, directory, name):
    """A new environment and an ordinary directory that has the same."""
    (mount.path / name).mkdir()
    (mount.path / name / "pyvenv.cfg").write_bytes(cfg)
    venvfs("materialize", mount.path / name, directory / name)
    [ours] = (mount.path / name).glob("lib/python3*/site-packages")
    [theirs] = (directory / name).glob("lib/python3*/site-packages")
    for side in (ours, theirs):
        for p in side.glob("*.dist-info"):
            shutil.rmtree(p)
    return Sides(ours, theirs, originals(theirs))


class Bystander:
    """An environment with the same lock that nobody changes, its files open and mapped, and the store's files."""

    def __init__(self, venvfs, mount, cfg):
        self.venvfs, self.top = venvfs, mount.path / "y"
        self.top.mkdir()
        (self.top / "pyvenv.cfg").write_bytes(cfg)
        [self.site] = self.top.glob("lib/python3*/site-packages")
        self.tree = tree(self.site)
        self.stored = self.hashes()
        self.held = []
        self.open()

    def open(self):
        for p in self.site.rglob("*"):
            if p.is_file() and p.stat().st_size:
                fd = os.open(p, os.O_RDONLY)
                self.held.append((p, p.read_bytes(), fd, mmap.mmap(fd, 0, prot=mmap.PROT_READ)))

    def hashes(self):
        return {p: hashlib.sha256(p.read_bytes()).digest() for p in self.venvfs.store.rglob("*")
                if p.is_file() and p.parent.name != "locks" and p.stat().st_size}

    def check(self):
        for p, data, fd, mapping in self.held:
            assert mapping[:] == data, f"the mapping of {p} changed"
            assert os.pread(fd, 1 << 20, 0) == data, f"the open {p} changed"
        assert tree(self.site) == self.tree, "another environment changed"

    def close(self):
        for _, _, fd, mapping in self.held:
            mapping.close()
            os.close(fd)
        self.held.clear()

    def check_store(self):
        now = self.hashes()
        assert {p: now.get(p) for p in self.stored} == self.stored, "a file of the store changed"
        assert self.venvfs.json("store", "verify")["bad"] == 0


def remount(mount, walk, bystander):
    bystander.check()
    bystander.close()
    walk.close()
    mount.remount()
    bystander.open()
    walk.sides.log.append("remount")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_changes(venvfs, ready, mounts, root, tmp_path, caches, seed):
    mount = mounts(root)
    bystander = Bystander(venvfs, mount, ready[1])
    chance = random.Random(seed)
    try:
        for first in range(0, STEPS, ROUND):
            name = f"x{first}"
            sides = beside(venvfs, mount, ready[1], tmp_path, name)
            walk = Walk(sides, f"{seed}.{first}")
            try:
                for n in range(min(ROUND, STEPS - first)):
                    walk.step()
                    now = chance.random()
                    if now < 0.002:
                        remount(mount, walk, bystander)
                        sides.compare()
                    elif now < 0.010:
                        venvfs("harvest", mount.path / name)
                        sides.log.append("harvest")
                        sides.compare()
                    elif now < 0.020:
                        walk.install()
                    elif now < 0.025:
                        sides.compare()
                        caches.drop()
            finally:
                walk.close()
            sides.compare()
            remount(mount, walk, bystander)
            sides.compare()
            assert not list((mount.upper / name).rglob(".venvfs-tmp*"))
            make_writable(sides.ours)
            shutil.rmtree(mount.path / name)
            make_writable(sides.theirs)
            shutil.rmtree(tmp_path / name)
        bystander.check()
    finally:
        bystander.close()
    bystander.check_store()


def make_writable(top):
    for directory, _, _ in os.walk(top):
        os.chmod(directory, 0o755)


def test_random_changes_at_once(venvfs, ready, mounts, root, tmp_path):
    """Each thread has a directory of its own, beside the others'."""
    mount = mounts(root)
    tops, faults = [], []
    for k in range(4):
        name, part = f"e{k // 2}", ("demo", "ns")[k % 2]
        whole = beside(venvfs, mount, ready[1], tmp_path, name) if k % 2 == 0 else tops[-1][0]
        tops.append((whole, Sides(whole.ours / part, whole.theirs / part, whole.originals)))
    tops = [part for _, part in tops]

    def work(k):
        walk = Walk(tops[k], 100 + k)
        try:
            for n in range(STEPS // 3):
                walk.step()
                if n % 200 == 199:
                    venvfs("harvest", mount.path / f"e{k // 2}")
        except BaseException as e:
            faults.append(e)
        finally:
            walk.close()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if faults:
        raise faults[0]
    for sides in tops:
        sides.compare()
    mount.remount()
    for sides in tops:
        sides.compare()
    assert venvfs.json("store", "verify")["bad"] == 0


def test_all_at_once(venvfs, ready, mounts, root, tmp_path):
    """Threads that change the same names of one environment, while its text is published, its view is made
    anew and another environment is removed and made: whoever wins, all goes on, and what shows at the end
    shows after a new mount too."""
    mount = mounts(root)
    sides = beside(venvfs, mount, ready[1], tmp_path, "x")
    stop, faults = threading.Event(), []

    class Alone(Sides):
        def both(self, what, call, *paths):
            try:
                return call(*(os.path.join(self.ours, p) for p in paths))
            except OSError as e:
                assert e.errno not in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENOMEM), what
                return None

        def link(self, source, target):
            self.both("link", lambda p, q: os.link(p, q, follow_symlinks=False), source, target)

    def work(seed):
        walk = Walk(Alone(sides.ours, sides.ours), seed, racing=True)
        try:
            while not stop.is_set():
                try:
                    walk.step()
                except FileNotFoundError:  # between two calls of a step
                    pass
                if len(walk.handles) > 20:
                    walk.close()
        except BaseException as e:
            faults.append(e)
        finally:
            walk.close()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    try:
        for i in range(40):
            (mount.path / "x" / "pyvenv.cfg").write_bytes(ready[1])
            mount.renew()
            env = mount.path / "z"
            env.mkdir()
            (env / "pyvenv.cfg").write_bytes(ready[1])
            tree(env / "lib")
            shutil.rmtree(env)
    finally:
        stop.set()
        for t in threads:
            t.join()
    if faults:
        raise faults[0]
    before = tree(sides.ours)
    for path in before:
        os.lstat(sides.ours / path)
    mount.remount()
    assert tree(sides.ours) == before
    assert venvfs.json("store", "verify")["bad"] == 0
