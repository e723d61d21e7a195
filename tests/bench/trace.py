# SPDX-License-Identifier: MIT
"""What strace sees: the daemon's requests as it reads them from /dev/fuse, and system calls by number.

Each read(2) of /dev/fuse returns one request, which begins with a struct fuse_in_header: length,
opcode, unique (64 bits), node id (64 bits). The node id tells store files, which have the top bit
clear and are not 1, from all else. The daemon does not splice from /dev/fuse, or there would be no
bytes to see; its own counters, which must agree, would show it."""

import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from measure import Count, Failed

OPCODES = {
    1: "LOOKUP", 2: "FORGET", 3: "GETATTR", 4: "SETATTR", 5: "READLINK", 6: "SYMLINK", 8: "MKNOD",
    9: "MKDIR", 10: "UNLINK", 11: "RMDIR", 12: "RENAME", 13: "LINK", 14: "OPEN", 15: "READ",
    16: "WRITE", 17: "STATFS", 18: "RELEASE", 20: "FSYNC", 21: "SETXATTR", 22: "GETXATTR",
    23: "LISTXATTR", 24: "REMOVEXATTR", 25: "FLUSH", 26: "INIT", 27: "OPENDIR", 28: "READDIR",
    29: "RELEASEDIR", 30: "FSYNCDIR", 31: "GETLK", 32: "SETLK", 33: "SETLKW", 34: "ACCESS",
    35: "CREATE", 36: "INTERRUPT", 37: "BMAP", 38: "DESTROY", 39: "IOCTL", 40: "POLL",
    41: "NOTIFY_REPLY", 42: "FORGET", 43: "FALLOCATE", 44: "READDIRPLUS", 45: "RENAME",
    46: "LSEEK", 47: "COPY_FILE_RANGE", 48: "SETUPMAPPING", 49: "REMOVEMAPPING", 50: "SYNCFS",
    51: "TMPFILE", 52: "STATX",
}  # fmt: skip
READ = 15
HEADER = struct.Struct("=IIQQ")
NODE_ROOT, NODE_TABLE = 1, 1 << 63

READ_LINE = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?, \d+\)\s+= (\d+)')


class Tracer:
    """strace on a process that runs, as a context; `output` is what it wrote, when it is over."""

    def __init__(self, pid, *options, split=False):
        self.pid, self.options, self.split = pid, options, split
        self.output = ""

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="venvfs-strace-")
        self.file = Path(self.dir.name) / "log"
        how = "-ff" if self.split else "-f"
        self.process = subprocess.Popen(
            ["strace", how, "-o", str(self.file), *self.options, "-p", str(self.pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + 10
        while not self.attached():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                fault = self.process.communicate()[1].strip()
                self.dir.cleanup()
                raise Failed(f"strace can not attach to the daemon: {fault}")
            time.sleep(0.02)
        return self

    def attached(self):
        """Every thread of it has a tracer."""
        try:
            tasks = os.listdir(f"/proc/{self.pid}/task")
            return all(tracer_of(f"/proc/{self.pid}/task/{t}/status") for t in tasks)
        except OSError:
            return False

    def __exit__(self, *exc):
        time.sleep(0.3)  # RELEASE and FORGET come when the caller has gone on
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        files = sorted(Path(self.dir.name).iterdir())
        self.output = "\n".join(f.read_text(errors="replace") for f in files)
        self.dir.cleanup()


def tracer_of(status):
    with open(status) as f:
        return int(re.search(r"^TracerPid:\s+(\d+)", f.read(), re.M)[1])


def can_trace(pid):
    if not shutil.which("strace"):
        return False
    try:
        with Tracer(pid, "-e", "trace=none"):
            return True
    except Failed:
        return False


def decode(log):
    """({opcode: number}, READs of store files) of a log of read(2)s."""
    counts, store_reads = {}, 0
    for found in READ_LINE.finditer(log):
        data = bytes.fromhex(found[1].replace("\\x", ""))
        if len(data) < HEADER.size or int(found[2]) < 40:
            continue
        length, opcode, _unique, node = HEADER.unpack_from(data)
        if length != int(found[2]):
            continue
        name = OPCODES.get(opcode, f"opcode {opcode}")
        counts[name] = counts.get(name, 0) + 1
        if opcode == READ and node != NODE_ROOT and not node & NODE_TABLE:
            store_reads += 1
    return counts, store_reads


TRIES = 5


def requests(work, mount, *what):
    """The requests that `what()` causes, as a Count; of several in a row the one with the fewest: a
    kernel that reclaims memory of its own accord makes a few READs more, and other programs that
    tell the daemon to look at its store again cost it a few requests."""
    by_strace = can_trace(mount.pid)
    counts = [once(work, mount, w, by_strace) for w in (what if len(what) > 1 else what * TRIES)]
    return min(counts, key=lambda c: sum(c.requests.values()))


def once(work, mount, what, by_strace):
    """By strace, checked against the daemon's counters; by these alone where strace may not attach."""
    before = mount.requests()
    if not by_strace:
        what()
        time.sleep(0.3)
        return Count(work, difference(before, mount.requests()), None, "status")
    with Tracer(
        mount.pid,
        *("-y", "-P", "/dev/fuse", "-e", "trace=read,readv,splice", "-xx", "-s", "48"),
        split=True,
    ) as t:
        what()
    counts, store_reads = decode(t.output)
    if re.search(r"(splice|readv)\(\d+</dev/fuse", t.output):
        raise Failed("the daemon does not read() from /dev/fuse: its requests can not be seen")
    own = difference(before, mount.requests())
    for op in ("OPEN", "READ", "RELEASE", "IOCTL", "LOOKUP", "READDIRPLUS"):
        if counts.get(op, 0) != own.get(op, 0):
            raise Failed(
                f"{work}: strace saw {counts.get(op, 0)} {op}, the daemon counted {own.get(op, 0)}"
            )
    return Count(work, counts, store_reads, "strace")


def difference(before, after):
    """What came in between; asking for the counters asks the daemon too."""
    d = {op: n - before.get(op, 0) for op, n in after.items()}
    d.pop("GETXATTR", None)
    d.pop("STATFS", None)
    return {op: n for op, n in d.items() if n}


def calls_of(summary):
    """The total of `strace -c`."""
    found = re.search(r"^\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s+(?:\d+\s+)?total$", summary, re.M)
    if not found:
        raise Failed("strace -c printed no total")
    return int(found[1])


def system_calls(commands, env, cwd, daemon=None):
    """How many system calls the commands make with all their children, and the daemon meanwhile."""
    total = 0
    with tempfile.TemporaryDirectory(prefix="venvfs-strace-") as d:
        log = Path(d) / "log"
        if daemon:
            with Tracer(daemon, "-c") as t:
                total += sum(traced(argv, env, cwd, log) for argv in commands)
            return total + (calls_of(t.output) if "total" in t.output else 0)
        return sum(traced(argv, env, cwd, log) for argv in commands)


def traced(argv, env, cwd, log):
    r = subprocess.run(
        ["strace", "-f", "-c", "-o", str(log), *map(str, argv)],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if r.returncode != 0:
        raise Failed(f"{' '.join(map(str, argv))} under strace: {r.stderr.strip()}")
    return calls_of(log.read_text())
