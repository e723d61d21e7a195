# SPDX-License-Identifier: MIT
"""mount.venvfs, as mount(8) calls it: each test is one script in a mount namespace of its own, where
/sbin has the helper and /etc/fstab is the test's, so nothing of the machine is changed."""

import os
import re
import shutil
import subprocess

import pytest

from conftest import SOURCES

OPTIONS = re.compile(r"^\.It Cm ([a-z_]+)", re.M)


@pytest.fixture
def helper(venvfs, tmp_path):
    """The helper as it would be installed, for the program under test."""
    directory = tmp_path / "sbin"
    directory.mkdir()
    path = directory / "mount.venvfs"
    installed(path, venvfs.binary)
    return path


def installed(path, binary):
    text = (SOURCES / "contrib" / "mount.venvfs.in").read_text()
    path.write_text(text.replace("@bindir@", str(binary.parent)))
    path.chmod(0o755)


def envs_of(user, helper):
    """A root that is the user's; the helper runs the copy of the program that he can reach."""
    installed(helper, user.binary)
    envs = user.home / "envs"
    envs.mkdir()
    os.chown(envs, user.uid, user.gid)
    return envs


@pytest.fixture
def namespace(venvfs, helper, root, tmp_path, fuse):
    """namespace(SCRIPT, fstab=TEXT) runs it with the helper in /sbin."""
    if os.geteuid() != 0:
        pytest.skip("a mount namespace takes root")
    sbin = os.path.realpath("/sbin")
    setup = f"mount -t overlay overlay -o lowerdir={helper.parent}:{sbin} {sbin} && " \
            f"mount --bind {tmp_path}/fstab /etc/fstab"
    (tmp_path / "fstab").write_text("")
    if not os.path.exists("/etc/fstab") or unshared(setup, venvfs.env).returncode != 0:
        pytest.skip("no mount namespace with a /sbin of its own can be had here")

    def run(script, fstab="", check=True, **kw):
        (tmp_path / "fstab").write_text(fstab.format(root=root))
        # the daemon goes with its mount, so that no process is left whatever happens
        script = f'{setup} || exit 99\ncd /\n(set -e\n{script}\n)\nr=$?\numount "{root}" 2>/dev/null\nexit $r'
        r = unshared(script, {**venvfs.env, "VENVFS_ROOT": str(root), "VENVFS": str(venvfs.binary)}, **kw)
        if check:
            assert r.returncode == 0, r.stderr + r.stdout
        return r

    return run


def unshared(script, env, **kw):
    return subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script], env=env,
                          text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, **kw)


def test_by_hand(namespace, root, debian_python):
    out = namespace(f"""
        mount -t venvfs venvfs {root}
        "$VENVFS" create --without-pip --python {debian_python} x
        {root}/x/bin/python -c 'import sys; print(sys.prefix)'
        findmnt -no FSTYPE,SOURCE,OPTIONS {root}
        umount {root}
        ls -A {root}/x""").stdout
    assert out.splitlines()[1] == f"{root}/x"
    assert re.search(r"^fuse.venvfs +venvfs +rw,nosuid,nodev", out, re.M)
    assert out.splitlines()[-1] == "pyvenv.cfg"


def test_line_of_fstab(namespace, venvfs, root, store, tmp_path, small_wheels):
    fstab = f"venvfs {{root}} venvfs noauto,ro,allow_other,harvest=no,store={tmp_path}/own,tier={store},x-a.b=c 0 0\n"
    venvfs("store", "add", "--no-compile", small_wheels("demo"))
    out = namespace(f"""
        mount {root}
        findmnt -no OPTIONS {root}
        tr '\\0' ' ' </proc/$("$VENVFS" status --json | sed 's/.*"pid": \\([0-9]*\\).*/\\1/')/cmdline
        """, fstab).stdout
    assert out.splitlines()[0].startswith("ro,nosuid,nodev") and "allow_other" in out
    assert f"mount {root} --read-only --allow-other --harvest no --store {tmp_path}/own --tier {store}" in out


