"""docs/reference/targets.md is the table of targets."""

from __future__ import annotations

from shipway.render.targets.page import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "make golden"
