"""What is rendered and what runs agree on the revision: each target's config is read as the runtime does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipway_runtime import contract

RENDERED = sorted(Path("examples").glob("*/golden/*/prod"))
_HEREDOC = re.compile(r'destination = "local/etc/config\.json".*?<<-?(\w+)\n(.*?)\n\s*\1\n', re.DOTALL)


def documents(directory: Path) -> tuple[str, str] | None:
    """The agent's SHIPWAY_REVISION and the config that it reads; None where the target was refused."""
    if (file := directory / "compose.yaml").exists():
        services = yaml.safe_load(file.read_text())["services"]
        return services["agent"]["environment"][NAME], (directory / "etc/config.json").read_text()
    names = ("base/deployment.yaml", "base/rollout.yaml")
    if file := next((directory / name for name in names if (directory / name).exists()), None):
        pod = yaml.safe_load(file.read_text())["spec"]["template"]["spec"]
        agent = next(one for one in pod["containers"] if one["name"] == "agent")
        said = yaml.safe_load((directory / "base/config.yaml").read_text())
        return dict(pairs(agent["env"]))[NAME], said["data"]["config.json"]
    if (file := directory / "register-task-definition.json").exists():
        containers = json.loads(file.read_text())["containerDefinitions"]
        said = dict(pairs(next(one for one in containers if one["name"] == "agent")["environment"]))
        return said[NAME], said[contract.env.CONFIG_JSON]
    if (file := directory / "agent.nomad.hcl").exists():
        text = file.read_text()
        config = _HEREDOC.search(text)
        revision = re.search(rf'{NAME} += "(.+)"', text)
        assert config
        assert revision
        return revision[1], config[2]
    return None


NAME = contract.env.REVISION


def pairs(env: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    return ((one["name"], one.get("value", "")) for one in env)


@pytest.mark.parametrize("directory", RENDERED, ids=lambda path: "-".join(path.parts[1:2] + path.parts[3:]))
def test_the_process_comes_to_the_revision_that_was_rendered(directory: Path) -> None:
    found = documents(directory)
    assert (found is None) == (directory / "refused.txt").exists()
    if found:
        revision, config = found
        assert contract.running_revision(revision, config) == revision
        assert contract.running_revision(revision, config.replace('"environment"', '"e"')) != revision
