"""`shipway check` has nothing to say about what shipway itself renders."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.check.manifests.survey import check_named

EXAMPLES = {path.parent.name for path in Path("examples").glob("*/agent.toml")}
RENDERED = [
    path
    for target in ("compose", "kubernetes", "argo", "ecs")
    for path in sorted(Path("examples").glob(f"*/golden/{target}/*"))
    if not (path / "refused.txt").exists()
]


def test_every_example_is_there() -> None:
    assert {path.parts[1] for path in RENDERED} == EXAMPLES


@pytest.mark.parametrize("directory", RENDERED, ids=lambda path: "-".join(path.parts[1:2] + path.parts[3:]))
def test_nothing_is_found_in_what_is_rendered(directory: Path) -> None:
    assert [str(finding) for finding in check_named(directory).findings] == []
