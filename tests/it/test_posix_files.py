# SPDX-License-Identifier: MIT
"""What system calls on open files do, beside what the file system that holds the root does."""

import ctypes
import errno
import fcntl
import mmap
import os
import shutil
import subprocess
import sys

import pytest
from prepared import code, prepared, private, site, venvfs, x  # noqa: F401

BIG = bytes(range(256)) * 2000
WHEELS = {"demo": {"files": {"demo/__init__.py": "", "demo/a.py": "a\n" * 9, "demo/b.py": "b\n", "demo/big": BIG, "demo/empty": ""},
                   "entry_points": {"console_scripts": {"demo": "demo:main"}}}}


@pytest.fixture
def demo(x):
    return site(x) / "demo"


@pytest.fixture
def native(demo, tmp_path):
    """An ordinary copy of it."""
    return shutil.copytree(demo, tmp_path / "native")


# holes


def test_holes(demo, native):
    def seeks(directory):
        with open(directory / "sparse", "w+b", buffering=0) as f:
            f.truncate(1 << 20)
            os.pwrite(f.fileno(), b"x" * 4096, 1 << 19)
            os.fsync(f.fileno())
            return [code(os.lseek, f.fileno(), at, whence) for at in (0, 1 << 19, 600_000, (1 << 20) - 1, 1 << 20, -1)
                    for whence in (os.SEEK_DATA, os.SEEK_HOLE)]

    assert seeks(demo) == seeks(native)


def test_a_store_file_has_no_holes(x, demo, native):
    def seeks(path, flags):
        fd = os.open(path, flags)
        size = os.fstat(fd).st_size
        try:
            return [code(os.lseek, fd, at, whence) for at in (0, 1, size - 1, size, size + 1, -1)
                    for whence in (os.SEEK_DATA, os.SEEK_HOLE, os.SEEK_END if at == 0 else os.SEEK_SET)]
        finally:
            os.close(fd)

    for name in ("a.py", "big", "empty"):
        assert seeks(demo / name, os.O_RDONLY) == seeks(native / name, os.O_RDONLY), name
        assert seeks(demo / name, os.O_RDWR) == seeks(native / name, os.O_RDONLY), f"{name}, private and not copied yet"
    for name in ("pyvenv.cfg", "bin/activate", "bin/demo"):
        copy = shutil.copy(x / name, native / "copy")
        assert seeks(x / name, os.O_RDONLY) == seeks(copy, os.O_RDONLY), name


def test_sparse_copies_stay_sparse(demo, tmp_path):
    with open(demo / "sparse", "wb") as f:
        f.truncate(64 << 20)
    subprocess.run(["cp", demo / "sparse", tmp_path / "copy"], check=True)
    assert (tmp_path / "copy").stat().st_blocks < 1024


# space


def test_fallocate(demo, native):
    """The modes that a FUSE mount can have; the others are refused, and change nothing."""
    libc = ctypes.CDLL(None, use_errno=True)

    def modes(directory, which):
        with open(directory / "a.py", "r+b", buffering=0) as f:
            f.write(b"x" * 10000)
            out = []
            for mode, at, n in which:
                r = libc.fallocate(f.fileno(), mode, ctypes.c_long(at), ctypes.c_long(n))
                out.append((errno.errorcode[ctypes.get_errno()] if r else 0, os.fstat(f.fileno()).st_size,
                            os.pread(f.fileno(), 40000, 0)))
            return out

    both = ((0, 0, 20000), (1, 0, 40000), (3, 4096, 4096), (16, 0, 4096), (2, 0, 10), (0, -1, 5), (0, 0, 0))
    assert modes(demo, both) == modes(native, both)
    for mode in (8, 32):  # collapse, insert
        [(result, size, _)] = modes(demo, [(mode, 0, 4096)])
        assert result in ("EOPNOTSUPP", "ENOTSUP") and size == 20000


# copies made by the kernel


def test_copy_file_range(demo, native):
    def copies(directory):
        big, made = os.open(directory / "big", os.O_RDONLY), os.open(directory / "made", os.O_RDWR | os.O_CREAT)
        reader, writer = os.open(directory / "a.py", os.O_RDONLY), os.open(directory / "a.py", os.O_RDWR)
        append = os.open(directory / "b.py", os.O_WRONLY | os.O_APPEND)
        calls = [(big, made, 512000), (big, made, 512000), (made, made, 1000, 10, 600_000), (made, made, 100, 0, 5),
                 (big, made, 100, 511_990, 0), (big, reader, 10), (big, writer, 10, 0, 0), (big, append, 10)]
        out = [code(os.copy_file_range, *c) for c in calls] + [os.pread(made, 700_000, 0), os.pread(writer, 100, 0)]
        for fd in (big, made, reader, writer, append):
            os.close(fd)
        return out

    assert copies(demo) == copies(native)
    assert (demo / "big").read_bytes() == BIG


# locks: between processes

TRY = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR if sys.argv[2] == "rw" else os.O_RDONLY)
for call, how in ((fcntl.flock, fcntl.LOCK_EX), (fcntl.lockf, fcntl.LOCK_EX if sys.argv[2] == "rw" else fcntl.LOCK_SH)):
    try:
        call(fd, how | fcntl.LOCK_NB)
        print("got")
    except BlockingIOError:
        print("held")
