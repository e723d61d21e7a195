# SPDX-License-Identifier: MIT
"""`venvfs python ls`, and environments of what it lists."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# What CPython 3.13's free-threaded build tells about itself.
FREE_THREADED = """venvfs-python 1
executable {path}
base-prefix {prefix}
version 3.13.0
implementation cpython
abiflags t
lib lib/python3.13t
stdlib {prefix}/lib/python3.13t
cache-tag cpython-313
magic f30d0d0a
tag cp313-cp313t-linux_x86_64
tag py3-none-any
end python
"""


def version_of(python):
    code = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    return subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.fixture
def real(pythons):
    """(the binary of some CPython of this machine, its version)"""
    if not pythons:
        pytest.skip("no CPython on this machine")
    version, path = max(pythons.items(), key=lambda p: int(p[0].partition(".")[2]))
    return path.resolve(), version


@pytest.fixture
def surroundings(tmp_path):
    """The environment variables of a home without any Python."""
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "PATH": str(home / "bin"), "XDG_DATA_HOME": str(home / ".local/share")}
    for name in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "CONDA_PREFIX", "CONDA_ROOT", "MAMBA_ROOT_PREFIX"):
        env[name] = ""
    return env


@pytest.fixture
def root(root, venvfs):
    """Known as one also where it is not mounted."""
    venvfs.env["VENVFS_ROOT"] = str(root)
    return root


def installed(binary, directory, version, name=None):
    """A copy of the binary, as an installation of its own."""
    (directory / "bin").mkdir(parents=True)
    path = directory / "bin" / (name or f"python{version}")
    shutil.copy(binary, path)
    (directory / "bin" / "python3").symlink_to(path.name)
    (directory / "bin" / "python").symlink_to("python3")
    return path


def listed(venvfs, env):
    """path -> what is told, of all that is in the home."""
    found = venvfs.json("python", "ls", env=env)["pythons"]
    assert len({p["path"] for p in found}) == len(found)
    return {p["path"]: p for p in found if p["path"].startswith(env["HOME"])}


def test_ls_knows_the_pythons_of_this_machine(venvfs, pythons, debian_python):
    found = venvfs.json("python", "ls")["pythons"]
    binaries = [os.path.realpath(p["path"]) for p in found]
    assert len(set(binaries)) == len(binaries)
    for python in [*pythons.values(), debian_python]:
        (one,) = [p for p in found if os.path.realpath(p["path"]) == os.path.realpath(python)]
        assert one["version"] == version_of(python)
        assert one["implementation"] == "cpython" and not one["fault"]
        if str(python).startswith(str(Path.home() / ".pyenv")):
            assert one["source"] == "pyenv"
        if str(python).startswith("/usr/bin"):
            assert one["source"] == "system"
    table = venvfs("python", "ls").stdout
    assert [line.split()[-1] for line in table.splitlines()] == [p["path"] for p in found]


def test_ls_looks_where_each_tool_keeps_them(venvfs, real, surroundings):
    binary, version = real
    home = Path(surroundings["HOME"])
    full = version_of(binary)
    want = {
        installed(binary, home, version): "PATH",
        installed(binary, home / ".pyenv/versions" / full, version): "pyenv",
        installed(binary, home / f".local/share/uv/python/cpython-{full}-linux-x86_64-gnu", version): "uv",
        installed(binary, home / "miniconda3", version): "conda",
        installed(binary, home / "anaconda3/envs/work", version): "conda",
        installed(binary, home / "elsewhere/noted", version): "conda",
        installed(binary, home / "elsewhere/active", version): "conda",
    }
    for path, source in want.items():
        if source == "conda":
            (path.parent.parent / "conda-meta").mkdir()
    installed(binary, home / "miniconda3/envs/no-environment", version)
    # conda links one file into many environments
    linked = home / "miniconda3/envs/linked/bin" / f"python{version}"
    linked.parent.mkdir(parents=True)
    (linked.parent.parent / "conda-meta").mkdir()
    os.link(home / "miniconda3/bin" / linked.name, linked)
    want[linked] = "conda"
    # uv's directory of a minor version is a link to the newest
    uv = home / f".local/share/uv/python/cpython-{full}-linux-x86_64-gnu"
    (uv.parent / f"cpython-{version}-linux-x86_64-gnu").symlink_to(uv)
    (home / ".conda").mkdir()
    (home / ".conda/environments.txt").write_text(f"{home}/gone\n{home}/elsewhere/noted\n")
    env = {**surroundings, "CONDA_PREFIX": str(home / "elsewhere/active")}
    found = listed(venvfs, env)
    assert {p: one["source"] for p, one in found.items()} == {str(p): s for p, s in want.items()}
    assert {p for p, one in found.items() if one["in_path"]} == {str(home / "bin" / f"python{version}")}
    assert {one["version"] for one in found.values()} == {full}


def test_what_is_listed_can_be_named(venvfs, real, surroundings, root):
    binary, version = real
    home = Path(surroundings["HOME"])
    installed(binary, home / "elsewhere/noted", version)
    (home / "elsewhere/noted/conda-meta").mkdir()
    (home / ".conda").mkdir()
    (home / ".conda/environments.txt").write_text(f"{home}/elsewhere/noted\n")
    path = home / "elsewhere/noted/bin" / f"python{version}"
    if Path(f"/usr/bin/python{version}").exists() or Path(f"/usr/local/bin/python{version}").exists():
        pytest.skip(f"the system's {version} comes first")
    for name in (version, f"python{version}", version_of(binary)):
        venvfs("create", root / f"e-{name}", "--python", name, "--without-pip", env=surroundings)
        assert f"home = {path.parent}\n" in (root / f"e-{name}/pyvenv.cfg").read_text()
    r = venvfs("create", root / "no", "--python", f"{version}t", env=surroundings, check=False)
    assert r.returncode == 1 and "venvfs python ls" in r.stderr and not (root / "no").exists()


def fake_free_threaded(directory):
    """A program that says what a free-threaded Python says, and counts how often it is asked."""
    (directory / "bin").mkdir()
    python = directory / "bin/python3.13t"
    facts = FREE_THREADED.format(path=python, prefix=directory)
    python.write_text(f"#!/bin/sh\necho >>{directory}/starts\n/bin/cat <<'E'\n{facts}E\n")
    python.chmod(0o755)
    return python


def test_facts_are_asked_for_once(venvfs, surroundings):
    home = Path(surroundings["HOME"])
    python = fake_free_threaded(home)
    starts = home / "starts"
    for _ in range(3):
        assert listed(venvfs, surroundings)[str(python)]["version"] == "3.13.0"
    assert len(starts.read_bytes()) == 1
    python.write_text(python.read_text().replace("version 3.13.0", "version 3.13.1"))
    for _ in range(2):
        assert listed(venvfs, surroundings)[str(python)]["version"] == "3.13.1"
    assert len(starts.read_bytes()) == 2
    os.utime(python, ns=(0, 10**18))
    listed(venvfs, surroundings)
    assert len(starts.read_bytes()) == 3


def test_a_python_that_was_only_listed_is_not_compiled_for(venvfs, surroundings, store):
    fake_free_threaded(Path(surroundings["HOME"]))
    listed(venvfs, surroundings)
    assert not list(store.glob("notes/pythons/*"))


def test_free_threaded(venvfs, mount, surroundings):
    """By the facts of a real one."""
    home = Path(surroundings["HOME"])
    python = fake_free_threaded(home)
    assert listed(venvfs, surroundings)[str(python)]["free_threaded"]
    env = {**surroundings, "XDG_DATA_HOME": venvfs.env["XDG_DATA_HOME"]}
    r = venvfs("create", mount.path / "no", "--python", "3.13", "--without-pip", check=False, env=env)
    if r.returncode == 0:
        assert str(home) not in (mount.path / "no/pyvenv.cfg").read_text()
    venvfs("create", mount.path / "e", "--python", "3.13t", "--without-pip", env=env)
    e = mount.path / "e"
    assert os.listdir(e / "lib") == ["python3.13t"]
    assert os.listdir(e / "include") == ["python3.13t"]
    assert {p.name: os.readlink(p) for p in (e / "bin").glob("python*")} == {
        "python3.13t": str(python),
        "python": "python3.13t",
        "python3": "python3.13t",
        "python3.13": "python3.13t",
    }


def test_a_python_that_does_not_run_is_told(venvfs, surroundings):
    home = Path(surroundings["HOME"])
    (home / "bin").mkdir()
    broken = home / "bin/python3.12"
    broken.write_text("#!/bin/sh\necho libpython is missing >&2\nexit 127\n")
    broken.chmod(0o755)
    one = listed(venvfs, surroundings)[str(broken)]
    assert one["version"] is None and "libpython is missing" in one["fault"]
    assert "libpython is missing" in venvfs("python", "ls", env=surroundings).stdout


def test_usage(venvfs):
    for args in (["python"], ["python", "rm"], ["python", "ls", "x"], ["python", "ls", "--bad"]):
        r = venvfs(*args, check=False)
        assert r.returncode == 2 and "venvfs python ls [--json]" in r.stderr, args


# layouts


def sources(directory):
    """All that is private in it but bytecode, which goes when the store has its own."""
    return [p for p in directory.rglob("*") if p.is_file() and p.suffix != ".pyc"]


@pytest.fixture(scope="session")
def pypy():
    path = shutil.which("pypy3")
    if not path:
        pytest.skip("no pypy3 on this machine")
    return path


def test_pypy(venvfs, mounts, root, pypy, small_wheels, tmp_path):
    """pip and an import in an environment of PyPy, before and after a harvest."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    minor = subprocess.run([pypy, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    mount = mounts(root)
    wheel = small_wheels(
        "demo", files={"demo.py": "x = 7\n"}, entry_points={"console_scripts": {"demo-run": "demo:main"}}
    )
    venvfs("create", root / "pp", "--python", f"pypy{minor}")
    env = root / "pp"
    assert os.listdir(env / "lib") == [f"pypy{minor}"]
    real = tmp_path / "real"
    subprocess.run([f"{pypy[:-1]}{minor}", "-m", "venv", "--without-pip", real], check=True)
    assert {p.name for p in (env / "bin").glob("py*")} == {p.name for p in (real / "bin").glob("py*")}
    subprocess.run([env / "bin/pip", "install", "--no-index", wheel], check=True, stdout=subprocess.DEVNULL)
    code = "import sys, demo; print(sys.prefix, sys.implementation.name, demo.x, demo.__file__)"
    want = f"{env} pypy 7 {env}/lib/pypy{minor}/site-packages/demo.py"

    def look():
        r = subprocess.run([env / "bin/python", "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        assert r.stdout.strip() == want
        assert (env / "bin/demo-run").read_text().splitlines()[0].startswith(f"#!{env}/bin/p")

    look()
    venvfs("harvest", env)
    assert not sources(mount.upper / "pp/lib")
    assert "demo" in [d["name"] for d in venvfs.json("show", env)["distributions"]]
    look()
    mount.remount()
    look()


@pytest.fixture
def fedora(pythons, tmp_path):
    """A base Python whose sysconfig tells lib64 for what is not pure, as Fedora's does: a copy of one of this
    machine, which learns it at start."""
    version = next((v for v in ("3.12", "3.11", "3.13", "3.10", "3.9") if v in pythons), None)
    if not version:
        pytest.skip("no CPython of 3.9 or later on this machine")
    code = "import os; print(os.path.dirname(os.__file__))"
    stdlib = Path(
        subprocess.run([pythons[version], "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    )
    base = tmp_path / "fedora"
    lib = base / "lib" / f"python{version}"
    lib.mkdir(parents=True)
    (base / "bin").mkdir()
    shutil.copy(pythons[version].resolve(), base / "bin" / f"python{version}")
    for p in stdlib.iterdir():
        if p.name not in ("site-packages", "sitecustomize.py"):
            (lib / p.name).symlink_to(p)
    (lib / "sitecustomize.py").write_text("import sys\nsys.platlibdir = 'lib64'\n")
    (base / "lib64").symlink_to("lib")
    return base / "bin" / f"python{version}"


def test_lib64(venvfs, mounts, root, fedora, small_wheels):
    """Fedora's purelib and platlib: two names, one place in an environment."""
    python = root / "f/bin/python"
    version = fedora.name[len("python"):]
    mount = mounts(root)
    venvfs("create", root / "f", "--python", fedora)
    assert os.listdir(root / "f/lib") == [f"python{version}"] and os.readlink(root / "f/lib64") == "lib"
    code = "import sysconfig; print(sysconfig.get_path('purelib'), sysconfig.get_path('platlib'))"
    r = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    site = f"python{version}/site-packages"
    assert r.stdout.split() == [f"{root}/f/lib/{site}", f"{root}/f/lib64/{site}"]
    pure = small_wheels("pure", files={"pure.py": "x = 1\n", "both/a.py": ""})
    plat = small_wheels("plat", files={"plat.py": "x = 2\n", "both/b.py": ""}, pure=False)
    subprocess.run([python, "-m", "pip", "install", "--no-index", pure, plat], check=True, stdout=subprocess.DEVNULL)

    def look():
        code = "import pure, plat, both.a, both.b; print(pure.x + plat.x)"
        r = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        assert r.stdout == "3\n"
        assert (root / f"f/lib64/{site}/plat.py").samefile(root / f"f/lib/{site}/plat.py")

    look()
    venvfs("harvest", root / "f")
    assert not sources(mount.upper / "f/lib") and not (mount.upper / "f/lib64").is_symlink()
    look()
    subprocess.run([python, "-m", "pip", "uninstall", "-y", "plat"], check=True, stdout=subprocess.DEVNULL)
    assert not (root / f"f/lib64/{site}/plat.py").exists() and (root / f"f/lib/{site}/both/a.py").exists()
