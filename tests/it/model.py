# SPDX-License-Identifier: MIT
"""The model of an environment is an ordinary directory with the same files: a row of random system calls is made
on both, and both must answer the same, errno by errno."""

import base64
import ctypes
import errno
import hashlib
import mmap
import os
import random
import shutil
import stat

NAMES = ["a", "b", "c", "d", "x.py", "y.py", "z.txt", "blob.bin", "new", "other", "demo", "ns", "both", "two.py"]
NOREPLACE, EXCHANGE = 1, 2
MIX = {
    "write": 8, "fill": 4, "excl": 2, "truncate": 3, "chmod": 3, "unlink": 6, "mkdir": 6, "rmdir": 3, "rename": 12,
    "noreplace": 3, "exchange": 3, "symlink": 3, "link": 6, "utime": 3, "list": 3, "read": 3, "rmtree": 2, "map": 4,
    "hold": 3, "held": 8, "holddir": 2, "helddir": 6, "odd": 4, "copy": 2, "mkfifo": 1,
}  # fmt: skip
libc = ctypes.CDLL(None, use_errno=True)


def of_a_dist(path):
    """RECORD and INSTALLER are generated once they are the store's; the walk leaves their directory alone."""
    return ".dist-info" in str(path)


class Sides:
    """The same calls on both: `ours` through the mount, `theirs` on the disk."""

    def __init__(self, ours, theirs, originals=()):
        self.ours, self.theirs, self.originals = ours, theirs, set(originals)
        self.log = []

    def both(self, what, call, *paths):
        """`call` gets the paths on one side; its value or errno must be the other side's too."""
        results = []
        for side in (self.ours, self.theirs):
            try:
                results.append(call(*(joined(side, p) for p in paths)))
            except OSError as e:
                results.append(errno.errorcode[e.errno])
        self.log.append(f"{what} {' '.join(map(str, paths))}: {results[1]!r:.60}")
        self.same(*results)
        return results[1]

    def same(self, ours, theirs, what=""):
        assert ours == theirs, f"{what}{ours!r:.200} instead of {theirs!r:.200}\n" + self.last()

    def last(self):
        return "\n".join(self.log[-int(os.environ.get("VENVFS_TEST_LOG", "60")) :])

    def compare(self):
        a, b = tree(self.ours), tree(self.theirs)
        for path in sorted(a.keys() | b.keys()):
            self.same(a.get(path), b.get(path), f"{path}: ")

    def link(self, source, target):
        """A name for a store file that nobody changed is a copy, as docs/semantics.md says; of others a link."""
        copied = []

        def call(p, q):
            if copied:
                assert not os.path.lexists(q)
                shutil.copy2(p, q)
                return
            os.lstat(p)  # or the kernel may believe that it has no name left (docs/semantics.md)
            os.link(p, q, follow_symlinks=False)
            a, b = os.lstat(p), os.lstat(q)
            if not os.path.samestat(a, b):
                assert stat.S_ISREG(a.st_mode) and a.st_nlink == 1 and content_of(p) in self.originals, self.last()
                copied.append(p)

        self.both("link", call, source, target)


def joined(side, path):
    return os.path.join(side, path)  # keeps a slash at its end


def content_of(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError as e:
        return errno.errorcode[e.errno]


def tree(top):
    found = {}
    for directory, dirs, files in os.walk(top):
        names = os.listdir(directory)
        assert len(names) == len(set(names)), f"{directory} lists a name twice"
        for name in dirs + files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            if kind == stat.S_IFREG:
                content = content_of(path)
                if of_a_dist(path) and name == "RECORD":
                    what = st.st_mode, sorted(content.splitlines())
                else:
                    what = st.st_mode, st.st_nlink, st.st_size, content
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
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(fd, 1 << 20)
    finally:
        os.close(fd)


def map_and_write(path, data, at):
    """Through a shared mapping; the file is as long as it was."""
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        size = os.fstat(fd).st_size
        if not stat.S_ISREG(os.fstat(fd).st_mode) or at >= size:
            return None
        with mmap.mmap(fd, 0) as m:
            data = data[: size - at]
            m[at : at + len(data)] = data
            return m[:]
    finally:
        os.close(fd)


def rename(flags):
    def call(p, q):
        if libc.renameat2(-100, os.fsencode(p), -100, os.fsencode(q), flags) < 0:
            raise OSError(ctypes.get_errno(), "renameat2")

    return call


def remove_tree(path):
    """In one order on both sides, so that a failure leaves the same."""
    for name in sorted(os.listdir(path)):
        p = os.path.join(path, name)
        if stat.S_ISDIR(os.lstat(p).st_mode):
            remove_tree(p)
        else:
            os.unlink(p)
    os.rmdir(path)


def install(site, name):
    """As an installer leaves it: harvested as a whole if nobody changes it before."""
    files = {f"{name}/__init__.py": b"", f"{name}/m.py": f"name = {name!r}\n".encode(), f"{name}/sub/b.py": b"b = 1\n",
             f"{name}/blob.bin": name.encode() * 30_000}
    info = f"{name}-1.0.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: model\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/INSTALLER"] = b"pip\n"
    rows = [f"{info}/RECORD,,\n"]
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(data)}\n")
    files[f"{info}/RECORD"] = "".join(rows).encode()
    for path, data in files.items():
        p = os.path.join(site, path)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        put(p, os.O_WRONLY | os.O_CREAT | os.O_EXCL, data)
    return list(files.values())


