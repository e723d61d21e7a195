# SPDX-License-Identifier: MIT
"""`venvfs undo`: the locks that an environment had, back and forth, mounted and not."""

import shutil
import subprocess
import sys

import pytest

import wheelmaker


@pytest.fixture(params=["mounted", "unmounted"])
def place(request, root):
    return request.getfixturevalue("mount").path if request.param == "mounted" else root


@pytest.fixture(autouse=True)
def stock(venvfs, tmp_path):
    (venvfs.config / "venvfs").mkdir()
    (venvfs.config / "venvfs/venvfs.conf").write_text("[store]\ncompile = no\n")
    (tmp_path / "w").mkdir()
    venvfs("store", "add", *[wheelmaker.make(tmp_path / "w", name, version, files={f"{name}.py": f"v = '{version}'\n"})
                             for name in ("one", "two") for version in ("1.0", "2.0")])


@pytest.fixture
def env(venvfs, place, debian_python):
    venvfs.env["VENVFS_ROOT"] = str(place)
    venvfs("create", "e", "--without-pip", "--python", debian_python)
    return place / "e"


@pytest.fixture
def sync(venvfs, env, tmp_path):
    def run(*pins):
        (tmp_path / "pins.txt").write_text("".join(f"{p}\n" for p in pins))
        venvfs("sync", "e", tmp_path / "pins.txt")

    return run


@pytest.fixture
def has(venvfs, env):
    """What is installed, as `show` tells."""
    return lambda: [f"{d['name']}=={d['version']}" for d in venvfs.json("show", "e")["distributions"]]


def steps(venvfs):
    """[(undos to it, distributions)], the newest first."""
    return [(x["steps"], x["distributions"] and [f"{d['name']}=={d['version']}" for d in x["distributions"]])
            for x in venvfs.json("undo", "e", "--list")]


def test_one_further_back_each_time(venvfs, env, sync, has):
    sync("one==1.0")
    sync("one==1.0", "two==1.0")
    sync("one==2.0")
    text = venvfs("undo", "e").stdout
    assert text == (" ~ one 2.0 -> 1.0\n + two 1.0\n"
                    f"{env}: 2 distributions, 1 added, 0 removed, 1 changed\n")
    assert has() == ["one==1.0", "two==1.0"]
    venvfs("undo", "e")
    assert has() == ["one==1.0"]
    venvfs("undo", "e")
    assert has() == []
    r = venvfs("undo", "e", check=False)
    assert r.returncode == 1 and f"{env}: it never had another lock" in r.stderr
    assert has() == []


def test_undo_of_an_undo(venvfs, env, sync, has):
    sync("one==1.0")
    sync("two==1.0")
    venvfs("undo", "e")
    venvfs("undo", "e")
    assert steps(venvfs) == [(-2, ["two==1.0"]), (-1, ["one==1.0"]), (0, [])]
    venvfs("undo", "e", "--redo")
    assert has() == ["one==1.0"]
    venvfs("undo", "e", "--redo")
    assert has() == ["two==1.0"]
    r = venvfs("undo", "e", "--redo", check=False)
    assert r.returncode == 1 and "nothing was undone" in r.stderr
    assert steps(venvfs) == [(0, ["two==1.0"]), (1, ["one==1.0"]), (2, [])]
    venvfs("undo", "e")
    assert has() == ["one==1.0"]


def test_a_sync_begins_a_new_line(venvfs, env, sync, has):
    sync("one==1.0")
    sync("one==2.0")
    venvfs("undo", "e")
    sync("two==1.0")
    assert venvfs("undo", "e", "--redo", check=False).returncode == 1
    assert steps(venvfs) == [(0, ["two==1.0"]), (1, ["one==1.0"]), (2, [])]
    venvfs("undo", "e")
    assert has() == ["one==1.0"]


def test_list(venvfs, env, sync):
    sync("one==1.0")
    sync("one==2.0", "two==1.0")
    lines = venvfs("undo", "e", "--list").stdout.splitlines()
    assert lines[0].startswith("* now  sha256:") and lines[0].endswith("  2 distributions")
    assert lines[1:3] == [" ~ one 1.0 -> 2.0", " + two 1.0"]
    assert lines[3].startswith("  until 2") and lines[3].endswith("  1 distribution")
    assert lines[4] == " + one 1.0"
    assert lines[5] == "  at first  none  0 distributions"
    assert len(lines) == 6


def test_killed_between_the_two_writes(venvfs, env, sync, has, request):
    """An announcement that nothing followed means nothing."""
    sync("one==1.0")
    sync("two==1.0")
    upper = request.getfixturevalue("mount").upper / "e" if "mount" in request.fixturenames else env
    with (upper / ".venvfs/generations").open("a") as f:
        f.write("1700000000 undo none\n")
    assert steps(venvfs) == [(0, ["two==1.0"]), (1, ["one==1.0"]), (2, [])]
    sync("one==2.0")
    assert steps(venvfs) == [(0, ["one==2.0"]), (1, ["two==1.0"]), (2, ["one==1.0"]), (3, [])]
    with (upper / ".venvfs/generations").open("a") as f:
        f.write("1700000000 sha2")  # torn
    assert steps(venvfs)[0] == (0, ["one==2.0"])


def test_a_person_edits(venvfs, env, sync, has):
    """Whoever changes the lock, in whatever way, makes a generation."""
    sync("one==1.0")
    if not (env / "bin").exists():
        pytest.skip("nobody sees an edit of a root that is not mounted")
    text = (env / "pyvenv.cfg").read_text()
    (env / "pyvenv.cfg").write_text("".join("venvfs-lock = none\n" if x.startswith("venvfs-lock") else x
                                            for x in text.splitlines(True)))
    assert has() == []
    venvfs("undo", "e")
    assert has() == ["one==1.0"]


