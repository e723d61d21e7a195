# SPDX-License-Identifier: MIT
"""create, ls, show, clone and rm, on a root that is not mounted (the same files as below a mount)."""

import os
import shutil
import subprocess
import time

import pytest

LOCK = "venvfs-lock = "


@pytest.fixture(autouse=True)
def here(root, tmp_path, monkeypatch):
    """Bare names mean the test's own root."""
    monkeypatch.setenv("VENVFS_ROOT", str(root))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def venvfs(venvfs, root):
    venvfs.env["VENVFS_ROOT"] = str(root)
    return venvfs


def without_lock(text):
    lines = text.splitlines(keepends=True)
    assert sum(line.startswith(LOCK) for line in lines) == 1
    assert lines[-1].startswith(LOCK) and lines[-1].endswith("\n")
    return "".join(lines[:-1])


def lock_of(env):
    return next(
        line[len(LOCK) :].strip()
        for line in (env / "pyvenv.cfg").read_text().splitlines()
        if line.startswith(LOCK)
    )


def private(env):
    return sorted(str(p.relative_to(env)) for p in env.rglob("*"))


# create


def need_strace(sanitized):
    if sanitized:
        pytest.skip("a sanitizer makes calls of its own")
    if not shutil.which("strace"):
        pytest.skip("no strace")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--system-site-packages",),
        ("--prompt", "it's"),
        ("--prompt", 'both \' and " and \\ and é and \u00a0'),
        ("--prompt", "."),
        ("--system-site-packages", "--prompt", "x y"),
    ],
    ids=["plain", "system", "quote", "escapes", "here", "both"],
)
def test_create_writes_what_venv_writes(venvfs, python, root, options):
    venvfs("create", "x", "--without-pip", "--python", python, *options)
    ours = (root / "x" / "pyvenv.cfg").read_text()
    assert private(root / "x") == ["pyvenv.cfg"]
    shutil.rmtree(root / "x")
    subprocess.run(
        [python, "-m", "venv", "--without-pip", *options, root / "x"], check=True, env=venvfs.env
    )
    assert without_lock(ours) == (root / "x" / "pyvenv.cfg").read_text()
    assert f"{LOCK}none\n" in ours


def test_create_with_debian_python(venvfs, debian_python, root):
    venvfs("create", "x", "--without-pip", "--python", debian_python)
    ours = (root / "x" / "pyvenv.cfg").read_text()
    shutil.rmtree(root / "x")
    subprocess.run(
        [debian_python, "-m", "venv", "--without-pip", root / "x"], check=True, env=venvfs.env
    )
    assert without_lock(ours) == (root / "x" / "pyvenv.cfg").read_text()


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_create_seeds_what_ensurepip_installs(venvfs, pythons, root, tmp_path, version):
    if version not in pythons:
        pytest.skip(f"no CPython {version}")
    venvfs("create", "x", "--python", pythons[version])
    subprocess.run(
        [pythons[version], "-m", "venv", tmp_path / "real"], check=True, env=venvfs.env
    )
    listed = subprocess.run(
        [tmp_path / "real/bin/python", "-m", "pip", "inspect", "--local"],
        check=True,
        env=venvfs.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    import json

    real = {
        d["metadata"]["name"]: (d["metadata"]["version"], d["requested"], d["installer"])
        for d in json.loads(listed.stdout)["installed"]
    }
    ours = {
        d["name"]: (d["version"], d["requested"], d["installer"])
        for d in venvfs.json("show", "x")["distributions"]
    }
    assert ours == real
    assert ("setuptools" in ours) == (version == "3.11")


def test_create_by_what_is_no_python(venvfs, root):
    r = venvfs("create", "a", "--python", "/bin/ls", check=False)
    assert r.returncode == 1 and r.stderr == "venvfs: /bin/ls can not be used: it is no Python\n"
    assert not root.exists() or list(root.iterdir()) == []


def test_create_again_starts_no_python(venvfs, debian_python, root, tmp_path, sanitized):
    need_strace(sanitized)
    venvfs("create", "warm-up", "--python", debian_python)
    trace = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-o", trace, venvfs.binary, "create", "x", "--python", debian_python],
        check=True,
        env=venvfs.env,
        stdout=subprocess.DEVNULL,
    )
    text = trace.read_text()
    assert text.count("execve(") == 1
    assert "connect(" not in text and ".whl\", O_RDONLY" not in text
    assert lock_of(root / "x") == lock_of(root / "warm-up")


