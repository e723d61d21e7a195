# SPDX-License-Identifier: MIT
"""Renames of files and directories of the view, links, and the generated files as private ones."""

import ctypes
import errno
import mmap
import os
import shutil
import subprocess
import time

import pytest
from prepared import prepared, private, site, venvfs, x  # noqa: F401

BIG = bytes(range(256)) * 2000
WHEELS = {
    "demo": {"files": {"demo/__init__.py": "name = __name__\ndef main(): print('demo', name)\n", "demo/a.py": "a\n" * 9,
                       "demo/big": BIG, "demo/sub/__init__.py": "", "demo/sub/b.py": "x = 'b'\n", "demo/sub/deep/c.py": "c = 1\n"},
             "entry_points": {"console_scripts": {"demo": "demo:main"}}, "scripts": {"tool": "#!python\nprint('tool')\n"}},
    "other": {"files": {"other/__init__.py": "", "other/sub/d.py": "d\n"}},
}


@pytest.fixture
def y(mount, prepared):
    return prepared.env(mount.path / "y")


@pytest.fixture
def top(x):
    return site(x)


def fails(code, call, *args):
    with pytest.raises(OSError) as e:
        call(*args)
    assert e.value.errno == code, f"{errno.errorcode[e.value.errno]} instead of {errno.errorcode[code]}"


def tree(d):
    return {str(p.relative_to(d)): p.read_bytes() if p.is_file() else None for p in d.rglob("*")}


def copied(mount, name):
    """Bytes of the store's files that were copied behind the mount."""
    return sum(len(v) for p, v in private(mount, name).items()
               if isinstance(v, bytes) and not p.endswith("pyvenv.cfg") and ".wh." not in p)


# directories


def test_a_directory_of_the_view(mount, x, top):
    """Nothing is copied, all shows under the new name, and a new mount shows the same."""
    before = tree(top / "demo")
    os.rename(top / "demo", top / "moved")
    for _ in range(2):
        assert tree(top / "moved") == before and not (top / "demo").exists()
        assert "demo" not in os.listdir(top) and "moved" in os.listdir(top)
        out = subprocess.check_output([x / "bin/python", "-B", "-c", "import moved.sub.b; print(moved.name, moved.sub.b.x)"], text=True)
        assert out == "moved b\n"
        mount.remount()
    assert copied(mount, "x") == 0


def test_there_and_back(mount, top):
    """As installers do: aside under another name, with a slash at its end, and back again."""
    before = tree(top / "demo")
    for _ in range(3):
        os.rename(f"{top}/demo/", f"{top}/~emo")
        assert not (top / "demo").exists()
        os.rename(f"{top}/~emo/", f"{top}/demo/")
        assert tree(top / "demo") == before
    mount.remount()
    assert tree(top / "demo") == before and copied(mount, "x") == 0
    os.rename(top / "demo", top / "~emo")
    shutil.rmtree(top / "~emo")
    mount.remount()
    assert not (top / "demo").exists() and not (top / "~emo").exists()


def test_within_and_of_what_was_changed(mount, top):
    (top / "demo/a.py").write_text("edited")
    (top / "demo/sub/b.py").unlink()
    (top / "demo/sub/new").write_text("new")
    os.rename(top / "demo/sub", top / "sub2")
    os.rename(top / "sub2/deep", top / "demo/sub")
    (top / "demo/own").mkdir()
    os.rename(top / "sub2", top / "demo/own/sub3")
    os.rename(top / "demo", top / "last")
    wanted = {"__init__.py", "a.py", "big", "sub", "sub/c.py", "own", "own/sub3", "own/sub3/__init__.py", "own/sub3/new"}
    for _ in range(2):
        assert set(tree(top / "last")) == wanted and (top / "last/a.py").read_text() == "edited"
        assert (top / "last/big").read_bytes() == BIG
        mount.remount()


