# SPDX-License-Identifier: MIT
"""A mounted environment beside an ordinary directory with the same files: whatever a long row of random
changes does to the one, it does to the other, errno by errno, and a new mount shows it still."""

import ctypes
import errno
import hashlib
import mmap
import os
import random
import shutil
import stat
import threading

import pytest

import wheelmaker
from conftest import Venvfs

BLOB = bytes(range(256)) * 700  # over the pack's limit
DEMO = {f"demo/{d}{f}": f"{d}{f}\n" * n for d in ("", "a/", "a/b/", "a/b/c/", "d/") for n, f in enumerate(
    ("__init__.py", "x.py", "y.py", "z.txt"))}
WHEELS = {
    "demo": {**DEMO, "demo/blob.bin": BLOB, "demo/d/blob.bin": BLOB[::-1]},
    "one": {"ns/one.py": "1\n", "ns/both/one.py": "1\n", "ns/shared.py": "one\n"},
    "two": {"ns/two.py": "2\n", "ns/both/two.py": "2\n"},
}
NAMES = ["a", "b", "c", "d", "x.py", "y.py", "z.txt", "blob.bin", "new", "other", "demo", "ns", "both", "two.py"]


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


class Sides:
    """The same calls on both: `ours` through the mount, `theirs` on the disk."""

    def __init__(self, venvfs, mount, cfg, directory):
        self.mount, self.venvfs = mount, venvfs
        for name in "xy":
            (mount.path / name).mkdir()
            (mount.path / name / "pyvenv.cfg").write_bytes(cfg)
        venvfs("materialize", mount.path / "y", directory / "plain")
        [self.ours] = (mount.path / "x").glob("lib/python3*/site-packages")
        [self.theirs] = (directory / "plain").glob("lib/python3*/site-packages")
        for side in (self.ours, self.theirs):
            for p in side.glob("*.dist-info"):
                shutil.rmtree(p)
        self.log = []

    def both(self, what, call, *paths):
        """`call` gets the paths on one side; its value or errno must be the other side's too."""
        results = []
        for side in (self.ours, self.theirs):
            try:
                results.append(call(*(side / p for p in paths)))
            except OSError as e:
                results.append(errno.errorcode[e.errno])
        self.log.append(f"{what} {' '.join(map(str, paths))}: {results[1]!r:.60}")
        assert results[0] == results[1], f"{results[0]!r:.200} instead of {results[1]!r:.200}\n" + self.last()
        return results[1]

    def is_private(self, path):
        """Also a name that was made private may still mean the store's file to the kernel, by its number."""
        behind = self.mount.upper / self.ours.relative_to(self.mount.path) / path
        return os.path.lexists(behind) and os.lstat(self.ours / path).st_ino >> 60 != 0

    def last(self):
        return "\n".join(self.log[-int(os.environ.get("VENVFS_TEST_LOG", "60")) :])

    def compare(self):
        a, b = tree(self.ours), tree(self.theirs)
        for path in a.keys() | b.keys():
            assert a.get(path) == b.get(path), (
                f"{path}: {a.get(path)!r:.100} instead of {b.get(path)!r:.100}\n" + self.last())


STEPS = int(os.environ.get("VENVFS_TEST_STEPS", "600"))  # in each walk
SEEDS = int(os.environ.get("VENVFS_TEST_SEEDS", "8"))
NOREPLACE, EXCHANGE = 1, 2
THREE = {"three/__init__.py": b"", "three/a.py": b"a = 1\n", "three/sub/b.py": b"b = 2\n" * 2000,
         "three-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: three\nVersion: 1.0\n",
         "three-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
RECORD = "three-1.0.dist-info/RECORD"
libc = ctypes.CDLL(None, use_errno=True)


def renameat2(old, new, flags):
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags) < 0:
        raise OSError(ctypes.get_errno(), "")


