# SPDX-License-Identifier: MIT
"""Acceptance: making, making again, moving and removing environments by the tools that people have, editable
installs, other users, other kinds of Python. Beside the same done on the disk.
"""

import base64
import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading

import pytest
import wheelmaker
from conftest import wait_for_end
from prepared import private
from twins import assert_same, tree, without_lock

PLAIN = dict(files={"plain.py": "v = 1\n", "pack/__init__.py": "", "pack/mod.py": "m = 'store'\n", "pack/data": "d\n"},
             entry_points={"console_scripts": {"plain": "plain:v"}})  # fmt: skip


@pytest.fixture(autouse=True)
def no_bytecode(venvfs):
    (venvfs.config / "venvfs").mkdir()
    (venvfs.config / "venvfs/venvfs.conf").write_text("[store]\ncompile = no\n")
    venvfs.env["PYTHONDONTWRITEBYTECODE"] = "1"


@pytest.fixture
def make(venvfs, mount, tmp_path, debian_python):
    """make(NAME) has the package of PLAIN, and pip with `pip=True`."""
    venvfs("store", "add", "--no-compile", wheelmaker.make(tmp_path, "plain", **PLAIN))
    (tmp_path / "pins").write_text("plain==1.0\n")

    def get(name, python=debian_python, pip=False):
        env = mount.path / name
        venvfs("create", env, "--python", python, *([] if pip else ["--without-pip"]))
        venvfs("sync", env, tmp_path / "pins", "--no-compile")
        return env

    return get


def site(env):
    [d] = env.glob("lib/p*/site-packages")
    return d


def run(*argv, env, check=True, **kw):
    r = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, **kw)
    assert not check or r.returncode == 0, r.stdout
    return r


def seen(top):
    """A tree whose texts do not tell where it is, nor in which order its RECORDs are."""
    out = {}
    for name, (mode, what) in tree(top).items():
        if name == "pyvenv.cfg":
            what = without_lock(what)
        if isinstance(what, bytes):
            what = what.replace(os.fsencode(top.parent), b"TOP")
        if name.endswith(".dist-info/RECORD"):
            rows = what.splitlines()
            what = {row.split(b",")[0] if row.startswith(b"../../../bin/") else row for row in rows if b".pyc," not in row}
        out[name] = mode, what
    return out


def check_record(env, info):
    """Every row with a digest is true of what is read."""
    rows = [row.rsplit(",", 2) for row in (site(env) / info / "RECORD").read_text().splitlines()]
    assert len(rows) > 3
    for path, digest, size in rows:
        data = (site(env) / path).read_bytes() if digest else b""
        told = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert not digest or (digest, size) == (f"sha256={told}", str(len(data))), path


# G18 to G20


def rows_of(python, top):
    """What is done, one after the other, and which environments there are then."""
    venv = [python, "-m", "venv"]
    return [
        ([*venv, "--without-pip", top / "new"], ["new"]),
        ([*venv, "--without-pip", "--copies", top / "copies"], ["copies"]),
        ([*venv, "--without-pip", "--system-site-packages", top / "system"], ["system"]),
        ([*venv, "--without-pip", "--prompt", "x", top / "prompt"], ["prompt"]),
        ([*venv, "--without-pip", "--clear", top / "new"], ["new"]),
        ([*venv, "--without-pip", "--upgrade", top / "new"], ["new"]),
        ([*venv, "--without-pip", top / "a", top / "deep/er/b"], ["a", "deep/er/b"]),
    ]


def test_g18_venv(venvfs, mount, tmp_path, python):
    real = tmp_path / "real"
    real.mkdir()
    for (ours, names), (theirs, _) in zip(rows_of(python, mount.path), rows_of(python, real)):
        run(*ours, env=venvfs.env)
        run(*theirs, env=venvfs.env)
        for name in names:
            assert_same(seen(mount.path / name), seen(real / name))
    both = [run(top / "system/bin/python", "-c", "import sys; print(sys.path[1:])", env=venvfs.env).stdout
            .replace(str(top), "TOP") for top in (mount.path, real)]  # fmt: skip
    assert both[0] == both[1]


def test_g18_venv_with_pip(venvfs, mount, tmp_path, debian_python):
    real = tmp_path / "real"
    for top in (mount.path, real):
        run(debian_python, "-m", "venv", top / "x", env=venvfs.env)
    assert_same(seen(mount.path / "x"), seen(real / "x"))


