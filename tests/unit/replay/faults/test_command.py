"""`shipway replay fault`: what it says to whoever uses it wrongly; test_example_faults.py uses it rightly."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from shipway.cli.replay_fault import command
from shipway.errors import StackError
from shipway.replay.faults.kinds import KINDS
from shipway.replay.faults.rules import KEYS


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "expected a KIND (rate-limit, overloaded,"),
        (["cut", "--list"], "expected a KIND"),
        (["cutt"], "'cutt' is not one of 'rate-limit'"),
        (["cut", "--at", "3"], "at: expected a number from 0 to 1, saw 3.0"),
        (["cut", "--seconds", "3"], "cut has no key seconds\nuse when, when_tool,"),
        (["cut", "--times", "0"], "times: expected a whole number from 1, saw 0"),
        (["cut", "--when", "("], "when: not a regular expression"),
    ],
)
def test_wrong_usage(arguments: list[str], expected: str) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    assert expected in done.output


def test_nothing_to_tell(tmp_path: Path) -> None:
    for arguments, expected in {
        ("cut", "-C", str(tmp_path)): "no stack runs in",
        ("cut", "--url", "http://127.0.0.1:9"): "no replay answers at http://127.0.0.1:9",
        ("--list", "--url", "nonsense"): "no replay answers at nonsense",
    }.items():
        done = CliRunner().invoke(command, arguments)
        assert isinstance(done.exception, StackError)
        assert expected in str(done.exception)
        assert done.exception.hint


def test_help_names_each_kind_and_each_key() -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    assert all(f"  {kind} " in text for kind in KINDS)
    assert all(f"--{key.replace('_', '-')}" in text for key in KEYS)


def test_the_page_names_each_kind_and_each_key() -> None:
    page = Path("docs/reference/faults.md").read_text()
    for name, kind in KINDS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert all(f"`{key}`" in row for key in kind.defaults)
    assert all(f"| `{key}` |" in page for key in KEYS)