def install(top):
    """As an installer does: RECORD last. Harvested, it shows with another text."""
    for path, data in THREE.items():
        (top / path).parent.mkdir(exist_ok=True)
        (top / path).write_bytes(data)
    (top / RECORD).write_text("".join(map(wheelmaker.record_line, THREE, THREE.values())) + RECORD + ",,\n")


def uninstall(top):
    for name in ("three", "three-1.0.dist-info"):
        shutil.rmtree(top / name)


def map_and_write(path, data):
    with open(path, "r+b") as f:
        if os.fstat(f.fileno()).st_size < len(data):
            return
        m = mmap.mmap(f.fileno(), 0)
    with m:
        m[-len(data):] = data[:len(m)]


def link(old, new, real):
    """A link to a file of the store is another file with its bytes."""
    os.link(old, new, follow_symlinks=False)
    if not real and not old.is_symlink():
        new.unlink()
        shutil.copy2(old, new)


def tree(top):
    found = {}
    for directory, dirs, files in os.walk(top):
        names = os.listdir(directory)
        assert len(names) == len(set(names)), f"{directory} lists a name twice"
        for name in dirs + files:
            path = os.path.join(directory, name)
            if path.endswith(RECORD):
                continue
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            if kind == stat.S_IFREG:
                with open(path, "rb") as f:
                    content = f.read()
                what = st.st_mode, st.st_nlink, len(content) == st.st_size and content
            elif kind == stat.S_IFLNK:
                what = st.st_mode, os.readlink(path)
            else:
                what = st.st_mode
            found[os.path.relpath(path, top)] = what
    return found


def put(path, flags, data, at=None):
    fd = os.open(path, flags, 0o644)
    try:
        return os.write(fd, data) if at is None else os.pwrite(fd, data, at)
    finally:
        os.close(fd)


def get(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 1 << 20)
    finally:
        os.close(fd)


def remove_tree(path):
    if path.is_symlink() or not path.is_dir():
        raise OSError(errno.ENOTDIR, "")
    shutil.rmtree(path)


