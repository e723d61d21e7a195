# SPDX-License-Identifier: MIT
"""Backups: what shows through the mount is left out by those that heed CACHEDIR.TAG, and what is private
is saved from behind the mount, and comes back."""

import os
import shutil
import subprocess

import pytest

from prepared import code, prepared, site, venvfs, x  # noqa: F401

WHEELS = {"demo": {"files": {"demo.py": "value = 1\n"}}}
SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
TAG = "CACHEDIR.TAG"


@pytest.fixture
def changed(x):  # noqa: F811
    """An environment with a private file, a changed and a deleted one."""
    (site(x) / "own.py").write_text("value = 2\n")
    (site(x) / "demo.py").write_text("value = 3\n")
    (x / "bin" / "activate.csh").unlink()
    return x


def behind(mount):
    """Where a program of the same user reaches what is private."""
    return os.getxattr(mount.path, "user.venvfs.upper").decode()


def names(directory):
    return sorted(os.path.relpath(os.path.join(top, name), directory)
                  for top, dirs, files in os.walk(directory) for name in dirs + files)


def test_the_tag_shows_through_the_mount_alone(mount, x):  # noqa: F811
    assert (mount.path / TAG).read_bytes().startswith(SIGNATURE)
    st = (mount.path / TAG).stat()
    assert st.st_size == len((mount.path / TAG).read_bytes()) and st.st_uid == os.geteuid() and st.st_mtime > 0
    assert os.listdir(mount.path) == ["x"] == os.listdir(mount.upper)  # nobody copies it elsewhere
    assert not (x / TAG).exists()
    mount.umount()
    assert not (mount.path / TAG).exists()


def test_who_does_not_want_it_deletes_it(mount, prepared):  # noqa: F811
    (mount.path / TAG).unlink()
    assert code((mount.path / TAG).stat) == "ENOENT" and os.listdir(mount.path) == []
    mount.umount()
    (mount.path / f".wh.{TAG}").rename(mount.path.parent / "mark")
    mount.mount()
    assert (mount.path / TAG).read_bytes().startswith(SIGNATURE)
    (mount.path / TAG).unlink()
    mount.remount()
    assert code((mount.path / TAG).stat) == "ENOENT"
    (mount.path / TAG).write_text("mine\n")
    mount.remount()
    assert (mount.path / TAG).read_text() == "mine\n" and os.listdir(mount.path) == [TAG]


@pytest.mark.parametrize("how", ["append", "chmod", "rename", "link", "onto"])
def test_it_can_be_changed_as_any_file(mount, how):
    tag = mount.path / TAG
    text = tag.read_bytes()
    if how == "append":
        with open(tag, "ab") as f:
            f.write(b"more\n")
        assert tag.read_bytes() == text + b"more\n"
    elif how == "chmod":
        tag.chmod(0o600)
        assert tag.stat().st_mode & 0o777 == 0o600 and tag.read_bytes() == text
    elif how == "rename":
        tag.rename(mount.path / "other")
        assert (mount.path / "other").read_bytes() == text and not tag.exists()
    elif how == "link":
        os.link(tag, mount.path / "other")
        assert (mount.path / "other").read_bytes() == text == tag.read_bytes()
    else:
        (mount.path / "other").write_text("mine\n")
        (mount.path / "other").rename(tag)
        assert tag.read_text() == "mine\n"


def test_read_only(mounts, root):
    m = mounts(root, "-r")
    assert (m.path / TAG).read_bytes().startswith(SIGNATURE)
    assert code((m.path / TAG).unlink) == "EROFS"


def test_tar_leaves_out_what_shows(mount, changed, tmp_path):
    def listed(*options):
        out = subprocess.run(["tar", "-C", tmp_path, *options, "-cf", "-", mount.path.name], check=True,
                             stdout=subprocess.PIPE).stdout
        return subprocess.run(["tar", "-tf", "-"], input=out, check=True, stdout=subprocess.PIPE).stdout.decode().split()

    assert listed("--exclude-caches") == ["envs/", "envs/CACHEDIR.TAG"]
    assert listed("--exclude-caches-all") == []
    assert any(name.endswith("demo.py") for name in listed())