def test_onto_another(mount, top):
    (top / "empty").mkdir()
    fails(errno.ENOTEMPTY, os.rename, top / "demo", top / "other")
    fails(errno.ENOTEMPTY, os.rename, top / "empty", top / "other")
    fails(errno.ENOTDIR, os.rename, top / "demo", top / "other/__init__.py")
    fails(errno.EISDIR, os.rename, top / "demo/a.py", top / "other")
    fails(errno.EINVAL, os.rename, top / "demo", top / "demo/sub/inside")
    fails(errno.ENOENT, os.rename, top / "nothing", top / "demo")
    before = tree(top / "demo")
    os.rename(top / "demo", top / "empty")
    assert tree(top / "empty") == before
    shutil.rmtree(top / "other/sub")
    (top / "other/__init__.py").unlink()
    os.rename(top / "empty", top / "other")
    for _ in range(2):
        assert tree(top / "other") == before
        mount.remount()


def test_a_private_one_into_the_view(mount, top):
    """It shows what it had, not what the view has under that path."""
    (top / "mine/sub").mkdir(parents=True)
    (top / "mine/sub/m.py").write_text("m")
    shutil.rmtree(top / "demo")
    os.rename(top / "mine", top / "demo")
    for _ in range(2):
        assert set(tree(top / "demo")) == {"sub", "sub/m.py"}
        mount.remount()
    shutil.rmtree(top / "demo")
    assert not (top / "demo").exists()


def test_it_follows_a_new_lock(venvfs, mount, x, top, prepared):
    """A moved directory shows the store's files still after the view was made anew."""
    (top / "mine").mkdir()
    os.rename(top / "demo/sub", top / "mine/sub")
    before = tree(top / "mine")
    mount.renew()
    assert tree(top / "mine") == before
    for _ in range(2):
        (x / "pyvenv.cfg").write_bytes(b"".join(
            line for line in prepared.cfg.splitlines(True) if not line.startswith(b"venvfs-lock")) + b"venvfs-lock = none\n")
        assert tree(top / "mine") == {"sub": None}
        (x / "pyvenv.cfg").write_bytes(prepared.cfg)
        assert tree(top / "mine") == before


def test_not_into_another_environment(mount, top, y):
    """EXDEV, whether it is moved itself or lies in a directory that is; mv copies."""
    before = tree(top / "demo")
    fails(errno.EXDEV, os.rename, top / "demo", site(y) / "moved")
    fails(errno.EXDEV, os.rename, top / "demo", mount.path / "moved")
    (top / "mine/below").mkdir(parents=True)
    os.rename(top / "demo", top / "mine/below/demo")
    fails(errno.EXDEV, os.rename, top / "mine", site(y) / "mine")
    fails(errno.EXDEV, os.rename, top / "mine", mount.path / "mine")
    assert tree(top / "mine/below/demo") == before
    subprocess.run(["mv", top / "mine", site(y) / "mine"], check=True)
    assert tree(site(y) / "mine/below/demo") == before and not (top / "mine").exists()
    (top / "plain").mkdir()
    (top / "plain/file").write_text("x")
    os.rename(top / "plain", site(y) / "plain")
    os.rename(site(y) / "plain", mount.path / "plain")
    assert (mount.path / "plain/file").read_text() == "x"


def test_environments_in_a_directory_that_moves(mount, x, top, prepared):
    """Their moved directories are theirs wherever they go."""
    (mount.path / "group").mkdir()
    inner = prepared.env(x / "inner")
    os.rename(site(inner) / "demo", site(inner) / "moved")
    before = tree(site(inner) / "moved")
    mount.remount()
    (x / "box").mkdir()
    os.rename(x / "inner", x / "box/inner")
    os.rename(x / "box", mount.path / "group/box")
    assert tree(site(mount.path / "group/box/inner") / "moved") == before
    assert (x / "bin/python").exists() and not (x / "inner").exists()


def test_out_of_the_root(top, tmp_path):
    fails(errno.EXDEV, os.rename, top / "demo/a.py", tmp_path / "a.py")
    before = tree(top / "demo")
    shutil.move(top / "demo", tmp_path / "demo")
    assert tree(tmp_path / "demo") == before and not (top / "demo").exists()
    shutil.move(tmp_path / "demo", top / "demo")
    assert tree(top / "demo") == before


# files


