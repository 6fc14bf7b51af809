"""docs/reference/releases.md names every key of `shipway diff --json`, and says the truth about revisions."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from shipway.build.comparison.compare import Comparison, Identity
from shipway.build.comparison.packages import VersionChange
from shipway.build.comparison.prompts import PromptChange
from shipway.build.comparison.values import ValueChange
from shipway_runtime import contract

PAGE = Path("docs/reference/releases.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [Comparison, Identity, PromptChange, ValueChange, VersionChange])
def test_every_key_is_documented(kind: type) -> None:
    assert {field.name for field in dataclasses.fields(kind)} <= set(re.findall(r"`(\w+)`", PAGE))


def test_its_examples_are_releases_and_revisions() -> None:
    release, revision = (
        re.findall(r"^(\S+) {4,}a", PAGE, re.MULTILINE)[:1],
        re.findall(r"`(\S+-76c675)`", PAGE),
    )
    config = contract.encode(contract.Config("prod", contract.Settings()))
    assert contract.running_revision(release[0], config) == f"{release[0]}-{contract.config_digest(config)}"
    assert contract.running_revision(revision[0], None) == release[0]
    assert contract.REVISION_WORDS.replace("digits and . _ - @ : +", "digits and `. _ - @ : +`") in PAGE
    assert f"`{contract.UNRELEASED}`" in PAGE
