# SPDX-License-Identifier: MIT
"""What pyvenv.cfg may say: the interpreter makes of it what it makes of an ordinary one."""

import errno
import os
import subprocess

import pytest
from twins import real_environment

PROBE = """
import site, sys
print(sys.prefix, sys.base_prefix, sys._home, site.ENABLE_USER_SITE,
      [p for p in sys.path if "site-packages" in p])
"""
MANY = "".join(f"x-key-{i} = {'v' * 85}\n" for i in range(200))


def lines(text):
    return text.splitlines(keepends=True)


def home(text):
    return lines(text)[0]


VARIANTS = {
    "crlf": lambda t: t.replace("\n", "\r\n"),
    "trailing-blanks": lambda t: t.replace("\n", "  \t\n"),
    "leading-blanks": lambda t: "".join("   " + line for line in lines(t)),
    "comments": lambda t: "# one\n; two\n\n[section]\n" + t + "# last\n",
    "no-blanks": lambda t: t.replace(" = ", "="),
    "upper-case": lambda t: t.replace("home", "Home").replace("include-system", "Include-System"),
    "many-keys": lambda t: t + MANY,
    "repeated-unknown": lambda t: t + "package = a\npackage = b\n",
    "bom": lambda t: "\ufeffx-first = 1\n" + t,
    "no-final-newline": lambda t: home(t).rstrip("\n"),
    "only-home": home,
    "system": lambda t: home(t) + "include-system-site-packages = TRUE\n",
    "system-one": lambda t: home(t) + "include-system-site-packages = 1\n",
    "system-comment": lambda t: home(t) + "include-system-site-packages = true # no\n",
    "system-last": lambda t: home(t) + "include-system-site-packages = false\n"
    "include-system-site-packages = true\n",
    "home-slash": lambda t: t.replace(home(t), home(t).rstrip("\n") + "/\n"),
    "prompt": lambda t: t + "prompt = 'p'\n",
    "unicode": lambda t: t + "x-note = ümläut\n",
    "32767": lambda t: t + "".join(f"x-k{i} = {'v' * 80}\n" for i in range(400))[: 32767 - len(t) - 200],
}
# Before 3.11 a moved base is not found by these, and start-up fails: they are refused there.
SINCE_311 = ("no-blanks", "upper-case")
REFUSED = {
    "empty": b"",
    "no-home": b"include-system-site-packages = false\n",
    "empty-home": b"home = \n",
    "relative-home": b"home = usr/bin\n",
    "not-utf-8": b"home = /usr/bin\nx = \xff\n",
    "nul": b"x = \0\nhome = /usr/bin\n",
    "bad-lock": b"home = /usr/bin\nvenvfs-lock = sha256:12\n",
    "bad-kind": b"home = /usr/bin\nvenvfs-lock = md5:00000000000000000000000000000000\n",
}


@pytest.fixture(scope="session")
def variants(pythons, tmp_path_factory):
    """variants(VERSION) is what an ordinary environment says of each text: made once."""
    known = {}

    def ask(version):
        if version not in pythons:
            pytest.skip(f"no CPython {version}")
        if version not in known:
            env = tmp_path_factory.mktemp("cfg") / "x"
            environ = clean()
            real_environment(pythons[version], env, "--without-pip", env=environ)
            text = (env / "pyvenv.cfg").read_text()
            said = {}
            for name, change in VARIANTS.items():
                write(env, change(text))
                said[name] = probe(env)
            known[version] = said
        return known[version]

    return ask


def clean():
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}


def write(env, text):
    with open(env / "pyvenv.cfg", "w", newline="", encoding="utf-8") as f:
        f.write(text)


def probe(env):
    r = subprocess.run([env / "bin/python", "-c", PROBE], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, env=clean())  # fmt: skip
    return r.returncode, r.stdout.replace(str(env), "ENV")


@pytest.mark.parametrize("version", ["3.8", "3.10", "3.11", "3.12", "3.13"])
def test_g5_variants(venvfs, mount, root, pythons, variants, version):
    wanted = variants(version)
    venvfs("create", root / "x", "--without-pip", "--python", pythons[version])
    text = (root / "x/pyvenv.cfg").read_text()
    for name, change in VARIANTS.items():
        if name in SINCE_311 and version in ("3.8", "3.10"):
            with pytest.raises(OSError):
                write(root / "x", change(text))
            assert (root / "x/pyvenv.cfg").read_text() == text
            continue
        write(root / "x", change(text))
        assert mount.status()["faults"] == [], name
        assert probe(root / "x") == wanted[name], name
        assert wanted[name][0] == 0
        write(root / "x", text)
        assert (root / "x/pyvenv.cfg").read_text() == text


