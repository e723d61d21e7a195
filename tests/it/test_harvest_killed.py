# SPDX-License-Identifier: MIT
"""A harvest that is killed: whatever it had done by then, the environment shows what it showed, and the next harvest
ends as if there had been none before."""

import os
import shutil
import subprocess
import time
import zipfile

import pytest

import wheelmaker
from conftest import wait_for_end
from prepared import private
from test_harvest import BIG, no_bytecode, only_cfg, shown, site  # noqa: F401 (a fixture is found by its name)

STEPS = "openat,openat2,renameat,renameat2,rename,unlinkat,unlink,mkdirat,write,pwrite64,fsync,syncfs,ftruncate,fchmod,utimensat"


def unpack(wheel, env):
    """What an installer leaves, without waiting for one."""
    with zipfile.ZipFile(wheel) as z:
        z.extractall(site(env))


@pytest.mark.parametrize("mounted", [False, True])
def test_killed_at_every_step(venvfs, root, mounts, tmp_path, debian_python, sanitized, mounted):
    """SIGKILL at calls spread over the whole run: nothing is lost, nothing is there twice in the end."""
    if sanitized:
        pytest.skip("a sanitizer makes calls of its own")
    if not shutil.which("strace"):
        pytest.skip("no strace")
    files = {f"many/d{i % 7}/m{i}.py": f"v = {i}\n" for i in range(60)} | {"many/big.bin": BIG}
    wheel = wheelmaker.make(tmp_path, "many", files=files)
    m = mounts(root)
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    cfg = (root / "x/pyvenv.cfg").read_bytes()
    venvfs("create", root / "z", "--without-pip", "--python", debian_python)
    (root / "z/pyvenv.cfg").write_bytes(cfg)
    unpack(wheel, root / "z")
    lib = site(root / "z").relative_to(root / "z")

    def below(env):
        return {p: v for p, v in shown(env).items() if p.startswith(str(lib))}

    expected = below(root / "z")
    m.umount()
    times = int(os.environ.get("VENVFS_TEST_KILLS", "24"))
    count = None
    killed = 0
    for k in range(times):
        shutil.rmtree(root / "x")
        (root / "x" / lib).mkdir(parents=True)
        (root / "x/pyvenv.cfg").write_bytes(cfg)
        with zipfile.ZipFile(wheel) as z:
            z.extractall(root / "x" / lib)
        shutil.rmtree(venvfs.store / "dists", ignore_errors=True)
        shutil.rmtree(venvfs.store / "blobs", ignore_errors=True)
        shutil.rmtree(venvfs.store / "locks", ignore_errors=True)
        if mounted:
            m.mount()
            assert (root / "x/bin").is_dir()
            p = venvfs.popen("harvest", root / "x", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.002 * k * 60 / times)
            os.kill(m.pid, 9)
            wait_for_end(m.pid)
            p.wait(30)
            killed += 1
            subprocess.run(["umount", "-l", root] if os.geteuid() == 0 else ["fusermount3", "-uz", root], check=True)
        else:
            if count is None:
                log = tmp_path / "calls"
                venvfs("harvest", root / "z", "--root", root, wrap=["strace", "-f", "-o", str(log), "-e", f"trace={STEPS}"])
                count = sum(1 for line in log.read_text().splitlines() if "(" in line)
                assert count > 100
                for d in ("dists", "blobs", "locks"):
                    shutil.rmtree(venvfs.store / d)
            when = 1 + k * count // times
            r = venvfs("harvest", root / "x", "--root", root, check=False, wrap=[
                "strace", "-f", "-o", "/dev/null", "-e", f"trace={STEPS}", "-e", f"inject={STEPS}:signal=KILL:when={when}"])
            killed += r.returncode != 0
        m.mount()
        assert venvfs.json("store", "verify")["bad"] == 0
        assert below(root / "x") == expected, f"killed at {k} of {times}"
        said = venvfs.json("harvest", root / "x")
        assert said["kept"] == [] and only_cfg(m), list(private(m, "x"))
        assert below(root / "x") == expected
        assert [d["name"] for d in venvfs.json("show", root / "x")["distributions"]] == ["many"]
        out = subprocess.check_output([root / "x/bin/python", "-B", "-c", "import many.d0.m0; print(many.d0.m0.v)"], text=True)
        assert out == "0\n"
        m.umount()
    assert killed >= times // 2
