# SPDX-License-Identifier: MIT
"""The peers: uv, virtualenv, venv and cp, as somebody who wants them fast would call them: uv with a
warm cache on the same file system and hard links, without questions to any index."""

import sys
from pathlib import Path

WARM = "uv-cache"


class Uv:
    def __init__(self, world, cache=WARM):
        self.world = world
        self.cache = world.tmp / cache
        self.env = {"UV_CACHE_DIR": str(self.cache), "UV_NO_CONFIG": "1"}
        self.program = world.tools / "uv"

    def __call__(self, *args, env=None):
        return self.world.run(self.program, "-q", *args, env={**self.env, **(env or {})})

    def venv(self, path):
        self(*self.venv_args(path))

    def sync(self, path, requirements, *options):
        self(*self.sync_args(path, requirements, *options))

    def create(self, path, requirements, *options):
        self.venv(path)
        self.sync(path, requirements, *options)

    def venv_args(self, path):
        return ["venv", "--python", self.world.python, path]

    def sync_args(self, path, requirements, *options):
        return [
            "pip", "sync", "--python", path / "bin" / "python", "--no-index",
            "--find-links", self.world.wheels, "--require-hashes", *options, requirements,
        ]  # fmt: skip

    def warm(self):
        """Fills the cache, and leaves no environment."""
        path = self.world.tmp / "uv-warm"
        self.create(path, self.world.sci)
        self.world.remove(path)


def seeds(world):
    """The wheels of pip (and setuptools) that the base Python brings along for its environments."""
    code = (
        "import ensurepip, os; print(getattr(ensurepip, '_WHEEL_PKG_DIR', None) or "
        "os.path.join(os.path.dirname(ensurepip.__file__), '_bundled'))"
    )
    d = Path(world.run(world.python, "-c", code).strip())
    names = ("pip-*.whl", "setuptools-*.whl") if sys.version_info < (3, 12) else ("pip-*.whl",)
    return [wheel for name in names for wheel in sorted(d.glob(name))]
