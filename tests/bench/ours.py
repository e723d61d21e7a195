# SPDX-License-Identifier: MIT
"""A root, mounted for as long as a `with` lasts and unmounted whatever happens in it."""

import json
import os
import re
import subprocess
import time

from measure import Failed


class Mount:
    def __init__(self, world, path, *options, env=None):
        self.world = world
        self.path = path
        self.options = options
        self.env = env  # of the daemon: it may have another store than the world's
        self.pid = None

    def __enter__(self):
        self.world.mounts.append(self)
        self.upper_fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        self.world.ours("mount", self.path, *self.options, env=self.env)
        if not is_mounted(self.path):
            raise Failed(f"venvfs mount {self.path} said yes, but nothing is mounted")
        self.pid = self.status()["pid"]
        return self

    def __exit__(self, *exc):
        self.world.mounts.remove(self)
        os.close(self.upper_fd)
        end = time.monotonic() + 5
        while is_mounted(self.path) and time.monotonic() < end:
            try:
                self.world.ours("umount", self.path, env=self.env)
            except Failed:
                time.sleep(0.1)
        for _ in range(8):
            if not is_mounted(self.path):
                return
            tool = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
            subprocess.run([*tool, str(self.path)], check=False)
        raise Failed(f"{self.path} can not be unmounted")

    def __truediv__(self, name):
        return self.path / name

    def status(self):
        real = os.path.realpath(self.path)
        for m in json.loads(self.world.ours("status", "--json")):
            if m.get("root") == real:
                return m
        raise Failed(f"{real} is not in venvfs status")

    def requests(self):
        return self.status()["requests"]

    def inodes_behind(self, name):
        """What an environment takes on the disk: (directories and files, bytes)."""
        top = f"/proc/{os.getpid()}/fd/{self.upper_fd}/{name}"
        return tree_size(top)


def tree_size(top):
    """(directories and files below and with `top`, bytes they allocate)."""
    st = os.lstat(top)
    n, size = 1, st.st_blocks * 512
    for directory, dirs, files in os.walk(top):
        for name in dirs + files:
            st = os.lstat(os.path.join(directory, name))
            n += 1
            size += st.st_blocks * 512
    return n, size


def is_mounted(path):
    path = os.path.realpath(path)
    with open("/proc/self/mountinfo") as f:
        return any(unescape(line.split()[4]) == path for line in f)


def unescape(s):
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), s)
