# SPDX-License-Identifier: MIT
"""materialize: the view as plain files. Beside the mounted view and beside what pip makes, at one and
the same path, so all three can be compared byte for byte."""

import errno
import os
import shutil
import stat
import subprocess

import pytest
import twins as t
from twins import assert_same, comparable, digest, real_environment, real_install, tree


def nothing(path):
    return False


class Place:
    """One path where an ordinary environment, the materialized and the mounted one are in turn."""

    def __init__(self, venvfs, tmp, python):
        self.venvfs, self.python = venvfs, python
        self.root, self.kept = tmp / "envs", tmp / "kept"
        self.env = self.root / "x"
        self.real, self.made = tmp / "real", tmp / "made"
        venvfs.env["VENVFS_ROOT"] = str(self.root)

    def take_real(self, install, env):
        self.root.mkdir(exist_ok=True)
        real_environment(self.python, self.env, env=env)
        install(self.env)
        self.env.rename(self.real)

    def keep(self):
        """The root steps aside, so that its environment can be written out where it itself was."""
        self.root.rename(self.kept)
        self.root.mkdir()

    def materialize(self):
        r = self.venvfs("materialize", self.kept / "x", self.env)
        self.env.rename(self.made)
        self.root.rmdir()
        self.kept.rename(self.root)
        return r


@pytest.fixture
def place(venvfs, tmp_path, python):
    (venvfs.config / "venvfs").mkdir()
    (venvfs.config / "venvfs/venvfs.conf").write_text("[store]\ncompile = no\n")
    p = Place(venvfs, tmp_path, python)
    p.root.mkdir()
    return p


@pytest.fixture
def demo(place, tmp_path):
    """`place` with an environment of the demo wheels."""
    (tmp_path / "wheels").mkdir()
    place.venvfs("store", "add", *t.demo_wheels(tmp_path / "wheels"))
    (tmp_path / "pins").write_text(t.pins())
    return place


def fill(place, tmp_path):
    place.venvfs("create", place.env, "--python", place.python)
    place.venvfs("sync", place.env, tmp_path / "pins", "--no-compile")


def times(top):
    return {
        str(p.relative_to(top)): p.lstat().st_mtime_ns
        for p in top.rglob("*")
        if stat.S_ISREG(p.lstat().st_mode) and "site-packages" in str(p) and ".dist-info/" not in str(p)
    }


def test_all_three_are_the_same(demo, tmp_path, mounts):
    env = {**demo.venvfs.env, "PYTHONDONTWRITEBYTECODE": "1"}
    demo.take_real(lambda x: real_install(x, tmp_path / "wheels", t.NAMES, env), env)
    fill(demo, tmp_path)
    demo.keep()
    demo.materialize()
    assert_same(comparable(tree(demo.made)), comparable(tree(demo.real)))
    mounts(demo.root)
    view = tree(demo.env, skip=nothing)
    made = tree(demo.made, skip=nothing)
    view["pyvenv.cfg"] = view["pyvenv.cfg"][0], t.without_lock(view["pyvenv.cfg"][1])
    assert_same(made, view)
    assert times(demo.made) == times(demo.env)


def test_with_bytecode(demo, tmp_path, mounts):
    fill(demo, tmp_path)
    demo.venvfs("store", "compile", "--python", demo.python)
    demo.keep()
    demo.materialize()
    mounts(demo.root)
    made, view = tree(demo.made, skip=nothing), tree(demo.env, skip=nothing)
    assert made.pop("pyvenv.cfg") != view.pop("pyvenv.cfg")
    assert_same(made, view)
    assert any(p.endswith(".pyc") for p in made)
    before = {p: p.stat().st_mtime_ns for p in demo.made.rglob("*.pyc")}
    code = "import demo.sub.deep.mod, plain; print(demo.sub.deep.mod.where())"
    env = {k: v for k, v in demo.venvfs.env.items() if k != "PYTHONDONTWRITEBYTECODE"}
    out = subprocess.check_output([demo.made / "bin/python", "-c", code], text=True, env=env)
    assert out.startswith(str(demo.made))
    assert {p: p.stat().st_mtime_ns for p in demo.made.rglob("*.pyc")} == before


