"""docs/reference/commands.md is what the commands say of themselves."""

from __future__ import annotations

from pathlib import Path

from shipway.cli.main import COMMANDS
from shipway.cli.reference import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "make golden"


def test_every_command_is_on_it() -> None:
    text = Path(PAGE).read_text()
    assert all(f"## shipway {name}" in text for name in COMMANDS)


def test_every_option_says_what_it_does() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `-")]
    assert rows
    assert not [row for row in rows if row.endswith("|  |")]
