"""Every view, light and dark, wide and narrow, as axe-core and a person with a small screen find it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.browser import Page
from tests.controlling import ControlProcess
from tests.engines.page.conftest import Visit, go
from tests.fleet_data import CANARY, evaluate, judge, roll_out, say
from tests.installing import from_npm

AXE = "axe-core@4.11.0"
VIEWS = ("fleet", "rollout", "policy", "evals", "evals/4", "gates", f"gates/{CANARY}", "conversations")
NARROW = 320  # CSS pixels: 1280 at 400 %, and less than any phone of today
RUN = """
axe.run(document, { resultTypes: ["violations"] }).then(({ violations, passes }) => ({
  found: violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`)),
  passed: passes.length,
}))
"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    modules = from_npm(tmp_path_factory.mktemp("npm"), AXE)
    return Path(modules / "axe-core" / "axe.min.js").read_text()


@pytest.fixture
def page(visit: Visit, control: ControlProcess) -> Page:
    """Everything there is to show is there."""
    judge(control)
    roll_out(control)
    evaluate(control)
    say(control)
    return visit("operate")


def violations(page: Page) -> list[str]:
    said = page.run(RUN)
    assert said["passed"] > 15, "axe looked at nothing"
    return said["found"]


def unfold(page: Page) -> None:
    """All that opens is open, and a change waits to be applied."""
    page.run("for (const each of document.querySelectorAll('main details')) each.open = true")
    page.run("document.querySelector('.switch button')?.click()")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)], ids=["wide-light", "phone-dark"])
def test_axe_finds_nothing(page: Page, axe: str, width: int, dark: bool) -> None:
    page.media(dark=dark, still=True)
    page.resize(width, 800)
    page.run(axe + "; 0")
    found = {}
    for view in VIEWS:
        go(page, f"#/support/prod/{view}")
        unfold(page)
        found[view] = violations(page)
    go(page, "#/support/prod/policy")
    page.run("document.getElementById('everything').showModal()")
    found["question"] = violations(page)
    page.run("document.getElementById('everything').close()")
    go(page, "#/support/prod/rollout")
    page.click(".buttons .danger")
    found["order"] = violations(page)
    page.run("document.getElementById('order').close()")
    page.click(".who button")
    page.wait("document.activeElement.id === 'token'")
    found["login"] = violations(page)
    assert "\n".join(f"{view}: {each}" for view, all_of in found.items() for each in all_of) == ""


def test_nothing_is_cut_off_on_a_small_screen(page: Page) -> None:
    wide = {}
    for width in (NARROW, 360, 640):
        page.resize(width, 740)
        for view in VIEWS:
            go(page, f"#/support/prod/{view}")
            unfold(page)
            wide[view, width] = page.run("document.documentElement.scrollWidth - innerWidth")
    assert {where: by for where, by in wide.items() if by > 0} == {}


def test_a_screen_reader_finds_its_way(page: Page) -> None:
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = [
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]
    ]
    assert {role for role, _ in roles} >= {"banner", "main", "navigation", "heading", "table", "status"}
    assert ("combobox", "Deployment") in roles
    assert ("link", "Skip to content") in roles
    assert [name for role, name in roles if role == "button" and not name] == []
    page.run("document.activeElement.blur()")
    page.press("Tab", "Enter")
    assert page.run("document.activeElement.id") == "main"
