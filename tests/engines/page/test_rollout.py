"""The rollout in the page: where it is, why, and what people order."""

from __future__ import annotations

import pytest
from tests.browser import Page
from tests.controlling import ControlProcess
from tests.engines.page.conftest import Visit, go, tab_to
from tests.fleet_data import CANARY, DEPLOYMENT, STABLE, judge, roll_out

from shipway.rollout_snapshot import Line, RevisionSeen

ROLLOUT = "#/support/prod/rollout"
EVIL = "<img src=x onerror=document.title='evil'>"


def ordered(control: ControlProcess) -> list[dict]:
    return control.ask("operate", "GET", "/v1/rollout/orders", params=DEPLOYMENT | {"after": 0}).json()


def steps(page: Page) -> list[str]:
    page.wait("document.querySelector('.steps')")
    texts = page.run("[...document.querySelectorAll('.steps li')].map(one => one.innerText)")
    return [" ".join(text.split()) for text in texts]


def buttons(page: Page) -> list[str]:
    return page.run("[...document.querySelectorAll('main section > .buttons button')].map(b => b.innerText)")


def test_a_rollout_is_read_and_aborted_by_the_keyboard_alone(visit: Visit, control: ControlProcess) -> None:
    judge(control)
    told = roll_out(control)
    page = visit()
    assert "rollout stepping, 25 % of new conversations" in page.text(".lead a")
    tab_to(page, "nav a[href$=rollout]")
    page.press("Enter")
    page.wait("document.activeElement.matches('h1') && document.activeElement.innerText === 'Rollout'")
    assert steps(page) == ["Evals done", "5 % done", "25 % 30 min of 1 h", "100 %"]
    assert page.run("document.querySelector('[aria-current=step]').innerText").startswith("25")
    assert page.text(".split") == f"25 % {CANARY} 75 % {STABLE}"
    page.wait_for_text("Fail: worse")
    assert told.gate
    page.wait_for_text(told.gate.words)
    page.wait("document.querySelector('svg.plot')")
    page.wait_for_text("mcp git: MCP server 'git' at")
    page.wait_for_text(f"{CANARY} is rolled out over {STABLE}")
    tab_to(page, ".buttons .danger")
    page.press("Enter")
    page.wait("document.getElementById('order').open")
    assert page.run("document.activeElement.id") == "order-reason"
    page.press("Enter")  # without a reason nothing is ordered
    assert page.run("document.getElementById('order').open")
    page.write("INC-7: answers are short")
    page.press("Enter")
    page.wait_for_text("Abort is ordered.")
    assert "INC-7: answers are short; the controller has not heard it yet" in page.text(".waiting")
    page.click("main section > .buttons button")
    page.wait("document.getElementById('order').open")
    assert page.run("document.getElementById('order-reason').value") == ""
    page.press("Escape")
    [order] = ordered(control)
    assert (order["what"], order["reason"], order["by"], order["canary"]) == (
        *("abort", "INC-7: answers are short"),
        *("operate-of-tests", CANARY),
    )
    roll_out(
        control, phase="aborting", course="aborting", percent=0, why="aborted by ann", heard=order["number"]
    )
    page.wait_for_text("Going back: everybody goes to stable")
    assert buttons(page) == []


def test_what_fits_is_offered_and_a_question_can_be_left(visit: Visit, control: ControlProcess) -> None:
    roll_out(control)
    page = visit(address=ROLLOUT)
    page.wait_for_text("Orders")
    assert buttons(page) == ["Pause", "Promote", "Abort"]
    page.click("main > section > .buttons button")
    page.wait("document.getElementById('order').open")
    assert page.run("document.getElementById('order-title').innerText").startswith("Pause the rollout: ")
    page.press("Escape")
    page.wait("!document.getElementById('order').open")
    assert page.run("document.activeElement.innerText") == "Pause"
    roll_out(control, phase="paused", why="the gates ask for a look")
    page.wait_for_text("the gates ask for a look")
    assert buttons(page) == ["Resume", "Promote", "Abort"]
    roll_out(control, phase="starting", course="starting", step=0, percent=0)
    page.wait_for_text("Starting: the canary comes up")
    assert page.run("document.querySelectorAll('main > section > .buttons button:disabled').length") == 1
    assert steps(page) == ["Evals before anybody has it", "5 % for 1 h", "25 % for 1 h", "100 %"]
    assert ordered(control) == []


