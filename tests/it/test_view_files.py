# SPDX-License-Identifier: MIT
"""Reading view files in all the ways there are, and copying environments to elsewhere."""

import errno
import fcntl
import mmap
import os
import shutil
import stat
import subprocess
import tarfile
import threading

import pytest
from twins import assert_same, tree

BIG = bytes(range(256)) * 4096 + b"end"  # over the pack's limit: a file of its own in the store


@pytest.fixture
def pair(venvfs, mount, root, tmp_path, small_wheels, debian_python):
    """Two environments that have the same files."""
    wheel = small_wheels(
        "demo",
        files={"demo/__init__.py": "x = 1\n", "demo/big": BIG, "demo/page": b"p" * 4096, "demo/empty": b""},
        entry_points={"console_scripts": {"demo": "demo:main"}},
    )
    venvfs("store", "add", "--no-compile", wheel)
    (tmp_path / "pins").write_text("demo==1.0\n")
    for name in "ab":
        venvfs("create", root / name, "--without-pip", "--python", debian_python)
        venvfs("sync", root / name, tmp_path / "pins", "--no-compile")
    return root / "a", root / "b"


@pytest.fixture
def demo(pair):
    return pair[0] / "lib/python3.11/site-packages/demo"


def test_g28_mmap(demo):
    for name in ("big", "page"):
        with (demo / name).open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
            assert m[:] == (demo / name).read_bytes()
        with (demo / name).open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY) as m:
            m[0:4] = b"mine"
            assert m[:4] == b"mine"
        assert (demo / name).read_bytes()[:4] != b"mine"


