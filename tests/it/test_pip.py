# SPDX-License-Identifier: MIT
"""Installers in an environment whose packages came from the store: real pip and uv, on wheels made by
hand. What they do is the environment's own; another one with the same lock, and the store, see none of it."""

import shutil
import subprocess

import pytest

import wheelmaker
from conftest import Venvfs


def wheel_of(directory, name, version):
    return wheelmaker.make(
        directory, name, version,
        files={f"{name}/__init__.py": f"version = {version!r}\ndef main(): print({name!r}, version)\n",
               f"{name}/only_in_{version[0]}.py": "", f"{name}/data/big.bin": version.encode() * 60_000},
        entry_points={"console_scripts": {name: f"{name}:main", f"{name}-{version[0]}": f"{name}:main"}},
        data={f"share/{name}/notes.txt": version})


@pytest.fixture(scope="module")
def ready(tmp_path_factory, debian_python):
    base = tmp_path_factory.mktemp("ready")
    venvfs = Venvfs(base, None)
    index = base / "index"
    index.mkdir()
    for name in ("demo", "other"):
        for version in ("1.0", "2.0"):
            wheel_of(index, name, version)
    venvfs("store", "add", "--no-compile", index / "demo-1.0-py3-none-any.whl", index / "other-1.0-py3-none-any.whl")
    r = venvfs("create", base / "x", "--python", debian_python, "--root", base, check=False)
    if r.returncode != 0:
        pytest.skip(f"no pip for {debian_python}: {r.stderr.strip()}")
    (base / "pins.txt").write_text("demo==1.0\nother==1.0\n")
    venvfs("sync", "--no-compile", base / "x", base / "pins.txt", "--root", base)
    return base, (base / "x" / "pyvenv.cfg").read_bytes()


