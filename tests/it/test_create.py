# SPDX-License-Identifier: MIT
"""What `python -m venv` does, done by `venvfs create`: every option, over what is there already, and at
paths outside of the root. Each is compared with the module of the same Python where that tells more."""

import os
import shutil
import subprocess

import pytest

from twins import assert_same, tree

LOCK = "venvfs-lock = "


@pytest.fixture(autouse=True)
def here(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)


@pytest.fixture
def venvfs(venvfs, root):
    (venvfs.config / "venvfs").mkdir()
    (venvfs.config / "venvfs" / "venvfs.conf").write_text("[store]\ncompile = no\n")
    venvfs.env["VENVFS_ROOT"] = str(root)
    return venvfs


@pytest.fixture(params=["mounted", "not mounted"])
def place(request, root, mounts):
    """The root, in both states."""
    if request.param == "mounted":
        mounts(root)
    return root


def is_mounted(place):
    return os.path.ismount(place)


def cfg(env):
    """Without our line."""
    lines = (env / "pyvenv.cfg").read_text().splitlines(keepends=True)
    assert [line[: len(LOCK)] for line in lines].count(LOCK) == 1 and lines[-1].startswith(LOCK)
    return "".join(lines[:-1])


def lock_of(env):
    return (env / "pyvenv.cfg").read_text().rpartition(LOCK)[2].strip()


def has(venvfs, env):
    return {d["name"]: d["version"] for d in venvfs.json("show", env)["distributions"]}


def on_disk(env):
    return sorted(str(p.relative_to(env)) for p in env.rglob("*"))


def venv(python, *argv, env, check=True):
    return subprocess.run([python, "-m", "venv", *argv], check=check, env=env, stderr=subprocess.PIPE, text=True)


# options

