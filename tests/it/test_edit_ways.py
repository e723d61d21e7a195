# SPDX-License-Identifier: MIT
"""Programs that people edit files with, each on a file of the store in one of two environments: the edit is
there, and the other environment and the store have the old bytes and metadata, also through descriptors and
mappings that were open before. The system calls themselves: test_write.py."""

import ctypes
import errno
import hashlib
import mmap
import os
import shutil
import subprocess
import sys

import pytest
from prepared import Prepared, site

OLD = b"".join(b"line %d\n" % n for n in range(300))  # in the pack
BLOB = OLD * 60  # a file of its own
FILES = {"demo/__init__.py": b"", "demo/text.py": OLD, "demo/large.py": BLOB}
NEW = OLD.replace(b"line 7\n", b"LINE 7\n")

PATCH = """--- a/demo/text.py
+++ b/demo/text.py
@@ -6,4 +6,4 @@
 line 5
 line 6
-line 7
+LINE 7
 line 8
"""

# name: (program that must be there, shell with $f the file, $d site-packages, $t a directory on the disk; its bytes then)
COMMANDS = {
    "redirect": ("sh", 'echo new >"$f"', b"new\n"),
    "append": ("sh", 'echo new >>"$f"', OLD + b"new\n"),
    "read and write": ("sh", "printf LINE 1<>\"$f\"", b"LINE" + OLD[4:]),
    "tee": ("tee", 'echo new | tee "$f" >/dev/null', b"new\n"),
    "tee -a": ("tee", 'echo new | tee -a "$f" >/dev/null', OLD + b"new\n"),
    "sed -i": ("sed", 'sed -i "s/^line 7$/LINE 7/" "$f"', NEW),
    "sed -i.bak": ("sed", 'sed -i.bak "s/^line 7$/LINE 7/" "$f"', NEW),
    "perl -i": ("perl", 'perl -pi -e "s/^line 7$/LINE 7/" "$f"', NEW),
    "ed": ("ed", 'printf "/line 7/s/line/LINE/\\nw\\nq\\n" | ed -s "$f"', NEW),
    "ex": ("ex", 'printf "set nocp\\n8s/line/LINE/\\nwq\\n" | ex -s "$f"', NEW),
    "vim": ("vim", 'vim -es -u NONE -i NONE -c "8s/line/LINE/" -c wq "$f" </dev/null', NEW),
    "vim with a copy as backup": ("vim", 'vim -es -u NONE -i NONE -c "set backup backupcopy=yes" -c "8s/line/LINE/" -c wq "$f" </dev/null', NEW),
    "vim by renaming": ("vim", 'vim -es -u NONE -i NONE -c "set backup backupcopy=no" -c "8s/line/LINE/" -c wq "$f" </dev/null', NEW),
    "git apply": ("git", 'cd "$d" && git apply "$t/patch"', NEW),
    "patch": ("patch", 'cd "$d" && patch -s -p1 <"$t/patch"', NEW),
    "chmod and write": ("chmod", 'chmod 600 "$f" && echo new >"$f"', b"new\n"),
    "mv over": ("mv", 'mv "$t/new" "$f"', b"new\n"),
    "mv over, beside": ("mv", 'echo new >"$f.tmp" && mv "$f.tmp" "$f"', b"new\n"),
    "ln -f": ("ln", 'echo new >"$f.tmp" && ln -f "$f.tmp" "$f"', b"new\n"),
    "ln -sf": ("ln", 'ln -sf "$t/new" "$f"', b"new\n"),
    "truncate": ("truncate", 'truncate -s 9 "$f"', OLD[:9]),
    "fallocate": ("fallocate", 'fallocate -p -o 0 -l 4 "$f"', bytes(4) + OLD[4:]),
    "setfattr": ("setfattr", 'setfattr -n user.note -v mine "$f" && [ "$(getfattr --only-values -n user.note "$f")" = mine ]', OLD),
    "cp": ("cp", 'cp "$t/new" "$f"', b"new\n"),
    "cp --reflink": ("cp", 'cp --reflink=auto "$t/new" "$f"', b"new\n"),
    "cp -p": ("cp", 'cp -p "$t/new" "$f"', b"new\n"),
    "cp --remove-destination": ("cp", 'cp --remove-destination "$t/new" "$f"', b"new\n"),
    "cp within the environment": ("cp", 'cp "$d/demo/__init__.py" "$f"', b""),
    "install": ("install", 'install -m 755 "$t/new" "$f"', b"new\n"),
    "dd": ("dd", 'printf LINE | dd of="$f" conv=notrunc bs=1 seek=16 status=none', OLD[:16] + b"LINE" + OLD[20:]),
    "dd oflag=append": ("dd", 'echo new | dd of="$f" conv=notrunc oflag=append status=none', OLD + b"new\n"),
    "rsync": ("rsync", 'rsync -a "$t/new" "$f"', b"new\n"),
    "rsync --inplace": ("rsync", 'rsync -a --inplace "$t/new" "$f"', b"new\n"),
    "tar": ("tar", 'mkdir -p "$t/tree/demo" && cp "$t/new" "$t/tree/demo/text.py" && tar -C "$t/tree" -c demo | tar -C "$d" -x', b"new\n"),
    "tar --overwrite": ("tar", 'mkdir -p "$t/tree/demo" && cp "$t/new" "$t/tree/demo/text.py" && tar -C "$t/tree" -c demo | '
                        'tar -C "$d" -x --overwrite', b"new\n"),
    "rm and anew": ("rm", 'rm "$f" && echo new >"$f"', b"new\n"),
    "touch -d": ("touch", 'touch -d @5 "$f" && [ "$(stat -c %Y "$f")" = 5 ]', OLD),
    "chmod": ("chmod", 'chmod 751 "$f" && [ "$(stat -c %a "$f")" = 751 ]', OLD),
    "sort -o": ("sort", 'sort -r -o "$f" "$f"', b"".join(sorted(OLD.splitlines(True), reverse=True))),
}  # fmt: skip


