# SPDX-License-Identifier: MIT
"""What an installer put into an environment moves into the store, and nobody sees it move."""

import base64
import hashlib
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import time

import pytest

import wheelmaker
from prepared import private

BIG = bytes(range(256)) * 1200  # over the pack's limit
RICH = dict(
    files={"rich/__init__.py": "name = 'rich'\ndef main(): print(name)\n", "rich/sub/__init__.py": "",
           "rich/sub/b.py": "x = 1\n", "rich/big.bin": BIG, "rich/empty.txt": "", "rich/run.sh": "#!/bin/sh\necho run\n",
           "single.py": "y = 2\n"},
    platlib={"rich/native.so": b"\x7fELF" * 100},
    entry_points={"console_scripts": {"rich": "rich:main"}, "gui_scripts": {"rich-gui": "rich:main"}},
    scripts={"tool": "#!python\nimport rich; print('tool', rich.name)\n", "plain.sh": "#!/bin/sh\necho plain\n"},
    data={"share/rich/notes.txt": "notes", "etc/rich.conf": "conf"},
    headers={"rich.h": "#define RICH\n"},
    executable=("rich/run.sh", "rich-1.0.data/scripts/tool", "rich-1.0.data/scripts/plain.sh",
                "rich-2.0.data/scripts/tool", "rich-2.0.data/scripts/plain.sh"),
)


@pytest.fixture(autouse=True)
def no_bytecode(venvfs):
    """Nothing is compiled behind a test's back."""
    (venvfs.config / "venvfs").mkdir()
    (venvfs.config / "venvfs/venvfs.conf").write_text("[store]\ncompile = no\n")


@pytest.fixture
def wheel(tmp_path):
    return wheelmaker.make(tmp_path, "rich", **RICH)


@pytest.fixture
def x(venvfs, mount, debian_python):
    venvfs("create", mount.path / "x", "--without-pip", "--python", debian_python)
    return mount.path / "x"


@pytest.fixture
def pip(tools, tmp_path):
    """pip of the tools, working on an environment that has none."""

    def run(env, *args, check=True, **more):
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
        where = ["--no-index", "--find-links", tmp_path] if args[0] == "install" else []
        r = subprocess.run([tools / "python", "-m", "pip", "--disable-pip-version-check", "--python",
                            env / "bin/python", *args, *where], text=True, env=environ | more,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert not check or r.returncode == 0, r.stdout
        return r.stdout

    return run


def site(env):
    [d] = env.glob("lib/python3*/site-packages")
    return d


def shown(env):
    """{path: (type and permissions, bytes)} of all but what is made anew."""
    out = {}
    for p in env.rglob("*"):
        name = str(p.relative_to(env))
        if name == "pyvenv.cfg" or name.endswith((".dist-info/RECORD", ".dist-info/INSTALLER")) or "__pycache__" in name:
            continue
        st = p.lstat()
        out[name] = (oct(st.st_mode), os.readlink(p) if p.is_symlink() else p.read_bytes()
                     if p.is_file() and "bin/rich" not in name else None)
    return out


def address(venvfs, name, version="1.0"):
    [a] = {d["address"] for d in venvfs.json("store", "ls") if (d["name"], d["version"]) == (name, version)}
    return a


def only_cfg(mount, name="x"):
    """No file is private, but a directory that an uninstaller left may be."""
    return {n for d, dirs, files in os.walk(mount.upper / name) for n in files if not d.endswith(".venvfs")} == {"pyvenv.cfg"}


def store_hashes(venvfs):
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for d in ("dists", "blobs")
            for p in (venvfs.store / d).rglob("*") if p.is_file()}


# one address


def test_as_if_the_wheel_had_been_added(venvfs, mount, x, pip, wheel, tmp_path):
    pip(x, "install", "--no-compile", "rich")
    before = shown(x)
    said = venvfs.json("harvest", x)
    assert [(d["name"], d["version"]) for d in said["added"]] == [("rich", "1.0")] and said["kept"] == []
    assert only_cfg(mount) and shown(x) == before
    harvested = address(venvfs, "rich")
    venvfs("store", "add", "--no-compile", wheel)
    assert {harvested} == {address(venvfs, "rich"), said["added"][0]["address"]}
    assert subprocess.check_output([x / "bin/tool"], text=True) == "tool rich\n"
    assert subprocess.check_output([x / "bin/rich"], text=True) == "rich\n"
    assert subprocess.check_output([site(x) / "rich/run.sh"], text=True) == "run\n"
    mount.remount()
    assert shown(x) == before and venvfs.json("store", "verify")["bad"] == 0
    assert "added" in said and venvfs.json("harvest", x)["added"] == []


