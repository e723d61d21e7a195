# SPDX-License-Identifier: MIT
"""A base Python that was removed or replaced, and `venvfs upgrade`."""

import os
import shutil
import subprocess

import pytest


def run(*argv):
    r = subprocess.run([*map(str, argv)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


@pytest.fixture
def root(root, venvfs):
    """Known as one also where it is not mounted."""
    venvfs.env["VENVFS_ROOT"] = str(root)
    return root


def tags(version):
    return f"cp{version.replace('.', '')}-cp{version.replace('.', '')}-linux_x86_64"


@pytest.fixture
def two(pythons):
    """Two minor versions, the older first."""
    if "3.11" not in pythons or "3.12" not in pythons:
        pytest.skip("no CPython 3.11 and 3.12 on this machine")
    return "3.11", "3.12"


@pytest.fixture
def base(pythons, tmp_path):
    """A Python of one's own, which can be removed: (path, version)."""
    version, python = max(pythons.items(), key=lambda p: int(p[0].partition(".")[2]))
    path = tmp_path / "base/bin" / f"python{version}"
    path.parent.mkdir(parents=True)
    shutil.copy(python.resolve(), path)
    return path, version


def with_wheels(venvfs, root, pythons, small_wheels, versions):
    """An environment of the first version with a pure and a compiled distribution; the store has wheels of the
    compiled one for all."""
    pure = small_wheels("pure", files={"pure.py": "x = 1\n"})
    plat = [
        small_wheels("plat", tag=tags(v), pure=False, files={"plat.py": f"x = {v!r}\n"}) for v in versions
    ]
    venvfs("store", "add", "--no-compile", pure, *plat)
    venvfs("create", root / "e", "--python", pythons["3.11"])
    pins = root.parent / "pins.txt"
    pins.write_text("pure==1.0\nplat==1.0\n")
    venvfs("sync", root / "e", pins, "--no-compile")


LOOK = "import sys, pure, plat; print('%d.%d' % sys.version_info[:2], pure.x, plat.x, sys.prefix)"


def test_to_another_minor_version(venvfs, mounts, root, pythons, two, small_wheels):
    old, new = two
    mount = mounts(root)
    with_wheels(venvfs, root, pythons, small_wheels, two)
    python = root / "e/bin/python"
    assert run(python, "-B", "-c", LOOK) == f"3.11 1 3.11 {root}/e"
    before = {d["name"]: d for d in venvfs.json("show", root / "e")["distributions"]}
    r = venvfs("upgrade", root / "e", "--python", pythons[new], "--no-compile")
    assert run(python, "-B", "-c", LOOK) == f"3.12 1 3.12 {root}/e"
    assert os.listdir(root / "e/lib") == ["python3.12"] and "private files" not in r.stderr
    after = {d["name"]: d for d in venvfs.json("show", root / "e")["distributions"]}
    assert after["pure"] == before["pure"]
    assert after["plat"]["manifest"] != before["plat"]["manifest"]
    assert after["plat"]["requested"] == before["plat"]["requested"]
    assert {n: d["version"] for n, d in after.items() if n != "pip"} == {
        n: d["version"] for n, d in before.items() if n != "pip"
    }
    run(python, "-B", "-m", "pip", "check")
    cfg = (root / "e/pyvenv.cfg").read_text()
    assert f"home = {pythons[new].parent}\n" in cfg and f"version = {new}" in cfg
    assert f"command = {pythons[new]} -m venv {root}/e\n" in cfg and cfg.count("venvfs-lock") == 1
    mount.remount()
    assert run(python, "-B", "-c", LOOK) == f"3.12 1 3.12 {root}/e"
    venvfs("upgrade", root / "e", "--python", pythons[old], "--no-compile")
    assert run(python, "-B", "-c", LOOK) == f"3.11 1 3.11 {root}/e"


def test_not_mounted(venvfs, root, pythons, two, small_wheels):
    with_wheels(venvfs, root, pythons, small_wheels, two)
    lock = venvfs.json("show", root / "e")["lock"]
    venvfs("upgrade", root / "e", "--python", pythons["3.12"], "--no-compile")
    shown = venvfs.json("show", root / "e")
    assert shown["state"] == "ok" and shown["python"].startswith("3.12.") and shown["lock"] != lock
    assert lock in venvfs("undo", root / "e", "--list", "--json").stdout


def test_what_can_not_be_had_is_named_and_nothing_changes(venvfs, mounts, root, pythons, two, small_wheels):
    mounts(root)
    with_wheels(venvfs, root, pythons, small_wheels, ["3.11"])
    more = small_wheels("more", tag=tags("3.11"), pure=False, files={"more.py": ""})
    run(root / "e/bin/python", "-m", "pip", "install", "--no-index", more)
    before = (root / "e/pyvenv.cfg").read_text()
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(root.parent / "nothing")}
    r = venvfs("upgrade", root / "e", "--python", pythons["3.12"], "--ask", "pip", check=False, env=offline)
    assert r.returncode == 1
    assert "plat 1.0" in r.stderr and "more 1.0" in r.stderr and "pure" not in r.stderr
    assert f"{root}/e stays as it was" in r.stderr
    after = (root / "e/pyvenv.cfg").read_text()
    assert [x for x in after.splitlines() if "lock" not in x] == [x for x in before.splitlines() if "lock" not in x]
    assert run(root / "e/bin/python", "-c", LOOK) == f"3.11 1 3.11 {root}/e"


def test_private_files_stay_and_are_told(venvfs, mounts, root, pythons, two, small_wheels):
    mounts(root)
    with_wheels(venvfs, root, pythons, small_wheels, two)
    own = root / "e/lib/python3.11/site-packages/own.py"
    own.write_text("mine\n")
    (root / "e/notes.txt").write_text("mine too\n")
    r = venvfs("upgrade", root / "e", "--python", pythons["3.12"], "--no-compile")
    assert f"{root}/e/lib/python3.11 has private files" in r.stderr
    assert own.read_text() == "mine\n" and (root / "e/notes.txt").read_text() == "mine too\n"
    assert run(root / "e/bin/python", "-c", LOOK) == f"3.12 1 3.12 {root}/e"


def test_keys_of_other_tools_follow(venvfs, root, pythons, two):
    old, new = (pythons[v] for v in two)
    version = run(new, "-c", "import platform; print(platform.python_version())")
    venvfs("create", root / "v", "--python", old, "--without-pip")
    text = """home = {bin}
implementation = CPython
version_info = {version}.final.0
virtualenv = 20.26.1
# a remark
include-system-site-packages = false
base-prefix = {prefix}
base-exec-prefix = {prefix}
base-executable = {real}
prompt = mine
venvfs-lock = none
"""
    cfg = root / "v/pyvenv.cfg"
    cfg.write_text(text.format(bin=old.parent, version="3.11.1", prefix=old.parents[1], real=old))
    venvfs("upgrade", root / "v", "--python", new)
    want = text.format(bin=new.parent, version=version, prefix=new.parents[1], real=new.resolve())
    added = f"executable = {new.resolve()}\ncommand = {new} -m venv {root}/v\n"
    assert sorted(cfg.read_text().splitlines()) == sorted((want + added).splitlines())
    assert cfg.read_text().startswith(want.partition("venvfs-lock")[0])


def test_a_python_of_its_own_is_told(venvfs, mounts, root, pythons, two):
    mounts(root)
    venvfs("create", root / "e", "--python", pythons["3.11"])
    link = root / "e/bin/python"
    link.unlink()
    link.symlink_to("/usr/bin/env")
    r = venvfs("upgrade", root / "e", "--python", pythons["3.12"], "--no-compile")
    assert f"venvfs reset {root}/e bin/python" in r.stderr and os.readlink(link) == "/usr/bin/env"
    venvfs("reset", root / "e", "bin/python")
    assert run(link, "-c", "import sys; print('%d.%d' % sys.version_info[:2])") == "3.12"


def test_an_ordinary_environment_has_no_lock(venvfs, root, debian_python):
    subprocess.run([debian_python, "-m", "venv", "--without-pip", root / "plain"], check=True)
    r = venvfs("upgrade", root / "plain", check=False)
    assert r.returncode == 1 and "venvfs adopt" in r.stderr


def test_a_lock_that_is_gone(venvfs, root, debian_python):
    """Nothing tells what would have to be moved."""
    venvfs("create", root / "e", "--python", debian_python, "--without-pip")
    cfg = root / "e/pyvenv.cfg"
    text = cfg.read_text().replace("venvfs-lock = none", f"venvfs-lock = sha256:{'0' * 64}")
    cfg.write_text(text)
    r = venvfs("upgrade", root / "e", check=False)
    assert r.returncode == 1 and "its lock is not in the store" in r.stderr and cfg.read_text() == text
    r = venvfs("upgrade", root / "nowhere", check=False)
    assert r.returncode == 1 and "nowhere" in r.stderr


# the base


def test_base_gone(venvfs, mounts, root, base, pythons):
    path, version = base
    mounts(root)
    venvfs("create", root / "e", "--python", path)
    assert venvfs.json("show", root / "e")["state"] == "ok"
    path.rename(path.parent / "moved")
    shown = venvfs.json("show", root / "e", check=False)
    assert shown["state"] == "broken" and f"its base Python is gone: {path}" in shown["fault"]
    assert f"venvfs upgrade {root}/e" in shown["fault"]
    (row,) = venvfs.json("ls", root)["environments"]
    assert row["state"] == "broken" and row["fault"] == shown["fault"]
    (root.parent / "pins").write_text("")
    for command in (["sync", root / "e", root.parent / "pins"], ["add", root / "e", "pure"]):
        r = venvfs(*command, check=False)
        assert r.returncode == 1 and f"its base Python is gone: {path}" in r.stderr
        assert f"venvfs upgrade {root}/e" in r.stderr
    # its own minor version is wherever the finder has it
    r = venvfs("upgrade", root / "e", "--no-compile")
    assert venvfs.json("show", root / "e")["state"] == "ok", r.stderr
    assert run(root / "e/bin/python", "-c", "import sys, pip; print('%d.%d' % sys.version_info[:2])") == version


def test_base_upgraded_in_its_place(venvfs, root, base):
    """Another patch version is only noted; another minor version is a fault. Both by what a program in the base's
    place says."""
    path, version = base
    venvfs("create", root / "e", "--python", path)
    minor = int(version.split(".")[1])

    def replace(now):
        path.unlink()
        lib = f"python{now.rpartition('.')[0]}"
        path.write_text(
            f"#!/bin/sh\n/bin/cat <<'E'\nvenvfs-python 1\nexecutable {path}\nbase-prefix {path.parents[1]}\n"
            f"version {now}\nimplementation cpython\nlib lib/{lib}\nstdlib {path.parents[1]}/lib/{lib}\n"
            "tag py3-none-any\nend python\nE\n"
        )
        path.chmod(0o755)

    replace(f"{version}.99")
    shown = venvfs.json("show", root / "e")
    assert shown["state"] == "ok" and f"to {version}.99" in shown["note"]
    venvfs("upgrade", root / "e", "--no-compile")
    shown = venvfs.json("show", root / "e")
    assert shown["note"] is None and shown["python"] == f"{version}.99"
    replace(f"3.{minor + 1}.0")
    shown = venvfs.json("show", root / "e", check=False)
    assert shown["state"] == "broken" and f"is 3.{minor + 1} now" in shown["fault"]

