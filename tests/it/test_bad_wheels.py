# SPDX-License-Identifier: MIT
"""Each rule for wheels, broken by hand: the wheel is refused with its name, the member and the rule,
and nothing of it is in the store."""

import hashlib
import os
import subprocess

import pytest

import badwheels


def store_files(store):
    """Everything but the frame of an empty store."""
    frame = {"store-version", "CACHEDIR.TAG"}
    return sorted(str(p.relative_to(store)) for p in store.rglob("*") if p.is_file() and p.name not in frame)


@pytest.mark.parametrize("what, rule, member, reason, make", badwheels.BAD, ids=[b[0] for b in badwheels.BAD])
def test_refused(venvfs, tmp_path, what, rule, member, reason, make):
    wheel = tmp_path / badwheels.FILE
    wheel.write_bytes(make())
    r = venvfs("store", "add", "--no-compile", wheel, check=False)
    assert r.returncode == 1, f"{what}: {r.stdout}"
    assert f"(rule {rule})" in r.stderr, r.stderr
    assert badwheels.FILE in r.stderr
    assert len(r.stderr.splitlines()) == 1, r.stderr
    assert not any(ord(c) < 32 for c in r.stderr.rstrip("\n")), "control characters reach the terminal"
    if member:
        assert f": {member}: " in r.stderr, r.stderr
    assert reason in r.stderr, r.stderr
    assert store_files(venvfs.store) == []
    assert venvfs.json("store", "ls") == []


def test_every_rule_is_broken():
    assert {b[1] for b in badwheels.BAD} == {*range(1, 13), 15}  # 13 is test_other_digest, 14 the view's


def test_good_ones_are_accepted(venvfs, tmp_path):
    """What the writer makes when it does not lie, and what only looks odd."""
    m = badwheels.Member
    good = {
        "plain": badwheels.wheel(),
        "directories": badwheels.wheel(m("pkg/", b"", mode=0o40755), m("pkg/a.py")),
        "descriptors": badwheels.wheel(base=m("demo.py", flags=badwheels.DESCRIPTOR)),
        "a descriptor without a signature": badwheels.wheel(base=m(
            "demo.py", flags=badwheels.DESCRIPTOR,
            descriptor=badwheels.descriptor(b"x = 1\n", badwheels.deflate(b"x = 1\n"), signature=False))),
        "a descriptor of 64 bits": badwheels.zip64_streamed(wide=True),
        "stored": badwheels.wheel(base=m("demo.py", method=0)),
        "stored, with a descriptor": badwheels.wheel(base=m(
            "demo.py", method=0, flags=badwheels.DESCRIPTOR, local=dict(size=6))),
        "no mode": badwheels.wheel(base=m("demo.py", mode=0)),
        "a comment": badwheels.wheel(comment=b"made by hand"),
        "zip64": badwheels.with_zip64(),
        "a utf-8 name": badwheels.wheel(m("caf\u00e9.py")),
        "sha512": badwheels.wheel(record=lambda t: t.replace(
            badwheels.hash_of(b"x = 1\n"), badwheels.hash_of(b"x = 1\n", "sha512"))),
        "a signature beside RECORD": badwheels.wheel(m(f"{badwheels.INFO}/RECORD.jws", b"{}", recorded=False)),
        "an empty file": badwheels.wheel(m("empty.py", b"")),
        "a dashed python script": badwheels.wheel(m("demo-1.0.data/scripts/python-config-x", b"#!/bin/sh\n")),
    }
    for what, data in good.items():
        wheel = tmp_path / badwheels.FILE
        wheel.write_bytes(data)
        r = venvfs("store", "add", "--no-compile", wheel, check=False)
        assert r.returncode == 0, f"{what}: {r.stderr}"
    assert venvfs.json("store", "verify")["bad"] == 0


@pytest.mark.parametrize("name", ["demo.whl", "demo-1.0.whl", "demo-1.0-py3-none.whl", "demo-1.0-py3-none-any.zip",
                                  "-1.0-py3-none-any.whl", "demo-1.0-x-py3-none-any.whl", "a-b-c-d-e-f-g.whl"])
def test_bad_file_name(venvfs, tmp_path, name):
    wheel = tmp_path / name
    wheel.write_bytes(badwheels.wheel())
    r = venvfs("store", "add", "--no-compile", "--", wheel, check=False)
    assert r.returncode == 1
    assert name in r.stderr and "(rule 11)" in r.stderr, r.stderr


def test_the_others_are_added(venvfs, tmp_path, small_wheels):
    good = [small_wheels("one"), small_wheels("two")]
    bad = tmp_path / badwheels.FILE
    bad.write_bytes(badwheels.wheel(badwheels.Member("../evil.py")))
    r = venvfs("store", "add", "--no-compile", good[0], bad, tmp_path / "missing-1-py3-none-any.whl", good[1], check=False)
    assert r.returncode == 1
    assert len(r.stderr.splitlines()) == 2 and "missing-1-py3-none-any.whl" in r.stderr
    assert {d["name"] for d in venvfs.json("store", "ls")} == {"one", "two"}


def test_other_digest(venvfs, root, tmp_path, small_wheels):
    """Rule 13: what a lock file promised is checked before anything else is looked at."""
    wheel = small_wheels("demo")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    wheel.write_bytes(wheel.read_bytes() + b"!")
    lock = tmp_path / "pylock.toml"
    lock.write_text(
        'lock-version = "1.0"\ncreated-by = "by hand"\n[[packages]]\nname = "demo"\nversion = "1.0"\n'
        f'[[packages.wheels]]\nname = "{wheel.name}"\npath = "{wheel}"\nhashes = {{ sha256 = "{digest}" }}\n')
    env = root / "x"
    venvfs.env["VENVFS_ROOT"] = str(root)
    venvfs("create", env, "--without-pip")
    before = (env / "pyvenv.cfg").read_bytes()
    r = venvfs("sync", env, lock, check=False)
    assert r.returncode == 1 and "demo" in r.stderr, r.stderr
    assert digest in r.stderr or "(rule 13)" in r.stderr, r.stderr
    assert (env / "pyvenv.cfg").read_bytes() == before
    assert venvfs.json("store", "ls", "demo", check=False) == []


def test_no_name_of_an_archive_reaches_the_disk(venvfs, tmp_path, small_wheels):
    """While a wheel is added, no path that it chose is opened or made."""
    wheel = small_wheels("demo", files={"a_name_of_its_own/module.py": "x = 1\n"})
    log = tmp_path / "trace"
    r = subprocess.run(
        ["strace", "-f", "-o", log, "-e", "trace=%file", venvfs.binary, "store", "add", "--no-compile", wheel],
        env={**venvfs.env, "ASAN_OPTIONS": "detect_leaks=0"}, stderr=subprocess.PIPE, text=True)
    if r.returncode != 0 and "ptrace" in r.stderr:
        pytest.skip(f"strace may not trace here: {r.stderr.strip()}")
    assert r.returncode == 0, r.stderr
    text = log.read_text()
    assert os.fspath(wheel) in text
    assert "a_name_of_its_own" not in text and "module.py" not in text