def test_who_may_read_alone_is_told_who_may_order(visit: Visit, control: ControlProcess) -> None:
    roll_out(control)
    page = visit("read", ROLLOUT)
    page.wait_for_text("Your role is read. To pause, resume, promote or abort, sign in")
    assert page.run("document.querySelectorAll('main button').length") == 0


def test_a_rollout_that_has_ended_meanwhile_takes_no_order(visit: Visit, control: ControlProcess) -> None:
    roll_out(control)
    page = visit(address=ROLLOUT)
    page.click("main > section > .buttons button:nth-child(2)")
    page.wait("document.getElementById('order').open")
    page.write("good enough")
    page.run(
        "(() => { const ask = window.fetch; window.fetch = async (...all) => {"
        "  if (all[1]?.method === 'POST') await new Promise(go => { window.go = go });"
        "  return ask(...all) } })()"
    )
    page.press("Enter")
    page.wait("typeof window.go === 'function'")
    roll_out(control, canary=RevisionSeen("r-3", "ready"))  # it is quicker than the person
    page.run("window.go()")
    page.wait_for_text("the rollout that goes on is that of r-3; look again")
    assert control.ask("read", "GET", "/v1/rollout", params=DEPLOYMENT).json()["orders"] == []


def test_without_a_rollout_it_is_said_how_one_begins(visit: Visit) -> None:
    page = visit("read", ROLLOUT)
    page.wait_for_text("No rollout has been heard of.")


def test_a_controller_that_is_silent_is_told_of(visit: Visit, control: ControlProcess) -> None:
    roll_out(control)
    page = visit("read", ROLLOUT)
    page.wait_for_text("The controller was not heard of since")
    page.wait_for_text("What is here is as it was then")
    roll_out(control)
    page.wait("!document.body.innerText.includes('was not heard of')")


@pytest.mark.parametrize(
    ("phase", "said", "shown"),
    [
        (
            "promoted",
            "Promoted: the canary is stable now",
            ["Evals done", "5 % done", "25 % done", "100 % done"],
        ),
        ("aborted", "Rolled back: stable stays", ["Evals done", "5 % done", "25 % stopped here", "100 %"]),
    ],
)
def test_how_it_ended_stays(visit: Visit, control: ControlProcess, phase, said, shown) -> None:
    roll_out(control, phase=phase, course=phase, canary=RevisionSeen(CANARY, "absent"))
    page = visit(address=ROLLOUT)
    page.wait_for_text(said)
    assert steps(page) == shown
    assert buttons(page) == []
    page.wait_for_text("has ended")


def test_what_others_have_said_is_text(visit: Visit, control: ControlProcess) -> None:
    roll_out(
        control,
        canary=RevisionSeen(EVIL, "unready", (EVIL,)),
        why=EVIL,
        trouble=EVIL,
        trail=(Line(1.0, EVIL, EVIL),),
    )
    page = visit(address=ROLLOUT)
    page.wait_for_text(EVIL)
    assert page.run("document.querySelectorAll('main img').length") == 0
    go(page, "#/support/prod/fleet")
    assert page.run("document.title") == "Fleet · support · prod · shipway"


def test_errors_are_plotted_with_their_figures(visit: Visit, control: ControlProcess) -> None:
    """Half of the canary's conversations end with an error, and one of stable's in forty."""
    roll_out(control)
    page = visit("read", ROLLOUT)
    page.wait("document.querySelector('svg.plot')")
    label = page.run("document.querySelector('svg.plot').getAttribute('aria-label')")
    assert label.startswith("Errors over time. In all: canary 25.0\xa0% of 120 turns; stable 1.")
    ends = page.run("[...document.querySelectorAll('.plot .end')].map(one => one.textContent)")
    assert ends == ["canary", "stable"]
    assert page.run("document.querySelectorAll('.plot .line').length") == 2
    told = control.ask("read", "GET", "/v1/errors", params=DEPLOYMENT | {"since": 0}).json()
    assert sum(len(one["points"]) for one in told["revisions"]) > 2
    go(page, "#/support/prod/fleet")
    page.wait("document.querySelector('svg.plot')")
    assert page.run("document.querySelectorAll('main svg.plot .line').length") == 2