def test_data_that_looks_like_a_script(venvfs, mount, x, pip, tmp_path, debian_python):
    """An installer leaves data in bin/ as it is, whatever its first line: so does the store."""
    text = "#!python\nprint('as it is')\n"
    wheel = wheelmaker.make(tmp_path, "odd", files={"odd.py": ""}, data={"bin/odd-data": text})
    pip(x, "install", "--no-compile", "odd")
    before = shown(x)
    said = venvfs.json("harvest", x)
    assert only_cfg(mount) and shown(x) == before and (x / "bin/odd-data").read_text() == text
    assert f"bin/odd-data,sha256={record_digest(text)},{len(text)}" in (site(x) / "odd-1.0.dist-info/RECORD").read_text()
    venvfs("store", "add", "--no-compile", wheel)
    assert said["added"][0]["address"] == address(venvfs, "odd")


def record_digest(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def test_what_belongs_to_one_environment(venvfs, mount, x, pip, wheel, debian_python):
    venvfs("create", mount.path / "y", "--without-pip", "--python", debian_python)
    pip(x, "install", "--no-compile", "rich")
    pip(mount.path / "y", "install", "--no-compile", wheel)
    origin = (site(mount.path / "y") / "rich-1.0.dist-info/direct_url.json").read_text()
    venvfs("harvest", x, mount.path / "y")
    assert only_cfg(mount, "x") and only_cfg(mount, "y")
    info = {n: site(mount.path / n) / "rich-1.0.dist-info" for n in "xy"}
    assert (info["y"] / "direct_url.json").read_text() == origin and not (info["x"] / "direct_url.json").exists()
    assert all((info[n] / "REQUESTED").read_bytes() == b"" and (info[n] / "INSTALLER").read_text() == "pip\n" for n in "xy")
    assert len(list((venvfs.store / "dists/rich/1.0").iterdir())) == 1


def test_bytecode_that_an_installer_compiled(venvfs, mount, x, pip, wheel, debian_python):
    """It goes once the store has its own."""
    pip(x, "install", "rich")
    assert list(site(x).rglob("*.pyc"))
    venvfs("harvest", x)
    venvfs("store", "compile", "--python", debian_python)
    assert only_cfg(mount)
    assert subprocess.check_output([x / "bin/rich"], text=True) == "rich\n"


def test_upgrade_and_uninstall(venvfs, mount, x, pip, wheel, tmp_path):
    venvfs("store", "add", "--no-compile", wheel)
    (tmp_path / "pins").write_text("rich==1.0\n")
    venvfs("sync", "--no-compile", x, tmp_path / "pins")
    wheelmaker.make(tmp_path, "rich", "2.0", **(RICH | {"files": {"rich/__init__.py": "name = 'two'\n"}}))
    pip(x, "install", "--no-compile", "-U", "rich")
    before = shown(x)
    said = venvfs.json("harvest", x)
    assert [d["version"] for d in said["added"]] == ["2.0"] and only_cfg(mount) and shown(x) == before
    assert not (site(x) / "rich/sub").exists()
    pip(x, "uninstall", "-y", "rich")
    before = shown(x)
    assert [d["version"] for d in venvfs.json("harvest", x)["removed"]] == ["2.0"]
    assert only_cfg(mount) and shown(x) == before and not (site(x) / "rich").exists()
    assert "venvfs-lock = none" in (x / "pyvenv.cfg").read_text()


@pytest.mark.parametrize("left", ["bin/rich", "bin/tool", "bin/plain.sh", "INSTALLER", "RECORD", "REQUESTED"])
def test_the_last_file_of_a_distribution(venvfs, mount, x, pip, wheel, left):
    """What shows by the lock shows as long as nobody removes it, also where all the rest was."""
    pip(x, "install", "--no-compile", "rich")
    venvfs("harvest", x)
    files = [x / line.split(",")[0] if line.startswith("/") else site(x) / line.split(",")[0]
             for line in (site(x) / "rich-1.0.dist-info/RECORD").read_text().splitlines()]
    files += [site(x) / "rich-1.0.dist-info/RECORD"]
    [last] = {p for p in files if str(p).endswith(left)}
    for p in set(files) - {last}:
        p.unlink()
    before = last.read_bytes()
    assert venvfs.json("harvest", x)["removed"] == [] and last.read_bytes() == before
    mount.remount()
    assert last.read_bytes() == before
    last.unlink()
    assert [d["name"] for d in venvfs.json("harvest", x)["removed"]] == ["rich"]
    assert not last.exists() and "venvfs-lock = none" in (x / "pyvenv.cfg").read_text()


def test_a_namespace_that_two_share(venvfs, mount, x, pip, tmp_path):
    for n in ("one", "two"):
        wheelmaker.make(tmp_path, n, files={f"ns/{n}.py": n, f"ns/both/{n}.py": n})
    pip(x, "install", "--no-compile", "one")
    venvfs("harvest", x)
    pip(x, "install", "--no-compile", "two")
    pip(x, "uninstall", "-y", "one")
    before = shown(x)
    said = venvfs.json("harvest", x)
    assert [d["name"] for d in said["added"]] == ["two"] and [d["name"] for d in said["removed"]] == ["one"]
    assert only_cfg(mount) and shown(x) == before and os.listdir(site(x) / "ns/both") == ["two.py"]


# what stays


def make_editable(x):
    info = site(x) / "rich-1.0.dist-info"
    (info / "direct_url.json").write_text('{"url": "file:///somewhere", "dir_info": {"editable": true}}')


def link_to_cache(x, *names):
    """As `uv pip install --link-mode symlink` leaves files, those of .dist-info too."""
    for name in names:
        path = site(x) / "rich-1.0.dist-info" / name
        path.rename(x / name)
        path.symlink_to(x / name)


def directory_instead(x):
    path = site(x) / "rich-1.0.dist-info/METADATA"
    path.unlink()
    path.mkdir()


def give_acl(path):
    """One user more may read it: acl(5) as the kernel keeps it."""
    entries = [(1, 6, 2**32 - 1), (2, 4, 65534), (4, 4, 2**32 - 1), (16, 4, 2**32 - 1), (32, 4, 2**32 - 1)]
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries))


