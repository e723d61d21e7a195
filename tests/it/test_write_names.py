# SPDX-License-Identifier: MIT
"""Names that come and go: new files and directories, deletions and what they leave behind the mount, and
names that are not to be had."""

import ctypes
import errno
import os
import shutil
import socket
import stat
import subprocess
import threading

import pytest
from prepared import prepared, private, site, venvfs, x  # noqa: F401

LONG = "n" * 252  # its mark would need a longer name than there is
WHEELS = {
    "demo": {"files": {f"demo/{d}{f}": f"{d}{f}\n" for d in ("", "sub/", "sub/deep/") for f in ("__init__.py", "a.py", "b.py")},
             "data": {"share/demo/notes": "notes\n"}},
    "ns-one": {"files": {"ns/one/__init__.py": "1\n"}},
    "ns-two": {"files": {"ns/two/__init__.py": "2\n"}},
    "long": {"files": {"long/__init__.py": "", f"long/{LONG}": "long\n"}},
}


@pytest.fixture
def demo(x):
    return site(x) / "demo"


def fails(code, call, *args):
    with pytest.raises(OSError) as e:
        call(*args)
    assert e.value.errno == code, f"{errno.errorcode[e.value.errno]} instead of {errno.errorcode[code]}"


# new ones


@pytest.mark.parametrize("where", ["", "x", "x/bin", "x/lib", "x/lib/python3.11/site-packages/demo/sub", "x/share/demo",
                                   "x/include", "x/lib/python3.11/site-packages/ns", "x/own/below", "plain"])
def test_new_names(mount, x, where):
    d = mount.path / where
    d.mkdir(parents=True, exist_ok=True)
    before = set(os.listdir(d))
    (d / "file").write_bytes(b"text")
    (d / "dir").mkdir(mode=0o750)
    (d / "dir" / "inner").write_bytes(b"inner")
    (d / "link").symlink_to("file")
    os.mkfifo(d / "fifo")
    with socket.socket(socket.AF_UNIX) as s:
        here = os.open(d, os.O_PATH)
        s.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    assert set(os.listdir(d)) - before == {"file", "dir", "link", "fifo", "socket"}
    mount.remount()
    assert set(os.listdir(d)) - before == {"file", "dir", "link", "fifo", "socket"}
    assert (d / "link").read_bytes() == b"text" and (d / "dir/inner").read_bytes() == b"inner"
    assert stat.S_ISFIFO((d / "fifo").stat().st_mode) and stat.S_ISSOCK((d / "socket").stat().st_mode)
    assert (d / "dir").stat().st_mode & 0o7777 == 0o750
    for name in ("file", "dir/inner", "link", "fifo", "socket"):
        (d / name).unlink()
    (d / "dir").rmdir()
    assert set(os.listdir(d)) == before


def test_modes_and_umask(demo):
    old = os.umask(0o027)
    try:
        os.close(os.open(demo / "f", os.O_WRONLY | os.O_CREAT, 0o666))
        os.mkdir(demo / "d")
        os.close(os.open(demo / "r", os.O_WRONLY | os.O_CREAT, 0o400))
    finally:
        os.umask(old)
    assert [(demo / n).stat().st_mode & 0o777 for n in "fdr"] == [0o640, 0o750, 0o400]


@pytest.mark.skipif(os.geteuid() != 0, reason="making devices takes root")
def test_no_devices(x):
    for kind in (stat.S_IFCHR, stat.S_IFBLK):
        fails(errno.EPERM, os.mknod, x / "dev", kind | 0o600, os.makedev(1, 3))
    assert not (x / "dev").exists()


def test_no_nameless_files(demo):
    fails(errno.EOPNOTSUPP, os.open, demo, os.O_TMPFILE | os.O_RDWR)


