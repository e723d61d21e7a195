# SPDX-License-Identifier: MIT
"""`venvfs doctor`: each row of its table is made bad, or a note, and is seen to be good without that."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from conftest import force_umount, wait_for_end

CHECKS = ("config kernel fuse-device fusermount container trial-mount mounts other-users allow-other store tiers "
          "apart roots environments variables python installers").split()
SETPRIV = "setpriv --reuid={0.uid} --regid={0.gid} --clear-groups"


@pytest.fixture
def as_root():
    if os.geteuid() != 0:
        pytest.skip("a mount namespace takes root")


@pytest.fixture(autouse=True)
def root(venvfs, tmp_path):
    """The default one, not made yet; whatever a trial finds, nothing of it is left."""
    venvfs.env["VENVFS_ROOT"] = str(tmp_path / "envs")
    yield tmp_path / "envs"
    left = [str(p) for p in tmp_path.glob(".venvfs-doctor*")]
    with open("/proc/self/mountinfo") as f:
        mounted = [point for line in f if f"{tmp_path}/.venvfs-doctor" in (point := line.split()[4])]
    for point in mounted:
        force_umount(point)
    assert (left, mounted) == ([], [])


class Found:
    """What it said, by row; of the mounts of others on this machine there is nothing in it."""

    def __init__(self, process, *mine):
        assert process.returncode in (0, 1) and process.stderr == "", process.stderr
        said = json.loads(process.stdout)
        assert process.returncode == any(f["verdict"] == "bad" for f in said)
        self.said = [f for f in said if f["check"] not in ("mounts", "other-users")
                     or f["verdict"] == "ok" or any(str(m) in f["what"] for m in mine)]
        assert set(CHECKS) == {f["check"] for f in said}

    def of(self, check):
        return [f for f in self.said if f["check"] == check]

    def bad(self):
        return {f["check"] for f in self.said if f["verdict"] == "bad"}

    def one(self, check, verdict):
        """The row's only line, "WHAT -> MEND"."""
        [f] = self.of(check)
        assert f["verdict"] == verdict, f
        assert (f["mend"] is None) == (verdict == "ok"), f
        return f"{f['what']} -> {f['mend']}"


def doctor(venvfs, *options, setup="", env=None, wrap=()):
    """`setup` is a shell's work in a mount namespace of its own."""
    if setup:
        wrap = ["unshare", "-m", "sh", "-ec", f'{setup}\nexec "$@"', "sh", *wrap]
    return Found(venvfs(*options, "doctor", "--json", check=False, env=env, wrap=wrap), venvfs.tmp)


