# SPDX-License-Identifier: MIT
"""Distributions as installers and importlib.metadata see them, merged directories, conflicts."""

import base64
import csv
import hashlib
import json
import os
import subprocess

import pytest

METADATA = """
import importlib.metadata as m, json
out = {}
for d in m.distributions():
    files = d.files
    out[d.metadata["Name"]] = {
        "version": d.version,
        "requires": d.requires,
        "files": sorted(str(f) for f in files if ".pyc" not in str(f)),
        "there": all(f.locate().exists() for f in files if ".pyc" not in str(f)),
        "entry-points": sorted(map(str, ((e.group, e.name, e.value) for e in d.entry_points))),
        "keys": sorted(d.metadata.keys()),
    }
print(json.dumps(out, sort_keys=True))
"""


@pytest.mark.parametrize(
    "argv",
    [("list",), ("list", "--format=json"), ("list", "--path", "SITE"), ("freeze", "--all"), ("check",),
     ("show", "demo-pkg", "plain"), ("list", "--not-required")],
    ids=" ".join,
)  # fmt: skip
def test_g10_pip(twin, argv):
    argv = [str(twin.site) if a == "SITE" else a for a in argv]
    (code, ours), (real_code, theirs) = twin.both("bin/python", "-m", "pip", *argv)
    if argv[0] == "list" and "--path" in argv:
        theirs = twin.run(twin.real, "bin/python", "-m", "pip", "list", "--path", str(twin.real / twin.lib))[1]
    assert ours.replace("Installer: venvfs", "Installer: pip") == theirs
    assert code == real_code


def test_g10_show_files(twin):
    (_, ours), (_, theirs) = twin.both("bin/python", "-m", "pip", "show", "-f", "demo-pkg", "pip")

    def rows(text):
        return sorted(line for line in text.splitlines() if not line.endswith(".pyc"))

    assert "  ../../../bin/demo" in ours
    assert rows(ours.replace("Installer: venvfs", "Installer: pip")) == rows(theirs)


def test_g10_inspect(twin):
    (_, ours), (_, theirs) = twin.both("bin/python", "-m", "pip", "inspect", "--local")
    if "unknown command" in theirs:
        pytest.skip("this Python's pip has no inspect")

    def normal(text):
        found = json.loads(text[text.index("{") :])
        for d in found["installed"]:
            if d.get("installer") == "venvfs":
                d["installer"] = "pip"
        found["installed"].sort(key=lambda d: d["metadata"]["name"])
        return found

    assert normal(ours) == normal(theirs)
    assert len(normal(ours)["installed"]) >= 4


def test_g10_importlib_metadata(twin):
    (code, ours), (_, theirs) = twin.both("bin/python", "-c", METADATA)
    assert code == 0, ours
    ours, theirs = json.loads(ours), json.loads(theirs)
    assert ours == theirs
    assert ours["Demo.Pkg"]["there"] and ours["Demo.Pkg"]["entry-points"]


def record_rows(record):
    with open(record, newline="", encoding="utf-8") as f:
        return list(csv.reader(f))


def check_record(site, info):
    rows = record_rows(site / info / "RECORD")
    for path, digest, size in rows:
        if path == f"{info}/RECORD":
            assert digest == size == ""
            continue
        data = (site / path).read_bytes()
        assert (site / path).stat().st_size == len(data) == int(size), path
        name, _, value = digest.partition("=")
        assert name == "sha256"
        assert value == base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode(), path
    paths = [row[0] for row in rows]
    assert len(paths) == len(set(paths))
    return paths


def test_g10_every_record_row_is_true(twin):
    infos = sorted(p.name for p in twin.site.glob("*.dist-info"))
    assert len(infos) >= 4
    listed = {os.path.normpath(twin.site / p) for info in infos for p in check_record(twin.site, info)}
    owned = {
        str(p)
        for d in ("bin", "lib", "include", "share", "etc")
        for p in (twin.env / d).rglob("*")
        if p.is_file() and not p.is_symlink()
    }
    unlisted = {p for p in owned - listed if "ctivate" not in p}
    assert unlisted == set()


