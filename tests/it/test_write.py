# SPDX-License-Identifier: MIT
"""A store file changed in one environment, by every way there is: it changes there, and nowhere else.
Two environments share one inode for it; the other's bytes, open descriptors and mappings, and the
store, stay as they were."""

import errno
import fcntl
import mmap
import os
import subprocess
import sys
import threading

import pytest

import wheelmaker
from conftest import Venvfs

TEXT = b"".join(b"line %d of what the store has\n" % i for i in range(400))  # in the pack
LARGE = bytes(range(256)) * 1000  # a blob
FILES = {"demo/__init__.py": b"", "demo/text.py": TEXT, "demo/large.bin": LARGE, "demo/sub/deep.py": TEXT}


class Pair:
    """x, which is changed, and y, which has the same lock. What y shows is held open and mapped before."""

    def __init__(self, venvfs, mount, cfg):
        self.venvfs, self.mount, self.cfg = venvfs, mount, cfg
        self.site = {name: self.add(name) for name in "xy"}
        self.held = {}
        for path, data in FILES.items():
            if data:
                fd = os.open(self.site["y"] / path, os.O_RDONLY)
                self.held[path] = fd, mmap.mmap(fd, 0, prot=mmap.PROT_READ), os.fstat(fd)

    def add(self, name):
        (self.mount.path / name).mkdir()
        (self.mount.path / name / "pyvenv.cfg").write_bytes(self.cfg)
        [site] = (self.mount.path / name).glob("lib/python3*/site-packages")
        return site

    def x(self, path):
        return self.site["x"] / path

    def check(self):
        for path, (fd, mapping, st) in self.held.items():
            assert mapping[:] == FILES[path], f"y's mapping of {path} changed"
            assert os.pread(fd, 1 << 20, 0) == FILES[path], f"y's open {path} changed"
            now = os.stat(self.site["y"] / path)
            for field in ("st_mode", "st_size", "st_mtime_ns", "st_ino", "st_nlink", "st_uid"):
                assert getattr(now, field) == getattr(st, field), f"y's {path}: {field}"
        for path, data in FILES.items():
            assert (self.site["y"] / path).read_bytes() == data, f"y's {path} changed"
        assert not (self.mount.upper / "y" / "lib").exists(), "y has private files"
        assert self.venvfs.json("store", "verify")["bad"] == 0

    def close(self):
        for fd, mapping, _ in self.held.values():
            mapping.close()
            os.close(fd)


@pytest.fixture(scope="module")
def ready(tmp_path_factory, debian_python):
    """A store with the wheel and what is known of the Python, and the text of an environment's pyvenv.cfg."""
    base = tmp_path_factory.mktemp("ready")
    venvfs = Venvfs(base, None)
    venvfs("store", "add", "--no-compile", wheelmaker.make(base, "demo", files=FILES))
    venvfs("create", base / "x", "--without-pip", "--python", debian_python, "--root", base)
    (base / "pins.txt").write_text("demo==1.0\n")
    venvfs("sync", "--no-compile", base / "x", base / "pins.txt", "--root", base)
    return base, (base / "x" / "pyvenv.cfg").read_bytes()


@pytest.fixture
def pair(ready, mounts, root, sanitizer_logs):
    base, cfg = ready
    venvfs = Venvfs(base, sanitizer_logs)
    p = Pair(venvfs, mounts(root, venvfs=venvfs), cfg)
    yield p
    p.check()
    p.close()


@pytest.fixture(params=["demo/text.py", "demo/large.bin", "demo/sub/deep.py"])
def victim(request):
    return request.param


@pytest.fixture(params=["cold", "warm"])
def path(request, pair, victim):
    """x's file; warm: the kernel knows its name and has its pages."""
    p = pair.x(victim)
    if request.param == "warm":
        assert p.read_bytes() == FILES[victim]
    return p


def test_open_w(path):
    with open(path, "wb") as f:
        f.write(b"new")
    assert path.read_bytes() == b"new" and path.stat().st_size == 3