def test_tar_saves_what_is_private_while_mounted(mount, changed, mounts, tmp_path, venvfs):  # noqa: F811
    """Saved from behind the mount, put into another root: the same environment."""
    saved = tmp_path / "saved.tar"
    subprocess.run(["tar", "-C", behind(mount), "--exclude-caches", "-cf", saved, "."], check=True)
    listed = subprocess.run(["tar", "-tf", saved], check=True, stdout=subprocess.PIPE).stdout.decode().split()
    assert "./x/pyvenv.cfg" in listed and sum(name.endswith(".py") for name in listed) == 2
    shown, text = names(changed), (changed / "pyvenv.cfg").read_bytes()
    shutil.rmtree(changed)
    restored = tmp_path / "restored"
    restored.mkdir()
    subprocess.run(["tar", "-C", restored, "-xf", saved], check=True)
    again = mounts(restored).path / "x"
    assert names(again) == shown and (again / "pyvenv.cfg").read_bytes() == text
    assert (site(again) / "demo.py").read_text() == "value = 3\n"
    assert (site(again) / "own.py").read_text() == "value = 2\n" and not (again / "bin" / "activate.csh").exists()


def test_a_bind_mount_from_before_shows_what_is_private(venvfs, root, tmp_path, prepared, fuse):  # noqa: F811
    if os.geteuid() != 0:
        pytest.skip("a bind mount takes root")
    prepared.env(root / "x")
    (tmp_path / "private").mkdir()
    script = f"""
        mount --bind {root} {tmp_path}/private && "$VENVFS" mount {root} --harvest no && ls {root}/x/bin/python &&
        echo 'value = 4' >{root}/x/new.py && ls {tmp_path}/private/x; r=$?
        umount {root}; exit $r"""
    r = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script], text=True,
                       capture_output=True, env={**venvfs.env, "VENVFS": str(venvfs.binary)})
    if "unshare" in r.stderr:
        pytest.skip("no mount namespace can be had here")
    assert r.returncode == 0, r.stderr
    assert r.stdout.split() == [f"{root}/x/bin/python", "new.py", "pyvenv.cfg"]


@pytest.mark.parametrize("program", ["borg", "restic"])
def test_other_programs_heed_the_tag(mount, changed, tmp_path, program):
    if not shutil.which(program):
        pytest.skip(f"no {program}")
    repository = tmp_path / "repository"
    env = {**os.environ, "HOME": str(tmp_path), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
           "RESTIC_PASSWORD": "x", "XDG_CACHE_HOME": str(tmp_path / "cache"), "BORG_BASE_DIR": str(tmp_path)}

    def said(*argv, cwd=tmp_path):
        # a shell's cd leaves the name in PWD, which Go programs go by: the kernel's says the mount's path
        return subprocess.run(["sh", "-c", 'cd "$0" && "$@"', cwd, *argv], env=env, check=True, text=True,
                              capture_output=True).stdout

    if program == "borg":
        said("borg", "init", "-e", "none", repository)
        said("borg", "create", "--exclude-caches", f"{repository}::all", str(mount.path))
        said("borg", "create", "--exclude-caches", f"{repository}::private", ".", cwd=behind(mount))
        shown, private = (said("borg", "list", "--short", f"{repository}::{name}") for name in ("all", "private"))
    else:
        said("restic", "-r", repository, "init")
        said("restic", "-r", repository, "backup", "--exclude-caches", "--tag", "all", str(mount.path))
        said("restic", "-r", repository, "backup", "--exclude-caches", "--tag", "private", ".", cwd=behind(mount))
        shown, private = (said("restic", "-r", repository, "ls", "--tag", name, "latest") for name in ("all", "private"))
    assert "pyvenv.cfg" not in shown and "demo.py" not in shown
    assert "x/pyvenv.cfg" in private and "own.py" in private and "bin/python" not in private
