# SPDX-License-Identifier: MIT
"""Hand-made wheels, good ones and bad ones, with nothing but the standard library."""

import base64
import hashlib
import zipfile
from pathlib import Path

EPOCH = (2020, 1, 1, 0, 0, 0)


def to_bytes(x):
    return x.encode() if isinstance(x, str) else bytes(x)


def escape(name):
    return name.replace("-", "_").replace(".", "_")


def record_line(path, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{quote(path)},sha256={digest},{len(data)}\n"


def quote(path):
    return '"' + path.replace('"', '""') + '"' if any(c in path for c in ',"\n\r') else path


def make(
    directory,
    name,
    version="1.0",
    *,
    files=None,
    entry_points=None,
    scripts=None,
    data=None,
    headers=None,
    platlib=None,
    requires=(),
    metadata="",
    dist_info=None,
    tag="py3-none-any",
    pure=True,
    executable=(),
    record=None,
    extra_members=(),
    file_name=None,
):
    """Writes NAME-VERSION-TAG.whl into `directory` and returns its path.

    files         {path below site-packages: text or bytes}
    entry_points  {"console_scripts": {"demo": "demo:main"}}, or entry_points.txt's text
    scripts, data, headers, platlib   members of NAME.data/..., {path: text or bytes}
    requires      Requires-Dist lines
    dist_info     further files of the .dist-info
    executable    member names that get mode 0755
    record        a function that gets RECORD's text and returns what to write in its place,
                  or None for no RECORD at all
    extra_members (zipfile.ZipInfo or name, bytes) pairs that RECORD does not know
    """
    stem = f"{escape(name)}-{version}"
    info = f"{stem}.dist-info"
    members = {}
    for path, content in (files if files is not None else {f"{escape(name)}.py": ""}).items():
        members[path] = to_bytes(content)
    schemes = (("scripts", scripts), ("data", data), ("headers", headers), ("platlib", platlib))
    for scheme, group in schemes:
        for path, content in (group or {}).items():
            members[f"{stem}.data/{scheme}/{path}"] = to_bytes(content)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    text += "".join(f"Requires-Dist: {r}\n" for r in requires)
    members[f"{info}/METADATA"] = to_bytes(text + metadata)
    members[f"{info}/WHEEL"] = to_bytes(
        "Wheel-Version: 1.0\nGenerator: wheelmaker\n"
        f"Root-Is-Purelib: {'true' if pure else 'false'}\n"
        + "".join(f"Tag: {t}\n" for t in expand(tag))
    )
    if entry_points:
        if not isinstance(entry_points, str):
            entry_points = "\n".join(
                f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items())
                for group, points in entry_points.items()
            )
        members[f"{info}/entry_points.txt"] = to_bytes(entry_points)
    for path, content in (dist_info or {}).items():
        members[f"{info}/{path}"] = to_bytes(content)
    lines = "".join(record_line(path, content) for path, content in members.items())
    lines += f"{quote(info + '/RECORD')},,\n"
    if record:
        lines = record(lines)
    path = Path(directory) / (file_name or f"{stem}-{tag}.whl")
    with zipfile.ZipFile(path, "w") as z:
        for member, content in members.items():
            z.writestr(member_info(member, 0o755 if member in executable else 0o644), content)
        for member, content in extra_members:
            if isinstance(member, str):
                member = member_info(member, 0o644)
            z.writestr(member, to_bytes(content))
        if lines is not None:
            z.writestr(member_info(f"{info}/RECORD", 0o644), lines)
    return path


def member_info(name, mode):
    zi = zipfile.ZipInfo(name, EPOCH)
    zi.compress_type = zipfile.ZIP_DEFLATED
    zi.external_attr = (0o100000 | mode) << 16
    zi.create_system = 3
    return zi


def expand(tag):
    python, abi, platform = tag.split("-")
    return [f"{p}-{a}-{f}" for p in python.split(".") for a in abi.split(".") for f in platform.split(".")]