def test_files(mount, top, y):
    os.rename(top / "demo/a.py", top / "demo/z.py")
    os.rename(top / "demo/big", top / "other/__init__.py")
    os.rename(top / "demo/sub/b.py", site(y) / "demo/b.py")
    (top / "here").write_text("here")
    os.rename(top / "here", top / "demo/a.py")
    for _ in range(2):
        assert (top / "demo/z.py").read_text() == "a\n" * 9 and (top / "demo/a.py").read_text() == "here"
        assert (top / "other/__init__.py").read_bytes() == BIG and not (top / "demo/big").exists()
        assert not (top / "demo/sub/b.py").exists() and (site(y) / "demo/b.py").read_text() == "x = 'b'\n"
        assert (site(y) / "demo/sub/b.py").exists() and (site(y) / "demo/big").read_bytes() == BIG
        mount.remount()


def test_open_while_renamed(top):
    """Descriptors go on with the file, whatever its name is."""
    with open(top / "demo/a.py", "r+b") as w, open(top / "demo/big", "rb") as r:
        os.rename(top / "demo/a.py", top / "demo/z.py")
        os.rename(top / "demo/big", top / "big")
        w.write(b"changed")
        w.flush()
        assert (top / "demo/z.py").read_bytes().startswith(b"changed") and not (top / "demo/a.py").exists()
        assert r.read() == BIG
        os.rename(top / "demo", top / "demo2")
        w.write(b", again")
        w.flush()
        assert (top / "demo2/z.py").read_bytes().startswith(b"changed, again")


def test_noreplace(top):
    libc = ctypes.CDLL(None, use_errno=True)

    def rename(a, b, flags):
        if libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), flags) < 0:
            raise OSError(ctypes.get_errno(), "")

    fails(errno.EEXIST, rename, top / "demo/a.py", top / "demo/big", 1)
    rename(top / "demo/a.py", top / "demo/z.py", 1)
    assert (top / "demo/z.py").read_text() == "a\n" * 9
    fails(errno.EINVAL, rename, top / "demo/z.py", top / "demo/big", 3)  # and RENAME_EXCHANGE
    fails(errno.EINVAL, rename, top / "demo/z.py", top / "demo/q", 4)  # RENAME_WHITEOUT
    assert (top / "demo/big").read_bytes() == BIG


# links


def test_symlinks(mount, top, y):
    for name, target in {"to-file": "a.py", "to-dir": "sub", "dangling": "nowhere", "far": "/etc/hostname", "loop": "loop",
                         "long": "d/" * 2000}.items():
        (top / "demo" / name).symlink_to(target)
    for _ in range(2):
        assert (top / "demo/to-file").read_text() == "a\n" * 9 and (top / "demo/to-dir/b.py").exists()
        assert not (top / "demo/dangling").exists() and os.readlink(top / "demo/long") == "d/" * 2000
        fails(errno.ELOOP, os.stat, top / "demo/loop")
        mount.remount()
    (top / "demo/to-file").write_text("through")
    assert (top / "demo/a.py").read_text() == "through" and (top / "demo/to-file").is_symlink()
    subprocess.run(["ln", "-sfn", "sub/b.py", top / "demo/a.py"], check=True)
    assert (top / "demo/to-file").read_text() == "x = 'b'\n"
    # into another environment: it is that one's file that changes
    (top / "there").symlink_to(site(y) / "demo/sub/b.py")
    (top / "there").write_text("changed in y")
    assert (site(y) / "demo/sub/b.py").read_text() == "changed in y" and (top / "demo/sub/b.py").read_text() == "x = 'b'\n"


def test_hard_links(mount, top, y):
    (top / "demo/a.py").chmod(0o600)  # private: to the store's bytes there are no links
    a, b, c = top / "demo/a.py", top / "linked", site(y) / "linked"
    os.link(a, b)
    os.link(b, c)
    for _ in range(2):
        assert {p.stat().st_nlink for p in (a, b, c)} == {3} and len({p.stat().st_ino for p in (a, b, c)}) == 1
        mount.remount()
    c.write_text("one file")
    assert a.read_text() == b.read_text() == "one file" and (site(y) / "demo/a.py").read_text() == "a\n" * 9
    a.unlink()
    assert b.stat().st_nlink == 2 and not a.exists()
    with open(b, "ab") as f:
        b.unlink()
        f.write(b"!")
    assert c.read_text() == "one file!" and c.stat().st_nlink == 1
    c.write_text("last")
    assert c.read_text() == "last"