@pytest.mark.parametrize("options", [[], ["--copies"], ["--no-vcs-ignore"], ["--system-site-packages"], ["--clear"]])
def test_g18_virtualenv(venvfs, mount, tmp_path, tools, debian_python, options):
    if not (tools / "virtualenv").exists():
        pytest.skip("no virtualenv among the tools")
    env = {**venvfs.env, "XDG_DATA_HOME": str(tmp_path / "tools-data"), "VIRTUALENV_OVERRIDE_APP_DATA": str(tmp_path / "app")}
    real = tmp_path / "real"
    for top in (mount.path, real):
        argv = [tools / "virtualenv", "-q", "--no-download", "--no-periodic-update", "-p", debian_python, *options]
        for _ in range(2 if options == ["--clear"] else 1):
            run(*argv, top / "v", env=env)
        run(top / "v/bin/python", "-c", "import pip", env=venvfs.env)
    ours, theirs = seen(mount.path / "v"), seen(real / "v")
    # The view's own names are beside what it made, in any environment.
    assert ours.keys() - theirs.keys() <= {"lib64", "include", "include/python3.11", "bin/Activate.ps1"}
    assert_same({p: ours[p] for p in ours if p in theirs}, theirs)


LOOP = "import plain, sys; assert sys.prefix != sys.base_prefix, 'it ran as the base'"


@pytest.mark.parametrize("tool", ["venv", "upgrade"])
def test_g19_g20_made_again_while_in_use(venvfs, make, mount, debian_python, tool):
    """What imports meanwhile never sees it gone, nor is the base's; and the lock is kept. virtualenv takes
    bin/python and pyvenv.cfg away for a moment, natively as well: see test_venv_onto.py."""
    x = make("x")
    lock = [line for line in (x / "pyvenv.cfg").read_text().splitlines() if line.startswith("venvfs-lock")]
    done, faults, count = threading.Event(), [], []

    def loop():
        while not done.is_set() or not count:
            r = run(x / "bin/python", "-c", LOOP, env=venvfs.env, check=False)
            count.append(r.returncode)
            if r.returncode:
                faults.append(r.stdout)

    argv = {"venv": [debian_python, "-m", "venv", "--without-pip", x],
            "upgrade": [debian_python, "-m", "venv", "--upgrade", "--without-pip", x]}[tool]  # fmt: skip
    thread = threading.Thread(target=loop)
    thread.start()
    try:
        for _ in range(5):
            run(*argv, env=venvfs.env)
    finally:
        done.set()
        thread.join()
    assert faults == []
    assert lock == [line for line in (x / "pyvenv.cfg").read_text().splitlines() if line.startswith("venvfs-lock")]
    assert [d["name"] for d in venvfs.json("show", x)["distributions"]] == ["plain"]


# G21, G22


def test_g21_remove_what_was_just_copied_up(venvfs, make, mount, python):
    """A walker compares what it saw with what it opens: numbers stay over a copy."""
    x = make("x", python)
    for p in site(x).rglob("*"):
        if p.is_file():
            with p.open("ab") as f:
                f.write(b"\n")
    run(python, "-c", "import shutil, sys; shutil.rmtree(sys.argv[1])", site(x) / "pack", env=venvfs.env)
    assert not (site(x) / "pack").exists() and (site(x) / "plain.py").read_text() == "v = 1\n\n"
    run("rm", "-r", x, env=venvfs.env)
    assert os.listdir(mount.path) == os.listdir(mount.upper) == []


def test_g22_rename(venvfs, make, mount):
    x = make("e1", pip=True)
    assert str(x) in run(x / "bin/pip", "--version", env=venvfs.env).stdout
    run("mv", x, mount.path / "e2", env=venvfs.env)
    y = mount.path / "e2"
    assert str(y) in run(y / "bin/pip", "--version", env=venvfs.env).stdout
    assert (y / "bin/pip").read_text().startswith(f"#!{y}/bin/python\n")
    for info in site(y).glob("*.dist-info"):
        check_record(y, info.name)


# G23


def change_mode(p):
    p.chmod(0o600)
    return {"mode": 0o600}


def change_time(p):
    os.utime(p, ns=(10**18 + 7, 10**18 + 12345))
    return {"mtime": 10**18 + 12345}


def truncate(p):
    os.truncate(p, 2)
    return {"text": "m "}


def append(p):
    with p.open("a") as f:
        f.write("more\n")
        f.flush()
        os.fsync(f.fileno())
    return {"text": "m = 'store'\nmore\n"}


def rename_over(p):
    other = p.with_name("other")
    other.write_text("other\n")
    other.rename(p)
    return {"text": "other\n"}