class Walk:
    def __init__(self, sides, seed):
        self.sides, self.random, self.handles = sides, random.Random(seed), []
        self.n = 0

    def known(self, kinds="fd"):
        found = []
        for directory, dirs, files in os.walk(self.sides.theirs):
            if "d" in kinds:
                found += [os.path.join(directory, d) for d in dirs]
            if "f" in kinds:
                found += [os.path.join(directory, f) for f in files]
        found = [os.path.relpath(p, self.sides.theirs) for p in sorted(found) if ".dist-info" not in p]
        return self.random.choice(found) if found else "new"

    def place(self):
        """A path that is there, or one that may be."""
        r = self.random.random()
        if r < 0.4:
            return self.known()
        top = self.known("d") if r < 0.9 else "."
        return os.path.normpath(os.path.join(top, self.random.choice(NAMES)))

    def data(self):
        self.n += 1
        return b"%d." % self.n * self.random.choice([1, 10, 3000])

    def step(self):
        s, r = self.sides, self.random
        what = r.choice("write truncate chmod unlink unlink mkdir mkdir rmdir rename rename rename rename "
                        "symlink link link utime list read excl rmtree hold held held mtree fill map noreplace exchange "
                        "install uninstall".split())
        if what in ("write", "fill"):
            flags = r.choice([os.O_WRONLY | os.O_CREAT | os.O_TRUNC, os.O_WRONLY | os.O_APPEND | os.O_CREAT,
                              os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_TRUNC])
            data, at = self.data(), None if flags & os.O_APPEND else r.choice([None, 0, 5, 7000])
            s.both(f"write {flags:o} {at}", lambda p: put(p, flags, data, at), self.known("f") if r.random() < 0.6 else self.place())
        elif what == "excl":
            s.both("excl", lambda p: put(p, os.O_WRONLY | os.O_CREAT | os.O_EXCL, b"e"), self.place())
        elif what == "truncate":
            n = r.choice([0, 3, 5000, 200_000])
            s.both(f"truncate {n}", lambda p: os.truncate(p, n), self.place())
        elif what == "chmod":
            mode = r.choice([0o600, 0o644, 0o755, 0o664])
            s.both(f"chmod {mode:o}", lambda p: os.chmod(p, mode if not p.is_dir() else mode | 0o700), self.place())
        elif what == "unlink":
            s.both("unlink", lambda p: os.unlink(p), self.place())
        elif what == "mkdir":
            s.both("mkdir", lambda p: os.mkdir(p), self.place())
        elif what == "rmdir":
            s.both("rmdir", lambda p: os.rmdir(p), self.known("d"))
        elif what == "rename":
            s.both("rename", lambda p, q: os.rename(p, q), self.known(r.choice(["d", "f", "fd"])), self.place())
        elif what == "symlink":
            target = r.choice(["x.py", "../ns", "nowhere", "."])
            s.both("symlink", lambda p: os.symlink(target, p), self.place())
        elif what == "link":
            old, new = self.known("f"), self.place()
            private = s.is_private(old)
            s.both("link", lambda p, q: link(p, q, private or p.is_relative_to(s.ours)), old, new)
        elif what == "utime":
            t = r.randrange(10**18, 2 * 10**18)
            s.both("utime", lambda p: (os.utime(p, ns=(t, t)), not p.is_dir() and os.stat(p).st_mtime_ns)[1], self.place())
        elif what == "list":
            s.both("list", lambda p: sorted(os.listdir(p)), self.known("d"))
        elif what == "read":
            s.both("read", get, self.place())
        elif what in ("rmtree", "mtree") and r.random() < 0.25:
            s.both("rmtree", remove_tree, self.known("d"))
        elif what == "refresh" and r.random() < 0.2:  # as when bytecode arrives
            os.setxattr(s.mount.path, "user.venvfs.refresh", b"")
        elif what in ("noreplace", "exchange"):
            flags = NOREPLACE if what == "noreplace" else EXCHANGE
            new = self.place() if what == "noreplace" else self.known()
            s.both(what, lambda p, q: renameat2(p, q, flags), self.known(), new)
        elif what == "map":
            data = self.data()[:100]
            path = self.known("f")
            s.both("map", lambda p: map_and_write(p, data), path)
        elif what == "install" and not os.path.exists(s.theirs / RECORD):
            s.both("install", install, ".")
        elif what == "uninstall" and r.random() < 0.3:
            s.both("uninstall", uninstall, ".")
        elif what == "hold":
            self.hold(self.known("f"))
        elif what == "held" and self.handles:
            self.held(r.choice(self.handles))

    def hold(self, path):
        """Opened for writing on both sides, and written to whatever becomes of its name."""
        fds = []
        self.sides.both("hold", lambda p: fds.append(os.open(p, os.O_RDWR | os.O_NOFOLLOW)), path)
        if fds:
            self.sides.log.append(f"held as {fds[0]}")
            self.handles.append(fds)

    def held(self, fds):
        if len(fds) < 2:
            os.pwrite(fds[0], self.data(), 0)
            return
        data, at = self.data(), self.random.choice([0, 100, 5000])
        results = []
        for fd in fds:
            os.pwrite(fd, data, at)
            st = os.fstat(fd)
            results.append((os.pread(fd, 1 << 20, 0), st.st_size, st.st_nlink, st.st_mode))
        self.sides.log.append(f"held {fds[0]}: {at} {len(data)}")
        assert results[0] == results[1], f"{results[0]!r:.200} instead of {results[1]!r:.200}\n" + self.sides.last()

    def close(self):
        for fds in self.handles:
            for fd in fds:
                os.close(fd)
        self.handles.clear()


def drop_caches():
    """The kernel forgets names and numbers, and asks anew."""
    if os.geteuid() == 0:
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("2\n")


