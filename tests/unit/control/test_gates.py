"""Gates by what is kept: the same in every process, and the same as the gate alone."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest
from tests.unit.control.conftest import AT, lines, outcome

from shipway.control import evals, replicas
from shipway.control.deployments import Deployment
from shipway.control.gates import defaults, gates, plans, verdicts
from shipway.control.gates.gates import Gates
from shipway.control.gates.watermarks import Watermarks
from shipway.control.http.answers import Refused
from shipway.control.outcomes import rows
from shipway.control.upkeep import Upkeep
from shipway.gate import Calibration, Conversations, Gate, GatePlan
from shipway_runtime.contract import Outcome, ReplicaReport

pytestmark = pytest.mark.slow

HERE = Deployment("support", "prod")
PLAN = {"stable": "r-1", "share": 0.5, "metrics": {"errors": {"margin": 0.01}, "latency": {}}, "since": AT}
LAST = 1500.0
CLOCK = Watermarks()


def traffic(seed: int, failing: float, until: float = LAST, start: float = 0.0) -> list[dict]:
    """A conversation every second or so, half of them the canary's, which fails this often."""
    chance, found, at = random.Random(seed), [], start
    while at < until:
        canary = chance.random() < 0.5
        fails = chance.random() < (failing if canary else 0.02)
        began = AT + at
        found.append(
            outcome(
                f"c-{seed}-{len(found)}",
                revision="r-2" if canary else "r-1",
                first_seen=began,
                started=began,
                finished=began + 1,
                status="error" if fails else "ok",
                latency_s=chance.random(),
            )
        )
        at += chance.random() * 2
    return found


def keep(database, sent: list[dict], at: float, watermarks: Watermarks = CLOCK) -> int:
    taken = rows.Taken(HERE, rows.read(lines(*sent)), at)
    with database.write() as transaction:
        return rows.keep(transaction, taken, watermarks)


def put(database, canary: str = "r-2", at: float = AT, **more) -> GatePlan:
    with database.write() as transaction:
        filled = defaults.complete(transaction, HERE, canary, PLAN | more, at)
        plan = plans.read(canary, filled, at)
        gates.put(transaction, HERE, plan, "ann", at)
    return plan


def judged(database, canary: str = "r-2") -> dict:
    return shown(Gates(database), canary)


def shown(found: Gates, canary: str = "r-2") -> dict:
    """As a request would get it."""
    return json.loads(json.dumps(found.show(HERE, canary, AT + LAST)))


def alone(sent: list[dict], now: float) -> dict:
    """What the gate says of the same outcomes without any of this."""
    conversations, gate = Conversations(), Gate(plans.read("r-2", PLAN, AT))
    for one in sent:
        conversations.add(Outcome(**one))
    for conversation in conversations.close(now):
        gate.see(conversation)
    return dataclasses.asdict(gate.judge(now))


def test_what_control_says_is_what_the_gate_says(database):
    sent = traffic(1, failing=0.3)
    put(database)
    for start in range(0, len(sent), 70):
        keep(database, sent[start : start + 70], AT + LAST)
    Upkeep(database, Gates(database), CLOCK, 1e9).look(AT + LAST + 900)
    found = judged(database)["judgement"]
    assert found == json.loads(json.dumps(alone(sent, AT + LAST + 900)))
    assert found["verdict"] == "fail"


def test_one_that_looks_all_the_time_and_one_that_comes_late_agree(open_database):
    database, other = open_database(), open_database()
    looking, upkeep = Gates(database), Upkeep(database, Gates(database), CLOCK, 1e9)
    put(database)
    sent = traffic(2, failing=0.05)
    for number, start in enumerate(range(0, len(sent), 90)):
        part = sent[start : start + 90]
        random.Random(number).shuffle(part)
        keep(database, part, AT + LAST)
        keep(database, part[:20], AT + LAST)  # a runtime did not hear the answer
        now = part[0]["finished"]
        if number == 3:
            put(database, share=0.25, at=now)
        if number % 2:
            upkeep.look(now)
        assert shown(looking) == judged(database) == judged(other)
    upkeep.look(AT + LAST + 900)
    told = judged(other)
    assert shown(looking) == told
    assert told["judgement"]["canary"] + told["judgement"]["stable"] == len(sent)
    assert [change["kind"] for change in told["changes"]] == ["share", "begin"]
    assert told["share"] == 0.25
    assert len(told["points"]) > 0