"""


def another(path, mode="ro"):
    return subprocess.check_output([sys.executable, "-c", TRY, path, mode], text=True).split()


@pytest.mark.parametrize("name", ["own", "a.py", "."])
def test_flock(demo, name):
    (demo / "own").touch()
    fd = os.open(demo / name, os.O_RDONLY)
    if name != ".":
        assert another(demo / name) == ["got", "got"]
    fcntl.flock(fd, fcntl.LOCK_SH)
    assert another(demo / name)[0] == "held"
    fcntl.flock(fd, fcntl.LOCK_UN)
    assert another(demo / name)[0] == "got"
    os.close(fd)


@pytest.mark.parametrize("name", ["own", "a.py"])
def test_record_locks(demo, name):
    (demo / "own").write_text("own")
    with open(demo / name, "r+b") as f:
        f.write(b"!")
        f.flush()
        fcntl.lockf(f, fcntl.LOCK_EX, 10, 5)
        assert another(demo / name, "rw") == ["got", "held"]
        fcntl.lockf(f, fcntl.LOCK_UN, 10, 5)
        assert another(demo / name, "rw") == ["got", "got"]


# files without a name


@pytest.mark.parametrize("name", ["own", "a.py", "big"])
def test_deleted_while_open(demo, native, name):
    """What can be done through a descriptor, and what it tells, is what it is anywhere."""

    def life(directory):
        (directory / "own").write_text("own file")
        fd = os.open(directory / name, os.O_RDWR)
        os.unlink(directory / name)
        out = [os.fstat(fd).st_nlink, os.pread(fd, 5, 0), os.pwrite(fd, b"zz", 1), os.pread(fd, 5, 0), os.fstat(fd).st_nlink]
        os.fchmod(fd, 0o600)
        os.ftruncate(fd, 4)
        os.utime(fd, (7, 8))
        os.setxattr(fd, "user.note", b"1")
        s = os.fstat(fd)
        out += [oct(s.st_mode), s.st_size, s.st_mtime, s.st_nlink, os.getxattr(fd, "user.note")]
        with mmap.mmap(fd, 4) as m:
            m[0:1] = b"Q"
            m.flush()
        out += [os.pread(fd, 5, 0), code(os.stat, directory / name), name in os.listdir(directory)]
        os.close(fd)
        return out

    assert life(demo) == life(native)


def test_generated_and_deleted(x):
    with open(x / "bin/demo", "rb") as f:
        text = (x / "bin/demo").read_bytes()
        os.unlink(x / "bin/demo")
        assert os.fstat(f.fileno()).st_nlink == 0 and f.read() == text


# another name for the store's bytes


def test_a_link_to_a_store_file(mount, x, demo):
    """The new name has a file of its own, the old one stays the store's."""
    number, time = (demo / "big").stat().st_ino, (demo / "big").stat().st_mtime_ns
    os.link(demo / "big", demo / "linked")
    assert "big" not in {os.path.basename(p) for p in private(mount, "x")}
    for _ in range(2):
        assert (demo / "linked").read_bytes() == BIG and (demo / "linked").stat().st_mtime_ns == time
        assert (demo / "big").stat().st_ino == number and (demo / "big").stat().st_nlink == 1
        mount.remount()
    with open(demo / "linked", "r+b") as f:
        f.write(b"changed")
    assert (demo / "big").read_bytes() == BIG
    os.unlink(demo / "big")
    assert (demo / "linked").read_bytes()[:7] == b"changed" and not (demo / "big").exists()
    assert code(os.link, demo / "a.py", demo / "linked") == "EEXIST"
    assert code(os.link, demo / "a.py", x / "pyvenv.cfg") == "EEXIST"


def test_a_link_where_a_name_was_deleted(mount, demo):
    os.unlink(demo / "a.py")
    os.link(demo / "b.py", demo / "a.py")
    mount.remount()
    assert (demo / "a.py").read_text() == "b\n"
    os.unlink(demo / "a.py")
    mount.remount()
    assert not (demo / "a.py").exists()


# attributes of links


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set attributes of a symlink")
def test_attributes_of_a_symlink_are_its_own(mount, x, demo, native):
    def attributes(directory):
        out = []
        for name, target in (("to-file", "a.py"), ("nowhere", "missing")):
            link = directory / name
            link.symlink_to(target)
            out += [code(lambda: os.setxattr(link, "trusted.a", b"own", follow_symlinks=False)),
                    code(lambda: os.getxattr(link, "trusted.a", follow_symlinks=False)),
                    code(lambda: os.listxattr(link, follow_symlinks=False)),
                    code(lambda: os.setxattr(link, "user.a", b"1", follow_symlinks=False))]
        out += [code(lambda: os.listxattr(directory / "a.py"))]
        out += [code(lambda: os.removexattr(directory / "to-file", "trusted.a", follow_symlinks=False)),
                code(lambda: os.listxattr(directory / "to-file", follow_symlinks=False))]
        return out

    assert attributes(demo) == attributes(native)
    mount.remount()
    assert os.getxattr(demo / "nowhere", "trusted.a", follow_symlinks=False) == b"own"
