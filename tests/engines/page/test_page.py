"""The page in a real Chromium, with the real control behind it: what it shows, to whom, and what it asks."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest
from tests.browser import Browser
from tests.controlling import ControlProcess
from tests.engines.page.conftest import HOME, Visit, go, sign_in, tab_to
from tests.fleet_data import CANARY, DEPLOYMENT, REFUSED, Fleet, put_policy, report, send

VIEWS = ("fleet", "policy", "evals", "gates", "conversations")
EVIL = '<img src="x" onerror="document.title=1"><script>document.title=2</script>'


def test_somebody_who_is_woken_sees_what_is_wrong(visit: Visit) -> None:
    page = visit("read")
    page.wait_for_text("4 of 5 replicas ready")
    problems = page.text(".problems")
    assert problems.startswith(f"not ready mcp git, {REFUSED}, since ")
    assert problems.endswith("(1 replica)")
    iso = page.run("document.querySelector('.problems time').title")
    assert abs(time.time() - 1500 - page.run(f"Date.parse({iso!r}) / 1000")) < 120
    canary = page.text("article")  # the newest revision comes first
    assert canary.startswith(CANARY)
    assert "9.1 % of conversations" in canary  # 60 of 660
    assert "25 % 30 turns" in canary  # of 120
    assert page.text(".who") == "read-of-tests role read Sign out"


def test_nothing_is_asked_of_others_and_no_script_but_its_own_runs(
    visit: Visit, control: ControlProcess
) -> None:
    page = visit()
    for view in VIEWS:
        go(page, HOME.replace("fleet", view))
    assert {urlsplit(url).netloc for url in page.requests} == {urlsplit(control.url).netloc}
    unexpected = [each for each in page.complaints if "/session" not in each]  # 401: nobody had signed in yet
    assert unexpected == []


def test_a_script_that_got_into_the_page_does_not_run(visit: Visit, control: ControlProcess) -> None:
    page = visit()
    page.run(
        "(() => { const script = document.createElement('script');"
        "script.append('document.title = \"injected\"'); document.body.append(script) })()"
    )
    page.run("fetch('http://127.0.0.1:9/').catch(() => {})")
    assert page.run("document.title") == "Fleet · support · prod · shipway"
    refused = " ".join(page.complaints)
    assert "Content Security Policy" in refused
    assert "connect" in refused
    with pytest.raises(AssertionError, match="TrustedHTML"):
        page.run("document.body.innerHTML = '<p>'")


def test_what_strangers_say_is_text(visit: Visit, control: ControlProcess) -> None:
    hostile = report(EVIL, EVIL, down={EVIL: EVIL, "mcp:" + EVIL: EVIL})
    send(control, "/v1/replicas", json=hostile)
    put_policy(
        control, {"kill": {"tools": [EVIL], "tenants": [EVIL]}, "tenants": {EVIL: {"concurrency": 1}}}, EVIL
    )
    page = visit()
    for view in ("fleet", "policy"):
        go(page, HOME.replace("fleet", view))
        page.wait_for_text(EVIL)
        assert page.run("document.querySelectorAll('main img, main script').length") == 0
        assert page.run("document.title").endswith("support · prod · shipway")


def test_who_may_only_read_is_shown_no_way_to_change(visit: Visit) -> None:
    page = visit("read", HOME.replace("fleet", "policy"))
    page.wait_for_text("Your role is read")
    assert page.run("document.querySelectorAll('main input, main form').length") == 0
    assert page.run("[...document.querySelectorAll('main button')].map(b => b.innerText)") == []


def test_a_token_that_is_none_is_refused_in_words(
    browser: Browser, control: ControlProcess, fleet: Fleet
) -> None:
    page = browser.page()
    page.open(control.url)
    page.wait("document.activeElement.id === 'token'")
    page.write("not-a-token-of-anybody")
    page.press("Enter")
    page.wait_for_text("Control does not know this token.")
    assert page.run("document.activeElement.id") == "token"
    page.press("Escape", "Escape")
    page.wait("document.getElementById('login').open")
    page.run("document.getElementById('token').value = ''")
    sign_in(page, "read")
    page.wait(f"location.hash === {HOME!r}")  # the only deployment there is


def test_signing_out_leaves_nothing_on_the_screen(visit: Visit) -> None:
    page = visit()
    page.wait_for_text(CANARY)
    tab_to(page, ".who button")
    page.press("Enter")
    page.wait("document.activeElement.id === 'token'")
    assert CANARY not in page.run("document.body.innerText")
    sign_in(page, "read")
    page.wait_for_text(CANARY)


def test_a_session_that_ends_takes_nothing_along(visit: Visit) -> None:
    page = visit(address=HOME.replace("fleet", "policy"))
    page.click("[aria-label='Stop: MCP server git']")
    page.click("#reason")
    page.write("half a reas")
    page.call("Network.clearBrowserCookies")
    page.wait_for_text("The session has ended. Sign in to go on.")
    sign_in(page, "operate")
    page.wait("document.activeElement.id === 'reason'")
    page.write("on")
    page.press("Enter")
    page.wait_for_text("Version 3 is in force.")
    page.wait_for_text("half a reason")


def test_times_are_the_readers_own(visit: Visit, control: ControlProcess) -> None:
    page = visit()
    page.call("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")
    page.open(f"{control.url}/?{HOME.replace('fleet', 'policy')}")
    [version, _] = control.ask("read", "GET", "/v1/policy/versions", params=DEPLOYMENT).json()
    at = datetime.fromtimestamp(version["at"], timezone(timedelta(hours=5.5)))
    shown = page.text("main time")
    assert shown.endswith(at.strftime("%H:%M"))
    iso = page.run("document.querySelector('main time').title")
    assert datetime.fromisoformat(iso) == pytest.approx(at, abs=timedelta(milliseconds=2))


def test_control_that_is_away_is_said_and_found_again(
    visit: Visit, control: ControlProcess, fleet: Fleet
) -> None:
    page = visit()
    page.wait_for_text(CANARY)
    control.kill()
    page.wait_for_text("Control is out of reach since")
    assert CANARY in page.run("document.querySelector('main').innerText")
    control.start()
    page.wait("!document.getElementById('status').innerText")
    fleet.report("a-new-one", CANARY)
    page.wait_for_text("a-new-one")


def test_a_refresh_moves_nothing(visit: Visit, control: ControlProcess) -> None:
    page = visit(address=HOME.replace("fleet", "policy"), height=400)
    page.click("input[name=tenant]")
    page.write("half a na")
    top = page.run("document.activeElement.getBoundingClientRect().top")
    put_policy(control, {"kill": {"servers": ["git"]}}, "somebody else")
    page.wait_for_text("version 3 by operate-of-tests")
    assert page.run("[document.activeElement.name, document.activeElement.value]") == ["tenant", "half a na"]
    page.write("me")
    assert page.run("document.activeElement.value") == "half a name"
    assert 0 < page.run("document.activeElement.getBoundingClientRect().top") < 400, top


def test_a_module_that_does_not_come_is_asked_for_again(browser: Browser, control: ControlProcess) -> None:
    page = browser.page()
    page.call("Network.setBlockedURLs", urls=["*/page/words.js"])
    page.open(control.url)
    page.wait_for_text("The page did not load")
    page.call("Network.setBlockedURLs", urls=[])
    page.wait("document.activeElement.id === 'token'")


def test_many_replicas_are_shown_in_portions_the_worst_first(
    visit: Visit, control: ControlProcess, fleet: Fleet
) -> None:
    with control.client("report") as client:
        for number in range(246):
            said = report(f"many-{number:03}")
            assert client.post("/v1/replicas", params=DEPLOYMENT, json=said).is_success
    fleet.report("support-3", down={"mcp:git": REFUSED})
    page = visit()
    page.wait_for_text("100 of 250 are shown")
    assert page.run("document.querySelectorAll('.replicas tbody tr').length") == 101
    assert page.text("article:last-of-type tbody tr").startswith("support-3 not ready")
    tab_to(page, ".more button")
    page.press("Enter")
    page.wait("document.querySelectorAll('.replicas tbody tr').length === 251")


def test_thousands_of_names_do_not_freeze_it(visit: Visit, control: ControlProcess) -> None:
    tenants = [f"tenant-{number:05}" for number in range(5000)]
    put_policy(
        control,
        {"kill": {"tenants": tenants}, "tenants": {name: {"concurrency": 1} for name in tenants}},
        "a raid",
    )
    page = visit(address=HOME.replace("fleet", "policy"))
    page.wait_for_text("100 of 5,000 are shown")
    assert page.run("document.querySelectorAll('main *').length") < 3000
    page.click("[aria-label='Allow again: tenant tenant-00001']")
    page.wait_for_text("allow tenant tenant-00001 again")
