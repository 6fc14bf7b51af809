"""What an agent on a shared base still installs, and when the two cannot go together."""

from __future__ import annotations

import pytest

from shipway.build.bases.shared import conflicts, lacking, merged, preferred
from shipway.errors import SpecError
from shipway.spec.shipwaylock import Pin, Resolution

BASE = "httpx==0.28.1 --hash=sha256:aa --hash=sha256:ab\nrich==14.0 --hash=sha256:cc\n"


def test_what_the_base_has_is_not_installed_again() -> None:
    own = "anyio==4 --hash=sha256:11\nhttpx==0.28.1 --hash=sha256:ab\n"
    assert lacking(own, BASE, "team/base") == "anyio==4 --hash=sha256:11\n"
    assert lacking(own, "", "minimal") == own


def test_another_version_is_a_finding_with_both() -> None:
    (finding,) = conflicts("httpx==0.27 --hash=sha256:ab\n", BASE, "team/base")
    assert finding.rule == "base-conflict"
    assert finding.message == "the project wants httpx 0.27, and the base team/base has 0.28.1"
    assert "httpx==0.28.1" in finding.fix
    with pytest.raises(SpecError):
        lacking("httpx==0.27 --hash=sha256:ab\n", BASE, "team/base")


def test_the_same_version_from_another_file_is_a_finding() -> None:
    (finding,) = conflicts("httpx==0.28.1 --hash=sha256:ff\n", BASE, "team/base")
    assert "made from another file" in finding.message


def test_who_may_choose_prefers_the_bases_versions() -> None:
    chosen = preferred(BASE)
    assert chosen is not None
    assert chosen.pins == (Pin("httpx", "0.28.1"), Pin("rich", "14.0"))
    assert preferred("") is None


def test_what_the_base_lacks_stays_as_it_was() -> None:
    before = Resolution((Pin("httpx", "0.27", ("sha256:ab",)), Pin("anyio", "4.1")))
    chosen = preferred(BASE, before)
    assert chosen is not None
    assert {pin.name: pin.version for pin in chosen.pins} == {
        "httpx": "0.28.1",
        "anyio": "4.1",
        "rich": "14.0",
    }


def test_a_base_on_a_base_has_both() -> None:
    assert merged("a==1 --hash=sha256:11\n", BASE).splitlines()[0] == "a==1 --hash=sha256:11"
    assert len(merged("a==1 --hash=sha256:11\n", BASE).splitlines()) == 3
