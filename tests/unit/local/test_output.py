from __future__ import annotations

from pathlib import Path

import pytest

from shipway.local.output import Names, Output, known, merged, tail


def test_lines_are_prefixed_on_the_terminal_and_timed_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(tmp_path, ["agent", "mcp-git"])
    output.line("agent", "one")
    output.line("mcp-git", "two")
    output.say("three")
    output.close()
    assert capsys.readouterr().out == "agent   | one\nmcp-git | two\nshipway | three\n"
    assert (tmp_path / "agent.log").read_text().endswith("+00:00 one\n")
    assert known(tmp_path) == ["agent", "mcp-git", "shipway"]
    assert list(merged(tmp_path, known(tmp_path))) == [
        ("agent", "one"),
        ("mcp-git", "two"),
        ("shipway", "three"),
    ]


def test_a_run_replaces_the_last_ones_files(tmp_path: Path) -> None:
    Output(tmp_path, ["old"], quiet=True).close()
    Output(tmp_path, ["new"], quiet=True).close()
    assert known(tmp_path) == ["new", "shipway"]


def test_the_last_lines_are_without_times(tmp_path: Path) -> None:
    output = Output(tmp_path, ["agent"], quiet=True)
    for number in range(5):
        output.line("agent", f"line {number}")
    output.close()
    assert tail(tmp_path, "agent", 2) == ["line 3", "line 4"]
    assert tail(tmp_path, "nobody", 2) == []


def test_a_name_keeps_its_colour() -> None:
    first = Names(["agent", "git"], coloured=True).show("git", "x")
    assert first == Names(["agent", "git"], coloured=True).show("git", "x")
    assert first != Names(["git"], coloured=True).show("git", "x")
    assert Names(["agent"]).show("agent", "x") == "agent   | x"
