# SPDX-License-Identifier: MIT
"""The tree of an environment, beside an ordinary one: names, modes, links, numbers and times."""

import json
import os
import stat
import subprocess
import time

import pytest
from twins import assert_same, comparable, tree

PATHS = """
import json, os, site, sys, sysconfig
print(json.dumps({
    "prefixes": [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix],
    "home": getattr(sys, "_home", None),
    "executables": [sys.executable, getattr(sys, "_base_executable", None)],
    "path": sys.path,
    "paths": sysconfig.get_paths(),
    "vars": {k: v for k, v in sysconfig.get_config_vars().items() if isinstance(v, str)},
    "makefile": sysconfig.get_makefile_filename(),
    "config": sysconfig.get_config_h_filename(),
    "site": site.getsitepackages(),
    "user": site.ENABLE_USER_SITE,
    "pth": getattr(sys, "demo_pth", None),
}))
"""


def test_g1_same_tree_as_an_ordinary_environment(twin):
    assert_same(comparable(tree(twin.env)), comparable(tree(twin.real)))


def listing(top):
    out = []
    for directory, dirs, files in os.walk(top):
        names = os.listdir(directory)
        assert len(names) == len(set(names)) == len(dirs) + len(files)
        for name in names:
            st = os.lstat(os.path.join(directory, name))
            out.append((directory, name, st.st_ino, st.st_mode, st.st_size, st.st_mtime_ns))
    return out


def test_g1_stable_order_numbers_and_times(twin):
    first = listing(twin.env)
    assert listing(twin.env) == first
    twin.mount.remount()
    again = {e[:2]: (e[3], e[4], e[5]) for e in listing(twin.env)}
    assert again == {e[:2]: (e[3], e[4], e[5]) for e in first}


def test_g1_pyvenv_cfg_is_listed_first(twin):
    assert os.listdir(twin.env)[0] == "pyvenv.cfg"


def test_g1_positions_survive_a_change(mount, root):
    """rm -r lists while it deletes: no name may be left out or come twice."""
    d = root / "many"
    d.mkdir()
    names = {f"n{i}" for i in range(1500)}
    for name in names:
        (d / name).touch()
    seen = []
    with os.scandir(d) as it:
        for e in it:
            seen.append(e.name)
            os.unlink(e.path)
    assert len(seen) == len(set(seen)) and set(seen) == names
    assert os.listdir(d) == []
    d.rmdir()


def test_types_of_directory_entries(twin):
    for directory, _, _ in os.walk(twin.env):
        for e in os.scandir(directory):
            st = e.stat(follow_symlinks=False)
            assert e.is_symlink() == stat.S_ISLNK(st.st_mode)
            assert e.is_dir(follow_symlinks=False) == stat.S_ISDIR(st.st_mode)
            assert e.inode() == st.st_ino, e.path


@pytest.mark.parametrize("how", ["python", "python3", "path", "here", "lib64", "project", "project-link"])
def test_g2_prefixes(twin, tmp_path, how):
    code = "import sys; print(sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)"
    env, cwd, prefix = dict(twin.environ), "/", twin.env
    if how in ("python", "python3"):
        python = twin.env / "bin" / how
    elif how == "path":
        python, env["PATH"] = "python", f"{twin.env}/bin:{env['PATH']}"
    elif how == "here":
        python, cwd = "./python", twin.env / "bin"
    elif how == "lib64":
        python = twin.env / "lib64/../bin/python"
    else:
        prefix = tmp_path / ".venv"
        prefix.symlink_to(twin.env)
        python = prefix / "bin/python" if how == "project" else "./.venv/bin/python"
        cwd = tmp_path
    # a shell, because subprocess looks its program up with the parent's PATH
    out = subprocess.check_output(
        ["sh", "-c", 'exec "$0" -c "$1"', python, code], text=True, env=env, cwd=cwd
    ).split()
    base = subprocess.check_output(
        [twin.python, "-ISc", "import sys; print(sys.prefix, sys.exec_prefix)"], text=True
    ).split()
    assert [os.path.normpath(p) for p in out[:2]] == [str(prefix)] * 2
    assert out[2:] == base