def test_create_several_and_by_version(venvfs, pythons, root):
    version, path = sorted(pythons.items())[-1]
    search = {"PATH": f"{path.parent}:{os.environ['PATH']}"}
    venvfs("create", "--without-pip", "--python", version, "a", "deep/er/b", env=search, cwd=root)
    for name in ("a", "deep/er/b"):
        assert f"\nversion = {version}." in (root / name / "pyvenv.cfg").read_text()


def test_create_in_a_project_makes_a_link(venvfs, debian_python, root, tmp_path):
    project = tmp_path / "shop"
    project.mkdir()
    venvfs("create", ".venv", "--without-pip", "--python", debian_python, cwd=project)
    link = project / ".venv"
    assert link.is_symlink() and link.resolve() == root / "shop"
    assert (root / "shop" / "pyvenv.cfg").is_file()
    # The link stands for the environment.
    assert venvfs.json("show", link)["path"] == str(root / "shop")
    # Another project of that name gets another environment.
    other = tmp_path / "elsewhere" / "shop"
    other.mkdir(parents=True)
    venvfs("create", ".venv", "--without-pip", "--python", debian_python, cwd=other)
    assert (other / ".venv").resolve() == root / "shop-2"


def test_create_replaces_nothing(venvfs, debian_python, root):
    (root / "plain").mkdir()
    (root / "plain" / "notes").write_text("mine")
    for options in ((), ("--clear",)):
        r = venvfs("create", "plain", "--without-pip", "--python", debian_python, *options, check=False)
        assert r.returncode == 1 and "already" in r.stderr
        assert private(root / "plain") == ["notes"]


@pytest.mark.parametrize("name", ["a:b", "a\tb", "a\nb", "a\x7fb"])
def test_create_refuses_names_that_break_path(venvfs, debian_python, root, name):
    r = venvfs("create", name, "--without-pip", "--python", debian_python, check=False)
    assert r.returncode == 1
    assert list(root.iterdir()) == []


def test_create_refuses_a_place_in_an_environment(venvfs, debian_python, root):
    venvfs("create", "x", "--without-pip", "--python", debian_python)
    r = venvfs("create", root / "x/lib/y", "--without-pip", "--python", debian_python, check=False)
    assert r.returncode == 1 and "within the environment" in r.stderr
    assert private(root / "x") == ["pyvenv.cfg"]


def test_create_tells_what_is_wrong_with_a_python(venvfs, root, tmp_path):
    broken = tmp_path / "python-broken"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
    broken.chmod(0o755)
    r = venvfs("create", "x", "--python", broken, check=False)
    assert r.returncode == 1 and "it is broken" in r.stderr and str(broken) in r.stderr
    r = venvfs("create", "x", "--python", "3.99", check=False)
    assert r.returncode == 1 and "3.99" in r.stderr
    r = venvfs("create", "x", "--python", "no-such-python", check=False)
    assert r.returncode == 1 and "no-such-python" in r.stderr
    assert list(root.iterdir()) == []


# ls