def test_two_controls_of_one_database_move_one_watermark(open_database):
    """Each takes a part of the traffic, and both let their gates look."""
    both = [open_database(), open_database()]
    put(both[0])
    sent = traffic(3, failing=0.1)
    keepers = [Gates(database) for database in both]
    for number, start in enumerate(range(0, len(sent), 50)):
        keep(both[number % 2], sent[start : start + 50], AT + LAST)
        Upkeep(both[number % 2], keepers[number % 2], CLOCK, 1e9).look(sent[start]["finished"])
    for database in both:
        Upkeep(database, Gates(database), CLOCK, 1e9).look(AT + LAST + 900)
    assert shown(keepers[0]) == shown(keepers[1]) == judged(both[0])


def test_runtimes_that_waited_for_control_are_not_late(database):
    """Control was away: what one runtime sends first must not close what another still holds."""
    put(database)
    sent = traffic(4, failing=0.1)
    before, waiting = sent[:100], sent[100:]
    keep(database, before, AT + LAST)
    held = Watermarks(held_until=AT + LAST + 60)
    ones, others = waiting[::2], waiting[1::2]
    keep(database, ones, AT + LAST + 1, held)
    keep(database, others, AT + LAST + 2, held)
    Upkeep(database, Gates(database), CLOCK, 1e9).look(AT + LAST + 900)
    judgement = judged(database)["judgement"]
    assert judgement["canary"] + judgement["stable"] == len(sent)


def run(revision: str, scores: dict[str, float | None], source: str = "evals/*.jsonl") -> dict:
    results = [{"id": case, "status": "passed", "score": score} for case, score in scores.items()]
    return {"revision": revision, "source": source, "verdict": "pass", "results": results}


def report(database, document: dict, at: float = AT) -> int:
    with database.write() as transaction:
        return evals.keep(transaction, HERE, evals.read(document), "ci", at)


def test_runs_of_both_arms_are_evidence_once(database):
    put(database, metrics={"evals": {"margin": 0.02}})
    cases = {f"case-{number}": 1.0 for number in range(40)}
    worse = {case: float(number % 2) for number, case in enumerate(cases)} | {"lost": None}
    stable = report(database, run("r-1", cases))
    canary = report(database, run("r-2", worse))
    assert report(database, run("r-2", worse)) == canary  # the same run again
    first = judged(database)["judgement"]
    assert first["metrics"][0]["canary"]["conversations"] == len(cases)
    assert first["verdict"] == "fail"
    report(database, run("r-2", worse | {"another": 1.0}))  # stable's run is used up
    report(database, run("r-1", cases, source="others"))
    assert judged(database)["judgement"]["metrics"] == first["metrics"]
    report(database, run("r-1", cases | {"new": 1.0}))  # and now there is another
    assert judged(database)["judgement"]["metrics"][0]["canary"]["conversations"] == 2 * len(cases)
    with database.read() as transaction:
        listed = evals.all_of(transaction, HERE, "", 10, 2.0**53)
        own = evals.all_of(transaction, HERE, "r-2", 10, 2.0**53)
        whole = evals.one_of(transaction, HERE, str(stable))
    assert [one["revision"] for one in listed] == ["r-1", "r-1", "r-2", "r-2", "r-1"]
    assert own == [one for one in listed if one["revision"] == "r-2"]
    assert "results" not in listed[0]
    assert len(whole["results"]) == len(cases)


def test_what_was_found_stays_when_a_gate_ends_and_when_outcomes_go(database):
    sent = traffic(5, failing=0.3)
    put(database)
    keep(database, sent, AT + LAST)
    upkeep = Upkeep(database, Gates(database), CLOCK, keep_s=60)
    upkeep.look(AT + LAST + 900)
    assert upkeep.prune(AT + LAST + 9000) == 0  # a gate that runs needs them
    before = judged(database)
    Gates(database).end(HERE, "r-2", "ann", AT + LAST + 901)
    assert upkeep.prune(AT + LAST + 9000) == len(sent)
    after = judged(database)
    assert after["ended"] == AT + LAST + 901
    assert (after["judgement"], after["points"]) == (before["judgement"], before["points"])
    assert after["changes"][0] | {"at": 0} == {"kind": "end", "document": None, "by": "ann", "at": 0}
    put(database, at=AT + LAST + 902)  # judged once more, from the beginning
    assert judged(database)["judgement"]["canary"] == 0