def test_record_as_pip_writes_it(twin):
    """CSV with CRLF, rows sorted, without pycs, its own row empty."""
    ours = (twin.site / "Demo_Pkg-1.0.dist-info/RECORD").read_bytes()
    rows = ours.split(b"\r\n")
    assert rows[-1] == b"" and b"\n" not in ours.replace(b"\r\n", b"")
    paths = [row[0] for row in record_rows(twin.site / "Demo_Pkg-1.0.dist-info/RECORD")]
    assert paths == sorted(paths)
    assert b'"demo/with, comma",sha256=' in ours
    assert f"../../../include/site/python{twin.version}/demo-pkg/demo.h,sha256=".encode() in ours
    assert b"../../../bin/demo,sha256=" in ours and b"../../../share/demo/a b.txt,sha256=" in ours


def test_records_of_two_environments(venvfs, mount, root, tmp_path, small_wheels, debian_python):
    """Scripts have the environment's path, so each RECORD has its own digests."""
    wheel = small_wheels("demo", entry_points={"console_scripts": {"demo": "demo:main"}})
    venvfs("store", "add", "--no-compile", wheel)
    (tmp_path / "pins").write_text("demo==1.0\n")
    rows = []
    for name in ("a", "much-longer"):
        venvfs("create", root / name, "--without-pip", "--python", debian_python)
        venvfs("sync", root / name, tmp_path / "pins", "--no-compile")
        site = root / name / "lib/python3.11/site-packages"
        check_record(site, "demo-1.0.dist-info")
        rows.append({row[0]: row[1:] for row in record_rows(site / "demo-1.0.dist-info/RECORD")})
    (root / "a").rename(root / "renamed")
    check_record(root / "renamed/lib/python3.11/site-packages", "demo-1.0.dist-info")
    different = {path for path in rows[0] if rows[0][path] != rows[1][path]}
    assert different == {"../../../bin/demo"}


def test_what_belongs_to_the_lock(twin, venvfs):
    info = twin.site / "plain-2.0.dist-info"
    assert (info / "INSTALLER").read_text() == "venvfs\n"
    assert (info / "REQUESTED").read_bytes() == b""
    assert not (info / "direct_url.json").exists()
    (pip,) = twin.site.glob("pip-*.dist-info")
    assert (pip / "INSTALLER").read_text() == "pip\n"


@pytest.fixture
def make(venvfs, mount, root, tmp_path, debian_python):
    """make(WHEEL...) is an environment that has them."""

    def create(*wheels, name="x", python=debian_python):
        venvfs("store", "add", "--no-compile", *wheels)
        pins = tmp_path / "pins"
        pins.write_text("".join("{}=={}\n".format(*w.name.split("-")[:2]) for w in wheels))
        venvfs("create", root / name, "--without-pip", "--python", python)
        venvfs("sync", root / name, pins, "--no-compile")
        return root / name

    return create


def python(env, code, **kw):
    return subprocess.check_output([env / "bin/python", "-c", code], text=True, **kw)


def test_namespace_packages(make, small_wheels):
    env = make(
        small_wheels("ns-one", files={"ns/one/__init__.py": "v = 1\n", "ns/deep/a.py": "", "ns/x": "1"}),
        small_wheels("ns-two", files={"ns/two/__init__.py": "v = 2\n", "ns/deep/b.py": "", "ns/y": "2"}),
        small_wheels("ns-three", files={"ns/three.py": "v = 3\n", "ns/deep/c/d.py": ""}),
    )
    site = env / "lib/python3.11/site-packages"
    assert sorted(os.listdir(site / "ns")) == ["deep", "one", "three.py", "two", "x", "y"]
    assert sorted(os.listdir(site / "ns/deep")) == ["a.py", "b.py", "c"]
    code = "import ns.one, ns.two, ns.three, ns.deep.c.d; print(ns.one.v, ns.two.v, ns.three.v, ns.__path__)"
    assert python(env, code) == f"1 2 3 _NamespacePath(['{site}/ns'])\n"
    for info in ("ns_one-1.0", "ns_two-1.0", "ns_three-1.0"):
        check_record(site, f"{info}.dist-info")


