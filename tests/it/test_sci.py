# SPDX-License-Identifier: MIT
"""The workload "sci" on a mount: numpy, pandas, scipy, sympy, matplotlib, scikit-learn, jupyterlab and
all they need, used as people use them."""

import base64
import collections
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request

from pathlib import Path

import pytest
from conftest import Venvfs

IMPORT = "import numpy, pandas, scipy.stats, sympy"
SITE = "lib/python3.11/site-packages"

# Every name that the distributions put at the top of site-packages.
TOP_LEVEL = """
import importlib, importlib.metadata, sys, warnings
warnings.simplefilter("ignore")
names = set()
for d in importlib.metadata.distributions():
    if d.name in ("pip", "setuptools"):
        continue
    for f in d.files:
        top = f.parts[0]
        if len(f.parts) > 1 and top.isidentifier() and (f.suffix == ".py" or f.suffix == ".so"):
            names.add(top)
        elif len(f.parts) == 1 and f.suffix in (".py", ".so"):
            names.add(f.name.split(".")[0])
failed = {}
for name in sorted(names):
    try:
        m = importlib.import_module(name)
    except BaseException as e:
        failed[name] = repr(e)
print(len(names), failed)
"""


@pytest.fixture(scope="module")
def bytecode(sci_store, debian_python, tmp_path_factory):
    """The sci store with bytecode."""
    v = Venvfs(sci_store, tmp_path_factory.mktemp("sanitizer"))
    v("store", "compile", "--python", debian_python, timeout=1800)
    return v


@pytest.fixture
def lab(sci, mounts, root, sci_pins, debian_python):
    """(mount, environment) with all of sci, mounted."""
    m = mounts(root, venvfs=sci)
    sci("create", root / "lab", "--python", debian_python)
    sci("sync", root / "lab", sci_pins, "--no-compile")
    return m, root / "lab"


