"""A Chromium, a control that a fleet has reported to, and people who sign in with their tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.browser import Browser, Page
from tests.controlling import TOKENS, ControlProcess
from tests.fleet_data import Fleet, fill

HOME = "#/support/prod/fleet"
Visit = Callable[..., Page]
GO = """
new Promise((done) => {
  if (location.hash === ADDRESS) return done();
  addEventListener("hashchange", () => setTimeout(done), { once: true });
  location.hash = ADDRESS;
})
"""


@pytest.fixture(scope="module")
def browser(engine: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(engine("chromium"), tmp_path_factory.mktemp("chromium") / "profile")
    yield browser
    browser.close()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlProcess]:
    control = ControlProcess(tmp_path)
    yield control
    control.close()


@pytest.fixture
def fleet(control: ControlProcess) -> Iterator[Fleet]:
    fleet = fill(control)
    yield fleet
    fleet.close()


@pytest.fixture
def visit(browser: Browser, control: ControlProcess, fleet: Fleet) -> Visit:
    """`visit(role, address)`: somebody who has signed in, and sees what the address shows."""

    def visit(role: str = "operate", address: str = HOME, **more: object) -> Page:
        page = browser.page(**more)
        page.open(f"{control.url}/{address}")
        sign_in(page, role)
        page.wait("document.querySelector('h1')")
        return page

    return visit


def sign_in(page: Page, role: str) -> None:
    page.wait("document.activeElement.id === 'token'")
    page.write(TOKENS[role])
    page.press("Enter")
    page.wait("!document.getElementById('login').open")


def go(page: Page, address: str) -> None:
    """To another view, until it is there."""
    page.run(GO.replace("ADDRESS", repr(address)))
    page.wait("document.querySelector('main').getAttribute('aria-busy') === 'false'")
    page.wait("document.querySelector('h1')")


def tab_to(page: Page, selector: str, most: int = 120) -> None:
    """By the Tab key alone, from wherever the focus is."""
    for _ in range(most):
        page.press("Tab")
        if page.run(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(
        f"{most} tabs do not reach {selector}; {page.run('document.activeElement.outerHTML')}"
    )
