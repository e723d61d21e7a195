# SPDX-License-Identifier: MIT
"""`venvfs create .venv`: an environment of the root by a link in a project."""

import shutil
import subprocess

import pytest

from test_create import cfg, here, on_disk, venv, venvfs  # noqa: F401 (fixtures are found by name)
from twins import assert_same, tree


@pytest.fixture
def project(tmp_path):
    d = tmp_path / "work" / "shop"
    d.mkdir(parents=True)
    return d


@pytest.fixture
def make(venvfs, debian_python):
    def make(*argv, **kw):
        return venvfs("create", "--without-pip", "--python", debian_python, *argv, **kw)

    return make


def test_a_venv_that_is_a_file(make, project, root):
    (project / ".venv").write_text("../elsewhere\n")  # as pipenv writes
    for options in ((), ("--clear",)):
        r = make(".venv", *options, cwd=project, check=False)
        assert r.returncode == 1 and str(project / ".venv") in r.stderr and "already" in r.stderr
    assert (project / ".venv").read_text() == "../elsewhere\n" and on_disk(root) == []


def test_a_venv_that_is_a_directory(make, project, root):
    (project / ".venv").mkdir()
    make(".venv", cwd=project)  # empty
    assert (project / ".venv").resolve() == root / "shop" and (project / ".venv").is_symlink()
    (project / "other").mkdir()
    (project / "other" / "notes").write_text("mine")
    for options in ((), ("--clear",)):
        r = make("./other", *options, cwd=project, check=False)
        assert r.returncode == 1 and "already" in r.stderr
    assert on_disk(project / "other") == ["notes"] and sorted(p.name for p in root.iterdir()) == ["shop"]


def test_a_venv_that_is_an_ordinary_environment(venvfs, make, project, root, debian_python):
    venv(debian_python, "--without-pip", project / ".venv", env=venvfs.env)
    before = tree(project / ".venv")
    r = make(".venv", cwd=project, check=False)
    assert r.returncode == 1 and str(project / ".venv") in r.stderr and "--clear" in r.stderr
    r = venvfs("create", ".venv", "--clear", "--python", "no-such-python", cwd=project, check=False)
    assert r.returncode == 1
    assert_same(tree(project / ".venv"), before)
    # What can not be made leaves it where it was.
    (root / "pyvenv.cfg").write_text("home = /usr/bin\n")
    r = make(".venv", "--clear", "--prompt", "a\nb", cwd=project, check=False)
    assert r.returncode == 1
    (root / "pyvenv.cfg").unlink()
    assert_same(tree(project / ".venv"), before)
    assert [p.name for p in project.iterdir()] == [".venv"] and on_disk(root) == []
    make(".venv", "--clear", cwd=project)
    assert (project / ".venv").is_symlink() and (project / ".venv").resolve() == root / "shop"
    assert [p.name for p in project.iterdir()] == [".venv"]


def test_a_venv_that_is_a_dangling_link(make, project, root, tmp_path):
    (project / ".venv").symlink_to(tmp_path / "nowhere")
    make(".venv", cwd=project)
    assert (project / ".venv").resolve() == root / "shop"
    shutil.rmtree(root / "shop")
    make(".venv", cwd=project)
    assert (project / ".venv").resolve() == root / "shop" and [p.name for p in root.iterdir()] == ["shop"]


def test_a_venv_that_is_a_link_to_one_of_ours(venvfs, make, project, root):
    """It is that environment: made again, its name is kept, and pyvenv.cfg has the path that was typed."""
    make("tool", "--prompt", "t")
    (project / ".venv").symlink_to(root / "tool")
    r = make(".venv", cwd=project)
    assert f"{project / '.venv'} -> {root / 'tool'}" in r.stdout
    assert [p.name for p in root.iterdir()] == ["tool"] and "prompt" not in cfg(root / "tool")
    assert cfg(root / "tool").endswith(f" {project / '.venv'}\n")


def test_twice_in_a_project(venvfs, make, project, root):
    make(".venv", cwd=project)
    (root / "shop" / "notes").write_text("mine")
    make(".venv", "--prompt", "p", cwd=project)
    assert "prompt = 'p'" in cfg(root / "shop") and (root / "shop" / "notes").exists()
    make(".venv", "--clear", cwd=project)
    assert on_disk(root) == ["shop", "shop/pyvenv.cfg"] and (project / ".venv").resolve() == root / "shop"


def test_rm_of_the_link_alone(venvfs, make, project, root):
    """As people do with a directory. What it showed stays; the next one is new, and says so."""
    make(".venv", cwd=project)
    (root / "shop" / "notes").write_text("mine")
    (project / ".venv").unlink()
    assert [e["name"] for e in venvfs.json("ls")["environments"]] == ["shop"]
    r = make(".venv", cwd=project)
    assert f"made for {project / '.venv'} before" in r.stderr and "venvfs rm shop" in r.stderr
    assert (project / ".venv").resolve() == root / "shop-2" and (root / "shop" / "notes").exists()
    # the two ways that it tells
    command = r.stderr[r.stderr.index("`ln ") + 1 :].partition("`")[0]
    subprocess.run(command.split(), check=True)
    assert (project / ".venv").resolve() == root / "shop"
    venvfs("rm", "shop-2")
    venvfs("rm", ".venv", cwd=project)
    assert on_disk(root) == [] and on_disk(project) == []


def test_two_projects_of_one_name(venvfs, make, project, root, tmp_path):
    other = tmp_path / "elsewhere" / "shop"
    other.mkdir(parents=True)
    make(".venv", cwd=project)
    r = make(".venv", cwd=other)
    assert "is called shop-2" in r.stderr and (other / ".venv").resolve() == root / "shop-2"
    venvfs("rm", ".venv", cwd=project)
    assert [p.name for p in root.iterdir()] == ["shop-2"] and (other / ".venv").resolve().exists()


def test_a_moved_project(venvfs, make, project, root, tmp_path):
    """The link goes on naming its environment; a copied project shares it until it has one of its own."""
    make(".venv", cwd=project)
    moved = tmp_path / "moved"
    project.rename(moved)
    make(".venv", "--prompt", "p", cwd=moved)
    assert "prompt = 'p'" in cfg(root / "shop") and [p.name for p in root.iterdir()] == ["shop"]
    assert cfg(root / "shop").endswith(f" {moved / '.venv'}\n")
    copied = tmp_path / "copied"
    shutil.copytree(moved, copied, symlinks=True)
    (copied / ".venv").unlink()
    make(".venv", cwd=copied)
    assert (copied / ".venv").resolve() == root / "copied" and (moved / ".venv").resolve() == root / "shop"
    venvfs("rm", ".venv", cwd=moved)
    assert [p.name for p in root.iterdir()] == ["copied"]


def test_a_root_that_is_not_known_here(venvfs, make, root, tmp_path):
    """An environment of ours is never taken for an ordinary one."""
    make("x")
    before = on_disk(root)
    elsewhere = {"VENVFS_ROOT": str(tmp_path / "another")}
    for options in ((), ("--clear",)):
        r = make(root / "x", *options, env=elsewhere, check=False)
        assert r.returncode == 1 and "VENVFS_ROOT" in r.stderr
    assert on_disk(root) == before
