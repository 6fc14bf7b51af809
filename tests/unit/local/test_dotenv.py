from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import SpecError
from shipway.local import dotenv


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY=abc", "abc"),
        ("export KEY=abc", "abc"),
        ("  KEY = abc  ", "abc"),
        ("KEY=", ""),
        ("KEY=abc # a comment", "abc"),
        ("KEY=abc#def", "abc#def"),
        ("KEY= # only a comment", ""),
        ("KEY=#1", "#1"),
        ("KEY='a b # c'", "a b # c"),
        ("KEY='a\\nb'", "a\\nb"),
        ('KEY="a\\nb \\"c\\" \\\\ \\d"  # why', 'a\nb "c" \\ \\d'),
        ("KEY=$HOME/x", "$HOME/x"),
        ("KEY=a=b", "a=b"),
    ],
)
def test_values(line: str, value: str) -> None:
    assert dotenv.parse(line, ".env") == {"KEY": value}


def test_comments_and_the_last_of_a_name() -> None:
    assert dotenv.parse("# first\n\nA=1\n  # second\nB=2\nA=3\n", ".env") == {"A": "3", "B": "2"}


def test_every_bad_line_is_a_finding_that_does_not_repeat_it() -> None:
    with pytest.raises(SpecError) as caught:
        dotenv.parse("A=1\nsecret-without-name\nB='open\nC=3\n", ".env")
    assert [finding.line for finding in caught.value.findings] == [2, 3]
    assert "secret-without-name" not in str(caught.value)
    assert "open" not in str(caught.value)


def test_no_file_has_no_values(tmp_path: Path) -> None:
    assert dotenv.read(tmp_path / ".env") == {}
