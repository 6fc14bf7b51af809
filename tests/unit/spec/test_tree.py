from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from shipway.errors import SpecError
from shipway.spec.tree import read_tree

Project = Callable[[Mapping[str, str]], Path]
FILES = {"a.py": "", "b/c.py": "", "ignored.py": "", ".gitignore": "ignored.py\n", "__pycache__/a.pyc": ""}


def test_without_git_everything_but_noise(project: Project) -> None:
    root = project(
        FILES | {".venv/x.py": "", "env/pyvenv.cfg": "", "env/lib.py": "", "node_modules/x.js": ""}
    )
    tree = read_tree(root)
    assert tree.paths == (".gitignore", "a.py", "agent.toml", "b/c.py", "ignored.py")
    assert (tree.by_git, tree.source.revision, tree.source.dirty) == (False, None, False)


def test_with_git_what_it_does_not_ignore(project: Project, git: Callable[..., str]) -> None:
    root = project(FILES)
    git("init", "-q")
    assert read_tree(root).source.revision is None, "no commit yet"
    git("add", "a.py")
    git("commit", "-qm", "x")
    tree = read_tree(root)
    assert tree.paths == (".gitignore", "a.py", "agent.toml", "b/c.py")
    assert tree.source.revision == git("rev-parse", "HEAD")
    assert tree.source.dirty, "files that are not committed"
    git("add", ".")
    git("commit", "-qm", "y")
    project({".shipway/release.json": ""})
    assert not read_tree(root).source.dirty, "what shipway itself writes does not count"
    (root / "b/c.py").unlink()
    tree = read_tree(root)
    assert "b/c.py" not in tree.paths, "tracked and deleted"
    assert tree.source.dirty


def test_a_project_in_a_directory_of_a_repository(project: Project, git: Callable[..., str]) -> None:
    root = project({"one/agent.py": "", "two/agent.py": ""})
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "x")
    project({"two/agent.py": "changed = 1"})
    assert read_tree(root / "one").paths == ("agent.py",)
    assert not read_tree(root / "one").source.dirty, "what others of the repository do does not count"
    assert read_tree(root / "two").source.dirty


def test_a_work_tree_that_git_cannot_read(project: Project, git: Callable[..., str]) -> None:
    root = project({".git": "gitdir: /nowhere\n"})
    with pytest.raises(SpecError) as refused:
        read_tree(root)
    (finding,) = refused.value.findings
    assert finding.rule == "git"
    assert "/nowhere" in finding.message


def test_a_work_tree_without_git_on_path(
    project: Project, git: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project(FILES)
    git("init", "-q")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SpecError, match="there is no `git` on PATH"):
        read_tree(root)