@pytest.fixture
def x(venvfs, mount, root, tmp_path, debian_python):
    """A mounted environment, with changes of all kinds in it."""
    (tmp_path / "wheels").mkdir()
    venvfs("store", "add", "--no-compile", *t.demo_wheels(tmp_path / "wheels"))
    (tmp_path / "pins").write_text(t.pins())
    env = root / "x"
    venvfs("create", env, "--without-pip", "--python", debian_python)
    venvfs("sync", env, tmp_path / "pins", "--no-compile")
    site = env / "lib/python3.11/site-packages"
    (site / "demo/__init__.py").write_text("edited = True\ndef main(): print('edited')\n")
    (site / "demo/empty").unlink()
    (site / "demo/tool").chmod(0o700)
    shutil.rmtree(site / "demo/sub")
    (site / "demo/sub").mkdir()
    (site / "demo/sub/new.py").write_text("")
    (site / "shared").rename(site / "renamed")
    (site / "own").mkdir()
    (site / "own/link").symlink_to("../demo")
    (env / "bin/demo-sh").rename(env / "bin/moved")
    (env / "bin/activate").write_text("mine\n")
    (env / "share/demo/a b.txt").unlink()
    (env / "private").write_text("private\n")
    os.utime(env / "private", ns=(10**18, 10**18 + 5))
    return env


def test_private_changes(venvfs, x, tmp_path):
    """Edits, deletions and renames are in what is written, as the mount shows them."""
    made = tmp_path / "made"
    venvfs("materialize", x, made)
    ours, view = tree(made), tree(x)
    for path in ("pyvenv.cfg", "bin/activate.csh", "bin/activate.fish"):
        assert ours.pop(path)[1] != view.pop(path)[1]
    for path in [p for p in view if p.endswith("/RECORD") or "bin/demo" in p or "bin/Demo" in p]:
        assert ours.pop(path)[0] == view.pop(path)[0]
    assert_same(ours, view)
    assert (made / "private").stat().st_mtime_ns == 10**18 + 5
    site = made / "lib/python3.11/site-packages"
    assert (site / "renamed/demo_part.py").exists() and not (site / "shared").exists()
    assert sorted(os.listdir(site / "demo/sub")) == ["new.py"]
    assert not [p for p in made.rglob("*") if p.name.startswith((".wh.", ".venvfs"))]
    assert subprocess.check_output([made / "bin/demo"], text=True) == "edited\n"