def test_mount_all_twice(namespace, root):
    """A root that is mounted is known to be, so `mount -a` is no error then."""
    out = namespace(f"""
        mount -a
        mount -a
        grep -c ' {root} .* fuse.venvfs ' /proc/self/mountinfo""", "venvfs {root} venvfs defaults 0 0\n").stdout
    assert out == "1\n"


def test_of_a_file_by_itself(namespace, root, tmp_path):
    own = tmp_path / "own.fstab"
    own.write_text(f"venvfs {root} venvfs noauto 0 0\n")
    out = namespace(f"mount --fstab {own} {root}\ngrep -c ' {root} .* fuse.venvfs ' /proc/self/mountinfo").stdout
    assert out == "1\n"


def test_the_root_may_stand_for_the_source(namespace, root):
    out = namespace(f"mount -t venvfs {root} {root}\ngrep -c ' {root} .* fuse.venvfs ' /proc/self/mountinfo").stdout
    assert out == "1\n"


def test_for_another_user(namespace, helper, other_user):
    """setuid= at boot: the daemon is the user's."""
    envs = envs_of(other_user, helper)
    r = namespace(f"""
        mount -t venvfs -o setuid={other_user.name},store={other_user.home}/store venvfs {envs}
        findmnt -no OPTIONS {envs}
        umount {envs}""")
    assert f"user_id={other_user.uid}" in r.stdout


def test_by_an_ordinary_user(namespace, helper, other_user):
    """fstab's `user`: mount gives up its privileges before it calls the helper."""
    envs = envs_of(other_user, helper)
    become = f"setpriv --reuid={other_user.uid} --regid={other_user.gid} --clear-groups env HOME={other_user.home} " \
             f"XDG_DATA_HOME={other_user.home}/data XDG_CONFIG_HOME={other_user.home}/config " \
             f"XDG_STATE_HOME={other_user.home}/state"
    line = f"venvfs {envs} venvfs noauto,user,{{exec}}harvest=no 0 0\n"
    script = f"{become} mount {envs}\nfindmnt -no OPTIONS {envs}\n{become} umount {envs}\n! findmnt {envs}"
    out = namespace(script, line.replace("{exec}", "exec,"), cwd="/")
    assert f"user_id={other_user.uid}" in out.stdout and "noexec" not in out.stdout
    r = namespace(script, line.replace("{exec}", ""), check=False)
    assert r.returncode == 1 and "write \"exec\"" in r.stderr


@pytest.mark.parametrize("options, code, text", [
    ("whatever", 1, "whatever: there is no such option"),
    ("rw,remount", 1, "unmount it first"),
    ("store=relative", 1, "absolute"),
    ("setuid=no-such-user", 1, "there is no such user"),
    ("harvest=soon", 32, "--harvest: seconds"),
])
def test_refusals(venvfs, helper, root, options, code, text):
    r = subprocess.run([helper, "venvfs", root, "-o", options], env=venvfs.env, text=True, capture_output=True)
    assert r.returncode == code and text in r.stderr
    assert not os.path.ismount(root)


def test_a_root_elsewhere_is_refused(venvfs, helper, root, tmp_path):
    r = subprocess.run([helper, tmp_path, root], env=venvfs.env, text=True, capture_output=True)
    assert r.returncode == 1 and "mounted over itself" in r.stderr


def test_sloppy_and_fake(venvfs, helper, root):
    """mount -s and -f: an unknown option is passed over; nothing is done."""
    subprocess.run([helper, "venvfs", root, "-sf", "-o", "whatever"], env=venvfs.env, check=True)
    assert not os.path.ismount(root)


def test_manual_names_each_option():
    helper = (SOURCES / "contrib" / "mount.venvfs.in").read_text()
    manual = (SOURCES / "docs" / "man" / "mount.venvfs.8").read_text()
    known = set(re.findall(r"\b(ro|allow_other|harvest|store|tier|setuid)\b\)?=?", helper))
    assert known == set(OPTIONS.findall(manual))
