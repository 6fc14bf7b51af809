"""docs/reference/page.md: its views are the page's, and what it quotes is what a browser is told."""

from __future__ import annotations

import re
from pathlib import Path

from shipway.control.page import routes

PAGE = Path("docs/reference/page.md").read_text(encoding="utf-8")
FILES = Path(routes.__file__).parent


def test_every_view_is_told_of_and_no_other() -> None:
    [named] = re.findall(r"const VIEWS = \{ (.+?) \}", (FILES / "page.js").read_text())
    told = re.findall(r"^\| ([A-Z]\w+) \|", PAGE, re.MULTILINE)
    assert [view.lower() for view in told] == named.split(", ")


def test_the_policy_that_is_quoted_is_sent() -> None:
    assert f"content-security-policy: {routes.POLICY}\n" in PAGE


def test_every_file_has_a_route_and_asks_for_nothing_elsewhere() -> None:
    paths = {route.path for route in routes.routes()}
    assert paths == {
        "/" if place.name == "index.html" else f"/page/{place.name}"
        for place in FILES.iterdir()
        if place.suffix in routes.TYPES
    }
    for place in FILES.iterdir():
        if place.suffix in routes.TYPES:
            addresses = set(re.findall(r"https?://[\w.]+", place.read_text()))
            assert addresses <= {"http://www.w3.org"}, place.name  # SVG's namespace
