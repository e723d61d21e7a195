# SPDX-License-Identifier: MIT
"""Acceptance: each Python's own pip, in a mounted environment and in an ordinary one with the same packages.

What both look like afterwards is the same, once each one's path is put for the other's.
"""

import base64
import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import wheelmaker
from prepared import private
from twins import NAMES, WHEELS, assert_same, comparable, tree

pytestmark = pytest.mark.tools

DEMO = "Demo_Pkg-1.0-py3-none-any.whl"
PLAIN = WHEELS[1]


class Work:
    """`env` is a mounted environment, `real` a copy of the ordinary one: to be worked in."""

    def __init__(self, twin, wheels, tmp):
        self.twin, self.wheels, self.mount, self.tmp = twin, wheels, twin.mount, tmp
        self.env, self.real = twin.env.parent / "work/x", tmp / "work/x"
        self.site, self.lib = self.env / twin.lib, twin.lib
        self.env.mkdir(parents=True)
        self.real.parent.mkdir()
        shutil.copyfile(twin.env / "pyvenv.cfg", self.env / "pyvenv.cfg")
        subprocess.run(["cp", "-a", twin.real, self.real], check=True)
        home = tmp / "tmp"
        home.mkdir()
        self.environ = {**twin.environ, "PIP_CONFIG_FILE": os.devnull, "TMPDIR": str(home), "PIP_NO_INDEX": "1",
                        "PIP_FIND_LINKS": str(wheels), "PIP_NO_DEPS": "1", "PIP_NO_COMPILE": "1"}  # fmt: skip

    def python(self, where, *argv, check=True, **kw):
        r = subprocess.run([where / "bin/python", *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, env=self.environ, cwd="/", **kw)  # fmt: skip
        assert not check or r.returncode == 0, r.stdout
        return r.stdout

    def pip(self, *argv):
        """In both."""
        for where in (self.real, self.env):
            self.python(where, "-m", "pip", *argv)

    def same(self):
        assert_same(self.seen(self.env), self.seen(self.real))

    def seen(self, top):
        """comparable(), with the environment's own path put for the other's in texts, and without digests of those."""
        out, paths = {}, (str(self.env), str(self.real), str(self.twin.env))
        for name, (mode, what) in comparable(tree(top)).items():
            if isinstance(what, bytes) and (name.startswith("bin/") or name == "pyvenv.cfg"):
                for p in paths:
                    what = what.replace(os.fsencode(p), b"ENV")
            elif isinstance(what, set):
                what = {row.split(b",")[0] if row.startswith(b"../../../bin/") else row for row in what}
            out[name] = mode, what
        return out

    def check_records(self, env=None):
        """Every row with a digest is true of what is read."""
        n = 0
        for record in ((env or self.env) / self.lib).glob("*.dist-info/RECORD"):
            for row in record.read_text().splitlines():
                path, digest, size = row.rsplit(",", 2)
                path = path.strip('"')
                if digest:
                    data = (record.parents[1] / path).read_bytes()
                    told = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                    assert (digest, size) == (f"sha256={told}", str(len(data))), path
                    n += 1
        assert n > 20

    def leftovers(self):
        names = [p.name for p in self.env.rglob("*")] + [os.path.basename(p) for p in private(self.mount, "work/x")]
        return [n for n in names if n.startswith(("~", ".fuse_hidden"))]


def fingerprint(store):
    return {str(p.relative_to(store)): hashlib.sha256(p.read_bytes()).hexdigest()
            for d in ("dists", "blobs") for p in (store / d).rglob("*") if p.is_file()}  # fmt: skip


@pytest.fixture
def make(twins, tmp_path):
    """make(PYTHON) is a Work, which is gone afterwards. Neither the store nor the twin beside it changed."""
    made, before = [], {}
    newer = tmp_path / "newer"
    newer.mkdir()
    for w in (*WHEELS, dict(PLAIN, version="2.1", files={"plain/__init__.py": "version = '2.1'\n",
                                                        "shared/plain_part.py": "part = 'plain'\n"})):  # fmt: skip
        wheelmaker.make(newer, **w)

    def get(python):
        twin = twins(python)
        before.update(fingerprint(twins.venvfs.store))
        made.append((Work(twin, newer, tmp_path), tree(twin.env)))
        return made[-1][0]

    yield get
    for work, neighbour in made:
        assert tree(work.twin.env) == neighbour, "the environment beside it changed"
        after = fingerprint(twins.venvfs.store)
        assert {p: after.get(p) for p in before} == before, "the store changed"
        subprocess.run(["rm", "-r", work.env.parent], check=True)
        assert os.listdir(work.twin.env.parent) == ["x"]


@pytest.fixture
def work(make, python):
    return make(python)


@pytest.fixture
def debian(make, debian_python):
    return make(debian_python)


RUNNING = """
import sys, plain
print(plain.version, flush=True)
for line in sys.stdin:
    import importlib
    importlib.invalidate_caches()
    del sys.modules["plain"]
    import plain
    print(plain.version, flush=True)
"""


@pytest.mark.timeout(1200)  # each of its steps is pip, twice
def test_g11_g12_g13_upgrade_uninstall_install(work):
    """In a row, since what takes time is pip. After each step the whole tree is an ordinary environment's."""
    upgrade(work)
    work.same()
    work.check_records()
    work.pip("uninstall", "-y", *NAMES)
    work.same()  # no directory is left that pip took away
    assert work.leftovers() == []
    work.mount.remount()
    work.same()
    assert "ModuleNotFoundError" in work.python(work.env, "-c", "import demo", check=False)
    install(work)
    work.same()
    work.check_records()
    # Put into the store, it is the same once more.
    said = work.mount.venvfs.json("harvest", work.env)
    assert [d["name"] for d in said["added"]] == ["demo-pkg"] and said["kept"] == []
    work.same()
    work.check_records()


def upgrade(work):
    """A running process sees the new one once it is told that there are new modules, a fresh one at once."""
    p = subprocess.Popen([work.env / "bin/python", "-c", RUNNING], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True, env=work.environ)  # fmt: skip
    with p:
        assert p.stdout.readline() == "2.0\n"
        work.pip("install", "-q", "plain==2.1")
        assert [d for d in os.listdir(work.site) if d.startswith("plain-")] == ["plain-2.1.dist-info"]
        p.stdin.write("again\n")
        p.stdin.flush()
        assert p.stdout.readline() == "2.1\n"
        p.stdin.close()
    assert p.returncode == 0
    assert work.python(work.env, "-c", "import plain; print(plain.version)") == "2.1\n"
    assert work.python(work.twin.env, "-c", "import plain; print(plain.version)") == "2.0\n"


def install(work):
    """M13: where each kind of file goes."""
    work.pip("install", "-q", work.wheels / DEMO)
    for path in ("share/demo/a b.txt", "etc/demo/demo.conf", "bin/demo"):
        assert (work.env / path).is_file(), path
    assert len(list(work.env.glob(f"include/site/python{work.twin.version}/*/demo.h"))) == 1
    assert (work.site / "Demo_Pkg-1.0.dist-info/direct_url.json").is_file()


def test_g14_renames_stay_inside(debian):
    """A directory of the view is renamed as any: only what goes to another file system is EXDEV."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    log = debian.tmp / "log"
    subprocess.run(["strace", "-f", "-qq", "-s", "4096", "-o", log, "-e", "trace=rename,renameat,renameat2",
                    debian.env / "bin/python", "-m", "pip", "uninstall", "-q", "-y", "demo-pkg", "plain"],
                   check=True, env=debian.environ, cwd="/")  # fmt: skip
    calls = [line for line in log.read_text().splitlines() if "rename" in line]
    inside = [c for c in calls if c.count(f'"{debian.env}/') == 2]
    out = [c for c in calls if f'"{debian.environ["TMPDIR"]}/' in c]
    assert inside and out and len(inside) + len(out) == len(calls)
    assert not [c for c in inside if " = -1 " in c]
    assert all(c.endswith("EXDEV (Invalid cross-device link)") for c in out if " = -1 " in c)


HOLDER = """
import mmap, sys, native._json
f = open(sys.argv[1])
e = open(native._json.__file__, "rb")
m = mmap.mmap(e.fileno(), 0, access=mmap.ACCESS_READ)
print(native._json.__file__, flush=True)
sys.stdin.read()
print(f.read() == "held = 1\\n", m[:4] == b"\\x7fELF", native._json.encode_basestring_ascii("x"))
"""


def test_g15_uninstall_what_is_in_use(venvfs, mount, tools, tmp_path, debian_python):
    """G28 as well: an extension module of the store, imported and mapped."""
    [extension] = [p for p in map(str, extensions(debian_python)) if os.path.basename(p).startswith("_json.")]
    with open(extension, "rb") as f:
        wheel = wheelmaker.make(tmp_path, "native", files={"native/__init__.py": "held = 1\n",
                                                           "native/_json.so": f.read()})  # fmt: skip
    venvfs("store", "add", "--no-compile", wheel)
    env = mount.path / "x"
    venvfs("create", env, "--python", debian_python)
    (tmp_path / "pins").write_text("native==1.0\n")
    venvfs("sync", env, tmp_path / "pins", "--no-compile")
    [site] = env.glob("lib/python3*/site-packages")
    with subprocess.Popen([env / "bin/python", "-B", "-c", HOLDER, site / "native/__init__.py"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, env=venvfs.env) as p:  # fmt: skip
        assert p.stdout.readline() == f"{site}/native/_json.so\n"
        subprocess.run([tools / "python", "-m", "pip", "--python", env / "bin/python", "uninstall", "-q", "-y", "native"],
                       check=True, env=venvfs.env)  # fmt: skip
        assert not [n for n in os.listdir(site) if "native" in n or n.startswith(("~", ".fuse"))]
        assert p.communicate("")[0] == 'True True "x"\n'
    assert p.returncode == 0
    assert not [n for n in private(mount, "x") if "fuse_hidden" in n]


def extensions(python):
    code = "import sysconfig; print(sysconfig.get_path('platstdlib'))"
    return (Path(subprocess.check_output([python, "-c", code], text=True).strip()) / "lib-dynload").iterdir()


@pytest.mark.parametrize("version", ["3.8", "3.13", "debian"])
def test_g16_pip_comes_back(make, pythons, debian_python, version):
    if version != "debian" and version not in pythons:
        pytest.skip(f"no CPython {version} on this machine")
    work = make(debian_python if version == "debian" else pythons[version])
    told = work.python(work.env, "-m", "pip", "--version").split()[1]
    work.python(work.env, "-m", "pip", "uninstall", "-q", "-y", "pip")
    assert "No module named pip" in work.python(work.env, "-m", "pip", "--version", check=False)
    assert not [n for n in os.listdir(work.env / "bin") if n.startswith("pip")]
    work.python(work.env, "-m", "ensurepip", "--default-pip")
    assert work.python(work.env, "-m", "pip", "--version").split()[1] == told
    assert (work.env / "bin/pip").exists() and (work.env / "bin/pip3").exists()
    work.check_records()


def test_g17_installs_at_once(debian):
    """Two into one environment, and one into each of two: all RECORDs are complete."""
    for n in ("one", "two", "three", "four"):
        files = {f"many/{n}/m{i}.py": f"v = '{n}{i}'\n" for i in range(100)}
        wheelmaker.make(debian.wheels, n, "1.0", files=files, entry_points={"console_scripts": {n: f"many.{n}.m0:v"}})
    envs = [debian.env.with_name(f"more{i}") for i in range(2)]
    for env in envs:
        env.mkdir()
        shutil.copyfile(debian.env / "pyvenv.cfg", env / "pyvenv.cfg")
    jobs = [(debian.env, "one"), (debian.env, "two"), (envs[0], "three"), (envs[1], "four")]
    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(lambda job: debian.python(job[0], "-m", "pip", "install", "-q", job[1]), jobs))
    for env, name in jobs:
        record = (env / debian.lib / f"{name}-1.0.dist-info/RECORD").read_text()
        assert all(f"many/{name}/m{i}.py," in record for i in range(100)) and f"../../../bin/{name}," in record
        debian.check_records(env)
        debian.python(env, "-m", "pip", "uninstall", "-q", "-y", name)
        assert not (env / debian.lib / "many" / name).exists()
    subprocess.run(["rm", "-rf", *envs], check=True)