def test_open_a(path, victim):
    with open(path, "ab") as f:
        assert f.tell() == len(FILES[victim])
        f.write(b"more")
    assert path.read_bytes() == FILES[victim] + b"more"


def test_open_r_plus(path, victim):
    with open(path, "r+b") as f:
        assert f.read(4) == FILES[victim][:4]
        f.seek(10)
        f.write(b"!!")
        f.seek(0)
        assert f.read() == FILES[victim][:10] + b"!!" + FILES[victim][12:]
    assert path.read_bytes() == FILES[victim][:10] + b"!!" + FILES[victim][12:]


def test_open_for_writing_and_nothing_written(pair, path, victim):
    with open(path, "r+b") as f:
        assert f.read() == FILES[victim]
    assert path.read_bytes() == FILES[victim]


def test_shared_mapping(path, victim):
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        m[100:105] = b"HELLO"
        m.flush()
        assert path.read_bytes()[100:105] == b"HELLO"
    assert path.read_bytes() == FILES[victim][:100] + b"HELLO" + FILES[victim][105:]


def test_private_mapping(path, victim):
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE,
                                         prot=mmap.PROT_READ | mmap.PROT_WRITE) as m:
        m[0:5] = b"HELLO"
    assert path.read_bytes() == FILES[victim]


@pytest.mark.parametrize("size", [0, 7, 5000, 2_000_000])
def test_truncate(path, victim, size):
    os.truncate(path, size)
    assert path.read_bytes() == FILES[victim][:size].ljust(size, b"\0")


def test_ftruncate(path, victim):
    with open(path, "r+b") as f:
        f.truncate(12)
    assert path.read_bytes() == FILES[victim][:12]


def test_chmod(path, victim):
    os.chmod(path, 0o600)
    assert path.stat().st_mode & 0o7777 == 0o600
    assert path.read_bytes() == FILES[victim]


def test_utime(path, victim):
    os.utime(path, (1, 2))
    assert (path.stat().st_atime, path.stat().st_mtime) == (1, 2)
    assert path.read_bytes() == FILES[victim]


def test_touch(path, victim):
    before = path.stat().st_mtime_ns
    subprocess.run(["touch", path], check=True)
    assert path.stat().st_mtime_ns > before
    assert path.read_bytes() == FILES[victim]


def test_access_changes_nothing(pair, path, victim):
    assert os.access(path, os.W_OK) and os.access(path, os.R_OK) and not os.access(path, os.X_OK)
    assert not (pair.mount.upper / "x" / "lib").exists()


def test_chown_to_oneself(path, victim):
    os.chown(path, os.getuid(), os.getgid())
    assert path.read_bytes() == FILES[victim]


def test_rename_over(path):
    new = path.with_name("new")
    new.write_bytes(b"renamed")
    os.rename(new, path)
    assert path.read_bytes() == b"renamed" and not new.exists()


def test_rename_away_and_back(path, victim):
    os.rename(path, path.with_name("away"))
    assert not path.exists() and path.with_name("away").read_bytes() == FILES[victim]
    os.rename(path.with_name("away"), path)
    assert path.read_bytes() == FILES[victim]


def test_unlink_and_make_again(path, victim):
    with open(path, "rb") as held:
        os.unlink(path)
        assert not path.exists() and path.name not in os.listdir(path.parent)
        assert held.read() == FILES[victim]
    path.write_bytes(b"again")
    assert path.read_bytes() == b"again"
    os.unlink(path)
    assert not path.exists(), "the store's file shows again"


def test_hard_link(path, victim):
    """Of the store's bytes: the new name is a file of its own, the old one is what it was."""
    other = path.with_name("linked")
    os.link(path, other)
    assert other.read_bytes() == FILES[victim] and other.stat().st_nlink == path.stat().st_nlink == 1
    with open(other, "ab") as f:
        f.write(b"+")
    assert path.read_bytes() == FILES[victim]


