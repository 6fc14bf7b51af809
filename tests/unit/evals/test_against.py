from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.errors import StackError
from shipway.evals import records
from shipway.evals.against import Measure, Pairs, scale, shuffled
from shipway.evals.calibration import calibrate
from shipway.evals.case import Case, Suite, Turn
from shipway.evals.results import Result, Run, document

JUDGED = calibrate("m", [(f"{i}", i % 2 == 0, i % 2 == 0 or i < 5) for i in range(20)])


def suite(count: int, rubrics: int = 0) -> Suite:
    cases = [Case(f"c{i}", (Turn("x"),), rubrics=("r",) * (i < rubrics)) for i in range(count)]
    return Suite(tuple(cases))


def pairs(before: str, after: str) -> Pairs:
    """Cases that passed, failed or are missing: p, f, -."""
    scores = {"p": 1.0, "f": 0.0, "-": None}
    found = Pairs("r1", Measure(), len(before))
    for number, (one, two) in enumerate(zip(before, after, strict=True)):
        found.see(f"c{number}", scores[one], scores[two])
    return found


def test_what_is_clearly_worse_is_known_before_the_end() -> None:
    found = Pairs("r1", Measure(), 500)
    seen = 0
    while not found.decided:
        found.see(f"c{seen}", 1.0, 1.0 if seen % 3 else 0.0)
        seen += 1
        assert seen < 200
    compared = found.compare()
    assert (compared.verdict, compared.stopped, compared.cases) == ("fail", True, seen)
    assert compared.evidence >= compared.threshold == 20
    assert compared.worse[0] == "c0"


def test_a_whole_suite_without_a_loss_passes() -> None:
    compared = pairs("pppf", "pppp").compare()
    assert (compared.verdict, compared.better, compared.worse) == ("pass", ("c3",), ())
    assert (compared.before_score, compared.after_score) == (0.75, 1.0)
    assert "too few to be certain of other questions" in compared.words


def test_a_loss_that_may_be_chance_is_inconclusive() -> None:
    compared = pairs("pppp", "pppf").compare()
    assert (compared.verdict, compared.worse) == ("inconclusive", ("c3",))


def test_missing_pairs_are_no_pass() -> None:
    compared = pairs("ppp-p", "pppp-").compare()
    assert (compared.verdict, compared.cases, compared.missing) == ("inconclusive", 3, 2)


def test_nothing_to_compare_is_inconclusive() -> None:
    assert pairs("--", "pp").compare().verdict == "inconclusive"


def test_a_judges_calibration_scales_the_margin_as_far_as_the_suite_is_judged() -> None:
    assert JUDGED.j is not None
    half = scale(suite(10, rubrics=5), JUDGED)
    assert half is not None
    assert half.j == pytest.approx(0.5 * JUDGED.j + 0.5)
    whole = Pairs("r1", Measure(margin=0.1), 10, scale(suite(10, rubrics=10), JUDGED))
    whole.see("c0", 1.0, 1.0)
    assert whole.compare().margin == pytest.approx(0.1 * JUDGED.j)
    assert scale(suite(10, rubrics=5), calibrate("m", [])) is None


def test_a_judge_no_better_than_a_coin_compares_nothing() -> None:
    coin = calibrate("m", [(f"{i}", i % 2 == 0, i % 4 < 2) for i in range(20)])
    found = Pairs("r1", Measure(), 3, scale(suite(3, rubrics=3), coin))
    for number in range(3):
        found.see(f"c{number}", 1.0, 0.0)
    assert not found.decided
    compared = found.compare()
    assert compared.verdict == "inconclusive"
    assert "no better than a coin" in compared.words


def test_the_order_of_cases_is_not_the_files_and_always_the_same() -> None:
    cases = suite(50).cases
    assert shuffled(cases) != cases
    assert shuffled(cases) == shuffled(tuple(reversed(cases)))


# -- Runs on disk ------------------------------------------------------------------------------------------


def run(revision: str) -> Run:
    results = (
        Result("a", "passed", 1.0, revisions=(revision,)),
        Result("b", "missing", None, revisions=(revision,)),
    )
    return Run("x", "development", "s", results, 1.0, 2.0)


def test_the_last_run_of_a_revision_is_kept(tmp_path: Path) -> None:
    records.keep(tmp_path, run("r/1"))
    file = records.find(tmp_path, "r/1")
    assert file is not None
    found = records.read(file)
    assert (found.name, found.scores) == ("r/1", {"a": 1.0, "b": None})
    assert records.find(tmp_path, "r2") is None
    assert (tmp_path / ".shipway/.gitignore").read_text() == "*\n"


def test_a_run_that_was_stopped_is_no_measure_for_the_next(tmp_path: Path) -> None:
    pairs = Pairs("r0", Measure(), 3)
    pairs.see("a", 1.0, 1.0)
    records.keep(tmp_path, replace(run("r1"), against=pairs.compare()))
    assert records.names(tmp_path) == []


def test_a_run_of_two_revisions_is_nobodys(tmp_path: Path) -> None:
    both = Run("x", "d", "s", run("r1").results + run("r2").results, 1.0, 2.0)
    records.keep(tmp_path, both)
    assert records.names(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no run of `shipway eval --json`"),
        ("[]", "it has no `results`"),
        (json.dumps(document(run("r")) | {"format": 9}), "its format is 9, expected 1"),
        ('{"format": 1, "results": [{}]}', "is no run"),
        ('{"format": 1, "results": 3}', "is no run"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(StackError, match=message):
        records.read(tmp_path / "x.json")
