# SPDX-License-Identifier: MIT
"""What the packaging world has already solved: TOML, markers, tags, PEP 751's choice of files.

    python -I -c THIS MODE FILE LIB...

LIB are directories that packaging (26.2) and, before Python 3.11, tomli are imported from. Standard
input tells for whom to choose: a line with the marker environment as JSON, then a wheel tag a line,
best first, then lines "allow NAME SHA256..." for those of which only such files may be taken. MODE
says what FILE is:

    pylock   a lock file of PEP 751
    report   what `pip install --dry-run --report` says
    markers  a marker a line; prints 1 or 0 for each
    script   the TOML that a script has about itself (PEP 723); prints its requirements, a line each
    freeze   distributions as JSON; prints the lock file of PEP 751 that names them

Prints a line per distribution, fields between tabs, "" where unknown:

    KIND name version file sha256 size url path subdirectory origin requested installer

KIND is wheel, sdist, tree (a directory) or vcs; path is absolute, origin is the text of
direct_url.json for what is no distribution of an index. requested is 0 for what only others need,
installer "=" and INSTALLER's text: what `freeze` noted. A line "error" and a text tells what can not
be had: every one of them, so that a person need not find them one by one. Then nothing is installed.
"""
import json
import os
import sys
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import pathname2url

MODE, FILE = sys.argv[1:3]
sys.path[:0] = sys.argv[3:]


class Refused(Exception):
    pass


def emit(*fields):
    fields = ["" if f is None else str(f) for f in fields]
    for f in fields:
        if any(ord(c) < 32 or ord(c) == 127 for c in f):
            raise Refused(f"{fields[1]}: a control character in {f!r}")
    print(*fields, sep="\t")


def error(text):
    print("error", " ".join(str(text).split()), sep="\t")


def file_url(path):
    return "file://" + pathname2url(path)


def without_secrets(url):
    """As direct_url.json wants it: user and password only as names of variables."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or user == "git" or all(p.startswith("${") for p in user.split(":")):
        return url
    return urlunsplit(parts._replace(netloc=host))


def sha256_of(name, hashes):
    digest = (hashes or {}).get("sha256", "").lower()
    if not digest:
        raise Refused(f"{name}: no SHA-256 is known of its file, and no other hash is taken")
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise Refused(f"{name}: {digest!r} is no SHA-256")
    return digest


def load_toml(path, called=None):
    try:
        import tomllib
    except ImportError:
        import tomli as tomllib
    try:
        with open(path, "rb") as f:
            return tomllib.load(f)
    except ValueError as e:  # TOML and UTF-8 errors are of this kind
        raise Refused(f"{called or path}: {e}") from None


def keep_allowed(content, allowed):
    faults = []
    for package in content.get("packages", []) if allowed else []:
        digests = allowed.get(package.get("name"))
        if not digests:
            continue
        files = package.get("wheels", [])
        kept = [w for w in files if w.get("hashes", {}).get("sha256") in digests]
        package["wheels"] = kept
        if package.get("sdist", {}).get("hashes", {}).get("sha256") not in digests:
            package.pop("sdist", None)
        if not kept and "sdist" not in package:
            name, version = package["name"], package.get("version", "")
            faults.append(f"{name} {version}: none of its files has one of the pinned hashes")
    if faults:
        raise Refused("\n".join(faults))


def name_files(content):
    """A file's name is the end of its URL where none is told, but packaging takes it as it stands there: "%2B" for "+"."""
    packages = content.get("packages")
    for package in packages if isinstance(packages, list) else []:
        wheels, sdist = (package.get(key) for key in ("wheels", "sdist")) if isinstance(package, dict) else (None, None)
        for file in [*(wheels if isinstance(wheels, list) else []), sdist]:
            if isinstance(file, dict) and "name" not in file and isinstance(file.get("url"), str):
                file["name"] = unquote(urlsplit(file["url"]).path.rpartition("/")[2])


def pylock(path, environment, tags, allowed):
    from packaging.pylock import Pylock, PylockSelectError, PylockValidationError

    content = load_toml(path)
    name_files(content)
    keep_allowed(content, allowed)
    try:
        lock = Pylock.from_dict(content)
    except PylockValidationError as e:
        raise Refused(f"{path}: {e}") from None
    chosen = []
    try:
        for package, source in lock.select(environment=environment, tags=tags):
            chosen.append((package, source))
    except PylockSelectError as e:
        raise Refused("\n".join(every_fault(lock, environment, tags) or [str(e)])) from None
    faults = []
    for package, source in chosen:
        try:
            lock_row(os.path.dirname(os.path.abspath(path)), package, source, noted(package))
        except Refused as e:
            faults.append(str(e))
    if faults:
        raise Refused("\n".join(faults))