def test_a_gate_with_nothing_left_to_compare_ends(database):
    """An hour after the last replica of stable, where others report; the canary has everybody then."""
    keeper, hour = Gates(database), replicas.FORGOTTEN_S
    upkeep = Upkeep(database, keeper, CLOCK, keep_s=60)
    put(database)
    put(database, "r-3", metrics={"evals": {}})
    keeper.end_left(AT + 2 * hour)  # nobody reports: that says nothing
    report_ready(database, ("a", "r-1", True), at=AT + 10)
    report_ready(database, ("b", "r-2", True), at=AT + hour - 1)
    upkeep.prune(AT + hour - 1)
    keeper.end_left(AT + hour + 1)
    assert judged(database)["ended"] is None
    report_ready(database, ("b", "r-2", True), at=AT + hour + 20)
    upkeep.prune(AT + hour + 20)
    keeper.end_left(AT + hour + 20)
    assert judged(database)["ended"] == AT + hour + 20
    assert judged(database)["changes"][0]["by"] == "control"
    assert judged(database, "r-3")["ended"] is None  # it has never needed any


def test_a_gate_that_begins_anew_forgets_everywhere(open_database):
    """By another plan, since the same moment; another control had looked at the first one."""
    database, looking = open_database(), Gates(open_database())
    keep(database, traffic(6, failing=0.3), AT + LAST)
    put(database)
    Upkeep(database, Gates(database), CLOCK, 1e9).look(AT + LAST + 900)
    assert shown(looking)["judgement"]["verdict"] == "fail"
    Gates(database).end(HERE, "r-2", "ann", AT + LAST)
    put(database, alpha=1e-9, at=AT + 1)
    assert shown(looking) == judged(database)
    assert shown(looking)["judgement"]["alpha"] == 1e-9


def test_a_gate_that_runs_changes_its_share_alone(database):
    put(database)
    with pytest.raises(Refused, match="The share alone may change"):
        put(database, alpha=0.01)
    with pytest.raises(Refused, match="no gate judges 'r-9'"):
        judged(database, "r-9")


def test_conversations_close_as_soon_as_the_plan_says(database):
    put(database, idle_s=5)
    sent = traffic(7, failing=0.3, until=60)
    keep(database, sent, AT + 61)
    upkeep = Upkeep(database, Gates(database), CLOCK, 1e9)
    upkeep.look(AT + 50)
    assert 0 < judged(database)["judgement"]["canary"] < len(sent)
    upkeep.look(AT + 70)
    judgement = judged(database)["judgement"]
    assert judgement["canary"] + judgement["stable"] == len(sent)
    put(database, share=0.25)  # the same gate: what is not said stays
    assert judged(database)["idle_s"] == 5
    with pytest.raises(Refused, match="The share alone may change"):
        put(database, idle_s=300)


def report_ready(database, *running: tuple[str, str, bool], at: float = AT) -> None:
    with database.write() as transaction:
        for replica, revision, ready in running:
            replicas.keep(transaction, HERE, ReplicaReport(replica, revision, AT, ready=ready), at)


def test_stable_is_what_serves_now_where_nobody_says(database):
    """The one before had most turns, and is gone; another one is not ready."""
    with pytest.raises(Refused, match="heard of nothing but r-2 lately"):
        put(database, stable=None)
    old = [outcome(f"old-{number}", revision="r-0") for number in range(9)]
    keep(database, [*old, outcome("new", revision="r-1")], AT)
    assert put(database, "r-3", stable=None).stable == "r-0"
    report_ready(database, ("a", "r-1", True), ("b", "r-9", False), ("c", "r-2", True), ("d", "r-2", True))
    assert put(database, stable=None).stable == "r-1"
    report_ready(database, ("a", "r-8", True), at=AT + 5)
    assert put(database, stable=None).stable == "r-1"  # it is judged by that one already
    assert put(database, "r-4", stable=None, at=AT + 5).stable == "r-2"
    later = AT + 9000  # nobody has said a word for hours
    with pytest.raises(Refused, match="name the stable revision"):
        put(database, "r-5", stable=None, at=later)


