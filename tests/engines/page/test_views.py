"""Evals, gates and failed conversations in the page, as control has them from the real gate and evals."""

from __future__ import annotations

import pytest
from tests.browser import Page
from tests.controlling import ControlProcess
from tests.engines.page.conftest import Visit, go, tab_to
from tests.fleet_data import CANARY, STABLE, evaluate, judge, run, say, send

EVIL = '<img src="x" onerror="document.title=1"><script>document.title=2</script>'
GATES, EVALS, CONVERSATIONS = (f"#/support/prod/{view}" for view in ("gates", "evals", "conversations"))


def rows(page: Page, caption: str) -> list[list[str]]:
    """The cells of a table, row by row, as a reader sees them."""
    table = f"[...document.querySelectorAll('table')].find(one => one.caption.innerText === {caption!r})"
    cells = "[...row.cells].map(cell => cell.textContent.replace(/\\s+/g, ' '))"
    return page.run(f"[...{table}.tBodies[0].rows].map(row => {cells})")


def test_a_gate_is_read_by_the_keyboard_alone(visit: Visit, control: ControlProcess) -> None:
    judge(control)
    page = visit("read")
    assert "Fail: worse" in page.text("article")
    tab_to(page, "nav a[href$=gates]")
    page.press("Enter")
    page.wait("document.activeElement.innerText === 'Gates'")
    tab_to(page, "main article a")
    page.press("Enter")
    page.wait("document.activeElement.matches('h1') && document.activeElement.innerText.includes('against')")
    assert page.text(".verdict").startswith(f"Fail: worse {CANARY} is worse than {STABLE}. errors: ")
    label = page.run("document.querySelector('svg.plot').getAttribute('aria-label')")
    assert label.startswith(f"Evidence that {CANARY} is worse, over time: now ")
    assert "where 20 is a fail" in label
    tab_to(page, "summary")
    page.press("Enter")
    over_time = rows(page, f"Evidence over time, {CANARY}")
    judged = control.ask(
        "read", "GET", f"/v1/gates/{CANARY}", params={"name": "support", "environment": "prod"}
    ).json()
    assert len(over_time) == len(judged["points"])
    assert over_time[0][1] == str(judged["points"][-1]["canary"])
    errors, *_, live = rows(page, "Metrics")
    assert errors[0] == "errors"
    assert errors[-1] == "worse beyond chance"
    assert live[-1].startswith("no data")


def test_the_plot_has_the_threshold_where_the_scale_puts_it(visit: Visit, control: ControlProcess) -> None:
    """Ten and a hundred are on the grid; log 20 lies between them, and the line crosses it."""
    judge(control)
    page = visit("read", f"{GATES}/{CANARY}")
    page.wait("document.querySelector('.threshold')")
    ticks = "[...document.querySelectorAll('.plot .tick')]"
    tick = ticks + ".find(one => one.textContent === '{}').y.baseVal[0].value - 4"
    ten, hundred = page.run(tick.format(10)), page.run(tick.format(100))
    threshold = page.run("document.querySelector('.threshold').y1.baseVal.value")
    assert threshold == pytest.approx(ten + (hundred - ten) * 0.30103, abs=0.5)
    ends = page.run(
        "[0, Infinity].map(at => document.querySelector('.line-all').getPointAtLength(at === 0 ? 0 : 1e6).y)"
    )
    assert ends[0] > threshold > ends[1]


def test_without_a_gate_it_is_said_how_one_begins(visit: Visit) -> None:
    page = visit("read", GATES)
    page.wait_for_text("No revision is being judged.")
    go(page, EVALS)
    page.wait_for_text("No run has been sent here.")


def test_evals_are_shown_over_time_and_case_by_case(visit: Visit, control: ControlProcess) -> None:
    evaluate(control)
    page = visit("read", EVALS)
    page.wait_for_text("last run: fail")
    runs = rows(page, "Runs of evals/*.jsonl")
    assert [run[1] for run in runs] == ["fail", "pass", "pass", "pass"]
    assert [run[3] for run in runs] == ["9", "1", "2", "3"]
    assert page.run("document.querySelectorAll('.plot .run').length") == 4
    assert page.run("document.querySelectorAll('.plot .run.fail rect').length") == 1
    page.click("tbody a")
    page.wait_for_text("8 failed that had passed")
    assert "40 cases in common" in page.text("main")
    page.click("details.case summary")
    page.wait_for_text("I cannot help.")
    page.wait_for_text("crm/find")


def test_conversations_that_failed_are_shown_with_their_text(visit: Visit, control: ControlProcess) -> None:
    say(control)
    page = visit("read")
    page.click("article a[href*=conversations]")
    page.wait_for_text("of revision")
    assert page.text("details.case summary").endswith(
        f"told tenant acme, {CANARY}, TimeoutError: Where is my order?"
    )
    page.click("details.case summary")
    page.wait_for_text("Sorry. Where is my order?")
    page.wait_for_text("→ no such order")
    page.click("details.case:nth-of-type(2) summary")
    page.wait_for_text("Its text was not stored.")
    go(page, CONVERSATIONS)
    shown = "document.querySelectorAll('details.case').length"
    assert page.run(shown) == 46  # 15 of stable, 30 of the canary, and the one that was told


def test_what_agents_and_callers_say_is_text(visit: Visit, control: ControlProcess) -> None:
    say(control, EVIL)
    send(control, "/v1/evals", json=run(EVIL, 3, 2, 1_790_000_000.0, answer=EVIL))
    page = visit("operate", CONVERSATIONS)
    page.click("details.case summary")
    page.wait_for_text(f"TimeoutError: {EVIL}")
    go(page, f"{EVALS}/1")
    page.click("details.case summary")
    page.wait_for_text(EVIL)
    assert page.run("document.querySelectorAll('main img, main script').length") == 0
    assert page.run("document.title") == "Evals · support · prod · shipway"