class Walk:
    """`racing`: others walk over the same names. Then nothing is mapped: what another cuts off of a mapped file is
    SIGBUS, on every file system."""

    def __init__(self, sides, seed, racing=False):
        self.sides, self.random, self.racing, self.handles, self.dirs = sides, random.Random(seed), racing, [], []
        self.n = 0

    def known(self, kinds="fd"):
        found = []
        for directory, dirs, files in os.walk(self.sides.theirs):
            dirs[:] = [d for d in dirs if not of_a_dist(d)]
            if "d" in kinds:
                found += [os.path.join(directory, d) for d in dirs]
            if "f" in kinds:
                found += [os.path.join(directory, f) for f in files]
        found = [os.path.relpath(p, self.sides.theirs) for p in sorted(found)]
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
        what = self.random.choices(list(MIX), MIX.values())[0]
        getattr(self, what)()

    def write(self):
        r = self.random
        flags = r.choice([os.O_WRONLY | os.O_CREAT | os.O_TRUNC, os.O_WRONLY | os.O_APPEND | os.O_CREAT,
                          os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_TRUNC]) | os.O_NONBLOCK  # fmt: skip
        data, at = self.data(), None if flags & os.O_APPEND else r.choice([None, 0, 5, 7000])
        path = self.known("f") if r.random() < 0.6 else self.place()
        self.sides.both(f"write {flags:o} {at}", lambda p: put(p, flags, data, at), path)

    fill = write

    def excl(self):
        self.sides.both("excl", lambda p: put(p, os.O_WRONLY | os.O_CREAT | os.O_EXCL, b"e"), self.place())

    def truncate(self):
        n = self.random.choice([0, 3, 5000, 200_000])
        self.sides.both(f"truncate {n}", lambda p: os.truncate(p, n), self.place())

    def chmod(self):
        mode = self.random.choice([0o600, 0o644, 0o755, 0o664, 0o444, 0o200])
        of_dirs = 0o555 if mode in (0o444, 0o600) else mode | 0o700
        self.sides.both(f"chmod {mode:o}", lambda p: os.chmod(p, of_dirs if os.path.isdir(p) else mode), self.place())

    def unlink(self):
        self.sides.both("unlink", os.unlink, self.place())

    def mkdir(self):
        self.sides.both("mkdir", os.mkdir, self.place())

    def mkfifo(self):
        self.sides.both("mkfifo", os.mkfifo, self.place())

    def rmdir(self):
        self.sides.both("rmdir", os.rmdir, self.known("d"))

    def renamed(self, what, flags, target):
        self.sides.both(what, rename(flags), self.known(self.random.choice(["d", "f", "fd"])), target)

    def rename(self):
        self.renamed("rename", 0, self.place())

    def noreplace(self):
        self.renamed("rename NOREPLACE", NOREPLACE, self.place())

    def exchange(self):
        self.renamed("rename EXCHANGE", EXCHANGE, self.known() if self.random.random() < 0.9 else self.place())

    def symlink(self):
        target = self.random.choice(["x.py", "../ns", "nowhere", "."])
        self.sides.both("symlink", lambda p: os.symlink(target, p), self.place())

    def link(self):
        self.sides.link(self.known("f"), self.place())

    def utime(self):
        t = self.random.randrange(10**18, 2 * 10**18)

        def call(p):
            os.utime(p, ns=(t, t))
            return os.path.isdir(p) or os.stat(p).st_mtime_ns

        self.sides.both("utime", call, self.place())

    def list(self):
        self.sides.both("list", lambda p: sorted(os.listdir(p)), self.known("d"))

    def read(self):
        self.sides.both("read", get, self.place())

    def rmtree(self):
        if self.random.random() < 0.25:
            self.sides.both("rmtree", remove_tree, self.known("d"))

    def map(self):
        if self.racing:
            return
        data, at = self.data(), self.random.choice([0, 4, 5000])
        path = self.known("f") if self.random.random() < 0.9 else self.place()
        self.sides.both(f"map {at}", lambda p: map_and_write(p, data, at), path)

    def copy(self):
        """copy_file_range(2), from what may be the store's to what may be."""

        def call(p, q):
            source = os.open(p, os.O_RDONLY | os.O_NONBLOCK)
            try:
                target = os.open(q, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o644)
                try:
                    return os.copy_file_range(source, target, 1 << 20)
                finally:
                    os.close(target)
            finally:
                os.close(source)

        source, target = self.known("f"), self.place()
        if os.path.realpath(joined(self.sides.theirs, source)) != os.path.realpath(joined(self.sides.theirs, target)):
            self.sides.both("copy", call, source, target)

    def odd(self):
        """Paths that must be refused, each in its own way, or that say the same otherwise."""
        r, s = self.random, self.sides
        what = r.randrange(9)
        if what == 0:
            s.both("mkdir below a file", os.mkdir, self.known("f") + "/new")
        elif what == 1:
            d = self.known("d")
            s.both("into itself", rename(r.choice([0, NOREPLACE, EXCHANGE])), d, d + "/" + r.choice(NAMES))
        elif what == 2:
            p = self.known("d")
            s.both("onto an ancestor", rename(0), p + "/" + r.choice(NAMES), p)
        elif what == 3:
            s.both("rename with a slash", rename(0), self.known() + "/", self.place() + "/")
        elif what == 4:
            s.both("create with a slash", lambda p: put(p, os.O_WRONLY | os.O_CREAT, b""), self.place() + "/")
        elif what == 5:
            s.both("unlink with a slash", os.unlink, self.known() + "/")
        elif what == 6:
            s.both("rmdir of .", os.rmdir, self.known("d") + "/.")
        elif what == 7:
            s.both("too long", lambda p: put(p, os.O_WRONLY | os.O_CREAT, b""), self.known("d") + "/" + 256 * "n")
        else:
            p = self.place()
            s.both("onto itself", rename(r.choice([0, NOREPLACE, EXCHANGE])), p, p)

    def hold(self):
        """Opened for writing on both sides, and written to whatever becomes of its name."""
        fds = []
        path = self.known("f")
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
        self.sides.both("hold", lambda p: fds.append(os.open(p, flags)), path)
        if fds and stat.S_ISREG(os.fstat(fds[-1]).st_mode):
            self.sides.log.append(f"held as {fds[0]}")
            self.handles.append(fds)
        else:
            for fd in fds:
                os.close(fd)
        self.limit(self.handles)

    def held(self):
        if not self.handles:
            return
        fds = self.random.choice(self.handles)
        data, at = self.data(), self.random.choice([0, 100, 5000])
        ways = ["pwrite", "pwrite", "pwrite", "ftruncate", "fchmod"]
        what = self.random.choice(ways if self.racing else ways + ["map"])
        mode, results = self.random.choice([0o600, 0o644]), []
        for fd in fds:
            if what == "pwrite":
                os.pwrite(fd, data, at)
            elif what == "ftruncate":
                os.ftruncate(fd, at)
            elif what == "fchmod":
                os.fchmod(fd, mode)
            elif os.fstat(fd).st_size:
                with mmap.mmap(fd, 0) as m:
                    m[: min(len(m), len(data))] = data[: len(m)]
            st = os.fstat(fd)
            results.append((os.pread(fd, 1 << 20, 0), st.st_size, st.st_nlink, st.st_mode))
        self.sides.log.append(f"held {fds[0]}: {what} {at} {len(data)}")
        if len(fds) == 2:
            self.sides.same(*results)

    def holddir(self):
        fds = []
        self.sides.both("hold", lambda p: fds.append(os.open(p, os.O_RDONLY | os.O_DIRECTORY)), self.known("d"))
        if fds:
            self.sides.log.append(f"held as {fds[0]}")
            self.dirs.append(fds)
        self.limit(self.dirs)

    def helddir(self):
        """Names below a directory that may have another name by now, or none."""
        if not self.dirs:
            return
        fds, name, results = self.random.choice(self.dirs), self.random.choice(NAMES), []
        calls = {
            "list": lambda fd: sorted(n for n in os.listdir(fd) if not of_a_dist(n)),
            "mkdir": lambda fd: os.mkdir(name, dir_fd=fd),
            "unlink": lambda fd: os.unlink(name, dir_fd=fd),
            "rmdir": lambda fd: os.rmdir(name, dir_fd=fd),
            "create": lambda fd: os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o644, dir_fd=fd)),
            "stat": lambda fd: (os.fstat(fd).st_mode, stat.S_IFMT(os.lstat(name, dir_fd=fd).st_mode)),
            "rename": lambda fd: os.rename(name, "other", src_dir_fd=fd, dst_dir_fd=fd),
        }
        what = self.random.choice(list(calls))
        for fd in fds:
            try:
                results.append(calls[what](fd))
            except OSError as e:
                results.append(errno.errorcode[e.errno])
        self.sides.log.append(f"in {fds[0]}: {what} {name}: {results[-1]!r:.60}")
        if len(fds) == 2:
            self.sides.same(*results)

    def limit(self, held):
        if len(held) > 12:
            for fd in held.pop(0):
                os.close(fd)

    def close(self):
        for fds in self.handles + self.dirs:
            for fd in fds:
                os.close(fd)
        self.handles.clear()
        self.dirs.clear()

    def install(self):
        """Another, or one that was there once and of which something may be left."""
        name = f"pkg{self.random.randrange(4)}"
        self.sides.both("uninstall", lambda p: remove_tree(f"{p}/{name}-1.0.dist-info"), ".")
        if self.random.random() < 0.7:
            self.sides.both("uninstall", lambda p: remove_tree(f"{p}/{name}"), ".")
        made = self.sides.both("install", lambda p: install(p, name), ".")
        if not isinstance(made, str):
            self.sides.originals.update(made)