def test_ls(venvfs, debian_python, root):
    assert venvfs("ls").stdout == ""
    venvfs("create", "b", root / "deep/a", "--without-pip", "--python", debian_python)
    venvfs("create", "c", "--python", debian_python)
    (root / "no-environment").mkdir()
    (root / "ordinary").mkdir()
    (root / "ordinary" / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n")
    (root / "missing").mkdir()
    (root / "missing" / "pyvenv.cfg").write_text(
        f"home = /usr/bin\nversion = 3.11.2\nvenvfs-lock = sha256:{'0' * 64}\n"
    )
    (root / "torn").mkdir()
    (root / "torn" / "pyvenv.cfg").write_text("version = 3.11.2\n")
    rows = {e["name"]: e for e in venvfs.json("ls")["environments"]}
    assert list(rows) == ["b", "c", "deep/a", "missing", "ordinary", "torn"]
    assert {n: e["state"] for n, e in rows.items()} == {
        "b": "ok", "c": "ok", "deep/a": "ok",
        "missing": "broken", "ordinary": "ordinary", "torn": "broken",
    }  # fmt: skip
    assert rows["c"]["distributions"] >= 1 and rows["b"]["distributions"] == 0
    assert "not in the store" in rows["missing"]["fault"]
    assert "no \"home" in rows["torn"]["fault"]
    assert [line.split()[0] for line in venvfs("ls").stdout.splitlines()] == list(rows)
    assert venvfs.json("ls", root / "deep")["environments"][0]["name"] == "a"
    r = venvfs("ls", root / "nowhere", check=False)
    assert r.returncode == 1 and "nowhere" in r.stderr


# show


def test_show(venvfs, debian_python, root):
    venvfs("create", "x", "--python", debian_python, "--prompt", "shop")
    shown = venvfs.json("show", "x")
    assert shown["state"] == "ok" and shown["prompt"] == "shop" and shown["lock"] == lock_of(root / "x")
    pip = next(d for d in shown["distributions"] if d["name"] == "pip")
    text = venvfs("show", "x").stdout
    assert f"  pip {pip['version']} requested installer=pip" in text
    assert f"lock           {lock_of(root / 'x')}" in text
    r = venvfs("show", "y", check=False)
    assert r.returncode == 1 and "venvfs create" in r.stderr


def test_show_tells_the_fault(venvfs, debian_python, root, store):
    venvfs("create", "x", "--python", debian_python)
    shutil.rmtree(store / "dists" / "pip")
    r = venvfs("show", "x", "--json", check=False)
    assert r.returncode == 1
    import json

    shown = json.loads(r.stdout)
    assert shown["state"] == "broken" and "pip" in shown["fault"]


# clone


def test_clone(venvfs, debian_python, root):
    venvfs("create", "a", "--python", debian_python)
    a = root / "a"
    site = a / "lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (site / "mine.py").write_text("x = 1\n")
    (site / "mine.py").chmod(0o755)
    os.utime(site / "mine.py", ns=(10**18, 10**18 + 5))
    (site / ".wh.setuptools").touch()
    (site / "link").symlink_to("mine.py")
    os.link(site / "mine.py", site / "twin.py")
    os.mkfifo(site / "fifo")
    (a / ".venvfs").mkdir()
    (a / ".venvfs" / "generations").write_text("old\n")
    (a / ".venvfs-tmp.1.1").write_text("half")
    try:
        os.setxattr(site / "mine.py", "user.note", b"n")
        xattr = True
    except OSError:
        xattr = False
    site.chmod(0o750)
    (site / "run").write_text("")
    if os.geteuid() == 0:
        os.chown(site / "run", 65534, 65534)
    (site / "run").chmod(0o6755)
    venvfs("clone", "a", "b")
    b = root / "b"
    assert (b / "pyvenv.cfg").read_bytes() == (a / "pyvenv.cfg").read_bytes()
    there = b / "lib/python3.11/site-packages"
    assert sorted(p.name for p in there.iterdir()) == [
        ".wh.setuptools", "fifo", "link", "mine.py", "run", "twin.py",
    ]  # fmt: skip
    # of another user's file it would make the bytes run as this one
    assert (there / "run").stat().st_mode & 0o7777 == (0o755 if os.geteuid() == 0 else 0o6755)
    st = (there / "mine.py").stat()
    assert (there / "mine.py").read_text() == "x = 1\n"
    assert st.st_mode & 0o777 == 0o755 and st.st_mtime_ns == 10**18 + 5
    assert st.st_nlink == 2 and (there / "twin.py").stat().st_ino == st.st_ino
    assert os.readlink(there / "link") == "mine.py" and there.stat().st_mode & 0o777 == 0o750
    if xattr:
        assert os.getxattr(there / "mine.py", "user.note") == b"n"
    assert not (b / ".venvfs").exists() and not (b / ".venvfs-tmp.1.1").exists()
    # They are apart from now on.
    (there / "mine.py").write_text("x = 2\n")
    assert (site / "mine.py").read_text() == "x = 1\n"


def test_clone_refusals(venvfs, debian_python, root, tmp_path):
    venvfs("create", "a", "b", "--without-pip", "--python", debian_python)
    before = (root / "b" / "pyvenv.cfg").read_bytes()
    r = venvfs("clone", "a", "b", check=False)
    assert r.returncode == 1 and "already" in r.stderr
    assert (root / "b" / "pyvenv.cfg").read_bytes() == before
    r = venvfs("clone", "nowhere", "c", check=False)
    assert r.returncode == 1 and not (root / "c").exists()
    r = venvfs("clone", "a", root / "a/lib/c", check=False)
    assert r.returncode == 1 and private(root / "a") == ["pyvenv.cfg"]


def test_clone_to_a_project(venvfs, debian_python, root, tmp_path):
    venvfs("create", "a", "--without-pip", "--python", debian_python)
    (tmp_path / "shop").mkdir()
    venvfs("clone", "a", tmp_path / "shop" / ".venv")
    assert (tmp_path / "shop" / ".venv").resolve() == root / "shop"


# rm


def test_rm(venvfs, debian_python, root, tmp_path):
    venvfs("create", "a", "b", "c", "--without-pip", "--python", debian_python)
    (root / "a" / "bin").mkdir()
    (root / "a" / "bin" / "mine").write_text("#!/bin/sh\n")
    venvfs("rm", "a", root / "b")
    assert [p.name for p in root.iterdir()] == ["c"]


def test_rm_by_link(venvfs, debian_python, root, tmp_path):
    project = tmp_path / "shop"
    project.mkdir()
    venvfs("create", ".venv", "--without-pip", "--python", debian_python, cwd=project)
    venvfs("rm", ".venv", cwd=project)
    assert list(root.iterdir()) == [] and list(project.iterdir()) == []
    # A link to what is gone already
    venvfs("create", ".venv", "--without-pip", "--python", debian_python, cwd=project)
    venvfs("rm", "shop")
    assert (project / ".venv").is_symlink()
    venvfs("rm", ".venv", cwd=project)
    assert list(project.iterdir()) == []


@pytest.mark.parametrize("by_path", [False, True])
@pytest.mark.parametrize("mounted", [False, True])
def test_rm_of_a_link_in_the_root(venvfs, debian_python, root, mounts, tmp_path, by_path, mounted):
    """It goes alone: never what it leads to, and nothing outside."""
    venvfs("create", "b", "--without-pip", "--python", debian_python)
    outside = tmp_path / "outside"
    subprocess.run([debian_python, "-m", "venv", "--without-pip", outside], check=True)
    for name, to in (("same", "b"), ("absolute", root / "b"), ("away", outside), ("nowhere", "none")):
        (root / name).symlink_to(to)
    if mounted:
        mounts(root)
    assert venvfs.json("show", "same")["path"] == str(root / "b")
    for name in ("same", "absolute", "away", "nowhere"):
        r = venvfs("rm", root / name if by_path else name)
        assert not (root / name).is_symlink() and r.stderr == ""
    assert (root / "b/pyvenv.cfg").exists() and (outside / "pyvenv.cfg").exists() and (outside / "bin/python").exists()
    venvfs("rm", "b")
    assert list(root.iterdir()) == []


def test_rm_of_a_link_behind_a_dead_daemon(venvfs, debian_python, root, mounts, tmp_path):
    m = mounts(root)
    venvfs("create", ".venv", "--without-pip", "--python", debian_python, cwd=tmp_path)
    name = (tmp_path / ".venv").resolve().name
    m.remount()  # so that the kernel knows no name
    os.kill(m.pid, 9)
    while m.alive():
        time.sleep(0.01)
    r = venvfs("rm", ".venv", cwd=tmp_path, check=False)
    assert r.returncode == 1 and "`venvfs mount` starts it again" in r.stderr and (tmp_path / ".venv").is_symlink()
    m.mount()
    assert (tmp_path / ".venv/bin/python").exists() and (root / name).is_dir()


def test_rm_refuses_what_is_no_environment(venvfs, debian_python, root, tmp_path):
    venvfs("create", "a", "--without-pip", "--python", debian_python)
    (root / "plain").mkdir()
    (root / "plain" / "notes").write_text("mine")
    outside = tmp_path / "outside"
    subprocess.run([debian_python, "-m", "venv", "--without-pip", outside], check=True)
    for name, reason in (
        ("plain", "no environment"),
        ("nowhere", "nowhere"),
        (outside, "outside of every root"),
        (root, "root"),
        (tmp_path, ""),
    ):
        r = venvfs("rm", name, check=False)
        assert r.returncode == 1 and reason in r.stderr, name
    assert (root / "plain" / "notes").read_text() == "mine"
    assert (outside / "pyvenv.cfg").is_file() and (root / "a" / "pyvenv.cfg").is_file()
    # What can be removed is, although another can not.
    r = venvfs("rm", "nowhere", "a", check=False)
    assert r.returncode == 1 and not (root / "a").exists()


# all of them


@pytest.mark.parametrize("command", ["create", "ls", "show", "clone", "rm", "sync", "materialize"])
def test_help_and_usage(venvfs, root, command):
    r = venvfs(command, "--help")
    assert r.stdout.startswith(f"usage: venvfs {command} ") and "example: " in r.stdout
    assert r.stderr == ""
    r = venvfs(command, "--no-such-option", check=False)
    assert r.returncode == 2 and f"usage: venvfs {command}" in r.stderr
    if command != "ls":
        assert venvfs(command, check=False).returncode == 2


# through a mount


@pytest.mark.parametrize("line, why", [
    ("ls --frob", "--frob is no option"),
    ("status --json=1", "--json=1 is no option"),
    ("create -xp", "-x is no option"),
    ("rm -x", "-x is no option"),
    ("umount -x", "-x is no option"),
    ("create -p", "-p wants a value"),
    ("sync x --ask", "--ask wants a value"),
    ("sync x y --ask conda", '--ask: "conda" is neither pip nor uv'),
    ("freeze x --format yaml", '--format: "yaml" is neither requirements nor pylock'),
    ("store compile --jobs 0", '--jobs: "0" is no number of processes'),
    ("mount --harvest soon", '--harvest: seconds, up to a day, or no; not "soon"'),
    ("run --with", "--with wants a value"),
])  # fmt: skip
def test_wrong_options(venvfs, root, line, why):
    r = venvfs(*line.split(), check=False)
    assert r.returncode == 2 and r.stdout == ""
    first, second, *_ = r.stderr.splitlines()
    assert first == f"venvfs: {why}" and second.startswith(f"usage: venvfs {line.split()[0]}")


def test_options_stand_anywhere(venvfs, mount, debian_python, root):
    """Before and behind the operands, up to "--"; of a program that is run, the rest is its own."""
    venvfs("create", root / "x", "--python", debian_python, "--without-pip")
    venvfs("create", "--without-pip", f"--python={debian_python}", "--prompt", "p", "--", root / "y")
    assert [e["name"] for e in venvfs.json("ls", root)["environments"]] == ["x", "y"]
    out = venvfs("run", f"-p{debian_python}", "python", "-c", "import sys; print(sys.argv[1:])", "--with", "-p").stdout
    assert out == "['--with', '-p']\n"


def test_commands_on_a_mounted_root(venvfs, mount, debian_python):
    root = mount.path
    venvfs("create", "a", "--python", debian_python)
    site = root / "a/lib/python3.11/site-packages"
    assert (site / "pip" / "__init__.py").is_file()
    (site / "mine.py").write_text("x = 1\n")
    shutil.rmtree(site / "setuptools")
    venvfs("clone", "a", "b")
    there = root / "b/lib/python3.11/site-packages"
    assert (there / "mine.py").read_text() == "x = 1\n"
    assert (there / "pip" / "__init__.py").is_file() and not (there / "setuptools").exists()
    r = subprocess.run(
        [root / "b/bin/python", "-c", "import mine, sys; print(mine.x, sys.prefix)"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=venvfs.env,
    )
    assert r.stdout.split() == ["1", str(root / "b")]
    assert [e["name"] for e in venvfs.json("ls")["environments"]] == ["a", "b"]
    assert venvfs.json("show", "b")["state"] == "ok"
    venvfs("rm", "a")
    assert os.listdir(root) == ["b"] and os.listdir(mount.upper) == ["b"]