def test_g2_a_link_from_elsewhere_is_no_environment(twin, tmp_path):
    (tmp_path / "python").symlink_to(twin.env / "bin/python")
    code = "import sys; print(sys.prefix == sys.base_prefix)"
    assert subprocess.check_output([tmp_path / "python", "-c", code], text=True) == "True\n"


def test_g2_the_interpreter_is_the_named_one(twin):
    for name in ("python", "python3"):
        out = subprocess.check_output([twin.env / "bin" / name, "--version"], text=True)
        cfg = (twin.env / "pyvenv.cfg").read_text()
        assert f"version = {out.split()[1]}\n" in cfg
        assert (twin.env / "bin" / name).resolve() == twin.python.resolve()


def strace(*argv, env, options=("-f", "-qq")):
    r = subprocess.run(["strace", *options, "-o", "/dev/stdout", *argv], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, env=env)  # fmt: skip
    assert r.returncode == 0, r.stderr
    return r.stdout.splitlines()


def test_g3_absent_names_are_absent(twin):
    lines = strace(twin.env / "bin/python", "-c", "pass", env=twin.environ, options=("-f", "-qq", "-e%file"))
    failed = [line for line in lines if str(twin.env) in line and " = -1 " in line]
    assert failed and all(line.endswith("ENOENT (No such file or directory)") or "EINVAL" in line
                          and "readlink" in line for line in failed)  # fmt: skip
    for name in (
        "bin/pyvenv.cfg",
        "bin/python._pth",
        f"local/lib/python{twin.version}/dist-packages",
        "lib/python3/dist-packages",
        f"lib/python{twin.version}/dist-packages",
        f"lib/python{twin.version}/os.py",
        f"lib/python{twin.version}/lib-dynload",
        "conda-meta",
    ):
        with pytest.raises(FileNotFoundError):
            os.lstat(twin.env / name)


def test_g4_paths_of_the_interpreter(twin):
    (code, ours), (_, theirs) = twin.both("bin/python", "-c", PATHS)
    assert code == 0, ours
    ours, theirs = json.loads(ours), json.loads(theirs)
    assert ours == theirs
    assert ours["prefixes"][:2] == [str(twin.env)] * 2
    assert ours["path"].index(str(twin.site)) and ours["pth"] is True
    assert ours["paths"]["purelib"] == ours["paths"]["platlib"] == str(twin.site)


def test_g4_system_site_packages(twins, pythons):
    python = pythons["3.11"]
    twin = twins(python, options=("--system-site-packages",))
    assert_same(comparable(tree(twin.env)), comparable(tree(twin.real)))
    (_, ours), (_, theirs) = twin.both("bin/python", "-c", PATHS)
    assert json.loads(ours) == json.loads(theirs)
    outside = [p for p in json.loads(ours)["path"] if not p.startswith(str(twin.env))]
    assert any(p.endswith(("site-packages", "dist-packages")) for p in outside)


def test_debian_python(twins, debian_python):
    twin = twins(debian_python)
    assert_same(comparable(tree(twin.env)), comparable(tree(twin.real)))
    (_, ours), (_, theirs) = twin.both("bin/python", "-c", PATHS)
    assert json.loads(ours) == json.loads(theirs)


@pytest.mark.parametrize("name", ["a:b", "a\tb", "a\nb", "a\x01b", "a\x7fb", ":"])
def test_g8_names_that_break_paths(mount, root, name):
    with pytest.raises(OSError) as e:
        (root / name).mkdir()
    assert e.value.errno == 22
    (root / "good").mkdir()
    with pytest.raises(OSError) as e:
        (root / "good").rename(root / name)
    assert e.value.errno == 22
    assert os.listdir(root) == ["good"]


