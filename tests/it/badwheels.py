# SPDX-License-Identifier: MIT
"""Bad wheels, each wrong in one thing. A small writer of zip archives that can be told to lie, since
the standard library's will not; and a table of what is to be refused, under which rule."""

import base64
import hashlib
import struct
import zlib
from dataclasses import dataclass, field

STEM = "demo-1.0"
INFO = f"{STEM}.dist-info"
FILE = f"{STEM}-py3-none-any.whl"

DESCRIPTOR, UTF8, ENCRYPTED = 0x8, 0x800, 0x1


@dataclass
class Member:
    name: str | bytes
    data: bytes = b"x = 1\n"
    mode: int = 0o100644
    method: int = 8
    flags: int = 0
    local: dict = field(default_factory=dict)  # fields of its own header that differ
    central: dict = field(default_factory=dict)  # fields of the directory's entry that differ
    descriptor: bytes | None = None  # what stands behind its data; None: what flags ask for
    packed: bytes | None = None  # its data in the archive
    before: bytes = b""  # in front of its header
    at: int | None = None  # what the directory says where it is
    unlisted: bool = False  # not in the directory
    recorded: bool = True

    @property
    def raw_name(self):
        return self.name if isinstance(self.name, bytes) else self.name.encode()


def archive(members, *, prefix=b"", before_end=b"", suffix=b"", comment=b"", end=None, end_offset=0):
    """The archive's bytes. `end`: fields of the end record that differ."""
    out, entries = bytearray(prefix), []
    for m in members:
        out += m.before
        at = len(out)
        packed = m.packed
        if packed is None:
            packed = m.data
            if m.method == 8:
                packed = deflate(m.data)
        f = dict(signature=0x04034B50, version=20, flags=m.flags | (0 if m.raw_name.isascii() else UTF8), method=m.method,
                 crc=zlib.crc32(m.data), packed=len(packed), size=len(m.data), name=m.raw_name, extra=b"",
                 mode=m.mode, disk=0, offset=m.at if m.at is not None else at)
        own = {**f, **m.local}
        if f["flags"] & DESCRIPTOR and not m.local:
            own.update(crc=0, packed=0, size=0)
        out += struct.pack("<IHHHIIIIHH", own["signature"], own["version"], own["flags"], own["method"], 0x21 << 16,
                           own["crc"], own["packed"], own["size"], len(own["name"]), len(own["extra"]))
        out += own["name"] + own["extra"] + packed
        if m.descriptor is not None:
            out += m.descriptor
        elif f["flags"] & DESCRIPTOR:
            out += struct.pack("<IIII", 0x08074B50, f["crc"], f["packed"], f["size"])
        if not m.unlisted:
            entries.append({**f, **m.central})
    start = len(out)
    for e in entries:
        out += struct.pack("<IHHHHIIIIHHHHHII", 0x02014B50, 0x031E, e["version"], e["flags"], e["method"],
                           0x21 << 16, e["crc"], e["packed"], e["size"], len(e["name"]), len(e["extra"]), 0,
                           e["disk"], 0, e["mode"] << 16, e["offset"]) + e["name"] + e["extra"]
    size = len(out) - start
    out += before_end
    f = dict(disk=0, start_disk=0, here=len(entries), all=len(entries), size=size, offset=start)
    f.update(end or {})
    out += struct.pack("<IHHHHIIH", 0x06054B50, f["disk"], f["start_disk"], f["here"], f["all"], f["size"],
                       f["offset"] + end_offset, len(comment)) + comment + suffix
    return bytes(out)


def hash_of(data, algorithm="sha256"):
    digest = hashlib.new(algorithm, data).digest()
    return f"{algorithm}=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def quote(name):
    return '"' + name.replace('"', '""') + '"' if any(c in name for c in ',"\r\n') else name


def row(m):
    name = m.raw_name.decode("utf-8", "surrogateescape")
    return f"{quote(name)},{hash_of(m.data)},{len(m.data)}\n"


METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
WHEEL = b"Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(*more, base=None, metadata=METADATA, wheel_text=WHEEL, info=INFO, record=None, entry_points=None,
          record_member=True, **kw):
    """A good wheel with `more` members. `record`: a function of RECORD's text (str) to str or bytes."""
    members = [base or Member("demo.py"), *more]
    if metadata is not None:
        members.append(Member(f"{info}/METADATA", metadata))
    if wheel_text is not None:
        members.append(Member(f"{info}/WHEEL", wheel_text))
    if entry_points is not None:
        members.append(Member(f"{info}/entry_points.txt", entry_points.encode()))
    lines = "".join(row(m) for m in members if m.recorded and not m.unlisted and m.raw_name[-1:] != b"/")
    lines += f"{info}/RECORD,,\n"
    if record:
        lines = record(lines)
    if record_member:
        data = lines if isinstance(lines, bytes) else lines.encode("utf-8", "surrogateescape")
        members.append(Member(f"{info}/RECORD", data, recorded=False))
    return archive(members, **kw)


def zip64_end(n, size, offset, *, extensible=b"", locator_at=None, claimed=None):
    """A ZIP64 end record and its locator, as they stand at `offset + size`."""
    record = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44 + len(extensible), 45, 45, 0, 0, n,
                         claimed if claimed is not None else n, size, offset) + extensible
    at = offset + size if locator_at is None else locator_at
    return record + struct.pack("<IIQI", 0x07064B50, 0, at, 1)


def with_zip64(**kw):
    plain = wheel()
    n, size, offset = struct.unpack("<HII", plain[-22 + 10 : -2])
    return wheel(before_end=zip64_end(n, size, offset, **kw), end=dict(offset=0xFFFFFFFF), end_offset=0)


def deflate(data):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return c.compress(data) + c.flush()


def endless(data):
    """All of `data`, in a stream that is never ended."""
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return c.compress(data) + c.flush(zlib.Z_SYNC_FLUSH)


def descriptor(data, packed, wide=False, signature=True):
    head = struct.pack("<II", 0x08074B50, zlib.crc32(data))
    return head[0 if signature else 4 :] + struct.pack("<QQ" if wide else "<II", len(packed), len(data))


def zip64_streamed(wide):
    """A member whose sizes come in its descriptor, under a header for sizes of 64 bits."""
    data, packed = b"x = 1\n", deflate(b"x = 1\n")
    own = dict(crc=0, packed=0xFFFFFFFF, size=0xFFFFFFFF, extra=struct.pack("<HHQQ", 1, 16, 0, 0))
    return wheel(base=Member("demo.py", data, packed=packed, flags=DESCRIPTOR, local=own,
                             descriptor=descriptor(data, packed, wide)))


def smuggled():
    """Who inflates from the front finds the stream's end, a descriptor, and one member more; who goes by
    the directory finds a member with all that in its packed bytes."""
    data, packed = b"x = 1\n", deflate(b"x = 1\n")
    hidden = archive([Member("evil.py", b"evil", method=0)])
    hidden = hidden[: hidden.index(b"PK\x01\x02")]
    return wheel(base=Member("demo.py", data, flags=DESCRIPTOR, packed=packed + descriptor(data, packed) + hidden))


def large_scripts():
    text = b"#!python\n" + bytes(15 << 20)
    return wheel(*[Member(f"{STEM}.data/scripts/s{i}", text) for i in range(5)])


def deflate_bomb():
    """2 GiB of zeros: within deflate's ratio, but 200 times more than the file."""
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    chunk, crc, packed = bytes(1 << 24), 0, []
    for _ in range(128):
        packed.append(c.compress(chunk))
        crc = zlib.crc32(chunk, crc)
    packed.append(c.flush())
    size = 128 << 24
    lie = dict(crc=crc, size=size)
    return wheel(Member("zeros", b"", packed=b"".join(packed), local=lie, central=lie, recorded=False),
                 record=lambda t: t + f"zeros,{hash_of(b'')},{size}\n")


def names(*bad, flags=0, place="demo/"):
    return lambda: wheel(*[Member(b, flags=flags) for b in bad])


def many_members(n):
    return wheel(end=dict(here=n, all=n))