OPTIONS = {
    "copies": ("--copies",),
    "symlinks": ("--symlinks",),
    "upgrade": ("--upgrade",),
    "clear": ("--clear",),
    "all": ("--copies", "--clear", "--system-site-packages", "--prompt", "a b"),
    "ignore": ("--without-scm-ignore-files",),
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_pyvenv_cfg_is_what_venv_writes(venvfs, python, root, options):
    if "--without-scm-ignore-files" in options and not python.name.endswith("3.13"):
        # that module refuses it; there is nothing to leave out
        venvfs("create", "x", "--without-pip", "--python", python, *options)
        assert "scm" not in cfg(root / "x") and on_disk(root / "x") == ["pyvenv.cfg"]
        return
    for _ in range(2):  # new, and again
        venvfs("create", "x", "--without-pip", "--python", python, *options)
    ours = cfg(root / "x")
    shutil.rmtree(root / "x")
    venv(python, "--without-pip", *options, root / "x", env=venvfs.env)
    assert ours == (root / "x" / "pyvenv.cfg").read_text()


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--copies",),
        ("--without-scm-ignore-files",),
        ("--clear", "--copies"),
        ("--clear", "--without-scm-ignore-files"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("version", ["3.8", "3.11", "3.13"])
def test_tree_is_what_venv_makes(venvfs, mounts, root, tmp_path, pythons, version, options):
    if version not in pythons:
        pytest.skip(f"no CPython {version}")
    if "--without-scm-ignore-files" in options and version != "3.13":
        pytest.skip("3.13 brings it")
    python, env, real = pythons[version], root / "x", tmp_path / "real"
    venv(python, "--without-pip", *options, env, env=venvfs.env)
    env.rename(real)
    mount = mounts(root)
    if "--clear" in options:
        venvfs("create", "x", "--python", python)
        (env / "notes").write_text("mine")
        (env / "bin" / "activate").unlink()
    venvfs("create", "x", "--without-pip", "--python", python, *options)
    theirs, ours = tree(real), tree(env)
    ours["pyvenv.cfg"] = (ours["pyvenv.cfg"][0], cfg(env).encode())
    assert_same(ours, theirs)
    mount.remount()
    again = tree(env)
    again["pyvenv.cfg"] = ours["pyvenv.cfg"]
    assert_same(again, theirs)


@pytest.mark.parametrize(
    "argv, code",
    [
        (["--upgrade", "--clear", "x"], 1),
        (["--symlinks", "--copies", "x"], 2),
        (["--no-such-option", "x"], 2),
        (["--prompt"], 2),
        ([], 2),
        (["a:b"], 1),
        (["file"], 1),
    ],
    ids=str,
)
def test_exit_codes_are_those_of_venv(venvfs, debian_python, root, tmp_path, argv, code):
    (tmp_path / "file").write_text("")
    assert venv(debian_python, *argv, env=venvfs.env, check=False).returncode == code
    shutil.rmtree(tmp_path / "x", ignore_errors=True)
    (root / "file").write_text("")
    r = venvfs("create", *argv, check=False)
    assert r.returncode == code and r.stderr.startswith("venvfs: ")
    assert on_disk(root) == ["file"]


@pytest.mark.parametrize("options", [("--seed", "wheel"), ("--upgrade-deps",)])
def test_contradictions(venvfs, root, options):
    r = venvfs("create", "x", "--without-pip", *options, check=False)
    assert r.returncode == 2 and "exclude each other" in r.stderr and on_disk(root) == []


def test_names_and_paths_at_once(venvfs, debian_python, root, tmp_path):
    venvfs("create", "--without-pip", "a", root / "deep/b", "envs/c", "./envs/../envs/d", "--python", debian_python)
    for name in ("a", "deep/b", "c", "d"):
        assert cfg(root / name).endswith(f" -m venv --without-pip {root / name}\n")
    # One that can not be does not keep the others from it.
    (root / "plain").mkdir()
    (root / "plain" / "notes").write_text("mine")
    r = venvfs("create", "--without-pip", "plain", "e", check=False)
    assert r.returncode == 1 and str(root / "plain") in r.stderr
    assert (root / "e" / "pyvenv.cfg").is_file() and on_disk(root / "plain") == ["notes"]


def test_a_base_that_can_not_be_had_is_told_once(venvfs, root):
    r = venvfs("create", "a", "b", "c", "--python", "no-such-python", check=False)
    assert r.returncode == 1 and r.stderr.count("no-such-python") == 1 and on_disk(root) == []


def test_an_empty_directory_is_as_good_as_none(venvfs, debian_python, place):
    (place / "x").mkdir()
    venvfs("create", "x", "--without-pip", "--python", debian_python)
    assert (place / "x" / "pyvenv.cfg").is_file()


# --copies


@pytest.fixture
def base(tmp_path, debian_python):
    """A base Python that can be upgraded: call it with bytes to put at the binary's end."""
    real = os.path.realpath(debian_python)
    home = tmp_path / "base"
    (home / "bin").mkdir(parents=True)
    (home / "lib").mkdir()
    name = os.path.basename(real)
    (home / "lib" / name).symlink_to(f"/usr/lib/{name}")
    binary = home / "bin" / "python3"

    def upgrade(tail):
        with open(real, "rb") as f:
            new = f.read() + tail
        (home / "new").write_bytes(new)
        (home / "new").chmod(0o755)
        os.replace(home / "new", binary)
        return new

    upgrade.path = binary
    upgrade.names = ("python", "python3", name)
    return upgrade


def test_copies_stay_until_upgrade(venvfs, place, base):
    old = base(b"old")
    venvfs("create", "x", "--copies", "--without-pip", "--python", base.path)
    x = place / "x"
    assert "--copies" in cfg(x)

    def copies(content):
        for name in base.names:
            path = x / "bin" / name
            st = path.lstat()
            assert not path.is_symlink() and st.st_mode & 0o7777 == 0o755 and st.st_nlink == 1, name
            assert path.read_bytes() == content, name

    copies(old)
    code = "import sys; print(sys.prefix)"
    if is_mounted(place):
        assert subprocess.check_output([x / "bin/python", "-c", code], text=True).strip() == str(x)
    new = base(b"the new one")
    copies(old)
    venvfs("harvest", "x")
    copies(old)
    venvfs("create", "x", "--upgrade", "--without-pip")  # as venv: what is a file stays one
    copies(new)
    assert "--copies" not in cfg(x) and "--upgrade" in cfg(x)
    if is_mounted(place):
        assert subprocess.check_output([x / "bin/python", "-c", code], text=True).strip() == str(x)
    third = base(b"3")
    venvfs("create", "x", "--upgrade", "--copies", "--without-pip", "--python", base.path)
    copies(third)
    assert sorted(p.name for p in (x / "bin").iterdir() if p.name.startswith(".")) == []


def test_copies_of_a_linked_one_and_back(venvfs, place, base):
    content = base(b"")
    venvfs("create", "x", "--without-pip", "--python", base.path)
    venvfs("create", "x", "--without-pip", "--copies")
    for name in base.names:
        assert (place / "x/bin" / name).read_bytes() == content and not (place / "x/bin" / name).is_symlink()
    venvfs("create", "x", "--without-pip", "--symlinks")
    if is_mounted(place):
        assert os.readlink(place / "x/bin/python3") == str(base.path)
    else:
        assert on_disk(place / "x") == ["bin", "pyvenv.cfg"]
    venvfs("create", "x", "--without-pip", "--copies")
    venvfs("create", "x", "--without-pip", "--clear")
    assert "--clear" in cfg(place / "x")
    if is_mounted(place):
        assert os.readlink(place / "x/bin/python3") == str(base.path)
    else:
        assert on_disk(place / "x") == ["pyvenv.cfg"]


def test_a_base_that_can_not_be_copied_leaves_nothing(venvfs, root, base):
    base(b"")
    venvfs("create", "y", "--without-pip", "--python", base.path)
    small = ["sh", "-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh"]
    for name in ("x", "work/.venv"):
        r = venvfs("create", f"./{name}" if "/" in name else name, "--copies", "--without-pip", "--python", base.path,
                   wrap=small, check=False)  # fmt: skip
        assert r.returncode == 1 and str(base.path) in r.stderr and "can not copy" in r.stderr
        assert on_disk(root) == ["y", "y/pyvenv.cfg"]
    assert not os.path.lexists(root.parent / "work/.venv")
    r = venvfs("create", "y", "--copies", "--without-pip", wrap=small, check=False)
    assert r.returncode == 1 and "can not copy" in r.stderr
    assert not list((root / "y/bin").iterdir())


# again


def test_again_keeps_what_is_there(venvfs, place, debian_python, small_wheels):
    venvfs("store", "add", small_wheels("demo", files={"demo.py": "x = 1\n"}))
    venvfs("create", "x", "--python", debian_python)
    x = place / "x"
    both = has(venvfs, "x")
    (place.parent / "pins").write_text("demo==1.0\n")
    venvfs("sync", "x", place.parent / "pins")
    lock = lock_of(x)
    site = x / "lib/python3.11/site-packages"
    site.mkdir(parents=True, exist_ok=True)
    (site / "mine.py").write_text("y = 2\n")
    (x / "notes").write_text("mine")
    venvfs("create", "x", "--prompt", "p", "--system-site-packages")
    assert lock_of(x) == lock and has(venvfs, "x") == {**both, "demo": "1.0"}
    assert (site / "mine.py").read_text() == "y = 2\n" and (x / "notes").read_text() == "mine"
    assert "prompt = 'p'\n" in cfg(x) and "include-system-site-packages = true\n" in cfg(x)
    if is_mounted(place):
        assert (site / "demo.py").read_text() == "x = 1\n"
    else:
        files = [p.name for p in x.rglob("*") if p.is_file() and ".venvfs" not in p.parts]
        assert sorted(files) == ["mine.py", "notes", "pyvenv.cfg"]
    # The option that is not given again is gone, as with venv.
    venvfs("create", "x", "--without-pip")
    assert "prompt" not in cfg(x) and "include-system-site-packages = false\n" in cfg(x)


def test_again_brings_pip_where_it_is_missing(venvfs, place, debian_python):
    venvfs("create", "x", "--without-pip", "--python", debian_python)
    venvfs("create", "x", "--without-pip")
    assert has(venvfs, "x") == {}
    venvfs("create", "x")
    assert "pip" in has(venvfs, "x")


def test_again_after_pip_was_uninstalled(venvfs, mount, debian_python):
    venvfs("create", "x", "--python", debian_python)
    x = mount.path / "x"
    subprocess.run([x / "bin/python", "-m", "pip", "uninstall", "-qy", "pip"], check=True, env=venvfs.env)
    assert subprocess.run([x / "bin/python", "-m", "pip"], stderr=subprocess.DEVNULL).returncode
    venvfs("create", "x")
    subprocess.run([x / "bin/python", "-m", "pip", "--version"], check=True, stdout=subprocess.DEVNULL)
    assert (x / "bin/pip").exists()


def test_again_leaves_a_newer_pip(venvfs, place, debian_python, small_wheels):
    """As ensurepip --upgrade: an older one is replaced, a newer one stays."""
    for version in ("99.0", "0.1"):
        venvfs("store", "add", small_wheels("pip", version, files={"pip/__init__.py": ""}))
        (place.parent / "pins").write_text(f"pip=={version}\n")
        venvfs("create", "x", "--clear", "--python", debian_python)
        bundled = has(venvfs, "x")["pip"]
        venvfs("sync", "x", place.parent / "pins")
        venvfs("create", "x", "--upgrade")
        assert has(venvfs, "x")["pip"] == ("99.0" if version == "99.0" else bundled)


def test_again_writes_the_scripts_anew(venvfs, place, pythons, root):
    if "3.13" not in pythons:
        pytest.skip("no CPython 3.13")
    venvfs("create", "x", "--without-pip", "--python", pythons["3.13"])
    x = place / "x"
    (x / "bin").mkdir(exist_ok=True)
    for name in ("activate", "activate.fish", "own"):
        (x / "bin" / name).write_text("changed\n")
    (x / ".gitignore").write_text("changed\n")
    venvfs("create", "x", "--without-pip", "--upgrade")  # leaves the scripts
    assert (x / "bin/activate").read_text() == "changed\n"
    (x / ".gitignore").write_text("changed\n")
    if is_mounted(place):
        (x / "bin/python3").unlink()
        (x / "lib64").unlink()
    venvfs("create", "x", "--without-pip", "--without-scm-ignore-files")
    assert (x / ".gitignore").read_text() == "changed\n"
    venvfs("create", "x", "--without-pip")
    assert (x / "bin/own").read_text() == "changed\n"
    if is_mounted(place):
        assert "VIRTUAL_ENV" in (x / "bin/activate").read_text()
        assert "VIRTUAL_ENV" in (x / "bin/activate.fish").read_text()
        assert (x / ".gitignore").read_text().endswith("\n*\n")
        assert os.readlink(x / "bin/python3") == "python3.13" and os.readlink(x / "lib64") == "lib"
    else:
        assert on_disk(x) == ["bin", "bin/own", "pyvenv.cfg"]


def test_another_python_over_packages(venvfs, place, pythons, debian_python):
    if "3.13" not in pythons:
        pytest.skip("no CPython 3.13")
    venvfs("create", "x", "--python", debian_python)
    before = (place / "x/pyvenv.cfg").read_bytes()
    r = venvfs("create", "x", "--python", pythons["3.13"], check=False)
    assert r.returncode == 1 and "venvfs upgrade" in r.stderr and "--clear" in r.stderr
    assert (place / "x/pyvenv.cfg").read_bytes() == before
    # An environment keeps its own Python where none is asked for.
    venvfs("create", "x", env={"PATH": f"{pythons['3.13'].parent}:{os.environ['PATH']}"})
    assert "version = 3.11." in cfg(place / "x")
    venvfs("create", "x", "--clear", "--python", pythons["3.13"])
    assert "version = 3.13." in cfg(place / "x")
    assert set(has(venvfs, "x")) == {"pip"}


def test_again_with_a_base_that_is_gone(venvfs, place, base):
    base(b"")
    venvfs("create", "x", "--without-pip", "--python", base.path)
    base.path.unlink()
    before = (place / "x/pyvenv.cfg").read_bytes()
    r = venvfs("create", "x", check=False)
    assert r.returncode == 1 and str(place / "x") in r.stderr and "venvfs upgrade" in r.stderr
    assert (place / "x/pyvenv.cfg").read_bytes() == before


def test_again_with_a_lock_that_nobody_has(venvfs, place, store, debian_python):
    venvfs("create", "x", "--without-pip", "--python", debian_python)
    text = cfg(place / "x") + f"{LOCK}sha256:{'0' * 64}\n"
    (place / "x/pyvenv.cfg").write_text(text)
    r = venvfs("create", "x", check=False)
    assert r.returncode == 1 and str(place / "x") in r.stderr and "--clear" in r.stderr
    assert (place / "x/pyvenv.cfg").read_text() == text
    venvfs("create", "x", "--clear")
    assert "pip" in has(venvfs, "x")


# --clear


def fill(venvfs, place, python, small_wheels):
    """An environment with a distribution, files of its own, and something deleted."""
    venvfs("store", "add", small_wheels("demo", files={"demo.py": "x = 1\n", "gone.py": ""}))
    (place.parent / "pins").write_text("demo==1.0\n")
    venvfs("create", "x", "--python", python)
    venvfs("sync", "x", place.parent / "pins")
    x = place / "x"
    site = x / "lib/python3.11/site-packages"
    site.mkdir(parents=True, exist_ok=True)
    (site / "mine.py").write_text("")
    (x / "notes").write_text("")
    (x / "dir" / "deep").mkdir(parents=True)
    (x / "dir" / "deep" / "link").symlink_to("/nowhere")
    if is_mounted(place):
        (site / "gone.py").unlink()
    return x


def test_clear(venvfs, place, debian_python, small_wheels):
    x = fill(venvfs, place, debian_python, small_wheels)
    lock = lock_of(x)
    venvfs("create", "x", "--clear", "--python", debian_python)
    assert set(has(venvfs, "x")) == {"pip", "setuptools"} and "--clear" in cfg(x)
    if is_mounted(place):
        assert sorted(p.name for p in x.iterdir()) == ["bin", "include", "lib", "lib64", "pyvenv.cfg"]
        assert not (x / "lib/python3.11/site-packages/mine.py").exists()
    else:
        assert [n for n in on_disk(x) if not n.startswith(".venvfs")] == ["pyvenv.cfg"]
    # Packages can be had back.
    venvfs("undo", "x")
    assert lock_of(x) == lock
    if is_mounted(place):
        assert (x / "lib/python3.11/site-packages/gone.py").exists()
    venvfs("create", "x", "--clear", "--without-pip")
    assert lock_of(x) == "none" and has(venvfs, "x") == {}


def test_clear_ends_what_was_killed(venvfs, place, debian_python, small_wheels, sanitized):
    """Killed behind any call that changes something, the environment is the old or the new one, and the
    same command ends it."""
    if sanitized or not shutil.which("strace"):
        pytest.skip("needs strace, without a sanitizer")
    argv = ["create", "x", "--clear", "--without-pip"]
    calls = "renameat,renameat2,rename,unlinkat,setxattr,fsync"
    for n in range(1, 30):
        venvfs("create", "x", "--clear", "--without-pip", "--python", debian_python)
        x = fill(venvfs, place, debian_python, small_wheels)
        old = (x / "pyvenv.cfg").read_text()
        r = subprocess.run(
            ["strace", "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={n}",
             venvfs.binary, *argv],
            env=venvfs.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        now = (x / "pyvenv.cfg").read_text()
        assert now == old or lock_of(x) == "none"
        assert venvfs.json("show", "x")["state"] == "ok"
        if now == old:
            assert (x / "notes").exists()
        venvfs(*argv)
        assert not (x / "notes").exists() and not (x / "dir").exists() and has(venvfs, "x") == {}
        if r.returncode == 0:
            break
    assert r.returncode == 0 and n > 2


# what is there and is none of ours


def test_an_ordinary_environment_in_the_root(venvfs, root, mounts, debian_python):
    for mounted in (False, True):
        name = f"old{mounted:d}"
        x = root / name
        venv(debian_python, "--without-pip", x, env=venvfs.env)
        (x / "notes").write_text("mine")
        if mounted:
            mounts(root)
        before = tree(x)
        r = venvfs("create", name, "--without-pip", check=False)
        assert r.returncode == 1 and "--clear" in r.stderr and "venvfs adopt" in r.stderr and str(x) in r.stderr
        assert_same(tree(x), before)
        r = venvfs("create", name, "--clear", "--python", "no-such-python", check=False)
        assert r.returncode == 1
        assert_same(tree(x), before)
        venvfs("create", name, "--clear", "--without-pip", "--python", debian_python)
        assert lock_of(x) == "none" and not (x / "notes").exists()
        if mounted:
            out = subprocess.check_output([x / "bin/python", "-c", "import sys; print(sys.prefix)"], text=True)
            assert out == f"{x}\n"
        else:
            assert on_disk(x) == ["pyvenv.cfg"]


# what it begins with


@pytest.mark.parametrize(
    "options, wanted",
    [
        (["--seed", "setuptools"], ["setuptools"]),
        (["--seed", "setuptools", "--seed", "pip"], ["pip", "setuptools"]),
        (["--seed", "pip,setuptools"], ["pip", "setuptools"]),
        (["--seed", " SetupTools  pip "], ["pip", "setuptools"]),
        (["--seed", "pip"], ["pip"]),
    ],
    ids=str,
)
def test_seeds_of_the_base(venvfs, root, debian_python, options, wanted):
    """Its own wheels: no index is asked."""
    venvfs("create", "x", "--python", debian_python, *options, env={"PIP_INDEX_URL": "http://127.0.0.1:9/"})
    assert sorted(has(venvfs, "x")) == wanted
    assert ("--without-pip" in cfg(root / "x")) == ("pip" not in wanted)


@pytest.mark.parametrize("name", ["--index-url=http://127.0.0.1:9/", "./here", "/etc/passwd", "http://127.0.0.1/x.whl"])
def test_seeds_that_are_no_names(venvfs, root, debian_python, name):
    r = venvfs("create", "x", "--python", debian_python, f"--seed={name}", check=False)
    assert r.returncode == 1 and name in r.stderr and "no distribution's name" in r.stderr
    assert on_disk(root) == []
