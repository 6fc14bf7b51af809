from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import Finding, SpecError
from shipway.spec.document import read


def _finding(path: Path) -> Finding:
    with pytest.raises(SpecError) as refused:
        read(path)
    (finding,) = refused.value.findings
    return finding


def test_tables_lists_as_tuples_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('\ufeffname = "a"\n[image]\ninclude = ["x", ["y"]]\n', encoding="utf-8")
    document = read(path)
    assert document.data == {"name": "a", "image": {"include": ("x", ("y",))}}
    assert document.lines["image", "include"] == 3
    assert read(tmp_path).path == path, "a directory means the agent.toml in it"


def test_no_file_points_to_init(tmp_path: Path) -> None:
    finding = _finding(tmp_path)
    assert finding.rule == "no-spec"
    assert str(tmp_path) in finding.message
    assert "shipway init" in finding.fix


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").mkdir()
    assert _finding(tmp_path).rule == "unreadable"
    assert "is a directory" in _finding(tmp_path).message


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"name = 'a'\nx = '\xe9'\n", "byte 0xe9 is not UTF-8", 2),
        ('name = "a"'.encode("utf-16"), "UTF-16", 0),
    ],
)
def test_not_utf8(tmp_path: Path, content: bytes, message: str, line: int) -> None:
    (tmp_path / "agent.toml").write_bytes(content)
    finding = _finding(tmp_path)
    assert (finding.rule, finding.line) == ("unreadable", line)
    assert message in finding.message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('name = "a"\nentrypoint\n', 2, "`entrypoint`: a key without a value; expected key = value"),
        ("name = \n", 1, "`name =`: a key without a value"),
        ("a = True", 1, "`a = True`: this value is not TOML"),
        ("a = “x”", 1, "`a = “x”`: this value is not TOML"),
        ('a = "x\nb = 1', 1, '`a = "x`: a text does not end on its line'),
        ("a = 'x", 1, "`a = 'x`: a text does not end"),
        ('a = """x\n', 1, '`a = """x`: a text does not end'),
        ('a = "x\\q"', 1, '`a = "x\\q"`: in double quotes \\ begins an escape, and this is none'),
        ("a = 1\na = 2\n", 2, "`a = 2`: this key is set above already"),
        ("[a]\n[b]\n[a]\n", 3, "`[a]`: this table is there above already"),
        ("[a.b]\n[a]\nb.c = 1", 3, "`b.c = 1`: this table is there above already"),
        ("[model\nname = 'x'", 1, "`[model`: a table's header does not end; expected ]"),
        ("size = 300MB", 1, "`size = 300MB`: after the value there is something else"),
        ("a = [1 2]", 1, "`a = [1 2]`: a list does not end; expected , or ]"),
        ("a = {b = 1", 1, "`a = {b = 1`: a table does not end; expected , or }"),
        ("é = 1", 1, "`é = 1`: expected a key, a [table] or a # comment"),
    ],
)
def test_syntax_errors_in_plain_words(tmp_path: Path, text: str, line: int, message: str) -> None:
    (tmp_path / "agent.toml").write_text(text, encoding="utf-8")
    finding = _finding(tmp_path)
    assert (finding.rule, finding.file, finding.line) == ("syntax", "agent.toml", line)
    assert finding.message == message
    assert finding.fix


def test_a_syntax_error_does_not_print_a_secret(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('KEY = "sk-ant-api03-abcdefghijklmnop" oops')
    assert "sk-ant" not in str(_finding(tmp_path))


def test_absurd_nesting(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    assert _finding(tmp_path).rule == "syntax"
