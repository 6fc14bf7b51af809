"""How large is too large."""

from __future__ import annotations

from shipway.build.size import LARGE, large


def test_one_gigabyte_is_a_finding_without_a_budget() -> None:
    assert large("a:1", LARGE - 1) is None
    finding = large("a:1", 1_600_000_000)
    assert finding is not None
    assert finding.rule == "image-large"
    assert finding.message.startswith("a:1 has 1.6 GB unpacked")
