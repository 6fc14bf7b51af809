from __future__ import annotations

from pathlib import Path

import pytest

from shipway.replay.scripts import reading
from shipway.replay.scripts.reach import unreachable


@pytest.mark.parametrize(
    ("text", "line", "expected", "fix"),
    [
        ("[[reply]\n", 1, "not TOML", "correct"),
        ('[[reply]]\nwhen = "\\d"\nsay = "x"', 2, "not TOML", "'single quotes'"),
        ("[reply]\nsay = 'x'", 1, "expected a list of [[reply]]", "write [[reply]]"),
        ("answer = 1", 1, "saw answer", "use [[reply]], [[ignore]], [[fault]]"),
        ("\n[[replys]]\nsay = 'x'", 2, "saw replys", "write [[reply]]"),
        ("\n[[reply]]\nsays = 'x'", 3, "unknown key says", "write say"),
        ("[[reply]]\nsay = 'x'\n\nwhen_tol = 'x'", 4, "unknown key when_tol", "write when_tool"),
        ("[[reply]]\nxyz = 'x'", 2, "unknown key xyz", "use when, when_tool"),
        ("[[reply]]\nsay = 1", 2, "say: expected text, or a table that is said as JSON, saw 1", ""),
        ("[[reply]]\nwhen = 'x'", 1, "neither says nor calls", "add say"),
        ("[[reply]]\nsay = 'x'\nwhen = '('", 3, "when: not a regular expression", "\\("),
        ('[[reply]]\nsay = "x"\nwhen = "\\bfoo"', 3, "a backspace", "'single quotes'"),
        ("[[reply]]\nsay = 'x'\nwhen = 'costs $5'", 3, "can never match", "escape it"),
        ("[[reply]]\nwhen = 'x'\nsay = '{1}'", 3, "{1} has no group", "add (…)"),
        ("[[reply]]\nwhen = 'x'\ncall = { input = {} }", 3, "call: expected a tool", "write call"),
        ("[[reply]]\nwhen = 'x'\ncall = { tool = 'x', inputs = {} }", 3, "call: expected a tool", ""),
        ("[[reply]]\nwhen = 'x'\ncall = [{ tool = 'x' }, 'y']", 3, "call: expected a tool", ""),
        ("[[reply]]\ncall = { tool = 'x' }", 2, "never ends", "add `when`"),
        ("[[reply]]\nsay = 'x'\nwhen_tool = []", 3, "expected names of tools", ""),
        ("[[reply]]\nsay = 'x'\ntimes = 0", 3, "times: expected a whole number above 0, saw 0", ""),
        ("[[reply]]\nsay = 'x'\ntimes = true", 3, "times: expected a whole number", ""),
        ("[[reply]]\nsay = 'x'\nstop = 'refuse'", 3, "saw refuse", "write refusal"),
        ("[[reply]]\nwhen = 'x'\nstop = 'refusal'\ncall = { tool = 'x' }", 3, "stops for that", "leave out"),
        ("[[reply]]\nsay = 'x'\nusage = { in = 1 }", 3, "usage: expected numbers", "{ input = 900"),
        ("[[reply]]\nsay = 'x'\npace = -1", 3, "pace: expected milliseconds", ""),
        ("[[reply]]\nsay = 'x'\n\n[[ignore]]\npattern = 'x'", 4, "expected text = ", "write text"),
        ("[[ignore]]\ntext = 'x*'", 1, "matches an empty text", "at least one character"),
        ("[[ignore]]\ntext = '('", 1, "not a regular expression", "correct"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, expected: str, fix: str) -> None:
    _, (finding,) = reading.read(text, "s.toml")
    assert (finding.file, finding.line) == ("s.toml", line)
    assert expected in finding.message
    assert fix in finding.fix


def test_everything_that_is_wrong_with_a_reply_at_once() -> None:
    _, findings = reading.read("[[reply]]\nwhen = '('\nsay = 'x'\ntimes = 0\nstop = 'y'", "s.toml")
    assert [finding.line for finding in findings] == [2, 5, 4]


def test_a_table_of_a_table_belongs_to_its_reply() -> None:
    call = "[reply.call]\ntool = 'x'\n[reply.call.input]\ncity = '{1}'"
    text = f"[[reply]]\nwhen = 'x'\n{call}\n[[reply]]\nsay = 1"
    _, findings = reading.read(text, "s.toml")
    assert [finding.line for finding in findings] == [3, 8]


HIDDEN = [
    ("say = 'x'", "say = 'y'", "everything"),
    ("say = 'x'", "when_system = 'a'\nsay = 'y'", ""),  # one for an agent comes before one for all
    ("when_system = 'a'\nsay = 'x'", "when_system = 'a'\nsay = 'y'", "everything"),
    ("when = 'time'\nsay = 'x'", "when = 'time in (\\w+)'\nsay = 'y'", "all that matches 'time'"),
    ("when = 'time in (\\w+)'\nsay = 'x'", "when = 'time'\nsay = 'y'", ""),
    ("when = 'time'\nsay = 'x'", "when = '(time )?in'\nsay = 'y'", ""),
    ("when = 'time'\nsay = 'x'", "when = 'time|day'\nsay = 'y'", ""),
    ("when = 'time'\nsay = 'x'", "when = 'times?'\nsay = 'y'", "all that matches 'time'"),
    ("when = 'times'\nsay = 'x'", "when = 'times?'\nsay = 'y'", ""),
    ("when = 'time'\ntimes = 1\nsay = 'x'", "when = 'time'\nsay = 'y'", ""),
    ("when_tool = 'a'\nsay = 'x'", "when_tool = 'a'\nwhen = '5'\nsay = 'y'", "all of that"),
    ("when_tool = 'a'\nsay = 'x'", "when_tool = ['a', 'b']\nsay = 'y'", "all of that"),
    ("when_tool = ['a', 'b']\nsay = 'x'", "when_tool = 'a'\nsay = 'y'", ""),
    ("when = 'a'\nwhen_said = 'q'\nsay = 'x'", "when = 'a'\nsay = 'y'", ""),
    ("when = '.*'\nsay = 'x'", "when_tool = 'a'\nsay = 'y'", ""),
]


@pytest.mark.parametrize(("earlier", "later", "answers"), HIDDEN)
def test_a_reply_that_is_never_used(earlier: str, later: str, answers: str) -> None:
    script, findings = reading.read(f"[[reply]]\n{earlier}\n[[reply]]\n{later}", "s.toml")
    assert not findings
    line = earlier.count("\n") + 3
    found = [(finding.line, finding.message) for finding in unreachable(script.replies, Path("replays"))]
    assert found == ([(line, f"never used: s.toml:1 already answers {answers}")] if answers else [])