def test_links_that_are_none(top, x):
    fails(errno.EPERM, os.link, top / "demo", top / "linked")
    fails(errno.EEXIST, os.link, top / "demo/a.py", top / "demo/big")
    fails(errno.EPERM, os.link, x / "pyvenv.cfg", x / "copy")
    fails(errno.EPERM, os.link, top / "demo/a.py", top.parents[1] / "pyvenv.cfg")
    os.link(x / "bin/activate", x / "bin/activate2")
    assert (x / "bin/activate2").read_bytes() == (x / "bin/activate").read_bytes()


# what is generated


@pytest.mark.parametrize("name", ["bin/activate", "bin/demo", "bin/tool", "lib/python3.11/site-packages/demo-1.0.dist-info/RECORD",
                                  "lib/python3.11/site-packages/demo-1.0.dist-info/INSTALLER"])
def test_generated_files_are_files(mount, x, y, name):
    p, before = x / name, (x / name).read_bytes()
    with open(p, "ab") as f:
        f.write(b"# more\n")
    assert p.read_bytes() == before + b"# more\n"
    subprocess.run(["sed", "-i", "s/# more/# less/", p], check=True)
    assert p.read_bytes() == before + b"# less\n"
    p.write_bytes(b"mine")
    for _ in range(2):
        assert p.read_bytes() == b"mine" and b"mine" != (y / name).read_bytes()
        mount.remount()
    p.unlink()
    for _ in range(2):
        assert not p.exists() and p.name not in os.listdir(p.parent)
        mount.remount()
    p.write_bytes(b"again")
    assert p.read_bytes() == b"again"
    assert [p for p in private(mount, "y") if p != "pyvenv.cfg"] == []


@pytest.mark.parametrize("name", ["bin/activate", "bin/demo"])
@pytest.mark.parametrize("how", ["chmod", "touch", "rename", "truncate", "r+", "mmap"])
def test_ways_to_change_a_generated_file(x, name, how):
    p, before = x / name, (x / name).read_bytes()
    if how == "chmod":
        p.chmod(0o700)
        assert p.stat().st_mode & 0o777 == 0o700
    elif how == "touch":
        os.utime(p, (5, 5))
        assert p.stat().st_mtime == 5
    elif how == "rename":
        os.rename(p, p.with_name("renamed"))
        assert not p.exists()
        p = p.with_name("renamed")
    elif how == "truncate":
        os.truncate(p, 3)
        before = before[:3]
    elif how == "r+":
        with open(p, "r+b") as f:
            f.write(b"XY")
        before = b"XY" + before[2:]
    else:
        with open(p, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
            m[0:2] = b"XY"
        before = b"XY" + before[2:]
    assert p.read_bytes() == before and p.stat().st_size == len(before)


def test_generated_links(mount, x, y):
    target = os.readlink(x / "bin/python3")
    (x / "bin/python3").unlink()
    assert not (x / "bin/python3").is_symlink()
    (x / "bin/python3").symlink_to(target)
    (x / "lib64").unlink()
    os.rename(x / "bin/python", x / "bin/py")
    for _ in range(2):
        assert os.readlink(x / "bin/python3") == target and not (x / "lib64").is_symlink()
        assert not (x / "bin/python").is_symlink() and (x / "bin/py").is_symlink()
        assert os.readlink(y / "lib64") == "lib" and (y / "bin/python").exists()
        mount.remount()
    t = time.time_ns() - 10**12
    os.utime(y / "bin/python", ns=(t, t), follow_symlinks=False)
    assert os.lstat(y / "bin/python").st_mtime_ns == t and (y / "bin/python").exists()


def test_scripts_that_were_private_stay(mount, x):
    """A private script names the path where it was made, as in any environment; the others follow."""
    (x / "bin/demo").chmod(0o755)
    text = (x / "bin/demo").read_text()
    (x / "bin/demo").write_text(text + "# mine\n")
    os.rename(x, mount.path / "z")
    z = mount.path / "z"
    assert (z / "bin/demo").read_text() == text + "# mine\n"
    assert (z / "bin/tool").read_text().startswith(f"#!{z}/bin/python\n")
    assert subprocess.check_output([z / "bin/tool"], text=True) == "tool\n"