def test_what_a_writer_sees_after_close(venvfs, mount, root, debian_python):
    """The published file, and not its own draft, also while another descriptor of it is open: the kernel
    tells the last close late."""
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    cfg = root / "x/pyvenv.cfg"
    before = cfg.read_bytes()
    fd = os.open(cfg, os.O_WRONLY | os.O_TRUNC)
    other = os.dup(fd)
    os.write(fd, b"nothing\n")
    with pytest.raises(OSError):
        os.close(fd)
    assert cfg.read_bytes() == before
    os.ftruncate(other, 0)
    os.pwrite(other, before + b"x = y\n", 0)
    os.close(other)
    assert cfg.read_bytes() == before + b"x = y\n" and mount.status()["faults"] == []


@pytest.mark.parametrize("name", REFUSED)
def test_g5_a_bad_text_never_takes_an_environment_away(venvfs, mount, root, debian_python, name):
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    cfg = root / "x/pyvenv.cfg"
    before, said = cfg.read_bytes(), probe(root / "x")
    fd = os.open(cfg, os.O_WRONLY | os.O_TRUNC)
    os.write(fd, REFUSED[name])
    with pytest.raises(OSError) as e:
        os.close(fd)
    assert e.value.errno == errno.EINVAL
    assert cfg.read_bytes() == before and probe(root / "x") == said
    other = root / "x/other"
    other.write_bytes(REFUSED[name])
    with pytest.raises(OSError) as e:
        other.rename(cfg)
    assert e.value.errno == errno.EINVAL
    assert cfg.read_bytes() == before and probe(root / "x") == said
    mount.remount()
    assert cfg.read_bytes() == before and probe(root / "x") == said


@pytest.mark.parametrize("size", [32768, 40000])
def test_g5_too_large(venvfs, mount, root, debian_python, size):
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    cfg = root / "x/pyvenv.cfg"
    before = cfg.read_bytes()
    fd = os.open(cfg, os.O_WRONLY | os.O_APPEND)
    with pytest.raises(OSError) as e:
        for _ in range(size // 100 + 1):
            os.write(fd, b"x = " + b"v" * 95 + b"\n")
    assert e.value.errno == errno.EFBIG
    try:
        os.close(fd)
    except OSError:
        pass
    assert probe(root / "x")[0] == 0 and len(cfg.read_bytes()) < 32768
    big = root / "x/big"
    big.write_bytes(before + b"# " + b"v" * (size - len(before) - 3) + b"\n")
    now = cfg.read_bytes()
    with pytest.raises(OSError) as e:
        big.rename(cfg)
    assert e.value.errno == errno.EFBIG and cfg.read_bytes() == now


def test_g6_two_hundred_keys_cost_nothing(venvfs, mount, root, debian_python, caches):
    for name in ("plain", "many"):
        venvfs("create", root / name, "--without-pip", "--python", debian_python)
    cfg = root / "many/pyvenv.cfg"
    cfg.write_text(cfg.read_text() + MANY)
    # the least of five rounds: other commands may look at the mount, the kernel may drop a page
    asked = {name: [] for name in ("plain", "many")}
    with caches.warm():
        for _ in range(5):
            for name, seen in asked.items():
                before = mount.requests()
                subprocess.run([root / name / "bin/python", "-c", "pass"], check=True)
                seen.append(sum(mount.requests().values()) - sum(before.values()))
    assert min(asked["many"]) == min(asked["plain"]), asked


def test_a_plain_file_makes_an_environment(venvfs, mount, root, debian_python):
    """mkdir, write, use; and pyvenv.cfg gets our line."""
    (root / "x").mkdir()
    assert os.listdir(root / "x") == []
    (root / "x/pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n")
    assert (root / "x/pyvenv.cfg").read_text().endswith("venvfs-lock = none\n")
    code, out = probe(root / "x")
    assert code == 0 and out.startswith("ENV /usr "), out
    assert {"bin", "lib", "lib64", "include"} < set(os.listdir(root / "x"))


def test_copying_pyvenv_cfg_clones(venvfs, mount, root, debian_python):
    venvfs("create", root / "a", "--python", debian_python)
    (root / "b").mkdir()
    subprocess.run(["cp", root / "a/pyvenv.cfg", root / "b"], check=True)
    env = {**venvfs.env, "PYTHONDONTWRITEBYTECODE": "1"}
    out = subprocess.check_output([root / "b/bin/pip", "--version"], text=True, env=env)
    assert str(root / "b/lib") in out
    assert [p.name for p in (mount.upper / "b").iterdir()] == ["pyvenv.cfg"]


def test_the_same_by_another_thread(venvfs, mount, root, debian_python):
    """While one writes, others see the published text, whole."""
    venvfs("create", root / "x", "--without-pip", "--python", debian_python)
    cfg = root / "x/pyvenv.cfg"
    before = cfg.read_text()
    with open(cfg, "w") as f:
        f.write("home = /nonsense")
        f.flush()
        assert subprocess.check_output(["cat", cfg], text=True) == before
        assert probe(root / "x")[0] == 0
        f.seek(0)
        f.truncate()
        f.write(before + "x-more = 1\n")
    assert cfg.read_text() == before + "x-more = 1\n"