def every_fault(lock, environment, tags):
    """What is wrong with each package alone; [] where they do not go together."""
    from dataclasses import replace

    from packaging.pylock import PylockSelectError

    faults = []
    for package in lock.packages:
        try:
            list(replace(lock, packages=[package]).select(environment=environment, tags=tags))
        except PylockSelectError as e:
            text = str(e).split(" for package ")[0]
            if text == str(e):  # of the whole file
                return [text]
            faults.append(f"{package.name} {package.version or ''}: {text}")
    return faults


def noted(package):
    """What freeze() wrote of how it was installed."""
    note = (package.tool or {}).get("venvfs", {})
    installer = note.get("installer")
    return "0" if note.get("requested") is False else "", "=" + installer if isinstance(installer, str) else ""


def lock_row(base, package, source, note):
    name, version = package.name, package.version
    kind = type(source).__name__
    path = getattr(source, "path", None)
    path = path and os.path.normpath(os.path.join(base, path))
    url = getattr(source, "url", None)
    subdirectory = getattr(source, "subdirectory", None)
    if kind == "PackageDirectory":
        if source.editable:
            raise Refused(
                f"{name}: an editable install is one environment's own; run `pip install -e {path}` in it"
            )
        origin = {"url": file_url(path), "dir_info": {}}
        emit_row("tree", name, version, None, None, None, None, path, subdirectory, origin, note)
        return
    if kind == "PackageVcs":
        url = url or file_url(path)
        info = {"vcs": source.type, "commit_id": source.commit_id}
        if source.requested_revision:
            info["requested_revision"] = source.requested_revision
        where = f"{source.type}+{url}@{source.commit_id}"
        origin = {"url": without_secrets(url), "vcs_info": info}
        emit_row("vcs", name, version, None, None, None, where, None, subdirectory, origin, note)
        return
    digest = sha256_of(name, source.hashes)
    origin = None
    if kind == "PackageArchive":
        file = path and os.path.basename(path) or unquote(urlsplit(url).path.rpartition("/")[2])
        kind = "PackageWheel" if file.endswith(".whl") else "PackageSdist"
        origin = archive_origin(url or file_url(path), digest)
    else:
        file = source.filename
    kind = "wheel" if kind == "PackageWheel" else "sdist"
    emit_row(kind, name, version, file, digest, source.size, url, path, subdirectory, origin, note)


def archive_origin(url, digest):
    info = {"hash": "sha256=" + digest, "hashes": {"sha256": digest}}
    return {"url": without_secrets(url), "archive_info": info}


def report(path):
    """https://pip.pypa.io/en/stable/reference/installation-report/"""
    with open(path, encoding="utf-8") as f:
        items = json.load(f)["install"]
    faults = []
    for item in items:
        try:
            report_row(item["metadata"], item["download_info"], item.get("is_direct", False))
        except Refused as e:
            faults.append(str(e))
    if faults:
        raise Refused("\n".join(faults))


def report_row(metadata, info, is_direct):
    from packaging.utils import canonicalize_name

    name, version, url = canonicalize_name(metadata["name"]), metadata["version"], info["url"]
    subdirectory = info.get("subdirectory")
    local = unquote(urlsplit(url).path) if url.startswith("file:") else None
    if "dir_info" in info:
        if info["dir_info"].get("editable"):
            raise Refused(
                f"{name}: an editable install is one environment's own; run `pip install -e {local}` in it"
            )
        emit_row("tree", name, version, None, None, None, None, local, subdirectory, dict(info))
        return
    if "vcs_info" in info:
        where = f"{info['vcs_info']['vcs']}+{url}@{info['vcs_info']['commit_id']}"
        emit_row("vcs", name, version, None, None, None, where, None, subdirectory, dict(info))
        return
    archive = info.get("archive_info", {})
    kind, _, value = archive.get("hash", "").partition("=")
    hashes = archive.get("hashes") or {kind: value}
    digest = sha256_of(name, hashes)
    origin = archive_origin(url, digest) if is_direct else None
    file = unquote(urlsplit(url).path.rpartition("/")[2])
    kind = "wheel" if file.endswith(".whl") else "sdist"
    emit_row(kind, name, version, file, digest, None, url, local, subdirectory, origin)


