"""Findings -> SARIF 2.1.0, which GitHub code scanning and other pages of findings read.

In: `Settled`, and the tables of rules. Out: a JSON object. Paths are relative to the repository's root, as
the pages want them. A finding about an image is placed in a file of its name: pages skip what has no place.
Source: the OASIS standard with errata 01; GitHub's documentation of what it reads.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import shipway
from shipway.check.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shipway.check.suppressions import Settled, Suppressed
    from shipway.errors import Finding

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_TEXTS = {rule.name: rule.text for rule in RULES}


def sarif(settled: Settled, directory: Path, with_ignored: bool = False) -> dict[str, Any]:
    """The whole log, one run. `directory` is where findings' files are named from.

    `with_ignored`: what is answered for is in it, too, as suppressed. GitHub would show that as open.
    """
    uri = _from_root(directory.absolute())
    answered = {one.finding: one for one in settled.suppressed if with_ignored}
    findings = [*settled.findings, *answered]
    names = sorted({finding.rule for finding in findings} | _TEXTS.keys())
    index = {name: position for position, name in enumerate(names)}
    severities = {f.rule: f.severity for f in findings} | {rule.name: rule.severity for rule in RULES}
    driver = {
        "name": "shipway",
        "semanticVersion": shipway.__version__,
        "rules": [_rule(name, severities[name]) for name in names],
    }
    results = [_result(finding, index, answered.get(finding), uri) for finding in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(name: str, severity: str) -> dict[str, Any]:
    text = _TEXTS.get(name, f"What shipway cannot read or build from; docs/reference/findings.md#{name}")
    ignoring = f"\n\nTo ignore it: `# shipway: ignore {name}: why`." if name in _TEXTS else ""
    return {
        "id": name,
        "shortDescription": {"text": text.partition("\n\n")[0]},
        "fullDescription": {"text": text},
        "help": {"text": text, "markdown": f"{text}{ignoring}"},
        "defaultConfiguration": {"level": severity},
    }


def _result(
    finding: Finding, index: Mapping[str, int], answer: Suppressed | None, uri: Callable[[str], str]
) -> dict[str, Any]:
    fix = f"\nFix: {finding.fix}" if finding.fix else ""
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": finding.severity,
        "message": {"text": f"{finding.message}{fix}"},
    }
    if finding.file:
        result["locations"] = [_location(finding, uri)]
    if answer:
        kind = "inSource" if answer.in_source else "external"
        result["suppressions"] = [{"kind": kind, "justification": answer.reason}]
    return result


def _location(finding: Finding, uri: Callable[[str], str]) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri(finding.file), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": max(1, finding.line)},
        }
    }


def _from_root(directory: Path) -> Callable[[str], str]:
    """How a file is named from the root of the repository that the directory is in, if it is in one."""
    root = next((place for place in (directory, *directory.parents) if (place / ".git").exists()), directory)

    def uri(file: str) -> str:
        path = Path(os.path.normpath(directory / file))
        return quote(str(path.relative_to(root)) if path.is_relative_to(root) else file.lstrip("/"))

    return uri