def mapped(path, new):
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        m[49:53] = b"LINE"


def copystat(path, new):
    os.chmod(new, 0o640)
    os.utime(new, (7, 7))
    shutil.copystat(new, path)
    assert (path.stat().st_mode & 0o7777, path.stat().st_mtime) == (0o640, 7)


def pwritev_vectors(path, new):
    fd = os.open(path, os.O_WRONLY)
    os.pwritev(fd, [b"LI", b"NE"], 0)
    os.close(fd)


def splice(path, new):
    r, w = os.pipe()
    os.write(w, b"LINE")
    os.close(w)
    with open(path, "r+b", buffering=0) as f:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.splice(r, None, f.fileno(), None, ctypes.c_size_t(4), 0) == 4
    os.close(r)


def save_by_link(path, new):
    """An editor's backup as a second name, then the text by rename."""
    os.link(path, f"{path}~")
    beside = path.with_name("beside")
    beside.write_bytes(b"new\n")
    os.replace(beside, path)
    assert open(f"{path}~", "rb").read() == OLD


def written_by_the_link(path, new):
    """Another name for a file of the store is another file; an edit through it is not one of the first."""
    other = path.with_name("linked.py")
    os.link(path, other)
    other.write_bytes(b"new\n")
    assert path.read_bytes() == OLD
    os.replace(other, path)


def of_a_child(path, new):
    with open(path, "ab") as f:
        subprocess.run(["echo", "new"], stdout=f, check=True)


# name: (what is done, its bytes then)
CALLS = {
    "shared mapping": (mapped, NEW),
    "os.replace": (lambda path, new: os.replace(shutil.copy(new, path.with_name("n")), path), b"new\n"),
    "shutil.move": (lambda path, new: shutil.move(new, path), b"new\n"),
    "shutil.copyfile": (lambda path, new: shutil.copyfile(new, path), b"new\n"),
    "shutil.copy2": (lambda path, new: shutil.copy2(new, path), b"new\n"),
    "shutil.copystat": (copystat, OLD),
    "pwritev": (pwritev_vectors, b"LINE" + OLD[4:]),
    "splice": (splice, b"LINE" + OLD[4:]),
    "link as backup": (save_by_link, b"new\n"),
    "through a link": (written_by_the_link, b"new\n"),
    "inherited": (of_a_child, OLD + b"new\n"),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, debian_python):
    return Prepared(tmp_path_factory.mktemp("prepared"), debian_python, {"demo": {"files": FILES}})


@pytest.fixture
def venvfs(prepared, sanitizer_logs):
    return prepared.venvfs(sanitizer_logs)


class Other:
    """The environment that nobody edits, and the store."""

    fields = "st_mode st_size st_mtime_ns st_ino st_nlink st_uid st_gid".split()

    def __init__(self, venvfs, mount, env):
        self.venvfs, self.private = venvfs, mount.upper / env.name / "lib"
        self.stats = {site(env) / name: self.stat(site(env) / name) for name in FILES}
        self.stored = self.hashes()
        self.open()

    def open(self):
        self.files = {}
        for path, data in zip(self.stats, FILES.values()):
            f = open(path, "rb")
            self.files[path] = data, f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) if data else None

    def stat(self, path):
        st = os.stat(path)
        return [getattr(st, field) for field in self.fields] + [os.listxattr(path)]

    def hashes(self):
        return {p: (hashlib.sha256(p.read_bytes()).digest(), p.stat().st_mode, p.stat().st_mtime_ns)
                for d in ("dists", "blobs") for p in (self.venvfs.store / d).rglob("*") if p.is_file()}

    def check(self):
        for path, (data, f, mapping) in self.files.items():
            assert path.read_bytes() == data and self.stat(path) == self.stats[path], f"the other's {path} changed"
            assert os.pread(f.fileno(), 1 << 20, 0) == data, f"{path} changed through its descriptor"
            assert os.fstat(f.fileno()).st_size == len(data)
            assert mapping is None or mapping[:] == data, f"{path} changed through its mapping"
        assert not self.private.exists(), "the other has private files"
        assert self.hashes() == self.stored and self.stored, "the store changed"
        assert self.venvfs.json("store", "verify")["bad"] == 0

    def close(self):
        for _, f, mapping in self.files.values():
            f.close()
            if mapping:
                mapping.close()


