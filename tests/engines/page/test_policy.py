"""Policy, changed in the page by keyboard and mouse, by one person and by two."""

from __future__ import annotations

from tests.browser import Page
from tests.controlling import ControlProcess
from tests.engines.page.conftest import Visit, go, tab_to
from tests.fleet_data import DEPLOYMENT, put_policy

POLICY = "#/support/prod/policy"


def in_force(control: ControlProcess) -> dict:
    return control.ask("read", "GET", "/v1/policy", params=DEPLOYMENT).json()


def versions(control: ControlProcess) -> list[dict]:
    return control.ask("read", "GET", "/v1/policy/versions", params=DEPLOYMENT).json()


def apply(page: Page, reason: str) -> None:
    page.click("#reason")
    page.write(reason)
    page.press("Enter")


def test_a_server_is_stopped_by_the_keyboard_alone(visit: Visit, control: ControlProcess) -> None:
    page = visit()
    tab_to(page, "nav a[href$=policy]")
    page.press("Enter")
    page.wait("document.activeElement.matches('h1') && document.activeElement.innerText === 'Policy'")
    tab_to(page, "[aria-label='Stop: MCP server git']")
    page.press("Enter")
    page.wait_for_text("1 change not applied yet")
    assert (
        page.run("document.activeElement.getAttribute('aria-label')") == "Undo the change to MCP server git"
    )
    tab_to(page, "#reason")
    page.press("Enter")
    assert page.run("document.activeElement.id") == "reason"  # without a reason nothing is applied
    page.write("INC-8: git hangs")
    page.press("Enter")
    page.wait_for_text("Version 3 is in force.")
    newest = versions(control)[0]
    assert (newest["by"], newest["reason"]) == ("operate-of-tests", "INC-8: git hangs")
    assert in_force(control)["kill"] == {"tools": ["git/git_reset"], "servers": ["git"]}
    assert in_force(control)["tenants"] == {"acme": {"requests": [600, 60]}}
    page.wait_for_text("enforced by 0 of 5 replicas")


def test_everything_is_stopped_after_a_question(visit: Visit, control: ControlProcess) -> None:
    page = visit(address=POLICY)
    page.click("[aria-label='Stop: everything']")
    apply(page, "INC-9")
    page.wait("document.getElementById('everything').open")
    assert "no turn begins any more" in page.run("document.getElementById('everything-means').innerText")
    assert page.run("document.activeElement.innerText") == "Cancel"
    page.press("Escape")
    assert "all" not in in_force(control)["kill"]
    page.press("Enter")  # the focus is back at the reason
    page.wait("document.getElementById('everything').open")
    page.press("Tab", "Enter")
    page.wait_for_text("no turn begins")
    page.wait_for_text("Version 3 is in force.")
    assert in_force(control)["kill"]["all"] is True


def test_limits_and_the_model_are_written_as_in_agent_toml(visit: Visit, control: ControlProcess) -> None:
    page = visit(address=POLICY)
    page.click("[aria-label^='Spend of each tenant']")
    page.write("many")
    page.press("Tab")
    page.wait_for_text("“many” is no limit; for example 20 USD/day")
    page.click("[aria-label^='Spend of each tenant']")
    page.run("document.activeElement.select()")
    page.write("7.5 USD/h")
    page.click("[aria-label^='Requests of acme']")
    page.run("document.activeElement.select()")
    page.write("10/s")
    page.click("[aria-label^='Fallback to use']")
    page.write("claude-haiku-5")
    page.press("Enter")
    page.wait_for_text("3 changes not applied yet")
    page.wait_for_text("limit requests of tenant acme to 10/s, which was 600/min")
    apply(page, "cheaper")
    page.wait_for_text("Version 3 is in force.")
    policy = in_force(control)
    assert policy["limits"] == {"requests": [60, 60], "tokens": [2_000_000, 86_400], "spend_usd": [7.5, 3600]}
    assert policy["tenants"] == {"acme": {"requests": [10, 1]}}
    assert policy["model"] == "claude-haiku-5"


def test_of_two_people_the_second_sees_what_the_first_did(visit: Visit, control: ControlProcess) -> None:
    ann, bob = visit(address=POLICY), visit(address=POLICY)
    ann.click("[aria-label='Stop: MCP server git']")
    bob.click("[aria-label='Allow again: tool git/git_reset']")
    bob.click("[aria-label='Stop: MCP server time']")
    apply(ann, "INC-10: ann was first")
    ann.wait_for_text("Version 3 is in force.")
    bob.wait_for_text("INC-10: ann was first")
    bob.wait_for_text("stop MCP server git")
    bob.wait_for_text("Nothing of yours is applied")
    assert versions(control)[0]["version"] == 3
    bob.click(".conflict .primary")
    apply(bob, "INC-11")
    bob.wait_for_text("Version 4 is in force.")
    assert in_force(control)["kill"] == {"servers": ["git", "time"], "tools": []}


def test_a_change_that_is_older_than_its_policy_is_refused(visit: Visit, control: ControlProcess) -> None:
    """Both apply within one refresh: control refuses the second, and the page says why."""
    page = visit(address=POLICY)
    page.click("[aria-label='Stop: MCP server time']")
    page.click("#reason")
    page.write("INC-12")
    body = {"policy": {"kill": {"models": ["m"]}}, "reason": "meanwhile"}
    page.run(
        "(() => { const ask = window.fetch; window.fetch = async (...all) => {"
        "  if (all[1]?.method === 'PUT') await new Promise(go => { window.go = go });"
        "  return ask(...all) } })()"
    )
    page.press("Enter")
    page.wait("typeof window.go === 'function'")
    answer = control.ask(
        "operate", "PUT", "/v1/policy", params=DEPLOYMENT, json=body, headers={"if-match": "*"}
    )
    assert answer.is_success
    page.run("window.go()")
    page.wait_for_text("Nothing of yours is applied")
    assert in_force(control) == body["policy"]


def test_an_old_version_is_put_back(visit: Visit, control: ControlProcess) -> None:
    page = visit(address=POLICY)
    page.click("[aria-label='Prepare to put version 1 back']")
    page.wait_for_text("allow tool git/git_reset again")
    page.click("#reason")
    page.press("Enter")
    page.wait_for_text("Version 3 is in force.")
    assert versions(control)[0]["reason"] == "back to version 1"
    assert in_force(control)["limits"] == versions(control)[-1]["policy"]["limits"]
    go(page, POLICY)


def test_every_version_is_there_also_while_new_ones_come(visit: Visit, control: ControlProcess) -> None:
    for number in range(3, 104):
        put_policy(control, {"limits": {"concurrency": number}}, f"number {number}")
    page = visit("read", POLICY)
    page.wait_for_text("number 103")
    page.run(
        "[...document.querySelectorAll('main button')].find(one => one.innerText === 'Show older').click()"
    )
    page.wait_for_text("limits for launch")
    put_policy(control, {}, "meanwhile")
    page.wait_for_text("meanwhile")
    numbers = page.wait(
        "(found => found.length === 104 && found)([...document.querySelectorAll('.history tbody th')]"
        ".map(one => Number(one.textContent)))"
    )
    assert numbers == list(range(104, 0, -1))