def link(p):
    os.link(p, p.with_name("second"))
    p.with_name("second").write_text("by the second\n")
    return {}  # a store file has no second name: it is a copy


def lock_and_write(p):
    with p.open("r+") as f, p.open("r+") as g:
        fcntl.flock(f, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            fcntl.flock(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
        f.write("M")
    return {"text": "M = 'store'\n"}


@pytest.mark.parametrize("change", [change_mode, change_time, truncate, append, rename_over, link, lock_and_write])
def test_g23_copy_up(venvfs, make, mount, change):
    """One thing changes and all else stays as it was; the store and another environment do not see it."""
    x, y = make("x"), make("y")
    p, other = site(x) / "pack/mod.py", site(y) / "pack/mod.py"
    st = p.stat()
    expected = {"mode": st.st_mode & 0o7777, "mtime": st.st_mtime_ns, "text": p.read_text()}
    changed = change(p)
    expected.update(changed)
    if "text" in changed:
        expected["mtime"] = p.stat().st_mtime_ns
        assert expected["mtime"] != st.st_mtime_ns
    for _ in range(2):
        assert {"mode": p.stat().st_mode & 0o7777, "mtime": p.stat().st_mtime_ns, "text": p.read_text()} == expected
        mount.remount()
    assert other.read_text() == "m = 'store'\n" and other.stat().st_mtime_ns == st.st_mtime_ns
    assert list(private(mount, "y")) == ["pyvenv.cfg"]
    assert venvfs.json("store", "verify")["bad"] == 0


def test_g23_names(make):
    """O_EXCL and O_NOFOLLOW on names of the view, symlinks to them."""
    x = make("x")
    p = site(x) / "pack/mod.py"
    for flags, path, fault in ((os.O_CREAT | os.O_EXCL | os.O_WRONLY, p, errno.EEXIST),
                               (os.O_RDONLY | os.O_NOFOLLOW, x / "bin/python", errno.ELOOP)):  # fmt: skip
        with pytest.raises(OSError) as e:
            os.open(path, flags)
        assert e.value.errno == fault
    os.close(os.open(p, os.O_RDWR | os.O_NOFOLLOW))
    p.with_name("to").symlink_to("mod.py")
    assert p.with_name("to").read_text() == "m = 'store'\n"
    with pytest.raises(FileExistsError):
        p.symlink_to("to")


# G29

BACKEND = '''
import os, zipfile
def wheel(directory, files):
    info = "mine-1.0.dist-info/"
    files = {**files, info + "METADATA": "Metadata-Version: 2.1\\nName: mine\\nVersion: 1.0\\n",
             info + "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
             info + "entry_points.txt": "[console_scripts]\\nmine = mine:main\\n"}
    files[info + "RECORD"] = "".join(f"{n},,\\n" for n in [*files, info + "RECORD"])
    name = "mine-1.0-0.editable-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as z:
        for n, text in files.items():
            z.writestr(n, text)
    return name
FINDER = """import importlib.machinery, importlib.util, sys
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "mine":
            return importlib.util.spec_from_file_location(name, WHERE + "/__init__.py", submodule_search_locations=[WHERE])
def install():
    sys.meta_path.append(Finder)
"""
def build_editable(directory, config_settings=None, metadata_directory=None):
    here, how = os.getcwd(), open("how").read()
    if how == "src":
        return wheel(directory, {"__editable__.mine-1.0.pth": here + "/src\\n"})
    if how == "flat":
        return wheel(directory, {
            "__editable__.mine-1.0.pth": "import __editable___mine_1_0_finder; __editable___mine_1_0_finder.install()\\n",
            "__editable___mine_1_0_finder.py": f"WHERE = {here + '/src/mine'!r}\\n" + FINDER})
    links = os.path.join(here, "build", "__editable__.mine-1.0", "mine")
    os.makedirs(links)
    os.symlink(here + "/src/mine/__init__.py", links + "/__init__.py")
    return wheel(directory, {"__editable__.mine-1.0.pth": os.path.dirname(links) + "\\n"})
'''


@pytest.mark.parametrize("how", ["legacy", "src", "flat", "strict"])
def test_g29_editable(venvfs, make, mount, tmp_path, how):
    """The files that setuptools makes for each kind, written by pip (legacy: by setuptools) itself."""
    x, y = make("x", pip=True), make("y", pip=True)
    project = tmp_path / "project"
    (project / "src/mine").mkdir(parents=True)
    source = project / "src/mine/__init__.py"
    source.write_text("def main(): print('one')\n")
    if how == "legacy":
        (project / "setup.py").write_text("from setuptools import setup\nsetup(name='mine', version='1.0', packages=['mine'],"
            " package_dir={'': 'src'}, entry_points={'console_scripts': ['mine = mine:main']})\n")  # fmt: skip
        run(x / "bin/python", "setup.py", "-q", "develop", "--no-deps", env=venvfs.env, cwd=project)
        names = {"easy-install.pth", "mine.egg-link"}
    else:
        (project / "how").write_text(how)
        (project / "backend.py").write_text(BACKEND)
        (project / "pyproject.toml").write_text(
            "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
            "[project]\nname = 'mine'\nversion = '1.0'\n")  # fmt: skip
        run(x / "bin/python", "-m", "pip", "install", "-q", "--no-build-isolation", "--no-index", "-e", project, env=venvfs.env)
        names = {"__editable__.mine-1.0.pth", "mine-1.0.dist-info"}
        assert '"editable": true' in (site(x) / "mine-1.0.dist-info/direct_url.json").read_text()
    assert names <= set(os.listdir(site(x)))

    def says(word):
        assert run(x / "bin/mine", env=venvfs.env).stdout == f"{word}\n"
        code = "import mine; mine.main()"
        assert run(x / "bin/python", "-c", code, env=venvfs.env, cwd="/").stdout == f"{word}\n"

    says("one")
    source.write_text("def main(): print('two')\n")
    says("two")
    if how == "legacy":  # in place, as each further project does it
        with (site(x) / "easy-install.pth").open("a") as f:
            f.write(f"{tmp_path}\n")
        says("two")
    assert "mine" not in [d["name"] for d in venvfs.json("harvest", x)["added"]]
    says("two")
    assert not names & set(os.listdir(site(y))) and {p for p in private(mount, "y") if not p.startswith(".venvfs")} == {"pyvenv.cfg"}
    assert not [p for p in (venvfs.store / "dists").rglob("*mine*")]
    run(x / "bin/python", "-m", "pip", "uninstall", "-q", "-y", "mine", env=venvfs.env)
    assert not (x / "bin/mine").exists()
    assert "No module" in run(x / "bin/python", "-c", "import mine", env=venvfs.env, cwd="/", check=False).stdout


# G31 to G33


def test_g31_a_base_that_installs_nothing(venvfs, make, mount, tmp_path, debian_python):
    [stdlib] = run(debian_python, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))", env=venvfs.env).stdout.split()
    if not os.path.exists(f"{stdlib}/EXTERNALLY-MANAGED"):
        pytest.skip("this /usr/bin/python3 is not managed by the system")
    x = make("x", pip=True)
    wheel = wheelmaker.make(tmp_path, "more", files={"more.py": ""})
    run(x / "bin/python", "-m", "pip", "install", "-q", "--no-index", wheel, env=venvfs.env)
    run(x / "bin/python", "-c", "import more", env=venvfs.env)


@pytest.mark.parametrize("warm", [False, True])
def test_g31_a_dead_daemon(venvfs, make, mount, python, warm):
    """Then there is no interpreter: the base never takes its place."""
    x = make("x", python)
    code = "import sys; print('it runs, as', sys.prefix)"
    if warm:
        assert f"it runs, as {x}\n" == run(x / "bin/python", "-c", code, env=venvfs.env).stdout
    else:
        mount.remount()
    os.kill(mount.pid, 9)
    wait_for_end(mount.pid)
    try:
        r = run("sh", "-c", '"$0" -c "$1"', x / "bin/python", code, env=venvfs.env, check=False)
        assert "it runs" not in r.stdout and r.returncode != 0 if warm else r.returncode in (126, 127), r.stdout
        with pytest.raises(OSError) as e:
            (x / "pyvenv.cfg").read_text()
        assert e.value.errno == errno.ENOTCONN
    finally:
        mount.mount()


def test_g32_another_user_with_allow_other(venvfs, mounts, other_user, tmp_path):
    """May read and run, and writes nothing: nor does pip put it somewhere else without a word."""
    top = other_user.tmp / "envs"
    top.mkdir()
    m = mounts(top, "--allow-other")
    try:
        venvfs("create", top / "x", "--python", "/usr/bin/python3")
        wheel = wheelmaker.make(other_user.tmp, "more", files={"more.py": ""})
        python = top / "x/bin/python"
        assert other_user.run(python, "-c", "import sys, pip; print(sys.prefix)").stdout == f"{top}/x\n"
        r = other_user.run(python, "-m", "pip", "install", "--no-index", wheel, check=False)
        assert r.returncode == 1 and "Permission denied" in r.stderr
        assert not list(other_user.home.rglob("more.py"))
        r = other_user.run("touch", top / "x/mine", check=False)
        assert r.returncode == 1 and "Permission denied" in r.stderr
    finally:
        m.umount()


def test_g33_the_mounting_users(make):
    """Jupyter takes an environment's kernels and configuration first only if it is the user's own."""
    x = make("x")
    assert x.stat().st_uid == site(x).stat().st_uid == os.geteuid()
    assert os.access(x, os.W_OK) and os.access(site(x), os.W_OK)
    assert site(x).stat().st_mode & 0o777 == 0o755


# G36

FICLONE = 0x40049409


def test_g36_from_outside(make, tmp_path):
    """uv tries reflinks, then hard links, then copies: an error it knows, at once."""
    x = make("x")
    source = tmp_path / "source"
    source.write_text("s\n")
    known = (errno.EXDEV, errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL, errno.ENOTTY)
    with source.open() as f, (site(x) / "target").open("w") as g:
        with pytest.raises(OSError) as e:
            fcntl.ioctl(g, FICLONE, f.fileno())
        assert e.value.errno in known
    with pytest.raises(OSError) as e:
        os.link(source, site(x) / "linked")
    assert e.value.errno == errno.EXDEV
    shutil.copyfile(source, site(x) / "copied")
    assert (site(x) / "copied").read_text() == "s\n"


def test_g36_noreplace_and_the_lock(make, tmp_path):
    x = make("x")
    (x / ".tmp").touch(0o666)
    libc = ctypes.CDLL(None, use_errno=True)
    at_fdcwd, noreplace = -100, 1

    def rename(a, b):
        r = libc.renameat2(at_fdcwd, os.fsencode(a), at_fdcwd, os.fsencode(b), noreplace)
        return ctypes.get_errno() if r else 0

    assert rename(x / ".tmp", x / ".lock") == 0
    (x / ".tmp").touch()
    assert rename(x / ".tmp", x / ".lock") == errno.EEXIST
    code = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with (x / ".lock").open() as f:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        r = subprocess.run([sys.executable, "-c", code, x / ".lock"], stderr=subprocess.PIPE, text=True)
        assert r.returncode == 1 and "BlockingIOError" in r.stderr
    subprocess.run([sys.executable, "-c", code, x / ".lock"], check=True)


# G37, G38


def test_g37_python_2_is_not_offered(venvfs, root, tmp_path):
    """It knows no pyvenv.cfg. Where there is one, its own answer is used; else one that says what it would say."""
    python = next(iter(sorted((os.path.expanduser("~/.pyenv/versions"),))), None)
    found = [p for p in (f"{python}/2.7.18/bin/python2.7", "/usr/bin/python2.7") if os.access(p, os.X_OK)]
    if not found:
        fake = tmp_path / "python2.7"
        fake.write_text("#!/bin/sh\necho 'version 2.7.18'\n")
        fake.chmod(0o755)
        found = [fake]
    r = venvfs("create", root / "x", "--without-pip", "--python", found[0], check=False)
    assert r.returncode == 1 and str(found[0]) in r.stderr
    assert os.listdir(root) == []


@pytest.fixture
def python_3_14(tmp_path):
    """A base with what can be read of CPython 3.14, whose binary is not there to be asked."""
    base = tmp_path / "base"
    (base / "bin").mkdir(parents=True)
    scripts = base / "lib/python3.14/venv/scripts/common"
    scripts.mkdir(parents=True)
    (scripts / "activate").write_text("VIRTUAL_ENV=__VENV_DIR__\nPS1=\"(\"__VENV_PROMPT__\") ${PS1:-}\"\n")
    binary = base / "bin/python3.14"
    binary.write_text("#!/bin/sh\necho three-fourteen\n")
    binary.chmod(0o755)
    return base


def test_g38_the_tree_of_3_14(mount, python_3_14):
    """By recorded facts: no test machine has it. Its fourth link has a name that is not ASCII."""
    x = mount.path / "a b"
    x.mkdir()
    bin = python_3_14 / "bin"
    (x / "pyvenv.cfg").write_text(
        f"home = {bin}\ninclude-system-site-packages = false\nversion = 3.14.0\nexecutable = {bin}/python3.14\n"
        f"command = {bin}/python3.14 -m venv {x}\n"
    )
    links = {p.name: os.readlink(p) for p in (x / "bin").iterdir() if p.is_symlink()}
    assert links == {"python3.14": f"{bin}/python3.14", "python": "python3.14", "python3": "python3.14",
                     "\U0001d70bthon": "python3.14"}  # fmt: skip
    assert subprocess.check_output([x / "bin/\U0001d70bthon"], text=True) == "three-fourteen\n"
    assert {p.name for p in x.iterdir()} == {"pyvenv.cfg", ".gitignore", "bin", "include", "lib", "lib64"}
    assert (x / ".gitignore").read_bytes() == b"# Created by venv; see https://docs.python.org/3/library/venv.html\n*\n"
    assert os.listdir(x / "lib") == ["python3.14"] and os.listdir(x / "include") == ["python3.14"]
    assert (x / "bin/activate").read_text() == f"VIRTUAL_ENV='{x}'\nPS1=\"(\"'a b'\") ${{PS1:-}}\"\n"
    # What 3.14 and later read at each start: an absolute home that is there, and a version that fits.
    text = (x / "pyvenv.cfg").read_text()
    assert text.startswith(f"home = {bin}\n") and "\nversion = 3.14.0\n" in text


def test_pypy(venvfs, mount, tmp_path):
    """L7: its own directory and names, beside what its own venv makes."""
    pypy = shutil.which("pypy3")
    if not pypy:
        pytest.skip("no pypy3 on this machine")
    real = tmp_path / "real/x"
    run(pypy, "-m", "venv", "--without-pip", real, env=venvfs.env)
    x = mount.path / "x"
    venvfs("create", x, "--without-pip", "--python", pypy)
    wheel = wheelmaker.make(tmp_path, "plain", **PLAIN)
    assert_same(seen(x), {p: what for p, what in seen(real).items() if p.split("/")[0] != "share"})
    venvfs("store", "add", "--no-compile", wheel)
    (tmp_path / "pins").write_text("plain==1.0\n")
    venvfs("sync", x, tmp_path / "pins", "--no-compile")
    code = "import sys, plain, pack.mod; print(sys.prefix, plain.__file__)"
    assert run(x / "bin/python", "-c", code, env=venvfs.env).stdout.split() == [str(x), f"{site(x)}/plain.py"]
    assert site(x) == x / "lib" / os.listdir(real / "lib")[0] / "site-packages"
    said = run("sh", "-c", '. "$0"; pypy3 -c "import sys; print(sys.prefix)"; deactivate', x / "bin/activate", env=venvfs.env)
    assert said.stdout == f"{x}\n"


# G40


def test_g40_killed_while_pip_installs(venvfs, make, mount, tmp_path):
    """A RECORD is the old one or the new one, nothing that pip had put aside shows, and installing again mends the rest."""
    x = make("x", pip=True)
    new = tmp_path / "new"
    new.mkdir()
    files = {f"pack/m{i}.py": f"v = {i}\n" for i in range(300)} | {"plain.py": "v = 2\n"}
    wheel = wheelmaker.make(new, "plain", "2.0", files=files)
    for delay in (0.3, 0.8, 1.2, 1.6):
        p = subprocess.Popen([x / "bin/python", "-m", "pip", "install", "-q", "--no-index", "--force-reinstall", wheel],
                             env=venvfs.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            p.wait(delay)
        except subprocess.TimeoutExpired:
            pass
        os.kill(mount.pid, 9)
        wait_for_end(mount.pid)
        p.wait(60)
        mount.mount()
        infos = [d for d in os.listdir(site(x)) if d.startswith("plain-")]
        for info in infos:
            record = site(x) / info / "RECORD"
            if record.exists() and info == "plain-2.0.dist-info":
                check_record(x, info)
        assert "No broken" in run(x / "bin/python", "-m", "pip", "check", env=venvfs.env, check=False).stdout
        assert not list(site(x).glob("~*"))
        run(x / "bin/python", "-m", "pip", "install", "-q", "--no-index", "--force-reinstall", wheel, env=venvfs.env)
        assert [d for d in os.listdir(site(x)) if d.startswith("plain-")] == ["plain-2.0.dist-info"]
        check_record(x, "plain-2.0.dist-info")
        assert not list(site(x).glob("~*"))
        assert "No broken" in run(x / "bin/python", "-m", "pip", "check", env=venvfs.env).stdout
        assert run(x / "bin/python", "-c", "import plain; print(plain.v)", env=venvfs.env).stdout == "2\n"
