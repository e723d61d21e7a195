# SPDX-License-Identifier: MIT
"""The 108 wheels of sci, put into an environment by pip and by uv: harvested, they are what `store add` makes of
the same wheels."""

import os
import subprocess

import pytest

from conftest import Venvfs


def addresses(venvfs):
    return {(d["name"], d["version"]): d["address"] for d in venvfs.json("store", "ls")}


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_every_wheel_has_one_address(sci, sci_pins, wheels, tools, mounts, root, tmp_path, sanitizer_logs, debian_python,
                                     sanitized, tool):
    if sanitized:
        pytest.skip("20,000 files by an installer, under a sanitizer: minutes")
    venvfs = Venvfs(tmp_path / "own", sanitizer_logs)
    (venvfs.config / "venvfs").mkdir()
    (venvfs.config / "venvfs/venvfs.conf").write_text("[store]\ncompile = no\n")
    m = mounts(root, venvfs=venvfs)
    x = root / "x"
    venvfs("create", x, "--without-pip", "--python", debian_python)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))} | {
        "UV_CACHE_DIR": str(tmp_path / "uv"), "UV_NO_CONFIG": "1"}
    where = ["--no-index", "--no-deps", "--find-links", wheels, "-r", sci_pins]
    if tool == "pip":
        argv = [tools / "python", "-m", "pip", "-q", "--python", x / "bin/python", "install", "--no-compile", *where]
    else:
        argv = [tools / "uv", "-q", "pip", "install", "--python", x / "bin/python", *where]
    subprocess.run(argv, check=True, env=env)
    said = venvfs.json("harvest", x)
    assert said["kept"] == []
    got = addresses(venvfs)
    there = addresses(sci)  # shared: other tests' environments may have put their pip there
    assert got == {k: there.get(k) for k in got} and len(got) == 108
    left = {n for d, _, files in os.walk(m.upper / "x") for n in files if not d.endswith(".venvfs")}
    assert left <= {"pyvenv.cfg", ".lock"}
    out = subprocess.check_output([x / "bin/python", "-B", "-c", "import numpy, pandas; print(numpy.__version__)"], text=True)
    assert out.strip()
