# SPDX-License-Identifier: MIT
"""Modes and owners: an ordinary user's own mount, and a mount of root's that others may use."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from prepared import prepared, site, venvfs  # noqa: F401

WHEELS = {"demo": {"files": {"demo/__init__.py": "", "demo/a.py": "a\n", "demo/sub/b.py": "b\n", "demo/sub/deep/c.py": "c\n",
                             "other/__init__.py": "", "other/d.py": "d\n"}}}

# The same in a native directory and over files of the store; prints what came of each step.
STEPS = """
import errno, os, sys
os.chdir(sys.argv[1])
def t(call, *args):
    try:
        r = call(*args)
        print(call.__name__, *args[:2], r if isinstance(r, str) else sorted(r) if isinstance(r, list) else "")
    except OSError as e:
        print(call.__name__, *args[:2], errno.errorcode[e.errno])
def mode(path): return oct(os.stat(path).st_mode)
os.mkdir("own")
open("own/f", "w").close()
for d in ("own", "demo"):
    for m in (0o2755, 0o1777, 0, 0o300, 0o555, 0o755):
        t(os.chmod, d, m)
        t(mode, d)
        t(os.stat, d + "/sub")
for m in (0o555, 0, 0o300):
    os.mkdir("empty", m)
    t(os.rename, "empty", "empty2")
    t(os.rmdir, "empty2")
    for d in ("own", "demo"):
        t(os.chmod, d, m)
        t(os.rename, d, "moved")
        t(mode, "moved")
        t(os.rmdir, "moved")
        t(os.stat, "moved/sub")
        t(os.rename, "moved", d)
        t(os.chmod, d, 0o755)
        t(os.listdir, d)
os.mkdir("target")
t(os.rename, "other", "target")
t(os.chmod, "target", 0)
t(os.rename, "target", "other")
t(os.chmod, "other", 0o755)
t(os.listdir, "other")
os.unlink("demo/sub/b.py")
os.rename("demo/sub/deep", "deep")
t(os.chmod, "demo/sub", 0o555)
t(os.rmdir, "demo/sub")
t(os.listdir, "demo")
t(os.chmod, "deep", 0)
t(os.listdir, ".")
"""


@pytest.fixture
def theirs(venvfs, other_user, prepared, fuse):
    """Another user's own mount with an environment: (site-packages, a native copy of it, unmount and mount again)."""
    tier, root = other_user.tmp / "tier", other_user.home / "envs"
    shutil.copytree(venvfs.store, tier, symlinks=True)
    for p in [tier, *tier.rglob("*")]:
        p.chmod(0o755 if p.is_dir() else 0o644)
    mount = ("--tier", tier, "mount", "--harvest", "no", root)
    other_user.venvfs(*mount)
    try:
        other_user.run("mkdir", root / "x")
        other_user.run("sh", "-c", f"cat >{root}/x/pyvenv.cfg", input=prepared.cfg.decode(), stdin=None)
        top = other_user.run("sh", "-c", f"echo {root}/x/lib/python3*/site-packages").stdout.strip()
        other_user.run("cp", "-r", top, other_user.home / "native")
        yield top, other_user.home / "native", lambda: (other_user.venvfs("umount", root), other_user.venvfs(*mount))
    finally:
        other_user.venvfs("umount", root)


def test_directories_that_their_owner_may_not_use(theirs, other_user, debian_python):
    """The kernel keeps him out; what the daemon has to note inside of them it notes nevertheless."""
    top, native, again = theirs
    seen = other_user.run(debian_python, "-c", STEPS, top).stdout
    wanted = other_user.run(debian_python, "-c", STEPS, native).stdout
    assert seen.replace("demo-1.0.dist-info', ", "") == wanted.replace("demo-1.0.dist-info', ", "") and "EACCES" in wanted
    again()
    for place in (top, native):
        other_user.run("ls", "-la", place)
        other_user.run("chmod", "755", f"{place}/deep")
    assert other_user.run("ls", f"{top}/deep").stdout == "c.py\n"


