"""Rules: what may be written, and whom they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shipway.errors import SpecError
from shipway.replay import tape
from shipway.replay.apis.provider import LastMessage
from shipway.replay.faults import rules
from shipway.replay.faults.rules import RuleError


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("times = 2", "expected a kind of fault, saw no kind"),
        ('kind = "cutt"', "expected a kind of fault, saw the kind 'cutt' \\[.*use one of rate-limit"),
        ('kind = "cut"\nsecond = 1', "cut has no key second"),
        ('kind = "cut"\nretry_after = 1', "cut has no key retry_after.*use when.*at"),
        ('kind = "cut"\nat = 1.5', "at: expected a number from 0 to 1, saw 1.5"),
        ('kind = "cut"\nat = "half"', "at: expected a number from 0 to 1, saw 'half'"),
        ('kind = "cut"\nevery = 0', "every: expected a whole number from 1, saw 0"),
        ('kind = "cut"\ntimes = true', "times: expected a whole number from 1, saw True"),
        ('kind = "cut"\nprobability = 10', "probability: expected a number from 0 to 1, saw 10"),
        ('kind = "cut"\nwhen = "(a"', "when: not a regular expression"),
        ('kind = "cut"\nwhen_model = "*"', "when_model: not a regular expression"),
        ('kind = "slow-start"\nseconds = -1', "seconds: expected seconds, from 0 to 3600, saw -1"),
        ('kind = "refused"\nstatus = 200', "status: expected an HTTP status from 400 to 599, saw 200"),
        ('kind = "wrong-usage"\nusage = "many"', "usage: expected one of zero, absent, huge, negative"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(table: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(f"[[reply]]\nsay = 'x'\n\n[[fault]]\n{table}\n")
    with pytest.raises(SpecError, match=f"(?s){expected}") as caught:
        tape.load(tmp_path)
    [finding] = caught.value.findings
    assert (finding.rule, finding.line) == ("replay-fault", 4)
    assert finding.fix


def test_every_problem_of_a_file_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text("[[fault]]\nkind = 1\n[[reply]]\nsays = 'x'\n[[fault]]\nkind = 'x'\n")
    with pytest.raises(SpecError) as caught:
        tape.load(tmp_path)
    assert sorted((f.rule, f.line) for f in caught.value.findings) == [
        *(("replay-fault", 1), ("replay-fault", 5), ("replay-script", 4))
    ]
    (tmp_path / "f.toml").write_text("[fault]\nkind = 'cut'\n")
    with pytest.raises(SpecError, match=r"expected \[\[fault\]\] tables"):
        tape.load(tmp_path)


def test_rules_of_a_tape_are_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text('[[fault]]\nkind = "cut"\n')
    (tmp_path / "a.toml").write_text('[[fault]]\nkind = "hang"\n\n[[fault]]\nkind = "rate-limit"\n')
    assert [(rule.place, rule.fault.kind) for rule in tape.load(tmp_path).faults] == [
        *(("a.toml:1", "hang"), ("a.toml:4", "rate-limit"), ("b.toml:1", "cut"))
    ]


ASKED = LastMessage("Refund order 7", {})
RESULT = LastMessage("Refund order 7", {"find_order": "order 7: a lamp"})


@pytest.mark.parametrize(
    ("keys", "asked", "result"),
    [
        ({}, True, True),
        ({"when": "refund"}, True, False),
        ({"when": "time"}, False, False),
        ({"when_tool": "find_order"}, False, True),
        ({"when_tool": "find_order", "when": "LAMP"}, False, True),
        ({"when_tool": "find_order", "when": "sofa"}, False, False),
        ({"when_tool": "refund"}, False, False),
        ({"when_model": "^gpt"}, True, True),
        ({"when_model": "mini"}, False, False),
    ],
)
def test_whom_a_rule_is_about(keys: dict[str, Any], asked: bool, result: bool) -> None:
    rule = rules.make({"kind": "cut"} | keys, "here")
    assert (rule.concerns("gpt-5", ASKED), rule.concerns("gpt-5", RESULT)) == (asked, result)


def test_what_is_no_turn_is_hit_by_rules_that_do_not_ask_for_one() -> None:
    assert rules.make({"kind": "cut"}, "here").concerns("m", None)
    assert not rules.make({"kind": "cut", "when": "."}, "here").concerns("m", None)


def test_luck_follows_from_the_seed_and_the_request() -> None:
    def drawn(seed: int) -> list[bool]:
        rule = rules.make({"kind": "cut", "probability": 0.3, "seed": seed}, "here")
        return [rule.draws(f"key {n % 100}", 1 + n // 100) for n in range(1000)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert 250 < sum(drawn(7)) < 350
    assert not any(rules.make({"kind": "cut", "probability": 0}, "x").draws(str(n), 1) for n in range(100))


def test_a_rule_says_which_requests_it_is_for() -> None:
    keys = {
        "when": "refund",
        "when_tool": "find",
        "when_model": "m",
        "every": 2,
        "times": 3,
        "probability": 0.5,
    }
    assert rules.make({"kind": "cut", **keys}, "here").choice == (
        "when='refund' when_tool='find' when_model='m' every=2 times=3 probability=0.5 seed=0"
    )
    assert rules.make({"kind": "cut", "at": 0.1}, "here").choice == ""


def test_a_header_is_a_kind_and_its_parameters() -> None:
    rule = rules.read_header("cut; at=0.2")
    assert (rule.fault.kind, rule.fault.at) == ("cut", 0.2)
    assert rules.read_header("rate-limit").fault.retry_after == 1
    assert rules.read_header("wrong-usage;usage=huge").fault.usage == "huge"
    for header, expected in {
        "": "saw the kind ''",
        "cut;at=x": "at: expected a number from 0 to 1, saw 'x'",
        "cut;times=1": "times: a header is for its own request",
        "cut;at": "at: expected a number",
        "cut;what=1": "cut has no key what",
    }.items():
        with pytest.raises(RuleError, match=expected):
            rules.read_header(header)
