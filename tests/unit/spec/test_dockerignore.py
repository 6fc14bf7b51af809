"""Patterns of .dockerignore mean what they mean to Docker."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.spec.dockerignore import parse_ignore, read_ignore
from shipway.spec.tree import read_tree


@pytest.mark.parametrize(
    ("pattern", "out", "stays"),
    [
        ("data", ["data", "data/a", "data/b/c"], ["src/data", "database", "data.py"]),
        ("/data/", ["data/a"], ["src/data/a"]),
        ("*.md", ["README.md"], ["docs/README.md", "README.mdx"]),
        ("**/*.md", ["README.md", "docs/a/README.md"], ["README.mdx"]),
        ("docs/**", ["docs/a", "docs/a/b"], ["docs2/a"]),
        ("**/temp*", ["temp1", "a/b/temporary"], ["a/attempt"]),
        ("te?t", ["test", "test/a"], ["tet", "te/t"]),
        ("[ab].txt", ["a.txt"], ["c.txt"]),
        ("[!ab].txt", ["c.txt"], ["a.txt"]),
        ("./notes", ["notes/a"], ["a/notes"]),
        (r"a\*b", ["a*b"], ["axb"]),
        ("*", ["a", "a/b"], []),
    ],
)
def test_one_pattern(pattern: str, out: list[str], stays: list[str]) -> None:
    ignore = parse_ignore(f"# a comment\n\n{pattern}\n")
    assert [path for path in [*out, *stays] if ignore.has(path)] == out


def test_the_last_match_decides() -> None:
    ignore = parse_ignore("*\n!src\nsrc/secret.py\n!src/secret.py.txt\n")
    paths = ["README.md", "src/agent.py", "src/secret.py", "src/secret.py.txt"]
    assert [ignore.has(path) for path in paths] == [True, False, True, False]


def test_what_shipway_rendered_keeps_nothing_out() -> None:
    assert not parse_ignore("# Rendered by `shipway render dockerfile`: …\n*\n!agent.py\n").has("agent.py")


def test_files_of_the_project_are_less_what_it_keeps_out(tmp_path: Path) -> None:
    for name in ("agent.py", "notes.md", "data/large.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert read_ignore(tmp_path).patterns == ()
    (tmp_path / ".dockerignore").write_text("data\n*.md\n.dockerignore\n")
    tree = read_tree(tmp_path)
    assert tree.paths == ("agent.py",)
    assert tree.ignored == ("data/large.csv", "notes.md")