@pytest.mark.parametrize("name", ["a b", "it's", 'a"b', "a$b", "a;b", "ümläut", "a\\b", "-x", "a" * 255])
def test_g8_other_names_are_fine(mount, root, name):
    (root / name).mkdir()
    assert os.listdir(root) == [name]


def test_attributes(twin):
    uid = os.getuid()
    for directory, dirs, files in os.walk(twin.env):
        for name in dirs + files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            assert (st.st_uid, st.st_nlink) == (uid, 1), path
            if stat.S_ISREG(st.st_mode) and name != "pyvenv.cfg":
                assert st.st_blocks == (1 if st.st_size else 0), path
                assert stat.S_IMODE(st.st_mode) in (0o644, 0o755), path
                assert len(open(path, "rb").read()) == st.st_size, path
            assert st.st_mtime_ns > 315532800 * 10**9, path  # what zip files can tell
            assert st.st_mtime_ns <= time.time_ns(), path
    assert os.access(twin.site, os.W_OK)


def test_times_of_a_distribution(twin):
    demo = {p.stat().st_mtime_ns for p in (twin.site / "demo").rglob("*") if p.is_file()}
    plain = {p.stat().st_mtime_ns for p in (twin.site / "plain").rglob("*") if p.is_file()}
    assert len(demo) == len(plain) == 1
    assert demo != plain


def test_a_store_file_has_one_number(venvfs, mount, root, debian_python, small_wheels):
    """The same inode in every environment, so that one page cache serves all."""
    venvfs("store", "add", "--no-compile", small_wheels("demo", files={"demo.py": "x = 1\n"}))
    (root.parent / "pins").write_text("demo==1.0\n")
    numbers = set()
    for name in ("a", "b", "c"):
        venvfs("create", root / name, "--without-pip", "--python", debian_python)
        venvfs("sync", root / name, root.parent / "pins", "--no-compile")
        numbers.add((root / name / "lib/python3.11/site-packages/demo.py").stat().st_ino)
    assert len(numbers) == 1
    directories = {(root / n / "lib/python3.11/site-packages").stat().st_ino for n in "abc"}
    generated = {(root / n / "bin/activate").stat().st_ino for n in "abc"}
    assert len(directories) == len(generated) == 3


def test_links(twin):
    links = {}
    for directory, dirs, files in os.walk(twin.env):
        for name in dirs + files:
            path = os.path.join(directory, name)
            if os.path.islink(path):
                links[os.path.relpath(path, twin.env)] = os.readlink(path)
            elif os.path.isfile(path):
                assert os.path.realpath(path) == path
    assert links.pop("lib64") == "lib"
    assert links.keys() == {"bin/python", "bin/python3", f"bin/python{twin.version}"}
    assert links[f"bin/{twin.python.name}"] == str(twin.python)
    assert set(links.values()) == {str(twin.python), twin.python.name}


def test_g34_walk_for_environments(twin):
    """As IDEs look for environments below a directory."""
    (found,) = os.scandir(twin.env.parent)
    assert found.is_dir(follow_symlinks=False) and found.name == "x"
    text = (twin.env / "pyvenv.cfg").read_text()
    versions = [line for line in text.splitlines() if line.startswith("version = ")]
    assert len(versions) == 1 and all(p.isdigit() for p in versions[0][len("version = ") :].split("."))
    assert stat.S_ISREG((twin.env / "bin/python").stat().st_mode)
    assert not (twin.env / "conda-meta").exists()
    assert (twin.env / "bin/activate").is_file()


def test_g35_walk_for_site_packages(twin):
    """As type checkers look for packages."""
    assert [p.name for p in (twin.env / "lib").iterdir()] == [f"python{twin.version}"]
    assert [p.name for p in (twin.env / f"lib/python{twin.version}").iterdir()] == ["site-packages"]
    assert os.readlink(twin.env / "lib64") == "lib"
    assert (twin.env / "lib64" / f"python{twin.version}" / "site-packages").samefile(twin.site)