def test_xattr(path, victim):
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError as e:
        if e.errno != errno.EOPNOTSUPP:
            raise
        pytest.skip("the file system of the root has no extended attributes")
    assert os.getxattr(path, "user.note") == b"mine" and "user.note" in os.listxattr(path)
    assert path.read_bytes() == FILES[victim]
    os.removexattr(path, "user.note")
    assert os.listxattr(path) == []


def test_fallocate(path, victim):
    with open(path, "r+b") as f:
        os.posix_fallocate(f.fileno(), 0, len(FILES[victim]) + 4096)
    assert path.read_bytes() == FILES[victim] + bytes(4096)


def test_fsync(path):
    with open(path, "r+b") as f:
        f.write(b"sync")
        os.fsync(f.fileno())
        os.fdatasync(f.fileno())
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)
    assert path.read_bytes()[:4] == b"sync"


@pytest.mark.parametrize("command", [
    ["sed", "-i", "s/line/LINE/"], ["dd", "conv=notrunc", "if=/dev/zero", "bs=1", "count=3", "status=none"],
    ["truncate", "-s", "9"], ["chmod", "u+x"], ["cp", "/etc/hostname"], ["install", "-m", "644", "/etc/hostname"],
    ["tee"], ["rm"]], ids=lambda c: c[0])
def test_by_program(pair, command):
    path = pair.x("demo/text.py")
    assert path.read_bytes() == TEXT
    target = [f"of={path}"] if command[0] == "dd" else [path]
    subprocess.run([*command, *target], stdin=subprocess.DEVNULL, check=True)
    if command[0] == "rm":
        assert not path.exists()
    elif command[0] == "chmod":
        assert os.access(path, os.X_OK)
    else:
        assert path.read_bytes() != TEXT


# what can not be broken open: a descriptor that was opened for reading says no environment


@pytest.mark.parametrize("change", ["fchmod", "futimens", "fchown", "fsetxattr"])
def test_through_a_reader(pair, victim, change):
    path = pair.x(victim)
    fd = os.open(path, os.O_RDONLY)
    with pytest.raises(OSError) as e:
        if change == "fchmod":
            os.fchmod(fd, 0o600)
        elif change == "futimens":
            os.utime(fd, (1, 1))
        elif change == "fchown":
            os.fchown(fd, os.getuid(), os.getgid())
        else:
            os.setxattr(fd, "user.note", b"x")
    assert e.value.errno == errno.ESTALE
    st = os.fstat(fd)
    assert st.st_mode & 0o777 == 0o644 and st.st_mtime > 1
    os.close(fd)
    assert path.read_bytes() == FILES[victim]


def test_through_a_writer(pair, victim):
    path = pair.x(victim)
    with open(path, "r+b") as f:
        os.fchmod(f.fileno(), 0o640)
        os.utime(f.fileno(), (5, 6))
        st = os.fstat(f.fileno())
        assert st.st_mode & 0o777 == 0o640 and st.st_mtime == 6
    assert path.stat().st_mode & 0o777 == 0o640 and path.read_bytes() == FILES[victim]


def test_a_reader_from_before_keeps_what_it_had(pair, victim):
    path = pair.x(victim)
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
        path.write_bytes(b"changed")
        assert m[:] == FILES[victim]
        assert f.read() == FILES[victim]
    assert path.read_bytes() == b"changed"


def test_both_edit(pair):
    """Each gets its own file of the one they shared."""
    # y is watched by the fixture, so a third one plays its part
    site = pair.add("z")
    for i, p in enumerate([pair.x("demo/text.py"), site / "demo/text.py"]):
        with open(p, "r+b") as f:
            f.write(b"%d" % i)
    assert pair.x("demo/text.py").read_bytes()[:1] == b"0"
    assert (site / "demo/text.py").read_bytes()[:1] == b"1"