def test_nothing_of_ours_is_needed(venvfs, mount, x, tmp_path):
    """With the store gone, the mount gone and nothing of venvfs in sight."""
    made = tmp_path / "made"
    venvfs("materialize", x, made)
    mount.umount()
    venvfs.data.rename(tmp_path / "gone")
    out = subprocess.check_output(
        [made / "bin/python", "-c", "import demo, plain, sys; print(demo.edited, plain.version, sys.prefix)"],
        text=True, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert out == f"True 2.0 {made}\n"
    for path in made.rglob("*"):
        if path.is_symlink():
            assert not os.readlink(path).startswith(str(tmp_path))
        elif path.is_file():
            data = path.read_bytes()
            assert os.fsencode(venvfs.data) not in data and os.fsencode(x) not in data or path.name == "pyvenv.cfg"
            assert b"venvfs-lock" not in data
    subprocess.run([made / "bin/python", "-m", "venv", tmp_path / "again", "--without-pip"], check=True)


def test_every_file_is_its_own(venvfs, x, tmp_path):
    """Nothing is linked: what is written in one place changes no other."""
    for name in ("one", "two"):
        venvfs("materialize", x, tmp_path / name)
    files = [p for n in ("one", "two") for p in (tmp_path / n).rglob("*") if p.is_file() and not p.is_symlink()]
    assert all(p.stat().st_nlink == 1 for p in files)
    assert len({p.stat().st_ino for p in files}) == len(files)
    for p in (tmp_path / "one").rglob("*.py"):
        p.chmod(0o644)
        p.write_text("changed\n")
    assert (tmp_path / "two/lib/python3.11/site-packages/plain/__init__.py").read_text() == "version = '2.0'\n"
    venvfs("store", "verify")


def test_modes_do_not_depend_on_umask(venvfs, x, tmp_path):
    old = os.umask(0o077)
    try:
        venvfs("materialize", x, tmp_path / "made")
    finally:
        os.umask(old)
    ours, view = tree(tmp_path / "made", content=nothing), tree(x, content=nothing)
    assert {p: m for p, (m, _) in ours.items()} == {p: m for p, (m, _) in view.items()}


def test_refusals(venvfs, x, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "there").write_text("mine")
    for env, to, why in (
        (x, full, "not empty"),
        (x, full / "there", "Not a directory"),
        (x, tmp_path / "no/where", "No such file"),
        (x, x / "lib/inside", "environment itself"),
        (x, tmp_path / "a:b", ":"),
        (x, tmp_path / "a\nb", "control"),
        (tmp_path / "nowhere", tmp_path / "made", "nowhere"),
        (full, tmp_path / "made", "full"),
    ):
        r = venvfs("materialize", env, to, check=False)
        assert r.returncode == 1 and why in r.stderr, (to, r.stderr)
        assert "\n" not in r.stderr.strip().replace("a\nb", "")
    assert os.listdir(full) == ["there"] and not (tmp_path / "made").exists()
    assert not (x / "lib/inside").exists() and not (tmp_path / "a:b").exists()


def test_an_empty_directory_is_taken(venvfs, x, tmp_path):
    (tmp_path / "made").mkdir(mode=0o700)
    venvfs("materialize", x, tmp_path / "made")
    assert (tmp_path / "made/pyvenv.cfg").exists()
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o755


def test_what_fails_leaves_nothing(venvfs, x, tmp_path, store):
    """A store that lost something: no half environment, and a message that names it."""
    (pack,) = store.glob("dists/plain/2.0/*/pack")
    pack.chmod(0o644)
    os.truncate(pack, 10)
    r = venvfs("materialize", x, tmp_path / "made", check=False)
    assert r.returncode == 1 and "plain" in r.stderr
    assert not (tmp_path / "made").exists()
    (tmp_path / "made").mkdir()
    assert venvfs("materialize", x, tmp_path / "made", check=False).returncode == 1
    assert os.listdir(tmp_path / "made") == []


def test_a_full_disk(venvfs, x, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("a small file system takes root")
    small = tmp_path / "small"
    small.mkdir()
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], stderr=subprocess.PIPE)
    if r.returncode:
        pytest.skip("no tmpfs here")
    try:
        r = venvfs("materialize", x, small / "made", check=False)
        assert r.returncode == 1 and os.strerror(errno.ENOSPC) in r.stderr
        assert os.listdir(small) == []
    finally:
        subprocess.run(["umount", small], check=True)


# sci


def sci_install(wheels, pins, environ):
    def install(env):
        subprocess.run(
            [env / "bin/python", "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile",
             "--find-links", wheels, "--require-hashes", "-r", pins],
            check=True,
            env=environ,
        )  # fmt: skip

    return install


@pytest.mark.timeout(1800)
def test_sci(sci, wheels, sci_pins, debian_python, tmp_path, mounts):
    """Of 108 wheels: what pip installs, what is written out and what is mounted are the same."""
    env = {**sci.env, "PYTHONDONTWRITEBYTECODE": "1", "PIP_CONFIG_FILE": os.devnull}
    p = Place(sci, tmp_path, debian_python)
    p.take_real(sci_install(wheels, sci_pins, env), env)
    theirs = comparable(tree(p.real, content=digest))
    shutil.rmtree(p.real)
    sci("create", p.env, "--python", debian_python)
    sci("sync", p.env, sci_pins, "--no-compile")
    p.keep()
    p.materialize()
    made = tree(p.made, content=digest)
    assert len(made) > 15000
    assert_same(comparable(made), theirs)
    for path in (p.made / "lib/python3.11/site-packages").rglob("*.so*"):
        assert not path.is_symlink()
    shutil.rmtree(p.made)
    mounts(p.root, venvfs=sci)
    assert_same(comparable(tree(p.env, content=digest)), comparable(made))