@pytest.mark.parametrize("call", ["sendfile", "copy_file_range", "read", "splice"])
def test_g28_copy_out_and_back(demo, tmp_path, call):
    def copy(source, target):
        with open(source, "rb") as i, open(target, "wb") as o:
            size, done = os.fstat(i.fileno()).st_size, 0
            while done < size:
                if call == "sendfile":
                    n = os.sendfile(o.fileno(), i.fileno(), done, size - done)
                elif call == "copy_file_range":
                    try:
                        n = os.copy_file_range(i.fileno(), o.fileno(), size - done)
                    except OSError as e:  # what programs fall back from
                        assert e.errno in (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
                        n = os.sendfile(o.fileno(), i.fileno(), done, size - done)
                elif call == "splice":
                    r, w = os.pipe()
                    k = os.splice(i.fileno(), w, min(size - done, 65536))
                    n = os.splice(r, o.fileno(), k)
                    os.close(r), os.close(w)
                else:
                    n = o.write(i.read(100_001))
                assert n > 0
                done += n

    copy(demo / "big", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == BIG
    copy(tmp_path / "out", demo / "back")
    assert (demo / "back").read_bytes() == BIG
    copy(demo / "big", demo / "within")
    assert (demo / "within").read_bytes() == BIG


def test_reads_at_every_edge(demo):
    fd = os.open(demo / "big", os.O_RDONLY)
    size = len(BIG)
    for off in (0, 1, 4095, 4096, 131071, 131072, size - 4, size - 1, size, size + 1, size + 4096):
        for n in (0, 1, 3, 4096, 4097, 1 << 20):
            assert os.pread(fd, n, off) == BIG[off : off + n]
    os.close(fd)
    assert (demo / "empty").read_bytes() == b""
    fd = os.open(demo / "page", os.O_RDONLY)
    assert os.pread(fd, 10, 4090) == b"p" * 6 and os.pread(fd, 10, 4096) == b""
    os.close(fd)


def test_no_holes(demo):
    """Programs that copy by holes must see data."""
    fd = os.open(demo / "big", os.O_RDONLY)
    assert os.lseek(fd, 0, os.SEEK_DATA) == 0
    assert os.lseek(fd, 0, os.SEEK_HOLE) == len(BIG)
    with pytest.raises(OSError) as e:
        os.lseek(fd, len(BIG), os.SEEK_DATA)
    assert e.value.errno == errno.ENXIO
    os.close(fd)


def test_ioctl_is_enotty(demo):
    fd = os.open(demo / "__init__.py", os.O_RDONLY)
    assert not os.isatty(fd)
    with pytest.raises(OSError) as e:
        fcntl.ioctl(fd, 0x5401, b"\0" * 64)
    assert e.value.errno == errno.ENOTTY
    with pytest.raises(OSError) as e:  # FICLONE, what uv tries first
        fcntl.ioctl(fd, 0x40049409, fd)
    assert e.value.errno in (errno.ENOTTY, errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.EBADF)
    os.close(fd)


def test_wrong_kinds(demo):
    for call, code in (
        (lambda: os.open(demo, os.O_WRONLY), errno.EISDIR),
        (lambda: os.open(demo / "page" / "x", os.O_RDONLY), errno.ENOTDIR),
        (lambda: os.readlink(demo / "page"), errno.EINVAL),
        (lambda: os.rmdir(demo / "page"), errno.ENOTDIR),
        (lambda: os.unlink(demo), errno.EISDIR),
        (lambda: os.mkdir(demo), errno.EEXIST),
        (lambda: os.mkdir(demo / "page"), errno.EEXIST),
        (lambda: os.open(demo / "page", os.O_CREAT | os.O_EXCL), errno.EEXIST),
        (lambda: os.symlink("x", demo / "page"), errno.EEXIST),
        (lambda: os.open(demo / "page", os.O_RDONLY | os.O_DIRECTORY), errno.ENOTDIR),
        (lambda: os.rmdir(demo), errno.ENOTEMPTY),
        (lambda: os.stat(demo / ("n" * 256)), errno.ENAMETOOLONG),
        (lambda: os.getxattr(demo / "page", "user.none"), errno.ENODATA),
    ):
        with pytest.raises(OSError) as e:
            call()
        assert e.value.errno == code


def test_reading_changes_nothing(mount, pair):
    """Walking, reading and running an environment leave no trace behind the mount."""
    a, _ = pair
    mount.venvfs.env["PYTHONDONTWRITEBYTECODE"] = "1"
    tree(a)
    subprocess.run([a / "bin/python", "-c", "import demo"], check=True, env=mount.venvfs.env)
    with pytest.raises(FileNotFoundError):
        os.stat(a / "nothing")
    assert sorted(p.name for p in (mount.upper / "a").rglob("*")) == ["pyvenv.cfg"]


def test_one_page_cache_for_all(mount, pair, caches):
    """The second environment's reads never reach the daemon."""
    a, b = (p / "lib/python3.11/site-packages/demo" for p in pair)
    with caches.warm():
        assert (a / "big").read_bytes() == BIG
        before = mount.requests()
        for path in (a / "big", b / "big", b / "big"):
            assert path.read_bytes() == BIG
        assert mount.requests()["READ"] == before["READ"]


def test_tar_has_no_hard_links(pair, tmp_path):
    """A tool that looks for hard links finds none, though both show the same files. (Given two names,
    tar goes by the number alone.)"""
    a, b = pair
    subprocess.run(["tar", "-cf", tmp_path / "t.tar", "-C", a.parent, "."], check=True)
    with tarfile.open(tmp_path / "t.tar") as t:
        members = t.getmembers()
        assert not [m.name for m in members if m.islnk()]
        assert sum(m.name.endswith("demo/big") for m in members) == 2
        out = tmp_path / "out"
        subprocess.run(["mkdir", out], check=True)
        subprocess.run(["tar", "-xf", tmp_path / "t.tar", "-C", out], check=True)
    assert_same(tree(out / "a"), tree(a))
    assert_same(tree(out / "b"), tree(b))


@pytest.mark.parametrize("tool", [["cp", "-a"], ["cp", "-r"], ["rsync", "-aH"]], ids=" ".join)
def test_copies_are_files_of_their_own(pair, tmp_path, tool):
    if not shutil.which(tool[0]):
        pytest.skip(f"{tool[0]} is not installed")
    a, b = pair
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run([*tool, a, b, out], check=True)
    for name, env in (("a", a), ("b", b)):
        assert_same(tree(out / name), tree(env))
    regular = [p for p in out.rglob("*") if stat.S_ISREG(p.lstat().st_mode)]
    assert all(p.stat().st_nlink == 1 for p in regular)
    assert len({p.stat().st_ino for p in regular}) == len(regular)


def test_copy_into_the_root(pair, mount):
    """cp -a of an environment makes one whose files are all private, and it works."""
    a, _ = pair
    subprocess.run(["cp", "-a", a, a.parent / "c"], check=True)
    c = a.parent / "c"
    code = "import demo, sys; print(demo.x, sys.prefix)"
    out = subprocess.check_output([c / "bin/python", "-c", code], text=True)
    assert out == f"1 {c}\n"
    # all but the text that names an environment's path
    ours = tree(c)
    assert ours["lib/python3.11/site-packages/demo/big"][1] == BIG
    assert ours.keys() == tree(a).keys()


def test_numbers_stay_while_looked_at(pair, caches):
    """lstat and fstat of what was opened agree, for files and directories, also after all was forgotten."""
    a, _ = pair
    first = {}
    for directory, dirs, files in os.walk(a):
        for name in dirs + files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            first[path] = st.st_ino
            if stat.S_ISREG(st.st_mode) or stat.S_ISDIR(st.st_mode):
                fd = os.open(path, os.O_RDONLY)
                assert os.fstat(fd).st_ino == st.st_ino and os.fstat(fd).st_dev == st.st_dev
                os.close(fd)
    caches.drop()
    again = {path: os.lstat(path).st_ino for path in first}
    assert again == first


def test_many_readers(pair):
    """Threads that walk and read both environments at once."""
    a, b = pair
    wanted = {e: tree(e) for e in pair}
    faults = []

    def walk(env):
        try:
            for _ in range(4):
                assert tree(env) == wanted[env]
        except BaseException as e:
            faults.append(e)

    threads = [threading.Thread(target=walk, args=(e,)) for e in (a, b) * 4]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not faults


def test_read_only_mount(pair, mount):
    a, _ = pair
    mount.remount("-r")
    target = a / "lib/python3.11/site-packages/demo/page"
    for call in (
        lambda: target.write_bytes(b"x"),
        lambda: target.unlink(),
        lambda: os.chmod(target, 0o600),
        lambda: os.utime(target),
        lambda: (a / "new").mkdir(),
        lambda: (a / "new").write_text(""),
        lambda: target.rename(target.with_name("other")),
        lambda: os.symlink("x", a / "link"),
        lambda: os.truncate(target, 0),
        lambda: (a / "pyvenv.cfg").unlink(),
    ):
        with pytest.raises(OSError) as e:
            call()
        assert e.value.errno == errno.EROFS
    assert target.read_bytes() == b"p" * 4096
    out = subprocess.check_output([a / "bin/python", "-c", "import demo; print(demo.x)"], text=True)
    assert out == "1\n"