def test_conflict(make, venvfs, small_wheels):
    """The later name has it; `show` tells whose it is. The same bytes are no conflict."""
    env = make(
        small_wheels("aa-early", files={"both.py": "who = 'early'\n", "same.py": "", "early.py": ""}),
        small_wheels("zz-late", files={"both.py": "who = 'late'\n", "same.py": "", "late.py": ""}),
        small_wheels("mm-middle", files={"both.py": "who = 'middle'\n"}),
    )
    assert python(env, "import both, same, early, late; print(both.who)") == "late\n"
    assert os.listdir(env / "lib/python3.11/site-packages").count("both.py") == 1
    shown = venvfs.json("show", env)
    text = json.dumps(shown["conflicts"])
    assert "both.py" in text and "zz-late" in text and "aa-early" in text and "same.py" not in text
    assert "both.py" in venvfs("show", env).stdout


def test_conflict_of_kinds(make, venvfs, small_wheels):
    """A file and a directory of one name: the later name has it, whole."""
    env = make(
        small_wheels("aa", files={"thing/__init__.py": "kind = 'package'\n", "aa.py": ""}),
        small_wheels("bb", files={"thing": "a file\n", "bb.py": ""}),
    )
    site = env / "lib/python3.11/site-packages"
    assert (site / "thing").read_text() == "a file\n"
    env = make(
        small_wheels("cc", files={"other": "a file\n"}),
        small_wheels("dd", files={"other/__init__.py": "kind = 'package'\n"}),
        name="y",
    )
    assert python(env, "import other; print(other.kind)") == "package\n"
    assert "other" in json.dumps(venvfs.json("show", env)["conflicts"])


def test_conflict_of_scripts(make, venvfs, small_wheels):
    env = make(
        *(
            small_wheels(
                name,
                files={f"{name}.py": f"def f(): print({name!r})\n"},
                entry_points={"console_scripts": {"run": f"{name}:f"}},
            )
            for name in ("aa", "bb")
        )
    )
    assert subprocess.check_output([env / "bin/run"], text=True) == "bb\n"
    assert "run" in json.dumps(venvfs.json("show", env)["conflicts"])


def test_data_beside_the_view(make, small_wheels):
    """Data that lands in the view's own directories is merged with it; the view's names stay."""
    env = make(
        small_wheels(
            "data",
            data={
                "share/man/man1/data.1": "man\n",
                "etc/jupyter/data.json": "{}\n",
                "lib/python3.11/site-packages/from_data.py": "v = 1\n",
                "include/data.h": "",
                "top-level": "t\n",
            },
        )
    )
    assert {"bin", "etc", "include", "lib", "lib64", "pyvenv.cfg", "share", "top-level"} == set(os.listdir(env))
    assert python(env, "import from_data; print(from_data.v)") == "1\n"
    assert (env / "include/data.h").exists() and (env / "lib64/python3.11/site-packages/from_data.py").exists()
    check_record(env / "lib/python3.11/site-packages", "data-1.0.dist-info")


def test_g30_pth_files(make, small_wheels):
    """In sorted order, whatever the order of a listing."""
    wheels = [
        small_wheels(f"p{i}", files={f"{n}.pth": f"import sys; sys.seen = getattr(sys, 'seen', '') + '{n}'\n"})
        for i, n in enumerate("dacb")
    ]
    # site reads those of a virtual environment twice
    assert python(make(*wheels), "import sys; print(sys.seen)") in ("abcd\n", "abcdabcd\n")


def test_unicode(make, small_wheels):
    names = {"Mod.py": "v = 'upper'\n", "ünïcode.py": "v = 'ü'\n", "日本.py": "v = 3\n"}
    env = make(small_wheels("names", files=names))
    assert python(env, "import Mod, ünïcode, 日本; print(Mod.v, ünïcode.v, 日本.v)") == "upper ü 3\n"
    site = env / "lib/python3.11/site-packages"
    assert names.keys() < set(os.listdir(site))
    assert not (site / "mod.py").exists()