def emit_row(kind, name, version, file, digest, size, url, path, subdirectory, origin, note=("", "")):
    if origin and subdirectory:
        origin["subdirectory"] = subdirectory
    if url and url.startswith("file:"):
        path, url = path or unquote(urlsplit(url).path), None
    if path and os.path.exists(path):
        url = None
    elif url:
        path = None
    text = origin and json.dumps(origin, sort_keys=True)
    emit(kind, name, version, file, digest, size, url, path, subdirectory, text, *note)


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items() if v not in (None, "")) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str) and any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise Refused(f"a control character in {value!r}")
    return json.dumps(value, ensure_ascii=False)


def freeze(path):
    with open(path, encoding="utf-8") as f:
        rows = json.load(f)
    lines, faults = ['lock-version = "1.0"', 'created-by = "venvfs"'], []
    for row in rows:
        try:
            lines += ["", "[[packages]]", *freeze_row(row)]
        except Refused as e:
            faults.append(str(e))
    if faults:
        raise Refused("\n".join(faults))
    print(*lines, sep="\n")


def freeze_row(row):
    name = row["name"]
    yield f"name = {toml(name)}"
    origin = row["origin"] and json.loads(row["origin"])
    if not origin:
        where = {"path": row["path"]} if row["path"] else {"url": row["url"]}
        file = {"name": row["file"], **where, "size": row["size"] or None, "hashes": {"sha256": row["sha256"]}}
        yield f"version = {toml(row['version'])}"
        yield f"wheels = {toml([file])}" if row["kind"] == "wheel" else f"sdist = {toml(file)}"
    else:
        yield freeze_origin(name, origin)
    note = {}
    if not row["requested"]:
        note["requested"] = False
    if row["installer"] != "venvfs":
        note["installer"] = row["installer"] or ""
    if note:
        yield "[packages.tool.venvfs]"
        yield from (f"{k} = {toml(v)}" for k, v in note.items())


def freeze_origin(name, origin):
    url, subdirectory = origin["url"], origin.get("subdirectory")
    if "vcs_info" in origin:
        info = origin["vcs_info"]
        return "vcs = " + toml({
            "type": info["vcs"], "url": url, "requested-revision": info.get("requested_revision"),
            "commit-id": info["commit_id"], "subdirectory": subdirectory,
        })  # fmt: skip
    if "dir_info" in origin:
        local = unquote(urlsplit(url).path)
        return "directory = " + toml({"path": local, "subdirectory": subdirectory})
    archive = origin.get("archive_info", {})
    kind, _, value = archive.get("hash", "").partition("=")
    digest = sha256_of(name, archive.get("hashes") or {kind: value})
    return "archive = " + toml({"url": url, "hashes": {"sha256": digest}, "subdirectory": subdirectory})


def markers(path, environment):
    from packaging.markers import InvalidMarker, Marker

    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    for line in lines:
        try:
            print(int(Marker(line).evaluate(dict(environment, extra=""))))
        except InvalidMarker as e:
            raise Refused(f"the marker {line!r}: {str(e).splitlines()[0]}") from None


def script(path, environment):
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    said = "what the script says about itself"
    content, version = load_toml(path, said), environment["python_full_version"]
    wanted, requirements = content.get("requires-python", ""), content.get("dependencies", [])
    if not isinstance(wanted, str) or not isinstance(requirements, list) or not all(isinstance(r, str) for r in requirements):
        raise Refused(f"{said}: requires-python is a string, and dependencies a list of strings (PEP 723)")
    uv = content.get("tool", {}).get("uv", {}) if isinstance(content.get("tool", {}), dict) else {}
    if isinstance(uv, dict) and uv.get("sources"):
        raise Refused(f"{said}: [tool.uv.sources] tells where distributions come from, which only `uv run` follows")
    try:
        if not SpecifierSet(wanted).contains(version, prereleases=True):
            raise Refused(f"the script wants Python {wanted}, and this is {version}; --python chooses another")
        for requirement in requirements:
            Requirement(requirement)
            print("requirement", requirement, sep="\t")
    except (InvalidSpecifier, InvalidRequirement) as e:
        raise Refused(f"{said}: {str(e).splitlines()[0]}") from None


def main():
    from packaging.tags import Tag

    lines = sys.stdin.read().splitlines()
    environment = json.loads(lines[0])
    tags = [Tag(*line.split("-")) for line in lines[1:] if not line.startswith("allow ")]
    allowed = [line.split()[1:] for line in lines[1:] if line.startswith("allow ")]
    allowed = {name: frozenset(digests) for name, *digests in allowed}
    try:
        if MODE == "pylock":
            pylock(FILE, environment, tags, allowed)
        elif MODE == "report":
            report(FILE)
        elif MODE == "script":
            script(FILE, environment)
        elif MODE == "freeze":
            freeze(FILE)
        else:
            markers(FILE, environment)
    except Refused as e:
        for line in str(e).splitlines():
            error(line)


main()
