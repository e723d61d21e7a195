# SPDX-License-Identifier: MIT
"""docs/format.md is enough to read a store: this reads one by that page alone, without venvfs."""

import hashlib
import importlib.util
import marshal
import os
import re
import stat

import wheelmaker

HEX = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(rb"[a-z0-9]+(-[a-z0-9]+)*")
TREES = [b"site", b"bin", b"data", b"headers", b"pyc"]
PACKED = 128 * 1024


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def order(path):
    return path.split(b"/")


def read_manifest(text):
    """(head, files): the lines in front of the files, and (tree, mode, size, digest, path)."""
    assert text.endswith(b"\n")
    lines = text[:-1].split(b"\n")
    assert lines[0] == b"venvfs-manifest 1"
    assert lines[1].startswith(b"name ") and NAME.fullmatch(lines[1][5:])
    assert lines[2].startswith(b"version ")
    words = [line.split(b" ", 1)[0] for line in lines[3:]]
    ranks = [(b"info", b"tag", b"entry-point", b"file").index(word) for word in words]
    assert ranks == sorted(ranks) and words.count(b"info") <= 1
    files = []
    for line in lines[3 + sum(word != b"file" for word in words) :]:
        _, tree, mode, size, digest, path = line.split(b" ", 5)
        assert mode in (b"-", b"x") and str(int(size)).encode() == size
        assert HEX.fullmatch(digest.decode())
        files.append((tree, mode, int(size), digest.decode(), path))
    keys = [(TREES.index(f[0]), order(f[4])) for f in files]
    assert keys == sorted(keys)
    return lines[: len(lines) - len(files)], files