def test_many_writers(pair):
    """Threads that open the same and other files at once: each of them succeeds, no edit is lost."""
    faults = []

    def work(n):
        try:
            for i in range(20):
                p = pair.x("demo/text.py") if n % 2 else pair.x(f"demo/new{n}.py")
                with open(p, "ab") as f:
                    f.write(b"#%d.%d\n" % (n, i))
        except OSError as e:
            faults.append(e)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not faults
    text = pair.x("demo/text.py").read_bytes()
    assert text.startswith(TEXT)
    for n in range(8):
        mine = text if n % 2 else pair.x(f"demo/new{n}.py").read_bytes()
        assert [i for i in range(20) if mine.count(b"#%d.%d\n" % (n, i)) == 1] == list(range(20))


def test_many_processes(pair):
    code = "import sys\nfor i in range(10):\n with open(sys.argv[1], 'ab') as f: f.write(sys.argv[2].encode())\n"
    running = [subprocess.Popen([sys.executable, "-c", code, pair.x(p), str(n)])
               for n in range(4) for p in ("demo/text.py", "demo/large.bin")]
    assert [p.wait() for p in running] == [0] * 8
    tail = pair.x("demo/text.py").read_bytes()[len(TEXT):]
    assert sorted(tail) == sorted(b"0123" * 10)
    assert pair.x("demo/text.py").read_bytes()[:len(TEXT)] == TEXT


def test_read_only_for_others_bits(pair):
    """Modes are enforced by the kernel, for whoever is not root."""
    p = pair.x("demo/text.py")
    os.chmod(p, 0o444)
    if os.geteuid() == 0:
        p.write_bytes(b"root may")
        assert p.read_bytes() == b"root may"
    else:
        with pytest.raises(PermissionError):
            p.write_bytes(b"no")
        assert p.read_bytes() == TEXT


# after the mount is gone


def test_stays_over_a_new_mount(pair, victim):
    path = pair.x(victim)
    path.write_bytes(b"private")
    gone = pair.x("demo/__init__.py")
    gone.unlink()
    for fd, mapping, _ in pair.held.values():
        mapping.close()
        os.close(fd)
    pair.held.clear()
    pair.mount.remount()
    assert path.read_bytes() == b"private" and not gone.exists()


def test_locks(pair):
    with open(pair.x("demo/text.py"), "r+b") as a, open(pair.x("demo/text.py"), "r+b") as b:
        fcntl.flock(a, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_copy_file_range_and_sendfile(pair):
    out = pair.x("demo/copy.bin")
    with open(pair.x("demo/large.bin"), "rb") as f, open(out, "wb") as g:
        n = os.sendfile(g.fileno(), f.fileno(), 0, 1000)
        while n < len(LARGE):
            n += os.copy_file_range(f.fileno(), g.fileno(), len(LARGE) - n, offset_src=n)
    assert out.read_bytes() == LARGE


def test_a_write_is_one_request(mount):
    with open(mount.path / "new", "wb", buffering=0) as f:
        before = mount.requests()
        for _ in range(50):
            f.write(b"x" * 4096)
        after = mount.requests()
    assert after["WRITE"] - before["WRITE"] == 50
    assert after["GETXATTR"] - before["GETXATTR"] < 10, "the kernel asks for file capabilities before it writes"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write as somebody else")
@pytest.mark.parametrize("mode, after", [(0o4755, 0o755), (0o6711, 0o711), (0o2644, 0o2644), (0o755, 0o755)])
@pytest.mark.parametrize("how", ["os.write(1, b'x')", "os.ftruncate(1, 1)", "os.posix_fallocate(1, 0, 100)"])
def test_a_strangers_write_takes_setuid_away(mounts, root, debian_python, mode, after, how):
    p = mounts(root, "--allow-other").path / "new"
    p.write_bytes(b"text")
    p.chmod(mode)
    with open(p, "r+b") as f:
        subprocess.run([debian_python, "-c", f"import os; {how}"], stdout=f, check=True, user=65534, group=65534, cwd="/")
    assert p.stat().st_mode & 0o7777 == after
    p.chmod(mode)
    p.write_bytes(b"root")
    assert p.stat().st_mode & 0o7777 == mode