def doctor_of(user, *options, setup=":", env=None, wrap=()):
    """The same as another user; `setup` is root's still."""
    drop = SETPRIV.format(user).split()
    r = subprocess.run(
        ["unshare", "-m", "sh", "-ec", f'{setup}\nexec "$@"', "sh", *drop, *wrap, user.binary, *options, "doctor",
         "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd=user.tmp,
        env={**user.env, **(env or {})})
    return Found(r, user.tmp)


def create(venvfs, *names):
    venvfs("create", *names, "--without-pip", "--python", "/usr/bin/python3")


DEV = "mount -t tmpfs -o mode=755 dev /dev; mknod -m 666 /dev/null c 1 3"


# all of it


def test_good(venvfs, root, fuse, tmp_path):
    create(venvfs, "x")
    venvfs("mount", root)
    try:
        before = {p: p.lstat().st_mtime_ns for p in [*venvfs.store.rglob("*"), *root.parent.iterdir()]}
        found = doctor(venvfs)
        assert found.bad() == set() and [f["check"] for f in found.said if f["verdict"] == "ok"]
        assert {p: p.lstat().st_mtime_ns for p in [*venvfs.store.rglob("*"), *root.parent.iterdir()]} == before
        text = venvfs("doctor", check=False).stdout
        assert [c for c in CHECKS if not re.search(rf"^(ok|note|bad ) +{c} ", text, re.M)] == []
    finally:
        venvfs("umount", root)


def test_nothing_is_made(venvfs, root, fuse, tmp_path):
    found = doctor(venvfs)
    assert found.bad() == set()
    assert "will be made" in found.one("store", "ok") and "not there yet" in found.one("roots", "ok")
    assert not venvfs.store.exists() and not root.exists() and not list(tmp_path.glob(".venvfs-doctor*"))


def test_bad_usage(venvfs):
    assert venvfs("doctor", "x", check=False).returncode == 2
    assert venvfs("doctor", "--frob", check=False).returncode == 2


def test_text_tells_the_mend(venvfs):
    r = venvfs("doctor", env={"PYTHONHOME": "/opt/python"}, check=False)
    assert r.returncode == 1
    assert re.search(r"^bad +variables +PYTHONHOME.*\n +-> unset PYTHONHOME$", r.stdout, re.M)


# config


def test_config(venvfs, tmp_path):
    conf = venvfs.config / "venvfs" / "venvfs.conf"
    conf.parent.mkdir()
    conf.write_text("[store]\ncompile = yes\ncolour = blue\n")
    found = doctor(venvfs)
    assert f"{conf}:3" in found.one("config", "bad") and "colour" in found.one("config", "bad")
    assert venvfs("ls", check=False).returncode == 1
    # what the command line tells is looked at all the same
    assert str(venvfs.store) in doctor(venvfs, "--store", venvfs.store).one("store", "ok")
    conf.write_text("[store]\ncompile = yes\n")
    assert str(venvfs.store) in doctor(venvfs).one("config", "ok")


# the machine


def test_kernel(venvfs):
    assert "too old" in doctor(venvfs, wrap=["setarch", "--uname-2.6"]).one("kernel", "bad")
    assert os.uname().release in doctor(venvfs).one("kernel", "ok")


def test_no_device(venvfs, fuse, as_root):
    found = doctor(venvfs, setup=DEV)
    assert "No such file" in found.one("fuse-device", "bad")
    # why a trial fails then is in what it says
    assert "/dev/fuse" in found.one("trial-mount", "bad")
    found = doctor(venvfs)
    assert found.one("fuse-device", "ok") and "mounting works" in found.one("trial-mount", "ok")


def test_device_of_others(other_user, fuse):
    found = doctor_of(other_user, setup=f"{DEV}; mknod -m 600 /dev/fuse c 10 229")
    assert "Permission denied" in found.one("fuse-device", "bad") and "chmod 666 /dev/fuse" in found.one(
        "fuse-device", "bad")
    assert "trial-mount" in found.bad()
    found = doctor_of(other_user, setup=f"{DEV}; mknod -m 666 /dev/fuse c 10 229")
    assert found.one("fuse-device", "ok") and found.one("trial-mount", "ok")


def test_container(venvfs, fuse, as_root, tmp_path):
    inside = "mount -t tmpfs run /run; touch /run/.containerenv"
    assert "may mount" in doctor(venvfs, setup=inside).one("container", "ok")
    profile = tmp_path / "profile"
    profile.write_text("docker-default (enforce)\n")
    setup = f"{inside}; {DEV}; mount --bind {profile} /proc/$$/attr/current"
    capsh = ["capsh", "--drop=cap_sys_admin", "--", "-c", 'exec "$0" "$@"']
    found = doctor(venvfs, setup=setup, wrap=capsh)
    flags = "docker run --device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined ..."
    assert flags in found.one("container", "bad") and flags in found.one("trial-mount", "bad")
    found = doctor(venvfs, setup=inside, wrap=capsh)
    assert "docker run --cap-add SYS_ADMIN ...;" in found.one("container", "bad")
    assert "docker run --device /dev/fuse ...;" in doctor(venvfs, setup=f"{inside}; {DEV}").one("container", "bad")


def test_container_as_a_user(other_user, fuse):
    """The bound of capabilities holds for fusermount3, too."""
    setup = "mount -t tmpfs run /run; touch /run/.containerenv"
    bound = ["setpriv", "--bounding-set=-sys_admin"]
    drop = SETPRIV.format(other_user).split()
    r = subprocess.run(
        ["unshare", "-m", "sh", "-ec", f'{setup}\nexec "$@"', "sh", *bound, *drop, other_user.binary, "doctor",
         "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=other_user.tmp, env=other_user.env)
    found = Found(r, other_user.tmp)
    assert "--cap-add SYS_ADMIN" in found.one("container", "bad") and "trial-mount" in found.bad()
    assert doctor_of(other_user, setup=setup).one("container", "ok")


def test_fusermount(other_user, fuse):
    assert "fusermount3" in doctor_of(other_user).one("fusermount", "ok")
    bin = other_user.tmp / "bin"
    bin.mkdir()
    setpriv = ["setpriv", "--no-new-privs"]
    found = doctor_of(other_user, wrap=["/usr/bin/env", f"PATH={bin}"])
    assert "apt-get install fuse3" in found.one("fusermount", "bad")
    # libfuse would find it still, and nobody the way back
    [f] = found.of("trial-mount")
    assert f["verdict"] == "note" and "fusermount3" in f["what"]
    copy = bin / "fusermount3"
    shutil.copy(shutil.which("fusermount3"), copy)
    copy.chmod(0o755)
    found = doctor_of(other_user, wrap=["/usr/bin/env", f"PATH={bin}:/usr/bin:/bin"])
    assert f"chmod u+s {copy}" in found.one("fusermount", "bad")
    setup = f"mount -t tmpfs -o nosuid,mode=755 t {bin}; cp -p /usr/bin/fusermount3 {bin}; chmod 4755 {copy}"
    found = doctor_of(other_user, setup=setup, wrap=["/usr/bin/env", f"PATH={bin}:/usr/bin:/bin"])
    assert "nosuid" in found.one("fusermount", "bad")
    found = doctor_of(other_user, wrap=setpriv)
    assert "no_new_privs" in found.one("fusermount", "bad")
    assert "mount failed" in found.one("trial-mount", "bad")


def test_apparmor(other_user, fuse):
    """It is named where it is at work and the kernel refused."""
    setup = ("mount -t tmpfs -o mode=755 t /sys/module; mkdir -p /sys/module/apparmor/parameters; "
             "echo {} >/sys/module/apparmor/parameters/enabled")
    for enabled, named in ("Y", True), ("N", False):
        found = doctor_of(other_user, setup=setup.format(enabled), wrap=["setpriv", "--no-new-privs"])
        assert ("AppArmor" in found.one("trial-mount", "bad")) == named
        assert doctor_of(other_user, setup=setup.format(enabled)).one("trial-mount", "ok")


def test_root_needs_no_fusermount(venvfs, as_root):
    assert "root mounts" in doctor(venvfs, env={"PATH": "/nonexistent"}).one("fusermount", "ok")


# mounts


def test_dead_mount(venvfs, root, mounts):
    root.mkdir()
    m = mounts(root)
    assert not [f for f in doctor(venvfs).of("mounts") if str(root) in f["what"]]
    os.kill(m.pid, signal.SIGKILL)
    wait_for_end(m.pid)
    found = doctor(venvfs)
    [f] = [f for f in found.of("mounts") if str(root) in f["what"]]
    assert f["verdict"] == "bad" and f["mend"] == f"venvfs mount {root}"
    assert found.bad() == {"mounts"}
    m.mount()
    assert not [f for f in doctor(venvfs).of("mounts") if str(root) in f["what"]]


def test_mount_of_another_user(venvfs, other_user, fuse):
    envs = other_user.home / "envs"
    other_user.venvfs("mount", envs)
    try:
        # by root, who looks for that user's environments as `sudo venvfs` would
        [f] = others(venvfs, envs, "--root", envs)
        assert f["verdict"] == "bad" and "not even root" in f["what"] and other_user.name in f["what"]
        assert "--allow-other" in f["mend"] and "user_allow_other" in f["mend"]
        # and by one who has environments elsewhere
        [f] = others(venvfs, envs)
        assert f["verdict"] == "note"
    finally:
        other_user.venvfs("umount", envs)
    assert others(venvfs, envs, "--root", envs) == []


def others(venvfs, path, *options):
    said = json.loads(venvfs(*options, "doctor", "--json", check=False).stdout)
    return [f for f in said if f["check"] == "other-users" and str(path) in f["what"]]


def test_mount_of_root(venvfs, other_user, fuse):
    public = other_user.tmp / "envs"
    public.mkdir()
    for options, verdict in ((), "bad"), (("--allow-other",), None):
        venvfs("mount", *options, public)
        try:
            found = [f for f in doctor_of(other_user, "--root", public).of("other-users") if str(public) in f["what"]]
            assert [f["verdict"] for f in found] == ([verdict] if verdict else [])
        finally:
            venvfs("umount", public)


def test_allow_other(venvfs, other_user, tmp_path):
    conf = other_user.tmp / "fuse.conf"
    bind = f"mount --bind {conf} /etc/fuse.conf"
    for text in ("#user_allow_other\n", "user_allow_others\n", "mount_max = 7\n"):
        conf.write_text(text)
        assert "fuse.conf" in doctor_of(other_user, setup=bind).one("allow-other", "note")
    conf.write_text("mount_max = 7\n  user_allow_other \n")
    assert doctor_of(other_user, setup=bind).one("allow-other", "ok")
    assert doctor(venvfs).one("allow-other", "ok")


# stores


def test_store_mode(venvfs):
    create(venvfs, "x")
    assert str(venvfs.store) in doctor(venvfs).one("store", "ok")
    venvfs.store.chmod(0o777)
    assert f"-> chmod go-w {venvfs.store}" in doctor(venvfs).one("store", "bad")
    venvfs.store.chmod(0o700)
    assert doctor(venvfs).one("store", "ok")


def test_store_owner(venvfs, as_root):
    create(venvfs, "x")
    os.chown(venvfs.store, 12345, 12345)
    assert "12345" in doctor(venvfs).one("store", "bad") and "chown -R" in doctor(venvfs).one("store", "bad")
    os.chown(venvfs.store, 0, 0)
    assert doctor(venvfs).one("store", "ok")


def test_store_that_can_not_be_written(other_user):
    store = other_user.home / "data/venvfs/store"
    envs = other_user.home / "envs"
    other_user.venvfs("create", "--without-pip", "--python", "/usr/bin/python3", "e", "--root", envs)
    store.chmod(0o500)
    assert f"chmod u+rwx {store}" in doctor_of(other_user).one("store", "bad")
    store.chmod(0o700)
    assert doctor_of(other_user).one("store", "ok")
    # nor made
    os.chown(other_user.home, 0, 0)
    assert "can not be written" in doctor_of(other_user, "--store", other_user.home / "s").one("store", "bad")


def test_store_on_a_read_only_file_system(venvfs, as_root):
    create(venvfs, "x")
    setup = f"mount --bind {venvfs.data} {venvfs.data}; mount -o remount,bind,ro {venvfs.data}"
    assert "read-only" in doctor(venvfs, setup=setup).one("store", "bad")
    shutil.rmtree(venvfs.store)
    assert "read-only" in doctor(venvfs, setup=setup).one("store", "bad")


def test_full_file_system(venvfs, as_root):
    venvfs.store.mkdir(parents=True)
    setup = (f"mount -t tmpfs -o size=1m,mode=700 t {venvfs.store}; {venvfs.binary} --store {venvfs.store} ls; "
             f"cat </dev/zero >{venvfs.store}/tmp/fill 2>/dev/null || :")
    assert "full" in doctor(venvfs, setup=setup).one("store", "bad")
    setup = f"mount -t tmpfs -o size=9m,mode=700 t {venvfs.store}"
    verdicts = [f["verdict"] for f in doctor(venvfs, setup=setup).of("store")]
    assert verdicts == ["note", "ok"]


def test_store_schema(venvfs):
    create(venvfs, "x")
    version = venvfs.store / "store-version"
    version.write_text("venvfs-store 9\n")
    assert "store-version" in doctor(venvfs).one("store", "bad")
    version.unlink()
    (venvfs.store / "notes.txt").write_text("")
    assert "not a store of venvfs" in doctor(venvfs).one("store", "bad")
    version.write_text("venvfs-store 1\n")
    assert doctor(venvfs).one("store", "ok")


def test_tiers(venvfs, tmp_path):
    assert "no read-only" in doctor(venvfs).one("tiers", "ok")
    assert "No such file" in doctor(venvfs, "--tier", tmp_path / "gone").one("tiers", "bad")
    create(venvfs, "x")
    assert str(venvfs.store) in doctor(venvfs, "--tier", venvfs.store, "--store", tmp_path / "s").one("tiers", "ok")


def test_apart(venvfs, root, tmp_path):
    create(venvfs, "x")
    for inside in (venvfs.store / "envs", venvfs.data):
        found = doctor(venvfs, "--root", inside)
        assert str(venvfs.store) in found.one("apart", "bad")
    assert doctor(venvfs).one("apart", "ok")


# roots and environments


def test_roots(venvfs, root, mounts, tmp_path):
    create(venvfs, "x", "y")
    found = doctor(venvfs)
    assert f"2 environments -> venvfs mount {root}" in found.one("roots", "bad")
    m = mounts(root)
    assert "mounted, 2 environments" in doctor(venvfs).one("roots", "ok")
    create(venvfs, "z", "--root", tmp_path / "far")
    usual, far = doctor(venvfs).of("roots")
    assert usual["verdict"] == "ok" and far["verdict"] == "note" and far["mend"] == f"venvfs mount {tmp_path}/far"
    m.umount()
    venvfs("rm", "x", "y")
    assert "no environment" in doctor(venvfs).of("roots")[0]["what"]


def edit(root, name, pattern, to):
    cfg = root / name / "pyvenv.cfg"
    text, n = re.subn(pattern, to, cfg.read_text(), flags=re.M)
    assert n == 1
    cfg.write_text(text)


def envs(venvfs):
    return {f["what"].partition(":")[0].rpartition("/")[2]: f for f in doctor(venvfs).of("environments")}


def test_environments(venvfs, root, tmp_path):
    create(venvfs, *"good torn nolock home minor patch".split())
    found = doctor(venvfs)
    assert f"6 in {root}" in found.one("environments", "ok")
    (root / "torn/pyvenv.cfg").write_text("version = 3.11.2\n")
    edit(root, "nolock", r"^venvfs-lock = .*", f"venvfs-lock = sha256:{'0' * 64}")
    edit(root, "home", r"^home = .*", f"home = {tmp_path}/gone")
    edit(root, "minor", r"^version = .*", "version = 3.7.1")
    major, minor = re.search(r"^version = (\d+)\.(\d+)", (root / "good/pyvenv.cfg").read_text(), re.M).groups()
    edit(root, "patch", r"^version = .*", f"version = {major}.{minor}.99")
    found = envs(venvfs)
    assert {n: f["verdict"] for n, f in found.items()} == {
        "torn": "bad", "nolock": "bad", "home": "bad", "minor": "bad", "patch": "note"}
    assert "pyvenv.cfg" in found["torn"]["mend"] and "venvfs undo" in found["nolock"]["mend"]
    assert "gone" in found["home"]["what"] and f"venvfs upgrade {root}/home --python" in found["home"]["mend"]
    for name in ("minor", "patch"):
        assert "its base Python" in found[name]["what"] and found[name]["mend"] == f"venvfs upgrade {root}/{name}"


def test_missing_distributions(venvfs, root):
    venvfs("create", "x", "--python", "/usr/bin/python3")
    assert doctor(venvfs).one("environments", "ok")
    shutil.rmtree(venvfs.store / "dists/pip")
    said = doctor(venvfs).one("environments", "bad")
    assert "pip" in said and "store add" in said


# what environments are made with


def test_variables(venvfs):
    assert "unset PYTHONHOME" in doctor(venvfs, env={"PYTHONHOME": "/usr"}).one("variables", "bad")
    assert "unset PYTHONPATH" in doctor(venvfs, env={"PYTHONPATH": "/opt/lib"}).one("variables", "note")
    assert doctor(venvfs, env={"PYTHONHOME": ""}).one("variables", "ok")


def test_python(venvfs, tmp_path):
    (tmp_path / "bin").mkdir()
    env = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    assert "python3" in doctor(venvfs, env=env).one("python", "bad")
    assert "neither uv nor pip" in doctor(venvfs, env=env).one("installers", "bad")
    (tmp_path / "bin/python3").symlink_to("/usr/bin/python3")
    assert "python3" in doctor(venvfs, env=env).one("python", "ok")


def test_installers(venvfs, as_root, tmp_path, debian_python):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(debian_python)
    env = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    code = "import ensurepip, pip, os; print(os.path.dirname(ensurepip.__file__), os.path.dirname(pip.__file__))"
    r = subprocess.run([debian_python, "-I", "-c", code], stdout=subprocess.PIPE, text=True)
    if r.returncode:
        pytest.skip("this Python has no ensurepip or no pip")
    hide = "; ".join(f"mount -t tmpfs t {d}" for d in r.stdout.split())
    wrap = ["/usr/bin/env", f"PATH={tmp_path}/bin"]
    tool = {"HOME": str(tmp_path)}
    assert "neither uv nor pip" in doctor(venvfs, setup=hide, wrap=wrap, env=tool).one("installers", "bad")
    assert "pip" in doctor(venvfs, env=env).one("installers", "ok")
    uv = tmp_path / "bin/uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    assert doctor(venvfs, setup=hide, wrap=wrap, env=tool).one("installers", "ok").startswith("uv ")