@pytest.fixture(params=["cold", "read before"])
def pair(request, venvfs, prepared, mount):
    """The directory of the one that is edited, and the Other."""
    x, other = prepared.env(mount.path / "x"), Other(venvfs, mount, prepared.env(mount.path / "y"))
    if request.param != "cold":
        for path, data in FILES.items():
            assert (site(x) / path).read_bytes() == data
    yield site(x), other
    other.check()
    other.close()


@pytest.fixture
def new(tmp_path):
    (tmp_path / "patch").write_text(PATCH)
    (tmp_path / "new").write_bytes(b"new\n")
    return tmp_path / "new"


def shown_again(pair, mount, data):
    """The edit is there for another process and after a new mount."""
    top, other = pair
    path = top / "demo/text.py"
    assert path.read_bytes() == data
    assert subprocess.run(["cat", path], check=True, stdout=subprocess.PIPE).stdout == data
    assert (top / "demo/large.py").read_bytes() == BLOB
    other.check()
    other.close()
    mount.remount()
    assert path.read_bytes() == data
    other.open()


@pytest.mark.parametrize("way", COMMANDS)
def test_by_a_program(pair, mount, new, way):
    program, script, data = COMMANDS[way]
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    top, _ = pair
    environ = os.environ | {"f": str(top / "demo/text.py"), "d": str(top), "t": str(new.parent), "HOME": str(new.parent)}
    r = subprocess.run(["sh", "-c", script], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if way == "setfattr" and "not supported" in r.stdout:
        pytest.skip("the file system of the root has no extended attributes")
    assert r.returncode == 0, r.stdout
    shown_again(pair, mount, data)


@pytest.mark.parametrize("way", CALLS)
def test_by_calls(pair, mount, new, way):
    call, data = CALLS[way]
    call(pair[0] / "demo/text.py", new)
    shown_again(pair, mount, data)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_chown(pair, mount):
    path = pair[0] / "demo/text.py"
    subprocess.run(["chown", "12:34", path], check=True)
    assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)
    shown_again(pair, mount, OLD)
    assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)


def test_through_what_is_open_for_reading(pair):
    """No way leads from a reader's descriptor to bytes that others share: nor opened anew, which does not say
    what environment is meant."""
    path = pair[0] / "demo/text.py"
    with open(path, "rb") as f:
        with pytest.raises(OSError) as e:
            os.write(f.fileno(), b"x")
        assert e.value.errno == errno.EBADF
        with pytest.raises(PermissionError):
            mmap.mmap(f.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        with pytest.raises(OSError) as e:
            open(f"/proc/{os.getpid()}/fd/{f.fileno()}", "r+b")
        assert e.value.errno == errno.ESTALE
    assert path.read_bytes() == OLD


def test_through_the_module_itself(pair, venvfs):
    """A package that writes into its own directory."""
    code = "import demo.text, pathlib; pathlib.Path(demo.text.__file__).write_bytes(b'new\\n')"
    env = venvfs.env | {"PYTHONPATH": str(pair[0]), "PYTHONDONTWRITEBYTECODE": "1"}
    path = pair[0] / "demo/text.py"
    path.write_bytes(b"x = 1\n")
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
    assert path.read_bytes() == b"new\n"


def test_the_number_changes_with_the_bytes(pair, mount):
    """Who opens a file to write has the one that he looked at, and from the first write on another."""
    path = pair[0] / "demo/text.py"
    before = path.stat().st_ino
    with open(path, "r+b", buffering=0) as f:
        assert os.fstat(f.fileno()).st_ino == path.stat().st_ino == before
        f.write(b"LINE")
        after = os.fstat(f.fileno()).st_ino
        assert after != before
    assert path.stat().st_ino == after and [e.inode() for e in os.scandir(path.parent) if e.name == "text.py"] == [after]
    shown_again(pair, mount, b"LINE" + OLD[4:])
    assert path.stat().st_ino == after
