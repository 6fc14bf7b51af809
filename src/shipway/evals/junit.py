"""A run as JUnit XML, which CI systems show.

In: a Run. Out: text. A case that failed is a failure, one that is missing an error; what the agent said is in
`system-out`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

if TYPE_CHECKING:
    from shipway.evals.results import Result, Run

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may have, in any form."""


def to_xml(run: Run) -> str:
    counts = {
        "tests": str(len(run.results)),
        "failures": str(run.count("failed")),
        "errors": str(run.count("missing")),
        "time": f"{run.finished - run.started:.3f}",
    }
    suites = Element("testsuites", counts)
    suite = SubElement(suites, "testsuite", {"name": _clean(f"{run.name} {run.source}"), **counts})
    properties = SubElement(suite, "properties")
    for revision in run.revisions:
        SubElement(properties, "property", {"name": "revision", "value": _clean(revision)})
    SubElement(properties, "property", {"name": "verdict", "value": run.verdict})
    for result in run.results:
        _case(suite, result, run.source)
    indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(suites, encoding="unicode") + "\n"


def _case(suite: Element, result: Result, source: str) -> None:
    attributes = {"name": _clean(result.id), "classname": _clean(result.file or source)}
    if result.latency_s is not None:
        attributes["time"] = f"{result.latency_s:.3f}"
    if result.line:
        attributes |= {"file": _clean(result.file), "line": str(result.line)}
    case = SubElement(suite, "testcase", attributes)
    if result.status != "passed":
        kind = "failure" if result.status == "failed" else "error"
        reasons = result.reasons or ("",)
        problem = SubElement(
            case, kind, {"message": _clean(reasons[0].partition("\n")[0]), "type": result.status}
        )
        problem.text = _clean("\n".join(reasons))
    if result.text:
        SubElement(case, "system-out").text = _clean(result.text)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