def read_files(store, directory):
    """{(tree, path): bytes}, each by its digest; and the manifest's lines."""
    text = (directory / "manifest").read_bytes()
    head, files = read_manifest(text)
    pack = (directory / "pack").read_bytes() if (directory / "pack").exists() else b""
    offset, found, packed = 0, {}, []
    for tree, _, size, digest, path in files:
        if size == 0:
            data = b""
        elif size <= PACKED:
            data = pack[offset : offset + size]
            packed.append((offset, size))
            offset += (size + 4095) // 4096 * 4096
        else:
            data = (store / "blobs" / digest[:2] / digest[2:]).read_bytes()
        assert len(data) == size and sha256(data) == digest, path
        found[tree.decode(), os.fsdecode(path)] = data
    assert offset == len(pack)
    for at, size in packed:
        assert not pack[at + size : (at + size + 4095) // 4096 * 4096].strip(b"\0")
    return found, head, text


def one(directory):
    (found,) = directory.iterdir()
    return found


def demo(small_wheels):
    return small_wheels(
        "Demo.Pkg",
        "1.0",
        files={
            "demo/__init__.py": "x = 1\n",
            "demo/empty": "",
            "demo/page": b"p" * 4096,
            "demo/largest-packed": b"q" * PACKED,
            "demo/blob": b"r" * (PACKED + 1),
            "demo/sub/mod.py": "def f():\n    return 42\n",
            "demo-x.py": "",
            "broken.py": "def (\n",
        },
        entry_points={"console_scripts": {"demo": "demo.sub.mod:f"}},
        scripts={"tool": "#!python -E\nprint(1)\n"},
        data={"share/demo/a b": "data\n"},
        headers={"demo.h": "\n"},
        tag="py2.py3-none-any",
    )


def test_distribution(venvfs, store, small_wheels):
    wheel = demo(small_wheels)
    venvfs("store", "add", wheel)
    assert (store / "store-version").read_bytes() == b"venvfs-store 1\n"
    directory = one(store / "dists/demo-pkg/1.0")
    files, head, text = read_files(store, directory)
    assert sha256(text) == directory.name
    assert head[1:] == [
        b"name demo-pkg",
        b"version 1.0",
        b"info Demo_Pkg-1.0.dist-info",
        b"tag py2-none-any",
        b"tag py3-none-any",
        b"entry-point console demo demo.sub.mod:f",
    ]
    assert files["site", "demo/blob"] == b"r" * (PACKED + 1)
    assert files["bin", "tool"] == b"#!python\nprint(1)\n"
    assert files["data", "share/demo/a b"] == b"data\n" and files["headers", "demo.h"] == b"\n"
    assert ("bin", "demo") not in files
    assert ("site", "Demo_Pkg-1.0.dist-info/METADATA") in files
    assert ("site", "Demo_Pkg-1.0.dist-info/RECORD") not in files
    assert (directory / "wheels").read_text() == f"{wheel.name} sha256:{sha256(wheel.read_bytes())}\n"


def test_modes(venvfs, store, small_wheels):
    venvfs("store", "add", demo(small_wheels))
    assert stat.S_IMODE(store.stat().st_mode) == 0o700
    for path in store.rglob("*"):
        st = path.lstat()
        if path.name in ("manifest", "pack", "wheels", "address") or "blobs" in path.parts:
            assert stat.S_ISDIR(st.st_mode) or stat.S_IMODE(st.st_mode) == 0o444, path
        assert not st.st_mode & 0o022 and not stat.S_ISLNK(st.st_mode), path
    assert not list((store / "tmp").iterdir())


def test_times(venvfs, store, small_wheels):
    for version in ("1.0", "1.1", "1.2", "2.0"):
        venvfs("store", "add", small_wheels("demo", version))
    seconds = []
    for manifest in (store / "dists/demo").rglob("manifest"):
        ns = manifest.stat().st_mtime_ns
        seconds.append(ns // 10**9)
        assert ns % 10**9 == int(manifest.parent.name[:8], 16) % 10**9
    assert len(seconds) == len(set(seconds)) == 4


def test_bytecode(venvfs, store, small_wheels, debian_python):
    venvfs("store", "add", demo(small_wheels))
    source = one(store / "dists/demo-pkg/1.0")
    venvfs("store", "compile", "--python", debian_python, "demo-pkg")
    directory = one(store / "pyc" / source.name)
    assert re.fullmatch(r"cpython-3\d+-[0-9a-f]{8}-0", directory.name)
    _, tag, magic, _ = directory.name.split("-")
    files, head, text = read_files(store, directory)
    assert (directory / "address").read_text() == sha256(text) + "\n"
    assert head[1:] == [b"name demo-pkg", b"version 1.0"]
    assert ("pyc", f"demo/sub/__pycache__/mod.cpython-{tag}.pyc") in files
    assert ("pyc", f"__pycache__/broken.cpython-{tag}.pyc") not in files
    sources, _, _ = read_files(store, source)
    for (_, path), pyc in files.items():
        parent, _, name = path.rpartition("__pycache__/")
        py = f"{parent}{name.split('.')[0]}.py"
        assert pyc[:8] == bytes.fromhex(magic) + b"\1\0\0\0"
        assert pyc[8:16] == importlib.util.source_hash(sources["site", py])
        if bytes.fromhex(magic) == importlib.util.MAGIC_NUMBER:
            assert marshal.loads(pyc[16:]).co_filename == py


def test_wheels_of_the_same(venvfs, store, tmp_path):
    """Two wheels that install the same are one distribution with two lines, each there once."""
    made = []
    for sub, change in ("a", lambda text: text), ("b", lambda text: text.replace("\n", "\r\n")):
        (tmp_path / sub).mkdir()
        made.append(
            wheelmaker.make(tmp_path / sub, "demo", files={"demo.py": "x = 1\n"}, record=change)
        )
    for wheel in made + made:
        venvfs("store", "add", wheel)
    lines = [f"{wheel.name} sha256:{sha256(wheel.read_bytes())}\n" for wheel in made]
    assert lines[0] != lines[1]
    assert (one(store / "dists/demo/1.0") / "wheels").read_text() == "".join(lines)