def test_files_belong_to_who_made_them(mounts, root, prepared, other_user, debian_python):
    m = mounts(root, "--allow-other")
    for p in (root.parents[2], root.parents[1], root.parents[0]):
        p.chmod(0o755)
    top = site(prepared.env(m.path / "x"))
    (top / "open").mkdir()
    (top / "open").chmod(0o777)
    code = """
import os
os.chdir("open")
open("file", "w").write("x")
os.mkdir("dir")
os.symlink("file", "link")
os.mkfifo("fifo")
os.mknod("node", 0o644)
os.link("file", "hard")
os.rename("file", "moved")
"""
    steps = ["setpriv", f"--reuid={other_user.uid}", f"--regid={other_user.gid}", "--clear-groups", "--", debian_python, "-c"]
    subprocess.run([*steps, code], cwd=top, check=True)
    for _ in range(2):
        for p in (top / "open").iterdir():
            s = p.lstat()
            assert (s.st_uid, s.st_gid) == (other_user.uid, other_user.gid), p
        assert (top / "open/moved").stat().st_nlink == 2
        m.remount()
    refused = """
import errno, os
for call in (lambda: open("demo/new", "w"), lambda: os.unlink("demo/a.py"), lambda: open("demo/a.py", "a"), lambda: os.mkdir("d"),
             lambda: os.chmod("demo/a.py", 0o777), lambda: os.rename("demo", "open/demo"), lambda: os.utime("demo", (1, 1)),
             lambda: os.chown("open/moved", 0, 0)):
    try:
        call()
        print("allowed")
    except OSError as e:
        print(errno.errorcode[e.errno])
"""
    r = subprocess.run([*steps, refused], cwd=top, check=True, stdout=subprocess.PIPE, text=True)
    assert r.stdout.split() == ["EACCES"] * 4 + ["EPERM", "EACCES", "EPERM", "EPERM"]
    (top / "open").chmod(0o2777)
    os.chown(top / "open", -1, 12345)
    subprocess.run([*steps, "import os; os.mkdir('open/sg'); open('open/sf', 'w')"], cwd=top, check=True)
    assert (top / "open/sg").stat().st_gid == (top / "open/sf").stat().st_gid == 12345
    assert (top / "open/sg").stat().st_mode & 0o7777 == 0o2755
    subprocess.run([*steps, "import os; os.chdir('open/dir'); os.umask(0); os.close(os.open('su', os.O_CREAT | os.O_WRONLY, 0o4755))"],
                   cwd=top, check=True)
    assert (top / "open/dir/su").stat().st_mode & 0o7777 == 0o4755 and (top / "open/dir/su").stat().st_uid == other_user.uid


# In directories that can not be written to, files can, also those below; what a harvest does there nobody notices.
IN_READ_ONLY = """
import os, sys
os.chdir(sys.argv[1])
for d in ("demo", "demo/sub"):
    os.chmod(d, 0o555)
with open("demo/a.py", "a") as f:
    f.write("more\\n")
os.truncate("demo/sub/b.py", 1)
os.utime("other/d.py", (1, 1))
with open("demo/sub/deep/c.py", "r+") as f:
    f.write("C")
os.unlink("demo/sub/deep/c.py")
open("demo/sub/deep/new.py", "w").close()
for directory, dirs, files in os.walk("demo"):
    dirs.sort()
    print(directory, oct(os.stat(directory).st_mode), [(f, open(directory + "/" + f).read()) for f in sorted(files)])
"""


def test_files_in_directories_that_can_not_be_written(theirs, other_user, debian_python):
    top, native, again = theirs
    seen = other_user.run(debian_python, "-c", IN_READ_ONLY, top).stdout
    assert seen == other_user.run(debian_python, "-c", IN_READ_ONLY, native).stdout and "0o40555" in seen
    again()
    code = IN_READ_ONLY[IN_READ_ONLY.index("for directory"):]
    seen = other_user.run(debian_python, "-c", "import os, sys; os.chdir(sys.argv[1])\n" + code, top).stdout
    assert seen == other_user.run(debian_python, "-c", "import os, sys; os.chdir(sys.argv[1])\n" + code, native).stdout


def test_harvest_where_the_owner_may_not_read_or_write(theirs, other_user, debian_python):
    """A file that can not be read leaves its distribution private; a directory that can not be written to is no hindrance."""
    top, _, again = theirs
    conf = other_user.home / "config/venvfs/venvfs.conf"
    conf.parent.mkdir(exist_ok=True)
    conf.write_text("[store]\ncompile = no\n")  # nothing appears beside the sources
    again()  # the daemon reads it too
    names = "".join(f"install(sys.argv[2], {name!r})\n" for name in ("free", "shut"))
    (other_user.tmp / "model.py").write_bytes((Path(__file__).parent / "model.py").read_bytes())
    other_user.run(debian_python, "-c", f"import sys; sys.path.insert(0, sys.argv[1]); from model import install\n{names}",
                   other_user.tmp, top)
    other_user.run("chmod", "200", f"{top}/shut/m.py")
    other_user.run("chmod", "555", f"{top}/free", f"{top}/free/sub")

    def look():
        return other_user.run("sh", "-c", f"cd {top} && find free shut -printf '%p %y %m\\n' | sort").stdout

    before = look()
    env = Path(top).parents[2]
    told = other_user.venvfs("harvest", env).stdout
    assert "free" in told and "shut" in told and "Permission denied" in told, told
    assert look() == before
    other_user.run("chmod", "755", f"{top}/free", f"{top}/free/sub")