class Two:
    """x is worked in; y is beside it."""

    def __init__(self, base, cfg, mount, tools, which):
        self.index, self.mount, self.tools, self.which = base / "index", mount, tools, which
        for name in "xy":
            (mount.path / name).mkdir()
            (mount.path / name / "pyvenv.cfg").write_bytes(cfg)
        self.x, self.y = mount.path / "x", mount.path / "y"
        self.before = self.tree(self.y)
        self.tmp = mount.path.parent

    @staticmethod
    def tree(env):
        return {str(p.relative_to(env)): p.read_bytes() if p.is_file() and not p.is_symlink() else None
                for p in env.rglob("*") if "__pycache__" not in p.parts}

    @property
    def env(self):
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.tmp), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index),
                "PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(self.index),
                "UV_OFFLINE": "1", "UV_CACHE_DIR": str(self.tmp / "uv-cache"), "VIRTUAL_ENV": str(self.x)}

    def run(self, *argv, check=True):
        r = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.env)
        assert not check or r.returncode == 0, r.stdout
        return r.stdout

    def argv(self, *args):
        if self.which == "uv":
            return [self.tools / "uv", "pip", *(a for a in args if a != "-y")]
        return [self.x / "bin" / "pip", *args]

    def pip(self, *args, check=True):
        return self.run(*self.argv(*args), check=check)

    def start(self, *args):
        return subprocess.Popen(self.argv(*args), env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @property
    def site(self):
        [d] = self.x.glob("lib/python3*/site-packages")
        return d

    def versions(self):
        code = ("import importlib.metadata as m\n"
                "print({d.metadata['Name']: d.version for d in m.distributions() if d.metadata['Name'] in ('demo', 'other')})")
        return eval(self.run(self.x / "bin" / "python", "-c", code))

    def check(self):
        assert self.tree(self.y) == self.before, "the other environment changed"
        assert [p.name for p in (self.mount.upper / "y").iterdir()] == ["pyvenv.cfg"]
        assert self.mount.venvfs.json("store", "verify")["bad"] == 0
        if self.which == "pip":
            assert "No broken requirements" in self.pip("check")


    def harvest(self):
        """Whatever was done: afterwards the same shows, and only what no RECORD lists is private."""
        shown, versions = self.tree(self.x), self.versions()
        said = self.mount.venvfs.json("harvest", self.x)
        assert said["kept"] == []
        assert self.versions() == versions
        after = self.tree(self.x)
        made_anew = {p for p in shown if p in ("pyvenv.cfg", ".lock") or p.startswith("bin/") or p.endswith(
            tuple(f".dist-info/{n}" for n in ("RECORD", "INSTALLER", "uv_cache.json")))}
        assert {p: v for p, v in after.items() if p not in made_anew} == {
            p: v for p, v in shown.items() if p not in made_anew}
        assert {p for p in shown if p.startswith("bin/")} == {p for p in after if p.startswith("bin/")}
        left = {str(p.relative_to(self.mount.upper / "x")) for p in (self.mount.upper / "x").rglob("*")
                if "__pycache__" not in p.parts and ".venvfs" not in p.parts and p.is_file()}
        assert left <= {"pyvenv.cfg", ".lock"}, (left, said)
        self.check()


@pytest.fixture(params=["pip", "uv"])
def two(request, ready, mounts, root, tools, sanitizer_logs):
    if request.param == "uv" and not (tools / "uv").exists():
        pytest.skip("no uv among the tools")
    t = Two(*ready, mounts(root, venvfs=Venvfs(ready[0], sanitizer_logs)), tools, request.param)
    yield t
    t.check()
    t.harvest()


def test_what_is_there(two):
    assert two.versions() == {"demo": "1.0", "other": "1.0"}
    out = two.pip("freeze")
    assert "demo==1.0" in out and "other==1.0" in out
    assert two.run(two.x / "bin" / "demo") == "demo 1.0\n"
    if two.which == "pip":
        shown = two.pip("show", "-f", "demo")
        assert "demo/__init__.py" in shown and "../../../bin/demo" in shown and "share/demo/notes.txt" in shown


def test_install_something_new(two):
    two.pip("uninstall", "-y", "other")
    two.pip("install", "other==2.0")
    assert two.versions() == {"demo": "1.0", "other": "2.0"}
    assert two.run(two.x / "bin" / "other") == "other 2.0\n"


def test_upgrade(two):
    two.pip("install", "-U", "demo")
    assert two.versions() == {"demo": "2.0", "other": "1.0"}
    assert two.run(two.x / "bin" / "demo") == "demo 2.0\n"
    assert not (two.site / "demo" / "only_in_1.py").exists() and (two.site / "demo" / "only_in_2.py").exists()
    assert not (two.site / "demo-1.0.dist-info").exists() and (two.site / "demo-2.0.dist-info").exists()
    assert not (two.x / "bin" / "demo-1").exists() and (two.x / "bin" / "demo-2").exists()
    assert (two.x / "share" / "demo" / "notes.txt").read_text() == "2.0"


def test_uninstall(two):
    two.pip("uninstall", "-y", "demo")
    assert two.versions() == {"other": "1.0"}
    assert not list(two.site.glob("demo*")) and not (two.x / "bin" / "demo").exists()
    assert not (two.x / "share" / "demo" / "notes.txt").exists()
    assert "ModuleNotFoundError" in two.run(two.x / "bin" / "python", "-c", "import demo", check=False)


def test_back_and_forth(two):
    for version in ("2.0", "1.0", "2.0"):
        two.pip("install", f"demo=={version}")
        assert two.versions()["demo"] == version
        two.pip("uninstall", "-y", "demo")
        assert "demo" not in two.versions()
    two.pip("install", "demo==1.0")
    assert two.run(two.x / "bin" / "demo") == "demo 1.0\n"


def test_reinstall_of_what_is_there(two):
    two.pip("install", "--force-reinstall" if two.which == "pip" else "--reinstall", "demo==1.0")
    assert two.versions()["demo"] == "1.0" and two.run(two.x / "bin" / "demo") == "demo 1.0\n"
    assert (two.site / "demo-1.0.dist-info" / "INSTALLER").read_text().strip() == two.which


def test_over_a_new_mount(two):
    two.pip("install", "-U", "demo")
    two.pip("uninstall", "-y", "other")
    two.mount.remount()
    assert two.versions() == {"demo": "2.0"}
    assert not (two.site / "other").exists() and not (two.x / "bin" / "other").exists()


def test_interrupted(two):
    """Killed in the middle: what is there is a mixture, which pip itself may not know how to mend, as anywhere. It can
    be removed by hand, and installed anew."""
    again = "--force-reinstall" if two.which == "pip" else "--reinstall"
    for delay in (0.02, 0.05, 0.4, 0.6, 0.8):
        p = two.start("install", "-q", again, "demo==2.0")
        try:
            p.wait(delay)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    for place in (two.site, two.x / "bin", two.x / "share"):
        for p in [*place.glob("demo*"), *place.glob("~emo*")]:  # pip renames what it is about to delete
            shutil.rmtree(p) if p.is_dir() else p.unlink()
    two.pip("install", "demo==1.0")
    assert two.run(two.x / "bin" / "demo") == "demo 1.0\n"
    assert (two.site / "demo" / "data" / "big.bin").read_bytes() == b"1.0" * 60_000
