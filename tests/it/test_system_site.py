# SPDX-License-Identifier: MIT
"""--system-site-packages with Debian's Python: its packages and extra paths are seen from the environment, never the
other way."""

import os
import subprocess
from pathlib import Path

import pytest

DIST_PACKAGES = Path("/usr/lib/python3/dist-packages")


@pytest.fixture(scope="session")
def six(debian_python):
    """The version of six that Debian's package brought."""
    found = sorted(DIST_PACKAGES.glob("six-*.*-info"))
    if not found:
        pytest.skip("Debian's python3-six is not installed")
    return found[0].name.split("-")[1].removesuffix(".egg")


@pytest.fixture
def env(venvfs, mounts, root, debian_python):
    """An environment that sees the system's packages, on a mount, and one beside it that does not."""
    mounts(root)
    venvfs("create", root / "e", "--python", debian_python, "--system-site-packages")
    venvfs("create", root / "beside", "--python", debian_python)
    return root / "e"


def run(*argv, check=True, **more):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_FIND"))}
    r = subprocess.run(
        [*map(str, argv)], env={**clean, **more}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert not check or r.returncode == 0, r.stdout
    return r.stdout.strip()


SIX = "import six; print(six.__version__, six.__file__)"


def test_the_systems_packages_are_seen(env, six):
    assert run(env / "bin/python", "-c", SIX) == f"{six} {DIST_PACKAGES}/six.py"
    assert f"six=={six}" in run(env / "bin/pip", "list", "--format=freeze").splitlines()
    assert "No module named 'six'" in run(env.parent / "beside/bin/python", "-c", SIX, check=False)
    path = run(env / "bin/python", "-c", "import sys; print('\\n'.join(sys.path))").splitlines()
    own = [p for p in path if p.startswith(f"{env}/")]
    assert len(own) == 1 and path.index(own[0]) < path.index(str(DIST_PACKAGES))


def test_the_path_is_that_of_venv(env, debian_python, tmp_path):
    real = tmp_path / "real"
    subprocess.run([debian_python, "-m", "venv", "--without-pip", "--system-site-packages", real], check=True)
    code = "import sys; print('\\n'.join(sys.path))"
    assert run(env / "bin/python", "-c", code) == run(real / "bin/python", "-c", code).replace(str(real), str(env))


def test_installing_shadows_in_that_environment_alone(venvfs, env, six, small_wheels, debian_python):
    wheel = small_wheels("six", "99.0", files={"six.py": "__version__ = '99.0'\n"})
    before = sorted(p.name for p in DIST_PACKAGES.iterdir())
    mtime = (DIST_PACKAGES / "six.py").stat().st_mtime_ns
    run(env / "bin/pip", "install", "--no-index", "--no-compile", wheel)
    own = f"99.0 {env}/lib/{os.listdir(env / 'lib')[0]}/site-packages/six.py"
    system = f"{six} {DIST_PACKAGES}/six.py"
    for _ in range(2):
        assert run(env / "bin/python", "-c", SIX) == own
        assert run(debian_python, "-c", SIX) == system
        venvfs("create", env.parent / f"after{_}", "--python", debian_python, "--system-site-packages")
        assert run(env.parent / f"after{_}/bin/python", "-c", SIX) == system
        venvfs("harvest", env)
    assert "six" in [d["name"] for d in venvfs.json("show", env)["distributions"]]
    run(env / "bin/pip", "uninstall", "-y", "six")
    assert run(env / "bin/python", "-c", SIX) == system
    # pip does not take away what is not in the environment
    assert "outside environment" in run(env / "bin/pip", "uninstall", "-y", "six", check=False)
    assert run(env / "bin/python", "-c", SIX) == system
    assert sorted(p.name for p in DIST_PACKAGES.iterdir()) == before
    assert (DIST_PACKAGES / "six.py").stat().st_mtime_ns == mtime


def test_what_the_system_has_satisfies_a_requirement(env, six, small_wheels):
    wheel = small_wheels("needs", files={"needs.py": "import six\n"}, requires=["six"])
    run(env / "bin/pip", "install", "--no-index", wheel)
    run(env / "bin/python", "-c", "import needs")
    assert not list((env / "lib").glob("python*/site-packages/six*"))


def ros(tmp_path, name="ros_like"):
    """A tree of its own beside everything, as ROS has in /opt/ros."""
    site = tmp_path / "opt/ros/humble/lib/python3/site-packages"
    (site / name).mkdir(parents=True)
    (site / name / "__init__.py").write_text("where = 'ros'\n")
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    return site


def test_pythonpath(venvfs, env, tmp_path, small_wheels):
    site = ros(tmp_path)
    look = "import ros_like; print(ros_like.where, ros_like.__file__)"
    for e in env, env.parent / "beside":
        assert run(e / "bin/python", "-c", look, PYTHONPATH=str(site)) == f"ros {site}/ros_like/__init__.py"
        assert "No module" in run(e / "bin/python", "-c", look, check=False)
    assert "ros-like==1.0" in run(env / "bin/pip", "list", "--format=freeze", PYTHONPATH=str(site)).replace("_", "-")
    # what is installed under the name does not hide what PYTHONPATH puts first, nor touch it
    wheel = small_wheels("ros_like", "2.0", files={"ros_like/__init__.py": "where = 'own'\n"})
    run(env / "bin/pip", "install", "--no-index", wheel)
    assert run(env / "bin/python", "-c", look).startswith(f"own {env}/lib/")
    assert run(env / "bin/python", "-c", look, PYTHONPATH=str(site)).startswith("ros ")
    venvfs("harvest", env)
    assert run(env / "bin/python", "-c", look).startswith(f"own {env}/lib/")
    assert (site / "ros_like/__init__.py").read_text() == "where = 'ros'\n"


def test_a_pth_file_of_the_environment(venvfs, env, tmp_path, debian_python):
    site = ros(tmp_path)
    look = "import ros_like; print(ros_like.where)"
    own = env / "lib" / os.listdir(env / "lib")[0] / "site-packages"
    (own / "ros.pth").write_text(f"{site}\n")
    for _ in range(2):
        assert run(env / "bin/python", "-c", look) == "ros"
        assert "ros-like==1.0" in run(env / "bin/pip", "list", "--format=freeze").replace("_", "-")
        assert "No module" in run(debian_python, "-c", look, check=False)
        assert "No module" in run(env.parent / "beside/bin/python", "-c", look, check=False)
        venvfs("harvest", env)
    assert [d["name"] for d in venvfs.json("show", env)["distributions"] if "ros" in d["name"]] == []
    assert (own / "ros.pth").read_text() == f"{site}\n"