# (what is wrong, rule, the member that the message names or None, a part of the reason, how it is made)
BAD = [
    # 1: what the archive says in two places
    ("own header with another name", 1, "demo.py", "another name",
     lambda: wheel(base=Member("demo.py", local=dict(name=b"demp.py")))),
    ("own header with another method", 1, "demo.py", "another method",
     lambda: wheel(base=Member("demo.py", local=dict(method=0)))),
    ("own header with other flags", 1, "demo.py", "other flags",
     lambda: wheel(base=Member("demo.py", local=dict(flags=UTF8)))),
    ("own header with another checksum", 1, "demo.py", "another size or checksum",
     lambda: wheel(base=Member("demo.py", local=dict(crc=1)))),
    ("own header with another size", 1, "demo.py", "another size or checksum",
     lambda: wheel(base=Member("demo.py", local=dict(size=7)))),
    ("own header with another packed size", 1, "demo.py", "another size or checksum",
     lambda: wheel(base=Member("demo.py", local=dict(packed=1)))),
    ("a checksum that is wrong in both places", 1, "demo.py", "checksum",
     lambda: wheel(base=Member("demo.py", local=dict(crc=1), central=dict(crc=1)))),
    ("a member that the central directory does not name", 1, None, "does not name",
     lambda: wheel(Member("hidden.py", bytes(100), unlisted=True))),
    ("an entry without a header of its own", 1, None, "no header of its own",
     lambda: wheel(base=Member("demo.py", local=dict(signature=0x04034B51)))),
    ("a data descriptor that is missing", 1, "demo.py", "descriptor is missing",
     lambda: wheel(base=Member("demo.py", flags=DESCRIPTOR, descriptor=b""))),
    ("a data descriptor that nothing announces", 1, "demo.py", "not announce",
     lambda: wheel(base=Member("demo.py", descriptor=struct.pack("<IIII", 0x08074B50, 1, 2, 3)))),
    ("a data descriptor that tells something else", 1, "demo.py", "descriptor and",
     lambda: wheel(base=Member("demo.py", flags=DESCRIPTOR,
                               descriptor=struct.pack("<IIII", 0x08074B50, 1, 2, 3)))),
    ("a data descriptor of 64 bits under a header of 32", 1, "demo.py", "descriptor",
     lambda: wheel(base=Member("demo.py", flags=DESCRIPTOR,
                               descriptor=descriptor(b"x = 1\n", deflate(b"x = 1\n"), wide=True)))),
    ("a data descriptor of 32 bits under a header of 64", 1, "demo.py", "descriptor",
     lambda: zip64_streamed(wide=False)),
    ("a stored member without a size in front", 1, "demo.py", "leaves out its size",
     lambda: wheel(base=Member("demo.py", method=0, flags=DESCRIPTOR))),
    ("a stored member of two sizes", 1, "demo.py", "two different sizes",
     lambda: wheel(base=Member("demo.py", method=0, local=dict(size=5), central=dict(size=5)))),
    ("data that does not inflate", 1, "demo.py", "not inflate",
     lambda: wheel(base=Member("demo.py", b"x" * 8, packed=b"\xff" * 8))),
    # 2: duplicates
    ("one name twice", 2, "demo.py", "there as well", lambda: wheel(Member("demo.py", b"y\n"))),
    ("one place by two ways", 2, None, "there as well",
     lambda: wheel(Member(f"{STEM}.data/purelib/demo.py", b"y\n"))),
    ("a file that is a directory as well", 2, None, "there as well",
     lambda: wheel(Member("pkg"), Member("pkg/a.py"))),
    # 3: bytes that belong to nothing
    ("bytes before the archive", 3, None, "before the first member",
     lambda: (lambda b: archive_shift(b, b"#!/bin/sh\n"))(None)),
    ("bytes between members", 3, None, "belong to no member",
     lambda: wheel(Member("other.py", before=b"?" * 40))),
    ("a few bytes between members", 3, None, "belong to no member",
     lambda: wheel(Member("other.py", before=b"???"))),
    ("bytes before the end record", 3, None, "end record", lambda: wheel(before_end=b"?" * 8)),
    ("bytes behind the end record", 3, None, "not where the file ends", lambda: wheel(suffix=b"?" * 8)),
    ("a second end record behind the first", 3, None, "", lambda: wheel(suffix=wheel()[-22:])),
    ("an archive in the comment", 3, None, "comment", lambda: wheel(comment=wheel()[:60] + b"tail")),
    ("more members than the end record counts", 3, None, "more than the end record counts",
     lambda: wheel(end=dict(here=2, all=2))),
    ("fewer members than the end record counts", 3, None, "central directory", lambda: many_members(9)),
    ("two counts of members", 3, None, "two counts", lambda: wheel(end=dict(here=2))),
    ("a directory that is elsewhere", 3, None, "", lambda: wheel(end_offset=4)),
    ("a ZIP64 locator that points elsewhere", 3, None, "locator", lambda: with_zip64(locator_at=0)),
    ("a ZIP64 record with extensible data", 3, None, "", lambda: with_zip64(extensible=b"12345678")),
    ("full fields without a ZIP64 record", 3, None, "locator is missing",
     lambda: wheel(end=dict(offset=0xFFFFFFFF))),
    ("no archive", 3, None, "no zip archive", lambda: b"PK, but not really one. " * 8),
    ("an empty file", 3, None, "no zip archive", lambda: b""),
    ("an archive that is cut short", 3, None, "no zip archive", lambda: wheel()[:-40]),
    ("bytes behind the end of a stream", 3, "demo.py", "behind the end of the stream",
     lambda: wheel(base=Member("demo.py", packed=deflate(b"x = 1\n") + b"?"))),
    ("a member behind the end of a stream", 3, "demo.py", "behind the end of the stream", smuggled),
    ("a stream without an end", 3, "demo.py", "before the stream ends",
     lambda: wheel(base=Member("demo.py", b"y" * 9000, packed=endless(b"y" * 9000)))),
    # 4: overlapping members
    ("two members over one another", 4, None, "overlaps", lambda: overlapping()),
    # 5: methods
    ("a member compressed by bzip2", 5, "other.py", "", lambda: wheel(Member("other.py", method=12))),
    ("a member compressed by LZMA", 5, "other.py", "", lambda: wheel(Member("other.py", method=14))),
    ("an encrypted member", 5, "other.py", "encrypted", lambda: wheel(Member("other.py", flags=ENCRYPTED))),
    ("a patch", 5, "other.py", "unknown flags", lambda: wheel(Member("other.py", flags=0x20))),
    ("a member on another disk", 5, "other.py", "disk",
     lambda: wheel(Member("other.py", central=dict(disk=1)))),
    ("a part of a set of disks", 5, None, "set of disks", lambda: wheel(end=dict(disk=1))),
    # 6: names
    ("a name of nothing", 6, None, "empty name", names(b"")),
    ("a NUL in a name", 6, None, "NUL", names(b"a.py\0.txt")),
    ("a name that is no UTF-8", 6, None, "UTF-8", names(b"caf\xe9.py")),
    ("a name that is not marked as UTF-8", 6, None, "marked",
     lambda: wheel(Member("caf\u00e9.py", central=dict(flags=0), local=dict(flags=0)))),
    ("an absolute name", 6, None, "absolute", names("/etc/passwd")),
    ("a name that climbs", 6, None, "", names("../../evil.py")),
    ("a name that climbs in the middle", 6, None, "", names("pkg/../../evil.py")),
    ("a name with a dot in it", 6, None, "", names("pkg/./a.py")),
    ("a name with two slashes", 6, None, "", names("pkg//a.py")),
    ("a backslash", 6, None, "backslash", names("..\\evil.py")),
    ("a drive letter", 6, None, "drive", names("C:/evil.py")),
    ("a blank at the end of a component", 6, None, "blank", names("pkg /a.py")),
    ("a dot at the end of a component", 6, None, "dot", names("a.py.")),
    ("a newline", 6, None, "control", names("a\nb.py")),
    ("an escape sequence", 6, None, "control", names("\x1b[2Ja.py")),
    ("a control character above ASCII", 6, None, "control", names("a\u0085b.py")),
    ("a component of 256 bytes", 6, None, "255", names("a" * 253 + ".py")),
    ("a path of 5000 bytes", 6, None, "4096", names("/".join(["a" * 200] * 25))),
    ("another name in an extra field", 6, None, "another name", lambda: unicode_path()),
    # 7: modes
    ("a symlink", 7, "link", "neither", lambda: wheel(Member("link", b"/etc/passwd", mode=0o120777))),
    ("a device", 7, "dev", "neither", lambda: wheel(Member("dev", mode=0o20644))),
    ("a fifo", 7, "fifo", "neither", lambda: wheel(Member("fifo", mode=0o10644))),
    ("a setuid file", 7, "su", "setuid", lambda: wheel(Member("su", mode=0o104755))),
    ("a setgid file", 7, "su", "setgid", lambda: wheel(Member("su", mode=0o102755))),
    ("a sticky file", 7, "su", "sticky", lambda: wheel(Member("su", mode=0o101755))),
    ("a directory with content", 7, "pkg/", "content",
     lambda: wheel(Member("pkg/", b"content", mode=0o40755))),
    # 8: RECORD
    ("no RECORD", 8, None, "no RECORD", lambda: wheel(record_member=False)),
    ("a file that RECORD does not name", 8, "extra.py", "does not name",
     lambda: wheel(Member("extra.py", recorded=False))),
    ("a row for a file that is not there", 8, "ghost.py", "no such file",
     lambda: wheel(record=lambda t: f"ghost.py,{hash_of(b'')},0\n" + t)),
    ("a row for a file outside", 8, "../../../etc/passwd", "no such file",
     lambda: wheel(record=lambda t: f"../../../etc/passwd,{hash_of(b'')},0\n" + t)),
    ("two rows for one file", 8, "demo.py", "twice", lambda: wheel(record=lambda t: t.split("\n")[0] + "\n" + t)),
    ("a wrong hash", 8, "demo.py", "not RECORD's",
     lambda: wheel(record=lambda t: t.replace(hash_of(b"x = 1\n"), hash_of(b"x = 2\n")))),
    ("a wrong size", 8, "demo.py", "size", lambda: wheel(record=lambda t: t.replace(",6\n", ",7\n"))),
    ("no size", 8, "demo.py", "size", lambda: wheel(record=lambda t: t.replace(",6\n", ",\n"))),
    ("no hash", 8, "demo.py", "no hash", lambda: wheel(record=lambda t: t.replace(hash_of(b"x = 1\n"), ""))),
    ("a hash by MD5", 8, "demo.py", "no sha256",
     lambda: wheel(record=lambda t: t.replace(hash_of(b"x = 1\n"), hash_of(b"x = 1\n", "md5")))),
    ("a hash by SHA-1", 8, "demo.py", "no sha256",
     lambda: wheel(record=lambda t: t.replace(hash_of(b"x = 1\n"), hash_of(b"x = 1\n", "sha1")))),
    ("half a hash", 8, "demo.py", "no sha256",
     lambda: wheel(record=lambda t: t.replace(hash_of(b"x = 1\n"), hash_of(b"x = 1\n")[:30]))),
    ("RECORD that is no CSV", 8, None, "", lambda: wheel(record=lambda t: 'demo.py,"' + t)),
    ("RECORD with rows of one column", 8, None, "", lambda: wheel(record=lambda t: "demo.py\n" + t)),
    # 9: sizes
    ("more bytes than deflate can make", 9, "demo.py", "can not hold",
     lambda: wheel(base=Member("demo.py", local=dict(size=1 << 30), central=dict(size=1 << 30)))),
    ("a member of 17 GiB", 9, "big.bin", "16 GiB", lambda: zip64_member(17 << 30)),
    ("200 times the size of the file", 9, None, "200 times", deflate_bomb),
    ("a member larger than it says", 9, "demo.py", "",
     lambda: wheel(base=Member("demo.py", b"y" * 900, local=dict(size=300), central=dict(size=300)),
                   record=lambda t: t.replace(",900\n", ",300\n"))),
    ("a member smaller than it says", 9, "demo.py", "smaller",
     lambda: wheel(base=Member("demo.py", b"y" * 900, local=dict(size=1000), central=dict(size=1000)),
                   record=lambda t: t.replace(",900\n", ",1000\n"))),
    ("more text of scripts than is kept in memory", 9, None, "64 MiB", large_scripts),
    # 10: schemes and scripts
    ("an unknown scheme", 10, None, "is no scheme", names(f"{STEM}.data/stdlib/a.py")),
    ("a file in no scheme", 10, None, "no scheme", names(f"{STEM}.data/a.py")),
    ("an entry point that leaves bin", 10, None, "",
     lambda: wheel(entry_points="[console_scripts]\n../evil = demo:main\n")),
    ("an entry point with an absolute name", 10, None, "",
     lambda: wheel(entry_points="[console_scripts]\n/tmp/evil = demo:main\n")),
    ("an entry point to no object", 10, None, "", lambda: wheel(entry_points="[console_scripts]\nevil = demo:\n")),
    ("an entry point with code in it", 10, None, "",
     lambda: wheel(entry_points="[console_scripts]\nevil = demo:main();import os\n")),
    ("an entry point twice", 10, None, "given twice",
     lambda: wheel(entry_points="[console_scripts]\nrun = demo:main\nrun = demo:other\n")),
    # 11: identity
    ("METADATA of another name", 11, None, "file name says",
     lambda: wheel(metadata=METADATA.replace(b"demo", b"evil"))),
    ("METADATA of another version", 11, None, "file name says",
     lambda: wheel(metadata=METADATA.replace(b"1.0\n", b"2.0\n"))),
    ("METADATA without a name", 11, None, "", lambda: wheel(metadata=b"Metadata-Version: 2.1\nVersion: 1.0\n")),
    ("no METADATA", 11, None, "METADATA", lambda: wheel(metadata=None)),
    ("no WHEEL", 11, None, "WHEEL", lambda: wheel(wheel_text=None)),
    ("a WHEEL of a later kind", 11, None, "", lambda: wheel(wheel_text=WHEEL.replace(b"1.0", b"2.0"))),
    ("a .dist-info of another name", 11, None, "", lambda: wheel(info="evil-1.0.dist-info")),
    ("two .dist-info directories", 11, None, "second .dist-info", names("evil-2.0.dist-info/METADATA")),
    ("a second .dist-info in capitals", 11, None, "other case", names("evil-2.0.DIST-INFO/METADATA")),
    ("a .dist-info by way of a scheme", 11, None, "would land",
     names(f"{STEM}.data/purelib/evil-2.0.dist-info/METADATA")),
    ("no .dist-info", 11, None, "no .dist-info", lambda: archive([Member("demo.py")])),
    ("the .data of another", 11, None, "something else", names("evil-1.0.data/scripts/x")),
    # 12: names that collide
    ("names that differ by case", 12, None, "case or normalization", names("Demo.py")),
    ("names that differ by normalization", 12, None, "case or normalization", names("caf\u00e9.py", "cafe\u0301.py")),
    # 15: names that mean something to an environment
    ("a whiteout", 15, None, ".wh.", names(".wh.demo.py")),
    ("a whiteout in a package", 15, None, ".wh.", names("pkg/.wh..wh..opq")),
    ("a name of the view", 15, None, ".venvfs", names(".venvfs/generations")),
    ("pyvenv.cfg in site-packages", 15, None, "pyvenv.cfg", names("pyvenv.cfg")),
    ("pyvenv.cfg in the environment", 15, None, "pyvenv.cfg", names(f"{STEM}.data/data/pyvenv.cfg")),
    ("the interpreter as a script", 15, None, "interpreter", names(f"{STEM}.data/scripts/python3")),
    ("the interpreter as data", 15, None, "interpreter", names(f"{STEM}.data/data/bin/python")),
    ("the interpreter as an entry point", 10, None, "",
     lambda: wheel(entry_points="[console_scripts]\npython3 = demo:main\n")),
]


def archive_shift(_, prefix):
    """Everything moved by `prefix`, with offsets that are right for the whole file."""
    return wheel(prefix=prefix)


def overlapping():
    """The second member begins within the first one's data."""
    inner = archive([Member("inner.py", b"x" * 40, method=0)])
    end = inner.index(b"PK\x01\x02")
    base = Member("demo.py", inner[:end] + b"tail", method=0)
    return wheel(Member("inner.py", b"x" * 40, method=0, at=30 + len("demo.py")), base=base)


def unicode_path():
    name = b"innocent.py"
    extra = struct.pack("<BI", 1, zlib.crc32(name)) + b"evil.py"
    extra = struct.pack("<HH", 0x7075, len(extra)) + extra
    return wheel(Member(name, central=dict(extra=extra)))


def zip64_member(size):
    extra = struct.pack("<HHQ", 1, 8, size)
    own = struct.pack("<HHQQ", 1, 16, size, 100)
    lie = dict(size=0xFFFFFFFF)
    return wheel(Member("big.bin", b"", packed=bytes(100), central={**lie, "extra": extra},
                        local={**lie, "packed": 0xFFFFFFFF, "extra": own}, recorded=False))