def test_what_the_store_has_no_more(venvfs, env, sync, has):
    sync("one==1.0")
    sync("two==1.0")
    gone = venvfs.store / "dists/one/1.0"
    gone.rename(venvfs.tmp / "kept")
    r = venvfs("undo", "e", check=False)
    assert r.returncode == 1 and "one 1.0 of it no more" in r.stderr and "sha256:" in r.stderr
    assert has() == ["two==1.0"] and steps(venvfs)[0] == (0, ["two==1.0"])
    (venvfs.tmp / "kept").rename(gone)
    [lock] = [x["lock"] for x in venvfs.json("undo", "e", "--list") if x["steps"] == 1]
    [file] = [p for p in (venvfs.store / "locks").rglob("*") if p.is_file() and lock[9:] in str(p)]
    file.unlink()
    r = venvfs("undo", "e", check=False)
    assert r.returncode == 1 and lock in r.stderr
    assert "not in the store any more" in venvfs("undo", "e", "--list").stdout
    assert has() == ["two==1.0"]


def test_private_files_stay_and_a_note_says_so(venvfs, env, sync, has, debian_python):
    sync("one==1.0")
    sync("two==1.0")
    site = env / f"lib/python{version(debian_python)}/site-packages"
    (site / "one-9.dist-info").mkdir(parents=True)
    (site / "one-9.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: one\nVersion: 9\n")
    (site / "mine.py").write_text("x")
    r = venvfs("undo", "e")
    assert "one is installed in" in r.stderr and (site / "mine.py").read_text() == "x"
    assert has() == ["one==1.0"]


def version(python):
    return subprocess.run([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def test_a_process_inside(venvfs, mount, debian_python, tmp_path):
    venvfs.env["VENVFS_ROOT"] = str(mount.path)
    venvfs("create", "e", "--without-pip", "--python", debian_python)
    for pin in ("one==1.0", "one==2.0"):
        (tmp_path / "pins.txt").write_text(pin)
        venvfs("sync", "e", tmp_path / "pins.txt")
    [site] = (mount.path / "e").glob("lib/python3*/site-packages")
    code = ("import os, sys\nf = open('one.py')\nfor line in sys.stdin:\n"
            " print(os.getcwd(), f.seek(0) or f.read().strip(), open('one.py').read().strip(), sep='|', flush=True)\n")
    with subprocess.Popen([sys.executable, "-c", code], cwd=site, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as p:
        def ask():
            p.stdin.write("\n")
            p.stdin.flush()
            return p.stdout.readline().strip().split("|")

        assert ask() == [str(site), "v = '2.0'", "v = '2.0'"]
        venvfs("undo", "e")
        assert ask() == [str(site), "v = '2.0'", "v = '1.0'"]
        p.stdin.close()
        assert p.wait() == 0


def test_refusals(venvfs, root):
    (root / "plain/bin").mkdir(parents=True)
    (root / "plain/pyvenv.cfg").write_text("home = /usr/bin\n")
    r = venvfs("undo", root / "plain", "--root", root, check=False)
    assert r.returncode == 1 and "ordinary environment" in r.stderr
    for wrong in ([], ["--json", "x"], ["--list", "--redo", "x"], ["--frob", "x"]):
        assert venvfs("undo", *wrong, check=False).returncode == 2


def test_as_another_user(other_user, stock, tmp_path):
    envs = other_user.home / "envs"
    other_user.venvfs("create", "--without-pip", "--python", "/usr/bin/python3", "e", "--root", envs)
    wheel = other_user.tmp / "w"
    wheel.mkdir()
    shutil.copy(tmp_path / "w/one-1.0-py3-none-any.whl", wheel)
    wheel.chmod(0o755)
    other_user.venvfs("store", "add", "--no-compile", wheel / "one-1.0-py3-none-any.whl")
    (other_user.tmp / "pins.txt").write_text("one==1.0\n")
    other_user.venvfs("sync", "--no-compile", "e", other_user.tmp / "pins.txt", "--root", envs)
    assert " - one 1.0" in other_user.venvfs("undo", "e", "--root", envs).stdout
    assert " + one 1.0" in other_user.venvfs("undo", "e", "--redo", "--root", envs).stdout


def test_what_was_just_installed_can_be_undone(venvfs, mount, debian_python, tools, tmp_path):
    """It is harvested first; a clone has it as a distribution too."""
    (venvfs.config / "venvfs").mkdir(exist_ok=True)
    (venvfs.config / "venvfs/venvfs.conf").write_text("[store]\ncompile = no\n")
    x = mount.path / "new"
    venvfs("create", x, "--without-pip", "--python", debian_python)
    wheelmaker.make(tmp_path, "fresh", files={"fresh.py": ""})
    subprocess.run([tools / "python", "-m", "pip", "-q", "--python", x / "bin/python", "install", "--no-compile", "--no-index",
                    "--find-links", tmp_path, "fresh"], check=True)
    venvfs("clone", x, mount.path / "copy")
    names = [d["name"] for d in venvfs.json("show", mount.path / "copy")["distributions"]]
    assert names == ["fresh"] and [p.name for p in (mount.upper / "copy").iterdir()] == ["pyvenv.cfg"]
    venvfs("undo", x)
    assert not list(x.glob("lib/python3*/site-packages/fresh*"))
    venvfs("undo", x, "--redo")
    assert list(x.glob("lib/python3*/site-packages/fresh.py"))