def test_one_of_many_makes_it(demo):
    """O_EXCL and mkdir are locks: of those who try at once, one succeeds."""
    for name, make in (("lock", lambda p: os.close(os.open(p, os.O_CREAT | os.O_EXCL))), ("lockdir", os.mkdir)):
        for i in range(20):
            won, start = [], threading.Barrier(6)

            def race():
                start.wait()
                try:
                    make(demo / f"{name}{i}")
                    won.append(1)
                except FileExistsError:
                    pass

            threads = [threading.Thread(target=race) for _ in range(6)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert len(won) == 1


# deletions


def test_a_deletion_is_one_mark(mount, demo):
    (demo / "a.py").unlink()
    assert set(private(mount, "x")) >= {"lib/python3.11/site-packages/demo/.wh.a.py"}
    assert len([p for p, v in private(mount, "x").items() if v is not None]) == 2  # and pyvenv.cfg
    shutil.rmtree(demo)
    assert {p for p, v in private(mount, "x").items() if v is not None} == {
        "pyvenv.cfg", "lib/python3.11/site-packages/.wh.demo"}
    assert not demo.exists() and "demo" not in os.listdir(demo.parent)
    mount.remount()
    assert not demo.exists() and "demo" not in os.listdir(demo.parent)


def test_made_again_it_is_empty(mount, demo):
    """A new directory in the place of a deleted one shows nothing of what was there."""
    shutil.rmtree(demo)
    demo.mkdir()
    assert os.listdir(demo) == []
    (demo / "sub").mkdir()
    (demo / "mine.py").write_text("mine")
    for _ in range(2):
        assert sorted(os.listdir(demo)) == ["mine.py", "sub"] and os.listdir(demo / "sub") == []
        assert not (demo / "a.py").exists() and not (demo / "sub" / "a.py").exists()
        mount.remount()
    shutil.rmtree(demo)
    assert not demo.exists()
    demo.write_text("a file now")
    mount.remount()
    assert demo.read_text() == "a file now"
    demo.unlink()
    assert not demo.exists()


def test_a_file_in_the_place_of_a_directory_and_back(mount, demo):
    shutil.rmtree(demo / "sub")
    (demo / "sub").symlink_to("a.py")
    (demo / "a.py").unlink()
    (demo / "a.py").mkdir()
    (demo / "a.py" / "x").write_text("x")
    for _ in range(2):
        assert (demo / "sub").is_symlink() and (demo / "a.py" / "x").read_text() == "x"
        mount.remount()


def test_rmdir_wants_it_empty(mount, x, demo):
    fails(errno.ENOTEMPTY, os.rmdir, demo / "sub/deep")
    for name in os.listdir(demo / "sub/deep"):
        (demo / "sub/deep" / name).unlink()
    assert os.listdir(demo / "sub/deep") == []
    (demo / "sub/deep/mine").write_text("")
    fails(errno.ENOTEMPTY, os.rmdir, demo / "sub/deep")
    (demo / "sub/deep/mine").unlink()
    (demo / "sub/deep").rmdir()
    fails(errno.ENOENT, os.rmdir, demo / "sub/deep")
    fails(errno.ENOTEMPTY, os.rmdir, demo / "sub")
    fails(errno.ENOTEMPTY, os.rmdir, x / "lib")
    mount.remount()
    assert not (demo / "sub/deep").exists() and (demo / "sub/a.py").exists()


def test_a_merged_directory(mount, x):
    """What two distributions share goes when both parts are gone."""
    ns = site(x) / "ns"
    shutil.rmtree(ns / "one")
    assert os.listdir(ns) == ["two"]
    fails(errno.ENOTEMPTY, os.rmdir, ns)
    shutil.rmtree(ns / "two")
    ns.rmdir()
    mount.remount()
    assert not ns.exists()


@pytest.mark.parametrize("walked", [False, True])
@pytest.mark.parametrize("how", ["rm", "rmtree", "find", "two at once"])
def test_remove_a_tree(mount, demo, how, walked):
    (demo / "sub" / "mine").mkdir()
    (demo / "sub" / "mine" / "x").write_text("x")
    (demo / "sub" / "a.py").write_text("edited")
    (demo / "b.py").unlink()
    if walked:
        subprocess.run(["find", demo, "-type", "f", "-exec", "cat", "{}", "+"], check=True, stdout=subprocess.DEVNULL)
    if how == "rm":
        subprocess.run(["rm", "-r", demo], check=True, stdin=subprocess.DEVNULL)
    elif how == "rmtree":
        shutil.rmtree(demo)
    elif how == "find":
        subprocess.run(["find", demo, "-delete"], check=True)
    else:
        both = [subprocess.Popen(["rm", "-rf", demo]) for _ in range(2)]
        assert [p.wait() for p in both] == [0, 0]
    assert not demo.exists() and "demo" not in os.listdir(demo.parent)
    mount.remount()
    assert not demo.exists()


def test_deleted_while_open(mount, demo):
    """What is open goes on; its name and its directory are free at once."""
    (demo / "sub/mine").write_bytes(b"mine")
    kept = {name: os.open(demo / "sub" / name, os.O_RDWR) for name in ("a.py", "b.py", "mine")}
    os.pwrite(kept["b.py"], b"written", 0)
    shutil.rmtree(demo / "sub")
    assert not (demo / "sub").exists()
    assert os.pread(kept["a.py"], 99, 0) == b"sub/a.py\n" and os.pread(kept["mine"], 99, 0) == b"mine"
    for fd in kept.values():
        os.pwrite(fd, b"more", 100)
        os.fsync(fd)
        assert os.pread(fd, 4, 100) == b"more" and os.fstat(fd).st_size == 104
        os.fchmod(fd, 0o600)
        os.ftruncate(fd, 2)
        assert os.fstat(fd).st_size == 2
        os.close(fd)
    assert not [p for p in private(mount, "x") if p.startswith(".") or "sub" in p.split("/")]


def test_a_process_in_a_deleted_directory(demo, request):
    fd = os.open(demo / "sub", os.O_RDONLY | os.O_DIRECTORY)
    request.addfinalizer(lambda: os.close(fd))
    shutil.rmtree(demo / "sub")
    assert os.listdir(fd) == []
    fails(errno.ENOENT, lambda: os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    fails(errno.ENOENT, lambda: os.mkdir("new", dir_fd=fd))
    st = os.fstat(fd)
    assert stat.S_ISDIR(st.st_mode) and st.st_nlink == 0


@pytest.mark.parametrize("how", ["cp -l", "cp -al"])
def test_linked_where_another_environment_deleted_it(mount, prepared, x, how):
    """The kernel counts down the names of the one file that both show, but who links looks at it first."""
    y = prepared.env(mount.path / "y")
    a = {env: site(env) / "demo/a.py" for env in (x, y)}
    assert a[y].lstat().st_ino == a[x].lstat().st_ino
    a[x].unlink()
    subprocess.run([*how.split(), a[y], a[y].with_name("new.py")], check=True)
    assert a[y].with_name("new.py").read_text() == "a.py\n" and a[y].lstat().st_nlink == 1


# names that are not to be had


@pytest.mark.parametrize("name", [".wh.a.py", ".wh.new", ".wh..wh..opq", ".wh..wh..redirect", ".venvfs", ".venvfs-x"])
def test_names_of_ours(mount, demo, name):
    (demo / "b.py").unlink()
    (demo / "mine").write_text("mine")
    p = demo / name
    fails(errno.EPERM, lambda: p.write_text("x"))
    fails(errno.EPERM, p.mkdir)
    fails(errno.EPERM, p.symlink_to, "x")
    fails(errno.EPERM, os.mkfifo, p)
    fails(errno.EPERM, os.rename, demo / "mine", p)
    fails(errno.EPERM, os.link, demo / "mine", p)
    fails(errno.ENOENT, p.lstat)
    fails(errno.ENOENT, p.unlink)
    fails(errno.ENOENT, os.rename, p, demo / "taken")
    assert sorted(os.listdir(demo)) == ["__init__.py", "a.py", "mine", "sub"]
    assert not (demo / "b.py").exists() and (demo / "a.py").read_text() == "a.py\n"


def test_marks_are_no_way_in(mount, demo):
    """The mark of a deletion can be neither seen nor taken away through the mount."""
    (demo / "a.py").unlink()
    for call in (os.lstat, os.unlink, lambda p: os.open(p, os.O_RDONLY), lambda p: os.truncate(p, 0)):
        fails(errno.ENOENT, call, demo / ".wh.a.py")
    assert not (demo / "a.py").exists()


def test_temporary_names(demo):
    tmp = demo / ".venvfs-tmp.1"
    tmp.write_text("new")
    assert tmp.read_text() == "new" and tmp.name not in os.listdir(demo)
    fails(errno.EPERM, os.rename, demo / "a.py", tmp)
    os.rename(tmp, demo / "a.py")
    assert (demo / "a.py").read_text() == "new"


def test_long_names(mount, x, demo):
    longest = "m" * 255
    (demo / longest).write_text("x")
    (demo / ("d" * 255)).mkdir()
    assert {longest, "d" * 255} < set(os.listdir(demo))
    (demo / longest).unlink()
    (demo / ("d" * 255)).rmdir()
    for n in (256, 1000):
        p = demo / ("m" * n)
        for call in (p.lstat, p.mkdir, lambda: p.write_text(""), lambda: p.symlink_to("x"),
                     lambda: os.rename(demo / "a.py", p), lambda: os.link(demo / "a.py", p)):
            fails(errno.ENAMETOOLONG, call)
    assert (demo / "a.py").exists()


def test_a_long_name_of_the_view(mount, x):
    """Of 252 bytes and more a mark behind the prefix would be too long: it has one by checksum."""
    p = site(x) / "long" / LONG
    assert p.read_text() == "long\n"
    os.rename(p, p.with_name("short"))
    for _ in range(2):
        assert p.with_name("short").read_text() == "long\n" and not p.exists() and LONG not in os.listdir(p.parent)
        mount.remount()
    os.rename(p.with_name("short"), p)
    assert p.read_text() == "long\n" and LONG in os.listdir(p.parent)
    p.unlink()
    mount.remount()
    assert not p.exists()
    p.mkdir()
    assert os.listdir(p) == []
    p.rmdir()
    p.write_text("again")
    mount.remount()
    assert p.read_text() == "again"
    subprocess.run(["rm", "-rf", p.parent], check=True)
    assert not p.parent.exists()
    mount.remount()
    assert not p.parent.exists() and {m for m in private(mount, "x") if ".wh." in m} == {f"{site(x).relative_to(x)}/.wh.long"}


# listings


def test_positions_stay_good(demo, request):
    """telldir() of one listing, seekdir() after names came and went: what stayed of the rest, each once."""
    for i in range(300):
        (demo / f"f{i}").touch()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    libc.telldir.restype = ctypes.c_long
    libc.telldir.argtypes = libc.readdir.argtypes = libc.closedir.argtypes = libc.rewinddir.argtypes = [ctypes.c_void_p]
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]

    def following(d, n=100_000):
        names = []
        while len(names) < n and (e := libc.readdir(d)):
            names.append(os.fsdecode(ctypes.string_at(e + 19)))
        return names

    d = libc.opendir(os.fsencode(demo))
    request.addfinalizer(lambda: libc.closedir(d))
    first = following(d, 120)
    here = libc.telldir(d)
    rest = following(d)
    for name in rest[::3] + first[30::3]:
        if name.startswith("f"):
            (demo / name).unlink()
    for i in range(50):
        (demo / f"g{i}").touch()
    libc.seekdir(d, here)
    again = following(d)
    assert len(again) == len(set(again))
    stayed = [n for n in rest if n in (".", "..") or (demo / n).exists()]
    assert [n for n in again if n in stayed] == stayed
    assert not set(again) & set(first)
    libc.rewinddir(d)
    assert set(following(d)) == {".", "..", *os.listdir(demo)}


def test_listing_while_others_write(demo):
    """A directory that changes all the time lists what stays exactly once."""
    stay = {f"s{i}" for i in range(200)}
    for name in stay:
        (demo / name).touch()
    stop = threading.Event()

    def churn():
        i = 0
        while not stop.is_set():
            (demo / f"t{i % 50}").touch()
            (demo / f"t{(i * 7) % 50}").unlink(missing_ok=True)
            i += 1

    t = threading.Thread(target=churn)
    t.start()
    try:
        for _ in range(60):
            names = os.listdir(demo)
            assert len(names) == len(set(names)) and stay < set(names)
    finally:
        stop.set()
        t.join()


def test_each_change_moves_the_directorys_time(demo):
    """By a microsecond at least: importers and tools look at it."""
    def change(n):
        yield lambda: (demo / f"n{n}").write_text("")
        yield lambda: os.rename(demo / f"n{n}", demo / f"m{n}")
        yield lambda: (demo / f"m{n}").unlink()
        yield lambda: (demo / f"d{n}").mkdir()
        yield lambda: (demo / f"d{n}").rmdir()
        yield lambda: (demo / f"l{n}").symlink_to("x")

    last = demo.stat().st_mtime_ns
    for n in range(10):
        for step in change(n):
            step()
            now = demo.stat().st_mtime_ns
            assert now - last >= 1000
            last = now
    (demo / "a.py").unlink()
    assert demo.stat().st_mtime_ns - last >= 1000