def run(sci, env, *argv, **kw):
    kw.setdefault("timeout", 600)
    r = subprocess.run(
        [env / "bin" / argv[0], *argv[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**sci.env, "PIP_CONFIG_FILE": os.devnull, **kw.pop("more", {})},
        cwd="/",
        **kw,
    )
    assert r.returncode == 0, r.stderr + r.stdout
    return r.stdout


def private(mount, name):
    """What lies behind the mount, but for the file that is the environment and its earlier locks."""
    top = mount.upper / name
    names = [str(p.relative_to(top)) for p in top.rglob("*")]
    return [n for n in names if n != "pyvenv.cfg" and not n.startswith(".venvfs")]


def pins(path):
    found = re.findall(r"^([a-z0-9-]+)==([^\s\\]+)", path.read_text(), re.M)
    assert len(found) == 108
    return dict(found)


def test_everything_is_there(sci, lab, sci_pins):
    _, env = lab
    listed = {d["name"].lower().replace("_", "-").replace(".", "-"): d["version"]
              for d in json.loads(run(sci, env, "pip", "list", "--format=json"))}  # fmt: skip
    wanted = pins(sci_pins)
    assert {n: listed.get(n) for n in wanted} == wanted
    assert listed.keys() - wanted.keys() == {"pip", "setuptools"}
    assert run(sci, env, "pip", "check") == "No broken requirements found.\n"
    frozen = run(sci, env, "pip", "freeze", "--exclude", "pip", "--exclude", "setuptools").splitlines()
    assert len(frozen) == 108 and not [line for line in frozen if " @ " in line]


def test_sync_again_changes_nothing(sci, lab, sci_pins):
    """With all in the store no network is asked and no package file read; the file stays as it is."""
    m, env = lab

    def private():
        return {p.relative_to(m.upper): p.lstat().st_mtime_ns for p in (m.upper / "lab").rglob("*")}

    before, text = private(), (env / "pyvenv.cfg").read_bytes()
    offline = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    sci("sync", env, sci_pins, "--no-compile", env=offline)
    assert (env / "pyvenv.cfg").read_bytes() == text
    assert private() == before


def test_imports(sci, lab, bytecode):
    """All top-level packages; with bytecode in the store nothing is written."""
    m, env = lab
    out = run(sci, env, "python", "-c", TOP_LEVEL, more={"HOME": str(env.parents[1]), "MPLBACKEND": "agg"})
    n, failed = out.splitlines()[-1].split(" ", 1)
    assert int(n) > 100
    assert failed == "{}"
    assert private(m, "lab") == []


def test_they_work(sci, lab):
    """A little of each: compiled code, data files, fonts, threads."""
    _, env = lab
    code = """
import numpy as np, pandas as pd, scipy.stats, sympy, io
assert abs(np.linalg.inv(np.eye(50) * 2).trace() - 25) < 1e-9
assert pd.DataFrame({"a": [1, 2, 2]}).groupby("a").size().tolist() == [1, 2]
assert abs(scipy.stats.norm.cdf(1.96) - 0.975) < 1e-3
assert str(sympy.integrate(sympy.Symbol("x") ** 2)) == "x**3/3"
import matplotlib; matplotlib.use("agg")
import matplotlib.pyplot as plt
plt.plot([1, 2]); b = io.BytesIO(); plt.savefig(b); assert b.getvalue()[:4] == b"\\x89PNG"
from sklearn.ensemble import RandomForestClassifier
assert RandomForestClassifier(5, n_jobs=2).fit([[0], [1]] * 10, [0, 1] * 10).score([[0], [1]], [0, 1]) == 1
import zoneinfo, tzdata, certifi, os
assert os.path.exists(certifi.where())
loaded = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
print(*sorted(p for p in loaded if "site-packages" in p), sep="\\n")
"""
    libraries = run(sci, env, "python", "-c", code, more={"MPLCONFIGDIR": str(env.parents[1])}).splitlines()
    assert len(libraries) > 50
    # $ORIGIN works, and nothing shows where the store is
    assert all(p.startswith(f"{env}/") for p in libraries)
    assert any("/numpy.libs/" in p for p in libraries)
    assert all(os.path.realpath(p) == p for p in libraries)


def test_record(lab):
    """Every row of every RECORD is true through the mount, and nothing is there that none lists."""
    _, env = lab
    site = env / SITE
    listed = set()
    infos = sorted(site.glob("*.dist-info"))
    assert len(infos) == 110
    for info in infos:
        with open(info / "RECORD", newline="", encoding="utf-8") as f:
            for path, digest, size in csv.reader(f):
                listed.add(os.path.normpath(site / path))
                if not digest:
                    assert path == f"{info.name}/RECORD"
                    continue
                with open(site / path, "rb") as member:
                    found = hashlib.file_digest(member, "sha256").digest()
                assert digest == "sha256=" + base64.urlsafe_b64encode(found).rstrip(b"=").decode(), path
                assert os.stat(site / path).st_size == int(size), path
    assert len(listed) > 15000
    there = {os.path.join(d, name) for top in ("bin", "lib", "share", "etc") if (env / top).exists()
             for d, _, files in os.walk(env / top) for name in files}  # fmt: skip
    generated = {str(env / "bin" / n) for n in os.listdir(env / "bin") if "ctivate" in n or n.startswith("python")}
    assert {p for p in there - listed - generated if "/__pycache__/" not in p} == set()


def test_jupyter_version(sci, lab):
    _, env = lab
    out = run(sci, env, "jupyter", "--version", more={"HOME": str(env.parents[1])})
    versions = dict(re.findall(r"^(\w+)\s*: (\S+)$", out, re.M))
    (info,) = (env / SITE).glob("jupyterlab-*.dist-info")
    assert info.name == f"jupyterlab-{versions['jupyterlab']}.dist-info"
    assert "not installed" not in versions.get("ipykernel", "")


def test_jupyter_lab(sci, lab, tmp_path):
    """It serves its page and its API on loopback, and runs code in a kernel."""
    _, env = lab
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    home = tmp_path / "home"
    home.mkdir()
    log = open(tmp_path / "log", "w+")
    p = subprocess.Popen(
        [env / "bin/jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
         "--ServerApp.port_retries=0", "--IdentityProvider.token=secret", f"--ServerApp.root_dir={home}"],
        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=home, start_new_session=True,
        env={**{k: v for k, v in sci.env.items() if "proxy" not in k.lower()}, "HOME": str(home)},
    )  # fmt: skip
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(path, data=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            data=data,
            headers={"Authorization": "token secret", "Content-Type": "application/json"},
        )
        with opener.open(request, timeout=60) as answer:
            return answer.status, answer.read()

    try:
        end = time.monotonic() + 120
        while True:
            try:
                status, body = ask("/api")
                break
            except (urllib.error.URLError, OSError):
                if p.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    pytest.fail("jupyter lab does not answer:\n" + log.read())
                time.sleep(0.2)
        assert status == 200 and "version" in json.loads(body)
        status, body = ask("/lab")
        assert status == 200 and b"JupyterLab" in body
        script = re.search(rb'src="(/static/lab/[^"]+\.js[^"]*)"', body)
        assert script and len(ask(script[1].decode())[1]) > 1000
        kernel = json.loads(ask("/api/kernels", b'{"name": "python3"}')[1])
        end = time.monotonic() + 60
        state = None
        while state not in ("idle", "busy", "starting") and time.monotonic() < end:
            state = json.loads(ask(f"/api/kernels/{kernel['id']}")[1])["execution_state"]
        assert json.loads(ask("/api/kernelspecs")[1])["kernelspecs"]["python3"]["resources"]
    finally:
        os.killpg(p.pid, signal.SIGTERM)
        try:
            p.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
        log.close()


# requests

OPCODES = {1: "LOOKUP", 2: "FORGET", 3: "GETATTR", 5: "READLINK", 14: "OPEN", 15: "READ", 18: "RELEASE",
           21: "SETXATTR", 22: "GETXATTR", 25: "FLUSH", 27: "OPENDIR", 28: "READDIR", 35: "CREATE", 39: "IOCTL",
           42: "FORGET", 44: "READDIRPLUS"}  # fmt: skip
ASKING = {"GETXATTR", "SETXATTR"}  # what `venvfs status`, and whoever compiled something, sends to every mount


def seen(mount, tmp_path, what):
    """The requests that the daemon reads from /dev/fuse while `what()` runs, by strace, each with its
    node; they must be as many as its own counters say."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    log = tmp_path / "strace"
    log.mkdir(exist_ok=True)
    before, refaults = mount.requests(), refaulted()
    tracer = subprocess.Popen(
        ["strace", "-ff", "-y", "-P", "/dev/fuse", "-e", "trace=read", "-xx", "-s", "64",
         "-o", log / "t", "-p", str(mount.pid)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 15
        while not traced(mount.pid):
            if tracer.poll() is not None:
                pytest.skip(f"strace may not attach: {tracer.stderr.read().strip()}")
            assert time.monotonic() < end, "strace does not attach to all threads"
            time.sleep(0.02)
        what()
        mount.released(before)
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(30)
    after, refaults = mount.requests(), refaulted() - refaults
    found = []
    for f in log.iterdir():
        for m in re.finditer(r'"((?:\\x[0-9a-f]{2})+)"(?:\.\.\.)?, \d+\)\s+= (\d+)', f.read_text()):
            data = bytes.fromhex(m[1].replace("\\x", ""))
            length, opcode, _, node = struct.unpack_from("=IIQQ", data)
            assert length == int(m[2])
            found.append((OPCODES.get(opcode, str(opcode)), node))
        f.unlink()
    count = collections.Counter(op for op, _ in found if op not in ASKING)
    own = {op: n - before[op] for op, n in after.items() if n != before[op] and op not in ASKING}
    for op in ("LOOKUP", "OPEN", "READ", "RELEASE", "IOCTL", "READDIRPLUS", "READLINK", "CREATE"):
        assert count.get(op, 0) == own.get(op, 0), f"{op}: strace and the daemon disagree"
    # Other commands on this machine look at every root at any moment, and tell every daemon of what they added.
    count["GETATTR"] -= found.count(("GETATTR", 1))
    # Pages that the kernel dropped and needed again are no fault of ours.
    if count["READ"] <= refaults:
        del count["READ"]
    return {op: n for op, n in count.items() if n}, found


def refaulted():
    found = re.search(r"^workingset_refault_file (\d+)", open("/proc/vmstat").read(), re.M)
    return int(found[1]) if found else 0


def reclaims():
    """Whether the kernel takes idle pages and names away of its own accord (DAMON), and asks for them again."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().startswith("kdamond"):
                return True
        except OSError:
            pass
    return False


def traced(pid):
    tasks = os.listdir(f"/proc/{pid}/task")
    return all("TracerPid:\t0" not in open(f"/proc/{pid}/task/{t}/status").read() for t in tasks)


def fewest(mount, caches, tmp_path, what, tries=10):
    """Of several runs: a kernel that reclaims memory forgets a little of its own accord."""
    best = None
    for _ in range(tries):
        with caches.warm():
            now = seen(mount, tmp_path, what)
        if best is None or sum(now[0].values()) < sum(best[0].values()):
            best = now
        if best[0].keys() <= {"OPEN", "RELEASE", "IOCTL"}:
            break
    return best


@pytest.fixture
def importing(sci):
    def what(env):
        return lambda: run(sci, env, "python", "-c", IMPORT)

    return what


def test_third_import(sci, lab, bytecode, importing, tmp_path, caches):
    """Where opens are delivered: OPEN, RELEASE and IOCTL (Python's isatty) alone."""
    m, env = lab
    importing(env)()
    importing(env)()
    count, found = fewest(m, caches, tmp_path, importing(env))
    others = sum(n for op, n in count.items() if op not in ("OPEN", "RELEASE", "IOCTL"))
    assert others <= (count["OPEN"] // 50 if reclaims() else 0), (count, found)
    assert count["OPEN"] == count["RELEASE"] > 500


def test_third_import_read_only(sci, lab, bytecode, importing, tmp_path, caches):
    """A read-only mount is asked nothing but IOCTL."""
    m, env = lab
    m.remount("-r")
    importing(env)()
    importing(env)()
    count, _ = fewest(m, caches, tmp_path, importing(env))
    assert count.keys() <= {"IOCTL"}, count


def test_second_environment_reads_nothing(sci, lab, bytecode, importing, tmp_path, caches):
    """What one environment read is in the page cache for all of them."""
    m, env = lab
    importing(env)()
    sci("clone", env, env.parent / "other")
    sci("clone", env, env.parent / "third")
    reads = []
    with caches.warm():
        for name in ("other", "third"):
            refaults = refaulted()
            count, found = seen(m, tmp_path, importing(env.parent / name))
            assert count["LOOKUP"] > 100  # it is new to the kernel
            of_store = sum(1 for op, node in found if op == "READ" and node != 1 and node < 1 << 63)
            reads.append(of_store - (refaulted() - refaults))
            assert reads[-1] < count["OPEN"] / 10
    assert min(reads) <= 0, reads
    assert private(m, "other") == private(m, "third") == []


def test_sources_of_a_first_import_are_not_read(sci, lab, bytecode):
    """With derived bytecode no source is opened at all."""
    _, env = lab
    code = f"""
import sys
opened = []
sys.addaudithook(lambda e, a: opened.append(a[0]) if e == "open" and isinstance(a[0], str) else None)
{IMPORT}
opened = [o for o in opened if {SITE!r} in o]
print(len(opened), [o for o in opened if o.endswith(".py")])
"""
    n, sources = run(sci, env, "python", "-c", code).splitlines()[-1].split(" ", 1)
    assert int(n) > 500 and sources == "[]"
