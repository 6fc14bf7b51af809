"""`shipway check` on what is rendered: the tool agrees with itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.kubernetes import LARGE, SMALL, stack

from shipway.check.manifests.survey import check_named
from shipway.render.kubernetes import render

CHOSEN = {
    # of the user's own: a limit that is not said, an image that others built
    *(
        "sidecar-limit",
        "memory-limit",
        "manifest-digest",
        "writable-root",
        "probes-missing",
        "readiness-shallow",
    ),
}


@pytest.mark.parametrize(("text", "found"), [(SMALL, set()), (SMALL + "[storage]\n", set()), (LARGE, CHOSEN)])
def test_nothing_is_found_but_what_agent_toml_asks_for(tmp_path: Path, text: str, found: set[str]) -> None:
    rendered = render(stack(tmp_path, text))
    for name, content in {**rendered.owned, **rendered.once}.items():
        file = tmp_path / "out" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    assert {finding.rule for finding in check_named(tmp_path / "out").findings} == found