SPOILT = {
    "edited": (lambda x: (site(x) / "single.py").write_text("y = 3\n"), "single.py"),
    "grown": (lambda x: open(site(x) / "rich/big.bin", "ab").write(b"x"), "big.bin"),
    "deleted": (lambda x: (site(x) / "rich/sub/b.py").unlink(), "not there"),
    "editable": (make_editable, "editable"),
    "linked": (lambda x: os.link(site(x) / "single.py", site(x) / "other.py"), "hard link"),
    "symlinked": (lambda x: ((site(x) / "single.py").rename(x / "s.py"),
                             (site(x) / "single.py").symlink_to(x / "s.py")), "not there"),
    "metadata-symlinked": (lambda x: link_to_cache(x, "METADATA", "WHEEL"), "no METADATA"),
    "entry-points-symlinked": (lambda x: link_to_cache(x, "entry_points.txt"), "not there"),
    "metadata-directory": (directory_instead, "no METADATA"),
    "attributes": (lambda x: os.setxattr(site(x) / "single.py", "user.mine", b"1"), "extended attributes"),
    "acl": (lambda x: give_acl(site(x) / "single.py"), "extended attributes"),
    "setgid": (lambda x: (site(x) / "rich/run.sh").chmod(0o2755), "mode"),
    "no-hash": (lambda x: (site(x) / "rich-1.0.dist-info/RECORD").write_text(
        (site(x) / "rich-1.0.dist-info/RECORD").read_text() + "single2.py,,\n"), "no hash"),
    "elsewhere": (lambda x: (site(x) / "rich-1.0.dist-info/RECORD").write_text(
        (site(x) / "rich-1.0.dist-info/RECORD").read_text() + "../../../../../../etc/passwd,sha256=x,1\n"), "outside"),
    "no-wheel-file": (lambda x: (site(x) / "rich-1.0.dist-info/WHEEL").unlink(), "WHEEL"),
    "not-csv": (lambda x: (site(x) / "rich-1.0.dist-info/RECORD").write_text('"open'), "RECORD"),
    "another-name": (lambda x: (site(x) / "rich-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: poor\nVersion: 1.0\n"), "something else"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_is_not_whole_stays_private(venvfs, mount, x, pip, wheel, how):
    pip(x, "install", "--no-compile", "rich")
    spoil, why = SPOILT[how]
    spoil(x)
    before, held = shown(x), private(mount, "x")
    said = venvfs.json("harvest", x)
    assert said["added"] == [] and [k["name"] for k in said["kept"]] == ["rich-1.0.dist-info"]
    assert why in said["kept"][0]["why"], said
    assert shown(x) == before and private(mount, "x") == held
    assert venvfs.json("store", "ls") == []
    assert "stays private" in venvfs("harvest", x).stdout


def test_private_files_beside_stay(venvfs, mount, x, pip, wheel):
    pip(x, "install", "--no-compile", "rich")
    (site(x) / "mine.py").write_text("mine")
    (site(x) / "rich/mine.py").write_text("mine too")
    (x / "bin/own").write_text("own")
    (site(x) / "empty").mkdir()
    before = shown(x)
    assert len(venvfs.json("harvest", x)["added"]) == 1
    assert shown(x) == before
    lib = str(site(x).relative_to(x))
    files = {p for p, v in private(mount, "x").items() if v is not None and not p.startswith(".venvfs")}
    assert files == {"pyvenv.cfg", f"{lib}/mine.py", f"{lib}/rich/mine.py", "bin/own"}
    assert f"{lib}/empty" in private(mount, "x")


def test_an_edit_afterwards_is_a_private_change(venvfs, mount, x, pip, wheel):
    pip(x, "install", "--no-compile", "rich")
    venvfs("harvest", x)
    (site(x) / "single.py").write_text("y = 3\n")
    said = venvfs.json("harvest", x)
    assert said["added"] == said["removed"] == [] and (site(x) / "single.py").read_text() == "y = 3\n"
    assert venvfs.json("store", "verify")["bad"] == 0


def test_a_file_that_is_open_by_a_name_it_has_no_longer(venvfs, mount, x, pip, wheel):
    """As who makes files by link(2) leaves them: what is written after the harvest is not lost."""
    pip(x, "install", "--no-compile", "rich")
    path, tmp = site(x) / "single.py", site(x) / "single.tmp"
    path.rename(tmp)
    os.link(tmp, path)
    tmp.unlink()
    with path.open("r+") as f:
        venvfs("harvest", x)
        f.write("y = 4\n")
    assert path.read_text() == "y = 4\n"
    mount.remount()
    assert path.read_text() == "y = 4\n"


def test_what_a_killed_daemon_left(venvfs, mount, x, pip, wheel):
    """Half made and half removed: gone with the next harvest, in the root with the next mount."""
    pip(x, "install", "--no-compile", "rich")
    there = mount.upper / "x" / site(x).relative_to(x) / "rich"
    (there / ".venvfs-tmp.999999.view0").write_text("half")
    (there / ".venvfs-tmp.999999.view0123456789abcdef.1/a/b").mkdir(parents=True)
    (there / f".venvfs-tmp.{mount.pid}.view0123456789abcdef.2").mkdir()
    (mount.upper / ".venvfs-tmp.999999.view0123456789abcdef.3/x").mkdir(parents=True)
    venvfs("harvest", x)
    assert not [p for p in (mount.upper / "x").rglob("*") if p.name.startswith(".venvfs-tmp")]
    upper = mount.upper
    mount.remount()
    assert not [p for p in upper.iterdir() if p.name.startswith(".venvfs-tmp")]


def test_a_mode_that_was_changed_stays(venvfs, mount, x, pip, wheel):
    pip(x, "install", "--no-compile", "rich")
    (site(x) / "single.py").chmod(0o600)
    (site(x) / "rich/sub").chmod(0o700)
    before = shown(x)
    assert len(venvfs.json("harvest", x)["added"]) == 1
    assert shown(x) == before
    lib = str(site(x).relative_to(x))
    assert {p for p, v in private(mount, "x").items() if v is not None and not p.startswith(".venvfs")} == {
        "pyvenv.cfg", f"{lib}/single.py"}


@pytest.mark.parametrize("name, text", [("INSTALLER", ""), ("INSTALLER", "a\nb\n"), ("REQUESTED", "by me\n")])
def test_a_note_that_the_lock_has_no_room_for_stays(venvfs, mount, x, pip, wheel, name, text):
    pip(x, "install", "--no-compile", "rich")
    (site(x) / "rich-1.0.dist-info" / name).write_text(text)
    assert len(venvfs.json("harvest", x)["added"]) == 1
    assert (site(x) / "rich-1.0.dist-info" / name).read_text() == text
    mount.remount()
    assert (site(x) / "rich-1.0.dist-info" / name).read_text() == text


def test_notes_of_another_installer(venvfs, mount, x, tmp_path):
    """The same files, noted by another: the lock takes the note over, and knows still which wheel they came from."""
    wheel = wheelmaker.make(tmp_path, "plain", files={"plain/__init__.py": "x = 1\n"})
    venvfs("store", "add", "--no-compile", wheel)
    (tmp_path / "pins").write_text("plain==1.0\n")
    venvfs("sync", "--no-compile", x, tmp_path / "pins")
    locks = [p.read_text() for p in (venvfs.store / "locks").rglob("*") if p.is_file()]
    assert any("wheel=plain-1.0-py3-none-any.whl" in text for text in locks), locks
    info = site(x) / "plain-1.0.dist-info"
    record = (info / "RECORD").read_text()
    for name, text in ("INSTALLER", "another\n"), ("RECORD", re.sub(r"INSTALLER,.*", "INSTALLER,,", record)):
        (info / name).unlink()
        (info / name).write_text(text)
    said = venvfs.json("harvest", x)
    assert [d["name"] for d in said["added"]] == ["plain"] and only_cfg(mount), said
    assert (info / "INSTALLER").read_text() == "another\n"
    [now] = [p.read_text() for p in (venvfs.store / "locks").rglob("*") if p.is_file() and "another" in p.read_text()]
    assert "wheel=plain-1.0-py3-none-any.whl" in now


@pytest.mark.parametrize("mask", [0o002, 0o027, 0o077])
def test_whatever_the_umask(venvfs, mount, x, pip, wheel, mask):
    old = os.umask(mask)
    try:
        pip(x, "install", "--no-compile", "rich")
    finally:
        os.umask(old)
    assert (site(x) / "single.py").stat().st_mode & 0o777 == 0o666 & ~mask
    said = venvfs.json("harvest", x)
    assert only_cfg(mount), list(private(mount, "x"))
    venvfs("store", "add", "--no-compile", wheel)
    assert address(venvfs, "rich") == said["added"][0]["address"]


# whose environments


def test_an_ordinary_environment_is_left_alone_until_adopted(venvfs, mounts, root, pip, wheel, debian_python, tmp_path):
    subprocess.run([debian_python, "-m", "venv", "--without-pip", root / "old"], check=True)
    pip(root / "old", "install", "rich")
    (root / "old/lib/python3.11/site-packages/mine.py").write_text("mine")
    before = {p: (p.lstat().st_mode, p.lstat().st_mtime_ns, p.read_bytes() if p.is_file() else None)
              for p in root.rglob("*")}
    m = mounts(root, harvest="0.1")
    out = subprocess.check_output([root / "old/bin/rich"], text=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    assert out == "rich\n"
    time.sleep(0.5)
    r = venvfs("harvest", root / "old", check=False)
    assert r.returncode == 1 and "adopt" in r.stderr
    m.umount()
    assert before == {p: (p.lstat().st_mode, p.lstat().st_mtime_ns, p.read_bytes() if p.is_file() else None)
                      for p in root.rglob("*")}
    m = mounts(root)
    seen = shown(root / "old")
    out = venvfs("adopt", root / "old").stdout
    assert "rich 1.0" in out
    assert shown(root / "old") == seen
    files = {p for p, v in private(m, "old").items() if v is not None and "__pycache__" not in p}
    assert files == {"pyvenv.cfg", "lib/python3.11/site-packages/mine.py"}
    r = venvfs("adopt", root / "old", check=False)
    assert r.returncode == 1 and "already" in r.stderr


def test_without_a_mount(venvfs, root, pip, wheel, debian_python, mounts):
    m = mounts(root)
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    pip(root / "x", "install", "--no-compile", "rich")
    before = shown(root / "x")
    m.umount()
    assert len(venvfs.json("harvest", root / "x", "--root", root)["added"]) == 1
    assert {p.name for p in (root / "x").iterdir()} <= {"pyvenv.cfg", ".venvfs"}
    m = mounts(root)
    assert shown(root / "x") == before


@pytest.mark.parametrize("env", ["none", "plain"])
def test_no_environment(venvfs, mount, env):
    (mount.path / "plain").mkdir()
    r = venvfs("harvest", mount.path / env, check=False)
    assert r.returncode == 1 and "no environment" in r.stderr


# by itself


def test_after_a_quiet_moment(venvfs, mounts, root, pip, wheel, debian_python):
    m = mounts(root, harvest="0.3")
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    pip(root / "x", "install", "--no-compile", "rich")
    end = time.monotonic() + 20
    while not only_cfg(m) and time.monotonic() < end:
        time.sleep(0.05)
    assert only_cfg(m)
    assert subprocess.check_output([root / "x/bin/tool"], text=True) == "tool rich\n"
    assert [d["name"] for d in venvfs.json("show", root / "x")["distributions"]] == ["rich"]


def test_not_while_somebody_writes(venvfs, mounts, root, pip, wheel, debian_python):
    m = mounts(root, harvest="3")
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    done = threading.Event()

    def write():
        while not done.wait(0.1):
            (root / "x/log").write_text(str(time.time()))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        pip(root / "x", "install", "--no-compile", "rich")
        time.sleep(4)
        assert venvfs.json("store", "ls") == [] and venvfs.json("show", root / "x")["distributions"] == []
    finally:
        done.set()
        writer.join()
    (root / "x/log").unlink()
    end = time.monotonic() + 30
    while not only_cfg(m) and time.monotonic() < end:
        time.sleep(0.1)
    assert only_cfg(m)


@pytest.mark.parametrize("value, fine", [("no", True), ("0.5", True), ("-1", False), ("soon", False), ("1e9", False)])
def test_the_option(venvfs, mounts, root, value, fine):
    (venvfs.config / "venvfs/venvfs.conf").write_text(f"[mount]\nharvest = {value}\n")
    r = venvfs("ls", check=False)
    assert (r.returncode == 0) == fine, r.stderr
    if not fine:
        assert "harvest" in r.stderr and value in r.stderr


# nobody notices


def test_open_files(venvfs, mount, x, pip, wheel, debian_python):
    """Readers, mappings, writers and a dirty mapping from before the harvest."""
    venvfs("create", mount.path / "y", "--without-pip", "--python", debian_python)
    pip(x, "install", "--no-compile", "rich")
    reader = open(site(x) / "single.py", "rb")
    record = open(site(x) / "rich-1.0.dist-info/RECORD", "rb")
    record_before = (site(x) / "rich-1.0.dist-info/RECORD").read_bytes()
    with open(site(x) / "rich/big.bin", "rb") as f:
        mapped = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
    writer = os.open(site(x) / "rich/sub/b.py", os.O_RDWR)
    with open(site(x) / "rich/native.so", "r+b") as f:
        shared = mmap.mmap(f.fileno(), 0)
    inside = subprocess.Popen([sys.executable, "-c", "import os; input(); print(os.getcwd(), sorted(os.listdir('.')))"],
                              cwd=site(x) / "rich", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert len(venvfs.json("harvest", x)["added"]) == 1
    assert only_cfg(mount)
    bytes_before = store_hashes(venvfs)
    shutil.copy(x / "pyvenv.cfg", mount.path / "y")
    assert reader.read() == b"y = 2\n" and record.read() == record_before and mapped[:] == BIG
    os.pwrite(writer, b"late!", 0)
    shared[:4] = b"LATE"
    shared.flush()
    assert (site(x) / "rich/sub/b.py").read_bytes() == b"late!\n" and os.pread(writer, 9, 0) == b"late!\n"
    assert (site(x) / "rich/native.so").read_bytes() == b"LATE" + b"\x7fELF" * 99
    assert (site(mount.path / "y") / "rich/sub/b.py").read_bytes() == b"x = 1\n"
    assert (site(mount.path / "y") / "rich/native.so").read_bytes() == b"\x7fELF" * 100
    out, _ = inside.communicate("\n")
    assert out.startswith(f"{site(x)}/rich ['__init__.py', 'big.bin'")
    assert store_hashes(venvfs) == bytes_before and venvfs.json("store", "verify")["bad"] == 0
    os.close(writer)
    for f in (reader, record, mapped, shared):
        f.close()
    mount.remount()
    assert (site(x) / "rich/sub/b.py").read_bytes() == b"late!\n"


def test_a_dirty_mapping_from_before(venvfs, mount, x, pip, wheel):
    """Pages written before the harvest, flushed after it: they are a private copy's."""
    pip(x, "install", "--no-compile", "rich")
    with open(site(x) / "rich/big.bin", "r+b") as f:
        shared = mmap.mmap(f.fileno(), 0)
    shared[5000:5005] = b"dirty"
    said = venvfs.json("harvest", x)
    shared.flush()
    whole = BIG[:5000] + b"dirty" + BIG[5005:]
    shared.close()
    assert (site(x) / "rich/big.bin").read_bytes() == whole
    assert [d["name"] for d in said["added"]] + [d["name"] for d in said["kept"]]  # the kernel wrote them before, or not
    assert venvfs.json("store", "verify")["bad"] == 0


def test_imports_meanwhile(venvfs, mount, x, pip, tmp_path):
    """Processes that import, and walk, all the while see one and the same."""
    files = {f"many/m{i}.py": f"v = {i}\n" for i in range(300)} | {"many/__init__.py": ""}
    wheelmaker.make(tmp_path, "many", files=files)
    code = ("import importlib, sys, os\n"
            "for i in range(300): assert importlib.import_module(f'many.m{i}').v == i\n"
            "p = os.path.dirname(sys.modules['many'].__file__)\n"
            "assert len([n for n in os.listdir(p) if n.endswith('.py')]) == 301\n")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONDONTWRITEBYTECODE": "1"}
    for _ in range(3):
        pip(x, "install", "--no-compile", "many")
        runs = [subprocess.Popen([x / "bin/python", "-c", code], env=env) for _ in range(3)]
        said = venvfs.json("harvest", x)
        assert [p.wait() for p in runs] == [0, 0, 0]
        assert len(said["added"]) == 1
        assert only_cfg(mount), (said, list(private(mount, "x")))
        pip(x, "uninstall", "-y", "many")
        venvfs("harvest", x)


def test_while_the_store_is_looked_at_anew(venvfs, mount, x, pip, tmp_path):
    """As when bytecode arrives, also by a command for another environment: the harvest goes on to its end."""
    wheelmaker.make(tmp_path, "many", files={f"many/d{i % 9}/m{i}.py": f"v = {i}\n" for i in range(400)})
    pip(x, "install", "--no-compile", "many")
    done = threading.Event()

    def refresh():
        while not done.is_set():
            mount.renew()

    other = threading.Thread(target=refresh)
    other.start()
    try:
        assert len(venvfs.json("harvest", x)["added"]) == 1
    finally:
        done.set()
        other.join()
    assert only_cfg(mount)


def test_two_installs_at_once(venvfs, mounts, root, pip, tmp_path, debian_python):
    m = mounts(root, harvest="0")
    x = root / "x"
    venvfs("create", x, "--without-pip", "--python", debian_python)
    for n in ("one", "two"):
        wheelmaker.make(tmp_path, n, files={f"ns/{n}/m{i}.py": f"{n}{i}" for i in range(200)})
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: pip(x, "install", "--no-compile", n), ("one", "two")))
    end = time.monotonic() + 20
    while not only_cfg(m) and time.monotonic() < end:
        time.sleep(0.05)
    assert only_cfg(m)
    assert all((site(x) / f"ns/{n}/m{i}.py").read_text() == f"{n}{i}" for n in ("one", "two") for i in range(200))
    assert venvfs.json("store", "verify")["bad"] == 0