class Bystander:
    """Another environment with the same lock, and the store: read by names, and by descriptors and
    mappings that were open before."""

    def __init__(self, venvfs, mount):
        self.venvfs, self.mount = venvfs, mount
        [self.top] = (mount.path / "y").glob("lib/python3*/site-packages")
        self.tree, self.store = tree(self.top), self.hashes()
        self.open()

    def open(self):
        self.files = [(p, open(p, "rb")) for p in sorted(self.top.rglob("*")) if p.is_file()]
        self.maps = [(p, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)) for p, f in self.files if p.stat().st_size]

    def hashes(self):
        return {p: hashlib.sha256(p.read_bytes()).hexdigest() for d in ("dists", "blobs")
                for p in (self.venvfs.store / d).rglob("*") if p.is_file()}

    def check(self):
        assert tree(self.top) == self.tree, "another environment changed"
        for p, f in self.files:
            f.seek(0)
            assert f.read() == p.read_bytes(), f"{p} through its descriptor"
        for p, m in self.maps:
            assert m[:] == p.read_bytes(), f"{p} through its mapping"
        now = self.hashes()
        assert {p: now.get(p) for p in self.store} == self.store, "the store changed"

    def close(self):
        for _, x in self.maps + self.files:
            x.close()


def harvest(venvfs, sides):
    sides.log.append(f"harvest: {venvfs('harvest', sides.mount.path / 'x').stdout!r:.200}")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_changes(venvfs, ready, mounts, root, tmp_path, seed):
    mount = mounts(root)
    sides = Sides(venvfs, mount, ready[1], tmp_path)
    other = Bystander(venvfs, mount)
    walk = Walk(sides, seed)
    try:
        for n in range(STEPS):
            walk.step()
            if n % 75 == 37:
                harvest(venvfs, sides)
            if n % 150 == 149:
                sides.compare()
                drop_caches()
            if n % 600 == 400:
                other.check()
                other.close()
                walk.close()
                mount.remount()
                sides.log.append("remount")
                sides.compare()
                other.open()
        sides.compare()
        other.check()
    finally:
        walk.close()
        other.close()
    mount.remount()
    sides.compare()
    assert tree(other.top) == other.tree
    assert venvfs.json("store", "verify")["bad"] == 0
    left = [p for p in (mount.upper / "x").rglob(".venvfs-tmp*")]
    assert not left


def test_random_changes_at_once(venvfs, ready, mounts, root, tmp_path):
    """Each thread has a directory of its own, beside the others'."""
    mount = mounts(root)
    tops, faults = [], []
    for k in range(4):
        (tmp_path / str(k)).mkdir()
        sides = Sides.__new__(Sides)
        sides.mount, sides.venvfs, sides.log = mount, venvfs, []
        name = f"e{k // 2}"
        if k % 2 == 0:
            (mount.path / name).mkdir()
            (mount.path / name / "pyvenv.cfg").write_bytes(ready[1])
            venvfs("materialize", mount.path / name, tmp_path / name)
        part = ("demo", "ns")[k % 2]
        [sides.ours] = (mount.path / name).glob(f"lib/python3*/site-packages/{part}")
        [sides.theirs] = (tmp_path / name).glob(f"lib/python3*/site-packages/{part}")
        tops.append(sides)

    def work(k):
        walk = Walk(tops[k], 100 + k)
        try:
            for _ in range(400):
                walk.step()
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


def test_all_at_once(venvfs, ready, mounts, root, tmp_path):
    """Threads that change the same names of one environment, while its text is published, its view is made
    anew and another environment is removed and made: whoever wins, all goes on, and what shows at the end
    shows after a new mount too."""
    mount = mounts(root)
    sides = Sides(venvfs, mount, ready[1], tmp_path)
    stop, faults = threading.Event(), []

    class Alone(Sides):
        def both(self, what, call, *paths):
            try:
                return call(*(self.theirs / p for p in paths))
            except OSError as e:
                assert e.errno not in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENOMEM), what
                return None

    def work(seed):
        alone = Alone.__new__(Alone)
        alone.ours = alone.theirs = sides.ours
        alone.mount, alone.log = mount, []
        walk = Walk(alone, seed)
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
            os.setxattr(mount.path, "user.venvfs.refresh", b"")
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