JUDGE = {"model": "m", "good": 20, "bad": 20, "sensitivity": 0.9, "specificity": 0.8}


def test_the_judge_of_the_evals_is_as_the_newest_run_calibrated_it(database):
    """Half of the cases were judged; a later run had no judge, and one whose judge was never calibrated."""
    suite = {"metrics": {"evals": {}}}
    assert put(database, "r-3", **suite).judges == {}
    calibrated = run("r-1", {"a": 1.0, "b": 1.0}) | {"judge": JUDGE}
    calibrated["results"][0]["marks"] = [{"by": "judge", "holds": True}]
    report(database, calibrated)
    report(database, run("r-2", {"a": 1.0}) | {"judge": None})
    report(database, run("r-2", {"a": 0.5}) | {"judge": JUDGE | {"sensitivity": None}})
    plan = put(database, **suite)
    assert plan.judges == {"evals": Calibration(pytest.approx(0.95), pytest.approx(0.9))}
    assert plan.margin("evals") == pytest.approx(0.02 * 0.85)
    report(database, run("r-1", {"a": 1.0}) | {"judge": JUDGE | {"sensitivity": 0.5}})
    assert put(database, share=0.25, **suite).judges == plan.judges  # of the gate that runs
    assert put(database, "r-4", judges={}, **suite).judges == {}
    assert put(database, "r-5").judges == {}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"stable": "r-2"}, "canary and stable are the same revision"),
        ({"metrics": {"beauty": {}}}, "there is no metric 'beauty'"),
        ({"metrics": {}}, "a gate needs a metric"),
        ({"metrics": ["errors"]}, "expected {"),
        ({"metrics": {"errors": {"margin": "2"}}}, "expected {"),
        ({"metrics": {"errors": 3}}, "expected {"),
        ({"share": 2}, "share is 2"),
        ({"share": True}, "expected {"),
        ({"alpha": None}, "alpha is 0"),
        ({"stable": None}, "stable and canary: expected revisions"),
        ({"judges": {"evals": {"sensitivity": 0.5, "specificity": 0.4}}}, "no better than a coin"),
        ({"judges": {"evals": {"sensitivity": 0.5}}}, "expected {"),
        ({"judges": {"evals": {"sensitivity": 5, "specificity": 1}}}, "judges: expected"),
        ({"since": AT + 1}, "not in the future"),
        ({"idle_s": 0.5}, "idle_s is 0.5, expected 1 to 1800 seconds"),
        ({"idle_s": 3600}, "idle_s is 3600, expected 1 to 1800 seconds"),
        ({"idle_s": "5 m"}, "expected {"),
        ({"colour": 1}, "'colour' is no key here"),
    ],
)
def test_what_is_no_plan(body, message):
    with pytest.raises(Refused) as refused:
        plans.read("r-2", PLAN | body, AT)
    assert message in refused.value.message
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("verdict", "why", "pause", "enough", "said"),
    [
        ("pass", "fine", False, None, "pass"),
        ("fail", "harm", False, 1, "fail"),
        ("inconclusive", "no-harm", False, None, "inconclusive"),
        ("inconclusive", "no-harm", False, 50, "pass"),
        ("inconclusive", "no-harm", False, 51, "inconclusive"),
        ("inconclusive", "no-harm", True, 50, "inconclusive"),
        ("inconclusive", "too-little", False, 50, "inconclusive"),
        ("inconclusive", "incident", True, 50, "inconclusive"),
        ("inconclusive", "ratio", True, 50, "inconclusive"),
    ],
)
def test_a_verdict_has_three_values(verdict, why, pause, enough, said):
    judgement = {"verdict": verdict, "why": why, "pause": pause, "canary": 50}
    assert verdicts.verdict(judgement, enough) == said
