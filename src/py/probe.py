# SPDX-License-Identifier: MIT
# Run once in a Python to learn what it is; prints the lines that interpreter_parse() reads.
# Python 2 must get as far as telling its version.
import os
import sys


def executable():
    """What `venv` would make bin/python a link to: in an environment, its base's executable."""
    own = getattr(sys, "_base_executable", None) or sys.executable
    if sys.prefix == getattr(sys, "base_prefix", sys.prefix):
        return own
    home = getattr(sys, "_home", None)
    if os.path.dirname(own) != os.path.join(sys.prefix, "bin"):
        return own
    # Before 3.11 an environment's executable counts as its own base
    minor = "python%d.%d" % sys.version_info[:2]
    for directory in home, os.path.join(sys.base_prefix, "bin"):
        for name in os.path.basename(own), minor, "python3", "python":
            path = os.path.join(directory or "/nonexistent", name)
            if os.access(path, os.X_OK):
                return path
    return own


def lib():
    """The directory of site-packages, as in an environment: never Debian's dist-packages. Fedora has
    two, lib and lib64, which are one there: an environment's lib64 is a link to lib."""
    import sysconfig

    scheme = "venv" if "venv" in sysconfig.get_scheme_names() else "posix_prefix"
    base = {"base": "/", "platbase": "/", "installed_base": "/", "installed_platbase": "/"}
    found = set()
    for key in "purelib", "platlib":
        path = sysconfig.get_path(key, scheme, base).lstrip("/")
        found.add("lib" + path[5:] if path.startswith("lib64/") else path)
    path, name = os.path.split(sorted(found)[0])
    if name != "site-packages" or not path or len(found) > 1:
        sys.exit("its site-packages lie in %s, which is not understood" % " and ".join(sorted(found)))
    return path


def bundled():
    """The wheels that ensurepip would install."""
    import importlib.util
    import sysconfig

    try:
        import ensurepip
    except Exception:
        return []
    names = getattr(ensurepip, "_PACKAGE_NAMES", None)
    if names is None:
        names = [p[0] for p in getattr(ensurepip, "_PROJECTS", [("pip",)])]
    versions = {"pip": getattr(ensurepip, "_PIP_VERSION", None)}
    versions["setuptools"] = getattr(ensurepip, "_SETUPTOOLS_VERSION", None)
    own = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
    system = sysconfig.get_config_var("WHEEL_PKG_DIR")
    if not system and hasattr(ensurepip, "_ensurepip_is_disabled_in_debian_for_system"):
        system = "/usr/share/python-wheels"  # its PyPy has the place in the code alone
    for directory, exact in (system, False), (own, True):
        try:
            files = sorted(f for f in os.listdir(directory or own) if f.endswith(".whl"))
        except OSError:
            continue
        found = []
        for name in sorted(names):
            prefix = name + "-" + (versions.get(name) or "") + ("-" if versions.get(name) else "")
            fit = [f for f in files if f.startswith(prefix if exact else name + "-")]
            if fit:
                found.append(os.path.join(directory or own, fit[-1]))
        if directory and len(found) == len(names):
            return found
    return []


def tags(wheels):
    """Accepted wheel tags, best first, as its pip has them, the bundled one or else one installed
    beside it; none without one."""
    wheels = [w for w in wheels if os.path.basename(w).startswith("pip-")]
    sys.path[:0] = wheels
    try:
        # What pip itself asks: packaging before 23.2 leaves out some ("cp311-none-any").
        from pip._internal.utils.compatibility_tags import get_supported

        return [str(tag) for tag in get_supported()]
    except Exception:
        pass
    try:
        from pip._vendor.packaging.tags import sys_tags

        return [str(tag) for tag in sys_tags()]
    except Exception:
        return []
    finally:
        for wheel in wheels:
            sys.path.remove(wheel)


def markers():
    """PEP 508's environment."""
    import json
    import platform

    v = sys.implementation.version
    version = "%d.%d.%d" % v[:3]
    if v.releaselevel != "final":
        version += v.releaselevel[0] + str(v.serial)
    env = {
        "implementation_name": sys.implementation.name,
        "implementation_version": version,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }
    return json.dumps(env, sort_keys=True)


def say(key, value):
    if value is not None and value != "":
        text = "%s %s\n" % (key, value)
        if "\n" in text[:-1] or "\r" in text:
            sys.exit("its %s holds a newline" % key)
        sys.stdout.buffer.write(os.fsencode(text))


def main():
    if sys.version_info < (3, 8):
        sys.exit("it is Python %d.%d.%d; 3.8 is the oldest that is supported" % sys.version_info[:3])
    if os.name != "posix" or not sys.executable:
        sys.exit("it does not know its own executable")
    import importlib.util

    spec = importlib.util.find_spec("venv")
    templates = os.path.join(os.path.dirname(spec.origin), "scripts") if spec else ""
    wheels = bundled()
    say("venvfs-python", 1)
    say("executable", executable())
    say("base-prefix", sys.base_prefix)
    say("version", "%d.%d.%d" % sys.version_info[:3])
    say("implementation", sys.implementation.name)
    say("abiflags", sys.abiflags)
    say("lib", lib())
    say("stdlib", os.path.dirname(os.path.abspath(os.__file__)))
    say("cache-tag", sys.implementation.cache_tag)
    say("magic", importlib.util.MAGIC_NUMBER.hex())
    say("templates", templates if os.path.isdir(templates) else "")
    say("markers", markers())
    for wheel in wheels:
        say("wheel", wheel)
    for tag in tags(wheels):
        say("tag", tag)
    say("end", "python")


main()
