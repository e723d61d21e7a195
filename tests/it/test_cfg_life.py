# SPDX-License-Identifier: MIT
"""The life of pyvenv.cfg, by plain file operations: making, cloning, editing in every way editors have,
other tools over it, and its end."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import wheelmaker
from conftest import Venvfs

PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def ready(tmp_path_factory, debian_python):
    """A store with one and two, and the texts of pyvenv.cfg that have the one, and both."""
    base = tmp_path_factory.mktemp("ready")
    venvfs = Venvfs(base, None)
    texts = {}
    wheels = [wheelmaker.make(base, n, files={f"{n}/__init__.py": f"name = {n!r}\n", f"{n}/a.py": ""},
                              entry_points={"console_scripts": {n: f"{n}:main"}}) for n in ("one", "two")]
    venvfs("store", "add", "--no-compile", *wheels)
    for name, pins in {"one": "one==1.0\n", "both": "one==1.0\ntwo==1.0\n", "empty": ""}.items():
        (base / "pins.txt").write_text(pins)
        venvfs("create", base / name, "--without-pip", "--python", debian_python, "--root", base)
        if pins:
            venvfs("sync", "--no-compile", base / name, base / "pins.txt", "--root", base)
        texts[name] = (base / name / "pyvenv.cfg").read_text()
    return base, texts


@pytest.fixture
def venvfs(ready, sanitizer_logs):
    return Venvfs(ready[0], sanitizer_logs)


@pytest.fixture
def texts(ready):
    return ready[1]


@pytest.fixture
def x(mount, texts):
    """An environment that has the one."""
    return make(mount.path / "x", texts["one"])


def make(env, text):
    env.mkdir()
    (env / "pyvenv.cfg").write_text(text)
    return env


def names(env):
    """What is installed there."""
    [d] = Path(env).glob("lib/python3*/site-packages")
    return {p.name for p in d.iterdir() if not p.name.endswith(".dist-info") and p.name != "__pycache__"}


def runs(env, code="import one; print(one.name)"):
    return subprocess.run([env / "bin" / "python", "-B", "-c", code], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def upper_files(mount, name):
    top = mount.upper / name
    return sorted(str(p.relative_to(top)) for p in top.rglob("*") if not p.is_dir())


def fault_of(mount):
    return mount.status()["faults"]


# beginning


def test_written_by_any_program(x):
    assert names(x) == {"one"} and runs(x) == "one"


def test_nothing_shows_before_the_close(mount, texts):
    env = mount.path / "x"
    env.mkdir()
    with open(env / "pyvenv.cfg", "w") as f:
        f.write(texts["one"])
        f.flush()
        assert not (env / "bin").exists()
    assert (env / "bin" / "python").exists() and names(env) == {"one"}


@pytest.mark.parametrize("program", ["cp", "cp -p", "install -m 644", "ln -f", "mv"])
def test_by_program(mount, x, texts, tmp_path, program):
    env = mount.path / "y"
    env.mkdir()
    if program == "ln -f":
        source = x / "pyvenv.cfg"
        r = subprocess.run(["ln", "-f", source, env / "pyvenv.cfg"], stderr=subprocess.PIPE)
        assert r.returncode != 0, "one file would belong to two environments"
        return
    source = tmp_path / "cfg"
    source.write_text(texts["one"])
    subprocess.run([*program.split(), source, env / "pyvenv.cfg"], check=True)
    assert names(env) == {"one"} and runs(env) == "one"
    assert upper_files(mount, "y") == ["pyvenv.cfg"]


def test_clone(mount, x):
    (mount.path / "y").mkdir()
    shutil.copy(x / "pyvenv.cfg", mount.path / "y")
    assert names(mount.path / "y") == {"one"}
    assert runs(mount.path / "y", "import sys; print(sys.prefix)") == str(mount.path / "y")


def test_at_depth_and_in_another(mount, texts):
    (mount.path / "team" / "a b").mkdir(parents=True)
    deep = make(mount.path / "team" / "a b" / "deep", texts["one"])
    assert runs(deep) == "one"
    inner = make(deep / "inner", texts["both"])
    assert names(inner) == {"one", "two"} and names(deep) == {"one"}
    assert not (mount.path / "team" / "bin").exists()


def test_without_the_key(mount, texts):
    """What is made through the mount is ours: the line is added, and says that nothing is in it."""
    plain = "".join(line for line in texts["one"].splitlines(True) if not line.startswith("venvfs-lock"))
    env = make(mount.path / "y", plain)
    assert (env / "pyvenv.cfg").read_text() == plain + "venvfs-lock = none\n"
    assert names(env) == set() and runs(env, "print(1)") == "1"


def test_an_ordinary_one_is_left_alone(venvfs, root, mounts):
    """One that was there before the mount is not given the key."""
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", root / "old"], check=True)
    before = sorted(os.listdir(root / "old")), (root / "old" / "pyvenv.cfg").read_bytes()
    mounts(root)
    assert (sorted(os.listdir(root / "old")), (root / "old" / "pyvenv.cfg").read_bytes()) == before
    assert runs(root / "old", "print(1)") == "1"


@pytest.mark.parametrize("name", ["a:b", "a\tb", "a\nb", "a\x01b"])
def test_names_that_break_paths(mount, name):
    with pytest.raises(OSError) as e:
        (mount.path / name).mkdir()
    assert e.value.errno == errno.EINVAL


# changes


@pytest.mark.parametrize("how", ["w", "r+", "replace", "sed", "cp", "vim", "vim no", "vim yes", "ed-like", "aside"])
def test_edits(mount, x, texts, tmp_path, how):
    cfg = x / "pyvenv.cfg"
    old = next(line for line in texts["one"].splitlines() if line.startswith("venvfs-lock"))
    new = next(line for line in texts["both"].splitlines() if line.startswith("venvfs-lock"))
    text = texts["one"].replace(old, new)
    if how == "w":
        cfg.write_text(text)
    elif how == "r+":
        with open(cfg, "r+") as f:
            f.write(text)
            f.truncate()
    elif how == "replace":
        (x / ".cfg.new").write_text(text)
        os.replace(x / ".cfg.new", cfg)
    elif how == "sed":
        subprocess.run(["sed", "-i", f"s/{old}/{new}/", cfg], check=True)
    elif how == "cp":
        (tmp_path / "cfg").write_text(text)
        subprocess.run(["cp", tmp_path / "cfg", cfg], check=True)
    elif how.startswith("vim"):
        if not shutil.which("vim"):
            pytest.skip("vim is not installed")
        backup = f"set backupcopy={how.partition(' ')[2] or 'auto'}"
        subprocess.run(["vim", "-u", "NONE", "-i", "NONE", "-N", "-es", "-V1" + str(tmp_path / "vimlog"), "-c", backup, "-c", f"%s/{old}/{new}/", "-c", "wq", cfg],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60)
    elif how == "ed-like":  # a backup beside it, then the file itself
        shutil.copy(cfg, x / "pyvenv.cfg~")
        cfg.write_text(text)
    elif how == "aside":
        os.rename(cfg, x / "pyvenv.cfg.bak")
        (x / "pyvenv.cfg").write_text(text)
    assert cfg.read_text() == text
    assert names(x) == {"one", "two"} and runs(x, "import two; print(two.name)") == "two"
    assert fault_of(mount) == []


def test_a_module_never_vanishes(mount, x, texts):
    """A process looks all the time while the file is saved in every way."""
    stop, faults, looks, i = threading.Event(), [], 0, None
    [site] = x.glob("lib/python3*/site-packages")

    def look():
        nonlocal looks
        while not stop.is_set():
            looks += 1
            try:
                with open(site / "one" / "__init__.py") as f:
                    f.read()
                os.stat(x / "bin" / "python")
                if not (x / "pyvenv.cfg").read_text().startswith("home = "):
                    faults.append("half a pyvenv.cfg")
            except OSError as e:
                faults.append((e.errno, e.filename, i))

    t = threading.Thread(target=look)
    t.start()
    for i in range(30):
        text = texts["both" if i % 2 else "one"]
        if i % 3 == 0:
            (x / "pyvenv.cfg").write_text(text)
        elif i % 3 == 1:
            (x / "new").write_text(text)
            os.replace(x / "new", x / "pyvenv.cfg")
        else:
            os.rename(x / "pyvenv.cfg", x / "aside")
            os.rename(x / "aside", x / "pyvenv.cfg")
            (x / "pyvenv.cfg").write_text(text)
    stop.set()
    t.join()
    assert not faults, faults[:3]
    assert looks > 30


def test_git(mount, x, texts):
    def git(*args):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *args], cwd=x, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    if not shutil.which("git"):
        pytest.skip("git is not installed")
    git("init", "-q")
    git("add", "-f", "pyvenv.cfg")
    git("commit", "-qm", "one")
    (x / "pyvenv.cfg").write_text(texts["both"])
    git("commit", "-qam", "both")
    assert names(x) == {"one", "two"}
    git("checkout", "-q", "HEAD~1")
    assert names(x) == {"one"}
    git("checkout", "-q", "-")
    assert names(x) == {"one", "two"}
    (x / "pyvenv.cfg").write_text(texts["one"])
    git("stash", "-q")
    assert names(x) == {"one", "two"}
    git("stash", "pop", "-q")
    assert names(x) == {"one"} and runs(x) == "one"


def test_what_does_not_parse_changes_nothing(mount, x, texts):
    for bad in ("no home at all\n", "home = relative/path\n", texts["one"].replace("sha256:", "md5:"), "\0\0\0"):
        with pytest.raises(OSError) as e:
            (x / "pyvenv.cfg").write_text(bad)
        assert e.value.errno == errno.EINVAL
        assert (x / "pyvenv.cfg").read_text() == texts["one"] and names(x) == {"one"}
        assert (mount.upper / "x" / ".venvfs" / "rejected").read_text() == bad


def test_an_unknown_lock_keeps_the_last_good_view(venvfs, mount, x, texts):
    line = next(line for line in texts["one"].splitlines() if line.startswith("venvfs-lock"))
    (x / "pyvenv.cfg").write_text(texts["one"].replace(line, f"venvfs-lock = sha256:{'0' * 64}"))
    assert names(x) == {"one"} and runs(x) == "one"
    assert fault_of(mount)
    assert "0000" in venvfs("show", x, check=False).stdout
    (x / "pyvenv.cfg").write_text(texts["both"])
    assert names(x) == {"one", "two"} and fault_of(mount) == []


def test_too_large(x, texts):
    with pytest.raises(OSError) as e:
        (x / "pyvenv.cfg").write_text(texts["one"] + "#" * 32768 + "\n")
    assert e.value.errno == errno.EFBIG
    assert (x / "pyvenv.cfg").read_text() == texts["one"] and names(x) == {"one"}


def test_none_empties(x, texts):
    line = next(line for line in texts["one"].splitlines() if line.startswith("venvfs-lock"))
    (x / "pyvenv.cfg").write_text(texts["one"].replace(line, "venvfs-lock = none"))
    assert names(x) == set()


# other tools over it


def test_venv_over_it(x, texts):
    """A rewrite that does not know the line keeps the lock; --clear empties."""
    [site] = x.glob("lib/python3*/site-packages")
    (site / "mine.py").write_text("")
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", x], check=True)
    assert names(x) == {"one", "mine.py"} and runs(x) == "one"
    assert "venvfs-lock = sha256:" in (x / "pyvenv.cfg").read_text()
    subprocess.run([PYTHON, "-m", "venv", "--upgrade", "--without-pip", x], check=True)
    assert names(x) == {"one", "mine.py"}
    subprocess.run([PYTHON, "-m", "venv", "--clear", "--without-pip", x], check=True)
    assert names(x) == set() and runs(x, "print(1)") == "1"


def test_venv_makes_one(mount):
    env = mount.path / "fresh"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", env], check=True)
    assert names(env) == set() and runs(env, "import sys; print(sys.prefix)") == str(env)


def test_uv_venv_over_it(x, tools):
    if not (tools / "uv").exists():
        pytest.skip("no uv among the tools")
    quiet = {**os.environ, "UV_NO_PROGRESS": "1", "UV_CACHE_DIR": str(x.parent.parent / "uv-cache")}
    uv = [tools / "uv", "--offline", "venv", "-q", "--python", PYTHON]
    subprocess.run([*uv, "--allow-existing", x], check=True, env=quiet)
    assert names(x) >= {"one"} and runs(x) == "one"
    subprocess.run([*uv, "--clear", x], check=True, env=quiet)
    assert "one" not in names(x) and runs(x, "print(1)") == "1"


def test_virtualenv_over_it(x, tools):
    if not (tools / "virtualenv").exists():
        pytest.skip("no virtualenv among the tools")
    subprocess.run([tools / "virtualenv", "-q", "--no-download", "--no-seed", "-p", PYTHON, x], check=True)
    assert runs(x) == "one"


def test_venv_with_copies(mount):
    """Its bin/ is there before pyvenv.cfg, and is filled afterwards: it must find no links to what it copies."""
    new = mount.path / "new"
    subprocess.run([PYTHON, "-m", "venv", "--copies", "--without-pip", new], check=True)
    for _ in range(2):
        assert not (new / "bin/python3").is_symlink() and (new / "bin/python3").stat().st_size > 1_000_000
        out = subprocess.check_output([new / "bin/python3", "-c", "import sys; print(sys.prefix)"], text=True)
        assert out.strip() == str(new)
        mount.remount()
    linked = mount.path / "linked"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", linked], check=True)
    assert sorted(os.listdir(linked / "bin")) == sorted({*os.listdir(new / "bin")})
    mount.venvfs("harvest", linked)
    assert [p.name for p in (mount.upper / "linked").iterdir()] == ["pyvenv.cfg"]
    assert (linked / "bin/python3").is_symlink() and (linked / "bin/activate").exists()


# the end


@pytest.mark.parametrize("first", ["", "nothing of ours\n", "# later\n"])
@pytest.mark.parametrize("how", ["w", "r+", "cp"])
def test_a_file_like_any_other_becomes_one(mount, texts, first, how, tmp_path):
    """Written in place, as a fresh one would: at once, and not only for the next daemon."""
    env = mount.path / "d"
    env.mkdir()
    cfg = env / "pyvenv.cfg"
    cfg.write_text(first)
    assert os.listdir(env) == ["pyvenv.cfg"]
    (tmp_path / "text").write_text(texts["one"])
    if how == "cp":
        subprocess.run(["cp", tmp_path / "text", cfg], check=True)
    else:
        with cfg.open(how) as f:
            f.write(texts["one"])
            assert os.listdir(env) == ["pyvenv.cfg"]
    assert {"bin", "lib", "pyvenv.cfg"} <= set(os.listdir(env)) and (env / "bin/python").is_symlink()
    assert cfg.read_text() == texts["one"]


def test_unlink_dissolves(mount, x, texts):
    (x / "pyvenv.cfg").unlink()
    assert os.listdir(x) == [] and not (x / "bin" / "python").exists()
    (x / "pyvenv.cfg").write_text(texts["both"])
    assert names(x) == {"one", "two"}


@pytest.mark.parametrize("walked", [False, True])
@pytest.mark.parametrize("how", ["rm", "rmtree", "find"])
def test_remove_all(mount, x, how, walked):
    [site] = x.glob("lib/python3*/site-packages")
    (site / "mine.py").write_text("")
    (site / "one" / "a.py").unlink()
    if walked:
        subprocess.run(["find", x], check=True, stdout=subprocess.DEVNULL)
    if how == "rm":
        subprocess.run(["rm", "-rf", x], check=True)
    elif how == "rmtree":
        shutil.rmtree(x)
    else:
        subprocess.run(["find", x, "-depth", "-delete"], check=True)
    assert not x.exists() and os.listdir(mount.path) == []
    assert list(mount.upper.iterdir()) == []


def test_rmdir(mount, x):
    os.rmdir(x)
    assert not x.exists() and list(mount.upper.iterdir()) == []


def test_rmdir_with_private_files(mount, x):
    [site] = x.glob("lib/python3*/site-packages")
    (site / "mine.py").write_text("")
    with pytest.raises(OSError) as e:
        os.rmdir(x)
    assert e.value.errno == errno.ENOTEMPTY
    (site / "mine.py").unlink()
    (site / "one" / "a.py").unlink()  # a deletion is nothing to keep
    os.rmdir(x)
    assert list(mount.upper.iterdir()) == []


def test_made_again_under_the_same_name(mount, texts):
    for i in range(5):
        env = make(mount.path / "x", texts["one" if i % 2 else "both"])
        assert names(env) == ({"one"} if i % 2 else {"one", "two"})
        shutil.rmtree(env)


def test_rename(mount, x):
    code = "import sys; print('up', flush=True); sys.stdin.read(); import one.a; print(one.a.__file__)"
    with subprocess.Popen([x / "bin" / "python", "-B", "-c", code],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline() == "up\n"
        os.rename(x, mount.path / "y")
        assert not x.exists() and runs(mount.path / "y") == "one"
        assert (mount.path / "y" / "bin" / "one").read_text().startswith(f"#!{mount.path / 'y'}/bin/python")
        os.rename(mount.path / "y", x)
        out, _ = p.communicate("go")
        assert p.returncode == 0 and out.strip().endswith("one/a.py")
    (mount.path / "sub").mkdir()
    os.rename(x, mount.path / "sub" / "z")
    assert runs(mount.path / "sub" / "z") == "one"


def test_a_process_inside_stays(mount, x, texts):
    """getcwd() of a process in a view directory goes on working while pyvenv.cfg is switched."""
    [site] = x.glob("lib/python3*/site-packages")
    code = "import os, sys\nfor line in sys.stdin:\n print(os.getcwd(), len(os.listdir('.')), flush=True)\n"
    with subprocess.Popen([sys.executable, "-c", code], cwd=site / "one", stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as p:
        for text in ("one", "both", "one"):
            (x / "pyvenv.cfg").write_text(texts[text])
            p.stdin.write("\n")
            p.stdin.flush()
            assert p.stdout.readline().split()[0] == str(site / "one")
        p.stdin.close()
        assert p.wait() == 0


def test_over_a_new_mount(mount, x, texts):
    (x / "pyvenv.cfg").write_text(texts["both"])
    mount.remount()
    assert (x / "pyvenv.cfg").read_text() == texts["both"] and names(x) == {"one", "two"}
    assert upper_files(mount, "x") == [".venvfs/generations", "pyvenv.cfg"]


def test_copies_beside_what_is_in_bin_already(mount, root, debian_python):
    """As venv.create() does, whose default it is to copy the interpreter."""
    (root / "x/bin").mkdir(parents=True)
    (root / "x/bin/own").write_text("own")
    code = f"import venv; venv.create({str(root / 'x')!r})"
    subprocess.run([debian_python, "-c", code], check=True)
    assert (root / "x/bin/own").read_text() == "own" and not (root / "x/bin/python3").is_symlink()
    out = subprocess.check_output([root / "x/bin/python3", "-c", "import sys; print(sys.prefix)"], text=True)
    assert out == f"{root / 'x'}\n"
